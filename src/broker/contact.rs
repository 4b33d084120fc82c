//! A running test, as its worker shows it to who asks at the broker, and as it can be cancelled from there.
//!
//! The worker writes its latest news into a [`Contact`], which costs nothing but a lock. Only when somebody asks, they travel.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::release::QueueName;
use crate::request::Request;

/// How long the name of who cancels a test may be, in characters: it ends in logs and reasons.
const LONGEST_NAME: usize = 200;

/// What a worker tells of a test that it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// The worker's name.
    pub worker: String,
    /// The number of its slot, from 1.
    pub slot: usize,
    /// Since when the slot has had the request.
    pub since: Timestamp,
    /// How far it has come: `preparing`, `testing`, `bundling` or `publishing`.
    pub phase: String,
    /// The first lines and the end of the test's log.
    pub logtail: String,
}

/// A request that some worker holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningTest {
    /// The queue that it came from.
    pub queue: QueueName,
    /// The message. It may hold tokens.
    pub body: Vec<u8>,
    /// What its worker tells; nothing before it has begun, and when the worker does not answer.
    pub news: Option<News>,
}

impl RunningTest {
    /// The request, if the message is one.
    pub fn request(&self) -> Option<Request> {
        Request::parse(&self.body).ok()
    }
}

/// The wish to cancel a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// The id of the request whose test it is.
    pub uuid: String,
    /// Who wants that: `alice on host`.
    pub by: String,
    /// Whether the request goes back to its queue, instead of to the dead letters.
    pub requeue: bool,
}

/// What came of the wish to cancel a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cancelled {
    /// Its worker ends it, and has promised that it has no result.
    Cancelled,
    /// Its worker has it, and its result is on its way already.
    TooLate,
    /// No worker says that it has it.
    NotFound,
}

/// The connection between a test and who asks for it. Clones share it.
#[derive(Clone)]
pub struct Contact(Arc<Shared>);

/// Cancels the test for somebody; false when that is too late.
type Canceller = Box<dyn Fn(&Cancel) -> bool + Send + Sync>;

struct Shared {
    uuid: String,
    news: Mutex<News>,
    cancel: Canceller,
}

impl Contact {
    /// The test of the request with this id, with these first news, which `cancel` ends. It is called with a name that is fit for logs.
    pub fn new(uuid: &str, news: News, cancel: impl Fn(&Cancel) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared { uuid: uuid.to_owned(), news: Mutex::new(news), cancel: Box::new(cancel) }))
    }

    /// The test has come this far.
    pub fn phase(&self, phase: &str) {
        phase.clone_into(&mut self.lock().phase);
    }

    /// The test's log is this now.
    pub fn logtail(&self, logtail: &str) {
        logtail.clone_into(&mut self.lock().logtail);
    }

    pub(super) fn news(&self) -> News {
        self.lock().clone()
    }

    pub(super) fn cancel(&self, wish: &Cancel) -> Cancelled {
        // Who asked may have looked a moment ago, when another test was here.
        if wish.uuid != self.0.uuid {
            return Cancelled::NotFound;
        }
        let by: String = wish.by.replace(char::is_control, " ").chars().take(LONGEST_NAME).collect();
        let wish = Cancel { by, ..wish.clone() };
        if (self.0.cancel)(&wish) { Cancelled::Cancelled } else { Cancelled::TooLate }
    }

    fn lock(&self) -> MutexGuard<'_, News> {
        self.0.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
