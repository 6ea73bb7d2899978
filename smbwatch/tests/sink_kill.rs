//! A process that is killed takes no alert with it that was in its spool.

mod support;

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use smbwatch::config::Config;
use smbwatch::sink::{self, Format};
use support::alerts::{Maker, close, send, start, wait_for};
use support::lab::{End, Lab};
use support::receivers::web::lines;
use support::server::{Reply, Server};

const CONFIG: &str = "[[sinks]]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:8080/\"";
const CHILD: &str = "SMBWATCH_TEST_SPOOL";

#[test]
fn what_was_spooled_survives_kill_9() {
    let Some(lab) = Lab::make("what_was_spooled_survives_kill_9") else { return };
    let mut safe: Vec<String> = Vec::new();
    for enough in [40, 300, 150] {
        let mut child = lab.at(End::Host, std::env::current_exe().expect("this test"));
        child.args(["--exact", "child", "--nocapture"]).env(CHILD, lab.folder());
        let mut child = child.stdout(Stdio::piped()).spawn().expect("start the child");
        let mut said = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let wanted = safe.len() + enough;
        while safe.len() < wanted {
            let line = said.next().expect("a line").expect("UTF-8");
            safe.extend(line.strip_prefix("safe ").map(str::to_owned));
        }
        // In the middle of whatever it does.
        child.kill().expect("kill the child");
        child.wait().expect("wait for the child");
        safe.extend(
            said.map_while(Result::ok).filter_map(|line| line.strip_prefix("safe ").map(str::to_owned)),
        );
    }
    let arrived: Arc<Mutex<HashSet<String>>> = Arc::default();
    let taken = Arc::clone(&arrived);
    let _server = Server::start(&lab, 8080, move |asked| {
        for id in lines(&asked) {
            assert!(taken.lock().expect("the documents").insert(id));
        }
        Reply::Answer(200, String::new())
    });
    let sink = start(&lab, CONFIG);
    let counts = wait_for(&sink, "the spool is empty", |counts| counts.spooled == 0);
    assert!(counts.inherited >= safe.len() as u64 && counts.delivered == counts.inherited, "{counts:?}");
    let arrived = arrived.lock().expect("the documents");
    // The last line before the end may be cut.
    let missing: Vec<_> = safe.iter().filter(|id| !arrived.contains(*id)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    close(sink);
}

/// Spools alerts, and says of each that it is safe, until it is killed.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let config = Config::parse(CONFIG, Path::new("test.toml"), None).expect("a configuration");
    let sink = sink::start(&config.sinks[0], Path::new(&folder), Format::Json).expect("start the sink");
    let mut maker = Maker::new();
    let mut spooled = sink.tally.counts().spooled;
    loop {
        let ids = send(&sink, &mut maker, 7);
        spooled += 7;
        wait_for(&sink, "they are in the spool", |counts| counts.spooled == spooled);
        let lines: String = ids.iter().map(|id| format!("safe {id}\n")).collect();
        say(&lines);
    }
}

fn say(text: &str) {
    std::io::stdout().write_all(text.as_bytes()).expect("say so");
}
