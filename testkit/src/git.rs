//! A small project in git whose tests come with it, as a web server offers it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A project's working copy. What is committed can be fetched from `project.git` beside it.
pub struct Project {
    folder: PathBuf,
}

impl Project {
    /// A Debian package `hello-git` without build dependencies, with the tests `greets`, `fails`, `skips` and `installed`.
    pub fn new(folder: &Path) -> Self {
        let project = Self { folder: folder.join("project") };
        let rules = "#!/usr/bin/make -f\n\
            build build-arch build-indep:\n\
            clean:\n\trm -rf debian/hello-git debian/files debian/substvars\n\
            binary binary-arch binary-indep:\n\
            \tinstall -D -m 755 hello debian/hello-git/usr/bin/hello-git\n\
            \tmkdir -p debian/hello-git/DEBIAN\n\
            \tdpkg-gencontrol -Pdebian/hello-git\n\
            \tdpkg-deb --root-owner-group --build debian/hello-git ..\n";
        let control = "Source: hello-git\nMaintainer: Test <test@example.org>\nStandards-Version: 4.6.2\n\n\
            Package: hello-git\nArchitecture: all\nDescription: says hello\n";
        let tests = "Tests: greets\nDepends:\n\nTests: fails\nDepends:\n\nTests: skips\nDepends:\nRestrictions: skippable\n\n\
            Tests: installed\nDepends: @\n";
        project.write("debian/control", control);
        project.write("debian/changelog", "hello-git (1.0) unstable; urgency=medium\n\n  * First.\n\n -- Test <test@example.org>  Mon, 23 Nov 2026 12:00:00 +0000\n");
        project.write("debian/source/format", "3.0 (native)\n");
        project.write("debian/rules", rules);
        project.write("debian/tests/control", tests);
        project.write("debian/tests/greets", "#!/bin/sh\necho \"the mark is $MARK\"\n");
        project.write("debian/tests/fails", "#!/bin/sh\necho this goes wrong\nexit 1\n");
        project.write("debian/tests/skips", "#!/bin/sh\nexit 77\n");
        project.write("debian/tests/installed", "#!/bin/sh\nset -e\nhello-git\n");
        project.write("hello", "#!/bin/sh\necho built from git\n");
        project.git(&["init", "--quiet", "--initial-branch=main"]);
        project.commit("First");
        project
    }

    /// Writes a file, executable as far as it is a script.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).expect("a file");
        let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
    }

    /// Commits everything, and makes it what the web server offers.
    pub fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
        self.publish("HEAD", "refs/heads/main");
    }

    /// Offers the commit under a reference, such as `refs/pull/7/head`.
    pub fn publish(&self, commit: &str, reference: &str) {
        let bare = self.folder.with_file_name("project.git");
        if !bare.exists() {
            run(Command::new("git").args(["init", "--quiet", "--bare", "--initial-branch=main"]).arg(&bare));
        }
        let bare_name = bare.to_str().expect("a path in UTF-8");
        self.git(&["push", "--quiet", "--force", bare_name, &format!("{commit}:{reference}")]);
        run(Command::new("git").arg("--git-dir").arg(&bare).arg("update-server-info"));
    }

    /// Runs git in the working copy.
    pub fn git(&self, arguments: &[&str]) {
        let identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"];
        run(Command::new("git").arg("-C").arg(&self.folder).args(identity).args(arguments));
    }
}

#[track_caller]
fn run(command: &mut Command) {
    let command = command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let output = command.output().expect("git");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
