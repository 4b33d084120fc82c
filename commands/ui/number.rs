//! Numbers on the command line, with errors that name the range.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Returns a parser of numbers in a range.
pub fn within<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: FromStr + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    move |text: &str| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("must be a number from {} to {}", range.start(), range.end()))
    }
}

/// Parses a maximum number of lines or requests: 0 would show nothing, and say that nothing is there.
pub fn limit(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "must be a number, at least 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_the_range() {
        let slots = within(1_u16..=1000);
        assert_eq!((slots("1"), slots("1000")), (Ok(1), Ok(1000)));
        for text in ["0", "1001", "-1", "70000", "many", ""] {
            assert_eq!(slots(text).unwrap_err(), "must be a number from 1 to 1000", "{text}");
        }
        assert_eq!(limit("1"), Ok(1));
        for text in ["0", "-1", "all"] {
            assert_eq!(limit(text).unwrap_err(), "must be a number, at least 1", "{text}");
        }
    }
}
