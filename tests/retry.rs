//! Running tests again: what proposed-migration's excuses ask for, and the requests of past runs.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use libtest_mimic::Failed;
use serde_json::{Value, json};
use testkit::fake_server::FakeServer;
use testkit::site::{Finished, TestSite, until};
use testkit::{Services, Story, Trial, stories};

use crate::terminal::answering;

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("regressions_are_requested_once_each", regressions),
        ("a_dry_run_shows_what_would_be_requested", dry_run),
        ("addresses_are_printed_as_the_other_tool_prints_them", urls),
        ("excuses_come_from_the_site_the_web_and_standard_input", places),
        ("what_cannot_be_read_is_told_with_place_and_line", unreadable),
        ("many_requests_are_asked_for_again", many),
        ("only_tests_whose_log_matches", by_log),
        ("only_testbed_failures_and_only_flaky_tests", history),
        ("a_run_is_retried_with_all_its_parameters", retry_run),
        ("all_runs_of_an_outcome_are_retried", retry_query),
        ("a_run_with_secrets_is_not_retried", retry_secret),
        ("a_run_of_another_program_is_retried_with_what_is_known", retry_foreign),
    ];
    stories("retry", services, all)
}

/// The verdict about a package's test for a trigger.
struct Verdict<'a> {
    source: &'a str,
    test: &'a str,
    state: &'a str,
    log: &'a str,
    more: &'a str,
}

const REGRESSION: Verdict<'static> =
    Verdict { source: "glibc/2.40-1", test: "gzip/1.0-1", state: "REGRESSION", log: "null", more: "" };

