//! `apt-ci queues show`: the requests of a queue.

use std::time::Instant;

use apt_ci::broker::{Broker, BrokerError, QueueContents, QueueState};
use apt_ci::release::QueueName;
use apt_ci::request::Request;
use apt_ci::request::wire::shown;
use apt_ci::site::Site;
use serde_json::{Value, json};

use crate::session::Session;
use crate::ui::exit::ExitStatus;
use crate::ui::opaque_lines;
use crate::ui::table::{self, Cell, Column};

/// How many requests of a kind are shown unless somebody asks for more.
pub const LIMIT: usize = 1000;

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
    #[arg(long, default_value_t = LIMIT, value_name = "N")]
    limit: usize,
}

pub async fn run(args: &ShowArgs, session: &Session, site: &Site) -> anyhow::Result<ExitStatus> {
    show(&args.name, args.limit, session, site).await
}

pub async fn show(queue: &QueueName, limit: usize, session: &Session, site: &Site) -> anyhow::Result<ExitStatus> {
    let broker = session.broker(site).await?;
    let began = Instant::now();
    let contents = contents(&broker, queue, limit, site).await?;
    // What cannot be shown can be counted.
    let state = match contents.hidden {
        Some(_) => broker.inspect(std::slice::from_ref(queue)).await?.pop(),
        None => None,
    };
    let handed_out = (matches!(broker, Broker::Amqp(_)) && !contents.ready.is_empty()).then(|| began.elapsed());
    broker.close().await;
    if session.ui.json {
        let QueueContents { ready, claimed, delayed, dead, hidden, hidden_dead } = &contents;
        let list = |bodies: &[Vec<u8>]| bodies.iter().map(|body| document(body)).collect::<Vec<_>>();
        let dead: Vec<Value> =
            dead.iter().map(|letter| json!({"message": document(&letter.body), "reason": letter.reason})).collect();
        let (running, ready, delayed) = (list(claimed), list(ready), list(delayed));
        let mut document =
            json!({"queue": queue, "running": running, "ready": ready, "delayed": delayed, "dead": dead});
        // Nobody takes what is not shown for what is not there.
        for (key, opaque) in [("ready", hidden), ("dead", hidden_dead)] {
            if opaque.is_some() {
                document[key] = Value::Null;
            }
        }
        session.ui.json(&document)?;
        return Ok(tell_hidden(&contents, state.as_ref(), session));
    }
    let states = [("running", &contents.claimed), ("ready", &contents.ready), ("delayed", &contents.delayed)];
    let mut rows: Vec<Vec<Cell>> =
        states.into_iter().flat_map(|(state, bodies)| bodies.iter().map(move |body| row(state, body, ""))).collect();
    rows.extend(contents.dead.iter().map(|letter| row("dead", &letter.body, &letter.reason)));
    if rows.is_empty() && contents.hidden.is_none() && contents.hidden_dead.is_none() {
        session.ui.note(format!("{queue} is empty."));
        return Ok(ExitStatus::Success);
    }
    let columns = [
        Column::new("STATE"),
        // A message that is no request is shown here, and can be long.
        Column::new("PACKAGE").cut(),
        Column::new("TRIGGERS").cut().spare(),
        Column::new("REQUEST"),
        Column::new("REASON").cut(),
    ];
    table::print(&session.ui, &columns, &rows)?;
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

/// Says what is not shown, and why.
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

/// What can be seen of a queue. One that does not exist is refused with the names of its neighbours.
pub async fn contents(broker: &Broker, queue: &QueueName, limit: usize, site: &Site) -> anyhow::Result<QueueContents> {
    match broker.visible_contents(queue, limit).await {
        Err(BrokerError::NoSuchQueue { queue, .. }) => {
            let nearest = broker.nearest(&queue, &site.queues()).await?;
            Err(BrokerError::NoSuchQueue { queue, nearest }.into())
        }
        other => Ok(other?),
    }
}

/// A message for programs, without tokens. What is not a request is given as text.
pub fn document(body: &[u8]) -> Value {
    match Request::parse(body) {
        Err(_) => json!({"body": shown(body)}),
        Ok(request) => json!({"package": request.package().as_str(), "parameters": request.public_parameters()}),
    }
}

fn row(state: &str, body: &[u8], reason: &str) -> Vec<Cell> {
    let mut row = vec![Cell::new(state)];
    row.extend(request_cells(body));
    row.push(Cell::new(reason));
    row
}

/// A message in three cells: package, triggers, and id. What is not a request is shown as the text that it is.
pub fn request_cells(body: &[u8]) -> [Cell; 3] {
    let cells = match Request::parse(body) {
        Ok(request) => {
            let triggers: Vec<String> = request.parameters().triggers.iter().map(ToString::to_string).collect();
            let id = request.uuid().map(ToString::to_string).unwrap_or_default();
            [request.package().to_string(), triggers.join(" "), id]
        }
        Err(_) => [shown(body).escape_debug().take(60).collect(), String::new(), String::new()],
    };
    cells.map(Cell::new)
}
