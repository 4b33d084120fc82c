//! Answers to questions about claims.
//!
//! Claim queues cannot be listed over AMQP, so the holders of claims are asked. A question goes to every connection
//! with slots, and each answers with one message per claim, with the request as its body.
//!
//! The number of answering connections is known: each of them consumes from one queue, whose number of consumers the
//! broker reports. So a question for all claims ends with the last answer. Silence ends it, too: a holder may die while
//! it is asked, which the broker's number shows then. A holder that is still counted is only slow, and gets more time.
//!
//! Every client that may use the virtual host can answer as well. So answers are limited in number and size, an answer
//! counts only for the request that was asked for, and questions are answered only through RabbitMQ's own reply queue.

use std::sync::Arc;
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

use super::connection::{Connection, Connector};
use super::error::AmqpError;
use super::message::text_header;
use super::names;
use crate::broker::test_handle::CancelRequest;

/// Timeout for a question, however many answers come.
pub(super) const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum size of the questions that wait at the broker for a worker, in bytes.
const MAX_QUESTIONS: i32 = 1024 * 1024;
/// Maximum number of questions that a worker has received and not answered.
const QUESTIONS_PREFETCH: u16 = 16;

/// Answers questions on each connection of a client, as long as this value lives.
pub(super) struct QueryResponder {
    answering: JoinHandle<()>,
    /// Whether questions are received, or were found not to be.
    settled: watch::Receiver<bool>,
}

