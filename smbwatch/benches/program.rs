//! What the programs cost a packet, by BPF_PROG_TEST_RUN.
use aya::programs::{TestRun, TestRunOptions};
use std::path::Path;
fn main() {
    let config = smbwatch::config::Config::default();
    let mut probe =
        smbwatch::probe::Probe::load(&config, Path::new("/tmp/smbw")).unwrap_or_else(|e| panic!("{e}"));
    let mk = |proto: u8, src: [u8; 4], dst: [u8; 4], dport: u16, payload: &[u8]| {
        let mut p = vec![0u8; 12];
        p.extend([8, 0]);
        let l4 = if proto == 6 { 20 } else { 8 };
        let total = (20 + l4 + payload.len()) as u16;
        p.extend([0x45, 0]);
        p.extend(total.to_be_bytes());
        p.extend([0, 0, 0x40, 0, 64, proto, 0, 0]);
        p.extend(src);
        p.extend(dst);
        p.extend(50000u16.to_be_bytes());
        p.extend(dport.to_be_bytes());
        if proto == 6 {
            p.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
        } else {
            p.extend([0; 4]);
        }
        p.extend(payload);
        p
    };
    for (name, packet) in [
        ("udp", mk(17, [10, 0, 0, 1], [8, 8, 8, 8], 53, &[0; 64])),
        ("tcp443", mk(6, [10, 0, 0, 1], [8, 8, 8, 8], 443, &[0; 64])),
        ("tcp443-noload", mk(6, [10, 0, 0, 1], [8, 8, 8, 8], 443, &[])),
        ("lan445", mk(6, [10, 0, 0, 1], [10, 0, 0, 2], 445, &[0; 64])),
        ("reserved445", mk(6, [10, 0, 0, 1], [100, 64, 0, 2], 445, &[0; 64])),
        ("known445", mk(6, [10, 0, 0, 1], [8, 8, 8, 8], 445, &[0; 64])),
    ] {
        for prog in ["smbwatch_empty", "smbwatch_egress"] {
            let program = probe.classifier(prog).unwrap();
            if prog == "smbwatch_empty" {
                let _ = program.load();
            }
            let mut best = u128::MAX;
            for _ in 0..9 {
                let mut o = TestRunOptions::new();
                o.data_in = Some(&packet);
                o.repeat = 500000;
                let r = program.test_run(o).unwrap();
                best = best.min(r.duration.as_nanos());
                assert_eq!(r.return_value as i32, -1);
            }
            println!("{name} {prog}: {best} ns");
        }
    }
    println!("{:?}", probe.counters().unwrap());
}
