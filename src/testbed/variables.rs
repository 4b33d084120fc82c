//! Variables of worker.conf: our own, and those that the operator defines.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// One of our own variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variable {
    Release,
    Architecture,
    /// Architecture of the testbed itself; differs from the test's when that runs as a foreign one.
    HostArchitecture,
    Package,
    PackageSize,
    /// Tarball of the testbed that `apt-ci testbed` has built for the test.
    Testbed,
    /// Start of the test, in UTC: `%Y%m%d-%H%M%S`.
    Timestamp,
    /// Name of this machine.
    HostName,
    /// Request's id.
    Uuid,
}

impl Variable {
    pub(super) const ALL: [Self; 9] = [
        Self::Release,
        Self::Architecture,
        Self::HostArchitecture,
        Self::Package,
        Self::PackageSize,
        Self::Testbed,
        Self::Timestamp,
        Self::HostName,
        Self::Uuid,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Release => "RELEASE",
            Self::Architecture => "ARCHITECTURE",
            Self::HostArchitecture => "HOSTARCH",
            Self::Package => "PACKAGE",
            Self::PackageSize => "PACKAGESIZE",
            Self::Testbed => "TESTBED",
            Self::Timestamp => "TIMESTAMP",
            Self::HostName => "HOSTNAME",
            Self::Uuid => "UUID",
        }
    }
}

/// A variable that the operator defines: `KEY=VALUE`. The key consists of capital letters, digits and underscores, and
/// is none of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    name: String,
    value: String,
}

/// Text that defines no variable, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} defines no variable: {rule}")]
pub struct InvalidDefinition {
    text: String,
    rule: &'static str,
}

impl FromStr for Definition {
    type Err = InvalidDefinition;

    fn from_str(text: &str) -> Result<Self, InvalidDefinition> {
        let invalid = |rule| InvalidDefinition { text: text.chars().take(80).collect(), rule };
        let (name, value) = text.split_once('=').ok_or_else(|| invalid("it must have the form KEY=VALUE"))?;
        let starts_well = name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_');
        if !starts_well || !name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_') {
            return Err(invalid(
                "its name is capital letters, digits and underscores, and does not begin with a digit",
            ));
        }
        if Variable::ALL.iter().any(|own| own.name() == name) {
            return Err(invalid("the variable of this name is filled in for each test"));
        }
        if value.chars().any(char::is_control) {
            return Err(invalid("its value has no line breaks or other control characters"));
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

/// Variables that the operator defines, by name. The last of several with the same name counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definitions(BTreeMap<String, String>);

impl Definitions {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns every name that a template may use.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let own = Variable::ALL.into_iter().map(|variable| -> &str { variable.name() });
        own.chain(self.0.keys().map(String::as_str))
    }
}

impl FromIterator<Definition> for Definitions {
    fn from_iter<I: IntoIterator<Item = Definition>>(definitions: I) -> Self {
        Self(definitions.into_iter().map(|Definition { name, value }| (name, value)).collect())
    }
}

/// Lists `$RELEASE, $ARCHITECTURE, …` for messages.
impl fmt::Display for Definitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.names().map(|name| format!("${name}")).collect();
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_a_name_and_any_text() {
        let definition: Definition = "FLAVOR=m1.small x=y".parse().unwrap();
        assert_eq!((definition.name.as_str(), definition.value.as_str()), ("FLAVOR", "m1.small x=y"));
        let definitions: Definitions =
            ["A=1", "B_2=", "A=3"].iter().map(|text| text.parse::<Definition>().unwrap()).collect();
        assert_eq!((definitions.get("A"), definitions.get("B_2"), definitions.get("C")), (Some("3"), Some(""), None));
        assert!(definitions.to_string().ends_with("$UUID, $A, $B_2"), "{definitions}");
    }

    #[test]
    fn what_is_no_definition_is_refused_with_the_rule() {
        for (text, rule) in [
            ("FLAVOR", "KEY=VALUE"),
            ("=x", "capital letters"),
            ("flavor=x", "capital letters"),
            ("1A=x", "capital letters"),
            ("RELEASE=x", "filled in for each test"),
            ("A=x\ny", "line breaks"),
        ] {
            let message = text.parse::<Definition>().unwrap_err().to_string();
            assert!(message.contains(rule), "{message}");
        }
    }
}
