//! The order in which the queues of a worker are asked for the next request.
//!
//! The order is fair between releases, then between the contexts of a release, then between architectures: at each
//! level, the least recently served comes first. Bulk requests ([`Context::Huge`]) have a rotation of their own. They
//! are served when no other request waits, and otherwise once in ten requests. So no queue is passed over indefinitely:
//! while a queue has requests, it is served at least once in (releases × contexts × architectures) × 10/9 requests, and
//! a bulk queue once in (releases × architectures) × 10.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::release::{Context, QueueName, Release};

/// Number of other requests that are served between two bulk requests, if there are any.
const OTHERS_PER_HUGE: u64 = 9;

/// The turns of a worker's queues. Clones share them.
///
/// Each slot of a process has a clone, so that the process is fair whichever of its slots serves a request.
#[derive(Debug, Clone)]
pub struct Rotation(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queues: Vec<QueueName>,
    turns: Mutex<Turns>,
    asking: tokio::sync::Mutex<()>,
    waiting: AtomicU64,
}

#[derive(Debug)]
struct Turns {
    /// For each queue, the number of its last serving among all servings; 0 if it has none.
    last: Vec<u64>,
    servings: u64,
    others_since_huge: u64,
}

/// Counts a slot as waiting on all queues of the rotation, as long as this value lives.
#[derive(Debug)]
pub(super) struct WaitGuard(Rotation);

impl Rotation {
    /// Returns a rotation of these queues, which begins in this order. Duplicates are dropped.
    #[must_use]
    pub fn new(queues: Vec<QueueName>) -> Self {
        let mut unique: Vec<QueueName> = Vec::with_capacity(queues.len());
        for queue in queues {
            if !unique.contains(&queue) {
                unique.push(queue);
            }
        }
        let turns = Turns { last: vec![0; unique.len()], servings: 0, others_since_huge: 0 };
        Self(Arc::new(Shared {
            queues: unique,
            turns: Mutex::new(turns),
            asking: tokio::sync::Mutex::default(),
            waiting: AtomicU64::new(0),
        }))
    }

    /// Returns the queues.
    #[must_use]
    pub fn queues(&self) -> &[QueueName] {
        &self.0.queues
    }

