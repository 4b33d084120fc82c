//! Tells the world what runs and what has ended. News only: who is away misses it.

use std::time::Instant;

use super::Worker;
use crate::broker::Topic;
use crate::release::QueueName;
use crate::request::Request;
use crate::result::{Bundle, Place, RunId};
use crate::status;

impl Worker<'_> {
    /// Says that a test runs, or that it does not run any more, and shows the beginning and the end of its log.
    pub(super) async fn announce_status(
        &self,
        queue: &QueueName,
        request: &Request,
        started: Instant,
        logtail: &str,
        running: bool,
    ) {
        let message = status::test_status(queue, request, running, started.elapsed(), logtail);
        if let Err(error) = self.broker.announce(Topic::TestStatus, &message).await {
            tracing::debug!("status not announced: {error}");
        }
    }

    /// Says that a result is in the store.
    pub(super) async fn announce_complete(&self, request: &Request, place: &Place, bundle: &Bundle, run: &RunId) {
        let (summary, path) = (&bundle.summary, &place.path);
        tracing::info!(
            "{} {}: {} after {} s, stored as {}",
            path.package,
            summary.version,
            summary.outcome(),
            summary.duration,
            path.folder(run),
        );
        let message = status::test_complete(place, run, request, summary);
        if let Err(error) = self.broker.announce(Topic::TestComplete, &message).await {
            tracing::warn!("the completion of {} was not announced: {error}", path.package);
        }
    }
}
