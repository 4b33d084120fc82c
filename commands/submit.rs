//! Queueing requests and telling which: what every command that asks for tests ends with.

use std::collections::BTreeSet;

use anyhow::{Context as _, anyhow};
use apt_ci::broker::BrokerError;
use apt_ci::release::QueueName;
use apt_ci::request::Request;
use apt_ci::request::line::Submission;
use apt_ci::site::Site;
use serde_json::json;

use crate::session::Session;
use crate::ui::error::BadInput;
use crate::ui::exit::ExitStatus;
use crate::ui::{ask, progress, table};

/// More requests than this are not sent without being asked for again, by commands whose arguments do not tell how many they will be.
const UNASKED: usize = 20;

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

/// Queues the requests, which have their ids, and prints a line for each that is queued for certain.
pub async fn submit(submissions: &[Submission], session: &Session, site: &Site) -> anyhow::Result<ExitStatus> {
    let broker = session.broker(site).await?;
    // The queues that the site configures are its own to make; any other has to be there.
    let known = site.queues();
    let wanted: BTreeSet<&QueueName> = submissions.iter().map(|submission| &submission.queue).collect();
    let ours: Vec<QueueName> = known.iter().filter(|queue| wanted.contains(queue)).cloned().collect();
    broker.declare(&ours).await?;

    let bar = progress::bar(&session.ui, submissions.len(), "queueing");
    let mut durable = 0;
    let mut count = |confirmed| {
        durable = confirmed;
        bar.set_position(confirmed as u64);
    };
    let result = tokio::select! {
        result = broker.submit(submissions, &known, &mut count) => result.map_err(anyhow::Error::from),
        // Who stops in the middle must learn what is queued.
        _ = tokio::signal::ctrl_c() => Err(anyhow!(
            "interrupted: the requests printed above are queued; whether any of the others is, `apt-ci queues QUEUE` shows"
        )),
    };
    bar.finish_and_clear();
    let confirmed = match &result {
        Ok(()) => submissions.len(),
        Err(error) => match error.downcast_ref() {
            Some(BrokerError::Unconfirmed { confirmed, .. }) => *confirmed,
            Some(_) => 0,
            None => durable,
        },
    };
    show(&submissions[..confirmed], session).context("the requests are queued, but cannot be printed")?;
    result?;
    broker.close().await;
    Ok(ExitStatus::Success)
}

fn show(queued: &[Submission], session: &Session) -> anyhow::Result<()> {
    let id = |request: &Request| request.uuid().map(ToString::to_string).unwrap_or_default();
    if session.ui.json {
        let list: Vec<_> = queued
            .iter()
            .map(|Submission { queue, request }| {
                json!({"queue": queue, "package": request.package().as_str(), "uuid": id(request)})
            })
            .collect();
        return session.ui.json(&list);
    }
    let rows: Vec<_> = queued
        .iter()
        .map(|Submission { queue, request }| {
            vec![table::Cell::new(queue), table::Cell::new(request.package()), table::Cell::new(id(request))]
        })
        .collect();
    table::print(&session.ui, &["QUEUE", "PACKAGE", "REQUEST"].map(table::Column::new), &rows)
}
