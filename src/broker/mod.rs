//! Where requests wait and are handed to workers: RabbitMQ ([`amqp`]) or, on one machine, an SQLite file ([`local`]).
//!
//! Both give the same guarantees. A submitted request is durable once [`Broker::submit`] returns. A worker holds a request
//! through a [`Claim`] that lasts as long as its process, however long the test takes, and the request is back on its queue the
//! moment that process dies. Attempts are counted. What can never be run goes to the dead letters of its queue, with the reason.

pub mod amqp;
mod claim_step;
pub mod contact;
mod denial;
mod history;
pub mod local;
mod queue_type;
mod rotation;
mod take_out;
mod url;

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::release::QueueName;
use crate::request::line::Submission;
use crate::request::{InvalidRequest, Request, RequestId};
use crate::retry::{ClassifyFailure, Transient};

pub use self::claim_step::{CLAIM_LOG_TARGET, ClaimStep};
pub use self::contact::{Cancel, Cancelled, Contact, News, RunningTest};
pub use self::denial::{Denial, Exclusion, Right};
pub use self::history::{DELAYS, FAILURES, Failure, delay};
pub use self::queue_type::{Opaque, OpaqueReason, QueueType, UnknownQueueType};
pub use self::rotation::Rotation;
use self::take_out::Extent;
pub use self::take_out::{Choice, Message, Pile};
pub use self::url::{AmqpUrl, InvalidQueueUrl, QueueUrl};

/// How long a connection may take before its broker counts as unreachable.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);

/// What can go wrong between us and a broker.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// No answer, or no agreement, within [`CONNECT_TIMEOUT`]. The address has no password.
    #[error("cannot reach the queue {address}: {reason}")]
    Unreachable {
        /// The broker's address, without its password.
        address: String,
        /// Why, in the words of the network or the broker.
        reason: String,
    },
    /// The file of the embedded broker is damaged.
    #[error("the queue {} is damaged: {reason}", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// The file of the embedded broker was written by a newer version of this program, or by another program.
    #[error("cannot use the queue: {0}")]
    Incompatible(String),
    /// The broker answers, and does not let this user in. The address has no password.
    #[error("cannot use the queue {address}: {exclusion}")]
    Excluded {
        /// The broker's address, without its password.
        address: String,
        /// Why.
        exclusion: Exclusion,
    },
    /// A queue that requests should go to does not exist; nothing was submitted.
    #[error("the queue {queue} does not exist")]
    NoSuchQueue {
        /// The missing queue.
        queue: QueueName,
        /// Existing queues with the most similar names, nearest first.
        nearest: Vec<QueueName>,
    },
    /// The broker did not confirm every request. The first `confirmed` of the list are queued for certain.
    #[error("{confirmed} of {total} requests were confirmed{}: {reason}", possibly(*.possible))]
    Unconfirmed {
        /// How many requests, from the beginning of the list, are queued for certain.
        confirmed: usize,
        /// How many of those after them were sent: they may be queued.
        possible: usize,
        /// How many there were.
        total: usize,
        /// What ended it.
        reason: String,
    },
    /// The queue cannot be looked into without harm; nothing was changed.
    #[error("{0}")]
    Opaque(Box<Opaque>),
    /// The claim is no longer ours: its connection was lost and another worker has taken the request over.
    #[error("the claim was lost: {0}")]
    ClaimLost(String),
    /// What was chosen to be taken out of a queue could not be written down, so that all of it stayed there.
    #[error("cannot take requests out of the queue; nothing was changed: {0}")]
    NotTaken(String),
    /// Somebody else has delayed requests in hand, and does not give them back: what there is cannot be told.
    #[error("cannot list the delayed requests: another client has held them for {} seconds", .0.as_secs())]
    InHand(Duration),
    /// The broker's memory or disk alarm is on: it takes nothing that is published.
    #[error("cannot {action} now: {reason}")]
    Blocked {
        /// What was tried.
        action: String,
        /// Which alarm.
        reason: String,
    },
    /// The user lacks a permission at the broker.
    #[error("cannot {action}: {denial}")]
    Denied {
        /// What was tried.
        action: String,
        /// Which permission of which user.
        denial: Denial,
    },
    /// The broker refused an operation, or the file of the embedded broker cannot be used.
    #[error("cannot {action}: {reason}")]
    Refused {
        /// What was tried.
        action: String,
        /// Why it failed.
        reason: String,
    },
}

