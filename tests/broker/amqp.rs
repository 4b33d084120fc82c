//! Stories about connections, and about what only RabbitMQ can do.

use apt_ci::broker::{CancelOutcome, CancelRequest, Claim, Topic};
use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use nix::sys::signal::Signal;
use testkit::broker_pool::PrivateRabbitMq;
use testkit::daemon::free_port;
use testkit::proxy::Proxy;
use testkit::rabbitmq::RabbitMq;

use super::*;

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let mut trials = Vec::new();
    macro_rules! stories {
        ($($story:ident),* $(,)?) => {
            $(
                let own = Arc::clone(services);
                let name = concat!("broker::rabbitmq::", stringify!($story));
                trials.push(Trial::test(name, move || {
                    fixture::play(async {
                        let stage = BrokerFixture::set(&own, Backend::RabbitMq);
                        $story(&own, &stage).await;
                    });
                    Ok(())
                }));
            )*
        };
    }
    stories![
        a_long_claim_outlives_the_brokers_patience,
        a_holder_that_is_slow_is_counted,
        delayed_requests_in_other_hands_are_not_taken_for_gone,
        a_copy_of_a_running_request_is_never_run,
        a_lock_that_nobody_answers_for_makes_nobody_drop_a_request,
        who_answers_for_others_hides_no_request_and_fills_no_memory,
        a_message_that_is_no_request_is_handed_out_with_the_reason,
        a_request_of_another_client_gets_an_id_and_keeps_its_headers,
        a_claim_survives_a_short_outage,
        a_claim_that_another_worker_has_taken_is_lost,
        a_waiting_slot_survives_an_outage,
        a_slot_survives_the_deletion_of_its_queue,
        a_worker_may_serve_longer_than_its_connection_has_channel_numbers,
        a_worker_goes_on_when_all_channel_numbers_are_used_up,
        listeners_hear_what_runs_and_what_has_ended,
        an_announcement_does_not_wait_for_a_broker_that_is_away,
        a_broker_that_does_not_answer_is_an_error_without_the_password,
        a_closed_connection_gives_everything_back,
        an_encrypted_connection_is_made_only_to_a_broker_that_is_trusted,
    ];
    for (name, story) in [
        ("a_crash_of_the_broker_during_a_submission", restart_during_submission as fn(PrivateRabbitMq)),
        ("a_restart_of_the_broker_while_requests_are_delayed", |broker| {
            restart_during_delay(broker, RabbitMq::stop, false, RabbitMq::url);
        }),
        ("a_crash_of_the_broker_while_requests_are_delayed", |broker| {
            restart_during_delay(broker, RabbitMq::kill, true, RabbitMq::url);
        }),
        ("a_restart_of_the_broker_while_requests_of_quorum_queues_are_delayed", |broker| {
            restart_during_delay(broker, RabbitMq::stop, false, RabbitMq::quorum_url);
        }),
        ("a_restart_of_the_broker_after_the_worker_of_a_quorum_queue_has_died", restart_after_death),
        ("a_restart_of_the_broker_while_requests_are_held", |broker| restart_during_claim(broker, RabbitMq::stop)),
        ("a_crash_of_the_broker_while_requests_are_held", |broker| restart_during_claim(broker, RabbitMq::kill)),
    ] {
        let own = Arc::clone(services);
        trials.push(Trial::test(format!("broker::rabbitmq::{name}"), move || {
            story(own.private_rabbitmq());
            Ok(())
        }));
    }
    trials
}

