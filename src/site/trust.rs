//! Decisions of the user about sites: which ones are trusted, and to which recipients their secrets may be encrypted.
//!
//! A site can come with any directory, such as a clone of a repository or `/tmp`. It names the servers that get
//! passwords and the programs that are executed, so a site that was only found counts only if its user has trusted it.
//! The decisions are in the user's state folder, by canonical path and owner, and only the user can read them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};

use super::SiteError;
use super::error::shell_word;
use super::{exposure, folders};
use crate::environment::Environment;

/// Maximum size of the file, in bytes.
const MAX_SIZE: u64 = 1 << 20;

/// A site that its user trusts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustedSite {
    /// Its folder, without symbolic links.
    pub path: PathBuf,
    /// The user id of the folder's owner when it was trusted.
    pub owner: u32,
}

/// The content of the file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Decisions {
    #[serde(default)]
    trusted: Vec<TrustedSite>,
    /// Confirmed recipients, by site.
    #[serde(default)]
    recipients: BTreeMap<PathBuf, BTreeSet<String>>,
    /// Confirmed purposes of secrets, by site.
    #[serde(default)]
    agreed: BTreeMap<PathBuf, BTreeMap<String, String>>,
    /// Sites that have had confirmed recipients. No secret is stored unencrypted there.
    #[serde(default)]
    encrypted: BTreeSet<PathBuf>,
    /// The commit of each site up to which the recipients were checked.
    #[serde(default)]
    seen: BTreeMap<PathBuf, String>,
    /// Notes about a site that the user has seen, each of which is shown once.
    #[serde(default)]
    told: BTreeMap<PathBuf, BTreeSet<String>>,
}

/// The sites that this user trusts.
#[derive(Debug, Clone)]
pub struct TrustStore {
    file: PathBuf,
}

impl TrustStore {
    /// Returns the decisions of the user, in the state folder that the environment names.
    pub fn of_user(environment: &Environment) -> Self {
        Self { file: folders::state(environment).join("sites.json") }
    }

    /// Trusts the site in `dir`.
    ///
    /// # Errors
    /// When there is no site, other users could change it, or the decision cannot be written.
    pub fn trust(&self, dir: &Path) -> Result<TrustedSite, SiteError> {
        let path = canonical(dir)?;
        exposure::check(&path)?;
        let owner = fs::metadata(&path).map_err(|error| SiteError::io("look at", &path, error))?.uid();
        let site = TrustedSite { path, owner };
        self.change(|decisions| {
            decisions.trusted.retain(|known| known.path != site.path);
            decisions.trusted.push(site.clone());
            decisions.trusted.sort_by(|a, b| a.path.cmp(&b.path));
        })?;
        Ok(site)
    }

    /// Stops trusting the site in `dir`, which may be gone. Returns whether it was trusted.
    ///
    /// # Errors
    /// When the decision cannot be written.
    pub fn untrust(&self, dir: &Path) -> Result<bool, SiteError> {
        let path = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        let mut was_trusted = false;
        self.change(|decisions| {
            let before = decisions.trusted.len();
            decisions.trusted.retain(|known| known.path != path);
            was_trusted = decisions.trusted.len() < before;
            decisions.recipients.remove(&path);
            decisions.agreed.remove(&path);
            decisions.encrypted.remove(&path);
            decisions.seen.remove(&path);
        })?;
        Ok(was_trusted)
    }

    /// Returns the trusted sites, sorted by path.
    ///
    /// # Errors
    /// When the decisions cannot be read.
    pub fn list(&self) -> Result<Vec<TrustedSite>, SiteError> {
        Ok(self.read()?.trusted)
    }

    /// Refuses a site that the user has not trusted, that has another owner now, or that other users could change.
    ///
    /// # Errors
    /// [`SiteError::Untrusted`] or [`SiteError::Exposed`], or when the decisions cannot be read.
    pub fn check(&self, dir: &Path) -> Result<(), SiteError> {
        let path = canonical(dir)?;
        let owner = fs::metadata(&path).map_err(|error| SiteError::io("look at", &path, error))?.uid();
        let trusted = self.read()?.trusted;
        if !trusted.contains(&TrustedSite { path: path.clone(), owner }) {
            let is_known = trusted.iter().any(|known| known.path == path);
            return Err(SiteError::Untrusted { path, has_another_owner: is_known });
        }
        exposure::check(&path)
    }

    /// Returns the commit of the site in `dir` up to which the recipients were checked.
    pub(super) fn seen(&self, dir: &Path) -> Result<Option<String>, SiteError> {
        Ok(self.read()?.seen.remove(&canonical(dir)?))
    }

