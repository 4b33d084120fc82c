//! State of a connection: whether it is alive, and whether the broker takes publications on it.
//!
//! The client library does not end every wait when the connection ends. For example, it waits indefinitely for a
//! message that was being fetched. So every wait for the broker also waits for the end of the connection.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::{Connection, Event};
use tokio::sync::watch;

use super::error::{self, AmqpError};

/// Interval between checks of a connection. Most ends are reported as events; this finds the others.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// State of one connection. Clones share it.
#[derive(Clone)]
pub(super) struct Health(watch::Receiver<ConnectionState>);

#[derive(Clone)]
enum ConnectionState {
    Up,
    /// Reason that the broker gives.
    Blocked(String),
    Ended(ConnectionEnd),
}

#[derive(Clone)]
struct ConnectionEnd {
    reason: String,
    by_large_frame: bool,
}

impl Health {
    /// Watches a connection until it has ended. Must be called within the runtime.
    pub(super) fn of(connection: &Connection) -> Self {
        let (state, watched) = watch::channel(ConnectionState::Up);
        let status = connection.status().clone();
        let mut events = Box::pin(connection.events_listener());
        tokio::spawn(async move {
            let closed = || ConnectionEnd { reason: "the connection was closed".to_owned(), by_large_frame: false };
            let ending = loop {
                let event = tokio::time::timeout(CHECK_INTERVAL, events.next()).await;
                match event {
                    Ok(Some(Event::ConnectionBlocked(reason))) => {
                        drop(state.send_replace(ConnectionState::Blocked(reason)))
                    }
                    Ok(Some(Event::ConnectionUnblocked)) => drop(state.send_replace(ConnectionState::Up)),
                    // Ends of channels are reported in the same way.
                    Ok(Some(Event::Error(error))) if !status.connected() => {
                        let by_large_frame = error::is_large_frame(&error);
                        break ConnectionEnd { reason: error::reason(&error), by_large_frame };
                    }
                    Ok(None) => break closed(),
                    Ok(Some(_)) | Err(_) => {}
                }
                if !status.connected() {
                    break closed();
                }
            };
            state.send_replace(ConnectionState::Ended(ending));
        });
        Self(watched)
    }

    /// Waits until the connection has ended. Cancel-safe.
    pub(super) async fn ended(&self) -> AmqpError {
        let mut state = self.0.clone();
        match state.wait_for(|state| matches!(state, ConnectionState::Ended(_))).await.as_deref() {
            Ok(ConnectionState::Ended(ConnectionEnd { reason, .. })) => AmqpError::Unreachable(reason.clone()),
            _ => AmqpError::Unreachable("the connection was closed".to_owned()),
        }
    }

    /// Returns the alarm that blocks publications on this connection.
    pub(super) fn alarm(&self) -> Option<AmqpError> {
        match &*self.0.borrow() {
            ConnectionState::Blocked(reason) => Some(error::alarm(reason)),
            ConnectionState::Up | ConnectionState::Ended(_) => None,
        }
    }

    /// Waits for an alarm, indefinitely if none comes before the connection ends. Cancel-safe.
    pub(super) async fn blocked(&self) -> AmqpError {
        let mut state = self.0.clone();
        let alarm = match state.wait_for(|state| matches!(state, ConnectionState::Blocked(_))).await.as_deref() {
            Ok(ConnectionState::Blocked(reason)) => Some(error::alarm(reason)),
            _ => None,
        };
        match alarm {
            Some(alarm) => alarm,
            None => std::future::pending().await,
        }
    }

    /// Waits until no alarm blocks publications, or the connection has ended. Cancel-safe.
    pub(super) async fn unblocked(&self) {
        let mut state = self.0.clone();
        let _ = state.wait_for(|state| !matches!(state, ConnectionState::Blocked(_))).await;
    }

    /// Returns whether the connection ended because of a frame that exceeds the negotiated limit.
    pub(super) fn ended_by_large_frame(&self) -> bool {
        matches!(&*self.0.borrow(), ConnectionState::Ended(ConnectionEnd { by_large_frame: true, .. }))
    }
}
