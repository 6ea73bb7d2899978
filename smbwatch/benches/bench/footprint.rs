//! What the agent takes while nothing happens, and how soon it watches.

use std::fs;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use crate::figure::{Figure, Reach, median};
use crate::support::agent::Agent;

const STARTS: usize = 9;
const REST: Duration = Duration::from_secs(60);

pub fn measure() -> Option<Vec<Figure>> {
    let lab = crate::lab("footprint")?;
    let start = |_| {
        let started = Instant::now();
        let agent = Agent::start(&lab);
        let elapsed = started.elapsed().as_secs_f64() * 1e3;
        agent.stop();
        elapsed
    };
    let starts = median((0..STARTS).map(start).collect());
    let agent = Agent::start(&lab);
    let before = usage(agent.pid());
    std::thread::sleep(REST);
    let after = usage(agent.pid());
    let seconds = REST.as_secs_f64();
    let ticks = procfs::ticks_per_second() as f64;
    Some(vec![
        Figure::new("start to attached", starts, "ms", Reach::AtMost(150.0)),
        Figure::new("memory (PSS) at rest", pss(agent.pid()), "MiB", Reach::AtMost(10.0)),
        Figure::new("CPU at rest", (after.0 - before.0) / ticks / seconds * 100.0, "%", Reach::AtMost(0.0)),
        Figure::new("wake-ups at rest", (after.1 - before.1) / seconds, "/s", Reach::AtMost(2.0)),
    ])
}

/// Proportional share of memory, in MiB.
pub fn pss(pid: Pid) -> f64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("smaps_rollup");
    field(&rollup, "Pss:") / 1024.0
}

/// Clock ticks of CPU, and voluntary context switches of all threads.
fn usage(pid: Pid) -> (f64, f64) {
    let process = procfs::process::Process::new(pid.as_raw()).expect("a process");
    let stat = process.stat().expect("stat");
    let tasks = process.tasks().expect("tasks").flatten();
    let switches = tasks.map(|task| {
        let status = fs::read_to_string(format!("/proc/{pid}/task/{}/status", task.tid)).unwrap_or_default();
        field(&status, "voluntary_ctxt_switches:")
    });
    ((stat.utime + stat.stime) as f64, switches.sum())
}

fn field(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(f64::NAN)
}
