//! Connections to one RabbitMQ server, which are replaced when they are used after a loss.

use std::panic::Location;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::{Either, join_all, select};
use lapin::options::ConfirmSelectOptions;
use lapin::uri::AMQPUri;
use lapin::{Channel, ConnectionProperties, ErrorKind};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::channel::{self, ANSWER_TIMEOUT};
use super::claim_registry::ClaimRegistry;
use super::error::{self, AmqpError};
use super::health::Health;
use super::kind_cache::KindCache;
use super::names;
use crate::broker::queue_type::QueueType;
use crate::broker::url::AmqpUrl;
use crate::broker::{BrokerError, CONNECT_TIMEOUT, Exclusion};
use crate::retry::{self, Delays};

/// Interval between heartbeats, in seconds, unless the URL sets it.
const HEARTBEAT_INTERVAL: u16 = 30;
/// Maximum size of a frame, in bytes, unless the URL sets it: RabbitMQ's default.
///
/// The headers of a message come in one frame. With a smaller limit than the broker's, one message of another program
/// would end every connection that receives it.
///
/// The client library reserves 32 frames for each direction at once: 8 MiB of address space, of which only the used
/// part takes memory. Without a number it would follow the broker's limit, but touch all of that, and more if the
/// broker has no limit.
const FRAME_MAX: u32 = 128 * 1024;
/// Maximum size of a frame from a broker whose own limit turns out to be larger, in bytes.
const FRAME_MAX_LIMIT: u32 = 1024 * 1024;
/// Timeout for closing a connection or a channel.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum pause between attempts to connect while claims are held.
///
/// Until they are acquired again, other workers may take the requests.
const MAX_RETRY_DELAY_WITH_CLAIMS: Duration = Duration::from_secs(1);

/// A way to one server: a live connection, or the means to make one.
pub(super) struct Connector {
    /// For the connections that it returns.
    me: Weak<Self>,
    uri: AMQPUri,
    address: String,
    /// Type of the queues, if the site's configuration says so.
    queue_type: Option<QueueType>,
    name: String,
    connection: Mutex<Option<Connection>>,
    dialling: tokio::sync::Mutex<DialState>,
    /// A second connection, for what commands publish.
    publishing: tokio::sync::Mutex<Option<Connection>>,
    /// Held while a question is sent to workers: under an alarm, the broker would not read another one behind it.
    pub(super) questions: tokio::sync::Mutex<()>,
    /// Maximum size of a frame on the next connection. `None` when the URL decides.
    frame_max: Option<AtomicU32>,
    closed: CancellationToken,
    /// Claims that are held through this connection and its successors.
    pub(super) registry: Arc<ClaimRegistry>,
}

/// A connection that was alive when it was returned.
#[derive(Clone)]
pub(super) struct Connection {
    inner: Arc<lapin::Connection>,
    connector: Weak<Connector>,
    /// Number of the connection; the first is 1.
    pub(super) number: u64,
    /// Time at which it was made.
    pub(super) since: Instant,
    health: Health,
    /// Whether it is no longer used, because it does not answer.
    given_up: Arc<AtomicBool>,
    /// Whether the broker has refused to let this user create queues of our own.
    is_own_denied: Arc<AtomicBool>,
    /// Whether the delay queues exist.
    pub(super) has_delays: Arc<AtomicBool>,
    /// Its users list delayed requests one after the other, because the broker would refuse the second one.
    pub(super) browse_lock: Arc<tokio::sync::Mutex<()>>,
    /// Observed types and limits of queues.
    pub(super) kinds: Arc<KindCache>,
}

struct DialState {
    dialled: u64,
    pauses: Delays,
    not_before: Instant,
}

/// Where and how to connect. What the URL's query sets, stays.
fn destination(url: &str) -> Result<AMQPUri, String> {
    let mut uri: AMQPUri = url.parse()?;
    // The library takes an IPv6 address for a missing host, and connects to localhost.
    if let Some(url::Host::Ipv6(address)) = url::Url::parse(url).ok().as_ref().and_then(url::Url::host) {
        uri.authority.host = address.to_string();
    }
    // A URL that ends in a slash names the virtual host with the empty name, which is never meant.
    if uri.vhost.is_empty() {
        uri.vhost = "/".to_owned();
    }
    uri.query.heartbeat.get_or_insert(HEARTBEAT_INTERVAL);
    uri.query.connection_timeout.get_or_insert(CONNECT_TIMEOUT.as_millis() as u64);
    Ok(uri)
}

