//! Locks of requests: exclusive queues named after a request's id. [`super::acquire`] says why.

use lapin::Channel;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;

use super::channel::{close, with_timeout};
use super::claim_registry::ClaimRegistration;
use super::connection::Connection;
use super::error::AmqpError;
use super::message::ClaimedRequest;
use super::names;
use crate::request::RequestId;

/// A channel on which a slot acquires and releases locks.
pub(super) struct Locks {
    pub(super) connection: Connection,
    channel: Option<Channel>,
}

impl Locks {
    /// Opens a channel on this connection.
    pub(super) async fn on(connection: &Connection) -> Result<Self, AmqpError> {
        Ok(Self { connection: connection.clone(), channel: Some(connection.channel().await?) })
    }

    async fn channel(&mut self) -> Result<Channel, AmqpError> {
        if let Some(channel) = self.channel.as_ref().filter(|channel| channel.status().connected()) {
            return Ok(channel.clone());
        }
        let channel = self.connection.channel().await?;
        self.channel = Some(channel.clone());
        Ok(channel)
    }

    /// Acquires the lock of a request. Returns whether this connection has it now.
    pub(super) async fn lock(&mut self, uuid: &RequestId) -> Result<bool, AmqpError> {
        with_timeout(async {
            // A refusal closes the channel; the next attempt opens a new one.
            let channel = self.channel().await?;
            let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
            let declared = channel.queue_declare(names::lock_queue(uuid), options, FieldTable::default()).await;
            match declared.map_err(AmqpError::from) {
                Ok(_) => Ok(true),
                Err(AmqpError::Locked) => Ok(false),
                Err(fault) => Err(fault),
            }
        })
        .await
    }

    /// Releases the lock of a request.
    pub(super) async fn unlock(&mut self, claimed: &ClaimedRequest) -> Result<(), AmqpError> {
        let Some(uuid) = &claimed.uuid else { return Ok(()) };
        with_timeout(async {
            let channel = self.channel().await?;
            let deleted = channel.queue_delete(names::lock_queue(uuid), QueueDeleteOptions::default()).await;
            match deleted.map_err(AmqpError::from) {
                Ok(_) | Err(AmqpError::Missing(_)) => Ok(()),
                Err(fault) => Err(fault),
            }
        })
        .await
    }

    /// Releases the lock of a settled request in the background, and ends its registration then.
    pub(super) fn unlock_settled(&self, claimed: ClaimedRequest, registration: ClaimRegistration) {
        let mut own = Self { connection: self.connection.clone(), channel: self.channel.clone() };
        tokio::spawn(async move {
            if let Err(fault) = own.unlock(&claimed).await {
                tracing::warn!("a lock of a request from {} stays until the connection ends: {fault}", claimed.origin);
            }
            drop(registration);
        });
    }

    pub(super) async fn close(self) {
        if let Some(channel) = self.channel {
            close(&channel).await;
        }
    }
}
