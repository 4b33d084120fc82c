//! Finding out how the tests of pull requests end: from their results, and for those that have none, from where their requests are.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tracing::info;

use super::journal::{Journal, JournalError};
use super::{PullTest, Stage};
use crate::broker::{Broker, BrokerError};
use crate::follow::{self, FollowError, Followed, Follower};
use crate::forge::status::{State, of_outcome};
use crate::release::QueueName;
use crate::request::line::Submission;
use crate::request::{Request, RequestId};
use crate::result::layout::LOG;
use crate::runs::{self, StoredRun};
use crate::store::{Store, StoreError};

/// Between two looks for requests that are between two hands.
const PAUSE: Duration = Duration::from_secs(1);
/// After so many looks everything is either somewhere or gone.
const LOOKS: u32 = 15;
/// So many that are nowhere are looked for at once, the oldest first.
const AT_ONCE: usize = 500;
/// A result may carry an earlier time than its request, when two clocks differ.
const SKEW: SignedDuration = SignedDuration::from_hours(1);

/// Why it could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The queue.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl From<FollowError> for WatchError {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Broker(error) => Self::Broker(error),
            FollowError::Store(error) => Self::Store(error),
        }
    }
}

/// What `testcomplete.fanout` tells that says where to look.
#[derive(Debug, Deserialize)]
pub struct Completed {
    release: String,
    architecture: String,
    package: String,
}

impl Completed {
    /// Reads a message of any program's worker.
    pub fn parse(message: &[u8]) -> Option<Self> {
        serde_json::from_slice(message).ok()
    }

    /// Whether results whose names begin so are meant: `RELEASE/ARCH/PREFIX/PACKAGE/`.
    fn is_about(&self, prefix: &str) -> bool {
        prefix.starts_with(&format!("{}/{}/", self.release, self.architecture))
            && prefix.ends_with(&format!("/{}/", self.package))
    }
}

/// Ends the tests whose results are in the store: all, or those that were told of. One listing for each package that has open tests.
///
/// # Errors
/// When the store or the journal cannot be used.
pub async fn results(journal: &Journal, store: &Store, about: Option<&Completed>) -> Result<usize, WatchError> {
    let mut ended = 0;
    for (container, prefix, first) in journal.open_places().await? {
        if !about.is_none_or(|completed| completed.is_about(&prefix)) {
            continue;
        }
        let runs = runs::since(store, &container, &prefix, first - SKEW).await?;
        let uuids: Vec<String> = runs.iter().filter_map(|run| run.summary.uuid.clone()).collect();
        let open = if uuids.is_empty() { HashSet::new() } else { journal.open_among(uuids).await? };
        for run in runs {
            let uuid = run.summary.uuid.as_ref().filter(|uuid| open.contains(*uuid)).and_then(|uuid| uuid.parse().ok());
            if let Some(uuid) = uuid {
                end(journal, store, uuid, &run).await?;
                ended += 1;
            }
        }
    }
    Ok(ended)
}

async fn end(journal: &Journal, store: &Store, uuid: RequestId, run: &StoredRun) -> Result<(), WatchError> {
    let (state, words) = of_outcome(run.outcome());
    let link = store.locate(&run.container, &run.object(LOG)).await?;
    // Only what a browser can open.
    let link = if link.starts_with("http") { link } else { String::new() };
    info!(%uuid, %state, "ended");
    let words = match (state, run.summary.duration) {
        (State::Error, _) => words.to_owned(),
        (_, seconds @ ..120) => format!("{words} after {seconds} s"),
        (_, seconds) => format!("{words} after {} min", seconds.div_ceil(60)),
    };
    journal.end(uuid, state, words, link).await?;
    Ok(())
}

/// Finds out where the requests of tests in these stages are that were asked for before a time: those that are written down and may not be
/// queued are queued; those that are nowhere any more, or dead letters, end. Of younger ones somebody else takes care.
///
/// # Errors
/// When the queue, the store or the journal cannot be used.
pub async fn requests(
    journal: &Journal,
    broker: &Broker,
    store: &Store,
    stages: &[Stage],
    before: Timestamp,
) -> Result<usize, WatchError> {
    let mut tests = Vec::new();
    for stage in stages {
        let asked = journal.requests(*stage, before).await?;
        let queues: BTreeSet<&QueueName> = asked.iter().map(|(_, queue)| queue).collect();
        let there = there(broker, &queues.into_iter().cloned().collect::<Vec<_>>()).await?;
        for (uuid, _) in asked {
            if !there.contains(uuid.as_str()) {
                if tests.len() < AT_ONCE {
                    tests.extend(journal.test(uuid).await?);
                }
            } else if *stage == Stage::Received {
                journal.confirm(uuid).await?;
            }
        }
    }
    if tests.is_empty() {
        return Ok(0);
    }
    let follow = |test: &PullTest| Followed::new(test.uuid.clone(), &test.submission.request, &test.submission.queue);
    let mut followed: Vec<Followed> = tests.iter().map(follow).collect();
    let mut follower = Follower::new(broker, store);
    for look in 1..=LOOKS {
        follower.look(&mut followed).await?;
        if followed.iter().all(|one| one.stage != follow::Stage::Unseen) || look == LOOKS {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let mut ended = 0;
    for (test, one) in tests.into_iter().zip(followed) {
        match one.stage {
            follow::Stage::Done { run } => end(journal, store, test.uuid, &run).await?,
            follow::Stage::Dead { reason } => {
                journal.end(test.uuid, State::Error, format!("not tested: {reason}"), String::new()).await?;
            }
            follow::Stage::Gone if test.stage == Stage::Received => {
                submit(broker, &test.submission).await?;
                info!(uuid = %test.uuid, "queued what was received before");
                journal.confirm(test.uuid).await?;
                continue;
            }
            follow::Stage::Gone => {
                let reason = if test.reason.is_empty() { "taken out of its queue" } else { &test.reason };
                journal.gone(test.uuid, format!("not tested: {reason}")).await?;
            }
            _ if test.stage == Stage::Received => {
                journal.confirm(test.uuid).await?;
                continue;
            }
            _ => continue,
        }
        ended += 1;
    }
    Ok(ended)
}

/// The ids of all requests that wait in these queues, or run.
async fn there(broker: &Broker, queues: &[QueueName]) -> Result<HashSet<String>, BrokerError> {
    let mut there = HashSet::new();
    if queues.is_empty() {
        return Ok(there);
    }
    let id = |body: &[u8]| Some(Request::parse(body).ok()?.uuid()?.to_string());
    there.extend(broker.running().await?.iter().filter_map(|test| id(&test.body)));
    for state in broker.inspect(queues).await? {
        if state.ready + state.delayed + state.claimed == 0 {
            continue;
        }
        match broker.contents(&state.queue, usize::MAX).await {
            // Somebody has deleted it meanwhile.
            Err(BrokerError::NoSuchQueue { .. }) => {}
            other => {
                let contents = other?;
                let bodies = contents.ready.iter().chain(&contents.delayed).chain(&contents.claimed);
                there.extend(bodies.filter_map(|body| id(body)));
            }
        }
    }
    Ok(there)
}

async fn submit(broker: &Broker, submission: &Submission) -> Result<(), BrokerError> {
    broker.submit(std::slice::from_ref(submission), &[], &mut |_| {}).await
}
