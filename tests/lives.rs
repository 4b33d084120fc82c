//! The life of a request when machines fail, on the embedded queue and store and on RabbitMQ and Swift alike: it ends with exactly
//! one result, or it is back in its queue.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use nix::sys::signal::Signal;

use crate::support::{Services, Trial};
use crate::support::site::{Running, TestSite, WAIT_TIMEOUT, until, until_within};

type Story = fn(TestSite) -> Result<(), Failed>;

const STORIES: [(&str, Story); 12] = [
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
    ("a_worker_on_twenty_queues_holds_one_request", one_of_a_hundred),
    ("workers_under_fire_lose_and_repeat_nothing", under_fire),
];

/// The model has one request with an id, so what is logged here is not held against it.
const NOT_IN_THE_MODEL: [(&str, Story); 1] = [("two_requests_with_one_id_are_both_run", one_id)];

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for (name, story) in STORIES {
        trials.push(Trial::test(format!("lives::local::{name}"), move || story(TestSite::local())));
        let services = Arc::clone(services);
        trials.push(Trial::test(format!("lives::servers::{name}"), move || {
            story(services.site().replayed(crate::model::replay_logs))
        }));
    }
    for (name, story) in NOT_IN_THE_MODEL {
        trials.push(Trial::test(format!("lives::local::{name}"), move || story(TestSite::local())));
        let services = Arc::clone(services);
        trials.push(Trial::test(format!("lives::servers::{name}"), move || story(services.site())));
    }
    trials
}

/// Asks for a test that goes on until the returned file exists.
fn held_request(site: &TestSite, package: &str) -> (String, std::path::PathBuf) {
    let gate = site.path().join(format!("gate.{package}"));
    let id = site.request(package, &[&format!("STUB_WAIT={}", gate.display())]);
    (id, gate)
}

fn starts(site: &TestSite, package: &str) -> usize {
    site.starts().iter().filter(|started| *started == package).count()
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
    assert_eq!(run["triggers"], serde_json::json!(["trigger/1"]));
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
    let (id, gate) = held_request(&site, "slow");
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
        format!("{queue}:gzip {}\n", serde_json::json!({"uuid": "same", "triggers": [trigger], "env": [env]}))
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
        let (id, gate) = held_request(&site, &package);
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
    let (id, gate) = held_request(&site, "cancelled");
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
    assert!(contents.contains("a PPA has the form OWNER/NAME"), "{contents}");
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

fn one_of_a_hundred(site: TestSite) -> Result<(), Failed> {
    let (queue, store) = site.addresses();
    site.configure_with(queue, store, 4);
    let gate = site.path().join("gate");
    let states = || site.json(&["queues"]).as_array().expect("a list").clone();
    // A worker that finds nothing makes its queues.
    site.ok(&["worker", "--drain"]);
    let names: Vec<String> = states().iter().map(|state| state["queue"].as_str().expect("a name").to_owned()).collect();
    assert_eq!(names.len(), 20);
    let parameters = serde_json::json!({"env": [format!("STUB_WAIT={}", gate.display())]});
    let batch: String = (0..100).map(|n| format!("{}:package{n} {parameters}\n", names[n % 20])).collect();
    let file = site.path().join("batch");
    fs::write(&file, batch)?;
    site.ok(&["run", "--batch", file.to_str().expect("a path in UTF-8")]);
    let mut worker = site.start(&["worker", "--drain"]);
    until("the first test runs", || site.starts().len() == 1);
    until("the other 99 are there for other workers", || {
        let states = states();
        let sum = |key: &str| states.iter().map(|state| state[key].as_u64().expect("a number")).sum::<u64>();
        assert!(sum("claimed") <= 1);
        (sum("ready"), sum("claimed")) == (99, 1)
    });
    fs::write(gate, "")?;
    assert!(worker.wait().status.success());
    assert_eq!(site.starts().len(), 100);
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
