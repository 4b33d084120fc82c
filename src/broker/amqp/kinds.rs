//! Types and limits of queues, as far as a connection knows them. A queue may be deleted and made again with another type: each answer is
//! believed for a short time only, and a look into a queue asks again.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable, ShortString};
use tokio::time::Instant;

use super::names;
use crate::broker::queue_type::QueueType;

/// Time for which an answer is believed.
const KIND_TTL: Duration = Duration::from_secs(60);
/// Larger than a queue of our own ever needs. Not -1, which RabbitMQ before 4.0 takes for none at all.
pub(super) const DELIVERY_LIMIT: i32 = 1_000_000;

/// How messages that were only looked at are given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GiveBack {
    /// With their channel: a classic queue puts all of them back in one step, with the end of their consumer.
    Close,
    /// By a negative acknowledgement, which a quorum queue of RabbitMQ 4.3 does not count. It moves what is given back behind the rest of
    /// the queue, so everything is taken, and keeps its order.
    Nack,
}

/// What decides how a queue takes back what it handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) queue_type: QueueType,
    /// The delivery limit among the queue's arguments.
    pub(super) limit: Option<i32>,
}

impl Kind {
    pub(super) const CLASSIC: Self = Self { queue_type: QueueType::Classic, limit: None };
    /// Quorum queues of our own, whose messages may be looked at as often as one likes.
    pub(super) const UNLIMITED: Self = Self { queue_type: QueueType::Quorum, limit: Some(DELIVERY_LIMIT) };

    /// Returns the arguments of a queue of this kind. Declaring an existing one with them changes nothing.
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
        // So RabbitMQ 3.10 calls what a queue was declared without.
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

/// What becomes of a message of a quorum queue of our own that is given back again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trial {
    /// This user may not try it out.
    Denied,
    /// It is lost, or that could not be tried out.
    Lost,
    /// It stays, and the broker counts how often it was given back.
    Counted,
    /// It stays, and the broker does not count.
    NotCounted,
}

/// What a trial depends on: the queue whose policies apply, the empty name for none; its limit; and how often a message is given back.
pub(super) type TrialOf = (ShortString, Option<i32>, u32);

/// An observation and its time.
struct Seen<T>(T, Instant);

impl<T: Copy> Seen<T> {
    fn now(seen: T) -> Self {
        Self(seen, Instant::now())
    }

    fn believed(&self) -> Option<T> {
        (self.1.elapsed() < KIND_TTL).then_some(self.0)
    }
}

/// Knowledge of one connection about queues.
pub(super) struct Kinds {
    /// The type of request queues, if the site says it.
    given: Option<QueueType>,
    known: Mutex<Known>,
    /// Held while the first question is asked.
    pub(super) first: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    /// The type of request queues that the last process noted, if it can be read; `None` when that was not tried.
    noted: Option<Option<QueueType>>,
    /// The type of the first request queue.
    first_type: Option<QueueType>,
    /// The kind that was seen last.
    last: Option<Kind>,
    kinds: HashMap<ShortString, Seen<Kind>>,
    /// Queues whose kind the broker does not name.
    unnamed: HashMap<ShortString, Seen<()>>,
    /// Request queues that were seen to exist, at any time.
    existed: HashSet<ShortString>,
    /// Request queues that do not exist.
    missing: HashMap<ShortString, Seen<()>>,
    /// The type that queues have when nobody names one.
    default: Option<Seen<QueueType>>,
    /// This user may not ask for the kind of request queues.
    denied: Option<Seen<()>>,
    /// What was tried out here.
    trials: HashMap<TrialOf, Seen<Trial>>,
    /// How many returns must be tried out before the next look into a queue.
    needed: HashMap<String, u32>,
    /// Trials that others have made, and the message stayed: see [`super::returns`].
    tried: HashSet<String>,
    /// When the notes of all processes were read.
    notes_read: Option<Seen<()>>,
    /// Queues of our own that exist.
    made: HashSet<ShortString>,
}

