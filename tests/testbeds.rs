//! `apt-ci testbed`: isolated testbeds, built, listed, replaced and removed by an ordinary user.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Failed;
use nix::sys::signal::Signal;
use testkit::site::{TestSite, until, until_within};
use testkit::{Services, Story, Trial, stories};

/// A builder that needs no archive: it writes its arguments into the tarball, and waits for a file if it is told to.
const BUILDER: &str = r#"#!/bin/sh
for word; do
    case "$word" in /*/root.tar) tarball=$word ;; esac
done
[ ! -e "$HOME/fails" ] || { echo 'E: the archive is on fire'; echo 'E: apt-get update failed: process exited with 100'; exit 1; }
echo half > "$tarball"
: > "$HOME/begun"
trap 'rm -f "$HOME/begun"; exit 143' TERM
while [ -e "$HOME/waits" ]; do sleep 0.02; done
printf '%s\n' "$@" > "$tarball"
"#;

/// Timeout for a real test in an isolated testbed.
const TEST_TIMEOUT: Duration = Duration::from_mins(4);

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("a_testbed_is_built_listed_updated_and_removed", life),
        ("a_build_that_fails_or_is_stopped_changes_nothing", unfinished),
        ("a_test_passes_in_a_testbed_that_was_built", real),
    ];
    stories("testbeds", services, all)
}

/// A site of an ordinary user whose builder is a stub.
fn stubbed() -> TestSite {
    let site = TestSite::local().of_release("bookworm").with_program("mmdebstrap", BUILDER);
    site.of_ordinary_user()
}

fn home(site: &TestSite, file: &str) -> PathBuf {
    site.path().join("home").join(file)
}

fn built(site: &TestSite) -> serde_json::Value {
    site.json(&["testbed", "list"])
}

fn life(_: &Services) -> Result<(), Failed> {
    let site = stubbed();
    let listed = site.run(&["testbed", "list"]);
    assert!(listed.out.is_empty() && listed.err.contains("apt-ci testbed build RELEASE"), "{listed:#?}");
    // The site's only release, and this host's architecture.
    let tarball = site.ok(&["testbed", "build", "--mirror", "http://mirror.example/debian"]);
    let arguments = fs::read_to_string(tarball.trim())?;
    for word in
        ["--mode=unshare", "--architectures=amd64", "bookworm", "deb-src http://mirror.example/debian bookworm main"]
    {
        assert!(arguments.lines().any(|line| line == word), "{word}: {arguments}");
    }
    let row = &built(&site)[0];
    assert_eq!((row["release"].as_str(), row["bytes"].as_u64()), (Some("bookworm"), Some(arguments.len() as u64)));
    // A new one is built from the same mirror, and replaces the old one.
    let updated = site.run(&["testbed", "update"]);
    assert!(updated.status.success() && updated.err.contains("from http://mirror.example/debian"), "{updated:#?}");
    assert_eq!(built(&site).as_array().map(Vec::len), Some(1));
    assert!(!PathBuf::from(tarball.trim()).exists(), "nobody uses the old one");
    let unknown = site.run(&["testbed", "build", "nowhere"]);
    assert!(unknown.status.code() == Some(2) && unknown.err.contains("--mirror URL"), "{unknown:#?}");
    let secret = site.run(&["testbed", "build", "--mirror", "https://ann:hunter2@mirror.example/debian"]);
    assert!(secret.status.code() == Some(2) && secret.err.contains("no user and password"), "{secret:#?}");
    assert!(!secret.err.contains("hunter2"), "{secret:#?}");
    let absent = site.run(&["testbed", "update", "trixie"]);
    assert!(absent.status.code() == Some(1) && absent.err.contains("no such testbed"), "{absent:#?}");
    let refused = site.run(&["testbed", "remove", "bookworm"]);
    assert!(refused.status.code() == Some(2) && refused.err.contains("--yes"), "{refused:#?}");
    site.ok(&["testbed", "remove", "bookworm", "--yes"]);
    let again = site.run(&["testbed", "remove", "bookworm", "--yes"]);
    assert!(again.status.code() == Some(1) && again.err.contains("there is no testbed of bookworm"), "{again:#?}");
    assert_eq!(built(&site), serde_json::json!([]));
    Ok(())
}

fn unfinished(_: &Services) -> Result<(), Failed> {
    let site = stubbed();
    let build = ["testbed", "build", "--mirror", "http://mirror.example/debian"];
    let tarball = site.ok(&build);
    let before = fs::read_to_string(tarball.trim())?;
    let is_unchanged = || fs::read_to_string(tarball.trim()).is_ok_and(|text| text == before);

    fs::write(home(&site, "fails"), "")?;
    let failed = site.run(&build);
    assert!(failed.status.code() == Some(1) && failed.err.contains("the archive is on fire"), "{failed:#?}");
    let log = failed.err.split("see ").nth(1).and_then(|rest| rest.split(' ').next()).expect("the log's name");
    assert!(fs::read_to_string(log)?.contains("exited with 100"));
    let failed = site.run(&["testbed", "update"]);
    assert!(failed.status.code() == Some(1) && failed.err.contains("hint: see "), "{failed:#?}");
    assert!(is_unchanged());
    fs::remove_file(home(&site, "fails"))?;

    fs::remove_file(home(&site, "begun"))?;
    fs::write(home(&site, "waits"), "")?;
    let mut building = site.start(&build);
    until("the builder has begun", || home(&site, "begun").exists());
    let second = site.run(&build);
    assert!(second.status.code() == Some(1) && second.err.contains("by another process"), "{second:#?}");
    building.signal(Signal::SIGINT);
    let stopped = building.wait();
    assert!(stopped.status.code() == Some(130) && stopped.err.contains("nothing has changed"), "{stopped:#?}");
    assert!(!home(&site, "begun").exists(), "the builder could clean up");
    assert!(is_unchanged());

    // A build that dies with its machine.
    let building = site.start(&build);
    until("the builder has begun", || home(&site, "begun").exists());
    building.kill();
    assert!(is_unchanged());
    assert_eq!(built(&site).as_array().map(Vec::len), Some(1));
    fs::remove_file(home(&site, "waits"))?;
    until("the next build succeeds", || site.run(&build).status.success());
    Ok(())
}

fn real(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local().of_release("bookworm").of_ordinary_user();
    site.worker_conf("[autopkgtest]\nretry_delay = 1\n\n[virt]\nargs = unshare --tarball $TESTBED\n");
    site.ok(&["run", "-s", "bookworm", "--trigger", "gzip/1.12-1", "gzip"]);
    // Without the testbed the request is not lost, and no test is said to have failed.
    let checked = site.run(&["worker", "check"]);
    let builds = "`apt-ci testbed build bookworm -a amd64` builds it";
    assert!(checked.status.code() == Some(1) && checked.out.contains(builds), "{checked:#?}");
    let mut worker = site.start(&["worker"]);
    until("the worker says what is missing", || worker.stderr().contains(builds));
    worker.signal(Signal::SIGTERM);
    worker.wait();
    assert!(site.results().is_empty());
    site.ok(&["testbed", "build"]);
    let mut worker = site.start(&["worker"]);
    until("the test runs", || site.run(&["running"]).out.contains("gzip"));
    // A new testbed does not disturb the test.
    site.ok(&["testbed", "update"]);
    until_within(TEST_TIMEOUT, "the test has ended", || !site.results().is_empty());
    worker.signal(Signal::SIGTERM);
    worker.wait();
    let results = site.results();
    assert_eq!(results[0]["outcome"], "pass", "{results:#?}");
    Ok(())
}
