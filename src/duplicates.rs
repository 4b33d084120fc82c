//! What waits or runs already is not asked for again.

use std::collections::{BTreeSet, HashMap};

use crate::broker::{Broker, BrokerError};
use crate::release::QueueName;
use crate::request::line::Submission;
use crate::request::{Request, SourcePackage};
use jiff::Timestamp;

/// The same request, which is there already.
#[derive(Debug, Clone)]
pub struct Duplicate {
    /// Its id; empty if it has none.
    pub uuid: String,
    /// Where it is.
    pub state: State,
}

/// Where the same request is.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// The requests that are there, by queue and package: the same request is among few.
#[derive(Default)]
struct There(HashMap<QueueName, HashMap<SourcePackage, Vec<(Request, Duplicate)>>>);

/// For each submission, the same request that is there already. Among several queues, those in which nothing is are not looked into.
///
/// # Errors
/// When the broker cannot be asked.
pub async fn find(submissions: &[Submission], broker: &Broker) -> Result<Vec<Option<Duplicate>>, BrokerError> {
    let queues: BTreeSet<&QueueName> = submissions.iter().map(|submission| &submission.queue).collect();
    let queues: Vec<QueueName> = queues.into_iter().cloned().collect();
    let mut there = There::default();
    // Of many queues most are empty, which is quick to learn; one is looked into at once.
    let filled = match queues.as_slice() {
        [_] => queues,
        _ => {
            let states = broker.inspect(&queues).await?.into_iter();
            let filled = states.filter(|state| state.ready + state.delayed + state.claimed > 0);
            filled.map(|state| state.queue).collect()
        }
    };
    if there.see_what_waits(&filled, broker).await? {
        there.see_what_runs(broker).await?;
    }
    let mut asked: HashMap<(&QueueName, &SourcePackage), Vec<&Request>> = HashMap::new();
    let mut duplicates = Vec::with_capacity(submissions.len());
    for Submission { queue, request } in submissions {
        let alike = asked.entry((queue, request.package())).or_default();
        if let Some(earlier) = alike.iter().find(|earlier| earlier.same_test(request)) {
            duplicates.push(Some(Duplicate { uuid: id(earlier), state: State::AskedTwice }));
            continue;
        }
        alike.push(request);
        duplicates.push(there.same(queue, request).cloned());
    }
    Ok(duplicates)
}

impl There {
    /// Whether anything runs, too.
    async fn see_what_waits(&mut self, queues: &[QueueName], broker: &Broker) -> Result<bool, BrokerError> {
        let mut anything_runs = false;
        for queue in queues {
            let contents = match broker.contents(queue, usize::MAX).await {
                // Nobody has made it yet, or somebody has deleted it.
                Err(BrokerError::NoSuchQueue { .. }) => continue,
                other => other?,
            };
            anything_runs |= !contents.claimed.is_empty();
            let bodies = contents.ready.iter().chain(&contents.delayed);
            for request in bodies.filter_map(|body| Request::parse(body).ok()) {
                self.add(queue, request, State::Queued);
            }
        }
        Ok(anything_runs)
    }

    async fn see_what_runs(&mut self, broker: &Broker) -> Result<(), BrokerError> {
        for test in broker.running().await? {
            if let Some(request) = test.request() {
                let told = test.news.map(|news| (news.since, news.worker));
                self.add(&test.queue, request, State::Running(told));
            }
        }
        Ok(())
    }

    fn add(&mut self, queue: &QueueName, request: Request, state: State) {
        let duplicate = Duplicate { uuid: id(&request), state };
        let of_queue = self.0.entry(queue.clone()).or_default();
        of_queue.entry(request.package().clone()).or_default().push((request, duplicate));
    }

    fn same(&self, queue: &QueueName, request: &Request) -> Option<&Duplicate> {
        let alike = self.0.get(queue)?.get(request.package())?;
        alike.iter().find(|(other, _)| other.same_test(request)).map(|(_, duplicate)| duplicate)
    }
}

fn id(request: &Request) -> String {
    request.uuid().map(ToString::to_string).unwrap_or_default()
}
