//! `apt-ci worker stop`: stops workers after their running tests.

use apt_ci::worker::control::{Command, Reply};
use serde_json::json;

use super::live::{self, AnsweringWorker, PidArgs};
use crate::session::Session;
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;

/// Stop the workers on this host after their running tests
#[derive(clap::Args)]
#[command(after_help = "\
Returns when the workers have confirmed the command; their tests may continue for hours.
Exits with 1 if no worker runs for this site on this host, or if one does not answer.

Example:
  apt-ci worker stop --wait")]
pub struct StopArgs {
    #[command(flatten)]
    which: PidArgs,
    /// Make them exit with 10, as after SIGHUP, so that systemd restarts them
    #[arg(long)]
    restart: bool,
    /// Wait until the workers have exited
    #[arg(long)]
    wait: bool,
}

pub async fn run(args: StopArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    let (found, exit) = live::find(&args.which, &site, session).await?;
    tell(&found, &Command::Stop { restart: args.restart }, args.wait, exit, session).await
}

/// Tells workers to stop, and reports their answers.
pub async fn tell(
    workers: &[AnsweringWorker],
    command: &Command,
    wait: bool,
    mut exit: ExitStatus,
    session: &Session,
) -> CommandResult<ExitStatus> {
    let mut answers = Vec::new();
    for AnsweringWorker { worker, .. } in workers {
        match worker.ask(command).await {
            Ok(Reply::Stopping { told, running }) => {
                let what = match (command, running) {
                    (_, 0) => "is stopping".to_owned(),
                    (Command::CancelAll, 1) => {
                        "is cancelling its test and stopping; the request goes back to its queue".to_owned()
                    }
                    (Command::CancelAll, _) => {
                        format!("is cancelling its {running} tests and stopping; the requests go back to their queues")
                    }
                    (_, 1) => "is finishing its test and then stops".to_owned(),
                    _ => format!("is finishing its {running} tests and then stops"),
                };
                session.ui.note(format!("Worker {} {what}.", worker.pid));
                answers.push(json!({"pid": worker.pid, "told": told, "running": running}));
            }
            answer => exit = live::failed(session, live::unexpected(worker, answer)),
        }
    }
    if session.ui.is_json {
        session.ui.json(&answers)?;
    }
    if wait {
        live::wait(workers, session).await;
    }
    Ok(exit)
}