impl Connector {
    /// Returns a way to the broker at this URL. No connection is made yet.
    pub(super) fn new(url: &AmqpUrl) -> Result<Arc<Self>, BrokerError> {
        let unusable = |reason: String| BrokerError::Unreachable { address: url.shown().to_owned(), reason };
        let uri = destination(url.full()).map_err(unusable)?;
        Ok(Arc::new_cyclic(|me| Self {
            me: me.clone(),
            frame_max: uri.query.frame_max.is_none().then(|| AtomicU32::new(FRAME_MAX)),
            uri,
            address: url.shown().to_owned(),
            queue_type: url.queue_type(),
            name: format!("apt-ci {}", names::slot_id()),
            connection: Mutex::new(None),
            dialling: tokio::sync::Mutex::new(DialState {
                dialled: 0,
                pauses: retry::ENDLESS.delays(),
                not_before: Instant::now(),
            }),
            publishing: tokio::sync::Mutex::new(None),
            questions: tokio::sync::Mutex::default(),
            closed: CancellationToken::new(),
            registry: Arc::default(),
        }))
    }

    /// Returns the current connection, if it is alive.
    pub(super) fn current(&self) -> Option<Connection> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        connection.as_ref().filter(|connection| connection.is_alive()).cloned()
    }

    /// Returns the current connection if it is alive, or makes a new one in a single attempt.
    pub(super) async fn connection(&self) -> Result<Connection, BrokerError> {
        match self.current() {
            Some(connection) => Ok(connection),
            None => {
                let mut dialling = self.dialling.lock().await;
                self.dial(&mut dialling).await
            }
        }
    }

    /// Returns the current connection, or makes a new one in as many attempts as it takes. Cancel-safe.
    ///
    /// All users share the growing pauses between attempts. `None` when it was closed meanwhile.
    pub(super) async fn persistently(&self) -> Option<Connection> {
        let attempts = pin!(async {
            loop {
                if let Some(connection) = self.current() {
                    return connection;
                }
                let mut dialling = self.dialling.lock().await;
                let now = Instant::now();
                if dialling.not_before > now {
                    let until = dialling.not_before;
                    // Not under the lock: a command that tries only once does not wait for the pause.
                    drop(dialling);
                    tokio::time::sleep_until(until).await;
                    continue;
                }
                match self.dial(&mut dialling).await {
                    Ok(connection) => return connection,
                    Err(error) => tracing::warn!("{error}; trying again"),
                }
            }
        });
        match select(pin!(self.closed.cancelled()), attempts).await {
            Either::Left(_) => None,
            Either::Right((connection, _)) => Some(connection),
        }
    }

    async fn dial(&self, dialling: &mut DialState) -> Result<Connection, BrokerError> {
        // Another task may have connected while this one waited for the lock.
        if let Some(connection) = self.current() {
            return Ok(connection);
        }
        if self.closed.is_cancelled() {
            return Err(self.unreachable("the connection was closed"));
        }
        self.accept_larger_frames();
        let outcome = self.connect().await;
        match outcome {
            Ok(inner) => {
                dialling.dialled += 1;
                dialling.pauses = retry::ENDLESS.delays();
                // A connection that is lost as soon as it is made does not make us dial in a tight loop.
                dialling.not_before = Instant::now() + Duration::from_millis(200);
                if dialling.dialled > 1 {
                    tracing::info!("connected to the queue server {} again", self.address);
                }
                let connection = Connection::new(inner, self, dialling.dialled);
                *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                let longest = if self.registry.is_empty() { Duration::MAX } else { MAX_RETRY_DELAY_WITH_CLAIMS };
                let pause = dialling.pauses.next_delay().min(longest);
                dialling.not_before = Instant::now() + pause;
                Err(error)
            }
        }
    }

    async fn connect(&self) -> Result<lapin::Connection, BrokerError> {
        let mut uri = self.uri.clone();
        if let Some(frame_max) = &self.frame_max {
            uri.query.frame_max = Some(frame_max.load(Ordering::Relaxed));
        }
        let properties = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        match tokio::time::timeout(CONNECT_TIMEOUT, lapin::Connection::connect_uri(uri, properties)).await {
            Ok(Ok(inner)) => Ok(inner),
            Ok(Err(error)) => {
                let (address, reason) = (self.address.clone(), error::reason(&error));
                Err(match Exclusion::from_rabbitmq(&reason) {
                    Some(exclusion) => BrokerError::Excluded { address, exclusion },
                    None => BrokerError::Unreachable { address, reason },
                })
            }
            Err(_) => Err(self.unreachable(format!("no answer within {} seconds", CONNECT_TIMEOUT.as_secs()))),
        }
    }

    /// Raises the frame limit for the next connection, if the last one ended because of too large a frame.
    ///
    /// The broker sends frames up to its own limit, which may have been raised.
    fn accept_larger_frames(&self) {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(frame_max), Some(connection)) = (&self.frame_max, &*connection)
            && connection.health.ended_by_large_frame()
        {
            let larger = frame_max.load(Ordering::Relaxed).saturating_mul(4).min(FRAME_MAX_LIMIT);
            frame_max.store(larger, Ordering::Relaxed);
        }
    }

    /// Returns the connection for submissions and for questions to workers.
    ///
    /// While an alarm is on, the broker reads nothing more from a connection that has published. With a separate
    /// connection for this, the other one can still list queues and take requests out.
    pub(super) async fn publishing(&self) -> Result<Connection, BrokerError> {
        let mut publishing = self.publishing.lock().await;
        if let Some(connection) =
            publishing.as_ref().filter(|connection| connection.is_alive() && connection.alarm().is_none())
        {
            return Ok(connection.clone());
        }
        if self.closed.is_cancelled() {
            return Err(self.unreachable("the connection was closed"));
        }
        let inner = self.connect().await?;
        Ok(publishing.insert(Connection::new(inner, self, 1)).clone())
    }

    /// Returns a channel with confirmations on the publishing connection, and the connection.
    ///
    /// The broker may have blocked the connection because of an alarm, and say so a moment later. Then a new connection
    /// is made.
    pub(super) async fn publishing_channel(&self) -> Result<(Connection, Channel), AmqpError> {
        loop {
            let away = |error: BrokerError| AmqpError::Unreachable(error.to_string());
            let connection = self.publishing().await.map_err(away)?;
            let opened = tokio::select! {
                biased;
                channel = connection.confirming_channel() => channel,
                alarm = connection.blocked() => Err(alarm),
            };
            match opened {
                Err(AmqpError::Blocked(_)) => {}
                channel => return Ok((connection, channel?)),
            }
        }
    }

    fn unreachable(&self, reason: impl Into<String>) -> BrokerError {
        BrokerError::Unreachable { address: self.address.clone(), reason: reason.into() }
    }

    /// Converts the failure of an action into the error that callers see.
    pub(super) fn error(&self, action: &str, fault: AmqpError) -> BrokerError {
        match fault {
            AmqpError::Unreachable(reason) => self.unreachable(reason),
            AmqpError::BeingBrowsed(held) => BrokerError::BeingBrowsed(held),
            AmqpError::Blocked(reason) => BrokerError::Blocked { action: action.to_owned(), reason },
            AmqpError::Denied(denial) => BrokerError::Denied { action: action.to_owned(), denial },
            other => BrokerError::Refused { action: action.to_owned(), reason: other.to_string() },
        }
    }

    /// Closes all connections. No new ones are made.
    pub(super) async fn close(&self) {
        self.closed.cancel();
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner).take();
        let publishing = self.publishing.lock().await.take();
        join_all(connection.iter().chain(&publishing).map(Connection::say_goodbye)).await;
    }
}

