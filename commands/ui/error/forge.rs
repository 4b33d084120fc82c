//! Errors of forges.

use apt_ci::forge::error::ForgeError;
use apt_ci::forge::event::InvalidEvent;

use super::{CommandError, Decision};

impl From<ForgeError> for CommandError {
    fn from(error: ForgeError) -> Self {
        let failure = Decision::failure();
        let decision = match &error {
            ForgeError::Unreachable { .. } => failure.hint(
                "check that the server is up and its address is correct; set another one with `api` in hooks.toml or \
                 --api-url",
            ),
            ForgeError::NotAllowed { .. } => failure.hint(
                "check that the token has not expired and has the needed scopes; run `apt-ci github set-token \
                 PROJECT` (or gitlab) to replace the status token",
            ),
            ForgeError::NotFound { .. } => failure.hint(
                "check the name; for a private project, set GITHUB_TOKEN or GITLAB_TOKEN to a token that may see it",
            ),
            ForgeError::ServerError { .. } | ForgeError::RateLimited { .. } => {
                failure.hint("try again later; the cause is at the server")
            }
            ForgeError::Moved { .. } => {
                failure.hint("write its new name into hooks.toml, commit, and run `apt-ci github sync` (or gitlab)")
            }
            ForgeError::Insecure(_) => Decision::bad_input().hint("use its https:// address"),
            ForgeError::MalformedToken => {
                Decision::bad_input().hint("check that the variable, file or prompt contains only the token")
            }
            ForgeError::Refused { .. } | ForgeError::Unexpected { .. } => failure,
        };
        Self::new(decision, error)
    }
}

impl From<InvalidEvent> for CommandError {
    fn from(error: InvalidEvent) -> Self {
        Self::new(Decision::failure(), error)
    }
}
