//! Rules, dashboard and documentation name what a real scrape has, and Prometheus's own tool reads them.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use aya::sys::{Stats, enable_stats};
use serde_json::Value;
use smbwatch_ebpf::testing::build::{IPV4, Ipv4, Tcp, ethernet};
use support::agent::Agent;
use support::lab::{HOST, Lab, SERVER, output, tool};
use support::packet_socket::send_frames;
use support::scrape::Answer;
use support::skip::skip;

const RULES: &str = include_str!("../../packaging/prometheus/rules.yml");
const DASHBOARD: &str = include_str!("../../packaging/grafana/dashboard.json");
const DOCUMENT: &str = include_str!("../../docs/metrics.md");

#[test]
fn what_is_named_is_in_a_scrape() {
    let Some(lab) = Lab::make("what_is_named_is_in_a_scrape") else { return };
    let scrape = scrape(&lab);
    let there: BTreeSet<_> = scrape.samples().map(|(name, _, _)| name).collect();
    for (place, text) in [("rules", RULES), ("dashboard", DASHBOARD), ("docs/metrics.md", DOCUMENT)] {
        let named = names(text);
        assert!(named.len() > 5, "{place}: {named:?}");
        let missing: Vec<_> = named.difference(&there).collect();
        assert!(missing.is_empty(), "{place}: no such metrics: {missing:?}");
    }
    let untold: Vec<_> = there.iter().filter(|name| !names(DOCUMENT).contains(*name)).collect();
    assert!(untold.is_empty(), "not in docs/metrics.md: {untold:?}");
}

#[test]
fn a_scrape_pleases_promtool() {
    let Some(lab) = Lab::make("a_scrape_pleases_promtool") else { return };
    if !has_promtool("a_scrape_pleases_promtool") {
        return;
    }
    let scrape = scrape(&lab);
    let mut check = tool("promtool");
    check.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut check = check.spawn().expect("start promtool");
    let mut input = check.stdin.take().expect("a pipe");
    input.write_all(scrape.body.as_bytes()).expect("write the scrape");
    drop(input);
    let output = check.wait_with_output().expect("wait for promtool");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn rules_and_the_queries_of_the_dashboard_please_promtool() {
    if !has_promtool("rules_and_the_queries_of_the_dashboard_please_promtool") {
        return;
    }
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/prometheus");
    output(tool("promtool").args(["check", "rules"]).arg(rules.join("rules.yml")));
    output(tool("promtool").args(["test", "rules"]).arg(rules.join("rules_test.yml")));
    let recorded = std::env::temp_dir().join(format!("smbw-dashboard-{}.yml", std::process::id()));
    fs::write(&recorded, queries_as_rules().to_string()).expect("write rules");
    output(tool("promtool").args(["check", "rules"]).arg(&recorded));
    fs::remove_file(recorded).expect("clean up");
}

/// A scrape of an agent whose programs have run and been counted.
fn scrape(lab: &Lab) -> Answer {
    // Counts runs until it is dropped, as `kernel.bpf_stats_enabled` does.
    let _counting = enable_stats(Stats::RunTime).expect("count runs");
    let agent = Agent::start(lab);
    let [host, server] = [HOST, SERVER].map(|address| address.parse().expect("an address"));
    let syn = ethernet(&[], IPV4, &Ipv4::new(host, server).wrap(&Tcp::syn(1, 445).bytes()));
    send_frames(lab, &[syn]);
    let scrape = Answer::metrics(lab);
    agent.stop();
    scrape
}

/// Every metric that a text names.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("smbwatch_") || word.starts_with("process_")).collect()
}

/// The dashboard's queries as rules, which promtool can check. JSON is YAML too.
fn queries_as_rules() -> Value {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let panels = dashboard.pointer("/panels").and_then(Value::as_array).expect("panels");
    let targets = panels.iter().filter_map(|panel| panel.get("targets")?.as_array()).flatten();
    let rules: Vec<Value> = targets
        .filter_map(|target| target.get("expr")?.as_str())
        .map(|query| query.replace("$__rate_interval", "5m").replace("$__range", "1h"))
        .enumerate()
        .map(|(number, query)| serde_json::json!({ "record": format!("query:{number}"), "expr": query }))
        .collect();
    assert!(rules.len() > 10, "{rules:?}");
    serde_json::json!({ "groups": [{ "name": "dashboard", "rules": rules }] })
}

fn has_promtool(test: &str) -> bool {
    let there =
        tool("promtool").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        skip(test, "promtool is missing");
    }
    there
}
