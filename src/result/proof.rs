//! The record of what a testbed really had, compared with what the request asked to test.
//!
//! It is written into testinfo.json as `apt-ci.proof`, and its verdict into the [listing](super::listing):
//!
//! ```json
//! {"verdict": "proven", "fallback": false, "items": [{"kind": "trigger", "asked": "zlib/1.3-1", "found": "1.3-1",
//!  "from": "noble-proposed", "installed": "zlib1g 1.3-1", "reason": null}], "pocket": "noble-proposed"}
//! ```
//!
//! Results of older versions and of other programs have no record: their verdict is [`ProofVerdict::None`].

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Maximum number of items that are read from a record.
const MAX_ITEMS: usize = 1000;
/// Maximum length of one text of a record, in characters.
const MAX_TEXT: usize = 500;

/// Whether a run tested what it was asked to test.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProofVerdict {
    /// The testbed had everything that was requested.
    Proven,
    /// The testbed lacked something that was requested: the result says nothing about the package.
    Refuted,
    /// No record. The result counts, and is shown as not proven.
    #[default]
    None,
}

impl ProofVerdict {
    /// All verdicts.
    pub const ALL: [Self; 3] = [Self::Proven, Self::Refuted, Self::None];

    /// Returns the verdict's word in records and listings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Refuted => "refuted",
            Self::None => "none",
        }
    }

    /// Returns the verdict for a word; [`ProofVerdict::None`] for an unknown one.
    pub fn from_word(word: &str) -> Self {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == word).unwrap_or_default()
    }
}

/// Formats the verdict for people.
impl fmt::Display for ProofVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "not proven",
            Self::Proven | Self::Refuted => self.as_str(),
        })
    }
}

/// The part of a request that an item is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProofKind {
    /// A trigger, `SRC/VERSION`.
    Trigger,
    /// All packages of a pocket, by the pocket's name.
    Pocket,
    /// A PPA, `OWNER/NAME`.
    Ppa,
    /// A branch, by its address.
    Branch,
    /// The baseline: the release as it is.
    Baseline,
}

impl ProofKind {
    /// Returns the kind as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Pocket => "pocket",
            Self::Ppa => "PPA",
            Self::Branch => "branch",
            Self::Baseline => "baseline",
        }
    }
}

/// One part of the request, and what the testbed had of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofItem {
    /// The kind of the part.
    pub kind: ProofKind,
    /// Its name in the request.
    pub asked: String,
    /// The version that the testbed had.
    #[serde(default)]
    pub found: Option<String>,
    /// The suites, or the address, that this version came from.
    #[serde(default)]
    pub from: Option<String>,
    /// The installed package, `PACKAGE VERSION`.
    #[serde(default)]
    pub installed: Option<String>,
    /// Reason why the item was not met; `None` if it was.
    #[serde(default)]
    pub reason: Option<String>,
}

impl ProofItem {
    /// Returns an item that is met, without further details.
    pub fn new(kind: ProofKind, asked: impl Into<String>) -> Self {
        Self { kind, asked: asked.into(), found: None, from: None, installed: None, reason: None }
    }
}

/// Formats the item as a sentence.
impl fmt::Display for ProofItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, asked, found, from, installed, reason } = self;
        write!(f, "{} {asked}: ", kind.as_str())?;
        if let Some(reason) = reason {
            return write!(f, "not met, {reason}");
        }
        write!(f, "{}", found.as_deref().map_or_else(|| "met".to_owned(), |found| format!("met, {found}")))?;
        if let Some(from) = from {
            write!(f, " from {from}")?;
        }
        match installed {
            Some(installed) => write!(f, "; installed: {installed}"),
            None => Ok(()),
        }
    }
}

/// The record of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Whether all items are met.
    pub verdict: ProofVerdict,
    /// Whether dependencies could not be installed with the triggers alone, so that all packages of the pocket were
    /// used.
    pub fallback: bool,
    /// The parts of the request, in its order.
    pub items: Vec<ProofItem>,
    /// The release's pocket on the worker; empty when there was none. `None` in records of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pocket: Option<String>,
}

impl Proof {
    /// Returns the record of these items: refuted if one of them is not met.
    pub fn of(items: Vec<ProofItem>, fallback: bool) -> Self {
        let refuted = items.iter().any(|item| item.reason.is_some());
        let verdict = if refuted { ProofVerdict::Refuted } else { ProofVerdict::Proven };
        Self { verdict, fallback, items, pocket: None }
    }

