//! What proves a password never leaves the parser.

use smbwatch::smb::{self, Options};

use crate::capture::{self, Capture};

const SIGNATURE: &[u8] = b"NTLMSSP\0\x03\0\0\0";

/// Responses, the encrypted session key and the MIC of the message that authenticates.
fn secrets(client: &[u8]) -> Vec<&[u8]> {
    let Some(at) = client.windows(SIGNATURE.len()).position(|window| window == SIGNATURE) else {
        return Vec::new();
    };
    let message = &client[at..];
    let number = |at: usize| usize::from(u16::from_le_bytes([message[at], message[at + 1]]));
    let field = |at: usize| &message[number(at + 4)..][..number(at)];
    vec![field(12), field(20), field(52), &message[72..88]]
}

#[test]
fn debug_output_holds_no_part_of_a_secret() {
    let mut looked_at = 0;
    for Capture { path, client, server, .. } in capture::all() {
        let debug = format!("{:?}", smb::read(&client, &server, Options { files: 16 }));
        // Runs that repeat a byte may be found by chance: in names as UTF-16, in zeros.
        let runs = secrets(&client).into_iter().flat_map(|secret| secret.windows(4));
        for run in runs.filter(|run| (1..4).all(|index| !run[..index].contains(&run[index]))) {
            let [a, b, c, d] = *run else { continue };
            let raw = String::from_utf8_lossy(run);
            let forms = [
                raw.into_owned(),
                format!("{a:02x}{b:02x}{c:02x}{d:02x}"),
                format!("{a:x}, {b:x}, {c:x}, {d:x}"),
                format!("{a}, {b}, {c}, {d}"),
            ];
            for form in forms {
                assert!(!debug.contains(&form), "{form:?} of a secret of {}", path.display());
            }
            looked_at += 1;
        }
    }
    assert!(looked_at > 500, "only {looked_at} parts of secrets were found");
}
