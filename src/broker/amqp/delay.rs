//! Requests that wait out a delay: one queue for each of [`DELAYS`], shared by all origins.
//!
//! A message that has been in such a queue for the delay is dead-lettered. As the queue names no routing key for that, the
//! broker takes the one that the message was published with. So it is published to a fanout exchange in front of the queue,
//! which does not look at routing keys, with its origin as the key.
//!
//! The queues are there for good, and all of them are made before one is used: a queue per origin would have to be removed
//! by the broker when it is unused, with what is in it, and could be found only by asking for each that might exist.

use std::collections::HashSet;

use futures_util::future::try_join_all;
use lapin::message::Delivery;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};

use super::channel::{close, in_time};
use super::connection::Live;
use super::fault::Fault;
use super::held::Held;
use super::message::Subject;
use super::queues::Looking;
use super::{names, publish, queues};
use crate::broker::{DELAYS, Verdict, delay};
use crate::release::QueueName;

/// Looking into the queues takes every message for a moment: at most so many of each delay.
const LOOK_AT_MOST: usize = 10_000;

/// Makes the queues exist.
async fn declare(live: &Live) -> Result<(), Fault> {
    let channel = live.channel().await?;
    // The shortest one last: where it is, all are.
    for delay in DELAYS.into_iter().rev() {
        let name = names::delay_queue(delay);
        let mut arguments = FieldTable::default();
        // Sites may have made another type the default, whose dead-lettering has conditions of its own.
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
        let milliseconds = i32::try_from(delay.as_millis()).unwrap_or(i32::MAX);
        arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(milliseconds));
        arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
        let (exchange_options, queue_options) = (
            ExchangeDeclareOptions { durable: true, ..Default::default() },
            QueueDeclareOptions { durable: true, ..Default::default() },
        );
        let no_arguments = FieldTable::default();
        channel.exchange_declare(name.clone(), ExchangeKind::Fanout, exchange_options, no_arguments.clone()).await?;
        channel.queue_declare(name.clone(), queue_options, arguments).await?;
        let (key, options) = (ShortString::default(), QueueBindOptions::default());
        channel.queue_bind(name.clone(), name, key, options, no_arguments).await?;
    }
    close(&channel).await;
    Ok(())
}

/// Publishes the request so that it comes back to its origin after the delay of a [`Verdict::Later`]. On a broker that refuses to make
/// the queues for that, it comes back at once.
pub(super) async fn publish(live: &Live, channel: &Channel, subject: &Subject, verdict: &Verdict) -> Result<(), Fault> {
    let Verdict::Later { after, .. } = verdict else { return Ok(()) };
    // Later the broker drops it, and says nothing, when there is no such queue.
    queues::declare(live, std::slice::from_ref(&subject.origin)).await?;
    let origin = names::short(&subject.origin);
    let exchange = match in_time(declare(live)).await {
        Ok(()) => names::delay_queue(delay(*after)),
        Err(Fault::Refused(reason)) => {
            tracing::warn!("a request goes back to its queue without a delay: {reason}");
            ShortString::default()
        }
        Err(fault) => return Err(fault),
    };
    let properties = subject.properties_after(verdict);
    in_time(publish::to_exchange(channel, exchange, origin, &subject.body, properties)).await
}

/// The requests that wait out a delay, of all origins: the routing key is the name of the origin. Each goes back to its place.
///
/// # Errors
/// [`Fault::InHand`] when somebody else holds some of them, and does not give them back.
pub(super) async fn waiting(live: &Live) -> Result<Vec<Delivery>, Fault> {
    let _after_others = live.looks.lock().await;
    let mut looking = Looking::at(live);
    let mut filled = Vec::new();
    if looking.look(names::delay_queue(DELAYS[0])).await?.is_some() {
        for delay in DELAYS {
            let lengths = looking.look(names::delay_queue(delay)).await?;
            // Somebody else who looks has them in hand.
            if lengths.is_some_and(|lengths| lengths.ready > 0 || lengths.consumers > 0) {
                filled.push(names::delay_queue(delay));
            }
        }
    }
    looking.end().await;
    let looks = filled.into_iter().map(|queue| Held::look(live, queue, LOOK_AT_MOST, true));
    Ok(try_join_all(looks).await?.into_iter().flatten().collect())
}

/// Whether requests of one of these origins wait out a delay, or may do so.
pub(super) async fn any_waiting(live: &Live, origins: &[QueueName]) -> Result<bool, Fault> {
    let origins: HashSet<String> = origins.iter().map(ToString::to_string).collect();
    match waiting(live).await {
        Ok(waiting) => Ok(waiting.iter().any(|message| origins.contains(message.routing_key.as_str()))),
        Err(Fault::InHand) => Ok(true),
        Err(fault) => Err(fault),
    }
}
