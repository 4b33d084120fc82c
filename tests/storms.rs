//! Bad days of workers with several tests at once: each request is done once in the end, and a cancelled one not at all.

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
use serde_json::{Value, json};

use crate::support::rabbitmq::RabbitMq;
use crate::support::site::{Running, TestSite, until};
use crate::support::stand_in::StandIn;
use crate::support::swift::{Auth, Swift};
use crate::support::{Services, Story, Trial, stories};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("rabbitmq_restarts_under_four_tests", rabbitmq_restarts),
        ("rabbitmq_freezes_under_four_tests_and_the_worker_leaves", rabbitmq_freezes),
        ("the_queues_change_while_rabbitmq_is_away", queues_change),
        ("swift_is_away_when_four_tests_are_done", swift_is_away),
        ("a_worker_is_killed_while_a_request_waits_out_its_delay", killed),
        ("a_disk_that_is_too_small_for_long_costs_no_request", small_disk),
        ("an_autopkgtest_that_cannot_be_started_is_not_the_requests_fault", not_started),
        ("what_no_host_can_finish_does_not_go_round_for_ever", unfinishable),
        ("a_folder_that_cannot_be_tidied_up_holds_up_nobody", stuck_leftover),
        ("a_request_that_waits_for_the_store_can_be_cancelled", cancelled_early),
        ("a_cancelled_test_stays_cancelled_when_its_worker_leaves", cancelled_late),
        ("a_worker_for_one_request_takes_no_second_one", only_one),
        ("a_reader_that_polls_misses_no_run_of_several_workers", polling_reader),
    ];
    stories("storms", services, all)
}

const PACKAGES: [&str; 4] = ["one", "two", "three", "four"];

fn gate(site: &TestSite) -> PathBuf {
    site.path().join("gate")
}

/// Asks for tests that go on until the gate is there.
fn held_requests(site: &TestSite, packages: &[&str]) -> Vec<String> {
    let wait = format!("STUB_WAIT={}", gate(site).display());
    packages.iter().map(|package| site.request(package, &[&wait])).collect()
}

/// Starts a worker with four slots, each with a test that goes on until the gate is there.
fn four_running(site: &TestSite) -> (Running, Vec<String>) {
    let mut ids = held_requests(site, &PACKAGES);
    ids.sort();
    let worker = site.start(&["worker", "--slots", "4"]);
    until("all four run", || site.starts().len() == 4);
    (worker, ids)
}

fn slots(site: &TestSite) -> Vec<Value> {
    let finished = site.run(&["worker", "status", "--json"]);
    let workers: Value = serde_json::from_str(&finished.out).unwrap_or_default();
    workers[0]["slots"].as_array().cloned().unwrap_or_default()
}

fn starts(site: &TestSite, package: &str) -> usize {
    site.starts().iter().filter(|started| *started == package).count()
}

fn rabbitmq_restarts(services: &Services) -> Result<(), Failed> {
    let rabbitmq = services.private_rabbitmq();
    let site =
        TestSite::on(&rabbitmq.url(), "swift:", services.swift().environment()).replayed(crate::model::replay_logs);
    let (mut worker, mut ids) = four_running(&site);
    ids.push(site.request("waits", &[]));
    ids.sort();
    // In an orderly way, and not.
    for stop in [RabbitMq::stop, RabbitMq::kill] {
        stop(&rabbitmq);
        rabbitmq.start_again();
        until("the worker has its claims again", || site.sees(|queue| queue.claimed == 4));
    }
    fs::write(gate(&site), "")?;
    until("all results are there", || site.has_results_of(&ids));
    until("nothing is left", || site.sees_nothing());
    assert_eq!(site.starts().len(), 5, "each test ran once: {:?}", site.starts());
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait().status.code(), Some(0));
    Ok(())
}

fn rabbitmq_freezes(services: &Services) -> Result<(), Failed> {
    let rabbitmq = services.private_rabbitmq();
    let site = TestSite::on(&rabbitmq.url(), "folder:results", Vec::new()).replayed(crate::model::replay_logs);
    let (mut worker, ids) = four_running(&site);
    let frozen = rabbitmq.freeze();
    let begin = Instant::now();
    for heard in ["stopping", "cancelling"] {
        worker.signal(Signal::SIGTERM);
        until("the worker has heard the signal", || worker.stderr().contains(heard));
    }
    let finished = worker.wait();
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    // Before it would notice by itself that nobody answers any more.
    assert!(begin.elapsed() < Duration::from_secs(28), "it took {:?}", begin.elapsed());
    drop(frozen);
    until("the requests are back", || site.sees(|queue| queue.ready == 4));
    fs::write(gate(&site), "")?;
    site.ok(&["worker", "--drain", "--slots", "4"]);
    assert_eq!(site.finished(), ids);
    Ok(())
}

fn queues_change(services: &Services) -> Result<(), Failed> {
    let rabbitmq = services.private_rabbitmq();
    let site = TestSite::on(&rabbitmq.url(), "folder:results", Vec::new()).replayed(crate::model::replay_logs);
    let release = &site.release;
    site.worker_options(&format!("releases = {release}\n"));
    let mut worker = site.start(&["worker", "--slots", "2"]);
    until("both slots wait", || site.sees(|queue| queue.consumers == 2));
    rabbitmq.stop();
    site.worker_options(&format!("releases = {release} {release}new\n"));
    site.ok(&["worker", "reload"]);
    until("it is tried or given up", || !worker.is_running() || worker.stderr().contains("cannot be served yet"));
    assert!(worker.is_running(), "{}", worker.stderr());
    rabbitmq.start_again();
    let queue = format!("debci-{release}new-amd64");
    until("the new queues are there", || site.run(&["queues", &queue]).status.success());
    let file = site.path().join("batch");
    fs::write(&file, format!("{queue}:gzip {{\"triggers\": [\"a/1\"]}}\n"))?;
    site.ok(&["run", "--batch", file.to_str().expect("a path in UTF-8")]);
    until("a request of the new release is done", || starts(&site, "gzip") == 1);
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait().status.code(), Some(0));
    Ok(())
}

