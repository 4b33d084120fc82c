//! A slot of a worker: takes one request after the other, and pauses when even a test that does nothing fails on this
//! host.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, info_span};

use super::board::SlotBoard;
use super::context::Context;
use super::job::{Job, JobEnd};
use super::orders::Current;
use super::panic;
use super::probe::{HostProbe, Probe};
use super::spool::Spool;
use super::stop::Stop;
use super::{Ended, LONGEST_WORK, Service, Worker, WorkerError, pause};
use crate::broker::{self, BrokerError, Claim, Wait};
use crate::release::QueueName;

/// Number of infrastructure failures in a row after which the slot probes whether the host is at fault, or the
/// requests.
const FAILURES_IN_A_ROW: u32 = 3;

/// Maximum time for which a slot pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Interval between attempts to register for new queues.
const PLACE_PAUSE: Duration = Duration::from_secs(2);

/// Minimum time for which a slot pauses, however short the configured delay is.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// A slot, with what it works with.
pub(super) struct Slot<'a> {
    pub(super) worker: &'a Worker<'a>,
    pub(super) spool: &'a Spool,
    pub(super) stop: &'a Stop,
    pub(super) board: SlotBoard,
}

impl Slot<'_> {
    /// Serves until the mode ends.
    ///
    /// # Errors
    /// Fails when the broker cannot be used at the start, or refuses permanently.
    pub(super) async fn serve(&self, service: Service) -> Result<Ended, WorkerError> {
        let wait = if service == Service::Drain { Wait::UntilEmpty } else { Wait::ForOne };
        let mut now = self.worker.orders.now();
        let mut place = self.worker.broker.slot(now.rotation.clone()).await?;
        loop {
            if self.stop.finish.is_cancelled() {
                return Ok(Ended::Stopped);
            }
            let latest = self.worker.orders.now();
            if latest.rotation.queues() != now.rotation.queues() {
                match self.board.ticking(self.place_at(&latest)).await? {
                    Some(new) => place = new,
                    None => return Ok(Ended::Stopped),
                }
            }
            now = latest;
            self.board.waiting();
            let looking = self.worker.ready_for_a_test(self.spool, &now.settings, self.stop);
            let (mut queue, mut span) = (None, Span::none());
            let looked = match panic::catch(self.board.ticking_for(LONGEST_WORK, looking)).await {
                Ok(looked) => looked.map_err(|fault| fault.to_string()),
                Err(panic) => Err(panic.report(None)),
            };
            let end = match looked {
                Err(fault) => JobEnd::Infrastructure(fault),
                Ok(_) => {
                    let interrupted = self.stop.finish.child_token();
                    let claiming = claim(&mut place, wait, &now, &interrupted);
                    match self.board.ticking(claiming).await? {
                        Some(claim) => {
                            queue = Some(claim.queue.clone());
                            span = span_of(&claim);
                            let end = self.run(claim).instrument(span.clone()).await?;
                            let again = matches!(
                                end,
                                JobEnd::TriedAgain(..) | JobEnd::Unproven(..) | JobEnd::Infrastructure(_)
                            );
                            if service == Service::Once && !again {
                                return Ok(Ended::ServedOne);
                            }
                            end
                        }
                        None if self.stop.finish.is_cancelled() => return Ok(Ended::Stopped),
                        None if interrupted.is_cancelled() => continue,
                        None => return Ok(Ended::Drained),
                    }
                }
            };
            let (reason, next) = match end {
                JobEnd::Settled => {
                    self.board.settled();
                    continue;
                }
                JobEnd::GivenBack => {
                    self.board.given_back();
                    continue;
                }
                JobEnd::Unproven(reason, after) => {
                    let after = after.as_secs();
                    span.in_scope(|| tracing::warn!("{reason}; the request is tried again in {after} s"));
                    self.board.given_back();
                    continue;
                }
                JobEnd::Infrastructure(reason) => (reason, String::new()),
                JobEnd::TestbedFailed(reason) => (reason, "; the request is not tried again".to_owned()),
                JobEnd::TriedAgain(reason, after) => {
                    (reason, format!("; the request is tried again in {} s", after.as_secs()))
                }
            };
            self.board.failed(&reason);
            // A pause, or the end of the worker, logs the reason itself.
            if queue.is_some() || self.board.failures_in_a_row() < FAILURES_IN_A_ROW {
                span.in_scope(|| tracing::error!("infrastructure failure: {reason}{next}"));
            }
            if let Some(ended) = self.recover(&reason, queue.as_ref(), service, &now).await {
                return Ok(ended);
            }
        }
    }

    /// Registers for other queues than before, and waits while the broker is unreachable. Returns `None` when the
    /// worker is told to stop first.
    async fn place_at(&self, latest: &Current) -> Result<Option<broker::Slot>, BrokerError> {
        loop {
            match self.worker.broker.slot(latest.rotation.clone()).await {
                Err(error @ (BrokerError::Unreachable { .. } | BrokerError::Excluded { .. })) => {
                    tracing::warn!("the new queues cannot be served yet: {error}");
                }
                place => return place.map(Some),
            }
            pause(PLACE_PAUSE, &self.stop.finish).await;
            if self.stop.finish.is_cancelled() {
                return Ok(None);
            }
        }
    }

    /// Takes a claim to its end with the current settings. A panic that leaves the claim unsettled drops it, which
    /// gives the request back.
    async fn run(&self, claim: Claim) -> Result<JobEnd, BrokerError> {
        let request = claim.request.as_ref().ok().cloned();
        let running = async {
            self.worker.orders.refresh();
            let now = self.worker.orders.now();
            let Self { worker, spool, stop, board } = self;
            let context = Context { worker, stop, board, settings: now.settings };
            Job { context, spool }.run(claim).await
        };
        match panic::catch(running).await {
            Ok(end) => end,
            Err(panic) => Ok(JobEnd::Infrastructure(panic.report(request.as_ref()))),
        }
    }

    /// Recovers from a failure: waits briefly, or, after several failures in a row, probes the host and pauses when
    /// that fails as well.
    ///
    /// `queue` is the queue of the failed test; without it the host is known to be at fault. Returns the end of a
    /// worker that may not pause.
    async fn recover(&self, reason: &str, queue: Option<&QueueName>, service: Service, now: &Current) -> Option<Ended> {
        let failures = self.board.failures_in_a_row();
        if failures < FAILURES_IN_A_ROW {
            self.rest(Duration::from_secs(1) * failures, now).await;
            return None;
        }
        let Some(queue) = queue else { return self.pause(reason, service, now).await };
        loop {
            let now = self.worker.orders.now();
            self.board.probing();
            tracing::warn!("{failures} failures in a row: probing whether tests can run here");
            let probe = HostProbe { worker: self.worker, spool: self.spool, stop: self.stop };
            let probed = panic::catch(self.board.ticking(probe.run(queue, &now.settings))).await;
            let reason = match probed.unwrap_or_else(|panic| Probe::Failed(panic.report(None))) {
                Probe::Passed => {
                    tracing::warn!("the probe passed: the requests were at fault, and work goes on");
                    self.board.probe_passed();
                    return None;
                }
                Probe::Stopped => return None,
                Probe::Failed(reason) => reason,
            };
            self.board.failed(&reason);
            if let Some(ended) = self.pause(&reason, service, &now).await {
                return Some(ended);
            }
            if self.stop.finish.is_cancelled() {
                return None;
            }
        }
    }

    /// Pauses, for longer after each failure in a row. Returns the end of a worker that may not pause.
    async fn pause(&self, reason: &str, service: Service, now: &Current) -> Option<Ended> {
        if service != Service::Forever {
            return Some(Ended::OutOfService(reason.to_owned()));
        }
        let failures = self.board.failures_in_a_row();
        let doublings = failures.saturating_sub(FAILURES_IN_A_ROW).min(16);
        let first = now.settings.conf.retry_delay().max(SHORTEST_PAUSE);
        let pause = first.saturating_mul(2_u32.pow(doublings)).min(LONGEST_PAUSE);
        tracing::error!(
            "this slot is out of service for {} s after {failures} failures in a row: {reason}; `apt-ci worker reload` ends the pause",
            pause.as_secs()
        );
        self.board.paused(pause);
        self.rest(pause, now).await;
        None
    }

    /// Waits for this time, or until the worker is told to stop or the configuration changes.
    async fn rest(&self, time: Duration, now: &Current) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.stop.finish.cancelled() => {}
            () = now.changed.cancelled() => {}
        }
    }
}

/// Returns the span of a claim's test, whose fields are in every log line about it.
fn span_of(claim: &Claim) -> Span {
    let (queue, request) = (&claim.queue, claim.request.as_ref().ok());
    info_span!(
        "test",
        package = request.map(|request| request.package().as_str()),
        release = queue.release.as_str(),
        arch = queue.architecture.as_str(),
        uuid = request.and_then(|request| request.uuid()).map(|id| id.as_str()),
    )
}

/// Claims the next request. A change of the configuration ends the waiting in the same way as a shutdown, because
/// claiming must not be dropped half-way.
async fn claim(
    place: &mut broker::Slot,
    wait: Wait,
    now: &Current,
    interrupted: &CancellationToken,
) -> Result<Option<Claim>, BrokerError> {
    let mut claiming = std::pin::pin!(place.claim(wait, interrupted));
    tokio::select! {
        biased;
        claim = &mut claiming => return claim,
        () = now.changed.cancelled() => interrupted.cancel(),
    }
    claiming.await
}

#[cfg(test)]
mod tests;
