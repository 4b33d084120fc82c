//! A worker: claims requests, runs their tests, and publishes the results.
//!
//! A worker has one or several [`slot`]s, which follow the same [`orders`]. Each claim goes through [`job`]: claim → [`run`] → bundle →
//! [`publish`] → settle. What a run needs on disk lives in the [`spool`], where it survives the worker. The slots write on the
//! [`board`] what they do; [`control`] lets operators read it and steer the worker, [`notify`] tells the service manager, and
//! [`stop`] turns signals into wishes.

mod announce;
pub mod board;
mod containers;
mod context;
pub mod control;
#[cfg(test)]
mod fixture;
mod job;
pub mod notify;
pub mod orders;
mod panic;
mod probe;
mod prove;
mod publish;
mod run;
mod slot;
mod spool;
pub mod stop;
mod turns;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::archive::Pockets;
use crate::broker::{Broker, BrokerError};
use crate::environment::Environment;
use crate::launchpad::Launchpad;
use crate::store::Store;
use crate::testbed::command::refused_queue;
use crate::testbed::settings::Settings;
use crate::testbed::{Autopkgtest, Border, TestbedError};

use board::Board;
pub use containers::Containers;
use control::Cancels;
use orders::Orders;
use slot::Slot;
use spool::Spool;
use stop::Stop;
pub use turns::Turns;

/// A worker does not begin a test with less free space than this, in bytes: it would fail half-way.
const LEAST_FREE_SPACE: u64 = 64 << 20;

/// Whatever a slot does by itself, such as fetching a branch, packing a result or removing a folder, takes no longer than this. If it
/// does, it hangs, and the watchdog is to see that.
const LONGEST_WORK: Duration = Duration::from_secs(2 * 3600);

/// How often the worker looks whether its configuration has changed, beside the look before each test.
const LOOK_AT_FILES_EVERY: Duration = Duration::from_secs(5);

/// How long a worker serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Until it is told to stop.
    Forever,
    /// Until nothing waits in the queues, nor waits out a delay.
    Drain,
    /// One request.
    Once,
}

/// What a worker works with.
pub struct Worker<'a> {
    /// Its name, by which a request's failures are remembered.
    pub name: String,
    /// How many tests it runs at the same time.
    pub slots: usize,
    /// Where the requests wait.
    pub broker: &'a Broker,
    /// Where the results go.
    pub store: &'a Store,
    /// Where the keys of PPAs come from.
    pub launchpad: &'a Launchpad,
    /// The pockets of the releases.
    pub pockets: Pockets,
    /// The settings and the queues to serve.
    pub orders: Arc<Orders>,
    /// What the slots do at the moment.
    pub board: Board,
    /// The tests that can be cancelled.
    pub cancels: Cancels,
    /// The folder in which tests run and bundles wait. Workers of one host may share it.
    pub work_folder: PathBuf,
    /// The environment: autopkgtest is searched in its PATH, and tests run in it, without its credentials.
    pub environment: &'a Environment,
    /// Which servers may be reached for requests that came over the web.
    pub border: Border,
    /// The autopkgtest that was found last.
    pub found: Found,
    /// The containers that need not be looked at for a while.
    pub containers: Containers,
    /// Which slot may commit a package's result.
    pub turns: Turns,
}

/// An autopkgtest that was asked for its options, and the settings that led to it. All slots use it.
#[derive(Default)]
pub struct Found(tokio::sync::Mutex<Option<(Arc<Settings>, Autopkgtest)>>);

/// Why a worker ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It was told to stop, and has finished or given back what it held.
    Stopped,
    /// The queues are empty.
    Drained,
    /// It has served its one request.
    ServedOne,
    /// A slot took itself out of service: nothing that it tried worked here.
    OutOfService(String),
}

/// What a worker cannot go on without.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The broker. Not transparent: who reports it finds its cause, with what to do about it.
    #[error("{0}")]
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
        let spool = Spool::open(&self.work_folder)?;
        spool.sweep_beside();
        tokio::select! {
            biased;
            ended = async {
                let ended = self.serve_slots(service, &spool, stop).await;
                spool.removed().await;
                ended
            } => ended,
            // What is dropped here gives its request back and kills its test.
            () = stop.abandon.cancelled() => Ok(Ended::Stopped),
            () = self.follow_files() => unreachable!("it never ends"),
        }
    }

    async fn serve_slots(&self, service: Service, spool: &Spool, stop: &Stop) -> Result<Ended, WorkerError> {
        let slots = (1..=self.slots).map(|number| async move {
            let board = self.board.slot(number);
            let ended = Slot { worker: self, spool, stop, board: board.clone() }.serve(service).await;
            board.ended();
            if ended.is_err() {
                // What one slot cannot do, the others cannot do either; but what they run is finished.
                stop.finish.cancel();
            }
            ended
        });
        let mut all = Ended::Stopped;
        for ended in join_all(slots).await {
            match ended? {
                out @ Ended::OutOfService(_) => return Ok(out),
                Ended::Stopped => {}
                done => all = done,
            }
        }
        Ok(all)
    }

    async fn follow_files(&self) {
        loop {
            tokio::time::sleep(LOOK_AT_FILES_EVERY).await;
            self.orders.refresh();
        }
    }

    /// Looks at what every test needs before a request is claimed: a broken worker must not take requests from the others.
    async fn ready_for_a_test(
        &self,
        spool: &Spool,
        settings: &Arc<Settings>,
        stop: &Stop,
    ) -> Result<Autopkgtest, NotReady> {
        let autopkgtest = self.autopkgtest(settings).await?;
        if let Some(reason) = self.orders.queues().iter().find_map(|queue| refused_queue(&autopkgtest, queue)) {
            return Err(NotReady::Queue(reason));
        }
        let folder = || self.work_folder.clone();
        let free = || spool.free_space().map_err(|source| NotReady::WorkFolder { path: folder(), source });
        if free()? < LEAST_FREE_SPACE {
            // What dead workers left may be what fills it.
            tokio::select! {
                () = spool.swept() => {}
                () = stop.finish.cancelled() => {}
            }
        }
        let free = free()?;
        if free < LEAST_FREE_SPACE {
            return Err(NotReady::DiskFull { path: folder(), free: free >> 20 });
        }
        Ok(autopkgtest)
    }

    /// Why a queue that is to be served cannot be served by this host's autopkgtest, if there is one.
    pub async fn refused_queue(&self) -> Option<String> {
        let autopkgtest = self.autopkgtest(&self.orders.now().settings).await.ok()?;
        self.orders.queues().iter().find_map(|queue| refused_queue(&autopkgtest, queue))
    }

    /// autopkgtest. It is asked for its options once, and again when it was away or the settings have changed.
    async fn autopkgtest(&self, settings: &Arc<Settings>) -> Result<Autopkgtest, TestbedError> {
        let mut found = self.found.0.lock().await;
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

/// Why no test can run on this host now.
#[derive(Debug, thiserror::Error)]
enum NotReady {
    #[error(transparent)]
    Testbed(#[from] TestbedError),
    #[error("{0}")]
    Queue(String),
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
