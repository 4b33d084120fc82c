//! Entries: everything that is known about a credential without opening it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Deserializer, Serialize};

use super::kind::{InvalidEntry, Kind};
use super::role::{self, Role};
use crate::server_url::ServerIdentity;

/// The name of a credential: a user, or a project such as `OWNER/REPO`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = InvalidEntry;

    fn from_str(text: &str) -> Result<Self, InvalidEntry> {
        let is_good = |c: char| c.is_ascii_alphanumeric() || "._-/@+:".contains(c);
        // A project's name has at most 100 characters; the rest is for suffixes.
        if text.is_empty() || text.len() > 110 || !text.chars().all(is_good) {
            let rule = "a name has 1 to 110 of the characters A-Z a-z 0-9 . _ - / @ + :";
            return Err(InvalidEntry(rule.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Name {
    type Error = InvalidEntry;

    fn try_from(text: String) -> Result<Self, InvalidEntry> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A credential without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
    /// The only server that may get the secret; none if it is not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerIdentity>,
    /// The web service to which the server may send the secret; none if it sends it nowhere, and in entries of older
    /// versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServerIdentity>,
    /// The roles that need the secret, in addition to operators; none for the default of its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readers: Option<BTreeSet<Role>>,
    /// A user's note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Time when it was first stored, in seconds.
    #[serde(deserialize_with = "seconds")]
    pub created: Timestamp,
    /// Time when its secret was last replaced, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_seconds")]
    pub rotated: Option<Timestamp>,
}

/// Returns a time in whole seconds, as all times are shown.
pub(super) fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// Reads a time. Older versions wrote nanoseconds.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    Timestamp::deserialize(deserializer).map(whole_seconds)
}

fn optional_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(Option::<Timestamp>::deserialize(deserializer)?.map(whole_seconds))
}

/// The content of an entry's file.
#[derive(Serialize, Deserialize)]
struct File {
    #[serde(flatten)]
    entry: Entry,
    secret: String,
}

impl Entry {
    /// Returns the roles that need the secret, in addition to operators.
    pub fn needed_by(&self) -> BTreeSet<Role> {
        self.readers.clone().unwrap_or_else(|| role::of_kind(self.kind))
    }

    /// Returns the purpose of the secret, for people: `amqps://mq.example and worker:host1`.
    pub(super) fn purpose(&self) -> String {
        let text = |server: &Option<ServerIdentity>| server.as_ref().map(ToString::to_string);
        purpose(text(&self.server), text(&self.service), &role::joined(&self.needed_by()))
    }

    /// Returns the path of its file below the folder of the credentials.
    pub(super) fn file(&self) -> PathBuf {
        file(self.kind, &self.name)
    }

    pub(super) fn to_json(&self, secret: &str) -> String {
        let file = File { entry: self.clone(), secret: secret.to_owned() };
        // Serialization of strings and times cannot fail.
        serde_json::to_string_pretty(&file).unwrap_or_default() + "\n"
    }

    /// Parses an entry's file into the entry and its secret, which may be encrypted. The error does not quote the text.
    pub(super) fn from_json(text: &str) -> Result<(Self, String), String> {
        let file: File = serde_json::from_str(text)
            .map_err(|error| format!("is no credential: line {}, column {}", error.line(), error.column()))?;
        Ok((file.entry, file.secret))
    }
}

/// Describes the purpose of a secret, for people.
pub(super) fn purpose(server: Option<String>, service: Option<String>, roles: &str) -> String {
    match (server, service) {
        (Some(server), Some(service)) => format!("{server}, which sends it to {service}, and {roles}"),
        (Some(server), None) => format!("{server} and {roles}"),
        (None, _) => roles.to_owned(),
    }
}

/// Characters that a file's name contains unescaped.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'@').remove(b'+');

pub(super) fn file(kind: Kind, name: &Name) -> PathBuf {
    // A leading dot is escaped, because `..` would be another folder.
    let escaped = utf8_percent_encode(&name.0, PLAIN).to_string();
    let escaped = escaped.strip_prefix('.').map_or(escaped.clone(), |rest| format!("%2E{rest}"));
    PathBuf::from(kind.as_str()).join(format!("{escaped}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_seconds_also_those_of_older_versions() {
        let text = r#"{"kind": "queue", "name": "me", "created": "2026-11-23T11:22:33.535980976Z",
            "rotated": "2026-11-24T11:22:33.000000001Z", "secret": "x"}"#;
        let (entry, _) = Entry::from_json(text).unwrap();
        assert_eq!(entry.created.to_string(), "2026-11-23T11:22:33Z");
        assert_eq!(entry.rotated.unwrap().to_string(), "2026-11-24T11:22:33Z");
    }
}