    /// Locks the rotation while a slot asks queues in several steps.
    ///
    /// Two slots at a time would give the same queue its turn.
    pub(super) async fn asking(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.asking.lock().await
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.0.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the indices of all queues, in the order in which they are to be asked.
    pub(super) fn order(&self) -> Vec<usize> {
        let turns = self.turns();
        let (huge, others): (Vec<usize>, Vec<usize>) = (0..self.0.queues.len()).partition(|index| self.is_huge(*index));
        let [huge, others] = [huge, others].map(|class| self.least_recent_first(class, &turns.last));
        match turns.others_since_huge {
            OTHERS_PER_HUGE.. => [huge, others].concat(),
            _ => [others, huge].concat(),
        }
    }

    fn least_recent_first(&self, mut class: Vec<usize>, last: &[u64]) -> Vec<usize> {
        // A group's last serving is that of any of its queues. Groups that were never served keep the given order.
        let mut releases: HashMap<&Release, (u64, usize)> = HashMap::new();
        let mut contexts: HashMap<(&Release, Context), (u64, usize)> = HashMap::new();
        for index in class.iter().copied() {
            let QueueName { release, context, .. } = &self.0.queues[index];
            let later = |group: &mut (u64, usize)| group.0 = group.0.max(last[index]);
            releases.entry(release).and_modify(later).or_insert((last[index], index));
            contexts.entry((release, *context)).and_modify(later).or_insert((last[index], index));
        }
        class.sort_by_key(|index| {
            let QueueName { release, context, .. } = &self.0.queues[*index];
            (releases[release], contexts[&(release, *context)], last[*index], *index)
        });
        class
    }

    /// Returns whether the queue holds bulk requests.
    pub(super) fn is_huge(&self, index: usize) -> bool {
        self.0.queues[index].context == Context::Huge
    }

    /// Returns whether the next request is to be a bulk request, even if others wait.
    pub(super) fn huge_is_due(&self) -> bool {
        self.turns().others_since_huge >= OTHERS_PER_HUGE
    }

    /// Records that a request of this queue is served.
    pub(super) fn served(&self, index: usize) {
        let mut turns = self.turns();
        turns.servings += 1;
        turns.last[index] = turns.servings;
        turns.others_since_huge = if self.is_huge(index) { 0 } else { turns.others_since_huge + 1 };
    }

    /// Records that a slot waits on all queues.
    pub(super) fn wait(&self) -> WaitGuard {
        self.0.waiting.fetch_add(1, Ordering::SeqCst);
        WaitGuard(self.clone())
    }

    /// Returns the number of slots of this rotation that wait.
    pub(super) fn waiting(&self) -> u64 {
        self.0.waiting.load(Ordering::SeqCst)
    }
}

impl From<Vec<QueueName>> for Rotation {
    fn from(queues: Vec<QueueName>) -> Self {
        Self::new(queues)
    }
}

impl Drop for WaitGuard {
    fn drop(&mut self) {
        self.0.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const RELEASES: [&str; 3] = ["focal", "noble", "sid"];
    const ARCHITECTURES: [&str; 3] = ["amd64", "arm64", "s390x"];

    fn rotation(queues: &[&str]) -> Rotation {
        Rotation::new(queues.iter().map(|queue| queue.parse().unwrap()).collect())
    }

    fn everything() -> Vec<QueueName> {
        let release = |release: &'static str| ARCHITECTURES.map(|architecture| (release, architecture));
        let pairs = RELEASES.into_iter().flat_map(release);
        pairs
            .flat_map(|(release, architecture)| {
                let (release, architecture) = (release.parse().unwrap(), architecture.parse().unwrap());
                QueueName::all_contexts(&release, &architecture).collect::<Vec<_>>()
            })
            .collect()
    }

    /// Serves the first queue in order that has requests, as the brokers do.
    fn serve(rotation: &Rotation, has: impl Fn(usize) -> bool) -> Option<usize> {
        let served = rotation.order().into_iter().find(|index| has(*index))?;
        rotation.served(served);
        Some(served)
    }

    fn served(rotation: &Rotation, count: usize, has: impl Fn(&str) -> bool) -> Vec<String> {
        let name = |index: usize| rotation.queues()[index].to_string();
        (0..count).map(|_| name(serve(rotation, |index| has(&name(index))).unwrap())).collect()
    }

    #[test]
    fn releases_take_turns_then_contexts_then_architectures() {
        let [sid, sid_ppa, sid_arm, noble] =
            ["debci-sid-amd64", "debci-ppa-sid-amd64", "debci-sid-arm64", "debci-noble-amd64"];
        let rotation = rotation(&[sid, sid_ppa, sid_arm, noble, sid]);
        assert_eq!(rotation.queues().len(), 4, "a queue that is named twice has one turn");
        let order = served(&rotation, 8, |_| true);
        assert_eq!(order, [sid, noble, sid_ppa, noble, sid_arm, noble, sid_ppa, noble]);
    }

    #[test]
    fn a_queue_that_was_empty_has_its_turn_at_once() {
        let [sid, noble] = ["debci-sid-amd64", "debci-noble-amd64"];
        let rotation = rotation(&[sid, noble]);
        assert_eq!(served(&rotation, 5, |queue| queue == sid), [sid; 5]);
        assert_eq!(served(&rotation, 3, |_| true), [noble, sid, noble], "and no more than that");
    }

    #[test]
    fn bulk_requests_are_served_when_nothing_else_waits_and_once_in_ten() {
        let [sid, huge] = ["debci-sid-amd64", "debci-huge-sid-amd64"];
        let rotation = rotation(&[huge, sid]);
        assert_eq!(served(&rotation, 3, |queue| queue == huge), [huge; 3]);
        let order = served(&rotation, 30, |_| true);
        for (number, queue) in order.iter().enumerate() {
            assert_eq!(queue == huge, number % 10 == 9, "serving {number}: {order:?}");
        }
        // A queue that was empty when it was due has its turn as soon as it has requests.
        assert_eq!(served(&rotation, 50, |queue| queue == sid), [sid; 50]);
        assert_eq!(served(&rotation, 2, |_| true), [huge, sid]);
    }

    proptest! {
        // Each case has hundreds of steps. `make test-long` tries more cases.
        #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

        /// However the other queues fill and run empty, and whichever of them is served out of turn.
        #[test]
        fn what_waits_is_never_passed_over_for_long(
            chosen in proptest::sample::subsequence(everything(), 1..=36).prop_shuffle(),
            patient in any::<proptest::sample::Index>(),
            filled in vec(any::<u64>(), 400),
        ) {
            let rotation = Rotation::new(chosen);
            let patient = patient.index(rotation.queues().len());
            let is_huge = rotation.is_huge(patient);
            let queues = rotation.queues().iter().filter(|queue| (queue.context == Context::Huge) == is_huge);
            let count = |names: Vec<String>| names.into_iter().collect::<std::collections::HashSet<_>>().len();
            let releases = count(queues.clone().map(|queue| queue.release.to_string()).collect());
            let contexts = count(queues.clone().map(|queue| format!("{:?}", queue.context)).collect());
            let architectures = count(queues.map(|queue| queue.architecture.to_string()).collect());
            let turns = releases * contexts * architectures;
            let bound = if is_huge { turns * 10 } else { (turns * 10).div_ceil(9) };
            let mut passed_over = 0;
            for filled in filled {
                let index = serve(&rotation, |index| index == patient || filled >> index & 1 == 1).unwrap();
                passed_over = if index == patient { 0 } else { passed_over + 1 };
                prop_assert!(passed_over < bound, "{} was passed over {passed_over} times", rotation.queues()[patient]);
            }
        }

        /// Of ten requests in a row, at most one is a bulk request while others wait, and at least one while it waits.
        #[test]
        fn bulk_requests_have_a_tenth(
            chosen in proptest::sample::subsequence(everything(), 1..=36).prop_shuffle(),
            filled in vec(any::<u64>(), 400),
        ) {
            let rotation = Rotation::new(chosen);
            let count = rotation.queues().len();
            let any_of = |huge: bool, filled: u64| (0..count).any(|index| rotation.is_huge(index) == huge && filled >> index & 1 == 1);
            let mut window = std::collections::VecDeque::new();
            for filled in filled {
                let Some(index) = serve(&rotation, |index| filled >> index & 1 == 1) else { continue };
                window.push_back((rotation.is_huge(index), any_of(true, filled), any_of(false, filled)));
                if window.len() < 10 {
                    continue;
                }
                let bulk = window.iter().filter(|(is_huge, ..)| *is_huge).count();
                if window.iter().all(|(_, huge_waits, _)| *huge_waits) {
                    prop_assert!(bulk >= 1, "none in {window:?}");
                }
                if window.iter().all(|(_, _, others_wait)| *others_wait) {
                    prop_assert!(bulk <= 1, "{bulk} in {window:?}");
                }
                window.pop_front();
            }
        }
    }
}
