//! `apt-ci cancel`: cancels running tests on any host, and removes requests from their queues.

mod queued;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use apt_ci::broker::{Broker, BrokerError, CancelOutcome, CancelRequest, Opaque};
use apt_ci::release::QueueName;
use apt_ci::request::{Criterion, Request};
use apt_ci::site::Site;
use apt_ci::status::PRIVATE_PACKAGE;
use clap::builder::NonEmptyStringValueParser;
use nix::unistd::{User, geteuid};
use serde_json::json;
use tokio::time::sleep;

use crate::request_ref::{self, Candidate};
use crate::session::Session;
use crate::ui::ask;
use crate::ui::error::{CommandError, CommandResult, NotFound, OperationFailed};
use crate::ui::exit::ExitStatus;
use crate::ui::opaque_lines;
use crate::ui::redacted_value::RedactedValue;
use crate::ui::short_id::ShortIds;
use crate::ui::table::{self, Cell, Column};
use crate::undo_file::UndoFile;
use queued::QueuedRequest;

/// Maximum number of attempts to find a request, which may be missed while it changes hands.
const MAX_POLLS: usize = 4;
/// Maximum number of requests that are shown in a confirmation.
const MAX_SHOWN: usize = 20;
/// Interval between these attempts.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Cancel running tests on any host, or remove requests from their queues
#[derive(clap::Args)]
#[command(after_help = "\
The request of a running test moves to the dead letters of its queue, with the name of the user who cancelled it; it has \
no result, and is not reported as failed. Anyone with access to the queue can cancel any test on workers of this version.
A queued request is saved to a file and removed from its queue; restore it with `apt-ci run --batch FILE`.
Exits with 1 if a request was not found, or if its result was already being published.

Examples:
  apt-ci cancel 7e89460a             cancel a test, by its id in `apt-ci running`
  apt-ci cancel gzip                 cancel the only request of a package
  apt-ci cancel --requeue 7e89460a   stop it, and let it run again
  apt-ci cancel --dry-run 7e89460a   show what would be done
  apt-ci cancel --match 'trigger=glibc/*' --match package=gzip")]
pub struct CancelArgs {
    /// Request to cancel: its id, the beginning of its id, or its package
    #[arg(
        value_name = "REQUEST",
        required_unless_present = "criteria",
        value_parser = NonEmptyStringValueParser::new()
    )]
    requests: Vec<String>,
    /// Cancel requests matching KEY=PATTERN, e.g. `trigger=glibc/*`; with several, all must match
    #[arg(short, long = "match", value_name = "KEY=PATTERN", conflicts_with = "requests",
        value_parser = RedactedValue::<Criterion>::new())]
    criteria: Vec<Criterion>,
    /// Do not ask for confirmation (with --match)
    #[arg(short, long)]
    yes: bool,
    /// Put requests of running tests back into their queues; leave queued ones there
    #[arg(long)]
    requeue: bool,
    /// Show what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// A request that is meant.
struct FoundRequest {
    uuid: String,
    name: String,
    queue: QueueName,
    request: Request,
    place: RequestPlace,
}

enum RequestPlace {
    /// With a worker.
    Running,
    /// In its queue.
    Queued(Box<QueuedRequest>),
}

/// Outcome for a request.
#[derive(Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
enum RequestOutcome {
    Cancelled,
    Removed,
    /// The request is in its queue, where `--requeue` would put it.
    Waiting,
    TooLate,
    NotFound,
    /// With `--dry-run`.
    Planned,
}

