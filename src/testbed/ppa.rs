//! Package archives (PPAs) for a testbed: files that are copied in, and that the [setup script](super::apt) puts into
//! their places.
//!
//! No token is on a command line, which everybody on this host can read: tokens are in a file of the owner alone.
//!
//! The script puts the sources in place, and not `--copy`, because the pocket's sources are derived from the existing
//! ones, and a PPA has no pocket. The logins are copied to their place directly: autopkgtest gives copied files to the
//! testbed's user that fetches source packages, who must be able to read them.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::TestbedError;
use crate::release::Release;
use crate::request::Ppa;

/// Folder in the testbed to which sources and keys are copied.
pub(super) const IN_TESTBED: &str = "/tmp/apt-ci-ppas";

/// File in the testbed in which apt looks for the logins.
const LOGINS_IN_TESTBED: &str = "/etc/apt/auth.conf.d/apt-ci-ppas.conf";

/// Parts of the folder: files that everybody may read, and those for the owner alone.
const PUBLIC: &str = "public";
const LOGINS: &str = "logins";

/// A PPA with the data from Launchpad.
#[derive(Debug, Clone)]
pub struct PpaAccess {
    /// PPA.
    pub ppa: Ppa,
    /// Address of its archive, without credentials.
    pub archive_url: String,
    /// Signing key in OpenPGP's binary form: apt of older releases reads no other form.
    pub key: Vec<u8>,
}

/// Returns autopkgtest's arguments for the PPAs, whose files are in the folder.
pub(super) fn arguments(folder: &Path, ppas: &[Ppa]) -> Vec<String> {
    let copy = |part, to| ["--copy".to_owned(), format!("{}:{to}", folder.join(part).to_string_lossy())];
    let mut words = copy(PUBLIC, IN_TESTBED).to_vec();
    if ppas.iter().any(|ppa| ppa.login().is_some()) {
        words.extend(copy(LOGINS, LOGINS_IN_TESTBED));
    }
    words
}

/// Writes the files of the PPAs for a release into the folder, which is recreated, for its owner alone.
///
/// # Errors
/// Fails when a key or address is invalid, or the files cannot be written.
pub fn write(folder: &Path, release: &Release, ppas: &[PpaAccess]) -> Result<(), TestbedError> {
    let mut sources = String::new();
    let mut logins = String::new();
    let mut keys = Vec::new();
    for access in ppas {
        let fault = |reason: &str| TestbedError::Ppa { ppa: access.ppa.to_string(), reason: reason.to_owned() };
        let url = archive_url(&access.archive_url).ok_or_else(|| fault("its archive has no proper address"))?;
        // The order matters: apt takes the first of equal versions.
        sources.push_str(&format!("deb {url} {release} main\ndeb-src {url} {release} main\n"));
        if let Some(login) = access.ppa.login() {
            logins.push_str(&login_line(&url, &login.user, &login.token));
        }
        keys.push(&access.key);
    }
    let save = || {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let public = folder.join(PUBLIC);
        for folder in [folder, &public] {
            DirBuilder::new().mode(0o700).create(folder)?;
        }
        let file = |path: PathBuf, bytes: &[u8]| {
            File::options().write(true).create_new(true).mode(0o600).open(path)?.write_all(bytes)
        };
        if !logins.is_empty() {
            file(folder.join(LOGINS), logins.as_bytes())?;
        }
        // The names are fixed, without the PPA's name: apt ignores files with a + in their names.
        file(public.join("apt-ci-ppas.list"), sources.as_bytes())?;
        let mut keys = keys.iter().enumerate();
        keys.try_for_each(|(number, key)| file(public.join(format!("apt-ci-ppa-{number:02}.gpg")), key))
    };
    save().map_err(|source| TestbedError::Io { action: format!("writing {}", folder.display()), source })
}

/// Returns the address if apt accepts it.
pub(super) fn archive_url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some())?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    (plain && url.fragment().is_none()).then(|| url.as_str().trim_end_matches('/').to_owned())
}

/// Returns a line of apt's auth.conf. Without a scheme, apt assumes https, in every version that reads these files;
/// only newer versions know a scheme, which http needs.
fn login_line(url: &str, user: &str, token: &SecretString) -> String {
    let machine = url.strip_prefix("https://").unwrap_or(url);
    format!("machine {machine} login {user} password {}\n", token.expose_secret())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const KEY: &[u8] = b"\x99\x02 a key";

    fn access(ppa: &str, archive_url: &str) -> PpaAccess {
        PpaAccess { ppa: ppa.parse().unwrap(), archive_url: archive_url.to_owned(), key: KEY.to_owned() }
    }

    #[test]
    fn a_testbed_gets_sources_in_their_order_keys_and_logins() {
        let work = tempfile::tempdir().unwrap();
        let folder = work.path().join("ppas");
        let release = "noble".parse().unwrap();
        let ppas = [
            access("me/one", "https://ppa.launchpadcontent.net/me/one/ubuntu/"),
            access("user:hunter2@me/two", "https://private-ppa.launchpadcontent.net/me/two/ubuntu"),
            access("user:hunter3@me/three", "http://127.0.0.1:8080/me/three"),
        ];
        // The second attempt overwrites the files of the first.
        for _ in 0..2 {
            write(&folder, &release, &ppas).unwrap();
        }
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(
            read("public/apt-ci-ppas.list"),
            "deb https://ppa.launchpadcontent.net/me/one/ubuntu noble main\n\
             deb-src https://ppa.launchpadcontent.net/me/one/ubuntu noble main\n\
             deb https://private-ppa.launchpadcontent.net/me/two/ubuntu noble main\n\
             deb-src https://private-ppa.launchpadcontent.net/me/two/ubuntu noble main\n\
             deb http://127.0.0.1:8080/me/three noble main\n\
             deb-src http://127.0.0.1:8080/me/three noble main\n"
        );
        assert_eq!(
            read("logins"),
            "machine private-ppa.launchpadcontent.net/me/two/ubuntu login user password hunter2\n\
             machine http://127.0.0.1:8080/me/three login user password hunter3\n"
        );
        assert_eq!(fs::read(folder.join("public/apt-ci-ppa-02.gpg")).unwrap(), KEY);
        for (name, mode) in [("", 0o700), ("public", 0o700), ("logins", 0o600), ("public/apt-ci-ppas.list", 0o600)] {
            assert_eq!(fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777, mode, "{name}");
        }
        assert!(!format!("{ppas:?}").contains("hunter"));
        let names: Vec<Ppa> = ppas.iter().map(|access| access.ppa.clone()).collect();
        assert!(!format!("{:?}", arguments(&folder, &names)).contains("hunter"));
    }

    #[test]
    fn what_launchpad_should_not_have_said_is_refused() {
        let work = tempfile::tempdir().unwrap();
        let folder = work.path().join("ppas");
        let release = "noble".parse().unwrap();
        for url in ["", "ftp://host/x", "https://u:p@host/x", "https://host/x#y", "https://host/x?y", "file:///x"] {
            let error = write(&folder, &release, &[access("me/one", url)]).unwrap_err().to_string();
            assert!(error.contains("me/one") && error.contains("address"), "{error}");
        }
        assert!(!folder.exists());
    }
}
