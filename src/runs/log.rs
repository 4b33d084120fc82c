//! A run's log, decompressed while it arrives.

use std::io::{self, Read, Write};

use flate2::read::MultiGzDecoder;
use tokio::io::{AsyncRead, BufReader};
use tokio_util::io::SyncIoBridge;

use super::StoredRun;
use crate::result::layout::LOG;
use crate::store::{ObjectReader, Store, StoreError};

/// How much of the log is in memory at a time, in bytes.
const WINDOW: usize = 64 << 10;

impl StoredRun {
    /// The run's log as text, in constant memory. Decompression runs in a thread of its own, no faster than the reader reads; a
    /// log that is cut short or damaged ends in an error.
    ///
    /// # Errors
    /// When the run has no log, or the store is away.
    pub async fn log(&self, store: &Store) -> Result<ObjectReader, StoreError> {
        let compressed = store.get(&self.container, &self.object(LOG)).await?;
        let (reader, writer) = tokio::io::duplex(WINDOW);
        let source = SyncIoBridge::new(BufReader::with_capacity(WINDOW, compressed));
        let sink = SyncIoBridge::new(writer);
        let unpacking = tokio::task::spawn_blocking(move || unpack(source, sink));
        Ok(Box::new(Checked { reader, unpacking: Some(unpacking) }))
    }
}

fn unpack(source: impl Read, mut sink: impl Write) -> io::Result<()> {
    let mut text = MultiGzDecoder::new(source);
    io::copy(&mut text, &mut sink)?;
    sink.flush()
}

/// A pipe whose end is an error when what filled it failed: without this, a damaged log would look like a short one.
struct Checked {
    reader: tokio::io::DuplexStream,
    unpacking: Option<tokio::task::JoinHandle<io::Result<()>>>,
}

impl AsyncRead for Checked {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        use std::task::Poll;
        let before = buffer.filled().len();
        std::task::ready!(std::pin::Pin::new(&mut self.reader).poll_read(context, buffer))?;
        if buffer.filled().len() > before || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let Some(unpacking) = &mut self.unpacking else { return Poll::Ready(Ok(())) };
        let end = std::task::ready!(std::pin::Pin::new(unpacking).poll(context));
        self.unpacking = None;
        Poll::Ready(end.unwrap_or_else(|panic| Err(io::Error::other(panic))))
    }
}
