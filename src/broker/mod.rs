//! Queues of requests, and how workers claim from them: RabbitMQ (`amqp`) or, on one machine, an SQLite file (`local`).
//!
//! Both backends give the same guarantees. A submitted request is durable once [`Broker::submit`] returns. A worker
//! holds a request through a [`Claim`] that lasts as long as its process, however long the test takes, and the request
//! is back in its queue the moment that process dies. Attempts are counted. A message that can never be run goes to the
//! dead letters of its queue, with the reason.

mod amqp;
mod claim_step;
mod denial;
mod dispatch;
mod error;
mod failure;
mod history;
mod local;
mod new_claim;
mod queue_type;
mod rotation;
mod settlement;
mod snapshot;
mod take_out;
mod test_handle;
mod url;

use std::time::Duration;

use crate::release::QueueName;

pub use self::amqp::headers_of_copy;
pub use self::claim_step::{CLAIM_LOG_TARGET, ClaimStep};
pub use self::denial::{Denial, Exclusion, Right};
pub use self::dispatch::{Broker, Claim, Listener, Slot};
pub use self::error::BrokerError;
pub use self::failure::{Failure, MAX_FAILURES};
pub use self::queue_type::{Opaque, OpaqueReason, QueueType, UnknownQueueType};
pub use self::rotation::Rotation;
pub use self::settlement::{DELAYS, Settlement, delay};
pub use self::snapshot::{LocatedRequest, RequestPlace, Snapshot};
pub use self::take_out::{Message, MessageState, Selector};
pub use self::test_handle::{CancelOutcome, CancelRequest, RunningTest, TestHandle, TestProgress};
pub use self::url::{AmqpUrl, InvalidQueueUrl, QueueUrl};

/// Timeout for a connection, after which its broker counts as unreachable.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);

/// How long a slot looks for its next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Until there is a request.
    ForOne,
    /// Until every queue is empty and no request waits out a delay.
    UntilEmpty,
}

/// State of a queue.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct QueueState {
    /// Name of the queue.
    pub queue: QueueName,
    /// Number of requests that wait.
    pub ready: u64,
    /// Number of slots that wait for a request. A slot that waits on several queues counts at each.
    pub consumers: u64,
    /// Number of requests that workers hold.
    pub claimed: u64,
    /// Number of requests that wait out a delay before they return to the queue.
    pub delayed: u64,
    /// Number of dead letters.
    pub dead: u64,
    /// Time at which the first of the waiting requests was submitted, if it says so.
    pub oldest: Option<jiff::Timestamp>,
    /// Reason why the first of the waiting requests cannot be seen, if so.
    #[serde(skip)]
    pub opaque: Option<Opaque>,
}

impl QueueState {
    /// Returns whether the queue has no requests: none waits, is claimed, delayed or dead.
    pub fn is_empty(&self) -> bool {
        self.ready + self.claimed + self.delayed + self.dead == 0
    }
}

/// Messages of a queue. Listing them returns every message to its place.
#[derive(Debug, Clone, Default)]
pub struct QueueContents {
    /// Messages that wait, in order.
    pub ready: Vec<Vec<u8>>,
    /// Messages that workers hold.
    pub claimed: Vec<Vec<u8>>,
    /// Messages that wait out a delay, those with short delays first.
    pub delayed: Vec<Vec<u8>>,
    /// Dead letters, oldest first.
    pub dead: Vec<DeadLetter>,
    /// Reason why the waiting messages cannot be listed, if so.
    pub hidden: Option<Opaque>,
    /// Reason why the dead letters cannot be listed, if so.
    pub hidden_dead: Option<Opaque>,
}

/// A message that can never be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The message as it came.
    pub body: Vec<u8>,
    /// Reason why it cannot be run.
    pub reason: String,
}

/// A topic of announcements. The names are those of the exchanges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// `teststatus.fanout`: tests that run.
    TestStatus,
    /// `testcomplete.fanout`: tests that have ended.
    TestComplete,
}
