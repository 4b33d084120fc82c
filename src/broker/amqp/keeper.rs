//! The task of one claim: renews it, acquires it again after an outage, and settles it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::acquire::{self, Locking};
use super::channel::in_time;
use super::claim_queue::Shelf;
use super::claims::{Place, Teller};
use super::connection::{Link, Live};
use super::copy::{Copy, RENEW_EVERY};
use super::fault::Fault;
use super::message::Subject;
use super::queue_probe::Looking;
use super::roll_call::Presence;
use super::{delay, names, queues};
use crate::broker::claim_step::{ClaimLog, ClaimStep};
use crate::broker::contact::Contact;
use crate::broker::{BrokerError, Rotation, Verdict};
use crate::release::QueueName;

/// Pause between attempts to acquire a claim again on a connection that is alive.
const PAUSE: Duration = Duration::from_millis(500);

/// The claim of a request at RabbitMQ.
pub struct AmqpHold {
    link: Arc<Link>,
    origin: QueueName,
    rotation: Rotation,
    standing: watch::Receiver<Standing>,
    verdict: oneshot::Sender<Settlement>,
    proofs: mpsc::Sender<Proof>,
    teller: Teller,
    log: ClaimLog,
}

#[derive(Clone)]
enum Standing {
    Held {
        /// Whether it was interrupted before.
        again: bool,
    },
    Away,
    Lost(String),
}

/// Notified when the broker has just shown that the claim is held.
type Proof = oneshot::Sender<()>;

type Settlement = (Verdict, oneshot::Sender<Result<(), BrokerError>>);

impl AmqpHold {
    /// Waits until the claim is lost, and returns the reason. Cancel-safe.
    pub(in crate::broker) async fn lost(&mut self) -> String {
        match self.standing.wait_for(|standing| matches!(standing, Standing::Lost(_))).await.as_deref() {
            Ok(Standing::Lost(reason)) => reason.clone(),
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
        match self.standing.wait_for(|standing| !matches!(standing, Standing::Away)).await.as_deref() {
            Ok(Standing::Held { .. }) => Ok(()),
            Ok(Standing::Lost(reason)) => Err(BrokerError::ClaimLost(reason.clone())),
            _ => Err(BrokerError::ClaimLost(GONE.to_owned())),
        }
    }

    /// Returns whether the claim was interrupted at any time.
    pub(in crate::broker) fn was_interrupted(&self) -> bool {
        !matches!(&*self.standing.borrow(), Standing::Held { again: false })
    }

    /// Logs a step that the worker has made.
    pub(in crate::broker) fn log(&self, step: ClaimStep) {
        self.log.step(step);
    }

    /// Attaches the running test, so that clients of the broker can see its progress and cancel it.
    pub(in crate::broker) fn introduce(&self, contact: Contact) {
        self.teller.introduce(contact);
    }

    /// Returns whether slots of another worker wait for requests of this queue.
    pub(in crate::broker) async fn others_wait(&self) -> Result<bool, BrokerError> {
        let live = self.link.live().await?;
        let look = async {
            let mut looking = Looking::at(&live);
            let lengths = looking.look(names::short(&self.origin)).await?;
            looking.end().await;
            Ok(lengths.map_or(0, |lengths| lengths.consumers) > self.rotation.waiting())
        };
        in_time(look).await.map_err(|fault| self.link.error("check for waiting workers", fault))
    }

    /// Ends the claim. Waits while the broker is unreachable.
    ///
    /// # Errors
    /// [`BrokerError::ClaimLost`], or when the broker refuses; then the request is back in its queue.
    pub(in crate::broker) async fn settle(self, verdict: Verdict) -> Result<(), BrokerError> {
        let (reply, outcome) = oneshot::channel();
        let lost = || match &*self.standing.borrow() {
            Standing::Lost(reason) => BrokerError::ClaimLost(reason.clone()),
            _ => BrokerError::ClaimLost(GONE.to_owned()),
        };
        if self.verdict.send((verdict, reply)).is_err() {
            return Err(lost());
        }
        outcome.await.unwrap_or_else(|_| Err(lost()))
    }
}

/// Reason for the loss of a claim that no other worker has.
const GONE: &str = "the connection to the queue server was closed";

/// Parts of a claim, from which its task is started.
pub(super) struct Keeper {
    pub(super) link: Arc<Link>,
    pub(super) shelf: Arc<Shelf>,
    pub(super) rotation: Rotation,
    pub(super) subject: Subject,
    pub(super) place: Place,
    /// Answers questions of other clients while a claim is held.
    pub(super) _presence: Arc<Presence>,
}

impl Keeper {
    fn log(&self) -> ClaimLog {
        ClaimLog::new(self.shelf.slot(), self.subject.uuid.as_ref())
    }

