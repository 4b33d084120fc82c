//! Checks that other users cannot change a site: its files, those that they name, and the folders and links on their
//! paths.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{Gid, Group, User, geteuid};

use super::SiteError;
use super::error::shell_word;
use super::file::SiteFile;
use super::folders::SITE_FILE;
use super::hooks;
use crate::testbed::overrides::ListName;
use crate::testbed::{Definitions, WorkerConf};

/// Maximum number of links on a path, as in the kernel.
const MAX_LINKS: usize = 40;

/// Refuses a site that another user could change or replace. `root` is canonical.
///
/// Its folder, every file that says what is executed, tested or trusted, and every parent and link on their paths must
/// belong to this user or root, and only they may write them.
pub(super) fn check(root: &Path) -> Result<(), SiteError> {
    check_path(root)?;
    // Even in a sticky folder others could create files.
    check_one(root, &metadata_of(root)?, false)?;
    check_path(&root.join(SITE_FILE))?;
    for file in files(root) {
        check_path(&file)?;
    }
    check_below(&root.join("credentials"))
}

/// Returns the files of a site except for its first one and its credentials. They may be missing.
fn files(root: &Path) -> Vec<PathBuf> {
    let mut files = vec![root.join(hooks::FILE)];
    // An error in it is reported when it is read.
    let site = SiteFile::read(&root.join(SITE_FILE)).unwrap_or_default();
    if let Some(clouds) = site.swift.clouds_file {
        files.push(clouds.value.with_file_name("secure.yaml"));
        files.push(clouds.value);
    }
    let worker_conf = site.worker_conf.map_or_else(|| root.join("worker.conf"), |setting| setting.value);
    let (conf, _) = WorkerConf::examine(&worker_conf, &Definitions::default());
    files.push(worker_conf);
    if let Some(conf) = conf {
        let lists = conf.overrides_folder().into_iter();
        files.extend(lists.flat_map(|folder| ListName::ALL.map(|name| folder.join(name.as_str()))));
        files.extend(conf.runner().map(Path::to_owned));
    }
    files
}

fn metadata_of(place: &Path) -> Result<Metadata, SiteError> {
    fs::symlink_metadata(place).map_err(|error| SiteError::io("look at", place, error))
}

/// Checks a file or folder, and every folder and link on its path, as far as they exist.
fn check_path(path: &Path) -> Result<(), SiteError> {
    let owned =
        |path: &Path| path.components().rev().map(|part| part.as_os_str().to_owned()).collect::<Vec<OsString>>();
    let mut rest = owned(path);
    let mut here = PathBuf::new();
    let mut links = 0;
    while let Some(part) = rest.pop() {
        if part == ".." {
            here.pop();
            continue;
        }
        let next = here.join(&part);
        let metadata = match fs::symlink_metadata(&next) {
            Ok(metadata) => metadata,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
            Err(error) => return Err(SiteError::io("look at", &next, error)),
        };
        check_one(&next, &metadata, true)?;
        if !metadata.is_symlink() {
            here = next;
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(SiteError::io("look at", path, io::Error::from(Errno::ELOOP)));
        }
        rest.extend(owned(&fs::read_link(&next).map_err(|error| SiteError::io("look at", &next, error))?));
    }
    Ok(())
}

/// Checks a folder, its path, and everything in it.
fn check_below(folder: &Path) -> Result<(), SiteError> {
    check_path(folder)?;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // Links are refused when credentials are read.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let place = entry.path();
            let metadata = match fs::symlink_metadata(&place) {
                // Another process of this user may have replaced it.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                other => other.map_err(|error| SiteError::io("look at", &place, error))?,
            };
            check_one(&place, &metadata, false)?;
            if metadata.is_dir() {
                folders.push(place);
            }
        }
    }
    Ok(())
}

/// Checks one file, folder or link. A folder that only `leads` to what matters may be writable for all if it is sticky
/// and belongs to root, such as /tmp, because nobody else can rename or remove this user's files there.
fn check_one(place: &Path, metadata: &Metadata, leads: bool) -> Result<(), SiteError> {
    let exposed = |reason, hint| SiteError::Exposed { path: place.to_owned(), reason, hint };
    if metadata.uid() != 0 && metadata.uid() != geteuid().as_raw() {
        return Err(exposed("belongs to another user", None));
    }
    let mode = metadata.mode();
    let is_sticky = leads && metadata.is_dir() && mode & 0o1000 != 0 && metadata.uid() == 0;
    let is_open = mode & 0o002 != 0 || mode & 0o020 != 0 && !is_own_group(metadata.gid());
    // A link's own mode has no effect.
    if is_open && !is_sticky && !metadata.is_symlink() {
        // A public folder such as /tmp must stay public.
        let hint = match metadata.is_dir() && mode & 0o1000 != 0 {
            true => "move the site into a folder of its own".to_owned(),
            false => format!("chmod go-w {}", shell_word(place)),
        };
        return Err(exposed("can be written by others", Some(hint)));
    }
    Ok(())
}

