//! What is known about pull requests under test, in an SQLite file of this machine.
//!
//! A delivery is written down before anything is queued for it, and each step after that, so that whoever comes after a crash finds
//! what is left to do. If the file itself is lost, [`super::rebuild`] finds what matters.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::{PullTest, Stage};
use crate::forge::status::State;
use crate::forge::{Forge, Project};
use crate::owned;
use crate::release::QueueName;
use crate::request::line::Submission;
use crate::request::{Request, RequestId};
use crate::result::Place;

/// The form of the file.
const SCHEMA_VERSION: i32 = 1;

/// For how long deliveries are remembered, in seconds: a year. Who has caught one could send it again after that.
const REMEMBERED: i64 = 365 * 86_400;
/// For how long tests that have ended are kept, in seconds: 30 days.
const KEPT: i64 = 30 * 86_400;

/// For how long a result is awaited of a request that is nowhere, in seconds: a week.
const AWAITED: i64 = 7 * 86_400;
/// So many statuses of a project are shown at once.
const AT_ONCE: usize = 50;

/// What can go wrong with the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be used.
    #[error("the journal of pull requests {} cannot be used: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Another process has it.
    #[error("another process works with the journal of pull requests {}", .0.display())]
    Busy(PathBuf),
}

/// The journal. It belongs to one process at a time.
#[derive(Clone)]
pub struct Journal {
    path: Arc<Path>,
    connections: Arc<Mutex<Connections>>,
    _lock: Arc<File>,
}

/// Two ways to the same file, used one at a time.
struct Connections {
    /// What it writes is on the disk before it is answered for.
    durable: Connection,
    /// What it writes outlives this process, but perhaps not a power cut: after that it is found out again.
    quick: Connection,
}

/// A delivery that asks for something.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// Its id, with the forge and the hooks that it was for.
    pub id: String,
    /// The digest of its body and of those hooks.
    pub digest: String,
    /// What it asks for.
    pub wish: Wish,
}

/// What a delivery asks for.
#[derive(Debug, Clone)]
pub enum Wish {
    /// Tests of a commit.
    Test(Vec<PullTest>),
    /// No tests of a pull request any more.
    Close {
        /// Which forge.
        forge: Forge,
        /// The project.
        project: Project,
        /// The pull request.
        number: u64,
        /// The contexts that are meant.
        contexts: Vec<String>,
    },
}

/// What has become of a delivery so far.
#[derive(Debug, Clone, PartialEq)]
pub enum Begun {
    /// It is new. These tests are to be queued; others of the same commit are queued already.
    New(Vec<PullTest>),
    /// It was done before.
    Done,
    /// It came before, and whether its tests are queued is being found out.
    Unfinished,
    /// Another delivery had the same content: somebody repeats it.
    Repeated,
}

/// How many tests there are in each stage, and how many statuses are not shown yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// In each of [`Stage::ALL`].
    pub stages: [u64; 4],
    /// Statuses that the forge has not taken yet.
    pub unshown: u64,
    /// Those of them that it has refused at least once.
    pub troubled: u64,
}

