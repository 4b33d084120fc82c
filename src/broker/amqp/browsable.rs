//! Decides which queues can be listed.
//!
//! RabbitMQ can list a queue only by delivering its messages. A classic queue takes them back as if nothing had
//! happened. A quorum queue counts each delivery, and silently drops a message at its limit. Version numbers are not
//! relied on; the behaviour of the broker is tried out:
//!
//! - The kind: a declaration of an existing queue with its type and limit changes nothing. With others it is refused,
//!   and the broker names them. The kind that was observed last, also by the last process, is tried first, because a
//!   refusal is a line in the broker's log. Before each listing the broker is asked again, because the queue may have
//!   been created again.
//! - The limit: a message is returned more often than the default limit allows, in a queue of our own whose name begins
//!   and ends like the queue's, so that the same policy applies to it; and more often than any message of the queue
//!   was, if that is known (see [`returns`]).
//!
//! `docs/queue-types.md` has the measurements.

use std::collections::{HashMap, HashSet};

use lapin::Channel;
use lapin::message::BasicGetMessage;
use lapin::options::{BasicGetOptions, BasicNackOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::browse::BrowsedMessages;
use super::channel::{close, with_timeout};
use super::connection::Connection;
use super::error::AmqpError;
use super::kind_cache::{Kind, ReturnMethod, Trial, TrialSubject};
use super::message::persistent;
use super::returns::{FIRST_TRIAL, LAST_TRIAL};
use super::{names, publish, returns, type_note};
use crate::broker::queue_type::{Opaque, OpaqueReason, QueueType};

/// Time after which the broker deletes a trial's queue that a process has left behind, in milliseconds.
const TRIAL_QUEUE_TTL: i32 = 60_000;
/// Maximum number of guesses: the broker names a wrong type first, then a wrong limit.
const MAX_GUESSES: usize = 3;

const DURABLE: QueueDeclareOptions =
    QueueDeclareOptions { passive: false, durable: true, exclusive: false, auto_delete: false, nowait: false };

/// Asks for the kinds of queues, one after the other, on one channel as long as the broker does not close it.
pub(super) struct KindQuery<'a> {
    connection: &'a Connection,
    channel: Option<Channel>,
    /// Queue that was seen to exist a moment ago.
    seen: Option<&'a ShortString>,
}

impl<'a> KindQuery<'a> {
    /// Uses this channel, or opens one for the first question.
    pub(super) fn on(connection: &'a Connection, channel: Option<Channel>) -> Self {
        Self { connection, channel, seen: None }
    }

    /// Skips the question whether this queue exists, because its answer came a moment ago.
    #[must_use]
    pub(super) fn after_seeing(self, queue: &'a ShortString) -> Self {
        Self { seen: Some(queue), ..self }
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

    /// Returns the kind that a queue has now.
    ///
    /// `None` when this user may not ask for it, or the queue has other arguments.
    ///
    /// # Errors
    /// [`AmqpError::Missing`] when the queue does not exist. It is not created.
    async fn kind(&mut self, queue: &ShortString) -> Result<Option<Kind>, AmqpError> {
        let kinds = &self.connection.kinds;
        if let Some(given) = kinds.given(queue) {
            return Ok(Some(given));
        }
        if kinds.is_denied(queue) || kinds.is_unnamed(queue) {
            return Ok(None);
        }
        // Concurrent questions wait for the first answer: each wrong guess is a line in the broker's log.
        let first = if kinds.is_empty() { Some(kinds.first.lock().await) } else { None };
        if kinds.is_empty() && !kinds.has_note() {
            kinds.set_note(type_note::read(self.connection).await);
        }
        let mut guess = kinds.guess(queue);
        for _ in 0..MAX_GUESSES {
            match self.declare(queue, guess).await {
                Ok(()) => {
                    kinds.note(queue, guess);
                    return Ok(Some(guess));
                }
                Err(AmqpError::Refused(refusal)) => match guess.corrected(&refusal) {
                    Some(kind) if kind != guess => guess = kind,
                    _ => {
                        kinds.note_unnamed(queue);
                        break;
                    }
                },
                Err(AmqpError::Denied(_)) => {
                    kinds.note_denied(queue);
                    break;
                }
                Err(AmqpError::Missing(reason)) => {
                    kinds.forget(queue);
                    return Err(AmqpError::Missing(reason));
                }
                Err(fault) => return Err(fault),
            }
        }
        drop(first);
        Ok(None)
    }

    /// Declares an existing queue with this kind.
    async fn declare(&mut self, queue: &ShortString, kind: Kind) -> Result<(), AmqpError> {
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => with_timeout(self.connection.channel()).await?,
        };
        // The answer is used once: a second guess comes later.
        let is_seen = self.seen.take_if(|seen| *seen == queue).is_some();
        with_timeout(async {
            // Otherwise a queue that no longer exists would be created with its former kind.
            if !is_seen {
                let passive = QueueDeclareOptions { passive: true, ..DURABLE };
                channel.queue_declare(queue.clone(), passive, FieldTable::default()).await?;
            }
            Ok(channel.queue_declare(queue.clone(), DURABLE, kind.arguments()).await?)
        })
        .await?;
        self.channel = Some(channel);
        Ok(())
    }

