//! Following requests from their queue to their result.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::mem::discriminant;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::broker::{Broker, BrokerError, Listener, News, Topic};
use crate::release::QueueName;
use crate::request::{Request, RequestId};
use crate::result::Place;
use crate::result::layout::PackagePath;
use crate::runs::{self, StoredRun};
use crate::status::{PRIVATE_LOG, PRIVATE_PACKAGE, TestComplete};
use crate::store::{Store, StoreError};

/// So often the queues are looked into when nothing has changed. On RabbitMQ that takes their messages for a moment.
const QUEUES_EVERY: Duration = Duration::from_secs(10);
/// The same for the embedded queue, where a look takes nothing, and nobody announces that a test has ended.
const LOCAL_QUEUES_EVERY: Duration = Duration::from_secs(1);
/// Interval between two attempts to listen for the ends of tests.
const LISTEN_AGAIN: Duration = Duration::from_secs(10);
/// Timeout for an attempt to listen.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);
/// A request that changes hands is nowhere for a moment, and a store may show a new result late. After so many looks in vain it is gone.
const LOOKS: u32 = 10;
/// The same for one that was never seen, in a queue that cannot be looked into: after that it is taken to wait there.
const HIDDEN_LOOKS: u32 = 3;
/// So many packages' results are listed at the same time.
const LISTINGS: usize = 8;
/// A result may carry an earlier time than its request, when clocks differ or a time is given without its zone.
const SKEW: SignedDuration = SignedDuration::from_hours(24);

/// A request that is followed.
#[derive(Debug, Clone)]
pub struct Followed {
    /// Its id.
    pub uuid: RequestId,
    /// Its package, as it is shown: who watches a private run again need not be the one who has asked for it.
    pub package: String,
    /// Its queue.
    pub queue: QueueName,
    /// Where its result will be.
    pub place: Place,
    /// Where it is now.
    pub stage: Stage,
    is_private: bool,
    /// When its result can be there at the earliest.
    earliest: Timestamp,
    missed: u32,
    /// It is taken to wait in a queue that cannot be looked into.
    is_hidden: bool,
    /// Its end was announced, as far as can be told: so many looks for its result are worth it.
    expected: u32,
}

/// Where a request is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Stage {
    /// Not seen yet, or between two hands.
    Unseen,
    /// In its queue.
    Queued {
        /// Its position, from 1.
        position: usize,
        /// How many requests wait there.
        of: usize,
    },
    /// Waits to be tried again after an infrastructure failure.
    Delayed,
    /// With a worker.
    Running {
        /// The worker, if it tells.
        worker: Option<String>,
        /// Since when.
        since: Option<Timestamp>,
        /// The last line of the log.
        line: String,
    },
    /// Its result is there.
    Done {
        /// The result.
        run: Box<StoredRun>,
        /// The only test that it was to run, if the package does not have it.
        #[serde(skip_serializing_if = "Option::is_none")]
        missing_test: Option<String>,
    },
    /// It is a dead letter.
    Dead {
        /// Why.
        reason: String,
    },
    /// Somebody has taken it out of its queue, or it was never there.
    Gone,
}

impl Stage {
    /// The end that a result is.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn done(run: StoredRun, store: &Store) -> Result<Self, StoreError> {
        let missing_test = run.missing_test(store).await?.map(str::to_owned);
        Ok(Self::Done { run: Box::new(run), missing_test })
    }

    /// Whether nothing more will happen.
    pub fn is_end(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Dead { .. } | Self::Gone)
    }
}

impl Followed {
    /// A request that this program has sent.
    pub fn new(uuid: RequestId, request: &Request, queue: &QueueName) -> Self {
        let place = Place::of(request, queue);
        let package = request.package().to_string();
        let asked = request.submitted().map(|submitted| submitted.min(Timestamp::now()));
        Self {
            uuid,
            package,
            queue: queue.clone(),
            place,
            stage: Stage::Unseen,
            is_private: request.is_private(),
            earliest: asked.and_then(|asked| asked.checked_sub(SKEW).ok()).unwrap_or(Timestamp::UNIX_EPOCH),
            missed: 0,
            is_hidden: false,
            expected: 0,
        }
    }

