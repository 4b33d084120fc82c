//! A slot of a worker: takes one request after the other, and pauses when even a test that does nothing fails on this
//! host.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, info_span};

use super::context::Context;
use super::job::{Job, JobOutcome};
use super::live_config::ConfigSnapshot;
use super::live_status::SlotReporter;
use super::panic;
use super::probe::{HostProbe, ProbeOutcome};
use super::shutdown::Shutdown;
use super::spool::Spool;
use super::{RunMode, WORK_TIMEOUT, Worker, WorkerError, WorkerOutcome, pause};
use crate::broker::{self, BrokerError, Claim, Wait};
use crate::release::QueueName;

/// Number of infrastructure failures in a row after which the slot probes whether the host is at fault, or the
/// requests.
const MAX_FAILURES_IN_A_ROW: u32 = 3;

/// Maximum time for which a slot pauses.
const MAX_PAUSE: Duration = Duration::from_secs(3600);

/// Interval between attempts to register for new queues.
const REGISTRATION_RETRY_DELAY: Duration = Duration::from_secs(2);

/// Minimum time for which a slot pauses, however short the configured delay is.
const MIN_PAUSE: Duration = Duration::from_secs(1);

/// A slot, with what it works with.
pub(super) struct Slot<'a> {
    pub(super) worker: &'a Worker<'a>,
    pub(super) spool: &'a Spool,
    pub(super) stop: &'a Shutdown,
    pub(super) reporter: SlotReporter,
}

