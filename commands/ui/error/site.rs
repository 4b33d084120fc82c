//! Errors of the site.

use apt_ci::server_url::InvalidServerUrl;
use apt_ci::site::SiteError;

use super::{CommandError, Decision};

impl From<SiteError> for CommandError {
    fn from(error: SiteError) -> Self {
        let decision = match &error {
            SiteError::InvalidFile { .. }
            | SiteError::Value { .. }
            | SiteError::Missing { .. }
            | SiteError::Untrusted { .. }
            | SiteError::Exposed { .. }
            | SiteError::PasswordFile { .. }
            | SiteError::PlainText(_)
            | SiteError::Occupied { .. } => Decision::bad_input(),
            SiteError::Io { source, .. } => Decision::of_system(source),
            SiteError::Git { .. } => Decision::failure(),
        };
        Self::new(Decision { hint: error.hint(), ..decision }, error)
    }
}

impl From<InvalidServerUrl> for CommandError {
    fn from(error: InvalidServerUrl) -> Self {
        Self::new(Decision::failure(), error)
    }
}