pub async fn run(args: CancelArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    let broker = session.broker(&site).await?;
    // All requests are looked up before the first is changed.
    let meant = if args.criteria.is_empty() {
        look_up(&args.requests, &broker, &site).await?
    } else {
        match matching(&args, &broker, &site, session).await? {
            Some(meant) => meant,
            None => return Ok(ExitStatus::Failure),
        }
    };
    let canceller = Canceller {
        broker: &broker,
        site: &site,
        by: asker(),
        requeue: args.requeue,
        record: UndoFile::of_now(&site, "cancelled"),
    };
    let (mut answers, mut exit) = (Vec::new(), ExitStatus::Success);
    let mut outcomes = Vec::with_capacity(meant.len());
    let cancelled = if args.dry_run {
        outcomes.extend(meant.into_iter().map(|found| (found, RequestOutcome::Planned)));
        Ok(())
    } else {
        canceller.cancel(meant, &mut outcomes).await
    };
    canceller.record.finish();
    for (found, outcome) in outcomes {
        let (uuid, said) = (&found.uuid, format!("{} ({})", found.name, found.uuid));
        match outcome {
            RequestOutcome::Planned => session.ui.note(plan(&found.place, &said, args.requeue)),
            RequestOutcome::Cancelled => {
                let place = if args.requeue { "back to its queue" } else { "to the dead letters" };
                session.ui.note(format!("Cancelling the test of {said}; its request goes {place}."));
            }
            RequestOutcome::Removed => {
                session.ui.note(format!("Removed the request of {said}."));
            }
            RequestOutcome::Waiting => session.ui.note(format!("{said} is already waiting in its queue.")),
            RequestOutcome::TooLate => {
                session.ui.warn(format!("the test of {said} has finished; its result is being published"));
                exit = ExitStatus::Failure;
            }
            RequestOutcome::NotFound => {
                session.ui.warn(format!("{said} is no longer running or queued"));
                exit = ExitStatus::Failure;
            }
        }
        let cancelled = matches!(outcome, RequestOutcome::Cancelled | RequestOutcome::Removed);
        answers.push(json!({"uuid": uuid, "cancelled": cancelled, "requeue": args.requeue, "outcome": outcome}));
    }
    if canceller.record.path().exists() {
        let record = canceller.record.path().display();
        session.ui.note(format!("Run `apt-ci run --batch {record}` to restore what was removed."));
    }
    if session.ui.is_json {
        session.ui.json(&answers)?;
    }
    // Returned after the report of what was done before the failure.
    cancelled?;
    broker.close().await;
    Ok(exit)
}

/// Returns what would be done, in words.
fn plan(place: &RequestPlace, said: &str, requeue: bool) -> String {
    match (place, requeue) {
        (RequestPlace::Running, false) => {
            format!("Would cancel the test of {said}; its request would go to the dead letters.")
        }
        (RequestPlace::Running, true) => {
            format!("Would cancel the test of {said}; its request would go back to its queue.")
        }
        (RequestPlace::Queued(_), false) => format!("Would remove {said} from its queue."),
        (RequestPlace::Queued(_), true) => format!("{said} is already waiting in its queue."),
    }
}

struct Canceller<'a> {
    broker: &'a Broker,
    site: &'a Site,
    by: String,
    requeue: bool,
    record: UndoFile,
}

