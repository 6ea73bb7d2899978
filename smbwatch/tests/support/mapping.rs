//! The index template for Elasticsearch, and whether it maps every field of a document.

use std::sync::OnceLock;

use serde_json::Value;

/// The template's mapping.
pub fn properties() -> &'static Value {
    static TEMPLATE: OnceLock<Value> = OnceLock::new();
    let template = TEMPLATE.get_or_init(|| {
        let text = include_str!("../../../packaging/elasticsearch/index-template.json");
        serde_json::from_str(text).expect("JSON")
    });
    template.pointer("/template/mappings/properties").expect("a mapping")
}

/// The type that a field is mapped to.
pub fn kind(field: &str) -> Option<&'static str> {
    let pointer = format!("/{}/type", field.replace('.', "/properties/"));
    properties().pointer(&pointer)?.as_str()
}

/// Every field of a document that the template does not map, or not to what it holds.
pub fn complaints(document: &Value) -> Vec<String> {
    let mut complaints = Vec::new();
    walk("", document, &mut complaints);
    complaints
}

fn walk(path: &str, value: &Value, complaints: &mut Vec<String>) {
    let kind = kind(path);
    match value {
        Value::Object(_) if kind == Some("flattened") => {}
        Value::Object(members) => {
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                walk(&path, member, complaints);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| walk(path, value, complaints)),
        Value::Null => complaints.push(format!("{path} is null")),
        Value::Bool(_) if kind == Some("boolean") => {}
        Value::Number(_) if matches!(kind, Some("long" | "float")) => {}
        Value::String(_)
            if matches!(kind, Some("keyword" | "wildcard" | "match_only_text" | "ip" | "date_nanos")) => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            complaints.push(format!("{path} is {value}, and mapped to {kind:?}"));
        }
    }
}
