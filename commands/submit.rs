//! Queueing requests and telling which: what every command that asks for tests ends with.

use std::collections::{BTreeSet, HashSet};
use std::iter::repeat_with;

use anyhow::{Context as _, anyhow};
use apt_ci::broker::{Broker, BrokerError};
use apt_ci::duplicates::{self, Duplicate, State};
use apt_ci::follow::Followed;
use apt_ci::release::QueueName;
use apt_ci::request::line::Submission;
use apt_ci::request::{Request, RequestId};
use apt_ci::site::Site;
use apt_ci::submitted::Notes;
use jiff::Timestamp;
use serde_json::json;

use crate::help::heading::{QUEUEING, WAITING};
use crate::record::Record;
use crate::session::Session;
use crate::ui::error::{OperationFailed, Unable};
use crate::ui::exit::ExitStatus;
use crate::ui::interrupt;
use crate::ui::{ask, progress, table, when};
use crate::wait::wait;

/// More requests than this are not sent without being asked for again, by commands whose arguments do not tell how many they will be.
const UNASKED: usize = 20;

/// So many requests are named that are there already.
const TOLD: usize = 20;

/// Whether so many requests are wanted: few always are.
///
/// # Errors
/// When somebody would have to be asked, and nobody is there.
pub async fn is_wanted(count: usize, yes: bool, session: &Session) -> anyhow::Result<bool> {
    if count <= UNASKED || yes {
        return Ok(true);
    }
    ask::somebody().with_context(|| format!("refusing to request {count} tests without confirmation"))?;
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
    /// Whether something was asked for that only who queues by himself can do.
    pub fn needs_queue(&self) -> bool {
        self.force || self.wait
    }
}

/// Queues the requests, which have their ids, and prints a line for each that is queued for certain. Those that wait or run already are
/// not sent again: a person is told which they are.
pub async fn submit(
    submissions: Vec<Submission>,
    args: &SubmitArgs,
    session: &Session,
    site: &Site,
) -> anyhow::Result<ExitStatus> {
    for Submission { queue, request } in &submissions {
        site.pockets.check(request, &queue.release).map_err(|error| crate::ui::error::BadInput {
            message: format!("{}: {error}", request.package()),
            hint: Some(error.hint()),
        })?;
    }
    // What is wrong with the store is told before anything is queued.
    let store = args.wait.then(|| session.store(site)).transpose()?;
    let broker = session.broker(site).await?;
    // The queues that the site configures are its own to make; any other has to be there.
    let known = site.queues();
    let wanted: BTreeSet<&QueueName> = submissions.iter().map(|submission| &submission.queue).collect();
    let ours: Vec<QueueName> = known.iter().filter(|queue| wanted.contains(queue)).cloned().collect();
    if broker.existing(&ours).await?.len() < ours.len() {
        broker.declare(&ours).await?;
        // The others as well: whoever looks at the site's queues meets none that is missing, about which RabbitMQ would complain.
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
        // Not the same request once more, but another one for the same test: an id stands for one request.
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

    // Nor is anything queued that cannot be waited for.
    let waited_for = if args.wait { waited_for(&already)? } else { Vec::new() };

    let bar = progress::bar(&session.ui, new.len(), "queueing");
    let mut durable = 0;
    let mut count = |confirmed| {
        durable = confirmed;
        bar.set_position(confirmed as u64);
    };
    let result = tokio::select! {
        result = broker.submit_again(&new, &args.sent_before, &known, &mut count) => result.map_err(anyhow::Error::from),
        // Who stops in the middle must learn what is queued.
        _ = interrupt::ctrl_c() => Err(anyhow!("interrupted")),
    };
    bar.finish_and_clear();
    let confirmed = match &result {
        Ok(()) => new.len(),
        Err(error) => match error.downcast_ref() {
            Some(BrokerError::Unconfirmed { confirmed, .. }) => *confirmed,
            Some(_) => 0,
            None => durable,
        },
    };
    note(&new[..confirmed], &notes, &broker).await;
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

/// The error of a submission that ended in the middle. The requests whose fate is unknown are written down, with their ids.
fn unconfirmed(
    error: anyhow::Error,
    new: &[Submission],
    confirmed: usize,
    args: &SubmitArgs,
    site: &Site,
) -> anyhow::Error {
    let is_unknown = match error.downcast_ref::<BrokerError>() {
        Some(BrokerError::Unconfirmed { .. }) => true,
        // What else goes wrong at the broker does so before anything is sent.
        Some(_) => false,
        None => true,
    };
    let rest = &new[confirmed.min(new.len())..];
    if !is_unknown || rest.is_empty() {
        return error;
    }
    let record = Record::of_now(site, "unconfirmed");
    let message = match error.is::<BrokerError>() {
        true => error.to_string(),
        false => {
            format!("{error}: the requests printed above are queued; any of the other {} may be queued", rest.len())
        }
    };
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
            ),
        },
        Err(failure) => OperationFailed {
            message: format!("{message}; cannot record the unconfirmed requests: {failure}"),
            hint: "run `apt-ci queues QUEUE` to see which of them are queued".to_owned(),
        },
    }
    .into()
}

