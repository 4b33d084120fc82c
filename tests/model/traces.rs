//! Traces made by hand: right ones are taken, and each wrong one is refused at the step that is wrong.

use apt_ci::broker::ClaimStep;
use libtest_mimic::Failed;
use testkit::Trial;

use super::replay::{read, replay};

/// A request that is claimed, run, published and settled.
const GOOD: &str = "a taken, a copied, a locked, a accepted, a held, a run-started, a renewed, a run-ended, a renewed, \
                    a published, a settled";

/// Another worker goes on after the first has been killed.
const KILLED: &str = "a taken, a copied, a accepted, a locked, a held, a run-started, b retaken, b copied, b accepted, \
                      b lock-refused, b locked, b held, b no-result, b run-started, b run-ended, b published, b settled";

/// The first worker's connection is lost; it finds that the second has the request.
const CUT_OFF: &str = "a taken, a copied, a accepted, a locked, a held, a run-started, b retaken, b copied, b accepted, \
                       b locked, b held, b no-result, b run-started, a interrupted, a copied, a lock-refused, \
                       a held-elsewhere, a surplus-dropped, a lost, b run-ended, b published, b settled";

/// The first worker is killed after its bundle is on the disk and before it says so; the second, of the same host, publishes it.
const KILLED_AT_ITS_END: &str = "a taken, a copied, a accepted, a locked, a held, a run-started, b retaken, b copied, \
                                 b locked, b accepted, b held, b no-result, b bundle-found, b published, b settled";

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("model::traces_that_are_right_are_taken", right),
        Trial::test("model::traces_that_are_wrong_are_refused", wrong),
        Trial::test("model::half_a_line_of_a_killed_worker_is_passed_over", half_a_line),
    ]
}

/// The log of one process per slot, from a list of steps in the order of their times.
fn logs(trace: &str) -> Vec<String> {
    let mut logs = vec![String::new(); 3];
    for (number, step) in trace.split(", ").enumerate() {
        let (slot, step) = step.trim().split_once(' ').expect("a slot and a step");
        let (step, more) = match step {
            "taken" => ("taken", " attempt=1 redelivered=false"),
            "retaken" => ("taken", " attempt=2 redelivered=true"),
            other => (other, ""),
        };
        let process = ["a", "b", "c"].iter().position(|name| *name == slot).expect("a slot");
        logs[process].push_str(&format!(
            "2026-11-29T12:00:00.{number:06}Z DEBUG slot{{n=1}}: apt_ci::claim: step=\"{step}\" uuid=x slot={slot}{more}\n"
        ));
    }
    logs
}

fn check(trace: &str) -> Result<usize, String> {
    replay(&read(logs(trace).iter().map(String::as_str))?)
}

fn right() -> Result<(), Failed> {
    for trace in [GOOD, KILLED, KILLED_AT_ITS_END, CUT_OFF] {
        assert_eq!(check(trace)?, trace.split(", ").count());
        // A worker can be killed after each of its steps.
        let steps: Vec<&str> = trace.split(", ").collect();
        for length in 1..steps.len() {
            check(&steps[..length].join(", "))?;
        }
    }
    let later = "a taken, a copied, a locked, a accepted, a held, a run-started, a unlocked, a delayed, a settled, \
                 b retaken, b copied, b accepted, b locked, b held";
    check(later)?;
    Ok(())
}

fn wrong() -> Result<(), Failed> {
    let refused = [
        (
            "settled before published",
            GOOD.replace("a published, a settled", "a settled, a published"),
            ClaimStep::Settled,
        ),
        ("run without the lock", GOOD.replace("a locked, ", ""), ClaimStep::Held),
        (
            "accepted before copied",
            GOOD.replace("a copied, a locked, a accepted", "a accepted, a copied"),
            ClaimStep::Accepted,
        ),
        ("published twice", GOOD.replace("a published", "a published, a published"), ClaimStep::Published),
        ("run twice at a time", KILLED.replace("b no-result", "b no-result, a renewed, a renewed"), ClaimStep::Renewed),
        ("a bundle of a run that never was", KILLED_AT_ITS_END.replace("a run-started, ", ""), ClaimStep::BundleFound),
        ("not looked for a result", KILLED.replace("b no-result, ", ""), ClaimStep::RunStarted),
        (
            "published by who has lost it",
            CUT_OFF.replace("a lost", "a lost, a run-ended, a published"),
            ClaimStep::Published,
        ),
        ("dropped because of the lock alone", CUT_OFF.replace("a held-elsewhere, ", ""), ClaimStep::SurplusDropped),
        ("taken from nowhere", format!("{GOOD}, b retaken"), ClaimStep::Taken),
        ("delayed under the lock", GOOD.replace("a published", "a delayed"), ClaimStep::Delayed),
    ];
    for (what, trace, step) in refused {
        let refusal = check(&trace).expect_err(what);
        assert!(refusal.contains(&format!(": {} is not possible", step.as_str())), "{what}: {refusal}");
    }
    let unknown = logs("a surrendered").remove(0);
    assert!(read([unknown.as_str()]).is_err());
    Ok(())
}

fn half_a_line() -> Result<(), Failed> {
    let mut log = logs(GOOD).remove(0);
    log.truncate(log.len() - 20);
    assert_eq!(read([log.as_str()])?.len(), GOOD.split(", ").count() - 1);
    Ok(())
}
