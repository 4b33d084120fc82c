//! One connection to RabbitMQ, dialled again when it is used after a loss.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::{Either, join_all, select};
use lapin::options::ConfirmSelectOptions;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::channel::{self, ANSWER_TIMEOUT};
use super::claims::Roll;
use super::fault::{self, Fault};
use super::health::Health;
use super::kinds::Kinds;
use super::names;
use crate::broker::queue_type::QueueType;
use crate::broker::url::AmqpUrl;
use crate::broker::{BrokerError, CONNECT_TIMEOUT, Exclusion};
use crate::retry::{self, Delays};

/// Both sides tell each other at least this often that they are there, unless the URL says otherwise. Seconds.
const HEARTBEAT: u16 = 30;
/// The largest frame that we accept, unless the URL says otherwise: RabbitMQ's default. The headers of a message come in one frame,
/// so with a smaller limit than the broker's, one message of another program would end every connection that receives it.
///
/// The library reserves 32 frames for each direction at once: 8 MiB of address space, of which only what is used takes memory.
/// Without a number it would follow the broker's, but touch all of that, and more with a broker that has no limit.
const FRAME_MAX: u32 = 128 * 1024;
/// The largest frame that is accepted from a broker whose own limit turns out to be larger.
const LARGEST_FRAME_MAX: u32 = 1024 * 1024;
/// How long a broker may take to answer to a goodbye.
const GOODBYE: Duration = Duration::from_secs(2);
/// A worker whose test runs comes back quickly: until it has announced its claim again, another worker may take the request.
const LONGEST_PAUSE_WITH_CLAIMS: Duration = Duration::from_secs(1);

/// The way to a broker: a live connection, or how to get one.
pub(super) struct Link {
    /// For the connections that it hands out.
    me: Weak<Self>,
    uri: AMQPUri,
    address: String,
    /// The type of the queues, where the site says it.
    queue_type: Option<QueueType>,
    name: String,
    live: Mutex<Option<Live>>,
    dialling: tokio::sync::Mutex<Dialling>,
    /// A second connection, for what commands publish.
    publishing: tokio::sync::Mutex<Option<Live>>,
    /// The largest frame that the next connection accepts; none when the URL decides.
    frame_max: Option<AtomicU32>,
    closed: CancellationToken,
    /// The claims that are held through this link.
    pub(super) roll: Arc<Roll>,
}

/// A connection that was alive when it was handed out.
#[derive(Clone)]
pub(super) struct Live {
    connection: Arc<Connection>,
    link: Weak<Link>,
    /// Which connection of its link this is; the first is 1.
    pub(super) number: u64,
    /// When it was made.
    pub(super) since: Instant,
    health: Health,
    /// It has not answered for so long that it is not used any more.
    given_up: Arc<AtomicBool>,
    /// The broker has refused to let this user make queues of our own.
    makes_none: Arc<AtomicBool>,
    /// The delay queues are there.
    pub(super) has_delays: Arc<AtomicBool>,
    /// Its users look at delayed requests one after the other, instead of being refused by the broker.
    pub(super) looks: Arc<tokio::sync::Mutex<()>>,
    /// What was learnt about the kinds of queues.
    pub(super) kinds: Arc<Kinds>,
}

struct Dialling {
    dialled: u64,
    pauses: Delays,
    not_before: Instant,
}

/// Where and how to connect. What the URL's query sets, stays.
fn destination(url: &str) -> Result<AMQPUri, String> {
    let mut uri: AMQPUri = url.parse()?;
    // The library takes an IPv6 address for "no host", which it takes for localhost.
    if let Some(url::Host::Ipv6(address)) = url::Url::parse(url).ok().as_ref().and_then(url::Url::host) {
        uri.authority.host = address.to_string();
    }
    // A URL that ends in a slash names the virtual host with the empty name, which nobody has and nobody means.
    if uri.vhost.is_empty() {
        uri.vhost = "/".to_owned();
    }
    uri.query.heartbeat.get_or_insert(HEARTBEAT);
    uri.query.connection_timeout.get_or_insert(CONNECT_TIMEOUT.as_millis() as u64);
    Ok(uri)
}

