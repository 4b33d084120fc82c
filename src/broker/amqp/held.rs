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

use super::channel::{OTHERS_HOLD, close, flush, in_time};
use super::connection::Live;
use super::copies::Copies;
use super::fault::Fault;
use super::kinds::GiveBack;
use super::queue_probe::Looking;
use super::returns;

/// Interval between questions whether anything is left.
const ASK_EVERY: Duration = Duration::from_millis(1);
/// Shortest pause between attempts to hold messages that another client holds.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(5);
/// Limit of the random milliseconds that are added to it, so that two clients do not retry in step.
const UP_TO: u32 = 20;
/// Timeout for messages to return to a quorum queue. Workers may have taken some of them.
const RETURN_TIMEOUT: Duration = Duration::from_millis(500);
/// Maximum number of copies that are on their way to another queue.
const WINDOW: usize = 512;

/// Messages of a queue, in their order.
pub(super) struct Held {
    pub(super) messages: Vec<Delivery>,
    hand: Option<Hand>,
}

/// The consumer that holds the messages.
struct Hand {
    live: Live,
    queue: ShortString,
    channel: Channel,
    /// Kept because the consumer ends with this value.
    consumer: Consumer,
    give_back: GiveBack,
    /// Delivery tags of the messages, in their order.
    tags: Vec<DeliveryTag>,
    /// Delivery tags of the messages that were acknowledged.
    removed: Mutex<HashSet<DeliveryTag>>,
}

/// Maximum number of messages that are returned at once. A quorum queue of RabbitMQ 3.10 shuffles more than 32.
const GIVE_BACK_TOGETHER: usize = 32;
/// Number of such returns without a pause. RabbitMQ's channel merges returns when the queue is behind by 32.
const GIVE_BACKS_IN_FLIGHT: usize = 8;
/// Timeout for the queue to catch up with returns.
const GIVE_BACK_PAUSE: Duration = Duration::from_millis(200);

impl Held {
    const NOTHING: Self = Self { messages: Vec::new(), hand: None };

    /// Holds the messages that are in the queue now, at most `limit`. A queue that does not exist has none.
    ///
    /// Another client that holds messages of the queue at the same time has a part of them.
    pub(super) async fn all(live: &Live, queue: ShortString, limit: usize, give_back: GiveBack) -> Result<Self, Fault> {
        let limit = if give_back == GiveBack::Nack { usize::MAX } else { limit };
        let mut looking = Looking::at(live);
        let ready = looking.look(queue.clone()).await?.map_or(0, |lengths| lengths.ready);
        let held = Self::take(live, &queue, at_most(ready, limit), Some(give_back), &mut looking).await;
        looking.end().await;
        if let (Ok(held), GiveBack::Nack) = (&held, give_back) {
            returns::note_needed(live, &queue, &held.messages).await;
        }
        held
    }

    /// Holds the messages of a queue from which only clients that list it consume.
    ///
    /// Only one client at a time holds them, so that none sees only a part.
    ///
    /// # Errors
    /// [`Fault::InHand`] when another client has held its messages for [`OTHERS_HOLD`].
    pub(super) async fn alone(live: &Live, queue: ShortString, limit: usize) -> Result<Self, Fault> {
        let end = Instant::now() + OTHERS_HOLD;
        let mut looking = Looking::at(live);
        let held = loop {
            match looking.look(queue.clone()).await? {
                None => break Ok(Self::NOTHING),
                Some(lengths) if lengths.consumers == 0 => {
                    match Self::take(live, &queue, at_most(lengths.ready, limit), None, &mut looking).await {
                        // Another client was faster.
                        Err(Fault::Locked) => {}
                        held => break held,
                    }
                }
                Some(_) => {}
            }
            if Instant::now() >= end {
                break Err(Fault::InHand(OTHERS_HOLD));
            }
            let nanoseconds = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().subsec_nanos();
            tokio::time::sleep(TRY_AGAIN_AFTER + Duration::from_millis((nanoseconds / 1000 % UP_TO).into())).await;
        };
        looking.end().await;
        held
    }