fn swift_is_away(_: &Services) -> Result<(), Failed> {
    let folder = tempfile::TempDir::new()?;
    let mut swift = Swift::start(folder.path(), &Auth::TempAuth);
    let site = TestSite::on("local:queue", "swift:", swift.environment());
    let (mut worker, ids) = four_running(&site);
    swift.stop();
    fs::write(gate(&site), "")?;
    until("all four wait for the store", || worker.stderr().matches("waits for the store").count() >= 4);
    assert!(slots(&site).iter().all(|slot| slot["phase"] == "publishing"));
    swift.restart();
    until("the results are there", || site.has_results_of(&ids));
    assert_eq!(site.starts().len(), 4, "each test ran once");
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait().status.code(), Some(0));
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
        until("all are back, or come back", || {
            site.sees(|queue| queue.ready >= 3 && queue.ready + queue.delayed == 4)
        });
        fs::write(gate(&site), "")?;
        site.ok(&["worker", "--drain", "--slots", "3"]);
        assert_eq!(site.finished(), ids);
        assert_eq!(site.results().len(), 4, "one result each");
        assert_eq!(site.starts().len(), 8, "each was begun twice: {:?}", site.starts());
        assert_eq!((&site.queue()["ready"], &site.queue()["dead"]), (&json!(0), &json!(0)));
    }
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
        assert_eq!(site.queue()["dead"], 0, "{}", worker.stderr());
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
        assert!(site.finished().len() == 1, "{:?}", site.results());
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
    let site = services.site().replayed(crate::model::replay_logs);
    site.worker_options("retry_delay = 0\n");
    let batch: String = (0..60)
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
        let mut stays = site.start(&["worker", "--slots", "4"]);
        let mut killed = site.start_elsewhere(&["worker", "--slots", "4"]);
        for results in [10, 20, 30] {
            until("some results are there", || site.count_results() >= results);
            killed.kill();
            killed = site.start_elsewhere(&["worker", "--slots", "4"]);
        }
        until("all are there", || site.count_results() >= 60 && site.sees_nothing());
        for worker in [&mut stays, &mut killed] {
            worker.signal(Signal::SIGTERM);
            assert_eq!(worker.wait().status.code(), Some(0));
        }
        done.store(true, Ordering::SeqCst);
        reader.join().expect("the reader")
    });
    let results = site.results();
    let ids: BTreeSet<&str> = results.iter().filter_map(|run| run["uuid"].as_str()).collect();
    assert_eq!((results.len(), ids.len()), (60, 60), "one result each");
    let missed: Vec<&str> =
        results.iter().filter_map(|run| run["run"].as_str()).filter(|run| !seen.contains(*run)).collect();
    assert!(missed.is_empty(), "{missed:?}");
    let future = results.iter().filter_map(|run| run["run"].as_str()).max().map(|run| run[..15].to_owned());
    assert!(future <= Some(jiff::Timestamp::now().strftime("%Y%m%d_%H%M%S").to_string()), "{future:?}");
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

fn cancelled_early(_: &Services) -> Result<(), Failed> {
    let silent = StandIn::silent();
    let account = format!("{}/v1/AUTH_x", silent.url());
    let token = [("OS_AUTH_TOKEN", "token"), ("OS_STORAGE_URL", &account)];
    let token = token.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let site = TestSite::on("local:queue", &format!("swift:{account}"), token);
    let ids = held_requests(&site, &["gzip"]);
    let first = site.start(&["worker"]);
    until("the test starts", || site.starts().len() == 1);
    first.kill();
    // The next worker asks the store whether there is a result already.
    let mut worker = site.start(&["worker"]);
    until("it has the request", || slots(&site).iter().any(|slot| slot["uuid"] == ids[0].as_str()));
    let finished = site.run(&["worker", "cancel", "--wait", &ids[0]]);
    assert!(finished.status.success(), "{finished:#?}");
    until("it is a dead letter", || site.sees(|queue| queue.dead == 1));
    assert!(site.is_idle());
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait().status.code(), Some(0));
    assert_eq!(site.starts().len(), 1);
    Ok(())
}

fn cancelled_late(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let pids = site.path().join("pids");
    let id = site.request("stubborn", &[&format!("STUB_HANG={}", pids.display())]);
    let mut worker = site.start(&["worker"]);
    until("the test runs", || pids.exists());
    for heard in ["stopping", "cancelling"] {
        worker.signal(Signal::SIGTERM);
        until("the worker has heard the signal", || worker.stderr().contains(heard));
    }
    // The test has some time to end by itself. In this time somebody cancels it, and is told that it is cancelled.
    let answer = site.json(&["worker", "cancel", &id]);
    assert_eq!(answer[0]["cancelled"], true, "{answer}");
    assert_eq!(worker.wait().status.code(), Some(0));
    assert_eq!((&site.queue()["ready"], &site.queue()["dead"]), (&json!(0), &json!(1)), "{}", worker.stderr());
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
