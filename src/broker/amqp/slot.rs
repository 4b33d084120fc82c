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

use super::acquire::{self, LockOutcome};
use super::channel;
use super::claim_queue::{ClaimQueue, ClaimQueuePool};
use super::claim_registry::{ClaimRegistration, SlotRegistration};
use super::claim_task::{AmqpClaim, ClaimParts};
use super::claimed_message::ClaimedMessage;
use super::connection::{Connection, Connector};
use super::depth_cache::DepthCache;
use super::error::AmqpError;
use super::message::ClaimedRequest;
use super::query_responder::QueryResponder;
use super::{delay, names, queues};
use crate::broker::claim_step::ClaimLog;
use crate::broker::new_claim::NewClaim;
use crate::broker::rotation::WaitGuard;
use crate::broker::{BrokerError, ClaimStep, Rotation, Settlement, Wait};
use crate::release::QueueName;

/// Time after an outage for which an idle slot takes no requests.
///
/// Workers whose tests have gone on acquire their claims again meanwhile: the requests that this slot would take are
/// most likely theirs.
const RECLAIM_GRACE: Duration = Duration::from_secs(5);
/// Pause between attempts on a connection that is alive.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// Interval between checks while only requests in delay queues are left.
const DELAYED_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Time after which an earlier interruption no longer counts.
const FAILURE_TTL: Duration = Duration::from_secs(60);
/// Interval between checks that the broker still counts the consumers of a waiting slot.
const CONSUMER_CHECK_INTERVAL: Duration = Duration::from_secs(30);
/// Pause between checks that find all queues empty.
const EMPTY_POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Number of checks after which queues count as empty.
///
/// On its way from its delay queue, a request is in no queue for a moment.
const EMPTY_POLLS: u8 = 2;
/// Delays of a request while another one with its id runs, by the number of times that it was passed on.
const NAMESAKE_DELAYS: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(15), Duration::from_secs(60)];
/// Number of checks while there are other consumers, which may be listing messages, and return them in a moment.
const EMPTY_POLLS_BESIDE_OTHERS: u8 = 20;

/// A slot at RabbitMQ.
pub struct AmqpSlot {
    connector: Arc<Connector>,
    pool: Arc<ClaimQueuePool>,
    rotation: Rotation,
    depths: DepthCache,
    /// Channel for taking requests. Requests that are not acknowledged return when it is closed.
    channel: Option<Channel>,
    responder: Arc<QueryResponder>,
    _registration: SlotRegistration,
}

/// A request that was taken from its queue and is not ours yet: the delivery is not acknowledged.
struct TakenRequest {
    queue: QueueName,
    delivery: Delivery,
    /// The ended wait that brought it.
    wait: Option<EndedWait>,
}

/// A wait on all queues that has brought a request. Others may have been delivered after it.
struct EndedWait {
    channel: Channel,
    consumers: Box<dyn Send>,
    waiting: WaitGuard,
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
    Claimed(Box<NewClaim<AmqpClaim>>),
    /// Another worker runs it, or it waits until another request with its id has run.
    Elsewhere,
    /// `stop` came first; the request is back in its queue.
    Stopped,
}

impl AmqpSlot {
    pub(super) fn new(connector: Arc<Connector>, rotation: Rotation, responder: Arc<QueryResponder>) -> Self {
        let pool = Arc::new(ClaimQueuePool::of_a_new_slot(rotation.queues().to_vec()));
        let registration = SlotRegistration::start(&connector.registry, rotation.queues());
        Self {
            connector,
            pool,
            rotation,
            depths: DepthCache::default(),
            channel: None,
            responder,
            _registration: registration,
        }
    }

