//! What web sinks ask for, and what they make of the answers.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex};

use ring::hmac;
use serde_json::{Value, json};
use support::alerts::{Maker, close, send, start, wait_for};
use support::lab::Lab;
use support::listener::Identity;
use support::receivers::web::{bulk_answer, bulk_documents, lines};
use support::server::{Asked, Reply, Server};

const KEY: &str = "c2VjcmV0OmtleQ==";

/// A data stream as `_bulk` has it, which is busy with some documents and refuses others.
#[derive(Default)]
struct Stream {
    documents: BTreeSet<String>,
    refused: BTreeSet<String>,
    conflicts: u32,
    asked: u32,
    /// Requests whose documents are taken, but not answered.
    cut: BTreeSet<u32>,
}

impl Stream {
    fn bulk(&mut self, asked: &Asked) -> Reply {
        assert_eq!(asked.method, "POST");
        assert_eq!(asked.path.split('?').next(), Some("/logs-smbwatch.alert-default/_bulk"));
        // Shorter than the whole exchange may take.
        assert!(asked.path.ends_with("&timeout=10s"), "{}", asked.path);
        assert_eq!(asked.headers["content-type"], "application/x-ndjson");
        assert_eq!(asked.headers["authorization"], format!("ApiKey {KEY}"));
        self.asked += 1;
        let items = bulk_documents(asked).iter().map(|id| self.item(id)).collect();
        if self.cut.contains(&self.asked) {
            return Reply::Cut;
        }
        Reply::Answer(200, bulk_answer(items))
    }

    fn item(&mut self, id: &str) -> Value {
        let error =
            |status: u16, kind: &str| json!({ "status": status, "error": { "type": kind, "reason": "" } });
        let number: u32 = id.rsplit('-').next().and_then(|number| number.parse().ok()).expect("a number");
        if number.is_multiple_of(50) {
            self.refused.insert(id.to_owned());
            error(400, "document_parsing_exception")
        } else if self.asked % 3 == 1 && number.is_multiple_of(7) {
            error(429, "es_rejected_execution_exception")
        } else if self.documents.insert(id.to_owned()) {
            json!({ "status": 201 })
        } else {
            self.conflicts += 1;
            error(409, "version_conflict_engine_exception")
        }
    }
}

#[test]
fn a_data_stream_gets_every_document_once_whatever_happens() {
    let Some(lab) = Lab::make("a_data_stream_gets_every_document_once_whatever_happens") else { return };
    let key = lab.folder().join("key");
    fs::write(&key, format!("{KEY}\n")).expect("write the key");
    let config = format!(
        "[[sinks]]\ntype = \"elasticsearch\"\nurl = \"http://127.0.0.1:9200\"\napi_key = {{ file = \"{}\" }}",
        key.display()
    );
    let stream = Arc::new(Mutex::new(Stream { cut: [2, 5].into(), ..Stream::default() }));
    let serve = || {
        let stream = Arc::clone(&stream);
        Server::start(&lab, 9200, move |asked| stream.lock().expect("the stream").bulk(&asked))
    };
    let sink = start(&lab, &config);
    let mut maker = Maker::new();
    let mut made = send(&sink, &mut maker, 300);
    wait_for(&sink, "all are in the spool", |counts| counts.spooled == 300);
    let server = serve();
    wait_for(&sink, "some are delivered", |counts| counts.delivered > 0);
    drop(server);
    made.extend(send(&sink, &mut maker, 300));
    let server = serve();
    wait_for(&sink, "all are settled", |counts| counts.spooled + counts.queued == 0 && counts.made == 600);
    let counts = close(sink);
    drop(server);
    let stream = stream.lock().expect("the stream");
    let arrived: BTreeSet<String> = stream.documents.union(&stream.refused).cloned().collect();
    assert_eq!(arrived, made.into_iter().collect());
    assert_eq!((counts.delivered, counts.lost.refused), (588, 12), "{counts:?}");
    assert_eq!(counts.lost.total(), 12);
    assert!(stream.conflicts > 0, "what was taken unanswered came again");
}

