//! Estimates of when queues will be empty, from the last duration of each package and the number of slots.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use apt_ci::broker::{Broker, BrokerError, QueueState};
use apt_ci::release::{Architecture, Context, QueueName, Release};
use apt_ci::request::{Request, SourcePackage};
use apt_ci::result::PackagePath;
use apt_ci::runs;
use apt_ci::store::Store;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::ui::error::{CommandError, CommandResult};

/// Maximum number of packages of a queue whose last runs are looked up; the others count as their average.
const MAX_PACKAGES: usize = 200;
/// Maximum number of lookups at the same time.
const CONCURRENCY: usize = 8;

/// A release and architecture, of which slots serve all contexts.
type ReleaseArch = (Release, Architecture);

/// Returns how long it takes until the last request of each queue is done. Queues without any slot, or whose packages
/// have never been tested, are left out.
pub async fn ends(
    states: &[QueueState],
    broker: &Broker,
    store: &Store,
) -> CommandResult<BTreeMap<QueueName, Duration>> {
    let mut work: BTreeMap<QueueName, Option<f64>> = BTreeMap::new();
    for state in states.iter().filter(|state| waiting(state) > 0) {
        work.insert(state.queue.clone(), seconds(&state.queue, broker, store).await?);
    }
    let slots = slots(states);
    let end = |(queue, seconds): (&QueueName, &Option<f64>)| {
        let place = (queue.release.clone(), queue.architecture.clone());
        let slots = *slots.get(&place).filter(|slots| **slots > 0)?;
        // Slots serve the queues in rotation, and bulk requests when no others are queued.
        let others = work.iter().filter(|(other, _)| {
            let beside = other.release == queue.release && other.architecture == queue.architecture;
            beside && (other.context != Context::Huge || queue.context == Context::Huge)
        });
        let total: f64 = others.filter_map(|(_, seconds)| *seconds).sum();
        seconds.as_ref()?;
        Some((queue.clone(), Duration::from_secs_f64(total / slots as f64)))
    };
    Ok(work.iter().filter_map(end).collect())
}

fn waiting(state: &QueueState) -> u64 {
    state.ready + state.delayed + state.claimed
}

/// Returns the number of slots that serve each place. Idle slots wait at several of its queues; busy ones are counted
/// at one.
fn slots(states: &[QueueState]) -> BTreeMap<ReleaseArch, u64> {
    let mut slots: BTreeMap<ReleaseArch, (u64, u64)> = BTreeMap::new();
    for state in states {
        let place = (state.queue.release.clone(), state.queue.architecture.clone());
        let (idle, busy) = slots.entry(place).or_default();
        *idle = (*idle).max(state.consumers);
        *busy += state.claimed;
    }
    slots.into_iter().map(|(place, (idle, busy))| (place, idle + busy)).collect()
}

/// Returns how long all requests of a queue take one after the other, in seconds. Running tests count as half done.
async fn seconds(queue: &QueueName, broker: &Broker, store: &Store) -> CommandResult<Option<f64>> {
    let contents = match broker.contents(queue, usize::MAX).await {
        // The queue was deleted meanwhile, or cannot be listed.
        Err(BrokerError::NoSuchQueue { .. } | BrokerError::Opaque(_)) => return Ok(None),
        other => other?,
    };
    let package = |body: &Vec<u8>| Request::parse(body).ok().map(|request| request.package().clone());
    let waiting: Vec<SourcePackage> = contents.ready.iter().chain(&contents.delayed).filter_map(package).collect();
    let running: Vec<SourcePackage> = contents.claimed.iter().filter_map(package).collect();
    let packages: BTreeSet<&SourcePackage> = waiting.iter().chain(&running).collect();
    let lookups = packages.into_iter().take(MAX_PACKAGES).map(async |package| {
        let path = PackagePath {
            release: queue.release.clone(),
            architecture: queue.architecture.clone(),
            package: package.clone(),
        };
        let last = runs::of_package(store, &path).await?.pop();
        Ok::<_, CommandError>(last.map(|run| (package.clone(), run.summary.duration as f64)))
    });
    let known: Vec<Option<(SourcePackage, f64)>> = stream::iter(lookups).buffered(CONCURRENCY).try_collect().await?;
    let known: BTreeMap<SourcePackage, f64> = known.into_iter().flatten().collect();
    Ok(sum(&waiting, &running, &known))
}

fn sum(waiting: &[SourcePackage], running: &[SourcePackage], known: &BTreeMap<SourcePackage, f64>) -> Option<f64> {
    if known.is_empty() {
        return None;
    }
    let average = known.values().sum::<f64>() / known.len() as f64;
    let of = |package: &SourcePackage| known.get(package).copied().unwrap_or(average);
    Some(waiting.iter().map(of).sum::<f64>() + running.iter().map(of).sum::<f64>() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(queue: &str, claimed: u64, consumers: u64) -> QueueState {
        let queue = queue.parse().unwrap();
        QueueState { queue, ready: 1, consumers, claimed, delayed: 0, dead: 0, oldest: None, opaque: None }
    }

    #[test]
    fn a_slot_that_waits_everywhere_counts_once() {
        let states =
            [state("debci-sid-amd64", 2, 3), state("debci-huge-sid-amd64", 1, 3), state("debci-sid-i386", 0, 0)];
        let slots = slots(&states);
        let counts: Vec<u64> = slots.values().copied().collect();
        assert_eq!(counts, [6, 0]);
    }

    #[test]
    fn a_package_without_a_run_counts_as_the_average() {
        let package = |name: &str| name.parse::<SourcePackage>().unwrap();
        let known = BTreeMap::from([(package("a"), 10.0), (package("b"), 30.0)]);
        let waiting = ["a", "a", "new"].map(package);
        assert_eq!(sum(&waiting, &[package("b")], &known), Some(55.0));
        assert_eq!(sum(&waiting, &[], &BTreeMap::new()), None);
    }
}
