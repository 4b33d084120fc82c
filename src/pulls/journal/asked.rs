//! Requests that users have asked for over the web. They belong to no pull request; they are noted so that their pages can be shown.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::row::{damaged, parsed};
use super::{Journal, JournalError, KEPT};
use crate::release::QueueName;
use crate::request::line::Submission;
use crate::request::{RequestId, SourcePackage};
use crate::result::Place;

/// Maximum number of requests that are remembered; of more, the oldest are forgotten.
const MAX_ASKED: u32 = 100_000;

/// A request that a user has asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedRequest {
    /// Its id.
    pub uuid: RequestId,
    /// The queue that it was put into.
    pub queue: QueueName,
    /// What is tested.
    pub package: SourcePackage,
    /// The container of its result.
    pub container: String,
    /// What the names of its result's files begin with.
    pub prefix: String,
    /// When it was asked for.
    pub created: Timestamp,
    /// When its result was last looked for.
    pub checked: Timestamp,
    /// How it has ended, in words; empty as long as no result was seen.
    pub outcome: String,
    /// Where its log is; empty when no browser can open it.
    pub link: String,
}

impl Journal {
    /// Notes requests under these ids, which a user was told. Those that are known stay as they are.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn note_asked(&self, requests: Vec<(RequestId, Submission)>, now: Timestamp) -> Result<(), JournalError> {
        self.with(move |transaction| {
            let sql = "INSERT INTO asked (uuid, queue, package, container, prefix, created)
                       VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
            let mut statement = transaction.prepare_cached(sql)?;
            for (uuid, Submission { queue, request }) in &requests {
                let place = Place::of(request, queue);
                statement.execute(params![
                    uuid.as_str(),
                    queue.to_string(),
                    request.package().as_str(),
                    place.container,
                    place.path.prefix(),
                    now.as_millisecond(),
                ])?;
            }
            Ok(())
        })
        .await
    }

    /// A request that a user has asked for.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn asked(&self, uuid: RequestId) -> Result<Option<AskedRequest>, JournalError> {
        self.with(move |transaction| {
            let sql = "SELECT uuid, queue, package, container, prefix, created, checked, outcome, link FROM asked WHERE uuid = ?";
            transaction.prepare_cached(sql)?.query_row([uuid.as_str()], read).optional()
        })
        .await
    }

    /// Notes that a request's result was looked for, and, if it was found, how it has ended and where its log is.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn note_looked_for(
        &self,
        uuid: RequestId,
        now: Timestamp,
        found: Option<(String, String)>,
    ) -> Result<(), JournalError> {
        self.with(move |transaction| {
            let (outcome, link) = found.unwrap_or_default();
            let sql = "UPDATE asked SET checked = ?, outcome = ?, link = ? WHERE uuid = ?";
            transaction.execute(sql, params![now.as_millisecond(), outcome, link, uuid.as_str()]).map(drop)
        })
        .await
    }
}

/// Forgets old ones; `now` is in seconds since 1970.
pub(super) fn sweep(transaction: &Transaction<'_>, now: i64) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM asked WHERE created < ?", [(now - KEPT) * 1000])?;
    let sql = "DELETE FROM asked WHERE uuid IN (SELECT uuid FROM asked ORDER BY created DESC, uuid LIMIT -1 OFFSET ?)";
    transaction.execute(sql, [MAX_ASKED]).map(drop)
}

fn read(row: &Row<'_>) -> rusqlite::Result<AskedRequest> {
    let time = |column| Timestamp::from_millisecond(row.get(column)?).map_err(|error| damaged(column, &error));
    Ok(AskedRequest {
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
