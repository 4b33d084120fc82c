//! Explores the model with stateright, nearest states first, so that a way to a wrong state is a shortest one.

use std::collections::{BTreeSet, HashSet};

use stateright::{Checker, HasDiscoveries, Model, Property};

use super::action::Action;
use super::properties::{ALWAYS, SOMETIMES};
use super::protocol::Protocol;
use super::state::State;

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    pub states: usize,
    /// Length of the longest of the shortest ways to a state.
    pub depth: usize,
    /// A property that was found untrue, with the actions that lead there.
    pub broken: Option<(&'static str, Vec<Action>)>,
    /// Those of [`SOMETIMES`] that were found.
    pub seen: HashSet<&'static str>,
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.initial()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.candidates(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        self.apply(state, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let always = ALWAYS.iter().map(|(name, condition)| Property::always(name, *condition));
        always.chain(SOMETIMES.iter().map(|(name, condition)| Property::sometimes(name, *condition))).collect()
    }
}

/// Explores the model until there is nothing new, or until a property is found untrue: this one, or any.
pub fn explore(model: &Protocol, wanted: Option<&'static str>) -> Findings {
    let finish = wanted.map_or(HasDiscoveries::AnyFailures, |wanted| HasDiscoveries::AllOf(BTreeSet::from([wanted])));
    // One thread: with several, a way to a wrong state need not be a shortest one.
    let checker = model.clone().checker().threads(1).finish_when(finish).spawn_bfs().join();
    let mut findings =
        Findings { states: checker.unique_state_count(), depth: checker.max_depth(), ..Findings::default() };
    for (name, path) in checker.discoveries() {
        if SOMETIMES.iter().any(|(sometimes, _)| *sometimes == name) {
            findings.seen.insert(name);
        } else if wanted.is_none_or(|wanted| wanted == name) {
            findings.broken = Some((name, path.into_actions()));
        }
    }
    findings
}
