//! Who holds which request. Claim queues cannot be listed over AMQP, so the holders are asked: a question goes to every
//! connection with slots, and each answers with one message per claim that it holds, the request as its body.
//!
//! How many will answer is known before: each of them consumes from one queue of which the broker tells how many consumers it has. So a
//! question for all claims ends with the last answer. Silence ends it too: a holder may die while it is asked, which the broker's count then
//! shows. One that is still counted is only slow, and is given more time.
//!
//! Every client that may use the virtual host can answer as well. So answers are bounded in number and size, an answer counts only for
//! the request that was asked for, and a question is answered only to who asks through RabbitMQ's own reply queue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions,
};
use lapin::protocol::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::connection::{Link, Live};
use super::fault::Fault;
use super::message::text_header;
use super::names;
use crate::broker::contact::{Cancel, Cancelled, Contact, News};
use crate::release::QueueName;
use crate::request::RequestId;

/// However many answers come, a question ends.
pub(super) const LONGEST: Duration = Duration::from_secs(5);

/// Maximum size of the questions that wait at the broker for a worker, in bytes.
const MAX_QUESTIONS: i32 = 1024 * 1024;
/// Maximum number of questions that a worker has received and not answered.
const QUESTIONS_PREFETCH: u16 = 16;

/// The claims that are held, or about to be, through one link.
#[derive(Default)]
pub(super) struct Roll(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    next: u64,
    claims: BTreeMap<u64, Entry>,
    /// The queues that each slot serves.
    slots: BTreeMap<u64, Vec<QueueName>>,
}

/// What tells that a slot serves its queues, as long as this value lives.
pub(super) struct Serving {
    link: Arc<Link>,
    key: u64,
}

impl Serving {
    pub(super) fn start(link: &Arc<Link>, queues: &[QueueName]) -> Self {
        let mut entries = link.roll.entries();
        let key = entries.next;
        entries.next += 1;
        entries.slots.insert(key, queues.to_vec());
        drop(entries);
        Self { link: Arc::clone(link), key }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.link.roll.entries().slots.remove(&self.key);
    }
}

