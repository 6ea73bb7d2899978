//! What is packaged for other systems names fields and values that alerts have.

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{ecs, mapping};

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
    let rules = include_str!("../../packaging/detection/elastic-rules.ndjson");
    let rules: Vec<Value> = rules.lines().map(|rule| serde_json::from_str(rule).expect("JSON")).collect();
    assert!(rules.len() >= 3);
    let mut names: Vec<&str> = Vec::new();
    for rule in &rules {
        for key in ["rule_id", "name", "description", "query", "severity", "risk_score", "license", "threat"]
        {
            assert!(rule.get(key).is_some(), "{key} is missing in {rule:#}");
        }
        names.push(rule["rule_id"].as_str().expect("an identifier"));
        for clause in rule["query"].as_str().expect("a query").split(" and ") {
            let (field, values) = clause.split_once(" : ").expect("a field and its values");
            let values = values.split('"').skip(1).step_by(2);
            values.for_each(|value| exists(field, value));
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
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/detection/sigma");
    let mut rules = 0;
    for file in fs::read_dir(folder).expect("the rules") {
        let text = fs::read_to_string(file.expect("a file").path()).expect("a rule");
        let (_, selection) = text.split_once("  selection:\n").expect("a selection");
        let (selection, _) = selection.split_once("  condition: selection\n").expect("a condition");
        let mut field = "";
        for line in selection.lines() {
            match line.trim().split_once(':') {
                Some((name, "")) => field = name,
                Some((name, value)) => exists(name, value.trim()),
                None => exists(field, line.trim().trim_start_matches("- ")),
            }
        }
        rules += 1;
    }
    assert!(rules >= 4);
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