impl Link {
    /// The link to the broker of a URL; nothing is dialled yet.
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
            live: Mutex::new(None),
            dialling: tokio::sync::Mutex::new(Dialling {
                dialled: 0,
                pauses: retry::ENDLESS.delays(),
                not_before: Instant::now(),
            }),
            publishing: tokio::sync::Mutex::new(None),
            closed: CancellationToken::new(),
            roll: Arc::default(),
        }))
    }

    /// The live connection, if there is one now.
    pub(super) fn current(&self) -> Option<Live> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.as_ref().filter(|live| live.is_alive()).cloned()
    }

    /// The live connection, or else a new one: one attempt.
    pub(super) async fn live(&self) -> Result<Live, BrokerError> {
        match self.current() {
            Some(live) => Ok(live),
            None => {
                let mut dialling = self.dialling.lock().await;
                self.dial(&mut dialling).await
            }
        }
    }

    /// The live connection, or else a new one: as many attempts as it takes, with growing pauses that all users of this link
    /// share. `None` when the link was closed meanwhile. Cancel-safe.
    pub(super) async fn persistently(&self) -> Option<Live> {
        let attempts = pin!(async {
            loop {
                if let Some(live) = self.current() {
                    return live;
                }
                let mut dialling = self.dialling.lock().await;
                let now = Instant::now();
                if dialling.not_before > now {
                    let until = dialling.not_before;
                    // Not under the lock: a command that tries but once does not wait for the pause.
                    drop(dialling);
                    tokio::time::sleep_until(until).await;
                    continue;
                }
                match self.dial(&mut dialling).await {
                    Ok(live) => return live,
                    Err(error) => tracing::warn!("{error}; trying again"),
                }
            }
        });
        match select(pin!(self.closed.cancelled()), attempts).await {
            Either::Left(_) => None,
            Either::Right((live, _)) => Some(live),
        }
    }

    async fn dial(&self, dialling: &mut Dialling) -> Result<Live, BrokerError> {
        // Somebody else may have succeeded while we waited for our turn.
        if let Some(live) = self.current() {
            return Ok(live);
        }
        if self.closed.is_cancelled() {
            return Err(self.unreachable("the connection was closed"));
        }
        self.accept_larger_frames();
        let outcome = self.connect().await;
        match outcome {
            Ok(connection) => {
                dialling.dialled += 1;
                dialling.pauses = retry::ENDLESS.delays();
                // A connection that is lost as soon as it is made does not make us dial in a tight loop.
                dialling.not_before = Instant::now() + Duration::from_millis(200);
                if dialling.dialled > 1 {
                    tracing::info!("connected to the queue server {} again", self.address);
                }
                let live = Live::new(connection, self, dialling.dialled);
                *self.live.lock().unwrap_or_else(PoisonError::into_inner) = Some(live.clone());
                Ok(live)
            }
            Err(error) => {
                let longest = if self.roll.is_empty() { Duration::MAX } else { LONGEST_PAUSE_WITH_CLAIMS };
                let pause = dialling.pauses.next_delay().min(longest);
                dialling.not_before = Instant::now() + pause;
                Err(error)
            }
        }
    }

    async fn connect(&self) -> Result<Connection, BrokerError> {
        let mut uri = self.uri.clone();
        if let Some(frame_max) = &self.frame_max {
            uri.query.frame_max = Some(frame_max.load(Ordering::Relaxed));
        }
        let properties = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        match tokio::time::timeout(CONNECT_TIMEOUT, Connection::connect_uri(uri, properties)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => {
                let (address, reason) = (self.address.clone(), fault::reason(&error));
                Err(match Exclusion::from_rabbitmq(&reason) {
                    Some(exclusion) => BrokerError::Excluded { address, exclusion },
                    None => BrokerError::Unreachable { address, reason },
                })
            }
            Err(_) => Err(self.unreachable(format!("no answer within {} seconds", CONNECT_TIMEOUT.as_secs()))),
        }
    }

    /// After a connection that ended because of too large a frame, the next one accepts larger ones: the broker's own limit, up to which
    /// it sends, may have been raised.
    fn accept_larger_frames(&self) {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(frame_max), Some(live)) = (&self.frame_max, &*live)
            && live.health.ended_by_large_frame()
        {
            let larger = frame_max.load(Ordering::Relaxed).saturating_mul(4).min(LARGEST_FRAME_MAX);
            frame_max.store(larger, Ordering::Relaxed);
        }
    }

    /// A connection for requests that are queued and questions to the workers. While an alarm is on, the broker reads nothing more from a
    /// connection that has published something: the other one stays able to look at queues and to take requests out.
    pub(super) async fn publishing(&self) -> Result<Live, BrokerError> {
        let mut publishing = self.publishing.lock().await;
        if let Some(live) = publishing.as_ref().filter(|live| live.is_alive() && live.alarm().is_none()) {
            return Ok(live.clone());
        }
        if self.closed.is_cancelled() {
            return Err(self.unreachable("the connection was closed"));
        }
        let connection = self.connect().await?;
        Ok(publishing.insert(Live::new(connection, self, 1)).clone())
    }

    /// A channel with confirmations on such a connection, and the connection. One on which something was just published may be blocked without our
    /// having been told yet: then another one is made.
    pub(super) async fn publishing_channel(&self) -> Result<(Live, Channel), Fault> {
        let away = |error: BrokerError| Fault::Away(error.to_string());
        let live = self.publishing().await.map_err(away)?;
        let opened = tokio::select! {
            biased;
            channel = live.confirming_channel() => channel,
            alarm = live.blocked() => Err(alarm),
        };
        match opened {
            Err(Fault::Blocked(_)) => {
                let live = self.publishing().await.map_err(away)?;
                let channel = live.confirming_channel().await?;
                Ok((live, channel))
            }
            channel => Ok((live, channel?)),
        }
    }

    fn unreachable(&self, reason: impl Into<String>) -> BrokerError {
        BrokerError::Unreachable { address: self.address.clone(), reason: reason.into() }
    }

    /// The fault of an action as the error that callers see.
    pub(super) fn error(&self, action: &str, fault: Fault) -> BrokerError {
        match fault {
            Fault::Away(reason) => self.unreachable(reason),
            Fault::InHand(held) => BrokerError::InHand(held),
            Fault::Blocked(reason) => BrokerError::Blocked { action: action.to_owned(), reason },
            Fault::Denied(denial) => BrokerError::Denied { action: action.to_owned(), denial },
            other => BrokerError::Refused { action: action.to_owned(), reason: other.to_string() },
        }
    }

    /// Closes the connection for good; nobody dials again.
    pub(super) async fn close(&self) {
        self.closed.cancel();
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner).take();
        let publishing = self.publishing.lock().await.take();
        join_all(live.iter().chain(&publishing).map(Live::say_goodbye)).await;
    }
}

