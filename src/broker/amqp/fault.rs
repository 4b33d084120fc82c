//! What went wrong at the protocol's level, sorted by what to do about it.

use std::fmt;

use lapin::ErrorKind;

/// A failed operation at RabbitMQ.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// The connection, or only this channel, is gone. Trying again on a new one may help.
    Away(String),
    /// The queue or exchange does not exist.
    Missing(String),
    /// Another connection has exclusive use of the queue.
    Locked,
    /// Somebody else who looks at delayed requests does not give them back.
    InHand,
    /// The broker will not do this, however often it is asked.
    Refused(String),
}

/// The codes with which the broker closes a channel.
const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const RESOURCE_LOCKED: u16 = 405;

impl From<lapin::Error> for Fault {
    fn from(error: lapin::Error) -> Self {
        let text = reason(&error);
        match error.kind() {
            ErrorKind::ProtocolError(protocol) => match protocol.get_id() {
                NOT_FOUND => Self::Missing(text),
                RESOURCE_LOCKED => Self::Locked,
                // The same code says that somebody may not do something; RabbitMQ's words tell which it is.
                ACCESS_REFUSED if text.contains("in exclusive use") => Self::Locked,
                _ if error.is_amqp_soft_error() => Self::Refused(text),
                _ => Self::Away(text),
            },
            _ => Self::Away(text),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(reason) | Self::Missing(reason) | Self::Refused(reason) => f.write_str(reason),
            Self::Locked => f.write_str("another connection has exclusive use of it"),
            Self::InHand => f.write_str("somebody else has the delayed requests in hand"),
        }
    }
}

/// The error in the words of the network or the broker, without the library's.
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
