//! Requests that wait out a delay: one queue for each of [`DELAYS`], shared by all origins.
//!
//! When a message has been in such a queue for the delay, it is dead-lettered. The queue has no routing key for that,
//! so the broker uses the key that the message was published with, which is its origin's name. To make that possible,
//! messages are published to a fanout exchange in front of the queue, which ignores routing keys.
//!
//! The queues are permanent, and all of them are created before one is used. Queues per origin would have to be deleted
//! by the broker when they are unused, with their messages, and could be found only by asking for every possible name.
//!
//! Requests of quorum queues, and of queues of unknown type, wait in quorum queues, for the same reason as their claim
//! queues. Listing these counts against a limit that is never reached. Their messages come back a moment after their
//! consumer has ended, so that other clients that list them wait for all.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use lapin::message::Delivery;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};

use super::channel::{close, in_time};
use super::claim_queue::expiring;
use super::connection::Live;
use super::fault::Fault;
use super::held::Held;
use super::message::Subject;
use super::queue_probe::Looking;
use super::{looks, names, publish, queues};
use crate::broker::{DELAYS, Verdict, delay};
use crate::release::QueueName;

/// Maximum number of messages that are listed for each delay: listing takes every message for a moment.
const LOOK_AT_MOST: usize = 10_000;

/// The delay queues of one type.
#[derive(Clone, Copy, PartialEq, Eq)]
struct DelayQueues {
    is_quorum: bool,
}

impl DelayQueues {
    const CLASSIC: Self = Self { is_quorum: false };
    const QUORUM: Self = Self { is_quorum: true };

    /// All delay queues.
    ///
    /// Requests of any origin may wait in either type, as its type may have changed, or may be unknown to the worker.
    const ALL: [Self; 2] = [Self::CLASSIC, Self::QUORUM];

    fn name(self, delay: Duration) -> ShortString {
        if self.is_quorum { names::quorum_delay_queue(delay) } else { names::delay_queue(delay) }
    }

    /// Creates the queues that do not exist.
    async fn declare(self, live: &Live) -> Result<(), Fault> {
        let channel = live.channel().await?;
        // The shortest delay comes last: if its queue exists, all do.
        for delay in DELAYS.into_iter().rev() {
            let name = self.name(delay);
            let milliseconds = i32::try_from(delay.as_millis()).unwrap_or(i32::MAX);
            let arguments = expiring(milliseconds, self.is_quorum);
            let (exchange_options, queue_options) = (
                ExchangeDeclareOptions { durable: true, ..Default::default() },
                QueueDeclareOptions { durable: true, ..Default::default() },
            );
            let no_arguments = FieldTable::default();
            channel
                .exchange_declare(name.clone(), ExchangeKind::Fanout, exchange_options, no_arguments.clone())
                .await?;
            channel.queue_declare(name.clone(), queue_options, arguments).await?;
            let (key, options) = (ShortString::default(), QueueBindOptions::default());
            channel.queue_bind(name.clone(), name, key, options, no_arguments).await?;
        }
        close(&channel).await;
        Ok(())
    }

    /// Returns the queues that may hold requests.
    async fn filled(self, looking: &mut Looking<'_>) -> Result<Vec<ShortString>, Fault> {
        let mut filled = Vec::new();
        if looking.look(self.name(DELAYS[0])).await?.is_some() {
            for delay in DELAYS {
                let lengths = looking.look(self.name(delay)).await?;
                // A consumer is another client that lists the messages and holds them.
                if lengths.is_some_and(|lengths| lengths.ready > 0 || lengths.consumers > 0) {
                    filled.push(self.name(delay));
                }
            }
        }
        Ok(filled)
    }
}

/// Publishes a request so that it comes back to its origin after the delay of a [`Verdict::Later`].
///
/// If the broker refuses to create the delay queues, the request comes back at once.
pub(super) async fn publish(live: &Live, channel: &Channel, subject: &Subject, verdict: &Verdict) -> Result<(), Fault> {
    let Verdict::Later { after, .. } = verdict else { return Ok(()) };
    // Without a queue to go back to, the broker would later drop the message silently.
    queues::declare(live, std::slice::from_ref(&subject.origin)).await?;
    let origin = names::short(&subject.origin);
    let queues = match looks::may_be_quorum(live, &origin).await? {
        true => DelayQueues::QUORUM,
        false => DelayQueues::CLASSIC,
    };
    let exchange = match in_time(queues.declare(live)).await {
        Ok(()) => queues.name(delay(*after)),
        Err(fault @ (Fault::Refused(_) | Fault::Denied(_))) => {
            tracing::warn!("a request goes back to its queue without a delay: {fault}");
            ShortString::default()
        }
        Err(fault) => return Err(fault),
    };
    let properties = subject.properties_after(verdict);
    in_time(publish::to_exchange(channel, exchange, origin, &subject.body, properties)).await
}

/// Creates the delay queues before they are listed for the first time, if this user may do so.
///
/// RabbitMQ logs each question about a queue that does not exist as an error.
async fn make_once(live: &Live) -> Result<(), Fault> {
    if live.has_delays.load(Ordering::Relaxed) || !live.may_make_own() {
        return Ok(());
    }
    for made in live.in_time(async { Ok(join_all(DelayQueues::ALL.map(|queues| queues.declare(live))).await) }).await? {
        match made {
            Ok(()) => {}
            Err(Fault::Denied(_)) => live.may_not_make_own(),
            Err(Fault::Refused(reason)) => tracing::debug!("the queues for delays are left as they are: {reason}"),
            Err(fault) => return Err(fault),
        }
    }
    live.has_delays.store(true, Ordering::Relaxed);
    Ok(())
}

/// Returns the requests that wait out a delay. The routing key is the origin's name. All go back to their places.
///
/// # Errors
/// [`Fault::InHand`] when another client holds some of them and does not return them.
pub(super) async fn waiting(live: &Live) -> Result<Vec<Delivery>, Fault> {
    let _after_others = live.looks.lock().await;
    make_once(live).await?;
    let mut looking = Looking::at(live);
    let mut filled = Vec::new();
    for queues in DelayQueues::ALL {
        filled.extend(queues.filled(&mut looking).await?);
    }
    looking.end().await;
    let looks = filled.into_iter().map(|queue| Held::look(live, queue, LOOK_AT_MOST, None));
    Ok(try_join_all(looks).await?.into_iter().flatten().collect())
}

/// Returns the names of all delay queues, in the order in which every client takes from them.
pub(super) async fn all_queues(live: &Live) -> Result<Vec<ShortString>, Fault> {
    make_once(live).await?;
    Ok(DelayQueues::ALL.iter().flat_map(|queues| DELAYS.map(|delay| queues.name(delay))).collect())
}

/// Returns whether requests of one of these origins wait out a delay, or may do so.
pub(super) async fn any_waiting(live: &Live, origins: &[QueueName]) -> Result<bool, Fault> {
    let names: HashSet<String> = origins.iter().map(ToString::to_string).collect();
    match waiting(live).await {
        Ok(waiting) => Ok(waiting.iter().any(|message| names.contains(message.routing_key.as_str()))),
        Err(Fault::InHand(_)) => Ok(true),
        Err(fault) => Err(fault),
    }
}
