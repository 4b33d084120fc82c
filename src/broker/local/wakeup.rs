//! Waiting without polling: the kernel reports when a file in the folder `slots` that was open for writing is closed.
//!
//! One such file is `doorbell`, which is closed by every process that made a request claimable. The others are the
//! files of slots, which are closed when their processes end. The kernel reports a closed file a moment before it
//! releases the file's lock, so the end of a slot is followed by a few more checks at growing intervals.

use std::io;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use inotify::{Event, EventMask, EventStream, Inotify, WatchMask};

use super::slot_folder::SlotFolder;

/// Pauses between checks after the end of a slot.
///
/// The lock is released within microseconds; the longer pauses are for a very busy machine.
const CHECK_DELAYS: [Duration; 5] = [
    Duration::from_millis(1),
    Duration::from_millis(4),
    Duration::from_millis(16),
    Duration::from_millis(64),
    Duration::from_millis(256),
];

/// A watch on the folder `slots`. Events since its creation are reported by the next [`Wakeup::wait`].
pub(super) struct Wakeup {
    events: EventStream<Vec<u8>>,
    checks: std::slice::Iter<'static, Duration>,
}

impl Wakeup {
    pub(super) fn listen(slots: &SlotFolder) -> io::Result<Self> {
        let inotify = Inotify::init()?;
        let mask = WatchMask::CLOSE_WRITE | WatchMask::DELETE_SELF | WatchMask::MOVE_SELF | WatchMask::ONLYDIR;
        inotify.watches().add(slots.path(), mask)?;
        // A slot may have ended just before, so that its lock is still held at the first check.
        Ok(Self { events: inotify.into_event_stream(vec![0; 4096])?, checks: CHECK_DELAYS.iter() })
    }

    /// Waits until it is time to check for requests.
    ///
    /// # Errors
    /// When the folder is gone, so that no more events are reported.
    pub(super) async fn wait(&mut self) -> io::Result<()> {
        let event = match self.checks.next() {
            None => self.events.next().await,
            Some(pause) => match tokio::time::timeout(*pause, self.events.next()).await {
                Ok(event) => event,
                Err(_) => return Ok(()),
            },
        };
        self.hear(event)?;
        // One check is enough for all events so far.
        while let Some(event) = self.events.next().now_or_never() {
            self.hear(event)?;
        }
        Ok(())
    }

    fn hear(&mut self, event: Option<io::Result<Event<std::ffi::OsString>>>) -> io::Result<()> {
        let event = event.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))?;
        if event.mask.intersects(EventMask::DELETE_SELF | EventMask::MOVE_SELF | EventMask::IGNORED) {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the folder was removed or renamed"));
        }
        // An event without a name means that events were dropped: a slot's end may have been among them.
        if event.name.as_ref().and_then(|name| name.to_str()).is_none_or(SlotFolder::is_slot_file) {
            self.checks = CHECK_DELAYS.iter();
        }
        Ok(())
    }
}
