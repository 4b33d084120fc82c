//! `apt-ci queues`: what waits, what runs, and what can never be run.

use apt_ci::broker::{BrokerError, QueueContents};
use apt_ci::release::QueueName;
use apt_ci::request::Request;
use apt_ci::request::wire::shown;
use apt_ci::site::Site;
use serde_json::{Value, json};

use crate::session::Session;
use crate::ui::error::BadInput;
use crate::ui::exit::ExitStatus;
use crate::ui::table::{self, Cell, Column};

/// Show the queues, or the requests of one
#[derive(clap::Args)]
#[command(after_help = "\
A delayed request waits to be tried again after an infrastructure failure. A dead one is not run any more: it never \
was a request, killed its workers, or was cancelled; the queue's own view tells which.
A pipe gets, separated by tabs: queue, ready, running, idle slots, dead, delayed.
Looking at a queue's requests takes them for a moment and gives them back in their order.")]
pub struct QueuesArgs {
    /// The queue whose requests to show
    // Not called `queue`: that is the global option's name.
    #[arg(value_name = "QUEUE")]
    name: Option<QueueName>,
    /// How many requests to show at most, of each kind
    #[arg(long, default_value_t = 1000, value_name = "N")]
    limit: usize,
}

pub async fn run(args: QueuesArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let site = session.site()?;
    match args.name {
        None => lengths(session, &site).await,
        Some(queue) => contents(&queue, args.limit, session, &site).await,
    }
}

async fn lengths(session: &Session, site: &Site) -> anyhow::Result<ExitStatus> {
    let known = site.queues();
    if known.is_empty() {
        let message = format!("no releases are configured ({})", site.releases.origin);
        return Err(BadInput { message, hint: Some("name them under [releases] in apt-ci.toml".to_owned()) }.into());
    }
    let broker = session.broker(site).await?;
    let states = broker.inspect(&known).await?;
    broker.close().await;
    if session.ui.json {
        session.ui.json(&states)?;
        return Ok(ExitStatus::Success);
    }
    if states.is_empty() {
        session.ui.note("None of the configured queues exists yet: the first request or worker makes them.");
    }
    let number = |count: u64| Cell::new(count).styled(if count == 0 { faint() } else { anstyle::Style::new() });
    // A program finds the same columns every time; a person is spared one that is seldom needed.
    let some_delayed = states.iter().any(|state| state.delayed > 0);
    let rows: Vec<_> = states
        .into_iter()
        .map(|state| {
            let dead = if state.dead > 0 { anstyle::AnsiColor::Red.on_default() } else { faint() };
            let delayed = if some_delayed { number(state.delayed) } else { Cell::new("").for_programs(state.delayed) };
            vec![
                Cell::new(&state.queue),
                number(state.ready),
                number(state.claimed),
                number(state.consumers),
                Cell::new(state.dead).styled(dead),
                delayed,
            ]
        })
        .collect();
    let columns = [
        Column::new("QUEUE"),
        Column::new("READY"),
        Column::new("RUNNING"),
        // A worker has one slot or several, each of which waits by itself.
        Column::new("IDLE SLOTS").spare(),
        Column::new("DEAD"),
        Column::new("DELAYED"),
    ];
    table::print(&session.ui, &columns, &rows)?;
    Ok(ExitStatus::Success)
}

fn faint() -> anstyle::Style {
    anstyle::Style::new().dimmed()
}

async fn contents(queue: &QueueName, limit: usize, session: &Session, site: &Site) -> anyhow::Result<ExitStatus> {
    let broker = session.broker(site).await?;
    let contents = match broker.contents(queue, limit).await {
        Err(BrokerError::NoSuchQueue { queue, .. }) => {
            let nearest = broker.nearest(&queue, &site.queues()).await?;
            return Err(BrokerError::NoSuchQueue { queue, nearest }.into());
        }
        other => other?,
    };
    broker.close().await;
    if session.ui.json {
        let QueueContents { ready, claimed, delayed, dead } = &contents;
        let list = |bodies: &[Vec<u8>]| bodies.iter().map(|body| document(body)).collect::<Vec<_>>();
        let dead: Vec<Value> =
            dead.iter().map(|letter| json!({"message": document(&letter.body), "reason": letter.reason})).collect();
        let (running, ready, delayed) = (list(claimed), list(ready), list(delayed));
        let document = json!({"queue": queue, "running": running, "ready": ready, "delayed": delayed, "dead": dead});
        session.ui.json(&document)?;
        return Ok(ExitStatus::Success);
    }
    let states = [("running", &contents.claimed), ("ready", &contents.ready), ("delayed", &contents.delayed)];
    let mut rows: Vec<Vec<Cell>> =
        states.into_iter().flat_map(|(state, bodies)| bodies.iter().map(move |body| row(state, body, ""))).collect();
    rows.extend(contents.dead.iter().map(|letter| row("dead", &letter.body, &letter.reason)));
    if rows.is_empty() {
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
        session.ui.note(format!("There may be more than {limit} of a kind; show them with --limit."));
    }
    Ok(ExitStatus::Success)
}

/// A message for programs, without tokens. What is not a request is given as text.
fn document(body: &[u8]) -> Value {
    match Request::parse(body) {
        Err(_) => json!({"body": shown(body)}),
        Ok(request) => json!({"package": request.package().as_str(), "parameters": request.public_parameters()}),
    }
}

fn row(state: &str, body: &[u8], reason: &str) -> Vec<Cell> {
    let cells = match Request::parse(body) {
        Ok(request) => {
            let triggers: Vec<String> = request.parameters().triggers.iter().map(ToString::to_string).collect();
            let id = request.uuid().map(ToString::to_string).unwrap_or_default();
            [request.package().to_string(), triggers.join(" "), id]
        }
        Err(_) => [shown(body).escape_debug().take(60).collect(), String::new(), String::new()],
    };
    let [package, triggers, id] = cells.map(Cell::new);
    vec![Cell::new(state), package, triggers, id, Cell::new(reason)]
}
