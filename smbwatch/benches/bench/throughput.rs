//! Bulk TCP through a veth pair, with and without the agent, by iperf3 in alternating runs.

use std::process::{Child, Stdio};

use serde_json::Value;

use crate::figure::{Figure, Reach, median};
use crate::support::agent::Agent;
use crate::support::lab::{End, Lab, SERVER};

const PAIRS: usize = 15;
const SECONDS: &str = "1";
/// Client and server each keep to a CPU: where the scheduler puts them matters more than any agent.
const CPUS: &str = "0,1";

pub fn measure() -> Option<Vec<Figure>> {
    let lab = crate::lab("throughput")?;
    Some(vec![
        Figure::new(
            "bulk TCP to 5201, with / without",
            ratio(&lab, 5201, PAIRS, Agent::start),
            "",
            Reach::AtLeast(0.99),
        ),
        Figure::new(
            "bulk TCP to 445, with / without",
            ratio(&lab, 445, PAIRS, Agent::start),
            "",
            Reach::AtLeast(0.98),
        ),
    ])
}

/// The rate with an agent that runs, to that without one.
pub fn ratio(lab: &Lab, port: u16, pairs: usize, start: impl Fn(&Lab) -> Agent) -> f64 {
    let pair = |number: usize| {
        // The order changes from pair to pair, so that a drift of the machine favours neither side.
        let (mut with, mut without) = (0.0, 0.0);
        for watched in [number.is_multiple_of(2), !number.is_multiple_of(2)] {
            let agent = watched.then(|| start(lab));
            let rate = transfer(lab, port);
            *(if watched { &mut with } else { &mut without }) = rate;
            drop(agent);
        }
        with / without
    };
    median((0..pairs).map(pair).collect())
}

/// Bits a second.
fn transfer(lab: &Lab, port: u16) -> f64 {
    let port = port.to_string();
    let mut server = Server::start(lab, &port);
    let mut client = lab.at(End::Host, "iperf3");
    client.args(["--client", SERVER, "--port", &port, "--time", SECONDS, "--affinity", CPUS, "--json"]);
    let report: Value = loop {
        let output = client.output().expect("run iperf3");
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report of iperf3");
        // The server may not listen yet.
        if report.get("error").is_none() {
            break report;
        }
        assert!(server.0.try_wait().expect("ask for the server").is_none(), "iperf3: {report}");
    };
    report.pointer("/end/sum_received/bits_per_second").and_then(Value::as_f64).expect("a rate")
}

struct Server(Child);

impl Server {
    fn start(lab: &Lab, port: &str) -> Self {
        let mut server = lab.at(End::Net, "iperf3");
        server.args(["--server", "--one-off", "--port", port]).stdout(Stdio::null());
        Self(server.spawn().expect("start iperf3"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
