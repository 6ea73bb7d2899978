//! Dialogues made by hand, for what real ones do not show.

use smbwatch::smb::{self, Dialogue, Mechanism, Options, Protocol, Response, ShareKind, Status};

use crate::build::{
    ANSWER, REQUEST, Smb1, Smb2, andx, authenticate, framed, session_answer, session_setup, smb2_body,
    tree_connect, utf16,
};

const FILES: Options = Options { files: 2 };
const MORE: u32 = Status::MORE_PROCESSING_REQUIRED.0;

/// Streams of one packet to a message.
fn read(client: &[Smb2], server: &[Smb2]) -> Dialogue {
    let stream = |side: &[Smb2]| side.iter().flat_map(|packet| framed(&packet.bytes())).collect::<Vec<u8>>();
    smb::read(&stream(client), &stream(server), FILES)
}

/// One message of packets, each padded to 8 bytes.
fn compound(packets: Vec<Smb2>) -> Vec<u8> {
    let last = packets.len() - 1;
    let mut message = Vec::new();
    for (index, mut packet) in packets.into_iter().enumerate() {
        packet.body.resize(packet.body.len().next_multiple_of(8), 0);
        if index < last && packet.next == 0 {
            packet.next = u32::try_from(64 + packet.body.len()).expect("a short packet");
        }
        message.extend(packet.bytes());
    }
    framed(&message)
}

fn create(name: &str) -> Smb2 {
    Smb2::new(5, REQUEST, 0, smb2_body(56, 44, &utf16(name)))
}

#[test]
fn compounds_are_read_up_to_the_first_packet_that_breaks_the_rules() {
    let read_request = || Smb2::new(8, REQUEST, 0, vec![0; 48]);
    let next = |next| Smb2 { next, ..create("a") };
    for (name, packets, creates, reads, malformed) in [
        ("in order", vec![create("a"), read_request(), create("b")], 2, 1, 0),
        ("not aligned", vec![next(124), read_request()], 0, 0, 1),
        ("into its own header", vec![next(8), read_request()], 0, 0, 1),
        ("past the end", vec![next(0xffff_fff8), read_request()], 1, 0, 0),
        ("a wrong size", vec![create("a"), Smb2 { answer: ANSWER, ..read_request() }, create("b")], 2, 0, 1),
    ] {
        let counts = smb::read(&compound(packets), &[], FILES).counts;
        assert_eq!((counts.creates, counts.reads, counts.malformed), (creates, reads, malformed), "{name}");
    }
}

#[test]
fn file_names_are_kept_on_demand_and_counted_past_their_limit() {
    let stream = compound(vec![create("a"), create(r"été\b"), create(""), create("c"), create("d")]);
    let dialogue = smb::read(&stream, &[], FILES);
    assert_eq!(dialogue.files, ["a", r"été\b"]);
    assert_eq!((dialogue.counts.creates, dialogue.counts.omitted), (5, 2));
    let silent = smb::read(&stream, &[], Options::default());
    assert_eq!((silent.files.len(), silent.counts.omitted), (0, 0));
}

#[test]
fn shares_by_their_paths() {
    for (path, server, name) in [
        (r"\\files\data", Some("files"), Some("data")),
        (r"\\2606:2800:220:1::1\data\deep", Some("2606:2800:220:1::1"), Some("data")),
        (r"\\files", Some("files"), None),
        ("data", None, Some("data")),
        ("", None, Some("")),
    ] {
        let dialogue = read(&[tree_connect(4, path)], &[]);
        let [share] = dialogue.shares.as_slice() else { panic!("{:?}", dialogue.shares) };
        assert_eq!((share.server.as_deref(), share.name.as_deref()), (server, name), "{path}");
    }
}

#[test]
fn an_interim_answer_is_none() {
    let answer = |status, kind| Smb2 { status, ..Smb2::new(3, ANSWER, 4, vec![16, 0, kind, 0]) };
    let server = [answer(Status::PENDING.0, 0), answer(0, 3)];
    let dialogue = read(&[tree_connect(4, r"\\a\b")], &server);
    assert_eq!(dialogue.shares[0].kind, Some(ShareKind::Printer));
    assert_eq!(dialogue.shares[0].status, Some(Status::SUCCESS));
}

