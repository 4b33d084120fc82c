//! Removal of messages from queues: plan, confirm, save, remove, report.
//!
//! The same rule chooses messages twice: for the plan, and again among those that are there at the removal, because
//! workers continue meanwhile. A request that a worker has taken in between stays with it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use apt_ci::broker::{Broker, BrokerError, Message, MessageState, Opaque, QueueContents};
use apt_ci::release::QueueName;
use apt_ci::request::{Request, RequestId};
use apt_ci::site::Site;
use apt_ci::submitted::Notes;
use serde_json::{Value, json};

use super::show::{contents, document, request_cells, short_ids};
use crate::request_ref::{self, Candidate};
use crate::session::{Session, inspect};
use crate::ui::ask;
use crate::ui::error::{CommandError, CommandResult, ErrorContext as _, NotFound};
use crate::ui::exit::ExitStatus;
use crate::ui::interrupt;
use crate::ui::opaque_lines;
use crate::ui::table::{self, Cell, Column};
use crate::undo_file::{UndoFile, UnfinishedUndoFile};

/// Folder of removed requests, in the site's state folder.
const UNDO_FOLDER: &str = "removed";

/// Maximum number of requests that are shown in a confirmation.
const MAX_SHOWN: usize = 20;

/// Columns of removed requests. Nothing is cut, because confirmations show them.
const COLUMNS: [Column<'_>; 5] = [
    Column::new("QUEUE"),
    Column::new("PACKAGE").wrap(),
    Column::new("TRIGGERS").wrap().least(12),
    Column::new("REQUEST"),
    Column::new("REASON").wrap().least(12),
];

#[derive(clap::Args)]
pub struct RemovalArgs {
    /// Show what would be done
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,
}

/// Returns the places of the messages that are meant, among the messages of a pile in their order.
pub type Rule = Arc<dyn Fn(&[Message]) -> Vec<usize> + Send + Sync>;

/// Destination of removed messages.
#[derive(Clone, PartialEq, Eq)]
pub enum Destination {
    /// A file.
    UndoFile,
    /// The end of this queue.
    Queue(QueueName),
    /// The end of the queue that each message came from.
    Origin,
}

/// A removal: of which messages, from which queues, to which destination.
pub struct Removal {
    /// The queues. A queue that does not exist is an error if the user has named it.
    pub queues: QueueSelection,
    /// Delayed messages come first: one whose delay ends meanwhile is then found among the ready ones.
    pub piles: &'static [MessageState],
    /// Whether the rule chooses every message, so that none has to be put back.
    pub is_everything: bool,
    /// Only requests with these ids, each whole or its beginning; any request when there are none.
    pub ids: Vec<RequestId>,
    pub rule: Rule,
    pub destination: Destination,
    /// Message when there is nothing to remove.
    pub nothing: &'static str,
}

impl Removal {
    /// Lets the rule choose only requests whose ids are meant.
    fn narrow(&mut self, is_meant: impl Fn(&RequestId) -> bool + Send + Sync + 'static) {
        let rule = Arc::clone(&self.rule);
        self.rule = Arc::new(move |messages: &[Message]| {
            let mut places = rule(messages);
            places.retain(|place| messages.get(*place).and_then(id).is_some_and(|id| is_meant(&id)));
            places
        });
    }
}

/// Returns the id of a request.
fn id(message: &Message) -> Option<RequestId> {
    Request::parse(&message.body).ok()?.uuid().cloned()
}

/// Returns the ids of the requests that the texts name, each by its id or the beginning of it.
///
/// # Errors
/// When a text names no request, or several.
fn whole_ids(texts: &[RequestId], taken: &[RemovedMessage]) -> CommandResult<HashSet<RequestId>> {
    let ids: Vec<RequestId> = taken.iter().filter_map(|taken| id(&taken.message)).collect();
    let mut whole = HashSet::new();
    for text in texts {
        let candidates = ids.iter().map(|id| Candidate { id: id.as_str(), package: None });
        let place = request_ref::find(text.as_str(), candidates)?;
        let id = place.and_then(|place| ids.get(place)).ok_or_else(|| NotFound {
            message: format!("no request {text} found in the searched queues; nothing was changed"),
            hint: "run `apt-ci queues QUEUE` to list queued requests, `apt-ci queues dead` to list dead letters",
        })?;
        whole.insert(id.clone());
    }
    Ok(whole)
}

