//! The line form of a batch: `QUEUE:SRC {json}`, as proposed-migration writes it in file mode.

use super::wire::CosmeticPolicy;
use super::{InvalidRequest, Request};
use crate::release::QueueName;

/// A request and its queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// The queue.
    pub queue: QueueName,
    /// The request.
    pub request: Request,
}

impl Submission {
    /// Parses one line of a batch.
    ///
    /// # Errors
    /// When the queue's name or the request is invalid.
    pub fn parse_line(line: &str) -> Result<Self, InvalidRequest> {
        let (queue, request) = line
            .trim()
            .split_once(':')
            .ok_or_else(|| InvalidRequest::new("line", line, "has the form QUEUE:SRC {parameters}"))?;
        let queue = queue.parse().map_err(|error| InvalidRequest::new("queue", queue, format!("{error}")))?;
        Ok(Self { queue, request: Request::parse_text(request, &mut CosmeticPolicy::Strict)? })
    }

    /// Returns the line, which [`Submission::parse_line`] parses into the same submission.
    pub fn to_line(&self) -> String {
        let wire = self.request.to_wire();
        // The wire form has exactly one newline, between package and parameters: JSON escapes all others.
        format!("{}:{}", self.queue, wire.replacen('\n', " ", 1))
    }
}
