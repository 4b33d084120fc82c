//! `apt-ci queues dead`: shows dead letters, puts them back, or removes them.

use std::sync::Arc;

use apt_ci::broker::{DeadLetter, Message, MessageState};
use apt_ci::release::QueueName;
use apt_ci::request::Request;
use apt_ci::site::Site;
use clap::Subcommand;
use serde_json::{Value, json};

use super::removal::{self, Destination, QueueSelection, Removal, RemovalArgs, Rule};
use super::remove::MatchArgs;
use super::show::{contents, document, request_cells, short_ids};
use crate::session::{Session, inspect};
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;
use crate::ui::opaque_lines;
use crate::ui::table::{self, Cell, Column};

const DEAD_PILES: &[MessageState] = &[MessageState::Dead];

const COLUMNS: [Column<'_>; 5] = [
    Column::new("QUEUE"),
    // A message that is no request is shown here, and can be long.
    Column::new("PACKAGE").cut_late(),
    Column::new("TRIGGERS").cut().spare(),
    Column::new("REQUEST"),
    Column::new("REASON").wrap().least(16),
];

/// Show dead letters and their reasons, requeue them, or remove them
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
A dead letter is a request that was malformed, killed its workers, or was cancelled.
Piped output is tab-separated: queue, package, triggers, request, reason.

Examples:
  apt-ci queues dead
  apt-ci queues dead requeue debci-noble-amd64 --match package=gzip
  apt-ci queues dead drop debci-noble-amd64 --yes"
)]
pub struct DeadArgs {
    #[command(subcommand)]
    command: Option<Command>,
    /// Queues [default: all queues of the site]
    #[arg(value_name = "QUEUE")]
    queues: Vec<QueueName>,
}

#[derive(Subcommand)]
enum Command {
    /// Requeue dead letters that are valid requests; their attempt count is reset
    #[command(after_help = "Example:\n  apt-ci queues dead requeue debci-noble-amd64 --match package=gzip")]
    Requeue(PickArgs),
    /// Remove dead letters after saving them to a file
    #[command(after_help = "Example:\n  apt-ci queues dead drop debci-noble-amd64 --dry-run")]
    Drop(PickArgs),
}

#[derive(clap::Args)]
struct PickArgs {
    /// Queues [default: all queues of the site]
    #[arg(value_name = "QUEUE")]
    queues: Vec<QueueName>,
    #[command(flatten)]
    meant: MatchArgs,
    #[command(flatten)]
    removal: RemovalArgs,
}

pub async fn run(args: DeadArgs, session: &Session, site: &Site) -> CommandResult<ExitStatus> {
    let (pick, destination) = match args.command {
        None => return list(args.queues, session, site).await,
        Some(Command::Requeue(pick)) => (pick, Destination::Origin),
        Some(Command::Drop(pick)) => (pick, Destination::UndoFile),
    };
    let is_everything = pick.meant.is_everything() && destination == Destination::UndoFile;
    let nothing = if pick.meant.is_everything() { "No dead letters." } else { "No dead letters match." };
    let ids = pick.meant.ids();
    let meant = pick.meant.rule();
    let rule: Rule = match destination {
        // A message that is no request would become a dead letter again at once.
        Destination::Origin => Arc::new(move |messages: &[Message]| {
            let mut places = meant(messages);
            places.retain(|place| messages.get(*place).is_some_and(|letter| Request::parse(&letter.body).is_ok()));
            places
        }),
        _ => meant,
    };
    let removal = Removal {
        queues: QueueSelection::or_all(pick.queues, site),
        piles: DEAD_PILES,
        ids,
        rule,
        is_everything,
        destination,
        nothing,
    };
    removal::run(removal, &pick.removal, session, site).await
}

async fn list(queues: Vec<QueueName>, session: &Session, site: &Site) -> CommandResult<ExitStatus> {
    let broker = session.broker(site).await?;
    let queues = if queues.is_empty() {
        let states = inspect(&broker, &super::all(&broker, session, site).await?, site).await?;
        states.into_iter().filter(|state| state.dead > 0).map(|state| state.queue).collect()
    } else {
        queues
    };
    let mut letters: Vec<(QueueName, DeadLetter)> = Vec::new();
    let mut exit = ExitStatus::Success;
    for queue in queues {
        let contents = contents(&broker, &queue, usize::MAX, site).await?;
        if let Some(opaque) = contents.hidden_dead {
            session.ui.warn_lines(opaque_lines(&opaque));
            exit = ExitStatus::Failure;
        }
        letters.extend(contents.dead.into_iter().map(|letter| (queue.clone(), letter)));
    }
    broker.close().await;
    if session.ui.is_json {
        let documents: Vec<Value> = letters
            .iter()
            .map(|(queue, letter)| {
                let mut one = document(&letter.body);
                one["queue"] = json!(queue);
                one["reason"] = json!(letter.reason);
                one
            })
            .collect();
        session.ui.json(&documents)?;
        return Ok(exit);
    }
    if letters.is_empty() && exit == ExitStatus::Success {
        session.ui.note("No dead letters.");
    }
    let ids = short_ids(letters.iter().map(|(_, letter)| letter.body.as_slice()));
    let rows: Vec<Vec<Cell>> = letters
        .iter()
        .map(|(queue, letter)| {
            let [package, triggers, id] = request_cells(&letter.body, &ids);
            vec![Cell::new(queue), package, triggers, id, Cell::new(&letter.reason)]
        })
        .collect();
    table::print(&session.ui, &COLUMNS, &rows)?;
    Ok(exit)
}
