//! Requests that wait or run already, so that they are not submitted again.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::broker::{Broker, BrokerError};
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

/// The existing requests, by queue and package, so that the same test is searched for among few.
#[derive(Default)]
struct ExistingRequests(HashMap<QueueName, HashMap<SourcePackage, Vec<(Request, Duplicate)>>>);

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
    let mut there = ExistingRequests::default();
    // Most of many queues are empty, which is quick to find out. A single queue is listed at once.
    let filled = match queues.as_slice() {
        [_] => queues,
        _ => {
            let states = broker.inspect(&queues).await?.into_iter();
            let filled = states.filter(|state| state.ready + state.delayed + state.claimed > 0);
            filled.map(|state| state.queue).collect()
        }
    };
    let packages: HashSet<&str> = submissions.iter().map(|one| one.request.package().as_str()).collect();
    let (anything_runs, hidden) = there.see_what_waits(&filled, &packages, broker).await?;
    if anything_runs {
        there.see_what_runs(broker).await?;
    }
    let mut asked: HashMap<(&QueueName, &SourcePackage), Vec<&Request>> = HashMap::new();
    let mut duplicates = Vec::with_capacity(submissions.len());
    for Submission { queue, request } in submissions {
        let alike = asked.entry((queue, request.package())).or_default();
        if let Some(earlier) = alike.iter().find(|earlier| earlier.same_test(request)) {
            duplicates.push(Some(Duplicate { uuid: id(earlier), state: DuplicateState::AskedTwice }));
            continue;
        }
        alike.push(request);
        duplicates.push(there.same(queue, request).cloned());
    }
    if !hidden.is_empty() {
        let noted = notes.find(submissions, Timestamp::now());
        for ((duplicate, submission), noted) in duplicates.iter_mut().zip(submissions).zip(noted) {
            if let Some(noted) = noted.filter(|_| duplicate.is_none() && hidden.contains(&submission.queue)) {
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

impl ExistingRequests {
    /// Adds the requests that wait. Returns whether any request runs, and the queues that cannot be listed.
    async fn see_what_waits(
        &mut self,
        queues: &[QueueName],
        packages: &HashSet<&str>,
        broker: &Broker,
    ) -> Result<(bool, HashSet<QueueName>), BrokerError> {
        let mut anything_runs = false;
        let mut hidden = HashSet::new();
        for queue in queues {
            let contents = match broker.visible_contents(queue, usize::MAX).await {
                // The queue was never created, or was deleted.
                Err(BrokerError::NoSuchQueue { .. }) => continue,
                other => other?,
            };
            anything_runs |= !contents.claimed.is_empty();
            if contents.hidden.is_some() {
                hidden.insert(queue.clone());
            }
            // Few messages of a long queue are about these packages; the others need not be parsed.
            let bodies = contents.ready.iter().chain(&contents.delayed).filter(|body| is_about(body, packages));
            for request in bodies.filter_map(|body| Request::parse(body).ok()) {
                self.add(queue, request, DuplicateState::Queued);
            }
        }
        Ok((anything_runs, hidden))
    }

    async fn see_what_runs(&mut self, broker: &Broker) -> Result<(), BrokerError> {
        for test in broker.running().await? {
            if let Some(request) = test.request() {
                let told = test.progress.map(|news| (news.since, news.worker));
                self.add(&test.queue, request, DuplicateState::Running(told));
            }
        }
        Ok(())
    }

    fn add(&mut self, queue: &QueueName, request: Request, state: DuplicateState) {
        let duplicate = Duplicate { uuid: id(&request), state };
        let of_queue = self.0.entry(queue.clone()).or_default();
        of_queue.entry(request.package().clone()).or_default().push((request, duplicate));
    }

    fn same(&self, queue: &QueueName, request: &Request) -> Option<&Duplicate> {
        let alike = self.0.get(queue)?.get(request.package())?;
        let same = || alike.iter().filter(|(other, _)| other.same_test(request));
        // The same request comes before another one for the same test.
        let itself = same().find(|(other, _)| other.uuid().is_some() && other.uuid() == request.uuid());
        itself.or_else(|| same().next()).map(|(_, duplicate)| duplicate)
    }
}

/// Returns whether a message begins with the name of one of these packages.
fn is_about(body: &[u8], packages: &HashSet<&str>) -> bool {
    let first = body.trim_ascii_start().split(u8::is_ascii_whitespace).next().unwrap_or_default();
    std::str::from_utf8(first).is_ok_and(|package| packages.contains(package))
}

fn id(request: &Request) -> String {
    request.uuid().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_about_the_packages_are_read() {
        let packages = HashSet::from(["gzip", "lib"]);
        for body in ["gzip", "gzip {}", " gzip\n{\"triggers\": []}", "lib\t{}"] {
            assert!(is_about(body.as_bytes(), &packages), "{body}");
        }
        for body in ["", "gzip2 {}", "other {\"testname\": \"gzip \"}", "\u{a0}", "{}"] {
            assert!(!is_about(body.as_bytes(), &packages), "{body}");
        }
        assert!(!is_about(b"\xff\xfe", &packages));
    }
}
