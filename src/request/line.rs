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
        // A colon after the package is one of the parameters. The line is not quoted: a PPA in it may have a token.
        let (queue, request) = line
            .trim()
            .split_once(':')
            .filter(|(queue, _)| !queue.contains(|c: char| c.is_whitespace() || c == '{'))
            .ok_or_else(|| InvalidRequest::new("line", "", "must have the form QUEUE:PACKAGE {json}"))?;
        let queue = queue.parse::<QueueName>()?;
        Ok(Self { queue, request: Request::parse_text(request, &mut CosmeticPolicy::Strict)? })
    }

    /// Returns the line, which [`Submission::parse_line`] parses into the same submission.
    pub fn to_line(&self) -> String {
        let wire = self.request.to_wire();
        // The wire form has exactly one newline, between package and parameters: JSON escapes all others.
        format!("{}:{}", self.queue, wire.replacen('\n', " ", 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_line_is_said_once() {
        let wrong = |line: &str| Submission::parse_line(line).unwrap_err().to_string();
        let form = "line: must have the form QUEUE:PACKAGE {json}";
        assert_eq!(wrong(r#"gzip {"triggers": ["glibc/2.39-1"]}"#), form);
        assert_eq!(wrong("gzip"), form);
        assert_eq!(
            wrong("nope:gzip"),
            "queue \"nope\": a queue is named debci-RELEASE-ARCH or debci-CONTEXT-RELEASE-ARCH"
        );
        assert!(wrong("debci-Noble-amd64:gzip").starts_with("release \"Noble\": "));
    }
}