    /// Returns the `present` recipients of the site in `dir` that the user has confirmed. Deletes the decisions about
    /// others, and records that the recipients were checked up to the commit `head`.
    pub(super) fn confirmed(
        &self,
        dir: &Path,
        present: &BTreeSet<String>,
        head: Option<&str>,
    ) -> Result<BTreeSet<String>, SiteError> {
        let path = canonical(dir)?;
        let decisions = self.read()?;
        let confirmed = decisions.recipients.get(&path).cloned().unwrap_or_default();
        let seen = decisions.seen.get(&path).map(String::as_str);
        let is_news = head.is_some() && head != seen && (seen.is_some() || !confirmed.is_empty());
        if is_news || !confirmed.is_subset(present) {
            self.change(|decisions| {
                if let Some(known) = decisions.recipients.get_mut(&path).filter(|known| !known.is_empty()) {
                    decisions.encrypted.insert(path.clone());
                    known.retain(|recipient| present.contains(recipient));
                }
                decisions.seen.extend(head.map(|head| (path, head.to_owned())));
            })?;
        }
        Ok(confirmed.intersection(present).cloned().collect())
    }

    /// Confirms recipients of the site in `dir`, which is at the commit `head`.
    pub(super) fn confirm(
        &self,
        dir: &Path,
        recipients: impl Iterator<Item = String>,
        head: Option<String>,
    ) -> Result<(), SiteError> {
        let path = canonical(dir)?;
        self.change(|decisions| {
            let known = decisions.recipients.entry(path.clone()).or_default();
            known.extend(recipients);
            if !known.is_empty() {
                decisions.encrypted.insert(path.clone());
            }
            // The recorded commit stays: later ones have not been checked yet.
            if let Some(head) = head {
                decisions.seen.entry(path).or_insert(head);
            }
        })
    }

    /// Whether the user has ever confirmed recipients of the site in `dir`.
    pub(super) fn was_encrypted(&self, dir: &Path) -> Result<bool, SiteError> {
        Ok(self.read()?.encrypted.contains(&canonical(dir)?))
    }

    /// Returns the purposes of secrets in `dir` that the user has confirmed.
    pub(super) fn agreed(&self, dir: &Path) -> Result<BTreeMap<String, String>, SiteError> {
        Ok(self.read()?.agreed.remove(&canonical(dir)?).unwrap_or_default())
    }

    /// Confirms purposes of secrets in `dir`.
    pub(super) fn agree(&self, dir: &Path, what: impl Iterator<Item = (String, String)>) -> Result<(), SiteError> {
        let (path, what): (_, Vec<_>) = (canonical(dir)?, what.collect());
        if what.is_empty() {
            return Ok(());
        }
        self.change(|decisions| decisions.agreed.entry(path).or_default().extend(what))
    }

    /// Trusts the site that was just created in `dir`. Decisions about a former site in that place are deleted.
    ///
    /// # Errors
    /// When [`TrustStore::trust`] fails.
    pub fn trust_new(&self, dir: &Path) -> Result<TrustedSite, SiteError> {
        let path = canonical(dir)?;
        if self.file.exists() {
            self.change(|decisions| {
                decisions.recipients.remove(&path);
                decisions.agreed.remove(&path);
                decisions.encrypted.remove(&path);
                decisions.seen.remove(&path);
                decisions.told.remove(&path);
            })?;
        }
        self.trust(dir)
    }

    /// Whether a note about the site in `dir` is new for the user. Records it as seen.
    pub(super) fn is_new_note(&self, dir: &Path, what: &str) -> Result<bool, SiteError> {
        let path = canonical(dir)?;
        let mut is_first = false;
        self.change(|decisions| is_first = decisions.told.entry(path).or_default().insert(what.to_owned()))?;
        Ok(is_first)
    }

    fn read(&self) -> Result<Decisions, SiteError> {
        let io = |error| SiteError::io("read", &self.file, error);
        let file = match OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(&self.file) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Decisions::default()),
            Err(error) => return Err(io(error)),
        };
        let metadata = file.metadata().map_err(io)?;
        if metadata.uid() != geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
            let hint = Some(format!("rm {}; then trust the sites again", shell_word(&self.file)));
            return Err(SiteError::Exposed { path: self.file.clone(), reason: "can be written by others", hint });
        }
        let mut text = String::new();
        file.take(MAX_SIZE).read_to_string(&mut text).map_err(io)?;
        serde_json::from_str(&text).map_err(|error| SiteError::InvalidFile {
            path: self.file.clone(),
            line: error.line(),
            column: error.column(),
            message: "it is damaged, and tells of no decision".to_owned(),
            hint: Some(format!("`rm {}`, then trust the sites again", shell_word(&self.file))),
        })
    }

    /// Changes the decisions under a lock, and replaces the file atomically.
    fn change(&self, change: impl FnOnce(&mut Decisions)) -> Result<(), SiteError> {
        let io = |error| SiteError::io("write", &self.file, error);
        let folder = self.file.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
        let lock = File::open(folder).map_err(io)?;
        lock.lock().map_err(io)?;
        let mut decisions = self.read()?;
        change(&mut decisions);
        let text = serde_json::to_string_pretty(&decisions).map_err(|error| io(error.into()))? + "\n";
        let new = self.file.with_extension("json.new");
        // The file of a process that has died. The lock excludes others that write it.
        let _ = fs::remove_file(&new);
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &self.file)?;
            lock.sync_all()
        })();
        written.map_err(io)
    }
}

