//! Questions to all workers that hold claims, or about one request. [`super::query_responder`] has the protocol.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions};
use lapin::protocol::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Confirmation};

use super::channel::{close, with_timeout};
use super::claim_registry::HeldClaim;
use super::connection::{Connection, Connector};
use super::error::AmqpError;
use super::message::{size_of_table, text_header};
use super::names;
use super::query_responder::{QUESTION_TIMEOUT, declare_exchange, declare_presence, header};
use super::queue_probe::QueueProbe;
use crate::broker::test_handle::{CancelOutcome, CancelRequest};
use crate::request::{Request, RequestId};

/// Time without an answer after which all holders have replied that will.
const SILENCE_TIMEOUT: Duration = Duration::from_millis(250);
/// Number of such times in a row for a holder that the broker still counts.
///
/// Its host may be busy. It may also be frozen or cut off, so it is not waited for indefinitely.
const MAX_SILENCES: u32 = 8;
/// Time that the confirmation of a question may take after an alarm was reported.
const CONFIRMATION_DELAY: Duration = Duration::from_millis(500);
/// Number of connections on which a question is tried while an alarm is on.
const MAX_ATTEMPTS: u32 = 5;
/// Maximum number of answers to one question.
const MAX_ANSWERS: usize = 20_000;
/// Maximum size of an answer with its headers, in bytes. Larger ones are ignored.
const MAX_ANSWER: usize = 256 * 1024;
/// Maximum size of all answers to one question, in bytes.
const MAX_ANSWERED: usize = 64 * 1024 * 1024;

/// Consumes the answers to this channel. RabbitMQ's reply queue requires a consumer without acknowledgements.
async fn consume_answers(channel: &Channel) -> Result<lapin::Consumer, AmqpError> {
    let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
    let queue = names::REPLY_TO.into();
    Ok(channel.basic_consume(queue, ShortString::default(), options, FieldTable::default()).await?)
}

/// Answers of all holders to one question.
pub(super) struct Answers {
    /// Claims that are held.
    pub(super) claims: Vec<HeldClaim>,
    /// Names of the queues that are served. `None` when a worker has an older version that does not report them.
    pub(super) served: Option<HashSet<String>>,
    /// Reason why answers may be missing.
    pub(super) incomplete: Option<AmqpError>,
}

/// Asks every connection with slots for its claims, the progress of its tests, and the queues that it serves.
pub(super) async fn ask_all(connector: &Connector, connection: &Connection) -> Result<Answers, AmqpError> {
    let mut claims = Vec::new();
    let mut served = Some(HashSet::new());
    let heard = |answer: Answer| match answer {
        Answer::Closing(serves) => {
            served = served.take().zip(serves).map(|(mut served, serves)| {
                served.extend(serves);
                served
            });
            false
        }
        Answer::Message(answer) => {
            let origin = text_header(&answer.properties, names::ORIGIN);
            let progress = serde_json::from_str(&text_header(&answer.properties, names::PROGRESS)).ok();
            claims.push(HeldClaim { origin, body: answer.data, progress });
            false
        }
    };
    let incomplete = with_timeout(ask_everybody(connector, connection, FieldTable::default(), heard)).await?;
    Ok(Answers { claims, served, incomplete })
}

/// Passes a request to cancel a test to the worker that runs it.
///
/// # Errors
/// [`AmqpError::Blocked`] when an alarm prevents the workers from answering. The test may be cancelled all the same.
pub(super) async fn cancel(
    connector: &Connector,
    connection: &Connection,
    request: &CancelRequest,
) -> Result<CancelOutcome, AmqpError> {
    let mut outcome = None;
    let text = serde_json::to_string(request).map_err(|error| AmqpError::Refused(error.to_string()))?;
    let heard = |answer: Answer| {
        let Answer::Message(answer) = answer else { return false };
        if text_header(&answer.properties, names::UUID) == request.uuid
            && let Ok(cancelled) = serde_json::from_str(&text_header(&answer.properties, names::CANCEL))
        {
            outcome = Some(cancelled);
        }
        outcome.is_some()
    };
    let incomplete = with_timeout(ask_everybody(connector, connection, header(names::CANCEL, text), heard)).await?;
    match (outcome, incomplete) {
        (Some(outcome), _) => Ok(outcome),
        (None, Some(fault @ AmqpError::Blocked(_))) => Err(fault),
        (None, _) => Ok(CancelOutcome::NotFound),
    }
}

