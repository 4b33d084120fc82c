//! Filling an index from results that are not described by the listing, compared with the maximum speed of the server.

use std::time::Instant;

use futures_util::{StreamExt, stream};
use testkit::block_on;
use testkit::site::TestSite;

use crate::fast::{Contents, FastServer};
use crate::table::{self, Row, median};

const RUNS: usize = 20_000;
const PAGE: usize = 10_000;
const ROUNDS: usize = 3;
/// Maximum number of concurrent requests.
const CONCURRENCY: usize = 32;
/// Minimum share of the server's speed.
const MIN_SHARE: f64 = 0.8;

/// A container in which every object is the same result, stored by another program.
struct Old {
    container: String,
    release: String,
    result: Vec<u8>,
}

impl Old {
    fn name(&self, number: usize) -> String {
        let (package, second) = (number / 50, number % 50);
        format!("{}/amd64/p/p{package:05}/20260101_0000{second:02}@/result.tar", self.release)
    }
}

impl Contents for Old {
    fn amount(&self, container: &str) -> Option<(usize, usize)> {
        (container == self.container).then_some((RUNS, RUNS * self.result.len()))
    }

    fn page(&self, _: &str, _: &str, marker: &str) -> String {
        let names = (0..RUNS).map(|number| self.name(number)).skip_while(|name| name.as_str() <= marker).take(PAGE);
        let row = |name: String| {
            format!(
                r#"{{"name": "{name}", "bytes": {}, "hash": "", "content_type": "application/x-tar", "last_modified": "2026-01-01T00:00:00"}}"#,
                self.result.len()
            )
        };
        format!("[{}]", names.map(row).collect::<Vec<_>>().join(","))
    }

    fn object(&self, _: &str, _: &str) -> Option<&[u8]> {
        Some(&self.result)
    }
}

/// Returns a result as other programs write it.
fn result() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in [
        ("exitcode", "4\n"),
        ("testpkg-version", "gzip 1.12-1\n"),
        ("duration", "12\n"),
        ("testinfo.json", r#"{"custom_environment": ["ADT_TEST_TRIGGERS=glibc/2.39-1"]}"#),
        ("testbed-packages", &"some-package\t1.0-1\n".repeat(150)),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, text.as_bytes()).expect("a member");
    }
    tar.into_inner().expect("a tar")
}

pub fn measure() {
    table::heading(&format!(
        "an index of {RUNS} results without listing metadata, at a fast server (median of {ROUNDS})"
    ));
    let site = TestSite::local();
    let container = format!("autopkgtest-{}", site.release);
    let old = Old { container: container.clone(), release: site.release.clone(), result: result() };
    let names: Vec<String> = (0..RUNS).map(|number| old.name(number).replace('@', "%40")).collect();
    let server = FastServer::start(old);
    let url = server.url();
    let (mut ceilings, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ceilings.push(block_on(async {
            let client = reqwest::Client::builder().build().expect("a client");
            let begin = Instant::now();
            stream::iter(&names)
                .map(|name| {
                    let sending = client.get(format!("{url}/{container}/{name}")).send();
                    async { sending.await.expect("an answer").bytes().await.expect("its bytes").len() }
                })
                .buffer_unordered(CONCURRENCY)
                .collect::<Vec<_>>()
                .await;
            begin.elapsed()
        }));
        let begin = Instant::now();
        let store = format!("swift:{url}");
        let finished = site.run(&["index", "-s", &site.release, "--rebuild", "--store", &store]);
        ours.push(begin.elapsed());
        assert!(finished.status.success(), "{finished:#?}");
    }
    let per_second = |time: std::time::Duration| RUNS as f64 / time.as_secs_f64();
    let (ceiling, ours) = (per_second(median(ceilings)), per_second(median(ours)));
    Row::new("ceiling: a load generator's GETs", ceiling, "/s").print();
    let share = ours / ceiling;
    let row =
        Row::new("apt-ci index, the whole process", ours, "/s").note(format!("{:.0} % of the ceiling", share * 1e2));
    row.wanted(&format!(">= {:.0} %", MIN_SHARE * 1e2), share >= MIN_SHARE).print();
}
