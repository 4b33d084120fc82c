//! The embedded broker: an SQLite file in a folder, for one machine and any number of processes.
//!
//! - [`database`]: the file `queue.sqlite`, and the thread that works on it. Every change is on disk before it counts.
//! - [`operations`]: the operations, each in one transaction.
//! - [`slot_folder`]: the files `slots/…`. A claim is bound to a lock that the kernel releases when the worker's
//!   process ends. So a test may take any time, and a killed worker's request is claimable at once.
//! - [`call`]: the sockets `calls/…`, at which a running test is asked for its progress, or cancelled.
//! - [`wakeup`]: how a worker waits without polling, and wakes up within milliseconds.

mod call;
mod database;
mod operations;
mod shred;
mod slot_folder;
mod take_out;
mod wakeup;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use self::call::ProgressServer;
use self::database::{Database, Db};
use self::operations::{ClaimEnd, Search, SearchOutcome, TakenRequest};
use self::slot_folder::SlotLock;
use self::wakeup::Wakeup;
use super::history::History;
use super::new_claim::NewClaim;
use super::test_handle::{CancelOutcome, CancelRequest, RunningTest, TestHandle};
use super::{BrokerError, MessageState, QueueContents, QueueState, Rotation, Selector, Settlement, Wait};
use crate::release::QueueName;
use crate::request::line::Submission;
use crate::retry::{self, retry};

/// A client of the embedded broker.
pub struct LocalBroker {
    database: Database,
}

/// A slot at the embedded broker.
pub struct LocalSlot {
    registration: Arc<SlotRegistration>,
    rotation: Rotation,
    /// Whether others see this slot as waiting.
    shown_waiting: bool,
}

/// The claim of a request at the embedded broker.
pub struct LocalClaim {
    registration: Arc<SlotRegistration>,
    row: i64,
    queue: QueueName,
    rotation: Rotation,
    history: History,
    server: Option<ProgressServer>,
    settled: bool,
}

/// Outcome of a check of the queues.
enum TakeOutcome {
    Claim(Box<NewClaim<LocalClaim>>),
    /// No request is there now. `due` is the time until the next check, if requests wait out a delay.
    Nothing {
        due: Option<Duration>,
    },
}

impl TakeOutcome {
    fn claim(self) -> Option<NewClaim<LocalClaim>> {
        match self {
            Self::Claim(claim) => Some(*claim),
            Self::Nothing { .. } => None,
        }
    }
}

/// The registration of a slot. It ends with the slot and its claim, or with the process.
struct SlotRegistration {
    database: Database,
    slot: String,
    lock: Option<SlotLock>,
    /// Rows of requests that could not be returned when their claim ended.
    ///
    /// Otherwise a living slot would hold them without running them.
    owed: Mutex<Vec<i64>>,
}

impl SlotRegistration {
    fn owed(&self) -> std::sync::MutexGuard<'_, Vec<i64>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, db: &mut Db, row: i64) {
        if let Err(fault) = operations::release(db, &self.slot, row) {
            tracing::warn!(%fault, "cannot give back a request now; trying again with the next claim");
            self.owed().push(row);
        }
    }
}

impl Drop for SlotRegistration {
    fn drop(&mut self) {
        let (slot, lock) = (std::mem::take(&mut self.slot), self.lock.take());
        self.database.post(move |db| {
            if let Err(fault) = operations::leave(db, &slot) {
                // Without its lock, the slot counts as dead, and other processes clear its place.
                tracing::debug!(slot, %fault, "a slot ended without clearing its place");
            }
            drop(lock);
        });
    }
}

impl LocalBroker {
    /// Opens the queue in this folder, which is created if it does not exist, for its owner only.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] when the folder or the file cannot be used, with the path and the reason.
    pub(super) async fn open(path: &Path) -> Result<Self, BrokerError> {
        Ok(Self { database: Database::open(path).await? })
    }

    /// Creates the queues that do not exist.
    pub(super) async fn declare(&self, queues: &[QueueName]) -> Result<(), BrokerError> {
        let queues = queues.to_vec();
        self.database.run("create queues", move |db| operations::declare(db, &queues)).await
    }

    /// Returns those of the queues that exist.
    pub(super) async fn existing(&self, queues: &[QueueName]) -> Result<Vec<QueueName>, BrokerError> {
        let queues = queues.to_vec();
        self.database.run("look for queues", move |db| operations::existing(db, queues)).await
    }

    /// Queues all requests or none, each with an id. `confirmed` is called once.
    pub(super) async fn submit(
        &self,
        submissions: &[Submission],
        confirmed: &mut (dyn FnMut(usize) + Send),
    ) -> Result<(), BrokerError> {
        let count = submissions.len();
        let submissions = submissions.to_vec();
        self.database.run("submit requests", move |db| operations::submit(db, submissions)).await?;
        confirmed(count);
        Ok(())
    }

