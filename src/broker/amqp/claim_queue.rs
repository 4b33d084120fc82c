//! The queue in which a slot keeps its copy of the request that it runs.
//!
//! It is created before a request comes, and used again for the next one. Its messages have a time to live of zero:
//! each is delivered to the slot at once, or goes to its origin. The queue has no routing key for dead letters, so the
//! broker uses the key that the message was published with, which is the origin's name. To make that possible, copies
//! are published to a fanout exchange in front of the queue, which ignores routing keys.
//!
//! If an origin is a quorum queue, the claim queue is one as well, and dead-letters at least once. A classic queue
//! moves an expired message only once, even while a quorum queue has no leader, as after a restart of the broker; the
//! message is lost then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lapin::options::{
    BasicConsumeOptions, BasicQosOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Consumer, ExchangeKind};

use super::channel::{PREFETCH, close, with_timeout};
use super::connection::Connection;
use super::error::AmqpError;
use super::kind_cache::DELIVERY_LIMIT;
use super::lock::Locks;
use super::message::ClaimedRequest;
use super::{browsable, names};
use crate::broker::claim_step::ClaimLog;
use crate::release::QueueName;

/// Time after which the broker deletes a claim queue without a consumer, and its exchange with it, in milliseconds.
const UNUSED_QUEUE_TTL: i32 = 600_000;

/// A claim queue and its exchange, which have the same name.
pub(super) struct ClaimQueue {
    /// Number of the connection that it uses.
    connection_number: u64,
    /// Name of the slot that it belongs to.
    slot: Arc<str>,
    is_quorum: bool,
    pub(super) name: ShortString,
    pub(super) channel: Channel,
    pub(super) consumer: Consumer,
    pub(super) locks: Locks,
}

impl ClaimQueue {
    async fn make(
        connection: &Connection,
        name: ShortString,
        slot: Arc<str>,
        is_quorum: bool,
    ) -> Result<Self, AmqpError> {
        let channel = connection.confirming_channel().await?;
        match with_timeout(Self::consume(&channel, &name, is_quorum)).await {
            Ok(consumer) => {
                let (connection_number, locks) = (connection.number, Locks::on(connection).await?);
                Ok(Self { connection_number, slot, is_quorum, name, channel, consumer, locks })
            }
            Err(fault) => {
                close(&channel).await;
                Err(fault)
            }
        }
    }

    /// Creates the queue and consumes from it. A message that arrives before the consumer would expire at once.
    async fn consume(channel: &Channel, name: &ShortString, is_quorum: bool) -> Result<Consumer, AmqpError> {
        let mut arguments = expiring(0, is_quorum);
        arguments.insert("x-expires".into(), AMQPValue::LongInt(UNUSED_QUEUE_TTL));
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        channel.queue_declare(name.clone(), options, arguments).await?;
        // The exchange is deleted with the queue. After a restart of the broker, only the messages of the queue matter.
        let options = ExchangeDeclareOptions { auto_delete: true, ..Default::default() };
        channel.exchange_declare(name.clone(), ExchangeKind::Fanout, options, FieldTable::default()).await?;
        let (key, options) = (ShortString::default(), QueueBindOptions::default());
        channel.queue_bind(name.clone(), name.clone(), key, options, FieldTable::default()).await?;
        // Per consumer: newer brokers no longer support `global`.
        channel.basic_qos(PREFETCH, BasicQosOptions { global: false }).await?;
        let (tag, options) = (ShortString::default(), BasicConsumeOptions { exclusive: true, ..Default::default() });
        Ok(channel.basic_consume(name.clone(), tag, options, FieldTable::default()).await?)
    }

    /// Returns the log of the slot's steps with this request.
    pub(super) fn log(&self, claimed: &ClaimedRequest) -> ClaimLog {
        ClaimLog::new(&self.slot, claimed.uuid.as_ref())
    }

    fn is_usable_on(&self, connection: &Connection) -> bool {
        self.connection_number == connection.number && self.channel.status().connected()
    }

    /// Closes the channel. Unacknowledged messages go to their origin.
    pub(super) async fn close(self) {
        close(&self.channel).await;
        self.locks.close().await;
    }
}

/// Returns the arguments of a queue whose messages go to their origin after a time in milliseconds.
///
/// The type is set explicitly, whatever the default is. A quorum queue counts how often its messages were listed; the
/// limit is never reached.
pub(super) fn expiring(time: i32, is_quorum: bool) -> FieldTable {
    let mut arguments = FieldTable::default();
    let text = |value: &str| AMQPValue::LongString(value.into());
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    if is_quorum {
        arguments.insert("x-queue-type".into(), text("quorum"));
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        // Required by the strategy. Without a maximum length, nothing is ever rejected.
        arguments.insert("x-overflow".into(), text("reject-publish"));
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(DELIVERY_LIMIT));
    } else {
        arguments.insert("x-queue-type".into(), text("classic"));
    }
    arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(time));
    arguments
}

/// The claim queues of a slot: one that is ready, and names for new ones.
///
/// Two are in use when a slot claims a request while it still holds another one. After an outage a new one is needed,
/// because the broker may not have noticed yet that the former connection's consumer is gone.
pub(super) struct ClaimQueuePool {
    slot: Arc<str>,
    /// Queues that the slot serves.
    origins: Vec<QueueName>,
    made: AtomicU64,
    ready: Mutex<Option<ClaimQueue>>,
}

impl ClaimQueuePool {
    pub(super) fn of_a_new_slot(origins: Vec<QueueName>) -> Self {
        Self { slot: names::slot_id().into(), origins, made: AtomicU64::new(0), ready: Mutex::default() }
    }

    /// Returns the queue that is ready, or a new one.
    pub(super) async fn take(&self, connection: &Connection) -> Result<ClaimQueue, AmqpError> {
        let is_quorum = self.needs_quorum(connection).await?;
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner).take();
        match ready.filter(|ready| ready.is_usable_on(connection)) {
            Some(ready) if ready.is_quorum || !is_quorum => return Ok(ready),
            Some(ready) => ready.close().await,
            None => {}
        }
        self.make(connection, is_quorum).await
    }

    /// Returns a replacement for a classic claim queue in use, if an origin has become a quorum queue.
    pub(super) async fn replacement(
        &self,
        connection: &Connection,
        used: &ClaimQueue,
    ) -> Result<Option<ClaimQueue>, AmqpError> {
        if used.is_quorum || !self.needs_quorum(connection).await? {
            return Ok(None);
        }
        self.make(connection, true).await.map(Some)
    }

    async fn needs_quorum(&self, connection: &Connection) -> Result<bool, AmqpError> {
        browsable::any_quorum(connection, self.origins.iter().map(names::short)).await
    }

    async fn make(&self, connection: &Connection, is_quorum: bool) -> Result<ClaimQueue, AmqpError> {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        ClaimQueue::make(connection, names::claim_queue(&self.slot, number), Arc::clone(&self.slot), is_quorum).await
    }

    /// Returns the name of the slot, which is unique among all processes.
    pub(super) fn slot(&self) -> &Arc<str> {
        &self.slot
    }

    /// Takes back a queue that holds no message.
    pub(super) async fn put(&self, queue: ClaimQueue) {
        let surplus = self.ready.lock().unwrap_or_else(PoisonError::into_inner).replace(queue);
        if let Some(surplus) = surplus {
            surplus.close().await;
        }
    }
}
