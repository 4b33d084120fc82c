//! Errors of the store, and of what is made of it.

use apt_ci::index::IndexError;
use apt_ci::runs::ArtifactsError;
use apt_ci::store::StoreError;

use super::{CommandError, Decision};

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        let decision = match &error {
            StoreError::Unreachable { .. } => Decision::failure().hint(
                "check that the server is up and the address is correct; run `apt-ci config` to see where it is \
                 configured",
            ),
            StoreError::Refused { .. } => Decision::failure()
                .hint("run `apt-ci config` to see where the address and the credentials are configured"),
            StoreError::Misconfigured(_) => Decision::bad_input(),
            StoreError::NotFound(_) => Decision::failure(),
            StoreError::Io { source, .. } => Decision::of_system(source),
        };
        Self::new(decision, error)
    }
}

impl From<IndexError> for CommandError {
    fn from(error: IndexError) -> Self {
        let decision = match error {
            IndexError::Store(error) => return Self::from(error).after_start(),
            IndexError::Incomplete(_) => Decision::failure().hint("run `apt-ci index` to complete it"),
            IndexError::Unusable { .. } => Decision::failure()
                .hint("the index is only a copy of data in the store; remove it and run `apt-ci index` to rebuild it"),
            IndexError::Foreign(_) | IndexError::Unwritable { .. } | IndexError::Busy(_) => Decision::failure(),
        };
        Self::new(decision, error)
    }
}

impl From<ArtifactsError> for CommandError {
    fn from(error: ArtifactsError) -> Self {
        let decision = match error {
            ArtifactsError::Store(error) => return Self::from(error).after_start(),
            ArtifactsError::Damaged(_) | ArtifactsError::TooLarge(_) => Decision::failure(),
            ArtifactsError::Unwritable { ref source, .. } => Decision::of_system(source),
        };
        Self::new(decision, error)
    }
}
