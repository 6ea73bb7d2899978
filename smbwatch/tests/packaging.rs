//! What is packaged for other systems names fields and values that alerts have.

mod support;

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::agent::{PATIENCE, document, text};
use support::guard::Guard;
use support::lab::{End, Lab};
use support::scrape::Answer;
use support::{ecs, mapping, stranger};

const TEMPLATE: &str = include_str!("../../packaging/elasticsearch/index-template.json");
const STREAM: &str = "/logs-smbwatch.alert-default";

#[test]
fn the_index_template_maps_as_ecs_says() {
    let mut fields = Vec::new();
    leaves("", mapping::properties(), &mut fields);
    assert!(fields.len() > 200, "{fields:?}");
    for (field, kind) in &fields {
        match (field.starts_with("smbwatch."), ecs::kind(field)) {
            (true, None) => {}
            // Times have nanoseconds; labels are any number of keys.
            (false, Some("date")) => assert_eq!(kind, "date_nanos", "{field}"),
            (false, Some("object")) => assert_eq!(kind, "flattened", "{field}"),
            (false, Some(expected)) => assert_eq!(kind, expected, "{field}"),
            (own, kind) => panic!("{field} is {kind:?} in ECS, own is {own}"),
        }
    }
}

#[test]
fn rules_for_elastic_name_what_alerts_have() {
    let rules = rules();
    assert!(rules.len() >= 3);
    let mut names: Vec<&str> = Vec::new();
    for rule in &rules {
        for key in ["rule_id", "name", "description", "query", "severity", "risk_score", "license", "threat"]
        {
            assert!(rule.get(key).is_some(), "{key} is missing in {rule:#}");
        }
        names.push(rule["rule_id"].as_str().expect("an identifier"));
        for (field, values) in sought(rule) {
            values.iter().for_each(|value| exists(&field, value));
        }
        let mapped = rule["severity_mapping"].as_array().expect("a list");
        assert!(mapped.iter().all(|each| mapping::kind(each["field"].as_str().expect("a field")).is_some()));
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rules.len());
}

#[test]
fn rules_of_sigma_name_what_alerts_have() {
    let rules = sigma();
    assert!(rules.len() >= 4);
    for (field, values) in rules.iter().flatten() {
        values.iter().for_each(|value| exists(field, value));
    }
}

#[test]
fn an_elasticsearch_takes_alerts_by_the_template_and_finds_them_by_the_rules() {
    let test = "an_elasticsearch_takes_alerts_by_the_template_and_finds_them_by_the_rules";
    let Some(lab) = Lab::make(test) else { return };
    let args = ["start", "--only", "elasticsearch"];
    let Some(_server) = serve(test, &lab, "noida_db/noida-db", &args) else { return };
    take_and_find(&lab, TEMPLATE);
}

#[test]
fn an_opensearch_takes_alerts_by_the_template_and_finds_them_by_the_rules() {
    let test = "an_opensearch_takes_alerts_by_the_template_and_finds_them_by_the_rules";
    let Some(lab) = Lab::make(test) else { return };
    let args = ["-addr", "127.0.0.1:9200", "-no-stdin-watch", "-no-ja"];
    let Some(_server) = serve(test, &lab, "osmem_server/bin/osmem-server", &args) else { return };
    // What this server does not have is data streams; an index is enough for it.
    let template =
        TEMPLATE.replace("\"flattened\"", "\"flat_object\"").replace("  \"data_stream\": {},\n", "");
    assert!(!template.contains("data_stream"));
    take_and_find(&lab, &template);
    let near = alerts().iter().filter(|alert| text(alert, "source.ip").starts_with("10.")).count();
    assert!(near > 0);
    assert_eq!(count(&lab, &json!({ "term": { "source.ip": "10.0.0.0/8" } })), near);
}

/// Has a server take the template and every alert, and find what the rules seek.
fn take_and_find(lab: &Lab, template: &str) {
    let answer = ask(lab, "PUT", "/_index_template/smbwatch", template);
    assert_eq!(answer, json!({ "acknowledged": true }));
    let alerts = alerts();
    let bulk: String = alerts.iter().map(|alert| format!("{{\"create\":{{}}}}\n{alert}\n")).collect();
    let answer = ask(lab, "POST", &format!("{STREAM}/_bulk?refresh=true"), &bulk);
    assert_eq!(answer["errors"], false, "{answer:#}");
    // Fields are what the template says, and not what a server makes of them by itself.
    let bulk = "{\"create\":{}}\n{\"@timestamp\":\"2026-11-24T00:00:00Z\",\"source\":{\"ip\":\"none\"}}\n";
    let answer = ask(lab, "POST", &format!("{STREAM}/_bulk?refresh=true"), bulk);
    assert_eq!(answer.pointer("/items/0/create/status"), Some(&json!(400)), "{answer:#}");

    let mut found = 0;
    for sought in rules().iter().map(sought).chain(sigma()) {
        let query: Vec<String> = sought
            .iter()
            .map(|(field, values)| format!("{field}:(\"{}\")", values.join("\" OR \"")))
            .collect();
        let query = json!({ "query_string": { "query": query.join(" AND ") } });
        let wanted = alerts.iter().filter(|alert| has(alert, &sought)).count();
        assert_eq!(count(lab, &query), wanted, "{query}");
        found += usize::from(wanted > 0);
    }
    assert!(found >= 5, "{found}");
}

