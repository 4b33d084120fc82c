//! What operators take out of a queue.

use std::io;

/// Which of a queue's messages are meant. None of them is held by a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pile {
    /// Those that wait.
    Ready,
    /// Those that wait out a delay.
    Delayed,
    /// Those that can never be run.
    Dead,
}

/// A message that nobody holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The message as it came; it may hold a private PPA's token.
    pub body: Vec<u8>,
    /// Why it cannot be run, when it is a dead letter.
    pub reason: Option<String>,
}

/// Chooses, from the messages in their order, the places of those that are taken out. Before it returns it has written down what it
/// must: from then on nobody else has them. An error keeps all of them where they are.
pub type Choice = Box<dyn FnOnce(&[Message]) -> io::Result<Vec<usize>> + Send>;

/// How much of a pile is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// What is chosen.
    Some,
    /// All of it.
    Everything,
}
