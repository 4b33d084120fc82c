//! The life of one claim: claim → run → bundle → publish → settle.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use super::publish::{PublishError, publish};
use super::spool::{Spool, SpoolEntry};
use super::stop::Stop;
use super::{Worker, pause};
use crate::broker::{BrokerError, Claim, Topic, Verdict};
use crate::release::QueueName;
use crate::request::{Request, RequestId};
use crate::result::outcome::is_infrastructure;
use crate::result::{Bundle, Material, Place, RunId, pack};
use crate::runs;
use crate::status;
use crate::testbed::autopkgtest::Autopkgtest;
use crate::testbed::command::{Run, withheld};
use crate::testbed::host_name;
use crate::testbed::log::LiveLog;
use crate::testbed::process::{CONSOLE, Exit, Process};

/// A testbed that fails says nothing about the package: so many attempts before that becomes the result.
const TESTBED_ATTEMPTS: u32 = 3;

/// A request that was claimed so often without coming to an end keeps killing its workers.
const MAX_ATTEMPTS: u32 = 5;

/// autopkgtest's exit code for a testbed failure.
const TESTBED_FAILURE: i32 = 16;

/// How often the world is told what runs.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// How long autopkgtest may take to clean up its testbed when its test is cancelled, before it is killed.
const CANCEL_GRACE: Duration = Duration::from_secs(20);

/// How long another worker of this host may keep a request's folder: longer than it takes to end a test.
const LONGEST_WAIT_FOR_FOLDER: Duration = Duration::from_secs(120);

/// Between two looks at a folder that another worker keeps.
const FOLDER_PAUSE: Duration = Duration::from_millis(100);

/// How long a worker waits between two attempts to publish, at most.
const LONGEST_PUBLISH_DELAY: Duration = Duration::from_secs(60);

/// What became of a claim.
pub enum JobEnd {
    /// It is settled: its result is published, or it went to the dead letters.
    Settled,
    /// Its request is back in the queue, or another worker has it, through no fault of this host.
    GivenBack,
    /// Its request is back in the queue because something on this host does not work.
    Infrastructure(String),
}

/// What a claim's life needs.
pub struct Job<'a> {
    pub worker: &'a Worker<'a>,
    pub spool: &'a Spool,
    pub autopkgtest: &'a Autopkgtest,
    pub stop: &'a Stop,
}

/// How a test's run ended.
enum RunEnd {
    /// There is a result to publish.
    Bundled(Bundle),
    /// The worker was told to cancel.
    Cancelled,
    /// Another worker has the request now.
    Lost(String),
    /// Something on this host does not work.
    Infrastructure(String),
}

