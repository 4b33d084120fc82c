//! The store is away, refuses, or loses what it had: results wait for it, and are published once.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use libtest_mimic::Failed;
use nix::sys::signal::Signal;
use testkit::fake_server::FakeServer;
use testkit::site::{TestSite, until};
use testkit::swift::{Auth, Swift};
use testkit::{Services, Story, Trial, stories};

use super::{four_running, gate, held_request, held_requests, slots};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("swift_is_away_when_the_test_is_done", away_after_a_test),
        ("swift_is_away_when_four_tests_are_done", away_after_four_tests),
        ("a_kept_result_is_published_by_the_next_worker", kept_result),
        ("a_result_that_is_removed_while_it_waits_is_made_again", removed_result),
        ("a_store_that_refuses_costs_no_request", store_refuses),
        ("a_request_that_waits_for_the_store_can_be_cancelled", cancelled_early),
    ];
    stories("crash_recovery::store", services, all)
}

fn away_after_a_test(_: &Services) -> Result<(), Failed> {
    let folder = tempfile::TempDir::new()?;
    let mut swift = Swift::start(folder.path(), &Auth::TempAuth);
    let site = TestSite::on("local:queue", "swift:", swift.environment());
    let id = held_request(&site);
    let mut worker = site.start(&["worker"]);
    until("the test starts", || site.starts().len() == 1);
    swift.stop();
    fs::write(gate(&site), "")?;
    until("the worker notices", || worker.stderr().contains("waits for the store"));
    swift.restart();
    until("the result is there", || site.has_results_of(&[&id]));
    assert_eq!(site.starts().len(), 1, "the test ran once");
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait().status.code(), Some(0));
    Ok(())
}

fn away_after_four_tests(_: &Services) -> Result<(), Failed> {
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

/// Puts a file in the place of the release's folder in the store: a result has its run id, and cannot be stored.
fn obstruct(site: &TestSite) -> std::io::Result<PathBuf> {
    let container = site.path().join("results").join(format!("autopkgtest-{}", site.release));
    fs::create_dir_all(&container)?;
    let obstacle = container.join(&site.release);
    fs::write(&obstacle, "").map(|()| obstacle)
}

fn kept_result(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let obstacle = obstruct(&site)?;
    let id = site.request("kept", &[]);
    let mut worker = site.start(&["worker"]);
    until("the worker notices", || worker.stderr().contains("waits for the store"));
    worker.signal(Signal::SIGTERM);
    let finished = worker.wait();
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    assert!(finished.err.contains("is kept in"), "{}", finished.err);
    assert_eq!(site.queue()["ready"], 1, "the request is back");
    fs::remove_file(&obstacle)?;
    site.ok(&["worker", "--drain"]);
    assert_eq!(site.finished(), [id]);
    assert_eq!(site.starts().len(), 1, "the test ran once");
    let work = site.path().join("home/.local/state/apt-ci/work");
    assert_eq!(fs::read_dir(&work)?.count(), 0, "nothing is left in {}", work.display());
    Ok(())
}

fn removed_result(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let obstacle = obstruct(&site)?;
    let id = site.request("removed", &[]);
    let mut worker = site.start(&["worker", "--drain"]);
    until("the worker waits", || worker.stderr().contains("waits for the store"));
    fs::remove_file(site.path().join("home/.local/state/apt-ci/work").join(&id).join("bundle/log.gz"))?;
    fs::remove_file(&obstacle)?;
    let finished = worker.wait();
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    assert_eq!(site.finished(), [id]);
    assert_eq!(site.starts().len(), 2, "there was not enough left of the first run");
    Ok(())
}

fn store_refuses(_: &Services) -> Result<(), Failed> {
    // It lets its user in, and then refuses to keep anything.
    let refusing = FakeServer::start(|exchange| match exchange.target.contains("autopkgtest-") {
        true => exchange.answer("403 Forbidden", "", ""),
        false => exchange.answer("200 OK", "Content-Type: application/json\r\n", "[]"),
    });
    let account = format!("{}/v1/AUTH_x", refusing.url());
    let token = [("OS_AUTH_TOKEN", "hunter2"), ("OS_STORAGE_URL", &account)];
    let token = token.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let site = TestSite::on("local:queue", &format!("swift:{account}"), token);
    let id = site.request("kept", &[]);
    // It is started again: more attempts in all than a request may kill its worker.
    for _ in 0..2 {
        let finished = site.run(&["worker", "--drain"]);
        assert_eq!(finished.status.code(), Some(1), "{finished:#?}");
        assert!(finished.err.contains("out of service") && finished.err.contains("403"), "{}", finished.err);
        assert!(!finished.err.contains("hunter2"), "{}", finished.err);
        assert!(finished.err.contains("probing"), "{}", finished.err);
        let queue = site.queue();
        let waiting = |state: &str| queue[state].as_u64().unwrap_or_default();
        assert_eq!((waiting("ready") + waiting("delayed"), waiting("dead")), (1, 0), "{queue}");
    }
    site.configure("local:queue", "folder:results");
    site.ok(&["worker", "--drain"]);
    assert_eq!(site.finished(), [id]);
    assert_eq!(site.starts().len(), 1, "the test ran once");
    Ok(())
}

fn cancelled_early(_: &Services) -> Result<(), Failed> {
    let silent = FakeServer::silent();
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
