//! RabbitMQ.

use tokio_util::sync::CancellationToken;

use super::url::AmqpUrl;
use super::{BrokerError, Claim, QueueContents, QueueState, Topic, Verdict, Wait};
use crate::release::QueueName;
use crate::request::line::Submission;

/// A connection to RabbitMQ.
pub struct AmqpBroker {}

/// A worker's place at RabbitMQ.
pub struct AmqpSlot {}

/// The hold on a request that was claimed from RabbitMQ.
pub struct AmqpHold {}

#[allow(unused_variables, missing_docs)]
impl AmqpBroker {
    pub async fn connect(url: &AmqpUrl) -> Result<Self, BrokerError> {
        unimplemented!()
    }

    pub async fn declare(&self, queues: &[QueueName]) -> Result<(), BrokerError> {
        unimplemented!()
    }

    pub async fn existing(&self, queues: &[QueueName]) -> Result<Vec<QueueName>, BrokerError> {
        unimplemented!()
    }

    pub async fn submit(
        &self,
        submissions: &[Submission],
        confirmed: &mut (dyn FnMut(usize) + Send),
    ) -> Result<(), BrokerError> {
        unimplemented!()
    }

    pub async fn slot(&self, queues: Vec<QueueName>) -> Result<AmqpSlot, BrokerError> {
        unimplemented!()
    }

    pub async fn inspect(&self, queues: &[QueueName]) -> Result<Vec<QueueState>, BrokerError> {
        unimplemented!()
    }

    pub async fn contents(&self, queue: &QueueName, limit: usize) -> Result<QueueContents, BrokerError> {
        unimplemented!()
    }

    pub async fn announce(&self, topic: Topic, message: &[u8]) -> Result<(), BrokerError> {
        unimplemented!()
    }

    pub async fn close(self) {}
}

#[allow(unused_variables, missing_docs)]
impl AmqpSlot {
    pub async fn claim(&mut self, wait: Wait, stop: &CancellationToken) -> Result<Option<Claim>, BrokerError> {
        unimplemented!()
    }
}

#[allow(unused_variables, missing_docs)]
impl AmqpHold {
    pub async fn lost(&mut self) -> String {
        unimplemented!()
    }

    pub async fn held(&mut self) -> Result<(), BrokerError> {
        unimplemented!()
    }

    pub async fn settle(self, verdict: Verdict) -> Result<(), BrokerError> {
        unimplemented!()
    }
}
