//! Waiting for tests: `--wait` and `apt-ci run --watch`.

use std::collections::HashSet;
use std::pin::pin;
use std::time::Duration;

use apt_ci::broker::{Broker, BrokerError, LocatedRequest, Snapshot};
use apt_ci::follow::{FollowedRequest, Follower, Stage, StageChange};
use apt_ci::release::{Context, QueueName};
use apt_ci::request::{Request, RequestId};
use apt_ci::result::Outcome;
use apt_ci::runs::{self, StoredRun};
use apt_ci::site::Site;
use apt_ci::store::Store;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::request_ref::{self, Candidate};
use crate::session::{Session, inspect};
use crate::ui::error::{BadInput, CommandError, CommandResult, NotFound};
use crate::ui::exit::ExitStatus;
use crate::ui::interrupt;
use crate::ui::plain::plain;
use crate::ui::table::{self, Cell, Column};
use crate::ui::when;

/// Interval between polls.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Number of polls before the first check whether workers serve the queues.
const FIRST_SERVED_CHECK: u32 = 3;
/// Number of polls between such checks.
const SERVED_CHECK_INTERVAL: u32 = 30;
/// Maximum number of polls that may fail in a row, so that servers can be restarted.
const MAX_FAILED_POLLS: u32 = 60;
/// Maximum number of attempts to find a request.
const MAX_POLLS: u32 = 4;
/// Maximum number of requests with a line each on a terminal; more are only counted.
const MAX_LINES: usize = 15;
/// Length of a run's id, in characters.
const RUN_ID_LENGTH: usize = 22;

/// Waits until all tests have ended, and reports how they ended.
pub async fn wait(
    mut followed: Vec<FollowedRequest>,
    broker: &Broker,
    store: &Store,
    session: &Session,
) -> CommandResult<ExitStatus> {
    let mut follower = Follower::new(broker, store);
    let view = View::new(&followed, session);
    let mut failures = 0;
    let mut unserved = UnservedQueues::default();
    // One for all polls, so that Ctrl-C between two of them is not missed.
    let mut ctrl_c = pin!(interrupt::ctrl_c());
    loop {
        let looked = tokio::select! {
            looked = follower.look(&mut followed) => looked,
            _ = &mut ctrl_c => return interrupted(&followed, view, session),
        };
        match looked {
            Ok(changed) => {
                failures = 0;
                view.show(&followed, &changed, session)?;
            }
            Err(error) => {
                failures += 1;
                if failures == MAX_FAILED_POLLS {
                    view.end();
                    let again =
                        format!("the tests continue (`apt-ci run --watch {}` waits for them again)", open(&followed));
                    return Err(CommandError::from(error).context(again));
                }
                if failures == 1 {
                    session.ui.warn(format!("cannot look up the requests: {error}; trying again"));
                }
            }
        }
        if followed.iter().all(|one| one.stage.is_end()) {
            break;
        }
        let pause = async {
            unserved.tell(&follower, &followed, session).await;
            follower.pause(&mut followed, POLL_INTERVAL).await;
        };
        tokio::select! {
            () = pause => {}
            _ = &mut ctrl_c => return interrupted(&followed, view, session),
        }
    }
    view.end();
    if !session.ui.is_json {
        results(&followed, session)?;
    }
    Ok(verdict(&followed))
}

/// Warns about queues without a worker, once for each.
#[derive(Default)]
struct UnservedQueues {
    looks: u32,
    told: HashSet<QueueName>,
}

impl UnservedQueues {
    async fn tell(&mut self, follower: &Follower<'_>, followed: &[FollowedRequest], session: &Session) {
        self.looks += 1;
        if self.looks % SERVED_CHECK_INTERVAL != FIRST_SERVED_CHECK {
            return;
        }
        let unserved = follower.unserved(followed).await.unwrap_or_default();
        for queue in unserved {
            if self.told.insert(queue.clone()) {
                session.ui.warn(format!("no worker serves {queue}; its requests wait until one does"));
            }
        }
    }
}

/// Waits for requests of earlier calls, each named by its id or the beginning of it.
pub async fn watch(texts: &[RequestId], session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    let store = session.store(&site)?;
    let broker = session.broker(&site).await?;
    let mut followed: Vec<FollowedRequest> = Vec::new();
    for text in texts {
        // A request that is changing hands may be missed once.
        let mut looks = 1;
        let found = loop {
            match find(text, &broker, &store, &site).await {
                Err(error) if error.is_not_found() && looks < MAX_POLLS => {
                    looks += 1;
                    tokio::time::sleep(POLL_INTERVAL / 4).await;
                }
                found => break found?,
            }
        };
        if followed.iter().all(|known| known.uuid != found.uuid) {
            followed.push(found);
        }
    }
    let status = wait(followed, &broker, &store, session).await?;
    broker.close().await;
    Ok(status)
}

