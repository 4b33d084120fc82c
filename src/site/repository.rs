//! The site's git repository: what a command changes, it commits.

use std::path::Path;

use git2::{Index, IndexEntry, IndexTime, Oid, Repository, Signature};

use super::SiteError;

/// A regular file.
const FILE: u32 = 0o100_644;

/// Commits these files, or that they are gone, and nothing else that may be changed or staged. Without a git repository nothing is done.
///
/// # Errors
/// When git fails. The files stay as they are.
pub(super) fn commit(root: &Path, files: &[&Path], message: &str) -> Result<(), SiteError> {
    let failed = |source| SiteError::Git { action: format!("commit the changes of {}", root.display()), source };
    match Repository::discover(root) {
        Err(error) if error.code() == git2::ErrorCode::NotFound => {
            tracing::warn!("{} is in no git repository: nothing is committed", root.display());
            Ok(())
        }
        Err(error) => Err(failed(error)),
        Ok(repository) => commit_to(&repository, files, message).map_err(failed),
    }
}

fn commit_to(repository: &Repository, files: &[&Path], message: &str) -> Result<(), git2::Error> {
    let Some(tree) = repository.workdir() else {
        return Err(git2::Error::from_str("the repository has no working tree"));
    };
    let tree = tree.canonicalize().map_err(|error| git2::Error::from_str(&error.to_string()))?;
    let head = match repository.head() {
        Ok(head) => Some(head.peel_to_commit()?),
        Err(error) if error.code() == git2::ErrorCode::UnbornBranch => None,
        Err(error) => return Err(error),
    };
    // An index of its own: what somebody else has staged stays staged, and is not committed.
    let mut index = Index::new()?;
    if let Some(head) = &head {
        index.read_tree(&head.tree()?)?;
    }
    let mut staged = repository.index()?;
    for file in files {
        let folder = file.parent().and_then(|folder| folder.canonicalize().ok());
        let path = folder.and_then(|folder| Some(folder.join(file.file_name()?)));
        let path = path.as_deref().and_then(|path| path.strip_prefix(&tree).ok());
        let path =
            path.ok_or_else(|| git2::Error::from_str(&format!("{} is not in the repository", file.display())))?;
        if file.exists() {
            let blob = repository.blob_path(file)?;
            index.add(&entry(path, blob))?;
            staged.add(&entry(path, blob))?;
        } else {
            // It may have been removed before, and not be known any more.
            let _ = index.remove_path(path);
            let _ = staged.remove_path(path);
        }
    }
    let new = repository.find_tree(index.write_tree_to(repository)?)?;
    if head.as_ref().is_some_and(|head| head.tree_id() == new.id()) {
        return Ok(());
    }
    // Staged and not committed does no harm; committed and not staged, the next commit of somebody else would take it back.
    staged.write()?;
    let author =
        repository.signature().or_else(|_| Signature::now("apt-ci", &format!("apt-ci@{}", crate::host::name())))?;
    let parents: Vec<&git2::Commit<'_>> = head.iter().collect();
    repository.commit(Some("HEAD"), &author, &author, &format!("{message}\n"), &new, &parents)?;
    Ok(())
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
