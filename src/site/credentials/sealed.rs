//! Encryption of secrets to SSH keys, with age.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::str::FromStr;

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, Engine as _};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::role::{self, Role};

/// First line of age's armour.
const ARMOUR: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
/// Maximum number of lines in a ciphertext's header. One recipient has up to a dozen.
const MAX_HEADER_LINES: usize = 10_000;

/// An SSH key to which secrets are encrypted, as in `authorized_keys`, with its roles.
#[derive(Clone)]
pub struct Recipient {
    key: age::ssh::Recipient,
    /// `ssh-ed25519 AAAA…`, without the comment.
    text: String,
    comment: String,
    /// None for a recipient of an older version, which opens every secret.
    roles: Option<BTreeSet<Role>>,
}

impl Recipient {
    /// Returns its line in the list of recipients: roles, key and comment.
    pub fn line(&self) -> String {
        match &self.roles {
            Some(roles) => format!("{} {}", role::joined(roles), self.key_line()),
            None => self.key_line(),
        }
    }

    /// Returns its key and comment.
    pub fn key_line(&self) -> String {
        format!("{} {}", self.text, self.comment).trim_end().to_owned()
    }

    /// Returns its roles; none for a recipient of an older version, which opens every secret.
    pub fn roles(&self) -> Option<&BTreeSet<Role>> {
        self.roles.as_ref()
    }

    /// Returns the recipient with these roles.
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

    /// Whether its private key opens a ciphertext with these tags.
    pub(super) fn is_tagged(&self, tags: &[String]) -> bool {
        tag(&self.text).is_some_and(|tag| tags.contains(&tag))
    }

    /// Returns the text that the user confirms: roles and key.
    pub(super) fn decision(&self) -> String {
        let roles = self.roles.as_ref().map_or("all".to_owned(), role::joined);
        format!("{roles} {}", self.text)
    }

    /// Whether the keys are the same, whatever their roles and comments.
    pub fn is_same(&self, other: &Self) -> bool {
        self.text == other.text
    }

    /// Returns the recipient with the roles of a known one, and with that one's comment if it has none itself.
    #[must_use]
    pub fn as_known(self, known: &Self) -> Self {
        let comment = if self.comment.is_empty() { known.comment.clone() } else { self.comment };
        Self { roles: known.roles.clone(), comment, ..self }
    }

    /// Whether a text is its comment, its key, or both.
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
        let keys = text.lines().filter(|line| line.split_whitespace().any(is_key_type)).count();
        if keys > 1 {
            return Err("there are several keys in it: add them one by one".to_owned());
        }
        let mut words = text.split_whitespace().peekable();
        let roles = match words.peek() {
            // Not just a prefix of a key's type: a role may contain the name of any host.
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
        let rule = || "this is not an SSH public key of the type ssh-ed25519 or ssh-rsa".to_owned();
        // Without a key, the first word of the file need not be meant as a role.
        if !is_key_type(kind) || text.trim().lines().count() > 1 {
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

/// Encrypts a text to each of the recipients.
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

/// Returns the tag of a key (`ssh-ed25519 AAAA…`) in ciphertexts: the first four bytes of the key's digest.
pub(super) fn tag(key: &str) -> Option<String> {
    let bytes = BASE64_STANDARD.decode(key.split_whitespace().nth(1)?).ok()?;
    Some(BASE64_STANDARD_NO_PAD.encode(&Sha256::digest(bytes)[..4]))
}

/// Returns the tags of the keys that open a ciphertext, from its header, which is not encrypted.
pub(super) fn tags(armour: &str) -> Result<Vec<String>, String> {
    let mut reader = BufReader::new(ArmoredReader::new(armour.as_bytes()));
    let mut tags = Vec::new();
    let mut line = Vec::new();
    for _ in 0..MAX_HEADER_LINES {
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