impl Journal {
    /// The file below a folder.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join("pulls").join("journal.sqlite")
    }

    /// Opens the file; makes it if it is missing.
    ///
    /// # Errors
    /// [`JournalError::Busy`], or when the file cannot be made or has another form.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let unusable =
            |error: &dyn std::fmt::Display| JournalError::Unusable { path: path.to_owned(), reason: error.to_string() };
        let lock = owned::claim(path).map_err(|error| unusable(&error))?;
        let lock = lock.ok_or_else(|| JournalError::Busy(path.to_owned()))?;
        let durable = prepare(path).map_err(|error| unusable(&error))?;
        let quick = open(path, "NORMAL").map_err(|error| unusable(&error))?;
        let version: i32 =
            durable.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(|error| unusable(&error))?;
        if version != SCHEMA_VERSION {
            return Err(unusable(&format!(
                "it has the form {version}, and this program knows the form {SCHEMA_VERSION}"
            )));
        }
        let connections = Arc::new(Mutex::new(Connections { durable, quick }));
        Ok(Self { path: path.into(), connections, _lock: Arc::new(lock) })
    }

    /// Works on the file, while other things go on.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        self.on(|connections| &mut connections.quick, work).await
    }

    /// The same; returns when it is on the disk.
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
        let worked = tokio::task::spawn_blocking(move || {
            let mut connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = which(&mut connections).transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok::<_, rusqlite::Error>(value)
        });
        match worked.await {
            Ok(worked) => worked.map_err(|error| unusable(error.to_string())),
            Err(error) => Err(unusable(error.to_string())),
        }
    }

    /// Writes deliveries down, and what they ask for, before anything is queued. Tells of each what is to be done.
    ///
    /// # Errors
    /// When the file cannot be written: nothing is written down then.
    pub async fn begin(&self, deliveries: Vec<Delivered>, now: Timestamp) -> Result<Vec<Begun>, JournalError> {
        self.durably(move |transaction| deliveries.iter().map(|one| begin(transaction, one, now)).collect()).await
    }

    /// The broker has confirmed all requests of these deliveries. What they make needless is to be taken out of its queue from now on.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn queued(&self, deliveries: Vec<String>) -> Result<(), JournalError> {
        self.durably(move |transaction| {
            for id in &deliveries {
                transaction.execute("UPDATE delivery SET queued = 1 WHERE id = ?", [id])?;
                transaction.execute(
                    "UPDATE test SET stage = CASE reason WHEN '' THEN 1 ELSE 2 END WHERE delivery = ? AND stage = 0",
                    [id],
                )?;
                transaction.execute(
                    "UPDATE test SET stage = 2, reason = 'superseded by a newer commit'
                     FROM (SELECT forge, project, number, context, sha, changed FROM test WHERE delivery = ?1) AS new
                     WHERE test.project = new.project AND test.number = new.number AND test.forge = new.forge
                       AND test.context = new.context AND test.sha <> new.sha AND test.changed <= new.changed
                       AND test.stage = 1 AND test.delivery <> ?1",
                    [id],
                )?;
            }
            Ok(())
        })
        .await
    }

    /// Nothing was queued for a delivery: it may come again as if it were new.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn forget(&self, delivery: String) -> Result<(), JournalError> {
        self.durably(move |transaction| {
            transaction.execute("DELETE FROM test WHERE delivery = ? AND stage = 0", [&delivery])?;
            transaction.execute("DELETE FROM delivery WHERE id = ? AND queued = 0", [&delivery]).map(drop)
        })
        .await
    }

    /// The tests in a stage, oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn in_stage(&self, stage: Stage) -> Result<Vec<PullTest>, JournalError> {
        self.with(move |transaction| select(transaction, "stage = ? ORDER BY created, uuid", [stage.number()])).await
    }

    /// The requests of tests in a stage that were asked for before a time, oldest first, with their queues.
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

    /// A test.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn test(&self, uuid: RequestId) -> Result<Option<PullTest>, JournalError> {
        self.with(move |transaction| Ok(select(transaction, "uuid = ?", [uuid.as_str()])?.pop())).await
    }

    /// The request of a test of which that was not known is queued. With the last of its delivery, that is done.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn confirm(&self, uuid: RequestId) -> Result<(), JournalError> {
        self.durably(move |transaction| {
            let sql = "UPDATE test SET stage = CASE reason WHEN '' THEN 1 ELSE 2 END WHERE uuid = ? AND stage = 0";
            transaction.execute(sql, [uuid.as_str()])?;
            finish_delivery(transaction, &uuid)
        })
        .await
    }

    /// A test that was to be taken out of its queue is not there: it runs, or has ended, which shows.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn leave(&self, uuid: RequestId) -> Result<(), JournalError> {
        self.with(move |transaction| {
            transaction.execute("UPDATE test SET stage = 1 WHERE uuid = ? AND stage = 2", [uuid.as_str()]).map(drop)
        })
        .await
    }

    /// Where the results of tests will be that have none: container, and what their names begin with; and when the first of them was
    /// asked for.
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

    /// Those of some requests that are tests without a result.
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

    /// A test has ended in this state.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn end(
        &self,
        uuid: RequestId,
        state: State,
        description: String,
        link: String,
    ) -> Result<(), JournalError> {
        self.with(move |transaction| {
            let sql =
                "UPDATE test SET stage = 3, reason = '', state = ?, description = ?, link = ?, next = 0, tries = 0
                       WHERE uuid = ? AND (stage < 3 OR reason = 'gone')";
            transaction.execute(sql, params![state.as_str(), description, link, uuid.as_str()])?;
            finish_delivery(transaction, &uuid)
        })
        .await
    }

    /// A test's request is nowhere. It has ended, unless a result comes all the same: workers of other programs do not tell what they run.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn gone(&self, uuid: RequestId, description: String) -> Result<(), JournalError> {
        self.with(move |transaction| {
            let sql = "UPDATE test SET stage = 3, reason = 'gone', state = 'error', description = ?, link = '', next = 0, tries = 0
                       WHERE uuid = ? AND stage < 3";
            transaction.execute(sql, params![description, uuid.as_str()])?;
            finish_delivery(transaction, &uuid)
        })
        .await
    }

    /// Takes up tests that were found elsewhere; those that are known stay as they are. Tells how many are new.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn take_up(&self, tests: Vec<PullTest>) -> Result<usize, JournalError> {
        self.durably(move |transaction| {
            let mut new = 0;
            for test in &tests {
                new += usize::from(insert(transaction, test, "")?);
            }
            Ok(new)
        })
        .await
    }

    /// What the forges have not taken yet and may be told now, oldest first: of each project some, if that is much.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn to_show(&self, now: Timestamp) -> Result<Vec<PullTest>, JournalError> {
        self.with(move |transaction| {
            let condition = format!(
                "uuid IN (
                     SELECT uuid FROM (
                         SELECT uuid, row_number() OVER (PARTITION BY forge, api, project ORDER BY created, uuid) AS place
                         FROM test WHERE state <> shown AND stage > 0 AND next <= ?
                     ) WHERE place <= {AT_ONCE}
                 ) ORDER BY created, uuid"
            );
            select(transaction, &condition, [now.as_second()])
        })
        .await
    }

    /// When the next status may be shown that waits for a time; none when none waits.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn next_to_show(&self) -> Result<Option<Timestamp>, JournalError> {
        self.with(|transaction| {
            let sql = "SELECT min(next) FROM test WHERE state <> shown AND stage > 0";
            let second: Option<i64> = transaction.query_row(sql, [], |row| row.get(0))?;
            Ok(second.and_then(|second| Timestamp::from_second(second).ok()))
        })
        .await
    }

    /// A forge has taken this state.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn shown(&self, uuid: RequestId, state: State) -> Result<(), JournalError> {
        self.with(move |transaction| {
            let sql = "UPDATE test SET shown = ?, tries = 0, next = 0, trouble = '' WHERE uuid = ?";
            transaction.execute(sql, params![state.as_str(), uuid.as_str()]).map(drop)
        })
        .await
    }

    /// A forge has not taken it: not again before then.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn not_shown(&self, uuid: RequestId, next: Timestamp, trouble: String) -> Result<(), JournalError> {
        self.with(move |transaction| {
            let sql = "UPDATE test SET tries = tries + 1, next = ?, trouble = ? WHERE uuid = ?";
            transaction.execute(sql, params![next.as_second(), trouble, uuid.as_str()]).map(drop)
        })
        .await
    }

    /// The same of several, which were not even tried: they would have failed as well.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn defer(&self, uuids: Vec<RequestId>, next: Timestamp, trouble: String) -> Result<(), JournalError> {
        self.with(move |transaction| {
            let mut statement = transaction.prepare_cached("UPDATE test SET next = ?, trouble = ? WHERE uuid = ?")?;
            for uuid in &uuids {
                statement.execute(params![next.as_second(), trouble, uuid.as_str()])?;
            }
            Ok(())
        })
        .await
    }

    /// Everything may be shown at once again: a token was replaced, say.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn hurry(&self) -> Result<(), JournalError> {
        self.with(|transaction| transaction.execute("UPDATE test SET next = 0 WHERE state <> shown", []).map(drop))
            .await
    }

    /// When a project's pending statuses were last looked through; none when they never were.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn looked(&self, project: String) -> Result<Option<Timestamp>, JournalError> {
        self.with(move |transaction| {
            let sql = "SELECT at FROM looked WHERE project = ?";
            let second: Option<i64> = transaction.query_row(sql, [project], |row| row.get(0)).optional()?;
            Ok(second.and_then(|second| Timestamp::from_second(second).ok()))
        })
        .await
    }

    /// A project's pending statuses have been looked through.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn note_looked(&self, project: String, at: Timestamp) -> Result<(), JournalError> {
        self.with(move |transaction| {
            let sql = "INSERT INTO looked (project, at) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET at = ?2";
            transaction.execute(sql, params![project, at.as_second()]).map(drop)
        })
        .await
    }

    /// How many tests there are.
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
            let sql = "SELECT count(*), coalesce(sum(tries > 0), 0) FROM test WHERE state <> shown AND stage > 0";
            (counts.unshown, counts.troubled) = transaction.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(counts)
        })
        .await
    }

    /// Forgets what nobody asks about any more.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn sweep(&self, now: Timestamp) -> Result<(), JournalError> {
        self.with(move |transaction| {
            let now = now.as_second();
            let sql = "UPDATE test SET reason = '' WHERE reason = 'gone' AND created < ?";
            transaction.execute(sql, [(now - AWAITED) * 1000])?;
            transaction
                .execute("DELETE FROM test WHERE stage = 3 AND state = shown AND created < ?", [(now - KEPT) * 1000])?;
            transaction.execute("DELETE FROM delivery WHERE queued = 1 AND received < ?", [now - REMEMBERED]).map(drop)
        })
        .await
    }
}

