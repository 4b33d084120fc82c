//! Questions to a running test, at a socket in the queue's folder `calls` that is named after the slot.
//!
//! Question and answer are one line of JSON each. Only the owner of the queue has access to the folder.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::broker::test_handle::{CancelOutcome, CancelRequest, TestHandle, TestProgress};

/// Timeout for a question or an answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum length of a line, in bytes: progress has a few kilobytes of log, with up to six bytes for a character.
const MAX_LINE: u64 = 1 << 17;
/// Maximum length of a socket's path, in bytes: the kernel's limit, without the final zero.
const MAX_SOCKET_PATH: usize = 107;

#[derive(Serialize, Deserialize)]
enum Question {
    News,
    Cancel(CancelRequest),
}

#[derive(Serialize, Deserialize)]
enum Answer {
    News(TestProgress),
    Cancel(CancelOutcome),
}

/// The folder `calls` of a queue. It is held open, so that a path that is too long for a socket can be shortened.
struct Calls {
    path: PathBuf,
    handle: File,
}

impl Calls {
    fn open(queue_folder: &Path) -> io::Result<Self> {
        let path = queue_folder.join("calls");
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        let handle = File::open(&path)?;
        Ok(Self { path, handle })
    }

    fn socket(&self, slot: &str) -> PathBuf {
        let path = self.path.join(slot);
        if path.as_os_str().len() <= MAX_SOCKET_PATH {
            return path;
        }
        PathBuf::from(format!("/proc/self/fd/{}/{slot}", self.handle.as_raw_fd()))
    }
}

/// Answers questions about a test, as long as this value lives.
pub(super) struct ProgressServer {
    socket: PathBuf,
    task: JoinHandle<()>,
}

impl ProgressServer {
    pub(super) fn start(queue_folder: &Path, slot: &str, test: TestHandle) -> io::Result<Self> {
        let calls = Calls::open(queue_folder)?;
        let path = calls.socket(slot);
        // The file is of an earlier test of the slot, which has ended.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        let task = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let test = test.clone();
                        tokio::spawn(async move {
                            if let Err(error) = answer(stream, &test).await {
                                tracing::debug!("who asked for a test has gone: {error}");
                            }
                        });
                    }
                    Err(error) => {
                        // For example, too many open files, which is temporary.
                        tracing::debug!("a test cannot be asked for: {error}");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
            }
        });
        Ok(Self { socket: calls.path.join(slot), task })
    }
}

impl Drop for ProgressServer {
    fn drop(&mut self) {
        self.task.abort();
        remove(&self.socket);
    }
}

fn remove(socket: &Path) {
    match fs::remove_file(socket) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::debug!("{} cannot be removed: {error}", socket.display());
        }
        _ => {}
    }
}

/// Removes the socket of a dead slot.
pub(super) fn forget(queue_folder: &Path, slot: &str) {
    remove(&queue_folder.join("calls").join(slot));
}

async fn answer(stream: UnixStream, test: &TestHandle) -> io::Result<()> {
    match read_line(stream).await? {
        (mut stream, Question::News) => write_line(&mut stream, &Answer::News(test.progress())).await,
        (mut stream, Question::Cancel(request)) => {
            write_line(&mut stream, &Answer::Cancel(test.cancel(&request))).await
        }
    }
}

/// Returns the progress of the slot's test; `None` when it does not answer.
pub(super) async fn progress(queue_folder: &Path, slot: &str) -> Option<TestProgress> {
    match ask(queue_folder, slot, &Question::News).await {
        Ok(Answer::News(progress)) => Some(progress),
        Ok(Answer::Cancel(_)) => None,
        Err(error) => {
            tracing::debug!(slot, "no news: {error}");
            None
        }
    }
}

/// Asks the slot to cancel its test.
pub(super) async fn cancel(queue_folder: &Path, slot: &str, request: &CancelRequest) -> io::Result<CancelOutcome> {
    match ask(queue_folder, slot, &Question::Cancel(request.clone())).await {
        Ok(Answer::Cancel(cancelled)) => Ok(cancelled),
        Ok(Answer::News(_)) => Err(ErrorKind::InvalidData.into()),
        // The test has just ended, or does not listen yet.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            Ok(CancelOutcome::NotFound)
        }
        Err(error) => Err(error),
    }
}

async fn ask(queue_folder: &Path, slot: &str, question: &Question) -> io::Result<Answer> {
    let conversation = async {
        let calls = Calls::open(queue_folder)?;
        let mut stream = UnixStream::connect(calls.socket(slot)).await?;
        write_line(&mut stream, question).await?;
        Ok(read_line(stream).await?.1)
    };
    timeout(CALL_TIMEOUT, conversation).await.map_err(|_| io::Error::from(ErrorKind::TimedOut))?
}

async fn write_line(stream: &mut UnixStream, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

async fn read_line<T: serde::de::DeserializeOwned>(stream: UnixStream) -> io::Result<(UnixStream, T)> {
    let mut line = Vec::new();
    let mut reader = BufReader::new(stream.take(MAX_LINE));
    timeout(CALL_TIMEOUT, reader.read_until(b'\n', &mut line))
        .await
        .map_err(|_| io::Error::from(ErrorKind::TimedOut))??;
    let message = serde_json::from_slice(&line)?;
    Ok((reader.into_inner().into_inner(), message))
}
