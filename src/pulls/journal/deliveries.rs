//! Deliveries, and the tests that they request, until these end.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, Transaction, params};

use super::row::insert;
use super::{Journal, JournalError};
use crate::forge::status::State;
use crate::forge::{Forge, Project};
use crate::pulls::PullTest;
use crate::request::RequestId;
use crate::server_url::ServerUrl;

/// Interval between the times of deliveries that are recorded together: the resolution of the journal.
pub const TICK: SignedDuration = SignedDuration::from_millis(1);

/// A delivery that requests something.
#[derive(Debug, Clone)]
pub struct DeliveryRecord {
    /// Its id, with the forge and the query of its address: a forge sends the same event to several hooks under one id.
    pub id: String,
    /// Digest of its body. Address and id are not part of it, because they are not signed.
    pub digest: String,
    /// The requested action.
    pub action: DeliveryAction,
}

/// Action that a delivery requests.
#[derive(Debug, Clone)]
pub enum DeliveryAction {
    /// Tests of a commit.
    Test(Vec<PullTest>),
    /// The end of the tests of a pull request.
    Close {
        /// The kind of forge.
        forge: Forge,
        /// The API of the forge.
        api: ServerUrl,
        /// The project.
        project: Project,
        /// The number of the pull request.
        number: u64,
        /// Time when it was closed, according to the forge.
        changed: Timestamp,
        /// The contexts of the tests.
        contexts: Vec<String>,
    },
}

impl DeliveryAction {
    /// Returns the contexts of the tests, each with the server and the project, because a context is unique only there.
    fn subjects(&self) -> Vec<String> {
        let subject = |forge: Forge, api: &ServerUrl, project: &Project, context: &str| {
            format!("{forge} {api} {} {context}", project.as_str().to_ascii_lowercase())
        };
        match self {
            Self::Test(tests) => {
                tests.iter().map(|test| subject(test.forge, &test.api, &test.project, &test.context)).collect()
            }
            Self::Close { forge, api, project, contexts, .. } => {
                contexts.iter().map(|context| subject(*forge, api, project, context)).collect()
            }
        }
    }
}

/// Decision about a delivery.
#[derive(Debug, Clone, PartialEq)]
pub enum IntakeDecision {
    /// The delivery is new. These of its tests are to be queued; the others are queued already, or superseded.
    New(Vec<PullTest>),
    /// The delivery was processed before.
    Done,
    /// The delivery, or another one that requests the same, was received before and may not be queued. Nothing was
    /// recorded.
    Unfinished,
    /// Another delivery had the same content: it is a replay.
    Repeated,
}

impl Journal {
    /// Records deliveries and what they request, before anything is queued. Returns the decision about each.
    ///
    /// # Errors
    /// When the file cannot be written; then nothing is recorded.
    pub async fn record(
        &self,
        deliveries: Vec<DeliveryRecord>,
        now: Timestamp,
    ) -> Result<Vec<IntakeDecision>, JournalError> {
        self.durably(move |transaction| {
            // In order: of two commits that changed in the same second, the later one counts.
            let times = (0..).map(|place: i32| now + TICK * place);
            deliveries.iter().zip(times).map(|(one, now)| record(transaction, one, now)).collect()
        })
        .await
    }