impl ClassifyFailure for BrokerError {
    fn transient(&self) -> Option<Transient> {
        matches!(self, Self::Unreachable { .. }).then(Transient::default)
    }
}

/// What an error says about requests that were sent and not confirmed.
fn possibly(possible: usize) -> String {
    match possible {
        0 => "; the others are not queued".to_owned(),
        possible => format!("; up to {possible} more may be queued"),
    }
}

/// A connection to the place where requests wait.
pub enum Broker {
    /// RabbitMQ.
    Amqp(amqp::AmqpBroker),
    /// A file on this machine.
    Local(local::LocalBroker),
}

/// One worker's place at a broker. It holds at most one request, and nothing at all while it waits.
pub enum Slot {
    /// At RabbitMQ.
    Amqp(Box<amqp::AmqpSlot>),
    /// At the file on this machine.
    Local(local::LocalSlot),
}

/// How a slot looks for its next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Until there is one.
    ForOne,
    /// As long as requests come back by themselves: `None` as soon as every queue is empty, and no request waits out a delay.
    UntilEmpty,
}

/// What a worker decides about the request that it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Its effect is complete: it leaves the queue.
    Done,
    /// Back to its queue, behind what waits there. The attempt counts.
    Requeue,
    /// The same, but the attempt does not count: it said nothing about the request. A first one counts all the same, because the
    /// count is what tells the next holder that somebody had the request before.
    Return,
    /// Back to its queue when a time has passed. No slot waits for it meanwhile.
    Later {
        /// How long: one of [`DELAYS`], see [`delay`].
        after: Duration,
        /// What went wrong here. It travels with the request: see [`Claim::failures`].
        failure: Option<Failure>,
        /// Whether this was an attempt. If not, it said nothing about the request; without a failure, the request was only passed
        /// on, and that is counted: see [`Claim::passes`].
        counts: bool,
    },
    /// To the dead letters of its queue, with the reason.
    Dead(String),
}

/// A request held by this worker. Dropping it without [`Claim::settle`] gives the request back.
pub struct Claim {
    /// The queue that it came from.
    pub queue: QueueName,
    /// The request, with an id (it gets one here if it came without); or why the message is none.
    pub request: Result<Request, InvalidRequest>,
    /// Which attempt this is; the first is 1.
    pub attempt: u32,
    /// Whether another holder may have had it before: then its result may exist already.
    pub redelivered: bool,
    /// How often it was passed on, by [`Verdict::Later`] that does not count, since an attempt last counted.
    pub passes: u32,
    /// The failures of earlier attempts, oldest first: the latest ones that [`Verdict::Later`] told, at most [`FAILURES`].
    pub failures: Vec<Failure>,
    hold: Hold,
}

enum Hold {
    Amqp(amqp::AmqpHold),
    Local(local::LocalHold),
}

/// A queue, as seen from outside.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct QueueState {
    /// Its name.
    pub queue: QueueName,
    /// How many requests wait.
    pub ready: u64,
    /// How many slots wait for a request. A slot that waits on several queues counts at each.
    pub consumers: u64,
    /// How many requests workers hold.
    pub claimed: u64,
    /// How many requests wait out a delay before they come back to it.
    pub delayed: u64,
    /// How many dead letters it has.
    pub dead: u64,
    /// When the first of those that wait was submitted, if it says so.
    pub oldest: Option<jiff::Timestamp>,
    /// Why it cannot be seen which is the first, where that is so.
    #[serde(skip)]
    pub opaque: Option<Opaque>,
}

/// What a queue holds. Looking gives every message back to its place.
#[derive(Debug, Clone, Default)]
pub struct QueueContents {
    /// The messages that wait, in order.
    pub ready: Vec<Vec<u8>>,
    /// The messages that workers hold.
    pub claimed: Vec<Vec<u8>>,
    /// The messages that wait out a delay, those with short delays first.
    pub delayed: Vec<Vec<u8>>,
    /// The dead letters, oldest first.
    pub dead: Vec<DeadLetter>,
    /// Why the messages that wait are not among these, where that is so.
    pub hidden: Option<Opaque>,
    /// Why the dead letters are not among these, where that is so.
    pub hidden_dead: Option<Opaque>,
}

