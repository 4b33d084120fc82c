//! Slots whose worker panics.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::worker::fixture::{Host, queue};

#[tokio::test]
async fn a_slot_goes_on_after_a_panic_that_left_its_claim_unsettled() {
    let host = Host::new().await;
    let calls = AtomicUsize::new(0);
    let worker = host.worker(Box::new(move |_| {
        // The second call comes from a slot that holds a claim and sees that worker.conf has changed.
        assert!(calls.fetch_add(1, Ordering::SeqCst) != 1, "no queues");
        Ok(vec![queue()])
    }));
    host.configure(1);
    host.submit("gzip").await;
    let spool = Spool::open(&worker.work_folder).unwrap();
    let slot = Slot { worker: &worker, spool: &spool, stop: &host.stop, reporter: worker.live_status.slot(1) };
    let ended = tokio::time::timeout(Duration::from_secs(60), slot.serve(RunMode::Once)).await;
    assert!(matches!(ended, Ok(Ok(WorkerOutcome::ServedOne))));
    let status = worker.live_status.status();
    assert_eq!(status.slots[0].last_failure.as_deref(), Some("the worker panicked: no queues"));
    let queues = host.broker.inspect(&[queue()]).await.unwrap();
    assert_eq!((queues[0].ready, queues[0].claimed, queues[0].delayed, queues[0].dead), (0, 0, 0, 0));
    let request = crate::request::Request::parse(b"gzip").unwrap();
    let place = crate::result::ResultLocation::of(&request, &queue());
    let since = "20000101_000000@".parse().unwrap();
    assert_eq!(crate::runs::published_from(&host.store, &place, &since).await.unwrap().len(), 1);
}