#[test]
fn logons_that_cross_are_told_apart() {
    let negotiate = b"NTLMSSP\0\x01\0\0\0\0\0\0\0";
    let client = [
        session_setup(1, 0, negotiate),
        session_setup(2, 0, negotiate),
        session_setup(3, 10, &authenticate("alice")),
        session_setup(4, 20, &authenticate("bob")),
        session_setup(5, 10, negotiate),
    ];
    let server = [
        session_answer(2, 20, MORE, b""),
        session_answer(1, 10, MORE, b""),
        session_answer(4, 20, Status::LOGON_FAILURE.0, b""),
        session_answer(3, 10, 0, b""),
    ];
    let dialogue = read(&client, &server);
    let told = |index: usize| {
        let logon = &dialogue.logons[index];
        (logon.identity.user.as_deref(), logon.status, logon.response)
    };
    assert_eq!(dialogue.logons.len(), 3, "a session that stands may log on once more");
    assert_eq!(told(0), (Some("alice"), Some(Status::SUCCESS), Some(Response::V2)));
    assert_eq!(told(1), (Some("bob"), Some(Status::LOGON_FAILURE), Some(Response::V2)));
    assert_eq!(told(2), (None, None, None));
}

#[test]
fn a_logon_whose_answers_were_not_seen_is_one() {
    let client = [session_setup(1, 0, b"NTLMSSP\0\x01\0\0\0"), session_setup(2, 10, &authenticate("alice"))];
    let dialogue = read(&client, &[]);
    let [logon] = dialogue.logons.as_slice() else { panic!("{:?}", dialogue.logons) };
    assert_eq!((logon.mechanism, logon.status), (Some(Mechanism::Ntlm), None));
    assert_eq!(logon.identity.user.as_deref(), Some("alice"));
}

#[test]
fn lists_are_bounded_and_what_is_left_out_is_counted() {
    let shares: Vec<Smb2> = (0..20).map(|id| tree_connect(id, r"\\a\b")).collect();
    let logons: Vec<Smb2> = (0..20).map(|id| session_setup(id, 0, b"")).collect();
    for (client, shares, logons) in [(shares, 16, 0), (logons, 0, 16)] {
        let dialogue = read(&client, &[]);
        assert_eq!((dialogue.shares.len(), dialogue.logons.len()), (shares, logons));
        assert_eq!(dialogue.counts.omitted, 4);
    }
}

#[test]
fn contexts_of_a_negotiation() {
    let contexts: [(u8, &[u8]); 5] = [
        (3, &[2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 9, 0]),
        (5, &utf16("files.example")),
        (8, &[1, 0, 1, 0]),
        (0x99, &[]),
        (2, &[2, 0, 4, 0]),
    ];
    let mut body = vec![0; 40];
    (body[0], body[2], body[4], body[28], body[32]) = (36, 1, 3, 104, 5);
    body[36..38].copy_from_slice(&[0x11, 0x03]);
    for (kind, data) in contexts {
        body.extend([kind, 0, u8::try_from(data.len()).expect("short"), 0, 0, 0, 0, 0]);
        body.extend(data);
        body.resize(body.len().next_multiple_of(8), 0);
    }
    let dialogue = read(&[Smb2::new(0, REQUEST, 0, body)], &[]);
    let offered = dialogue.offered.expect("an offer");
    assert_eq!(offered.compressions, ["LZNT1", "0x0009"]);
    assert_eq!(offered.server_name.as_deref(), Some("files.example"));
    assert_eq!(offered.signings, ["AES-CMAC"]);
    assert_eq!(offered.ciphers, ["AES-256-GCM"]);
    assert!(offered.encryption && offered.signing_enabled && offered.signing_required);
}

/// A log-on with plain fields and a tree connect behind it, in one packet.
fn chain(unicode: bool, offset: u16) -> Vec<u8> {
    let text = |text: &str| match unicode {
        true => utf16(text),
        false => text.as_bytes().to_vec(),
    };
    // Two responses of 24 bytes; Unicode begins at an even offset, which the odd start of the data asks for.
    let padding: &[u8] = if unicode { b"\0" } else { b"" };
    let names = text("alice\0CORP\0Unix\0Samba\0");
    let data = [&[b'#'; 48], padding, &names].concat();
    let mut session = andx(0x75, offset, 26);
    (session[14], session[16]) = (24, 24);
    // The path stands behind 11 bytes of the block's fixed part and one of a password.
    let odd = (usize::from(behind_session(unicode)) + 12) % 2 == 1;
    let path_padding: &[u8] = if unicode && odd { b"\0" } else { b"" };
    let tree_data = [b"\0", path_padding, &text("\\\\files\\data\0"), b"?????\0"].concat();
    let mut tree = andx(0xff, 0, 8);
    tree[6] = 1;
    let blocks = [(0x73, session, data), (0x75, tree, tree_data)];
    Smb1 { answer: REQUEST, unicode, session: 0, id: 7, blocks: &blocks }.bytes()
}

