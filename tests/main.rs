//! The system from outside, against real services. This program starts the services that its tests ask for, each once, on
//! free loopback ports in a temporary folder, and stops them at the end, whatever the tests did.

#![allow(clippy::disallowed_methods, reason = "tests ask services on this machine, and set no proxies")]

mod broker;
mod connections;
mod control;
mod crash_recovery;
mod credentials;
mod explain;
mod interop;
mod launchpad;
mod model;
mod parsers;
mod ppa;
mod privacy;
mod proof;
mod pulls;
mod queues;
mod quorum;
mod real;
mod requests;
mod results;
mod retry;
mod runner;
mod running;
mod shells;
mod sites;
mod soak;
mod store;
mod terminal;
mod testbeds;
mod transcripts;
mod trust;
mod version;
mod waiting;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::Arguments;
use testkit::{Services, Trial};

fn main() -> ExitCode {
    testkit::set_program(env!("CARGO_BIN_EXE_apt-ci"));
    rustls::crypto::ring::default_provider().install_default().expect("no other provider is installed");
    if let Some(outcome) = broker::become_helper().or_else(runner::become_example) {
        return outcome;
    }
    let mut arguments = Arguments::from_args();
    // They wait for servers and testbeds most of the time.
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    arguments.test_threads.get_or_insert(3 * threads);
    testkit::runner::run(&arguments, trials)
}

/// The stories that begin first, because they take longest. The first one makes the testbed, for which others would only wait.
const FIRST: [&str; 8] = [
    "real::gzip_in_an_isolated_testbed",
    "soak::a_test_that_never_ends_is_ended_with_its_children",
    "broker::rabbitmq::a_long_claim_outlives_the_brokers_patience",
    "connections::an_alarm_is_named_and_stops_neither_looking_nor_removing",
    "model::the_promises_are_kept",
    "queues::removing_beside_busy_workers_on_rabbitmq",
    "queues::cancelling_beside_busy_workers_on_rabbitmq",
    "results::every_condition_chooses_and_the_index_answers_as_swift_with_keystone_does",
];

/// Every story, in the order in which they begin.
fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let rooms = [
        pulls::trials,
        broker::trials,
        connections::trials,
        crash_recovery::trials,
        soak::trials,
        real::trials,
        proof::trials,
        privacy::trials,
        ppa::trials,
        control::trials,
        model::trials,
        parsers::trials,
        store::trials,
        interop::trials,
        launchpad::trials,
        requests::trials,
        queues::trials,
        quorum::trials,
        retry::trials,
        results::trials,
        waiting::trials,
        running::trials,
        sites::trials,
        credentials::trials,
        explain::trials,
        terminal::trials,
        testbeds::trials,
        transcripts::trials,
        shells::trials,
        version::trials,
        trust::trials,
        runner::trials,
    ];
    let mut trials: Vec<Trial> = rooms.into_iter().flat_map(|trials| trials(services)).collect();
    for name in FIRST {
        assert!(trials.iter().any(|trial| trial.name() == name), "there is no story {name}");
    }
    trials.sort_by_key(|trial| FIRST.iter().position(|name| *name == trial.name()).unwrap_or(FIRST.len()));
    trials
}
