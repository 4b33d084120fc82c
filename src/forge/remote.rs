//! What a forge says about hooks, deliveries, statuses and tokens, in the same form for every forge.

use jiff::Timestamp;
use serde::Serialize;

use super::status::State;

/// A hook as the forge has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PresentHook {
    /// Its number.
    pub id: u64,
    /// Where it sends to.
    pub url: String,
    /// Whether it sends at all.
    pub active: bool,
    /// Whether it tells of what is proposed.
    pub tells_of_pulls: bool,
    /// Whether its receiver's certificate is checked.
    pub checks_certificate: bool,
}

/// How a hook's last delivery ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivered {
    /// Its number at the forge.
    pub id: u64,
    /// The event.
    pub event: String,
    /// When.
    pub at: Option<Timestamp>,
    /// The HTTP status of the answer; none when there was no answer.
    pub status: Option<u16>,
    /// The answer's body, as far as the forge has kept it.
    #[serde(skip)]
    pub answer: String,
}

impl Delivered {
    /// What the service says that is wrong, although it has taken it.
    pub fn trouble(&self) -> Option<String> {
        let answer: serde_json::Value = serde_json::from_str(&self.answer).ok()?;
        Some(answer.get("trouble")?.as_str()?.to_owned())
    }

    /// Whether it was taken.
    pub fn is_good(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// A status as the forge shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownStatus {
    /// Whose.
    pub context: String,
    /// The state.
    pub state: State,
    /// In words.
    pub description: String,
    /// Where to read more.
    pub link: Option<String>,
}

/// What a forge tells about a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFacts {
    /// Whose it is; none when the forge does not tell.
    pub login: Option<String>,
    /// What it may do; none for a token whose rights have no names.
    pub scopes: Option<Vec<String>>,
}

/// Of each context the newest; `all` has the newest first.
pub(super) fn newest(all: Vec<ShownStatus>) -> Vec<ShownStatus> {
    let mut newest: Vec<ShownStatus> = Vec::new();
    for status in all {
        if newest.iter().all(|known| known.context != status.context) {
            newest.push(status);
        }
    }
    newest
}
