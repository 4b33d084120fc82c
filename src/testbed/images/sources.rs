//! Where an image's packages come from: a mirror, and apt's sources in the testbed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::archive::{Distribution, has_deb822_sources};
use crate::release::{Architecture, Release};

use super::ImageName;

/// Keyring of Ubuntu's archive on hosts that are no Ubuntu (package ubuntu-archive-keyring).
pub(super) const UBUNTU_KEYRING: &str = "/usr/share/keyrings/ubuntu-archive-keyring.gpg";
/// Keyring of Debian's archive (package debian-archive-keyring).
pub(super) const DEBIAN_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

const DEBIAN: &str = "http://deb.debian.org/debian";
const UBUNTU: &str = "http://archive.ubuntu.com/ubuntu";
/// Ubuntu's archive for architectures other than amd64 and i386.
const UBUNTU_PORTS: &str = "http://ports.ubuntu.com/ubuntu-ports";

/// apt's sources in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sources {
    mirror: String,
    suites: Vec<String>,
    components: &'static str,
    pub(super) keyring: Option<&'static str>,
    /// Name of the file in sources.list.d, without its ending. autopkgtest finds a release only in a file that is named
    /// after its distribution.
    distribution: &'static str,
    is_deb822: bool,
}

impl Sources {
    /// Returns the sources of a release at this mirror.
    pub(super) fn of(release: &Release, mirror: &str) -> Self {
        let name = release.as_str();
        let (suites, components, keyring, distribution) = match Distribution::of(release) {
            Distribution::Ubuntu => {
                let suites = vec![name.to_owned(), format!("{name}-updates"), format!("{name}-security")];
                (suites, "main restricted universe multiverse", Some(UBUNTU_KEYRING), "ubuntu")
            }
            Distribution::Debian => (vec![name.to_owned()], "main", Some(DEBIAN_KEYRING), "debian"),
            Distribution::Other => (vec![name.to_owned()], "main", None, "archive"),
        };
        let is_deb822 = has_deb822_sources(release);
        Self { mirror: mirror.to_owned(), suites, components, keyring, distribution, is_deb822 }
    }

    /// Returns the sources as lines of sources.list: packages, and source packages, which tests need.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |kind: &str, suite: &String| format!("{kind} {} {suite} {}", self.mirror, self.components);
        self.suites.iter().flat_map(|suite| ["deb", "deb-src"].map(|kind| line(kind, suite))).collect()
    }

    /// Returns the file in which the testbed has its sources, and its content.
    pub(super) fn file(&self) -> (PathBuf, String) {
        if !self.is_deb822 {
            return ("/etc/apt/sources.list".into(), self.lines().iter().map(|line| format!("{line}\n")).collect());
        }
        let signed_by = self.keyring.map(|keyring| format!("Signed-By: {keyring}\n")).unwrap_or_default();
        let text = format!(
            "Types: deb deb-src\nURIs: {}\nSuites: {}\nComponents: {}\n{signed_by}",
            self.mirror,
            self.suites.join(" "),
            self.components
        );
        (Path::new("/etc/apt/sources.list.d").join(format!("{}.sources", self.distribution)), text)
    }
}

/// Returns the mirror for an image: the one that this host's apt uses for the same distribution, else the
/// distribution's own. `None` for an unknown distribution.
pub(super) fn default_mirror(name: &ImageName) -> Option<String> {
    let distribution = Distribution::of(&name.release);
    let printed = Command::new("apt-get")
        .args(["indextargets", "--format", "$(ORIGIN) $(SITE)", "Created-By: Packages"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let printed = printed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    host_mirror(&printed, distribution).or_else(|| usual_mirror(distribution, &name.architecture))
}

/// Returns the first site of the distribution in apt's own words, one `ORIGIN SITE` in a line.
fn host_mirror(printed: &str, distribution: Distribution) -> Option<String> {
    let origin = match distribution {
        Distribution::Debian => "Debian",
        Distribution::Ubuntu => "Ubuntu",
        Distribution::Other => return None,
    };
    let mut sites = printed.lines().filter_map(|line| line.strip_prefix(origin)?.strip_prefix(' '));
    // Security updates have a server of their own, which has no release.
    sites.find(|site| !site.contains("security")).map(str::to_owned)
}

fn usual_mirror(distribution: Distribution, architecture: &Architecture) -> Option<String> {
    match distribution {
        Distribution::Debian => Some(DEBIAN.to_owned()),
        Distribution::Ubuntu if ["amd64", "i386"].contains(&architecture.as_str()) => Some(UBUNTU.to_owned()),
        Distribution::Ubuntu => Some(UBUNTU_PORTS.to_owned()),
        Distribution::Other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_releases_have_deb822_sources() {
        let file = |release: &str| Sources::of(&release.parse().unwrap(), "http://m/d").file();
        let (path, text) = file("bookworm");
        assert_eq!(path, Path::new("/etc/apt/sources.list"));
        assert_eq!(text, "deb http://m/d bookworm main\ndeb-src http://m/d bookworm main\n");
        let (path, text) = file("noble");
        assert_eq!(path, Path::new("/etc/apt/sources.list.d/ubuntu.sources"));
        assert_eq!(
            text,
            "Types: deb deb-src\nURIs: http://m/d\nSuites: noble noble-updates noble-security\n\
             Components: main restricted universe multiverse\nSigned-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg\n"
        );
        for old in ["wily", "mantic", "oldstable"] {
            assert_eq!(file(old).0, Path::new("/etc/apt/sources.list"), "{old}");
        }
        assert_eq!(file("sid").0, Path::new("/etc/apt/sources.list.d/debian.sources"));
        assert_eq!(file("hypothetical").0, Path::new("/etc/apt/sources.list.d/archive.sources"));
    }

    #[test]
    fn the_hosts_own_mirror_comes_first() {
        let printed = "Debian http://security.debian.org/debian-security\nOther http://o/\nDebian http://near/debian\n";
        assert_eq!(host_mirror(printed, Distribution::Debian).as_deref(), Some("http://near/debian"));
        assert_eq!(host_mirror(printed, Distribution::Ubuntu), None);
        let usual = |architecture: &str| usual_mirror(Distribution::Ubuntu, &architecture.parse().unwrap());
        assert_eq!(usual("amd64").as_deref(), Some(UBUNTU));
        assert_eq!(usual("armhf").as_deref(), Some(UBUNTU_PORTS));
    }
}
