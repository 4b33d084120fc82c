//! Announcements of tests that run and tests that have ended.

use std::sync::Arc;

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Consumer, ExchangeKind};
use tokio::time::Instant;

use super::channel::close;
use super::connection::{Connection, Connector};
use super::error::AmqpError;
use super::message::persistent;
use crate::broker::{BrokerError, Topic};

/// Channels for announcements, for one user at a time.
#[derive(Default)]
pub(super) struct Announcer {
    /// Has no confirmations: the state of a running test is news for a few seconds only.
    status: Option<Channel>,
    complete: Option<Channel>,
}

impl Announcer {
    /// Publishes an announcement. That a test has ended is confirmed by the broker before this returns.
    pub(super) async fn announce(
        &mut self,
        connection: &Connection,
        topic: Topic,
        message: &[u8],
    ) -> Result<(), AmqpError> {
        let own = match topic {
            Topic::TestStatus => &mut self.status,
            Topic::TestComplete => &mut self.complete,
        };
        connection
            .with_timeout(async {
                let channel = match own.take() {
                    Some(channel) if channel.status().connected() => channel,
                    _ => open(connection, topic).await?,
                };
                let options = BasicPublishOptions::default();
                let properties = persistent().with_content_type("application/json".into());
                let (exchange, properties) = match topic {
                    // News about running tests need not survive a restart of the broker.
                    Topic::TestStatus => (STATUS, properties.with_delivery_mode(TRANSIENT)),
                    Topic::TestComplete => (COMPLETE, properties),
                };
                let key = ShortString::default();
                // On the channel without confirmations, this returns at once.
                channel.basic_publish(exchange.into(), key, options, message, properties).await?.await?;
                *own = Some(channel);
                Ok(())
            })
            .await
    }
}

const TRANSIENT: u8 = 1;
/// Completes "cannot …".
const ACTION: &str = "receive announcements";
const STATUS: &str = "teststatus.fanout";
const COMPLETE: &str = "testcomplete.fanout";

async fn open(connection: &Connection, topic: Topic) -> Result<Channel, AmqpError> {
    let (channel, exchange, durable) = match topic {
        Topic::TestStatus => (connection.channel().await?, STATUS, false),
        Topic::TestComplete => (connection.confirming_channel().await?, COMPLETE, true),
    };
    let options = ExchangeDeclareOptions { durable, ..Default::default() };
    channel.exchange_declare(exchange.into(), ExchangeKind::Fanout, options, FieldTable::default()).await?;
    Ok(channel)
}

/// A receiver of the announcements of a topic, without a gap from its creation on.
pub struct AmqpListener {
    connector: Arc<Connector>,
    connection: Connection,
    channel: Channel,
    announcements: Consumer,
}

/// Maximum size of an announcement, in bytes. Larger ones do not come from workers, and are skipped.
const MAX_ANNOUNCEMENT: usize = 128 * 1024;
/// Maximum size of the announcements that wait at the broker for a slow listener, in bytes.
///
/// The oldest are dropped first.
const MAX_WAITING: i32 = 8 * 1024 * 1024;
/// Maximum number of announcements that this process has received and not handled.
const PREFETCH: u16 = 16;

impl AmqpListener {
    pub(super) async fn new(connector: Arc<Connector>, topic: Topic) -> Result<Self, BrokerError> {
        let connection = connector.connection().await?;
        let listening = async {
            let channel = open(&connection, topic).await?;
            let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
            let mut arguments = FieldTable::default();
            arguments.insert("x-max-length-bytes".into(), AMQPValue::LongInt(MAX_WAITING));
            let queue = channel.queue_declare(ShortString::default(), options, arguments).await?;
            let queue = queue.name().clone();
            let exchange = match topic {
                Topic::TestStatus => STATUS,
                Topic::TestComplete => COMPLETE,
            };
            let (key, options) = (ShortString::default(), QueueBindOptions::default());
            channel.queue_bind(queue.clone(), exchange.into(), key, options, FieldTable::default()).await?;
            // Each is acknowledged by itself, so that a surplus stays at the broker, where the queue's limit applies.
            channel.basic_qos(PREFETCH, BasicQosOptions { global: false }).await?;
            let options = BasicConsumeOptions::default();
            let announcements =
                channel.basic_consume(queue, ShortString::default(), options, FieldTable::default()).await?;
            Ok((channel, announcements))
        };
        let (channel, announcements) =
            connection.with_timeout(listening).await.map_err(|fault: AmqpError| connector.error(ACTION, fault))?;
        Ok(Self { connector, connection, channel, announcements })
    }

    /// See [`crate::broker::Listener::next`].
    pub(in crate::broker) async fn next(&mut self, until: Instant) -> Result<Option<Vec<u8>>, BrokerError> {
        loop {
            let message = tokio::select! {
                biased;
                message = self.announcements.next() => message,
                fault = self.connection.ended() => return Err(self.connector.error(ACTION, fault)),
                () = tokio::time::sleep_until(until) => return Ok(None),
            };
            let message = match message {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Err(self.connector.error(ACTION, error.into())),
                None => {
                    return Err(self
                        .connector
                        .error(ACTION, AmqpError::Unreachable("the connection was closed".to_owned())));
                }
            };
            let acknowledged = message.acker.ack(BasicAckOptions::default()).await;
            acknowledged.map_err(|error| self.connector.error(ACTION, error.into()))?;
            if message.data.len() <= MAX_ANNOUNCEMENT {
                return Ok(Some(message.data));
            }
            tracing::debug!("passed over an announcement of {} bytes", message.data.len());
        }
    }

    /// See [`crate::broker::Listener::end`].
    pub(in crate::broker) async fn end(self) {
        close(&self.channel).await;
    }
}
