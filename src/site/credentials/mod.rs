//! The credentials of a site: one store for every kind of secret.
//!
//! A site with recipients keeps each entry encrypted in its git repository: `credentials/KIND/NAME.json` tells name, note and times in clear,
//! and the secret in age's armour, for the SSH keys in `credentials/recipients`. A site without recipients keeps the same files in
//! `.credentials/`, in clear, for their owner alone; git ignores that folder.

mod entry;
mod exchange;
mod files;
mod sealed;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::repository;
use super::{Site, SiteError};

pub use self::entry::{Entry, InvalidEntry, Kind, Name};
pub use self::exchange::{read_secrets, read_tokens, write_secrets, write_tokens};
pub use self::sealed::{Key, Recipient};

/// What can go wrong with credentials. No text holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Nobody has made a site.
    #[error("credentials belong to a site, and there is none here")]
    NoSite,
    /// Others can read a file with secrets.
    #[error("{} can be read by others than its owner", path.display())]
    Open {
        /// The file or folder.
        path: PathBuf,
        /// The command that mends it.
        hint: String,
    },
    /// A file cannot be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No key of this user opens the secret.
    #[error("no SSH key here opens the secret of {0}: {1}")]
    Sealed(String, String),
    /// Nobody here could open the secrets any more.
    #[error("no SSH key here would open the secrets then: {0}")]
    Unopenable(String),
    /// A key that secrets cannot be encrypted to.
    #[error("not a key that secrets can be encrypted to: {0}")]
    Recipient(String),
    /// Without it, secrets would be in clear.
    #[error("{0} is the last recipient: without it nobody could read the secrets, or they would be in clear")]
    LastRecipient(String),
    /// Several keys have this comment.
    #[error("several recipients are called {0}")]
    Ambiguous(String),
    /// There is no such entry.
    #[error("there is no {0}")]
    Missing(String),
    /// There is no such recipient.
    #[error("there is no recipient {0:?}")]
    NoRecipient(String),
    /// git failed.
    #[error(transparent)]
    Site(#[from] SiteError),
}

/// The state of a file; see [`Credentials::stamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    changed: (i64, i64),
    length: u64,
}

/// The credentials of a site.
pub struct Credentials {
    root: PathBuf,
    keys: Vec<PathBuf>,
}

impl Credentials {
    /// Those of a site. `keys` are the files with SSH keys that may open secrets; those that do not exist are left out.
    ///
    /// # Errors
    /// [`CredentialsError::NoSite`], or [`CredentialsError::Open`] when others can read secrets in clear.
    pub fn of(site: &Site, keys: Vec<PathBuf>) -> Result<Self, CredentialsError> {
        let root = site.root.clone().ok_or(CredentialsError::NoSite)?;
        let credentials = Self { root, keys };
        files::check_closed(&credentials.plain())?;
        Ok(credentials)
    }

    /// The folder with secrets in clear.
    fn plain(&self) -> PathBuf {
        self.root.join(".credentials")
    }

    /// The folder with encrypted ones, which git knows.
    fn sealed(&self) -> PathBuf {
        self.root.join("credentials")
    }

    fn recipients_file(&self) -> PathBuf {
        self.sealed().join("recipients")
    }

