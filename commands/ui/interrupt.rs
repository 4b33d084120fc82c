//! Ctrl-C. A task that waits for it decides what it means; if none does, it ends the program, as usual.
//!
//! Once the program has a handler for the signal, the system no longer ends it. From then on, this module does.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{OnceLock, mpsc};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// Number of tasks that wait for Ctrl-C.
static WAITING: AtomicUsize = AtomicUsize::new(0);
/// Number of times that Ctrl-C was pressed since there is a handler.
static PRESSES: AtomicUsize = AtomicUsize::new(0);
/// Notification of waiting tasks.
static PRESSED: Notify = Notify::const_new();

/// A guard: as long as one exists, Ctrl-C does not end the program by itself.
pub struct InterruptGuard {
    /// Number of times that Ctrl-C was pressed before.
    before: usize,
}

impl InterruptGuard {
    /// Begins to wait, also while nothing polls. A question calls this first: without a handler, Ctrl-C would end the
    /// program at once, with the terminal as the question has set it up.
    pub fn begin() -> Self {
        WAITING.fetch_add(1, Ordering::SeqCst);
        // `pressed` returns the error.
        let _ = listen();
        Self { before: PRESSES.load(Ordering::SeqCst) }
    }

    /// Waits until Ctrl-C was pressed.
    ///
    /// # Errors
    /// When the signal cannot be received.
    pub async fn pressed(&self) -> io::Result<()> {
        listen()?;
        let pressed = PRESSED.notified();
        if PRESSES.load(Ordering::SeqCst) == self.before {
            pressed.await;
        }
        Ok(())
    }
}

impl Drop for InterruptGuard {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits for Ctrl-C, from the first poll on, also between two polls.
///
/// # Errors
/// When the signal cannot be received.
pub async fn ctrl_c() -> io::Result<()> {
    InterruptGuard::begin().pressed().await
}

/// Installs the handler, if there is none yet.
fn listen() -> io::Result<()> {
    static BEGUN: OnceLock<Result<(), io::ErrorKind>> = OnceLock::new();
    let begun = BEGUN.get_or_init(|| {
        let (told, telling) = mpsc::channel();
        // A thread of its own, because the others may be busy.
        std::thread::Builder::new()
            .name("interrupts".to_owned())
            .spawn(move || hear(&told))
            .map_err(|error| error.kind())?;
        telling.recv().unwrap_or(Err(io::ErrorKind::Other))
    });
    Ok((*begun)?)
}

/// Receives the signal as long as the program runs. Reports through `told` when it does, or why it cannot.
fn hear(told: &mpsc::Sender<Result<(), io::ErrorKind>>) {
    // The receiver is gone only if the program ends.
    let tell = |outcome| {
        let _ = told.send(outcome);
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().build() {
        Ok(runtime) => runtime,
        Err(error) => return tell(Err(error.kind())),
    };
    runtime.block_on(async {
        let mut presses = match signal(SignalKind::interrupt()) {
            Ok(presses) => presses,
            Err(error) => return tell(Err(error.kind())),
        };
        tell(Ok(()));
        while presses.recv().await.is_some() {
            PRESSES.fetch_add(1, Ordering::SeqCst);
            if WAITING.load(Ordering::SeqCst) == 0 {
                end();
            }
            PRESSED.notify_waiters();
        }
    });
}

/// Ends the program as Ctrl-C does.
#[expect(clippy::exit, reason = "a thread may wait for a line, and cannot be told that nobody will type one")]
pub fn end() -> ! {
    std::process::exit(130)
}
