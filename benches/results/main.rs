//! Costs of reading results. Each figure is next to its floor, measured in the same run.
//!
//! Other load on the machine changes the absolute numbers: compare the ratios, and the numbers only with their bounds.
//!
//! `cargo bench --bench results -- large log` measures only these parts. `APT_CI_BENCH_RUNS` is the number of runs in
//! the real Swift, and `APT_CI_BENCH_RESULTS` the number of results in the large index.

#![allow(clippy::disallowed_methods, reason = "services on this machine are asked, and no proxies are set")]
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

mod fast;
mod fetched;
mod large;
mod listed;
mod log;
#[path = "../requests/process.rs"]
mod process;
#[path = "../worker/table.rs"]
mod table;

/// All parts, in the order in which they run.
const PARTS: [&str; 4] = ["listed", "fetched", "large", "log"];

fn main() {
    testkit::set_program(env!("CARGO_BIN_EXE_apt-ci"));
    let _ = rustls::crypto::ring::default_provider().install_default();
    // cargo adds `--bench`.
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for name in &named {
        assert!(PARTS.contains(&name.as_str()), "there is no part {name}; there are {PARTS:?}");
    }
    let wanted = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    if wanted("listed") {
        listed::measure(number("APT_CI_BENCH_RUNS", 2_000));
    }
    if wanted("fetched") {
        fetched::measure();
    }
    if wanted("large") {
        large::measure(number("APT_CI_BENCH_RESULTS", 2_000_000));
    }
    if wanted("log") {
        log::measure();
    }
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}
