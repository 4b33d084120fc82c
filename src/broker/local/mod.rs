//! The embedded broker: an SQLite file in a folder, for one machine and any number of processes.
//!
//! - [`database`]: the file `queue.sqlite`, and the thread that works on it. Every change is on disk before it counts.
//! - [`ledger`]: the operations, each in one transaction.
//! - [`life`]: the files `slots/…`. A claim is bound to a lock that the kernel releases when the worker's process ends.
//!   So a test may take any time, and a killed worker's request is claimable at once.
//! - [`call`]: the sockets `calls/…`, at which a running test is asked for its progress, or cancelled.
//! - [`bell`]: how a worker waits without polling, and wakes up within milliseconds.

mod bell;
mod call;
mod database;
mod ledger;
mod life;
mod shred;
mod take_out;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use self::bell::Bell;
use self::call::Attendant;
use self::database::{Database, Desk};
use self::ledger::{Found, Search, Settlement, Taken};
use self::life::SlotLock;
use super::contact::{Cancel, Cancelled, Contact, RunningTest};
use super::history::History;
use super::new_claim::NewClaim;
use super::{BrokerError, Choice, Pile, QueueContents, QueueState, Rotation, Verdict, Wait};
use crate::release::QueueName;
use crate::request::line::Submission;
use crate::retry::{self, retry};

/// A client of the embedded broker.
pub struct LocalBroker {
    database: Database,
}

/// A slot at the embedded broker.
pub struct LocalSlot {
    life: Arc<Life>,
    rotation: Rotation,
    /// Whether others see this slot as waiting.
    shown_waiting: bool,
}

/// The claim of a request at the embedded broker.
pub struct LocalHold {
    life: Arc<Life>,
    row: i64,
    queue: QueueName,
    rotation: Rotation,
    history: History,
    attendant: Option<Attendant>,
    settled: bool,
}

/// Outcome of a check of the queues.
enum Look {
    Claim(Box<NewClaim<LocalHold>>),
    /// No request is there now. `due` is the time until the next check, if requests wait out a delay.
    Nothing {
        due: Option<Duration>,
    },
}

impl Look {
    fn claim(self) -> Option<NewClaim<LocalHold>> {
        match self {
            Self::Claim(claim) => Some(*claim),
            Self::Nothing { .. } => None,
        }
    }
}

/// The registration of a slot. It ends with the slot and its claim, or with the process.
struct Life {
    database: Database,
    slot: String,
    lock: Option<SlotLock>,
    /// Rows of requests that could not be returned when their claim ended.
    ///
    /// Otherwise a living slot would hold them without running them.
    owed: Mutex<Vec<i64>>,
}

