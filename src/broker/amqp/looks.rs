//! Which queues can be looked into. RabbitMQ can show a queue only by handing it out. A classic queue takes back what it handed out as
//! if nothing had happened; a quorum queue counts that as a delivery, and drops a message at its limit, in silence.
//!
//! No number of a version is believed; what the broker does is tried out:
//!
//! - The type: declaring a queue that exists with the type that it has changes nothing; with another type it is refused, and the broker
//!   names the type. The type that was seen last is tried first, because a refusal is a line in the broker's log.
//! - The limit: a message is given back more often than the default limit allows, in a queue of our own whose name begins like the
//!   queue's, so that the same policy applies to it.
//!
//! `docs/queue-types.md` has the measurements.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::Channel;
use lapin::message::BasicGetMessage;
use lapin::options::{BasicGetOptions, BasicNackOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use tokio::time::Instant;

use super::channel::{close, in_time};
use super::claim_queue::DELIVERY_LIMIT;
use super::connection::Live;
use super::fault::Fault;
use super::{names, publish};
use crate::broker::queue_type::{Opaque, OpaqueReason, QueueType};

/// How often a message is given back to learn whether there is a low limit. RabbitMQ's own is 20.
const RETURNS: usize = 25;
/// How long an answer about a limit is believed: a policy may change.
const LIMIT_TTL: Duration = Duration::from_secs(60);
/// A queue for trying out that was left behind by a process that died is removed by the broker. Milliseconds.
const TRIAL_EXPIRES: i32 = 60_000;

/// How messages that were only looked at are given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GiveBack {
    /// With their channel: a classic queue puts all of them back in one step, with the end of their consumer.
    Close,
    /// By a negative acknowledgement, which a quorum queue of RabbitMQ 4.3 does not count. It moves what is given back behind the rest of
    /// the queue, so everything is taken, and keeps its order.
    Nack,
}

/// What a connection has learnt about queues.
pub(super) struct Looks {
    /// What the site says.
    given: Option<QueueType>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The type that was seen last.
    last: Option<QueueType>,
    types: HashMap<ShortString, QueueType>,
    /// The type that queues have when nobody names one.
    default: Option<QueueType>,
    /// The queues whose type this user may not ask for.
    denied: bool,
    /// How to give back without harm in a quorum queue, if at all, and when that was seen; the empty name stands for queues without a policy.
    harmless: HashMap<ShortString, (Option<GiveBack>, Instant)>,
}

