//! Tests as rows of their table.

use jiff::Timestamp;
use rusqlite::{Row, Transaction, params};

use crate::forge::status::State;
use crate::pulls::{PullTest, Stage};
use crate::request::Request;
use crate::request::line::Submission;
use crate::result::ResultLocation;

/// Adds a test unless it is known. Returns whether it was added.
pub(super) fn insert(transaction: &Transaction<'_>, test: &PullTest, delivery: &str) -> rusqlite::Result<bool> {
    let place = ResultLocation::of(&test.submission.request, &test.submission.queue);
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

pub(super) fn select(
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

pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
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

pub(super) fn damaged(column: usize, reason: &dyn std::fmt::Display) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, reason.to_string().into())
}
