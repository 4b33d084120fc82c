//! What a worker tells the world: what runs now (`teststatus.fanout`) and what has ended (`testcomplete.fanout`).

use std::time::Duration;

use serde_json::{Value, json};

use crate::release::QueueName;
use crate::request::Request;
use crate::result::layout::{PackagePath, RunId, container};
use crate::result::listing::RunSummary;

/// The message that a test runs, or (`running` is false) that it does not run any more. `duration` is how long it has run,
/// `logtail` the end of its log.
///
/// A private run shows nothing but that it is there: its package, parameters and log are nobody else's business.
pub fn test_status(queue: &QueueName, request: &Request, running: bool, duration: Duration, logtail: &str) -> Vec<u8> {
    let (package, params, logtail) = if request.is_private() {
        ("private-test", json!({}), "Running private test")
    } else {
        (request.package().as_str(), Value::Object(request.wire_parameters()), logtail)
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

/// The message that a run's result is in the store.
pub fn test_complete(path: &PackagePath, run: &RunId, request: &Request, summary: &RunSummary) -> Vec<u8> {
    let parameters = request.parameters();
    let triggers: Vec<String> = parameters.triggers.iter().map(ToString::to_string).collect();
    let mut env = Vec::new();
    if parameters.all_proposed {
        env.push("all-proposed=1".to_owned());
    }
    if let Some(name) = &parameters.testname {
        env.push(format!("testname={name}"));
    }
    env.extend(parameters.env.iter().map(ToString::to_string));
    json!({
        "architecture": path.architecture,
        "container": container(&path.release),
        "duration": summary.duration,
        "exitcode": summary.exitcode,
        "package": path.package.as_str(),
        "testpkg_version": summary.version,
        "release": path.release,
        "requester": summary.requester.as_deref().unwrap_or_default(),
        "swift_dir": path.folder(run),
        "triggers": triggers.join(" "),
        "env": env.join(","),
    })
    .to_string()
    .into_bytes()
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
    fn a_completed_run_says_where_its_result_is() {
        let path = PackagePath {
            release: "bookworm".parse().unwrap(),
            architecture: "amd64".parse().unwrap(),
            package: "libpng".parse().unwrap(),
        };
        let run = "20261123_084000_0a1b2@".parse().unwrap();
        let request = request(r#"libpng {"triggers": ["a/1", "b/2"], "all-proposed": "1", "testname": "x"}"#);
        let summary = RunSummary {
            exitcode: 4,
            version: "1.6-1".to_owned(),
            duration: 12,
            triggers: None,
            requester: Some("alice".to_owned()),
            uuid: None,
        };
        let expected = json!({
            "architecture": "amd64",
            "container": "autopkgtest-bookworm",
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
        assert_eq!(parse(&test_complete(&path, &run, &request, &summary)), expected);
    }
}