/// A message that can never be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The message as it came.
    pub body: Vec<u8>,
    /// Why it cannot be run.
    pub reason: String,
}

/// Where a worker tells the world what happens. The names are those of the exchanges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// `teststatus.fanout`: what runs now.
    TestStatus,
    /// `testcomplete.fanout`: what has ended.
    TestComplete,
}

impl Broker {
    /// Connects.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] within [`CONNECT_TIMEOUT`].
    pub async fn connect(url: &QueueUrl) -> Result<Self, BrokerError> {
        match url {
            QueueUrl::Amqp(url) => amqp::AmqpBroker::connect(url).await.map(Self::Amqp),
            QueueUrl::Local(path) => local::LocalBroker::open(path).await.map(Self::Local),
        }
    }

    /// Makes the queues exist. Existing ones stay as they are.
    ///
    /// # Errors
    /// When the broker refuses, for instance because these credentials may not make queues.
    pub async fn declare(&self, queues: &[QueueName]) -> Result<(), BrokerError> {
        match self {
            Self::Amqp(broker) => broker.declare(queues).await,
            Self::Local(broker) => broker.declare(queues).await,
        }
    }

    /// Makes sure that requests can be queued now.
    ///
    /// # Errors
    /// [`BrokerError::Blocked`] while an alarm of the broker blocks publishing, [`BrokerError::Denied`] without the right to
    /// publish, or when the broker cannot be asked.
    pub async fn takes_messages(&self) -> Result<(), BrokerError> {
        match self {
            Self::Amqp(broker) => broker.takes_messages().await,
            Self::Local(_) => Ok(()),
        }
    }

    /// Makes sure that these credentials let a worker serve, as far as that can be told without taking a request.
    ///
    /// # Errors
    /// [`BrokerError::Denied`] when they do not, or when the broker cannot be asked.
    pub async fn check_rights(&self) -> Result<(), BrokerError> {
        match self {
            Self::Amqp(broker) => broker.check_rights().await,
            Self::Local(_) => Ok(()),
        }
    }

