//! Messages that operators remove from a queue or move to another.

use std::io;

/// State of messages that no worker holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageState {
    /// Messages that wait.
    Ready,
    /// Messages that wait out a delay.
    Delayed,
    /// Messages that can never be run.
    Dead,
}

/// A message that no worker holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The message as it came. It may contain the token of a private PPA.
    pub body: Vec<u8>,
    /// Reason why it cannot be run, if it is a dead letter.
    pub reason: Option<String>,
}

/// Selects messages: gets them in their order, and returns the indices of those to take out.
///
/// Anything that must be kept of them has to be written down before it returns, because they are removed then. When it
/// returns an error, all messages stay in the queue.
pub type Selector = Box<dyn FnOnce(&[Message]) -> io::Result<Vec<usize>> + Send>;

/// Part of the messages that is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// The selected messages.
    Some,
    /// All messages.
    Everything,
}