    /// Reads the record in a run's testinfo.json. Malformed parts are left out; a malformed verdict becomes
    /// [`ProofVerdict::None`].
    pub fn from_testinfo(testinfo: &Value) -> Self {
        let Some(record) = testinfo.get("apt-ci").and_then(|own| own.get("proof")) else { return Self::default() };
        let item = |value: &Value| {
            let ProofItem { kind, asked, found, from, installed, reason } = ProofItem::deserialize(value).ok()?;
            let cut = |text: String| text.chars().take(MAX_TEXT).collect::<String>();
            Some(ProofItem {
                kind,
                asked: cut(asked),
                found: found.map(cut),
                from: from.map(cut),
                installed: installed.map(cut),
                reason: reason.map(cut),
            })
        };
        let items = record.get("items").and_then(Value::as_array);
        Self {
            verdict: record.get("verdict").and_then(Value::as_str).map(ProofVerdict::from_word).unwrap_or_default(),
            fallback: record.get("fallback").and_then(Value::as_bool).unwrap_or_default(),
            items: items.into_iter().flatten().take(MAX_ITEMS).filter_map(item).collect(),
            pocket: record.get("pocket").and_then(Value::as_str).map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn item() -> ProofItem {
        ProofItem {
            found: Some("1.3-1".to_owned()),
            from: Some("noble-proposed".to_owned()),
            installed: Some("zlib1g 1.3-1".to_owned()),
            ..ProofItem::new(ProofKind::Trigger, "zlib/1.3-1")
        }
    }

    #[test]
    fn the_record_is_the_documented_one() {
        let proof = Proof { pocket: Some("noble-proposed".to_owned()), ..Proof::of(vec![item()], false) };
        let written = json!({"verdict": "proven", "fallback": false, "items": [{"kind": "trigger", "asked": "zlib/1.3-1",
            "found": "1.3-1", "from": "noble-proposed", "installed": "zlib1g 1.3-1", "reason": null}],
            "pocket": "noble-proposed"});
        assert_eq!(json!(proof), written);
        assert_eq!(Proof::from_testinfo(&json!({"apt-ci": {"proof": written}})), proof);
    }

    #[test]
    fn an_older_or_damaged_record_proves_nothing() {
        for testinfo in [
            json!(null),
            json!([1]),
            json!({"apt-ci": 3}),
            json!({"apt-ci": {"proof": "proven"}}),
            json!({"apt-ci": {"proof": {"verdict": 1, "items": {}, "fallback": "yes"}}}),
            json!({"apt-ci": {"proof": {"verdict": "PROVEN", "items": [{"kind": "x", "asked": "y"}, 7]}}}),
        ] {
            assert_eq!(Proof::from_testinfo(&testinfo), Proof::default(), "{testinfo}");
        }
        let long = json!({"kind": "ppa", "asked": "x".repeat(9000)});
        let read = Proof::from_testinfo(&json!({"apt-ci": {"proof": {"items": vec![long; 2000]}}}));
        assert_eq!((read.items.len(), read.items[0].asked.len()), (MAX_ITEMS, MAX_TEXT));
    }

    #[test]
    fn one_item_that_is_not_met_refutes_the_run() {
        let missing = ProofItem { reason: Some("the release has 1.2-1".to_owned()), ..item() };
        assert_eq!(missing.to_string(), "trigger zlib/1.3-1: not met, the release has 1.2-1");
        assert_eq!(Proof::of(vec![item(), missing], false).verdict, ProofVerdict::Refuted);
        assert_eq!(Proof::of(Vec::new(), true).verdict, ProofVerdict::Proven);
    }

    #[test]
    fn an_item_reads_as_a_sentence() {
        let text = "trigger zlib/1.3-1: met, 1.3-1 from noble-proposed; installed: zlib1g 1.3-1";
        assert_eq!(item().to_string(), text);
        assert_eq!(ProofItem::new(ProofKind::Ppa, "me/one").to_string(), "PPA me/one: met");
    }

    proptest! {
        #[test]
        fn no_record_makes_the_reader_panic(text in "[\\[\\]{}\":,a-z0-9 ]{0,80}") {
            let value: Value = serde_json::from_str(&text).unwrap_or(json!(text));
            let _ = Proof::from_testinfo(&json!({"apt-ci": {"proof": value}}));
        }
    }
}