    /// Records that the broker has confirmed all requests of these deliveries, and withdraws the tests that they
    /// supersede.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn mark_queued(&self, deliveries: Vec<String>) -> Result<(), JournalError> {
        self.durably(move |transaction| {
            for id in &deliveries {
                transaction.execute("UPDATE delivery SET queued = 1 WHERE id = ?", [id])?;
                let mut statement = transaction
                    .prepare_cached("SELECT uuid FROM test WHERE delivery = ? AND stage = 0 ORDER BY uuid")?;
                let uuids: Vec<String> = statement.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
                uuids.iter().try_for_each(|uuid| confirm(transaction, uuid))?;
            }
            Ok(())
        })
        .await
    }

    /// Deletes a delivery of which nothing was queued, so that it can come again.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn forget(&self, delivery: String) -> Result<(), JournalError> {
        self.durably(move |transaction| {
            transaction.execute("DELETE FROM test WHERE delivery = ? AND stage = 0", [&delivery])?;
            transaction.execute("DELETE FROM content WHERE delivery = ?", [&delivery])?;
            transaction.execute("DELETE FROM delivery WHERE id = ? AND queued = 0", [&delivery]).map(drop)
        })
        .await
    }

    /// Records that the request of a test in doubt is queued. With the last test of a delivery, the delivery is done.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn confirm(&self, uuid: RequestId) -> Result<(), JournalError> {
        self.durably(move |transaction| {
            confirm(transaction, uuid.as_str())?;
            finish_delivery(transaction, &uuid)
        })
        .await
    }

    /// Records that a test cannot be withdrawn, because it runs or has ended.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn cancel_withdrawal(&self, uuid: RequestId) -> Result<(), JournalError> {
        self.with(move |transaction| {
            transaction.execute("UPDATE test SET stage = 1 WHERE uuid = ? AND stage = 2", [uuid.as_str()]).map(drop)
        })
        .await
    }

    /// Records the state in which a test has ended.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn end(
        &self,
        uuid: RequestId,
        state: State,
        description: String,
        link: String,
    ) -> Result<(), JournalError> {
        self.with(move |transaction| {
            let sql = "UPDATE test SET stage = 3, reason = '', tested = 1, state = ?, description = ?, link = ?, shown = '', next = 0, tries = 0
                       WHERE uuid = ? AND (stage < 3 OR reason = 'gone')";
            transaction.execute(sql, params![state.as_str(), description, link, uuid.as_str()])?;
            finish_delivery(transaction, &uuid)
        })
        .await
    }

    /// Ends a test that was not run, for a reason. With `gone`, a result may still arrive: workers of other programs do
    /// not announce what they run.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn end_untested(&self, uuid: RequestId, reason: &str, gone: bool) -> Result<(), JournalError> {
        let description = format!("not tested: {reason}");
        self.with(move |transaction| {
            let sql = "UPDATE test SET stage = 3, reason = ?, state = 'error', description = ?, link = '', next = 0, tries = 0
                       WHERE uuid = ? AND stage < 3";
            if transaction.execute(sql, params![if gone { "gone" } else { "" }, description, uuid.as_str()])? > 0 {
                // The forge may show this test as pending in the place of an earlier result of the same commit.
                let sql = "UPDATE test SET shown = '', next = 0
                           FROM (SELECT forge, api, project, context, sha FROM test WHERE uuid = ?) AS it
                           WHERE test.sha = it.sha AND test.context = it.context AND test.project = it.project
                             AND test.forge = it.forge AND test.api = it.api AND test.tested";
                transaction.execute(sql, [uuid.as_str()])?;
            }
            finish_delivery(transaction, &uuid)
        })
        .await
    }

    /// Adds tests that were found elsewhere, and returns the number of unknown ones. Known ones stay as they are.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub async fn restore(&self, tests: Vec<PullTest>) -> Result<usize, JournalError> {
        self.durably(move |transaction| {
            let mut new = 0;
            for test in &tests {
                new += usize::from(insert(transaction, test, "")?);
            }
            Ok(new)
        })
        .await
    }
}

fn record(
    transaction: &Transaction<'_>,
    delivery: &DeliveryRecord,
    now: Timestamp,
) -> rusqlite::Result<IntakeDecision> {
    let known: Option<bool> = transaction
        .query_row("SELECT queued FROM delivery WHERE id = ?", [&delivery.id], |row| row.get(0))
        .optional()?;
    match known {
        Some(true) => return Ok(IntakeDecision::Done),
        Some(false) => return Ok(IntakeDecision::Unfinished),
        None => {}
    }
    let subjects = delivery.action.subjects();
    let mut fresh = Vec::with_capacity(subjects.len());
    for subject in &subjects {
        let mut statement = transaction.prepare_cached("SELECT 1 FROM content WHERE digest = ? AND subject = ?")?;
        fresh.push(!statement.exists([&delivery.digest, subject])?);
    }
    if !fresh.is_empty() && !fresh.contains(&true) {
        return Ok(IntakeDecision::Repeated);
    }
    let mut to_queue = Vec::new();
    if let DeliveryAction::Test(tests) = &delivery.action {
        for ((test, subject), _) in tests.iter().zip(&subjects).zip(&fresh).filter(|(_, fresh)| **fresh) {
            match decide(transaction, test, subject)? {
                // Its age starts now: the background task leaves it to the intake until it is older.
                TestDecision::Wanted => to_queue.push(PullTest { created: now, ..test.clone() }),
                TestDecision::Needless => {}
                TestDecision::InDoubt => return Ok(IntakeDecision::Unfinished),
            }
        }
    }
    let sql = "INSERT INTO delivery (id, received, queued) VALUES (?, ?, ?)";
    transaction.execute(sql, params![delivery.id, now.as_second(), to_queue.is_empty()])?;
    for subject in &subjects {
        let sql = "INSERT INTO content (digest, subject, delivery) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
        transaction.execute(sql, [&delivery.digest, subject, &delivery.id])?;
    }
    if let DeliveryAction::Test(tests) = &delivery.action {
        // A commit that is queued or runs already was requested again: events from before this one must not withdraw
        // it.
        for test in tests {
            let sql =
                "UPDATE test SET changed = max(changed, ?) WHERE forge = ? AND api = ? AND project = ? AND number = ?
                       AND context = ? AND sha = ? AND stage = 1";
            let (changed, api) = (test.changed.as_millisecond(), test.api.to_string());
            let (forge, project, sha) = (test.forge.as_str(), test.project.as_str(), test.commit.as_str());
            let mut statement = transaction.prepare_cached(sql)?;
            statement.execute(params![changed, forge, api, project, test.number, test.context, sha])?;
        }
    }
    for test in &to_queue {
        // A test that was found elsewhere and ended without a result starts again.
        transaction.execute("DELETE FROM test WHERE uuid = ? AND stage = 3 AND NOT tested", [test.uuid.as_str()])?;
        insert(transaction, test, &delivery.id)?;
    }
    if let DeliveryAction::Close { forge, api, project, number, changed, contexts } = &delivery.action {
        for subject in &subjects {
            let sql = "INSERT INTO closed (subject, number, changed) VALUES (?1, ?2, ?3)
                       ON CONFLICT DO UPDATE SET changed = max(changed, ?3)";
            transaction.execute(sql, params![subject, number, changed.as_millisecond()])?;
        }
        for context in contexts {
            // A test that is not queued yet (stage 0) is withdrawn as soon as it is.
            let sql = "UPDATE test SET stage = 2 * stage, reason = 'the pull request was closed'
                       WHERE forge = ? AND api = ? AND project = ? AND number = ? AND context = ? AND stage < 2 AND changed <= ?";
            let (api, changed) = (api.to_string(), changed.as_millisecond());
            transaction.execute(sql, params![forge.as_str(), api, project.as_str(), number, context, changed])?;
        }
    }
    Ok(IntakeDecision::New(to_queue))
}