impl Live {
    fn new(connection: Connection, link: &Link, number: u64) -> Self {
        let health = Health::of(&connection);
        let (connection, since) = (Arc::new(connection), Instant::now());
        Self {
            connection,
            link: link.me.clone(),
            number,
            since,
            health,
            given_up: Arc::default(),
            makes_none: Arc::default(),
            has_delays: Arc::default(),
            looks: Arc::default(),
            kinds: Arc::new(Kinds::new(link.queue_type)),
        }
    }

    fn is_alive(&self) -> bool {
        self.connection.status().connected() && !self.given_up.load(Ordering::Relaxed)
    }

    /// Closes the connection. A broker that does not answer to a goodbye finds out by itself.
    async fn say_goodbye(&self) {
        let _ = tokio::time::timeout(GOODBYE, self.connection.close(200, "goodbye".into())).await;
    }

    /// Whether this user may make queues of our own, as far as is known.
    pub(super) fn may_make_own(&self) -> bool {
        !self.makes_none.load(Ordering::Relaxed)
    }

    /// The broker has refused that.
    pub(super) fn may_not_make_own(&self) {
        self.makes_none.store(true, Ordering::Relaxed);
    }

    /// Makes the next user of the link dial again: this connection is there, and does not answer.
    fn give_up(&self) {
        tracing::warn!("the connection to the queue server does not answer; it is replaced");
        self.leave();
    }

    /// The same, for a connection that an alarm blocks: the broker hears of it when the alarm is over.
    pub(super) fn leave(&self) {
        self.given_up.store(true, Ordering::Relaxed);
        let left = self.clone();
        tokio::spawn(async move { left.say_goodbye().await });
    }

    /// A channel of the same link on which something may be published: see [`Link::publishing_channel`].
    pub(super) async fn publishing_channel(&self) -> Result<(Self, Channel), Fault> {
        let link = self.link.upgrade().ok_or_else(|| Fault::Away("the connection was closed".to_owned()))?;
        link.publishing_channel().await
    }

    /// Waits until the connection has ended, however it ended. Cancel-safe.
    pub(super) async fn ended(&self) -> Fault {
        self.health.ended().await
    }

