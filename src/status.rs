//! Announcements of workers: running tests (`teststatus.fanout`) and completed ones (`testcomplete.fanout`).

use std::time::Duration;

use serde_json::{Value, json};

use crate::release::QueueName;
use crate::request::Request;
use crate::result::RunId;
use crate::result::layout::ResultLocation;
use crate::result::listing::RunSummary;

/// Replaces the package of a private run.
pub const PRIVATE_PACKAGE: &str = "private-test";

/// Replaces the log of a private run.
pub const PRIVATE_LOG: &str = "Running private test";

/// Replaces a private run's folder in the store. Ubuntu's database writer splits it into five parts and crashes for any
/// other number.
const PRIVATE_FOLDER: &str = "private/private/private/private/private@";

/// Contents of a message of `teststatus.fanout`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub struct TestStatus {
    /// The release.
    pub release: String,
    /// The architecture.
    pub architecture: String,
    /// The source package; `private-test` for a private run.
    pub package: String,
    /// Whether the test runs; `false` when it has ended.
    pub running: bool,
    /// The request's parameters.
    #[serde(default)]
    pub params: serde_json::Map<String, Value>,
    /// Time since its start, in seconds.
    #[serde(default)]
    pub duration: u64,
    /// The first lines and the end of its log.
    #[serde(default)]
    pub logtail: String,
}

impl TestStatus {
    /// Parses a message of any program's worker; `None` when it is invalid.
    pub fn parse(message: &[u8]) -> Option<Self> {
        serde_json::from_slice(message).ok()
    }
}

/// The test in a message of `testcomplete.fanout`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub struct TestComplete {
    /// The release.
    pub release: String,
    /// The architecture.
    pub architecture: String,
    /// The source package; `private-test` for a private run.
    pub package: String,
}

impl TestComplete {
    /// Parses a message of any program's worker; `None` when it is invalid.
    pub fn parse(message: &[u8]) -> Option<Self> {
        serde_json::from_slice(message).ok()
    }

    /// Returns whether results with this prefix are of the test's package: `RELEASE/ARCH/PREFIX/PACKAGE/`.
    pub fn is_about(&self, prefix: &str) -> bool {
        prefix.starts_with(&format!("{}/{}/", self.release, self.architecture))
            && prefix.ends_with(&format!("/{}/", self.package))
    }
}

/// Returns the message that a test runs, or (`running` is false) that it no longer runs. `duration` is how long it has
/// run, `logtail` the end of its log.
///
/// A private run only shows that it exists: its package, parameters and log are left out.
pub fn test_status(queue: &QueueName, request: &Request, running: bool, duration: Duration, logtail: &str) -> Vec<u8> {
    let (package, params, logtail) = if request.is_private() {
        (PRIVATE_PACKAGE, json!({}), PRIVATE_LOG)
    } else {
        (request.package().as_str(), Value::Object(request.public_parameters()), logtail)
    };
    json!({
        "release": queue.release,
        "architecture": queue.architecture,
        "package": package,
        "running": running,
        "params": params,
        "duration": duration.as_secs(),
        "logtail": logtail,
    })
    .to_string()
    .into_bytes()
}

/// Returns the message that a run's result is in the store.
///
/// Everyone who listens gets it. The message of a private run therefore only has its time, duration and exit code, not
/// whose it was or what was tested. All fields exist nevertheless, because listeners read them unconditionally:
/// `package` is `private-test`, `testpkg_version` is `unknown`, `container` is the release's private container without
/// the PPA's name, `swift_dir` is `private/private/private/private/private@`, and `triggers`, `requester` and `env` are
/// empty. Readers with access to the result find it in the store.
pub fn test_complete(place: &ResultLocation, run: &RunId, request: &Request, summary: &RunSummary) -> Vec<u8> {
    let ResultLocation { container, path, .. } = place;
    let mut message = json!({
        "architecture": path.architecture,
        "container": ResultLocation::anonymous_container(&path.release),
        "duration": summary.duration,
        "exitcode": summary.exitcode,
        "package": PRIVATE_PACKAGE,
        "testpkg_version": "unknown",
        "release": path.release,
        "requester": "",
        "swift_dir": PRIVATE_FOLDER,
        "triggers": "",
        "env": "",
    });
    if !request.is_private() {
        let triggers: Vec<String> = request.parameters().triggers.iter().map(ToString::to_string).collect();
        message["container"] = json!(container);
        message["package"] = json!(path.package.as_str());
        message["testpkg_version"] = json!(summary.version);
        message["requester"] = json!(summary.requester.as_deref().unwrap_or_default());
        message["swift_dir"] = json!(path.folder(run));
        message["triggers"] = json!(triggers.join(" "));
        message["env"] = json!(environment(request));
    }
    message.to_string().into_bytes()
}

