//! Requests that wait or run already, so that they are not submitted again.

use std::collections::{BTreeSet, HashMap};

use crate::broker::{Broker, BrokerError, LocatedRequest, RequestPlace, Snapshot};
use crate::release::QueueName;
use crate::request::line::Submission;
use crate::request::{Request, SourcePackage};
use crate::result::ResultLocation;
use crate::runs;
use crate::store::Store;
use crate::submitted::Notes;
use jiff::Timestamp;

/// A request for the same test that exists already.
#[derive(Debug, Clone)]
pub struct Duplicate {
    /// Id of the existing request; empty if it has none.
    pub uuid: String,
    /// Place of the existing request.
    pub state: DuplicateState,
}

/// Place of an existing request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DuplicateState {
    /// The request waits for a worker, or waits out a delay.
    Queued,
    /// The request was queued at this time, in a queue that cannot be listed, and was not seen to run.
    Noted(Timestamp),
    /// A worker runs the request: since this time, and with this name, if it reports them.
    Running(Option<(Timestamp, String)>),
    /// The request was submitted before in the same call.
    AskedTwice,
}

impl DuplicateState {
    /// Returns the word for it in output for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Queued | Self::Noted(_) | Self::AskedTwice => "already-queued",
            Self::Running(_) => "already-running",
        }
    }
}

/// The requests of a snapshot, by queue and package, so that the same test is searched for among few.
struct ExistingRequests<'a>(HashMap<(&'a QueueName, &'a SourcePackage), Vec<&'a LocatedRequest>>);

/// Returns, for each submission, the existing request for the same test.
///
/// Empty queues are not listed. In a queue that cannot be listed, duplicates are found among running tests and notes:
/// see [`drop_finished`].
///
/// # Errors
/// When the broker cannot be asked.
pub async fn find(
    submissions: &[Submission],
    broker: &Broker,
    notes: &Notes,
) -> Result<Vec<Option<Duplicate>>, BrokerError> {
    let queues: BTreeSet<&QueueName> = submissions.iter().map(|submission| &submission.queue).collect();
    let queues: Vec<QueueName> = queues.into_iter().cloned().collect();
    let packages = submissions.iter().map(|submission| submission.request.package().as_str());
    let mut snapshot = Snapshot::of_packages(packages);
    match queues.as_slice() {
        // A single queue is listed at once; of many, most are empty, which is quick to find out.
        [queue] => snapshot.add_queue(broker, queue).await?,
        _ => snapshot.add_queues(broker, &broker.inspect(&queues).await?).await?,
    }
    // Workers are asked for their progress only if there is any.
    if snapshot.requests().iter().any(|located| matches!(located.place, RequestPlace::Running(_))) {
        snapshot.add_running(broker).await?;
    }
    let there = ExistingRequests::of(&snapshot);
    let mut asked: HashMap<(&QueueName, &SourcePackage), Vec<&Request>> = HashMap::new();
    let mut duplicates = Vec::with_capacity(submissions.len());
    for Submission { queue, request } in submissions {
        let alike = asked.entry((queue, request.package())).or_default();
        if let Some(earlier) = alike.iter().find(|earlier| earlier.same_test(request)) {
            duplicates.push(Some(Duplicate { uuid: id(earlier), state: DuplicateState::AskedTwice }));
            continue;
        }
        alike.push(request);
        duplicates.push(there.same(queue, request));
    }
    let hidden = snapshot.hidden();
    if !hidden.is_empty() {
        let noted = notes.find(submissions, Timestamp::now());
        for ((duplicate, submission), noted) in duplicates.iter_mut().zip(submissions).zip(noted) {
            if let Some(noted) = noted.filter(|_| duplicate.is_none() && hidden.contains_key(&submission.queue)) {
                *duplicate = Some(Duplicate { uuid: noted.uuid.to_string(), state: DuplicateState::Noted(noted.time) });
            }
        }
    }
    Ok(duplicates)
}

/// Returns whether any duplicate is known only by its note.
pub fn any_noted(duplicates: &[Option<Duplicate>]) -> bool {
    duplicates.iter().flatten().any(|duplicate| matches!(duplicate.state, DuplicateState::Noted(_)))
}

/// Drops duplicates that are known by a note and have a result: they no longer wait.
///
/// If that is unknown, or there is no store to ask, the test is requested again, which costs less than a test that is
/// never run.
pub async fn drop_finished(duplicates: &mut [Option<Duplicate>], submissions: &[Submission], store: Option<&Store>) {
    for (duplicate, submission) in duplicates.iter_mut().zip(submissions) {
        let Some(Duplicate { uuid, state: DuplicateState::Noted(_) }) = duplicate else { continue };
        let place = ResultLocation::of(&submission.request, &submission.queue);
        let waits = match (store, uuid.parse()) {
            (Some(store), Ok(uuid)) => matches!(runs::with_uuid(store, &place, &uuid).await, Ok(None)),
            _ => false,
        };
        if !waits {
            *duplicate = None;
        }
    }
}

impl<'a> ExistingRequests<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        let mut alike: HashMap<_, Vec<_>> = HashMap::new();
        for located in snapshot.requests().iter().filter(|located| located.place.is_alive()) {
            alike.entry((&located.queue, located.request.package())).or_default().push(located);
        }
        Self(alike)
    }

    fn same(&self, queue: &QueueName, request: &Request) -> Option<Duplicate> {
        let alike =
            self.0.get(&(queue, request.package()))?.iter().filter(|located| located.request.same_test(request));
        // The request itself comes before another one for its test.
        let is_other = |other: &Request| other.uuid().is_none() || other.uuid() != request.uuid();
        let nearest = alike.min_by_key(|located| (is_other(&located.request), located.place.rank()))?;
        let state = match &nearest.place {
            RequestPlace::Running(progress) => {
                DuplicateState::Running(progress.as_ref().map(|progress| (progress.since, progress.worker.clone())))
            }
            _ => DuplicateState::Queued,
        };
        Some(Duplicate { uuid: id(&nearest.request), state })
    }
}

fn id(request: &Request) -> String {
    request.uuid().map(ToString::to_string).unwrap_or_default()
}
