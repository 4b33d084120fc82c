//! Writes the log to standard error from a thread of its own, so that nobody waits for a log that is not read.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Number of lines that wait for a reader. Of what comes beyond them, only the count is kept.
const MAX_WAITING: usize = 4096;

/// How long the end of the program waits for its last lines to be read.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

enum Message {
    Line(Vec<u8>),
    /// Answered when everything before it is written.
    Flush(SyncSender<()>),
}

/// Takes lines of the log. Never blocks, and never fails.
#[derive(Clone)]
pub struct LogWriter {
    sender: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

static STANDARD_ERROR: OnceLock<LogWriter> = OnceLock::new();

/// The one writer to standard error.
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
        let writer = Self { sender, lost: Arc::clone(&lost) };
        // Without the thread the channel is closed, and there is no log.
        let _ = std::thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&receiver, output, &lost));
        writer
    }

    fn flush_within(&self, time: Duration) {
        let (done, written) = sync_channel(1);
        if self.sender.try_send(Message::Flush(done)).is_ok() {
            let _ = written.recv_timeout(time);
        }
    }
}

fn write_all(messages: &Receiver<Message>, mut output: impl Write, lost: &AtomicU64) {
    while let Ok(message) = messages.recv() {
        let missing = lost.swap(0, Ordering::Relaxed);
        if missing > 0 {
            let _ = writeln!(output, "{missing} lines of the log are missing here: nobody read it");
        }
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
        if let Err(TrySendError::Full(_)) = self.sender.try_send(Message::Line(line.to_vec())) {
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
        let lost = log.lost.load(Ordering::Relaxed);
        assert!((98..=100).contains(&lost), "{lost}");
        // Whoever reads it again sees what was kept, and how much was not.
        drop(go_on);
        log.flush_within(Duration::from_secs(60));
        log.write_all(b"x\n").unwrap();
        log.write_all(b"last\n").unwrap();
        log.flush_within(Duration::from_secs(60));
        drop(log);
        let text: String = lines.iter().collect();
        assert!(text.starts_with("0\n") && text.ends_with("last\n"), "{text:?}");
        assert!(text.contains("lines of the log are missing here") && !text.contains('x'), "{text:?}");
    }
}