impl Canceller<'_> {
    /// Cancels requests, each where it is now: a worker may have taken it meanwhile, or given it back. Adds the outcome
    /// of each to `ended`, also before a failure.
    async fn cancel(
        &self,
        mut meant: Vec<FoundRequest>,
        ended: &mut Vec<(FoundRequest, RequestOutcome)>,
    ) -> CommandResult<()> {
        for look in 1.. {
            let (removed, mut failure) = self.remove(&meant).await;
            let mut open = Vec::new();
            for found in meant {
                let outcome = match found.place {
                    RequestPlace::Queued(_) if self.requeue => Some(RequestOutcome::Waiting),
                    RequestPlace::Queued(_) => removed.contains(&found.uuid).then_some(RequestOutcome::Removed),
                    RequestPlace::Running if failure.is_some() => None,
                    // The outcomes of the others are reported nevertheless.
                    RequestPlace::Running => self.end(&found).await.unwrap_or_else(|error| {
                        failure = Some(error);
                        None
                    }),
                };
                match outcome {
                    Some(outcome) => ended.push((found, outcome)),
                    None => open.push(found),
                }
            }
            if let Some(failure) = failure {
                return Err(failure);
            }
            if open.is_empty() || look == MAX_POLLS {
                ended.extend(open.into_iter().map(|found| (found, RequestOutcome::NotFound)));
                return Ok(());
            }
            sleep(POLL_INTERVAL).await;
            let seen = everything(self.broker, self.site).await?;
            let mut now: HashMap<String, RequestPlace> =
                seen.requests.into_iter().map(|found| (found.uuid, found.place)).collect();
            meant = open;
            for found in &mut meant {
                if let Some(place) = now.remove(&found.uuid) {
                    found.place = place;
                }
            }
        }
        Ok(())
    }

    /// Removes queued requests from their queues. Returns the ids of the removed ones, and the failure after that, if
    /// any.
    async fn remove(&self, meant: &[FoundRequest]) -> (HashSet<String>, Option<CommandError>) {
        if self.requeue {
            return (HashSet::new(), None);
        }
        let queued = meant.iter().filter_map(|found| match &found.place {
            RequestPlace::Queued(queued) => Some(queued.as_ref()),
            RequestPlace::Running => None,
        });
        let (removed, outcome) = queued::take_out(self.broker, &queued.collect::<Vec<_>>(), &self.record).await;
        (removed.iter().map(ToString::to_string).collect(), outcome.err())
    }

    /// Tells its worker to cancel a test. Returns `None` if no worker has the request any longer.
    async fn end(&self, found: &FoundRequest) -> CommandResult<Option<RequestOutcome>> {
        let wish = CancelRequest { uuid: found.uuid.clone(), by: self.by.clone(), requeue: self.requeue };
        Ok(match self.broker.cancel(&wish).await? {
            CancelOutcome::Cancelled => Some(RequestOutcome::Cancelled),
            CancelOutcome::TooLate => Some(RequestOutcome::TooLate),
            CancelOutcome::NotFound => None,
        })
    }
}

/// Returns the requests that match, or `None` if the user declines.
async fn matching(
    args: &CancelArgs,
    broker: &Broker,
    site: &Site,
    session: &Session,
) -> CommandResult<Option<Vec<FoundRequest>>> {
    let VisibleRequests { requests: mut meant, without_id, opaque, blocked } = everything(broker, site).await?;
    if let Some(opaque) = opaque {
        session.ui.warn_lines(format!("not all queued requests can be searched: {}", opaque_lines(&opaque)));
    }
    if let Some(blocked) = blocked {
        session.ui.warn(format!("only queued requests are searched: {blocked}"));
    }
    let is_meant = |request: &Request| args.criteria.iter().all(|criterion| criterion.matches(request));
    meant.retain(|found| is_meant(&found.request));
    match without_id.iter().filter(|request| is_meant(request)).count() {
        0 => {}
        1 => session.ui.warn("1 matching request has no id and is left out"),
        several => session.ui.warn(format!("{several} matching requests have no id and are left out")),
    }
    if meant.is_empty() {
        session.ui.note("No requests match.");
    } else if !args.dry_run && !args.yes {
        ask::require_terminal()?;
        show(&meant[..meant.len().min(MAX_SHOWN)], session)?;
        if meant.len() > MAX_SHOWN {
            session.ui.note(format!("… and {} more", meant.len() - MAX_SHOWN));
        }
        if !ask::confirm(question(&meant, args.requeue)).await? {
            session.ui.note("Nothing was changed.");
            return Ok(None);
        }
    }
    Ok(Some(meant))
}

/// Shows the requests that the user has to confirm. Nothing of them is cut.
fn show(meant: &[FoundRequest], session: &Session) -> CommandResult<()> {
    const COLUMNS: [Column<'_>; 5] = [
        Column::new("STATE"),
        Column::new("QUEUE"),
        Column::new("PACKAGE").wrap(),
        Column::new("TRIGGERS").wrap().least(12),
        Column::new("REQUEST"),
    ];
    if session.ui.is_json {
        return Ok(());
    }
    let ids = ShortIds::of(meant.iter().map(|found| found.uuid.as_str()));
    let row = |found: &FoundRequest| {
        let FoundRequest { uuid, queue, request, place, .. } = found;
        let state = if matches!(place, RequestPlace::Running) { "running" } else { "queued" };
        let triggers: Vec<String> = match request.is_private() {
            true => Vec::new(),
            false => request.parameters().triggers.iter().map(ToString::to_string).collect(),
        };
        let package = found.package().unwrap_or(PRIVATE_PACKAGE);
        vec![Cell::new(state), Cell::new(queue), Cell::new(package), Cell::new(triggers.join(" ")), ids.cell(uuid)]
    };
    table::print(&session.ui, &COLUMNS, &meant.iter().map(row).collect::<Vec<_>>())
}

