//! Taking messages out of a queue for good, or to another one.

use std::collections::HashSet;

use futures_util::future::join_all;
use lapin::message::Delivery;
use lapin::types::ShortString;

use super::connection::{Link, Live};
use super::fault::Fault;
use super::held::{Copies, Held};
use super::message::{moved_properties, revived_properties, text_header};
use super::names;
use crate::broker::{BrokerError, Choice, DELAYS, Message, Pile};
use crate::release::QueueName;

/// See [`crate::broker::Broker::take_out`].
pub(super) async fn take_out(
    link: &Link,
    live: &Live,
    queue: &QueueName,
    pile: Pile,
    to: Option<&QueueName>,
    choice: Choice,
) -> Result<usize, BrokerError> {
    let error = |fault: Fault| link.error("take requests out of a queue", fault);
    let name = names::short(queue);
    let holders: Vec<ShortString> = match pile {
        Pile::Ready => vec![name.clone()],
        Pile::Delayed => DELAYS.into_iter().map(names::delay_queue).collect(),
        Pile::Dead => vec![names::dead_queue(queue)],
    };
    let mut all = Vec::new();
    let mut fault = None;
    // One after the other, and always in the same order: two who take from several would wait for each other.
    for holder in holders {
        let held = match pile {
            Pile::Delayed => Held::alone(live, holder, usize::MAX).await,
            Pile::Ready | Pile::Dead => Held::all(live, holder, usize::MAX).await,
        };
        match held {
            Ok(held) => all.push(held),
            Err(other) => {
                fault = Some(other);
                break;
            }
        }
    }
    let outcome = match fault {
        Some(fault) => Err(error(fault)),
        None => {
            // Requests of all origins share the delay queues.
            let ours = |message: &Delivery| pile != Pile::Delayed || message.routing_key == name;
            let properties = if pile == Pile::Dead { revived_properties } else { moved_properties };
            let copies = to.map(|queue| Copies { queue: names::short(queue), properties });
            choose_and_take(&all, ours, pile, copies, choice, error).await
        }
    };
    join_all(all.into_iter().map(Held::give_back)).await;
    outcome
}

async fn choose_and_take(
    all: &[Held],
    ours: impl Fn(&Delivery) -> bool,
    pile: Pile,
    copies: Option<Copies>,
    choice: Choice,
    error: impl Fn(Fault) -> BrokerError,
) -> Result<usize, BrokerError> {
    let mut places = Vec::new();
    let mut messages = Vec::new();
    for (number, held) in all.iter().enumerate() {
        for (index, message) in held.messages.iter().enumerate().filter(|(_, message)| ours(message)) {
            let reason = (pile == Pile::Dead).then(|| text_header(&message.properties, names::REASON));
            places.push((number, index));
            messages.push(Message { body: message.data.clone(), reason });
        }
    }
    if messages.is_empty() {
        return Ok(0);
    }
    let chosen = choice(&messages).map_err(|error| BrokerError::NotTaken(error.to_string()))?;
    let chosen: HashSet<usize> = chosen.into_iter().filter(|index| *index < places.len()).collect();
    for (number, held) in all.iter().enumerate() {
        let mine = places.iter().enumerate().filter(|(index, (holder, _))| *holder == number && chosen.contains(index));
        let indices: Vec<usize> = mine.map(|(_, (_, index))| *index).collect();
        held.take_out(&indices, copies.as_ref()).await.map_err(&error)?;
    }
    Ok(chosen.len())
}
