//! Hooks, deliveries, statuses and tokens as a forge returns them, in the same form for every forge.

use jiff::Timestamp;
use serde::Serialize;

use super::status::State;

/// A hook at the forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemoteHook {
    /// Its id at the forge.
    pub id: u64,
    /// The address that it sends to.
    pub url: String,
    /// Whether it is enabled.
    pub is_active: bool,
    /// Whether it sends changes of pull requests.
    pub sends_pulls: bool,
    /// Whether it verifies the receiver's certificate.
    pub verifies_certificate: bool,
}

/// The last delivery of a hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemoteDelivery {
    /// Its id at the forge.
    pub id: u64,
    /// The name of the event.
    pub event: String,
    /// Time when it was sent.
    pub at: Option<Timestamp>,
    /// HTTP status of the answer; none without an answer.
    pub status: Option<u16>,
    /// Body of the answer, as far as the forge keeps it.
    #[serde(skip)]
    pub answer: String,
}

impl RemoteDelivery {
    /// Returns the trouble that the web service reports in its answer, although it accepted the delivery.
    pub fn trouble(&self) -> Option<String> {
        let answer: serde_json::Value = serde_json::from_str(&self.answer).ok()?;
        Some(answer.get("trouble")?.as_str()?.to_owned())
    }

    /// Whether the delivery was accepted.
    pub fn is_good(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// A status at the forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemoteStatus {
    /// The name of what was checked: see [`context`](super::status::context).
    pub context: String,
    /// The state.
    pub state: State,
    /// The description for people.
    pub description: String,
    /// The address of further details.
    pub link: Option<String>,
}

/// Owner and scopes of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFacts {
    /// Name of the owner; none when the forge does not return it.
    pub login: Option<String>,
    /// Scopes; none for a token without named scopes.
    pub scopes: Option<Vec<String>>,
}

/// Returns the newest status of each context. `all` has the newest first.
pub(super) fn newest(all: Vec<RemoteStatus>) -> Vec<RemoteStatus> {
    let mut newest: Vec<RemoteStatus> = Vec::new();
    for status in all {
        if newest.iter().all(|known| known.context != status.context) {
            newest.push(status);
        }
    }
    newest
}
