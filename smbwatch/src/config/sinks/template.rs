//! What a webhook is sent, where that is not the document: a template that makes JSON of it.
//! <https://jinja.palletsprojects.com/en/stable/templates/>

use std::sync::LazyLock;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Two alerts: one that has the least fields, and one that has many.
const SAMPLES: &str = include_str!("sample.ndjson");

/// Expressions become JSON, quotes included; what an alert lacks becomes null.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Json);
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment
});

/// A template that has made JSON of each sample.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(String);

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let template = Self(text);
        for sample in SAMPLES.lines() {
            let alert = serde_json::from_str(sample).map_err(|error| error.to_string())?;
            template.render(&alert).map_err(|error| format!("the `template` {error}"))?;
        }
        Ok(template)
    }
}

impl Template {
    /// JSON, made of an alert; or what keeps it from that.
    pub(crate) fn render(&self, alert: &Value) -> Result<String, String> {
        let alert = minijinja::Value::from(Serde(alert));
        let scope = context! { alert => alert.clone(), ..alert };
        let made = ENVIRONMENT.template_from_str(&self.0).and_then(|template| template.render(scope));
        let made = made.map_err(|error| {
            let line = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
            let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
            format!("fails{line}: {}{detail}", error.kind())
        })?;
        match serde_json::from_str::<IgnoredAny>(&made) {
            Ok(_) => Ok(made),
            Err(error) => Err(format!(
                "makes no JSON: {error}; write {{{{ event.reason }}}} without quotes, it brings its own"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(text: &str) -> Vec<String> {
        let template = Template::try_from(text.to_owned()).unwrap_or_else(|error| panic!("{text}: {error}"));
        let alerts = SAMPLES.lines().map(|line| serde_json::from_str(line).expect("a sample"));
        alerts.map(|alert: Value| template.render(&alert).expect("JSON")).collect()
    }

    #[test]
    fn expressions_become_json() {
        for (text, expected) in [
            ("{{ destination.port }}", ["445", "445"]),
            ("[{{ process.name }}, {{ process.parent.pid }}]", ["[null, null]", "[\"smbclient\", 4100]"]),
            ("{{ process.name | default('unknown') | upper }}", ["\"UNKNOWN\"", "\"SMBCLIENT\""]),
            ("{{ 'high' if event.severity > 47 else 'low' }}", ["\"low\"", "\"high\""]),
            ("{{ 'SMB to ' ~ destination.ip }}", ["\"SMB to 93.184.216.34\""; 2]),
            ("{{ alert['@timestamp'][:4] }}", ["\"2026\""; 2]),
        ] {
            assert_eq!(made(text), expected, "{text}");
        }
        let whole: Vec<Value> =
            made("{{ alert }}").iter().map(|text| serde_json::from_str(text).expect(text)).collect();
        let samples: Vec<Value> =
            SAMPLES.lines().map(|line| serde_json::from_str(line).expect("a sample")).collect();
        assert_eq!(whole, samples);
    }

    #[test]
    fn nothing_in_an_alert_ends_a_text() {
        let template = Template("{\"text\": {{ event.reason }}}".to_owned());
        let hostile = "\"}, \\u0000 \u{1} {{ 7 * 7 }} </script> \n";
        let alert = serde_json::json!({ "event": { "reason": hostile } });
        let made: Value = serde_json::from_str(&template.render(&alert).expect("JSON")).expect("JSON");
        assert_eq!(made, serde_json::json!({ "text": hostile }));
    }

    #[test]
    fn a_mistake_is_told_before_there_is_an_alert() {
        for (text, message) in [
            ("{\"text\": \"{{ event.reason }}\"}", "the `template` makes no JSON: "),
            ("{\"text\": {{ event.reason }}", "the `template` makes no JSON: EOF"),
            ("\n{{ event.reason", "the `template` fails in line 2: syntax error: "),
            ("{{ event.reason | shout }}", "the `template` fails in line 1: unknown filter: "),
            ("\n\n{{ now() }}", "the `template` fails in line 3: unknown function: "),
            ("", "the `template` makes no JSON: "),
        ] {
            let error = Template::try_from(text.to_owned()).expect_err(text);
            assert!(error.starts_with(message), "{text}: {error}");
        }
    }
}
