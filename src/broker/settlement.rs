//! How a claim ends, and after which delays a request may come back.

use std::time::Duration;

use super::failure::Failure;

/// Delays of [`Settlement::Later`], shortest first. RabbitMQ has a queue for each.
pub const DELAYS: [Duration; 7] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(900),
    Duration::from_secs(3600),
];

/// Returns the shortest of [`DELAYS`] that is not shorter than this time, or the longest of all.
#[must_use]
pub fn delay(after: Duration) -> Duration {
    DELAYS.into_iter().find(|delay| *delay >= after).unwrap_or(DELAYS[DELAYS.len() - 1])
}

/// Decision of a worker about the request that it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// The request's effect is complete: it leaves the queue.
    Done,
    /// The request goes to the end of its queue. The attempt counts.
    Requeue,
    /// The request goes to the end of its queue. The attempt does not count, because it said nothing about the request.
    ///
    /// A first attempt counts all the same: the count shows the next holder that there was an earlier one.
    Return,
    /// The request goes back to its queue after a delay. No slot waits for it meanwhile.
    Later {
        /// Length of the delay, rounded to one of [`DELAYS`]: see [`delay`].
        after: Duration,
        /// Failure of this attempt. It travels with the request: see [`Claim::failures`](super::Claim::failures).
        failure: Option<Failure>,
        /// Whether this was an attempt.
        ///
        /// If not, and without a failure, the request was only passed on, which is counted separately: see
        /// [`Claim::handovers`](super::Claim::handovers).
        counts: bool,
    },
    /// The request goes to the dead letters of its queue, with this reason.
    Dead(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_those_that_have_a_queue() {
        let seconds = |after| delay(Duration::from_secs_f64(after)).as_secs();
        assert_eq!([0.0, 0.2, 1.0, 1.1, 60.0, 61.0, 3600.0, 86400.0].map(seconds), [1, 1, 1, 5, 60, 300, 3600, 3600]);
    }
}
