//! What a broker promises, told as stories. Most are true of both backends; those about connections are RabbitMQ's alone.

mod amqp;
mod helper;
mod ids;
mod types;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use apt_ci::broker::{Broker, BrokerError, Choice, Failure, Pile, QueueState, QueueUrl, Rotation, Verdict, Wait};
use apt_ci::release::{Context, QueueName};
use apt_ci::request::Request;
use tokio_util::sync::CancellationToken;

pub use self::helper::become_helper;
use self::helper::{Helper, Stage, eventually, requests, submit, take, take_package};
use crate::support::{Services, Trial};
use crate::support::site::TestSite;

/// Where a story happens.
#[derive(Clone, Copy)]
enum Backend {
    RabbitMq,
    /// RabbitMQ whose queues are quorum queues.
    Quorum,
    Local,
}

impl Backend {
    fn name(self) -> &'static str {
        match self {
            Self::RabbitMq => "rabbitmq",
            Self::Quorum => "quorum",
            Self::Local => "local",
        }
    }
}

/// Every story, under each backend that it is true of.
pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let mut trials = amqp::trials(services);
    trials.extend(types::trials(services));
    trials.extend(ids::trials(services));
    trials.push(Trial::test("broker::delayed_requests_are_shown_when_there_are_any", || {
        delayed_requests_are_shown_when_there_are_any();
        Ok(())
    }));
    macro_rules! stories {
        ($($story:ident),* $(,)?) => {
            for backend in [Backend::RabbitMq, Backend::Quorum, Backend::Local] {
                $(
                    let own = Arc::clone(services);
                    let name = format!("broker::{}::{}", backend.name(), stringify!($story));
                    trials.push(Trial::test(name, move || {
                        helper::play(async {
                            let stage = Stage::set(&own, backend);
                            $story(&stage).await;
                        });
                        Ok(())
                    }));
                )*
            }
        };
    }
    stories![
        requests_come_in_the_order_of_their_submission,
        a_slot_serves_its_queues_in_turn,
        slots_that_share_a_rotation_give_bulk_requests_a_tenth,
        a_request_comes_back_when_its_worker_is_killed,
        a_failed_request_comes_back_after_its_delay_and_tells_why,
        a_delayed_request_is_told_of_and_holds_up_nobody,
        many_look_at_delayed_requests_and_each_sees_all,
        a_delayed_request_outlives_who_delayed_it,
        a_worker_that_empties_its_queues_waits_for_delayed_requests,
        a_request_is_passed_on_when_another_worker_waits,
        attempts_count_up_and_a_requeued_request_waits_behind_the_others,
        a_dropped_claim_gives_the_request_back,
        a_dead_letter_keeps_its_reason,
        workers_never_share_a_request,
        random_kills_lose_nothing_and_run_nothing_twice_at_a_time,
        a_slot_holds_one_request_and_leaves_the_others,
        a_waiting_slot_leaves_a_sudden_flood_to_the_others,
        an_idle_slot_takes_a_request_at_once,
        an_idle_slot_uses_no_processor_time,
        a_slot_that_is_told_to_stop_holds_nothing,
        a_killed_submission_leaves_what_was_confirmed,
        a_queue_that_does_not_exist_is_named_with_its_neighbours,
        a_request_without_an_id_gets_one,
        looking_into_a_queue_changes_nothing,
        what_is_taken_out_is_gone_and_the_rest_keeps_its_order,
        what_is_moved_waits_in_the_other_queue_with_its_history,
        a_dead_letter_that_is_put_back_begins_anew,
        the_state_of_a_queue_counts_what_waits_runs_and_is_dead,
    ];
    trials
}

async fn requests_come_in_the_order_of_their_submission(stage: &Stage) {
    let (broker, queue) = stage.broker_with_queue().await;
    submit(&broker, &queue, &requests("p", 30)).await;
    let mut slot = broker.slot(vec![queue]).await.unwrap();
    for number in 0..30 {
        assert_eq!(take_package(&mut slot).await, format!("p{number}"));
    }
    assert!(slot.claim(Wait::UntilEmpty, &CancellationToken::new()).await.unwrap().is_none());
}