    /// Claims the next request: see [`super::super::Slot::claim`].
    ///
    /// # Errors
    /// With [`Wait::UntilEmpty`], when the broker cannot be reached; otherwise only when it refuses the operation.
    pub(in crate::broker) async fn claim(
        &mut self,
        wait: Wait,
        stop: &CancellationToken,
    ) -> Result<Option<NewClaim<AmqpClaim>>, BrokerError> {
        let mut failures = 0;
        let mut last_failure = Instant::now();
        while !stop.is_cancelled() {
            let connection = match wait {
                Wait::UntilEmpty => self.connector.connection().await?,
                Wait::ForOne => {
                    tokio::select! {
                        connection = self.connector.persistently() => match connection {
                            Some(connection) => connection,
                            // The broker was closed.
                            None => return Ok(None),
                        },
                        () = stop.cancelled() => return Ok(None),
                    }
                }
            };
            if connection.number > 1 {
                tokio::select! {
                    () = tokio::time::sleep_until(connection.since + RECLAIM_GRACE) => {}
                    () = stop.cancelled() => return Ok(None),
                }
            }
            tokio::select! {
                () = self.responder.settled() => {}
                () = stop.cancelled() => return Ok(None),
            }
            if wait == Wait::ForOne {
                // A claim needs a publication.
                tokio::select! {
                    () = connection.unblocked() => {}
                    () = stop.cancelled() => return Ok(None),
                }
            }
            let fault = match self.attempt(&connection, wait, stop).await {
                Ok(claim) => return Ok(claim),
                Err(fault) => fault,
            };
            // Unacknowledged requests return when the channel is closed.
            if let Some(channel) = self.channel.take() {
                if connection.alarm().is_some() {
                    // A broker with an alarm notices that when the alarm is over.
                    tokio::spawn(async move { channel::close(&channel).await });
                } else {
                    channel::close(&channel).await;
                }
            }
            // An interruption that is long over says nothing about this one.
            failures = if last_failure.elapsed() > FAILURE_TTL { 1 } else { failures + 1 };
            last_failure = Instant::now();
            match fault {
                // A queue was deleted, or a broker came back without it.
                AmqpError::Missing(_) => {
                    connection.kinds.forget_all();
                    match queues::declare(&connection, self.rotation.queues()).await {
                        // The broker became unreachable meanwhile.
                        Err(AmqpError::Unreachable(reason) | AmqpError::Blocked(reason)) if wait == Wait::ForOne => {
                            tracing::warn!("declaring the queues was interrupted: {reason}");
                        }
                        declared => declared.map_err(|fault| self.connector.error("declare the queues", fault))?,
                    }
                }
                AmqpError::Unreachable(reason) if wait == Wait::ForOne || failures < 2 => {
                    tracing::warn!("taking requests was interrupted: {reason}");
                }
                AmqpError::Blocked(reason) if wait == Wait::ForOne => {
                    tracing::warn!("no requests are taken for now: {reason}");
                }
                fault => return Err(self.connector.error("take a request", fault)),
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY_DELAY) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(None)
    }

    async fn attempt(
        &mut self,
        connection: &Connection,
        wait: Wait,
        stop: &CancellationToken,
    ) -> Result<Option<NewClaim<AmqpClaim>>, AmqpError> {
        loop {
            let channel = match self.channel.take() {
                Some(channel) if channel.status().connected() => channel,
                _ => connection.channel().await?,
            };
            self.channel = Some(channel.clone());
            // The claim queue is ready before a request comes.
            let claims = self.pool.take(connection).await?;
            let taken = match self.take(connection, &channel, wait, stop).await {
                Ok(Some(taken)) => taken,
                none => {
                    self.pool.put(claims).await;
                    return none.map(|_| None);
                }
            };
            match self.take_ownership(connection, &channel, claims, taken, stop).await? {
                Outcome::Claimed(claim) => return Ok(Some(*claim)),
                Outcome::Stopped => return Ok(None),
                Outcome::Elsewhere => {}
            }
        }
    }

    /// Takes a request. While there are any, each queue has its turn; a slot consumes only when all queues are empty.
    async fn take(
        &mut self,
        connection: &Connection,
        channel: &Channel,
        wait: Wait,
        stop: &CancellationToken,
    ) -> Result<Option<TakenRequest>, AmqpError> {
        let rotation = self.rotation.clone();
        let mut empty = 0;
        loop {
            let taken = tokio::select! {
                asking = rotation.asking() => {
                    let taken = connection.with_timeout(self.ask(channel)).await;
                    drop(asking);
                    taken?
                }
                () = stop.cancelled() => return Ok(None),
            };
            match (taken, wait) {
                (None, Wait::ForOne) => return self.wait(connection, channel, stop).await,
                (None, Wait::UntilEmpty) => {
                    let needed = if self.depths.others_consume { EMPTY_POLLS_BESIDE_OTHERS } else { EMPTY_POLLS };
                    let (asked, queues) = (connection.clone(), rotation.queues().to_vec());
                    // A task of its own, which ends also when this one is no longer waited for.
                    let probe = tokio::spawn(async move { delay::any_waiting(&asked, &queues).await });
                    let delayed = tokio::select! {
                        delayed = probe => delayed.map_err(|error| AmqpError::Unreachable(error.to_string()))??,
                        () = stop.cancelled() => return Ok(None),
                    };
                    let pause = if delayed {
                        empty = 0;
                        DELAYED_POLL_INTERVAL
                    } else {
                        empty += 1;
                        EMPTY_POLL_INTERVAL
                    };
                    if empty >= needed {
                        return Ok(None);
                    }
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = stop.cancelled() => return Ok(None),
                    }
                    self.depths = DepthCache::default();
                }
                (taken, _) => return Ok(taken),
            }
        }
    }

