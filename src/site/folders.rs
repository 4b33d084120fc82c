//! The user's folders, and where a site is found.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Lookup, Origin, SiteError};
use crate::environment::Environment;

/// The name of a site's file.
pub const SITE_FILE: &str = "apt-ci.toml";
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

/// How a site was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundBy {
    /// `--site` names it.
    Flag,
    /// `APT_CI_SITE` names it.
    Variable,
    /// The working directory or one above it has a site's file: anybody can have put it there.
    WorkingDir,
    /// It is in the user's configuration folder.
    User,
    /// It is in the machine's configuration folder.
    System,
}

/// A site's file, and how it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Located {
    pub(super) file: PathBuf,
    pub(super) by: FoundBy,
}

/// A path as it is meant by who wrote it: relative to `base`.
pub(super) fn resolve(base: &Path, path: &Path) -> PathBuf {
    // Through its components, which drops `.` and doubled slashes.
    base.join(path).components().collect()
}

/// The file of the site in use, or none.
pub(super) fn find(lookup: &Lookup<'_>, system: &Path) -> Result<Option<Located>, SiteError> {
    let Lookup { site, environment, working_dir, .. } = lookup;
    if let Some(site) = site {
        let file = named(Origin::Flag("--site"), resolve(working_dir, site))?;
        return Ok(Some(Located { file, by: FoundBy::Flag }));
    }
    if let Some(site) = environment.get("APT_CI_SITE") {
        let file = named(Origin::Variable("APT_CI_SITE"), resolve(working_dir, Path::new(site)))?;
        return Ok(Some(Located { file, by: FoundBy::Variable }));
    }
    let user = user_folder(environment, "XDG_CONFIG_HOME", ".config");
    let own = user.as_deref().map(|folder| (folder, FoundBy::User)).into_iter().chain([(system, FoundBy::System)]);
    // A working directory inside one of the configuration folders finds that folder, which is no stranger's.
    let by = |folder: &Path| own.clone().find(|(own, _)| *own == folder).map_or(FoundBy::WorkingDir, |(_, by)| by);
    let upwards = working_dir.ancestors().map(|folder| (folder, by(folder)));
    for (folder, by) in upwards.chain(own.clone()) {
        let file = folder.join(SITE_FILE);
        if is_file(&file)? {
            return Ok(Some(Located { file, by }));
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