/// An answer to a question to all holders.
enum Answer {
    Message(Box<Delivery>),
    /// The last answer of a holder, with the queues that it serves, if it reports them.
    Closing(Option<Vec<String>>),
}

/// Asks all holders, and passes on each answer until one is enough or the last has come.
///
/// Returns the reason why answers may be missing.
async fn ask_everybody(
    connector: &Connector,
    connection: &Connection,
    headers: FieldTable,
    mut is_enough: impl FnMut(Answer) -> bool,
) -> Result<Option<AmqpError>, AmqpError> {
    let Question { asking, channel, mut answers, holders, nobody } = ask(connector, connection, headers).await?;
    // A holder that received the question but is not counted is older, or about to be counted. Silence ends the answers
    // then.
    let expected = if holders == 0 && !nobody { u64::MAX } else { holders };
    let mut closings = 0;
    let mut silences = 0;
    let mut bounds = AnswerLimits::default();
    let mut incomplete = None;
    let end = tokio::time::Instant::now() + QUESTION_TIMEOUT;
    while !nobody && closings < expected {
        let silence = (tokio::time::Instant::now() + SILENCE_TIMEOUT).min(end);
        let answer = tokio::select! {
            biased;
            answer = tokio::time::timeout_at(silence, answers.next()) => answer,
            fault = asking.ended() => return Err(fault),
        };
        let Ok(answer) = answer else {
            silences += 1;
            // Holders that came after the question do not answer it, nor do those that have died.
            let missing = self::holders(connection).await?.min(holders) > closings;
            let patience = if asking.alarm().is_some() { MAX_SILENCES / 4 } else { MAX_SILENCES };
            if missing && silences < patience && tokio::time::Instant::now() < end {
                continue;
            }
            if missing {
                incomplete =
                    Some(asking.alarm().unwrap_or(AmqpError::Unreachable("some workers do not answer".to_owned())));
            }
            break;
        };
        silences = 0;
        let Some(answer) = answer.transpose()? else {
            return Err(AmqpError::Unreachable("the connection was closed".to_owned()));
        };
        match bounds.admits(&answer) {
            Admission::Answer => {}
            Admission::Ignored => continue,
            Admission::TooMuch => {
                tracing::warn!("the workers sent implausibly many answers; ignoring the rest");
                incomplete = Some(AmqpError::Refused("too many answers".to_owned()));
                break;
            }
        }
        let is_last = if text_header(&answer.properties, names::CLOSING).is_empty() {
            is_enough(Answer::Message(Box::new(answer)))
        } else {
            closings += 1;
            is_enough(Answer::Closing(serde_json::from_str(&text_header(&answer.properties, names::SERVES)).ok()))
        };
        if is_last {
            break;
        }
    }
    asking.close(&channel).await;
    Ok(incomplete)
}

/// A question that was sent to all holders.
struct Question {
    asking: Connection,
    channel: Channel,
    answers: lapin::Consumer,
    /// Number of holders just before the question.
    holders: u64,
    /// Whether the broker had nobody to pass the question to.
    nobody: bool,
}

