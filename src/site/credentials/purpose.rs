//! The purpose of a secret when it is stored: from the command line, the former entry, or its name and the site.
//!
//! Anyone can encrypt to public keys, so a committer may have chosen the content of a ciphertext. Therefore servers and
//! readers of a secret that replaces another one count only if the user gives them, or has stored, bound or confirmed
//! them before.

use std::collections::BTreeSet;

use jiff::Timestamp;
use secrecy::SecretString;

use super::entry::{self, Entry, Name};
use super::kind::Kind;
use super::payload::OpenedCredential;
use super::role::{self, Role};
use super::{Credentials, CredentialsError, files};
use crate::server_url::ServerIdentity;

/// Details of a secret that is stored. Those that are missing stay as they were.
#[derive(Debug, Clone, Default)]
pub struct Details {
    /// A user's note.
    pub note: Option<String>,
    /// The only server that may get the secret.
    pub server: Option<ServerIdentity>,
    /// The server in the site's settings, if no other one is known.
    pub usual: Option<ServerIdentity>,
    /// The web service to which the server may send it, for a kind that [is sent there](Kind::is_delivered).
    pub service: Option<ServerIdentity>,
    /// The web service of the site, if no other one is known.
    pub usual_service: Option<ServerIdentity>,
    /// The roles that need it, in addition to operators.
    pub readers: Option<BTreeSet<Role>>,
}

impl Details {
    /// Returns details with this server only.
    pub fn for_server(server: ServerIdentity) -> Self {
        Self { server: Some(server), ..Self::default() }
    }
}

/// An entry that would be stored.
#[derive(Debug, Clone)]
pub struct PlannedEntry {
    /// The entry.
    pub entry: Entry,
    is_agreed: bool,
    before: Option<String>,
    is_there: bool,
}

impl PlannedEntry {
    /// Refuses a purpose that the user has neither given nor confirmed.
    ///
    /// # Errors
    /// [`CredentialsError::Unagreed`].
    pub fn check(&self) -> Result<(), CredentialsError> {
        let Self { entry, is_agreed, before, is_there } = self.clone();
        if is_agreed { Ok(()) } else { Err(CredentialsError::Unagreed { entry: Box::new(entry), before, is_there }) }
    }
}

fn text(server: Option<&ServerIdentity>) -> Option<String> {
    server.map(ToString::to_string)
}

fn roles(entry: &Entry) -> String {
    role::joined(&entry.needed_by())
}

/// Returns the keys under which the user's decisions about an entry are stored.
fn words(kind: Kind, name: &Name) -> [String; 3] {
    ["server", "service", "readers"].map(|what| format!("{what} of {kind} {name}"))
}

impl Credentials {
    /// Returns the entry that would be stored for a secret, without changing anything.
    ///
    /// # Errors
    /// When the server or the readers are unknown, or the secret would be unencrypted where others are encrypted.
    pub fn planned(
        &self,
        kind: Kind,
        name: &Name,
        details: &Details,
        now: Timestamp,
    ) -> Result<PlannedEntry, CredentialsError> {
        let now = entry::whole_seconds(now);
        for folder in [self.sealed(), self.plain()] {
            files::check_links(&self.root, &folder.join(entry::file(kind, name)))?;
        }
        let recipients = self.recipients()?;
        self.check_clear(&recipients)?;
        let path = self.path_of(kind, name);
        // An unusable file is replaced.
        let former = path.as_ref().and_then(|path| self.read(path).ok()).map(|(entry, _)| entry);
        let former = former.as_ref();
        // Only bound values count: a commit may have changed servers and readers in clear.
        let opened = self.get(kind, name).ok().flatten().filter(OpenedCredential::is_bound);
        let bound = opened.as_ref().map(OpenedCredential::entry);
        let server = details.server.clone().or_else(|| bound?.server.clone()).or_else(|| details.usual.clone());
        let server = server.filter(|_| kind.is_sent());
        if server.is_none() && kind.is_sent() {
            return Err(CredentialsError::NoServer(kind, name.clone()));
        }
        let service = details.service.clone().or_else(|| bound?.service.clone());
        let service = service.or_else(|| details.usual_service.clone()).filter(|_| kind.is_delivered());
        let usual = self.usual_readers(kind, name);
        let entry = Entry {
            kind,
            name: name.clone(),
            server,
            service,
            readers: match details.readers.clone().or_else(|| bound?.readers.clone()) {
                Some(readers) => Some(readers),
                None => usual.as_ref().map_err(|_| CredentialsError::NoReaders(kind, name.clone()))?.clone(),
            },
            note: details.note.clone().or_else(|| former?.note.clone()),
            created: former.map_or(now, |former| former.created),
            rotated: former.is_some().then_some(now),
        };
        let agreed = self.trust.agreed(&self.root)?;
        let [known_server, known_service, known_readers] = words(kind, name).map(|word| agreed.get(&word).cloned());
        let is_first = known_readers.is_none() && path.is_none();
        let is_server_agreed =
            !kind.is_sent() || details.server.is_some() || known_server == text(entry.server.as_ref()) || is_first;
        let is_service_agreed = entry.service.is_none()
            || details.service.is_some()
            || known_service == text(entry.service.as_ref())
            || is_first;
        let are_usual =
            usual.is_ok_and(|usual| Entry { readers: usual, ..entry.clone() }.needed_by() == entry.needed_by());
        let are_readers_agreed =
            details.readers.is_some() || are_usual || known_readers.as_ref() == Some(&roles(&entry)) || is_first;
        Ok(PlannedEntry {
            is_agreed: is_server_agreed && is_service_agreed && are_readers_agreed,
            before: known_readers.map(|readers| entry::purpose(known_server, known_service, &readers)),
            is_there: path.is_some(),
            entry,
        })
    }

