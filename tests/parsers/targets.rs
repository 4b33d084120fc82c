//! Parsers of bytes that come from elsewhere, one function per parser. Each takes any bytes, must not panic, and checks what
//! must be true of what was read. Both the property tests and `fuzz/` call these functions.

use apt_ci::broker::{QueueUrl, headers_of_copy};
use apt_ci::excuses::{Excuses, TestState, text};
use apt_ci::forge::delivery::Delivery;
use apt_ci::forge::{Forge, event};
use apt_ci::request::Request;
use apt_ci::request::line::Submission;
use apt_ci::result::layout::parse_object;
use apt_ci::result::sections::Sections;
use apt_ci::result::{Proof, RunSummary};
use apt_ci::status::TestStatus;
use apt_ci::testbed::cause::{is_gone, testbed_fault};
use apt_ci::testbed::{Definitions, WorkerConf};
use lapin::types::generation::gen_field_table;
use lapin::types::parsing::parse_field_table;

/// A function that reads any bytes, and panics when something is wrong.
pub type Target = fn(&[u8]);

/// All targets, by name, each with an input to begin with.
pub const TARGETS: [(&str, Target, &str); 12] = [
    ("headers", headers, HEADERS),
    ("request", request, REQUEST),
    ("line", line, LINE),
    ("github", github, GITHUB),
    ("gitlab", gitlab, GITLAB),
    ("listing", listing, LISTING),
    ("testinfo", testinfo, TESTINFO),
    ("sections", sections, SECTIONS),
    ("summary", summary, SUMMARY),
    ("excuses", excuses, EXCUSES),
    ("worker_conf", worker_conf, WORKER_CONF),
    ("status", status, STATUS),
];

/// A table of AMQP: its length, then names, types and values.
const HEADERS: &str = "\0\0\0[\x10x-apt-ci-attemptI\0\0\0\x02\x11x-apt-ci-failuresS\0\0\0\x02[]\x07x-deathA\0\0\0\x14F\0\0\0\x0f\x05countl\0\0\0\0\0\0\0\x01\x04mineS\0\0\0\x01x";
const REQUEST: &str = r#"gzip
{"triggers": ["gzip/1.12-1", "glibc/2.39"], "ppas": ["user:token@owner/name:ABCD"], "env": ["A=b"], "uuid": "x-1", "requester": "me",
 "submit-time": "2026-11-29 12:00:00+0000", "test-git": "https://example.com/x#branch", "all-proposed": "1", "readable-by": ["a"]}"#;
const LINE: &str = r#"debci-ppa-noble-amd64:gzip {"triggers": ["a/1 b/2"]}"#;
const GITHUB: &str = r#"pull_request
{"action": "opened", "number": 7, "repository": {"full_name": "a/b", "clone_url": "https://github.com/a/b"}, "sender": {"login": "me"},
 "pull_request": {"number": 7, "head": {"sha": "0123456789abcdef0123456789abcdef01234567", "ref": "x"}, "base": {"ref": "main"},
 "statuses_url": "https://api.github.com/repos/a/b/statuses/0123456789abcdef0123456789abcdef01234567", "user": {"login": "me"}}}"#;
const GITLAB: &str = r#"Merge Request Hook
{"object_kind": "merge_request", "project": {"path_with_namespace": "a/b", "git_http_url": "https://gitlab.com/a/b.git", "id": 1},
 "user": {"username": "me"}, "object_attributes": {"iid": 7, "action": "open", "source_branch": "x", "target_branch": "main",
 "last_commit": {"id": "0123456789abcdef0123456789abcdef01234567"}}}"#;
const LISTING: &str = r#"application/x-tar; exitcode=4; version="1.2-1"; duration=12; triggers="a/1 b/2"; requester=x; uuid=y; proof=proven
noble/amd64/g/gzip/20261129_120000_abcde@/result.tar"#;
const TESTINFO: &str = r#"{"apt-ci": {"proof": {"verdict": "refuted", "fallback": true, "items": [
 {"kind": "trigger", "asked": "a/1", "found": "2", "from": "noble", "installed": ["a 1"], "reason": "superseded"}]}}}"#;
const SECTIONS: &str = "autopkgtest [12:00:00]: @@@@@@@@@@@@@@@@@@@@ apt-source x\nautopkgtest [12:00:00]: test one: [-----\n\
 autopkgtest [12:00:00]: test one: -----]\n  3s autopkgtest [12:00:00]: @@@@@@@@@@@@@@@@@@@@ summary\none PASS\n";
const SUMMARY: &str =
    "autopkgtest [12:00:00]: ERROR: testbed failure: unexpected eof\n\0<VirtSubproc>: failure: timed out\n";
