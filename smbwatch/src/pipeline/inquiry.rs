//! Finds the answers that take long: in a thread that may block, and from the runtimes' sockets.

use std::collections::HashSet;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::enrich::questions::{Answer, Question, Wanted, answer};
use crate::enrich::users::Users;
use crate::runtime::Runtimes;

/// Questions that may wait at a time; any further one goes without an answer.
const MAX_OPEN: usize = 256;

/// Answers as they come.
pub(super) type Answers = UnboundedReceiver<(Question, Option<Answer>)>;
type Answering = UnboundedSender<(Question, Option<Answer>)>;

/// Takes questions.
pub(super) struct Inquiry {
    open: HashSet<Question>,
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
        Ok((Self { open: HashSet::new(), blocking, runtimes, answering }, answers))
    }

    /// Answers nothing.
    pub(super) fn closed() -> Self {
        let ((blocking, _), (answering, _)) = (sync_channel(0), unbounded_channel());
        Self { open: HashSet::new(), blocking, runtimes: None, answering }
    }

    /// Asks, unless that has been done; whether an answer is to come.
    pub(super) fn ask(&mut self, question: &Question) -> bool {
        if self.open.contains(question) {
            return true;
        }
        if self.open.len() >= MAX_OPEN || !self.send(question.clone()) {
            return false;
        }
        self.open.insert(question.clone())
    }

    /// Whether an answer is still to come.
    pub(super) fn is_open(&self, question: &Question) -> bool {
        self.open.contains(question)
    }

    /// Notes that an answer has come.
    pub(super) fn answered(&mut self, question: &Question) {
        self.open.remove(question);
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