impl Kinds {
    /// Nothing is known but what the site says.
    pub(super) fn new(given: Option<QueueType>) -> Self {
        Self { given, known: Mutex::default(), first: tokio::sync::Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what the site says about a queue. It speaks of request queues only.
    pub(super) fn given(&self, queue: &ShortString) -> Option<Kind> {
        let queue_type = self.given.filter(|_| !names::is_dead_queue(queue))?;
        Some(Kind { queue_type, limit: None })
    }

    /// Returns whether no kind is known yet.
    pub(super) fn is_empty(&self) -> bool {
        self.known().last.is_none()
    }

    /// Returns whether it was tried to read which type the last process noted.
    pub(super) fn has_note(&self) -> bool {
        self.known().noted.is_some()
    }

    pub(super) fn set_note(&self, noted: Option<QueueType>) {
        self.known().noted = Some(noted);
    }

    /// Returns the type of the first request queue, if the note tells another one.
    pub(super) fn misnoted(&self) -> Option<QueueType> {
        let known = self.known();
        let noted = known.noted.flatten()?;
        known.first_type.filter(|found| *found != noted)
    }

    /// Returns the kind that a queue most likely has. A wrong guess is a line in the broker's log.
    pub(super) fn guess(&self, queue: &ShortString) -> Kind {
        let known = self.known();
        let like_others = match known.last {
            Some(Kind { queue_type: QueueType::Quorum, .. }) if names::is_dead_queue(queue) => Kind::UNLIMITED,
            Some(Kind { queue_type, .. }) => Kind { queue_type, limit: None },
            None => Kind { queue_type: known.noted.flatten().unwrap_or(QueueType::Classic), limit: None },
        };
        known.kinds.get(queue).map_or(like_others, |seen| seen.0)
    }

    /// Returns the kind of a queue if it was seen a short time ago.
    pub(super) fn believed(&self, queue: &ShortString) -> Option<Kind> {
        self.given(queue).or_else(|| self.known().kinds.get(queue)?.believed())
    }

    pub(super) fn note(&self, queue: &ShortString, kind: Kind) {
        let mut known = self.known();
        if !names::is_dead_queue(queue) {
            known.first_type.get_or_insert(kind.queue_type);
            known.last = Some(kind);
        }
        known.kinds.insert(queue.clone(), Seen::now(kind));
    }

    /// Returns whether the broker does not name the kind of a queue.
    pub(super) fn is_unnamed(&self, queue: &ShortString) -> bool {
        self.known().unnamed.get(queue).is_some_and(|seen| seen.believed().is_some())
    }

    pub(super) fn note_unnamed(&self, queue: &ShortString) {
        self.known().unnamed.insert(queue.clone(), Seen::now(()));
    }

    /// Forgets a queue that no longer exists: the next one with its name may be of any kind.
    pub(super) fn forget(&self, queue: &ShortString) {
        let mut known = self.known();
        known.kinds.remove(queue);
        known.unnamed.remove(queue);
        known.made.remove(queue);
    }

    /// Forgets the kinds of all queues: one of them no longer exists.
    pub(super) fn forget_all(&self) {
        let mut known = self.known();
        known.kinds.clear();
        known.unnamed.clear();
    }

    /// Returns whether a request queue was seen to exist at any time.
    pub(super) fn existed(&self, queue: &ShortString) -> bool {
        self.known().existed.contains(queue)
    }

    pub(super) fn note_existing(&self, queue: &ShortString) {
        self.known().existed.insert(queue.clone());
    }

    /// Returns whether a request queue did not exist a short time ago.
    pub(super) fn is_missing(&self, queue: &ShortString) -> bool {
        self.known().missing.get(queue).is_some_and(|seen| seen.believed().is_some())
    }

    pub(super) fn note_missing(&self, queue: &ShortString) {
        self.known().missing.insert(queue.clone(), Seen::now(()));
    }

    pub(super) fn default_type(&self) -> Option<QueueType> {
        self.known().default.as_ref()?.believed()
    }

    pub(super) fn note_default_type(&self, queue_type: QueueType) {
        self.known().default = Some(Seen::now(queue_type));
    }

    /// Returns whether this user may not ask for the kind of a queue. Users have separate rights for our own queues.
    pub(super) fn is_denied(&self, queue: &ShortString) -> bool {
        !names::is_dead_queue(queue) && self.known().denied.as_ref().is_some_and(|seen| seen.believed().is_some())
    }

    pub(super) fn note_denied(&self, queue: &ShortString) {
        if !names::is_dead_queue(queue) {
            self.known().denied = Some(Seen::now(()));
        }
    }

    /// Returns what was tried out a short time ago.
    pub(super) fn trial(&self, of: &TrialOf) -> Option<Trial> {
        self.known().trials.get(of)?.believed()
    }

    pub(super) fn note_trial(&self, of: TrialOf, trial: Trial) {
        self.known().trials.insert(of, Seen::now(trial));
    }

    /// Returns whether the broker was seen to count how often messages are given back.
    pub(super) fn are_returns_counted(&self) -> bool {
        self.known().trials.values().any(|seen| seen.0 == Trial::Counted)
    }

    /// Returns whether some process has tried this out, and the message stayed.
    pub(super) fn was_tried(&self, trial: &str) -> bool {
        self.known().tried.contains(trial)
    }

    /// Returns how many returns must be tried out before the next look into a queue, as far as that is known.
    pub(super) fn needed(&self, queue: &ShortString) -> Option<u32> {
        self.known().needed.get(queue.as_str()).copied()
    }

    pub(super) fn note_needed(&self, queue: &ShortString, returns: u32) {
        self.known().needed.insert(queue.to_string(), returns);
    }

    /// Returns whether the notes of all processes were read a short time ago.
    pub(super) fn has_read_notes(&self) -> bool {
        self.known().notes_read.as_ref().is_some_and(|seen| seen.believed().is_some())
    }

    /// Takes over what all processes have noted. What this one has seen itself counts as well.
    pub(super) fn take_notes(&self, notes: HashMap<String, u32>, tried: HashSet<String>) {
        let mut known = self.known();
        known.tried = tried;
        for (queue, returns) in notes {
            let needed = known.needed.entry(queue).or_default();
            *needed = returns.max(*needed);
        }
        known.notes_read = Some(Seen::now(()));
    }

    pub(super) fn is_made(&self, queue: &ShortString) -> bool {
        self.known().made.contains(queue)
    }

    pub(super) fn note_made(&self, queue: ShortString) {
        self.known().made.insert(queue);
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
        let kinds = Kinds::new(None);
        let queue = ShortString::from("debci-sid-amd64");
        kinds.note(&queue, Kind::CLASSIC);
        kinds.note_default_type(QueueType::Classic);
        kinds.note_denied(&queue);
        kinds.note_unnamed(&queue);
        kinds.note_trial((queue.clone(), None, 25), Trial::Counted);
        kinds.take_notes(HashMap::new(), HashSet::new());
        let is_believed = || {
            let believed = kinds.believed(&queue).is_some();
            assert_eq!(believed, kinds.default_type().is_some());
            assert_eq!(believed, kinds.is_denied(&queue));
            assert_eq!(believed, kinds.is_unnamed(&queue));
            assert_eq!(believed, kinds.trial(&(queue.clone(), None, 25)).is_some());
            assert_eq!(believed, kinds.has_read_notes());
            believed
        };
        assert!(is_believed());
        {
            let mut known = kinds.known();
            known.kinds.values_mut().for_each(|seen| seen.1 -= KIND_TTL);
            known.unnamed.values_mut().for_each(|seen| seen.1 -= KIND_TTL);
            known.trials.values_mut().for_each(|seen| seen.1 -= KIND_TTL);
            known.notes_read.iter_mut().for_each(|seen| seen.1 -= KIND_TTL);
            known.default.iter_mut().for_each(|seen| seen.1 -= KIND_TTL);
            known.denied.iter_mut().for_each(|seen| seen.1 -= KIND_TTL);
        }
        assert!(!is_believed());
        assert_eq!(kinds.guess(&queue), Kind::CLASSIC, "what it was is what it most likely is");
    }

    #[test]
    fn the_site_says_the_type_of_request_queues_alone() {
        let kinds = Kinds::new(Some(QueueType::Quorum));
        assert_eq!(kinds.believed(&"debci-sid-amd64".into()), Some(QUORUM));
        assert_eq!(kinds.believed(&"apt-ci.dead.debci-sid-amd64".into()), None);
    }

    #[test]
    fn what_was_seen_here_counts_beside_the_notes_of_others() {
        let kinds = Kinds::new(None);
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
