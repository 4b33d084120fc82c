//! Bodies of requests. Memory is reserved while they arrive, known senders have their own share, and slow bodies are
//! refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::MAX_BODY_SIZE;
use super::reply::Reply;
use super::senders::Sender;

/// Memory for bodies of senders that have shown a secret before, in KiB.
const KNOWN_MEMORY: usize = 32 << 10;
/// Memory for bodies of others, in KiB.
const OTHERS_MEMORY: usize = 16 << 10;
/// Maximum share of one address in the memory for known senders, in KiB. The address of a proxy stands for many
/// senders.
const MAX_KNOWN_SHARE: usize = KNOWN_MEMORY / 2;
/// Maximum share of one address in the memory for others, in KiB: a little more than one of the largest bodies.
const MAX_OTHERS_SHARE: usize = 6 << 10;
/// Size above which a body is refused when memory is short, in KiB. Smaller ones wait for memory.
const LARGE_BODY: usize = 256;
/// Timeout for a whole body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Interval in which at least `MIN_PER_WINDOW` bytes, or the rest of the body, must arrive.
const WINDOW: Duration = Duration::from_secs(3);
const MIN_PER_WINDOW: usize = 24 << 10;

/// The memory for all bodies.
pub(super) struct BodyMemory {
    known: Arc<Semaphore>,
    others: Arc<Semaphore>,
    /// Memory of each address, in KiB.
    shares: Mutex<HashMap<Sender, usize>>,
}

/// A part of the memory, which is released on drop.
pub(super) struct Reservation {
    memory: Arc<BodyMemory>,
    pool: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    sender: Sender,
    /// Maximum memory of its sender, in KiB.
    share: usize,
    kilobytes: usize,
}

impl Default for BodyMemory {
    fn default() -> Self {
        let [known, others] = [KNOWN_MEMORY, OTHERS_MEMORY].map(|size| Arc::new(Semaphore::new(size)));
        Self { known, others, shares: Mutex::default() }
    }
}

impl BodyMemory {
    fn take_share(&self, sender: Sender, kilobytes: usize, most: usize) -> bool {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let share = shares.get(&sender).copied().unwrap_or_default() + kilobytes;
        let is_allowed = share <= most || sender.is_everybody();
        if is_allowed {
            shares.insert(sender, share);
        }
        is_allowed
    }

    fn give_back(&self, sender: Sender, kilobytes: usize) {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get_mut(&sender) {
            *share = share.saturating_sub(kilobytes);
            if *share == 0 {
                shares.remove(&sender);
            }
        }
    }
}

impl Reservation {
    fn new(memory: &Arc<BodyMemory>, sender: Sender, is_known: bool) -> Self {
        let (pool, share) = match is_known {
            true => (&memory.known, MAX_KNOWN_SHARE),
            false => (&memory.others, MAX_OTHERS_SHARE),
        };
        Self { memory: Arc::clone(memory), pool: Arc::clone(pool), permit: None, sender, share, kilobytes: 0 }
    }

    /// Reserves as much more memory as a body of this length needs.
    async fn grow(&mut self, length: usize, deadline: Instant) -> Result<(), Reply> {
        let missing = length.div_ceil(1 << 10).saturating_sub(self.kilobytes);
        if missing == 0 {
            return Ok(());
        }
        let busy = || Reply::later("too much comes in at the same time");
        if !self.memory.take_share(self.sender, missing, self.share) {
            return Err(Reply::later("too much comes in from this address at the same time"));
        }
        self.kilobytes += missing;
        let count = u32::try_from(missing).unwrap_or(u32::MAX);
        let more = match Arc::clone(&self.pool).try_acquire_many_owned(count) {
            Ok(more) => more,
            Err(_) if self.kilobytes > LARGE_BODY => return Err(busy()),
            Err(_) => {
                let waited = timeout_at(deadline, Arc::clone(&self.pool).acquire_many_owned(count)).await;
                waited.map_err(|_| busy())?.map_err(|_| busy())?
            }
        };
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.memory.give_back(self.sender, self.kilobytes);
    }
}

