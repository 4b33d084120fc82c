//! The public containers that this worker has just found to be as they should be: asking for each result would be asking the same
//! again. Private ones are not among them. Somebody may have opened one, and it has to be closed before every result.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::result::Place;
use crate::store::{Access, Store, StoreError};

/// So soon, an operator's mistake with a container is mended.
const LASTS: Duration = Duration::from_secs(60);

/// What is known about the store's containers.
#[derive(Default)]
pub struct Containers(Mutex<HashMap<String, Instant>>);

impl Containers {
    fn known(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the container of a result exist and readable for who may read it, unless that was done a moment ago.
    ///
    /// # Errors
    /// When the store refuses or is away.
    pub(super) async fn ensure(&self, store: &Store, place: &Place) -> Result<(), StoreError> {
        let Place { container, access, .. } = place;
        if self.known().get(container).is_some_and(|at| at.elapsed() < LASTS) {
            return Ok(());
        }
        store.ensure_container(container, access).await?;
        if *access == Access::Public {
            let mut known = self.known();
            // PPAs come and go: what is known stays small.
            known.retain(|_, at| at.elapsed() < LASTS);
            known.insert(container.clone(), Instant::now());
        }
        Ok(())
    }

    /// Forgets a container that was found missing, and tells whether it had been taken for granted.
    pub(super) fn forget(&self, place: &Place) -> bool {
        self.known().remove(&place.container).is_some()
    }
}
