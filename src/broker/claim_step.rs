//! Steps of the claim protocol at RabbitMQ, as workers log them.
//!
//! `docs/claims.md` describes the protocol. The model in `tests/model/` shares this list: each recorded step must be
//! one that the model allows. A step that reports an answer of the broker is logged after the answer; a step by which a
//! worker gives something up is logged before it does so.

use std::sync::Arc;

use crate::request::RequestId;

/// Target of the log events of claims. They have the level `debug`.
pub const CLAIM_LOG_TARGET: &str = "apt_ci::claim";

/// A step in the life of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClaimStep {
    /// The request was delivered from its queue; the delivery is not acknowledged.
    Taken,
    /// The broker has stored and delivered the slot's own copy.
    Copied,
    /// The delivery from the request's queue is acknowledged.
    Accepted,
    /// The request's lock belongs to this worker's connection.
    Locked,
    /// Another connection has the request's lock.
    LockRefused,
    /// Another worker has answered that it holds the request.
    HeldElsewhere,
    /// The slot's own copy is removed, because the request is held elsewhere.
    SurplusDropped,
    /// The claim is handed to the worker.
    Held,
    /// A fresh copy has replaced the former one.
    Renewed,
    /// The copy's channel is lost or given up; the claim must be acquired again.
    Interrupted,
    /// An interrupted claim is held again.
    Reacquired,
    /// An interrupted claim is given up for good.
    Lost,
    /// The request has a result already.
    ResultFound,
    /// The request has no result yet.
    NoResult,
    /// The worker begins to run the test.
    RunStarted,
    /// The test has ended and its bundle is complete.
    RunEnded,
    /// A complete bundle of an earlier run was found on this host.
    BundleFound,
    /// The run's result is in the store.
    Published,
    /// Another worker has published the request's result, and this run's is dropped.
    PublishedElsewhere,
    /// The lock is released, so that another worker can run the request.
    Unlocked,
    /// The request is stored in its queue again.
    Requeued,
    /// The request is stored in a delay queue.
    Delayed,
    /// The request is stored among the dead letters of its queue, with a reason.
    DeadLettered,
    /// The slot's own copy is removed: the claim has ended.
    Settled,
    /// The request is given up: its lock is released and its copy goes back to its queue.
    GivenBack,
}

impl ClaimStep {
    /// All steps.
    pub const ALL: [Self; 25] = [
        Self::Taken,
        Self::Copied,
        Self::Accepted,
        Self::Locked,
        Self::LockRefused,
        Self::HeldElsewhere,
        Self::SurplusDropped,
        Self::Held,
        Self::Renewed,
        Self::Interrupted,
        Self::Reacquired,
        Self::Lost,
        Self::ResultFound,
        Self::NoResult,
        Self::RunStarted,
        Self::RunEnded,
        Self::BundleFound,
        Self::Published,
        Self::PublishedElsewhere,
        Self::Unlocked,
        Self::Requeued,
        Self::Delayed,
        Self::DeadLettered,
        Self::Settled,
        Self::GivenBack,
    ];

    /// Returns the name of the step in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Copied => "copied",
            Self::Accepted => "accepted",
            Self::Locked => "locked",
            Self::LockRefused => "lock-refused",
            Self::HeldElsewhere => "held-elsewhere",
            Self::SurplusDropped => "surplus-dropped",
            Self::Held => "held",
            Self::Renewed => "renewed",
            Self::Interrupted => "interrupted",
            Self::Reacquired => "reacquired",
            Self::Lost => "lost",
            Self::ResultFound => "result-found",
            Self::NoResult => "no-result",
            Self::RunStarted => "run-started",
            Self::RunEnded => "run-ended",
            Self::BundleFound => "bundle-found",
            Self::Published => "published",
            Self::PublishedElsewhere => "published-elsewhere",
            Self::Unlocked => "unlocked",
            Self::Requeued => "requeued",
            Self::Delayed => "delayed",
            Self::DeadLettered => "dead-lettered",
            Self::Settled => "settled",
            Self::GivenBack => "given-back",
        }
    }
}

/// Logs the steps of one slot with one request. Messages that are not requests have no id, and are not logged.
#[derive(Clone)]
pub(super) struct ClaimLog {
    slot: Arc<str>,
    uuid: Option<RequestId>,
}

impl ClaimLog {
    pub(super) fn new(slot: &Arc<str>, uuid: Option<&RequestId>) -> Self {
        Self { slot: Arc::clone(slot), uuid: uuid.cloned() }
    }

    pub(super) fn step(&self, step: ClaimStep) {
        if let Self { slot, uuid: Some(uuid) } = self {
            tracing::debug!(target: CLAIM_LOG_TARGET, step = step.as_str(), %uuid, %slot);
        }
    }

    /// Logs that a request was taken, with the facts in its message about earlier holders.
    pub(super) fn taken(&self, attempt: u32, redelivered: bool) {
        if let Self { slot, uuid: Some(uuid) } = self {
            let step = ClaimStep::Taken.as_str();
            tracing::debug!(target: CLAIM_LOG_TARGET, step, %uuid, %slot, attempt, redelivered);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_step_has_a_name_of_its_own() {
        let names: HashSet<&str> = ClaimStep::ALL.into_iter().map(ClaimStep::as_str).collect();
        assert_eq!(names.len(), ClaimStep::ALL.len());
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-')));
    }
}