    /// Asks the queues in the order of the rotation.
    ///
    /// Queues that were just found empty are not asked until all others are empty, too.
    async fn ask(&mut self, channel: &Channel) -> Result<Option<TakenRequest>, AmqpError> {
        let Self { rotation, depths, .. } = self;
        let mut certain = false;
        if depths.is_outdated() {
            depths.refresh(channel, rotation.queues()).await?;
            certain = true;
        }
        loop {
            let next = rotation.order().into_iter().find(|index| depths.ready[*index] > 0);
            let out_of_turn = |index: usize| rotation.is_huge(index) && !rotation.huge_is_due();
            match next {
                None if certain => return Ok(None),
                // Before a bulk request is served because no other waits, that is checked again.
                Some(index) if certain || !out_of_turn(index) => {
                    let queue = &rotation.queues()[index];
                    let message = channel.basic_get(names::short(queue), BasicGetOptions::default()).await?;
                    if let Some(message) = message {
                        depths.ready[index] -= 1;
                        rotation.served(index);
                        return Ok(Some(TakenRequest { queue: queue.clone(), delivery: message.delivery, wait: None }));
                    }
                    depths.ready[index] = 0;
                }
                _ => {
                    depths.refresh(channel, rotation.queues()).await?;
                    certain = true;
                }
            }
        }
    }

