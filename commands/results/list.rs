//! `apt-ci results` without a subcommand: past runs, newest first, or the latest ones as a matrix.

use std::collections::{BTreeMap, BTreeSet};

use apt_ci::request::SourcePackage;
use apt_ci::result::Outcome;
use apt_ci::runs::{RunFilter, StoredRun};
use apt_ci::site::Site;
use apt_ci::store::{Store, StoreUrl};
use jiff::Timestamp;

use super::query::{Conditions, ask};
use super::spelling;
use crate::help::heading::RESULTS;
use crate::session::Session;
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;
use crate::ui::number;
use crate::ui::table::{self, Cell, Column};
use crate::ui::when;

#[derive(clap::Args)]
pub struct ListArgs {
    /// Only this source package
    #[arg(hide_short_help = true)]
    package: Option<SourcePackage>,
    #[command(flatten)]
    conditions: Conditions,
    /// Only the latest result of each test
    #[arg(
        long,
        help_heading = RESULTS,
        long_help = "Only the latest result of each package, release and architecture"
    )]
    latest: bool,
    /// Show a package's latest outcomes by release and architecture
    #[arg(
        long,
        requires = "package",
        conflicts_with = "latest",
        help_heading = RESULTS,
        hide_short_help = true
    )]
    matrix: bool,
    /// Maximum number of results to show
    #[arg(
        long,
        default_value_t = 20,
        value_name = "N",
        value_parser = number::limit,
        conflicts_with = "matrix",
        help_heading = RESULTS,
        hide_short_help = true
    )]
    limit: usize,
}

pub async fn run(args: ListArgs, session: &Session, site: &Site) -> CommandResult<ExitStatus> {
    let store = session.store(site)?;
    let question = args.conditions.question(args.package.clone(), args.latest || args.matrix, site)?;
    let limit = if args.matrix { usize::MAX } else { args.limit };
    let (runs, more) = ask(&question, limit, session, site, &store).await?;
    if runs.is_empty() && !more {
        spelling::check_places(&question.releases, question.architecture.as_ref(), site)?;
    }
    if session.ui.is_json {
        session.ui.json(&runs)?;
        return Ok(ExitStatus::Success);
    }
    if runs.is_empty() && !more {
        session.ui.note(none(&question, site, &store));
        return Ok(ExitStatus::Success);
    }
    if args.matrix {
        matrix(&runs, session)?;
        return Ok(ExitStatus::Success);
    }
    show(&runs, session)?;
    let damaged: Vec<String> = runs.iter().filter(|run| run.damaged).map(StoredRun::location).collect();
    if !damaged.is_empty() {
        session.ui.warn(format!(
            "damaged results, shown as errors and otherwise ignored ({}): {}",
            damaged.len(),
            damaged[..damaged.len().min(5)].join(", ")
        ));
    }
    if more {
        session.ui.note("More results exist; raise --limit.");
    }
    Ok(ExitStatus::Success)
}

/// Returns what was not found, and where, in words.
fn none(question: &RunFilter, site: &Site, store: &Store) -> String {
    let of = question.package.as_ref().map(|package| format!(" of {package}")).unwrap_or_default();
    let releases: Vec<String> = question.releases.iter().map(ToString::to_string).collect();
    let on = question.architecture.as_ref().map(|architecture| format!(" on {architecture}")).unwrap_or_default();
    let bare = RunFilter {
        package: question.package.clone(),
        releases: question.releases.clone(),
        architecture: question.architecture.clone(),
        ..RunFilter::default()
    };
    let meets = if *question == bare { "" } else { " matching all conditions" };
    let absent = match &site.store.value {
        StoreUrl::Folder(folder) if matches!(folder.try_exists(), Ok(false)) => ", which does not exist yet",
        _ => "",
    };
    format!("No results{of}{meets} for {}{on} in {}{absent}.", releases.join(", "), store.address())
}

