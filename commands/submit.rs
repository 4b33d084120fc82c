//! Submission of requests, for every command that requests tests.

use std::collections::{BTreeSet, HashSet};
use std::iter::repeat_with;

use apt_ci::broker::{Broker, BrokerError};
use apt_ci::duplicates::{self, Duplicate, DuplicateState};
use apt_ci::follow::FollowedRequest;
use apt_ci::release::QueueName;
use apt_ci::request::line::Submission;
use apt_ci::request::{Request, RequestId};
use apt_ci::site::Site;
use apt_ci::submitted::Notes;
use jiff::Timestamp;
use serde_json::json;

use crate::help::heading::{QUEUEING, WAITING};
use crate::session::Session;
use crate::ui::error::{CommandError, CommandResult, ErrorContext as _, OperationFailed};
use crate::ui::exit::ExitStatus;
use crate::ui::interrupt;
use crate::ui::short_id::ShortIds;
use crate::ui::table::{self, Cell, Column};
use crate::ui::{ask, progress, when};
use crate::undo_file::UndoFile;
use crate::wait::wait;

/// Maximum number of requests that are submitted without confirmation, by commands whose arguments do not tell the
/// number.
const MAX_UNCONFIRMED: usize = 20;

/// Columns of a table of queued requests.
pub const QUEUED: [Column<'_>; 3] = [Column::new("QUEUE"), Column::new("PACKAGE").wrap(), Column::new("REQUEST")];

/// Maximum number of duplicates that are named.
const MAX_NAMED: usize = 20;

/// Asks the user to confirm a large number of requests. Returns whether to submit them.
///
/// # Errors
/// When the user would have to be asked, and cannot be.
pub async fn is_wanted(count: usize, yes: bool, session: &Session) -> CommandResult<bool> {
    if count <= MAX_UNCONFIRMED || yes {
        return Ok(true);
    }
    ask::require_terminal().with_context(|| format!("refusing to request {count} tests without confirmation"))?;
    let is_wanted = ask::confirm(format!("Request {count} tests?")).await?;
    if !is_wanted {
        session.ui.note("Nothing was requested.");
    }
    Ok(is_wanted)
}

/// How requests are queued.
#[derive(clap::Args)]
pub struct SubmitArgs {
    /// Submit even if an identical request is already queued or running
    #[arg(long, help_heading = QUEUEING, hide_short_help = true)]
    force: bool,
    /// Wait for the tests and report the outcome
    #[arg(
        long,
        help_heading = WAITING,
        long_help = "Wait for the tests and report the outcome; Ctrl-C stops waiting, not the tests"
    )]
    wait: bool,
    /// The ids of requests that came with one: they may have been sent before.
    #[arg(skip)]
    pub sent_before: HashSet<RequestId>,
}

impl SubmitArgs {
    /// Whether an option needs access to the queue.
    pub fn needs_queue(&self) -> bool {
        self.force || self.wait
    }
}

