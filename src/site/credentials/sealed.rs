//! Secrets encrypted by age to SSH keys.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::str::FromStr;

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, Engine as _};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::role::{self, Role};

/// What age's armour begins with.
const ARMOUR: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
/// Maximum number of lines of a file's header: one recipient has up to a dozen.
const HEADER_LINES: usize = 10_000;

/// An SSH key that secrets are encrypted to, as in `authorized_keys`, and its roles.
#[derive(Clone)]
pub struct Recipient {
    key: age::ssh::Recipient,
    /// `ssh-ed25519 AAAA…`, without the comment.
    text: String,
    comment: String,
    /// None before there were roles: it opens every secret.
    roles: Option<BTreeSet<Role>>,
}

impl Recipient {
    /// Its line in the file of recipients: roles, key and comment.
    pub fn line(&self) -> String {
        match &self.roles {
            Some(roles) => format!("{} {}", role::joined(roles), self.key_line()),
            None => self.key_line(),
        }
    }

    /// Its key and comment.
    pub fn key_line(&self) -> String {
        format!("{} {}", self.text, self.comment).trim_end().to_owned()
    }

    /// Its roles; none for one from before there were roles, which opens every secret.
    pub fn roles(&self) -> Option<&BTreeSet<Role>> {
        self.roles.as_ref()
    }

    /// The same key with these roles.
    #[must_use]
    pub fn with_roles(self, roles: BTreeSet<Role>) -> Self {
        Self { roles: Some(roles), ..self }
    }

    /// Whether secrets that these roles need are encrypted to it.
    pub(super) fn opens(&self, readers: &BTreeSet<Role>) -> bool {
        role::opens(self.roles.as_ref(), readers)
    }

    pub(super) fn opens_all(&self) -> bool {
        role::opens_all(self.roles.as_ref())
    }

    /// Whether this ciphertext can be opened with its private key.
    pub(super) fn is_tagged(&self, tags: &[String]) -> bool {
        tag(&self.text).is_some_and(|tag| tags.contains(&tag))
    }

    /// What its user has to confirm: another key, or other roles, are another decision.
    pub(super) fn decision(&self) -> String {
        let roles = self.roles.as_ref().map_or("all".to_owned(), role::joined);
        format!("{roles} {}", self.text)
    }

    /// Whether it is the same key, whatever roles and comment it has.
    pub fn is_same(&self, other: &Self) -> bool {
        self.text == other.text
    }

    /// The same key with the roles that it has among the recipients; also with that comment, unless it brings one.
    #[must_use]
    pub fn as_known(self, known: &Self) -> Self {
        let comment = if self.comment.is_empty() { known.comment.clone() } else { self.comment };
        Self { roles: known.roles.clone(), comment, ..self }
    }

    /// Whether a text means it: its comment, its key, or both.
    pub(super) fn is_named(&self, name: &str) -> bool {
        let name = name.trim();
        !name.is_empty() && (name == self.comment || name == self.text || name == self.key_line())
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.text.get(self.text.len().saturating_sub(12)..).unwrap_or(&self.text);
        if self.comment.is_empty() { write!(f, "the key …{end}") } else { f.write_str(&self.comment) }
    }
}

impl FromStr for Recipient {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains("PRIVATE KEY-----") {
            return Err(
                "this is a private key, which must stay secret: give the public key, from the file with the same name \
                 and the ending .pub"
                    .to_owned(),
            );
        }
        if text.trim().lines().count() > 1 {
            return Err("there are several keys in it: add them one by one".to_owned());
        }
        let mut words = text.split_whitespace().peekable();
        let roles = match words.peek() {
            // A role may look almost like a key's type: it names a host.
            Some(word) if !is_key_type(word) => {
                let roles = word.split(',').map(str::parse).collect::<Result<BTreeSet<Role>, _>>();
                words.next();
                Some(roles)
            }
            _ => None,
        };
        let (kind, key) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let comment = words.collect::<Vec<_>>().join(" ");
        let text = format!("{kind} {key}");
        let rule = || {
            "a recipient is an SSH key of the type ssh-ed25519 or ssh-rsa, as in a file with the ending .pub".to_owned()
        };
        if !is_key_type(kind) {
            return Err(rule());
        }
        let roles = roles.transpose().map_err(|error| error.to_string())?;
        let key = text.parse().map_err(|_| rule())?;
        Ok(Self { key, text, comment, roles })
    }
}

fn is_key_type(word: &str) -> bool {
    matches!(word, "ssh-ed25519" | "ssh-rsa")
}

pub(super) fn is_sealed(secret: &str) -> bool {
    secret.starts_with(ARMOUR)
}

/// Encrypts a text so that each of the recipients can open it.
pub(super) fn seal<'a>(
    text: &SecretString,
    recipients: impl IntoIterator<Item = &'a Recipient>,
) -> Result<String, String> {
    let keys = recipients.into_iter().map(|recipient| &recipient.key as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(keys).map_err(|error| error.to_string())?;
    let mut sealed = Vec::new();
    let write = || -> std::io::Result<()> {
        let armour = ArmoredWriter::wrap_output(&mut sealed, Format::AsciiArmor)?;
        let mut writer = encryptor.wrap_output(armour)?;
        writer.write_all(text.expose_secret().as_bytes())?;
        writer.finish()?.finish()?;
        Ok(())
    };
    write().map_err(|error| error.to_string())?;
    String::from_utf8(sealed).map_err(|error| error.to_string())
}

/// The tag by which a ciphertext names a key (`ssh-ed25519 AAAA…`): the first four bytes of the key's digest.
pub(super) fn tag(key: &str) -> Option<String> {
    let bytes = BASE64_STANDARD.decode(key.split_whitespace().nth(1)?).ok()?;
    Some(BASE64_STANDARD_NO_PAD.encode(&Sha256::digest(bytes)[..4]))
}

/// The tags of the keys that open a ciphertext. They are in its header, in clear.
pub(super) fn tags(armour: &str) -> Result<Vec<String>, String> {
    let mut reader = BufReader::new(ArmoredReader::new(armour.as_bytes()));
    let mut tags = Vec::new();
    let mut line = Vec::new();
    for _ in 0..HEADER_LINES {
        line.clear();
        let length = reader.read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
        if length == 0 || line.starts_with(b"---") {
            return Ok(tags);
        }
        let text = String::from_utf8_lossy(&line);
        let mut words = text.split_whitespace();
        if let (Some("->"), Some("ssh-ed25519" | "ssh-rsa"), Some(tag)) = (words.next(), words.next(), words.next()) {
            tags.push(tag.to_owned());
        }
    }
    Err("its header is too long".to_owned())
}
