//! Stories about requests at RabbitMQ that share an id.

use super::*;

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let own = Arc::clone(services);
    vec![Trial::test("broker::ids::requests_that_share_an_id_hold_up_no_slot", move || {
        fixture::play(requests_that_share_an_id_hold_up_no_slot(&own));
        Ok(())
    })]
}

async fn requests_that_share_an_id_hold_up_no_slot(services: &Services) {
    let stage = BrokerFixture::set(services, Backend::RabbitMq);
    let (broker, queue) = stage.broker_with_queue().await;
    let first = requests("p", 1).remove(0);
    let id = first.uuid().unwrap().clone();
    let namesake = |package: &str| Request::parse(format!("{package} {{\"uuid\": \"{id}\"}}").as_bytes()).unwrap();
    let namesakes = [namesake("one"), namesake("two")];
    submit(&broker, &queue, std::slice::from_ref(&first)).await;
    let mut slot = broker.slot(vec![queue.clone()]).await.unwrap();
    let running = take(&mut slot).await;
    assert_eq!(running.request.as_ref().unwrap(), &first);
    submit(&broker, &queue, &namesakes).await;
    submit(&broker, &queue, &requests("q", 1)).await;
    // This slot shares the connection of the holder, and the other one does not.
    let mut near = broker.slot(vec![queue.clone()]).await.unwrap();
    assert_eq!(take_package(&mut near).await, "q0");
    submit(&broker, &queue, &[namesake("three")]).await;
    submit(&broker, &queue, &requests("r", 1)).await;
    let mut far = stage.broker().await.slot(vec![queue.clone()]).await.unwrap();
    assert_eq!(take_package(&mut far).await, "r0");
    let state = broker.inspect(std::slice::from_ref(&queue)).await.unwrap().remove(0);
    assert_eq!((state.claimed, state.ready + state.delayed), (1, 3), "they are in sight");
    running.settle(Settlement::Done).await.unwrap();
    let mut run = Vec::new();
    for _ in 0..3 {
        let claim = take(&mut far).await;
        let request = claim.request.clone().unwrap();
        assert_eq!((request.uuid(), claim.attempt), (Some(&id), 1), "it keeps its id, and waiting was no attempt");
        assert!(claim.redelivered);
        run.push(request.package().to_string());
        claim.settle(Settlement::Done).await.unwrap();
    }
    run.sort();
    assert_eq!(run, ["one", "three", "two"]);
    stage.is_empty(&broker, &queue).await;
}
