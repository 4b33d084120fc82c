//! A worker's own copy of a request, in a claim queue from which only this worker consumes.
//!
//! The copy is delivered and stays unacknowledged as long as the claim lasts. If the worker dies, the broker returns
//! the copy to the claim queue, finds that it has outlived its time to live of zero, and moves it to the origin at
//! once.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{join, try_join};
use lapin::message::Delivery;
use lapin::types::ShortString;
use lapin::{Channel, Consumer};

use super::channel::acknowledge;
use super::claim_queue::ClaimQueue;
use super::error::AmqpError;
use super::message::ClaimedRequest;
use super::{names, publish};
use crate::broker::ClaimStep;
use crate::request::RequestId;

/// Interval between renewals of a copy.
///
/// The broker closes a channel on which a delivery stays unacknowledged for longer than `consumer_timeout`. Clients
/// cannot read that value, and sites set it as low as 20 seconds.
pub(super) const RENEW_INTERVAL: Duration = Duration::from_secs(10);

/// A copy that the broker has stored, confirmed and delivered to us.
pub(super) struct ClaimedMessage {
    pub(super) queue: ClaimQueue,
    delivery: Delivery,
}

impl ClaimedMessage {
    /// Stores a copy in this claim queue.
    ///
    /// On failure the channel is closed, and a copy that was stored goes to the origin.
    pub(super) async fn make(mut queue: ClaimQueue, claimed: &ClaimedRequest) -> Result<Self, AmqpError> {
        let ClaimQueue { name, channel, consumer, locks, .. } = &mut queue;
        match locks.connection.with_timeout_after_alarm(publish_and_receive(channel, name, consumer, claimed)).await {
            Ok(delivery) => {
                queue.log(claimed).step(ClaimStep::Copied);
                Ok(Self { queue, delivery })
            }
            Err(fault) => {
                queue.log(claimed).step(ClaimStep::Interrupted);
                queue.close().await;
                Err(fault)
            }
        }
    }

    /// Takes a request over: stores a copy, then acknowledges the origin's delivery.
    ///
    /// Meanwhile, requests the lock if there is an id, and returns whether the lock is ours. A slot that has the lock
    /// but no copy yet does not report the request as held, so other slots that have a copy keep it and wait. On
    /// failure the request goes back, perhaps twice: then both have the same id, and the attempts of one show that the
    /// other may have a result.
    pub(super) async fn take_over(
        mut queue: ClaimQueue,
        claimed: &ClaimedRequest,
        (origin, taken): (&Channel, &Delivery),
        request: Option<&RequestId>,
    ) -> Result<(Self, bool), AmqpError> {
        let log = queue.log(claimed);
        let ClaimQueue { name, channel, consumer, locks, .. } = &mut queue;
        let connection = locks.connection.clone();
        let copy = connection.with_timeout_after_alarm(async {
            let delivery = publish_and_receive(channel, name, consumer, claimed).await?;
            log.step(ClaimStep::Copied);
            acknowledge(origin, taken).await?;
            log.step(ClaimStep::Accepted);
            Ok(delivery)
        });
        let lock = async {
            match request {
                Some(request) => {
                    let locked = locks.lock(request).await?;
                    log.step(if locked { ClaimStep::Locked } else { ClaimStep::LockRefused });
                    Ok::<bool, AmqpError>(locked)
                }
                None => Ok(false),
            }
        };
        let (delivery, locked) = join(copy, lock).await;
        // The lock may be ours without our knowing: no other connection could run the request then.
        let perhaps_ours = request.is_some() && !matches!(locked, Ok(false));
        match delivery.and_then(|delivery| Ok((delivery, locked?))) {
            Ok((delivery, locked)) => Ok((Self { queue, delivery }, locked)),
            Err(fault) => {
                queue.log(claimed).step(ClaimStep::GivenBack);
                if perhaps_ours {
                    let _ = queue.locks.unlock(claimed).await;
                }
                queue.close().await;
                Err(fault)
            }
        }
    }

