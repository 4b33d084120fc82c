//! SQLite files of this program: one way to create, open and migrate them.
//!
//! The `application_id` of a file says which kind it is, and its `user_version` is the number of its format. A program
//! migrates files of older formats when it opens them, each migration in one transaction. A file of a newer format, or
//! of another program, is refused before anything in it is changed.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

/// Interval between attempts to open a file that another process is creating or migrating.
const RETRY_DELAY: Duration = Duration::from_millis(10);

/// Timeout for the change to WAL mode. SQLite does not wait for locks meanwhile, so a longer one would change nothing.
const WAL_TIMEOUT: Duration = Duration::from_millis(100);

/// A kind of file, and all its formats.
pub(crate) struct FileKind {
    /// Name of such a file in messages, with an article.
    pub(crate) name: &'static str,
    /// Value of `application_id`, usually four letters.
    pub(crate) application_id: i32,
    /// Creates the tables of a new file.
    pub(crate) tables: Migration,
    /// Changes of the tables, oldest first. Each leads to its format from the one before. A new file gets those that
    /// lead further than its tables.
    pub(crate) migrations: &'static [Migration],
    /// Files of this kind from before they had an `application_id`.
    pub(crate) unmarked: Option<Unmarked>,
}

/// Statements that lead to a format.
pub(crate) struct Migration {
    /// Number of the format.
    pub(crate) format: i32,
    /// The statements, which run in one transaction.
    pub(crate) sql: &'static str,
}

/// Signs of a file that has no `application_id`.
pub(crate) struct Unmarked {
    /// Name of a table that such a file has.
    pub(crate) table: &'static str,
    /// Formats of such files.
    pub(crate) formats: RangeInclusive<i32>,
}

/// How a connection works on its file.
pub(crate) struct Options {
    /// Timeout for the locks of other processes.
    pub(crate) busy_timeout: Duration,
    /// Whether the file is changed through a write-ahead log, so that readers and a writer do not wait for each other.
    pub(crate) has_wal: bool,
    /// Value of `synchronous`: `FULL` survives a power cut, `NORMAL` with a write-ahead log may lose the last changes.
    pub(crate) synchronous: &'static str,
    /// Whether the whole file is checked for damage before it is used.
    pub(crate) is_checked: bool,
}

/// Reasons why a file cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// A later version of this program has written it.
    #[error("{} was written by a newer apt-ci (format {format}, this program knows {newest})", path.display())]
    Newer { path: PathBuf, format: i32, newest: i32 },
    /// A version of this program has written it from which no migration leads further.
    #[error("{} was written by a much older apt-ci (format {format}, this program knows {oldest} and later)", path.display())]
    TooOld { path: PathBuf, format: i32, oldest: i32 },
    /// Another program has written it, or this program for another purpose.
    #[error("{} is not {name}, but another program's database", path.display())]
    Foreign { path: PathBuf, name: &'static str },
    /// SQLite cannot read or write it.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// State of a file that was opened.
enum FileState {
    /// Nothing is in it yet.
    Empty,
    /// Tables of a known format.
    Known { format: i32, is_marked: bool },
}

/// Creates an empty file for this user alone, unless it exists.
pub(crate) fn create(path: &Path) -> io::Result<()> {
    // SQLite would create it with the permissions that the process's mask leaves.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Opens a file that exists, and brings it to the newest format.
pub(crate) fn open(path: &Path, kind: &FileKind, options: &Options) -> Result<Connection, OpenError> {
    let deadline = Instant::now() + options.busy_timeout;
    loop {
        match open_once(path, kind, options) {
            // Some locks are refused at once, whatever the timeout: the one for the change to WAL mode, for example.
            Err(OpenError::Sqlite(error)) if is_busy(&error) && Instant::now() < deadline => thread::sleep(RETRY_DELAY),
            result => return result,
        }
    }
}

/// Opens a file as it is. `None` when it is empty or of an older format.
pub(crate) fn open_current(
    path: &Path,
    kind: &FileKind,
    busy_timeout: Duration,
) -> Result<Option<Connection>, OpenError> {
    let mut connection = connect(path, busy_timeout)?;
    Ok(kind.is_current(&mut connection, path)?.then_some(connection))
}

/// Whether an error says that another process has locked the file, so that another attempt may succeed.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Whether an error says that the file itself is damaged, or is no database at all.
pub(crate) fn is_damaged(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Returns the error for damage that SQLite has not found by itself.
pub(crate) fn damage(reason: &str) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT), Some(reason.to_owned()))
}