async fn a_slot_serves_its_queues_in_turn(stage: &Stage) {
    let broker = stage.broker().await;
    let queues = stage.queues(3);
    broker.declare(&queues).await.unwrap();
    for (name, queue) in ["a", "b", "c"].into_iter().zip(&queues) {
        submit(&broker, queue, &requests(name, 3)).await;
    }
    let mut slot = broker.slot(queues).await.unwrap();
    let mut order = Vec::new();
    for _ in 0..9 {
        order.push(take_package(&mut slot).await);
    }
    assert_eq!(order, ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"]);
}

async fn slots_that_share_a_rotation_give_bulk_requests_a_tenth(stage: &Stage) {
    let broker = stage.broker().await;
    let [one, other] = stage.queues(2).try_into().unwrap();
    let of = |context| QueueName { context, ..one.clone() };
    let queues = vec![of(Context::Huge), of(Context::Ppa), one.clone(), other.clone()];
    broker.declare(&queues).await.unwrap();
    for (name, queue) in ["huge", "ppa", "one", "other"].into_iter().zip(&queues) {
        submit(&broker, queue, &requests(name, 20)).await;
    }
    let rotation = Rotation::new(queues);
    let mut slots = Vec::new();
    for _ in 0..4 {
        slots.push(broker.slot(rotation.clone()).await.unwrap());
    }
    let mut order = Vec::new();
    for turn in 0..80 {
        let package = take_package(&mut slots[turn % 4]).await;
        order.push(package.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned());
    }
    let expected = ["ppa", "other", "one", "other", "ppa", "other", "one", "other", "ppa", "huge"];
    assert_eq!(order[..10], expected, "{order:?}");
    for (number, package) in order.iter().enumerate() {
        let due = number % 10 == 9 || number >= 66;
        assert_eq!(package == "huge", due, "serving {number}: {order:?}");
    }
}

async fn a_request_comes_back_when_its_worker_is_killed(stage: &Stage) {
    let (broker, queue) = stage.broker_with_queue().await;
    let sent = requests("p", 1);
    submit(&broker, &queue, &sent).await;
    let holder = Helper::start(&["hold-claim", &stage.address(), &queue.to_string()]);
    holder.wait_for_line("held");
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    assert!(slot.claim(Wait::UntilEmpty, &CancellationToken::new()).await.unwrap().is_none(), "it is held elsewhere");

    holder.kill();
    let killed = Instant::now();
    let claim = take(&mut slot).await;
    // Long before the broker would miss the holder's heartbeats.
    assert!(killed.elapsed() < Duration::from_secs(20), "it took {:?}", killed.elapsed());
    assert_eq!(claim.attempt, 2);
    assert!(claim.redelivered);
    assert_eq!(claim.request.as_ref().unwrap(), &sent[0]);
    claim.settle(Verdict::Done).await.unwrap();
    stage.is_empty(&broker, &queue).await;
}

fn delayed_requests_are_shown_when_there_are_any() {
    let site = TestSite::local();
    let delayed = site.request("gzip", &[]);
    site.request("bzip2", &[]);
    let columns = |text: String| text.lines().next().unwrap().split('\t').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(columns(site.ok(&["queues"])).len(), 8, "a program finds the same columns every time");
    let queue: QueueName = site.queue_name().parse().unwrap();
    helper::play(async {
        let broker = helper::connect(&format!("local:{}", site.path().join("queue").display())).await;
        let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
        take(&mut slot).await.settle(later(3600, Some(failed("no testbed", 1)), true)).await.unwrap();
        broker.close().await;
    });
    let state = site.queue();
    assert_eq!((&state["ready"], &state["delayed"]), (&1.into(), &1.into()));
    let one = queue.to_string();
    let contents = site.json(&["queues", &one]);
    assert_eq!(
        (&contents["delayed"][0]["package"], &contents["ready"][0]["package"]),
        (&"gzip".into(), &"bzip2".into())
    );
    let rows = site.ok(&["queues", &one]);
    assert!(rows.lines().any(|row| row.starts_with("delayed\tgzip") && row.contains(&delayed)), "{rows}");
    assert_eq!(columns(site.ok(&["queues"]))[..6], [&one, "1", "0", "0", "0", "1"]);
}

fn failed(reason: &str, attempt: u32) -> Failure {
    // Whole seconds, as some clocks have no more.
    let time = "2026-11-20T10:00:00Z".parse().unwrap();
    Failure { worker: "here".to_owned(), reason: reason.to_owned(), attempt, time, host: false }
}

fn later(after: u64, failure: Option<Failure>, counts: bool) -> Verdict {
    Verdict::Later { after: Duration::from_secs(after), failure, counts }
}

async fn a_failed_request_comes_back_after_its_delay_and_tells_why(stage: &Stage) {
    let (broker, queue) = stage.broker_with_queue().await;
    let sent = requests("p", 1);
    submit(&broker, &queue, &sent).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    let (mut known, mut waited) = (Vec::new(), Vec::new());
    for (attempt, reason) in [(1, "no testbed"), (2, "the testbed \"gone\": été")] {
        let claim = take(&mut slot).await;
        let passes = if attempt == 1 { 0 } else { 2 };
        assert_eq!((claim.attempt, claim.redelivered, claim.passes), (attempt, attempt > 1, passes));
        assert_eq!(claim.failures, known);
        known.push(failed(reason, attempt));
        let settled = Instant::now();
        claim.settle(later(1, known.last().cloned(), true)).await.unwrap();
        // A slot that waits already is woken.
        let again = take(&mut slot).await;
        waited.push(settled.elapsed());
        // Passed on, it comes back with the same attempt.
        again.settle(later(1, None, false)).await.unwrap();
        let again = take(&mut slot).await;
        assert_eq!((again.attempt, again.redelivered, again.passes), (attempt + 1, true, 1));
        again.settle(later(1, None, false)).await.unwrap();
    }
    let last = take(&mut slot).await;
    assert_eq!((last.attempt, last.passes), (3, 2));
    assert_eq!(last.failures, known);
    assert_eq!(last.request.as_ref().unwrap(), &sent[0]);
    last.settle(Verdict::Done).await.unwrap();
    stage.is_empty(&broker, &queue).await;
    // The next longer delay is five seconds; on a busy machine one of them may be late.
    assert!(waited.iter().all(|waited| waited.as_millis() >= 950), "it came back after {waited:?}");
    assert!(waited.iter().any(|waited| waited.as_secs() < 5), "it came back after {waited:?}");
}

async fn a_delayed_request_is_told_of_and_holds_up_nobody(stage: &Stage) {
    let (broker, queue) = stage.broker_with_queue().await;
    let sent = requests("p", 1);
    submit(&broker, &queue, &sent).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    take(&mut slot).await.settle(later(3600, None, true)).await.unwrap();
    stage.has_one_delayed(&broker, &queue).await;
    let contents = broker.contents(&queue, 10).await.unwrap();
    assert_eq!(contents.delayed.iter().map(|body| Request::parse(body).unwrap()).collect::<Vec<_>>(), sent);
    assert!(contents.ready.is_empty());
    submit(&broker, &queue, &requests("other", 1)).await;
    assert_eq!(take_package(&mut slot).await, "other0");
    stage.has_one_delayed(&broker, &queue).await;
}

async fn many_look_at_delayed_requests_and_each_sees_all(stage: &Stage) {
    const REQUESTS: usize = 200;
    let (broker, queue) = stage.broker_with_queue().await;
    submit(&broker, &queue, &requests("p", REQUESTS)).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    for number in 0..REQUESTS {
        take(&mut slot).await.settle(later(if number % 2 == 0 { 900 } else { 3600 }, None, true)).await.unwrap();
    }
    let looks = (0..4).map(async |_| {
        let broker = stage.broker().await;
        for _ in 0..15 {
            assert_eq!(broker.inspect(std::slice::from_ref(&queue)).await.unwrap()[0].delayed, REQUESTS as u64);
        }
    });
    futures_util::future::join_all(looks).await;
}

async fn a_delayed_request_outlives_who_delayed_it(stage: &Stage) {
    let (broker, queue) = stage.broker_with_queue().await;
    let sent = requests("p", 1);
    submit(&broker, &queue, &sent).await;
    let worker = Helper::start(&["delay-claim", &stage.address(), &queue.to_string()]);
    worker.wait_for_line("delayed");
    worker.kill();
    // It may be due already.
    eventually("the request is delayed, or back", async || {
        let state = broker.inspect(std::slice::from_ref(&queue)).await.unwrap().remove(0);
        ((state.ready + state.delayed, state.claimed, state.dead) == (1, 0, 0)).then_some(())
    })
    .await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    let claim = take(&mut slot).await;
    assert_eq!((claim.attempt, claim.redelivered), (2, true));
    assert_eq!(claim.request.as_ref().unwrap(), &sent[0]);
    assert_eq!(claim.failures, [failed("no testbed", 1)]);
    claim.settle(Verdict::Done).await.unwrap();
    stage.is_empty(&broker, &queue).await;
}

async fn a_worker_that_empties_its_queues_waits_for_delayed_requests(stage: &Stage) {
    let (broker, queue) = stage.broker_with_queue().await;
    let elsewhere = stage.queues(1).remove(0);
    broker.declare(std::slice::from_ref(&elsewhere)).await.unwrap();
    for queue in [&queue, &elsewhere] {
        submit(&broker, queue, &requests("p", 1)).await;
    }
    // What other queues wait for is not waited for.
    let mut other = broker.slot(vec![elsewhere.clone()]).await.unwrap();
    take(&mut other).await.settle(later(3600, None, false)).await.unwrap();
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    let stop = CancellationToken::new();
    let mut runs = 0;
    while let Some(claim) = slot.claim(Wait::UntilEmpty, &stop).await.unwrap() {
        runs += 1;
        claim.settle(if runs < 3 { later(1, None, true) } else { Verdict::Done }).await.unwrap();
    }
    assert_eq!(runs, 3, "it waited until nothing was delayed any more");
    stage.has_one_delayed(&broker, &elsewhere).await;
    // Who is told to stop does not wait either.
    let stopping = tokio::spawn({
        let stop = stop.clone();
        async move { other.claim(Wait::UntilEmpty, &stop).await.unwrap().is_none() }
    });
    tokio::task::yield_now().await;
    stop.cancel();
    assert!(tokio::time::timeout(Duration::from_secs(60), stopping).await.unwrap().unwrap());
}

async fn a_request_is_passed_on_when_another_worker_waits(stage: &Stage) {
    let (broker, queue) = stage.broker_with_queue().await;
    submit(&broker, &queue, &requests("p", 1)).await;
    let rotation = Rotation::new(vec![queue.clone()]);
    let mut slot = broker.slot(rotation.clone()).await.unwrap();
    let claim = take(&mut slot).await;
    // A quorum queue counts whoever has just taken a request for a moment.
    eventually("nobody waits", async || (!claim.others_wait().await.unwrap()).then_some(())).await;
    // Another slot of the same worker is no other worker.
    let mut own = broker.slot(rotation).await.unwrap();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let own = tokio::spawn(async move { own.claim(Wait::ForOne, &stopped).await.unwrap().is_none() });
    stage.waits(&broker, std::slice::from_ref(&queue)).await;
    assert!(!claim.others_wait().await.unwrap());
    let elsewhere = stage.broker().await;
    let mut others = elsewhere.slot(vec![queue.clone()]).await.unwrap();
    let other = tokio::spawn(async move { take(&mut others).await });
    eventually("the other worker waits", async || claim.others_wait().await.unwrap().then_some(())).await;
    stop.cancel();
    assert!(own.await.unwrap());
    claim.settle(later(1, None, false)).await.unwrap();
    let taken = other.await.unwrap();
    assert_eq!((taken.attempt, taken.passes, taken.redelivered), (1, 1, true));
    taken.settle(Verdict::Done).await.unwrap();
    stage.is_empty(&broker, &queue).await;
}

async fn attempts_count_up_and_a_requeued_request_waits_behind_the_others(stage: &Stage) {
    let (broker, queue) = stage.broker_with_queue().await;
    submit(&broker, &queue, &requests("p", 2)).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    let first = take(&mut slot).await;
    assert_eq!((first.attempt, first.redelivered), (1, false));
    first.settle(Verdict::Requeue).await.unwrap();
    assert_eq!(take_package(&mut slot).await, "p1");
    for attempt in 2..5 {
        let again = take(&mut slot).await;
        assert_eq!(again.request.as_ref().unwrap().package().as_str(), "p0");
        assert_eq!((again.attempt, again.redelivered), (attempt, true));
        again.settle(Verdict::Requeue).await.unwrap();
    }
    // An attempt that was not the request's own does not count, but the next holder knows that there was one.
    for _ in 0..2 {
        let again = take(&mut slot).await;
        assert_eq!((again.attempt, again.redelivered), (5, true));
        again.settle(Verdict::Return).await.unwrap();
    }
    take(&mut slot).await.settle(Verdict::Done).await.unwrap();
    submit(&broker, &queue, &requests("q", 1)).await;
    for (attempt, redelivered) in [(1, false), (2, true), (2, true)] {
        let again = take(&mut slot).await;
        assert_eq!((again.attempt, again.redelivered), (attempt, redelivered));
        again.settle(Verdict::Return).await.unwrap();
    }
    take(&mut slot).await.settle(Verdict::Done).await.unwrap();
    stage.is_empty(&broker, &queue).await;
}

async fn a_dropped_claim_gives_the_request_back(stage: &Stage) {
    let (broker, queue) = stage.broker_with_queue().await;
    submit(&broker, &queue, &requests("p", 1)).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    drop(take(&mut slot).await);
    let again = take(&mut slot).await;
    assert_eq!(again.attempt, 2);
    again.settle(Verdict::Done).await.unwrap();
    stage.is_empty(&broker, &queue).await;
}

async fn a_dead_letter_keeps_its_reason(stage: &Stage) {
    let (broker, queue) = stage.broker_with_queue().await;
    let sent = requests("p", 2);
    submit(&broker, &queue, &sent).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    let first = take(&mut slot).await;
    first.settle(Verdict::Dead("it killed its worker three times: été".to_owned())).await.unwrap();
    take(&mut slot).await.settle(Verdict::Dead("no such test".to_owned())).await.unwrap();

    let contents = broker.contents(&queue, 10).await.unwrap();
    assert!(contents.ready.is_empty());
    let letters: Vec<(Request, &str)> =
        contents.dead.iter().map(|letter| (Request::parse(&letter.body).unwrap(), letter.reason.as_str())).collect();
    let expected = [(sent[0].clone(), "it killed its worker three times: été"), (sent[1].clone(), "no such test")];
    assert_eq!(letters, expected);
    eventually("both are counted", async || {
        (broker.inspect(std::slice::from_ref(&queue)).await.unwrap()[0].dead == 2).then_some(())
    })
    .await;
}

async fn workers_never_share_a_request(stage: &Stage) {
    const REQUESTS: usize = 120;
    let (broker, queue) = stage.broker_with_queue().await;
    let sent = requests("p", REQUESTS);
    submit(&broker, &queue, &sent).await;
    let other = stage.broker().await;
    let running = Arc::new(std::sync::Mutex::new(HashSet::new()));
    let mut workers = Vec::new();
    for broker in [&broker, &other, &broker, &other] {
        let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
        let running = Arc::clone(&running);
        workers.push(tokio::spawn(async move {
            let mut done = Vec::new();
            while let Some(claim) = slot.claim(Wait::UntilEmpty, &CancellationToken::new()).await.unwrap() {
                let uuid = claim.request.as_ref().unwrap().uuid().unwrap().clone();
                assert!(running.lock().unwrap().insert(uuid.clone()), "{uuid} runs already");
                // Others get their turn while this one is held.
                tokio::task::yield_now().await;
                claim.settle(Verdict::Done).await.unwrap();
                done.push(uuid);
            }
            done
        }));
    }
    let mut done = Vec::new();
    for worker in workers {
        done.extend(worker.await.unwrap());
    }
    done.sort();
    let mut expected: Vec<_> = sent.iter().map(|request| request.uuid().unwrap().clone()).collect();
    expected.sort();
    assert_eq!(done, expected);
    stage.is_empty(&broker, &queue).await;
}

async fn random_kills_lose_nothing_and_run_nothing_twice_at_a_time(stage: &Stage) {
    const REQUESTS: usize = 150;
    let (broker, queue) = stage.broker_with_queue().await;
    let sent = requests("p", REQUESTS);
    submit(&broker, &queue, &sent).await;
    let runs = tempfile::TempDir::new().unwrap();
    let folder = runs.path().to_str().unwrap();
    let name = queue.to_string();
    let start = || Helper::start(&["work", &stage.address(), &name, folder]);
    let mut workers: Vec<Helper> = (0..3).map(|_| start()).collect();
    let undone = |sent: &[Request]| {
        sent.iter().filter(|request| !runs.path().join(format!("{}.done", request.uuid().unwrap())).exists()).count()
    };
    let deadline = Instant::now() + Duration::from_secs(200);
    let mut turn = 0;
    let mut sent = sent;
    while undone(&sent) > 0 {
        assert!(Instant::now() < deadline, "{} requests are lost", undone(&sent));
        // Not a wait for anything: how long a worker lives.
        tokio::time::sleep(Duration::from_millis(150 + turn * 37 % 200)).await;
        let victim = usize::try_from(turn).unwrap() % workers.len();
        let killed = std::mem::replace(&mut workers[victim], start());
        killed.kill();
        assert!(!killed.said("runs twice"));
        turn += 1;
        // On a busy machine the killer may be late: there is something to kill all the same.
        if turn <= 5 && undone(&sent) < 30 {
            let more = requests("more", 30);
            submit(&broker, &queue, &more).await;
            sent.extend(more);
        }
    }
    assert!(turn > 5, "only {turn} workers were killed");
    // What was complete but not settled when its worker was killed is claimed and settled again.
    stage.is_empty(&broker, &queue).await;
    assert!(workers.iter().all(|worker| !worker.said("runs twice")));
}

async fn a_slot_holds_one_request_and_leaves_the_others(stage: &Stage) {
    let broker = stage.broker().await;
    let queues = stage.queues(20);
    broker.declare(&queues).await.unwrap();
    for queue in &queues {
        submit(&broker, queue, &requests("p", 5)).await;
    }
    let mut slot = broker.slot(queues.clone()).await.unwrap();
    let claim = take(&mut slot).await;
    one_runs_and_99_wait(stage, &queues).await;
    claim.settle(Verdict::Done).await.unwrap();
}

async fn a_waiting_slot_leaves_a_sudden_flood_to_the_others(stage: &Stage) {
    let broker = stage.broker().await;
    let queues = stage.queues(20);
    broker.declare(&queues).await.unwrap();
    let mut slot = broker.slot(queues.clone()).await.unwrap();
    let waiting = tokio::spawn(async move {
        let claim = take(&mut slot).await;
        (slot, claim)
    });
    stage.waits(&broker, &queues).await;
    let flood: Vec<_> = queues
        .iter()
        .flat_map(|queue| requests("p", 5).into_iter().map(|request| helper::to(queue, request)))
        .collect();
    broker.submit(&flood, &[], &mut |_| {}).await.unwrap();
    let (_slot, claim) = waiting.await.unwrap();
    one_runs_and_99_wait(stage, &queues).await;
    claim.settle(Verdict::Done).await.unwrap();
}

async fn one_runs_and_99_wait(stage: &Stage, queues: &[QueueName]) {
    let outside = stage.broker().await;
    eventually("one request runs and 99 are ready for other workers", async || {
        let states = outside.inspect(queues).await.unwrap();
        let sum = |of: fn(&QueueState) -> u64| states.iter().map(of).sum::<u64>();
        (sum(|state| state.ready) == 99 && sum(|state| state.claimed) == 1).then_some(())
    })
    .await;
}

async fn an_idle_slot_takes_a_request_at_once(stage: &Stage) {
    let broker = stage.broker().await;
    let queues = stage.queues(20);
    let mut slot = broker.slot(queues.clone()).await.unwrap();
    let publisher = stage.broker().await;
    let (mut times, mut confirmations) = (Vec::new(), Vec::new());
    for round in 0..21 {
        let waiting = tokio::spawn(async move {
            let claim = take(&mut slot).await;
            let claimed = Instant::now();
            (slot, claim, claimed)
        });
        stage.waits(&publisher, &queues).await;
        let submission = [helper::to(&queues[round % 20], requests("p", 1).remove(0))];
        let published = Instant::now();
        publisher.submit(&submission, &[], &mut |_| {}).await.unwrap();
        confirmations.push(published.elapsed());
        let (same_slot, claim, claimed) = waiting.await.unwrap();
        slot = same_slot;
        times.push(claimed - published);
        claim.settle(Verdict::Done).await.unwrap();
    }
    times.sort();
    confirmations.sort();
    // A poll would take far longer than this. The machine may be busy, and then everything takes longer.
    assert!(times[10] < Duration::from_millis(250) + 3 * confirmations[10], "{times:?} {confirmations:?}");
}

async fn an_idle_slot_uses_no_processor_time(stage: &Stage) {
    let broker = stage.broker().await;
    let queues = stage.queues(20);
    let address = stage.address();
    let names: Vec<String> = queues.iter().map(ToString::to_string).collect();
    let arguments: Vec<&str> = ["hold-claim", &address].into_iter().chain(names.iter().map(String::as_str)).collect();
    let idle = Helper::start(&arguments);
    stage.waits(&broker, &queues).await;
    let mut used = Duration::MAX;
    // In the first window it may still be busy with its start.
    for _window in 0..12 {
        let before = idle.processor_time();
        // Not a wait for anything: the time in which it must do nothing.
        tokio::time::sleep(Duration::from_secs(5)).await;
        used = used.min(idle.processor_time() - before);
        if used <= Duration::from_millis(20) {
            break;
        }
    }
    assert!(used <= Duration::from_millis(20), "{used:?}");
    submit(&broker, &queues[7], &requests("p", 1)).await;
    idle.wait_for_line("held");
}

async fn a_slot_that_is_told_to_stop_holds_nothing(stage: &Stage) {
    let broker = stage.broker().await;
    let queues = stage.queues(3);
    let mut slot = broker.slot(queues.clone()).await.unwrap();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let waiting = tokio::spawn(async move {
        let outcome = slot.claim(Wait::ForOne, &stopped).await;
        (slot, outcome)
    });
    stage.waits(&broker, &queues).await;
    stop.cancel();
    let (mut slot, outcome) = tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap().unwrap();
    assert!(outcome.unwrap().is_none());
    // Nobody waits any longer: what comes now is for others, in order.
    submit(&broker, &queues[0], &requests("p", 2)).await;
    assert!(slot.claim(Wait::ForOne, &stop).await.unwrap().is_none());
    let states = broker.inspect(&queues).await.unwrap();
    assert_eq!((states[0].ready, states[0].claimed), (2, 0));
    let mut other = stage.broker().await.slot(queues).await.unwrap();
    assert_eq!(take_package(&mut other).await, "p0");
}

async fn a_killed_submission_leaves_what_was_confirmed(stage: &Stage) {
    const REQUESTS: usize = 5000;
    let broker = stage.broker().await;
    let mut interrupted = 0;
    for life in [2, 10, 40, 100, 250] {
        let queue = stage.queues(1).remove(0);
        broker.declare(std::slice::from_ref(&queue)).await.unwrap();
        let count = REQUESTS.to_string();
        let submitter = Helper::start(&["submit", &stage.address(), &queue.to_string(), &count]);
        submitter.wait_for_line("submitting");
        // Not a wait for anything: how far the submitter gets.
        tokio::time::sleep(Duration::from_millis(life)).await;
        submitter.kill();
        let confirmed = submitter.last_number("confirmed ");
        let bodies = broker.contents(&queue, REQUESTS).await.unwrap().ready;
        assert!(bodies.len() >= confirmed, "{confirmed} were confirmed, {} are there", bodies.len());
        for (number, body) in bodies.iter().enumerate() {
            let request = Request::parse(body).unwrap();
            assert_eq!(request.package().as_str(), format!("p{number}"), "a hole or a second copy");
        }
        interrupted += usize::from(bodies.len() < REQUESTS);
    }
    assert!(interrupted > 0, "no submitter was killed in the middle");
}

async fn a_queue_that_does_not_exist_is_named_with_its_neighbours(stage: &Stage) {
    let broker = stage.broker().await;
    let queues = stage.queues(2);
    broker.declare(&queues).await.unwrap();
    let mistyped: QueueName = format!("{}x", queues[0]).parse().unwrap();
    let [good, bad] = [&queues[0], &mistyped].map(|queue| helper::to(queue, requests("p", 1).remove(0)));
    let error = broker.submit(&[good, bad], &queues, &mut |_| {}).await.unwrap_err();
    assert!(error.to_string().contains(&mistyped.to_string()), "{error}");
    let BrokerError::NoSuchQueue { queue, nearest } = error else { panic!("{error}") };
    assert_eq!(queue, mistyped);
    assert_eq!(nearest[0], queues[0]);
    assert_eq!(broker.existing(&[mistyped.clone(), queues[1].clone()]).await.unwrap(), [queues[1].clone()]);
    assert!(matches!(broker.contents(&mistyped, 1).await, Err(BrokerError::NoSuchQueue { .. })));
    // All or nothing: the good one was not queued either.
    assert_eq!(broker.inspect(&queues[..1]).await.unwrap()[0].ready, 0);
}

async fn a_request_without_an_id_gets_one(stage: &Stage) {
    let (broker, queue) = stage.broker_with_queue().await;
    submit(&broker, &queue, &[Request::parse(b"gzip").unwrap()]).await;
    let queued = broker.contents(&queue, 1).await.unwrap().ready;
    let queued = Request::parse(&queued[0]).unwrap();
    let claim = take(&mut broker.slot(vec![queue]).await.unwrap()).await;
    assert!(queued.uuid().is_some());
    assert_eq!(claim.request.as_ref().unwrap().uuid(), queued.uuid());
}

async fn looking_into_a_queue_changes_nothing(stage: &Stage) {
    let (broker, queue) = stage.broker_with_queue().await;
    let sent = requests("p", 12);
    submit(&broker, &queue, &sent).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    let held = take(&mut slot).await;
    for limit in [3, 100] {
        let contents = eventually("the claim is told of", async || {
            Some(broker.contents(&queue, limit).await.unwrap()).filter(|contents| contents.claimed.len() == 1)
        })
        .await;
        let ready: Vec<Request> = contents.ready.iter().map(|body| Request::parse(body).unwrap()).collect();
        assert_eq!(ready, sent[1..(1 + limit).min(12)]);
        assert_eq!(Request::parse(&contents.claimed[0]).unwrap(), sent[0]);
    }
    if !stage.keeps_places {
        // A quorum queue has back what was looked at a moment later, and keeps no places while others take from it.
        let (_connection, channel) = amqp::stranger(&stage.address()).await;
        let passive = lapin::options::QueueDeclareOptions { passive: true, ..Default::default() };
        eventually("all are back", async || {
            let state = channel.queue_declare(queue.to_string().into(), passive, Default::default()).await.unwrap();
            (state.message_count() as usize == sent.len() - 1).then_some(())
        })
        .await;
    }
    held.settle(Verdict::Done).await.unwrap();
    for request in &sent[1..] {
        assert_eq!(take_package(&mut slot).await, request.package().as_str());
    }
}

fn packages(messages: &[Vec<u8>]) -> Vec<String> {
    messages.iter().map(|body| Request::parse(body).unwrap().package().to_string()).collect()
}

async fn what_is_taken_out_is_gone_and_the_rest_keeps_its_order(stage: &Stage) {
    let (broker, queue) = stage.broker_with_queue().await;
    submit(&broker, &queue, &requests("p", 2000)).await;
    // Who cannot write down what it takes, takes nothing.
    let unable: Choice = Box::new(|_| Err(std::io::Error::other("no room")));
    let error = broker.take_out(&queue, Pile::Ready, None, unable).await.unwrap_err();
    assert!(matches!(&error, BrokerError::NotTaken(reason) if reason == "no room"), "{error}");
    let all: Vec<String> = (0..2000).map(|number| format!("p{number}")).collect();
    eventually("all are back", async || {
        (packages(&broker.contents(&queue, 5000).await.unwrap().ready) == all).then_some(())
    })
    .await;
    // Meanwhile others take from the queue, and put into it.
    let other = stage.broker().await;
    let (mut slot, late) = (other.slot(vec![queue.clone()]).await.unwrap(), requests("late", 1));
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen_by_choice = Arc::clone(&seen);
    let choice: Choice = Box::new(move |messages| {
        let bodies: Vec<_> = messages.iter().map(|message| message.body.clone()).collect();
        let chosen = (0..bodies.len()).filter(|index| index % 3 == 0).collect();
        *seen_by_choice.lock().unwrap() = packages(&bodies);
        Ok(chosen)
    });
    let taking = broker.take_out(&queue, Pile::Ready, None, choice);
    let working = async {
        let mut done = Vec::new();
        for _ in 0..20 {
            done.push(take_package(&mut slot).await);
        }
        submit(&other, &queue, &late).await;
        done
    };
    let (taken, done) = tokio::join!(taking, working);
    let seen = seen.lock().unwrap().clone();
    assert_eq!(taken.unwrap(), seen.len().div_ceil(3));
    let gone: HashSet<&String> = seen.iter().step_by(3).collect();
    let mut left: Vec<String> = all.iter().filter(|package| !gone.contains(package)).cloned().collect();
    left.retain(|package| !done.contains(package));
    left.push("late0".to_owned());
    if !stage.keeps_places {
        left.sort();
    }
    // What went back is there a moment later.
    eventually("the others are there, in their order", async || {
        let mut ready = packages(&broker.contents(&queue, 5000).await.unwrap().ready);
        if !stage.keeps_places {
            ready.sort();
        }
        (ready == left).then_some(())
    })
    .await;
    assert!(done.iter().all(|package| all.contains(package)));
}

async fn what_is_moved_waits_in_the_other_queue_with_its_history(stage: &Stage) {
    let (broker, queue) = stage.broker_with_queue().await;
    let other = stage.queues(1).remove(0);
    let everything = || -> Choice { Box::new(|messages| Ok((0..messages.len()).collect())) };
    let missing = broker.take_out(&queue, Pile::Ready, Some(&other), everything()).await.unwrap_err();
    assert!(matches!(&missing, BrokerError::NoSuchQueue { queue, .. } if *queue == other), "{missing}");
    broker.declare(std::slice::from_ref(&other)).await.unwrap();
    let sent = requests("p", 700);
    submit(&broker, &queue, &sent).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    take(&mut slot).await.settle(Verdict::Requeue).await.unwrap();
    assert_eq!(broker.take_out(&queue, Pile::Ready, Some(&other), everything()).await.unwrap(), 700);
    stage.is_empty(&broker, &queue).await;
    let mut slot = broker.slot(vec![other.clone()]).await.unwrap();
    for request in sent.iter().skip(1).chain(&sent[..1]) {
        let claim = take(&mut slot).await;
        assert_eq!(claim.request.as_ref().unwrap(), request);
        // The last one was tried before.
        assert_eq!(claim.attempt, if *request == sent[0] { 2 } else { 1 });
        claim.settle(Verdict::Done).await.unwrap();
    }
}

async fn a_dead_letter_that_is_put_back_begins_anew(stage: &Stage) {
    let (broker, queue) = stage.broker_with_queue().await;
    let sent = requests("p", 2);
    submit(&broker, &queue, &sent).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    for reason in ["one", "two"] {
        take(&mut slot).await.settle(Verdict::Dead(reason.to_owned())).await.unwrap();
    }
    let second: Choice = Box::new(|messages| {
        Ok((0..messages.len()).filter(|index| messages[*index].reason.as_deref() == Some("two")).collect())
    });
    assert_eq!(broker.take_out(&queue, Pile::Dead, Some(&queue), second).await.unwrap(), 1);
    let claim = take(&mut slot).await;
    assert_eq!((claim.request.as_ref().unwrap(), claim.attempt), (&sent[1], 1));
    claim.settle(Verdict::Done).await.unwrap();
    let dead = broker.contents(&queue, 10).await.unwrap().dead;
    assert_eq!(dead.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>(), ["one"]);
}

async fn the_state_of_a_queue_counts_what_waits_runs_and_is_dead(stage: &Stage) {
    let (broker, queue) = stage.broker_with_queue().await;
    submit(&broker, &queue, &requests("p", 4)).await;
    let mut slots = Vec::new();
    let mut claims = Vec::new();
    for _ in 0..3 {
        let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
        claims.push(take(&mut slot).await);
        slots.push(slot);
    }
    claims.remove(0).settle(Verdict::Dead("broken".to_owned())).await.unwrap();
    let missing = stage.queues(1);
    let states = eventually("two are held, one waits and one is dead", async || {
        let states = stage.broker().await.inspect(&[queue.clone(), missing[0].clone()]).await.unwrap();
        ((states[0].claimed, states[0].ready, states[0].dead) == (2, 1, 1)).then_some(states)
    });
    let states = states.await;
    assert_eq!(states.len(), 1, "a queue that does not exist has no state");
}
