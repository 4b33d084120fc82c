//! Transitions of a slot: what it logs, what the broker and the store do for it, and what it decides by itself.

use apt_ci::broker::ClaimStep;

use super::action::{Decision, Effect};
use super::protocol::{Protocol, unlock};
use super::state::{Answer, At, Job, Keeper, Lock, LockAnswer, Message, Renewal, SettleStep, Slot, State, Verdict};

impl Protocol {
    /// A slot does what it logs.
    pub fn step(&self, state: &State, slot: u8, step: ClaimStep, message: u8) -> Option<State> {
        let now = &state.slots[usize::from(slot)];
        let mut next = state.clone();
        let own = &mut next.slots[usize::from(slot)];
        match (step, now.keeper, now.job) {
            (ClaimStep::Taken, Keeper::Idle, Job::None) => {
                let taken = *state.messages.get(usize::from(message))?;
                (taken.at == At::Queue).then_some(())?;
                *own = Slot {
                    keeper: Keeper::Acquire {
                        fresh: true,
                        copy: Answer::No,
                        accept: Answer::No,
                        lock: LockAnswer::No,
                        told: false,
                    },
                    place: self.is_place_free(state, slot),
                    attempt: taken.attempts.saturating_add(1),
                    marked: taken.marked,
                    ..Slot::IDLE
                };
                next.messages.remove(usize::from(message));
                next.add(Message { at: At::Taken { slot, live: true }, ..taken });
            }
            (ClaimStep::Copied, Keeper::Acquire { fresh, copy: Answer::Done, accept, lock, told }, _) => {
                own.keeper = Keeper::Acquire { fresh, copy: Answer::Known, accept, lock, told };
            }
            (ClaimStep::Accepted, Keeper::Acquire { fresh, copy, accept: Answer::Done, lock, told }, _) => {
                own.keeper = Keeper::Acquire { fresh, copy, accept: Answer::Known, lock, told };
            }
            (ClaimStep::Locked, Keeper::Acquire { fresh, copy, accept, lock: LockAnswer::Ours, told }, _) => {
                own.keeper = Keeper::Acquire { fresh, copy, accept, lock: LockAnswer::KnownOurs, told };
            }
            (ClaimStep::LockRefused, Keeper::Acquire { fresh, copy, accept, lock, told }, _) => {
                matches!(lock, LockAnswer::Refused | LockAnswer::KnownRefused).then_some(())?;
                own.marked = true;
                own.keeper = Keeper::Acquire { fresh, copy, accept, lock: LockAnswer::KnownRefused, told };
            }
            (ClaimStep::HeldElsewhere, Keeper::Acquire { fresh, told: true, .. }, _) => {
                own.keeper = Keeper::DropSurplus { fresh, done: false };
            }
            (ClaimStep::SurplusDropped, Keeper::DropSurplus { fresh: true, done: true }, _) => *own = Slot::IDLE,
            // What comes next is that the claim is lost.
            (ClaimStep::SurplusDropped, Keeper::DropSurplus { fresh: false, done: true }, _) if self.replays => {
                own.up = false;
            }
            (ClaimStep::Held, Keeper::Acquire { fresh: true, lock: LockAnswer::KnownOurs, .. }, _) => {
                (now.has_all_answers() && now.place).then_some(())?;
                own.keeper = Keeper::Held;
                own.job = Job::Start;
            }
            (ClaimStep::Reacquired, Keeper::Acquire { fresh: false, lock: LockAnswer::KnownOurs, .. }, _) => {
                now.has_all_answers().then_some(())?;
                own.keeper = Keeper::Held;
                own.interrupted = true;
            }
            (ClaimStep::Renewed, _, _) if now.renewal == Renewal::Removed => own.renewal = Renewal::No,
            (
                ClaimStep::Interrupted,
                Keeper::Held | Keeper::Settle { .. } | Keeper::Acquire { fresh: false, .. },
                _,
            ) => {
                // A worker that waits in vain for an answer gives its channel up, too.
                (!now.up || self.replays).then_some(())?;
                own.keeper = Keeper::Away;
                own.renewal = Renewal::No;
                own.interrupted = true;
                if let Keeper::Settle { verdict, .. } = now.keeper {
                    own.verdict = Some(verdict);
                }
                next.close(slot);
            }
            (ClaimStep::Lost, Keeper::DropSurplus { fresh: false, done }, _) => {
                (done || !now.up || self.replays).then_some(())?;
                own.keeper = Keeper::Lost;
                own.place = false;
                next.close(slot);
            }
            (ClaimStep::Lost, Keeper::Away, _) if now.dropped => {
                own.keeper = Keeper::Lost;
                own.place = false;
            }
            (ClaimStep::ResultFound, _, Job::Answered { found: true }) => own.job = Job::Finished,
            // A result that readers may have missed is made again.
            (ClaimStep::NoResult, _, Job::Answered { found }) if !found || self.replays => own.job = Job::Clear,
            (ClaimStep::RunStarted, _, Job::Start | Job::Clear) => {
                self.may_run(now).then_some(())?;
                (!state.bundles[if self.replays { 0 } else { usize::from(self.worker(slot)) }] || self.replays)
                    .then_some(())?;
                own.job = Job::Running;
            }
            (ClaimStep::RunEnded, _, Job::Bundled) => own.job = Job::Ran,
            (ClaimStep::BundleFound, _, Job::Start | Job::Clear) => {
                (*self.bundle(&mut next, slot) && (now.job == Job::Clear || !self.must_look(now))).then_some(())?;
                next.slots[usize::from(slot)].job = Job::Ran;
            }
            (ClaimStep::Published, keeper, Job::Stored) => {
                own.job = if keeper == Keeper::Idle { Job::None } else { Job::Finished };
            }
            // A bundle whose result the former worker has stored without hearing of it.
            (ClaimStep::Published, _, Job::Ran | Job::Overtaken) if self.replays && state.results > 0 => {
                own.job = Job::Finished;
            }
            (ClaimStep::PublishedElsewhere, _, Job::Overtaken) => own.job = Job::Finished,
            (ClaimStep::Unlocked, Keeper::Settle { verdict, step: SettleStep::UnlockDone }, _) => {
                own.keeper = Keeper::Settle { verdict, step: SettleStep::Unlocked };
            }
            (ClaimStep::Requeued, Keeper::Settle { verdict, step: SettleStep::PublishDone }, _) => {
                matches!(verdict, Verdict::Requeue | Verdict::Return).then_some(())?;
                own.keeper = Keeper::Settle { verdict, step: SettleStep::Published };
            }
            (ClaimStep::Delayed, Keeper::Settle { verdict, step: SettleStep::PublishDone }, _) => {
                matches!(verdict, Verdict::Later | Verdict::LaterUncounted).then_some(())?;
                own.keeper = Keeper::Settle { verdict, step: SettleStep::Published };
            }
            (ClaimStep::DeadLettered, Keeper::Settle { verdict, step: SettleStep::PublishDone }, _) => {
                (verdict == Verdict::Dead).then_some(())?;
                own.keeper = Keeper::Settle { verdict, step: SettleStep::Published };
            }
            (ClaimStep::Settled, Keeper::Settle { verdict, step: SettleStep::AcknowledgeDone }, job) => {
                // Only a broken protocol's job is not at its end now.
                *own = Slot { job: if job == Job::Finished { Job::None } else { job }, ..Slot::IDLE };
                if matches!(verdict, Verdict::Done | Verdict::Dead) {
                    next.unlocking[usize::from(self.worker(slot))] = true;
                    *self.bundle(&mut next, slot) &= self.replays;
                }
            }
            (
                ClaimStep::GivenBack,
                Keeper::Acquire { fresh: true, .. } | Keeper::DropSurplus { fresh: true, .. },
                _,
            ) => {
                if now.up && !self.replays {
                    next.budget.stops = next.budget.stops.checked_sub(1)?;
                }
                next.slots[usize::from(slot)].keeper = Keeper::GiveBack { unlocked: false };
            }
            (ClaimStep::GivenBack, Keeper::Held | Keeper::Settle { .. }, _) if now.dropped || self.replays => {
                own.keeper = Keeper::GiveBack { unlocked: false };
                own.job = Job::None;
            }
            _ => return None,
        }
        Some(next)
    }

