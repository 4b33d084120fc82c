//! Types and delivery limits of queues, as observed on a connection.
//!
//! A queue may be deleted and created again with another type. So each observation is valid for a short time only, and
//! before a queue is listed, the broker is asked again.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable, ShortString};
use tokio::time::Instant;

use super::names;
use crate::broker::queue_type::QueueType;

/// Time for which an observation is valid.
const KIND_TTL: Duration = Duration::from_secs(60);
/// Delivery limit of our own queues, which is never reached. Not -1, which RabbitMQ before 4.0 takes for zero.
pub(super) const DELIVERY_LIMIT: i32 = 1_000_000;

/// How messages that were only listed are returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReturnMethod {
    /// By closing their channel: a classic queue takes all of them back in one step, when their consumer ends.
    Close,
    /// By a negative acknowledgement, which a quorum queue of RabbitMQ 4.3 does not count.
    ///
    /// It moves the messages behind the rest of the queue. So all messages are taken, which keeps their order.
    Nack,
}

/// Properties of a queue that decide how it takes messages back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) queue_type: QueueType,
    /// Delivery limit among the arguments of the queue.
    pub(super) limit: Option<i32>,
}

impl Kind {
    pub(super) const CLASSIC: Self = Self { queue_type: QueueType::Classic, limit: None };
    /// Quorum queues of our own, whose messages may be listed any number of times.
    pub(super) const UNLIMITED: Self = Self { queue_type: QueueType::Quorum, limit: Some(DELIVERY_LIMIT) };

    /// Returns the arguments of a queue of this kind. To declare an existing queue with them changes nothing.
    pub(super) fn arguments(self) -> FieldTable {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(self.queue_type.to_string().into()));
        if let Some(limit) = self.limit {
            arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(limit));
        }
        arguments
    }

    /// Returns the kind that the broker names when it refuses this one. It names one difference at a time.
    pub(super) fn corrected(self, refusal: &str) -> Option<Self> {
        let (_, difference) = refusal.split_once("inequivalent arg '")?;
        let (argument, difference) = difference.split_once('\'')?;
        let (_, current) = difference.split_once("current is")?;
        // The word of RabbitMQ 3.10 for an argument that was not given.
        let is_none = current.trim() == "none";
        match argument {
            "x-queue-type" if is_none => Some(Self::CLASSIC),
            "x-queue-type" => {
                let mut known = [QueueType::Quorum, QueueType::Classic].into_iter();
                let queue_type = known.find(|known| current.contains(&known.to_string()))?;
                Some(Self { queue_type, limit: None })
            }
            "x-delivery-limit" if is_none => Some(Self { limit: None, ..self }),
            "x-delivery-limit" => {
                let limit = current.split('\'').nth(1)?.parse().ok()?;
                Some(Self { queue_type: QueueType::Quorum, limit: Some(limit) })
            }
            _ => None,
        }
    }
}

/// Fate of a message that is returned again and again, in a quorum queue of our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trial {
    /// This user may not try it out.
    Denied,
    /// The message is lost, or that could not be tried out.
    Lost,
    /// The message stays, and the broker counts how often it was returned.
    Counted,
    /// The message stays, and the broker does not count.
    NotCounted,
}

/// Subject of a trial: the queue whose policies apply (empty for none), its limit, and the number of returns.
pub(super) type TrialSubject = (ShortString, Option<i32>, u32);

/// An observation and its time.
struct Observation<T>(T, Instant);

impl<T: Copy> Observation<T> {
    fn now(seen: T) -> Self {
        Self(seen, Instant::now())
    }

    fn recent(&self) -> Option<T> {
        (self.1.elapsed() < KIND_TTL).then_some(self.0)
    }
}

