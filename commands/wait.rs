//! Watching requests until their tests have ended: `--wait`, and `apt-ci run --watch`.

use std::collections::HashSet;
use std::pin::pin;
use std::time::Duration;

use apt_ci::broker::{Broker, BrokerError};
use apt_ci::follow::{Change, Followed, Follower, Stage};
use apt_ci::release::{Context, QueueName};
use apt_ci::request::{Request, RequestId};
use apt_ci::result::Outcome;
use apt_ci::runs;
use apt_ci::site::Site;
use apt_ci::store::Store;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::session::{Session, inspect};
use crate::ui::error::NotFound;
use crate::ui::exit::ExitStatus;
use crate::ui::interrupt;
use crate::ui::plain::plain;
use crate::ui::table::{self, Cell, Column};
use crate::ui::when;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After how many looks it is asked whether a worker serves the queues.
const FIRST_ASK: u32 = 3;
/// So many looks lie between that and asking again.
const ASK_WHO_SERVES_EVERY: u32 = 30;
/// So many looks may fail in a row: servers are started again.
const FAILURES: u32 = 60;
/// So often a request is looked for.
const LOOKS: u32 = 4;
/// So many requests have a line each on a terminal; more are counted.
const LINES: usize = 15;

/// Follows the requests to their ends, and tells how they ended.
pub async fn wait(
    mut followed: Vec<Followed>,
    broker: &Broker,
    store: &Store,
    session: &Session,
) -> anyhow::Result<ExitStatus> {
    let mut follower = Follower::new(broker, store);
    let view = View::new(&followed, session);
    let mut failures = 0;
    let mut unserved = Unserved::default();
    // One for all looks: it keeps what comes between two of them.
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
                if failures == FAILURES {
                    view.end();
                    let again =
                        format!("the tests continue (`apt-ci run --watch {}` waits for them again)", open(&followed));
                    return Err(anyhow::Error::from(error).context(again));
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
            follower.pause(&mut followed, LOOK_EVERY).await;
        };
        tokio::select! {
            () = pause => {}
            _ = &mut ctrl_c => return interrupted(&followed, view, session),
        }
    }
    view.end();
    if !session.ui.json {
        results(&followed, session)?;
    }
    Ok(verdict(&followed))
}

/// Tells which queues nobody serves, each once.
#[derive(Default)]
struct Unserved {
    looks: u32,
    told: HashSet<QueueName>,
}

