//! News for whoever listens: what runs now, and what has ended.

use std::sync::Arc;

use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer, ExchangeKind};
use tokio::time::Instant;

use super::channel::{close, in_time};
use super::connection::{Link, Live};
use super::fault::Fault;
use super::publish;
use crate::broker::{BrokerError, Topic};

/// The channels of the announcements. One at a time uses them.
#[derive(Default)]
pub(super) struct Announcer {
    /// What runs is news for a few seconds: nobody waits for the broker's confirmation.
    status: Option<Channel>,
    complete: Option<Channel>,
}

impl Announcer {
    /// Publishes on a connection that is alive. What has ended is confirmed by the broker when this returns.
    pub(super) async fn announce(&mut self, live: &Live, topic: Topic, message: &[u8]) -> Result<(), Fault> {
        let own = match topic {
            Topic::TestStatus => &mut self.status,
            Topic::TestComplete => &mut self.complete,
        };
        in_time(async {
            let channel = match own.take() {
                Some(channel) if channel.status().connected() => channel,
                _ => open(live, topic).await?,
            };
            let options = BasicPublishOptions::default();
            let properties = publish::persistent().with_content_type("application/json".into());
            let (exchange, properties) = match topic {
                // Nobody wants to read after a restart what ran before it.
                Topic::TestStatus => (STATUS, properties.with_delivery_mode(TRANSIENT)),
                Topic::TestComplete => (COMPLETE, properties),
            };
            let key = ShortString::default();
            // Without confirmations on the channel, this one is there at once.
            channel.basic_publish(exchange.into(), key, options, message, properties).await?.await?;
            *own = Some(channel);
            Ok(())
        })
        .await
    }
}

const TRANSIENT: u8 = 1;
/// Completes "the broker refused to …".
const ACTION: &str = "tell what is announced";
const STATUS: &str = "teststatus.fanout";
const COMPLETE: &str = "testcomplete.fanout";

async fn open(live: &Live, topic: Topic) -> Result<Channel, Fault> {
    let (channel, exchange, durable) = match topic {
        Topic::TestStatus => (live.channel().await?, STATUS, false),
        Topic::TestComplete => (live.confirming_channel().await?, COMPLETE, true),
    };
    let options = ExchangeDeclareOptions { durable, ..Default::default() };
    channel.exchange_declare(exchange.into(), ExchangeKind::Fanout, options, FieldTable::default()).await?;
    Ok(channel)
}

/// Hears what is announced at a topic, without a gap from when it was made.
pub struct AmqpListener {
    link: Arc<Link>,
    channel: Channel,
    news: Consumer,
}

impl AmqpListener {
    pub(super) async fn new(link: Arc<Link>, topic: Topic) -> Result<Self, BrokerError> {
        let live = link.live().await?;
        let listening = async {
            let channel = open(&live, topic).await?;
            let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
            let queue = channel.queue_declare(ShortString::default(), options, FieldTable::default()).await?;
            let queue = queue.name().clone();
            let exchange = match topic {
                Topic::TestStatus => STATUS,
                Topic::TestComplete => COMPLETE,
            };
            let (key, options) = (ShortString::default(), QueueBindOptions::default());
            channel.queue_bind(queue.clone(), exchange.into(), key, options, FieldTable::default()).await?;
            let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
            let news = channel.basic_consume(queue, ShortString::default(), options, FieldTable::default()).await?;
            Ok((channel, news))
        };
        let (channel, news) = in_time(listening).await.map_err(|fault: Fault| link.error(ACTION, fault))?;
        Ok(Self { link, channel, news })
    }

    /// See [`crate::broker::Listener::next`].
    pub(crate) async fn next(&mut self, until: Instant) -> Result<Option<Vec<u8>>, BrokerError> {
        match tokio::time::timeout_at(until, self.news.next()).await {
            Err(_) => Ok(None),
            Ok(Some(Ok(message))) => Ok(Some(message.data)),
            Ok(Some(Err(error))) => Err(self.link.error(ACTION, error.into())),
            Ok(None) => Err(self.link.error(ACTION, Fault::Away("the connection was closed".to_owned()))),
        }
    }

    /// See [`crate::broker::Listener::end`].
    pub(crate) async fn end(self) {
        close(&self.channel).await;
    }
}
