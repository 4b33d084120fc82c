//! The parameters of `request.cgi` in a URL's query or a form's body: `release`, `arch`, `package`, `trigger`, `ppa`,
//! `env`, `all-proposed`, `build-git`, `test-git`, `testname` and `readable-by`.
//!
//! `arch`, `trigger`, `ppa`, `env` and `readable-by` may be repeated, and `;` separates several variables in one `env`.
//! An empty value is ignored, because an empty `ppa` is common.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::form_urlencoded;

use crate::release::{Architecture, Release};
use crate::request::{EnvVar, GitSource, Ppa, SourcePackage, TestName, TestSource, Trigger, UserName};

/// The names of all parameters.
const NAMES: [&str; 11] = [
    "release",
    "arch",
    "build-git",
    "test-git",
    "package",
    "trigger",
    "ppa",
    "env",
    "testname",
    "all-proposed",
    "readable-by",
];

/// Maximum length of all parameters together, encoded, in bytes. A test's command line could not hold more.
pub const MAX_LENGTH: usize = 256 << 10;

/// Characters that are escaped: all that RFC 3986 does not call unreserved.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An error for invalid parameters. A value that may be a secret is not in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidQuery(String);

/// The parameters of a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// The release to test on.
    pub release: Option<Release>,
    /// The architectures to test on.
    pub architectures: Vec<Architecture>,
    /// The source package under whose name the results are stored.
    pub package: Option<SourcePackage>,
    /// The package versions that cause the test.
    pub triggers: Vec<Trigger>,
    /// PPAs with further packages.
    pub ppas: Vec<Ppa>,
    /// The environment of the test.
    pub env: Vec<EnvVar>,
    /// Whether everything is taken from the proposed pocket.
    pub all_proposed: bool,
    /// The source of the test.
    pub source: Option<TestSource>,
    /// The only test to run, if not all of the package.
    pub testname: Option<TestName>,
    /// Users who may read the result of a private run.
    pub readable_by: Vec<UserName>,
}

impl Query {
    /// Reads a query, or the body of a form.
    ///
    /// # Errors
    /// When a parameter is unknown, given twice or invalid.
    pub fn parse(text: &str) -> Result<Self, InvalidQuery> {
        if text.len() > MAX_LENGTH {
            let message = format!("too many parameters: {} bytes; at most {MAX_LENGTH} are accepted", text.len());
            return Err(InvalidQuery(message));
        }
        let mut query = Self::default();
        let mut seen = KnownValues::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let value = value.trim();
            if !NAMES.contains(&name.as_ref()) {
                let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
                return Err(InvalidQuery(format!("unknown parameter {name:?}; known: {}", NAMES.join(", "))));
            }
            if !value.is_empty() {
                query.put(&name, value, &mut seen)?;
            }
        }
        Ok(query)
    }

    fn put(&mut self, name: &str, value: &str, seen: &mut KnownValues) -> Result<(), InvalidQuery> {
        match name {
            "release" => once(name, &mut self.release, read(value)?),
            "package" => once(name, &mut self.package, read(value)?),
            "testname" => once(name, &mut self.testname, read(value)?),
            "build-git" => once("source", &mut self.source, TestSource::BuildGit(read::<GitSource>(value)?)),
            "test-git" => once("source", &mut self.source, TestSource::TestGit(read::<GitSource>(value)?)),
            "arch" => seen.add(name, &mut self.architectures, read(value)?, ToString::to_string),
            "trigger" => {
                let mut triggers = value.split_whitespace();
                triggers.try_for_each(|one| seen.add(name, &mut self.triggers, read(one)?, ToString::to_string))
            }
            "ppa" => {
                if value.contains('@') {
                    // Servers log URLs.
                    return Err(InvalidQuery("ppa: a private PPA's token must not be in a URL".to_owned()));
                }
                seen.add(name, &mut self.ppas, read(value)?, with_fingerprint)
            }
            "env" => {
                let variables = value.split(';').map(str::trim).filter(|one| !one.is_empty());
                for variable in variables {
                    let variable: EnvVar = read(variable)?;
                    if !seen.0.insert(format!("env {}", variable.name())) {
                        return Err(InvalidQuery(format!("env: {} is given twice", variable.name())));
                    }
                    self.env.push(variable);
                }
                Ok(())
            }
            "readable-by" => seen.add(name, &mut self.readable_by, read(value)?, ToString::to_string),
            _ => match value {
                "1" | "true" => {
                    self.all_proposed = true;
                    Ok(())
                }
                "0" | "false" => Ok(()),
                _ => Err(InvalidQuery("all-proposed: is 1, or is left out".to_owned())),
            },
        }
    }
}

/// Writes the query of a URL, for [`Query::parse`]. Every character that may have a meaning anywhere is escaped.
impl std::fmt::Display for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        let mut put = |name: &str, value: &str| {
            let separator = if text.is_empty() { "" } else { "&" };
            // Writing to a string cannot fail.
            let _ = write!(text, "{separator}{name}={}", utf8_percent_encode(value, UNRESERVED));
        };
        self.release.iter().for_each(|release| put("release", release.as_str()));
        self.architectures.iter().for_each(|architecture| put("arch", architecture.as_str()));
        match &self.source {
            Some(TestSource::BuildGit(source)) => put("build-git", &source.to_string()),
            Some(TestSource::TestGit(source)) => put("test-git", &source.to_string()),
            Some(TestSource::TestBzr(_)) | None => {}
        }
        self.package.iter().for_each(|package| put("package", package.as_str()));
        self.triggers.iter().for_each(|trigger| put("trigger", &trigger.to_string()));
        self.ppas.iter().for_each(|ppa| put("ppa", &with_fingerprint(ppa)));
        // A value with a semicolon could not be parsed again; a hook with one is refused.
        let env: Vec<&str> = self.env.iter().map(EnvVar::as_str).collect();
        if !env.is_empty() {
            put("env", &env.join(";"));
        }
        self.testname.iter().for_each(|name| put("testname", name.as_str()));
        if self.all_proposed {
            put("all-proposed", "1");
        }
        self.readable_by.iter().for_each(|user| put("readable-by", user.as_str()));
        f.write_str(&text)
    }
}

