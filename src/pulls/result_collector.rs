//! Collecting of the outcomes of pull requests' tests: from their results, or, without a result, from where their
//! requests are.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tracing::info;

use super::journal::{Journal, JournalError};
use super::{PullTest, Stage};
use crate::broker::{Broker, BrokerError, Snapshot};
use crate::follow::{self, FollowError, FollowedRequest, Follower};
use crate::forge::status::{State, of_outcome};
use crate::release::QueueName;
use crate::request::RequestId;
use crate::request::line::Submission;
use crate::result::ResultLocation;
use crate::result::layout::LOG;
use crate::runs::{self, StoredRun};
use crate::status::TestComplete;
use crate::store::{Store, StoreError};

/// Interval between searches for requests that are on the way from one place to another.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum number of searches. A request that none of them finds is gone.
const MAX_POLLS: u32 = 15;
/// Maximum difference of two clocks, by which a result may be older than its request.
pub(super) const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(1);

/// Reason why outcomes could not be collected.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
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

impl From<FollowError> for CollectError {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Broker(error) => Self::Broker(error),
            FollowError::Store(error) => Self::Store(error),
        }
    }
}

/// Ends the tests whose results are in the store, or only those that a message is about. Lists each package with open
/// tests once.
///
/// # Errors
/// When the journal cannot be used. Failures of the store are in the returned value, and do not affect other
/// containers.
pub async fn results(
    journal: &Journal,
    store: &Store,
    about: Option<&TestComplete>,
) -> Result<SearchSummary, CollectError> {
    let mut looked = SearchSummary::default();
    for place in journal.open_places().await? {
        if about.is_none_or(|completed| completed.is_about(&place.1)) {
            match results_at(journal, store, place).await {
                Ok(some) => looked.ended += some,
                Err(error) => looked.fail(error),
            }
        }
    }
    Ok(looked)
}

async fn results_at(
    journal: &Journal,
    store: &Store,
    (container, prefix, first): (String, String, Timestamp),
) -> Result<usize, CollectError> {
    let runs = runs::since(store, &container, &prefix, first - MAX_CLOCK_SKEW).await?;
    let uuids: Vec<String> = runs.iter().filter_map(|run| run.summary.uuid.clone()).collect();
    let open = if uuids.is_empty() { HashSet::new() } else { journal.open_among(uuids).await? };
    let mut ended = 0;
    for run in runs {
        let uuid = run.summary.uuid.as_ref().filter(|uuid| open.contains(*uuid)).and_then(|uuid| uuid.parse().ok());
        if let Some(uuid) = uuid {
            end(journal, store, uuid, &run).await?;
            ended += 1;
        }
    }
    Ok(ended)
}

/// Returns the state of a run's commit, and its description. A test that does not exist is an error.
fn state_of(run: &StoredRun, missing_test: Option<&str>) -> (State, String) {
    let (state, words) = of_outcome(run.outcome());
    match missing_test {
        Some(name) => (State::Error, format!("the package has no test {name}")),
        None => (state, words.to_owned()),
    }
}

/// Returns the state of a run's commit, its description, and the address of its log, which is empty when no browser can
/// open it.
pub(super) async fn end_of(store: &Store, run: &StoredRun) -> Result<(State, String, String), CollectError> {
    let (state, words) = state_of(run, run.missing_test(store).await?);
    let link = store.locate(&run.container, &run.object(LOG)).await?;
    let link = if link.starts_with("http") { link } else { String::new() };
    Ok((state, words, link))
}

async fn end(journal: &Journal, store: &Store, uuid: RequestId, run: &StoredRun) -> Result<(), CollectError> {
    let (state, words, link) = end_of(store, run).await?;
    info!(%uuid, %state, "ended");
    let words = match (state, run.summary.duration) {
        (State::Error, _) => words,
        (_, seconds @ ..120) => format!("{words} after {seconds} s"),
        (_, seconds) => format!("{words} after {} min", seconds.div_ceil(60)),
    };
    journal.end(uuid, state, words, link).await?;
    Ok(())
}

