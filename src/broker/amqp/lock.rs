//! Locks of requests: exclusive queues named after a request's id. [`super::acquire`] says why.

use lapin::Channel;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;

use super::channel::{close, in_time};
use super::claims::Place;
use super::connection::Live;
use super::fault::Fault;
use super::message::Subject;
use super::names;
use crate::request::RequestId;

/// A channel on which a slot acquires and releases locks.
pub(super) struct Locks {
    pub(super) live: Live,
    channel: Option<Channel>,
}

impl Locks {
    /// Opens a channel on this connection.
    pub(super) async fn on(live: &Live) -> Result<Self, Fault> {
        Ok(Self { live: live.clone(), channel: Some(live.channel().await?) })
    }

    async fn channel(&mut self) -> Result<Channel, Fault> {
        if let Some(channel) = self.channel.as_ref().filter(|channel| channel.status().connected()) {
            return Ok(channel.clone());
        }
        let channel = self.live.channel().await?;
        self.channel = Some(channel.clone());
        Ok(channel)
    }

    /// Acquires the lock of a request. Returns whether this connection has it now.
    pub(super) async fn lock(&mut self, uuid: &RequestId) -> Result<bool, Fault> {
        in_time(async {
            // A refusal closes the channel; the next attempt opens a new one.
            let channel = self.channel().await?;
            let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
            let declared = channel.queue_declare(names::lock_queue(uuid), options, FieldTable::default()).await;
            match declared.map_err(Fault::from) {
                Ok(_) => Ok(true),
                Err(Fault::Locked) => Ok(false),
                Err(fault) => Err(fault),
            }
        })
        .await
    }

    /// Releases the lock of a request.
    pub(super) async fn unlock(&mut self, subject: &Subject) -> Result<(), Fault> {
        let Some(uuid) = &subject.uuid else { return Ok(()) };
        in_time(async {
            let channel = self.channel().await?;
            let deleted = channel.queue_delete(names::lock_queue(uuid), QueueDeleteOptions::default()).await;
            match deleted.map_err(Fault::from) {
                Ok(_) | Err(Fault::Missing(_)) => Ok(()),
                Err(fault) => Err(fault),
            }
        })
        .await
    }

    /// Releases the lock of a settled request in the background, and ends its registration then.
    pub(super) fn unlock_settled(&self, subject: Subject, place: Place) {
        let mut own = Self { live: self.live.clone(), channel: self.channel.clone() };
        tokio::spawn(async move {
            if let Err(fault) = own.unlock(&subject).await {
                tracing::warn!("a lock of a request from {} stays until the connection ends: {fault}", subject.origin);
            }
            drop(place);
        });
    }

    pub(super) async fn close(self) {
        if let Some(channel) = self.channel {
            close(&channel).await;
        }
    }
}
