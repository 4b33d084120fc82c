//! RabbitMQ.
//!
//! A request waits in a durable queue. A worker's slot that takes it makes a copy in a claim queue of its own
//! ([`claim_queue`], [`copy`]) before it acknowledges the origin's, renews that copy as long as the test runs ([`keeper`]), and removes it when the result is
//! complete. If the worker dies, the broker moves the copy to the origin at once; if only the connection breaks, the
//! worker announces its claim again. Two copies of one request never run at the same time ([`acquire`]).
//!
//! What shall come back later waits in a queue that leads to its origin ([`delay`]).
//!
//! Request queues may be classic or quorum queues. Which of them can be looked into without harm is tried out ([`looks`]).
//!
//! The credentials of workers need to configure, write and read queues and exchanges that begin with `apt-ci.`, to read and
//! write the request queues, and to write to the default exchange.
//!
//! Works on RabbitMQ 3.10, and uses nothing that 4.x has removed.

mod acquire;
mod announce;
mod channel;
mod claim_queue;
mod claims;
mod connection;
mod copies;
mod copy;
mod delay;
mod fault;
mod health;
mod held;
mod holder_query;
mod inspect;
mod keeper;
mod kinds;
mod lock;
mod looks;
mod message;
mod names;
mod publish;
mod queue_probe;
mod queues;
mod returns;
mod rights;
mod roll_call;
mod slot;
mod survey;
mod take_out;
mod type_note;

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use self::announce::Announcer;
use self::claims::HeldClaim;
use self::connection::Link;
use self::fault::Fault;
use self::holder_query::Answers;
use self::inspect::Absent;
use self::queue_probe::Looking;
use self::roll_call::Presence;
use super::contact::{Cancel, Cancelled, RunningTest};
use super::take_out::Extent;
use super::url::AmqpUrl;
use super::{BrokerError, Choice, Pile, QueueContents, QueueState, Rotation, Topic};
use crate::release::QueueName;
use crate::request::RequestId;
use crate::request::line::Submission;

pub use self::announce::AmqpListener;
pub use self::keeper::AmqpHold;
pub use self::message::headers_of_copy;
pub use self::slot::AmqpSlot;

/// A connection to RabbitMQ, which is made again when it is used after a loss.
pub struct AmqpBroker {
    link: Arc<Link>,
    announcer: Box<tokio::sync::Mutex<Announcer>>,
    /// There from the first slot on, as long as slots or claims are.
    presence: Mutex<Weak<Presence>>,
}

impl AmqpBroker {
    /// Connects.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] within [`super::CONNECT_TIMEOUT`].
    pub(super) async fn connect(url: &AmqpUrl) -> Result<Self, BrokerError> {
        let link = Link::new(url)?;
        link.live().await?;
        Ok(Self { link, announcer: Box::default(), presence: Mutex::default() })
    }

    /// Makes the queues exist.
    ///
    /// # Errors
    /// When the broker is away or refuses.
    pub(super) async fn declare(&self, queues: &[QueueName]) -> Result<(), BrokerError> {
        let live = self.link.live().await?;
        queues::declare(&live, queues).await.map_err(|fault| self.link.error("declare the queues", fault))
    }

