//! Runtimes that are silent, talk nonsense or say too much.

mod support;

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use smbwatch::runtime::{Endpoint, Runtimes};
use support::agent::PATIENCE;

const ID: &str = "3f2a9c0d5b7e81f64a2c9d0e8b7f6a5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a";
const OTHER: &str = "b0a1c2d3e4f5061728394a5b6c7d8e9fb0a1c2d3e4f5061728394a5b6c7d8e9f";

/// A socket that answers each connection with the same bytes.
struct Server {
    path: PathBuf,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn start(name: &str, answer: impl Fn(&mut UnixStream) + Send + 'static) -> Self {
        let path = std::env::temp_dir().join(format!("smbw-t-{}-{name}.sock", std::process::id()));
        let listener = UnixListener::bind(&path).expect("listen");
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                counted.fetch_add(1, Ordering::SeqCst);
                answer(&mut stream);
                open.push(stream);
            }
        });
        Self { path, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// As a runtime that is asked, and not followed.
    fn podman(&self) -> Runtimes {
        Runtimes::start(vec![Endpoint::podman(&self.path)])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Reads a request and answers with a list of containers.
fn http(stream: &mut UnixStream, body: &str) {
    let _ = stream.read(&mut [0; 4096]);
    let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    (work.await, began.elapsed())
}

#[tokio::test]
async fn a_silent_runtime_costs_a_second_once_and_others_still_answer() {
    let silent = Server::start("silent", |_| {});
    let good =
        Server::start("good", |stream| http(stream, &format!(r#"[{{"Id":"{ID}","Names":["/web"]}}]"#)));
    let runtimes = silent.podman();
    // All at the same time: one request is made for them.
    let (_, took) =
        timed(async { tokio::join!(runtimes.find(ID), runtimes.find(ID), runtimes.find(ID)) }).await;
    assert!(took < Duration::from_millis(1500), "{took:?}");
    assert_eq!(silent.connections(), 1);
    let (found, took) = timed(runtimes.find(OTHER)).await;
    assert_eq!(found, None);
    assert!(took < Duration::from_millis(500), "{took:?}");
    assert_eq!(silent.connections(), 1, "it is left alone");

    let both = Runtimes::start(vec![Endpoint::podman(&silent.path), Endpoint::podman(&good.path)]);
    let (found, took) = timed(both.find(ID)).await;
    assert_eq!(found.and_then(|web| web.name.clone()).as_deref(), Some("web"));
    assert!(took < Duration::from_millis(500), "{took:?}");
}

#[tokio::test]
async fn nonsense_is_no_container() {
    let answers: [(&str, &[u8]); 7] = [
        ("closes", b""),
        ("bytes", b"\x00\xff\x16\x03\x01garbage\r\n\r\n"),
        ("status", b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"),
        ("json", b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n[{]"),
        ("kind", b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n[{\"Id\":true}"),
        ("foreign", b"HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n[{\"Id\":\"another\"}]"),
        ("http2", b"\x00\x00\x00\x04\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
    ];
    for (name, answer) in answers {
        let server = Server::start(name, move |stream| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer);
            let _ = stream.shutdown(std::net::Shutdown::Both);
        });
        for endpoint in [Endpoint::podman(&server.path), Endpoint::cri(&server.path, "containerd")] {
            let runtimes = Runtimes::start(vec![endpoint]);
            let (found, took) = timed(runtimes.find(ID)).await;
            assert_eq!(found, None, "{name}");
            assert!(took < Duration::from_millis(900), "{name}: {took:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_without_end_is_given_up() {
    let endless = Server::start("endless", |stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n[");
        let blanks = vec![b' '; 1 << 20];
        let written = (0..64).take_while(|_| stream.write_all(&blanks).is_ok()).count();
        assert!(written < 64, "all of it was taken");
    });
    let (found, took) = timed(endless.podman().find(ID)).await;
    assert_eq!(found, None);
    assert!(took < Duration::from_millis(1500), "{took:?}");
}

#[tokio::test]
async fn a_description_is_cut_to_size() {
    let labels: Vec<_> = (0..1000).map(|number| format!(r#""{number:04}":"a\nb""#)).collect();
    let long = "x".repeat(10_000);
    let body = format!(
        r#"[{{"Id":"{ID}","Names":["/a/b","/we\u001bb"],"Image":"{long}","Labels":{{{},"z":"{long}"}},"Created":9e9}}]"#,
        labels.join(",")
    )
    .replace("9e9", "99999999999999");
    let server = Server::start("wordy", move |stream| http(stream, &body));
    let web = server.podman().find(ID).await.expect("a container");
    assert_eq!(web.name.as_deref(), Some("we\u{fffd}b"));
    assert_eq!(web.image.as_deref(), Some("x".repeat(256).as_str()));
    assert_eq!(web.labels.len(), 64);
    assert_eq!(web.labels.get("0000").map(String::as_str), Some("a\u{fffd}b"));
    assert_eq!((web.created, web.image_digest.as_deref()), (None, None));
}

#[tokio::test]
async fn a_runtime_that_is_installed_later_is_found() {
    let path = std::env::temp_dir().join(format!("smbw-t-{}-later.sock", std::process::id()));
    let runtimes = Runtimes::start(vec![Endpoint::docker(&path)]);
    let (found, took) = timed(runtimes.find(OTHER)).await;
    assert_eq!(found, None);
    assert!(took < Duration::from_millis(500), "{took:?}");
    let late =
        Server::start("later", |stream| http(stream, &format!(r#"[{{"Id":"{ID}","Names":["/web"]}}]"#)));
    assert_eq!(late.path, Path::new(&path));
    assert!(runtimes.find(ID).await.is_some());
    // Nothing that is not an identifier is asked for.
    let before = late.connections();
    for name in ["", "web", "..%2f..%2fimages", &ID[..11], &format!("{ID}0")] {
        assert_eq!(runtimes.find(name).await, None);
    }
    assert!(runtimes.find(ID).await.is_some());
    assert!(late.connections() <= before + 2, "only the follower has come");
}

/// containerd tells events since 1.7, which no test can count on.
#[tokio::test]
async fn a_container_that_a_runtime_tells_of_is_known() {
    let path = std::env::temp_dir().join(format!("smbw-t-{}-events.sock", std::process::id()));
    let _server = support::cri::serve(&path, ID);
    let runtimes = Runtimes::start(vec![Endpoint::cri(&path, "cri-o")]);
    let deadline = Instant::now() + PATIENCE;
    while runtimes.known(ID).is_none() {
        assert!(Instant::now() < deadline, "the event led to nothing");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let known = runtimes.known(ID).expect("a container");
    assert_eq!((known.name.as_deref(), known.runtime), (Some("web"), "cri-o"));
}
