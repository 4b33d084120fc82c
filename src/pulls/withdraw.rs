//! Removal of requests from their queues, because a newer commit supersedes them or their pull request was closed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::sleep;
use tracing::info;

use super::journal::{Journal, JournalError};
use super::{PullTest, Stage};
use crate::broker::{Broker, BrokerError, Message, MessageState, Snapshot};
use crate::release::QueueName;
use crate::request::Request;

/// Maximum number of searches for a request in its queue and at the workers.
const MAX_POLLS: u32 = 3;
/// Interval between searches.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Reason why requests could not be removed.
#[derive(Debug, thiserror::Error)]
pub enum WithdrawError {
    /// The queue.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Removes the requests of withdrawn tests, one queue after the other. A test whose request is not in its queue runs or
/// has ended, and continues as usual.
///
/// If this process dies in between, the removed requests are found to be gone, and their tests end.
///
/// # Errors
/// When a queue or the journal cannot be used. The other queues are processed nevertheless; the rest stays withdrawn.
pub async fn withdraw(journal: &Journal, broker: &Broker) -> Result<(), WithdrawError> {
    let mut queues: BTreeMap<QueueName, Vec<PullTest>> = BTreeMap::new();
    for test in journal.in_stage(Stage::Withdrawn).await? {
        queues.entry(test.submission.queue.clone()).or_default().push(test);
    }
    let mut failure = None;
    for (queue, tests) in queues {
        if let Err(error) = of_queue(journal, broker, &queue, &tests).await {
            failure = failure.or(Some(error));
        }
    }
    failure.map_or(Ok(()), Err)
}

async fn of_queue(
    journal: &Journal,
    broker: &Broker,
    queue: &QueueName,
    tests: &[PullTest],
) -> Result<(), WithdrawError> {
    let reasons: HashMap<String, &PullTest> = tests.iter().map(|test| (test.uuid.to_string(), test)).collect();
    let mut wanted: HashSet<String> = reasons.keys().cloned().collect();
    for look in 1.. {
        for pile in [MessageState::Ready, MessageState::Delayed] {
            for uuid in take_out(broker, queue, pile, wanted.clone()).await? {
                wanted.remove(&uuid);
                if let Some(test) = reasons.get(&uuid) {
                    info!(queue = %queue, uuid, "taken out: {}", test.reason);
                    journal.end_untested(test.uuid.clone(), &test.reason, false).await?;
                }
            }
        }
        let mut snapshot = Snapshot::default();
        snapshot.add_running(broker).await?;
        for uuid in snapshot.requests().iter().filter_map(|located| located.request.uuid()) {
            if let Some(test) = reasons.get(uuid.as_str()).filter(|_| wanted.remove(uuid.as_str())) {
                journal.cancel_withdrawal(test.uuid.clone()).await?;
            }
        }
        if wanted.is_empty() || look == MAX_POLLS {
            break;
        }
        // Another client may have held the queue's messages.
        sleep(POLL_INTERVAL).await;
    }
    for test in wanted.iter().filter_map(|uuid| reasons.get(uuid)) {
        journal.cancel_withdrawal(test.uuid.clone()).await?;
    }
    Ok(())
}

async fn take_out(
    broker: &Broker,
    queue: &QueueName,
    pile: MessageState,
    wanted: HashSet<String>,
) -> Result<HashSet<String>, BrokerError> {
    let taken = Arc::new(Mutex::new(HashSet::new()));
    let chosen = Arc::clone(&taken);
    let choice = move |messages: &[Message]| {
        let mut places = Vec::new();
        let mut chosen = chosen.lock().unwrap_or_else(PoisonError::into_inner);
        for (place, message) in messages.iter().enumerate() {
            let id = Request::parse(&message.body).ok().and_then(|request| request.uuid().map(ToString::to_string));
            if let Some(id) = id.filter(|id| wanted.contains(id)) {
                places.push(place);
                chosen.insert(id);
            }
        }
        Ok(places)
    };
    match broker.take_out(queue, pile, None, Box::new(choice)).await {
        Ok(_) => {}
        // A missing queue contains nothing.
        Err(BrokerError::NoSuchQueue { .. }) => return Ok(HashSet::new()),
        // The requests stay and run: where the contents cannot be read, no request can be removed without harm to the
        // others.
        Err(BrokerError::Opaque(opaque)) => {
            info!("requests that are no longer needed stay in their queue: {}", opaque.line());
            return Ok(HashSet::new());
        }
        Err(error) => return Err(error),
    }
    let taken = std::mem::take(&mut *taken.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(taken)
}
