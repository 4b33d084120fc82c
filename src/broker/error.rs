//! Failures of operations at a broker.

use std::path::PathBuf;
use std::time::Duration;

use super::denial::{Denial, Exclusion};
use super::queue_type::Opaque;
use crate::release::QueueName;
use crate::retry::{ClassifyFailure, Transient};

/// An operation at a broker that failed.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// No answer, or no agreement, within [`CONNECT_TIMEOUT`](super::CONNECT_TIMEOUT).
    #[error("cannot reach the queue {address}: {reason}")]
    Unreachable {
        /// Address of the broker, without its password.
        address: String,
        /// Reason, in the words of the network or the broker.
        reason: String,
    },
    /// The file of the embedded broker is damaged.
    #[error("the queue {} is damaged: {reason}", file.display())]
    Damaged {
        /// The damaged file.
        file: PathBuf,
        /// Message of SQLite.
        reason: String,
    },
    /// The file of the embedded broker was written by a newer version of this program, or by another program.
    #[error("cannot use the queue: {0}")]
    Incompatible(String),
    /// The broker answers, but does not accept this user.
    #[error("cannot use the queue {address}: {exclusion}")]
    Excluded {
        /// Address of the broker, without its password.
        address: String,
        /// Reason for the refusal.
        exclusion: Exclusion,
    },
    /// A queue that requests should go to does not exist; nothing was submitted.
    #[error("the queue {queue} does not exist")]
    NoSuchQueue {
        /// The missing queue.
        queue: QueueName,
        /// Existing queues with the most similar names, nearest first.
        nearest: Vec<QueueName>,
    },
    /// The broker did not confirm every request.
    #[error("{confirmed} of {total} requests were confirmed{}: {reason}", possibly(*.possible))]
    Unconfirmed {
        /// Number of requests, from the beginning of the list, that are queued for certain.
        confirmed: usize,
        /// Number of requests after those that were sent and may be queued.
        possible: usize,
        /// Number of requests in the list.
        total: usize,
        /// Failure that ended the submission.
        reason: String,
    },
    /// The queue cannot be listed without harm; nothing was changed.
    #[error("{0}")]
    Opaque(Box<Opaque>),
    /// The claim is no longer ours: its connection was lost and another worker has the request now.
    #[error("the claim was lost: {0}")]
    ClaimLost(String),
    /// The selected messages could not be written down, so all of them stay in the queue.
    #[error("cannot take requests out of the queue; nothing was changed: {0}")]
    NotTaken(String),
    /// Another client has held delayed requests for this long, so they cannot be listed.
    #[error("cannot list the delayed requests: another client has held them for {} seconds", .0.as_secs())]
    BeingBrowsed(Duration),
    /// A memory or disk alarm of the broker blocks publishing.
    #[error("cannot {action} now: {reason}")]
    Blocked {
        /// The blocked action: completes "cannot …".
        action: String,
        /// The alarm.
        reason: String,
    },
    /// The user lacks a permission at the broker.
    #[error("cannot {action}: {denial}")]
    Denied {
        /// The denied action: completes "cannot …".
        action: String,
        /// The missing permission.
        denial: Denial,
    },
    /// The broker refused an operation, or the file of the embedded broker cannot be used.
    #[error("cannot {action}: {reason}")]
    Refused {
        /// The refused action: completes "cannot …".
        action: String,
        /// Reason for the refusal.
        reason: String,
    },
}

impl ClassifyFailure for BrokerError {
    fn transient(&self) -> Option<Transient> {
        matches!(self, Self::Unreachable { .. }).then(Transient::default)
    }
}

fn possibly(possible: usize) -> String {
    match possible {
        0 => "; the others are not queued".to_owned(),
        possible => format!("; up to {possible} more may be queued"),
    }
}
