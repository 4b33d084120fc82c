//! Pockets with a release's new uploads, before they migrate into it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::distribution::{Distribution, is_ubuntu_before_focal};
use crate::release::{Architecture, Release};
use crate::request::Request;

/// The suite with a release's new uploads, such as `noble-proposed` for noble and `unstable` for Debian's testing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pocket(String);

/// A text that is not the name of a suite.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a pocket is the name of a suite: letters, digits and the characters . _ -, a letter first")]
pub struct InvalidPocket;

impl Pocket {
    /// Returns a release's default pocket, when its site does not set one: `RELEASE-proposed` for Ubuntu's releases,
    /// none for others.
    pub fn default_of(release: &Release) -> Option<Self> {
        (Distribution::of(release) == Distribution::Ubuntu).then(|| Self(format!("{release}-proposed")))
    }

    /// Returns the suite's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Pocket {
    type Err = InvalidPocket;

    fn from_str(text: &str) -> Result<Self, InvalidPocket> {
        let is_suite = text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.len() <= 80
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        if is_suite { Ok(Self(text.to_owned())) } else { Err(InvalidPocket) }
    }
}

/// The pockets of all releases: those that a site sets, and the default ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pockets {
    named: BTreeMap<Release, Option<Pocket>>,
}

/// Error for a request for everything in a pocket, on a release without one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{release} has no pocket with proposed packages, so all-proposed cannot be tested there")]
pub struct NoPocket {
    /// The release.
    pub release: Release,
}

impl NoPocket {
    /// Returns a hint for the user.
    pub fn hint(&self) -> String {
        let release = &self.release;
        format!(
            "set the pocket in [releases] of apt-ci.toml: {release} = {{ architectures = […], pocket = \"SUITE\" }}"
        )
    }
}

impl Pockets {
    /// Creates the pockets from those that a site sets; `None` for a release without one.
    pub fn new(named: BTreeMap<Release, Option<Pocket>>) -> Self {
        Self { named }
    }

    /// Returns a site's setting for a release's pocket: its name, or `none`.
    pub fn named(&self, release: &Release) -> Option<&str> {
        self.named.get(release).map(|pocket| pocket.as_ref().map_or("none", Pocket::as_str))
    }

    /// Returns a release's pocket: the site's, or else the default one.
    pub fn of(&self, release: &Release) -> Option<Pocket> {
        self.named.get(release).cloned().unwrap_or_else(|| Pocket::default_of(release))
    }

    /// Checks that a request for everything in a pocket is for a release that has one.
    ///
    /// # Errors
    /// [`NoPocket`].
    pub fn check(&self, request: &Request, release: &Release) -> Result<(), NoPocket> {
        if request.parameters().all_proposed && self.of(release).is_none() {
            return Err(NoPocket { release: release.clone() });
        }
        Ok(())
    }
}

/// Returns whether a release has testbeds of this architecture. Ubuntu's releases from focal on have none of i386,
/// which is only a foreign architecture there.
pub fn has_own_i386(release: &Release, architecture: &Architecture) -> bool {
    let is_older = || Distribution::of(release) == Distribution::Debian || is_ubuntu_before_focal(release);
    architecture.as_str() != "i386" || is_older()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ubuntus_releases_have_a_pocket_unless_the_site_names_one() {
        let pocket = |release: &str| Pocket::default_of(&release.parse().unwrap()).map(|pocket| pocket.to_string());
        assert_eq!(pocket("noble").as_deref(), Some("noble-proposed"));
        assert_eq!((pocket("sid"), pocket("bookworm"), pocket("r1")), (None, None, None));
    }

    #[test]
    fn a_site_decides_and_all_of_a_missing_pocket_is_refused() {
        let release = |name: &str| name.parse::<Release>().unwrap();
        let named = [(release("testing"), "unstable".parse().ok()), (release("noble"), None)];
        let pockets = Pockets::new(named.into_iter().collect());
        let all = Request::parse(br#"gzip {"all-proposed": "1"}"#).unwrap();
        assert_eq!(pockets.of(&release("testing")).unwrap().as_str(), "unstable");
        assert_eq!(pockets.of(&release("jammy")).unwrap().as_str(), "jammy-proposed");
        assert_eq!(pockets.check(&all, &release("testing")), Ok(()));
        for without in ["noble", "bookworm"] {
            let error = pockets.check(&all, &release(without)).unwrap_err();
            assert!(error.to_string().contains(without) && error.hint().contains("pocket = "), "{error}");
            // A trigger is proven against the release itself.
            let trigger = Request::parse(br#"gzip {"triggers": ["zlib/1"]}"#).unwrap();
            assert_eq!(pockets.check(&trigger, &release(without)), Ok(()));
        }
    }

    #[test]
    fn a_pocket_is_a_word_that_apt_and_a_shell_take_for_a_suite() {
        assert!("testing-proposed-updates".parse::<Pocket>().is_ok());
        for text in ["", "-x", "a b", "a/b", "a'b", "$(x)", "a=b", "1"] {
            assert_eq!(text.parse::<Pocket>(), Err(InvalidPocket), "{text}");
        }
    }
}
