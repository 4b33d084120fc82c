//! How often messages of quorum queues were returned, and which numbers of returns were tried out.
//!
//! A listing is harmless if it was tried out that a message can be returned more often than any message of the queue
//! was. Observations and trials of one process are noted at the broker for all others.
//!
//! The notes are messages in two queues of our own: the name of a queue and the number of returns that must be tried
//! out before it is listed again; and trials. A short trial is made by each process. A long one takes seconds, so its
//! outcome is valid for all processes for a minute.

use std::collections::HashMap;
use std::time::Duration;

use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, ShortString};

use super::connection::Connection;
use super::error::AmqpError;
use super::kind_cache::{Kind, TrialSubject};
use super::message::persistent;
use super::{names, publish};

/// Numbers of returns that are tried out: the first sufficient one. A limit above the last one counts as none.
const TRIALS: [u32; 3] = [25, 100, 400];
/// Number of returns that messages must have left, of those that were tried out, before a longer trial is made.
///
/// This many processes may list the queue at the same time before one of them has noted that.
const RESERVE: u32 = 15;
/// Header of quorum queues: number of times that the message was returned.
const DELIVERY_COUNT: &str = "x-delivery-count";
/// Timeout for writing a note.
const NOTE_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum number of notes. There are fewer queues.
const MAX_NOTES: i32 = 10_000;
/// Maximum size of all notes, in bytes.
const MAX_BYTES: i32 = 1024 * 1024;

/// A queue for notes.
#[derive(Clone, Copy)]
pub(super) struct NoteQueue {
    pub(super) queue: &'static str,
    /// Time for which a note is valid, in milliseconds.
    ttl: i32,
}

/// Notes of a queue's name and a number, valid for a week. If messages wait for longer, they are noted again.
pub(super) const NEEDED: NoteQueue = NoteQueue { queue: names::RETURNS_NEEDED, ttl: 7 * 24 * 3_600_000 };
/// Notes of trials, in the form of [`shown`].
pub(super) const TRIED: NoteQueue = NoteQueue { queue: names::RETURNS_TRIED, ttl: 60_000 };

/// Number of returns that are tried out for messages that were never returned.
pub(super) const FIRST_TRIAL: u32 = TRIALS[0];
/// Maximum number of returns that are tried out.
pub(super) const LAST_TRIAL: u32 = TRIALS[TRIALS.len() - 1];

/// Returns how often a message was returned.
pub(super) fn count(message: &Delivery) -> u32 {
    let headers = message.properties.headers().as_ref();
    let count = match headers.and_then(|headers| headers.inner().get(DELIVERY_COUNT)) {
        Some(AMQPValue::LongLongInt(count)) => *count,
        Some(AMQPValue::LongInt(count)) => (*count).into(),
        Some(AMQPValue::LongUInt(count)) => (*count).into(),
        Some(AMQPValue::ShortInt(count)) => (*count).into(),
        Some(AMQPValue::ShortUInt(count)) => (*count).into(),
        Some(AMQPValue::ShortShortInt(count)) => (*count).into(),
        Some(AMQPValue::ShortShortUInt(count)) => (*count).into(),
        _ => 0,
    };
    // Any client can publish a message with any number.
    u32::try_from(count.max(0)).unwrap_or(u32::MAX)
}

/// Returns how many returns must be tried out before messages that were returned this often may be listed.
fn trial_for(count: u32) -> u32 {
    TRIALS.into_iter().find(|returns| count.saturating_add(RESERVE) <= *returns).unwrap_or(LAST_TRIAL)
}

/// Returns the text of a trial's note.
pub(super) fn shown((queue, limit, returns): &TrialSubject) -> String {
    let limit = limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
    format!("{queue} {limit} {returns}")
}

/// Notes how many returns held messages need, before they are returned.
///
/// On failure, this process knows the number all the same. A process that is killed while it holds them notes nothing.
pub(super) async fn note_needed(connection: &Connection, queue: &ShortString, messages: &[Delivery]) {
    if !connection.kinds.are_returns_counted() {
        return;
    }
    let needed = trial_for(messages.iter().map(count).max().unwrap_or_default());
    if needed > connection.kinds.needed(queue).unwrap_or(FIRST_TRIAL) {
        connection.kinds.note_needed(queue, needed);
        NEEDED.note(connection, &format!("{queue} {needed}")).await;
    }
}

/// Notes that the message stayed in this trial.
pub(super) async fn note_tried(connection: &Connection, trial: &TrialSubject) {
    TRIED.note(connection, &shown(trial)).await;
}

impl NoteQueue {
    async fn note(self, connection: &Connection, note: &str) {
        // Workers may be waiting for messages that are held meanwhile.
        match tokio::time::timeout(NOTE_TIMEOUT, self.write(connection, note)).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::debug!("{note:?} is not noted in {}: {fault}", self.queue),
            Err(_) => tracing::debug!("{note:?} is not noted in {}: no answer", self.queue),
        }
    }

    async fn write(self, connection: &Connection, note: &str) -> Result<(), AmqpError> {
        // A connection that lists queues must not publish: while an alarm is on, the broker would read nothing more
        // from it.
        let (publishing, channel) = connection.publishing_channel().await?;
        let written = async {
            tokio::select! {
                alarm = publishing.blocked() => Err(alarm),
                written = async {
                    self.declare(&channel).await?;
                    publish::confirmed(&channel, self.queue.into(), note.as_bytes(), persistent()).await
                } => written,
            }
        };
        let written = publishing.with_timeout(written).await;
        publishing.close(&channel).await;
        written
    }

    /// Creates the queue if it does not exist. Returns whether there are notes, also when another process holds them.
    pub(super) async fn declare(self, channel: &Channel) -> Result<bool, AmqpError> {
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        let mut arguments = Kind::CLASSIC.arguments();
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(MAX_NOTES));
        arguments.insert("x-max-length-bytes".into(), AMQPValue::LongInt(MAX_BYTES));
        arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(self.ttl));
        let queue = channel.queue_declare(self.queue.into(), options, arguments).await?;
        Ok(queue.message_count() > 0 || queue.consumer_count() > 0)
    }
}

/// Parses notes: returns the largest number for each queue. Other texts are ignored.
pub(super) fn parse_needed(notes: &[String]) -> HashMap<String, u32> {
    let mut needed = HashMap::new();
    for (queue, returns) in notes.iter().filter_map(|note| note.rsplit_once(' ')) {
        let Ok(returns) = returns.parse::<u32>() else { continue };
        let highest = needed.entry(queue.to_owned()).or_default();
        *highest = returns.min(LAST_TRIAL).max(*highest);
    }
    needed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_tried_out_before_the_limit_of_the_trial_is_near() {
        for (count, returns) in [(0, 25), (10, 25), (11, 100), (85, 100), (86, 400), (385, 400), (u32::MAX, 400)] {
            assert_eq!(trial_for(count), returns, "{count}");
        }
    }

    #[test]
    fn the_largest_note_of_a_queue_counts_and_strange_ones_do_not() {
        let notes = ["q 100", "q 400", "q 100", "r 25", "x", "q many", "r -1", "s 4294967295", ""].map(str::to_owned);
        let mut needed: Vec<_> = parse_needed(&notes).into_iter().collect();
        needed.sort();
        assert_eq!(needed, [("q".to_owned(), 400), ("r".to_owned(), 25), ("s".to_owned(), LAST_TRIAL)]);
    }
}
