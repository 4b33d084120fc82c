//! Requests as messages of RabbitMQ: their bodies, and their headers with the history of earlier attempts.

use lapin::message::Delivery;
use lapin::protocol::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use super::names;
use crate::broker::Settlement;
use crate::broker::failure::cut;
use crate::broker::history::History;
use crate::release::QueueName;
use crate::request::{InvalidRequest, Request, RequestId};

/// A request that a worker claims, with the properties of its copies.
pub(super) struct ClaimedRequest {
    /// Queue that the request came from.
    pub(super) origin: QueueName,
    /// Id of the request. A message that is not a request has none.
    pub(super) uuid: Option<RequestId>,
    /// Body of the message, with an id even if it came without.
    pub(super) body: Vec<u8>,
    /// Past of the request, with this attempt.
    pub(super) history: History,
    headers: FieldTable,
}

/// Maximum size of the headers of other programs that a copy keeps, in bytes.
const MAX_FOREIGN_HEADERS: usize = 16 * 1024;

/// Maximum size of one of our own headers, in bytes. Ten failures with the longest reasons are smaller.
const MAX_OUR_HEADER: usize = 32 * 1024;

/// Maximum length of a dead letter's reason, in characters. An error may quote invalid text of any length.
const MAX_REASON: usize = 2000;

/// Our own headers that a waiting request may have.
const OURS: [&str; 6] = [names::ATTEMPT, names::HANDOVERS, names::FAILURES, names::MOVED, names::REASON, names::ORIGIN];

/// Headers that a copy does not keep: our own, which are written again, those of RabbitMQ, and routing headers.
const DROPPED: [&str; 14] = [
    names::ATTEMPT,
    names::HANDOVERS,
    names::FAILURES,
    names::MOVED,
    "x-death",
    "x-first-death-exchange",
    "x-first-death-queue",
    "x-first-death-reason",
    "x-last-death-exchange",
    "x-last-death-queue",
    "x-last-death-reason",
    "x-delivery-count",
    "CC",
    "BCC",
];

/// `delivery_mode`: the message survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// Returns the properties of every message that carries a request.
pub(super) fn persistent() -> BasicProperties {
    BasicProperties::default().with_delivery_mode(PERSISTENT).with_content_type("text/plain; charset=UTF-8".into())
}

impl ClaimedRequest {
    /// Reads a delivery from a request queue.
    ///
    /// Returns it together with the request, or the reason why it is not one, and whether another holder may have had
    /// it.
    pub(super) fn read(origin: QueueName, delivery: &Delivery) -> (Self, Result<Request, InvalidRequest>, bool) {
        let came_with = delivery.properties.headers().clone().unwrap_or_default();
        let history = claimed_history(&came_with);
        let passed_on = ["x-death", names::MOVED].into_iter().any(|header| came_with.contains_key(header));
        let redelivered = history.had_another_holder() || delivery.redelivered || passed_on;
        let mut notes = Vec::new();
        let parsed = Request::parse_noting(&delivery.data, &mut notes);
        for note in &notes {
            tracing::warn!(queue = %origin, "a request is run although it breaks a rule: {note}");
        }
        let (request, body) = match parsed {
            Ok(request) if request.uuid().is_some() && notes.is_empty() => (Ok(request), delivery.data.clone()),
            Ok(request) => {
                let request = request.with_id();
                let body = request.to_wire().into_bytes();
                (Ok(request), body)
            }
            Err(error) => (Err(error), delivery.data.clone()),
        };
        let uuid = request.as_ref().ok().and_then(|request| request.uuid().cloned());
        let headers = taken_over(origin.to_string().as_str(), &came_with, |name| DROPPED.contains(&name));
        (Self { origin, uuid, body, history, headers }, request, redelivered)
    }

    /// Returns the properties of a copy in a claim queue.
    pub(super) fn properties(&self) -> BasicProperties {
        self.with_headers(self.headers_with(&self.history))
    }

    /// Returns the properties of a copy that goes back to the origin.
    pub(super) fn properties_after(&self, settlement: &Settlement) -> BasicProperties {
        self.with_headers(self.headers_with(&self.history.after(settlement)))
    }

    fn headers_with(&self, history: &History) -> FieldTable {
        with_history(self.headers.clone(), history)
    }

