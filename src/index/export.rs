//! The database that proposed-migration and web pages download: `autopkgtest.db`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::row::read_options;
use super::{Index, IndexError};

/// The tables that its readers expect.
const SCHEMA: &str = "
    CREATE TABLE test (id INTEGER PRIMARY KEY, release CHAR[20], arch CHAR[20], package CHAR[120]);
    CREATE TABLE result (
        test_id INTEGER, run_id CHAR[30], version VARCHAR[200], triggers TEXT, duration INTEGER, exitcode INTEGER,
        requester TEXT, env TEXT,
        PRIMARY KEY (test_id, run_id), FOREIGN KEY (test_id) REFERENCES test (id)
    );
    CREATE TABLE current_version (
        release CHAR[20], pocket CHAR[40], component CHAR[10], package CHAR[120], version CHAR[120], PRIMARY KEY (release, package)
    );
    CREATE UNIQUE INDEX test_ix ON test (release, arch, package);
    CREATE INDEX result_run_ix ON result (run_id);
    CREATE INDEX result_requester_idx ON result (requester);";

/// Versions of runs that ended before the version was known.
const UNKNOWN_VERSIONS: [&str; 2] = ["unknown", "blacklisted"];

/// Result of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportSummary {
    /// Number of results.
    pub results: usize,
    /// The file's checksum, in hexadecimal digits.
    pub sha256: String,
    /// The file with the checksum.
    pub checksum_file: PathBuf,
}

