//! `apt-ci results`: results of past runs.

mod changes;
mod expire;
mod flaky;
mod list;
pub mod query;
pub mod run_ref;
mod show;
pub mod spelling;
mod stats;

use clap::Subcommand;

use crate::session::Session;
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;

/// List results, newest first; explain, compare and count them
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Uses the index (`apt-ci index`) when it is up to date, otherwise queries the store.
Piped output is tab-separated: outcome, package, version, release, architecture, triggers, seconds, time, run.

Examples:
  apt-ci results gzip -s noble --latest
  apt-ci results -s noble --trigger glibc --outcome fail,tmpfail --since 2d
  apt-ci results gzip -s bookworm --store swift:https://HOST/v1/AUTH_x   public results"
)]
pub struct ResultsArgs {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: list::ListArgs,
}

#[derive(Subcommand)]
enum Command {
    Show(show::ShowArgs),
    Diff(changes::DiffArgs),
    Blame(changes::BlameArgs),
    Flaky(flaky::FlakyArgs),
    Stats(stats::StatsArgs),
    Expire(expire::ExpireArgs),
    DropRelease(expire::DropArgs),
}

pub async fn run(args: ResultsArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    match args.command {
        None => list::run(args.list, session, &site).await,
        Some(Command::Show(args)) => show::run(&args, session, &site).await,
        Some(Command::Diff(args)) => changes::diff(&args, session, &site).await,
        Some(Command::Blame(args)) => changes::blame(&args, session, &site).await,
        Some(Command::Flaky(args)) => flaky::run(&args, session, &site).await,
        Some(Command::Stats(args)) => stats::run(&args, session, &site).await,
        Some(Command::Expire(args)) => expire::run(&args, session, &site).await,
        Some(Command::DropRelease(args)) => expire::drop_release(&args, session, &site).await,
    }
}
