//! Cancellation of single tests. Users know requests by their ids; a slot knows whether its test can still be
//! cancelled.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::broker::Settlement;
use crate::request::RequestId;

/// Registry of the tests that can be cancelled now. Clones share it.
#[derive(Clone, Default)]
pub struct CancelRegistry {
    list: Arc<Mutex<OpenTests>>,
}

#[derive(Default)]
struct OpenTests {
    next: u64,
    open: Vec<OpenTest>,
}

struct OpenTest {
    serial: u64,
    id: RequestId,
    wish: watch::Sender<Option<Cancellation>>,
}

/// A user's wish to cancel a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancellation {
    /// Name of the user, such as `alice on host`.
    pub by: String,
    /// Whether the request goes back to its queue, instead of to the dead letters.
    pub requeue: bool,
}

/// Guard of a test, which can be cancelled until the guard is closed or dropped.
pub struct CancelGuard {
    cancels: CancelRegistry,
    serial: u64,
    wish: watch::Receiver<Option<Cancellation>>,
}

impl Cancellation {
    /// Returns the verdict for the request. The attempt does not count, because it said nothing about the request.
    pub fn verdict(&self) -> Settlement {
        if self.requeue { Settlement::Return } else { Settlement::Dead(format!("cancelled by {}", self.by)) }
    }
}

impl CancelRegistry {
    /// Registers the test of a request, which can be cancelled from now on.
    pub fn register(&self, id: &RequestId) -> CancelGuard {
        let (wish, receiver) = watch::channel(None);
        let mut list = self.list();
        let serial = list.next;
        list.next += 1;
        list.open.push(OpenTest { serial, id: id.clone(), wish });
        CancelGuard { cancels: self.clone(), serial, wish: receiver }
    }

    /// Cancels the test of a request. Returns false when no test of this request can be cancelled here. The first
    /// cancellation wins.
    pub fn cancel(&self, id: &RequestId, cancellation: &Cancellation) -> bool {
        let list = self.list();
        let mut found = false;
        for test in list.open.iter().filter(|test| test.id == *id) {
            found = true;
            test.wish.send_if_modified(|wish| {
                let first = wish.is_none();
                wish.get_or_insert_with(|| cancellation.clone());
                first
            });
        }
        found
    }

    fn list(&self) -> MutexGuard<'_, OpenTests> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CancelGuard {
    /// Returns when the test is cancelled; never otherwise.
    pub async fn cancelled(&mut self) -> Cancellation {
        match self.wish.wait_for(Option::is_some).await.map(|wish| wish.clone()) {
            Ok(Some(wish)) => wish,
            // The guard was closed: no cancellation can come.
            _ => std::future::pending().await,
        }
    }

    /// Ends the time in which the test can be cancelled. Returns the cancellation that came before, if any: its user
    /// was told that it takes effect.
    pub fn close(&self) -> Option<Cancellation> {
        // The order matters: once the test is not in the registry, no cancellation can come.
        self.leave();
        self.wish.borrow().clone()
    }

    fn leave(&self) {
        self.cancels.list().open.retain(|test| test.serial != self.serial);
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        self.leave();
    }
}
