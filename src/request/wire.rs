//! The message for a request in a queue: the package, a newline, and the parameters as a JSON object.

use serde_json::{Map, Value, json};

use super::limits::{self, MAX_MESSAGE_BYTES};
use super::{InvalidRequest, Parameters, Ppa, Request, RequestId, TestSource, Text};

/// The parameters with a field of their own.
pub(super) const KNOWN_KEYS: [&str; 14] = [
    "triggers",
    "ppas",
    "env",
    "test-git",
    "build-git",
    "test-bzr",
    "all-proposed",
    "testname",
    "swiftuser",
    "readable-by",
    "requester",
    "submit-time",
    "uuid",
    ORIGIN,
];

/// Marks a request that came over the web.
const ORIGIN: &str = "apt-ci-origin";

/// Handling of invalid fields that do not change the test: `requester`, `submit-time` and `uuid`.
pub(super) enum CosmeticPolicy<'a> {
    /// An invalid field is an error: the author of the text can correct it.
    Strict,
    /// An invalid field is repaired or left out, with a note: a test must not be lost for it.
    Repaired(&'a mut Vec<String>),
}

impl Request {
    /// Parses a queue's message: a package alone, or a package, white space and a JSON object.
    ///
    /// Invalid requesters, times and ids are repaired or left out; see [`Request::parse_noting`].
    ///
    /// # Errors
    /// When it is not UTF-8, not of that form, over a limit, or a parameter is invalid.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidRequest> {
        Self::parse_noting(body, &mut Vec::new())
    }

    /// Parses a queue's message, and notes each field that was repaired or left out.
    ///
    /// # Errors
    /// The same as for [`Request::parse`].
    pub fn parse_noting(body: &[u8], notes: &mut Vec<String>) -> Result<Self, InvalidRequest> {
        limits::bounded("request", "bytes", body.len(), MAX_MESSAGE_BYTES)?;
        let text = std::str::from_utf8(body)
            .map_err(|_| InvalidRequest::new("request", String::from_utf8_lossy(body), "is not UTF-8"))?;
        Self::parse_text(text, &mut CosmeticPolicy::Repaired(notes))
    }

    pub(super) fn parse_text(text: &str, cosmetic: &mut CosmeticPolicy<'_>) -> Result<Self, InvalidRequest> {
        let text = text.trim();
        let (package, parameters) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let package = package.parse()?;
        let parameters = match parameters.trim_start() {
            "" => Parameters::default(),
            json => read_parameters(json, cosmetic)?,
        };
        Self::new(package, parameters)
    }

    /// Returns the message for a queue, which [`Request::parse`] parses into the same request.
    pub fn to_wire(&self) -> String {
        format!("{}\n{}", self.package(), Value::Object(self.wire_parameters()))
    }

    /// Returns the public parameters: the wire form without tokens.
    pub fn public_parameters(&self) -> Map<String, Value> {
        let mut map = self.wire_parameters();
        if let Some(ppas) = map.get_mut("ppas") {
            *ppas = json!(self.parameters().ppas.iter().map(ToString::to_string).collect::<Vec<_>>());
        }
        map
    }

    /// Returns the parameters as the JSON object of the wire form, with tokens of private PPAs and without unset ones.
    pub fn wire_parameters(&self) -> Map<String, Value> {
        let parameters = self.parameters();
        let mut map = parameters.other.clone();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                map.insert(key.to_owned(), value);
            }
        };
        let list = |items: Vec<String>| (!items.is_empty()).then(|| json!(items));
        put("triggers", list(parameters.triggers.iter().map(ToString::to_string).collect()));
        put("ppas", list(parameters.ppas.iter().map(Ppa::to_wire).collect()));
        put("env", list(parameters.env.iter().map(ToString::to_string).collect()));
        match &parameters.source {
            None => {}
            Some(TestSource::TestGit(source)) => put("test-git", Some(json!(source.to_string()))),
            Some(TestSource::BuildGit(source)) => put("build-git", Some(json!(source.to_string()))),
            Some(TestSource::TestBzr(source)) => put("test-bzr", Some(json!(source.url()))),
        }
        put("all-proposed", parameters.all_proposed.then(|| json!("1")));
        put("testname", parameters.testname.as_ref().map(|name| json!(name.as_str())));
        put("swiftuser", parameters.swiftuser.as_ref().map(|user| json!(user.as_str())));
        put("readable-by", list(parameters.readable_by.iter().map(ToString::to_string).collect()));
        put("requester", parameters.requester.as_ref().map(|name| json!(name.as_str())));
        put("submit-time", parameters.submit_time.as_ref().map(|time| json!(time.as_str())));
        put(ORIGIN, parameters.from_web.then(|| json!("web")));
        put("uuid", parameters.uuid.as_ref().map(|id| json!(id.as_str())));
        map
    }
}

