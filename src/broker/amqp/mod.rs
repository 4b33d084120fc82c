//! The backend for RabbitMQ, from 3.10 to 4.x.
//!
//! A request waits in a durable queue. A worker's slot that takes it stores a copy in a claim queue of its own
//! ([`claim_queue`], [`claimed_message`]) before it acknowledges the delivery. It renews the copy while the test runs
//! ([`claim_task`]), and removes it when the result is complete. If the worker dies, the broker returns the copy to the
//! request's queue at once. If only the connection breaks, the worker acquires the claim again. Two copies of one
//! request never run at the same time ([`acquire`]).
//!
//! Requests that wait out a delay are in queues that lead back to their origins ([`delay`]).
//!
//! Request queues may be classic or quorum queues. Whether one can be listed without harm is tried out ([`browsable`]).
//!
//! The credentials of workers need to configure, write and read queues and exchanges that begin with `apt-ci.`, to read
//! and write the request queues, and to write to the default exchange.

mod acquire;
mod announce;
mod browsable;
mod browse;
mod channel;
mod claim_queue;
mod claim_registry;
mod claim_task;
mod claimed_message;
mod connection;
mod copy_publisher;
mod delay;
mod depth_cache;
mod error;
mod health;
mod holder_query;
mod inspect;
mod kind_cache;
mod lock;
mod message;
mod names;
mod publish;
mod query_responder;
mod queue_probe;
mod queues;
mod returns;
mod rights;
mod slot;
mod take_out;
mod type_note;

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use self::announce::Announcer;
use self::claim_registry::HeldClaim;
use self::connection::Connector;
use self::error::AmqpError;
use self::holder_query::Answers;
use self::inspect::AbsentQueues;
use self::query_responder::QueryResponder;
use self::queue_probe::QueueProbe;
use super::take_out::Extent;
use super::test_handle::{CancelOutcome, CancelRequest, RunningTest};
use super::url::AmqpUrl;
use super::{BrokerError, MessageState, QueueContents, QueueState, Rotation, Selector, Topic};
use crate::release::QueueName;
use crate::request::RequestId;
use crate::request::line::Submission;

pub use self::announce::AmqpListener;
pub use self::claim_task::AmqpClaim;
pub use self::message::headers_of_copy;
pub use self::slot::AmqpSlot;

/// A client of RabbitMQ, which reconnects when it is used after a loss of its connection.
pub struct AmqpBroker {
    connector: Arc<Connector>,
    announcer: Box<tokio::sync::Mutex<Announcer>>,
    /// Exists from the first slot on, as long as there are slots or claims.
    responder: Mutex<Weak<QueryResponder>>,
}

impl AmqpBroker {
    /// Connects to the broker.
    pub(super) async fn connect(url: &AmqpUrl) -> Result<Self, BrokerError> {
        let connector = Connector::new(url)?;
        connector.connection().await?;
        Ok(Self { connector, announcer: Box::default(), responder: Mutex::default() })
    }

    /// Creates the queues that do not exist.
    pub(super) async fn declare(&self, queues: &[QueueName]) -> Result<(), BrokerError> {
        let connection = self.connector.connection().await?;
        queues::declare(&connection, queues).await.map_err(|fault| self.connector.error("declare the queues", fault))
    }

    /// Returns those of the queues that exist.
    pub(super) async fn existing(&self, queues: &[QueueName]) -> Result<Vec<QueueName>, BrokerError> {
        let connection = self.connector.connection().await?;
        let split = queues::split(&connection, queues).await;
        split.map(|(existing, _)| existing).map_err(|fault| self.connector.error("look for queues", fault))
    }

    /// Checks that the broker takes messages now.
    pub(super) async fn takes_messages(&self) -> Result<(), BrokerError> {
        publish::probe(&self.connector).await
    }