/// Whether a test is to be queued.
enum TestDecision {
    Wanted,
    /// Nothing is queued, because the commit is queued or runs already, there is a newer one, or the pull request is
    /// closed. That happens to pull requests that are reopened, to projects with two hooks, and to deliveries that are
    /// sent again after an outage.
    Needless,
    /// A delivery of this commit is recorded, and whether it is queued is unknown.
    InDoubt,
}

fn decide(transaction: &Transaction<'_>, test: &PullTest, subject: &str) -> rusqlite::Result<TestDecision> {
    // The test may have been found elsewhere before, under the same id.
    let sql = "SELECT stage = 3 AND tested, stage < 3 OR state <> shown FROM test WHERE uuid = ?";
    let known: Option<(bool, bool)> = transaction
        .prepare_cached(sql)?
        .query_row([test.uuid.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((true, _)) = known {
        return Ok(TestDecision::Needless);
    }
    let sql = "SELECT 1 FROM closed WHERE subject = ? AND number = ? AND changed > ?";
    let closed = params![subject, test.number, test.changed.as_millisecond()];
    if transaction.prepare_cached(sql)?.exists(closed)? {
        return Ok(TestDecision::Needless);
    }
    // A test that will be withdrawn as soon as it is queued does not count.
    let sql = "SELECT max(CASE
                   WHEN sha = ?6 AND stage = 0 AND reason = '' THEN 2
                   WHEN sha = ?6 AND stage = 1 THEN 1
                   WHEN sha <> ?6 AND stage > 0 AND changed > ?7 THEN 1
                   ELSE 0 END)
               FROM test WHERE forge = ?1 AND api = ?2 AND project = ?3 AND number = ?4 AND context = ?5";
    let key = params![
        test.forge.as_str(),
        test.api.to_string(),
        test.project.as_str(),
        test.number,
        test.context,
        test.commit.as_str(),
        test.changed.as_millisecond()
    ];
    let standing: Option<i64> = transaction.prepare_cached(sql)?.query_row(key, |row| row.get(0))?;
    Ok(match standing {
        Some(2) => TestDecision::InDoubt,
        Some(1) => TestDecision::Needless,
        // Its final state has to be shown first.
        _ if known.is_some_and(|(_, is_open)| is_open) => TestDecision::InDoubt,
        _ => TestDecision::Wanted,
    })
}

/// Records that a test's request is queued, and withdraws the tests of older commits of the same pull request. One of
/// these that is in doubt is withdrawn as soon as it is queued.
fn confirm(transaction: &Transaction<'_>, uuid: &str) -> rusqlite::Result<()> {
    let sql =
        "UPDATE test SET stage = CASE reason WHEN '' THEN 1 ELSE 2 END WHERE uuid = ? AND stage = 0 RETURNING stage";
    let stage: Option<i64> = transaction.prepare_cached(sql)?.query_row([uuid], |row| row.get(0)).optional()?;
    // A test that is withdrawn itself withdraws no other one.
    if stage != Some(1) {
        return Ok(());
    }
    let sql = "UPDATE test SET stage = 2 * stage, reason = 'superseded by a newer commit'
               FROM (SELECT forge, api, project, number, context, sha, changed, created FROM test WHERE uuid = ?) AS new
               WHERE test.project = new.project AND test.number = new.number AND test.forge = new.forge AND test.api = new.api
                 AND test.context = new.context AND test.sha <> new.sha
                 AND (test.stage = 1 OR (test.stage = 0 AND test.reason = ''))
                 AND (test.changed, test.created) < (new.changed, new.created)";
    transaction.prepare_cached(sql)?.execute([uuid]).map(drop)
}

fn finish_delivery(transaction: &Transaction<'_>, uuid: &RequestId) -> rusqlite::Result<()> {
    let sql = "UPDATE delivery SET queued = 1 WHERE id = (SELECT delivery FROM test WHERE uuid = ?)
               AND NOT EXISTS (SELECT 1 FROM test WHERE test.delivery = delivery.id AND stage = 0)";
    transaction.execute(sql, [uuid.as_str()]).map(drop)
}
