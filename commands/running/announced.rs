//! Running tests that workers of other programs announce while `--listen` waits.

use std::collections::BTreeMap;

use serde_json::Value;

use super::ShownTest;

/// Maximum number of tests that are kept.
const MAX_TESTS: usize = 20_000;
/// Maximum memory for all tests, in bytes, roughly.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Maximum length of the end of a log that is kept, in bytes.
const MAX_LOGTAIL: usize = 16 * 1024;

/// Latest announcement of each running test.
///
/// Any client can announce anything, so the least recently announced tests are dropped when there are too many.
#[derive(Default)]
pub struct AnnouncedTests {
    /// Tests, in the order of their latest announcements, with their sizes.
    tests: BTreeMap<u64, (ShownTest, usize)>,
    order: BTreeMap<[String; 4], u64>,
    announcements: u64,
    bytes: usize,
    /// Number of tests that were dropped.
    pub dropped: usize,
}

impl AnnouncedTests {
    /// Replaces the former announcement of a running test.
    pub fn insert(&mut self, mut test: ShownTest) {
        let key = test.key();
        self.remove(&key);
        shorten(&mut test.logtail);
        let bytes = size(&test, &key);
        self.announcements += 1;
        self.bytes += bytes;
        self.order.insert(key, self.announcements);
        self.tests.insert(self.announcements, (test, bytes));
        while self.tests.len() > MAX_TESTS || self.bytes > MAX_BYTES {
            let Some((_, (oldest, bytes))) = self.tests.pop_first() else { break };
            self.order.remove(&oldest.key());
            self.bytes -= bytes;
            self.dropped += 1;
        }
    }

    /// Removes a test that has ended, or that its worker has reported.
    pub fn remove(&mut self, key: &[String; 4]) {
        if let Some((_, bytes)) = self.order.remove(key).and_then(|number| self.tests.remove(&number)) {
            self.bytes -= bytes;
        }
    }

    pub fn into_tests(self) -> impl Iterator<Item = ShownTest> {
        self.tests.into_values().map(|(test, _)| test)
    }
}

/// Cuts a log to its last lines.
fn shorten(logtail: &mut String) {
    if logtail.len() > MAX_LOGTAIL {
        let end = &logtail[logtail.ceil_char_boundary(logtail.len() - MAX_LOGTAIL)..];
        // The first line is incomplete.
        *logtail = end.split_once('\n').map_or(end, |(_, lines)| lines).to_owned();
    }
}

/// Returns about how much memory a test takes.
fn size(test: &ShownTest, key: &[String; 4]) -> usize {
    let texts = [&test.package, &test.release, &test.architecture, &test.phase, &test.uuid, &test.logtail];
    let parameters: usize = test.parameters.iter().map(|(name, value)| name.len() + size_of_value(value)).sum();
    let texts = texts.into_iter().chain(key).map(String::len).sum::<usize>();
    size_of::<ShownTest>() + size_of::<[String; 4]>() + texts + parameters
}

/// Returns about how much memory a value takes: many small values take much more than their text.
fn size_of_value(value: &Value) -> usize {
    let inside = match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(size_of_value).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| 64 + name.len() + size_of_value(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + inside
}

#[cfg(test)]
mod tests {
    use apt_ci::status::TestStatus;
    use serde_json::json;

    use super::*;

    fn announced(package: &str, params: Value, logtail: &str) -> ShownTest {
        let message = json!({
            "release": "sid", "architecture": "amd64", "package": package, "running": true, "params": params,
            "duration": 7, "logtail": logtail,
        });
        ShownTest::announced(TestStatus::parse(message.to_string().as_bytes()).unwrap())
    }

    fn packages(heard: AnnouncedTests) -> Vec<String> {
        heard.into_tests().map(|test| test.package).collect()
    }

    #[test]
    fn the_latest_word_about_a_test_counts() {
        let mut heard = AnnouncedTests::default();
        for logtail in ["one", "one\ntwo"] {
            heard.insert(announced("gzip", json!({"triggers": ["a/1"]}), logtail));
        }
        heard.insert(announced("gzip", json!({"triggers": ["b/1"]}), ""));
        heard.remove(&announced("gzip", json!({"triggers": ["b/1"]}), "").key());
        let logs: Vec<String> = heard.into_tests().map(|test| test.logtail).collect();
        assert_eq!(logs, ["one\ntwo"]);
    }

    #[test]
    fn memory_for_announcements_is_bounded() {
        let large = "x".repeat(MAX_LOGTAIL + 1000);
        let nested = json!({"list": vec![json!([]); 20_000]});
        for (params, logtail) in [(json!({}), large.as_str()), (json!({"env": large}), ""), (nested, "")] {
            let mut heard = AnnouncedTests::default();
            let mut number = 0;
            while heard.dropped == 0 {
                heard.insert(announced(&format!("p{number}"), params.clone(), logtail));
                assert!(heard.bytes <= MAX_BYTES && heard.tests.len() == heard.order.len());
                number += 1;
                assert!(number < MAX_TESTS / 2, "they are too large for that");
            }
            let packages = packages(heard);
            assert_eq!(packages.first().map(String::as_str), Some("p1"), "the oldest goes first");
            assert_eq!(packages.last(), Some(&format!("p{}", number - 1)));
        }
    }

    #[test]
    fn the_number_of_tests_is_bounded() {
        let mut heard = AnnouncedTests::default();
        for number in 0..=MAX_TESTS {
            heard.insert(announced(&format!("p{number}"), json!({}), ""));
        }
        assert_eq!(heard.dropped, 1);
        // A test that is announced again is no longer the oldest.
        heard.insert(announced("p1", json!({}), ""));
        heard.insert(announced("new", json!({}), ""));
        let packages = packages(heard);
        assert_eq!(packages.len(), MAX_TESTS);
        assert!(packages.contains(&"p1".to_owned()) && !packages.contains(&"p2".to_owned()));
    }

    #[test]
    fn a_long_log_is_cut_to_its_last_lines() {
        let mut log = format!("{}\n", "ü".repeat(30)).repeat(1000) + "the end\n";
        shorten(&mut log);
        assert!(log.len() <= MAX_LOGTAIL && log.len() > MAX_LOGTAIL - 100);
        assert!(log.starts_with('ü') && log.ends_with("ü\nthe end\n"));
        let mut one_line = "ü".repeat(MAX_LOGTAIL);
        shorten(&mut one_line);
        assert_eq!(one_line.len(), MAX_LOGTAIL);
        let mut short = "as it is".to_owned();
        shorten(&mut short);
        assert_eq!(short, "as it is");
    }
}
