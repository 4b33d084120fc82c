//! What waits or runs already is not asked for again.

use std::collections::{BTreeSet, HashMap};

use apt_ci::broker::{Broker, BrokerError, QueueState};
use apt_ci::release::QueueName;
use apt_ci::request::line::Submission;
use apt_ci::request::{Request, SourcePackage};
use jiff::Timestamp;

use crate::ui::when;

/// The same request, which is there already.
#[derive(Clone)]
pub struct Duplicate {
    /// Its id, if it has one.
    pub uuid: String,
    pub state: State,
}

#[derive(Clone, PartialEq, Eq)]
pub enum State {
    /// It waits for a worker, or waits out a delay.
    Queued,
    /// A worker has it; since when and which one, if it tells.
    Running(Option<(Timestamp, String)>),
    /// It is asked for in the same call.
    AskedTwice,
}

impl State {
    /// For programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Queued | Self::AskedTwice => "already-queued",
            Self::Running(_) => "already-running",
        }
    }
}

impl Duplicate {
    /// For people: `is already running for 3m 20s on host1 as …`.
    pub fn said(&self, now: Timestamp) -> String {
        let Self { uuid, state } = self;
        match state {
            State::Queued => format!("is already queued as {uuid}"),
            State::AskedTwice => "is asked for twice".to_owned(),
            State::Running(None) => format!("is already running as {uuid}"),
            State::Running(Some((since, worker))) => {
                let seconds = u64::try_from(now.as_second() - since.as_second()).unwrap_or_default();
                format!("is already running for {} on {worker} as {uuid}", when::duration(seconds))
            }
        }
    }
}

/// The requests that are there, by queue and package: the same request is among few.
#[derive(Default)]
struct There(HashMap<(QueueName, SourcePackage), Vec<(Request, Duplicate)>>);

/// For each submission, the same request that is there already. Queues in which nothing is are not looked into.
///
/// # Errors
/// When the broker cannot be asked.
pub async fn find(submissions: &[Submission], broker: &Broker) -> Result<Vec<Option<Duplicate>>, BrokerError> {
    let queues: BTreeSet<&QueueName> = submissions.iter().map(|submission| &submission.queue).collect();
    let queues: Vec<QueueName> = queues.into_iter().cloned().collect();
    let states = broker.inspect(&queues).await?;
    let mut there = There::default();
    there.see_what_runs(&states, broker).await?;
    there.see_what_waits(&states, broker).await?;
    Ok(submissions.iter().map(|submission| there.meet(submission)).collect())
}

impl There {
    async fn see_what_runs(&mut self, states: &[QueueState], broker: &Broker) -> Result<(), BrokerError> {
        if states.iter().all(|state| state.claimed == 0) {
            return Ok(());
        }
        for test in broker.running().await? {
            if let Some(request) = test.request() {
                let told = test.news.map(|news| (news.since, news.worker));
                self.add(&test.queue, request, State::Running(told));
            }
        }
        Ok(())
    }

    async fn see_what_waits(&mut self, states: &[QueueState], broker: &Broker) -> Result<(), BrokerError> {
        for state in states.iter().filter(|state| state.ready + state.delayed > 0) {
            let contents = match broker.contents(&state.queue, usize::MAX).await {
                // Somebody has deleted it meanwhile.
                Err(BrokerError::NoSuchQueue { .. }) => continue,
                other => other?,
            };
            let bodies = contents.ready.iter().chain(&contents.delayed);
            for request in bodies.filter_map(|body| Request::parse(body).ok()) {
                self.add(&state.queue, request, State::Queued);
            }
        }
        Ok(())
    }

    fn add(&mut self, queue: &QueueName, request: Request, state: State) {
        let uuid = request.uuid().map(ToString::to_string).unwrap_or_default();
        let place = (queue.clone(), request.package().clone());
        self.0.entry(place).or_default().push((request, Duplicate { uuid, state }));
    }

    /// The same request, if it is there; otherwise this one is from now on.
    fn meet(&mut self, Submission { queue, request }: &Submission) -> Option<Duplicate> {
        let alike = self.0.get(&(queue.clone(), request.package().clone()));
        let same = alike.and_then(|alike| alike.iter().find(|(other, _)| other.same_test(request)));
        if let Some((_, duplicate)) = same {
            return Some(duplicate.clone());
        }
        self.add(queue, request.clone(), State::AskedTwice);
        None
    }
}
