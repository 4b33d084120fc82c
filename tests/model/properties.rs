//! What must be true of the protocol.

use super::action::Action;
use super::protocol::Protocol;
use super::state::{At, Job, Keeper, Slot, State};

pub const NOT_LOST: &str = "no request is lost";
pub const ONE_RESULT: &str = "no request has two results";
pub const COMES_TO_ITS_END: &str = "each request comes to its end";
pub const RUNS_ONCE: &str = "two slots run a request only while one of them is cut off";
pub const REASON: &str = "dead letters have a reason";

/// A condition on a state.
pub type Condition = fn(&Protocol, &State) -> bool;

/// What is true of every state.
pub const ALWAYS: [(&str, Condition); 5] = [
    (NOT_LOST, |_, state| state.results > 0 || !state.messages.is_empty()),
    (ONE_RESULT, |_, state| state.results < 2),
    (COMES_TO_ITS_END, |model, state| has_ended(state) || goes_on(model, state)),
    (RUNS_ONCE, |_, state| runners(state) < 2),
    (REASON, dead_letters_have_a_reason),
];

/// What is true of some state. Without these the others would say little.
pub const SOMETIMES: [(&str, Condition); 5] = [
    ("a request has a result", |_, state| state.results == 1 && has_ended(state)),
    ("a request is a dead letter", |_, state| state.messages.iter().any(|message| message.at == At::Dead)),
    ("a surplus copy is dropped", |_, state| {
        state.slots.iter().any(|slot| matches!(slot.keeper, Keeper::DropSurplus { done: true, .. }))
    }),
    ("an interrupted claim is held again", |_, state| {
        state.slots.iter().any(|slot| slot.keeper == Keeper::Held && slot.interrupted)
    }),
    ("another worker's result is found", |_, state| state.slots.iter().any(|slot| slot.job == Job::Overtaken)),
];

/// A request ends among the dead letters only when more attempts were made than are allowed, each of which a fault has ended.
fn dead_letters_have_a_reason(model: &Protocol, state: &State) -> bool {
    let faults = model.budget.faults() - state.budget.faults();
    let mut dead = state.messages.iter().filter(|message| message.at == At::Dead);
    dead.all(|message| message.attempts > model.max_attempts && faults >= model.max_attempts)
}

/// Something happens next without a fault.
fn goes_on(model: &Protocol, state: &State) -> bool {
    let mut actions = Vec::new();
    model.candidates(state, &mut actions);
    actions.into_iter().any(|action| !action.is_optional() && model.apply(state, action).is_some())
}

/// The number of slots that run the request and are connected with a claim that they believe in.
fn runners(state: &State) -> usize {
    let believes = |keeper| matches!(keeper, Keeper::Held | Keeper::Settle { .. });
    state.slots.iter().filter(|slot| slot.job == Job::Running && slot.connected && believes(slot.keeper)).count()
}

/// The request has a result or is a dead letter, and nothing of it is left elsewhere.
fn has_ended(state: &State) -> bool {
    let dead = state.messages.iter().filter(|message| message.at == At::Dead).count();
    let idle = |slot: &Slot| (slot.keeper, slot.job) == (Keeper::Idle, Job::None);
    (state.results == 1 || dead > 0)
        && dead == state.messages.len()
        && state.lock.is_none()
        && state.slots.iter().all(idle)
}

/// The actions of a path, one a line, for messages.
pub fn describe(actions: impl IntoIterator<Item = Action>) -> String {
    actions.into_iter().map(|action| format!("  {action:?}\n")).collect()
}