/// Returns the question of the confirmation.
fn question(meant: &[FoundRequest], requeue: bool) -> String {
    let running = meant.iter().filter(|found| matches!(found.place, RequestPlace::Running)).count();
    let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (tests, requests) = (count(running, "running test"), count(meant.len() - running, "queued request"));
    match (running, meant.len() - running, requeue) {
        (0, _, true) => format!("Leave {requests} in the queue?"),
        (_, _, true) => format!("Cancel {tests} and put the requests back into their queues?"),
        (_, 0, false) => format!("Cancel {tests}?"),
        (0, _, false) => format!("Remove {requests}?"),
        _ => format!("Cancel {tests} and remove {requests}?"),
    }
}

/// Returns the requests that the texts name, each once.
async fn look_up(texts: &[String], broker: &Broker, site: &Site) -> CommandResult<Vec<FoundRequest>> {
    // Running tests that are named by their whole ids are found without listing queues.
    let mut seen = running(broker).await?;
    for look in 1.. {
        if texts.iter().any(|text| seen.requests.iter().all(|found| found.uuid != *text)) {
            seen = everything(broker, site).await?;
        }
        let all = &seen.requests;
        let mut named: Vec<usize> = Vec::new();
        let mut missing = None;
        for text in texts {
            let without_id = seen.without_id.iter().map(|request| Candidate { id: "", package: package(request) });
            match request_ref::find_with_id(text, all.iter().map(FoundRequest::candidate).chain(without_id))? {
                Some(index) => named.push(index),
                None => missing = Some(text),
            }
        }
        let Some(missing) = missing else {
            for (text, index) in texts.iter().zip(&named) {
                must_be_only(text, &all[*index].uuid, &seen)?;
            }
            let mut all: Vec<Option<FoundRequest>> = seen.requests.into_iter().map(Some).collect();
            // Taken once, although several texts may name it.
            return Ok(named.into_iter().filter_map(|index| all.get_mut(index)?.take()).collect());
        };
        if look == MAX_POLLS {
            if let Some(blocked) = seen.blocked {
                return Err(CommandError::from(blocked)
                    .context(format!("request {missing} is not queued, and running tests cannot be searched now")));
            }
            if let Some(opaque) = seen.opaque {
                let message = format!("no running or queued request {missing} found in the site's queues");
                return Err(CommandError::from(BrokerError::Opaque(Box::new(opaque))).context(message));
            }
            let message = format!("no request {missing} is running or queued in the site's queues");
            let hint = "run `apt-ci running` to list running tests, `apt-ci queues QUEUE` to list queued requests";
            return Err(NotFound { message, hint }.into());
        }
        sleep(POLL_INTERVAL).await;
    }
    Ok(Vec::new())
}

/// Refuses a text that may mean other requests, too, which cannot be seen. A whole id means one.
fn must_be_only(text: &str, id: &str, seen: &VisibleRequests) -> CommandResult<()> {
    let reason = match (&seen.blocked, &seen.opaque) {
        _ if text == id => return Ok(()),
        (Some(blocked), _) => blocked.to_string(),
        (None, Some(opaque)) => opaque.to_string(),
        (None, None) => return Ok(()),
    };
    let message = format!("cannot search all requests for {text}: {reason}");
    let hint = format!("{id} matches, and others may as well: give the full id of the one to cancel");
    Err(OperationFailed { message, hint: hint.into() }.into())
}

