//! Conversations with the broker on a channel, with timeouts.

use std::panic::Location;
use std::time::Duration;

use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicQosOptions};

use super::error::AmqpError;

/// Timeout for an answer of the broker, which usually takes milliseconds.
///
/// Without an answer, the connection counts as lost.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Timeout for other clients that hold messages or a queue. They need moments, unless they are frozen or cut off.
pub(super) const OTHER_HOLDER_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum number of unacknowledged deliveries of a claim queue's consumer.
///
/// These are the held copy, the one that replaces it, and one more, so that neither ever waits for the other.
pub(super) const PREFETCH: u16 = 3;

/// Acknowledges a delivery, and waits until the broker has processed that.
pub(super) async fn acknowledge(channel: &Channel, delivery: &Delivery) -> Result<(), AmqpError> {
    if !delivery.acker.ack(BasicAckOptions::default()).await? {
        return Err(AmqpError::Unreachable("the delivery's channel was closed".to_owned()));
    }
    flush(channel).await
}

/// Waits until the broker has processed everything that was sent on the channel.
///
/// An acknowledgement has no answer of its own. But the broker processes the commands of a channel in order, and
/// `basic.qos` has an answer.
pub(super) async fn flush(channel: &Channel) -> Result<(), AmqpError> {
    let prefetch = channel.status().qos().prefetch_count.unwrap_or(PREFETCH);
    channel.basic_qos(prefetch, BasicQosOptions { global: false }).await?;
    Ok(())
}

/// Closes a channel that may be closed already.
pub(super) async fn close(channel: &Channel) {
    if channel.status().connected() {
        let _ = with_timeout(async { Ok(channel.close(200, "done".into()).await?) }).await;
    }
}

/// Runs a conversation with the broker, with a timeout.
#[track_caller]
pub(super) fn with_timeout<T>(
    conversation: impl Future<Output = Result<T, AmqpError>>,
) -> impl Future<Output = Result<T, AmqpError>> {
    let caller = Location::caller();
    async move {
        match tokio::time::timeout(ANSWER_TIMEOUT, conversation).await {
            Ok(outcome) => outcome,
            Err(_) => Err(no_answer(caller)),
        }
    }
}

/// Returns the failure of a conversation that has timed out, and logs which one it was.
pub(super) fn no_answer(caller: &Location<'_>) -> AmqpError {
    tracing::debug!("the queue server gave no answer within {ANSWER_TIMEOUT:?} at {caller}");
    AmqpError::Unreachable(format!("no answer within {} seconds", ANSWER_TIMEOUT.as_secs()))
}
