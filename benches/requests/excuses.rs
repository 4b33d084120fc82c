//! Reading a file of 60 MB with proposed-migration's excuses, compared with reading its bytes and with Python's fastest
//! YAML parser.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::site::TestSite;

use crate::process;
use crate::table::{self, Row, median};

/// Minimum size of the file, in bytes.
const SIZE: usize = 60_000_000;
const ROUNDS: usize = 3;
const ARCHITECTURES: [&str; 7] = ["amd64", "arm64", "armhf", "i386", "ppc64el", "riscv64", "s390x"];
/// Maximum time, in milliseconds, and maximum memory, in MiB.
const MAX_TIME: f64 = 2000.0;
const MAX_MEMORY: f64 = 150.0;

const PYTHON: &str = "import sys, yaml; yaml.load(open(sys.argv[1]), Loader=yaml.CSafeLoader)";

pub fn measure() {
    table::heading(&format!("excuses of {} MB (whole processes, median of {ROUNDS})", SIZE / 1_000_000));
    let site = TestSite::local();
    let file = site.path().join("excuses.yaml");
    fs::write(&file, excuses(&site.release)).expect("a file");
    assert!(Command::new("xz").args(["-k", "-1"]).arg(&file).status().expect("xz").success());
    let floor = median((0..ROUNDS).map(|_| process::measure(Command::new("cat").arg(&file), "").0).collect());
    Row::time("floor: cat", floor).print();
    let python = python(&file);
    for name in ["excuses.yaml", "excuses.yaml.xz"] {
        let arguments = ["retry-regressions", "-n", "--excuses", name];
        let rounds: Vec<(Duration, f64)> =
            (0..ROUNDS).map(|_| process::measure(&mut site.command(&arguments), "")).collect();
        let ours = median(rounds.iter().map(|(time, _)| *time).collect());
        let note = python.map(|python| format!("{:.0} times as fast", python.as_secs_f64() / ours.as_secs_f64()));
        let row = Row::time(format!("apt-ci retry-regressions, {name}"), ours).note(note.unwrap_or_default());
        row.at_most(MAX_TIME).print();
        let memory = rounds.iter().map(|(_, memory)| *memory).fold(0.0, f64::max);
        Row::new("its peak memory", memory, "MiB").at_most(MAX_MEMORY).print();
    }
}

/// Measures Python once, because it takes minutes. `None` without its library.
fn python(file: &Path) -> Option<Duration> {
    let mut look = Command::new("/usr/bin/python3");
    look.args(["-c", "import yaml; yaml.CSafeLoader"]).stderr(Stdio::null());
    if !look.status().expect("python3").success() {
        return None;
    }
    let (time, memory) = process::measure(Command::new("/usr/bin/python3").args(["-c", PYTHON]).arg(file), "");
    Row::time("Python's CSafeLoader", time).note(format!("{memory:.0} MiB")).print();
    Some(time)
}

/// Returns excuses about many packages, as proposed-migration writes them. One test in twenty is a regression.
fn excuses(release: &str) -> String {
    let mut text = "generated-date: 2026-11-25 10:00:00\nsources:\n".to_owned();
    let mut number = 0_usize;
    while text.len() < SIZE {
        let source = format!("source{number}");
        let _ = write!(
            text,
            "- excuses:\n  - 'Migration status for {source}: <b>BLOCKED: Rejected/violates migration\n    policy</b>'\n"
        );
        for test in 0..30 {
            let _ = writeln!(
                text,
                "  - 'autopkgtest for test{test}/1.0-1: <a href=\"https://ci.example/t\">amd64</a>: Pass'"
            );
        }
        let _ = write!(
            text,
            "  item-name: {source}\n  new-version: 1.{number}-1\n  old-version: '-'\n  policy_info:\n    age:\n      \
             current-age: {}.5\n    autopkgtest:\n",
            number % 90
        );
        for test in 0..30 {
            let _ = writeln!(text, "      test{test}/1.0-1:");
            for architecture in ARCHITECTURES {
                number += 1;
                let (state, retry) = match number % 20 {
                    0 => (
                        "REGRESSION",
                        format!(
                            "https://ci.example/request.cgi?release={release}&arch={architecture}&package=test{test}&trigger={source}%2F1"
                        ),
                    ),
                    _ => ("PASS", "null".to_owned()),
                };
                let _ = write!(
                    text,
                    "        {architecture}:\n        - {state}\n        - https://store.example/swift/v1/AUTH_0f9aae918d5b4744bf7b827671c86842/\
                     autopkgtest-{release}/{release}/{architecture}/t/test{test}/20261120_120000_abcde@/log.gz\n        \
                     - https://ci.example/packages/t/test{test}/{release}/{architecture}\n        - null\n        - {retry}\n"
                );
            }
        }
        let _ = writeln!(text, "      verdict: REJECTED_PERMANENTLY\n  reason:\n  - autopkgtest\n  source: {source}");
    }
    text
}
