//! Retries of what failed, and may succeed later.
//!
//! A [`RetryPolicy`] says how often and how long something is tried again. [`retry`] does that for one operation; loops
//! with conditions of their own take the [`Delays`] alone. An error type says by [`ClassifyFailure`] which failures are
//! transient.

use std::future::Future;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder, Retryable};

/// How often, and how long, an operation is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Delay before the first retry. Each further delay is twice as long.
    pub first_delay: Duration,
    /// Maximum delay, also of what a server asks for. [`Delays`] can add as much by chance.
    pub max_delay: Duration,
    /// Maximum number of retries; `None` for any number.
    pub max_retries: Option<usize>,
    /// Time within which an unreachable server is tried again, without the time of the last attempt.
    pub connect_limit: Option<Duration>,
    /// Time within which everything else is tried again, without the time of the last attempt.
    pub total_limit: Option<Duration>,
    /// Whether up to as much is added to each delay by chance, so that many clients do not come back at the same time.
    pub has_jitter: bool,
}

/// For a user or a request that waits: a server that is unreachable, or keeps failing, is reported soon.
pub const SHORT: RetryPolicy = RetryPolicy {
    first_delay: Duration::from_millis(200),
    max_delay: Duration::from_secs(5),
    max_retries: Some(4),
    connect_limit: Some(Duration::from_millis(1500)),
    total_limit: Some(Duration::from_secs(45)),
    has_jitter: true,
};

/// For the results of hours of work: a server that restarts is waited for.
pub const LONG: RetryPolicy = RetryPolicy {
    max_delay: Duration::from_secs(15),
    max_retries: Some(12),
    connect_limit: Some(Duration::from_secs(30)),
    total_limit: Some(Duration::from_secs(180)),
    ..SHORT
};

/// For services: a server is waited for, however long it is unreachable.
pub const ENDLESS: RetryPolicy = RetryPolicy {
    first_delay: Duration::from_millis(200),
    max_delay: Duration::from_secs(10),
    max_retries: None,
    connect_limit: None,
    total_limit: None,
    has_jitter: true,
};

/// A failure after which another attempt may succeed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Transient {
    /// Whether there was no connection, or never an answer on it.
    pub is_connecting: bool,
    /// Delay that the server asks for.
    pub after: Option<Duration>,
}

/// Tells transient failures from final ones.
pub trait ClassifyFailure {
    /// Returns what is known about a transient failure; `None` when another attempt would fail as well.
    fn transient(&self) -> Option<Transient>;
}

/// The delays of a policy, for a loop that counts its attempts itself.
#[derive(Debug)]
pub struct Delays {
    backoff: ExponentialBackoff,
    max_delay: Duration,
}

impl RetryPolicy {
    /// Returns the delays from the first one on, without an end.
    pub fn delays(&self) -> Delays {
        Delays { backoff: self.backoff().without_max_times().build(), max_delay: self.max_delay }
    }

    fn backoff(&self) -> ExponentialBuilder {
        let mut backoff = ExponentialBuilder::new()
            .with_min_delay(self.first_delay)
            .with_max_delay(self.max_delay)
            .without_max_times();
        if let Some(max_retries) = self.max_retries {
            backoff = backoff.with_max_times(max_retries);
        }
        if self.has_jitter { backoff.with_jitter() } else { backoff }
    }

    /// Returns the delay before the next attempt, or `None` when the time for attempts is over. `own` is what the
    /// policy itself asks for.
    fn delay(&self, transient: Transient, own: Duration, elapsed: Duration) -> Option<Duration> {
        let delay = own.max(transient.after.unwrap_or_default()).min(self.max_delay);
        let limit = if transient.is_connecting { self.connect_limit } else { self.total_limit };
        let Some(limit) = limit else { return Some(delay) };
        // The time is used up to its end: the last delay may be a shorter one.
        limit.checked_sub(elapsed).filter(|left| !left.is_zero()).map(|left| delay.min(left))
    }
}

impl Delays {
    /// Returns the next delay.
    pub fn next_delay(&mut self) -> Duration {
        self.backoff.next().unwrap_or(self.max_delay)
    }
}

