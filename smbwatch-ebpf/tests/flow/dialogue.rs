//! Counters of random connections, compared with what both sides know that they sent.

use std::collections::BTreeSet;

use fastrand::Rng;
use smbwatch_ebpf::flow::{Cause, ENDED, Flow, SMB, Seen};
use smbwatch_ebpf::parse::tcp::{ACK, FIN, RST, SYN};
use smbwatch_ebpf::testing::seed;

/// One side of a connection; numbers count bytes since its SYN, which is number 0.
struct Side {
    isn: u32,
    /// The next number to send.
    next: u64,
    /// The highest number that the other side has acknowledged.
    acknowledged: u64,
    closed: bool,
}

impl Side {
    fn new(random: &mut Rng) -> Self {
        // Near the wrap more often than chance has it.
        let isn = if random.bool() { random.u32(..) } else { u32::MAX - random.u32(..5000) };
        Self { isn, next: 1, acknowledged: 1, closed: false }
    }

    fn number(&self, at: u64) -> u32 {
        u32::try_from((u64::from(self.isn) + at) & 0xffff_ffff).expect("masked")
    }

    /// Bytes of payload up to a number.
    fn payload(&self, at: u64) -> u64 {
        at - 1 - u64::from(self.closed && at == self.next)
    }
}

/// What the client has put on the wire.
#[derive(Default)]
struct Wire {
    packets: u64,
    bytes: u64,
}

impl Wire {
    fn seen(
        &mut self,
        random: &mut Rng,
        flags: u8,
        sequence: u32,
        acknowledgement: u32,
        payload: u32,
    ) -> Seen {
        let packets = if payload > 1 { random.u32(1..4) } else { 1 };
        let bytes = packets * 66 + payload;
        self.packets += u64::from(packets);
        self.bytes += u64::from(bytes);
        Seen { packets, bytes, sequence, acknowledgement, payload_length: payload, flags, ..Seen::default() }
    }
}

#[test]
fn counters_are_what_both_sides_know() {
    let seed = seed();
    let mut random = Rng::with_seed(seed);
    for number in 0..20_000 {
        converse(&mut random, &format!("SMBWATCH_SEED={seed}, connection {number}"));
    }
}

fn converse(random: &mut Rng, name: &str) {
    let (mut client, mut server) = (Side::new(random), Side::new(random));
    let mut wire = Wire::default();
    let (mut flow, cause) = Flow::open(&wire.seen(random, SYN, client.isn, 0, 0), 0, 0, 0);
    assert_eq!(cause, Cause::Attempted, "{name}");
    let mut causes = BTreeSet::new();
    let mut tell = |told: Option<Cause>| {
        if let Some(cause) = told {
            assert!(causes.insert(cause as u8), "{name}: {cause:?} told twice");
        }
    };
    if random.bool() {
        tell(flow.reply(&answer(SYN | ACK, server.isn, 0), 1));
    }
    let handshake = wire.seen(random, ACK, client.number(1), server.number(1), 0);
    tell(flow.send(&handshake, || (0, 2)));
    let mut smb = false;
    for turn in 0..random.u32(1..40) {
        match random.u32(..12) {
            0..4 if !client.closed => {
                let length = random.u32(1..70_000);
                let sequence = client.number(client.next);
                let mut seen = wire.seen(random, ACK, sequence, server.number(server.acknowledged), length);
                seen.smb = random.u32(..4) == 0;
                smb |= seen.smb;
                client.next += u64::from(length);
                tell(flow.send(&seen, || (0, 2)));
            }
            4 => {
                // Any part of what was sent may be sent again.
                let sent = client.payload(client.next) + 1;
                let from = random.u64(1..=sent);
                let length = u32::try_from(random.u64(from..=sent) - from).expect("less than 2^32");
                let acknowledgement = server.number(server.acknowledged);
                let seen = wire.seen(random, ACK, client.number(from), acknowledgement, length);
                tell(flow.send(&seen, || (0, 2)));
            }
            5..7 if !server.closed => server.next += random.u64(1..1_000_000),
            7 if !server.closed && turn > 5 => {
                let last = random.u32(..2000);
                tell(flow.reply(&answer(FIN | ACK, server.number(server.next), last), 3));
                server.next += u64::from(last) + 1;
                server.closed = true;
            }
            8 if !client.closed && turn > 10 => {
                let sequence = client.number(client.next);
                let seen = wire.seen(random, FIN | ACK, sequence, server.number(server.acknowledged), 0);
                client.next += 1;
                client.closed = true;
                tell(flow.send(&seen, || (0, 2)));
            }
            _ => {
                server.acknowledged = random.u64(server.acknowledged..=server.next);
                let sequence = client.number(client.next);
                let seen = wire.seen(random, ACK, sequence, server.number(server.acknowledged), 0);
                tell(flow.send(&seen, || (0, 2)));
            }
        }
        assert_eq!((flow.packets, flow.bytes), (wire.packets, wire.bytes), "{name}");
        assert_eq!(flow.sent, client.payload(client.next), "{name}: bytes sent");
        assert_eq!(flow.marks() & SMB != 0, smb, "{name}: SMB");
        assert_eq!(flow.marks() & ENDED != 0, client.closed, "{name}: the end");
        assert_eq!(flow.received, server.payload(server.acknowledged), "{name}: bytes received");
    }
    let reset = wire.seen(random, RST, client.number(client.next), 0, 0);
    tell(flow.send(&reset, || (0, 2)));
    assert_ne!(flow.marks() & ENDED, 0, "{name}");
}

fn answer(flags: u8, sequence: u32, payload_length: u32) -> Seen {
    Seen { flags, sequence, payload_length, ..Seen::default() }
}
