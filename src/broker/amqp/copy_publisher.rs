//! Copies of messages that move to another queue.
//!
//! They are published on another connection than the one that holds the messages. While an alarm is on, the broker
//! reads nothing more from a connection that has published: it would notice neither that the messages are returned, nor
//! that the process has ended.

use std::collections::HashSet;
use std::time::Duration;

use lapin::message::Delivery;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, PublisherConfirm};
use tokio::time::Instant;

use super::channel::OTHER_HOLDER_TIMEOUT;
use super::connection::{Connection, Connector};
use super::error::AmqpError;
use super::{names, publish};
use crate::broker::BrokerError;

/// Time after the beginning of an alarm in which the broker confirms what it has read before.
const LAST_CONFIRMATIONS_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause between attempts to reserve a queue. Each is a line in the broker's log.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// A publisher of copies to one queue, which is reserved for it.
pub(super) struct CopyPublisher {
    connection: Connection,
    channel: Channel,
    pub(super) queue: ShortString,
    /// Returns the properties of a copy.
    properties: fn(&Delivery) -> BasicProperties,
}

impl CopyPublisher {
    /// Reserves a queue for copies, before any message is held.
    ///
    /// Copies get these properties instead of the messages' own.
    ///
    /// # Errors
    /// [`BrokerError::Blocked`] while an alarm blocks publishing.
    pub(super) async fn to(
        connector: &Connector,
        queue: ShortString,
        properties: fn(&Delivery) -> BasicProperties,
    ) -> Result<Self, BrokerError> {
        publish::probe(connector).await?;
        let connection = connector.publishing().await?;
        let reserved = reserve(&connection, &queue).await;
        let channel = reserved.map_err(|fault| connector.error("move requests", fault))?;
        Ok(Self { connection, channel, queue, properties })
    }

    /// Publishes copies of the messages whose bodies are not in `there`, and waits for all confirmations.
    ///
    /// # Errors
    /// [`AmqpError::Blocked`] when an alarm begins meanwhile. The broker reads the rest of the copies when the alarm is
    /// over.
    pub(super) async fn publish(&self, messages: &[&Delivery], there: &HashSet<Vec<u8>>) -> Result<(), AmqpError> {
        if let Some(alarm) = self.connection.alarm() {
            return Err(alarm);
        }
        let publication = async {
            let mut confirms: Vec<PublisherConfirm> = Vec::with_capacity(messages.len());
            for message in messages.iter().filter(|message| !there.contains(&message.data)) {
                let (exchange, key, properties) =
                    (ShortString::default(), self.queue.clone(), (self.properties)(message));
                confirms.push(publish::start(&self.channel, exchange, key, &message.data, properties).await?);
            }
            for confirm in confirms {
                publish::confirmation_result(confirm.await, self.queue.as_str())?;
            }
            Ok(())
        };
        let alarm = async {
            let alarm = self.connection.blocked().await;
            tokio::time::sleep(LAST_CONFIRMATIONS_TIMEOUT).await;
            alarm
        };
        tokio::select! {
            biased;
            outcome = self.connection.with_timeout(publication) => outcome,
            alarm = alarm => Err(alarm),
        }
    }

    pub(super) async fn end(self) {
        let reservation = names::copying_queue(&self.queue);
        let removed =
            async { Ok(self.channel.queue_delete(reservation, QueueDeleteOptions::default()).await.map(drop)?) };
        tokio::select! {
            biased;
            _ = self.connection.blocked() => self.connection.leave(),
            removed = self.connection.with_timeout(removed) => {
                if let Err(fault) = removed {
                    tracing::debug!("others may copy to {} when this connection ends: {fault}", self.queue);
                }
                self.connection.close(&self.channel).await;
            }
        }
    }
}

/// Reserves a queue for copies, and returns a channel for them.
///
/// An earlier call that was killed has sent some copies. When the broker removes that call's reservation, it has
/// processed all of them.
async fn reserve(connection: &Connection, queue: &ShortString) -> Result<Channel, AmqpError> {
    let end = Instant::now() + OTHER_HOLDER_TIMEOUT;
    loop {
        let channel = connection.confirming_channel().await?;
        let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
        let (name, arguments) = (names::copying_queue(queue), FieldTable::default());
        let reserved = async { Ok(channel.queue_declare(name, options, arguments).await.map(drop)?) };
        match connection.with_timeout(reserved).await {
            Ok(()) => return Ok(channel),
            Err(AmqpError::Locked) if Instant::now() < end => tokio::time::sleep(RETRY_DELAY).await,
            // Without the permission to create queues, nothing is reserved.
            Err(AmqpError::Denied(_)) => return connection.confirming_channel().await,
            Err(AmqpError::Locked) => {
                return Err(AmqpError::Refused(format!("another command is already moving requests to {queue}")));
            }
            Err(fault) => return Err(fault),
        }
    }
}
