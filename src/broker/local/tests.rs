//! Tests of the embedded broker on real files.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::broker::{Broker, Claim, Slot};
use crate::request::Request;

/// Timeout that is far longer than any step here takes.
const DEADLINE: Duration = Duration::from_secs(20);

fn queue(name: &str) -> QueueName {
    name.parse().unwrap()
}

fn wily() -> QueueName {
    queue("debci-wily-amd64")
}

fn submission(queue: &QueueName, package: &str) -> Submission {
    Submission { queue: queue.clone(), request: Request::parse(package.as_bytes()).unwrap() }
}

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("queue")
    }

    async fn open(&self) -> Broker {
        Broker::Local(LocalBroker::open(&self.path()).await.unwrap())
    }

    /// Opens the file as another program would.
    fn sqlite(&self) -> Connection {
        Connection::open(self.path().join("queue.sqlite")).unwrap()
    }

    fn slot_files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path().join("slots")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "doorbell").collect()
    }

    /// Holds the lock of a slot and the first request of the queue, as another process would.
    fn foreign_holder(&self, queue: &QueueName) -> File {
        let slot = Uuid::new_v4().to_string();
        let file = File::create(self.path().join("slots").join(&slot)).unwrap();
        file.lock().unwrap();
        let sqlite = self.sqlite();
        sqlite.execute("INSERT INTO slot (id) VALUES (?1)", [&slot]).unwrap();
        let sql = "UPDATE request SET holder = ?1, attempt = attempt + 1 WHERE id = (SELECT min(id) FROM request WHERE queue = ?2)";
        assert_eq!(sqlite.execute(sql, [slot, queue.to_string()]).unwrap(), 1);
        file
    }
}

async fn submit(broker: &Broker, queue: &QueueName, packages: &[&str]) {
    let submissions: Vec<_> = packages.iter().map(|package| submission(queue, package)).collect();
    broker.declare(std::slice::from_ref(queue)).await.unwrap();
    let mut confirmed = 0;
    broker.submit(&submissions, &[], &mut |count| confirmed = count).await.unwrap();
    assert_eq!(confirmed, packages.len());
}

async fn next(slot: &mut Slot) -> Option<Claim> {
    slot.claim(Wait::UntilEmpty, &CancellationToken::new()).await.unwrap()
}

async fn next_package(slot: &mut Slot) -> String {
    let claim = next(slot).await.expect("there is a request");
    let package = claim.request.as_ref().unwrap().package().to_string();
    claim.settle(Settlement::Done).await.unwrap();
    package
}

async fn wait_for_one(slot: &mut Slot) -> Claim {
    let stop = CancellationToken::new();
    let claim = tokio::time::timeout(DEADLINE, slot.claim(Wait::ForOne, &stop)).await;
    claim.expect("a request in time").unwrap().expect("nobody said stop")
}

async fn state(broker: &Broker, queue: &QueueName) -> QueueState {
    broker.inspect(std::slice::from_ref(queue)).await.unwrap().remove(0)
}

/// Waits for a state that another task brings about.
async fn until(broker: &Broker, queue: &QueueName, wanted: impl Fn(&QueueState) -> bool) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let state = state(broker, queue).await;
        if wanted(&state) {
            return;
        }
        assert!(Instant::now() < deadline, "still {state:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_queue_is_served_in_order_and_queues_take_turns() {
    let place = Place::new();
    let broker = place.open().await;
    let queues = [wily(), queue("debci-huge-wily-amd64"), queue("debci-ppa-wily-amd64")];
    submit(&broker, &queues[0], &["a1", "a2", "a3"]).await;
    submit(&broker, &queues[1], &["b1"]).await;
    submit(&broker, &queues[2], &["c1", "c2"]).await;
    let mut slot = broker.slot(queues.to_vec()).await.unwrap();
    let mut served = Vec::new();
    for _ in 0..6 {
        served.push(next_package(&mut slot).await);
    }
    assert_eq!(served, ["a1", "c1", "a2", "c2", "a3", "b1"]);
    assert!(next(&mut slot).await.is_none());
}

