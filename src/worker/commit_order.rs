//! Turns in which the slots of one worker commit results of the same package.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::result::{ResultLocation, RunId};

/// Number of packages beyond which those that are not being published are forgotten.
const MAX_PACKAGES: usize = 4096;

/// Newest id that was committed, during a turn and between turns.
type Newest = Arc<tokio::sync::Mutex<Option<RunId>>>;

/// Turns of all packages, separate for each release, architecture and container.
#[derive(Default)]
pub struct CommitOrder(Mutex<HashMap<(String, String), Newest>>);

/// Right to commit a result, until it is dropped.
pub(super) struct CommitTurn(tokio::sync::OwnedMutexGuard<Option<RunId>>);

impl CommitOrder {
    /// Waits for the turn.
    pub(super) async fn take(&self, place: &ResultLocation) -> CommitTurn {
        let newest = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= MAX_PACKAGES {
                all.retain(|_, newest| Arc::strong_count(newest) > 1);
            }
            Arc::clone(all.entry((place.container.clone(), place.path.prefix())).or_default())
        };
        CommitTurn(newest.lock_owned().await)
    }
}

impl CommitTurn {
    /// Returns the newest id that a slot of this worker has committed.
    pub(super) fn newest(&self) -> Option<&RunId> {
        self.0.as_ref()
    }

    /// Notes that an id is being committed.
    pub(super) fn commit(&mut self, id: &RunId) {
        if self.0.as_ref().is_none_or(|newest| newest < id) {
            *self.0 = Some(id.clone());
        }
    }
}
