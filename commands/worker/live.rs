//! The site's workers on this host, for `status`, `stop`, `reload` and `cancel`.

use std::path::PathBuf;

use apt_ci::site::Site;
use apt_ci::worker::control::client::{self, LiveWorker};
use apt_ci::worker::control::{self, Command, ControlError, Reply};
use apt_ci::worker::live_status::WorkerStatus;

use crate::session::Session;
use crate::ui::error::{CommandError, CommandResult, NotFound};
use crate::ui::exit::ExitStatus;

/// Which workers are meant.
#[derive(clap::Args)]
pub struct PidArgs {
    /// Only the worker with this process id (can be repeated) [default: all workers of the site on this host]
    #[arg(long = "pid", value_name = "PID")]
    pids: Vec<u32>,
}

/// A worker that answered, and its status.
pub struct AnsweringWorker {
    pub worker: LiveWorker,
    pub status: WorkerStatus,
}

/// Returns the site's folder as workers report it, without symbolic links.
pub fn site_folder(site: &Site) -> Option<PathBuf> {
    site.root.as_ref().map(|root| std::fs::canonicalize(root).unwrap_or_else(|_| root.clone()))
}

/// Returns the chosen workers with their status. A worker that does not answer is reported, and makes the exit status a
/// failure.
///
/// # Errors
/// When no worker is running, or none with a given process id.
pub async fn find(
    which: &PidArgs,
    site: &Site,
    session: &Session,
) -> CommandResult<(Vec<AnsweringWorker>, ExitStatus)> {
    let folder = site_folder(site);
    let mut found = Vec::new();
    let mut exit = ExitStatus::Success;
    let (mut others, mut silent) = (0, false);
    let workers = client::workers(&control::folder(&site.state_dir))?;
    for pid in &which.pids {
        if !workers.iter().any(|worker| worker.pid == *pid) {
            let message = format!("no worker with the process id {pid} is running on this host");
            let hint = "run `apt-ci worker status` to list the workers of the site";
            return Err(NotFound { message, hint }.into());
        }
    }
    for worker in workers {
        let named = which.pids.contains(&worker.pid);
        if !named && !which.pids.is_empty() {
            continue;
        }
        match worker.ask(&Command::Status).await {
            Ok(Reply::Status(status)) if named || status.site == folder => {
                found.push(AnsweringWorker { worker, status: *status })
            }
            Ok(Reply::Status(_)) => others += 1,
            Err(ControlError::Ended { .. }) if !named => {}
            answer => {
                silent = true;
                exit = failed(session, unexpected(&worker, answer));
            }
        }
    }
    if found.is_empty() && !silent {
        let message = match others {
            0 => "no worker is running for this site on this host".to_owned(),
            _ => {
                format!("no worker is running for this site on this host ({others} for other sites; choose with --pid)")
            }
        };
        return Err(none(message));
    }
    Ok((found, exit))
}

fn none(message: String) -> CommandError {
    // sudo sets HOME to that of the user, below which the sockets are.
    let hint = "workers of another user are visible only to that user: run `sudo -u apt-ci apt-ci worker status` to \
                see those of the service";
    NotFound { message, hint }.into()
}

/// Reports the failure of a worker. Returns the exit status.
pub fn failed(session: &Session, error: ControlError) -> ExitStatus {
    session.ui.warn(error);
    ExitStatus::Failure
}

/// Returns the error of a worker that did not send the expected reply.
pub fn unexpected(worker: &LiveWorker, answer: Result<Reply, ControlError>) -> ControlError {
    let reason = "sent an unexpected answer".to_owned();
    answer.err().unwrap_or(ControlError::Worker { pid: worker.pid, reason })
}

/// Waits until these workers have ended.
pub async fn wait(workers: &[AnsweringWorker], session: &Session) {
    for found in workers {
        found.worker.ended().await;
        session.ui.note(format!("Worker {} has exited.", found.worker.pid));
    }
}
