//! Retries of requests to Swift.

use std::future::Future;
use std::time::Duration;

use reqwest::Response;
use tokio::time::timeout;
use tracing::debug;

use super::CONNECT_TIMEOUT;
use super::failure::Failure;
use crate::retry::{ClassifyFailure, RetryPolicy, Transient, retry};
use crate::store::StoreError;

impl ClassifyFailure for Failure {
    fn transient(&self) -> Option<Transient> {
        let Self::Transient { connecting, after, .. } = self else { return None };
        Some(Transient { is_connecting: *connecting, after: *after })
    }
}

/// Sends a request to a server that has not answered yet. A server that accepts the connection and then says nothing is
/// reported as soon as an unreachable one.
pub(super) async fn first_answer(
    address: &str,
    sending: impl Future<Output = Result<Response, reqwest::Error>>,
) -> Result<Response, Failure> {
    // A little longer than the client's own timeout, whose error is more precise.
    match timeout(CONNECT_TIMEOUT + Duration::from_millis(500), sending).await {
        Ok(answer) => answer.map_err(|error| Failure::of_client(address, error)),
        Err(_) => Err(Failure::Transient {
            address: address.to_owned(),
            reason: format!("no answer within {} seconds", CONNECT_TIMEOUT.as_secs()),
            connecting: true,
            after: None,
        }),
    }
}

/// Repeats `work` from its start until it succeeds, fails permanently, or the policy ends.
pub(super) async fn with_retries<T, F>(policy: RetryPolicy, work: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, Failure>>,
{
    let log = |failure: &Failure, delay: Duration| debug!(?failure, ?delay, "trying again");
    retry(&policy, work, log).await.map_err(StoreError::from)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Instant;

    use super::*;
    use crate::retry::{LONG, SHORT};

    fn passing(connecting: bool, after: Option<Duration>) -> Failure {
        Failure::Transient { address: "http://s".into(), reason: "busy".into(), connecting, after }
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
    }

    #[test]
    fn what_passes_is_tried_until_it_works() {
        let tries = Cell::new(0);
        let work = || async {
            tries.set(tries.get() + 1);
            if tries.get() < 3 { Err(passing(false, None)) } else { Ok(tries.get()) }
        };
        assert_eq!(run(with_retries(SHORT, work)).unwrap(), 3);
    }

    #[test]
    fn what_is_final_is_not_tried_again() {
        let tries = Cell::new(0);
        let work = || async {
            tries.set(tries.get() + 1);
            Err::<(), _>(Failure::NotFound("c".into()))
        };
        assert!(matches!(run(with_retries(LONG, work)), Err(StoreError::NotFound(_))));
        assert_eq!(tries.get(), 1);
    }

    #[test]
    fn a_store_that_is_away_is_given_up_soon() {
        let begin = Instant::now();
        let error = run(with_retries(SHORT, || async { Err::<(), _>(passing(true, None)) })).unwrap_err();
        assert!(matches!(error, StoreError::Unreachable { .. }));
        // Much less than the limit for a restarting store; a busy machine may be slow.
        assert!(begin.elapsed() < LONG.connect_limit.unwrap() / 2, "{:?}", begin.elapsed());
    }

    #[test]
    fn the_store_says_when_to_come_back() {
        let begin = Instant::now();
        let tries = Cell::new(0);
        let work = || async {
            tries.set(tries.get() + 1);
            if tries.get() == 1 { Err(passing(false, Some(Duration::from_secs(1)))) } else { Ok(()) }
        };
        run(with_retries(SHORT, work)).unwrap();
        assert!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());
    }
}
