//! Conditions for requests on a command line: `KEY=PATTERN`.

use std::fmt;
use std::str::FromStr;

use super::{InvalidRequest, Request, TestSource};
use crate::pattern::{Alphabet, NAMES, Pattern};

/// A condition for one property of a request, with a shell pattern: `trigger=glibc/*`.
///
/// If a request has several values of a property, one of them has to match.
#[derive(Debug, Clone, PartialEq)]
pub struct Criterion {
    key: Key,
    pattern: Pattern,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Package,
    Trigger,
    Ppa,
    Env,
    Testname,
    Git,
    Requester,
    Uuid,
}

impl Key {
    const ALL: [Self; 8] =
        [Self::Package, Self::Trigger, Self::Ppa, Self::Env, Self::Testname, Self::Git, Self::Requester, Self::Uuid];

    fn name(self) -> &'static str {
        match self {
            Self::Package => "package",
            Self::Trigger => "trigger",
            Self::Ppa => "ppa",
            Self::Env => "env",
            Self::Testname => "testname",
            Self::Git => "git",
            Self::Requester => "requester",
            Self::Uuid => "uuid",
        }
    }

    /// Returns the characters that the property's values consist of.
    fn alphabet(self) -> Alphabet {
        let (noun, extra) = match self {
            Self::Package => return NAMES,
            Self::Trigger => ("trigger", ".+-/:~"),
            Self::Ppa => ("PPA", ".+-/"),
            Self::Testname => ("test's name", ".+-_/"),
            Self::Uuid => ("request's id", "-_"),
            Self::Env | Self::Git | Self::Requester => return Alphabet::Text,
        };
        Alphabet::Word { noun, extra }
    }
}

impl Criterion {
    /// Returns whether the request matches. A PPA is compared as `OWNER/NAME`, a git source as `URL` or `URL#BRANCH`.
    pub fn matches(&self, request: &Request) -> bool {
        let parameters = request.parameters();
        let is = |text: &str| self.pattern.matches(text);
        match self.key {
            Key::Package => is(request.package().as_str()),
            Key::Trigger => parameters.triggers.iter().any(|trigger| is(&trigger.to_string())),
            Key::Ppa => parameters.ppas.iter().any(|ppa| is(&format!("{}/{}", ppa.owner(), ppa.name()))),
            Key::Env => parameters.env.iter().any(|variable| is(variable.as_str())),
            Key::Testname => parameters.testname.as_ref().is_some_and(|name| is(name.as_str())),
            Key::Git => match &parameters.source {
                Some(TestSource::TestGit(source) | TestSource::BuildGit(source)) => {
                    is(source.url()) || is(&source.to_string())
                }
                Some(TestSource::TestBzr(_)) | None => false,
            },
            Key::Requester => parameters.requester.as_ref().is_some_and(|name| is(name.as_str())),
            Key::Uuid => request.uuid().is_some_and(|id| is(id.as_str())),
        }
    }
}

impl FromStr for Criterion {
    type Err = InvalidRequest;

    fn from_str(text: &str) -> Result<Self, InvalidRequest> {
        // A PPA's token does not belong here, but users may paste it.
        let may_have_token = !text.starts_with("requester=") && text.contains('@');
        let shown = if may_have_token { "" } else { text };
        let invalid = |rule: String| Err(InvalidRequest::new("match", shown, rule));
        let names = Key::ALL.map(Key::name).join(", ");
        let Some((name, pattern)) = text.split_once('=') else {
            return invalid(format!("must have the form KEY=PATTERN; the keys are {names}"));
        };
        let Some(key) = Key::ALL.into_iter().find(|key| key.name() == name) else {
            // A key has neither a token nor a secret, but what was meant as something else may.
            let unknown = if may_have_token { String::new() } else { format!(" {name}") };
            return invalid(format!("unknown key{unknown}; the keys are {names}"));
        };
        // A pattern that can never match is a mistake, and must not look like an empty queue.
        let form = match key {
            Key::Trigger => Some(("/", "a trigger must have the form SRC/VERSION")),
            Key::Ppa => Some(("/", "a PPA must have the form OWNER/NAME")),
            Key::Env => Some(("=", "a variable must have the form VAR=value")),
            _ => None,
        };
        if let Some((divider, rule)) = form
            && !pattern.contains(divider)
            && !pattern.contains('*')
        {
            return invalid(format!("{rule}; perhaps {name}={pattern}{divider}*"));
        }
        if pattern.is_empty() {
            return invalid("the pattern is empty; * stands for any text".to_owned());
        }
        match Pattern::read(pattern, key.alphabet()) {
            Ok(pattern) => Ok(Self { key, pattern }),
            Err(why) => invalid(format!("the pattern {why}")),
        }
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key.name(), self.pattern)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REQUEST: &str = r#"gedit {"triggers": ["glibc/2.39-1", "glib2.0/2.80"], "ppas": ["me:secret@owner/name"],
        "env": ["A=1"], "testname": "smoke", "build-git": "https://host/x#refs/pull/7/head", "requester": "britney",
        "uuid": "7e89460a"}"#;

    fn matches(text: &str) -> bool {
        text.parse::<Criterion>().unwrap().matches(&Request::parse(REQUEST.as_bytes()).unwrap())
    }

    #[test]
    fn every_part_of_a_request_can_be_meant() {
        for text in [
            "package=gedit",
            "package=g?dit",
            "trigger=glibc/*",
            "trigger=*/2.80",
            "ppa=owner/name",
            "env=A=*",
            "testname=smoke",
            "git=https://host/x",
            "git=*#refs/pull/7/head",
            "requester=brit*",
            "uuid=7e89*",
            "package=[a-h]edit",
            "trigger=glib[!c]*/2.[0-9]*",
            "env=[AB]=?",
        ] {
            assert!(matches(text), "{text}");
        }
        for text in ["package=gedi", "trigger=glibc/2.3", "package=[!g]edit", "env=A=2", "uuid=*x"] {
            assert!(!matches(text), "{text}");
        }
        let bare = Request::parse(b"gzip").unwrap();
        for key in Key::ALL.into_iter().filter(|key| *key != Key::Package) {
            let everything: Criterion = format!("{}=*", key.name()).parse().unwrap();
            assert!(!everything.matches(&bare), "what a request has not matches nothing: {everything}");
        }
    }

    #[test]
    fn what_could_match_nothing_is_refused() {
        for (text, rule) in [
            ("gedit", "must have the form KEY=PATTERN"),
            ("pakage=gedit", "unknown key pakage; the keys are package, trigger"),
            ("trigger=glibc", "perhaps trigger=glibc/*"),
            ("ppa=owner", "a PPA must have the form OWNER/NAME"),
            ("env=A", "perhaps env=A=*"),
            ("package=", "the pattern is empty"),
            ("package=[ab", "the pattern has a [ without its ]"),
            ("package=g_ip", "the pattern has '_', which no name has"),
            ("trigger=glibc/2.39_1", "the pattern has '_', which no trigger has"),
            ("ppa=me:secret@owner/name", "the pattern has ':', which no PPA has"),
            ("env=A=[]", "the pattern has a set [] with nothing in it"),
        ] {
            let message = text.parse::<Criterion>().unwrap_err().to_string();
            assert!(message.contains(rule) && !message.contains("secret"), "{message}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_shown_as_it_was_written(text in "(package|trigger|env|uuid|x)=?[a-z*?/=!\\[\\]-]{0,8}") {
            if let Ok(criterion) = text.parse::<Criterion>() {
                prop_assert_eq!(criterion.to_string(), text);
            }
        }
    }
}