    /// Which of these queues exist.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn existing(&self, queues: &[QueueName]) -> Result<Vec<QueueName>, BrokerError> {
        match self {
            Self::Amqp(broker) => broker.existing(queues).await,
            Self::Local(broker) => broker.existing(queues).await,
        }
    }

    /// Queues the requests, in order, each with an id. `confirmed` is called with the number of requests that are durable
    /// so far. All queues are checked before anything is queued.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchQueue`] when a queue is missing; its `nearest` are chosen among `known`. Nothing is queued then.
    /// [`BrokerError::Unconfirmed`] when the broker goes away in the middle.
    pub async fn submit(
        &self,
        submissions: &[Submission],
        known: &[QueueName],
        confirmed: &mut (dyn FnMut(usize) + Send),
    ) -> Result<(), BrokerError> {
        self.submit_again(submissions, &HashSet::new(), known, confirmed).await
    }

    /// The same, where those with these ids may have been submitted before: their results are looked for before they are run.
    ///
    /// # Errors
    /// As [`Broker::submit`].
    pub async fn submit_again(
        &self,
        submissions: &[Submission],
        sent_before: &HashSet<RequestId>,
        known: &[QueueName],
        confirmed: &mut (dyn FnMut(usize) + Send),
    ) -> Result<(), BrokerError> {
        let mut queues: Vec<QueueName> = submissions.iter().map(|submission| submission.queue.clone()).collect();
        queues.sort();
        queues.dedup();
        // Before anything is sent whose fate would be unknown.
        if let Self::Amqp(broker) = self {
            broker.takes_messages().await?;
        }
        let existing = self.existing(&queues).await?;
        if let Some(missing) = queues.into_iter().find(|queue| !existing.contains(queue)) {
            let nearest = self.nearest(&missing, known).await?;
            return Err(BrokerError::NoSuchQueue { queue: missing, nearest });
        }
        match self {
            Self::Amqp(broker) => broker.submit(submissions, sent_before, confirmed).await,
            Self::Local(broker) => broker.submit(submissions, confirmed).await,
        }
    }

    /// The existing queues, among the known ones, whose names are most like a missing one's: at most three, nearest first.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn nearest(&self, missing: &QueueName, known: &[QueueName]) -> Result<Vec<QueueName>, BrokerError> {
        let name = missing.to_string();
        let mut ranked: Vec<(usize, QueueName)> = self
            .existing(known)
            .await?
            .into_iter()
            .map(|queue| (strsim::damerau_levenshtein(&name, &queue.to_string()), queue))
            .collect();
        ranked.sort();
        Ok(ranked.into_iter().take(3).map(|(_, queue)| queue).collect())
    }

    /// A worker's place that serves these queues, in fair rotation. The queues are made to exist. Slots of one process share a
    /// [`Rotation`]; a list of queues makes a new one.
    ///
    /// # Errors
    /// When the queues cannot be declared.
    pub async fn slot(&self, queues: impl Into<Rotation>) -> Result<Slot, BrokerError> {
        let rotation = queues.into();
        match self {
            Self::Amqp(broker) => broker.slot(rotation).await.map(|slot| Slot::Amqp(Box::new(slot))),
            Self::Local(broker) => broker.slot(rotation).await.map(Slot::Local),
        }
    }

    /// The state of these queues; those that do not exist are left out.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn inspect(&self, queues: &[QueueName]) -> Result<Vec<QueueState>, BrokerError> {
        match self {
            Self::Amqp(broker) => broker.inspect(queues).await,
            Self::Local(broker) => broker.inspect(queues).await,
        }
    }

    /// As [`Broker::inspect`], for queues of a site that are looked at again and again. With `makes`, those that were never there are made, as
    /// far as this user may: RabbitMQ logs each question about a queue that does not exist as an error. Otherwise a queue that was not there
    /// is asked for again a minute later.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn inspect_site(&self, queues: &[QueueName], makes: bool) -> Result<Vec<QueueState>, BrokerError> {
        match self {
            Self::Amqp(broker) => broker.inspect_site(queues, makes).await,
            Self::Local(broker) => broker.inspect(queues).await,
        }
    }

    /// Whether looking into an existing queue may be impossible, or become so when more waits there. `true` where that cannot be learnt.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn may_be_opaque(&self, queue: &QueueName) -> Result<bool, BrokerError> {
        match self {
            Self::Amqp(broker) => broker.may_be_opaque(queue).await,
            Self::Local(_) => Ok(false),
        }
    }

    /// What a queue holds: at most `limit` messages of each kind. Dead letters are left out where they cannot be seen.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchQueue`] (without neighbours) when it does not exist, [`BrokerError::Opaque`] when the messages that wait
    /// cannot be seen, or when the broker cannot be asked.
    pub async fn contents(&self, queue: &QueueName, limit: usize) -> Result<QueueContents, BrokerError> {
        match self.visible_contents(queue, limit).await? {
            QueueContents { hidden: Some(opaque), .. } => Err(BrokerError::Opaque(Box::new(opaque))),
            contents => Ok(contents),
        }
    }

    /// Returns what can be seen of a queue, and why the rest cannot; otherwise as [`Broker::contents`].
    ///
    /// # Errors
    /// [`BrokerError::NoSuchQueue`] (without neighbours) when it does not exist, or when the broker cannot be asked.
    pub async fn visible_contents(&self, queue: &QueueName, limit: usize) -> Result<QueueContents, BrokerError> {
        match self {
            Self::Amqp(broker) => broker.contents(queue, limit).await,
            Self::Local(broker) => broker.contents(queue, limit).await,
        }
    }

    /// Takes messages out of a queue that no worker holds: for good, or, with `to`, to the end of another queue. Dead letters begin
    /// anew there. `choice` is called once if there is any message, and sees all of the pile in their order. What it does not choose
    /// keeps its place.
    ///
    /// Workers go on meanwhile: what they take is not seen. If this process dies, what was chosen is in its queue still, or it is where
    /// it was to go; or, when it was to go to another queue of RabbitMQ, in both, with the same id: then its result is looked for before
    /// it is run.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchQueue`], [`BrokerError::NotTaken`] with the error of `choice`, [`BrokerError::Opaque`] when what is not chosen
    /// could not be given back without harm; or when the broker is away or refuses: then some of what was chosen may be out, and the
    /// rest is in its queue.
    pub async fn take_out(
        &self,
        queue: &QueueName,
        pile: Pile,
        to: Option<&QueueName>,
        choice: Choice,
    ) -> Result<usize, BrokerError> {
        self.take(queue, pile, to, Extent::Some, choice).await
    }

    /// Takes everything out of a pile, also of a queue that cannot be looked into. `choice` chooses all of the messages.
    ///
    /// # Errors
    /// As those of [`Broker::take_out`].
    pub async fn take_everything(
        &self,
        queue: &QueueName,
        pile: Pile,
        to: Option<&QueueName>,
        choice: Choice,
    ) -> Result<usize, BrokerError> {
        self.take(queue, pile, to, Extent::Everything, choice).await
    }

    async fn take(
        &self,
        queue: &QueueName,
        pile: Pile,
        to: Option<&QueueName>,
        extent: Extent,
        choice: Choice,
    ) -> Result<usize, BrokerError> {
        let needed: Vec<QueueName> = [Some(queue), to].into_iter().flatten().cloned().collect();
        let existing = self.existing(&needed).await?;
        if let Some(missing) = needed.into_iter().find(|queue| !existing.contains(queue)) {
            return Err(BrokerError::NoSuchQueue { queue: missing, nearest: Vec::new() });
        }
        match self {
            Self::Amqp(broker) => broker.take_out(queue, pile, to, extent, choice).await,
            Self::Local(broker) => broker.take_out(queue, pile, to, choice).await,
        }
    }

    /// What workers run now, in no order: every request that a worker holds.
    ///
    /// # Errors
    /// When the broker, and through it the workers, cannot be asked.
    pub async fn running(&self) -> Result<Vec<RunningTest>, BrokerError> {
        match self {
            Self::Amqp(broker) => broker.running().await,
            Self::Local(broker) => broker.running().await,
        }
    }

    /// The queues of which something is known without their names: all at the embedded broker; at RabbitMQ, which does not list its
    /// queues to clients, those of which a request runs or waits out a delay.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn queues_in_use(&self) -> Result<Vec<QueueName>, BrokerError> {
        match self {
            Self::Amqp(broker) => broker.queues_in_use().await,
            Self::Local(broker) => broker.queues().await,
        }
    }

    /// Whether a worker serves this queue, busy or not. `None` when that cannot be told: a worker did not answer, or is of a version that
    /// does not say which queues it serves.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn is_served(&self, queue: &QueueName) -> Result<Option<bool>, BrokerError> {
        match self {
            Self::Amqp(broker) => broker.is_served(queue).await,
            Self::Local(broker) => broker.is_served(queue).await.map(Some),
        }
    }

    /// Has a running test cancelled by its worker, wherever that is. [`Cancelled::NotFound`] proves nothing: the request may be on
    /// its way from its queue to a worker, or back.
    ///
    /// # Errors
    /// When the broker, or the worker, cannot be asked.
    pub async fn cancel(&self, wish: &Cancel) -> Result<Cancelled, BrokerError> {
        match self {
            Self::Amqp(broker) => broker.cancel(wish).await,
            Self::Local(broker) => broker.cancel(wish).await,
        }
    }

    /// Listens at a topic from now on. Nobody tells anything at the embedded broker.
    ///
    /// # Errors
    /// When the broker is away or refuses.
    pub async fn listen(&self, topic: Topic) -> Result<Listener, BrokerError> {
        match self {
            Self::Amqp(broker) => broker.listen(topic).await.map(|listener| Listener::Amqp(Box::new(listener))),
            Self::Local(_) => Ok(Listener::Local),
        }
    }

    /// Tells every listener of a topic. The embedded broker has no listeners.
    ///
    /// # Errors
    /// When the broker is away. What is announced then is lost: it is news, not a record.
    pub async fn announce(&self, topic: Topic, message: &[u8]) -> Result<(), BrokerError> {
        match self {
            Self::Amqp(broker) => broker.announce(topic, message).await,
            Self::Local(_) => Ok(()),
        }
    }

    /// Says goodbye: gives everything unsettled back and closes the connection.
    pub async fn close(self) {
        match self {
            Self::Amqp(broker) => broker.close().await,
            Self::Local(broker) => broker.close().await,
        }
    }
}