fn connect(path: &Path, busy_timeout: Duration) -> rusqlite::Result<Connection> {
    // Reading needs write access as well: SQLite notes beside the file which parts of it are being read.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(busy_timeout)?;
    Ok(connection)
}

fn open_once(path: &Path, kind: &FileKind, options: &Options) -> Result<Connection, OpenError> {
    let mut connection = connect(path, options.busy_timeout)?;
    let is_current = match kind.is_current(&mut connection, path) {
        Ok(is_current) => is_current,
        // The marks of a damaged file may be those of another one.
        Err(error) if options.is_checked => return check(&connection).map_err(OpenError::from).and(Err(error)),
        Err(error) => return Err(error),
    };
    if options.is_checked {
        check(&connection)?;
    }
    if options.has_wal {
        set_wal_mode(&connection, options.busy_timeout)?;
    }
    connection.pragma_update(None, "synchronous", options.synchronous)?;
    if !is_current {
        kind.migrate(&mut connection, path)?;
    }
    Ok(connection)
}

fn check(connection: &Connection) -> rusqlite::Result<()> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(damage(&found)) }
}

fn set_wal_mode(connection: &Connection, busy_timeout: Duration) -> rusqlite::Result<()> {
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != "wal" {
        connection.busy_timeout(WAL_TIMEOUT)?;
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        connection.busy_timeout(busy_timeout)?;
    }
    Ok(())
}

impl FileKind {
    /// Number of the format that this program writes.
    fn newest(&self) -> i32 {
        self.migrations.last().map_or(self.tables.format, |migration| migration.format.max(self.tables.format))
    }

    /// Number of the oldest format that this program can migrate.
    fn oldest(&self) -> i32 {
        self.migrations.first().map_or(self.tables.format, |migration| self.tables.format.min(migration.format - 1))
    }

    fn is_current(&self, connection: &mut Connection, path: &Path) -> Result<bool, OpenError> {
        // In a transaction, because another process may be creating the file.
        let transaction = connection.transaction()?;
        let state = self.state(&transaction, path)?;
        Ok(matches!(state, FileState::Known { format, is_marked: true } if format == self.newest()))
    }

    /// Determines what a file is. Must be called within a transaction.
    fn state(&self, connection: &Connection, path: &Path) -> Result<FileState, OpenError> {
        let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
        let (application_id, format) = (number("application_id")?, number("user_version")?);
        if application_id != self.application_id {
            if application_id == 0 {
                if format == 0 && !connection.prepare("SELECT 1 FROM sqlite_schema")?.exists([])? {
                    return Ok(FileState::Empty);
                }
                if self.is_unmarked(connection, format)? {
                    if format < self.oldest() {
                        return Err(OpenError::TooOld { path: path.to_owned(), format, oldest: self.oldest() });
                    }
                    return Ok(FileState::Known { format, is_marked: false });
                }
            }
            return Err(OpenError::Foreign { path: path.to_owned(), name: self.name });
        }
        if format > self.newest() {
            return Err(OpenError::Newer { path: path.to_owned(), format, newest: self.newest() });
        }
        if format < self.oldest() {
            return Err(OpenError::TooOld { path: path.to_owned(), format, oldest: self.oldest() });
        }
        Ok(FileState::Known { format, is_marked: true })
    }

    fn is_unmarked(&self, connection: &Connection, format: i32) -> rusqlite::Result<bool> {
        let Some(unmarked) = &self.unmarked else { return Ok(false) };
        let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?";
        Ok(unmarked.formats.contains(&format) && connection.prepare(sql)?.exists([unmarked.table])?)
    }