/// What is waited for: each request once.
fn followed(new: &[Submission], already: Vec<Followed>) -> Vec<Followed> {
    let new = new.iter().filter_map(|Submission { queue, request }| {
        let id = request.uuid()?.clone();
        Some(Followed::new(id, request, queue))
    });
    let mut seen = HashSet::new();
    new.chain(already).filter(|one| seen.insert(one.uuid.clone())).collect()
}

/// Those that are there already, to wait for them.
///
/// # Errors
/// When one was queued by a program that gives no ids: its result could not be told from others.
fn waited_for(already: &[(Submission, Duplicate)]) -> Result<Vec<Followed>, Unable> {
    let one = |(Submission { queue, request }, duplicate): &(Submission, Duplicate)| {
        let id = duplicate.uuid.parse().map_err(|_| Unable {
            message: format!(
                "{} in {queue} is already queued, but without an id; cannot wait for it",
                request.package()
            ),
            hint: "use --force to request the test once more; the queued request gets an id when a worker takes it",
        })?;
        Ok(Followed::new(id, request, queue))
    };
    already.iter().map(one).collect()
}

/// Notes what was queued where it cannot be seen, for whoever asks for the same.
async fn note(queued: &[Submission], notes: &Notes, broker: &Broker) {
    let mut hidden = Vec::new();
    for submission in queued {
        // What cannot be learnt is asked for once more, at worst.
        if broker.may_be_opaque(&submission.queue).await.unwrap_or(false) {
            hidden.push(submission.clone());
        }
    }
    if !hidden.is_empty() {
        notes.add(&hidden, Timestamp::now());
    }
}

/// The requests that are there already.
async fn duplicates(
    submissions: &[Submission],
    broker: &Broker,
    notes: &Notes,
    session: &Session,
    site: &Site,
) -> anyhow::Result<Vec<Option<Duplicate>>> {
    match duplicates::find(submissions, broker, notes).await {
        // Who may only send need not be able to look.
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

fn show(queued: &[Submission], already: &[(Submission, Duplicate)], session: &Session) -> anyhow::Result<()> {
    let id = |request: &Request| request.uuid().map(ToString::to_string).unwrap_or_default();
    if session.ui.json {
        let one = |submission: &Submission, uuid: &str, state: &str| {
            let Submission { queue, request } = submission;
            json!({"queue": queue, "package": request.package().as_str(), "uuid": uuid, "state": state})
        };
        let new = queued.iter().map(|submission| one(submission, &id(&submission.request), "queued"));
        let old = already.iter().map(|(submission, old)| one(submission, &old.uuid, old.state.word()));
        return session.ui.json(&new.chain(old).collect::<Vec<_>>());
    }
    let rows: Vec<_> = queued
        .iter()
        .map(|Submission { queue, request }| {
            vec![table::Cell::new(queue), table::Cell::new(request.package()), table::Cell::new(id(request))]
        })
        .collect();
    table::print(&session.ui, &["QUEUE", "PACKAGE", "REQUEST"].map(table::Column::new), &rows)
}

/// Tells a person what was there already.
fn tell(already: &[(Submission, Duplicate)], session: &Session) {
    if session.ui.json {
        return;
    }
    let now = Timestamp::now();
    for (Submission { queue, request }, duplicate) in already.iter().take(TOLD) {
        session.ui.note(format!("{} in {queue} {}.", request.package(), said(duplicate, now)));
    }
    if already.len() > TOLD {
        session.ui.note(format!("… and {} more.", already.len() - TOLD));
    }
    if !already.is_empty() {
        session.ui.note("Not submitted again (use --force to submit anyway).");
    }
}

/// In words: `is already running for 3m 20s on host1 as …`.
fn said(duplicate: &Duplicate, now: Timestamp) -> String {
    let Duplicate { uuid, state } = duplicate;
    match state {
        State::Queued => format!("is already queued as {uuid}"),
        State::Noted(time) => {
            format!("was queued as {uuid} {}; its queue cannot be listed", when::ago(*time, now))
        }
        State::AskedTwice => "is requested twice in this call".to_owned(),
        State::Running(None) => format!("is already running as {uuid}"),
        State::Running(Some((since, worker))) => {
            let seconds = u64::try_from(now.as_second() - since.as_second()).unwrap_or_default();
            format!("is already running for {} on {worker} as {uuid}", when::duration(seconds))
        }
    }
}
