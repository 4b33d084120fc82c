//! Passes the version to the program, with the commit that it is built from.

#![allow(clippy::print_stdout, reason = "cargo reads it")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let commit = commit(&root).map(|commit| format!(" ({commit})")).unwrap_or_default();
    println!("cargo::rustc-env=APT_CI_VERSION={version}{commit}");
    println!("cargo::rerun-if-changed=build.rs");
    for path in watched(&root) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
}

/// Returns the commit that is checked out in a folder as `HASH YYYY-MM-DD`. None when the folder is no git repository,
/// such as an unpacked source tarball.
pub fn commit(root: &Path) -> Option<String> {
    let printed = git(root, &["log", "--max-count=1", "--format=%H %cs"])?;
    let (hash, date) = printed.split_once(' ')?;
    Some(format!("{} {date}", hash.get(..12)?))
}

/// Returns the files that change whenever another commit is checked out. Cargo takes a file that does not exist as one
/// that has changed, so all of them exist.
pub fn watched(root: &Path) -> Vec<PathBuf> {
    let path = |name: &str| git(root, &["rev-parse", "--git-path", name]).map(|path| root.join(path));
    // The log of HEAD gets a line for each move. A repository can be without one.
    if let Some(log) = path("logs/HEAD").filter(|log| log.exists()) {
        return vec![log];
    }
    let mut files: Vec<PathBuf> =
        ["HEAD", "packed-refs", "reftable/tables.list"].into_iter().filter_map(path).collect();
    files.retain(|file| file.exists());
    // A branch that is only in packed-refs gets a file of its own with the next commit.
    let branch = git(root, &["symbolic-ref", "--quiet", "HEAD"]).and_then(|branch| path(&branch));
    let existing = branch.as_deref().and_then(|branch| branch.ancestors().find(|path| path.exists()));
    files.extend(existing.map(Path::to_owned));
    files
}

/// Returns what a git command prints about the repository of this very folder, not of one above it.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(root).args(["-c", "safe.directory=*", "-c", "log.showSignature=false"]).args(arguments);
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR"] {
        command.env_remove(variable);
    }
    command.env("GIT_CEILING_DIRECTORIES", root.parent()?);
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}
