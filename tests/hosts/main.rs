//! The program as it is installed on hosts with systemd. Hosts are containers, which need root; `make test-long` runs these
//! stories.

mod package;
mod units;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::Arguments;
use testkit::{Services, Trial};

fn main() -> ExitCode {
    testkit::set_program(env!("CARGO_BIN_EXE_apt-ci"));
    testkit::runner::run(&Arguments::from_args(), trials)
}

fn trials(services: &Arc<Services>) -> Vec<Trial> {
    [units::trials(services), package::trials(services)].into_iter().flatten().collect()
}