#[test]
fn a_webhook_is_signed_and_a_refused_alert_takes_no_other_with_it() {
    let Some(lab) = Lab::make("a_webhook_is_signed_and_a_refused_alert_takes_no_other_with_it") else {
        return;
    };
    let key = lab.folder().join("hmac");
    fs::write(&key, "shared secret").expect("write the key");
    let config = format!(
        "[[sinks]]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:8080/in?a=b\"\nhmac = {{ file = \"{}\" }}",
        key.display()
    );
    let sink = start(&lab, &config);
    let made = send(&sink, &mut Maker::new(), 200);
    wait_for(&sink, "all are in the spool", |counts| counts.spooled == 200);
    let poison = made[100].clone();
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let taken = Arc::clone(&seen);
    let _server = Server::start(&lab, 8080, move |asked| {
        assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/in?a=b"));
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"shared secret");
        let digits = asked.headers["x-smbwatch-signature"].to_str().expect("text");
        let digits = digits.strip_prefix("sha256=").expect("the algorithm");
        let signature: Vec<u8> = (0..digits.len() / 2)
            .map(|byte| u8::from_str_radix(&digits[2 * byte..2 * byte + 2], 16).expect("hexadecimal"))
            .collect();
        hmac::verify(&key, &asked.body, &signature).expect("the signature");
        let ids = lines(&asked);
        if ids.len() > 64 {
            return Reply::Answer(413, String::new());
        }
        if ids.contains(&poison) {
            return Reply::Answer(400, String::new());
        }
        taken.lock().expect("the documents").extend(ids);
        Reply::Answer(204, String::new())
    });
    let counts = wait_for(&sink, "all are settled", |counts| counts.spooled == 0);
    assert_eq!((counts.delivered, counts.lost.refused), (199, 1));
    let mut expected = made;
    expected.remove(100);
    assert_eq!(*seen.lock().expect("the documents"), expected);
    close(sink);
}

#[test]
fn a_spool_in_memory_is_bounded_and_what_it_loses_is_counted() {
    let Some(lab) = Lab::make("a_spool_in_memory_is_bounded_and_what_it_loses_is_counted") else { return };
    let config = "[[sinks]]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:8080/\"\nspool_mib = 0";
    let sink = start(&lab, config);
    send(&sink, &mut Maker::new(), 4000);
    let counts = wait_for(&sink, "none is in the queue", |counts| counts.queued == 0);
    assert!(counts.lost.evicted > 0 && counts.spooled_bytes <= 4 << 20, "{counts:?}");
    let counts = close(sink);
    assert_eq!((counts.spooled, counts.lost.total()), (0, 4000), "{counts:?}");
}

#[test]
fn https_reaches_only_whom_the_authority_vouches_for() {
    let Some(lab) = Lab::make("https_reaches_only_whom_the_authority_vouches_for") else { return };
    let identity = Identity::make(lab.folder(), b"http/1.1");
    let config = |kind: &str, name: &str, host: &str| {
        let ca = identity.ca.display();
        start(
            &lab,
            &format!(
                "[[sinks]]\ntype = \"{kind}\"\nname = \"{name}\"\nurl = \"https://{host}:8443\"\nca = \"{ca}\""
            ),
        )
    };
    let _server = Server::start_as(&lab, 8443, Some(&identity), |asked| {
        if asked.path == "/" {
            return Reply::Answer(204, String::new());
        }
        let items = vec![json!({ "status": 201 }); bulk_documents(&asked).len()];
        Reply::Answer(200, bulk_answer(items))
    });
    let sinks = [config("webhook", "a", "localhost"), config("elasticsearch", "b", "localhost")];
    // Its certificate has another name.
    let stranger = config("webhook", "c", "127.0.0.1");
    let mut maker = Maker::new();
    for sink in sinks.iter().chain([&stranger]) {
        send(sink, &mut maker, 100);
    }
    for sink in sinks {
        wait_for(&sink, "all are delivered", |counts| counts.delivered == 100);
        close(sink);
    }
    assert_eq!(close(stranger).spooled, 100);
}
