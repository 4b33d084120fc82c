use super::*;
use crate::forge::status::State;
use crate::forge::{Forge, Project};
use crate::pulls::PullTest;
use crate::request::Request;
use crate::request::line::Submission;

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn test(number: u64, sha: char, uuid: &str) -> PullTest {
    let project: Project = "Me/Thing".parse().unwrap();
    let commit = sha.to_string().repeat(40).parse().unwrap();
    let text = format!(r#"thing {{"uuid": "{uuid}", "env": ["UPSTREAM_PULL_REQUEST={number}"]}}"#);
    let request = Request::parse(text.as_bytes()).unwrap();
    let submission = Submission { queue: "debci-upstream-noble-amd64".parse().unwrap(), request };
    PullTest::new(Forge::GitHub, &Forge::GitHub.api(), &project, number, &commit, submission, now()).unwrap()
}

fn delivery(id: &str, tests: Vec<PullTest>) -> DeliveryRecord {
    DeliveryRecord { id: id.to_owned(), digest: format!("digest of {id}"), action: DeliveryAction::Test(tests) }
}

fn close(id: &str, number: u64, changed: Timestamp) -> DeliveryRecord {
    let action = DeliveryAction::Close {
        forge: Forge::GitHub,
        api: Forge::GitHub.api(),
        project: "me/thing".parse().unwrap(),
        number,
        changed,
        contexts: vec!["autopkgtest/thing/noble/amd64".to_owned()],
    };
    DeliveryRecord { id: id.to_owned(), digest: format!("digest of {id}"), action }
}

fn seconds(seconds: i64) -> Timestamp {
    now() + jiff::SignedDuration::from_secs(seconds)
}

fn uuids(tests: &[PullTest]) -> Vec<&str> {
    tests.iter().map(|test| test.uuid.as_str()).collect()
}

fn run<T>(story: impl AsyncFnOnce(Journal) -> T) -> T {
    let folder = tempfile::TempDir::new().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let journal = Journal::open(&Journal::path(folder.path())).unwrap();
    runtime.block_on(story(journal))
}

#[test]
fn a_delivery_is_done_once() {
    run(async |journal| {
        let one = delivery("d1", vec![test(7, 'a', "u1")]);
        let begun = journal.record(vec![one.clone(), one.clone()], now()).await.unwrap();
        assert!(matches!(&begun[0], IntakeDecision::New(tests) if tests.len() == 1));
        assert_eq!(begun[1], IntakeDecision::Unfinished);
        journal.mark_queued(vec!["d1".to_owned()]).await.unwrap();
        assert_eq!(journal.record(vec![one.clone()], now()).await.unwrap(), [IntakeDecision::Done]);
        let repeated = DeliveryRecord { id: "another".to_owned(), ..one };
        assert_eq!(journal.record(vec![repeated], now()).await.unwrap(), [IntakeDecision::Repeated]);
        let read = journal.in_stage(Stage::Queued).await.unwrap();
        assert_eq!(read[0].submission.request.uuid().unwrap().as_str(), "u1");
        assert_eq!(journal.counts().await.unwrap().unshown, 1);
    });
}

#[test]
fn what_was_not_queued_may_come_again() {
    run(async |journal| {
        let one = delivery("d1", vec![test(7, 'a', "u1")]);
        journal.record(vec![one.clone()], now()).await.unwrap();
        journal.forget("d1".to_owned()).await.unwrap();
        assert!(matches!(journal.record(vec![one], now()).await.unwrap()[0], IntakeDecision::New(_)));
    });
}

#[test]
fn a_newer_commit_supersedes_and_the_same_one_does_not_run_twice() {
    run(async |journal| {
        let tests = [("d1", test(7, 'a', "u1")), ("d2", test(8, 'a', "u2")), ("d3", test(7, 'b', "u3"))];
        for (second, (id, test)) in (-3..).zip(tests) {
            journal.record(vec![delivery(id, vec![test])], seconds(second)).await.unwrap();
            journal.mark_queued(vec![id.to_owned()]).await.unwrap();
        }
        let withdrawn = journal.in_stage(Stage::Withdrawn).await.unwrap();
        assert_eq!(withdrawn.iter().map(|test| test.uuid.as_str()).collect::<Vec<_>>(), ["u1"]);
        assert_eq!(withdrawn[0].reason, "superseded by a newer commit");
        let late = PullTest { changed: now() - jiff::SignedDuration::from_secs(9), ..test(7, 'c', "u9") };
        let late = journal.record(vec![delivery("d9", vec![late])], now()).await.unwrap();
        assert_eq!(late, [IntakeDecision::New(Vec::new())], "it is not the newest any more");
        let again = delivery("d4", vec![test(7, 'b', "u4")]);
        assert_eq!(journal.record(vec![again], now()).await.unwrap(), [IntakeDecision::New(Vec::new())]);
        let close = close("d5", 8, now());
        journal.record(vec![close], now()).await.unwrap();
        assert_eq!(journal.in_stage(Stage::Withdrawn).await.unwrap().len(), 2);
    });
}

#[test]
fn a_state_is_shown_until_the_forge_takes_it() {
    run(async |journal| {
        journal.record(vec![delivery("d1", vec![test(7, 'a', "u1")])], now()).await.unwrap();
        assert_eq!(journal.due_statuses(now()).await.unwrap(), [], "not before it is queued");
        journal.mark_queued(vec!["d1".to_owned()]).await.unwrap();
        let uuid: RequestId = "u1".parse().unwrap();
        let later = now() + jiff::SignedDuration::from_secs(60);
        journal.mark_failed(uuid.clone(), later, "away".to_owned()).await.unwrap();
        assert_eq!(journal.due_statuses(now()).await.unwrap(), []);
        assert_eq!(journal.next_due().await.unwrap(), Some(later));
        assert_eq!(journal.due_statuses(later).await.unwrap()[0].tries, 1);
        journal.mark_shown(uuid.clone(), State::Pending).await.unwrap();
        assert_eq!(journal.due_statuses(later).await.unwrap(), []);
        journal.end(uuid.clone(), State::Success, "good".to_owned(), "https://x".to_owned()).await.unwrap();
        journal.end(uuid.clone(), State::Failure, "late".to_owned(), String::new()).await.unwrap();
        assert_eq!(journal.due_statuses(now()).await.unwrap()[0].state, State::Success, "the first end counts");
        journal.mark_shown(uuid, State::Success).await.unwrap();
        journal.record(vec![delivery("d2", vec![test(8, 'a', "u2")])], seconds(1)).await.unwrap();
        journal.mark_queued(vec!["d2".to_owned()]).await.unwrap();
        let nowhere: RequestId = "u2".parse().unwrap();
        journal.end_untested(nowhere.clone(), "nowhere", true).await.unwrap();
        assert_eq!(journal.test(nowhere.clone()).await.unwrap().unwrap().state, State::Error);
        // A worker has run it nevertheless.
        assert_eq!(journal.open_among(vec!["u1".to_owned(), "u2".to_owned()]).await.unwrap().len(), 1);
        journal.end(nowhere.clone(), State::Success, "good".to_owned(), String::new()).await.unwrap();
        assert_eq!(journal.open_places().await.unwrap(), []);
        journal.mark_shown(nowhere, State::Success).await.unwrap();
        assert_eq!(journal.counts().await.unwrap(), Counts { stages: [0, 0, 0, 2], unshown: 0, troubled: 0 });
    });
}

#[test]
fn one_process_has_it() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = Journal::path(folder.path());
    let journal = Journal::open(&path).unwrap();
    assert!(matches!(Journal::open(&path), Err(JournalError::Busy(_))));
    drop(journal);
    // A process that another test starts at this moment holds a copy of the lock until it calls exec.
    let mut tries = 0..3000;
    while let Err(error) = Journal::open(&path) {
        assert!(matches!(error, JournalError::Busy(_)), "{error}");
        tries.next().expect("the lock goes with its holder");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn what_is_found_to_be_queued_supersedes_as_well() {
    run(async |journal| {
        // The first is in doubt, the second is queued, and then the first one is found in its queue.
        let older = PullTest { changed: seconds(-9), ..test(7, 'a', "u1") };
        journal.record(vec![delivery("d1", vec![older])], now()).await.unwrap();
        journal.record(vec![delivery("d2", vec![test(7, 'b', "u2")])], now()).await.unwrap();
        journal.mark_queued(vec!["d2".to_owned()]).await.unwrap();
        journal.confirm("u1".parse().unwrap()).await.unwrap();
        assert_eq!(uuids(&journal.in_stage(Stage::Withdrawn).await.unwrap()), ["u1"]);
        assert_eq!(uuids(&journal.in_stage(Stage::Queued).await.unwrap()), ["u2"]);
        // In the other order: the newer one is in doubt, and is found.
        let newer = PullTest { changed: seconds(9), ..test(7, 'c', "u3") };
        journal.record(vec![delivery("d3", vec![newer])], now()).await.unwrap();
        journal.confirm("u3".parse().unwrap()).await.unwrap();
        assert_eq!(uuids(&journal.in_stage(Stage::Withdrawn).await.unwrap()), ["u1", "u2"]);
    });
}

#[test]
fn closed_in_doubt_and_opened_again_it_is_tested() {
    run(async |journal| {
        journal.record(vec![delivery("d1", vec![test(7, 'a', "u1")])], now()).await.unwrap();
        journal.record(vec![close("d2", 7, now())], now()).await.unwrap();
        let again = journal.record(vec![delivery("d3", vec![test(7, 'a', "u2")])], now()).await.unwrap();
        assert!(matches!(&again[0], IntakeDecision::New(tests) if uuids(tests) == ["u2"]), "{again:?}");
        journal.mark_queued(vec!["d3".to_owned()]).await.unwrap();
        journal.confirm("u1".parse().unwrap()).await.unwrap();
        assert_eq!(uuids(&journal.in_stage(Stage::Withdrawn).await.unwrap()), ["u1"]);
        // A close that is sent again late is older than the pull request that is open now.
        let reopened = PullTest { changed: seconds(9), ..test(8, 'a', "u3") };
        journal.record(vec![delivery("d4", vec![reopened])], now()).await.unwrap();
        journal.mark_queued(vec!["d4".to_owned()]).await.unwrap();
        journal.record(vec![close("d5", 8, now())], now()).await.unwrap();
        assert_eq!(uuids(&journal.in_stage(Stage::Queued).await.unwrap()), ["u2", "u3"]);
    });
}

#[test]
fn nobody_is_told_that_something_in_doubt_is_queued() {
    run(async |journal| {
        let two = vec![delivery("d1", vec![test(7, 'a', "u1")]), delivery("d2", vec![test(7, 'a', "u2")])];
        let begun = journal.record(two.clone(), now()).await.unwrap();
        assert!(matches!(begun.as_slice(), [IntakeDecision::New(_), IntakeDecision::Unfinished]), "{begun:?}");
        journal.forget("d1".to_owned()).await.unwrap();
        let begun = journal.record(two[1..].to_vec(), now()).await.unwrap();
        assert!(matches!(begun.as_slice(), [IntakeDecision::New(tests)] if uuids(tests) == ["u2"]), "{begun:?}");
    });
}

#[test]
fn a_body_counts_once_for_each_context_whatever_its_address_is() {
    run(async |journal| {
        let one = delivery("d1 amd64", vec![test(7, 'a', "u1")]);
        journal.record(vec![one.clone()], now()).await.unwrap();
        journal.mark_queued(vec![one.id.clone()]).await.unwrap();
        journal.end("u1".parse().unwrap(), State::Success, String::new(), String::new()).await.unwrap();
        // Another hook for the same event, on another architecture.
        let mut other = test(7, 'a', "u2");
        other.context = "autopkgtest/thing/noble/arm64".to_owned();
        let both = DeliveryRecord {
            id: "d1 both".to_owned(),
            action: DeliveryAction::Test(vec![test(7, 'a', "u3"), other]),
            ..one.clone()
        };
        let begun = journal.record(vec![both], now()).await.unwrap();
        assert!(matches!(begun.as_slice(), [IntakeDecision::New(tests)] if uuids(tests) == ["u2"]), "{begun:?}");
        let repeated = DeliveryRecord { id: "another address".to_owned(), ..one };
        assert_eq!(journal.record(vec![repeated], now()).await.unwrap(), [IntakeDecision::Repeated]);
    });
}

#[test]
fn what_was_not_run_hides_no_result_of_the_same_commit() {
    run(async |journal| {
        let queue = async |id: &str, test: PullTest, at: i64| {
            journal.record(vec![delivery(id, vec![test])], seconds(at)).await.unwrap();
            journal.mark_queued(vec![id.to_owned()]).await.unwrap();
        };
        let shown = async || {
            let due = journal.due_statuses(now()).await.unwrap();
            due.iter().map(|test| format!("{} {}", test.uuid, test.state)).collect::<Vec<_>>()
        };
        queue("d1", test(7, 'a', "u1"), 0).await;
        queue("d2", test(8, 'a', "u2"), 1).await;
        assert_eq!(shown().await, ["u2 pending"], "the newer one of two");
        journal.end("u1".parse().unwrap(), State::Success, String::new(), String::new()).await.unwrap();
        assert_eq!(shown().await, ["u2 pending"]);
        journal.end_untested("u2".parse().unwrap(), "the pull request was closed", false).await.unwrap();
        assert_eq!(shown().await, ["u1 success"]);
        // After another request, the newer result counts.
        queue("d3", test(7, 'a', "u3"), 2).await;
        journal.end("u3".parse().unwrap(), State::Failure, String::new(), String::new()).await.unwrap();
        assert_eq!(shown().await, ["u3 failure"]);
        assert_eq!(journal.counts().await.unwrap().unshown, 1);
        journal.mark_shown("u3".parse().unwrap(), State::Failure).await.unwrap();
        // Requested again and then not tested: the forge may show it as pending, and gets the result again.
        queue("d4", test(7, 'a', "u4"), 3).await;
        journal.mark_shown("u4".parse().unwrap(), State::Pending).await.unwrap();
        assert_eq!(shown().await, Vec::<String>::new());
        journal.end_untested("u4".parse().unwrap(), "the pull request was closed", false).await.unwrap();
        assert_eq!(shown().await, ["u3 failure"]);
        journal.mark_shown("u3".parse().unwrap(), State::Failure).await.unwrap();
        // Hidden states do not become visible, whichever of them is deleted first.
        for days in 29..32 {
            journal.sweep(seconds(days * 86_400)).await.unwrap();
            assert_eq!(shown().await, Vec::<String>::new(), "after {days} days");
        }
        assert_eq!(journal.counts().await.unwrap().stages, [0; 4]);
    });
}

#[test]
fn what_is_told_late_takes_nothing_away_that_is_wanted_since() {
    run(async |journal| {
        let queue = async |id: &str, test: PullTest| {
            let begun = journal.record(vec![delivery(id, vec![test])], now()).await.unwrap();
            journal.mark_queued(vec![id.to_owned()]).await.unwrap();
            matches!(begun.as_slice(), [IntakeDecision::New(tests)] if !tests.is_empty())
        };
        let at = |number, sha, uuid, second| PullTest { changed: seconds(second), ..test(number, sha, uuid) };
        // Closed and reopened, and the first event arrives last.
        assert!(queue("d1", at(7, 'a', "u1", 1)).await);
        assert!(!queue("d2", at(7, 'a', "u2", 3)).await, "it waits already");
        journal.record(vec![close("d3", 7, seconds(2))], now()).await.unwrap();
        assert_eq!(uuids(&journal.in_stage(Stage::Queued).await.unwrap()), ["u1"]);
        // Another commit, and back to the first; the event of the other one arrives last.
        assert!(!queue("d4", at(7, 'b', "u4", 2)).await, "it is not the newest");
        assert_eq!(uuids(&journal.in_stage(Stage::Queued).await.unwrap()), ["u1"]);
        // A delivery that was refused during an outage comes after the pull request was closed.
        journal.record(vec![close("d5", 8, seconds(5))], now()).await.unwrap();
        assert!(!queue("d6", at(8, 'a', "u6", 4)).await, "it is closed");
        assert!(queue("d7", at(8, 'a', "u7", 6)).await, "it is open again");
    });
}

#[test]
fn of_two_commits_of_the_same_second_one_is_tested() {
    run(async |journal| {
        let two = [("d1", test(7, 'a', "u1")), ("d2", test(7, 'b', "u2"))];
        let two = two.map(|(id, test)| delivery(id, vec![test])).to_vec();
        journal.record(two, now()).await.unwrap();
        journal.mark_queued(vec!["d2".to_owned()]).await.unwrap();
        journal.confirm("u1".parse().unwrap()).await.unwrap();
        assert_eq!(uuids(&journal.in_stage(Stage::Withdrawn).await.unwrap()), ["u1"]);
        assert_eq!(uuids(&journal.in_stage(Stage::Queued).await.unwrap()), ["u2"]);
    });
}

#[test]
fn a_delivery_whose_request_was_found_elsewhere_is_finished() {
    run(async |journal| {
        let found = |uuid| PullTest { stage: Stage::Queued, shown: Some(State::Pending), ..test(7, 'a', uuid) };
        journal.restore(vec![found("u1"), found("u2")]).await.unwrap();
        journal.end_untested("u1".parse().unwrap(), "taken out of its queue", false).await.unwrap();
        journal.end("u2".parse().unwrap(), State::Success, String::new(), String::new()).await.unwrap();
        // One starts again as soon as its final state is shown; the other has its result.
        let begun = journal.record(vec![delivery("d1", vec![test(7, 'a', "u1")])], now()).await.unwrap();
        assert_eq!(begun, [IntakeDecision::Unfinished]);
        journal.mark_shown("u1".parse().unwrap(), State::Error).await.unwrap();
        let begun = journal.record(vec![delivery("d1", vec![test(7, 'a', "u1")])], now()).await.unwrap();
        assert!(matches!(begun.as_slice(), [IntakeDecision::New(tests)] if uuids(tests) == ["u1"]), "{begun:?}");
        let again = journal.test("u1".parse().unwrap()).await.unwrap().unwrap();
        assert_eq!((again.stage, again.shown), (Stage::Received, None));
        journal.confirm("u1".parse().unwrap()).await.unwrap();
        let two = delivery("d2", vec![test(7, 'a', "u2")]);
        assert_eq!(journal.record(vec![two.clone()], now()).await.unwrap(), [IntakeDecision::New(Vec::new())]);
        assert_eq!(journal.record(vec![two], now()).await.unwrap(), [IntakeDecision::Done]);
    });
}

#[test]
fn a_damaged_file_is_set_aside_when_it_is_opened() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = Journal::path(folder.path());
    let copies = || {
        let names = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name());
        names
            .filter(|name| name.to_string_lossy().contains(".damaged-") && name.to_string_lossy().ends_with('Z'))
            .count()
    };
    // Not a database, a truncated one, and one with a page of random bytes in the middle.
    for round in 0..5_usize {
        drop(Journal::open(&path).unwrap());
        let good = std::fs::read(&path).unwrap();
        let mut bytes = good.clone();
        match round % 3 {
            0 => bytes = b"no database, but long enough to be one".repeat(100),
            1 => bytes.truncate(good.len() / 2),
            _ => bytes[4096..8192].fill(0x5a),
        }
        std::fs::write(&path, bytes).unwrap();
        let journal = Journal::open(&path).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(journal.counts()).unwrap(), Counts::default());
        assert_eq!(copies(), (round + 1).min(3), "as many as anybody looks at");
    }
}

