//! The lengths of queues, as the broker tells them.

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::{FieldTable, ShortString};

use super::channel::{close, in_time};
use super::connection::Live;
use super::fault::Fault;

/// Looks at queues. Asking for one that does not exist makes the broker close the channel, so a new one is opened then.
pub(super) struct Looking<'a> {
    pub(super) live: &'a Live,
    pub(super) channel: Option<Channel>,
}

/// What the broker tells about a queue.
pub(super) struct Lengths {
    pub(super) ready: u64,
    pub(super) consumers: u64,
}

impl<'a> Looking<'a> {
    pub(super) fn at(live: &'a Live) -> Self {
        Self { live, channel: None }
    }

    /// The queue's lengths; `None` when it does not exist.
    pub(super) async fn look(&mut self, queue: ShortString) -> Result<Option<Lengths>, Fault> {
        // A broker whose memory or disk runs out reads nothing more from who has published.
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => in_time(self.live.channel()).await?,
        };
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let asked = async { Ok(channel.queue_declare(queue, options, FieldTable::default()).await?) };
        match in_time(asked).await {
            Ok(queue) => {
                self.channel = Some(channel);
                let (ready, consumers) = (queue.message_count().into(), queue.consumer_count().into());
                Ok(Some(Lengths { ready, consumers }))
            }
            Err(Fault::Missing(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    pub(super) async fn end(self) {
        if let Some(channel) = self.channel {
            close(&channel).await;
        }
    }
}
