//! A steady stream of deliveries.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use apt_ci::forge::signature;
use testkit::rabbitmq::RabbitMq;
use testkit::site::until;
use tokio::time::{MissedTickBehavior, interval};

use crate::table::{Row, heading, median};
use crate::{PROJECT, SECRET, WebFixture, busy, payload};

/// Deliveries per second.
const RATE: u64 = 200;

pub fn measure(scene: &WebFixture, rabbitmq: &RabbitMq) {
    let seconds: u64 = std::env::var("APT_CI_BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    heading(&format!("{RATE} deliveries a second for {seconds} s, 25 KB each, beside a busy queue server"));
    let before = scene.memory("VmRSS");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (mut times, other) = runtime.block_on(send(scene, rabbitmq, RATE * seconds));
    let total = times.len();
    times.sort();
    let place = |part: f64| times[((total as f64 * part) as usize).min(total - 1)];
    Row::time("answered, median", median(times.clone())).print();
    Row::time("answered, 99th percentile", place(0.99)).at_most(100.0).print();
    Row::time("answered, slowest", place(1.0)).print();
    let queue = format!("debci-upstream-{}-amd64", scene.site.release);
    let waiting = || {
        let states = scene.site.json(&["queues"]);
        let of_queue = states.as_array().expect("a list").iter().find(|state| state["queue"] == queue.as_str());
        of_queue.and_then(|state| state["ready"].as_u64()).unwrap_or_default()
    };
    until("all are queued", || waiting() >= total as u64);
    Row::new("queued", waiting() as f64, "").wanted(&format!("{total}"), waiting() == total as u64).print();
    Row::new("other messages a second meanwhile", other, "").print();
    Row::new("memory before", before, "MiB").print();
    Row::new("memory, the most", scene.memory("VmHWM"), "MiB").at_most(60.0).print();
    until("all statuses are shown", || {
        scene.forge.asked().iter().filter(|call| call.contains("/statuses/")).count() >= total
    });
    Row::new("memory, when all statuses are shown", scene.memory("VmHWM"), "MiB").at_most(60.0).print();
}

/// Sends deliveries at a fixed rate. Returns the time of each until its answer, and how many messages per second the
/// queue server has delivered in the meantime.
async fn send(scene: &WebFixture, rabbitmq: &RabbitMq, total: u64) -> (Vec<Duration>, f64) {
    let others = busy::begin(&rabbitmq.url()).await;
    let client = reqwest::Client::new();
    let url = scene.url();
    let mut ticks = interval(Duration::from_micros(1_000_000 / RATE));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (begun, first) = (Instant::now(), others.load(Ordering::Relaxed));
    let mut sending = Vec::new();
    for number in 1..=total {
        ticks.tick().await;
        let (client, url) = (client.clone(), url.clone());
        sending.push(tokio::spawn(async move {
            let body = payload(PROJECT, number);
            let signature = signature::sign(&SECRET.to_owned().into(), body.as_bytes());
            let request = client
                .post(url)
                .header("x-github-event", "pull_request")
                .header("x-github-delivery", format!("delivery-{number}"))
                .header("x-hub-signature-256", signature)
                .body(body);
            let begun = Instant::now();
            let response = request.send().await.expect("an answer");
            let took = begun.elapsed();
            assert_eq!(response.status().as_u16(), 202);
            took
        }));
    }
    let mut times = Vec::new();
    for one in sending {
        times.push(one.await.expect("it was sent"));
    }
    let seconds = begun.elapsed().as_secs_f64();
    (times, (others.load(Ordering::Relaxed) - first) as f64 / seconds)
}
