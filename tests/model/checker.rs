//! Looks at every state of the model that can be reached, nearest first, so that a way to a wrong state is a shortest one.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

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
    /// The first property that was found untrue, with the actions that lead there.
    pub broken: Option<(&'static str, Vec<Action>)>,
    /// Those of [`SOMETIMES`] that were found.
    pub seen: HashSet<&'static str>,
}

/// How a state was reached first: from which one, and by what. States are known by their hashes, as in other checkers: at a
/// million states, two share one with a probability of one in thirty million.
type Ways = HashMap<u64, Option<(u64, Action)>>;

/// Explores the model until there is nothing new, or until a property is found untrue: this one, or any.
pub fn explore(model: &Protocol, wanted: Option<&'static str>) -> Findings {
    let mut findings = Findings::default();
    let mut ways = Ways::new();
    let initial = model.initial();
    ways.insert(hash(&initial), None);
    let mut open = VecDeque::from([(initial, 0)]);
    let mut actions = Vec::new();
    while let Some((state, depth)) = open.pop_front() {
        findings.depth = depth;
        actions.clear();
        model.candidates(&state, &mut actions);
        let next: Vec<(Action, State)> =
            actions.iter().filter_map(|action| Some((*action, model.apply(&state, *action)?))).collect();
        let goes_on = next.iter().any(|(action, _)| !action.is_optional());
        let untrue = |property: &&str| wanted.is_none_or(|wanted| wanted == *property);
        let broken = ALWAYS.iter().filter(|(_, condition)| !condition(model, &state, goes_on)).map(|(name, _)| *name);
        if let Some(property) = broken.into_iter().find(untrue) {
            findings.broken = Some((property, way(&ways, hash(&state))));
            break;
        }
        findings.seen.extend(SOMETIMES.iter().filter(|(_, condition)| condition(&state)).map(|(name, _)| *name));
        for (action, next) in next {
            let key = hash(&next);
            ways.entry(key).or_insert_with(|| {
                open.push_back((next, depth + 1));
                Some((hash(&state), action))
            });
        }
    }
    findings.states = ways.len();
    findings
}

fn hash(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// The actions that lead to a state.
fn way(ways: &Ways, mut state: u64) -> Vec<Action> {
    let mut actions = Vec::new();
    while let Some(Some((before, action))) = ways.get(&state) {
        actions.push(*action);
        state = *before;
    }
    actions.reverse();
    actions
}
