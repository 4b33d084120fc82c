//! Depths of a worker's queues: one question for all, instead of a fetch from each that may be empty.

use std::time::Duration;

use futures_util::future::try_join_all;
use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use tokio::time::Instant;

use super::error::AmqpError;
use super::names;
use crate::release::QueueName;

/// Time for which the depths are valid while there are requests. The first request of a queue is seen this much later.
const DEPTHS_TTL: Duration = Duration::from_secs(1);

/// Numbers of a worker's queues, from the last question.
#[derive(Default)]
pub(super) struct DepthCache {
    made: Option<Instant>,
    /// Number of waiting requests in each queue, without those that this slot has taken since.
    pub(super) ready: Vec<u32>,
    /// Whether there are other consumers: workers that wait, or clients that list messages and hold them.
    pub(super) others_consume: bool,
    /// Index of the first queue without a consumer.
    pub(super) unconsumed: Option<usize>,
}

impl DepthCache {
    pub(super) fn is_outdated(&self) -> bool {
        self.made.is_none_or(|made| made.elapsed() >= DEPTHS_TTL)
    }

    /// Asks for all queues at once.
    pub(super) async fn refresh(&mut self, channel: &Channel, queues: &[QueueName]) -> Result<(), AmqpError> {
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