fn open(path: &Path, synchronous: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    Ok(connection)
}

fn prepare(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = open(path, "FULL")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        transaction.execute_batch(include_str!("schema.sql"))?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    transaction.commit()?;
    Ok(connection)
}

fn begin(transaction: &Transaction<'_>, delivery: &Delivered, now: Timestamp) -> rusqlite::Result<Begun> {
    let known: Option<bool> = transaction
        .query_row("SELECT queued FROM delivery WHERE id = ?", [&delivery.id], |row| row.get(0))
        .optional()?;
    match known {
        Some(true) => return Ok(Begun::Done),
        Some(false) => return Ok(Begun::Unfinished),
        None => {}
    }
    let sql = "INSERT INTO delivery (id, digest, received, queued) VALUES (?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING";
    let is_close = matches!(delivery.wish, Wish::Close { .. });
    let new = transaction.execute(sql, params![delivery.id, delivery.digest, now.as_second(), is_close])?;
    if new == 0 {
        return Ok(Begun::Repeated);
    }
    match &delivery.wish {
        Wish::Test(tests) => {
            let mut to_queue = Vec::new();
            for test in tests {
                // The same commit waits already: opened again, say, or delivered through two hooks. Or it is not the newest any more:
                // a delivery that could not be taken then was sent again.
                let sql = "SELECT 1 FROM test WHERE forge = ?1 AND project = ?2 AND number = ?3 AND context = ?4
                             AND ((sha = ?5 AND stage < 2) OR (sha <> ?5 AND changed > ?6))";
                let key = params![
                    test.forge.as_str(),
                    test.project.as_str(),
                    test.number,
                    test.context,
                    test.commit.as_str(),
                    test.changed.as_millisecond()
                ];
                let waits = transaction.query_row(sql, key, |_| Ok(())).optional()?.is_some();
                if !waits && insert(transaction, test, &delivery.id)? {
                    to_queue.push(test.clone());
                }
            }
            Ok(Begun::New(to_queue))
        }
        Wish::Close { forge, project, number, contexts } => {
            for context in contexts {
                // One that is not queued yet is as soon as it is.
                let sql = "UPDATE test SET stage = 2 * stage, reason = 'the pull request was closed'
                           WHERE forge = ? AND project = ? AND number = ? AND context = ? AND stage < 2";
                transaction.execute(sql, params![forge.as_str(), project.as_str(), number, context])?;
            }
            Ok(Begun::New(Vec::new()))
        }
    }
}