impl QueryResponder {
    pub(super) fn start(connector: Arc<Connector>) -> Self {
        let (settles, settled) = watch::channel(false);
        let answering = tokio::spawn(async move {
            while let Some(connection) = connector.persistently().await {
                if let Err(fault) = answer(&connector, &connection, &settles).await {
                    tracing::debug!("roll-calls are not answered for now: {fault}");
                }
                settles.send_replace(true);
                // After a refusal the connection is still alive: the pause prevents a tight loop.
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        Self { answering, settled }
    }

    /// Waits until questions are received, so that new claims can be reported.
    ///
    /// Returns also when they cannot be received, or when that takes long.
    pub(super) async fn settled(&self) {
        let mut settled = self.settled.clone();
        // The sender is gone when the client was closed: there is nothing to wait for.
        let _ = tokio::time::timeout(QUESTION_TIMEOUT, settled.wait_for(|settled| *settled)).await;
    }
}

impl Drop for QueryResponder {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

pub(super) async fn declare_exchange(channel: &Channel) -> Result<(), AmqpError> {
    let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
    channel.exchange_declare(names::ROLL_CALL.into(), ExchangeKind::Fanout, options, FieldTable::default()).await?;
    Ok(())
}

/// Declares the queue that counts answering connections, and returns their number.
pub(super) async fn declare_presence(channel: &Channel) -> Result<u64, AmqpError> {
    let options = QueueDeclareOptions { durable: true, auto_delete: true, ..Default::default() };
    let queue = channel.queue_declare(names::PRESENCE.into(), options, FieldTable::default()).await?;
    Ok(queue.consumer_count().into())
}

/// Answers questions until the connection is lost.
async fn answer(
    connector: &Connector,
    connection: &Connection,
    settles: &watch::Sender<bool>,
) -> Result<(), AmqpError> {
    let channel = connection.channel().await?;
    let (mut questions, _present) = connection.with_timeout(hear_questions(&channel)).await?;
    settles.send_replace(true);
    loop {
        let question = tokio::select! {
            question = questions.next() => question.transpose()?,
            fault = connection.ended() => return Err(fault),
        };
        let Some(question) = question else { return Ok(()) };
        question.acker.ack(BasicAckOptions::default()).await?;
        connection.with_timeout(reply(connector, connection, &channel, &question)).await?;
    }
}

/// Consumes questions, and is counted as an answering connection.
async fn hear_questions(channel: &Channel) -> Result<(lapin::Consumer, lapin::Consumer), AmqpError> {
    declare_exchange(channel).await?;
    let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length-bytes".into(), AMQPValue::LongInt(MAX_QUESTIONS));
    let queue = channel.queue_declare(ShortString::default(), options, arguments).await?.name().clone();
    let exchange = names::ROLL_CALL.into();
    let key = ShortString::default();
    channel.queue_bind(queue.clone(), exchange, key, QueueBindOptions::default(), FieldTable::default()).await?;
    // Each is acknowledged by itself, so that a surplus stays at the broker, also messages to the second queue, which
    // should be empty.
    let options = BasicConsumeOptions::default();
    let qos = BasicQosOptions { global: false };
    channel.basic_qos(QUESTIONS_PREFETCH, qos).await?;
    let questions = channel.basic_consume(queue, ShortString::default(), options, FieldTable::default()).await?;
    // The connection is counted only after it receives questions.
    declare_presence(channel).await?;
    channel.basic_qos(1, qos).await?;
    let presence = names::PRESENCE.into();
    let present = channel.basic_consume(presence, ShortString::default(), options, FieldTable::default()).await?;
    Ok((questions, present))
}

/// Answers a question.
async fn reply(
    connector: &Connector,
    connection: &Connection,
    channel: &Channel,
    question: &Delivery,
) -> Result<(), AmqpError> {
    let Some(reply_to) = question.properties.reply_to().clone() else { return Ok(()) };
    // Through any other queue, a client could make us publish where it must not.
    if !reply_to.as_str().starts_with(names::REPLY_TO) || !question.data.is_empty() {
        tracing::debug!("a question to {reply_to} is not answered");
        return Ok(());
    }
    let reply = async |headers: FieldTable, body: &[u8]| {
        let properties = BasicProperties::default().with_headers(headers);
        let options = BasicPublishOptions::default();
        channel.basic_publish(ShortString::default(), reply_to.clone(), options, body, properties).await
    };
    let cancelled = cancelled(connector, question);
    if connection.alarm().is_some() {
        // An answer would be sent after the alarm, when no client waits for it.
        return Ok(());
    }
    let wants_closing = !text_header(&question.properties, names::CLOSING).is_empty();
    if let Some(headers) = cancelled {
        if let Some(headers) = headers {
            reply(headers, &[]).await?;
        }
    } else {
        let of = text_header(&question.properties, names::UUID);
        for claim in connector.registry.held((!of.is_empty()).then_some(of.as_str())) {
            let mut headers = header(names::ORIGIN, claim.origin);
            if let Some(progress) =
                claim.progress.filter(|_| wants_closing).and_then(|progress| serde_json::to_string(&progress).ok())
            {
                headers.insert(names::PROGRESS.into(), AMQPValue::LongString(progress.into()));
            }
            reply(headers, &claim.body).await?;
        }
    }
    if wants_closing {
        let mut headers = header(names::CLOSING, "1".to_owned());
        headers.insert(names::SERVES.into(), AMQPValue::LongString(connector.registry.serves().into()));
        reply(headers, &[]).await?;
    }
    Ok(())
}

/// Cancels a test, if the question asks for that. The inner value is the answer, if the test is here.
fn cancelled(connector: &Connector, question: &Delivery) -> Option<Option<FieldTable>> {
    let request = text_header(&question.properties, names::CANCEL);
    if request.is_empty() {
        return None;
    }
    let answer = || {
        let request: CancelRequest = serde_json::from_str(&request).ok()?;
        let cancelled = serde_json::to_string(&connector.registry.cancel(&request)?).ok()?;
        let mut headers = header(names::CANCEL, cancelled);
        headers.insert(names::UUID.into(), AMQPValue::LongString(request.uuid.into()));
        Some(headers)
    };
    Some(answer())
}

pub(super) fn header(name: &str, text: String) -> FieldTable {
    let mut headers = FieldTable::default();
    headers.insert(name.into(), AMQPValue::LongString(text.into()));
    headers
}