    /// Returns the properties of the dead letter.
    pub(super) fn dead_properties(&self, reason: &str) -> BasicProperties {
        let mut headers = self.headers_with(&self.history);
        headers.insert(names::REASON.into(), AMQPValue::LongString(cut(reason, MAX_REASON).into()));
        headers.insert(names::ORIGIN.into(), AMQPValue::LongString(self.origin.to_string().into()));
        self.with_headers(headers)
    }

    fn with_headers(&self, headers: FieldTable) -> BasicProperties {
        let properties = persistent().with_headers(headers);
        match &self.uuid {
            Some(uuid) => properties.with_message_id(uuid.as_str().into()),
            None => properties,
        }
    }
}

/// Returns the headers of the copy that a worker makes of a request.
///
/// They fit into one frame, whatever these headers are.
#[must_use]
pub fn headers_of_copy(came_with: &FieldTable) -> FieldTable {
    with_history(taken_over("", came_with, |name| DROPPED.contains(&name)), &claimed_history(came_with))
}

/// Returns the history in a request's headers, with the attempt that begins now.
fn claimed_history(came_with: &FieldTable) -> History {
    let number = |name| number_header(came_with, name);
    let failures = History::failures_from(&text_of(came_with, names::FAILURES));
    History { attempts: number(names::ATTEMPT), handovers: number(names::HANDOVERS), failures }.claimed()
}

fn with_history(mut headers: FieldTable, history: &History) -> FieldTable {
    headers.insert(names::ATTEMPT.into(), AMQPValue::LongLongInt(history.attempts.into()));
    if history.handovers > 0 {
        headers.insert(names::HANDOVERS.into(), AMQPValue::LongLongInt(history.handovers.into()));
    }
    if !history.failures.is_empty() {
        headers.insert(names::FAILURES.into(), AMQPValue::LongString(history.failures_text().into()));
    }
    headers
}

/// Returns the properties of a request that an operator moves to another queue. The request keeps its history.
pub(super) fn moved_properties(delivery: &Delivery) -> BasicProperties {
    let mut headers =
        taken_over(delivery.routing_key.as_str(), &delivery.properties.headers().clone().unwrap_or_default(), |_| {
            false
        });
    headers.insert(names::MOVED.into(), AMQPValue::Boolean(true));
    carried(delivery, headers)
}

/// Returns the properties of a dead letter that an operator moves to a queue. It loses its history.
pub(super) fn revived_properties(delivery: &Delivery) -> BasicProperties {
    let came_with = delivery.properties.headers().clone().unwrap_or_default();
    let of_its_death = |name: &str| DROPPED.contains(&name) || [names::REASON, names::ORIGIN].contains(&name);
    let mut headers = taken_over(delivery.routing_key.as_str(), &came_with, of_its_death);
    headers.insert(names::MOVED.into(), AMQPValue::Boolean(true));
    carried(delivery, headers)
}

fn carried(delivery: &Delivery, headers: FieldTable) -> BasicProperties {
    let properties = persistent().with_headers(headers);
    match delivery.properties.message_id() {
        Some(id) => properties.with_message_id(id.clone()),
        None => properties,
    }
}

/// Returns the headers of a message that its copy keeps.
///
/// Requests do not depend on headers of other programs: these are kept only if they are small enough in total. All
/// headers must fit into one frame, so our own may not be large either: any client can send them. `queue` is the name
/// for the warning about dropped headers.
fn taken_over(queue: &str, headers: &FieldTable, is_dropped: impl Fn(&str) -> bool) -> FieldTable {
    let kept = || headers.inner().iter().filter(|(name, _)| !is_dropped(name.as_str()));
    let is_ours = |name: &str| OURS.contains(&name);
    let foreign = kept().filter(|(name, _)| !is_ours(name.as_str()));
    let foreign_size: usize = foreign.map(|(name, value)| name.as_str().len() + size(value)).sum();
    if foreign_size > MAX_FOREIGN_HEADERS {
        tracing::warn!(
            queue,
            "a message's headers of {foreign_size} bytes are dropped: they are of another program, and too large"
        );
    }
    let fits = |name: &str, value: &AMQPValue| match is_ours(name) {
        true => size(value) <= MAX_OUR_HEADER,
        false => foreign_size <= MAX_FOREIGN_HEADERS,
    };
    let mut copy = FieldTable::default();
    for (name, value) in kept().filter(|(name, value)| fits(name.as_str(), value)) {
        copy.insert(name.clone(), value.clone());
    }
    copy
}

