//! What each packet of a connection changes, and which changes are told.

use smbwatch_ebpf::flow::{
    CONTENT, Cause, ENDED, ESTABLISHED, Flow, MIDSTREAM, PARTIAL, REFUSED, RESET, SMB, Seen, TRANSFER,
    UNANSWERED,
};
use smbwatch_ebpf::parse::Way;
use smbwatch_ebpf::parse::tcp::{ACK, FIN, RST, SYN};

/// The client's initial sequence number: it wraps within the first hundred bytes.
const ISN: u32 = u32::MAX - 49;
/// The peer's.
const PEER: u32 = u32::MAX - 9;

/// A packet of one side.
enum Packet {
    Sent(Seen),
    Answer(Seen),
}
use Packet::{Answer, Sent};

/// A segment: flags, bytes since the client's and the peer's SYN, and payload.
fn segment(flags: u8, sent: u32, received: u32, payload_length: u32) -> Seen {
    Seen {
        packets: 1,
        bytes: 54 + payload_length,
        sequence: ISN.wrapping_add(sent),
        acknowledgement: if flags & ACK == 0 { 0 } else { PEER.wrapping_add(received) },
        payload_length,
        flags,
        ..Seen::default()
    }
}

fn syn() -> Packet {
    Sent(segment(SYN, 0, 0, 0))
}

fn ack(sent: u32, received: u32) -> Packet {
    Sent(segment(ACK, sent, received, 0))
}

fn data(sent: u32, received: u32, length: u32) -> Packet {
    Sent(segment(ACK, sent, received, length))
}

fn message(sent: u32, received: u32, length: u32) -> Packet {
    Sent(Seen { smb: true, ..segment(ACK, sent, received, length) })
}

fn fin(sent: u32, received: u32) -> Packet {
    Sent(segment(FIN | ACK, sent, received, 0))
}

fn cut_short(sequence: u32) -> Packet {
    Sent(Seen { packets: 1, bytes: 42, sequence, partial: true, ..Seen::default() })
}

/// An answer at a distance from the peer's SYN; what acknowledges, acknowledges the client's.
fn answer(flags: u8, at: u32, payload_length: u32) -> Packet {
    let acknowledgement = if flags & ACK == 0 { 0 } else { ISN.wrapping_add(1) };
    Answer(Seen {
        sequence: PEER.wrapping_add(at),
        acknowledgement,
        payload_length,
        flags,
        ..Seen::default()
    })
}

fn another_isn() -> Packet {
    Sent(Seen { sequence: ISN ^ 0x5555, ..segment(SYN, 0, 0, 0) })
}

/// Marks, bytes sent, bytes received and packets in the end.
type End = (u16, u64, u64, u64);

/// Plays `packets`, each with what it has to tell.
fn check(name: &str, packets: Vec<(Packet, Option<Cause>)>, end: End) {
    let mut flow: Option<Flow> = None;
    for (number, (packet, expected)) in packets.into_iter().enumerate() {
        let told = match (&mut flow, packet) {
            (None, Sent(seen)) => {
                let (opened, cause) = Flow::open(&seen, 0, 7, 1);
                flow = Some(opened);
                Some(cause)
            }
            (None, Answer(_)) => panic!("{name}: an answer to nothing"),
            (Some(flow), Sent(seen)) => flow.send(&seen, || (7, 2)),
            (Some(flow), Answer(seen)) => flow.reply(&seen, 3),
        };
        assert_eq!(told, expected, "{name}, packet {number}");
    }
    let flow = flow.expect(name);
    assert_eq!((flow.marks(), flow.sent, flow.received, flow.packets), end, "{name}");
}

const ATTEMPTED: Option<Cause> = Some(Cause::Attempted);
const GREETED: Option<Cause> = Some(Cause::Established);
const SPOKE: Option<Cause> = Some(Cause::Smb);
const OVER: Option<Cause> = Some(Cause::Ended);