    /// Starts the task of the claim with this copy. The lock must be ours.
    pub(super) fn start(self, live: Live, copy: Copy) -> AmqpHold {
        let (standing, watched) = watch::channel(Standing::Held { again: false });
        let (verdict, verdicts) = oneshot::channel();
        let (proofs, asked) = mpsc::channel(1);
        self.place.set_copy(Some(&copy.queue.channel));
        let (link, origin, rotation) = (Arc::clone(&self.link), self.subject.origin.clone(), self.rotation.clone());
        let teller = self.place.teller();
        let log = self.log();
        tokio::spawn(
            Keeping { keeper: self, standing, verdicts, asked, proof: None, settlement: None }.run(live, copy),
        );
        AmqpHold { link, origin, rotation, standing: watched, verdict, proofs, teller, log }
    }
}

struct Keeping {
    keeper: Keeper,
    standing: watch::Sender<Standing>,
    verdicts: oneshot::Receiver<Settlement>,
    asked: mpsc::Receiver<Proof>,
    /// Not answered yet. It is kept during an interruption, because the claim may be held again.
    proof: Option<Proof>,
    settlement: Option<Settlement>,
}

/// Reason why a copy is no longer just renewed.
enum Interruption {
    Verdict,
    Dropped,
    Broken(String),
}

impl Keeping {
    async fn run(mut self, mut live: Live, mut copy: Copy) {
        loop {
            let interruption = match self.settlement {
                Some(_) => Interruption::Verdict,
                None => self.keep(&live, &mut copy).await,
            };
            let reason = match interruption {
                Interruption::Dropped => return self.give_back(copy).await,
                Interruption::Broken(reason) => reason,
                Interruption::Verdict => match self.perform(&live, &mut copy).await {
                    Ok(()) => return self.end(copy).await,
                    Err(Fault::Away(reason) | Fault::Blocked(reason)) => reason,
                    Err(fault) => {
                        let error = self.keeper.link.error("settle a claim", fault);
                        self.give_back(copy).await;
                        return self.reply(Err(error));
                    }
                },
            };
            let package = self.name();
            tracing::warn!("the claim of {package} has to be announced again: {reason}");
            self.standing.send_replace(Standing::Away);
            self.keeper.place.set_copy(None);
            self.step(ClaimStep::Interrupted);
            copy.close().await;
            match self.announce_again().await {
                Ok(again) => (live, copy) = again,
                Err(lost) => {
                    self.step(ClaimStep::Lost);
                    self.standing.send_replace(Standing::Lost(lost.clone()));
                    return self.reply(Err(BrokerError::ClaimLost(lost)));
                }
            }
            tracing::info!("the claim of {package} is held again");
            self.step(ClaimStep::Reacquired);
            self.keeper.place.set_copy(Some(&copy.queue.channel));
            self.standing.send_replace(Standing::Held { again: true });
        }
    }

    fn name(&self) -> String {
        let Subject { origin, uuid, .. } = &self.keeper.subject;
        match uuid {
            Some(uuid) => format!("request {uuid} from {origin}"),
            None => format!("a message from {origin}"),
        }
    }

    fn step(&self, step: ClaimStep) {
        self.keeper.log().step(step);
    }

    fn reply(&mut self, outcome: Result<(), BrokerError>) {
        if let Some((_, reply)) = self.settlement.take() {
            // The worker may have stopped waiting.
            let _ = reply.send(outcome);
        }
    }

    async fn keep(&mut self, live: &Live, copy: &mut Copy) -> Interruption {
        loop {
            tokio::select! {
                verdict = &mut self.verdicts => return self.note(verdict),
                reason = copy.broken() => return Interruption::Broken(reason),
                Some(proof) = self.asked.recv() => self.proof = Some(proof),
                () = tokio::time::sleep(if self.proof.is_some() { Duration::ZERO } else { RENEW_EVERY }) => {}
            }
            if let Err(fault) = copy.renew(&self.keeper.subject).await {
                return Interruption::Broken(fault.to_string());
            }
            if let Some(proof) = self.proof.take() {
                // The worker may have stopped waiting.
                let _ = proof.send(());
            }
            if let Err(fault) = self.follow_origin(live, copy).await {
                return Interruption::Broken(fault.to_string());
            }
        }
    }

    /// Moves the copy into a quorum claim queue if its origin has become a quorum queue.
    ///
    /// A classic claim queue may lose it at a restart of the broker.
    async fn follow_origin(&self, live: &Live, copy: &mut Copy) -> Result<(), Fault> {
        let Keeper { shelf, subject, place, .. } = &self.keeper;
        match shelf.replacement(live, &copy.queue).await {
            Ok(Some(queue)) => {
                copy.move_to(queue, subject).await?;
                place.set_copy(Some(&copy.queue.channel));
            }
            Ok(None) => {}
            // The next renewal asks again.
            Err(fault) => tracing::debug!("cannot ask for the type of the queue of {}: {fault}", self.name()),
        }
        Ok(())
    }

    fn note(&mut self, verdict: Result<Settlement, oneshot::error::RecvError>) -> Interruption {
        match verdict {
            Ok(settlement) => {
                self.settlement = Some(settlement);
                Interruption::Verdict
            }
            Err(_) => Interruption::Dropped,
        }
    }