/// Queues, and whether the user has named them.
pub enum QueueSelection {
    ByUser(Vec<QueueName>),
    BySite(Vec<QueueName>),
}

impl QueueSelection {
    /// Returns the named queues, or else all of the site.
    pub fn or_all(queues: Vec<QueueName>, site: &Site) -> Self {
        if queues.is_empty() { Self::BySite(site.queues()) } else { Self::ByUser(queues) }
    }
}

/// A message that was, or would be, removed.
struct RemovedMessage {
    queue: QueueName,
    message: Message,
}

/// Messages that would be removed.
#[derive(Default)]
struct Plan {
    messages: Vec<RemovedMessage>,
    /// Numbers of messages that cannot be shown before their removal, each with the reason.
    unseen: Vec<(u64, Opaque)>,
    queues: Vec<QueueName>,
}

impl Plan {
    fn count(&self) -> usize {
        let unseen: u64 = self.unseen.iter().map(|(count, _)| count).sum();
        self.messages.len() + usize::try_from(unseen).unwrap_or(usize::MAX)
    }

    fn tell_unseen(&self, session: &Session) {
        for (count, opaque) in &self.unseen {
            session.ui.note(format!("{count} of these requests are not shown: {}", opaque_lines(opaque)));
        }
    }
}

pub async fn run(
    mut removal: Removal,
    args: &RemovalArgs,
    session: &Session,
    site: &Site,
) -> CommandResult<ExitStatus> {
    let asks = !args.dry_run && !args.yes;
    let broker = session.broker(site).await?;
    if let Destination::Queue(to) = &removal.destination {
        must_exist(to, &broker, site).await?;
    }
    let is_removal = removal.destination == Destination::UndoFile;
    if !is_removal && !args.dry_run {
        broker.takes_messages().await?;
    }
    let unfinished = if is_removal { UnfinishedUndoFile::all(site, UNDO_FOLDER) } else { Vec::new() };
    for one in &unfinished {
        session.ui.note(one.said());
    }
    let beginnings = removal.ids.clone();
    if !beginnings.is_empty() {
        let given = beginnings.clone();
        removal.narrow(move |id| given.iter().any(|beginning| id.as_str().starts_with(beginning.as_str())));
    }
    let mut planned = plan(&removal, &broker, site).await?;
    if !beginnings.is_empty() {
        let whole = whole_ids(&beginnings, &planned.messages)?;
        planned.messages.retain(|taken| id(&taken.message).is_some_and(|id| whole.contains(&id)));
        // A request that comes later with the same beginning is another one.
        removal.narrow(move |id| whole.contains(id));
    }
    if planned.count() == 0 {
        session.ui.note(removal.nothing);
        report(&[], session)?;
        if !args.dry_run {
            unfinished.into_iter().for_each(UnfinishedUndoFile::forget);
        }
        return Ok(ExitStatus::Success);
    }
    let words = Words { destination: &removal.destination };
    if args.dry_run {
        report(&planned.messages, session)?;
        planned.tell_unseen(session);
        session.ui.note(words.would(planned.count()));
        return Ok(ExitStatus::Success);
    }
    if asks {
        ask::require_terminal()?;
        show(&planned.messages[..planned.messages.len().min(MAX_SHOWN)], session, true)?;
        if planned.messages.len() > MAX_SHOWN {
            session.ui.note(format!("… and {} more", planned.messages.len() - MAX_SHOWN));
        }
        planned.tell_unseen(session);
        if !ask::confirm(words.question(planned.count())).await? {
            session.ui.note("Nothing was changed.");
            return Ok(ExitStatus::Failure);
        }
    }
    if let Destination::Queue(to) = &removal.destination
        && site.queues().contains(to)
    {
        broker.declare(std::slice::from_ref(to)).await?;
    }
    let record = UndoFile::of_now(site, UNDO_FOLDER);
    let taken = Arc::new(Mutex::new(Vec::new()));
    let outcome = tokio::select! {
        outcome = take(&removal, &planned.queues, &record, &taken, &broker) => outcome,
        _ = interrupt::ctrl_c() => Err(CommandError::failure("interrupted")),
    };
    let taken = std::mem::take(&mut *taken.lock().unwrap_or_else(PoisonError::into_inner));
    if let Err(error) = outcome {
        return Err(match (&removal.destination, taken.is_empty()) {
            (_, true) => error,
            (Destination::UndoFile, false) => error
                .context(format!("some requests recorded in {} may still be in their queue", record.path().display())),
            (_, false) => error.context("some of the requests may still be in their queue"),
        });
    }
    broker.close().await;
    let requests: Vec<Request> = taken.iter().filter_map(|taken| Request::parse(&taken.message.body).ok()).collect();
    if is_removal {
        Notes::of(&site.state_dir, &site.queue.value).forget(requests.iter().filter_map(Request::uuid));
    }
    // A user who was asked has seen them.
    if !asks || session.ui.is_json {
        report(&taken, session)?;
    }
    session.ui.note(words.done(taken.len(), planned.count(), &record));
    // After the file is named: a killed call leaves that to the next one.
    record.finish();
    unfinished.into_iter().for_each(UnfinishedUndoFile::forget);
    Ok(ExitStatus::Success)
}

