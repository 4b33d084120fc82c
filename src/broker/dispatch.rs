//! Dispatch of every operation to one of the two backends.

use std::collections::HashSet;

use tokio_util::sync::CancellationToken;

use super::amqp::{AmqpBroker, AmqpClaim, AmqpListener, AmqpSlot};
use super::claim_step::ClaimStep;
use super::error::BrokerError;
use super::failure::Failure;
use super::history::History;
use super::local::{LocalBroker, LocalClaim, LocalSlot};
use super::new_claim::NewClaim;
use super::rotation::Rotation;
use super::settlement::Settlement;
use super::take_out::{Extent, MessageState, Selector};
use super::test_handle::{CancelOutcome, CancelRequest, RunningTest, TestHandle};
use super::url::QueueUrl;
use super::{QueueContents, QueueState, Topic, Wait};
use crate::release::QueueName;
use crate::request::line::Submission;
use crate::request::{InvalidRequest, Request, RequestId};

/// A connection to the broker, where requests wait.
pub enum Broker {
    /// RabbitMQ.
    Amqp(AmqpBroker),
    /// The embedded broker: a file on this machine.
    Local(LocalBroker),
}

/// A slot of a worker. It holds at most one request, and none while it waits.
pub enum Slot {
    /// A slot at RabbitMQ.
    Amqp(Box<AmqpSlot>),
    /// A slot at the embedded broker.
    Local(LocalSlot),
}

/// A request held by this worker. Dropping it without [`Claim::settle`] returns the request to its queue.
pub struct Claim {
    /// Queue that the request came from.
    pub queue: QueueName,
    /// The request, with an id (a new one if it came without); or the reason why the message is not a request.
    pub request: Result<Request, InvalidRequest>,
    /// Number of this attempt; the first is 1.
    pub attempt: u32,
    /// Whether another holder may have had the request before: then its result may exist already.
    pub redelivered: bool,
    /// Number of times that the request was passed on since an attempt last counted: see [`Settlement::Later`].
    pub handovers: u32,
    /// Failures of earlier attempts, oldest first.
    ///
    /// These are the latest ones of [`Settlement::Later`], at most [`MAX_FAILURES`](super::MAX_FAILURES).
    pub failures: Vec<Failure>,
    backend: ClaimBackend,
}

/// The part of a claim that belongs to a backend.
enum ClaimBackend {
    Amqp(AmqpClaim),
    Local(LocalClaim),
}

/// A receiver of the announcements of a topic.
pub enum Listener {
    /// A receiver at RabbitMQ.
    Amqp(Box<AmqpListener>),
    /// A receiver at the embedded broker, which has no announcements.
    Local,
}

impl Broker {
    /// Connects to the broker at this address.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] within [`CONNECT_TIMEOUT`](super::CONNECT_TIMEOUT).
    pub async fn connect(url: &QueueUrl) -> Result<Self, BrokerError> {
        match url {
            QueueUrl::Amqp(url) => AmqpBroker::connect(url).await.map(Self::Amqp),
            QueueUrl::Local(path) => LocalBroker::open(path).await.map(Self::Local),
        }
    }

    /// Creates the queues that do not exist. Existing ones stay as they are.
    ///
    /// # Errors
    /// When the broker refuses, for instance because these credentials may not create queues.
    pub async fn declare(&self, queues: &[QueueName]) -> Result<(), BrokerError> {
        match self {
            Self::Amqp(broker) => broker.declare(queues).await,
            Self::Local(broker) => broker.declare(queues).await,
        }
    }

    /// Checks that requests can be queued now.
    ///
    /// # Errors
    /// [`BrokerError::Blocked`] while an alarm of the broker blocks publishing, [`BrokerError::Denied`] without the
    /// permission to publish, or when the broker cannot be asked.
    pub async fn takes_messages(&self) -> Result<(), BrokerError> {
        match self {
            Self::Amqp(broker) => broker.takes_messages().await,
            Self::Local(_) => Ok(()),
        }
    }

    /// Checks that these credentials are sufficient for a worker, as far as that can be seen without taking a request.
    ///
    /// # Errors
    /// [`BrokerError::Denied`] when they are not, or when the broker cannot be asked.
    pub async fn check_rights(&self) -> Result<(), BrokerError> {
        match self {
            Self::Amqp(broker) => broker.check_rights().await,
            Self::Local(_) => Ok(()),
        }
    }