    /// Checks that this user may do everything that a worker does, apart from taking requests.
    pub(super) async fn check_rights(&self) -> Result<(), BrokerError> {
        self.takes_messages().await?;
        let connection = self.connector.connection().await?;
        rights::check(&connection).await.map_err(|fault| self.connector.error("hold requests as a worker", fault))
    }

    /// Queues the requests in order, and marks those with the ids of `sent_before`.
    ///
    /// # Errors
    /// [`BrokerError::Unconfirmed`] when not all were confirmed; [`BrokerError::NoSuchQueue`] when the only one was
    /// unroutable.
    pub(super) async fn submit(
        &self,
        submissions: &[Submission],
        sent_before: &HashSet<RequestId>,
        confirmed: &mut (dyn FnMut(usize) + Send),
    ) -> Result<(), BrokerError> {
        publish::submit(&self.connector, submissions, sent_before, confirmed).await
    }

    /// Returns a slot that serves these queues, which are created if they do not exist.
    pub(super) async fn slot(&self, rotation: Rotation) -> Result<AmqpSlot, BrokerError> {
        self.declare(rotation.queues()).await?;
        let responder = {
            let mut current = self.responder.lock().unwrap_or_else(PoisonError::into_inner);
            current.upgrade().unwrap_or_else(|| {
                let responder = Arc::new(QueryResponder::start(Arc::clone(&self.connector)));
                *current = Arc::downgrade(&responder);
                responder
            })
        };
        Ok(AmqpSlot::new(Arc::clone(&self.connector), rotation, responder))
    }

    /// Returns the state of those of the queues that exist.
    pub(super) async fn inspect(&self, queues: &[QueueName]) -> Result<Vec<QueueState>, BrokerError> {
        self.states(queues, AbsentQueues::AskedFor).await
    }

    /// Returns the state of queues of a site: see [`super::Broker::inspect_site`].
    pub(super) async fn inspect_site(
        &self,
        queues: &[QueueName],
        may_create: bool,
    ) -> Result<Vec<QueueState>, BrokerError> {
        self.states(queues, AbsentQueues::OfSite { may_create }).await
    }

    async fn states(&self, queues: &[QueueName], absent: AbsentQueues) -> Result<Vec<QueueState>, BrokerError> {
        let connection = self.connector.connection().await?;
        let states = inspect::states(&self.connector, &connection, queues, absent).await;
        states.map_err(|fault| self.connector.error("query the state of the queues", fault))
    }

    /// Returns whether listing a queue may be impossible: see [`super::Broker::may_be_opaque`].
    pub(super) async fn may_be_opaque(&self, queue: &QueueName) -> Result<bool, BrokerError> {
        let connection = self.connector.connection().await?;
        let asked = browsable::any_quorum(&connection, [names::short(queue)]).await;
        asked.map_err(|fault| self.connector.error("query the type of a queue", fault))
    }

    /// Returns the messages of a queue, at most `limit` of each kind.
    pub(super) async fn contents(&self, queue: &QueueName, limit: usize) -> Result<QueueContents, BrokerError> {
        let connection = self.connector.connection().await?;
        match inspect::contents(&self.connector, &connection, queue, limit).await {
            Ok(Some(contents)) => Ok(contents),
            Ok(None) => Err(BrokerError::NoSuchQueue { queue: queue.clone(), nearest: Vec::new() }),
            Err(fault) => Err(self.connector.error("list a queue", fault)),
        }
    }

    /// Takes messages out of a queue: see [`super::Broker::take_out`].
    pub(super) async fn take_out(
        &self,
        queue: &QueueName,
        state: MessageState,
        to: Option<&QueueName>,
        extent: Extent,
        selector: Selector,
    ) -> Result<usize, BrokerError> {
        let connection = self.connector.connection().await?;
        take_out::take_out(&self.connector, &connection, (queue, state), to, extent, selector).await
    }

