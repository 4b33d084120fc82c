//! Transitions of the model.
//!
//! What a worker asks of the broker happens in two transitions: a hidden one, when the broker does it, and a visible one, when
//! the worker knows. In between the connection can drop or the worker can die. Visible transitions are the steps that workers
//! log ([`ClaimStep`]).

use apt_ci::broker::ClaimStep;

use super::action::{Action, Decision, Effect, LEARNS};
use super::state::{At, Budget, Job, Keeper, Message, Slot, State};

/// Rules of the protocol. The true ones are [`Rules::TRUE`]; each can be broken by itself.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The origin's delivery is acknowledged only when the broker has stored the slot's copy.
    pub copy_before_accepting: bool,
    /// A request runs only under its lock.
    pub lock: bool,
    /// A copy is dropped only when a living holder has answered, not because the lock is refused.
    pub ask_the_holder: bool,
    /// A request that may have had another holder is not run before the store was asked for its result.
    pub look_for_a_result: bool,
    /// A claim is settled only when its result is published.
    pub publish_before_settling: bool,
    /// What is dead-lettered while the broker starts arrives at its queue.
    pub dead_letters_survive_restarts: bool,
    /// A worker asks the broker whether it still holds its claim right before it publishes.
    pub prove_the_claim: bool,
    /// Assumption: between a worker's last look at claim and store and its result.tar, no other worker acquires the request.
    pub commits_are_short: bool,
}

impl Rules {
    pub const TRUE: Self = Self {
        copy_before_accepting: true,
        lock: true,
        ask_the_holder: true,
        look_for_a_result: true,
        publish_before_settling: true,
        dead_letters_survive_restarts: true,
        prove_the_claim: true,
        commits_are_short: true,
    };
}

/// The model: its rules and its bounds.
#[derive(Debug, Clone)]
pub struct Protocol {
    pub rules: Rules,
    /// The worker of each slot.
    pub workers: Vec<u8>,
    pub budget: Budget,
    /// Counted attempts after which a request is a dead letter.
    pub max_attempts: u8,
    /// Recorded traces are replayed: nothing is bounded, and every worker may find every bundle.
    pub replays: bool,
}

impl Protocol {
    pub fn initial(&self) -> State {
        let workers = self.workers.iter().max().map_or(0, |last| usize::from(*last) + 1);
        State {
            messages: vec![Message { at: At::Queue, marked: false, attempts: 0 }],
            lock: None,
            results: 0,
            slots: vec![Slot::IDLE; self.workers.len()],
            unlocking: vec![false; workers],
            bundles: vec![false; workers],
            budget: self.budget.clone(),
        }
    }

    /// The actions to try in a state. Those that are not possible lead nowhere: see [`Protocol::apply`].
    ///
    /// A step by which a worker only learns of something changes nothing for anybody else, and comes to the same before and
    /// after any other action. So it is taken at once, and the number of states stays small.
    pub fn candidates(&self, state: &State, actions: &mut Vec<Action>) {
        for slot in (0..self.slot_count()).filter(|slot| state.slots[usize::from(*slot)].keeper != Keeper::Idle) {
            let learns = LEARNS.map(|step| Action::Step { slot, step, message: 0 });
            if let Some(action) = learns.into_iter().find(|action| self.apply(state, *action).is_some()) {
                actions.push(action);
                return;
            }
        }
        for slot in 0..self.slot_count() {
            let mut step = |step, message| actions.push(Action::Step { slot, step, message });
            match state.slots[usize::from(slot)].keeper {
                Keeper::Idle => {
                    for message in 0..message_count(state) {
                        step(ClaimStep::Taken, message);
                    }
                }
                _ => ClaimStep::ALL[1..].iter().for_each(|other| step(*other, 0)),
            }
            // A broken protocol's job goes on without a claim.
            if state.slots[usize::from(slot)].keeper == Keeper::Idle {
                step(ClaimStep::Published, 0);
            }
        }
        self.hidden_candidates(state, actions);
    }

    /// Those of the actions to try that no worker logs.
    pub fn hidden_candidates(&self, state: &State, actions: &mut Vec<Action>) {
        for slot in 0..self.slot_count() {
            let now = &state.slots[usize::from(slot)];
            if (now.keeper, now.job) != (Keeper::Idle, Job::None) {
                actions.extend(Effect::ALL.map(|what| Action::Broker { slot, what }));
                actions.extend(Decision::ALL.map(|what| Action::Worker { slot, what }));
                actions.push(Action::CloseChannel { slot });
            }
        }
        for message in 0..message_count(state) {
            actions.push(Action::Release { message });
            actions.push(Action::Revive { message });
        }
        actions.push(Action::ReleaseLock);
        for worker in 0..u8::try_from(state.bundles.len()).expect("few workers") {
            actions.push(Action::FinishUnlocking { worker });
            actions.push(Action::Crash { worker });
            actions.push(Action::DropConnection { worker });
        }
        actions.push(Action::Restart);
    }

    pub fn slot_count(&self) -> u8 {
        u8::try_from(self.workers.len()).expect("few slots")
    }

