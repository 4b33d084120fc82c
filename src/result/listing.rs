//! A run's summary in the store's listing. The Content-Type of result.tar has the outcome as parameters, so that one
//! page of a listing describes thousands of runs without fetching any of them.
//!
//! ```text
//! application/x-tar; exitcode=4; version="1.2-1"; duration=12; triggers="a/1 b/2"; requester=x;
//!     uuid=…; proof=proven; tested=archive
//! ```
//!
//! `tested` is `archive` or `branch`. `ppas="OWNER/NAME …"`, `all-proposed=1` and `testname=` follow if the request had
//! them. The last parameter is `length=`, the size of result.tar in bytes: a file of another size was changed after it
//! was stored.

use std::fmt::Write as _;

use percent_encoding::utf8_percent_encode;
use serde::{Deserialize, Serialize};

use super::encoding::{QUOTED, WORD, decode};
use super::options::{OptionsReader, RunOptions};
use super::outcome::Outcome;
use super::proof::ProofVerdict;

/// Maximum size of a Content-Type with triggers, in bytes: servers and proxies limit a header, often to 4 kB or 8 kB.
const MAX_CONTENT_TYPE_BYTES: usize = 3000;
/// Maximum size of one encoded text, in bytes. The rest is cut off.
const MAX_TEXT_BYTES: usize = 600;

const MEDIA_TYPE: &str = "application/x-tar";
const LENGTH: &str = "length";

/// Summary of a run, which is known without fetching its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSummary {
    /// autopkgtest's exit code.
    pub exitcode: i32,
    /// The tested version; `unknown` when the run did not get so far, `blacklisted` when it was not allowed to run.
    pub version: String,
    /// Duration of the run, in seconds.
    pub duration: u64,
    /// Causes of the run, each `SRC/VERSION`. `None` when a listing has none or had no room for them; result.tar has
    /// them.
    pub triggers: Option<Vec<String>>,
    /// The requester.
    pub requester: Option<String>,
    /// The request's id.
    pub uuid: Option<String>,
    /// Whether the run tested what it was asked to test. Absent in listings of older versions and other programs.
    #[serde(default)]
    pub proof: ProofVerdict,
    /// Whether all packages of the pocket were used, because the triggers alone could not be installed.
    #[serde(default)]
    pub fallback: bool,
    /// Sources of packages other than the release, and the only test. `None` when a listing or a result does not say.
    #[serde(default)]
    pub options: Option<RunOptions>,
}

impl RunSummary {
    /// Returns the outcome of the run.
    pub fn outcome(&self) -> Outcome {
        Outcome::from_exit_code(self.exitcode)
    }

    /// Returns the Content-Type with this summary: only printable ASCII characters, and at most about 3 kB. Triggers
    /// that do not fit are only counted.
    pub fn to_content_type(&self) -> String {
        let mut text = format!("{MEDIA_TYPE}; exitcode={}", self.exitcode);
        push_text(&mut text, "version", &self.version);
        let _ = write!(text, "; duration={}", self.duration);
        let mut tail = String::new();
        if let Some(requester) = &self.requester {
            push_text(&mut tail, "requester", requester);
        }
        if let Some(uuid) = &self.uuid {
            push_text(&mut tail, "uuid", uuid);
        }
        push_text(&mut tail, "proof", self.proof.as_str());
        if self.fallback {
            push_text(&mut tail, "fallback", "1");
        }
        if let Some(options) = &self.options {
            tail.push_str(&options.to_parameters());
        }
        if let Some(triggers) = &self.triggers {
            let words: Vec<String> =
                triggers.iter().map(|trigger| utf8_percent_encode(trigger, WORD).to_string()).collect();
            let words = words.join(" ");
            if text.len() + words.len() + tail.len() < MAX_CONTENT_TYPE_BYTES {
                let _ = write!(text, "; triggers=\"{words}\"");
            } else {
                let _ = write!(text, "; triggers-omitted={}", triggers.len());
            }
        }
        text + &tail
    }

