//! Swift's rules for listings: prefix, delimiter, marker and order, for stores that have to apply them themselves.

use std::collections::BTreeMap;

use super::{Entry, ObjectInfo, Query};

/// Rows of one listing, collected from names in any order.
pub(super) struct Rows {
    query: Query,
    rows: BTreeMap<String, Entry>,
}

impl Rows {
    pub(super) fn new(query: Query) -> Self {
        Self { query, rows: BTreeMap::new() }
    }

    /// Returns whether names that begin with `beginning` can still add a row.
    pub(super) fn wants_below(&self, beginning: &str) -> bool {
        let Query { prefix, marker, .. } = &self.query;
        let in_reach = prefix.starts_with(beginning) || beginning.starts_with(prefix.as_str());
        // All names with this beginning sort on one side of a marker without it.
        let after = marker.starts_with(beginning) || beginning > marker.as_str();
        in_reach && after && !self.is_folded_whole(beginning)
    }

    /// Returns whether all names with this beginning belong to an existing row.
    pub(super) fn is_folded_whole(&self, beginning: &str) -> bool {
        self.fold(beginning).is_some_and(|fold| fold == self.query.marker || self.rows.contains_key(fold))
    }

    /// Returns whether the name needs no row of its own: it does not match, or it is folded. A fold is recorded.
    pub(super) fn folds(&mut self, name: &str) -> bool {
        if !name.starts_with(&self.query.prefix) || name <= self.query.marker.as_str() {
            return true;
        }
        let Some(fold) = self.fold(name).map(str::to_owned) else {
            return false;
        };
        // Swift omits a fold that the marker names: a listing resumes after it.
        if fold != self.query.marker {
            self.rows.insert(fold.clone(), Entry::Prefix(fold));
        }
        true
    }

    /// Adds an object for which [`Rows::folds`] returned `false`.
    pub(super) fn object(&mut self, info: ObjectInfo) {
        self.rows.insert(info.name.clone(), Entry::Object(info));
    }

    /// Returns the rows in ascending byte order of their names.
    pub(super) fn finish(self) -> Vec<Entry> {
        self.rows.into_values().collect()
    }

    /// Returns the name up to the first delimiter after the prefix, inclusive.
    fn fold<'n>(&self, name: &'n str) -> Option<&'n str> {
        let delimiter = self.query.delimiter?;
        let rest = name.strip_prefix(self.query.prefix.as_str())?;
        let at = rest.find(delimiter)? + delimiter.len_utf8();
        Some(&name[..self.query.prefix.len() + at])
    }
}
