//! What a receiver's status means for a request:
//! <https://opentelemetry.io/docs/specs/otlp/#failures>

use std::time::Duration;

use anyhow::anyhow;
use prost::Message;
use tonic::{Code, Status};

use crate::config::sinks::Url;
use crate::sink::Failure;

/// Whether a request may be sent again, of which the receiver itself says that it is not taken.
pub(super) fn failure(status: &Status, url: &Url) -> Failure {
    // Without a message it is described.
    let (code, said) = (status.code(), status.message());
    let said = if said.is_empty() { code.description() } else { said };
    let later = |advice: &str| {
        Failure::Later(anyhow!("{url}: answered {code:?}: {said}{advice}"), retry_delay(status.details()))
    };
    match code {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => later(""),
        // Only where it says when; otherwise the request is too large, or a quota is used up for good.
        Code::ResourceExhausted if retry_delay(status.details()).is_some() => later(""),
        // Its keeper can give way to these, which the specification would lose.
        Code::Unauthenticated | Code::PermissionDenied => later("; give it a key that may write there"),
        Code::Unimplemented | Code::NotFound => later("; correct its `url`"),
        Code::Ok
        | Code::Unknown
        | Code::InvalidArgument
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Internal => Failure::Refused(format!("answered {code:?}: {said}")),
    }
}

/// The delay of a `google.rpc.RetryInfo` among the details of a status.
fn retry_delay(details: &[u8]) -> Option<Duration> {
    let status = Details::decode(details).ok()?;
    let info = status.details.iter().find(|any| any.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay?;
    Some(Duration::new(delay.seconds.try_into().ok()?, delay.nanos.try_into().ok()?))
}

/// `google.rpc.Status`, as far as it is read.
#[derive(Message)]
struct Details {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

#[derive(Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_sent_again_is_what_the_specification_says_and_what_a_keeper_can_mend() {
        let url = Url::try_from("http://127.0.0.1:4317".to_owned()).expect("a URL");
        for (code, again) in [
            (Code::Unavailable, true),
            (Code::Aborted, true),
            (Code::DataLoss, true),
            (Code::Unauthenticated, true),
            (Code::Unimplemented, true),
            (Code::ResourceExhausted, false),
            (Code::InvalidArgument, false),
            (Code::Internal, false),
        ] {
            let failure = failure(&Status::new(code, "said"), &url);
            assert_eq!(matches!(failure, Failure::Later(..)), again, "{failure}");
        }
    }

    #[test]
    fn a_receiver_says_when_to_come_again() {
        let url = Url::try_from("http://127.0.0.1:4317".to_owned()).expect("a URL");
        let delay = RetryInfo { retry_delay: Some(Delay { seconds: 7, nanos: 500_000_000 }) };
        let any = Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: delay.encode_to_vec(),
        };
        let details = Details { details: vec![any] }.encode_to_vec();
        let status = Status::with_details(Code::ResourceExhausted, "busy", details.into());
        let failure = failure(&status, &url);
        assert_eq!(failure.after(), Some(Duration::from_millis(7500)), "{failure}");
    }
}
