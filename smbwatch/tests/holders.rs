//! Who holds sockets and interfaces that were there before anyone watched.

mod support;

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd as _};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use smbwatch::enrich::holders::Holder;
use smbwatch::enrich::sockets::{self, Found, Kind, Missed};
use smbwatch::enrich::taps;
use socket2::{Domain, Protocol, Socket, Type};
use support::agent::PATIENCE;
use support::heir::Heir;
use support::lab::{End, HOST, Lab, SERVER, SERVER6, tool};
use support::peer::{connect, listen, to};
use support::tap;

#[test]
fn a_connection_is_found_by_its_cookie_in_another_namespace() {
    let Some(lab) = Lab::make("a_connection_is_found_by_its_cookie_in_another_namespace") else { return };
    for address in [SERVER, SERVER6] {
        let _server = listen(&lab, address, 445);
        let client = connect(&lab, address, 445).expect("connect");
        let found = find(&client).expect("a socket");
        assert_eq!((found.kind, found.certain, found.cut), (Kind::Tcp, true, false));
        assert_eq!((found.local, found.remote), ends(&client));
        assert_eq!((found.uid, found.inode), (Some(0), Some(inode(&client))));
        assert_eq!(found.netns, lab.inside(End::Host, own_namespace));
        assert_eq!(pids(&found.holders), [std::process::id()]);
        let from_within = lab.inside(End::Host, || find(&client)).expect("a socket");
        assert_eq!(from_within, found);
    }
}

#[test]
fn a_connection_is_found_where_addresses_are_translated() {
    let Some(lab) = Lab::make("a_connection_is_found_where_addresses_are_translated") else { return };
    let _server = listen(&lab, SERVER, 445);
    // As the packets of a socket that is bound to a device, or whose peer is a service's virtual address.
    let address = to(SERVER, 445);
    let client = lab.inside(End::Host, || {
        let socket = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP)).expect("make a socket");
        socket.bind_device(Some(b"eth0")).expect("bind to eth0");
        let mapped = format!("[::ffff:{SERVER}]:445").parse::<SocketAddr>().expect("an address");
        socket.connect(&mapped.into()).expect("connect");
        TcpStream::from(socket)
    });
    let local = client.local_addr().expect("an address");
    let local = SocketAddr::new(local.ip().to_canonical(), local.port());
    for (local, remote) in [(local, address), (local, to(SERVER, 9)), (to(SERVER, 9), address)] {
        let found = sockets::find(cookie(&client), local, remote).expect("a socket");
        assert_eq!((found.remote, found.certain), (address, true));
        assert_eq!(found.inode, Some(inode(&client)));
        assert_eq!(pids(&found.holders), [std::process::id()]);
    }
}

#[test]
fn every_process_that_holds_a_socket_is_told_while_it_lives() {
    let Some(lab) = Lab::make("every_process_that_holds_a_socket_is_told_while_it_lives") else { return };
    let server = listen(&lab, SERVER, 445);
    let client = connect(&lab, SERVER, 445).expect("connect");
    let (mut peer, _) = server.accept().expect("accept");
    // Its name is as hostile as a name can be.
    let name = lab.folder().join("a\n) S 1 (b");
    fs::copy("/bin/sleep", &name).expect("copy a program");
    let heir = Heir::start(&name, client.try_clone().expect("a second descriptor").into());

    let found = find(&client).expect("a socket");
    let mut expected = [std::process::id(), heir.pid()];
    expected.sort_unstable();
    assert_eq!(pids(&found.holders), expected);
    let holder = found.holders.iter().find(|holder| holder.pid == heir.pid()).expect("the child");
    assert_eq!(holder.name, "a\u{fffd}) S 1 (b");
    assert_eq!(holder.start_ticks, started(heir.pid()));

    let (cookie, (local, remote)) = (cookie(&client), ends(&client));
    drop(client);
    let found = sockets::find(cookie, local, remote).expect("a socket");
    assert_eq!(pids(&found.holders), [heir.pid()]);

    // The peer does not close, so the connection outlives its last holder.
    drop(heir);
    let found = sockets::find(cookie, local, remote).expect("a connection");
    assert_eq!((found.inode, found.uid, found.holders), (None, None, Vec::new()));
    io::Read::read(&mut peer, &mut [0]).expect("the end of what the client sent");
    drop((peer, server));
    // In TIME_WAIT it has its cookie still.
    let found = sockets::find(cookie, local, remote).expect("a connection");
    assert_eq!((found.inode, found.uid, found.holders), (None, None, Vec::new()));
}

