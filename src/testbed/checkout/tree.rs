//! The tree of a branch, before autopkgtest reads it on this host.
//!
//! autopkgtest parses some files of a tree itself, as the worker's user, and its log quotes them: a link would show a file of this host to
//! everybody who can read the log. Names in the tree are the branch's choice, and never a fault of this host.

use std::io::{self, ErrorKind};
use std::path::Path;

use nix::errno::Errno;

use crate::beneath::Folder;

/// What autopkgtest reads of a tree, or looks for; a folder comes before what is in it.
const READ_HERE: [&str; 5] = ["debian", "debian/control", "debian/changelog", "debian/tests", "debian/tests/control"];

/// autopkgtest takes a tree with this file for one that is built already.
const BUILT: &str = "debian/files";

/// Why a tree cannot be tested.
#[derive(Debug)]
pub(super) enum Fault {
    /// Something in it is not as it has to be.
    OfBranch(String),
    /// It cannot be read.
    OfHost(io::Error),
}

/// Makes sure that autopkgtest reads nothing outside the tree, and that it takes the tree for one that is not built.
pub(super) fn prepare(folder: &Path) -> Result<(), Fault> {
    let tree = Folder::open(folder).map_err(|error| Fault::OfBranch(format!("it is no folder: {error}")))?;
    for name in READ_HERE {
        is_there(&tree, name)?;
    }
    match tree.remove_file(Path::new(BUILT)) {
        // What is there in another form is seen below.
        Ok(()) => {}
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory) => {}
        Err(error) => return Err(Fault::OfHost(error)),
    }
    if is_there(&tree, BUILT)? {
        return Err(Fault::OfBranch(format!("its {BUILT} is a folder, or in one that is a link")));
    }
    Ok(())
}

/// Whether something is there for a program that follows links.
fn is_there(tree: &Folder, name: &str) -> Result<bool, Fault> {
    match tree.metadata_through_links(Path::new(name)) {
        Ok(_) => Ok(true),
        Err(error) => match Errno::from_raw(error.raw_os_error().unwrap_or_default()) {
            Errno::ENOENT | Errno::ENOTDIR => Ok(false),
            Errno::EXDEV => Err(Fault::OfBranch(format!("a link leads {name} out of the branch"))),
            Errno::ELOOP | Errno::ENAMETOOLONG => Err(Fault::OfBranch(format!("the links to {name} lead nowhere"))),
            _ => Err(Fault::OfHost(error)),
        },
    }
}
