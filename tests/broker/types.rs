//! Stories about queues at RabbitMQ that are made again with another type, and about the queues of our own that depend on it.

use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};

use super::amqp::stranger;
use super::*;

/// More often than RabbitMQ's default delivery limit.
const LOOKS: usize = 24;
/// Number of times that two clients create a queue at once.
const ROUNDS: usize = 30;

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let mut trials = Vec::new();
    macro_rules! stories {
        ($($story:ident),* $(,)?) => {
            $(
                let own = Arc::clone(services);
                let name = concat!("broker::types::", stringify!($story));
                trials.push(Trial::test(name, move || {
                    fixture::play($story(&own));
                    Ok(())
                }));
            )*
        };
    }
    stories![
        looks_stop_before_a_high_limit_is_near,
        looks_notice_that_a_queue_was_made_again_with_another_type,
        workers_notice_that_a_queue_was_made_again_with_another_type,
        a_queue_that_another_client_creates_meanwhile_is_no_error,
        a_look_makes_the_queue_of_dead_letters_as_a_worker_does,
        delayed_requests_of_a_quorum_queue_among_classic_ones_are_seen,
        what_a_worker_holds_of_queues_of_unknown_type_is_in_quorum_queues,
    ];
    trials
}

fn quorum(limit: Option<i32>) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    if let Some(limit) = limit {
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(limit));
    }
    arguments
}

/// Declares a queue as somebody else does, after the former one of this name is deleted; the broker's refusal, if it refuses.
async fn make(stage: &BrokerFixture, queue: &str, again: bool, arguments: FieldTable) -> Result<(), lapin::Error> {
    let (connection, channel) = stranger(&stage.address()).await;
    if again {
        channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
    }
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    let declared = channel.queue_declare(queue.into(), options, arguments).await.map(drop);
    connection.close(200, "done".into()).await.unwrap();
    declared
}

async fn looks_notice_that_a_queue_was_made_again_with_another_type(services: &Services) {
    let stage = BrokerFixture::set(services, Backend::RabbitMq);
    let (broker, queue) = stage.broker_with_queue().await;
    let name = queue.to_string();
    services.rabbitmq().limit_deliveries(&stage.vhost(), &format!("^{name}"), 20);
    for (again, arguments) in [(false, FieldTable::default()), (true, quorum(None)), (true, quorum(Some(20)))] {
        make(&stage, &name, again, arguments).await.unwrap();
        submit(&broker, &queue, &requests("p", 3)).await;
        for _ in 0..LOOKS {
            // RabbitMQ 4.3 counts what is in quorum queues a moment later.
            eventually("all three are ready", async || {
                let state = broker.inspect(std::slice::from_ref(&queue)).await.unwrap().remove(0);
                (state.ready == 3).then_some(())
            })
            .await;
            let contents = broker.visible_contents(&queue, 10).await.unwrap();
            assert!(contents.hidden.is_some() || contents.ready.len() == 3);
        }
        let everything: Selector = Box::new(|messages| Ok((0..messages.len()).collect()));
        assert_eq!(broker.take_everything(&queue, MessageState::Ready, None, everything).await.unwrap(), 3);
        eventually("nothing is left", async || {
            (broker.inspect(std::slice::from_ref(&queue)).await.unwrap()[0].ready == 0).then_some(())
        })
        .await;
    }
}

