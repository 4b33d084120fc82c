//! What can happen in the model.

use apt_ci::broker::ClaimStep;

use super::state::Verdict;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A slot logs a step. `message` tells which one it takes; it is 0 for other steps.
    Step {
        slot: u8,
        step: ClaimStep,
        message: u8,
    },
    /// The broker does what a slot has asked for.
    Broker {
        slot: u8,
        what: Effect,
    },
    /// The worker goes on by itself.
    Worker {
        slot: u8,
        what: Decision,
    },
    /// The broker returns a message whose channel is closed, or whose delay is over.
    Release {
        message: u8,
    },
    /// The broker removes the lock of a closed connection.
    ReleaseLock,
    FinishUnlocking {
        worker: u8,
    },
    Crash {
        worker: u8,
    },
    DropConnection {
        worker: u8,
    },
    CloseChannel {
        slot: u8,
    },
    Restart,
    /// An operator puts a dead letter back.
    Revive {
        message: u8,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    StoreCopy,
    RemoveOrigin,
    TryLock,
    TellHeld,
    RemoveSurplus,
    StoreRenewal,
    RemoveRenewed,
    Unlock,
    Publish,
    RemoveCopy,
    LookForResult,
    StoreResult,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    TakePlace,
    Reconnect,
    WriteBundle,
    BeginCommit,
    Decide(Verdict),
    BeginSettling,
    DropClaim,
    EndJob,
    CloseChannels,
}

impl Effect {
    pub const ALL: [Self; 12] = [
        Self::StoreCopy,
        Self::RemoveOrigin,
        Self::TryLock,
        Self::TellHeld,
        Self::RemoveSurplus,
        Self::StoreRenewal,
        Self::RemoveRenewed,
        Self::Unlock,
        Self::Publish,
        Self::RemoveCopy,
        Self::LookForResult,
        Self::StoreResult,
    ];
}

impl Decision {
    pub const ALL: [Self; 14] = [
        Self::TakePlace,
        Self::Reconnect,
        Self::WriteBundle,
        Self::BeginCommit,
        Self::Decide(Verdict::Done),
        Self::Decide(Verdict::Requeue),
        Self::Decide(Verdict::Return),
        Self::Decide(Verdict::Later),
        Self::Decide(Verdict::LaterUncounted),
        Self::Decide(Verdict::Dead),
        Self::BeginSettling,
        Self::DropClaim,
        Self::EndJob,
        Self::CloseChannels,
    ];
}

/// Steps by which a worker only learns what the broker or the store has done.
pub const LEARNS: [ClaimStep; 14] = [
    ClaimStep::Copied,
    ClaimStep::Accepted,
    ClaimStep::Locked,
    ClaimStep::LockRefused,
    ClaimStep::HeldElsewhere,
    ClaimStep::Renewed,
    ClaimStep::Unlocked,
    ClaimStep::Requeued,
    ClaimStep::Delayed,
    ClaimStep::DeadLettered,
    ClaimStep::ResultFound,
    ClaimStep::NoResult,
    ClaimStep::Published,
    ClaimStep::PublishedElsewhere,
];

impl Action {
    /// Whether it is a fault, or an operator's wish: something that need not happen.
    pub fn is_optional(self) -> bool {
        matches!(
            self,
            Self::Crash { .. }
                | Self::DropConnection { .. }
                | Self::CloseChannel { .. }
                | Self::Restart
                | Self::Revive { .. }
        )
    }
}