    /// Parses a Content-Type. Returns `None` when it has no summary: then another program stored the result, and
    /// result.tar itself has to be read.
    pub fn parse(content_type: &str) -> Option<Self> {
        let (media_type, parameters) = content_type.split_once(';')?;
        if !media_type.trim().eq_ignore_ascii_case(MEDIA_TYPE) {
            return None;
        }
        let (mut exitcode, mut version, mut duration) = (None, None, None);
        let (mut triggers, mut requester, mut uuid) = (None, None, None);
        let (mut proof, mut fallback) = (ProofVerdict::None, false);
        let mut options = OptionsReader::default();
        for (name, value) in Parameters(parameters) {
            match name.to_ascii_lowercase().as_str() {
                "exitcode" => exitcode = value.parse().ok(),
                "version" => version = Some(decode(&value)),
                "duration" => duration = value.parse().ok(),
                "triggers" => triggers = Some(value.split_ascii_whitespace().map(decode).collect()),
                "requester" => requester = Some(decode(&value)),
                "uuid" => uuid = Some(decode(&value)),
                "proof" => proof = ProofVerdict::from_word(&value),
                "fallback" => fallback = value == "1",
                name => options.read(name, &value),
            }
        }
        let (exitcode, version, duration, options) = (exitcode?, version?, duration?, options.finish());
        Some(Self { exitcode, version, duration, triggers, requester, uuid, proof, fallback, options })
    }
}

/// Appends the size of result.tar to the Content-Type that describes it.
pub(super) fn with_length(content_type: String, bytes: u64) -> String {
    format!("{content_type}; {LENGTH}={bytes}")
}

/// Returns whether a stored result.tar of this size differs from the one that its Content-Type describes. `false` when
/// the Content-Type has no size.
pub(crate) fn is_changed(content_type: &str, bytes: u64) -> bool {
    let parameters = content_type.split_once(';').map(|(_, parameters)| Parameters(parameters));
    let length = parameters.into_iter().flatten().find(|(name, _)| name.eq_ignore_ascii_case(LENGTH));
    length.and_then(|(_, length)| length.parse().ok()).is_some_and(|length: u64| length != bytes)
}

fn push_text(text: &mut String, name: &str, value: &str) {
    let mut encoded = String::new();
    for part in utf8_percent_encode(value, QUOTED) {
        // Each part is a series of plain characters or one encoded byte.
        if encoded.len() + part.len() > MAX_TEXT_BYTES {
            let rest = MAX_TEXT_BYTES - encoded.len();
            encoded.push_str(if part.starts_with('%') { "" } else { part.get(..rest).unwrap_or_default() });
            break;
        }
        encoded.push_str(part);
    }
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    // Other programs expect a quoted version.
    if name != "version" && !encoded.is_empty() && encoded.bytes().all(is_token) {
        let _ = write!(text, "; {name}={encoded}");
    } else {
        let _ = write!(text, "; {name}=\"{encoded}\"");
    }
}

/// Parameters after a media type: `name=token` or `name="text"`, separated by semicolons. Malformed ones are skipped.
struct Parameters<'a>(&'a str);

impl<'a> Iterator for Parameters<'a> {
    type Item = (&'a str, String);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.0 = self.0.trim_start_matches(|c: char| c == ';' || c.is_ascii_whitespace());
            if self.0.is_empty() {
                return None;
            }
            let end = self.0.find(['=', ';']).unwrap_or(self.0.len());
            let (name, rest) = self.0.split_at(end);
            let Some(rest) = rest.strip_prefix('=') else {
                self.0 = rest;
                continue;
            };
            let rest = rest.trim_ascii_start();
            let (value, rest) = match rest.strip_prefix('"') {
                Some(quoted) => unquote(quoted),
                None => {
                    let (value, rest) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
                    (value.trim_ascii_end().to_owned(), rest)
                }
            };
            self.0 = rest;
            return Some((name.trim_ascii(), value));
        }
    }
}

