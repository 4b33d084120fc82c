//! Workers are killed, stopped or broken, and so are the tests that they run. The life of a request is told on the embedded queue and store
//! and on RabbitMQ and Swift alike.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use apt_ci::store::{Query, Store, StoreError};
use libtest_mimic::Failed;
use nix::sys::signal::Signal;
use serde_json::json;
use testkit::site::{Running, TestSite, WAIT_TIMEOUT, finish, until, until_within};
use testkit::{Services, Story, Trial, stories};

use super::{PACKAGES, gate, held_request, held_requests, slots, starts};

/// A story that is told on either kind of servers.
type SiteStory = fn(TestSite) -> Result<(), Failed>;

const ON_BOTH: [(&str, SiteStory); 12] = [
    ("a_request_becomes_a_result", main_job),
    ("a_killed_workers_request_is_run_by_the_next_one", killed_worker),
    ("two_workers_run_no_test_twice", two_workers),
    ("a_batch_of_a_dry_run_is_run_each_time_that_it_is_submitted", batch_again),
    ("a_worker_that_is_told_to_stop_finishes_its_test", stops),
    ("a_second_signal_gives_the_request_back", cancelled),
    ("a_testbed_that_keeps_failing_is_not_the_packages_fault", testbed_failure),
    ("a_message_that_is_no_request_becomes_a_dead_letter", dead_letter),
    ("a_worker_without_autopkgtest_takes_itself_out_of_service", no_autopkgtest),
    ("a_mistyped_virt_server_costs_no_request_its_result", no_virt_server),
    ("a_worker_on_twenty_queues_holds_one_request", one_of_many),
    ("workers_under_fire_lose_and_repeat_nothing", under_fire),
];

/// The model has one request with an id, so what is logged here is not held against it.
const NOT_IN_THE_MODEL: [(&str, SiteStory); 1] = [("two_requests_with_one_id_are_both_run", one_id)];

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("a_worker_is_killed_while_a_request_waits_out_its_delay", killed),
        ("a_killed_workers_test_does_not_go_on", orphans),
        ("a_disk_that_is_too_small_for_long_costs_no_request", small_disk),
        ("a_full_disk_gives_the_request_back", full_disk),
        ("a_large_artifact_does_not_sit_in_memory", large_artifact),
        ("an_autopkgtest_that_crashes_says_why", crash),
        ("an_autopkgtest_that_cannot_be_started_is_not_the_requests_fault", not_started),
        ("what_no_host_can_finish_does_not_go_round_for_ever", unfinishable),
        ("a_folder_that_another_worker_still_keeps_is_waited_for", kept_folder),
        ("a_folder_that_cannot_be_tidied_up_holds_up_nobody", stuck_leftover),
        ("a_worker_for_one_request_takes_no_second_one", only_one),
        ("a_reader_that_polls_misses_no_run_of_several_workers", polling_reader),
    ];
    let mut trials = stories("crash_recovery::worker", services, all);
    for (name, story) in ON_BOTH {
        trials.push(Trial::test(format!("crash_recovery::worker::local::{name}"), move || story(TestSite::local())));
        let services = Arc::clone(services);
        trials.push(Trial::test(format!("crash_recovery::worker::servers::{name}"), move || {
            story(services.site().replayed(crate::model::replay_logs))
        }));
    }
    for (name, story) in NOT_IN_THE_MODEL {
        trials.push(Trial::test(format!("crash_recovery::worker::local::{name}"), move || story(TestSite::local())));
        let services = Arc::clone(services);
        trials.push(Trial::test(format!("crash_recovery::worker::servers::{name}"), move || story(services.site())));
    }
    trials
}

/// Asks for a test that goes on until the returned file exists.
fn gated_request(site: &TestSite, package: &str) -> (String, PathBuf) {
    let gate = site.path().join(format!("gate.{package}"));
    let id = site.request(package, &[&format!("STUB_WAIT={}", gate.display())]);
    (id, gate)
}