const EXCUSES: &str = "generated-date: 2026-11-29\nsources:\n- item-name: a\n  source: a\n  new-version: '2'\n  old-version: '1'\n  \
 is-candidate: false\n  policy_info:\n    age: {current-age: 3}\n    autopkgtest:\n      verdict: REJECTED\n      b/1:\n        amd64: \
 [REGRESSION, 'https://x/log.gz', 'https://x', null, 'https://x/request.cgi?release=noble&arch=amd64&package=b&trigger=a%2F2']\n";
const WORKER_CONF: &str = "# comment\n[autopkgtest]\ncheckout_dir = /x\nreleases = noble trixie\narchitectures = amd64\n\
 setup_command = a $RELEASE\n  b\nretry_delay = 5\n[virt]\nargs = lxd $VAR\npackage_size_default = --ram 1024\n";
const STATUS: &str = r#"{"release": "noble", "architecture": "amd64", "package": "gzip", "running": true, "params": {}, "duration": 3,
 "logtail": "x"}"#;

/// The client library reads the table; what we make of it must fit into a frame of 128 KiB, beside the rest of a message's properties.
fn headers(bytes: &[u8]) {
    if bytes.len() <= 128 * 1024
        && let Ok((_, table)) = parse_field_table(bytes)
    {
        let copy = headers_of_copy(&table);
        let written = gen_field_table(&copy)(Vec::new().into()).expect("what we write can be written").into_inner().0;
        assert!(written.len() < 120 * 1024, "a copy fits into a frame");
    }
}

fn request(bytes: &[u8]) {
    if let Ok(request) = Request::parse(bytes) {
        let again = Request::parse(request.to_wire().as_bytes()).expect("what we write can be read");
        assert!(again == request, "what we write means the same");
    }
}

fn line(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(submission) = Submission::parse_line(&text) {
        let again = Submission::parse_line(&submission.to_line()).expect("what we write can be read");
        assert!(again.queue == submission.queue && again.request == submission.request, "what we write means the same");
    }
    let _ = text.parse::<QueueUrl>();
}

/// The first line is the event's name, and the id; the rest is the body.
fn delivery(forge: Forge, bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (name, body) = bytes.split_at(end);
    let name = String::from_utf8_lossy(name);
    let header = |wanted: &str| wanted.starts_with('x').then_some(&*name);
    if let Some(delivery) = Delivery::new(forge, &header, body) {
        assert!(delivery.id.len() <= 100);
        let _ = delivery.project(&delivery.payload("application/x-www-form-urlencoded"));
    }
    let _ = event::project(forge, body);
    let _ = event::read(forge, &name, body);
}

fn github(bytes: &[u8]) {
    delivery(Forge::GitHub, bytes);
}

fn gitlab(bytes: &[u8]) {
    delivery(Forge::GitLab, bytes);
}

/// The first line is a content type, the others are names of objects.
fn listing(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for line in text.lines() {
        let _ = parse_object(line);
        if let Some(summary) = RunSummary::parse(line) {
            let again = RunSummary::parse(&summary.to_content_type()).expect("what we write can be read");
            assert!(again.outcome() == summary.outcome(), "what we write means the same");
        }
    }
}

fn testinfo(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice(bytes) {
        let proof = Proof::from_testinfo(&value);
        assert!(proof.items.iter().all(|item| item.asked.chars().count() <= 10_000), "the record is bounded");
    }
}

fn sections(bytes: &[u8]) {
    let mut sections = Sections::default();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let _ = sections.next(line);
    }
}

/// What precedes the first NUL is the end of a log, the rest a summary.
fn summary(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (log, summary) = text.split_once('\0').unwrap_or(("", &text));
    for exit_code in [0, 12, 16, 20] {
        if let Some(fault) = testbed_fault(exit_code, log, summary) {
            assert!(!fault.contains('\n'), "a fault is one line");
        }
    }
    let _ = is_gone(&text);
}

fn excuses(bytes: &[u8]) {
    let wanted = [TestState::Regression, TestState::Fail];
    if let Ok(input) = text(bytes) {
        // A file ends, and behind a fault nothing is read.
        let found = Excuses::new(input, &wanted).take(bytes.len() + 2).count();
        assert!(found <= bytes.len() + 1, "the excuses of a file end");
    }
}

fn worker_conf(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("worker.conf");
    std::fs::write(&file, bytes).expect("a file");
    let (conf, faults) = WorkerConf::examine(&file, &Definitions::default());
    assert!(conf.is_some() || !faults.is_empty(), "what cannot be read has a fault");
    // It says the same when it is read again.
    assert_eq!(WorkerConf::load(&file, &Definitions::default()).is_ok(), conf.is_some() && faults.is_empty());
}

fn status(bytes: &[u8]) {
    let _ = TestStatus::parse(bytes);
}
