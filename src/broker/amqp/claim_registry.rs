//! The registry of claims that the slots of one client hold, and of the queues that they serve.
//!
//! Questions of other clients are answered from it: see [`super::query_responder`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lapin::Channel;

use crate::broker::test_handle::{CancelOutcome, CancelRequest, TestHandle, TestProgress};
use crate::release::QueueName;
use crate::request::RequestId;

/// Claims that are held, or are being acquired, by the slots of one client.
#[derive(Default)]
pub(super) struct ClaimRegistry(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    next: u64,
    claims: BTreeMap<u64, Entry>,
    /// Queues that each slot serves.
    slots: BTreeMap<u64, Vec<QueueName>>,
}

/// Registers the queues that a slot serves, as long as this value lives.
pub(super) struct SlotRegistration {
    registry: Arc<ClaimRegistry>,
    key: u64,
}

impl SlotRegistration {
    pub(super) fn start(registry: &Arc<ClaimRegistry>, queues: &[QueueName]) -> Self {
        let mut entries = registry.entries();
        let key = entries.next;
        entries.next += 1;
        entries.slots.insert(key, queues.to_vec());
        drop(entries);
        Self { registry: Arc::clone(registry), key }
    }
}

impl Drop for SlotRegistration {
    fn drop(&mut self) {
        self.registry.entries().slots.remove(&self.key);
    }
}

struct Entry {
    uuid: Option<RequestId>,
    origin: QueueName,
    body: Vec<u8>,
    /// Channel on which the broker has delivered our own, confirmed copy.
    copy: Option<Channel>,
    /// Handle to the running test.
    test: Option<TestHandle>,
}

/// Registration of a claim, as long as this value lives.
pub(super) struct ClaimRegistration {
    registry: Arc<ClaimRegistry>,
    key: u64,
}

/// A claim, as its holder reports it.
pub(super) struct HeldClaim {
    /// Name of the queue that the request came from.
    pub(super) origin: String,
    /// Message of the request.
    pub(super) body: Vec<u8>,
    /// Progress of the test, if its worker reports it.
    pub(super) progress: Option<TestProgress>,
}

impl ClaimRegistry {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether no claim is registered.
    pub(super) fn is_empty(&self) -> bool {
        self.entries().claims.is_empty()
    }

    /// Returns the claims that are held now, or only the claim of one request.
    ///
    /// A claim counts as held only when the broker has our own copy, because another copy may be dropped then. The
    /// state of the channel is read here and not remembered: it follows the broker's messages in their order, so a copy
    /// that went back before the question is not reported.
    pub(super) fn held(&self, of: Option<&str>) -> Vec<HeldClaim> {
        let entries = self.entries();
        let held = entries.claims.values().filter(|entry| {
            let asked_for = of.is_none_or(|of| entry.uuid.as_ref().is_some_and(|uuid| uuid.as_str() == of));
            asked_for && entry.copy.as_ref().is_some_and(|channel| channel.status().connected())
        });
        let tell = |entry: &Entry| HeldClaim {
            origin: entry.origin.to_string(),
            body: entry.body.clone(),
            progress: entry.test.as_ref().map(TestHandle::progress),
        };
        held.map(tell).collect()
    }

    /// Returns the names of the queues that the slots serve, as a JSON list.
    pub(super) fn serves(&self) -> String {
        let served: BTreeSet<String> = self.entries().slots.values().flatten().map(ToString::to_string).collect();
        serde_json::to_string(&served).unwrap_or_default()
    }

    /// Passes a request to cancel a test to its worker. `None` when the test is not here.
    pub(super) fn cancel(&self, request: &CancelRequest) -> Option<CancelOutcome> {
        let test = {
            let entries = self.entries();
            let mine = |entry: &&Entry| entry.uuid.as_ref().is_some_and(|uuid| uuid.as_str() == request.uuid);
            entries.claims.values().find(mine)?.test.clone()
        };
        // A worker that has just claimed the request has not begun yet: the next question finds it ready.
        test.map(|test| test.cancel(request))
    }
}

impl ClaimRegistration {
    /// Registers a claim. `None` when this process has registered the request already.
    pub(super) fn take(
        registry: &Arc<ClaimRegistry>,
        uuid: Option<&RequestId>,
        origin: &QueueName,
        body: &[u8],
    ) -> Option<Self> {
        let mut entries = registry.entries();
        if uuid.is_some() && entries.claims.values().any(|entry| entry.uuid.as_ref() == uuid) {
            return None;
        }
        let key = entries.next;
        entries.next += 1;
        let entry = Entry { uuid: uuid.cloned(), origin: origin.clone(), body: body.to_vec(), copy: None, test: None };
        entries.claims.insert(key, entry);
        Some(Self { registry: Arc::clone(registry), key })
    }

    /// Reports the claim as held from now on, with a copy on this channel; or, with `None`, no longer.
    pub(super) fn set_copy(&self, copy: Option<&Channel>) {
        if let Some(entry) = self.registry.entries().claims.get_mut(&self.key) {
            entry.copy = copy.cloned();
        }
    }
}

/// Handle to the registration of a claim, for its worker. It has no effect after the registration has ended.
pub(super) struct RegistrationHandle {
    registry: Arc<ClaimRegistry>,
    key: u64,
}

impl ClaimRegistration {
    pub(super) fn handle(&self) -> RegistrationHandle {
        RegistrationHandle { registry: Arc::clone(&self.registry), key: self.key }
    }
}

impl RegistrationHandle {
    pub(super) fn attach(&self, test: TestHandle) {
        if let Some(entry) = self.registry.entries().claims.get_mut(&self.key) {
            entry.test = Some(test);
        }
    }
}

impl Drop for ClaimRegistration {
    fn drop(&mut self) {
        self.registry.entries().claims.remove(&self.key);
    }
}