/// Performs an operation until it succeeds, fails for good, or the policy ends. `operation` begins from the start each
/// time, and `before_retry` learns of each failure and the delay that follows it.
///
/// # Errors
/// The last failure.
pub async fn retry<T, E, F>(
    policy: &RetryPolicy,
    operation: impl FnMut() -> F,
    before_retry: impl FnMut(&E, Duration),
) -> Result<T, E>
where
    E: ClassifyFailure,
    F: Future<Output = Result<T, E>>,
{
    let begin = Instant::now();
    operation
        .retry(policy.backoff())
        .when(|failure: &E| failure.transient().is_some())
        .adjust(|failure: &E, own| policy.delay(failure.transient()?, own?, begin.elapsed()))
        .notify(before_retry)
        .await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[derive(Debug, PartialEq)]
    enum Failure {
        Final,
        Passing(Transient),
    }

    impl ClassifyFailure for Failure {
        fn transient(&self) -> Option<Transient> {
            match self {
                Self::Final => None,
                Self::Passing(transient) => Some(*transient),
            }
        }
    }

    const BUSY: Failure = Failure::Passing(Transient { is_connecting: false, after: None });

    /// Performs an operation that fails so often, and returns its outcome and the number of attempts.
    fn perform(policy: &RetryPolicy, failures: usize, failure: fn() -> Failure) -> (Result<(), Failure>, usize) {
        let attempts = Cell::new(0);
        let operation = || async {
            attempts.set(attempts.get() + 1);
            if attempts.get() <= failures { Err(failure()) } else { Ok(()) }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        (runtime.block_on(retry(policy, operation, |_, _| {})), attempts.get())
    }

    const QUICK: RetryPolicy = RetryPolicy { first_delay: Duration::from_millis(1), ..SHORT };

    #[test]
    fn a_transient_failure_is_tried_again_until_it_works_or_the_policy_ends() {
        assert_eq!(perform(&QUICK, 2, || BUSY), (Ok(()), 3));
        assert_eq!(perform(&QUICK, 9, || BUSY), (Err(BUSY), 5));
        assert_eq!(perform(&RetryPolicy { max_retries: Some(0), ..QUICK }, 9, || BUSY), (Err(BUSY), 1));
    }

    #[test]
    fn a_final_failure_is_not_tried_again() {
        assert_eq!(perform(&QUICK, 9, || Failure::Final), (Err(Failure::Final), 1));
    }

    #[test]
    fn an_unreachable_server_is_given_up_sooner_than_a_busy_one() {
        let own = Duration::from_millis(400);
        let (connecting, busy) = (Transient { is_connecting: true, after: None }, Transient::default());
        let delay = |transient, elapsed| SHORT.delay(transient, own, Duration::from_millis(elapsed));
        assert_eq!(delay(connecting, 0), Some(own));
        assert_eq!(delay(connecting, 1400), Some(Duration::from_millis(100)), "the time is used up to its end");
        assert_eq!((delay(connecting, 1500), delay(connecting, 2000)), (None, None));
        assert_eq!((delay(busy, 2000), delay(busy, 45_000)), (Some(own), None));
        assert_eq!(ENDLESS.delay(connecting, own, Duration::from_secs(86_400)), Some(own));
    }

    #[test]
    fn a_server_says_when_to_come_back_within_limits() {
        let after = |seconds| Transient { is_connecting: false, after: Some(Duration::from_secs(seconds)) };
        let delay = |seconds| SHORT.delay(after(seconds), Duration::from_millis(200), Duration::ZERO);
        assert_eq!(delay(1), Some(Duration::from_secs(1)));
        assert_eq!(delay(3600), Some(SHORT.max_delay));
    }

    #[test]
    fn delays_grow_up_to_a_limit() {
        let mut delays = ENDLESS.delays();
        let delays: Vec<Duration> = (0..20).map(|_| delays.next_delay()).collect();
        assert!(delays[0] < Duration::from_millis(500));
        assert!(delays[10..].iter().all(|delay| (10..=20).contains(&delay.as_secs())), "{delays:?}");
        let mut delays = RetryPolicy { has_jitter: false, ..SHORT }.delays();
        let delays: Vec<u128> = (0..8).map(|_| delays.next_delay().as_millis()).collect();
        assert_eq!(delays, [200, 400, 800, 1600, 3200, 5000, 5000, 5000], "they go on after the last retry");
    }
}
