//! State of the model: the copies of one request, its lock, the store, and the slots of the workers.

/// Where a copy of the request is. A place of a slot is `live` as long as the slot's channel is open; the broker releases what
/// is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum At {
    /// Ready in its queue.
    Queue,
    /// Delivered from its queue to a slot, not acknowledged.
    Taken { slot: u8, live: bool },
    /// In the claim queue of a slot, delivered to it, not acknowledged.
    Claim { slot: u8, live: bool },
    /// Waiting out a delay.
    Delay,
    /// Among the dead letters.
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Message {
    pub at: At,
    /// Whether it tells its next holder that somebody may have had it before.
    pub marked: bool,
    /// Number of counted attempts that it carries.
    pub attempts: u8,
}

/// The exclusive queue named after the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lock {
    pub worker: u8,
    /// Whether the owner's connection is open. The broker removes the lock of a closed one some time later.
    pub live: bool,
}

/// An operation at the broker: not done, done there, or known to be done by the worker that asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    No,
    Done,
    Known,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LockAnswer {
    No,
    Ours,
    Refused,
    KnownOurs,
    KnownRefused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    Done,
    /// Back to the queue; the attempt counts.
    Requeue,
    /// Back to the queue; the attempt does not count.
    Return,
    /// Back after a delay; the attempt counts.
    Later,
    /// Back after a delay; the attempt does not count.
    LaterUncounted,
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SettleStep {
    Begun,
    UnlockDone,
    Unlocked,
    PublishDone,
    Published,
    AcknowledgeDone,
}

/// What the slot does about its claim at the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keeper {
    Idle,
    /// Makes a copy and asks for the lock; from the request's queue, or again after an interruption.
    Acquire {
        fresh: bool,
        copy: Answer,
        accept: Answer,
        lock: LockAnswer,
        /// Somebody has answered that the request is held; the answer is on its way.
        told: bool,
    },
    DropSurplus {
        fresh: bool,
        done: bool,
    },
    Held,
    /// The loss of the copy is known; nothing is done about it yet.
    Away,
    /// The claim is lost for good; the job has not ended yet.
    Lost,
    Settle {
        verdict: Verdict,
        step: SettleStep,
    },
    GiveBack {
        unlocked: bool,
    },
}

/// How far the worker is with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Job {
    None,
    Start,
    /// The store has answered whether there is a result; the answer is on its way.
    Answered {
        found: bool,
    },
    Clear,
    Running,
    /// The bundle is on the disk; the worker has not logged that yet.
    Bundled,
    /// There is a bundle to publish.
    Ran,
    /// The last looks at claim and store are done; result.tar is on its way.
    Committing,
    Stored,
    /// The last look has found another worker's result.
    Overtaken,
    /// The request has its result: it can be settled.
    Finished,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Renewal {
    No,
    Stored,
    Removed,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slot {
    pub keeper: Keeper,
    pub job: Job,
    pub renewal: Renewal,
    /// Whether the worker's connection is open, as far as this slot uses it.
    pub connected: bool,
    /// Whether the channels with the slot's deliveries are open.
    pub up: bool,
    /// Whether the slot is on its process's list of claims; one slot of a process at a time is.
    pub place: bool,
    pub attempt: u8,
    /// Whether another holder may have had the request.
    pub marked: bool,
    pub interrupted: bool,
    /// What the job wants done, not begun yet.
    pub verdict: Option<Verdict>,
    /// The job has dropped the claim without a verdict.
    pub dropped: bool,
}

impl Slot {
    pub const IDLE: Self = Self {
        keeper: Keeper::Idle,
        job: Job::None,
        renewal: Renewal::No,
        connected: true,
        up: true,
        place: false,
        attempt: 0,
        marked: false,
        interrupted: false,
        verdict: None,
        dropped: false,
    };

    /// Whether the slot answers that it holds the request.
    pub fn announces(&self) -> bool {
        let announces = match self.keeper {
            Keeper::Held => true,
            Keeper::Settle { verdict, step } => {
                step == SettleStep::Begun || matches!(verdict, Verdict::Done | Verdict::Dead)
            }
            _ => false,
        };
        announces && self.up
    }

    /// Whether the slot waits for a lock that another slot has.
    pub fn waits(&self) -> bool {
        let refused = |lock| lock == LockAnswer::KnownRefused || !self.place;
        self.has_all_answers() && matches!(self.keeper, Keeper::Acquire { told: false, lock, .. } if refused(lock))
    }

    /// Whether a copy, the acknowledgement of the origin's and the answer about the lock are known.
    pub fn has_all_answers(&self) -> bool {
        matches!(self.keeper, Keeper::Acquire { copy: Answer::Known, accept: Answer::Known, .. })
    }
}

/// Number of faults and operations that may still happen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Workers that are killed.
    pub crashes: u8,
    /// Connections that drop.
    pub drops: u8,
    /// Channels that the broker closes.
    pub channels: u8,
    /// Restarts of the broker.
    pub restarts: u8,
    /// Runs whose testbed fails.
    pub failures: u8,
    /// Claims that are given back because the worker is told to stop.
    pub stops: u8,
    pub renewals: u8,
}

impl Budget {
    /// The same with more of each kind of fault.
    pub fn larger(&self, more: u8) -> Self {
        Self {
            crashes: self.crashes + more,
            drops: self.drops + more,
            channels: self.channels + more,
            restarts: self.restarts + more,
            failures: self.failures + more,
            stops: self.stops + more,
            renewals: self.renewals + more,
        }
    }

    /// Number of everything that can end an attempt.
    pub fn faults(&self) -> u8 {
        self.crashes + self.drops + self.channels + self.restarts + self.failures + self.stops
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// Sorted, so that equal states are found equal.
    pub messages: Vec<Message>,
    pub lock: Option<Lock>,
    /// Number of complete results in the store.
    pub results: u8,
    pub slots: Vec<Slot>,
    /// Workers whose settled claim still gives up its lock.
    pub unlocking: Vec<bool>,
    /// Workers that keep a complete bundle on their disk.
    pub bundles: Vec<bool>,
    pub budget: Budget,
}

impl State {
    /// Takes away the first message for which `choose` holds.
    pub fn remove(&mut self, choose: impl Fn(&Message) -> bool) -> Option<Message> {
        let index = self.messages.iter().position(choose)?;
        Some(self.messages.remove(index))
    }

    pub fn add(&mut self, message: Message) {
        let index = self.messages.partition_point(|other| *other < message);
        self.messages.insert(index, message);
    }

    /// Closes a slot's channels: what they hold can be released from now on.
    pub fn close(&mut self, of: u8) {
        for message in &mut self.messages {
            match &mut message.at {
                At::Taken { slot, live } | At::Claim { slot, live } if *slot == of => *live = false,
                _ => {}
            }
        }
        self.messages.sort();
    }
}
