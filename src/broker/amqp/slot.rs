//! A worker's place: it takes one request at a time, and holds none while it waits.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use futures_util::stream::{self, StreamExt};
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use tokio_util::sync::CancellationToken;

use super::connection::{Link, Live};
use super::copy::{self, Copy};
use super::fault::Fault;
use super::keeper::Keeper;
use super::lock::{self, Locking};
use super::message::Subject;
use super::roll_call::{Place, Presence};
use super::survey::Survey;
use super::{delay, names, queues};
use crate::broker::history::History;
use crate::broker::{BrokerError, Claim, Hold, Rotation, Wait};
use crate::release::QueueName;

/// After an outage, workers whose tests have gone on announce their claims again. An idle one leaves them so much time
/// before it takes requests: what it would take is most likely what they are running.
const AFTER_YOU: Duration = Duration::from_secs(5);
/// Between two attempts on a connection that is there.
const PAUSE: Duration = Duration::from_millis(500);
/// How often a slot looks that waits for nothing but requests that wait out a delay.
const LOOK_FOR_DELAYED_EVERY: Duration = Duration::from_secs(1);

/// A worker's place at RabbitMQ.
pub struct AmqpSlot {
    link: Arc<Link>,
    id: String,
    rotation: Rotation,
    survey: Survey,
    /// Where requests are taken. What is taken and not acknowledged goes back with it.
    channel: Option<Channel>,
    presence: Arc<Presence>,
}

/// A request that was taken from its queue and is not yet ours: the delivery is not acknowledged.
struct Taken {
    queue: QueueName,
    delivery: Delivery,
}

/// What became of a taken request.
enum Outcome {
    Claimed(Box<Claim>),
    /// Somebody else runs it.
    Duplicate,
    /// `stop` came first; it is back on its queue.
    Stopped,
}

impl AmqpSlot {
    pub(super) fn new(link: Arc<Link>, rotation: Rotation, presence: Arc<Presence>) -> Self {
        Self { link, id: names::slot_id(), rotation, survey: Survey::default(), channel: None, presence }
    }

