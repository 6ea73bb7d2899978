//! Hundreds of interfaces: how soon they are watched, that nothing else waits for it, and what stays behind.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aya::programs::tc::TcAttachOptions;
use aya::programs::{LinkOrder, SchedClassifier, TcAttachType};
use nix::sched::{CloneFlags, setns};
use smbwatch::config::Config;
use smbwatch::probe::Probe;
use smbwatch_ebpf::testing::build::{IPV4, Ipv4, Tcp, ethernet};
use support::agent::{Agent, number, text};
use support::crowd::{ALL, GROUP, add, start_with};
use support::lab::{End, Lab, SERVER};
use support::packet_socket::packet_socket;
use support::peer::attempt;

const MANY: usize = 500;
/// How soon many are to be watched.
const SOON: Duration = Duration::from_secs(2);
/// Containers whose first packets are timed, for each back end.
const TIMED: u16 = 25;
/// Rounds and pairs in each, after a first one: a thousand pairs.
const ROUNDS: usize = 20;
const PAIRS: usize = 50;
/// The kernel changes one interface at a time, for all namespaces: these tests would wait for each other.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn many_are_watched_soon_after_the_start() {
    let _turn = TURN.lock();
    for back_end in ["auto", "clsact"] {
        let Some(lab) = Lab::make("many_are_watched_soon_after_the_start") else { return };
        add(&lab, MANY);
        let start = Instant::now();
        let mut agent = start_with(&lab, back_end);
        agent.wait_until_said("attached to eth0 (");
        let first = Instant::now();
        agent.wait_until_said(ALL);
        let all = first.elapsed();
        eprintln!("{back_end}: {MANY} interfaces in {all:.0?}, {:.0?} after the start", start.elapsed());
        assert_eq!(agent.said.iter().filter(|line| line.contains("attached to v")).count(), MANY);
        assert!(all < SOON, "{all:?}");
        assert!(agent.stop().status.success());
    }
}

/// Behind a program of TCX, a filter on clsact may see nothing.
#[test]
fn tcx_is_used_where_others_use_it_however_many_there_are() {
    let _turn = TURN.lock();
    let Some(lab) = Lab::make("tcx_is_used_where_others_use_it_however_many_there_are") else { return };
    let Some(mut others) = Others::load(&lab) else { return };
    add(&lab, MANY / 10);
    others.attach("v40");
    let mut agent = start_with(&lab, "auto");
    agent.wait_until_said("attached to v40 (tcx, workload)");
    agent.wait_until_said("attached to v41 (clsact, workload)");
    agent.wait_until_said(ALL);
    others.attach("v41");
    agent.wait_until_said("attached to v41 (tcx, workload)");
    assert!(agent.stop().status.success());
}

/// A program of someone else.
struct Others<'a> {
    lab: &'a Lab,
    probe: Probe,
}

impl<'a> Others<'a> {
    fn load(lab: &'a Lab) -> Option<Self> {
        let query = || SchedClassifier::query_tcx("eth0", TcAttachType::Egress).is_ok();
        if !lab.inside(End::Host, query) {
            support::skip::skip("tcx_is_used_where_others_use_it_however_many_there_are", "no TCX");
            return None;
        }
        let probe = Probe::load(&Config::default(), lab.folder()).expect("load the programs");
        Some(Self { lab, probe })
    }

    fn attach(&mut self, interface: &str) {
        let program = self.probe.classifier("smbwatch_reply").expect("a classifier");
        let options = TcAttachOptions::TcxOrder(LinkOrder::default());
        self.lab.inside(End::Host, || {
            program.attach_with_options(interface, TcAttachType::Egress, options).expect("attach");
        });
    }
}

#[test]
fn records_do_not_wait_for_interfaces() {
    let _turn = TURN.lock();
    let Some(lab) = Lab::make("records_do_not_wait_for_interfaces") else { return };
    add(&lab, MANY / 5);
    let mut agent = start_with(&lab, "auto");
    agent.wait_until_said("attached to eth0 (");
    let start = Instant::now();
    let _client = attempt(&lab, SERVER, 445);
    agent.wait_for_action(SERVER, 445, "connection-refused");
    let told = start.elapsed();
    agent.wait_until_said(ALL);
    let all = start.elapsed();
    eprintln!("tcx: an alert after {told:.0?} while {} interfaces took {all:.0?}", MANY / 5);
    assert!(told < all, "{told:?}");
}

#[test]
fn the_first_packets_of_a_container_are_seen() {
    let _turn = TURN.lock();
    for back_end in ["tcx", "clsact"] {
        let Some(lab) = Lab::make("the_first_packets_of_a_container_are_seen") else { return };
        let mut agent = start_with(&lab, back_end);
        agent.wait_until_said(ALL);
        let mut gaps: Vec<Duration> = (0..TIMED).map(|number| gap(&lab, &mut agent, number)).collect();
        gaps.sort_unstable();
        let [median, worst] = [50, 99].map(|percent| gaps[gaps.len() * percent / 100]);
        eprintln!(
            "{back_end}: the first packet is seen p50 {median:.1?} p99 {worst:.1?} after it could be sent"
        );
        assert!(median < Duration::from_millis(50), "{median:?}");
    }
}

