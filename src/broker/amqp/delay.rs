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

use super::browse::BrowsedMessages;
use super::channel::{close, with_timeout};
use super::claim_queue::expiring;
use super::connection::Connection;
use super::error::AmqpError;
use super::message::ClaimedRequest;
use super::queue_probe::QueueProbe;
use super::{browsable, names, publish, queues};
use crate::broker::{DELAYS, Settlement, delay};
use crate::release::QueueName;

/// Maximum number of messages that are listed for each delay: listing takes every message for a moment.
const MAX_LISTED: usize = 10_000;

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
    ///
    /// Every process that lists queues does this, and nearly always they exist. So the broker answers once to all; if
    /// something is wrong, to each of them, which tells what it is.
    async fn declare(self, connection: &Connection) -> Result<(), AmqpError> {
        match self.declare_with(connection, true).await {
            Ok(()) => Ok(()),
            Err(_) => self.declare_with(connection, false).await,
        }
    }

    /// Creates the queues that do not exist; with `is_quick`, the broker answers only at the end.
    async fn declare_with(self, connection: &Connection, is_quick: bool) -> Result<(), AmqpError> {
        let channel = connection.channel().await?;
        // The shortest delay comes last: if its queue exists, all do.
        for delay in DELAYS.into_iter().rev() {
            let name = self.name(delay);
            let milliseconds = i32::try_from(delay.as_millis()).unwrap_or(i32::MAX);
            let arguments = expiring(milliseconds, self.is_quorum);
            let (exchange_options, queue_options) = (
                ExchangeDeclareOptions { durable: true, nowait: is_quick, ..Default::default() },
                QueueDeclareOptions { durable: true, nowait: is_quick, ..Default::default() },
            );
            let no_arguments = FieldTable::default();
            channel
                .exchange_declare(name.clone(), ExchangeKind::Fanout, exchange_options, no_arguments.clone())
                .await?;
            channel.queue_declare(name.clone(), queue_options, arguments).await?;
            let (key, options) = (ShortString::default(), QueueBindOptions { nowait: is_quick && delay != DELAYS[0] });
            channel.queue_bind(name.clone(), name, key, options, no_arguments).await?;
        }
        close(&channel).await;
        Ok(())
    }

    /// Returns the queues that may hold requests.
    async fn filled(self, connection: &Connection) -> Result<Vec<ShortString>, AmqpError> {
        let mut probe = QueueProbe::on(connection);
        let mut filled = Vec::new();
        for delay in DELAYS {
            match probe.lengths(self.name(delay)).await? {
                // A consumer is another client that lists the messages and holds them.
                Some(lengths) if lengths.ready > 0 || lengths.consumers > 0 => filled.push(self.name(delay)),
                // Without the first one there are no others, and the broker logs each question about them.
                None if delay == DELAYS[0] => break,
                Some(_) | None => {}
            }
        }
        probe.end().await;
        Ok(filled)
    }
}

/// Publishes a request so that it comes back to its origin after the delay of a [`Settlement::Later`].
///
/// If the broker refuses to create the delay queues, the request comes back at once.
pub(super) async fn publish(
    connection: &Connection,
    channel: &Channel,
    claimed: &ClaimedRequest,
    settlement: &Settlement,
) -> Result<(), AmqpError> {
    let Settlement::Later { after, .. } = settlement else { return Ok(()) };
    // Without a queue to go back to, the broker would later drop the message silently.
    queues::declare(connection, std::slice::from_ref(&claimed.origin)).await?;
    let origin = names::short(&claimed.origin);
    let queues = match browsable::may_be_quorum(connection, &origin).await? {
        true => DelayQueues::QUORUM,
        false => DelayQueues::CLASSIC,
    };
    let exchange = match with_timeout(queues.declare(connection)).await {
        Ok(()) => queues.name(delay(*after)),
        Err(fault @ (AmqpError::Refused(_) | AmqpError::Denied(_))) => {
            tracing::warn!("a request goes back to its queue without a delay: {fault}");
            ShortString::default()
        }
        Err(fault) => return Err(fault),
    };
    let properties = claimed.properties_after(settlement);
    with_timeout(publish::to_exchange(channel, exchange, origin, &claimed.body, properties)).await
}

/// Creates the delay queues before they are listed for the first time, if this user may do so.
///
/// RabbitMQ logs each question about a queue that does not exist as an error.
async fn make_once(connection: &Connection) -> Result<(), AmqpError> {
    if connection.has_delays.load(Ordering::Relaxed) || !connection.may_create_own() {
        return Ok(());
    }
    for made in connection
        .with_timeout(async { Ok(join_all(DelayQueues::ALL.map(|queues| queues.declare(connection))).await) })
        .await?
    {
        match made {
            Ok(()) => {}
            Err(AmqpError::Denied(_)) => connection.record_own_denied(),
            Err(AmqpError::Refused(reason)) => tracing::debug!("the queues for delays are left as they are: {reason}"),
            Err(fault) => return Err(fault),
        }
    }
    connection.has_delays.store(true, Ordering::Relaxed);
    Ok(())
}

/// Returns the requests that wait out a delay. The routing key is the origin's name. All go back to their places.
///
/// # Errors
/// [`AmqpError::BeingBrowsed`] when another client holds some of them and does not return them.
pub(super) async fn waiting(connection: &Connection) -> Result<Vec<Delivery>, AmqpError> {
    let _after_others = connection.browse_lock.lock().await;
    make_once(connection).await?;
    let filled = try_join_all(DelayQueues::ALL.map(|queues| queues.filled(connection))).await?;
    let looks = filled.into_iter().flatten().map(|queue| BrowsedMessages::list(connection, queue, MAX_LISTED, None));
    Ok(try_join_all(looks).await?.into_iter().flatten().collect())
}

/// Returns the names of all delay queues, in the order in which every client takes from them.
pub(super) async fn all_queues(connection: &Connection) -> Result<Vec<ShortString>, AmqpError> {
    make_once(connection).await?;
    Ok(DelayQueues::ALL.iter().flat_map(|queues| DELAYS.map(|delay| queues.name(delay))).collect())
}

/// Returns whether requests of one of these origins wait out a delay, or may do so.
pub(super) async fn any_waiting(connection: &Connection, origins: &[QueueName]) -> Result<bool, AmqpError> {
    let names: HashSet<String> = origins.iter().map(ToString::to_string).collect();
    match waiting(connection).await {
        Ok(waiting) => Ok(waiting.iter().any(|message| names.contains(message.routing_key.as_str()))),
        Err(AmqpError::BeingBrowsed(_)) => Ok(true),
        Err(fault) => Err(fault),
    }
}
