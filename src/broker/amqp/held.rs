//! A queue's messages in our hands: for a look, or to take some of them out. Whatever is not taken out goes back to its place, also when
//! this process dies: the broker puts what was not acknowledged where it was.
//!
//! While they are held, workers find nothing in the queue. So all of them come at once, and none is waited for: a consumer gets what is
//! there as fast as the broker sends it, and is ended as soon as the broker says that nothing is left.

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, PublisherConfirm};

use super::channel::{close, flush, in_time};
use super::connection::Live;
use super::fault::Fault;
use super::publish;
use super::queues::Looking;

/// Between two questions whether anything is left.
const ASK_EVERY: Duration = Duration::from_millis(1);
/// So many copies are on their way to another queue at a time.
const WINDOW: usize = 512;

/// Where copies of messages go that are taken out.
pub(super) struct Copies {
    pub(super) queue: ShortString,
    /// What a copy has instead of the message's own properties.
    pub(super) properties: fn(&Delivery) -> BasicProperties,
}

/// The messages, in their order.
pub(super) struct Held {
    pub(super) messages: Vec<Delivery>,
    channel: Option<Channel>,
}

impl Held {
    /// Takes hold of what is in the queue now, at most `limit` messages. A queue that does not exist has none.
    pub(super) async fn all(live: &Live, queue: ShortString, limit: usize) -> Result<Self, Fault> {
        let mut looking = Looking::at(live);
        let ready = looking.look(queue.clone()).await?.map_or(0, |lengths| lengths.ready);
        let wanted = usize::try_from(ready).unwrap_or(usize::MAX).min(limit);
        let mut held = Self { messages: Vec::with_capacity(wanted), channel: None };
        if wanted > 0 {
            let channel = in_time(live.channel()).await?;
            held.channel = Some(channel.clone());
            match in_time(collect(&channel, &queue, wanted, &mut looking)).await {
                Ok(messages) => held.messages = messages,
                // Somebody has deleted the queue meanwhile.
                Err(Fault::Missing(_)) => held.channel = None,
                Err(fault) => {
                    close(&channel).await;
                    return Err(fault);
                }
            }
        }
        looking.end().await;
        Ok(held)
    }

    /// Removes these messages, in this order. With copies for another queue, each is removed only when the broker has its copy.
    pub(super) async fn take_out(&self, chosen: &[usize], copies: Option<&Copies>) -> Result<(), Fault> {
        let Some(channel) = &self.channel else { return Ok(()) };
        let chosen: Vec<&Delivery> = chosen.iter().filter_map(|index| self.messages.get(*index)).collect();
        if copies.is_some() {
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
        }
        for some in chosen.chunks(WINDOW) {
            in_time(async {
                if let Some(Copies { queue, properties }) = copies {
                    let mut confirms: Vec<PublisherConfirm> = Vec::with_capacity(some.len());
                    for message in some {
                        let (exchange, key) = (ShortString::default(), queue.clone());
                        let copy = publish::start(channel, exchange, key, &message.data, properties(message));
                        confirms.push(copy.await?);
                    }
                    for confirm in confirms {
                        publish::verdict(confirm.await, queue.as_str())?;
                    }
                }
                for message in some {
                    channel.basic_ack(message.delivery_tag, BasicAckOptions::default()).await?;
                }
                flush(channel).await
            })
            .await?;
        }
        Ok(())
    }

    /// Gives back what is still there.
    pub(super) async fn give_back(self) {
        let Some(channel) = self.channel else { return };
        let all = BasicNackOptions { multiple: true, requeue: true };
        // Tag 0 means every one. Should it fail, the channel's end does the same.
        let _ = in_time(async { Ok(channel.basic_nack(0, all).await?) }).await;
        close(&channel).await;
    }
}

async fn collect(
    channel: &Channel,
    queue: &ShortString,
    wanted: usize,
    looking: &mut Looking<'_>,
) -> Result<Vec<Delivery>, Fault> {
    // 0 is without a limit.
    channel.basic_qos(u16::try_from(wanted).unwrap_or(0), BasicQosOptions { global: false }).await?;
    let mut arguments = FieldTable::default();
    // What comes meanwhile is for workers that wait.
    arguments.insert("x-priority".into(), AMQPValue::LongInt(-1));
    let (tag, options) = (ShortString::default(), BasicConsumeOptions::default());
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
    // What the broker has sent comes before its answer to this, and with that the deliveries end.
    channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await?;
    while let Some(message) = consumer.next().await {
        messages.push(message?);
    }
    messages.truncate(wanted);
    Ok(messages)
}
