//! Status of a worker as a document, printed by `apt-ci worker status --json`.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::worker::shutdown::Shutdown;

/// One worker process. Times are RFC 3339 in UTC; durations are whole seconds, and do not depend on the clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Worker's name.
    pub worker: String,
    /// Process id.
    pub pid: u32,
    /// Version of the program.
    pub version: String,
    /// Start of the process.
    pub started: Timestamp,
    /// Seconds since the start.
    pub seconds: u64,
    /// Site's folder; null with the built-in settings alone.
    pub site: Option<PathBuf>,
    /// Address of the queue, without its password.
    pub queue: String,
    /// Address of the store, without credentials.
    pub store: String,
    /// Queues that it serves.
    pub queues: Vec<String>,
    /// Shutdown that was requested.
    pub told: ShutdownPhase,
    /// Whether it wants to be restarted after its end.
    pub restart: bool,
    /// Faults of its configuration.
    pub faults: Vec<String>,
    /// Slots, by number.
    pub slots: Vec<SlotStatus>,
}

/// Progress of a worker's shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShutdownPhase {
    /// The worker takes requests and runs their tests.
    Serving,
    /// The worker takes no requests, and ends after its running tests.
    Finishing,
    /// The worker cancels its running tests, gives their requests back, and ends.
    Cancelling,
}

impl ShutdownPhase {
    /// Returns the phase that follows from these requests to shut down.
    pub fn by(stop: &Shutdown) -> Self {
        match (stop.cancel.is_cancelled() || stop.abandon.is_cancelled(), stop.finish.is_cancelled()) {
            (true, _) => Self::Cancelling,
            (false, true) => Self::Finishing,
            (false, false) => Self::Serving,
        }
    }
}

/// One slot, which runs one test at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotStatus {
    /// Number of the slot, from 1.
    pub slot: usize,
    /// State: `state`, and with `running` and `paused` the fields of that state.
    #[serde(flatten)]
    pub state: SlotActivity,
    /// Number of requests that it has settled since the worker started.
    pub done: u64,
    /// Number of attempts that ended because this host, or a testbed, failed.
    pub infrastructure_failures: u64,
    /// Number of the latest failures without a settled request between them.
    pub failures_in_a_row: u32,
    /// Reason of the last failure; null if there was none.
    pub last_failure: Option<String>,
    /// Seconds since its last progress.
    pub idle_seconds: u64,
}

/// Activity of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum SlotActivity {
    /// The slot is not registered at the broker yet.
    Starting,
    /// The slot waits for a request.
    Waiting,
    /// The slot holds a request and runs its test.
    Running(RunningTest),
    /// The slot probes, after several failures, whether even a test that does nothing fails on this host.
    Probing,
    /// The slot takes no requests for a while, because its last attempts failed.
    Paused(Pause),
    /// The slot has ended.
    Ended,
}

/// A running test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningTest {
    /// Request's id.
    pub uuid: Option<String>,
    /// Source package; `private-test` for a private run.
    pub package: String,
    /// Release.
    pub release: String,
    /// Architecture.
    pub architecture: String,
    /// Queue that the request came from.
    pub queue: String,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Whether it is a private run.
    pub private: bool,
    /// Time at which the slot claimed the request.
    pub since: Timestamp,
    /// Seconds since then.
    pub seconds: u64,
    /// Phase of the test.
    pub phase: TestPhase,
    /// Last line of its log; null for a private run, and before there is one.
    pub log_line: Option<String>,
}

/// Phase of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TestPhase {
    /// Sources and keys are fetched, and the folder is made.
    Preparing,
    /// autopkgtest runs.
    Testing,
    /// Files that autopkgtest left are packed.
    Bundling,
    /// The result is uploaded to the store.
    Publishing,
}

impl TestPhase {
    /// Returns the name used in the status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Testing => "testing",
            Self::Bundling => "bundling",
            Self::Publishing => "publishing",
        }
    }
}

/// Pause of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// End of the pause, unless the worker is told to stop before.
    pub until: Timestamp,
    /// Seconds until the end.
    pub seconds_left: u64,
}
