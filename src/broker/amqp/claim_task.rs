//! The task of one claim: renews it, acquires it again after an outage, and settles it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::acquire::{self, LockOutcome};
use super::channel::with_timeout;
use super::claim_queue::ClaimQueuePool;
use super::claim_registry::{ClaimRegistration, RegistrationHandle};
use super::claimed_message::{ClaimedMessage, RENEW_INTERVAL};
use super::connection::{Connection, Connector};
use super::error::AmqpError;
use super::message::ClaimedRequest;
use super::query_responder::QueryResponder;
use super::queue_probe::QueueProbe;
use super::{delay, names, queues};
use crate::broker::claim_step::{ClaimLog, ClaimStep};
use crate::broker::test_handle::TestHandle;
use crate::broker::{BrokerError, Rotation, Settlement};
use crate::release::QueueName;

/// Pause between attempts to acquire a claim again on a connection that is alive.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// The claim of a request at RabbitMQ.
pub struct AmqpClaim {
    connector: Arc<Connector>,
    origin: QueueName,
    rotation: Rotation,
    state: watch::Receiver<ClaimState>,
    settlement: oneshot::Sender<SettleRequest>,
    proofs: mpsc::Sender<Proof>,
    handle: RegistrationHandle,
    log: ClaimLog,
}

#[derive(Clone)]
enum ClaimState {
    Held {
        /// Whether it was interrupted before.
        again: bool,
    },
    Reacquiring,
    Lost(String),
}

/// Notified when the broker has just shown that the claim is held.
type Proof = oneshot::Sender<()>;

type SettleRequest = (Settlement, oneshot::Sender<Result<(), BrokerError>>);

impl AmqpClaim {
    /// Waits until the claim is lost, and returns the reason. Cancel-safe.
    pub(in crate::broker) async fn lost(&mut self) -> String {
        match self.state.wait_for(|state| matches!(state, ClaimState::Lost(_))).await.as_deref() {
            Ok(ClaimState::Lost(reason)) => reason.clone(),
            _ => GONE.to_owned(),
        }
    }

    /// Waits until the broker has shown that the claim is held now, by a renewal of its copy. Cancel-safe.
    ///
    /// A connection that the broker has given up may look alive from here for a while, and another worker may have run
    /// the request meanwhile.
    ///
    /// # Errors
    /// [`BrokerError::ClaimLost`].
    pub(in crate::broker) async fn held(&mut self) -> Result<(), BrokerError> {
        let (reply, proven) = oneshot::channel();
        if self.proofs.send(reply).await.is_ok() {
            // An error means that the claim has ended; the reason is read next.
            let _ = proven.await;
        }
        match self.state.wait_for(|state| !matches!(state, ClaimState::Reacquiring)).await.as_deref() {
            Ok(ClaimState::Held { .. }) => Ok(()),
            Ok(ClaimState::Lost(reason)) => Err(BrokerError::ClaimLost(reason.clone())),
            _ => Err(BrokerError::ClaimLost(GONE.to_owned())),
        }
    }

    /// Returns whether the claim was interrupted at any time.
    pub(in crate::broker) fn was_interrupted(&self) -> bool {
        !matches!(&*self.state.borrow(), ClaimState::Held { again: false })
    }

    /// Logs a step that the worker has made.
    pub(in crate::broker) fn log(&self, step: ClaimStep) {
        self.log.step(step);
    }

    /// Attaches the running test, so that clients of the broker can see its progress and cancel it.
    pub(in crate::broker) fn attach(&self, test: TestHandle) {
        self.handle.attach(test);
    }

    /// Returns whether slots of another worker wait for requests of this queue.
    pub(in crate::broker) async fn has_other_consumers(&self) -> Result<bool, BrokerError> {
        let connection = self.connector.connection().await?;
        let look = async {
            let mut probe = QueueProbe::on(&connection);
            let lengths = probe.lengths(names::short(&self.origin)).await?;
            probe.end().await;
            Ok(lengths.map_or(0, |lengths| lengths.consumers) > self.rotation.waiting())
        };
        with_timeout(look).await.map_err(|fault| self.connector.error("check for waiting workers", fault))
    }