/// Returns the text up to the closing quotation mark, and the text after it.
fn unquote(quoted: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, quoted.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn summary() -> RunSummary {
        RunSummary {
            exitcode: 4,
            version: "1.2-1".to_owned(),
            duration: 12,
            triggers: Some(vec!["a/1".to_owned(), "b/2".to_owned()]),
            requester: Some("x".to_owned()),
            uuid: Some("3f2c-1".to_owned()),
            proof: ProofVerdict::Proven,
            fallback: false,
            options: None,
        }
    }

    #[test]
    fn the_content_type_is_the_documented_one() {
        let text = r#"application/x-tar; exitcode=4; version="1.2-1"; duration=12; triggers="a/1 b/2"; requester=x; uuid=3f2c-1; proof=proven"#;
        assert_eq!(summary().to_content_type(), text);
        assert_eq!(RunSummary::parse(text), Some(summary()));
        // Results of older versions and other programs do not have it.
        let (older, _) = text.split_once("; proof").unwrap();
        assert_eq!(RunSummary::parse(older).map(|read| read.proof), Some(ProofVerdict::None));
        let fallback = RunSummary { fallback: true, ..summary() };
        assert!(fallback.to_content_type().ends_with("; proof=proven; fallback=1"));
    }

    #[test]
    fn the_content_type_tells_what_was_tested() {
        let ppas = vec!["a-b/c".to_owned(), "a/b-c".to_owned()];
        let options = RunOptions { branch: true, ppas, all_proposed: true, testname: Some("x y".to_owned()) };
        let begin = r#"application/x-tar; exitcode=4; version="1.2-1"; duration=12; triggers="a/1 b/2"; requester=x; uuid=3f2c-1; proof=proven"#;
        for (options, expected) in [
            (RunOptions::default(), "; tested=archive"),
            (options, r#"; tested=branch; ppas="a-b/c a/b-c"; all-proposed=1; testname="x%20y""#),
        ] {
            let summary = RunSummary { options: Some(options), ..summary() };
            assert_eq!(summary.to_content_type(), format!("{begin}{expected}"));
            assert_eq!(RunSummary::parse(&summary.to_content_type()), Some(summary));
        }
    }

    #[test]
    fn a_result_of_another_program_has_no_summary() {
        for text in
            ["", "application/x-tar", "text/plain; exitcode=0; version=1; duration=1", "application/x-tar; exitcode=x"]
        {
            assert_eq!(RunSummary::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_result_of_another_size_than_its_listing_tells_was_changed() {
        let text = with_length(summary().to_content_type(), 10_240);
        assert!(text.ends_with("; proof=proven; length=10240"), "{text}");
        assert_eq!(RunSummary::parse(&text), Some(summary()));
        let swift = text.replace("; ", ";");
        for text in [text, swift] {
            assert!(is_changed(&text, 9_728) && is_changed(&text, 0));
            assert!(!is_changed(&text, 10_240));
        }
        assert!(!is_changed(&summary().to_content_type(), 9_728), "older results do not tell their size");
        assert!(!is_changed("application/x-tar; length=x", 9_728));
    }

    #[test]
    fn other_spellings_of_the_same_parameters_are_read() {
        let text = r#"Application/X-Tar;EXITCODE=4;x; version = "1.2\-1" ;duration=12 ; charset=x;triggers="a/1  b/2";;requester="x"; uuid=3f2c-1 ; Proof="proven""#;
        assert_eq!(RunSummary::parse(text), Some(summary()));
    }

    #[test]
    fn many_triggers_are_left_out_so_that_the_header_stays_small() {
        let triggers = (0..500).map(|n| format!("package-{n}/1.{n}-1")).collect();
        let many = RunSummary { triggers: Some(triggers), ..summary() };
        let text = many.to_content_type();
        assert!(text.len() < 4000, "{} bytes", text.len());
        assert!(text.contains("; triggers-omitted=500; requester=x"), "{text}");
        assert_eq!(RunSummary::parse(&text), Some(RunSummary { triggers: None, ..summary() }));
    }

    #[test]
    fn endless_texts_are_cut() {
        let endless = Some("é,x".repeat(3000));
        let long = RunSummary { version: "1".repeat(9000), requester: endless.clone(), uuid: endless, ..summary() };
        let text = long.to_content_type();
        assert!(text.len() < 4000, "{} bytes", text.len());
        assert_eq!(RunSummary::parse(&text).map(|read| read.exitcode), Some(4));
    }

    fn summaries() -> impl Strategy<Value = RunSummary> {
        let text = || proptest::option::of("\\PC{0,40}|[ -~]{0,60}");
        let triggers = proptest::option::of(proptest::collection::vec("\\PC{1,12}|[ -~\t\n]{1,20}", 0..8));
        let proof = (proptest::sample::select(ProofVerdict::ALL.as_slice()), any::<bool>());
        let ppas = proptest::collection::vec("\\PC{1,12}", 0..3);
        let options = (any::<bool>(), ppas, any::<bool>(), text())
            .prop_map(|(branch, ppas, all_proposed, testname)| RunOptions { branch, ppas, all_proposed, testname });
        let options = proptest::option::of(options);
        (any::<i32>(), "\\PC{0,20}|[ -~]{0,40}", any::<u64>(), triggers, text(), text(), proof, options).prop_map(
            |(exitcode, version, duration, triggers, requester, uuid, (proof, fallback), options)| RunSummary {
                exitcode,
                version,
                duration,
                triggers,
                requester,
                uuid,
                proof,
                fallback,
                options,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(summary in summaries()) {
            let text = summary.to_content_type();
            prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}", text);
            prop_assert_eq!(RunSummary::parse(&text), Some(summary));
        }

        #[test]
        fn no_content_type_makes_the_reader_panic(text in "\\PC*", parameters in "[a-z=\"\\\\;% é]{0,60}") {
            let _ = RunSummary::parse(&text);
            let _ = RunSummary::parse(&format!("application/x-tar; exitcode=1; version={parameters}"));
        }
    }
}
