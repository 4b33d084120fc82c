//! An apt archive as PPAs are: a source package with a test, its binary package, and indexes that are signed with a fresh key.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::daemon::run;
use super::files::{Asked, FileServer};

/// The suite that archives have unless another is asked for.
const SUITE: &str = "bookworm";

/// The package in every archive, and its version.
pub const PACKAGE: &str = "hello-ppa";
pub const VERSION: &str = "1.0-1ppa1";

/// The test of the package: it passes with the archive's own version alone. It prints the archive's token wherever it can read
/// it, and keeps it, as a careless test may.
const TEST: &str = r#"#!/bin/sh
set -e
version=$(dpkg-query -W -f '${Version}' hello-ppa)
echo "hello-ppa is $version"
cat /etc/apt/sources.list.d/*.list /etc/apt/auth.conf.d/*.conf 2>/dev/null || true
cp /etc/apt/auth.conf.d/*.conf "$AUTOPKGTEST_ARTIFACTS" 2>/dev/null || true
env
[ "$version" = 1.0-1ppa1 ]
"#;

/// Archives on a web server of their own. It stops, and they go away, when this is dropped.
pub struct Archive {
    server: FileServer,
    folder: TempDir,
    suite: String,
    fingerprint: String,
    key: String,
}

impl Archive {
    /// Makes a key and the package; there is no archive yet.
    pub fn start() -> Self {
        Self::of_suite(SUITE)
    }

    /// The same for another suite.
    pub fn of_suite(suite: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let home = folder.path().join("gnupg");
        fs::create_dir(&home).expect("a folder for the key");
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).expect("a private folder");
        let www = folder.path().join("www");
        fs::create_dir(&www).expect("a folder for the archives");
        build(&folder.path().join("build"));
        let server = FileServer::start(&www);
        let mut archive =
            Self { server, folder, suite: suite.to_owned(), fingerprint: String::new(), key: String::new() };
        let user = "Launchpad PPA for Tests";
        run(archive.gpg().args(["--passphrase", "", "--quick-generate-key", user, "ed25519", "sign", "never"]));
        let listed = run(archive.gpg().args(["--with-colons", "--list-keys"]));
        let of_key = |line: &str| Some(line.strip_prefix("fpr:")?.trim_matches(':').to_owned());
        archive.fingerprint = listed.lines().find_map(of_key).expect("the key's fingerprint");
        archive.key = run(archive.gpg().args(["--armor", "--export"]));
        archive
    }

    /// The address that archives are below, as `launchpad.archive` of a site.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The fingerprint of the key that all archives here are signed with.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The public key, in its text form.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Publishes the package in the archive `OWNER/NAME`, for everybody.
    pub fn publish(&self, ppa: &str) {
        let root = self.folder.path().join("www").join(ppa).join("ubuntu");
        let pool = root.join("pool/main");
        let dists = root.join("dists").join(&self.suite);
        let (binary, source) = (dists.join("main/binary-amd64"), dists.join("main/source"));
        for folder in [&pool, &binary, &source] {
            fs::create_dir_all(folder).expect("a folder of the archive");
        }
        for file in fs::read_dir(self.folder.path().join("build")).expect("what was built") {
            let file = file.expect("what was built").path();
            if file.is_file() {
                fs::copy(&file, pool.join(file.file_name().expect("a name"))).expect("a file of the archive");
            }
        }
        let index = |kind: &str| run(Command::new("apt-ftparchive").args(["--quiet", kind, "pool"]).current_dir(&root));
        fs::write(binary.join("Packages"), index("packages")).expect("the index of packages");
        fs::write(source.join("Sources"), index("sources")).expect("the index of sources");
        let mut release = Command::new("apt-ftparchive");
        for (field, value) in [
            ("Origin", format!("LP-PPA-{}", ppa.replace('/', "-"))),
            ("Suite", self.suite.clone()),
            ("Codename", self.suite.clone()),
            ("Architectures", "amd64".to_owned()),
            ("Components", "main".to_owned()),
        ] {
            release.arg("-o").arg(format!("APT::FTPArchive::Release::{field}={value}"));
        }
        let text = run(release.args(["--quiet", "release"]).arg(&dists));
        let release = dists.join("Release");
        fs::write(&release, text).expect("the list of indexes");
        run(self.gpg().arg("--clearsign").arg("--output").arg(dists.join("InRelease")).arg(&release));
    }

    /// Removes the index of packages that the list of indexes names.
    pub fn withdraw_index(&self, ppa: &str) {
        let dists = self.folder.path().join("www").join(ppa).join("ubuntu/dists").join(&self.suite);
        fs::remove_file(dists.join("main/binary-amd64/Packages")).expect("an index that was there");
    }

    /// The same, for nobody but this user with this token.
    pub fn publish_private(&self, ppa: &str, user: &str, token: &str) {
        self.server.protect(&format!("/{ppa}"), user, token);
        self.publish(ppa);
    }

    /// Everything that was asked for so far.
    pub fn log(&self) -> Vec<Asked> {
        self.server.log()
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("gnupg")
    }

    fn gpg(&self) -> Command {
        let mut gpg = Command::new("gpg");
        gpg.args(["--batch", "--quiet", "--no-tty", "--yes"]).arg("--homedir").arg(self.home());
        gpg
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        // gpg leaves its agent running.
        let _ = Command::new("gpgconf").arg("--homedir").arg(self.home()).args(["--kill", "all"]).status();
    }
}

/// Builds the source and the binary package in this folder.
fn build(folder: &Path) {
    let tree = folder.join("hello-ppa-1.0");
    let maintainer = "Tests <tests@example.org>";
    let write = |file: &str, mode: u32, text: &str| {
        let file = tree.join(file);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder of the package");
        fs::write(&file, text).expect("a file of the package");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("the file's mode");
    };
    let description = "Description: says hello\n It is in a PPA alone.\n";
    let control = format!(
        "Source: {PACKAGE}\nSection: misc\nPriority: optional\nMaintainer: {maintainer}\nStandards-Version: 4.6.2\n\n\
         Package: {PACKAGE}\nArchitecture: all\n{description}"
    );
    let changelog = format!(
        "{PACKAGE} ({VERSION}) {SUITE}; urgency=medium\n\n  * For tests.\n\n -- {maintainer}  Mon, 01 Jan 2024 00:00:00 +0000\n"
    );
    write("hello", 0o644, "hello\n");
    write("debian/control", 0o644, &control);
    write("debian/changelog", 0o644, &changelog);
    write("debian/rules", 0o755, "#!/usr/bin/make -f\n%:\n\t:\n");
    write("debian/source/format", 0o644, "3.0 (quilt)\n");
    write("debian/tests/control", 0o644, "Tests: version\nDepends: hello-ppa\nRestrictions: allow-stderr\n");
    write("debian/tests/version", 0o755, TEST);
    let archive = "hello-ppa_1.0.orig.tar.gz";
    run(Command::new("tar")
        .args(["--create", "--gzip", "--exclude=debian", "--file", archive, "hello-ppa-1.0"])
        .current_dir(folder));
    run(Command::new("dpkg-source").args(["--build", "hello-ppa-1.0"]).current_dir(folder));

    let binary = folder.join("binary");
    fs::create_dir_all(binary.join("DEBIAN")).expect("a folder of the package");
    fs::create_dir_all(binary.join("usr/share/hello-ppa")).expect("a folder of the package");
    fs::copy(tree.join("hello"), binary.join("usr/share/hello-ppa/hello")).expect("a file of the package");
    let control =
        format!("Package: {PACKAGE}\nVersion: {VERSION}\nArchitecture: all\nMaintainer: {maintainer}\n{description}");
    fs::write(binary.join("DEBIAN/control"), control).expect("the package's description");
    let deb = format!("{PACKAGE}_{VERSION}_all.deb");
    run(Command::new("dpkg-deb").args(["--root-owner-group", "--build", "binary", &deb]).current_dir(folder));
}
