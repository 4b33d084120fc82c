//! State of one slot.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::status::{Pause, RunningTest, SlotActivity, SlotStatus, TestPhase};
use crate::release::QueueName;
use crate::request::Request;

/// Maximum length of a line for people, in characters.
const MAX_LINE_CHARS: usize = 500;

/// Text shown in place of the package of a private test.
const PRIVATE_PACKAGE: &str = "private-test";

/// Text shown in place of the reason for which a private test failed.
const PRIVATE_REASON: &str = "a private test could not be run here; the worker's log tells why";

pub(super) struct SlotState {
    pub activity: RecordedActivity,
    pub done: u64,
    pub failures: u64,
    pub failures_in_a_row: u32,
    pub last_failure: Option<String>,
    pub progress: Instant,
}

pub(super) enum RecordedActivity {
    Starting,
    Waiting,
    Running(RecordedTest),
    Probing,
    Paused { since: Instant, time: Duration, until: Timestamp },
    Ended,
}

/// A running test, without anything private.
pub(super) struct RecordedTest {
    shown: RunningTest,
    began: Instant,
    pub phase: TestPhase,
}

impl SlotState {
    pub fn new() -> Self {
        let progress = Instant::now();
        Self {
            activity: RecordedActivity::Starting,
            done: 0,
            failures: 0,
            failures_in_a_row: 0,
            last_failure: None,
            progress,
        }
    }

    pub fn fail(&mut self, reason: &str) {
        let private = matches!(&self.activity, RecordedActivity::Running(test) if test.shown.private);
        self.last_failure = Some(if private { PRIVATE_REASON.to_owned() } else { one_line(reason) });
        self.failures += 1;
        self.failures_in_a_row += 1;
        self.activity = RecordedActivity::Waiting;
    }

    pub fn is_stalled(&self, now: Instant, limit: Duration) -> bool {
        let last = match &self.activity {
            RecordedActivity::Ended => return false,
            RecordedActivity::Paused { since, time, .. } => self.progress.max(*since + *time),
            _ => self.progress,
        };
        now.saturating_duration_since(last) > limit
    }

    pub fn status(&self, slot: usize, now: Instant) -> SlotStatus {
        let state = match &self.activity {
            RecordedActivity::Starting => SlotActivity::Starting,
            RecordedActivity::Waiting => SlotActivity::Waiting,
            RecordedActivity::Running(test) => SlotActivity::Running(test.status(now)),
            RecordedActivity::Probing => SlotActivity::Probing,
            RecordedActivity::Paused { since, time, until } => SlotActivity::Paused(Pause {
                until: *until,
                seconds_left: time.saturating_sub(now.saturating_duration_since(*since)).as_secs(),
            }),
            RecordedActivity::Ended => SlotActivity::Ended,
        };
        SlotStatus {
            slot,
            state,
            done: self.done,
            infrastructure_failures: self.failures,
            failures_in_a_row: self.failures_in_a_row,
            last_failure: self.last_failure.clone(),
            idle_seconds: now.saturating_duration_since(self.progress).as_secs(),
        }
    }
}

impl RecordedTest {
    pub fn new(request: &Request, queue: &QueueName, attempt: u32) -> Self {
        let private = request.is_private();
        let package = if private { PRIVATE_PACKAGE } else { request.package().as_str() };
        let shown = RunningTest {
            uuid: request.uuid().map(ToString::to_string),
            package: package.to_owned(),
            release: queue.release.to_string(),
            architecture: queue.architecture.to_string(),
            queue: queue.to_string(),
            attempt,
            private,
            since: Timestamp::now(),
            seconds: 0,
            phase: TestPhase::Preparing,
            log_line: None,
        };
        Self { shown, began: Instant::now(), phase: TestPhase::Preparing }
    }

    pub fn see_line(&mut self, line: &str) {
        // A line that is not kept cannot leak.
        if !self.shown.private {
            self.shown.log_line = Some(one_line(line)).filter(|line| !line.is_empty());
        }
    }

    fn status(&self, now: Instant) -> RunningTest {
        let seconds = now.saturating_duration_since(self.began).as_secs();
        RunningTest { seconds, phase: self.phase, ..self.shown.clone() }
    }
}

/// Returns the text on one line of limited length, without control characters.
fn one_line(text: &str) -> String {
    text.trim().chars().take(MAX_LINE_CHARS).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
