//! The credentials of a site: one store for every kind of secret.
//!
//! A site with recipients keeps each entry encrypted in its git repository: `credentials/KIND/NAME.json` contains name,
//! note, server, readers and times in clear, and the secret in age's armour, for the SSH keys in
//! `credentials/recipients` whose roles need it. A site without recipients keeps the same files unencrypted in
//! `.credentials/`, which only its owner can read and git ignores.
//!
//! Each secret is bound to its kind, its name, the server that may get it and the roles that need it: see
//! [`OpenedCredential`].

mod entry;
mod error;
mod exchange;
mod files;
mod keys;
mod kind;
mod payload;
mod purpose;
mod recipients;
mod role;
mod sealed;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::repository;
use super::{Site, TrustStore};
use crate::server_url::ServerIdentity;

pub use self::entry::{Entry, Name};
pub use self::error::CredentialsError;
pub use self::exchange::{read_secrets, read_tokens, write_secrets, write_tokens};
pub use self::keys::{AskPassphrase, Keys};
pub use self::kind::{InvalidEntry, Kind};
pub use self::payload::OpenedCredential;
pub use self::purpose::{Details, PlannedEntry};
pub use self::recipients::{AddedRecipient, KnownRecipient};
pub use self::role::{InvalidRole, Role};
pub use self::sealed::Recipient;

/// State of a file: see [`Credentials::stamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    changed: (i64, i64),
    length: u64,
}

/// The credentials of a site.
pub struct Credentials {
    root: PathBuf,
    keys: Keys,
    trust: TrustStore,
}

impl Credentials {
    /// Opens the credentials of a site with these keys. `trust` has the recipients that the user has confirmed.
    ///
    /// # Errors
    /// [`CredentialsError::NoSite`], or [`CredentialsError::Open`] when other users can read unencrypted secrets.
    pub fn of(site: &Site, keys: Keys, trust: TrustStore) -> Result<Self, CredentialsError> {
        let root = site.root.clone().ok_or(CredentialsError::NoSite)?;
        let credentials = Self { root, keys, trust };
        files::check_closed(&credentials.plain())?;
        Ok(credentials)
    }

    /// Returns the folder with unencrypted secrets.
    fn plain(&self) -> PathBuf {
        self.root.join(".credentials")
    }

    /// Returns the folder with encrypted secrets, which git tracks.
    fn sealed(&self) -> PathBuf {
        self.root.join("credentials")
    }

    fn recipients_file(&self) -> PathBuf {
        self.sealed().join("recipients")
    }

