//! Publishing without silent losses: persistent, mandatory, confirmed.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use futures_util::future::join_all;
use lapin::options::BasicPublishOptions;
use lapin::protocol::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Confirmation, PublisherConfirm};

use super::channel::flush;
use super::connection::{Connection, Connector};
use super::error::AmqpError;
use super::message::persistent;
use super::names;
use crate::broker::BrokerError;
use crate::request::RequestId;
use crate::request::line::Submission;

/// Maximum number of publications without a confirmation.
///
/// It is enough to use the connection fully, and small enough that the shown progress is true.
const MAX_UNCONFIRMED: usize = 512;
/// Number of publications that are sent together.
const BATCH_SIZE: usize = 25;
/// Timeout for a confirmation, after which the broker counts as unreachable.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);

/// Publishes a message to a queue, through the default exchange, and waits for the confirmation.
pub(super) async fn confirmed(
    channel: &Channel,
    queue: ShortString,
    body: &[u8],
    properties: BasicProperties,
) -> Result<(), AmqpError> {
    to_exchange(channel, ShortString::default(), queue, body, properties).await
}

/// Publishes a message to an exchange, and waits for the confirmation.
pub(super) async fn to_exchange(
    channel: &Channel,
    exchange: ShortString,
    key: ShortString,
    body: &[u8],
    properties: BasicProperties,
) -> Result<(), AmqpError> {
    let name = if exchange.as_str().is_empty() { &key } else { &exchange }.to_string();
    let confirm = start(channel, exchange, key, body, properties).await?;
    confirmation_result(confirm.await, &name)
}

/// Sends a message, and returns its confirmation that is to come.
pub(super) async fn start(
    channel: &Channel,
    exchange: ShortString,
    key: ShortString,
    body: &[u8],
    properties: BasicProperties,
) -> Result<PublisherConfirm, AmqpError> {
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    Ok(channel.basic_publish(exchange, key, options, body, properties).await?)
}

/// Returns the meaning of a confirmation.
pub(super) fn confirmation_result(confirmation: lapin::Result<Confirmation>, queue: &str) -> Result<(), AmqpError> {
    match confirmation? {
        Confirmation::Ack(None) => Ok(()),
        // An unroutable message is also confirmed, together with the returned message.
        Confirmation::Ack(Some(_)) => Err(AmqpError::Missing(format!("the queue {queue} does not exist"))),
        Confirmation::Nack(_) => {
            Err(AmqpError::Unreachable(format!("the broker could not store a message for {queue}")))
        }
        Confirmation::NotRequested => Err(AmqpError::Refused("the channel has no publisher confirms".to_owned())),
    }
}

/// Publishes requests in order, with several on their way at a time. `progress` gets the number of confirmed ones.
pub(super) async fn submit(
    connector: &Connector,
    submissions: &[Submission],
    sent_before: &HashSet<RequestId>,
    progress: &mut (dyn FnMut(usize) + Send),
) -> Result<(), BrokerError> {
    let total = submissions.len();
    let connection = connector.publishing().await?;
    let channel = connection.confirming_channel().await.map_err(|fault| connector.error("open a channel", fault))?;
    let mut pipeline =
        Pipeline { connection, channel, sent_before, waiting: VecDeque::new(), sent: 0, confirmed: 0, progress };
    let outcome = pipeline.run(submissions).await;
    let Pipeline { connection, channel, sent, confirmed, .. } = pipeline;
    connection.close(&channel).await;
    match outcome {
        Ok(()) => Ok(()),
        Err((AmqpError::Missing(_), submission)) if total == 1 => {
            Err(BrokerError::NoSuchQueue { queue: submission.queue.clone(), nearest: Vec::new() })
        }
        Err((fault @ AmqpError::Denied(_), _)) if confirmed == 0 => Err(connector.error("submit requests", fault)),
        Err((fault, _)) => {
            let possible = sent.saturating_sub(confirmed);
            Err(BrokerError::Unconfirmed { confirmed, possible, total, reason: fault.to_string() })
        }
    }
}

/// A routing key for which no queue exists.
const NOWHERE: &str = "apt-ci.nowhere";

