//! Index of a store's listings, in a file that answers quickly.
//!
//! [`Index::refresh`] updates it, container by container. A container with the same size as at the last scan has
//! nothing new. Otherwise its listing is scanned from the beginning, because new runs may be anywhere in it; known runs
//! are skipped, and removed runs are deleted. Each page is written in one transaction together with the position, so
//! that another process can continue after a crash.

mod announcements;
mod export;
mod follow;
mod query;
mod row;
mod scan;
mod stats;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

use crate::owned;
use crate::sqlite::{self, FileKind, Migration, OpenError, Options};
use crate::store::{Store, StoreError};

pub use self::announcements::{Announcement, Announcements};
pub use self::export::ExportSummary;
pub use self::scan::{RefreshProgress, RefreshSummary};

/// Format of the file. A change of schema.sql raises its number and needs no migration: the file is only a copy, and is
/// created again in the new format.
static KIND: FileKind = FileKind {
    name: "an index of apt-ci",
    application_id: i32::from_be_bytes(*b"apti"),
    tables: Migration { format: 3, sql: include_str!("schema.sql") },
    migrations: &[],
    unmarked: None,
};
/// Timeout for the locks of other processes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Settings for filling the file while it is read. After a power cut the last pages may be missing; they are listed
/// again.
const FILLING: Options =
    Options { busy_timeout: BUSY_TIMEOUT, has_wal: true, synchronous: "NORMAL", is_checked: false };

/// Error of an index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be used.
    #[error("cannot use the index {path}: {reason}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// The file belongs to another program.
    #[error("cannot use the index: {0}")]
    Foreign(String),
    /// A file next to the index cannot be written.
    #[error("cannot write {path}: {reason}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// The index does not have all of a container yet.
    #[error("the index of {0} is incomplete")]
    Incomplete(String),
    /// Another process is updating the index.
    #[error("another process is updating the index {0}")]
    Busy(PathBuf),
}

/// An index of one store.
#[derive(Clone)]
pub struct Index {
    path: Arc<Path>,
    connection: Arc<Mutex<Connection>>,
    /// Lock of the only process that may fill the file.
    _lock: Option<Arc<File>>,
}

impl Index {
    /// Returns the file for a store, below a folder.
    pub fn path(folder: &Path, store: &Store) -> PathBuf {
        let address = store.address();
        let name: String = address.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(80).collect();
        // Distinguishes similar addresses, and users who see different results.
        let sum = Sha256::digest(store.identity());
        let id: String = sum.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        folder.join("index").join(format!("{name}-{id}.sqlite"))
    }