    /// Returns those of the queues that exist.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn existing(&self, queues: &[QueueName]) -> Result<Vec<QueueName>, BrokerError> {
        match self {
            Self::Amqp(broker) => broker.existing(queues).await,
            Self::Local(broker) => broker.existing(queues).await,
        }
    }

    /// Queues the requests, in order, each with an id. All queues are checked before anything is queued.
    ///
    /// `confirmed` is called with the number of requests that are durable so far.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchQueue`] when a queue is missing, with the `nearest` names among `known`; nothing is queued
    /// then. [`BrokerError::Unconfirmed`] when the broker becomes unreachable in the middle.
    pub async fn submit(
        &self,
        submissions: &[Submission],
        known: &[QueueName],
        confirmed: &mut (dyn FnMut(usize) + Send),
    ) -> Result<(), BrokerError> {
        self.submit_again(submissions, &HashSet::new(), known, confirmed).await
    }

    /// Queues requests of which some may have been submitted before: those with the ids in `sent_before`.
    ///
    /// Workers look for the results of these before they run them. See [`Broker::submit`] for the rest.
    ///
    /// # Errors
    /// The errors of [`Broker::submit`].
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

    /// Returns the existing queues among `known` with the names most similar to a missing one's.
    ///
    /// These are at most three, nearest first.
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

    /// Returns a slot that serves these queues in fair rotation. Queues that do not exist are created.
    ///
    /// Slots of one process share a [`Rotation`]; a list of queues makes a new one.
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

    /// Returns the state of those of the queues that exist.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn inspect(&self, queues: &[QueueName]) -> Result<Vec<QueueState>, BrokerError> {
        match self {
            Self::Amqp(broker) => broker.inspect(queues).await,
            Self::Local(broker) => broker.inspect(queues).await,
        }
    }

    /// Returns the state of queues of a site, which are asked for again and again. Otherwise like [`Broker::inspect`].
    ///
    /// RabbitMQ logs each question about a queue that does not exist as an error. So with `may_create`, queues that
    /// were never seen to exist are created, if this user may do so. Other missing queues are asked for again a minute
    /// later.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn inspect_site(&self, queues: &[QueueName], may_create: bool) -> Result<Vec<QueueState>, BrokerError> {
        match self {
            Self::Amqp(broker) => broker.inspect_site(queues, may_create).await,
            Self::Local(broker) => broker.inspect(queues).await,
        }
    }

    /// Returns whether listing an existing queue may be impossible, now or when it has more messages.
    ///
    /// `true` when that is unknown.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn may_be_opaque(&self, queue: &QueueName) -> Result<bool, BrokerError> {
        match self {
            Self::Amqp(broker) => broker.may_be_opaque(queue).await,
            Self::Local(_) => Ok(false),
        }
    }

    /// Returns the messages of a queue, at most `limit` of each kind.
    ///
    /// Dead letters are left out if they cannot be listed.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchQueue`] (without `nearest`) when it does not exist, [`BrokerError::Opaque`] when the
    /// waiting messages cannot be listed, or when the broker cannot be asked.
    pub async fn contents(&self, queue: &QueueName, limit: usize) -> Result<QueueContents, BrokerError> {
        match self.visible_contents(queue, limit).await? {
            QueueContents { hidden: Some(opaque), .. } => Err(BrokerError::Opaque(Box::new(opaque))),
            contents => Ok(contents),
        }
    }

    /// Returns the messages of a queue that can be listed, and the reason if others cannot.
    ///
    /// Otherwise like [`Broker::contents`].
    ///
    /// # Errors
    /// [`BrokerError::NoSuchQueue`] (without `nearest`) when it does not exist, or when the broker cannot be asked.
    pub async fn visible_contents(&self, queue: &QueueName, limit: usize) -> Result<QueueContents, BrokerError> {
        match self {
            Self::Amqp(broker) => broker.contents(queue, limit).await,
            Self::Local(broker) => broker.contents(queue, limit).await,
        }
    }

    /// Removes messages that no worker holds from a queue; with `to`, moves them to the end of another queue.
    ///
    /// `selector` is called once, if there is any message, with all messages in that state, in their order. Messages
    /// that it does not choose keep their places. Dead letters that move lose their history.
    ///
    /// Workers are not stopped: the messages that they take are not seen. If this process dies, each chosen message is
    /// still in its queue, or where it was to go. With RabbitMQ, one that was to go to another queue may be in both,
    /// with the same id; then its result is looked for before it is run.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchQueue`], [`BrokerError::NotTaken`] with the error of `selector`, or [`BrokerError::Opaque`]
    /// when the messages that are not chosen could not be returned without harm. When the broker is unreachable or
    /// refuses, some of the chosen messages may be removed, and the rest is in the queue.
    pub async fn take_out(
        &self,
        queue: &QueueName,
        state: MessageState,
        to: Option<&QueueName>,
        selector: Selector,
    ) -> Result<usize, BrokerError> {
        self.take(queue, state, to, Extent::Some, selector).await
    }

    /// Removes or moves all messages in this state, also in a queue that cannot be listed.
    ///
    /// `selector` must choose all of them.
    ///
    /// # Errors
    /// The errors of [`Broker::take_out`].
    pub async fn take_everything(
        &self,
        queue: &QueueName,
        state: MessageState,
        to: Option<&QueueName>,
        selector: Selector,
    ) -> Result<usize, BrokerError> {
        self.take(queue, state, to, Extent::Everything, selector).await
    }

    async fn take(
        &self,
        queue: &QueueName,
        state: MessageState,
        to: Option<&QueueName>,
        extent: Extent,
        selector: Selector,
    ) -> Result<usize, BrokerError> {
        let needed: Vec<QueueName> = [Some(queue), to].into_iter().flatten().cloned().collect();
        let existing = self.existing(&needed).await?;
        if let Some(missing) = needed.into_iter().find(|queue| !existing.contains(queue)) {
            return Err(BrokerError::NoSuchQueue { queue: missing, nearest: Vec::new() });
        }
        match self {
            Self::Amqp(broker) => broker.take_out(queue, state, to, extent, selector).await,
            Self::Local(broker) => broker.take_out(queue, state, to, selector).await,
        }
    }

    /// Returns every request that a worker holds, in no order.
    ///
    /// # Errors
    /// When the broker, and through it the workers, cannot be asked.
    pub async fn running(&self) -> Result<Vec<RunningTest>, BrokerError> {
        match self {
            Self::Amqp(broker) => broker.running().await,
            Self::Local(broker) => broker.running().await,
        }
    }

    /// Returns the queues that can be found without their names.
    ///
    /// These are all queues of the embedded broker. RabbitMQ does not list its queues to clients: there, these are the
    /// queues of requests that run or wait out a delay.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn queues_in_use(&self) -> Result<Vec<QueueName>, BrokerError> {
        match self {
            Self::Amqp(broker) => broker.queues_in_use().await,
            Self::Local(broker) => broker.queues().await,
        }
    }

    /// Returns whether a worker serves this queue, busy or not. `None` when that is unknown.
    ///
    /// It is unknown when a worker did not answer, or has a version that does not report which queues it serves.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn is_served(&self, queue: &QueueName) -> Result<Option<bool>, BrokerError> {
        match self {
            Self::Amqp(broker) => broker.is_served(queue).await,
            Self::Local(broker) => broker.is_served(queue).await.map(Some),
        }
    }

    /// Asks the worker that runs a test to cancel it, wherever it is.
    ///
    /// [`CancelOutcome::NotFound`] proves nothing: the request may be on its way from its queue to a worker, or back.
    ///
    /// # Errors
    /// When the broker, or the worker, cannot be asked.
    pub async fn cancel(&self, request: &CancelRequest) -> Result<CancelOutcome, BrokerError> {
        match self {
            Self::Amqp(broker) => broker.cancel(request).await,
            Self::Local(broker) => broker.cancel(request).await,
        }
    }

    /// Starts to receive the announcements of a topic. The embedded broker has none.
    ///
    /// # Errors
    /// When the broker is unreachable or refuses.
    pub async fn listen(&self, topic: Topic) -> Result<Listener, BrokerError> {
        match self {
            Self::Amqp(broker) => broker.listen(topic).await.map(|listener| Listener::Amqp(Box::new(listener))),
            Self::Local(_) => Ok(Listener::Local),
        }
    }

    /// Publishes an announcement to all listeners of a topic. The embedded broker has no listeners.
    ///
    /// # Errors
    /// When the broker is unreachable. The announcement is lost then: it is news, not a record.
    pub async fn announce(&self, topic: Topic, message: &[u8]) -> Result<(), BrokerError> {
        match self {
            Self::Amqp(broker) => broker.announce(topic, message).await,
            Self::Local(_) => Ok(()),
        }
    }

    /// Returns unsettled requests to their queues and closes the connection.
    pub async fn close(self) {
        match self {
            Self::Amqp(broker) => broker.close().await,
            Self::Local(broker) => broker.close().await,
        }
    }
}

