//! Receivers that ask for a certificate: the right one delivers, and without it alerts wait in the spool.

mod support;

use std::any::Any;
use std::fs;
use std::sync::{Arc, Mutex};

use serde_json::json;
use smbwatch::sink::Running;
use support::alerts::{Maker, close, send, start, wait_for};
use support::lab::Lab;
use support::listener::{Identity, Listener, Stream};
use support::otlp::{Receiver, taken};
use support::receivers::wait_until;
use support::receivers::web::{bulk_answer, bulk_documents};
use support::server::{Reply, Server};
use tokio::io::AsyncReadExt as _;

/// What connections to a syslog receiver have brought.
#[derive(Default)]
struct Heard {
    text: String,
    /// How each has ended: whether the sender has said so.
    ends: Vec<bool>,
}

#[test]
fn who_asks_for_a_certificate_is_shown_it() {
    let Some(lab) = Lab::make("who_asks_for_a_certificate_is_shown_it") else { return };
    let [own, another] = ["own", "another"].map(|name| identity(&lab, name));
    let receiver = identity(&lab, "receiver").ask_for(&own);
    let ca = receiver.ca.display().to_string();
    let heard: Arc<Mutex<Heard>> = Arc::default();
    let _receivers = receivers(&lab, &receiver, &heard);
    for (kind, settings) in [
        ("syslog", "address = \"tls://localhost:6514\""),
        ("webhook", "url = \"https://localhost:8443\""),
        ("elasticsearch", "url = \"https://localhost:9200\""),
        ("otlp", "url = \"https://localhost:4317\""),
        ("otlp", "url = \"https://localhost:4318\"\nprotocol = \"http\""),
    ] {
        let sink = |name: &str, more: &str| -> Running {
            let name = format!("{name}-{}", settings.len());
            let text =
                format!("type = \"{kind}\"\nname = \"{kind}-{name}\"\n{settings}\nca = \"{ca}\"\n{more}");
            start(&lab, &format!("[[sinks]]\n{text}"))
        };
        let shown =
            |own: &Identity| format!("certificate = {:?}\nkey = {:?}", own.ca.display(), own.key.display());
        let strangers = [sink("none", ""), sink("another", &shown(&another))];
        let known = sink("own", &shown(&own));
        let mut maker = Maker::new();
        for stranger in &strangers {
            send(stranger, &mut maker, 20);
        }
        send(&known, &mut maker, 20);
        wait_for(&known, "all are delivered", |counts| counts.delivered == 20);
        close(known);
        for stranger in strangers {
            let counts = close(stranger);
            assert_eq!((counts.spooled, counts.delivered), (20, 0), "{settings}: {counts:?}");
        }
    }
    // Of the connections to the syslog receiver, which judges before it is sent anything, only one was let in.
    wait_until("the connection is at its end", || !heard.lock().expect("what was heard").ends.is_empty());
    assert_eq!(heard.lock().expect("what was heard").ends, [true]);
}

#[test]
fn a_certificate_that_is_replaced_is_shown_without_a_restart() {
    let Some(lab) = Lab::make("a_certificate_that_is_replaced_is_shown_without_a_restart") else { return };
    let [own, old] = ["own", "old"].map(|name| identity(&lab, name));
    let receiver = identity(&lab, "receiver").ask_for(&own);
    let _receivers = receivers(&lab, &receiver, &Arc::default());
    let ca = receiver.ca.display();
    let shown = format!("certificate = {:?}\nkey = {:?}", old.ca.display(), old.key.display());
    let sinks =
        [("syslog", "address = \"tls://localhost:6514"), ("webhook", "url = \"https://localhost:8443")].map(
            |(kind, place)| {
                start(&lab, &format!("[[sinks]]\ntype = \"{kind}\"\n{place}\"\nca = \"{ca}\"\n{shown}"))
            },
        );
    for sink in &sinks {
        send(sink, &mut Maker::new(), 20);
        wait_for(sink, "all are in the spool", |counts| counts.spooled == 20);
    }
    fs::copy(&own.key, &old.key).expect("replace the key");
    fs::copy(&own.ca, &old.ca).expect("replace the certificate");
    for sink in sinks {
        wait_for(&sink, "all are delivered", |counts| counts.delivered == 20);
        close(sink);
    }
}

#[test]
fn a_syslog_receiver_is_told_of_the_end() {
    let Some(lab) = Lab::make("a_syslog_receiver_is_told_of_the_end") else { return };
    let receiver = identity(&lab, "receiver");
    let heard: Arc<Mutex<Heard>> = Arc::default();
    let seen = Arc::clone(&heard);
    let _listener = Listener::start(&lab, 6514, Some(&receiver), move |stream| hear(stream, &seen));
    let address = format!("address = \"tls://localhost:6514\"\nca = \"{}\"", receiver.ca.display());
    let sink = start(&lab, &format!("[[sinks]]\ntype = \"syslog\"\n{address}"));
    let made = send(&sink, &mut Maker::new(), 20);
    wait_for(&sink, "all are delivered", |counts| counts.delivered == 20);
    close(sink);
    wait_until("the connection is at its end", || !heard.lock().expect("what was heard").ends.is_empty());
    let heard = heard.lock().expect("what was heard");
    assert_eq!(heard.ends, [true]);
    assert!(made.iter().all(|id| heard.text.contains(id)), "{}", heard.text);
}

fn identity(lab: &Lab, name: &str) -> Identity {
    let folder = lab.folder().join(name);
    fs::create_dir(&folder).expect("create a folder");
    Identity::make(&folder, b"")
}

/// One of each kind.
fn receivers(lab: &Lab, identity: &Identity, heard: &Arc<Mutex<Heard>>) -> Vec<Box<dyn Any>> {
    let (identity, heard) = (Some(identity), Arc::clone(heard));
    let taken_by_http = |_| Reply::Answer(200, String::new());
    vec![
        Box::new(Listener::start(lab, 6514, identity, move |stream| hear(stream, &heard))),
        Box::new(Server::start_as(lab, 8443, identity, taken_by_http)),
        Box::new(Server::start_as(lab, 9200, identity, |asked| {
            let items = vec![json!({ "status": 201 }); bulk_documents(&asked).len()];
            Reply::Answer(200, bulk_answer(items))
        })),
        Box::new(Receiver::start(lab, 4317, identity, |_, _| Ok(taken()))),
        Box::new(Server::start_as(lab, 4318, identity, taken_by_http)),
    ]
}

/// Reads a connection to its end.
fn hear(stream: Stream, heard: &Arc<Mutex<Heard>>) {
    let (mut stream, heard) = (stream.into_inner(), Arc::clone(heard));
    tokio::spawn(async move {
        let mut text = String::new();
        // Without a word of the end it is an error.
        let end = stream.read_to_string(&mut text).await;
        let mut heard = heard.lock().expect("what was heard");
        heard.text += &text;
        heard.ends.push(end.is_ok());
    });
}