    /// Claims the next request: see [`super::super::Slot::claim`].
    ///
    /// # Errors
    /// With [`Wait::UntilEmpty`], when the broker cannot be reached; otherwise only when it refuses for good.
    pub async fn claim(&mut self, wait: Wait, stop: &CancellationToken) -> Result<Option<Claim>, BrokerError> {
        let mut failures = 0;
        while !stop.is_cancelled() {
            let live = match wait {
                Wait::UntilEmpty => self.link.live().await?,
                Wait::ForOne => {
                    tokio::select! {
                        live = self.link.persistently() => match live {
                            Some(live) => live,
                            // The broker was closed: there is nothing to wait for.
                            None => return Ok(None),
                        },
                        () = stop.cancelled() => return Ok(None),
                    }
                }
            };
            if live.number > 1 {
                tokio::select! {
                    () = tokio::time::sleep_until(live.since + AFTER_YOU) => {}
                    () = stop.cancelled() => return Ok(None),
                }
            }
            let fault = match self.attempt(&live, wait, stop).await {
                Ok(claim) => return Ok(claim),
                Err(fault) => fault,
            };
            // What was taken goes back with the channel.
            if let Some(channel) = self.channel.take() {
                copy::close(&channel).await;
            }
            failures += 1;
            match fault {
                // A queue was deleted, or a broker came back without it.
                Fault::Missing(_) => {
                    let declared = queues::declare(&live, self.rotation.queues()).await;
                    declared.map_err(|fault| self.link.error("declare the queues", fault))?;
                }
                Fault::Away(reason) if wait == Wait::ForOne || failures < 2 => {
                    tracing::warn!("taking requests was interrupted: {reason}");
                }
                fault => return Err(self.link.error("hand out a request", fault)),
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(None)
    }

    async fn attempt(&mut self, live: &Live, wait: Wait, stop: &CancellationToken) -> Result<Option<Claim>, Fault> {
        loop {
            let channel = match self.channel.take() {
                Some(channel) if channel.status().connected() => channel,
                _ => live.channel().await?,
            };
            self.channel = Some(channel.clone());
            let Some(taken) = self.take(live, &channel, wait, stop).await? else { return Ok(None) };
            match self.secure(live, &channel, taken, stop).await? {
                Outcome::Claimed(claim) => return Ok(Some(*claim)),
                Outcome::Stopped => return Ok(None),
                Outcome::Duplicate => {}
            }
        }
    }

    /// Takes a request. While there is work, each queue has its turn; only when all are empty, the broker is asked to say
    /// when that changes.
    async fn take(
        &mut self,
        live: &Live,
        channel: &Channel,
        wait: Wait,
        stop: &CancellationToken,
    ) -> Result<Option<Taken>, Fault> {
        let rotation = self.rotation.clone();
        // What is on its way from its delay to its queue is in neither for a moment: empty is what was found empty twice.
        let mut empty = true;
        loop {
            let taken = tokio::select! {
                asking = rotation.asking() => {
                    let taken = self.ask(channel).await;
                    drop(asking);
                    taken?
                }
                () = stop.cancelled() => return Ok(None),
            };
            match (taken, wait) {
                (None, Wait::ForOne) => return self.wait(channel, stop).await,
                (None, Wait::UntilEmpty) => {
                    let delayed = delay::any_waiting(live, rotation.queues()).await?;
                    if !delayed && empty {
                        return Ok(None);
                    }
                    empty = !delayed;
                    tokio::select! {
                        () = tokio::time::sleep(LOOK_FOR_DELAYED_EVERY) => {}
                        () = stop.cancelled() => return Ok(None),
                    }
                    self.survey = Survey::default();
                }
                (taken, _) => return Ok(taken),
            }
        }
    }

    /// Asks the queues in the order of the rotation. Where nothing was found a moment ago nothing is looked for, until there
    /// is nothing elsewhere.
    async fn ask(&mut self, channel: &Channel) -> Result<Option<Taken>, Fault> {
        let Self { rotation, survey, .. } = self;
        let mut certain = false;
        if survey.is_outdated() {
            survey.make(channel, rotation.queues()).await?;
            certain = true;
        }
        loop {
            let next = rotation.order().into_iter().find(|index| survey.ready[*index] > 0);
            let out_of_turn = |index: usize| rotation.is_huge(index) && !rotation.huge_is_due();
            match next {
                None if certain => return Ok(None),
                // Before a bulk request is served because nothing else waits, that must be true.
                Some(index) if certain || !out_of_turn(index) => {
                    let queue = &rotation.queues()[index];
                    let message = channel.basic_get(names::short(queue), BasicGetOptions::default()).await?;
                    if let Some(message) = message {
                        survey.ready[index] -= 1;
                        rotation.served(index);
                        return Ok(Some(Taken { queue: queue.clone(), delivery: message.delivery }));
                    }
                    survey.ready[index] = 0;
                }
                _ => {
                    survey.make(channel, rotation.queues()).await?;
                    certain = true;
                }
            }
        }
    }

    /// Consumes from all queues until the first delivery, and gives back what comes beyond it.
    async fn wait(&mut self, channel: &Channel, stop: &CancellationToken) -> Result<Option<Taken>, Fault> {
        let _waiting = self.rotation.wait();
        channel.basic_qos(1, BasicQosOptions { global: false }).await?;
        let consumers = try_join_all(self.rotation.queues().iter().map(|queue| {
            let (tag, options) = (ShortString::default(), BasicConsumeOptions::default());
            channel.basic_consume(names::short(queue), tag, options, FieldTable::default())
        }));
        let consumers = consumers.await?;
        let tags: Vec<ShortString> = consumers.iter().map(lapin::Consumer::tag).collect();
        // The end of one of many streams would go unnoticed, so each says it.
        let each = consumers.into_iter().enumerate().map(|(index, consumer)| {
            let deliveries = consumer.map(move |delivery| Some((index, delivery)));
            deliveries.chain(stream::iter([None]))
        });
        let mut deliveries = stream::select_all(each);
        let first = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            first = deliveries.next() => Some(first.flatten()),
        };
        let kept = match first {
            None => None,
            Some(None) => return Err(Fault::Missing("a queue was deleted".to_owned())),
            Some(Some((index, delivery))) => Some((index, delivery?)),
        };
        // All at once: while they are cancelled one by one, each of the others could bring a request.
        let cancelled = join_all(tags.into_iter().map(|tag| channel.basic_cancel(tag, BasicCancelOptions::default())));
        for outcome in cancelled.await {
            outcome?;
        }
        // The broker answers to a cancellation after the consumer's last delivery, so that the streams end with it.
        let mut surplus = false;
        while let Some(item) = deliveries.next().await {
            if let Some((_, delivery)) = item {
                surplus = true;
                delivery?.acker.nack(BasicNackOptions { requeue: true, multiple: false }).await?;
            }
        }
        if surplus {
            copy::flush(channel).await?;
        }
        Ok(kept.map(|(index, delivery)| {
            self.rotation.served(index);
            Taken { queue: self.rotation.queues()[index].clone(), delivery }
        }))
    }

    /// Makes a taken request ours: our own copy first, then the origin's is acknowledged, then the lock.
    async fn secure(
        &mut self,
        live: &Live,
        channel: &Channel,
        taken: Taken,
        stop: &CancellationToken,
    ) -> Result<Outcome, Fault> {
        let Taken { queue, delivery } = taken;
        let (subject, request, redelivered) = Subject::read(queue.clone(), &delivery);
        let mut own = Copy::make(live, &self.id, &subject).await?;
        if let Err(fault) = copy::in_time(copy::acknowledge(channel, &delivery)).await {
            // Both copies go back. They have the same id, and the attempts of one say that the other may have a result.
            own.close().await;
            return Err(fault);
        }
        let mut place = None;
        let free_here = || {
            if place.is_none() {
                place = Place::take(&self.link, subject.uuid.as_ref(), &subject.origin, &subject.body);
            }
            place.is_some()
        };
        let locking = tokio::select! {
            locking = lock::lock(live, &subject, &mut own, free_here) => Some(locking),
            () = stop.cancelled() => None,
        };
        match (locking, place) {
            (Some(Ok(Locking::Ours { contended })), Some(place)) => {
                let History { attempts: attempt, passes, failures } = subject.history.clone();
                let keeper = Keeper {
                    link: Arc::clone(&self.link),
                    slot: self.id.clone(),
                    rotation: self.rotation.clone(),
                    subject,
                    place,
                    _presence: Arc::clone(&self.presence),
                };
                let hold = Hold::Amqp(keeper.start(live.clone(), own));
                let redelivered = redelivered || contended;
                Ok(Outcome::Claimed(Box::new(Claim { queue, request, attempt, redelivered, passes, failures, hold })))
            }
            (Some(Ok(Locking::Taken)), _) => {
                let uuid = subject.uuid.as_ref().map(ToString::to_string).unwrap_or_default();
                tracing::info!("dropped a second copy of request {uuid} from {queue}: another worker runs it");
                own.acknowledge().await?;
                own.close().await;
                Ok(Outcome::Duplicate)
            }
            (unlocked, place) => {
                // The lock may be ours without our knowing: nobody else could run the request then.
                if place.is_some() {
                    let _ = lock::unlock(live, &subject).await;
                }
                own.close().await;
                match unlocked {
                    Some(Err(fault)) => Err(fault),
                    _ => Ok(Outcome::Stopped),
                }
            }
        }
    }
}