    /// The alarm that blocks publications on this connection. RabbitMQ tells of one only to who has published something.
    pub(super) fn alarm(&self) -> Option<Fault> {
        self.health.alarm()
    }

    /// Waits for an alarm; indefinitely when none comes. Cancel-safe.
    pub(super) async fn blocked(&self) -> Fault {
        self.health.blocked().await
    }

    /// Closes a channel on which something was published. While an alarm is on, the broker does not hear of it, and is not waited for: who has
    /// published may be told of the alarm a moment later.
    pub(super) async fn close(&self, channel: &Channel) {
        tokio::select! {
            biased;
            _ = self.blocked() => {}
            () = channel::close(channel) => {}
            // What was asked for is there: nothing is given up for a channel that is not closed in order.
            () = tokio::time::sleep(GOODBYE) => {}
        }
    }

    /// Waits until no alarm blocks publications, or the connection has ended. Cancel-safe.
    pub(super) async fn unblocked(&self) {
        self.health.unblocked().await;
    }

    /// Bounds a conversation with the broker. It ends with the connection, too.
    ///
    /// # Errors
    /// [`Fault::Blocked`] when an alarm is why the broker does not answer.
    pub(super) async fn in_time<T>(&self, conversation: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let outcome = tokio::select! {
            biased;
            outcome = conversation => outcome,
            fault = self.ended() => Err(fault),
            () = tokio::time::sleep(ANSWER_TIMEOUT) => Err(self.silence()),
        };
        match (outcome, self.alarm()) {
            (Err(Fault::Away(_)), Some(alarm)) => Err(alarm),
            (outcome, _) => outcome,
        }
    }

    /// Notes that the broker has not answered in time. If nothing is answered on this connection any more, it is replaced: bytes
    /// that were damaged on their way can leave it waiting for the end of a frame that never comes, while heartbeats arrive.
    fn silence(&self) -> Fault {
        if self.alarm().is_none() {
            let live = self.clone();
            tokio::spawn(async move {
                let answer = tokio::time::timeout(GOODBYE, live.open()).await;
                if !matches!(answer, Ok(Ok(_))) && live.alarm().is_none() {
                    live.give_up();
                }
            });
        }
        Fault::Away(format!("no answer within {} seconds", ANSWER_TIMEOUT.as_secs()))
    }

    /// The same for what must not fail because of an alarm: as long as one is on, the broker is waited for.
    pub(super) async fn in_time_after_alarm<T>(
        &self,
        conversation: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
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
            // When the alarm has just ended, the broker has its time again.
            if !is_blocked && !was_blocked {
                return Err(self.silence());
            }
            was_blocked = is_blocked;
        }
    }

    /// A new channel.
    ///
    /// The client library never forgets why the broker closed a channel: a later one with the same number, which comes round again
    /// after a few thousand channels, gets that old error for an answer when it is opened. Opening by itself is never refused in
    /// such a way, so the number is passed over. When no number is left, the connection is given up for a new one.
    pub(super) async fn channel(&self) -> Result<Channel, Fault> {
        self.in_time(self.open()).await
    }

    async fn open(&self) -> Result<Channel, Fault> {
        for _ in 0..=u16::MAX {
            match self.connection.create_channel().await {
                Err(error) if error.is_amqp_soft_error() => {}
                Err(error) if matches!(error.kind(), ErrorKind::ChannelsLimitReached) => break,
                outcome => return Ok(outcome?),
            }
        }
        tracing::info!("the connection to the queue server has no channel numbers left; reconnecting");
        let end = self.connection.close(200, "out of channel numbers".into());
        // Whether it ends in good order or not, it does not count as connected from now on.
        let _ = tokio::time::timeout(GOODBYE, end).await;
        Err(Fault::Away("its connection had no channel numbers left".to_owned()))
    }

    /// A new channel on which the broker confirms every publication.
    pub(super) async fn confirming_channel(&self) -> Result<Channel, Fault> {
        let channel = self.channel().await?;
        self.in_time(async { Ok(channel.confirm_select(ConfirmSelectOptions::default()).await?) }).await?;
        Ok(channel)
    }

    /// The virtual host that the connection is in.
    pub(super) fn vhost(&self) -> String {
        self.connection.status().vhost().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_are_on_unless_the_url_says_otherwise() {
        assert_eq!(destination("amqp://mq.example").unwrap().query.heartbeat, Some(HEARTBEAT));
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