impl Unserved {
    async fn tell(&mut self, follower: &Follower<'_>, followed: &[Followed], session: &Session) {
        self.looks += 1;
        if self.looks % ASK_WHO_SERVES_EVERY != FIRST_ASK {
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

/// Watches again what an earlier call has asked for.
pub async fn watch(ids: &[RequestId], session: &Session) -> anyhow::Result<ExitStatus> {
    let site = session.site()?;
    let store = session.store(&site)?;
    let broker = session.broker(&site).await?;
    let mut followed = Vec::new();
    let mut seen = HashSet::new();
    for id in ids.iter().filter(|id| seen.insert(*id)) {
        // It may be between two hands when it is looked for.
        let mut looks = 1;
        loop {
            match find(id, &broker, &store, &site).await {
                Err(error) if error.is::<NotFound>() && looks < LOOKS => {
                    looks += 1;
                    tokio::time::sleep(LOOK_EVERY / 4).await;
                }
                found => break followed.push(found?),
            }
        }
    }
    let status = wait(followed, &broker, &store, session).await?;
    broker.close().await;
    Ok(status)
}

async fn find(id: &RequestId, broker: &Broker, store: &Store, site: &Site) -> anyhow::Result<Followed> {
    let here = |body: &[u8], queue: &QueueName| {
        let request = Request::parse(body).ok().filter(|request| request.uuid() == Some(id))?;
        Some(Followed::found(id.clone(), &request, queue))
    };
    for test in broker.running().await? {
        if let Some(found) = here(&test.body, &test.queue) {
            return Ok(found);
        }
    }
    let mut opaque = None;
    for state in inspect(broker, &site.queues(), site).await? {
        if state.ready + state.delayed + state.claimed + state.dead > 0 {
            let contents = match broker.visible_contents(&state.queue, usize::MAX).await {
                // Somebody deleted it meanwhile.
                Err(BrokerError::NoSuchQueue { .. }) => continue,
                other => other?,
            };
            opaque = opaque.or(contents.hidden);
            let dead = contents.dead.iter().map(|letter| &letter.body);
            let mut bodies = contents.ready.iter().chain(&contents.delayed).chain(&contents.claimed).chain(dead);
            if let Some(found) = bodies.find_map(|body| here(body, &state.queue)) {
                return Ok(found);
            }
        }
    }
    for release in site.releases.value.keys() {
        let runs = runs::of_release(store, release, None).await?;
        if let Some(run) = runs.into_iter().rev().find(|run| run.summary.uuid.as_deref() == Some(id.as_str())) {
            let architecture = run.path.architecture.clone();
            let queue = QueueName::new(Context::Distribution, release.clone(), architecture);
            let request = Request::new(run.path.package.clone(), Default::default())?;
            let mut found = Followed::new(id.clone(), &request, &queue);
            found.stage = Stage::done(run, store).await?;
            return Ok(found);
        }
    }
    if let Some(opaque) = opaque {
        let message =
            format!("request {id} is not running, has no result, and may be in a queue that cannot be listed");
        return Err(anyhow::Error::from(BrokerError::Opaque(Box::new(opaque))).context(message));
    }
    let message = format!("no request {id} is queued or running, and the site's releases have no result for it");
    let hint = "run `apt-ci running` to list running tests, `apt-ci queues QUEUE` for queued requests, \
                `apt-ci results` for results";
    Err(NotFound { message, hint }.into())
}

fn interrupted(followed: &[Followed], view: View, session: &Session) -> anyhow::Result<ExitStatus> {
    view.end();
    session.ui.note(format!("The tests continue. Run `apt-ci run --watch {}` to wait for them again.", open(followed)));
    Ok(ExitStatus::Interrupted)
}

/// The ids of those that have not come to their end.
fn open(followed: &[Followed]) -> String {
    let open = followed.iter().filter(|one| !one.stage.is_end()).map(|one| one.uuid.as_str());
    open.collect::<Vec<_>>().join(" ")
}

/// What is seen meanwhile.
enum View {
    /// A line for each request.
    Lines(MultiProgress, Vec<ProgressBar>),
    /// One line for all.
    Summary(ProgressBar),
    /// A remark whenever one goes on.
    Remarks,
    /// An event per line.
    Events,
}

impl View {
    fn new(followed: &[Followed], session: &Session) -> Self {
        if session.ui.json {
            return Self::Events;
        }
        if !session.ui.moves() {
            return Self::Remarks;
        }
        if followed.len() > LINES {
            return Self::Summary(moving(ProgressBar::new_spinner()));
        }
        let all = MultiProgress::new();
        // A line that moves before it is among the others would leave a trace.
        let line = |one| moving(all.add(ProgressBar::new_spinner())).with_message(said(one));
        let lines = followed.iter().map(line).collect();
        Self::Lines(all, lines)
    }

    fn show(&self, followed: &[Followed], changed: &[Change], session: &Session) -> anyhow::Result<()> {
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
                    changed.iter().filter(|change| change.entered).filter_map(|change| followed.get(change.index))
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
                // It cannot be cleared on a terminal that is gone.
                let _ = all.clear();
            }
            Self::Summary(line) => line.finish_and_clear(),
            Self::Remarks | Self::Events => {}
        }
    }
}

fn moving(line: ProgressBar) -> ProgressBar {
    // A template that does not parse is a fault of this file; a plain line still tells the progress.
    let style =
        ProgressStyle::with_template("{spinner} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    line.enable_steady_tick(Duration::from_millis(200));
    line.with_style(style)
}

/// One line of JSON: where the request is now.
fn event(one: &Followed) -> Value {
    let mut event = json!(one.stage);
    event["time"] = json!(Timestamp::now());
    event["uuid"] = json!(one.uuid.as_str());
    event["package"] = json!(one.package);
    event["queue"] = json!(one.queue);
    event
}

fn said(one: &Followed) -> String {
    let Followed { package, queue, uuid, .. } = one;
    let state = match &one.stage {
        Stage::Unseen if one.is_hidden() => format!("is queued as {uuid}, in a queue that cannot be listed"),
        Stage::Unseen => format!("was requested as {uuid}"),
        Stage::Queued { position, of } => format!("is queued as {uuid}, {position} of {of}"),
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

fn summary(followed: &[Followed]) -> String {
    let count = |is: fn(&Stage) -> bool| followed.iter().filter(|one| is(&one.stage)).count();
    format!(
        "{} queued, {} running, {} of {} finished",
        count(|stage| matches!(stage, Stage::Unseen | Stage::Queued { .. } | Stage::Delayed)),
        count(|stage| matches!(stage, Stage::Running { .. })),
        count(Stage::is_end),
        followed.len()
    )
}

fn results(followed: &[Followed], session: &Session) -> anyhow::Result<()> {
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
    const COLUMNS: [Column; 6] = [
        Column::new("OUTCOME"),
        Column::new("PACKAGE"),
        Column::new("VERSION").cut(),
        Column::new("QUEUE").spare(),
        Column::new("DURATION").spare(),
        Column::new("RUN"),
    ];
    table::print(&session.ui, &COLUMNS, &rows)?;
    for one in followed.iter().filter(|one| matches!(&one.stage, Stage::Done { missing_test: Some(_), .. })) {
        session.ui.warn(said(one));
    }
    Ok(())
}

/// What a script wants to know.
fn verdict(followed: &[Followed]) -> ExitStatus {
    let outcome = |one: &Followed| match &one.stage {
        // The test that was asked for came to no verdict.
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
