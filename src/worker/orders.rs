//! What a worker goes by now: its settings, and the queues that follow from them. Both change while it runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::board::Board;
use super::control::Reloaded;
use crate::broker::Rotation;
use crate::release::QueueName;
use crate::testbed::conf::WorkerConf;
use crate::testbed::settings::{Configuration, Settings};

/// Which queues a worker serves under a worker.conf, or why it can serve none.
pub type Queues = dyn Fn(&WorkerConf) -> Result<Vec<QueueName>, String> + Send + Sync;

/// A worker's orders. Its slots, its control socket and its look at the files share it.
pub struct Orders {
    state: Mutex<State>,
    queues: Box<Queues>,
    board: Board,
}

struct State {
    configuration: Configuration,
    now: Current,
    /// Why the queues could not follow the latest change.
    stuck: Option<String>,
    /// Whether something has changed since somebody asked for a reload. The worker may have seen a change by itself a moment before.
    news: bool,
}

/// The orders as of now.
#[derive(Clone)]
pub(super) struct Current {
    /// How tests are run.
    pub(super) settings: Arc<Settings>,
    /// Which queues are served, and whose turn it is.
    pub(super) rotation: Rotation,
    /// Ends whatever must not go on as it did before a change, such as waiting at queues that are not served any more, or a pause.
    pub(super) changed: CancellationToken,
}

impl Orders {
    /// The orders that follow from a configuration.
    ///
    /// # Errors
    /// Why there is nothing to serve.
    pub fn new(configuration: Configuration, queues: Box<Queues>, board: Board) -> Result<Self, String> {
        let settings = configuration.settings();
        let rotation = Rotation::new(queues(&settings.conf)?);
        board.set_queues(rotation.queues().to_vec());
        board.set_faults(configuration.faults().iter().map(ToString::to_string).collect());
        let now = Current { settings, rotation, changed: CancellationToken::new() };
        Ok(Self { state: Mutex::new(State { configuration, now, stuck: None, news: false }), queues, board })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queues that are served.
    pub fn queues(&self) -> Vec<QueueName> {
        self.now().rotation.queues().to_vec()
    }

    pub(super) fn now(&self) -> Current {
        self.state().now.clone()
    }

    /// Reads again what has changed. A fault leaves in force what was before.
    pub fn refresh(&self) -> Reloaded {
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
                    self.board.set_queues(queues.clone());
                    state.now.rotation = Rotation::new(queues);
                }
                Ok(_) => {}
            }
            state.now.settings = settings;
            state.news = true;
            std::mem::take(&mut state.now.changed).cancel();
        }
        // Also when nothing else has changed: a fault that was mended is none any more.
        let faults = state.configuration.faults().iter().map(ToString::to_string);
        let faults: Vec<String> = faults.chain(state.stuck.clone()).collect();
        self.board.set_faults(faults.clone());
        Reloaded { changed, faults }
    }

    /// The same, and ends pauses: whoever asks for it has mended something. Tells of a change also when it was seen before anybody asked.
    pub fn reload(&self) -> Reloaded {
        let reloaded = self.refresh();
        let mut state = self.state();
        std::mem::take(&mut state.now.changed).cancel();
        Reloaded { changed: std::mem::take(&mut state.news), ..reloaded }
    }
}
