//! `apt-ci results stats`: numbers, outcomes and durations of runs.

use std::collections::BTreeMap;

use anstyle::{AnsiColor, Style};
use apt_ci::index::{Index, IndexError};
use apt_ci::release::Release;
use apt_ci::result::Outcome;
use apt_ci::runs::{Day, Days, PackageSource};
use apt_ci::site::Site;
use serde_json::json;

use super::query::{from_index, releases, since};
use super::run_ref::PlaceArgs;
use super::spelling;
use crate::session::Session;
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;
use crate::ui::table::{self, Cell, Column};
use crate::ui::when::{self, Since};

/// Maximum width of a bar, in columns.
const MAX_BAR: usize = 60;

/// Count runs by release, architecture and day
#[derive(clap::Args)]
#[command(after_help = "\
Piped output is tab-separated: release, day, architecture, runs, pass, neutral, fail, tmpfail, error, denylisted, \
tmpfail rate, then the median, 90th percentile and maximum duration in seconds.

Example:
  apt-ci results stats -s noble --since 30d")]
pub struct StatsArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Only runs published since TIME
    #[arg(long, value_name = "TIME", default_value = "14d")]
    since: Since,
    /// Draw a bar chart by day instead
    #[arg(long, conflicts_with = "json")]
    plot: bool,
}

pub async fn run(args: &StatsArgs, session: &Session, site: &Site) -> CommandResult<ExitStatus> {
    let store = session.store(site)?;
    let releases = releases(args.place.release.as_slice(), site)?;
    let architecture = args.place.architecture.as_ref();
    let of_index = |index: &Index| -> Result<Vec<Vec<Day>>, IndexError> {
        releases.iter().map(|release| index.days(release, architecture, args.since.0)).collect()
    };
    let days = match from_index(&releases, &PackageSource::Release, session, site, &store, of_index).await {
        Some(days) => days,
        None => {
            let mut days = Vec::new();
            for release in &releases {
                days.push(Days::of(&since(release, architecture, args.since, &store).await?));
            }
            days
        }
    };
    let all: Vec<(&Release, Vec<Day>)> = releases.iter().zip(days).collect();
    let is_empty = all.iter().all(|(_, days)| days.is_empty());
    if is_empty {
        spelling::check_places(&releases, architecture, site)?;
    }
    if session.ui.is_json {
        let one = |(release, day): (&Release, &Day)| {
            let mut one = json!(day);
            one["release"] = json!(release);
            one["tmpfail_rate"] = json!(day.tmpfail_rate());
            one
        };
        let list: Vec<_> = all.iter().flat_map(|(release, days)| days.iter().map(|day| one((release, day)))).collect();
        session.ui.json(&list)?;
        return Ok(ExitStatus::Success);
    }
    if is_empty {
        let from = args.since.0.strftime("%Y-%m-%d");
        session.ui.note(format!("No results since {from} (choose another time with --since)."));
        return Ok(ExitStatus::Success);
    }
    if args.plot {
        plot(&all, session)?;
    } else {
        show(&all, session)?;
    }
    Ok(ExitStatus::Success)
}

fn show(all: &[(&Release, Vec<Day>)], session: &Session) -> CommandResult<()> {
    let faint = |count: usize| Cell::new(count).styled(if count == 0 { Style::new().dimmed() } else { Style::new() });
    let time = |seconds: u64| Cell::new(when::duration(seconds)).for_programs(seconds);
    let rows: Vec<Vec<Cell>> = all
        .iter()
        .flat_map(|(release, days)| days.iter().map(move |day| (release, day)))
        .map(|(release, day)| {
            let mut row =
                vec![Cell::new(release), Cell::new(&day.day), Cell::new(&day.architecture), Cell::new(day.runs)];
            row.extend(Outcome::ALL.map(|outcome| faint(day.count(outcome))));
            let share = day.tmpfail_rate();
            row.push(Cell::new(format!("{:.1} %", share * 100.0)).for_programs(format!("{share:.4}")));
            row.extend([time(day.median), time(day.percentile90), time(day.longest)]);
            row
        })
        .collect();
    const COLUMNS: [Column<'_>; 14] = [
        Column::new("RELEASE"),
        Column::new("DAY"),
        Column::new("ARCH"),
        Column::new("RUNS").right(),
        Column::new("PASS").right(),
        Column::new("NEUTRAL").right(),
        Column::new("FAIL").right(),
        Column::new("TMPFAIL").right(),
        Column::new("ERROR").right(),
        Column::new("DENYLISTED").right().spare(),
        Column::new("TMPFAIL %").right().spare(),
        Column::new("MEDIAN").right().spare(),
        Column::new("90 %").right().spare(),
        Column::new("LONGEST").right().spare(),
    ];
    table::print(&session.ui, &COLUMNS, &rows)
}