/// Starts a worker and waits until it runs the package's test, for the nth time in all.
fn worker_running(site: &TestSite, package: &str, nth: usize) -> Running {
    let worker = site.start(&["worker"]);
    until("the test starts", || starts(site, package) == nth);
    worker
}

fn main_job(site: TestSite) -> Result<(), Failed> {
    let passing = site.request("libpass", &[]);
    let failing = site.request("fails", &["STUB_EXIT=4"]);
    let neutral = site.request("neutral", &["STUB_EXIT=8"]);
    assert_eq!(site.queue()["ready"], 3);
    site.ok(&["worker", "--drain"]);
    assert!(site.is_idle());
    assert_eq!(site.starts(), ["libpass", "fails", "neutral"], "in the order of their submission");
    let outcome = |id: &str| {
        let results = site.results();
        let run = results.iter().find(|run| run["uuid"] == id).expect("a result").clone();
        (run["outcome"].as_str().expect("an outcome").to_owned(), run)
    };
    assert_eq!(outcome(&failing).0, "fail");
    assert_eq!(outcome(&neutral).0, "neutral");
    let (outcome, run) = outcome(&passing);
    assert_eq!((outcome.as_str(), &run["version"]), ("pass", &"1.0-1".into()));
    assert_eq!(run["triggers"], json!(["trigger/1"]));
    let path = run["path"].as_str().expect("a path");
    assert!(path.starts_with(&format!("{}/amd64/libp/libpass/2", site.release)), "{path}");
    for name in ["libpass", path] {
        let log = site.ok(&["log", name]);
        assert_eq!(log, "autopkgtest [stub]: starting libpass\nautopkgtest [stub]: the end\n");
    }
    // A pipe gets exact values, tab-separated, and no headings.
    let line = site.ok(&["results", "libpass"]);
    assert!(line.starts_with("pass\tlibpass\t1.0-1\t"), "{line}");
    assert_eq!(line.lines().count(), 1);
    let missing = site.run(&["log", "nothing"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(missing.err.contains("hint:"), "{}", missing.err);
    Ok(())
}

fn killed_worker(site: TestSite) -> Result<(), Failed> {
    let (id, gate) = gated_request(&site, "slow");
    let first = worker_running(&site, "slow", 1);
    let second = site.start(&["worker"]);
    until("both workers are seen", || site.sees(|queue| queue.claimed == 1 && queue.consumers == 1));
    assert_eq!(site.queue()["ready"], 0);
    let killed = Instant::now();
    first.kill();
    until("the test starts again", || starts(&site, "slow") == 2);
    // Long before a server would miss the dead worker's heartbeats.
    assert!(killed.elapsed() < Duration::from_secs(20), "it took {:?}", killed.elapsed());
    fs::write(gate, "")?;
    until("the result is there", || site.has_results_of(&[&id]));
    until("nothing is left", || site.sees_nothing());
    assert_eq!(site.results().len(), 1, "exactly one result");
    second.kill();
    Ok(())
}

fn two_workers(site: TestSite) -> Result<(), Failed> {
    let mut ids: Vec<String> = (0..20).map(|n| site.request(&format!("package{n}"), &[])).collect();
    let mut workers = [site.start(&["worker", "--drain"]), site.start(&["worker", "--drain"])];
    for worker in &mut workers {
        let finished = worker.wait();
        assert!(finished.status.success(), "{finished:#?}");
    }
    ids.sort();
    assert_eq!(site.finished(), ids);
    assert_eq!(site.starts().len(), 20, "no test ran twice");
    Ok(())
}

fn one_id(site: TestSite) -> Result<(), Failed> {
    let (queue, gate) = (site.queue_name(), site.path().join("gate"));
    let line = |trigger: &str| {
        let env = format!("STUB_WAIT={}", gate.display());
        format!("{queue}:gzip {}\n", json!({"uuid": "same", "triggers": [trigger], "env": [env]}))
    };
    site.submit(&line("a/1"));
    let mut worker = site.start(&["worker", "--slots", "2"]);
    until("the first one runs", || site.starts().len() == 1);
    site.submit(&line("a/2"));
    fs::write(&gate, "")?;
    until("both have results", || site.count_results() == 2);
    // Once more, and somebody looks at the queue, so that the request is delivered again.
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait().status.code(), Some(0));
    site.submit(&line("a/3"));
    site.json(&["queues", &queue]);
    site.ok(&["worker", "--drain"]);
    let mut triggers: Vec<String> = site.results().iter().map(|run| run["triggers"][0].to_string()).collect();
    triggers.sort();
    assert_eq!(triggers, [r#""a/1""#, r#""a/2""#, r#""a/3""#]);
    assert_eq!(site.queue()["dead"], 0);
    Ok(())
}

fn batch_again(site: TestSite) -> Result<(), Failed> {
    let file = site.path().join("batch");
    let lines = site.ok(&["run", "-n", "-s", &site.release, "--trigger", "a/1", "gzip"]);
    fs::write(&file, lines)?;
    for results in 1..=2 {
        site.ok(&["run", "--batch", file.to_str().expect("a path in UTF-8")]);
        site.json(&["queues", &site.queue_name()]);
        site.ok(&["worker", "--drain"]);
        assert_eq!(site.results().len(), results);
    }
    Ok(())
}

fn stops(site: TestSite) -> Result<(), Failed> {
    for (signal, code) in [(Signal::SIGTERM, 0), (Signal::SIGHUP, 10)] {
        let package = format!("stop{code}");
        let (id, gate) = gated_request(&site, &package);
        let waiting = site.request("waiting", &[]);
        let mut worker = worker_running(&site, &package, 1);
        worker.signal(signal);
        until("the worker has heard the signal", || worker.stderr().contains("stopping"));
        assert!(worker.is_running(), "the test is finished first");
        fs::write(gate, "")?;
        let finished = worker.wait();
        assert_eq!(finished.status.code(), Some(code), "{finished:#?}");
        assert!(site.finished().contains(&id));
        assert!(!site.finished().contains(&waiting), "nothing new was taken");
        site.ok(&["worker", "--drain"]);
    }
    // An idle worker has nothing to finish.
    let mut worker = site.start(&["worker"]);
    until("the worker waits", || site.sees(|queue| queue.consumers == 1));
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait().status.code(), Some(0));
    Ok(())
}

fn cancelled(site: TestSite) -> Result<(), Failed> {
    let (id, gate) = gated_request(&site, "cancelled");
    let mut worker = worker_running(&site, "cancelled", 1);
    worker.signal(Signal::SIGTERM);
    until("the worker has heard the signal", || worker.stderr().contains("stopping"));
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait().status.code(), Some(0));
    assert_eq!(site.queue()["ready"], 1, "the request is back");
    assert!(site.finished().is_empty());
    fs::write(gate, "")?;
    site.ok(&["worker", "--drain"]);
    assert_eq!(site.finished(), [id]);
    Ok(())
}

fn testbed_failure(site: TestSite) -> Result<(), Failed> {
    let id = site.request("flaky-testbed", &["STUB_EXIT=16"]);
    let finished = site.run(&["worker", "--drain"]);
    assert!(finished.err.contains("testbed of flaky-testbed failed"), "{}", finished.err);
    assert_eq!(starts(&site, "flaky-testbed"), 3, "three attempts");
    let results = site.results();
    assert_eq!(results.len(), 1);
    assert_eq!((&results[0]["uuid"], &results[0]["outcome"]), (&id.into(), &"tmpfail".into()));
    Ok(())
}

fn dead_letter(site: TestSite) -> Result<(), Failed> {
    let good = site.request("good", &[]);
    site.plant("-broken- {\"triggers\": 1}");
    site.plant("private {\"ppas\": [\"u:hunter2@owner\"]}");
    let after = site.request("after", &[]);
    site.ok(&["worker", "--drain"]);
    let mut done = [good, after];
    done.sort();
    assert_eq!(site.finished(), done, "the worker goes on");
    assert_eq!(site.queue()["dead"], 2);
    let contents = site.ok(&["queues", &site.queue_name(), "--json"]);
    assert!(contents.contains("a source package's name is"), "{contents}");
    assert!(contents.contains("a PPA must have the form OWNER/NAME"), "{contents}");
    assert!(!contents.contains("hunter2"), "{contents}");
    Ok(())
}

fn no_virt_server(site: TestSite) -> Result<(), Failed> {
    let id = site.request("gzip", &[]);
    let conf = fs::read_to_string(site.path().join("worker.conf"))?;
    site.worker_conf(&conf.replace("args = null", "args = nul"));
    let finished = site.run(&["worker", "--drain"]);
    assert_eq!(finished.status.code(), Some(1), "{finished:#?}");
    assert!(finished.err.contains("there is no virt server nul"), "{}", finished.err);
    assert_eq!(site.queue()["ready"], 1, "the request waits for a worker that can run it");
    site.worker_conf(&conf);
    site.ok(&["worker", "--drain"]);
    assert_eq!(site.finished(), [id]);
    Ok(())
}

fn no_autopkgtest(site: TestSite) -> Result<(), Failed> {
    let id = site.request("gzip", &[]);
    fs::rename(site.path().join("checkout"), site.path().join("elsewhere"))?;
    let finished = site.run(&["worker", "--drain"]);
    assert_eq!(finished.status.code(), Some(1), "{finished:#?}");
    assert!(finished.err.contains("out of service") && finished.err.contains("autopkgtest"), "{}", finished.err);
    assert_eq!(site.queue()["ready"], 1, "the request waits for another worker");
    fs::rename(site.path().join("elsewhere"), site.path().join("checkout"))?;
    site.ok(&["worker", "--drain"]);
    assert_eq!(site.finished(), [id]);
    Ok(())
}

fn one_of_many(site: TestSite) -> Result<(), Failed> {
    const REQUESTS: usize = 40;
    let (queue, store) = site.addresses();
    site.configure_with(queue, store, 4);
    let gate = site.path().join("gate");
    let states = || site.json(&["queues"]).as_array().expect("a list").clone();
    // A worker that finds nothing makes its queues.
    site.ok(&["worker", "--drain"]);
    let names: Vec<String> = states().iter().map(|state| state["queue"].as_str().expect("a name").to_owned()).collect();
    assert_eq!(names.len(), 20);
    let parameters = json!({"env": [format!("STUB_WAIT={}", gate.display())]});
    let batch: String = (0..REQUESTS).map(|n| format!("{}:package{n} {parameters}\n", names[n % 20])).collect();
    let file = site.path().join("batch");
    fs::write(&file, batch)?;
    site.ok(&["run", "--batch", file.to_str().expect("a path in UTF-8")]);
    let mut worker = site.start(&["worker", "--drain"]);
    until("the first test runs", || site.starts().len() == 1);
    until("the others are there for other workers", || {
        let states = states();
        let sum = |key: &str| states.iter().map(|state| state[key].as_u64().expect("a number")).sum::<u64>();
        assert!(sum("claimed") <= 1);
        (sum("ready"), sum("claimed")) == (REQUESTS as u64 - 1, 1)
    });
    fs::write(gate, "")?;
    assert!(worker.wait().status.success());
    assert_eq!(site.starts().len(), REQUESTS);
    Ok(())
}

fn under_fire(site: TestSite) -> Result<(), Failed> {
    // A longer fire: APT_CI_TEST_REQUESTS=2000 make test
    let count = std::env::var("APT_CI_TEST_REQUESTS").map_or(200, |text| text.parse().expect("a number"));
    let batch: String =
        (0..count).map(|n| format!("{}:package{n} {{\"triggers\": [\"a/1\"]}}\n", site.queue_name())).collect();
    let file = site.path().join("batch");
    fs::write(&file, batch)?;
    let out = site.ok(&["run", "--batch", file.to_str().expect("a path in UTF-8")]);
    let mut ids: Vec<String> = out.lines().filter_map(|line| Some(line.split('\t').nth(2)?.to_owned())).collect();
    ids.sort();
    assert_eq!(ids.len(), count);
    let mut workers: Vec<Running> = (0..4).map(|_| site.start(&["worker"])).collect();
    let mut fire = 0;
    let (mut last_shot, mut done_then) = (Instant::now(), None);
    // Workers are killed all the time, and each request may take half a second more for that.
    let timeout = WAIT_TIMEOUT + Duration::from_millis(500) * u32::try_from(count)?;
    until_within(timeout, "every request has its result", || {
        let done = site.count_results();
        // Nobody gets on who is killed again and again before he could do anything: on a busy machine there are fewer shots.
        let progress = done_then.is_none_or(|then| done >= then + 4);
        if done < count && progress && last_shot.elapsed() > Duration::from_millis(500) {
            workers.remove(0).kill();
            workers.push(site.start(&["worker"]));
            fire += 1;
            (last_shot, done_then) = (Instant::now(), Some(done));
        }
        done >= count
    });
    assert!(fire >= 3, "only {fire} workers were killed");
    until("nothing is left", || site.sees_nothing());
    assert_eq!(site.finished(), ids, "each request has one result, and none has two");
    assert_eq!(site.queue()["dead"], 0);
    Ok(())
}

fn killed(services: &Services) -> Result<(), Failed> {
    for site in [TestSite::local(), services.site().replayed(crate::model::replay_logs)] {
        site.worker_options("retry_delay = 15\n");
        let mut ids = vec![site.request("weak", &["STUB_FAILURES=1"])];
        ids.extend(held_requests(&site, &PACKAGES[..3]));
        ids.sort();
        let worker = site.start(&["worker", "--slots", "3"]);
        until("one is delayed", || site.sees(|queue| queue.delayed == 1));
        until("three run", || site.starts().len() == 4);
        worker.kill();
        until("all are back, or come back", || site.sees(|queue| queue.ready >= 3 && queue.ready + queue.delayed == 4));
        fs::write(gate(&site), "")?;
        site.ok(&["worker", "--drain", "--slots", "3"]);
        assert_eq!(site.finished(), ids);
        assert_eq!(site.results().len(), 4, "one result each");
        assert_eq!(site.starts().len(), 8, "each was begun twice: {:?}", site.starts());
        assert_eq!((&site.queue()["ready"], &site.queue()["dead"]), (&json!(0), &json!(0)));
    }
    Ok(())
}

fn orphans(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    held_request(&site);
    let worker = site.start(&["worker"]);
    until("the test starts", || site.starts().len() == 1);
    let stub = site.path().join("checkout/runner/autopkgtest");
    let running = || {
        let mut command = Command::new("pgrep");
        command.args(["-f", stub.to_str().expect("a path in UTF-8")]);
        !finish(command).out.is_empty()
    };
    assert!(running());
    worker.kill();
    until("the test has ended with its worker", || !running());
    Ok(())
}

fn small_disk(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    site.worker_options("retry_delay = 0\n");
    // What it leaves fits, and a bundle of that does not.
    let id = site.request("large", &["STUB_SIZE=90000"]);
    let mut worker = site.start_on_disk("120m", &["worker"]);
    // Far oftener than a testbed may fail, or a request kill its worker.
    until("it is tried again and again", || {
        site.run(&["worker", "reload"]);
        assert!(!site.sees(|queue| queue.dead > 0), "{}", worker.stderr());
        starts(&site, "large") > 6
    });
    assert!(worker.stderr().contains("disk is full"), "{}", worker.stderr());
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait().status.code(), Some(0));
    assert!(site.results().is_empty());
    site.ok(&["worker", "--drain"]);
    assert_eq!(site.finished(), [id]);
    assert_eq!(site.results()[0]["outcome"], "pass");
    Ok(())
}