/// Returns any message in a form that may be shown: everything in the place of a login, between the beginning of a word
/// and an `@`, is left out. Even a message that is not a request can have a PPA's token.
pub fn shown(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut shown = String::new();
    let mut pieces = text.split('@').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            shown.push_str(piece);
            break;
        }
        let start = piece.rfind(|c: char| c.is_whitespace() || "\"'[]{},\\".contains(c)).map_or(0, |at| {
            // The next character; it may be longer than a byte.
            at + piece.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
        });
        let (before, word) = piece.split_at(start);
        shown.push_str(before);
        shown.push_str(if word.contains(':') { "hidden" } else { word });
        shown.push('@');
    }
    shown
}

fn read_parameters(json: &str, cosmetic: &mut CosmeticPolicy<'_>) -> Result<Parameters, InvalidRequest> {
    // The error does not quote the text, which may have a PPA's token.
    let mut map = match serde_json::from_str(json) {
        Ok(Value::Object(map)) => map,
        Ok(_) => return Err(InvalidRequest::new("parameters", "", "are not a JSON object")),
        Err(error) => return Err(InvalidRequest::new("parameters", "", format!("are not JSON: {error}"))),
    };
    let mut parameters = Parameters::default();
    for text in take_list(&mut map, "triggers")? {
        // proposed-migration's file mode writes all triggers in one string.
        for trigger in text.split_whitespace() {
            parameters.triggers.push(trigger.parse()?);
        }
    }
    for text in take_list(&mut map, "ppas")? {
        parameters.ppas.push(text.parse()?);
    }
    for text in take_list(&mut map, "env")? {
        parameters.env.push(text.parse()?);
    }
    let sources = [
        take(&mut map, "test-git")?.map(TestSource::TestGit),
        take(&mut map, "build-git")?.map(TestSource::BuildGit),
        take(&mut map, "test-bzr")?.map(TestSource::TestBzr),
    ];
    for source in sources.into_iter().flatten() {
        if parameters.source.replace(source).is_some() {
            let rule = "a test comes from one place: test-git, build-git or test-bzr";
            return Err(InvalidRequest::new("parameters", "", rule));
        }
    }
    parameters.all_proposed = match map.remove("all-proposed") {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Bool(true) | Value::Number(_)) => true,
        Some(_) => {
            return Err(InvalidRequest::new("all-proposed", "", "must be a text; it is set when it is not empty"));
        }
    };
    // The parameter only removes rights, and so does an unknown word.
    parameters.from_web = map.remove(ORIGIN).is_some_and(|origin| !origin.is_null());
    parameters.testname = take(&mut map, "testname")?;
    parameters.swiftuser = take(&mut map, "swiftuser")?;
    for text in take_list(&mut map, "readable-by")? {
        parameters.readable_by.push(text.parse().map_err(|error| InvalidRequest { field: "readable-by", ..error })?);
    }
    parameters.requester = take_cosmetic(&mut map, "requester", cosmetic, shortened)?;
    parameters.submit_time = take_cosmetic(&mut map, "submit-time", cosmetic, |_| None::<Text>)?;
    parameters.uuid = take_cosmetic(&mut map, "uuid", cosmetic, |_| None::<RequestId>)?;
    parameters.other = map;
    Ok(parameters)
}

