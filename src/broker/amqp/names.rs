//! The names that we give to queues, exchanges and headers at RabbitMQ. Those of the request queues and of the topics are
//! shared with other programs; everything of our own begins with `apt-ci.` or `x-apt-ci-`.

use std::time::Duration;

use lapin::types::ShortString;

use crate::release::QueueName;
use crate::request::RequestId;

/// Header: which attempt the copy in a claim queue is. It stays with a request that comes back.
pub(super) const ATTEMPT: &str = "x-apt-ci-attempt";
/// Header: how often the request was passed on.
pub(super) const PASSES: &str = "x-apt-ci-passes";
/// Header: why earlier attempts failed, a JSON list.
pub(super) const FAILURES: &str = "x-apt-ci-failures";
/// Header: why a dead letter cannot be run.
pub(super) const REASON: &str = "x-apt-ci-reason";
/// Header: an operator has moved the request to another queue, or sent it again: its former copy may have been run.
pub(super) const MOVED: &str = "x-apt-ci-moved";
/// Header: the queue that a dead letter, or a claim in a roll-call's answer, came from.
pub(super) const ORIGIN: &str = "x-apt-ci-origin";
/// Header of a roll-call's question: only who holds this request shall answer; and of the answer to a wish to cancel: whose it is.
pub(super) const UUID: &str = "x-apt-ci-uuid";
/// Header of a roll-call's question: who holds something shall say so, and everybody shall say when nothing more comes. Only then: the
/// answer to a question for one request is a proof that it is held.
pub(super) const CLOSING: &str = "x-apt-ci-closing";
/// Header of a roll-call's answer: what the holder tells of its test, in JSON.
pub(super) const NEWS: &str = "x-apt-ci-news";
/// Header of a roll-call's last answer: the names of the queues that the holder serves, a JSON list.
pub(super) const SERVES: &str = "x-apt-ci-serves";
/// Header of a roll-call's question: the wish to cancel a test, in JSON; and of its answer: what came of it.
pub(super) const CANCEL: &str = "x-apt-ci-cancel";
/// The queue that every connection consumes from which answers roll-calls, and that nothing is ever published to: it tells how many there are.
pub(super) const PRESENCE: &str = "apt-ci.presence";
/// The queue that is not empty if request queues were last seen to be quorum queues.
pub(super) const TYPE_NOTE: &str = "apt-ci.queue-type";
/// The queue of notes about how many returns must be tried out before the next look into a quorum queue.
pub(super) const RETURNS_NEEDED: &str = "apt-ci.returns-needed";
/// The queue of notes about how many returns were tried out.
pub(super) const RETURNS_TRIED: &str = "apt-ci.returns-tried";
/// The exchange through which every worker's connection can be asked for the claims that it holds.
pub(super) const ROLL_CALL: &str = "apt-ci.roll-call";
/// RabbitMQ's pseudo-queue for answers to the asking channel alone.
pub(super) const REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// The name of a request queue, as the protocol wants it.
pub(super) fn short(queue: &QueueName) -> ShortString {
    queue.to_string().into()
}

/// A name for a slot that no other slot has, nor a former life of this one: people find host and process in it.
pub(super) fn slot_id() -> String {
    let host: String =
        crate::host::name().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(40).collect();
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("{host}-{}-{}", std::process::id(), &random[..12])
}

/// The queue that holds a slot's copy of a request, and the exchange that leads there. A slot may need more than one, one after
/// the other or beside each other: they are numbered from 1.
pub(super) fn claim_queue(slot: &str, number: u64) -> ShortString {
    match number {
        1 => format!("apt-ci.claim.{slot}").into(),
        later => format!("apt-ci.claim.{slot}-{later}").into(),
    }
}

/// How the names of queues of dead letters begin.
const DEAD: &str = "apt-ci.dead.";

/// The queue of an origin's dead letters.
pub(super) fn dead_queue(origin: &QueueName) -> ShortString {
    format!("{DEAD}{origin}").into()
}

/// Whether a queue is one of dead letters.
pub(super) fn is_dead_queue(queue: &ShortString) -> bool {
    queue.as_str().starts_with(DEAD)
}

/// The queue in which requests of all origins wait out a delay, and the exchange that leads there: a classic queue.
pub(super) fn delay_queue(delay: Duration) -> ShortString {
    format!("apt-ci.delay.{}", delay.as_secs()).into()
}

/// The same as a quorum queue, for requests of quorum queues.
pub(super) fn quorum_delay_queue(delay: Duration) -> ShortString {
    format!("apt-ci.delay.quorum.{}", delay.as_secs()).into()
}

/// A queue of our own in which it is tried out what the broker does with a message that is given back. It begins and ends as the queue's name,
/// so policies for that apply to it as well, unless they are for that name alone; for the empty name, those for our own queues.
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

/// The queue whose existence says that some connection copies messages to another queue.
pub(super) fn copying_queue(to: &ShortString) -> ShortString {
    format!("apt-ci.copying.{to}").into()
}

/// The queue whose existence says that some connection runs the request.
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
