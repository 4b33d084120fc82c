//! `apt-ci worker cancel`: cancels running tests on this host.

use std::time::Duration;

use apt_ci::status::PRIVATE_PACKAGE;
use apt_ci::worker::control::client::LiveWorker;
use apt_ci::worker::control::{Command, Reply};
use apt_ci::worker::live_status::SlotActivity;
use clap::builder::NonEmptyStringValueParser;
use serde_json::json;
use tokio::time::sleep;

use super::live::{self, AnsweringWorker, PidArgs};
use super::stop;
use crate::request_ref::{self, Candidate};
use crate::session::Session;
use crate::ui::error::{CommandResult, NotFound};
use crate::ui::exit::ExitStatus;

/// Interval between polls for the end of a test.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Cancel running tests on this host
#[derive(clap::Args)]
#[command(after_help = "\
A cancelled request moves to the dead letters of its queue, with the name of the user who cancelled it; it has no result.
Returns when the worker has confirmed the command. Exits with 1 if no such test runs here, or if a worker does not answer.

Examples:
  apt-ci worker cancel 7e89460a             cancel a test, by its id in `apt-ci worker status`
  apt-ci worker cancel --requeue 7e89460a   stop it, and let it run again
  apt-ci worker cancel --all --wait         stop all tests and workers; requests are requeued")]
pub struct CancelArgs {
    /// Request whose test to cancel: its id, the beginning of its id, or its package
    #[arg(
        value_name = "REQUEST",
        required_unless_present = "all",
        value_parser = NonEmptyStringValueParser::new()
    )]
    requests: Vec<String>,
    /// Put the request back into its queue instead of the dead letters
    #[arg(long, conflicts_with = "all")]
    requeue: bool,
    /// Stop all tests and the workers; requests return to their queues
    #[arg(long, conflicts_with = "requests")]
    all: bool,
    #[command(flatten)]
    which: PidArgs,
    /// Wait until the tests, or with --all the workers, have stopped
    #[arg(long)]
    wait: bool,
}

/// A test that is to be cancelled.
struct TestToCancel<'a> {
    worker: &'a LiveWorker,
    uuid: String,
}

pub async fn run(args: CancelArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    let (found, mut exit) = live::find(&args.which, &site, session).await?;
    if args.all {
        return stop::tell(&found, &Command::CancelAll, args.wait, exit, session).await;
    }
    // All tests are looked up before the first is cancelled.
    let mut tests: Vec<TestToCancel<'_>> = Vec::new();
    for text in &args.requests {
        let test = meant(text, &found)?;
        // Several texts may name it.
        if tests.iter().all(|known| known.uuid != test.uuid) {
            tests.push(test);
        }
    }
    let mut answers = Vec::new();
    let mut ending = Vec::new();
    for test in tests {
        let TestToCancel { worker, uuid } = &test;
        let command = Command::Cancel { uuid: uuid.clone(), requeue: args.requeue };
        match worker.ask(&command).await {
            Ok(Reply::Cancelled { uuid, requeue }) => {
                let place = if requeue { "back to its queue" } else { "to the dead letters" };
                session
                    .ui
                    .note(format!("Worker {} is cancelling the test of {uuid}; its request goes {place}.", worker.pid));
                answers.push(json!({"pid": worker.pid, "uuid": uuid, "cancelled": true, "requeue": requeue}));
                ending.push(test);
            }
            Ok(Reply::NotCancelled { uuid, too_late }) => {
                let why = if too_late { "it has finished; its result is being published" } else { "it has finished" };
                session.ui.warn(format!("the test of {uuid} was not cancelled: {why}"));
                answers.push(json!({"pid": worker.pid, "uuid": uuid, "cancelled": false, "requeue": false}));
                exit = ExitStatus::Failure;
            }
            answer => exit = live::failed(session, live::unexpected(worker, answer)),
        }
    }
    if session.ui.is_json {
        session.ui.json(&answers)?;
    }
    if args.wait {
        for test in &ending {
            while still_runs(test).await {
                sleep(POLL_INTERVAL).await;
            }
        }
    }
    Ok(exit)
}

/// Returns the running test that a text names.
fn meant<'a>(text: &str, found: &'a [AnsweringWorker]) -> CommandResult<TestToCancel<'a>> {
    let mut tests: Vec<(TestToCancel<'a>, &str)> = Vec::new();
    for AnsweringWorker { worker, status } in found {
        for slot in &status.slots {
            let SlotActivity::Running(test) = &slot.state else { continue };
            // Without an id, it cannot be cancelled, but may be the one that is meant.
            let uuid = test.uuid.clone().unwrap_or_default();
            tests.push((TestToCancel { worker, uuid }, &test.package));
        }
    }
    let candidates = tests.iter().map(|(test, package)| Candidate {
        id: &test.uuid,
        package: Some(*package).filter(|package| *package != PRIVATE_PACKAGE),
    });
    let message = || format!("no test of request {text} is running on this host for this site");
    let hint = "run `apt-ci worker status` to list running tests, `apt-ci queues QUEUE` to list queued requests";
    let place = request_ref::find_with_id(text, candidates)?.ok_or_else(|| NotFound { message: message(), hint })?;
    Ok(tests.swap_remove(place).0)
}

async fn still_runs(test: &TestToCancel<'_>) -> bool {
    // A worker that does not answer has ended, or cannot be asked; it is not waited for.
    let Ok(Reply::Status(status)) = test.worker.ask(&Command::Status).await else { return false };
    let running = |state: &SlotActivity| matches!(state, SlotActivity::Running(running) if running.uuid.as_ref() == Some(&test.uuid));
    status.slots.iter().any(|slot| running(&slot.state))
}
