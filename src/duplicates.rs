//! What waits or runs already is not asked for again.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::broker::{Broker, BrokerError};
use crate::release::QueueName;
use crate::request::line::Submission;
use crate::request::{Request, SourcePackage};
use crate::result::Place;
use crate::runs;
use crate::store::Store;
use crate::submitted::Notes;
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
    /// It was queued then, where the queue cannot be looked into, and has not been seen to run.
    Noted(Timestamp),
    /// A worker has it; since when and which one, if it tells.
    Running(Option<(Timestamp, String)>),
    /// It is asked for in the same call.
    AskedTwice,
}

impl State {
    /// For programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Queued | Self::Noted(_) | Self::AskedTwice => "already-queued",
            Self::Running(_) => "already-running",
        }
    }
}

/// The requests that are there, by queue and package: the same request is among few.
#[derive(Default)]
struct There(HashMap<QueueName, HashMap<SourcePackage, Vec<(Request, Duplicate)>>>);

/// For each submission, the same request that is there already. Among several queues, those in which nothing is are not looked into. Of a
/// queue that cannot be looked into, what runs is found, and what is noted: see [`drop_finished`].
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
            duplicates.push(Some(Duplicate { uuid: id(earlier), state: State::AskedTwice }));
            continue;
        }
        alike.push(request);
        duplicates.push(there.same(queue, request).cloned());
    }
    if !hidden.is_empty() {
        let noted = notes.find(submissions, Timestamp::now());
        for ((duplicate, submission), noted) in duplicates.iter_mut().zip(submissions).zip(noted) {
            if let Some(noted) = noted.filter(|_| duplicate.is_none() && hidden.contains(&submission.queue)) {
                *duplicate = Some(Duplicate { uuid: noted.uuid.to_string(), state: State::Noted(noted.time) });
            }
        }
    }
    Ok(duplicates)
}

/// Whether any of them is known by its note alone.
pub fn any_noted(duplicates: &[Option<Duplicate>]) -> bool {
    duplicates.iter().flatten().any(|duplicate| matches!(duplicate.state, State::Noted(_)))
}

/// Drops what is noted and has a result: it waits no longer. Where that cannot be learnt, or there is no store to ask, the test is asked for
/// once more: that costs less than a test that is never run.
pub async fn drop_finished(duplicates: &mut [Option<Duplicate>], submissions: &[Submission], store: Option<&Store>) {
    for (duplicate, submission) in duplicates.iter_mut().zip(submissions) {
        let Some(Duplicate { uuid, state: State::Noted(_) }) = duplicate else { continue };
        let place = Place::of(&submission.request, &submission.queue);
        let waits = match (store, uuid.parse()) {
            (Some(store), Ok(uuid)) => matches!(runs::with_uuid(store, &place, &uuid).await, Ok(None)),
            _ => false,
        };
        if !waits {
            *duplicate = None;
        }
    }
}

impl There {
    /// Whether anything runs, too, and which of the queues cannot be looked into.
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
                // Nobody has made it yet, or somebody has deleted it.
                Err(BrokerError::NoSuchQueue { .. }) => continue,
                other => other?,
            };
            anything_runs |= !contents.claimed.is_empty();
            if contents.hidden.is_some() {
                hidden.insert(queue.clone());
            }
            // Of a long queue few are about these packages, and the others need not be read.
            let bodies = contents.ready.iter().chain(&contents.delayed).filter(|body| is_about(body, packages));
            for request in bodies.filter_map(|body| Request::parse(body).ok()) {
                self.add(queue, request, State::Queued);
            }
        }
        Ok((anything_runs, hidden))
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
        let same = || alike.iter().filter(|(other, _)| other.same_test(request));
        // Rather itself than another one for the same test.
        let itself = same().find(|(other, _)| other.uuid().is_some() && other.uuid() == request.uuid());
        itself.or_else(|| same().next()).map(|(_, duplicate)| duplicate)
    }
}

/// Whether a message begins with the name of one of these packages.
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
