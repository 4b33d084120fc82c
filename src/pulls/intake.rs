//! Queueing of deliveries and of requests over the web. Work that arrives at the same time goes to the broker in one
//! batch.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, warn};

use super::journal::{self, DeliveryRecord, IntakeDecision, Journal};
use crate::broker::{Broker, BrokerError};
use crate::release::QueueName;
use crate::request::line::Submission;

/// Maximum number of waiting jobs; further senders wait until there is room.
const CAPACITY: usize = 1024;
/// Maximum number of jobs in one batch.
const BATCH_SIZE: usize = 64;

/// Outcome of a delivery or of a user's requests.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The broker has confirmed these requests. There are none when all were queued before, or the delivery requests
    /// none.
    Queued(Vec<Submission>),
    /// The delivery was processed before.
    Known,
    /// The delivery was received before, and whether all of it is queued is being determined.
    Unfinished,
    /// Another delivery had the same content.
    Repeated,
    /// Nothing is queued, for this reason.
    Unavailable(String),
    /// All or some of it may be queued; the text says why that is unknown. A delivery is in the journal, and its
    /// requests are searched later.
    Unconfirmed(String),
}

enum Work {
    Delivery(DeliveryRecord),
    Requests(Vec<Submission>),
}

type PendingWork = (Work, oneshot::Sender<Answer>);

/// The sending end: accepts deliveries and requests.
#[derive(Clone)]
pub struct Intake {
    sender: mpsc::Sender<PendingWork>,
}

/// The receiving end: records and queues what the senders pass on.
pub struct IntakeWorker {
    receiver: mpsc::Receiver<PendingWork>,
    journal: Journal,
    broker: Arc<Broker>,
    /// The site's queues.
    known: Vec<QueueName>,
    /// Notified when the journal has changed.
    changed: watch::Sender<()>,
    /// Earliest time of the next delivery, so that times do not go back when the clock does.
    next: Timestamp,
}

impl Intake {
    /// Creates both ends.
    pub fn new(
        journal: Journal,
        broker: Arc<Broker>,
        known: Vec<QueueName>,
        changed: watch::Sender<()>,
    ) -> (Self, IntakeWorker) {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        (Self { sender }, IntakeWorker { receiver, journal, broker, known, changed, next: Timestamp::UNIX_EPOCH })
    }

    /// Passes a delivery on and waits for its outcome.
    pub async fn deliver(&self, delivery: DeliveryRecord) -> Answer {
        self.enqueue(Work::Delivery(delivery)).await
    }

    /// Passes a user's requests on and waits for their outcome.
    pub async fn request(&self, requests: Vec<Submission>) -> Answer {
        self.enqueue(Work::Requests(requests)).await
    }

    async fn enqueue(&self, work: Work) -> Answer {
        let ended = || "the service is being stopped".to_owned();
        let (sender, receiver) = oneshot::channel();
        if self.sender.send((work, sender)).await.is_err() {
            return Answer::Unavailable(ended());
        }
        receiver.await.unwrap_or_else(|_| Answer::Unconfirmed(ended()))
    }
}

impl IntakeWorker {
    /// Runs until every [`Intake`] is dropped and all accepted work is done.
    pub async fn serve(mut self) {
        let mut handed = Vec::new();
        while self.receiver.recv_many(&mut handed, BATCH_SIZE).await > 0 {
            self.take(std::mem::take(&mut handed)).await;
            self.changed.send_replace(());
        }
    }

    async fn take(&mut self, handed: Vec<PendingWork>) {
        // A delivery that depends on another one of the batch is decided after that one.
        let in_doubt = self.round(handed, false).await;
        if !in_doubt.is_empty() {
            self.round(in_doubt, true).await;
        }
    }

    /// Processes a batch. Returns what cannot be decided yet, unless it is the last round.
    async fn round(&mut self, handed: Vec<PendingWork>, is_last: bool) -> Vec<PendingWork> {
        let (mut deliveries, mut senders) = (Vec::new(), Vec::new());
        let mut batch: Vec<Job> = Vec::new();
        let mut in_doubt: Vec<PendingWork> = Vec::new();
        for (work, sender) in handed {
            match work {
                Work::Delivery(delivery) => {
                    deliveries.push(delivery);
                    senders.push(sender);
                }
                Work::Requests(requests) => batch.push(Job { delivery: None, requests, sender }),
            }
        }
        let begun = match deliveries.as_slice() {
            [] => Ok(Vec::new()),
            some => {
                let now = Timestamp::now().max(self.next);
                self.next = now + journal::TICK * i32::try_from(some.len()).unwrap_or(i32::MAX);
                self.journal.record(some.to_vec(), now).await
            }
        };
        match begun {
            Ok(begun) => {
                for ((begun, delivery), sender) in begun.into_iter().zip(deliveries).zip(senders) {
                    let answer = match begun {
                        IntakeDecision::New(tests) => {
                            let requests = tests.into_iter().map(|test| test.submission).collect();
                            batch.push(Job { delivery: Some(delivery.id), requests, sender });
                            continue;
                        }
                        IntakeDecision::Done => Answer::Known,
                        IntakeDecision::Unfinished if !is_last => {
                            in_doubt.push((Work::Delivery(delivery), sender));
                            continue;
                        }
                        IntakeDecision::Unfinished => Answer::Unfinished,
                        IntakeDecision::Repeated => Answer::Repeated,
                    };
                    let _ = sender.send(answer);
                }
            }
            Err(failure) => {
                error!("{failure}");
                for sender in senders {
                    let _ = sender.send(Answer::Unavailable("the journal cannot be written".to_owned()));
                }
            }
        }
        self.queue(batch).await;
        in_doubt
    }