/// Observations about queues on one connection.
pub(super) struct KindCache {
    /// Type of request queues, if the site's configuration says so.
    given: Option<QueueType>,
    observations: Mutex<Observations>,
    /// Held during the first question.
    pub(super) first: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Observations {
    /// Type of request queues in the last process's note, if it can be read. `None` before the note was read.
    noted: Option<Option<QueueType>>,
    /// Type of the first request queue.
    first_type: Option<QueueType>,
    /// Kind of the request queue that was observed last.
    last: Option<Kind>,
    kinds: HashMap<ShortString, Observation<Kind>>,
    /// Queues whose kind the broker does not name.
    unnamed: HashMap<ShortString, Observation<()>>,
    /// Request queues that were seen to exist at any time.
    existed: HashSet<ShortString>,
    /// Request queues that do not exist.
    missing: HashMap<ShortString, Observation<()>>,
    /// Type of queues that are declared without one.
    default: Option<Observation<QueueType>>,
    /// Set when this user may not ask for the kind of request queues.
    denied: Option<Observation<()>>,
    /// Trials of this process.
    trials: HashMap<TrialSubject, Observation<Trial>>,
    /// Number of returns that must be tried out before a queue is listed again.
    needed: HashMap<String, u32>,
    /// Noted trials of all processes in which the message stayed: see [`super::returns`].
    tried: HashSet<String>,
    /// Time at which the notes of all processes were read.
    notes_read: Option<Observation<()>>,
    /// Queues of our own that exist.
    made: HashSet<ShortString>,
}

impl KindCache {
    /// Returns an empty set of observations. `given` is the type in the site's configuration.
    pub(super) fn new(given: Option<QueueType>) -> Self {
        Self { given, observations: Mutex::default(), first: tokio::sync::Mutex::default() }
    }

    fn observations(&self) -> MutexGuard<'_, Observations> {
        self.observations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the kind of a queue according to the site's configuration, which applies to request queues only.
    pub(super) fn given(&self, queue: &ShortString) -> Option<Kind> {
        let queue_type = self.given.filter(|_| !names::is_dead_queue(queue))?;
        Some(Kind { queue_type, limit: None })
    }

    /// Returns whether no kind was observed yet.
    pub(super) fn is_empty(&self) -> bool {
        self.observations().last.is_none()
    }

    /// Returns whether the last process's note was read, or could not be read.
    pub(super) fn has_note(&self) -> bool {
        self.observations().noted.is_some()
    }

    pub(super) fn set_note(&self, noted: Option<QueueType>) {
        self.observations().noted = Some(noted);
    }

    /// Returns the type of the first request queue, if it differs from the note.
    pub(super) fn misnoted(&self) -> Option<QueueType> {
        let known = self.observations();
        let noted = known.noted.flatten()?;
        known.first_type.filter(|found| *found != noted)
    }

    /// Returns the most likely kind of a queue. A wrong guess is a line in the broker's log.
    pub(super) fn guess(&self, queue: &ShortString) -> Kind {
        let known = self.observations();
        let like_others = match known.last {
            Some(Kind { queue_type: QueueType::Quorum, .. }) if names::is_dead_queue(queue) => Kind::UNLIMITED,
            Some(Kind { queue_type, .. }) => Kind { queue_type, limit: None },
            None => Kind { queue_type: known.noted.flatten().unwrap_or(QueueType::Classic), limit: None },
        };
        known.kinds.get(queue).map_or(like_others, |seen| seen.0)
    }

    /// Returns the kind of a queue, if it was observed recently or is configured.
    pub(super) fn recent(&self, queue: &ShortString) -> Option<Kind> {
        self.given(queue).or_else(|| self.observations().kinds.get(queue)?.recent())
    }

    pub(super) fn note(&self, queue: &ShortString, kind: Kind) {
        let mut known = self.observations();
        if !names::is_dead_queue(queue) {
            known.first_type.get_or_insert(kind.queue_type);
            known.last = Some(kind);
        }
        known.kinds.insert(queue.clone(), Observation::now(kind));
    }

    /// Returns whether the broker does not name the kind of a queue.
    pub(super) fn is_unnamed(&self, queue: &ShortString) -> bool {
        self.observations().unnamed.get(queue).is_some_and(|seen| seen.recent().is_some())
    }

    pub(super) fn note_unnamed(&self, queue: &ShortString) {
        self.observations().unnamed.insert(queue.clone(), Observation::now(()));
    }

    /// Forgets a queue that no longer exists: the next one with its name may be of any kind.
    pub(super) fn forget(&self, queue: &ShortString) {
        let mut known = self.observations();
        known.kinds.remove(queue);
        known.unnamed.remove(queue);
        known.made.remove(queue);
    }

