//! Sections of failed tests in a log of 200 MB.

use std::fs;
use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use testkit::site::TestSite;

use crate::process;
use crate::table::{self, Row, median};

const MEGABYTES: usize = 200;
const ROUNDS: usize = 5;
/// Maximum time to the first output, in milliseconds, and maximum memory, in MiB.
const MAX_TIME: f64 = 200.0;
const MAX_MEMORY: f64 = 30.0;

pub fn measure() {
    table::heading(&format!("the failed test of a log of {MEGABYTES} MB (median of {ROUNDS})"));
    let site = TestSite::local();
    site.request("gzip", &["STUB_TESTS=bad-one,smoke", "STUB_EXIT=4"]);
    site.ok(&["worker", "--drain", "-q"]);
    let run = site.results().remove(0);
    let log = site.folder_of(&run).join("log.gz");
    let mut gzip = GzEncoder::new(fs::File::create(log).expect("a log"), Compression::fast());
    let mark = |gzip: &mut GzEncoder<fs::File>, test: &str, what: &str| {
        writeln!(gzip, "autopkgtest [11:22:33]: test {test}: {what}").expect("a line");
    };
    for test in ["bad-one", "smoke"] {
        mark(&mut gzip, test, "preparing testbed");
        mark(&mut gzip, test, "[-----------------------");
        let line = format!("{test}: a line of the test's own output, which may be long and tells what it does now\n");
        for _ in 0..MEGABYTES * 1_000_000 / 2 / line.len() {
            gzip.write_all(line.as_bytes()).expect("a line");
        }
        mark(&mut gzip, test, "-----------------------]");
    }
    gzip.finish().expect("a log");
    let arguments = ["log", "gzip", "--failed"];
    let first = |_| {
        let begin = Instant::now();
        let mut child = site.command(&arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("apt-ci");
        let mut out = child.stdout.take().expect("its output");
        out.read_exact(&mut [0]).expect("a byte");
        let time = begin.elapsed();
        drop(out);
        child.wait().expect("its end");
        time
    };
    let first: Vec<Duration> = (0..ROUNDS).map(first).collect();
    Row::time("apt-ci log --failed begins to print after", median(first)).at_most(MAX_TIME).print();
    let rounds: Vec<(Duration, f64)> =
        (0..ROUNDS).map(|_| process::measure(&mut site.command(&arguments), "")).collect();
    Row::time("and has read the whole log after", median(rounds.iter().map(|(time, _)| *time).collect())).print();
    let memory = rounds.iter().map(|(_, memory)| *memory).fold(0.0, f64::max);
    Row::new("its peak memory", memory, "MiB").at_most(MAX_MEMORY).print();
}
