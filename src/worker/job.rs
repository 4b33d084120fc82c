//! The life of one claim: claim → run → bundle → publish → settle.

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

/// A request that was claimed so often without coming to an end keeps killing its workers.
const MAX_ATTEMPTS: u32 = 5;

/// The second delay after an infrastructure failure is so many times the first.
const DELAY_GROWTH: u32 = 5;

/// How often a request that failed here is passed on to a worker that waits for it, before it is tried here again.
const MAX_PASSES: u32 = 3;

/// How soon another worker may take what is passed on.
const PASS_DELAY: Duration = Duration::from_secs(1);

/// How long another worker of this host may keep a request's folder: longer than it takes to end a test.
const LONGEST_WAIT_FOR_FOLDER: Duration = Duration::from_secs(120);

/// Between two looks at a folder that another worker keeps.
const FOLDER_PAUSE: Duration = Duration::from_millis(100);

/// Delays between attempts at a store that is unreachable.
const STORE_OUTAGE: RetryPolicy = RetryPolicy {
    first_delay: Duration::from_secs(1),
    max_delay: Duration::from_secs(60),
    has_jitter: false,
    ..retry::ENDLESS
};

/// What became of a claim.
pub enum JobEnd {
    /// It is settled: its result is published, or it went to the dead letters.
    Settled,
    /// Its request is back in the queue, or another worker has it, through no fault of this host.
    GivenBack,
    /// It is settled, with the failure of its testbed, or of each host that tried it, as the end.
    TestbedFailed(String),
    /// Something on this host, or its store, does not work, whatever is asked for.
    Infrastructure(String),
    /// A testbed failed, or something on this host does not work with this request; it is tried again after this time.
    TriedAgain(String, Duration),
    /// A testbed lacked what was asked for; the request is tried again after this time. Says nothing about this host.
    Unproven(String, Duration),
}

/// What was at fault when a request is tried again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The testbed, or what it was asked for.
    Testbed,
    /// This host.
    Host,
    /// The store, or this host, before or after the test.
    Store,
}

/// What the store has of a request.
enum Published {
    /// No result.
    Nothing,
    /// Its result.
    Whole,
    /// Its result, which readers may have missed: its worker died before it could look for that.
    Overtaken(RunId),
}

/// Way in which a claim is settled, once everything else is done.
enum Settlement {
    /// It is settled with this verdict.
    Verdict(Verdict, JobEnd),
    /// Its request can never be run, for this reason.
    DeadLetter(String),
    /// Somebody cancelled its test.
    Cancelled(Withdrawal),
    /// Its request is tried again later, unless it failed too often.
    Retry(String, Fault),
    /// Its request is tried again later: a testbed lacked what was asked for. Says nothing about this host.
    RetryUnproven(String),
    /// Its result is in the store.
    Published(Box<PublishedRun>),
    /// It is dropped, because another worker has its request, or its broker is not waited for.
    Dropped,
}

/// A run whose result is in the store.
struct PublishedRun {
    place: Place,
    bundle: Bundle,
    /// None when another worker has published its result.
    run: Option<RunId>,
    entry: SpoolEntry,
    end: JobEnd,
}

/// What a claim's life needs.
pub(super) struct Job<'a> {
    pub(super) context: Context<'a>,
    pub(super) spool: &'a Spool,
}

