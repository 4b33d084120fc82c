//! Messages of a queue that this process holds for a moment, to list them or to take some of them out.
//!
//! Messages that are not taken out return to their places, even when this process dies: the broker returns everything
//! that was not acknowledged.
//!
//! While they are held, workers find nothing in the queue. So all of them are requested at once, and none is waited
//! for: a consumer receives them as fast as the broker sends them, and stops as soon as the broker says that nothing is
//! left.
//!
//! The process that holds them is one of the queue's consumers, which other clients see. When its channel is closed,
//! the broker removes the consumer and returns the messages in one step. Messages of a quorum queue return a moment
//! later, which is waited for.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::{AMQPValue, DeliveryTag, FieldTable, ShortString};
use lapin::{Channel, Consumer};
use tokio::time::Instant;

use super::channel::{OTHER_HOLDER_TIMEOUT, close, flush, with_timeout};
use super::connection::Connection;
use super::copy_publisher::CopyPublisher;
use super::error::AmqpError;
use super::kind_cache::ReturnMethod;
use super::queue_probe::QueueProbe;
use super::returns;

/// Interval between questions whether anything is left.
const POLL_INTERVAL: Duration = Duration::from_millis(1);
/// Shortest pause between attempts to hold messages that another client holds.
const MIN_RETRY_DELAY: Duration = Duration::from_millis(5);
/// Limit of the random milliseconds that are added to it, so that two clients do not retry in step.
const MAX_JITTER_MILLIS: u32 = 20;
/// Timeout for messages to return to a quorum queue. Workers may have taken some of them.
const RETURN_TIMEOUT: Duration = Duration::from_millis(500);
/// Maximum number of copies that are on their way to another queue.
const MAX_COPIES_IN_FLIGHT: usize = 512;

/// Messages of a queue, in their order.
pub(super) struct BrowsedMessages {
    pub(super) messages: Vec<Delivery>,
    holder: Option<HoldingConsumer>,
}

/// The consumer that holds the messages.
struct HoldingConsumer {
    connection: Connection,
    queue: ShortString,
    channel: Channel,
    /// Kept because the consumer ends with this value.
    consumer: Consumer,
    give_back: ReturnMethod,
    /// Delivery tags of the messages, in their order.
    tags: Vec<DeliveryTag>,
    /// Delivery tags of the messages that were acknowledged.
    removed: Mutex<HashSet<DeliveryTag>>,
}

/// Maximum number of messages that are returned at once. A quorum queue of RabbitMQ 3.10 shuffles more than 32.
const RETURN_BATCH_SIZE: usize = 32;
/// Number of such returns without a pause. RabbitMQ's channel merges returns when the queue is behind by 32.
const RETURN_BATCHES_IN_FLIGHT: usize = 8;
/// Timeout for the queue to catch up with returns.
const CATCH_UP_TIMEOUT: Duration = Duration::from_millis(200);

impl BrowsedMessages {
    const NOTHING: Self = Self { messages: Vec::new(), holder: None };

    /// Holds the messages that are in the queue now, at most `limit`. A queue that does not exist has none.
    ///
    /// Another client that holds messages of the queue at the same time has a part of them.
    pub(super) async fn all(
        connection: &Connection,
        queue: ShortString,
        limit: usize,
        give_back: ReturnMethod,
    ) -> Result<Self, AmqpError> {
        let limit = if give_back == ReturnMethod::Nack { usize::MAX } else { limit };
        let mut probe = QueueProbe::on(connection);
        let ready = probe.lengths(queue.clone()).await?.map_or(0, |lengths| lengths.ready);
        let held = Self::take(connection, &queue, at_most(ready, limit), Some(give_back), &mut probe).await;
        probe.end().await;
        if let (Ok(held), ReturnMethod::Nack) = (&held, give_back) {
            returns::note_needed(connection, &queue, &held.messages).await;
        }
        held
    }

    /// Holds the messages of a queue from which only clients that list it consume.
    ///
    /// Only one client at a time holds them, so that none sees only a part.
    ///
    /// # Errors
    /// [`AmqpError::BeingBrowsed`] when another client has held its messages for [`OTHER_HOLDER_TIMEOUT`].
    pub(super) async fn alone(connection: &Connection, queue: ShortString, limit: usize) -> Result<Self, AmqpError> {
        let end = Instant::now() + OTHER_HOLDER_TIMEOUT;
        let mut probe = QueueProbe::on(connection);
        let held = loop {
            match probe.lengths(queue.clone()).await? {
                None => break Ok(Self::NOTHING),
                Some(lengths) if lengths.consumers == 0 => {
                    match Self::take(connection, &queue, at_most(lengths.ready, limit), None, &mut probe).await {
                        // Another client was faster.
                        Err(AmqpError::Locked) => {}
                        held => break held,
                    }
                }
                Some(_) => {}
            }
            if Instant::now() >= end {
                break Err(AmqpError::BeingBrowsed(OTHER_HOLDER_TIMEOUT));
            }
            let nanoseconds = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().subsec_nanos();
            tokio::time::sleep(
                MIN_RETRY_DELAY + Duration::from_millis((nanoseconds / 1000 % MAX_JITTER_MILLIS).into()),
            )
            .await;
        };
        probe.end().await;
        held
    }

