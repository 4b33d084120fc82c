//! `apt-ci results show`: the details of one run.

use apt_ci::result::layout::container;
use apt_ci::result::{Outcome, Proof, ProofVerdict, ResultLocation};
use apt_ci::runs::{Details, PackageSource, RecordedRequestError, RunFilter, StoredRun};
use apt_ci::site::Site;
use apt_ci::store::Store;
use apt_ci::testbed::{default_testbed, reproduce};
use apt_ci::verdict::Verdict;
use jiff::Timestamp;
use serde_json::json;

use super::query::ask;
use super::run_ref::{PlaceArgs, run_or_latest};
use crate::session::Session;
use crate::ui::error::{CommandResult, OperationFailed};
use crate::ui::exit::ExitStatus;
use crate::ui::plain::plain;
use crate::ui::table;
use crate::ui::when;

/// Maximum number of earlier runs from which the usual duration is computed.
const USUAL_DURATION_RUNS: usize = 20;

/// Show the details of a run, or of a package's latest run
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  apt-ci results show gzip -s noble
  apt-ci results show 20261123_112202_ece40@ --reproduce")]
pub struct ShowArgs {
    /// Run (id, path RELEASE/ARCH/PREFIX/PACKAGE/RUN@, or log URL) or source package
    #[arg(value_name = "RUN|PACKAGE")]
    run: String,
    #[command(flatten)]
    place: PlaceArgs,
    /// Print only the command that reproduces the test by hand
    #[arg(long)]
    reproduce: bool,
    /// Testbed for that command: autopkgtest virt server and arguments [default: qemu autopkgtest-RELEASE-ARCH.img]
    #[arg(long, value_name = "WORDS", value_delimiter = ' ')]
    testbed: Vec<String>,
}

pub async fn run(args: &ShowArgs, session: &Session, site: &Site) -> CommandResult<ExitStatus> {
    let store = session.store(site)?;
    let mut run = run_or_latest(&args.run, &args.place, session, site, &store).await?;
    let command = command(args, &run, site, &store).await;
    if args.reproduce {
        let command = command?;
        if session.ui.is_json {
            session.ui.json(&json!({"command": command}))?;
        } else {
            session.ui.data(command)?;
        }
        return Ok(ExitStatus::Success);
    }
    let details = run.details(&store).await?;
    // A listing does not show whether the object is still intact.
    run.damaged |= details.damaged;
    let mut others = history(&run, session, site, &store).await?;
    if run.container != container(&run.path.release) {
        // The release's own runs show whether the test fails without the PPA.
        let origin = PackageSource::Release;
        let question = RunFilter { origin, ..place_of(&run) };
        others.extend(ask(&question, usize::MAX, session, site, &store).await?.0);
    }
    let verdict = match run.test_missing_in(&details).filter(|_| run.is_evidence()) {
        Some(name) => Verdict::without_test(name),
        None => Verdict::of_read(&run, &mut others, &store).await?,
    };
    let proof = Proof::from_testinfo(&details.testinfo);
    let usual = usual(&run, &others);
    let link = async |file: &str| store.locate(&run.container, &run.object(file)).await;
    let (log, artifacts) = (link("log.gz").await?, link("artifacts.tar.gz").await?);
    if session.ui.is_json {
        let mut document = json!(run);
        document["verdict"] = json!(verdict);
        document["usual_duration"] = json!(usual);
        document["tests"] = json!(details.tests);
        document["packages"] = json!(details.packages);
        document["attempt"] = details.own("attempt").cloned().unwrap_or_default();
        document["failures"] = details.own("failures").cloned().unwrap_or_default();
        document["proof_items"] = json!(proof.items);
        document["worker"] = details.own("worker").cloned().unwrap_or_default();
        document["reproduce"] = json!(command.ok());
        document["log"] = json!(log);
        document["artifacts"] = json!(artifacts);
        session.ui.json(&document)?;
        return Ok(ExitStatus::Success);
    }
    let summary = &run.summary;
    let style = table::outcome_style(run.outcome());
    let path = &run.path;
    session.ui.data(format!(
        "{style}{}{style:#}  {} {} on {} {}",
        run.outcome(),
        path.package,
        plain(&summary.version),
        path.release,
        path.architecture
    ))?;
    let line = |name: &str, text: &str| session.ui.data(format!("{name:<11}{}", plain(text)));
    line("run", run.id.as_str())?;
    line("verdict", &format!("{}: {}", verdict.meaning, verdict.reason))?;
    if run.damaged {
        let what = format!("{} cannot be read completely and is ignored", run.location());
        line("damaged", &what)?;
    }
    let triggers = summary.triggers.as_deref().unwrap_or_default().join(" ");
    line("triggers", if triggers.is_empty() { "unknown" } else { &triggers })?;
    for (number, text) in proof_lines(&proof).iter().enumerate() {
        line(if number == 0 { "proof" } else { "" }, text)?;
    }
    if let Some((_, Some(ppa))) = ResultLocation::of_container(&run.container) {
        line("PPA", run.ppa().unwrap_or(ppa))?;
    }
    if run.is_branch() {
        line("branch", "the tested source is from a branch, not from the archive")?;
    }
    if let Some(requester) = &summary.requester {
        line("requester", requester)?;
    }
    let published = run.id.published();
    line("published", &format!("{published}, {}", when::ago(published, Timestamp::now())))?;
    let usually = usual.map(|usual| format!(", usually {}", when::duration(usual))).unwrap_or_default();
    line("duration", &format!("{}{usually}", when::duration(summary.duration)))?;
    if let Some(worker) = details.own("worker").and_then(|worker| worker.as_str()) {
        line("worker", worker)?;
    }
    for failure in details.failures() {
        line("before", failure)?;
    }
    tests(&details, session)?;
    line("log", &log)?;
    line("artifacts", &artifacts)?;
    match command {
        Ok(command) => line("reproduce", &command)?,
        Err(error) => line("reproduce", &format!("{error:#}"))?,
    }
    Ok(ExitStatus::Success)
}

