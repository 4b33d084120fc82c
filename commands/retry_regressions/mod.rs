//! `apt-ci retry-regressions`: re-runs the tests that proposed-migration calls regressions.

mod history;

use std::io::Read;

use apt_ci::excuses::{
    self, ExcusesLocation, LineError, ProposedPackages, Retry, RetryOptions, SelectedRetries, Selection, TestState,
};
use apt_ci::release::{Architecture, Release};
use apt_ci::request::line::Submission;
use apt_ci::request::{SourcePackage, Text, Trigger};
use apt_ci::site::Site;
use serde_json::json;

use crate::help::heading::QUEUEING;
use crate::session::Session;
use crate::submit::{SubmitArgs, is_wanted, submit};
use crate::ui::error::{BadInput, CommandResult, ErrorContext as _};
use crate::ui::exit::ExitStatus;
use crate::ui::number;
use crate::ui::table::{self, Cell, Column};

/// Heading of the options that choose tests.
const WHICH: &str = "Which tests";
/// Heading of the options that say how they are requested.
const HOW: &str = "How to test";

/// Maximum number of skipped entries that are named.
const MAX_NAMED: usize = 20;

/// Re-run the tests that block packages from migrating
#[derive(clap::Args)]
#[command(after_help = "\
Reads proposed-migration's excuses from --excuses or the site's [excuses]. Selects tests that meet all conditions, and \
requests each once per trigger; with --group, once with all its triggers.

--only-infra: the latest result with a trigger of the test is a testbed failure (tmpfail).
--only-flaky: among the latest 20 results of the tested version, the test passed and failed with the same triggers.
Invalid entries are skipped with a warning; the others are processed, and the exit code is 1. A baseline \
(migration-reference/0) is requested alone, without --all-proposed, --add-trigger or --group.
--urls: the format of retry-autopkgtest-regressions, one URL per test and architecture, with all triggers.

Examples:
  apt-ci retry-regressions -s noble --blocks glibc --dry-run
  apt-ci retry-regressions -s noble --only-infra --limit 10
  apt-ci retry-regressions -s noble --excuses update_excuses.yaml.xz --state RUNNING --min-age 3 --urls")]
pub struct RetryRegressionsArgs {
    /// Release [default: the only one with excuses]
    #[arg(
        short = 's',
        long = "release",
        visible_alias = "series",
        value_name = "RELEASE",
        help_heading = WHICH
    )]
    release: Option<Release>,
    /// Excuses: update_excuses.yaml[.xz], its URL, or `-` for standard input [default: the site's]
    #[arg(long, value_name = "FILE|URL", help_heading = WHICH, hide_short_help = true)]
    excuses: Option<String>,
    /// Only tests in these states [default: REGRESSION]
    #[arg(long = "state", value_name = "STATE", num_args = 1.., help_heading = WHICH)]
    states: Vec<TestState>,
    /// Only versions at least DAYS days old (unknown age is included)
    #[arg(long, value_name = "DAYS", value_parser = days, help_heading = WHICH, hide_short_help = true)]
    min_age: Option<f64>,
    /// Only versions at most DAYS days old (unknown age is included)
    #[arg(long, value_name = "DAYS", value_parser = days, help_heading = WHICH, hide_short_help = true)]
    max_age: Option<f64>,
    /// Only tests triggered by this package's new version
    #[arg(long, value_name = "PACKAGE", help_heading = WHICH)]
    blocks: Option<SourcePackage>,
    /// Only tests triggered by a package that waits for this package to migrate
    #[arg(long, value_name = "PACKAGE", help_heading = WHICH, hide_short_help = true)]
    blocked_by: Option<SourcePackage>,
    /// Only tests of this package (can be repeated)
    #[arg(long = "test", visible_alias = "blocked-by-tests", value_name = "PACKAGE", help_heading = WHICH)]
    packages: Vec<SourcePackage>,
    /// Only this architecture (can be repeated)
    #[arg(
        short = 'a',
        long = "arch",
        visible_alias = "architecture",
        value_name = "ARCH",
        help_heading = WHICH
    )]
    architectures: Vec<Architecture>,
    /// Only tests whose tested version is "unknown"
    #[arg(long, help_heading = WHICH, hide_short_help = true)]
    only_unknown: bool,
    /// Only tests whose log has a line that matches this regular expression
    #[arg(long, value_name = "REGEX", help_heading = WHICH, hide_short_help = true)]
    log_regex: Option<regex::bytes::Regex>,
    /// Only tests whose latest result is a testbed failure
    #[arg(long, help_heading = WHICH)]
    only_infra: bool,
    /// Only tests that both passed and failed
    #[arg(long, help_heading = WHICH)]
    only_flaky: bool,
    /// Test the release alone, for a new baseline
    #[arg(long, conflicts_with = "all_proposed", help_heading = HOW, hide_short_help = true)]
    no_proposed: bool,
    /// Take all packages from the proposed pocket, not only the triggers
    #[arg(long, help_heading = HOW, hide_short_help = true)]
    all_proposed: bool,
    /// Additional trigger for every test (can be repeated)
    #[arg(long = "add-trigger", value_name = "SRC/VERSION", help_heading = HOW, hide_short_help = true)]
    further: Vec<Trigger>,
    /// Make one request per test and architecture, with all its triggers
    #[arg(long, help_heading = HOW, hide_short_help = true)]
    group: bool,
    /// Maximum number of requests
    #[arg(long, value_name = "N", value_parser = number::limit, help_heading = QUEUEING)]
    limit: Option<usize>,
    /// Name recorded as the requester
    #[arg(long, value_name = "NAME", help_heading = QUEUEING, hide_short_help = true)]
    requester: Option<Text>,
    /// Print request.cgi URLs instead of submitting requests
    #[arg(long, conflicts_with = "dry_run", help_heading = QUEUEING, hide_short_help = true)]
    urls: bool,
    /// Show what would be requested
    #[arg(short = 'n', long, help_heading = QUEUEING)]
    dry_run: bool,
    #[command(flatten)]
    submit: SubmitArgs,
    /// Do not ask for confirmation (needed for more than 20 requests)
    #[arg(short, long, help_heading = QUEUEING)]
    yes: bool,
}