    fn migrate(&self, connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
        loop {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Another process may have migrated the file meanwhile.
            let migration = match self.state(&transaction, path)? {
                FileState::Empty => Some(&self.tables),
                FileState::Known { format, is_marked: true } if format == self.newest() => return Ok(()),
                FileState::Known { format, .. } => self.migrations.iter().find(|migration| migration.format > format),
            };
            if let Some(migration) = migration {
                transaction.execute_batch(migration.sql)?;
                transaction.pragma_update(None, "user_version", migration.format)?;
            }
            transaction.pragma_update(None, "application_id", self.application_id)?;
            transaction.commit()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Barrier;

    use tempfile::TempDir;

    use super::*;

    /// Its first format has notes, the second numbers them, and the third counts how often it was reached.
    const KIND: FileKind = FileKind {
        name: "a file of this test",
        application_id: i32::from_be_bytes(*b"test"),
        tables: Migration { format: 1, sql: "CREATE TABLE note (text TEXT)" },
        migrations: &[
            Migration { format: 2, sql: "ALTER TABLE note ADD COLUMN number INTEGER NOT NULL DEFAULT 7" },
            Migration { format: 3, sql: "CREATE TABLE reached (format INTEGER); INSERT INTO reached VALUES (3)" },
        ],
        unmarked: Some(Unmarked { table: "note", formats: 1..=2 }),
    };
    const OPTIONS: Options =
        Options { busy_timeout: Duration::from_secs(20), has_wal: true, synchronous: "FULL", is_checked: false };

    struct Scene {
        folder: TempDir,
    }

    impl Scene {
        fn new() -> Self {
            Self { folder: TempDir::new().unwrap() }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("test.sqlite")
        }

        /// Makes a file by other hands.
        fn with(sql: &str) -> Self {
            let scene = Self::new();
            Connection::open(scene.path()).unwrap().execute_batch(sql).unwrap();
            scene
        }

        fn open(&self) -> Result<Connection, OpenError> {
            open(&self.path(), &KIND, &OPTIONS)
        }
    }

    fn marks(connection: &Connection) -> (i32, i32) {
        let number = |name| connection.pragma_query_value(None, name, |row| row.get(0)).unwrap();
        (number("application_id"), number("user_version"))
    }

    fn count(connection: &Connection, sql: &str) -> i64 {
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    const FIRST: &str = "CREATE TABLE note (text TEXT); INSERT INTO note VALUES ('kept'); PRAGMA user_version = 1;";

    #[test]
    fn a_new_file_is_private_marked_and_of_the_newest_format() {
        let scene = Scene::new();
        assert!(matches!(scene.open(), Err(OpenError::Sqlite(_))), "a missing file is not created on the way");
        create(&scene.path()).unwrap();
        assert!(open_current(&scene.path(), &KIND, OPTIONS.busy_timeout).unwrap().is_none());
        let connection = scene.open().unwrap();
        assert_eq!(marks(&connection), (KIND.application_id, 3));
        assert_eq!(count(&connection, "SELECT count(*) FROM reached"), 1);
        assert_eq!(connection.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0)).unwrap(), "wal");
        assert!(open_current(&scene.path(), &KIND, OPTIONS.busy_timeout).unwrap().is_some());
        create(&scene.path()).unwrap();
        assert_eq!(fs::metadata(scene.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn an_older_file_is_migrated_with_what_it_holds() {
        let marked = format!("{FIRST} PRAGMA application_id = {};", KIND.application_id);
        let second = "ALTER TABLE note ADD COLUMN number INTEGER NOT NULL DEFAULT 7; PRAGMA user_version = 2;";
        for sql in [FIRST, &marked, &format!("{FIRST} {second}"), &format!("{marked} {second}")] {
            let scene = Scene::with(sql);
            assert!(open_current(&scene.path(), &KIND, OPTIONS.busy_timeout).unwrap().is_none());
            for _ in 0..2 {
                let connection = scene.open().unwrap();
                assert_eq!(marks(&connection), (KIND.application_id, 3), "{sql}");
                assert_eq!(count(&connection, "SELECT number FROM note WHERE text = 'kept'"), 7);
                assert_eq!(count(&connection, "SELECT count(*) FROM reached"), 1);
            }
        }
    }

    #[test]
    fn files_of_newer_and_other_programs_are_refused_and_stay_as_they_are() {
        let ours = format!("PRAGMA application_id = {};", KIND.application_id);
        for (sql, reason) in [
            (format!("{FIRST} {ours} PRAGMA user_version = 4;"), "a newer apt-ci (format 4, this program knows 3)"),
            (format!("{FIRST} {ours} PRAGMA user_version = 0;"), "a much older apt-ci (format 0, this program knows 1"),
            (format!("{FIRST} PRAGMA application_id = 5;"), "is not a file of this test, but another program's"),
            (format!("{FIRST} PRAGMA user_version = 3;"), "another program's database"),
            ("CREATE TABLE other (text TEXT); PRAGMA user_version = 1;".to_owned(), "another program's database"),
            ("CREATE TABLE other (text TEXT);".to_owned(), "another program's database"),
        ] {
            let scene = Scene::with(&sql);
            let before = fs::read(scene.path()).unwrap();
            let error = scene.open().map(drop).unwrap_err().to_string();
            assert!(error.contains(reason) && error.starts_with(&scene.path().display().to_string()), "{error}");
            assert_eq!(open_current(&scene.path(), &KIND, OPTIONS.busy_timeout).unwrap_err().to_string(), error);
            assert_eq!(fs::read(scene.path()).unwrap(), before, "{sql}");
        }
    }

    #[test]
    fn many_processes_at_once_migrate_a_file_once() {
        for sql in ["", FIRST] {
            let scene = Scene::with(sql);
            let barrier = Barrier::new(8);
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        barrier.wait();
                        let connection = scene.open().unwrap();
                        assert_eq!(marks(&connection), (KIND.application_id, 3));
                    });
                }
            });
            let connection = scene.open().unwrap();
            assert_eq!(count(&connection, "SELECT count(*) FROM reached"), 1);
            assert_eq!(count(&connection, "SELECT count(*) FROM pragma_table_info('note')"), 2);
        }
    }

    #[test]
    fn a_migration_that_fails_is_undone_and_those_before_it_stay() {
        // The third format creates a table that is there already.
        let scene = Scene::with(&format!("{FIRST} CREATE TABLE reached (number INTEGER);"));
        for _ in 0..2 {
            assert!(matches!(scene.open(), Err(OpenError::Sqlite(_))));
            let connection = Connection::open(scene.path()).unwrap();
            assert_eq!(marks(&connection), (KIND.application_id, 2));
            assert_eq!(count(&connection, "SELECT count(*) FROM reached"), 0);
        }
    }

    #[test]
    fn damage_is_told_from_other_errors() {
        let scene = Scene::new();
        fs::write(scene.path(), "no database at all, but long enough to be taken for one".repeat(100)).unwrap();
        assert!(matches!(scene.open(), Err(OpenError::Sqlite(error)) if is_damaged(&error) && !is_busy(&error)));
        let scene = Scene::with(&format!("{FIRST} CREATE TABLE second (text TEXT);"));
        drop(scene.open().unwrap());
        let mut bytes = fs::read(scene.path()).unwrap();
        bytes[4096..8192].fill(0x5a);
        fs::write(scene.path(), bytes).unwrap();
        scene.open().expect("the first page shows nothing");
        let options = Options { is_checked: true, ..OPTIONS };
        assert!(matches!(open(&scene.path(), &KIND, &options), Err(OpenError::Sqlite(error)) if is_damaged(&error)));
    }

    #[test]
    fn damage_comes_before_the_format_that_a_damaged_file_has() {
        let scene = Scene::with(
            "PRAGMA application_id = 0x74657374; PRAGMA user_version = 99; CREATE TABLE note (text TEXT);
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
             INSERT INTO note SELECT 'a note of some length, number ' || i FROM n",
        );
        let checked = || open(&scene.path(), &KIND, &Options { is_checked: true, ..OPTIONS });
        assert!(matches!(checked(), Err(OpenError::Newer { format: 99, .. })));
        let mut bytes = fs::read(scene.path()).unwrap();
        bytes[4096..8192].fill(0xff);
        fs::write(scene.path(), bytes).unwrap();
        assert!(matches!(checked(), Err(OpenError::Sqlite(error)) if is_damaged(&error)));
    }

    #[test]
    fn an_unmarked_file_that_is_too_old_is_named_as_such() {
        static LATER: FileKind = FileKind {
            tables: Migration { format: 3, sql: "CREATE TABLE note (text TEXT)" },
            migrations: &[],
            unmarked: Some(Unmarked { table: "note", formats: 1..=3 }),
            ..KIND
        };
        let scene = Scene::with("CREATE TABLE note (text TEXT); PRAGMA user_version = 2");
        let opened = open(&scene.path(), &LATER, &OPTIONS);
        assert!(matches!(opened, Err(OpenError::TooOld { format: 2, oldest: 3, .. })));
    }
}