/// Refuses a queue that does not exist, unless it is one of the site's own, which are created.
async fn must_exist(queue: &QueueName, broker: &Broker, site: &Site) -> CommandResult<()> {
    if !site.queues().contains(queue) && broker.existing(std::slice::from_ref(queue)).await?.is_empty() {
        let nearest = broker.nearest(queue, &site.queues()).await?;
        return Err(BrokerError::NoSuchQueue { queue: queue.clone(), nearest }.into());
    }
    Ok(())
}

/// Returns what would be removed now.
///
/// # Errors
/// Those of the broker, and a queue that cannot be listed although only some of its messages are meant.
async fn plan(removal: &Removal, broker: &Broker, site: &Site) -> CommandResult<Plan> {
    let mut planned = Plan::default();
    let queues = match &removal.queues {
        QueueSelection::ByUser(queues) => queues.clone(),
        // Most queues are empty most of the time.
        QueueSelection::BySite(queues) => {
            let states = inspect(broker, queues, site).await?;
            let filled = states.into_iter().filter(|state| state.ready + state.delayed + state.dead > 0);
            filled.map(|state| state.queue).collect()
        }
    };
    for queue in queues {
        let contents = contents(broker, &queue, usize::MAX, site).await?;
        let before = planned.count();
        for pile in removal.piles {
            if let Some(opaque) = hidden(&contents, *pile) {
                if !removal.is_everything {
                    return Err(BrokerError::Opaque(Box::new(opaque.clone())).into());
                }
                let state = broker.inspect(std::slice::from_ref(&queue)).await?.pop();
                let count = state.map_or(0, |state| if *pile == MessageState::Dead { state.dead } else { state.ready });
                planned.unseen.push((count, opaque.clone()));
                continue;
            }
            let messages = messages(&contents, *pile);
            let chosen = (removal.rule)(&messages);
            let mut messages: Vec<Option<Message>> = messages.into_iter().map(Some).collect();
            let chosen = chosen.into_iter().filter_map(|place| messages.get_mut(place)?.take());
            planned.messages.extend(chosen.map(|message| RemovedMessage { queue: queue.clone(), message }));
        }
        if planned.count() > before {
            planned.queues.push(queue);
        }
    }
    Ok(planned)
}

/// Returns why a pile cannot be seen, if so.
fn hidden(contents: &QueueContents, pile: MessageState) -> Option<&Opaque> {
    match pile {
        MessageState::Ready => contents.hidden.as_ref(),
        MessageState::Delayed => None,
        MessageState::Dead => contents.hidden_dead.as_ref(),
    }
}

fn messages(contents: &QueueContents, pile: MessageState) -> Vec<Message> {
    let plain = |bodies: &[Vec<u8>]| bodies.iter().map(|body| Message { body: body.clone(), reason: None }).collect();
    match pile {
        MessageState::Ready => plain(&contents.ready),
        MessageState::Delayed => plain(&contents.delayed),
        MessageState::Dead => {
            let letters = contents.dead.iter();
            letters.map(|letter| Message { body: letter.body.clone(), reason: Some(letter.reason.clone()) }).collect()
        }
    }
}

