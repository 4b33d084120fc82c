//! `apt-ci cancel`: ends tests, wherever they run.

use std::time::Duration;

use apt_ci::broker::{Broker, Cancel, Cancelled, RunningTest};
use nix::unistd::{User, geteuid};
use serde_json::json;
use tokio::time::sleep;

use crate::session::Session;
use crate::ui::error::{BadInput, NotFound};
use crate::ui::exit::ExitStatus;

/// A request may be between two hands when it is looked for: so often one looks again.
const LOOKS: usize = 4;
/// Between two such looks.
const PAUSE: Duration = Duration::from_millis(250);

/// End tests that run, on whatever host
#[derive(clap::Args)]
#[command(after_help = "\
A cancelled request goes to the dead letters of its queue, with who cancelled it; it has no result, and is not reported as failed. \
Every worker of this version obeys whoever may use the queue.
Ends with 1 when a test was not found, or when its result was on its way already.

Examples:
  apt-ci cancel 7e89460a             end the test that `apt-ci running` shows so
  apt-ci cancel --requeue 7e89460a   end it, and let it be run again
  apt-ci cancel --dry-run 7e89460a   only say what would be ended")]
pub struct CancelArgs {
    /// The request whose test to end: its id, or the beginning of it
    #[arg(value_name = "REQUEST", required = true)]
    requests: Vec<String>,
    /// Put the request back into its queue, instead of to the dead letters
    #[arg(long)]
    requeue: bool,
    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// A running test that is meant.
struct Meant {
    uuid: String,
    name: String,
}

pub async fn run(args: CancelArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let site = session.site()?;
    let broker = session.broker(&site).await?;
    // All of them are looked up before the first is ended.
    let meant = look_up(&args.requests, &broker).await?;
    let by = asker();
    let (mut answers, mut exit) = (Vec::new(), ExitStatus::Success);
    for Meant { uuid, name } in meant {
        let place = if args.requeue { "back to its queue" } else { "to the dead letters" };
        let wish = Cancel { uuid: uuid.clone(), by: by.clone(), requeue: args.requeue };
        let outcome = match args.dry_run {
            true => {
                session.ui.note(format!("Would end the test of {name} ({uuid}); the request would go {place}."));
                None
            }
            false => Some(cancel(&wish, &broker).await?),
        };
        match outcome {
            None => {}
            Some(Cancelled::Cancelled) => {
                session.ui.note(format!("The test of {name} ({uuid}) is being ended; the request goes {place}."));
            }
            Some(Cancelled::TooLate) => {
                session.ui.warn(format!("the test of {name} ({uuid}) has ended, and its result is on its way"));
                exit = ExitStatus::Failure;
            }
            Some(Cancelled::NotFound) => {
                session.ui.warn(format!("no worker runs the test of {name} ({uuid}) any more"));
                exit = ExitStatus::Failure;
            }
        }
        let cancelled = outcome == Some(Cancelled::Cancelled);
        answers.push(json!({"uuid": uuid, "cancelled": cancelled, "requeue": args.requeue, "outcome": outcome}));
    }
    broker.close().await;
    if session.ui.json {
        session.ui.json(&answers)?;
    }
    Ok(exit)
}

/// Cancels the test; asks again while its worker may have only just got it.
async fn cancel(wish: &Cancel, broker: &Broker) -> anyhow::Result<Cancelled> {
    let mut outcome = broker.cancel(wish).await?;
    for _ in 1..LOOKS {
        if outcome != Cancelled::NotFound {
            break;
        }
        sleep(PAUSE).await;
        outcome = broker.cancel(wish).await?;
    }
    Ok(outcome)
}

/// The running tests that the texts mean, each once.
async fn look_up(texts: &[String], broker: &Broker) -> anyhow::Result<Vec<Meant>> {
    for look in 1.. {
        let running = broker.running().await?;
        let mut meant: Vec<Meant> = Vec::new();
        let mut missing = None;
        for text in texts {
            match one(text, &running)? {
                Some(test) if meant.iter().any(|other| other.uuid == test.uuid) => {}
                Some(test) => meant.push(test),
                None => missing = Some(text),
            }
        }
        let Some(missing) = missing else { return Ok(meant) };
        if look == LOOKS {
            let message = format!("no test of the request {missing} runs");
            let hint = "`apt-ci running` shows what runs; `apt-ci queues QUEUE` what waits";
            return Err(NotFound { message, hint }.into());
        }
        sleep(PAUSE).await;
    }
    Ok(Vec::new())
}

/// The one running test that the text means.
fn one(text: &str, running: &[RunningTest]) -> anyhow::Result<Option<Meant>> {
    let mut found: Vec<Meant> = Vec::new();
    for test in running {
        let Some(request) = test.request() else { continue };
        let Some(uuid) = request.uuid().map(ToString::to_string) else { continue };
        // An id tells nothing; of a private run no more is shown.
        let name = if request.is_private() { "a private package" } else { request.package().as_str() };
        let name = format!("{name} in {}", test.queue);
        if uuid == text {
            return Ok(Some(Meant { uuid, name }));
        }
        if !text.is_empty() && uuid.starts_with(text) {
            found.push(Meant { uuid, name });
        }
    }
    if found.len() > 1 {
        let ids: Vec<&str> = found.iter().map(|test| test.uuid.as_str()).collect();
        let message = format!("{text} may mean several tests");
        return Err(BadInput { message, hint: Some(format!("the ids are {}", ids.join(", "))) }.into());
    }
    Ok(found.pop())
}

/// `USER on HOST`, as the reason of a dead letter names who made it one.
fn asker() -> String {
    let user = geteuid();
    let name = User::from_uid(user).ok().flatten().map(|user| user.name);
    format!("{} on {}", name.unwrap_or_else(|| format!("the user with the id {user}")), apt_ci::host::name())
}