fn full_disk(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let work = site.path().join("home/.local/state/apt-ci/work");
    fs::create_dir_all(&work)?;
    let on_a_disk_of = |size: &str| {
        // A file system of our own in a mount namespace of our own.
        let program = env!("CARGO_BIN_EXE_apt-ci");
        let script = format!("mount -t tmpfs -o size={size} tmpfs {} && exec {program} worker --drain", work.display());
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", &script]).current_dir(site.path());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", site.path().join("home"));
        finish(command)
    };
    let id = site.request("large", &["STUB_SIZE=90000"]);
    // Too small to begin with: no request is taken. Full in the middle: it is tried as often as any host's failure.
    site.worker_options("retry_delay = 0\n");
    for (size, started) in [("1m", 0), ("100m", 11)] {
        let finished = on_a_disk_of(size);
        let is_small = started == 0;
        assert_eq!(finished.status.code(), Some(i32::from(is_small)), "{size}: {finished:#?}");
        assert_eq!(finished.err.contains("out of service"), is_small, "{size}: {}", finished.err);
        assert!(finished.err.contains("full") || finished.err.contains("space"), "{size}: {}", finished.err);
        assert_eq!(site.starts().len(), started, "{size}");
        let queue = site.queue();
        // A test that fills a disk which is large enough for others stops nobody; it is set aside with the reason.
        let (ready, dead) = if is_small { (1, 0) } else { (0, 1) };
        assert_eq!((&queue["ready"], &queue["dead"]), (&ready.into(), &dead.into()), "{size}: {queue}");
        assert_eq!(site.results().len(), 0, "{size}");
    }
    site.ok(&["queues", "dead", "requeue", &site.queue_name(), "--yes"]);
    site.ok(&["worker", "--drain"]);
    assert_eq!(site.finished(), [id]);
    Ok(())
}