    /// Returns whether a queue is a quorum queue, or of unknown type.
    ///
    /// Quorum queues of our own keep requests of classic queues as well, while classic ones lose those of quorum queues
    /// at a restart of the broker.
    async fn may_be_quorum(&mut self, queue: &ShortString) -> Result<bool, AmqpError> {
        let queue_type = match self.kind(queue).await {
            Ok(kind) => kind.map_or(QueueType::Quorum, |kind| kind.queue_type),
            Err(AmqpError::Missing(_)) => default_type(self.connection).await?,
            Err(fault) => return Err(fault),
        };
        Ok(queue_type == QueueType::Quorum)
    }

    /// Returns whether a queue is a quorum queue.
    ///
    /// One that is missing or of unknown type counts as one of the default type.
    pub(super) async fn is_quorum(&mut self, queue: &ShortString) -> Result<bool, AmqpError> {
        let queue_type = match self.kind(queue).await {
            Ok(Some(kind)) => kind.queue_type,
            Ok(None) | Err(AmqpError::Missing(_)) => default_type(self.connection).await?,
            Err(fault) => return Err(fault),
        };
        Ok(queue_type == QueueType::Quorum)
    }
}

async fn kind(connection: &Connection, queue: &ShortString) -> Result<Option<Kind>, AmqpError> {
    let mut query = KindQuery::on(connection, None);
    let kind = query.kind(queue).await;
    query.end().await;
    kind
}

/// Returns how listed messages of an existing queue are returned, or the reason why it must not be listed.
pub(super) async fn check(
    connection: &Connection,
    queue: &ShortString,
) -> Result<Result<ReturnMethod, Opaque>, AmqpError> {
    let opaque = |reason| Err(Opaque { queue: queue.to_string(), reason, vhost: connection.vhost() });
    let (kind, reason) = match kind(connection, queue).await {
        // A queue that no longer exists has no messages to harm.
        Err(AmqpError::Missing(_)) => return Ok(Ok(ReturnMethod::Close)),
        Err(fault) => return Err(fault),
        Ok(Some(Kind { queue_type: QueueType::Classic, .. })) => return Ok(Ok(ReturnMethod::Close)),
        Ok(Some(Kind { queue_type: QueueType::Quorum, limit })) => ((queue.clone(), limit), OpaqueReason::Limited),
        Ok(None) => ((ShortString::default(), None), OpaqueReason::UnknownType),
    };
    let (name, limit) = kind;
    match is_harmless(connection, queue, &name, limit).await {
        Ok(Some(true)) => Ok(Ok(ReturnMethod::Nack)),
        Ok(Some(false)) => Ok(opaque(reason)),
        Ok(None) if reason == OpaqueReason::Limited => Ok(opaque(OpaqueReason::UnknownLimit)),
        Ok(None) => Ok(opaque(reason)),
        Err(AmqpError::Blocked(_)) => Ok(opaque(OpaqueReason::Alarm)),
        Err(fault) => Err(fault),
    }
}

