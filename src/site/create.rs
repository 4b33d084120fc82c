//! Creation of a site: the skeleton in `templates/site/` as a git repository with a first commit.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use git2::{Repository, Signature};

use super::SiteError;
use super::folders::SITE_FILE;

/// The files of a new site.
pub(super) const SKELETON: [(&str, &str); 4] = [
    (SITE_FILE, include_str!("../../templates/site/apt-ci.toml")),
    ("worker.conf", include_str!("../../templates/site/worker.conf")),
    ("README.md", include_str!("../../templates/site/README.md")),
    (".gitignore", include_str!("../../templates/site/gitignore")),
];

/// A site that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedSite {
    /// Its folder.
    pub root: PathBuf,
    /// The files in it, relative to the folder.
    pub files: Vec<PathBuf>,
    /// The id of the first commit.
    pub commit: String,
}

/// Creates a site in a new or empty folder.
///
/// # Errors
/// When the folder contains a site or something else, or cannot be written. Then everything that was created is
/// removed.
pub fn create(dir: &Path) -> Result<CreatedSite, SiteError> {
    let mut unfinished = UnfinishedSite::claim(dir)?;
    for (name, text) in SKELETON {
        let path = dir.join(name);
        let io = |error| SiteError::io("write", &path, error);
        // Only new files: another process may be creating a site here at the same time.
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(io)?;
        unfinished.made.push(path.clone());
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
    }
    unfinished.made.push(dir.join(".git"));
    let commit = commit(dir).map_err(|error| {
        let action = format!("make a git repository in {}", dir.display());
        SiteError::Git { action, error, lock: None }
    })?;
    unfinished.finish();
    let files = SKELETON.iter().map(|(name, _)| PathBuf::from(name)).collect();
    Ok(CreatedSite { root: dir.to_owned(), files, commit })
}

/// A site that is being created. On drop, its files are removed unless it is finished.
struct UnfinishedSite {
    dir: PathBuf,
    /// Whether the folder itself was created, and so may be removed.
    is_new: bool,
    made: Vec<PathBuf>,
}

impl UnfinishedSite {
    /// Creates the folder, or takes an empty one.
    fn claim(dir: &Path) -> Result<Self, SiteError> {
        let occupied = |reason, hint| Err(SiteError::Occupied { path: dir.to_owned(), reason, hint });
        if let Some(parent) = dir.parent() {
            fs::create_dir_all(parent).map_err(|error| SiteError::io("make", parent, error))?;
        }
        let is_new = match fs::create_dir(dir) {
            Ok(()) => true,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(SiteError::io("make", dir, error)),
        };
        let claimed = Self { dir: dir.to_owned(), is_new, made: Vec::new() };
        if !is_new {
            if !dir.is_dir() {
                return occupied("is not a folder", "name a new or empty folder");
            }
            if dir.join(SITE_FILE).exists() {
                return occupied("is a site already", "use it with --site, or name a new folder");
            }
            let mut entries = fs::read_dir(dir).map_err(|error| SiteError::io("read", dir, error))?;
            if entries.next().is_some() {
                return occupied(
                    "is not empty",
                    "name a new or empty folder; other files can be added to the site later",
                );
            }
        }
        Ok(claimed)
    }

    fn finish(mut self) {
        self.is_new = false;
        self.made.clear();
    }
}

impl Drop for UnfinishedSite {
    fn drop(&mut self) {
        for path in &self.made {
            let result = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            if let Err(error) = result
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "left over from an unfinished site");
            }
        }
        // Only an empty folder: anything in it now belongs to another process.
        if self.is_new
            && let Err(error) = fs::remove_dir(&self.dir)
        {
            tracing::warn!(path = %self.dir.display(), %error, "left over from an unfinished site");
        }
    }
}

fn commit(dir: &Path) -> Result<String, git2::Error> {
    let repository = Repository::init(dir)?;
    let mut index = repository.index()?;
    for (name, _) in SKELETON {
        // One by one, because `add_all` would respect the user's global list of ignored files.
        index.add_path(Path::new(name))?;
    }
    index.write()?;
    let tree = repository.find_tree(index.write_tree()?)?;
    // Users without a name in git's configuration commit as well.
    let author =
        repository.signature().or_else(|_| Signature::now("apt-ci", &format!("apt-ci@{}", crate::host::name())))?;
    let message = "Start the site\n\nMade by apt-ci init: the built-in settings, and examples for workers.\n";
    Ok(repository.commit(Some("HEAD"), &author, &author, message, &tree, &[])?.to_string())
}
