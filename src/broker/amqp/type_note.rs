//! A note at the broker with the type of the request queues, for the next process.
//!
//! A wrong first guess is a line in the broker's log, and each command is a process of its own. The note is the length
//! of a queue of our own, which its declaration returns. It is only a hint: the broker is asked about each queue.

use std::time::Duration;

use lapin::Channel;
use lapin::options::{QueueDeclareOptions, QueuePurgeOptions};
use lapin::types::AMQPValue;

use super::channel::{close, with_timeout};
use super::connection::{Connection, Connector};
use super::error::AmqpError;
use super::kind_cache::Kind;
use super::message::persistent;
use super::{names, publish};
use crate::broker::queue_type::QueueType;

/// Timeout for a correction, which delays the end of the process.
const NOTE_TIMEOUT: Duration = Duration::from_secs(2);

/// Returns the type in the note; `None` when this user may not read it.
pub(super) async fn read(connection: &Connection) -> Option<QueueType> {
    if !connection.may_create_own() {
        return None;
    }
    let channel = with_timeout(connection.channel()).await.ok()?;
    match with_timeout(declare(&channel)).await {
        Ok(length) => {
            close(&channel).await;
            Some(if length > 0 { QueueType::Quorum } else { QueueType::Classic })
        }
        Err(fault) => {
            if matches!(fault, AmqpError::Denied(_)) {
                connection.record_own_denied();
            }
            None
        }
    }
}

async fn declare(channel: &Channel) -> Result<u32, AmqpError> {
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    let mut arguments = Kind::CLASSIC.arguments();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(1));
    Ok(channel.queue_declare(names::TYPE_NOTE.into(), options, arguments).await?.message_count())
}

/// Corrects the note if it was wrong about the first queue.
pub(super) async fn correct(connector: &Connector) {
    let Some(found) = connector.current().and_then(|connection| connection.kinds.misnoted()) else { return };
    let correction = async {
        // A connection that lists queues must not publish: see [`Connector::publishing`].
        let (connection, channel) = connector.publishing_channel().await?;
        match found {
            QueueType::Quorum => {
                publish::confirmed(&channel, names::TYPE_NOTE.into(), b"", persistent()).await?;
            }
            QueueType::Classic => {
                channel.queue_purge(names::TYPE_NOTE.into(), QueuePurgeOptions::default()).await?;
            }
        }
        connection.close(&channel).await;
        Ok::<(), AmqpError>(())
    };
    match tokio::time::timeout(NOTE_TIMEOUT, correction).await {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => tracing::debug!("the type of the queues is not noted: {fault}"),
        Err(_) => tracing::debug!("the type of the queues is not noted: no answer"),
    }
}
