//! What the pipeline answers between two records.

use jiff::Timestamp;

use super::programs::Programs;
use super::stages::Stages;
use crate::except::rows;
use crate::explain::{Basis, explain};
use crate::metrics::scrapes::Asked;
use crate::metrics::snapshot::Reloads;

impl Stages {
    /// Answers a question. Who asked may have gone.
    pub(super) fn answer(&self, asked: Asked, programs: &Programs, reloads: Reloads) {
        let Self { config, exceptions, .. } = self;
        match asked {
            Asked::Snapshot(reply) => match self.snapshot(programs, reloads) {
                Ok(snapshot) => drop(reply.send(snapshot)),
                Err(error) => tracing::error!("{error:#}"),
            },
            Asked::Exceptions(reply) => {
                let packets = |range| programs.excepted(range);
                drop(reply.send(rows(config, exceptions, Some(&packets), Timestamp::now())));
            }
            Asked::Explanation(packet, reply) => {
                let basis = Basis { config, exceptions, is_running: true };
                drop(reply.send(explain(basis, packet, Timestamp::now())));
            }
        }
    }
}