impl Index {
    /// Writes the public results of releases, without those of PPAs, to a database at `file`, and its checksum to
    /// `file.sha256`: only the hexadecimal digest, because proposed-migration compares the whole text. Each is replaced
    /// atomically; a reader that fetches an old and a new one sees that they do not match.
    ///
    /// Damaged results are left out, as proposed-migration ignores them, and so are triggers of runs from branches.
    /// `env` has `all-proposed=1` and `testname=`. `current_version` has the newest version that a run has tested; its
    /// pocket and component are not known here and stay empty.
    ///
    /// New files are named `file.new` and `file.sha256.new`. If the process dies, the next export replaces them. Only
    /// one export at a time writes to a folder; others wait.
    ///
    /// # Errors
    /// [`IndexError::Incomplete`], or when the file cannot be written.
    pub fn export(&self, file: &Path) -> Result<ExportSummary, IndexError> {
        let failed = |error: &dyn std::fmt::Display| unwritable(file, error);
        let half: Option<String> = self.with(|connection| {
            // A later scan in progress has not removed anything yet.
            let sql = "SELECT name FROM container WHERE access = 'public' AND checked = 0";
            connection.query_row(sql, [], |row| row.get(0)).optional()
        })?;
        if let Some(container) = half {
            return Err(IndexError::Incomplete(container));
        }
        let beside = |suffix: &str| {
            let mut name = file.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = File::open(folder).map_err(|error| failed(&error))?;
        // The lock is on the folder and leaves no file. Without support for locks, two exports may clash, which SQLite
        // or the rename reports.
        match folder.lock() {
            Err(error) if error.kind() != io::ErrorKind::Unsupported => return Err(failed(&error)),
            _ => {}
        }
        let (new, checksum_file, new_checksum) = (beside(".new"), beside(".sha256"), beside(".sha256.new"));
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&error)),
            _ => {}
        }
        let outcome = (|| -> Result<ExportSummary, IndexError> {
            let written = self.write_export(&new);
            let results = written.map_err(|error| match error {
                IndexError::Unwritable { reason, .. } => failed(&reason),
                other => other,
            })?;
            let sha256 = checksum(&new).map_err(|error| failed(&error))?;
            let finish = || -> io::Result<()> {
                fs::write(&new_checksum, &sha256)?;
                File::open(&new_checksum)?.sync_all()?;
                File::open(&new)?.sync_all()?;
                fs::rename(&new, file)?;
                fs::rename(&new_checksum, &checksum_file)?;
                folder.sync_all()
            };
            finish().map_err(|error| failed(&error))?;
            Ok(ExportSummary { results, sha256, checksum_file: checksum_file.clone() })
        })();
        if outcome.is_err() {
            let _ = fs::remove_file(&new);
            let _ = fs::remove_file(&new_checksum);
        }
        outcome
    }

    fn write_export(&self, file: &Path) -> Result<usize, IndexError> {
        let failed = |error: rusqlite::Error| unwritable(file, &error);
        let mut export = Connection::open(file).map_err(failed)?;
        // The file is complete or discarded: nothing in it is ever rolled back.
        export.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;").map_err(failed)?;
        let transaction = export.transaction().map_err(failed)?;
        transaction.execute_batch(SCHEMA).map_err(failed)?;
        let written = self.with(|connection| {
            let mut tests = connection.prepare(
                "SELECT test.id, test.release, test.architecture, test.package FROM test JOIN container ON container.id = test.container \
                 WHERE container.access = 'public' AND container.name = 'autopkgtest-' || test.release \
                 ORDER BY test.release, test.architecture, test.package",
            )?;
            // A refuted run stays, as the testbed failure that it is: proposed-migration would wait for it
            // indefinitely.
            let mut runs = connection.prepare(
                "SELECT run.id, run.version, cause.triggers, run.duration, run.exitcode, run.requester, run.options \
                 FROM run LEFT JOIN cause ON cause.id = run.cause WHERE run.test = ? AND NOT run.damaged \
                 ORDER BY run.id",
            )?;
            let mut add_test = transaction.prepare("INSERT INTO test (id, release, arch, package) VALUES (?, ?, ?, ?)")?;
            let mut add = transaction.prepare("INSERT INTO result VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?;
            let mut results = 0;
            let mut current: BTreeMap<(String, String), (String, String)> = BTreeMap::new();
            let mut rows = tests.query([])?;
            while let Some(row) = rows.next()? {
                let test: i64 = row.get(0)?;
                let (release, architecture, package) = (row.get_ref(1)?, row.get_ref(2)?, row.get_ref(3)?);
                add_test.execute(params![test, release.as_str()?, architecture.as_str()?, package.as_str()?])?;
                let mut tested = None;
                let mut rows = runs.query([test])?;
                while let Some(row) = rows.next()? {
                    let id = row.get_ref(0)?.as_str()?;
                    let triggers: Option<String> = row.get(2)?;
                    let requester: Option<String> = row.get(5)?;
                    let options = read_options(row.get::<_, Option<String>>(6)?.as_deref()).unwrap_or_default();
                    // A branch's result says nothing about the archive's package with that trigger.
                    let triggers = triggers.filter(|_| !options.branch);
                    let (version, duration, exitcode) = (row.get_ref(1)?.as_str()?, row.get::<_, i64>(3)?, row.get::<_, i64>(4)?);
                    add.execute(params![
                        test,
                        id,
                        version,
                        triggers.unwrap_or_default(),
                        duration,
                        exitcode,
                        requester.unwrap_or_default(),
                        options.env(),
                    ])?;
                    if !options.branch && !UNKNOWN_VERSIONS.contains(&version) {
                        tested = Some((id.to_owned(), version.to_owned()));
                    }
                    results += 1;
                }
                if let Some(tested) = tested {
                    // The version of the newest run on any architecture.
                    let current = current.entry((release.as_str()?.to_owned(), package.as_str()?.to_owned())).or_default();
                    *current = std::mem::take(current).max(tested);
                }
            }
            let mut add_current = transaction.prepare("INSERT INTO current_version VALUES (?, '', '', ?, ?)")?;
            for ((release, package), (_, version)) in current {
                add_current.execute([release, package, version])?;
            }
            Ok(results)
        })?;
        transaction.commit().map_err(failed)?;
        export.close().map_err(|(_, error)| failed(error))?;
        Ok(written)
    }
}

fn unwritable(path: &Path, reason: &dyn std::fmt::Display) -> IndexError {
    IndexError::Unwritable { path: path.to_owned(), reason: reason.to_string() }
}

fn checksum(file: &Path) -> io::Result<String> {
    let mut file = File::open(file)?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        sum.update(bytes);
    }
    Ok(sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
