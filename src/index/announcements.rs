//! Announced results that are not in the store yet.
//!
//! Anyone who may publish at the broker can announce results that do not exist. Each announcement is therefore checked
//! only a few times, and new ones come before those that failed. A real result is found at its first or second check,
//! however many others wait.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

/// Maximum number of waiting announcements. The oldest ones are dropped.
const MAX_WAITING: usize = 300;
/// Maximum number of checks for an announced result.
const MAX_CHECKS: u32 = 4;
/// Delay before the second check; it doubles with each further one.
const FIRST_RETRY_DELAY: Duration = Duration::from_secs(1);

/// An announcement whose result is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The message of `testcomplete.fanout`.
    pub message: Vec<u8>,
    tries: u32,
    due: Instant,
    /// Number in the order of arrival.
    number: u64,
}

/// The waiting announcements.
#[derive(Debug, Default)]
pub struct Announcements {
    waiting: Vec<Announcement>,
    known: HashSet<Vec<u8>>,
    count: u64,
    has_dropped: bool,
}

impl Announcements {
    /// Adds a new announcement, which is due immediately. A waiting one is not added again.
    pub fn add(&mut self, message: Vec<u8>, now: Instant) {
        if !self.known.insert(message.clone()) {
            return;
        }
        self.count += 1;
        self.waiting.push(Announcement { message, tries: 0, due: now, number: self.count });
        if self.waiting.len() > MAX_WAITING
            && let Some(oldest) = self.waiting.iter().enumerate().min_by_key(|(_, one)| one.number).map(|(at, _)| at)
        {
            let dropped = self.waiting.swap_remove(oldest);
            self.forget(&dropped);
        }
    }

    /// Takes at most `limit` announcements that are due: those with the fewest checks first, and of these the newest.
    pub fn take_due(&mut self, now: Instant, limit: usize) -> Vec<Announcement> {
        self.waiting.sort_by_key(|one| (one.due > now, one.tries, u64::MAX - one.number));
        let due = self.waiting.iter().take(limit).take_while(|one| one.due <= now).count();
        self.waiting.drain(..due).collect()
    }

    /// Removes an announcement whose result was found, or does not belong in the index.
    pub fn found(&mut self, announcement: &Announcement) {
        self.known.remove(&announcement.message);
    }

    /// Schedules the next check for a result that was not found, unless this was the last one.
    pub fn missed(&mut self, mut announcement: Announcement, now: Instant) {
        announcement.tries += 1;
        if announcement.tries >= MAX_CHECKS {
            self.forget(&announcement);
            return;
        }
        announcement.due = now + FIRST_RETRY_DELAY * 2_u32.pow(announcement.tries - 1);
        self.waiting.push(announcement);
    }

    fn forget(&mut self, announcement: &Announcement) {
        self.known.remove(&announcement.message);
        self.has_dropped = true;
    }

    /// Returns when the next announcement is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.waiting.iter().map(|one| one.due).min()
    }

    /// Returns whether the index has everything that was announced: none is waiting and none was dropped.
    pub fn is_complete(&self) -> bool {
        self.waiting.is_empty() && !self.has_dropped
    }

    /// Returns whether announcements were dropped. Only a scan of the listings finds their results, if there are any.
    pub fn has_dropped(&self) -> bool {
        self.has_dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(announcements: &[Announcement]) -> Vec<String> {
        announcements.iter().map(|one| String::from_utf8_lossy(&one.message).into_owned()).collect()
    }

    #[test]
    fn a_real_result_comes_before_thousands_of_bogus_ones() {
        let mut all = Announcements::default();
        let mut now = Instant::now();
        let mut tries = 0;
        for number in 0..3000 {
            all.add(format!("bogus {number}").into_bytes(), now);
        }
        assert!(all.has_dropped());
        // One round of checks fails, then a real announcement comes.
        for bogus in all.take_due(now, 16) {
            all.missed(bogus, now);
            tries += 1;
        }
        all.add(b"real".to_vec(), now);
        assert_eq!(names(&all.take_due(now, 16))[0], "real");
        while let Some(due) = all.next_due() {
            now = due;
            for bogus in all.take_due(now, 16) {
                all.missed(bogus, now);
                tries += 1;
            }
        }
        assert!(tries <= MAX_WAITING * MAX_CHECKS as usize, "{tries} tries for 3000 announcements");
    }

    #[test]
    fn a_late_result_is_looked_for_again_and_given_up_in_the_end() {
        let mut all = Announcements::default();
        let begin = Instant::now();
        all.add(b"late".to_vec(), begin);
        all.add(b"late".to_vec(), begin);
        let mut now = begin;
        for tries in 1..=MAX_CHECKS {
            let due = all.take_due(now, 9);
            assert_eq!(names(&due), ["late"], "try {tries}");
            all.missed(due.into_iter().next().unwrap(), now);
            assert_eq!(all.take_due(now, 9), [], "not before its time");
            now = all.next_due().unwrap_or(now);
        }
        assert_eq!(now - begin, FIRST_RETRY_DELAY * 7);
        assert!(all.has_dropped() && !all.is_complete());
    }

    #[test]
    fn what_was_found_is_done_with() {
        let mut all = Announcements::default();
        let now = Instant::now();
        all.add(b"one".to_vec(), now);
        assert!(!all.is_complete());
        let due = all.take_due(now, 9);
        all.found(&due[0]);
        assert!(all.is_complete());
        all.add(b"one".to_vec(), now);
        assert_eq!(names(&all.take_due(now, 9)), ["one"], "announced once more, it is looked for once more");
    }
}
