//! `apt-ci github status`: a pull request's requests, results and statuses side by side.

use std::collections::{BTreeMap, BTreeSet};

use apt_ci::broker::{RequestPlace, Snapshot};
use apt_ci::forge::hook::Hook;
use apt_ci::forge::remote::RemoteStatus;
use apt_ci::forge::status::context;
use apt_ci::forge::{Forge, PullName};
use apt_ci::pulls::{of_page, rebuild};
use apt_ci::release::QueueName;
use apt_ci::request::{Request, RequestId};
use apt_ci::result::ResultLocation;
use apt_ci::runs;
use apt_ci::store::Store;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::access::{self, HookArgs, TokenFile};
use crate::session::Session;
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;
use crate::ui::short_id::ShortIds;
use crate::ui::table::{self, Cell, Column};

/// Maximum age of results that are searched.
const MAX_RESULT_AGE: SignedDuration = SignedDuration::from_hours(24 * 90);

/// Show the tests of a pull request: status on the forge, request and result
///
/// Piped output is tab-separated: context, status, description, place, request, link.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  apt-ci github status OWNER/REPO#7")]
pub struct ShowArgs {
    /// URL of the pull request, or OWNER/REPO#NUMBER
    #[arg(value_name = "PULL-REQUEST")]
    pull: PullName,
    #[command(flatten)]
    token: TokenFile,
}

/// A test of a pull request.
#[derive(Default)]
struct Line {
    shown: Option<RemoteStatus>,
    place: String,
    uuid: Option<RequestId>,
}

pub async fn run(forge: Forge, args: ShowArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    let keyring = access::keyring(session, &site)?;
    let service = access::service(&site)?;
    let hooks = access::hooks_of_pull(forge, &args.pull, &HookArgs::default(), &args.token, &site)?;
    let Some(first) = hooks.first() else { return Ok(ExitStatus::Success) };
    let token = match args.token.given(forge, &first.api, session)? {
        Some(token) => Some(token),
        None => keyring.token(forge, &first.api, &first.project, &first.package)?,
    };
    let client = access::client(first, token)?;
    let pull = client.pull(&first.project, args.pull.number).await?;
    let mut lines: BTreeMap<String, Line> = BTreeMap::new();
    let mut queues: BTreeMap<String, (QueueName, Request)> = BTreeMap::new();
    for hook in &hooks {
        for one in hook.requests(&pull, "")? {
            let context = context(&one.request, &one.queue);
            lines.insert(context.clone(), Line::default());
            queues.insert(context, (one.queue, one.request));
        }
    }
    for shown in client.statuses(&first.project, &pull.commit).await? {
        if let Some(line) = lines.get_mut(&shown.context) {
            line.uuid = shown.link.as_deref().and_then(|link| of_page(&service, link));
            line.shown = Some(shown);
        }
    }
    let (broker, store) = (session.broker(&site).await?, session.store(&site)?);
    let mut snapshot = Snapshot::default();
    snapshot.add_running(&broker).await?;
    for queue in queues.values().map(|(queue, _)| queue).collect::<BTreeSet<_>>() {
        snapshot.add_queue(&broker, queue).await?;
    }
    for (context, line) in &mut lines {
        if let Some((queue, request)) = queues.get(context) {
            look(line, queue, request, &hooks, &snapshot, &store).await?;
        }
    }
    broker.close().await;
    show(&pull.commit.to_string(), &lines, session)
}

/// Finds the newest request of this commit.
async fn look(
    line: &mut Line,
    queue: &QueueName,
    wanted: &Request,
    hooks: &[Hook],
    snapshot: &Snapshot,
    store: &Store,
) -> CommandResult<()> {
    let subject = rebuild::subject_of(hooks, wanted);
    let is_same = |request: &Request| {
        request.package() == wanted.package()
            && request.parameters().testname == wanted.parameters().testname
            && rebuild::subject_of(hooks, request) == subject
    };
    let alike = snapshot.requests().iter().filter(|located| located.queue == *queue && is_same(&located.request));
    let nearest = alike.filter(|located| located.request.uuid().is_some()).min_by_key(|located| located.place.rank());
    if let Some(located) = nearest.filter(|located| located.place.is_alive()) {
        (line.place, line.uuid) = (words(&located.place), located.request.uuid().cloned());
        return Ok(());
    }
    let place = ResultLocation::of(wanted, queue);
    let runs = runs::since(store, &place.container, &place.path.prefix(), Timestamp::now() - MAX_RESULT_AGE).await?;
    for run in runs.iter().rev() {
        let recorded = run.request(store).await.ok();
        if recorded.is_some_and(|recorded| is_same(&recorded.submission.request)) {
            line.place = format!("{} {}", run.outcome(), run.id);
            line.uuid = run.summary.uuid.as_deref().and_then(|uuid| uuid.parse().ok());
            return Ok(());
        }
    }
    // A dead letter may be older than a result.
    if let Some(located) = nearest {
        line.place = words(&located.place);
    }
    Ok(())
}

/// Returns a place in words.
fn words(place: &RequestPlace) -> String {
    match place {
        RequestPlace::Running(Some(progress)) => format!("running on {}", progress.worker),
        RequestPlace::Running(None) => "running".to_owned(),
        RequestPlace::Queued { position, of } => format!("queued, {position} of {of}"),
        RequestPlace::Delayed => "is tried again later".to_owned(),
        RequestPlace::Dead { reason } => format!("not run: {reason}"),
    }
}

fn show(commit: &str, lines: &BTreeMap<String, Line>, session: &Session) -> CommandResult<ExitStatus> {
    if session.ui.is_json {
        let tests = lines.iter().map(|(context, line)| {
            json!({"context": context, "status": line.shown, "place": line.place, "uuid": line.uuid.as_ref().map(RequestId::as_str)})
        });
        let document = json!({"commit": commit, "tests": tests.collect::<Vec<_>>()});
        return session.ui.json(&document).map(|()| ExitStatus::Success);
    }
    session.ui.note(format!("Commit {commit}"));
    let ids = ShortIds::of(lines.values().filter_map(|line| line.uuid.as_ref()).map(RequestId::as_str));
    let rows: Vec<Vec<Cell>> = lines
        .iter()
        .map(|(context, line)| {
            let (state, description, link) = match &line.shown {
                Some(shown) => {
                    (shown.state.as_str(), shown.description.as_str(), shown.link.as_deref().unwrap_or_default())
                }
                None => ("none", "", ""),
            };
            vec![
                Cell::new(context),
                Cell::new(state),
                Cell::new(description),
                Cell::new(&line.place),
                ids.cell(line.uuid.as_ref().map(RequestId::as_str).unwrap_or_default()),
                Cell::new(link),
            ]
        })
        .collect();
    const COLUMNS: [Column<'_>; 6] = [
        Column::new("CONTEXT").wrap().least(16),
        Column::new("STATUS"),
        Column::new("DESCRIPTION").cut().spare(),
        // The id of a run is never broken.
        Column::new("PLACE").wrap().least(22),
        Column::new("REQUEST"),
        Column::new("LINK").spare(),
    ];
    table::print(&session.ui, &COLUMNS, &rows)?;
    Ok(ExitStatus::Success)
}
