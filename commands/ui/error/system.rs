//! Errors of the system and of other libraries.

use std::io;

use tokio::task::JoinError;

use super::{CommandError, Decision, Kind};

impl Decision {
    /// Decides about an error of the system.
    pub(super) fn of_system(error: &io::Error) -> Self {
        let kind = if error.kind() == io::ErrorKind::BrokenPipe { Kind::BrokenPipe } else { Kind::Failure };
        Self { kind, hint: None }
    }
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        Self::new(Decision::of_system(&error), error)
    }
}

impl From<serde_json::Error> for CommandError {
    fn from(error: serde_json::Error) -> Self {
        Self::new(Decision::failure(), error)
    }
}

impl From<JoinError> for CommandError {
    fn from(error: JoinError) -> Self {
        Self::new(Decision::failure(), error)
    }
}

impl From<dialoguer::Error> for CommandError {
    fn from(error: dialoguer::Error) -> Self {
        Self::new(Decision::failure(), error)
    }
}

impl From<reqwest::Error> for CommandError {
    fn from(error: reqwest::Error) -> Self {
        Self::new(Decision::failure(), error)
    }
}
