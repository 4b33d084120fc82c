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
use super::fault::Fault;
use super::message::Subject;
use super::{names, publish};
use crate::broker::ClaimStep;
use crate::request::RequestId;

/// Interval between renewals of a copy.
///
/// The broker closes a channel on which a delivery stays unacknowledged for longer than `consumer_timeout`. Clients
/// cannot read that value, and sites set it as low as 20 seconds.
pub(super) const RENEW_EVERY: Duration = Duration::from_secs(10);

/// A copy that the broker has stored, confirmed and delivered to us.
pub(super) struct Copy {
    pub(super) queue: ClaimQueue,
    delivery: Delivery,
}

impl Copy {
    /// Stores a copy in this claim queue.
    ///
    /// On failure the channel is closed, and a copy that was stored goes to the origin.
    pub(super) async fn make(mut queue: ClaimQueue, subject: &Subject) -> Result<Self, Fault> {
        let ClaimQueue { name, channel, consumer, locks, .. } = &mut queue;
        match locks.live.in_time_after_alarm(publish_and_receive(channel, name, consumer, subject)).await {
            Ok(delivery) => {
                queue.log(subject).step(ClaimStep::Copied);
                Ok(Self { queue, delivery })
            }
            Err(fault) => {
                queue.log(subject).step(ClaimStep::Interrupted);
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
        subject: &Subject,
        (origin, taken): (&Channel, &Delivery),
        request: Option<&RequestId>,
    ) -> Result<(Self, bool), Fault> {
        let log = queue.log(subject);
        let ClaimQueue { name, channel, consumer, locks, .. } = &mut queue;
        let live = locks.live.clone();
        let copy = live.in_time_after_alarm(async {
            let delivery = publish_and_receive(channel, name, consumer, subject).await?;
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
                    Ok::<bool, Fault>(locked)
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
                queue.log(subject).step(ClaimStep::GivenBack);
                if perhaps_ours {
                    let _ = queue.locks.unlock(subject).await;
                }
                queue.close().await;
                Err(fault)
            }
        }
    }

    /// Replaces the copy by a fresh one, so that no delivery stays unacknowledged for long.
    ///
    /// While an alarm is on, this waits: the older copy is held as well.
    pub(super) async fn renew(&mut self, subject: &Subject) -> Result<(), Fault> {
        let live = self.queue.locks.live.clone();
        live.in_time_after_alarm(async {
            let ClaimQueue { name, channel, consumer, .. } = &mut self.queue;
            let fresh = publish_and_receive(channel, name, consumer, subject).await?;
            let older = std::mem::replace(&mut self.delivery, fresh);
            acknowledge(channel, &older).await
        })
        .await?;
        self.queue.log(subject).step(ClaimStep::Renewed);
        Ok(())
    }

    /// Moves the copy to another claim queue of the slot. It is stored there before it is removed here.
    pub(super) async fn move_to(&mut self, mut queue: ClaimQueue, subject: &Subject) -> Result<(), Fault> {
        let ClaimQueue { name, channel, consumer, locks, .. } = &mut queue;
        let fresh = locks.live.in_time_after_alarm(publish_and_receive(channel, name, consumer, subject)).await;
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
        self.queue.log(subject).step(ClaimStep::Renewed);
        Ok(())
    }

    /// Waits until the broker has ended the consumer, and returns the reason. Cancel-safe.
    ///
    /// It ends the consumer only when the connection or the channel is lost, or when the queue was deleted.
    pub(super) async fn broken(&mut self) -> String {
        match self.queue.consumer.next().await {
            Some(Err(error)) => super::fault::reason(&error),
            None => "the broker ended the consumer".to_owned(),
            // Only our own copies arrive here, and each is received where it is published.
            Some(Ok(_)) => "a copy came that was not expected".to_owned(),
        }
    }

    /// Removes the copy for good.
    pub(super) async fn acknowledge(&self) -> Result<(), Fault> {
        self.queue.locks.live.in_time_after_alarm(acknowledge(&self.queue.channel, &self.delivery)).await
    }

    /// Publishes a message on the copy's channel, and waits for the confirmation.
    pub(super) async fn publish(
        &self,
        queue: ShortString,
        body: &[u8],
        properties: lapin::BasicProperties,
    ) -> Result<(), Fault> {
        let publication = publish::confirmed(&self.queue.channel, queue, body, properties);
        self.queue.locks.live.in_time_after_alarm(publication).await
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
    subject: &Subject,
) -> Result<Delivery, Fault> {
    let origin = names::short(&subject.origin);
    let publication = publish::to_exchange(channel, name.clone(), origin, &subject.body, subject.properties());
    let delivery = async {
        match consumer.next().await {
            Some(delivery) => Ok(delivery?),
            None => Err(Fault::Away("the broker ended the consumer".to_owned())),
        }
    };
    // The broker delivers the copy before it confirms that it is stored on disk.
    let ((), delivery) = try_join(publication, delivery).await?;
    // Another request's copy comes only after an earlier failure. It goes to its own origin when the channel is closed.
    if delivery.data != subject.body || delivery.routing_key != names::short(&subject.origin) {
        return Err(Fault::Away("a copy came that was not expected".to_owned()));
    }
    Ok(delivery)
}
