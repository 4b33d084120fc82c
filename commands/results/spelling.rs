//! Typing errors in the names of releases and architectures.

use apt_ci::release::{Architecture, Release};
use apt_ci::site::Site;

use crate::ui::error::BadInput;

/// Refuses a release that the site does not have, if its name is similar to one that it has.
pub fn check_release(release: &Release, site: &Site) -> Result<(), BadInput> {
    let known: Vec<&str> = site.releases.value.keys().map(Release::as_str).collect();
    check("release", release.as_str(), &known)
}

/// Refuses an architecture that no release of the site has, if its name is similar to one that it has.
pub fn check_architecture(architecture: &Architecture, site: &Site) -> Result<(), BadInput> {
    let known: Vec<&str> = architectures(site).map(Architecture::as_str).collect();
    check("architecture", architecture.as_str(), &known)
}

/// Refuses misspelt releases and architectures, for a command that has found nothing there.
pub fn check_places<'a>(
    releases: impl IntoIterator<Item = &'a Release>,
    architecture: Option<&Architecture>,
    site: &Site,
) -> Result<(), BadInput> {
    for release in releases {
        check_release(release, site)?;
    }
    architecture.map_or(Ok(()), |architecture| check_architecture(architecture, site))
}

/// Returns the architectures of all releases of a site.
pub fn architectures(site: &Site) -> impl Iterator<Item = &Architecture> {
    site.releases.value.keys().filter_map(|release| site.architectures(release)).flatten()
}

/// Refuses a name that is unknown, but so similar to a known one that it is a typing error.
pub fn check(what: &str, name: &str, known: &[&str]) -> Result<(), BadInput> {
    match nearest(name, known) {
        Some(nearest) if !known.contains(&name) => {
            Err(BadInput { message: format!("unknown {what} {name}"), hint: Some(format!("did you mean {nearest}?")) })
        }
        _ => Ok(()),
    }
}

/// Returns the most similar name, if it is similar enough.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let ranked = known.iter().map(|known| (strsim::damerau_levenshtein(name, known), *known));
    let (distance, nearest) = ranked.min()?;
    (distance <= (nearest.len() / 3).max(1)).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_proposed_and_not_the_first() {
        assert_eq!(nearest("armhff", &["amd64", "arm64", "armel", "armhf"]), Some("armhf"));
        assert_eq!(nearest("nobel", &["jammy", "noble"]), Some("noble"));
        assert_eq!(nearest("sid", &["noble"]), None);
        assert!(check("release", "nobel", &["noble"]).unwrap_err().hint.unwrap().contains("noble"));
        check("release", "noble", &["noble", "nobla"]).unwrap();
        check("release", "bookworm", &["noble"]).unwrap();
    }
}