/// Each look is made by a process of its own, as commands are. Users who may not configure a queue cannot try its policies out.
async fn looks_stop_before_a_high_limit_is_near(services: &Services) {
    let stage = BrokerFixture::apart(services);
    let (broker, queue) = stage.broker_with_queue().await;
    let (rabbitmq, name) = (services.rabbitmq(), queue.to_string());
    let watcher = rabbitmq.user_in(&stage.vhost(), &format!("watcher-{name}"), [r"^(apt-ci\..*|amq\..*)$", ".*", ".*"]);
    let operator = stage.address();
    for (limit, address) in [(40, &operator), (40, &watcher)] {
        rabbitmq.limit_deliveries(&stage.vhost(), "^debci-.*-amd64$", limit);
        make(&stage, &name, true, quorum(None)).await.unwrap();
        submit(&broker, &queue, &requests("p", 3)).await;
        let mut shown = 0;
        for _ in 0..limit + 10 {
            let looker = fixture::connect(address).await;
            let contents = looker.visible_contents(&queue, 10).await.unwrap();
            assert!(contents.hidden.is_some() || contents.ready.len() == 3, "after {shown} looks");
            shown += u32::from(contents.hidden.is_none());
            looker.close().await;
        }
        // The default limit of RabbitMQ 4.0 is enough to show nothing to who cannot try the policy out.
        assert!(shown >= 10 || *address == watcher, "shown {shown} times with a limit of {limit}");
        if shown < limit + 10 {
            // Another process reads the notes, and is stopped.
            let (connection, channel) = stranger(&stage.address()).await;
            let notes = ("apt-ci.returns-needed".into(), "".into());
            let _held =
                channel.basic_consume(notes.0, notes.1, Default::default(), FieldTable::default()).await.unwrap();
            let looker = fixture::connect(address).await;
            assert!(looker.visible_contents(&queue, 10).await.unwrap().hidden.is_some(), "the notes are held");
            looker.close().await;
            connection.close(200, "done".into()).await.unwrap();
        }
        let everything: Selector = Box::new(|messages| Ok((0..messages.len()).collect()));
        assert_eq!(broker.take_everything(&queue, MessageState::Ready, None, everything).await.unwrap(), 3);
    }
}

async fn a_queue_that_another_client_creates_meanwhile_is_no_error(services: &Services) {
    let stage = BrokerFixture::set(services, Backend::RabbitMq);
    let (broker, queue) = stage.broker_with_queue().await;
    let (name, mut refused) = (queue.to_string(), 0);
    for _ in 0..ROUNDS {
        let (connection, channel) = stranger(&stage.address()).await;
        channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        let queues = std::slice::from_ref(&queue);
        let (ours, theirs) =
            tokio::join!(broker.declare(queues), channel.queue_declare(name.as_str().into(), options, quorum(None)));
        ours.expect("the queue, whoever has created it");
        refused += usize::from(theirs.is_err());
        connection.close(200, "done".into()).await.unwrap();
    }
    assert!(refused < ROUNDS, "they are first now and then");
}

async fn workers_notice_that_a_queue_was_made_again_with_another_type(services: &Services) {
    let stage = BrokerFixture::apart(services);
    let (broker, queue) = stage.broker_with_queue().await;
    let worker = stage.broker().await;
    submit(&broker, &queue, &requests("p", 1)).await;
    let mut busy = worker.slot(vec![queue.clone()]).await.unwrap();
    let held = take(&mut busy).await;
    let mut idle = worker.slot(vec![queue.clone()]).await.unwrap();
    let waiting = tokio::spawn(async move { take(&mut idle).await });
    stage.waits(&broker, std::slice::from_ref(&queue)).await;
    make(&stage, &queue.to_string(), true, quorum(None)).await.unwrap();
    stage.waits(&broker, std::slice::from_ref(&queue)).await;
    submit(&broker, &queue, &requests("q", 1)).await;
    let taken = waiting.await.unwrap();
    let filled = async || {
        let mut queues = services.rabbitmq().filled_queues(&stage.vhost()).await;
        queues.retain(|(name, _)| name.starts_with("apt-ci.claim.") || name.starts_with("apt-ci.delay."));
        queues
    };
    // One was claimed afterwards; the other one moves with its next renewal after a minute, in which the former type is believed.
    let limit = std::time::Duration::from_secs(150);
    fixture::eventually_within(limit, "both claims are in quorum queues", async || {
        let filled = filled().await;
        (filled.len() == 2 && filled.iter().all(|(_, queue_type)| queue_type == "quorum")).then_some(())
    })
    .await;
    assert!(!held.was_interrupted());
    held.settle(Settlement::Done).await.unwrap();
    taken.settle(later(3600, None, true)).await.unwrap();
    stage.has_one_delayed(&broker, &queue).await;
    // The broker counts what is in quorum queues now and then.
    eventually("it is in a quorum queue", async || {
        matches!(filled().await.as_slice(), [(name, queue_type)] if name.starts_with("apt-ci.delay.") && queue_type == "quorum")
            .then_some(())
    })
    .await;
    let everything: Selector = Box::new(|messages| Ok((0..messages.len()).collect()));
    assert_eq!(broker.take_everything(&queue, MessageState::Delayed, None, everything).await.unwrap(), 1);
}

