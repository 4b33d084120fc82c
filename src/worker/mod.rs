//! A worker: claims requests, runs their tests, and publishes the results.
//!
//! A worker has one or several [`slot`]s, which share one [live configuration](live_config). Each claim goes through
//! [`job`]: claim → [`run`] → bundle → [`publish`] → settle. The files of a run are in the [`spool`], which outlives
//! the worker. The slots record their activity on the [`live_status`]; [`control`] lets operators read it and steer the
//! worker, [`notify`] reports it to the service manager, and [`shutdown`] turns signals into requests to shut down.

mod announce;
mod commit_order;
mod container_cache;
mod context;
pub mod control;
#[cfg(test)]
mod fixture;
mod job;
pub mod live_config;
pub mod live_status;
pub mod notify;
mod panic;
mod probe;
mod prove;
mod publish;
mod run;
pub mod shutdown;
mod slot;
mod spool;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::archive::Pockets;
use crate::broker::{Broker, BrokerError};
use crate::environment::Environment;
use crate::launchpad::Launchpad;
use crate::release::QueueName;
use crate::store::Store;
use crate::testbed::images::{Image, ImageError, ImageHold, ImageName, ImageStore};
use crate::testbed::plan::refused_queue;
use crate::testbed::settings::Settings;
use crate::testbed::{Autopkgtest, Border, TestbedError};

pub use commit_order::CommitOrder;
pub use container_cache::ContainerCache;
use control::CancelRegistry;
use live_config::LiveConfig;
use live_status::LiveStatus;
use shutdown::Shutdown;
use slot::Slot;
use spool::Spool;

/// Minimum free space for a test, in bytes: with less it would fail half-way.
const MIN_FREE_SPACE: u64 = 64 << 20;

/// Timeout after which the own work of a slot, such as fetching a branch, packing a result or removing a folder, counts
/// as hanging. The watchdog sees that.
const WORK_TIMEOUT: Duration = Duration::from_secs(2 * 3600);

/// Interval between checks for changed configuration files. They are also checked before each test.
const CONFIG_POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Mode that decides when a worker ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunMode {
    /// Until it is told to stop.
    Forever,
    /// Until all queues are empty and no request waits out a delay.
    Drain,
    /// Until one request is done.
    Once,
}

/// A worker, with everything that its slots share.
pub struct Worker<'a> {
    /// Worker's name, which the failures of a request record.
    pub name: String,
    /// Number of tests that run at the same time.
    pub slots: usize,
    /// Broker from which requests are claimed.
    pub broker: &'a Broker,
    /// Store in which results are published.
    pub store: &'a Store,
    /// Client for the keys and archives of PPAs.
    pub launchpad: &'a Launchpad,
    /// Pockets of the releases.
    pub pockets: Pockets,
    /// Settings, and the queues to serve.
    pub live_config: Arc<LiveConfig>,
    /// Live state of the slots.
    pub live_status: LiveStatus,
    /// Tests that can be cancelled.
    pub cancels: CancelRegistry,
    /// Folder in which tests run and bundles wait. Workers of one host may share it.
    pub work_folder: PathBuf,
    /// Images of isolated testbeds.
    pub images: ImageStore,
    /// Environment: its PATH leads to autopkgtest, and tests get it without the worker's credentials.
    pub environment: &'a Environment,
    /// Servers that requests from the web may reach.
    pub border: Border,
    /// autopkgtest that was found last.
    pub autopkgtest_cache: AutopkgtestCache,
    /// Containers that were checked recently.
    pub containers: ContainerCache,
    /// Order in which slots commit results of one package.
    pub turns: CommitOrder,
}

/// An autopkgtest that was probed, with the settings that led to it. All slots share it.
#[derive(Default)]
pub struct AutopkgtestCache(tokio::sync::Mutex<Option<(Arc<Settings>, Autopkgtest)>>);

/// Reason for which a worker ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerOutcome {
    /// The worker was told to stop, and has finished or given back what it held.
    Stopped,
    /// The queues are empty.
    Drained,
    /// The worker has served its one request.
    ServedOne,
    /// A slot took itself out of service: nothing that it tried worked on this host.
    OutOfService(String),
}

