//! What is remembered, how much, and through what.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::enrich::container::{ContainerId, Place};
use crate::enrich::process::Process;
use crate::enrich::who::Method;
use crate::runtime::{Container, Pod};

/// A folder that is gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn make(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("smbw-novelty-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn memory(&self, destinations: usize) -> Memory {
        open(&self.0, destinations).expect("a memory")
    }

    fn file(&self) -> PathBuf {
        self.0.join("first-seen.redb")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open(folder: &Path, destinations: usize) -> Option<Memory> {
    Memory::open(&State { dir: folder.to_owned(), destinations })
}

/// `new`, `seen`, and seconds from 1970 to `first_seen`.
fn saw(memory: &mut Memory, destination: u8, incident: u64, second: i64) -> (bool, u64, i64) {
    let (source, destination) = ([10, 0, 0, 5].into(), [192, 0, 2, destination].into());
    let now = Timestamp::from_second(second).expect("a time");
    let novelty = memory.saw(&Who::default(), source, destination, incident, now);
    (novelty.new, novelty.seen, novelty.first_seen.as_second())
}

#[test]
fn a_destination_is_new_once_for_all_alerts_of_its_first_incident() {
    let folder = Folder::make("once");
    let mut memory = folder.memory(10);
    assert_eq!(saw(&mut memory, 1, 1, 100), (true, 1, 100));
    assert_eq!(saw(&mut memory, 1, 1, 101), (true, 1, 100));
    assert_eq!(saw(&mut memory, 1, 2, 102), (false, 2, 100));
    assert_eq!(saw(&mut memory, 1, 1, 103), (true, 2, 100), "the first goes on");
    assert_eq!(saw(&mut memory, 2, 3, 104), (true, 1, 104));
    drop(memory);
    let mut memory = folder.memory(10);
    assert_eq!(saw(&mut memory, 1, 1, 200), (false, 3, 100), "a restart forgets nothing");
    assert_eq!(saw(&mut memory, 3, 2, 201), (true, 1, 201));
}

#[test]
fn the_one_not_seen_for_longest_is_forgotten_first() {
    let folder = Folder::make("capacity");
    let mut memory = folder.memory(3);
    for (incident, destination) in (1..).zip([1, 2, 3, 1, 4]) {
        saw(&mut memory, destination, incident, 100 + i64::from(destination));
    }
    drop(memory);
    let mut memory = folder.memory(3);
    assert_eq!(saw(&mut memory, 1, 1, 200), (false, 3, 101));
    assert_eq!(saw(&mut memory, 2, 2, 201), (true, 1, 201), "it gave way");
    drop(memory);
    // A smaller memory keeps the latest.
    let mut memory = folder.memory(1);
    assert_eq!(saw(&mut memory, 2, 1, 300), (false, 2, 201));
    assert_eq!(saw(&mut memory, 1, 2, 301), (true, 1, 301));
}

#[test]
fn without_a_place_there_is_no_memory() {
    assert!(open(Path::new("/nonexistent"), 10).is_none());
    let folder = Folder::make("none");
    assert!(open(&folder.0, 0).is_none());
    let _memory = folder.memory(10);
    assert!(open(&folder.0, 10).is_none(), "another agent has it");
    assert!(folder.file().exists());
}

#[test]
fn a_damaged_store_is_put_aside_and_begun_anew() {
    let folder = Folder::make("damage");
    let mut memory = folder.memory(1000);
    for destination in 0..200 {
        saw(&mut memory, destination, destination.into(), 100);
    }
    drop(memory);
    let whole = fs::read(folder.file()).expect("the store");
    let mut random = fastrand::Rng::with_seed(11);
    let mut aside = 0;
    for round in 0..12 {
        let mut bytes = whole.clone();
        match round % 3 {
            0 => bytes.truncate(random.usize(1..bytes.len())),
            1 => (0..64).for_each(|_| {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }),
            _ => {
                let at = random.usize(..bytes.len() / 2);
                bytes[at..at + 4096].fill(0);
            }
        }
        fs::write(folder.file(), &bytes).expect("write");
        let mut memory = folder.memory(1000);
        saw(&mut memory, 250, 1, 100);
        drop(memory);
        let mut memory = folder.memory(1000);
        assert!(!saw(&mut memory, 250, 1, 101).0, "round {round}");
        drop(memory);
        aside += usize::from(fs::remove_file(folder.file().with_extension("redb.damaged")).is_ok());
    }
    assert!(aside > 3, "{aside}");
}

#[test]
fn workloads_keep_their_names() {
    let source = [10, 0, 0, 5].into();
    let place = |container: Option<&str>, unit: Option<&str>| Place {
        container: container.map(|id| ContainerId { id: id.to_owned(), runtime: "docker" }),
        pod_uid: None,
        unit: unit.map(str::to_owned),
    };
    let process = || Process { executable: Some("/usr/bin/curl".to_owned()), ..Process::default() };
    let of = |place: Place, container: Option<Container>, method: Method| Who {
        method,
        process: Some(Arc::new(process())),
        place,
        container: container.map(Arc::new),
        ..Who::default()
    };
    let image = |image: &str, pod: Option<&str>| {
        let pod = pod.map(|namespace| Pod {
            name: "web-7d4b9".to_owned(),
            namespace: namespace.to_owned(),
            uid: String::new(),
        });
        Some(Container { image: Some(image.to_owned()), pod, ..Container::default() })
    };
    let named = Some(Container { name: Some("web".to_owned()), ..Container::default() });
    let owner = Method::Owner;
    for (who, expected) in [
        (of(place(Some("ab"), None), image("hub:5000/web:1.2@sha256:0", None), owner), "image:hub:5000/web"),
        (of(place(Some("ab"), None), image("hub:5000/web", Some("shop")), owner), "image:shop/hub:5000/web"),
        (of(place(Some("ab"), Some("docker.service")), named, owner), "container:web"),
        (of(place(Some("ab"), None), None, owner), "container:ab"),
        (of(place(None, Some("backup.service")), None, owner), "unit:backup.service"),
        (of(place(None, Some("session-3.scope")), None, owner), "executable:/usr/bin/curl"),
        (of(place(None, Some("run-u7.service")), None, owner), "executable:/usr/bin/curl"),
        (of(place(None, None), None, Method::Procfs), "address:10.0.0.5"),
        (Who::default(), "address:10.0.0.5"),
    ] {
        assert_eq!(workload(&who, source), expected);
    }
}