/// Excuses as proposed-migration writes them.
fn excuses(site: &TestSite, verdicts: &[Verdict<'_>]) -> String {
    let mut text = "generated-date: 2026-11-25 10:00:00\nsources:\n".to_owned();
    for Verdict { source, test, state, log, more } in verdicts {
        let (source, version) = source.split_once('/').expect("a version");
        let package = test.split('/').next().expect("a package");
        let retry = match *state {
            "REGRESSION" => format!(
                "request.cgi?release={}&arch=amd64&package={package}&trigger={source}%2F{}{more}",
                site.release,
                version.replace('+', "%2B").replace(':', "%3A")
            ),
            _ => "null".to_owned(),
        };
        text.push_str(&format!(
            "- excuses:\n  - 'Migration status: <b>BLOCKED</b>'\n  item-name: {source}\n  new-version: {version}\n  policy_info:\n    \
             age:\n      current-age: 3.5\n    autopkgtest:\n      {test}:\n        amd64:\n        - {state}\n        - {log}\n        \
             - null\n        - null\n        - {retry}\n      verdict: X\n  source: {source}\n"
        ));
    }
    text
}

/// Runs the command on these excuses.
fn retry(site: &TestSite, text: &str, options: &[&str]) -> Finished {
    fs::write(site.path().join("excuses.yaml"), text).expect("a file");
    site.run(&[&["retry-regressions", "--excuses", "excuses.yaml"], options].concat())
}

fn triggers(site: &TestSite, queue: &str) -> Vec<(String, Value)> {
    let queued = site.json(&["queues", queue]);
    let ready = queued["ready"].as_array().expect("a list").iter();
    ready.map(|one| (one["package"].as_str().expect("a name").to_owned(), one["parameters"].clone())).collect()
}

fn regressions(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let text = excuses(
        &site,
        &[
            REGRESSION,
            Verdict { source: "zlib/1", ..REGRESSION },
            Verdict { test: "tar/1", state: "PASS", ..REGRESSION },
            Verdict { test: "vim/1", more: "&trigger=bash%2F5&ppa=owner%2Fname", ..REGRESSION },
        ],
    );
    let finished = retry(&site, &text, &["--requester", "jane"]);
    assert!(finished.status.success(), "{finished:#?}");
    assert_eq!(finished.out.lines().count(), 3, "{}", finished.out);
    let queued = triggers(&site, &site.queue_name());
    let told: Vec<_> = queued.iter().map(|(package, with)| (package.as_str(), with["triggers"].clone())).collect();
    assert_eq!(told, [("gzip", json!(["glibc/2.40-1"])), ("gzip", json!(["zlib/1"]))]);
    assert_eq!(queued[0].1["requester"], "jane");
    let ppa = triggers(&site, &format!("debci-ppa-{}-amd64", site.release));
    assert_eq!(
        (&ppa[0].1["ppas"], &ppa[0].1["triggers"]),
        (&json!(["owner/name"]), &json!(["glibc/2.40-1", "bash/5"]))
    );

    let site = TestSite::local().with_pocket("proposed");
    let text = excuses(&site, &[REGRESSION, Verdict { source: "zlib/1", ..REGRESSION }]);
    let grouped = retry(&site, &text, &["--group", "--all-proposed", "--add-trigger", "dpkg/1"]);
    assert!(grouped.status.success(), "{grouped:#?}");
    let queued = triggers(&site, &site.queue_name());
    assert_eq!(queued[0].1["triggers"], json!(["glibc/2.40-1", "dpkg/1", "zlib/1"]));
    assert_eq!((queued.len(), &queued[0].1["all-proposed"]), (1, &json!("1")));
    Ok(())
}

fn dry_run(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let running = Verdict { test: "tar", state: "RUNNING", ..REGRESSION };
    let text = excuses(&site, &[REGRESSION, Verdict { source: "zlib/1", ..REGRESSION }, running]);
    let shown = retry(&site, &text, &["-n", "--state", "RUNNING", "REGRESSION", "--limit", "3"]);
    assert_eq!(
        shown.out,
        "gzip\t1.0-1\tamd64\tglibc/2.40-1\t3.5\tREGRESSION\ngzip\t1.0-1\tamd64\tzlib/1\t3.5\tREGRESSION\n\
         tar\t\tamd64\tglibc/2.40-1\t3.5\tRUNNING\n"
    );
    let limited = retry(&site, &text, &["-n", "--limit", "1", "--json"]);
    let list: Value = serde_json::from_str(&limited.out)?;
    assert_eq!((list.as_array().map(Vec::len), &list[0]["queue"]), (Some(1), &json!(site.queue_name())));
    assert!(limited.err.contains("1 more exist; raise --limit"), "{}", limited.err);
    for (conditions, packages) in [
        (&["--min-age", "4"][..], ""),
        (&["--max-age", "3.5", "--blocks", "zlib"], "gzip zlib/1"),
        (&["--test", "vim"], ""),
        (&["--blocked-by-tests", "gzip", "--blocks", "glibc"], "gzip glibc/2.40-1"),
        (&["--state", "running"], "tar glibc/2.40-1"),
        (&["--only-unknown"], ""),
        (&["-a", "armhf"], ""),
        (&["--no-proposed"], "gzip gzip/1.0-1"),
    ] {
        let shown = retry(&site, &text, &[&["-n"], conditions].concat());
        let told: Vec<String> = shown
            .out
            .lines()
            .map(|line| line.split('\t').collect::<Vec<_>>())
            .map(|cells| format!("{} {}", cells[0], cells[3]))
            .collect();
        assert_eq!(told.join(", "), packages, "{conditions:?}: {shown:#?}");
        assert!(shown.status.success(), "{conditions:?}: {shown:#?}");
    }
    assert!(!site.path().join("queue").exists(), "nothing is touched");
    Ok(())
}

fn urls(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let text = excuses(
        &site,
        &[
            Verdict { source: "libc/2:2.40+b1~x-1", ..REGRESSION },
            Verdict { test: "tar/1", ..REGRESSION },
            Verdict { source: "zlib/1", ..REGRESSION },
        ],
    );
    let printed = retry(&site, &text, &["--urls", "--all-proposed"]);
    // What Python's urlencode makes of the same, in the order of the peer.
    let script = "
import sys, urllib.parse
release = sys.argv[1]
for package, triggers in [('gzip', ['libc/2:2.40+b1~x-1', 'zlib/1']), ('tar', ['glibc/2.40-1'])]:
    parameters = [('release', release), ('arch', 'amd64'), ('package', package)]
    parameters += [('trigger', trigger) for trigger in triggers] + [('all-proposed', '1')]
    print('https://autopkgtest.ubuntu.com/request.cgi?' + urllib.parse.urlencode(parameters))";
    let expected = Command::new("/usr/bin/python3").args(["-c", script, &site.release]).output()?;
    assert_eq!(printed.out, String::from_utf8_lossy(&expected.stdout));
    Ok(())
}

fn places(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let text = excuses(&site, &[REGRESSION]);
    fs::write(site.path().join("excuses.yaml"), &text)?;
    assert!(Command::new("xz").arg("-k").arg(site.path().join("excuses.yaml")).status()?.success());
    let packed = fs::read(site.path().join("excuses.yaml.xz"))?;
    let server = FakeServer::start(move |exchange| match exchange.target.as_str() {
        "/excuses.yaml.xz" => exchange.answer_bytes("200 OK", "", &packed),
        _ => exchange.answer("404 Not Found", "", "nothing"),
    });
    let arguments = ["retry-regressions", "-n"];
    let missing = site.run(&arguments);
    assert_eq!(missing.status.code(), Some(2), "{missing:#?}");
    assert!(
        missing.err.contains("no excuses file is configured for") && missing.err.contains("--excuses"),
        "{}",
        missing.err
    );

    let url = format!("{}/excuses.yaml.xz", server.url());
    site.configure_further(&format!("[excuses]\n{} = {url:?}\n", site.release));
    assert!(site.ok(&["config"]).contains(&format!("excuses.{}\t{url}\t", site.release)));
    let from_web = site.ok(&arguments);
    assert!(from_web.starts_with("gzip\t1.0-1\tamd64\tglibc/2.40-1\t"), "{from_web}");
    assert_eq!(site.ok(&["retry-regressions", "-n", "--excuses", "excuses.yaml.xz"]), from_web);

    let mut command = site.command(&["retry-regressions", "-n", "--excuses", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().expect("a pipe").write_all(text.as_bytes())?;
    assert_eq!(String::from_utf8_lossy(&child.wait_with_output()?.stdout), from_web);

    let gone = format!("{}/other", server.url());
    let finished = site.run(&["retry-regressions", "-n", "--excuses", &gone]);
    assert_eq!(finished.status.code(), Some(1), "{finished:#?}");
    assert!(finished.err.contains(&gone) && finished.err.contains("404"), "{}", finished.err);
    drop(server);
    let away = site.run(&arguments);
    assert_eq!(away.status.code(), Some(1), "{away:#?}");
    assert!(away.err.contains(&url) && away.err.contains("refused"), "{}", away.err);
    Ok(())
}

fn unreadable(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let good = excuses(&site, &[REGRESSION]);
    let lines = good.lines().count();
    let finished = retry(&site, "<html>\n", &[]);
    assert_eq!((finished.status.code(), finished.out.as_str()), (Some(2), ""), "{finished:#?}");
    assert!(finished.err.contains("excuses.yaml") && finished.err.contains("no list `sources`"), "{}", finished.err);
    let missing = site.run(&["retry-regressions", "--excuses", "nothing.yaml"]);
    assert_eq!(missing.status.code(), Some(2), "{missing:#?}");
    let mistyped = retry(&site, &good, &["--state", "REGRESION"]);
    assert_eq!(mistyped.status.code(), Some(2), "{mistyped:#?}");
    assert!(mistyped.err.contains("expected one of: PASS, "), "{}", mistyped.err);
    assert!(!site.path().join("queue").exists(), "nothing is queued");
    // An odd entry is left out, and the rest is asked for.
    for (text, message, requests) in [
        (good.replace("release=", "release=x"), "its address asks for the release".to_owned(), 0),
        (format!("{good}- source: 'x\n"), format!("line {}", lines + 1), 1),
    ] {
        let finished = retry(&site, &text, &[]);
        assert_eq!((finished.status.code(), finished.out.lines().count()), (Some(1), requests), "{finished:#?}");
        assert!(finished.err.contains("excuses.yaml") && finished.err.contains(&message), "{}", finished.err);
    }
    Ok(())
}

fn many(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let names: Vec<String> = (0..21).map(|number| format!("p{number}/1")).collect();
    let verdicts: Vec<Verdict> = names.iter().map(|test| Verdict { test, ..REGRESSION }).collect();
    let text = excuses(&site, &verdicts);
    let refused = retry(&site, &text, &[]);
    assert_eq!((refused.status.code(), refused.out.as_str()), (Some(2), ""), "{refused:#?}");
    assert!(
        refused.err.contains("refusing to request 21 tests without confirmation") && refused.err.contains("--yes"),
        "{}",
        refused.err
    );
    let ask = |typed| answering(&site, "Request 21 tests?", typed, &["retry-regressions", "--excuses", "excuses.yaml"]);
    let (shown, code) = ask("n\n");
    assert!(code == Some(1) && shown.contains("Nothing was requested"), "{shown}");
    assert!(!site.path().join("queue").exists(), "nothing is queued");
    let (shown, code) = ask("y\n");
    assert_eq!((code, &site.queue()["ready"]), (Some(0), &json!(21)), "{shown}");

    let site = TestSite::local();
    let text = excuses(&site, &verdicts);
    let sent = retry(&site, &text, &["--yes"]);
    assert_eq!((sent.status.code(), sent.out.lines().count()), (Some(0), 21), "{sent:#?}");
    Ok(())
}

fn by_log(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let server = FakeServer::start(|exchange| match exchange.target.as_str() {
        "/1" => exchange.answer("200 OK", "", "first\nE: Unable to fetch\nlast\n"),
        "/2" => exchange.answer_bytes("200 OK", "", &gzip(b"first\nE: Unable to fetch\n")),
        "/3" => exchange.answer("200 OK", "", "AssertionError\n"),
        _ => exchange.answer("404 Not Found", "", ""),
    });
    let logs: Vec<String> = (1..=4).map(|number| format!("{}/{number}", server.url())).collect();
    let verdicts = |count: usize| {
        let named = logs.iter().zip(["a/1", "b/1", "c/1", "d/1"]).take(count);
        excuses(&site, &named.map(|(log, test)| Verdict { test, log, ..REGRESSION }).collect::<Vec<_>>())
    };
    let found = retry(&site, &verdicts(3), &["-n", "--log-regex", "^E: .* fetch$"]);
    let packages: Vec<&str> = found.out.lines().filter_map(|line| line.split('\t').next()).collect();
    assert_eq!(packages, ["a", "b"], "{found:#?}");
    let missing = retry(&site, &verdicts(4), &["-n", "--log-regex", "x"]);
    assert_eq!(missing.status.code(), Some(1), "{missing:#?}");
    assert!(missing.err.contains(&logs[3]) && missing.err.contains("404"), "{}", missing.err);
    let invalid = retry(&site, &verdicts(3), &["--log-regex", "("]);
    assert_eq!(invalid.status.code(), Some(2), "{invalid:#?}");
    Ok(())
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text).expect("in memory");
    packed.finish().expect("in memory")
}

fn history(services: &Services) -> Result<(), Failed> {
    let swift = services.swift();
    let site = TestSite::on("local:queue", "swift:", swift.environment());
    site.worker_options("retry_delay = 0");
    let queue = site.queue_name();
    // One after the other: ids grow with the time of publication.
    for (package, trigger, exit) in [
        ("flaky", "glibc/2.40-1", 4),
        ("flaky", "glibc/2.40-1", 0),
        ("flaky", "zlib/1", 4),
        ("broken", "zlib/1", 0),
        ("broken", "glibc/2.40-1", 4),
        ("mended", "glibc/2.40-1", 16),
        ("mended", "glibc/2.40-1", 4),
        ("infra", "glibc/2.40-1", 4),
        ("infra", "glibc/2.40-1", 16),
        ("infra", "zlib/1", 4),
    ] {
        site.submit(&format!("{queue}:{package} {{\"triggers\": [\"{trigger}\"], \"env\": [\"STUB_EXIT={exit}\"]}}\n"));
        drain(&site);
    }
    let tests = ["flaky/1.0-1", "broken/1.0-1", "mended/1.0-1", "infra/1.0-1", "new/1"];
    let text = excuses(&site, &tests.map(|test| Verdict { test, ..REGRESSION }));
    let kept = |options: &[&str]| -> Vec<String> {
        let shown = retry(&site, &text, &[&["-n"], options].concat());
        assert!(shown.status.success(), "{shown:#?}");
        shown.out.lines().filter_map(|line| line.split('\t').next()).map(str::to_owned).collect()
    };
    assert_eq!(kept(&[]).len(), 5);
    assert_eq!(kept(&["--only-infra"]), ["infra"]);
    assert_eq!(kept(&["--only-flaky"]), ["flaky"]);
    assert_eq!(kept(&["--only-flaky", "--only-infra"]), [""; 0]);
    Ok(())
}

/// Runs what is queued. A worker whose testbeds fail three times in a row ends, and another one has to go on.
fn drain(site: &TestSite) {
    until("the queues are empty", || site.run(&["worker", "--drain", "--quiet"]).status.success());
}

/// The parameters of the only request in a queue, without what changes with each.
fn only(site: &TestSite, queue: &str) -> (String, Value) {
    let queued = triggers(site, queue);
    let [(package, parameters)] = queued.as_slice() else { panic!("one request in {queue}: {queued:#?}") };
    (package.clone(), parameters.clone())
}

fn retry_run(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local().with_pocket("proposed");
    let parameters = json!({
        "triggers": ["a/1", "b/2"], "env": ["STUB_EXIT=4", "A=x y"], "all-proposed": "1", "testname": "smoke",
    });
    let mut first = parameters.clone();
    first["requester"] = "jane".into();
    let id = site.submit(&format!("{}:gzip {first}\n", site.queue_name())).remove(0);
    site.ok(&["worker", "--drain"]);
    let run = site.result_of(&id);
    let (name, path) = (run["run"].as_str().expect("an id"), run["path"].as_str().expect("a path"));
    let dry = site.ok(&["retry", "-n", name, path]);
    assert_eq!(dry.lines().count(), 1, "a run that is named twice is retried once: {dry}");
    let out = site.ok(&["retry", name.trim_end_matches('@'), "--requester", "john"]);
    let (package, mut again) = only(&site, &site.queue_name());
    assert_eq!(package, "gzip");
    let again = again.as_object_mut().expect("an object");
    let uuid = again.remove("uuid").expect("an id");
    assert!(uuid != id.as_str() && out.contains(uuid.as_str().expect("text")), "{uuid} and {out}");
    assert!(again.remove("submit-time").is_some());
    assert_eq!(again.remove("requester"), Some(json!("john")), "not the first one's");
    assert_eq!(Value::from(again.clone()), parameters);

    // Nobody knows what it means: it could be a secret.
    let strange = json!({"triggers": ["a/1"], "x-other": "hunter2"});
    let id = site.submit(&format!("{}:bzip2 {strange}\n", site.queue_name())).remove(0);
    site.ok(&["worker", "--drain"]);
    let run = site.result_of(&id);
    assert!(!site.member(&run, "testinfo.json").contains("hunter2"));
    let refused = site.run(&["retry", run["run"].as_str().expect("an id")]);
    assert_eq!(refused.status.code(), Some(1), "{refused:#?}");
    assert!(refused.err.contains("its result does not contain the whole request"), "{}", refused.err);

    let missing = site.run(&["retry", "20200101_000000_00000@"]);
    assert_eq!(missing.status.code(), Some(1), "{missing:#?}");
    assert!(missing.err.contains("has no run") && missing.err.contains("apt-ci results"), "{}", missing.err);
    // A package's name means its latest run.
    assert!(site.ok(&["retry", "gzip"]).contains("\tgzip\t"));
    assert_eq!(only(&site, &site.queue_name()).0, "gzip");
    let missing = site.run(&["retry", "no-such-package"]);
    assert!(missing.status.code() == Some(1) && missing.err.contains("has no results for package"), "{missing:#?}");
    assert_eq!(site.run(&["retry"]).status.code(), Some(2));
    Ok(())
}

fn retry_query(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    site.worker_options("retry_delay = 0");
    for (package, exit) in [("good", 0), ("bad", 4), ("ugly", 16), ("other", 16)] {
        site.request(package, &[&format!("STUB_EXIT={exit}")]);
    }
    drain(&site);
    let packages = |options: &[&str]| -> Vec<String> {
        let out = site.ok(&[&["retry", "-n"], options].concat());
        let mut names: Vec<String> =
            out.lines().filter_map(|line| line.split(':').nth(1)?.split(' ').next()).map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(packages(&["--outcome", "tmpfail", "--since", "2d"]), ["other", "ugly"]);
    assert_eq!(packages(&["--outcome", "tmpfail", "--package", "ugly"]), ["ugly"]);
    assert_eq!(packages(&["--since", "1h", "-s", &site.release]).len(), 4);
    assert_eq!(packages(&["--since", "2099-01-01"]), [""; 0]);
    site.ok(&["retry", "--outcome", "tmpfail", "--outcome", "fail"]);
    assert_eq!(site.queue()["ready"], 3);
    for (option, value) in [("--outcome", "broken"), ("--since", "yesterday")] {
        assert_eq!(site.run(&["retry", option, value]).status.code(), Some(2));
    }
    Ok(())
}

fn retry_secret(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let id = site
        .submit(&format!(
            "debci-ppa-{}-amd64:gzip {{\"triggers\": [\"a/1\"], \"ppas\": [\"user:hunter2@owner/name\"]}}\n",
            site.release
        ))
        .remove(0);
    // Nobody tells the key of that archive: the run ends before its test, and has a result all the same.
    site.configure_further("[launchpad]\napi = \"http://127.0.0.1:9\"\nkeyserver = \"http://127.0.0.1:9\"\n");
    site.worker_options("retry_delay = 0");
    site.ok(&["worker", "--drain", "--quiet"]);
    let container = format!("private-autopkgtest-{}-owner-name", site.release);
    let folder = site.path().join("results").join(&container).join(format!("{}/amd64/g/gzip", site.release));
    let run = fs::read_dir(&folder)?.next().expect("a run")?.file_name().into_string().expect("text");
    let path = format!("{container}/{}/amd64/g/gzip/{run}", site.release);
    let refused = site.run(&["retry", &path]);
    assert_eq!((refused.status.code(), refused.out.as_str()), (Some(1), ""), "{refused:#?}");
    assert!(refused.err.contains("secrets, such as a PPA's token"), "{}", refused.err);
    assert!(!id.is_empty() && !refused.err.contains("hunter2"));
    Ok(())
}

fn retry_foreign(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let store = |container: &str, environment: &[&str]| {
        let folder =
            site.path().join(format!("results/{container}/{}/amd64/g/gzip/20260101_000000_abcde@", site.release));
        fs::create_dir_all(&folder).expect("a folder");
        let mut tar = tar::Builder::new(fs::File::create(folder.join("result.tar")).expect("a file"));
        let testinfo = json!({"custom_environment": environment}).to_string();
        for (name, text) in [("exitcode", "4\n"), ("testpkg-version", "gzip 1.0-1\n"), ("testinfo.json", &testinfo)] {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, text.as_bytes()).expect("a member");
        }
        tar.finish().expect("a tar");
        format!("{container}/{}/amd64/g/gzip/20260101_000000_abcde@", site.release)
    };
    let path = store(&format!("autopkgtest-{}", site.release), &["A=1", "ADT_TEST_TRIGGERS=a/1 b/2"]);
    let retried = site.run(&["retry", &path]);
    assert!(retried.status.success(), "{retried:#?}");
    assert!(retried.err.contains("record only triggers and environment"), "{}", retried.err);
    let (_, parameters) = only(&site, &site.queue_name());
    assert_eq!((&parameters["triggers"], &parameters["env"]), (&json!(["a/1", "b/2"]), &json!(["A=1"])));

    let elsewhere = store(&format!("autopkgtest-{}-owner-name", site.release), &["ADT_TEST_TRIGGERS=a/1"]);
    let refused = site.run(&["retry", &elsewhere]);
    assert_eq!(refused.status.code(), Some(1), "{refused:#?}");
    assert!(refused.err.contains("packages came from a PPA"), "{}", refused.err);
    let untold = store(&format!("autopkgtest-{}", site.release), &[]);
    let refused = site.run(&["retry", &untold]);
    assert!(refused.err.contains("does not record its triggers"), "{}", refused.err);
    assert_eq!(site.queue()["ready"], 1);
    Ok(())
}