/// Errors that prevent a worker from serving.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The broker failed.
    #[error("{0}")]
    Broker(#[from] BrokerError),
    /// The work folder cannot be used.
    #[error("the work folder {} cannot be used: {source}", path.display())]
    WorkFolder {
        /// Folder, or a file in it.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
}

impl Worker<'_> {
    /// Returns the image for a test with these settings; `None` if the settings do not use one.
    ///
    /// It stays as long as the hold lives.
    fn image(&self, settings: &Settings, queue: &QueueName) -> Result<Option<(Image, ImageHold)>, ImageError> {
        if !settings.conf.uses_testbed() {
            return Ok(None);
        }
        self.images.held(&ImageName::for_tests(queue)).map(Some)
    }

    /// Serves the queues until the mode ends, or `stop` asks for it.
    ///
    /// # Errors
    /// Fails when the work folder or the broker cannot be used at the start, or the broker refuses permanently.
    pub async fn serve(&self, mode: RunMode, stop: &Shutdown) -> Result<WorkerOutcome, WorkerError> {
        let spool = Spool::open(&self.work_folder)?;
        spool.start_sweep();
        tokio::select! {
            biased;
            ended = async {
                let ended = self.serve_slots(mode, &spool, stop).await;
                spool.wait_for_removals().await;
                ended
            } => ended,
            // Dropping the claims gives their requests back; dropping the processes kills the tests.
            () = stop.abandon.cancelled() => Ok(WorkerOutcome::Stopped),
            () = self.follow_files() => unreachable!("it never ends"),
        }
    }

    async fn serve_slots(&self, mode: RunMode, spool: &Spool, stop: &Shutdown) -> Result<WorkerOutcome, WorkerError> {
        let slots = (1..=self.slots).map(|number| async move {
            let reporter = self.live_status.slot(number);
            let ended = Slot { worker: self, spool, stop, reporter: reporter.clone() }.serve(mode).await;
            reporter.ended();
            if ended.is_err() {
                // The other slots will fail in the same way; their running tests are finished.
                stop.finish.cancel();
            }
            ended
        });
        let mut all = WorkerOutcome::Stopped;
        for ended in join_all(slots).await {
            match ended? {
                out @ WorkerOutcome::OutOfService(_) => return Ok(out),
                WorkerOutcome::Stopped => {}
                done => all = done,
            }
        }
        Ok(all)
    }

    async fn follow_files(&self) {
        loop {
            tokio::time::sleep(CONFIG_POLL_INTERVAL).await;
            self.live_config.refresh();
        }
    }

    /// Checks what every test needs, before a request is claimed: a broken worker must not take requests from others.
    async fn ready_for_a_test(
        &self,
        spool: &Spool,
        settings: &Arc<Settings>,
        stop: &Shutdown,
    ) -> Result<Autopkgtest, ReadinessError> {
        let autopkgtest = self.autopkgtest(settings).await?;
        if let Some(reason) = self.live_config.queues().iter().find_map(|queue| refused_queue(&autopkgtest, queue)) {
            return Err(ReadinessError::Queue(reason));
        }
        let folder = || self.work_folder.clone();
        let free = || spool.free_space().map_err(|source| ReadinessError::WorkFolder { path: folder(), source });
        if free()? < MIN_FREE_SPACE {
            // The folders that dead workers left may fill the disk.
            tokio::select! {
                () = spool.wait_for_sweep() => {}
                () = stop.finish.cancelled() => {}
            }
        }
        let free = free()?;
        if free < MIN_FREE_SPACE {
            return Err(ReadinessError::DiskFull { path: folder(), free: free >> 20 });
        }
        Ok(autopkgtest)
    }

    /// Returns why this host's autopkgtest cannot serve one of the queues, if there is such a queue.
    pub async fn refused_queue(&self) -> Option<String> {
        let autopkgtest = self.autopkgtest(&self.live_config.now().settings).await.ok()?;
        self.live_config.queues().iter().find_map(|queue| refused_queue(&autopkgtest, queue))
    }

    /// Returns autopkgtest. It is probed again when it was missing or the settings have changed.
    async fn autopkgtest(&self, settings: &Arc<Settings>) -> Result<Autopkgtest, TestbedError> {
        let mut found = self.autopkgtest_cache.0.lock().await;
        if let Some((of, known)) = &*found
            && Arc::ptr_eq(of, settings)
            && known.program().exists()
        {
            return Ok(known.clone());
        }
        *found = None;
        let autopkgtest = Autopkgtest::find(&settings.conf, self.environment.get("PATH"))?.probe().await?;
        *found = Some((Arc::clone(settings), autopkgtest.clone()));
        Ok(autopkgtest)
    }
}

/// Reasons for which no test can run on this host now.
#[derive(Debug, thiserror::Error)]
enum ReadinessError {
    #[error(transparent)]
    Testbed(#[from] TestbedError),
    #[error("{0}")]
    Queue(String),
    #[error("the work folder {} cannot be used: {source}", path.display())]
    WorkFolder { path: PathBuf, source: std::io::Error },
    #[error("the disk of the work folder {} is full: {free} MiB are free, a test needs {}", path.display(), MIN_FREE_SPACE >> 20)]
    DiskFull { path: PathBuf, free: u64 },
}

/// Waits for this time, or until the worker is told to stop.
async fn pause(time: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = stop.cancelled() => {}
    }
}