/// Sends a question to all holders.
///
/// Publications share a connection. While an alarm is on, the broker reads nothing more from it after the first one. If
/// another one comes before the question, the question is sent again on a new connection. The first copy stays unread,
/// and may arrive when the alarm is over. A repeated question does no harm then; a repeated cancellation might.
///
/// # Errors
/// [`AmqpError::Blocked`] when the question could not be sent because of an alarm.
async fn ask(connector: &Connector, connection: &Connection, mut headers: FieldTable) -> Result<Question, AmqpError> {
    let mut attempts = if headers.contains_key(names::CANCEL) { 1 } else { MAX_ATTEMPTS };
    headers.insert(names::CLOSING.into(), AMQPValue::LongString("1".into()));
    let _turn = connector.questions.lock().await;
    loop {
        // The question needs a connection that publishes. This one must still be able to list queues while an alarm is
        // on.
        let (asking, channel) = connector.publishing_channel().await?;
        let headers = headers.clone();
        let question = async {
            declare_exchange(&channel).await?;
            let answers = consume_answers(&channel).await?;
            // Counted before the question, so that every counted holder receives it.
            let holders = holders(connection).await?;
            let properties = BasicProperties::default().with_reply_to(names::REPLY_TO.into()).with_headers(headers);
            let (exchange, key) = (names::ROLL_CALL.into(), ShortString::default());
            let options = BasicPublishOptions { mandatory: true, ..Default::default() };
            // Messages without a body are the only ones that a broker accepts while an alarm is on.
            let confirmation = channel.basic_publish(exchange, key, options, &[], properties).await?.await?;
            Ok((answers, holders, matches!(confirmation, Confirmation::Ack(Some(_)))))
        };
        let asked = tokio::select! {
            biased;
            asked = question => asked,
            fault = asking.ended() => Err(fault),
            alarm = stays_unread(&asking) => {
                attempts -= 1;
                if attempts > 0 {
                    continue;
                }
                Err(alarm)
            }
        };
        return asked.map(|(answers, holders, nobody)| Question { asking, channel, answers, holders, nobody });
    }
}

/// Waits until an alarm is on that keeps the broker from reading a question.
///
/// The question itself may be the first publication: then the broker has read it, and still confirms it.
async fn stays_unread(asking: &Connection) -> AmqpError {
    loop {
        asking.blocked().await;
        tokio::time::sleep(CONFIRMATION_DELAY).await;
        if let Some(alarm) = asking.alarm() {
            return alarm;
        }
    }
}

/// Number and size of the answers to one question.
#[derive(Default)]
struct AnswerLimits {
    answers: usize,
    bytes: usize,
}

enum Admission {
    Answer,
    /// The answer does not come from a worker.
    Ignored,
    /// No more answers are accepted.
    TooMuch,
}

impl AnswerLimits {
    fn admits(&mut self, answer: &Delivery) -> Admission {
        self.answers += 1;
        let bytes = answer.data.len() + answer.properties.headers().as_ref().map_or(0, size_of_table);
        self.bytes += bytes;
        if self.answers > MAX_ANSWERS || self.bytes > MAX_ANSWERED {
            Admission::TooMuch
        } else if bytes > MAX_ANSWER {
            Admission::Ignored
        } else {
            Admission::Answer
        }
    }
}

/// Returns the number of connections that answer questions.
async fn holders(connection: &Connection) -> Result<u64, AmqpError> {
    let channel = connection.channel().await?;
    // Declared, not asked for: the broker logs each question about a queue that does not exist as an error.
    match connection.with_timeout(declare_presence(&channel)).await {
        // A user without the permission to create it can still ask for it.
        Err(AmqpError::Denied(_)) => {
            let mut probe = QueueProbe::on(connection);
            let queue = probe.lengths(names::PRESENCE.into()).await?;
            probe.end().await;
            Ok(queue.map_or(0, |queue| queue.consumers))
        }
        holders => {
            close(&channel).await;
            holders
        }
    }
}

/// Claim of a living connection under the id of a request, with a copy of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// The request itself.
    Request,
    /// Another request with the same id.
    Namesake,
    /// Unknown: no holder has answered, which proves nothing.
    Unknown,
}

