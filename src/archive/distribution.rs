//! The distribution of a release, by its name.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use crate::release::Release;

/// Debian's and Ubuntu's lists of releases (package distro-info-data).
const DEBIAN_DATA: &str = "/usr/share/distro-info/debian.csv";
const UBUNTU_DATA: &str = "/usr/share/distro-info/ubuntu.csv";

/// Debian's names for hosts without that data, and the names that move from release to release.
const DEBIAN: [&str; 17] = [
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
    "experimental",
    "sid",
    "squeeze",
    "wheezy",
    "jessie",
    "stretch",
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
];

/// Ubuntu's releases before focal, oldest first.
const UBUNTU_BEFORE_FOCAL: [&str; 18] = [
    "lucid", "oneiric", "precise", "quantal", "raring", "saucy", "trusty", "utopic", "vivid", "wily", "xenial",
    "yakkety", "zesty", "artful", "bionic", "cosmic", "disco", "eoan",
];

/// Ubuntu's releases from focal on, for hosts without distro-info's data.
const UBUNTU: [&str; 13] = [
    "focal", "groovy", "hirsute", "impish", "jammy", "kinetic", "lunar", "mantic", "noble", "oracular", "plucky",
    "questing", "resolute",
];

/// The distribution of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distribution {
    /// Debian.
    Debian,
    /// Ubuntu.
    Ubuntu,
    /// Unknown.
    Other,
}

impl Distribution {
    /// Returns the distribution with a release of this name, from this host's distro-info data and a built-in list.
    pub fn of(release: &Release) -> Self {
        static NAMES: OnceLock<[BTreeSet<String>; 2]> = OnceLock::new();
        let [debian, ubuntu] = NAMES.get_or_init(|| [DEBIAN_DATA, UBUNTU_DATA].map(installed_names));
        let name = release.as_str();
        if DEBIAN.contains(&name) || debian.contains(name) {
            Self::Debian
        } else if UBUNTU_BEFORE_FOCAL.contains(&name) || UBUNTU.contains(&name) || ubuntu.contains(name) {
            Self::Ubuntu
        } else {
            Self::Other
        }
    }
}

/// Returns whether this is one of Ubuntu's releases before focal.
pub(super) fn is_ubuntu_before_focal(release: &Release) -> bool {
    UBUNTU_BEFORE_FOCAL.contains(&release.as_str())
}

/// Returns whether a release describes apt's sources in deb822 stanzas, as Debian does since trixie and Ubuntu since
/// noble. Unknown releases are taken for newer ones.
pub fn has_deb822_sources(release: &Release) -> bool {
    let name = release.as_str();
    let is_before = |names: &[&str], first: &str| names.iter().take_while(|one| **one != first).any(|one| *one == name);
    let moves = ["stable", "testing", "unstable", "experimental", "sid"];
    let is_old_debian = is_before(&DEBIAN, "trixie") && !moves.contains(&name);
    !is_old_debian && !is_before(&UBUNTU, "noble") && !is_ubuntu_before_focal(release)
}

fn installed_names(file: &str) -> BTreeSet<String> {
    names(&std::fs::read_to_string(file).unwrap_or_default())
}

/// Returns the column `series` of distro-info's data.
fn names(data: &str) -> BTreeSet<String> {
    let mut lines = data.lines();
    let column = lines.next().and_then(|heading| heading.split(',').position(|name| name == "series"));
    let Some(column) = column else { return BTreeSet::new() };
    lines.filter_map(|line| line.split(',').nth(column)).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_known_by_their_names() {
        for (release, expected) in [
            ("noble", Distribution::Ubuntu),
            ("xenial", Distribution::Ubuntu),
            ("trixie", Distribution::Debian),
            ("testing", Distribution::Debian),
            ("r0123", Distribution::Other),
        ] {
            assert_eq!(Distribution::of(&release.parse().unwrap()), expected, "{release}");
        }
    }

    #[test]
    fn distro_infos_data_names_newer_releases() {
        let data = "version,codename,series,created\n28.04 LTS,Zany Zebra,zany,2027-10-15\n,,,\nbroken\n";
        assert_eq!(names(data), BTreeSet::from(["zany".to_owned()]));
        assert_eq!(names("what,is,this\na,b,c\n"), BTreeSet::new());
    }
}
