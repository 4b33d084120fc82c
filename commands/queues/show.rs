//! `apt-ci queues show`: the requests of a queue.

use std::time::Instant;

use apt_ci::broker::{Broker, BrokerError, QueueContents, QueueState};
use apt_ci::release::QueueName;
use apt_ci::request::Request;
use apt_ci::request::wire::shown;
use apt_ci::site::Site;
use serde_json::{Value, json};

use crate::session::Session;
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;
use crate::ui::number;
use crate::ui::opaque_lines;
use crate::ui::short_id::ShortIds;
use crate::ui::table::{self, Cell, Column};

/// Default maximum number of requests that are shown in each state.
pub const DEFAULT_LIMIT: usize = 1000;

const COLUMNS: [Column<'_>; 5] = [
    Column::new("STATE"),
    // A message that is no request is shown here, and can be long.
    Column::new("PACKAGE").cut_late(),
    Column::new("TRIGGERS").cut().spare(),
    Column::new("REQUEST"),
    Column::new("REASON").wrap().least(16),
];

/// Show the requests of a queue
#[derive(clap::Args)]
#[command(after_help = "\
Nothing is removed: every request keeps its place. RabbitMQ can list a queue only by delivering its requests, so workers \
find the queue empty for that moment (milliseconds for thousands of requests); the duration is reported afterwards. A quorum \
queue that counts such deliveries against a delivery limit is not listed: its requests are only counted, the command that \
changes this is printed, and the exit code is 1.
Piped output is tab-separated: state, package, triggers, request, reason of a dead letter.

Example:
  apt-ci queues show debci-noble-amd64")]
pub struct ShowArgs {
    /// Queue whose requests to show
    // Not called `queue`: that is the global option's name.
    #[arg(value_name = "QUEUE")]
    name: QueueName,
    /// Maximum number of requests to show in each state
    #[arg(long, default_value_t = DEFAULT_LIMIT, value_name = "N", value_parser = number::limit)]
    limit: usize,
}

pub async fn run(args: &ShowArgs, session: &Session, site: &Site) -> CommandResult<ExitStatus> {
    show(&args.name, args.limit, session, site).await
}

pub async fn show(queue: &QueueName, limit: usize, session: &Session, site: &Site) -> CommandResult<ExitStatus> {
    let broker = session.broker(site).await?;
    let began = Instant::now();
    let contents = contents(&broker, queue, limit, site).await?;
    // Requests that cannot be listed are counted.
    let state = match contents.hidden {
        Some(_) => broker.inspect(std::slice::from_ref(queue)).await?.pop(),
        None => None,
    };
    let handed_out = (matches!(broker, Broker::Amqp(_)) && !contents.ready.is_empty()).then(|| began.elapsed());
    broker.close().await;
    if session.ui.is_json {
        let QueueContents { ready, claimed, delayed, dead, hidden, hidden_dead } = &contents;
        let list = |bodies: &[Vec<u8>]| bodies.iter().map(|body| document(body)).collect::<Vec<_>>();
        let dead: Vec<Value> =
            dead.iter().map(|letter| json!({"message": document(&letter.body), "reason": letter.reason})).collect();
        let (running, ready, delayed) = (list(claimed), list(ready), list(delayed));
        let mut document =
            json!({"queue": queue, "running": running, "ready": ready, "delayed": delayed, "dead": dead});
        // Null, so that a hidden list is not taken for an empty one.
        for (key, opaque) in [("ready", hidden), ("dead", hidden_dead)] {
            if opaque.is_some() {
                document[key] = Value::Null;
            }
        }
        session.ui.json(&document)?;
        return Ok(tell_hidden(&contents, state.as_ref(), session));
    }
    let states = [("running", &contents.claimed), ("ready", &contents.ready), ("delayed", &contents.delayed)];
    let live = states.into_iter().flat_map(|(state, bodies)| bodies.iter().map(move |body| (state, body, "")));
    let dead = contents.dead.iter().map(|letter| ("dead", &letter.body, letter.reason.as_str()));
    let messages: Vec<(&str, &Vec<u8>, &str)> = live.chain(dead).collect();
    let ids = short_ids(messages.iter().map(|(_, body, _)| body.as_slice()));
    let row = |(state, body, reason): &(&str, &Vec<u8>, &str)| {
        let [package, triggers, id] = request_cells(body, &ids);
        vec![Cell::new(state), package, triggers, id, Cell::new(reason)]
    };
    let rows: Vec<Vec<Cell>> = messages.iter().map(row).collect();
    if rows.is_empty() && contents.hidden.is_none() && contents.hidden_dead.is_none() {
        session.ui.note(format!("{queue} is empty."));
        return Ok(ExitStatus::Success);
    }
    table::print(&session.ui, &COLUMNS, &rows)?;
    let lists = [&contents.ready, &contents.claimed, &contents.delayed].map(Vec::len);
    let longest = lists.into_iter().chain([contents.dead.len()]).max();
    if longest >= Some(limit) {
        session.ui.note(format!("There may be more than {limit} in one state; raise --limit to see them."));
    }
    if let Some(time) = handed_out {
        session
            .ui
            .note(format!("Workers found {queue} empty for at most {} ms while it was listed.", time.as_millis()));
    }
    Ok(tell_hidden(&contents, state.as_ref(), session))
}

