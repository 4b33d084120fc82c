//! Operations on the queue's file, each in one transaction.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, ToSql, Transaction, params};
use uuid::Uuid;

use super::database::{Db, DbError};
use super::shred::is_secret;
use super::slot_folder::{SlotFolder, SlotLock};
use crate::broker::history::History;
use crate::broker::{DeadLetter, QueueContents, QueueState, Rotation, Settlement, delay};
use crate::release::QueueName;
use crate::request::line::Submission;
use crate::request::{InvalidRequest, Request};

/// A request that a slot has just taken.
pub(super) struct TakenRequest {
    /// Queue that the request came from.
    pub(super) queue: QueueName,
    pub(super) row: i64,
    pub(super) request: Result<Request, InvalidRequest>,
    /// Past of the request, with this attempt.
    pub(super) history: History,
}

/// Outcome of a search.
pub(super) enum SearchOutcome {
    Request(Box<TakenRequest>),
    /// No request is there now. `due` is the time until the next check, if requests wait out a delay.
    Nothing {
        due: Option<Duration>,
    },
}

/// The end of a claim.
pub(super) struct ClaimEnd<'a> {
    pub(super) slot: &'a str,
    pub(super) row: i64,
    pub(super) settlement: &'a Settlement,
    /// History that goes back with the request.
    pub(super) history: &'a History,
}

/// SQL condition: an unclaimed request can be claimed at the time `?1`, in milliseconds.
///
/// If its delay begins in the future, the clock was set back, and the request is due.
pub(super) const IS_DUE: &str = "(delayed_until IS NULL OR NOT ?1 BETWEEN delayed_since AND delayed_until - 1)";
/// Maximum time until delays are checked again: the clock may have been set.
const MAX_WAIT: Duration = Duration::from_secs(60);

pub(super) fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

/// A search of a slot for a request.
pub(super) struct Search {
    pub(super) slot: String,
    pub(super) rotation: Rotation,
    /// Whether the slot is shown as waiting, and whether it will wait if there is no request.
    pub(super) shown_waiting: bool,
    pub(super) will_wait: bool,
}

