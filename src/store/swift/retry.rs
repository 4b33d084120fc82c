//! Trying again: one helper for every request.

use std::future::Future;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use reqwest::Response;
use tokio::time::timeout;
use tracing::debug;

use super::CONNECT_TIMEOUT;
use super::failure::Failure;
use crate::store::StoreError;

/// How long to go on trying.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// How long a store that cannot even be connected to is tried again. A single try can take
    /// [`CONNECT_TIMEOUT`](super::CONNECT_TIMEOUT) more.
    connecting: Duration,
    /// How long everything else is tried again.
    total: Duration,
    /// How many times, at most, it is tried again.
    times: usize,
    /// The longest pause, whatever the store asks for.
    pause: Duration,
}

/// Somebody waits for the answer: an unreachable store is reported within ten seconds.
pub(super) const SHORT: Patience = Patience {
    connecting: Duration::from_millis(1500),
    total: Duration::from_secs(45),
    times: 4,
    pause: Duration::from_secs(5),
};

/// Bytes that took hours to make: a store that restarts is waited for.
pub(super) const LONG: Patience = Patience {
    connecting: Duration::from_secs(30),
    total: Duration::from_secs(180),
    times: 12,
    pause: Duration::from_secs(15),
};

/// Sends a request to a server that has not answered yet. One that takes the connection and then says nothing is no better than one
/// that is not there, and is reported as soon.
pub(super) async fn first_answer(
    address: &str,
    sending: impl Future<Output = Result<Response, reqwest::Error>>,
) -> Result<Response, Failure> {
    // A little longer than the connection may take by itself, which is the better reason to give.
    match timeout(CONNECT_TIMEOUT + Duration::from_millis(500), sending).await {
        Ok(answer) => answer.map_err(|error| Failure::of_client(address, error)),
        Err(_) => Err(Failure::Passing {
            address: address.to_owned(),
            reason: format!("no answer within {} seconds", CONNECT_TIMEOUT.as_secs()),
            connecting: true,
            after: None,
        }),
    }
}

/// Tries until it works, fails for good, or patience ends. `work` begins anew each time.
pub(super) async fn persist<T, F>(patience: Patience, work: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, Failure>>,
{
    let begin = Instant::now();
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(patience.pause)
        .with_max_times(patience.times)
        .with_jitter();
    let result = work
        .retry(backoff)
        .when(|failure| matches!(failure, Failure::Passing { .. }))
        .adjust(|failure, pause| {
            let Failure::Passing { connecting, after, .. } = failure else { return None };
            // Jitter is added to the longest pause too; the store's wish counts as far as patience goes.
            let pause = pause?.max(after.unwrap_or_default()).min(patience.pause);
            let limit = if *connecting { patience.connecting } else { patience.total };
            // Patience is used up to its end: the last pause may be a shorter one.
            limit.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()).map(|left| pause.min(left))
        })
        .notify(|failure, pause| debug!(?failure, ?pause, "trying again"))
        .await;
    result.map_err(StoreError::from)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn passing(connecting: bool, after: Option<Duration>) -> Failure {
        Failure::Passing { address: "http://s".into(), reason: "busy".into(), connecting, after }
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
        assert_eq!(run(persist(SHORT, work)).unwrap(), 3);
    }

    #[test]
    fn what_is_final_is_not_tried_again() {
        let tries = Cell::new(0);
        let work = || async {
            tries.set(tries.get() + 1);
            Err::<(), _>(Failure::NotFound("c".into()))
        };
        assert!(matches!(run(persist(LONG, work)), Err(StoreError::NotFound(_))));
        assert_eq!(tries.get(), 1);
    }

    #[test]
    fn a_store_that_is_away_is_given_up_soon() {
        let begin = Instant::now();
        let error = run(persist(SHORT, || async { Err::<(), _>(passing(true, None)) })).unwrap_err();
        assert!(matches!(error, StoreError::Unreachable { .. }));
        // Long before a store would be given up that is waited for; a busy machine may take its time.
        assert!(begin.elapsed() < LONG.connecting / 2, "{:?}", begin.elapsed());
    }

    #[test]
    fn the_store_says_when_to_come_back() {
        let begin = Instant::now();
        let tries = Cell::new(0);
        let work = || async {
            tries.set(tries.get() + 1);
            if tries.get() == 1 { Err(passing(false, Some(Duration::from_secs(1)))) } else { Ok(()) }
        };
        run(persist(SHORT, work)).unwrap();
        assert!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());
    }
}
