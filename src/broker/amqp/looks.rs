//! Which queues can be looked into. RabbitMQ can show a queue only by handing it out. A classic queue takes back what it handed out as
//! if nothing had happened; a quorum queue counts that as a delivery, and drops a message at its limit, in silence.
//!
//! No number of a version is believed; what the broker does is tried out:
//!
//! - The kind: declaring a queue that exists with the type and limit that it has changes nothing; with others it is refused, and the broker
//!   names them. What was seen last, also by the process before, is tried first, because a refusal is a line in the broker's log. Before
//!   each look it is asked for again: the queue may have been made anew.
//! - The limit: a message is given back more often than the default limit allows, in a queue of our own whose name begins like the
//!   queue's, so that the same policy applies to it.
//!
//! `docs/queue-types.md` has the measurements.

use lapin::Channel;
use lapin::message::BasicGetMessage;
use lapin::options::{BasicGetOptions, BasicNackOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::channel::{close, in_time};
use super::connection::Live;
use super::fault::Fault;
use super::kinds::{GiveBack, Kind};
use super::{names, publish, type_note};
use crate::broker::queue_type::{Opaque, OpaqueReason, QueueType};

/// How often a message is given back to learn whether there is a low limit. RabbitMQ's own is 20.
const RETURNS: usize = 25;
/// A queue for trying out that was left behind by a process that died is removed by the broker. Milliseconds.
const TRIAL_EXPIRES: i32 = 60_000;
/// Maximum number of guesses: the broker names a wrong type first, then a wrong limit.
const GUESSES: usize = 3;

const DURABLE: QueueDeclareOptions =
    QueueDeclareOptions { passive: false, durable: true, exclusive: false, auto_delete: false, nowait: false };

/// Asks for the kinds of queues, one after the other, on one channel for as long as the broker does not close it.
pub(super) struct Asking<'a> {
    live: &'a Live,
    channel: Option<Channel>,
}

impl<'a> Asking<'a> {
    /// Uses this channel, or a new one.
    pub(super) fn on(live: &'a Live, channel: Option<Channel>) -> Self {
        Self { live, channel }
    }

    /// Returns the channel if it is still open.
    pub(super) fn into_channel(self) -> Option<Channel> {
        self.channel
    }

    async fn end(self) {
        if let Some(channel) = self.channel {
            close(&channel).await;
        }
    }

    /// Returns the kind that a queue has now; `None` when this user may not ask for it, or the queue has other arguments.
    ///
    /// # Errors
    /// [`Fault::Missing`] when there is no such queue. It is not made.
    async fn kind(&mut self, queue: &ShortString) -> Result<Option<Kind>, Fault> {
        let kinds = &self.live.kinds;
        if let Some(given) = kinds.given(queue) {
            return Ok(Some(given));
        }
        if kinds.is_denied(queue) || kinds.is_unnamed(queue) {
            return Ok(None);
        }
        // Concurrent questions wait for the first answer: each wrong guess is a line in the broker's log.
        let first = if kinds.is_empty() { Some(kinds.first.lock().await) } else { None };
        if kinds.is_empty() && !kinds.has_note() {
            kinds.set_note(type_note::read(self.live).await);
        }
        let mut guess = kinds.guess(queue);
        for _ in 0..GUESSES {
            match self.declare(queue, guess).await {
                Ok(()) => {
                    kinds.note(queue, guess);
                    return Ok(Some(guess));
                }
                Err(Fault::Refused(refusal)) => match guess.corrected(&refusal) {
                    Some(kind) if kind != guess => guess = kind,
                    _ => {
                        kinds.note_unnamed(queue);
                        break;
                    }
                },
                Err(Fault::Denied(_)) => {
                    kinds.note_denied(queue);
                    break;
                }
                Err(Fault::Missing(reason)) => {
                    kinds.forget(queue);
                    return Err(Fault::Missing(reason));
                }
                Err(fault) => return Err(fault),
            }
        }
        drop(first);
        Ok(None)
    }

    /// Declares an existing queue with this kind.
    async fn declare(&mut self, queue: &ShortString, kind: Kind) -> Result<(), Fault> {
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => in_time(self.live.channel()).await?,
        };
        in_time(async {
            // Without this, a queue that no longer exists would be made with its former kind.
            let passive = QueueDeclareOptions { passive: true, ..DURABLE };
            channel.queue_declare(queue.clone(), passive, FieldTable::default()).await?;
            Ok(channel.queue_declare(queue.clone(), DURABLE, kind.arguments()).await?)
        })
        .await?;
        self.channel = Some(channel);
        Ok(())
    }

    /// Returns whether a queue may be a quorum queue. One of unknown type counts as one: queues of our own that are quorum queues keep requests
    /// of classic ones as well, and classic ones lose those of quorum queues at a restart of the broker.
    async fn may_be_quorum(&mut self, queue: &ShortString) -> Result<bool, Fault> {
        let queue_type = match self.kind(queue).await {
            Ok(kind) => kind.map_or(QueueType::Quorum, |kind| kind.queue_type),
            Err(Fault::Missing(_)) => default_type(self.live).await?,
            Err(fault) => return Err(fault),
        };
        Ok(queue_type == QueueType::Quorum)
    }

    /// Returns whether a queue is a quorum queue. One of unknown type, or one that does not exist, counts as one of the default type.
    pub(super) async fn is_quorum(&mut self, queue: &ShortString) -> Result<bool, Fault> {
        let queue_type = match self.kind(queue).await {
            Ok(Some(kind)) => kind.queue_type,
            Ok(None) | Err(Fault::Missing(_)) => default_type(self.live).await?,
            Err(fault) => return Err(fault),
        };
        Ok(queue_type == QueueType::Quorum)
    }
}