#[test]
fn damage_that_shows_later_is_set_aside_as_well() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = Journal::path(folder.path());
    let journal = Journal::open(&path).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let damage = || {
            Err::<(), _>(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT), None))
        };
        journal.record(vec![delivery("d1", vec![test(7, 'a', "u1")])], now()).await.unwrap();
        assert!(journal.with(move |_| damage()).await.is_err(), "what was asked is not answered with less");
        journal.renewed().await;
        assert_eq!(journal.counts().await.unwrap(), Counts::default());
        journal.record(vec![delivery("d1", vec![test(7, 'a', "u1")])], now()).await.unwrap();
        assert_eq!(journal.counts().await.unwrap().stages[0], 1);
    });
}

#[test]
fn a_request_of_a_user_is_in_doubt_until_it_is_queued_or_certainly_not() {
    run(async |journal| {
        let submission = |uuid: &str| test(7, 'a', uuid).submission;
        let in_doubt = async || {
            let requests = journal.unconfirmed_user_requests(Timestamp::MAX).await.unwrap();
            requests.iter().filter_map(|one| one.request.uuid().map(ToString::to_string)).collect::<Vec<_>>()
        };
        let three = ["u1", "u2", "u3"].map(submission);
        journal.record_user_requests(three.to_vec(), now()).await.unwrap();
        assert_eq!(journal.unconfirmed_user_requests(Timestamp::MAX).await.unwrap(), three);
        assert_eq!(journal.unconfirmed_user_requests(now()).await.unwrap(), []);
        // That a user was given its id does not make it certain.
        journal.note_user_requests(vec![("u1".parse().unwrap(), submission("u1"))], seconds(1)).await.unwrap();
        assert_eq!(in_doubt().await, ["u1", "u2", "u3"]);
        journal.mark_user_requests_queued(vec!["u1".parse().unwrap()]).await.unwrap();
        journal.forget_user_requests(["u1", "u2"].map(|uuid| uuid.parse().unwrap()).to_vec()).await.unwrap();
        assert_eq!(in_doubt().await, ["u3"]);
        let known =
            async |uuid: &str| journal.user_request(uuid.parse().unwrap()).await.unwrap().map(|one| one.outcome);
        assert_eq!((known("u1").await, known("u2").await), (Some(String::new()), None));
        journal.end_user_request("u3".parse().unwrap(), "there is no queue").await.unwrap();
        assert_eq!((in_doubt().await, known("u3").await.as_deref()), (vec![], Some("not tested: there is no queue")));
    });
}

