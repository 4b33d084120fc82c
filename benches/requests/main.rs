//! Costs of requesting tests and of reading queues. Each figure is next to its floor, measured in the same run on the
//! same RabbitMQ.
//!
//! Other load on the machine changes the absolute numbers: compare the ratios, and the numbers only with their bounds.
//!
//! `cargo bench --bench requests -- one looking` measures only these parts.

#![allow(clippy::disallowed_methods, reason = "services on this machine are asked, and no proxies are set")]
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

#[path = "../worker/bare.rs"]
#[expect(dead_code, reason = "the worker's benchmark uses the rest of it")]
mod bare;
mod excuses;
mod looking;
mod many;
mod one;
mod process;
#[path = "../worker/table.rs"]
mod table;
#[path = "../worker/waiting.rs"]
mod waiting;

use testkit::rabbitmq::RabbitMq;

/// All parts, in the order in which they run.
const PARTS: [&str; 4] = ["one", "many", "looking", "excuses"];

fn main() {
    testkit::set_program(env!("CARGO_BIN_EXE_apt-ci"));
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, url, queue] = arguments.as_slice()
        && first == one::BARE
    {
        return one::bare_client(url, queue);
    }
    // cargo adds `--bench`.
    let named: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    for name in &named {
        assert!(PARTS.contains(&name.as_str()), "there is no part {name}; there are {PARTS:?}");
    }
    let wanted = |part: &str| named.is_empty() || named.iter().any(|name| *name == part);
    if wanted("excuses") {
        excuses::measure();
    }
    if !PARTS.iter().any(|part| *part != "excuses" && wanted(part)) {
        return;
    }
    let rabbitmq = RabbitMq::start("");
    if wanted("one") {
        one::measure(&rabbitmq);
    }
    if wanted("many") {
        many::measure(&rabbitmq);
    }
    if wanted("looking") {
        looking::measure(&rabbitmq);
    }
}
