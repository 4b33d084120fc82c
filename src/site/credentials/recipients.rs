//! Recipients: adding, changing and removing them, which encrypts the secrets again.

use std::collections::BTreeSet;
use std::fs;

use secrecy::SecretString;

use super::entry::{Entry, Name};
use super::kind::Kind;
use super::role::{self, Role};
use super::sealed::{self, Recipient};
use super::{Credentials, CredentialsError, files, recipients_in};
use crate::site::repository;

/// A recipient, and the entries that its key can open at present.
pub struct KnownRecipient {
    /// The recipient.
    pub recipient: Recipient,
    /// The entries, according to the tags in the ciphertexts.
    pub opens: Vec<Entry>,
    /// Whether the user has confirmed it.
    pub is_confirmed: bool,
}

/// Changes by adding a recipient, or by giving it other roles.
#[derive(Debug)]
pub struct AddedRecipient {
    /// Whether anything has changed.
    pub is_new: bool,
    /// Entries that the key can open now.
    pub opens: Vec<Entry>,
    /// Entries that this or another key can no longer open. Its owner may have kept their secrets.
    pub lost: Vec<Entry>,
    /// Entries that only operators can open, because their readers are unknown.
    pub unsaid: Vec<Entry>,
}

/// Encrypts the secret of an entry to operators and the roles that need it. Without a binding it is only for operators,
/// because a commit may have changed the readers in the file.
pub(super) fn seal_for(
    entry: &Entry,
    is_bound: bool,
    payload: &SecretString,
    recipients: &[Recipient],
) -> Result<String, CredentialsError> {
    let readers = entry.needed_by();
    sealed::seal(payload, recipients.iter().filter(|one| if is_bound { one.opens(&readers) } else { one.opens_all() }))
        .map_err(CredentialsError::Recipient)
}

/// Returns the decisions about the recipients in an old list. Invalid lines are skipped.
fn decisions_in(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(|line| Some(line.parse::<Recipient>().ok()?.decision())).collect()
}

fn roles_of(recipients: &[Recipient]) -> impl Iterator<Item = &Role> {
    recipients.iter().filter_map(Recipient::roles).flatten()
}

/// Returns the role in a login's name: the web service, or the host with this name.
fn role_of_name(name: &Name) -> Role {
    match name.as_str() {
        "web" => Role::Web,
        name => Role::Worker(Some(name.to_owned())),
    }
}

/// Returns the role in a login's name, if a recipient has it.
fn readers_by_name(name: &Name, recipients: &[Recipient]) -> Option<BTreeSet<Role>> {
    let role = role_of_name(name);
    roles_of(recipients).any(|known| *known == role).then(|| [role].into())
}

fn is_same_entry(one: &Entry, other: &Entry) -> bool {
    (one.kind, &one.name) == (other.kind, &other.name)
}

/// Whether the entry is a login without known readers.
fn is_unsaid(entry: &Entry) -> bool {
    entry.readers.is_none() && matches!(entry.kind, Kind::Queue | Kind::Swift)
}

