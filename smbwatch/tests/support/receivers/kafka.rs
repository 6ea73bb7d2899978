//! A real broker of Kafka's protocol. It forgets everything when it ends, so that it lives on where its clients lose it.

use super::{Door, Mood, Process, Receiver};
use crate::support::broker::{self, Broker, TOPIC};
use crate::support::lab::Lab;
use crate::support::listener::Listener;

/// Where the broker is for its clients.
const PORT: u16 = 9092;
/// Where it is behind the way that leads to it.
const BEHIND: u16 = 19092;

/// A broker, and the way to it.
pub struct Kafka<'a> {
    lab: &'a Lab,
    program: Broker,
    broker: Option<Process>,
    way: Option<Listener>,
    door: Option<Door>,
}

impl<'a> Kafka<'a> {
    pub const fn new(lab: &'a Lab, program: Broker) -> Self {
        Self { lab, program, broker: None, way: None, door: None }
    }
}

impl Receiver for Kafka<'_> {
    fn config(&self) -> String {
        format!("[[sinks]]\ntype = \"kafka\"\nbrokers = [\"localhost:{PORT}\"]\ntopic = \"{TOPIC}\"")
    }

    fn start(&mut self, mood: Mood) {
        if matches!(mood, Mood::Busy) {
            self.door = Some(Door::close(self.lab, PORT));
            return;
        }
        let broker = self.broker.get_or_insert_with(|| self.program.start(self.lab, BEHIND, PORT));
        broker.pause(matches!(mood, Mood::Slow | Mood::Dying));
        self.way = Some(broker::front(self.lab, PORT, None, None, BEHIND));
    }

    fn stop(&mut self) {
        (self.way, self.door) = (None, None);
    }

    fn arrived(&mut self) -> Vec<String> {
        if let Some(broker) = &mut self.broker {
            broker.pause(false);
        }
        broker::consume(self.lab, &[("bootstrap.servers", &format!("localhost:{PORT}"))])
    }

    fn has_refused(&self) -> bool {
        self.door.as_ref().is_some_and(Door::has_refused)
    }
}
