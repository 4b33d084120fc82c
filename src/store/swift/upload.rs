//! A file for the store: measured once, then sent from its beginning in each attempt.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::TryStreamExt;
use md5::{Digest, Md5};
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use super::failure::Failure;

/// Maximum size of an object in Swift, in bytes.
pub(super) const MAX_OBJECT_BYTES: u64 = 5 << 30;
/// Number of bytes that are read at a time.
const CHUNK_BYTES: usize = 128 << 10;
/// Files shorter than this, in bytes, stay in memory between measuring and sending. Most logs and results are.
const MAX_BUFFERED_BYTES: u64 = 64 << 10;

/// A file to send.
#[derive(Debug)]
pub(super) struct Upload {
    path: PathBuf,
    /// Its length in bytes.
    pub(super) length: u64,
    /// Its MD5 checksum in hexadecimal digits, which Swift compares with the received bytes.
    pub(super) md5: String,
    /// All of its bytes, if they are few.
    bytes: Option<Vec<u8>>,
    /// Error of reading the file while it was sent: the HTTP client's own error would blame the network.
    fault: Arc<Mutex<Option<io::Error>>>,
}

impl Upload {
    /// Reads the file once to measure it.
    pub(super) async fn measure(path: &Path) -> Result<Self, Failure> {
        let owned = path.to_owned();
        let measured = tokio::task::spawn_blocking(move || -> io::Result<(u64, String, Option<Vec<u8>>)> {
            let mut file = File::open(owned)?;
            let mut digest = Md5::new();
            let mut bytes = Vec::new();
            (&mut file).take(MAX_BUFFERED_BYTES).read_to_end(&mut bytes)?;
            digest.update(&bytes);
            let mut length = bytes.len() as u64;
            if length < MAX_BUFFERED_BYTES {
                return Ok((length, hexadecimal(digest), Some(bytes)));
            }
            let mut chunk = vec![0; CHUNK_BYTES];
            loop {
                match file.read(&mut chunk)? {
                    0 => break,
                    read => {
                        digest.update(&chunk[..read]);
                        length += read as u64;
                    }
                }
            }
            Ok((length, hexadecimal(digest), None))
        });
        match measured.await.unwrap_or_else(|stopped| Err(io::Error::other(stopped))) {
            Ok((length, md5, bytes)) => Ok(Self { path: path.to_owned(), length, md5, bytes, fault: Arc::default() }),
            Err(error) => Err(Failure::of_file(format!("cannot read {}", path.display()), &error)),
        }
    }

    /// Returns the bytes from the beginning.
    pub(super) async fn body(&self) -> Result<reqwest::Body, Failure> {
        if let Some(bytes) = &self.bytes {
            return Ok(bytes.clone().into());
        }
        let file = tokio::fs::File::open(&self.path)
            .await
            .map_err(|error| Failure::of_file(format!("cannot open {}", self.path.display()), &error))?;
        let fault = Arc::clone(&self.fault);
        let bytes = ReaderStream::with_capacity(file.take(self.length), CHUNK_BYTES).inspect_err(move |error| {
            let copy = io::Error::new(error.kind(), error.to_string());
            *fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(copy);
        });
        Ok(reqwest::Body::wrap_stream(bytes))
    }

    /// Returns the failure if the file itself is the reason why sending it failed.
    pub(super) async fn fault(&self) -> Option<Failure> {
        if self.bytes.is_some() {
            return None;
        }
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner).take();
        let fault = match fault {
            Some(error) => error,
            None => match tokio::fs::metadata(&self.path).await {
                Ok(metadata) if metadata.len() == self.length => return None,
                Ok(_) => io::Error::other("it changed while it was sent"),
                Err(error) => error,
            },
        };
        Some(Failure::of_file(format!("cannot send {}", self.path.display()), &fault))
    }
}

fn hexadecimal(digest: Md5) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_measured() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "hello\n").unwrap();
        let upload = Upload::measure(&path).await.unwrap();
        assert_eq!((upload.length, upload.md5.as_str()), (6, "b1946ac92492d2347c6235b4d2611184"));
        assert!(upload.fault().await.is_none());
        std::fs::remove_file(&path).unwrap();
        let body = upload.body().await.unwrap();
        assert_eq!(body.as_bytes(), Some(b"hello\n".as_slice()), "what was measured is sent");
        assert!(upload.fault().await.is_none());
    }

    #[tokio::test]
    async fn a_long_file_is_read_while_it_is_sent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        for length in [MAX_BUFFERED_BYTES, 3 * CHUNK_BYTES as u64 + 7] {
            std::fs::write(&path, vec![b'x'; usize::try_from(length).unwrap()]).unwrap();
            let upload = Upload::measure(&path).await.unwrap();
            let whole = hexadecimal(Md5::new_with_prefix(std::fs::read(&path).unwrap()));
            assert_eq!((upload.length, upload.md5.as_str(), upload.bytes.is_some()), (length, whole.as_str(), false));
            assert!(upload.fault().await.is_none());
        }
        let upload = Upload::measure(&path).await.unwrap();
        std::fs::write(&path, "hell").unwrap();
        assert!(matches!(upload.fault().await, Some(Failure::Io { .. })));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(upload.body().await, Err(Failure::Io { kind: io::ErrorKind::NotFound, .. })));
    }
}
