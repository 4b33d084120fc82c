//! Senders: addresses that have shown a secret before, and the failed attempts of others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;

/// Maximum number of addresses, and of keys, in each map. Then the older half is removed.
const MAX_ENTRIES: usize = 4096;
/// Time for which an address is known after it has shown a secret.
const KNOWN_TTL: Duration = Duration::from_secs(24 * 3600);
/// Interval in which the failures of an address are counted together.
const WINDOW: Duration = Duration::from_secs(60);
/// Maximum number of wrong keys of an address in a window. Further ones are not logged, and not compared if the address
/// is that of one sender.
const MAX_WRONG_KEYS: u32 = 10;
/// Maximum number of log lines about refusals of an address in a window.
const MAX_LINES: u32 = 30;

/// The address of a sender. Behind a proxy on this machine, the last one in `X-Forwarded-For`. IPv6 addresses of the
/// same /64 network count as one, because one customer usually has all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Sender(IpAddr);

impl Sender {
    /// Returns the sender of a request over a connection from `peer`.
    pub(super) fn new(peer: IpAddr, headers: &HeaderMap) -> Self {
        let peer = peer.to_canonical();
        let forwarded = || {
            let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
            last.rsplit(',').next()?.trim().parse::<IpAddr>().ok()
        };
        // From other machines the header could name any address.
        let address =
            if peer.is_loopback() { forwarded().map_or(peer, |address| address.to_canonical()) } else { peer };
        Self(network(address))
    }

    /// Returns the sender at the other end of a connection.
    pub(super) fn of_peer(peer: IpAddr) -> Self {
        Self(network(peer.to_canonical()))
    }

    /// Whether the address stands for many senders: a proxy on this machine that does not name them.
    pub(super) fn is_everybody(self) -> bool {
        self.0.is_loopback()
    }
}

impl std::fmt::Display for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) if address.is_loopback() => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// Known senders and failed attempts, as long as the process lives.
#[derive(Default)]
pub(super) struct Senders(Mutex<SenderRecords>);

#[derive(Default)]
struct SenderRecords {
    known: HashMap<Sender, Instant>,
    /// Digests of valid keys.
    keys: HashMap<String, Instant>,
    wrong_keys: HashMap<Sender, WindowCount>,
    lines: HashMap<Sender, WindowCount>,
}

/// Number of events since the start of the window.
#[derive(Debug, Clone, Copy)]
struct WindowCount {
    since: Instant,
    times: u32,
}

/// Extent of the log about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogExtent {
    /// A full line.
    Whole,
    /// A line that says that it is the last one about the sender for a while.
    Last,
    /// No line.
    None,
}

impl Senders {
    fn lock(&self) -> MutexGuard<'_, SenderRecords> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a sender has shown a secret.
    pub(super) fn note_known(&self, sender: Sender, now: Instant) {
        insert_bounded(&mut self.lock().known, sender, now, |since| *since);
    }

    /// Whether a sender has shown a secret before.
    pub(super) fn is_known(&self, sender: Sender, now: Instant) -> bool {
        self.lock().known.get(&sender).is_some_and(|since| now.duration_since(*since) < KNOWN_TTL)
    }

    /// Records the digest of a valid key.
    pub(super) fn note_right_key(&self, digest: String, now: Instant) {
        insert_bounded(&mut self.lock().keys, digest, now, |since| *since);
    }

    /// Returns how long a sender has to wait before it may try a key that was not valid the last time; none if it may
    /// try now.
    pub(super) fn must_wait(&self, sender: Sender, digest: &str, now: Instant) -> Option<Duration> {
        let remembered = self.lock();
        // An attacker behind a proxy could lock out all users.
        if sender.is_everybody() || remembered.keys.contains_key(digest) {
            return None;
        }
        let count = remembered.wrong_keys.get(&sender)?;
        let left = WINDOW.checked_sub(now.duration_since(count.since))?;
        (count.times >= MAX_WRONG_KEYS).then_some(left)
    }

    /// Records the digest of a wrong key, and returns how to log it.
    pub(super) fn note_wrong_key(&self, sender: Sender, digest: &str, now: Instant) -> LogExtent {
        let mut remembered = self.lock();
        // It may have been valid before.
        remembered.keys.remove(digest);
        match count(&mut remembered.wrong_keys, sender, now) {
            ..MAX_WRONG_KEYS => LogExtent::Whole,
            MAX_WRONG_KEYS => LogExtent::Last,
            _ => LogExtent::None,
        }
    }

    /// Returns how to log a refused delivery.
    pub(super) fn line(&self, sender: Sender, now: Instant) -> LogExtent {
        match count(&mut self.lock().lines, sender, now) {
            ..MAX_LINES => LogExtent::Whole,
            MAX_LINES => LogExtent::Last,
            _ => LogExtent::None,
        }
    }
}

fn count(counts: &mut HashMap<Sender, WindowCount>, sender: Sender, now: Instant) -> u32 {
    let fresh = WindowCount { since: now, times: 0 };
    let known = counts.get(&sender).copied().filter(|count| now.duration_since(count.since) < WINDOW);
    let count = known.unwrap_or(fresh);
    let count = WindowCount { times: count.times.saturating_add(1), ..count };
    insert_bounded(counts, sender, count, |count| count.since);
    count.times
}