/// Reports what is not shown, and why. Returns the exit status.
fn tell_hidden(contents: &QueueContents, state: Option<&QueueState>, session: &Session) -> ExitStatus {
    if let (Some(opaque), Some(state)) = (&contents.hidden, state) {
        session.ui.note(format!("{} more requests are waiting in {}.", state.ready, state.queue));
        session.ui.warn_lines(opaque_lines(opaque));
    }
    if let Some(opaque) = &contents.hidden_dead {
        session.ui.warn_lines(opaque_lines(opaque));
    }
    if contents.hidden.is_some() || contents.hidden_dead.is_some() { ExitStatus::Failure } else { ExitStatus::Success }
}

/// Returns what can be seen of a queue. The error for a queue that does not exist names similar ones.
pub async fn contents(broker: &Broker, queue: &QueueName, limit: usize, site: &Site) -> CommandResult<QueueContents> {
    match broker.visible_contents(queue, limit).await {
        Err(BrokerError::NoSuchQueue { queue, .. }) => {
            let nearest = broker.nearest(&queue, &site.queues()).await?;
            Err(BrokerError::NoSuchQueue { queue, nearest }.into())
        }
        other => Ok(other?),
    }
}

/// Returns a message for programs, without tokens. A message that is no request is given as text.
pub fn document(body: &[u8]) -> Value {
    match Request::parse(body) {
        Err(_) => json!({"body": shown(body)}),
        Ok(request) => json!({"package": request.package().as_str(), "parameters": request.public_parameters()}),
    }
}

/// Returns what shortens the ids of the requests among these messages.
pub fn short_ids<'a>(bodies: impl IntoIterator<Item = &'a [u8]>) -> ShortIds {
    let requests = bodies.into_iter().filter_map(|body| Request::parse(body).ok());
    let ids: Vec<String> = requests.filter_map(|request| request.uuid().map(ToString::to_string)).collect();
    ShortIds::of(ids.iter().map(String::as_str))
}

/// Returns a message in three cells: package, triggers, and id. A message that is no request is shown as text.
pub fn request_cells(body: &[u8], ids: &ShortIds) -> [Cell; 3] {
    match Request::parse(body) {
        Ok(request) => {
            let triggers: Vec<String> = request.parameters().triggers.iter().map(ToString::to_string).collect();
            let id = request.uuid().map(ToString::to_string).unwrap_or_default();
            [Cell::new(request.package()), Cell::new(triggers.join(" ")), ids.cell(&id)]
        }
        Err(_) => {
            let text: String = shown(body).escape_debug().take(60).collect();
            [Cell::new(text), Cell::new(""), Cell::new("")]
        }
    }
}
