//! How a running test is asked for its news, or told to end: a socket per test, in the queue's folder `calls`, named after the slot.
//!
//! One line of JSON each way. The folder belongs to the queue's owner alone, and so does whoever comes that far.

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

use crate::broker::contact::{Cancel, Cancelled, Contact, News};

/// Who does not answer within this time does not answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest line, in bytes: news with a log's tail of a few kilobytes, each of whose characters may take six.
const LONGEST_LINE: u64 = 1 << 17;
/// The longest path of a socket, in bytes: a limit of the kernel, less the final zero.
const LONGEST_PATH: usize = 107;

#[derive(Serialize, Deserialize)]
enum Question {
    News,
    Cancel(Cancel),
}

#[derive(Serialize, Deserialize)]
enum Answer {
    News(News),
    Cancel(Cancelled),
}

/// The folder `calls` of a queue. It is held open: a path that is too long for a socket can then be said in a short way.
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
        if path.as_os_str().len() <= LONGEST_PATH {
            return path;
        }
        PathBuf::from(format!("/proc/self/fd/{}/{slot}", self.handle.as_raw_fd()))
    }
}

/// Answers for a test as long as this value lives.
pub(super) struct Attendant {
    socket: PathBuf,
    task: JoinHandle<()>,
}

impl Attendant {
    pub(super) fn start(queue_folder: &Path, slot: &str, contact: Contact) -> io::Result<Self> {
        let calls = Calls::open(queue_folder)?;
        let path = calls.socket(slot);
        // A slot's test has ended before its next one begins.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        let task = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let contact = contact.clone();
                        tokio::spawn(async move {
                            if let Err(error) = answer(stream, &contact).await {
                                tracing::debug!("who asked for a test has gone: {error}");
                            }
                        });
                    }
                    Err(error) => {
                        // Such as too many open files: that passes.
                        tracing::debug!("a test cannot be asked for: {error}");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
            }
        });
        Ok(Self { socket: calls.path.join(slot), task })
    }
}

impl Drop for Attendant {
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

/// Removes what a dead slot left.
pub(super) fn forget(queue_folder: &Path, slot: &str) {
    remove(&queue_folder.join("calls").join(slot));
}

async fn answer(stream: UnixStream, contact: &Contact) -> io::Result<()> {
    match read_line(stream).await? {
        (mut stream, Question::News) => write_line(&mut stream, &Answer::News(contact.news())).await,
        (mut stream, Question::Cancel(wish)) => write_line(&mut stream, &Answer::Cancel(contact.cancel(&wish))).await,
    }
}

/// The news of the test that the slot runs; none when it does not answer.
pub(super) async fn news(queue_folder: &Path, slot: &str) -> Option<News> {
    match ask(queue_folder, slot, &Question::News).await {
        Ok(Answer::News(news)) => Some(news),
        Ok(Answer::Cancel(_)) => None,
        Err(error) => {
            tracing::debug!(slot, "no news: {error}");
            None
        }
    }
}

/// Asks the slot to end its test.
pub(super) async fn cancel(queue_folder: &Path, slot: &str, wish: &Cancel) -> io::Result<Cancelled> {
    match ask(queue_folder, slot, &Question::Cancel(wish.clone())).await {
        Ok(Answer::Cancel(cancelled)) => Ok(cancelled),
        Ok(Answer::News(_)) => Err(ErrorKind::InvalidData.into()),
        // It has just ended, or has not begun to listen.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            Ok(Cancelled::NotFound)
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
    timeout(PATIENCE, conversation).await.map_err(|_| io::Error::from(ErrorKind::TimedOut))?
}

async fn write_line(stream: &mut UnixStream, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

async fn read_line<T: serde::de::DeserializeOwned>(stream: UnixStream) -> io::Result<(UnixStream, T)> {
    let mut line = Vec::new();
    let mut reader = BufReader::new(stream.take(LONGEST_LINE));
    timeout(PATIENCE, reader.read_until(b'\n', &mut line))
        .await
        .map_err(|_| io::Error::from(ErrorKind::TimedOut))??;
    let message = serde_json::from_slice(&line)?;
    Ok((reader.into_inner().into_inner(), message))
}