impl Looks {
    /// Nothing is known but what the site says.
    pub(super) fn new(given: Option<QueueType>) -> Self {
        Self { given, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an existing queue may be looked into, and how its messages are given back.
pub(super) async fn allowed(live: &Live, queue: &ShortString) -> Result<Result<GiveBack, Opaque>, Fault> {
    let opaque = |reason| Err(Opaque { queue: queue.to_string(), reason, vhost: live.vhost() });
    Ok(match queue_type(live, queue).await? {
        Some(QueueType::Classic) => Ok(GiveBack::Close),
        Some(QueueType::Quorum) => {
            harmless(live, queue.clone()).await?.map_or_else(|| opaque(OpaqueReason::Limited), Ok)
        }
        None => {
            let way = harmless(live, ShortString::default()).await?;
            way.map_or_else(|| opaque(OpaqueReason::UnknownType), Ok)
        }
    })
}

/// How messages of a queue are given back where that may count: the way that is harmless on more brokers.
pub(super) async fn least_harmful(live: &Live, queue: &ShortString) -> Result<GiveBack, Fault> {
    Ok(match queue_type(live, queue).await? {
        Some(QueueType::Classic) => GiveBack::Close,
        Some(QueueType::Quorum) | None => GiveBack::Nack,
    })
}

/// Whether requests of one of these queues need claim and delay queues that are quorum queues themselves. A queue of unknown type counts
/// as one of the default type.
pub(super) async fn need_quorum(live: &Live, queues: impl IntoIterator<Item = ShortString>) -> Result<bool, Fault> {
    for queue in queues {
        let queue_type = match queue_type(live, &queue).await? {
            Some(queue_type) => queue_type,
            None => default_type(live).await?,
        };
        if queue_type == QueueType::Quorum {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The type that queues have in this virtual host when nobody names one; quorum where that cannot be learnt.
async fn default_type(live: &Live) -> Result<QueueType, Fault> {
    if let Some(known) = live.looks_allowed.known().default {
        return Ok(known);
    }
    let trial = names::trial_queue(&ShortString::default());
    let channel = in_time(live.channel()).await?;
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    let mut arguments = FieldTable::default();
    arguments.insert("x-expires".into(), AMQPValue::LongInt(TRIAL_EXPIRES));
    let mut classic = arguments.clone();
    classic.insert("x-queue-type".into(), AMQPValue::LongString(QueueType::Classic.to_string().into()));
    let declared = in_time(async {
        channel.queue_declare(trial.clone(), options, arguments).await?;
        channel.queue_declare(trial.clone(), options, classic).await?;
        channel.queue_delete(trial, QueueDeleteOptions::default()).await?;
        Ok(())
    });
    let found = match declared.await {
        Ok(()) => QueueType::Classic,
        Err(fault @ Fault::Away(_)) => return Err(fault),
        // The broker removes what was declared by itself.
        Err(_) => QueueType::Quorum,
    };
    close(&channel).await;
    live.looks_allowed.known().default = Some(found);
    Ok(found)
}

/// The type of an existing queue; `None` when this user may not ask for it.
pub(super) async fn queue_type(live: &Live, queue: &ShortString) -> Result<Option<QueueType>, Fault> {
    let looks = &live.looks_allowed;
    if looks.given.is_some() {
        return Ok(looks.given);
    }
    let guess = {
        let known = looks.known();
        match known.types.get(queue) {
            Some(queue_type) => return Ok(Some(*queue_type)),
            None if known.denied => return Ok(None),
            None => known.last.unwrap_or(QueueType::Classic),
        }
    };
    let channel = in_time(live.channel()).await?;
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString(guess.to_string().into()));
    let declared = in_time(async { Ok(channel.queue_declare(queue.clone(), options, arguments).await?) }).await;
    let found = match declared {
        Ok(_) => {
            close(&channel).await;
            Some(guess)
        }
        Err(fault @ Fault::Away(_)) => return Err(fault),
        Err(refusal) => named_in(&refusal.to_string()),
    };
    let mut known = looks.known();
    match found {
        Some(queue_type) => {
            known.last = Some(queue_type);
            known.types.insert(queue.clone(), queue_type);
        }
        None => known.denied = true,
    }
    Ok(found)
}

/// The type that the broker names when it refuses another one.
fn named_in(refusal: &str) -> Option<QueueType> {
    let (_, current) = refusal.split_once("x-queue-type")?.1.split_once("current is")?;
    // So RabbitMQ 3.10 calls a classic queue that was declared without a type.
    if current.trim() == "none" {
        return Some(QueueType::Classic);
    }
    [QueueType::Quorum, QueueType::Classic].into_iter().find(|known| current.contains(&known.to_string()))
}

/// How a quorum queue under this name is given back what was looked at, if it keeps what is given back often. With the empty name: one to
/// which no policy for request queues applies.
async fn harmless(live: &Live, queue: ShortString) -> Result<Option<GiveBack>, Fault> {
    let looks = &live.looks_allowed;
    if let Some((way, seen)) = looks.known().harmless.get(&queue)
        && seen.elapsed() < LIMIT_TTL
    {
        return Ok(*way);
    }
    if names::is_dead_queue(&queue) && is_unlimited(live, &queue).await? {
        let way = Some(GiveBack::Nack);
        looks.known().harmless.insert(queue, (way, Instant::now()));
        return Ok(way);
    }
    let trial = names::trial_queue(&queue);
    let channel = in_time(live.confirming_channel()).await?;
    let way = match in_time(survives(&channel, &trial)).await {
        Ok(way) => way,
        Err(fault @ Fault::Away(_)) => return Err(fault),
        // Whoever may not try it out cannot know it.
        Err(refusal) => {
            tracing::debug!("cannot learn the delivery limit of {queue}: {refusal}");
            None
        }
    };
    if channel.status().connected() {
        let _ = in_time(async { Ok(channel.queue_delete(trial, QueueDeleteOptions::default()).await?) }).await;
        close(&channel).await;
    }
    looks.known().harmless.insert(queue, (way, Instant::now()));
    Ok(way)
}

/// The arguments of a quorum queue of our own, whose messages may be looked at as often as one likes.
pub(super) fn unlimited() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString(QueueType::Quorum.to_string().into()));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(DELIVERY_LIMIT));
    arguments
}

/// Whether an existing queue has these arguments: then declaring it changes nothing.
async fn is_unlimited(live: &Live, queue: &ShortString) -> Result<bool, Fault> {
    let channel = in_time(live.channel()).await?;
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    match in_time(async { Ok(channel.queue_declare(queue.clone(), options, unlimited()).await?) }).await {
        Ok(_) => {
            close(&channel).await;
            Ok(true)
        }
        Err(fault @ Fault::Away(_)) => Err(fault),
        Err(_) => Ok(false),
    }
}

/// Gives a message of a new quorum queue back many times, and looks whether it is still there.
async fn survives(channel: &Channel, trial: &ShortString) -> Result<Option<GiveBack>, Fault> {
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString(QueueType::Quorum.to_string().into()));
    arguments.insert("x-expires".into(), AMQPValue::LongInt(TRIAL_EXPIRES));
    channel.queue_declare(trial.clone(), options, arguments).await?;
    publish::confirmed(channel, trial.clone(), b"", publish::persistent()).await?;
    let get = async || channel.basic_get(trial.clone(), BasicGetOptions::default()).await;
    let requeue = BasicNackOptions { requeue: true, ..Default::default() };
    for _ in 0..RETURNS {
        // An empty answer is sure: the broker has worked off the return before it, on the same channel.
        let Some(BasicGetMessage { delivery, .. }) = get().await? else { return Ok(None) };
        channel.basic_nack(delivery.delivery_tag, requeue).await?;
    }
    Ok(get().await?.map(|_| GiveBack::Nack))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brokers_refusal_names_the_type() {
        let refused = |received: &str, current: &str| {
            format!(
                "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'debci-classic-amd64' in vhost '/': received {received} but current is {current}"
            )
        };
        assert_eq!(named_in(&refused("'classic'", "'quorum'")), Some(QueueType::Quorum));
        assert_eq!(named_in(&refused("'quorum'", "'classic'")), Some(QueueType::Classic));
        let old = refused("the value 'quorum' of type 'longstr'", "the value 'classic' of type 'longstr'");
        assert_eq!(named_in(&old), Some(QueueType::Classic));
        assert_eq!(named_in(&refused("the value 'quorum' of type 'longstr'", "none")), Some(QueueType::Classic));
        assert_eq!(named_in(&refused("'classic'", "'stream'")), None);
        assert_eq!(named_in("ACCESS_REFUSED - access to queue 'debci-quorum-amd64' refused"), None);
    }
}
