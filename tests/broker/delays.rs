//! Requests that wait out a delay.

use testkit::site::TestSite;

use super::*;

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let mut trials = on_each_backend![services;
        a_failed_request_comes_back_after_its_delay_and_tells_why,
        a_delayed_request_is_told_of_and_holds_up_nobody,
        many_look_at_delayed_requests_and_each_sees_all,
        a_delayed_request_outlives_who_delayed_it,
        a_worker_that_empties_its_queues_waits_for_delayed_requests,
    ];
    trials.push(Trial::test("broker::delayed_requests_are_shown_when_there_are_any", || {
        delayed_requests_are_shown_when_there_are_any();
        Ok(())
    }));
    trials
}

async fn a_failed_request_comes_back_after_its_delay_and_tells_why(stage: &BrokerFixture) {
    let (broker, queue) = stage.broker_with_queue().await;
    let sent = requests("p", 1);
    submit(&broker, &queue, &sent).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    let (mut known, mut waited) = (Vec::new(), Vec::new());
    for (attempt, reason) in [(1, "no testbed"), (2, "the testbed \"gone\": été")] {
        let claim = take(&mut slot).await;
        let passes = if attempt == 1 { 0 } else { 2 };
        assert_eq!((claim.attempt, claim.redelivered, claim.handovers), (attempt, attempt > 1, passes));
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
        assert_eq!((again.attempt, again.redelivered, again.handovers), (attempt + 1, true, 1));
        again.settle(later(1, None, false)).await.unwrap();
    }
    let last = take(&mut slot).await;
    assert_eq!((last.attempt, last.handovers), (3, 2));
    assert_eq!(last.failures, known);
    assert_eq!(last.request.as_ref().unwrap(), &sent[0]);
    last.settle(Settlement::Done).await.unwrap();
    stage.is_empty(&broker, &queue).await;
    // The next longer delay is five seconds; on a busy machine one of them may be late.
    assert!(waited.iter().all(|waited| waited.as_millis() >= 950), "it came back after {waited:?}");
    assert!(waited.iter().any(|waited| waited.as_secs() < 5), "it came back after {waited:?}");
}

async fn a_delayed_request_is_told_of_and_holds_up_nobody(stage: &BrokerFixture) {
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

async fn many_look_at_delayed_requests_and_each_sees_all(stage: &BrokerFixture) {
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

async fn a_delayed_request_outlives_who_delayed_it(stage: &BrokerFixture) {
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
    claim.settle(Settlement::Done).await.unwrap();
    stage.is_empty(&broker, &queue).await;
}

async fn a_worker_that_empties_its_queues_waits_for_delayed_requests(stage: &BrokerFixture) {
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
        claim.settle(if runs < 3 { later(1, None, true) } else { Settlement::Done }).await.unwrap();
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

fn delayed_requests_are_shown_when_there_are_any() {
    let site = TestSite::local();
    let delayed = site.request("gzip", &[]);
    site.request("bzip2", &[]);
    let columns = |text: String| text.lines().next().unwrap().split('\t').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(columns(site.ok(&["queues"])).len(), 8, "a program finds the same columns every time");
    let queue: QueueName = site.queue_name().parse().unwrap();
    fixture::play(async {
        let broker = fixture::connect(&format!("local:{}", site.path().join("queue").display())).await;
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
