//! Who holds which request. Claim queues cannot be listed over AMQP, so the holders are asked: a question goes to every
//! connection with slots, and each answers with one message per claim that it holds, the request as its body.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::protocol::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};
use tokio::task::JoinHandle;

use super::connection::{Link, Live};
use super::fault::Fault;
use super::message::text_header;
use super::names;
use crate::release::QueueName;
use crate::request::RequestId;

/// Nobody answers for so long: everybody has answered who will.
const SILENCE: Duration = Duration::from_millis(250);
/// However many answers come, a question ends.
const LONGEST: Duration = Duration::from_secs(5);

/// The claims that are held, or about to be, through one link.
#[derive(Default)]
pub(super) struct Roll(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    next: u64,
    claims: BTreeMap<u64, Entry>,
}

struct Entry {
    uuid: Option<RequestId>,
    origin: QueueName,
    body: Vec<u8>,
    /// The channel on which the broker has given us our own, confirmed copy.
    copy: Option<Channel>,
}

/// A place on the roll. It is given up with this value.
pub(super) struct Place {
    link: Arc<Link>,
    key: u64,
}

/// One claim, as its holder tells.
pub(super) struct HeldClaim {
    /// The name of the queue that it came from.
    pub(super) origin: String,
    /// The request.
    pub(super) body: Vec<u8>,
}

impl Roll {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is held through this link.
    pub(super) fn is_empty(&self) -> bool {
        self.entries().claims.is_empty()
    }

    /// The claims that are held right now, or the one of a request. What counts is that the broker has our own copy: then
    /// another copy may be dropped. The channel's state is read here, not remembered: it follows the broker's word in the order
    /// in which the broker spoke, so a copy that went back before the question came is not claimed to be here.
    fn held(&self, of: Option<&str>) -> Vec<HeldClaim> {
        let entries = self.entries();
        let held = entries.claims.values().filter(|entry| {
            let asked_for = of.is_none_or(|of| entry.uuid.as_ref().is_some_and(|uuid| uuid.as_str() == of));
            asked_for && entry.copy.as_ref().is_some_and(|channel| channel.status().connected())
        });
        held.map(|entry| HeldClaim { origin: entry.origin.to_string(), body: entry.body.clone() }).collect()
    }
}

impl Place {
    /// A place for a claim. `None` when this process holds the request already, or is about to.
    pub(super) fn take(link: &Arc<Link>, uuid: Option<&RequestId>, origin: &QueueName, body: &[u8]) -> Option<Self> {
        let mut entries = link.roll.entries();
        if uuid.is_some() && entries.claims.values().any(|entry| entry.uuid.as_ref() == uuid) {
            return None;
        }
        let key = entries.next;
        entries.next += 1;
        let entry = Entry { uuid: uuid.cloned(), origin: origin.clone(), body: body.to_vec(), copy: None };
        entries.claims.insert(key, entry);
        Some(Self { link: Arc::clone(link), key })
    }

    /// From now on answers that the claim is held, by a copy on this channel; or, with `None`, no longer.
    pub(super) fn set_copy(&self, copy: Option<&Channel>) {
        if let Some(entry) = self.link.roll.entries().claims.get_mut(&self.key) {
            entry.copy = copy.cloned();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.link.roll.entries().claims.remove(&self.key);
    }
}

/// Answers roll-calls for a link as long as this value lives.
pub(super) struct Presence(JoinHandle<()>);

impl Presence {
    pub(super) fn start(link: Arc<Link>) -> Self {
        Self(tokio::spawn(async move {
            while let Some(live) = link.persistently().await {
                if let Err(fault) = answer(&link, &live).await {
                    tracing::debug!("roll-calls are not answered for now: {fault}");
                }
                // After a refusal the same connection is still there: no tight loop.
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }))
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn declare_exchange(channel: &Channel) -> Result<(), Fault> {
    let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
    channel.exchange_declare(names::ROLL_CALL.into(), ExchangeKind::Fanout, options, FieldTable::default()).await?;
    Ok(())
}

/// Answers until the connection is lost.
async fn answer(link: &Link, live: &Live) -> Result<(), Fault> {
    let channel = live.channel().await?;
    declare_exchange(&channel).await?;
    let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
    let queue = channel.queue_declare(ShortString::default(), options, FieldTable::default()).await?.name().clone();
    let exchange = names::ROLL_CALL.into();
    let key = ShortString::default();
    channel.queue_bind(queue.clone(), exchange, key, QueueBindOptions::default(), FieldTable::default()).await?;
    let mut questions = consume(&channel, queue).await?;
    while let Some(question) = questions.next().await {
        let question: Delivery = question?;
        let Some(reply_to) = question.properties.reply_to().clone() else { continue };
        let of = text_header(&question.properties, names::UUID);
        for claim in link.roll.held((!of.is_empty()).then_some(of.as_str())) {
            let mut headers = FieldTable::default();
            headers.insert(names::ORIGIN.into(), AMQPValue::LongString(claim.origin.into()));
            let properties = BasicProperties::default().with_headers(headers);
            let options = BasicPublishOptions::default();
            channel.basic_publish(ShortString::default(), reply_to.clone(), options, &claim.body, properties).await?;
        }
    }
    Ok(())
}

async fn consume(channel: &Channel, queue: ShortString) -> Result<lapin::Consumer, Fault> {
    let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
    Ok(channel.basic_consume(queue, ShortString::default(), options, FieldTable::default()).await?)
}

/// Asks every connection with slots which claims it holds.
pub(super) async fn ask_all(live: &Live) -> Result<Vec<HeldClaim>, Fault> {
    ask(live, None).await
}

/// Whether some living connection holds the request through a copy of its own.
pub(super) async fn is_held(live: &Live, uuid: &RequestId) -> Result<bool, Fault> {
    Ok(!ask(live, Some(uuid)).await?.is_empty())
}

async fn ask(live: &Live, uuid: Option<&RequestId>) -> Result<Vec<HeldClaim>, Fault> {
    let channel = live.channel().await?;
    declare_exchange(&channel).await?;
    let mut answers = consume(&channel, names::REPLY_TO.into()).await?;
    let mut headers = FieldTable::default();
    if let Some(uuid) = uuid {
        headers.insert(names::UUID.into(), AMQPValue::LongString(uuid.to_string().into()));
    }
    let properties = BasicProperties::default().with_reply_to(names::REPLY_TO.into()).with_headers(headers);
    let (exchange, key) = (names::ROLL_CALL.into(), ShortString::default());
    channel.basic_publish(exchange, key, BasicPublishOptions::default(), &[], properties).await?;
    let mut claims = Vec::new();
    let end = tokio::time::Instant::now() + LONGEST;
    loop {
        let silence = (tokio::time::Instant::now() + SILENCE).min(end);
        let Ok(answer) = tokio::time::timeout_at(silence, answers.next()).await else { break };
        let Some(answer) = answer.transpose()? else {
            return Err(Fault::Away("the connection was closed".to_owned()));
        };
        let origin = text_header(&answer.properties, names::ORIGIN);
        claims.push(HeldClaim { origin, body: answer.data });
        if uuid.is_some() {
            break;
        }
    }
    let _ = channel.close(200, "done".into()).await;
    Ok(claims)
}
