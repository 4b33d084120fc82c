//! Lengths of queues, from passive declarations.

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::{FieldTable, ShortString};

use super::channel::{close, with_timeout};
use super::connection::Connection;
use super::error::AmqpError;

/// Asks for the lengths of queues, one after the other.
///
/// The broker closes the channel after a question about a queue that does not exist, so a new one is opened then.
pub(super) struct QueueProbe<'a> {
    pub(super) connection: &'a Connection,
    pub(super) channel: Option<Channel>,
    /// The queue that was asked for last, if it exists.
    pub(super) seen: Option<ShortString>,
}

/// Numbers that the broker reports about a queue.
pub(super) struct Lengths {
    pub(super) ready: u64,
    pub(super) consumers: u64,
}

impl<'a> QueueProbe<'a> {
    pub(super) fn on(connection: &'a Connection) -> Self {
        Self { connection, channel: None, seen: None }
    }

    /// Returns the lengths of a queue; `None` when it does not exist.
    pub(super) async fn lengths(&mut self, queue: ShortString) -> Result<Option<Lengths>, AmqpError> {
        // This connection must not publish: while an alarm is on, the broker would read nothing more from it.
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => with_timeout(self.connection.channel()).await?,
        };
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        self.seen = None;
        let asked = async { Ok(channel.queue_declare(queue.clone(), options, FieldTable::default()).await?) };
        match with_timeout(asked).await {
            Ok(answer) => {
                self.channel = Some(channel);
                self.seen = Some(queue);
                let (ready, consumers) = (answer.message_count().into(), answer.consumer_count().into());
                Ok(Some(Lengths { ready, consumers }))
            }
            Err(AmqpError::Missing(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    pub(super) async fn end(self) {
        if let Some(channel) = self.channel {
            close(&channel).await;
        }
    }
}
