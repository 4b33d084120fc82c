//! Whether the store can be used, before a test is run for it in vain.

use std::time::Duration;

use apt_ci::store::{Store, StoreError};
use tokio::time::timeout;

/// How long the store may take to answer.
const CHECK_TIMEOUT: Duration = Duration::from_secs(15);

/// What is wrong with the store.
pub enum Fault {
    /// It refuses us, or cannot be used as it is configured.
    Wrong(StoreError),
    /// It is away, and may come back.
    Away(String),
}

/// Asks the store for its containers, as its user. `None` when it answers.
pub async fn fault(store: &Store) -> Option<Fault> {
    match timeout(CHECK_TIMEOUT, store.containers()).await {
        Ok(Ok(_)) => None,
        Ok(Err(error @ StoreError::Unreachable { .. })) => Some(Fault::Away(error.to_string())),
        Ok(Err(error)) => Some(Fault::Wrong(error)),
        Err(_) => {
            let (address, seconds) = (store.address(), CHECK_TIMEOUT.as_secs());
            Some(Fault::Away(format!("the store {address} did not answer within {seconds} s")))
        }
    }
}

/// Refuses to start with a store that does not let us in. One that is away is waited for after each test.
pub async fn refuse_wrong(store: &Store) -> Result<(), StoreError> {
    match fault(store).await {
        Some(Fault::Wrong(error)) => Err(error),
        Some(Fault::Away(reason)) => {
            tracing::warn!(target: "apt_ci::worker", "{reason}; results are kept until it answers");
            Ok(())
        }
        None => Ok(()),
    }
}
