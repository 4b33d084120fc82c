//! Queueing what forges deliver, and what people ask for over the web: what comes at the same time goes to the broker together.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, warn};

use super::journal::{self, Begun, Delivered, Journal};
use crate::broker::{Broker, BrokerError};
use crate::release::QueueName;
use crate::request::line::Submission;

/// So much waits at most; who comes then waits to be let in.
const WAITING: usize = 1024;
/// So much goes to the broker at once.
const TOGETHER: usize = 64;

/// What has become of something that was handed in.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The broker has confirmed these requests. Perhaps none: all are queued already, or the delivery asked for none.
    Queued(Vec<Submission>),
    /// It was done before.
    Known,
    /// It came before, and whether all of it is queued is being found out.
    Unfinished,
    /// Another delivery had the same content.
    Repeated,
    /// Nothing is queued: in words, why.
    Unavailable(String),
    /// It may be queued, all of it or a part: in words, why that is not known. A delivery is in the journal, and its requests are looked for.
    Unconfirmed(String),
}

enum Work {
    Delivery(Delivered),
    Requests(Vec<Submission>),
}

type Handed = (Work, oneshot::Sender<Answer>);

/// Where things are handed in.
#[derive(Clone)]
pub struct Intake {
    sender: mpsc::Sender<Handed>,
}

/// The other end.
pub struct Desk {
    receiver: mpsc::Receiver<Handed>,
    journal: Journal,
    broker: Arc<Broker>,
    /// The site's queues.
    known: Vec<QueueName>,
    /// Told whenever the journal has something new.
    changed: watch::Sender<()>,
    /// The earliest time of what comes next: nothing that comes later has an earlier one, whatever the clock does.
    next: Timestamp,
}

impl Intake {
    /// Both ends.
    pub fn new(
        journal: Journal,
        broker: Arc<Broker>,
        known: Vec<QueueName>,
        changed: watch::Sender<()>,
    ) -> (Self, Desk) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self { sender }, Desk { receiver, journal, broker, known, changed, next: Timestamp::UNIX_EPOCH })
    }

    /// Hands a delivery in, and waits until it is certain what becomes of it.
    pub async fn deliver(&self, delivery: Delivered) -> Answer {
        self.hand_in(Work::Delivery(delivery)).await
    }

    /// Hands requests in that somebody asks for.
    pub async fn request(&self, requests: Vec<Submission>) -> Answer {
        self.hand_in(Work::Requests(requests)).await
    }

    async fn hand_in(&self, work: Work) -> Answer {
        let ended = || "the service is being stopped".to_owned();
        let (sender, receiver) = oneshot::channel();
        if self.sender.send((work, sender)).await.is_err() {
            return Answer::Unavailable(ended());
        }
        receiver.await.unwrap_or_else(|_| Answer::Unconfirmed(ended()))
    }
}

impl Desk {
    /// Works until every [`Intake`] is gone and everything that was handed in is done.
    pub async fn serve(mut self) {
        let mut handed = Vec::new();
        while self.receiver.recv_many(&mut handed, TOGETHER).await > 0 {
            self.take(std::mem::take(&mut handed)).await;
            self.changed.send_replace(());
        }
    }

    async fn take(&mut self, handed: Vec<Handed>) {
        // What hangs on something else of the same batch is decided when that is.
        let in_doubt = self.round(handed, false).await;
        if !in_doubt.is_empty() {
            self.round(in_doubt, true).await;
        }
    }

    /// Takes what was handed in. Gives back what cannot be decided yet, unless it is the last round.
    async fn round(&mut self, handed: Vec<Handed>, is_last: bool) -> Vec<Handed> {
        let (mut deliveries, mut senders) = (Vec::new(), Vec::new());
        let mut batch: Vec<Job> = Vec::new();
        let mut in_doubt: Vec<Handed> = Vec::new();
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
                self.journal.begin(some.to_vec(), now).await
            }
        };
        match begun {
            Ok(begun) => {
                for ((begun, delivery), sender) in begun.into_iter().zip(deliveries).zip(senders) {
                    let answer = match begun {
                        Begun::New(tests) => {
                            let requests = tests.into_iter().map(|test| test.submission).collect();
                            batch.push(Job { delivery: Some(delivery.id), requests, sender });
                            continue;
                        }
                        Begun::Done => Answer::Known,
                        Begun::Unfinished if !is_last => {
                            in_doubt.push((Work::Delivery(delivery), sender));
                            continue;
                        }
                        Begun::Unfinished => Answer::Unfinished,
                        Begun::Repeated => Answer::Repeated,
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

    /// Queues all of it together, or, when that fails before anything was sent, each for itself.
    async fn queue(&self, batch: Vec<Job>) {
        let all: Vec<Submission> = batch.iter().flat_map(|job| job.requests.iter().cloned()).collect();
        match self.submit(&all).await {
            Ok(()) => self.confirm(batch).await,
            // One queue is missing: the others need not wait for it.
            Err(BrokerError::NoSuchQueue { .. }) if batch.len() > 1 => {
                let mut is_away: Option<String> = None;
                for job in batch {
                    // A broker that hangs is not waited for again and again: others wait to be looked after.
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
                    // The first ones are certain; from one that is not whole on, nothing is.
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
        // Their requests are queued whatever the journal says. If it says nothing, what is left is found out later.
        if !ids.is_empty()
            && let Err(failure) = self.journal.queued(ids).await
        {
            error!("{failure}");
        }
        for job in jobs {
            let _ = job.sender.send(Answer::Queued(job.requests));
        }
    }

    /// Queues of a delivery what has a queue; the other tests end without having been run. Nothing of it was sent before.
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
        // Who asks for several tests by hand gets all or none.
        if job.requests.is_empty() || job.delivery.is_none() {
            return self.fail(job, &failure.to_string(), true).await;
        }
        match self.submit(&job.requests).await {
            Ok(()) => {
                for (uuid, queue) in bad.iter().filter_map(|one| Some((one.request.uuid()?.clone(), &one.queue))) {
                    // If this is not written down, it is found out later.
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

    /// What may have been sent is looked for; what was certainly not may come again.
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

/// Whether nothing was sent.
fn is_certain(failure: &BrokerError) -> bool {
    !matches!(failure, BrokerError::Unconfirmed { .. })
}

/// Something to queue.
struct Job {
    delivery: Option<String>,
    requests: Vec<Submission>,
    sender: oneshot::Sender<Answer>,
}
