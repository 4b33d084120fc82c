//! A running test, as clients of the broker see it and cancel it.
//!
//! The worker writes its progress into a [`TestHandle`], which costs only a lock. It is sent when a client asks for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::release::QueueName;
use crate::request::Request;

/// Maximum length of the name of a canceller, in characters: the name is shown in logs and reasons.
const MAX_NAME: usize = 200;

/// Progress of a test, as its worker reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestProgress {
    /// Name of the worker.
    pub worker: String,
    /// Number of the worker's slot, from 1.
    pub slot: usize,
    /// Time at which the slot claimed the request.
    pub since: Timestamp,
    /// Phase of the run: `preparing`, `testing`, `bundling` or `publishing`.
    pub phase: String,
    /// First lines and end of the test's log.
    pub logtail: String,
}

/// A request that a worker holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningTest {
    /// Queue that the request came from.
    pub queue: QueueName,
    /// Message of the request. It may contain tokens.
    pub body: Vec<u8>,
    /// Progress of the test. `None` before it has begun, and when the worker does not answer.
    pub progress: Option<TestProgress>,
}

impl RunningTest {
    /// Returns the request, if the message is one.
    pub fn request(&self) -> Option<Request> {
        Request::parse(&self.body).ok()
    }
}

/// A request to cancel a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRequest {
    /// Id of the request whose test is meant.
    pub uuid: String,
    /// Name of the canceller, such as `alice on host`.
    pub by: String,
    /// Whether the request goes back to its queue, instead of to the dead letters.
    pub requeue: bool,
}

/// Outcome of a request to cancel a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CancelOutcome {
    /// The worker ends the test, and guarantees that it will have no result.
    Cancelled,
    /// The worker runs the test, and is already publishing its result.
    TooLate,
    /// No worker has answered that it runs the test.
    NotFound,
}

/// A handle to a running test, from which questions about it are answered. Clones share it.
#[derive(Clone)]
pub struct TestHandle(Arc<Shared>);

/// Cancels the test; returns false when it is too late.
type Canceller = Box<dyn Fn(&CancelRequest) -> bool + Send + Sync>;

struct Shared {
    uuid: String,
    progress: Mutex<TestProgress>,
    cancel: Canceller,
}

impl TestHandle {
    /// Returns a handle to the test of the request with this id, which has come this far.
    ///
    /// `cancel` ends the test. The name that it is called with is fit for logs.
    pub fn new(
        uuid: &str,
        progress: TestProgress,
        cancel: impl Fn(&CancelRequest) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared { uuid: uuid.to_owned(), progress: Mutex::new(progress), cancel: Box::new(cancel) }))
    }

    /// Updates the phase of the run.
    pub fn phase(&self, phase: &str) {
        phase.clone_into(&mut self.lock().phase);
    }

    /// Updates the end of the log.
    pub fn logtail(&self, logtail: &str) {
        logtail.clone_into(&mut self.lock().logtail);
    }

    pub(super) fn progress(&self) -> TestProgress {
        self.lock().clone()
    }

    pub(super) fn cancel(&self, request: &CancelRequest) -> CancelOutcome {
        // The canceller may have seen an earlier test of this slot.
        if request.uuid != self.0.uuid {
            return CancelOutcome::NotFound;
        }
        let by: String = request.by.replace(char::is_control, " ").chars().take(MAX_NAME).collect();
        let request = CancelRequest { by, ..request.clone() };
        if (self.0.cancel)(&request) { CancelOutcome::Cancelled } else { CancelOutcome::TooLate }
    }

    fn lock(&self) -> MutexGuard<'_, TestProgress> {
        self.0.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