/// Returns a PPA in a form that can be parsed.
pub(super) fn with_fingerprint(ppa: &Ppa) -> String {
    let fingerprint = ppa.fingerprint().map(|fingerprint| format!(":{fingerprint}")).unwrap_or_default();
    format!("{ppa}{fingerprint}")
}

fn read<T: FromStr<Err: std::fmt::Display>>(value: &str) -> Result<T, InvalidQuery> {
    value.parse().map_err(|error| InvalidQuery(format!("{error}")))
}

fn once<T>(name: &str, place: &mut Option<T>, value: T) -> Result<(), InvalidQuery> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(InvalidQuery(format!("{name} is given twice"))),
    }
}

/// The values that a query's lists contain, so that the time for a long query grows linearly.
#[derive(Default)]
struct KnownValues(HashSet<String>);

impl KnownValues {
    /// Adds a value to a list, unless `text` is the same for a value that is in it.
    fn add<T>(
        &mut self,
        name: &str,
        list: &mut Vec<T>,
        value: T,
        text: impl Fn(&T) -> String,
    ) -> Result<(), InvalidQuery> {
        if self.0.insert(format!("{name} {}", text(&value))) {
            list.push(value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_payload_url_of_a_project_is_read() {
        let text = "release=xenial&arch=i386&build-git=https%3A%2F%2Fgithub.com%2Fsystemd%2Fsystemd-ci.git%23ubuntu-ci&package=systemd-upstream&\
                    ppa=upstream-systemd-ci%2Fsystemd-ci&env=DEB_BUILD_PROFILES%3Dnoudeb%3BTEST_UPSTREAM%3D1%3BCFLAGS%3D-O0";
        let query = Query::parse(text).unwrap();
        assert_eq!(query.architectures.len(), 1);
        let Some(TestSource::BuildGit(source)) = &query.source else { panic!("a git source") };
        assert_eq!((source.url(), source.branch()), ("https://github.com/systemd/systemd-ci.git", Some("ubuntu-ci")));
        let env: Vec<&str> = query.env.iter().map(EnvVar::as_str).collect();
        assert_eq!(env, ["DEB_BUILD_PROFILES=noudeb", "TEST_UPSTREAM=1", "CFLAGS=-O0"]);
        assert_eq!(query.to_string(), text);
    }

    #[test]
    fn what_is_empty_is_not_there() {
        let query =
            Query::parse("release=noble&arch=amd64&arch=armhf&arch=amd64&ppa=&env=;&package=x&all-proposed=1").unwrap();
        assert_eq!((query.architectures.len(), query.ppas.len(), query.env.len()), (2, 0, 0));
        assert!(query.all_proposed);
        assert_eq!(Query::parse("").unwrap(), Query::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |text: &str| Query::parse(text).unwrap_err().to_string();
        assert!(wrong("realease=noble").starts_with("unknown parameter \"realease\"; known: release, "));
        assert_eq!(wrong("release=noble&release=jammy"), "release is given twice");
        assert_eq!(wrong("build-git=https://h/x&test-git=https://h/x"), "source is given twice");
        assert_eq!(wrong("env=A=1;A=2"), "env: A is given twice");
        assert!(wrong("package=-x").starts_with("package \"-x\": a source package's name"));
        assert!(!wrong("ppa=me:hunter2@me/x").contains("hunter2"));
        assert!(wrong("arch=a%20b").contains("an architecture is"));
        assert!(
            wrong("build-git=ext::sh").contains("an address begins with") || wrong("build-git=ext::sh").contains("git")
        );
    }

    #[test]
    fn long_lists_cost_no_more_than_their_length() {
        // With a comparison of all pairs, these would take a minute.
        let mut text = String::from("package=x");
        let mut count = 0;
        while text.len() < MAX_LENGTH - 20 {
            let _ = write!(text, "&trigger=a/{count}");
            count += 1;
        }
        let twice = format!("{text}&trigger=a/0");
        assert_eq!(Query::parse(&twice).unwrap().triggers.len(), count);
        let spaced = format!("trigger={}", vec!["a/1"; 50_000].join("+"));
        assert_eq!(Query::parse(&spaced).unwrap().triggers.len(), 1);
        let error = Query::parse(&"&trigger=a/1".repeat(100_000)).unwrap_err().to_string();
        assert_eq!(error, format!("too many parameters: 1200000 bytes; at most {MAX_LENGTH} are accepted"));
    }

    proptest! {
        #[test]
        fn no_text_does_harm(text in any::<String>()) {
            if let Ok(query) = Query::parse(&text) {
                prop_assert_eq!(Query::parse(&query.to_string()).unwrap(), query);
            }
        }

        #[test]
        fn what_is_written_is_read_back(
            package in "[a-z][a-z0-9.+-]{0,8}",
            env in prop::collection::btree_map("[A-Z_]{1,5}", "[ -:<-~é&%+#]{0,8}", 0..4),
        ) {
            let env = env.iter().map(|(name, value)| format!("{name}={}", value.trim()).parse().unwrap()).collect();
            let query = Query { package: package.parse().ok(), env, ..Query::default() };
            prop_assert_eq!(Query::parse(&query.to_string()).unwrap(), query);
        }
    }
}
