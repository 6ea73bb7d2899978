//! What the pipeline answers between two records.

use jiff::Timestamp;

use super::stages::Stages;
use crate::except::rows;
use crate::explain::{Basis, explain};
use crate::metrics::scrapes::Asked;
use crate::metrics::snapshot::Interfaces;
use crate::probe::Probe;

impl Stages {
    /// Answers a question. Who asked may have gone.
    pub(super) fn answer(&self, asked: Asked, probe: &Probe, interfaces: Interfaces) {
        let Self { config, exceptions, .. } = self;
        match asked {
            Asked::Snapshot(reply) => match self.snapshot(probe, interfaces) {
                Ok(snapshot) => drop(reply.send(snapshot)),
                Err(error) => tracing::error!("{error:#}"),
            },
            Asked::Exceptions(reply) => {
                let packets = |range| probe.excepted(range);
                drop(reply.send(rows(config, exceptions, Some(&packets), Timestamp::now())));
            }
            Asked::Explanation(packet, reply) => {
                let basis = Basis { config, exceptions, is_running: true };
                drop(reply.send(explain(basis, packet, Timestamp::now())));
            }
        }
    }
}
