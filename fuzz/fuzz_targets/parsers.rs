//! All parsers in one program. `APT_CI_FUZZ_TARGET` is the name of the parser to run.
#![no_main]

#[path = "../../tests/parsers/targets.rs"]
mod targets;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

use self::targets::{TARGETS, Target};

static CHOSEN: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("APT_CI_FUZZ_TARGET").unwrap_or_default();
    let names: Vec<&str> = TARGETS.iter().map(|(name, ..)| *name).collect();
    let found = TARGETS.iter().find(|(target, ..)| *target == name);
    found.unwrap_or_else(|| panic!("set APT_CI_FUZZ_TARGET to one of {}", names.join(", "))).1
});

fuzz_target!(|bytes: &[u8]| CHOSEN(bytes));
