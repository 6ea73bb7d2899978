//! Finds the answers that take long: in a thread that may block, and from the runtimes' sockets.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::enrich::questions::{Answer, Question, Wanted, answer};
use crate::enrich::users::Users;
use crate::metrics::snapshot::Questions;
use crate::pipeline::stages::ANSWERS;
use crate::runtime::Runtimes;

/// Questions that may wait at a time; any further one goes without an answer.
const MAX_OPEN: usize = 256;

/// Answers as they come.
pub(super) type Answers = UnboundedReceiver<(Question, Option<Answer>)>;
type Answering = UnboundedSender<(Question, Option<Answer>)>;

/// Takes questions.
pub(super) struct Inquiry {
    /// Since when.
    open: HashMap<Question, Instant>,
    asked: Questions,
    blocking: SyncSender<Question>,
    runtimes: Option<Runtimes>,
    answering: Answering,
}

impl Inquiry {
    /// Starts the thread, which ends with what is returned here.
    pub(super) fn start(wanted: Box<Wanted>, runtimes: Option<Runtimes>) -> io::Result<(Self, Answers)> {
        let (blocking, questions) = sync_channel(MAX_OPEN);
        let (answering, answers) = unbounded_channel();
        let out = answering.clone();
        let work = move || find_all(&questions, &wanted, &out);
        thread::Builder::new().name("inquiry".to_owned()).spawn(work)?;
        Ok((Self::new(blocking, runtimes, answering), answers))
    }

    /// Answers nothing.
    pub(super) fn closed() -> Self {
        let ((blocking, _), (answering, _)) = (sync_channel(0), unbounded_channel());
        Self::new(blocking, None, answering)
    }

    fn new(blocking: SyncSender<Question>, runtimes: Option<Runtimes>, answering: Answering) -> Self {
        Self { open: HashMap::new(), asked: Questions::default(), blocking, runtimes, answering }
    }

    /// Takes other runtimes.
    pub(super) fn adapt(&mut self, runtimes: Option<Runtimes>) {
        self.runtimes = runtimes;
    }

    /// Asks, unless that has been done; whether an answer is to come.
    pub(super) fn ask(&mut self, question: &Question, now: Instant) -> bool {
        if self.open.contains_key(question) {
            return true;
        }
        if self.open.len() >= MAX_OPEN || !self.send(question.clone()) {
            self.asked.refused += 1;
            return false;
        }
        self.open.insert(question.clone(), now);
        true
    }

    /// Whether an answer is still to come.
    pub(super) fn is_open(&self, question: &Question) -> bool {
        self.open.contains_key(question)
    }

    /// Notes that an answer has come.
    pub(super) fn answered(&mut self, question: &Question, now: Instant) {
        let asked = self.open.remove(question);
        if asked.is_some_and(|asked| now.saturating_duration_since(asked) > ANSWERS) {
            self.asked.late += 1;
        } else {
            self.asked.answered += 1;
        }
    }

    /// How many questions there were.
    pub(super) fn questions(&self) -> Questions {
        Questions { open: self.open.len() as u64, ..self.asked }
    }

    fn send(&self, question: Question) -> bool {
        let (Question::Container(id), Some(runtimes)) = (&question, &self.runtimes) else {
            return self.blocking.try_send(question).is_ok();
        };
        let (id, runtimes, answering) = (id.clone(), runtimes.clone(), self.answering.clone());
        tokio::spawn(async move {
            let answer = runtimes.find(&id).await.map(|_| Answer::Container);
            // Nobody waits any more at the agent's end.
            let _ = answering.send((question, answer));
        });
        true
    }
}

fn find_all(questions: &Receiver<Question>, wanted: &Wanted, out: &Answering) {
    let mut users = Users::default();
    for question in questions {
        let found = answer(&question, wanted, &mut users);
        if out.send((question, found)).is_err() {
            break;
        }
    }
}
