//! `apt-ci queues`: shows queues and their requests, and removes or moves requests.

mod dead;
mod estimate;
mod lengths;
mod removal;
mod remove;
mod show;
mod tidy;
mod transfer;

use apt_ci::broker::Broker;
use apt_ci::release::QueueName;
use apt_ci::site::{Origin, Site};
use clap::Subcommand;

use crate::session::Session;
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;
use crate::ui::number;

/// Show queues and their requests; remove or move requests
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
A delayed request waits to be retried after an infrastructure failure. A dead request is no longer run: it was \
malformed, killed its workers, or was cancelled; `apt-ci queues dead` shows the reason.
Piped output is tab-separated: queue, ready, running, idle slots, dead, delayed, submit time of the oldest request, \
seconds until the last request is done (with --estimate).

Examples:
  apt-ci queues debci-noble-amd64     show the requests of a queue
  apt-ci queues remove debci-noble-amd64 --match 'trigger=glibc/*' --dry-run
  apt-ci queues supersede             remove requests superseded by a newer version"
)]
pub struct QueuesArgs {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    lengths: lengths::LengthsArgs,
    /// Queue whose requests to show, as with `queues show`
    // Not called `queue`: that is the global option's name.
    #[arg(value_name = "QUEUE", conflicts_with_all = ["watch", "estimate", "all"])]
    name: Option<QueueName>,
    /// Maximum number of requests to show in each state
    #[arg(
        long,
        default_value_t = show::DEFAULT_LIMIT,
        value_name = "N",
        value_parser = number::limit,
        requires = "name",
        hide_short_help = true
    )]
    limit: usize,
}

#[derive(Subcommand)]
enum Command {
    Show(show::ShowArgs),
    Remove(remove::RemoveArgs),
    Purge(remove::PurgeArgs),
    Dedupe(tidy::DedupeArgs),
    Supersede(tidy::SupersedeArgs),
    Move(transfer::MoveArgs),
    Dead(dead::DeadArgs),
}

/// Returns the queues that are meant when none is named: those of the site, and without a site's [releases] also those
/// that the broker reports. Warns if there may be others.
async fn all(broker: &Broker, session: &Session, site: &Site) -> CommandResult<Vec<QueueName>> {
    let mut queues = site.queues();
    if site.releases.origin != Origin::Default {
        return Ok(queues);
    }
    for queue in broker.queues_in_use().await? {
        if !queues.contains(&queue) {
            queues.push(queue);
        }
    }
    if matches!(broker, Broker::Amqp(_)) {
        session.ui.warn(
            "without a site's [releases], only this host's queues and those in use are listed, because RabbitMQ does \
             not list its queues; name a QUEUE, or a site with --site",
        );
    }
    Ok(queues)
}

pub async fn run(args: QueuesArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    match (args.command, args.name) {
        (None, None) => lengths::run(&args.lengths, session, &site).await,
        (None, Some(queue)) => show::show(&queue, args.limit, session, &site).await,
        (Some(Command::Show(args)), _) => show::run(&args, session, &site).await,
        (Some(Command::Remove(args)), _) => remove::remove(args, session, &site).await,
        (Some(Command::Purge(args)), _) => remove::purge(args, session, &site).await,
        (Some(Command::Dedupe(args)), _) => tidy::dedupe(args, session, &site).await,
        (Some(Command::Supersede(args)), _) => tidy::supersede(args, session, &site).await,
        (Some(Command::Move(args)), _) => transfer::run(args, session, &site).await,
        (Some(Command::Dead(args)), _) => dead::run(args, session, &site).await,
    }
}
