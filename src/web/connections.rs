//! Connections: their limits, which of them are closed when there are too many, and their end.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::senders::Sender;

/// Maximum number of connections. When a further one arrives, an idle one is closed.
const MAX_CONNECTIONS: usize = 512;
/// Maximum number of connections of one address, unless it stands for many senders.
const MAX_PER_ADDRESS: usize = MAX_CONNECTIONS / 2;
/// Timeout for the head of a request, and for idle connections.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// Maximum size of the head of a request, in bytes.
const MAX_HEAD_SIZE: usize = 128 << 10;
/// Maximum time for open connections to finish after the service was stopped.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(15);
/// Delay after a connection could not be accepted, for example because there are no free file descriptors.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// State of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Idle, or receiving the head of a request.
    Waiting,
    /// Receiving a body.
    Body,
    /// Processing a request.
    Working,
}

/// An open connection.
pub(super) struct OpenConnection {
    /// Address of the client.
    pub(super) peer: IpAddr,
    state: Mutex<(Phase, Instant)>,
    /// Cancelled to close the connection for another one.
    ended: CancellationToken,
}

impl OpenConnection {
    fn new(peer: IpAddr, now: Instant) -> Self {
        Self { peer, state: Mutex::new((Phase::Waiting, now)), ended: CancellationToken::new() }
    }

    fn enter(&self, phase: Phase) {
        *self.lock() = (phase, Instant::now());
    }

    /// Marks the request as complete. From now on the connection is not closed for others.
    pub(super) fn mark_complete(&self) {
        self.enter(Phase::Working);
    }

    fn lock(&self) -> MutexGuard<'_, (Phase, Instant)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All open connections.
#[derive(Default)]
struct ConnectionTable {
    open: Mutex<HashMap<u64, Arc<OpenConnection>>>,
    next: AtomicU64,
    /// Notified when a connection has ended.
    left: Notify,
}

/// Decision about a new connection.
enum Admission {
    Taken(u64, Arc<OpenConnection>),
    /// All other connections are busy.
    Full,
    /// Its address has the maximum number of connections, and all of them are busy.
    Refused,
}

impl ConnectionTable {
    /// Adds a connection. If there are too many, the one that has been idle for the longest time is closed, from the
    /// same address if that has too many.
    fn enter(&self, peer: IpAddr, now: Instant) -> Admission {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = Sender::of_peer(peer);
        let is_same = |other: &OpenConnection| Sender::of_peer(other.peer) == sender;
        let of_address = open.values().filter(|other| is_same(other)).count();
        if !sender.is_everybody() && of_address >= MAX_PER_ADDRESS {
            if !evict(&mut open, is_same) {
                return Admission::Refused;
            }
        } else if open.len() >= MAX_CONNECTIONS && !evict(&mut open, |_| true) {
            return Admission::Full;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let new = Arc::new(OpenConnection::new(peer, now));
        open.insert(number, Arc::clone(&new));
        Admission::Taken(number, new)
    }

    fn leave(&self, number: u64) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        self.left.notify_one();
    }
}

/// Closes the least important of these connections: the one that has been idle, or else has received a body, for the
/// longest time. Returns false when all of them are busy.
fn evict(open: &mut HashMap<u64, Arc<OpenConnection>>, is_meant: impl Fn(&OpenConnection) -> bool) -> bool {
    let meant = open.iter().filter(|(_, one)| is_meant(one)).map(|(number, one)| (*one.lock(), *number));
    let least = meant.filter(|((phase, _), _)| *phase != Phase::Working).min();
    let Some((_, number)) = least else { return false };
    if let Some(one) = open.remove(&number) {
        one.ended.cancel();
    }
    true
}

/// Serves connections until `stop` is cancelled, and then finishes the open ones.
pub(super) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let crowd = Arc::new(ConnectionTable::default());
    let graceful = GracefulShutdown::new();
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD_SIZE);
    let service = TowerToHyperService::new(router);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!("cannot accept a connection: {error}");
                tokio::time::sleep(RETRY_DELAY).await;
                continue;
            }
        };
        let place = tokio::select! {
            place = admit(&crowd, peer.ip()) => place,
            () = stop.cancelled() => break,
        };
        let Some((number, open)) = place else {
            debug!(address = %peer.ip(), "a connection was refused: its address has too many");
            continue;
        };
        let (of_connection, service, others) = (Arc::clone(&open), service.clone(), Arc::clone(&crowd));
        let answer = service_fn(move |mut request: hyper::Request<Incoming>| {
            let (open, others) = (Arc::clone(&of_connection), Arc::clone(&others));
            open.enter(Phase::Body);
            request.extensions_mut().insert(Arc::clone(&open));
            let answer = service.call(request);
            async move {
                let answered = answer.await;
                open.enter(Phase::Waiting);
                // It can be closed for others from now on.
                others.left.notify_one();
                answered
            }
        });
        let watched = graceful.watch(server.serve_connection(TokioIo::new(stream), answer));
        let crowd = Arc::clone(&crowd);
        tokio::spawn(async move {
            tokio::select! {
                served = watched => if let Err(error) = served {
                    debug!("a connection broke: {error}");
                },
                () = open.ended.cancelled() => debug!(address = %open.peer, "a connection gave way to others"),
            }
            crowd.leave(number);
        });
    }
    drop(listener);
    if tokio::time::timeout(SHUTDOWN_TIMEOUT, graceful.shutdown()).await.is_err() {
        warn!("some connections were cut off");
    }
}

