//! Ctrl-C. Who waits for it ends as is right for what is being done; when nobody does, it ends the program, as it does everywhere.
//!
//! Once the program has asked to be told of it, the system ends the program no more: from then on that is done here.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{OnceLock, mpsc};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// How many wait for it.
static WAITING: AtomicUsize = AtomicUsize::new(0);
/// How often it was pressed since the program listens.
static PRESSES: AtomicUsize = AtomicUsize::new(0);
/// Tells those who wait.
static PRESSED: Notify = Notify::const_new();

/// As long as one of these lives, Ctrl-C does not end the program by itself.
pub struct Waiting {
    /// How often it had been pressed before.
    before: usize,
}

impl Waiting {
    /// Waits from now on, also while nobody polls. Until the program has asked to be told of Ctrl-C, it would end the program at once, with
    /// the terminal as a question has left it: so this comes before the question.
    pub fn begin() -> Self {
        WAITING.fetch_add(1, Ordering::SeqCst);
        // Whoever waits for it learns why that is not possible.
        let _ = listen();
        Self { before: PRESSES.load(Ordering::SeqCst) }
    }

    /// Waits until it was pressed.
    ///
    /// # Errors
    /// When the system does not tell of it.
    pub async fn pressed(&self) -> io::Result<()> {
        listen()?;
        let pressed = PRESSED.notified();
        if PRESSES.load(Ordering::SeqCst) == self.before {
            pressed.await;
        }
        Ok(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits for Ctrl-C, from the first poll on; it may be pressed between two polls.
///
/// # Errors
/// When the system does not tell of it.
pub async fn ctrl_c() -> io::Result<()> {
    Waiting::begin().pressed().await
}

/// Has the program told of it, if it is not yet.
fn listen() -> io::Result<()> {
    static BEGUN: OnceLock<Result<(), io::ErrorKind>> = OnceLock::new();
    let begun = BEGUN.get_or_init(|| {
        let (told, telling) = mpsc::channel();
        // A thread of its own: the others may be busy.
        std::thread::Builder::new()
            .name("interrupts".to_owned())
            .spawn(move || hear(&told))
            .map_err(|error| error.kind())?;
        telling.recv().unwrap_or(Err(io::ErrorKind::Other))
    });
    Ok((*begun)?)
}

/// Hears of Ctrl-C from when it has told so, as long as the program runs.
fn hear(told: &mpsc::Sender<Result<(), io::ErrorKind>>) {
    // Nobody listens any more only if the program ends.
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