/// The rate at which a body arrives.
struct Pace {
    /// Time by which the whole body must have arrived.
    deadline: Instant,
    /// End of the present window.
    window: Instant,
    in_window: usize,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { deadline: now + BODY_TIMEOUT, window: now + WINDOW, in_window: 0 }
    }

    /// Returns the time of the next check, unless data arrives before.
    fn next(&self) -> Instant {
        self.window.min(self.deadline)
    }

    /// Counts received bytes. The time that was spent waiting for memory does not count against the sender.
    fn receive(&mut self, bytes: usize, waited: Duration) {
        self.in_window += bytes;
        self.window += waited;
    }

    /// Whether the body is too slow, at the end of a window.
    fn is_too_slow(&mut self, now: Instant) -> bool {
        let is_too_slow = now >= self.deadline || self.in_window < MIN_PER_WINDOW;
        (self.window, self.in_window) = (now + WINDOW, 0);
        is_too_slow
    }
}

/// Reads a body of this announced length, if one was announced.
pub(super) async fn read(
    memory: &Arc<BodyMemory>,
    sender: Sender,
    is_known: bool,
    announced: Option<usize>,
    body: Body,
) -> Result<(Bytes, Reservation), Reply> {
    let too_large = || {
        let message = format!("a body has at most {} MiB here", MAX_BODY_SIZE >> 20);
        Reply::error(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    if announced.is_some_and(|length| length > MAX_BODY_SIZE) {
        return Err(too_large());
    }
    let mut pace = Pace::new(Instant::now());
    let mut reserved = Reservation::new(memory, sender, is_known);
    let mut whole = Vec::new();
    let mut pieces = body.into_data_stream();
    loop {
        let piece = match timeout_at(pace.next(), pieces.next()).await {
            Ok(None) => return Ok((whole.into(), reserved)),
            Ok(Some(Ok(piece))) => piece,
            Ok(Some(Err(_))) => return Err(Reply::error(StatusCode::BAD_REQUEST, "the body broke off")),
            Err(_) if !pace.is_too_slow(Instant::now()) => continue,
            Err(_) => return Err(Reply::error(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")),
        };
        let length = whole.len() + piece.len();
        if length > MAX_BODY_SIZE {
            return Err(too_large());
        }
        let begun = Instant::now();
        reserved.grow(length, pace.deadline).await?;
        pace.receive(piece.len(), begun.elapsed());
        whole.extend_from_slice(&piece);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, stream};

    use super::*;

    fn sender(number: u8) -> Sender {
        Sender::of_peer(std::net::Ipv4Addr::new(192, 0, 2, number).into())
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    /// Returns the result of a reservation; none if it has to wait.
    fn grow(reserved: &mut Reservation, length: usize) -> Option<Result<(), StatusCode>> {
        reserved.grow(length, later()).now_or_never().map(|grown| grown.map_err(|reply| reply.status))
    }

    #[tokio::test]
    async fn memory_is_taken_as_a_body_comes_in() {
        let memory = Arc::new(BodyMemory::default());
        // The announced lengths add up to 70 MiB, more than there is; only little has arrived.
        let endless = || {
            let pieces = stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 100 << 10]))]);
            Body::from_stream(pieces.chain(stream::pending()))
        };
        let mut dribbles: Vec<_> = (0..14)
            .map(|number| Box::pin(read(&memory, sender(number), false, Some(MAX_BODY_SIZE), endless())))
            .collect();
        for dribble in &mut dribbles {
            assert!(futures_util::poll!(dribble).is_pending());
        }
        assert_eq!(memory.others.available_permits(), OTHERS_MEMORY - 14 * 100);
        let body = vec![b'x'; 25 << 10];
        let read = read(&memory, sender(99), false, Some(body.len()), body.clone().into()).now_or_never();
        let (whole, reserved) = read.expect("nothing to wait for").map_err(|reply| reply.status).unwrap();
        assert_eq!((whole.len(), memory.others.available_permits()), (body.len(), OTHERS_MEMORY - 14 * 100 - 25));
        drop((dribbles, reserved));
        assert_eq!(memory.others.available_permits(), OTHERS_MEMORY);
        assert!(memory.shares.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn neither_one_address_nor_all_that_are_unknown_take_the_memory_of_others() {
        let memory = Arc::new(BodyMemory::default());
        let of = |number, is_known| Reservation::new(&memory, sender(number), is_known);
        let (mut first, mut second) = (of(1, false), of(1, false));
        assert_eq!(grow(&mut first, MAX_BODY_SIZE), Some(Ok(())));
        assert_eq!(grow(&mut second, MAX_BODY_SIZE), Some(Err(StatusCode::SERVICE_UNAVAILABLE)), "of the same address");
        drop((first, second));
        // Many unknown senders fill only their own memory.
        let mut crowd: Vec<Reservation> = (0..20).map(|number| of(number, false)).collect();
        let grown: Vec<_> = crowd.iter_mut().map(|one| grow(one, MAX_BODY_SIZE)).collect();
        assert_eq!(grown.iter().filter(|one| **one == Some(Ok(()))).count(), OTHERS_MEMORY / (MAX_BODY_SIZE >> 10));
        assert!(!grown.contains(&None), "large ones give way");
        assert_eq!(grow(&mut of(100, true), MAX_BODY_SIZE), Some(Ok(())), "a known one has its own");
        // The last part goes to a small body; the next small one waits for memory of the crowd.
        let mut small = of(101, false);
        let left = memory.others.available_permits();
        let mut last = of(102, false);
        assert_eq!(grow(&mut last, left.min(LARGE_BODY) << 10), Some(Ok(())));
        let mut rest = (103..200).map(|number| of(number, false));
        while memory.others.available_permits() > 0 {
            let mut one = rest.next().expect("they fit");
            let size = memory.others.available_permits().min(LARGE_BODY) << 10;
            assert_eq!(grow(&mut one, size), Some(Ok(())));
            std::mem::forget(one);
        }
        assert_eq!(grow(&mut small, 25 << 10), None);
        drop(crowd);
        let mut small = of(104, false);
        assert_eq!(grow(&mut small, 25 << 10), Some(Ok(())));
    }

    #[test]
    fn a_body_that_comes_too_slowly_is_cut_off() {
        let begun = Instant::now();
        // Nothing, or too little.
        for bytes in [0, MIN_PER_WINDOW - 1] {
            let mut pace = Pace::new(begun);
            pace.receive(bytes, Duration::ZERO);
            assert_eq!(pace.next(), begun + WINDOW);
            assert!(pace.is_too_slow(begun + WINDOW));
        }
        // Fast at first, and nothing after that.
        let mut pace = Pace::new(begun);
        pace.receive(4 << 20, Duration::ZERO);
        assert!(!pace.is_too_slow(begun + WINDOW));
        assert!(pace.is_too_slow(begun + 2 * WINDOW));
        // Never too slow, but endless.
        let mut pace = Pace::new(begun);
        while pace.next() < begun + BODY_TIMEOUT {
            pace.receive(MIN_PER_WINDOW, Duration::ZERO);
            let now = pace.next();
            assert!(!pace.is_too_slow(now));
        }
        assert_eq!(pace.next(), begun + BODY_TIMEOUT);
        assert!(pace.is_too_slow(begun + BODY_TIMEOUT));
        // Waiting for memory does not count.
        let mut pace = Pace::new(begun);
        pace.receive(1, Duration::from_secs(5));
        assert_eq!(pace.next(), begun + WINDOW + Duration::from_secs(5));
    }
}
