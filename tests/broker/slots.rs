//! Whose turn it is, and what slots do that wait.

use super::*;

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    on_each_backend![services;
        requests_come_in_the_order_of_their_submission,
        a_slot_serves_its_queues_in_turn,
        slots_that_share_a_rotation_give_bulk_requests_a_tenth,
        a_slot_holds_one_request_and_leaves_the_others,
        a_waiting_slot_leaves_a_sudden_flood_to_the_others,
        an_idle_slot_takes_a_request_at_once,
        an_idle_slot_uses_no_processor_time,
        a_slot_that_is_told_to_stop_holds_nothing,
    ]
}

async fn requests_come_in_the_order_of_their_submission(stage: &BrokerFixture) {
    let (broker, queue) = stage.broker_with_queue().await;
    submit(&broker, &queue, &requests("p", 30)).await;
    let mut slot = broker.slot(vec![queue]).await.unwrap();
    for number in 0..30 {
        assert_eq!(take_package(&mut slot).await, format!("p{number}"));
    }
    assert!(slot.claim(Wait::UntilEmpty, &CancellationToken::new()).await.unwrap().is_none());
}

async fn a_slot_serves_its_queues_in_turn(stage: &BrokerFixture) {
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

async fn slots_that_share_a_rotation_give_bulk_requests_a_tenth(stage: &BrokerFixture) {
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

async fn a_slot_holds_one_request_and_leaves_the_others(stage: &BrokerFixture) {
    let broker = stage.broker().await;
    let queues = stage.queues(20);
    broker.declare(&queues).await.unwrap();
    for queue in &queues {
        submit(&broker, queue, &requests("p", 5)).await;
    }
    let mut slot = broker.slot(queues.clone()).await.unwrap();
    let claim = take(&mut slot).await;
    one_runs_and_99_wait(stage, &queues).await;
    claim.settle(Settlement::Done).await.unwrap();
}

async fn a_waiting_slot_leaves_a_sudden_flood_to_the_others(stage: &BrokerFixture) {
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
        .flat_map(|queue| requests("p", 5).into_iter().map(|request| fixture::to(queue, request)))
        .collect();
    broker.submit(&flood, &[], &mut |_| {}).await.unwrap();
    let (_slot, claim) = waiting.await.unwrap();
    one_runs_and_99_wait(stage, &queues).await;
    claim.settle(Settlement::Done).await.unwrap();
}

async fn an_idle_slot_takes_a_request_at_once(stage: &BrokerFixture) {
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
        let submission = [fixture::to(&queues[round % 20], requests("p", 1).remove(0))];
        let published = Instant::now();
        publisher.submit(&submission, &[], &mut |_| {}).await.unwrap();
        confirmations.push(published.elapsed());
        let (same_slot, claim, claimed) = waiting.await.unwrap();
        slot = same_slot;
        times.push(claimed - published);
        claim.settle(Settlement::Done).await.unwrap();
    }
    times.sort();
    confirmations.sort();
    // A poll would take far longer than this. The machine may be busy, and then everything takes longer.
    assert!(times[10] < Duration::from_millis(250) + 3 * confirmations[10], "{times:?} {confirmations:?}");
}

async fn an_idle_slot_uses_no_processor_time(stage: &BrokerFixture) {
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

async fn a_slot_that_is_told_to_stop_holds_nothing(stage: &BrokerFixture) {
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

async fn one_runs_and_99_wait(stage: &BrokerFixture, queues: &[QueueName]) {
    let outside = stage.broker().await;
    eventually("one request runs and 99 are ready for other workers", async || {
        let states = outside.inspect(queues).await.unwrap();
        let sum = |of: fn(&QueueState) -> u64| states.iter().map(of).sum::<u64>();
        (sum(|state| state.ready) == 99 && sum(|state| state.claimed) == 1).then_some(())
    })
    .await;
}
