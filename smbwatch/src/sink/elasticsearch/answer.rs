//! What `_bulk` answers:
//! <https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk>

use serde::Deserialize;

use crate::sink::Fate;

/// Errors that are the document's own. A cluster answers 400 to what passes as well: too many shards, a closed index.
const OF_THE_DOCUMENT: [&str; 4] = [
    "document_parsing_exception",
    "mapper_parsing_exception",
    "strict_dynamic_mapping_exception",
    "illegal_argument_exception",
];

#[derive(Deserialize)]
struct Answer {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    create: Outcome,
}

#[derive(Deserialize)]
struct Outcome {
    status: u16,
    error: Option<Error>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Error {
    r#type: String,
    reason: String,
}

/// What became of each document, in the order of the request.
pub(super) fn fates(body: &[u8]) -> serde_json::Result<Vec<Fate>> {
    let answer: Answer = serde_json::from_slice(body)?;
    Ok(answer.items.into_iter().map(|item| fate(item.create)).collect())
}

fn fate(Outcome { status, error }: Outcome) -> Fate {
    let Error { r#type, reason } = error.unwrap_or_default();
    let reason = format!("{status} {type}: {reason}");
    match status {
        // 409: an earlier attempt, whose answer was lost, has put it there.
        200..=299 | 409 => Fate::Delivered,
        413 => Fate::Refused(reason),
        400 if OF_THE_DOCUMENT.contains(&r#type.as_str()) => Fate::Refused(reason),
        // Whoever runs the cluster can give way to it: rights, blocks, data streams, room.
        _ => Fate::Again(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_answered_for_itself() {
        let body = br#"{"took":30,"errors":true,"items":[
            {"create":{"_index":".ds-x","_id":"1","status":201}},
            {"create":{"_id":"2","status":429,"error":{"type":"es_rejected_execution_exception","reason":"queue"}}},
            {"create":{"_id":"3","status":409,"error":{"type":"version_conflict_engine_exception","reason":"exists"}}},
            {"create":{"_id":"4","status":400,"error":{"type":"document_parsing_exception","reason":"no date"}}},
            {"create":{"_id":"5","status":503}}]}"#;
        let refused = Fate::Refused("400 document_parsing_exception: no date".to_owned());
        let again = |reason: &str| Fate::Again(reason.to_owned());
        let busy = again("429 es_rejected_execution_exception: queue");
        let expected = [Fate::Delivered, busy, Fate::Delivered, refused, again("503 : ")];
        assert_eq!(fates(body).expect("an answer"), expected);
        assert!(fates(b"{}").is_err() && fates(br#"{"items":[{"index":{"status":201}}]}"#).is_err());
    }

    #[test]
    fn only_what_is_wrong_with_the_document_itself_is_refused() {
        for (status, kind, refused) in [
            (400, "document_parsing_exception", true),
            (400, "mapper_parsing_exception", true),
            (400, "strict_dynamic_mapping_exception", true),
            (400, "illegal_argument_exception", true),
            (413, "", true),
            (400, "validation_exception", false),
            (400, "index_closed_exception", false),
            (400, "invalid_index_name_exception", false),
            (400, "", false),
            (401, "security_exception", false),
            (403, "cluster_block_exception", false),
            (404, "index_not_found_exception", false),
            (500, "illegal_argument_exception", false),
        ] {
            let body = format!(
                r#"{{"items":[{{"create":{{"status":{status},"error":{{"type":"{kind}","reason":"said"}}}}}}]}}"#
            );
            let reason = format!("{status} {kind}: said");
            let expected = if refused { Fate::Refused(reason) } else { Fate::Again(reason) };
            assert_eq!(fates(body.as_bytes()).expect("an answer"), [expected]);
        }
    }
}