    /// Which of these queues exist.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub(super) async fn existing(&self, queues: &[QueueName]) -> Result<Vec<QueueName>, BrokerError> {
        let live = self.link.live().await?;
        let split = queues::split(&live, queues).await;
        split.map(|(existing, _)| existing).map_err(|fault| self.link.error("look for queues", fault))
    }

    /// Makes sure that the broker takes messages now.
    ///
    /// # Errors
    /// [`BrokerError::Blocked`] when an alarm blocks publishing, [`BrokerError::Denied`] when this user may not publish.
    pub(super) async fn takes_messages(&self) -> Result<(), BrokerError> {
        publish::probe(&self.link).await
    }

    /// Makes sure that this user may do what a worker does, apart from taking requests.
    ///
    /// # Errors
    /// [`BrokerError::Denied`] when it may not, or when the broker cannot be asked.
    pub(super) async fn check_rights(&self) -> Result<(), BrokerError> {
        self.takes_messages().await?;
        let live = self.link.live().await?;
        rights::check(&live).await.map_err(|fault| self.link.error("hold requests as a worker", fault))
    }

    /// Queues the requests in order; `confirmed` is told how many are durable. Those with the ids of `sent_before` are marked.
    ///
    /// # Errors
    /// [`BrokerError::Unconfirmed`] when not all were confirmed; [`BrokerError::NoSuchQueue`] when the only one was unroutable.
    pub(super) async fn submit(
        &self,
        submissions: &[Submission],
        sent_before: &HashSet<RequestId>,
        confirmed: &mut (dyn FnMut(usize) + Send),
    ) -> Result<(), BrokerError> {
        publish::submit(&self.link, submissions, sent_before, confirmed).await
    }

    /// A worker's place that serves these queues, which are made to exist.
    ///
    /// # Errors
    /// When the broker is away, or the queues cannot be declared.
    pub(super) async fn slot(&self, rotation: Rotation) -> Result<AmqpSlot, BrokerError> {
        self.declare(rotation.queues()).await?;
        let presence = {
            let mut current = self.presence.lock().unwrap_or_else(PoisonError::into_inner);
            current.upgrade().unwrap_or_else(|| {
                let presence = Arc::new(Presence::start(Arc::clone(&self.link)));
                *current = Arc::downgrade(&presence);
                presence
            })
        };
        Ok(AmqpSlot::new(Arc::clone(&self.link), rotation, presence))
    }

    /// The state of those of the queues that exist.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub(super) async fn inspect(&self, queues: &[QueueName]) -> Result<Vec<QueueState>, BrokerError> {
        self.states(queues, Absent::AskedFor).await
    }

    /// The state of queues of a site: see [`super::Broker::inspect_site`].
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub(super) async fn inspect_site(&self, queues: &[QueueName], makes: bool) -> Result<Vec<QueueState>, BrokerError> {
        self.states(queues, Absent::OfSite { makes }).await
    }

    async fn states(&self, queues: &[QueueName], absent: Absent) -> Result<Vec<QueueState>, BrokerError> {
        let live = self.link.live().await?;
        let states = inspect::states(&self.link, &live, queues, absent).await;
        states.map_err(|fault| self.link.error("query the state of the queues", fault))
    }

    /// Whether looking into a queue may be impossible: see [`super::Broker::may_be_opaque`].
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub(super) async fn may_be_opaque(&self, queue: &QueueName) -> Result<bool, BrokerError> {
        let live = self.link.live().await?;
        let asked = looks::may_be_quorum(&live, &names::short(queue)).await;
        asked.map_err(|fault| self.link.error("query the type of a queue", fault))
    }

    /// What a queue holds: at most `limit` messages of each kind.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchQueue`], or when the broker cannot be asked.
    pub(super) async fn contents(&self, queue: &QueueName, limit: usize) -> Result<QueueContents, BrokerError> {
        let live = self.link.live().await?;
        match inspect::contents(&self.link, &live, queue, limit).await {
            Ok(Some(contents)) => Ok(contents),
            Ok(None) => Err(BrokerError::NoSuchQueue { queue: queue.clone(), nearest: Vec::new() }),
            Err(fault) => Err(self.link.error("list a queue", fault)),
        }
    }

    /// Takes messages out of a queue: see [`super::Broker::take_out`].
    ///
    /// # Errors
    /// [`BrokerError::NotTaken`], or when the broker is away or refuses.
    pub(super) async fn take_out(
        &self,
        queue: &QueueName,
        pile: Pile,
        to: Option<&QueueName>,
        extent: Extent,
        choice: Choice,
    ) -> Result<usize, BrokerError> {
        let live = self.link.live().await?;
        take_out::take_out(&self.link, &live, (queue, pile), to, extent, choice).await
    }

    /// What workers run now, as they tell.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub(super) async fn running(&self) -> Result<Vec<RunningTest>, BrokerError> {
        let live = self.link.live().await?;
        let error = |fault| self.link.error("query the workers for running tests", fault);
        let Answers { claims, incomplete, .. } = holder_query::ask_all(&self.link, &live).await.map_err(error)?;
        match incomplete {
            Some(fault @ Fault::Blocked(_)) => return Err(error(fault)),
            Some(fault) => tracing::warn!("running tests may be missing: {fault}"),
            None => {}
        }
        let test = |claim: HeldClaim| {
            let HeldClaim { origin, body, news } = claim;
            Some(RunningTest { queue: origin.parse().ok()?, body, news })
        };
        Ok(claims.into_iter().filter_map(test).collect())
    }

    /// The queues of which a request runs or waits out a delay, in the order of their names.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub(super) async fn queues_in_use(&self) -> Result<Vec<QueueName>, BrokerError> {
        let live = self.link.live().await?;
        let error = |fault| self.link.error("query which queues are in use", fault);
        let claims = holder_query::ask_all(&self.link, &live).await.map_err(error)?.claims;
        let delayed = delay::waiting(&live).await.map_err(error)?;
        let names = claims.iter().map(|claim| claim.origin.as_str());
        let names = names.chain(delayed.iter().map(|message| message.routing_key.as_str()));
        Ok(names.filter_map(|name| name.parse().ok()).collect::<BTreeSet<QueueName>>().into_iter().collect())
    }

    /// Whether a worker serves this queue: see [`super::Broker::is_served`].
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub(super) async fn is_served(&self, queue: &QueueName) -> Result<Option<bool>, BrokerError> {
        let live = self.link.live().await?;
        let error = |fault| self.link.error("query which queues are served", fault);
        let mut looking = Looking::at(&live);
        let lengths = looking.look(names::short(queue)).await.map_err(error)?;
        looking.end().await;
        if lengths.is_some_and(|lengths| lengths.consumers > 0) {
            return Ok(Some(true));
        }
        let answers = holder_query::ask_all(&self.link, &live).await.map_err(error)?;
        let name = queue.to_string();
        if answers.claims.iter().any(|claim| claim.origin == name) {
            return Ok(Some(true));
        }
        let served = answers.served.map(|served| served.contains(&name));
        // A worker that did not answer may be the one.
        Ok(served.filter(|served| *served || answers.incomplete.is_none()))
    }

    /// Has a test cancelled by the worker that runs it.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub(super) async fn cancel(&self, wish: &Cancel) -> Result<Cancelled, BrokerError> {
        let live = self.link.live().await?;
        holder_query::cancel(&self.link, &live, wish)
            .await
            .map_err(|fault| self.link.error("send a cancellation to the workers", fault))
    }

    /// Listens at a topic from now on.
    ///
    /// # Errors
    /// When the broker is away or refuses.
    pub(super) async fn listen(&self, topic: Topic) -> Result<AmqpListener, BrokerError> {
        AmqpListener::new(Arc::clone(&self.link), topic).await
    }

    /// Tells every listener of a topic; at once or not at all.
    ///
    /// # Errors
    /// When the broker is away. Somebody else may be making a connection then; the next announcement uses it.
    pub(super) async fn announce(&self, topic: Topic, message: &[u8]) -> Result<(), BrokerError> {
        let action = "publish an announcement";
        let Some(live) = self.link.current() else {
            let link = Arc::clone(&self.link);
            tokio::spawn(async move { link.live().await.map(drop) });
            return Err(self.link.error(action, Fault::Away("the connection was lost".to_owned())));
        };
        let mut announcer = self.announcer.lock().await;
        announcer.announce(&live, topic, message).await.map_err(|fault| self.link.error(action, fault))
    }

    /// Gives everything unsettled back and closes the connection.
    pub(super) async fn close(self) {
        type_note::correct(&self.link).await;
        self.link.close().await;
    }
}
