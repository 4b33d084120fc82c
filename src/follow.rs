//! Following requests from their queue to their result.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::mem::discriminant;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::broker::{Broker, BrokerError, Listener, LocatedRequest, RequestPlace, Snapshot, TestProgress, Topic};
use crate::release::QueueName;
use crate::request::{Request, RequestId};
use crate::result::ResultLocation;
use crate::result::layout::PackagePath;
use crate::runs::{self, StoredRun};
use crate::status::{PRIVATE_LOG, PRIVATE_PACKAGE, TestComplete};
use crate::store::{Store, StoreError};

/// Interval between looks into unchanged queues. On RabbitMQ, a look takes their messages for a moment.
const QUEUE_POLL_INTERVAL: Duration = Duration::from_secs(10);
/// Interval for the embedded queue, where a look takes nothing, and ends of tests are not announced.
const LOCAL_QUEUE_POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Interval between attempts to listen for the ends of tests.
const LISTEN_RETRY_DELAY: Duration = Duration::from_secs(10);
/// Timeout for an attempt to listen.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum number of unsuccessful looks before a request counts as gone. A request that changes hands is invisible for
/// a moment, and a store may show a new result late.
const MAX_POLLS: u32 = 10;
/// Maximum number of unsuccessful looks for a request that was never seen, in a queue whose messages are invisible.
/// Then it is assumed to wait there.
const MAX_HIDDEN_POLLS: u32 = 3;
/// Number of packages whose results are listed concurrently.
const LISTING_CONCURRENCY: usize = 8;
/// Tolerance for the time of a result before its request, when clocks differ or a time has no zone.
const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(24);

/// A request that is followed.
#[derive(Debug, Clone)]
pub struct FollowedRequest {
    /// Its id.
    pub uuid: RequestId,
    /// The shown package. Only the requester of a private run sees it; another observer does not.
    pub package: String,
    /// Its queue.
    pub queue: QueueName,
    /// The location of its result.
    pub place: ResultLocation,
    /// Its current stage.
    pub stage: Stage,
    is_private: bool,
    /// Earliest possible time of its result.
    earliest: Timestamp,
    missed: u32,
    /// Whether it is assumed to wait in a queue whose messages are invisible.
    is_hidden: bool,
    /// Number of remaining looks for its result, after its end was probably announced.
    expected: u32,
}

/// Stage of a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Stage {
    /// Was not seen yet, or changes hands.
    Unseen,
    /// Waits in its queue.
    Queued {
        /// Its position, from 1.
        position: usize,
        /// Number of requests that wait there.
        of: usize,
    },
    /// Waits for another attempt after a failure of the infrastructure.
    Delayed,
    /// A worker has it.
    Running {
        /// The worker, if known.
        worker: Option<String>,
        /// Start of the run.
        since: Option<Timestamp>,
        /// The last line of the log.
        line: String,
    },
    /// Its result exists.
    Done {
        /// The result.
        run: Box<StoredRun>,
        /// The only requested test, if the package does not have it.
        #[serde(skip_serializing_if = "Option::is_none")]
        missing_test: Option<String>,
    },
    /// A dead letter.
    Dead {
        /// The reason.
        reason: String,
    },
    /// Was removed from its queue, or never existed.
    Gone,
}

impl Stage {
    /// Returns the stage for a result.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn done(run: StoredRun, store: &Store) -> Result<Self, StoreError> {
        let missing_test = run.missing_test(store).await?.map(str::to_owned);
        Ok(Self::Done { run: Box::new(run), missing_test })
    }

    /// Returns whether the stage is another one, or tells for the first time which worker runs the test. A worker that
    /// has just taken a request may not report it yet.
    fn is_new_after(&self, before: &Self) -> bool {
        let is_named = |stage: &Self| matches!(stage, Self::Running { worker: Some(_), .. });
        discriminant(self) != discriminant(before) || is_named(self) && !is_named(before)
    }

    /// Returns whether the stage is final.
    pub fn is_end(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Dead { .. } | Self::Gone)
    }
}

impl FollowedRequest {
    /// Returns a request that this process has submitted.
    pub fn new(uuid: RequestId, request: &Request, queue: &QueueName) -> Self {
        let place = ResultLocation::of(request, queue);
        let package = request.package().to_string();
        let asked = request.submitted().map(|submitted| submitted.min(Timestamp::now()));
        Self {
            uuid,
            package,
            queue: queue.clone(),
            place,
            stage: Stage::Unseen,
            is_private: request.is_private(),
            earliest: asked.and_then(|asked| asked.checked_sub(MAX_CLOCK_SKEW).ok()).unwrap_or(Timestamp::UNIX_EPOCH),
            missed: 0,
            is_hidden: false,
            expected: 0,
        }
    }

