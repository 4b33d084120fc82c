//! A run's log, decompressed while it arrives.

use std::io::{self, BufRead, Read, Write};

use flate2::read::MultiGzDecoder;
use tokio::io::{AsyncRead, BufReader};
use tokio_util::io::SyncIoBridge;

use super::StoredRun;
use crate::result::layout::LOG;
use crate::result::sections::Sections;
use crate::store::{ObjectReader, Store, StoreError};

/// Size of the buffers, in bytes.
const BUFFER_BYTES: usize = 64 << 10;
/// Maximum length of a line, in bytes. The rest of a longer one is handled like another line of the same section.
const MAX_LINE_BYTES: u64 = 1 << 20;
/// First bytes of a compressed file. Other programs have stored uncompressed logs.
const GZIP: [u8; 2] = [0x1f, 0x8b];

impl StoredRun {
    /// Returns the run's log as text, in constant memory. It is decompressed in another thread, as fast as it is read.
    /// A truncated or damaged log ends with an error.
    ///
    /// # Errors
    /// When the run has no log, or the store is unreachable.
    pub async fn log(&self, store: &Store) -> Result<ObjectReader, StoreError> {
        self.piped_log(store, |text, sink| io::copy(text, sink).map(drop)).await
    }

    /// Returns the sections of some tests in the run's log, like [`StoredRun::log`].
    ///
    /// # Errors
    /// When the run has no log, or the store is unreachable.
    pub async fn sections(
        &self,
        store: &Store,
        wanted: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<ObjectReader, StoreError> {
        self.piped_log(store, move |text, sink| {
            let mut text = io::BufReader::with_capacity(BUFFER_BYTES, text);
            let mut sections = Sections::default();
            let mut line = Vec::new();
            // Whether the last piece was not the end of its line, and whether it was wanted.
            let (mut goes_on, mut is_wanted) = (false, false);
            loop {
                line.clear();
                if text.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
                    return Ok(());
                }
                if !goes_on {
                    is_wanted = sections.next(&line).is_some_and(&wanted);
                }
                goes_on = !line.ends_with(b"\n");
                if is_wanted {
                    sink.write_all(&line)?;
                }
            }
        })
        .await
    }

    async fn piped_log(
        &self,
        store: &Store,
        work: impl FnOnce(&mut dyn Read, &mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> Result<ObjectReader, StoreError> {
        let compressed = store.get(&self.container, &self.object(LOG)).await?;
        let (reader, writer) = tokio::io::duplex(BUFFER_BYTES);
        let source = SyncIoBridge::new(BufReader::with_capacity(BUFFER_BYTES, compressed));
        let mut sink = SyncIoBridge::new(writer);
        let unpacking = tokio::task::spawn_blocking(move || {
            let mut source = io::BufReader::with_capacity(BUFFER_BYTES, source);
            if source.fill_buf()?.starts_with(&GZIP) {
                work(&mut MultiGzDecoder::new(source), &mut sink)?;
            } else {
                work(&mut source, &mut sink)?;
            }
            sink.flush()
        });
        Ok(Box::new(CheckedReader { reader, unpacking: Some(unpacking) }))
    }
}

/// Reader of a pipe that returns the error of the pipe's writer at the end: without it, a damaged log would look like a
/// short one.
struct CheckedReader {
    reader: tokio::io::DuplexStream,
    unpacking: Option<tokio::task::JoinHandle<io::Result<()>>>,
}

impl AsyncRead for CheckedReader {
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