/// Returns the folder of a site without symbolic links.
fn canonical(dir: &Path) -> Result<PathBuf, SiteError> {
    dir.canonicalize().map_err(|error| SiteError::io("look at", dir, error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    struct Home {
        folder: tempfile::TempDir,
        store: TrustStore,
    }

    impl Home {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir_all(folder.path().join("up/site")).unwrap();
            fs::write(folder.path().join("up/site/apt-ci.toml"), "").unwrap();
            let environment = [("XDG_STATE_HOME".to_owned(), folder.path().join("state").display().to_string())];
            let store = TrustStore::of_user(&environment.into_iter().collect());
            Self { folder, store }
        }

        fn site(&self) -> PathBuf {
            self.folder.path().join("up/site")
        }

        fn mode(&self, below: &str, mode: u32) {
            fs::set_permissions(self.folder.path().join(below), fs::Permissions::from_mode(mode)).unwrap();
        }
    }

    #[test]
    fn a_site_is_trusted_until_it_is_not() {
        let home = Home::new();
        assert!(matches!(home.store.check(&home.site()), Err(SiteError::Untrusted { .. })));
        home.store.trust(&home.site()).unwrap();
        home.store.check(&home.site()).unwrap();
        let link = home.folder.path().join("link");
        symlink(home.site(), &link).unwrap();
        home.store.check(&link).expect("its canonical path counts");
        let file = home.folder.path().join("state/apt-ci/sites.json");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(home.store.list().unwrap().len(), 1);
        assert!(home.store.untrust(&home.site()).unwrap() && !home.store.untrust(&home.site()).unwrap());
        assert!(matches!(home.store.check(&home.site()), Err(SiteError::Untrusted { .. })));
    }

    #[test]
    fn a_site_that_others_can_change_is_refused() {
        let home = Home::new();
        home.store.trust(&home.site()).unwrap();
        for (place, open, closed) in
            [("up", 0o777, 0o755), ("up/site", 0o757, 0o755), ("up/site/apt-ci.toml", 0o646, 0o644)]
        {
            home.mode(place, open);
            let error = home.store.check(&home.site()).unwrap_err();
            assert!(
                matches!(&error, SiteError::Exposed { hint: Some(hint), .. } if hint.starts_with("chmod go-w ")),
                "{error}"
            );
            assert!(home.store.trust(&home.site()).is_err(), "{place}");
            home.mode(place, closed);
        }
        home.store.check(&home.site()).unwrap();
        // As with /tmp: only a sticky folder of root protects its files from others.
        home.mode("up", 0o1777);
        assert_eq!(home.store.check(&home.site()).is_ok(), geteuid().is_root());
        home.mode("up", 0o755);
        home.mode("up/site", 0o1777);
        let hint = home.store.check(&home.site()).unwrap_err().hint().unwrap();
        assert_eq!(hint, "move the site into a folder of its own", "nobody should close /tmp");
    }

    #[test]
    fn another_owner_needs_another_decision() {
        let home = Home::new();
        let trusted = home.store.trust(&home.site()).unwrap();
        home.store.change(|decisions| decisions.trusted[0].owner = trusted.owner + 1).unwrap();
        let error = home.store.check(&home.site()).unwrap_err();
        assert!(matches!(error, SiteError::Untrusted { has_another_owner: true, .. }), "{error}");
    }

    #[test]
    fn damaged_decisions_do_not_count_and_say_what_helps() {
        let home = Home::new();
        home.store.trust(&home.site()).unwrap();
        let file = home.folder.path().join("state/apt-ci/sites.json");
        fs::write(&file, "{\"trusted\": [").unwrap();
        let error = home.store.check(&home.site()).unwrap_err();
        assert!(error.to_string().contains("sites.json:1:"), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.starts_with("`rm ")), "{error:?}");
        assert!(home.store.trust(&home.site()).is_err(), "it is not overwritten");
    }

    #[test]
    fn decisions_that_others_could_have_written_do_not_count() {
        let home = Home::new();
        home.store.trust(&home.site()).unwrap();
        home.mode("state/apt-ci/sites.json", 0o666);
        assert!(matches!(home.store.check(&home.site()), Err(SiteError::Exposed { .. })));
    }
}
