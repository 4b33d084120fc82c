//! News for whoever listens: what runs now, and what has ended.

use lapin::options::{BasicPublishOptions, ExchangeDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};

use super::channel::in_time;
use super::connection::Live;
use super::fault::Fault;
use super::publish;
use crate::broker::Topic;

/// The channel of the announcements. One at a time uses it.
#[derive(Default)]
pub(super) struct Announcer {
    channel: Option<Channel>,
}

impl Announcer {
    /// Publishes on a connection that is alive.
    pub(super) async fn announce(&mut self, live: &Live, topic: Topic, message: &[u8]) -> Result<(), Fault> {
        in_time(async {
            let channel = match self.channel.take() {
                Some(channel) if channel.status().connected() => channel,
                _ => open(live).await?,
            };
            let options = BasicPublishOptions::default();
            let properties = publish::persistent().with_content_type("application/json".into());
            let (exchange, properties) = match topic {
                // Nobody wants to read after a restart what ran before it.
                Topic::TestStatus => (STATUS, properties.with_delivery_mode(TRANSIENT)),
                Topic::TestComplete => (COMPLETE, properties),
            };
            let key = ShortString::default();
            let confirm = channel.basic_publish(exchange.into(), key, options, message, properties).await?;
            confirm.await?;
            self.channel = Some(channel);
            Ok(())
        })
        .await
    }
}

const TRANSIENT: u8 = 1;
const STATUS: &str = "teststatus.fanout";
const COMPLETE: &str = "testcomplete.fanout";

async fn open(live: &Live) -> Result<Channel, Fault> {
    let channel = live.confirming_channel().await?;
    for (exchange, durable) in [(STATUS, false), (COMPLETE, true)] {
        let options = ExchangeDeclareOptions { durable, ..Default::default() };
        channel.exchange_declare(exchange.into(), ExchangeKind::Fanout, options, FieldTable::default()).await?;
    }
    Ok(channel)
}
