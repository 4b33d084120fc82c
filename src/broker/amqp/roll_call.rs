//! Who holds which request. Claim queues cannot be listed over AMQP, so the holders are asked: a question goes to every
//! connection with slots, and each answers with one message per claim that it holds, the request as its body.
//!
//! How many will answer is known before: each of them consumes from one queue of which the broker tells how many consumers it has. So a
//! question for all claims ends with the last answer. Silence ends it too: a holder may die while it is asked, which the broker's count then
//! shows. One that is still counted is only slow, and is given more time.

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
use lapin::{Channel, Confirmation, ExchangeKind};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::channel::{close, in_time};
use super::connection::{Link, Live};
use super::fault::Fault;
use super::message::text_header;
use super::names;
use super::queues::Looking;
use crate::broker::contact::{Cancel, Cancelled, Contact, News};
use crate::release::QueueName;
use crate::request::{Request, RequestId};

/// Nobody answers for so long: everybody has answered who will.
const SILENCE: Duration = Duration::from_millis(250);
/// A holder that the broker still counts is waited for through so many silences in a row: its host may be busy. It may also be frozen or cut
/// off, and then whoever asks must not wait for ever.
const SILENCES: u32 = 8;
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

async fn declare_exchange(channel: &Channel) -> Result<(), Fault> {
    let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
    channel.exchange_declare(names::ROLL_CALL.into(), ExchangeKind::Fanout, options, FieldTable::default()).await?;
    Ok(())
}

/// Answers until the connection is lost.
async fn answer(link: &Link, live: &Live, settles: &watch::Sender<bool>) -> Result<(), Fault> {
    let channel = live.channel().await?;
    declare_exchange(&channel).await?;
    let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
    let queue = channel.queue_declare(ShortString::default(), options, FieldTable::default()).await?.name().clone();
    let exchange = names::ROLL_CALL.into();
    let key = ShortString::default();
    channel.queue_bind(queue.clone(), exchange, key, QueueBindOptions::default(), FieldTable::default()).await?;
    let mut questions = consume(&channel, queue).await?;
    // Only now that this connection hears questions it counts as one that answers.
    let options = QueueDeclareOptions { durable: true, auto_delete: true, ..Default::default() };
    channel.queue_declare(names::PRESENCE.into(), options, FieldTable::default()).await?;
    let _present = consume(&channel, names::PRESENCE.into()).await?;
    settles.send_replace(true);
    while let Some(question) = questions.next().await {
        let question: Delivery = question?;
        let Some(reply_to) = question.properties.reply_to().clone() else { continue };
        let reply = async |headers: FieldTable, body: &[u8]| {
            let properties = BasicProperties::default().with_headers(headers);
            let options = BasicPublishOptions::default();
            channel.basic_publish(ShortString::default(), reply_to.clone(), options, body, properties).await
        };
        let wants_closing = !text_header(&question.properties, names::CLOSING).is_empty();
        let cancel = text_header(&question.properties, names::CANCEL);
        if cancel.is_empty() {
            let of = text_header(&question.properties, names::UUID);
            for claim in link.roll.held((!of.is_empty()).then_some(of.as_str())) {
                let mut headers = header(names::ORIGIN, claim.origin);
                if let Some(news) =
                    claim.news.filter(|_| wants_closing).and_then(|news| serde_json::to_string(&news).ok())
                {
                    headers.insert(names::NEWS.into(), AMQPValue::LongString(news.into()));
                }
                reply(headers, &claim.body).await?;
            }
        } else if let Ok(wish) = serde_json::from_str::<Cancel>(&cancel)
            && let Some(cancelled) = link.roll.cancel(&wish)
            && let Ok(cancelled) = serde_json::to_string(&cancelled)
        {
            reply(header(names::CANCEL, cancelled), &[]).await?;
        }
        if wants_closing {
            reply(header(names::CLOSING, "1".to_owned()), &[]).await?;
        }
    }
    Ok(())
}

fn header(name: &str, text: String) -> FieldTable {
    let mut headers = FieldTable::default();
    headers.insert(name.into(), AMQPValue::LongString(text.into()));
    headers
}

async fn consume(channel: &Channel, queue: ShortString) -> Result<lapin::Consumer, Fault> {
    let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
    Ok(channel.basic_consume(queue, ShortString::default(), options, FieldTable::default()).await?)
}

