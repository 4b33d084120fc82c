//! `apt-ci queues move`: from one queue to another.

use apt_ci::release::QueueName;
use apt_ci::site::Site;

use super::named::{Meant, WAITING};
use super::taking::{self, Destination, Errand, Named, TakingArgs};
use crate::session::Session;
use crate::ui::error::BadInput;
use crate::ui::exit::ExitStatus;

/// Move what waits in a queue to the end of another
#[derive(clap::Args)]
#[command(after_help = "\
Requests keep their ids, attempts and order. What runs goes on; if it comes back, it does so to the queue that it came from.

Examples:
  apt-ci queues move debci-noble-amd64 debci-huge-noble-amd64 --match 'trigger=glibc/*'")]
pub struct MoveArgs {
    /// The queue to take from
    from: QueueName,
    /// The queue to put into
    to: QueueName,
    #[command(flatten)]
    meant: Meant,
    #[command(flatten)]
    taking: TakingArgs,
}

pub async fn run(args: MoveArgs, session: &Session, site: &Site) -> anyhow::Result<ExitStatus> {
    if args.from == args.to {
        let message = format!("{} is the queue to take from and the one to put into", args.from);
        return Err(BadInput { message, hint: None }.into());
    }
    let errand = Errand {
        queues: Named::ByUser(vec![args.from]),
        piles: WAITING,
        everything: args.meant.is_everything(),
        rule: args.meant.rule(),
        destination: Destination::Queue(args.to),
    };
    taking::run(errand, &args.taking, session, site).await
}
