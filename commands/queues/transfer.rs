//! `apt-ci queues move`: moves requests from one queue to another.

use apt_ci::release::QueueName;
use apt_ci::site::Site;

use super::removal::{self, Destination, QueueSelection, Removal, RemovalArgs};
use super::remove::{MatchArgs, WAITING_PILES};
use crate::session::Session;
use crate::ui::error::{BadInput, CommandResult};
use crate::ui::exit::ExitStatus;

/// Move queued requests to the end of another queue
#[derive(clap::Args)]
#[command(after_help = "\
Requests keep their ids, attempt counts and order. Running tests are not affected; if their requests return to a queue, it \
is the one that they came from.

Examples:
  apt-ci queues move debci-noble-amd64 debci-huge-noble-amd64 --dry-run
  apt-ci queues move debci-noble-amd64 debci-huge-noble-amd64 --match 'trigger=glibc/*'")]
pub struct MoveArgs {
    /// Queue to take requests from
    from: QueueName,
    /// Queue to add requests to
    to: QueueName,
    #[command(flatten)]
    meant: MatchArgs,
    #[command(flatten)]
    removal: RemovalArgs,
}

pub async fn run(args: MoveArgs, session: &Session, site: &Site) -> CommandResult<ExitStatus> {
    if args.from == args.to {
        let message = format!("{} is both the source and the destination queue", args.from);
        return Err(BadInput { message, hint: None }.into());
    }
    let nothing = if args.meant.is_everything() { "No requests are queued there." } else { "No requests match." };
    let removal = Removal {
        queues: QueueSelection::ByUser(vec![args.from]),
        piles: WAITING_PILES,
        is_everything: args.meant.is_everything(),
        ids: args.meant.ids(),
        rule: args.meant.rule(),
        destination: Destination::Queue(args.to),
        nothing,
    };
    removal::run(removal, &args.removal, session, site).await
}