    /// Returns a slot that serves these queues, which are created if they do not exist.
    pub(super) async fn slot(&self, rotation: Rotation) -> Result<LocalSlot, BrokerError> {
        let names = rotation.queues().to_vec();
        let database = self.database.clone();
        let enter = move |db: &mut Db| {
            let (slot, lock) = operations::enter(db, &names)?;
            Ok(SlotRegistration { database, slot, lock: Some(lock), owed: Mutex::default() })
        };
        let registration = Arc::new(self.database.run("register a worker", enter).await?);
        Ok(LocalSlot { registration, rotation, shown_waiting: false })
    }

    /// Returns the state of those of the queues that exist.
    pub(super) async fn inspect(&self, queues: &[QueueName]) -> Result<Vec<QueueState>, BrokerError> {
        let queues = queues.to_vec();
        self.database.run("query the state of the queues", move |db| operations::inspect(db, queues)).await
    }

    /// Returns the messages of a queue, at most `limit` of each kind.
    pub(super) async fn contents(&self, queue: &QueueName, limit: usize) -> Result<QueueContents, BrokerError> {
        let queue = queue.clone();
        self.database.run("list a queue", move |db| operations::contents(db, queue, limit)).await
    }

    /// Takes messages out of a queue: see [`super::Broker::take_out`].
    pub(super) async fn take_out(
        &self,
        queue: &QueueName,
        state: MessageState,
        to: Option<&QueueName>,
        selector: Selector,
    ) -> Result<usize, BrokerError> {
        let (queue, to) = (queue.clone(), to.cloned());
        let work = move |db: &mut Db| take_out::take_out(db, &queue, state, to.as_ref(), selector);
        self.database.run("take requests out of a queue", work).await
    }

    /// Returns the tests that workers run, as they report them.
    pub(super) async fn running(&self) -> Result<Vec<RunningTest>, BrokerError> {
        let held = self.database.run("query running tests", operations::held).await?;
        let folder = self.database.folder();
        let ask = async |held: operations::HeldRequest| {
            let progress = call::progress(folder, &held.slot).await;
            RunningTest { queue: held.queue, body: held.body, progress }
        };
        Ok(join_all(held.into_iter().map(ask)).await)
    }

    /// Returns all queues, in the order of their names.
    pub(super) async fn queues(&self) -> Result<Vec<QueueName>, BrokerError> {
        self.database.run("list the queues", operations::queues).await
    }

    /// Returns whether a living worker serves this queue.
    pub(super) async fn is_served(&self, queue: &QueueName) -> Result<bool, BrokerError> {
        let queue = queue.clone();
        self.database.run("query which queues are served", move |db| operations::is_served(db, &queue)).await
    }

    /// Asks the worker that runs a test to cancel it.
    pub(super) async fn cancel(&self, request: &CancelRequest) -> Result<CancelOutcome, BrokerError> {
        let held = self.database.run("query running tests", operations::held).await?;
        let mut outcome = CancelOutcome::NotFound;
        for held in held.into_iter().filter(|held| held.uuid.as_deref() == Some(request.uuid.as_str())) {
            let answer = call::cancel(self.database.folder(), &held.slot, request).await;
            outcome = answer.map_err(|error| {
                self.database.refused("cancel a test", format!("its worker does not answer: {error}"))
            })?;
        }
        Ok(outcome)
    }

    /// Waits until everything that was given back is in its queue.
    pub(super) async fn close(self) {
        // The thread works in order. The return of a claim may end a slot, which is posted as further work, so one
        // round is not enough. Nothing in here can fail by itself.
        for _ in 0..3 {
            drop(self.database.run("close", |_| Ok(())).await);
        }
    }
}

fn log_retry(error: &BrokerError, pause: Duration) {
    tracing::warn!(%error, ?pause, "trying again");
}

