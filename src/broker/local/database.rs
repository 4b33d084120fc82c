//! The SQLite file, and the one thread of this process that works on it.
//!
//! Every change waits for the disk; on a thread of its own it does not hold up the rest of the program. The thread ends
//! when the last [`Database`] is dropped, after what was handed to it before.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::life::SlotFolder;
use crate::broker::{BrokerError, CONNECT_TIMEOUT};
use crate::owned;
use crate::release::QueueName;

const FILE: &str = "queue.sqlite";
/// Marks the file as ours: `aptq`.
const APPLICATION_ID: i32 = 0x6170_7471;
/// Raise it with every change of schema.sql, and bring older files up to it in [`migrate`].
const SCHEMA_VERSION: i32 = 2;
/// Brings a file of version 1 up to version 2.
const DELAYS: &str = "
    ALTER TABLE request ADD COLUMN passes INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE request ADD COLUMN failures TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE request ADD COLUMN delayed_since INTEGER;
    ALTER TABLE request ADD COLUMN delayed_until INTEGER;
    CREATE INDEX request_delayed ON request (queue) WHERE delayed_until IS NOT NULL;";

/// What the thread works with.
pub(super) struct Desk {
    pub(super) connection: Connection,
    pub(super) slots: SlotFolder,
}

/// Why work on the file failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Unusable(String),
    #[error("{0} does not exist")]
    NoSuchQueue(QueueName),
    #[error("another worker has it")]
    ClaimLost,
    /// Why nothing was taken out.
    #[error("{0}")]
    NotTaken(io::Error),
}

impl Fault {
    /// Whether another process was in the way, so that trying again helps.
    fn is_busy(&self) -> bool {
        let Self::Sqlite(rusqlite::Error::SqliteFailure(error, _)) = self else { return false };
        matches!(error.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    }

    /// Whether the file itself is at fault.
    fn is_damage(&self) -> bool {
        matches!(self, Self::Sqlite(error) if owned::is_damaged(error))
    }
}

type Job = Box<dyn FnOnce(&mut Desk) + Send>;

/// A handle to the file.
#[derive(Clone)]
pub(super) struct Database {
    folder: PathBuf,
    slots: SlotFolder,
    jobs: mpsc::Sender<Job>,
}

impl Desk {
    /// A transaction that may write: it waits for other writers now, not half-way.
    pub(super) fn write(&mut self) -> Result<Transaction<'_>, rusqlite::Error> {
        self.connection.transaction_with_behavior(TransactionBehavior::Immediate)
    }
}

impl Database {
    /// Opens the file in this folder. Both are made if they are missing, for this user alone: requests may hold tokens.
    pub(super) async fn open(folder: &Path) -> Result<Self, BrokerError> {
        let folder = folder.to_owned();
        let unreachable = |reason: String| BrokerError::Unreachable { address: address(&folder), reason };
        let (jobs, queue) = mpsc::channel::<Job>();
        let (opened, result) = oneshot::channel();
        let path = folder.clone();
        let work = move || match open(&path) {
            Err(fault) => drop(opened.send(Err(fault))),
            Ok(mut desk) => {
                if opened.send(Ok(desk.slots.clone())).is_ok() {
                    queue.into_iter().for_each(|job| job(&mut desk));
                }
            }
        };
        std::thread::Builder::new().name("queue".to_owned()).spawn(work).map_err(|e| unreachable(e.to_string()))?;
        match result.await {
            Ok(Ok(slots)) => Ok(Self { folder, slots, jobs }),
            Ok(Err(fault)) if fault.is_damage() => Err(damaged(&folder, &fault)),
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

    /// Has work done on the file. `action` completes "the queue refused to …".
    pub(super) async fn run<T: Send + 'static>(
        &self,
        action: &str,
        work: impl FnOnce(&mut Desk) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, BrokerError> {
        let (done, result) = oneshot::channel();
        // If nobody waits for the result any more it is dropped here, which gives a claim back.
        self.post(move |desk| drop(done.send(work(desk))));
        match result.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Fault::NoSuchQueue(queue))) => Err(BrokerError::NoSuchQueue { queue, nearest: Vec::new() }),
            Ok(Err(Fault::NotTaken(error))) => Err(BrokerError::NotTaken(error.to_string())),
            Ok(Err(fault @ Fault::ClaimLost)) => Err(BrokerError::ClaimLost(fault.to_string())),
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

    /// Hands over work that nobody waits for.
    pub(super) fn post(&self, work: impl FnOnce(&mut Desk) + Send + 'static) {
        // It fails only when the thread has panicked: then nothing can be done here.
        drop(self.jobs.send(Box::new(work)));
    }
}

fn address(folder: &Path) -> String {
    format!("local:{}", folder.display())
}

fn damaged(folder: &Path, fault: &Fault) -> BrokerError {
    BrokerError::Damaged { file: folder.join(FILE), reason: fault.to_string() }
}

fn explain(fault: &Fault) -> String {
    if fault.is_busy() { format!("another process keeps it locked ({fault})") } else { fault.to_string() }
}

fn open(folder: &Path) -> Result<Desk, Fault> {
    let at = |path: &Path, error: &dyn std::fmt::Display| Fault::Unusable(format!("{}: {error}", path.display()));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| at(folder, &error))?;
    let slots = SlotFolder::open(folder).map_err(|error| at(&folder.join("slots"), &error))?;
    let file = folder.join(FILE);
    // Made by us, because SQLite would let the group and others read it.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file) {
        Ok(_) => File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| at(folder, &error))?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(at(&file, &error)),
    }
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    let connection = loop {
        match connect(&file) {
            // Several processes that make the file at the same time: SQLite does not wait for the change to WAL mode.
            Err(fault) if fault.is_busy() && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(fault) if fault.is_busy() || fault.is_damage() => return Err(fault),
            result => break result.map_err(|fault| at(&file, &fault))?,
        }
    };
    Ok(Desk { connection, slots })
}

fn connect(file: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let mut connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(CONNECT_TIMEOUT)?;
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != "wal" {
        connection.busy_timeout(Duration::from_millis(100))?;
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        connection.busy_timeout(CONNECT_TIMEOUT)?;
    }
    // FULL: a confirmed request survives a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    connection.set_prepared_statement_cache_capacity(64);
    migrate(&mut connection)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection) -> Result<(), Fault> {
    let number = |connection: &Connection, name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    if number(connection, "user_version")? == SCHEMA_VERSION && number(connection, "application_id")? == APPLICATION_ID
    {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    match (number(&transaction, "user_version")?, number(&transaction, "application_id")?) {
        (0, 0) if tables == 0 => {
            transaction.execute_batch(include_str!("schema.sql"))?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            transaction.commit()?;
            Ok(())
        }
        (1, APPLICATION_ID) => {
            transaction.execute_batch(DELAYS)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            transaction.commit()?;
            Ok(())
        }
        // Another process has made it meanwhile.
        (SCHEMA_VERSION, APPLICATION_ID) => Ok(()),
        (version, APPLICATION_ID) => Err(Fault::Unusable(format!(
            "made by another version of apt-ci (its format is {version}, this program's {SCHEMA_VERSION})"
        ))),
        _ => Err(Fault::Unusable("this is not a queue of apt-ci, but another program's database".to_owned())),
    }
}
