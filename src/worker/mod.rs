//! A worker: claims requests, runs their tests, and publishes the results.
//!
//! One claim goes through [`job`]: claim → run → bundle → publish → settle. What a run needs on disk lives in the [`spool`], where
//! it survives the worker. [`publish`] puts a bundle into the store, [`stop`] turns signals into wishes.

mod job;
mod publish;
mod spool;
pub mod stop;

use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, BrokerError, Wait};
use crate::environment::Environment;
use crate::release::QueueName;
use crate::store::Store;
use crate::testbed::TestbedError;
use crate::testbed::autopkgtest::Autopkgtest;
use crate::testbed::settings::Settings;

use job::{Job, JobEnd};
use spool::Spool;
use stop::Stop;

/// After so many infrastructure failures in a row a worker takes itself out of service: the fault is here, not in the tests.
const FAILURES_IN_A_ROW: u32 = 3;

/// A worker does not begin a test with less free space than this, in bytes: it would fail half-way.
const LEAST_FREE_SPACE: u64 = 64 << 20;

/// How long a worker serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Until it is told to stop.
    Forever,
    /// Until the queues are empty.
    Drain,
    /// One request.
    Once,
}

/// What a worker works with.
pub struct Worker<'a> {
    /// Where the requests wait.
    pub broker: &'a Broker,
    /// Where the results go.
    pub store: &'a Store,
    /// The queues to serve.
    pub queues: Vec<QueueName>,
    /// The testbed's configuration.
    pub settings: &'a Settings,
    /// The folder in which tests run and bundles wait. Workers of one host may share it.
    pub work_folder: PathBuf,
    /// The environment: autopkgtest is searched in its PATH, and tests run in it, without its credentials.
    pub environment: &'a Environment,
}

/// Why a worker ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It was told to stop, and has finished or given back what it held.
    Stopped,
    /// The queues are empty.
    Drained,
    /// It has served its one request.
    ServedOne,
    /// It took itself out of service: nothing that it tries works here.
    OutOfService(String),
}

/// What a worker cannot go on without.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The work folder.
    #[error("the work folder {} cannot be used: {source}", path.display())]
    WorkFolder {
        /// The folder, or a file in it.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Worker<'_> {
    /// Serves the queues until the service ends.
    ///
    /// # Errors
    /// When the work folder or the broker cannot be used at the start, or the broker refuses for good.
    pub async fn serve(&self, service: Service, stop: &Stop) -> Result<Ended, WorkerError> {
        tokio::select! {
            biased;
            ended = self.serve_on(service, stop) => ended,
            // What is dropped here gives its request back and kills its test.
            () = stop.abandon.cancelled() => Ok(Ended::Stopped),
        }
    }

    async fn serve_on(&self, service: Service, stop: &Stop) -> Result<Ended, WorkerError> {
        let spool = Spool::open(&self.work_folder)?;
        spool.sweep();
        let mut slot = self.broker.slot(self.queues.clone()).await?;
        let wait = if service == Service::Drain { Wait::UntilEmpty } else { Wait::ForOne };
        let mut failures = 0;
        let mut known = None;
        loop {
            if stop.finish.is_cancelled() {
                return Ok(Ended::Stopped);
            }
            let end = match self.ready_for_a_test(&spool, known.take()).await {
                Err(fault) => JobEnd::Infrastructure(fault.to_string()),
                Ok(autopkgtest) => {
                    let Some(claim) = slot.claim(wait, &stop.finish).await? else {
                        let drained = !stop.finish.is_cancelled();
                        return Ok(if drained { Ended::Drained } else { Ended::Stopped });
                    };
                    let job = Job { worker: self, spool: &spool, autopkgtest: &autopkgtest, stop };
                    let end = job.run(claim).await?;
                    known = Some(autopkgtest);
                    if service == Service::Once && !matches!(end, JobEnd::Infrastructure(_)) {
                        return Ok(Ended::ServedOne);
                    }
                    end
                }
            };
            match end {
                JobEnd::Settled => failures = 0,
                JobEnd::GivenBack => {}
                JobEnd::Infrastructure(reason) => {
                    failures += 1;
                    tracing::error!("infrastructure failure {failures} of {FAILURES_IN_A_ROW} in a row: {reason}");
                    if failures == FAILURES_IN_A_ROW {
                        return Ok(Ended::OutOfService(reason));
                    }
                    pause(Duration::from_secs(1) * failures, &stop.finish).await;
                }
            }
        }
    }

    /// Looks at what every test needs before a request is claimed: a broken worker must not take requests from the others.
    /// autopkgtest is asked for its options once, and again when it was away.
    async fn ready_for_a_test(&self, spool: &Spool, known: Option<Autopkgtest>) -> Result<Autopkgtest, NotReady> {
        let autopkgtest = match known {
            Some(known) if known.program().exists() => known,
            _ => Autopkgtest::find(&self.settings.conf, self.environment.get("PATH"))?.probe().await?,
        };
        let folder = || self.work_folder.clone();
        let free = spool.free_space().map_err(|source| NotReady::WorkFolder { path: folder(), source })?;
        if free < LEAST_FREE_SPACE {
            return Err(NotReady::DiskFull { path: folder(), free: free >> 20 });
        }
        Ok(autopkgtest)
    }
}

/// Why no test can run on this host now.
#[derive(Debug, thiserror::Error)]
enum NotReady {
    #[error(transparent)]
    Testbed(#[from] TestbedError),
    #[error("the work folder {} cannot be used: {source}", path.display())]
    WorkFolder { path: PathBuf, source: std::io::Error },
    #[error("the disk of the work folder {} is full: {free} MiB are free, a test needs {}", path.display(), LEAST_FREE_SPACE >> 20)]
    DiskFull { path: PathBuf, free: u64 },
}

/// Waits, but not longer than until the worker is told to stop.
async fn pause(time: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = stop.cancelled() => {}
    }
}
