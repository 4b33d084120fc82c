//! Time until an idle worker starts a requested test.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use testkit::block_on;
use testkit::rabbitmq::RabbitMq;
use testkit::site::{Running, TestSite, until};

use crate::bare;
use crate::counters::Counters;
use crate::stub;
use crate::table::{self, Row, median};
use crate::waiting::until_slots_wait;

const ROUNDS: usize = 60;
const QUEUES: [usize; 2] = [20, 200];
/// Maximum time until the start, in milliseconds and in multiples of the bare consumer's.
const MAX_START: f64 = 20.0;
const MAX_TIMES: f64 = 3.0;

pub fn measure(rabbitmq: &RabbitMq) {
    let url = rabbitmq.url();
    table::heading(&format!("from publishing to the testbed's start, idle worker (median of {ROUNDS})"));
    let durable = block_on(confirmed(&url));
    Row::time("a persistent message's confirm, bare client", durable).print();
    let program = program();
    Row::time("a program that does nothing, started and ended", program).print();
    for queues in QUEUES {
        let floor = block_on(bare_consumer(&url, queues));
        Row::time(format!("floor: to delivery, bare consumer on {queues} queues"), floor).print();
        // Each release has four contexts.
        let site = TestSite::on(&url, "folder:results", Vec::new());
        stub::install(&site);
        site.configure_with(&url, "folder:results", queues / 4 - 1);
        let worker = site.start(&["worker"]);
        until_slots_wait(&site, 1);
        let ours = block_on(idle_worker(&url, &site));
        let row = Row::time(format!("to the testbed's start, worker on {queues} queues"), ours).beside(floor);
        let times = ours.as_secs_f64() / floor.as_secs_f64();
        row.wanted(&format!("<= {MAX_TIMES} times"), times <= MAX_TIMES).at_most(MAX_START).print();
        Row::time("the same", ours)
            .note("the floor is delivery + confirm + program")
            .beside(floor + durable + program)
            .print();
        idle_processor(&worker);
    }
}

/// Measures one consumer that ignores the messages.
async fn bare_consumer(url: &str, queues: usize) -> Duration {
    let (_sender, sending) = bare::channel(url).await;
    let (_receiver, receiving) = bare::channel(url).await;
    let mut consumers = Vec::new();
    for n in 0..queues {
        let name = format!("floor-{n}");
        bare::declare(&receiving, &name).await;
        consumers.push(bare::consume(&receiving, &name).await);
    }
    let mut deliveries = futures_util::stream::select_all(consumers);
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let queue = format!("floor-{}", round % queues);
        let started = Instant::now();
        let ((), delivered) = tokio::join!(bare::publish(&sending, &queue, b"x"), async {
            deliveries.next().await.expect("a delivery").expect("a delivery");
            started.elapsed()
        });
        times.push(delivered);
    }
    median(times)
}

/// Measures the confirm of a persistent message.
async fn confirmed(url: &str) -> Duration {
    let (_connection, channel) = bare::channel(url).await;
    bare::declare(&channel, "floor-durable").await;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        bare::publish(&channel, "floor-durable", b"x").await;
        times.push(started.elapsed());
    }
    median(times)
}

fn program() -> Duration {
    let run = |_| {
        let started = Instant::now();
        assert!(Command::new("/bin/true").stdin(Stdio::null()).status().expect("it starts").success());
        started.elapsed()
    };
    median((0..ROUNDS).map(run).collect())
}

async fn idle_worker(url: &str, site: &TestSite) -> Duration {
    let (_connection, channel) = bare::channel(url).await;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        bare::publish(&channel, &site.queue_name(), b"gzip\n{\"triggers\": [\"a/1\"]}").await;
        let mut started = None;
        until("the testbed starts", || {
            started = stub::take_start(site);
            started.is_some()
        });
        times.push(started.expect("it has started").saturating_sub(before));
        until_slots_wait(site, 1);
    }
    median(times)
}

/// Measures the processor time of an idle worker.
fn idle_processor(worker: &Running) {
    let counters = Counters::of(worker.id());
    let before = counters.processor();
    std::thread::sleep(Duration::from_secs(5));
    Row::time("idle worker: processor time in 5 s", counters.processor() - before).print();
}