/// Outcome of a search for results or requests.
#[derive(Debug, Default)]
pub struct SearchSummary {
    /// Number of tests that have ended.
    pub ended: usize,
    /// The first failure that affected only some of the tests: of a queue or a container.
    pub failure: Option<CollectError>,
}

impl SearchSummary {
    pub(super) fn fail(&mut self, error: impl Into<CollectError>) {
        self.failure.get_or_insert(error.into());
    }
}

/// Searches the requests of tests in these stages that were created before a time. Requests that may not be queued are
/// queued again if they are gone; other tests end if their requests are gone or dead letters. Younger tests are left to
/// the intake.
///
/// # Errors
/// When the queue server or the journal cannot be used. Other failures are in the returned value, and do not affect
/// other tests.
pub async fn requests(
    journal: &Journal,
    broker: &Broker,
    store: &Store,
    stages: &[Stage],
    before: Timestamp,
) -> Result<SearchSummary, CollectError> {
    let mut missing: BTreeMap<String, Vec<PullTest>> = BTreeMap::new();
    let mut looked = SearchSummary::default();
    for stage in stages {
        let asked = journal.requests(*stage, before).await?;
        let queues: BTreeSet<&QueueName> = asked.iter().map(|(_, queue)| queue).collect();
        let queues: Vec<QueueName> = queues.into_iter().cloned().collect();
        let KnownRequests { snapshot, unreadable } = known_requests(broker, &queues, &mut looked).await?;
        for (uuid, queue) in asked {
            if snapshot.is_alive(&uuid) {
                if *stage == Stage::Received {
                    journal.confirm(uuid).await?;
                }
            } else if !unreadable.contains(&queue)
                && let Some(test) = journal.test(uuid).await?
            {
                let place = ResultLocation::of(&test.submission.request, &test.submission.queue);
                missing.entry(place.container).or_default().push(test);
            }
        }
    }
    for tests in missing.into_values() {
        let follow =
            |test: &PullTest| FollowedRequest::new(test.uuid.clone(), &test.submission.request, &test.submission.queue);
        let mut followed: Vec<FollowedRequest> = tests.iter().map(follow).collect();
        if let Err(error) = search(&mut followed, broker, store).await {
            looked.fail(error);
            continue;
        }
        for (test, one) in tests.into_iter().zip(followed) {
            match settle(test, one.stage, journal, broker, store).await {
                Ok(has_ended) => looked.ended += usize::from(has_ended),
                Err(error) => looked.fail(error),
            }
        }
    }
    Ok(looked)
}