impl Credentials {
    /// Returns the recipients with the entries that their keys open, according to the ciphertexts. No key is needed.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn known_recipients(&self) -> Result<Vec<KnownRecipient>, CredentialsError> {
        let confirmed = self.confirmed()?;
        let all = self.tagged()?;
        let known = |recipient: Recipient| {
            let opens = all.iter().filter(|(_, tags)| recipient.is_tagged(tags)).map(|(entry, _)| entry.clone());
            let (opens, is_confirmed) = (opens.collect(), confirmed.contains(&recipient.decision()));
            KnownRecipient { recipient, opens, is_confirmed }
        };
        Ok(self.recipients()?.into_iter().map(known).collect())
    }

    /// Returns the encrypted entries with the tags of the keys that open them.
    fn tagged(&self) -> Result<Vec<(Entry, Vec<String>)>, CredentialsError> {
        let mut all = Vec::new();
        for kind in Kind::ALL {
            for path in files::below(&self.root, &self.sealed().join(kind.as_str()))? {
                let (entry, armour) = self.read(&path)?;
                let reason = |reason| CredentialsError::File { path: path.clone(), reason };
                all.push((entry, sealed::tags(&armour).map_err(reason)?));
            }
        }
        Ok(all)
    }

    /// Returns the entries that each key opens by the ciphertexts or by its roles, because a process that died may have
    /// encrypted only some of them again.
    fn opened_by<'a>(
        &self,
        recipients: impl IntoIterator<Item = &'a Recipient> + Clone,
    ) -> Result<Vec<(Recipient, Entry)>, CredentialsError> {
        let mut opened = Vec::new();
        for (entry, tags) in self.tagged()? {
            let readers = entry.needed_by();
            // Without a server the entry is not bound, and only for operators, whatever its file says.
            let is_bound = entry.server.is_some() || !entry.kind.is_sent();
            let openers =
                recipients.clone().into_iter().filter(|one| one.is_tagged(&tags) || is_bound && one.opens(&readers));
            opened.extend(openers.map(|one| (one.clone(), entry.clone())));
        }
        Ok(opened)
    }

    /// Returns the recipients that the user has not confirmed, such as those of a pulled commit. No secret is encrypted
    /// to them.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn unconfirmed(&self) -> Result<Vec<Recipient>, CredentialsError> {
        let confirmed = self.confirmed()?;
        Ok(self.recipients()?.into_iter().filter(|recipient| !confirmed.contains(&recipient.decision())).collect())
    }

    /// Records that the user has confirmed recipients.
    ///
    /// # Errors
    /// When the decision cannot be written.
    pub fn confirm(&self, recipients: &[Recipient]) -> Result<(), CredentialsError> {
        let head = repository::head(&self.root)?;
        Ok(self.trust.confirm(&self.root, recipients.iter().map(Recipient::decision), head)?)
    }

    /// Returns the confirmed decisions about the present recipients. Those about other keys or other roles are deleted,
    /// so that they have to be confirmed again when they return, also if they were missing only in a commit since the
    /// last look.
    fn confirmed(&self) -> Result<BTreeSet<String>, CredentialsError> {
        let mut present: BTreeSet<String> = self.recipients()?.iter().map(Recipient::decision).collect();
        let (head, seen) = (repository::head(&self.root)?, self.trust.seen(&self.root)?);
        if let Some(seen) = seen.filter(|seen| head.as_ref().is_some_and(|head| head != seen)) {
            match repository::changes_since(&self.root, &self.recipients_file(), &seen)? {
                Some(changes) => {
                    for (before, after) in changes {
                        let (before, after) = (decisions_in(&before), decisions_in(&after));
                        present.retain(|one| after.contains(one) || !before.contains(one));
                    }
                }
                // The history was replaced.
                None => present.clear(),
            }
        }
        Ok(self.trust.confirmed(&self.root, &present, head.as_deref())?)
    }

    pub(super) fn check_confirmed(&self, recipients: &[Recipient]) -> Result<(), CredentialsError> {
        let confirmed = self.confirmed()?;
        let missing: Vec<String> = recipients
            .iter()
            .filter(|recipient| !confirmed.contains(&recipient.decision()))
            .map(Recipient::line)
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(CredentialsError::Unconfirmed(missing)) }
    }

    /// Returns the default roles of a secret: none if all recipients are operators. Such a secret is only for operators
    /// until a user names readers, or a recipient gets the role in its name.
    pub(super) fn usual_readers(&self, kind: Kind, name: &Name) -> Result<Option<BTreeSet<Role>>, CredentialsError> {
        let recipients = self.recipients()?;
        if !matches!(kind, Kind::Queue | Kind::Swift) {
            return Ok(Some(role::of_kind(kind)));
        }
        if let Some(readers) = readers_by_name(name, &recipients) {
            return Ok(Some(readers));
        }
        if roles_of(&recipients).any(|role| *role != Role::Operator) {
            return Err(CredentialsError::NoReaders(kind, name.clone()));
        }
        Ok(None)
    }

    /// Adds a recipient, or changes its roles, and encrypts the secrets again. The first recipient moves them from the
    /// unencrypted folder into git.
    ///
    /// # Errors
    /// [`CredentialsError::LastRecipient`] without an operator, or when a secret cannot be opened or written.
    pub fn add_recipient(&self, recipient: Recipient) -> Result<AddedRecipient, CredentialsError> {
        let _lock = self.lock()?;
        let mut recipients = self.recipients()?;
        let lines = |recipients: &[Recipient]| recipients.iter().map(Recipient::line).collect::<Vec<_>>();
        let (old_lines, before) = (lines(&recipients), self.opened_by(&recipients)?);
        // Every line of the key is removed, because a commit can have added one with another role.
        let place = recipients.iter().position(|known| known.is_same(&recipient));
        recipients.retain(|known| !known.is_same(&recipient));
        self.check_confirmed(&recipients)?;
        let message = format!("Let {recipient} read the credentials");
        recipients.insert(place.unwrap_or(recipients.len()), recipient.clone());
        let is_new = lines(&recipients) != old_lines;
        if !recipients.iter().any(Recipient::opens_all) {
            return Err(CredentialsError::LastRecipient(recipient.to_string()));
        }
        let entries = self.list()?;
        // Also for a known recipient, because a process may have died before it was done.
        if is_new || entries.iter().any(|entry| self.plain().join(entry.file()).exists()) {
            self.encrypt_again(&recipients, &message)?;
        } else {
            self.commit_all(&message)?;
        }
        // After the list is written, because decisions about keys that are not in it are deleted.
        self.confirm(std::slice::from_ref(&recipient))?;
        self.confirmed()?;
        let after = self.tagged()?;
        let opens = |key: &Recipient, entry: &Entry| {
            after.iter().any(|(other, tags)| is_same_entry(other, entry) && key.is_tagged(tags))
        };
        let mut lost: Vec<Entry> =
            before.into_iter().filter(|(key, entry)| !opens(key, entry)).map(|(_, entry)| entry).collect();
        lost.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        lost.dedup_by(|a, b| is_same_entry(a, b));
        let has_roles = roles_of(&recipients).any(|role| *role != Role::Operator);
        let entries = after.iter().map(|(entry, _)| entry.clone());
        let unsaid = entries.clone().filter(|entry| has_roles && is_unsaid(entry)).collect();
        Ok(AddedRecipient { is_new, opens: entries.filter(|entry| opens(&recipient, entry)).collect(), lost, unsaid })
    }

    fn commit_all(&self, message: &str) -> Result<(), CredentialsError> {
        let mut files = vec![self.recipients_file()];
        files.extend(self.list()?.iter().map(|entry| self.sealed().join(entry.file())));
        self.commit(&files, message)
    }

    /// Encrypts all secrets without a recipient, named by its comment or key. Returns it, and the entries that it could
    /// open, because its owner may have kept their secrets.
    ///
    /// # Errors
    /// [`CredentialsError::NoRecipient`], [`CredentialsError::LastRecipient`], or when a secret cannot be opened or
    /// written.
    pub fn remove_recipient(&self, name: &str) -> Result<(Recipient, Vec<Entry>), CredentialsError> {
        let _lock = self.lock()?;
        let recipients = self.recipients()?;
        let meant = recipients.iter().find(|known| known.is_named(name)).cloned();
        let (removed, remaining): (Vec<Recipient>, Vec<Recipient>) = match meant {
            // A process may have died before its commit, or a user may have edited the list.
            None => {
                let path = self.recipients_file();
                let committed = repository::committed(&self.root, &path)?.unwrap_or_default();
                let before = recipients_in(&committed).map_err(|reason| CredentialsError::File { path, reason })?;
                let removed = before.into_iter().find(|known| known.is_named(name));
                (vec![removed.ok_or_else(|| CredentialsError::NoRecipient(name.to_owned()))?], recipients)
            }
            Some(one) if recipients.iter().any(|known| known.is_named(name) && !known.is_same(&one)) => {
                return Err(CredentialsError::Ambiguous(name.to_owned()));
            }
            // Every line of the key is removed, because a commit can have added one with another role.
            Some(one) => recipients.into_iter().partition(|known| known.is_same(&one)),
        };
        if !remaining.iter().any(Recipient::opens_all) {
            return Err(CredentialsError::LastRecipient(name.to_owned()));
        }
        self.check_confirmed(&remaining)?;
        let mut known: Vec<Entry> = self.opened_by(&removed)?.into_iter().map(|(_, entry)| entry).collect();
        known.dedup_by(|a, b| is_same_entry(a, b));
        let Some(removed) = removed.into_iter().next() else {
            return Err(CredentialsError::NoRecipient(name.to_owned()));
        };
        self.encrypt_again(&remaining, &format!("Let {removed} read new credentials no more"))?;
        self.confirmed()?;
        Ok((removed, known))
    }

    fn encrypt_again(&self, recipients: &[Recipient], message: &str) -> Result<(), CredentialsError> {
        // All are opened before the first one is written.
        let mut all = Vec::new();
        for entry in self.list()? {
            let missing = || CredentialsError::Missing(format!("{} {}", entry.kind, entry.name));
            all.push(self.get(entry.kind, &entry.name)?.ok_or_else(missing)?);
        }
        // Nothing is written that no key of this user could open.
        let operators = recipients.iter().filter(|recipient| recipient.opens_all());
        let probe = sealed::seal(&String::from("probe").into(), operators).map_err(CredentialsError::Recipient)?;
        self.keys.open(&probe).map_err(CredentialsError::Unopenable)?;
        let lines: String = recipients.iter().map(|recipient| format!("{}\n", recipient.line())).collect();
        // The list must be readable, with the same meaning.
        let read = recipients_in(&lines).map_err(CredentialsError::Recipient)?;
        if !read.iter().map(Recipient::decision).eq(recipients.iter().map(Recipient::decision)) {
            return Err(CredentialsError::Recipient("its line would mean something else".to_owned()));
        }
        let list = || files::write(&self.root, &self.recipients_file(), &lines, 0o644);
        let is_first = self.recipients()?.is_empty();
        if is_first {
            // From now on, new secrets are encrypted.
            list()?;
        }
        let mut changed = vec![self.recipients_file()];
        for opened in &all {
            let mut entry = opened.entry().clone();
            if opened.is_bound() && is_unsaid(&entry) {
                entry.readers = readers_by_name(&entry.name, recipients);
                self.agree(std::iter::once(&entry).filter(|entry| entry.readers.is_some()))?;
            }
            let sealed = seal_for(&entry, opened.is_bound(), &opened.same_payload(&entry), recipients)?;
            let path = self.sealed().join(entry.file());
            files::write(&self.root, &path, &entry.to_json(&sealed), 0o644)?;
            changed.push(path);
        }
        if !is_first {
            // Last: if this process dies before, everything is done again.
            list()?;
        }
        // The encrypted files exist now.
        for opened in &all {
            let path = self.plain().join(opened.entry().file());
            if fs::symlink_metadata(&path).is_ok() {
                files::remove(&self.root, &path)?;
            }
        }
        self.commit(&changed, message)
    }

    /// Returns the recipients of older versions, which have no roles, once per user.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn untold_without_role(&self) -> Result<Vec<Recipient>, CredentialsError> {
        let mut all = self.recipients()?;
        all.retain(|recipient| recipient.roles().is_none());
        if !all.is_empty() && !self.trust.is_new_note(&self.root, "recipients without roles")? {
            all.clear();
        }
        Ok(all)
    }
}