/// Checks that the broker accepts messages of this user, with one that is returned.
///
/// RabbitMQ reports an alarm only to connections that have published. Without this check, many requests could be on
/// their way by then, and it would be unknown which of them are queued when the alarm is over.
pub(super) async fn probe(connector: &Connector) -> Result<(), BrokerError> {
    let connection = connector.publishing().await?;
    let probe = async {
        let channel = connection.confirming_channel().await?;
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let (exchange, properties) = (ShortString::default(), BasicProperties::default());
        channel.basic_publish(exchange, NOWHERE.into(), options, &[], properties).await?.await?;
        // A broker with an alarm has blocked the connection by now, and does not answer.
        tokio::select! {
            alarm = connection.blocked() => return Err(alarm),
            flushed = flush(&channel) => flushed?,
        }
        connection.close(&channel).await;
        Ok(())
    };
    connection.with_timeout(probe).await.map_err(|fault| connector.error("submit requests", fault))
}

/// Returns the body and properties of a request. One that may have been sent before is marked.
fn message(submission: &Submission, sent_before: &HashSet<RequestId>) -> (String, BasicProperties) {
    // Requests of commands have ids already.
    let request = match submission.request.uuid() {
        Some(_) => Cow::Borrowed(&submission.request),
        None => Cow::Owned(submission.request.clone().with_id()),
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
    connection: Connection,
    channel: Channel,
    sent_before: &'a HashSet<RequestId>,
    waiting: VecDeque<(PublisherConfirm, &'a Submission)>,
    /// Number of requests that may have left this machine.
    sent: usize,
    confirmed: usize,
    progress: &'a mut (dyn FnMut(usize) + Send),
}

impl<'a> Pipeline<'a> {
    async fn run(&mut self, submissions: &'a [Submission]) -> Result<(), (AmqpError, &'a Submission)> {
        for batch in submissions.chunks(BATCH_SIZE) {
            while self.waiting.len() + batch.len() > MAX_UNCONFIRMED {
                self.confirm_one().await?;
            }
            if let Err(failed) = self.publish(batch).await {
                // Confirmations that arrived before the channel was lost count.
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

    /// Sends some requests together, in order. Otherwise each would wait until the previous one has left this machine.
    async fn publish(&mut self, batch: &'a [Submission]) -> Result<(), (AmqpError, &'a Submission)> {
        let messages: Vec<(String, BasicProperties)> =
            batch.iter().map(|submission| message(submission, self.sent_before)).collect();
        let publications = batch.iter().zip(&messages).map(|(submission, (wire, properties))| {
            let (exchange, key) = (ShortString::default(), names::short(&submission.queue));
            start(&self.channel, exchange, key, wire.as_bytes(), properties.clone())
        });
        self.sent += batch.len();
        // Publications are sent in the order in which they are started.
        let sent = bounded(&self.connection, async { Ok(join_all(publications).await) }).await;
        let sent = match (sent, batch.first()) {
            (Ok(sent), _) => sent,
            (Err(fault), Some(first)) => return Err((fault, first)),
            (Err(_), None) => return Ok(()),
        };
        for (publication, submission) in sent.into_iter().zip(batch) {
            self.waiting.push_back((publication.map_err(|fault| (fault, submission))?, submission));
        }
        Ok(())
    }

    async fn confirm_one(&mut self) -> Result<(), (AmqpError, &'a Submission)> {
        let Some((confirm, submission)) = self.waiting.pop_front() else { return Ok(()) };
        let queue = submission.queue.to_string();
        let outcome = bounded(&self.connection, async { confirmation_result(confirm.await, &queue) }).await;
        outcome.map_err(|fault| (fault, submission))?;
        self.confirmed += 1;
        (self.progress)(self.confirmed);
        Ok(())
    }
}

/// Waits for one answer of the broker, with a timeout.
async fn bounded<T>(
    connection: &Connection,
    answer: impl Future<Output = Result<T, AmqpError>>,
) -> Result<T, AmqpError> {
    tokio::select! {
        biased;
        answer = answer => answer,
        // The first confirmations, or the end of an alarm, may come within a moment. A longer alarm is not waited for.
        () = tokio::time::sleep(CONFIRM_TIMEOUT) => Err(connection.alarm().unwrap_or_else(|| {
            AmqpError::Unreachable(format!("the broker sent no confirmation for {} seconds", CONFIRM_TIMEOUT.as_secs()))
        })),
        fault = connection.ended() => Err(fault),
    }
}