#[test]
fn a_socket_is_found_though_the_first_thread_of_its_process_has_ended() {
    let name = "a_socket_is_found_though_the_first_thread_of_its_process_has_ended";
    let Some(lab) = Lab::make(name) else { return };
    let python = tool("python3").arg("--version").stdout(Stdio::null()).status();
    if !python.is_ok_and(|status| status.success()) {
        return support::skip::skip(name, "needs python3");
    }
    let _server = listen(&lab, SERVER, 445);
    let client = connect(&lab, SERVER, 445).expect("connect");
    let script = "import ctypes, threading, time\n\
                  threading.Thread(target=time.sleep, args=(600,)).start()\n\
                  ctypes.CDLL(None).pthread_exit(None)";
    let file = client.try_clone().expect("a second descriptor").into();
    let heir = Heir::spawn(tool("python3").args(["-c", script]).stderr(Stdio::null()), file);
    let status = format!("/proc/{}/status", heir.pid());
    wait_until("the first thread ends", || {
        fs::read_to_string(&status).is_ok_and(|text| text.contains("State:\tZ"))
    });
    assert!(pids(&find(&client).expect("a socket").holders).contains(&heir.pid()));
}

#[test]
fn a_survey_lists_what_is_wanted_in_every_namespace() {
    let Some(lab) = Lab::make("a_survey_lists_what_is_wanted_in_every_namespace") else { return };
    let _servers = [listen(&lab, SERVER, 445), listen(&lab, SERVER6, 445), listen(&lab, SERVER, 80)];
    let clients = [(SERVER, 445), (SERVER6, 445), (SERVER, 80)];
    let clients = clients.map(|(address, port)| connect(&lab, address, port).expect("connect"));
    // Another lab of the same addresses would be wanted as well.
    let ours = clients.each_ref().map(cookie);
    let surveyed = |port| {
        let survey = sockets::survey(|remote| remote.port() == port, 100_000).expect("a survey");
        let mut cookies: Vec<u64> = Vec::new();
        for found in survey.found.iter().filter(|found| ours.contains(&found.cookie)) {
            assert_eq!(pids(&found.holders), [std::process::id()], "{found:?}");
            cookies.push(found.cookie);
        }
        cookies
    };
    assert_eq!(surveyed(445), ours[..2]);
    assert_eq!(surveyed(80), ours[2..]);
    assert_eq!(surveyed(1), [0; 0]);
    let survey = sockets::survey(|remote| remote.port() == 445, 1).expect("a survey");
    assert_eq!((survey.found.len(), survey.cut), (1, true));
}

#[test]
fn a_packet_socket_is_found_by_its_cookie() {
    let Some(lab) = Lab::make("a_packet_socket_is_found_by_its_cookie") else { return };
    let socket = lab.inside(End::Host, || Socket::new(Domain::PACKET, Type::RAW, None));
    let socket = socket.expect("make a packet socket");
    let (local, remote) = (to(HOST, 40000), to(SERVER, 445));
    let found = sockets::find(cookie(&socket), local, remote).expect("a socket");
    assert_eq!((found.kind, found.local, found.remote), (Kind::Packet, local, remote));
    assert_eq!(pids(&found.holders), [std::process::id()]);
    assert_eq!(found.inode, Some(inode(&socket)));
    assert_eq!(found.netns, lab.inside(End::Host, own_namespace));
}

#[test]
fn a_raw_socket_is_found_or_those_who_may_have_it_are() {
    let Some(lab) = Lab::make("a_raw_socket_is_found_or_those_who_may_have_it_are") else { return };
    let raw = || Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)));
    let socket = lab.inside(End::Host, raw).expect("make a raw socket");
    // Nobody is told of it who has one elsewhere.
    let elsewhere = lab.inside(End::Net, raw).expect("make a raw socket");
    let elsewhere = Heir::start(Path::new("/bin/sleep"), elsewhere.into());
    // An address that no other lab has.
    let [.., high, low] = std::process::id().to_be_bytes();
    let own = format!("10.77.{high}.{low}");
    lab.run(End::Host, &format!("ip address add {own}/32 dev lo"));
    let flow = (to(&own, 40000), to(SERVER, 445));

    let find = || sockets::find(cookie(&socket), flow.0, flow.1).expect("a socket");
    let found = find();
    assert_eq!((found.kind, found.inode), (Kind::Raw, Some(inode(&socket))));
    assert_eq!(pids(&found.holders), [std::process::id()]);
    if found.certain {
        return;
    }
    // This kernel lists no raw sockets by cookie: a second holder makes it ambiguous.
    let second = lab.inside(End::Host, raw).expect("make a raw socket");
    let second = Heir::start(Path::new("/bin/sleep"), second.into());
    let found = find();
    assert_eq!((found.kind, found.certain, found.inode), (Kind::Raw, false, None));
    let holders = pids(&found.holders);
    assert_eq!((holders.len(), holders.contains(&second.pid())), (2, true));
    assert!(!holders.contains(&elsewhere.pid()));
    lab.run(End::Host, &format!("ip address delete {own}/32 dev lo"));
    let spoofed = sockets::find(cookie(&socket), flow.0, flow.1);
    assert!(matches!(spoofed, Err(Missed::Nowhere)), "{spoofed:?}");
}

