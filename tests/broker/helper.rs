//! The stage of the stories, and the second processes that some of them need: this test program, started again.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use apt_ci::broker::{Claim, Slot};
use apt_ci::request::line::Submission;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::*;
use crate::support::runner::note_wait;
use crate::support::site::WAIT_TIMEOUT;

/// Runs a story to its end.
pub fn play(story: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let patience = Duration::from_secs(240);
    runtime.block_on(async { tokio::time::timeout(patience, story).await.expect("the story comes to its end") });
}

/// A broker, and queues that no other story uses.
pub struct Stage {
    address: String,
    /// Whether what goes back to a queue is put into its place, also while others take from it. A quorum queue puts it at its head,
    /// in the order in which it comes back.
    pub keeps_places: bool,
    story: u32,
    next: AtomicU32,
}

impl Stage {
    /// A stage at the shared RabbitMQ, or in a folder of its own.
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

    /// A stage at the shared RabbitMQ, in a virtual host that holds nothing of other stories.
    pub fn apart(services: &Services) -> Self {
        let stage = Self::set(services, Backend::RabbitMq);
        Self { address: services.rabbitmq().url_in(&services.rabbitmq().empty_vhost()), ..stage }
    }

    /// A stage at this address.
    pub fn at(address: String, story: u32) -> Self {
        Self { address, keeps_places: true, story, next: AtomicU32::new(0) }
    }

    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// The virtual host of this stage at RabbitMQ.
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
    (0..count).map(|number| request(number).expect("a request").identified()).collect()
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
    claim.settle(Verdict::Done).await.expect("a settlement");
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

/// A second process that is killed at the latest when this value goes away.
pub struct Helper {
    child: Mutex<Child>,
    output: Arc<(Mutex<Vec<String>>, Condvar)>,
}

impl Helper {
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[])
    }

    /// With these variables in its environment.
    pub fn start_with(arguments: &[&str], variables: &[(&str, PathBuf)]) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .arg(HELPER)
            .args(arguments)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program, once more");
        let stdout = BufReader::new(child.stdout.take().expect("its output"));
        let output: Arc<(Mutex<Vec<String>>, Condvar)> = Arc::default();
        let lines = Arc::clone(&output);
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                lines.0.lock().expect("the lines").push(line);
                lines.1.notify_all();
            }
        });
        Self { child: Mutex::new(child), output }
    }

    pub fn wait_for_line(&self, expected: &str) {
        let (lines, news) = &*self.output;
        let lines = lines.lock().expect("the lines");
        let missing = |lines: &mut Vec<String>| !lines.iter().any(|line| line == expected);
        let (lines, timeout) = news.wait_timeout_while(lines, WAIT_TIMEOUT, missing).expect("the lines");
        assert!(!timeout.timed_out(), "no line {expected:?} came, but {lines:?}");
    }

    /// Whether such a line came.
    pub fn said(&self, words: &str) -> bool {
        self.output.0.lock().expect("the lines").iter().any(|line| line.contains(words))
    }

    /// The last number that came after these words; zero when they never came.
    pub fn last_number(&self, words: &str) -> usize {
        let lines = self.output.0.lock().expect("the lines");
        let number = lines.iter().rev().find_map(|line| line.strip_prefix(words)?.parse().ok());
        number.unwrap_or(0)
    }

    /// The processor time that it has used: user and system.
    pub fn processor_time(&self) -> Duration {
        let id = self.child.lock().expect("the child").id();
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("a running process");
        // The second field is the name in parentheses, which may hold anything; user and system time are the 14th and 15th.
        let fields: Vec<&str> = stat.rsplit_once(") ").expect("a stat line").1.split(' ').collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number of ticks")).sum();
        // Linux counts in hundredths of a second for every program, whatever it does inside.
        Duration::from_millis(ticks * 10)
    }

    /// As `kill -STOP` and the like do.
    pub fn signal(&self, signal: Signal) {
        let id = self.child.lock().expect("the child").id();
        nix::sys::signal::kill(Pid::from_raw(id.try_into().expect("a process id")), signal).expect("a signal");
    }

    /// As `kill -9` does.
    pub fn kill(&self) {
        let mut child = self.child.lock().expect("the child");
        child.kill().expect("a signal");
        child.wait().expect("its end");
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.kill();
    }
}

const HELPER: &str = "--be-a-second-process";

/// If this process was started as a helper, what it has done as one.
pub fn become_helper() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [first, arguments @ ..] = arguments.as_slice() else { return None };
    if first != HELPER {
        return None;
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        match arguments.as_slice() {
            ["hold-claim", address, queues @ ..] => hold_claim(address, queues).await,
            ["delay-claim", address, queue] => delay_claim(address, queue).await,
            ["work", address, queue, folder] => work(address, queue, Path::new(folder)).await,
            ["submit", address, queue, count] => submit_many(address, queue, count.parse().expect("a number")).await,
            other => panic!("unknown helper {other:?}"),
        }
    });
    Some(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "how a second process talks to its story")]
fn say(line: &str) {
    println!("{line}");
}

/// Claims one request and holds it until this process is killed.
async fn hold_claim(address: &str, queues: &[&str]) {
    let broker = connect(address).await;
    let queues: Vec<QueueName> = queues.iter().map(|queue| queue.parse().expect("a queue")).collect();
    let mut slot = broker.slot(queues).await.expect("a slot");
    let mut claim = take(&mut slot).await;
    say("held");
    claim.lost().await;
}

/// Claims one request, lets it come back after a delay, and lives on until it is killed.
async fn delay_claim(address: &str, queue: &str) {
    let broker = connect(address).await;
    let mut slot = broker.slot(vec![queue.parse().expect("a queue")]).await.expect("a slot");
    let claim = take(&mut slot).await;
    claim.settle(later(5, Some(failed("no testbed", 1)), true)).await.expect("a settlement");
    say("delayed");
    std::future::pending::<()>().await;
}

/// Works off a queue, one request after the other. For each, the folder gets a file that is locked as long as it runs.
async fn work(address: &str, queue: &str, folder: &Path) {
    let broker = connect(address).await;
    let mut slot = broker.slot(vec![queue.parse().expect("a queue")]).await.expect("a slot");
    loop {
        let claim = take(&mut slot).await;
        let uuid = claim.request.as_ref().expect("a request").uuid().expect("an id").clone();
        let run = File::create(folder.join(uuid.as_str())).expect("a file");
        if run.try_lock().is_err() {
            say(&format!("{uuid} runs twice"));
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
        // Complete, as a result in a store is before the claim is settled.
        File::create(folder.join(format!("{uuid}.done"))).expect("a file");
        claim.settle(Verdict::Done).await.expect("a settlement");
        say("done");
    }
}

async fn submit_many(address: &str, queue: &str, count: usize) {
    let queue = queue.parse().expect("a queue");
    let submissions: Vec<Submission> = requests("p", count).into_iter().map(|request| to(&queue, request)).collect();
    let broker = connect(address).await;
    say("submitting");
    broker.submit(&submissions, &[], &mut |count| say(&format!("confirmed {count}"))).await.expect("a submission");
    // The story kills this process before it gets here.
    std::future::pending::<()>().await;
}
