//! Signals, as wishes: stop is not cancel.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What the worker has been asked to do.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Take nothing new; finish what runs.
    pub finish: CancellationToken,
    /// End what runs, and give its request back.
    pub cancel: CancellationToken,
    restart: Arc<AtomicBool>,
}

impl Stop {
    /// Listens to SIGTERM, SIGINT and SIGHUP from now on. The first asks to finish, the second to cancel; the first one's kind
    /// decides whether a restart is wanted.
    ///
    /// # Errors
    /// When the signals cannot be caught.
    pub fn on_signals() -> std::io::Result<Self> {
        let stop = Self::default();
        let mut signals = Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        };
        let wishes = stop.clone();
        tokio::spawn(async move {
            let hangup = signals.next().await;
            wishes.restart.store(hangup, Ordering::Relaxed);
            tracing::info!("stopping: the test that runs is finished first; a second signal ends it");
            wishes.finish.cancel();
            signals.next().await;
            tracing::warn!("cancelling: the test that runs is ended, and its request goes back to its queue");
            wishes.cancel.cancel();
        });
        Ok(stop)
    }

    /// Whether the wish to stop was SIGHUP: whoever started the worker starts it again.
    pub fn wants_restart(&self) -> bool {
        self.restart.load(Ordering::Relaxed)
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Waits for the next signal; tells whether it was SIGHUP.
    async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.terminate.recv() => false,
            _ = self.interrupt.recv() => false,
            _ = self.hangup.recv() => true,
        }
    }
}
