//! Memory of an idle worker, and whether it grows with the number of requests.

use futures_util::StreamExt;
use testkit::block_on;
use testkit::rabbitmq::RabbitMq;
use testkit::site::{TestSite, until};

use crate::counters::Counters;
use crate::table::{self, Row};
use crate::waiting::until_slots_wait;
use crate::{bare, stub};

/// Default number of requests.
const REQUESTS: u32 = 2000;
/// Environment variable with another number.
const VARIABLE: &str = "APT_CI_BENCH_REQUESTS";
/// Number of requests after which memory must not grow.
const WARM_UP_REQUESTS: u32 = 500;
/// Maximum number of waiting requests, so that the broker's memory does not count.
const BATCH: u32 = 100;
const PACKAGES: u32 = 200;
const SLOTS: u32 = 8;
/// Maximum memory of an idle worker with one slot, and of each further slot, in MiB.
const MAX_IDLE: f64 = 25.0;
const MAX_PER_SLOT: f64 = 2.0;
/// Tolerance for the allocator's caches, in MiB.
const TOLERANCE: f64 = 1.0;

pub fn measure(rabbitmq: &RabbitMq) {
    let requests = std::env::var(VARIABLE).ok().map_or(REQUESTS, |text| text.parse().expect(VARIABLE));
    table::heading("resident memory of the worker");
    let site = site(rabbitmq);
    let many = {
        let worker = site.start(&["worker", "--slots", &SLOTS.to_string()]);
        until_slots_wait(&site, SLOTS);
        Counters::of(worker.id()).memory()
    };
    until("it is gone", || site.queue()["consumers"] == 0);
    let worker = site.start(&["worker"]);
    until_slots_wait(&site, 1);
    let counters = Counters::of(worker.id());
    let idle = counters.memory();
    Row::new("idle with one slot", idle, "MiB").at_most(MAX_IDLE).print();
    Row::new(format!("idle with {SLOTS} slots"), many, "MiB").print();
    let each = (many - idle) / f64::from(SLOTS - 1);
    Row::new("each further slot", each, "MiB").at_most(MAX_PER_SLOT).print();

    let warm = serve(rabbitmq, &site, counters, WARM_UP_REQUESTS);
    let (memory, files) = serve(rabbitmq, &site, counters, requests.saturating_sub(WARM_UP_REQUESTS));
    Row::new(format!("after {WARM_UP_REQUESTS} requests"), warm.0, "MiB")
        .note(format!("{} open files", warm.1))
        .print();
    let row = Row::new(format!("after {requests} requests"), memory, "MiB").note(format!("{files} open files"));
    row.wanted(&format!("no growth (<= {TOLERANCE} MiB)"), memory <= warm.0 + TOLERANCE && files <= warm.1).print();
}

fn site(rabbitmq: &RabbitMq) -> TestSite {
    let site = TestSite::on(&rabbitmq.url(), "folder:results", Vec::new());
    stub::install(&site);
    site
}

/// Runs requests, and returns the worker's memory and open files once it is idle again.
fn serve(rabbitmq: &RabbitMq, site: &TestSite, counters: Counters, requests: u32) -> (f64, usize) {
    block_on(async {
        let (_connection, channel) = bare::channel(&rabbitmq.url()).await;
        let mut completions = bare::completions(&channel).await;
        for begin in (0..requests).step_by(BATCH as usize) {
            let numbers = begin..requests.min(begin + BATCH);
            for number in numbers.clone() {
                let body = format!("package{}\n{{\"triggers\": [\"a/1\"]}}", number % PACKAGES);
                bare::publish(&channel, &site.queue_name(), body.as_bytes()).await;
            }
            for _ in numbers {
                completions.next().await.expect("a completion").expect("a completion");
            }
        }
    });
    until_slots_wait(site, 1);
    (counters.memory(), counters.files())
}
