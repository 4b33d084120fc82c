//! Ids of runs, which name their folders in the store.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Format of the second.
const SECONDS: &str = "%Y%m%d_%H%M%S";
/// The largest number of five hexadecimal digits.
const MAX_DIGITS: u32 = 0xf_ffff;

/// Id of a run of a package on a release and architecture: `YYYYMMDD_HHMMSS_xxxxx@`, the second (UTC) when its result
/// was published, and the microsecond as five hexadecimal digits. Other programs write random digits, older ones none.
///
/// Run ids are ordered like their texts, which is how stores list them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(String);

/// A text that is not a run id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("run {0:?}: a run id must have the form YYYYMMDD_HHMMSS_xxxxx@")]
pub struct InvalidRunId(String);

impl RunId {
    /// Returns a new id for a result that is published now. It is greater than `newest`, the package's newest id so
    /// far, even if the clock went back: readers ask for runs after the newest one that they know, and must not miss
    /// one.
    pub fn stamp(now: Timestamp, newest: Option<&Self>) -> Self {
        let now = now.to_zoned(TimeZone::UTC).datetime();
        let now = Self::at(now, u32::try_from(now.subsec_nanosecond() / 1000).unwrap_or_default());
        match newest {
            Some(newest) if now <= *newest => newest.next(),
            _ => now,
        }
    }

    fn at(second: DateTime, digits: u32) -> Self {
        Self(format!("{}_{digits:05x}@", second.strftime(SECONDS)))
    }

    /// Returns the next id, as little later as possible: a burst of results must not lead into the future.
    fn next(&self) -> Self {
        let second = self.second();
        // An id without digits comes before all others of its second.
        let digits = self.0.get(16..21).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        match digits.map_or(0, |digits| digits + 1) {
            beyond if beyond > MAX_DIGITS => Self::at(second.saturating_add(jiff::Span::new().seconds(1)), 0),
            digits => Self::at(second, digits),
        }
    }

    /// Returns the id as text, with its `@`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns when the result was published, in UTC.
    pub fn published(&self) -> Timestamp {
        self.second().to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn second(&self) -> DateTime {
        // Was checked when the id was parsed.
        self.0.get(..15).and_then(read_second).unwrap_or(DateTime::MIN)
    }
}

fn read_second(text: &str) -> Option<DateTime> {
    let (date, time) = text.split_once('_')?;
    let digits = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(date, 8) || !digits(time, 6) {
        return None;
    }
    let number = |text: &str, range: std::ops::Range<usize>| text.get(range)?.parse::<i8>().ok();
    DateTime::new(
        date.get(..4)?.parse().ok()?,
        number(date, 4..6)?,
        number(date, 6..8)?,
        number(time, 0..2)?,
        number(time, 2..4)?,
        number(time, 4..6)?,
        0,
    )
    .ok()
}

impl FromStr for RunId {
    type Err = InvalidRunId;

    fn from_str(text: &str) -> Result<Self, InvalidRunId> {
        let is_suffix = |suffix: &str| {
            suffix.is_empty()
                || suffix.strip_prefix('_').is_some_and(|hex| {
                    hex.len() == 5 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
                })
        };
        let valid = text.strip_suffix('@').is_some_and(|stem| {
            stem.get(..15).and_then(read_second).is_some() && stem.get(15..).is_some_and(is_suffix)
        });
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidRunId(text.chars().take(80).collect())) }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_run_published_later_has_a_later_id_even_when_the_clock_went_back() {
        let noon: Timestamp = "2026-11-23T12:00:00.000255Z".parse().unwrap();
        let first = RunId::stamp(noon, None);
        assert_eq!(first.as_str(), "20261123_120000_000ff@");
        let after = |newest: &str| RunId::stamp(noon, Some(&newest.parse().unwrap())).to_string();
        assert_eq!(after("20261123_115959_fffff@"), first.as_str());
        assert_eq!(after(first.as_str()), "20261123_120000_00100@");
        // Other programs' digits are random, and the clock went back.
        assert_eq!(after("20261123_120000_ffffe@"), "20261123_120000_fffff@");
        assert_eq!(after("20261123_120000_fffff@"), "20261123_120001_00000@");
        assert_eq!(after("20261231_235959_fffff@"), "20270101_000000_00000@");
        assert_eq!(after("20261231_235959@"), "20261231_235959_00000@");
        assert_eq!(first.published(), "2026-11-23T12:00:00Z".parse().unwrap());
    }

    #[test]
    fn a_burst_does_not_lead_into_the_future() {
        let noon: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let mut newest = RunId::stamp(noon, None);
        for _ in 0..1000 {
            let next = RunId::stamp(noon, Some(&newest));
            assert!(next > newest);
            newest = next;
        }
        assert_eq!(newest.published(), noon);
    }

    proptest! {
        #[test]
        fn stamps_are_ids_that_grow(now in 0i64..100_000_000_000, newest in 0i64..100_000_000_000) {
            let newest = RunId::stamp(Timestamp::from_second(newest).unwrap(), None);
            let stamped = RunId::stamp(Timestamp::from_second(now).unwrap(), Some(&newest));
            prop_assert!(stamped > newest);
            prop_assert_eq!(stamped.as_str().parse::<RunId>(), Ok(stamped.clone()));
        }
    }
}
