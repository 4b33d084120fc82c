//! The journal of pull requests under test: an SQLite file on this machine.
//!
//! Each delivery is recorded before anything is queued for it, and so is each step after that. After a crash, the next
//! process finds what is left to do. If the file itself is lost, [`super::rebuild`] restores what matters.

mod deliveries;
mod row;
mod statuses;
mod user_requests;

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use self::row::{damaged, parsed, select};
use super::{PullTest, Stage};
use crate::owned;
use crate::release::QueueName;
use crate::request::RequestId;
use crate::sqlite::{self, FileKind, Migration, OpenError, Options, Unmarked};

pub use self::deliveries::{DeliveryAction, DeliveryRecord, IntakeDecision, TICK};
use self::statuses::UNSHOWN;
pub use self::user_requests::UserRequest;

/// The file. Each change of its tables is a further migration.
static KIND: FileKind = FileKind {
    name: "a journal of pull requests",
    application_id: i32::from_be_bytes(*b"aptj"),
    tables: Migration { format: 3, sql: include_str!("schema.sql") },
    migrations: &[
        Migration { format: 4, sql: include_str!("asked.sql") },
        Migration { format: 5, sql: include_str!("asked_in_doubt.sql") },
    ],
    unmarked: Some(Unmarked { table: "delivery", formats: 1..=5 }),
};

/// How deliveries are written: they are on the disk before they are answered for. The file is small, so all of it is
/// checked: damage that is found only later would be believed until then.
const DURABLE: Options =
    Options { busy_timeout: Duration::from_secs(10), has_wal: true, synchronous: "FULL", is_checked: true };

/// How everything else is written, which is found out again after a power cut.
const QUICK: Options = Options { synchronous: "NORMAL", is_checked: false, ..DURABLE };

/// Retention of deliveries: a year. Later, an attacker who has recorded one could send it again. States
/// that a forge does not accept are retried for the same time.
const DELIVERY_RETENTION: jiff::SignedDuration = jiff::SignedDuration::from_hours(365 * 24);
/// Retention of tests that have ended: 30 days.
const TEST_RETENTION: jiff::SignedDuration = jiff::SignedDuration::from_hours(30 * 24);

/// Maximum time until a result of a request that is gone: a week.
const RESULT_TIMEOUT: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);

/// Errors of the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be used.
    #[error("cannot use the journal of pull requests {}: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// The file was written by a newer version of this program, or by another program.
    #[error("cannot use the journal of pull requests: {0}")]
    Incompatible(String),
    /// Another process has it.
    #[error("another process is using the journal of pull requests {}", .0.display())]
    Busy(PathBuf),
}

/// The journal. It belongs to one process at a time.
#[derive(Clone)]
pub struct Journal {
    path: Arc<Path>,
    connections: Arc<Mutex<Connections>>,
    /// Told when a damaged file was replaced by an empty one.
    renewed: Arc<Notify>,
    _lock: Arc<File>,
}

/// Two ways to the same file, used one at a time.
struct Connections {
    /// Connection whose writes are on the disk when they return.
    durable: Connection,
    /// Connection whose writes outlive this process, but perhaps not a power cut: they are found out again after it.
    quick: Connection,
}

/// Numbers of tests by stage, and of statuses that are not shown yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Numbers of tests in each of [`Stage::ALL`].
    pub stages: [u64; 4],
    /// Statuses that the forge has not accepted yet.
    pub unshown: u64,
    /// Statuses among them that the forge has refused at least once.
    pub troubled: u64,
}

