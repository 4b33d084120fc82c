//! A request as it travels through RabbitMQ: its body, its headers, and what they tell about earlier attempts.

use lapin::message::Delivery;
use lapin::protocol::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use super::{names, publish};
use crate::release::QueueName;
use crate::request::{InvalidRequest, Request, RequestId};

/// What a worker claims: the request, and the copy of it that it holds.
pub(super) struct Subject {
    /// The queue that it came from.
    pub(super) origin: QueueName,
    /// The request's id; a message that is no request has none.
    pub(super) uuid: Option<RequestId>,
    /// The message: with an id, even if it came without.
    pub(super) body: Vec<u8>,
    /// Which attempt this is; the first is 1.
    pub(super) attempt: u32,
    headers: FieldTable,
}

/// Headers that a copy does not take over: RabbitMQ's own notes, and those that would send the copy to further queues.
const DROPPED: [&str; 10] = [
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

impl Subject {
    /// Reads a delivery from a request queue: the subject, the request or why it is none, and whether another holder may have
    /// had it before.
    pub(super) fn read(origin: QueueName, delivery: &Delivery) -> (Self, Result<Request, InvalidRequest>, bool) {
        let came_with = delivery.properties.headers().clone().unwrap_or_default();
        let attempt = attempts(&came_with).saturating_add(1);
        let redelivered = attempt > 1 || delivery.redelivered || came_with.contains_key("x-death");
        let parsed = Request::parse(&delivery.data);
        let (request, body) = match parsed {
            Ok(request) if request.uuid().is_some() => (Ok(request), delivery.data.clone()),
            Ok(request) => {
                let request = request.identified();
                let body = request.to_wire().into_bytes();
                (Ok(request), body)
            }
            Err(error) => (Err(error), delivery.data.clone()),
        };
        let uuid = request.as_ref().ok().and_then(|request| request.uuid().cloned());
        let mut headers = FieldTable::default();
        for (name, value) in came_with.inner().iter().filter(|(name, _)| !DROPPED.contains(&name.as_str())) {
            headers.insert(name.clone(), value.clone());
        }
        headers.insert(names::ATTEMPT.into(), AMQPValue::LongLongInt(attempt.into()));
        (Self { origin, uuid, body, attempt, headers }, request, redelivered)
    }

    /// The properties of a copy in a claim queue, or back in the origin.
    pub(super) fn properties(&self) -> BasicProperties {
        self.with_headers(self.headers.clone())
    }

    /// The properties of a copy back in the origin whose attempt does not count. The first one always does: the count is
    /// what makes the next holder look for a result.
    pub(super) fn uncounted_properties(&self) -> BasicProperties {
        let mut headers = self.headers.clone();
        let before = self.attempt.saturating_sub(1).max(1);
        headers.insert(names::ATTEMPT.into(), AMQPValue::LongLongInt(before.into()));
        self.with_headers(headers)
    }

    /// The properties of the dead letter.
    pub(super) fn dead_properties(&self, reason: &str) -> BasicProperties {
        let mut headers = self.headers.clone();
        headers.insert(names::REASON.into(), AMQPValue::LongString(reason.into()));
        headers.insert(names::ORIGIN.into(), AMQPValue::LongString(self.origin.to_string().into()));
        self.with_headers(headers)
    }

    fn with_headers(&self, headers: FieldTable) -> BasicProperties {
        let properties = publish::persistent().with_headers(headers);
        match &self.uuid {
            Some(uuid) => properties.with_message_id(uuid.as_str().into()),
            None => properties,
        }
    }
}

/// How often the request was claimed before. Other clients write numbers in whatever width they like.
fn attempts(headers: &FieldTable) -> u32 {
    let number = match headers.inner().get(names::ATTEMPT) {
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

/// A header's text; empty when it is missing or none.
pub(super) fn text_header(properties: &BasicProperties, name: &str) -> String {
    match properties.headers().as_ref().and_then(|headers| headers.inner().get(name)) {
        Some(AMQPValue::LongString(text)) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        Some(AMQPValue::ShortString(text)) => text.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let (subject, request, redelivered) = Subject::read(origin(), &delivery("gzip", FieldTable::default()));
        let uuid = request.unwrap().uuid().cloned();
        assert!(uuid.is_some() && !redelivered);
        assert_eq!(Request::parse(&subject.body).unwrap().uuid().cloned(), uuid);
        assert_eq!(subject.attempt, 1);
    }

    #[test]
    fn a_message_that_is_no_request_stays_as_it_is() {
        let (subject, request, _) = Subject::read(origin(), &delivery("%%%", FieldTable::default()));
        assert!(request.is_err() && subject.uuid.is_none());
        assert_eq!(subject.body, b"%%%");
    }

    #[test]
    fn attempts_count_up_and_the_brokers_notes_stay_behind() {
        let mut headers = FieldTable::default();
        headers.insert(names::ATTEMPT.into(), AMQPValue::LongInt(2));
        headers.insert("x-death".into(), AMQPValue::Void);
        headers.insert("CC".into(), AMQPValue::Void);
        headers.insert("x-mine".into(), AMQPValue::Boolean(true));
        let (subject, _, redelivered) = Subject::read(origin(), &delivery("gzip", headers));
        assert!(redelivered);
        assert_eq!(subject.attempt, 3);
        let copy = subject.properties().headers().clone().unwrap();
        assert_eq!(attempts(&copy), 3);
        let returned = |subject: &Subject| attempts(&subject.uncounted_properties().headers().clone().unwrap());
        assert_eq!(returned(&subject), 2, "an attempt that does not count");
        assert_eq!(returned(&Subject::read(origin(), &delivery("gzip", FieldTable::default())).0), 1);
        assert!(copy.contains_key("x-mine") && !copy.contains_key("x-death") && !copy.contains_key("CC"));
    }

    #[test]
    fn a_nonsensical_attempt_count_is_no_attempt() {
        for value in [AMQPValue::LongInt(-5), AMQPValue::LongString("many".into()), AMQPValue::Void] {
            let mut headers = FieldTable::default();
            headers.insert(names::ATTEMPT.into(), value);
            assert_eq!(attempts(&headers), 0);
        }
    }
}