    /// Holds messages.
    ///
    /// Without a way to return them, this is the only consumer, and they return when the channel is closed.
    async fn take(
        live: &Live,
        queue: &ShortString,
        wanted: usize,
        give_back: Option<GiveBack>,
        looking: &mut Looking<'_>,
    ) -> Result<Self, Fault> {
        if wanted == 0 {
            return Ok(Self::NOTHING);
        }
        let channel = in_time(live.channel()).await?;
        let alone = give_back.is_none();
        match in_time(collect(&channel, queue, wanted, alone, looking)).await {
            Ok((messages, consumer)) => {
                let (live, queue) = (live.clone(), queue.clone());
                let tags = messages.iter().map(|message| message.delivery_tag).collect();
                let give_back = give_back.unwrap_or(GiveBack::Close);
                let hand = Hand { live, queue, channel, consumer, give_back, tags, removed: Mutex::default() };
                Ok(Self { messages, hand: Some(hand) })
            }
            // The queue was deleted meanwhile.
            Err(Fault::Missing(_)) => Ok(Self::NOTHING),
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
        copies: Option<&Copies>,
        there: &HashSet<Vec<u8>>,
    ) -> Result<(), Fault> {
        let Some(Hand { channel, give_back, removed, .. }) = &self.hand else { return Ok(()) };
        let is_everything = chosen.len() == self.messages.len();
        let chosen: Vec<&Delivery> = chosen.iter().filter_map(|index| self.messages.get(*index)).collect();
        for some in chosen.chunks(WINDOW) {
            if let Some(copies) = copies {
                copies.publish(some, there).await?;
            }
            in_time(async {
                // With many single acknowledgements, a quorum queue may not receive the last ones before the channel is
                // closed.
                match some.last() {
                    Some(last) if is_everything && *give_back == GiveBack::Nack => {
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
    pub(super) async fn look(
        live: &Live,
        queue: ShortString,
        limit: usize,
        give_back: Option<GiveBack>,
    ) -> Result<Vec<Delivery>, Fault> {
        let mut held = match give_back {
            Some(give_back) => Self::all(live, queue, limit, give_back).await?,
            None => Self::alone(live, queue, limit).await?,
        };
        let count = held.messages.len();
        let mut messages = std::mem::take(&mut held.messages);
        held.give_back(count).await;
        messages.truncate(limit);
        Ok(messages)
    }

    /// Returns the remaining messages, of which there are `count`.
    pub(super) async fn give_back(self, count: usize) {
        let Some(hand) = self.hand else { return };
        if hand.give_back == GiveBack::Nack {
            // On failure, they return when the channel is closed.
            let _ = in_time(hand.nack_everything()).await;
        }
        close(&hand.channel).await;
        if hand.give_back == GiveBack::Nack && count > 0 {
            let _ = in_time(hand.returned(count)).await;
        }
    }
}

impl Hand {
    /// Returns every message that was not acknowledged.
    ///
    /// The consumer ends first, because the broker would deliver the messages to it again. Its end also makes sure that
    /// the queue has received all acknowledgements.
    async fn nack_everything(&self) -> Result<(), Fault> {
        self.channel.basic_cancel(self.consumer.tag(), BasicCancelOptions::default()).await?;
        let kept: Vec<DeliveryTag> = {
            let removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
            self.tags.iter().filter(|tag| !removed.contains(tag)).copied().collect()
        };
        let together = BasicNackOptions { multiple: true, requeue: true };
        let mut given_back = 0;
        for batch in kept.chunks(GIVE_BACK_TOGETHER * GIVE_BACKS_IN_FLIGHT) {
            for tags in batch.chunks(GIVE_BACK_TOGETHER) {
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
    async fn wait_for_room(&self, given_back: usize) -> Result<(), Fault> {
        let end = Instant::now() + GIVE_BACK_PAUSE;
        let mut looking = Looking::at(&self.live);
        while let Some(lengths) = looking.look(self.queue.clone()).await?
            && lengths.ready < given_back as u64
            && Instant::now() < end
        {
            tokio::time::sleep(ASK_EVERY).await;
        }
        looking.end().await;
        Ok(())
    }

    /// Waits until the queue has the messages again, or others consume from it.
    async fn returned(&self, count: usize) -> Result<(), Fault> {
        let end = Instant::now() + RETURN_TIMEOUT;
        let mut looking = Looking::at(&self.live);
        while let Some(lengths) = looking.look(self.queue.clone()).await?
            && lengths.ready < count as u64
            && lengths.consumers == 0
            && Instant::now() < end
        {
            tokio::time::sleep(ASK_EVERY).await;
        }
        looking.end().await;
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
    looking: &mut Looking<'_>,
) -> Result<(Vec<Delivery>, Consumer), Fault> {
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
                match looking.look(queue.clone()).await {
                    Ok(Some(lengths)) if lengths.ready > 0 => tokio::time::sleep(ASK_EVERY).await,
                    end => return end.map(drop),
                }
            }
        });
        while messages.len() < wanted {
            tokio::select! {
                biased;
                message = consumer.next() => match message {
                    Some(message) => messages.push(message?),
                    None => return Err(Fault::Missing("a queue was deleted".to_owned())),
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
            messages.push(message.ok_or_else(|| Fault::Missing("a queue was deleted".to_owned()))??);
        }
    }
    // A quorum queue has no exclusive consumers: another client that began at the same time may have the rest. Messages
    // that have left the queue meanwhile are not counted in the next attempt.
    if alone && messages.len() < wanted {
        return Err(Fault::Locked);
    }
    Ok((messages, consumer))
}
