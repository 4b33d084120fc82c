//! The line form of a batch: `QUEUE:SRC {json}`, as proposed-migration writes it in file mode.

use super::wire::Cosmetic;
use super::{InvalidRequest, Request};
use crate::release::QueueName;

/// A request and the queue that it is meant for.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// Where the request goes.
    pub queue: QueueName,
    /// What is asked for.
    pub request: Request,
}

impl Submission {
    /// Reads one line of a batch.
    ///
    /// # Errors
    /// When the queue's name or the request breaks a rule.
    pub fn parse_line(line: &str) -> Result<Self, InvalidRequest> {
        let (queue, request) = line
            .trim()
            .split_once(':')
            .ok_or_else(|| InvalidRequest::new("line", line, "has the form QUEUE:SRC {parameters}"))?;
        let queue = queue.parse().map_err(|error| InvalidRequest::new("queue", queue, format!("{error}")))?;
        Ok(Self { queue, request: Request::parse_text(request, &mut Cosmetic::Strict)? })
    }

    /// The line that [`Submission::parse_line`] reads back unchanged.
    pub fn to_line(&self) -> String {
        let wire = self.request.to_wire();
        // The wire form has exactly one newline, between package and parameters: JSON escapes those inside.
        format!("{}:{}", self.queue, wire.replacen('\n', " ", 1))
    }
}
