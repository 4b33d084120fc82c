//! Facts in result.tar about a run. proposed-migration ignores a result without exit code, tested version or triggers,
//! and then waits indefinitely. They are therefore always written, derived from the request when autopkgtest left none.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::bundle_input::BundleInput;
use super::listing::RunSummary;
use super::options::RunOptions;
use super::outcome::Outcome;
use super::record::{self, RequestRecord};
use super::redact::Redactor;
use super::sources::read_text;

/// Maximum size of autopkgtest's own JSON files, in bytes. They are far smaller; a larger file is not autopkgtest's.
const MAX_TESTINFO_BYTES: u64 = 1 << 20;
const TRIGGERS_VARIABLE: &str = "ADT_TEST_TRIGGERS";
/// Member of testinfo.json with what apt-ci adds.
const OWN_MEMBER: &str = "apt-ci";

/// The facts about a run.
pub(super) struct Facts {
    pub(super) summary: RunSummary,
    /// The text of `testinfo.json`.
    pub(super) testinfo: String,
    /// Files of the output folder whose contents are in the facts, so that the artifacts need not repeat them.
    pub(super) covered: Vec<&'static str>,
}

impl Facts {
    /// Reads the facts from the output and redacts them, except for the request's id, which is public.
    pub(super) fn gather(material: &BundleInput<'_>, redactor: &Redactor) -> Self {
        let mut covered = Vec::new();
        let version = tested_version(material.output);
        if version.is_some() {
            covered.push("testpkg-version");
        }
        let version = version.unwrap_or_else(|| {
            let denylisted = Outcome::from_exit_code(material.exit_code) == Outcome::Denylisted;
            if denylisted { "blacklisted" } else { "unknown" }.to_owned()
        });
        let testinfo = testinfo(material.output);
        if testinfo.is_some() {
            covered.push("testinfo.json");
        }
        let parameters = material.request.parameters();
        let clean = |text: String| redactor.text(&text).into_owned();
        let mut options = RunOptions::of(parameters);
        options.ppas = options.ppas.into_iter().map(clean).collect();
        options.testname = options.testname.map(clean);
        Self {
            summary: RunSummary {
                exitcode: material.exit_code,
                version: clean(version),
                duration: material.duration.as_secs(),
                triggers: Some(parameters.triggers.iter().map(|trigger| clean(trigger.to_string())).collect()),
                requester: parameters.requester.as_ref().map(|requester| clean(requester.to_string())),
                uuid: material.request.uuid().map(ToString::to_string),
                proof: material.proof.map(|proof| proof.verdict).unwrap_or_default(),
                fallback: material.proof.is_some_and(|proof| proof.fallback),
                options: Some(options),
            },
            testinfo: complete_testinfo(testinfo, material, redactor),
            covered,
        }
    }
}

/// Returns the version that autopkgtest tested, from the line `SRC VERSION`.
fn tested_version(output: &Path) -> Option<String> {
    let text = read_text(&output.join("testpkg-version"), 4096)?;
    let mut words = text.split_ascii_whitespace();
    let (_, version) = (words.next()?, words.next()?);
    // autopkgtest also writes sentences there, such as "Only running …".
    if words.next().is_some() {
        return None;
    }
    let is_version = version.starts_with(|c: char| c.is_ascii_alphanumeric())
        && version.len() <= 200
        && version.chars().all(|c| c.is_ascii_alphanumeric() || ".+:~-".contains(c));
    is_version.then(|| version.to_owned())
}

/// Returns autopkgtest's own testinfo.json, if it is a JSON object.
fn testinfo(output: &Path) -> Option<Map<String, Value>> {
    match serde_json::from_str(&read_text(&output.join("testinfo.json"), MAX_TESTINFO_BYTES)?) {
        Ok(Value::Object(map)) => Some(map),
        _ => None,
    }
}

/// Returns autopkgtest's testinfo.json with the parts of the request that readers need, and with an object `apt-ci`:
/// `uuid` and `attempt`; `worker`, the worker's name; `triggers` and `ppas`, as lists; `failures`, why earlier attempts
/// had no result; `proof`, the [record of what was tested](super::proof), if there is one; and `request`, the request's
/// parameters, so that it can be submitted again. `secrets-left-out` says that these are incomplete; `other-parameters`
/// names parameters that this version does not know.
fn complete_testinfo(testinfo: Option<Map<String, Value>>, material: &BundleInput<'_>, redactor: &Redactor) -> String {
    let parameters = material.request.parameters();
    let mut testinfo = testinfo.unwrap_or_default();
    let mut environment: Vec<String> = match testinfo.get("custom_environment").and_then(Value::as_array) {
        Some(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        None => parameters.env.iter().map(ToString::to_string).collect(),
    };
    // The triggers come from the request, because readers match results and requests by them.
    environment.retain(|entry| entry.split_once('=').is_none_or(|(name, _)| name != TRIGGERS_VARIABLE));
    let triggers: Vec<String> = parameters.triggers.iter().map(ToString::to_string).collect();
    if !triggers.is_empty() {
        environment.push(format!("{TRIGGERS_VARIABLE}={}", triggers.join(" ")));
    }
    let record = RequestRecord::redacted(material.request, redactor);
    let has_logins = parameters.ppas.iter().any(|ppa| ppa.login().is_some());
    let secrets_left_out =
        has_logins || !parameters.other.is_empty() || record.parameters != record::known(material.request);
    let mut own = json!({
        "attempt": material.attempt,
        "worker": material.worker,
        "triggers": triggers,
        "ppas": parameters.ppas.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "failures": material.failures,
    });
    if let Some(proof) = material.proof {
        own["proof"] = json!(proof);
    }
    let mut own = redactor.value(own);
    own["request"] = record.parameters;
    if !record.other_parameters.is_empty() {
        own["other-parameters"] = json!(record.other_parameters);
    }
    if secrets_left_out {
        own["secrets-left-out"] = json!(true);
    }
    own["uuid"] = json!(material.request.uuid().map(|id| id.as_str()));
    testinfo.insert("custom_environment".to_owned(), json!(environment));
    let mut testinfo = redactor.value(Value::Object(testinfo));
    testinfo[OWN_MEMBER] = own;
    format!("{testinfo:#}\n")
}
