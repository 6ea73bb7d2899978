//! What it takes to watch hundreds of interfaces.

use std::time::{Duration, Instant};

use crate::figure::{Figure, Reach};
use crate::footprint::pss;
use crate::support::agent::Agent;
use crate::support::crowd::{ALL, add, start_with};
use crate::support::lab::Lab;
use crate::throughput::ratio;

const MANY: usize = 500;
/// TCX takes its time.
const FEW: usize = 50;
const PAIRS: usize = 5;

pub fn measure() -> Option<Vec<Figure>> {
    let few = crate::lab("interfaces")?;
    add(&few, FEW);
    let (_, tcx) = watch(&few, "tcx");
    let (_, clsact) = watch(&few, "clsact");
    drop(few);
    let lab = crate::lab("interfaces")?;
    add(&lab, MANY);
    let (agent, all) = watch(&lab, "auto");
    let memory = pss(agent.pid());
    drop(agent);
    let bulk = ratio(&lab, 5201, PAIRS, |lab| watch(lab, "auto").0);
    let each = |time: Duration| time.as_secs_f64() * 1e3 / FEW as f64;
    Some(vec![
        Figure::new("attach an interface by TCX", each(tcx), "ms", Reach::AtMost(50.0)),
        Figure::new("attach an interface by clsact", each(clsact), "ms", Reach::AtMost(50.0)),
        Figure::new("attach 500 interfaces", all.as_secs_f64(), "s", Reach::AtMost(2.0)),
        Figure::new("memory (PSS) with 500 interfaces", memory, "MiB", Reach::None),
        Figure::new("bulk TCP to 5201, with / without, 500 interfaces", bulk, "", Reach::AtLeast(0.99)),
    ])
}

/// Starts an agent; says how long it took from the first interface to the last.
fn watch(lab: &Lab, back_end: &str) -> (Agent, Duration) {
    let mut agent = start_with(lab, back_end);
    agent.wait_until_said("attached to eth0 (");
    let first = Instant::now();
    agent.wait_until_said(ALL);
    (agent, first.elapsed())
}
