//! A topic of Kafka. Each alert has its host as the key, so that those of one host stay in order.

mod settings;
mod reports;

use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::stored::Stored;
use super::{Failure, Fate, Sink};
use crate::config::sinks::KafkaTarget;
use reports::Reports;
use settings::settings;

/// How long a broker may take to take a batch.
const EXCHANGE: Duration = Duration::from_secs(20);
/// How long reports are waited for at once; rdkafka waits on when there was one.
const POLL: Duration = Duration::from_millis(5);

pub(super) struct Kafka {
    target: KafkaTarget,
    settings: ClientConfig,
    /// None before it is needed, and after it has come to an end.
    producer: Option<BaseProducer<Reports>>,
}

impl Kafka {
    pub(super) fn new(target: &KafkaTarget) -> anyhow::Result<Self> {
        Ok(Self { target: target.clone(), settings: settings(target, EXCHANGE)?, producer: None })
    }

    fn connect(&self) -> anyhow::Result<BaseProducer<Reports>> {
        self.settings.create_with_context(Reports::default()).context("start a producer")
    }
}

impl Sink for Kafka {
    fn deliver(&mut self, alerts: &[Stored]) -> Result<Vec<Fate>, Failure> {
        let producer = match self.producer.take() {
            Some(producer) => producer,
            None => self.connect().map_err(Failure::later)?,
        };
        let reports = producer.context();
        reports.expect(alerts.len());
        for (index, alert) in alerts.iter().enumerate() {
            let opened = alert.open();
            let key = opened.text("/host/name");
            let record = BaseRecord::with_opaque_to(&self.target.topic, index);
            let record = record.key(key.as_ref()).payload(&alert.json);
            if let Err((error, _)) = producer.send(record) {
                reports.note(index, &error);
            }
        }
        // The producer reports on each of them, at the latest when its time is over.
        let until = Instant::now() + 2 * EXCHANGE;
        while reports.are_missing() {
            if Instant::now() > until {
                return Err(Failure::later(anyhow!("the producer does not report")));
            }
            producer.poll(POLL);
        }
        let told = producer.context().take();
        // One that is lost for its broker, as after its topic was made anew, would never deliver again. Another begins
        // with a new identity.
        let is_heard = match &told {
            Ok(fates) => fates.contains(&Fate::Delivered),
            Err(failure) => matches!(failure, Failure::Refused(_)),
        };
        if is_heard {
            self.producer = Some(producer);
        }
        told
    }

    fn check(&mut self) -> Result<(), Failure> {
        const PATIENCE: Duration = Duration::from_secs(10);
        const ASK: Duration = Duration::from_secs(1);
        const SETTLE: Duration = Duration::from_millis(100);
        let producer = self.connect().map_err(Failure::later)?;
        let until = Instant::now() + PATIENCE;
        loop {
            let asked = producer.client().fetch_metadata(None, ASK);
            let Err(error) = asked else { return Ok(()) };
            producer.poll(SETTLE);
            let reports = producer.context();
            if reports.say_none_is_left() || Instant::now() > until {
                let reason = reports.reason(&error);
                // Brokers say nothing to those who should have logged in.
                let is_cut = self.target.sasl.is_none() && reason.contains("in state UP");
                let hint = if is_cut { "; does it want `sasl`?" } else { "" };
                return Err(Failure::later(anyhow!("{reason}{hint}")));
            }
        }
    }
}
