//! The Elastic Common Schema 9.4.0, and whether a document keeps to it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::OnceLock;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::mapping;

#[derive(Deserialize)]
struct Schema {
    fields: BTreeMap<String, Field>,
}

#[derive(Deserialize)]
struct Field {
    r#type: String,
    #[serde(default)]
    array: bool,
    /// Allowed values, each with the values of `event.type` that go with it.
    #[serde(default)]
    allowed: BTreeMap<String, Vec<String>>,
}

/// The type of a field, if ECS has it.
pub fn kind(field: &str) -> Option<&'static str> {
    schema().fields.get(field).map(|field| field.r#type.as_str())
}

/// Every way in which `document` departs from the schema; none if it keeps to it.
pub fn complaints(document: &Value) -> Vec<String> {
    let schema = schema();
    let mut complaints = Vec::new();
    walk(schema, "", document, &mut complaints);
    complaints.extend(mapping::complaints(document));
    for required in ["@timestamp", "message", "ecs.version", "event.kind", "event.action", "smbwatch.grade"] {
        if document.pointer(&pointer(required)).is_none() {
            complaints.push(format!("{required} is missing"));
        }
    }
    events_fit(schema, document, &mut complaints);
    complaints
}

fn schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        serde_json::from_str(include_str!("../data/ecs-9.4.0-fields.json")).expect("the schema")
    })
}

/// `process.parent.pid` as a JSON pointer.
pub fn pointer(path: &str) -> String {
    format!("/{}", path.replace('.', "/"))
}

fn walk(schema: &Schema, path: &str, value: &Value, complaints: &mut Vec<String>) {
    if path == "smbwatch" {
        return;
    }
    let is_object = schema.fields.get(path).is_some_and(|field| field.r#type == "object");
    if let Value::Object(members) = value {
        if is_object {
            // Its members are free, but for a dot, which would make another object.
            let dotted = members.keys().filter(|name| name.contains('.'));
            complaints.extend(dotted.map(|name| format!("{path} has the member {name}")));
            return;
        }
        for (name, member) in members {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            walk(schema, &path, member, complaints);
        }
        return;
    }
    let Some(field) = schema.fields.get(path) else {
        return complaints.push(format!("{path} is no field of ECS"));
    };
    let values = match (value.as_array(), field.array) {
        (Some(values), true) => values.as_slice(),
        (None, false) => std::slice::from_ref(value),
        (Some(_), false) => return complaints.push(format!("{path} is an array")),
        (None, true) => return complaints.push(format!("{path} is no array")),
    };
    for value in values {
        if !fits(&field.r#type, value) {
            complaints.push(format!("{path} is {value}, which is no {}", field.r#type));
        }
        if let Some(text) = value.as_str()
            && !field.allowed.is_empty()
            && !field.allowed.contains_key(text)
        {
            complaints.push(format!("{path} is {text}, which ECS does not allow"));
        }
    }
}

fn fits(kind: &str, value: &Value) -> bool {
    match kind {
        "keyword" | "constant_keyword" | "wildcard" | "match_only_text" => value.is_string(),
        "ip" => value.as_str().is_some_and(|text| text.parse::<IpAddr>().is_ok()),
        "date" => value.as_str().is_some_and(|text| text.parse::<Timestamp>().is_ok()),
        "long" => value.is_i64() || value.as_u64().is_some_and(|number| i64::try_from(number).is_ok()),
        "integer" => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        "float" | "double" | "scaled_float" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => false,
    }
}

/// Whether `event.type` goes with every `event.category`, and the severity is one of four.
fn events_fit(schema: &Schema, document: &Value, complaints: &mut Vec<String>) {
    let texts = |path: &str| {
        let values = document.pointer(&pointer(path)).and_then(Value::as_array);
        values.into_iter().flatten().filter_map(Value::as_str)
    };
    for category in texts("event.category") {
        let expected = schema.fields.get("event.category").and_then(|field| field.allowed.get(category));
        for kind in texts("event.type") {
            if !expected.is_some_and(|expected| expected.iter().any(|expected| expected == kind)) {
                complaints.push(format!("event.type {kind} does not go with event.category {category}"));
            }
        }
    }
    let severity = document.pointer("/event/severity").and_then(Value::as_u64);
    if !matches!(severity, Some(21 | 47 | 73 | 99)) {
        complaints.push(format!("event.severity is {severity:?}"));
    }
}
