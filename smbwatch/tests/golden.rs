//! Every alert of a replay, field by field, as it was last looked at and found right.
//!
//! `SMBWATCH_GOLDEN=write cargo test -p smbwatch --test golden` writes the files anew; git shows what has changed.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::agent::{PROGRAM, document};

/// Folders of what is replayed, and how.
const REPLAYED: [(&str, &[&str]); 3] = [
    ("captures", &["--offline", "--any-address"]),
    ("links", &["--offline", "--any-address"]),
    ("ecs", &["--ecs"]),
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// The files of a folder that have one of these extensions.
fn files(folder: &Path, extensions: &[&str]) -> BTreeSet<PathBuf> {
    let files = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files = files.map(|file| file.expect("a file").path());
    files.filter(|file| extensions.iter().any(|its| file.extension().is_some_and(|is| is == *its))).collect()
}

/// What a replay of a file prints.
fn replay(args: &[&str], file: &Path) -> String {
    let mut command = Command::new(PROGRAM);
    let output = command.args(["replay", "--format", "json"]).args(args).arg(file).output().expect("replay");
    assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn replays_tell_what_they_told() {
    let write = std::env::var_os("SMBWATCH_GOLDEN").is_some_and(|value| value == "write");
    let (mut wrong, mut known) = (Vec::new(), BTreeSet::new());
    for (name, args) in REPLAYED {
        let golden = folder("golden").join(name);
        if write {
            fs::create_dir_all(&golden).expect("make a folder");
        }
        for file in files(&folder(name), &["pcap", "pcapng", "ndjson"]) {
            let told = replay(args, &file);
            assert!(!told.is_empty(), "{} tells nothing", file.display());
            let name = Path::new(file.file_name().expect("a name")).with_extension("ndjson");
            let golden = golden.join(name);
            if write {
                fs::write(&golden, &told).expect("write a file");
            }
            let expected = fs::read_to_string(&golden).unwrap_or_default();
            wrong.extend(differences(&file, &expected, &told));
            assert!(known.insert(golden), "{} has another's name", file.display());
        }
    }
    assert!(
        wrong.is_empty(),
        "SMBWATCH_GOLDEN=write takes over what is right of this:\n{}",
        wrong.join("\n")
    );
    let kept = REPLAYED.iter().flat_map(|(name, _)| files(&folder("golden").join(name), &["ndjson"]));
    let left: Vec<_> = kept.filter(|golden| !known.contains(golden)).collect();
    assert!(left.is_empty(), "of nothing that is replayed: {left:?}");
}

/// Where two outputs differ: a line for each field, and one if there are more alerts or fewer.
fn differences(file: &Path, expected: &str, told: &str) -> Vec<String> {
    let mut differences = Vec::new();
    let (expected, told): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), told.lines().collect());
    for (number, (expected, told)) in expected.iter().zip(&told).enumerate() {
        // The order of fields is part of what is kept.
        if expected != told {
            let before = differences.len();
            compare("", &document(expected), &document(told), &mut differences);
            if differences.len() == before {
                differences.push(" is in another order".to_owned());
            }
            let place = format!("{}, alert {}", file.display(), number + 1);
            differences[before..].iter_mut().for_each(|line| *line = format!("{place}:{line}"));
        }
    }
    if expected.len() != told.len() {
        let (were, are) = (expected.len(), told.len());
        differences.push(format!("{}: there were {were} alerts, and there are {are}", file.display()));
    }
    differences
}

fn compare(path: &str, expected: &Value, told: &Value, differences: &mut Vec<String>) {
    if let (Value::Object(expected), Value::Object(told)) = (expected, told) {
        for name in expected.keys().chain(told.keys()).collect::<BTreeSet<_>>() {
            let of =
                |members: &serde_json::Map<String, Value>| members.get(name).cloned().unwrap_or_default();
            compare(&format!("{path}/{name}"), &of(expected), &of(told), differences);
        }
    } else if expected != told {
        differences.push(format!(" {path} was {expected} and is {told}"));
    }
}