/// Hears what is announced at a topic.
pub enum Listener {
    /// At RabbitMQ.
    Amqp(Box<amqp::AmqpListener>),
    /// At the embedded broker, where nobody announces anything.
    Local,
}

impl Listener {
    /// Whether anything can be heard here at all.
    pub fn hears(&self) -> bool {
        matches!(self, Self::Amqp(_))
    }

    /// The next announcement, or `None` when there is none until then.
    ///
    /// # Errors
    /// When the connection was lost: then what was announced since is lost, too.
    pub async fn next(&mut self, until: tokio::time::Instant) -> Result<Option<Vec<u8>>, BrokerError> {
        match self {
            Self::Amqp(listener) => listener.next(until).await,
            Self::Local => {
                tokio::time::sleep_until(until).await;
                Ok(None)
            }
        }
    }

    /// Listens no more.
    pub async fn end(self) {
        match self {
            Self::Amqp(listener) => listener.end().await,
            Self::Local => {}
        }
    }
}

impl Slot {
    /// Claims the next request. `None` when `stop` is cancelled first, or when the queues are empty and `wait` ends then.
    ///
    /// Not cancel-safe: end it with `stop`, so that no request is caught half-way. While the broker is away it reconnects
    /// with backoff, and logs that.
    ///
    /// # Errors
    /// With [`Wait::UntilEmpty`], when the broker cannot be reached; otherwise only when it refuses for good.
    pub async fn claim(&mut self, wait: Wait, stop: &CancellationToken) -> Result<Option<Claim>, BrokerError> {
        match self {
            Self::Amqp(slot) => slot.claim(wait, stop).await,
            Self::Local(slot) => slot.claim(wait, stop).await,
        }
    }
}