async fn a_look_makes_the_queue_of_dead_letters_as_a_worker_does(services: &Services) {
    let stage = BrokerFixture::set(services, Backend::Quorum);
    let (broker, queue) = stage.broker_with_queue().await;
    broker.inspect(std::slice::from_ref(&queue)).await.unwrap();
    let dead = format!("apt-ci.dead.{queue}");
    make(&stage, &dead, false, quorum(Some(1_000_000))).await.expect("it has the high limit");
    // The next letter finds a queue that somebody has deleted meanwhile.
    make(&stage, &dead, true, quorum(None)).await.unwrap();
    let (_connection, channel) = stranger(&stage.address()).await;
    channel.queue_delete(dead.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    submit(&broker, &queue, &requests("p", 1)).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    take(&mut slot).await.settle(Settlement::Dead("no".to_owned())).await.unwrap();
    make(&stage, &dead, false, quorum(Some(1_000_000))).await.expect("it has the high limit again");
    for _ in 0..LOOKS {
        broker.contents(&queue, 10).await.unwrap();
    }
    let dead = async || (broker.contents(&queue, 10).await.unwrap().dead.len() == 1).then_some(());
    eventually("the dead letter is still there", dead).await;
}

async fn delayed_requests_of_a_quorum_queue_among_classic_ones_are_seen(services: &Services) {
    let stage = BrokerFixture::set(services, Backend::RabbitMq);
    let broker = stage.broker().await;
    let queues = stage.queues(2);
    make(&stage, &queues[1].to_string(), false, quorum(None)).await.unwrap();
    broker.declare(&queues).await.unwrap();
    submit(&broker, &queues[1], &requests("p", 1)).await;
    let mut slot = broker.slot(queues.clone()).await.unwrap();
    take(&mut slot).await.settle(later(5, None, true)).await.unwrap();
    let delayed: Vec<u64> = broker.inspect(&queues).await.unwrap().iter().map(|state| state.delayed).collect();
    assert_eq!(delayed, [0, 1]);
    // A worker that ends when nothing is left waits for it.
    let claim = slot.claim(Wait::UntilEmpty, &CancellationToken::new()).await.unwrap().expect("the delayed request");
    claim.settle(Settlement::Done).await.unwrap();
}

/// At a restart of the broker, classic queues hand over what has expired only once, and a quorum queue may not be ready for it.
async fn what_a_worker_holds_of_queues_of_unknown_type_is_in_quorum_queues(services: &Services) {
    let stage = BrokerFixture::apart(services);
    let operator = stage.broker().await;
    let queues = stage.queues(2);
    make(&stage, &queues[1].to_string(), false, quorum(None)).await.unwrap();
    operator.declare(&queues).await.unwrap();
    // As in docs/reference/rabbitmq.md: a worker may not configure the request queues.
    let name = format!("worker-{}", queues[0]);
    let own = r"^(apt-ci\..*|amq\.(gen.*|default))$";
    let worker = fixture::connect(&services.rabbitmq().user_in(&stage.vhost(), &name, [own, own, ".*"])).await;
    for queue in &queues {
        submit(&operator, queue, &requests("p", 2)).await;
        let mut slot = worker.slot(vec![queue.clone()]).await.unwrap();
        take(&mut slot).await.settle(later(3600, None, true)).await.unwrap();
        let held = take(&mut slot).await;
        // The broker counts what is in quorum queues now and then.
        eventually("both are in quorum queues", async || {
            let filled = services.rabbitmq().filled_queues(&stage.vhost()).await;
            let mut ours = filled.iter().filter(|(name, _)| name.starts_with("apt-ci."));
            (ours.clone().count() == 2 && ours.all(|(_, queue_type)| queue_type == "quorum")).then_some(())
        })
        .await;
        // Who knows the types sees them all the same.
        let state = operator.inspect(std::slice::from_ref(queue)).await.unwrap().remove(0);
        assert_eq!((state.delayed, state.claimed), (1, 1), "{queue}");
        drop(held);
        drop(slot);
        eventually("what was held is back", async || {
            let state = operator.inspect(std::slice::from_ref(queue)).await.unwrap().remove(0);
            (state.ready == 1 && state.claimed == 0).then_some(())
        })
        .await;
        let everything: Selector = Box::new(|messages| Ok((0..messages.len()).collect()));
        assert_eq!(operator.take_everything(queue, MessageState::Delayed, None, everything).await.unwrap(), 1);
    }
}