    /// Holds messages.
    ///
    /// Without a way to return them, this is the only consumer, and they return when the channel is closed.
    async fn take(
        connection: &Connection,
        queue: &ShortString,
        wanted: usize,
        give_back: Option<ReturnMethod>,
        probe: &mut QueueProbe<'_>,
    ) -> Result<Self, AmqpError> {
        if wanted == 0 {
            return Ok(Self::NOTHING);
        }
        let channel = with_timeout(connection.channel()).await?;
        let alone = give_back.is_none();
        match with_timeout(collect(&channel, queue, wanted, alone, probe)).await {
            Ok((messages, consumer)) => {
                let (connection, queue) = (connection.clone(), queue.clone());
                let tags = messages.iter().map(|message| message.delivery_tag).collect();
                let give_back = give_back.unwrap_or(ReturnMethod::Close);
                let holder = HoldingConsumer {
                    connection,
                    queue,
                    channel,
                    consumer,
                    give_back,
                    tags,
                    removed: Mutex::default(),
                };
                Ok(Self { messages, holder: Some(holder) })
            }
            // The queue was deleted meanwhile.
            Err(AmqpError::Missing(_)) => Ok(Self::NOTHING),
            Err(fault) => {
                close(&channel).await;
                Err(fault)
            }
        }
    }

    /// Removes the messages at these indices, in this order.
    ///
    /// With copies for another queue, each is removed only when the broker has stored its copy. Messages whose bodies
    /// are in `there` are not copied.
    pub(super) async fn take_out(
        &self,
        chosen: &[usize],
        copies: Option<&CopyPublisher>,
        there: &HashSet<Vec<u8>>,
    ) -> Result<(), AmqpError> {
        let Some(HoldingConsumer { channel, give_back, removed, .. }) = &self.holder else { return Ok(()) };
        let is_everything = chosen.len() == self.messages.len();
        let chosen: Vec<&Delivery> = chosen.iter().filter_map(|index| self.messages.get(*index)).collect();
        for some in chosen.chunks(MAX_COPIES_IN_FLIGHT) {
            if let Some(copies) = copies {
                copies.publish(some, there).await?;
            }
            with_timeout(async {
                // With many single acknowledgements, a quorum queue may not receive the last ones before the channel is
                // closed.
                match some.last() {
                    Some(last) if is_everything && *give_back == ReturnMethod::Nack => {
                        channel.basic_ack(last.delivery_tag, BasicAckOptions { multiple: true }).await?;
                    }
                    _ => {
                        for message in some {
                            channel.basic_ack(message.delivery_tag, BasicAckOptions::default()).await?;
                        }
                    }
                }
                removed.lock().unwrap_or_else(PoisonError::into_inner).extend(some.iter().map(|one| one.delivery_tag));
                flush(channel).await
            })
            .await?;
        }
        Ok(())
    }

    /// Lists the messages of a queue, at most `limit`, and returns each to its place at once.
    ///
    /// Not cancel-safe: a call that is dropped half-way may hold the messages until its connection ends. On long-lived
    /// connections, it runs in a task of its own.
    pub(super) async fn list(
        connection: &Connection,
        queue: ShortString,
        limit: usize,
        give_back: Option<ReturnMethod>,
    ) -> Result<Vec<Delivery>, AmqpError> {
        let mut held = match give_back {
            Some(give_back) => Self::all(connection, queue, limit, give_back).await?,
            None => Self::alone(connection, queue, limit).await?,
        };
        let count = held.messages.len();
        let mut messages = std::mem::take(&mut held.messages);
        held.give_back(count).await;
        messages.truncate(limit);
        Ok(messages)
    }

    /// Returns the remaining messages, of which there are `count`.
    pub(super) async fn give_back(self, count: usize) {
        let Some(holder) = self.holder else { return };
        if holder.give_back == ReturnMethod::Nack {
            // On failure, they return when the channel is closed.
            let _ = with_timeout(holder.nack_everything()).await;
        }
        close(&holder.channel).await;
        if holder.give_back == ReturnMethod::Nack && count > 0 {
            let _ = with_timeout(holder.returned(count)).await;
        }
    }
}

