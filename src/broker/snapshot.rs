//! Snapshots: where requests are at a moment, with a worker, in a queue or among its dead letters.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::test_handle::TestProgress;
use super::{Broker, BrokerError, Opaque, QueueState};
use crate::release::QueueName;
use crate::request::{Request, RequestId};

/// Number of messages that are parsed before other tasks get a turn: a queue may have a hundred thousand.
const PARSE_BATCH_SIZE: usize = 500;

/// Place of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestPlace {
    /// With a worker. The progress is unknown before the test has begun, and when the worker does not report it.
    Running(Option<TestProgress>),
    /// In its queue.
    Queued {
        /// Its position, from 1.
        position: usize,
        /// Number of requests that wait there.
        of: usize,
    },
    /// Waiting for another attempt after a failure of the infrastructure.
    Delayed,
    /// Among the dead letters.
    Dead {
        /// The reason.
        reason: String,
    },
}

impl RequestPlace {
    /// Returns the rank of the place: of several copies of a request, the one with the lowest rank counts. A dead
    /// letter may be an older copy of a request that was retried, and a message may be on its way back from a worker.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Running(Some(_)) => 0,
            Self::Running(None) => 1,
            Self::Queued { .. } => 2,
            Self::Delayed => 3,
            Self::Dead { .. } => 4,
        }
    }

    /// Returns whether the request waits or runs, so that it will have a result.
    pub fn is_alive(&self) -> bool {
        !matches!(self, Self::Dead { .. })
    }
}

/// A request and its place.
#[derive(Debug, Clone)]
pub struct LocatedRequest {
    /// The request.
    pub request: Request,
    /// Its queue; of a running request, the queue that it came from.
    pub queue: QueueName,
    /// Its place.
    pub place: RequestPlace,
}

/// The requests that were found, and the queues that could not be listed.
///
/// A snapshot has what was added to it. Its parts are from different moments: a request that changed hands in between
/// may be in two places, or in none. Messages that are no requests are left out.
#[derive(Debug, Default)]
pub struct Snapshot {
    requests: Vec<LocatedRequest>,
    by_id: HashMap<RequestId, usize>,
    packages: Option<HashSet<String>>,
    hidden: BTreeMap<QueueName, Opaque>,
    hidden_dead: HashSet<QueueName>,
}

impl Snapshot {
    /// Creates a snapshot that has only the requests for these packages.
    pub fn of_packages<'a>(packages: impl IntoIterator<Item = &'a str>) -> Self {
        let packages = packages.into_iter().map(str::to_owned).collect();
        Self { packages: Some(packages), ..Self::default() }
    }

    /// Asks the workers, and adds the requests that they run.
    ///
    /// # Errors
    /// When the broker, and through it the workers, cannot be asked.
    pub async fn add_running(&mut self, broker: &Broker) -> Result<(), BrokerError> {
        for test in broker.running().await? {
            self.add(&test.queue, &test.body, RequestPlace::Running(test.progress));
        }
        Ok(())
    }

    /// Lists a queue, and adds its requests. A queue that does not exist has none.
    ///
    /// # Errors
    /// When the broker cannot list it. A queue whose messages are invisible is no error: see [`Self::is_complete`].
    pub async fn add_queue(&mut self, broker: &Broker, queue: &QueueName) -> Result<(), BrokerError> {
        let contents = match broker.visible_contents(queue, usize::MAX).await {
            // The queue was never created, or was deleted.
            Err(BrokerError::NoSuchQueue { .. }) => return Ok(()),
            other => other?,
        };
        let of = contents.ready.len();
        let place = |index| RequestPlace::Queued { position: index + 1, of };
        let ready = contents.ready.iter().enumerate().map(|(index, body)| (body, place(index)));
        let claimed = contents.claimed.iter().map(|body| (body, RequestPlace::Running(None)));
        let delayed = contents.delayed.iter().map(|body| (body, RequestPlace::Delayed));
        let dead =
            contents.dead.iter().map(|letter| (&letter.body, RequestPlace::Dead { reason: letter.reason.clone() }));
        for (index, (body, place)) in claimed.chain(ready).chain(delayed).chain(dead).enumerate() {
            if index % PARSE_BATCH_SIZE == PARSE_BATCH_SIZE - 1 {
                tokio::task::yield_now().await;
            }
            self.add(queue, body, place);
        }
        if let Some(opaque) = contents.hidden {
            self.hidden.insert(queue.clone(), opaque);
        }
        if contents.hidden_dead.is_some() {
            self.hidden_dead.insert(queue.clone());
        }
        Ok(())
    }

    /// Lists those of these queues that are not empty. Most queues are empty most of the time.
    ///
    /// # Errors
    /// When the broker cannot list one of them.
    pub async fn add_queues(&mut self, broker: &Broker, states: &[QueueState]) -> Result<(), BrokerError> {
        for state in states.iter().filter(|state| !state.is_empty()) {
            self.add_queue(broker, &state.queue).await?;
        }
        Ok(())
    }

    fn add(&mut self, queue: &QueueName, body: &[u8], place: RequestPlace) {
        // Few messages of a long queue are about the packages; the others need not be parsed.
        if self.packages.as_ref().is_some_and(|packages| !is_about(body, packages)) {
            return;
        }
        let Ok(request) = Request::parse(body) else { return };
        let index = self.requests.len();
        if let Some(id) = request.uuid() {
            let known = self.by_id.entry(id.clone()).or_insert(index);
            if self.requests.get(*known).is_some_and(|other| place.rank() < other.place.rank()) {
                *known = index;
            }
        }
        self.requests.push(LocatedRequest { request, queue: queue.clone(), place });
    }

    /// Returns all requests in the order in which they were added, several copies of a request included.
    pub fn requests(&self) -> &[LocatedRequest] {
        &self.requests
    }

    /// Returns the request with an id. Of several copies, the one whose place has the lowest rank.
    pub fn find(&self, id: &RequestId) -> Option<&LocatedRequest> {
        self.requests.get(*self.by_id.get(id)?)
    }

    /// Returns whether a request with this id waits or runs.
    pub fn is_alive(&self, id: &RequestId) -> bool {
        self.find(id).is_some_and(|located| located.place.is_alive())
    }

    /// Returns whether all messages of a queue were visible, its dead letters included.
    pub fn is_complete(&self, queue: &QueueName) -> bool {
        !self.hidden.contains_key(queue) && !self.hidden_dead.contains(queue)
    }

    /// Returns the queues whose waiting messages were invisible, each with the reason.
    pub fn hidden(&self) -> &BTreeMap<QueueName, Opaque> {
        &self.hidden
    }
}

