//! Server of the control socket. Clients cannot disturb the slots: every connection has its own task, a limit for its
//! line, and a timeout.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{Uid, User, geteuid};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

use super::socket::{Folder, name};
use super::{Command, ControlError, Reloaded, Reply, Steering, Withdrawal};
use crate::request::RequestId;
use crate::worker::board::{Board, RunningTest, State, Told};

/// Maximum number of clients that are served at once; others wait. All of them are processes of the worker's user, or
/// of root.
const CLIENTS: usize = 16;

/// Timeout for a client to send its line, and again to read the reply.
const PATIENCE: Duration = Duration::from_secs(5);

/// Maximum length of a command, in bytes.
const LONGEST_LINE: u64 = 4096;

/// Timeout for looking up the name of a user, which some hosts ask a remote server for.
const LONGEST_LOOKUP: Duration = Duration::from_secs(2);

/// Control socket of a worker. Dropping it removes the socket.
pub struct ControlSocket {
    folder: Folder,
    path: PathBuf,
    server: JoinHandle<()>,
}

impl ControlSocket {
    /// Opens the socket of this process in the folder, and serves it in tasks of the current runtime.
    ///
    /// # Errors
    /// Fails when the folder cannot be used, or belongs to another user.
    pub fn open(folder: &Path, board: Board, steering: Steering) -> Result<Self, ControlError> {
        let failed = |source| ControlError::Folder { path: folder.to_owned(), source };
        let folder = Folder::make(folder).map_err(failed)?;
        let listener = listen(&folder).map_err(failed)?;
        let path = folder.path_of(&name(std::process::id()));
        let server = tokio::spawn(serve(listener, board, steering));
        Ok(Self { folder, path, server })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        self.server.abort();
        // The path may lead through the folder's handle, which is still open here.
        let Self { folder: _folder, path, .. } = self;
        if let Err(error) = fs::remove_file(path)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!("cannot remove the control socket: {error}");
        }
    }
}

fn listen(folder: &Folder) -> io::Result<UnixListener> {
    let pid = std::process::id();
    // Removes the sockets of killed workers, and finds a worker of another container that has the same process id.
    if folder.workers()?.contains(&pid) {
        return Err(io::Error::new(
            ErrorKind::AddrInUse,
            format!("a worker with the process id {pid} uses it already"),
        ));
    }
    // The socket is renamed once it accepts connections: one that does not is taken for left over, and removed.
    let making = folder.path_of(&format!("{pid}.new"));
    match fs::remove_file(&making) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&making)?;
    fs::set_permissions(&making, Permissions::from_mode(0o600))?;
    fs::rename(&making, folder.path_of(&name(pid)))?;
    Ok(listener)
}

async fn serve(listener: UnixListener, board: Board, steering: Steering) {
    // Dropping the set ends its tasks.
    let mut clients = JoinSet::new();
    loop {
        while clients.len() >= CLIENTS {
            clients.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                let (board, steering) = (board.clone(), steering.clone());
                clients.spawn(async move {
                    if let Err(error) = answer(stream, &board, &steering).await {
                        tracing::debug!("a client of the control socket: {error}");
                    }
                });
            }
            Err(error) => {
                // Errors such as too many open files pass.
                tracing::warn!("the control socket: {error}");
                sleep(Duration::from_secs(1)).await;
            }
        }
        while clients.try_join_next().is_some() {}
    }
}

/// Serves one connection: a line, a reply, the end.
async fn answer(mut stream: UnixStream, board: &Board, steering: &Steering) -> io::Result<()> {
    let late = || io::Error::from(ErrorKind::TimedOut);
    let user = Uid::from_raw(stream.peer_cred()?.uid());
    if user != geteuid() && !user.is_root() {
        tracing::warn!("the user with the id {user} was refused at the control socket");
        return Err(ErrorKind::PermissionDenied.into());
    }
    let mut line = Vec::new();
    let mut reader = BufReader::new((&mut stream).take(LONGEST_LINE));
    timeout(PATIENCE, reader.read_until(b'\n', &mut line)).await.map_err(|_| late())??;
    let command = match line.pop() {
        Some(b'\n') => Command::read(&line),
        // The client hung up.
        None => return Ok(()),
        Some(_) => Err(format!("a command is one line of at most {LONGEST_LINE} bytes")),
    };
    let asker = match &command {
        Ok(Command::Cancel { .. }) => asker(user).await,
        _ => String::new(),
    };
    let reloaded = match &command {
        Ok(Command::Reload) => reload(steering).await,
        _ => Reloaded::default(),
    };
    // The command may end this worker, and this task with it: the reply is written without waiting.
    timeout(PATIENCE, stream.writable()).await.map_err(|_| late())??;
    let reply = match command {
        Ok(command) => obey(command, board, steering, asker, reloaded),
        Err(message) => Reply::Error { message },
    };
    let reply = reply.line();
    let written = stream.try_write(&reply)?;
    if let Some(rest) = reply.get(written..).filter(|rest| !rest.is_empty()) {
        timeout(PATIENCE, stream.write_all(rest)).await.map_err(|_| late())??;
    }
    Ok(())
}

fn obey(command: Command, board: &Board, steering: &Steering, asker: String, reloaded: Reloaded) -> Reply {
    match command {
        Command::Status => Reply::Status(Box::new(board.status())),
        Command::Stop { restart } => {
            tracing::info!("stopping, as was asked for at the control socket: what runs is finished first");
            board.stop().ask_to_finish(restart);
            stopping(board)
        }
        Command::CancelAll => {
            tracing::warn!("cancelling, as was asked for at the control socket: requests go back to their queues");
            board.stop().ask_to_cancel();
            stopping(board)
        }
        Command::Cancel { uuid, requeue } => {
            let withdrawal = Withdrawal { by: asker, requeue };
            // It may be gone once it is cancelled.
            let test = running(board).into_iter().find(|test| test.uuid.as_ref() == Some(&uuid));
            let found = uuid.parse::<RequestId>().is_ok_and(|id| steering.cancels.cancel(&id, &withdrawal));
            if found {
                let package = test.as_ref().map(|test| test.package.as_str());
                tracing::warn!(package, uuid, "cancelled by {}", withdrawal.by);
                return Reply::Cancelled { uuid, requeue };
            }
            let too_late = running(board).iter().any(|test| test.uuid.as_ref() == Some(&uuid));
            Reply::NotCancelled { uuid, too_late }
        }
        Command::Reload => Reply::Reloaded(reloaded),
    }
}

fn stopping(board: &Board) -> Reply {
    Reply::Stopping { told: Told::by(board.stop()), running: running(board).len() }
}

/// Returns the tests that have a slot.
fn running(board: &Board) -> Vec<RunningTest> {
    let slots = board.status().slots.into_iter();
    slots.filter_map(|slot| if let State::Running(test) = slot.state { Some(test) } else { None }).collect()
}

async fn reload(steering: &Steering) -> Reloaded {
    let reload = steering.reload.clone();
    spawn_blocking(move || reload()).await.unwrap_or_else(|error| {
        let fault = format!("reading the configuration again ended early: {error}");
        Reloaded { changed: false, faults: vec![fault] }
    })
}

/// Returns `USER on HOST`, which the reason of a dead letter contains.
async fn asker(user: Uid) -> String {
    let lookup = spawn_blocking(move || User::from_uid(user).ok().flatten().map(|user| user.name));
    let name = timeout(LONGEST_LOOKUP, lookup).await.ok().and_then(Result::ok).flatten();
    let name = name.unwrap_or_else(|| format!("the user with the id {user}"));
    format!("{name} on {}", crate::host::name())
}
