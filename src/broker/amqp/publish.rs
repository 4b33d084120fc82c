//! Publishing so that nothing is lost in silence: persistent, mandatory, confirmed.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use futures_util::future::join_all;
use lapin::options::BasicPublishOptions;
use lapin::protocol::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Confirmation, PublisherConfirm};

use super::channel::flush;
use super::connection::{Link, Live};
use super::fault::Fault;
use super::message::persistent;
use super::names;
use crate::broker::BrokerError;
use crate::request::RequestId;
use crate::request::line::Submission;

/// How many publications may be without a confirmation at one time: enough to fill the way to the broker and back, and few
/// enough that the progress shown is true.
const WINDOW: usize = 512;
/// So many are handed over at once, to leave this machine together.
const BURST: usize = 25;
/// A broker that confirms nothing for so long counts as unreachable.
const PATIENCE: Duration = Duration::from_secs(10);

/// Publishes one message to a queue, through the default exchange, and waits until the broker answers for it.
pub(super) async fn confirmed(
    channel: &Channel,
    queue: ShortString,
    body: &[u8],
    properties: BasicProperties,
) -> Result<(), Fault> {
    to_exchange(channel, ShortString::default(), queue, body, properties).await
}

/// Publishes one message to an exchange, and waits until the broker answers for it.
pub(super) async fn to_exchange(
    channel: &Channel,
    exchange: ShortString,
    key: ShortString,
    body: &[u8],
    properties: BasicProperties,
) -> Result<(), Fault> {
    let name = if exchange.as_str().is_empty() { &key } else { &exchange }.to_string();
    let confirm = start(channel, exchange, key, body, properties).await?;
    verdict(confirm.await, &name)
}

/// Sends one message; the broker's answer comes later.
pub(super) async fn start(
    channel: &Channel,
    exchange: ShortString,
    key: ShortString,
    body: &[u8],
    properties: BasicProperties,
) -> Result<PublisherConfirm, Fault> {
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    Ok(channel.basic_publish(exchange, key, options, body, properties).await?)
}

/// What the broker's answer means.
pub(super) fn verdict(confirmation: lapin::Result<Confirmation>, queue: &str) -> Result<(), Fault> {
    match confirmation? {
        Confirmation::Ack(None) => Ok(()),
        // An unroutable message is confirmed too, with the message that came back.
        Confirmation::Ack(Some(_)) => Err(Fault::Missing(format!("the queue {queue} does not exist"))),
        Confirmation::Nack(_) => Err(Fault::Away(format!("the broker could not store a message for {queue}"))),
        Confirmation::NotRequested => Err(Fault::Refused("the channel has no publisher confirms".to_owned())),
    }
}

/// Publishes requests in order, with many on their way at a time. `progress` is told the length of the confirmed beginning.
pub(super) async fn submit(
    link: &Link,
    submissions: &[Submission],
    sent_before: &HashSet<RequestId>,
    progress: &mut (dyn FnMut(usize) + Send),
) -> Result<(), BrokerError> {
    let total = submissions.len();
    let live = link.publishing().await?;
    let channel = live.confirming_channel().await.map_err(|fault| link.error("open a channel", fault))?;
    let mut pipeline =
        Pipeline { live, channel, sent_before, waiting: VecDeque::new(), sent: 0, confirmed: 0, progress };
    let outcome = pipeline.run(submissions).await;
    let Pipeline { live, channel, sent, confirmed, .. } = pipeline;
    live.close(&channel).await;
    match outcome {
        Ok(()) => Ok(()),
        Err((Fault::Missing(_), submission)) if total == 1 => {
            Err(BrokerError::NoSuchQueue { queue: submission.queue.clone(), nearest: Vec::new() })
        }
        Err((fault @ Fault::Denied(_), _)) if confirmed == 0 => Err(link.error("submit requests", fault)),
        Err((fault, _)) => {
            let possible = sent.saturating_sub(confirmed);
            Err(BrokerError::Unconfirmed { confirmed, possible, total, reason: fault.to_string() })
        }
    }
}

/// A routing key that leads nowhere.
const NOWHERE: &str = "apt-ci.nowhere";