    /// Consumes from all queues until the first delivery.
    async fn wait(
        &mut self,
        connection: &Connection,
        channel: &Channel,
        stop: &CancellationToken,
    ) -> Result<Option<TakenRequest>, AmqpError> {
        let waiting = self.rotation.wait();
        let consumers = connection.with_timeout(async {
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
            fault = connection.ended() => return Err(fault),
            fault = self.loss_of_consumers(connection, channel) => return Err(fault),
        };
        let Some((index, delivery)) = first else { return Err(AmqpError::Missing("a queue was deleted".to_owned())) };
        self.rotation.served(index);
        let wait = EndedWait { channel: channel.clone(), consumers: Box::new(deliveries), waiting };
        Ok(Some(TakenRequest { queue: self.rotation.queues()[index].clone(), delivery: delivery?, wait: Some(wait) }))
    }

    /// Waits until the broker does not answer, or counts no consumer at one of the queues.
    ///
    /// A slot must not wait for messages that the broker will never deliver.
    async fn loss_of_consumers(&self, connection: &Connection, channel: &Channel) -> AmqpError {
        loop {
            tokio::time::sleep(CONSUMER_CHECK_INTERVAL).await;
            let mut depths = DepthCache::default();
            if let Err(fault) = connection.with_timeout(depths.refresh(channel, self.rotation.queues())).await {
                return fault;
            }
            if let Some(queue) = depths.unconsumed.and_then(|index| self.rotation.queues().get(index)) {
                return AmqpError::Unreachable(format!("the broker has lost the consumer of {queue}"));
            }
        }
    }

    /// Takes ownership of a request that was taken: stores a copy, acknowledges the delivery, and acquires the lock.
    async fn take_ownership(
        &mut self,
        connection: &Connection,
        channel: &Channel,
        claims: ClaimQueue,
        taken: TakenRequest,
        stop: &CancellationToken,
    ) -> Result<Outcome, AmqpError> {
        let TakenRequest { queue, delivery, wait } = taken;
        let (claimed, request, redelivered) = ClaimedRequest::read(queue.clone(), &delivery);
        let log = ClaimLog::new(self.pool.slot(), claimed.uuid.as_ref());
        log.taken(claimed.history.attempts, redelivered);
        let mut registration =
            ClaimRegistration::take(&self.connector.registry, claimed.uuid.as_ref(), &claimed.origin, &claimed.body);
        let request_to_lock = claimed.uuid.as_ref().filter(|_| registration.is_some());
        let taking_over = ClaimedMessage::take_over(claims, &claimed, (channel, &delivery), request_to_lock);
        let (mut own, locked) = tokio::select! {
            biased;
            taken_over = taking_over => taken_over?,
            // An alarm may last: `stop` does not wait for its end. The broker undoes what is half done.
            () = async { tokio::join!(stop.cancelled(), connection.blocked()); } => {
                self.channel = None;
                return Ok(Outcome::Stopped);
            }
        };
        if let Some(wait) = wait {
            self.channel = None;
            wait.give_back();
        }
        let free_here = || {
            if registration.is_none() {
                registration = ClaimRegistration::take(
                    &self.connector.registry,
                    claimed.uuid.as_ref(),
                    &claimed.origin,
                    &claimed.body,
                );
            }
            registration.is_some()
        };
        let locking = if locked {
            Some(Ok(LockOutcome::Ours { contended: false }))
        } else {
            tokio::select! {
                locking = acquire::lock(connection, &claimed, &mut own, true, free_here) => Some(locking),
                () = stop.cancelled() => None,
            }
        };
        match (locking, registration) {
            (Some(Ok(LockOutcome::Ours { contended })), Some(registration)) => {
                log.step(ClaimStep::Held);
                let history = claimed.history.clone();
                let parts = ClaimParts {
                    connector: Arc::clone(&self.connector),
                    pool: Arc::clone(&self.pool),
                    rotation: self.rotation.clone(),
                    claimed,
                    registration,
                    _responder: Arc::clone(&self.responder),
                };
                let backend = parts.start(connection.clone(), own);
                let redelivered = redelivered || contended;
                Ok(Outcome::Claimed(Box::new(NewClaim { queue, request, redelivered, history, backend })))
            }
            (Some(Ok(LockOutcome::Taken)), _) => {
                let uuid = claimed.uuid.as_ref().map(ToString::to_string).unwrap_or_default();
                tracing::info!("dropped a second copy of request {uuid} from {queue}: another worker runs it");
                if let Err(fault) = own.acknowledge().await {
                    log.step(ClaimStep::GivenBack);
                    own.close().await;
                    return Err(fault);
                }
                log.step(ClaimStep::SurplusDropped);
                self.pool.put(own.queue).await;
                Ok(Outcome::Elsewhere)
            }
            (Some(Ok(LockOutcome::Namesake)), registration) => {
                // From here on, this slot must not report the request as held.
                drop(registration);
                let uuid = claimed.uuid.as_ref().map(ToString::to_string).unwrap_or_default();
                tracing::warn!("a request from {queue} waits: another one with its id {uuid} runs");
                match postpone(connection, &own, &claimed).await {
                    Ok(()) => {
                        self.pool.put(own.queue).await;
                        Ok(Outcome::Elsewhere)
                    }
                    Err(fault) => {
                        log.step(ClaimStep::GivenBack);
                        own.close().await;
                        Err(fault)
                    }
                }
            }
            (unlocked, registration) => {
                // The lock may be ours without our knowing: no other connection could run the request then.
                log.step(ClaimStep::GivenBack);
                give_back(own, &claimed, registration.is_some()).await;
                match unlocked {
                    Some(Err(fault)) => Err(fault),
                    _ => Ok(Outcome::Stopped),
                }
            }
        }
    }
}

/// Puts a request into a delay queue.
async fn postpone(connection: &Connection, own: &ClaimedMessage, claimed: &ClaimedRequest) -> Result<(), AmqpError> {
    let handovers = usize::try_from(claimed.history.handovers).unwrap_or(usize::MAX);
    let after = NAMESAKE_DELAYS[handovers.min(NAMESAKE_DELAYS.len() - 1)];
    let settlement = Settlement::Later { after, failure: None, counts: false };
    let log = own.queue.log(claimed);
    delay::publish(connection, &own.queue.channel, claimed, &settlement).await?;
    log.step(ClaimStep::Delayed);
    own.acknowledge().await?;
    log.step(ClaimStep::Settled);
    Ok(())
}

/// Returns a request to its queue. If the lock is ours, it is released.
async fn give_back(mut own: ClaimedMessage, claimed: &ClaimedRequest, locked: bool) {
    if locked {
        let _ = own.queue.locks.unlock(claimed).await;
    }
    own.close().await;
}
