//! Failures at the level of the protocol, sorted by what can be done about them.

use std::fmt;
use std::time::Duration;

use lapin::ErrorKind;

use crate::broker::Denial;

/// A failed operation at RabbitMQ.
#[derive(Debug, Clone)]
pub(super) enum AmqpError {
    /// The connection, or only this channel, is lost. A new attempt on a new one may succeed.
    Unreachable(String),
    /// A memory or disk alarm blocks every connection that publishes, until the broker has room again.
    Blocked(String),
    /// The queue or exchange does not exist.
    Missing(String),
    /// Another connection has exclusive use of the queue.
    Locked,
    /// Another client that lists delayed requests has held them for this long.
    BeingBrowsed(Duration),
    /// The user lacks a permission.
    Denied(Denial),
    /// The broker refuses the operation, and will do so again.
    Refused(String),
}

/// Codes with which the broker closes a channel.
const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const RESOURCE_LOCKED: u16 = 405;
const PRECONDITION_FAILED: u16 = 406;
/// Code with which a client closes a connection because of too large a frame.
const FRAME_ERROR: u16 = 501;

/// Messages of RabbitMQ with `PRECONDITION_FAILED` when only this channel is broken.
///
/// Its delivery tags no longer agree with ours, or a delivery was held for too long.
const BROKEN_CHANNEL: [&str; 2] = ["unknown delivery tag", "delivery acknowledgement on channel"];

impl From<lapin::Error> for AmqpError {
    fn from(error: lapin::Error) -> Self {
        let text = reason(&error);
        match error.kind() {
            ErrorKind::ProtocolError(protocol) => match protocol.get_id() {
                NOT_FOUND => Self::Missing(text),
                RESOURCE_LOCKED => Self::Locked,
                // The same code stands for a missing permission; only the message differs.
                ACCESS_REFUSED if text.contains("in exclusive use") => Self::Locked,
                ACCESS_REFUSED if error.is_amqp_soft_error() => match Denial::from_rabbitmq(&text) {
                    Some(denial) => Self::Denied(denial),
                    None => Self::Refused(text),
                },
                PRECONDITION_FAILED if BROKEN_CHANNEL.iter().any(|words| text.contains(words)) => {
                    Self::Unreachable(text)
                }
                _ if error.is_amqp_soft_error() => Self::Refused(text),
                _ => Self::Unreachable(text),
            },
            _ => Self::Unreachable(text),
        }
    }
}

impl fmt::Display for AmqpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(reason) | Self::Blocked(reason) | Self::Missing(reason) | Self::Refused(reason) => {
                f.write_str(reason)
            }
            Self::Locked => f.write_str("another connection has exclusive use of it"),
            Self::BeingBrowsed(_) => f.write_str("another client holds the delayed requests"),
            Self::Denied(denial) => denial.fmt(f),
        }
    }
}

/// Returns the failure for an alarm. The broker gives the reason "low on memory" or "low on disk".
pub(super) fn alarm(reason: &str) -> AmqpError {
    let which = match (reason.contains("memory"), reason.contains("disk")) {
        (true, false) => "memory alarm",
        (false, true) => "disk alarm",
        _ => "memory or disk alarm",
    };
    AmqpError::Blocked(format!("the broker's {which} blocks publishing"))
}

/// Returns whether the connection ended because of a frame that exceeds the negotiated limit.
pub(super) fn is_large_frame(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(protocol) if protocol.get_id() == FRAME_ERROR)
}

/// Returns the error in the words of the network or the broker, without the library's.
pub(super) fn reason(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::IOError(error) => error.to_string(),
        ErrorKind::ProtocolError(error) => error.get_message().to_string(),
        ErrorKind::InvalidConnectionState(_) | ErrorKind::InvalidChannelState(..) => {
            "the connection was closed".to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use lapin::protocol::{AMQPError, AMQPSoftError};

    use super::*;

    fn soft(error: AMQPSoftError, text: &str) -> AmqpError {
        lapin::Error::from(ErrorKind::ProtocolError(AMQPError::new(error.into(), text.into()))).into()
    }

    #[test]
    fn a_broken_channel_is_a_lost_connection_and_not_a_refusal() {
        for text in [
            "PRECONDITION_FAILED - unknown delivery tag 7",
            "PRECONDITION_FAILED - delivery acknowledgement on channel 2 timed out. Timeout value used: 1800000 ms",
        ] {
            assert!(matches!(soft(AMQPSoftError::PRECONDITIONFAILED, text), AmqpError::Unreachable(_)), "{text}");
        }
        let other = "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q' in vhost '/'";
        assert!(matches!(soft(AMQPSoftError::PRECONDITIONFAILED, other), AmqpError::Refused(_)));
    }

    #[test]
    fn a_missing_permission_is_told_from_a_lock() {
        let text = "ACCESS_REFUSED - access to exchange 'amq.default' in vhost '/' refused for user 'alice'";
        assert!(matches!(soft(AMQPSoftError::ACCESSREFUSED, text), AmqpError::Denied(_)));
        let text = "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use";
        assert!(matches!(soft(AMQPSoftError::ACCESSREFUSED, text), AmqpError::Locked));
        assert!(matches!(soft(AMQPSoftError::ACCESSREFUSED, "ACCESS_REFUSED - else"), AmqpError::Refused(_)));
    }

    #[test]
    fn the_alarm_is_named() {
        assert_eq!(alarm("low on memory").to_string(), "the broker's memory alarm blocks publishing");
        assert_eq!(alarm("low on disk").to_string(), "the broker's disk alarm blocks publishing");
        assert_eq!(alarm("").to_string(), "the broker's memory or disk alarm blocks publishing");
    }
}
