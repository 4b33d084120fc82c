//! Queueing requests and telling which: what every command that asks for tests ends with.

use std::collections::{BTreeSet, HashSet};
use std::iter::repeat_with;

use anyhow::{Context as _, anyhow};
use apt_ci::broker::{Broker, BrokerError};
use apt_ci::follow::Followed;
use apt_ci::release::QueueName;
use apt_ci::request::Request;
use apt_ci::request::line::Submission;
use apt_ci::site::Site;
use jiff::Timestamp;
use serde_json::json;

use crate::duplicates::{self, Duplicate};
use crate::session::Session;
use crate::ui::error::BadInput;
use crate::ui::exit::ExitStatus;
use crate::ui::{ask, progress, table};
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
    let question = format!("Request {count} tests?");
    if !ask::is_possible() {
        let message = format!("{question} Nobody can be asked here");
        return Err(BadInput { message, hint: Some("say it with --yes".to_owned()) }.into());
    }
    let is_wanted = ask::confirm(question).await?;
    if !is_wanted {
        session.ui.note("Nothing was requested.");
    }
    Ok(is_wanted)
}

/// How requests are queued.
#[derive(clap::Args)]
pub struct SubmitArgs {
    /// Ask for a test even if the same request waits or runs already
    #[arg(long)]
    force: bool,
    /// Wait until the tests have ended, and tell how; Ctrl-C ends the waiting alone
    #[arg(long)]
    wait: bool,
}

/// Queues the requests, which have their ids, and prints a line for each that is queued for certain. Those that wait or run already are
/// not sent again: a person is told which they are.
pub async fn submit(
    submissions: Vec<Submission>,
    args: &SubmitArgs,
    session: &Session,
    site: &Site,
) -> anyhow::Result<ExitStatus> {
    // What is wrong with the store is told before anything is queued.
    let store = args.wait.then(|| session.store(site)).transpose()?;
    let broker = session.broker(site).await?;
    // The queues that the site configures are its own to make; any other has to be there.
    let known = site.queues();
    let wanted: BTreeSet<&QueueName> = submissions.iter().map(|submission| &submission.queue).collect();
    let ours: Vec<QueueName> = known.iter().filter(|queue| wanted.contains(queue)).cloned().collect();
    broker.declare(&ours).await?;

    let duplicates = if args.force { Vec::new() } else { duplicates(&submissions, &broker, session).await? };
    let (mut new, mut already) = (Vec::with_capacity(submissions.len()), Vec::new());
    for (submission, duplicate) in submissions.into_iter().zip(duplicates.into_iter().chain(repeat_with(|| None))) {
        match duplicate {
            None => new.push(submission),
            Some(duplicate) => already.push((submission, duplicate)),
        }
    }

    let bar = progress::bar(&session.ui, new.len(), "queueing");
    let mut durable = 0;
    let mut count = |confirmed| {
        durable = confirmed;
        bar.set_position(confirmed as u64);
    };
    let result = tokio::select! {
        result = broker.submit(&new, &known, &mut count) => result.map_err(anyhow::Error::from),
        // Who stops in the middle must learn what is queued.
        _ = tokio::signal::ctrl_c() => Err(anyhow!(
            "interrupted: the requests printed above are queued; whether any of the others is, `apt-ci queues QUEUE` shows"
        )),
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
    if let (Ok(()), Some(store)) = (&result, &store) {
        let status = wait(followed(&new, &already), &broker, store, session).await?;
        broker.close().await;
        return Ok(status);
    }
    show(&new[..confirmed], &already, session).context("the requests are queued, but cannot be printed")?;
    result?;
    broker.close().await;
    Ok(ExitStatus::Success)
}

/// What is waited for: each request once.
fn followed(new: &[Submission], already: &[(Submission, Duplicate)]) -> Vec<Followed> {
    let new = new.iter().filter_map(|submission| Some((submission, submission.request.uuid()?.clone())));
    let old = already.iter().filter_map(|(submission, old)| Some((submission, old.uuid.parse().ok()?)));
    let mut seen = HashSet::new();
    let once = new.chain(old).filter(|(_, id)| seen.insert(id.clone()));
    once.map(|(Submission { queue, request }, id)| Followed::new(id, request, queue)).collect()
}

/// The requests that are there already.
async fn duplicates(
    submissions: &[Submission],
    broker: &Broker,
    session: &Session,
) -> anyhow::Result<Vec<Option<Duplicate>>> {
    match duplicates::find(submissions, broker).await {
        // Who may only send need not be able to look.
        Err(error @ BrokerError::Refused { .. }) => {
            session.ui.warn(format!("whether the requests are queued already cannot be seen: {error}"));
            Ok(Vec::new())
        }
        other => Ok(other?),
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
    table::print(&session.ui, &["QUEUE", "PACKAGE", "REQUEST"].map(table::Column::new), &rows)?;
    let now = Timestamp::now();
    for (Submission { queue, request }, duplicate) in already.iter().take(TOLD) {
        session.ui.note(format!("{} in {queue} {}.", request.package(), duplicate.said(now)));
    }
    if already.len() > TOLD {
        session.ui.note(format!("… and so are {} more.", already.len() - TOLD));
    }
    if !already.is_empty() {
        session.ui.note("Not sent again; --force does that.");
    }
    Ok(())
}
