//! A worker's own copy of a request, in a claim queue that it alone consumes.
//!
//! The copy is delivered and stays unacknowledged as long as the claim lasts. If the worker dies, the broker takes the copy back,
//! finds that it has outlived its time to live of zero, and moves it to the origin queue at once.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Consumer};

use super::connection::Live;
use super::fault::Fault;
use super::message::Subject;
use super::{names, publish};

/// A claim queue that nobody has used for so long is removed by the broker. Milliseconds.
const UNUSED_CLAIM_QUEUE_EXPIRES: i32 = 600_000;
/// The copy that is held and the one that renews it; and one more, so that neither ever waits for the other.
const PREFETCH: u16 = 3;
/// The broker answers within milliseconds; when it has not after this time, the connection is as good as lost.
const PATIENCE: Duration = Duration::from_secs(15);

/// A copy that the broker has stored, confirmed and delivered to us.
pub(super) struct Copy {
    pub(super) channel: Channel,
    queue: ShortString,
    consumer: Consumer,
    delivery: Delivery,
}

impl Copy {
    /// Makes a copy on a channel of its own. When this fails half-way, the channel is closed, and a copy that the broker
    /// may have taken already goes to the origin.
    pub(super) async fn make(live: &Live, slot: &str, subject: &Subject) -> Result<Self, Fault> {
        let channel = live.confirming_channel().await?;
        let made =
            in_time(Self::make_on(&channel, names::claim_queue(slot, live.number, &subject.origin), subject)).await;
        match made {
            Ok((queue, consumer, delivery)) => Ok(Self { channel, queue, consumer, delivery }),
            Err(fault) => {
                close(&channel).await;
                Err(fault)
            }
        }
    }

    async fn make_on(
        channel: &Channel,
        queue: ShortString,
        subject: &Subject,
    ) -> Result<(ShortString, Consumer, Delivery), Fault> {
        // Per consumer: what `global` would mean is gone from newer brokers.
        channel.basic_qos(PREFETCH, BasicQosOptions { global: false }).await?;
        let mut arguments = FieldTable::default();
        // Sites may have made another type the default, which has no such exact time to live.
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
        arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(0));
        arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
        let origin = AMQPValue::LongString(subject.origin.to_string().into());
        arguments.insert("x-dead-letter-routing-key".into(), origin);
        arguments.insert("x-expires".into(), AMQPValue::LongInt(UNUSED_CLAIM_QUEUE_EXPIRES));
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        channel.queue_declare(queue.clone(), options, arguments).await?;
        // The consumer must be there before the copy: a message that cannot be delivered at once has expired.
        let options = BasicConsumeOptions { exclusive: true, ..Default::default() };
        let tag = ShortString::default();
        let mut consumer = channel.basic_consume(queue.clone(), tag, options, FieldTable::default()).await?;
        let delivery = publish_and_receive(channel, &queue, &mut consumer, subject).await?;
        Ok((queue, consumer, delivery))
    }

    /// Replaces the copy by a fresh one, so that the broker never sees a delivery that has been unacknowledged for long.
    pub(super) async fn renew(&mut self, subject: &Subject) -> Result<(), Fault> {
        let Self { channel, queue, consumer, delivery } = self;
        in_time(async {
            let fresh = publish_and_receive(channel, queue, consumer, subject).await?;
            let older = std::mem::replace(delivery, fresh);
            acknowledge(channel, &older).await
        })
        .await
    }

    /// Waits until the broker has ended the consumer, which it does only when the connection or the channel is lost or
    /// somebody has deleted the queue. Cancel-safe.
    pub(super) async fn broken(&mut self) -> String {
        match self.consumer.next().await {
            Some(Err(error)) => super::fault::reason(&error),
            None => "the broker ended the consumer".to_owned(),
            // Only copies of our own come here, and each is received where it is published.
            Some(Ok(_)) => "a copy came that was not expected".to_owned(),
        }
    }

    /// Removes the copy for good.
    pub(super) async fn acknowledge(&self) -> Result<(), Fault> {
        in_time(acknowledge(&self.channel, &self.delivery)).await
    }

    /// Publishes on the copy's channel, confirmed.
    pub(super) async fn publish(
        &self,
        queue: ShortString,
        body: &[u8],
        properties: lapin::BasicProperties,
    ) -> Result<(), Fault> {
        in_time(publish::confirmed(&self.channel, queue, body, properties)).await
    }

    /// Gives up the channel. A copy that is still unacknowledged goes to the origin.
    pub(super) async fn close(self) {
        close(&self.channel).await;
    }
}

async fn publish_and_receive(
    channel: &Channel,
    queue: &ShortString,
    consumer: &mut Consumer,
    subject: &Subject,
) -> Result<Delivery, Fault> {
    publish::confirmed(channel, queue.clone(), &subject.body, subject.properties()).await?;
    match consumer.next().await {
        Some(delivery) => Ok(delivery?),
        None => Err(Fault::Away("the broker ended the consumer".to_owned())),
    }
}

/// Acknowledges a delivery, and makes sure that the broker has seen it.
pub(super) async fn acknowledge(channel: &Channel, delivery: &Delivery) -> Result<(), Fault> {
    if !delivery.acker.ack(BasicAckOptions::default()).await? {
        return Err(Fault::Away("the delivery's channel was closed".to_owned()));
    }
    flush(channel).await
}

/// Returns when the broker has worked off everything that was sent on the channel: an acknowledgement has no answer of its
/// own, but the broker takes a channel's commands in order, and this one has an answer.
pub(super) async fn flush(channel: &Channel) -> Result<(), Fault> {
    let prefetch = channel.status().qos().prefetch_count.unwrap_or(PREFETCH);
    channel.basic_qos(prefetch, BasicQosOptions { global: false }).await?;
    Ok(())
}

/// Closes a channel; one that is closed already is fine.
pub(super) async fn close(channel: &Channel) {
    if channel.status().connected() {
        let _ = in_time(async { Ok(channel.close(200, "done".into()).await?) }).await;
    }
}

/// Bounds a conversation with the broker.
pub(super) async fn in_time<T>(conversation: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    match tokio::time::timeout(PATIENCE, conversation).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Fault::Away(format!("no answer within {} seconds", PATIENCE.as_secs()))),
    }
}
