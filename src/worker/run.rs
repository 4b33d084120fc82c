//! One run of a test: fetches what it needs, runs autopkgtest within its limits, and packs what that leaves as a
//! bundle.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::WORK_TIMEOUT;
use super::context::Context;
use super::control::Cancellation;
use super::control::cancel_registry::CancelGuard;
use super::live_status::TestPhase;
use super::panic;
use super::prove::{JudgedRun, Preparation, TestVerdict};
use super::spool::SpoolEntry;
use crate::broker::{Claim, TestHandle};
use crate::exit_code::autopkgtest;
use crate::host;
use crate::release::QueueName;
use crate::request::Request;
use crate::result::outcome::is_infrastructure;
use crate::result::{Bundle, BundleInput, MAX_LOG_HEAD, MAX_LOG_TAIL, Proof, Redactor, pack};
use crate::testbed::checkout::CheckoutLimits;
use crate::testbed::log::LogBound;
use crate::testbed::plan::withheld;
use crate::testbed::process::CONSOLE;
use crate::testbed::{self, Exit, Limits, LiveLog, PpaAccess, Process, TestbedError, cause, ppa};

/// Number of attempts after which the failure of a testbed becomes the result. It says nothing about the package.
const MAX_TESTBED_ATTEMPTS: usize = 3;

/// Message with which autopkgtest blames the package although git failed: the server is unreachable, or the branch does
/// not exist.
const NOT_FETCHED: &str = "rules extract failed with exit code 128";

/// Note in the log of a test that used more of the pocket than its triggers.
const FALLBACK_NOTE: &str =
    "apt-ci: fallback: the triggers alone could not be installed, so every package of the pocket was used";

/// Exit codes of a shell that cannot start a program. autopkgtest has no such codes.
const NOT_STARTED: [i32; 2] = [126, 127];

/// Interval between status messages about a running test.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// Interval between checks of the growing log.
const LOG_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Bounds of the log on disk, which are those of the published log.
const LOG_BOUND: LogBound =
    LogBound { size: 2 * (MAX_LOG_HEAD + MAX_LOG_TAIL), head: MAX_LOG_HEAD, tail: MAX_LOG_TAIL };

/// Timeout for autopkgtest to clean up its testbed when its test is ended, before it is killed.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(20);

/// Outcome of a run.
pub enum RunOutcome {
    /// There is a result to publish.
    Bundled(Bundle),
    /// There is a result to publish: the testbed failed for the last time, for this reason.
    TestbedFailed(Bundle, String),
    /// The worker was told to cancel.
    WorkerCancelled,
    /// A user cancelled this test.
    TestCancelled(Cancellation),
    /// Another worker has the request now, for this reason.
    Lost(String),
    /// The testbed failed, and may be tried again.
    Testbed(String),
    /// The testbed lacked what was requested, and may be tried again. Says nothing about this host.
    Unproven(String),
    /// This host failed.
    Host(String),
}

/// Run of a request's test.
pub struct TestRun<'a> {
    pub context: &'a Context<'a>,
    pub request: &'a Request,
    pub entry: &'a SpoolEntry,
    /// Knows the secrets that must not be published.
    pub redactor: Redactor,
    /// Handle through which clients of the broker see the test.
    pub contact: &'a TestHandle,
}

/// Events that end a run early.
struct Interruptions<'a> {
    context: &'a Context<'a>,
    claim: &'a mut Claim,
    cancel_guard: &'a mut CancelGuard,
}

impl Interruptions<'_> {
    async fn next(&mut self) -> RunOutcome {
        tokio::select! {
            reason = self.claim.lost() => RunOutcome::Lost(reason),
            () = self.context.stop.cancel.cancelled() => RunOutcome::WorkerCancelled,
            cancellation = self.cancel_guard.cancelled() => RunOutcome::TestCancelled(cancellation),
        }
    }
}

