//! Life of one claim: claim → run → bundle → publish → settle.

use std::time::{Duration, Instant};

use super::context::Context;
use super::control::Cancellation;
use super::control::cancel_registry::CancelGuard;
use super::live_status::TestPhase;
use super::panic;
use super::publish::{Destination, PublishError, publish};
use super::run::{RunOutcome, TestRun};
use super::spool::{Spool, SpoolEntry};
use super::{WORK_TIMEOUT, Worker, pause};
use crate::broker::{self, BrokerError, Claim, ClaimStep, Failure, MAX_FAILURES, Settlement, TestHandle, TestProgress};
use crate::request::{Request, RequestId};
use crate::result::layout::{ARTIFACTS, LOG, READABLE_BY, RESULT};
use crate::result::{Bundle, Redactor, ResultLocation, RunId};
use crate::retry::{self, RetryPolicy};
use crate::runs;
use crate::status::PRIVATE_LOG;
use crate::store::StoreError;

/// Maximum number of attempts. A request that was claimed more often keeps killing its workers.
const MAX_ATTEMPTS: u32 = 5;

/// Factor by which the delay grows with each infrastructure failure.
const DELAY_GROWTH: u32 = 5;

/// Maximum number of infrastructure failures with which the delay grows.
const MAX_GROWTHS: u32 = 3;

/// Maximum number of times that a request which failed here is passed on to waiting workers before it is tried here
/// again.
const MAX_HANDOVERS: u32 = 3;

/// Delay before another worker can take a request that is passed on.
const HANDOVER_DELAY: Duration = Duration::from_secs(1);

/// Timeout for another worker of this host to leave a request's folder: longer than it takes to end a test.
const FOLDER_TIMEOUT: Duration = Duration::from_secs(120);

/// Interval between attempts to lock a folder that another worker uses.
const FOLDER_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Delays between attempts at a store that is unreachable.
const STORE_OUTAGE: RetryPolicy = RetryPolicy {
    first_delay: Duration::from_secs(1),
    max_delay: Duration::from_secs(60),
    has_jitter: false,
    ..retry::ENDLESS
};

/// Outcome of a claim.
pub enum JobOutcome {
    /// The claim is settled: its result is published, or it went to the dead letters.
    Settled,
    /// The request is back in the queue, or another worker has it, through no fault of this host.
    GivenBack,
    /// The claim is settled, and its result is the failure of its testbed, or of each host that tried it.
    TestbedFailed(String),
    /// This host or its store failed, whatever was requested.
    Infrastructure(String),
    /// A testbed failed, or this host failed with this request, which is tried again after this time.
    TriedAgain(String, Duration),
    /// A testbed lacked what was requested, and the request is tried again after this time. Says nothing about this
    /// host.
    Unproven(String, Duration),
}

/// Cause of a failure after which a request is tried again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FailureCause {
    /// Testbed, or what was requested of it.
    Testbed,
    /// This host.
    Host,
    /// Store, or this host before or after the test.
    Store,
}

/// Step that follows when a claimed request has no result in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Publishes the bundle of an earlier attempt.
    Publish,
    /// Makes the request a dead letter, because it keeps killing its workers.
    DeadLetter,
    /// Passes the request on if another worker waits for requests; otherwise runs its test.
    HandOver,
    /// Runs the test.
    Run,
}

/// Result of a request in the store.
enum StoredResult {
    /// There is no result.
    Nothing,
    /// There is a result.
    Whole,
    /// There is a result that readers may have missed: its worker died before it checked that.
    Overtaken(RunId),
}

/// Last step of a claim, once everything else is done.
enum FinalStep {
    /// Settles it in this way.
    Settle(Settlement, JobOutcome),
    /// Makes it a dead letter, for this reason: the request can never be run.
    DeadLetter(String),
    /// Follows the cancellation: a dead letter, or back to the queue.
    Cancelled(Cancellation),
    /// Tries the request again later, unless it failed too often.
    Retry(String, FailureCause),
    /// Tries the request again later, because a testbed lacked what was requested. Says nothing about this host.
    RetryUnproven(String),
    /// Settles it as done, because the result is in the store.
    Published(Box<PublishedRun>),
    /// Drops the claim, because another worker has the request, or the broker cannot be waited for.
    Dropped,
}

/// Run whose result is in the store.
struct PublishedRun {
    place: ResultLocation,
    bundle: Bundle,
    /// `None` when another worker has published the result.
    run: Option<RunId>,
    entry: SpoolEntry,
    end: JobOutcome,
}

