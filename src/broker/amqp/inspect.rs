//! What operators see: lengths, and a queue's messages, each of which goes back to its place.

use futures_util::future::try_join_all;
use futures_util::try_join;
use lapin::message::Delivery;
use lapin::types::ShortString;

use super::channel::in_time;
use super::connection::Live;
use super::fault::Fault;
use super::held::Held;
use super::message::text_header;
use super::queues::Looking;
use super::roll_call::{self, HeldClaim};
use super::{delay, names};
use crate::broker::{DeadLetter, QueueContents, QueueState};
use crate::release::QueueName;
use crate::request::Request;

/// So many queues are asked for at the same time. Asking for one that does not exist, as most queues of dead letters do not, costs a
/// channel.
const LANES: usize = 8;

/// The state of those of the queues that exist.
pub(super) async fn states(live: &Live, queues: &[QueueName]) -> Result<Vec<QueueState>, Fault> {
    let lanes = queues.chunks(queues.len().div_ceil(LANES).max(1)).map(|some| lengths(live, some));
    let told = async {
        // First what needs a publication: a broker whose memory runs out reads nothing more from who has published, and must not do that while
        // the delayed requests are in our hands.
        let claims = claims(live).await?;
        Ok((claims, delay::waiting(live).await?))
    };
    let ((claims, delayed), lengths) = try_join!(told, try_join_all(lanes))?;
    let mut states: Vec<QueueState> = lengths.into_iter().flatten().collect();
    for state in &mut states {
        let name = state.queue.to_string();
        state.claimed = claims.iter().filter(|claim| claim.origin == name).count() as u64;
        state.delayed = delayed.iter().filter(|message| message.routing_key.as_str() == name).count() as u64;
    }
    Ok(states)
}

/// What the broker tells of the queues one by one.
async fn lengths(live: &Live, queues: &[QueueName]) -> Result<Vec<QueueState>, Fault> {
    let mut looking = Looking::at(live);
    let mut states = Vec::new();
    for queue in queues {
        let name = names::short(queue);
        let Some(lengths) = looking.look(name.clone()).await? else { continue };
        // The first one goes back to its place at once.
        let first = if lengths.ready > 0 { peek(live, name, 1).await?.pop() } else { None };
        let dead = looking.look(names::dead_queue(queue)).await?.map_or(0, |lengths| lengths.ready);
        let oldest = first.and_then(|message| Request::parse(&message.data).ok()?.submitted());
        let (ready, consumers) = (lengths.ready, lengths.consumers);
        states.push(QueueState { queue: queue.clone(), ready, consumers, claimed: 0, delayed: 0, dead, oldest });
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
    match in_time(roll_call::ask_all(live)).await {
        Err(Fault::Refused(reason)) => {
            tracing::warn!("the workers cannot be asked what they hold: {reason}");
            Ok(Vec::new())
        }
        outcome => outcome,
    }
}

/// The messages of a queue, at most `limit`, each of which goes back to its place; also when this process dies.
async fn peek(live: &Live, queue: ShortString, limit: usize) -> Result<Vec<Delivery>, Fault> {
    Held::look(live, queue, limit, false).await
}