impl Connection {
    fn new(inner: lapin::Connection, connector: &Connector, number: u64) -> Self {
        let health = Health::of(&inner);
        let (inner, since) = (Arc::new(inner), Instant::now());
        Self {
            inner,
            connector: connector.me.clone(),
            number,
            since,
            health,
            given_up: Arc::default(),
            is_own_denied: Arc::default(),
            has_delays: Arc::default(),
            browse_lock: Arc::default(),
            kinds: Arc::new(KindCache::new(connector.queue_type)),
        }
    }

    fn is_alive(&self) -> bool {
        self.inner.status().connected() && !self.given_up.load(Ordering::Relaxed)
    }

    /// Closes the connection. If the broker does not answer in time, it notices the end by itself.
    ///
    /// A broker with an alarm does not answer: it notices the end when the alarm is over.
    async fn say_goodbye(&self) {
        tokio::select! {
            biased;
            _ = tokio::time::timeout(CLOSE_TIMEOUT, self.inner.close(200, "goodbye".into())) => {}
            _ = self.blocked() => {}
        }
    }

    /// Returns whether this user may create queues of our own, as far as is known.
    pub(super) fn may_create_own(&self) -> bool {
        !self.is_own_denied.load(Ordering::Relaxed)
    }

    /// Records that this user may not create queues of our own.
    pub(super) fn record_own_denied(&self) {
        self.is_own_denied.store(true, Ordering::Relaxed);
    }