/// Returns whether a quorum queue can be listed once more without loss; `None` when this user may not try that out.
///
/// The trial's queue is named after `name` and has `limit`.
async fn is_harmless(
    connection: &Connection,
    queue: &ShortString,
    name: &ShortString,
    limit: Option<i32>,
) -> Result<Option<bool>, AmqpError> {
    match try_out(connection, (name.clone(), limit, FIRST_TRIAL)).await? {
        Trial::Denied => return Ok(None),
        Trial::Lost => return Ok(Some(false)),
        Trial::NotCounted => return Ok(Some(true)),
        Trial::Counted => {}
    }
    if !connection.kinds.has_read_notes() {
        match read_notes(connection).await {
            Ok((needed, tried)) => connection.kinds.take_notes(needed, tried),
            Err(fault @ (AmqpError::Unreachable(_) | AmqpError::Blocked(_))) => return Err(fault),
            Err(fault) => {
                tracing::debug!("cannot read how often messages were given back: {fault}");
                connection.kinds.note_needed(queue, LAST_TRIAL);
            }
        }
    }
    let needed = connection.kinds.needed(queue).unwrap_or(FIRST_TRIAL);
    if needed == FIRST_TRIAL {
        return Ok(Some(true));
    }
    // A trial without the queue's policies proves only that the limit is not the default one.
    if name.as_str().is_empty() {
        return Ok(Some(false));
    }
    let trial = (name.clone(), limit, needed);
    if connection.kinds.was_tried(&returns::shown(&trial)) {
        return Ok(Some(true));
    }
    let is_harmless = match try_out(connection, trial.clone()).await? {
        Trial::Denied => return Ok(None),
        outcome => outcome != Trial::Lost,
    };
    if is_harmless {
        returns::note_tried(connection, &trial).await;
    }
    Ok(Some(is_harmless))
}

/// Reads the notes of all processes: the returns that messages of each queue need, and the trials.
async fn read_notes(connection: &Connection) -> Result<(HashMap<String, u32>, HashSet<String>), AmqpError> {
    let needed = returns::parse_needed(&notes_in(connection, returns::NEEDED).await?);
    Ok((needed, notes_in(connection, returns::TRIED).await?.into_iter().collect()))
}

async fn notes_in(connection: &Connection, notes: returns::NoteQueue) -> Result<Vec<String>, AmqpError> {
    let channel = with_timeout(connection.channel()).await?;
    let has_notes = with_timeout(notes.declare(&channel)).await?;
    close(&channel).await;
    let found = if has_notes {
        BrowsedMessages::list(connection, notes.queue.into(), usize::MAX, None).await?
    } else {
        Vec::new()
    };
    Ok(found.iter().map(|note| String::from_utf8_lossy(&note.data).into_owned()).collect())
}

/// Returns how messages are returned when that may count: the way that is harmless on more brokers.
pub(super) async fn least_harmful(connection: &Connection, queue: &ShortString) -> Result<ReturnMethod, AmqpError> {
    Ok(match kind(connection, queue).await {
        Ok(Some(Kind { queue_type: QueueType::Classic, .. })) | Err(AmqpError::Missing(_)) => ReturnMethod::Close,
        Ok(_) => ReturnMethod::Nack,
        Err(fault) => return Err(fault),
    })
}

/// Returns whether a queue is a quorum queue now, or of unknown type: see [`KindQuery::may_be_quorum`].
pub(super) async fn may_be_quorum(connection: &Connection, queue: &ShortString) -> Result<bool, AmqpError> {
    let mut query = KindQuery::on(connection, None);
    let may_be_quorum = query.may_be_quorum(queue).await;
    query.end().await;
    may_be_quorum
}

/// Returns whether one of these queues is a quorum queue, or of unknown type.
///
/// Its requests need quorum claim queues then. Workers ask often, so recent observations are used.
pub(super) async fn any_quorum(
    connection: &Connection,
    queues: impl IntoIterator<Item = ShortString>,
) -> Result<bool, AmqpError> {
    let mut query = KindQuery::on(connection, None);
    let mut any = Ok(false);
    for queue in queues {
        any = match connection.kinds.recent(&queue) {
            Some(kind) => Ok(kind.queue_type == QueueType::Quorum),
            None => query.may_be_quorum(&queue).await,
        };
        if !matches!(any, Ok(false)) {
            break;
        }
    }
    query.end().await;
    any
}

