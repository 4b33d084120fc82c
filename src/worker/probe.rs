//! Probe that checks whether tests can run on this host: it opens a testbed for a test that does nothing, and stores
//! and removes an object.
//!
//! Requests can fail in ways that look like a fault of the host. A slot whose tests keep failing is therefore paused
//! only after this test, which no requester can influence, has failed as well.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Worker;
use super::shutdown::Shutdown;
use super::spool::{Spool, SpoolEntry};
use crate::exit_code::autopkgtest;
use crate::host;
use crate::release::QueueName;
use crate::request::{Parameters, Request, RequestId};
use crate::result::{Bundle, BundleInput, Redactor, ResultLocation, pack};
use crate::store::StoreError;
use crate::testbed::plan::withheld;
use crate::testbed::process::CONSOLE;
use crate::testbed::settings::Settings;
use crate::testbed::{self, Exit, LiveLog, Process};

/// Timeout for a probe. Some virt servers wait for a free machine for most of an hour.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3600);

/// Timeout for autopkgtest to clean up its testbed when a probe is ended.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(20);

/// Name of the source package in the probe's tree.
const PACKAGE: &str = "apt-ci-probe";

/// Files of a source package that counts as built, needs nothing and has one test, which does nothing.
const TREE: [(&str, &str); 5] = [
    (
        "debian/control",
        "Source: apt-ci-probe\nMaintainer: apt-ci <apt-ci@localhost>\nStandards-Version: 4.6.2\n\n\
         Package: apt-ci-probe\nArchitecture: all\nDescription: opens a testbed\n",
    ),
    (
        "debian/changelog",
        "apt-ci-probe (1) unstable; urgency=low\n\n  * Open a testbed.\n\n\
         \u{20}-- apt-ci <apt-ci@localhost>  Thu, 01 Jan 2026 00:00:00 +0000\n",
    ),
    ("debian/rules", "#!/usr/bin/make -f\n%:\n\ttrue\n"),
    ("debian/tests/control", "Test-Command: true\nDepends:\n"),
    // With this file autopkgtest takes the tree for one that is built.
    ("debian/files", ""),
];

/// Outcome of a probe.
pub(super) enum ProbeOutcome {
    /// Tests can run here.
    Passed,
    /// Tests cannot run here, for this reason.
    Failed(String),
    /// The worker was told to stop before the probe had ended.
    Stopped,
}

/// A probe, with what it works with.
pub(super) struct HostProbe<'a> {
    pub(super) worker: &'a Worker<'a>,
    pub(super) spool: &'a Spool,
    pub(super) stop: &'a Shutdown,
}