    /// Marks the connection as unusable because it does not answer, so that its next user makes a new one.
    fn give_up(&self) {
        tracing::warn!("the connection to the queue server does not answer; it is replaced");
        self.leave();
    }

    /// Stops using the connection, and closes it in the background.
    pub(super) fn leave(&self) {
        self.given_up.store(true, Ordering::Relaxed);
        let left = self.clone();
        tokio::spawn(async move { left.say_goodbye().await });
    }

    /// Returns a channel for publishing, on a connection to the same broker: see [`Connector::publishing_channel`].
    pub(super) async fn publishing_channel(&self) -> Result<(Self, Channel), AmqpError> {
        let connector =
            self.connector.upgrade().ok_or_else(|| AmqpError::Unreachable("the connection was closed".to_owned()))?;
        connector.publishing_channel().await
    }

    /// Waits until the connection has ended, however it ended. Cancel-safe.
    pub(super) async fn ended(&self) -> AmqpError {
        self.health.ended().await
    }

    /// Returns the alarm that blocks publications on this connection.
    ///
    /// RabbitMQ reports alarms only to connections that have published.
    pub(super) fn alarm(&self) -> Option<AmqpError> {
        self.health.alarm()
    }

    /// Waits for an alarm, indefinitely if none comes. Cancel-safe.
    pub(super) async fn blocked(&self) -> AmqpError {
        self.health.blocked().await
    }

    /// Closes a channel on which something was published, without waiting for a broker with an alarm.
    ///
    /// The broker may report the alarm a moment after the publication.
    pub(super) async fn close(&self, channel: &Channel) {
        tokio::select! {
            biased;
            _ = self.blocked() => {}
            () = channel::close(channel) => {}
            // The work is done: a channel that does not close in order is no failure.
            () = tokio::time::sleep(CLOSE_TIMEOUT) => {}
        }
    }

    /// Waits until no alarm blocks publications, or the connection has ended. Cancel-safe.
    pub(super) async fn unblocked(&self) {
        self.health.unblocked().await;
    }

    /// Runs a conversation with the broker, with a timeout. It ends with the connection, too.
    ///
    /// # Errors
    /// [`AmqpError::Blocked`] when the broker does not answer because of an alarm.
    #[track_caller]
    pub(super) fn with_timeout<T>(
        &self,
        conversation: impl Future<Output = Result<T, AmqpError>>,
    ) -> impl Future<Output = Result<T, AmqpError>> {
        let caller = Location::caller();
        async move {
            let outcome = tokio::select! {
                biased;
                outcome = conversation => outcome,
                fault = self.ended() => Err(fault),
                () = tokio::time::sleep(ANSWER_TIMEOUT) => Err(self.silence(caller)),
            };
            match (outcome, self.alarm()) {
                (Err(AmqpError::Unreachable(_)), Some(alarm)) => Err(alarm),
                (outcome, _) => outcome,
            }
        }
    }

