//! Ten thousand requests in one call, compared with a bare client that publishes as many with confirms.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use testkit::block_on;
use testkit::rabbitmq::RabbitMq;
use testkit::site::TestSite;

use crate::bare;
use crate::process;
use crate::table::{self, Row, median};

const REQUESTS: usize = 10_000;
const ROUNDS: usize = 3;
/// Maximum number of unconfirmed messages of the bare client.
const WINDOW: usize = 512;
/// Minimum share of the bare client's requests per second.
const MIN_SHARE: f64 = 0.8;
/// Maximum memory, in MiB.
const MAX_MEMORY: f64 = 40.0;

pub fn measure(rabbitmq: &RabbitMq) {
    table::heading(&format!("{REQUESTS} requests in one call, in turn with a bare client (median of {ROUNDS})"));
    let (mut floor, mut ours, mut peak) = (Vec::new(), Vec::new(), 0.0_f64);
    for _ in 0..ROUNDS {
        let site = TestSite::on(&rabbitmq.url(), "folder:results", Vec::new());
        let queue = site.queue_name();
        let requests: Vec<String> =
            (0..REQUESTS).map(|number| format!("package{number}\n{{\"triggers\": [\"glibc/2.39-1\"]}}")).collect();
        floor.push(block_on(publish(&rabbitmq.url(), &format!("{queue}-floor"), &requests)));
        let lines: String =
            requests.iter().map(|request| format!("{queue}:{}\n", request.replace('\n', " "))).collect();
        let (time, memory) = process::measure(&mut site.command(&["run", "--batch", "-"]), &lines);
        ours.push(time);
        peak = peak.max(memory);
    }
    let (floor, ours) = (median(floor), median(ours));
    let per_second = |time: Duration| REQUESTS as f64 / time.as_secs_f64();
    Row::new("floor: a bare client with confirms, connected", per_second(floor), "/s").print();
    let share = floor.as_secs_f64() / ours.as_secs_f64();
    let row = Row::new("apt-ci run --batch, the whole process", per_second(ours), "/s");
    let row = row.note(format!("{:.0} % of the floor", share * 1e2));
    row.wanted(&format!(">= {:.0} %", MIN_SHARE * 1e2), share >= MIN_SHARE).print();
    Row::new("its peak memory", peak, "MiB").at_most(MAX_MEMORY).print();
}

async fn publish(url: &str, queue: &str, requests: &[String]) -> Duration {
    let (_connection, channel) = bare::channel(url).await;
    bare::declare(&channel, queue).await;
    let begin = Instant::now();
    let mut waiting = VecDeque::new();
    for request in requests {
        if waiting.len() == WINDOW {
            let confirm: lapin::PublisherConfirm = waiting.pop_front().expect("a publication");
            confirm.await.expect("confirmed");
        }
        let properties = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions::default();
        let publication = channel.basic_publish("".into(), queue.into(), options, request.as_bytes(), properties);
        waiting.push_back(publication.await.expect("published"));
    }
    for confirm in waiting {
        confirm.await.expect("confirmed");
    }
    begin.elapsed()
}
