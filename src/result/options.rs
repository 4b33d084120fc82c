//! Options of a run: sources of packages other than the release, and the only test.

use std::fmt::Write as _;

use percent_encoding::utf8_percent_encode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::encoding::{WORD, decode};
use crate::request::{PULL_REQUEST, Parameters};

/// Maximum size of the options in a listing, in bytes, so that the header stays small. Longer ones are left out.
const MAX_OPTIONS_BYTES: usize = 1000;

/// Options of a run: sources of packages other than the release, and the only test.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunOptions {
    /// Whether the tested source came from a branch.
    pub branch: bool,
    /// The PPAs that packages came from, each `OWNER/NAME`. The last one names the container.
    pub ppas: Vec<String>,
    /// Whether every package came from the proposed pocket, not only the triggers.
    pub all_proposed: bool,
    /// The only test that ran.
    pub testname: Option<String>,
}

impl RunOptions {
    /// Returns the options of a request, without logins and fingerprints of PPAs.
    pub(super) fn of(parameters: &Parameters) -> Self {
        Self {
            branch: parameters.source.is_some(),
            ppas: parameters.ppas.iter().map(|ppa| format!("{}/{}", ppa.owner(), ppa.name())).collect(),
            all_proposed: parameters.all_proposed,
            testname: parameters.testname.as_ref().map(ToString::to_string),
        }
    }

    /// Reads the options from testinfo.json. Returns `None` when it does not have them.
    pub(crate) fn in_testinfo(testinfo: &Value) -> Option<Self> {
        let Some(request) = testinfo.get("apt-ci").and_then(|own| own.get("request")) else {
            // Other programs do not record the request, but pass the pull request's variable to its test.
            let environment = testinfo.get("custom_environment").and_then(Value::as_array);
            let mut variables = environment.into_iter().flatten().filter_map(Value::as_str);
            let is_pull_request =
                variables.any(|text| text.split_once('=').is_some_and(|(name, _)| name == PULL_REQUEST));
            return is_pull_request.then(|| Self { branch: true, ..Self::default() });
        };
        let ppas = request.get("ppas").and_then(Value::as_array);
        // `[LOGIN@]OWNER/NAME[:FINGERPRINT]`
        let name = |ppa: &str| ppa.rsplit('@').next().unwrap_or_default().split(':').next().map(str::to_owned);
        Some(Self {
            branch: ["test-git", "build-git", "test-bzr"].iter().any(|key| request.get(key).is_some()),
            ppas: ppas.into_iter().flatten().filter_map(Value::as_str).filter_map(name).collect(),
            all_proposed: request.get("all-proposed").is_some(),
            testname: request.get("testname").and_then(Value::as_str).map(str::to_owned),
        })
    }

    /// Returns `all-proposed=1,testname=x`, as far as they apply: other programs distinguish such runs by this text.
    pub fn env(&self) -> String {
        let all_proposed = self.all_proposed.then(|| "all-proposed=1".to_owned());
        let testname = self.testname.as_ref().map(|name| format!("testname={name}"));
        all_proposed.into_iter().chain(testname).collect::<Vec<_>>().join(",")
    }

    /// Returns the parameters of a Content-Type for these options; empty when they are too long for a listing.
    pub(super) fn to_parameters(&self) -> String {
        let word = |text: &String| utf8_percent_encode(text, WORD).to_string();
        let mut text = format!("; tested={}", if self.branch { "branch" } else { "archive" });
        if !self.ppas.is_empty() {
            let _ = write!(text, "; ppas=\"{}\"", self.ppas.iter().map(word).collect::<Vec<_>>().join(" "));
        }
        if self.all_proposed {
            text.push_str("; all-proposed=1");
        }
        if let Some(name) = &self.testname {
            let _ = write!(text, "; testname=\"{}\"", word(name));
        }
        if text.len() > MAX_OPTIONS_BYTES { String::new() } else { text }
    }
}

/// Reader of the options in the parameters of a Content-Type.
#[derive(Default)]
pub(super) struct OptionsReader {
    options: RunOptions,
    /// Whether the listing has options: listings of older versions do not.
    is_told: bool,
}

impl OptionsReader {
    pub(super) fn read(&mut self, name: &str, value: &str) {
        match name {
            "tested" => {
                self.is_told = true;
                self.options.branch = value == "branch";
            }
            "ppas" => self.options.ppas = value.split_ascii_whitespace().map(decode).collect(),
            "all-proposed" => self.options.all_proposed = value == "1",
            "testname" => self.options.testname = Some(decode(value)),
            _ => {}
        }
    }

    pub(super) fn finish(self) -> Option<RunOptions> {
        self.is_told.then_some(self.options)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn testinfo_tells_the_options_of_the_request() {
        let request = json!({"ppas": ["a-b/c", "user:hidden@a/b-c:0123"], "all-proposed": "1", "testname": "t", "build-git": "x"});
        let expected = RunOptions {
            branch: true,
            ppas: vec!["a-b/c".to_owned(), "a/b-c".to_owned()],
            all_proposed: true,
            testname: Some("t".to_owned()),
        };
        let testinfo = |request: Value| json!({"apt-ci": {"request": request}});
        assert_eq!(RunOptions::in_testinfo(&testinfo(request)), Some(expected.clone()));
        assert_eq!(expected.env(), "all-proposed=1,testname=t");
        assert_eq!(RunOptions::in_testinfo(&testinfo(json!({}))), Some(RunOptions::default()));
        assert_eq!(RunOptions::default().env(), "");
    }

    #[test]
    fn another_programs_testinfo_tells_only_a_pull_request() {
        let of = |variable: &str| RunOptions::in_testinfo(&json!({"custom_environment": [variable]}));
        assert_eq!(of("ADT_TEST_TRIGGERS=a/1"), None);
        assert_eq!(of("UPSTREAM_PULL_REQUEST=12"), Some(RunOptions { branch: true, ..RunOptions::default() }));
        for testinfo in [json!(null), json!([]), json!({"custom_environment": 5, "apt-ci": "x"})] {
            assert_eq!(RunOptions::in_testinfo(&testinfo), None);
        }
    }

    #[test]
    fn options_that_are_too_long_are_left_out_of_the_listing() {
        let ppas = (0..100).map(|number| format!("owner-{number}/name")).collect();
        assert_eq!(RunOptions { ppas, ..RunOptions::default() }.to_parameters(), "");
    }
}