fn large_artifact(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let megabytes: u64 = 500;
    let mut worker = site.start(&["worker"]);
    let id = site.request("large", &[&format!("STUB_HOLE={}", megabytes << 10)]);
    until("the result is there", || site.has_results_of(&[&id]));
    let status = fs::read_to_string(format!("/proc/{}/status", worker.id()))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the highest resident memory");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse()?;
    assert!(peak < 64 << 10, "the worker grew to {peak} kB");
    worker.signal(Signal::SIGTERM);
    worker.wait();
    let list = r#"
import sys, tarfile
with tarfile.open(sys.argv[1]) as tar:
    print(tar.getmember("hole").size)
"#;
    let run = &site.results()[0];
    let text = |key: &str| run[key].as_str().expect("a text").to_owned();
    let archive = site.path().join("results").join(text("container")).join(text("path")).join("artifacts.tar.gz");
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", list]).arg(archive);
    assert_eq!(finish(python).out.trim(), (megabytes << 20).to_string());
    Ok(())
}

fn crash(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let stub = site.path().join("checkout/runner/autopkgtest");
    let script = "#!/bin/sh\n[ \"$1\" = --help ] && echo --output-dir && exit\necho 'ImportError: no module distro_info' >&2\nexit 1\n";
    fs::write(&stub, script)?;
    site.request("crashes", &[]);
    let finished = site.run(&["worker", "--drain"]);
    assert!(finished.err.contains("ImportError: no module distro_info"), "{}", finished.err);
    let results = site.results();
    assert_eq!(results[0]["outcome"], "tmpfail", "{results:?}");
    assert!(site.ok(&["log", "crashes"]).contains("ImportError: no module distro_info"));
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> std::io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn not_started(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    site.worker_options("retry_delay = 0\n");
    let stub = site.path().join("checkout/runner/autopkgtest");
    let mut worker = site.start(&["worker"]);
    let first = site.request("first", &[]);
    until("the worker has found autopkgtest", || site.has_results_of(&[&first]));
    // As in the middle of an upgrade of this host.
    set_mode(&stub, 0o644)?;
    let id = site.request("second", &["STUB_FAILURES=2"]);
    let failures = || slots(&site)[0]["infrastructure_failures"].as_u64().unwrap_or_default();
    until("it was tried oftener than a testbed may fail", || {
        site.run(&["worker", "reload"]);
        assert!(site.count_results() <= 1, "{:?}", site.results());
        failures() > 3
    });
    set_mode(&stub, 0o755)?;
    until("it is done", || {
        site.run(&["worker", "reload"]);
        site.has_result_of(&id)
    });
    let run = site.results().into_iter().find(|run| run["uuid"] == id).expect("a result");
    assert_eq!(run["outcome"], "pass", "the host's failures are not counted among the testbed's: {run}");
    assert_eq!(starts(&site, "second"), 3);
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait().status.code(), Some(0));
    Ok(())
}

