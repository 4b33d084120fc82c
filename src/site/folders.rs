//! The user's folders, and the search for a site.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Lookup, Origin, SiteError};
use crate::environment::Environment;

/// The name of a site's file.
pub const SITE_FILE: &str = "apt-ci.toml";
/// The folder of the machine's site.
pub(super) const SYSTEM: &str = "/etc/apt-ci";

/// Returns a folder of the XDG base directory specification; none for a service without a home.
fn user_folder(environment: &Environment, variable: &str, below_home: &str) -> Option<PathBuf> {
    // The specification requires that relative paths are ignored.
    let absolute = |name: &str| environment.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below_home))).map(|path| path.join("apt-ci"))
}

/// Returns the default folder for queue and results.
pub(super) fn data(environment: &Environment) -> PathBuf {
    user_folder(environment, "XDG_DATA_HOME", ".local/share").unwrap_or_else(|| PathBuf::from("/var/lib/apt-ci"))
}

/// Returns the folder for indices of stores, which can be rebuilt at any time.
pub(super) fn cache(environment: &Environment) -> PathBuf {
    user_folder(environment, "XDG_CACHE_HOME", ".cache").unwrap_or_else(|| PathBuf::from("/var/cache/apt-ci"))
}

/// Returns the folder for what workers must not lose between two starts.
pub(super) fn state(environment: &Environment) -> PathBuf {
    user_folder(environment, "XDG_STATE_HOME", ".local/state").unwrap_or_else(|| PathBuf::from("/var/lib/apt-ci/state"))
}

/// The way in which a site was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundBy {
    /// Named by `--site`.
    Flag,
    /// Named by `APT_CI_SITE`.
    Variable,
    /// In the working directory or a parent of it. Such a site may come from anyone.
    WorkingDir,
    /// In the user's configuration folder.
    User,
    /// In the machine's configuration folder.
    System,
}

/// A site's file, and how it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LocatedSite {
    pub(super) file: PathBuf,
    pub(super) by: FoundBy,
}

/// Returns a path that is relative to `base`.
pub(super) fn resolve(base: &Path, path: &Path) -> PathBuf {
    // The components omit `.` and repeated slashes.
    base.join(path).components().collect()
}

/// Returns the file of the site in use, or none.
pub(super) fn find(lookup: &Lookup<'_>, system: &Path) -> Result<Option<LocatedSite>, SiteError> {
    let Lookup { site, environment, working_dir, .. } = lookup;
    if let Some(site) = site {
        let file = named(Origin::Flag("--site"), resolve(working_dir, site))?;
        return Ok(Some(LocatedSite { file, by: FoundBy::Flag }));
    }
    if let Some(site) = environment.get("APT_CI_SITE") {
        let file = named(Origin::Variable("APT_CI_SITE"), resolve(working_dir, Path::new(site)))?;
        return Ok(Some(LocatedSite { file, by: FoundBy::Variable }));
    }
    let user = user_folder(environment, "XDG_CONFIG_HOME", ".config");
    let own = user.as_deref().map(|folder| (folder, FoundBy::User)).into_iter().chain([(system, FoundBy::System)]);
    // The configuration folders are trusted, even when they contain the working directory.
    let by = |folder: &Path| own.clone().find(|(own, _)| *own == folder).map_or(FoundBy::WorkingDir, |(_, by)| by);
    let upwards = working_dir.ancestors().map(|folder| (folder, by(folder)));
    for (folder, by) in upwards.chain(own.clone()) {
        let file = folder.join(SITE_FILE);
        if is_file(&file)? {
            return Ok(Some(LocatedSite { file, by }));
        }
    }
    Ok(None)
}

/// Returns the file of a site that was named, which must exist.
fn named(origin: Origin, path: PathBuf) -> Result<PathBuf, SiteError> {
    let file = if path.is_dir() { path.join(SITE_FILE) } else { path.clone() };
    if is_file(&file)? { Ok(file) } else { Err(SiteError::Missing { origin, path }) }
}

fn is_file(path: &Path) -> Result<bool, SiteError> {
    match path.metadata() {
        Ok(metadata) => Ok(metadata.is_file()),
        // A parent folder that this user cannot read contains no site of theirs.
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied) =>
        {
            Ok(false)
        }
        Err(error) => Err(SiteError::io("look at", path, error)),
    }
}