/// Parses an age in days.
fn days(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "expected a number of days".to_owned())
}

pub async fn run(args: RetryRegressionsArgs, session: &Session) -> CommandResult<ExitStatus> {
    if args.further.iter().any(Trigger::is_baseline) {
        let message = "--add-trigger migration-reference/0: a baseline cannot have other triggers".to_owned();
        let hint = Some("run `apt-ci run --baseline` to request a baseline".to_owned());
        return Err(BadInput { message, hint }.into());
    }
    let site = session.site()?;
    let release = release(&args, &site)?;
    let manner = RetryOptions {
        release: release.clone(),
        proposed: match (args.no_proposed, args.all_proposed) {
            (true, _) => ProposedPackages::Nothing,
            (_, true) => ProposedPackages::All,
            _ => ProposedPackages::Triggers,
        },
        further: args.further.clone(),
    };
    let selection = Selection {
        states: if args.states.is_empty() { vec![TestState::Regression] } else { args.states.clone() },
        min_age: args.min_age,
        max_age: args.max_age,
        blocks: args.blocks.clone(),
        blocked_by: args.blocked_by.clone(),
        packages: args.packages.clone(),
        architectures: args.architectures.clone(),
        only_unknown: args.only_unknown,
    };
    let (place, input) = open(&args, &release, session, &site).await?;
    let read = move || selection.read(excuses::text(input)?, &manner);
    let SelectedRetries { mut retries, without_trigger, odd } =
        tokio::task::spawn_blocking(read).await?.with_context(|| format!("cannot read the excuses from {place}"))?;
    if without_trigger > 0 {
        session
            .ui
            .warn(format!("skipped {without_trigger} tests: the excuses do not name the version for their trigger"));
    }
    for LineError { line, message } in odd.iter().take(MAX_NAMED) {
        session.ui.warn(format!("skipped {place}, line {line}: {message}"));
    }
    if odd.len() > MAX_NAMED {
        session.ui.warn(format!("skipped {} more entries of {place}", odd.len() - MAX_NAMED));
    }
    let done = if odd.is_empty() { ExitStatus::Success } else { ExitStatus::Failure };
    if args.only_infra || args.only_flaky {
        retries = history::keep(retries, args.only_infra, args.only_flaky, session, &site).await?;
    }
    if let Some(pattern) = &args.log_regex {
        retries = history::keep_by_log(retries, pattern, session).await?;
    }
    if args.group || args.urls {
        retries = excuses::group(retries);
    }
    let all = retries.len();
    retries.truncate(args.limit.unwrap_or(usize::MAX));
    if all > retries.len() {
        session.ui.note(format!("{} more exist; raise --limit to include them.", all - retries.len()));
    }
    if retries.is_empty() && !session.ui.is_json {
        session.ui.note(format!("No tests in {place} match."));
        return Ok(done);
    }
    if args.urls {
        for retry in &retries {
            session.ui.data(retry.url())?;
        }
        return Ok(done);
    }
    if args.dry_run {
        show(&retries, session)?;
        return Ok(done);
    }
    let now = jiff::Timestamp::now();
    let mut submissions = Vec::with_capacity(retries.len());
    for retry in &retries {
        let Submission { queue, request } = retry.submission(args.requester.as_ref())?;
        submissions.push(Submission { queue, request: request.with_id().with_submit_time(now) });
    }
    if !is_wanted(submissions.len(), args.yes, session).await? {
        return Ok(ExitStatus::Failure);
    }
    match submit(submissions, &args.submit, session, &site).await? {
        ExitStatus::Success => Ok(done),
        other => Ok(other),
    }
}

