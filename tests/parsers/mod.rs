//! Every parser of foreign bytes, with inputs that are almost right, and with any bytes.

mod targets;

use std::sync::Arc;

use libtest_mimic::Failed;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use testkit::{Services, Trial};

use self::targets::{TARGETS, Target};

/// Inputs per parser; `make test-long` sets APT_CI_TEST_CASES to 100,000.
const CASES: u32 = 1_000;

pub fn trials(_: &Arc<Services>) -> Vec<Trial> {
    let cases = std::env::var("APT_CI_TEST_CASES").map_or(CASES, |text| text.parse().expect("a number"));
    let trial = |(name, target, seed)| Trial::test(format!("parsers::{name}"), move || check(target, seed, cases));
    TARGETS.into_iter().map(trial).collect()
}

/// What is done to an input: a part of it is replaced by something else.
fn edits() -> impl Strategy<Value = Vec<(prop::sample::Index, usize, Vec<u8>)>> {
    let piece = prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(any::<u8>(), 1..4),
        prop::sample::select(vec![
            "\"", "{", "[", "\n", "\0", ": ", "null", "-1", "1e999", "\\ud800", "'", "&a *a", ";", "=", "%"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        (1_usize..2000).prop_map(|length| vec![b'['; length]),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), 0_usize..8, piece), 0..6)
}

fn check(target: Target, seed: &'static str, cases: u32) -> Result<(), Failed> {
    target(seed.as_bytes());
    let changed = edits().prop_map(move |edits| {
        let mut bytes = seed.as_bytes().to_vec();
        for (index, length, piece) in edits {
            let begin = index.index(bytes.len() + 1);
            let end = (begin + length).min(bytes.len());
            bytes.splice(begin..end, piece);
        }
        bytes
    });
    let input = prop_oneof![4 => changed, 1 => prop::collection::vec(any::<u8>(), 0..300)];
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    runner
        .run(&input, |bytes| {
            target(&bytes);
            Ok(())
        })
        .map_err(|error| error.to_string().into())
}