    /// Forgets the kinds of all queues, because one of them no longer exists.
    pub(super) fn forget_all(&self) {
        let mut known = self.observations();
        known.kinds.clear();
        known.unnamed.clear();
    }

    /// Returns whether a request queue was seen to exist at any time.
    pub(super) fn existed(&self, queue: &ShortString) -> bool {
        self.observations().existed.contains(queue)
    }

    pub(super) fn note_existing(&self, queue: &ShortString) {
        self.observations().existed.insert(queue.clone());
    }

    /// Returns whether a request queue was recently found missing.
    pub(super) fn is_missing(&self, queue: &ShortString) -> bool {
        self.observations().missing.get(queue).is_some_and(|seen| seen.recent().is_some())
    }

    pub(super) fn note_missing(&self, queue: &ShortString) {
        self.observations().missing.insert(queue.clone(), Observation::now(()));
    }

    pub(super) fn default_type(&self) -> Option<QueueType> {
        self.observations().default.as_ref()?.recent()
    }

    pub(super) fn note_default_type(&self, queue_type: QueueType) {
        self.observations().default = Some(Observation::now(queue_type));
    }

    /// Returns whether this user may not ask for the kind of a queue.
    ///
    /// There are separate permissions for our own queues.
    pub(super) fn is_denied(&self, queue: &ShortString) -> bool {
        !names::is_dead_queue(queue) && self.observations().denied.as_ref().is_some_and(|seen| seen.recent().is_some())
    }

    pub(super) fn note_denied(&self, queue: &ShortString) {
        if !names::is_dead_queue(queue) {
            self.observations().denied = Some(Observation::now(()));
        }
    }

    /// Returns the outcome of a recent trial.
    pub(super) fn trial(&self, of: &TrialSubject) -> Option<Trial> {
        self.observations().trials.get(of)?.recent()
    }

    pub(super) fn note_trial(&self, of: TrialSubject, trial: Trial) {
        self.observations().trials.insert(of, Observation::now(trial));
    }

    /// Returns whether the broker was observed to count how often messages are returned.
    pub(super) fn are_returns_counted(&self) -> bool {
        self.observations().trials.values().any(|seen| seen.0 == Trial::Counted)
    }

    /// Returns whether a process has noted this trial, in which the message stayed.
    pub(super) fn was_tried(&self, trial: &str) -> bool {
        self.observations().tried.contains(trial)
    }

    /// Returns the number of returns that must be tried out before a queue is listed again, if known.
    pub(super) fn needed(&self, queue: &ShortString) -> Option<u32> {
        self.observations().needed.get(queue.as_str()).copied()
    }

    pub(super) fn note_needed(&self, queue: &ShortString, returns: u32) {
        self.observations().needed.insert(queue.to_string(), returns);
    }

    /// Returns whether the notes of all processes were read recently.
    pub(super) fn has_read_notes(&self) -> bool {
        self.observations().notes_read.as_ref().is_some_and(|seen| seen.recent().is_some())
    }

    /// Takes over the notes of all processes. Larger numbers of this process are kept.
    pub(super) fn take_notes(&self, notes: HashMap<String, u32>, tried: HashSet<String>) {
        let mut known = self.observations();
        known.tried = tried;
        for (queue, returns) in notes {
            let needed = known.needed.entry(queue).or_default();
            *needed = returns.max(*needed);
        }
        known.notes_read = Some(Observation::now(()));
    }

    pub(super) fn is_made(&self, queue: &ShortString) -> bool {
        self.observations().made.contains(queue)
    }