/// Returns a list of texts; a single text counts as a list of one.
fn take_list(map: &mut Map<String, Value>, key: &'static str) -> Result<Vec<String>, InvalidRequest> {
    // Other values are not quoted: with PPAs they may have a token.
    let wrong = |_: &Value| InvalidRequest::new(key, "", "must be a list of texts");
    match map.remove(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text]),
        Some(Value::Array(items)) => items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text),
                other => Err(wrong(&other)),
            })
            .collect(),
        Some(other) => Err(wrong(&other)),
    }
}

/// Returns one text; an empty one counts as not set.
fn take<T>(map: &mut Map<String, Value>, key: &'static str) -> Result<Option<T>, InvalidRequest>
where
    T: std::str::FromStr<Err = InvalidRequest>,
{
    match map.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(InvalidRequest { field: key, ..error }),
        },
        Some(other) => Err(InvalidRequest::new(key, other.to_string(), "must be a text")),
    }
}

/// Returns one text that does not change the test. An invalid one is replaced by the result of `repair`.
fn take_cosmetic<T>(
    map: &mut Map<String, Value>,
    key: &'static str,
    cosmetic: &mut CosmeticPolicy<'_>,
    repair: impl FnOnce(&Value) -> Option<T>,
) -> Result<Option<T>, InvalidRequest>
where
    T: std::str::FromStr<Err = InvalidRequest>,
{
    let given = map.get(key).cloned();
    match (take(map, key), cosmetic) {
        (Err(error), CosmeticPolicy::Repaired(notes)) => {
            let repaired = given.as_ref().and_then(repair);
            let what = if repaired.is_some() { "was shortened or rewritten" } else { "was left out" };
            notes.push(format!("{key} {what}: {}", error.rule));
            Ok(repaired)
        }
        (taken, _) => taken,
    }
}