impl Listener {
    /// Returns whether this broker has announcements at all.
    pub fn hears(&self) -> bool {
        matches!(self, Self::Amqp(_))
    }

    /// Returns the next announcement, or `None` when there is none until this time.
    ///
    /// # Errors
    /// When the connection was lost. Announcements since then are lost, too.
    pub async fn next(&mut self, until: tokio::time::Instant) -> Result<Option<Vec<u8>>, BrokerError> {
        match self {
            Self::Amqp(listener) => listener.next(until).await,
            Self::Local => {
                tokio::time::sleep_until(until).await;
                Ok(None)
            }
        }
    }

    /// Stops receiving announcements.
    pub async fn end(self) {
        match self {
            Self::Amqp(listener) => listener.end().await,
            Self::Local => {}
        }
    }
}

impl Slot {
    /// Claims the next request.
    ///
    /// `None` when `stop` is cancelled first, or when `wait` ends because the queues are empty.
    ///
    /// Not cancel-safe: end it with `stop`, so that no request is caught half-way. While the broker is unreachable, it
    /// reconnects with backoff, and logs that.
    ///
    /// # Errors
    /// With [`Wait::UntilEmpty`], when the broker cannot be reached; otherwise only when it refuses the operation.
    pub async fn claim(&mut self, wait: Wait, stop: &CancellationToken) -> Result<Option<Claim>, BrokerError> {
        match self {
            Self::Amqp(slot) => Ok(slot.claim(wait, stop).await?.map(|claim| Claim::new(claim, ClaimBackend::Amqp))),
            Self::Local(slot) => Ok(slot.claim(wait, stop).await?.map(|claim| Claim::new(claim, ClaimBackend::Local))),
        }
    }
}

