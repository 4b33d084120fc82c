//! Queues that are asked for or declared: request queues and queues of dead letters.
//!
//! Request queues are durable and have no arguments, because other programs declare them in the same way.

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::{FieldTable, ShortString};

use super::channel::{close, in_time};
use super::connection::Live;
use super::fault::Fault;
use super::kinds::Kind;
use super::looks::Asking;
use super::names;
use super::queue_probe::{Lengths, Looking};
use crate::release::QueueName;

impl Looking<'_> {
    /// Returns the lengths of a queue of the site; `None` for a while after it was found missing.
    ///
    /// RabbitMQ logs each question about a queue that does not exist as an error. So with `makes`, a queue that was
    /// never seen to exist is created.
    pub(super) async fn look_at_ours(&mut self, queue: &ShortString, makes: bool) -> Result<Option<Lengths>, Fault> {
        let kinds = &self.live.kinds;
        if kinds.is_missing(queue) {
            return Ok(None);
        }
        if let Some(lengths) = self.look(queue.clone()).await? {
            kinds.note_existing(queue);
            return Ok(Some(lengths));
        }
        // A queue that was deleted may be about to be created again with other arguments.
        if makes && !kinds.existed(queue) && !kinds.is_denied(queue) {
            let channel = in_time(self.live.channel()).await?;
            match in_time(declare_durable(&channel, queue.clone())).await {
                Ok(()) => {
                    self.channel = Some(channel);
                    kinds.note_existing(queue);
                    return Ok(Some(Lengths { ready: 0, consumers: 0 }));
                }
                Err(Fault::Denied(_)) => kinds.note_denied(queue),
                // Another client has created it meanwhile.
                Err(Fault::Refused(_)) => return self.look(queue.clone()).await,
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
    pub(super) async fn look_at_dead(&mut self, origin: &QueueName) -> Result<Option<Lengths>, Fault> {
        let (live, dead) = (self.live, names::dead_queue(origin));
        if live.kinds.is_made(&dead) || !live.may_make_own() {
            let lengths = self.look(dead.clone()).await?;
            if lengths.is_some() || !live.may_make_own() {
                return Ok(lengths);
            }
            live.kinds.forget(&dead);
        }
        let mut asking = Asking::on(live, self.channel.take());
        let is_quorum = asking.is_quorum(&names::short(origin)).await?;
        let channel = match asking.into_channel() {
            Some(channel) => channel,
            None => in_time(live.channel()).await?,
        };
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        let arguments = if is_quorum { Kind::UNLIMITED } else { Kind::CLASSIC }.arguments();
        let made = async { Ok(channel.queue_declare(dead.clone(), options, arguments).await?) };
        match in_time(made).await {
            Ok(queue) => {
                self.channel = Some(channel);
                live.kinds.note_made(dead);
                let (ready, consumers) = (queue.message_count().into(), queue.consumer_count().into());
                return Ok(Some(Lengths { ready, consumers }));
            }
            Err(Fault::Denied(_)) => live.may_not_make_own(),
            // It was created with other arguments.
            Err(Fault::Refused(_)) => live.kinds.note_made(dead.clone()),
            Err(fault) => return Err(fault),
        }
        self.look(dead).await
    }
}

/// Creates the queues that do not exist. Existing ones are not declared: this user may lack the permission.
pub(super) async fn declare(live: &Live, queues: &[QueueName]) -> Result<(), Fault> {
    let missing = split(live, queues).await?.1;
    if missing.is_empty() {
        return Ok(());
    }
    let channel = in_time(live.channel()).await?;
    for queue in &missing {
        in_time(declare_durable(&channel, names::short(queue))).await?;
    }
    close(&channel).await;
    Ok(())
}

/// Returns the queues that exist and those that do not, each in the given order.
pub(super) async fn split(live: &Live, queues: &[QueueName]) -> Result<(Vec<QueueName>, Vec<QueueName>), Fault> {
    let mut looking = Looking::at(live);
    let (mut existing, mut missing) = (Vec::new(), Vec::new());
    for queue in queues {
        match looking.look(names::short(queue)).await? {
            Some(_) => existing.push(queue.clone()),
            None => missing.push(queue.clone()),
        }
    }
    looking.end().await;
    Ok((existing, missing))
}

/// Creates the queue of dead letters if it does not exist.
pub(super) async fn declare_dead(live: &Live, origin: &QueueName) -> Result<(), Fault> {
    let mut looking = Looking::at(live);
    let made = looking.look_at_dead(origin).await;
    looking.end().await;
    made.map(drop)
}

/// Declares a durable queue without arguments.
///
/// RabbitMQ 3.10 that is killed within moments after its answer may have lost a new queue when it starts again
/// (measured: once in eight times when killed a second later). Existing queues are not lost.
pub(super) async fn declare_durable(channel: &Channel, queue: ShortString) -> Result<(), Fault> {
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(queue, options, FieldTable::default()).await?;
    Ok(())
}
