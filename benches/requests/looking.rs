//! Reading queues: the requests in a long one, compared with a client that takes them one by one, and the lengths of
//! many.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testkit::rabbitmq::RabbitMq;
use testkit::site::TestSite;

use crate::table::{self, Row, median};

const REQUESTS: usize = 10_000;
const QUEUES: usize = 200;
const ROUNDS: usize = 5;
/// Minimum speed, in multiples of the other client's.
const MIN_TIMES: f64 = 8.0;
/// Maximum time for the lengths of all queues, in milliseconds.
const MAX_LENGTHS: f64 = 150.0;

/// Program that takes all messages of a queue, one by one, and returns them.
const ONE_BY_ONE: &str = "
import pika, sys
connection = pika.BlockingConnection(pika.URLParameters(sys.argv[1]))
channel = connection.channel()
messages = 0
while channel.basic_get(sys.argv[2])[0] is not None:
    messages += 1
connection.close()
assert messages == int(sys.argv[3]), messages";

pub fn measure(rabbitmq: &RabbitMq) {
    table::heading(&format!("looking at queues (whole processes, median of {ROUNDS})"));
    let site = TestSite::on(&rabbitmq.url(), "folder:results", Vec::new());
    let queue = site.queue_name();
    let lines: String =
        (0..REQUESTS).map(|number| format!("{queue}:package{number} {{\"triggers\": [\"glibc/2.39-1\"]}}\n")).collect();
    site.submit(&lines);
    let count = REQUESTS.to_string();
    let (mut floor, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut python = Command::new("/usr/bin/python3");
        floor.push(time(python.args(["-c", ONE_BY_ONE, &rabbitmq.url(), &queue, &count])));
        ours.push(time(&mut site.command(&["queues", "show", &queue, "--limit", &count])));
    }
    let (floor, ours) = (median(floor), median(ours));
    Row::time(format!("{REQUESTS} requests of a queue one by one, pika"), floor).print();
    let times = floor.as_secs_f64() / ours.as_secs_f64();
    let row = Row::time("apt-ci queues show", ours).note(format!("{times:.1} times as fast"));
    row.wanted(&format!(">= {MIN_TIMES}"), times >= MIN_TIMES).print();

    let site = TestSite::on(&rabbitmq.url(), "folder:results", Vec::new());
    site.configure_with(&rabbitmq.url(), "folder:results", QUEUES / 4 - 1);
    // A worker declares all queues.
    let worker = site.start(&["worker"]);
    crate::waiting::until_slots_wait(&site, 1);
    drop(worker);
    assert_eq!(site.json(&["queues"]).as_array().map(Vec::len), Some(QUEUES));
    let lengths = median((0..ROUNDS).map(|_| time(&mut site.command(&["queues"]))).collect());
    Row::time(format!("apt-ci queues, {QUEUES} queues"), lengths).at_most(MAX_LENGTHS).print();
}

fn time(command: &mut Command) -> Duration {
    let started = Instant::now();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().expect("it starts");
    assert!(status.success(), "{command:?}");
    started.elapsed()
}