    /// The state after an action; `None` when it is not possible, or changes nothing.
    pub fn apply(&self, state: &State, action: Action) -> Option<State> {
        let next = match action {
            Action::Step { slot, step, message } => self.step(state, slot, step, message)?,
            Action::Broker { slot, what } => self.effect(state, slot, what)?,
            Action::Worker { slot, what } => self.decision(state, slot, what)?,
            Action::Release { message } => release(state, message)?,
            Action::ReleaseLock => {
                state.lock.filter(|lock| !lock.live)?;
                State { lock: None, ..state.clone() }
            }
            Action::FinishUnlocking { worker } => {
                state.unlocking[usize::from(worker)].then_some(())?;
                let mut next = state.clone();
                next.unlocking[usize::from(worker)] = false;
                unlock(&mut next, worker);
                next
            }
            Action::Crash { worker } => self.crash(state, worker)?,
            Action::DropConnection { worker } => self.drop_connection(state, worker)?,
            Action::CloseChannel { slot } => self.close_channel(state, slot)?,
            Action::Restart => self.restart(state)?,
            Action::Revive { message } => {
                self.replays.then_some(())?;
                let dead = state.messages[usize::from(message)];
                (dead.at == At::Dead).then_some(())?;
                let mut next = state.clone();
                next.messages.remove(usize::from(message));
                next.add(Message { at: At::Queue, marked: true, attempts: 0 });
                next
            }
        };
        let is_step = matches!(action, Action::Step { .. });
        (next != *state || (self.replays && is_step)).then_some(next)
    }

    pub fn worker(&self, slot: u8) -> u8 {
        self.workers[usize::from(slot)]
    }

    pub fn bundle<'a>(&self, state: &'a mut State, slot: u8) -> &'a mut bool {
        let host = if self.replays { 0 } else { usize::from(self.worker(slot)) };
        &mut state.bundles[host]
    }

    /// Whether another slot of the process is on its list of claims, or its settled claim still is.
    pub fn is_place_free(&self, state: &State, slot: u8) -> bool {
        let worker = self.worker(slot);
        let beside = |other: u8| other != slot && self.worker(other) == worker;
        !state.unlocking[usize::from(worker)]
            && !(0..self.slot_count()).any(|other| beside(other) && state.slots[usize::from(other)].place)
    }

    fn crash(&self, state: &State, worker: u8) -> Option<State> {
        // In a recorded trace a dead worker is one that logs nothing more and whose connection is gone.
        (!self.replays).then_some(())?;
        let mut next = state.clone();
        next.budget.crashes = next.budget.crashes.checked_sub(1)?;
        self.lose(&mut next, worker);
        next.unlocking[usize::from(worker)] = false;
        for slot in (0..self.slot_count()).filter(|slot| self.worker(*slot) == worker) {
            next.slots[usize::from(slot)] = Slot::IDLE;
        }
        Some(next)
    }

    fn drop_connection(&self, state: &State, worker: u8) -> Option<State> {
        let mut next = state.clone();
        if !self.replays {
            next.budget.drops = next.budget.drops.checked_sub(1)?;
        }
        self.lose(&mut next, worker);
        // A connection that nothing depends on can be lost without a difference.
        let is_lost = next.messages != state.messages || next.lock != state.lock || next.slots != state.slots;
        is_lost.then_some(next)
    }

    fn close_channel(&self, state: &State, slot: u8) -> Option<State> {
        let now = &state.slots[usize::from(slot)];
        let uses_one = matches!(now.keeper, Keeper::Acquire { .. } | Keeper::Held | Keeper::Settle { .. });
        (now.up && uses_one).then_some(())?;
        let mut next = state.clone();
        if !self.replays {
            next.budget.channels = next.budget.channels.checked_sub(1)?;
        }
        next.slots[usize::from(slot)].up = false;
        next.close(slot);
        Some(next)
    }

    fn restart(&self, state: &State) -> Option<State> {
        let mut next = state.clone();
        if !self.replays {
            next.budget.restarts = next.budget.restarts.checked_sub(1)?;
        }
        for worker in 0..u8::try_from(state.bundles.len()).expect("few workers") {
            self.lose(&mut next, worker);
        }
        next.lock = None;
        if !self.rules.dead_letters_survive_restarts {
            next.messages.retain(|message| !matches!(message.at, At::Claim { .. }));
        }
        Some(next)
    }

    /// The connection of a worker ends.
    fn lose(&self, state: &mut State, worker: u8) {
        for slot in (0..self.slot_count()).filter(|slot| self.worker(*slot) == worker) {
            let own = &mut state.slots[usize::from(slot)];
            if !matches!(own.keeper, Keeper::Idle | Keeper::Away | Keeper::Lost) {
                (own.up, own.connected) = (false, false);
            }
            state.close(slot);
        }
        if let Some(lock) = state.lock.as_mut().filter(|lock| lock.worker == worker) {
            lock.live = false;
        }
    }
}

fn message_count(state: &State) -> u8 {
    u8::try_from(state.messages.len()).expect("few copies")
}

pub fn unlock(state: &mut State, worker: u8) {
    if state.lock.is_some_and(|lock| lock.live && lock.worker == worker) {
        state.lock = None;
    }
}

/// What was unacknowledged on a closed channel goes back to its queue; so does what has waited out its delay.
fn release(state: &State, message: u8) -> Option<State> {
    let released = *state.messages.get(usize::from(message))?;
    matches!(released.at, At::Taken { live: false, .. } | At::Claim { live: false, .. } | At::Delay).then_some(())?;
    let mut next = state.clone();
    next.messages.remove(usize::from(message));
    next.add(Message { at: At::Queue, marked: true, ..released });
    Some(next)
}
