//! The version that the program prints, and how the build finds the commit.

#[path = "../build.rs"]
#[allow(dead_code, reason = "its main function is cargo's")]
mod build;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use libtest_mimic::Failed;
use tempfile::TempDir;
use testkit::site::{TestSite, finish};
use testkit::{Services, Story, Trial, stories};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("the_version_names_the_commit", printed),
        ("the_commit_is_that_of_the_folder_itself", commit),
        ("every_move_of_head_is_noticed", moves),
    ];
    stories("version", services, all)
}

/// Runs git in a folder, as a user with a name and a fixed clock.
#[track_caller]
fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(["-c", "init.defaultBranch=main"]).args(arguments).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("GIT_CONFIG_NOSYSTEM", "1");
    let date = "2026-11-29T23:30:00 +0200";
    for (name, value) in [("HOME", "/nonexistent"), ("GIT_AUTHOR_DATE", date), ("GIT_COMMITTER_DATE", date)] {
        command.env(name, value);
    }
    for name in ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"] {
        command.env(name, "ann@example.org");
    }
    let finished = finish(command);
    assert!(finished.status.success(), "git {arguments:?}: {}", finished.err);
    finished.out.trim().to_owned()
}

/// A repository with one commit.
fn repository() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    git(folder.path(), &["init", "--quiet"]);
    git(folder.path(), &["commit", "--quiet", "--allow-empty", "--message", "one"]);
    folder
}

/// What the build prints for the commit that is checked out.
fn expected(folder: &Path) -> Option<String> {
    Some(format!("{} 2026-11-29", &git(folder, &["rev-parse", "HEAD"])[..12]))
}

fn printed(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let printed = site.ok(&["--version"]);
    assert_eq!(site.ok(&["-V"]), printed);
    let version = format!("apt-ci {}", env!("CARGO_PKG_VERSION"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if build::commit(root).is_none() {
        assert_eq!(printed, format!("{version}\n"));
        return Ok(());
    }
    // There may be a newer commit than that of the program.
    let commit = printed.trim_end().strip_prefix(&format!("{version} (")).and_then(|rest| rest.strip_suffix(')'));
    let (hash, date) = commit.and_then(|commit| commit.split_once(' ')).expect("a commit and its date");
    assert_eq!(hash.len(), 12, "{printed}");
    let mut command = Command::new("git");
    command.arg("-C").arg(root).args(["-c", "safe.directory=*", "log", "-1", "--format=%cs", hash]);
    assert_eq!(finish(command).out.trim(), date);
    Ok(())
}

fn commit(_: &Services) -> Result<(), Failed> {
    let repository = repository();
    let root = repository.path();
    assert_eq!(build::commit(root), expected(root));
    // A worktree, in which .git is a file.
    let worktree = TempDir::new()?;
    let tree = worktree.path().join("tree");
    git(root, &["worktree", "add", "--quiet", "-b", "other", tree.to_str().expect("a path in UTF-8")]);
    git(&tree, &["commit", "--quiet", "--allow-empty", "--message", "two"]);
    assert!(tree.join(".git").is_file());
    assert_eq!(build::commit(&tree), expected(&tree));
    assert_ne!(build::commit(&tree), build::commit(root));
    // A branch without a file of its own.
    git(root, &["pack-refs", "--all"]);
    assert_eq!(build::commit(root), expected(root));
    // A source tarball, also when it is unpacked in another repository.
    let tarball = root.join("tarball");
    fs::create_dir(&tarball)?;
    assert_eq!(build::commit(&tarball), None);
    assert_eq!(build::watched(&tarball), Vec::<PathBuf>::new());
    fs::write(tarball.join(".git"), "gitdir: /nonexistent\n")?;
    assert_eq!(build::commit(&tarball), None);
    Ok(())
}

/// What files and folders contain. One that is gone contains nothing.
fn contents(paths: &[PathBuf]) -> Vec<Vec<u8>> {
    let listed = |path: &PathBuf| {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.flat_map(|entry| entry.file_name().into_encoded_bytes()).collect()
    };
    paths.iter().map(|path| fs::read(path).unwrap_or_else(|_| listed(path))).collect()
}

fn moves(_: &Services) -> Result<(), Failed> {
    for has_log in [true, false] {
        let repository = repository();
        let root = repository.path();
        if !has_log {
            git(root, &["config", "core.logAllRefUpdates", "false"]);
            fs::remove_dir_all(root.join(".git/logs"))?;
        }
        // Whether one of the files that the build watches has changed after a command.
        let changes = |arguments: &[&str]| {
            let watched = build::watched(root);
            assert!(!watched.is_empty() && watched.iter().all(|path| path.exists()), "{watched:?}");
            let before = contents(&watched);
            git(root, arguments);
            before != contents(&watched)
        };
        let commit = ["commit", "--quiet", "--allow-empty", "--message", "another"];
        assert!(changes(&commit), "has a log: {has_log}");
        assert!(changes(&["checkout", "--quiet", "-b", "other"]), "has a log: {has_log}");
        assert!(changes(&commit), "has a log: {has_log}");
        // The branch is then without a file of its own.
        git(root, &["pack-refs", "--all"]);
        assert!(changes(&commit), "has a log: {has_log}");
        assert!(changes(&["checkout", "--quiet", "--detach", "main"]), "has a log: {has_log}");
        assert!(changes(&commit), "has a log: {has_log}");
        assert!(!changes(&["tag", "one"]), "has a log: {has_log}");
    }
    Ok(())
}
