//! What a worker does at the moment: its slots write it down here, and operators and the service manager read it.
//!
//! Writing is cheap: a lock that nobody holds for longer than it takes to copy a few lines. For a private run neither the
//! package nor anything of its log is ever written down, so that no reader can leak it.

mod state;
mod status;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

use super::stop::Stop;
use crate::release::QueueName;
use crate::request::Request;

use state::{Doing, SlotState, Test};
pub use status::{Paused, Phase, RunningTest, SlotStatus, State, Told, WorkerStatus};

/// What is known about a worker before it begins.
#[derive(Debug, Clone)]
pub struct WorkerFacts {
    /// The worker's name, as operators tell it from others.
    pub name: String,
    /// The site's folder; none with the built-in settings alone.
    pub site: Option<PathBuf>,
    /// Where requests wait: an address without its password.
    pub queue: String,
    /// Where results go: an address without credentials.
    pub store: String,
    /// The queues that it serves.
    pub queues: Vec<QueueName>,
}

/// The live state of one worker process. Clones show, and write, the same state.
#[derive(Clone)]
pub struct Board {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<WorkerState>,
    /// Told of whatever a reader may want to tell others; not of progress and log lines.
    changed: watch::Sender<()>,
    stop: Stop,
}

struct WorkerState {
    facts: WorkerFacts,
    faults: Vec<String>,
    started: (Timestamp, Instant),
    slots: Vec<SlotState>,
}

/// One slot's place on the board, for the slot to write to.
#[derive(Clone)]
pub struct SlotBoard {
    board: Board,
    index: usize,
}

impl Board {
    /// The board of a worker with so many slots, all of which are starting.
    pub fn new(facts: WorkerFacts, slots: usize, stop: Stop) -> Self {
        let slots = (0..slots).map(|_| SlotState::new()).collect();
        let started = (Timestamp::now(), Instant::now());
        let state = Mutex::new(WorkerState { facts, faults: Vec::new(), started, slots });
        Self { shared: Arc::new(Shared { state, changed: watch::channel(()).0, stop }) }
    }

    /// The place of a slot; the first has the number 1. A slot that the board did not know gets its place now.
    pub fn slot(&self, number: usize) -> SlotBoard {
        let mut state = self.state();
        while state.slots.len() < number {
            state.slots.push(SlotState::new());
        }
        SlotBoard { board: self.clone(), index: number.saturating_sub(1) }
    }

    /// Notes what is wrong with the configuration: none of it, or one line per fault.
    pub fn set_faults(&self, faults: Vec<String>) {
        self.state().faults = faults;
        self.shared.changed.send_replace(());
    }

    /// Notes which queues are served from now on.
    pub fn set_queues(&self, queues: Vec<QueueName>) {
        self.state().facts.queues = queues;
        self.shared.changed.send_replace(());
    }