async fn kind(live: &Live, queue: &ShortString) -> Result<Option<Kind>, Fault> {
    let mut asking = Asking::on(live, None);
    let kind = asking.kind(queue).await;
    asking.end().await;
    kind
}

/// Whether an existing queue may be looked into, and how its messages are given back.
pub(super) async fn allowed(live: &Live, queue: &ShortString) -> Result<Result<GiveBack, Opaque>, Fault> {
    let opaque = |reason| Err(Opaque { queue: queue.to_string(), reason, vhost: live.vhost() });
    let (kind, reason) = match kind(live, queue).await {
        // A queue that no longer exists has no messages to harm.
        Err(Fault::Missing(_)) => return Ok(Ok(GiveBack::Close)),
        Err(fault) => return Err(fault),
        Ok(Some(Kind { queue_type: QueueType::Classic, .. })) => return Ok(Ok(GiveBack::Close)),
        Ok(Some(Kind { queue_type: QueueType::Quorum, limit })) => ((queue.clone(), limit), OpaqueReason::Limited),
        Ok(None) => ((ShortString::default(), None), OpaqueReason::UnknownType),
    };
    let (name, limit) = kind;
    match harmless(live, name, limit).await {
        Ok(way) => Ok(way.map_or_else(|| opaque(reason), Ok)),
        Err(Fault::Blocked(_)) => Ok(opaque(OpaqueReason::Alarm)),
        Err(fault) => Err(fault),
    }
}

/// How messages of a queue are given back where that may count: the way that is harmless on more brokers.
pub(super) async fn least_harmful(live: &Live, queue: &ShortString) -> Result<GiveBack, Fault> {
    Ok(match kind(live, queue).await {
        Ok(Some(Kind { queue_type: QueueType::Classic, .. })) | Err(Fault::Missing(_)) => GiveBack::Close,
        Ok(_) => GiveBack::Nack,
        Err(fault) => return Err(fault),
    })
}

/// Returns whether a queue may be a quorum queue now: see [`Asking::may_be_quorum`].
pub(super) async fn may_be_quorum(live: &Live, queue: &ShortString) -> Result<bool, Fault> {
    let mut asking = Asking::on(live, None);
    let may_be_quorum = asking.may_be_quorum(queue).await;
    asking.end().await;
    may_be_quorum
}

/// Returns whether one of these queues may be a quorum queue, so that its requests need quorum claim queues. Workers ask often, so recent
/// answers are believed.
pub(super) async fn any_quorum(live: &Live, queues: impl IntoIterator<Item = ShortString>) -> Result<bool, Fault> {
    let mut asking = Asking::on(live, None);
    let mut any = Ok(false);
    for queue in queues {
        any = match live.kinds.believed(&queue) {
            Some(kind) => Ok(kind.queue_type == QueueType::Quorum),
            None => asking.may_be_quorum(&queue).await,
        };
        if !matches!(any, Ok(false)) {
            break;
        }
    }
    asking.end().await;
    any
}

/// The type that queues have in this virtual host when nobody names one; quorum where that cannot be learnt.
async fn default_type(live: &Live) -> Result<QueueType, Fault> {
    if let Some(known) = live.kinds.default_type() {
        return Ok(known);
    }
    let trial = names::trial_queue(&ShortString::default());
    let channel = in_time(live.channel()).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-expires".into(), AMQPValue::LongInt(TRIAL_EXPIRES));
    let mut classic = Kind::CLASSIC.arguments();
    classic.insert("x-expires".into(), AMQPValue::LongInt(TRIAL_EXPIRES));
    let declared = in_time(async {
        channel.queue_declare(trial.clone(), DURABLE, arguments).await?;
        channel.queue_declare(trial.clone(), DURABLE, classic).await?;
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
    live.kinds.note_default_type(found);
    Ok(found)
}

/// How a quorum queue with this name and limit is given back what was looked at, if it keeps what is given back often. With the empty name:
/// one to which no policy for request queues applies.
async fn harmless(live: &Live, queue: ShortString, limit: Option<i32>) -> Result<Option<GiveBack>, Fault> {
    if let Some(way) = live.kinds.harmless(&queue, limit) {
        return Ok(way);
    }
    let trial = names::trial_queue(&queue);
    // The connection that looks never publishes: while an alarm is on, the broker would read nothing more from it.
    let publishing = live.publishing().await?;
    let channel = publishing.confirming_channel().await?;
    let survives = async {
        tokio::select! {
            alarm = publishing.blocked() => Err(alarm),
            survives = survives(&channel, &trial, limit) => survives,
        }
    };
    let way = match publishing.in_time(survives).await {
        Ok(way) => way,
        // The broker removes what is left of the trial.
        Err(fault @ (Fault::Blocked(_) | Fault::Away(_))) => return Err(fault),
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
    live.kinds.note_harmless(queue, limit, way);
    Ok(way)
}

/// Gives a message of a new quorum queue back many times, and looks whether it is still there.
async fn survives(channel: &Channel, trial: &ShortString, limit: Option<i32>) -> Result<Option<GiveBack>, Fault> {
    let mut arguments = Kind { queue_type: QueueType::Quorum, limit }.arguments();
    arguments.insert("x-expires".into(), AMQPValue::LongInt(TRIAL_EXPIRES));
    channel.queue_declare(trial.clone(), DURABLE, arguments).await?;
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
