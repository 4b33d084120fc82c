//! What a result proves: tests of uploads in isolated testbeds, against a small archive with a release and its pocket.

use std::fs;
use std::sync::Arc;

use libtest_mimic::Failed;
use serde_json::{Value, json};
use testkit::archive::{Archive, PACKAGE};
use testkit::daemon::free_port;
use testkit::launchpad::LaunchpadStandIn;
use testkit::pocket::{Distribution, Form, POCKET, TESTED};
use testkit::site::TestSite;
use testkit::testbed::RELEASE;
use testkit::{Services, Story, Trial, stories};

use crate::ppa::run_in;

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("uploads_are_tested_as_proposed_with_deb822_sources", |services| uploads(services, Form::Deb822)),
        ("uploads_are_tested_as_proposed_with_one_line_sources", |services| uploads(services, Form::OneLine)),
        ("what_cannot_be_installed_beside_the_release_is_tested_with_the_whole_pocket", fallback),
        ("a_ppa_whose_index_is_missing_is_no_pass", missing_ppa),
        ("a_dead_archive_proves_nothing_and_is_tried_again", dead_archive),
        ("a_result_without_a_record_counts_and_is_called_not_proven", no_record),
        ("all_of_a_pocket_that_does_not_exist_is_refused_before_anything_is_queued", no_pocket),
    ];
    stories("proof", services, all)
}

/// A site whose testbeds have this archive alone.
fn site(services: &Services, archive: &Distribution, form: Form, url: &str) -> TestSite {
    let tarball = archive.testbed(&services.testbed().tarball(), form, url);
    let site = TestSite::local().isolated(&tarball);
    site.with_pocket(POCKET)
}

/// Runs requests, each with these triggers, and returns each one's result as `results show` tells it.
fn run_all(site: &TestSite, requests: &[(&str, &[&str])]) -> Vec<Value> {
    let line = |(package, triggers): &(&str, &[&str])| {
        format!("{}:{package} {}\n", site.queue_name(), json!({"triggers": triggers}))
    };
    let ids = site.submit(&requests.iter().map(line).collect::<String>());
    let worker = site.run(&["worker", "--drain", "--slots", "2"]);
    assert!(worker.status.success(), "what a request asks for is no fault of the worker: {worker:#?}");
    let shown = |id: &String| {
        let run = site.result_of(id);
        site.json(&["results", "show", run["run"].as_str().expect("a run")])
    };
    ids.iter().map(shown).collect()
}

fn log(site: &TestSite, run: &Value) -> String {
    site.log_of(run)
}