impl Job<'_> {
    /// Takes the claim to its end.
    ///
    /// # Errors
    /// When the broker refuses to settle it.
    pub async fn run(&self, claim: Claim) -> Result<JobEnd, BrokerError> {
        let request = match &claim.request {
            Ok(request) => request.clone(),
            Err(error) => {
                let reason = error.to_string();
                return self.bury(claim, reason).await;
            }
        };
        let Some(id) = request.uuid() else {
            // Brokers give every claimed request an id; the name of its folder and of its result depends on it.
            return self.bury(claim, "the request has no uuid".to_owned()).await;
        };
        self.settle_after(claim, &request, id, async |claim, cancellable| {
            self.work(&request, id, claim, cancellable).await
        })
        .await
    }

    /// Does the work, and settles the claim as that says. The claim outlives a panic of the work, which counts as a failure of this host.
    async fn settle_after(
        &self,
        mut claim: Claim,
        request: &Request,
        id: &RequestId,
        work: impl AsyncFnOnce(&mut Claim, &mut Cancellable) -> Settlement,
    ) -> Result<JobEnd, BrokerError> {
        // Whoever sees it run can cancel it.
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

    /// How a claim ends whose work has panicked. A complete bundle stays for the next attempt; everything else in the folder goes.
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

    /// Does everything that comes before the claim is settled.
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
        // Who queues tests of pull requests may, after a crash, have queued one twice.
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
        let mut failed = None;
        let mut bundle = match entry.bundle() {
            Ok(Some(bundle)) if bundle.is_of(request) => {
                if let Some(withdrawal) = cancellable.close() {
                    self.remove(entry).await;
                    return Settlement::Cancelled(withdrawal);
                }
                claim.log(ClaimStep::BundleFound);
                tracing::info!(package = %package, uuid = %id, "was run before; its result is published now");
                bundle
            }
            // Only now: neither a result nor a bundle is given up because it took many attempts to get it published.
            _ if claim.attempt > MAX_ATTEMPTS => {
                self.remove(entry).await;
                return Settlement::DeadLetter(format!(
                    "its worker died, or could not finish it, {MAX_ATTEMPTS} times"
                ));
            }
            _ if self.is_for_others(claim).await => {
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
        // Our own result is no other's: when it is known that no reader has missed it, it stays.
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
                // The claim goes back with its hold: its broker may be away, and is not waited for once more.
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
                // A refusal may be the request's doing, and then it must not go round for ever.
                Settlement::Retry(reason, Fault::Store)
            }
        }
    }

    /// Announces the result, and settles the claim meanwhile.
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
        // A request that is not settled comes back, perhaps before the store's listing shows its result. Then the bundle
        // and its run id tell the next worker of this host that it was published.
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

    /// How the test is seen at the broker, and cancelled from there. Nothing of a private test's log gets in.
    fn contact(&self, request: &Request, id: &RequestId) -> Contact {
        let logtail = if request.is_private() { PRIVATE_LOG.to_owned() } else { String::new() };
        let (worker, slot) = (self.context.worker.name.clone(), self.context.board.number());
        let phase = Phase::Preparing.name().to_owned();
        let news = News { worker, slot, since: jiff::Timestamp::now(), phase, logtail };
        let (cancels, id) = (self.context.worker.cancels.clone(), id.clone());
        Contact::new(id.clone().as_str(), news, move |wish| {
            let withdrawal = Withdrawal { by: wish.by.clone(), requeue: wish.requeue };
            let found = cancels.cancel(&id, &withdrawal);
            if found {
                tracing::warn!(uuid = %id, "cancelled through the queue by {}", withdrawal.by);
            }
            found
        })
    }

    async fn remove(&self, entry: SpoolEntry) {
        self.context.board.ticking_for(LONGEST_WORK, entry.remove()).await;
    }

    /// Whether the request failed on this worker the last time, and another one could take it right now.
    async fn is_for_others(&self, claim: &Claim) -> bool {
        let failed_here = claim.failures.last().is_some_and(|failure| failure.worker == self.context.worker.name);
        // Who cannot be asked is not there.
        failed_here && claim.passes < MAX_PASSES && claim.others_wait().await.unwrap_or(false)
    }

    /// What happens to a request after an infrastructure failure: it comes back when the fault may be gone, the later the more often
    /// it met one. A fault of this host says nothing about the request, so that is no attempt; but one that no host can finish
    /// does not go round for ever.
    async fn try_again(&self, claim: Claim, reason: String, fault: Fault) -> Result<JobEnd, BrokerError> {
        let host = fault != Fault::Testbed;
        if host && claim.failures.len() >= FAILURES {
            let verdict = Verdict::Dead(format!("no host could finish it, {} times; at last: {reason}", FAILURES + 1));
            return self.settle(claim, verdict, JobEnd::TestbedFailed(reason)).await;
        }
        let growths = match fault {
            // Another attempt costs no test.
            Fault::Store => 0,
            Fault::Testbed | Fault::Host => u32::try_from(claim.failures.len()).unwrap_or(u32::MAX).min(3),
        };
        let after = broker::delay(self.context.settings.conf.retry_delay().saturating_mul(DELAY_GROWTH.pow(growths)));
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
        tracing::warn!(queue = %claim.queue, "cancelled by {}", withdrawal.by);
        self.settle(claim, withdrawal.verdict(), JobEnd::GivenBack).await
    }

    /// The request's folder. Another worker of this host may still be in it, when it has lost the request and is ending its test,
    /// or a new one that looks for what dead ones left: it is waited for.
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
                // Somebody removes it while we make it.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => error.to_string(),
                Err(error) => {
                    return Err(JobEnd::Infrastructure(format!("the folder for {id} cannot be made: {error}")));
                }
            };
            let folder = self.context.worker.work_folder.join(id.as_str());
            if Instant::now() >= until {
                // Ids come with requests, and two of them may have the same one: that is no fault of this host.
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

    /// Whether the request has a complete result. An error, with what to do, when the store refuses to tell, or could not be asked
    /// before the worker was told to stop.
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

    /// What the store has of the request. Of several results only the newest stays.
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

    /// Publishes with patience: an outage of the store must not cost a second run. Gives up when it makes no sense to try again, or
    /// when the worker is told to stop.
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
                    // What cannot be read may be a file of our own: without it, trying again is in vain.
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

    /// A claim that was lost while it was being settled is in other hands; whoever has it finds the result in the store.
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

/// How a claim ends that was not run: somebody may have cancelled its test meanwhile.
fn give_back(cancellable: &Cancellable, end: JobEnd) -> Settlement {
    match (cancellable.close(), end) {
        (Some(withdrawal), _) => Settlement::Cancelled(withdrawal),
        (None, JobEnd::Infrastructure(reason)) => Settlement::Retry(reason, Fault::Store),
        (None, end) => Settlement::Verdict(Verdict::Return, end),
    }
}

#[cfg(test)]
mod tests;
