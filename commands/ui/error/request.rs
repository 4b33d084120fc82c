//! Errors of requests, and of files that name them.

use apt_ci::excuses::ExcusesError;
use apt_ci::release::InvalidName;
use apt_ci::request::InvalidRequest;

use super::{CommandError, Decision};

impl From<InvalidRequest> for CommandError {
    fn from(error: InvalidRequest) -> Self {
        Self::new(Decision::bad_input(), error)
    }
}

impl From<InvalidName> for CommandError {
    fn from(error: InvalidName) -> Self {
        Self::new(Decision::failure(), error)
    }
}

impl From<ExcusesError> for CommandError {
    fn from(error: ExcusesError) -> Self {
        let decision = match &error {
            ExcusesError::Malformed(_) | ExcusesError::NoSources | ExcusesError::NoFile(_) => Decision::bad_input(),
            ExcusesError::OddItem(_) | ExcusesError::Unopened(_) => Decision::failure(),
            ExcusesError::Unreadable { source, .. } => Decision::of_system(source),
        };
        Self::new(decision, error)
    }
}
