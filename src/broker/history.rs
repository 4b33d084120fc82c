//! The past of a request, which travels with it from one holder to the next.

use super::failure::{Failure, MAX_FAILURES};
use super::settlement::Settlement;

/// The known past of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct History {
    /// Number of claims, without the attempts that do not count.
    pub(super) attempts: u32,
    /// Number of times that the request was passed on since an attempt last counted.
    pub(super) handovers: u32,
    /// The latest failures, oldest first.
    pub(super) failures: Vec<Failure>,
}

impl History {
    /// Returns the history of a request that is claimed now.
    pub(super) fn claimed(mut self) -> Self {
        self.attempts = self.attempts.saturating_add(1);
        self
    }

    /// Returns whether a claimed request may have had another holder before.
    pub(super) fn had_another_holder(&self) -> bool {
        self.attempts > 1 || self.handovers > 0 || !self.failures.is_empty()
    }

    /// Returns the history of a claimed request that goes back to its queue.
    pub(super) fn after(&self, settlement: &Settlement) -> Self {
        let mut after = self.clone();
        let before = self.attempts.saturating_sub(1);
        match settlement {
            Settlement::Done | Settlement::Dead(_) => {}
            Settlement::Requeue => after.handovers = 0,
            // A first attempt counts in any case: the count makes the next holder look for a result.
            Settlement::Return => after.attempts = before.max(1),
            Settlement::Later { failure, counts, .. } => {
                (after.attempts, after.handovers) = match (counts, failure) {
                    (true, _) => (self.attempts, 0),
                    (false, Some(_)) => (before, 0),
                    (false, None) => (before, self.handovers.saturating_add(1)),
                };
                after.failures.extend(failure.as_ref().map(Failure::bounded));
                let surplus = after.failures.len().saturating_sub(MAX_FAILURES);
                after.failures.drain(..surplus);
            }
        }
        after
    }

    /// Returns the failures as JSON.
    pub(super) fn failures_text(&self) -> String {
        serde_json::to_string(&self.failures).expect("text and numbers can always be written")
    }

    /// Reads the text of [`History::failures_text`].
    ///
    /// Any other text is ignored: it must not keep a request from running.
    pub(super) fn failures_from(text: &str) -> Vec<Failure> {
        let failures: Vec<Failure> = serde_json::from_str(text).unwrap_or_default();
        let surplus = failures.len().saturating_sub(MAX_FAILURES);
        failures[surplus..].iter().map(Failure::bounded).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::DELAYS;

    fn failure(attempt: u32, reason: &str) -> Failure {
        let time = "2026-11-20T10:00:00Z".parse().unwrap();
        Failure { worker: "host".to_owned(), reason: reason.to_owned(), attempt, time, host: false }
    }

    fn later(failure: Option<Failure>, counts: bool) -> Settlement {
        Settlement::Later { after: DELAYS[0], failure, counts }
    }

    #[test]
    fn attempts_that_do_not_count_are_passes_or_nothing() {
        let first = History::default().claimed();
        assert!(!first.had_another_holder());
        let passed = first.after(&later(None, false));
        assert_eq!((passed.attempts, passed.handovers), (0, 1));
        let second = passed.claimed();
        assert!(second.had_another_holder());
        assert_eq!(second.after(&later(None, false)).handovers, 2);
        assert_eq!((second.after(&Settlement::Return).attempts, second.after(&Settlement::Return).handovers), (1, 1));
        for counted in [later(None, true), Settlement::Requeue] {
            let after = second.after(&counted);
            assert_eq!((after.attempts, after.handovers), (1, 0));
        }
    }

    #[test]
    fn a_failure_that_does_not_count_is_no_pass_either_and_still_tells_of_a_holder() {
        let failed = Failure { host: true, ..failure(1, "the disk is full") };
        let after = History::default().claimed().after(&later(Some(failed.clone()), false));
        assert_eq!((after.attempts, after.handovers, after.failures.as_slice()), (0, 0, &[failed][..]));
        assert!(after.clone().claimed().had_another_holder());
        assert_eq!(History::failures_from(&after.failures_text()), after.failures);
        // The form of earlier versions.
        let old = r#"[{"worker":"w","reason":"r","attempt":1,"time":"2026-11-20T10:00:00Z"}]"#;
        assert!(matches!(&History::failures_from(old)[..], [Failure { host: false, .. }]));
    }

    #[test]
    fn failures_are_kept_in_order_and_bounded() {
        let mut history = History::default();
        for attempt in 1..=30 {
            history = history.claimed().after(&later(Some(failure(attempt, &"\u{1f4a5}\n".repeat(400))), true));
        }
        assert_eq!(
            history.failures.iter().map(|failure| failure.attempt).collect::<Vec<_>>(),
            (21..=30).collect::<Vec<_>>()
        );
        let reason = &history.failures[0].reason;
        assert_eq!(reason.chars().count(), 500);
        assert!(reason.ends_with('…') && !reason.contains('\n'));
        let text = history.failures_text();
        assert!(text.len() < 24 * 1024, "{} bytes do not fit into a frame with the other headers", text.len());
        assert_eq!(History::failures_from(&text), history.failures);
        assert!(History::failures_from("nonsense").is_empty() && History::failures_from("").is_empty());
    }
}