    pub(super) fn note_made(&self, queue: ShortString) {
        self.observations().made.insert(queue);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUORUM: Kind = Kind { queue_type: QueueType::Quorum, limit: None };

    fn refused(argument: &str, received: &str, current: &str) -> String {
        format!(
            "PRECONDITION_FAILED - inequivalent arg '{argument}' for queue 'debci-classic-amd64' in vhost '/': received {received} but current is {current}"
        )
    }

    #[test]
    fn the_brokers_refusal_names_the_type() {
        let corrected = |received: &str, current: &str| QUORUM.corrected(&refused("x-queue-type", received, current));
        assert_eq!(corrected("'classic'", "'quorum'"), Some(QUORUM));
        assert_eq!(corrected("'quorum'", "'classic'"), Some(Kind::CLASSIC));
        let old = "the value 'quorum' of type 'longstr'";
        assert_eq!(corrected(old, "the value 'classic' of type 'longstr'"), Some(Kind::CLASSIC));
        assert_eq!(corrected(old, "none"), Some(Kind::CLASSIC));
        assert_eq!(corrected("'classic'", "'stream'"), None);
        assert_eq!(QUORUM.corrected("ACCESS_REFUSED - access to queue 'debci-quorum-amd64' refused"), None);
        assert_eq!(QUORUM.corrected(&refused("x-max-priority", "none", "the value '5' of type 'signedint'")), None);
    }

    #[test]
    fn the_brokers_refusal_names_the_limit() {
        let corrected = |kind: Kind, current: &str| kind.corrected(&refused("x-delivery-limit", "none", current));
        let limited = Kind { limit: Some(20), ..QUORUM };
        assert_eq!(corrected(QUORUM, "the value '20' of type 'signedint'"), Some(limited));
        assert_eq!(corrected(Kind::UNLIMITED, "'20'"), Some(limited));
        assert_eq!(corrected(Kind::UNLIMITED, "'-1'"), Some(Kind { limit: Some(-1), ..QUORUM }));
        assert_eq!(corrected(Kind::UNLIMITED, "none"), Some(QUORUM));
    }

    #[test]
    fn nothing_is_believed_for_long() {
        let kinds = KindCache::new(None);
        let queue = ShortString::from("debci-sid-amd64");
        kinds.note(&queue, Kind::CLASSIC);
        kinds.note_default_type(QueueType::Classic);
        kinds.note_denied(&queue);
        kinds.note_unnamed(&queue);
        kinds.note_trial((queue.clone(), None, 25), Trial::Counted);
        kinds.take_notes(HashMap::new(), HashSet::new());
        let is_recent = || {
            let believed = kinds.recent(&queue).is_some();
            assert_eq!(believed, kinds.default_type().is_some());
            assert_eq!(believed, kinds.is_denied(&queue));
            assert_eq!(believed, kinds.is_unnamed(&queue));
            assert_eq!(believed, kinds.trial(&(queue.clone(), None, 25)).is_some());
            assert_eq!(believed, kinds.has_read_notes());
            believed
        };
        assert!(is_recent());
        {
            let mut known = kinds.observations();
            known.kinds.values_mut().for_each(|seen| seen.1 -= KIND_TTL);
            known.unnamed.values_mut().for_each(|seen| seen.1 -= KIND_TTL);
            known.trials.values_mut().for_each(|seen| seen.1 -= KIND_TTL);
            known.notes_read.iter_mut().for_each(|seen| seen.1 -= KIND_TTL);
            known.default.iter_mut().for_each(|seen| seen.1 -= KIND_TTL);
            known.denied.iter_mut().for_each(|seen| seen.1 -= KIND_TTL);
        }
        assert!(!is_recent());
        assert_eq!(kinds.guess(&queue), Kind::CLASSIC, "what it was is what it most likely is");
    }

    #[test]
    fn the_site_says_the_type_of_request_queues_alone() {
        let kinds = KindCache::new(Some(QueueType::Quorum));
        assert_eq!(kinds.recent(&"debci-sid-amd64".into()), Some(QUORUM));
        assert_eq!(kinds.recent(&"apt-ci.dead.debci-sid-amd64".into()), None);
    }

    #[test]
    fn what_was_seen_here_counts_beside_the_notes_of_others() {
        let kinds = KindCache::new(None);
        let queue = ShortString::from("debci-sid-amd64");
        assert_eq!(kinds.needed(&queue), None);
        kinds.note_needed(&queue, 400);
        kinds.take_notes(
            HashMap::from([(queue.to_string(), 100), ("debci-trixie-amd64".to_owned(), 100)]),
            HashSet::new(),
        );
        assert_eq!(kinds.needed(&queue), Some(400));
        assert_eq!(kinds.needed(&"debci-trixie-amd64".into()), Some(100));
    }
}