/// A claim's job.
pub(super) struct Job<'a> {
    pub(super) context: Context<'a>,
    pub(super) spool: &'a Spool,
}

impl Job<'_> {
    /// Takes the claim to its end.
    ///
    /// # Errors
    /// Fails when the broker refuses to settle the claim.
    pub async fn run(&self, claim: Claim) -> Result<JobOutcome, BrokerError> {
        let request = match &claim.request {
            Ok(request) => request.clone(),
            Err(error) => {
                let reason = error.to_string();
                return self.settle_dead_letter(claim, reason).await;
            }
        };
        let Some(id) = request.uuid() else {
            // Brokers give every claimed request an id, which names its folder and its result.
            return self.settle_dead_letter(claim, "the request has no uuid".to_owned()).await;
        };
        self.settle_after(claim, &request, id, async |claim, cancel_guard| {
            self.work(&request, id, claim, cancel_guard).await
        })
        .await
    }

    /// Does the work, and settles the claim accordingly. A panic of the work leaves the claim intact, and counts as a
    /// failure of this host.
    async fn settle_after(
        &self,
        mut claim: Claim,
        request: &Request,
        id: &RequestId,
        work: impl AsyncFnOnce(&mut Claim, &mut CancelGuard) -> FinalStep,
    ) -> Result<JobOutcome, BrokerError> {
        // Users who see the test in a list must be able to cancel it from now on.
        let mut cancel_guard = self.context.worker.cancels.register(id);
        let settlement = match panic::catch(work(&mut claim, &mut cancel_guard)).await {
            Ok(settlement) => settlement,
            Err(panic) => self.after_panic(panic.report(Some(request)), id, &cancel_guard).await,
        };
        match settlement {
            FinalStep::Settle(settlement, end) => self.settle(claim, settlement, end).await,
            FinalStep::DeadLetter(reason) => self.settle_dead_letter(claim, reason).await,
            FinalStep::Cancelled(cancellation) => self.settle_cancelled(claim, cancellation).await,
            FinalStep::Retry(reason, fault) => self.retry_later(claim, reason, fault).await,
            FinalStep::RetryUnproven(reason) => {
                Ok(match self.retry_later(claim, reason, FailureCause::Testbed).await? {
                    JobOutcome::TriedAgain(reason, after) => JobOutcome::Unproven(reason, after),
                    other => other,
                })
            }
            FinalStep::Published(published) => self.settle_published(claim, request, *published).await,
            FinalStep::Dropped => Ok(JobOutcome::GivenBack),
        }
    }

    /// Returns how to settle a claim whose work has panicked. A complete bundle is kept for the next attempt;
    /// everything else in the folder is removed.
    async fn after_panic(&self, reason: String, id: &RequestId, cancel_guard: &CancelGuard) -> FinalStep {
        let cancellation = cancel_guard.close();
        if let Ok(Some(entry)) = self.spool.entry(id)
            && (cancellation.is_some() || !matches!(entry.bundle(), Ok(Some(_))))
        {
            self.remove(entry).await;
        }
        match cancellation {
            Some(cancellation) => FinalStep::Cancelled(cancellation),
            None => FinalStep::Retry(reason, FailureCause::Host),
        }
    }

    /// Does everything that comes before settling the claim.
    async fn work(
        &self,
        request: &Request,
        id: &RequestId,
        claim: &mut Claim,
        cancel_guard: &mut CancelGuard,
    ) -> FinalStep {
        let place = ResultLocation::of(request, &claim.queue);
        let package = &place.path.package;
        self.context.reporter.running(request, &claim.queue, claim.attempt);
        let contact = self.contact(request, id);
        claim.attach(contact.clone());
        let entry = match self.context.reporter.with_heartbeat(self.entry(claim, id, cancel_guard)).await {
            Ok(entry) => entry,
            Err(end) => return give_back(cancel_guard, end),
        };
        // A service that queues tests of pull requests may have queued one twice, after a crash.
        let mut overtaken = None;
        if claim.redelivered || request.parameters().is_of_pull_request() {
            match self.context.reporter.with_heartbeat(self.published_before(&place, request, cancel_guard)).await {
                Ok(StoredResult::Overtaken(run)) => {
                    let run = place.path.folder(overtaken.insert(run));
                    tracing::warn!(package = %package, uuid = %id, "readers may have missed its result {run}: it is made again");
                    claim.log(ClaimStep::NoResult);
                }
                Ok(StoredResult::Whole) => {
                    claim.log(ClaimStep::ResultFound);
                    tracing::info!(package = %package, uuid = %id, "has its result already");
                    // A cancellation comes too late: there is a result.
                    cancel_guard.close();
                    self.remove(entry).await;
                    return FinalStep::Settle(Settlement::Done, JobOutcome::Settled);
                }
                Ok(StoredResult::Nothing) => claim.log(ClaimStep::NoResult),
                Err(end) => return give_back(cancel_guard, end),
            }
        }
        let bundle = entry.bundle().ok().flatten().filter(|bundle| bundle.is_of(request));
        let failed_here = claim.failures.last().is_some_and(|failure| failure.worker == self.context.worker.name);
        let step = next_step(bundle.is_some(), claim.attempt, claim.handovers, failed_here);
        let mut failed = None;
        let mut bundle = match (step, bundle) {
            (Step::Publish, Some(bundle)) => {
                if let Some(cancellation) = cancel_guard.close() {
                    self.remove(entry).await;
                    return FinalStep::Cancelled(cancellation);
                }
                claim.log(ClaimStep::BundleFound);
                tracing::info!(package = %package, uuid = %id, "was run before; its result is published now");
                bundle
            }
            (Step::DeadLetter, _) => {
                self.remove(entry).await;
                if let Some(cancellation) = cancel_guard.close() {
                    return FinalStep::Cancelled(cancellation);
                }
                return FinalStep::DeadLetter(format!("its worker died, or could not finish it, {MAX_ATTEMPTS} times"));
            }
            // A broker that cannot answer counts as one without other workers.
            (Step::HandOver, _) if claim.has_other_consumers().await.unwrap_or(false) => {
                self.remove(entry).await;
                if let Some(cancellation) = cancel_guard.close() {
                    return FinalStep::Cancelled(cancellation);
                }
                tracing::info!(package = %package, uuid = %id, "failed here last time; another worker may try it");
                let verdict = Settlement::Later { after: broker::delay(HANDOVER_DELAY), failure: None, counts: false };
                return FinalStep::Settle(verdict, JobOutcome::GivenBack);
            }
            _ => match self.run_test(request, &entry, &contact, claim, cancel_guard).await {
                RunOutcome::Bundled(bundle) => bundle,
                RunOutcome::TestbedFailed(bundle, reason) => {
                    failed = Some(reason);
                    bundle
                }
                RunOutcome::WorkerCancelled => {
                    self.remove(entry).await;
                    return FinalStep::Settle(Settlement::Return, JobOutcome::GivenBack);
                }
                RunOutcome::TestCancelled(cancellation) => {
                    self.remove(entry).await;
                    return FinalStep::Cancelled(cancellation);
                }
                RunOutcome::Testbed(reason) => {
                    self.remove(entry).await;
                    return FinalStep::Retry(reason, FailureCause::Testbed);
                }
                RunOutcome::Unproven(reason) => {
                    self.remove(entry).await;
                    return FinalStep::RetryUnproven(reason);
                }
                RunOutcome::Host(reason) => {
                    self.remove(entry).await;
                    return FinalStep::Retry(reason, FailureCause::Host);
                }
                RunOutcome::Lost(reason) => {
                    tracing::warn!(package = %package, uuid = %id, "abandoned: {reason}");
                    self.remove(entry).await;
                    return FinalStep::Dropped;
                }
            },
        };
        // A result that is known to have been seen by all readers stays.
        if let Some(run) = overtaken.filter(|run| !bundle.is_confirmed(run)) {
            bundle.give_up(run);
        }
        self.context.phase(&contact, TestPhase::Publishing);
        match self.context.reporter.with_heartbeat(self.publish(&place, &bundle, request, claim)).await {
            Ok(run) => {
                claim.log(if run.is_some() { ClaimStep::Published } else { ClaimStep::PublishedElsewhere });
                let end = match failed {
                    Some(reason) => JobOutcome::TestbedFailed(reason),
                    None => JobOutcome::Settled,
                };
                FinalStep::Published(Box::new(PublishedRun { place, bundle, run, entry, end }))
            }
            Err(PublishError::Claim(BrokerError::ClaimLost(reason))) => {
                tracing::warn!(package = %package, uuid = %id, "abandoned: {reason}");
                self.remove(entry).await;
                FinalStep::Dropped
            }
            Err(PublishError::Stopped) => {
                // The broker may be unreachable, and is not waited for again.
                let kept = entry.folder().display();
                tracing::warn!("the result of {package} is kept in {kept}: {}", PublishError::Stopped);
                FinalStep::Dropped
            }
            Err(error) => {
                let reason = match &error {
                    PublishError::Gone(_) => format!("the result of {package} is lost: {error}"),
                    _ => format!("the result of {package} is kept in {}: {error}", entry.folder().display()),
                };
                tracing::error!("{reason}");
                if self.context.stop.finish.is_cancelled() {
                    return FinalStep::Settle(Settlement::Return, JobOutcome::GivenBack);
                }
                // A refusal may be caused by the request, which must not be tried indefinitely.
                FinalStep::Retry(reason, FailureCause::Store)
            }
        }
    }

    /// Announces the result while it settles the claim.
    async fn settle_published(
        &self,
        claim: Claim,
        request: &Request,
        published: PublishedRun,
    ) -> Result<JobOutcome, BrokerError> {
        let PublishedRun { place, bundle, run, entry, end } = published;
        let announcing = async {
            match &run {
                Some(run) => {
                    tokio::select! {
                        () = self.context.worker.announce_complete(request, &place, &bundle, run) => {}
                        () = self.context.stop.server_grace_over() => {}
                    }
                }
                None => {
                    let (package, uuid) = (&place.path.package, request.uuid().map(tracing::field::display));
                    tracing::info!(package = %package, uuid, "another worker has published its result");
                }
            }
        };
        let ((), settled) = tokio::join!(announcing, self.settle(claim, Settlement::Done, end));
        // An unsettled request comes back, perhaps before the store lists its result. The bundle and its run id then
        // show the next worker of this host that it was published.
        if matches!(settled, Ok(JobOutcome::Settled | JobOutcome::TestbedFailed(_))) {
            self.spool.start_removal(entry);
        }
        settled
    }

    async fn run_test(
        &self,
        request: &Request,
        entry: &SpoolEntry,
        contact: &TestHandle,
        claim: &mut Claim,
        cancel_guard: &mut CancelGuard,
    ) -> RunOutcome {
        claim.log(ClaimStep::RunStarted);
        let run = TestRun { context: &self.context, request, entry, redactor: Redactor::new(request, &[]), contact };
        let end = run.run(claim, cancel_guard).await;
        if matches!(end, RunOutcome::Bundled(_) | RunOutcome::TestbedFailed(..)) {
            claim.log(ClaimStep::RunEnded);
        }
        end
    }

    /// Returns the handle through which clients of the broker see and cancel the test. It has no log of a private test.
    fn contact(&self, request: &Request, id: &RequestId) -> TestHandle {
        let logtail = if request.is_private() { PRIVATE_LOG.to_owned() } else { String::new() };
        let (worker, slot) = (self.context.worker.name.clone(), self.context.reporter.number());
        let phase = TestPhase::Preparing.name().to_owned();
        let news = TestProgress { worker, slot, since: jiff::Timestamp::now(), phase, logtail };
        let (cancels, id, package) = (self.context.worker.cancels.clone(), id.clone(), request.package().clone());
        TestHandle::new(id.clone().as_str(), news, move |wish| {
            let cancellation = Cancellation { by: wish.by.clone(), requeue: wish.requeue };
            let found = cancels.cancel(&id, &cancellation);
            if found {
                tracing::warn!(package = %package, uuid = %id, "cancelled through the queue by {}", cancellation.by);
            }
            found
        })
    }

    async fn remove(&self, entry: SpoolEntry) {
        self.context.reporter.with_heartbeat_for(WORK_TIMEOUT, entry.remove()).await;
    }

    /// Returns a request to its queue after an infrastructure failure, with a delay that grows with each failure.
    ///
    /// A failure of this host says nothing about the request and is no attempt, but a request that no host can finish
    /// becomes a dead letter.
    async fn retry_later(&self, claim: Claim, reason: String, fault: FailureCause) -> Result<JobOutcome, BrokerError> {
        let Some(after) = delay_after(fault, claim.failures.len(), self.context.settings.conf.retry_delay()) else {
            let verdict =
                Settlement::Dead(format!("no host could finish it, {} times; at last: {reason}", MAX_FAILURES + 1));
            return self.settle(claim, verdict, JobOutcome::TestbedFailed(reason)).await;
        };
        let host = fault != FailureCause::Testbed;
        let failure = Failure {
            worker: self.context.worker.name.clone(),
            reason: reason.clone(),
            attempt: claim.attempt,
            time: jiff::Timestamp::now(),
            host,
        };
        let verdict = Settlement::Later { after, failure: Some(failure), counts: !host };
        self.settle(claim, verdict, JobOutcome::TriedAgain(reason, after)).await
    }

    async fn settle_cancelled(&self, claim: Claim, cancellation: Cancellation) -> Result<JobOutcome, BrokerError> {
        // Operators have read it when the command came.
        tracing::debug!(queue = %claim.queue, "cancelled by {}", cancellation.by);
        self.settle(claim, cancellation.verdict(), JobOutcome::GivenBack).await
    }

    /// Locks the request's folder. Waits while another worker of this host uses it: one that has lost the request and
    /// ends its test, or one that has just started and removes what dead workers left.
    async fn entry(
        &self,
        claim: &mut Claim,
        id: &RequestId,
        cancel_guard: &mut CancelGuard,
    ) -> Result<SpoolEntry, JobOutcome> {
        let until = Instant::now() + FOLDER_TIMEOUT;
        let mut told = false;
        loop {
            let reason = match self.spool.entry(id) {
                Ok(Some(entry)) => return Ok(entry),
                Ok(None) => "another process of this host works in it".to_owned(),
                // The folder was removed while it was being created.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => error.to_string(),
                Err(error) => {
                    return Err(JobOutcome::Infrastructure(format!("the folder for {id} cannot be made: {error}")));
                }
            };
            let folder = self.context.worker.work_folder.join(id.as_str());
            if Instant::now() >= until {
                // Ids come with requests, and two requests may have the same one: that is no fault of this host.
                tracing::warn!("{} stays in use: {reason}; the request waits", folder.display());
                return Err(JobOutcome::GivenBack);
            }
            if !std::mem::replace(&mut told, true) {
                tracing::info!("waiting for {}: {reason}", folder.display());
            }
            tokio::select! {
                () = pause(FOLDER_RETRY_DELAY, &self.context.stop.finish) => {}
                _ = cancel_guard.cancelled() => return Err(JobOutcome::GivenBack),
                reason = claim.lost() => {
                    tracing::warn!(uuid = %id, "abandoned: {reason}");
                    return Err(JobOutcome::GivenBack);
                }
            }
            if self.context.stop.finish.is_cancelled() {
                return Err(JobOutcome::GivenBack);
            }
        }
    }

    /// Returns whether the request has a complete result.
    ///
    /// # Errors
    /// Returns the outcome of the job when the store refuses to answer, or did not answer before the worker was told to
    /// stop.
    async fn published_before(
        &self,
        place: &ResultLocation,
        request: &Request,
        cancel_guard: &mut CancelGuard,
    ) -> Result<StoredResult, JobOutcome> {
        let package = request.package();
        let mut delays = STORE_OUTAGE.delays();
        loop {
            let answer = tokio::select! {
                answer = self.published(place, request) => answer,
                () = self.context.stop.cancel.cancelled() => return Err(JobOutcome::GivenBack),
                _ = cancel_guard.cancelled() => return Err(JobOutcome::GivenBack),
            };
            match answer {
                Ok(published) => return Ok(published),
                Err(error) if error.is_transient() => {
                    tracing::warn!("cannot check yet whether this request for {package} already has a result: {error}");
                }
                Err(error) => {
                    let reason =
                        format!("whether a request for {package} has a result already cannot be learnt: {error}");
                    return Err(JobOutcome::Infrastructure(reason));
                }
            }
            tokio::select! {
                () = pause(delays.next_delay(), &self.context.stop.finish) => {}
                _ = cancel_guard.cancelled() => return Err(JobOutcome::GivenBack),
            }
            if self.context.stop.finish.is_cancelled() {
                return Err(JobOutcome::GivenBack);
            }
        }
    }

    /// Returns the request's result in the store. Of several results only the newest is kept.
    async fn published(&self, place: &ResultLocation, request: &Request) -> Result<StoredResult, StoreError> {
        let store = self.context.worker.store;
        let runs = runs::of_request(store, place, request).await?;
        let Some((newest, older)) = runs.split_first() else { return Ok(StoredResult::Nothing) };
        for run in older {
            for file in [RESULT, LOG, ARTIFACTS, READABLE_BY] {
                store.delete(&run.container, &run.object(file)).await?;
            }
        }
        let is_overtaken = runs::is_overtaken(store, place, &newest.id).await?;
        Ok(if is_overtaken { StoredResult::Overtaken(newest.id.clone()) } else { StoredResult::Whole })
    }

    /// Publishes the bundle, and retries while the store is unreachable, because an outage must not cost a second run.
    /// Gives up when a retry is pointless, or when the worker is told to stop.
    async fn publish(
        &self,
        place: &ResultLocation,
        bundle: &Bundle,
        request: &Request,
        claim: &mut Claim,
    ) -> Result<Option<RunId>, PublishError> {
        let mut delays = STORE_OUTAGE.delays();
        let mut bundle = bundle.clone();
        let Worker { store, containers, turns, .. } = self.context.worker;
        let to = Destination { store, containers, turns };
        loop {
            let end = tokio::select! {
                biased;
                end = publish(to, place, &mut bundle, request, claim, self.context.stop) => end,
                () = self.context.stop.upload_grace_over() => return Err(PublishError::Stopped),
            };
            match end {
                Err(error) if error.is_transient() && !self.context.stop.finish.is_cancelled() => {
                    // The unreadable file may be one of the bundle, without which a retry is pointless.
                    if Bundle::open(&bundle.dir)?.is_none() {
                        return Err(PublishError::Gone(bundle.dir.clone()));
                    }
                    tracing::warn!("the result of {} waits for the store: {error}", place.path.package);
                }
                end => return end,
            }
            pause(delays.next_delay(), &self.context.stop.finish).await;
        }
    }

    /// Sends a request that can never be run to the dead letters.
    async fn settle_dead_letter(&self, claim: Claim, reason: String) -> Result<JobOutcome, BrokerError> {
        tracing::warn!(queue = %claim.queue, "a dead letter: {reason}");
        self.settle(claim, Settlement::Dead(reason), JobOutcome::Settled).await
    }

    /// Settles the claim. If it is lost meanwhile, its new holder finds the result in the store.
    async fn settle(&self, claim: Claim, verdict: Settlement, end: JobOutcome) -> Result<JobOutcome, BrokerError> {
        let settled = tokio::select! {
            biased;
            settled = self.context.reporter.with_heartbeat(claim.settle(verdict)) => settled,
            () = self.context.stop.server_grace_over() => {
                tracing::warn!("the queue server is unreachable and the worker is stopping: the request goes back");
                return Ok(JobOutcome::GivenBack);
            }
        };
        match settled {
            Err(BrokerError::ClaimLost(reason)) => {
                tracing::warn!("the request was taken over by another worker: {reason}");
                Ok(end)
            }
            other => other.map(|()| end),
        }
    }
}

