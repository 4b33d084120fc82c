//! The parts of a request: types with only valid values.

use std::fmt;
use std::str::FromStr;

use crate::release::InvalidName;

/// A request, or a part of one, that is invalid: the field, its value, and the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}{}: {rule}", quoted(value))]
pub struct InvalidRequest {
    /// The field's name on the command line and in the wire form.
    pub field: &'static str,
    /// The value, shortened; empty when it must not be shown, because it may have a secret.
    pub value: String,
    /// The broken rule.
    pub rule: String,
}

impl InvalidRequest {
    pub(crate) fn new(field: &'static str, value: impl AsRef<str>, rule: impl Into<String>) -> Self {
        let value = value.as_ref();
        let mut shown: String = value.chars().take(80).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        Self { field, value: shown, rule: rule.into() }
    }
}

impl From<InvalidName> for InvalidRequest {
    fn from(error: InvalidName) -> Self {
        Self::new(error.kind(), error.text(), error.rule())
    }
}

fn quoted(value: &str) -> String {
    if value.is_empty() { String::new() } else { format!(" {value:?}") }
}

macro_rules! text_type {
    ($type:ident) => {
        impl $type {
            /// Returns the value as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

/// A source package's name: `[a-zA-Z0-9][a-zA-Z0-9.+-]*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourcePackage(String);
text_type!(SourcePackage);

const PACKAGE_RULE: &str =
    "a source package's name is letters, digits and the characters . + -, and begins with a letter or digit";

pub(super) fn is_word(text: &str, extra: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
}

impl FromStr for SourcePackage {
    type Err = InvalidRequest;

    fn from_str(text: &str) -> Result<Self, InvalidRequest> {
        if is_word(text, ".+-") {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidRequest::new("package", text, PACKAGE_RULE))
        }
    }
}

/// The package of the baseline's trigger.
const BASELINE: &str = "migration-reference";

/// The cause of a test: `SRC/VERSION`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Trigger {
    package: SourcePackage,
    version: String,
}

impl Trigger {
    /// Returns the source package whose upload causes the test.
    pub fn package(&self) -> &SourcePackage {
        &self.package
    }

    /// Returns its version, in Debian's version syntax.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns `migration-reference/0`, the trigger of a baseline; see [`Trigger::is_baseline`].
    pub fn baseline() -> Self {
        Self { package: SourcePackage(BASELINE.to_owned()), version: "0".to_owned() }
    }

    /// Returns whether this is `migration-reference/0`: a run of the release alone, to compare others with.
    pub fn is_baseline(&self) -> bool {
        self.package.as_str() == BASELINE && self.version == "0"
    }
}

impl FromStr for Trigger {
    type Err = InvalidRequest;

    fn from_str(text: &str) -> Result<Self, InvalidRequest> {
        let invalid = |rule: &str| InvalidRequest::new("trigger", text, rule);
        let (package, version) =
            text.split_once('/').ok_or_else(|| invalid("a trigger must have the form SRC/VERSION"))?;
        let package = package.parse().map_err(|_| invalid(PACKAGE_RULE))?;
        if is_word(version, ".+:~-") {
            Ok(Self { package, version: version.to_owned() })
        } else {
            Err(invalid("a version is letters, digits and the characters . + : ~ -, and begins with a letter or digit"))
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.package, self.version)
    }
}

/// A variable of the test's environment: `VAR=value`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvVar(String);
text_type!(EnvVar);

impl EnvVar {
    /// Returns the variable's name.
    pub fn name(&self) -> &str {
        self.0.split_once('=').map_or(&self.0, |(name, _)| name)
    }
}

impl FromStr for EnvVar {
    type Err = InvalidRequest;

    fn from_str(text: &str) -> Result<Self, InvalidRequest> {
        let invalid = |rule| Err(InvalidRequest::new("env", text, rule));
        let Some((name, value)) = text.split_once('=') else {
            return invalid("an environment variable must have the form VAR=value");
        };
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return invalid("a variable's name is letters, digits and underscores, and does not begin with a digit");
        }
        if value.chars().any(char::is_control) {
            return invalid("a variable's value has no line breaks or other control characters");
        }
        if name == "ADT_TEST_TRIGGERS" {
            return invalid("this variable is set from the triggers");
        }
        Ok(Self(text.to_owned()))
    }
}

/// The name of one of a package's tests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TestName(String);
text_type!(TestName);

impl FromStr for TestName {
    type Err = InvalidRequest;

    fn from_str(text: &str) -> Result<Self, InvalidRequest> {
        if is_word(text, ".+-_/") {
            Ok(Self(text.to_owned()))
        } else {
            let rule =
                "a test's name is letters, digits and the characters . + - _ /, and begins with a letter or digit";
            Err(InvalidRequest::new("testname", text, rule))
        }
    }
}

/// Id of a request from its submission to its result. A UUID, unless another program chose something else.
///
/// It is part of the names of folders and queues: at most 64 letters, digits, hyphens and underscores.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(String);
text_type!(RequestId);

impl RequestId {
    /// Returns a new random id.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }
}

impl FromStr for RequestId {
    type Err = InvalidRequest;

    fn from_str(text: &str) -> Result<Self, InvalidRequest> {
        if is_word(text, "-_") && text.len() <= 64 {
            Ok(Self(text.to_owned()))
        } else {
            let rule = "a request's id is at most 64 letters, digits, hyphens and underscores, and begins with a letter or digit";
            Err(InvalidRequest::new("uuid", text, rule))
        }
    }
}

/// A line of free text without control characters: a requester, a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(String);
text_type!(Text);

impl FromStr for Text {
    type Err = InvalidRequest;

    fn from_str(text: &str) -> Result<Self, InvalidRequest> {
        if text.chars().any(char::is_control) || text.len() > 200 {
            Err(InvalidRequest::new("text", text, "must be at most 200 bytes on one line, without control characters"))
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

/// A user of the store or of Launchpad: at most 200 letters, digits and the characters `. _ @ + -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);
text_type!(UserName);

impl FromStr for UserName {
    type Err = InvalidRequest;

    fn from_str(text: &str) -> Result<Self, InvalidRequest> {
        // An asterisk would give everyone access to a private container.
        if is_word(text, "._@+-") && text.len() <= 200 {
            Ok(Self(text.to_owned()))
        } else {
            let rule =
                "a user's name is letters, digits and the characters . _ @ + -, and begins with a letter or digit";
            Err(InvalidRequest::new("user", text, rule))
        }
    }
}