impl Claim {
    fn new<H>(claim: NewClaim<H>, wrap: impl FnOnce(H) -> ClaimBackend) -> Self {
        let NewClaim { queue, request, redelivered, history, backend } = claim;
        let History { attempts: attempt, handovers, failures } = history;
        Self { queue, request, attempt, redelivered, handovers, failures, backend: wrap(backend) }
    }

    /// Attaches the running test, so that clients of the broker can see its progress and cancel it.
    ///
    /// Must be called within the runtime.
    pub fn attach(&mut self, test: TestHandle) {
        match &mut self.backend {
            ClaimBackend::Amqp(backend) => backend.attach(test),
            ClaimBackend::Local(backend) => backend.attach(test),
        }
    }

    /// Logs a step that the worker has made. The embedded broker has no claim protocol, and logs nothing.
    pub fn log(&self, step: ClaimStep) {
        match &self.backend {
            ClaimBackend::Amqp(backend) => backend.log(step),
            ClaimBackend::Local(_) => {}
        }
    }

    /// Waits until the claim is lost, and returns the reason.
    ///
    /// The connection broke and another worker has the request now: the run must be abandoned. Never returns while the
    /// claim is held or can still be renewed.
    pub async fn lost(&mut self) -> String {
        match &mut self.backend {
            ClaimBackend::Amqp(backend) => backend.lost().await,
            ClaimBackend::Local(_) => std::future::pending().await,
        }
    }

    /// Waits until the claim is certainly held.
    ///
    /// This takes time only while the broker is unreachable and the claim must be acquired again.
    ///
    /// # Errors
    /// [`BrokerError::ClaimLost`].
    pub async fn held(&mut self) -> Result<(), BrokerError> {
        match &mut self.backend {
            ClaimBackend::Amqp(backend) => backend.held().await,
            ClaimBackend::Local(_) => Ok(()),
        }
    }

    /// Returns whether the claim was interrupted and acquired again: another worker may have run the request meanwhile.
    pub fn was_interrupted(&self) -> bool {
        match &self.backend {
            ClaimBackend::Amqp(backend) => backend.was_interrupted(),
            ClaimBackend::Local(_) => false,
        }
    }

    /// Returns whether another worker waits for requests of this queue now.
    ///
    /// Slots that share this claim's [`Rotation`] do not count.
    ///
    /// The answer may have changed by the time that the request is back in its queue.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn has_other_consumers(&self) -> Result<bool, BrokerError> {
        match &self.backend {
            ClaimBackend::Amqp(backend) => backend.has_other_consumers().await,
            ClaimBackend::Local(backend) => backend.has_other_consumers().await,
        }
    }

    /// Ends the claim. Waits while the broker is unreachable.
    ///
    /// # Errors
    /// [`BrokerError::ClaimLost`], or when the broker refuses.
    pub async fn settle(self, settlement: Settlement) -> Result<(), BrokerError> {
        match self.backend {
            ClaimBackend::Amqp(backend) => backend.settle(settlement).await,
            ClaimBackend::Local(backend) => backend.settle(settlement).await,
        }
    }
}
