//! Removal of messages from a queue, for good or to another queue.
//!
//! The broker confirms acknowledgements before a quorum queue has received them, and drops some if the channel is
//! closed too early. So the queue is checked again, and messages that came back are removed again. If listing would do
//! harm, all messages are removed, with one acknowledgement.
//!
//! A call that was killed may have left a message in both queues. The next call finds the copy in the other queue, and
//! makes no second one.

use std::collections::{HashMap, HashSet};

use lapin::message::Delivery;
use lapin::types::ShortString;

use super::browse::BrowsedMessages;
use super::connection::{Connection, Connector};
use super::copy_publisher::CopyPublisher;
use super::error::AmqpError;
use super::kind_cache::ReturnMethod;
use super::message::{moved_properties, revived_properties, text_header};
use super::queue_probe::QueueProbe;
use super::{browsable, delay, names};
use crate::broker::take_out::Extent;
use crate::broker::{BrokerError, Message, MessageState, Selector};
use crate::release::QueueName;

/// Maximum number of checks for messages that came back to a quorum queue.
const MAX_ROUNDS: usize = 5;

/// Bodies of messages.
type Bodies = HashSet<Vec<u8>>;

/// For the body of each removed message, the number of equal ones that were to stay.
type KeptCounts = HashMap<Vec<u8>, usize>;

/// A removal of messages in one state from a queue.
struct Removal<'a> {
    connector: &'a Connector,
    connection: &'a Connection,
    queue: ShortString,
    state: MessageState,
    /// Queues that hold the messages, in the order in which every client takes from them.
    holders: Vec<ShortString>,
    /// How the remaining messages are returned. `None` for the delay queues.
    give_back: Option<ReturnMethod>,
}

/// Takes messages out: see [`crate::broker::Broker::take_out`] and [`crate::broker::Broker::take_everything`].
pub(super) async fn take_out(
    connector: &Connector,
    connection: &Connection,
    (queue, state): (&QueueName, MessageState),
    to: Option<&QueueName>,
    extent: Extent,
    selector: Selector,
) -> Result<usize, BrokerError> {
    let properties = if state == MessageState::Dead { revived_properties } else { moved_properties };
    let copies = match to {
        Some(queue) => Some(CopyPublisher::to(connector, names::short(queue), properties).await?),
        None => None,
    };
    let taken = take(connector, connection, (queue, state), copies.as_ref(), extent, selector).await;
    if let Some(copies) = copies {
        copies.end().await;
    }
    taken
}

async fn take(
    connector: &Connector,
    connection: &Connection,
    (queue, state): (&QueueName, MessageState),
    copies: Option<&CopyPublisher>,
    extent: Extent,
    selector: Selector,
) -> Result<usize, BrokerError> {
    let error = |fault: AmqpError| connector.error("take requests out of a queue", fault);
    let name = names::short(queue);
    let holders = match state {
        MessageState::Ready => vec![name.clone()],
        MessageState::Delayed => delay::all_queues(connection).await.map_err(error)?,
        MessageState::Dead => vec![names::dead_queue(queue)],
    };
    let Some(give_back) = way_to_give_back(connection, state, &holders, extent).await.map_err(error)? else {
        return Ok(0);
    };
    let give_back = give_back.map_err(|opaque| BrokerError::Opaque(Box::new(opaque)))?;
    let is_certain = match (state, give_back) {
        // Some of the queues are quorum queues.
        (MessageState::Delayed, _) => false,
        (_, Some(ReturnMethod::Close)) => true,
        _ => extent == Extent::Everything,
    };
    let removal = Removal { connector, connection, queue: name, state, holders, give_back };
    let (count, kept) = removal.first(copies, extent, selector).await?;
    if !is_certain && count > 0 {
        removal.again(&kept).await?;
    }
    Ok(count)
}

/// Returns how the remaining messages of these queues are returned, or the reason why none can be removed.
///
/// `None` when there are no messages.
async fn way_to_give_back(
    connection: &Connection,
    state: MessageState,
    holders: &[ShortString],
    extent: Extent,
) -> Result<Option<Result<Option<ReturnMethod>, crate::broker::Opaque>>, AmqpError> {
    let [holder] = holders else { return Ok(Some(Ok(None))) };
    if state == MessageState::Delayed {
        return Ok(Some(Ok(None)));
    }
    let mut probe = QueueProbe::on(connection);
    let is_empty = probe.lengths(holder.clone()).await?.is_none_or(|lengths| lengths.ready == 0);
    probe.end().await;
    if is_empty {
        return Ok(None);
    }
    Ok(Some(match extent {
        Extent::Everything => Ok(Some(browsable::least_harmful(connection, holder).await?)),
        Extent::Some => browsable::check(connection, holder).await?.map(Some),
    }))
}

/// Returns the bodies of the waiting requests; none if the queue cannot be listed. Workers detect duplicates then.
async fn bodies_in(connection: &Connection, queue: ShortString) -> Result<Bodies, AmqpError> {
    let mut probe = QueueProbe::on(connection);
    let is_empty = probe.lengths(queue.clone()).await?.is_none_or(|lengths| lengths.ready == 0);
    probe.end().await;
    if is_empty {
        return Ok(Bodies::new());
    }
    let Ok(give_back) = browsable::check(connection, &queue).await? else { return Ok(Bodies::new()) };
    let messages = BrowsedMessages::list(connection, queue, usize::MAX, Some(give_back)).await?;
    Ok(messages.into_iter().map(|message| message.data).collect())
}