impl Slot<'_> {
    /// Serves until the mode ends.
    ///
    /// # Errors
    /// Fails when the broker cannot be used at the start, or refuses permanently.
    pub(super) async fn serve(&self, mode: RunMode) -> Result<WorkerOutcome, WorkerError> {
        let wait = if mode == RunMode::Drain { Wait::UntilEmpty } else { Wait::ForOne };
        let mut now = self.worker.live_config.now();
        let mut place = self.worker.broker.slot(now.rotation.clone()).await?;
        loop {
            if self.stop.finish.is_cancelled() {
                return Ok(WorkerOutcome::Stopped);
            }
            let latest = self.worker.live_config.now();
            if latest.rotation.queues() != now.rotation.queues() {
                match self.reporter.with_heartbeat(self.register_at(&latest)).await? {
                    Some(new) => place = new,
                    None => return Ok(WorkerOutcome::Stopped),
                }
            }
            now = latest;
            self.reporter.waiting();
            let looking = self.worker.ready_for_a_test(self.spool, &now.settings, self.stop);
            let (mut queue, mut span) = (None, Span::none());
            let looked = match panic::catch(self.reporter.with_heartbeat_for(WORK_TIMEOUT, looking)).await {
                Ok(looked) => looked.map_err(|fault| fault.to_string()),
                Err(panic) => Err(panic.report(None)),
            };
            let end = match looked {
                Err(fault) => JobOutcome::Infrastructure(fault),
                Ok(_) => {
                    let interrupted = self.stop.finish.child_token();
                    let claiming = claim(&mut place, wait, &now, &interrupted);
                    match self.reporter.with_heartbeat(claiming).await? {
                        Some(claim) => {
                            queue = Some(claim.queue.clone());
                            span = span_of(&claim);
                            let end = self.run(claim).instrument(span.clone()).await?;
                            let again = matches!(
                                end,
                                JobOutcome::TriedAgain(..) | JobOutcome::Unproven(..) | JobOutcome::Infrastructure(_)
                            );
                            if mode == RunMode::Once && !again {
                                return Ok(WorkerOutcome::ServedOne);
                            }
                            end
                        }
                        None if self.stop.finish.is_cancelled() => return Ok(WorkerOutcome::Stopped),
                        None if interrupted.is_cancelled() => continue,
                        None => return Ok(WorkerOutcome::Drained),
                    }
                }
            };
            let (reason, next) = match end {
                JobOutcome::Settled => {
                    self.reporter.settled();
                    continue;
                }
                JobOutcome::GivenBack => {
                    self.reporter.given_back();
                    continue;
                }
                JobOutcome::Unproven(reason, after) => {
                    let after = after.as_secs();
                    span.in_scope(|| tracing::warn!("{reason}; the request is tried again in {after} s"));
                    self.reporter.given_back();
                    continue;
                }
                JobOutcome::Infrastructure(reason) => (reason, String::new()),
                JobOutcome::TestbedFailed(reason) => (reason, "; the request is not tried again".to_owned()),
                JobOutcome::TriedAgain(reason, after) => {
                    (reason, format!("; the request is tried again in {} s", after.as_secs()))
                }
            };
            self.reporter.failed(&reason);
            // A pause, or the end of the worker, logs the reason itself.
            if queue.is_some() || self.reporter.failures_in_a_row() < MAX_FAILURES_IN_A_ROW {
                span.in_scope(|| tracing::error!("infrastructure failure: {reason}{next}"));
            }
            if let Some(ended) = self.recover(&reason, queue.as_ref(), mode, &now).await {
                return Ok(ended);
            }
        }
    }

    /// Registers for other queues than before, and waits while the broker is unreachable. Returns `None` when the
    /// worker is told to stop first.
    async fn register_at(&self, latest: &ConfigSnapshot) -> Result<Option<broker::Slot>, BrokerError> {
        loop {
            match self.worker.broker.slot(latest.rotation.clone()).await {
                Err(error @ (BrokerError::Unreachable { .. } | BrokerError::Excluded { .. })) => {
                    tracing::warn!("the new queues cannot be served yet: {error}");
                }
                place => return place.map(Some),
            }
            pause(REGISTRATION_RETRY_DELAY, &self.stop.finish).await;
            if self.stop.finish.is_cancelled() {
                return Ok(None);
            }
        }
    }

    /// Takes a claim to its end with the current settings. A panic that leaves the claim unsettled drops it, which
    /// gives the request back.
    async fn run(&self, claim: Claim) -> Result<JobOutcome, BrokerError> {
        let request = claim.request.as_ref().ok().cloned();
        let running = async {
            self.worker.live_config.refresh();
            let now = self.worker.live_config.now();
            let Self { worker, spool, stop, reporter } = self;
            let context = Context { worker, stop, reporter, settings: now.settings };
            Job { context, spool }.run(claim).await
        };
        match panic::catch(running).await {
            Ok(end) => end,
            Err(panic) => Ok(JobOutcome::Infrastructure(panic.report(request.as_ref()))),
        }
    }

    /// Recovers from a failure: waits briefly, or, after several failures in a row, probes the host and pauses when
    /// that fails as well.
    ///
    /// `queue` is the queue of the failed test; without it the host is known to be at fault. Returns the end of a
    /// worker that may not pause.
    async fn recover(
        &self,
        reason: &str,
        queue: Option<&QueueName>,
        mode: RunMode,
        now: &ConfigSnapshot,
    ) -> Option<WorkerOutcome> {
        let failures = self.reporter.failures_in_a_row();
        if failures < MAX_FAILURES_IN_A_ROW {
            self.rest(Duration::from_secs(1) * failures, now).await;
            return None;
        }
        let Some(queue) = queue else { return self.pause(reason, mode, now).await };
        loop {
            let now = self.worker.live_config.now();
            self.reporter.probing();
            tracing::warn!("{failures} failures in a row: probing whether tests can run here");
            let probe = HostProbe { worker: self.worker, spool: self.spool, stop: self.stop };
            let probed = panic::catch(self.reporter.with_heartbeat(probe.run(queue, &now.settings))).await;
            let reason = match probed.unwrap_or_else(|panic| ProbeOutcome::Failed(panic.report(None))) {
                ProbeOutcome::Passed => {
                    tracing::warn!("the probe passed: the requests were at fault, and work goes on");
                    self.reporter.probe_passed();
                    return None;
                }
                ProbeOutcome::Stopped => return None,
                ProbeOutcome::Failed(reason) => reason,
            };
            self.reporter.failed(&reason);
            if let Some(ended) = self.pause(&reason, mode, &now).await {
                return Some(ended);
            }
            if self.stop.finish.is_cancelled() {
                return None;
            }
        }
    }

    /// Pauses, for longer after each failure in a row. Returns the end of a worker that may not pause.
    async fn pause(&self, reason: &str, mode: RunMode, now: &ConfigSnapshot) -> Option<WorkerOutcome> {
        if mode != RunMode::Forever {
            return Some(WorkerOutcome::OutOfService(reason.to_owned()));
        }
        let failures = self.reporter.failures_in_a_row();
        let doublings = failures.saturating_sub(MAX_FAILURES_IN_A_ROW).min(16);
        let first = now.settings.conf.retry_delay().max(MIN_PAUSE);
        let pause = first.saturating_mul(2_u32.pow(doublings)).min(MAX_PAUSE);
        tracing::error!(
            "this slot is out of service for {} s after {failures} failures in a row: {reason}; `apt-ci worker reload` ends the pause",
            pause.as_secs()
        );
        self.reporter.paused(pause);
        self.rest(pause, now).await;
        None
    }

    /// Waits for this time, or until the worker is told to stop or the configuration changes.
    async fn rest(&self, time: Duration, now: &ConfigSnapshot) {
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
    now: &ConfigSnapshot,
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