    fn must_look(&self, slot: &Slot) -> bool {
        self.rules.look_for_a_result && slot.marked
    }

    fn may_run(&self, slot: &Slot) -> bool {
        (slot.job == Job::Clear || !self.must_look(slot)) && slot.attempt <= self.max_attempts
    }

    /// The broker, or the store, does what a slot has asked for.
    pub fn effect(&self, state: &State, slot: u8, what: Effect) -> Option<State> {
        let now = &state.slots[usize::from(slot)];
        let worker = self.worker(slot);
        let is_of_store = matches!(what, Effect::LookForResult | Effect::StoreResult);
        // Locks and questions go over other channels of the same connection.
        let is_of_connection = matches!(what, Effect::TryLock | Effect::TellHeld | Effect::Unlock);
        (is_of_store || if is_of_connection { now.connected } else { now.up }).then_some(())?;
        let mut next = state.clone();
        let own_copy = Message { at: At::Claim { slot, live: true }, marked: true, attempts: now.attempt };
        let is_own_copy = |message: &Message| message.at == At::Claim { slot, live: true };
        let own = &mut next.slots[usize::from(slot)];
        match (what, now.keeper) {
            (Effect::StoreCopy, Keeper::Acquire { fresh, copy: Answer::No, accept, lock, told }) => {
                let accept = if fresh { accept } else { Answer::Known };
                own.keeper = Keeper::Acquire { fresh, copy: Answer::Done, accept, lock, told };
                next.add(own_copy);
            }
            (Effect::RemoveOrigin, Keeper::Acquire { fresh: true, copy, accept: Answer::No, lock, told }) => {
                (copy == Answer::Known || !self.rules.copy_before_accepting).then_some(())?;
                own.keeper = Keeper::Acquire { fresh: true, copy, accept: Answer::Done, lock, told };
                next.remove(|message| message.at == At::Taken { slot, live: true })?;
            }
            (Effect::TryLock, Keeper::Acquire { fresh, copy, accept, lock, told: false }) => {
                // At first beside the copy when the request is fresh; else when the copy is there.
                (now.place && now.renewal == Renewal::No).then_some(())?;
                (now.has_all_answers() || (fresh && lock == LockAnswer::No)).then_some(())?;
                matches!(lock, LockAnswer::No | LockAnswer::KnownRefused).then_some(())?;
                if self.rules.commits_are_short && self.is_committed_elsewhere(state, slot) {
                    return None;
                }
                let free = match state.lock {
                    None => true,
                    Some(lock) => lock.live && lock.worker == worker,
                };
                let answer = if free || !self.rules.lock { LockAnswer::Ours } else { LockAnswer::Refused };
                (answer != LockAnswer::Refused || lock == LockAnswer::No).then_some(())?;
                own.keeper = Keeper::Acquire { fresh, copy, accept, lock: answer, told: false };
                if free {
                    next.lock = Some(Lock { worker, live: true });
                }
            }
            (Effect::TellHeld, Keeper::Acquire { fresh, copy, accept, lock, told: false }) => {
                (now.waits() && now.renewal == Renewal::No).then_some(())?;
                let others = state.slots.iter().enumerate().filter(|(index, _)| *index != usize::from(slot));
                let held = others.into_iter().any(|(_, other)| other.announces());
                (held || (!self.rules.ask_the_holder && lock == LockAnswer::KnownRefused)).then_some(())?;
                own.keeper = Keeper::Acquire { fresh, copy, accept, lock, told: true };
            }
            (Effect::RemoveSurplus, Keeper::DropSurplus { fresh, done: false }) => {
                own.keeper = Keeper::DropSurplus { fresh, done: true };
                next.remove(is_own_copy)?;
            }
            (Effect::StoreRenewal, Keeper::Held | Keeper::Acquire { .. }) if now.renewal == Renewal::No => {
                (now.keeper == Keeper::Held || now.waits()).then_some(())?;
                now.verdict.is_none().then_some(())?;
                own.renewal = Renewal::Stored;
                if !self.replays {
                    next.budget.renewals = next.budget.renewals.checked_sub(1)?;
                }
                next.add(own_copy);
            }
            (Effect::RemoveRenewed, _) if now.renewal == Renewal::Stored => {
                own.renewal = Renewal::Removed;
                next.remove(is_own_copy)?;
            }
            (Effect::Unlock, Keeper::Settle { verdict, step: SettleStep::Begun }) => {
                (!matches!(verdict, Verdict::Done | Verdict::Dead)).then_some(())?;
                own.keeper = Keeper::Settle { verdict, step: SettleStep::UnlockDone };
                unlock(&mut next, worker);
            }
            (Effect::Unlock, Keeper::GiveBack { unlocked: false }) => {
                own.keeper = Keeper::GiveBack { unlocked: true };
                if now.place {
                    unlock(&mut next, worker);
                }
            }
            (Effect::Publish, Keeper::Settle { verdict, step }) => {
                let counted = now.attempt;
                let uncounted = counted.saturating_sub(1);
                let (from, at, attempts) = match verdict {
                    Verdict::Done => return None,
                    Verdict::Requeue => (SettleStep::Unlocked, At::Queue, counted),
                    Verdict::Return => (SettleStep::Unlocked, At::Queue, uncounted.max(1)),
                    Verdict::Later => (SettleStep::Unlocked, At::Delay, counted),
                    Verdict::LaterUncounted => (SettleStep::Unlocked, At::Delay, uncounted),
                    Verdict::Dead => (SettleStep::Begun, At::Dead, counted),
                };
                (step == from).then_some(())?;
                own.keeper = Keeper::Settle { verdict, step: SettleStep::PublishDone };
                next.add(Message { at, marked: true, attempts });
            }
            (Effect::RemoveCopy, Keeper::Settle { verdict, step }) => {
                let from = if verdict == Verdict::Done { SettleStep::Begun } else { SettleStep::Published };
                (step == from).then_some(())?;
                own.keeper = Keeper::Settle { verdict, step: SettleStep::AcknowledgeDone };
                next.remove(is_own_copy)?;
            }
            (Effect::LookForResult, _) if now.job == Job::Start => {
                (self.must_look(now) || self.replays).then_some(())?;
                own.job = Job::Answered { found: state.results > 0 };
            }
            (Effect::StoreResult, _) if now.job == Job::Committing => {
                own.job = Job::Stored;
                next.results += 1;
            }
            _ => return None,
        }
        Some(next)
    }

