//! Claims end with their workers, and each request has one holder at a time.

use super::*;

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    on_each_backend![services;
        a_request_comes_back_when_its_worker_is_killed,
        a_request_is_passed_on_when_another_worker_waits,
        attempts_count_up_and_a_requeued_request_waits_behind_the_others,
        a_dropped_claim_gives_the_request_back,
        a_dead_letter_keeps_its_reason,
        workers_never_share_a_request,
        random_kills_lose_nothing_and_run_nothing_twice_at_a_time,
    ]
}

async fn a_request_comes_back_when_its_worker_is_killed(stage: &BrokerFixture) {
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
    claim.settle(Settlement::Done).await.unwrap();
    stage.is_empty(&broker, &queue).await;
}

async fn a_request_is_passed_on_when_another_worker_waits(stage: &BrokerFixture) {
    let (broker, queue) = stage.broker_with_queue().await;
    submit(&broker, &queue, &requests("p", 1)).await;
    let rotation = Rotation::new(vec![queue.clone()]);
    let mut slot = broker.slot(rotation.clone()).await.unwrap();
    let claim = take(&mut slot).await;
    // A quorum queue counts whoever has just taken a request for a moment.
    eventually("nobody waits", async || (!claim.has_other_consumers().await.unwrap()).then_some(())).await;
    // Another slot of the same worker is no other worker.
    let mut own = broker.slot(rotation).await.unwrap();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let own = tokio::spawn(async move { own.claim(Wait::ForOne, &stopped).await.unwrap().is_none() });
    stage.waits(&broker, std::slice::from_ref(&queue)).await;
    assert!(!claim.has_other_consumers().await.unwrap());
    let elsewhere = stage.broker().await;
    let mut others = elsewhere.slot(vec![queue.clone()]).await.unwrap();
    let other = tokio::spawn(async move { take(&mut others).await });
    eventually("the other worker waits", async || claim.has_other_consumers().await.unwrap().then_some(())).await;
    stop.cancel();
    assert!(own.await.unwrap());
    claim.settle(later(1, None, false)).await.unwrap();
    let taken = other.await.unwrap();
    assert_eq!((taken.attempt, taken.handovers, taken.redelivered), (1, 1, true));
    taken.settle(Settlement::Done).await.unwrap();
    stage.is_empty(&broker, &queue).await;
}

async fn attempts_count_up_and_a_requeued_request_waits_behind_the_others(stage: &BrokerFixture) {
    let (broker, queue) = stage.broker_with_queue().await;
    submit(&broker, &queue, &requests("p", 2)).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    let first = take(&mut slot).await;
    assert_eq!((first.attempt, first.redelivered), (1, false));
    first.settle(Settlement::Requeue).await.unwrap();
    assert_eq!(take_package(&mut slot).await, "p1");
    for attempt in 2..5 {
        let again = take(&mut slot).await;
        assert_eq!(again.request.as_ref().unwrap().package().as_str(), "p0");
        assert_eq!((again.attempt, again.redelivered), (attempt, true));
        again.settle(Settlement::Requeue).await.unwrap();
    }
    // An attempt that was not the request's own does not count, but the next holder knows that there was one.
    for _ in 0..2 {
        let again = take(&mut slot).await;
        assert_eq!((again.attempt, again.redelivered), (5, true));
        again.settle(Settlement::Return).await.unwrap();
    }
    take(&mut slot).await.settle(Settlement::Done).await.unwrap();
    submit(&broker, &queue, &requests("q", 1)).await;
    for (attempt, redelivered) in [(1, false), (2, true), (2, true)] {
        let again = take(&mut slot).await;
        assert_eq!((again.attempt, again.redelivered), (attempt, redelivered));
        again.settle(Settlement::Return).await.unwrap();
    }
    take(&mut slot).await.settle(Settlement::Done).await.unwrap();
    stage.is_empty(&broker, &queue).await;
}

async fn a_dropped_claim_gives_the_request_back(stage: &BrokerFixture) {
    let (broker, queue) = stage.broker_with_queue().await;
    submit(&broker, &queue, &requests("p", 1)).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    drop(take(&mut slot).await);
    let again = take(&mut slot).await;
    assert_eq!(again.attempt, 2);
    again.settle(Settlement::Done).await.unwrap();
    stage.is_empty(&broker, &queue).await;
}

async fn a_dead_letter_keeps_its_reason(stage: &BrokerFixture) {
    let (broker, queue) = stage.broker_with_queue().await;
    let sent = requests("p", 2);
    submit(&broker, &queue, &sent).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    let first = take(&mut slot).await;
    first.settle(Settlement::Dead("it killed its worker three times: été".to_owned())).await.unwrap();
    take(&mut slot).await.settle(Settlement::Dead("no such test".to_owned())).await.unwrap();

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

async fn workers_never_share_a_request(stage: &BrokerFixture) {
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
                claim.settle(Settlement::Done).await.unwrap();
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

async fn random_kills_lose_nothing_and_run_nothing_twice_at_a_time(stage: &BrokerFixture) {
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