fn unfinishable(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    site.worker_options("retry_delay = 0\n");
    site.request("first", &[]);
    let mut worker = site.start(&["worker"]);
    until("the worker has found autopkgtest", || site.count_results() == 1);
    // Tests cannot be started any more, but a worker's own probes can.
    let stub = site.path().join("checkout/runner/autopkgtest");
    let real = stub.with_extension("real");
    fs::rename(&stub, &real)?;
    let (real, probe) = (real.display(), "*--help* | */tree/*");
    fs::write(
        &stub,
        format!("#!/bin/sh\ncase \"$*\" in {probe}) exec {real} \"$@\" ;; esac\necho denied\nexit 126\n"),
    )?;
    set_mode(&stub, 0o755)?;
    site.request("second", &[]);
    until("it is given up", || {
        site.run(&["worker", "reload"]);
        site.sees(|queue| queue.dead == 1)
    });
    let letter = &site.json(&["queues", &site.queue_name()])["dead"][0];
    let reason = letter["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("no host could finish it, 11 times") && reason.contains("denied"), "{reason}");
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait().status.code(), Some(0));
    Ok(())
}

fn kept_folder(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let id = site.request("kept", &[]);
    let folder = site.path().join("home/.local/state/apt-ci/work").join(&id);
    fs::create_dir_all(&folder)?;
    let other = fs::File::create(folder.join("lock"))?;
    other.lock()?;
    let mut worker = site.start(&["worker", "--drain"]);
    until("the worker waits", || worker.stderr().contains("works in") || !worker.is_running());
    // Longer than three failures in a row would take.
    let begin = Instant::now();
    until("the worker gives up, or some time is over", || !worker.is_running() || begin.elapsed().as_secs() >= 5);
    assert!(worker.is_running(), "{}", worker.stderr());
    drop(other);
    let finished = worker.wait();
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    assert_eq!(site.finished(), [id]);
    assert_eq!(site.json(&["queues"])[0]["dead"], 0);
    Ok(())
}

