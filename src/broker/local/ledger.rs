//! What is done to the queue's file, each operation in one transaction.

use rusqlite::{OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::database::{Desk, Fault};
use super::life::{SlotFolder, SlotLock};
use crate::broker::{DeadLetter, QueueContents, QueueState, Rotation, Verdict};
use crate::release::QueueName;
use crate::request::line::Submission;
use crate::request::{InvalidRequest, Request};

/// A request that a slot has just taken.
pub(super) struct Taken {
    /// The queue that it came from.
    pub(super) queue: QueueName,
    pub(super) row: i64,
    pub(super) request: Result<Request, InvalidRequest>,
    /// This attempt; the first is 1.
    pub(super) attempt: u32,
}

/// What a slot looks for.
pub(super) struct Search {
    pub(super) slot: String,
    pub(super) rotation: Rotation,
    /// Whether the slot is shown as waiting, and whether it will wait if there is nothing.
    pub(super) shown_waiting: bool,
    pub(super) will_wait: bool,
}

pub(super) fn declare(desk: &mut Desk, queues: &[QueueName]) -> Result<(), Fault> {
    let transaction = desk.write()?;
    for queue in queues {
        transaction
            .prepare_cached("INSERT INTO queue (name) VALUES (?1) ON CONFLICT DO NOTHING")?
            .execute([queue.to_string()])?;
    }
    Ok(transaction.commit()?)
}

fn exists(connection: &rusqlite::Connection, queue: &QueueName) -> Result<bool, rusqlite::Error> {
    connection.prepare_cached("SELECT 1 FROM queue WHERE name = ?1")?.exists([queue.to_string()])
}

pub(super) fn existing(desk: &mut Desk, queues: Vec<QueueName>) -> Result<Vec<QueueName>, Fault> {
    let mut found = Vec::new();
    for queue in queues {
        if exists(&desk.connection, &queue)? {
            found.push(queue);
        }
    }
    Ok(found)
}

pub(super) fn submit(desk: &mut Desk, submissions: Vec<Submission>) -> Result<(), Fault> {
    let _ring = desk.slots.doorbell()?;
    let transaction = desk.write()?;
    for Submission { queue, request } in submissions {
        if !exists(&transaction, &queue)? {
            return Err(Fault::NoSuchQueue(queue));
        }
        let request = request.identified();
        transaction.prepare_cached("INSERT INTO request (queue, body, uuid) VALUES (?1, ?2, ?3)")?.execute(params![
            queue.to_string(),
            request.to_wire().into_bytes(),
            uuid(&request)
        ])?;
    }
    Ok(transaction.commit()?)
}

fn uuid(request: &Request) -> Option<&str> {
    request.uuid().map(|id| id.as_str())
}

/// Registers a new slot and makes its file. What dead ones have left is cleared away at this occasion.
pub(super) fn enter(desk: &mut Desk, queues: &[QueueName]) -> Result<(String, SlotLock), Fault> {
    declare(desk, queues)?;
    bury_dead(desk)?;
    let slots = desk.slots.clone();
    let slot = Uuid::new_v4().to_string();
    let transaction = desk.write()?;
    // No new slot can be half-made here, so what is not locked is what a process left that died before it registered.
    for stray in slots.files()? {
        if !slots.is_alive(&stray) && !is_known(&transaction, &stray)? {
            slots.remove(&stray);
        }
    }
    let lock = slots.lock_new(&slot)?;
    transaction.execute("INSERT INTO slot (id) VALUES (?1)", [&slot])?;
    for queue in queues {
        transaction.execute(
            "INSERT INTO slot_queue (slot, queue) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            params![slot, queue.to_string()],
        )?;
    }
    match transaction.commit() {
        Ok(()) => Ok((slot, lock)),
        Err(error) => {
            slots.remove(&slot);
            Err(error.into())
        }
    }
}

fn is_known(transaction: &Transaction<'_>, slot: &str) -> Result<bool, rusqlite::Error> {
    let sql = "SELECT 1 FROM slot WHERE id = ?1 UNION ALL SELECT 1 FROM request WHERE holder = ?1";
    transaction.prepare_cached(sql)?.exists([slot])
}

/// Gives back what this slot holds and forgets it.
fn forget(transaction: &Transaction<'_>, slot: &str) -> Result<usize, rusqlite::Error> {
    let returned = transaction.prepare_cached("UPDATE request SET holder = NULL WHERE holder = ?1")?.execute([slot])?;
    transaction.prepare_cached("DELETE FROM slot WHERE id = ?1")?.execute([slot])?;
    Ok(returned)
}

/// The end of a slot in good order. Its lock must be held until this is done; that file's end rings for it.
pub(super) fn leave(desk: &mut Desk, slot: &str) -> Result<(), Fault> {
    let transaction = desk.write()?;
    forget(&transaction, slot)?;
    transaction.commit()?;
    desk.slots.remove(slot);
    Ok(())
}

/// Gives back what dead slots held. Writes only if there are any.
fn bury_dead(desk: &mut Desk) -> Result<(), Fault> {
    let mut dead: Vec<String> = desk
        .connection
        .prepare_cached("SELECT id FROM slot UNION SELECT holder FROM request WHERE holder IS NOT NULL")?
        .query_map((), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    dead.retain(|slot| !desk.slots.is_alive(slot));
    if dead.is_empty() {
        return Ok(());
    }
    let _ring = desk.slots.doorbell()?;
    let transaction = desk.write()?;
    for slot in &dead {
        let returned = forget(&transaction, slot)?;
        if returned > 0 {
            tracing::warn!(slot, returned, "a worker died; its request is back on its queue");
        }
    }
    transaction.commit()?;
    dead.iter().for_each(|slot| desk.slots.remove(slot));
    Ok(())
}

/// Takes the next request for a slot, or shows it as waiting.
pub(super) fn take(desk: &mut Desk, search: &Search) -> Result<Option<Taken>, Fault> {
    bury_dead(desk)?;
    // Many wake up for one request: those who find nothing do not stand in the way of the one who writes.
    if !any_ready(desk, search.rotation.queues())? && search.shown_waiting == search.will_wait {
        return Ok(None);
    }
    let slots = desk.slots.clone();
    let transaction = desk.write()?;
    let (mut taken, mut served) = (None, None);
    for index in search.rotation.order() {
        taken = take_from(&transaction, &slots, &search.slot, &search.rotation.queues()[index])?;
        if taken.is_some() {
            served = Some(index);
            break;
        }
    }
    let waiting = taken.is_none() && search.will_wait;
    let sql = "UPDATE slot SET waiting = ?2 WHERE id = ?1";
    if transaction.prepare_cached(sql)?.execute(params![search.slot, waiting])? == 0 {
        return Err(Fault::Unusable("somebody removed this worker's slot".to_owned()));
    }
    transaction.commit()?;
    if let Some(index) = served {
        search.rotation.served(index);
    }
    Ok(taken)
}

fn any_ready(desk: &Desk, queues: &[QueueName]) -> Result<bool, rusqlite::Error> {
    let mut statement =
        desk.connection.prepare_cached("SELECT 1 FROM request WHERE queue = ?1 AND holder IS NULL LIMIT 1")?;
    for queue in queues {
        if statement.exists([queue.to_string()])? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn take_from(
    transaction: &Transaction<'_>,
    slots: &SlotFolder,
    slot: &str,
    queue: &QueueName,
) -> Result<Option<Taken>, Fault> {
    loop {
        let next: Option<(i64, Vec<u8>, i64)> = transaction
            .prepare_cached(
                "SELECT id, body, attempt FROM request WHERE queue = ?1 AND holder IS NULL ORDER BY id LIMIT 1",
            )?
            .query_row([queue.to_string()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((row, body, attempt)) = next else { return Ok(None) };
        let request = Request::parse(&body).map(Request::identified);
        if let Ok(request) = &request
            && is_held(transaction, slots, request)?
        {
            tracing::warn!(%queue, uuid = uuid(request), "dropped a second copy of a request that a worker holds");
            transaction.prepare_cached("DELETE FROM request WHERE id = ?1")?.execute([row])?;
            continue;
        }
        let attempt = u32::try_from(attempt).unwrap_or(u32::MAX).saturating_add(1);
        // The id that it got here must be the same if this worker dies and another takes it.
        let body = request.as_ref().map_or(body, |request| request.to_wire().into_bytes());
        transaction
            .prepare_cached("UPDATE request SET holder = ?2, attempt = ?3, body = ?4, uuid = ?5 WHERE id = ?1")?
            .execute(params![row, slot, attempt, body, request.as_ref().ok().and_then(uuid)])?;
        return Ok(Some(Taken { queue: queue.clone(), row, request, attempt }));
    }
}

/// Whether a living slot holds a request with the same id.
fn is_held(transaction: &Transaction<'_>, slots: &SlotFolder, request: &Request) -> Result<bool, rusqlite::Error> {
    let holders: Vec<String> = transaction
        .prepare_cached("SELECT holder FROM request WHERE uuid = ?1 AND holder IS NOT NULL")?
        .query_map([uuid(request)], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(holders.iter().any(|slot| slots.is_alive(slot)))
}

/// No longer shows a slot as waiting.
pub(super) fn stop_waiting(desk: &mut Desk, slot: &str) -> Result<(), Fault> {
    desk.connection.execute("UPDATE slot SET waiting = 0 WHERE id = ?1", [slot])?;
    Ok(())
}

/// Gives a request back to its place.
pub(super) fn release(desk: &mut Desk, slot: &str, row: i64) -> Result<(), Fault> {
    let _ring = desk.slots.doorbell()?;
    let sql = "UPDATE request SET holder = NULL WHERE id = ?1 AND holder = ?2";
    desk.connection.execute(sql, params![row, slot])?;
    Ok(())
}

pub(super) fn settle(desk: &mut Desk, slot: &str, row: i64, verdict: &Verdict) -> Result<(), Fault> {
    // The other verdicts leave nothing to claim: who waits is left in peace.
    let _ring = matches!(verdict, Verdict::Requeue | Verdict::Return).then(|| desk.slots.doorbell()).transpose()?;
    let transaction = desk.write()?;
    match verdict {
        Verdict::Done => {}
        Verdict::Requeue | Verdict::Return => {
            let uncounted = i64::from(*verdict == Verdict::Return);
            transaction.execute(
                "INSERT INTO request (queue, body, uuid, attempt)
                 SELECT queue, body, uuid, max(attempt - ?3, 1) FROM request WHERE id = ?1 AND holder = ?2",
                params![row, slot, uncounted],
            )?;
        }
        Verdict::Dead(reason) => {
            transaction.execute(
                "INSERT INTO dead_letter (queue, body, attempt, reason)
                 SELECT queue, body, attempt, ?3 FROM request WHERE id = ?1 AND holder = ?2",
                params![row, slot, reason],
            )?;
        }
    }
    if transaction.execute("DELETE FROM request WHERE id = ?1 AND holder = ?2", params![row, slot])? == 0 {
        return Err(Fault::ClaimLost);
    }
    Ok(transaction.commit()?)
}

pub(super) fn inspect(desk: &mut Desk, queues: Vec<QueueName>) -> Result<Vec<QueueState>, Fault> {
    bury_dead(desk)?;
    // One snapshot, so that the numbers belong together.
    let transaction = desk.connection.transaction()?;
    let mut states = Vec::new();
    for queue in queues {
        if !exists(&transaction, &queue)? {
            continue;
        }
        let count = |sql: &str| -> Result<u64, rusqlite::Error> {
            let count: i64 = transaction.prepare_cached(sql)?.query_row([queue.to_string()], |row| row.get(0))?;
            Ok(count.unsigned_abs())
        };
        let ready = count("SELECT count(*) FROM request WHERE queue = ?1 AND holder IS NULL")?;
        let claimed = count("SELECT count(*) FROM request WHERE queue = ?1 AND holder IS NOT NULL")?;
        let dead = count("SELECT count(*) FROM dead_letter WHERE queue = ?1")?;
        let consumers =
            count("SELECT count(*) FROM slot_queue JOIN slot ON slot.id = slot WHERE queue = ?1 AND waiting")?;
        states.push(QueueState { queue, ready, consumers, claimed, dead });
    }
    Ok(states)
}

pub(super) fn contents(desk: &mut Desk, queue: QueueName, limit: usize) -> Result<QueueContents, Fault> {
    bury_dead(desk)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let transaction = desk.connection.transaction()?;
    if !exists(&transaction, &queue)? {
        return Err(Fault::NoSuchQueue(queue));
    }
    let bodies = |sql: &str| -> Result<Vec<Vec<u8>>, rusqlite::Error> {
        transaction.prepare_cached(sql)?.query_map(params![queue.to_string(), limit], |row| row.get(0))?.collect()
    };
    let ready = bodies("SELECT body FROM request WHERE queue = ?1 AND holder IS NULL ORDER BY id LIMIT ?2")?;
    let claimed = bodies("SELECT body FROM request WHERE queue = ?1 AND holder IS NOT NULL ORDER BY id LIMIT ?2")?;
    let dead = transaction
        .prepare_cached("SELECT body, reason FROM dead_letter WHERE queue = ?1 ORDER BY id LIMIT ?2")?
        .query_map(params![queue.to_string(), limit], |row| Ok(DeadLetter { body: row.get(0)?, reason: row.get(1)? }))?
        .collect::<Result<_, _>>()?;
    Ok(QueueContents { ready, claimed, dead })
}