#[test]
fn files_of_former_forms_are_taken_over() {
    let folder = tempfile::TempDir::new().unwrap();
    let (asked, in_doubt) = (include_str!("asked.sql"), include_str!("asked_in_doubt.sql"));
    for (version, further) in [(3, String::new()), (4, asked.to_owned()), (5, format!("{asked}{in_doubt}"))] {
        let path = Journal::path(&folder.path().join(version.to_string()));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let former = Connection::open(&path).unwrap();
        former.execute_batch(include_str!("schema.sql")).unwrap();
        former.execute_batch(&further).unwrap();
        former.execute("INSERT INTO looked (project, at) VALUES ('p', 7)", []).unwrap();
        former.pragma_update(None, "user_version", version).unwrap();
        drop(former);
        let journal = Journal::open(&path).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            assert_eq!(journal.last_search("p".to_owned()).await.unwrap(), Timestamp::from_second(7).ok());
            let PullTest { submission, uuid, .. } = test(7, 'a', "u1");
            journal.record_user_requests(vec![submission], now()).await.unwrap();
            journal
                .note_result_search(uuid.clone(), now(), Some(("tests passed".to_owned(), String::new())))
                .await
                .unwrap();
            let asked = journal.user_request(uuid.clone()).await.unwrap().unwrap();
            assert_eq!((asked.outcome.as_str(), asked.created), ("tests passed", now()));
            journal.sweep(now() + jiff::SignedDuration::from_hours(24 * 40)).await.unwrap();
            assert_eq!(journal.user_request(uuid).await.unwrap(), None);
        });
        drop(journal);
        let mark =
            Connection::open(&path).unwrap().pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0));
        assert_eq!(mark, Ok(KIND.application_id));
    }
}

#[test]
fn files_of_newer_and_other_programs_are_refused_and_kept() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = Journal::path(folder.path());
    let refused = |sql: &str, expected: &str| {
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let before = std::fs::read(&path).unwrap();
        let error = loop {
            match Journal::open(&path).map(drop).unwrap_err() {
                // A process that another test starts at this moment holds a copy of the lock until it has begun.
                JournalError::Busy(_) => std::thread::sleep(Duration::from_millis(20)),
                error => break error,
            }
        };
        assert!(matches!(&error, JournalError::Incompatible(reason) if reason.ends_with(expected)), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    };
    let journal = Journal::open(&path).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(journal.record(vec![delivery("d1", vec![test(7, 'a', "u1")])], now())).unwrap();
    drop(journal);
    refused("PRAGMA user_version = 9", "journal.sqlite was written by a newer apt-ci (format 9, this program knows 5)");
    let foreign = "journal.sqlite is not a journal of pull requests, but another program's database";
    refused("PRAGMA application_id = 7", foreign);
    refused("PRAGMA application_id = 0; PRAGMA user_version = 5; DROP TABLE delivery", foreign);
}
