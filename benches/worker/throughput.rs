//! How many requests a second one slot brings to their results, on RabbitMQ and Swift, with a testbed that does nothing.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use apt_ci::store::{Entry, Query};
use futures_util::StreamExt;
use lapin::Channel;
use tempfile::TempDir;

use crate::counters::Counters;
use crate::support::block_on;
use crate::support::rabbitmq::RabbitMq;
use crate::support::site::{TestSite, until};
use crate::support::swift::{Auth, Swift};
use crate::table::{self, Row};
use crate::{bare, stub};

const REQUESTS: u32 = 500;
/// In so many rounds; the floor has as many, each before one of these: the machine gets busier and less busy.
const ROUNDS: u32 = 10;
/// Of so many packages, as in a queue after a large upload.
const PACKAGES: u32 = 100;
/// What the worker itself may use for a request, in milliseconds of processor time.
const MOST_PROCESSOR: f64 = 5.0;
/// The least share of the floor's requests per second.
const LEAST_SHARE: f64 = 0.7;
/// What a bare client says to the broker about a request: its claim, that it runs, that it has run, and its completion.
const MESSAGES: usize = 4;

pub fn measure(rabbitmq: &RabbitMq) {
    let folder = TempDir::new().expect("a temporary folder");
    let swift = Swift::start(folder.path(), &Auth::TempAuth);
    let site = TestSite::on(&rabbitmq.url(), "swift:", swift.environment());
    stub::install(&site);
    let worker = site.start(&["worker"]);
    until("the worker waits", || site.queue()["consumers"] == 1);
    // The first one makes the container, and tells how large the files are.
    site.request("first", &[]);
    until("the first result", || site.finished().len() == 1 && site.is_idle());
    let sizes = sizes(&swift, &site);

    table::heading(&format!("{REQUESTS} requests of a testbed that does nothing, one slot, RabbitMQ and Swift"));
    let floor = Floor::new(&swift, &folder, &sizes);
    let counters = Counters::of(worker.id());
    let before = counters.processor();
    let (mut straight, mut ours) = (Duration::ZERO, Duration::ZERO);
    for round in 0..ROUNDS {
        let numbers = round * REQUESTS / ROUNDS..(round + 1) * REQUESTS / ROUNDS;
        straight += block_on(floor.run(&rabbitmq.url(), numbers.clone()));
        ours += block_on(requests(&rabbitmq.url(), &site, numbers));
    }
    let processor = counters.processor() - before;

    let per_second = |time: Duration| f64::from(REQUESTS) / time.as_secs_f64();
    let what = format!("floor: uploads of {sizes:?} bytes and {MESSAGES} messages, one by one");
    Row::new(what, per_second(straight), "/s").print();
    let share = straight.as_secs_f64() / ours.as_secs_f64();
    let row =
        Row::new("requests to results", per_second(ours), "/s").note(format!("{:.0} % of the floor", share * 1e2));
    row.wanted(&format!(">= {:.0} %", LEAST_SHARE * 1e2), share >= LEAST_SHARE).print();
    Row::time("the worker's own processor time per request", processor / REQUESTS).at_most(MOST_PROCESSOR).print();
}

/// The sizes of the first result's files.
fn sizes(swift: &Swift, site: &TestSite) -> Vec<u64> {
    let (store, container) = (swift.store(), format!("autopkgtest-{}", site.release));
    let entries = block_on(store.list(&container, &Query::default())).expect("a listing");
    let size = |entry: &Entry| match entry {
        Entry::Object(object) => Some(object.bytes),
        Entry::Prefix(_) => None,
    };
    entries.iter().filter_map(size).collect()
}

/// Asks for all tests at once, and waits until all results are announced.
async fn requests(url: &str, site: &TestSite, numbers: Range<u32>) -> Duration {
    let (_connection, channel) = bare::channel(url).await;
    let mut completions = bare::completions(&channel).await;
    let begin = Instant::now();
    for number in numbers.clone() {
        let body = format!("package{}\n{{\"triggers\": [\"a/1\"]}}", number % PACKAGES);
        bare::publish(&channel, &site.queue_name(), body.as_bytes()).await;
    }
    for _ in numbers {
        completions.next().await.expect("a completion").expect("a completion");
    }
    begin.elapsed()
}

/// The same uploads and as many messages without a worker.
struct Floor {
    token: String,
    container: String,
    files: Vec<PathBuf>,
}

impl Floor {
    fn new(swift: &Swift, folder: &TempDir, sizes: &[u64]) -> Self {
        let (token, container) = (swift.token(), format!("{}/floor", swift.storage_url()));
        block_on(async {
            let made = reqwest::Client::new().put(&container).header("x-auth-token", &token);
            let made = made.header("x-container-read", ".r:*,.rlistings").send().await;
            made.expect("an answer").error_for_status().expect("a container");
        });
        let files = sizes.iter().enumerate().map(|(number, size)| {
            let path = folder.path().join(format!("floor-{number}"));
            fs::write(&path, vec![b'x'; usize::try_from(*size).expect("a small file")]).expect("a file");
            path
        });
        let files = files.collect();
        Self { token, container, files }
    }

    async fn run(&self, url: &str, numbers: Range<u32>) -> Duration {
        let (_connection, channel) = bare::channel(url).await;
        bare::declare(&channel, "floor-throughput").await;
        let mut deliveries = bare::consume(&channel, "floor-throughput").await;
        let client = reqwest::Client::new();
        let begin = Instant::now();
        for number in numbers {
            self.upload(&client, number).await;
            for _ in 0..MESSAGES {
                self.message(&channel, &mut deliveries).await;
            }
        }
        begin.elapsed()
    }

    async fn upload(&self, client: &reqwest::Client, number: u32) {
        let package = number % PACKAGES;
        let run = uuid::Uuid::new_v4();
        for (file, path) in self.files.iter().enumerate() {
            let object = format!("{}/sid/amd64/p/package{package}/{run}/{file}", self.container);
            let bytes = fs::read(path).expect("a file");
            let put = client.put(object).header("x-auth-token", &self.token).body(bytes).send();
            put.await.expect("an answer").error_for_status().expect("an object");
        }
    }

    async fn message(&self, channel: &Channel, deliveries: &mut lapin::Consumer) {
        let delivery = async { deliveries.next().await.expect("a delivery").expect("a delivery") };
        tokio::join!(bare::publish(channel, "floor-throughput", b"package\n{\"triggers\": [\"a/1\"]}"), delivery);
    }
}
