//! How soon an idle worker starts a test, beside a bare client on the same broker in the same run, and what it costs to wait.
//!
//! This machine may be busy with other things: look at the ratios, and at the absolute numbers only against their bounds.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

#[path = "../tests/support/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use support::rabbitmq::RabbitMq;
use support::site::{Running, TestSite, until};

const QUEUES: usize = 20;
const ROUNDS: usize = 60;
const STUB_NAME: &str = "autopkgtest";

fn main() {
    let called_as = std::env::args().next().unwrap_or_default();
    if Path::new(&called_as).file_name().is_some_and(|name| name == STUB_NAME) {
        return stub(&called_as);
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    println!("{:60} {:>8}", "", "median");
    version();
    let rabbitmq = RabbitMq::start("");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let floor = runtime.block_on(bare_consumer(&rabbitmq.url()));
    report(&format!("publish to delivery, bare consumer on {QUEUES} queues"), floor, None);
    let site = site(&rabbitmq.url());
    let worker = site.start(&["worker"]);
    until("the worker waits", || site.queue()["consumers"] == 1);
    let ours = runtime.block_on(idle_worker(&rabbitmq.url(), &site));
    report(&format!("publish to the testbed's start, idle worker on {QUEUES} queues"), ours, Some(floor));
    idle_cost(&worker);
}

fn report(what: &str, median: Duration, floor: Option<Duration>) {
    let ratio = floor.map(|floor| format!("   {:.1} times the floor", median.as_secs_f64() / floor.as_secs_f64()));
    println!("{what:60} {:>5.1} ms{}", median.as_secs_f64() * 1e3, ratio.unwrap_or_default());
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// A testbed that does nothing but write down when it started.
fn stub(called_as: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_nanos();
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--help") {
        println!("--output-dir --test-name");
        return;
    }
    let output = arguments.iter().enumerate().find_map(|(n, argument)| {
        let after = (argument == "--output-dir").then(|| arguments.get(n + 1).cloned()).flatten();
        argument.strip_prefix("--output-dir=").map(str::to_owned).or(after)
    });
    let output = PathBuf::from(output.expect("--output-dir"));
    fs::create_dir_all(&output).expect("the output directory");
    fs::write(output.join("log"), "started\n").expect("a log");
    let started = Path::new(called_as).with_file_name("started");
    fs::write(started.with_extension("new"), now.to_string()).expect("the time");
    fs::rename(started.with_extension("new"), started).expect("the time");
}

/// A site whose testbed is this program, and which serves 20 queues.
fn site(queue: &str) -> TestSite {
    let site = TestSite::on(queue, "folder:results", Vec::new());
    let program = site.path().join("checkout/runner").join(STUB_NAME);
    fs::remove_file(&program).expect("the other stub");
    symlink(std::env::current_exe().expect("this program"), &program).expect("a link to this program");
    // Four contexts of each release.
    site.configure_with(queue, "folder:results", QUEUES / 4 - 1);
    site
}

async fn channel(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("a connection");
    let channel = connection.create_channel().await.expect("a channel");
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    (connection, channel)
}

async fn publish(channel: &Channel, queue: &str, body: &[u8]) {
    let properties = BasicProperties::default().with_delivery_mode(2);
    let published = channel.basic_publish("".into(), queue.into(), BasicPublishOptions::default(), body, properties);
    published.await.expect("published").await.expect("confirmed");
}

/// The floor: one consumer that does nothing with what it gets.
async fn bare_consumer(url: &str) -> Duration {
    let (_sender, sending) = channel(url).await;
    let (_receiver, receiving) = channel(url).await;
    let mut consumers = Vec::new();
    for n in 0..QUEUES {
        let name = format!("floor-{n}");
        let durable = QueueDeclareOptions { durable: true, ..Default::default() };
        receiving.queue_declare(name.as_str().into(), durable, FieldTable::default()).await.expect("a queue");
        let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
        let consumer = receiving.basic_consume(name.as_str().into(), "".into(), options, FieldTable::default());
        consumers.push(consumer.await.expect("a consumer"));
    }
    let mut deliveries = futures_util::stream::select_all(consumers);
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let started = Instant::now();
        let queue = format!("floor-{}", round % QUEUES);
        let (_, delivery) = tokio::join!(publish(&sending, &queue, b"x"), async {
            let delivery = deliveries.next().await;
            (started.elapsed(), delivery.expect("a delivery").expect("a delivery"))
        });
        times.push(delivery.0);
    }
    median(times)
}

async fn idle_worker(url: &str, site: &TestSite) -> Duration {
    let (_connection, channel) = channel(url).await;
    let started = site.path().join("checkout/runner/started");
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        publish(&channel, &site.queue_name(), b"gzip\n{\"triggers\": [\"a/1\"]}").await;
        until("the testbed starts", || started.exists());
        let nanoseconds = fs::read_to_string(&started).expect("the time").parse().expect("a number");
        fs::remove_file(&started).expect("the time");
        times.push(Duration::from_nanos(nanoseconds).saturating_sub(before));
        until("the worker waits again", || site.queue()["consumers"] == 1);
    }
    median(times)
}

/// What it costs to wait: memory, and processor time over five seconds.
fn idle_cost(worker: &Running) {
    let process = PathBuf::from(format!("/proc/{}", worker.id()));
    let ticks = || {
        let text = fs::read_to_string(process.join("stat")).expect("the worker runs");
        let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        fields[11].parse::<u64>().expect("user time") + fields[12].parse::<u64>().expect("system time")
    };
    let before = ticks();
    std::thread::sleep(Duration::from_secs(5));
    let used = (ticks() - before) * 10;
    let status = fs::read_to_string(process.join("status")).expect("the worker runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("resident memory");
    let resident: f64 = resident.trim().trim_end_matches(" kB").parse().expect("a number");
    println!("{:60} {:>5.1} MiB", "idle worker: resident memory", resident / 1024.0);
    println!("{:60} {used:>5} ms", "idle worker: processor time in 5 s");
}

fn version() {
    let time = |program: &str, argument: &str| {
        let run = |_| {
            let started = Instant::now();
            let status = Command::new(program).arg(argument).stdout(Stdio::null()).status().expect("it starts");
            assert!(status.success());
            started.elapsed()
        };
        median((0..ROUNDS).map(run).collect())
    };
    let floor = time("/bin/true", "");
    report("a program that does nothing", floor, None);
    report("apt-ci --version", time(env!("CARGO_BIN_EXE_apt-ci"), "--version"), Some(floor));
}
