//! Runs as rows of the index.

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row, params};

use crate::request::SourcePackage;
use crate::result::layout::PackagePath;
use crate::result::listing::RunSummary;
use crate::result::{Outcome, ProofVerdict, RunOptions};
use crate::runs::StoredRun;

/// The columns of `run`, `test`, `container` and `cause` for [`read`].
pub(super) const COLUMNS: &str = "container.name, test.release, test.architecture, test.package, run.id, run.exitcode, run.version, \
     run.duration, cause.triggers, run.requester, run.uuid, run.damaged, run.proof, run.fallback, \
     run.options";

/// Condition for [`StoredRun::is_evidence`].
pub(super) const IS_EVIDENCE: &str = "NOT run.damaged AND run.proof <> 'refuted'";

/// Condition for [`StoredRun::is_branch`].
pub(super) const IS_BRANCH: &str = "coalesce(json_extract(run.options, '$.branch'), 0)";
/// Expression for [`StoredRun::ppa`].
pub(super) const PPA: &str = "json_extract(run.options, '$.ppas[#-1]')";
const NO_OPTIONS: &str = "{}";

/// Returns the same outcome as [`StoredRun::outcome`].
pub(super) fn outcome(exit_code: i32, is_damaged: bool) -> Outcome {
    if is_damaged { Outcome::Error } else { Outcome::from_exit_code(exit_code) }
}

/// Writes a run, and replaces one with the same id.
pub(super) fn write(connection: &Connection, test: i64, run: &StoredRun) -> rusqlite::Result<()> {
    let RunSummary { exitcode, version, duration, triggers, requester, uuid, proof, fallback, options } = &run.summary;
    let options = options.as_ref().map(write_options);
    let cause = match triggers {
        None => None,
        Some(triggers) => Some(cause(connection, &triggers.join(" "))?),
    };
    let uuid = uuid.as_deref().map(|text| match uuid::Uuid::parse_str(text) {
        Ok(id) if id.as_hyphenated().to_string() == text => Value::Blob(id.into_bytes().to_vec()),
        _ => Value::Text(text.to_owned()),
    });
    let duration = i64::try_from(*duration).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO run \
             (test, id, exitcode, version, duration, cause, requester, uuid, damaged, proof, fallback, options) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            test,
            run.id.as_str(),
            exitcode,
            version,
            duration,
            cause,
            requester,
            uuid,
            run.damaged,
            proof.as_str(),
            fallback,
            options
        ])?;
    Ok(())
}

/// Formats options. Most runs have none, which takes two bytes.
fn write_options(options: &RunOptions) -> String {
    if *options == RunOptions::default() {
        return NO_OPTIONS.to_owned();
    }
    serde_json::to_string(options).unwrap_or_else(|_| NO_OPTIONS.to_owned())
}

pub(super) fn read_options(text: Option<&str>) -> Option<RunOptions> {
    match text? {
        NO_OPTIONS => Some(RunOptions::default()),
        text => serde_json::from_str(text).ok(),
    }
}

fn cause(connection: &Connection, triggers: &str) -> rusqlite::Result<i64> {
    let mut look = connection.prepare_cached("SELECT id FROM cause WHERE triggers = ?")?;
    if let Some(row) = look.query([triggers])?.next()? {
        return row.get(0);
    }
    connection.prepare_cached("INSERT INTO cause (triggers) VALUES (?)")?.insert([triggers])
}

/// Returns the id of a test, which is created if it does not exist, and marks it as seen by `pass`.
pub(super) fn test(connection: &Connection, container: i64, path: &PackagePath, pass: i64) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "INSERT INTO test (container, package, release, architecture, pass) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT (package, release, architecture, container) DO UPDATE SET pass = excluded.pass RETURNING id",
        )?
        .query_row(
            params![container, path.package.as_str(), path.release.as_str(), path.architecture.as_str(), pass],
            |row| row.get(0),
        )
}

/// Reads a run. A row that no version of apt-ci has written is an error.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<StoredRun> {
    let damaged = |column, error: &dyn std::fmt::Display| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.to_string().into())
    };
    let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
    let package: SourcePackage = text(3)?.parse().map_err(|error| damaged(3, &error))?;
    let path = PackagePath {
        release: text(1)?.parse().map_err(|error| damaged(1, &error))?,
        architecture: text(2)?.parse().map_err(|error| damaged(2, &error))?,
        package,
    };
    let triggers: Option<String> = row.get(8)?;
    let uuid = match row.get_ref(10)? {
        ValueRef::Blob(bytes) => uuid::Uuid::from_slice(bytes).ok().map(|id| id.as_hyphenated().to_string()),
        ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    };
    Ok(StoredRun {
        container: row.get(0)?,
        path,
        id: text(4)?.parse().map_err(|error| damaged(4, &error))?,
        summary: RunSummary {
            exitcode: row.get(5)?,
            version: row.get(6)?,
            duration: row.get::<_, i64>(7)?.unsigned_abs(),
            triggers: triggers.map(|triggers| triggers.split_whitespace().map(str::to_owned).collect()),
            requester: row.get(9)?,
            uuid,
            proof: ProofVerdict::from_word(text(12)?),
            fallback: row.get(13)?,
            options: read_options(row.get::<_, Option<String>>(14)?.as_deref()),
        },
        damaged: row.get(11)?,
    })
}