impl LocalSlot {
    /// Claims the next request: see [`super::Slot::claim`].
    ///
    /// # Errors
    /// When the file cannot be used; with [`Wait::UntilEmpty`], also when another process keeps it locked.
    pub(super) async fn claim(
        &mut self,
        wait: Wait,
        stop: &CancellationToken,
    ) -> Result<Option<NewClaim<LocalClaim>>, BrokerError> {
        if stop.is_cancelled() {
            return Ok(None);
        }
        match self.take(false).await {
            Ok(TakeOutcome::Nothing { due }) if wait == Wait::ForOne || due.is_some() => {}
            Ok(look) => return Ok(look.claim()),
            Err(BrokerError::Unreachable { .. }) if wait == Wait::ForOne => {}
            Err(error) => return Err(error),
        }
        let _waiting = self.rotation.wait();
        let mut wakeup = self.listen()?;
        let mut pauses = retry::ENDLESS.delays();
        loop {
            let (pause, listens) = match self.take(true).await {
                Ok(TakeOutcome::Claim(claim)) => return Ok(Some(*claim)),
                Ok(TakeOutcome::Nothing { due: None }) if wait == Wait::UntilEmpty => {
                    self.stop_waiting().await;
                    return Ok(None);
                }
                Ok(TakeOutcome::Nothing { due }) => {
                    pauses = retry::ENDLESS.delays();
                    (due, true)
                }
                Err(error @ BrokerError::Unreachable { .. }) => {
                    let pause = pauses.next_delay();
                    log_retry(&error, pause);
                    (Some(pause), false)
                }
                Err(error) => return Err(error),
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    self.stop_waiting().await;
                    return Ok(None);
                }
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
                woken = wakeup.wait(), if listens => woken.map_err(|error| self.cannot_watch(&error))?,
            }
        }
    }

    /// Starts to watch for events. Must be called before a check, so that none is lost in between.
    fn listen(&self) -> Result<Wakeup, BrokerError> {
        Wakeup::listen(self.registration.database.slots()).map_err(|error| self.cannot_watch(&error))
    }

    fn cannot_watch(&self, error: &std::io::Error) -> BrokerError {
        let path = self.registration.database.slots().path().display();
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => "",
            _ => " (the limits are the kernel's settings fs.inotify.max_user_instances and max_user_watches)",
        };
        self.registration.database.refused("wait for requests", format!("cannot watch {path}: {error}{hint}"))
    }

    /// Takes the next request if there is one; otherwise, shows this slot as waiting if it will wait.
    async fn take(&mut self, will_wait: bool) -> Result<TakeOutcome, BrokerError> {
        let search = Search {
            slot: self.registration.slot.clone(),
            rotation: self.rotation.clone(),
            shown_waiting: self.shown_waiting,
            will_wait,
        };
        let registration = self.registration.clone();
        // The claim is made on the thread, so that the request is returned if nothing waits for it here any longer.
        let work = move |db: &mut Db| {
            let owed = std::mem::take(&mut *registration.owed());
            owed.into_iter().for_each(|row| registration.give_back(db, row));
            Ok(match operations::take(db, &search)? {
                SearchOutcome::Nothing { due } => TakeOutcome::Nothing { due },
                SearchOutcome::Request(taken) => {
                    let TakenRequest { queue, row, request, history } = *taken;
                    let rotation = search.rotation;
                    let backend = LocalClaim {
                        registration,
                        row,
                        queue: queue.clone(),
                        rotation,
                        history: history.clone(),
                        server: None,
                        settled: false,
                    };
                    let redelivered = history.had_another_holder();
                    TakeOutcome::Claim(Box::new(NewClaim { queue, request, redelivered, history, backend }))
                }
            })
        };
        let look = self.registration.database.run("take a request", work).await?;
        self.shown_waiting = will_wait && matches!(look, TakeOutcome::Nothing { .. });
        Ok(look)
    }

    async fn stop_waiting(&mut self) {
        let slot = self.registration.slot.clone();
        let result = self
            .registration
            .database
            .run("stop waiting for requests", move |db| operations::stop_waiting(db, &slot))
            .await;
        match result {
            Ok(()) => self.shown_waiting = false,
            // Only the state in `inspect` is wrong, until the slot's end.
            Err(error) => tracing::debug!(%error, "a worker is still shown as waiting"),
        }
    }
}

impl LocalClaim {
    /// Attaches the running test, so that clients of the broker can see its progress and cancel it.
    ///
    /// A failure is only logged: the test runs all the same.
    pub(super) fn attach(&mut self, test: TestHandle) {
        match ProgressServer::start(self.registration.database.folder(), &self.registration.slot, test) {
            Ok(server) => self.server = Some(server),
            Err(error) => tracing::warn!(%error, "`apt-ci running` does not see what this test does"),
        }
    }

    /// Returns whether slots of another worker wait for requests of this queue.
    pub(super) async fn has_other_consumers(&self) -> Result<bool, BrokerError> {
        let queue = self.queue.clone();
        let look = move |db: &mut Db| operations::living_consumers(db, &queue);
        Ok(self.registration.database.run("check for waiting workers", look).await? > self.rotation.waiting())
    }

    /// Ends the claim. Waits while another process keeps the file locked.
    ///
    /// # Errors
    /// [`BrokerError::ClaimLost`], or when the file cannot be written; then the request is returned to its queue.
    pub(super) async fn settle(mut self, settlement: Settlement) -> Result<(), BrokerError> {
        let row = self.row;
        let history = self.history.after(&settlement);
        let try_once = || {
            let (slot, settlement, history) = (self.registration.slot.clone(), settlement.clone(), history.clone());
            self.registration.database.run("settle a request", move |db| {
                operations::settle(db, &ClaimEnd { slot: &slot, row, settlement: &settlement, history: &history })
            })
        };
        retry(&retry::ENDLESS, try_once, log_retry).await?;
        self.settled = true;
        Ok(())
    }
}

impl Drop for LocalClaim {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let (registration, row) = (self.registration.clone(), self.row);
        self.registration.database.post(move |db| registration.give_back(db, row));
    }
}

#[cfg(test)]
mod tests;
