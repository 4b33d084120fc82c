//! A check of the store, before a test is run whose result could not be stored.

use std::time::Duration;

use apt_ci::store::{Store, StoreError};
use tokio::time::timeout;

/// Timeout for an answer of the store.
const CHECK_TIMEOUT: Duration = Duration::from_secs(15);

/// A fault of the store.
pub enum StoreFault {
    /// The store refuses access, or cannot be used as it is configured.
    Unusable(StoreError),
    /// The store is unreachable.
    Unreachable(String),
}

/// Returns the fault of the store, if any: it must answer, and a folder must be writable.
pub async fn fault(store: &Store) -> Option<StoreFault> {
    let checked = async {
        store.containers().await?;
        store.check_writable().await
    };
    match timeout(CHECK_TIMEOUT, checked).await {
        Ok(Ok(())) => None,
        Ok(Err(error @ StoreError::Unreachable { .. })) => Some(StoreFault::Unreachable(error.to_string())),
        Ok(Err(error)) => Some(StoreFault::Unusable(error)),
        Err(_) => {
            let (address, seconds) = (store.address(), CHECK_TIMEOUT.as_secs());
            Some(StoreFault::Unreachable(format!("the store {address} did not answer within {seconds} s")))
        }
    }
}

/// Refuses to start with a store that refuses access. An unreachable one is only warned about: results are kept until
/// it answers.
pub async fn refuse_unusable(store: &Store) -> Result<(), StoreError> {
    match fault(store).await {
        Some(StoreFault::Unusable(error)) => Err(error),
        Some(StoreFault::Unreachable(reason)) => {
            tracing::warn!(target: "apt_ci::worker", "{reason}; results are kept until it answers");
            Ok(())
        }
        None => Ok(()),
    }
}