/// Inserts an entry. When the map is full, old entries are removed.
fn insert_bounded<K: std::hash::Hash + Eq + Clone, V>(
    map: &mut HashMap<K, V>,
    key: K,
    value: V,
    since: impl Fn(&V) -> Instant,
) {
    if map.len() >= MAX_ENTRIES && !map.contains_key(&key) {
        // Half of them at once, because searching for the oldest each time would cost more.
        let mut times: Vec<Instant> = map.values().map(&since).collect();
        times.sort_unstable();
        if let Some(middle) = times.get(times.len() / 2).copied() {
            map.retain(|_, value| since(value) > middle);
        }
    }
    map.insert(key, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(text: &str) -> Sender {
        Sender::of_peer(text.parse().unwrap())
    }

    #[test]
    fn a_server_on_this_machine_tells_for_whom_it_asks_and_nobody_else_does() {
        let of = |peer: &str, forwarded: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append("x-forwarded-for", value.parse().unwrap());
            }
            Sender::new(peer.parse().unwrap(), &headers)
        };
        assert_eq!(of("127.0.0.1", &["6.6.6.6, 192.0.2.7"]), sender("192.0.2.7"));
        assert_eq!(of("::1", &["6.6.6.6", "192.0.2.7"]), sender("192.0.2.7"));
        assert_eq!(of("192.0.2.1", &["6.6.6.6"]), sender("192.0.2.1"));
        for forwarded in [&[][..], &["unknown"], &[""]] {
            assert!(of("127.0.0.1", forwarded).is_everybody());
        }
        assert_eq!(of("::ffff:192.0.2.1", &[]), sender("192.0.2.1"));
        assert_eq!(sender("2001:db8:1:2:3::4"), sender("2001:db8:1:2::5"));
        assert_ne!(sender("2001:db8:1:2::1"), sender("2001:db8:1:3::1"));
    }

    #[test]
    fn wrong_keys_are_limited_by_address_and_right_ones_go_on() {
        let (senders, now) = (Senders::default(), Instant::now());
        let (bad, good) = (sender("192.0.2.1"), sender("192.0.2.2"));
        senders.note_right_key("right".to_owned(), now);
        let lines: Vec<LogExtent> = (0..MAX_WRONG_KEYS).map(|_| senders.note_wrong_key(bad, "wrong", now)).collect();
        assert_eq!(lines.iter().filter(|line| **line == LogExtent::Last).count(), 1);
        assert!(senders.must_wait(bad, "wrong", now).is_some());
        assert_eq!(senders.must_wait(bad, "right", now), None, "a user at the same address");
        assert_eq!(senders.must_wait(good, "wrong", now), None);
        assert_eq!(senders.must_wait(bad, "wrong", now + WINDOW + Duration::from_secs(1)), None);
    }

    #[test]
    fn a_key_that_was_removed_is_a_wrong_one_like_any_other() {
        let (senders, now, bad) = (Senders::default(), Instant::now(), sender("192.0.2.1"));
        senders.note_right_key("removed".to_owned(), now);
        let tries = |count: u32| {
            let lines = (0..count)
                .filter(|_| senders.must_wait(bad, "removed", now).is_none())
                .filter(|_| senders.note_wrong_key(bad, "removed", now) != LogExtent::None);
            lines.count()
        };
        assert_eq!(tries(200), MAX_WRONG_KEYS as usize);
        assert!(senders.must_wait(bad, "removed", now).is_some());
        // The same for a key that is removed while the address is over its limit.
        senders.note_right_key("another".to_owned(), now);
        assert_eq!(senders.note_wrong_key(bad, "another", now), LogExtent::None);
    }

    #[test]
    fn strangers_lock_nobody_out_behind_a_server_that_names_no_addresses() {
        let (senders, now, everybody) = (Senders::default(), Instant::now(), sender("127.0.0.1"));
        let lines = (0..200).filter(|_| senders.note_wrong_key(everybody, "wrong", now) != LogExtent::None).count();
        assert_eq!(lines, MAX_WRONG_KEYS as usize);
        assert_eq!(senders.must_wait(everybody, "right, and not seen yet", now), None);
    }

    #[test]
    fn a_flood_of_refusals_is_a_few_lines() {
        let (senders, now, bad) = (Senders::default(), Instant::now(), sender("192.0.2.1"));
        let lines = (0..10_000).filter(|_| senders.line(bad, now) != LogExtent::None).count();
        assert_eq!(lines, MAX_LINES as usize);
        assert_eq!(senders.line(bad, now + WINDOW), LogExtent::Whole);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (senders, begun) = (Senders::default(), Instant::now());
        for number in 0..3 * MAX_ENTRIES as u32 {
            let now = begun + Duration::from_millis(number.into());
            let sender = sender(&std::net::Ipv4Addr::from_bits(number).to_string());
            senders.note_wrong_key(sender, "wrong", now);
            senders.note_known(sender, now);
            assert!(senders.is_known(sender, now));
        }
        let remembered = senders.lock();
        assert!(remembered.known.len() <= MAX_ENTRIES && remembered.wrong_keys.len() <= MAX_ENTRIES);
    }
}
