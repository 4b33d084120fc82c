//! The operator's side of the control sockets.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use super::socket::{Folder, name};
use super::{Command, ControlError, Reply};

/// How long a worker may take to answer. It answers at once; only reading its configuration again takes a moment.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a reply may be, in bytes: more than a thousand slots say.
const LONGEST_REPLY: u64 = 4 << 20;

/// How often one looks whether a process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A worker of this host that listens.
#[derive(Debug, Clone)]
pub struct LiveWorker {
    /// Its process.
    pub pid: u32,
    folder: PathBuf,
    /// Tells the process from a later one with the same id.
    birth: Option<u64>,
}

/// The workers that listen in the folder, by process id. Sockets that dead workers left are removed.
///
/// # Errors
/// When the folder is there and cannot be read.
pub fn workers(folder: &Path) -> Result<Vec<LiveWorker>, ControlError> {
    let failed = |source| ControlError::Folder { path: folder.to_owned(), source };
    let found = match Folder::open(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened.and_then(|folder| folder.workers()).map_err(failed)?,
    };
    Ok(found.into_iter().map(|pid| LiveWorker { pid, folder: folder.to_owned(), birth: birth(pid) }).collect())
}

impl LiveWorker {
    /// Sends the command and gives the worker's reply.
    ///
    /// # Errors
    /// When the worker has ended meanwhile, does not answer in time, or does not understand.
    pub async fn ask(&self, command: &Command) -> Result<Reply, ControlError> {
        let reason = |reason: String| ControlError::Worker { pid: self.pid, reason };
        match timeout(PATIENCE, self.exchange(command)).await {
            Err(_) => Err(reason(format!("did not answer within {} seconds", PATIENCE.as_secs()))),
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
        stream.take(LONGEST_REPLY).read_to_end(&mut line).await?;
        Ok(line)
    }

    /// Returns when the process has ended.
    pub async fn ended(&self) {
        while self.birth.is_some() && birth(self.pid) == self.birth {
            sleep(LOOK_EVERY).await;
        }
    }
}

fn is_end(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}

/// When a process was started, in the kernel's ticks since the machine was; none when it has ended.
fn birth(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let is_over = matches!(fields.next(), Some("Z" | "X"));
    if is_over { None } else { fields.nth(18)?.parse().ok() }
}
