//! A claim as a backend makes it, before it becomes a [`Claim`](super::Claim).

use super::history::History;
use crate::release::QueueName;
use crate::request::{InvalidRequest, Request};

/// A request that a backend has just claimed, with the backend's own part of the claim.
pub(super) struct NewClaim<H> {
    /// Queue that the request came from.
    pub(super) queue: QueueName,
    /// The request, with an id; or the reason why the message is not a request.
    pub(super) request: Result<Request, InvalidRequest>,
    /// Whether another holder may have had the request before.
    pub(super) redelivered: bool,
    /// Past of the request, with this attempt.
    pub(super) history: History,
    pub(super) backend: H,
}