    /// Records that the user has confirmed the purposes of these secrets.
    ///
    /// # Errors
    /// When the decision cannot be written.
    pub fn agree<'a>(&self, entries: impl Iterator<Item = &'a Entry>) -> Result<(), CredentialsError> {
        let decisions = entries.flat_map(|entry| {
            let [server, service, readers] = words(entry.kind, &entry.name);
            let said = |word, value: &Option<ServerIdentity>| text(value.as_ref()).map(|value| (word, value));
            let servers = [said(server, &entry.server), said(service, &entry.service)];
            servers.into_iter().flatten().chain([(readers, roles(entry))])
        });
        Ok(self.trust.agree(&self.root, decisions)?)
    }

    /// Stores a secret in a new entry, or replaces the one of an entry, which keeps what is not in `details`. Commits
    /// it if it is encrypted.
    ///
    /// # Errors
    /// When [`Credentials::planned`] fails, a recipient is not confirmed, or the entry cannot be written;
    /// [`CredentialsError::Unagreed`].
    pub fn set(
        &self,
        kind: Kind,
        name: &Name,
        secret: &SecretString,
        details: &Details,
        now: Timestamp,
    ) -> Result<Entry, CredentialsError> {
        let _lock = self.lock()?;
        let planned = self.planned(kind, name, details, now)?;
        planned.check()?;
        let entry = planned.entry;
        let action = if entry.rotated.is_some() { "Rotate" } else { "Add" };
        self.write(&[(entry.clone(), secret.clone())], &format!("{action} the {kind} credential of {name}"))?;
        Ok(entry)
    }

    /// Binds a secret of an older version, or one whose server has changed.
    ///
    /// # Errors
    /// [`CredentialsError::Missing`], or when [`Credentials::set`] would fail.
    pub fn bind(&self, kind: Kind, name: &Name, details: &Details) -> Result<Entry, CredentialsError> {
        let _lock = self.lock()?;
        let missing = || CredentialsError::Missing(format!("{kind} credential of {name}"));
        let opened = self.get(kind, name)?.ok_or_else(missing)?;
        let former = opened.entry();
        // Safe without confirmation: the secret stays the same, so whoever forged its purpose knows it already.
        let planned = self.planned(kind, name, details, former.created)?;
        let entry = Entry { rotated: former.rotated, ..planned.entry };
        let message = format!("Bind the {kind} credential of {name} to its server");
        self.write(&[(entry.clone(), opened.reveal().clone())], &message)?;
        Ok(entry)
    }

    /// Stores several secrets in one commit.
    ///
    /// # Errors
    /// When one of them cannot be encrypted or written, or [`Credentials::set`] would fail.
    pub fn set_all(
        &self,
        kind: Kind,
        secrets: &[(Name, SecretString, Details)],
        now: Timestamp,
    ) -> Result<(), CredentialsError> {
        let _lock = self.lock()?;
        let mut entries = Vec::new();
        for (name, secret, details) in secrets {
            let planned = self.planned(kind, name, details, now)?;
            planned.check()?;
            entries.push((planned.entry, secret.clone()));
        }
        self.write(&entries, &format!("Import {} {kind} credentials", entries.len()))
    }
}
