//! What is read of an item of `sources:`.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::items::Item;
use super::{Excuse, ExcusesError, Fault, State, Test};

/// A value among the tests that is none: the verdict about all of them.
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

/// Reads an item, with those of its tests that are in a wanted state.
pub(super) fn parse(item: &Item, wanted: &[State]) -> Result<Excuse, ExcusesError> {
    // Its length is bounded, and it is a small part of a file that the site trusts: the parser need not count.
    let options = serde_saphyr::options! { with_snippet: false, budget: None };
    let raw: Raw = serde_saphyr::from_str_with_options(&item.text, options).map_err(|error| {
        let line = error.location().map_or(1, |at| usize::try_from(at.line()).unwrap_or(1));
        ExcusesError::Malformed(Fault { line: item.line(line), message: in_one_line(&error.to_string()) })
    })?;
    let Raw { item_name, source, new_version, policies, dependencies } = raw;
    let Policies { age, autopkgtest } = policies.unwrap_or_default();
    let Dependencies { blocked_by, migrate_after } = dependencies.unwrap_or_default();
    let source = source.or(item_name).ok_or_else(|| {
        let message = "this item names no `source`".to_owned();
        ExcusesError::Malformed(Fault { line: item.begin, message })
    })?;
    let mut tests = autopkgtest.map(|tests| tests.0).unwrap_or_default();
    tests.retain(|test| wanted.contains(&test.state));
    Ok(Excuse {
        line: item.begin,
        source,
        new_version,
        age: age.and_then(|age| age.current_age),
        blocked_by: [blocked_by, migrate_after].into_iter().flatten().flatten().collect(),
        tests,
    })
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The tests in the order of the file.
struct Tests(Vec<Test>);

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
        let mut tests = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == VERDICT {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let Verdicts(verdicts) = map.next_value()?;
            let (package, version) = match name.split_once(['/', ' ']) {
                Some((package, version)) => (package.to_owned(), Some(version.trim().to_owned())),
                None => (name, None),
            };
            tests.extend(verdicts.into_iter().map(|(architecture, verdict)| Test {
                package: package.clone(),
                version: version.clone(),
                architecture,
                state: verdict.state,
                log: verdict.log,
                retry: verdict.retry,
            }));
        }
        Ok(Tests(tests))
    }
}

/// The verdicts about a package's test, by architecture.
struct Verdicts(Vec<(String, Verdict)>);

impl<'de> Deserialize<'de> for Verdicts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(VerdictsVisitor)
    }
}

struct VerdictsVisitor;

impl<'de> Visitor<'de> for VerdictsVisitor {
    type Value = Verdicts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("verdicts by architecture")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Verdicts, A::Error> {
        let mut verdicts = Vec::new();
        while let Some(entry) = map.next_entry()? {
            verdicts.push(entry);
        }
        Ok(Verdicts(verdicts))
    }
}

/// `[STATUS, log_url, history_url, artifact_url, retry_url]`; what is not known is null, or missing at the end.
struct Verdict {
    state: State,
    log: Option<String>,
    retry: Option<String>,
}

impl<'de> Deserialize<'de> for Verdict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(VerdictVisitor)
    }
}

struct VerdictVisitor;

impl<'de> Visitor<'de> for VerdictVisitor {
    type Value = Verdict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a verdict: a list of a state and addresses")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Verdict, A::Error> {
        let word: String = list.next_element()?.ok_or_else(|| serde::de::Error::invalid_length(0, &self))?;
        let log = list.next_element::<Option<String>>()?.flatten();
        for _ in ["history", "artifacts"] {
            list.next_element::<IgnoredAny>()?;
        }
        let retry = list.next_element::<Option<String>>()?.flatten();
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Verdict { state: State::of_word(&word), log, retry })
    }
}
