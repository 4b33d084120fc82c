//! Life of one claim: claim → run → bundle → publish → settle.

use std::time::{Duration, Instant};

use super::board::Phase;
use super::context::Context;
use super::control::Withdrawal;
use super::control::cancel::Cancellable;
use super::panic;
use super::publish::{Destination, PublishError, publish};
use super::run::{RunEnd, TestRun};
use super::spool::{Spool, SpoolEntry};
use super::{LONGEST_WORK, Worker, pause};
use crate::broker::{self, BrokerError, Claim, ClaimStep, Contact, FAILURES, Failure, News, Verdict};
use crate::request::{Request, RequestId};
use crate::result::layout::{ARTIFACTS, LOG, READABLE_BY, RESULT};
use crate::result::{Bundle, Place, Redactor, RunId};
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
const MAX_PASSES: u32 = 3;

/// Delay before another worker can take a request that is passed on.
const PASS_DELAY: Duration = Duration::from_secs(1);

/// Timeout for another worker of this host to leave a request's folder: longer than it takes to end a test.
const LONGEST_WAIT_FOR_FOLDER: Duration = Duration::from_secs(120);

/// Interval between attempts to lock a folder that another worker uses.
const FOLDER_PAUSE: Duration = Duration::from_millis(100);

/// Delays between attempts at a store that is unreachable.
const STORE_OUTAGE: RetryPolicy = RetryPolicy {
    first_delay: Duration::from_secs(1),
    max_delay: Duration::from_secs(60),
    has_jitter: false,
    ..retry::ENDLESS
};