    /// Wakes when what a slot does has changed.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.shared.changed.subscribe()
    }

    /// What the worker has been told.
    pub fn stop(&self) -> &Stop {
        &self.shared.stop
    }

    /// Whether every slot has begun its work: it has a place at the broker, or says what keeps it from that.
    pub fn is_ready(&self) -> bool {
        let state = self.state();
        !state.slots.is_empty() && state.slots.iter().all(|slot| !matches!(slot.doing, Doing::Starting))
    }

    /// The numbers of the slots that made no progress for longer than this. A slot that is paused makes none until its pause is over, and
    /// one that has ended none at all.
    pub fn stalled(&self, limit: Duration) -> Vec<usize> {
        let now = Instant::now();
        let state = self.state();
        let stalled = state.slots.iter().enumerate().filter(|(_, slot)| slot.is_stalled(now, limit));
        stalled.map(|(index, _)| index + 1).collect()
    }

    /// Everything, as of now.
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
            told: Told::by(&self.shared.stop),
            restart: self.shared.stop.wants_restart(),
            faults: faults.clone(),
            slots: slots.iter().enumerate().map(|(index, slot)| slot.status(index + 1, now)).collect(),
        }
    }

    fn state(&self) -> MutexGuard<'_, WorkerState> {
        // Nothing that holds the lock can leave half a state behind.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SlotBoard {
    /// The slot's number, from 1.
    pub fn number(&self) -> usize {
        self.index + 1
    }

    /// The slot waits for a request. Called before every look at the queues.
    pub fn waiting(&self) {
        self.change(|slot| slot.doing = Doing::Waiting);
    }

    /// The slot has a request and prepares its test.
    pub fn running(&self, request: &Request, queue: &QueueName, attempt: u32) {
        self.change(|slot| slot.doing = Doing::Running(Test::new(request, queue, attempt)));
    }

    /// The running test has come this far. Nothing happens when none runs.
    pub fn phase(&self, phase: Phase) {
        self.change(|slot| {
            if let Doing::Running(test) = &mut slot.doing {
                test.phase = phase;
            }
        });
    }

    /// The last line of the running test's log, without secrets. It counts as progress. A private test's line is not kept.
    pub fn log_line(&self, line: &str) {
        self.quietly(|slot| {
            if let Doing::Running(test) = &mut slot.doing {
                test.see_line(line);
            }
        });
    }

    /// The slot is alive and gets on with what it does, also if nothing is to be seen of it.
    pub fn progress(&self) {
        self.quietly(|_| ());
    }

    /// The request is settled for good: the slot is done with it.
    pub fn settled(&self) {
        self.change(|slot| {
            slot.done += 1;
            slot.failures_in_a_row = 0;
            slot.doing = Doing::Waiting;
        });
    }

    /// The request is in other hands again, through no fault of this host.
    pub fn given_back(&self) {
        self.change(|slot| slot.doing = Doing::Waiting);
    }

    /// Something on this host does not work. Called while the failed test is still the running one, if there is one: the reason
    /// may quote its log, and is not kept when the test is private.
    pub fn failed(&self, reason: &str) {
        self.change(|slot| slot.fail(reason));
    }

    /// The slot opens a testbed of its own, to find out whether tests can run here.
    pub fn probing(&self) {
        self.change(|slot| slot.doing = Doing::Probing);
    }

    /// Tests can run here: the last failures were the requests'.
    pub fn probe_passed(&self) {
        self.change(|slot| {
            slot.failures_in_a_row = 0;
            slot.doing = Doing::Waiting;
        });
    }

    /// The slot takes nothing for so long, because of its last failures.
    pub fn paused(&self, time: Duration) {
        let until = Timestamp::now().saturating_add(time).unwrap_or(Timestamp::MAX);
        self.change(|slot| slot.doing = Doing::Paused { since: Instant::now(), time, until });
    }

    /// The slot has ended, for good.
    pub fn ended(&self) {
        self.change(|slot| slot.doing = Doing::Ended);
    }

    /// How many infrastructure failures in a row the slot has had.
    pub fn failures_in_a_row(&self) -> u32 {
        self.board.state().slots.get(self.index).map_or(0, |slot| slot.failures_in_a_row)
    }

    /// Waits for something that may take for ever, such as the next request, and notes progress meanwhile: waiting is what the slot
    /// is there for.
    pub async fn ticking<F: Future>(&self, work: F) -> F::Output {
        let mut work = std::pin::pin!(work);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                end = &mut work => return end,
                _ = tick.tick() => self.progress(),
            }
        }
    }

    /// Waits for work that takes long, and notes progress meanwhile, but for no longer than this: what takes more time hangs.
    pub async fn ticking_for<F: Future>(&self, limit: Duration, work: F) -> F::Output {
        let mut work = std::pin::pin!(work);
        match tokio::time::timeout(limit, self.ticking(work.as_mut())).await {
            Ok(end) => end,
            Err(_) => work.await,
        }
    }

    fn change(&self, change: impl FnOnce(&mut SlotState)) {
        self.quietly(change);
        self.board.shared.changed.send_replace(());
    }

    fn quietly(&self, change: impl FnOnce(&mut SlotState)) {
        if let Some(slot) = self.board.state().slots.get_mut(self.index) {
            change(slot);
            slot.progress = Instant::now();
        }
    }
}

/// How often a slot that waits notes that it is alive: often enough for any sensible watchdog, and no work to speak of.
const TICK: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
