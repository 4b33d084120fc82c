//! Talking to the broker on a channel, and not for ever.

use std::time::Duration;

use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicQosOptions};

use super::fault::Fault;

/// The broker answers within milliseconds; when it has not after this time, the connection is as good as lost.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Others who look give back what they hold within moments. One that is frozen or cut off does not.
pub(super) const OTHERS_HOLD: Duration = Duration::from_secs(5);
/// How many unacknowledged deliveries a claim queue's consumer may have: the copy that is held and the one that renews it; and one more,
/// so that neither ever waits for the other.
pub(super) const PREFETCH: u16 = 3;

/// Acknowledges a delivery, and makes sure that the broker has seen it.
pub(super) async fn acknowledge(channel: &Channel, delivery: &Delivery) -> Result<(), Fault> {
    if !delivery.acker.ack(BasicAckOptions::default()).await? {
        return Err(Fault::Away("the delivery's channel was closed".to_owned()));
    }
    flush(channel).await
}

/// Returns when the broker has worked off everything that was sent on the channel: an acknowledgement has no answer of its
/// own, but the broker takes a channel's commands in order, and this one has an answer.
pub(super) async fn flush(channel: &Channel) -> Result<(), Fault> {
    let prefetch = channel.status().qos().prefetch_count.unwrap_or(PREFETCH);
    channel.basic_qos(prefetch, BasicQosOptions { global: false }).await?;
    Ok(())
}

/// Closes a channel; one that is closed already is fine.
pub(super) async fn close(channel: &Channel) {
    if channel.status().connected() {
        let _ = in_time(async { Ok(channel.close(200, "done".into()).await?) }).await;
    }
}

/// Bounds a conversation with the broker.
pub(super) async fn in_time<T>(conversation: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    match tokio::time::timeout(ANSWER_TIMEOUT, conversation).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Fault::Away(format!("no answer within {} seconds", ANSWER_TIMEOUT.as_secs()))),
    }
}