/// Where the second block of [`chain`] begins.
fn behind_session(unicode: bool) -> u16 {
    let names = "alice\0CORP\0Unix\0Samba\0".len();
    let data = 48 + if unicode { 1 + 2 * names } else { names };
    u16::try_from(32 + 1 + 26 + 2 + data).expect("a short packet")
}

#[test]
fn chains_of_commands() {
    let blocks = [(0x73, andx(0x75, 43, 6), b"\0\0".to_vec()), (0x75, andx(0xff, 0, 6), b"IPC\0\0".to_vec())];
    let answer = Smb1 { answer: ANSWER, unicode: true, session: 5, id: 7, blocks: &blocks }.bytes();
    for unicode in [true, false] {
        let client = framed(&chain(unicode, behind_session(unicode)));
        let dialogue = smb::read(&client, &framed(&answer), FILES);
        let [logon] = dialogue.logons.as_slice() else { panic!("{:?}", dialogue.logons) };
        assert_eq!(logon.identity.user.as_deref(), Some("alice"));
        assert_eq!(logon.identity.domain.as_deref(), Some("CORP"));
        assert_eq!((logon.session, logon.response), (5, Some(Response::V1)));
        let [share] = dialogue.shares.as_slice() else { panic!("{:?}", dialogue.shares) };
        assert_eq!((share.path.as_str(), share.kind), (r"\\files\data", Some(ShareKind::Pipe)));
    }
}

#[test]
fn a_chain_fails_where_its_answer_ends() {
    let session = (0x73, andx(0x75, 43, 6), b"\0\0".to_vec());
    let refused = (0x75, Vec::new(), Vec::new());
    for (blocks, logon, share) in [
        (&[session.clone(), refused][..], Status::SUCCESS, Status(0xc000_00cc)),
        (&[(0x73, Vec::new(), Vec::new())], Status(0xc000_00cc), Status(0xc000_00cc)),
    ] {
        let mut answer = Smb1 { answer: ANSWER, unicode: false, session: 5, id: 7, blocks }.bytes();
        answer[5..9].copy_from_slice(&0xc000_00cc_u32.to_le_bytes());
        let client = framed(&chain(false, behind_session(false)));
        let dialogue = smb::read(&client, &framed(&answer), FILES);
        assert_eq!(dialogue.logons[0].status, Some(logon));
        assert_eq!(dialogue.shares[0].status, Some(share));
    }
}

#[test]
fn chains_that_do_not_go_forward_end() {
    for offset in [0, 31, 32, 33, behind_session(false) - 1, 0x7fff, 0xffff] {
        let dialogue = smb::read(&framed(&chain(false, offset)), &[], FILES);
        assert_eq!((dialogue.logons.len(), dialogue.shares.len()), (1, 0), "offset {offset}");
    }
}

#[test]
fn passwords_in_plain_fields_are_passed_over() {
    let data = b"hunter2\0alice\0CORP\0".to_vec();
    let mut words = andx(0xff, 0, 20);
    words[14] = 8;
    let old_tree = (0x70, Vec::new(), b"\x04\\\\files\\data\0\x04hunter2\0\x04?????\0".to_vec());
    for blocks in [[(0x73, words, data)], [old_tree]] {
        let bytes =
            framed(&Smb1 { answer: REQUEST, unicode: false, session: 0, id: 1, blocks: &blocks }.bytes());
        let dialogue = smb::read(&bytes, &[], FILES);
        assert!(!format!("{dialogue:?}").contains("hunter2"));
        let told = dialogue.logons.iter().any(|logon| {
            logon.response == Some(Response::Password) && logon.identity.user.as_deref() == Some("alice")
        });
        assert!(told || dialogue.shares[0].path == r"\\files\data");
    }
}

#[test]
fn what_the_wrong_side_says_is_not_believed() {
    let answer = Smb2::new(0, ANSWER, 0, vec![65, 0, 3, 0, 0x11, 3]);
    let dialogue = read(&[answer], &[tree_connect(1, r"\\a\b")]);
    assert_eq!((dialogue.chosen, dialogue.shares.len(), dialogue.counts.malformed), (None, 0, 2));
}

#[test]
fn what_is_not_smb_is_not_read() {
    let dialogue = smb::read(b"GET / HTTP/1.1\r\n\r\n", &framed(&tree_connect(1, r"\\a\b").bytes()), FILES);
    assert_eq!(dialogue, Dialogue { protocol: Some(Protocol::Http), ..Dialogue::default() });
}