/// Adds a connection as soon as there is room for it. Returns none when its address has too many.
async fn admit(crowd: &ConnectionTable, peer: IpAddr) -> Option<(u64, Arc<OpenConnection>)> {
    loop {
        match crowd.enter(peer, Instant::now()) {
            Admission::Taken(number, open) => return Some((number, open)),
            Admission::Refused => return None,
            // Busy connections end soon.
            Admission::Full => crowd.left.notified().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(crowd: &ConnectionTable, peer: &str, now: Instant) -> Option<Arc<OpenConnection>> {
        match crowd.enter(peer.parse().unwrap(), now) {
            Admission::Taken(_, open) => Some(open),
            Admission::Full | Admission::Refused => None,
        }
    }

    #[test]
    fn who_asks_for_nothing_gives_way_the_oldest_first() {
        let (crowd, begun) = (ConnectionTable::default(), Instant::now());
        let at = |second: usize| begun + Duration::from_secs(second as u64);
        let all: Vec<Arc<OpenConnection>> =
            (0..MAX_CONNECTIONS).map(|number| enter(&crowd, "127.0.0.1", at(number)).unwrap()).collect();
        all[0].enter(Phase::Working);
        all[1].enter(Phase::Body);
        let given_way = || all.iter().enumerate().filter(|(_, one)| one.ended.is_cancelled()).map(|(place, _)| place);
        assert_eq!(given_way().count(), 0);
        let newest = enter(&crowd, "127.0.0.1", at(9999)).unwrap();
        assert_eq!(given_way().collect::<Vec<_>>(), [2]);
        // Connections that receive bodies come after the idle ones, and busy ones never.
        all.iter().skip(2).for_each(|one| one.enter(Phase::Working));
        let next = enter(&crowd, "127.0.0.1", at(9999)).unwrap();
        assert!(newest.ended.is_cancelled() && given_way().count() == 1);
        next.enter(Phase::Working);
        enter(&crowd, "127.0.0.1", at(9999)).unwrap().enter(Phase::Working);
        assert!(all[1].ended.is_cancelled() && given_way().count() == 2);
        assert!(enter(&crowd, "127.0.0.1", at(9999)).is_none(), "all are at work");
    }

    #[test]
    fn one_address_takes_no_places_from_others() {
        let (crowd, now) = (ConnectionTable::default(), Instant::now());
        let other = enter(&crowd, "192.0.2.2", now).unwrap();
        let many: Vec<Arc<OpenConnection>> =
            (0..2 * MAX_PER_ADDRESS).map(|_| enter(&crowd, "192.0.2.1", now).unwrap()).collect();
        assert_eq!(many.iter().filter(|one| one.ended.is_cancelled()).count(), MAX_PER_ADDRESS);
        assert!(!other.ended.is_cancelled());
        many.iter().for_each(|one| one.enter(Phase::Working));
        assert!(enter(&crowd, "192.0.2.1", now).is_none(), "all are at work");
        assert!(enter(&crowd, "192.0.2.3", now).is_some());
        // A proxy on this machine stands for many senders.
        let (crowd, more) = (ConnectionTable::default(), MAX_PER_ADDRESS + 1);
        let many: Vec<Arc<OpenConnection>> = (0..more).map(|_| enter(&crowd, "127.0.0.1", now).unwrap()).collect();
        assert!(many.iter().all(|one| !one.ended.is_cancelled()));
    }
}