/// Returns the next step for a request without a result. A bundle is published however many attempts that takes.
fn next_step(has_bundle: bool, attempt: u32, handovers: u32, failed_here: bool) -> Step {
    if has_bundle {
        Step::Publish
    } else if attempt > MAX_ATTEMPTS {
        Step::DeadLetter
    } else if failed_here && handovers < MAX_HANDOVERS {
        Step::HandOver
    } else {
        Step::Run
    }
}

/// Returns the delay of a request after this number of earlier failures, or `None` when too many hosts have failed.
fn delay_after(fault: FailureCause, failures: usize, first: Duration) -> Option<Duration> {
    if fault != FailureCause::Testbed && failures >= MAX_FAILURES {
        return None;
    }
    let growths = match fault {
        // Another attempt needs no test.
        FailureCause::Store => 0,
        FailureCause::Testbed | FailureCause::Host => u32::try_from(failures).unwrap_or(u32::MAX).min(MAX_GROWTHS),
    };
    Some(broker::delay(first.saturating_mul(DELAY_GROWTH.pow(growths))))
}

/// Returns how to settle a claim that was not run and may have been cancelled meanwhile.
fn give_back(cancel_guard: &CancelGuard, end: JobOutcome) -> FinalStep {
    match (cancel_guard.close(), end) {
        (Some(cancellation), _) => FinalStep::Cancelled(cancellation),
        (None, JobOutcome::Infrastructure(reason)) => FinalStep::Retry(reason, FailureCause::Store),
        (None, end) => FinalStep::Settle(Settlement::Return, end),
    }
}

#[cfg(test)]
mod tests;
