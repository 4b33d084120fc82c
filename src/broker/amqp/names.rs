//! Names of queues, exchanges and headers at RabbitMQ.
//!
//! Request queues and announcements have names that other programs share. All names of our own begin with `apt-ci.` or
//! `x-apt-ci-`.

use std::time::Duration;

use lapin::types::ShortString;

use crate::release::QueueName;
use crate::request::RequestId;

/// Header: number of the attempt of a copy in a claim queue. A request that comes back keeps it.
pub(super) const ATTEMPT: &str = "x-apt-ci-attempt";
/// Header: number of times that the request was passed on.
pub(super) const HANDOVERS: &str = "x-apt-ci-passes";
/// Header: failures of earlier attempts, a JSON list.
pub(super) const FAILURES: &str = "x-apt-ci-failures";
/// Header: reason why a dead letter cannot be run.
pub(super) const REASON: &str = "x-apt-ci-reason";
/// Header: an operator has moved the request to another queue, or submitted it again.
///
/// An earlier copy may have been run.
pub(super) const MOVED: &str = "x-apt-ci-moved";
/// Header: queue that a dead letter, or a claim in an answer of its holder, came from.
pub(super) const ORIGIN: &str = "x-apt-ci-origin";
/// Header of a question: only the holder of this request answers.
///
/// Header of an answer to a cancellation: id of the request.
pub(super) const UUID: &str = "x-apt-ci-uuid";
/// Header of a question: each holder also says when its last answer has come. Header of that last answer.
///
/// Questions about one request do not have it: any answer to them is a proof that a claim is held.
pub(super) const CLOSING: &str = "x-apt-ci-closing";
/// Header of an answer: progress of the test, in JSON.
pub(super) const PROGRESS: &str = "x-apt-ci-news";
/// Header of the last answer: names of the queues that the holder serves, a JSON list.
pub(super) const SERVES: &str = "x-apt-ci-serves";
/// Header of a question: request to cancel a test, in JSON. Header of its answer: the outcome.
pub(super) const CANCEL: &str = "x-apt-ci-cancel";
/// Queue from which every connection consumes that answers questions.
///
/// Its number of consumers is theirs; it has no messages.
pub(super) const PRESENCE: &str = "apt-ci.presence";
/// Queue that has a message if request queues were last observed to be quorum queues.
pub(super) const TYPE_NOTE: &str = "apt-ci.queue-type";
/// Queue of notes about the returns that must be tried out before a quorum queue is listed again.
pub(super) const RETURNS_NEEDED: &str = "apt-ci.returns-needed";
/// Queue of notes about trials in which the message stayed.
pub(super) const RETURNS_TRIED: &str = "apt-ci.returns-tried";
/// Exchange for questions to all connections with slots.
pub(super) const ROLL_CALL: &str = "apt-ci.roll-call";
/// Pseudo-queue of RabbitMQ for answers to the asking channel only.
pub(super) const REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// Returns the name of a request queue in the type of the protocol.
pub(super) fn short(queue: &QueueName) -> ShortString {
    queue.to_string().into()
}

/// Returns a name for a slot that is never used again, with the host and the process in it.
pub(super) fn slot_id() -> String {
    let host: String =
        crate::host::name().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(40).collect();
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("{host}-{}-{}", std::process::id(), &random[..12])
}

/// Returns the name of a claim queue of a slot, and of the exchange in front of it. Numbers begin with 1.
///
/// A slot may need several, one after the other or at the same time.
pub(super) fn claim_queue(slot: &str, number: u64) -> ShortString {
    match number {
        1 => format!("apt-ci.claim.{slot}").into(),
        later => format!("apt-ci.claim.{slot}-{later}").into(),
    }
}

/// Prefix of queues of dead letters.
const DEAD: &str = "apt-ci.dead.";

/// Returns the name of the queue of an origin's dead letters.
pub(super) fn dead_queue(origin: &QueueName) -> ShortString {
    format!("{DEAD}{origin}").into()
}

/// Returns whether a queue is one of dead letters.
pub(super) fn is_dead_queue(queue: &ShortString) -> bool {
    queue.as_str().starts_with(DEAD)
}

/// Returns the name of the classic queue for this delay, and of the exchange in front of it. All origins share it.
pub(super) fn delay_queue(delay: Duration) -> ShortString {
    format!("apt-ci.delay.{}", delay.as_secs()).into()
}

/// Returns the name of the quorum queue for this delay, and of the exchange in front of it.
pub(super) fn quorum_delay_queue(delay: Duration) -> ShortString {
    format!("apt-ci.delay.quorum.{}", delay.as_secs()).into()
}

/// Returns a name for a queue of our own in which it is tried out how the broker takes messages back.
///
/// It begins and ends like the queue's name, so that the same policies apply, except those for exactly that name. For
/// the empty name, the policies for our own queues apply.
pub(super) fn trial_queue(queue: &ShortString) -> ShortString {
    let random = uuid::Uuid::new_v4().simple().to_string();
    match queue.as_str() {
        "" => format!("apt-ci.look.{random}").into(),
        queue => {
            let architecture = queue.rsplit('-').next().unwrap_or_default();
            format!("{queue}.apt-ci-look.{}-{architecture}", &random[..12]).into()
        }
    }
}

/// Returns the name of the queue that exists while a connection copies messages to another queue.
pub(super) fn copying_queue(to: &ShortString) -> ShortString {
    format!("apt-ci.copying.{to}").into()
}

/// Returns the name of the queue that exists while a connection runs the request.
pub(super) fn lock_queue(request: &RequestId) -> ShortString {
    format!("apt-ci.lock.{request}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_names_fit_into_the_protocol() {
        let long = "r".repeat(40);
        let origin: QueueName = format!("debci-upstream-{long}-{long}").parse().unwrap();
        let slot = format!("{}-{}-{}", "h".repeat(40), u32::MAX, "f".repeat(12));
        assert!(claim_queue(&slot, u64::MAX).as_str().len() < 256);
        assert!(dead_queue(&origin).as_str().len() < 256);
        assert!(trial_queue(&dead_queue(&origin)).as_str().len() < 256);
        assert!(copying_queue(&short(&origin)).as_str().len() < 256);
        assert!(lock_queue(&"a".repeat(64).parse().unwrap()).as_str().len() < 256);
    }

    #[test]
    fn two_slots_never_share_a_name() {
        assert_ne!(slot_id(), slot_id());
    }
}
