//! Queries of an index with the results of several years, as whole processes.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use testkit::site::TestSite;

use crate::fast::{Contents, FastServer};
use crate::process;
use crate::table::{self, Row, median};

const RELEASES: usize = 5;
const ARCHITECTURES: [&str; 5] = ["amd64", "arm64", "armhf", "ppc64el", "s390x"];
/// Number of runs of a package on an architecture.
const RUNS: usize = 40;
/// Objects of a run, in the order of their names.
const FILES: [&str; 3] = ["artifacts.tar.gz", "log.gz", "result.tar"];
const PAGE: usize = 10_000;
const ROUNDS: usize = 11;
/// Maximum times, in milliseconds, and maximum size, in bytes.
const MAX_PACKAGE: f64 = 15.0;
const MAX_MATRIX: f64 = 30.0;
const MAX_STATS: f64 = 300.0;
const MAX_BYTES: f64 = 250.0;

/// Containers whose objects are computed, not stored.
struct Years {
    containers: Vec<String>,
    packages: usize,
    /// Prefixes of the run ids, by the run's number.
    days: Vec<String>,
}

impl Years {
    fn objects(&self) -> usize {
        ARCHITECTURES.len() * self.packages * RUNS * FILES.len()
    }

    /// Returns the name of an object by its number.
    fn name(&self, container: &str, number: usize) -> String {
        let release = container.trim_start_matches("autopkgtest-");
        let (run, file) = (number / FILES.len(), FILES[number % FILES.len()]);
        let (place, run) = (run / RUNS, &self.days[run % RUNS]);
        let (architecture, package) = (ARCHITECTURES[place / self.packages], place % self.packages);
        let second = package % 86_400;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        format!(
            "{release}/{architecture}/p/p{package:05}/{run}_{hour:02}{minute:02}{second:02}_{:05x}@/{file}",
            package * 31 % 0xfffff
        )
    }

    /// Returns the number of the first object after a name.
    fn after(&self, container: &str, marker: &str) -> usize {
        if marker.is_empty() {
            return 0;
        }
        let (mut low, mut high) = (0, self.objects());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.name(container, middle).as_str() <= marker { low = middle + 1 } else { high = middle }
        }
        low
    }
}

impl Contents for Years {
    fn amount(&self, container: &str) -> Option<(usize, usize)> {
        self.containers.iter().any(|name| name == container).then(|| (self.objects(), self.objects() * 10))
    }

    fn page(&self, container: &str, _: &str, marker: &str) -> String {
        let first = self.after(container, marker);
        let mut page = String::with_capacity(PAGE * 300);
        page.push('[');
        for number in first..self.objects().min(first + PAGE) {
            let (name, run) = (self.name(container, number), number / FILES.len());
            let separator = if number == first { "" } else { "," };
            let content_type = match number % FILES.len() {
                2 => format!(
                    r#"application/x-tar;exitcode={};version=\"1.{}-1ubuntu2\";duration={};triggers=\"glibc/2.{}-1ubuntu1\";requester=britney;uuid={:08x}-1234-4321-aaaa-0123456789ab"#,
                    [0, 0, 0, 0, 4, 8, 16][run * 7 / 3 % 7],
                    run % RUNS,
                    run * 31 % 900,
                    run % RUNS * 100 + run / RUNS % 100,
                    run
                ),
                _ => "application/gzip".to_owned(),
            };
            let _ = write!(
                page,
                r#"{separator}{{"bytes": 10, "hash": "d41d8cd98f00b204e9800998ecf8427e", "name": "{name}", "content_type": "{content_type}", "last_modified": "2026-01-01T00:00:00.000000"}}"#
            );
        }
        page.push(']');
        page
    }

    fn object(&self, _: &str, _: &str) -> Option<&[u8]> {
        None
    }
}

pub fn measure(results: usize) {
    let packages = results / RELEASES / ARCHITECTURES.len() / RUNS;
    let results = packages * RELEASES * ARCHITECTURES.len() * RUNS;
    table::heading(&format!("an index of {results} results (whole processes, median of {ROUNDS})"));
    let site = TestSite::local();
    let releases: Vec<String> = std::iter::once(site.release.clone())
        .chain((1..RELEASES).map(|number| format!("{}n{number}", site.release)))
        .collect();
    let now = Timestamp::now();
    let day = |number: usize| {
        let age = SignedDuration::from_hours(24 * 8 * i64::try_from(RUNS - number).expect("few") - 24 * 7);
        (now - age).strftime("%Y%m%d").to_string()
    };
    let server = FastServer::start(Years {
        containers: releases.iter().map(|release| format!("autopkgtest-{release}")).collect(),
        packages,
        days: (0..RUNS).map(day).collect(),
    });
    let mut text = format!("queue = \"local:queue\"\nstore = \"swift:{}\"\n\n[releases]\n", server.url());
    text.extend(releases.iter().map(|release| format!("{release} = [\"amd64\"]\n")));
    fs::write(site.path().join("apt-ci.toml"), text).expect("apt-ci.toml");
    let begin = Instant::now();
    let (_, memory) = process::measure(&mut site.command(&["index"]), "");
    let filling = begin.elapsed();
    Row::new("apt-ci index fills it", results as f64 / filling.as_secs_f64(), "/s")
        .note(format!("{:.0} s; the server makes its listings meanwhile", filling.as_secs_f64()))
        .print();
    Row::new("its requests", server.requests() as f64, "").print();
    Row::new("its peak memory", memory, "MiB").print();
    let folder = site.path().join("home/.cache/apt-ci/index");
    let sizes =
        fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").metadata().expect("its size").len());
    Row::new("on the disk, for each result", sizes.sum::<u64>() as f64 / results as f64, "B")
        .at_most(MAX_BYTES)
        .print();
    let refresh = time(&site, &["index"]);
    let requests = server.requests() as f64 / (ROUNDS as f64) / RELEASES as f64;
    Row::time("apt-ci index, when nothing is new", refresh).print();
    Row::new("its requests for each container", requests, "").at_most(2.0).print();
    let floor = time(&site, &["--version"]);
    Row::time("floor: apt-ci --version", floor).print();
    let ours = |what: &str, arguments: &[&str], most: f64| {
        // While the index is valid without another request to the store, as `index --follow` keeps it.
        site.ok(&["index", "-q"]);
        Row::time(what, time(&site, arguments)).beside(floor).at_most(most).print();
    };
    let release = site.release.as_str();
    ours("apt-ci results PACKAGE", &["results", "p00042"], MAX_PACKAGE);
    ours("apt-ci results PACKAGE --matrix", &["results", "p00042", "--matrix"], MAX_MATRIX);
    ours("apt-ci results stats of a release, two weeks", &["results", "stats", "-s", release], MAX_STATS);
    ours("the same of all time", &["results", "stats", "-s", release, "--since", "2000d"], MAX_STATS);
    ours("apt-ci results --trigger SRC/VERSION", &["results", "--trigger", "glibc/2.100-1ubuntu1"], MAX_STATS);
    ours("apt-ci results, the newest of all", &["results"], MAX_STATS);
}

fn time(site: &TestSite, arguments: &[&str]) -> Duration {
    median((0..ROUNDS).map(|_| process::measure(&mut site.command(arguments), "").0).collect())
}
