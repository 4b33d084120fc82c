//! Requests of users over the web: their results, and what becomes of those that the broker has not confirmed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use tracing::info;

use super::journal::{Journal, UserRequest};
use super::result_collector::{
    CollectError, KnownRequests, MAX_CLOCK_SKEW, SearchSummary, end_of, known_requests, queue_again, search,
};
use crate::broker::{Broker, BrokerError};
use crate::follow::{FollowedRequest, Stage};
use crate::release::QueueName;
use crate::request::RequestId;
use crate::request::line::Submission;
use crate::runs;
use crate::store::Store;

/// Time for which a missing result is not searched again when the page of its request is viewed.
const RESULT_SEARCH_TTL: SignedDuration = SignedDuration::from_secs(10);

/// Returns a request of a user, with its result if there is one.
///
/// # Errors
/// When the journal or the store cannot be used.
pub async fn find(
    journal: &Journal,
    store: &Store,
    uuid: RequestId,
    now: Timestamp,
) -> Result<Option<UserRequest>, CollectError> {
    let Some(mut asked) = journal.user_request(uuid.clone()).await? else { return Ok(None) };
    let is_fresh = now.duration_since(asked.checked).abs() < RESULT_SEARCH_TTL;
    if !asked.outcome.is_empty() || is_fresh {
        return Ok(Some(asked));
    }
    let runs = runs::since(store, &asked.container, &asked.prefix, asked.created - MAX_CLOCK_SKEW).await?;
    let run = runs.into_iter().find(|run| run.summary.uuid.as_deref() == Some(uuid.as_str()));
    let found = match &run {
        Some(run) => {
            let (_, words, link) = end_of(store, run).await?;
            Some((words, link))
        }
        None => None,
    };
    asked.checked = now;
    if let Some((outcome, link)) = &found {
        (asked.outcome, asked.link) = (outcome.clone(), link.clone());
    }
    journal.note_result_search(uuid, now, found).await?;
    Ok(Some(asked))
}

/// Queues the requests that were recorded before a time, may not be queued, and cannot be found. Younger ones are left
/// to the task that recorded them.
///
/// # Errors
/// When the queue server or the journal cannot be used. Other failures are in the returned value, and do not affect
/// other requests.
pub async fn settle(
    journal: &Journal,
    broker: &Broker,
    store: &Store,
    before: Timestamp,
) -> Result<SearchSummary, CollectError> {
    let mut looked = SearchSummary::default();
    let in_doubt = journal.unconfirmed_user_requests(before).await?;
    let queues: BTreeSet<QueueName> = in_doubt.iter().map(|one| one.queue.clone()).collect();
    let queues: Vec<QueueName> = queues.into_iter().collect();
    let KnownRequests { snapshot, unreadable } = known_requests(broker, &queues, &mut looked).await?;
    let mut missing: BTreeMap<String, Vec<(FollowedRequest, Submission)>> = BTreeMap::new();
    for submission in in_doubt {
        let Submission { queue, request } = &submission;
        let Some(uuid) = request.uuid().cloned() else { continue };
        if snapshot.is_alive(&uuid) {
            is_queued(uuid, journal).await?;
        } else if !unreadable.contains(queue) {
            let one = FollowedRequest::new(uuid, request, queue);
            missing.entry(one.place.container.clone()).or_default().push((one, submission));
        }
    }
    for of_container in missing.into_values() {
        let (mut followed, submissions): (Vec<FollowedRequest>, Vec<Submission>) = of_container.into_iter().unzip();
        if let Err(error) = search(&mut followed, broker, store).await {
            looked.fail(error);
            continue;
        }
        for (one, submission) in followed.into_iter().zip(submissions) {
            let settled = match one.stage {
                // It may be in a queue whose contents cannot be read; a test that runs twice is better than one that is
                // lost.
                Stage::Gone | Stage::Unseen => queue(one.uuid, &submission, journal, broker).await,
                _ => is_queued(one.uuid, journal).await,
            };
            if let Err(error) = settled {
                looked.fail(error);
            }
        }
    }
    Ok(looked)
}

async fn is_queued(uuid: RequestId, journal: &Journal) -> Result<(), CollectError> {
    info!(%uuid, "what was asked for before is queued");
    Ok(journal.mark_user_requests_queued(vec![uuid]).await?)
}

async fn queue(
    uuid: RequestId,
    submission: &Submission,
    journal: &Journal,
    broker: &Broker,
) -> Result<(), CollectError> {
    match queue_again(submission, broker).await {
        Ok(()) => is_queued(uuid, journal).await,
        Err(BrokerError::NoSuchQueue { queue, .. }) => {
            Ok(journal.end_user_request(uuid, &format!("there is no queue {queue}")).await?)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::QueueUrl;
    use crate::request::Request;
    use crate::store::folder::FolderStore;

    #[test]
    fn what_is_not_certain_to_be_queued_is_looked_for_and_queued_under_its_id() {
        let folder = tempfile::TempDir::new().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let broker = Broker::connect(&QueueUrl::Local(folder.path().join("queue"))).await.unwrap();
            let store = Store::Folder(FolderStore::new(&folder.path().join("store")));
            let journal = Journal::open(&Journal::path(folder.path())).unwrap();
            let submission = |release: &str, uuid: &str| Submission {
                queue: format!("debci-{release}-amd64").parse().unwrap(),
                request: Request::parse(format!(r#"thing {{"uuid": "{uuid}"}}"#).as_bytes()).unwrap(),
            };
            let [lost, there, homeless] = [("noble", "lost"), ("noble", "there"), ("sid", "homeless")]
                .map(|(release, uuid)| submission(release, uuid));
            broker.declare(std::slice::from_ref(&lost.queue)).await.unwrap();
            let now = Timestamp::now();
            journal.record_user_requests(vec![lost.clone(), there.clone(), homeless.clone()], now).await.unwrap();
            broker.submit(std::slice::from_ref(&there), &[], &mut |_| {}).await.unwrap();
            // Too young: still left to the task that recorded it.
            settle(&journal, &broker, &store, now).await.unwrap();
            assert_eq!(journal.unconfirmed_user_requests(Timestamp::MAX).await.unwrap().len(), 3);
            let looked = settle(&journal, &broker, &store, Timestamp::MAX).await.unwrap();
            assert!(looked.failure.is_none(), "{looked:?}");
            assert_eq!(journal.unconfirmed_user_requests(Timestamp::MAX).await.unwrap(), []);
            let contents = broker.contents(&lost.queue, usize::MAX).await.unwrap();
            let wires: Vec<Vec<u8>> = [&there, &lost].map(|one| one.request.to_wire().into_bytes()).into();
            assert_eq!(contents.ready, wires, "one of each");
            let asked = find(&journal, &store, "homeless".parse().unwrap(), now).await.unwrap().unwrap();
            assert_eq!(asked.outcome, "not tested: there is no queue debci-sid-amd64");
        });
    }
}
