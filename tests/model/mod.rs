//! A model of the claim protocol at RabbitMQ: checked by itself, and held against what workers have logged.
//!
//! `docs/claims.md` describes the protocol, the model's bounds, and how to run it with larger ones.

mod action;
mod checker;
mod properties;
mod protocol;
mod replay;
mod state;
mod traces;
mod transitions;

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use self::checker::explore;
use self::properties::{COMES_TO_ITS_END, NOT_LOST, ONE_RESULT, RUNS_ONCE, SOMETIMES, describe};
use self::protocol::{Protocol, Rules};
use self::state::Budget;
use libtest_mimic::Failed;
use testkit::{Services, Trial};

const NO_FAULTS: Budget = Budget { crashes: 0, drops: 0, channels: 0, restarts: 0, failures: 0, stops: 0, renewals: 0 };

/// Sets of faults, each of which is looked at in all its ways.
const FAULTS: [Budget; 5] = [
    Budget { crashes: 1, drops: 1, ..NO_FAULTS },
    Budget { crashes: 2, ..NO_FAULTS },
    Budget { restarts: 1, renewals: 1, ..NO_FAULTS },
    Budget { channels: 1, failures: 1, ..NO_FAULTS },
    Budget { failures: 1, stops: 1, ..NO_FAULTS },
];
const FAULTS_OF_ONE_WORKER: [Budget; 2] = [Budget { crashes: 1, ..NO_FAULTS }, Budget { channels: 1, ..NO_FAULTS }];

/// Protocols that are wrong, with the property that each breaks, and the faults that it takes.
const BROKEN: [(&str, Rules, &str, Budget); 8] = [
    (
        "a_claim_that_is_settled_before_its_result_is_published",
        Rules { publish_before_settling: false, ..Rules::TRUE },
        NOT_LOST,
        Budget { crashes: 1, ..NO_FAULTS },
    ),
    ("a_missing_lock", Rules { lock: false, ..Rules::TRUE }, RUNS_ONCE, Budget { drops: 1, ..NO_FAULTS }),
    (
        "an_acceptance_before_the_copy",
        Rules { copy_before_accepting: false, ..Rules::TRUE },
        NOT_LOST,
        Budget { crashes: 1, ..NO_FAULTS },
    ),
    (
        "a_lock_that_is_taken_for_a_proof",
        Rules { ask_the_holder: false, ..Rules::TRUE },
        NOT_LOST,
        Budget { crashes: 1, ..NO_FAULTS },
    ),
    (
        "a_missing_look_for_a_result",
        Rules { look_for_a_result: false, ..Rules::TRUE },
        ONE_RESULT,
        Budget { drops: 1, ..NO_FAULTS },
    ),
    (
        "a_claim_that_is_only_believed_in",
        Rules { prove_the_claim: false, ..Rules::TRUE },
        ONE_RESULT,
        Budget { drops: 1, ..NO_FAULTS },
    ),
    (
        "a_restart_that_drops_what_is_dead_lettered",
        Rules { dead_letters_survive_restarts: false, ..Rules::TRUE },
        NOT_LOST,
        Budget { restarts: 1, crashes: 1, ..NO_FAULTS },
    ),
    (
        "a_store_that_is_slower_than_another_worker",
        Rules { commits_are_short: false, ..Rules::TRUE },
        ONE_RESULT,
        Budget { drops: 1, ..NO_FAULTS },
    ),
];

pub fn trials(_: &Arc<Services>) -> Vec<Trial> {
    let more: u8 = std::env::var("APT_CI_TEST_MODEL_FAULTS").map_or(0, |text| text.parse().expect("a number"));
    let mut trials = vec![Trial::test("model::the_promises_are_kept", move || promises(more))];
    for (name, rules, property, budget) in BROKEN {
        let protocol = Protocol { rules, budget, ..two_workers() };
        trials.push(Trial::test(format!("model::{name}_is_found"), move || breaks(&protocol, property)));
    }
    trials.push(Trial::test("model::a_request_that_nobody_takes_is_found", || {
        breaks(&Protocol { workers: Vec::new(), ..two_workers() }, COMES_TO_ITS_END)
    }));
    trials.extend(traces::trials());
    trials
}

/// Each set of faults, with two workers; and with two slots of one.
fn promises(more: u8) -> Result<(), Failed> {
    let mut seen = HashSet::new();
    for faults in FAULTS {
        seen.extend(holds(&Protocol { budget: faults.larger(more), ..two_workers() })?);
    }
    for faults in FAULTS_OF_ONE_WORKER {
        seen.extend(holds(&Protocol { workers: vec![0, 0], budget: faults.larger(more), ..two_workers() })?);
    }
    // Promises about what never happens would be worth little.
    for (name, _) in SOMETIMES {
        assert!(seen.contains(name), "not seen: {name}");
    }
    Ok(())
}

/// Holds what the workers of a story have logged against the model.
///
/// # Errors
/// The first step that the model does not allow.
pub fn replay_logs(logs: &[String]) -> Result<usize, String> {
    replay::replay(&replay::read(logs.iter().map(String::as_str))?)
}

fn two_workers() -> Protocol {
    Protocol { rules: Rules::TRUE, workers: vec![0, 1], budget: NO_FAULTS, max_attempts: 2, replays: false }
}

/// Looks at every state that can be reached. Returns those of [`SOMETIMES`] that were found.
fn holds(protocol: &Protocol) -> Result<HashSet<&'static str>, Failed> {
    let begin = Instant::now();
    let findings = explore(protocol, None);
    let (workers, budget, time) = (&protocol.workers, &protocol.budget, begin.elapsed());
    tell(&format!("workers {workers:?}, {budget:?}: {} states, depth {}, {time:.1?}", findings.states, findings.depth));
    match findings.broken {
        Some((property, way)) => Err(format!("not always true: {property}\n{}", describe(way)).into()),
        None => Ok(findings.seen),
    }
}

/// Looks for a way in which a property is broken.
fn breaks(protocol: &Protocol, property: &'static str) -> Result<(), Failed> {
    let findings = explore(protocol, Some(property));
    let (_, way) = findings.broken.ok_or_else(|| format!("it was not found that this can be untrue: {property}"))?;
    tell(&format!("after {} states: not always true: {property}\n{}", findings.states, describe(way)));
    Ok(())
}

fn tell(line: &str) {
    // Nobody may be listening.
    let _ = writeln!(std::io::stdout(), "{line}");
}
