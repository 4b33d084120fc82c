//! The SQLite file, and the one thread of this process that works on it.
//!
//! Every change waits for the disk; on a thread of its own it does not hold up the rest of the program. The thread ends
//! when the last [`Database`] is dropped, after what was handed to it before.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::slot_folder::SlotFolder;
use crate::broker::{BrokerError, CONNECT_TIMEOUT};
use crate::release::QueueName;
use crate::sqlite::{self, FileKind, Migration, OpenError, Options};

const FILE: &str = "queue.sqlite";

/// The file. Each change of schema.sql needs a migration, and the new number at both.
static KIND: FileKind = FileKind {
    name: "a queue of apt-ci",
    application_id: i32::from_be_bytes(*b"aptq"),
    tables: Migration { format: 2, sql: include_str!("schema.sql") },
    migrations: &[Migration { format: 2, sql: DELAYS }],
    unmarked: None,
};

/// Lets requests wait out a delay.
const DELAYS: &str = "
    ALTER TABLE request ADD COLUMN passes INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE request ADD COLUMN failures TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE request ADD COLUMN delayed_since INTEGER;
    ALTER TABLE request ADD COLUMN delayed_until INTEGER;
    CREATE INDEX request_delayed ON request (queue) WHERE delayed_until IS NOT NULL;";

/// How the file is used: a confirmed request survives a power cut.
const OPTIONS: Options =
    Options { busy_timeout: CONNECT_TIMEOUT, has_wal: true, synchronous: "FULL", is_checked: false };

/// The thread's access to the file and to the slots.
pub(super) struct Db {
    pub(super) connection: Connection,
    pub(super) slots: SlotFolder,
}

/// Reasons why work on the file failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DbError {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Unusable(String),
    /// The file is of a newer format, or another program's.
    #[error("{0}")]
    Incompatible(String),
    #[error("{0} does not exist")]
    NoSuchQueue(QueueName),
    #[error("another worker has it")]
    ClaimLost,
    /// The caller's choice failed, and nothing was taken out.
    #[error("{0}")]
    NotTaken(io::Error),
}

impl DbError {
    /// Whether another process has locked the file, so that another attempt may succeed.
    fn is_busy(&self) -> bool {
        matches!(self, Self::Sqlite(error) if sqlite::is_busy(error))
    }

    /// Whether the file itself is damaged.
    fn is_damage(&self) -> bool {
        matches!(self, Self::Sqlite(error) if sqlite::is_damaged(error))
    }
}

type Job = Box<dyn FnOnce(&mut Db) + Send>;

/// A handle to the file.
#[derive(Clone)]
pub(super) struct Database {
    folder: PathBuf,
    slots: SlotFolder,
    jobs: mpsc::Sender<Job>,
}

impl Db {
    /// Begins a transaction that may write. It waits for other writers now, not half-way.
    pub(super) fn write(&mut self) -> Result<Transaction<'_>, rusqlite::Error> {
        self.connection.transaction_with_behavior(TransactionBehavior::Immediate)
    }
}

impl Database {
    /// Opens the file in this folder. Creates both if they are missing, for this user alone, because requests may hold
    /// tokens.
    pub(super) async fn open(folder: &Path) -> Result<Self, BrokerError> {
        let folder = folder.to_owned();
        let unreachable = |reason: String| BrokerError::Unreachable { address: address(&folder), reason };
        let (jobs, queue) = mpsc::channel::<Job>();
        let (opened, result) = oneshot::channel();
        let path = folder.clone();
        let work = move || match open(&path) {
            Err(fault) => drop(opened.send(Err(fault))),
            Ok(mut db) => {
                if opened.send(Ok(db.slots.clone())).is_ok() {
                    queue.into_iter().for_each(|job| job(&mut db));
                }
            }
        };
        std::thread::Builder::new().name("queue".to_owned()).spawn(work).map_err(|e| unreachable(e.to_string()))?;
        match result.await {
            Ok(Ok(slots)) => Ok(Self { folder, slots, jobs }),
            Ok(Err(fault)) if fault.is_damage() => Err(damaged(&folder, &fault)),
            Ok(Err(DbError::Incompatible(reason))) => Err(BrokerError::Incompatible(reason)),
            Ok(Err(fault)) => Err(unreachable(explain(&fault))),
            Err(_) => Err(unreachable("its thread ended".to_owned())),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn slots(&self) -> &SlotFolder {
        &self.slots
    }

    /// Lets the thread do work on the file, and returns its result. `action` completes "the queue refused to …".
    pub(super) async fn run<T: Send + 'static>(
        &self,
        action: &str,
        work: impl FnOnce(&mut Db) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, BrokerError> {
        let (done, result) = oneshot::channel();
        // A result that is no longer awaited is dropped here, which gives a claim back.
        self.post(move |db| drop(done.send(work(db))));
        match result.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(DbError::NoSuchQueue(queue))) => Err(BrokerError::NoSuchQueue { queue, nearest: Vec::new() }),
            Ok(Err(DbError::NotTaken(error))) => Err(BrokerError::NotTaken(error.to_string())),
            Ok(Err(fault @ DbError::ClaimLost)) => Err(BrokerError::ClaimLost(fault.to_string())),
            Ok(Err(fault)) if fault.is_busy() => {
                Err(BrokerError::Unreachable { address: address(&self.folder), reason: explain(&fault) })
            }
            Ok(Err(fault)) if fault.is_damage() => Err(damaged(&self.folder, &fault)),
            Ok(Err(fault)) => Err(self.refused(action, explain(&fault))),
            Err(_) => Err(self.refused(action, "its thread ended".to_owned())),
        }
    }

    pub(super) fn refused(&self, action: &str, reason: String) -> BrokerError {
        let reason = format!("{}: {reason}", self.folder.join(FILE).display());
        BrokerError::Refused { action: action.to_owned(), reason }
    }

    /// Lets the thread do work in the background.
    pub(super) fn post(&self, work: impl FnOnce(&mut Db) + Send + 'static) {
        // This fails only when the thread has panicked, and then nothing can be done here.
        drop(self.jobs.send(Box::new(work)));
    }
}

fn address(folder: &Path) -> String {
    format!("local:{}", folder.display())
}

fn damaged(folder: &Path, fault: &DbError) -> BrokerError {
    BrokerError::Damaged { file: folder.join(FILE), reason: fault.to_string() }
}

fn explain(fault: &DbError) -> String {
    if fault.is_busy() { format!("another process keeps it locked ({fault})") } else { fault.to_string() }
}

fn open(folder: &Path) -> Result<Db, DbError> {
    let at = |path: &Path, error: &dyn std::fmt::Display| DbError::Unusable(format!("{}: {error}", path.display()));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| at(folder, &error))?;
    let slots = SlotFolder::open(folder).map_err(|error| at(&folder.join("slots"), &error))?;
    let file = folder.join(FILE);
    sqlite::create(&file).map_err(|error| at(&file, &error))?;
    let fault = |error| match DbError::Sqlite(error) {
        fault if fault.is_busy() || fault.is_damage() => fault,
        fault => at(&file, &fault),
    };
    let connection = sqlite::open(&file, &KIND, &OPTIONS).map_err(|error| match error {
        OpenError::Sqlite(error) => fault(error),
        error => DbError::Incompatible(error.to_string()),
    })?;
    set_up(&connection).map_err(fault)?;
    Ok(Db { connection, slots })
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}