fn uploads(services: &Services, form: Form) -> Result<(), Failed> {
    let archive = Distribution::start();
    let site = site(services, &archive, form, &archive.url());
    let requests: [(&str, &[&str]); 4] = [
        (TESTED, &["libbars/2.0-1"]),
        (TESTED, &["libbars/1.5-1"]),
        (TESTED, &["migration-reference/0"]),
        (TESTED, &["libbars/9.9-1"]),
    ];
    // The last one is tried three times: once is enough.
    let count = if form == Form::Deb822 { 4 } else { 3 };
    let runs = run_all(&site, &requests[..count]);

    let proposed = &runs[0];
    let text = log(&site, proposed);
    assert_eq!((&proposed["exitcode"], &proposed["proof"]), (&json!(0), &json!("proven")), "{text}");
    assert!(text.contains("libbars is 2.0-1\n"), "the version under test is the proposed one: {text}");
    let item = json!({"kind": "trigger", "asked": "libbars/2.0-1", "found": "2.0-1", "from": POCKET,
        "installed": "libbars 2.0-1", "reason": null});
    assert_eq!(proposed["proof_items"], json!([item]));
    let shown = site.ok(&["results", "show", proposed["run"].as_str().expect("a run")]);
    let sentence = format!("trigger libbars/2.0-1: met, 2.0-1 from {POCKET}; installed: libbars 2.0-1");
    assert!(shown.contains("proven: ") && shown.contains(&sentence), "{shown}");
    let listed = site.result_of(proposed["uuid"].as_str().expect("an id"));
    assert_eq!((&listed["proof"], &listed["fallback"]), (&json!("proven"), &json!(false)));

    let superseded = &runs[1];
    assert_eq!((&superseded["exitcode"], &superseded["proof"]), (&json!(16), &json!("refuted")), "{superseded}");
    assert_eq!((&superseded["attempt"], &superseded["verdict"]["meaning"]), (&json!(1), &json!("infrastructure")));
    let reason = superseded["proof_items"][0]["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("superseded: ") && reason.contains("2.0-1"), "{reason}");
    assert!(log(&site, superseded).contains("superseded"), "the log says so, too");

    let baseline = &runs[2];
    let text = log(&site, baseline);
    assert_eq!((&baseline["exitcode"], &baseline["proof"]), (&json!(0), &json!("proven")), "{text}");
    assert!(text.contains("libbars is 1.0-1\n"), "{text}");
    assert_eq!(baseline["proof_items"][0]["found"], format!("nothing of {POCKET}"));

    if let Some(missing) = runs.get(3) {
        assert_eq!((&missing["exitcode"], &missing["proof"]), (&json!(16), &json!("refuted")), "{missing}");
        assert_eq!((&missing["attempt"], missing["failures"].as_array().map(Vec::len)), (&json!(3), Some(2)));
        let reason = format!("the newest version in the testbed is 2.0-1 ({POCKET})");
        assert_eq!(missing["proof_items"][0]["reason"], reason);
    }
    Ok(())
}

fn fallback(services: &Services) -> Result<(), Failed> {
    let archive = Distribution::start();
    let site = site(services, &archive, Form::Deb822, &archive.url());
    let runs = run_all(&site, &[("needyuser", &["needy/2.0-1"])]);
    let text = log(&site, &runs[0]);
    assert_eq!((&runs[0]["exitcode"], &runs[0]["proof"]), (&json!(0), &json!("proven")), "{text}");
    assert_eq!(runs[0]["fallback"], true, "{text}");
    assert!(text.contains("needy is 2.0-1\n"), "{text}");
    let shown = site.ok(&["results", "show", "needyuser"]);
    assert!(shown.contains("fallback: "), "{shown}");
    assert!(text.contains("apt-ci: fallback: "), "{text}");

    // A worker may be forbidden to test more than was asked for.
    let conf = fs::read_to_string(site.path().join("worker.conf"))?;
    site.worker_conf(&conf.replace("[virt]", "extra_args = --no-apt-fallback\n[virt]"));
    let runs = run_all(&site, &[("needyuser", &["needy/2.0-1"])]);
    assert_eq!((&runs[0]["outcome"], &runs[0]["fallback"]), (&json!("fail"), &json!(false)), "{}", runs[0]);
    Ok(())
}

fn missing_ppa(services: &Services) -> Result<(), Failed> {
    let archive = Archive::start();
    archive.publish("owner/name");
    // What the list of indexes promises does not exist.
    archive.withdraw_index("owner/name");
    let launchpad = LaunchpadStandIn::start();
    launchpad.add("owner/name", archive.fingerprint(), archive.key());
    let distribution = Distribution::start();
    let site = site(services, &distribution, Form::Deb822, &distribution.url());
    site.configure_further(&launchpad.section(&archive.url()));
    let [id] = <[String; 1]>::try_from(
        site.submit(&format!("debci-ppa-{RELEASE}-amd64:{PACKAGE} {}\n", json!({"ppas": ["owner/name"]}))),
    )
    .expect("one request");
    let worker = site.run(&["worker", "--drain"]);
    assert!(worker.status.success(), "{worker:#?}");
    let run = run_in(&site, &format!("autopkgtest-{RELEASE}-owner-name"));
    assert_eq!(site.member(&run, "exitcode"), "16\n");
    let testinfo: Value = serde_json::from_str(&site.member(&run, "testinfo.json"))?;
    let own = &testinfo["apt-ci"];
    assert_eq!((&own["uuid"], &own["attempt"], &own["proof"]["verdict"]), (&json!(id), &json!(3), &json!("refuted")));
    let item = &own["proof"]["items"][0];
    let reason = item["reason"].as_str().expect("a reason");
    assert_eq!((&item["kind"], &item["asked"]), (&json!("ppa"), &json!("owner/name")), "{item}");
    assert!(reason.starts_with("apt-get update: ") && reason.contains("404"), "{reason}");
    Ok(())
}

fn dead_archive(services: &Services) -> Result<(), Failed> {
    let archive = Distribution::start();
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let site = site(services, &archive, Form::OneLine, &nowhere);
    let runs = run_all(&site, &[(TESTED, &["libbars/2.0-1"])]);
    assert_eq!((&runs[0]["exitcode"], &runs[0]["attempt"]), (&json!(16), &json!(3)), "{}", runs[0]);
    assert_ne!(runs[0]["proof"], "proven");
    let before = runs[0]["failures"].to_string();
    assert!(before.contains("apt-get update: "), "{before}");
    Ok(())
}

fn no_record(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let id = site.request("gzip", &[]);
    site.ok(&["worker", "--drain"]);
    let run = site.result_of(&id);
    assert_eq!((&run["outcome"], &run["proof"]), (&json!("pass"), &json!("none")), "{run}");
    let shown = site.ok(&["results", "show", "gzip"]);
    assert!(shown.contains("not proven: ") && shown.contains("pass: it passed"), "{shown}");
    Ok(())
}

fn no_pocket(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let release = site.release.clone();
    let all = json!({"triggers": ["a/1"], "all-proposed": "1"});
    let batch = format!("{0}:good {1}\n{0}:gzip {2}\n", site.queue_name(), json!({"triggers": ["a/1"]}), all);
    fs::write(site.path().join("batch"), batch)?;
    for arguments in
        [&["run", "-s", &release, "--trigger", "a/1", "--all-proposed", "gzip"][..], &["run", "--batch", "batch"]]
    {
        let refused = site.run(arguments);
        assert_eq!(refused.status.code(), Some(2), "{refused:#?}");
        assert!(refused.err.contains(&format!("{release} has no pocket")), "{}", refused.err);
        assert!(refused.err.contains("pocket = \"SUITE\""), "{}", refused.err);
    }
    assert!(site.queue().is_null() || site.queue()["ready"] == 0, "nothing is queued");
    // Another program has queued it: its result says why it was not run.
    site.ok(&["run", "-s", &release, "--trigger", "a/1", "good"]);
    site.plant(&format!("gzip\n{all}"));
    site.ok(&["worker", "--drain"]);
    let run = site.results().into_iter().find(|run| run["package"] == "gzip").expect("a result");
    assert_eq!(run["exitcode"], 20, "{run}");
    assert!(site.log_of(&run).contains("has no pocket with proposed packages"), "{run}");
    assert_eq!(site.starts(), ["good"]);
    Ok(())
}
