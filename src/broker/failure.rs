//! Failures of attempts that are not the request's own fault.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Maximum number of failures of a request that are kept; the oldest go first.
pub const MAX_FAILURES: usize = 10;
/// Maximum length of a reason, in characters.
///
/// All failures must fit into one frame of RabbitMQ, with four bytes per character.
const MAX_REASON: usize = 500;
/// Maximum length of a worker's name, in characters.
const MAX_WORKER: usize = 100;

/// An attempt that failed for a reason that is not the request's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Name of the worker.
    pub worker: String,
    /// Reason of the failure. At most 500 characters are kept, without control characters.
    pub reason: String,
    /// Number of the attempt; the first is 1.
    pub attempt: u32,
    /// Time of the failure.
    pub time: Timestamp,
    /// Whether the host itself was at fault, for example with a full disk, and not a testbed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub host: bool,
}

impl Failure {
    /// Returns the failure with its texts cut to the lengths that are kept.
    pub(super) fn bounded(&self) -> Self {
        let Self { worker, reason, .. } = self;
        Self { worker: cut(worker, MAX_WORKER), reason: cut(reason, MAX_REASON), ..self.clone() }
    }
}

/// Returns the text as one line of at most `longest` characters. Control characters become spaces.
pub(super) fn cut(text: &str, longest: usize) -> String {
    let line = |c: char| if c.is_control() { ' ' } else { c };
    match text.char_indices().nth(longest) {
        None => text.chars().map(line).collect(),
        Some(_) => text.chars().take(longest - 1).map(line).chain(['…']).collect(),
    }
}
