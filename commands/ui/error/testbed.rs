//! Errors of testbeds and their configuration.

use apt_ci::testbed::images::ImageError;
use apt_ci::testbed::{ConfError, TestbedError};

use super::{CommandError, Decision};

impl From<ConfError> for CommandError {
    fn from(error: ConfError) -> Self {
        Self::new(Decision { hint: error.hint.clone(), ..Decision::bad_input() }, error)
    }
}

impl From<TestbedError> for CommandError {
    fn from(error: TestbedError) -> Self {
        let decision = match &error {
            TestbedError::NotInstalled { hint, .. } | TestbedError::NoVirtServer { hint, .. } => {
                Decision::failure().hint(hint)
            }
            TestbedError::Probe { .. }
            | TestbedError::Ppa { .. }
            | TestbedError::Checkout { .. }
            | TestbedError::Forbidden { .. }
            | TestbedError::Unfit { .. } => Decision::failure(),
            TestbedError::Io { source, .. } => Decision::of_system(source),
        };
        Self::new(decision, error)
    }
}

impl From<ImageError> for CommandError {
    fn from(error: ImageError) -> Self {
        let decision = match &error {
            ImageError::Missing { requirements } => {
                let remedies: Vec<&str> = requirements.iter().map(|one| one.remedy.as_str()).collect();
                Decision::failure().hint(remedies.join("; "))
            }
            ImageError::NoMirror { .. } => Decision::bad_input().hint("name the archive with --mirror URL"),
            ImageError::Builder { log, .. } => {
                Decision::failure().hint(format!("see {} for all that it printed", log.display()))
            }
            ImageError::Busy { .. } => Decision::failure().hint("try again when it is done"),
            ImageError::NotBuilt { .. } | ImageError::Stopped | ImageError::Process(_) => Decision::failure(),
            ImageError::Io { source, .. } => Decision::of_system(source),
        };
        Self::new(decision, error)
    }
}
