//! The user's folders, and where a site is found.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Lookup, Origin, SiteError};
use crate::environment::Environment;

/// The name of a site's file.
pub(super) const SITE_FILE: &str = "apt-ci.toml";
/// The site of the whole machine.
pub(super) const SYSTEM: &str = "/etc/apt-ci";

/// A folder of the XDG base directory specification; none for a service without a home.
fn user_folder(environment: &Environment, variable: &str, below_home: &str) -> Option<PathBuf> {
    // The specification says to ignore relative ones.
    let absolute = |name: &str| environment.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below_home))).map(|path| path.join("apt-ci"))
}

/// Where queue and results are if nothing else is said.
pub(super) fn data(environment: &Environment) -> PathBuf {
    user_folder(environment, "XDG_DATA_HOME", ".local/share").unwrap_or_else(|| PathBuf::from("/var/lib/apt-ci"))
}

/// Where copies of what stores tell are, which can be made anew at any time.
pub(super) fn cache(environment: &Environment) -> PathBuf {
    user_folder(environment, "XDG_CACHE_HOME", ".cache").unwrap_or_else(|| PathBuf::from("/var/cache/apt-ci"))
}

/// Where workers keep what they must not lose between two starts.
pub(super) fn state(environment: &Environment) -> PathBuf {
    user_folder(environment, "XDG_STATE_HOME", ".local/state").unwrap_or_else(|| PathBuf::from("/var/lib/apt-ci/state"))
}

/// A path as it is meant by who wrote it: relative to `base`.
pub(super) fn resolve(base: &Path, path: &Path) -> PathBuf {
    // Through its components, which drops `.` and doubled slashes.
    base.join(path).components().collect()
}

/// The file of the site in use, or none.
pub(super) fn find(lookup: &Lookup<'_>, system: &Path) -> Result<Option<PathBuf>, SiteError> {
    let Lookup { site, environment, working_dir, .. } = lookup;
    if let Some(site) = site {
        return named(Origin::Flag("--site"), resolve(working_dir, site)).map(Some);
    }
    if let Some(site) = environment.get("APT_CI_SITE") {
        return named(Origin::Variable("APT_CI_SITE"), resolve(working_dir, Path::new(site))).map(Some);
    }
    let user = user_folder(environment, "XDG_CONFIG_HOME", ".config");
    let folders = working_dir.ancestors().chain(user.as_deref()).chain([system]);
    for file in folders.map(|folder| folder.join(SITE_FILE)) {
        if is_file(&file)? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// The file of a site that somebody named: it must exist.
fn named(origin: Origin, path: PathBuf) -> Result<PathBuf, SiteError> {
    let file = if path.is_dir() { path.join(SITE_FILE) } else { path.clone() };
    if is_file(&file)? { Ok(file) } else { Err(SiteError::Missing { origin, path }) }
}

fn is_file(path: &Path) -> Result<bool, SiteError> {
    match path.metadata() {
        Ok(metadata) => Ok(metadata.is_file()),
        // A folder on the way up that this user may not look into holds no site of theirs.
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied) =>
        {
            Ok(false)
        }
        Err(error) => Err(SiteError::io("look at", path, error)),
    }
}
