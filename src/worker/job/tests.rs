//! Decisions about claims, and claims whose work panics.

use std::fs;

use super::*;
use crate::result::{BundleInput, pack};
use crate::worker::fixture::{Host, claim, queue};
use crate::worker::shutdown::Shutdown;

const REASON: &str = "the worker panicked: at the disk ********";

fn worker(host: &Host) -> Worker<'_> {
    host.worker(Box::new(|_| Ok(vec![queue()])))
}

/// Runs a job whose work calls this function and then panics.
async fn panic_after(worker: &Worker<'_>, claim: Claim, work: impl FnOnce(&SpoolEntry, &RequestId)) -> JobOutcome {
    let spool = Spool::open(&worker.work_folder).unwrap();
    let (stop, reporter) = (Shutdown::default(), worker.live_status.slot(1));
    let context = Context { worker, stop: &stop, reporter: &reporter, settings: worker.live_config.now().settings };
    let job = Job { context, spool: &spool };
    let request = claim.request.as_ref().unwrap().clone();
    let id = request.uuid().unwrap();
    let end = job.settle_after(claim, &request, id, async |_, _| -> FinalStep {
        let entry = spool.entry(id).unwrap().unwrap();
        work(&entry, id);
        panic!("at the disk SECRET12")
    });
    end.await.unwrap()
}

#[test]
fn a_bundle_is_published_and_a_request_that_kills_its_workers_is_not_run_again() {
    for (has_bundle, attempt, handovers, failed_here, expected) in [
        (false, 1, 0, false, Step::Run),
        (true, 1, 0, false, Step::Publish),
        (true, MAX_ATTEMPTS + 1, 0, true, Step::Publish),
        (false, MAX_ATTEMPTS, 0, false, Step::Run),
        (false, MAX_ATTEMPTS + 1, 0, false, Step::DeadLetter),
        (false, MAX_ATTEMPTS + 1, 0, true, Step::DeadLetter),
        (false, 2, 0, true, Step::HandOver),
        (false, 2, MAX_HANDOVERS - 1, true, Step::HandOver),
        (false, 2, MAX_HANDOVERS, true, Step::Run),
    ] {
        let step = next_step(has_bundle, attempt, handovers, failed_here);
        assert_eq!(step, expected, "{has_bundle} {attempt} {handovers} {failed_here}");
    }
}

#[test]
fn delays_grow_with_failures_and_hosts_fail_only_so_often() {
    let delay = |fault, failures| delay_after(fault, failures, Duration::from_secs(1)).map(|delay| delay.as_secs());
    // Rounded up to a delay that the broker has.
    let grown = [1, 5, 60, 300, 300].map(Some);
    assert_eq!([0, 1, 2, 3, 4].map(|failures| delay(FailureCause::Testbed, failures)), grown);
    assert_eq!([0, 1, 2, 3, 4].map(|failures| delay(FailureCause::Host, failures)), grown);
    assert_eq!([0, 1, MAX_FAILURES - 1].map(|failures| delay(FailureCause::Store, failures)), [Some(1); 3]);
    assert_eq!([FailureCause::Host, FailureCause::Store].map(|fault| delay(fault, MAX_FAILURES)), [None; 2]);
    assert_eq!(delay(FailureCause::Testbed, MAX_FAILURES), Some(300), "its attempts are limited elsewhere");
    let longest = delay_after(FailureCause::Host, 3, Duration::MAX);
    assert_eq!(longest, Some(Duration::from_secs(3600)));
}

#[tokio::test]
async fn a_panic_is_a_failure_of_this_host_and_the_request_is_tried_again() {
    let host = Host::new().await;
    let worker = worker(&host);
    let mut slot = host.slot().await;
    host.submit(r#"gzip {"ppas": ["bob:SECRET12@bob/secret"]}"#).await;
    let first = claim(&mut slot).await;
    let id = first.request.as_ref().unwrap().uuid().unwrap().clone();
    let end = panic_after(&worker, first, |entry, _| fs::create_dir(entry.output(1)).unwrap()).await;
    assert!(matches!(&end, JobOutcome::TriedAgain(reason, _) if reason == REASON));
    assert!(!worker.work_folder.join(id.as_str()).exists(), "nothing is left of a test that has no bundle");
    let again = claim(&mut slot).await;
    assert_eq!(again.request.as_ref().unwrap().uuid(), Some(&id));
    let [failure] = &again.failures[..] else { panic!("{:?}", again.failures) };
    assert_eq!((failure.reason.as_str(), failure.host, again.attempt), (REASON, true, 1));
    assert!(again.redelivered, "its result is looked for");
}

#[tokio::test]
async fn a_request_that_makes_every_host_panic_becomes_a_dead_letter() {
    let host = Host::new().await;
    let worker = worker(&host);
    let mut slot = host.slot().await;
    host.submit(r#"gzip {"ppas": ["bob:SECRET12@bob/secret"]}"#).await;
    let mut claim = claim(&mut slot).await;
    let (time, reason) = (jiff::Timestamp::now(), REASON.to_owned());
    claim.failures = vec![Failure { worker: "other".to_owned(), reason, attempt: 1, time, host: true }; MAX_FAILURES];
    let end = panic_after(&worker, claim, |_, _| {}).await;
    assert!(matches!(end, JobOutcome::TestbedFailed(reason) if reason == REASON));
    let contents = host.broker.contents(&queue(), 10).await.unwrap();
    let reasons: Vec<_> = contents.dead.iter().map(|dead| dead.reason.as_str()).collect();
    assert_eq!(reasons, [format!("no host could finish it, 11 times; at last: {REASON}")]);
}

#[tokio::test]
async fn a_test_that_was_cancelled_before_a_panic_stays_cancelled() {
    let host = Host::new().await;
    let worker = worker(&host);
    let mut slot = host.slot().await;
    host.submit("gzip").await;
    let claim = claim(&mut slot).await;
    let end = panic_after(&worker, claim, |_, id| {
        assert!(worker.cancels.cancel(id, &Cancellation { by: "alice on host".to_owned(), requeue: false }));
    });
    assert!(matches!(end.await, JobOutcome::GivenBack));
    let contents = host.broker.contents(&queue(), 10).await.unwrap();
    let reasons: Vec<_> = contents.dead.iter().map(|dead| dead.reason.as_str()).collect();
    assert_eq!(reasons, ["cancelled by alice on host"]);
}

#[tokio::test]
async fn a_complete_bundle_outlives_a_panic() {
    let host = Host::new().await;
    let worker = worker(&host);
    let mut slot = host.slot().await;
    host.submit("gzip").await;
    let claim = claim(&mut slot).await;
    let request = claim.request.as_ref().unwrap().clone();
    let end = panic_after(&worker, claim, |entry, _| {
        let output = entry.output(1);
        pack(&BundleInput::new(&output, &request, 0, Duration::ZERO), &entry.bundle_folder()).unwrap();
    });
    assert!(matches!(end.await, JobOutcome::TriedAgain(..)));
    let spool = Spool::open(&worker.work_folder).unwrap();
    let entry = spool.entry(request.uuid().unwrap()).unwrap().unwrap();
    assert!(entry.bundle().unwrap().unwrap().is_of(&request));
}
