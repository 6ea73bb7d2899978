//! The file sink: whole lines through rotation, nothing lost, and fast enough.

mod support;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use serde_json::Value;
use smbwatch::config::Config;
use smbwatch::sink::{Format, Outlet, Running, start};
use support::agent::text;
use support::alerts::{Maker, close, wait_for};
use support::folder::Folder;

#[test]
fn every_alert_is_in_one_file_once_and_whole() {
    for compress in ["gzip", "none"] {
        let folder = Folder::make();
        let path = folder.path().join("alerts.ndjson");
        let sink = sink(&path, &format!("rotate_mib = 1\nkeep = 50\ncompress = \"{compress}\""));
        let (mut maker, mut made) = (Maker::new(), Vec::new());
        for round in 1..=20 {
            for _ in 0..200 {
                let alert = maker.smb();
                made.push(alert.event.id.clone());
                sink.send(&Arc::new(alert));
            }
            wait_for(&sink, "all are written", |counts| counts.delivered == round * 200);
        }
        assert_eq!(close(sink).delivered, 4000);
        let files = files(&folder);
        assert!(files.len() > 3, "{files:?}");
        let mut found = Vec::new();
        for file in files.iter().rev() {
            let text = read(file);
            assert!(text.ends_with('\n'), "{}", file.display());
            // While the last one is being compressed, a file may grow.
            assert!(compress == "gzip" || text.len() <= 1 << 20, "{}", file.display());
            found.extend(text.lines().map(id));
        }
        assert_eq!(found, made);
    }
}

#[test]
fn no_more_old_files_are_kept_than_asked() {
    let folder = Folder::make();
    let path = folder.path().join("alerts.ndjson");
    let sink = sink(&path, "rotate_mib = 1\nkeep = 2");
    let mut maker = Maker::new();
    let mut newest = String::new();
    for round in 1..=40 {
        for _ in 0..200 {
            let alert = maker.smb();
            newest.clone_from(&alert.event.id);
            sink.send(&Arc::new(alert));
        }
        wait_for(&sink, "all are written", |counts| counts.delivered == round * 200);
    }
    close(sink);
    let names: Vec<_> = files(&folder).iter().map(|path| path.file_name().map(ToOwned::to_owned)).collect();
    let expected = ["alerts.ndjson", "alerts.ndjson.1.gz", "alerts.ndjson.2.gz"];
    assert_eq!(names, expected.map(|name| Some(name.into())));
    assert_eq!(read(&path).lines().last().map(id), Some(newest));
}

#[test]
fn old_files_stay_as_they_are_where_the_file_itself_is_gone() {
    let folder = Folder::make();
    let path = folder.path().join("alerts.ndjson");
    let sink = sink(&path, "rotate_mib = 1\nkeep = 2\ncompress = \"none\"");
    let numbered = |number: u32| folder.path().join(format!("alerts.ndjson.{number}"));
    for number in 1..=4 {
        fs::write(numbered(number), format!("{number}\n")).expect("make an old file");
    }
    let mut maker = Maker::new();
    let mut send = |before: u64, count: u64| {
        for _ in 0..count {
            sink.send(&Arc::new(maker.smb()));
        }
        wait_for(&sink, "all are written", |counts| counts.delivered == before + count);
    };
    send(0, 200);
    fs::remove_file(&path).expect("remove the file");
    send(200, 1);
    assert_eq!(read(&path).lines().count(), 1);
    assert_eq!((1..=4).map(|number| read(&numbered(number))).collect::<String>(), "1\n2\n3\n4\n");
    // One rotation later there are as many as are to be kept.
    send(201, 300);
    send(501, 300);
    close(sink);
    let names: Vec<_> = files(&folder).iter().map(|path| path.file_name().map(ToOwned::to_owned)).collect();
    let expected = ["alerts.ndjson", "alerts.ndjson.1", "alerts.ndjson.2"];
    assert_eq!(names, expected.map(|name| Some(name.into())));
    assert_eq!(read(&numbered(2)), "1\n");
}

#[test]
fn a_torn_line_takes_no_other_with_it() {
    let folder = Folder::make();
    let path = folder.path().join("alerts.ndjson");
    fs::write(&path, "{\"half\":").expect("write half a line");
    let sink = sink(&path, "");
    sink.send(&Arc::new(Maker::new().smb()));
    close(sink);
    let text = read(&path);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "{\"half\":");
    assert!(lines.len() == 2 && !id(lines[1]).is_empty(), "{lines:?}");
}