#[test]
fn connections_that_come_about() {
    check("a handshake", vec![(syn(), ATTEMPTED), (ack(1, 1), GREETED)], (ESTABLISHED, 0, 0, 2));
    check(
        "a handshake whose answer is seen",
        vec![(syn(), ATTEMPTED), (answer(SYN | ACK, 0, 0), None), (ack(1, 1), GREETED), (ack(1, 1), None)],
        (ESTABLISHED, 0, 0, 3),
    );
    check(
        "a whole session",
        vec![
            (syn(), ATTEMPTED),
            (answer(SYN | ACK, 0, 0), None),
            (ack(1, 1), GREETED),
            (message(1, 1, 100), SPOKE),
            (message(101, 201, 50), None),
            (ack(151, 301), None),
            (fin(151, 301), OVER),
            (answer(FIN | ACK, 301, 0), None),
            (ack(152, 302), None),
        ],
        (ESTABLISHED | SMB | ENDED, 150, 300, 7),
    );
    check(
        "data that is not SMB",
        vec![(syn(), ATTEMPTED), (ack(1, 1), GREETED), (data(1, 1, 70), None)],
        (ESTABLISHED, 70, 0, 3),
    );
    check(
        "data that comes with the first acknowledgement",
        vec![(syn(), ATTEMPTED), (message(1, 1, 80), SPOKE), (data(81, 1, 5), None)],
        (ESTABLISHED | SMB, 85, 0, 3),
    );
    let fast_open = || Sent(Seen { smb: true, ..segment(SYN, 0, 0, 90) });
    check(
        "data in the SYN (TCP Fast Open)",
        vec![(fast_open(), SPOKE), (data(91, 1, 9), GREETED)],
        (ESTABLISHED | SMB, 99, 0, 2),
    );
    check(
        "data in the SYN, sent again because the peer ignored it",
        vec![(fast_open(), SPOKE), (ack(1, 1), GREETED), (message(1, 1, 90), None), (data(91, 1, 9), None)],
        (ESTABLISHED | SMB, 99, 0, 4),
    );
    check(
        "both open at once",
        vec![(syn(), ATTEMPTED), (Sent(segment(SYN | ACK, 0, 1, 0)), None), (ack(1, 1), GREETED)],
        (ESTABLISHED, 0, 0, 3),
    );
}

