//! Errors of the tests of pull requests.

use apt_ci::pulls::journal::JournalError;
use apt_ci::pulls::result_collector::CollectError;

use super::{CommandError, Decision};

impl From<JournalError> for CommandError {
    fn from(error: JournalError) -> Self {
        let decision = match &error {
            JournalError::Unusable { .. } | JournalError::Incompatible(_) | JournalError::Busy(_) => {
                Decision::failure()
            }
        };
        Self::new(decision, error)
    }
}

impl From<CollectError> for CommandError {
    fn from(error: CollectError) -> Self {
        match error {
            CollectError::Broker(error) => Self::from(error).after_start(),
            CollectError::Store(error) => Self::from(error).after_start(),
            CollectError::Journal(error) => error.into(),
        }
    }
}