/// Finds a request where it is now: with a worker, in a queue, or among the results.
async fn find(text: &RequestId, broker: &Broker, store: &Store, site: &Site) -> CommandResult<FollowedRequest> {
    let mut snapshot = Snapshot::default();
    snapshot.add_running(broker).await?;
    // A running test that is named by its whole id is found without listing queues.
    if snapshot.find(text).is_none() {
        for state in inspect(broker, &site.queues(), site).await?.iter().filter(|state| !state.is_empty()) {
            snapshot.add_queue(broker, &state.queue).await?;
            if snapshot.find(text).is_some() {
                break;
            }
        }
    }
    let followed = |located: &LocatedRequest| {
        let id = located.request.uuid().filter(|id| id.as_str().starts_with(text.as_str()))?.clone();
        Some(FollowedRequest::found(id, &located.request, &located.queue))
    };
    if let Some(exact) = snapshot.find(text).and_then(followed) {
        return Ok(exact);
    }
    let text = text.as_str();
    let mut found: Vec<FollowedRequest> = snapshot.requests().iter().filter_map(followed).collect();
    if let Some(place) = place_of(text, found.iter().map(|one| one.uuid.as_str()))? {
        return Ok(found.swap_remove(place));
    }
    if let Some(found) = finished(text, store, site).await? {
        return Ok(found);
    }
    if let Some(opaque) = snapshot.hidden().values().next() {
        let message =
            format!("request {text} is not running, has no result, and may be in a queue that cannot be listed");
        return Err(CommandError::from(BrokerError::Opaque(Box::new(opaque.clone()))).context(message));
    }
    let message = format!("no request {text} is queued or running, and the site's releases have no result for it");
    let hint = "run `apt-ci running` to list running tests, `apt-ci queues QUEUE` for queued requests, \
                `apt-ci results` for results";
    Err(NotFound { message, hint }.into())
}

/// Finds a request among the results of the site's releases.
async fn finished(text: &str, store: &Store, site: &Site) -> CommandResult<Option<FollowedRequest>> {
    let mut found: Vec<(RequestId, StoredRun)> = Vec::new();
    for release in site.releases.value.keys() {
        // Newest first: of a request with several runs, the last one counts.
        for run in runs::of_release(store, release, None).await?.into_iter().rev() {
            let id = run.summary.uuid.as_deref().filter(|id| id.starts_with(text)).map(str::parse::<RequestId>);
            if let Some(Ok(id)) = id {
                found.push((id, run));
            }
        }
    }
    let Some(place) = place_of(text, found.iter().map(|(id, _)| id.as_str()))? else { return Ok(None) };
    let (id, run) = found.swap_remove(place);
    let queue = QueueName::new(Context::Distribution, run.path.release.clone(), run.path.architecture.clone());
    let request = Request::new(run.path.package.clone(), Default::default())?;
    let mut followed = FollowedRequest::new(id, &request, &queue);
    followed.stage = Stage::done(run, store).await?;
    Ok(Some(followed))
}

/// Returns the place of the id that a text names.
fn place_of<'a>(text: &str, ids: impl Iterator<Item = &'a str>) -> Result<Option<usize>, BadInput> {
    request_ref::find(text, ids.map(|id| Candidate { id, package: None }))
}

fn interrupted(followed: &[FollowedRequest], view: View, session: &Session) -> CommandResult<ExitStatus> {
    view.end();
    session.ui.note(format!(
        "The requests stay queued, and running tests continue. Run `apt-ci run --watch {}` to wait for them again.",
        open(followed)
    ));
    Ok(ExitStatus::Interrupted)
}

/// Returns the ids of requests whose tests have not ended.
fn open(followed: &[FollowedRequest]) -> String {
    let open = followed.iter().filter(|one| !one.stage.is_end()).map(|one| one.uuid.as_str());
    open.collect::<Vec<_>>().join(" ")
}

/// Display of the progress.
enum View {
    /// A line for each request.
    Lines(MultiProgress, Vec<ProgressBar>),
    /// One line for all requests.
    Summary(ProgressBar),
    /// A note whenever a request enters another stage.
    Remarks,
    /// An event per line.
    Events,
}

impl View {
    fn new(followed: &[FollowedRequest], session: &Session) -> Self {
        if session.ui.is_json {
            return Self::Events;
        }
        if !session.ui.moves() {
            return Self::Remarks;
        }
        if followed.len() > MAX_LINES {
            return Self::Summary(moving(ProgressBar::new_spinner()));
        }
        let all = MultiProgress::new();
        // A line that moves before it is among the others would leave a trace.
        let line = |one| moving(all.add(ProgressBar::new_spinner())).with_message(said(one));
        let lines = followed.iter().map(line).collect();
        Self::Lines(all, lines)
    }

    fn show(&self, followed: &[FollowedRequest], changed: &[StageChange], session: &Session) -> CommandResult<()> {
        match self {
            Self::Lines(_, lines) => {
                for (one, line) in followed.iter().zip(lines) {
                    line.set_message(said(one));
                    if one.stage.is_end() {
                        line.finish();
                    }
                }
            }
            Self::Summary(line) => line.set_message(summary(followed)),
            Self::Remarks => {
                for one in
                    changed.iter().filter(|change| change.is_new_stage).filter_map(|change| followed.get(change.index))
                {
                    session.ui.note(said(one));
                }
            }
            Self::Events => {
                for one in changed.iter().filter_map(|change| followed.get(change.index)) {
                    session.ui.data(event(one))?;
                }
            }
        }
        Ok(())
    }

