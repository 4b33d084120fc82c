//! Errors of the queue, and of what follows it.

use apt_ci::broker::BrokerError;
use apt_ci::follow::FollowError;
use apt_ci::site::shell_word;
use apt_ci::worker::WorkerError;
use apt_ci::worker::control::ControlError;

use super::{CommandError, Decision};

impl From<BrokerError> for CommandError {
    fn from(error: BrokerError) -> Self {
        let failure = Decision::failure();
        let decision = match &error {
            BrokerError::Unreachable { address, .. } if address.starts_with("local:") => failure.hint(
                "check that you can create and write that folder; run `apt-ci config` to see where it is configured",
            ),
            BrokerError::Unreachable { .. } => failure.hint(
                "check that the server is up and the address is correct; run `apt-ci config` to see where it is \
                 configured",
            ),
            BrokerError::Damaged { file, .. } => failure.hint(format!(
                "restore a backup of it, or move its folder away to start with an empty queue: `mv {0} {0}.damaged`",
                shell_word(file.parent().unwrap_or(file))
            )),
            BrokerError::Incompatible(_) => failure.hint(
                "nothing was changed; install the newest apt-ci, or run `apt-ci config` to see where the queue is \
                 configured",
            ),
            BrokerError::Excluded { exclusion, .. } => failure.hint(exclusion.hint()),
            BrokerError::NoSuchQueue { nearest, .. } if nearest.is_empty() => Decision::bad_input().hint(
                "a queue is created by its first worker, or by `apt-ci run` once its release and architecture are in \
                 [releases] in the apt-ci.toml of a site; `apt-ci init DIR` creates a site",
            ),
            BrokerError::NoSuchQueue { nearest, .. } => {
                let names = nearest.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                Decision::bad_input().hint(format!(
                    "existing queues with similar names: {names}; add new releases or architectures to [releases] in \
                     the site's apt-ci.toml"
                ))
            }
            BrokerError::Unconfirmed { .. } => {
                failure.hint("the requests printed above are queued; submit the others again")
            }
            BrokerError::BeingBrowsed(_) => failure.hint(
                "try again in a moment; end any command that was suspended (for example with Ctrl-Z) while it listed \
                 the queue",
            ),
            BrokerError::Opaque(opaque) => failure.hint(opaque.remedy()),
            BrokerError::Blocked { .. } => failure.hint(
                "free memory or disk space at the broker, which accepts no requests until then; `apt-ci queues` and \
                 `apt-ci queues purge` still work",
            ),
            BrokerError::Denied { denial, .. } => failure.hint(denial.hint()),
            BrokerError::ClaimLost(_) | BrokerError::NotTaken(_) | BrokerError::Refused { .. } => failure,
        };
        Self::new(decision, error)
    }
}

impl From<FollowError> for CommandError {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Broker(error) => error.into(),
            FollowError::Store(error) => error.into(),
        }
    }
}

impl From<WorkerError> for CommandError {
    fn from(error: WorkerError) -> Self {
        match error {
            WorkerError::Broker(error) => error.into(),
            WorkerError::WorkFolder { ref source, .. } => Self::new(Decision::of_system(source), error),
        }
    }
}

impl From<ControlError> for CommandError {
    fn from(error: ControlError) -> Self {
        let decision = match &error {
            ControlError::Folder { source, .. } => Decision::of_system(source),
            ControlError::Worker { .. } | ControlError::Ended { .. } => Decision::failure(),
        };
        Self::new(decision, error)
    }
}
