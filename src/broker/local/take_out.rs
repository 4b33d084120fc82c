//! Removal of messages from a queue, for good or to another queue, in one transaction.

use rusqlite::params;

use super::database::{Db, DbError};
use super::operations::{IS_DUE, now};
use super::shred::is_secret;
use crate::broker::{Message, MessageState, Selector};
use crate::release::QueueName;

/// Takes messages out: see [`crate::broker::Broker::take_out`].
pub(super) fn take_out(
    db: &mut Db,
    queue: &QueueName,
    state: MessageState,
    to: Option<&QueueName>,
    selector: Selector,
) -> Result<usize, DbError> {
    let _signal = to.map(|_| db.slots.wakeup_signal()).transpose()?;
    let transaction = db.write()?;
    let idle = |not: &str| {
        format!("SELECT id, body, NULL FROM request WHERE queue = ?2 AND holder IS NULL AND {not} {IS_DUE} ORDER BY id")
    };
    let (sql, table) = match state {
        MessageState::Ready => (idle(""), "request"),
        MessageState::Delayed => (idle("NOT"), "request"),
        // The condition on the time is always true.
        MessageState::Dead => (
            "SELECT id, body, reason FROM dead_letter WHERE queue = ?2 AND ?1 > 0 ORDER BY id".to_owned(),
            "dead_letter",
        ),
    };
    let found: Vec<(i64, Message)> = transaction
        .prepare_cached(&sql)?
        .query_map(params![now(), queue.to_string()], |row| {
            Ok((row.get(0)?, Message { body: row.get(1)?, reason: row.get(2)? }))
        })?
        .collect::<Result<_, _>>()?;
    let (rows, messages): (Vec<i64>, Vec<Message>) = found.into_iter().unzip();
    if messages.is_empty() {
        return Ok(0);
    }
    let chosen = selector(&messages).map_err(DbError::NotTaken)?;
    let (mut taken, mut was_secret) = (0, false);
    for (row, message) in chosen.into_iter().filter_map(|index| Some((rows.get(index)?, messages.get(index)?))) {
        was_secret |= to.is_none() && is_secret(&message.body);
        if let Some(to) = to {
            // Dead letters lose their history.
            let sql = match state {
                MessageState::Dead => {
                    "INSERT INTO request (queue, body) SELECT ?2, body FROM dead_letter WHERE id = ?1"
                }
                MessageState::Ready | MessageState::Delayed => {
                    "INSERT INTO request (queue, body, uuid, attempt, passes, failures)
                     SELECT ?2, body, uuid, attempt, passes, failures FROM request WHERE id = ?1"
                }
            };
            transaction.prepare_cached(sql)?.execute(params![row, to.to_string()])?;
        }
        taken += transaction.prepare_cached(&format!("DELETE FROM {table} WHERE id = ?1"))?.execute([row])?;
    }
    transaction.commit()?;
    if was_secret {
        db.shred();
    }
    Ok(taken)
}