impl HoldingConsumer {
    /// Returns every message that was not acknowledged.
    ///
    /// The consumer ends first, because the broker would deliver the messages to it again. Its end also makes sure that
    /// the queue has received all acknowledgements.
    async fn nack_everything(&self) -> Result<(), AmqpError> {
        self.channel.basic_cancel(self.consumer.tag(), BasicCancelOptions::default()).await?;
        let kept: Vec<DeliveryTag> = {
            let removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
            self.tags.iter().filter(|tag| !removed.contains(tag)).copied().collect()
        };
        let together = BasicNackOptions { multiple: true, requeue: true };
        let mut given_back = 0;
        for batch in kept.chunks(RETURN_BATCH_SIZE * RETURN_BATCHES_IN_FLIGHT) {
            for tags in batch.chunks(RETURN_BATCH_SIZE) {
                if let Some(last) = tags.last() {
                    self.channel.basic_nack(*last, together).await?;
                }
            }
            given_back += batch.len();
            if given_back < kept.len() {
                self.wait_for_room(given_back).await?;
            }
        }
        // Messages that arrived after them: the tag 0 stands for all.
        self.channel.basic_nack(0, together).await?;
        flush(&self.channel).await
    }

    /// Waits until the queue has caught up with the messages that were returned.
    ///
    /// The time is bounded, because others may take some of them.
    async fn wait_for_room(&self, given_back: usize) -> Result<(), AmqpError> {
        let end = Instant::now() + CATCH_UP_TIMEOUT;
        let mut probe = QueueProbe::on(&self.connection);
        while let Some(lengths) = probe.lengths(self.queue.clone()).await?
            && lengths.ready < given_back as u64
            && Instant::now() < end
        {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        probe.end().await;
        Ok(())
    }

    /// Waits until the queue has the messages again, or others consume from it.
    async fn returned(&self, count: usize) -> Result<(), AmqpError> {
        let end = Instant::now() + RETURN_TIMEOUT;
        let mut probe = QueueProbe::on(&self.connection);
        while let Some(lengths) = probe.lengths(self.queue.clone()).await?
            && lengths.ready < count as u64
            && lengths.consumers == 0
            && Instant::now() < end
        {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        probe.end().await;
        Ok(())
    }
}

fn at_most(ready: u64, limit: usize) -> usize {
    usize::try_from(ready).unwrap_or(usize::MAX).min(limit)
}

async fn collect(
    channel: &Channel,
    queue: &ShortString,
    wanted: usize,
    alone: bool,
    probe: &mut QueueProbe<'_>,
) -> Result<(Vec<Delivery>, Consumer), AmqpError> {
    // A prefetch count of 0 means no limit.
    let window = u16::try_from(wanted).unwrap_or(0);
    channel.basic_qos(window, BasicQosOptions { global: false }).await?;
    let mut arguments = FieldTable::default();
    // Messages that arrive meanwhile are for waiting workers.
    arguments.insert("x-priority".into(), AMQPValue::LongInt(-1));
    let (tag, options) = (ShortString::default(), BasicConsumeOptions { exclusive: alone, ..Default::default() });
    let mut consumer = channel.basic_consume(queue.clone(), tag, options, arguments).await?;
    let mut messages = Vec::with_capacity(wanted);
    {
        // Workers may take some of the messages that were counted.
        let mut nothing_left = pin!(async {
            loop {
                match probe.lengths(queue.clone()).await {
                    Ok(Some(lengths)) if lengths.ready > 0 => tokio::time::sleep(POLL_INTERVAL).await,
                    end => return end.map(drop),
                }
            }
        });
        while messages.len() < wanted {
            tokio::select! {
                biased;
                message = consumer.next() => match message {
                    Some(message) => messages.push(message?),
                    None => return Err(AmqpError::Missing("a queue was deleted".to_owned())),
                },
                end = &mut nothing_left => {
                    end?;
                    break;
                }
            }
        }
    }
    // Some messages may still be on their way: the broker sends them before its answer to this. Others may follow if
    // there is room; they return when the channel is closed.
    if messages.len() < wanted {
        flush(channel).await?;
        while messages.len() < wanted
            && let Some(message) = consumer.next().now_or_never()
        {
            messages.push(message.ok_or_else(|| AmqpError::Missing("a queue was deleted".to_owned()))??);
        }
    }
    // A quorum queue has no exclusive consumers: another client that began at the same time may have the rest. Messages
    // that have left the queue meanwhile are not counted in the next attempt.
    if alone && messages.len() < wanted {
        return Err(AmqpError::Locked);
    }
    Ok((messages, consumer))
}