/// Returns whether a message begins with the name of one of these packages.
fn is_about(body: &[u8], packages: &HashSet<String>) -> bool {
    let first = body.trim_ascii_start().split(u8::is_ascii_whitespace).next().unwrap_or_default();
    std::str::from_utf8(first).is_ok_and(|package| packages.contains(package))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_about_the_packages_are_read() {
        let packages = ["gzip", "lib"].map(str::to_owned).into();
        for body in ["gzip", "gzip {}", " gzip\n{\"triggers\": []}", "lib\t{}"] {
            assert!(is_about(body.as_bytes(), &packages), "{body}");
        }
        for body in ["", "gzip2 {}", "other {\"testname\": \"gzip \"}", "\u{a0}", "{}"] {
            assert!(!is_about(body.as_bytes(), &packages), "{body}");
        }
        assert!(!is_about(b"\xff\xfe", &packages));
    }

    #[test]
    fn of_several_copies_the_one_nearest_to_a_result_counts() {
        let queue: QueueName = "debci-noble-amd64".parse().unwrap();
        let body = br#"gzip {"uuid": "u-1"}"#;
        let id: RequestId = "u-1".parse().unwrap();
        let mut snapshot = Snapshot::default();
        assert!(!snapshot.is_alive(&id));
        let dead = RequestPlace::Dead { reason: "broken".to_owned() };
        for (place, expected) in [
            (dead.clone(), dead.clone()),
            (RequestPlace::Delayed, RequestPlace::Delayed),
            (dead, RequestPlace::Delayed),
            (RequestPlace::Queued { position: 2, of: 3 }, RequestPlace::Queued { position: 2, of: 3 }),
            (RequestPlace::Running(None), RequestPlace::Running(None)),
            (RequestPlace::Delayed, RequestPlace::Running(None)),
        ] {
            snapshot.add(&queue, body, place);
            assert_eq!(snapshot.find(&id).unwrap().place, expected);
        }
        assert!(snapshot.is_alive(&id));
        assert_eq!(snapshot.requests().len(), 6);
        // What is no request is in no place, and what has no id cannot be asked for by one.
        snapshot.add(&queue, b"{}", RequestPlace::Delayed);
        snapshot.add(&queue, b"gzip", RequestPlace::Delayed);
        assert_eq!((snapshot.requests().len(), snapshot.by_id.len()), (7, 1));
    }
}