/// All running and queued requests that can be seen, each once.
struct VisibleRequests {
    requests: Vec<FoundRequest>,
    /// Requests without an id, which cannot be cancelled.
    without_id: Vec<Request>,
    /// Reason why some queued requests cannot be seen.
    opaque: Option<Opaque>,
    /// Alarm of the broker that keeps workers from reporting running tests.
    blocked: Option<BrokerError>,
}

async fn running(broker: &Broker) -> CommandResult<VisibleRequests> {
    let (tests, blocked) = match broker.running().await {
        Err(blocked @ BrokerError::Blocked { .. }) => (Vec::new(), Some(blocked)),
        tests => (tests?, None),
    };
    let mut seen = VisibleRequests { requests: Vec::new(), without_id: Vec::new(), opaque: None, blocked };
    for test in tests {
        let Some(request) = test.request() else { continue };
        match found(&request, &test.queue, RequestPlace::Running) {
            Some(found) => seen.requests.push(found),
            None => seen.without_id.push(request),
        }
    }
    Ok(seen)
}

/// Returns all running and queued requests that can be seen.
async fn everything(broker: &Broker, site: &Site) -> CommandResult<VisibleRequests> {
    let mut seen = running(broker).await?;
    let mut ids: HashSet<String> = seen.requests.iter().map(|found| found.uuid.clone()).collect();
    let (queued, opaque) = queued::all(broker, site).await?;
    seen.opaque = opaque;
    for queued in queued {
        let (request, queue) = (queued.request.clone(), queued.queue.clone());
        match found(&request, &queue, RequestPlace::Queued(Box::new(queued))) {
            // A request that went back in between was seen twice.
            Some(found) => {
                if ids.insert(found.uuid.clone()) {
                    seen.requests.push(found);
                }
            }
            None => seen.without_id.push(request),
        }
    }
    Ok(seen)
}

/// Returns a request as it is shown, without the package if it is private; `None` if it has no id.
fn found(request: &Request, queue: &QueueName, place: RequestPlace) -> Option<FoundRequest> {
    let name = if request.is_private() { "a private package" } else { request.package().as_str() };
    let (uuid, name) = (request.uuid()?.to_string(), format!("{name} in {queue}"));
    Some(FoundRequest { uuid, name, queue: queue.clone(), request: request.clone(), place })
}

impl FoundRequest {
    /// Returns the package, unless the request is private.
    fn package(&self) -> Option<&str> {
        package(&self.request)
    }

    fn candidate(&self) -> Candidate<'_> {
        Candidate { id: &self.uuid, package: self.package() }
    }
}

/// Returns the package of a request, unless the request is private.
fn package(request: &Request) -> Option<&str> {
    (!request.is_private()).then(|| request.package().as_str())
}

/// Returns `USER on HOST`, for the reason of a dead letter.
fn asker() -> String {
    let user = geteuid();
    let name = User::from_uid(user).ok().flatten().map(|user| user.name);
    format!("{} on {}", name.unwrap_or_else(|| format!("the user with the id {user}")), apt_ci::host::name())
}

#[cfg(test)]
mod tests {
    use apt_ci::broker::OpaqueReason;

    use super::*;

    #[test]
    fn of_requests_that_cannot_all_be_seen_only_a_whole_id_means_one() {
        let mut seen = VisibleRequests { requests: Vec::new(), without_id: Vec::new(), opaque: None, blocked: None };
        assert!(must_be_only("gzip", "aa-1", &seen).is_ok());
        let (queue, vhost) = ("debci-noble-amd64".to_owned(), "/".to_owned());
        seen.opaque = Some(Opaque { queue, reason: OpaqueReason::Limited, vhost });
        assert!(must_be_only("aa-1", "aa-1", &seen).is_ok());
        for text in ["gzip", "aa"] {
            let error = must_be_only(text, "aa-1", &seen).unwrap_err();
            assert!(error.to_string().contains("cannot list debci-noble-amd64"), "{error}");
            assert!(error.hint().unwrap().contains("give the full id"));
        }
    }
}
