//! The embedded broker: an SQLite file in a folder, for one machine and any number of processes.
//!
//! - [`database`]: the file `queue.sqlite`, and the thread that works on it. Every change is on the disk before it counts.
//! - [`ledger`]: the operations, each one transaction.
//! - [`life`]: the files `slots/…`. A worker's claim is bound to a lock that the kernel releases when the worker's process
//!   ends, so a test may take as long as it likes, and a killed worker's request is claimable at once.
//! - [`call`]: the sockets `calls/…`, at which a running test is asked for its news, or told to end.
//! - [`bell`]: how a worker waits without looking again and again, and wakes up within milliseconds.

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

/// A connection to the embedded broker.
pub struct LocalBroker {
    database: Database,
}

/// A worker's place at the embedded broker.
pub struct LocalSlot {
    life: Arc<Life>,
    rotation: Rotation,
    /// Whether others see this slot as waiting.
    shown_waiting: bool,
}

/// The hold on a request that was claimed from the embedded broker.
pub struct LocalHold {
    life: Arc<Life>,
    row: i64,
    queue: QueueName,
    rotation: Rotation,
    history: History,
    attendant: Option<Attendant>,
    settled: bool,
}

/// What a look at the queues came to.
enum Look {
    Claim(Box<NewClaim<LocalHold>>),
    /// Nothing is there now. `due` is when to look again, if requests wait out a delay.
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

/// A slot's life: it ends with its place and its claim, or with the process.
struct Life {
    database: Database,
    slot: String,
    lock: Option<SlotLock>,
    /// Rows of requests that could not be given back when their hold ended. Without this they would be stuck with a
    /// living slot that does not run them.
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
                // With the lock gone it counts as dead, so the others do it.
                tracing::debug!(slot, %fault, "a slot ended without clearing its place");
            }
            drop(lock);
        });
    }
}

impl LocalBroker {
    /// Opens the queue in this folder, which is made if it is missing, for its owner alone.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] when the folder or the file cannot be used, with the path and the reason.
    pub(super) async fn open(path: &Path) -> Result<Self, BrokerError> {
        Ok(Self { database: Database::open(path).await? })
    }

    /// Makes the queues exist.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) async fn declare(&self, queues: &[QueueName]) -> Result<(), BrokerError> {
        let queues = queues.to_vec();
        self.database.run("create queues", move |desk| ledger::declare(desk, &queues)).await
    }

    /// Which of these queues exist.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) async fn existing(&self, queues: &[QueueName]) -> Result<Vec<QueueName>, BrokerError> {
        let queues = queues.to_vec();
        self.database.run("look for queues", move |desk| ledger::existing(desk, queues)).await
    }

    /// Queues all requests, each with an id, or none; `confirmed` is called once.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchQueue`], without neighbours; or when the file cannot be written.
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

    /// A worker's place that serves these queues; they are made to exist.
    ///
    /// # Errors
    /// When the file or the folder `slots` cannot be written.
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

    /// The state of those of these queues that exist.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) async fn inspect(&self, queues: &[QueueName]) -> Result<Vec<QueueState>, BrokerError> {
        let queues = queues.to_vec();
        self.database.run("query the state of the queues", move |desk| ledger::inspect(desk, queues)).await
    }

    /// What a queue holds: at most `limit` messages of each kind.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchQueue`], or when the file cannot be read.
    pub(super) async fn contents(&self, queue: &QueueName, limit: usize) -> Result<QueueContents, BrokerError> {
        let queue = queue.clone();
        self.database.run("list a queue", move |desk| ledger::contents(desk, queue, limit)).await
    }

    /// Takes messages out of a queue: see [`super::Broker::take_out`].
    ///
    /// # Errors
    /// [`BrokerError::NotTaken`], or when the file cannot be written.
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

    /// What workers run now, as they tell.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) async fn running(&self) -> Result<Vec<RunningTest>, BrokerError> {
        let held = self.database.run("query running tests", ledger::held).await?;
        let folder = self.database.folder();
        let ask = async |held: ledger::Held| {
            let news = call::news(folder, &held.slot).await;
            RunningTest { queue: held.queue, body: held.body, news }
        };
        Ok(join_all(held.into_iter().map(ask)).await)
    }

    /// All queues, in the order of their names.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) async fn queues(&self) -> Result<Vec<QueueName>, BrokerError> {
        self.database.run("list the queues", ledger::queues).await
    }

    /// Whether a living worker serves this queue.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) async fn is_served(&self, queue: &QueueName) -> Result<bool, BrokerError> {
        let queue = queue.clone();
        self.database.run("query which queues are served", move |desk| ledger::is_served(desk, &queue)).await
    }

    /// Has a test cancelled by the worker that runs it.
    ///
    /// # Errors
    /// When the file cannot be read, or the worker does not answer.
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

    /// Waits until what was given back is back.
    pub(super) async fn close(self) {
        // The thread works in order. Giving back a claim may end a life, and that is handed over as work of its own, so one
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
    /// Claims the next request; see [`super::Slot::claim`].
    ///
    /// # Errors
    /// When the file cannot be used; with [`Wait::UntilEmpty`] also when another process keeps it locked.
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

    /// Listens from now on. To be called before looking, so that no ring is lost in between.
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

    /// Takes the next request if there is one; otherwise shows this slot as waiting if it will wait.
    async fn take(&mut self, will_wait: bool) -> Result<Look, BrokerError> {
        let search = Search {
            slot: self.life.slot.clone(),
            rotation: self.rotation.clone(),
            shown_waiting: self.shown_waiting,
            will_wait,
        };
        let life = self.life.clone();
        // The hold is made on the other side, so that a request is given back if nobody waits for it here any more.
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
            // Only what `inspect` shows is wrong, until this slot's end.
            Err(error) => tracing::debug!(%error, "a worker is still shown as waiting"),
        }
    }
}

impl LocalHold {
    /// From now on tells who asks what the test does. A test that cannot be asked for runs all the same.
    pub(super) fn introduce(&mut self, contact: Contact) {
        match Attendant::start(self.life.database.folder(), &self.life.slot, contact) {
            Ok(attendant) => self.attendant = Some(attendant),
            Err(error) => tracing::warn!(%error, "`apt-ci running` does not see what this test does"),
        }
    }

    /// Whether slots of another worker wait for requests of this queue.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) async fn others_wait(&self) -> Result<bool, BrokerError> {
        let queue = self.queue.clone();
        let look = move |desk: &mut Desk| ledger::living_consumers(desk, &queue);
        Ok(self.life.database.run("check for waiting workers", look).await? > self.rotation.waiting())
    }

    /// Performs the verdict. Waits while another process keeps the file locked.
    ///
    /// # Errors
    /// [`BrokerError::ClaimLost`], or when the file cannot be written; then the request is given back.
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
