//! Filling an index from a real Swift whose listings contain the outcomes, compared with one GET for each result in
//! sequence.

use std::time::{Duration, Instant};

use apt_ci::result::{BundleInput, PackagePath, ProofVerdict, RunSummary, pack};
use apt_ci::store::{Access, ObjectHeaders};
use futures_util::{StreamExt, stream};
use tempfile::TempDir;
use testkit::block_on;
use testkit::site::TestSite;
use testkit::swift::{Auth, Swift};
use tokio::io::AsyncReadExt;

use crate::table::{self, Row, median};

/// Number of results that are fetched in sequence. The time for all is computed from theirs.
const SAMPLE: usize = 200;
const ROUNDS: usize = 3;
/// Minimum speed, in multiples of the sequence's.
const MIN_TIMES: f64 = 100.0;
/// Maximum number of objects in a page of Swift's listings.
const PAGE: usize = 10_000;

pub fn measure(runs: usize) {
    table::heading(&format!("an index of {runs} runs in a real Swift (median of {ROUNDS})"));
    let folder = TempDir::new().expect("a temporary folder");
    let swift = Swift::with_page(folder.path(), &Auth::TempAuth, PAGE);
    let site = TestSite::on("local:queue", "swift:", swift.environment());
    let container = format!("autopkgtest-{}", site.release);
    let names = block_on(fill(&swift, &container, &site.release, runs));
    let one_by_one = block_on(async {
        let store = swift.store();
        let begin = Instant::now();
        for name in names.iter().take(SAMPLE) {
            let mut bytes = Vec::new();
            let mut object = store.get(&container, name).await.expect("a result");
            object.read_to_end(&mut bytes).await.expect("its bytes");
        }
        begin.elapsed() / u32::try_from(SAMPLE.min(runs)).expect("few") * u32::try_from(runs).expect("few")
    });
    Row::new("floor: one GET for each, one after the other", one_by_one.as_secs_f64(), "s").print();
    let mut times: Vec<Duration> = Vec::new();
    let mut requests = 0;
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let finished = site.run(&["-vv", "index", "-s", &site.release, "--rebuild"]);
        times.push(begin.elapsed());
        assert!(finished.status.success() && finished.out.contains(&format!("\t{runs}\t0\t0\t0")), "{}", finished.out);
        requests = finished.err.lines().filter(|line| line.contains(&container) && line.contains("request")).count();
    }
    let ours = median(times);
    let times = one_by_one.as_secs_f64() / ours.as_secs_f64();
    let row = Row::time("apt-ci index --rebuild, the whole process", ours).note(format!("{times:.0} times as fast"));
    row.wanted(&format!(">= {MIN_TIMES:.0} times"), times >= MIN_TIMES).print();
    Row::new("its requests to the container", requests as f64, "").at_most((runs.div_ceil(2_500) + 1) as f64).print();
}

/// Stores runs as a worker does, and returns the names of their results.
async fn fill(swift: &Swift, container: &str, release: &str, runs: usize) -> Vec<String> {
    let store = swift.store();
    store.ensure_container(container, &Access::Public).await.expect("a container");
    let folder = TempDir::new().expect("a temporary folder");
    let output = folder.path().join("output");
    std::fs::create_dir(&output).expect("an output");
    std::fs::write(output.join("log"), "the log\n".repeat(20)).expect("a log");
    std::fs::write(output.join("testpkg-version"), "gzip 1.12-1\n").expect("a version");
    let request = apt_ci::request::Request::parse(b"gzip {\"triggers\": [\"glibc/2.39-1\"]}").expect("a request");
    let material = BundleInput::new(&output, &request, 0, Duration::from_secs(12));
    let bundle = pack(&material, &folder.path().join("bundle")).expect("a bundle");
    let run = |number: usize| {
        let (package, second) = (format!("p{:04}", number / 20), number % 20);
        let path = PackagePath {
            release: release.parse().expect("a release"),
            architecture: "amd64".parse().expect("an architecture"),
            package: package.parse().expect("a package"),
        };
        let id = format!("20260101_0000{second:02}_abcde@").parse().expect("a run");
        (path, id)
    };
    let summary = |number: usize| RunSummary {
        exitcode: [0, 0, 0, 4, 16][number % 5],
        version: format!("1.{number}-1"),
        duration: 12,
        triggers: Some(vec![format!("glibc/2.{}-1", number / 50)]),
        requester: Some("britney".to_owned()),
        uuid: Some(uuid::Uuid::new_v4().to_string()),
        proof: ProofVerdict::Proven,
        fallback: false,
        options: Some(apt_ci::result::RunOptions::default()),
    };
    let storing = stream::iter(0..runs).map(|number| {
        let (store, bundle) = (&store, &bundle);
        async move {
            let (path, id) = run(number);
            let mut result = String::new();
            for file in bundle.files() {
                let name = path.object(&id, file.name);
                let mut headers = ObjectHeaders {
                    content_type: file.headers.content_type.clone(),
                    content_encoding: file.headers.content_encoding,
                };
                if file.name == "result.tar" {
                    headers.content_type = summary(number).to_content_type();
                    result = name.clone();
                }
                store.put(container, &name, &file.path, &headers).await.expect("stored");
            }
            result
        }
    });
    storing.buffered(16).collect().await
}
