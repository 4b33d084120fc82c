//! `apt-ci running -f`: follows the log of a running test.

use std::io::Write;
use std::time::Duration;

use apt_ci::broker::{Broker, RunningTest};
use apt_ci::result::ResultLocation;
use apt_ci::runs;
use apt_ci::site::Site;
use apt_ci::store::Store;
use jiff::Timestamp;
use tokio::io::AsyncReadExt;
use tokio::time::{sleep, timeout};

use super::stitch::Stitcher;
use super::{RunningArgs, ShownTest};
use crate::request_ref::{self, Candidate};
use crate::results::spelling::check_places;
use crate::session::Session;
use crate::ui;
use crate::ui::error::{BadInput, CommandResult, NotFound};
use crate::ui::exit::ExitStatus;
use crate::ui::plain::is_steering;

/// Interval between polls of the log, which is that of the worker.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Note where lines were never seen.
const GAP: &str = "[part of the log is missing here: it grew too fast]";
/// Size of the end of a finished log in which the last lines are searched that were seen, in bytes.
const MAX_REST: usize = 1024 * 1024;
/// Timeout for finding the end of a stored log, which may unpack to any size.
const REST_TIMEOUT: Duration = Duration::from_secs(10);

pub async fn run(args: &RunningArgs, broker: &Broker, site: &Site, session: &Session) -> CommandResult<ExitStatus> {
    let chosen = chosen(args, broker.running().await?);
    if chosen.as_ref().is_err_and(|error| error.is_not_found()) {
        check_places(&args.release, args.architecture.as_ref(), site)?;
    }
    let mut test = chosen?;
    let uuid = ShownTest::of(&test, Timestamp::now()).uuid;
    let mut log = Stitcher::default();
    loop {
        let shown = ShownTest::of(&test, Timestamp::now());
        let piece = log.add(&shown.logtail);
        if piece.has_gap {
            session.ui.note(GAP);
        }
        write(piece.text)?;
        match again(&uuid, broker).await? {
            Some(later) => test = later,
            None => return ended(&test, &uuid, &log, site, session).await,
        }
    }
}

/// Returns the test a moment later. It is searched twice, because a request changes hands when its worker ends.
async fn again(uuid: &str, broker: &Broker) -> CommandResult<Option<RunningTest>> {
    for _ in 0..2 {
        sleep(POLL_INTERVAL).await;
        let running = broker.running().await?;
        let id = |test: &RunningTest| test.request()?.uuid().map(ToString::to_string);
        if let Some(test) = running.into_iter().find(|test| id(test).as_deref() == Some(uuid)) {
            return Ok(Some(test));
        }
    }
    Ok(None)
}

/// Returns the running test that is meant.
fn chosen(args: &RunningArgs, tests: Vec<RunningTest>) -> CommandResult<RunningTest> {
    let wanted = args.package.as_deref().unwrap_or_default();
    let now = Timestamp::now();
    let there =
        tests.into_iter().map(|test| (ShownTest::of(&test, now), test)).filter(|(shown, _)| args.is_there(shown));
    let mut there: Vec<(ShownTest, RunningTest)> = there.collect();
    let candidates = there.iter().map(|(shown, _)| Candidate { id: &shown.uuid, package: Some(&shown.package) });
    let place = request_ref::find(wanted, candidates).map_err(|error| {
        let by_place = "choose its release with -s, or its architecture with -a";
        let hint = error.hint.map_or_else(|| by_place.to_owned(), |hint| format!("{hint}; or {by_place}"));
        BadInput { hint: Some(hint), ..error }
    })?;
    let missing = || NotFound {
        message: format!("no test of {wanted} is running"),
        hint: "run `apt-ci running` to list running tests, `apt-ci queues QUEUE` for queued requests, `apt-ci results` \
             for results",
    };
    Ok(place.map(|place| there.swap_remove(place).1).ok_or_else(missing)?)
}

/// Writes a part of the log as data, without what would steer a terminal.
fn write(text: &str) -> CommandResult<()> {
    let clean: String = text.chars().filter(|c| !is_steering(*c) || matches!(c, '\n' | '\t')).collect();
    let mut out = anstream::stdout().lock();
    out.write_all(clean.as_bytes()).and_then(|()| out.flush()).map_err(ui::unwritable)?;
    Ok(())
}

/// Returns the result of the test, and the store that has it.
async fn result(
    test: &RunningTest,
    uuid: &str,
    site: &Site,
    session: &Session,
) -> CommandResult<Option<(runs::StoredRun, Store)>> {
    let (Some(request), Ok(uuid)) = (test.request(), uuid.parse()) else { return Ok(None) };
    let store = session.store(site)?;
    let run = runs::with_uuid(&store, &ResultLocation::of(&request, &test.queue), &uuid).await?;
    Ok(run.map(|run| (run, store)))
}

/// Returns the end of a finished log, at least [`MAX_REST`] bytes of it.
async fn end_of_log(run: &runs::StoredRun, store: &Store) -> CommandResult<String> {
    let mut log = run.log(store).await?;
    let mut end = Vec::new();
    while (&mut log).take(MAX_REST as u64).read_to_end(&mut end).await? > 0 {
        end.drain(..end.len().saturating_sub(MAX_REST));
        // Text that unpacks endlessly would otherwise never give the timeout a turn.
        tokio::task::yield_now().await;
    }
    Ok(String::from_utf8_lossy(&end).into_owned())
}

/// Shows the lines of a finished log that were not seen, because the test ended between two polls.
async fn show_rest(log: &Stitcher, run: &runs::StoredRun, store: &Store, session: &Session) -> CommandResult<()> {
    match timeout(REST_TIMEOUT, end_of_log(run, store)).await {
        Ok(Ok(end)) => match log.rest(&end) {
            Some(rest) => write(rest)?,
            None => session.ui.note(GAP),
        },
        Ok(Err(error)) => session.ui.warn(format!("cannot read the end of the log: {error:#}")),
        Err(_) => session.ui.warn(format!("the end of the log is not there after {} seconds", REST_TIMEOUT.as_secs())),
    }
    Ok(())
}

/// Shows the rest of the log, and reports how the test has ended.
async fn ended(
    test: &RunningTest,
    uuid: &str,
    log: &Stitcher,
    site: &Site,
    session: &Session,
) -> CommandResult<ExitStatus> {
    match result(test, uuid, site, session).await {
        Ok(Some((run, store))) => {
            show_rest(log, &run, &store, session).await?;
            session.ui.note(format!(
                "The test has finished: {} after {}. Whole log: apt-ci log {}",
                run.outcome(),
                ui::when::duration(run.summary.duration),
                run.id
            ));
        }
        Ok(None) => session.ui.note(format!(
            "The test has ended without a result: it was cancelled, or its request is back in its queue. Run `apt-ci \
             queues {}` to check.",
            test.queue
        )),
        Err(error) => session.ui.warn(format!("the test has ended; cannot look up its result: {error:#}")),
    }
    Ok(ExitStatus::Success)
}