    fn is_committed_elsewhere(&self, state: &State, slot: u8) -> bool {
        let mut others = state.slots.iter().enumerate().filter(|(index, _)| *index != usize::from(slot));
        others.any(|(_, other)| other.job == Job::Committing)
    }

    /// A worker goes on by itself, and logs nothing.
    pub fn decision(&self, state: &State, slot: u8, what: Decision) -> Option<State> {
        let now = &state.slots[usize::from(slot)];
        let mut next = state.clone();
        let own = &mut next.slots[usize::from(slot)];
        let is_ours = matches!(now.keeper, Keeper::Held | Keeper::Away | Keeper::Acquire { fresh: false, .. });
        match what {
            Decision::TakePlace => {
                (!now.place && now.has_all_answers() && self.is_place_free(state, slot)).then_some(())?;
                own.place = true;
                own.marked = true;
            }
            Decision::Reconnect => {
                (now.keeper == Keeper::Away && !now.dropped).then_some(())?;
                (own.up, own.connected) = (true, true);
                own.keeper = Keeper::Acquire {
                    fresh: false,
                    copy: Answer::No,
                    accept: Answer::No,
                    lock: LockAnswer::No,
                    told: false,
                };
            }
            Decision::WriteBundle => {
                (now.job == Job::Running).then_some(())?;
                own.job = Job::Bundled;
                *self.bundle(&mut next, slot) = true;
            }
            Decision::BeginCommit => {
                let early = !self.rules.publish_before_settling && now.keeper == Keeper::Idle;
                let held = now.keeper == Keeper::Held && (now.up || !self.rules.prove_the_claim);
                (now.job == Job::Ran && (held || early)).then_some(())?;
                let looks = now.marked || now.interrupted;
                let overtaken = looks && state.results > 0 && self.rules.look_for_a_result;
                own.job = if overtaken { Job::Overtaken } else { Job::Committing };
            }
            Decision::Decide(verdict) => {
                (is_ours && now.verdict.is_none() && !now.dropped).then_some(())?;
                own.verdict = Some(verdict);
                match (verdict, now.job) {
                    (Verdict::Done, Job::Finished) => own.job = Job::None,
                    // A broken protocol's claim is settled first, and its job goes on.
                    (Verdict::Done, Job::Ran) if !self.rules.publish_before_settling => {}
                    (Verdict::Dead, Job::Start | Job::Clear) if now.attempt > self.max_attempts && !self.replays => {
                        (now.job == Job::Clear || !self.must_look(now)).then_some(())?;
                        own.job = Job::None;
                    }
                    (Verdict::Later, Job::Running) if !self.replays => {
                        own.job = Job::None;
                        next.budget.failures = next.budget.failures.checked_sub(1)?;
                    }
                    (Verdict::Return, Job::Running) if !self.replays => {
                        own.job = Job::None;
                        next.budget.stops = next.budget.stops.checked_sub(1)?;
                    }
                    // Operators cancel, hosts fail, workers stop, at any time before the result is there.
                    (Verdict::Done, _) | (_, Job::None | Job::Finished) => return None,
                    _ if self.replays => own.job = Job::None,
                    _ => return None,
                }
            }
            Decision::BeginSettling => {
                (now.keeper == Keeper::Held && now.renewal == Renewal::No).then_some(())?;
                own.keeper = Keeper::Settle { verdict: now.verdict?, step: SettleStep::Begun };
                own.verdict = None;
            }
            Decision::DropClaim => {
                // When the worker is stopped while its result waits for the store.
                let has_result = matches!(now.job, Job::Ran | Job::Committing | Job::Stored);
                (is_ours && now.verdict.is_none() && !now.dropped && (has_result || self.replays)).then_some(())?;
                own.dropped = true;
                own.job = Job::None;
                if !self.replays {
                    next.budget.stops = next.budget.stops.checked_sub(1)?;
                }
            }
            Decision::EndJob => {
                (now.keeper == Keeper::Lost && now.job != Job::Committing).then_some(())?;
                *own = Slot::IDLE;
                *self.bundle(&mut next, slot) &= self.replays;
            }
            Decision::CloseChannels => {
                let Keeper::GiveBack { unlocked } = now.keeper else { return None };
                // The lock is given up first, unless its connection is gone.
                let lock_is_ours = state.lock.is_some_and(|lock| lock.live && lock.worker == self.worker(slot));
                (unlocked || !now.connected || !lock_is_ours || !now.place).then_some(())?;
                *own = Slot::IDLE;
                next.close(slot);
            }
        }
        Some(next)
    }
}