    /// Whose keys open the secrets; none: they are in clear, in a folder for their owner alone.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn recipients(&self) -> Result<Vec<Recipient>, CredentialsError> {
        let path = self.recipients_file();
        let text = files::read(&path)?.unwrap_or_default();
        recipients_in(&text).map_err(|reason| CredentialsError::File { path, reason })
    }

    /// Whether what is stored is committed; otherwise it is in clear, or encrypted in no git repository.
    ///
    /// # Errors
    /// When the recipients cannot be read.
    pub fn are_committed(&self) -> Result<bool, CredentialsError> {
        Ok(!self.recipients()?.is_empty() && repository::is_there(&self.root))
    }

    /// All entries, by kind and name. Their secrets are not opened.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn list(&self) -> Result<Vec<Entry>, CredentialsError> {
        let mut entries = BTreeMap::new();
        for kind in Kind::ALL {
            for entry in self.of_kind(kind)? {
                let entry = entry?;
                entries.insert((entry.kind, entry.name.clone()), entry);
            }
        }
        Ok(entries.into_values().collect())
    }

    /// The entries of a kind, each of which may be unreadable for itself; one that is encrypted may be there in clear as well.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn of_kind(&self, kind: Kind) -> Result<Vec<Result<Entry, CredentialsError>>, CredentialsError> {
        let mut entries = Vec::new();
        for folder in [self.plain(), self.sealed()] {
            let paths = files::below(&folder.join(kind.as_str()))?;
            entries.extend(paths.iter().map(|path| self.read(path).map(|(entry, _)| entry)));
        }
        Ok(entries)
    }

    /// An entry, with its secret.
    ///
    /// # Errors
    /// When it cannot be read or opened.
    pub fn get(&self, kind: Kind, name: &Name) -> Result<Option<(Entry, SecretString)>, CredentialsError> {
        let Some(path) = self.path_of(kind, name) else { return Ok(None) };
        let (entry, secret) = self.read(&path)?;
        let secret = match sealed::is_sealed(&secret) {
            false => secret.into(),
            true => sealed::open(&secret, &self.keys)
                .map_err(|reason| CredentialsError::Sealed(format!("{kind} {name}"), reason))?,
        };
        Ok(Some((entry, secret)))
    }

    /// The state of an entry's file: another one when the entry has changed. `None` without a file.
    pub fn stamp(&self, kind: Kind, name: &Name) -> Option<Stamp> {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(self.path_of(kind, name)?).ok()?;
        Some(Stamp {
            inode: metadata.ino(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            length: metadata.len(),
        })
    }

    /// The state of all entries of a kind: another one when one of them was added, replaced or removed.
    pub fn stamps(&self, kind: Kind) -> Vec<Stamp> {
        use std::os::unix::fs::MetadataExt;
        let folders = [self.plain(), self.sealed()].into_iter().map(|folder| folder.join(kind.as_str()));
        let known = folders.filter_map(|folder| std::fs::metadata(folder).ok());
        let stamp = |metadata: std::fs::Metadata| Stamp {
            inode: metadata.ino(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            length: metadata.len(),
        };
        known.map(stamp).collect()
    }

    /// One process changes them at a time. What a process that died has left half written goes.
    fn lock(&self) -> Result<std::fs::File, CredentialsError> {
        let lock = files::lock(&self.root)?;
        for folder in [self.plain(), self.sealed()] {
            files::sweep(&folder, &Kind::ALL.map(Kind::as_str))?;
        }
        Ok(lock)
    }

    /// Stores a secret: a new entry, or another secret of an old one, which keeps its note unless there is a new one. Commits it if it
    /// is encrypted.
    ///
    /// # Errors
    /// When it cannot be encrypted or written.
    pub fn set(
        &self,
        kind: Kind,
        name: &Name,
        secret: &SecretString,
        note: Option<&str>,
        now: Timestamp,
    ) -> Result<Entry, CredentialsError> {
        let _lock = self.lock()?;
        let entry = self.entry(kind, name, note, now)?;
        let action = if entry.rotated.is_some() { "Rotate" } else { "Add" };
        self.write(&[(entry.clone(), secret.clone())], &format!("{action} the {kind} credential of {name}"))?;
        Ok(entry)
    }

    /// What is known about a secret once it is stored: a new entry, or what the former one leaves.
    fn entry(&self, kind: Kind, name: &Name, note: Option<&str>, now: Timestamp) -> Result<Entry, CredentialsError> {
        let former = self.path_of(kind, name).map(|path| self.read(&path)).transpose()?.map(|(entry, _)| entry);
        Ok(Entry {
            kind,
            name: name.clone(),
            note: note.map(str::to_owned).or_else(|| former.as_ref()?.note.clone()),
            created: former.as_ref().map_or(now, |former| former.created),
            rotated: former.is_some().then_some(now),
        })
    }

    /// Stores several, with one commit for all.
    ///
    /// # Errors
    /// When one of them cannot be encrypted or written.
    pub fn set_all(
        &self,
        kind: Kind,
        secrets: &[(Name, SecretString)],
        now: Timestamp,
    ) -> Result<(), CredentialsError> {
        let _lock = self.lock()?;
        let mut entries = Vec::new();
        for (name, secret) in secrets {
            entries.push((self.entry(kind, name, None, now)?, secret.clone()));
        }
        self.write(&entries, &format!("Import {} {kind} credentials", entries.len()))
    }

    /// Removes an entry. What git has kept of it stays in its history, encrypted.
    ///
    /// # Errors
    /// [`CredentialsError::Missing`], or when it cannot be removed.
    pub fn remove(&self, kind: Kind, name: &Name) -> Result<(), CredentialsError> {
        let _lock = self.lock()?;
        let file = entry::file(kind, name);
        let (sealed, plain) = (self.sealed().join(&file), self.plain().join(&file));
        // A process that died may have come half way.
        let is_known_to_git = sealed.exists() || repository::committed(&self.root, &sealed)?.is_some();
        if !is_known_to_git && !plain.exists() {
            return Err(CredentialsError::Missing(format!("{kind} credential of {name}")));
        }
        for path in [&plain, &sealed].into_iter().filter(|path| path.exists()) {
            files::remove(path)?;
        }
        if !is_known_to_git {
            return Ok(());
        }
        self.commit(&[sealed], &format!("Remove the {kind} credential of {name}"))
    }

    /// Whether there is an entry, or was when the site was committed last.
    ///
    /// # Errors
    /// When git fails.
    pub fn is_known(&self, kind: Kind, name: &Name) -> Result<bool, CredentialsError> {
        let sealed = self.sealed().join(entry::file(kind, name));
        Ok(self.path_of(kind, name).is_some() || repository::committed(&self.root, &sealed)?.is_some())
    }

    /// Commits an entry that a process which died has stored, and not committed.
    ///
    /// # Errors
    /// When git fails.
    pub fn commit_again(&self, kind: Kind, name: &Name) -> Result<(), CredentialsError> {
        let _lock = self.lock()?;
        let sealed = self.sealed().join(entry::file(kind, name));
        if !sealed.exists() {
            return Ok(());
        }
        self.commit(&[sealed], &format!("Store the {kind} credential of {name}"))
    }

    /// Lets a key open all secrets, which are encrypted anew. The first one moves them from the clear folder into git. Gives whether it is
    /// new.
    ///
    /// # Errors
    /// When a secret cannot be opened or written.
    pub fn add_recipient(&self, recipient: Recipient) -> Result<bool, CredentialsError> {
        let _lock = self.lock()?;
        let mut recipients = self.recipients()?;
        let message = format!("Let {recipient} read the credentials");
        let is_new = !recipients.iter().any(|known| known.is_same(&recipient));
        if is_new {
            recipients.push(recipient);
        }
        let entries = self.list()?;
        // Also for a known one: a process that died may have come half way.
        if is_new || entries.iter().any(|entry| self.plain().join(entry.file()).exists()) {
            self.encrypt_anew(&recipients, &message)?;
        } else {
            self.commit_all(&message)?;
        }
        Ok(is_new)
    }

    fn commit_all(&self, message: &str) -> Result<(), CredentialsError> {
        let mut files = vec![self.recipients_file()];
        files.extend(self.list()?.iter().map(|entry| self.sealed().join(entry.file())));
        self.commit(&files, message)
    }

    /// Encrypts all secrets without a key, which is named by its comment or the key itself. Gives it, and the entries that it knew: who has
    /// the key may have kept them.
    ///
    /// # Errors
    /// [`CredentialsError::NoRecipient`], [`CredentialsError::LastRecipient`], or when a secret cannot be opened or written.
    pub fn remove_recipient(&self, name: &str) -> Result<(Recipient, Vec<Entry>), CredentialsError> {
        let _lock = self.lock()?;
        let mut recipients = self.recipients()?;
        let meant: Vec<usize> = (0..recipients.len())
            .filter(|place| recipients.get(*place).is_some_and(|known| known.is_named(name)))
            .collect();
        let message = |removed: &Recipient| format!("Let {removed} read new credentials no more");
        let place = match meant.as_slice() {
            // A process that died may have come half way: everything is written then, and perhaps not committed.
            [] => {
                let path = self.recipients_file();
                let committed = repository::committed(&self.root, &path)?.unwrap_or_default();
                let before = recipients_in(&committed).map_err(|reason| CredentialsError::File { path, reason })?;
                let removed = before.into_iter().find(|known| known.is_named(name));
                let removed = removed.ok_or_else(|| CredentialsError::NoRecipient(name.to_owned()))?;
                if recipients.is_empty() {
                    return Err(CredentialsError::LastRecipient(name.to_owned()));
                }
                // Or somebody has taken it out of the list by hand, and nothing else.
                self.encrypt_anew(&recipients, &message(&removed))?;
                return Ok((removed, self.list()?));
            }
            [one] => *one,
            _ => return Err(CredentialsError::Ambiguous(name.to_owned())),
        };
        if recipients.len() == 1 {
            return Err(CredentialsError::LastRecipient(name.to_owned()));
        }
        let removed = recipients.remove(place);
        self.encrypt_anew(&recipients, &message(&removed))?;
        Ok((removed, self.list()?))
    }

    fn encrypt_anew(&self, recipients: &[Recipient], message: &str) -> Result<(), CredentialsError> {
        // All are opened before the first is written.
        let mut all = Vec::new();
        for entry in self.list()? {
            let (kind, name) = (entry.kind, entry.name.clone());
            let secret = self.get(kind, &name)?.ok_or_else(|| CredentialsError::Missing(format!("{kind} {name}")))?.1;
            all.push((entry, secret));
        }
        // Nothing is written that nobody here could open again.
        let probe = sealed::seal(&String::from("probe").into(), recipients).map_err(CredentialsError::Recipient)?;
        sealed::open(&probe, &self.keys).map_err(CredentialsError::Unopenable)?;
        let lines: String = recipients.iter().map(|recipient| format!("{}\n", recipient.line())).collect();
        let list = || files::write(&self.recipients_file(), &lines, 0o644);
        let is_first = self.recipients()?.is_empty();
        if is_first {
            // A secret that is stored from now on is encrypted.
            list()?;
        }
        let mut changed = vec![self.recipients_file()];
        for (entry, secret) in &all {
            let sealed = sealed::seal(secret, recipients).map_err(CredentialsError::Recipient)?;
            let path = self.sealed().join(entry.file());
            files::write(&path, &entry.to_json(&sealed), 0o644)?;
            changed.push(path);
        }
        if !is_first {
            // Only now: if this process dies before, all of it is done again.
            list()?;
        }
        // Only when the encrypted ones are there.
        for (entry, _) in &all {
            let path = self.plain().join(entry.file());
            if path.exists() {
                files::remove(&path)?;
            }
        }
        self.commit(&changed, message)
    }

    fn write(&self, entries: &[(Entry, SecretString)], message: &str) -> Result<(), CredentialsError> {
        let recipients = self.recipients()?;
        let mut changed = Vec::new();
        for (entry, secret) in entries {
            if recipients.is_empty() {
                files::make_closed(&self.plain())?;
                files::write(&self.plain().join(entry.file()), &entry.to_json(secret.expose_secret()), 0o600)?;
            } else {
                let sealed = sealed::seal(secret, &recipients).map_err(CredentialsError::Recipient)?;
                let path = self.sealed().join(entry.file());
                files::write(&path, &entry.to_json(&sealed), 0o644)?;
                changed.push(path);
                let plain = self.plain().join(entry.file());
                if plain.exists() {
                    files::remove(&plain)?;
                }
            }
        }
        self.commit(&changed, message)
    }

    fn commit(&self, changed: &[PathBuf], message: &str) -> Result<(), CredentialsError> {
        let known: Vec<&Path> =
            changed.iter().map(PathBuf::as_path).filter(|path| path.starts_with(self.sealed())).collect();
        if !known.is_empty() {
            repository::commit(&self.root, &known, message)?;
        }
        Ok(())
    }

    /// The encrypted one comes first: it is the newer one.
    fn path_of(&self, kind: Kind, name: &Name) -> Option<PathBuf> {
        let file = entry::file(kind, name);
        [self.sealed().join(&file), self.plain().join(&file)].into_iter().find(|path| path.exists())
    }

    fn read(&self, path: &Path) -> Result<(Entry, String), CredentialsError> {
        let fault = |reason: String| CredentialsError::File { path: path.to_owned(), reason };
        let text = files::read(path)?.ok_or_else(|| fault("is gone".to_owned()))?;
        Entry::from_json(&text).map_err(fault)
    }
}

fn recipients_in(text: &str) -> Result<Vec<Recipient>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::parse).collect()
}

#[cfg(test)]
mod tests;
