//! Secrets encrypted by age to SSH keys.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use secrecy::{ExposeSecret, SecretString};

/// What age's armour begins with.
const ARMOUR: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
/// A secret is a line or a key; more is none.
pub(super) const LIMIT: u64 = 64 << 10;

/// An SSH key that secrets are encrypted to: a line as in `authorized_keys`.
#[derive(Clone)]
pub struct Recipient {
    key: age::ssh::Recipient,
    /// `ssh-ed25519 AAAA…`, without the comment.
    text: String,
    comment: String,
}

impl Recipient {
    /// Its line in the file of recipients.
    pub fn line(&self) -> String {
        format!("{} {}", self.text, self.comment).trim_end().to_owned()
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.text == other.text
    }

    /// Whether a text means it: its comment, its key, or both.
    pub(super) fn is_named(&self, name: &str) -> bool {
        let name = name.trim();
        !name.is_empty() && (name == self.comment || name == self.text || name == self.line())
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
        let mut words = text.split_whitespace();
        let (kind, key) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let comment = words.collect::<Vec<_>>().join(" ");
        if text.trim().lines().count() > 1 {
            return Err("there are several keys in it: add them one by one".to_owned());
        }
        let text = format!("{kind} {key}");
        let rule = || {
            "a recipient is an SSH key of the type ssh-ed25519 or ssh-rsa, as in a file with the ending .pub".to_owned()
        };
        if !matches!(kind, "ssh-ed25519" | "ssh-rsa") {
            return Err(rule());
        }
        let key = text.parse().map_err(|_| rule())?;
        Ok(Self { key, text, comment })
    }
}

pub(super) fn is_sealed(secret: &str) -> bool {
    secret.starts_with(ARMOUR)
}

/// Encrypts a secret so that each of the recipients can open it.
pub(super) fn seal(secret: &SecretString, recipients: &[Recipient]) -> Result<String, String> {
    let keys = recipients.iter().map(|recipient| &recipient.key as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(keys).map_err(|error| error.to_string())?;
    let mut sealed = Vec::new();
    let write = || -> std::io::Result<()> {
        let armour = ArmoredWriter::wrap_output(&mut sealed, Format::AsciiArmor)?;
        let mut writer = encryptor.wrap_output(armour)?;
        writer.write_all(secret.expose_secret().as_bytes())?;
        writer.finish()?.finish()?;
        Ok(())
    };
    write().map_err(|error| error.to_string())?;
    String::from_utf8(sealed).map_err(|error| error.to_string())
}

/// Opens a secret with one of these files of SSH keys.
pub(super) fn open(sealed: &str, files: &[PathBuf]) -> Result<SecretString, String> {
    // One alone was named by somebody: then it has to be there.
    if let [named] = files
        && let Err(error) = File::open(named)
    {
        return Err(format!("{}: {error}", named.display()));
    }
    let mut tried = Vec::new();
    for file in files {
        match Key::read(file) {
            Ok(None) => {}
            Ok(Some(key)) => match key.open(sealed) {
                Ok(secret) => return Ok(secret),
                Err(reason) => tried.push(format!("{}: {reason}", file.display())),
            },
            Err(reason) => tried.push(format!("{}: {reason}", file.display())),
        }
    }
    Err(if tried.is_empty() { "there is none".to_owned() } else { tried.join("; ") })
}

/// A private SSH key.
pub struct Key(age::ssh::Identity);

impl Key {
    /// Reads a key; `None` when there is no such file, or this user may not read it.
    fn read(path: &Path) -> Result<Option<Self>, String> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error.to_string()),
        };
        let name = Some(path.display().to_string());
        match age::ssh::Identity::from_buffer(BufReader::new(file), name) {
            Ok(age::ssh::Identity::Encrypted(_)) => {
                Err("it has a passphrase, which cannot be asked for here; name another with APT_CI_IDENTITY".to_owned())
            }
            Ok(age::ssh::Identity::Unsupported(_)) => Err("keys of its type open no secrets".to_owned()),
            Ok(identity) => Ok(Some(Self(identity))),
            Err(error) => Err(error.to_string()),
        }
    }

    fn open(&self, sealed: &str) -> Result<SecretString, String> {
        let decryptor =
            age::Decryptor::new_buffered(ArmoredReader::new(sealed.as_bytes())).map_err(|error| error.to_string())?;
        let reader =
            decryptor.decrypt(std::iter::once(&self.0 as &dyn age::Identity)).map_err(|error| error.to_string())?;
        let mut secret = String::new();
        reader.take(LIMIT + 1).read_to_string(&mut secret).map_err(|error| error.to_string())?;
        if secret.len() as u64 > LIMIT {
            return Err("it is longer than any secret".to_owned());
        }
        Ok(secret.into())
    }
}
