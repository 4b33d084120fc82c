//! Ids of requests as a person reads and types them.

use std::collections::BTreeSet;

use super::table::Cell;

/// Minimum number of characters of a shortened id.
const MIN_LENGTH: usize = 8;

/// Shortens ids for people, so that those that are shown together differ.
///
/// Every command that takes a request understands the beginning of its id. Programs always get whole ids.
#[derive(Clone, Copy)]
pub struct ShortIds {
    length: usize,
}

impl ShortIds {
    /// Returns what shortens these ids.
    pub fn of<'a>(ids: impl IntoIterator<Item = &'a str>) -> Self {
        let ids: BTreeSet<&str> = ids.into_iter().collect();
        // Of sorted texts, neighbours have the longest beginnings in common.
        let pairs = ids.iter().zip(ids.iter().skip(1));
        let needed = pairs.map(|(one, next)| common_length(one, next) + 1).max().unwrap_or_default();
        Self { length: needed.max(MIN_LENGTH) }
    }

    /// Returns the beginning of an id.
    pub fn short<'a>(&self, id: &'a str) -> &'a str {
        id.get(..self.length).unwrap_or(id)
    }

    /// Returns a cell with the beginning of an id for people, and with all of it for programs.
    pub fn cell(&self, id: &str) -> Cell {
        Cell::new(self.short(id)).for_programs(id)
    }
}

/// Number of bytes at the beginning that are the same in both texts.
fn common_length(one: &str, other: &str) -> usize {
    one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_as_short_as_they_can_be_told_apart() {
        let ids = ["7e89460a-1234-4321-aaaa-0123456789ab", "7e89461a-1234-4321-aaaa-0123456789ab"];
        let short = |ids: &[&str]| {
            ids.iter().map(|id| ShortIds::of(ids.iter().copied()).short(id).to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(short(&ids), ["7e89460a", "7e89461a"]);
        // The same request twice, and one without an id.
        assert_eq!(short(&[ids[0], ids[0], ""]), ["7e89460a", "7e89460a", ""]);
        // Ids of other programs.
        assert_eq!(short(&["request-100", "request-101", "r"]), ["request-100", "request-101", "r"]);
        assert_eq!(short(&["abcdefgh", "abcdefgh-2"]), ["abcdefgh", "abcdefgh-"]);
        assert_eq!(short(&["ü".repeat(20).as_str()]), ["üüüü"]);
    }
}
