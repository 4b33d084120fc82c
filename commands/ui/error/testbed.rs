//! Errors of testbeds and their configuration.

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
