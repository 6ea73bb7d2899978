//! What the producer reports of each alert.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};

use crate::sink::{Failure, Fate};

/// The reports on one batch.
#[derive(Default)]
pub(super) struct Reports(Mutex<State>);

#[derive(Default)]
struct State {
    fates: Vec<Option<Fate>>,
    missing: usize,
    /// What the client complained of last, which says more than that the time is over.
    complaint: Option<String>,
    /// Whether the client could not speak to any broker.
    none_is_left: bool,
}

impl Reports {
    /// Begins a batch.
    pub(super) fn expect(&self, count: usize) {
        let mut state = self.lock();
        state.fates = vec![None; count];
        state.missing = count;
    }

    /// Whether there is an alert without a report.
    pub(super) fn are_missing(&self) -> bool {
        self.lock().missing > 0
    }

    /// What became of each alert. A broker refuses alerts together, and not only the one that it cannot take: none
    /// counts as refused that was not alone.
    pub(super) fn take(&self) -> Result<Vec<Fate>, Failure> {
        let mut state = self.lock();
        state.complaint = None;
        let fates = std::mem::take(&mut state.fates).into_iter();
        let mut fates: Vec<Fate> =
            fates.map(|fate| fate.unwrap_or_else(|| Fate::Again("no report".to_owned()))).collect();
        if fates.len() > 1 {
            let some_are_taken = fates.contains(&Fate::Delivered);
            for fate in &mut fates {
                match fate {
                    Fate::Refused(reason) if some_are_taken => *fate = Fate::Again(std::mem::take(reason)),
                    Fate::Refused(reason) => return Err(Failure::Refused(std::mem::take(reason))),
                    Fate::Delivered | Fate::Again(_) => {}
                }
            }
        }
        Ok(fates)
    }

    pub(super) fn note(&self, index: usize, error: &KafkaError) {
        let never = matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::MessageSizeTooLarge
                    | RDKafkaErrorCode::InvalidMessage
                    | RDKafkaErrorCode::InvalidMessageSize
                    | RDKafkaErrorCode::InvalidRecord
                    | RDKafkaErrorCode::PolicyViolation
            )
        );
        let reason = self.reason(error);
        self.put(index, if never { Fate::Refused(reason) } else { Fate::Again(reason) });
    }

    /// An error, and what led to it.
    pub(super) fn reason(&self, error: &KafkaError) -> String {
        let says_little = matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::MessageTimedOut
                    | RDKafkaErrorCode::OperationTimedOut
            )
        );
        match &self.lock().complaint {
            Some(complaint) if says_little => complaint.clone(),
            Some(complaint) => format!("{error}; {complaint}"),
            None => error.to_string(),
        }
    }

    /// Whether the client has found no broker that it can speak to.
    pub(super) fn say_none_is_left(&self) -> bool {
        self.lock().none_is_left
    }

    fn put(&self, index: usize, fate: Fate) {
        let mut state = self.lock();
        let State { fates, missing, .. } = &mut *state;
        if let Some(place @ None) = fates.get_mut(index) {
            *place = Some(fate);
            *missing -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Reports {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!("librdkafka {facility}: {message}");
        // What became of a connection. It begins with the name of a thread.
        if facility == "FAIL" {
            let complaint = message.split_once("]: ").map_or(message, |(_, rest)| rest);
            self.lock().complaint = Some(in_our_words(complaint));
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let mut state = self.lock();
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            // Why each of them is was said before.
            state.none_is_left = true;
            state.complaint.get_or_insert_with(|| reason.to_owned());
        } else {
            state.complaint = Some(in_our_words(reason));
        }
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        match result {
            Ok(_) => self.put(index, Fate::Delivered),
            Err((error, _)) => self.note(index, error),
        }
    }
}

/// What librdkafka says, with the keys of this configuration.
fn in_our_words(complaint: &str) -> String {
    const STRANGER: &str = "certificate verify failed";
    let text = complaint
        .replace("ssl.key.location and ssl.certificate.location", "`key` and `certificate`")
        .replace("security.protocol", "`tls` and `sasl`");
    let hint = if text.contains(STRANGER) {
        "; its certificate is by none of the authorities in `ca`, for another host, or out of date"
    } else if text.contains("certificate required") {
        "; name `certificate` and `key`"
    } else if text.contains("in state SSL_HANDSHAKE") {
        "; does it speak TLS?"
    } else if text.contains("in state APIVERSION_QUERY") && !text.contains("ssl://") {
        "; does it want `tls`?"
    } else {
        ""
    };
    // Behind it is advice on other keys.
    let end = text.find(STRANGER).map_or(text.len(), |at| at + STRANGER.len());
    text[..end].to_owned() + hint
}