/// Submits requests, which have their ids, and prints a line for each that is confirmed. Requests that are already
/// queued or running are not submitted again, but named.
pub async fn submit(
    submissions: Vec<Submission>,
    args: &SubmitArgs,
    session: &Session,
    site: &Site,
) -> CommandResult<ExitStatus> {
    for Submission { queue, request } in &submissions {
        site.pockets.check(request, &queue.release).map_err(|error| crate::ui::error::BadInput {
            message: format!("{}: {error}", request.package()),
            hint: Some(error.hint()),
        })?;
    }
    // Errors of the store are reported before anything is queued.
    let store = args.wait.then(|| session.store(site)).transpose()?;
    let broker = session.broker(site).await?;
    // The site's own queues are created; any other has to exist.
    let known = site.queues();
    let wanted: BTreeSet<&QueueName> = submissions.iter().map(|submission| &submission.queue).collect();
    let ours: Vec<QueueName> = known.iter().filter(|queue| wanted.contains(queue)).cloned().collect();
    if broker.existing(&ours).await?.len() < ours.len() {
        broker.declare(&ours).await?;
        // All of them, because RabbitMQ logs an error for each query of a queue that does not exist.
        if let Err(error) = broker.declare(&known).await {
            tracing::debug!("not all queues of the site could be made: {error}");
        }
    }

    let notes = Notes::of(&site.state_dir, &site.queue.value);
    let mut duplicates = if args.force && args.sent_before.is_empty() {
        Vec::new()
    } else {
        duplicates(&submissions, &broker, &notes, session, site).await?
    };
    if args.force {
        // Another request for the same test is wanted, not the same request again: an id stands for one request.
        for (found, Submission { request, .. }) in duplicates.iter_mut().zip(&submissions) {
            let is_itself = |id: &RequestId| found.as_ref().is_some_and(|found| found.uuid == id.as_str());
            if !request.uuid().is_some_and(|id| args.sent_before.contains(id) && is_itself(id)) {
                *found = None;
            }
        }
    }
    let (mut new, mut already) = (Vec::with_capacity(submissions.len()), Vec::new());
    for (submission, duplicate) in submissions.into_iter().zip(duplicates.into_iter().chain(repeat_with(|| None))) {
        match duplicate {
            None => new.push(submission),
            Some(duplicate) => already.push((submission, duplicate)),
        }
    }

    // Found before anything is queued: a request that cannot be waited for.
    let waited_for = if args.wait { waited_for(&already)? } else { Vec::new() };

    let bar = progress::bar(&session.ui, new.len(), "queueing");
    let mut durable = 0;
    let mut count = |confirmed| {
        durable = confirmed;
        bar.set_position(confirmed as u64);
    };
    let result = tokio::select! {
        result = broker.submit_again(&new, &args.sent_before, &known, &mut count) => result.map_err(Incomplete::Broker),
        // The user has to learn what is queued.
        _ = interrupt::ctrl_c() => Err(Incomplete::Interrupted),
    };
    bar.finish_and_clear();
    let confirmed = match &result {
        Ok(()) => new.len(),
        Err(Incomplete::Broker(BrokerError::Unconfirmed { confirmed, .. })) => *confirmed,
        Err(Incomplete::Broker(_)) => 0,
        Err(Incomplete::Interrupted) => durable,
    };
    notes.add_unlisted(&new[..confirmed], &broker).await;
    if let (Ok(()), Some(store)) = (&result, &store) {
        tell(&already, session);
        let status = wait(followed(&new, waited_for), &broker, store, session).await?;
        broker.close().await;
        return Ok(status);
    }
    show(&new[..confirmed], &already, session).context("the requests are queued, but were not printed")?;
    tell(&already, session);
    if let Err(error) = result {
        return Err(unconfirmed(error, &new, confirmed, args, site));
    }
    broker.close().await;
    Ok(ExitStatus::Success)
}

/// End of a submission before all requests are confirmed.
enum Incomplete {
    /// The user pressed Ctrl-C.
    Interrupted,
    /// The broker failed.
    Broker(BrokerError),
}

impl From<Incomplete> for CommandError {
    fn from(error: Incomplete) -> Self {
        match error {
            Incomplete::Interrupted => Self::failure("interrupted"),
            Incomplete::Broker(error) => error.into(),
        }
    }
}

/// Returns the error of an incomplete submission. Requests that may be queued or not are saved to a file, with their
/// ids.
fn unconfirmed(
    error: Incomplete,
    new: &[Submission],
    confirmed: usize,
    args: &SubmitArgs,
    site: &Site,
) -> CommandError {
    let rest = &new[confirmed.min(new.len())..];
    if rest.is_empty() {
        return error.into();
    }
    let message = match error {
        Incomplete::Interrupted => {
            format!("interrupted: the requests printed above are queued; any of the other {} may be queued", rest.len())
        }
        Incomplete::Broker(error @ BrokerError::Unconfirmed { .. }) => error.to_string(),
        // All other errors of the broker occur before anything is sent.
        Incomplete::Broker(error) => return error.into(),
    };
    let record = UndoFile::of_now(site, "unconfirmed");
    let written = rest.chunk_by(|one, next| one.queue == next.queue).try_for_each(|some| {
        let bodies: Vec<String> = some.iter().map(|one| one.request.to_wire()).collect();
        let bodies: Vec<&[u8]> = bodies.iter().map(String::as_bytes).collect();
        some.first().map_or(Ok(()), |first| record.add(&first.queue, &bodies))
    });
    let file = record.path().display();
    let force = if args.force { "--force " } else { "" };
    match written {
        Ok(()) => OperationFailed {
            message,
            hint: format!(
                "run `apt-ci run {force}--batch {file}` to submit the unconfirmed requests again; they keep their \
                 ids, so none is run twice"
            )
            .into(),
        },
        Err(failure) => OperationFailed {
            message: format!("{message}; cannot record the unconfirmed requests: {failure}"),
            hint: "run `apt-ci queues QUEUE` to see which of them are queued".into(),
        },
    }
    .into()
}

/// Returns the requests to wait for, each once.
fn followed(new: &[Submission], already: Vec<FollowedRequest>) -> Vec<FollowedRequest> {
    let new = new.iter().filter_map(|Submission { queue, request }| {
        let id = request.uuid()?.clone();
        Some(FollowedRequest::new(id, request, queue))
    });
    let mut seen = HashSet::new();
    new.chain(already).filter(|one| seen.insert(one.uuid.clone())).collect()
}