/// Returns about how many bytes a header's value takes in a frame.
fn size(value: &AMQPValue) -> usize {
    match value {
        AMQPValue::LongString(text) => 8 + text.as_bytes().len(),
        AMQPValue::ShortString(text) => 8 + text.as_str().len(),
        AMQPValue::ByteArray(bytes) => 8 + bytes.as_slice().len(),
        AMQPValue::FieldArray(values) => 8 + values.as_slice().iter().map(size).sum::<usize>(),
        AMQPValue::FieldTable(table) => 8 + size_of_table(table),
        _ => 16,
    }
}

/// Returns about how many bytes headers take in a frame.
pub(super) fn size_of_table(table: &FieldTable) -> usize {
    table.inner().iter().map(|(name, value)| name.as_str().len() + size(value)).sum()
}

/// Returns the number in a header; 0 when it is missing or not a number. Clients use integers of any width.
fn number_header(headers: &FieldTable, name: &str) -> u32 {
    let number = match headers.inner().get(name) {
        Some(AMQPValue::ShortShortInt(number)) => i64::from(*number),
        Some(AMQPValue::ShortShortUInt(number)) => i64::from(*number),
        Some(AMQPValue::ShortInt(number)) => i64::from(*number),
        Some(AMQPValue::ShortUInt(number)) => i64::from(*number),
        Some(AMQPValue::LongInt(number)) => i64::from(*number),
        Some(AMQPValue::LongUInt(number)) => i64::from(*number),
        Some(AMQPValue::LongLongInt(number)) => *number,
        _ => 0,
    };
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

/// Returns the text in a header; empty when it is missing or not text.
pub(super) fn text_header(properties: &BasicProperties, name: &str) -> String {
    properties.headers().as_ref().map(|headers| text_of(headers, name)).unwrap_or_default()
}

fn text_of(headers: &FieldTable, name: &str) -> String {
    match headers.inner().get(name) {
        Some(AMQPValue::LongString(text)) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        Some(AMQPValue::ShortString(text)) => text.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Failure;

    fn delivery(body: &str, headers: FieldTable) -> Delivery {
        let mut delivery = Delivery::mock(1, "".into(), "debci-sid-amd64".into(), false, body.into());
        delivery.properties = BasicProperties::default().with_headers(headers);
        delivery
    }

    fn origin() -> QueueName {
        "debci-sid-amd64".parse().unwrap()
    }

    #[test]
    fn a_request_without_an_id_gets_one_that_travels_on() {
        let (claimed, request, redelivered) = ClaimedRequest::read(origin(), &delivery("gzip", FieldTable::default()));
        let uuid = request.unwrap().uuid().cloned();
        assert!(uuid.is_some() && !redelivered);
        assert_eq!(Request::parse(&claimed.body).unwrap().uuid().cloned(), uuid);
        assert_eq!(claimed.history.attempts, 1);
    }

    #[test]
    fn a_message_that_is_no_request_stays_as_it_is() {
        let (claimed, request, _) = ClaimedRequest::read(origin(), &delivery("%%%", FieldTable::default()));
        assert!(request.is_err() && claimed.uuid.is_none());
        assert_eq!(claimed.body, b"%%%");
    }

    #[test]
    fn attempts_count_up_and_the_brokers_notes_stay_behind() {
        let mut headers = FieldTable::default();
        headers.insert(names::ATTEMPT.into(), AMQPValue::LongInt(2));
        headers.insert("x-death".into(), AMQPValue::Void);
        headers.insert("CC".into(), AMQPValue::Void);
        headers.insert("x-mine".into(), AMQPValue::Boolean(true));
        let (claimed, _, redelivered) = ClaimedRequest::read(origin(), &delivery("gzip", headers));
        assert!(redelivered);
        assert_eq!(claimed.history.attempts, 3);
        let copy = claimed.properties().headers().clone().unwrap();
        let attempts = |headers: &FieldTable| number_header(headers, names::ATTEMPT);
        let after = |claimed: &ClaimedRequest| claimed.properties_after(&Settlement::Return).headers().clone().unwrap();
        let returned = |claimed: &ClaimedRequest| attempts(&after(claimed));
        assert_eq!(attempts(&copy), 3);
        assert_eq!(returned(&claimed), 2, "an attempt that does not count");
        assert_eq!(returned(&ClaimedRequest::read(origin(), &delivery("gzip", FieldTable::default())).0), 1);
        assert!(copy.contains_key("x-mine") && !copy.contains_key("x-death") && !copy.contains_key("CC"));
    }

    #[test]
    fn large_headers_of_other_programs_stay_behind() {
        for (size, is_kept) in [(MAX_FOREIGN_HEADERS - 100, true), (MAX_FOREIGN_HEADERS + 100, false)] {
            let mut nested = FieldTable::default();
            nested.insert("text".into(), AMQPValue::LongString("x".repeat(size).into()));
            let mut headers = FieldTable::default();
            headers.insert("x-theirs".into(), AMQPValue::FieldTable(nested));
            headers.insert(names::ATTEMPT.into(), AMQPValue::LongInt(2));
            headers.insert(names::MOVED.into(), AMQPValue::Boolean(true));
            let message = delivery("gzip", headers);
            let (claimed, ..) = ClaimedRequest::read(origin(), &message);
            assert_eq!(claimed.history.attempts, 3);
            for properties in [claimed.properties(), moved_properties(&message), revived_properties(&message)] {
                let headers = properties.headers().clone().unwrap();
                assert_eq!(headers.contains_key("x-theirs"), is_kept, "{size}");
            }
            assert!(moved_properties(&message).headers().clone().unwrap().contains_key(names::ATTEMPT));
        }
    }

    #[test]
    fn large_headers_with_our_names_stay_behind() {
        let mut headers = FieldTable::default();
        let large = || AMQPValue::LongString("x".repeat(40 * 1024).into());
        for name in [names::FAILURES, names::REASON, names::ORIGIN, "x-apt-ci-unknown"] {
            headers.insert(name.into(), large());
        }
        headers.insert(names::MOVED.into(), AMQPValue::Boolean(true));
        let message = delivery("gzip", headers);
        let (claimed, ..) = ClaimedRequest::read(origin(), &message);
        for properties in [claimed.properties(), moved_properties(&message), revived_properties(&message)] {
            let headers = properties.headers().clone().unwrap();
            assert!(headers.inner().values().map(size).sum::<usize>() < 1024, "{headers:?}");
        }
        assert!(moved_properties(&message).headers().clone().unwrap().contains_key(names::MOVED));
    }

    #[test]
    fn a_request_takes_its_history_along() {
        let (first, ..) = ClaimedRequest::read(origin(), &delivery("gzip", FieldTable::default()));
        let time = "2026-11-20T10:00:00Z".parse().unwrap();
        let failure =
            Failure { worker: "one".to_owned(), reason: "no testbed".to_owned(), attempt: 1, time, host: false };
        let after = std::time::Duration::from_secs(60);
        let failed = Settlement::Later { after, failure: Some(failure.clone()), counts: true };
        let headers = first.properties_after(&failed).headers().clone().unwrap();
        let (second, _, redelivered) = ClaimedRequest::read(origin(), &delivery("gzip", headers));
        assert!(redelivered);
        assert_eq!((second.history.attempts, second.history.handovers), (2, 0));
        let passed = Settlement::Later { after, failure: None, counts: false };
        let headers = second.properties_after(&passed).headers().clone().unwrap();
        let (third, ..) = ClaimedRequest::read(origin(), &delivery("gzip", headers));
        assert_eq!((third.history.attempts, third.history.handovers), (2, 1));
        assert_eq!(third.history.failures, [failure]);
        let dead = third.dead_properties(&"enough".repeat(10_000)).headers().clone().unwrap();
        assert!(dead.inner().values().map(size).sum::<usize>() < 8000);
        assert!(dead.contains_key(names::FAILURES) && dead.contains_key(names::REASON));
    }

    #[test]
    fn a_nonsensical_attempt_count_is_no_attempt() {
        for value in [AMQPValue::LongInt(-5), AMQPValue::LongString("many".into()), AMQPValue::Void] {
            let mut headers = FieldTable::default();
            headers.insert(names::ATTEMPT.into(), value);
            assert_eq!(number_header(&headers, names::ATTEMPT), 0);
        }
    }
}
