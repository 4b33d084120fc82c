//! Whose keys open the secrets: adding, changing and removing recipients, which encrypts the secrets again.

use std::collections::BTreeSet;
use std::fs;

use secrecy::SecretString;

use super::entry::{Entry, Name};
use super::kind::Kind;
use super::role::{self, Role};
use super::sealed::{self, Recipient};
use super::{Credentials, CredentialsError, files, recipients_in};
use crate::site::repository;

/// A recipient, and the entries that can be opened with its key as their files are now.
pub struct KnownRecipient {
    /// The recipient.
    pub recipient: Recipient,
    /// The entries, as the ciphertexts themselves name the key.
    pub opens: Vec<Entry>,
    /// Whether this user has confirmed it.
    pub is_confirmed: bool,
}

/// What another key, or another role of a known one, has changed.
#[derive(Debug)]
pub struct Added {
    /// Whether anything has changed.
    pub is_new: bool,
    /// What the key opens now.
    pub opens: Vec<Entry>,
    /// What this key or another one has opened before and opens no more: whoever has it may have kept that.
    pub lost: Vec<Entry>,
    /// What operators alone open because nobody has said who needs it.
    pub unsaid: Vec<Entry>,
}

/// Encrypts what is in an entry to operators and the roles that need it. Of one that is not bound its file alone says what it is for, which a
/// commit may have changed: that is for operators until they bind it.
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

/// The decisions about recipients in a list from the history, as far as it can be read.
fn decisions_in(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(|line| Some(line.parse::<Recipient>().ok()?.decision())).collect()
}

fn roles_of(recipients: &[Recipient]) -> impl Iterator<Item = &Role> {
    recipients.iter().filter_map(Recipient::roles).flatten()
}

/// The role that a login's name tells: that of the web service, or of the host with this name.
fn role_of_name(name: &Name) -> Role {
    match name.as_str() {
        "web" => Role::Web,
        name => Role::Worker(Some(name.to_owned())),
    }
}

/// The role that a login's name tells, if a recipient has it.
fn readers_by_name(name: &Name, recipients: &[Recipient]) -> Option<BTreeSet<Role>> {
    let role = role_of_name(name);
    roles_of(recipients).any(|known| *known == role).then(|| [role].into())
}

fn is_same_entry(one: &Entry, other: &Entry) -> bool {
    (one.kind, &one.name) == (other.kind, &other.name)
}

/// Whether it is a login of which nobody has said who needs it.
fn is_unsaid(entry: &Entry) -> bool {
    entry.readers.is_none() && matches!(entry.kind, Kind::Queue | Kind::Swift)
}

impl Credentials {
    /// The recipients, each with what its key opens. Read from the ciphertexts, for which no key is needed.
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

    /// The encrypted entries, each with the tags of the keys that open it.
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

