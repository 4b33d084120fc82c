//! Writes the log to standard error from a thread of its own, so that no task waits for a log that is not read.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

/// Maximum number of lines that wait for a reader. Further lines are only counted.
const MAX_WAITING: usize = 4096;

/// Interval between attempts to queue a message while too many lines wait.
const RETRY_DELAY: Duration = Duration::from_millis(5);

/// Timeout for the last lines to be read at the end of the program.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

enum Message {
    Line(Vec<u8>),
    /// Answered when everything before it is written.
    Flush(SyncSender<()>),
}

/// A writer of lines to the log. It never blocks, and never fails.
#[derive(Clone)]
pub struct LogWriter {
    sender: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

static STANDARD_ERROR: OnceLock<LogWriter> = OnceLock::new();

/// Returns the only writer to standard error.
pub fn standard_error() -> LogWriter {
    STANDARD_ERROR.get_or_init(|| LogWriter::to(io::stderr())).clone()
}

/// Waits a moment for the lines that are not written yet.
pub fn flush() {
    if let Some(writer) = STANDARD_ERROR.get() {
        writer.flush_within(FLUSH_TIMEOUT);
    }
}

impl LogWriter {
    fn to(output: impl Write + Send + 'static) -> Self {
        let (sender, receiver) = sync_channel(MAX_WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let writer = Self { sender, lost };
        // Without the thread the channel is closed, and there is no log.
        let _ = std::thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&receiver, output));
        writer
    }

    fn flush_within(&self, time: Duration) {
        let deadline = Instant::now() + time;
        let (done, written) = sync_channel(1);
        // A reader that is slow makes room soon; one that is gone never does.
        while !(self.tell_what_is_missing() && self.send(Message::Flush(done.clone()))) {
            if Instant::now() >= deadline {
                return;
            }
            std::thread::sleep(RETRY_DELAY);
        }
        let _ = written.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }

    /// Queues a message, unless too many wait. Returns whether it did; a log without its thread counts as written.
    fn send(&self, message: Message) -> bool {
        !matches!(self.sender.try_send(message), Err(TrySendError::Full(_)))
    }

    /// Queues a line in the place of lost ones, if any. Returns whether no lost line remains to be reported.
    fn tell_what_is_missing(&self) -> bool {
        let missing = self.lost.swap(0, Ordering::Relaxed);
        let line = || format!("{missing} lines of the log are missing here: nobody read it\n").into_bytes();
        let is_told = missing == 0 || self.send(Message::Line(line()));
        if !is_told {
            self.lost.fetch_add(missing, Ordering::Relaxed);
        }
        is_told
    }
}

fn write_all(messages: &Receiver<Message>, mut output: impl Write) {
    while let Ok(message) = messages.recv() {
        match message {
            // A full disk may have room again, and another reader may come.
            Message::Line(line) => drop(output.write_all(&line)),
            Message::Flush(done) => {
                let _ = output.flush();
                let _ = done.try_send(());
            }
        }
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !(self.tell_what_is_missing() && self.send(Message::Line(line.to_vec()))) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Sender;

    use super::*;

    /// An output that blocks until it is told to go on, and fails with each line of `x`.
    struct Gate {
        open: Receiver<()>,
        written: Sender<String>,
    }

    impl Write for Gate {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.open.recv();
            if line.starts_with(b"x") {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let _ = self.written.send(String::from_utf8_lossy(line).into_owned());
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_that_nobody_reads_or_that_cannot_be_written_holds_up_nobody() {
        let (go_on, open) = std::sync::mpsc::channel();
        let (written, lines) = std::sync::mpsc::channel();
        let mut log = LogWriter::to(Gate { open, written });
        let count = MAX_WAITING + 100;
        for number in 0..count {
            log.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        log.flush_within(Duration::from_millis(10));
        // Whoever reads it again sees what was kept, and how much was not.
        drop(go_on);
        log.flush_within(Duration::from_secs(60));
        log.write_all(b"x\n").unwrap();
        log.write_all(b"last\n").unwrap();
        log.flush_within(Duration::from_secs(60));
        drop(log);
        let text: String = lines.iter().collect();
        assert!(text.starts_with("0\n") && text.ends_with("last\n"), "{text:?}");
        assert!(!text.contains('x'), "{text:?}");
        let missing =
            text.lines().filter_map(|line| line.strip_suffix(" lines of the log are missing here: nobody read it"));
        let missing: usize = missing.map(|number| number.parse::<usize>().unwrap()).sum();
        let kept = text.lines().filter(|line| line.parse::<usize>().is_ok()).count();
        assert!(missing > 0 && kept + missing == count, "{kept} kept, {missing} missing");
    }
}
