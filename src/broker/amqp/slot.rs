//! A slot of a worker: takes one request at a time, and holds none while it waits.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt};
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicGetOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::acquire::{self, Locking};
use super::channel;
use super::claim_queue::{ClaimQueue, Shelf};
use super::claims::{Place, Serving};
use super::connection::{Link, Live};
use super::copy::Copy;
use super::fault::Fault;
use super::keeper::{AmqpHold, Keeper};
use super::message::Subject;
use super::roll_call::Presence;
use super::survey::Survey;
use super::{delay, names, queues};
use crate::broker::claim_step::ClaimLog;
use crate::broker::new_claim::NewClaim;
use crate::broker::rotation::Waiting;
use crate::broker::{BrokerError, ClaimStep, Rotation, Verdict, Wait};
use crate::release::QueueName;

/// Time after an outage for which an idle slot takes no requests.
///
/// Workers whose tests have gone on acquire their claims again meanwhile: the requests that this slot would take are
/// most likely theirs.
const AFTER_YOU: Duration = Duration::from_secs(5);
/// Pause between attempts on a connection that is alive.
const PAUSE: Duration = Duration::from_millis(500);
/// Interval between checks while only requests in delay queues are left.
const LOOK_FOR_DELAYED_EVERY: Duration = Duration::from_secs(1);

/// Time after which an earlier interruption no longer counts.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// Interval between checks that the broker still counts the consumers of a waiting slot.
const CHECK_CONSUMERS_EVERY: Duration = Duration::from_secs(30);
/// Pause between checks that find all queues empty.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Number of checks after which queues count as empty.
///
/// On its way from its delay queue, a request is in no queue for a moment.
const LOOKS: u8 = 2;
/// Delays of a request while another one with its id runs, by the number of times that it was passed on.
const WAIT_FOR_NAMESAKE: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(15), Duration::from_secs(60)];
/// Number of checks while there are other consumers, which may be listing messages, and return them in a moment.
const LOOKS_BESIDE_OTHERS: u8 = 20;

/// A slot at RabbitMQ.
pub struct AmqpSlot {
    link: Arc<Link>,
    shelf: Arc<Shelf>,
    rotation: Rotation,
    survey: Survey,
    /// Channel for taking requests. Requests that are not acknowledged return when it is closed.
    channel: Option<Channel>,
    presence: Arc<Presence>,
    _serving: Serving,
}

/// A request that was taken from its queue and is not ours yet: the delivery is not acknowledged.
struct Taken {
    queue: QueueName,
    delivery: Delivery,
    /// The ended wait that brought it.
    wait: Option<EndedWait>,
}

/// A wait on all queues that has brought a request. Others may have been delivered after it.
struct EndedWait {
    channel: Channel,
    consumers: Box<dyn Send>,
    waiting: Waiting,
}

impl EndedWait {
    /// Returns the other deliveries, all at once, and ends the consumers with the channel, in the background.
    fn give_back(self) {
        let Self { channel, consumers, waiting } = self;
        tokio::spawn(async move {
            channel::close(&channel).await;
            // Dropped last: otherwise each consumer would be cancelled by itself.
            drop((consumers, waiting));
        });
    }
}

/// Outcome of an attempt to take ownership of a request.
enum Outcome {
    Claimed(Box<NewClaim<AmqpHold>>),
    /// Another worker runs it, or it waits until another request with its id has run.
    Elsewhere,
    /// `stop` came first; the request is back in its queue.
    Stopped,
}

impl AmqpSlot {
    pub(super) fn new(link: Arc<Link>, rotation: Rotation, presence: Arc<Presence>) -> Self {
        let shelf = Arc::new(Shelf::of_a_new_slot(rotation.queues().to_vec()));
        let serving = Serving::start(&link.roll, rotation.queues());
        Self { link, shelf, rotation, survey: Survey::default(), channel: None, presence, _serving: serving }
    }