/// A client that knows nothing of us.
pub async fn stranger(address: &str) -> (Connection, Channel) {
    let connection = Connection::connect(address, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

async fn publish(channel: &Channel, queue: &QueueName, body: &[u8], properties: BasicProperties) {
    let queue = queue.to_string().as_str().into();
    channel.basic_publish("".into(), queue, BasicPublishOptions::default(), body, properties).await.unwrap();
}

async fn a_long_claim_outlives_the_brokers_patience(_: &Services, stage: &BrokerFixture) {
    let (broker, queue) = stage.broker_with_queue().await;
    submit(&broker, &queue, &requests("p", 1)).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    let mut claim = take(&mut slot).await;
    // The broker allows 20 seconds for an acknowledgement, and looks once a minute.
    let end = Instant::now() + Duration::from_secs(95);
    let outside = stage.broker().await;
    while Instant::now() < end {
        tokio::select! {
            reason = claim.lost() => panic!("the claim was lost: {reason}"),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        // Had the broker lost patience, a copy would be back on the queue, however soon the claim was announced again.
        assert!(!claim.was_interrupted());
        assert_eq!(outside.inspect(std::slice::from_ref(&queue)).await.unwrap().remove(0).ready, 0);
    }
    eventually("the claim is told of", async || {
        let state = outside.inspect(std::slice::from_ref(&queue)).await.unwrap().remove(0);
        (state.claimed == 1).then_some(())
    })
    .await;
    claim.settle(Settlement::Done).await.unwrap();
    stage.is_empty(&broker, &queue).await;
}

async fn a_holder_that_is_slow_is_counted(_: &Services, stage: &BrokerFixture) {
    let (broker, queue) = stage.broker_with_queue().await;
    submit(&broker, &queue, &requests("p", 1)).await;
    let holder = Helper::start(&["hold-claim", &stage.address(), &queue.to_string()]);
    holder.wait_for_line("held");
    // So long it does not answer. On a machine that is busy itself, the question may take too long as well: then it is asked again.
    let frozen = Duration::from_millis(800);
    eventually("the claim is counted although its holder stood still", async || {
        holder.signal(Signal::SIGSTOP);
        let (states, ()) = tokio::join!(broker.inspect(std::slice::from_ref(&queue)), async {
            tokio::time::sleep(frozen).await;
            holder.signal(Signal::SIGCONT);
        });
        (states.unwrap()[0].claimed == 1).then_some(())
    })
    .await;
}

async fn delayed_requests_in_other_hands_are_not_taken_for_gone(_: &Services, stage: &BrokerFixture) {
    let (broker, queue) = stage.broker_with_queue().await;
    submit(&broker, &queue, &requests("p", 1)).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    take(&mut slot).await.settle(later(3600, None, true)).await.unwrap();
    // As somebody who was stopped while looking.
    let (connection, channel) = stranger(&stage.address()).await;
    let options = BasicConsumeOptions { exclusive: true, ..Default::default() };
    let mut hand =
        channel.basic_consume("apt-ci.delay.3600".into(), "".into(), options, FieldTable::default()).await.unwrap();
    hand.next().await.unwrap().unwrap();
    let error = broker.inspect(std::slice::from_ref(&queue)).await.unwrap_err();
    assert!(matches!(error, BrokerError::BeingBrowsed(_)), "{error}");
    assert!(matches!(broker.contents(&queue, 1).await, Err(BrokerError::BeingBrowsed(_))));
    let everything: Selector = Box::new(|messages| Ok((0..messages.len()).collect()));
    let taken = broker.take_out(&queue, MessageState::Delayed, None, everything).await;
    assert!(matches!(taken, Err(BrokerError::BeingBrowsed(_))), "{taken:?}");
    // A worker that ends when nothing is left does not end, but when it is told to.
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let mut draining = tokio::spawn(async move { slot.claim(Wait::UntilEmpty, &stopped).await.unwrap().is_none() });
    assert!(tokio::time::timeout(Duration::from_secs(8), &mut draining).await.is_err(), "it has ended");
    stop.cancel();
    assert!(draining.await.unwrap());
    connection.close(200, "ended".into()).await.unwrap();
    stage.has_one_delayed(&broker, &queue).await;
}

async fn a_copy_of_a_running_request_is_never_run(_: &Services, stage: &BrokerFixture) {
    let (broker, queue) = stage.broker_with_queue().await;
    let twice = requests("p", 1);
    submit(&broker, &queue, &twice).await;
    submit(&broker, &queue, &twice).await;
    submit(&broker, &queue, &twice).await;
    submit(&broker, &queue, &requests("q", 1)).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    let running = take(&mut slot).await;
    assert_eq!(running.request.as_ref().unwrap(), &twice[0]);
    // One rival shares the connection, the other does not.
    let mut near = broker.slot(vec![queue.clone()]).await.unwrap();
    assert_eq!(take_package(&mut near).await, "q0");
    submit(&broker, &queue, &twice).await;
    submit(&broker, &queue, &requests("r", 1)).await;
    let mut far = stage.broker().await.slot(vec![queue.clone()]).await.unwrap();
    assert_eq!(take_package(&mut far).await, "r0");
    running.settle(Settlement::Done).await.unwrap();
    stage.is_empty(&broker, &queue).await;
    // When it has ended, the same request may be asked for again.
    submit(&broker, &queue, &twice).await;
    assert_eq!(take_package(&mut far).await, "p0");
}

async fn a_lock_that_nobody_answers_for_makes_nobody_drop_a_request(_: &Services, stage: &BrokerFixture) {
    let (broker, queue) = stage.broker_with_queue().await;
    let sent = requests("p", 1);
    // The lock of a worker that has just died is there a little longer than its claim.
    let (connection, channel) = stranger(&stage.address()).await;
    let lock = format!("apt-ci.lock.{}", sent[0].uuid().unwrap());
    let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
    channel.queue_declare(lock.into(), options, FieldTable::default()).await.unwrap();
    submit(&broker, &queue, &sent).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    let mut claim = std::pin::pin!(take(&mut slot));
    let early = tokio::time::timeout(Duration::from_secs(2), &mut claim).await;
    assert!(early.is_err(), "the lock was ignored");
    connection.close(200, "dead".into()).await.unwrap();
    let claim = claim.await;
    assert_eq!(claim.request.as_ref().unwrap(), &sent[0]);
    assert!(claim.redelivered, "somebody else had it");
    claim.settle(Settlement::Done).await.unwrap();
    stage.is_empty(&broker, &queue).await;
}

/// Answers every question with what somebody wants others to believe, as fast as it can.
async fn liar(address: &str, bodies: Vec<Vec<u8>>, headers: FieldTable) -> tokio::task::JoinHandle<()> {
    let (connection, channel) = stranger(address).await;
    let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
    let exchange = || "apt-ci.roll-call".into();
    channel.exchange_declare(exchange(), ExchangeKind::Fanout, options, FieldTable::default()).await.unwrap();
    let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
    let queue = channel.queue_declare("".into(), options, FieldTable::default()).await.unwrap().name().clone();
    let binding = QueueBindOptions::default();
    channel.queue_bind(queue.clone(), exchange(), "".into(), binding, FieldTable::default()).await.unwrap();
    let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
    let mut questions = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await.unwrap();
    tokio::spawn(async move {
        let _connection = connection;
        while let Some(Ok(question)) = questions.next().await {
            let reply_to = question.properties.reply_to().clone().unwrap();
            for body in &bodies {
                let properties = BasicProperties::default().with_headers(headers.clone());
                let options = BasicPublishOptions::default();
                channel.basic_publish("".into(), reply_to.clone(), options, body, properties).await.unwrap();
            }
        }
    })
}

fn header(name: &str, value: &str) -> FieldTable {
    let mut headers = FieldTable::default();
    headers.insert(name.into(), lapin::types::AMQPValue::LongString(value.into()));
    headers
}

async fn who_answers_for_others_hides_no_request_and_fills_no_memory(_: &Services, stage: &BrokerFixture) {
    const LARGE: usize = 100_000;
    let (broker, queue) = stage.broker_with_queue().await;
    let sent = requests("p", 1);
    let (connection, channel) = stranger(&stage.address()).await;
    // It has the lock of a request, and says much about other requests when that one is asked for.
    let lock = format!("apt-ci.lock.{}", sent[0].uuid().unwrap());
    let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
    channel.queue_declare(lock.into(), options, FieldTable::default()).await.unwrap();
    let others = requests("q", 3).iter().map(|request| request.to_wire().into_bytes()).collect();
    let lies = liar(&stage.address(), others, header("x-apt-ci-cancel", "\"cancelled\"")).await;
    submit(&broker, &queue, &sent).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    let mut claim = std::pin::pin!(take(&mut slot));
    let early = tokio::time::timeout(Duration::from_secs(2), &mut claim).await;
    assert!(early.is_err(), "the lock was ignored");
    connection.close(200, "dead".into()).await.unwrap();
    let claim = claim.await;
    assert_eq!(claim.request.as_ref().unwrap(), &sent[0], "it was not dropped");
    // Nor is a wish to cancel answered by what is said about another test.
    let wish = CancelRequest { uuid: "absent".to_owned(), by: "me".to_owned(), requeue: false };
    assert_eq!(broker.cancel(&wish).await.unwrap(), CancelOutcome::NotFound);
    lies.abort();

    // Too large by itself, and too much in all.
    for (body, count) in [(300_000, 20), (LARGE, 3_000)] {
        let body = vec![b'x'; body];
        let lies =
            liar(&stage.address(), vec![body.clone(); count], header("x-apt-ci-origin", &queue.to_string())).await;
        let running = broker.running().await.unwrap();
        let told: usize = running.iter().map(|test| test.body.len()).sum();
        assert!(told <= 64 << 20, "{told} bytes were believed");
        assert!(running.iter().all(|test| test.body.len() <= LARGE));
        lies.abort();
    }
    eventually("the claim is told of", async || {
        let running = broker.running().await.unwrap();
        running.iter().any(|test| test.request().as_ref() == Some(&sent[0])).then_some(())
    })
    .await;

    // Workers answer to nobody who would have them publish elsewhere.
    let properties = BasicProperties::default().with_reply_to(queue.to_string().into());
    let properties = properties.with_headers(header("x-apt-ci-closing", "1"));
    let (_connection, channel) = stranger(&stage.address()).await;
    let exchange = "apt-ci.roll-call".into();
    channel.basic_publish(exchange, "".into(), BasicPublishOptions::default(), &[], properties).await.unwrap();
    assert_eq!(broker.running().await.unwrap().len(), 1, "it was heard before this was answered");
    claim.settle(Settlement::Done).await.unwrap();
    stage.is_empty(&broker, &queue).await;
}

async fn a_message_that_is_no_request_is_handed_out_with_the_reason(_: &Services, stage: &BrokerFixture) {
    let (broker, queue) = stage.broker_with_queue().await;
    let (_connection, channel) = stranger(&stage.address()).await;
    for body in [b"%%% nonsense".as_slice(), b"\xff\xfe", b"", b"gzip {\"triggers\": 7}"] {
        publish(&channel, &queue, body, BasicProperties::default()).await;
        let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
        let claim = take(&mut slot).await;
        let reason = claim.request.as_ref().unwrap_err().to_string();
        claim.settle(Settlement::Dead(reason.clone())).await.unwrap();
        let letter = eventually("it is there", async || broker.contents(&queue, 10).await.unwrap().dead.pop()).await;
        assert_eq!((letter.body.as_slice(), letter.reason), (body, reason));
    }
    stage.is_empty(&broker, &queue).await;
}

async fn a_request_of_another_client_gets_an_id_and_keeps_its_headers(_: &Services, stage: &BrokerFixture) {
    let (broker, queue) = stage.broker_with_queue().await;
    let (_connection, channel) = stranger(&stage.address()).await;
    let mut headers = FieldTable::default();
    headers.insert("x-theirs".into(), lapin::types::AMQPValue::LongString("kept".into()));
    // Somebody else's user name would make the broker refuse our copy, and an expiration would make it vanish.
    let properties = BasicProperties::default().with_headers(headers).with_expiration("60000".into());
    publish(&channel, &queue, b"gzip\n{\"triggers\": [\"gzip/1\"], \"unknown\": [1]}", properties).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    let claim = take(&mut slot).await;
    let request = claim.request.as_ref().unwrap().clone();
    assert!(request.uuid().is_some());
    assert_eq!(request.parameters().other["unknown"], serde_json::json!([1]));
    claim.settle(Settlement::Requeue).await.unwrap();
    let back = channel.basic_get(queue.to_string().as_str().into(), Default::default()).await.unwrap().unwrap();
    assert_eq!(Request::parse(&back.data).unwrap(), request);
    assert!(back.properties.headers().as_ref().unwrap().contains_key("x-theirs"));
}

/// A worker whose way to the broker can be cut, with a claim.
async fn worker_behind(proxy: &Proxy, services: &Services, queue: &QueueName) -> (Broker, Claim) {
    let broker = fixture::connect(&services.rabbitmq().url_at(proxy.port())).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    let claim = take(&mut slot).await;
    (broker, claim)
}

async fn a_claim_survives_a_short_outage(services: &Services, stage: &BrokerFixture) {
    let (outside, queue) = stage.broker_with_queue().await;
    let sent = requests("p", 1);
    submit(&outside, &queue, &sent).await;
    let proxy = Proxy::to(services.rabbitmq().port()).await;
    let (_broker, mut claim) = worker_behind(&proxy, services, &queue).await;
    proxy.cut();
    eventually("the broker has the request back", async || {
        let state = outside.inspect(std::slice::from_ref(&queue)).await.unwrap().remove(0);
        (state.ready == 1).then_some(())
    })
    .await;
    proxy.mend();
    eventually("the claim is announced again", async || {
        let state = outside.inspect(std::slice::from_ref(&queue)).await.unwrap().remove(0);
        (state.claimed == 1).then_some(())
    })
    .await;
    claim.held().await.unwrap();
    // What the broker took back is a second copy now, and is not run.
    let mut other = outside.slot(vec![queue.clone()]).await.unwrap();
    assert!(other.claim(Wait::UntilEmpty, &CancellationToken::new()).await.unwrap().is_none());
    claim.settle(Settlement::Done).await.unwrap();
    stage.is_empty(&outside, &queue).await;
}

async fn a_claim_that_another_worker_has_taken_is_lost(services: &Services, stage: &BrokerFixture) {
    let (outside, queue) = stage.broker_with_queue().await;
    let sent = requests("p", 1);
    submit(&outside, &queue, &sent).await;
    let proxy = Proxy::to(services.rabbitmq().port()).await;
    let (_broker, mut claim) = worker_behind(&proxy, services, &queue).await;
    proxy.cut();
    let mut other = outside.slot(vec![queue.clone()]).await.unwrap();
    let taken = take(&mut other).await;
    assert_eq!((taken.attempt, taken.redelivered), (2, true));
    assert_eq!(taken.request.as_ref().unwrap(), &sent[0]);
    proxy.mend();
    let reason = claim.lost().await;
    assert!(reason.contains("another worker"), "{reason}");
    assert!(matches!(claim.held().await, Err(BrokerError::ClaimLost(_))));
    assert!(matches!(claim.settle(Settlement::Done).await, Err(BrokerError::ClaimLost(_))));
    taken.settle(Settlement::Done).await.unwrap();
    stage.is_empty(&outside, &queue).await;
}

async fn a_waiting_slot_survives_an_outage(services: &Services, stage: &BrokerFixture) {
    let (outside, queue) = stage.broker_with_queue().await;
    let proxy = Proxy::to(services.rabbitmq().port()).await;
    let broker = fixture::connect(&services.rabbitmq().url_at(proxy.port())).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    let waiting = tokio::spawn(async move { take_package(&mut slot).await });
    stage.waits(&outside, std::slice::from_ref(&queue)).await;
    proxy.cut();
    submit(&outside, &queue, &requests("p", 1)).await;
    proxy.mend();
    assert_eq!(waiting.await.unwrap(), "p0");
    stage.is_empty(&outside, &queue).await;
}

async fn a_slot_survives_the_deletion_of_its_queue(_: &Services, stage: &BrokerFixture) {
    let broker = stage.broker().await;
    let queues = stage.queues(3);
    let mut slot = broker.slot(queues.clone()).await.unwrap();
    let waiting = tokio::spawn(async move { take_package(&mut slot).await });
    stage.waits(&broker, &queues).await;
    let (_connection, channel) = stranger(&stage.address()).await;
    channel.queue_delete(queues[1].to_string().as_str().into(), Default::default()).await.unwrap();
    stage.waits(&broker, &queues).await;
    submit(&broker, &queues[1], &requests("p", 1)).await;
    assert_eq!(waiting.await.unwrap(), "p0");
}

/// A connection with few channel numbers: a worker uses up the usual 2047 within an hour.
async fn short_of_numbers(stage: &BrokerFixture) -> Broker {
    fixture::connect(&format!("{}?channel_max=30", stage.address())).await
}

async fn a_worker_may_serve_longer_than_its_connection_has_channel_numbers(_: &Services, stage: &BrokerFixture) {
    let broker = short_of_numbers(stage).await;
    // The broker closes a channel for each of these that does not exist yet.
    let queues = stage.queues(4);
    let mut slot = broker.slot(queues.clone()).await.unwrap();
    for _ in 0..50 {
        submit(&broker, &queues[0], &requests("p", 1)).await;
        take(&mut slot).await.settle(Settlement::Done).await.unwrap();
    }
    stage.is_empty(&broker, &queues[0]).await;
}

async fn a_worker_goes_on_when_all_channel_numbers_are_used_up(_: &Services, stage: &BrokerFixture) {
    let (outside, queue) = stage.broker_with_queue().await;
    let broker = short_of_numbers(stage).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    submit(&outside, &queue, &requests("held", 1)).await;
    let mut held = take(&mut slot).await;
    for missing in stage.queues(60) {
        // One of these pays for it: its connection is replaced.
        let _ = broker.existing(&[missing]).await;
    }
    submit(&outside, &queue, &requests("next", 1)).await;
    let mut other = broker.slot(vec![queue.clone()]).await.unwrap();
    take(&mut other).await.settle(Settlement::Done).await.unwrap();
    held.held().await.unwrap();
    held.settle(Settlement::Done).await.unwrap();
    stage.is_empty(&outside, &queue).await;
}

async fn listeners_hear_what_runs_and_what_has_ended(_: &Services, stage: &BrokerFixture) {
    let (_connection, channel) = stranger(&stage.address()).await;
    let mut heard = Vec::new();
    for (exchange, durable) in [("teststatus.fanout", false), ("testcomplete.fanout", true)] {
        // As the programs that listen today declare them.
        let options = ExchangeDeclareOptions { durable, ..Default::default() };
        channel.exchange_declare(exchange.into(), ExchangeKind::Fanout, options, FieldTable::default()).await.unwrap();
        let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
        let queue = channel.queue_declare("".into(), options, FieldTable::default()).await.unwrap().name().clone();
        let binding = QueueBindOptions::default();
        channel.queue_bind(queue.clone(), exchange.into(), "".into(), binding, FieldTable::default()).await.unwrap();
        let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
        heard.push(channel.basic_consume(queue, "".into(), options, FieldTable::default()).await.unwrap());
    }
    let broker = stage.broker().await;
    broker.announce(Topic::TestStatus, b"{\"running\":true}").await.unwrap();
    broker.announce(Topic::TestComplete, b"{\"exitcode\":0}").await.unwrap();
    assert_eq!(heard[0].next().await.unwrap().unwrap().data, b"{\"running\":true}");
    let complete = heard[1].next().await.unwrap().unwrap();
    assert_eq!(complete.data, b"{\"exitcode\":0}");
    assert_eq!(*complete.properties.delivery_mode(), Some(2));
}

async fn an_announcement_does_not_wait_for_a_broker_that_is_away(services: &Services, _: &BrokerFixture) {
    let proxy = Proxy::to(services.rabbitmq().port()).await;
    let broker = fixture::connect(&services.rabbitmq().url_at(proxy.port())).await;
    broker.announce(Topic::TestStatus, b"{}").await.unwrap();
    proxy.cut();
    let asked = Instant::now();
    let error = eventually("the loss is noticed", async || broker.announce(Topic::TestStatus, b"{}").await.err()).await;
    assert!(matches!(error, BrokerError::Unreachable { .. }), "{error}");
    // Not what one waits for who has something to publish that must not get lost.
    assert!(asked.elapsed() < Duration::from_secs(20));
    proxy.mend();
    eventually("the next one goes through", async || broker.announce(Topic::TestStatus, b"{}").await.ok()).await;
}

async fn a_broker_that_does_not_answer_is_an_error_without_the_password(services: &Services, _: &BrokerFixture) {
    // One refuses connections, two do not let us in, and one takes connections and stays silent.
    let closed = free_port();
    let port = services.rabbitmq().port();
    for (url, reason) in [
        (format!("amqp://me:hunter2@127.0.0.1:{closed}/"), "refused"),
        (format!("amqp://me:hunter2@127.0.0.1:{port}/"), "ACCESS_REFUSED"),
        (format!("amqp://guest:guest@127.0.0.1:{port}/nowhere"), "nowhere"),
    ] {
        let asked = Instant::now();
        let url: QueueUrl = url.parse().unwrap();
        let Err(error) = Broker::connect(&url).await else { panic!("{url} let us in") };
        assert!(asked.elapsed() < Duration::from_secs(30));
        let text = error.to_string();
        assert!(text.contains("127.0.0.1") && text.contains(reason), "{text}");
        assert!(!format!("{text} {error:?}").contains("hunter2"), "{text}");
    }
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("amqp://me:hunter2@{}/", silent.local_addr().unwrap());
    let asked = Instant::now();
    let Err(error) = Broker::connect(&url.parse().unwrap()).await else { panic!("silence let us in") };
    assert!(asked.elapsed() < Duration::from_secs(30));
    assert!(error.to_string().contains("no answer within 8 seconds"), "{error}");
}

async fn a_closed_connection_gives_everything_back(_: &Services, stage: &BrokerFixture) {
    let (outside, queue) = stage.broker_with_queue().await;
    submit(&outside, &queue, &requests("p", 1)).await;
    let broker = stage.broker().await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    let mut claim = take(&mut slot).await;
    broker.close().await;
    claim.lost().await;
    assert!(slot.claim(Wait::ForOne, &CancellationToken::new()).await.unwrap().is_none(), "nothing comes any more");
    let mut other = outside.slot(vec![queue.clone()]).await.unwrap();
    assert_eq!(take_package(&mut other).await, "p0");
    stage.is_empty(&outside, &queue).await;
}

async fn an_encrypted_connection_is_made_only_to_a_broker_that_is_trusted(services: &Services, stage: &BrokerFixture) {
    let (outside, queue) = stage.broker_with_queue().await;
    submit(&outside, &queue, &requests("p", 1)).await;
    let url = services.rabbitmq().encrypted_url();
    // This machine does not know who has signed the broker's certificate.
    let Err(error) = Broker::connect(&url.parse().unwrap()).await else { panic!("an unknown broker was trusted") };
    assert!(error.to_string().contains("certificate"), "{error}");
    let trusting = [("SSL_CERT_FILE", services.rabbitmq().certificate())];
    let holder = Helper::start_with(&["hold-claim", &url, &queue.to_string()], &trusting);
    holder.wait_for_line("held");
}

fn restart_during_submission(service: PrivateRabbitMq) {
    const REQUESTS: usize = 8000;
    let service = Arc::new(service);
    fixture::play(async {
        let stage = BrokerFixture::at(service.url(), 0);
        let (broker, queue) = stage.broker_with_queue().await;
        service.remember_queues();
        let sent = requests("p", REQUESTS);
        let submissions: Vec<_> = sent.iter().map(|request| fixture::to(&queue, request.clone())).collect();
        let (mut shown, mut restart) = (0, None);
        let mut progress = |count| {
            shown = count;
            if count == 1000 {
                // Here, so that it happens before the rest is confirmed.
                service.kill();
                let service = Arc::clone(&service);
                restart = Some(std::thread::spawn(move || service.start_again()));
            }
        };
        let error = broker.submit(&submissions, &[], &mut progress).await.unwrap_err();
        let restart = restart.unwrap();
        tokio::task::spawn_blocking(|| restart.join().unwrap()).await.unwrap();
        let BrokerError::Unconfirmed { confirmed, total, .. } = error else { panic!("{error}") };
        assert_eq!((confirmed, total), (shown, REQUESTS));
        let bodies = broker.contents(&queue, REQUESTS).await.unwrap().ready;
        assert!(bodies.len() >= confirmed, "{confirmed} were confirmed, {} are there", bodies.len());
        for (body, request) in bodies.iter().zip(&sent[..confirmed]) {
            assert_eq!(&Request::parse(body).unwrap(), request);
        }
    });
}

fn restart_during_delay(service: PrivateRabbitMq, end: fn(&RabbitMq), crash: bool, url: fn(&RabbitMq) -> String) {
    const REQUESTS: usize = 20;
    let service = Arc::new(service);
    fixture::play(async {
        let stage = BrokerFixture::at(url(&service), 0);
        let (broker, queue) = stage.broker_with_queue().await;
        service.remember_queues();
        let sent = requests("p", REQUESTS);
        submit(&broker, &queue, &sent).await;
        // All are taken before the first comes back.
        let mut claims = Vec::new();
        for _ in 0..REQUESTS {
            claims.push(take(&mut broker.slot(vec![queue.clone()]).await.unwrap()).await);
        }
        // Some are due while the broker is away, some after it has come back.
        for (number, claim) in claims.into_iter().enumerate() {
            let after = if number % 2 == 0 { 5 } else { 15 };
            claim.settle(later(after, Some(failed("no testbed", 1)), true)).await.unwrap();
        }
        let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
        let restarting = Arc::clone(&service);
        let restart = move || {
            end(&restarting);
            restarting.start_again();
        };
        tokio::task::spawn_blocking(restart).await.unwrap();
        let mut back = HashSet::new();
        while back.len() < REQUESTS {
            let claim = take(&mut slot).await;
            let uuid = claim.request.as_ref().unwrap().uuid().unwrap().clone();
            // A broker that crashes may have forgotten that a request has left its queue: that copy is one too many.
            let delayed = (claim.attempt, claim.failures.len()) == (2, 1);
            assert!(delayed || crash, "attempt {} of {uuid} came back", claim.attempt);
            claim.settle(Settlement::Done).await.unwrap();
            assert!(!delayed || back.insert(uuid.clone()), "{uuid} was delayed once, and came back twice");
        }
        stage.is_empty(&broker, &queue).await;
    });
}

/// What dead workers held goes back while the broker starts, when the queue that it goes to may have no leader yet.
fn restart_after_death(service: PrivateRabbitMq) {
    const REQUESTS: usize = 20;
    let service = Arc::new(service);
    fixture::play(async {
        let stage = BrokerFixture::at(service.quorum_url(), 0);
        let (broker, queue) = stage.broker_with_queue().await;
        submit(&broker, &queue, &requests("p", REQUESTS)).await;
        let worker = stage.broker().await;
        let mut claims = Vec::new();
        for _ in 0..REQUESTS {
            claims.push(take(&mut worker.slot(vec![queue.clone()]).await.unwrap()).await);
        }
        service.remember_queues();
        let restarting = Arc::clone(&service);
        // The workers never come back.
        let died = tokio::task::spawn_blocking(move || restarting.stop());
        died.await.unwrap();
        std::mem::forget(claims);
        worker.close().await;
        let starting = Arc::clone(&service);
        tokio::task::spawn_blocking(move || starting.start_again()).await.unwrap();
        let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
        let mut back = HashSet::new();
        while back.len() < REQUESTS {
            let claim = take(&mut slot).await;
            assert_eq!(claim.attempt, 2);
            assert!(back.insert(claim.request.as_ref().unwrap().uuid().unwrap().clone()), "it came back twice");
            claim.settle(Settlement::Done).await.unwrap();
        }
        stage.is_empty(&broker, &queue).await;
    });
}

fn restart_during_claim(service: PrivateRabbitMq, end: fn(&RabbitMq)) {
    let service = Arc::new(service);
    fixture::play(async {
        let stage = BrokerFixture::at(service.url(), 0);
        let (broker, queue) = stage.broker_with_queue().await;
        service.remember_queues();
        submit(&broker, &queue, &requests("p", 2)).await;
        let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
        let mut held = take(&mut slot).await;
        let mut settled_meanwhile = broker.slot(vec![queue.clone()]).await.unwrap();
        let settled_meanwhile = take(&mut settled_meanwhile).await;
        // An idle worker waits all the time, and must not run what is running already.
        let rival = stage.broker().await;
        let mut rivals_slot = rival.slot(vec![queue.clone()]).await.unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let rival = tokio::spawn(async move { rivals_slot.claim(Wait::ForOne, &stopped).await.unwrap() });

        let stopping = Arc::clone(&service);
        tokio::task::spawn_blocking(move || end(&stopping)).await.unwrap();
        let settlement = tokio::spawn(settled_meanwhile.settle(Settlement::Done));
        let starting = Arc::clone(&service);
        tokio::task::spawn_blocking(move || starting.start_again()).await.unwrap();
        settlement.await.unwrap().unwrap();
        eventually("the claim is announced again", async || {
            let state = broker.inspect(std::slice::from_ref(&queue)).await.ok()?.pop()?;
            (state.claimed == 1).then_some(())
        })
        .await;
        held.held().await.unwrap();
        held.settle(Settlement::Done).await.unwrap();
        // A copy that the broker took back says that it has been held before: the worker looks for its result.
        stop.cancel();
        if let Some(copy) = rival.await.unwrap() {
            assert!(copy.redelivered);
            copy.settle(Settlement::Done).await.unwrap();
        }
        let mut last = broker.slot(vec![queue.clone()]).await.unwrap();
        while let Some(copy) = last.claim(Wait::UntilEmpty, &CancellationToken::new()).await.unwrap() {
            assert!(copy.redelivered);
            copy.settle(Settlement::Done).await.unwrap();
        }
        stage.is_empty(&broker, &queue).await;
    });
}
