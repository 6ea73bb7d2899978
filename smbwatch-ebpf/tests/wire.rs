//! Records: their lengths, their byte order, and that nothing else is taken for one.

use smbwatch_ebpf::event::{self, ConnectEvent, FlowEvent};
use smbwatch_ebpf::owner::Owner;
use smbwatch_ebpf::settings::{MAX_LAN, MAX_PORTS, Range, Settings, counter};
use smbwatch_ebpf::skip::Skip;

/// Bytes that are all different within each field.
fn counted(length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from(index % 251).expect("below 251")).collect()
}

/// The big-endian number at `offset` of [`counted`].
fn number(offset: usize, length: usize) -> u64 {
    counted(offset + length)[offset..].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[test]
fn records_are_read_at_their_exact_length_alone() {
    for length in 0..400 {
        let bytes = counted(length);
        assert_eq!(FlowEvent::from_bytes(&bytes).is_some(), length == 208, "flow record of {length}");
        assert_eq!(ConnectEvent::from_bytes(&bytes).is_some(), length == 104, "connect record of {length}");
        assert_eq!(Owner::from_bytes(&bytes).is_some(), length == 72, "owner of {length}");
    }
}

#[test]
fn the_fields_of_a_flow_record() {
    let flow = FlowEvent::from_bytes(&counted(FlowEvent::SIZE)).expect("a record");
    assert_eq!([flow.kind, flow.cause, flow.family, flow.reserved], [0, 1, 2, 3]);
    for (name, read, offset, length) in [
        ("marks", u64::from(flow.marks.get()), 4, 2),
        ("vlan_outer", flow.vlan_outer.get().into(), 6, 2),
        ("vlan_inner", flow.vlan_inner.get().into(), 8, 2),
        ("source_port", flow.source_port.get().into(), 10, 2),
        ("destination_port", flow.destination_port.get().into(), 12, 2),
        ("lost", flow.lost.get().into(), 16, 4),
        ("interface", flow.interface.get().into(), 20, 4),
        ("initial_sequence", flow.initial_sequence.get().into(), 24, 4),
        ("socket_uid", flow.socket_uid.get().into(), 28, 4),
        ("time", flow.time.get(), 32, 8),
        ("first_seen", flow.first_seen.get(), 40, 8),
        ("answered", flow.answered.get(), 48, 8),
        ("packets", flow.packets.get(), 56, 8),
        ("bytes", flow.bytes.get(), 64, 8),
        ("sent", flow.sent.get(), 72, 8),
        ("received", flow.received.get(), 80, 8),
        ("cookie", flow.cookie.get(), 88, 8),
        ("cgroup", flow.cgroup.get(), 96, 8),
        ("owner.time", flow.owner.time.get(), 136, 8),
        ("owner.started", flow.owner.started.get(), 160, 8),
        ("owner.execs", flow.owner.execs.get(), 168, 8),
        ("owner.pid", flow.owner.pid.get().into(), 176, 4),
    ] {
        assert_eq!(read, number(offset, length), "{name}");
    }
    for (index, (source, destination)) in flow.source.into_iter().zip(flow.destination).enumerate() {
        assert_eq!(u64::from(source.get()), number(104 + index * 4, 4), "source");
        assert_eq!(u64::from(destination.get()), number(120 + index * 4, 4), "destination");
    }
    assert_eq!(flow.owner.comm, counted(FlowEvent::SIZE)[192..]);
}

#[test]
fn the_fields_of_a_connect_record() {
    let connect = ConnectEvent::from_bytes(&counted(ConnectEvent::SIZE)).expect("a record");
    assert_eq!([connect.kind, connect.family], [0, 1]);
    for (name, read, offset, length) in [
        ("destination_port", u64::from(connect.destination_port.get()), 2, 2),
        ("cookie", connect.cookie.get(), 8, 8),
        ("owner.cgroup", connect.owner.cgroup.get(), 40, 8),
        ("owner.netns", connect.owner.netns.get(), 48, 8),
        ("owner.tid", connect.owner.tid.get().into(), 76, 4),
        ("owner.uid", connect.owner.uid.get().into(), 80, 4),
        ("owner.gid", connect.owner.gid.get().into(), 84, 4),
    ] {
        assert_eq!(read, number(offset, length), "{name}");
    }
    for (index, word) in connect.destination.into_iter().enumerate() {
        assert_eq!(u64::from(word.get()), number(16 + index * 4, 4), "destination");
    }
}

#[test]
fn an_owner_is_known_by_its_pid() {
    assert_eq!(Owner::from_bytes(&[0; Owner::SIZE]), Some(Owner::NONE));
    assert!(!Owner::NONE.is_known());
    assert!(Owner::from_bytes(&counted(Owner::SIZE)).expect("an owner").is_known());
    assert_ne!(event::FLOW, event::CONNECT);
}

#[test]
fn settings_lie_as_the_program_reads_them() {
    let range = |mask, network| Range { mask, network };
    let settings = Settings {
        lan4: [range(1, 2); MAX_LAN],
        lan6: [range(3, 4); MAX_LAN],
        ports: [5; MAX_PORTS],
        port_count: 6,
        any_port: 7,
        any_source6: 8,
        embedded_ipv4: 9,
        payload: 10,
        transfer: 11,
        replay: 12,
    };
    let words = [1, 2, 1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4, 3, 4];
    let bytes = words.iter().copied().flat_map(u32::to_ne_bytes);
    let bytes = bytes.chain([5; MAX_PORTS].into_iter().flat_map(u16::to_ne_bytes));
    let bytes = bytes.chain([6, 7, 8, 9, 10, 11, 12].into_iter().flat_map(u32::to_ne_bytes));
    assert!(settings.to_bytes().eq(bytes));
    assert_eq!(settings.to_bytes().count(), Settings::SIZE);
}

#[test]
fn a_range_holds_what_its_mask_says() {
    let ten = Range { mask: 0xff00_0000, network: 0x0a00_0000 };
    let all = Range { mask: 0, network: 0 };
    for (range, address, expected) in [
        (ten, 0x0a00_0000, true),
        (ten, 0x0aff_ffff, true),
        (ten, 0x09ff_ffff, false),
        (ten, 0x0b00_0000, false),
        (all, 0x0102_0304, true),
        (Range::NONE, 0, false),
        (Range::NONE, 1, false),
        (Range::NONE, u32::MAX, false),
    ] {
        assert_eq!(range.contains(address), expected, "{range:x?} and {address:x}");
    }
}

#[test]
fn counted_reasons_have_their_counters() {
    for (index, skip) in (0..).zip(Skip::COUNTED) {
        assert_eq!(skip.counter(), Some(index), "{}", skip.name());
    }
    for skip in [Skip::NotIp, Skip::NotTcp, Skip::OtherPort, Skip::Lan, Skip::Source, Skip::Reserved] {
        assert_eq!(skip.counter(), None, "{}", skip.name());
    }
    assert_eq!(counter::COUNT, counter::SKIPS + 7);
}