/// Asks for the holder of a request, or of another one with its id.
pub(super) async fn holder(connection: &Connection, uuid: &RequestId, body: &[u8]) -> Result<Holder, AmqpError> {
    let asked = Request::parse(body).ok();
    let channel = connection.channel().await?;
    declare_exchange(&channel).await?;
    let mut answers = consume_answers(&channel).await?;
    let headers = header(names::UUID, uuid.to_string());
    let properties = BasicProperties::default().with_reply_to(names::REPLY_TO.into()).with_headers(headers);
    let (exchange, key) = (names::ROLL_CALL.into(), ShortString::default());
    channel.basic_publish(exchange, key, BasicPublishOptions::default(), &[], properties).await?;
    let mut bounds = AnswerLimits::default();
    let end = tokio::time::Instant::now() + SILENCE_TIMEOUT;
    let mut holder = Holder::Unknown;
    loop {
        let answer = match tokio::time::timeout_at(end, answers.next()).await {
            Err(_) => break,
            Ok(None) => return Err(AmqpError::Unreachable("the connection was closed".to_owned())),
            Ok(Some(answer)) => answer?,
        };
        match bounds.admits(&answer) {
            Admission::TooMuch => break,
            Admission::Answer if is_about(&answer, body, asked.as_ref()) => {
                holder = Holder::Request;
                break;
            }
            Admission::Answer => holder = Holder::Namesake,
            Admission::Ignored => {}
        }
    }
    close(&channel).await;
    Ok(holder)
}

/// Returns whether an answer is about the request with this body.
fn is_about(answer: &Delivery, body: &[u8], asked: Option<&Request>) -> bool {
    answer.data == body || (asked.is_some() && Request::parse(&answer.data).ok().as_ref() == asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &[u8]) -> Delivery {
        Delivery::mock(1, "".into(), "".into(), false, body.to_vec())
    }

    #[test]
    fn an_answer_counts_for_its_own_request_alone() {
        let request = Request::parse(b"gzip {\"triggers\": [\"a/1\"]}").unwrap().with_id();
        let body = request.to_wire().into_bytes();
        let id = request.uuid().unwrap();
        let alike = format!("gzip {{\"uuid\": \"{id}\", \"triggers\": [\"a/1\"]}}");
        assert!(is_about(&answer(&body), &body, Some(&request)));
        assert!(is_about(&answer(alike.as_bytes()), &body, Some(&request)));
        let other_test = format!("gzip {{\"uuid\": \"{id}\"}}");
        for other in [&b"gzip"[..], other_test.as_bytes(), b"%%%", b""] {
            assert!(!is_about(&answer(other), &body, Some(&request)));
        }
    }

    #[test]
    fn answers_are_bounded_one_by_one_and_in_all() {
        let mut bounds = AnswerLimits::default();
        assert!(matches!(bounds.admits(&answer(&vec![b'x'; MAX_ANSWER])), Admission::Answer));
        assert!(matches!(bounds.admits(&answer(&vec![b'x'; MAX_ANSWER + 1])), Admission::Ignored));
        let large = answer(&vec![b'x'; MAX_ANSWER]);
        let mut progress = answer(b"");
        progress.properties =
            BasicProperties::default().with_headers(header(names::PROGRESS, "x".repeat(MAX_ANSWER - 64)));
        let mut told = AnswerLimits::default();
        let admitted = (0..=MAX_ANSWERED / MAX_ANSWER).all(|_| matches!(told.admits(&progress), Admission::Answer));
        assert!(!admitted && told.bytes < MAX_ANSWERED + MAX_ANSWER, "headers count as well: {}", told.bytes);
        let taken = std::iter::repeat_with(|| bounds.admits(&large));
        let taken = taken.take_while(|admission| !matches!(admission, Admission::TooMuch)).count();
        assert!(taken <= MAX_ANSWERED / MAX_ANSWER);
        let mut bounds = AnswerLimits { answers: MAX_ANSWERS - 1, bytes: 0 };
        assert!(matches!(bounds.admits(&answer(b"")), Admission::Answer));
        assert!(matches!(bounds.admits(&answer(b"")), Admission::TooMuch));
    }
}