    /// Replaces the copy by a fresh one, so that no delivery stays unacknowledged for long.
    ///
    /// While an alarm is on, this waits: the older copy is held as well.
    pub(super) async fn renew(&mut self, claimed: &ClaimedRequest) -> Result<(), AmqpError> {
        let connection = self.queue.locks.connection.clone();
        connection
            .with_timeout_after_alarm(async {
                let ClaimQueue { name, channel, consumer, .. } = &mut self.queue;
                let fresh = publish_and_receive(channel, name, consumer, claimed).await?;
                let older = std::mem::replace(&mut self.delivery, fresh);
                acknowledge(channel, &older).await
            })
            .await?;
        self.queue.log(claimed).step(ClaimStep::Renewed);
        Ok(())
    }

    /// Moves the copy to another claim queue of the slot. It is stored there before it is removed here.
    pub(super) async fn move_to(&mut self, mut queue: ClaimQueue, claimed: &ClaimedRequest) -> Result<(), AmqpError> {
        let ClaimQueue { name, channel, consumer, locks, .. } = &mut queue;
        let fresh =
            locks.connection.with_timeout_after_alarm(publish_and_receive(channel, name, consumer, claimed)).await;
        let delivery = match fresh {
            Ok(delivery) => delivery,
            Err(fault) => {
                queue.close().await;
                return Err(fault);
            }
        };
        let former = std::mem::replace(self, Self { queue, delivery });
        let removed = former.acknowledge().await;
        former.close().await;
        removed?;
        self.queue.log(claimed).step(ClaimStep::Renewed);
        Ok(())
    }

    /// Waits until the broker has ended the consumer, and returns the reason. Cancel-safe.
    ///
    /// It ends the consumer only when the connection or the channel is lost, or when the queue was deleted.
    pub(super) async fn broken(&mut self) -> String {
        match self.queue.consumer.next().await {
            Some(Err(error)) => super::error::reason(&error),
            None => "the broker ended the consumer".to_owned(),
            // Only our own copies arrive here, and each is received where it is published.
            Some(Ok(_)) => "a copy came that was not expected".to_owned(),
        }
    }

    /// Removes the copy for good.
    pub(super) async fn acknowledge(&self) -> Result<(), AmqpError> {
        self.queue.locks.connection.with_timeout_after_alarm(acknowledge(&self.queue.channel, &self.delivery)).await
    }

    /// Publishes a message on the copy's channel, and waits for the confirmation.
    pub(super) async fn publish(
        &self,
        queue: ShortString,
        body: &[u8],
        properties: lapin::BasicProperties,
    ) -> Result<(), AmqpError> {
        let publication = publish::confirmed(&self.queue.channel, queue, body, properties);
        self.queue.locks.connection.with_timeout_after_alarm(publication).await
    }

    /// Closes the channel. A copy that is still unacknowledged goes to the origin.
    pub(super) async fn close(self) {
        self.queue.close().await;
    }
}

async fn publish_and_receive(
    channel: &Channel,
    name: &ShortString,
    consumer: &mut Consumer,
    claimed: &ClaimedRequest,
) -> Result<Delivery, AmqpError> {
    let origin = names::short(&claimed.origin);
    let publication = publish::to_exchange(channel, name.clone(), origin, &claimed.body, claimed.properties());
    let delivery = async {
        match consumer.next().await {
            Some(delivery) => Ok(delivery?),
            None => Err(AmqpError::Unreachable("the broker ended the consumer".to_owned())),
        }
    };
    // The broker delivers the copy before it confirms that it is stored on disk.
    let ((), delivery) = try_join(publication, delivery).await?;
    // Another request's copy comes only after an earlier failure. It goes to its own origin when the channel is closed.
    if delivery.data != claimed.body || delivery.routing_key != names::short(&claimed.origin) {
        return Err(AmqpError::Unreachable("a copy came that was not expected".to_owned()));
    }
    Ok(delivery)
}