    /// Ends the claim. Waits while the broker is unreachable.
    ///
    /// # Errors
    /// [`BrokerError::ClaimLost`], or when the broker refuses; then the request is back in its queue.
    pub(in crate::broker) async fn settle(self, settlement: Settlement) -> Result<(), BrokerError> {
        let (reply, outcome) = oneshot::channel();
        let lost = || match &*self.state.borrow() {
            ClaimState::Lost(reason) => BrokerError::ClaimLost(reason.clone()),
            _ => BrokerError::ClaimLost(GONE.to_owned()),
        };
        if self.settlement.send((settlement, reply)).is_err() {
            return Err(lost());
        }
        outcome.await.unwrap_or_else(|_| Err(lost()))
    }
}

/// Reason for the loss of a claim that no other worker has.
const GONE: &str = "the connection to the queue server was closed";

/// Parts of a claim, from which its task is started.
pub(super) struct ClaimParts {
    pub(super) connector: Arc<Connector>,
    pub(super) pool: Arc<ClaimQueuePool>,
    pub(super) rotation: Rotation,
    pub(super) claimed: ClaimedRequest,
    pub(super) registration: ClaimRegistration,
    /// Answers questions of other clients while a claim is held.
    pub(super) _responder: Arc<QueryResponder>,
}

impl ClaimParts {
    fn log(&self) -> ClaimLog {
        ClaimLog::new(self.pool.slot(), self.claimed.uuid.as_ref())
    }

    /// Starts the task of the claim with this copy. The lock must be ours.
    pub(super) fn start(self, connection: Connection, copy: ClaimedMessage) -> AmqpClaim {
        let (state, watched) = watch::channel(ClaimState::Held { again: false });
        let (settlement, settlements) = oneshot::channel();
        let (proofs, asked) = mpsc::channel(1);
        self.registration.set_copy(Some(&copy.queue.channel));
        let (connector, origin, rotation) =
            (Arc::clone(&self.connector), self.claimed.origin.clone(), self.rotation.clone());
        let handle = self.registration.handle();
        let log = self.log();
        tokio::spawn(
            ClaimTask { parts: self, state, settlements, asked, proof: None, pending: None }.run(connection, copy),
        );
        AmqpClaim { connector, origin, rotation, state: watched, settlement, proofs, handle, log }
    }
}

struct ClaimTask {
    parts: ClaimParts,
    state: watch::Sender<ClaimState>,
    settlements: oneshot::Receiver<SettleRequest>,
    asked: mpsc::Receiver<Proof>,
    /// Not answered yet. It is kept during an interruption, because the claim may be held again.
    proof: Option<Proof>,
    pending: Option<SettleRequest>,
}

/// Reason why a copy is no longer just renewed.
enum Interruption {
    Settled,
    Dropped,
    Broken(String),
}

impl ClaimTask {
    async fn run(mut self, mut connection: Connection, mut copy: ClaimedMessage) {
        loop {
            let interruption = match self.pending {
                Some(_) => Interruption::Settled,
                None => self.keep(&connection, &mut copy).await,
            };
            let reason = match interruption {
                Interruption::Dropped => return self.give_back(copy).await,
                Interruption::Broken(reason) => reason,
                Interruption::Settled => match self.perform(&connection, &mut copy).await {
                    Ok(()) => return self.end(copy).await,
                    Err(AmqpError::Unreachable(reason) | AmqpError::Blocked(reason)) => reason,
                    Err(fault) => {
                        let error = self.parts.connector.error("settle a claim", fault);
                        self.give_back(copy).await;
                        return self.reply(Err(error));
                    }
                },
            };
            let package = self.name();
            tracing::warn!("the claim of {package} has to be announced again: {reason}");
            self.state.send_replace(ClaimState::Reacquiring);
            self.parts.registration.set_copy(None);
            self.step(ClaimStep::Interrupted);
            copy.close().await;
            match self.reacquire().await {
                Ok(again) => (connection, copy) = again,
                Err(lost) => {
                    self.step(ClaimStep::Lost);
                    self.state.send_replace(ClaimState::Lost(lost.clone()));
                    return self.reply(Err(BrokerError::ClaimLost(lost)));
                }
            }
            tracing::info!("the claim of {package} is held again");
            self.step(ClaimStep::Reacquired);
            self.parts.registration.set_copy(Some(&copy.queue.channel));
            self.state.send_replace(ClaimState::Held { again: true });
        }
    }