#[tokio::test]
async fn a_request_for_a_missing_queue_is_refused_and_nothing_is_queued() {
    let place = Place::new();
    let broker = place.open().await;
    broker.declare(&[wily()]).await.unwrap();
    let submissions = [submission(&wily(), "gzip"), submission(&queue("debci-wilf-amd64"), "gzip")];
    let error = broker.submit(&submissions, &[wily()], &mut |_| ()).await.unwrap_err();
    assert!(matches!(&error, BrokerError::NoSuchQueue { nearest, .. } if *nearest == [wily()]), "{error}");
    assert_eq!(state(&broker, &wily()).await.ready, 0);

    let Broker::Local(local) = &broker else { unreachable!() };
    local.submit(&submissions, &mut |_| ()).await.unwrap_err();
    assert_eq!(state(&broker, &wily()).await.ready, 0, "also when the queue goes missing meanwhile");
    assert!(matches!(
        broker.contents(&queue("debci-wilf-amd64"), 1).await.unwrap_err(),
        BrokerError::NoSuchQueue { .. }
    ));
    assert_eq!(broker.inspect(&[queue("debci-wilf-amd64")]).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_confirmed_is_there_after_a_new_start() {
    let place = Place::new();
    let broker = place.open().await;
    submit(&broker, &wily(), &["gzip"]).await;
    let before = broker.contents(&wily(), 10).await.unwrap().ready;
    broker.close().await;
    let broker = place.open().await;
    assert_eq!(broker.contents(&wily(), 10).await.unwrap().ready, before);
    let mut slot = broker.slot(vec![wily()]).await.unwrap();
    let claim = next(&mut slot).await.unwrap();
    assert_eq!((claim.attempt, claim.redelivered, &claim.queue), (1, false, &wily()));
    assert_eq!(claim.request.as_ref().unwrap().to_wire().as_bytes(), before[0], "the id of its submission");
}

#[tokio::test]
async fn a_request_without_an_id_gets_one_that_stays() {
    let place = Place::new();
    let broker = place.open().await;
    broker.declare(&[wily()]).await.unwrap();
    place.sqlite().execute("INSERT INTO request (queue, body) VALUES (?1, x'677a6970')", [wily().to_string()]).unwrap();
    let mut slot = broker.slot(vec![wily()]).await.unwrap();
    let first = next(&mut slot).await.unwrap();
    let id = first.request.as_ref().unwrap().uuid().expect("an id").clone();
    drop(first);
    let second = next(&mut slot).await.unwrap();
    assert_eq!(second.request.as_ref().unwrap().uuid(), Some(&id));
}

#[tokio::test]
async fn verdicts_are_performed() {
    let place = Place::new();
    let broker = place.open().await;
    submit(&broker, &wily(), &["one", "two"]).await;
    let mut slot = broker.slot(vec![wily()]).await.unwrap();

    let one = next(&mut slot).await.unwrap();
    assert_eq!(
        state(&broker, &wily()).await,
        QueueState {
            queue: wily(),
            ready: 1,
            consumers: 0,
            claimed: 1,
            delayed: 0,
            dead: 0,
            oldest: None,
            opaque: None
        }
    );
    assert_eq!(broker.contents(&wily(), 10).await.unwrap().claimed.len(), 1);
    one.settle(Settlement::Requeue).await.unwrap();
    assert_eq!(next_package(&mut slot).await, "two", "a requeued request goes behind the others");
    let one = next(&mut slot).await.unwrap();
    assert_eq!((one.attempt, one.redelivered), (2, true));
    one.settle(Settlement::Dead("kills every worker".to_owned())).await.unwrap();

    assert_eq!(
        state(&broker, &wily()).await,
        QueueState {
            queue: wily(),
            ready: 0,
            consumers: 0,
            claimed: 0,
            delayed: 0,
            dead: 1,
            oldest: None,
            opaque: None
        }
    );
    let contents = broker.contents(&wily(), 10).await.unwrap();
    assert_eq!(contents.dead[0].reason, "kills every worker");
    assert!(contents.dead[0].body.starts_with(b"one\n"));
    assert!(contents.ready.is_empty() && contents.claimed.is_empty());
}

#[tokio::test]
async fn a_message_that_is_no_request_can_be_claimed_and_buried() {
    let place = Place::new();
    let broker = place.open().await;
    broker.declare(&[wily()]).await.unwrap();
    place.sqlite().execute("INSERT INTO request (queue, body) VALUES (?1, x'ff00')", [wily().to_string()]).unwrap();
    submit(&broker, &wily(), &["gzip"]).await;
    let mut slot = broker.slot(vec![wily()]).await.unwrap();
    let claim = next(&mut slot).await.unwrap();
    let reason = claim.request.as_ref().unwrap_err().to_string();
    claim.settle(Settlement::Dead(reason)).await.unwrap();
    let dead = broker.contents(&wily(), 1).await.unwrap().dead;
    assert_eq!(dead[0].body, [0xff, 0x00]);
    assert!(dead[0].reason.contains("not UTF-8"), "{}", dead[0].reason);
    assert_eq!(next_package(&mut slot).await, "gzip");
}

#[tokio::test]
async fn a_dropped_claim_goes_to_who_waits() {
    let place = Place::new();
    let broker = place.open().await;
    submit(&broker, &wily(), &["gzip"]).await;
    let mut first = broker.slot(vec![wily()]).await.unwrap();
    let mut second = broker.slot(vec![wily()]).await.unwrap();
    let claim = next(&mut first).await.unwrap();
    let waiting = tokio::spawn(async move { wait_for_one(&mut second).await.attempt });
    until(&broker, &wily(), |state| state.consumers == 1).await;
    drop(claim);
    assert_eq!(waiting.await.unwrap(), 2);
}

#[tokio::test]
async fn a_claim_outlives_its_slot_and_is_given_back_with_it() {
    let place = Place::new();
    let broker = place.open().await;
    submit(&broker, &wily(), &["gzip"]).await;
    let mut slot = broker.slot(vec![wily()]).await.unwrap();
    let claim = next(&mut slot).await.unwrap();
    drop(slot);
    let mut other = broker.slot(vec![wily()]).await.unwrap();
    assert!(next(&mut other).await.is_none());
    drop(claim);
    assert_eq!(wait_for_one(&mut other).await.attempt, 2);
}

#[tokio::test]
async fn a_dead_holders_request_is_claimable_at_once() {
    let place = Place::new();
    let broker = place.open().await;
    submit(&broker, &wily(), &["gzip"]).await;
    let mut slot = broker.slot(vec![wily()]).await.unwrap();
    let holder = place.foreign_holder(&wily());
    assert!(next(&mut slot).await.is_none(), "its holder lives");
    assert_eq!(state(&broker, &wily()).await.claimed, 1);
    drop(holder);
    // A process that another test starts at this moment holds a copy of the lock until it has begun.
    let mut after = state(&broker, &wily()).await;
    let mut tries = 0..3000;
    while after.ready == 0 {
        tries.next().expect("the lock goes with its holder");
        tokio::time::sleep(Duration::from_millis(20)).await;
        after = state(&broker, &wily()).await;
    }
    assert_eq!((after.ready, after.claimed), (1, 0));
    assert_eq!(next(&mut slot).await.unwrap().attempt, 2);
}

#[tokio::test]
async fn a_holders_death_wakes_who_waits() {
    let place = Place::new();
    let broker = place.open().await;
    submit(&broker, &wily(), &["gzip"]).await;
    let mut slot = broker.slot(vec![wily()]).await.unwrap();
    let holder = place.foreign_holder(&wily());
    let waiting = tokio::spawn(async move { wait_for_one(&mut slot).await.attempt });
    until(&broker, &wily(), |state| state.consumers == 1).await;
    drop(holder);
    assert_eq!(waiting.await.unwrap(), 2);
    broker.close().await;
    assert_eq!(place.slot_files(), [""; 0], "the dead one's file is gone, and so is that of who has ended");
}

#[tokio::test]
async fn a_submission_wakes_who_waits_on_any_of_twenty_queues() {
    let place = Place::new();
    let broker = place.open().await;
    let queues: Vec<_> = (0..20).map(|n| queue(&format!("debci-r{n}-amd64"))).collect();
    let mut slot = broker.slot(queues.clone()).await.unwrap();
    for wanted in [&queues[19], &queues[0], &queues[7]] {
        let waiting = tokio::spawn(async move {
            let claim = wait_for_one(&mut slot).await;
            let queue = claim.queue.clone();
            claim.settle(Settlement::Done).await.unwrap();
            (slot, queue)
        });
        until(&broker, wanted, |state| state.consumers == 1).await;
        // As far as the file is concerned, this is another process.
        submit(&place.open().await, wanted, &["gzip"]).await;
        let (back, served) = waiting.await.unwrap();
        assert_eq!(served, *wanted);
        slot = back;
        until(&broker, wanted, |state| state.consumers == 0).await;
    }
}

#[tokio::test]
async fn stop_ends_a_wait_and_leaves_nothing_held() {
    let place = Place::new();
    let broker = place.open().await;
    let mut slot = broker.slot(vec![wily()]).await.unwrap();
    let stop = CancellationToken::new();
    let token = stop.clone();
    let waiting = tokio::spawn(async move {
        let claim = slot.claim(Wait::ForOne, &token).await.unwrap();
        (claim.is_none(), slot)
    });
    until(&broker, &wily(), |state| state.consumers == 1).await;
    stop.cancel();
    let (nothing, mut slot) = tokio::time::timeout(DEADLINE, waiting).await.unwrap().unwrap();
    assert!(nothing);
    submit(&broker, &wily(), &["gzip"]).await;
    assert_eq!(
        state(&broker, &wily()).await,
        QueueState {
            queue: wily(),
            ready: 1,
            consumers: 0,
            claimed: 0,
            delayed: 0,
            dead: 0,
            oldest: None,
            opaque: None
        }
    );
    assert!(slot.claim(Wait::ForOne, &stop).await.unwrap().is_none(), "stopped is stopped");
}

#[tokio::test]
async fn an_abandoned_wait_takes_no_request_away() {
    let place = Place::new();
    let broker = place.open().await;
    submit(&broker, &wily(), &["gzip"]).await;
    let mut slot = broker.slot(vec![wily()]).await.unwrap();
    // Polled once: the work is posted, and its result is not waited for.
    let stop = CancellationToken::new();
    let abandoned = futures_util::FutureExt::now_or_never(slot.claim(Wait::ForOne, &stop));
    assert!(abandoned.is_none());
    assert_eq!(wait_for_one(&mut slot).await.attempt, 2);
}

#[tokio::test]
async fn many_slots_never_hold_the_same_request() {
    let place = Place::new();
    let broker = place.open().await;
    let packages: Vec<String> = (0..120).map(|n| format!("p{n}")).collect();
    submit(&broker, &wily(), &packages.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut workers = Vec::new();
    for _ in 0..6 {
        let broker = place.open().await;
        let mut slot = broker.slot(vec![wily()]).await.unwrap();
        workers.push(tokio::spawn(async move {
            let mut served = Vec::new();
            while let Some(claim) = next(&mut slot).await {
                assert_eq!(claim.attempt, 1);
                served.push(claim.request.as_ref().unwrap().package().to_string());
                claim.settle(Settlement::Done).await.unwrap();
            }
            broker.close().await;
            served
        }));
    }
    let mut served = Vec::new();
    for worker in workers {
        served.extend(worker.await.unwrap());
    }
    served.sort();
    let mut expected = packages;
    expected.sort();
    assert_eq!(served, expected);
}

#[tokio::test]
async fn a_second_copy_of_a_held_request_is_dropped() {
    let place = Place::new();
    let broker = place.open().await;
    let copy = "gzip {\"uuid\": \"0b7c\"}";
    submit(&broker, &wily(), &[copy, copy, "bzip2"]).await;
    let mut first = broker.slot(vec![wily()]).await.unwrap();
    let mut second = broker.slot(vec![wily()]).await.unwrap();
    let claim = next(&mut first).await.unwrap();
    assert_eq!(next_package(&mut second).await, "bzip2");
    assert_eq!(state(&broker, &wily()).await.ready, 0);
    claim.settle(Settlement::Requeue).await.unwrap();
    assert_eq!(next_package(&mut second).await, "gzip", "the held one is still there");
}

#[tokio::test]
async fn files_are_private_and_the_dead_leave_none() {
    let place = Place::new();
    let broker = place.open().await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.path()), 0o700);
    assert_eq!(mode(&place.path().join("slots")), 0o700);
    assert_eq!(mode(&place.path().join("queue.sqlite")), 0o600);
    // The file of a process that was killed before it registered its slot.
    std::fs::write(place.path().join("slots").join(Uuid::new_v4().to_string()), "").unwrap();
    let slot = broker.slot(vec![wily()]).await.unwrap();
    assert_eq!(place.slot_files().len(), 1, "the stray is gone");
    drop(slot);
    broker.close().await;
    assert_eq!(place.slot_files(), [""; 0]);
}

#[tokio::test]
async fn many_can_make_the_same_queue_at_once() {
    for _ in 0..5 {
        let place = Place::new();
        let opening: Vec<_> = (0..8)
            .map(|_| {
                let path = place.path();
                tokio::spawn(async move { LocalBroker::open(&path).await.map(drop) })
            })
            .collect();
        for open in opening {
            open.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_with_the_reason() {
    let reason = async |path: &Path| match LocalBroker::open(path).await {
        Err(BrokerError::Unreachable { address, reason }) => {
            assert_eq!(address, format!("local:{}", path.display()));
            reason
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("opened"),
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(reason(&file).await.contains("file: "));
    assert!(reason(&file.join("below")).await.contains("Not a directory"));

    let text = folder.path().join("text");
    std::fs::create_dir(&text).unwrap();
    std::fs::write(text.join("queue.sqlite"), "not a database, but a text of some length".repeat(50)).unwrap();
    let Err(BrokerError::Damaged { file, reason: why }) = LocalBroker::open(&text).await.map(drop) else {
        panic!("it is damaged")
    };
    assert!(file.ends_with("text/queue.sqlite") && why.contains("not a database"), "{why}");

    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    Connection::open(other.join("queue.sqlite")).unwrap().execute("CREATE TABLE notes (text TEXT)", ()).unwrap();
    let incompatible = async |path: &Path| match LocalBroker::open(path).await.map(drop) {
        Err(BrokerError::Incompatible(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert!(incompatible(&other).await.contains("other/queue.sqlite is not a queue of apt-ci, but another program's"));

    let newer = folder.path().join("newer");
    LocalBroker::open(&newer).await.unwrap().close().await;
    Connection::open(newer.join("queue.sqlite")).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let why = incompatible(&newer).await;
    let expected = "newer/queue.sqlite was written by a newer apt-ci (format 99, this program knows 2)";
    assert!(why.ends_with(expected), "{why}");
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_half_queued_and_nothing_is_stuck() {
    let place = Place::new();
    let broker = place.open().await;
    submit(&broker, &wily(), &["gzip"]).await;
    let mut slot = broker.slot(vec![wily()]).await.unwrap();
    let claim = next(&mut slot).await.unwrap();
    let Broker::Local(local) = &broker else { unreachable!() };
    let limit_to = async |pages: i64| {
        let set =
            move |db: &mut Db| Ok(db.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?);
        local.database.run("limit the file", set).await.unwrap();
    };
    limit_to(1).await;
    let many: Vec<_> = (0..2000).map(|n| submission(&wily(), &format!("package{n}"))).collect();
    let error = broker.submit(&many, &[], &mut |_| panic!("not confirmed")).await.unwrap_err().to_string();
    assert!(error.contains("queue.sqlite") && error.contains("full"), "{error}");
    let error = claim.settle(Settlement::Dead("x".repeat(100_000))).await.unwrap_err().to_string();
    assert!(error.contains("settle") && error.contains("full"), "{error}");
    assert_eq!(wait_for_one(&mut slot).await.attempt, 2, "the claim came back");
    limit_to(100_000).await;
    broker.submit(&many, &[], &mut |_| ()).await.unwrap();
}

#[tokio::test]
async fn a_claim_that_cannot_be_given_back_now_is_given_back_with_the_next() {
    let place = Place::new();
    let broker = place.open().await;
    submit(&broker, &wily(), &["gzip"]).await;
    let mut slot = broker.slot(vec![wily()]).await.unwrap();
    let claim = next(&mut slot).await.unwrap();
    let Broker::Local(local) = &broker else { unreachable!() };
    let read_only = async |on: bool| {
        let set = move |db: &mut Db| Ok(db.connection.pragma_update(None, "query_only", on)?);
        local.database.run("change the mode", set).await.unwrap();
    };
    read_only(true).await;
    drop(claim);
    read_only(false).await;
    assert_eq!(state(&broker, &wily()).await.claimed, 1, "it could not be given back");
    assert_eq!(next(&mut slot).await.expect("now it is").attempt, 2);
}

#[tokio::test]
async fn a_folder_that_vanishes_ends_the_wait_with_an_error() {
    let place = Place::new();
    let broker = place.open().await;
    let mut slot = broker.slot(vec![wily()]).await.unwrap();
    let waiting = tokio::spawn(async move { slot.claim(Wait::ForOne, &CancellationToken::new()).await.map(drop) });
    until(&broker, &wily(), |state| state.consumers == 1).await;
    std::fs::rename(place.path().join("slots"), place.path().join("elsewhere")).unwrap();
    let error = tokio::time::timeout(DEADLINE, waiting).await.unwrap().unwrap().unwrap_err().to_string();
    assert!(error.contains("slots"), "{error}");
}

/// The file in version 1 of its format.
const FIRST_FORMAT: &str = "
    CREATE TABLE queue (name TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;
    CREATE TABLE request (
        id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL REFERENCES queue (name), body BLOB NOT NULL, uuid TEXT,
        attempt INTEGER NOT NULL DEFAULT 0, holder TEXT
    ) STRICT;
    CREATE INDEX request_ready ON request (queue, id) WHERE holder IS NULL;
    CREATE INDEX request_held ON request (holder) WHERE holder IS NOT NULL;
    CREATE INDEX request_uuid ON request (uuid) WHERE uuid IS NOT NULL;
    CREATE TABLE dead_letter (
        id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL REFERENCES queue (name), body BLOB NOT NULL,
        attempt INTEGER NOT NULL, reason TEXT NOT NULL
    ) STRICT;
    CREATE INDEX dead_letter_queue ON dead_letter (queue, id);
    CREATE TABLE slot (id TEXT NOT NULL PRIMARY KEY, waiting INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;
    CREATE TABLE slot_queue (
        slot TEXT NOT NULL REFERENCES slot (id) ON DELETE CASCADE, queue TEXT NOT NULL, PRIMARY KEY (slot, queue)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO queue VALUES ('debci-wily-amd64');
    INSERT INTO request (queue, body, attempt) VALUES ('debci-wily-amd64', x'677a6970', 2);
    PRAGMA application_id = 0x61707471;
    PRAGMA user_version = 1;";

#[tokio::test]
async fn a_file_of_the_former_format_is_brought_up_to_date_with_what_it_holds() {
    let place = Place::new();
    std::fs::create_dir_all(place.path()).unwrap();
    place.sqlite().execute_batch(FIRST_FORMAT).unwrap();
    let opening = (0..4).map(|_| place.open());
    let brokers = futures_util::future::join_all(opening).await;
    let schema = |sqlite: Connection| -> Vec<String> {
        let mut statement = sqlite
            .prepare("SELECT name FROM pragma_table_info('request') UNION SELECT name FROM sqlite_schema")
            .unwrap();
        statement.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let new = Place::new();
    new.open().await.close().await;
    assert_eq!(schema(place.sqlite()), schema(new.sqlite()));
    let claim = next(&mut brokers[0].slot(vec![wily()]).await.unwrap()).await.unwrap();
    assert_eq!((claim.attempt, claim.handovers, claim.failures.len()), (3, 0, 0));
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_delayed_requests_due() {
    let place = Place::new();
    let broker = place.open().await;
    submit(&broker, &wily(), &["gzip"]).await;
    let mut slot = broker.slot(vec![wily()]).await.unwrap();
    let later = Settlement::Later { after: Duration::from_secs(3600), failure: None, counts: true };
    next(&mut slot).await.unwrap().settle(later).await.unwrap();
    assert_eq!((state(&broker, &wily()).await.ready, state(&broker, &wily()).await.delayed), (0, 1));
    // The state after a clock that was an hour fast was set back.
    let sql = "UPDATE request SET delayed_since = delayed_since + 3600000, delayed_until = delayed_until + 3600000";
    place.sqlite().execute(sql, ()).unwrap();
    assert_eq!((state(&broker, &wily()).await.ready, state(&broker, &wily()).await.delayed), (1, 0));
    assert_eq!(next(&mut slot).await.unwrap().attempt, 2);
}
