//! What dies, and what becomes of the requests: each ends with exactly one result, or it is back in its queue. By what dies: a worker
//! or its host ([`worker`]), the queue server ([`broker`]), the store ([`store`]), or a worker that is told to stop ([`shutdown`]).

mod broker;
mod shutdown;
mod store;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use testkit::site::{Running, TestSite, until};
use testkit::{Services, Trial};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let rooms = [broker::trials, store::trials, shutdown::trials, worker::trials];
    rooms.into_iter().flat_map(|trials| trials(services)).collect()
}

/// The file that tests wait for which are to go on until the story lets them end.
fn gate(site: &TestSite) -> PathBuf {
    site.path().join("gate")
}

/// Asks for a test that goes on until the gate is there.
fn held_request(site: &TestSite) -> String {
    site.request("held", &[&format!("STUB_WAIT={}", gate(site).display())])
}

/// Asks for tests that go on until the gate is there.
fn held_requests(site: &TestSite, packages: &[&str]) -> Vec<String> {
    let wait = format!("STUB_WAIT={}", gate(site).display());
    packages.iter().map(|package| site.request(package, &[&wait])).collect()
}

const PACKAGES: [&str; 4] = ["one", "two", "three", "four"];

/// Starts a worker with four slots, each with a test that goes on until the gate is there.
fn four_running(site: &TestSite) -> (Running, Vec<String>) {
    let mut ids = held_requests(site, &PACKAGES);
    ids.sort();
    let worker = site.start(&["worker", "--slots", "4"]);
    until("all four run", || site.starts().len() == 4);
    (worker, ids)
}

/// What `worker status --json` tells of the slots, if a worker runs.
fn slots(site: &TestSite) -> Vec<Value> {
    let finished = site.run(&["worker", "status", "--json"]);
    let workers: Value = serde_json::from_str(&finished.out).unwrap_or_default();
    workers[0]["slots"].as_array().cloned().unwrap_or_default()
}

/// How often a package's test was started.
fn starts(site: &TestSite, package: &str) -> usize {
    site.starts().iter().filter(|started| *started == package).count()
}