    /// A request that was found in the queue, or with a worker, and may be somebody else's.
    pub fn found(uuid: RequestId, request: &Request, queue: &QueueName) -> Self {
        let mut found = Self::new(uuid, request, queue);
        if found.is_private {
            PRIVATE_PACKAGE.clone_into(&mut found.package);
        }
        found
    }

    /// Whether the end of a test that was announced may be this one's. Of a private run nothing but its release is told.
    fn is_meant(&self, completion: &TestComplete) -> bool {
        let package = if self.is_private { PRIVATE_PACKAGE } else { self.place.path.package.as_str() };
        completion.package == package
            && completion.release == self.queue.release.as_str()
            && completion.architecture == self.queue.architecture.as_str()
    }

    /// Whether it is taken to wait in a queue that cannot be looked into.
    pub fn is_hidden(&self) -> bool {
        self.is_hidden
    }

    /// Whether it may have gone on since the queues were looked into. What waits, seen or not, is told to run by who runs it.
    fn may_have_moved(&self) -> bool {
        self.missed > 0 || !(self.is_hidden || matches!(self.stage, Stage::Queued { .. } | Stage::Delayed))
    }

    /// It was seen.
    fn seen(&mut self) {
        (self.missed, self.is_hidden) = (0, false);
    }

    /// It does not run, is not seen to wait, and has no result: where it is then. `is_dark` if its queue cannot be looked into.
    fn miss(&mut self, is_dark: bool) -> Stage {
        self.is_hidden &= is_dark;
        if self.is_hidden {
            return self.stage.clone();
        }
        self.missed += 1;
        let looks = if is_dark && self.stage == Stage::Unseen { HIDDEN_LOOKS } else { LOOKS };
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

/// What can go wrong while requests are followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The queue cannot be asked. Not transparent: who reports it finds its cause, with what to do about it.
    #[error("{0}")]
    Broker(#[from] BrokerError),
    /// The store cannot be read.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Something has changed for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Its place in the list.
    pub index: usize,
    /// Whether it has come to another stage; otherwise only to another position, or another line of its log.
    pub entered: bool,
}

/// Looks again and again where the requests are.
///
/// The ends of tests are announced, so that they are seen at once. An announcement may be lost, so the queues and the store are
/// looked at from time to time as well.
pub struct Follower<'a> {
    broker: &'a Broker,
    store: &'a Store,
    queues_seen: Option<Instant>,
    listener: Option<Listener>,
    listened: Option<Instant>,
}

impl<'a> Follower<'a> {
    /// Requests wait at the broker, and their results come into the store.
    pub fn new(broker: &'a Broker, store: &'a Store) -> Self {
        Self { broker, store, queues_seen: None, listener: None, listened: None }
    }

