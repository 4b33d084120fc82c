//! Requests per second of one slot, on RabbitMQ and Swift, with a stub as testbed.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use apt_ci::store::{Entry, Query};
use futures_util::StreamExt;
use lapin::Channel;
use tempfile::TempDir;
use testkit::block_on;
use testkit::rabbitmq::RabbitMq;
use testkit::site::{TestSite, until};
use testkit::swift::{Auth, Swift};

use crate::counters::Counters;
use crate::table::{self, Row};
use crate::waiting::until_slots_wait;
use crate::{bare, stub};

const REQUESTS: u32 = 500;
/// Number of rounds. Rounds of the floor alternate with them, because other load on the machine changes.
const ROUNDS: u32 = 10;
/// Number of packages, as in a queue after a large upload.
const PACKAGES: u32 = 100;
/// Maximum processor time of the worker for a request, in milliseconds.
const MAX_PROCESSOR: f64 = 5.0;
/// Minimum share of the floor's requests per second.
const MIN_SHARE: f64 = 0.7;
/// Number of messages of a bare client for each request: the claim, the start, the end, and the completion.
const MESSAGES: usize = 4;

pub fn measure(rabbitmq: &RabbitMq) {
    let folder = TempDir::new().expect("a temporary folder");
    let swift = Swift::start(folder.path(), &Auth::TempAuth);
    let site = TestSite::on(&rabbitmq.url(), "swift:", swift.environment());
    stub::install(&site);
    let worker = site.start(&["worker"]);
    until_slots_wait(&site, 1);
    // The first one creates the container, and shows the sizes of the files.
    site.request("first", &[]);
    until("the first result", || site.finished().len() == 1 && site.is_idle());
    let sizes = sizes(&swift, &site);

    table::heading(&format!("{REQUESTS} requests of a testbed that does nothing, one slot, RabbitMQ and Swift"));
    let floor = Floor::new(&swift, &folder, &sizes);
    let counters = Counters::of(worker.id());
    let before = counters.processor();
    let [mut straight, mut dutiful, mut ours] = [Duration::ZERO; 3];
    for round in 0..ROUNDS {
        let numbers = round * REQUESTS / ROUNDS..(round + 1) * REQUESTS / ROUNDS;
        straight += block_on(floor.run(&rabbitmq.url(), numbers.clone(), Duties::None));
        dutiful += block_on(floor.run(&rabbitmq.url(), numbers.clone(), Duties::All));
        ours += block_on(requests(&rabbitmq.url(), &site, numbers));
    }
    let processor = counters.processor() - before;

    let per_second = |time: Duration| f64::from(REQUESTS) / time.as_secs_f64();
    let what = format!("floor: uploads of {sizes:?} bytes and {MESSAGES} messages, one by one");
    Row::new(what, per_second(straight), "/s").print();
    let what = "the same, files on the disk first, a program started, a listing before the last";
    Row::new(what, per_second(dutiful), "/s").print();
    let share_of = |floor: Duration| floor.as_secs_f64() / ours.as_secs_f64();
    let share = share_of(straight);
    let note =
        format!("{:.0} % of the floor, {:.0} % of the one with these duties", share * 1e2, share_of(dutiful) * 1e2);
    let row = Row::new("requests to results", per_second(ours), "/s").note(note);
    row.wanted(&format!(">= {:.0} % of the floor", MIN_SHARE * 1e2), share >= MIN_SHARE).print();
    Row::time("the worker's own processor time per request", processor / REQUESTS).at_most(MAX_PROCESSOR).print();
}

/// Returns the sizes of the first result's files.
fn sizes(swift: &Swift, site: &TestSite) -> Vec<u64> {
    let (store, container) = (swift.store(), format!("autopkgtest-{}", site.release));
    let entries = block_on(store.list(&container, &Query::default())).expect("a listing");
    let size = |entry: &Entry| match entry {
        Entry::Object(object) => Some(object.bytes),
        Entry::Prefix(_) => None,
    };
    entries.iter().filter_map(size).collect()
}

/// Queues all requests at once, and waits until all results are announced.
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

/// Work of a bare client in addition to uploads and messages.
#[derive(Clone, Copy, PartialEq)]
enum Duties {
    None,
    /// The work without which results would not survive a power failure or would not be in order: files are synced, a
    /// program is started, and newer results are searched before the last upload.
    All,
}

/// A client with the same uploads and as many messages as a worker.
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

    async fn run(&self, url: &str, numbers: Range<u32>, duties: Duties) -> Duration {
        let (_connection, channel) = bare::channel(url).await;
        bare::declare(&channel, "floor-throughput").await;
        let mut deliveries = bare::consume(&channel, "floor-throughput").await;
        let client = reqwest::Client::new();
        let begin = Instant::now();
        for number in numbers {
            self.upload(&client, number, duties).await;
            for _ in 0..MESSAGES {
                self.message(&channel, &mut deliveries).await;
            }
        }
        begin.elapsed()
    }

    async fn upload(&self, client: &reqwest::Client, number: u32, duties: Duties) {
        let package = number % PACKAGES;
        let run = uuid::Uuid::new_v4();
        let folder = format!("sid/amd64/p/package{package}");
        if duties == Duties::All {
            let mut program = tokio::process::Command::new("/bin/true");
            assert!(program.stdin(Stdio::null()).status().await.expect("it starts").success());
        }
        for (file, path) in self.files.iter().enumerate() {
            let bytes = fs::read(path).expect("a file");
            if duties == Duties::All {
                let copy = path.with_extension("copy");
                fs::write(&copy, &bytes).and_then(|()| fs::File::open(&copy)?.sync_all()).expect("a file on the disk");
                fs::remove_file(&copy).expect("a file");
                if file + 1 == self.files.len() {
                    self.list(client, &format!("prefix={folder}/&marker={folder}/{run}0&format=json")).await;
                }
            }
            let object = format!("{}/{folder}/{run}/{file}", self.container);
            let put = client.put(object).header("x-auth-token", &self.token).body(bytes).send();
            put.await.expect("an answer").error_for_status().expect("an object");
        }
    }

    async fn list(&self, client: &reqwest::Client, query: &str) {
        let list = client.get(format!("{}?{query}", self.container)).header("x-auth-token", &self.token).send();
        let listing = list.await.expect("an answer").error_for_status().expect("a listing");
        listing.bytes().await.expect("a listing");
    }

    async fn message(&self, channel: &Channel, deliveries: &mut lapin::Consumer) {
        let delivery = async { deliveries.next().await.expect("a delivery").expect("a delivery") };
        tokio::join!(bare::publish(channel, "floor-throughput", b"package\n{\"triggers\": [\"a/1\"]}"), delivery);
    }
}
