//! Tree of a branch, before autopkgtest reads it on this host.
//!
//! autopkgtest parses some files of a tree itself, as the worker's user, and its log quotes them: a link would show a
//! file of this host to everybody who can read the log. Names in the tree are chosen by the branch, and never a fault
//! of this host.

use std::io::{self, ErrorKind};
use std::path::Path;

use nix::errno::Errno;

use crate::confined_folder::ConfinedFolder;

/// Files and folders of a tree that autopkgtest reads; a folder comes before its files.
const FILES_READ_HERE: [&str; 5] =
    ["debian", "debian/control", "debian/changelog", "debian/tests", "debian/tests/control"];

/// File with which autopkgtest takes a tree for one that is already built.
const BUILT_MARK: &str = "debian/files";

/// Reason for which a tree cannot be tested.
#[derive(Debug)]
pub(super) enum TreeError {
    /// The branch contains something that it must not.
    InvalidBranch(String),
    /// The tree cannot be read.
    Io(io::Error),
}

/// Makes sure that autopkgtest reads nothing outside the tree, and that it takes the tree for one that is not built.
pub(super) fn prepare(folder: &Path) -> Result<(), TreeError> {
    let tree =
        ConfinedFolder::open(folder).map_err(|error| TreeError::InvalidBranch(format!("it is no folder: {error}")))?;
    for name in FILES_READ_HERE {
        is_there(&tree, name)?;
    }
    match tree.remove_file(Path::new(BUILT_MARK)) {
        // Other types of the entry are checked below.
        Ok(()) => {}
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory) => {}
        Err(error) => return Err(TreeError::Io(error)),
    }
    if is_there(&tree, BUILT_MARK)? {
        return Err(TreeError::InvalidBranch(format!("its {BUILT_MARK} is a folder, or in one that is a link")));
    }
    Ok(())
}

/// Whether the entry exists for a program that follows links.
fn is_there(tree: &ConfinedFolder, name: &str) -> Result<bool, TreeError> {
    match tree.metadata_through_links(Path::new(name)) {
        Ok(_) => Ok(true),
        Err(error) => match Errno::from_raw(error.raw_os_error().unwrap_or_default()) {
            Errno::ENOENT | Errno::ENOTDIR => Ok(false),
            Errno::EXDEV => Err(TreeError::InvalidBranch(format!("a link leads {name} out of the branch"))),
            Errno::ELOOP | Errno::ENAMETOOLONG => {
                Err(TreeError::InvalidBranch(format!("the links to {name} lead nowhere")))
            }
            _ => Err(TreeError::Io(error)),
        },
    }
}
