//! Queues that are asked for or declared: request queues and queues of dead letters.
//!
//! Request queues are durable and have no arguments, because other programs declare them in the same way.

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::{FieldTable, ShortString};

use super::browsable::KindQuery;
use super::channel::{close, with_timeout};
use super::connection::Connection;
use super::error::AmqpError;
use super::kind_cache::Kind;
use super::names;
use super::queue_probe::{Lengths, QueueProbe};
use crate::release::QueueName;

impl QueueProbe<'_> {
    /// Returns the lengths of a queue of the site; `None` for a while after it was found missing.
    ///
    /// RabbitMQ logs each question about a queue that does not exist as an error. So with `may_create`, a queue that
    /// was never seen to exist is created.
    pub(super) async fn site_lengths(
        &mut self,
        queue: &ShortString,
        may_create: bool,
    ) -> Result<Option<Lengths>, AmqpError> {
        let kinds = &self.connection.kinds;
        if kinds.is_missing(queue) {
            return Ok(None);
        }
        if let Some(lengths) = self.lengths(queue.clone()).await? {
            kinds.note_existing(queue);
            return Ok(Some(lengths));
        }
        // A queue that was deleted may be about to be created again with other arguments.
        if may_create && !kinds.existed(queue) && !kinds.is_denied(queue) {
            let channel = with_timeout(self.connection.channel()).await?;
            match with_timeout(declare_durable(&channel, queue.clone())).await {
                Ok(()) => {
                    self.channel = Some(channel);
                    kinds.note_existing(queue);
                    return Ok(Some(Lengths { ready: 0, consumers: 0 }));
                }
                Err(AmqpError::Denied(_)) => kinds.note_denied(queue),
                // Another client has created it meanwhile.
                Err(AmqpError::Refused(_)) => return self.lengths(queue.clone()).await,
                Err(fault) => return Err(fault),
            }
        }
        kinds.note_missing(queue);
        Ok(None)
    }

    /// Returns the lengths of the queue of a queue's dead letters.
    ///
    /// `None` when it does not exist and this user may not create it. It is declared rather than asked for, because
    /// RabbitMQ logs each question about a queue that does not exist as an error. If the origin is a quorum queue it is
    /// one, too, with a limit that is never reached.
    pub(super) async fn dead_lengths(&mut self, origin: &QueueName) -> Result<Option<Lengths>, AmqpError> {
        let (connection, dead) = (self.connection, names::dead_queue(origin));
        if connection.kinds.is_made(&dead) || !connection.may_create_own() {
            let lengths = self.lengths(dead.clone()).await?;
            if lengths.is_some() || !connection.may_create_own() {
                return Ok(lengths);
            }
            connection.kinds.forget(&dead);
        }
        let origin = names::short(origin);
        let seen = self.seen.take();
        let query = KindQuery::on(connection, self.channel.take());
        let mut query = if seen.is_some_and(|seen| seen == origin) { query.after_seeing(&origin) } else { query };
        let is_quorum = query.is_quorum(&origin).await?;
        let channel = match query.into_channel() {
            Some(channel) => channel,
            None => with_timeout(connection.channel()).await?,
        };
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        let arguments = if is_quorum { Kind::UNLIMITED } else { Kind::CLASSIC }.arguments();
        let made = async { Ok(channel.queue_declare(dead.clone(), options, arguments).await?) };
        match with_timeout(made).await {
            Ok(queue) => {
                self.channel = Some(channel);
                connection.kinds.note_made(dead);
                let (ready, consumers) = (queue.message_count().into(), queue.consumer_count().into());
                return Ok(Some(Lengths { ready, consumers }));
            }
            Err(AmqpError::Denied(_)) => connection.record_own_denied(),
            // It was created with other arguments.
            Err(AmqpError::Refused(_)) => connection.kinds.note_made(dead.clone()),
            Err(fault) => return Err(fault),
        }
        self.lengths(dead).await
    }
}

/// Creates the queues that do not exist. Existing ones are not declared: this user may lack the permission.
pub(super) async fn declare(connection: &Connection, queues: &[QueueName]) -> Result<(), AmqpError> {
    let missing = split(connection, queues).await?.1;
    if missing.is_empty() {
        return Ok(());
    }
    let mut channel = with_timeout(connection.channel()).await?;
    for queue in &missing {
        match with_timeout(declare_durable(&channel, names::short(queue))).await {
            Ok(()) => {}
            // Another client has created it meanwhile, with other arguments. The refusal has closed the channel.
            Err(AmqpError::Refused(_)) if exists(connection, queue).await? => {
                channel = with_timeout(connection.channel()).await?;
            }
            Err(fault) => return Err(fault),
        }
    }
    close(&channel).await;
    Ok(())
}

async fn exists(connection: &Connection, queue: &QueueName) -> Result<bool, AmqpError> {
    Ok(!split(connection, std::slice::from_ref(queue)).await?.0.is_empty())
}

/// Returns the queues that exist and those that do not, each in the given order.
pub(super) async fn split(
    connection: &Connection,
    queues: &[QueueName],
) -> Result<(Vec<QueueName>, Vec<QueueName>), AmqpError> {
    let mut probe = QueueProbe::on(connection);
    let (mut existing, mut missing) = (Vec::new(), Vec::new());
    for queue in queues {
        match probe.lengths(names::short(queue)).await? {
            Some(_) => existing.push(queue.clone()),
            None => missing.push(queue.clone()),
        }
    }
    probe.end().await;
    Ok((existing, missing))
}

/// Creates the queue of dead letters if it does not exist.
pub(super) async fn declare_dead(connection: &Connection, origin: &QueueName) -> Result<(), AmqpError> {
    let mut probe = QueueProbe::on(connection);
    let made = probe.dead_lengths(origin).await;
    probe.end().await;
    made.map(drop)
}

/// Declares a durable queue without arguments.
///
/// RabbitMQ 3.10 that is killed within moments after its answer may have lost a new queue when it starts again
/// (measured: once in eight times when killed a second later). Existing queues are not lost.
pub(super) async fn declare_durable(channel: &Channel, queue: ShortString) -> Result<(), AmqpError> {
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(queue, options, FieldTable::default()).await?;
    Ok(())
}
