//! Requirements of this host: what it needs to build an image, and to run tests in it.

use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

use super::ImageName;
use super::sources::Sources;
use crate::testbed::autopkgtest::is_executable;

/// Number of user ids that a testbed needs.
const IDS: u32 = 65_536;

/// Something that this host lacks, and how to provide it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Missing thing, as a clause.
    pub what: String,
    /// Command that provides it, or advice.
    pub remedy: String,
}

/// Returns everything that this host lacks, for an image and for the user of this process. `path_variable` is the text
/// of `PATH`.
pub(super) fn missing(name: &ImageName, path_variable: Option<&str>) -> Vec<Requirement> {
    let user = Uid::effective();
    if user.is_root() {
        return vec![Requirement {
            what: "root has no range of user ids to make testbeds with".to_owned(),
            remedy: "run it as an ordinary user, for example with `sudo -u apt-ci`".to_owned(),
        }];
    }
    let mut missing = Vec::new();
    for (program, package) in [("mmdebstrap", "mmdebstrap"), ("newuidmap", "uidmap"), ("tar", "tar")] {
        if find_program(program, path_variable).is_none() {
            missing.push(Requirement {
                what: format!("{program} is not installed"),
                remedy: format!("apt install {package}"),
            });
        }
    }
    if let Some(keyring) = Sources::of(&name.release, "").keyring.filter(|keyring| !Path::new(keyring).exists()) {
        let package = Path::new(keyring).file_stem().unwrap_or_default().to_string_lossy();
        missing.push(Requirement {
            what: format!("the keys of the archive of {} are missing ({keyring})", name.release),
            remedy: format!("apt install {package}"),
        });
    }
    let login = User::from_uid(user).ok().flatten().map(|user| user.name);
    let login = login.unwrap_or_else(|| user.to_string());
    let has_range = |file: &str| {
        fs::read_to_string(file).is_ok_and(|text| range(&text, &login, user.as_raw()).is_some_and(|count| count >= IDS))
    };
    if !has_range("/etc/subuid") || !has_range("/etc/subgid") {
        missing.push(Requirement {
            what: format!("{login} has no range of {IDS} user ids in /etc/subuid and /etc/subgid"),
            remedy: format!("usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {login}"),
        });
    }
    if fs::read_to_string("/proc/sys/kernel/unprivileged_userns_clone").is_ok_and(|text| text.trim() == "0") {
        missing.push(Requirement {
            what: "the kernel lets only root make user namespaces".to_owned(),
            remedy: "sysctl kernel.unprivileged_userns_clone=1".to_owned(),
        });
    }
    missing
}

/// Returns a program's path in the folders of `PATH`.
pub(super) fn find_program(name: &str, path_variable: Option<&str>) -> Option<PathBuf> {
    let folders = path_variable.unwrap_or("/usr/local/bin:/usr/bin:/bin").split(':').map(Path::new);
    folders.filter(|folder| folder.is_absolute()).map(|folder| folder.join(name)).find(|path| is_executable(path))
}

/// Returns the size of a user's largest range in a file like /etc/subuid, whose lines are `USER:FIRST:COUNT`.
fn range(text: &str, login: &str, id: u32) -> Option<u32> {
    let id = id.to_string();
    let ranges = text.lines().filter_map(|line| {
        let (user, range) = line.split_once(':')?;
        let (_first, count) = range.split_once(':')?;
        (user == login || user == id).then(|| count.trim().parse::<u32>().ok()).flatten()
    });
    ranges.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_belongs_to_a_name_or_a_number() {
        let text = "root:1:1\nann:100000:65536\n1001:165536:65536\nann:1:2\nbroken\nbad:x\n";
        assert_eq!(range(text, "ann", 1000), Some(65_536));
        assert_eq!(range(text, "bob", 1001), Some(65_536));
        assert_eq!(range(text, "eve", 1002), None);
        assert_eq!(range(text, "bad", 1002), None);
    }
}