fn stuck_leftover(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    // What a dead worker left is on a disk that does not answer: who opens this file waits for ever.
    let leftover = site.path().join("home/.local/state/apt-ci/work/left");
    fs::create_dir_all(&leftover)?;
    nix::unistd::mkfifo(&leftover.join("lock"), nix::sys::stat::Mode::S_IRWXU)?;
    assert!(Command::new("touch").args(["-d", "1 hour ago"]).arg(&leftover).status()?.success());
    let id = site.request("gzip", &[]);
    let mut worker = site.start(&["worker"]);
    until("the request is done", || site.has_results_of(&[&id]));
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait().status.code(), Some(0));
    Ok(())
}

fn only_one(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let weak = site.request("weak", &["STUB_EXIT=16"]);
    for package in ["other", "another"] {
        // What fails goes back; this is the request that it serves.
        site.request(package, &[]);
        site.ok(&["worker", "--once"]);
        until("the weak one is back", || site.sees(|queue| queue.ready == 1));
    }
    assert_eq!(site.starts(), ["weak", "other", "weak", "another"]);
    site.request("last", &[]);
    let finished = site.run(&["worker", "--once"]);
    assert!(finished.status.success(), "{finished:#?}");
    assert_eq!(starts(&site, "weak"), 3);
    assert!(site.finished().contains(&weak), "its third failure is its result");
    assert_eq!(starts(&site, "last"), 0, "that was its one request");
    Ok(())
}