    /// Claims the next request: see [`super::super::Slot::claim`].
    ///
    /// # Errors
    /// With [`Wait::UntilEmpty`], when the broker cannot be reached; otherwise only when it refuses the operation.
    pub(in crate::broker) async fn claim(
        &mut self,
        wait: Wait,
        stop: &CancellationToken,
    ) -> Result<Option<NewClaim<AmqpHold>>, BrokerError> {
        let mut failures = 0;
        let mut last_failure = Instant::now();
        while !stop.is_cancelled() {
            let live = match wait {
                Wait::UntilEmpty => self.link.live().await?,
                Wait::ForOne => {
                    tokio::select! {
                        live = self.link.persistently() => match live {
                            Some(live) => live,
                            // The broker was closed.
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
            tokio::select! {
                () = self.presence.settled() => {}
                () = stop.cancelled() => return Ok(None),
            }
            if wait == Wait::ForOne {
                // A claim needs a publication.
                tokio::select! {
                    () = live.unblocked() => {}
                    () = stop.cancelled() => return Ok(None),
                }
            }
            let fault = match self.attempt(&live, wait, stop).await {
                Ok(claim) => return Ok(claim),
                Err(fault) => fault,
            };
            // Unacknowledged requests return when the channel is closed.
            if let Some(channel) = self.channel.take() {
                if live.alarm().is_some() {
                    // A broker with an alarm notices that when the alarm is over.
                    tokio::spawn(async move { channel::close(&channel).await });
                } else {
                    channel::close(&channel).await;
                }
            }
            // An interruption that is long over says nothing about this one.
            failures = if last_failure.elapsed() > FORGET_AFTER { 1 } else { failures + 1 };
            last_failure = Instant::now();
            match fault {
                // A queue was deleted, or a broker came back without it.
                Fault::Missing(_) => {
                    live.kinds.forget_all();
                    match queues::declare(&live, self.rotation.queues()).await {
                        // The broker became unreachable meanwhile.
                        Err(Fault::Away(reason) | Fault::Blocked(reason)) if wait == Wait::ForOne => {
                            tracing::warn!("declaring the queues was interrupted: {reason}");
                        }
                        declared => declared.map_err(|fault| self.link.error("declare the queues", fault))?,
                    }
                }
                Fault::Away(reason) if wait == Wait::ForOne || failures < 2 => {
                    tracing::warn!("taking requests was interrupted: {reason}");
                }
                Fault::Blocked(reason) if wait == Wait::ForOne => {
                    tracing::warn!("no requests are taken for now: {reason}");
                }
                fault => return Err(self.link.error("take a request", fault)),
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(None)
    }

    async fn attempt(
        &mut self,
        live: &Live,
        wait: Wait,
        stop: &CancellationToken,
    ) -> Result<Option<NewClaim<AmqpHold>>, Fault> {
        loop {
            let channel = match self.channel.take() {
                Some(channel) if channel.status().connected() => channel,
                _ => live.channel().await?,
            };
            self.channel = Some(channel.clone());
            // The claim queue is ready before a request comes.
            let claims = self.shelf.take(live).await?;
            let taken = match self.take(live, &channel, wait, stop).await {
                Ok(Some(taken)) => taken,
                none => {
                    self.shelf.put(claims).await;
                    return none.map(|_| None);
                }
            };
            match self.secure(live, &channel, claims, taken, stop).await? {
                Outcome::Claimed(claim) => return Ok(Some(*claim)),
                Outcome::Stopped => return Ok(None),
                Outcome::Elsewhere => {}
            }
        }
    }

    /// Takes a request. While there are any, each queue has its turn; a slot consumes only when all queues are empty.
    async fn take(
        &mut self,
        live: &Live,
        channel: &Channel,
        wait: Wait,
        stop: &CancellationToken,
    ) -> Result<Option<Taken>, Fault> {
        let rotation = self.rotation.clone();
        let mut empty = 0;
        loop {
            let taken = tokio::select! {
                asking = rotation.asking() => {
                    let taken = live.in_time(self.ask(channel)).await;
                    drop(asking);
                    taken?
                }
                () = stop.cancelled() => return Ok(None),
            };
            match (taken, wait) {
                (None, Wait::ForOne) => return self.wait(live, channel, stop).await,
                (None, Wait::UntilEmpty) => {
                    let needed = if self.survey.others_consume { LOOKS_BESIDE_OTHERS } else { LOOKS };
                    let (asked, queues) = (live.clone(), rotation.queues().to_vec());
                    // A task of its own, which ends also when this one is no longer waited for.
                    let looking = tokio::spawn(async move { delay::any_waiting(&asked, &queues).await });
                    let delayed = tokio::select! {
                        delayed = looking => delayed.map_err(|error| Fault::Away(error.to_string()))??,
                        () = stop.cancelled() => return Ok(None),
                    };
                    let pause = if delayed {
                        empty = 0;
                        LOOK_FOR_DELAYED_EVERY
                    } else {
                        empty += 1;
                        LOOK_AGAIN_AFTER
                    };
                    if empty >= needed {
                        return Ok(None);
                    }
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = stop.cancelled() => return Ok(None),
                    }
                    self.survey = Survey::default();
                }
                (taken, _) => return Ok(taken),
            }
        }
    }

    /// Asks the queues in the order of the rotation.
    ///
    /// Queues that were just found empty are not asked until all others are empty, too.
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
                // Before a bulk request is served because no other waits, that is checked again.
                Some(index) if certain || !out_of_turn(index) => {
                    let queue = &rotation.queues()[index];
                    let message = channel.basic_get(names::short(queue), BasicGetOptions::default()).await?;
                    if let Some(message) = message {
                        survey.ready[index] -= 1;
                        rotation.served(index);
                        return Ok(Some(Taken { queue: queue.clone(), delivery: message.delivery, wait: None }));
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

    /// Consumes from all queues until the first delivery.
    async fn wait(&mut self, live: &Live, channel: &Channel, stop: &CancellationToken) -> Result<Option<Taken>, Fault> {
        let waiting = self.rotation.wait();
        let consumers = live.in_time(async {
            channel.basic_qos(1, BasicQosOptions { global: false }).await?;
            let consumers = try_join_all(self.rotation.queues().iter().map(|queue| {
                let (tag, options) = (ShortString::default(), BasicConsumeOptions::default());
                channel.basic_consume(names::short(queue), tag, options, FieldTable::default())
            }));
            Ok(consumers.await?)
        });
        // The end of one of many streams would go unnoticed, so each has an item for it.
        let each = consumers.await?.into_iter().enumerate().map(|(index, consumer)| {
            let deliveries = consumer.map(move |delivery| Some((index, delivery)));
            deliveries.chain(stream::iter([None]))
        });
        let mut deliveries = stream::select_all(each);
        let first = tokio::select! {
            biased;
            () = stop.cancelled() => {
                // A delivery that has just come returns with it.
                self.channel = None;
                channel::close(channel).await;
                return Ok(None);
            }
            first = deliveries.next() => first.flatten(),
            fault = live.ended() => return Err(fault),
            fault = self.loss_of_consumers(live, channel) => return Err(fault),
        };
        let Some((index, delivery)) = first else { return Err(Fault::Missing("a queue was deleted".to_owned())) };
        self.rotation.served(index);
        let wait = EndedWait { channel: channel.clone(), consumers: Box::new(deliveries), waiting };
        Ok(Some(Taken { queue: self.rotation.queues()[index].clone(), delivery: delivery?, wait: Some(wait) }))
    }

    /// Waits until the broker does not answer, or counts no consumer at one of the queues.
    ///
    /// A slot must not wait for messages that the broker will never deliver.
    async fn loss_of_consumers(&self, live: &Live, channel: &Channel) -> Fault {
        loop {
            tokio::time::sleep(CHECK_CONSUMERS_EVERY).await;
            let mut survey = Survey::default();
            if let Err(fault) = live.in_time(survey.make(channel, self.rotation.queues())).await {
                return fault;
            }
            if let Some(queue) = survey.unconsumed.and_then(|index| self.rotation.queues().get(index)) {
                return Fault::Away(format!("the broker has lost the consumer of {queue}"));
            }
        }
    }

    /// Takes ownership of a request that was taken: stores a copy, acknowledges the delivery, and acquires the lock.
    async fn secure(
        &mut self,
        live: &Live,
        channel: &Channel,
        claims: ClaimQueue,
        taken: Taken,
        stop: &CancellationToken,
    ) -> Result<Outcome, Fault> {
        let Taken { queue, delivery, wait } = taken;
        let (subject, request, redelivered) = Subject::read(queue.clone(), &delivery);
        let log = ClaimLog::new(self.shelf.slot(), subject.uuid.as_ref());
        log.taken(subject.history.attempts, redelivered);
        let mut place = Place::take(&self.link.roll, subject.uuid.as_ref(), &subject.origin, &subject.body);
        let request_to_lock = subject.uuid.as_ref().filter(|_| place.is_some());
        let taking_over = Copy::take_over(claims, &subject, (channel, &delivery), request_to_lock);
        let (mut own, locked) = tokio::select! {
            biased;
            taken_over = taking_over => taken_over?,
            // An alarm may last: `stop` does not wait for its end. The broker undoes what is half done.
            () = async { tokio::join!(stop.cancelled(), live.blocked()); } => {
                self.channel = None;
                return Ok(Outcome::Stopped);
            }
        };
        if let Some(wait) = wait {
            self.channel = None;
            wait.give_back();
        }
        let free_here = || {
            if place.is_none() {
                place = Place::take(&self.link.roll, subject.uuid.as_ref(), &subject.origin, &subject.body);
            }
            place.is_some()
        };
        let locking = if locked {
            Some(Ok(Locking::Ours { contended: false }))
        } else {
            tokio::select! {
                locking = acquire::lock(live, &subject, &mut own, true, free_here) => Some(locking),
                () = stop.cancelled() => None,
            }
        };
        match (locking, place) {
            (Some(Ok(Locking::Ours { contended })), Some(place)) => {
                log.step(ClaimStep::Held);
                let history = subject.history.clone();
                let keeper = Keeper {
                    link: Arc::clone(&self.link),
                    shelf: Arc::clone(&self.shelf),
                    rotation: self.rotation.clone(),
                    subject,
                    place,
                    _presence: Arc::clone(&self.presence),
                };
                let hold = keeper.start(live.clone(), own);
                let redelivered = redelivered || contended;
                Ok(Outcome::Claimed(Box::new(NewClaim { queue, request, redelivered, history, hold })))
            }
            (Some(Ok(Locking::Taken)), _) => {
                let uuid = subject.uuid.as_ref().map(ToString::to_string).unwrap_or_default();
                tracing::info!("dropped a second copy of request {uuid} from {queue}: another worker runs it");
                if let Err(fault) = own.acknowledge().await {
                    log.step(ClaimStep::GivenBack);
                    own.close().await;
                    return Err(fault);
                }
                log.step(ClaimStep::SurplusDropped);
                self.shelf.put(own.queue).await;
                Ok(Outcome::Elsewhere)
            }
            (Some(Ok(Locking::Namesake)), place) => {
                // From here on, this slot must not report the request as held.
                drop(place);
                let uuid = subject.uuid.as_ref().map(ToString::to_string).unwrap_or_default();
                tracing::warn!("a request from {queue} waits: another one with its id {uuid} runs");
                match postpone(live, &own, &subject).await {
                    Ok(()) => {
                        self.shelf.put(own.queue).await;
                        Ok(Outcome::Elsewhere)
                    }
                    Err(fault) => {
                        log.step(ClaimStep::GivenBack);
                        own.close().await;
                        Err(fault)
                    }
                }
            }
            (unlocked, place) => {
                // The lock may be ours without our knowing: no other connection could run the request then.
                log.step(ClaimStep::GivenBack);
                give_back(own, &subject, place.is_some()).await;
                match unlocked {
                    Some(Err(fault)) => Err(fault),
                    _ => Ok(Outcome::Stopped),
                }
            }
        }
    }
}

/// Puts a request into a delay queue.
async fn postpone(live: &Live, own: &Copy, subject: &Subject) -> Result<(), Fault> {
    let passes = usize::try_from(subject.history.passes).unwrap_or(usize::MAX);
    let after = WAIT_FOR_NAMESAKE[passes.min(WAIT_FOR_NAMESAKE.len() - 1)];
    let verdict = Verdict::Later { after, failure: None, counts: false };
    let log = own.queue.log(subject);
    delay::publish(live, &own.queue.channel, subject, &verdict).await?;
    log.step(ClaimStep::Delayed);
    own.acknowledge().await?;
    log.step(ClaimStep::Settled);
    Ok(())
}

/// Returns a request to its queue. If the lock is ours, it is released.
async fn give_back(mut own: Copy, subject: &Subject, locked: bool) {
    if locked {
        let _ = own.queue.locks.unlock(subject).await;
    }
    own.close().await;
}