/// Parts of a bar: what each counts, its sign and its colour.
const PARTS: [(&str, char, AnsiColor); 5] = [
    ("passed or neutral", '█', AnsiColor::Green),
    ("failed", '▓', AnsiColor::Red),
    ("testbed failed", '▒', AnsiColor::Yellow),
    ("error", '▞', AnsiColor::Magenta),
    ("denylisted", '░', AnsiColor::BrightBlack),
];

/// Draws a bar for each day, of all architectures together.
fn plot(all: &[(&Release, Vec<Day>)], session: &Session) -> CommandResult<()> {
    for (release, days) in all.iter().filter(|(_, days)| !days.is_empty()) {
        let width = session.ui.width.unwrap_or(usize::MAX);
        for line in chart(release.as_str(), days, width) {
            session.ui.data(line)?;
        }
    }
    Ok(())
}

/// Returns a legend and a line for each day, which fit a terminal of this width unless it is very narrow.
fn chart(release: &str, days: &[Day], width: usize) -> Vec<String> {
    let mut sums: BTreeMap<&str, [usize; PARTS.len()]> = BTreeMap::new();
    for day in days {
        let parts = [
            day.count(Outcome::Pass) + day.count(Outcome::Neutral),
            day.count(Outcome::Fail),
            day.count(Outcome::Tmpfail),
            day.count(Outcome::Error),
            day.count(Outcome::Denylisted),
        ];
        for (sum, part) in sums.entry(&day.day).or_default().iter_mut().zip(parts) {
            *sum += part;
        }
    }
    let figures = |sum: &[usize; PARTS.len()]| {
        let runs: usize = sum.iter().sum();
        let share = sum[2] as f64 * 100.0 / runs.max(1) as f64;
        format!("{runs} runs, {} failed, testbed {share:.1} %", sum[1])
    };
    let most = sums.values().map(|sum| sum.iter().sum::<usize>()).max().unwrap_or(1).max(1);
    let longest = sums.values().map(|sum| figures(sum).len()).max().unwrap_or_default();
    let of_day = sums.keys().map(|day| day.len()).max().unwrap_or_default();
    // The day, the bar, and the figures, with two spaces between them.
    let room = width.saturating_sub(of_day + longest + 4).clamp(10, MAX_BAR);
    let part = |(name, sign, colour): (&str, char, AnsiColor)| {
        let style = colour.on_default();
        format!("{style}{sign}{style:#} {name}")
    };
    // Signs that do not occur need no explanation.
    let occurs = |number: usize| sums.values().any(|sum| sum[number] > 0);
    let legend: Vec<String> =
        (0..PARTS.len()).filter(|number| occurs(*number)).map(|number| part(PARTS[number])).collect();
    let mut lines = vec![format!("{release}: {}", legend.join(", "))];
    for (day, sum) in &sums {
        let (mut bar, mut drawn, mut counted) = (String::new(), 0, 0);
        for (part, (_, sign, colour)) in sum.iter().zip(PARTS) {
            counted += part;
            let end = (counted * room).div_ceil(most);
            let style = colour.on_default();
            let piece: String = std::iter::repeat_n(sign, end - drawn).collect();
            bar.push_str(&format!("{style}{piece}{style:#}"));
            drawn = end;
        }
        let fill = " ".repeat(room - drawn);
        lines.push(format!("{day}  {bar}{fill}  {}", figures(sum)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn a_chart_explains_its_signs_and_fits_80_columns() {
        let day = |day: &str, outcomes: &[(Outcome, usize)]| Day {
            day: day.to_owned(),
            architecture: "amd64".parse().unwrap(),
            runs: outcomes.iter().map(|(_, count)| count).sum(),
            outcomes: outcomes.iter().copied().collect(),
            median: 0,
            percentile90: 0,
            longest: 0,
        };
        let busy = [(Outcome::Pass, 12_345), (Outcome::Neutral, 5), (Outcome::Fail, 1234), (Outcome::Tmpfail, 999)];
        let days = [day("2026-11-23", &busy), day("2026-11-24", &[(Outcome::Error, 1)])];
        let lines: Vec<String> = chart("bookworm", &days, 80).iter().map(|line| strip_str(line).to_string()).collect();
        assert_eq!(lines[0], "bookworm: █ passed or neutral, ▓ failed, ▒ testbed failed, ▞ error");
        assert!(lines[1].ends_with("  14583 runs, 1234 failed, testbed 6.9 %"), "{}", lines[1]);
        assert!(lines[2].starts_with("2026-11-24  ▞ ") && lines[2].ends_with("  1 runs, 0 failed, testbed 0.0 %"));
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:?}");
        assert!(lines[1].contains("█▓") && lines[1].contains("▓▒"), "{}", lines[1]);
    }
}