/// Searches until the stage of each request is known, or cannot be known, or the request is gone.
pub(super) async fn search(
    followed: &mut [FollowedRequest],
    broker: &Broker,
    store: &Store,
) -> Result<(), CollectError> {
    let mut follower = Follower::new(broker, store);
    for _ in 0..MAX_POLLS {
        follower.look(followed).await?;
        if followed.iter().all(|one| one.stage != follow::Stage::Unseen || one.is_hidden()) {
            break;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(())
}

/// Acts on the stage in which a test's request was found. Returns whether the test has ended.
async fn settle(
    test: PullTest,
    found: follow::Stage,
    journal: &Journal,
    broker: &Broker,
    store: &Store,
) -> Result<bool, CollectError> {
    let is_received = test.stage == Stage::Received;
    match found {
        follow::Stage::Done { run, .. } => end(journal, store, test.uuid, &run).await?,
        follow::Stage::Dead { reason } => journal.end_untested(test.uuid, &reason, false).await?,
        follow::Stage::Gone if is_received && test.reason.is_empty() => return queue(test, journal, broker).await,
        follow::Stage::Gone => {
            let reason = if test.reason.is_empty() { "taken out of its queue" } else { &test.reason };
            journal.end_untested(test.uuid, reason, !is_received).await?;
        }
        // It may be in a queue whose contents cannot be read, or not be queued; a test that runs twice is better than
        // one that is lost.
        follow::Stage::Unseen if is_received && test.reason.is_empty() => return queue(test, journal, broker).await,
        // It is withdrawn, and nothing confirms that it was queued. If it runs nevertheless, its result is shown.
        follow::Stage::Unseen if is_received => journal.end_untested(test.uuid, &test.reason, true).await?,
        follow::Stage::Unseen => return Ok(false),
        _ => {
            if is_received {
                journal.confirm(test.uuid).await?;
            }
            return Ok(false);
        }
    }
    Ok(true)
}

/// Queues a recorded request. If it was queued before in a place that cannot be read, the worker finds the result of
/// the first one.
pub(super) async fn queue_again(submission: &Submission, broker: &Broker) -> Result<(), BrokerError> {
    let sent_before = submission.request.uuid().cloned().into_iter().collect();
    broker.submit_again(std::slice::from_ref(submission), &sent_before, &[], &mut |_| {}).await
}

async fn queue(test: PullTest, journal: &Journal, broker: &Broker) -> Result<bool, CollectError> {
    match queue_again(&test.submission, broker).await {
        Ok(()) => {
            info!(uuid = %test.uuid, "queued what was received before");
            journal.confirm(test.uuid).await?;
            Ok(false)
        }
        Err(BrokerError::NoSuchQueue { queue, .. }) => {
            journal.end_untested(test.uuid, &format!("there is no queue {queue}"), false).await?;
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}

/// Requests in queues and at workers.
pub(super) struct KnownRequests {
    pub(super) snapshot: Snapshot,
    /// Queues that could not be listed for now.
    pub(super) unreadable: HashSet<QueueName>,
}

/// Lists queues, and asks workers for running tests. The failure of one queue does not affect the others.
pub(super) async fn known_requests(
    broker: &Broker,
    queues: &[QueueName],
    looked: &mut SearchSummary,
) -> Result<KnownRequests, BrokerError> {
    let (mut snapshot, mut unreadable) = (Snapshot::default(), HashSet::new());
    if !queues.is_empty() {
        snapshot.add_running(broker).await?;
        for state in broker.inspect(queues).await?.iter().filter(|state| !state.is_empty()) {
            if let Err(error) = snapshot.add_queue(broker, &state.queue).await {
                looked.fail(error);
                unreadable.insert(state.queue.clone());
            }
        }
    }
    Ok(KnownRequests { snapshot, unreadable })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::QueueUrl;
    use crate::forge::{Forge, Project};
    use crate::pulls::journal::{DeliveryAction, DeliveryRecord, IntakeDecision};
    use crate::request::Request;
    use crate::runs::Details;
    use crate::store::folder::FolderStore;

    fn test(release: &str, uuid: &str) -> PullTest {
        let project: Project = "me/thing".parse().unwrap();
        let text = format!(r#"thing {{"uuid": "{uuid}", "env": ["UPSTREAM_PULL_REQUEST=7"]}}"#);
        let request = Request::parse(text.as_bytes()).unwrap();
        let queue = format!("debci-upstream-{release}-amd64").parse().unwrap();
        let commit = "a".repeat(40).parse().unwrap();
        let submission = Submission { queue, request };
        PullTest::new(Forge::GitHub, &Forge::GitHub.api(), &project, 7, &commit, submission, Timestamp::now()).unwrap()
    }

    #[test]
    fn a_container_that_cannot_be_read_keeps_no_other_test_from_its_end() {
        let folder = tempfile::TempDir::new().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let broker = Broker::connect(&QueueUrl::Local(folder.path().join("queue"))).await.unwrap();
            let store = Store::Folder(FolderStore::new(&folder.path().join("store")));
            let journal = Journal::open(&Journal::path(folder.path())).unwrap();
            let tests = ["bad", "good"].map(|release| test(release, release));
            let place = ResultLocation::of(&tests[0].submission.request, &tests[0].submission.queue);
            // No user can list a link to itself, not even root.
            let runs =
                folder.path().join("store").join(&place.container).join(place.path.prefix().trim_end_matches('/'));
            std::fs::create_dir_all(runs.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink("thing", &runs).unwrap();
            broker.declare(&tests.clone().map(|test| test.submission.queue)).await.unwrap();
            for test in tests {
                let id = test.uuid.to_string();
                let delivery =
                    DeliveryRecord { id: id.clone(), digest: id.clone(), action: DeliveryAction::Test(vec![test]) };
                journal.record(vec![delivery], Timestamp::now()).await.unwrap();
            }
            // Neither was queued, as far as can be seen.
            let later = Timestamp::now() + SignedDuration::from_secs(1);
            let looked = requests(&journal, &broker, &store, &[Stage::Received], later).await.unwrap();
            assert!(matches!(looked.failure, Some(CollectError::Store(_))), "{looked:?}");
            let stage = async |uuid: &str| journal.test(uuid.parse().unwrap()).await.unwrap().unwrap().stage;
            assert_eq!((stage("bad").await, stage("good").await), (Stage::Received, Stage::Queued));
        });
    }

    #[test]
    fn what_was_closed_in_doubt_ends_although_nobody_can_look_for_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let broker = Broker::connect(&QueueUrl::Local(folder.path().join("queue"))).await.unwrap();
            let store = Store::Folder(FolderStore::new(&folder.path().join("store")));
            let journal = Journal::open(&Journal::path(folder.path())).unwrap();
            let one = test("noble", "u1");
            let delivery = |id: &str, action| DeliveryRecord { id: id.to_owned(), digest: id.to_owned(), action };
            let opened = delivery("opened", DeliveryAction::Test(vec![one.clone()]));
            let closed = DeliveryAction::Close {
                forge: one.forge,
                api: one.api.clone(),
                project: one.project.clone(),
                number: one.number,
                changed: one.changed,
                contexts: vec![one.context.clone()],
            };
            journal.record(vec![opened.clone(), delivery("closed", closed)], Timestamp::now()).await.unwrap();
            let found = async || journal.test("u1".parse().unwrap()).await.unwrap().unwrap();
            assert_eq!((found().await.stage, found().await.reason.is_empty()), (Stage::Received, false));
            assert!(settle(found().await, follow::Stage::Unseen, &journal, &broker, &store).await.unwrap());
            assert_eq!(found().await.stage, Stage::Ended);
            assert_eq!(found().await.description, "not tested: the pull request was closed");
            // The delivery is done; a result that arrives nevertheless is shown.
            assert_eq!(journal.record(vec![opened], Timestamp::now()).await.unwrap(), [IntakeDecision::Done]);
            assert_eq!(journal.open_places().await.unwrap().len(), 1);
        });
    }

    #[test]
    fn a_test_name_that_matches_nothing_is_an_error() {
        let run = |exitcode, testname: Option<&str>| StoredRun {
            container: "autopkgtest-noble".to_owned(),
            path: crate::result::PackagePath {
                release: "noble".parse().unwrap(),
                architecture: "amd64".parse().unwrap(),
                package: "systemd".parse().unwrap(),
            },
            id: "20260101_120000_abcde@".parse().unwrap(),
            summary: crate::result::RunSummary {
                exitcode,
                version: "1-1".to_owned(),
                duration: 1,
                triggers: None,
                requester: None,
                uuid: None,
                proof: crate::result::ProofVerdict::None,
                fallback: false,
                options: Some(crate::result::RunOptions {
                    testname: testname.map(str::to_owned),
                    ..crate::result::RunOptions::default()
                }),
            },
            damaged: false,
        };
        let test = |name: &str| crate::runs::TestResult {
            name: name.to_owned(),
            state: "SKIP".to_owned(),
            details: String::new(),
        };
        let with = |name: &str| Details { tests: vec![test(name)], ..Details::default() };
        let none = Details::default();
        for (run, details, expected) in [
            (run(8, Some("boot")), &none, (State::Error, "the package has no test boot")),
            (run(8, Some("boot")), &with("*"), (State::Error, "the package has no test boot")),
            // It exists, and was skipped.
            (run(8, Some("boot")), &with("boot"), (State::Success, "no tests were run")),
            (run(8, None), &none, (State::Success, "no tests were run")),
            (run(0, Some("boot")), &none, (State::Success, "tests passed")),
            (run(4, Some("boot")), &none, (State::Failure, "tests failed")),
        ] {
            let (state, words) = state_of(&run, run.test_missing_in(details));
            assert_eq!((state, words.as_str()), expected);
        }
    }
}