    fn name(&self) -> String {
        let ClaimedRequest { origin, uuid, .. } = &self.parts.claimed;
        match uuid {
            Some(uuid) => format!("request {uuid} from {origin}"),
            None => format!("a message from {origin}"),
        }
    }

    fn step(&self, step: ClaimStep) {
        self.parts.log().step(step);
    }

    fn reply(&mut self, outcome: Result<(), BrokerError>) {
        if let Some((_, reply)) = self.pending.take() {
            // The worker may have stopped waiting.
            let _ = reply.send(outcome);
        }
    }

    async fn keep(&mut self, connection: &Connection, copy: &mut ClaimedMessage) -> Interruption {
        loop {
            tokio::select! {
                settlement = &mut self.settlements => return self.note(settlement),
                reason = copy.broken() => return Interruption::Broken(reason),
                Some(proof) = self.asked.recv() => self.proof = Some(proof),
                () = tokio::time::sleep(if self.proof.is_some() { Duration::ZERO } else { RENEW_INTERVAL }) => {}
            }
            if let Err(fault) = copy.renew(&self.parts.claimed).await {
                return Interruption::Broken(fault.to_string());
            }
            if let Some(proof) = self.proof.take() {
                // The worker may have stopped waiting.
                let _ = proof.send(());
            }
            if let Err(fault) = self.follow_origin(connection, copy).await {
                return Interruption::Broken(fault.to_string());
            }
        }
    }

    /// Moves the copy into a quorum claim queue if its origin has become a quorum queue.
    ///
    /// A classic claim queue may lose it at a restart of the broker.
    async fn follow_origin(&self, connection: &Connection, copy: &mut ClaimedMessage) -> Result<(), AmqpError> {
        let ClaimParts { pool, claimed, registration, .. } = &self.parts;
        match pool.replacement(connection, &copy.queue).await {
            Ok(Some(queue)) => {
                copy.move_to(queue, claimed).await?;
                registration.set_copy(Some(&copy.queue.channel));
            }
            Ok(None) => {}
            // The next renewal asks again.
            Err(fault) => tracing::debug!("cannot ask for the type of the queue of {}: {fault}", self.name()),
        }
        Ok(())
    }

    fn note(&mut self, settlement: Result<SettleRequest, oneshot::error::RecvError>) -> Interruption {
        match settlement {
            Ok(pending) => {
                self.pending = Some(pending);
                Interruption::Settled
            }
            Err(_) => Interruption::Dropped,
        }
    }

    /// Performs the worker's decision.
    ///
    /// When the connection breaks, everything can be done again. A request that is published twice then has the same id
    /// both times, and its attempts show that it may have a result.
    async fn perform(&self, connection: &Connection, copy: &mut ClaimedMessage) -> Result<(), AmqpError> {
        let ClaimParts { claimed, registration, .. } = &self.parts;
        let Some((settlement, _)) = &self.pending else { return Ok(()) };
        match settlement {
            Settlement::Done => {}
            Settlement::Requeue | Settlement::Return | Settlement::Later { .. } => {
                // From here on, the lock must not make another worker drop the copy that goes back.
                registration.set_copy(None);
                copy.queue.locks.unlock(claimed).await?;
                self.step(ClaimStep::Unlocked);
                // Published, not dead-lettered by the broker, which would not confirm it.
                if let Settlement::Later { .. } = settlement {
                    delay::publish(connection, &copy.queue.channel, claimed, settlement).await?;
                    self.step(ClaimStep::Delayed);
                } else {
                    self.publish(copy, names::short(&claimed.origin), claimed.properties_after(settlement)).await?;
                    self.step(ClaimStep::Requeued);
                }
            }
            Settlement::Dead(reason) => {
                let queue = names::dead_queue(&claimed.origin);
                queues::declare_dead(connection, &claimed.origin).await?;
                self.publish(copy, queue, claimed.dead_properties(reason)).await?;
                self.step(ClaimStep::DeadLettered);
            }
        }
        copy.acknowledge().await
    }

