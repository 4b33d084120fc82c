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
use super::{Cancellation, Command, CommandHandlers, ControlError, ReloadReport, Reply};
use crate::request::RequestId;
use crate::worker::live_status::{LiveStatus, RunningTest, ShutdownPhase, SlotActivity};

/// Maximum number of clients that are served at once; others wait. All of them are processes of the worker's user, or
/// of root.
const MAX_CLIENTS: usize = 16;

/// Timeout for a client to send its line, and again to read the reply.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum length of a command, in bytes.
const MAX_LINE_BYTES: u64 = 4096;

/// Timeout for looking up the name of a user, which some hosts ask a remote server for.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

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
    pub fn open(folder: &Path, live_status: LiveStatus, steering: CommandHandlers) -> Result<Self, ControlError> {
        let failed = |source| ControlError::Folder { path: folder.to_owned(), source };
        let folder = Folder::make(folder).map_err(failed)?;
        let listener = listen(&folder).map_err(failed)?;
        let path = folder.path_of(&name(std::process::id()));
        let server = tokio::spawn(serve(listener, live_status, steering));
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

async fn serve(listener: UnixListener, live_status: LiveStatus, steering: CommandHandlers) {
    // Dropping the set ends its tasks.
    let mut clients = JoinSet::new();
    loop {
        while clients.len() >= MAX_CLIENTS {
            clients.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                let (live_status, steering) = (live_status.clone(), steering.clone());
                clients.spawn(async move {
                    if let Err(error) = answer(stream, &live_status, &steering).await {
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
async fn answer(mut stream: UnixStream, live_status: &LiveStatus, steering: &CommandHandlers) -> io::Result<()> {
    let late = || io::Error::from(ErrorKind::TimedOut);
    let user = Uid::from_raw(stream.peer_cred()?.uid());
    if user != geteuid() && !user.is_root() {
        tracing::warn!("the user with the id {user} was refused at the control socket");
        return Err(ErrorKind::PermissionDenied.into());
    }
    let mut line = Vec::new();
    let mut reader = BufReader::new((&mut stream).take(MAX_LINE_BYTES));
    timeout(CLIENT_TIMEOUT, reader.read_until(b'\n', &mut line)).await.map_err(|_| late())??;
    let command = match line.pop() {
        Some(b'\n') => Command::read(&line),
        // The client hung up.
        None => return Ok(()),
        Some(_) => Err(format!("a command is one line of at most {MAX_LINE_BYTES} bytes")),
    };
    let asker = match &command {
        Ok(Command::Cancel { .. }) => asker(user).await,
        _ => String::new(),
    };
    let reloaded = match &command {
        Ok(Command::Reload) => reload(steering).await,
        _ => ReloadReport::default(),
    };
    // The command may end this worker, and this task with it: the reply is written without waiting.
    timeout(CLIENT_TIMEOUT, stream.writable()).await.map_err(|_| late())??;
    let reply = match command {
        Ok(command) => obey(command, live_status, steering, asker, reloaded),
        Err(message) => Reply::Error { message },
    };
    let reply = reply.line();
    let written = stream.try_write(&reply)?;
    if let Some(rest) = reply.get(written..).filter(|rest| !rest.is_empty()) {
        timeout(CLIENT_TIMEOUT, stream.write_all(rest)).await.map_err(|_| late())??;
    }
    Ok(())
}

fn obey(
    command: Command,
    live_status: &LiveStatus,
    steering: &CommandHandlers,
    asker: String,
    reloaded: ReloadReport,
) -> Reply {
    match command {
        Command::Status => Reply::Status(Box::new(live_status.status())),
        Command::Stop { restart } => {
            tracing::info!("stopping, as was asked for at the control socket: what runs is finished first");
            live_status.stop().ask_to_finish(restart);
            stopping(live_status)
        }
        Command::CancelAll => {
            tracing::warn!("cancelling, as was asked for at the control socket: requests go back to their queues");
            live_status.stop().ask_to_cancel();
            stopping(live_status)
        }
        Command::Cancel { uuid, requeue } => {
            let cancellation = Cancellation { by: asker, requeue };
            // It may be gone once it is cancelled.
            let test = running(live_status).into_iter().find(|test| test.uuid.as_ref() == Some(&uuid));
            let found = uuid.parse::<RequestId>().is_ok_and(|id| steering.cancels.cancel(&id, &cancellation));
            if found {
                let package = test.as_ref().map(|test| test.package.as_str());
                tracing::warn!(package, uuid, "cancelled by {}", cancellation.by);
                return Reply::Cancelled { uuid, requeue };
            }
            let too_late = running(live_status).iter().any(|test| test.uuid.as_ref() == Some(&uuid));
            Reply::NotCancelled { uuid, too_late }
        }
        Command::Reload => Reply::Reloaded(reloaded),
    }
}

fn stopping(live_status: &LiveStatus) -> Reply {
    Reply::Stopping { told: ShutdownPhase::by(live_status.stop()), running: running(live_status).len() }
}

/// Returns the tests that have a slot.
fn running(live_status: &LiveStatus) -> Vec<RunningTest> {
    let slots = live_status.status().slots.into_iter();
    slots.filter_map(|slot| if let SlotActivity::Running(test) = slot.state { Some(test) } else { None }).collect()
}

async fn reload(steering: &CommandHandlers) -> ReloadReport {
    let reload = steering.reload.clone();
    spawn_blocking(move || reload()).await.unwrap_or_else(|error| {
        let fault = format!("reading the configuration again ended early: {error}");
        ReloadReport { changed: false, faults: vec![fault] }
    })
}

/// Returns `USER on HOST`, which the reason of a dead letter contains.
async fn asker(user: Uid) -> String {
    let lookup = spawn_blocking(move || User::from_uid(user).ok().flatten().map(|user| user.name));
    let name = timeout(LOOKUP_TIMEOUT, lookup).await.ok().and_then(Result::ok).flatten();
    let name = name.unwrap_or_else(|| format!("the user with the id {user}"));
    format!("{name} on {}", crate::host::name())
}
