//! Taking requests out of their queues that a newer commit has made needless, or whose pull request was closed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::sleep;
use tracing::info;

use super::journal::{Journal, JournalError};
use super::{PullTest, Stage};
use crate::broker::{Broker, BrokerError, Message, Pile};
use crate::release::QueueName;
use crate::request::Request;

/// So often a request is looked for in its queue and at the workers.
const LOOKS: u32 = 3;
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Why requests could not be taken out.
#[derive(Debug, thiserror::Error)]
pub enum WithdrawError {
    /// The queue.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Takes out what is to be taken out, one queue after the other. What is not in its queue runs, or has ended: that shows by itself.
///
/// If this process dies in the middle, what is out is found to be gone, and ends as what it is.
///
/// # Errors
/// When a queue or the journal cannot be used. What is left stays to be taken out; one queue keeps no other one from being looked at.
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
        for pile in [Pile::Ready, Pile::Delayed] {
            for uuid in take_out(broker, queue, pile, wanted.clone()).await? {
                wanted.remove(&uuid);
                if let Some(test) = reasons.get(&uuid) {
                    info!(queue = %queue, uuid, "taken out: {}", test.reason);
                    journal.end_untested(test.uuid.clone(), &test.reason, false).await?;
                }
            }
        }
        for uuid in running(broker).await? {
            if let Some(test) = reasons.get(&uuid).filter(|_| wanted.remove(&uuid)) {
                journal.leave(test.uuid.clone()).await?;
            }
        }
        if wanted.is_empty() || look == LOOKS {
            break;
        }
        // Somebody else may have had the queue's messages in his hands.
        sleep(PAUSE).await;
    }
    for test in wanted.iter().filter_map(|uuid| reasons.get(uuid)) {
        journal.leave(test.uuid.clone()).await?;
    }
    Ok(())
}

async fn running(broker: &Broker) -> Result<Vec<String>, BrokerError> {
    let id = |body: &[u8]| Some(Request::parse(body).ok()?.uuid()?.to_string());
    Ok(broker.running().await?.iter().filter_map(|test| id(&test.body)).collect())
}

async fn take_out(
    broker: &Broker,
    queue: &QueueName,
    pile: Pile,
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
        // Nothing waits in a queue that is not there.
        Err(BrokerError::NoSuchQueue { .. }) => return Ok(HashSet::new()),
        // It stays, and runs needlessly: of a queue that cannot be looked into, nothing is taken out without harm to the others.
        Err(BrokerError::Opaque(opaque)) => {
            info!("requests that are no longer needed stay in their queue: {}", opaque.line());
            return Ok(HashSet::new());
        }
        Err(error) => return Err(error),
    }
    let taken = std::mem::take(&mut *taken.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(taken)
}
