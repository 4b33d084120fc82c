//! Requests of users over the web, which belong to no pull request. They are recorded for their pages, and before they
//! are queued, so that none is lost or queued twice when the broker does not confirm them.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::row::{damaged, parsed};
use super::{Journal, JournalError, TEST_RETENTION};
use crate::release::QueueName;
use crate::request::line::Submission;
use crate::request::{Request, RequestId, SourcePackage};
use crate::result::ResultLocation;

/// Maximum number of requests; the oldest are deleted.
const MAX_USER_REQUESTS: u32 = 100_000;

/// A request of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRequest {
    /// Its id.
    pub uuid: RequestId,
    /// Its queue.
    pub queue: QueueName,
    /// The package under test.
    pub package: SourcePackage,
    /// The container of its result.
    pub container: String,
    /// Prefix of the names of its result's files.
    pub prefix: String,
    /// Time of the request.
    pub created: Timestamp,
    /// Time of the last search for its result.
    pub checked: Timestamp,
    /// Description of its outcome; empty before a result was found.
    pub outcome: String,
    /// Address of its log; empty when no browser can open it.
    pub link: String,
}

impl Journal {
    /// Adds requests under the ids that a user was given. Known ids stay as they are.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn note_user_requests(
        &self,
        requests: Vec<(RequestId, Submission)>,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        self.with(move |transaction| {
            requests.iter().try_for_each(|(uuid, submission)| insert(transaction, uuid, submission, now, ""))
        })
        .await
    }

    /// Records requests that are about to be queued. Those without an id are skipped.
    ///
    /// # Errors
    /// When the file cannot be written; then nothing is recorded.
    pub async fn record_user_requests(&self, requests: Vec<Submission>, now: Timestamp) -> Result<(), JournalError> {
        self.durably(move |transaction| {
            let identified = requests.iter().filter_map(|submission| Some((submission.request.uuid()?, submission)));
            for (uuid, submission) in identified {
                insert(transaction, uuid, submission, now, &submission.request.to_wire())?;
            }
            Ok(())
        })
        .await
    }

    /// Records that requests are queued.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn mark_user_requests_queued(&self, uuids: Vec<RequestId>) -> Result<(), JournalError> {
        self.with(move |transaction| {
            let mut statement = transaction.prepare_cached("UPDATE asked SET request = '' WHERE uuid = ?")?;
            uuids.iter().try_for_each(|uuid| statement.execute([uuid.as_str()]).map(drop))
        })
        .await
    }

    /// Deletes requests that are certainly not queued, as their user was informed.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn forget_user_requests(&self, uuids: Vec<RequestId>) -> Result<(), JournalError> {
        self.durably(move |transaction| {
            let mut statement = transaction.prepare_cached("DELETE FROM asked WHERE uuid = ? AND request <> ''")?;
            uuids.iter().try_for_each(|uuid| statement.execute([uuid.as_str()]).map(drop))
        })
        .await
    }

    /// Records why a request can never be queued.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn end_user_request(&self, uuid: RequestId, reason: &str) -> Result<(), JournalError> {
        let outcome = format!("not tested: {reason}");
        self.with(move |transaction| {
            let sql = "UPDATE asked SET request = '', outcome = ? WHERE uuid = ?";
            transaction.execute(sql, params![outcome, uuid.as_str()]).map(drop)
        })
        .await
    }

    /// Returns the requests that were recorded before a time and may not be queued, oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn unconfirmed_user_requests(&self, before: Timestamp) -> Result<Vec<Submission>, JournalError> {
        self.with(move |transaction| {
            let sql = "SELECT queue, request FROM asked WHERE request <> '' AND created < ? ORDER BY created, uuid";
            let mut statement = transaction.prepare_cached(sql)?;
            let read = |row: &Row<'_>| {
                let request: String = row.get(1)?;
                let request = Request::parse(request.as_bytes()).map_err(|error| damaged(1, &error))?;
                Ok(Submission { queue: parsed(row, 0)?, request })
            };
            statement.query_map([before.as_millisecond()], read)?.collect()
        })
        .await
    }

    /// Returns a request of a user.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn user_request(&self, uuid: RequestId) -> Result<Option<UserRequest>, JournalError> {
        self.with(move |transaction| {
            let sql = "SELECT uuid, queue, package, container, prefix, created, checked, outcome, link FROM asked WHERE uuid = ?";
            transaction.prepare_cached(sql)?.query_row([uuid.as_str()], read).optional()
        })
        .await
    }

    /// Records that a request's result was searched, and, if it was found, its outcome and the address of its log.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn note_result_search(
        &self,
        uuid: RequestId,
        now: Timestamp,
        found: Option<(String, String)>,
    ) -> Result<(), JournalError> {
        self.with(move |transaction| {
            let (outcome, link) = found.unwrap_or_default();
            // A request with a result was queued.
            let sql = "UPDATE asked SET checked = ?1, outcome = ?2, link = ?3, request = CASE ?2 WHEN '' THEN request ELSE '' END
                       WHERE uuid = ?4";
            transaction.execute(sql, params![now.as_millisecond(), outcome, link, uuid.as_str()]).map(drop)
        })
        .await
    }
}

/// Adds a request unless it is known. `wire` is its message, or empty when it is certainly queued.
fn insert(
    transaction: &Transaction<'_>,
    uuid: &RequestId,
    Submission { queue, request }: &Submission,
    now: Timestamp,
    wire: &str,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO asked (uuid, queue, package, container, prefix, created, request)
               VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
    let place = ResultLocation::of(request, queue);
    let row = params![
        uuid.as_str(),
        queue.to_string(),
        request.package().as_str(),
        place.container,
        place.path.prefix(),
        now.as_millisecond(),
        wire,
    ];
    transaction.prepare_cached(sql)?.execute(row).map(drop)
}

/// Deletes old requests. `now` is in seconds since 1970.
pub(super) fn sweep(transaction: &Transaction<'_>, now: i64) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM asked WHERE created < ?", [(now - TEST_RETENTION.as_secs()) * 1000])?;
    let sql = "DELETE FROM asked WHERE uuid IN (SELECT uuid FROM asked ORDER BY created DESC, uuid LIMIT -1 OFFSET ?)";
    transaction.execute(sql, [MAX_USER_REQUESTS]).map(drop)
}

fn read(row: &Row<'_>) -> rusqlite::Result<UserRequest> {
    let time = |column| Timestamp::from_millisecond(row.get(column)?).map_err(|error| damaged(column, &error));
    Ok(UserRequest {
        uuid: parsed(row, 0)?,
        queue: parsed(row, 1)?,
        package: parsed(row, 2)?,
        container: row.get(3)?,
        prefix: row.get(4)?,
        created: time(5)?,
        checked: time(6)?,
        outcome: row.get(7)?,
        link: row.get(8)?,
    })
}