    /// Returns the failure of a conversation that has timed out. Replaces a connection that no longer answers at all.
    ///
    /// Bytes that were damaged on their way can leave a connection waiting for the end of a frame that never comes,
    /// while heartbeats arrive.
    fn silence(&self, caller: &Location<'_>) -> AmqpError {
        if self.alarm().is_none() {
            let connection = self.clone();
            tokio::spawn(async move {
                let answer = tokio::time::timeout(CLOSE_TIMEOUT, connection.open()).await;
                if !matches!(answer, Ok(Ok(_))) && connection.alarm().is_none() {
                    connection.give_up();
                }
            });
        }
        channel::no_answer(caller)
    }

    /// Runs a conversation with the broker that must not fail because of an alarm.
    ///
    /// The timeout does not run while an alarm is on.
    #[track_caller]
    pub(super) fn with_timeout_after_alarm<T>(
        &self,
        conversation: impl Future<Output = Result<T, AmqpError>>,
    ) -> impl Future<Output = Result<T, AmqpError>> {
        let caller = Location::caller();
        async move {
            let mut conversation = pin!(conversation);
            let mut was_blocked = false;
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut conversation => return outcome,
                    fault = self.ended() => return Err(fault),
                    () = tokio::time::sleep(ANSWER_TIMEOUT) => {}
                }
                let is_blocked = self.alarm().is_some();
                // The timeout begins again when an alarm has ended.
                if !is_blocked && !was_blocked {
                    return Err(self.silence(caller));
                }
                was_blocked = is_blocked;
            }
        }
    }

    /// Opens a channel.
    ///
    /// The client library never forgets why the broker closed a channel: a later channel with the same number, after a
    /// few thousand others, gets the old error when it is opened. Opening is never refused in such a way, so the number
    /// is skipped. When no number is left, the connection is replaced.
    pub(super) async fn channel(&self) -> Result<Channel, AmqpError> {
        self.with_timeout(self.open()).await
    }

    async fn open(&self) -> Result<Channel, AmqpError> {
        for _ in 0..=u16::MAX {
            match self.inner.create_channel().await {
                Err(error) if error.is_amqp_soft_error() => {}
                Err(error) if matches!(error.kind(), ErrorKind::ChannelsLimitReached) => break,
                outcome => return Ok(outcome?),
            }
        }
        tracing::info!("the connection to the queue server has no channel numbers left; reconnecting");
        let end = self.inner.close(200, "out of channel numbers".into());
        // Whether it ends in good order or not, it no longer counts as connected.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, end).await;
        Err(AmqpError::Unreachable("its connection had no channel numbers left".to_owned()))
    }

    /// Opens a channel on which the broker confirms every publication.
    pub(super) async fn confirming_channel(&self) -> Result<Channel, AmqpError> {
        let channel = self.channel().await?;
        self.with_timeout(async { Ok(channel.confirm_select(ConfirmSelectOptions::default()).await?) }).await?;
        Ok(channel)
    }

    /// Returns the virtual host of the connection.
    pub(super) fn vhost(&self) -> String {
        self.inner.status().vhost().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_are_on_unless_the_url_says_otherwise() {
        assert_eq!(destination("amqp://mq.example").unwrap().query.heartbeat, Some(HEARTBEAT_INTERVAL));
        assert_eq!(destination("amqp://mq.example?heartbeat=7").unwrap().query.heartbeat, Some(7));
    }

    #[test]
    fn hosts_and_virtual_hosts_are_those_that_people_mean() {
        for (url, host, port, vhost) in [
            ("amqp://mq.example", "mq.example", 5672, "/"),
            ("amqp://mq.example/", "mq.example", 5672, "/"),
            ("amqps://mq.example/%2f", "mq.example", 5671, "/"),
            ("amqp://mq.example:1/ci", "mq.example", 1, "ci"),
            ("amqp://10.0.0.7/ci", "10.0.0.7", 5672, "ci"),
            ("amqp://[fd00::7]:5673/ci", "fd00::7", 5673, "ci"),
        ] {
            let uri = destination(url).unwrap();
            assert_eq!((uri.authority.host.as_str(), uri.authority.port, uri.vhost.as_str()), (host, port, vhost));
        }
    }
}