impl Claim {
    /// From now on who asks at the broker is told what the test does, and can cancel it. To be called within the runtime.
    pub fn introduce(&mut self, contact: Contact) {
        match &mut self.hold {
            Hold::Amqp(hold) => hold.introduce(contact),
            Hold::Local(hold) => hold.introduce(contact),
        }
    }

    /// Logs a step of the claim's life that its worker has made. The embedded broker has no such protocol.
    pub fn log(&self, step: ClaimStep) {
        match &self.hold {
            Hold::Amqp(hold) => hold.log(step),
            Hold::Local(_) => {}
        }
    }

    /// Waits until the claim is lost, with the reason: the connection broke and another worker has the request now. Its run
    /// must be abandoned. Never returns while the claim is held or can still be renewed.
    pub async fn lost(&mut self) -> String {
        match &mut self.hold {
            Hold::Amqp(hold) => hold.lost().await,
            Hold::Local(_) => std::future::pending().await,
        }
    }

    /// Waits until the claim is certainly held: at once, unless the broker is away and the claim has to be announced again.
    ///
    /// # Errors
    /// [`BrokerError::ClaimLost`].
    pub async fn held(&mut self) -> Result<(), BrokerError> {
        match &mut self.hold {
            Hold::Amqp(hold) => hold.held().await,
            Hold::Local(_) => Ok(()),
        }
    }

    /// Whether the claim was away for a time and announced again: meanwhile another worker may have taken the request and done it.
    pub fn was_interrupted(&self) -> bool {
        match &self.hold {
            Hold::Amqp(hold) => hold.was_interrupted(),
            Hold::Local(_) => false,
        }
    }

    /// Whether another worker waits for requests of this queue right now. Slots that share this claim's [`Rotation`] do not count.
    /// By the time that the request is back on its queue, this may have changed.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn others_wait(&self) -> Result<bool, BrokerError> {
        match &self.hold {
            Hold::Amqp(hold) => hold.others_wait().await,
            Hold::Local(hold) => hold.others_wait().await,
        }
    }

    /// Performs the verdict. Waits for the broker if it is away.
    ///
    /// # Errors
    /// [`BrokerError::ClaimLost`], or when the broker refuses.
    pub async fn settle(self, verdict: Verdict) -> Result<(), BrokerError> {
        match self.hold {
            Hold::Amqp(hold) => hold.settle(verdict).await,
            Hold::Local(hold) => hold.settle(verdict).await,
        }
    }
}