/// Returns `all-proposed=1,testname=x`: readers distinguish this run from one of the unchanged archive by it. The
/// test's own variables are left out: readers ignore runs with any other entry.
fn environment(request: &Request) -> String {
    let parameters = request.parameters();
    let mut env = Vec::new();
    if parameters.all_proposed {
        env.push("all-proposed=1".to_owned());
    }
    if let Some(name) = &parameters.testname {
        env.push(format!("testname={name}"));
    }
    env.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Request {
        Request::parse(text.as_bytes()).unwrap()
    }

    fn parse(message: &[u8]) -> Value {
        serde_json::from_slice(message).unwrap()
    }

    #[test]
    fn who_watches_sees_what_runs_and_for_how_long() {
        let queue = "debci-bookworm-amd64".parse().unwrap();
        let request = request(r#"gzip {"triggers": ["glibc/2.36-9"], "mood": "good", "all-proposed": "1"}"#);
        let message = test_status(&queue, &request, true, Duration::from_millis(61_900), "one\ntwo\n");
        let expected = json!({
            "release": "bookworm",
            "architecture": "amd64",
            "package": "gzip",
            "running": true,
            "params": {"triggers": ["glibc/2.36-9"], "mood": "good", "all-proposed": "1"},
            "duration": 61,
            "logtail": "one\ntwo\n",
        });
        assert_eq!(parse(&message), expected);
    }

    #[test]
    fn a_private_run_shows_only_that_it_is_there() {
        let queue = "debci-ppa-noble-amd64".parse().unwrap();
        for parameters in [r#"{"swiftuser": "alice"}"#, r#"{"ppas": ["bob:TOKEN@bob/secret"]}"#] {
            let request = request(&format!("hidden {parameters}"));
            let message = test_status(&queue, &request, false, Duration::ZERO, "secret");
            let expected = json!({
                "release": "noble",
                "architecture": "amd64",
                "package": "private-test",
                "running": false,
                "params": {},
                "duration": 0,
                "logtail": "Running private test",
            });
            assert_eq!(parse(&message), expected);
        }
    }

    #[test]
    fn a_public_archive_shows_its_name_only() {
        let key = "0123456789ABCDEF0123456789ABCDEF01234567";
        let request = request(&format!(r#"gzip {{"ppas": ["o/n:{key}", "p/q"]}}"#));
        let message = test_status(&"debci-noble-amd64".parse().unwrap(), &request, true, Duration::ZERO, "");
        assert_eq!(parse(&message)["params"], json!({"ppas": ["o/n", "p/q"]}));
    }

    fn completion(text: &str) -> Vec<u8> {
        let request = request(text);
        let place = ResultLocation::of(&request, &"debci-bookworm-amd64".parse().unwrap());
        let run = "20261123_084000_0a1b2@".parse().unwrap();
        let summary = RunSummary {
            exitcode: 4,
            version: "1.6-1".to_owned(),
            duration: 12,
            triggers: None,
            requester: Some("alice".to_owned()),
            uuid: Some("u-1".to_owned()),
            proof: crate::result::ProofVerdict::None,
            fallback: false,
            options: None,
        };
        test_complete(&place, &run, &request, &summary)
    }

    #[test]
    fn a_completed_run_says_where_its_result_is() {
        let message = completion(
            r#"libpng {"triggers": ["a/1", "b/2"], "all-proposed": "1", "testname": "x", "env": ["A=1"], "ppas": ["o/n"]}"#,
        );
        let expected = json!({
            "architecture": "amd64",
            "container": "autopkgtest-bookworm-o-n",
            "duration": 12,
            "exitcode": 4,
            "package": "libpng",
            "testpkg_version": "1.6-1",
            "release": "bookworm",
            "requester": "alice",
            "swift_dir": "bookworm/amd64/libp/libpng/20261123_084000_0a1b2@",
            "triggers": "a/1 b/2",
            "env": "all-proposed=1,testname=x",
        });
        assert_eq!(parse(&message), expected);
    }

    #[test]
    fn the_completion_of_a_private_run_does_not_say_whose_it_was() {
        for whose in [r#""swiftuser": "bob""#, r#""ppas": ["bob:TOKEN@team/hidden"]"#] {
            let parameters = format!(r#"{{{whose}, "triggers": ["secret/1"], "testname": "t", "env": ["A=1"]}}"#);
            let message = completion(&format!("secret {parameters}"));
            let expected = json!({
                "architecture": "amd64",
                "container": "private-autopkgtest-bookworm",
                "duration": 12,
                "exitcode": 4,
                "package": "private-test",
                "testpkg_version": "unknown",
                "release": "bookworm",
                "requester": "",
                "swift_dir": "private/private/private/private/private@",
                "triggers": "",
                "env": "",
            });
            assert_eq!(parse(&message), expected);
        }
    }
}
