//! `apt-ci results flaky`: tests that both passed and failed with the same versions.

use apt_ci::index::{Index, IndexError};
use apt_ci::release::Release;
use apt_ci::runs::{FlakyTest, FlakyTests, PackageSource};
use apt_ci::site::Site;
use jiff::Timestamp;
use serde_json::json;

use super::query::{from_index, releases, since};
use super::run_ref::PlaceArgs;
use super::spelling;
use crate::session::Session;
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;
use crate::ui::number;
use crate::ui::table::{self, Cell, Column};
use crate::ui::when::{self, Since};

/// Show tests that both passed and failed with the same versions
#[derive(clap::Args)]
#[command(after_help = "\
The versions are those of the tested package and of its triggers. Testbed failures are counted separately.
Piped output is tab-separated: release, package, architecture, failure rate, passed, failed, testbed failures, version, time of the newest run.

Example:
  apt-ci results flaky -s noble")]
pub struct FlakyArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Only runs published since TIME
    #[arg(long, value_name = "TIME", default_value = "90d")]
    since: Since,
    /// Maximum number of tests to show, worst first
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = number::limit)]
    limit: usize,
}

pub async fn run(args: &FlakyArgs, session: &Session, site: &Site) -> CommandResult<ExitStatus> {
    let store = session.store(site)?;
    let releases = releases(args.place.release.as_slice(), site)?;
    let architecture = args.place.architecture.as_ref();
    let of_index = |index: &Index| -> Result<Vec<Vec<FlakyTest>>, IndexError> {
        releases.iter().map(|release| index.flaky(release, architecture, args.since.0)).collect()
    };
    let flaky = match from_index(&releases, &PackageSource::Release, session, site, &store, of_index).await {
        Some(flaky) => flaky,
        None => {
            let mut flaky = Vec::new();
            for release in &releases {
                flaky.push(FlakyTests::of(&since(release, architecture, args.since, &store).await?));
            }
            flaky
        }
    };
    let of_release = |(release, flaky): (_, Vec<FlakyTest>)| flaky.into_iter().map(move |flaky| (release, flaky));
    let mut found: Vec<(&Release, FlakyTest)> = releases.iter().zip(flaky).flat_map(of_release).collect();
    if found.is_empty() {
        spelling::check_places(&releases, architecture, site)?;
    }
    // The worst of all releases first.
    let changes = |flaky: &FlakyTest| flaky.passed.min(flaky.failed);
    found.sort_by(|(_, a), (_, b)| changes(b).cmp(&changes(a)).then_with(|| b.last.cmp(&a.last)));
    let all = found.len();
    found.truncate(args.limit);
    if session.ui.is_json {
        let one = |(release, flaky): &(&Release, FlakyTest)| {
            let mut one = json!(flaky);
            one["release"] = json!(release);
            one["rate"] = json!(flaky.rate());
            one
        };
        session.ui.json(&found.iter().map(one).collect::<Vec<_>>())?;
        return Ok(ExitStatus::Success);
    }
    let now = Timestamp::now();
    let rows: Vec<Vec<Cell>> = found
        .iter()
        .map(|(release, flaky)| {
            vec![
                Cell::new(release),
                Cell::new(&flaky.package),
                Cell::new(&flaky.architecture),
                Cell::new(format!("{:.0} %", flaky.rate() * 100.0)).for_programs(format!("{:.3}", flaky.rate())),
                Cell::new(flaky.passed),
                Cell::new(flaky.failed),
                Cell::new(flaky.tmpfailed),
                Cell::new(&flaky.version),
                Cell::new(when::ago(flaky.last, now)).for_programs(flaky.last),
            ]
        })
        .collect();
    if rows.is_empty() {
        let from = args.since.0.strftime("%Y-%m-%d");
        session.ui.note(format!("No tests both passed and failed with the same versions since {from}."));
    }
    const COLUMNS: [Column<'_>; 9] = [
        Column::new("RELEASE"),
        Column::new("PACKAGE").wrap(),
        Column::new("ARCH"),
        Column::new("FAILS").right(),
        Column::new("PASSED").right().spare(),
        Column::new("FAILED").right().spare(),
        Column::new("TESTBED").right(),
        Column::new("VERSION").cut(),
        Column::new("LAST SEEN").spare(),
    ];
    table::print(&session.ui, &COLUMNS, &rows)?;
    if all > found.len() {
        session.ui.note(format!("{} more exist; raise --limit to see them.", all - found.len()));
    }
    Ok(ExitStatus::Success)
}
