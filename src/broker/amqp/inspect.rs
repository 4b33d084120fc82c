//! What operators see: lengths, and a queue's messages, each of which goes back to its place.

use lapin::message::Delivery;
use lapin::options::BasicGetOptions;
use lapin::types::ShortString;

use super::channel::close;
use super::connection::Live;
use super::fault::Fault;
use super::message::text_header;
use super::queues::Looking;
use super::roll_call::{self, HeldClaim};
use super::{delay, names};
use crate::broker::{DeadLetter, QueueContents, QueueState};
use crate::release::QueueName;

/// The state of those of the queues that exist.
pub(super) async fn states(live: &Live, queues: &[QueueName]) -> Result<Vec<QueueState>, Fault> {
    let claims = claims(live).await?;
    let delayed = delay::waiting(live).await?;
    let mut looking = Looking::at(live);
    let mut states = Vec::new();
    for queue in queues {
        let Some(lengths) = looking.look(names::short(queue)).await? else { continue };
        let dead = looking.look(names::dead_queue(queue)).await?.map_or(0, |lengths| lengths.ready);
        let name = queue.to_string();
        states.push(QueueState {
            queue: queue.clone(),
            ready: lengths.ready,
            consumers: lengths.consumers,
            claimed: claims.iter().filter(|claim| claim.origin == name).count() as u64,
            delayed: delayed.iter().filter(|message| message.routing_key.as_str() == name).count() as u64,
            dead,
        });
    }
    looking.end().await;
    Ok(states)
}

/// A queue's messages, at most `limit` of each kind; `None` when it does not exist.
pub(super) async fn contents(live: &Live, queue: &QueueName, limit: usize) -> Result<Option<QueueContents>, Fault> {
    let mut looking = Looking::at(live);
    let exists = looking.look(names::short(queue)).await?.is_some();
    let has_dead = exists && looking.look(names::dead_queue(queue)).await?.is_some();
    looking.end().await;
    if !exists {
        return Ok(None);
    }
    let name = queue.to_string();
    let claimed = claims(live).await?.into_iter().filter(|claim| claim.origin == name);
    let delayed = delay::waiting(live).await?.into_iter().filter(|message| message.routing_key.as_str() == name);
    let dead = if has_dead { peek(live, names::dead_queue(queue), limit).await? } else { Vec::new() };
    Ok(Some(QueueContents {
        claimed: claimed.map(|claim| claim.body).take(limit).collect(),
        ready: peek(live, names::short(queue), limit).await?.into_iter().map(|message| message.data).collect(),
        delayed: delayed.map(|message| message.data).take(limit).collect(),
        dead: dead
            .into_iter()
            .map(|message| DeadLetter { reason: text_header(&message.properties, names::REASON), body: message.data })
            .collect(),
    }))
}

/// The claims that holders tell of. Users who may look at queues, but not ask the holders, see the queues all the same.
async fn claims(live: &Live) -> Result<Vec<HeldClaim>, Fault> {
    match roll_call::ask_all(live).await {
        Err(Fault::Refused(reason)) => {
            tracing::warn!("the workers cannot be asked what they hold: {reason}");
            Ok(Vec::new())
        }
        outcome => outcome,
    }
}

/// Takes up to `limit` messages and gives all of them back to their places, by closing the channel: also when this process dies.
pub(super) async fn peek(live: &Live, queue: ShortString, limit: usize) -> Result<Vec<Delivery>, Fault> {
    let channel = live.channel().await?;
    let mut messages = Vec::new();
    while messages.len() < limit {
        match channel.basic_get(queue.clone(), BasicGetOptions::default()).await.map_err(Fault::from) {
            Ok(Some(message)) => messages.push(message.delivery),
            // Somebody may have deleted the queue meanwhile.
            Ok(None) | Err(Fault::Missing(_)) => break,
            Err(fault) => return Err(fault),
        }
    }
    close(&channel).await;
    Ok(messages)
}