#[test]
fn what_is_no_file_is_refused() {
    let folder = Folder::make();
    let path = folder.path().join("pipe");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("make a pipe");
    let text = format!("[[sinks]]\ntype = \"file\"\npath = \"{}\"", path.display());
    let config = Config::parse(&text, &path, None).expect("a configuration");
    let refused = start(&config.sinks[0], folder.path(), Format::Json).err().expect("a refusal");
    let message = format!("{refused:#}");
    assert!(message.ends_with("it is no regular file; name another `path`"), "{message}");
}

#[test]
fn what_a_file_does_not_take_goes_to_the_one_in_its_place() {
    let folder = Folder::make();
    let text = |path: &Path| {
        let text = format!("[[sinks]]\ntype = \"file\"\nname = \"all\"\npath = \"{}\"", path.display());
        Config::parse(&text, path, None).expect("a configuration").sinks
    };
    let (gone, there) = (folder.path().join("gone/alerts"), folder.path().join("alerts"));
    fs::create_dir(folder.path().join("gone")).expect("make a folder");
    let first = start(&text(&gone)[0], folder.path(), Format::Json).expect("start the sink");
    fs::remove_dir_all(folder.path().join("gone")).expect("remove the folder");
    let (mut outlet, mut maker, mut made) = (Outlet::to(vec![first]), Maker::new(), Vec::new());
    let mut send = |outlet: &mut Outlet, count: usize| {
        for _ in 0..count {
            let alert = maker.smb();
            made.push(alert.event.id.clone());
            outlet.send(alert);
        }
    };
    send(&mut outlet, 1000);
    let next = text(&there);
    let started = outlet.start_missing(&next, folder.path(), Format::Json).expect("start the next");
    outlet.adapt(&next, started);
    send(&mut outlet, 10);
    for closing in outlet.close() {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !closing.is_finished() {
            assert!(Instant::now() < deadline, "{:?}", closing.counts());
            std::thread::sleep(Duration::from_millis(2));
        }
        let counts = closing.counts();
        assert_eq!((counts.delivered, counts.lost.total()), (1010, 0), "{counts:?}");
    }
    assert_eq!(read(&there).lines().map(id).collect::<Vec<_>>(), made);
}

#[test]
fn only_what_the_filter_lets_through_is_written() {
    let folder = Folder::make();
    let path = folder.path().join("alerts.ndjson");
    for (filter, wanted) in
        [("", 2), ("severity = 73", 1), ("grades = [\"attempted\"]", 1), ("severity = 99", 0)]
    {
        let _ = fs::remove_file(&path);
        let sink = sink(&path, filter);
        let mut maker = Maker::new();
        sink.send(&Arc::new(maker.attempted()));
        sink.send(&Arc::new(maker.smb()));
        let counts = close(sink);
        assert_eq!((counts.made, counts.filtered), (wanted, 2 - wanted), "{filter}");
        assert_eq!(read(&path).lines().count() as u64, wanted, "{filter}");
    }
}

#[test]
fn twenty_thousand_alerts_a_second_are_synced_to_disk() {
    const COUNT: u64 = 40_000;
    let folder = Folder::make();
    let path = folder.path().join("alerts.ndjson");
    let sink = sink(&path, "fsync = true\nrotate_mib = 64");
    let mut maker = Maker::new();
    let alert = Arc::new(maker.smb());
    let began = Instant::now();
    for _ in 0..COUNT {
        // As fast as it can take them.
        while sink.tally.counts().queued > 8000 {
            std::thread::sleep(Duration::from_micros(100));
        }
        sink.send(&alert);
    }
    assert_eq!(close(sink).delivered, COUNT);
    let rate = COUNT as f64 / began.elapsed().as_secs_f64();
    eprintln!("file sink with one fsync a batch: {rate:.0} alerts a second");
    if !cfg!(debug_assertions) {
        assert!(rate > 20_000.0, "{rate:.0} alerts a second");
    }
}

fn sink(path: &Path, more: &str) -> Running {
    let text = format!("[[sinks]]\ntype = \"file\"\npath = \"{}\"\n{more}", path.display());
    let config = Config::parse(&text, path, None).expect("a configuration");
    start(&config.sinks[0], path, Format::Json).expect("start the sink")
}

/// The files of a folder, by name.
fn files(folder: &Folder) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.path()).expect("list the folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    // The youngest first.
    files.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
    files
}

fn read(path: &Path) -> String {
    let mut text = String::new();
    let file = fs::File::open(path).expect("open");
    if path.extension().is_some_and(|extension| extension == "gz") {
        GzDecoder::new(file).read_to_string(&mut text).expect("a whole gzip file");
    } else {
        (&file).read_to_string(&mut text).expect("read");
    }
    text
}

fn id(line: &str) -> String {
    let document: Value = serde_json::from_str(line).expect("a whole document");
    text(&document, "event.id").to_owned()
}
