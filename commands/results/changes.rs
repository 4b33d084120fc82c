//! `apt-ci results diff` and `blame`: differences between two runs.

use apt_ci::compare::{Change, Comparison, Turn};
use apt_ci::request::SourcePackage;
use apt_ci::runs::{RunFilter, StoredRun};
use apt_ci::site::Site;
use apt_ci::store::Store;
use apt_ci::verdict::Verdict;
use jiff::Timestamp;
use serde_json::json;

use super::query::{ask, releases};
use super::run_ref::{PlaceArgs, run_or_latest};
use super::spelling;
use crate::session::Session;
use crate::ui::error::{BadInput, CommandResult, NotFound};
use crate::ui::exit::ExitStatus;
use crate::ui::plain::plain;
use crate::ui::table::{self, Cell, Column};
use crate::ui::when;

/// Compare two runs: versions, triggers, testbed packages and tests
#[derive(clap::Args)]
#[command(after_help = "\
Piped output is tab-separated: what (trigger, package or test), name, before, after.

Example:
  apt-ci results diff 20261101_112202_ece40@ 20261123_112202_ece40@")]
pub struct DiffArgs {
    /// Earlier run (id, path RELEASE/ARCH/PREFIX/PACKAGE/RUN@, or log URL) or source package
    #[arg(value_name = "BEFORE")]
    before: String,
    /// Later run, named in the same ways
    #[arg(value_name = "AFTER")]
    after: String,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Find what broke a package's tests
#[derive(clap::Args)]
#[command(after_help = "\
Compares the last pass with the first failure after it. Testbed failures are ignored.
Exits with 1 if there is no pass-to-fail transition: the newest run passed, or no run ever did.
Piped output is that of `apt-ci results diff`.

Example:
  apt-ci results blame gzip -s noble -a amd64")]
pub struct BlameArgs {
    /// Source package
    package: SourcePackage,
    #[command(flatten)]
    place: PlaceArgs,
}

pub async fn diff(args: &DiffArgs, session: &Session, site: &Site) -> CommandResult<ExitStatus> {
    let store = session.store(site)?;
    let before = run_or_latest(&args.before, &args.place, session, site, &store).await?;
    let after = run_or_latest(&args.after, &args.place, session, site, &store).await?;
    tell(before, after, None, session, &store).await?;
    Ok(ExitStatus::Success)
}

pub async fn blame(args: &BlameArgs, session: &Session, site: &Site) -> CommandResult<ExitStatus> {
    let store = session.store(site)?;
    let question = RunFilter {
        package: Some(args.package.clone()),
        releases: releases(args.place.release.as_slice(), site)?,
        architecture: args.place.architecture.clone(),
        ..RunFilter::default()
    };
    let (mut runs, _) = ask(&question, usize::MAX, session, site, &store).await?;
    // Runs of branches say nothing about the package.
    runs.retain(|run| !run.is_branch());
    let mut places: Vec<String> =
        runs.iter().map(|run| format!("-s {} -a {}", run.path.release, run.path.architecture)).collect();
    places.sort();
    places.dedup();
    if let [_, _, ..] = places.as_slice() {
        let message = format!("{} has runs for several releases or architectures", args.package);
        return Err(BadInput { message, hint: Some(format!("choose one: {}", places.join(", "))) }.into());
    }
    if runs.is_empty() {
        spelling::check_places(&args.place.release, args.place.architecture.as_ref(), site)?;
    }
    let Some(turn) = Turn::find_read(&mut runs, &store).await? else {
        let message = format!("{} contains no run of {} that passed or failed", store.address(), args.package);
        return Err(NotFound { message, hint: "run `apt-ci results` to list the available runs" }.into());
    };
    match turn {
        Turn::Passes(run) => {
            if session.ui.is_json {
                session.ui.json(&json!({"before": run, "after": null}))?;
            }
            session.ui.note(format!("{} passes: its newest run is {}.", args.package, run.id));
            Ok(ExitStatus::Failure)
        }
        Turn::NeverPassed(run) => {
            if session.ui.is_json {
                session.ui.json(&json!({"before": null, "after": run}))?;
            }
            session
                .ui
                .note(format!("{} has not passed in any available run; the first one is {}.", args.package, run.id));
            Ok(ExitStatus::Failure)
        }
        Turn::Turned { good, bad, failures } => {
            let verdict = Verdict::of_read(&bad, &mut runs, &store).await?;
            tell(*good, *bad, Some(&Blame { failures, verdict }), session, &store).await?;
            Ok(ExitStatus::Success)
        }
    }
}

/// Facts about the first failed run.
struct Blame {
    /// Number of failures since the last pass.
    failures: usize,
    verdict: Verdict,
}

async fn tell(
    mut before: StoredRun,
    mut after: StoredRun,
    blamed: Option<&Blame>,
    session: &Session,
    store: &Store,
) -> CommandResult<()> {
    let details = futures_util::try_join!(before.details(store), after.details(store))?;
    before.damaged |= details.0.damaged;
    after.damaged |= details.1.damaged;
    let comparison = Comparison::of((&before, &details.0), (&after, &details.1));
    if session.ui.is_json {
        let mut document = json!(comparison);
        document["before"] = json!(before);
        document["after"] = json!(after);
        if let Some(Blame { failures, verdict }) = blamed {
            document["failures"] = json!(failures);
            document["verdict"] = json!(verdict);
        }
        return session.ui.json(&document);
    }
    if session.ui.is_terminal {
        let now = Timestamp::now();
        for (word, run) in [("before", &before), ("after", &after)] {
            let (outcome, version) = (run.outcome(), plain(&run.summary.version));
            let path = &run.path;
            let age = when::ago(run.id.published(), now);
            session.ui.prose(format!(
                "{word:<7} {} {} {} {version} in {} on {}, {age}",
                run.id, outcome, path.package, path.release, path.architecture
            ))?;
        }
        if let Some(Blame { failures, verdict }) = blamed {
            session.ui.prose(format!("{}: {}.", verdict.meaning, plain(&verdict.reason)))?;
            let since = if *failures == 1 { "once".to_owned() } else { format!("{failures} times in a row") };
            session.ui.data(format!("It has failed {since} since it last passed."))?;
        }
        session.ui.data("")?;
    }
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let mut row = |what: &str, name: &str, before: &str, after: &str, style: anstyle::Style| {
        let cell = |text: &str| Cell::new(text).styled(style);
        rows.push(vec![Cell::new(what), cell(name), Cell::new(before), Cell::new(after)]);
    };
    let plain = anstyle::Style::new();
    let source = |triggers: &[String], name: &str| {
        triggers.iter().find(|trigger| trigger.split('/').next() == Some(name)).cloned()
    };
    let mut told: Vec<String> = Vec::new();
    for trigger in comparison.triggers_before.iter().chain(&comparison.triggers_after) {
        let name = trigger.split('/').next().unwrap_or(trigger);
        if told.iter().any(|known| known == name) {
            continue;
        }
        told.push(name.to_owned());
        let version = |list: &[String]| {
            source(list, name)
                .map(|trigger| trigger.split_once('/').map_or(String::new(), |(_, version)| version.to_owned()))
        };
        let (old, new) = (version(&comparison.triggers_before), version(&comparison.triggers_after));
        row("trigger", name, &old.unwrap_or_default(), &new.unwrap_or_default(), plain.bold());
    }
    for test in &comparison.tests {
        let is_worse = test.after.as_deref().is_some_and(|after| after.starts_with("FAIL"));
        let style = if is_worse { anstyle::AnsiColor::Red.on_default() } else { plain };
        row(
            "test",
            &test.test,
            test.before.as_deref().unwrap_or_default(),
            test.after.as_deref().unwrap_or_default(),
            style,
        );
    }
    for package in &comparison.packages {
        let style = match package.change {
            Change::Downgraded => anstyle::AnsiColor::Yellow.on_default(),
            _ => plain,
        };
        row(
            "package",
            &package.package,
            package.before.as_deref().unwrap_or_default(),
            package.after.as_deref().unwrap_or_default(),
            style,
        );
    }
    if rows.is_empty() {
        session.ui.note("No differences: same triggers, same tests, same packages in the testbed.");
    }
    const COLUMNS: [Column<'_>; 4] = [
        Column::new("WHAT"),
        Column::new("NAME").wrap().least(16),
        Column::new("BEFORE").wrap().least(14),
        Column::new("AFTER").wrap().least(14),
    ];
    table::print(&session.ui, &COLUMNS, &rows)
}
