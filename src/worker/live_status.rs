//! Live state of a worker: its slots record what they do, and operators and the service manager read it.
//!
//! Recording is cheap: it takes a lock that is held only while a few lines are copied. Neither the package nor the log
//! of a private run is ever recorded, so that no reader can leak them.

mod state;
mod status;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

use super::shutdown::Shutdown;
use crate::release::QueueName;
use crate::request::Request;

use state::{RecordedActivity, RecordedTest, SlotState};
pub use status::{Pause, RunningTest, ShutdownPhase, SlotActivity, SlotStatus, TestPhase, WorkerStatus};

/// Facts about a worker that are known before it starts.
#[derive(Debug, Clone)]
pub struct WorkerFacts {
    /// Worker's name, which distinguishes it for operators.
    pub name: String,
    /// Site's folder; `None` with the built-in settings alone.
    pub site: Option<PathBuf>,
    /// Address of the queue, without its password.
    pub queue: String,
    /// Address of the store, without credentials.
    pub store: String,
    /// Queues that the worker serves.
    pub queues: Vec<QueueName>,
}

/// Live state of one worker process. Clones share it.
#[derive(Clone)]
pub struct LiveStatus {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<WorkerState>,
    /// Notified of changes that a reader may want to report, but not of progress and log lines.
    changed: watch::Sender<()>,
    stop: Shutdown,
}

struct WorkerState {
    facts: WorkerFacts,
    faults: Vec<String>,
    started: (Timestamp, Instant),
    slots: Vec<SlotState>,
}

/// Handle with which one slot records its state.
#[derive(Clone)]
pub struct SlotReporter {
    live_status: LiveStatus,
    index: usize,
}

impl LiveStatus {
    /// Creates the state of a worker with this number of slots, all of which are starting.
    pub fn new(facts: WorkerFacts, slots: usize, stop: Shutdown) -> Self {
        let slots = (0..slots).map(|_| SlotState::new()).collect();
        let started = (Timestamp::now(), Instant::now());
        let state = Mutex::new(WorkerState { facts, faults: Vec::new(), started, slots });
        Self { shared: Arc::new(Shared { state, changed: watch::channel(()).0, stop }) }
    }

    /// Returns the handle of a slot; the first has the number 1. Slots that were not known are added.
    pub fn slot(&self, number: usize) -> SlotReporter {
        let mut state = self.state();
        while state.slots.len() < number {
            state.slots.push(SlotState::new());
        }
        SlotReporter { live_status: self.clone(), index: number.saturating_sub(1) }
    }

    /// Records the faults of the configuration, one line per fault; none when there are no faults.
    pub fn set_faults(&self, faults: Vec<String>) {
        self.state().faults = faults;
        self.shared.changed.send_replace(());
    }

    /// Records the queues that are served from now on.
    pub fn set_queues(&self, queues: Vec<QueueName>) {
        self.state().facts.queues = queues;
        self.shared.changed.send_replace(());
    }