    /// Returns a request that was found in the queue or with a worker, which may be another user's.
    pub fn found(uuid: RequestId, request: &Request, queue: &QueueName) -> Self {
        let mut found = Self::new(uuid, request, queue);
        if found.is_private {
            PRIVATE_PACKAGE.clone_into(&mut found.package);
        }
        found
    }

    /// Returns whether an announced end may be this request's. The announcement of a private run has nothing but its
    /// release and architecture.
    fn is_meant(&self, completion: &TestComplete) -> bool {
        let package = if self.is_private { PRIVATE_PACKAGE } else { self.place.path.package.as_str() };
        completion.package == package
            && completion.release == self.queue.release.as_str()
            && completion.architecture == self.queue.architecture.as_str()
    }

    /// Returns whether it is assumed to wait in a queue whose messages are invisible.
    pub fn is_hidden(&self) -> bool {
        self.is_hidden
    }

    /// Returns whether it may have moved since the last look into the queues. A waiting request, visible or not, is
    /// reported by its worker when it starts.
    fn may_have_moved(&self) -> bool {
        self.missed > 0 || !(self.is_hidden || matches!(self.stage, Stage::Queued { .. } | Stage::Delayed))
    }

    /// Returns the stage of the request at a place.
    fn stage_of(&self, located: &LocatedRequest) -> Stage {
        let line = |log: &str| log.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
        let log =
            |progress: &TestProgress| if self.is_private { PRIVATE_LOG.to_owned() } else { line(&progress.logtail) };
        match &located.place {
            RequestPlace::Running(progress) => Stage::Running {
                worker: progress.as_ref().map(|progress| progress.worker.clone()),
                since: progress.as_ref().map(|progress| progress.since),
                line: progress.as_ref().map(log).unwrap_or_default(),
            },
            RequestPlace::Queued { position, of } => Stage::Queued { position: *position, of: *of },
            RequestPlace::Delayed => Stage::Delayed,
            RequestPlace::Dead { reason } => Stage::Dead { reason: reason.clone() },
        }
    }

    /// Resets the counters after the request was seen.
    fn seen(&mut self) {
        (self.missed, self.is_hidden) = (0, false);
    }

    /// Returns the stage of a request that is not running, not visible in a queue, and without a result. `is_dark` if
    /// its queue's messages are invisible.
    fn miss(&mut self, is_dark: bool) -> Stage {
        self.is_hidden &= is_dark;
        if self.is_hidden {
            return self.stage.clone();
        }
        self.missed += 1;
        let looks = if is_dark && self.stage == Stage::Unseen { MAX_HIDDEN_POLLS } else { MAX_POLLS };
        if self.missed < looks {
            return self.stage.clone();
        }
        if !is_dark {
            return Stage::Gone;
        }
        (self.missed, self.is_hidden) = (0, true);
        Stage::Unseen
    }
}

/// Error while requests are followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The broker failed.
    #[error("{0}")]
    Broker(#[from] BrokerError),
    /// The store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// A change of a followed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageChange {
    /// Its index in the list.
    pub index: usize,
    /// Whether it entered another stage, or its worker became known; otherwise only its position or the line of its
    /// log changed.
    pub is_new_stage: bool,
}

/// Observes requests until they end.
///
/// The ends of tests are announced, so that they are noticed immediately. An announcement may be lost; the queues and
/// the store are therefore polled as well.
pub struct Follower<'a> {
    broker: &'a Broker,
    store: &'a Store,
    queues_seen: Option<Instant>,
    listener: Option<Listener>,
    listened: Option<Instant>,
}

impl<'a> Follower<'a> {
    /// Creates a follower for requests at the broker, and results in the store.
    pub fn new(broker: &'a Broker, store: &'a Store) -> Self {
        Self { broker, store, queues_seen: None, listener: None, listened: None }
    }

