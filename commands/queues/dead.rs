//! `apt-ci queues dead`: what is not run any more, and why; putting it back, or removing it.

use std::sync::Arc;

use apt_ci::broker::{Message, Pile};
use apt_ci::release::QueueName;
use apt_ci::request::Request;
use apt_ci::site::Site;
use clap::Subcommand;
use serde_json::{Value, json};

use super::named::Meant;
use super::show::{contents, document, request_cells};
use super::taking::{self, Destination, Errand, Named, Rule, TakingArgs};
use crate::session::{Session, inspect};
use crate::ui::exit::ExitStatus;
use crate::ui::opaque_lines;
use crate::ui::table::{self, Cell, Column};

const DEAD: &[Pile] = &[Pile::Dead];

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
    meant: Meant,
    #[command(flatten)]
    taking: TakingArgs,
}

pub async fn run(args: DeadArgs, session: &Session, site: &Site) -> anyhow::Result<ExitStatus> {
    let (pick, destination) = match args.command {
        None => return list(args.queues, session, site).await,
        Some(Command::Requeue(pick)) => (pick, Destination::Origin),
        Some(Command::Drop(pick)) => (pick, Destination::Record),
    };
    let everything = pick.meant.is_everything() && destination == Destination::Record;
    let meant = pick.meant.rule();
    let rule: Rule = match destination {
        // What is no request would come back at once.
        Destination::Origin => Arc::new(move |messages: &[Message]| {
            let mut places = meant(messages);
            places.retain(|place| messages.get(*place).is_some_and(|letter| Request::parse(&letter.body).is_ok()));
            places
        }),
        _ => meant,
    };
    let errand = Errand { queues: Named::or_all(pick.queues, site), piles: DEAD, rule, everything, destination };
    taking::run(errand, &pick.taking, session, site).await
}

async fn list(queues: Vec<QueueName>, session: &Session, site: &Site) -> anyhow::Result<ExitStatus> {
    let broker = session.broker(site).await?;
    let queues = if queues.is_empty() {
        let states = inspect(&broker, &super::all(&broker, session, site).await?, site).await?;
        states.into_iter().filter(|state| state.dead > 0).map(|state| state.queue).collect()
    } else {
        queues
    };
    let (mut rows, mut documents): (Vec<Vec<Cell>>, Vec<Value>) = (Vec::new(), Vec::new());
    let mut exit = ExitStatus::Success;
    for queue in queues {
        let contents = contents(&broker, &queue, usize::MAX, site).await?;
        if let Some(opaque) = contents.hidden_dead {
            session.ui.warn_lines(opaque_lines(&opaque));
            exit = ExitStatus::Failure;
        }
        for letter in contents.dead {
            let mut row = vec![Cell::new(&queue)];
            row.extend(request_cells(&letter.body));
            row.push(Cell::new(&letter.reason));
            rows.push(row);
            let mut one = document(&letter.body);
            one["queue"] = json!(queue);
            one["reason"] = json!(letter.reason);
            documents.push(one);
        }
    }
    broker.close().await;
    if session.ui.json {
        session.ui.json(&documents)?;
        return Ok(exit);
    }
    if rows.is_empty() && exit == ExitStatus::Success {
        session.ui.note("No dead letters.");
    }
    const COLUMNS: [Column; 5] = [
        Column::new("QUEUE"),
        Column::new("PACKAGE").cut(),
        Column::new("TRIGGERS").cut().spare(),
        Column::new("REQUEST").spare(),
        Column::new("REASON").cut(),
    ];
    table::print(&session.ui, &COLUMNS, &rows)?;
    Ok(exit)
}