pub(super) fn declare(db: &mut Db, queues: &[QueueName]) -> Result<(), DbError> {
    let transaction = db.write()?;
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

pub(super) fn existing(db: &mut Db, queues: Vec<QueueName>) -> Result<Vec<QueueName>, DbError> {
    let mut found = Vec::new();
    for queue in queues {
        if exists(&db.connection, &queue)? {
            found.push(queue);
        }
    }
    Ok(found)
}

pub(super) fn submit(db: &mut Db, submissions: Vec<Submission>) -> Result<(), DbError> {
    let _signal = db.slots.wakeup_signal()?;
    let transaction = db.write()?;
    for Submission { queue, request } in submissions {
        if !exists(&transaction, &queue)? {
            return Err(DbError::NoSuchQueue(queue));
        }
        let request = request.with_id();
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

/// Registers a new slot and creates its file. Remains of dead slots are removed first.
pub(super) fn enter(db: &mut Db, queues: &[QueueName]) -> Result<(String, SlotLock), DbError> {
    declare(db, queues)?;
    release_dead_slots(db)?;
    let slots = db.slots.clone();
    let slot = Uuid::new_v4().to_string();
    let transaction = db.write()?;
    // No new slot can be half-made here, so files without a lock were left by processes that died before they
    // registered.
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

/// Returns the slot's requests to their queues, and deletes the slot.
fn forget(transaction: &Transaction<'_>, slot: &str) -> Result<usize, rusqlite::Error> {
    let returned = transaction.prepare_cached("UPDATE request SET holder = NULL WHERE holder = ?1")?.execute([slot])?;
    transaction.prepare_cached("DELETE FROM slot WHERE id = ?1")?.execute([slot])?;
    Ok(returned)
}

/// Ends a slot in good order. Its lock must be held until then; when its file is closed, others wake up.
pub(super) fn leave(db: &mut Db, slot: &str) -> Result<(), DbError> {
    let transaction = db.write()?;
    forget(&transaction, slot)?;
    transaction.commit()?;
    db.slots.remove(slot);
    Ok(())
}

/// Returns the requests of dead slots to their queues. Writes only if there are any.
fn release_dead_slots(db: &mut Db) -> Result<(), DbError> {
    let mut dead: Vec<String> = db
        .connection
        .prepare_cached("SELECT id FROM slot UNION SELECT holder FROM request WHERE holder IS NOT NULL")?
        .query_map((), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    dead.retain(|slot| !db.slots.is_alive(slot));
    if dead.is_empty() {
        return Ok(());
    }
    let _signal = db.slots.wakeup_signal()?;
    let transaction = db.write()?;
    for slot in &dead {
        let returned = forget(&transaction, slot)?;
        if returned > 0 {
            tracing::warn!(slot, returned, "a worker died; its request is back on its queue");
        }
    }
    transaction.commit()?;
    dead.iter().for_each(|slot| db.slots.remove(slot));
    Ok(())
}

/// Takes the next request for a slot, or shows the slot as waiting.
pub(super) fn take(db: &mut Db, search: &Search) -> Result<SearchOutcome, DbError> {
    release_dead_slots(db)?;
    let now = now();
    let queues = search.rotation.queues();
    // Many slots wake up for one request: those that find none do not block the one that writes.
    if !any_ready(db, queues, now)? && search.shown_waiting == search.will_wait {
        return Ok(SearchOutcome::Nothing { due: next_due(&db.connection, queues, now)? });
    }
    let slots = db.slots.clone();
    let transaction = db.write()?;
    let (mut taken, mut served) = (None, None);
    for index in search.rotation.order() {
        taken = take_from(&transaction, &slots, &search.slot, &queues[index], now)?;
        if taken.is_some() {
            served = Some(index);
            break;
        }
    }
    let waiting = taken.is_none() && search.will_wait;
    let sql = "UPDATE slot SET waiting = ?2 WHERE id = ?1";
    if transaction.prepare_cached(sql)?.execute(params![search.slot, waiting])? == 0 {
        return Err(DbError::Unusable("somebody removed this worker's slot".to_owned()));
    }
    let due = next_due(&transaction, queues, now)?;
    transaction.commit()?;
    if let Some(index) = served {
        search.rotation.served(index);
    }
    Ok(taken.map_or(SearchOutcome::Nothing { due }, |taken| SearchOutcome::Request(Box::new(taken))))
}

fn any_ready(db: &Db, queues: &[QueueName], now: i64) -> Result<bool, rusqlite::Error> {
    let sql = format!("SELECT 1 FROM request WHERE queue = ?2 AND holder IS NULL AND {IS_DUE} LIMIT 1");
    let mut statement = db.connection.prepare_cached(&sql)?;
    for queue in queues {
        if statement.exists(params![now, queue.to_string()])? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the time until the first delayed request of these queues is due.
fn next_due(
    connection: &rusqlite::Connection,
    queues: &[QueueName],
    now: i64,
) -> Result<Option<Duration>, rusqlite::Error> {
    let sql =
        "SELECT min(delayed_until) FROM request WHERE queue = ?1 AND delayed_until IS NOT NULL AND holder IS NULL";
    let mut statement = connection.prepare_cached(sql)?;
    let mut first: Option<i64> = None;
    for queue in queues {
        let next: Option<i64> = statement.query_row([queue.to_string()], |row| row.get(0))?;
        first = first.into_iter().chain(next).min();
    }
    let wait = |until: i64| Duration::from_millis(u64::try_from(until - now).unwrap_or_default());
    Ok(first.map(|until| wait(until).min(MAX_WAIT)))
}

fn take_from(
    transaction: &Transaction<'_>,
    slots: &SlotFolder,
    slot: &str,
    queue: &QueueName,
    now: i64,
) -> Result<Option<TakenRequest>, DbError> {
    loop {
        let sql = format!(
            "SELECT id, body, attempt, passes, failures FROM request
             WHERE queue = ?2 AND holder IS NULL AND {IS_DUE} ORDER BY id LIMIT 1"
        );
        let next: Option<(i64, Vec<u8>, History)> = transaction
            .prepare_cached(&sql)?
            .query_row(params![now, queue.to_string()], |row| {
                let number =
                    |index| Ok::<_, rusqlite::Error>(u32::try_from(row.get::<_, i64>(index)?).unwrap_or(u32::MAX));
                let failures = History::failures_from(&row.get::<_, String>(4)?);
                Ok((row.get(0)?, row.get(1)?, History { attempts: number(2)?, handovers: number(3)?, failures }))
            })
            .optional()?;
        let Some((row, body, history)) = next else { return Ok(None) };
        let mut notes = Vec::new();
        let mut request = Request::parse_noting(&body, &mut notes).map(Request::with_id);
        for note in &notes {
            tracing::warn!(%queue, "a request is run although it breaks a rule: {note}");
        }
        if let Ok(read) = &request {
            match held_with_its_id(transaction, slots, read)? {
                Some(other) if other == *read => {
                    tracing::warn!(%queue, uuid = uuid(read), "dropped a second copy of a request that a worker holds");
                    transaction.prepare_cached("DELETE FROM request WHERE id = ?1")?.execute([row])?;
                    continue;
                }
                Some(_) => {
                    tracing::warn!(%queue, uuid = uuid(read), "another request with this id runs: this one gets a new id");
                    request = request.map(Request::with_new_id);
                }
                None => {}
            }
        }
        let history = history.claimed();
        // A new id must stay the same if this worker dies and another takes the request.
        let body = request.as_ref().map_or(body, |request| request.to_wire().into_bytes());
        transaction
            .prepare_cached(
                "UPDATE request SET holder = ?2, attempt = ?3, body = ?4, uuid = ?5, delayed_since = NULL, delayed_until = NULL
                 WHERE id = ?1",
            )?
            .execute(params![row, slot, history.attempts, body, request.as_ref().ok().and_then(uuid)])?;
        return Ok(Some(TakenRequest { queue: queue.clone(), row, request, history }));
    }
}

/// A request that a living slot holds.
pub(super) struct HeldRequest {
    pub(super) queue: QueueName,
    pub(super) body: Vec<u8>,
    pub(super) uuid: Option<String>,
    pub(super) slot: String,
}

/// Returns the requests that living slots hold, oldest first.
pub(super) fn held(db: &mut Db) -> Result<Vec<HeldRequest>, DbError> {
    release_dead_slots(db)?;
    let sql = "SELECT queue, body, uuid, holder FROM request WHERE holder IS NOT NULL ORDER BY id";
    let mut statement = db.connection.prepare_cached(sql)?;
    let mut rows = statement.query(())?;
    let mut held = Vec::new();
    while let Some(row) = rows.next()? {
        // The file has only names that we have declared.
        let Ok(queue) = row.get::<_, String>(0)?.parse() else { continue };
        held.push(HeldRequest { queue, body: row.get(1)?, uuid: row.get(2)?, slot: row.get(3)? });
    }
    Ok(held)
}

/// Returns the request with the same id that a living slot holds. If there are several, an equal one comes first.
fn held_with_its_id(
    transaction: &Transaction<'_>,
    slots: &SlotFolder,
    request: &Request,
) -> Result<Option<Request>, rusqlite::Error> {
    let holders: Vec<(String, Vec<u8>)> = transaction
        .prepare_cached("SELECT holder, body FROM request WHERE uuid = ?1 AND holder IS NOT NULL")?
        .query_map([uuid(request)], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let living = holders.iter().filter(|(slot, _)| slots.is_alive(slot));
    let mut requests: Vec<Request> = living.filter_map(|(_, body)| Request::parse(body).ok()).collect();
    let same = requests.iter().position(|held| held == request).unwrap_or_default();
    Ok((!requests.is_empty()).then(|| requests.swap_remove(same)))
}

/// Shows a slot as no longer waiting.
pub(super) fn stop_waiting(db: &mut Db, slot: &str) -> Result<(), DbError> {
    db.connection.execute("UPDATE slot SET waiting = 0 WHERE id = ?1", [slot])?;
    Ok(())
}

/// Returns a request to its place.
pub(super) fn release(db: &mut Db, slot: &str, row: i64) -> Result<(), DbError> {
    let _signal = db.slots.wakeup_signal()?;
    let sql = "UPDATE request SET holder = NULL WHERE id = ?1 AND holder = ?2";
    db.connection.execute(sql, params![row, slot])?;
    Ok(())
}

pub(super) fn settle(db: &mut Db, end: &ClaimEnd<'_>) -> Result<(), DbError> {
    let ClaimEnd { slot, row, settlement, history } = end;
    // After other verdicts there is nothing to claim now or later: waiting slots are not woken up.
    let goes_back = matches!(settlement, Settlement::Requeue | Settlement::Return | Settlement::Later { .. });
    let _signal = goes_back.then(|| db.slots.wakeup_signal()).transpose()?;
    let is_kept = goes_back || matches!(settlement, Settlement::Dead(_));
    let transaction = db.write()?;
    let wait = match settlement {
        Settlement::Later { after, .. } => Some(i64::try_from(delay(*after).as_millis()).unwrap_or(i64::MAX)),
        _ => None,
    };
    if goes_back {
        let since = wait.map(|_| now());
        transaction.execute(
            "INSERT INTO request (queue, body, uuid, attempt, passes, failures, delayed_since, delayed_until)
             SELECT queue, body, uuid, ?3, ?4, ?5, ?6, ?6 + ?7 FROM request WHERE id = ?1 AND holder = ?2",
            params![row, slot, history.attempts, history.handovers, history.failures_text(), since, wait],
        )?;
    }
    if let Settlement::Dead(reason) = settlement {
        transaction.execute(
            "INSERT INTO dead_letter (queue, body, attempt, reason)
             SELECT queue, body, attempt, ?3 FROM request WHERE id = ?1 AND holder = ?2",
            params![row, slot, reason],
        )?;
    }
    let sql = "DELETE FROM request WHERE id = ?1 AND holder = ?2 RETURNING body";
    let body: Option<Vec<u8>> = transaction.query_row(sql, params![row, slot], |row| row.get(0)).optional()?;
    let Some(body) = body else { return Err(DbError::ClaimLost) };
    transaction.commit()?;
    if !is_kept && is_secret(&body) {
        db.shred();
    }
    Ok(())
}

/// Returns the number of slots that wait for requests of this queue.
pub(super) fn consumers(connection: &rusqlite::Connection, queue: &QueueName) -> Result<u64, DbError> {
    let sql = "SELECT count(*) FROM slot_queue JOIN slot ON slot.id = slot WHERE queue = ?1 AND waiting";
    let count: i64 = connection.prepare_cached(sql)?.query_row([queue.to_string()], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Returns all queues, in the order of their names.
pub(super) fn queues(db: &mut Db) -> Result<Vec<QueueName>, DbError> {
    let mut names = db.connection.prepare_cached("SELECT name FROM queue ORDER BY name")?;
    let names = names.query_map((), |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

/// Returns whether a slot of a living worker serves this queue.
pub(super) fn is_served(db: &mut Db, queue: &QueueName) -> Result<bool, DbError> {
    release_dead_slots(db)?;
    let sql = "SELECT EXISTS (SELECT 1 FROM slot_queue WHERE queue = ?1)";
    Ok(db.connection.prepare_cached(sql)?.query_row([queue.to_string()], |row| row.get(0))?)
}

/// Returns the number of slots of living workers that wait for requests of this queue.
pub(super) fn living_consumers(db: &mut Db, queue: &QueueName) -> Result<u64, DbError> {
    release_dead_slots(db)?;
    consumers(&db.connection, queue)
}

pub(super) fn inspect(db: &mut Db, queues: Vec<QueueName>) -> Result<Vec<QueueState>, DbError> {
    release_dead_slots(db)?;
    // One snapshot, so that the numbers belong together.
    let transaction = db.connection.transaction()?;
    let now = now();
    let mut states = Vec::new();
    for queue in queues {
        if !exists(&transaction, &queue)? {
            continue;
        }
        let name = queue.to_string();
        let count = |sql: &str, values: &[&dyn ToSql]| -> Result<u64, rusqlite::Error> {
            let count: i64 = transaction.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
            Ok(count.unsigned_abs())
        };
        let idle = |not: &str| {
            let sql = format!("SELECT count(*) FROM request WHERE queue = ?2 AND holder IS NULL AND {not} {IS_DUE}");
            count(&sql, &[&now, &name])
        };
        let (ready, delayed) = (idle("")?, idle("NOT")?);
        let claimed = count("SELECT count(*) FROM request WHERE queue = ?1 AND holder IS NOT NULL", &[&name])?;
        let dead = count("SELECT count(*) FROM dead_letter WHERE queue = ?1", &[&name])?;
        let consumers = consumers(&transaction, &queue)?;
        let sql =
            format!("SELECT body FROM request WHERE queue = ?2 AND holder IS NULL AND {IS_DUE} ORDER BY id LIMIT 1");
        let first: Option<Vec<u8>> =
            transaction.prepare_cached(&sql)?.query_row(params![now, name], |row| row.get(0)).optional()?;
        let oldest = first.and_then(|body| Request::parse(&body).ok()?.submitted());
        states.push(QueueState { queue, ready, consumers, claimed, delayed, dead, oldest, opaque: None });
    }
    Ok(states)
}

pub(super) fn contents(db: &mut Db, queue: QueueName, limit: usize) -> Result<QueueContents, DbError> {
    release_dead_slots(db)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let transaction = db.connection.transaction()?;
    if !exists(&transaction, &queue)? {
        return Err(DbError::NoSuchQueue(queue));
    }
    let name = queue.to_string();
    let bodies = |sql: &str, values: &[&dyn ToSql]| -> Result<Vec<Vec<u8>>, rusqlite::Error> {
        transaction.prepare_cached(sql)?.query_map(values, |row| row.get(0))?.collect()
    };
    let now = now();
    let idle = |not: &str| {
        let sql = format!(
            "SELECT body FROM request WHERE queue = ?2 AND holder IS NULL AND {not} {IS_DUE} ORDER BY id LIMIT ?3"
        );
        bodies(&sql, &[&now, &name, &limit])
    };
    let (ready, delayed) = (idle("")?, idle("NOT")?);
    let sql = "SELECT body FROM request WHERE queue = ?1 AND holder IS NOT NULL ORDER BY id LIMIT ?2";
    let claimed = bodies(sql, &[&name, &limit])?;
    let dead = transaction
        .prepare_cached("SELECT body, reason FROM dead_letter WHERE queue = ?1 ORDER BY id LIMIT ?2")?
        .query_map(params![name, limit], |row| Ok(DeadLetter { body: row.get(0)?, reason: row.get(1)? }))?
        .collect::<Result<_, _>>()?;
    Ok(QueueContents { ready, claimed, delayed, dead, ..Default::default() })
}
