//! A worker that is told to stop on a bad day: it stops soon, and what it held is done by the next one, once.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use nix::sys::signal::Signal;
use serde_json::json;
use testkit::fake_server::FakeServer;
use testkit::site::{Finished, Running, TestSite, until};
use testkit::{Services, Story, Trial, stories};

use super::{gate, held_request};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("while_the_queue_server_is_away", broker_away),
        ("while_the_store_does_not_answer", store_silent),
        ("while_a_test_does_not_want_to_end", stubborn_test),
        ("a_cancelled_test_stays_cancelled_when_its_worker_leaves", cancelled_late),
    ];
    stories("crash_recovery::shutdown", services, all)
}

/// Longer than the worker may take to leave, and shorter than any server's or test's own patience.
const SOON: Duration = Duration::from_secs(28);

/// Whether the request's result is ready to be published.
fn is_bundled(site: &TestSite, id: &str) -> bool {
    site.path().join("home/.local/state/apt-ci/work").join(id).join("bundle/bundle.json").exists()
}

/// Tells the worker to stop, so often, and each time only when it has heard the time before.
fn leaves_soon(worker: &mut Running, signals: usize) -> Finished {
    let begin = Instant::now();
    for heard in ["stopping", "cancelling", "at once"].iter().take(signals) {
        worker.signal(Signal::SIGTERM);
        until("the worker has heard the signal", || !worker.is_running() || worker.stderr().contains(heard));
    }
    let finished = worker.wait();
    assert!(begin.elapsed() < SOON, "it took {:?}: {}", begin.elapsed(), finished.err);
    finished
}

fn broker_away(services: &Services) -> Result<(), Failed> {
    let rabbitmq = services.private_rabbitmq();
    let site = TestSite::on(&rabbitmq.url(), "folder:results", Vec::new());
    let id = held_request(&site);
    let mut worker = site.start(&["worker"]);
    until("the test starts", || site.starts().len() == 1);
    rabbitmq.stop();
    fs::write(gate(&site), "")?;
    until("the test is done", || is_bundled(&site, &id));
    let finished = leaves_soon(&mut worker, 2);
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    assert!(finished.err.contains("is kept in"), "{}", finished.err);
    rabbitmq.start_again();
    site.ok(&["worker", "--drain"]);
    assert_eq!(site.finished(), [id]);
    assert_eq!(site.starts().len(), 1, "the test ran once");
    Ok(())
}

fn store_silent(_: &Services) -> Result<(), Failed> {
    let silent = FakeServer::silent();
    let account = format!("{}/v1/AUTH_x", silent.url());
    let token = [("OS_AUTH_TOKEN", "token"), ("OS_STORAGE_URL", &account)];
    let token = token.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let site = TestSite::on("local:queue", &format!("swift:{account}"), token);
    let id = site.request("kept", &[]);
    let mut worker = site.start(&["worker"]);
    until("the test is done", || is_bundled(&site, &id));
    let finished = leaves_soon(&mut worker, 2);
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    assert_eq!(site.queue()["ready"], 1, "the request is back");
    // The next worker asks the store whether it has the result already.
    let mut worker = site.start(&["worker"]);
    until("it has the request", || site.sees(|queue| queue.claimed == 1));
    let finished = leaves_soon(&mut worker, 2);
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    site.configure("local:queue", "folder:results");
    site.ok(&["worker", "--drain"]);
    assert_eq!(site.finished(), [id]);
    assert_eq!(site.starts().len(), 1, "the test ran once");
    Ok(())
}

fn stubborn_test(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let stub = site.path().join("checkout/runner/autopkgtest");
    let text = fs::read_to_string(&stub)?.replacen('\n', "\ntrap '' TERM\n", 1);
    fs::write(&stub, text)?;
    let id = held_request(&site);
    let mut worker = site.start(&["worker"]);
    until("the test starts", || site.starts().len() == 1);
    let finished = leaves_soon(&mut worker, 3);
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    assert_eq!(site.queue()["ready"], 1, "the request is back");
    fs::write(gate(&site), "")?;
    site.ok(&["worker", "--drain"]);
    assert_eq!(site.finished(), [id]);
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