impl Removal<'_> {
    fn error(&self, fault: AmqpError) -> BrokerError {
        let action = match fault {
            // Only copies need room at the broker.
            AmqpError::Blocked(_) => "copy all of the requests",
            _ => "take requests out of a queue",
        };
        self.connector.error(action, fault)
    }

    /// Returns whether a message is of this queue: requests of all origins share the delay queues.
    fn is_ours(&self, message: &Delivery) -> bool {
        self.state != MessageState::Delayed || message.routing_key == self.queue
    }

    /// Holds all messages, one queue after the other.
    ///
    /// The order is always the same, because two clients that hold some of the queues would wait for each other.
    async fn hold(&self) -> Result<Vec<BrowsedMessages>, BrokerError> {
        let mut all = Vec::new();
        for holder in &self.holders {
            let held = match self.give_back {
                None => BrowsedMessages::alone(self.connection, holder.clone(), usize::MAX).await,
                Some(give_back) => BrowsedMessages::all(self.connection, holder.clone(), usize::MAX, give_back).await,
            };
            match held {
                Ok(held) => all.push(held),
                Err(fault) => {
                    give_back(all, &[]).await;
                    return Err(self.error(fault));
                }
            }
        }
        Ok(all)
    }

    /// Removes the selected messages. Returns their number, and the equal ones that stay.
    async fn first(
        &self,
        copies: Option<&CopyPublisher>,
        extent: Extent,
        selector: Selector,
    ) -> Result<(usize, KeptCounts), BrokerError> {
        let all = self.hold().await?;
        let mut removed = vec![0; all.len()];
        let outcome = self.choose_and_take(&all, copies, extent, selector, &mut removed).await;
        give_back(all, &removed).await;
        outcome
    }

    async fn choose_and_take(
        &self,
        all: &[BrowsedMessages],
        copies: Option<&CopyPublisher>,
        extent: Extent,
        selector: Selector,
        removed: &mut [usize],
    ) -> Result<(usize, KeptCounts), BrokerError> {
        let mut places = Vec::new();
        let mut messages = Vec::new();
        for (number, held) in all.iter().enumerate() {
            for (index, message) in held.messages.iter().enumerate().filter(|(_, message)| self.is_ours(message)) {
                let reason =
                    (self.state == MessageState::Dead).then(|| text_header(&message.properties, names::REASON));
                places.push((number, index));
                messages.push(Message { body: message.data.clone(), reason });
            }
        }
        if messages.is_empty() {
            return Ok((0, KeptCounts::new()));
        }
        // A killed call may have copied some of these messages already.
        let there = match copies {
            Some(copies) => {
                bodies_in(self.connection, copies.queue.clone()).await.map_err(|fault| self.error(fault))?
            }
            None => Bodies::new(),
        };
        let chosen = selector(&messages).map_err(|error| BrokerError::NotTaken(error.to_string()))?;
        let chosen: HashSet<usize> = match extent {
            Extent::Some => chosen.into_iter().filter(|index| *index < places.len()).collect(),
            Extent::Everything => (0..places.len()).collect(),
        };
        for (number, held) in all.iter().enumerate() {
            let mine = places.iter().enumerate();
            let mine = mine.filter(|(index, (holder, _))| *holder == number && chosen.contains(index));
            let indices: Vec<usize> = mine.map(|(_, (_, index))| *index).collect();
            held.take_out(&indices, copies, &there).await.map_err(|fault| self.error(fault))?;
            removed[number] = indices.len();
        }
        let (mut kept, mut stays) = (KeptCounts::new(), Vec::new());
        for (index, message) in messages.into_iter().enumerate() {
            if chosen.contains(&index) {
                kept.insert(message.body, 0);
            } else {
                stays.push(message.body);
            }
        }
        for body in stays {
            kept.entry(body).and_modify(|count| *count += 1);
        }
        Ok((chosen.len(), kept))
    }

    /// Removes messages again that were removed and came back.
    async fn again(&self, kept: &KeptCounts) -> Result<(), BrokerError> {
        for _ in 0..MAX_ROUNDS {
            let all = self.hold().await?;
            let mut removed = vec![0; all.len()];
            let mut outcome = Ok(());
            let mut seen: HashMap<Vec<u8>, usize> = HashMap::new();
            for (number, held) in all.iter().enumerate() {
                let mut is_back = |message: &Delivery| {
                    let Some(kept) = kept.get(&message.data).filter(|_| self.is_ours(message)) else { return false };
                    let seen = seen.entry(message.data.clone()).or_default();
                    *seen += 1;
                    *seen > *kept
                };
                let back = held.messages.iter().enumerate().filter(|(_, message)| is_back(message));
                let indices: Vec<usize> = back.map(|(index, _)| index).collect();
                outcome = held.take_out(&indices, None, &Bodies::new()).await;
                removed[number] = indices.len();
                if outcome.is_err() {
                    break;
                }
            }
            give_back(all, &removed).await;
            outcome.map_err(|fault| self.error(fault))?;
            if removed.iter().all(|count| *count == 0) {
                return Ok(());
            }
        }
        let reason = "the requests came back to the queue each time".to_owned();
        Err(BrokerError::Refused { action: "take requests out of a queue".to_owned(), reason })
    }
}

/// Returns the remaining messages. `removed` has the number of removed ones in each queue.
async fn give_back(all: Vec<BrowsedMessages>, removed: &[usize]) {
    for (number, held) in all.into_iter().enumerate() {
        let kept = held.messages.len().saturating_sub(removed.get(number).copied().unwrap_or_default());
        held.give_back(kept).await;
    }
}
