//! The record of a request in its result and bundle, which distinguishes it from another one with the same id.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::redact::Redactor;
use crate::request::Request;

/// A request without its secrets: what was requested, when, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RequestRecord {
    /// The tested package.
    pub package: String,
    /// The request's id.
    pub uuid: Option<String>,
    /// The known parameters except the id, in the wire form. Tokens are left out.
    pub parameters: Value,
    /// Names of the other parameters. Their values may be secrets of other programs.
    #[serde(default)]
    pub other_parameters: Vec<String>,
}

impl RequestRecord {
    /// Returns the record of a request.
    pub fn of(request: &Request) -> Self {
        Self::redacted(request, &Redactor::new(request, &[]))
    }

    pub(super) fn redacted(request: &Request, redactor: &Redactor) -> Self {
        let other = &request.parameters().other;
        Self {
            package: request.package().to_string(),
            uuid: request.uuid().map(ToString::to_string),
            parameters: redactor.value(known(request)),
            other_parameters: other.keys().map(|name| redactor.text(name).into_owned()).collect(),
        }
    }

    /// Returns the record in the testinfo.json of a result of this package; `None` when there is none.
    pub fn in_testinfo(package: &str, testinfo: &Value) -> Option<Self> {
        let own = testinfo.get("apt-ci")?;
        let names = own.get("other-parameters").and_then(Value::as_array).into_iter().flatten();
        Some(Self {
            package: package.to_owned(),
            uuid: own.get("uuid").and_then(Value::as_str).map(str::to_owned),
            parameters: own.get("request").filter(|request| request.is_object())?.clone(),
            other_parameters: names.filter_map(Value::as_str).map(str::to_owned).collect(),
        })
    }
}

/// Returns the parameters that this version knows, without the id and without tokens.
pub(super) fn known(request: &Request) -> Value {
    let mut parameters = request.public_parameters();
    parameters.remove("uuid");
    parameters.retain(|name, _| !request.parameters().other.contains_key(name));
    json!(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(parameters: &str) -> RequestRecord {
        RequestRecord::of(&Request::parse(format!("gzip {parameters}").as_bytes()).unwrap())
    }

    #[test]
    fn a_request_is_told_from_another_one_with_its_id() {
        let one = record(r#"{"uuid": "u", "triggers": ["a/1"], "submit-time": "2026-01-01 00:00:00+0000"}"#);
        for other in [
            r#"{"uuid": "u", "triggers": ["a/2"], "submit-time": "2026-01-01 00:00:00+0000"}"#,
            r#"{"uuid": "u", "triggers": ["a/1"], "submit-time": "2026-01-01 00:00:01+0000"}"#,
            r#"{"uuid": "u", "triggers": ["a/1"]}"#,
            r#"{"uuid": "v", "triggers": ["a/1"], "submit-time": "2026-01-01 00:00:00+0000"}"#,
            r#"{"uuid": "u", "triggers": ["a/1"], "submit-time": "2026-01-01 00:00:00+0000", "x": 1}"#,
        ] {
            assert_ne!(one, record(other), "{other}");
        }
        assert_eq!(
            one,
            record(r#"{"submit-time": "2026-01-01 00:00:00+0000", "triggers": ["a/1"], "uuid": "u", "env": []}"#)
        );
    }

    #[test]
    fn a_record_holds_no_secret() {
        let text = serde_json::to_string(&record(r#"{"ppas": ["u:hunter2@o/n"], "x-key": "swordfish"}"#)).unwrap();
        assert!(!text.contains("hunter2") && !text.contains("swordfish") && text.contains("x-key"), "{text}");
    }
}
