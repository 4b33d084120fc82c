//! Parsing of an item of `sources:`.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::items::Item;
use super::{Excuse, ExcusesError, LineError, Test, TestState};

/// A key among the tests that is not a test: the verdict on all of them.
const VERDICT: &str = "verdict";

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct Raw {
    item_name: Option<String>,
    source: Option<String>,
    new_version: Option<String>,
    #[serde(rename = "policy_info")]
    policies: Option<Policies>,
    dependencies: Option<Dependencies>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Policies {
    age: Option<Age>,
    autopkgtest: Option<Tests>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Age {
    current_age: Option<f64>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct Dependencies {
    blocked_by: Option<Vec<String>>,
    migrate_after: Option<Vec<String>>,
}

/// Maximum nesting of an item. Real ones have about eight levels.
const MAX_DEPTH: usize = 32;

/// Parses an item, with those of its tests that are in a wanted state.
pub(super) fn parse(item: &Item, wanted: &[TestState]) -> Result<Excuse, ExcusesError> {
    // Values are read recursively, so nesting is limited. Python's writer uses aliases freely.
    let budget = serde_saphyr::budget! { max_depth: MAX_DEPTH, enforce_alias_anchor_ratio: false };
    let options = serde_saphyr::options! { with_snippet: false, budget: budget };
    let raw: Raw = serde_saphyr::from_str_with_options(&item.text, options).map_err(|error| {
        let line = error.location().map_or(1, |at| usize::try_from(at.line()).unwrap_or(1));
        ExcusesError::OddItem(LineError { line: item.line(line), message: in_one_line(&error.to_string()) })
    })?;
    let Raw { item_name, source, new_version, policies, dependencies } = raw;
    let Policies { age, autopkgtest } = policies.unwrap_or_default();
    let Dependencies { blocked_by, migrate_after } = dependencies.unwrap_or_default();
    let source = source.or(item_name).ok_or_else(|| {
        let message = "this item names no `source`".to_owned();
        ExcusesError::OddItem(LineError { line: item.begin, message })
    })?;
    let Tests { mut tests, mut odd } = autopkgtest.unwrap_or_default();
    tests.retain(|test| wanted.contains(&test.state));
    for line in tests.iter_mut().map(|test| &mut test.line).chain(odd.iter_mut().map(|fault| &mut fault.line)) {
        *line = item.line(*line);
    }
    Ok(Excuse {
        line: item.begin,
        source,
        new_version,
        age: age.and_then(|age| age.current_age),
        blocked_by: [blocked_by, migrate_after].into_iter().flatten().flatten().collect(),
        tests,
        odd,
    })
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The tests in the order of the file, and those that cannot be parsed. Lines are those of the item.
#[derive(Default)]
struct Tests {
    tests: Vec<Test>,
    odd: Vec<LineError>,
}

impl<'de> Deserialize<'de> for Tests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TestsVisitor)
    }
}

struct TestsVisitor;

impl<'de> Visitor<'de> for TestsVisitor {
    type Value = Tests;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tests by their packages")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tests, A::Error> {
        let mut found = Tests::default();
        while let Some(name) = map.next_key::<String>()? {
            if name == VERDICT {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let verdicts: Spanned<AnyValue> = map.next_value()?;
            let AnyValue::Map(verdicts) = verdicts.value else {
                found.add_odd(&verdicts.referenced, format!("the tests of {name} are no map by architecture"));
                continue;
            };
            let (package, version) = match name.split_once(['/', ' ']) {
                Some((package, version)) => (package.to_owned(), Some(version.trim().to_owned())),
                None => (name, None),
            };
            for (architecture, verdict) in verdicts {
                let Some(Verdict { state, log, retry }) = Verdict::of(verdict.value) else {
                    let message = format!("the test of {package} on {architecture} has no verdict");
                    found.add_odd(&verdict.referenced, message);
                    continue;
                };
                let (package, version, line) = (package.clone(), version.clone(), line_of(&verdict.referenced));
                found.tests.push(Test { package, version, architecture, state, log, retry, line });
            }
        }
        Ok(found)
    }
}

impl Tests {
    fn add_odd(&mut self, at: &Location, message: String) {
        self.odd.push(LineError { line: line_of(at), message });
    }
}

fn line_of(at: &Location) -> usize {
    usize::try_from(at.line()).unwrap_or(1)
}

/// Any value. An unexpected one makes a single test odd, not the whole item.
enum AnyValue {
    Text(String),
    List(Vec<AnyValue>),
    Map(Vec<(String, Spanned<AnyValue>)>),
    Other,
}

impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValueVisitor)
    }
}

struct AnyValueVisitor;

impl<'de> Visitor<'de> for AnyValueVisitor {
    type Value = AnyValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<AnyValue, E> {
        Ok(AnyValue::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<AnyValue, E> {
        Ok(AnyValue::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<AnyValue, E> {
        Ok(AnyValue::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<AnyValue, E> {
        Ok(AnyValue::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<AnyValue, E> {
        Ok(AnyValue::Other)
    }

    fn visit_unit<E>(self) -> Result<AnyValue, E> {
        Ok(AnyValue::Other)
    }

    fn visit_none<E>(self) -> Result<AnyValue, E> {
        Ok(AnyValue::Other)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<AnyValue, D::Error> {
        AnyValue::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<AnyValue, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(AnyValue::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AnyValue, A::Error> {
        let mut values = Vec::new();
        while let Some(entry) = map.next_entry()? {
            values.push(entry);
        }
        Ok(AnyValue::Map(values))
    }
}

/// `[STATUS, log_url, history_url, artifact_url, retry_url]`; unknown values are null, or missing at the end.
struct Verdict {
    state: TestState,
    log: Option<String>,
    retry: Option<String>,
}

impl Verdict {
    fn of(value: AnyValue) -> Option<Self> {
        let AnyValue::List(values) = value else { return None };
        let mut texts = values.into_iter().map(|value| match value {
            AnyValue::Text(text) => Some(text),
            _ => None,
        });
        let word = texts.next().flatten()?;
        let log = texts.next().flatten();
        let retry = texts.nth(2).flatten();
        Some(Self { state: TestState::of_word(&word), log, retry })
    }
}
