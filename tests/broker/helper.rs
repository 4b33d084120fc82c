//! The second processes that some stories need: this test program, started again.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Condvar, Mutex};

use apt_ci::request::line::Submission;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use testkit::site::WAIT_TIMEOUT;

use super::fixture::{connect, to};
use super::*;

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
        claim.settle(Settlement::Done).await.expect("a settlement");
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