    /// Returns the recipients. Without any, secrets are unencrypted, in a folder that only its owner can read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn recipients(&self) -> Result<Vec<Recipient>, CredentialsError> {
        let path = self.recipients_file();
        let text = files::read(&self.root, &path)?.unwrap_or_default();
        recipients_in(&text).map_err(|reason| CredentialsError::File { path, reason })
    }

    /// Whether stored secrets are committed. They are not without recipients or without a git repository.
    ///
    /// # Errors
    /// When the recipients cannot be read.
    pub fn are_committed(&self) -> Result<bool, CredentialsError> {
        Ok(!self.recipients()?.is_empty() && repository::is_there(&self.root))
    }

    /// Returns all entries, by kind and name, without opening them.
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

    /// Returns the entries of a kind, each of which may have failed. An encrypted one may exist unencrypted as well.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn of_kind(&self, kind: Kind) -> Result<Vec<Result<Entry, CredentialsError>>, CredentialsError> {
        let mut entries = Vec::new();
        for folder in [self.plain(), self.sealed()] {
            let paths = files::below(&self.root, &folder.join(kind.as_str()))?;
            entries.extend(paths.iter().map(|path| self.read(path).map(|(entry, _)| entry)));
        }
        Ok(entries)
    }

    /// Returns an entry with its secret.
    ///
    /// # Errors
    /// When it cannot be read or opened, or the file contains the ciphertext of another entry.
    pub fn get(&self, kind: Kind, name: &Name) -> Result<Option<OpenedCredential>, CredentialsError> {
        let Some(path) = self.path_of(kind, name) else { return Ok(None) };
        let (entry, secret) = self.read(&path)?;
        let payload = match sealed::is_sealed(&secret) {
            false => secret.into(),
            true => {
                self.keys.open(&secret).map_err(|reason| CredentialsError::Sealed(format!("{kind} {name}"), reason))?
            }
        };
        OpenedCredential::read(entry, &payload).map(Some)
    }

    /// Returns the secret of an entry for sending it to a server.
    ///
    /// # Errors
    /// When [`Credentials::get`] fails, or the secret is not bound to this server.
    pub fn get_for(
        &self,
        kind: Kind,
        name: &Name,
        server: &ServerIdentity,
    ) -> Result<Option<SecretString>, CredentialsError> {
        self.get(kind, name)?.map(|opened| opened.for_server(server).cloned()).transpose()
    }

    /// Returns the secret of an entry for a server that sends it to a web service.
    ///
    /// # Errors
    /// When [`Credentials::get_for`] fails, or the secret is not bound to this service.
    pub fn get_for_service(
        &self,
        kind: Kind,
        name: &Name,
        server: &ServerIdentity,
        service: &ServerIdentity,
    ) -> Result<Option<SecretString>, CredentialsError> {
        self.get(kind, name)?.map(|opened| opened.for_service(server, service).cloned()).transpose()
    }

    /// Returns the state of an entry's file, which changes with the entry. `None` without a file.
    pub fn stamp(&self, kind: Kind, name: &Name) -> Option<Stamp> {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(self.path_of(kind, name)?).ok()?;
        Some(Stamp {
            inode: metadata.ino(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            length: metadata.len(),
        })
    }

    /// Returns the state of the entries of a kind, which changes when one is added, replaced or removed.
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

    /// Locks the credentials against other processes, and removes unfinished files of those that have died.
    fn lock(&self) -> Result<std::fs::File, CredentialsError> {
        let lock = files::lock(&self.root)?;
        for folder in [self.plain(), self.sealed()] {
            files::sweep(&self.root, &folder, &Kind::ALL.map(Kind::as_str))?;
        }
        Ok(lock)
    }

    /// Removes an entry. The encrypted secret stays in git's history.
    ///
    /// # Errors
    /// [`CredentialsError::Missing`], or when it cannot be removed.
    pub fn remove(&self, kind: Kind, name: &Name) -> Result<(), CredentialsError> {
        let _lock = self.lock()?;
        let file = entry::file(kind, name);
        let (sealed, plain) = (self.sealed().join(&file), self.plain().join(&file));
        // A process that died may have removed the file without a commit.
        let is_known_to_git = sealed.exists() || repository::committed(&self.root, &sealed)?.is_some();
        if !is_known_to_git && !plain.exists() {
            return Err(CredentialsError::Missing(format!("{kind} credential of {name}")));
        }
        for path in [&plain, &sealed].into_iter().filter(|path| path.exists()) {
            files::remove(&self.root, path)?;
        }
        if !is_known_to_git {
            return Ok(());
        }
        self.commit(&[sealed], &format!("Remove the {kind} credential of {name}"))
    }

    /// Whether an entry exists, or is in the last commit of the site.
    ///
    /// # Errors
    /// When git fails.
    pub fn is_known(&self, kind: Kind, name: &Name) -> Result<bool, CredentialsError> {
        let sealed = self.sealed().join(entry::file(kind, name));
        Ok(self.path_of(kind, name).is_some() || repository::committed(&self.root, &sealed)?.is_some())
    }

    /// Commits an entry that a process has stored before it died.
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

    fn write(&self, entries: &[(Entry, SecretString)], message: &str) -> Result<(), CredentialsError> {
        let recipients = self.recipients()?;
        self.check_confirmed(&recipients)?;
        self.check_clear(&recipients)?;
        self.agree(entries.iter().map(|(entry, _)| entry))?;
        let mut changed = Vec::new();
        for (entry, secret) in entries {
            let payload = OpenedCredential::payload(entry, secret);
            if recipients.is_empty() {
                files::make_closed(&self.root, &self.plain())?;
                let path = self.plain().join(entry.file());
                // Otherwise the next commit of all changes would contain the secret.
                if repository::committed(&self.root, &path)?.is_some() {
                    return Err(CredentialsError::Clear(path));
                }
                files::write(&self.root, &path, &entry.to_json(payload.expose_secret()), 0o600)?;
            } else {
                let sealed = recipients::seal_for(entry, true, &payload, &recipients)?;
                let path = self.sealed().join(entry.file());
                files::write(&self.root, &path, &entry.to_json(&sealed), 0o644)?;
                changed.push(path);
                let plain = self.plain().join(entry.file());
                if plain.exists() {
                    files::remove(&self.root, &plain)?;
                }
            }
        }
        self.commit(&changed, message)
    }

    /// Refuses to store secrets unencrypted where they were encrypted, because a commit can remove the list of
    /// recipients.
    fn check_clear(&self, recipients: &[Recipient]) -> Result<(), CredentialsError> {
        if !recipients.is_empty() {
            return Ok(());
        }
        let mut were_encrypted = self.trust.was_encrypted(&self.root)?;
        for kind in Kind::ALL {
            were_encrypted |= !files::below(&self.root, &self.sealed().join(kind.as_str()))?.is_empty();
        }
        if were_encrypted { Err(CredentialsError::NoRecipients(self.recipients_file())) } else { Ok(()) }
    }

    fn commit(&self, changed: &[PathBuf], message: &str) -> Result<(), CredentialsError> {
        let known: Vec<&Path> =
            changed.iter().map(PathBuf::as_path).filter(|path| path.starts_with(self.sealed())).collect();
        if !known.is_empty() {
            repository::commit(&self.root, &known, message)?;
        }
        Ok(())
    }

    /// Returns the file of an entry. The encrypted one comes first, because it is newer.
    fn path_of(&self, kind: Kind, name: &Name) -> Option<PathBuf> {
        let file = entry::file(kind, name);
        [self.sealed().join(&file), self.plain().join(&file)].into_iter().find(|path| path.exists())
    }

    /// Reads an entry's file. The secret must be encrypted in the folder that git tracks, and only there.
    fn read(&self, path: &Path) -> Result<(Entry, String), CredentialsError> {
        let fault = |reason: String| CredentialsError::File { path: path.to_owned(), reason };
        let text = files::read(&self.root, path)?.ok_or_else(|| fault("is gone".to_owned()))?;
        let (entry, secret) = Entry::from_json(&text).map_err(fault)?;
        if !path.ends_with(entry.file()) {
            let found = format!("the {} credential of {}", entry.kind, entry.name);
            return Err(CredentialsError::Foreign(path.display().to_string(), found));
        }
        match (path.starts_with(self.sealed()), sealed::is_sealed(&secret)) {
            (true, false) => Err(CredentialsError::Clear(path.to_owned())),
            (false, true) => Err(fault("holds ciphertext in the folder of secrets in clear".to_owned())),
            _ => Ok((entry, secret)),
        }
    }
}

fn recipients_in(text: &str) -> Result<Vec<Recipient>, String> {
    let lines = text.lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let read =
        |(place, line): (usize, &str)| line.parse().map_err(|reason: String| format!("line {}: {reason}", place + 1));
    lines.map(read).collect()
}

#[cfg(test)]
mod tests;
