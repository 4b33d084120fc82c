//! Control of the workers on this host: each worker listens on a socket that only its user and root can use.
//!
//! The sockets are `STATE_DIR/workers/PID.sock`. A client sends one line, a [`Command`] as JSON with `"protocol": 1`,
//! and receives one line, a [`Reply`]. [`ControlSocket`] is the server, [`client`] the other side.

pub mod cancel_registry;
pub mod client;
mod message;
mod server;
mod socket;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use cancel_registry::{CancelRegistry, Cancellation};
pub use message::{Command, Reply};
pub use server::ControlSocket;

/// Handlers of the commands.
#[derive(Clone)]
pub struct CommandHandlers {
    /// Tests that can be cancelled.
    pub cancels: CancelRegistry,
    /// Reads the configuration again. It is called in a thread of its own, and may read files.
    pub reload: Arc<dyn Fn() -> ReloadReport + Send + Sync>,
}

/// Outcome of reading the configuration again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// Whether something has changed.
    pub changed: bool,
    /// Faults of the configuration, one line each; empty when there are none.
    pub faults: Vec<String>,
}

/// Error of the control socket.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The folder of the sockets cannot be used.
    #[error("cannot use the folder of the workers' sockets, {}: {source}", path.display())]
    Folder {
        /// Folder, or a socket in it.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// A worker does not answer as expected.
    #[error("the worker with the process id {pid} {reason}")]
    Worker {
        /// Process id.
        pid: u32,
        /// Description of what it does instead.
        reason: String,
    },
    /// A worker has ended meanwhile.
    #[error("the worker with the process id {pid} has exited")]
    Ended {
        /// Process id.
        pid: u32,
    },
}

/// Returns the folder of the sockets of all workers that share a state folder.
pub fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("workers")
}

#[cfg(test)]
mod tests;
