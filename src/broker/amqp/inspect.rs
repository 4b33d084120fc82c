//! State and messages of queues for operators. Every message returns to its place.

use futures_util::future::try_join_all;
use futures_util::try_join;
use lapin::message::Delivery;
use lapin::types::ShortString;

use super::browse::BrowsedMessages;
use super::claim_registry::HeldClaim;
use super::connection::{Connection, Connector};
use super::error::AmqpError;
use super::message::text_header;
use super::queue_probe::QueueProbe;
use super::{browsable, delay, holder_query, names};
use crate::broker::{DeadLetter, Opaque, QueueContents, QueueState};
use crate::release::QueueName;
use crate::request::Request;

/// Number of queues that are asked for at the same time. A question about a queue that does not exist costs a channel.
const CONCURRENCY: usize = 8;

/// Treatment of queues that do not exist.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AbsentQueues {
    /// Each is asked for each time.
    AskedFor,
    /// The queues belong to the site: each is asked for once in a while, and, with `may_create`, created the first
    /// time.
    OfSite { may_create: bool },
}

/// Returns the state of those of the queues that exist.
pub(super) async fn states(
    connector: &Connector,
    connection: &Connection,
    queues: &[QueueName],
    absent: AbsentQueues,
) -> Result<Vec<QueueState>, AmqpError> {
    let lanes = queues.chunks(queues.len().div_ceil(CONCURRENCY).max(1)).map(|some| lengths(connection, some, absent));
    let (claims, lengths) = try_join!(claims(connector, connection), try_join_all(lanes))?;
    let mut states: Vec<QueueState> = lengths.into_iter().flatten().collect();
    let delayed = if states.is_empty() { Vec::new() } else { delay::waiting(connection).await? };
    for state in &mut states {
        let name = state.queue.to_string();
        state.claimed = claims.iter().filter(|claim| claim.origin == name).count() as u64;
        state.delayed = delayed.iter().filter(|message| message.routing_key.as_str() == name).count() as u64;
    }
    Ok(states)
}

/// Returns the state of the queues without claims and delayed requests, one queue after the other.
async fn lengths(
    connection: &Connection,
    queues: &[QueueName],
    absent: AbsentQueues,
) -> Result<Vec<QueueState>, AmqpError> {
    let mut probe = QueueProbe::on(connection);
    let mut states = Vec::new();
    for queue in queues {
        let name = names::short(queue);
        let lengths = match absent {
            AbsentQueues::AskedFor => probe.lengths(name.clone()).await?,
            AbsentQueues::OfSite { may_create } => probe.site_lengths(&name, may_create).await?,
        };
        let Some(lengths) = lengths else { continue };
        let mut opaque = None;
        let first = if lengths.ready == 0 {
            None
        } else {
            match browsable::check(connection, &name).await? {
                // The first message returns to its place at once.
                Ok(give_back) => BrowsedMessages::list(connection, name, 1, Some(give_back)).await?.pop(),
                Err(reason) => {
                    opaque = Some(reason);
                    None
                }
            }
        };
        let dead = probe.dead_lengths(queue).await?.map_or(0, |lengths| lengths.ready);
        let oldest = first.and_then(|message| Request::parse(&message.data).ok()?.submitted());
        let (ready, consumers) = (lengths.ready, lengths.consumers);
        states.push(QueueState {
            queue: queue.clone(),
            ready,
            consumers,
            claimed: 0,
            delayed: 0,
            dead,
            oldest,
            opaque,
        });
    }
    probe.end().await;
    Ok(states)
}

/// Returns the messages of a queue, at most `limit` of each kind; `None` when it does not exist.
pub(super) async fn contents(
    connector: &Connector,
    connection: &Connection,
    queue: &QueueName,
    limit: usize,
) -> Result<Option<QueueContents>, AmqpError> {
    let mut probe = QueueProbe::on(connection);
    let exists = probe.lengths(names::short(queue)).await?.is_some();
    let has_dead = exists && probe.dead_lengths(queue).await?.is_some_and(|lengths| lengths.ready > 0);
    probe.end().await;
    if !exists {
        return Ok(None);
    }
    let name = queue.to_string();
    let claimed = claims(connector, connection).await?.into_iter().filter(|claim| claim.origin == name);
    let delayed = delay::waiting(connection).await?.into_iter().filter(|message| message.routing_key.as_str() == name);
    let (ready, hidden) = peek(connection, names::short(queue), limit).await?;
    let (dead, hidden_dead) = match has_dead {
        true => peek(connection, names::dead_queue(queue), limit).await?,
        false => (Vec::new(), None),
    };
    Ok(Some(QueueContents {
        claimed: claimed.map(|claim| claim.body).take(limit).collect(),
        ready: ready.into_iter().map(|message| message.data).collect(),
        delayed: delayed.map(|message| message.data).take(limit).collect(),
        dead: dead
            .into_iter()
            .map(|message| DeadLetter { reason: text_header(&message.properties, names::REASON), body: message.data })
            .collect(),
        hidden,
        hidden_dead,
    }))
}

/// Returns the claims that holders report.
///
/// Users that may list queues, but not ask the holders, see the queues without claims.
async fn claims(connector: &Connector, connection: &Connection) -> Result<Vec<HeldClaim>, AmqpError> {
    match holder_query::ask_all(connector, connection).await {
        Err(fault @ (AmqpError::Refused(_) | AmqpError::Denied(_))) => {
            tracing::warn!("cannot query the workers for running tests: {fault}");
            Ok(Vec::new())
        }
        Ok(answers) => {
            if let Some(fault) = answers.incomplete {
                tracing::warn!("running tests may be missing: {fault}");
            }
            Ok(answers.claims)
        }
        Err(fault) => Err(fault),
    }
}

/// Lists the messages of a queue, at most `limit`, and returns each to its place, even when this process dies.
///
/// Returns no messages, but the reason, if listing would do harm. An empty queue can always be listed.
async fn peek(
    connection: &Connection,
    queue: ShortString,
    limit: usize,
) -> Result<(Vec<Delivery>, Option<Opaque>), AmqpError> {
    let mut probe = QueueProbe::on(connection);
    let is_empty = probe.lengths(queue.clone()).await?.is_none_or(|lengths| lengths.ready == 0);
    probe.end().await;
    if is_empty {
        return Ok((Vec::new(), None));
    }
    match browsable::check(connection, &queue).await? {
        Ok(give_back) => Ok((BrowsedMessages::list(connection, queue, limit, Some(give_back)).await?, None)),
        Err(opaque) => Ok((Vec::new(), Some(opaque))),
    }
}