/// Starts a server inside the lab, unless it is missing.
fn serve(test: &str, lab: &Lab, program: &str, args: &[&str]) -> Option<Guard> {
    let program = stranger::find(test, &format!("python/{program}"))?;
    let mut server = lab.as_nobody(End::Host, program);
    server.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let server = Guard(server.spawn().expect("start the server"));
    let deadline = Instant::now() + PATIENCE;
    while connect(lab).is_err() {
        assert!(Instant::now() < deadline, "it does not listen");
        std::thread::sleep(Duration::from_millis(10));
    }
    Some(server)
}

/// The alerts of every replayed file.
fn alerts() -> Vec<Value> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden");
    let mut alerts = Vec::new();
    for folder in fs::read_dir(golden).expect("the folders") {
        for file in fs::read_dir(folder.expect("a folder").path()).expect("the files") {
            let lines = fs::read_to_string(file.expect("a file").path()).expect("a file");
            alerts.extend(lines.lines().map(document));
        }
    }
    alerts
}

fn connect(lab: &Lab) -> std::io::Result<TcpStream> {
    lab.inside(End::Host, || TcpStream::connect("127.0.0.1:9200"))
}

/// Asks the server.
fn ask(lab: &Lab, method: &str, path: &str, body: &str) -> Value {
    let head = format!("{method} {path} HTTP/1.0\r\nHost: elastic\r\nContent-Type: application/json");
    let head = format!("{head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut stream = connect(lab).expect("connect");
    stream.write_all((head + body).as_bytes()).expect("ask");
    serde_json::from_str(&Answer::read(stream).body).expect("JSON")
}

/// How many alerts a query finds.
fn count(lab: &Lab, query: &Value) -> usize {
    let answer = ask(lab, "POST", &format!("{STREAM}/_count"), &json!({ "query": query }).to_string());
    let count = answer["count"].as_u64().unwrap_or_else(|| panic!("{answer:#}"));
    usize::try_from(count).expect("not so many")
}

fn rules() -> Vec<Value> {
    let rules = include_str!("../../packaging/detection/elastic-rules.ndjson");
    rules.lines().map(|rule| serde_json::from_str(rule).expect("JSON")).collect()
}

/// What a rule seeks: fields, and their values of which an alert has one.
type Sought = Vec<(String, Vec<String>)>;

fn sought(rule: &Value) -> Sought {
    let clauses = rule["query"].as_str().expect("a query").split(" and ").map(|clause| {
        let (field, values) = clause.split_once(" : ").expect("a field and its values");
        (field.to_owned(), values.split('"').skip(1).step_by(2).map(str::to_owned).collect())
    });
    clauses.collect()
}

/// What Sigma's rules seek.
fn sigma() -> Vec<Sought> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/detection/sigma");
    let rules = fs::read_dir(folder).expect("the rules").map(|file| {
        let text = fs::read_to_string(file.expect("a file").path()).expect("a rule");
        let (_, selection) = text.split_once("  selection:\n").expect("a selection");
        let (selection, _) = selection.split_once("  condition: selection\n").expect("a condition");
        let mut sought = Sought::new();
        for line in selection.lines() {
            match line.trim().split_once(':') {
                Some((name, "")) => sought.push((name.to_owned(), Vec::new())),
                Some((name, value)) => sought.push((name.to_owned(), vec![value.trim().to_owned()])),
                None => {
                    let (_, values) = sought.last_mut().expect("a field");
                    values.push(line.trim().trim_start_matches("- ").to_owned());
                }
            }
        }
        sought
    });
    rules.collect()
}

fn has(alert: &Value, sought: &Sought) -> bool {
    sought.iter().all(|(field, values)| {
        let value = alert.pointer(&format!("/{}", field.replace('.', "/"))).and_then(Value::as_str);
        value.is_some_and(|value| values.iter().any(|each| each == value))
    })
}

/// Fails unless alerts have the field, and `docs/alert.md` or the code knows its value.
fn exists(field: &str, value: &str) {
    assert!(mapping::kind(field).is_some(), "alerts have no {field}");
    let known = [include_str!("../../docs/alert.md"), include_str!("../src/alert.rs")];
    let quoted = [format!("`{value}`"), format!("\"{value}\"")];
    let is_known = known.iter().any(|text| quoted.iter().any(|quoted| text.contains(quoted)));
    assert!(is_known, "{field} is never {value}");
}

fn leaves(path: &str, properties: &Value, fields: &mut Vec<(String, String)>) {
    for (name, mapping) in properties.as_object().expect("an object") {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match (mapping.get("properties"), mapping.get("type").and_then(Value::as_str)) {
            (Some(properties), None) => leaves(&path, properties, fields),
            (None, Some(kind)) => fields.push((path, kind.to_owned())),
            _ => panic!("{path} is mapped to {mapping}"),
        }
    }
}
