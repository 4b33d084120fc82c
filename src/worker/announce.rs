//! Status messages about tests that run and results that are stored. Listeners that are not connected miss them.

use std::time::{Duration, Instant};

use super::Worker;
use crate::broker::Topic;
use crate::release::QueueName;
use crate::request::Request;
use crate::result::{Bundle, ResultLocation, RunId};
use crate::status;

/// Timeout for announcing a running test. The next message follows within seconds, so no test and no shutdown waits for
/// it.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

impl Worker<'_> {
    /// Announces that a test runs, or that it has ended, with the beginning and the end of its log.
    pub(super) async fn announce_status(
        &self,
        queue: &QueueName,
        request: &Request,
        started: Instant,
        logtail: &str,
        running: bool,
    ) {
        let message = status::test_status(queue, request, running, started.elapsed(), logtail);
        let announcing = self.broker.announce(Topic::TestStatus, &message);
        match tokio::time::timeout(STATUS_TIMEOUT, announcing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("status not announced: {error}"),
            Err(_) => tracing::debug!("status not announced: the queue server does not answer"),
        }
    }

    /// Announces that a result is in the store.
    pub(super) async fn announce_complete(
        &self,
        request: &Request,
        place: &ResultLocation,
        bundle: &Bundle,
        run: &RunId,
    ) {
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