impl Job<'_> {
    /// Takes the claim to its end.
    ///
    /// # Errors
    /// When the broker refuses to settle it.
    pub async fn run(&self, mut claim: Claim) -> Result<JobEnd, BrokerError> {
        let request = match runnable(&claim) {
            Ok(request) => request,
            Err(reason) => return self.bury(claim, reason).await,
        };
        let Some(id) = request.uuid() else {
            // Brokers give every claimed request an id; the name of its folder and of its result depends on it.
            return self.bury(claim, "the request has no uuid".to_owned()).await;
        };
        let queue = claim.queue.clone();
        let place = Place::of(&request, &queue);
        let path = &place.path;
        let entry = match self.entry(&mut claim, id).await {
            Ok(entry) => entry,
            Err(end) => return self.settle(claim, Verdict::Return, end).await,
        };
        if claim.redelivered {
            match self.published_before(&place, id).await {
                Ok(true) => {
                    tracing::info!(package = %path.package, uuid = %id, "has its result already");
                    entry.remove();
                    return self.settle(claim, Verdict::Done, JobEnd::Settled).await;
                }
                Ok(false) => {}
                Err(end) => return self.settle(claim, Verdict::Return, end).await,
            }
        }
        let bundle = match entry.bundle() {
            Ok(Some(bundle)) => {
                tracing::info!(package = %path.package, uuid = %id, "was run before; its result is published now");
                bundle
            }
            // Only now: neither a result nor a bundle is given up because it took many attempts to get it published.
            _ if claim.attempt > MAX_ATTEMPTS => {
                entry.remove();
                let reason = format!("its worker died, or could not finish it, {MAX_ATTEMPTS} times");
                return self.bury(claim, reason).await;
            }
            _ => match self.test(&mut claim, &request, &entry).await {
                RunEnd::Bundled(bundle) => bundle,
                RunEnd::Cancelled => {
                    entry.remove();
                    return self.settle(claim, Verdict::Return, JobEnd::GivenBack).await;
                }
                RunEnd::Infrastructure(reason) => {
                    entry.remove();
                    return self.settle(claim, Verdict::Requeue, JobEnd::Infrastructure(reason)).await;
                }
                RunEnd::Lost(reason) => {
                    tracing::warn!(package = %path.package, uuid = %id, "abandoned: {reason}");
                    entry.remove();
                    return Ok(JobEnd::GivenBack);
                }
            },
        };
        match self.publish(&place, &bundle, id, &mut claim).await {
            Ok(run) => {
                match run {
                    Some(run) => self.announce_complete(&queue, &request, &place, &bundle, &run).await,
                    None => {
                        tracing::info!(package = %path.package, uuid = %id, "another worker has published its result")
                    }
                }
                let end = self.settle(claim, Verdict::Done, JobEnd::Settled).await;
                // A request that is not settled comes back, perhaps before the store's listing shows its result. Then the bundle
                // and its run id tell the next worker of this host that it was published.
                if matches!(end, Ok(JobEnd::Settled)) {
                    entry.remove();
                }
                end
            }
            Err(PublishError::Claim(BrokerError::ClaimLost(reason))) => {
                tracing::warn!(package = %path.package, uuid = %id, "abandoned: {reason}");
                entry.remove();
                Ok(JobEnd::GivenBack)
            }
            Err(PublishError::Stopped) => {
                // The claim goes back with its hold: its broker may be away, and is not waited for once more.
                let kept = entry.folder().display();
                tracing::warn!("the result of {} is kept in {kept}: {}", path.package, PublishError::Stopped);
                Ok(JobEnd::GivenBack)
            }
            Err(error) => {
                let reason = match &error {
                    PublishError::Gone(_) => format!("the result of {} is lost: {error}", path.package),
                    _ => format!("the result of {} is kept in {}: {error}", path.package, entry.folder().display()),
                };
                tracing::error!("{reason}");
                // The store's fault, once we are told to stop; else a refusal, which the next request would meet as well.
                let stopped = self.stop.finish.is_cancelled();
                let end = if stopped { JobEnd::GivenBack } else { JobEnd::Infrastructure(reason) };
                self.settle(claim, Verdict::Return, end).await
            }
        }
    }

    /// The request's folder. Another worker of this host may still be in it, when it has lost the request and is ending its test,
    /// or a new one that looks for what dead ones left: it is waited for.
    async fn entry(&self, claim: &mut Claim, id: &RequestId) -> Result<SpoolEntry, JobEnd> {
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
            let folder = self.worker.work_folder.join(id.as_str());
            if Instant::now() >= until {
                let reason = format!("{} stays in use: {reason}", folder.display());
                return Err(JobEnd::Infrastructure(reason));
            }
            if !std::mem::replace(&mut told, true) {
                tracing::info!("waiting for {}: {reason}", folder.display());
            }
            tokio::select! {
                () = pause(FOLDER_PAUSE, &self.stop.finish) => {}
                reason = claim.lost() => {
                    tracing::warn!(uuid = %id, "abandoned: {reason}");
                    return Err(JobEnd::GivenBack);
                }
            }
            if self.stop.finish.is_cancelled() {
                return Err(JobEnd::GivenBack);
            }
        }
    }

    /// Whether the request has a complete result. An error, with what to do, when the store refuses to tell, or could not be asked
    /// before the worker was told to stop.
    async fn published_before(&self, place: &Place, uuid: &RequestId) -> Result<bool, JobEnd> {
        let mut delay = Duration::from_secs(1);
        loop {
            let answer = tokio::select! {
                answer = runs::with_uuid(self.worker.store, place, uuid) => answer,
                () = self.stop.cancel.cancelled() => return Err(JobEnd::GivenBack),
            };
            match answer {
                Ok(run) => return Ok(run.is_some()),
                Err(error) if error.is_temporary() => {
                    tracing::warn!("whether {uuid} has a result already is not known yet: {error}");
                }
                Err(error) => {
                    let reason = format!("whether {uuid} has a result already cannot be learnt: {error}");
                    return Err(JobEnd::Infrastructure(reason));
                }
            }
            pause(delay, &self.stop.finish).await;
            if self.stop.finish.is_cancelled() {
                return Err(JobEnd::GivenBack);
            }
            delay = (delay * 2).min(LONGEST_PUBLISH_DELAY);
        }
    }

    /// Runs the test and makes its bundle.
    async fn test(&self, claim: &mut Claim, request: &Request, entry: &SpoolEntry) -> RunEnd {
        let infrastructure =
            |what: &str, error: &dyn std::fmt::Display| RunEnd::Infrastructure(format!("{what}: {error}"));
        if let Err(error) = entry.clear(claim.attempt) {
            return infrastructure("the work folder cannot be cleared", &error);
        }
        let output = entry.output(claim.attempt);
        let run = Run {
            settings: self.worker.settings,
            autopkgtest: self.autopkgtest,
            request,
            queue: &claim.queue,
            work_folder: entry.folder(),
            output: &output,
            host_name: &host_name(),
            time: jiff::Timestamp::now(),
        };
        let plan = match run.plan() {
            Ok(plan) => plan,
            Err(refusal) => return infrastructure("the request cannot be run", &refusal),
        };
        let command = &plan.command;
        let uuid = request.uuid().map(RequestId::as_str).unwrap_or_default();
        tracing::info!(queue = %claim.queue, attempt = claim.attempt, uuid, "{} starts", request.package());
        tracing::debug!(uuid, "{command}");
        let withheld = withheld(&plan, self.worker.environment);
        let started = Instant::now();
        let mut process = match Process::start(command, entry.folder(), &withheld) {
            Ok(process) => process,
            Err(error) => return infrastructure("autopkgtest cannot be started", &error),
        };
        let mut log = LiveLog::new(output.join("log"));
        let mut beat = interval(STATUS_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let exit = loop {
            tokio::select! {
                exit = process.wait() => break exit,
                _ = beat.tick() => self.announce_status(&claim.queue, request, started, &mut log, true).await,
                reason = claim.lost() => {
                    end(&mut process).await;
                    return RunEnd::Lost(reason);
                }
                () = self.stop.cancel.cancelled() => {
                    end(&mut process).await;
                    return RunEnd::Cancelled;
                }
            }
        };
        let duration = started.elapsed();
        self.announce_status(&claim.queue, request, started, &mut log, false).await;
        let exit_code = match exit {
            Err(error) => return infrastructure("autopkgtest's end cannot be learnt", &error),
            Ok(exit) if !is_infrastructure(exit.exit_code()) => exit.exit_code(),
            Ok(exit) => {
                let reason = match exit {
                    Exit::Code(code) => format!("autopkgtest ended with {code}"),
                    Exit::Signal(signal) => format!("autopkgtest was ended by signal {signal}"),
                };
                let mut said = log.tail().unwrap_or_default();
                if said.trim().is_empty() {
                    // It crashed before it made its log: what it said is on its console.
                    said = LiveLog::new(entry.folder().join(CONSOLE)).tail().unwrap_or_default();
                }
                let said = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("its log is empty");
                let reason = format!("the testbed of {} failed: {reason}: {said}", request.package());
                if claim.attempt < TESTBED_ATTEMPTS {
                    return RunEnd::Infrastructure(reason);
                }
                tracing::warn!("{reason}, for the {TESTBED_ATTEMPTS}rd time: that is its result");
                TESTBED_FAILURE
            }
        };
        // Without a log of its own, the result's log is what autopkgtest said on its console.
        let console = || LiveLog::new(entry.folder().join(CONSOLE)).tail().ok().filter(|text| !text.trim().is_empty());
        let note = if output.join("log").exists() { None } else { console() };
        let attempt = claim.attempt;
        let material = OwnedMaterial { output, exit_code, duration, request: request.clone(), attempt, note };
        let folder = entry.bundle_folder();
        let packed = tokio::task::spawn_blocking(move || pack(&material.borrow(), &folder)).await;
        match packed {
            Ok(Ok(bundle)) => RunEnd::Bundled(bundle),
            Ok(Err(error)) => infrastructure("the result cannot be bundled", &error),
            Err(error) => infrastructure("bundling the result ended early", &error),
        }
    }

    /// Publishes with patience: an outage of the store must not cost a second run. Gives up when it makes no sense to try again, or
    /// when the worker is told to stop.
    async fn publish(
        &self,
        place: &Place,
        bundle: &Bundle,
        uuid: &RequestId,
        claim: &mut Claim,
    ) -> Result<Option<RunId>, PublishError> {
        let mut delay = Duration::from_secs(1);
        loop {
            let end = tokio::select! {
                biased;
                end = publish(self.worker.store, place, bundle, uuid, claim, self.stop) => end,
                () = self.stop.cancel.cancelled() => return Err(PublishError::Stopped),
            };
            match end {
                Err(error) if error.is_temporary() && !self.stop.finish.is_cancelled() => {
                    // What cannot be read may be a file of our own: without it, trying again is in vain.
                    if Bundle::open(&bundle.dir)?.is_none() {
                        return Err(PublishError::Gone(bundle.dir.clone()));
                    }
                    tracing::warn!("the result of {} waits for the store: {error}", place.path.package);
                }
                end => return end,
            }
            pause(delay, &self.stop.finish).await;
            delay = (delay * 2).min(LONGEST_PUBLISH_DELAY);
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
            settled = claim.settle(verdict) => settled,
            () = self.stop.out_of_patience() => {
                tracing::warn!("the queue server is away, and the worker was told to stop: the request goes back");
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

    /// Tells who listens what runs. News only: a broker that is away misses it.
    async fn announce_status(
        &self,
        queue: &QueueName,
        request: &Request,
        started: Instant,
        log: &mut LiveLog,
        running: bool,
    ) {
        let logtail = log.tail().unwrap_or_default();
        let message = status::test_status(queue, request, running, started.elapsed(), &logtail);
        if let Err(error) = self.worker.broker.announce(Topic::TestStatus, &message).await {
            tracing::debug!("status not announced: {error}");
        }
    }

    async fn announce_complete(
        &self,
        queue: &QueueName,
        request: &Request,
        place: &Place,
        bundle: &Bundle,
        run: &RunId,
    ) {
        let (summary, path) = (&bundle.summary, &place.path);
        tracing::info!(
            %queue, uuid = summary.uuid.as_deref().unwrap_or_default(),
            "{} {}: {} after {} s, stored as {}",
            path.package, summary.version, summary.outcome(), summary.duration, path.folder(run),
        );
        let message = status::test_complete(place, run, request, summary);
        if let Err(error) = self.worker.broker.announce(Topic::TestComplete, &message).await {
            tracing::warn!("the completion of {} was not announced: {error}", path.package);
        }
    }
}

/// The claim's request, or why it can never be run.
fn runnable(claim: &Claim) -> Result<Request, String> {
    let request = claim.request.as_ref().map_err(ToString::to_string)?;
    Ok(request.clone())
}

/// What a bundle is made from, in a form that can move to the thread that packs it.
struct OwnedMaterial {
    output: std::path::PathBuf,
    exit_code: i32,
    duration: Duration,
    request: Request,
    attempt: u32,
    note: Option<String>,
}

impl OwnedMaterial {
    fn borrow(&self) -> Material<'_> {
        let Self { output, exit_code, duration, request, attempt, note } = self;
        let note = note.as_deref();
        Material { attempt: *attempt, note, ..Material::new(output, request, *exit_code, *duration) }
    }
}

async fn end(process: &mut Process) {
    if let Err(error) = process.terminate(CANCEL_GRACE).await {
        tracing::warn!("a cancelled test may still run: {error}");
    }
}
