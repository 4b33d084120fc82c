//! Which queues have requests: one question for all, instead of one after the other for a message that is not there.

use std::time::Duration;

use futures_util::future::try_join_all;
use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use tokio::time::Instant;

use super::fault::Fault;
use super::names;
use crate::release::QueueName;

/// What was found is believed for so long while there is work. A queue that gets its first request is seen this much later.
const LASTS: Duration = Duration::from_secs(1);

/// What was found in a worker's queues.
#[derive(Default)]
pub(super) struct Survey {
    made: Option<Instant>,
    /// How many requests waited in each queue, less those that this slot has taken since.
    pub(super) ready: Vec<u32>,
    /// Whether others consume from a queue: workers that wait, or somebody who looks at its messages and has them in hand.
    pub(super) others_consume: bool,
    /// The first queue that has no consumer.
    pub(super) unconsumed: Option<usize>,
}

impl Survey {
    pub(super) fn is_outdated(&self) -> bool {
        self.made.is_none_or(|made| made.elapsed() >= LASTS)
    }

    /// Looks at all queues at once.
    pub(super) async fn make(&mut self, channel: &Channel, queues: &[QueueName]) -> Result<(), Fault> {
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let look = |queue| channel.queue_declare(names::short(queue), options, FieldTable::default());
        let lengths = try_join_all(queues.iter().map(look)).await?;
        self.ready = lengths.iter().map(lapin::Queue::message_count).collect();
        self.others_consume = lengths.iter().any(|queue| queue.consumer_count() > 0);
        self.unconsumed = lengths.iter().position(|queue| queue.consumer_count() == 0);
        self.made = Some(Instant::now());
        Ok(())
    }
}
