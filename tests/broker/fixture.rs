//! A broker with queues that no other story uses, and what stories do with it.

use std::sync::atomic::{AtomicU32, Ordering};

use apt_ci::broker::{Claim, Slot};
use apt_ci::request::line::Submission;
use testkit::runner::note_wait;
use testkit::site::WAIT_TIMEOUT;

use super::*;

/// Runs a story to its end.
pub fn play(story: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let patience = Duration::from_secs(240);
    runtime.block_on(async { tokio::time::timeout(patience, story).await.expect("the story comes to its end") });
}

/// A broker, and queues that no other story uses.
pub struct BrokerFixture {
    address: String,
    /// Whether what goes back to a queue is put into its place, also while others take from it. A quorum queue puts it at its head,
    /// in the order in which it comes back.
    pub keeps_places: bool,
    story: u32,
    next: AtomicU32,
}

impl BrokerFixture {
    /// A fixture at the shared RabbitMQ, or in a folder of its own.
    pub fn set(services: &Services, backend: Backend) -> Self {
        static STORIES: AtomicU32 = AtomicU32::new(0);
        let story = STORIES.fetch_add(1, Ordering::Relaxed);
        let address = match backend {
            Backend::RabbitMq => services.rabbitmq().url(),
            Backend::Quorum => services.rabbitmq().quorum_url(),
            Backend::Local => format!("local:{}", services.folder().join(format!("queue{story}")).display()),
        };
        Self { keeps_places: !matches!(backend, Backend::Quorum), ..Self::at(address, story) }
    }

    /// A fixture at the shared RabbitMQ, in a virtual host that holds nothing of other stories.
    pub fn apart(services: &Services) -> Self {
        let stage = Self::set(services, Backend::RabbitMq);
        Self { address: services.rabbitmq().url_in(&services.rabbitmq().empty_vhost()), ..stage }
    }

    /// A fixture at this address.
    pub fn at(address: String, story: u32) -> Self {
        Self { address, keeps_places: true, story, next: AtomicU32::new(0) }
    }

    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// The virtual host of this fixture at RabbitMQ.
    pub fn vhost(&self) -> String {
        let (_, vhost) = self.address.rsplit_once('/').expect("an URL with a virtual host");
        if vhost == "%2f" { "/".to_owned() } else { vhost.to_owned() }
    }

    /// A connection of its own.
    pub async fn broker(&self) -> Broker {
        connect(&self.address).await
    }

    /// Names of queues that do not exist yet.
    pub fn queues(&self, count: usize) -> Vec<QueueName> {
        let name = |_| {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            format!("debci-s{}q{number}-amd64", self.story).parse().expect("a queue's name")
        };
        (0..count).map(name).collect()
    }

    pub async fn broker_with_queue(&self) -> (Broker, QueueName) {
        let broker = self.broker().await;
        let queue = self.queues(1).remove(0);
        broker.declare(std::slice::from_ref(&queue)).await.expect("a queue");
        (broker, queue)
    }

    /// Nothing waits in the queue, and nobody holds anything from it.
    pub async fn is_empty(&self, broker: &Broker, queue: &QueueName) {
        let queue = std::slice::from_ref(queue);
        eventually("the queue is empty", async || {
            let state = broker.inspect(queue).await.expect("its state").remove(0);
            (state.ready == 0 && state.claimed == 0 && state.delayed == 0).then_some(())
        })
        .await;
    }

    /// One request of the queue waits for a time, and no other.
    pub async fn has_one_delayed(&self, broker: &Broker, queue: &QueueName) {
        let queue = std::slice::from_ref(queue);
        eventually("one request is delayed", async || {
            let state = broker.inspect(queue).await.expect("its state").remove(0);
            ((state.ready, state.claimed, state.delayed, state.dead) == (0, 0, 1, 0)).then_some(())
        })
        .await;
    }

    /// A slot waits on all of these queues.
    pub async fn waits(&self, broker: &Broker, queues: &[QueueName]) {
        eventually("the slot waits", async || {
            let states = broker.inspect(queues).await.expect("their states");
            (states.len() == queues.len() && states.iter().all(|state| state.consumers == 1)).then_some(())
        })
        .await;
    }
}

pub async fn connect(address: &str) -> Broker {
    let url: QueueUrl = address.parse().expect("a queue URL");
    Broker::connect(&url).await.expect("a connection")
}

/// Requests for the packages NAME0, NAME1, … with ids.
pub fn requests(name: &str, count: usize) -> Vec<Request> {
    let request = |number| Request::parse(format!("{name}{number} {{\"triggers\": [\"gzip/1.12-1\"]}}").as_bytes());
    (0..count).map(|number| request(number).expect("a request").with_id()).collect()
}

pub fn to(queue: &QueueName, request: Request) -> Submission {
    Submission { queue: queue.clone(), request }
}

pub async fn submit(broker: &Broker, queue: &QueueName, requests: &[Request]) {
    let submissions: Vec<Submission> = requests.iter().map(|request| to(queue, request.clone())).collect();
    let mut confirmed = 0;
    broker.submit(&submissions, &[], &mut |count| confirmed = count).await.expect("a submission");
    assert_eq!(confirmed, requests.len());
}

/// The next request.
pub async fn take(slot: &mut Slot) -> Claim {
    let stop = CancellationToken::new();
    let claim = slot.claim(Wait::ForOne, &stop);
    let claim = tokio::time::timeout(WAIT_TIMEOUT, claim).await.expect("a request within a minute");
    claim.expect("a claim").expect("a request")
}

/// Runs the next request; its package.
pub async fn take_package(slot: &mut Slot) -> String {
    let claim = take(slot).await;
    let package = claim.request.as_ref().expect("a request").package().to_string();
    claim.settle(Settlement::Done).await.expect("a settlement");
    package
}

/// Waits for a condition that must come true.
pub async fn eventually<T>(what: &str, condition: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(WAIT_TIMEOUT, what, condition).await
}

/// Waits for a condition that may take longer to come true than others.
pub async fn eventually_within<T>(limit: Duration, what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = condition().await {
            note_wait(begin.elapsed(), what);
            return value;
        }
        assert!(begin.elapsed() < limit, "it did not come true within {limit:?} that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
