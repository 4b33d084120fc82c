//! the embedded broker.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::{BrokerError, Claim, QueueContents, QueueState, Verdict, Wait};
use crate::release::QueueName;
use crate::request::line::Submission;

/// A connection to the embedded broker.
pub struct LocalBroker {}

/// A worker's place at the embedded broker.
pub struct LocalSlot {}

/// The hold on a request that was claimed from the embedded broker.
pub struct LocalHold {}

#[allow(unused_variables, missing_docs)]
impl LocalBroker {
    pub async fn open(path: &Path) -> Result<Self, BrokerError> {
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

    pub async fn slot(&self, queues: Vec<QueueName>) -> Result<LocalSlot, BrokerError> {
        unimplemented!()
    }

    pub async fn inspect(&self, queues: &[QueueName]) -> Result<Vec<QueueState>, BrokerError> {
        unimplemented!()
    }

    pub async fn contents(&self, queue: &QueueName, limit: usize) -> Result<QueueContents, BrokerError> {
        unimplemented!()
    }
}

#[allow(unused_variables, missing_docs)]
impl LocalSlot {
    pub async fn claim(&mut self, wait: Wait, stop: &CancellationToken) -> Result<Option<Claim>, BrokerError> {
        unimplemented!()
    }
}

#[allow(unused_variables, missing_docs)]
impl LocalHold {
    pub async fn settle(self, verdict: Verdict) -> Result<(), BrokerError> {
        unimplemented!()
    }
}
