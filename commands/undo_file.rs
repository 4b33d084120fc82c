//! Files of requests that are removed from queues, written before the removal, so that `apt-ci run --batch` restores
//! them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use apt_ci::release::QueueName;
use apt_ci::request::Request;
use apt_ci::request::line::Submission;
use apt_ci::site::Site;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::json;

/// A file of requests in the site's state folder, one for each call of the program. Only its owner can read it: it may
/// hold tokens.
///
/// The file is created with its first line. A marker beside it says that its writer has not finished, and is locked
/// while the writer lives. A marker without a lock was left by a process that was killed.
#[derive(Clone)]
pub struct UndoFile {
    requests: PathBuf,
    others: PathBuf,
    marker: PathBuf,
    lock: Arc<Mutex<Option<File>>>,
}

/// Extension of markers.
const MARKER_EXTENSION: &str = "open";

/// A record whose writer was killed.
pub struct UnfinishedUndoFile {
    requests: PathBuf,
    marker: PathBuf,
}

impl UnfinishedUndoFile {
    /// Returns the unfinished records in this folder of the state folder, oldest first.
    pub fn all(site: &Site, folder: &str) -> Vec<Self> {
        let entries = std::fs::read_dir(site.state_dir.join(folder)).into_iter().flatten().flatten();
        let markers = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == MARKER_EXTENSION));
        let is_left = |marker: &PathBuf| File::open(marker).is_ok_and(|file| file.try_lock_shared().is_ok());
        let mut left: Vec<Self> = markers
            .filter(is_left)
            .map(|marker| Self { requests: marker.with_extension("requests"), marker })
            .collect();
        left.sort_by(|one, other| one.marker.cmp(&other.marker));
        left
    }

    /// Returns one line about the record, for the next call of the program.
    pub fn said(&self) -> String {
        let file = self.requests.display();
        format!(
            "An earlier call was killed. The requests that it removed are recorded in {file}; run \
             `apt-ci run --batch {file}` to restore them. Requests that it had not removed are still in their queue."
        )
    }

    /// Removes the marker, once the user was told about the record.
    pub fn forget(self) {
        // At worst, the user is told again.
        let _ = std::fs::remove_file(self.marker);
    }
}

impl UndoFile {
    /// Returns a record in this folder of the state folder, named after the time.
    pub fn of_now(site: &Site, folder: &str) -> Self {
        let time = Timestamp::now().strftime("%Y%m%d-%H%M%S");
        let stem = site.state_dir.join(folder).join(format!("{time}-{}", std::process::id()));
        Self {
            requests: stem.with_extension("requests"),
            others: stem.with_extension("no-requests"),
            marker: stem.with_extension(MARKER_EXTENSION),
            lock: Arc::default(),
        }
    }

    /// Marks the record as finished, so that the next call does not mention it.
    pub fn finish(&self) {
        if self.lock.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            let _ = std::fs::remove_file(&self.marker);
        }
    }

    fn mark(&self) -> io::Result<()> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if lock.is_none() {
            let folder = self.marker.parent().ok_or(io::ErrorKind::NotFound)?;
            let failed = |error: io::Error| {
                let message = format!("cannot write {}: {error}", self.requests.display());
                io::Error::new(error.kind(), message)
            };
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
            let open = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.marker);
            let file = open.map_err(failed)?;
            // A new file cannot be locked by another process.
            let _ = file.try_lock();
            *lock = Some(file);
        }
        Ok(())
    }

    /// Returns the file that `apt-ci run --batch` reads.
    pub fn path(&self) -> &Path {
        &self.requests
    }

    /// Returns the file of messages that were no requests: lines of JSON, each with the queue and the message in
    /// Base64.
    pub fn others(&self) -> &Path {
        &self.others
    }

    /// Writes messages of a queue. They are on the disk when this returns.
    pub fn add(&self, queue: &QueueName, bodies: &[&[u8]]) -> io::Result<()> {
        let (mut requests, mut others) = (String::new(), String::new());
        for body in bodies {
            match Request::parse(body) {
                Ok(request) => {
                    requests.push_str(&Submission { queue: queue.clone(), request }.to_line());
                    requests.push('\n');
                }
                Err(_) => {
                    let line = json!({"queue": queue, "message": STANDARD.encode(body)});
                    others.push_str(&format!("{line}\n"));
                }
            }
        }
        if bodies.is_empty() {
            return Ok(());
        }
        self.mark()?;
        append(&self.requests, &requests)?;
        append(&self.others, &others)
    }
}

fn append(file: &Path, text: &str) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let failed = |error: io::Error| io::Error::new(error.kind(), format!("cannot write {}: {error}", file.display()));
    let folder = file.parent().ok_or(io::ErrorKind::NotFound)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let write = || {
        let mut open = OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
        open.write_all(text.as_bytes())?;
        open.sync_all()?;
        File::open(folder)?.sync_all()
    };
    write().map_err(failed)
}