/// Returns the duplicates, to wait for them.
///
/// # Errors
/// When one was queued without an id, so that its result could not be told from others.
fn waited_for(already: &[(Submission, Duplicate)]) -> Result<Vec<FollowedRequest>, OperationFailed> {
    let one = |(Submission { queue, request }, duplicate): &(Submission, Duplicate)| {
        let id = duplicate.uuid.parse().map_err(|_| OperationFailed {
            message: format!(
                "{} in {queue} is already queued, but without an id; cannot wait for it",
                request.package()
            ),
            hint: "use --force to request the test once more; the queued request gets an id when a worker takes it"
                .into(),
        })?;
        Ok(FollowedRequest::new(id, request, queue))
    };
    already.iter().map(one).collect()
}

/// Returns the duplicate of each request, if any.
async fn duplicates(
    submissions: &[Submission],
    broker: &Broker,
    notes: &Notes,
    session: &Session,
    site: &Site,
) -> CommandResult<Vec<Option<Duplicate>>> {
    match duplicates::find(submissions, broker, notes).await {
        // A user may have only the right to submit.
        Err(error @ (BrokerError::Refused { .. } | BrokerError::Denied { .. })) => {
            session.ui.warn(format!("cannot check whether the requests are already queued: {error}"));
            Ok(Vec::new())
        }
        other => {
            let mut duplicates = other?;
            if duplicates::any_noted(&duplicates) {
                let store = session.store(site).ok();
                duplicates::drop_finished(&mut duplicates, submissions, store.as_ref()).await;
            }
            Ok(duplicates)
        }
    }
}

/// Prints requests that are not queued, as lines of a batch. The lines have no ids and times, so that each submission
/// of them is a new request.
pub fn show_planned(planned: &[Submission], session: &Session) -> CommandResult<()> {
    if session.ui.is_json {
        let one = |Submission { queue, request }: &Submission| json!({"queue": queue, "package": request.package().as_str(), "parameters": request.public_parameters()});
        return session.ui.json(&planned.iter().map(one).collect::<Vec<_>>());
    }
    planned.iter().try_for_each(|one| Ok(session.ui.data(one.to_line())?))
}

fn show(queued: &[Submission], already: &[(Submission, Duplicate)], session: &Session) -> CommandResult<()> {
    let id = |request: &Request| request.uuid().map(ToString::to_string).unwrap_or_default();
    if session.ui.is_json {
        let one = |submission: &Submission, uuid: &str, state: &str| {
            let Submission { queue, request } = submission;
            json!({"queue": queue, "package": request.package().as_str(), "uuid": uuid, "state": state})
        };
        let new = queued.iter().map(|submission| one(submission, &id(&submission.request), "queued"));
        let old = already.iter().map(|(submission, old)| one(submission, &old.uuid, old.state.word()));
        return session.ui.json(&new.chain(old).collect::<Vec<_>>());
    }
    let ids = ShortIds::of(queued.iter().filter_map(|one| one.request.uuid()).map(RequestId::as_str));
    let rows: Vec<Vec<Cell>> = queued
        .iter()
        .map(|Submission { queue, request }| {
            vec![Cell::new(queue), Cell::new(request.package()), ids.cell(&id(request))]
        })
        .collect();
    table::print(&session.ui, &QUEUED, &rows)
}

/// Names the duplicates.
fn tell(already: &[(Submission, Duplicate)], session: &Session) {
    if session.ui.is_json {
        return;
    }
    let now = Timestamp::now();
    for (Submission { queue, request }, duplicate) in already.iter().take(MAX_NAMED) {
        session.ui.note(format!("{} in {queue} {}.", request.package(), said(duplicate, now)));
    }
    if already.len() > MAX_NAMED {
        session.ui.note(format!("… and {} more.", already.len() - MAX_NAMED));
    }
    if !already.is_empty() {
        session.ui.note("Not submitted again (use --force to submit anyway).");
    }
}

/// Returns a duplicate in words: `is already running for 3m 20s on host1 as …`.
fn said(duplicate: &Duplicate, now: Timestamp) -> String {
    let Duplicate { uuid, state } = duplicate;
    match state {
        DuplicateState::Queued => format!("is already queued as {uuid}"),
        DuplicateState::Noted(time) => {
            format!("was queued as {uuid} {}; its queue cannot be listed", when::ago(*time, now))
        }
        DuplicateState::AskedTwice => "is requested twice in this call".to_owned(),
        DuplicateState::Running(None) => format!("is already running as {uuid}"),
        DuplicateState::Running(Some((since, worker))) => {
            let seconds = u64::try_from(now.as_second() - since.as_second()).unwrap_or_default();
            format!("is already running for {} on {worker} as {uuid}", when::duration(seconds))
        }
    }
}