/// Returns the type of queues that are declared without one in this virtual host; quorum if that is unknown.
async fn default_type(connection: &Connection) -> Result<QueueType, AmqpError> {
    if let Some(known) = connection.kinds.default_type() {
        return Ok(known);
    }
    let trial = names::trial_queue(&ShortString::default());
    let channel = with_timeout(connection.channel()).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-expires".into(), AMQPValue::LongInt(TRIAL_QUEUE_TTL));
    let mut classic = Kind::CLASSIC.arguments();
    classic.insert("x-expires".into(), AMQPValue::LongInt(TRIAL_QUEUE_TTL));
    let declared = with_timeout(async {
        channel.queue_declare(trial.clone(), DURABLE, arguments).await?;
        channel.queue_declare(trial.clone(), DURABLE, classic).await?;
        channel.queue_delete(trial, QueueDeleteOptions::default()).await?;
        Ok(())
    });
    let found = match declared.await {
        Ok(()) => QueueType::Classic,
        Err(fault @ AmqpError::Unreachable(_)) => return Err(fault),
        // The broker deletes the declared queue when it expires.
        Err(_) => QueueType::Quorum,
    };
    close(&channel).await;
    connection.kinds.note_default_type(found);
    Ok(found)
}

/// Returns what a quorum queue with this name and limit does with a message that is returned this often.
///
/// With the empty name, no policy for request queues applies to the queue.
async fn try_out(connection: &Connection, of: TrialSubject) -> Result<Trial, AmqpError> {
    if let Some(trial) = connection.kinds.trial(&of) {
        return Ok(trial);
    }
    let (queue, limit, returns) = &of;
    let own = names::trial_queue(queue);
    // A connection that lists queues must not publish: while an alarm is on, the broker would read nothing more from
    // it.
    let (publishing, channel) = connection.publishing_channel().await?;
    let trial = async {
        tokio::select! {
            alarm = publishing.blocked() => Err(alarm),
            trial = give_back_often(&channel, &own, *limit, *returns) => trial,
        }
    };
    let trial = match publishing.with_timeout(trial).await {
        Ok(trial) => trial,
        // The broker deletes the queue of the trial when it expires.
        Err(fault @ (AmqpError::Blocked(_) | AmqpError::Unreachable(_))) => return Err(fault),
        Err(AmqpError::Denied(_)) => Trial::Denied,
        // An unknown limit counts as too low.
        Err(refusal) => {
            tracing::debug!("cannot learn the delivery limit of {queue}: {refusal}");
            Trial::Lost
        }
    };
    if channel.status().connected() {
        let _ = with_timeout(async { Ok(channel.queue_delete(own, QueueDeleteOptions::default()).await?) }).await;
        close(&channel).await;
    }
    connection.kinds.note_trial(of, trial);
    Ok(trial)
}

/// Returns a message of a new quorum queue many times, and checks whether it is still there.
async fn give_back_often(
    channel: &Channel,
    own: &ShortString,
    limit: Option<i32>,
    returns: u32,
) -> Result<Trial, AmqpError> {
    let mut arguments = Kind { queue_type: QueueType::Quorum, limit }.arguments();
    arguments.insert("x-expires".into(), AMQPValue::LongInt(TRIAL_QUEUE_TTL));
    channel.queue_declare(own.clone(), DURABLE, arguments).await?;
    publish::confirmed(channel, own.clone(), b"", persistent()).await?;
    let get = async || channel.basic_get(own.clone(), BasicGetOptions::default()).await;
    let requeue = BasicNackOptions { requeue: true, ..Default::default() };
    for _ in 0..returns {
        // An empty answer is certain: the broker has processed the previous return, on the same channel.
        let Some(BasicGetMessage { delivery, .. }) = get().await? else { return Ok(Trial::Lost) };
        channel.basic_nack(delivery.delivery_tag, requeue).await?;
    }
    Ok(match get().await? {
        None => Trial::Lost,
        Some(BasicGetMessage { delivery, .. }) if returns::count(&delivery) > 0 => Trial::Counted,
        Some(_) => Trial::NotCounted,
    })
}