    /// Waits until the end of one of these tests is announced, at most for `time`.
    pub async fn pause(&mut self, followed: &mut [FollowedRequest], time: Duration) {
        let until = tokio::time::Instant::now() + time;
        self.listen().await;
        loop {
            let Some(listener) = &mut self.listener else { return tokio::time::sleep_until(until).await };
            match listener.next(until).await {
                Ok(Some(message)) => {
                    let Some(completion) = TestComplete::parse(&message) else { continue };
                    let mut is_ours = false;
                    for one in followed.iter_mut().filter(|one| one.is_meant(&completion)) {
                        one.expected = MAX_POLLS;
                        is_ours = true;
                    }
                    if is_ours {
                        return;
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::debug!("the ends of tests are not heard for now: {error}");
                    self.listener = None;
                }
            }
        }
    }

    /// Listens for the ends of tests. If that is not possible, the caller still polls.
    async fn listen(&mut self) {
        if self.listener.is_some() || self.listened.is_some_and(|tried| tried.elapsed() < LISTEN_RETRY_DELAY) {
            return;
        }
        self.listened = Some(Instant::now());
        match tokio::time::timeout(LISTEN_TIMEOUT, self.broker.listen(Topic::TestComplete)).await {
            Ok(Ok(listener)) => self.listener = Some(listener),
            Ok(Err(error)) => tracing::debug!("the ends of tests are not heard: {error}"),
            Err(_) => tracing::debug!("the ends of tests are not heard: no answer in time"),
        }
    }

    /// Returns the queues in which requests wait although no worker serves them.
    ///
    /// # Errors
    /// When the broker is unreachable.
    pub async fn unserved(&self, followed: &[FollowedRequest]) -> Result<Vec<QueueName>, FollowError> {
        let waiting = followed.iter().filter(|one| matches!(one.stage, Stage::Unseen | Stage::Queued { .. }));
        let queues: BTreeSet<&QueueName> = waiting.map(|one| &one.queue).collect();
        let mut unserved = Vec::new();
        for queue in queues {
            if self.broker.is_served(queue).await? == Some(false) {
                unserved.push(queue.clone());
            }
        }
        Ok(unserved)
    }

    /// Looks for the requests that have not ended, and returns those that have changed.
    ///
    /// # Errors
    /// When the broker or the store is unreachable. Another look may succeed.
    pub async fn look(&mut self, followed: &mut [FollowedRequest]) -> Result<Vec<StageChange>, FollowError> {
        let is_expected = |one: &FollowedRequest| !one.stage.is_end() && one.expected > 0;
        let found = self.results(followed.iter().filter(|one| is_expected(one))).await?;
        let mut changed = Vec::new();
        for (index, one) in followed.iter_mut().enumerate().filter(|(_, one)| is_expected(one)) {
            match found.get(&one.uuid) {
                Some(stage) => {
                    one.stage = stage.clone();
                    changed.push(StageChange { index, is_new_stage: true });
                }
                None => one.expected -= 1,
            }
        }
        if followed.iter().all(|one| one.stage.is_end()) {
            return Ok(changed);
        }
        let mut snapshot = Snapshot::default();
        snapshot.add_running(self.broker).await?;
        let is_open =
            |one: &FollowedRequest, snapshot: &Snapshot| !one.stage.is_end() && snapshot.find(&one.uuid).is_none();
        let every =
            if matches!(self.broker, Broker::Local(_)) { LOCAL_QUEUE_POLL_INTERVAL } else { QUEUE_POLL_INTERVAL };
        let is_overdue = self.queues_seen.is_none_or(|seen| seen.elapsed() >= every);
        let mut hidden: HashSet<QueueName> = HashSet::new();
        let open: Vec<&FollowedRequest> = followed.iter().filter(|one| is_open(one, &snapshot)).collect();
        let looks_at_queues = is_overdue || open.iter().any(|one| one.may_have_moved());
        if looks_at_queues {
            let queues: HashSet<&QueueName> = open.iter().map(|one| &one.queue).collect();
            for queue in queues {
                snapshot.add_queue(self.broker, queue).await?;
                if !snapshot.is_complete(queue) {
                    hidden.insert(queue.clone());
                }
            }
        }
        // A request in a queue with invisible messages is not missed whenever another request has moved.
        let is_due = |one: &FollowedRequest| is_overdue || one.may_have_moved() || !hidden.contains(&one.queue);
        let is_missed = |one: &FollowedRequest| looks_at_queues && is_open(one, &snapshot) && is_due(one);
        let missed: HashSet<usize> =
            followed.iter().enumerate().filter(|(_, one)| is_missed(one)).map(|(index, _)| index).collect();
        let found = self.results(missed.iter().map(|index| &followed[*index])).await?;
        if looks_at_queues {
            self.queues_seen = Some(Instant::now());
        }
        for (index, one) in followed.iter_mut().enumerate().filter(|(_, one)| !one.stage.is_end()) {
            let stage = match (snapshot.find(&one.uuid), found.get(&one.uuid)) {
                (Some(located), _) => {
                    one.seen();
                    one.stage_of(located)
                }
                (None, _) if !missed.contains(&index) => continue,
                (None, Some(stage)) => stage.clone(),
                (None, None) => one.miss(hidden.contains(&one.queue)),
            };
            if stage != one.stage {
                let is_new_stage = stage.is_new_after(&one.stage);
                one.stage = stage;
                changed.push(StageChange { index, is_new_stage });
            }
        }
        Ok(changed)
    }

    /// Returns the final stages of requests whose results exist, with one listing for each package, however many
    /// requests are about it.
    async fn results<'f>(
        &self,
        followed: impl Iterator<Item = &'f FollowedRequest>,
    ) -> Result<HashMap<RequestId, Stage>, StoreError> {
        let store = self.store;
        let listings = listings(followed).into_iter().map(|((container, path), (since, uuids))| async move {
            let runs = runs::since(store, &container, &path.prefix(), since).await?;
            let uuid = |run: &StoredRun| run.summary.uuid.as_deref()?.parse().ok();
            let runs = runs.into_iter().filter_map(|run| Some((uuid(&run)?, run)));
            // The newest of several results of one request counts; it comes last.
            let runs: HashMap<RequestId, StoredRun> = runs.filter(|(uuid, _)| uuids.contains(uuid)).collect();
            let mut ends = Vec::new();
            for (uuid, run) in runs {
                ends.push((uuid, Stage::done(run, store).await?));
            }
            Ok::<_, StoreError>(ends)
        });
        let found: Vec<Vec<_>> = stream::iter(listings).buffer_unordered(LISTING_CONCURRENCY).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }
}