#[test]
fn connections_that_do_not_come_about() {
    let unanswered = Some(Cause::Unanswered);
    check("a SYN", vec![(syn(), ATTEMPTED)], (0, 0, 0, 1));
    check(
        "a repeated SYN",
        vec![(syn(), ATTEMPTED), (syn(), unanswered), (syn(), None), (syn(), None)],
        (UNANSWERED, 0, 0, 4),
    );
    check(
        "a repeated SYN that is answered late",
        vec![(syn(), ATTEMPTED), (syn(), unanswered), (ack(1, 1), GREETED), (syn(), None)],
        (UNANSWERED | ESTABLISHED, 0, 0, 4),
    );
    check(
        "a SYN is repeated although an answer passed, which may have been lost behind us",
        vec![(syn(), ATTEMPTED), (answer(SYN | ACK, 0, 0), None), (syn(), None), (ack(1, 1), GREETED)],
        (ESTABLISHED, 0, 0, 3),
    );
    check(
        "refused",
        vec![(syn(), ATTEMPTED), (answer(RST | ACK, 0, 0), Some(Cause::Refused)), (answer(RST, 0, 0), None)],
        (ENDED | RESET | REFUSED, 0, 0, 1),
    );
    check(
        "a refusal that does not acknowledge the SYN is not the peer's",
        vec![(syn(), ATTEMPTED), (answer(RST, 0, 0), None), (ack(1, 1), GREETED)],
        (ESTABLISHED, 0, 0, 2),
    );
    check(
        "a refusal that acknowledges another SYN is not the peer's",
        vec![
            (syn(), ATTEMPTED),
            (Answer(Seen { acknowledgement: ISN.wrapping_add(2), ..segment(RST | ACK, 0, 0, 0) }), None),
            (ack(1, 1), GREETED),
        ],
        (ESTABLISHED, 0, 0, 2),
    );
    check(
        "data in the SYN is acknowledged by the refusal, or not",
        vec![
            (Sent(Seen { smb: true, ..segment(SYN, 0, 0, 90) }), SPOKE),
            (
                Answer(Seen { acknowledgement: ISN.wrapping_add(91), ..segment(RST | ACK, 0, 0, 0) }),
                Some(Cause::Refused),
            ),
        ],
        (SMB | ENDED | RESET | REFUSED, 90, 0, 1),
    );
    check(
        "a refusal that was forged with the right number",
        vec![(syn(), ATTEMPTED), (answer(RST | ACK, 0, 0), Some(Cause::Refused)), (ack(1, 1), GREETED)],
        (ENDED | RESET | REFUSED | ESTABLISHED, 0, 0, 2),
    );
    check(
        "refused, and tried again with the same number",
        vec![(syn(), ATTEMPTED), (answer(RST | ACK, 0, 0), Some(Cause::Refused)), (syn(), None)],
        (ENDED | RESET | REFUSED, 0, 0, 2),
    );
    check(
        "given up by the client",
        vec![(syn(), ATTEMPTED), (Sent(segment(RST, 1, 0, 0)), OVER)],
        (ENDED | RESET, 0, 0, 2),
    );
    check(
        "an answer that the client does not want",
        vec![(syn(), ATTEMPTED), (Sent(segment(RST | ACK, 1, 1, 0)), OVER)],
        (ENDED | RESET, 0, 0, 2),
    );
}

#[test]
fn ends() {
    let established = || vec![(syn(), ATTEMPTED), (ack(1, 1), GREETED)];
    let with = |packets: Vec<(Packet, Option<Cause>)>| established().into_iter().chain(packets).collect();
    check(
        "reset by the client",
        with(vec![(Sent(segment(RST | ACK, 1, 1, 0)), OVER)]),
        (ESTABLISHED | ENDED | RESET, 0, 0, 3),
    );
    check(
        "reset by the client, with a number out of nowhere",
        with(vec![(Sent(segment(RST, 1 << 30, 0, 0)), OVER)]),
        (ESTABLISHED | ENDED | RESET, 0, 0, 3),
    );
    check(
        "reset by the peer",
        with(vec![(answer(RST, 1, 0), OVER), (answer(RST, 1, 0), None)]),
        (ESTABLISHED | ENDED | RESET, 0, 0, 2),
    );
    check(
        "the client closes, and the peer resets",
        with(vec![(fin(1, 1), OVER), (answer(RST, 1, 0), None)]),
        (ESTABLISHED | ENDED | RESET, 0, 0, 3),
    );
    check(
        "a FIN that is sent again, and what follows it",
        with(vec![(data(1, 1, 20), None), (fin(21, 1), OVER), (fin(21, 1), None), (ack(22, 1), None)]),
        (ESTABLISHED | ENDED, 20, 0, 6),
    );
    check(
        "a FIN with data",
        with(vec![(Sent(segment(FIN | ACK, 1, 1, 20)), OVER), (ack(22, 1), None)]),
        (ESTABLISHED | ENDED, 20, 0, 4),
    );
    check(
        "SMB after what looked like the end",
        with(vec![(answer(RST, 1, 0), OVER), (message(1, 1, 50), Some(Cause::Smb))]),
        (ESTABLISHED | ENDED | RESET | SMB, 50, 0, 3),
    );
}