/// From when a container's link is up to its first packet that is seen; every one after it must be seen.
fn gap(lab: &Lab, agent: &mut Agent, container: u16) -> Duration {
    let (link, far) = (format!("g{container}"), format!("f{container}"));
    let net = lab.name(End::Net);
    lab.run(End::Host, &format!("ip link add {link} type veth peer name {far} netns {net}"));
    lab.run(End::Net, &format!("ip link set {far} up"));
    lab.run(End::Host, &format!("ip link set {link} up"));
    let up = Instant::now();
    let seen = AtomicBool::new(false);
    let ours = |alert: &serde_json::Value| text(alert, "source.ip") == source(container).to_string();
    let times = std::thread::scope(|scope| {
        let sending = scope.spawn(|| lab.inside(End::Net, || send_until(&far, container, &seen)));
        agent.wait_until_said(&format!("attached to {link} ("));
        agent.wait_for("its first packet", ours);
        seen.store(true, Ordering::Relaxed);
        sending.join().expect("send")
    });
    let last = u64::try_from(times.len()).expect("a number");
    agent.wait_for("the last packet", |alert| ours(alert) && number(alert, "source.port") == last);
    let seen: BTreeMap<u64, String> = agent
        .documents
        .iter()
        .filter(|alert| ours(alert))
        .map(|alert| (number(alert, "source.port"), text(alert, "@timestamp").to_owned()))
        .collect();
    let first = *seen.keys().next().expect("an alert");
    let missed: Vec<u64> = (first..=last).filter(|port| !seen.contains_key(port)).collect();
    assert!(missed.is_empty(), "{missed:?} of {last} were missed at {link}: {seen:#?}");
    lab.run(End::Host, &format!("ip link delete {link}"));
    times[usize::try_from(first).expect("a number") - 1].duration_since(up)
}

/// Sends SYNs from port 1, 2, … until some have been sent after one was `seen`; says when each was sent.
fn send_until(interface: &str, container: u16, seen: &AtomicBool) -> Vec<Instant> {
    let socket = packet_socket(interface);
    let mut times = Vec::new();
    let mut left = 5;
    while left > 0 {
        left -= usize::from(seen.load(Ordering::Relaxed));
        times.push(Instant::now());
        let port = u16::try_from(times.len()).expect("soon attached");
        socket.send(&syn(source(container), port)).expect("send a frame");
        std::thread::sleep(Duration::from_micros(100));
    }
    times
}

fn syn(source: Ipv4Addr, port: u16) -> Vec<u8> {
    let server = SERVER.parse().expect("an address");
    ethernet(&[], IPV4, &Ipv4::new(source, server).wrap(&Tcp::syn(port, 445).bytes()))
}

fn source(container: u16) -> Ipv4Addr {
    let [high, low] = container.to_be_bytes();
    Ipv4Addr::new(10, 9, high, low)
}

#[test]
fn nothing_stays_behind_of_a_thousand_containers() {
    let _turn = TURN.lock();
    let Some(lab) = Lab::make("nothing_stays_behind_of_a_thousand_containers") else { return };
    let mut agent = start_with(&lab, "auto");
    agent.wait_until_said(ALL);
    let traffic = Traffic::start(&lab);
    churn(&lab, &mut agent, 0);
    let before = footprint(&agent);
    for round in 1..=ROUNDS {
        churn(&lab, &mut agent, round);
    }
    let after = footprint(&agent);
    drop(traffic);
    eprintln!("descriptors, links among them, and KiB: {before:?} before, {after:?} after");
    assert_eq!((after.0, after.1), (before.0, before.1));
    assert!(after.2 < before.2 + 4096, "{before:?} {after:?}");
    assert!(agent.stop().status.success());
}

/// SYNs from the private host until dropped.
struct Traffic {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Traffic {
    fn start(lab: &Lab) -> Self {
        let namespace =
            fs::File::open(format!("/run/netns/{}", lab.name(End::Host))).expect("open a namespace");
        let done = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&done);
        let thread = std::thread::spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).expect("enter a namespace");
            let socket = packet_socket("eth0");
            // Few flows, so that what the agent remembers of them soon takes no more memory.
            for port in (1..=200).cycle().take_while(|_| !until.load(Ordering::Relaxed)) {
                socket.send(&syn(source(0), port)).expect("send a frame");
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        Self { done, thread: Some(thread) }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Makes pairs of interfaces and removes them; most of the time before they all are watched.
fn churn(lab: &Lab, agent: &mut Agent, round: usize) {
    add(lab, PAIRS);
    if round.is_multiple_of(4) {
        agent.wait_until_said("attached to v0 (");
    }
    lab.run(End::Host, &format!("ip link delete group {GROUP}"));
    // A mark behind them, which tells that they have been dealt with.
    let mark = format!("mark{round}");
    lab.run(End::Host, &format!("ip link add {mark} type veth peer name peer{round}"));
    agent.wait_until_said(&format!("attached to {mark} ("));
    lab.run(End::Host, &format!("ip link delete {mark}"));
    agent.wait_until_said(&format!("detached from {mark}"));
    agent.said.clear();
}

/// Open descriptors, BPF links among them, and resident KiB.
fn footprint(agent: &Agent) -> (usize, usize, u64) {
    let process = format!("/proc/{}", agent.pid());
    let open = fs::read_dir(format!("{process}/fd")).expect("list descriptors");
    let names: Vec<_> = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).collect();
    let links = names.iter().filter(|name| name.to_string_lossy().contains("bpf_link")).count();
    let status = fs::read_to_string(format!("{process}/status")).expect("read the status");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    (names.len(), links, resident.and_then(|text| text.parse().ok()).expect("a size"))
}
