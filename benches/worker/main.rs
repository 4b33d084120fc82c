//! Costs of the worker: time until a test starts, requests per second, memory and processor time. Each figure is next
//! to its floor, measured in the same run on the same servers.
//!
//! Other load on the machine changes the absolute numbers: compare the ratios, and the numbers only with their bounds.
//!
//! `cargo bench --bench worker -- start throughput` measures only these parts. `APT_CI_BENCH_REQUESTS=20000` shows
//! whether the worker's memory grows in a week.

#![allow(clippy::disallowed_methods, reason = "services on this machine are asked, and no proxies are set")]
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

mod bare;
mod counters;
mod memory;
mod start;
mod stub;
mod table;
mod throughput;
mod waiting;

use std::process::{Command, Stdio};
use std::time::Instant;

use table::{Row, median};
use testkit::rabbitmq::RabbitMq;

/// All parts, in the order in which they run.
const PARTS: [&str; 4] = ["version", "start", "throughput", "memory"];

fn main() {
    if let Some(called_as) = stub::called_as_stub() {
        return stub::run(&called_as);
    }
    testkit::set_program(env!("CARGO_BIN_EXE_apt-ci"));
    let _ = rustls::crypto::ring::default_provider().install_default();
    // cargo adds `--bench`.
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for name in &named {
        assert!(PARTS.contains(&name.as_str()), "there is no part {name}; there are {PARTS:?}");
    }
    let wanted = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    if wanted("version") {
        version();
    }
    if PARTS.iter().any(|part| *part != "version" && wanted(part)) {
        let rabbitmq = RabbitMq::start("");
        if wanted("start") {
            start::measure(&rabbitmq);
        }
        if wanted("throughput") {
            throughput::measure(&rabbitmq);
        }
        if wanted("memory") {
            memory::measure(&rabbitmq);
        }
    }
}

/// Measures the start of the program.
fn version() {
    let time = |program: &str, argument: &str| {
        let run = |_| {
            let started = Instant::now();
            let status = Command::new(program).arg(argument).stdout(Stdio::null()).status().expect("it starts");
            assert!(status.success());
            started.elapsed()
        };
        median((0..60).map(run).collect())
    };
    table::heading("starting the program (median of 60)");
    let floor = time("/bin/true", "");
    Row::time("a program that does nothing", floor).print();
    Row::time("apt-ci --version", time(env!("CARGO_BIN_EXE_apt-ci"), "--version")).beside(floor).print();
}