impl TestRun<'_> {
    /// Runs the test and packs its bundle.
    pub async fn run(&self, claim: &mut Claim, cancel_guard: &mut CancelGuard) -> RunOutcome {
        let attempt = claim.attempt;
        let (queue, failures) = (claim.queue.clone(), claim.failures.clone());
        let started = Instant::now();
        let mut interruptions = Interruptions { context: self.context, cancel_guard, claim };
        let tested = match self.entry.clear(attempt) {
            Ok(()) => self.test_with_fallback(&queue, attempt, started, &mut interruptions).await,
            Err(error) => Err(RunOutcome::Host(format!("the work folder cannot be cleared: {error}"))),
        };
        let duration = started.elapsed();
        // A user who was promised a cancellation must neither find a result nor see the test run again, whatever ended
        // it. A request that another worker has cannot be cancelled from here.
        match interruptions.cancel_guard.close() {
            Some(cancellation) if !matches!(tested, Err(RunOutcome::Lost(_))) => {
                return RunOutcome::TestCancelled(cancellation);
            }
            _ => {}
        }
        let JudgedRun { verdict, proof, .. } = match tested {
            Ok(tested) => tested,
            Err(end) => return end,
        };
        let failed_before = failures.iter().filter(|failure| !failure.host).count();
        let (exit_code, note, failed) = match verdict {
            TestVerdict::Result(exit_code, note) => (exit_code, note, None),
            TestVerdict::Failed(reason) if failed_before + 1 < MAX_TESTBED_ATTEMPTS => {
                return RunOutcome::Testbed(reason);
            }
            TestVerdict::Unproven(reason) if failed_before + 1 < MAX_TESTBED_ATTEMPTS => {
                return RunOutcome::Unproven(reason);
            }
            TestVerdict::Unproven(reason) => {
                tracing::warn!("{reason}, for the {MAX_TESTBED_ATTEMPTS}rd time: that is its result");
                (autopkgtest::TESTBED_FAILED, Some(format!("apt-ci: {reason}")), None)
            }
            // Its slot tells of it, as of every failure that may be the host's.
            TestVerdict::Failed(reason) => {
                (autopkgtest::TESTBED_FAILED, Some(format!("apt-ci: {reason}")), Some(reason))
            }
        };
        let is_fallback = proof.as_ref().is_some_and(|proof| proof.fallback);
        let note = if is_fallback { Some([FALLBACK_NOTE, &note.unwrap_or_default()].join("\n")) } else { note };
        self.context.phase(self.contact, TestPhase::Bundling);
        let material = OwnedBundleInput {
            output: self.entry.output(attempt),
            exit_code,
            duration,
            request: self.request.clone(),
            attempt,
            worker: self.context.worker.name.clone(),
            failures: failures.iter().filter_map(|failure| serde_json::to_value(failure).ok()).collect(),
            note,
            proof,
        };
        let folder = self.entry.bundle_folder();
        let packing = tokio::task::spawn_blocking(move || pack(&material.borrow(), &folder));
        match (self.context.reporter.with_heartbeat_for(WORK_TIMEOUT, packing).await, failed) {
            (Ok(Ok(bundle)), None) => RunOutcome::Bundled(bundle),
            (Ok(Ok(bundle)), Some(reason)) => RunOutcome::TestbedFailed(bundle, reason),
            (Ok(Err(error)), _) => RunOutcome::Host(format!("the result cannot be bundled: {error}")),
            (Err(error), _) => RunOutcome::Host(format!("bundling the result ended early: {error}")),
        }
    }

    /// Runs the test, and again with the whole pocket when its dependencies cannot be met with the triggers alone.
    async fn test_with_fallback(
        &self,
        queue: &QueueName,
        attempt: u32,
        started: Instant,
        interruptions: &mut Interruptions<'_>,
    ) -> Result<JudgedRun, RunOutcome> {
        let tested = self.test(queue, attempt, started, false, interruptions).await?;
        if !tested.needs_fallback {
            return Ok(tested);
        }
        tracing::warn!(
            "the triggers alone cannot be installed: the test is run once more with every package of the pocket"
        );
        let cleared = self.entry.clear(attempt);
        cleared.map_err(|error| RunOutcome::Host(format!("the work folder cannot be cleared: {error}")))?;
        self.test(queue, attempt, started, true, interruptions).await
    }

    /// Prepares and runs autopkgtest.
    async fn test(
        &self,
        queue: &QueueName,
        attempt: u32,
        started: Instant,
        is_fallback: bool,
        interruptions: &mut Interruptions<'_>,
    ) -> Result<JudgedRun, RunOutcome> {
        let Context { worker, reporter, settings, .. } = self.context;
        let package = self.request.package();
        if let Some(origin) = settings.never_run(package, &queue.architecture, &queue.release) {
            tracing::info!("{package} is not to be run: {origin}");
            let note = format!("apt-ci: {package} is not to be run: {origin}");
            return Ok(TestVerdict::Result(autopkgtest::DENYLISTED, Some(note)).into());
        }
        let host = |what: &str, error: &dyn std::fmt::Display| RunOutcome::Host(format!("{what}: {error}"));
        let autopkgtest = match worker.autopkgtest(settings).await {
            Ok(autopkgtest) => autopkgtest,
            Err(error) => return Err(host("autopkgtest cannot be used", &error)),
        };
        // The hold lives until the test has ended.
        let image = worker.image(settings, queue).map_err(|error| RunOutcome::Host(error.to_string()))?;
        let testbed = image.as_ref().map(|(image, _)| image.tarball.to_string_lossy()).unwrap_or_default();
        let output = self.entry.output(attempt);
        let pocket = worker.pockets.of(&queue.release);
        let plan = testbed::Run {
            settings,
            autopkgtest: &autopkgtest,
            request: self.request,
            queue,
            pocket: pocket.as_ref(),
            whole_pocket: is_fallback,
            work_folder: self.entry.folder(),
            output: &output,
            testbed: &testbed,
            host_name: &host::name(),
            time: jiff::Timestamp::now(),
        };
        let plan = match plan.plan() {
            Ok(plan) => plan,
            Err(refusal) => return Ok(self.refused(&refusal).into()),
        };
        let prepared = tokio::select! {
            biased;
            end = interruptions.next() => return Err(end),
            prepared = reporter.with_heartbeat_for(WORK_TIMEOUT, self.prepare(&plan, queue)) => prepared,
        };
        let prepared = match prepared? {
            Ok(prepared) => prepared,
            Err(verdict) => return Ok(verdict.into()),
        };
        tracing::info!(queue = %queue, attempt, "{package} starts");
        tracing::debug!("{}", plan.command);
        let withheld = withheld(&plan, worker.environment);
        let mut process = match Process::start(&plan.command, self.entry.folder(), &withheld) {
            Ok(process) => process,
            // The limits of requests prevent this; if it happens, it is still no fault of this host.
            Err(error) if error.is_too_long() => return Ok(self.refused(&error).into()),
            Err(error) => return Err(host("autopkgtest cannot be started", &error)),
        };
        self.context.phase(self.contact, TestPhase::Testing);
        let mut log = LiveLog::new(output.join("log"));
        let watching = self.watch(&mut process, &plan.limits, queue, started, &mut log, interruptions);
        let watched = panic::catch(watching).await.unwrap_or_else(|panic| {
            // The test is ended as if it was interrupted, so that its testbed is removed.
            WatchOutcome::Interrupted(Box::new(RunOutcome::Host(panic.report(Some(self.request)))))
        });
        if !matches!(watched, WatchOutcome::Ended(_)) {
            end(&mut process).await;
        }
        // The folder may stay for days while the store or the broker is unreachable. Secrets that are no longer needed
        // must not.
        if let Some(Err(error)) = plan.ppa_folder.as_ref().map(std::fs::remove_dir_all) {
            tracing::warn!(
                "the keys and logins of {package}'s PPAs are left in {}: {error}",
                self.entry.folder().display()
            );
        }
        if let Err(error) = self.read_log(&mut log) {
            tracing::debug!("the log cannot be followed: {error}");
        }
        self.announce(queue, started, &mut log, false).await;
        match watched {
            WatchOutcome::Interrupted(end) => Err(*end),
            WatchOutcome::Ended(Err(error)) => Err(host("autopkgtest's end cannot be learnt", &error)),
            WatchOutcome::Ended(Ok(Exit::Code(code))) if NOT_STARTED.contains(&code) && !output.join("log").exists() => {
                Err(host("autopkgtest cannot be started", &self.without_secrets(&self.console())))
            }
            WatchOutcome::Ended(Ok(exit)) => {
                let verdict = self.judge(exit, &mut log, &output);
                let Self { request, redactor, .. } = self;
                Ok(JudgedRun::prove(verdict, request, redactor, &plan, &prepared, &output, is_fallback))
            }
            WatchOutcome::Hung(limit) => Ok(TestVerdict::Failed(self.without_secrets(&format!(
                "autopkgtest of {package} did not end within {} s, which is more than all its time limits: it was ended",
                limit.as_secs()
            )))
            .into()),
        }
    }

    /// Fetches what the test needs before it starts. Returns a verdict when something can never be fetched.
    async fn prepare(
        &self,
        plan: &testbed::Plan,
        queue: &QueueName,
    ) -> Result<Result<Preparation, TestVerdict>, RunOutcome> {
        let launchpad = self.context.worker.launchpad;
        let mut archives = Vec::new();
        for ppa in &self.request.parameters().ppas {
            let (owner, name) = (ppa.owner(), ppa.name());
            let asked = async {
                let key = launchpad.signing_key(owner, name, ppa.fingerprint()).await?;
                let archive_url = launchpad.archive_url(owner, name, ppa.login().is_some());
                archives.push(PpaAccess { ppa: ppa.clone(), archive_url, key: key.packets().to_owned() });
                launchpad.must_have(ppa, &queue.release).await
            };
            match asked.await {
                Ok(()) => {}
                Err(error) if error.is_transient() => return Ok(Err(self.testbed_failed(&error.to_string()))),
                Err(error) => return Ok(Err(self.refused(&error))),
            }
        }
        if let Some(folder) = &plan.ppa_folder
            && let Err(error) = ppa::write(folder, &queue.release, &archives)
        {
            return Err(RunOutcome::Host(error.to_string()));
        }
        if let Some(checkout) = &plan.checkout
            && let Err(error) = checkout
                .fetch(self.context.worker.environment, &CheckoutLimits::default(), &self.context.worker.border)
                .await
        {
            return match error {
                TestbedError::Io { .. } => Err(RunOutcome::Host(error.to_string())),
                error if error.is_requests_fault() => Ok(Err(self.refused(&error))),
                error => Ok(Err(self.testbed_failed(&error.to_string()))),
            };
        }
        let nonce = plan.apt.write(&archives).map_err(|error| RunOutcome::Host(error.to_string()))?;
        Ok(Ok(Preparation { nonce, archives }))
    }

    /// Returns the result of a request that is not run, for this reason.
    fn refused(&self, reason: &dyn std::fmt::Display) -> TestVerdict {
        let reason = self.without_secrets(&reason.to_string());
        tracing::warn!("{} is not run: {reason}", self.request.package());
        TestVerdict::Result(autopkgtest::UNEXPECTED, Some(format!("apt-ci: the test was not run: {reason}")))
    }

    /// Follows the test to its end, and announces its status.
    async fn watch(
        &self,
        process: &mut Process,
        limits: &Limits,
        queue: &QueueName,
        started: Instant,
        log: &mut LiveLog,
        interruptions: &mut Interruptions<'_>,
    ) -> WatchOutcome {
        let begin = Instant::now();
        let mut look = interval(LOG_POLL_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is due at once, so that a test that ends within moments is announced, too.
        look.tick().await;
        let mut told: Option<Instant> = None;
        loop {
            // The tail is a few kilobytes, and the status of the worker shows the latest line.
            if let Err(error) = self.read_log(log) {
                tracing::debug!("the log cannot be followed: {error}");
            }
            self.context.reporter.log_line(&self.without_secrets(log.last_line()));
            let limit = limits.hard(log.tests_begun());
            if begin.elapsed() >= limit {
                return WatchOutcome::Hung(limit);
            }
            if told.is_none_or(|told| told.elapsed() >= STATUS_INTERVAL) {
                told = Some(Instant::now());
                self.announce(queue, started, log, true).await;
            }
            tokio::select! {
                exit = process.wait() => return WatchOutcome::Ended(exit),
                end = interruptions.next() => return WatchOutcome::Interrupted(Box::new(end)),
                _ = look.tick() => {}
            }
        }
    }

    /// Reads what was added to the log, and keeps its latest lines for clients of the broker.
    fn read_log(&self, log: &mut LiveLog) -> std::io::Result<()> {
        log.read_new()?;
        let tail = log.tail()?;
        if !self.request.is_private() {
            self.contact.logtail(&self.without_secrets(&tail));
        }
        log.give_back_middle(&LOG_BOUND).map(drop)
    }

    /// Announces the status of the test.
    async fn announce(&self, queue: &QueueName, started: Instant, log: &mut LiveLog, running: bool) {
        let logtail = log.tail().unwrap_or_default();
        self.context.worker.announce_status(queue, self.request, started, &logtail, running).await;
    }

    /// Returns the meaning of autopkgtest's end.
    fn judge(&self, exit: Exit, log: &mut LiveLog, output: &Path) -> TestVerdict {
        if exit == Exit::Code(autopkgtest::BAD_PACKAGE)
            && let Some(verdict) = self.not_fetched(log, output)
        {
            return verdict;
        }
        let summary = LiveLog::new(output.join("summary")).tail().unwrap_or_default();
        let fault = cause::testbed_fault(exit.exit_code(), &log.tail().unwrap_or_default(), &summary);
        if !is_infrastructure(exit.exit_code()) && fault.is_none() {
            // If autopkgtest made no log, its console output becomes the log of the result.
            let note = if output.join("log").exists() { None } else { Some(self.console()) };
            return TestVerdict::Result(exit.exit_code(), note.filter(|text| !text.trim().is_empty()));
        }
        let reason = match exit {
            Exit::Code(code) => format!("autopkgtest ended with {code}"),
            Exit::Signal(signal) => format!("autopkgtest was ended by signal {signal}"),
        };
        let mut said = log.tail().unwrap_or_default();
        if said.trim().is_empty() {
            // It crashed before it made its log, so its last words are on the console.
            said = self.console();
        }
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("its log is empty");
        let said = fault.as_deref().unwrap_or(last);
        let reason = format!("the testbed of {} failed: {reason}: {said}", self.request.package());
        self.testbed_failed(&reason)
    }

    /// Returns what autopkgtest wrote to its standard output and error.
    fn console(&self) -> String {
        LiveLog::new(self.entry.folder().join(CONSOLE)).tail().unwrap_or_default().trim().to_owned()
    }

    /// Returns the verdict when autopkgtest could not fetch the branch itself.
    fn not_fetched(&self, log: &mut LiveLog, output: &Path) -> Option<TestVerdict> {
        self.request.parameters().source.as_ref()?;
        // The version is known after the branch was fetched; from then on the log is the package's own.
        if output.join("testpkg-version").exists() {
            return None;
        }
        let said = log.tail().unwrap_or_default();
        said.contains(NOT_FETCHED).then(|| {
            // Newer versions write the time before each line.
            let last = said.lines().rev().find_map(|line| line.find("fatal: ").and_then(|at| line.get(at..)));
            let last = last.unwrap_or(NOT_FETCHED);
            let package = self.request.package();
            let reason = format!("the branch to test {package} from cannot be fetched in the testbed: {last}");
            // A branch that does not exist is the request's fault, as it is when the worker fetches it.
            if cause::is_gone(&said) { self.refused(&reason) } else { self.testbed_failed(&reason) }
        })
    }

    fn testbed_failed(&self, reason: &str) -> TestVerdict {
        TestVerdict::Failed(self.without_secrets(reason))
    }

    /// Returns the text without secrets: a test can print everything that is in its testbed.
    fn without_secrets(&self, text: &str) -> String {
        self.redactor.text(text).into_owned()
    }
}

/// Outcome of watching a test's process.
enum WatchOutcome {
    Ended(Result<Exit, TestbedError>),
    Interrupted(Box<RunOutcome>),
    /// The process did not end within this time.
    Hung(Duration),
}

async fn end(process: &mut Process) {
    if let Err(error) = process.terminate(CLEANUP_TIMEOUT).await {
        tracing::warn!("a test that was ended may still run: {error}");
    }
}

/// Input of a bundle in a form that can move to the thread that packs it.
struct OwnedBundleInput {
    output: std::path::PathBuf,
    exit_code: i32,
    duration: Duration,
    request: Request,
    attempt: u32,
    worker: String,
    failures: Vec<Value>,
    note: Option<String>,
    proof: Option<Proof>,
}

impl OwnedBundleInput {
    fn borrow(&self) -> BundleInput<'_> {
        let Self { output, exit_code, duration, request, attempt, worker, failures, note, proof } = self;
        let (note, proof) = (note.as_deref(), proof.as_ref());
        let material = BundleInput::new(output, request, *exit_code, *duration);
        BundleInput { attempt: *attempt, worker: Some(worker), failures, note, proof, ..material }
    }
}
