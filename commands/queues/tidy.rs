//! `apt-ci queues dedupe` and `supersede`: removes requests that need not be run.

use std::sync::Arc;

use apt_ci::broker::{Message, MessageState};
use apt_ci::release::QueueName;
use apt_ci::request::{Request, repeated, superseded};
use apt_ci::site::Site;

use super::removal::{self, Destination, QueueSelection, Removal, RemovalArgs};
use crate::session::Session;
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;

/// Remove requests that duplicate an earlier request in the queue
#[derive(clap::Args)]
#[command(after_help = "\
Duplicates have the same package and parameters (ignoring requester, submit time and id). The first request is kept.
Removed requests are first saved to a file; restore them with `apt-ci run --batch FILE --force`.

Example:
  apt-ci queues dedupe --dry-run")]
pub struct DedupeArgs {
    #[command(flatten)]
    common: TidyArgs,
}

/// Remove requests superseded by a newer request in the queue
#[derive(clap::Args)]
#[command(after_help = "\
Superseded: the same test is queued for a newer version of the same trigger or, for a pull request, for a newer commit.
Removed requests are first saved to a file; restore them with `apt-ci run --batch FILE`.

Example:
  apt-ci queues supersede --dry-run")]
pub struct SupersedeArgs {
    #[command(flatten)]
    common: TidyArgs,
}

#[derive(clap::Args)]
struct TidyArgs {
    /// Queues [default: all queues of the site]
    #[arg(value_name = "QUEUE")]
    queues: Vec<QueueName>,
    #[command(flatten)]
    removal: RemovalArgs,
}

pub async fn dedupe(args: DedupeArgs, session: &Session, site: &Site) -> CommandResult<ExitStatus> {
    tidy(args.common, repeated, "No duplicates.", session, site).await
}

pub async fn supersede(args: SupersedeArgs, session: &Session, site: &Site) -> CommandResult<ExitStatus> {
    tidy(args.common, superseded, "No superseded requests.", session, site).await
}

async fn tidy(
    args: TidyArgs,
    needless: fn(&[Option<Request>]) -> Vec<usize>,
    nothing: &'static str,
    session: &Session,
    site: &Site,
) -> CommandResult<ExitStatus> {
    let rule = move |messages: &[Message]| {
        let requests: Vec<Option<Request>> =
            messages.iter().map(|message| Request::parse(&message.body).ok()).collect();
        needless(&requests)
    };
    let removal = Removal {
        queues: QueueSelection::or_all(args.queues, site),
        // Delayed requests have failed before, unlike the others.
        piles: &[MessageState::Ready],
        is_everything: false,
        ids: Vec::new(),
        rule: Arc::new(rule),
        destination: Destination::UndoFile,
        nothing,
    };
    removal::run(removal, &args.removal, session, site).await
}
