//! Client of the control sockets.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use super::socket::{Folder, name};
use super::{Command, ControlError, Reply};

/// Timeout for an answer. Workers answer at once, except while they read their configuration again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Maximum size of a reply, in bytes: enough for more than a thousand slots.
const MAX_REPLY_BYTES: u64 = 4 << 20;

/// Interval between checks whether a process has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A worker of this host that listens on its socket.
#[derive(Debug, Clone)]
pub struct LiveWorker {
    /// Process id.
    pub pid: u32,
    folder: PathBuf,
    /// Distinguishes the process from a later one with the same id.
    birth: Option<u64>,
}

/// Returns the workers that listen in the folder, by process id. Sockets of dead workers are removed.
///
/// # Errors
/// Fails when the folder exists and cannot be read.
pub fn workers(folder: &Path) -> Result<Vec<LiveWorker>, ControlError> {
    let failed = |source| ControlError::Folder { path: folder.to_owned(), source };
    let found = match Folder::open(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.and_then(|folder| folder.workers()).map_err(failed)?,
    };
    Ok(found.into_iter().map(|pid| LiveWorker { pid, folder: folder.to_owned(), birth: birth(pid) }).collect())
}

impl LiveWorker {
    /// Sends the command and returns the worker's reply.
    ///
    /// # Errors
    /// Fails when the worker has ended meanwhile, does not answer in time, or does not understand the command.
    pub async fn ask(&self, command: &Command) -> Result<Reply, ControlError> {
        let reason = |reason: String| ControlError::Worker { pid: self.pid, reason };
        match timeout(ANSWER_TIMEOUT, self.exchange(command)).await {
            Err(_) => Err(reason(format!("did not answer within {} seconds", ANSWER_TIMEOUT.as_secs()))),
            Ok(Err(error)) if is_end(error.kind()) => Err(ControlError::Ended { pid: self.pid }),
            Ok(Err(error)) => Err(reason(format!("cannot be reached: {error}"))),
            Ok(Ok(line)) if line.is_empty() => Err(reason("closed the connection without an answer".to_owned())),
            Ok(Ok(line)) => match Reply::read(&line) {
                Ok(Reply::Error { message }) => Err(reason(format!("rejected the command: {message}"))),
                Ok(reply) => Ok(reply),
                Err(fault) => Err(reason(format!("sent an answer that this program cannot parse: {fault}"))),
            },
        }
    }

    async fn exchange(&self, command: &Command) -> std::io::Result<Vec<u8>> {
        let folder = Folder::open(&self.folder)?;
        let mut stream = UnixStream::connect(folder.path_of(&name(self.pid))).await?;
        stream.write_all(&command.line()).await?;
        let mut line = Vec::new();
        stream.take(MAX_REPLY_BYTES).read_to_end(&mut line).await?;
        Ok(line)
    }

    /// Returns when the process has ended.
    pub async fn ended(&self) {
        while self.birth.is_some() && birth(self.pid) == self.birth {
            sleep(POLL_INTERVAL).await;
        }
    }
}

fn is_end(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}

/// Returns the start of a process in clock ticks since the boot of the machine; `None` when it has ended.
fn birth(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may contain any character.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let is_over = matches!(fields.next(), Some("Z" | "X"));
    if is_over { None } else { fields.nth(18)?.parse().ok() }
}