    /// Queues a batch with one submission, or, if one of its queues is missing, each job separately.
    async fn queue(&self, batch: Vec<Job>) {
        let all: Vec<Submission> = batch.iter().flat_map(|job| job.requests.iter().cloned()).collect();
        match self.submit(&all).await {
            Ok(()) => self.confirm(batch).await,
            // A queue is missing, which must not affect the other jobs.
            Err(BrokerError::NoSuchQueue { .. }) if batch.len() > 1 => {
                let mut is_away: Option<String> = None;
                for job in batch {
                    // After the first failure the broker is not tried again for each job, because further work is
                    // waiting.
                    match &is_away {
                        Some(reason) if !job.requests.is_empty() => self.fail(job, reason, true).await,
                        _ => match self.submit(&job.requests).await {
                            Ok(()) => self.confirm(vec![job]).await,
                            Err(failure) => {
                                if matches!(failure, BrokerError::NoSuchQueue { .. }) {
                                    self.queue_rest(job, &failure).await;
                                } else {
                                    is_away = Some(failure.to_string());
                                    self.fail(job, &failure.to_string(), is_certain(&failure)).await;
                                }
                            }
                        },
                    }
                }
            }
            Err(failure @ BrokerError::NoSuchQueue { .. }) => {
                for job in batch {
                    self.queue_rest(job, &failure).await;
                }
            }
            Err(failure @ BrokerError::Unconfirmed { mut confirmed, .. }) => {
                let failure = failure.to_string();
                for job in batch {
                    // The broker confirms in order: jobs before the first incomplete one are certain.
                    match confirmed.checked_sub(job.requests.len()) {
                        Some(left) => {
                            confirmed = left;
                            self.confirm(vec![job]).await;
                        }
                        None => {
                            confirmed = 0;
                            self.fail(job, &failure, false).await;
                        }
                    }
                }
            }
            Err(failure) => {
                for job in batch {
                    if job.requests.is_empty() {
                        self.confirm(vec![job]).await;
                    } else {
                        self.fail(job, &failure.to_string(), true).await;
                    }
                }
            }
        }
    }

    async fn submit(&self, requests: &[Submission]) -> Result<(), BrokerError> {
        if requests.is_empty() {
            return Ok(());
        }
        self.broker.submit(requests, &self.known, &mut |_| {}).await
    }

    async fn confirm(&self, jobs: Vec<Job>) {
        let ids: Vec<String> = jobs.iter().filter_map(|job| job.delivery.clone()).collect();
        // The requests are queued even if the journal cannot record it; the background task finds that later.
        if !ids.is_empty()
            && let Err(failure) = self.journal.mark_queued(ids).await
        {
            error!("{failure}");
        }
        for job in jobs {
            let _ = job.sender.send(Answer::Queued(job.requests));
        }
    }

    /// Queues the requests of a delivery that have a queue, and ends the other tests without a run. Nothing was sent
    /// before.
    async fn queue_rest(&self, job: Job, failure: &BrokerError) {
        let Job { delivery, requests, sender } = job;
        let queues: Vec<QueueName> = requests.iter().map(|request| request.queue.clone()).collect();
        let there = match self.broker.existing(&queues).await {
            Ok(there) => there,
            Err(failure) => {
                return self.fail(Job { delivery, requests, sender }, &failure.to_string(), true).await;
            }
        };
        let has_queue = |one: &Submission| there.contains(&one.queue) || self.known.contains(&one.queue);
        let (good, bad): (Vec<Submission>, Vec<Submission>) = requests.into_iter().partition(has_queue);
        let job = Job { delivery, requests: good, sender };
        // The requests of a user are queued together or not at all.
        if job.requests.is_empty() || job.delivery.is_none() {
            return self.fail(job, &failure.to_string(), true).await;
        }
        match self.submit(&job.requests).await {
            Ok(()) => {
                for (uuid, queue) in bad.iter().filter_map(|one| Some((one.request.uuid()?.clone(), &one.queue))) {
                    // If this cannot be recorded, the background task finds it later.
                    if let Err(failure) =
                        self.journal.end_untested(uuid, &format!("there is no queue {queue}"), false).await
                    {
                        error!("{failure}");
                    }
                }
                self.confirm(vec![job]).await;
            }
            Err(failure) => self.fail(job, &failure.to_string(), is_certain(&failure)).await,
        }
    }

    /// Reports a failure. A delivery of which certainly nothing was sent may come again; otherwise its requests are
    /// searched later.
    async fn fail(&self, job: Job, reason: &str, is_certain: bool) {
        if !is_certain {
            warn!("what was handed in may not be queued: {reason}");
            let _ = job.sender.send(Answer::Unconfirmed(reason.to_owned()));
            return;
        }
        warn!("nothing was queued: {reason}");
        if let Some(id) = job.delivery
            && let Err(failure) = self.journal.forget(id).await
        {
            error!("{failure}");
        }
        let _ = job.sender.send(Answer::Unavailable(reason.to_owned()));
    }
}

/// Whether it is certain that nothing was sent.
fn is_certain(failure: &BrokerError) -> bool {
    !matches!(failure, BrokerError::Unconfirmed { .. })
}

/// Requests to queue together.
struct Job {
    delivery: Option<String>,
    requests: Vec<Submission>,
    sender: oneshot::Sender<Answer>,
}