    /// Returns the tests that workers run, as they report them.
    pub(super) async fn running(&self) -> Result<Vec<RunningTest>, BrokerError> {
        let connection = self.connector.connection().await?;
        let error = |fault| self.connector.error("query the workers for running tests", fault);
        let Answers { claims, incomplete, .. } =
            holder_query::ask_all(&self.connector, &connection).await.map_err(error)?;
        match incomplete {
            Some(fault @ AmqpError::Blocked(_)) => return Err(error(fault)),
            Some(fault) => tracing::warn!("running tests may be missing: {fault}"),
            None => {}
        }
        let test = |claim: HeldClaim| {
            let HeldClaim { origin, body, progress } = claim;
            Some(RunningTest { queue: origin.parse().ok()?, body, progress })
        };
        Ok(claims.into_iter().filter_map(test).collect())
    }

    /// Returns the queues of requests that run or wait out a delay, in the order of their names.
    pub(super) async fn queues_in_use(&self) -> Result<Vec<QueueName>, BrokerError> {
        let connection = self.connector.connection().await?;
        let error = |fault| self.connector.error("query which queues are in use", fault);
        let claims = holder_query::ask_all(&self.connector, &connection).await.map_err(error)?.claims;
        let delayed = delay::waiting(&connection).await.map_err(error)?;
        let names = claims.iter().map(|claim| claim.origin.as_str());
        let names = names.chain(delayed.iter().map(|message| message.routing_key.as_str()));
        Ok(names.filter_map(|name| name.parse().ok()).collect::<BTreeSet<QueueName>>().into_iter().collect())
    }

    /// Returns whether a worker serves this queue: see [`super::Broker::is_served`].
    pub(super) async fn is_served(&self, queue: &QueueName) -> Result<Option<bool>, BrokerError> {
        let connection = self.connector.connection().await?;
        let error = |fault| self.connector.error("query which queues are served", fault);
        let mut probe = QueueProbe::on(&connection);
        let lengths = probe.lengths(names::short(queue)).await.map_err(error)?;
        probe.end().await;
        if lengths.is_some_and(|lengths| lengths.consumers > 0) {
            return Ok(Some(true));
        }
        let answers = holder_query::ask_all(&self.connector, &connection).await.map_err(error)?;
        let name = queue.to_string();
        if answers.claims.iter().any(|claim| claim.origin == name) {
            return Ok(Some(true));
        }
        let served = answers.served.map(|served| served.contains(&name));
        // A worker that did not answer may serve the queue.
        Ok(served.filter(|served| *served || answers.incomplete.is_none()))
    }

    /// Asks the worker that runs a test to cancel it.
    pub(super) async fn cancel(&self, request: &CancelRequest) -> Result<CancelOutcome, BrokerError> {
        let connection = self.connector.connection().await?;
        holder_query::cancel(&self.connector, &connection, request)
            .await
            .map_err(|fault| self.connector.error("send a cancellation to the workers", fault))
    }

    /// Starts to receive the announcements of a topic.
    pub(super) async fn listen(&self, topic: Topic) -> Result<AmqpListener, BrokerError> {
        AmqpListener::new(Arc::clone(&self.connector), topic).await
    }

    /// Publishes an announcement to all listeners of a topic, at once or not at all.
    ///
    /// # Errors
    /// When the broker is unreachable. A new connection is made in the background then, for the next announcement.
    pub(super) async fn announce(&self, topic: Topic, message: &[u8]) -> Result<(), BrokerError> {
        let action = "publish an announcement";
        let Some(connection) = self.connector.current() else {
            let connector = Arc::clone(&self.connector);
            tokio::spawn(async move { connector.connection().await.map(drop) });
            return Err(self.connector.error(action, AmqpError::Unreachable("the connection was lost".to_owned())));
        };
        let mut announcer = self.announcer.lock().await;
        announcer.announce(&connection, topic, message).await.map_err(|fault| self.connector.error(action, fault))
    }

    /// Returns unsettled requests to their queues and closes the connection.
    pub(super) async fn close(self) {
        type_note::correct(&self.connector).await;
        self.connector.close().await;
    }
}
