//! Errors of Launchpad.

use apt_ci::launchpad::LaunchpadError;

use super::{CommandError, Decision};

impl From<LaunchpadError> for CommandError {
    fn from(error: LaunchpadError) -> Self {
        let decision = match &error {
            LaunchpadError::Unreachable { .. }
            | LaunchpadError::PublicationsUnreachable { .. }
            | LaunchpadError::InvalidPublications { .. }
            | LaunchpadError::NoRelease { .. }
            | LaunchpadError::NoSuchPpa { .. }
            | LaunchpadError::NoKey { .. }
            | LaunchpadError::NoSuchKey { .. }
            | LaunchpadError::WrongFingerprint { .. }
            | LaunchpadError::MalformedKey { .. }
            | LaunchpadError::Refused { .. }
            | LaunchpadError::NothingForRelease { .. }
            | LaunchpadError::NoAccess { .. }
            | LaunchpadError::PlainText { .. }
            | LaunchpadError::Client(_) => Decision::failure(),
        };
        Self::new(decision, error)
    }
}