#[test]
fn a_fin_of_the_peer_is_no_byte() {
    let start = || vec![(syn(), ATTEMPTED), (ack(1, 1), GREETED)];
    let ended = ESTABLISHED | ENDED;
    for (name, packets, end) in [
        (
            "alone",
            vec![(answer(FIN | ACK, 1, 0), None), (ack(1, 2), None), (fin(1, 2), OVER)],
            (ended, 0, 0, 4),
        ),
        (
            "with data",
            vec![(answer(FIN | ACK, 1, 30), None), (ack(1, 32), None), (fin(1, 32), OVER)],
            (ended, 0, 30, 4),
        ),
        (
            "sent twice before it is acknowledged",
            vec![
                (answer(FIN | ACK, 1, 30), None),
                (answer(FIN | ACK, 1, 30), None),
                (ack(1, 32), None),
                (ack(1, 32), None),
            ],
            (ESTABLISHED, 0, 30, 4),
        ),
        (
            "sent again after it was acknowledged",
            vec![
                (answer(FIN | ACK, 1, 30), None),
                (ack(1, 32), None),
                (answer(FIN | ACK, 1, 30), None),
                (ack(1, 32), None),
            ],
            (ESTABLISHED, 0, 30, 4),
        ),
        (
            "before data that came late",
            vec![(answer(FIN | ACK, 31, 0), None), (ack(1, 11), None), (ack(1, 32), None)],
            (ESTABLISHED, 0, 30, 4),
        ),
        (
            "while the client closes too",
            vec![(answer(FIN | ACK, 1, 0), None), (fin(1, 1), OVER), (ack(2, 2), None)],
            (ended, 0, 0, 4),
        ),
    ] {
        check(name, start().into_iter().chain(packets).collect(), end);
    }
}

#[test]
fn flows_that_are_seen_late_or_in_part() {
    let middle = MIDSTREAM | ESTABLISHED;
    check("an acknowledgement", vec![(ack(500, 600), GREETED), (ack(500, 700), None)], (middle, 0, 100, 2));
    check("a message", vec![(message(500, 600, 40), SPOKE), (ack(540, 600), None)], (middle | SMB, 40, 0, 2));
    check("a FIN", vec![(fin(500, 600), OVER)], (middle | ENDED, 0, 0, 1));
    let reset = Sent(segment(RST, 500, 0, 0));
    check("an RST", vec![(reset, OVER)], (MIDSTREAM | ENDED | RESET, 0, 0, 1));
    check(
        "a first fragment that is cut short, and again",
        vec![(cut_short(ISN), ATTEMPTED), (cut_short(ISN), None)],
        (PARTIAL, 0, 0, 2),
    );
    check(
        "a first fragment that is cut short, then a SYN",
        vec![(cut_short(ISN), ATTEMPTED), (syn(), ATTEMPTED), (ack(1, 1), GREETED)],
        (ESTABLISHED, 0, 0, 2),
    );
    check(
        "a fragment without a number in a known flow",
        vec![(syn(), ATTEMPTED), (ack(1, 1), GREETED), (data(1, 1, 9), None), (cut_short(0), None)],
        (ESTABLISHED, 9, 0, 4),
    );
}

#[test]
fn repeats_count_once_and_keep_alives_not_at_all() {
    let start = || vec![(syn(), ATTEMPTED), (ack(1, 1), GREETED)];
    for (name, packets, end) in [
        ("data sent again", vec![(data(1, 1, 100), None), (data(1, 1, 100), None)], (ESTABLISHED, 100, 0, 4)),
        (
            "data sent again in part",
            vec![(data(1, 1, 60), None), (data(31, 1, 60), None)],
            (ESTABLISHED, 90, 0, 4),
        ),
        (
            "a hole that is filled",
            vec![(data(51, 1, 50), None), (data(1, 1, 50), None)],
            (ESTABLISHED, 100, 0, 4),
        ),
        (
            "a keep-alive",
            vec![(data(1, 1, 9), None), (ack(9, 1), None), (data(9, 1, 1), None)],
            (ESTABLISHED, 9, 0, 5),
        ),
        ("an old acknowledgement", vec![(ack(1, 101), None), (ack(1, 51), None)], (ESTABLISHED, 0, 100, 4)),
    ] {
        check(name, start().into_iter().chain(packets).collect(), end);
    }
}