fn finish_delivery(transaction: &Transaction<'_>, uuid: &RequestId) -> rusqlite::Result<()> {
    let sql = "UPDATE delivery SET queued = 1 WHERE id = (SELECT delivery FROM test WHERE uuid = ?)
               AND NOT EXISTS (SELECT 1 FROM test WHERE test.delivery = delivery.id AND stage = 0)";
    transaction.execute(sql, [uuid.as_str()]).map(drop)
}

/// Whether it was not there before.
fn insert(transaction: &Transaction<'_>, test: &PullTest, delivery: &str) -> rusqlite::Result<bool> {
    let place = Place::of(&test.submission.request, &test.submission.queue);
    let mut statement = transaction.prepare_cached(
        "INSERT INTO test (uuid, delivery, forge, api, project, number, sha, context, queue, request, container, prefix, created, changed, stage, state, description, shown)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )?;
    let new = statement.execute(params![
        test.uuid.as_str(),
        delivery,
        test.forge.as_str(),
        test.api.to_string(),
        test.project.as_str(),
        test.number,
        test.commit.as_str(),
        test.context,
        test.submission.queue.to_string(),
        test.submission.request.to_wire(),
        place.container,
        place.path.prefix(),
        test.created.as_millisecond(),
        test.changed.as_millisecond(),
        test.stage.number(),
        test.state.as_str(),
        test.description,
        test.shown.map(State::as_str).unwrap_or_default(),
    ])?;
    Ok(new > 0)
}

fn select(
    transaction: &Transaction<'_>,
    condition: &str,
    parameters: impl rusqlite::Params,
) -> rusqlite::Result<Vec<PullTest>> {
    let sql = format!(
        "SELECT uuid, forge, api, project, number, sha, context, queue, request, created, stage, reason, state, description, link, shown, tries, trouble, changed
         FROM test WHERE {condition}"
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    statement.query_map(parameters, read)?.collect()
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error: T::Err| damaged(column, &error))
}

fn read(row: &Row<'_>) -> rusqlite::Result<PullTest> {
    let request: String = row.get(8)?;
    let request = Request::parse(request.as_bytes()).map_err(|error| damaged(8, &error))?;
    let state = |column| Ok::<_, rusqlite::Error>(State::read(&row.get::<_, String>(column)?));
    Ok(PullTest {
        uuid: parsed(row, 0)?,
        forge: parsed(row, 1)?,
        api: parsed(row, 2)?,
        project: parsed(row, 3)?,
        number: row.get(4)?,
        commit: parsed(row, 5)?,
        context: row.get(6)?,
        submission: Submission { queue: parsed(row, 7)?, request },
        created: Timestamp::from_millisecond(row.get(9)?).map_err(|error| damaged(9, &error))?,
        stage: Stage::ALL.get(row.get::<_, usize>(10)?).copied().ok_or_else(|| damaged(10, &"no stage"))?,
        reason: row.get(11)?,
        state: state(12)?.ok_or_else(|| damaged(12, &"no state"))?,
        description: row.get(13)?,
        link: row.get(14)?,
        shown: state(15)?,
        tries: row.get(16)?,
        trouble: row.get(17)?,
        changed: Timestamp::from_millisecond(row.get(18)?).map_err(|error| damaged(18, &error))?,
    })
}

fn damaged(column: usize, reason: &dyn std::fmt::Display) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, reason.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn test(number: u64, sha: char, uuid: &str) -> PullTest {
        let project: Project = "Me/Thing".parse().unwrap();
        let commit = sha.to_string().repeat(40).parse().unwrap();
        let text = format!(r#"thing {{"uuid": "{uuid}", "env": ["UPSTREAM_PULL_REQUEST={number}"]}}"#);
        let request = Request::parse(text.as_bytes()).unwrap();
        let submission = Submission { queue: "debci-upstream-noble-amd64".parse().unwrap(), request };
        PullTest::new(Forge::GitHub, &Forge::GitHub.api(), &project, number, &commit, submission, now()).unwrap()
    }

    fn delivery(id: &str, tests: Vec<PullTest>) -> Delivered {
        Delivered { id: id.to_owned(), digest: format!("digest of {id}"), wish: Wish::Test(tests) }
    }

    fn run<T>(story: impl AsyncFnOnce(Journal) -> T) -> T {
        let folder = tempfile::TempDir::new().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let journal = Journal::open(&Journal::path(folder.path())).unwrap();
        runtime.block_on(story(journal))
    }

    #[test]
    fn a_delivery_is_done_once() {
        run(async |journal| {
            let one = delivery("d1", vec![test(7, 'a', "u1")]);
            let begun = journal.begin(vec![one.clone(), one.clone()], now()).await.unwrap();
            assert!(matches!(&begun[0], Begun::New(tests) if tests.len() == 1));
            assert_eq!(begun[1], Begun::Unfinished);
            journal.queued(vec!["d1".to_owned()]).await.unwrap();
            assert_eq!(journal.begin(vec![one.clone()], now()).await.unwrap(), [Begun::Done]);
            let repeated = Delivered { id: "another".to_owned(), ..one };
            assert_eq!(journal.begin(vec![repeated], now()).await.unwrap(), [Begun::Repeated]);
            let read = journal.in_stage(Stage::Queued).await.unwrap();
            assert_eq!(read[0].submission.request.uuid().unwrap().as_str(), "u1");
            assert_eq!(journal.counts().await.unwrap().unshown, 1);
        });
    }

    #[test]
    fn what_was_not_queued_may_come_again() {
        run(async |journal| {
            let one = delivery("d1", vec![test(7, 'a', "u1")]);
            journal.begin(vec![one.clone()], now()).await.unwrap();
            journal.forget("d1".to_owned()).await.unwrap();
            assert!(matches!(journal.begin(vec![one], now()).await.unwrap()[0], Begun::New(_)));
        });
    }

    #[test]
    fn a_newer_commit_supersedes_and_the_same_one_does_not_run_twice() {
        run(async |journal| {
            for (id, test) in [("d1", test(7, 'a', "u1")), ("d2", test(8, 'a', "u2")), ("d3", test(7, 'b', "u3"))] {
                journal.begin(vec![delivery(id, vec![test])], now()).await.unwrap();
                journal.queued(vec![id.to_owned()]).await.unwrap();
            }
            let withdrawn = journal.in_stage(Stage::Withdrawn).await.unwrap();
            assert_eq!(withdrawn.iter().map(|test| test.uuid.as_str()).collect::<Vec<_>>(), ["u1"]);
            assert_eq!(withdrawn[0].reason, "superseded by a newer commit");
            let late = PullTest { changed: now() - jiff::SignedDuration::from_secs(9), ..test(7, 'c', "u9") };
            let late = journal.begin(vec![delivery("d9", vec![late])], now()).await.unwrap();
            assert_eq!(late, [Begun::New(Vec::new())], "it is not the newest any more");
            let again = delivery("d4", vec![test(7, 'b', "u4")]);
            assert_eq!(journal.begin(vec![again], now()).await.unwrap(), [Begun::New(Vec::new())]);
            let close = Wish::Close {
                forge: Forge::GitHub,
                project: "me/thing".parse().unwrap(),
                number: 8,
                contexts: vec!["autopkgtest/thing/noble/amd64".to_owned()],
            };
            let close = Delivered { id: "d5".to_owned(), digest: "x".to_owned(), wish: close };
            journal.begin(vec![close], now()).await.unwrap();
            assert_eq!(journal.in_stage(Stage::Withdrawn).await.unwrap().len(), 2);
        });
    }

    #[test]
    fn a_state_is_shown_until_the_forge_takes_it() {
        run(async |journal| {
            journal.begin(vec![delivery("d1", vec![test(7, 'a', "u1")])], now()).await.unwrap();
            assert_eq!(journal.to_show(now()).await.unwrap(), [], "not before it is queued");
            journal.queued(vec!["d1".to_owned()]).await.unwrap();
            let uuid: RequestId = "u1".parse().unwrap();
            let later = now() + jiff::SignedDuration::from_secs(60);
            journal.not_shown(uuid.clone(), later, "away".to_owned()).await.unwrap();
            assert_eq!(journal.to_show(now()).await.unwrap(), []);
            assert_eq!(journal.next_to_show().await.unwrap(), Some(later));
            assert_eq!(journal.to_show(later).await.unwrap()[0].tries, 1);
            journal.shown(uuid.clone(), State::Pending).await.unwrap();
            assert_eq!(journal.to_show(later).await.unwrap(), []);
            journal.end(uuid.clone(), State::Success, "good".to_owned(), "https://x".to_owned()).await.unwrap();
            journal.end(uuid.clone(), State::Failure, "late".to_owned(), String::new()).await.unwrap();
            assert_eq!(journal.to_show(now()).await.unwrap()[0].state, State::Success, "the first end counts");
            journal.shown(uuid, State::Success).await.unwrap();
            journal.begin(vec![delivery("d2", vec![test(8, 'a', "u2")])], now()).await.unwrap();
            journal.queued(vec!["d2".to_owned()]).await.unwrap();
            let nowhere: RequestId = "u2".parse().unwrap();
            journal.gone(nowhere.clone(), "nowhere".to_owned()).await.unwrap();
            assert_eq!(journal.test(nowhere.clone()).await.unwrap().unwrap().state, State::Error);
            // Somebody has run it all the same.
            assert_eq!(journal.open_among(vec!["u1".to_owned(), "u2".to_owned()]).await.unwrap().len(), 1);
            journal.end(nowhere.clone(), State::Success, "good".to_owned(), String::new()).await.unwrap();
            assert_eq!(journal.open_places().await.unwrap(), []);
            journal.shown(nowhere, State::Success).await.unwrap();
            assert_eq!(journal.counts().await.unwrap(), Counts { stages: [0, 0, 0, 2], unshown: 0, troubled: 0 });
        });
    }

    #[test]
    fn one_process_has_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = Journal::path(folder.path());
        let journal = Journal::open(&path).unwrap();
        assert!(matches!(Journal::open(&path), Err(JournalError::Busy(_))));
        drop(journal);
        Journal::open(&path).unwrap();
    }
}
