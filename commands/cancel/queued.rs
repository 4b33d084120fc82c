//! Requests that wait, and how they are taken out of their queues.

use apt_ci::broker::{Broker, BrokerError, Message, Pile, QueueContents};
use apt_ci::release::QueueName;
use apt_ci::request::Request;
use apt_ci::site::Site;

use crate::record::Record;

/// A request that no worker has.
pub struct Queued {
    pub request: Request,
    pub queue: QueueName,
    pile: Pile,
}

/// All requests that wait in the site's queues, or wait out a delay.
pub async fn all(broker: &Broker, site: &Site) -> anyhow::Result<Vec<Queued>> {
    let mut found = Vec::new();
    for state in broker.inspect(&site.queues()).await? {
        // Most queues are empty most of the time.
        if state.ready + state.delayed == 0 {
            continue;
        }
        let queue = state.queue;
        let QueueContents { ready, delayed, .. } = match broker.contents(&queue, usize::MAX).await {
            // Somebody deleted it meanwhile.
            Err(BrokerError::NoSuchQueue { .. }) => continue,
            other => other?,
        };
        for (bodies, pile) in [(ready, Pile::Ready), (delayed, Pile::Delayed)] {
            let requests = bodies.iter().filter_map(|body| Request::parse(body).ok());
            found.extend(requests.map(|request| Queued { request, queue: queue.clone(), pile }));
        }
    }
    Ok(found)
}

/// Takes a request out of its queue, once it is written down. False when it is not there any more.
pub async fn take_out(broker: &Broker, queued: &Queued, record: &Record) -> anyhow::Result<bool> {
    let Queued { request, queue, pile } = queued;
    let (request, record, of) = (request.clone(), record.clone(), queue.clone());
    let choice = move |messages: &[Message]| {
        let id = |message: &Message| Request::parse(&message.body).ok().and_then(|other| other.uuid().cloned());
        let places = messages.iter().enumerate().filter(|(_, message)| id(message).as_ref() == request.uuid());
        let places: Vec<usize> = places.map(|(place, _)| place).collect();
        if !places.is_empty() {
            record.add(&of, &[request.to_wire().as_bytes()])?;
        }
        Ok(places)
    };
    let taken = broker.take_out(queue, *pile, None, Box::new(choice)).await?;
    Ok(taken > 0)
}