#[test]
fn ports_that_are_used_again() {
    check(
        "after the end",
        vec![(syn(), ATTEMPTED), (ack(1, 1), GREETED), (fin(1, 1), OVER), (another_isn(), ATTEMPTED)],
        (0, 0, 0, 1),
    );
    check("without an end", vec![(syn(), ATTEMPTED), (another_isn(), ATTEMPTED)], (0, 0, 0, 1));
    check(
        "after a refusal",
        vec![(syn(), ATTEMPTED), (answer(RST | ACK, 0, 0), Some(Cause::Refused)), (another_isn(), ATTEMPTED)],
        (0, 0, 0, 1),
    );
}

#[test]
fn what_a_new_connection_keeps_of_the_old_one() {
    let (mut flow, _) = Flow::open(&segment(ACK, 1, 1, 10), CONTENT, 7, 100);
    assert_eq!((flow.first_seen, flow.cookie, flow.marks()), (100, 7, CONTENT | MIDSTREAM | ESTABLISHED));
    let told = flow.send(&Seen { sequence: 9, ..segment(SYN, 0, 0, 0) }, || (8, 200));
    assert_eq!(told, ATTEMPTED);
    assert_eq!((flow.first_seen, flow.cookie, flow.marks()), (200, 8, CONTENT));
    assert_eq!((flow.initial_sequence, flow.packets, flow.sent), (9, 1, 0));
}

#[test]
fn data_in_a_syn_is_counted_at_once() {
    let (flow, cause) = Flow::open(&Seen { smb: true, ..segment(SYN, 0, 0, 90) }, 0, 0, 1);
    assert_eq!((cause, flow.sent, flow.initial_sequence), (Cause::Smb, 90, ISN));
}

#[test]
fn a_transfer_is_told_once_by_what_was_sent() {
    let bulk = |sent, transfer| Seen { transfer, ..segment(ACK, sent, 1, 100) };
    let (mut flow, _) = Flow::open(&bulk(1, 250), 0, 7, 1);
    let mut told = |seen: Seen| flow.send(&seen, || (7, 2));
    let causes = [bulk(101, 250), bulk(101, 250), bulk(201, 250), bulk(301, 250)].map(&mut told);
    assert_eq!(causes, [None, None, Some(Cause::Transfer), None]);
    assert!(flow.marks() & TRANSFER != 0);
    let (mut flow, _) = Flow::open(&bulk(1, 0), 0, 7, 1);
    assert_eq!(flow.send(&bulk(101, 0), || (7, 2)), None, "no size is a transfer's");
}

#[test]
fn the_first_bytes_of_each_side_are_handed_over() {
    let (mut flow, _) = Flow::open(&segment(SYN, 0, 0, 0), 0, 0, 1);
    for (way, length, handed) in
        [(Way::Out, 60, 60), (Way::Back, 1000, 100), (Way::Out, 60, 40), (Way::Out, 60, 0), (Way::Back, 1, 0)]
    {
        assert_eq!(flow.hand_over(way, length, 100), handed, "{way:?} {length}");
    }
}

#[test]
fn the_answer_is_timed_once() {
    let (mut flow, _) = Flow::open(&segment(SYN, 0, 0, 0), 0, 0, 100);
    let Answer(syn_ack) = answer(SYN | ACK, 0, 0) else { unreachable!() };
    assert_eq!((flow.reply(&syn_ack, 130), flow.answered), (None, 130));
    assert_eq!((flow.reply(&syn_ack, 140), flow.answered), (None, 130));
}

#[test]
fn every_cause_is_read_back() {
    for byte in 0..=u8::MAX {
        let cause = Cause::from_wire(byte);
        assert_eq!(cause.is_some(), (1..=7).contains(&byte), "{byte}");
        assert!(cause.is_none_or(|cause| cause as u8 == byte), "{byte}");
    }
}