fn show(runs: &[StoredRun], session: &Session) -> CommandResult<()> {
    let now = Timestamp::now();
    let rows: Vec<_> = runs
        .iter()
        .map(|run| {
            let summary = &run.summary;
            vec![
                table::outcome(run.outcome()),
                Cell::new(&run.path.package),
                Cell::new(&summary.version),
                Cell::new(&run.path.release),
                Cell::new(&run.path.architecture),
                triggers(run),
                Cell::new(when::duration(summary.duration)).for_programs(summary.duration),
                Cell::new(when::ago(run.id.published(), now)).for_programs(run.id.published()),
                Cell::new(&run.id),
            ]
        })
        .collect();
    // The run's id always stays: `apt-ci log` takes it, and it contains the time.
    const COLUMNS: [Column<'_>; 9] = [
        Column::new("OUTCOME"),
        Column::new("PACKAGE").wrap(),
        Column::new("VERSION").cut_late(),
        Column::new("RELEASE"),
        Column::new("ARCH"),
        Column::new("TRIGGERS").cut().spare(),
        Column::new("DURATION").spare(),
        Column::new("WHEN").spare(),
        Column::new("RUN"),
    ];
    table::print(&session.ui, &COLUMNS, &rows)
}

/// Returns the triggers; for people with a remark if the whole pocket was used.
fn triggers(run: &StoredRun) -> Cell {
    let triggers = run.summary.triggers.as_deref().unwrap_or_default().join(" ");
    if run.summary.fallback {
        return Cell::new(format!("{triggers} (fallback: whole pocket)")).for_programs(triggers);
    }
    Cell::new(triggers)
}

/// Shows the latest outcomes: for people with a line per release and a column per architecture, or the other way round
/// if the terminal is too narrow for that; for programs with a line per run.
fn matrix(runs: &[StoredRun], session: &Session) -> CommandResult<()> {
    if !session.ui.is_terminal {
        let row = |run: &StoredRun| {
            let path = &run.path;
            let (outcome, version) = (run.outcome(), &run.summary.version);
            vec![
                Cell::new(&path.release),
                Cell::new(&path.architecture),
                Cell::new(outcome),
                Cell::new(version),
                Cell::new(&run.id),
            ]
        };
        let columns = ["RELEASE", "ARCH", "OUTCOME", "VERSION", "RUN"].map(Column::new);
        let mut rows: Vec<&StoredRun> = runs.iter().collect();
        rows.sort_by(|a, b| a.path.cmp(&b.path));
        return table::print(&session.ui, &columns, &rows.into_iter().map(row).collect::<Vec<_>>());
    }
    let releases: BTreeSet<&str> = runs.iter().map(|run| run.path.release.as_str()).collect();
    let architectures: BTreeSet<&str> = runs.iter().map(|run| run.path.architecture.as_str()).collect();
    let mut latest: BTreeMap<(&str, &str), Outcome> = BTreeMap::new();
    for run in runs {
        latest.entry((run.path.release.as_str(), run.path.architecture.as_str())).or_insert_with(|| run.outcome());
    }
    let by_release = Matrix::new("RELEASE", &releases, &architectures, |release, one| latest.get(&(release, one)));
    let by_architecture = Matrix::new("ARCH", &architectures, &releases, |one, release| latest.get(&(release, one)));
    let is_too_wide = session.ui.width.is_some_and(|width| by_release.width() > width);
    let is_wider = by_release.width() > by_architecture.width();
    let matrix = if is_too_wide && is_wider { by_architecture } else { by_release };
    table::print(&session.ui, &matrix.columns(), &matrix.rows)
}

/// Outcomes in lines and columns.
struct Matrix {
    headings: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Matrix {
    fn new<'a>(
        corner: &str,
        lines: &BTreeSet<&'a str>,
        columns: &BTreeSet<&'a str>,
        at: impl Fn(&'a str, &'a str) -> Option<&'a Outcome>,
    ) -> Self {
        let headings = std::iter::once(corner).chain(columns.iter().copied()).map(str::to_uppercase).collect();
        let cell =
            |line: &'a str, column: &'a str| at(line, column).copied().map_or_else(|| Cell::new(""), table::outcome);
        let row = |line: &'a str| {
            let cells = columns.iter().map(|column| cell(line, column));
            std::iter::once(Cell::new(line)).chain(cells).collect()
        };
        Self { headings, rows: lines.iter().copied().map(row).collect() }
    }

    fn columns(&self) -> Vec<Column<'_>> {
        self.headings.iter().map(|heading| Column::new(heading)).collect()
    }

    fn width(&self) -> usize {
        table::width(&self.columns(), &self.rows)
    }
}