/// Whether a group has no other member, like the groups that Debian creates for each user.
fn is_own_group(group: u32) -> bool {
    let user = User::from_uid(geteuid()).ok().flatten();
    let group = Group::from_gid(Gid::from_raw(group)).ok().flatten();
    match (user, group) {
        (Some(user), Some(group)) => group.name == user.name && group.mem.iter().all(|member| *member == user.name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, lchown, symlink};

    use super::*;

    struct Fixture(tempfile::TempDir);

    impl Fixture {
        /// Creates a site with everything that a site can contain, in `up/site`, and the files that it names, in
        /// `else`.
        fn new() -> Self {
            let place = Self(tempfile::tempdir().unwrap());
            for (file, text) in [
                ("else/real/apt-ci.toml", "worker-conf = \"../../else/w.conf\"\n[swift]\nclouds-file = \"c.yaml\"\n"),
                (
                    "else/w.conf",
                    "[autopkgtest]\ncheckout_dir = checkout\nper_package_config_dir = lists\n[virt]\nargs = null\n",
                ),
                ("else/checkout/runner/autopkgtest", "#!/bin/sh\n"),
                ("else/lists/never_run", ""),
                ("up/site/hooks.toml", ""),
                ("up/site/c.yaml", ""),
                ("up/site/secure.yaml", ""),
                ("up/site/credentials/recipients", ""),
                ("up/site/credentials/queue/me.json", ""),
            ] {
                let path = place.at(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            symlink("../../else/link/apt-ci.toml", place.at("up/site/apt-ci.toml")).unwrap();
            symlink("real", place.at("else/link")).unwrap();
            place
        }

        fn at(&self, below: &str) -> PathBuf {
            self.0.path().canonicalize().unwrap().join(below)
        }

        fn check(&self) -> Result<(), SiteError> {
            check(&self.at("up/site"))
        }
    }

    const PLACES: [&str; 18] = [
        "up",
        "up/site",
        "else",
        "else/real",
        "else/real/apt-ci.toml",
        "else/w.conf",
        "else/checkout",
        "else/checkout/runner",
        "else/checkout/runner/autopkgtest",
        "else/lists",
        "else/lists/never_run",
        "up/site/hooks.toml",
        "up/site/c.yaml",
        "up/site/secure.yaml",
        "up/site/credentials",
        "up/site/credentials/recipients",
        "up/site/credentials/queue",
        "up/site/credentials/queue/me.json",
    ];

    #[test]
    fn every_file_of_a_site_and_what_leads_to_it_is_checked() {
        let place = Fixture::new();
        place.check().unwrap();
        for below in PLACES {
            let path = place.at(below);
            let mode = fs::metadata(&path).unwrap().mode() & 0o7777;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode | 0o002)).unwrap();
            let error = place.check().expect_err(below);
            let SiteError::Exposed { path: found, hint: Some(hint), .. } = &error else { panic!("{below}: {error}") };
            assert_eq!((found, hint), (&path, &format!("chmod go-w {}", path.display())), "{below}");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        place.check().unwrap();
    }

    #[test]
    fn nothing_of_a_site_belongs_to_another_user() {
        // Only root can change the owner.
        if !geteuid().is_root() {
            return;
        }
        let place = Fixture::new();
        for below in PLACES.into_iter().chain(["else/link", "up/site/apt-ci.toml"]) {
            let give = |user| lchown(place.at(below), Some(user), None).unwrap();
            give(65534);
            let error = place.check().expect_err(below);
            assert!(
                matches!(&error, SiteError::Exposed { path, reason: "belongs to another user", .. } if *path == place.at(below)),
                "{below}: {error}"
            );
            give(0);
        }
        place.check().unwrap();
    }

    #[test]
    fn a_sticky_folder_leads_and_holds_no_site() {
        let place = Fixture::new();
        let open = |below| fs::set_permissions(place.at(below), fs::Permissions::from_mode(0o1777)).unwrap();
        open("up");
        // Only a sticky folder of root protects its files from others.
        assert_eq!(place.check().is_ok(), geteuid().is_root());
        open("up/site");
        assert!(matches!(place.check(), Err(SiteError::Exposed { .. })));
    }

    #[test]
    fn links_in_a_circle_lead_nowhere() {
        let place = Fixture::new();
        fs::remove_file(place.at("up/site/hooks.toml")).unwrap();
        symlink("hooks.toml", place.at("up/site/hooks.toml")).unwrap();
        assert!(matches!(place.check(), Err(SiteError::Io { .. })));
    }
}
