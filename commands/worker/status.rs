//! `apt-ci worker status`: what the workers of this host do.

use anstyle::{AnsiColor, Style};
use apt_ci::worker::board::{Phase, SlotStatus, State, Told, WorkerStatus};

use super::live::{self, Which};
use crate::session::Session;
use crate::ui::exit::ExitStatus;
use crate::ui::table::{self, Cell, Column};
use crate::ui::when::duration;

/// How much of a request's id tells it from others; `cancel` understands it.
const SHORT_ID: usize = 8;

/// Show what the workers on this host are doing
#[derive(clap::Args)]
#[command(after_help = "\
Shows one line per slot. Package and log of private tests are hidden.
Piped output is tab-separated: process id, slot, state, package, release, architecture, \
seconds since the start of the test or until the end of the pause, request, \
last line of the test's log or reason for the pause.

Exits with 1 if no worker runs for this site on this host, or if one does not answer.

Example:
  apt-ci worker status --json")]
pub struct StatusArgs {
    #[command(flatten)]
    which: Which,
}

pub async fn run(args: StatusArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let site = session.site()?;
    let (found, exit) = match live::find(&args.which, &site, session).await {
        Err(error) if session.ui.json => {
            session.ui.json(&[(); 0])?;
            return Err(error);
        }
        other => other?,
    };
    let workers: Vec<WorkerStatus> = found.into_iter().map(|found| found.status).collect();
    if session.ui.json {
        session.ui.json(&workers)?;
        return Ok(exit);
    }
    let rows: Vec<_> = workers.iter().flat_map(|worker| worker.slots.iter().map(|slot| row(worker, slot))).collect();
    let columns = [
        Column::new("PID"),
        Column::new("SLOT"),
        Column::new("STATE"),
        Column::new("PACKAGE").cut(),
        Column::new("RELEASE").spare(),
        Column::new("ARCH").spare(),
        Column::new("TIME"),
        Column::new("REQUEST"),
        Column::new("LAST LINE").cut().spare(),
    ];
    table::print(&session.ui, &columns, &rows)?;
    for worker in &workers {
        match worker.told {
            Told::Serving => {}
            Told::Finishing => session
                .ui
                .note(format!("Worker {} takes no new requests and exits when its tests have finished.", worker.pid)),
            Told::Cancelling => {
                session.ui.note(format!("Worker {} is cancelling its tests and then exits.", worker.pid))
            }
        }
        for fault in &worker.faults {
            session.ui.warn(format!("worker {}: {fault}", worker.pid));
        }
    }
    Ok(exit)
}

fn row(worker: &WorkerStatus, slot: &SlotStatus) -> Vec<Cell> {
    let empty = || Cell::new("");
    let time = |seconds: u64| Cell::new(duration(seconds)).for_programs(seconds);
    let mut cells = vec![Cell::new(worker.pid), Cell::new(slot.slot)];
    cells.extend(match &slot.state {
        State::Running(test) => {
            let id = test.uuid.as_deref().unwrap_or_default();
            let short: String = id.chars().take(SHORT_ID).collect();
            let line = test.log_line.as_deref().unwrap_or_default();
            [
                Cell::new(phase(test.phase)).for_programs("running").styled(AnsiColor::Green.on_default()),
                Cell::new(&test.package),
                Cell::new(&test.release),
                Cell::new(&test.architecture),
                time(test.seconds),
                Cell::new(short).for_programs(id),
                Cell::new(line),
            ]
        }
        State::Paused(pause) => {
            let reason = slot.last_failure.as_deref().unwrap_or_default();
            let times = match slot.failures_in_a_row {
                1 => String::new(),
                times => format!("{times} failures in a row: "),
            };
            [
                Cell::new("paused").styled(AnsiColor::Red.on_default()),
                empty(),
                empty(),
                empty(),
                Cell::new(format!("{} left", duration(pause.seconds_left))).for_programs(pause.seconds_left),
                empty(),
                Cell::new(format!("{times}{reason}")),
            ]
        }
        other => {
            let word = match other {
                State::Starting => "starting",
                State::Ended => "ended",
                State::Probing => "probing",
                _ => "waiting",
            };
            [Cell::new(word).styled(Style::new().dimmed()), empty(), empty(), empty(), empty(), empty(), empty()]
        }
    });
    cells
}

/// What a person calls the phase of a test.
fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Preparing => "preparing",
        Phase::Testing => "testing",
        Phase::Bundling => "bundling",
        Phase::Publishing => "publishing",
    }
}
