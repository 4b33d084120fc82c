//! One request: a process that connects, queues it and exits, compared with a bare client that does the same.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testkit::block_on;
use testkit::rabbitmq::RabbitMq;
use testkit::site::TestSite;

use crate::bare;
use crate::table::{self, Row, median};

/// Argument that makes this program the bare client.
pub const BARE: &str = "--publish-one";
const ROUNDS: usize = 40;
/// Maximum time of `apt-ci run`, in multiples of the bare client's.
const MAX_TIMES: f64 = 1.5;

/// Connects, publishes one confirmed message, and disconnects.
pub fn bare_client(url: &str, queue: &str) {
    block_on(async {
        let (connection, channel) = bare::channel(url).await;
        bare::publish(&channel, queue, b"gzip\n{\"triggers\": [\"a/1\"]}").await;
        connection.close(200, "done".into()).await.expect("a goodbye");
    });
}

pub fn measure(rabbitmq: &RabbitMq) {
    table::heading(&format!("one request, whole processes in turn (median of {ROUNDS})"));
    let site = TestSite::on(&rabbitmq.url(), "folder:results", Vec::new());
    // The queue exists, and no worker serves it.
    site.request("first", &[]);
    let this = std::env::current_exe().expect("this program");
    let (mut floor, mut ours, mut crowded) = (Vec::new(), Vec::new(), Vec::new());
    // The duplicate check reads a queue only if it contains a request, so there is another one without.
    let idle = TestSite::on(&rabbitmq.url(), "folder:results", Vec::new());
    block_on(async {
        let (_connection, channel) = bare::channel(&rabbitmq.url()).await;
        bare::declare(&channel, &idle.queue_name()).await;
        bare::declare(&channel, "floor-one").await;
    });
    for round in 0..ROUNDS {
        let mut bare = Command::new(&this);
        floor.push(time(bare.args([BARE, &rabbitmq.url(), "floor-one"])));
        let package = format!("package{round}");
        let trigger = ["--trigger", "a/1", package.as_str()];
        ours.push(time(idle.command(&["run", "-s", &idle.release]).args(trigger)));
        idle_again(rabbitmq, &idle);
        crowded.push(time(site.command(&["run", "-s", &site.release]).args(trigger)));
    }
    let floor = median(floor);
    Row::time("floor: a bare client, one confirmed message", floor).print();
    let row = |what: &str, time: Duration| {
        let times = time.as_secs_f64() / floor.as_secs_f64();
        let row = Row::time(what, time).beside(floor);
        row.wanted(&format!("<= {MAX_TIMES} times"), times <= MAX_TIMES).print();
    };
    row("apt-ci run, to an empty queue", median(ours));
    row("apt-ci run, to a queue with up to 40 requests", median(crowded));
}

/// Removes the request of the last round.
fn idle_again(rabbitmq: &RabbitMq, site: &TestSite) {
    block_on(async {
        let (connection, channel) = bare::channel(&rabbitmq.url()).await;
        let purged = channel.queue_purge(site.queue_name().into(), Default::default()).await.expect("a purge");
        assert_eq!(purged, 1, "the request was queued");
        connection.close(200, "done".into()).await.expect("a goodbye");
    });
}

fn time(command: &mut Command) -> Duration {
    let started = Instant::now();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().expect("it starts");
    let time = started.elapsed();
    assert!(status.success(), "{command:?}");
    time
}
