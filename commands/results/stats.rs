//! `apt-ci results stats`: how many runs, how they ended, and how long they took.

use std::collections::BTreeMap;

use anstyle::{AnsiColor, Style};
use apt_ci::index::{Index, IndexError};
use apt_ci::release::Release;
use apt_ci::result::Outcome;
use apt_ci::runs::{Day, Days, Origin};
use apt_ci::site::Site;
use serde_json::json;

use super::asking::{from_index, releases, since};
use super::known;
use super::naming::Where;
use crate::session::Session;
use crate::ui::exit::ExitStatus;
use crate::ui::table::{self, Cell, Column};
use crate::ui::when::{self, Since};

/// The widest bar.
const WIDEST: usize = 60;

/// Count runs by release, architecture and day
#[derive(clap::Args)]
#[command(after_help = "\
Piped output is tab-separated: release, day, architecture, runs, pass, neutral, fail, tmpfail, error, denylisted, \
tmpfail rate, then the median, 90th percentile and maximum duration in seconds.

Example:
  apt-ci results stats -s noble --since 30d")]
pub struct StatsArgs {
    #[command(flatten)]
    place: Where,
    /// Only runs published since TIME
    #[arg(long, value_name = "TIME", default_value = "14d")]
    since: Since,
    /// Draw a bar chart by day instead
    #[arg(long, conflicts_with = "json")]
    plot: bool,
}

pub async fn run(args: &StatsArgs, session: &Session, site: &Site) -> anyhow::Result<ExitStatus> {
    let store = session.store(site)?;
    let releases = releases(args.place.release.as_slice(), site)?;
    let architecture = args.place.architecture.as_ref();
    let of_index = |index: &Index| -> Result<Vec<Vec<Day>>, IndexError> {
        releases.iter().map(|release| index.days(release, architecture, args.since.0)).collect()
    };
    let days = match from_index(&releases, &Origin::Release, session, site, &store, of_index).await {
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
        known::check_places(&releases, architecture, site)?;
    }
    if session.ui.json {
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
        session.ui.note("No results in this period.");
        return Ok(ExitStatus::Success);
    }
    if args.plot {
        plot(&all, session)?;
    } else {
        show(&all, session)?;
    }
    Ok(ExitStatus::Success)
}

fn show(all: &[(&Release, Vec<Day>)], session: &Session) -> anyhow::Result<()> {
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
        Column::new("RUNS"),
        Column::new("PASS"),
        Column::new("NEUTRAL"),
        Column::new("FAIL"),
        Column::new("TMPFAIL"),
        Column::new("ERROR"),
        Column::new("DENYLISTED").spare(),
        Column::new("TMPFAIL %").spare(),
        Column::new("MEDIAN").spare(),
        Column::new("90 %").spare(),
        Column::new("LONGEST").spare(),
    ];
    table::print(&session.ui, &COLUMNS, &rows)
}

/// A bar for each day, of all architectures together.
fn plot(all: &[(&Release, Vec<Day>)], session: &Session) -> anyhow::Result<()> {
    for (release, days) in all {
        let mut sums: BTreeMap<&str, [usize; 5]> = BTreeMap::new();
        for day in days {
            let sum = sums.entry(&day.day).or_default();
            let parts = [
                day.count(Outcome::Pass) + day.count(Outcome::Neutral),
                day.count(Outcome::Fail),
                day.count(Outcome::Tmpfail),
                day.count(Outcome::Error),
                day.count(Outcome::Denylisted),
            ];
            for (sum, part) in sum.iter_mut().zip(parts) {
                *sum += part;
            }
        }
        if sums.is_empty() {
            continue;
        }
        let most = sums.values().map(|sum| sum.iter().sum::<usize>()).max().unwrap_or(1).max(1);
        // The day, and the figures after the bar.
        let room = session.ui.width.map_or(WIDEST, |width| width.saturating_sub(46).clamp(10, WIDEST));
        session.ui.data(format!("{release}: passed █, failed ▓, testbed failed ▒, error ▞"))?;
        for (day, sum) in sums {
            let runs: usize = sum.iter().sum();
            let styles =
                [AnsiColor::Green, AnsiColor::Red, AnsiColor::Yellow, AnsiColor::Magenta, AnsiColor::BrightBlack];
            let (mut bar, mut drawn, mut counted) = (String::new(), 0, 0);
            for ((part, style), sign) in sum.iter().zip(styles).zip(['█', '▓', '▒', '▞', '░']) {
                counted += part;
                let end = (counted * room).div_ceil(most);
                let style = style.on_default();
                let piece: String = std::iter::repeat_n(sign, end - drawn).collect();
                bar.push_str(&format!("{style}{piece}{style:#}"));
                drawn = end;
            }
            let share = sum[2] as f64 * 100.0 / runs.max(1) as f64;
            let fill = " ".repeat(room - drawn);
            session.ui.data(format!("{day}  {bar}{fill}  {runs} runs, {} failed, testbed {share:.1} %", sum[1]))?;
        }
    }
    Ok(())
}
