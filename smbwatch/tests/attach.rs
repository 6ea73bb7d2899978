//! Programs come and go with the agent, and touch nothing that is not the agent's.

mod support;

use std::io::Write as _;
use std::net::Ipv4Addr;

use aya::programs::{SchedClassifier, TcAttachType};
use nix::sys::signal::Signal;
use smbwatch_ebpf::testing::build::{IPV4, Ipv4, Tcp, ethernet};
use support::agent::{Agent, text};
use support::lab::{End, Lab, SERVER, output};
use support::peer::attempt;
use support::tap;

const CLSACT: &str = "[interfaces]\nback_end = \"clsact\"\n";

#[test]
fn a_clsact_filter_stands_next_to_others_and_is_replaced_after_a_kill() {
    let Some(lab) = Lab::make("a_clsact_filter_stands_next_to_others_and_is_replaced_after_a_kill") else {
        return;
    };
    lab.run(End::Host, "tc qdisc add dev eth0 clsact");
    for way in ["egress", "ingress"] {
        // Classic BPF, which takes every packet.
        let filter = ["bpf", "bytecode", "1,6 0 0 4294967295,", "flowid", "1:7"];
        let mut tc = lab.at(End::Host, "tc");
        output(tc.args(["filter", "add", "dev", "eth0", way, "protocol", "all", "prio", "7"]).args(filter));
    }
    let before = filters(&lab);

    let killed = Agent::start_with(&lab, CLSACT, &[]);
    assert_eq!(killed.said, [" INFO attached to eth0 (clsact)"]);
    assert_eq!(ours(&lab), [["smbwatch_egress"], ["smbwatch_reply"]]);
    killed.stop_by(Signal::SIGKILL);
    assert_eq!(ours(&lab), [["smbwatch_egress"], ["smbwatch_reply"]], "a filter outlives its maker");

    let mut agent = Agent::start_with(&lab, CLSACT, &[]);
    assert_eq!(ours(&lab), [["smbwatch_egress"], ["smbwatch_reply"]]);
    let _client = attempt(&lab, SERVER, 445);
    agent.wait_for_action(SERVER, 445, "connection-refused");
    let ended = agent.stop_by(Signal::SIGTERM);
    assert!(ended.status.success());
    assert_eq!(ended.account().seen, 2, "a filter that was left behind would tell each again");
    assert_eq!(filters(&lab), before);
}

#[test]
fn tcx_links_end_with_the_agent() {
    let Some(lab) = Lab::make("tcx_links_end_with_the_agent") else { return };
    if !lab.inside(End::Host, || SchedClassifier::query_tcx("eth0", TcAttachType::Egress).is_ok()) {
        return support::skip::skip("tcx_links_end_with_the_agent", "this kernel has no TCX");
    }
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGKILL] {
        let agent = Agent::start(&lab);
        assert_eq!(agent.said, [" INFO attached to eth0 (tcx)"]);
        assert_eq!(tcx(&lab), [["smbwatch_egress"], ["smbwatch_reply"]]);
        let ended = agent.stop_by(signal);
        assert_eq!(ended.status.success(), signal != Signal::SIGKILL, "after {signal}");
        assert_eq!(tcx(&lab), [[""; 0]; 2], "after {signal}");
        assert_eq!(filters(&lab), ["", ""], "after {signal}");
    }
}

#[test]
fn an_interface_without_link_header_is_watched() {
    let Some(lab) = Lab::make("an_interface_without_link_header_is_watched") else { return };
    let Ok(_tun) = lab.inside(End::Host, || tap::tun("tun0", libc::IFF_TUN | libc::IFF_NO_PI)) else {
        return support::skip::skip("an_interface_without_link_header_is_watched", "this kernel has no tun");
    };
    lab.run(End::Host, "ip address add 10.30.0.5/24 dev tun0");
    lab.run(End::Host, "ip link set tun0 up");
    lab.run(End::Host, "ip route replace default dev tun0");
    let mut agent = Agent::start(&lab);
    agent.wait_until_said("attached to tun0 (");
    let _client = attempt(&lab, SERVER, 445);
    let alert = agent.wait_for_action(SERVER, 445, "connection-attempted");
    assert_eq!(text(&alert, "source.ip"), "10.30.0.5");
    assert_eq!(text(&alert, "observer.egress.interface.name"), "tun0");
}

#[test]
fn a_virtual_machine_behind_macvtap_is_watched() {
    let Some(lab) = Lab::make("a_virtual_machine_behind_macvtap_is_watched") else { return };
    let made =
        lab.at(End::Host, "ip").args("link add tap0 link eth0 type macvtap mode bridge".split(' ')).status();
    if !made.is_ok_and(|status| status.success()) {
        return support::skip::skip(
            "a_virtual_machine_behind_macvtap_is_watched",
            "this kernel has no macvtap",
        );
    }
    lab.run(End::Host, "ip link set tap0 up");
    let mut agent = Agent::start(&lab);
    agent.wait_until_said("attached to tap0 (tcx, workload)");
    let machine = Ipv4Addr::new(10, 20, 0, 9);
    let server = SERVER.parse().expect("an address");
    let packet = Ipv4::new(machine, server).wrap(&Tcp::syn(5555, 445).bytes());
    let mut tap = lab.inside(End::Host, || tap::macvtap(lab.folder(), "tap0"));
    // Frames without a header of the device's own.
    tap::set_flags(&tap, "", libc::IFF_TAP | libc::IFF_NO_PI).expect("set the tap's flags");
    tap.write_all(&ethernet(&[], IPV4, &packet)).expect("send as a virtual machine");
    agent.wait_for("the virtual machine at its link", |alert| {
        text(alert, "source.ip") == "10.20.0.9" && text(alert, "observer.egress.interface.name") == "tap0"
    });
}

/// Everything attached to clsact, egress and ingress, as `tc` lists it.
fn filters(lab: &Lab) -> [String; 2] {
    ["egress", "ingress"].map(|way| lab.run(End::Host, &format!("tc filter show dev eth0 {way}")))
}

/// The agent's filters among them, by name.
fn ours(lab: &Lab) -> [Vec<String>; 2] {
    filters(lab).map(|list| {
        let names = list.split(" name ").skip(1).filter_map(|rest| rest.split_whitespace().next());
        names.filter(|name| name.starts_with("smbwatch_")).map(str::to_owned).collect()
    })
}

/// The TCX programs of eth0, egress and ingress, by name.
fn tcx(lab: &Lab) -> [Vec<String>; 2] {
    lab.inside(End::Host, || {
        [TcAttachType::Egress, TcAttachType::Ingress].map(|way| {
            let (_, programs) = SchedClassifier::query_tcx("eth0", way).expect("list the TCX programs");
            programs.iter().map(|program| program.name_as_str().expect("a name").to_owned()).collect()
        })
    })
}

#[test]
fn a_signal_right_after_the_start_is_heard() {
    let Some(lab) = Lab::make("a_signal_right_after_the_start_is_heard") else { return };
    for _ in 0..5 {
        let ended = Agent::start(&lab).stop_by(Signal::SIGTERM);
        assert!(ended.status.success(), "{:?}", ended.status);
        assert_eq!(ended.account().seen, 0);
    }
}
