//! Signals, as wishes: stop is not cancel.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long a server that is away is waited for, once the worker was told to finish.
const GRACE: Duration = Duration::from_secs(30);

/// The same, once it was told to cancel: a server that is there has answered by then.
const SHORT_GRACE: Duration = Duration::from_secs(5);

/// How long a result that is being published may still take once the worker was told to cancel: the test is over, and doing it
/// again would cost more.
const UPLOAD_GRACE: Duration = Duration::from_secs(10);

/// What the worker has been asked to do.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Take nothing new; finish what runs.
    pub finish: CancellationToken,
    /// End what runs, and give its request back.
    pub cancel: CancellationToken,
    /// End at once, whatever is half-done: the next worker sees to it.
    pub abandon: CancellationToken,
    restart: Arc<AtomicBool>,
}

impl Stop {
    /// Listens to SIGTERM, SIGINT and SIGHUP from now on. The first asks to finish, the second to cancel, the third to
    /// abandon everything; the first one's kind decides whether a restart is wanted.
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

    /// Asks to take nothing new and to finish what runs, as the first signal does; and to be started again, or not. Who asks for no
    /// restart is obeyed also when an earlier wish was for one.
    pub fn ask_to_finish(&self, restart: bool) {
        let first = !self.finish.is_cancelled();
        if first || !restart {
            self.restart.store(restart, Ordering::Relaxed);
        }
        self.finish.cancel();
    }

    /// Asks to end what runs and to give it back, as the second signal does.
    pub fn ask_to_cancel(&self) {
        self.finish.cancel();
        self.cancel.cancel();
    }

    /// Returns when a server that is away is to be waited for no longer. Never returns as long as nobody wants the worker to stop.
    pub async fn out_of_patience(&self) {
        let finishing = async {
            self.finish.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        let cancelling = async {
            self.cancel.cancelled().await;
            tokio::time::sleep(SHORT_GRACE).await;
        };
        tokio::select! {
            () = finishing => {}
            () = cancelling => {}
        }
    }

    /// Returns when what is being published has to be left to the next worker.
    pub async fn upload_grace_over(&self) {
        self.cancel.cancelled().await;
        tokio::time::sleep(UPLOAD_GRACE).await;
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