impl Life {
    fn owed(&self) -> std::sync::MutexGuard<'_, Vec<i64>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, desk: &mut Desk, row: i64) {
        if let Err(fault) = ledger::release(desk, &self.slot, row) {
            tracing::warn!(%fault, "cannot give back a request now; trying again with the next claim");
            self.owed().push(row);
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let (slot, lock) = (std::mem::take(&mut self.slot), self.lock.take());
        self.database.post(move |desk| {
            if let Err(fault) = ledger::leave(desk, &slot) {
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
        self.database.run("create queues", move |desk| ledger::declare(desk, &queues)).await
    }

    /// Returns those of the queues that exist.
    pub(super) async fn existing(&self, queues: &[QueueName]) -> Result<Vec<QueueName>, BrokerError> {
        let queues = queues.to_vec();
        self.database.run("look for queues", move |desk| ledger::existing(desk, queues)).await
    }

    /// Queues all requests or none, each with an id. `confirmed` is called once.
    pub(super) async fn submit(
        &self,
        submissions: &[Submission],
        confirmed: &mut (dyn FnMut(usize) + Send),
    ) -> Result<(), BrokerError> {
        let count = submissions.len();
        let submissions = submissions.to_vec();
        self.database.run("submit requests", move |desk| ledger::submit(desk, submissions)).await?;
        confirmed(count);
        Ok(())
    }

    /// Returns a slot that serves these queues, which are created if they do not exist.
    pub(super) async fn slot(&self, rotation: Rotation) -> Result<LocalSlot, BrokerError> {
        let names = rotation.queues().to_vec();
        let database = self.database.clone();
        let enter = move |desk: &mut Desk| {
            let (slot, lock) = ledger::enter(desk, &names)?;
            Ok(Life { database, slot, lock: Some(lock), owed: Mutex::default() })
        };
        let life = Arc::new(self.database.run("register a worker", enter).await?);
        Ok(LocalSlot { life, rotation, shown_waiting: false })
    }

    /// Returns the state of those of the queues that exist.
    pub(super) async fn inspect(&self, queues: &[QueueName]) -> Result<Vec<QueueState>, BrokerError> {
        let queues = queues.to_vec();
        self.database.run("query the state of the queues", move |desk| ledger::inspect(desk, queues)).await
    }

    /// Returns the messages of a queue, at most `limit` of each kind.
    pub(super) async fn contents(&self, queue: &QueueName, limit: usize) -> Result<QueueContents, BrokerError> {
        let queue = queue.clone();
        self.database.run("list a queue", move |desk| ledger::contents(desk, queue, limit)).await
    }

    /// Takes messages out of a queue: see [`super::Broker::take_out`].
    pub(super) async fn take_out(
        &self,
        queue: &QueueName,
        pile: Pile,
        to: Option<&QueueName>,
        choice: Choice,
    ) -> Result<usize, BrokerError> {
        let (queue, to) = (queue.clone(), to.cloned());
        let work = move |desk: &mut Desk| take_out::take_out(desk, &queue, pile, to.as_ref(), choice);
        self.database.run("take requests out of a queue", work).await
    }

    /// Returns the tests that workers run, as they report them.
    pub(super) async fn running(&self) -> Result<Vec<RunningTest>, BrokerError> {
        let held = self.database.run("query running tests", ledger::held).await?;
        let folder = self.database.folder();
        let ask = async |held: ledger::Held| {
            let news = call::news(folder, &held.slot).await;
            RunningTest { queue: held.queue, body: held.body, news }
        };
        Ok(join_all(held.into_iter().map(ask)).await)
    }

    /// Returns all queues, in the order of their names.
    pub(super) async fn queues(&self) -> Result<Vec<QueueName>, BrokerError> {
        self.database.run("list the queues", ledger::queues).await
    }

    /// Returns whether a living worker serves this queue.
    pub(super) async fn is_served(&self, queue: &QueueName) -> Result<bool, BrokerError> {
        let queue = queue.clone();
        self.database.run("query which queues are served", move |desk| ledger::is_served(desk, &queue)).await
    }

    /// Asks the worker that runs a test to cancel it.
    pub(super) async fn cancel(&self, wish: &Cancel) -> Result<Cancelled, BrokerError> {
        let held = self.database.run("query running tests", ledger::held).await?;
        let mut outcome = Cancelled::NotFound;
        for held in held.into_iter().filter(|held| held.uuid.as_deref() == Some(wish.uuid.as_str())) {
            let answer = call::cancel(self.database.folder(), &held.slot, wish).await;
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
    ) -> Result<Option<NewClaim<LocalHold>>, BrokerError> {
        if stop.is_cancelled() {
            return Ok(None);
        }
        match self.take(false).await {
            Ok(Look::Nothing { due }) if wait == Wait::ForOne || due.is_some() => {}
            Ok(look) => return Ok(look.claim()),
            Err(BrokerError::Unreachable { .. }) if wait == Wait::ForOne => {}
            Err(error) => return Err(error),
        }
        let _waiting = self.rotation.wait();
        let mut bell = self.listen()?;
        let mut pauses = retry::ENDLESS.delays();
        loop {
            let (pause, listens) = match self.take(true).await {
                Ok(Look::Claim(claim)) => return Ok(Some(*claim)),
                Ok(Look::Nothing { due: None }) if wait == Wait::UntilEmpty => {
                    self.stop_waiting().await;
                    return Ok(None);
                }
                Ok(Look::Nothing { due }) => {
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
                rung = bell.rung(), if listens => rung.map_err(|error| self.deaf(&error))?,
            }
        }
    }

    /// Starts to watch for events. Must be called before a check, so that none is lost in between.
    fn listen(&self) -> Result<Bell, BrokerError> {
        Bell::listen(self.life.database.slots()).map_err(|error| self.deaf(&error))
    }

    fn deaf(&self, error: &std::io::Error) -> BrokerError {
        let path = self.life.database.slots().path().display();
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => "",
            _ => " (the limits are the kernel's settings fs.inotify.max_user_instances and max_user_watches)",
        };
        self.life.database.refused("wait for requests", format!("cannot watch {path}: {error}{hint}"))
    }

    /// Takes the next request if there is one; otherwise, shows this slot as waiting if it will wait.
    async fn take(&mut self, will_wait: bool) -> Result<Look, BrokerError> {
        let search = Search {
            slot: self.life.slot.clone(),
            rotation: self.rotation.clone(),
            shown_waiting: self.shown_waiting,
            will_wait,
        };
        let life = self.life.clone();
        // The claim is made on the thread, so that the request is returned if nothing waits for it here any longer.
        let work = move |desk: &mut Desk| {
            let owed = std::mem::take(&mut *life.owed());
            owed.into_iter().for_each(|row| life.give_back(desk, row));
            Ok(match ledger::take(desk, &search)? {
                Found::Nothing { due } => Look::Nothing { due },
                Found::Request(taken) => {
                    let Taken { queue, row, request, history } = *taken;
                    let rotation = search.rotation;
                    let hold = LocalHold {
                        life,
                        row,
                        queue: queue.clone(),
                        rotation,
                        history: history.clone(),
                        attendant: None,
                        settled: false,
                    };
                    let redelivered = history.had_another_holder();
                    Look::Claim(Box::new(NewClaim { queue, request, redelivered, history, hold }))
                }
            })
        };
        let look = self.life.database.run("take a request", work).await?;
        self.shown_waiting = will_wait && matches!(look, Look::Nothing { .. });
        Ok(look)
    }

    async fn stop_waiting(&mut self) {
        let slot = self.life.slot.clone();
        let result =
            self.life.database.run("stop waiting for requests", move |desk| ledger::stop_waiting(desk, &slot)).await;
        match result {
            Ok(()) => self.shown_waiting = false,
            // Only the state in `inspect` is wrong, until the slot's end.
            Err(error) => tracing::debug!(%error, "a worker is still shown as waiting"),
        }
    }
}

impl LocalHold {
    /// Attaches the running test, so that clients of the broker can see its progress and cancel it.
    ///
    /// A failure is only logged: the test runs all the same.
    pub(super) fn introduce(&mut self, contact: Contact) {
        match Attendant::start(self.life.database.folder(), &self.life.slot, contact) {
            Ok(attendant) => self.attendant = Some(attendant),
            Err(error) => tracing::warn!(%error, "`apt-ci running` does not see what this test does"),
        }
    }

    /// Returns whether slots of another worker wait for requests of this queue.
    pub(super) async fn others_wait(&self) -> Result<bool, BrokerError> {
        let queue = self.queue.clone();
        let look = move |desk: &mut Desk| ledger::living_consumers(desk, &queue);
        Ok(self.life.database.run("check for waiting workers", look).await? > self.rotation.waiting())
    }

    /// Ends the claim. Waits while another process keeps the file locked.
    ///
    /// # Errors
    /// [`BrokerError::ClaimLost`], or when the file cannot be written; then the request is returned to its queue.
    pub(super) async fn settle(mut self, verdict: Verdict) -> Result<(), BrokerError> {
        let row = self.row;
        let history = self.history.after(&verdict);
        let try_once = || {
            let (slot, verdict, history) = (self.life.slot.clone(), verdict.clone(), history.clone());
            self.life.database.run("settle a request", move |desk| {
                ledger::settle(desk, &Settlement { slot: &slot, row, verdict: &verdict, history: &history })
            })
        };
        retry(&retry::ENDLESS, try_once, log_retry).await?;
        self.settled = true;
        Ok(())
    }
}

impl Drop for LocalHold {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let (life, row) = (self.life.clone(), self.row);
        self.life.database.post(move |desk| life.give_back(desk, row));
    }
}

#[cfg(test)]
mod tests;
