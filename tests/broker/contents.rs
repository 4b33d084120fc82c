//! What queues hold: how it gets there, and how it is looked at, taken out and moved.

use super::*;

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    on_each_backend![services;
        a_killed_submission_leaves_what_was_confirmed,
        a_queue_that_does_not_exist_is_named_with_its_neighbours,
        a_request_without_an_id_gets_one,
        looking_into_a_queue_changes_nothing,
        what_is_taken_out_is_gone_and_the_rest_keeps_its_order,
        what_is_moved_waits_in_the_other_queue_with_its_history,
        a_dead_letter_that_is_put_back_begins_anew,
        the_state_of_a_queue_counts_what_waits_runs_and_is_dead,
    ]
}

async fn a_killed_submission_leaves_what_was_confirmed(stage: &BrokerFixture) {
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

async fn a_queue_that_does_not_exist_is_named_with_its_neighbours(stage: &BrokerFixture) {
    let broker = stage.broker().await;
    let queues = stage.queues(2);
    broker.declare(&queues).await.unwrap();
    let mistyped: QueueName = format!("{}x", queues[0]).parse().unwrap();
    let [good, bad] = [&queues[0], &mistyped].map(|queue| fixture::to(queue, requests("p", 1).remove(0)));
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

async fn a_request_without_an_id_gets_one(stage: &BrokerFixture) {
    let (broker, queue) = stage.broker_with_queue().await;
    submit(&broker, &queue, &[Request::parse(b"gzip").unwrap()]).await;
    let queued = broker.contents(&queue, 1).await.unwrap().ready;
    let queued = Request::parse(&queued[0]).unwrap();
    let claim = take(&mut broker.slot(vec![queue]).await.unwrap()).await;
    assert!(queued.uuid().is_some());
    assert_eq!(claim.request.as_ref().unwrap().uuid(), queued.uuid());
}

async fn looking_into_a_queue_changes_nothing(stage: &BrokerFixture) {
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
    held.settle(Settlement::Done).await.unwrap();
    for request in &sent[1..] {
        assert_eq!(take_package(&mut slot).await, request.package().as_str());
    }
}

async fn what_is_taken_out_is_gone_and_the_rest_keeps_its_order(stage: &BrokerFixture) {
    let (broker, queue) = stage.broker_with_queue().await;
    submit(&broker, &queue, &requests("p", 2000)).await;
    // Who cannot write down what it takes, takes nothing.
    let unable: Selector = Box::new(|_| Err(std::io::Error::other("no room")));
    let error = broker.take_out(&queue, MessageState::Ready, None, unable).await.unwrap_err();
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
    let choice: Selector = Box::new(move |messages| {
        let bodies: Vec<_> = messages.iter().map(|message| message.body.clone()).collect();
        let chosen = (0..bodies.len()).filter(|index| index % 3 == 0).collect();
        *seen_by_choice.lock().unwrap() = packages(&bodies);
        Ok(chosen)
    });
    let taking = broker.take_out(&queue, MessageState::Ready, None, choice);
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
    // The choice may have been made before the late one came, or after it.
    if !gone.contains(&"late0".to_owned()) {
        left.push("late0".to_owned());
    }
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

async fn what_is_moved_waits_in_the_other_queue_with_its_history(stage: &BrokerFixture) {
    let (broker, queue) = stage.broker_with_queue().await;
    let other = stage.queues(1).remove(0);
    let everything = || -> Selector { Box::new(|messages| Ok((0..messages.len()).collect())) };
    let missing = broker.take_out(&queue, MessageState::Ready, Some(&other), everything()).await.unwrap_err();
    assert!(matches!(&missing, BrokerError::NoSuchQueue { queue, .. } if *queue == other), "{missing}");
    broker.declare(std::slice::from_ref(&other)).await.unwrap();
    let sent = requests("p", 700);
    submit(&broker, &queue, &sent).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    take(&mut slot).await.settle(Settlement::Requeue).await.unwrap();
    assert_eq!(broker.take_out(&queue, MessageState::Ready, Some(&other), everything()).await.unwrap(), 700);
    stage.is_empty(&broker, &queue).await;
    let mut slot = broker.slot(vec![other.clone()]).await.unwrap();
    for request in sent.iter().skip(1).chain(&sent[..1]) {
        let claim = take(&mut slot).await;
        assert_eq!(claim.request.as_ref().unwrap(), request);
        // The last one was tried before.
        assert_eq!(claim.attempt, if *request == sent[0] { 2 } else { 1 });
        claim.settle(Settlement::Done).await.unwrap();
    }
}

async fn a_dead_letter_that_is_put_back_begins_anew(stage: &BrokerFixture) {
    let (broker, queue) = stage.broker_with_queue().await;
    let sent = requests("p", 2);
    submit(&broker, &queue, &sent).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    for reason in ["one", "two"] {
        take(&mut slot).await.settle(Settlement::Dead(reason.to_owned())).await.unwrap();
    }
    let second: Selector = Box::new(|messages| {
        Ok((0..messages.len()).filter(|index| messages[*index].reason.as_deref() == Some("two")).collect())
    });
    assert_eq!(broker.take_out(&queue, MessageState::Dead, Some(&queue), second).await.unwrap(), 1);
    let claim = take(&mut slot).await;
    assert_eq!((claim.request.as_ref().unwrap(), claim.attempt), (&sent[1], 1));
    claim.settle(Settlement::Done).await.unwrap();
    let dead = broker.contents(&queue, 10).await.unwrap().dead;
    assert_eq!(dead.iter().map(|letter| letter.reason.as_str()).collect::<Vec<_>>(), ["one"]);
}

async fn the_state_of_a_queue_counts_what_waits_runs_and_is_dead(stage: &BrokerFixture) {
    let (broker, queue) = stage.broker_with_queue().await;
    submit(&broker, &queue, &requests("p", 4)).await;
    let mut slots = Vec::new();
    let mut claims = Vec::new();
    for _ in 0..3 {
        let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
        claims.push(take(&mut slot).await);
        slots.push(slot);
    }
    claims.remove(0).settle(Settlement::Dead("broken".to_owned())).await.unwrap();
    let missing = stage.queues(1);
    let states = eventually("two are held, one waits and one is dead", async || {
        let states = stage.broker().await.inspect(&[queue.clone(), missing[0].clone()]).await.unwrap();
        ((states[0].claimed, states[0].ready, states[0].dead) == (2, 1, 1)).then_some(states)
    });
    let states = states.await;
    assert_eq!(states.len(), 1, "a queue that does not exist has no state");
}

fn packages(messages: &[Vec<u8>]) -> Vec<String> {
    messages.iter().map(|body| Request::parse(body).unwrap().package().to_string()).collect()
}
