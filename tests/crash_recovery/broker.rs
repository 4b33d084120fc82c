//! RabbitMQ restarts, is killed, frozen or cut off: nothing is lost, and nothing is done twice.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use nix::sys::signal::Signal;
use testkit::proxy::Proxy;
use testkit::rabbitmq::RabbitMq;
use testkit::site::{TestSite, until};
use testkit::{Services, Story, Trial, stories};

use super::{four_running, gate, held_request, starts};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("rabbitmq_restarts_during_a_test", restarts_during_a_test),
        ("rabbitmq_restarts_under_four_tests", restarts_under_four_tests),
        ("rabbitmq_freezes_under_four_tests_and_the_worker_leaves", freezes),
        ("the_queues_change_while_rabbitmq_is_away", queues_change),
        ("a_request_done_elsewhere_during_an_outage_gets_no_second_result", done_elsewhere),
    ];
    stories("crash_recovery::broker", services, all)
}

fn restarts_during_a_test(services: &Services) -> Result<(), Failed> {
    let rabbitmq = services.private_rabbitmq();
    let swift = services.swift();
    let site = TestSite::on(&rabbitmq.url(), "swift:", swift.environment()).replayed(crate::model::replay_logs);
    let id = held_request(&site);
    let mut worker = site.start(&["worker"]);
    until("the test starts", || site.starts().len() == 1);
    rabbitmq.stop();
    rabbitmq.start_again();
    until("the worker has its claim again", || site.sees(|queue| queue.claimed == 1));
    fs::write(gate(&site), "")?;
    until("the result is there", || site.has_results_of(&[&id]));
    until("nothing is left", || site.sees_nothing());
    assert_eq!(site.starts().len(), 1, "the test ran once");
    assert_eq!(site.results().len(), 1);
    // The idle worker survives a restart as well.
    rabbitmq.stop();
    rabbitmq.start_again();
    let next = site.request("next", &[]);
    until("the next request is run", || site.has_result_of(&next));
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait().status.code(), Some(0));
    Ok(())
}

fn restarts_under_four_tests(services: &Services) -> Result<(), Failed> {
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

fn freezes(services: &Services) -> Result<(), Failed> {
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

fn done_elsewhere(services: &Services) -> Result<(), Failed> {
    let site = services.site().replayed(crate::model::replay_logs);
    // Only the first run waits.
    let stub = site.path().join("checkout/runner/autopkgtest");
    let text = fs::read_to_string(&stub)?;
    let changed = text.replace("mkdir -p", "[ -e \"$here/first\" ] && wait=\n: > \"$here/first\"\nmkdir -p");
    assert_ne!(text, changed);
    fs::write(&stub, changed)?;
    let id = held_request(&site);
    let runtime = tokio::runtime::Runtime::new()?;
    let proxy = runtime.block_on(Proxy::to(services.rabbitmq().port()));
    let way = services.rabbitmq().url_at(proxy.port());
    let mut cut_off = site.start_elsewhere(&["worker", "--queue", &way]);
    until("the test starts", || site.starts().len() == 1);
    proxy.cut();
    site.ok(&["worker", "--once"]);
    assert_eq!(site.finished(), std::slice::from_ref(&id));
    let first = site.results();
    proxy.mend();
    until("the first worker has its claim again", || site.sees(|queue| queue.claimed == 1));
    fs::write(gate(&site), "")?;
    until("nothing is left", || site.sees_nothing());
    cut_off.signal(Signal::SIGTERM);
    let finished = cut_off.wait();
    assert!(finished.err.contains("another worker has published"), "{}", finished.err);
    assert_eq!(site.starts().len(), 2, "it was run by both");
    assert_eq!(site.results(), first, "exactly one result");
    Ok(())
}