    /// Waits until another look is worth it: when the end of one of these tests is announced, or after this time.
    pub async fn pause(&mut self, followed: &mut [Followed], time: Duration) {
        let until = tokio::time::Instant::now() + time;
        self.listen().await;
        loop {
            let Some(listener) = &mut self.listener else { return tokio::time::sleep_until(until).await };
            match listener.next(until).await {
                Ok(Some(message)) => {
                    let Some(completion) = TestComplete::parse(&message) else { continue };
                    let mut is_ours = false;
                    for one in followed.iter_mut().filter(|one| one.is_meant(&completion)) {
                        one.expected = LOOKS;
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

    /// Listens for the ends of tests. Who may not, or cannot now, looks from time to time.
    async fn listen(&mut self) {
        if self.listener.is_some() || self.listened.is_some_and(|tried| tried.elapsed() < LISTEN_AGAIN) {
            return;
        }
        self.listened = Some(Instant::now());
        match tokio::time::timeout(LISTEN_TIMEOUT, self.broker.listen(Topic::TestComplete)).await {
            Ok(Ok(listener)) => self.listener = Some(listener),
            Ok(Err(error)) => tracing::debug!("the ends of tests are not heard: {error}"),
            Err(_) => tracing::debug!("the ends of tests are not heard: no answer in time"),
        }
    }

    /// The queues in which requests wait although no worker serves them.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn unserved(&self, followed: &[Followed]) -> Result<Vec<QueueName>, FollowError> {
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

    /// Looks where those are that have not come to their end; tells of which something has changed.
    ///
    /// # Errors
    /// When the broker or the store cannot be asked. Another look may succeed.
    pub async fn look(&mut self, followed: &mut [Followed]) -> Result<Vec<Change>, FollowError> {
        let is_expected = |one: &Followed| !one.stage.is_end() && one.expected > 0;
        let found = self.results(followed.iter().filter(|one| is_expected(one))).await?;
        let mut changed = Vec::new();
        for (index, one) in followed.iter_mut().enumerate().filter(|(_, one)| is_expected(one)) {
            match found.get(&one.uuid) {
                Some(stage) => {
                    one.stage = stage.clone();
                    changed.push(Change { index, entered: true });
                }
                None => one.expected -= 1,
            }
        }
        if followed.iter().all(|one| one.stage.is_end()) {
            return Ok(changed);
        }
        let mut stages = self.running(followed).await?;
        let is_open =
            |one: &Followed, stages: &HashMap<RequestId, Stage>| !one.stage.is_end() && !stages.contains_key(&one.uuid);
        let every = if matches!(self.broker, Broker::Local(_)) { LOCAL_QUEUES_EVERY } else { QUEUES_EVERY };
        let is_overdue = self.queues_seen.is_none_or(|seen| seen.elapsed() >= every);
        let open = || followed.iter().filter(|one| is_open(one, &stages));
        let mut hidden: HashSet<QueueName> = HashSet::new();
        let looks_at_queues = is_overdue || open().any(Followed::may_have_moved);
        if looks_at_queues {
            let queues: HashSet<&QueueName> = open().map(|one| &one.queue).collect();
            let mut waiting = HashMap::new();
            for queue in queues {
                if !self.waiting(queue, &mut waiting).await? {
                    hidden.insert(queue.clone());
                }
            }
            // What runs is not what an older copy of it has become.
            for (uuid, stage) in waiting {
                stages.entry(uuid).or_insert(stage);
            }
        }
        // What is hidden is not there to be seen, each time that another one has moved.
        let is_due = |one: &Followed| is_overdue || one.may_have_moved() || !hidden.contains(&one.queue);
        let is_missed = |one: &Followed| looks_at_queues && is_open(one, &stages) && is_due(one);
        let missed: HashSet<usize> =
            followed.iter().enumerate().filter(|(_, one)| is_missed(one)).map(|(index, _)| index).collect();
        let found = self.results(missed.iter().map(|index| &followed[*index])).await?;
        if looks_at_queues {
            self.queues_seen = Some(Instant::now());
        }
        for (index, one) in followed.iter_mut().enumerate().filter(|(_, one)| !one.stage.is_end()) {
            let stage = match (stages.remove(&one.uuid), found.get(&one.uuid)) {
                (Some(stage), _) => {
                    one.seen();
                    stage
                }
                (None, _) if !missed.contains(&index) => continue,
                (None, Some(stage)) => stage.clone(),
                (None, None) => one.miss(hidden.contains(&one.queue)),
            };
            if stage != one.stage {
                let entered = discriminant(&stage) != discriminant(&one.stage);
                one.stage = stage;
                changed.push(Change { index, entered });
            }
        }
        Ok(changed)
    }

    async fn running(&self, followed: &[Followed]) -> Result<HashMap<RequestId, Stage>, FollowError> {
        let ours: HashMap<&RequestId, &Followed> = followed.iter().map(|one| (&one.uuid, one)).collect();
        let mut stages = HashMap::new();
        for test in self.broker.running().await? {
            let Some(uuid) = test.request().and_then(|request| request.uuid().cloned()) else { continue };
            let Some(one) = ours.get(&uuid) else { continue };
            let line = |log: &str| log.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
            let news = test.news.as_ref();
            let log = |news: &News| if one.is_private { PRIVATE_LOG.to_owned() } else { line(&news.logtail) };
            let stage = Stage::Running {
                worker: news.map(|news| news.worker.clone()),
                since: news.map(|news| news.since),
                line: news.map(log).unwrap_or_default(),
            };
            stages.insert(uuid, stage);
        }
        Ok(stages)
    }

    /// Whether everything that waits in the queue was seen.
    async fn waiting(&self, queue: &QueueName, stages: &mut HashMap<RequestId, Stage>) -> Result<bool, FollowError> {
        let contents = match self.broker.visible_contents(queue, usize::MAX).await {
            Err(BrokerError::NoSuchQueue { .. }) => return Ok(true),
            other => other?,
        };
        let id = |body: &[u8]| Request::parse(body).ok()?.uuid().cloned();
        // A dead letter may be an older copy of a request that was put back: what waits comes after it here.
        for letter in contents.dead {
            if let Some(uuid) = id(&letter.body) {
                stages.insert(uuid, Stage::Dead { reason: letter.reason });
            }
        }
        for uuid in contents.delayed.iter().filter_map(|body| id(body)) {
            stages.insert(uuid, Stage::Delayed);
        }
        let of = contents.ready.len();
        for (index, body) in contents.ready.iter().enumerate() {
            if let Some(uuid) = id(body) {
                stages.insert(uuid, Stage::Queued { position: index + 1, of });
            }
        }
        Ok(contents.hidden.is_none() && contents.hidden_dead.is_none())
    }

    /// The ends that results are, as far as they are there: one listing for each package, however many requests are about it.
    async fn results<'f>(
        &self,
        followed: impl Iterator<Item = &'f Followed>,
    ) -> Result<HashMap<RequestId, Stage>, StoreError> {
        let store = self.store;
        let listings = listings(followed).into_iter().map(|((container, path), (since, uuids))| async move {
            let runs = runs::since(store, &container, &path.prefix(), since).await?;
            let uuid = |run: &StoredRun| run.summary.uuid.as_deref()?.parse().ok();
            let runs = runs.into_iter().filter_map(|run| Some((uuid(&run)?, run)));
            // Of several results of one request the newest counts, which comes last.
            let runs: HashMap<RequestId, StoredRun> = runs.filter(|(uuid, _)| uuids.contains(uuid)).collect();
            let mut ends = Vec::new();
            for (uuid, run) in runs {
                ends.push((uuid, Stage::done(run, store).await?));
            }
            Ok::<_, StoreError>(ends)
        });
        let found: Vec<Vec<_>> = stream::iter(listings).buffer_unordered(LISTINGS).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }
}

/// What is to be listed for the results of requests: where, from when on, and whose results are meant.
type Listings = HashMap<(String, PackagePath), (Timestamp, HashSet<RequestId>)>;

fn listings<'f>(followed: impl Iterator<Item = &'f Followed>) -> Listings {
    let mut listings = Listings::new();
    for Followed { uuid, place, earliest, .. } in followed {
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

    fn followed(text: &str) -> Followed {
        let request = Request::parse(text.as_bytes()).unwrap().identified();
        let queue = "debci-noble-amd64".parse().unwrap();
        Followed::new(request.uuid().unwrap().clone(), &request, &queue)
    }

    #[test]
    fn what_waits_where_nobody_can_look_is_looked_for_now_and_then() {
        let mut one = followed("gzip");
        let miss = |one: &mut Followed, is_dark| {
            one.stage = one.miss(is_dark);
            (one.stage.clone(), one.may_have_moved())
        };
        for _ in 1..HIDDEN_LOOKS {
            assert_eq!(miss(&mut one, true), (Stage::Unseen, true));
        }
        for _ in 0..3 * LOOKS {
            assert_eq!(miss(&mut one, true), (Stage::Unseen, false));
            assert!(one.is_hidden());
        }
        // It runs, and is back in its queue after that.
        let running = Stage::Running { worker: None, since: None, line: String::new() };
        one.seen();
        one.stage = running.clone();
        for _ in 1..LOOKS {
            assert_eq!(miss(&mut one, true), (running.clone(), true));
        }
        assert_eq!(miss(&mut one, true), (Stage::Unseen, false));
        // Its queue can be looked into from now on, and it is not there.
        for _ in 1..LOOKS {
            assert_eq!(miss(&mut one, false), (Stage::Unseen, true));
        }
        assert_eq!(miss(&mut one, false).0, Stage::Gone);
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