struct Entry {
    uuid: Option<RequestId>,
    origin: QueueName,
    body: Vec<u8>,
    /// The channel on which the broker has given us our own, confirmed copy.
    copy: Option<Channel>,
    /// What the worker tells of its test.
    contact: Option<Contact>,
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
    /// What its worker tells, if it does.
    pub(super) news: Option<News>,
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
        let tell = |entry: &Entry| HeldClaim {
            origin: entry.origin.to_string(),
            body: entry.body.clone(),
            news: entry.contact.as_ref().map(Contact::news),
        };
        held.map(tell).collect()
    }

    /// The names of the queues that the slots of this link serve, as a JSON list.
    fn serves(&self) -> String {
        let served: BTreeSet<String> = self.entries().slots.values().flatten().map(ToString::to_string).collect();
        serde_json::to_string(&served).unwrap_or_default()
    }

    /// Hands the wish to cancel a test to its worker. `None` when no such test is here.
    fn cancel(&self, wish: &Cancel) -> Option<Cancelled> {
        let contact = {
            let entries = self.entries();
            let mine = |entry: &&Entry| entry.uuid.as_ref().is_some_and(|uuid| uuid.as_str() == wish.uuid);
            entries.claims.values().find(mine)?.contact.clone()
        };
        // A worker that has just got the request has not begun with it: whoever asks again finds it ready.
        contact.map(|contact| contact.cancel(wish))
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
        let entry =
            Entry { uuid: uuid.cloned(), origin: origin.clone(), body: body.to_vec(), copy: None, contact: None };
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

/// Where a claim's worker says what its test does. It outlives its place without effect.
pub(super) struct Teller {
    link: Arc<Link>,
    key: u64,
}

impl Place {
    pub(super) fn teller(&self) -> Teller {
        Teller { link: Arc::clone(&self.link), key: self.key }
    }
}

impl Teller {
    pub(super) fn introduce(&self, contact: Contact) {
        if let Some(entry) = self.link.roll.entries().claims.get_mut(&self.key) {
            entry.contact = Some(contact);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.link.roll.entries().claims.remove(&self.key);
    }
}

/// Answers roll-calls for a link as long as this value lives.
pub(super) struct Presence {
    answering: JoinHandle<()>,
    /// Whether questions are heard, or it was seen that they cannot be.
    settled: watch::Receiver<bool>,
}

impl Presence {
    pub(super) fn start(link: Arc<Link>) -> Self {
        let (settles, settled) = watch::channel(false);
        let answering = tokio::spawn(async move {
            while let Some(live) = link.persistently().await {
                if let Err(fault) = answer(&link, &live, &settles).await {
                    tracing::debug!("roll-calls are not answered for now: {fault}");
                }
                settles.send_replace(true);
                // After a refusal the same connection is still there: no tight loop.
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        Self { answering, settled }
    }

    /// Waits until questions are heard, so that what is claimed from then on is told of; or it was seen that they cannot be, or take long.
    pub(super) async fn settled(&self) {
        let mut settled = self.settled.clone();
        // The other end goes away when the connection is closed for good: then there is nothing to wait for.
        let _ = tokio::time::timeout(LONGEST, settled.wait_for(|settled| *settled)).await;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

pub(super) async fn declare_exchange(channel: &Channel) -> Result<(), Fault> {
    let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
    channel.exchange_declare(names::ROLL_CALL.into(), ExchangeKind::Fanout, options, FieldTable::default()).await?;
    Ok(())
}

/// Declares the queue that tells how many connections answer, and gives their number.
pub(super) async fn declare_presence(channel: &Channel) -> Result<u64, Fault> {
    let options = QueueDeclareOptions { durable: true, auto_delete: true, ..Default::default() };
    let queue = channel.queue_declare(names::PRESENCE.into(), options, FieldTable::default()).await?;
    Ok(queue.consumer_count().into())
}

/// Answers until the connection is lost.
async fn answer(link: &Link, live: &Live, settles: &watch::Sender<bool>) -> Result<(), Fault> {
    let channel = live.channel().await?;
    let (mut questions, _present) = live.in_time(hear_questions(&channel)).await?;
    settles.send_replace(true);
    loop {
        let question = tokio::select! {
            question = questions.next() => question.transpose()?,
            fault = live.ended() => return Err(fault),
        };
        let Some(question) = question else { return Ok(()) };
        question.acker.ack(BasicAckOptions::default()).await?;
        live.in_time(reply(link, live, &channel, &question)).await?;
    }
}

/// Consumes questions, and is counted as one that does.
async fn hear_questions(channel: &Channel) -> Result<(lapin::Consumer, lapin::Consumer), Fault> {
    declare_exchange(channel).await?;
    let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length-bytes".into(), AMQPValue::LongInt(MAX_QUESTIONS));
    let queue = channel.queue_declare(ShortString::default(), options, arguments).await?.name().clone();
    let exchange = names::ROLL_CALL.into();
    let key = ShortString::default();
    channel.queue_bind(queue.clone(), exchange, key, QueueBindOptions::default(), FieldTable::default()).await?;
    // Acknowledged one by one: what comes too fast, or to the second queue, to which nobody has reason to publish, stays at the broker.
    let options = BasicConsumeOptions::default();
    let qos = BasicQosOptions { global: false };
    channel.basic_qos(QUESTIONS_PREFETCH, qos).await?;
    let questions = channel.basic_consume(queue, ShortString::default(), options, FieldTable::default()).await?;
    // Only now that this connection hears questions it counts as one that answers.
    declare_presence(channel).await?;
    channel.basic_qos(1, qos).await?;
    let presence = names::PRESENCE.into();
    let present = channel.basic_consume(presence, ShortString::default(), options, FieldTable::default()).await?;
    Ok((questions, present))
}

/// Answers one question.
async fn reply(link: &Link, live: &Live, channel: &Channel, question: &Delivery) -> Result<(), Fault> {
    let Some(reply_to) = question.properties.reply_to().clone() else { return Ok(()) };
    // With any other queue, who asks would have us publish where it may not.
    if !reply_to.as_str().starts_with(names::REPLY_TO) || !question.data.is_empty() {
        tracing::debug!("a question to {reply_to} is not answered");
        return Ok(());
    }
    let reply = async |headers: FieldTable, body: &[u8]| {
        let properties = BasicProperties::default().with_headers(headers);
        let options = BasicPublishOptions::default();
        channel.basic_publish(ShortString::default(), reply_to.clone(), options, body, properties).await
    };
    let cancelled = cancelled(link, question);
    if live.alarm().is_some() {
        // What is published now would be sent when nobody waits for it any more.
        return Ok(());
    }
    let wants_closing = !text_header(&question.properties, names::CLOSING).is_empty();
    if let Some(headers) = cancelled {
        if let Some(headers) = headers {
            reply(headers, &[]).await?;
        }
    } else {
        let of = text_header(&question.properties, names::UUID);
        for claim in link.roll.held((!of.is_empty()).then_some(of.as_str())) {
            let mut headers = header(names::ORIGIN, claim.origin);
            if let Some(news) = claim.news.filter(|_| wants_closing).and_then(|news| serde_json::to_string(&news).ok())
            {
                headers.insert(names::NEWS.into(), AMQPValue::LongString(news.into()));
            }
            reply(headers, &claim.body).await?;
        }
    }
    if wants_closing {
        let mut headers = header(names::CLOSING, "1".to_owned());
        headers.insert(names::SERVES.into(), AMQPValue::LongString(link.roll.serves().into()));
        reply(headers, &[]).await?;
    }
    Ok(())
}

/// Has a test cancelled, if that is what is asked. The inner value is the answer, if the test is here.
fn cancelled(link: &Link, question: &Delivery) -> Option<Option<FieldTable>> {
    let wish = text_header(&question.properties, names::CANCEL);
    if wish.is_empty() {
        return None;
    }
    let answer = || {
        let wish: Cancel = serde_json::from_str(&wish).ok()?;
        let cancelled = serde_json::to_string(&link.roll.cancel(&wish)?).ok()?;
        let mut headers = header(names::CANCEL, cancelled);
        headers.insert(names::UUID.into(), AMQPValue::LongString(wish.uuid.into()));
        Some(headers)
    };
    Some(answer())
}

pub(super) fn header(name: &str, text: String) -> FieldTable {
    let mut headers = FieldTable::default();
    headers.insert(name.into(), AMQPValue::LongString(text.into()));
    headers
}