    /// What each key opens as the ciphertexts are now, and as its roles say: a process that died may have encrypted some of them anew.
    fn opened_by<'a>(
        &self,
        recipients: impl IntoIterator<Item = &'a Recipient> + Clone,
    ) -> Result<Vec<(Recipient, Entry)>, CredentialsError> {
        let mut opened = Vec::new();
        for (entry, tags) in self.tagged()? {
            let readers = entry.needed_by();
            // Without a server it is not bound, and for operators alone whatever its file says.
            let is_bound = entry.server.is_some() || !entry.kind.is_sent();
            let openers =
                recipients.clone().into_iter().filter(|one| one.is_tagged(&tags) || is_bound && one.opens(&readers));
            opened.extend(openers.map(|one| (one.clone(), entry.clone())));
        }
        Ok(opened)
    }

    /// The recipients that this user has not confirmed, such as those that came with a pulled commit. Nothing is encrypted before they are.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn unconfirmed(&self) -> Result<Vec<Recipient>, CredentialsError> {
        let confirmed = self.confirmed()?;
        Ok(self.recipients()?.into_iter().filter(|recipient| !confirmed.contains(&recipient.decision())).collect())
    }

    /// Confirms these recipients for this user.
    ///
    /// # Errors
    /// When the decision cannot be written.
    pub fn confirm(&self, recipients: &[Recipient]) -> Result<(), CredentialsError> {
        let head = repository::head(&self.root)?;
        Ok(self.trust.confirm(&self.root, recipients.iter().map(Recipient::decision), head)?)
    }

    /// What this user has confirmed, of the recipients that there are. A key that is gone, or has other roles, is forgotten: should it
    /// come back with a commit, that is another decision. So is one that commits took away and brought back since the last look.
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
                // The history is another one.
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

    /// The roles that need a secret about which nothing is said: none where no recipient has a role of its own. Such a secret is for
    /// operators until somebody says more, or a role comes that has its name.
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

    /// Lets a key open the secrets that its roles need, or gives a known one other roles. The secrets are encrypted again; the first
    /// recipient moves them from the clear folder into git.
    ///
    /// # Errors
    /// [`CredentialsError::LastRecipient`] without an operator, or when a secret cannot be opened or written.
    pub fn add_recipient(&self, recipient: Recipient) -> Result<Added, CredentialsError> {
        let _lock = self.lock()?;
        let mut recipients = self.recipients()?;
        let lines = |recipients: &[Recipient]| recipients.iter().map(Recipient::line).collect::<Vec<_>>();
        let (old_lines, before) = (lines(&recipients), self.opened_by(&recipients)?);
        // Every line of the key goes: a commit can have added one with another role.
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
        // Also for a known one: a process that died may have come half way.
        if is_new || entries.iter().any(|entry| self.plain().join(entry.file()).exists()) {
            self.encrypt_again(&recipients, &message)?;
        } else {
            self.commit_all(&message)?;
        }
        // Not before it is in the list: what is not there is not confirmed, and neither is the role that it had.
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
        Ok(Added { is_new, opens: entries.filter(|entry| opens(&recipient, entry)).collect(), lost, unsaid })
    }

    fn commit_all(&self, message: &str) -> Result<(), CredentialsError> {
        let mut files = vec![self.recipients_file()];
        files.extend(self.list()?.iter().map(|entry| self.sealed().join(entry.file())));
        self.commit(&files, message)
    }

    /// Encrypts all secrets without a key, which is named by its comment or the key itself. Returns it, and the entries that it could open:
    /// whoever has the key may have kept them.
    ///
    /// # Errors
    /// [`CredentialsError::NoRecipient`], [`CredentialsError::LastRecipient`], or when a secret cannot be opened or written.
    pub fn remove_recipient(&self, name: &str) -> Result<(Recipient, Vec<Entry>), CredentialsError> {
        let _lock = self.lock()?;
        let recipients = self.recipients()?;
        let meant = recipients.iter().find(|known| known.is_named(name)).cloned();
        let (removed, remaining): (Vec<Recipient>, Vec<Recipient>) = match meant {
            // A process that died may have come half way: everything is written then, and perhaps not committed. Or somebody has taken it
            // out of the list by hand, and nothing else.
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
            // Every line of the key goes: a commit can have added one with another role.
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
        // All are opened before the first is written.
        let mut all = Vec::new();
        for entry in self.list()? {
            let missing = || CredentialsError::Missing(format!("{} {}", entry.kind, entry.name));
            all.push(self.get(entry.kind, &entry.name)?.ok_or_else(missing)?);
        }
        // Nothing is written that nobody here could open again.
        let operators = recipients.iter().filter(|recipient| recipient.opens_all());
        let probe = sealed::seal(&String::from("probe").into(), operators).map_err(CredentialsError::Recipient)?;
        self.keys.open(&probe).map_err(CredentialsError::Unopenable)?;
        let lines: String = recipients.iter().map(|recipient| format!("{}\n", recipient.line())).collect();
        // Nor a list that nobody could read any more, or that says something else.
        let read = recipients_in(&lines).map_err(CredentialsError::Recipient)?;
        if !read.iter().map(Recipient::decision).eq(recipients.iter().map(Recipient::decision)) {
            return Err(CredentialsError::Recipient("its line would mean something else".to_owned()));
        }
        let list = || files::write(&self.root, &self.recipients_file(), &lines, 0o644);
        let is_first = self.recipients()?.is_empty();
        if is_first {
            // A secret that is stored from now on is encrypted.
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
            // If this process dies before, all of it is done again.
            list()?;
        }
        // The encrypted ones are there.
        for opened in &all {
            let path = self.plain().join(opened.entry().file());
            if fs::symlink_metadata(&path).is_ok() {
                files::remove(&self.root, &path)?;
            }
        }
        self.commit(&changed, message)
    }

    /// The recipients from before there were roles, if this user has not been told yet. Tells of them once.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn untold_without_role(&self) -> Result<Vec<Recipient>, CredentialsError> {
        let mut all = self.recipients()?;
        all.retain(|recipient| recipient.roles().is_none());
        if !all.is_empty() && !self.trust.is_told_first(&self.root, "recipients without roles")? {
            all.clear();
        }
        Ok(all)
    }
}
