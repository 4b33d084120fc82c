//! `apt-ci log`: the log of a run.

use apt_ci::result::Outcome;
use apt_ci::runs::{Details, StoredRun};
use apt_ci::store::{ObjectReader, Store, StoreError};
use tokio::io::AsyncReadExt;

use crate::results::run_ref::{PlaceArgs, run_or_latest};
use crate::session::Session;
use crate::ui::error::{CommandResult, ErrorContext as _, NotFound, OperationFailed};
use crate::ui::exit::ExitStatus;
use crate::ui::pager;

/// Maximum size of a log in a JSON document, in bytes: the document is in memory as a whole.
const MAX_JSON_LOG: u64 = 64 << 20;

/// Show the log of a run, or of a package's latest run
#[derive(clap::Args)]
#[command(after_help = "\
On a terminal, the log is shown with APT_CI_PAGER, PAGER, or less.

Examples:
  apt-ci log gzip -s bookworm
  apt-ci log 20261123_112202_ece40@ --failed
  apt-ci log -f gzip                 follow the log of the running test")]
pub struct LogArgs {
    /// Run (id, path RELEASE/ARCH/PREFIX/PACKAGE/RUN@, or log URL) or source package
    #[arg(value_name = "RUN|PACKAGE")]
    run: String,
    #[command(flatten)]
    place: PlaceArgs,
    /// Only the section of this test (can be repeated)
    #[arg(long = "test", value_name = "NAME", conflicts_with = "failed")]
    tests: Vec<String>,
    /// Only the sections of failed tests
    #[arg(long)]
    failed: bool,
    /// Follow the log of the package's running test
    #[arg(short, long, conflicts_with_all = ["tests", "failed", "json"])]
    follow: bool,
}

pub async fn run(args: LogArgs, session: &Session) -> CommandResult<ExitStatus> {
    if args.follow {
        let PlaceArgs { release, architecture } = args.place;
        return crate::running::follow(args.run, release, architecture, session).await;
    }
    let site = session.site()?;
    let store = session.store(&site)?;
    let run = run_or_latest(&args.run, &args.place, session, &site, &store).await?;
    let mut text = if args.failed || !args.tests.is_empty() {
        match sections(&args, &run, &store).await? {
            Some(text) => text,
            None => {
                let note = match run.outcome() {
                    Outcome::Fail => {
                        format!(
                            "{} failed, but its result lists no failed test; see the whole log for the reason.",
                            run.id
                        )
                    }
                    outcome => format!("No test of {} failed; the outcome is {outcome}.", run.id),
                };
                if session.ui.is_json {
                    let mut document = serde_json::to_value(&run)?;
                    document["log"] = "".into();
                    session.ui.json(&document)?;
                }
                session.ui.note(note);
                return Ok(ExitStatus::Success);
            }
        }
    } else {
        run.log(&store).await?
    };
    if session.ui.is_json {
        let mut log = Vec::new();
        let reading = (&mut text).take(MAX_JSON_LOG + 1).read_to_end(&mut log).await;
        reading.with_context(|| format!("cannot read the log of {}", run.object("")))?;
        if log.len() as u64 > MAX_JSON_LOG {
            let message = format!("the log of {} is too long for --json: over {} MiB", run.id, MAX_JSON_LOG >> 20);
            return Err(OperationFailed { message, hint: "leave out --json to stream the log".into() }.into());
        }
        let mut document = serde_json::to_value(&run)?;
        document["log"] = String::from_utf8_lossy(&log).into();
        session.ui.json(&document)?;
        return Ok(ExitStatus::Success);
    }
    pager::show(&session.ui, &session.environment, &mut text).await?;
    Ok(ExitStatus::Success)
}

/// Returns the sections of the chosen tests, or `None` if no test failed. The result names the failed tests, so that
/// the log can be shown while it arrives.
async fn sections(args: &LogArgs, run: &StoredRun, store: &Store) -> CommandResult<Option<ObjectReader>> {
    let details = match run.details(store).await {
        Err(StoreError::NotFound(_)) => Details::default(),
        other => other?,
    };
    let wanted: Vec<String> = if args.failed {
        details.tests.iter().filter(|test| test.failed()).map(|test| test.name.clone()).collect()
    } else {
        let missing = args.tests.iter().find(|name| details.tests.iter().all(|test| test.name != **name));
        // An old result may not list its tests, but its log has them.
        if let Some(missing) = missing
            && !details.tests.is_empty()
        {
            let names: Vec<&str> = details.tests.iter().map(|test| test.name.as_str()).collect();
            let message = format!("{} has no test {missing}; its tests are {}", run.id, names.join(", "));
            return Err(
                NotFound { message, hint: "run `apt-ci results show RUN` to see the result of each test" }.into()
            );
        }
        args.tests.clone()
    };
    if wanted.is_empty() {
        return Ok(None);
    }
    let (noun, names) = (if wanted.len() == 1 { "test" } else { "tests" }, wanted.join(", "));
    let mut text = run.sections(store, move |test| wanted.iter().any(|name| name == test)).await?;
    // A skipped test has no section.
    let mut first = vec![0; 4096];
    let length = text.read(&mut first).await.with_context(|| format!("cannot read the log of {}", run.object("")))?;
    if length == 0 {
        let message = format!("the log of {} has no section of the {noun} {names}", run.id);
        return Err(NotFound { message, hint: "run `apt-ci log RUN` to see the whole log" }.into());
    }
    first.truncate(length);
    Ok(Some(Box::new(std::io::Cursor::new(first).chain(text))))
}