impl Journal {
    /// Returns the path of the file below a folder.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join("pulls").join("journal.sqlite")
    }

    /// Opens the file; creates it if it is missing. A damaged one is set aside: [`super::rebuild`] finds again what
    /// matters.
    ///
    /// # Errors
    /// [`JournalError::Busy`], [`JournalError::Incompatible`], or when the file cannot be created.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let unusable =
            |error: &dyn std::fmt::Display| JournalError::Unusable { path: path.to_owned(), reason: error.to_string() };
        let lock = owned::claim(path).map_err(|error| unusable(&error))?;
        let lock = lock.ok_or_else(|| JournalError::Busy(path.to_owned()))?;
        let connections = match Connections::open(path) {
            Err(OpenError::Sqlite(error)) if sqlite::is_damaged(&error) => {
                let aside = owned::set_aside(path).map_err(|error| unusable(&error))?;
                warn_of_damage(path, &aside, &error);
                Connections::open(path)
            }
            other => other,
        };
        let connections = connections.map_err(|error| match error {
            OpenError::Sqlite(error) => unusable(&error),
            error => JournalError::Incompatible(error.to_string()),
        })?;
        let (connections, renewed) = (Arc::new(Mutex::new(connections)), Arc::default());
        Ok(Self { path: path.into(), connections, renewed, _lock: Arc::new(lock) })
    }

    /// Waits until a damaged file is replaced by an empty one, so that its contents have to be rebuilt.
    pub async fn renewed(&self) {
        self.renewed.notified().await;
    }

    /// Runs a transaction in the background, without waiting for the disk.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        self.on(|connections| &mut connections.quick, work).await
    }

    /// Runs a transaction in the background, and waits until it is on the disk.
    async fn durably<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        self.on(|connections| &mut connections.durable, work).await
    }

    async fn on<T: Send + 'static>(
        &self,
        which: fn(&mut Connections) -> &mut Connection,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        let connections = Arc::clone(&self.connections);
        let unusable = |reason: String| JournalError::Unusable { path: self.path.to_path_buf(), reason };
        let (path, renewed) = (Arc::clone(&self.path), Arc::clone(&self.renewed));
        let worked = tokio::task::spawn_blocking(move || {
            let mut connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
            let worked = in_transaction(which(&mut connections), work);
            if let Err(error) = &worked
                && sqlite::is_damaged(error)
            {
                match connections.renew(&path) {
                    Ok(aside) => {
                        warn_of_damage(&path, &aside, error);
                        renewed.notify_one();
                    }
                    Err(failure) => tracing::error!("{} is damaged and cannot be set aside: {failure}", path.display()),
                }
            }
            worked
        });
        match worked.await {
            Ok(worked) => worked.map_err(|error| unusable(error.to_string())),
            Err(error) => Err(unusable(error.to_string())),
        }
    }

    /// Returns the tests in a stage, oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn in_stage(&self, stage: Stage) -> Result<Vec<PullTest>, JournalError> {
        self.with(move |transaction| select(transaction, "stage = ? ORDER BY created, uuid", [stage.number()])).await
    }

    /// Returns the requests of tests in a stage that were created before a time, oldest first, with their queues.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn requests(&self, stage: Stage, before: Timestamp) -> Result<Vec<(RequestId, QueueName)>, JournalError> {
        self.with(move |transaction| {
            let sql = "SELECT uuid, queue FROM test WHERE stage = ? AND created < ? ORDER BY created, uuid";
            let mut statement = transaction.prepare_cached(sql)?;
            let rows = statement
                .query_map([stage.number(), before.as_millisecond()], |row| Ok((parsed(row, 0)?, parsed(row, 1)?)))?;
            rows.collect()
        })
        .await
    }

    /// Whether any test is in a stage.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn has_any(&self, stage: Stage) -> Result<bool, JournalError> {
        self.with(move |transaction| {
            transaction.prepare_cached("SELECT 1 FROM test WHERE stage = ?")?.exists([stage.number()])
        })
        .await
    }

    /// Returns a test.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn test(&self, uuid: RequestId) -> Result<Option<PullTest>, JournalError> {
        self.with(move |transaction| Ok(select(transaction, "uuid = ?", [uuid.as_str()])?.pop())).await
    }

    /// Returns the places of missing results: container, prefix of the files' names, and the time of the first test
    /// there.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn open_places(&self) -> Result<Vec<(String, String, Timestamp)>, JournalError> {
        self.with(|transaction| {
            let sql = "SELECT container, prefix, min(created) FROM test
                       WHERE stage IN (1, 2) OR (stage = 3 AND reason = 'gone') GROUP BY container, prefix";
            let mut statement = transaction.prepare_cached(sql)?;
            let read = |row: &Row<'_>| {
                let first = Timestamp::from_millisecond(row.get(2)?).map_err(|error| damaged(2, &error))?;
                Ok((row.get(0)?, row.get(1)?, first))
            };
            statement.query_map([], read)?.collect()
        })
        .await
    }

    /// Returns those requests that are tests without a result.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn open_among(&self, uuids: Vec<String>) -> Result<HashSet<String>, JournalError> {
        self.with(move |transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT 1 FROM test WHERE uuid = ? AND (stage IN (1, 2) OR (stage = 3 AND reason = 'gone'))",
            )?;
            let mut open = HashSet::new();
            for uuid in uuids {
                if statement.exists([&uuid])? {
                    open.insert(uuid);
                }
            }
            Ok(open)
        })
        .await
    }

    /// Returns when the pending statuses of a project were last searched; none if they never were.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn last_search(&self, project: String) -> Result<Option<Timestamp>, JournalError> {
        self.with(move |transaction| {
            let sql = "SELECT at FROM looked WHERE project = ?";
            let second: Option<i64> = transaction.query_row(sql, [project], |row| row.get(0)).optional()?;
            Ok(second.and_then(|second| Timestamp::from_second(second).ok()))
        })
        .await
    }

    /// Records that the pending statuses of a project were searched.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn note_search(&self, project: String, at: Timestamp) -> Result<(), JournalError> {
        self.with(move |transaction| {
            let sql = "INSERT INTO looked (project, at) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET at = ?2";
            transaction.execute(sql, params![project, at.as_second()]).map(drop)
        })
        .await
    }

    /// Returns the numbers of tests and of statuses that are not shown.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn counts(&self) -> Result<Counts, JournalError> {
        self.with(|transaction| {
            let mut counts = Counts::default();
            let mut statement = transaction.prepare_cached("SELECT stage, count(*) FROM test GROUP BY stage")?;
            let rows = statement.query_map([], |row| Ok((row.get::<_, usize>(0)?, row.get(1)?)))?;
            for row in rows {
                let (stage, count) = row?;
                if let Some(place) = counts.stages.get_mut(stage) {
                    *place = count;
                }
            }
            let sql = format!("SELECT count(*), coalesce(sum(tries > 0), 0) FROM test WHERE {UNSHOWN}");
            (counts.unshown, counts.troubled) =
                transaction.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(counts)
        })
        .await
    }

    /// Deletes entries whose retention has ended.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn sweep(&self, now: Timestamp) -> Result<(), JournalError> {
        self.with(move |transaction| {
            let now = now.as_second();
            let sql = "UPDATE test SET reason = '' WHERE reason = 'gone' AND created < ?";
            transaction.execute(sql, [(now - RESULT_TIMEOUT.as_secs()) * 1000])?;
            // A state that another test of the commit hides must not become visible when that test is deleted.
            let sql = format!("UPDATE test SET shown = state WHERE stage = 3 AND state <> shown AND NOT ({UNSHOWN})");
            transaction.execute(&sql, [])?;
            let sql = "DELETE FROM test WHERE stage = 3 AND created < CASE WHEN state = shown THEN ? ELSE ? END";
            transaction
                .execute(sql, [(now - TEST_RETENTION.as_secs()) * 1000, (now - DELIVERY_RETENTION.as_secs()) * 1000])?;
            user_requests::sweep(transaction, now)?;
            transaction.execute(
                "DELETE FROM delivery WHERE queued = 1 AND received < ?",
                [now - DELIVERY_RETENTION.as_secs()],
            )?;
            transaction
                .execute("DELETE FROM closed WHERE changed < ?", [(now - DELIVERY_RETENTION.as_secs()) * 1000])?;
            let sql = "DELETE FROM content WHERE delivery NOT IN (SELECT id FROM delivery)";
            transaction.execute(sql, []).map(drop)
        })
        .await
    }
}

/// Says what has happened to a damaged file, and what follows.
fn warn_of_damage(path: &Path, aside: &Path, error: &rusqlite::Error) {
    tracing::error!(
        "the journal of pull requests {} is damaged ({error}) and is set aside as {}; what matters is found again in the queues, the \
         results and at the forges",
        path.display(),
        aside.display(),
    );
}

fn in_transaction<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = work(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

impl Connections {
    fn open(path: &Path) -> Result<Self, OpenError> {
        let durable = sqlite::open(path, &KIND, &DURABLE)?;
        Ok(Self { durable, quick: sqlite::open(path, &KIND, &QUICK)? })
    }

    /// Sets a damaged file aside and goes on with an empty one. Gives where the damaged one is.
    fn renew(&mut self, path: &Path) -> Result<PathBuf, Box<dyn std::error::Error>> {
        // Both have to be closed before.
        *self = Self { durable: Connection::open_in_memory()?, quick: Connection::open_in_memory()? };
        let aside = owned::set_aside(path)?;
        *self = Self::open(path)?;
        Ok(aside)
    }
}

#[cfg(test)]
mod tests;
