//! `apt-ci retry`: requests the tests of earlier runs again.

use std::collections::BTreeSet;

use apt_ci::request::line::Submission;
use apt_ci::request::{SourcePackage, Text};
use apt_ci::result::Outcome;
use apt_ci::runs::{RecordedRequest, RecordedRequestError, RunFilter, StoredRun};

use crate::help::heading::QUEUEING;
use crate::results::query::{ask, outcome, releases};
use crate::results::run_ref::{PlaceArgs, run_or_latest};
use crate::results::spelling::check_places;
use crate::session::Session;
use crate::submit::{SubmitArgs, is_wanted, show_planned, submit};
use crate::ui::error::{CommandResult, ErrorContext as _, OperationFailed};
use crate::ui::exit::ExitStatus;
use crate::ui::when::Since;

/// Re-run tests, using the requests of earlier runs
#[derive(clap::Args)]
#[command(after_help = "\
A retry has the same parameters as the run's own request (triggers, PPAs, environment and so on) and a new id. All runs \
are looked up before anything is queued.

Examples:
  apt-ci retry gzip                      re-run the latest test of a package
  apt-ci retry 20261123_112202_ece40@
  apt-ci retry --outcome tmpfail --since 2d -s noble")]
pub struct RetryArgs {
    /// Runs: ids, paths (RELEASE/ARCH/PREFIX/PACKAGE/RUN@), log URLs, or packages for their latest runs
    #[arg(value_name = "RUN", required_unless_present_any = ["outcomes", "since"])]
    runs: Vec<String>,
    /// Retry all runs with this outcome (comma-separated for several)
    #[arg(
        long = "outcome",
        value_name = "OUTCOME",
        conflicts_with = "runs",
        value_delimiter = ',',
        value_parser = outcome,
        help_heading = "Which runs"
    )]
    outcomes: Vec<Outcome>,
    /// Retry all runs published since TIME, such as `2d`, `12h` or `2026-11-23`
    #[arg(long, value_name = "TIME", conflicts_with = "runs", help_heading = "Which runs")]
    since: Option<Since>,
    /// Only this package (with --outcome or --since)
    #[arg(long, value_name = "PACKAGE", conflicts_with = "runs", help_heading = "Which runs")]
    package: Option<SourcePackage>,
    #[command(flatten, next_help_heading = "Which runs")]
    place: PlaceArgs,
    /// Name recorded as the requester
    #[arg(long, value_name = "NAME", help_heading = QUEUEING, hide_short_help = true)]
    requester: Option<Text>,
    /// Print the requests in `run --batch` format instead of queueing them
    #[arg(short = 'n', long, help_heading = QUEUEING)]
    dry_run: bool,
    #[command(flatten)]
    submit: SubmitArgs,
    /// Do not ask for confirmation (needed for more than 20 requests)
    #[arg(short, long, help_heading = QUEUEING)]
    yes: bool,
}

pub async fn run(args: RetryArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    let store = session.store(&site)?;
    let mut runs: Vec<StoredRun> = Vec::new();
    if args.runs.is_empty() {
        let question = RunFilter {
            package: args.package.clone(),
            releases: releases(args.place.release.as_slice(), &site)?,
            architecture: args.place.architecture.clone(),
            outcomes: args.outcomes.clone(),
            since: args.since.map(|since| since.0),
            ..RunFilter::default()
        };
        (runs, _) = ask(&question, usize::MAX, session, &site, &store).await?;
        if runs.is_empty() {
            check_places(&args.place.release, args.place.architecture.as_ref(), &site)?;
        }
        // The oldest run has waited the longest.
        runs.reverse();
    } else {
        for text in &args.runs {
            let run = run_or_latest(text, &args.place, session, &site, &store).await?;
            if !runs.contains(&run) {
                runs.push(run);
            }
        }
    }
    let now = jiff::Timestamp::now();
    let mut submissions: Vec<Submission> = Vec::new();
    let mut incomplete = 0;
    let mut seen = BTreeSet::new();
    for run in &runs {
        let name = run.path.folder(&run.id);
        let RecordedRequest { submission: Submission { queue, request }, whole, .. } = match run.request(&store).await {
            Ok(recorded) => recorded,
            Err(RecordedRequestError::Store(error)) => {
                return Err(error).with_context(|| format!("cannot read the result of {name}"));
            }
            // A run that cannot be retried does not stop the others.
            Err(error) if args.runs.is_empty() => {
                session.ui.warn(format!("skipped {name}: {error}"));
                continue;
            }
            Err(error) => {
                let message = format!("cannot retry {name}: {error}");
                let hint = "request the test with `apt-ci run` instead";
                return Err(OperationFailed { message, hint: hint.into() }.into());
            }
        };
        // Several runs of the same request are retried once.
        if !seen.insert(format!("{queue}:{}", request.to_wire())) {
            continue;
        }
        incomplete += usize::from(!whole);
        let request = match &args.requester {
            Some(requester) => request.with_requester(requester),
            None => request,
        };
        submissions.push(Submission { queue, request: request.with_id().with_submit_time(now) });
    }
    if incomplete > 0 {
        session.ui.warn(format!(
            "the results of {incomplete} runs record only triggers and environment; any other parameters of \
             their requests are lost"
        ));
    }
    if submissions.is_empty() {
        session.ui.note("No runs match.");
        return Ok(ExitStatus::Success);
    }
    if args.dry_run {
        show_planned(&submissions, session)?;
        return Ok(ExitStatus::Success);
    }
    if !is_wanted(submissions.len(), args.yes, session).await? {
        return Ok(ExitStatus::Failure);
    }
    submit(submissions, &args.submit, session, &site).await
}
