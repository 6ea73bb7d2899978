//! What is lost or held back is counted exactly, and told.

mod support;

use std::net::Ipv4Addr;
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use serde_json::Value;
use smbwatch_ebpf::testing::build::{IPV4, Ipv4, Tcp, ethernet};
use support::agent::{Agent, number};
use support::lab::{HOST, Lab, SERVER};
use support::packet_socket::send_frames;

/// More records than the smallest ring holds.
const FLOWS: u16 = 2000;

#[test]
fn every_record_that_finds_the_ring_full_is_counted_and_told() {
    let Some(lab) = Lab::make("every_record_that_finds_the_ring_full_is_counted_and_told") else { return };
    // Without owners, so that nothing but our flows comes into the ring.
    let config = "owners = false\n[limits]\nring_bytes = 65536\nalerts_per_second = 1000000\n";
    let mut agent = Agent::start_with(&lab, config, &[]);

    agent.signal(Signal::SIGSTOP);
    waitid(Id::Pid(agent.pid()), WaitPidFlag::WSTOPPED).expect("wait until the agent stands");
    send_frames(&lab, &(1..=FLOWS).map(syn).collect::<Vec<_>>());
    agent.signal(Signal::SIGCONT);
    // The first record of each CPU that finds a place tells what that CPU has lost before.
    from_port(&mut agent, 100);
    let mut sent = FLOWS;
    for cpu in cpus() {
        sent += 1;
        on_cpu(cpu, || send_frames(&lab, &[syn(sent)]));
        from_port(&mut agent, sent);
    }

    let ended = agent.stop();
    let account = ended.account();
    assert_eq!(account.seen, u64::from(sent));
    assert_eq!(account.suppressed, 0);
    assert_eq!(account.alerted, ended.documents.len() as u64);
    assert!((300..1000).contains(&account.alerted), "{account:?}");
    let lost: u64 = ended.documents.iter().map(|alert| number(alert, "smbwatch.lost.count")).sum();
    assert_eq!(lost, account.lost);
}

#[test]
fn what_exceeds_the_limit_of_alerts_is_counted_and_told() {
    let Some(lab) = Lab::make("what_exceeds_the_limit_of_alerts_is_counted_and_told") else { return };
    let mut agent = Agent::start_with(&lab, "[limits]\nalerts_per_second = 3\n", &[]);
    send_frames(&lab, &(1..=100).map(syn).collect::<Vec<_>>());
    from_port(&mut agent, 1);
    let mut sent = 100;
    // Until the next second has begun.
    while agent.documents.iter().all(|alert| number(alert, "smbwatch.suppressed.count") == 0) {
        sent += 1;
        send_frames(&lab, &[syn(sent)]);
        agent.next_within(Duration::from_millis(20));
    }
    let ended = agent.stop();
    let account = ended.account();
    assert_eq!((account.seen, account.lost), (u64::from(sent), 0));
    assert!(account.suppressed >= 94, "{account:?}");
    let told: u64 = ended.documents.iter().map(|alert| number(alert, "smbwatch.suppressed.count")).sum();
    assert!(told <= account.suppressed && told >= 94, "{told} of {account:?}");
    assert!(ended.said.iter().any(|line| line.contains("over limits.alerts_per_second")), "{:?}", ended.said);
}

/// Waits for the alert of a flow.
fn from_port(agent: &mut Agent, port: u16) {
    let of_port = |alert: &Value| number(alert, "source.port") == u64::from(port);
    agent.wait_for(&format!("source port {port}"), of_port);
}

/// The CPUs that this process may use.
fn cpus() -> Vec<usize> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).expect("read the CPUs");
    (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).is_ok_and(|set| set)).collect()
}

/// Does something on a CPU, threads that it starts included.
fn on_cpu(cpu: usize, action: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut only = CpuSet::new();
            only.set(cpu).expect("choose a CPU");
            sched_setaffinity(Pid::from_raw(0), &only).expect("go to a CPU");
            action();
        });
    });
}

fn syn(source_port: u16) -> Vec<u8> {
    let address = |text: &str| text.parse::<Ipv4Addr>().expect("an address");
    ethernet(&[], IPV4, &Ipv4::new(address(HOST), address(SERVER)).wrap(&Tcp::syn(source_port, 445).bytes()))
}