impl HostProbe<'_> {
    /// Opens a testbed as for a test from this queue, runs `true` in it, packs what that left, and closes it.
    pub(super) async fn run(&self, queue: &QueueName, settings: &Arc<Settings>) -> ProbeOutcome {
        let id = RequestId::random();
        let entry = match self.spool.entry(&id) {
            Ok(Some(entry)) => entry,
            Ok(None) => return ProbeOutcome::Failed(format!("the folder of {id} is in use")),
            Err(error) => return ProbeOutcome::Failed(format!("the work folder cannot be used: {error}")),
        };
        let probed = self.run_in(&entry, queue, settings).await;
        entry.remove().await;
        probed.unwrap_or_else(ProbeOutcome::Failed)
    }

    async fn run_in(
        &self,
        entry: &SpoolEntry,
        queue: &QueueName,
        settings: &Arc<Settings>,
    ) -> Result<ProbeOutcome, String> {
        let worker = self.worker;
        let ready = worker.ready_for_a_test(self.spool, settings, self.stop).await;
        let autopkgtest = ready.map_err(|error| error.to_string())?;
        let tree = entry.folder().join("tree");
        write_tree(&tree).map_err(|error| format!("{} cannot be written: {error}", tree.display()))?;
        let package = PACKAGE.parse().map_err(|error| format!("{error}"))?;
        let request = Request::new(package, Parameters::default()).map_err(|error| error.to_string())?;
        let image = worker.image(settings, queue).map_err(|error| error.to_string())?;
        let testbed = image.as_ref().map(|(image, _)| image.tarball.to_string_lossy()).unwrap_or_default();
        let output = entry.output(1);
        let pocket = worker.pockets.of(&queue.release);
        let run = testbed::Run {
            settings,
            autopkgtest: &autopkgtest,
            request: &request,
            queue,
            pocket: pocket.as_ref(),
            whole_pocket: false,
            work_folder: entry.folder(),
            output: &output,
            testbed: &testbed,
            host_name: &host::name(),
            time: jiff::Timestamp::now(),
        };
        let mut plan = run.plan().map_err(|refusal| refusal.to_string())?;
        plan.apt.write(&[]).map_err(|error| error.to_string())?;
        let source = plan.command.args.iter().position(|word| word == "--").and_then(|end| end.checked_sub(1));
        let Some(source) = source else { return Err("its command line names nothing to test".to_owned()) };
        // The slash tells autopkgtest that this is a folder.
        let tree = ["--no-built-binaries".to_owned(), format!("{}/", tree.display())];
        plan.command.args.splice(source..=source, tree);
        tracing::debug!("{}", plan.command);
        let withheld = withheld(&plan, worker.environment);
        let started = std::time::Instant::now();
        let mut process =
            Process::start(&plan.command, entry.folder(), &withheld).map_err(|error| error.to_string())?;
        let ended = tokio::select! {
            exit = process.wait() => Some(exit.map_err(|error| error.to_string())?),
            () = self.stop.finish.cancelled() => None,
            () = tokio::time::sleep(PROBE_TIMEOUT) => {
                end(&mut process).await;
                return Err(format!("a testbed for a test that does nothing took longer than {} s", PROBE_TIMEOUT.as_secs()));
            }
        };
        let Some(exit) = ended else {
            end(&mut process).await;
            return Ok(ProbeOutcome::Stopped);
        };
        if exit != Exit::Code(autopkgtest::PASSED) {
            let said = last_words(&output.join("log")).or_else(|| last_words(&entry.folder().join(CONSOLE)));
            let said = said.unwrap_or_else(|| "it said nothing".to_owned());
            let said = Redactor::new(&request, &[]).text(&said).into_owned();
            return Err(format!(
                "a test that does nothing failed as well: autopkgtest ended with {}: {said}",
                code(exit)
            ));
        }
        let place = ResultLocation::of(&request, queue);
        let folder = entry.bundle_folder();
        let packing = tokio::task::spawn_blocking(move || {
            pack(&BundleInput::new(&output, &request, 0, started.elapsed()), &folder)
        });
        match packing.await {
            Ok(Ok(bundle)) => self.check_store(&place, &bundle).await.map_err(|error| error.to_string()),
            Ok(Err(error)) => Err(format!("a result cannot be bundled: {error}")),
            Err(error) => Err(format!("bundling a result ended early: {error}")),
        }
    }

    /// Stores and removes a small object in the container of the queue, where no reader of results looks.
    async fn check_store(&self, place: &ResultLocation, bundle: &Bundle) -> Result<ProbeOutcome, StoreError> {
        let (store, container) = (self.worker.store, &place.container);
        let file = bundle.commit_mark();
        // The name is fixed for each host, so that the next probe replaces and removes what a dead worker left.
        let object = format!("{PACKAGE}/{}", host::name());
        let stored = async {
            store.ensure_container(container, &place.access).await?;
            let end = store.put(container, &object, &file.path, &file.headers).await;
            store.delete_all(container, &[object]).await?;
            end
        };
        tokio::select! {
            end = stored => end.map(|()| ProbeOutcome::Passed),
            () = self.stop.finish.cancelled() => Ok(ProbeOutcome::Stopped),
        }
    }
}

fn write_tree(tree: &Path) -> io::Result<()> {
    for (name, text) in TREE {
        let file = tree.join(name);
        file.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(file, text)?;
    }
    Ok(())
}

fn last_words(log: &Path) -> Option<String> {
    let said = LiveLog::new(log.to_owned()).tail().ok()?;
    said.lines().rfind(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned())
}

fn code(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => code.to_string(),
        Exit::Signal(signal) => format!("signal {signal}"),
    }
}

async fn end(process: &mut Process) {
    if let Err(error) = process.terminate(CLEANUP_TIMEOUT).await {
        tracing::warn!("a probe that was ended may still run: {error}");
    }
}