/// Returns a requester's name, shortened to one line of 200 bytes; `None` for a value that is neither a text nor a
/// number.
fn shortened(value: &Value) -> Option<Text> {
    let text = match value {
        Value::String(text) => text.replace(char::is_control, " "),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    text.get(..text.floor_char_boundary(200))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::request::line::Submission;

    fn parsed(text: &str) -> Request {
        Request::parse(text.as_bytes()).unwrap()
    }

    fn refused(text: &str) -> String {
        Request::parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn the_documented_forms_are_read() {
        let seed = parsed(r#"gedit {"triggers": ["glib2.0/2.20-1"]}"#);
        let today = parsed("gedit\n{\"triggers\": [\"glib2.0/2.20-1\"]}");
        assert_eq!(seed, today);
        assert_eq!(seed.package().as_str(), "gedit");
        assert_eq!(seed.parameters().triggers[0].to_string(), "glib2.0/2.20-1");
        assert_eq!(parsed("gzip").parameters(), &Parameters::default());
        let env = parsed(r#"gedit {"env": ["XDG_SESSION_DESKTOP=xfce"], "all-proposed": "1"}"#);
        assert_eq!(env.parameters().env[0].name(), "XDG_SESSION_DESKTOP");
        assert!(env.parameters().all_proposed);
        assert!(!parsed(r#"gedit {"all-proposed": ""}"#).parameters().all_proposed);
    }

    #[test]
    fn the_file_mode_of_proposed_migration_is_read() {
        let line = r#"debci-wily-amd64:gedit {"triggers": ["glib2.0/2.20-1 gtk+3.0/3.18.1-1"]}"#;
        let submission = Submission::parse_line(line).unwrap();
        assert_eq!(submission.queue.to_string(), "debci-wily-amd64");
        assert_eq!(submission.request.parameters().triggers.len(), 2);
    }

    #[test]
    fn the_newline_is_emitted() {
        let wire = parsed(r#"gedit   {"triggers":["a/1"],"x":1}"#).to_wire();
        assert_eq!(wire, "gedit\n{\"triggers\":[\"a/1\"],\"x\":1}");
    }

    #[test]
    fn what_breaks_a_rule_is_named() {
        for (text, field) in [
            ("", "package"),
            ("../etc {}", "package"),
            (r#"gzip {"triggers": ["gzip"]}"#, "trigger"),
            (r#"gzip {"triggers": ["gzip/1 2/"]}"#, "trigger"),
            (r#"gzip {"triggers": 3}"#, "triggers"),
            (r#"gzip {"env": ["1X=2"]}"#, "env"),
            (r#"gzip {"env": ["X=1\n2"]}"#, "env"),
            (r#"gzip {"env": ["ADT_TEST_TRIGGERS=x"]}"#, "env"),
            (r#"gzip {"testname": "a b"}"#, "testname"),
            (r#"gzip {"triggers": ["migration-reference/0", "a/1"]}"#, "trigger"),
            (r#"gzip {"triggers": ["migration-reference/0"], "all-proposed": "1"}"#, "trigger"),
            (r#"gzip {"triggers": ["migration-reference/0"], "ppas": ["a/b"]}"#, "trigger"),
            (r#"gzip {"ppas": ["a"]}"#, "ppas"),
            (r#"gzip {"test-git": "ssh://host/x"}"#, "test-git"),
            (r#"gzip {"build-git": "http://host/x#-u"}"#, "build-git"),
            (r#"gzip {"test-bzr": "file:///x"}"#, "test-bzr"),
            (r#"gzip {"test-git": "http://host/x", "build-git": "http://host/x"}"#, "parameters"),
            (r#"gzip {"swiftuser": "*"}"#, "swiftuser"),
            (r#"gzip {"readable-by": ["a b"]}"#, "readable-by"),
            ("gzip []", "parameters"),
            ("gzip {", "parameters"),
        ] {
            let message = refused(text);
            assert!(message.starts_with(field), "{text}: {message}");
        }
        // Only the exact package and version are the baseline.
        parsed(r#"gzip {"triggers": ["migration-reference/01", "my-migration-reference/0"]}"#);
    }

    #[test]
    fn fields_that_do_not_change_the_test_never_cost_it() {
        let long = "é".repeat(150);
        let id = "x".repeat(70);
        for (field, value, expected) in [
            ("requester", json!(123), json!("123")),
            ("requester", json!(long), json!("é".repeat(100))),
            ("requester", json!("a\nb"), json!("a b")),
            ("requester", json!(["a"]), Value::Null),
            ("submit-time", json!(1_700_000_000), Value::Null),
            ("submit-time", json!("x".repeat(250)), Value::Null),
            ("uuid", json!(id), Value::Null),
            ("uuid", json!("../../x"), Value::Null),
            ("uuid", json!({}), Value::Null),
        ] {
            let text = format!("gzip\n{}", json!({field: value, "triggers": ["a/1"]}));
            let mut notes = Vec::new();
            let request = Request::parse_noting(text.as_bytes(), &mut notes).unwrap();
            let wire = request.wire_parameters();
            assert_eq!(wire.get(field).unwrap_or(&Value::Null), &expected, "{text}");
            assert_eq!(wire["triggers"], json!(["a/1"]));
            assert!(notes.len() == 1 && notes[0].starts_with(field), "{notes:?}");
            // The author of a batch can correct it.
            let line = format!("debci-noble-amd64:{}", text.replacen('\n', " ", 1));
            assert!(Submission::parse_line(&line).unwrap_err().to_string().starts_with(field), "{line}");
        }
        let mut notes = Vec::new();
        Request::parse_noting(br#"gzip {"requester": "ann", "uuid": "u-1", "submit-time": ""}"#, &mut notes).unwrap();
        assert_eq!(notes, [""; 0]);
    }

    #[test]
    fn a_token_is_shown_nowhere() {
        let request = parsed(r#"gzip {"ppas": ["user:hunter2@owner/name"]}"#);
        assert!(!format!("{request:?}").contains("hunter2") && request.is_private());
        for body in [
            r#"gzip {"ppas": ["a:hunter2@b"]}"#,
            r#"gzip {"ppas": [["u:hunter2@o/n"]]}"#,
            r#"gzip {"ppas": {"a:hunter2@b": 1}}"#,
        ] {
            assert!(!refused(body).contains("hunter2"));
        }
        assert!(!refused(r#"gzip {"ppas": ["user:hunter2@owner/name"}"#).contains("hunter2"));
        assert_eq!(request.public_parameters()["ppas"], json!(["owner/name"]));
        assert_eq!(
            shown(r#"x {"ppas": ["user:hunter2@owner", "a@b", "é:x@y"]} @"#.as_bytes()),
            r#"x {"ppas": ["hidden@owner", "a@b", "hidden@y"]} @"#
        );
        // It is passed on all the same.
        assert!(request.to_wire().contains("hunter2"));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,8}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    prop_compose! {
        fn request()(
            package in "[a-zA-Z0-9][a-zA-Z0-9.+-]{0,20}",
            triggers in prop::collection::vec("[a-z0-9][a-z0-9.+-]{1,9}/[0-9][A-Za-z0-9.+:~-]{0,9}", 0..4),
            env in prop::collection::vec("[A-Z_][A-Z0-9_]{0,8}=[^\\p{C}]{0,12}", 0..3),
            all_proposed in any::<bool>(),
            ppas in prop::collection::vec("([a-z]{1,5}:[a-z0-9]{1,9}@)?[a-z0-9]{1,5}/[a-z0-9][a-z0-9.+-]{0,5}(:[0-9A-F]{40})?", 0..3),
            source in prop::option::of((0..3, "https?://h[a-z0-9]{0,9}/[a-z0-9./~]{0,9}(#[a-z0-9/]{0,3}[a-z])?")),
            users in prop::collection::vec("[a-zA-Z0-9][a-z0-9+.@_-]{0,12}", 0..3),
            testname in prop::option::of("[a-zA-Z0-9][a-z0-9+._/-]{0,12}"),
            requester in prop::option::of("[^\\p{C}]{1,20}"),
            uuid in prop::option::of("[0-9a-f]{8}-[0-9a-f]{4}"),
            mut other in prop::collection::btree_map("x-.{0,8}", json(), 0..4),
        ) -> Request {
            let parameters = Parameters {
                triggers: triggers.iter().map(|text| text.parse().unwrap()).collect(),
                ppas: ppas.iter().map(|text| text.parse().unwrap()).collect(),
                source: source.filter(|(_, url)| !url.contains("#/")).map(|(kind, url)| match kind {
                    0 => TestSource::TestGit(url.parse().unwrap()),
                    1 => TestSource::BuildGit(url.parse().unwrap()),
                    _ => TestSource::TestBzr(url.split('#').next().unwrap_or_default().parse().unwrap()),
                }),
                env: env.iter().map(|text| text.parse().unwrap()).collect(),
                swiftuser: users.first().map(|text| text.parse().unwrap()),
                readable_by: users.iter().skip(1).map(|text| text.parse().unwrap()).collect(),
                all_proposed,
                testname: testname.map(|text| text.parse().unwrap()),
                requester: requester.map(|text| text.parse().unwrap()),
                submit_time: None,
                from_web: uuid.as_ref().is_some_and(|text| text.as_str() < "8"),
                uuid: uuid.map(|text| text.parse().unwrap()),
                other: std::mem::take(&mut other).into_iter().collect(),
            };
            Request::new(package.parse().unwrap(), parameters).unwrap()
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(request in request()) {
            prop_assert_eq!(&Request::parse(request.to_wire().as_bytes()).unwrap(), &request);
            let submission = Submission { queue: "debci-ppa-noble-amd64".parse().unwrap(), request };
            prop_assert_eq!(Submission::parse_line(&submission.to_line()).unwrap(), submission);
        }

        #[test]
        fn no_bytes_make_the_parser_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Request::parse(&body);
            let _ = shown(&body);
        }

        #[test]
        fn no_json_makes_the_parser_panic(package in "[a-z]{1,5}", mut object in prop::collection::btree_map(".{0,8}", json(), 0..4), key in 0..KNOWN_KEYS.len(), value in json()) {
            object.insert(KNOWN_KEYS[key].to_owned(), value);
            let object = Value::Object(object.into_iter().collect());
            if let Ok(request) = Request::parse(format!("{package}\n{object}").as_bytes()) {
                prop_assert_eq!(&Request::parse(request.to_wire().as_bytes()).unwrap(), &request);
            }
        }
    }
}
