//! Waiting without polling: the kernel tells when a file in the folder `slots` that was open for writing is closed.
//!
//! That is the doorbell, which everybody closes who made a request claimable, and the file of a slot whose process ends.
//! The kernel tells of a closed file a moment before it releases the file's lock, so after the end of a slot a few more
//! looks are due, in growing intervals.

use std::io;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use inotify::{Event, EventMask, EventStream, Inotify, WatchMask};

use super::life::SlotFolder;

/// When to look again after a slot's end: the lock is released within microseconds; the longer ones are for a machine
/// that is very busy.
const LOOKS: [Duration; 5] = [
    Duration::from_millis(1),
    Duration::from_millis(4),
    Duration::from_millis(16),
    Duration::from_millis(64),
    Duration::from_millis(256),
];

/// An ear at the folder `slots`. What rings after it was made is heard by the next [`Bell::rung`].
pub(super) struct Bell {
    events: EventStream<Vec<u8>>,
    looks: std::slice::Iter<'static, Duration>,
}

impl Bell {
    pub(super) fn listen(slots: &SlotFolder) -> io::Result<Self> {
        let inotify = Inotify::init()?;
        let mask = WatchMask::CLOSE_WRITE | WatchMask::DELETE_SELF | WatchMask::MOVE_SELF | WatchMask::ONLYDIR;
        inotify.watches().add(slots.path(), mask)?;
        // A slot may have ended just before, with its lock still held when its holder is looked at for the first time.
        Ok(Self { events: inotify.into_event_stream(vec![0; 4096])?, looks: LOOKS.iter() })
    }

    /// Returns when it is time to look.
    ///
    /// # Errors
    /// When the folder went away: nothing can be heard any more.
    pub(super) async fn rung(&mut self) -> io::Result<()> {
        let event = match self.looks.next() {
            None => self.events.next().await,
            Some(pause) => match tokio::time::timeout(*pause, self.events.next()).await {
                Ok(event) => event,
                Err(_) => return Ok(()),
            },
        };
        self.hear(event)?;
        // One look serves everything that has rung by now.
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
        // No name means that events were dropped: a slot's end may have been among them.
        if event.name.as_ref().and_then(|name| name.to_str()).is_none_or(SlotFolder::is_slot_file) {
            self.looks = LOOKS.iter();
        }
        Ok(())
    }
}
