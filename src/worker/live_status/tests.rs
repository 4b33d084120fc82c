//! Status of a worker as operators see it, without anything private.

use super::*;

fn live_status(slots: usize) -> LiveStatus {
    let facts = WorkerFacts {
        name: "host:1".to_owned(),
        site: None,
        queue: "amqps://user@host/vhost".to_owned(),
        store: "folder:/results".to_owned(),
        queues: vec!["debci-sid-amd64".parse().unwrap()],
    };
    LiveStatus::new(facts, slots, Shutdown::default())
}

fn request(text: &str) -> Request {
    Request::parse(text.as_bytes()).unwrap().with_id()
}

fn queue() -> QueueName {
    "debci-sid-amd64".parse().unwrap()
}

#[test]
fn an_operator_sees_what_every_slot_does() {
    let live_status = live_status(3);
    assert!(!live_status.is_ready());
    let running = live_status.slot(1);
    let gzip = request(r#"gzip {"triggers": ["glibc/2.36-9"]}"#);
    running.running(&gzip, &queue(), 2);
    running.phase(TestPhase::Testing);
    running.log_line("\n");
    assert!(serde_json::to_value(live_status.status()).unwrap()["slots"][0]["log_line"].is_null(), "there is none yet");
    running.log_line("test 1 \u{1b}[2J of 3\n");
    let paused = live_status.slot(2);
    let begin = std::time::Instant::now();
    paused.failed("the testbed failed");
    paused.paused(Duration::from_secs(60));
    assert!(!live_status.is_ready(), "the third is still starting");
    live_status.slot(3).waiting();
    assert!(live_status.is_ready());

    let document = serde_json::to_value(live_status.status()).unwrap();
    assert_eq!(document["told"], "serving");
    assert_eq!(document["pid"], std::process::id());
    let [first, second, third] = [0, 1, 2].map(|index| &document["slots"][index]);
    assert_eq!((&first["slot"], &first["state"], &first["phase"]), (&1.into(), &"running".into(), &"testing".into()));
    assert_eq!((&first["package"], &first["attempt"]), (&"gzip".into(), &2.into()));
    assert_eq!(first["uuid"], gzip.uuid().unwrap().as_str());
    assert_eq!(first["log_line"], "test 1  [2J of 3");
    assert_eq!((&second["state"], &second["failures_in_a_row"]), (&"paused".into(), &1.into()));
    assert_eq!(second["last_failure"], "the testbed failed");
    let left = second["seconds_left"].as_u64().unwrap();
    assert!(left <= 60 && left + begin.elapsed().as_secs() + 2 >= 60, "{second}");
    assert_eq!(third["state"], "waiting");
    // Programs can read back what was written.
    let read: WorkerStatus = serde_json::from_value(document).unwrap();
    assert_eq!(read.slots[0].slot, 1);
}

#[test]
fn nothing_of_a_private_test_is_on_the_board() {
    let live_status = live_status(1);
    let slot = live_status.slot(1);
    for parameters in [r#"{"swiftuser": "alice"}"#, r#"{"ppas": ["bob:TOKEN@bob/secret"]}"#] {
        slot.running(&request(&format!("hidden {parameters}")), &queue(), 1);
        slot.phase(TestPhase::Testing);
        slot.log_line("hidden says TOKEN");
        let shown = serde_json::to_string(&live_status.status()).unwrap();
        assert!(shown.contains("private-test") && shown.contains("\"private\":true"), "{shown}");
        slot.failed("the testbed of hidden failed: TOKEN");
        slot.paused(Duration::from_secs(1));
        let after = serde_json::to_string(&live_status.status()).unwrap();
        for text in [shown, after] {
            assert!(!text.contains("hidden") && !text.contains("TOKEN") && !text.contains("secret"), "{text}");
        }
    }
    // Failures between two tests are not private.
    slot.settled();
    slot.failed("the disk is full");
    assert_eq!(live_status.status().slots[0].last_failure.as_deref(), Some("the disk is full"));
}

#[test]
fn what_a_slot_did_is_counted() {
    let live_status = live_status(1);
    let slot = live_status.slot(1);
    slot.failed("one");
    slot.failed("two");
    assert_eq!(slot.failures_in_a_row(), 2);
    slot.given_back();
    assert_eq!(slot.failures_in_a_row(), 2, "that says nothing about this host");
    slot.settled();
    assert_eq!(slot.failures_in_a_row(), 0);
    let status = &live_status.status().slots[0];
    assert_eq!((status.done, status.infrastructure_failures), (1, 2));
}

#[test]
fn a_slot_that_makes_no_progress_is_noticed_and_a_paused_one_is_not_blamed() {
    let live_status = live_status(3);
    live_status.slot(1).waiting();
    live_status.slot(2).paused(Duration::from_secs(3600));
    live_status.slot(3).ended();
    assert_eq!(live_status.stalled(Duration::from_secs(60)), [0usize; 0]);
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(live_status.stalled(Duration::ZERO), [1]);
    live_status.slot(1).progress();
    assert_eq!(live_status.stalled(Duration::from_secs(60)), [0usize; 0]);
}

#[tokio::test]
async fn waiting_is_progress() {
    let live_status = live_status(1);
    let slot = live_status.slot(1);
    let before = live_status.state().slots[0].progress;
    slot.with_heartbeat(tokio::time::sleep(Duration::from_millis(5))).await;
    assert!(live_status.state().slots[0].progress > before);
}

#[test]
fn whoever_watches_hears_of_news_but_not_of_every_line() {
    let live_status = live_status(1);
    let mut changes = live_status.changes();
    let slot = live_status.slot(1);
    slot.waiting();
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    slot.progress();
    slot.log_line("a line");
    assert!(!changes.has_changed().unwrap());
}

#[test]
fn what_it_was_told_is_shown() {
    let live_status = live_status(0);
    live_status.stop().ask_to_finish(true);
    let status = live_status.status();
    assert_eq!((status.told, status.restart), (ShutdownPhase::Finishing, true));
    live_status.stop().ask_to_finish(false);
    assert!(!live_status.status().restart, "stopping is the stronger wish");
    live_status.stop().ask_to_finish(true);
    assert!(!live_status.status().restart);
    live_status.stop().ask_to_cancel();
    assert_eq!(live_status.status().told, ShutdownPhase::Cancelling);
}

#[tokio::test]
async fn work_that_takes_too_long_is_no_progress_any_more() {
    let live_status = live_status(2);
    let [hanging, patient] = [live_status.slot(1), live_status.slot(2)];
    let progress = |index: usize| live_status.state().slots[index].progress;
    let begin = progress(1);
    let watching = async {
        // The second tick comes a while after the first; by then the hanging slot has no time left.
        let mut ticks = Vec::from([begin]);
        let mut last = None;
        while ticks.len() < 5 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            ticks.extend(Some(progress(1)).filter(|tick| ticks.last() != Some(tick)));
            if ticks.len() == 3 {
                last.get_or_insert_with(|| progress(0));
            }
        }
        last
    };
    let last = tokio::select! {
        () = hanging.with_heartbeat_for(Duration::from_millis(1), std::future::pending()) => unreachable!(),
        () = patient.with_heartbeat(std::future::pending()) => unreachable!(),
        last = watching => last,
    };
    assert_eq!(Some(progress(0)), last, "it gets on no more");
    assert_eq!(hanging.with_heartbeat_for(Duration::from_secs(1), std::future::ready(7)).await, 7);
}
