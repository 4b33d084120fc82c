//! Types of RabbitMQ's queues, and reasons why some queues cannot be listed.
//!
//! `docs/queue-types.md` has the measurements.

use std::fmt;
use std::str::FromStr;

/// Type of a queue at RabbitMQ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueType {
    /// A classic queue. Messages of a closed channel return to their places.
    Classic,
    /// A quorum queue. It counts how often each message was returned, and drops it at a limit.
    Quorum,
}

/// A text that is not the name of a [`QueueType`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the queue type must be `classic` or `quorum`")]
pub struct UnknownQueueType;

impl FromStr for QueueType {
    type Err = UnknownQueueType;

    fn from_str(text: &str) -> Result<Self, UnknownQueueType> {
        match text {
            "classic" => Ok(Self::Classic),
            "quorum" => Ok(Self::Quorum),
            _ => Err(UnknownQueueType),
        }
    }
}

impl fmt::Display for QueueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
        })
    }
}

/// A queue whose messages cannot be listed. Displayed as one line, without the command that changes this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot list {queue}: {reason}")]
pub struct Opaque {
    /// Name of the queue.
    pub queue: String,
    /// Reason why it cannot be listed.
    pub reason: OpaqueReason,
    /// Virtual host of the queue.
    pub vhost: String,
}

/// Reason why listing a queue may lose its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpaqueReason {
    /// The queue is a quorum queue with a low delivery limit.
    #[error("each listing counts against the delivery limit of this quorum queue, which drops a request at the limit")]
    Limited,
    /// The queue's type cannot be determined, and quorum queues of this broker have a low limit.
    #[error(
        "its type cannot be determined (usually because this user may not configure it), and a quorum queue may drop \
         requests that are listed often"
    )]
    UnknownType,
    /// This user may not try out the limit of the quorum queue.
    #[error(
        "each listing may count against the delivery limit of this quorum queue, and this user lacks the permissions \
         to check that"
    )]
    UnknownLimit,
    /// An alarm of the broker prevents trying out whether quorum queues have a low limit.
    #[error(
        "each listing may count against a delivery limit, which cannot be checked while an alarm of the broker \
         blocks publishing"
    )]
    Alarm,
}

impl Opaque {
    /// Returns one line with the queue, the reason, and the remedy.
    pub fn line(&self) -> String {
        format!("{self}; to fix this: {}", self.remedy())
    }

    /// Returns the command or setting that allows the queue to be listed.
    pub fn remedy(&self) -> String {
        match self.reason {
            OpaqueReason::Limited => {
                // Not -1, which only RabbitMQ 4 knows: earlier versions refuse it, or take it for a limit of zero.
                let limit = r#"{"delivery-limit": 1000000}"#;
                let vhost = &self.vhost;
                format!(
                    "rabbitmqctl set_policy -p {vhost} apt-ci-looks '^(debci-|apt-ci\\.)' '{limit}' --apply-to queues"
                )
            }
            OpaqueReason::Alarm => "wait until the broker has room again; `apt-ci queues purge` still works".to_owned(),
            OpaqueReason::UnknownType => {
                "let this user configure the queue, or set queue-type = \"classic\" in apt-ci.toml if it is a classic queue"
                    .to_owned()
            }
            OpaqueReason::UnknownLimit => {
                let queue = &self.queue;
                format!(
                    "let this user configure and read queues named {queue}.* and write to the exchange amq.default, or \
                     list the queue as another user"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_they_are_written() {
        for queue_type in [QueueType::Classic, QueueType::Quorum] {
            assert_eq!(queue_type.to_string().parse(), Ok(queue_type));
        }
        assert_eq!("stream".parse::<QueueType>(), Err(UnknownQueueType));
    }

    #[test]
    fn the_remedy_names_the_virtual_host_and_both_kinds_of_queues() {
        let opaque =
            Opaque { queue: "debci-sid-amd64".to_owned(), reason: OpaqueReason::Limited, vhost: "ci".to_owned() };
        let remedy = opaque.remedy();
        assert!(remedy.starts_with("rabbitmqctl set_policy -p ci "), "{remedy}");
        assert!(remedy.contains("debci-") && remedy.contains("apt-ci"), "{remedy}");
        assert!(!opaque.to_string().contains('\n'));
    }
}