async fn take(
    removal: &Removal,
    queues: &[QueueName],
    record: &UndoFile,
    taken: &Arc<Mutex<Vec<RemovedMessage>>>,
    broker: &Broker,
) -> CommandResult<()> {
    for queue in queues {
        for pile in removal.piles {
            let (rule, record, taken, of) =
                (Arc::clone(&removal.rule), record.clone(), Arc::clone(taken), queue.clone());
            let to = match &removal.destination {
                Destination::UndoFile => None,
                Destination::Queue(to) => Some(to),
                Destination::Origin => Some(queue),
            };
            let is_written_down = to.is_none();
            let choice = move |messages: &[Message]| {
                let chosen = rule(messages);
                let meant: Vec<&Message> = chosen.iter().filter_map(|place| messages.get(*place)).collect();
                if is_written_down {
                    let bodies: Vec<&[u8]> = meant.iter().map(|message| message.body.as_slice()).collect();
                    record.add(&of, &bodies)?;
                }
                let meant =
                    meant.into_iter().map(|message| RemovedMessage { queue: of.clone(), message: message.clone() });
                taken.lock().unwrap_or_else(PoisonError::into_inner).extend(meant);
                Ok(chosen)
            };
            let outcome = match removal.is_everything {
                true => broker.take_everything(queue, *pile, to, Box::new(choice)).await,
                false => broker.take_out(queue, *pile, to, Box::new(choice)).await,
            };
            outcome.with_context(|| format!("at {queue}"))?;
        }
    }
    Ok(())
}

fn report(taken: &[RemovedMessage], session: &Session) -> CommandResult<()> {
    if session.ui.is_json {
        let list: Vec<Value> = taken
            .iter()
            .map(|RemovedMessage { queue, message }| {
                let mut one = document(&message.body);
                one["queue"] = json!(queue);
                if let Some(reason) = &message.reason {
                    one["reason"] = json!(reason);
                }
                one
            })
            .collect();
        return session.ui.json(&list);
    }
    show(taken, session, false)
}

/// Shows messages: with `asking` for a confirmation, otherwise as the outcome, which is data.
fn show(taken: &[RemovedMessage], session: &Session, asking: bool) -> CommandResult<()> {
    if asking && session.ui.is_json {
        return Ok(());
    }
    let ids = short_ids(taken.iter().map(|taken| taken.message.body.as_slice()));
    let rows: Vec<Vec<Cell>> = taken
        .iter()
        .map(|RemovedMessage { queue, message }| {
            let [package, triggers, id] = request_cells(&message.body, &ids);
            let reason = message.reason.as_deref().unwrap_or_default();
            vec![Cell::new(queue), package, triggers, id, Cell::new(reason)]
        })
        .collect();
    table::print(&session.ui, &COLUMNS, &rows)
}

/// Sentences about a removal.
struct Words<'a> {
    destination: &'a Destination,
}

impl Words<'_> {
    fn would(&self, count: usize) -> String {
        match self.destination {
            Destination::UndoFile => format!("Would remove {}.", requests(count)),
            Destination::Queue(to) => format!("Would move {} to {to}.", requests(count)),
            Destination::Origin => format!("Would put {} back into {}.", requests(count), their_queue(count)),
        }
    }

    fn question(&self, count: usize) -> String {
        match self.destination {
            Destination::UndoFile => format!("Remove {}?", requests(count)),
            Destination::Queue(to) => format!("Move {} to {to}?", requests(count)),
            Destination::Origin => format!("Put {} back into {}?", requests(count), their_queue(count)),
        }
    }

    fn done(&self, count: usize, planned: usize, record: &UndoFile) -> String {
        let mut said = match self.destination {
            Destination::UndoFile => format!("Removed {}.", requests(count)),
            Destination::Queue(to) => format!("Moved {} to {to}.", requests(count)),
            Destination::Origin => format!("Put {} back into {}.", requests(count), their_queue(count)),
        };
        if let Some(gone) = planned.checked_sub(count).filter(|gone| *gone > 0) {
            said.push_str(&format!(" Workers took {gone} in the meantime."));
        }
        if record.path().exists() {
            said.push_str(&format!(
                " Run `apt-ci run --batch {}` to restore what was removed (--force for duplicates).",
                record.path().display()
            ));
        }
        if record.others().exists() {
            said.push_str(&format!(" Malformed messages are kept in {}.", record.others().display()));
        }
        said
    }
}

fn their_queue(count: usize) -> &'static str {
    if count == 1 { "its queue" } else { "their queues" }
}

fn requests(count: usize) -> String {
    if count == 1 { "1 request".to_owned() } else { format!("{count} requests") }
}
