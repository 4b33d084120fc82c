//! How operators steer the workers of this host: each worker listens on a socket that only its own user, and root, can use.
//!
//! The sockets are `STATE_DIR/workers/PID.sock`. A client sends one line, a [`Command`] as JSON with `"protocol": 1`, and gets one
//! line back, a [`Reply`]. [`ControlSocket`] is the worker's side, [`client`] the other one.

pub mod cancel;
pub mod client;
mod message;
mod server;
mod socket;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use cancel::{Cancels, Withdrawal};
pub use message::{Command, Reply};
pub use server::ControlSocket;

/// What the socket acts on.
#[derive(Clone)]
pub struct Steering {
    /// The tests that can be cancelled one by one.
    pub cancels: Cancels,
    /// Reads the configuration again. It is called on a thread of its own, and may read files.
    pub reload: Arc<dyn Fn() -> Reloaded + Send + Sync>,
}

/// What became of the wish to read the configuration again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Whether something is different from before.
    pub changed: bool,
    /// What is wrong with it, one line per fault; empty when it is good.
    pub faults: Vec<String>,
}

/// What keeps a worker from being steered.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The folder of the sockets.
    #[error("cannot use the folder of the workers' sockets, {}: {source}", path.display())]
    Folder {
        /// The folder, or a socket in it.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A worker does not answer as it should.
    #[error("the worker with the process id {pid} {reason}")]
    Worker {
        /// Its process.
        pid: u32,
        /// What it does instead.
        reason: String,
    },
    /// A worker has ended meanwhile.
    #[error("the worker with the process id {pid} has exited")]
    Ended {
        /// Its process.
        pid: u32,
    },
}

/// The folder of the sockets of all workers that share a state folder.
pub fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("workers")
}

#[cfg(test)]
mod tests;
