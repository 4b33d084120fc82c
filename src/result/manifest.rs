//! manifest.json of result.tar: the sizes of the published files and of a run's artifacts, so that readers need not
//! fetch gigabytes to learn them.
//!
//! ```json
//! {
//!   "files": {
//!     "log.gz": {"size": 1200, "stored": 410, "left-out": 5000},
//!     "artifacts.tar.gz": {"size": 20480, "stored": 3000}
//!   },
//!   "artifacts": {
//!     "kept": {"files": 2, "bytes": 17000},
//!     "left-out": {"files": 1, "bytes": 6000000000},
//!     "largest": [
//!       {"name": "artifacts/core", "size": 6000000000, "left-out": "…"},
//!       {"name": "smoke-stdout", "size": 15000}
//!     ]
//!   }
//! }
//! ```
//!
//! `size` is in bytes before compression, `stored` in bytes in the store. `left-out` of the log is the number of bytes
//! cut from its middle; `left-out` of an artifact is the reason why it is missing. `largest` names the thousand largest
//! regular files, largest first; other things are counted only when they are left out. result.tar itself is not listed,
//! and `readable-by` only if it exists.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use serde::Serialize;

/// Maximum number of artifacts that are named.
const MAX_NAMED_ARTIFACTS: usize = 1000;
/// Maximum length of an artifact's name, in characters: everyone who reads a result fetches these names.
const MAX_NAME_CHARS: usize = 300;

/// Contents of manifest.json.
#[derive(Serialize)]
pub(super) struct Manifest<'a> {
    pub(super) files: BTreeMap<&'static str, PublishedSize>,
    pub(super) artifacts: &'a Inventory,
}

/// Sizes of a published file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct PublishedSize {
    pub(super) size: u64,
    pub(super) stored: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) left_out: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Artifacts that are kept and left out.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Inventory {
    kept: Count,
    left_out: Count,
    #[serde(serialize_with = "in_order")]
    largest: BinaryHeap<Reverse<Artifact>>,
}

#[derive(Debug, Default, Serialize)]
struct Count {
    files: u64,
    bytes: u64,
}

/// An artifact, ordered by size.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Artifact {
    size: u64,
    name: Reverse<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<String>,
}

impl Inventory {
    /// Records a file that is kept.
    pub(super) fn keep(&mut self, name: &str, size: u64) {
        self.kept.files += 1;
        self.kept.bytes += size;
        self.note(name, size, None);
    }

    /// Records something that is left out, and the reason. Only regular files have a size.
    pub(super) fn leave_out(&mut self, name: &str, size: Option<u64>, reason: &str) {
        self.left_out.files += 1;
        self.left_out.bytes += size.unwrap_or_default();
        if let Some(size) = size {
            self.note(name, size, Some(reason));
        }
    }

    /// Moves everything to what is left out, for a reason.
    pub(super) fn leave_out_everything(&mut self, reason: &str) {
        self.left_out.files += self.kept.files;
        self.left_out.bytes += self.kept.bytes;
        self.kept = Count::default();
        let named = std::mem::take(&mut self.largest).into_iter();
        self.largest = named
            .map(|Reverse(artifact)| {
                Reverse(Artifact { left_out: Some(artifact.left_out.unwrap_or_else(|| reason.to_owned())), ..artifact })
            })
            .collect();
    }

    fn note(&mut self, name: &str, size: u64, reason: Option<&str>) {
        let is_full = self.largest.len() >= MAX_NAMED_ARTIFACTS;
        if is_full && self.largest.peek().is_some_and(|Reverse(least)| least.size >= size) {
            return;
        }
        let mut shown: String = name.chars().take(MAX_NAME_CHARS).collect();
        if shown.len() < name.len() {
            shown.push('…');
        }
        if is_full {
            self.largest.pop();
        }
        self.largest.push(Reverse(Artifact { size, name: Reverse(shown), left_out: reason.map(str::to_owned) }));
    }
}

fn in_order<S: serde::Serializer>(heap: &BinaryHeap<Reverse<Artifact>>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut artifacts: Vec<&Reverse<Artifact>> = heap.iter().collect();
    artifacts.sort_unstable();
    serializer.collect_seq(artifacts.into_iter().map(|Reverse(artifact)| artifact))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_largest_are_named_and_all_are_counted() {
        let mut inventory = Inventory::default();
        for number in 0..3000 {
            inventory.keep(&format!("file-{number}"), number);
        }
        inventory.leave_out("core", Some(5000), "too large");
        inventory.leave_out("pipe", None, "a pipe");
        inventory.keep(&"é".repeat(1000), 4000);
        let value = serde_json::to_value(&inventory).unwrap();
        assert_eq!(value["kept"], json!({"files": 3001, "bytes": 4_498_500 + 4000}));
        assert_eq!(value["left-out"], json!({"files": 2, "bytes": 5000}));
        let largest = value["largest"].as_array().unwrap();
        assert_eq!(largest.len(), 1000);
        assert_eq!(largest[0], json!({"name": "core", "size": 5000, "left-out": "too large"}));
        assert_eq!(largest[1], json!({"name": format!("{}…", "é".repeat(300)), "size": 4000}));
        assert_eq!(largest[2], json!({"name": "file-2999", "size": 2999}));
        assert_eq!(largest[999], json!({"name": "file-2002", "size": 2002}));

        inventory.leave_out_everything("no store takes it");
        let value = serde_json::to_value(&inventory).unwrap();
        assert_eq!((&value["kept"]["files"], &value["left-out"]["files"]), (&json!(0), &json!(3003)));
        let reasons: Vec<&Value> = value["largest"].as_array().unwrap().iter().map(|one| &one["left-out"]).collect();
        assert_eq!(reasons[..2], [&json!("too large"), &json!("no store takes it")]);
    }

    #[test]
    fn files_of_one_size_stand_in_the_order_of_their_names() {
        let mut inventory = Inventory::default();
        for name in ["b", "a", "c"] {
            inventory.keep(name, 1);
        }
        let value = serde_json::to_value(&inventory).unwrap();
        assert_eq!(value["largest"][0]["name"], "a");
        assert_eq!(value["largest"][2]["name"], "c");
    }
}
