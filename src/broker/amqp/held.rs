//! A queue's messages in our hands: for a look, or to take some of them out. Whatever is not taken out goes back to its place, also when
//! this process dies: the broker puts what was not acknowledged where it was.
//!
//! While they are held, workers find nothing in the queue. So all of them come at once, and none is waited for: a consumer gets what is
//! there as fast as the broker sends it, and is content as soon as the broker says that nothing is left.
//!
//! Whoever holds them is one of the queue's consumers meanwhile, which others see: the broker removes a consumer and puts back what it had
//! in one step, when its channel is closed. From a quorum queue they come back a moment later: that is waited for.

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

/// Between two questions whether anything is left.
const ASK_EVERY: Duration = Duration::from_millis(1);
/// The least pause between two tries to hold what somebody else holds.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(5);
/// What is added to it, at random: two who try would go on in step.
const UP_TO: u32 = 20;
/// How long what was given back to a quorum queue is waited for. Workers may have taken it meanwhile.
const RETURN_TIMEOUT: Duration = Duration::from_millis(500);
/// So many copies are on their way to another queue at a time.
const WINDOW: usize = 512;

/// The messages, in their order.
pub(super) struct Held {
    pub(super) messages: Vec<Delivery>,
    hand: Option<Hand>,
}

/// What holds messages.
struct Hand {
    live: Live,
    queue: ShortString,
    channel: Channel,
    /// It ends with this value, so it is kept.
    consumer: Consumer,
    give_back: GiveBack,
    /// The delivery tags of the messages, in their order.
    tags: Vec<DeliveryTag>,
    /// Those that were acknowledged.
    removed: Mutex<HashSet<DeliveryTag>>,
}

/// How many messages are given back together. A quorum queue of RabbitMQ 3.10 shuffles those of more than 32.
const GIVE_BACK_TOGETHER: usize = 32;
/// How many such parts are on their way at a time. RabbitMQ's channel puts parts together when the queue is behind by 32.
const GIVE_BACKS_IN_FLIGHT: usize = 8;
/// Maximum time that the queue gets to catch up with them.
const GIVE_BACK_PAUSE: Duration = Duration::from_millis(200);

impl Held {
    const NOTHING: Self = Self { messages: Vec::new(), hand: None };

    /// Takes hold of what is in the queue now, at most `limit` messages. A queue that does not exist has none. Who holds messages of it at
    /// the same time has a part of them.
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

    /// As [`Held::all`], from a queue that nobody consumes from but who looks into it, and one after the other: nobody sees only a part.
    ///
    /// # Errors
    /// [`Fault::InHand`] when somebody else has held its messages for [`OTHERS_HOLD`].
    pub(super) async fn alone(live: &Live, queue: ShortString, limit: usize) -> Result<Self, Fault> {
        let end = Instant::now() + OTHERS_HOLD;
        let mut looking = Looking::at(live);
        let held = loop {
            match looking.look(queue.clone()).await? {
                None => break Ok(Self::NOTHING),
                Some(lengths) if lengths.consumers == 0 => {
                    match Self::take(live, &queue, at_most(lengths.ready, limit), None, &mut looking).await {
                        // Somebody else was faster.
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

    /// Without a way to give back: as the only one, and what is there goes back with the channel.
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
            // Somebody has deleted the queue meanwhile.
            Err(Fault::Missing(_)) => Ok(Self::NOTHING),
            Err(fault) => {
                close(&channel).await;
                Err(fault)
            }
        }
    }

    /// Removes these messages, in this order. With copies for another queue, each is removed only when the broker has its copy; those whose
    /// bodies are there get none.
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
                // A quorum queue that is told of many one by one may not be told of the last before the channel is closed.
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

    /// The messages of a queue, at most `limit`, each of which goes back to its place at once. Not cancel-safe: a look that is dropped half-way
    /// may keep the messages for as long as its connection lasts. Where that is more than a moment, it is made in a task of its own.
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

    /// Gives back what is still there: `count` messages.
    pub(super) async fn give_back(self, count: usize) {
        let Some(hand) = self.hand else { return };
        if hand.give_back == GiveBack::Nack {
            // When it fails, they go back with the channel.
            let _ = in_time(hand.nack_everything()).await;
        }
        close(&hand.channel).await;
        if hand.give_back == GiveBack::Nack && count > 0 {
            let _ = in_time(hand.returned(count)).await;
        }
    }
}

impl Hand {
    /// Gives everything back that is not acknowledged. The consumer ends before, or the broker would send it here once more. Its end also
    /// makes sure that the queue has heard of what was acknowledged.
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
        // What has come after them: 0 is everything.
        self.channel.basic_nack(0, together).await?;
        flush(&self.channel).await
    }

    /// Waits until the queue has as many messages as were given back, so that it is not behind. Others may take some meanwhile, so
    /// the time is bounded.
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

    /// Waits until the queue has them again, or others take from it.
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
    // 0 is without a limit.
    let window = u16::try_from(wanted).unwrap_or(0);
    channel.basic_qos(window, BasicQosOptions { global: false }).await?;
    let mut arguments = FieldTable::default();
    // What comes meanwhile is for workers that wait.
    arguments.insert("x-priority".into(), AMQPValue::LongInt(-1));
    let (tag, options) = (ShortString::default(), BasicConsumeOptions { exclusive: alone, ..Default::default() });
    let mut consumer = channel.basic_consume(queue.clone(), tag, options, arguments).await?;
    let mut messages = Vec::with_capacity(wanted);
    {
        // Workers may take some of what was there.
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
    // Nothing is left, but some may be on their way. What the broker has sent comes before its answer to this. Further ones may follow, when
    // there is room: they go back with the channel.
    if messages.len() < wanted {
        flush(channel).await?;
        while messages.len() < wanted
            && let Some(message) = consumer.next().now_or_never()
        {
            messages.push(message.ok_or_else(|| Fault::Missing("a queue was deleted".to_owned()))??);
        }
    }
    // A quorum queue has no exclusive consumers: somebody else who began at the same time may have had the rest. What has left the queue
    // meanwhile is not counted at the next try.
    if alone && messages.len() < wanted {
        return Err(Fault::Locked);
    }
    Ok((messages, consumer))
}
