//! At most one connection runs a request, even if the broker has two copies of it.
//!
//! Two copies exist when a worker dies between publishing its own and acknowledging the origin's, or when a claim that came
//! back during an outage is announced again. The connection that has declared the exclusive queue named after the request's id runs
//! it; the broker removes that queue with the connection.
//!
//! The lock alone is no proof that the other copy is safe: right after a worker's death its lock may still be there while its
//! copy is on the way back already, and who drops that copy then, drops the last one. So a copy is dropped only when a
//! living holder says that it has one of its own (`super::holder_query`).
//!
//! Other programs may give several requests one id. They share its lock and run one after the other. A slot does not wait for that: the
//! request goes back and waits out a delay, with its id, by which it would be recognized as a second copy.

use std::time::Duration;

use tokio::time::Instant;

use super::connection::Live;
use super::copy::{Copy, RENEW_EVERY};
use super::fault::Fault;
use super::holder_query::{self, Holder};
use super::message::Subject;
use crate::broker::ClaimStep;

/// Between two attempts to get a lock whose holder does not answer: it has just died, or is about to answer.
const PAUSE: Duration = Duration::from_millis(100);

/// What came of the wish for a lock.
pub(super) enum Locking {
    /// It is ours. `contended` when somebody else had it when we first asked.
    Ours { contended: bool },
    /// A living connection holds the request: this copy may be dropped.
    Taken,
    /// A living connection holds another request with this id.
    Namesake,
}

/// Gets the lock, or finds out what a living connection has it for. Waits as long as neither is certain. `free_here` says whether
/// no other slot of this process is in the way, `contended` whether somebody else is known to have had it already.
pub(super) async fn lock(
    live: &Live,
    subject: &Subject,
    copy: &mut Copy,
    mut contended: bool,
    mut free_here: impl FnMut() -> bool,
) -> Result<Locking, Fault> {
    // What is no request has no id, and dropping nothing is always right.
    let Some(uuid) = &subject.uuid else {
        free_here();
        return Ok(Locking::Ours { contended: false });
    };
    let log = copy.queue.log(subject);
    let mut refused = false;
    let mut renew_at = Instant::now() + RENEW_EVERY;
    loop {
        if free_here() {
            if copy.queue.locks.lock(uuid).await? {
                log.step(ClaimStep::Locked);
                return Ok(Locking::Ours { contended });
            }
            if !refused {
                refused = true;
                log.step(ClaimStep::LockRefused);
            }
        }
        contended = true;
        match live.in_time(holder_query::holder(live, uuid, &subject.body)).await? {
            Holder::OfIt => {
                log.step(ClaimStep::HeldElsewhere);
                return Ok(Locking::Taken);
            }
            Holder::OfNamesake => return Ok(Locking::Namesake),
            Holder::Silent => {}
        }
        tokio::time::sleep(PAUSE).await;
        if Instant::now() >= renew_at {
            copy.renew(subject).await?;
            renew_at = Instant::now() + RENEW_EVERY;
        }
    }
}