    /// Opens the file for filling; creates it if it is missing or has another format. A damaged one is set aside.
    ///
    /// # Errors
    /// [`IndexError::Busy`], [`IndexError::Foreign`], or when the file cannot be created.
    pub fn fill(path: &Path) -> Result<Self, IndexError> {
        let unusable = |error: &dyn std::fmt::Display| Self::unusable(path, error);
        // Only this user may read the file, because it contains private runs.
        let lock = owned::claim(path).map_err(|error| unusable(&error))?;
        let lock = lock.ok_or_else(|| IndexError::Busy(path.to_owned()))?;
        let marker = found_damaged(path);
        let opened = match marker.exists() {
            true => Err(sqlite::damage("a reader has found it damaged").into()),
            false => open_to_fill(path),
        };
        // Nothing is lost in either case, because the file is only a copy.
        let connection = match opened {
            Ok(connection) => connection,
            Err(OpenError::Newer { .. } | OpenError::TooOld { .. }) => {
                owned::replace(path).map_err(|error| unusable(&error))?;
                open_to_fill(path).map_err(|error| unusable(&error))?
            }
            Err(OpenError::Sqlite(error)) if sqlite::is_damaged(&error) => {
                set_aside(path, &error).map_err(|error| unusable(&error))?
            }
            Err(error) => return Err(Self::unopened(path, &error)),
        };
        match std::fs::remove_file(&marker) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(&error)),
            _ => {}
        }
        Ok(Self { path: path.into(), connection: Arc::new(Mutex::new(connection)), _lock: Some(Arc::new(lock)) })
    }

    /// Opens the file for queries. Returns `None` when it does not exist, is damaged, or has another format.
    ///
    /// # Errors
    /// [`IndexError::Foreign`], or when it cannot be read.
    pub fn open(path: &Path) -> Result<Option<Self>, IndexError> {
        if !path.exists() {
            return Ok(None);
        }
        let opened = sqlite::open_current(path, &KIND, BUSY_TIMEOUT).and_then(|connection| {
            if let Some(connection) = &connection {
                // Counting millions of runs reads much of the file; a mapping avoids copies of it.
                connection.pragma_update(None, "mmap_size", 1_i64 << 30)?;
            }
            Ok(connection)
        });
        let connection = match opened {
            Ok(connection) => connection,
            Err(OpenError::Newer { .. } | OpenError::TooOld { .. }) => None,
            Err(OpenError::Sqlite(error)) if sqlite::is_damaged(&error) => {
                report_damage(path, &error);
                None
            }
            Err(error) => return Err(Self::unopened(path, &error)),
        };
        Ok(connection.map(|connection| Self {
            path: path.into(),
            connection: Arc::new(Mutex::new(connection)),
            _lock: None,
        }))
    }

    /// Returns when the index was last known to be complete for a container; `None` if it never was.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn checked(&self, container: &str) -> Result<Option<Timestamp>, IndexError> {
        let container = container.to_owned();
        self.with(|connection| {
            let sql = "SELECT checked FROM container WHERE name = ? AND checked > 0";
            let second: Option<i64> = connection.query_row(sql, [container], |row| row.get(0)).optional()?;
            Ok(second.and_then(|second| Timestamp::from_second(second).ok()))
        })
    }

    /// Returns the containers in the index.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn containers(&self) -> Result<Vec<String>, IndexError> {
        self.with(|connection| {
            connection.prepare("SELECT name FROM container ORDER BY name")?.query_map([], |row| row.get(0))?.collect()
        })
    }

    /// Runs a function on the connection, in this thread.
    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, IndexError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let error = match work(&mut connection) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if sqlite::is_damaged(&error) && self._lock.is_some() {
            // The file has to be closed before it is set aside. Its contents are listed again.
            let renewed = Connection::open_in_memory().map_err(io::Error::other).and_then(|closed| {
                *connection = closed;
                set_aside(&self.path, &error)
            });
            match renewed {
                Ok(renewed) => *connection = renewed,
                Err(failure) => {
                    tracing::error!("cannot set aside the damaged index {}: {failure}", self.path.display())
                }
            }
        } else if sqlite::is_damaged(&error) {
            report_damage(&self.path, &error);
        }
        Err(Self::unusable(&self.path, &error))
    }

    /// Runs a function on the connection, in another thread.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, IndexError> {
        let index = self.clone();
        let done = tokio::task::spawn_blocking(move || index.with(work)).await;
        done.unwrap_or_else(|panic| Err(Self::unusable(&self.path, &panic)))
    }

    fn unopened(path: &Path, error: &OpenError) -> IndexError {
        match error {
            OpenError::Foreign { .. } => IndexError::Foreign(error.to_string()),
            error => Self::unusable(path, error),
        }
    }

    fn unusable(path: &Path, reason: &dyn std::fmt::Display) -> IndexError {
        IndexError::Unusable { path: path.to_owned(), reason: reason.to_string() }
    }
}

fn open_to_fill(path: &Path) -> Result<Connection, OpenError> {
    let connection = sqlite::open(path, &KIND, &FILLING)?;
    // New runs may be anywhere in the file. With 64 MiB in memory and rare checkpoints, most pages are written once.
    connection.pragma_update(None, "cache_size", -65_536)?;
    connection.pragma_update(None, "wal_autocheckpoint", 8_192)?;
    Ok(connection)
}

/// Sets a damaged file aside and creates an empty one.
fn set_aside(path: &Path, error: &rusqlite::Error) -> io::Result<Connection> {
    let aside = owned::set_aside(path)?;
    tracing::error!(
        "the index {} is damaged ({error}) and is set aside as {}; its contents are listed again",
        path.display(),
        aside.display(),
    );
    open_to_fill(path).map_err(io::Error::other)
}

/// Returns the marker with which readers report damage to the process that fills the index, because they cannot replace
/// the file.
fn found_damaged(path: &Path) -> PathBuf {
    path.with_extension("found-damaged")
}

/// Logs that a file is damaged, and leaves a marker for the process that fills it.
fn report_damage(path: &Path, error: &rusqlite::Error) {
    tracing::error!("the index {} is damaged ({error}); run `apt-ci index` to rebuild it", path.display());
    if let Err(failure) = File::create(found_damaged(path)) {
        tracing::debug!("that cannot be noted: {failure}");
    }
}

#[cfg(test)]
mod tests;
