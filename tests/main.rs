//! The system from outside, against real services. This program starts the services that its tests ask for, each once, on
//! free loopback ports in a temporary folder, and stops them at the end, whatever the tests did.

mod broker;
mod store;
mod support;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use support::Services;

fn main() -> ExitCode {
    rustls::crypto::ring::default_provider().install_default().expect("no other provider is installed");
    if let Some(outcome) = broker::become_helper() {
        return outcome;
    }
    let arguments = Arguments::from_args();
    let services = Arc::new(Services::default());
    let trials: Vec<Trial> =
        [broker::trials(&services), store::trials(&services)].into_iter().flatten().collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    // The trials held the other handles; with this one the services stop.
    drop(services);
    conclusion.exit_code()
}
