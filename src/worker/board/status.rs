//! A worker's state as a document: what `apt-ci worker status --json` prints.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::worker::stop::Stop;

/// One worker process. Times are RFC 3339 in UTC; durations are whole seconds, and are right also when the clock was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// The worker's name.
    pub worker: String,
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// When it started.
    pub started: Timestamp,
    /// For how long it has run.
    pub seconds: u64,
    /// The site's folder; null with the built-in settings alone.
    pub site: Option<PathBuf>,
    /// Where requests wait, without password.
    pub queue: String,
    /// Where results go, without credentials.
    pub store: String,
    /// The queues that it serves.
    pub queues: Vec<String>,
    /// What it has been told.
    pub told: Told,
    /// Whether it wants to be started again once it has ended.
    pub restart: bool,
    /// What is wrong with its configuration.
    pub faults: Vec<String>,
    /// Its slots, by number.
    pub slots: Vec<SlotStatus>,
}

/// What a worker has been told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Told {
    /// Take requests and run their tests.
    Serving,
    /// Take nothing new, and end when what runs has ended.
    Finishing,
    /// End what runs, give it back, and end.
    Cancelling,
}

impl Told {
    /// What these wishes amount to.
    pub fn by(stop: &Stop) -> Self {
        match (stop.cancel.is_cancelled() || stop.abandon.is_cancelled(), stop.finish.is_cancelled()) {
            (true, _) => Self::Cancelling,
            (false, true) => Self::Finishing,
            (false, false) => Self::Serving,
        }
    }
}

/// One slot: a place for one test at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotStatus {
    /// Its number, from 1.
    pub slot: usize,
    /// What it does: `state`, and with `running` and `paused` the fields of that state.
    #[serde(flatten)]
    pub state: State,
    /// How many requests it has settled since the worker started.
    pub done: u64,
    /// How many of its attempts ended because something on this host, or a testbed, did not work.
    pub infrastructure_failures: u64,
    /// How many of these are the latest ones, without a settled request between them.
    pub failures_in_a_row: u32,
    /// Why the last of them failed; null if there was none.
    pub last_failure: Option<String>,
    /// Seconds since it last made progress.
    pub idle_seconds: u64,
}

/// What a slot does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    /// It has no place at the broker yet.
    Starting,
    /// It waits for a request.
    Waiting,
    /// It holds a request and runs its test.
    Running(RunningTest),
    /// Its last tests failed: it runs a test of its own that does nothing, to find out whether this host is at fault.
    Probing,
    /// It takes nothing for a while, because what it tried failed.
    Paused(Paused),
    /// It has ended.
    Ended,
}

/// A running test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningTest {
    /// The request's id.
    pub uuid: Option<String>,
    /// The source package; `private-test` for a private run.
    pub package: String,
    /// The release.
    pub release: String,
    /// The architecture.
    pub architecture: String,
    /// The queue that the request came from.
    pub queue: String,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Whether it is a private run.
    pub private: bool,
    /// Since when the slot has had it.
    pub since: Timestamp,
    /// For how many seconds.
    pub seconds: u64,
    /// How far it has come.
    pub phase: Phase,
    /// The last line of its log; null for a private run, and before there is one.
    pub log_line: Option<String>,
}

/// How far a test has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Its sources and keys are fetched, and its folder is made.
    Preparing,
    /// autopkgtest runs.
    Testing,
    /// What autopkgtest left is packed.
    Bundling,
    /// The result goes to the store.
    Publishing,
}

impl Phase {
    /// Its name, as it is in the status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Testing => "testing",
            Self::Bundling => "bundling",
            Self::Publishing => "publishing",
        }
    }
}

/// A slot's pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// When it ends, unless the worker is told to stop before.
    pub until: Timestamp,
    /// In how many seconds that is.
    pub seconds_left: u64,
}
