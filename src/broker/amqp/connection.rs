//! One connection to RabbitMQ, dialled again when it is used after a loss.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures_util::future::{Either, select};
use lapin::options::ConfirmSelectOptions;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::fault::{self, Fault};
use super::held::OTHERS_HOLD;
use super::looks::Looks;
use super::names;
use super::roll_call::Roll;
use crate::broker::queue_type::QueueType;
use crate::broker::url::AmqpUrl;
use crate::broker::{BrokerError, CONNECT_TIMEOUT};

/// Both sides tell each other at least this often that they are there, unless the URL says otherwise. Seconds.
const HEARTBEAT: u16 = 30;
/// Frames of 128 KiB, the broker's default, would cost every connection 8 MiB of buffers. Requests are far smaller.
const FRAME_MAX: u32 = 32 * 1024;
/// How long a broker may take to answer to a goodbye.
const GOODBYE: Duration = Duration::from_secs(2);
/// A worker whose test runs comes back quickly: until it has announced its claim again, another worker may take the request.
const LONGEST_PAUSE_WITH_CLAIMS: Duration = Duration::from_secs(1);

/// The way to a broker: a live connection, or how to get one.
pub(super) struct Link {
    uri: AMQPUri,
    address: String,
    /// The type of the queues, where the site says it.
    queue_type: Option<QueueType>,
    name: String,
    live: Mutex<Option<Live>>,
    dialling: tokio::sync::Mutex<Dialling>,
    closed: CancellationToken,
    /// The claims that are held through this link.
    pub(super) roll: Roll,
}

/// A connection that was alive when it was handed out.
#[derive(Clone)]
pub(super) struct Live {
    connection: Arc<Connection>,
    /// Which connection of its link this is; the first is 1.
    pub(super) number: u64,
    /// When it was made.
    pub(super) since: Instant,
    /// Its users look at delayed requests one after the other, instead of being refused by the broker.
    pub(super) looks: Arc<tokio::sync::Mutex<()>>,
    /// What was learnt about the types of queues.
    pub(super) looks_allowed: Arc<Looks>,
}

struct Dialling {
    dialled: u64,
    pauses: ExponentialBackoff,
    not_before: Instant,
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(10))
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
        .build()
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
    uri.query.frame_max.get_or_insert(FRAME_MAX);
    uri.query.connection_timeout.get_or_insert(CONNECT_TIMEOUT.as_millis() as u64);
    Ok(uri)
}

impl Link {
    /// The link to the broker of a URL; nothing is dialled yet.
    pub(super) fn new(url: &AmqpUrl) -> Result<Self, BrokerError> {
        let unusable = |reason: String| BrokerError::Unreachable { address: url.shown().to_owned(), reason };
        Ok(Self {
            uri: destination(url.full()).map_err(unusable)?,
            address: url.shown().to_owned(),
            queue_type: url.queue_type(),
            name: format!("apt-ci {}", names::slot_id()),
            live: Mutex::new(None),
            dialling: tokio::sync::Mutex::new(Dialling { dialled: 0, pauses: pauses(), not_before: Instant::now() }),
            closed: CancellationToken::new(),
            roll: Roll::default(),
        })
    }

    /// The live connection, if there is one now.
    pub(super) fn current(&self) -> Option<Live> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.as_ref().filter(|live| live.connection.status().connected()).cloned()
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
        let properties = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let attempt = Connection::connect_uri(self.uri.clone(), properties);
        let outcome = match tokio::time::timeout(CONNECT_TIMEOUT, attempt).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(fault::reason(&error)),
            Err(_) => Err(format!("no answer within {} seconds", CONNECT_TIMEOUT.as_secs())),
        };
        match outcome {
            Ok(connection) => {
                dialling.dialled += 1;
                dialling.pauses = pauses();
                // A connection that is lost as soon as it is made does not make us dial in a tight loop.
                dialling.not_before = Instant::now() + Duration::from_millis(200);
                if dialling.dialled > 1 {
                    tracing::info!("connected to the queue server {} again", self.address);
                }
                let live = Live {
                    connection: Arc::new(connection),
                    number: dialling.dialled,
                    since: Instant::now(),
                    looks: Arc::default(),
                    looks_allowed: Arc::new(Looks::new(self.queue_type)),
                };
                *self.live.lock().unwrap_or_else(PoisonError::into_inner) = Some(live.clone());
                Ok(live)
            }
            Err(reason) => {
                let longest = if self.roll.is_empty() { Duration::MAX } else { LONGEST_PAUSE_WITH_CLAIMS };
                let pause = dialling.pauses.next().unwrap_or(LONGEST_PAUSE_WITH_CLAIMS).min(longest);
                dialling.not_before = Instant::now() + pause;
                Err(self.unreachable(reason))
            }
        }
    }

    fn unreachable(&self, reason: impl Into<String>) -> BrokerError {
        BrokerError::Unreachable { address: self.address.clone(), reason: reason.into() }
    }

    /// The fault of an action as the error that callers see.
    pub(super) fn error(&self, action: &str, fault: Fault) -> BrokerError {
        match fault {
            Fault::Away(reason) => self.unreachable(reason),
            Fault::InHand => BrokerError::InHand(OTHERS_HOLD),
            other => BrokerError::Refused { action: action.to_owned(), reason: other.to_string() },
        }
    }

    /// Closes the connection for good; nobody dials again.
    pub(super) async fn close(&self) {
        self.closed.cancel();
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(live) = live {
            let goodbye = live.connection.close(200, "goodbye".into());
            // A broker that does not answer to a goodbye finds out by itself.
            let _ = tokio::time::timeout(GOODBYE, goodbye).await;
        }
    }
}

impl Live {
    /// A new channel.
    ///
    /// The client library never forgets why the broker closed a channel: a later one with the same number, which comes round again
    /// after a few thousand channels, gets that old error for an answer when it is opened. Opening by itself is never refused in
    /// such a way, so the number is passed over. When no number is left, the connection is given up for a new one.
    pub(super) async fn channel(&self) -> Result<Channel, Fault> {
        for _ in 0..=u16::MAX {
            match self.connection.create_channel().await {
                Err(error) if error.is_amqp_soft_error() => {}
                Err(error) if matches!(error.kind(), ErrorKind::ChannelsLimitReached) => break,
                outcome => return Ok(outcome?),
            }
        }
        tracing::info!("the connection to the queue server has no channel numbers left; it is made anew");
        let end = self.connection.close(200, "out of channel numbers".into());
        // Whether it ends in good order or not, it does not count as connected from now on.
        let _ = tokio::time::timeout(GOODBYE, end).await;
        Err(Fault::Away("its connection had no channel numbers left".to_owned()))
    }

    /// A new channel on which the broker confirms every publication.
    pub(super) async fn confirming_channel(&self) -> Result<Channel, Fault> {
        let channel = self.channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(channel)
    }

    /// The virtual host that the connection is in.
    pub(super) fn vhost(&self) -> String {
        self.connection.status().vhost().to_string()
    }

    /// Whether the broker takes no publications for now, because its memory or disk runs out.
    pub(super) fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
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

    #[test]
    fn pauses_between_attempts_grow_up_to_a_limit() {
        let pauses: Vec<Duration> = pauses().take(20).collect();
        assert!(pauses[0] < Duration::from_millis(500));
        assert!(pauses[10..].iter().all(|pause| (10..=20).contains(&pause.as_secs())), "{pauses:?}");
    }
}
