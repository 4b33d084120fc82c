//! `apt-ci worker reload`: makes workers read their configuration again.

use apt_ci::worker::control::{Command, Reply};
use serde_json::json;

use super::live::{self, AnsweringWorker, PidArgs};
use crate::session::Session;
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;

/// Make the workers on this host re-read their configuration
///
/// The configuration is worker.conf and the override files.
#[derive(clap::Args)]
#[command(after_help = "\
Running tests are not affected. Errors in the files are reported here and in the worker's status.
Exits with 1 if there is an error, if no worker runs for this site on this host, \
or if one does not answer.

Example:
  apt-ci worker reload")]
pub struct ReloadArgs {
    #[command(flatten)]
    which: PidArgs,
}

pub async fn run(args: ReloadArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    let (found, mut exit) = live::find(&args.which, &site, session).await?;
    let mut answers = Vec::new();
    for AnsweringWorker { worker, .. } in &found {
        let pid = worker.pid;
        match worker.ask(&Command::Reload).await {
            Ok(Reply::Reloaded(reloaded)) => {
                if !reloaded.faults.is_empty() {
                    exit = ExitStatus::Failure;
                    for fault in &reloaded.faults {
                        session.ui.warn(format!("worker {pid}: {fault}"));
                    }
                } else if reloaded.changed {
                    session.ui.note(format!("Worker {pid} has loaded a new configuration."));
                } else {
                    session.ui.note(format!("Worker {pid}: the configuration has not changed."));
                }
                answers.push(json!({"pid": pid, "changed": reloaded.changed, "faults": reloaded.faults}));
            }
            answer => exit = live::failed(session, live::unexpected(worker, answer)),
        }
    }
    if session.ui.is_json {
        session.ui.json(&answers)?;
    }
    Ok(exit)
}
