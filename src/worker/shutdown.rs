//! Shutdown of a worker, requested by signals or commands. Finishing is not cancelling.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Time for which an unreachable server is waited for after the request to finish.
const FINISH_GRACE: Duration = Duration::from_secs(30);

/// Time for which an unreachable server is waited for after the request to cancel. A reachable server has answered by
/// then.
const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// Time for which a result is still published after the request to cancel: the test is over, and repeating it would
/// cost more.
const UPLOAD_GRACE: Duration = Duration::from_secs(10);

/// Requests to shut a worker down. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Take no more requests; finish running tests.
    pub finish: CancellationToken,
    /// Cancel running tests, and give their requests back.
    pub cancel: CancellationToken,
    /// End at once: the next worker continues what is left half-done.
    pub abandon: CancellationToken,
    restart: Arc<AtomicBool>,
}

impl Shutdown {
    /// Listens for SIGTERM, SIGINT and SIGHUP. The first signal requests to finish, the second to cancel, the third to
    /// abandon everything; the kind of the first decides whether a restart is wanted.
    ///
    /// # Errors
    /// Fails when the signals cannot be caught.
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
            tracing::info!("stopping: what runs is finished first; a second signal ends it");
            wishes.finish.cancel();
            signals.next().await;
            tracing::warn!("cancelling: what runs is ended, and goes back to its queue");
            wishes.cancel.cancel();
            signals.next().await;
            tracing::warn!("ending at once: what is half-done is left to the next worker");
            wishes.abandon.cancel();
        });
        Ok(stop)
    }

    /// Requests to finish as the first signal does, with or without a restart. A request without a restart overrides an
    /// earlier one with it.
    pub fn ask_to_finish(&self, restart: bool) {
        let first = !self.finish.is_cancelled();
        if first || !restart {
            self.restart.store(restart, Ordering::Relaxed);
        }
        self.finish.cancel();
    }

    /// Requests to cancel, as the second signal does.
    pub fn ask_to_cancel(&self) {
        self.finish.cancel();
        self.cancel.cancel();
    }

    /// Returns when an unreachable server must no longer be waited for. Never returns as long as no shutdown is
    /// requested.
    pub async fn server_grace_over(&self) {
        let finishing = async {
            self.finish.cancelled().await;
            tokio::time::sleep(FINISH_GRACE).await;
        };
        let cancelling = async {
            self.cancel.cancelled().await;
            tokio::time::sleep(CANCEL_GRACE).await;
        };
        tokio::select! {
            () = finishing => {}
            () = cancelling => {}
        }
    }

    /// Returns when a result that is being published must be left to the next worker.
    pub async fn upload_grace_over(&self) {
        self.cancel.cancelled().await;
        tokio::time::sleep(UPLOAD_GRACE).await;
    }

    /// Whether the shutdown was requested by SIGHUP: the service manager restarts the worker.
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
    /// Waits for the next signal. Returns whether it was SIGHUP.
    async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.terminate.recv() => false,
            _ = self.interrupt.recv() => false,
            _ = self.hangup.recv() => true,
        }
    }
}
