//! Messages of the control socket.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ReloadReport;
use crate::worker::live_status::{ShutdownPhase, WorkerStatus};

/// Version of the protocol. It changes when an old client or worker would misunderstand a line.
const VERSION: u64 = 1;

/// Command to a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// Report the status.
    Status,
    /// Take no more requests, finish running tests, and end: as after SIGTERM, or with `restart` as after SIGHUP.
    Stop {
        /// Whether the worker ends in the way that makes the service manager restart it.
        #[serde(default)]
        restart: bool,
    },
    /// Cancel one test.
    Cancel {
        /// Request's id.
        uuid: String,
        /// Whether the request goes back to its queue, instead of to the dead letters.
        #[serde(default)]
        requeue: bool,
    },
    /// Cancel all tests, give their requests back, and end: as after a second signal.
    CancelAll,
    /// Read the configuration again.
    Reload,
}

/// Reply of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// Status of the worker.
    Status(Box<WorkerStatus>),
    /// The worker is shutting down.
    Stopping {
        /// Shutdown that was requested by now.
        told: ShutdownPhase,
        /// Number of slots that still have a test.
        running: usize,
    },
    /// The test is being cancelled.
    Cancelled {
        /// Request's id.
        uuid: String,
        /// Whether the request goes back to its queue, instead of to the dead letters.
        requeue: bool,
    },
    /// No test of this request can be cancelled here.
    NotCancelled {
        /// Request's id.
        uuid: String,
        /// Whether the test has ended already, and its result is being published.
        too_late: bool,
    },
    /// The worker has read its configuration again.
    Reloaded(ReloadReport),
    /// The line was not a command.
    Error {
        /// Reason.
        message: String,
    },
}

impl Command {
    /// Returns the command as a line.
    pub(super) fn line(&self) -> Vec<u8> {
        line(self)
    }

    /// Parses a line. The error describes what is wrong with it.
    pub(super) fn read(line: &[u8]) -> Result<Self, String> {
        read(line)
    }
}

impl Reply {
    /// Returns the reply as a line.
    pub(super) fn line(&self) -> Vec<u8> {
        line(self)
    }

    /// Parses a line. The error describes what is wrong with it.
    pub(super) fn read(line: &[u8]) -> Result<Self, String> {
        read(line)
    }
}

fn line(message: &impl Serialize) -> Vec<u8> {
    // Texts and numbers can always be serialized; if not, the other side sees an error instead of silence.
    let mut value = serde_json::to_value(message).unwrap_or_default();
    if let Value::Object(object) = &mut value {
        object.insert("protocol".to_owned(), VERSION.into());
    }
    let mut line = value.to_string().into_bytes();
    line.push(b'\n');
    line
}

fn read<T: serde::de::DeserializeOwned>(line: &[u8]) -> Result<T, String> {
    let value: Value = serde_json::from_slice(line).map_err(|error| format!("the line is no JSON: {error}"))?;
    let Value::Object(mut object) = value else { return Err("the line is no JSON object".to_owned()) };
    match object.remove("protocol") {
        Some(number) if number.as_u64() == Some(VERSION) => {}
        Some(other) => return Err(format!("protocol {other} is not spoken here, but protocol {VERSION}")),
        None => return Err(format!("the line names no protocol; protocol {VERSION} is spoken here")),
    }
    serde_json::from_value(Value::Object(object)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commands_are_lines_that_a_person_could_type() {
        let lines = [
            (r#"{"command":"status","protocol":1}"#, Command::Status),
            (r#"{"command":"stop","protocol":1,"restart":true}"#, Command::Stop { restart: true }),
            (r#"{"command":"cancel-all","protocol":1}"#, Command::CancelAll),
            (
                r#"{"command":"cancel","protocol":1,"requeue":false,"uuid":"a-b"}"#,
                Command::Cancel { uuid: "a-b".to_owned(), requeue: false },
            ),
            (r#"{"command":"reload","protocol":1}"#, Command::Reload),
        ];
        for (text, command) in lines {
            assert_eq!(String::from_utf8(command.line()).unwrap(), format!("{text}\n"));
            assert_eq!(Command::read(text.as_bytes()), Ok(command));
        }
        let short = br#"{"protocol": 1, "command": "stop"}"#;
        assert_eq!(Command::read(short), Ok(Command::Stop { restart: false }));
    }

    #[test]
    fn what_is_no_command_is_refused_with_a_reason() {
        let refused = |text: &str, part: &str| {
            let error = Command::read(text.as_bytes()).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        };
        refused("", "no JSON");
        refused("GET / HTTP/1.1", "no JSON");
        refused("[1]", "no JSON object");
        refused(r#"{"command": "status"}"#, "names no protocol");
        refused(r#"{"command": "status", "protocol": 2}"#, "protocol 2 is not spoken");
        refused(r#"{"command": "shutdown", "protocol": 1}"#, "unknown variant `shutdown`, expected one of `status`");
        refused(r#"{"protocol": 1}"#, "command");
        // An unknown field may change the meaning: refusing is better than cancelling the wrong test.
        refused(r#"{"command": "cancel", "uuid": "a", "requeued": true, "protocol": 1}"#, "requeued");
        refused(r#"{"command": "cancel", "protocol": 1}"#, "uuid");
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Command::read(&line);
        }

        #[test]
        fn any_cancel_survives_the_way(uuid in "\\PC{0,80}", requeue: bool) {
            let command = Command::Cancel { uuid, requeue };
            prop_assert_eq!(Command::read(&command.line()), Ok(command));
        }
    }
}
