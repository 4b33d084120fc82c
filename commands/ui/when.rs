//! Times and durations in the words of people.

use std::str::FromStr;

use jiff::{Span, Timestamp, Zoned};

/// A time that the user gave as a time or as an age. A bare `m` is refused, because it could mean months or minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since(pub Timestamp);

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rule =
            || "expected an age such as 2d or 12h, or a time such as 2026-11-23 or 2026-11-23T12:00:00Z".to_owned();
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(Self(time));
        }
        if let Ok(day) = text.parse::<jiff::civil::Date>() {
            return day.to_zoned(jiff::tz::TimeZone::UTC).map(|time| Self(time.timestamp())).map_err(|_| rule());
        }
        let ends_with_m = text
            .trim_end()
            .strip_suffix(['m', 'M'])
            .is_some_and(|rest| rest.trim_end().ends_with(|c: char| c.is_ascii_digit()));
        if ends_with_m {
            return Err(format!("`{text}` could mean months or minutes: write `mo` for months, `min` for minutes"));
        }
        let span: Span = text.parse().map_err(|_| rule())?;
        Zoned::now().checked_sub(span.abs()).map(|time| Self(time.timestamp())).map_err(|_| rule())
    }
}

/// Returns how long ago a time is, in the largest unit that fits: `3 minutes ago`.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - then.as_second();
    if seconds < 5 {
        return "just now".to_owned();
    }
    let (count, unit) = match seconds {
        ..60 => (seconds, "second"),
        60..3_600 => (seconds / 60, "minute"),
        3_600..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural} ago")
}

/// Returns a duration in seconds as `1h 02m`, `3m 20s` or `12s`.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_not_minutes() {
        for text in ["6m", "6 m", "6M", "1y 6m"] {
            let error = text.parse::<Since>().unwrap_err();
            assert!(error.contains("months or minutes"), "{text}: {error}");
        }
        let months = "6mo".parse::<Since>().unwrap().0;
        let minutes = "6min".parse::<Since>().unwrap().0;
        let day = 86_400;
        assert!((180..186).contains(&((Timestamp::now().as_second() - months.as_second()) / day)));
        assert!(Timestamp::now().as_second() - minutes.as_second() < 400);
    }

    #[test]
    fn times_are_said_in_the_largest_unit_that_fits() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let said = |seconds: i64| ago(Timestamp::from_second(1_000_000 - seconds).unwrap(), now);
        assert_eq!(said(0), "just now");
        assert_eq!(said(-30), "just now");
        assert_eq!(said(59), "59 seconds ago");
        assert_eq!(said(60), "1 minute ago");
        assert_eq!(said(7_300), "2 hours ago");
        assert_eq!(said(200_000), "2 days ago");
        assert_eq!((duration(12), duration(200), duration(3_725)), ("12s".into(), "3m 20s".into(), "1h 02m".into()));
    }
}
