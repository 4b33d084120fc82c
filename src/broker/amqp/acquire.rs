//! Acquires the lock of a request: at most one connection runs it, even if the broker has two copies of it.
//!
//! Two copies exist when a worker dies between storing its own and acknowledging the origin's delivery, or when a claim
//! is acquired again after an outage. The connection that has declared the exclusive queue named after the request's id
//! runs the request. The broker deletes that queue with the connection.
//!
//! The lock does not prove that the other copy is safe. Right after a worker's death its lock may still exist while its
//! copy is on its way back, so that a worker that drops its own copy then drops the last one. So a copy is dropped only
//! when a living holder answers that it has its own (`super::holder_query`).
//!
//! Other programs may give several requests one id. They share its lock and run one after the other. A slot does not
//! wait for that: the request goes into a delay queue with its id, by which it would be recognized as a second copy.

use std::time::Duration;

use tokio::time::Instant;

use super::claimed_message::{ClaimedMessage, RENEW_INTERVAL};
use super::connection::Connection;
use super::error::AmqpError;
use super::holder_query::{self, Holder};
use super::message::ClaimedRequest;
use crate::broker::ClaimStep;

/// Pause between attempts to get a lock whose holder does not answer: it has just died, or is about to answer.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// Outcome of an attempt to get a lock.
pub(super) enum LockOutcome {
    /// The lock is ours. `contended` if another connection had it when we first asked.
    Ours { contended: bool },
    /// A living connection holds the request: our copy may be dropped.
    Taken,
    /// A living connection holds another request with this id.
    Namesake,
}

/// Gets the lock, or finds out which request a living connection uses it for. Waits while neither is certain.
///
/// `free_here` returns whether no other slot of this process holds the request. `contended` means that another holder
/// is already known to have had it.
pub(super) async fn lock(
    connection: &Connection,
    claimed: &ClaimedRequest,
    copy: &mut ClaimedMessage,
    mut contended: bool,
    mut free_here: impl FnMut() -> bool,
) -> Result<LockOutcome, AmqpError> {
    // A message that is not a request has no id. No copy of it is ever dropped.
    let Some(uuid) = &claimed.uuid else {
        free_here();
        return Ok(LockOutcome::Ours { contended: false });
    };
    let log = copy.queue.log(claimed);
    let mut refused = false;
    let mut renew_at = Instant::now() + RENEW_INTERVAL;
    loop {
        if free_here() {
            if copy.queue.locks.lock(uuid).await? {
                log.step(ClaimStep::Locked);
                return Ok(LockOutcome::Ours { contended });
            }
            if !refused {
                refused = true;
                log.step(ClaimStep::LockRefused);
            }
        }
        contended = true;
        match connection.with_timeout(holder_query::holder(connection, uuid, &claimed.body)).await? {
            Holder::Request => {
                log.step(ClaimStep::HeldElsewhere);
                return Ok(LockOutcome::Taken);
            }
            Holder::Namesake => return Ok(LockOutcome::Namesake),
            Holder::Unknown => {}
        }
        tokio::time::sleep(RETRY_DELAY).await;
        if Instant::now() >= renew_at {
            copy.renew(claimed).await?;
            renew_at = Instant::now() + RENEW_INTERVAL;
        }
    }
}
