//! The site's git repository, to which commands commit their changes.

use std::path::{Path, PathBuf};

use git2::{ErrorCode, Index, IndexEntry, IndexTime, Oid, Repository, Signature};

use super::SiteError;

/// Mode of a regular file.
const FILE: u32 = 0o100_644;

/// Whether a folder is in a git repository.
pub(super) fn is_there(root: &Path) -> bool {
    Repository::discover(root).is_ok()
}

/// Returns a file of the last commit; none if it is not in it.
///
/// # Errors
/// When git fails.
pub(super) fn committed(root: &Path, file: &Path) -> Result<Option<String>, SiteError> {
    let action = || format!("read what was committed of {}", file.display());
    let failed = |error| SiteError::Git { action: action(), error, lock: None };
    let Ok(repository) = Repository::discover(root) else { return Ok(None) };
    let head = match repository.head() {
        Ok(head) => head.peel_to_tree().map_err(failed)?,
        Err(error) if error.code() == ErrorCode::UnbornBranch => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let path = within(&repository, file).map_err(failed)?;
    let object = match head.get_path(&path) {
        Ok(entry) => entry.to_object(&repository).map_err(failed)?,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    Ok(object.as_blob().map(|blob| String::from_utf8_lossy(blob.content()).into_owned()))
}

/// Returns the id of the last commit; none without git, or before the first one.
///
/// # Errors
/// When git fails.
pub(super) fn head(root: &Path) -> Result<Option<String>, SiteError> {
    let failed =
        |error| SiteError::Git { action: format!("read the history of {}", root.display()), error, lock: None };
    let Ok(repository) = Repository::discover(root) else { return Ok(None) };
    let commit = match repository.head() {
        Err(error) if error.code() == ErrorCode::UnbornBranch => return Ok(None),
        head => head.and_then(|head| head.peel_to_commit()),
    };
    Ok(Some(commit.map_err(failed)?.id().to_string()))
}

/// Returns the changes of a file since a commit: its text before and after each. None if the commit is unknown.
///
/// # Errors
/// When git fails.
pub(super) fn changes_since(root: &Path, file: &Path, since: &str) -> Result<Option<Vec<(String, String)>>, SiteError> {
    let failed =
        |error| SiteError::Git { action: format!("read the history of {}", file.display()), error, lock: None };
    let Ok(repository) = Repository::discover(root) else { return Ok(None) };
    let path = within(&repository, file).map_err(failed)?;
    let mut walk = repository.revwalk().map_err(failed)?;
    walk.push_head().map_err(failed)?;
    if Oid::from_str(since).and_then(|since| walk.hide(since)).is_err() {
        return Ok(None);
    }
    walk.map(|id| changes_by(&repository, &path, id?))
        .collect::<Result<Vec<_>, _>>()
        .map(|all| Some(all.concat()))
        .map_err(failed)
}

/// Returns the changes of the file in a commit, for each of its parents.
fn changes_by(repository: &Repository, path: &Path, id: Oid) -> Result<Vec<(String, String)>, git2::Error> {
    let blob_of = |commit: &git2::Commit<'_>| match commit.tree()?.get_path(path) {
        Ok(entry) => Ok(Some(entry.id())),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    // An object that is not a file, such as a folder, has no text.
    let text = |blob: Option<Oid>| {
        let blob = blob.and_then(|id| repository.find_blob(id).ok());
        blob.map(|blob| String::from_utf8_lossy(blob.content()).into_owned()).unwrap_or_default()
    };
    let commit = repository.find_commit(id)?;
    let after = blob_of(&commit)?;
    let mut changes = Vec::new();
    for parent in commit.parents() {
        let before = blob_of(&parent)?;
        if before != after {
            changes.push((text(before), text(after)));
        }
    }
    Ok(changes)
}

/// Commits the present state of these files, or their removal, and no other changes. Does nothing without a git
/// repository.
///
/// # Errors
/// When git fails. The files stay as they are.
pub(super) fn commit(root: &Path, files: &[&Path], message: &str) -> Result<(), SiteError> {
    let action = format!("commit the changes of {}", root.display());
    match Repository::discover(root) {
        Err(error) if error.code() == ErrorCode::NotFound => {
            tracing::warn!("{} is in no git repository: nothing is committed", root.display());
            Ok(())
        }
        Err(error) => Err(SiteError::Git { action, error, lock: None }),
        Ok(repository) => commit_to(&repository, files, message).map_err(|error| {
            let lock = (error.code() == ErrorCode::Locked).then(|| repository.path().join("index.lock"));
            SiteError::Git { action, error, lock: lock.filter(|lock| lock.exists()) }
        }),
    }
}

fn commit_to(repository: &Repository, files: &[&Path], message: &str) -> Result<(), git2::Error> {
    let head = match repository.head() {
        Ok(head) => Some(head.peel_to_commit()?),
        Err(error) if error.code() == ErrorCode::UnbornBranch => None,
        Err(error) => return Err(error),
    };
    // A separate index, so that other staged changes stay staged and are not committed.
    let mut index = Index::new()?;
    if let Some(head) = &head {
        index.read_tree(&head.tree()?)?;
    }
    let mut staged = repository.index()?;
    for file in files {
        let path = within(repository, file)?;
        if file.exists() {
            let blob = repository.blob_path(file)?;
            index.add(&entry(&path, blob))?;
            staged.add(&entry(&path, blob))?;
        } else {
            // It may have been removed from the index before.
            let _ = index.remove_path(&path);
            let _ = staged.remove_path(&path);
        }
    }
    let new = repository.find_tree(index.write_tree_to(repository)?)?;
    if head.as_ref().is_some_and(|head| head.tree_id() == new.id()) {
        return Ok(());
    }
    // Before the commit: if it was only committed, the next commit of the user would revert it.
    staged.write()?;
    let author =
        repository.signature().or_else(|_| Signature::now("apt-ci", &format!("apt-ci@{}", crate::host::name())))?;
    let parents: Vec<&git2::Commit<'_>> = head.iter().collect();
    repository.commit(Some("HEAD"), &author, &author, &format!("{message}\n"), &new, &parents)?;
    Ok(())
}

/// Returns a file's path in the repository's working tree. The file and its folder may be missing.
fn within(repository: &Repository, file: &Path) -> Result<PathBuf, git2::Error> {
    let said = |text: &str| git2::Error::from_str(text);
    let tree = repository.workdir().ok_or_else(|| said("the repository has no working tree"))?;
    let tree = tree.canonicalize().map_err(|error| said(&error.to_string()))?;
    let real = file.ancestors().skip(1).find_map(|folder| Some((folder, folder.canonicalize().ok()?)));
    let path = real.and_then(|(folder, real)| Some(real.join(file.strip_prefix(folder).ok()?)));
    let path = path.and_then(|path| path.strip_prefix(&tree).ok().map(Path::to_owned));
    path.ok_or_else(|| said(&format!("{} is not in the repository", file.display())))
}

fn entry(path: &Path, blob: Oid) -> IndexEntry {
    use std::os::unix::ffi::OsStrExt;
    let never = IndexTime::new(0, 0);
    IndexEntry {
        ctime: never,
        mtime: never,
        dev: 0,
        ino: 0,
        mode: FILE,
        uid: 0,
        gid: 0,
        file_size: 0,
        id: blob,
        flags: 0,
        flags_extended: 0,
        path: path.as_os_str().as_bytes().to_vec(),
    }
}