/// Listings for the results of requests: container and path, the start time, and the requests.
type Listings = HashMap<(String, PackagePath), (Timestamp, HashSet<RequestId>)>;

fn listings<'f>(followed: impl Iterator<Item = &'f FollowedRequest>) -> Listings {
    let mut listings = Listings::new();
    for FollowedRequest { uuid, place, earliest, .. } in followed {
        let listing = listings.entry((place.container.clone(), place.path.clone()));
        let (since, uuids) = listing.or_insert_with(|| (*earliest, HashSet::new()));
        *since = (*since).min(*earliest);
        uuids.insert(uuid.clone());
    }
    listings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(text: &str) -> FollowedRequest {
        let request = Request::parse(text.as_bytes()).unwrap().with_id();
        let queue = "debci-noble-amd64".parse().unwrap();
        FollowedRequest::new(request.uuid().unwrap().clone(), &request, &queue)
    }

    #[test]
    fn what_waits_where_nobody_can_look_is_looked_for_now_and_then() {
        let mut one = followed("gzip");
        let miss = |one: &mut FollowedRequest, is_dark| {
            one.stage = one.miss(is_dark);
            (one.stage.clone(), one.may_have_moved())
        };
        for _ in 1..MAX_HIDDEN_POLLS {
            assert_eq!(miss(&mut one, true), (Stage::Unseen, true));
        }
        for _ in 0..3 * MAX_POLLS {
            assert_eq!(miss(&mut one, true), (Stage::Unseen, false));
            assert!(one.is_hidden());
        }
        // It runs, and returns to its queue afterwards.
        let running = Stage::Running { worker: None, since: None, line: String::new() };
        one.seen();
        one.stage = running.clone();
        for _ in 1..MAX_POLLS {
            assert_eq!(miss(&mut one, true), (running.clone(), true));
        }
        assert_eq!(miss(&mut one, true), (Stage::Unseen, false));
        // Its queue's messages become visible, and it is not among them.
        for _ in 1..MAX_POLLS {
            assert_eq!(miss(&mut one, false), (Stage::Unseen, true));
        }
        assert_eq!(miss(&mut one, false).0, Stage::Gone);
    }

    #[test]
    fn a_worker_that_becomes_known_is_news() {
        let running = |worker: Option<&str>, line: &str| Stage::Running {
            worker: worker.map(str::to_owned),
            since: None,
            line: line.to_owned(),
        };
        assert!(running(None, "").is_new_after(&Stage::Unseen));
        assert!(running(Some("host"), "").is_new_after(&running(None, "")));
        assert!(!running(Some("host"), "two").is_new_after(&running(Some("host"), "one")));
        assert!(!running(None, "").is_new_after(&running(Some("host"), "one")));
    }

    #[test]
    fn results_are_listed_from_a_day_before_their_requests_on() {
        let of = |parameters: &str| followed(&format!("gzip {{{parameters}}}")).earliest;
        assert_eq!(of(""), Timestamp::UNIX_EPOCH);
        assert_eq!(of(r#""submit-time": "2026-03-02 12:00:00+0000""#).to_string(), "2026-03-01T12:00:00Z");
        assert!(of(r#""submit-time": "2999-01-01 12:00:00+0000""#) < Timestamp::now());
    }

    #[test]
    fn the_results_of_all_requests_of_a_package_come_with_one_listing() {
        let at = |day: u32| followed(&format!(r#"gzip {{"submit-time": "2026-03-0{day} 12:00:00+0000"}}"#));
        let all = [at(3), at(2), followed("hello"), at(4)];
        let listings = listings(all.iter());
        assert_eq!(listings.len(), 2);
        let place = &all[0].place;
        let (since, uuids) = &listings[&(place.container.clone(), place.path.clone())];
        assert_eq!((since.to_string().as_str(), uuids.len()), ("2026-03-01T12:00:00Z", 3));
    }
}
