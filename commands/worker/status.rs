//! `apt-ci worker status`: shows what the workers on this host are doing.

use anstyle::{AnsiColor, Style};
use apt_ci::worker::live_status::{ShutdownPhase, SlotActivity, SlotStatus, TestPhase, WorkerStatus};

use super::live::{self, PidArgs};
use crate::session::Session;
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;
use crate::ui::short_id::ShortIds;
use crate::ui::table::{self, Cell, Column};
use crate::ui::when::duration;

/// Columns on a terminal. Piped output has no column for the phase.
const COLUMNS: [Column<'_>; 10] = [
    Column::new("PID"),
    Column::new("SLOT"),
    Column::new("STATE"),
    Column::new("PACKAGE").cut_late().least(24),
    Column::new("RELEASE").spare(),
    Column::new("ARCH").spare(),
    Column::new("TIME"),
    Column::new("PHASE").spare(),
    Column::new("REQUEST"),
    Column::new("LAST LINE").cut().least(16).spare(),
];

/// Place of the phase among the columns.
const PHASE: usize = 7;

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
    which: PidArgs,
}

pub async fn run(args: StatusArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    let (found, exit) = match live::find(&args.which, &site, session).await {
        Err(error) if session.ui.is_json => {
            session.ui.json(&[(); 0])?;
            return Err(error);
        }
        other => other?,
    };
    let workers: Vec<WorkerStatus> = found.into_iter().map(|found| found.status).collect();
    if session.ui.is_json {
        session.ui.json(&workers)?;
        return Ok(exit);
    }
    let all = workers.iter().flat_map(|worker| worker.slots.iter().map(move |slot| (worker, slot)));
    let ids = ShortIds::of(all.clone().filter_map(|(_, slot)| id(slot)));
    let rows: Vec<Vec<Cell>> = all.map(|(worker, slot)| row(worker, slot, &ids, session.ui.is_terminal)).collect();
    table::print(&session.ui, &COLUMNS, &rows)?;
    for worker in &workers {
        match worker.told {
            ShutdownPhase::Serving => {}
            ShutdownPhase::Finishing => session
                .ui
                .note(format!("Worker {} takes no new requests and exits when its tests have finished.", worker.pid)),
            ShutdownPhase::Cancelling => {
                session.ui.note(format!("Worker {} is cancelling its tests and then exits.", worker.pid))
            }
        }
        for fault in &worker.faults {
            session.ui.warn(format!("worker {}: {fault}", worker.pid));
        }
    }
    Ok(exit)
}

/// Returns the id of the request whose test runs in the slot.
fn id(slot: &SlotStatus) -> Option<&str> {
    match &slot.state {
        SlotActivity::Running(test) => test.uuid.as_deref(),
        _ => None,
    }
}

fn row(worker: &WorkerStatus, slot: &SlotStatus, ids: &ShortIds, with_phase: bool) -> Vec<Cell> {
    let empty = || Cell::new("");
    let time = |seconds: u64| Cell::new(duration(seconds)).for_programs(seconds);
    let mut cells = vec![Cell::new(worker.pid), Cell::new(slot.slot)];
    cells.extend(match &slot.state {
        SlotActivity::Running(test) => {
            let line = test.log_line.as_deref().unwrap_or_default();
            [
                Cell::new("running").styled(AnsiColor::Green.on_default()),
                Cell::new(&test.package),
                Cell::new(&test.release),
                Cell::new(&test.architecture),
                time(test.seconds),
                Cell::new(phase(test.phase)),
                ids.cell(id(slot).unwrap_or_default()),
                Cell::new(line),
            ]
        }
        SlotActivity::Paused(pause) => {
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
                empty(),
                Cell::new(format!("{times}{reason}")),
            ]
        }
        other => {
            let word = match other {
                SlotActivity::Starting => "starting",
                SlotActivity::Ended => "ended",
                SlotActivity::Probing => "probing",
                _ => "waiting",
            };
            let word = Cell::new(word).styled(Style::new().dimmed());
            [word, empty(), empty(), empty(), empty(), empty(), empty(), empty()]
        }
    });
    if !with_phase {
        cells.remove(PHASE);
    }
    cells
}

/// Returns the name of a phase.
fn phase(phase: TestPhase) -> &'static str {
    match phase {
        TestPhase::Preparing => "preparing",
        TestPhase::Testing => "testing",
        TestPhase::Bundling => "bundling",
        TestPhase::Publishing => "publishing",
    }
}
