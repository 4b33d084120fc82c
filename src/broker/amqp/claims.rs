//! The claims that the slots of one link hold, and the queues that they serve: what [`super::roll_call`] answers from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lapin::Channel;

use crate::broker::contact::{Cancel, Cancelled, Contact, News};
use crate::release::QueueName;
use crate::request::RequestId;

/// The claims that are held, or about to be, through one link.
#[derive(Default)]
pub(super) struct Roll(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    next: u64,
    claims: BTreeMap<u64, Entry>,
    /// The queues that each slot serves.
    slots: BTreeMap<u64, Vec<QueueName>>,
}

/// What tells that a slot serves its queues, as long as this value lives.
pub(super) struct Serving {
    roll: Arc<Roll>,
    key: u64,
}

impl Serving {
    pub(super) fn start(roll: &Arc<Roll>, queues: &[QueueName]) -> Self {
        let mut entries = roll.entries();
        let key = entries.next;
        entries.next += 1;
        entries.slots.insert(key, queues.to_vec());
        drop(entries);
        Self { roll: Arc::clone(roll), key }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.roll.entries().slots.remove(&self.key);
    }
}

struct Entry {
    uuid: Option<RequestId>,
    origin: QueueName,
    body: Vec<u8>,
    /// The channel on which the broker has given us our own, confirmed copy.
    copy: Option<Channel>,
    /// What the worker tells of its test.
    contact: Option<Contact>,
}

/// A place on the roll. It is given up with this value.
pub(super) struct Place {
    roll: Arc<Roll>,
    key: u64,
}

/// One claim, as its holder tells.
pub(super) struct HeldClaim {
    /// The name of the queue that it came from.
    pub(super) origin: String,
    /// The request.
    pub(super) body: Vec<u8>,
    /// What its worker tells, if it does.
    pub(super) news: Option<News>,
}

impl Roll {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is held through this link.
    pub(super) fn is_empty(&self) -> bool {
        self.entries().claims.is_empty()
    }

    /// The claims that are held right now, or the one of a request. What counts is that the broker has our own copy: then
    /// another copy may be dropped. The channel's state is read here, not remembered: it follows the broker's word in the order
    /// in which the broker spoke, so a copy that went back before the question came is not claimed to be here.
    pub(super) fn held(&self, of: Option<&str>) -> Vec<HeldClaim> {
        let entries = self.entries();
        let held = entries.claims.values().filter(|entry| {
            let asked_for = of.is_none_or(|of| entry.uuid.as_ref().is_some_and(|uuid| uuid.as_str() == of));
            asked_for && entry.copy.as_ref().is_some_and(|channel| channel.status().connected())
        });
        let tell = |entry: &Entry| HeldClaim {
            origin: entry.origin.to_string(),
            body: entry.body.clone(),
            news: entry.contact.as_ref().map(Contact::news),
        };
        held.map(tell).collect()
    }

    /// The names of the queues that the slots of this link serve, as a JSON list.
    pub(super) fn serves(&self) -> String {
        let served: BTreeSet<String> = self.entries().slots.values().flatten().map(ToString::to_string).collect();
        serde_json::to_string(&served).unwrap_or_default()
    }

    /// Hands the wish to cancel a test to its worker. `None` when no such test is here.
    pub(super) fn cancel(&self, wish: &Cancel) -> Option<Cancelled> {
        let contact = {
            let entries = self.entries();
            let mine = |entry: &&Entry| entry.uuid.as_ref().is_some_and(|uuid| uuid.as_str() == wish.uuid);
            entries.claims.values().find(mine)?.contact.clone()
        };
        // A worker that has just got the request has not begun with it: whoever asks again finds it ready.
        contact.map(|contact| contact.cancel(wish))
    }
}

impl Place {
    /// A place for a claim. `None` when this process holds the request already, or is about to.
    pub(super) fn take(roll: &Arc<Roll>, uuid: Option<&RequestId>, origin: &QueueName, body: &[u8]) -> Option<Self> {
        let mut entries = roll.entries();
        if uuid.is_some() && entries.claims.values().any(|entry| entry.uuid.as_ref() == uuid) {
            return None;
        }
        let key = entries.next;
        entries.next += 1;
        let entry =
            Entry { uuid: uuid.cloned(), origin: origin.clone(), body: body.to_vec(), copy: None, contact: None };
        entries.claims.insert(key, entry);
        Some(Self { roll: Arc::clone(roll), key })
    }

    /// From now on answers that the claim is held, by a copy on this channel; or, with `None`, no longer.
    pub(super) fn set_copy(&self, copy: Option<&Channel>) {
        if let Some(entry) = self.roll.entries().claims.get_mut(&self.key) {
            entry.copy = copy.cloned();
        }
    }
}

/// Where a claim's worker says what its test does. It outlives its place without effect.
pub(super) struct Teller {
    roll: Arc<Roll>,
    key: u64,
}

impl Place {
    pub(super) fn teller(&self) -> Teller {
        Teller { roll: Arc::clone(&self.roll), key: self.key }
    }
}

impl Teller {
    pub(super) fn introduce(&self, contact: Contact) {
        if let Some(entry) = self.roll.entries().claims.get_mut(&self.key) {
            entry.contact = Some(contact);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.roll.entries().claims.remove(&self.key);
    }
}
