//! Receivers that answer: web services, a data stream, and collectors.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message as _;
use serde_json::{Value, json};
use tonic::Status;

use super::{LATE, Mood, Receiver, id, whole};
use crate::support::agent::text;
use crate::support::lab::Lab;
use crate::support::otlp;
use crate::support::server::{Asked, Reply, Server};

/// Requests that a busy receiver sends away before it counts as one that has: one of each way.
const WAYS: usize = 4;

/// What it is.
#[derive(Clone, Copy)]
pub enum Way {
    Webhook,
    Elasticsearch,
    OtlpGrpc,
    OtlpHttp,
}

/// A receiver that is a part of the test.
pub struct Web<'a> {
    lab: &'a Lab,
    way: Way,
    intake: Arc<Mutex<Intake>>,
    running: Option<Box<dyn Any>>,
}

/// What has arrived, and what is done with what comes.
struct Intake {
    mood: Mood,
    /// Requests since the start.
    asked: usize,
    arrived: Vec<String>,
}

enum Verdict {
    Taken,
    /// Not now; which of the ways to say so.
    Later(usize),
    Never,
    /// Taken, but nobody will hear of it.
    Silence,
}

impl Intake {
    fn judge(&mut self, ids: Vec<String>) -> Verdict {
        self.asked += 1;
        let verdict = match &self.mood {
            Mood::Busy => return Verdict::Later(self.asked % WAYS),
            Mood::Refusing(never) if ids.iter().any(|id| never.contains(id)) => return Verdict::Never,
            Mood::Dying if self.asked > 1 => Verdict::Silence,
            Mood::Slow => {
                std::thread::sleep(LATE);
                Verdict::Taken
            }
            Mood::Taking | Mood::Dying | Mood::Refusing(_) => Verdict::Taken,
        };
        self.arrived.extend(ids);
        verdict
    }

    /// The same for a data stream, which answers for each document.
    fn bulk(&mut self, ids: Vec<String>) -> Reply {
        let never: BTreeSet<String> = match &self.mood {
            Mood::Refusing(never) => never.iter().cloned().collect(),
            Mood::Taking | Mood::Slow | Mood::Dying | Mood::Busy => BTreeSet::new(),
        };
        let wrong = json!({ "type": "document_parsing_exception", "reason": "" });
        let items: Vec<Value> = ids
            .iter()
            .map(|id| match id {
                id if never.contains(id) => json!({ "status": 400, "error": wrong }),
                id if self.arrived.contains(id) => json!({ "status": 409 }),
                _ => json!({ "status": 201 }),
            })
            .collect();
        let taken = ids.into_iter().filter(|id| !never.contains(id)).collect();
        reply(&self.judge(taken), bulk_answer(items))
    }
}

impl<'a> Web<'a> {
    pub fn new(lab: &'a Lab, way: Way) -> Self {
        let intake = Intake { mood: Mood::Taking, asked: 0, arrived: Vec::new() };
        Self { lab, way, intake: Arc::new(Mutex::new(intake)), running: None }
    }
}

impl Receiver for Web<'_> {
    fn config(&self) -> String {
        let (kind, rest) = match self.way {
            Way::Webhook => ("webhook", "8080\""),
            Way::Elasticsearch => ("elasticsearch", "9200\""),
            Way::OtlpHttp => ("otlp", "4318\"\nprotocol = \"http\""),
            Way::OtlpGrpc => ("otlp", "4317\""),
        };
        format!("[[sinks]]\ntype = \"{kind}\"\nurl = \"http://127.0.0.1:{rest}")
    }

    fn start(&mut self, mood: Mood) {
        let intake = Arc::clone(&self.intake);
        {
            let mut intake = intake.lock().expect("the intake");
            (intake.mood, intake.asked) = (mood, 0);
        }
        let judge = move |ids| intake.lock().expect("the intake").judge(ids);
        let intake = Arc::clone(&self.intake);
        self.running = Some(match self.way {
            Way::Webhook => Box::new(Server::start(self.lab, 8080, move |asked| {
                reply(&judge(lines(&asked)), String::new())
            })),
            Way::Elasticsearch => Box::new(Server::start(self.lab, 9200, move |asked| {
                intake.lock().expect("the intake").bulk(bulk_documents(&asked))
            })),
            Way::OtlpHttp => Box::new(Server::start(self.lab, 4318, move |asked| {
                let request = ExportLogsServiceRequest::decode(asked.body.as_slice());
                reply(&judge(records(request.expect("a whole request"))), String::new())
            })),
            Way::OtlpGrpc => Box::new(otlp::Receiver::start(self.lab, 4317, None, move |request, _| {
                match judge(records(request)) {
                    Verdict::Taken => Ok(otlp::taken()),
                    Verdict::Later(1) => Err(Status::unavailable("busy")),
                    Verdict::Later(2) => Err(Status::aborted("busy")),
                    Verdict::Later(3) => Err(Status::deadline_exceeded("busy")),
                    Verdict::Later(_) => Err(Status::data_loss("busy")),
                    Verdict::Never => Err(Status::invalid_argument("never")),
                    Verdict::Silence => Err(otlp::silence()),
                }
            })),
        });
    }

    fn stop(&mut self) {
        self.running = None;
    }

    fn arrived(&mut self) -> Vec<String> {
        self.intake.lock().expect("the intake").arrived.clone()
    }

    fn has_refused(&self) -> bool {
        self.intake.lock().expect("the intake").asked >= WAYS
    }
}

fn reply(verdict: &Verdict, taken: String) -> Reply {
    match verdict {
        Verdict::Taken => Reply::Answer(200, taken),
        Verdict::Later(1) => Reply::Answer(503, String::new()),
        Verdict::Later(2) => Reply::Answer(429, String::new()),
        // Twice: a connection that was kept may have been closed, but not the new one that takes its place.
        Verdict::Later(_) => Reply::Cut,
        Verdict::Never => Reply::Answer(400, String::new()),
        Verdict::Silence => Reply::Hang,
    }
}

/// The identifiers of documents that are a line each.
pub fn lines(asked: &Asked) -> Vec<String> {
    let body = std::str::from_utf8(&asked.body).expect("UTF-8");
    assert!(body.ends_with('\n'), "the last line is whole");
    body.lines().map(whole).collect()
}

/// The identifiers of the documents of a request to `_bulk`, whose actions are as they should be.
pub fn bulk_documents(asked: &Asked) -> Vec<String> {
    let body = std::str::from_utf8(&asked.body).expect("UTF-8");
    assert!(body.ends_with('\n'), "the last line is whole");
    let lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let documents = lines.chunks(2).map(|pair| {
        let [action, document] = pair else { panic!("an action without a document") };
        let id = id(document);
        assert_eq!(action, &json!({ "create": { "_id": id } }));
        assert!(!text(document, "@timestamp").is_empty());
        id
    });
    documents.collect()
}

/// What `_bulk` answers, with the outcome of each action.
pub fn bulk_answer(items: Vec<Value>) -> String {
    let errors = items.iter().any(|item| item["status"] != 201);
    let items: Vec<Value> = items.into_iter().map(|item| json!({ "create": item })).collect();
    json!({ "took": 1, "errors": errors, "items": items }).to_string()
}

fn records(request: ExportLogsServiceRequest) -> Vec<String> {
    otlp::documents(request).iter().map(id).collect()
}