#[test]
fn a_socket_that_is_gone_is_nowhere() {
    let Some(lab) = Lab::make("a_socket_that_is_gone_is_nowhere") else { return };
    let server = listen(&lab, SERVER, 445);
    let client = connect(&lab, SERVER, 445).expect("connect");
    let (cookie, (local, remote)) = (cookie(&client), ends(&client));
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("end with a reset");
    drop((client, server));
    let missed = sockets::find(cookie, local, remote);
    assert!(matches!(missed, Err(Missed::Nowhere)), "{missed:?}");
}

#[test]
fn a_tap_is_told_with_who_holds_it() {
    let Some(lab) = Lab::make("a_tap_is_told_with_who_holds_it") else { return };
    if !Path::new("/dev/net/tun").exists() {
        return support::skip::skip("a_tap_is_told_with_who_holds_it", "this kernel has no /dev/net/tun");
    }
    let tap = lab.inside(End::Host, || tap::tun("tap7", libc::IFF_TAP)).expect("make a tap");
    let heir = lab.inside(End::Host, || Heir::start(Path::new("/bin/sleep"), tap.into()));
    assert_eq!(lab.inside(End::Host, || pids(&taps::holders("tap7"))), [heir.pid()]);
    assert_eq!(lab.inside(End::Host, || taps::holders("tap")), []);
    // An interface of that name in another namespace is not the one that this process holds.
    lab.run(End::Net, "ip tuntap add tap7 mode tap");
    assert_eq!(lab.inside(End::Net, || taps::holders("tap7")), []);
    drop(heir);
    assert_eq!(lab.inside(End::Host, || taps::holders("tap7")), []);
}

#[test]
fn a_macvtap_is_told_with_who_holds_it() {
    let Some(lab) = Lab::make("a_macvtap_is_told_with_who_holds_it") else { return };
    let mut add = lab.at(End::Host, "ip");
    add.args("link add link eth0 name mvt7 type macvtap".split(' ')).stderr(Stdio::null());
    if !add.status().expect("start ip").success() {
        return support::skip::skip("a_macvtap_is_told_with_who_holds_it", "this kernel has no macvtap");
    }
    lab.inside(End::Host, || {
        let tap = tap::macvtap(lab.folder(), "mvt7");
        let heir = Heir::start(Path::new("/bin/sleep"), tap.into());
        assert_eq!(pids(&taps::holders("mvt7")), [heir.pid()]);
        drop(heir);
        assert_eq!(taps::holders("mvt7"), []);
    });
}

fn find(client: &TcpStream) -> Result<Found, Missed> {
    let (local, remote) = ends(client);
    sockets::find(cookie(client), local, remote)
}

fn ends(client: &TcpStream) -> (SocketAddr, SocketAddr) {
    (client.local_addr().expect("an address"), client.peer_addr().expect("an address"))
}

fn pids(holders: &[Holder]) -> Vec<u32> {
    let mut pids: Vec<u32> = holders.iter().map(|holder| holder.pid).collect();
    pids.sort_unstable();
    pids
}

fn cookie(socket: &impl AsFd) -> u64 {
    socket2::SockRef::from(socket).cookie().expect("a cookie")
}

fn inode(socket: &impl AsFd) -> u64 {
    let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_fd().as_raw_fd())).expect("a link");
    let link = link.to_string_lossy();
    let number = link.strip_prefix("socket:[").and_then(|link| link.strip_suffix(']')).expect("a socket");
    number.parse().expect("a number")
}

fn own_namespace() -> u64 {
    std::os::unix::fs::MetadataExt::ino(&fs::metadata("/proc/thread-self/ns/net").expect("a namespace"))
}

/// Field 22 of proc_pid_stat(5).
fn started(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    fields.split(' ').nth(19).and_then(|field| field.parse().ok()).expect("a number")
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