/// Returns a proof in words: its verdict, and a line for each item.
fn proof_lines(proof: &Proof) -> Vec<String> {
    let verdict = match (proof.verdict, proof.items.is_empty()) {
        (ProofVerdict::None, _) => {
            "not proven: the result does not record where the testbed's packages came from".to_owned()
        }
        (ProofVerdict::Proven, true) => "proven: the unchanged release was tested".to_owned(),
        (ProofVerdict::Proven, false) => "proven: the testbed had the requested packages".to_owned(),
        (ProofVerdict::Refuted, _) => "refuted: the testbed lacked requested packages".to_owned(),
    };
    let fallback = "fallback: the triggers alone could not be installed; all packages of the pocket were used";
    let fallback = proof.fallback.then(|| fallback.to_owned());
    [verdict].into_iter().chain(fallback).chain(proof.items.iter().map(ToString::to_string)).collect()
}

fn tests(details: &Details, session: &Session) -> CommandResult<()> {
    let widest = details.tests.iter().map(|test| test.name.len()).max().unwrap_or_default().min(40);
    for (number, test) in details.tests.iter().enumerate() {
        let style = match test.state.as_str() {
            "PASS" => table::outcome_style(Outcome::Pass),
            "FAIL" => table::outcome_style(Outcome::Fail),
            "FLAKY" => table::outcome_style(Outcome::Tmpfail),
            _ => anstyle::Style::new(),
        };
        let heading = if number == 0 { "tests" } else { "" };
        session.ui.data(
            format!(
                "{heading:<11}{:<widest$}  {style}{}{style:#}  {}",
                plain(&test.name),
                plain(&test.state),
                plain(&test.details)
            )
            .trim_end(),
        )?;
    }
    Ok(())
}

/// Returns the package's runs with the same origin, release and architecture, newest first.
async fn history(run: &StoredRun, session: &Session, site: &Site, store: &Store) -> CommandResult<Vec<StoredRun>> {
    let question = RunFilter { origin: PackageSource::of(run), ..place_of(run) };
    Ok(ask(&question, usize::MAX, session, site, store).await?.0)
}

/// Returns the query for the package's runs on the same release and architecture.
fn place_of(run: &StoredRun) -> RunFilter {
    RunFilter {
        package: Some(run.path.package.clone()),
        releases: vec![run.path.release.clone()],
        architecture: Some(run.path.architecture.clone()),
        ..RunFilter::default()
    }
}

/// Returns the usual duration of the package's tests in seconds: the median of the last conclusive runs before this
/// one.
fn usual(run: &StoredRun, others: &[StoredRun]) -> Option<u64> {
    let before =
        others.iter().filter(|other| other.id < run.id && other.decision().is_some()).take(USUAL_DURATION_RUNS);
    let mut durations: Vec<u64> = before.map(|other| other.summary.duration).collect();
    durations.sort_unstable();
    durations.get(durations.len() / 2).copied()
}

async fn command(args: &ShowArgs, run: &StoredRun, site: &Site, store: &Store) -> CommandResult<String> {
    let unable =
        |message: String| OperationFailed { message, hint: "run `apt-ci log` to see the command of this run".into() };
    let recorded = match run.request(store).await {
        Err(RecordedRequestError::Store(error)) => return Err(error.into()),
        Err(error) => return Err(unable(format!("cannot reproduce the run: {error}")).into()),
        Ok(recorded) => recorded,
    };
    let testbed =
        if args.testbed.is_empty() { default_testbed(&recorded.submission.queue) } else { args.testbed.clone() };
    let pocket = recorded.pocket_or(site.pockets.of(&recorded.submission.queue.release));
    let command = reproduce(&recorded.submission, pocket.as_ref(), &testbed);
    Ok(command.map_err(|error| unable(format!("cannot reproduce the run: {error}")))?.to_string())
}
