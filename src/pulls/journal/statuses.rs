//! Statuses that the forges have accepted, and those that they still have to accept.

use jiff::Timestamp;
use rusqlite::params;

use super::row::select;
use super::{Journal, JournalError};
use crate::forge::status::State;
use crate::pulls::PullTest;
use crate::request::RequestId;

/// Maximum number of statuses of a project in one batch.
const BATCH_SIZE: usize = 50;

/// Condition for states that a forge should show and does not. A status belongs to a commit and context, which may have
/// several tests: of two pull requests with the same head, or of repeated requests. The newer test counts, and one that
/// was run before one that was not.
pub(super) const UNSHOWN: &str = "state <> shown AND stage > 0 AND NOT EXISTS (
    SELECT 1 FROM test AS other
    WHERE other.sha = test.sha AND other.context = test.context AND other.project = test.project AND other.forge = test.forge
      AND other.api = test.api AND other.uuid <> test.uuid AND other.stage > 0
      AND ((other.created > test.created AND (other.stage < 3 OR other.tested))
           OR (test.stage = 3 AND NOT test.tested AND (other.stage < 3 OR other.tested))))";

impl Journal {
    /// Returns the tests whose states may be shown now, oldest first; of each project at most one batch.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn due_statuses(&self, now: Timestamp) -> Result<Vec<PullTest>, JournalError> {
        self.with(move |transaction| {
            let condition = format!(
                "uuid IN (
                     SELECT uuid FROM (
                         SELECT uuid, row_number() OVER (PARTITION BY forge, api, project ORDER BY created, uuid) AS place
                         FROM test WHERE {UNSHOWN} AND next <= ?
                     ) WHERE place <= {BATCH_SIZE}
                 ) ORDER BY created, uuid"
            );
            select(transaction, &condition, [now.as_second()])
        })
        .await
    }

    /// Returns when the next status may be shown; none if no status is due later.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, JournalError> {
        self.with(|transaction| {
            let sql = format!("SELECT min(next) FROM test WHERE {UNSHOWN}");
            let second: Option<i64> = transaction.query_row(&sql, [], |row| row.get(0))?;
            Ok(second.and_then(|second| Timestamp::from_second(second).ok()))
        })
        .await
    }

    /// Records that a forge has accepted this state.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn mark_shown(&self, uuid: RequestId, state: State) -> Result<(), JournalError> {
        self.with(move |transaction| {
            let sql = "UPDATE test SET shown = ?, tries = 0, next = 0, trouble = '' WHERE uuid = ?";
            transaction.execute(sql, params![state.as_str(), uuid.as_str()]).map(drop)
        })
        .await
    }

    /// Records that a forge has not accepted a state, which is not sent again before `next`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn mark_failed(&self, uuid: RequestId, next: Timestamp, trouble: String) -> Result<(), JournalError> {
        self.with(move |transaction| {
            let sql = "UPDATE test SET tries = tries + 1, next = ?, trouble = ? WHERE uuid = ?";
            transaction.execute(sql, params![next.as_second(), trouble, uuid.as_str()]).map(drop)
        })
        .await
    }

    /// Postpones statuses that were not sent, because they would have failed like the one before them.
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

    /// Makes all statuses due now, for example because a token was replaced.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn make_due(&self) -> Result<(), JournalError> {
        self.with(|transaction| transaction.execute("UPDATE test SET next = 0 WHERE state <> shown", []).map(drop))
            .await
    }
}