/// Returns the release that is meant.
fn release(args: &RetryRegressionsArgs, site: &Site) -> CommandResult<Release> {
    if let Some(release) = &args.release {
        return Ok(release.clone());
    }
    let with_excuses: Vec<&Release> = site.excuses.keys().collect();
    let known: Vec<&Release> = site.releases.value.keys().collect();
    match (with_excuses.as_slice(), known.as_slice()) {
        ([one], _) | ([], [one]) => Ok((*one).clone()),
        (several, known) => {
            let names = if several.is_empty() { known } else { several };
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            if names.is_empty() {
                let message = "no release given, and none is configured".to_owned();
                return Err(BadInput { message, hint: Some("give a release with -s".to_owned()) }.into());
            }
            let message = "several releases are possible; cannot choose one".to_owned();
            Err(BadInput { message, hint: Some(format!("choose a release with -s: {}", names.join(", "))) }.into())
        }
    }
}

/// Opens the excuses. Returns their name as well.
async fn open(
    args: &RetryRegressionsArgs,
    release: &Release,
    session: &Session,
    site: &Site,
) -> CommandResult<(String, Box<dyn Read + Send>)> {
    if args.excuses.as_deref() == Some("-") {
        return Ok(("standard input".to_owned(), Box::new(std::io::stdin())));
    }
    let place: ExcusesLocation = match (&args.excuses, site.excuses.get(release)) {
        (Some(text), _) => text.parse().map_err(|error| BadInput {
            message: format!("--excuses: {error}"),
            hint: Some("give a file, an https:// or http:// address, or `-` for standard input".to_owned()),
        })?,
        (None, Some(setting)) => setting.value.clone(),
        (None, None) => {
            let message = format!("no excuses file is configured for {release}");
            let hint = format!("give it with --excuses, or add {release} = \"https://…\" to [excuses] in apt-ci.toml");
            return Err(BadInput { message, hint: Some(hint) }.into());
        }
    };
    session.use_one_tls_provider();
    let input = place.open().await.with_context(|| format!("cannot read the excuses from {place}"))?;
    Ok((place.to_string(), input))
}

fn show(retries: &[Retry], session: &Session) -> CommandResult<()> {
    let triggers = |retry: &Retry| retry.triggers.iter().map(ToString::to_string).collect::<Vec<_>>();
    if session.ui.is_json {
        let list: Vec<_> = retries
            .iter()
            .map(|retry| {
                json!({
                    "queue": retry.queue(),
                    "package": retry.package.as_str(),
                    "version": retry.version,
                    "release": retry.release,
                    "architecture": retry.architecture,
                    "triggers": triggers(retry),
                    "ppas": retry.ppas.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    "all-proposed": retry.all_proposed,
                    "age": retry.age,
                    "state": retry.state.as_str(),
                })
            })
            .collect();
        return session.ui.json(&list);
    }
    let days = |age: Option<f64>| age.map(|days| format!("{days:.1} days")).unwrap_or_default();
    let rows: Vec<_> = retries
        .iter()
        .map(|retry| {
            vec![
                Cell::new(&retry.package),
                Cell::new(retry.version.as_deref().unwrap_or_default()),
                Cell::new(&retry.architecture),
                Cell::new(triggers(retry).join(" ")),
                Cell::new(days(retry.age)).for_programs(retry.age.map(|days| days.to_string()).unwrap_or_default()),
                Cell::new(retry.state),
            ]
        })
        .collect();
    const COLUMNS: [Column<'_>; 6] = [
        Column::new("PACKAGE").wrap(),
        Column::new("VERSION").wrap().least(12),
        Column::new("ARCH"),
        Column::new("TRIGGER").wrap().least(16),
        Column::new("AGE").spare(),
        Column::new("STATE").spare(),
    ];
    table::print(&session.ui, &COLUMNS, &rows)
}