/// Makes sure that the broker takes what this user publishes: with a message that comes back, before one that counts is sent.
///
/// An alarm is told only to who has published something. Without this, a burst of requests would be on its way by then, and nobody
/// could say which of them are queued when the alarm is over.
pub(super) async fn probe(link: &Link) -> Result<(), BrokerError> {
    let live = link.publishing().await?;
    let probe = async {
        let channel = live.confirming_channel().await?;
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let (exchange, properties) = (ShortString::default(), BasicProperties::default());
        channel.basic_publish(exchange, NOWHERE.into(), options, &[], properties).await?.await?;
        // A broker whose alarm is on has blocked the connection by now, and does not answer any more.
        tokio::select! {
            alarm = live.blocked() => return Err(alarm),
            flushed = flush(&channel) => flushed?,
        }
        live.close(&channel).await;
        Ok(())
    };
    live.in_time(probe).await.map_err(|fault| link.error("submit requests", fault))
}

/// A request as a message. One that may have been sent before says so, and its result is looked for before it is run.
fn message(submission: &Submission, sent_before: &HashSet<RequestId>) -> (String, BasicProperties) {
    // Requests have their ids when they come from a command.
    let request = match submission.request.uuid() {
        Some(_) => Cow::Borrowed(&submission.request),
        None => Cow::Owned(submission.request.clone().identified()),
    };
    let mut properties = persistent();
    if let Some(uuid) = request.uuid() {
        properties = properties.with_message_id(uuid.as_str().into());
        if sent_before.contains(uuid) {
            let mut headers = FieldTable::default();
            headers.insert(names::MOVED.into(), AMQPValue::Boolean(true));
            properties = properties.with_headers(headers);
        }
    }
    (request.to_wire(), properties)
}

struct Pipeline<'a> {
    live: Live,
    channel: Channel,
    sent_before: &'a HashSet<RequestId>,
    waiting: VecDeque<(PublisherConfirm, &'a Submission)>,
    /// How many may have left this machine.
    sent: usize,
    confirmed: usize,
    progress: &'a mut (dyn FnMut(usize) + Send),
}

impl<'a> Pipeline<'a> {
    async fn run(&mut self, submissions: &'a [Submission]) -> Result<(), (Fault, &'a Submission)> {
        for burst in submissions.chunks(BURST) {
            while self.waiting.len() + burst.len() > WINDOW {
                self.confirm_one().await?;
            }
            if let Err(failed) = self.publish(burst).await {
                // What the broker has confirmed already counts, although the channel is gone.
                while !self.waiting.is_empty() {
                    self.confirm_one().await?;
                }
                return Err(failed);
            }
        }
        while !self.waiting.is_empty() {
            self.confirm_one().await?;
        }
        Ok(())
    }

    /// Sends some requests, in order. Sent one after the other, each would wait until the one before has left this machine.
    async fn publish(&mut self, burst: &'a [Submission]) -> Result<(), (Fault, &'a Submission)> {
        let messages: Vec<(String, BasicProperties)> =
            burst.iter().map(|submission| message(submission, self.sent_before)).collect();
        let publications = burst.iter().zip(&messages).map(|(submission, (wire, properties))| {
            let (exchange, key) = (ShortString::default(), names::short(&submission.queue));
            start(&self.channel, exchange, key, wire.as_bytes(), properties.clone())
        });
        self.sent += burst.len();
        // They are begun in their order, and what is begun is sent in that order.
        let sent = bounded(&self.live, async { Ok(join_all(publications).await) }).await;
        let sent = match (sent, burst.first()) {
            (Ok(sent), _) => sent,
            (Err(fault), Some(first)) => return Err((fault, first)),
            (Err(_), None) => return Ok(()),
        };
        for (publication, submission) in sent.into_iter().zip(burst) {
            self.waiting.push_back((publication.map_err(|fault| (fault, submission))?, submission));
        }
        Ok(())
    }

    async fn confirm_one(&mut self) -> Result<(), (Fault, &'a Submission)> {
        let Some((confirm, submission)) = self.waiting.pop_front() else { return Ok(()) };
        let queue = submission.queue.to_string();
        let outcome = bounded(&self.live, async { verdict(confirm.await, &queue) }).await;
        outcome.map_err(|fault| (fault, submission))?;
        self.confirmed += 1;
        (self.progress)(self.confirmed);
        Ok(())
    }
}

/// Waits for one answer of the broker, but not indefinitely.
async fn bounded<T>(live: &Live, answer: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    tokio::select! {
        biased;
        answer = answer => answer,
        // The first ones may be confirmed, or the alarm end, within a moment; but a submission does not wait for its end.
        () = tokio::time::sleep(PATIENCE) => Err(live.alarm().unwrap_or_else(|| {
            Fault::Away(format!("the broker sent no confirmation for {} seconds", PATIENCE.as_secs()))
        })),
        fault = live.ended() => Err(fault),
    }
}