    /// Performs the worker's decision.
    ///
    /// When the connection breaks, everything can be done again. A request that is published twice then has the same id
    /// both times, and its attempts show that it may have a result.
    async fn perform(&self, live: &Live, copy: &mut Copy) -> Result<(), Fault> {
        let Keeper { subject, place, .. } = &self.keeper;
        let Some((verdict, _)) = &self.settlement else { return Ok(()) };
        match verdict {
            Verdict::Done => {}
            Verdict::Requeue | Verdict::Return | Verdict::Later { .. } => {
                // From here on, the lock must not make another worker drop the copy that goes back.
                place.set_copy(None);
                copy.queue.locks.unlock(subject).await?;
                self.step(ClaimStep::Unlocked);
                // Published, not dead-lettered by the broker, which would not confirm it.
                if let Verdict::Later { .. } = verdict {
                    delay::publish(live, &copy.queue.channel, subject, verdict).await?;
                    self.step(ClaimStep::Delayed);
                } else {
                    self.publish(copy, names::short(&subject.origin), subject.properties_after(verdict)).await?;
                    self.step(ClaimStep::Requeued);
                }
            }
            Verdict::Dead(reason) => {
                let queue = names::dead_queue(&subject.origin);
                queues::declare_dead(live, &subject.origin).await?;
                self.publish(copy, queue, subject.dead_properties(reason)).await?;
                self.step(ClaimStep::DeadLettered);
            }
        }
        copy.acknowledge().await
    }

    /// Ends the claim after its decision was performed: the worker goes on, and the slot may claim again.
    async fn end(mut self, copy: Copy) {
        self.keeper.place.set_copy(None);
        self.step(ClaimStep::Settled);
        let settlement = self.settlement.take();
        let Keeper { shelf, subject, place, .. } = self.keeper;
        if let Some((Verdict::Done | Verdict::Dead(_), _)) = settlement {
            copy.queue.locks.unlock_settled(subject, place);
        }
        shelf.put(copy.queue).await;
        if let Some((_, reply)) = settlement {
            // The worker may have stopped waiting.
            let _ = reply.send(Ok(()));
        }
    }

    /// Publishes the message to a durable queue, which is created if it does not exist.
    async fn publish(
        &self,
        copy: &Copy,
        queue: lapin::types::ShortString,
        properties: lapin::BasicProperties,
    ) -> Result<(), Fault> {
        let body = &self.keeper.subject.body;
        match copy.publish(queue.clone(), body, properties.clone()).await {
            Err(Fault::Missing(_)) => {
                queues::declare_durable(&copy.queue.channel, queue.clone()).await?;
                copy.publish(queue, body, properties).await
            }
            outcome => outcome,
        }
    }

    /// Returns the request to its queue.
    async fn give_back(&self, mut copy: Copy) {
        self.keeper.place.set_copy(None);
        self.step(ClaimStep::GivenBack);
        // The lock goes first: the worker that takes the request next must be able to run it.
        let unlocked = copy.queue.locks.unlock(&self.keeper.subject).await;
        copy.close().await;
        if let Err(fault) = unlocked {
            tracing::warn!("cannot give back {}: {fault}", self.name());
        }
    }

    /// Stores a new copy and acquires the lock again, however long that takes.
    ///
    /// # Errors
    /// The reason why the claim is lost.
    async fn announce_again(&mut self) -> Result<(Live, Copy), String> {
        loop {
            let live = match self.settlement {
                Some(_) => self.keeper.link.persistently().await,
                None => tokio::select! {
                    live = self.keeper.link.persistently() => live,
                    verdict = &mut self.verdicts => match self.note(verdict) {
                        // The broker is unreachable, and has returned the request to its queue by itself.
                        Interruption::Dropped => None,
                        _ => continue,
                    },
                },
            };
            let Some(live) = live else { return Err(GONE.to_owned()) };
            // A decision that comes from here on waits until the claim is held again, so that no copy is left half-way.
            match self.announce_on(&live).await {
                Ok((copy, true)) => return Ok((live, copy)),
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
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Stores a new copy on this connection.
    ///
    /// Returns whether the lock is ours; if not, another worker holds the request.
    async fn announce_on(&self, live: &Live) -> Result<(Copy, bool), Fault> {
        let Keeper { shelf, subject, .. } = &self.keeper;
        let mut copy = Copy::make(shelf.take(live).await?, subject).await?;
        loop {
            let locking = match acquire::lock(live, subject, &mut copy, false, || true).await {
                // The test is running already, and goes on.
                Ok(Locking::Namesake) => {
                    tokio::time::sleep(PAUSE).await;
                    copy.renew(subject).await.map(|()| Locking::Namesake)
                }
                locking => locking,
            };
            match locking {
                Ok(Locking::Ours { .. }) => return Ok((copy, true)),
                Ok(Locking::Taken) => return Ok((copy, false)),
                Ok(Locking::Namesake) => {}
                Err(fault) => {
                    self.step(ClaimStep::Interrupted);
                    copy.close().await;
                    return Err(fault);
                }
            }
        }
    }
}
