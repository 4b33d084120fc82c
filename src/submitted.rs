//! Notes of the requests that this user has submitted to queues that cannot be listed.
//!
//! Duplicates in such queues are found by these notes alone. They are a file in the site's state folder, and contain
//! digests of requests, without parameters and tokens. Nothing depends on them: a request that cannot be noted or found
//! is only submitted again.

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use crate::broker::{Broker, QueueUrl};
use crate::release::QueueName;
use crate::request::line::Submission;
use crate::request::{Request, RequestId};
use crate::sqlite::{self, FileKind, Migration, OpenError, Options, Unmarked};

const FILE: &str = "submitted.sqlite";
/// Time for which a note is valid. Few requests wait longer.
const RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
/// Maximum number of notes; the oldest go first.
const MAX_NOTES: i64 = 100_000;

/// The file. Its first format had no number.
static KIND: FileKind = FileKind {
    name: "a list of submitted requests",
    application_id: i32::from_be_bytes(*b"apts"),
    tables: Migration { format: 1, sql: SCHEMA },
    migrations: &[Migration { format: 1, sql: "" }],
    unmarked: Some(Unmarked { table: "submitted", formats: 0..=0 }),
};
const OPTIONS: Options =
    Options { busy_timeout: Duration::from_secs(5), has_wal: false, synchronous: "FULL", is_checked: false };

const SCHEMA: &str = "
    CREATE TABLE submitted (
        broker TEXT NOT NULL,
        queue TEXT NOT NULL,
        test BLOB NOT NULL,
        uuid TEXT NOT NULL,
        time INTEGER NOT NULL,
        PRIMARY KEY (broker, queue, test)
    ) WITHOUT ROWID;
    CREATE INDEX submitted_time ON submitted (time);";

/// Notes about one broker.
#[derive(Debug, Clone)]
pub struct Notes {
    file: PathBuf,
    broker: String,
}

/// A note that the same test was requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Id of the request.
    pub uuid: RequestId,
    /// Time at which it was queued.
    pub time: Timestamp,
}

impl Notes {
    /// Returns the notes about this broker in the site's state folder. Nothing is read or written yet.
    pub fn of(state_dir: &Path, queue: &QueueUrl) -> Self {
        Self { file: state_dir.join(FILE), broker: queue.to_string() }
    }

    fn open(&self) -> Result<Connection, OpenError> {
        // Other users need not know what is tested. A file that cannot be created cannot be opened either, which is
        // reported.
        if let Some(folder) = self.file.parent() {
            let _ = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        }
        let _ = sqlite::create(&self.file);
        sqlite::open(&self.file, &KIND, &OPTIONS)
    }

    /// Notes those of these queued requests whose queues may be impossible to list.
    ///
    /// If the broker does not answer, nothing is noted: at worst, a duplicate is queued later.
    pub async fn add_unlisted(&self, submissions: &[Submission], broker: &Broker) {
        // There may be thousands of requests, but of few queues.
        let mut is_unlisted: HashMap<&QueueName, bool> = HashMap::new();
        let mut unlisted = Vec::new();
        for submission in submissions {
            let is_unlisted = match is_unlisted.get(&submission.queue) {
                Some(known) => *known,
                None => {
                    let answer = broker.may_be_opaque(&submission.queue).await.unwrap_or(false);
                    is_unlisted.insert(&submission.queue, answer);
                    answer
                }
            };
            if is_unlisted {
                unlisted.push(submission.clone());
            }
        }
        if !unlisted.is_empty() {
            let notes = self.clone();
            let _ = tokio::task::spawn_blocking(move || notes.add(&unlisted, Timestamp::now())).await;
        }
    }

    /// Notes that these requests are queued. The latest request for a test replaces earlier ones.
    pub fn add(&self, submissions: &[Submission], now: Timestamp) {
        let add = || -> Result<(), OpenError> {
            let mut connection = self.open()?;
            let transaction = connection.transaction()?;
            for Submission { queue, request } in submissions {
                let Some(uuid) = request.uuid() else { continue };
                let row = params![self.broker, queue.to_string(), digest(request), uuid.as_str(), now.as_second()];
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO submitted VALUES (?1, ?2, ?3, ?4, ?5)")?
                    .execute(row)?;
            }
            transaction.execute("DELETE FROM submitted WHERE time < ?1", [oldest(now)])?;
            transaction.execute(
                "DELETE FROM submitted WHERE time <= (SELECT time FROM submitted ORDER BY time DESC LIMIT 1 OFFSET ?1)",
                [MAX_NOTES],
            )?;
            Ok(transaction.commit()?)
        };
        if let Err(error) = add() {
            tracing::warn!("cannot note what was queued in {}: {error}", self.file.display());
        }
    }

