//! `apt-ci queues` without a subcommand: the lengths of the queues.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use apt_ci::broker::{Broker, QueueState};
use apt_ci::release::QueueName;
use apt_ci::site::Site;
use jiff::Timestamp;
use serde_json::json;

use super::estimate;
use crate::session::{Session, inspect};
use crate::ui::error::{BadInput, CommandResult};
use crate::ui::exit::ExitStatus;
use crate::ui::interrupt;
use crate::ui::table::{self, Cell, Column};
use crate::ui::{opaque_lines, when};

/// Interval between refreshes with `--watch`.
const REFRESH_INTERVAL: Duration = Duration::from_secs(2);

#[derive(clap::Args)]
pub struct LengthsArgs {
    /// Refresh every two seconds until Ctrl-C
    #[arg(short, long)]
    watch: bool,
    /// Estimate when each queue will be empty (reads the store)
    #[arg(
        long,
        long_help = "Estimate when each queue will be empty, from past durations and available slots (reads the store)"
    )]
    estimate: bool,
    /// On a terminal, also show empty queues
    #[arg(long, hide_short_help = true)]
    all: bool,
}

/// States of the queues, and estimates of when each will be empty.
struct Snapshot {
    states: Vec<QueueState>,
    ends: BTreeMap<QueueName, Duration>,
}

pub async fn run(args: &LengthsArgs, session: &Session, site: &Site) -> CommandResult<ExitStatus> {
    let broker = session.broker(site).await?;
    let known = super::all(&broker, session, site).await?;
    if known.is_empty() {
        let message = format!("no releases are configured ({})", site.releases.origin);
        return Err(BadInput { message, hint: Some("add them to [releases] in apt-ci.toml".to_owned()) }.into());
    }
    // One for all refreshes, so that Ctrl-C during one of them is not missed.
    let mut ctrl_c = pin!(interrupt::ctrl_c());
    loop {
        let look = tokio::select! {
            look = look(args, &broker, &known, session, site) => look?,
            _ = &mut ctrl_c => return Ok(interrupted(args)),
        };
        if args.watch && session.ui.is_terminal {
            console::Term::stdout().clear_screen()?;
        }
        show(args, &look, session)?;
        if !args.watch {
            broker.close().await;
            return Ok(ExitStatus::Success);
        }
        tokio::select! {
            () = tokio::time::sleep(REFRESH_INTERVAL) => {}
            _ = &mut ctrl_c => return Ok(interrupted(args)),
        }
    }
}

/// Returns the exit status after Ctrl-C, which is the normal end of `--watch`.
fn interrupted(args: &LengthsArgs) -> ExitStatus {
    if args.watch { ExitStatus::Success } else { ExitStatus::Interrupted }
}

async fn look(
    args: &LengthsArgs,
    broker: &Broker,
    known: &[QueueName],
    session: &Session,
    site: &Site,
) -> CommandResult<Snapshot> {
    let states = inspect(broker, known, site).await?;
    let ends = match args.estimate {
        true => estimate::ends(&states, broker, &session.store(site)?).await?,
        false => BTreeMap::new(),
    };
    Ok(Snapshot { states, ends })
}

fn show(args: &LengthsArgs, look: &Snapshot, session: &Session) -> CommandResult<()> {
    if session.ui.is_json {
        let document = |state: &QueueState| {
            let mut document = json!(state);
            if let Some(end) = look.ends.get(&state.queue) {
                document["estimate"] = json!(end.as_secs());
            }
            document
        };
        return session.ui.json(&look.states.iter().map(document).collect::<Vec<_>>());
    }
    if look.states.is_empty() {
        session.ui.note("None of the configured queues exist yet; the first request or worker creates them.");
    }
    let (busy, quiet): (Vec<&QueueState>, Vec<&QueueState>) = look.states.iter().partition(|state| {
        args.all
            || !session.ui.is_terminal
            || state.ready + state.claimed + state.delayed + state.dead + state.consumers > 0
    });
    // Programs always get the same columns; people do not see one that is seldom needed.
    let some_delayed = busy.iter().any(|state| state.delayed > 0);
    let now = Timestamp::now();
    let rows: Vec<_> = busy.iter().map(|state| row(state, some_delayed, look.ends.get(&state.queue), now)).collect();
    let columns = [
        Column::new("QUEUE"),
        Column::new("READY").right(),
        Column::new("RUNNING").right(),
        // Each slot of a worker waits by itself.
        Column::new("IDLE SLOTS").right().spare(),
        Column::new("DEAD").right(),
        Column::new("DELAYED").right(),
        Column::new("OLDEST").spare(),
        Column::new("DONE IN"),
    ];
    table::print(&session.ui, &columns, &rows)?;
    let opaque: Vec<_> = look.states.iter().filter_map(|state| state.opaque.as_ref()).collect();
    if let Some(first) = opaque.first() {
        let others =
            if opaque.len() > 1 { format!(" for {} queues, for example", opaque.len()) } else { String::new() };
        session.ui.note(format!("OLDEST is unknown{others}: {}", opaque_lines(first)));
    }
    if args.estimate && look.states.iter().any(|state| waits(state) && !look.ends.contains_key(&state.queue)) {
        session.ui.note(
            "Queues without an estimate have no worker, cannot be listed, or have only packages that were never tested.",
        );
    }
    if !quiet.is_empty() {
        let queues = if quiet.len() == 1 { "queue" } else { "queues" };
        session.ui.note(format!("{} empty {queues} without workers hidden (--all to show).", quiet.len()));
    }
    Ok(())
}

/// Returns whether the queue has requests that will be run.
fn waits(state: &QueueState) -> bool {
    state.ready + state.claimed + state.delayed > 0
}

fn row(state: &QueueState, some_delayed: bool, end: Option<&Duration>, now: Timestamp) -> Vec<Cell> {
    let faint = anstyle::Style::new().dimmed();
    let number = |count: u64| Cell::new(count).styled(if count == 0 { faint } else { anstyle::Style::new() });
    let dead = if state.dead > 0 { anstyle::AnsiColor::Red.on_default() } else { faint };
    let delayed = if some_delayed { number(state.delayed) } else { Cell::new("").for_programs(state.delayed) };
    let oldest = state.oldest.map_or(Cell::new(""), |time| Cell::new(when::ago(time, now)).for_programs(time));
    let end = end.map_or(Cell::new(""), |end| Cell::new(when::duration(end.as_secs())).for_programs(end.as_secs()));
    vec![
        Cell::new(&state.queue),
        number(state.ready),
        number(state.claimed),
        number(state.consumers),
        Cell::new(state.dead).styled(dead),
        delayed,
        oldest,
        end,
    ]
}
