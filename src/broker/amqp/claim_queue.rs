//! The queue in which a slot keeps its copy of the request that it runs. It is made before a request comes, and used again
//! for the next.
//!
//! A message in it lives for no time: it is delivered to the slot at once, or goes to its origin. The queue names no
//! routing key for that, so the broker takes the one that the message was published with. That is the origin's name: copies are published
//! to a fanout exchange in front of the queue, which does not look at routing keys.
//!
//! Where an origin is a quorum queue, the claim queue is one as well, and dead-letters at least once: a classic queue hands over what has
//! expired only once, also while a quorum queue has no leader yet, as after a restart of the broker, and then it is lost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lapin::options::{
    BasicConsumeOptions, BasicQosOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Consumer, ExchangeKind};

use super::channel::{PREFETCH, close, in_time};
use super::connection::Live;
use super::fault::Fault;
use super::kinds::DELIVERY_LIMIT;
use super::lock::Locks;
use super::message::Subject;
use super::{looks, names};
use crate::broker::claim_step::ClaimLog;
use crate::release::QueueName;

/// A claim queue that nobody has consumed for so long is removed by the broker, and its exchange with it. Milliseconds.
const UNUSED_CLAIM_QUEUE_EXPIRES: i32 = 600_000;

/// A claim queue and its exchange, both of one name, with all that it takes to use them.
pub(super) struct ClaimQueue {
    /// Which connection of its link it is on.
    connection: u64,
    /// The slot that it belongs to.
    slot: Arc<str>,
    is_quorum: bool,
    pub(super) name: ShortString,
    pub(super) channel: Channel,
    pub(super) consumer: Consumer,
    pub(super) locks: Locks,
}

impl ClaimQueue {
    async fn make(live: &Live, name: ShortString, slot: Arc<str>, is_quorum: bool) -> Result<Self, Fault> {
        let channel = live.confirming_channel().await?;
        match in_time(Self::consume(&channel, &name, is_quorum)).await {
            Ok(consumer) => {
                let (connection, locks) = (live.number, Locks::on(live).await?);
                Ok(Self { connection, slot, is_quorum, name, channel, consumer, locks })
            }
            Err(fault) => {
                close(&channel).await;
                Err(fault)
            }
        }
    }

    /// The consumer must be there before the first copy: a message that cannot be delivered at once has expired.
    async fn consume(channel: &Channel, name: &ShortString, is_quorum: bool) -> Result<Consumer, Fault> {
        let mut arguments = expiring(0, is_quorum);
        arguments.insert("x-expires".into(), AMQPValue::LongInt(UNUSED_CLAIM_QUEUE_EXPIRES));
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        channel.queue_declare(name.clone(), options, arguments).await?;
        // It goes when the queue does. A restart of the broker needs only what is in the queue.
        let options = ExchangeDeclareOptions { auto_delete: true, ..Default::default() };
        channel.exchange_declare(name.clone(), ExchangeKind::Fanout, options, FieldTable::default()).await?;
        let (key, options) = (ShortString::default(), QueueBindOptions::default());
        channel.queue_bind(name.clone(), name.clone(), key, options, FieldTable::default()).await?;
        // Per consumer: what `global` would mean is gone from newer brokers.
        channel.basic_qos(PREFETCH, BasicQosOptions { global: false }).await?;
        let (tag, options) = (ShortString::default(), BasicConsumeOptions { exclusive: true, ..Default::default() });
        Ok(channel.basic_consume(name.clone(), tag, options, FieldTable::default()).await?)
    }

    /// Returns the log of its slot's steps with this request.
    pub(super) fn log(&self, subject: &Subject) -> ClaimLog {
        ClaimLog::new(&self.slot, subject.uuid.as_ref())
    }

    fn is_usable_on(&self, live: &Live) -> bool {
        self.connection == live.number && self.channel.status().connected()
    }

    /// Gives up the channel. What is still unacknowledged goes to its origin.
    pub(super) async fn close(self) {
        close(&self.channel).await;
        self.locks.close().await;
    }
}

/// The arguments of a queue whose messages go to their origin after a time, in milliseconds, whatever type is the default. A quorum queue
/// counts how often its messages were looked at; the limit is one that is never reached.
pub(super) fn expiring(time: i32, is_quorum: bool) -> FieldTable {
    let mut arguments = FieldTable::default();
    let text = |value: &str| AMQPValue::LongString(value.into());
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    if is_quorum {
        arguments.insert("x-queue-type".into(), text("quorum"));
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        // The strategy needs it. There is no length at which anything would be rejected.
        arguments.insert("x-overflow".into(), text("reject-publish"));
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(DELIVERY_LIMIT));
    } else {
        arguments.insert("x-queue-type".into(), text("classic"));
    }
    arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(time));
    arguments
}

/// The claim queues of a slot: one that is ready, and names for new ones. There are two in use when a slot claims a request while
/// it holds another, and a new one is needed after an outage: the broker may not have noticed yet that the former
/// connection's consumer is gone.
pub(super) struct Shelf {
    slot: Arc<str>,
    /// The queues that the slot serves.
    origins: Vec<QueueName>,
    made: AtomicU64,
    ready: Mutex<Option<ClaimQueue>>,
}

impl Shelf {
    pub(super) fn of_a_new_slot(origins: Vec<QueueName>) -> Self {
        Self { slot: names::slot_id().into(), origins, made: AtomicU64::new(0), ready: Mutex::default() }
    }

    /// The queue that is ready, or else a new one.
    pub(super) async fn take(&self, live: &Live) -> Result<ClaimQueue, Fault> {
        let is_quorum = self.needs_quorum(live).await?;
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner).take();
        match ready.filter(|ready| ready.is_usable_on(live)) {
            Some(ready) if ready.is_quorum || !is_quorum => return Ok(ready),
            Some(ready) => ready.close().await,
            None => {}
        }
        self.make(live, is_quorum).await
    }

    /// Returns a new queue in place of one that is in use, if an origin has become a quorum queue and this one is none.
    pub(super) async fn replacement(&self, live: &Live, used: &ClaimQueue) -> Result<Option<ClaimQueue>, Fault> {
        if used.is_quorum || !self.needs_quorum(live).await? {
            return Ok(None);
        }
        self.make(live, true).await.map(Some)
    }

    async fn needs_quorum(&self, live: &Live) -> Result<bool, Fault> {
        looks::any_quorum(live, self.origins.iter().map(names::short)).await
    }

    async fn make(&self, live: &Live, is_quorum: bool) -> Result<ClaimQueue, Fault> {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        ClaimQueue::make(live, names::claim_queue(&self.slot, number), Arc::clone(&self.slot), is_quorum).await
    }

    /// Name of the slot: no other slot has it, in this process or another.
    pub(super) fn slot(&self) -> &Arc<str> {
        &self.slot
    }

    /// Takes back a queue that holds nothing.
    pub(super) async fn put(&self, queue: ClaimQueue) {
        let surplus = self.ready.lock().unwrap_or_else(PoisonError::into_inner).replace(queue);
        if let Some(surplus) = surplus {
            surplus.close().await;
        }
    }
}