    /// Ends the claim after its decision was performed: the worker goes on, and the slot may claim again.
    async fn end(mut self, copy: ClaimedMessage) {
        self.parts.registration.set_copy(None);
        self.step(ClaimStep::Settled);
        let pending = self.pending.take();
        let ClaimParts { pool, claimed, registration, .. } = self.parts;
        if let Some((Settlement::Done | Settlement::Dead(_), _)) = pending {
            copy.queue.locks.unlock_settled(claimed, registration);
        }
        pool.put(copy.queue).await;
        if let Some((_, reply)) = pending {
            // The worker may have stopped waiting.
            let _ = reply.send(Ok(()));
        }
    }

    /// Publishes the message to a durable queue, which is created if it does not exist.
    async fn publish(
        &self,
        copy: &ClaimedMessage,
        queue: lapin::types::ShortString,
        properties: lapin::BasicProperties,
    ) -> Result<(), AmqpError> {
        let body = &self.parts.claimed.body;
        match copy.publish(queue.clone(), body, properties.clone()).await {
            Err(AmqpError::Missing(_)) => {
                queues::declare_durable(&copy.queue.channel, queue.clone()).await?;
                copy.publish(queue, body, properties).await
            }
            outcome => outcome,
        }
    }

    /// Returns the request to its queue.
    async fn give_back(&self, mut copy: ClaimedMessage) {
        self.parts.registration.set_copy(None);
        self.step(ClaimStep::GivenBack);
        // The lock goes first: the worker that takes the request next must be able to run it.
        let unlocked = copy.queue.locks.unlock(&self.parts.claimed).await;
        copy.close().await;
        if let Err(fault) = unlocked {
            tracing::warn!("cannot give back {}: {fault}", self.name());
        }
    }

    /// Stores a new copy and acquires the lock again, however long that takes.
    ///
    /// # Errors
    /// The reason why the claim is lost.
    async fn reacquire(&mut self) -> Result<(Connection, ClaimedMessage), String> {
        loop {
            let connection = match self.pending {
                Some(_) => self.parts.connector.persistently().await,
                None => tokio::select! {
                    connection = self.parts.connector.persistently() => connection,
                    settlement = &mut self.settlements => match self.note(settlement) {
                        // The broker is unreachable, and has returned the request to its queue by itself.
                        Interruption::Dropped => None,
                        _ => continue,
                    },
                },
            };
            let Some(connection) = connection else { return Err(GONE.to_owned()) };
            // A decision that comes from here on waits until the claim is held again, so that no copy is left half-way.
            match self.reacquire_on(&connection).await {
                Ok((copy, true)) => return Ok((connection, copy)),
                Ok((copy, false)) => {
                    // The other holder has its own copy, so ours is surplus.
                    match copy.acknowledge().await {
                        Ok(()) => self.step(ClaimStep::SurplusDropped),
                        Err(fault) => tracing::debug!("a surplus copy of {} stays: {fault}", self.name()),
                    }
                    copy.close().await;
                    return Err("another worker has taken the request over".to_owned());
                }
                Err(fault) => {
                    tracing::warn!("the claim of {} could not be announced again: {fault}", self.name());
                    tokio::time::sleep(RETRY_DELAY).await;
                }
            }
        }
    }

    /// Stores a new copy on this connection.
    ///
    /// Returns whether the lock is ours; if not, another worker holds the request.
    async fn reacquire_on(&self, connection: &Connection) -> Result<(ClaimedMessage, bool), AmqpError> {
        let ClaimParts { pool, claimed, .. } = &self.parts;
        let mut copy = ClaimedMessage::make(pool.take(connection).await?, claimed).await?;
        loop {
            let locking = match acquire::lock(connection, claimed, &mut copy, false, || true).await {
                // The test is running already, and goes on.
                Ok(LockOutcome::Namesake) => {
                    tokio::time::sleep(RETRY_DELAY).await;
                    copy.renew(claimed).await.map(|()| LockOutcome::Namesake)
                }
                locking => locking,
            };
            match locking {
                Ok(LockOutcome::Ours { .. }) => return Ok((copy, true)),
                Ok(LockOutcome::Taken) => return Ok((copy, false)),
                Ok(LockOutcome::Namesake) => {}
                Err(fault) => {
                    self.step(ClaimStep::Interrupted);
                    copy.close().await;
                    return Err(fault);
                }
            }
        }
    }
}