    /// Returns the notes about the same tests, in the order of the submissions.
    pub fn find<'s>(&self, submissions: impl IntoIterator<Item = &'s Submission>, now: Timestamp) -> Vec<Option<Note>> {
        let submissions: Vec<&Submission> = submissions.into_iter().collect();
        if !self.file.exists() {
            return vec![None; submissions.len()];
        }
        let find = || -> Result<Vec<Option<Note>>, OpenError> {
            let connection = self.open()?;
            let sql = "SELECT uuid, time FROM submitted WHERE broker = ?1 AND queue = ?2 AND test = ?3 AND time >= ?4";
            let mut select = connection.prepare(sql)?;
            let mut found = Vec::with_capacity(submissions.len());
            for Submission { queue, request } in &submissions {
                let key = params![self.broker, queue.to_string(), digest(request), oldest(now)];
                let row: Option<(String, i64)> =
                    select.query_row(key, |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
                found.push(row.and_then(|(uuid, time)| {
                    Some(Note { uuid: uuid.parse().ok()?, time: Timestamp::from_second(time).ok()? })
                }));
            }
            Ok(found)
        };
        find().unwrap_or_else(|error| {
            tracing::warn!("cannot read what was queued from {}: {error}", self.file.display());
            vec![None; submissions.len()]
        })
    }

    /// Deletes the notes of requests that were taken out of their queues.
    pub fn forget<'i>(&self, ids: impl IntoIterator<Item = &'i RequestId>) {
        if !self.file.exists() {
            return;
        }
        let forget = || -> Result<(), OpenError> {
            let mut connection = self.open()?;
            let transaction = connection.transaction()?;
            for id in ids {
                transaction.prepare_cached("DELETE FROM submitted WHERE uuid = ?1")?.execute([id.as_str()])?;
            }
            Ok(transaction.commit()?)
        };
        if let Err(error) = forget() {
            tracing::warn!("cannot forget what was removed in {}: {error}", self.file.display());
        }
    }
}

fn oldest(now: Timestamp) -> i64 {
    now.as_second().saturating_sub(RETENTION.as_secs().try_into().unwrap_or(i64::MAX))
}

/// Returns a digest that is equal for requests for the same test.
fn digest(request: &Request) -> [u8; 32] {
    Sha256::digest(request.anonymous().to_wire()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submission(text: &str) -> Submission {
        let request = Request::parse(text.as_bytes()).unwrap().with_id();
        Submission { queue: "debci-sid-amd64".parse().unwrap(), request }
    }

    fn notes(folder: &Path) -> Notes {
        Notes::of(folder, &"amqp://me:secret@mq.example/ci".parse().unwrap())
    }

    #[test]
    fn the_same_test_is_found_by_whoever_asks_until_its_note_is_too_old() {
        let folder = tempfile::TempDir::new().unwrap();
        let notes = notes(folder.path());
        let now = Timestamp::now();
        let first = submission("gzip {\"triggers\": [\"gzip/1\"], \"requester\": \"me\"}");
        assert_eq!(notes.find([&first], now), [None]);
        notes.add(std::slice::from_ref(&first), now);
        let again = submission("gzip {\"triggers\": [\"gzip/1\"], \"requester\": \"you\"}");
        let other = submission("gzip {\"triggers\": [\"gzip/2\"]}");
        let found = notes.find([&again, &other], now);
        assert_eq!(found[0].as_ref().map(|noted| &noted.uuid), first.request.uuid());
        assert_eq!(found[1], None);
        let elsewhere = Notes::of(folder.path(), &"amqp://mq.example/other".parse().unwrap());
        assert_eq!(elsewhere.find([&again], now), [None]);
        assert_eq!(notes.find([&again], now + RETENTION + Duration::from_secs(1)), [None]);
        notes.forget(first.request.uuid());
        assert_eq!(notes.find([&again], now), [None]);
    }

    #[test]
    fn a_note_holds_no_secret_and_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::TempDir::new().unwrap();
        let notes = notes(folder.path());
        notes.add(
            &[submission("gzip {\"ppas\": [\"me:hunter2@me/fixes:ABCDEF0123456789ABCDEF0123456789ABCDEF01\"]}")],
            Timestamp::now(),
        );
        let file = folder.path().join(FILE);
        let bytes = std::fs::read(&file).unwrap();
        for secret in [b"hunter2".as_slice(), b"secret"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret));
        }
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn notes_of_an_older_version_are_kept() {
        let folder = tempfile::TempDir::new().unwrap();
        let (one, now) = (submission("gzip"), Timestamp::now());
        let notes = notes(folder.path());
        notes.add(std::slice::from_ref(&one), now);
        let file = Connection::open(folder.path().join(FILE)).unwrap();
        file.execute_batch("PRAGMA application_id = 0; PRAGMA user_version = 0").unwrap();
        assert!(notes.find([&one], now)[0].is_some());
        assert_eq!(file.pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0)), Ok(1));
    }

    #[test]
    fn notes_that_cannot_be_written_stop_nothing() {
        let notes = notes(Path::new("/proc/no-such-folder"));
        let one = submission("gzip");
        notes.add(std::slice::from_ref(&one), Timestamp::now());
        assert_eq!(notes.find([&one], Timestamp::now()), [None]);
    }
}
