//! Live configuration of a worker: its settings, and the queues that follow from them. Both change while it runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::control::ReloadReport;
use super::live_status::LiveStatus;
use crate::broker::Rotation;
use crate::release::QueueName;
use crate::testbed::conf::WorkerConf;
use crate::testbed::settings::{Configuration, Settings};

/// Returns the queues that a worker with this worker.conf serves, or why there are none.
pub type Queues = dyn Fn(&WorkerConf) -> Result<Vec<QueueName>, String> + Send + Sync;

/// Live configuration, shared by the slots, the control socket and the check for changed files.
pub struct LiveConfig {
    state: Mutex<LiveConfigState>,
    queues: Box<Queues>,
    live_status: LiveStatus,
}

struct LiveConfigState {
    configuration: Configuration,
    now: ConfigSnapshot,
    /// Reason for which the queues could not follow the latest change.
    stuck: Option<String>,
    /// Whether something has changed since the last reload was requested. The worker may have noticed the change by
    /// itself before.
    has_news: bool,
}

/// Snapshot of the configuration.
#[derive(Clone)]
pub(super) struct ConfigSnapshot {
    /// Settings of tests.
    pub(super) settings: Arc<Settings>,
    /// Queues that are served, and their rotation.
    pub(super) rotation: Rotation,
    /// Cancelled by the next change. Ends pauses, and waiting on queues that may no longer be served.
    pub(super) changed: CancellationToken,
}

impl LiveConfig {
    /// Derives the live configuration.
    ///
    /// # Errors
    /// Fails when there is nothing to serve; the error describes why.
    pub fn new(configuration: Configuration, queues: Box<Queues>, live_status: LiveStatus) -> Result<Self, String> {
        let settings = configuration.settings();
        let rotation = Rotation::new(queues(&settings.conf)?);
        live_status.set_queues(rotation.queues().to_vec());
        live_status.set_faults(configuration.faults().iter().map(ToString::to_string).collect());
        let now = ConfigSnapshot { settings, rotation, changed: CancellationToken::new() };
        Ok(Self {
            state: Mutex::new(LiveConfigState { configuration, now, stuck: None, has_news: false }),
            queues,
            live_status,
        })
    }

    fn state(&self) -> MutexGuard<'_, LiveConfigState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the queues that are served.
    pub fn queues(&self) -> Vec<QueueName> {
        self.now().rotation.queues().to_vec()
    }

    pub(super) fn now(&self) -> ConfigSnapshot {
        self.state().now.clone()
    }

    /// Reads changed files again. The previous configuration stays in effect where a file has faults.
    pub fn refresh(&self) -> ReloadReport {
        let mut state = self.state();
        let news = state.configuration.refresh();
        for fault in &news {
            tracing::error!("error in the configuration: {fault}");
        }
        let settings = state.configuration.settings();
        let changed = settings != state.now.settings;
        if changed {
            state.stuck = None;
            match (self.queues)(&settings.conf) {
                Err(reason) => {
                    tracing::error!("the queues stay as they are: {reason}");
                    state.stuck = Some(reason);
                }
                Ok(queues) if queues != state.now.rotation.queues() => {
                    tracing::info!("serving {} queues from now on", queues.len());
                    self.live_status.set_queues(queues.clone());
                    state.now.rotation = Rotation::new(queues);
                }
                Ok(_) => {}
            }
            state.now.settings = settings;
            state.has_news = true;
            std::mem::take(&mut state.now.changed).cancel();
        }
        // Faults are also updated when the settings are unchanged: one may have been fixed.
        let faults = state.configuration.faults().iter().map(ToString::to_string);
        let faults: Vec<String> = faults.chain(state.stuck.clone()).collect();
        self.live_status.set_faults(faults.clone());
        ReloadReport { changed, faults }
    }

    /// Reads changed files again and ends pauses, because the user who asks for it may have fixed something. Also
    /// reports a change that the worker has noticed before.
    pub fn reload(&self) -> ReloadReport {
        let reloaded = self.refresh();
        let mut state = self.state();
        std::mem::take(&mut state.now.changed).cancel();
        ReloadReport { changed: std::mem::take(&mut state.has_news), ..reloaded }
    }
}