/// Outcome of a claim.
pub enum JobEnd {
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
enum Fault {
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
enum Published {
    /// There is no result.
    Nothing,
    /// There is a result.
    Whole,
    /// There is a result that readers may have missed: its worker died before it checked that.
    Overtaken(RunId),
}

/// Way in which a claim is settled, once everything else is done.
enum Settlement {
    /// Performs this verdict.
    Verdict(Verdict, JobEnd),
    /// Makes it a dead letter, for this reason: the request can never be run.
    DeadLetter(String),
    /// Follows the cancellation: a dead letter, or back to the queue.
    Cancelled(Withdrawal),
    /// Tries the request again later, unless it failed too often.
    Retry(String, Fault),
    /// Tries the request again later, because a testbed lacked what was requested. Says nothing about this host.
    RetryUnproven(String),
    /// Settles it as done, because the result is in the store.
    Published(Box<PublishedRun>),
    /// Drops the claim, because another worker has the request, or the broker cannot be waited for.
    Dropped,
}

/// Run whose result is in the store.
struct PublishedRun {
    place: Place,
    bundle: Bundle,
    /// `None` when another worker has published the result.
    run: Option<RunId>,
    entry: SpoolEntry,
    end: JobEnd,
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
    pub async fn run(&self, claim: Claim) -> Result<JobEnd, BrokerError> {
        let request = match &claim.request {
            Ok(request) => request.clone(),
            Err(error) => {
                let reason = error.to_string();
                return self.bury(claim, reason).await;
            }
        };
        let Some(id) = request.uuid() else {
            // Brokers give every claimed request an id, which names its folder and its result.
            return self.bury(claim, "the request has no uuid".to_owned()).await;
        };
        self.settle_after(claim, &request, id, async |claim, cancellable| {
            self.work(&request, id, claim, cancellable).await
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
        work: impl AsyncFnOnce(&mut Claim, &mut Cancellable) -> Settlement,
    ) -> Result<JobEnd, BrokerError> {
        // Users who see the test in a list must be able to cancel it from now on.
        let mut cancellable = self.context.worker.cancels.enter(id);
        let settlement = match panic::catch(work(&mut claim, &mut cancellable)).await {
            Ok(settlement) => settlement,
            Err(panic) => self.after_panic(panic.report(Some(request)), id, &cancellable).await,
        };
        match settlement {
            Settlement::Verdict(verdict, end) => self.settle(claim, verdict, end).await,
            Settlement::DeadLetter(reason) => self.bury(claim, reason).await,
            Settlement::Cancelled(withdrawal) => self.withdraw(claim, withdrawal).await,
            Settlement::Retry(reason, fault) => self.try_again(claim, reason, fault).await,
            Settlement::RetryUnproven(reason) => Ok(match self.try_again(claim, reason, Fault::Testbed).await? {
                JobEnd::TriedAgain(reason, after) => JobEnd::Unproven(reason, after),
                other => other,
            }),
            Settlement::Published(published) => self.settle_published(claim, request, *published).await,
            Settlement::Dropped => Ok(JobEnd::GivenBack),
        }
    }

    /// Returns how to settle a claim whose work has panicked. A complete bundle is kept for the next attempt;
    /// everything else in the folder is removed.
    async fn after_panic(&self, reason: String, id: &RequestId, cancellable: &Cancellable) -> Settlement {
        let withdrawal = cancellable.close();
        if let Ok(Some(entry)) = self.spool.entry(id)
            && (withdrawal.is_some() || !matches!(entry.bundle(), Ok(Some(_))))
        {
            self.remove(entry).await;
        }
        match withdrawal {
            Some(withdrawal) => Settlement::Cancelled(withdrawal),
            None => Settlement::Retry(reason, Fault::Host),
        }
    }

    /// Does everything that comes before settling the claim.
    async fn work(
        &self,
        request: &Request,
        id: &RequestId,
        claim: &mut Claim,
        cancellable: &mut Cancellable,
    ) -> Settlement {
        let place = Place::of(request, &claim.queue);
        let package = &place.path.package;
        self.context.board.running(request, &claim.queue, claim.attempt);
        let contact = self.contact(request, id);
        claim.introduce(contact.clone());
        let entry = match self.context.board.ticking(self.entry(claim, id, cancellable)).await {
            Ok(entry) => entry,
            Err(end) => return give_back(cancellable, end),
        };
        // A service that queues tests of pull requests may have queued one twice, after a crash.
        let mut overtaken = None;
        if claim.redelivered || request.parameters().is_of_pull_request() {
            match self.context.board.ticking(self.published_before(&place, request, cancellable)).await {
                Ok(Published::Overtaken(run)) => {
                    let run = place.path.folder(overtaken.insert(run));
                    tracing::warn!(package = %package, uuid = %id, "readers may have missed its result {run}: it is made again");
                    claim.log(ClaimStep::NoResult);
                }
                Ok(Published::Whole) => {
                    claim.log(ClaimStep::ResultFound);
                    tracing::info!(package = %package, uuid = %id, "has its result already");
                    self.remove(entry).await;
                    return Settlement::Verdict(Verdict::Done, JobEnd::Settled);
                }
                Ok(Published::Nothing) => claim.log(ClaimStep::NoResult),
                Err(end) => return give_back(cancellable, end),
            }
        }
        let bundle = entry.bundle().ok().flatten().filter(|bundle| bundle.is_of(request));
        let failed_here = claim.failures.last().is_some_and(|failure| failure.worker == self.context.worker.name);
        let step = next_step(bundle.is_some(), claim.attempt, claim.passes, failed_here);
        let mut failed = None;
        let mut bundle = match (step, bundle) {
            (Step::Publish, Some(bundle)) => {
                if let Some(withdrawal) = cancellable.close() {
                    self.remove(entry).await;
                    return Settlement::Cancelled(withdrawal);
                }
                claim.log(ClaimStep::BundleFound);
                tracing::info!(package = %package, uuid = %id, "was run before; its result is published now");
                bundle
            }
            (Step::DeadLetter, _) => {
                self.remove(entry).await;
                return Settlement::DeadLetter(format!(
                    "its worker died, or could not finish it, {MAX_ATTEMPTS} times"
                ));
            }
            // A broker that cannot answer counts as one without other workers.
            (Step::HandOver, _) if claim.others_wait().await.unwrap_or(false) => {
                self.remove(entry).await;
                if let Some(withdrawal) = cancellable.close() {
                    return Settlement::Cancelled(withdrawal);
                }
                tracing::info!(package = %package, uuid = %id, "failed here last time; another worker may try it");
                let verdict = Verdict::Later { after: broker::delay(PASS_DELAY), failure: None, counts: false };
                return Settlement::Verdict(verdict, JobEnd::GivenBack);
            }
            _ => match self.run_test(request, &entry, &contact, claim, cancellable).await {
                RunEnd::Bundled(bundle) => bundle,
                RunEnd::TestbedFailed(bundle, reason) => {
                    failed = Some(reason);
                    bundle
                }
                RunEnd::Cancelled => {
                    self.remove(entry).await;
                    return Settlement::Verdict(Verdict::Return, JobEnd::GivenBack);
                }
                RunEnd::Withdrawn(withdrawal) => {
                    self.remove(entry).await;
                    return Settlement::Cancelled(withdrawal);
                }
                RunEnd::Testbed(reason) => {
                    self.remove(entry).await;
                    return Settlement::Retry(reason, Fault::Testbed);
                }
                RunEnd::Unproven(reason) => {
                    self.remove(entry).await;
                    return Settlement::RetryUnproven(reason);
                }
                RunEnd::Host(reason) => {
                    self.remove(entry).await;
                    return Settlement::Retry(reason, Fault::Host);
                }
                RunEnd::Lost(reason) => {
                    tracing::warn!(package = %package, uuid = %id, "abandoned: {reason}");
                    self.remove(entry).await;
                    return Settlement::Dropped;
                }
            },
        };
        // A result that is known to have been seen by all readers stays.
        if let Some(run) = overtaken.filter(|run| !bundle.is_confirmed(run)) {
            bundle.give_up(run);
        }
        self.context.phase(&contact, Phase::Publishing);
        match self.context.board.ticking(self.publish(&place, &bundle, request, claim)).await {
            Ok(run) => {
                claim.log(if run.is_some() { ClaimStep::Published } else { ClaimStep::PublishedElsewhere });
                let end = match failed {
                    Some(reason) => JobEnd::TestbedFailed(reason),
                    None => JobEnd::Settled,
                };
                Settlement::Published(Box::new(PublishedRun { place, bundle, run, entry, end }))
            }
            Err(PublishError::Claim(BrokerError::ClaimLost(reason))) => {
                tracing::warn!(package = %package, uuid = %id, "abandoned: {reason}");
                self.remove(entry).await;
                Settlement::Dropped
            }
            Err(PublishError::Stopped) => {
                // The broker may be unreachable, and is not waited for again.
                let kept = entry.folder().display();
                tracing::warn!("the result of {package} is kept in {kept}: {}", PublishError::Stopped);
                Settlement::Dropped
            }
            Err(error) => {
                let reason = match &error {
                    PublishError::Gone(_) => format!("the result of {package} is lost: {error}"),
                    _ => format!("the result of {package} is kept in {}: {error}", entry.folder().display()),
                };
                tracing::error!("{reason}");
                if self.context.stop.finish.is_cancelled() {
                    return Settlement::Verdict(Verdict::Return, JobEnd::GivenBack);
                }
                // A refusal may be caused by the request, which must not be tried indefinitely.
                Settlement::Retry(reason, Fault::Store)
            }
        }
    }

    /// Announces the result while it settles the claim.
    async fn settle_published(
        &self,
        claim: Claim,
        request: &Request,
        published: PublishedRun,
    ) -> Result<JobEnd, BrokerError> {
        let PublishedRun { place, bundle, run, entry, end } = published;
        let announcing = async {
            match &run {
                Some(run) => {
                    tokio::select! {
                        () = self.context.worker.announce_complete(request, &place, &bundle, run) => {}
                        () = self.context.stop.out_of_patience() => {}
                    }
                }
                None => {
                    let (package, uuid) = (&place.path.package, request.uuid().map(tracing::field::display));
                    tracing::info!(package = %package, uuid, "another worker has published its result");
                }
            }
        };
        let ((), settled) = tokio::join!(announcing, self.settle(claim, Verdict::Done, end));
        // An unsettled request comes back, perhaps before the store lists its result. The bundle and its run id then
        // show the next worker of this host that it was published.
        if matches!(settled, Ok(JobEnd::Settled | JobEnd::TestbedFailed(_))) {
            self.spool.remove_beside(entry);
        }
        settled
    }

    async fn run_test(
        &self,
        request: &Request,
        entry: &SpoolEntry,
        contact: &Contact,
        claim: &mut Claim,
        cancellable: &mut Cancellable,
    ) -> RunEnd {
        claim.log(ClaimStep::RunStarted);
        let run = TestRun { context: &self.context, request, entry, redactor: Redactor::new(request, &[]), contact };
        let end = run.run(claim, cancellable).await;
        if matches!(end, RunEnd::Bundled(_) | RunEnd::TestbedFailed(..)) {
            claim.log(ClaimStep::RunEnded);
        }
        end
    }

    /// Returns the handle through which clients of the broker see and cancel the test. It has no log of a private test.
    fn contact(&self, request: &Request, id: &RequestId) -> Contact {
        let logtail = if request.is_private() { PRIVATE_LOG.to_owned() } else { String::new() };
        let (worker, slot) = (self.context.worker.name.clone(), self.context.board.number());
        let phase = Phase::Preparing.name().to_owned();
        let news = News { worker, slot, since: jiff::Timestamp::now(), phase, logtail };
        let (cancels, id, package) = (self.context.worker.cancels.clone(), id.clone(), request.package().clone());
        Contact::new(id.clone().as_str(), news, move |wish| {
            let withdrawal = Withdrawal { by: wish.by.clone(), requeue: wish.requeue };
            let found = cancels.cancel(&id, &withdrawal);
            if found {
                tracing::warn!(package = %package, uuid = %id, "cancelled through the queue by {}", withdrawal.by);
            }
            found
        })
    }

    async fn remove(&self, entry: SpoolEntry) {
        self.context.board.ticking_for(LONGEST_WORK, entry.remove()).await;
    }

    /// Returns a request to its queue after an infrastructure failure, with a delay that grows with each failure.
    ///
    /// A failure of this host says nothing about the request and is no attempt, but a request that no host can finish
    /// becomes a dead letter.
    async fn try_again(&self, claim: Claim, reason: String, fault: Fault) -> Result<JobEnd, BrokerError> {
        let Some(after) = delay_after(fault, claim.failures.len(), self.context.settings.conf.retry_delay()) else {
            let verdict = Verdict::Dead(format!("no host could finish it, {} times; at last: {reason}", FAILURES + 1));
            return self.settle(claim, verdict, JobEnd::TestbedFailed(reason)).await;
        };
        let host = fault != Fault::Testbed;
        let failure = Failure {
            worker: self.context.worker.name.clone(),
            reason: reason.clone(),
            attempt: claim.attempt,
            time: jiff::Timestamp::now(),
            host,
        };
        let verdict = Verdict::Later { after, failure: Some(failure), counts: !host };
        self.settle(claim, verdict, JobEnd::TriedAgain(reason, after)).await
    }

    async fn withdraw(&self, claim: Claim, withdrawal: Withdrawal) -> Result<JobEnd, BrokerError> {
        // Operators have read it when the command came.
        tracing::debug!(queue = %claim.queue, "cancelled by {}", withdrawal.by);
        self.settle(claim, withdrawal.verdict(), JobEnd::GivenBack).await
    }

    /// Locks the request's folder. Waits while another worker of this host uses it: one that has lost the request and
    /// ends its test, or one that has just started and removes what dead workers left.
    async fn entry(
        &self,
        claim: &mut Claim,
        id: &RequestId,
        cancellable: &mut Cancellable,
    ) -> Result<SpoolEntry, JobEnd> {
        let until = Instant::now() + LONGEST_WAIT_FOR_FOLDER;
        let mut told = false;
        loop {
            let reason = match self.spool.entry(id) {
                Ok(Some(entry)) => return Ok(entry),
                Ok(None) => "another process of this host works in it".to_owned(),
                // The folder was removed while it was being created.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => error.to_string(),
                Err(error) => {
                    return Err(JobEnd::Infrastructure(format!("the folder for {id} cannot be made: {error}")));
                }
            };
            let folder = self.context.worker.work_folder.join(id.as_str());
            if Instant::now() >= until {
                // Ids come with requests, and two requests may have the same one: that is no fault of this host.
                tracing::warn!("{} stays in use: {reason}; the request waits", folder.display());
                return Err(JobEnd::GivenBack);
            }
            if !std::mem::replace(&mut told, true) {
                tracing::info!("waiting for {}: {reason}", folder.display());
            }
            tokio::select! {
                () = pause(FOLDER_PAUSE, &self.context.stop.finish) => {}
                _ = cancellable.withdrawn() => return Err(JobEnd::GivenBack),
                reason = claim.lost() => {
                    tracing::warn!(uuid = %id, "abandoned: {reason}");
                    return Err(JobEnd::GivenBack);
                }
            }
            if self.context.stop.finish.is_cancelled() {
                return Err(JobEnd::GivenBack);
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
        place: &Place,
        request: &Request,
        cancellable: &mut Cancellable,
    ) -> Result<Published, JobEnd> {
        let package = request.package();
        let mut delays = STORE_OUTAGE.delays();
        loop {
            let answer = tokio::select! {
                answer = self.published(place, request) => answer,
                () = self.context.stop.cancel.cancelled() => return Err(JobEnd::GivenBack),
                _ = cancellable.withdrawn() => return Err(JobEnd::GivenBack),
            };
            match answer {
                Ok(published) => return Ok(published),
                Err(error) if error.is_temporary() => {
                    tracing::warn!("cannot check yet whether this request for {package} already has a result: {error}");
                }
                Err(error) => {
                    let reason =
                        format!("whether a request for {package} has a result already cannot be learnt: {error}");
                    return Err(JobEnd::Infrastructure(reason));
                }
            }
            tokio::select! {
                () = pause(delays.next_delay(), &self.context.stop.finish) => {}
                _ = cancellable.withdrawn() => return Err(JobEnd::GivenBack),
            }
            if self.context.stop.finish.is_cancelled() {
                return Err(JobEnd::GivenBack);
            }
        }
    }

    /// Returns the request's result in the store. Of several results only the newest is kept.
    async fn published(&self, place: &Place, request: &Request) -> Result<Published, StoreError> {
        let store = self.context.worker.store;
        let runs = runs::of_request(store, place, request).await?;
        let Some((newest, older)) = runs.split_first() else { return Ok(Published::Nothing) };
        for run in older {
            for file in [RESULT, LOG, ARTIFACTS, READABLE_BY] {
                store.delete(&run.container, &run.object(file)).await?;
            }
        }
        let is_overtaken = runs::is_overtaken(store, place, &newest.id).await?;
        Ok(if is_overtaken { Published::Overtaken(newest.id.clone()) } else { Published::Whole })
    }

    /// Publishes the bundle, and retries while the store is unreachable, because an outage must not cost a second run.
    /// Gives up when a retry is pointless, or when the worker is told to stop.
    async fn publish(
        &self,
        place: &Place,
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
                Err(error) if error.is_temporary() && !self.context.stop.finish.is_cancelled() => {
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
    async fn bury(&self, claim: Claim, reason: String) -> Result<JobEnd, BrokerError> {
        tracing::warn!(queue = %claim.queue, "a dead letter: {reason}");
        self.settle(claim, Verdict::Dead(reason), JobEnd::Settled).await
    }

    /// Settles the claim. If it is lost meanwhile, its new holder finds the result in the store.
    async fn settle(&self, claim: Claim, verdict: Verdict, end: JobEnd) -> Result<JobEnd, BrokerError> {
        let settled = tokio::select! {
            biased;
            settled = self.context.board.ticking(claim.settle(verdict)) => settled,
            () = self.context.stop.out_of_patience() => {
                tracing::warn!("the queue server is unreachable and the worker is stopping: the request goes back");
                return Ok(JobEnd::GivenBack);
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
fn next_step(has_bundle: bool, attempt: u32, passes: u32, failed_here: bool) -> Step {
    if has_bundle {
        Step::Publish
    } else if attempt > MAX_ATTEMPTS {
        Step::DeadLetter
    } else if failed_here && passes < MAX_PASSES {
        Step::HandOver
    } else {
        Step::Run
    }
}

/// Returns the delay of a request after this number of earlier failures, or `None` when too many hosts have failed.
fn delay_after(fault: Fault, failures: usize, first: Duration) -> Option<Duration> {
    if fault != Fault::Testbed && failures >= FAILURES {
        return None;
    }
    let growths = match fault {
        // Another attempt needs no test.
        Fault::Store => 0,
        Fault::Testbed | Fault::Host => u32::try_from(failures).unwrap_or(u32::MAX).min(MAX_GROWTHS),
    };
    Some(broker::delay(first.saturating_mul(DELAY_GROWTH.pow(growths))))
}

/// Returns how to settle a claim that was not run and may have been cancelled meanwhile.
fn give_back(cancellable: &Cancellable, end: JobEnd) -> Settlement {
    match (cancellable.close(), end) {
        (Some(withdrawal), _) => Settlement::Cancelled(withdrawal),
        (None, JobEnd::Infrastructure(reason)) => Settlement::Retry(reason, Fault::Store),
        (None, end) => Settlement::Verdict(Verdict::Return, end),
    }
}

#[cfg(test)]
mod tests;