/// Tells the reader to read once more and then to end.
struct EndsReader<'a>(&'a AtomicBool);

impl Drop for EndsReader<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Reads as proposed-migration does: each time what came after the newest run that it knows.
fn poll(store: &Store, site: &TestSite, done: &AtomicBool) -> BTreeSet<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (container, prefix) = (format!("autopkgtest-{}", site.release), format!("{}/amd64/b/burst/", site.release));
    let mut seen = BTreeSet::<String>::new();
    loop {
        let last = done.load(Ordering::SeqCst);
        // `0` comes right after the `/` that follows a run's id.
        let marker = seen.last().map(|run| format!("{prefix}{run}0")).unwrap_or_default();
        let query = Query { prefix: prefix.clone(), delimiter: None, marker };
        let entries = match runtime.block_on(store.list(&container, &query)) {
            Err(StoreError::NotFound(_)) => Vec::new(),
            entries => entries.expect("a listing"),
        };
        let results =
            entries.iter().filter_map(|entry| entry.name().strip_prefix(&prefix)?.strip_suffix("/result.tar"));
        seen.extend(results.map(str::to_owned));
        if last {
            return seen;
        }
    }
}

fn polling_reader(services: &Services) -> Result<(), Failed> {
    const REQUESTS: usize = 40;
    let site = services.site().replayed(crate::model::replay_logs);
    site.worker_options("retry_delay = 0\n");
    let batch: String = (0..REQUESTS)
        .map(|number| {
            format!(
                "{}:burst {{\"triggers\": [\"burst/{number}\"], \"uuid\": \"burst-{number}\"}}\n",
                site.queue_name()
            )
        })
        .collect();
    site.submit(&batch);
    let (store, done) = (services.swift().store(), AtomicBool::new(false));
    let seen = std::thread::scope(|scope| {
        let reader = scope.spawn(|| poll(&store, &site, &done));
        // Also when this thread panics: the scope waits for the reader.
        let ends_reader = EndsReader(&done);
        let mut stays = site.start(&["worker", "--slots", "4"]);
        let mut killed = site.start_elsewhere(&["worker", "--slots", "4"]);
        for results in [8, 16, 24] {
            until("some results are there", || site.count_results() >= results);
            killed.kill();
            killed = site.start_elsewhere(&["worker", "--slots", "4"]);
        }
        until("all are there", || site.count_results() >= REQUESTS && site.sees_nothing());
        for worker in [&mut stays, &mut killed] {
            worker.signal(Signal::SIGTERM);
            assert_eq!(worker.wait().status.code(), Some(0));
        }
        drop(ends_reader);
        reader.join().expect("the reader")
    });
    let results = site.results();
    let ids: BTreeSet<&str> = results.iter().filter_map(|run| run["uuid"].as_str()).collect();
    assert_eq!((results.len(), ids.len()), (REQUESTS, REQUESTS), "one result each");
    let missed: Vec<&str> =
        results.iter().filter_map(|run| run["run"].as_str()).filter(|run| !seen.contains(*run)).collect();
    assert!(missed.is_empty(), "{missed:?}");
    let future = results.iter().filter_map(|run| run["run"].as_str()).max().map(|run| run[..15].to_owned());
    assert!(future <= Some(jiff::Timestamp::now().strftime("%Y%m%d_%H%M%S").to_string()), "{future:?}");
    Ok(())
}