    /// Returns a receiver that is notified when the activity of a slot changes.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.shared.changed.subscribe()
    }

    /// Returns the requests to shut down.
    pub fn stop(&self) -> &Shutdown {
        &self.shared.stop
    }

    /// Whether every slot has started: it is registered at the broker, or reports what prevents that.
    pub fn is_ready(&self) -> bool {
        let state = self.state();
        !state.slots.is_empty() && state.slots.iter().all(|slot| !matches!(slot.activity, RecordedActivity::Starting))
    }

    /// Returns the numbers of the slots that have made no progress for longer than `limit`. A paused slot counts from
    /// the end of its pause, and one that has ended never counts.
    pub fn stalled(&self, limit: Duration) -> Vec<usize> {
        let now = Instant::now();
        let state = self.state();
        let stalled = state.slots.iter().enumerate().filter(|(_, slot)| slot.is_stalled(now, limit));
        stalled.map(|(index, _)| index + 1).collect()
    }

    /// Returns the current status of the worker.
    pub fn status(&self) -> WorkerStatus {
        let now = Instant::now();
        let state = self.state();
        let WorkerState { facts, faults, started, slots } = &*state;
        WorkerStatus {
            worker: facts.name.clone(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: started.0,
            seconds: now.saturating_duration_since(started.1).as_secs(),
            site: facts.site.clone(),
            queue: facts.queue.clone(),
            store: facts.store.clone(),
            queues: facts.queues.iter().map(ToString::to_string).collect(),
            told: ShutdownPhase::by(&self.shared.stop),
            restart: self.shared.stop.wants_restart(),
            faults: faults.clone(),
            slots: slots.iter().enumerate().map(|(index, slot)| slot.status(index + 1, now)).collect(),
        }
    }

    fn state(&self) -> MutexGuard<'_, WorkerState> {
        // No code that holds the lock can panic half-way through a change.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SlotReporter {
    /// Returns the slot's number, from 1.
    pub fn number(&self) -> usize {
        self.index + 1
    }

    /// Records that the slot waits for a request. Called before every check of the queues.
    pub fn waiting(&self) {
        self.change(|slot| slot.activity = RecordedActivity::Waiting);
    }

    /// Records that the slot has a request and prepares its test.
    pub fn running(&self, request: &Request, queue: &QueueName, attempt: u32) {
        self.change(|slot| slot.activity = RecordedActivity::Running(RecordedTest::new(request, queue, attempt)));
    }

    /// Records the phase of the running test, if there is one.
    pub fn phase(&self, phase: TestPhase) {
        self.change(|slot| {
            if let RecordedActivity::Running(test) = &mut slot.activity {
                test.phase = phase;
            }
        });
    }

    /// Records the last line of the running test's log, which has no secrets. Counts as progress; the line of a private
    /// test is not kept.
    pub fn log_line(&self, line: &str) {
        self.quietly(|slot| {
            if let RecordedActivity::Running(test) = &mut slot.activity {
                test.see_line(line);
            }
        });
    }

    /// Records that the slot makes progress, even when its activity stays the same.
    pub fn progress(&self) {
        self.quietly(|_| ());
    }

    /// Records that the request is settled.
    pub fn settled(&self) {
        self.change(|slot| {
            slot.done += 1;
            slot.failures_in_a_row = 0;
            slot.activity = RecordedActivity::Waiting;
        });
    }

    /// Records that the request went back, or to another worker, through no fault of this host.
    pub fn given_back(&self) {
        self.change(|slot| slot.activity = RecordedActivity::Waiting);
    }

    /// Records a failure of the infrastructure. Must be called while the failed test is still recorded as running: the
    /// reason may quote its log, and is not kept when the test is private.
    pub fn failed(&self, reason: &str) {
        self.change(|slot| slot.fail(reason));
    }

    /// Records that the slot probes whether tests can run here.
    pub fn probing(&self) {
        self.change(|slot| slot.activity = RecordedActivity::Probing);
    }

    /// Records that the probe passed: the last failures were caused by the requests.
    pub fn probe_passed(&self) {
        self.change(|slot| {
            slot.failures_in_a_row = 0;
            slot.activity = RecordedActivity::Waiting;
        });
    }

    /// Records that the slot takes no requests for this time, because of its last failures.
    pub fn paused(&self, time: Duration) {
        let until = Timestamp::now().saturating_add(time).unwrap_or(Timestamp::MAX);
        self.change(|slot| slot.activity = RecordedActivity::Paused { since: Instant::now(), time, until });
    }

    /// Records that the slot has ended.
    pub fn ended(&self) {
        self.change(|slot| slot.activity = RecordedActivity::Ended);
    }

    /// Returns the number of infrastructure failures in a row.
    pub fn failures_in_a_row(&self) -> u32 {
        self.live_status.state().slots.get(self.index).map_or(0, |slot| slot.failures_in_a_row)
    }

    /// Awaits work that may take indefinitely, such as claiming the next request, and records progress meanwhile.
    pub async fn with_heartbeat<F: Future>(&self, work: F) -> F::Output {
        let mut work = std::pin::pin!(work);
        let mut tick = tokio::time::interval(HEARTBEAT_INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                end = &mut work => return end,
                _ = tick.tick() => self.progress(),
            }
        }
    }

    /// Awaits work that takes long, and records progress meanwhile, but for no longer than `limit`: after that, the
    /// work counts as hanging.
    pub async fn with_heartbeat_for<F: Future>(&self, limit: Duration, work: F) -> F::Output {
        let mut work = std::pin::pin!(work);
        match tokio::time::timeout(limit, self.with_heartbeat(work.as_mut())).await {
            Ok(end) => end,
            Err(_) => work.await,
        }
    }

    fn change(&self, change: impl FnOnce(&mut SlotState)) {
        self.quietly(change);
        self.live_status.shared.changed.send_replace(());
    }

    fn quietly(&self, change: impl FnOnce(&mut SlotState)) {
        if let Some(slot) = self.live_status.state().slots.get_mut(self.index) {
            change(slot);
            slot.progress = Instant::now();
        }
    }
}

/// Interval at which a slot that waits records progress: short enough for any sensible watchdog.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