/// Asks every connection with slots which claims it holds, and what their tests do.
pub(super) async fn ask_all(live: &Live) -> Result<Vec<HeldClaim>, Fault> {
    let mut claims = Vec::new();
    let claim = |answer: Delivery| {
        let origin = text_header(&answer.properties, names::ORIGIN);
        let news = serde_json::from_str(&text_header(&answer.properties, names::NEWS)).ok();
        claims.push(HeldClaim { origin, body: answer.data, news });
        false
    };
    in_time(ask_everybody(live, FieldTable::default(), claim)).await?;
    Ok(claims)
}

/// Hands the wish to cancel a test to the worker that runs it.
pub(super) async fn cancel(live: &Live, wish: &Cancel) -> Result<Cancelled, Fault> {
    let mut outcome = Cancelled::NotFound;
    let wish = serde_json::to_string(wish).map_err(|error| Fault::Refused(error.to_string()))?;
    let heard = |answer: Delivery| match serde_json::from_str(&text_header(&answer.properties, names::CANCEL)) {
        Ok(cancelled) => {
            outcome = cancelled;
            true
        }
        Err(_) => false,
    };
    in_time(ask_everybody(live, header(names::CANCEL, wish), heard)).await?;
    Ok(outcome)
}

/// Asks, and hands on each answer until one of them is enough, or the last has come.
async fn ask_everybody(
    live: &Live,
    mut headers: FieldTable,
    mut is_enough: impl FnMut(Delivery) -> bool,
) -> Result<(), Fault> {
    let channel = live.confirming_channel().await?;
    declare_exchange(&channel).await?;
    let mut answers = consume(&channel, names::REPLY_TO.into()).await?;
    // Counted before the question: whoever is counted hears it.
    let holders = holders(live).await?;
    headers.insert(names::CLOSING.into(), AMQPValue::LongString("1".into()));
    let properties = BasicProperties::default().with_reply_to(names::REPLY_TO.into()).with_headers(headers);
    let (exchange, key) = (names::ROLL_CALL.into(), ShortString::default());
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let question = channel.basic_publish(exchange, key, options, &[], properties).await?;
    let nobody = matches!(question.await?, Confirmation::Ack(Some(_)));
    // Who hears the question without being counted is of an older version, or about to be counted: silence tells when it has answered.
    let expected = if holders == 0 && !nobody { u64::MAX } else { holders };
    let mut closings = 0;
    let mut silences = 0;
    let end = tokio::time::Instant::now() + LONGEST;
    while !nobody && closings < expected {
        let silence = (tokio::time::Instant::now() + SILENCE).min(end);
        let Ok(answer) = tokio::time::timeout_at(silence, answers.next()).await else {
            silences += 1;
            // Who came after the question does not answer it, who died does not either.
            let missing = self::holders(live).await?.min(holders) > closings;
            if missing && silences < SILENCES && tokio::time::Instant::now() < end {
                continue;
            }
            break;
        };
        silences = 0;
        let Some(answer) = answer.transpose()? else {
            return Err(Fault::Away("the connection was closed".to_owned()));
        };
        if !text_header(&answer.properties, names::CLOSING).is_empty() {
            closings += 1;
        } else if is_enough(answer) {
            break;
        }
    }
    close(&channel).await;
    Ok(())
}

/// How many connections answer questions.
async fn holders(live: &Live) -> Result<u64, Fault> {
    let mut looking = Looking::at(live);
    let queue = looking.look(names::PRESENCE.into()).await?;
    looking.end().await;
    Ok(queue.map_or(0, |queue| queue.consumers))
}

/// Whether some living connection holds the request through a copy of its own. A "no" proves nothing, so nobody says it: silence does.
/// The holder of another request with the same id does not count.
pub(super) async fn is_held(live: &Live, uuid: &RequestId, body: &[u8]) -> Result<bool, Fault> {
    let asked = Request::parse(body).ok();
    let is_same = |held: &[u8]| held == body || (asked.is_some() && Request::parse(held).ok() == asked);
    let channel = live.channel().await?;
    declare_exchange(&channel).await?;
    let mut answers = consume(&channel, names::REPLY_TO.into()).await?;
    let headers = header(names::UUID, uuid.to_string());
    let properties = BasicProperties::default().with_reply_to(names::REPLY_TO.into()).with_headers(headers);
    let (exchange, key) = (names::ROLL_CALL.into(), ShortString::default());
    channel.basic_publish(exchange, key, BasicPublishOptions::default(), &[], properties).await?;
    let held = loop {
        match tokio::time::timeout(SILENCE, answers.next()).await {
            Err(_) => break false,
            Ok(None) => return Err(Fault::Away("the connection was closed".to_owned())),
            Ok(Some(answer)) => {
                if is_same(&answer?.data) {
                    break true;
                }
            }
        }
    };
    let _ = channel.close(200, "done".into()).await;
    Ok(held)
}