    fn end(self) {
        match self {
            Self::Lines(all, lines) => {
                lines.iter().for_each(ProgressBar::finish_and_clear);
                // The terminal may be gone.
                let _ = all.clear();
            }
            Self::Summary(line) => line.finish_and_clear(),
            Self::Remarks | Self::Events => {}
        }
    }
}

fn moving(line: ProgressBar) -> ProgressBar {
    // Without a valid template, a plain line still shows the progress.
    let style =
        ProgressStyle::with_template("{spinner} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    line.enable_steady_tick(Duration::from_millis(200));
    line.with_style(style)
}

/// Returns the current stage of a request as a line of JSON.
fn event(one: &FollowedRequest) -> Value {
    let mut event = json!(one.stage);
    event["time"] = json!(Timestamp::now());
    event["uuid"] = json!(one.uuid.as_str());
    event["package"] = json!(one.package);
    event["queue"] = json!(one.queue);
    event
}

fn said(one: &FollowedRequest) -> String {
    let FollowedRequest { package, queue, uuid, .. } = one;
    let state = match &one.stage {
        Stage::Unseen if one.is_hidden() => format!("is queued, and cannot be listed there, as {uuid}"),
        Stage::Unseen => format!("was requested as {uuid}"),
        // A narrow terminal cuts the end.
        Stage::Queued { position, of } => format!("is queued, number {position} of {of}, as {uuid}"),
        Stage::Delayed => "is tried again later, because its testbed failed".to_owned(),
        Stage::Running { worker, since, line } => {
            let on = worker.as_ref().map(|worker| format!(" on {worker}")).unwrap_or_default();
            let seconds = since.map(|since| Timestamp::now().as_second() - since.as_second());
            let time = seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(when::duration).unwrap_or_default();
            format!("runs{on} {time}  {line}")
        }
        Stage::Done { missing_test: Some(name), .. } => format!("was not tested: the package has no test {name}"),
        Stage::Done { run, .. } => format!("{} after {}", run.outcome(), when::duration(run.summary.duration)),
        Stage::Dead { reason } => format!("has no result: {reason}"),
        Stage::Gone => "was removed from its queue".to_owned(),
    };
    // A log must not steer the terminal.
    plain(&format!("{package} in {queue} {state}")).into_owned()
}

fn summary(followed: &[FollowedRequest]) -> String {
    let count = |is: fn(&Stage) -> bool| followed.iter().filter(|one| is(&one.stage)).count();
    format!(
        "{} queued, {} running, {} of {} finished",
        count(|stage| matches!(stage, Stage::Unseen | Stage::Queued { .. } | Stage::Delayed)),
        count(|stage| matches!(stage, Stage::Running { .. })),
        count(Stage::is_end),
        followed.len()
    )
}

fn results(followed: &[FollowedRequest], session: &Session) -> CommandResult<()> {
    let rows: Vec<Vec<Cell>> = followed
        .iter()
        .map(|one| {
            let (outcome, version, duration, run) = match &one.stage {
                Stage::Done { run, .. } => (
                    table::outcome(run.outcome()),
                    run.summary.version.clone(),
                    Cell::new(when::duration(run.summary.duration)).for_programs(run.summary.duration),
                    run.id.to_string(),
                ),
                Stage::Dead { reason } => (Cell::new("dead"), String::new(), Cell::new(""), reason.clone()),
                _ => (Cell::new("removed"), String::new(), Cell::new(""), String::new()),
            };
            vec![outcome, Cell::new(&one.package), Cell::new(version), Cell::new(&one.queue), duration, Cell::new(run)]
        })
        .collect();
    const COLUMNS: [Column<'_>; 6] = [
        Column::new("OUTCOME"),
        Column::new("PACKAGE").wrap(),
        Column::new("VERSION").cut(),
        Column::new("QUEUE").spare(),
        Column::new("DURATION").spare(),
        // The id of a run is never broken; the reason of a dead letter is.
        Column::new("RUN").wrap().least(RUN_ID_LENGTH),
    ];
    table::print(&session.ui, &COLUMNS, &rows)?;
    for one in followed.iter().filter(|one| matches!(&one.stage, Stage::Done { missing_test: Some(_), .. })) {
        session.ui.warn(said(one));
    }
    Ok(())
}

/// Returns the exit status for all requests together.
fn verdict(followed: &[FollowedRequest]) -> ExitStatus {
    let outcome = |one: &FollowedRequest| match &one.stage {
        // A run without the requested test is inconclusive.
        Stage::Done { run, missing_test: None } => Some(run.outcome()),
        _ => None,
    };
    let outcomes: Vec<Option<Outcome>> = followed.iter().map(outcome).collect();
    if outcomes.contains(&Some(Outcome::Fail)) {
        ExitStatus::TestFailed
    } else if outcomes.iter().all(|outcome| matches!(outcome, Some(Outcome::Pass | Outcome::Neutral))) {
        ExitStatus::Success
    } else {
        ExitStatus::NoVerdict
    }
}
