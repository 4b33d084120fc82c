//! A distribution's archive in small: a release and its pocket with a few packages, and testbeds whose sources are this archive.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::daemon::run;
use super::files::FileServer;
use super::testbed::RELEASE;

/// The release's pocket.
pub const POCKET: &str = "bookworm-proposed";

/// The package whose test prints which versions it has, and needs `libbars`.
pub const TESTED: &str = "barsuser";

/// A package of the archive: source and binary package have the same name.
struct Package {
    name: &'static str,
    version: &'static str,
    suite: &'static str,
    depends: &'static str,
    /// The dependencies of its test, if it has one.
    test: Option<&'static str>,
}

const PACKAGES: [Package; 7] = [
    package("libbars", "1.0-1", RELEASE, ""),
    package("libbars", "2.0-1", POCKET, ""),
    package("helper", "1.0-1", RELEASE, ""),
    package("helper", "2.0-1", POCKET, ""),
    // It cannot be installed with the helper of the release.
    package("needy", "2.0-1", POCKET, "helper (>= 2.0)"),
    Package { test: Some("libbars"), ..package(TESTED, "1.0-1", RELEASE, "") },
    Package { test: Some("needy"), ..package("needyuser", "1.0-1", RELEASE, "") },
];

const fn package(name: &'static str, version: &'static str, suite: &'static str, depends: &'static str) -> Package {
    Package { name, version, suite, depends, test: None }
}

/// How a testbed's file of sources is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `/etc/apt/sources.list`.
    OneLine,
    /// A file that is named after nothing that autopkgtest looks for, with a stanza that is switched off.
    Deb822,
}

/// The archive on a web server. It stops, and goes away, when this is dropped.
pub struct Distribution {
    server: FileServer,
    folder: TempDir,
}

impl Distribution {
    /// Builds the packages and publishes them.
    pub fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        // An ordinary user reads the testbeds.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("an open folder");
        let www = folder.path().join("www");
        for (number, package) in PACKAGES.iter().enumerate() {
            let pool = www.join("pool").join(package.suite);
            fs::create_dir_all(&pool).expect("a pool");
            build(&folder.path().join(format!("build{number}")), package, &pool);
        }
        for suite in [RELEASE, POCKET] {
            publish(&www, suite);
        }
        Self { server: FileServer::start(&www), folder }
    }

    /// The archive's address.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// A copy of the testbed whose only source is the release at this address.
    pub fn testbed(&self, tarball: &Path, form: Form, url: &str) -> PathBuf {
        let tree = self.folder.path().join(uuid::Uuid::new_v4().simple().to_string());
        let parts = tree.join("etc/apt/sources.list.d");
        fs::create_dir_all(&parts).expect("a folder of sources");
        let one_line = match form {
            Form::OneLine => {
                format!(
                    "# comment\ndeb [trusted=yes] {url} {RELEASE} main # here\ndeb-src [trusted=yes] {url} {RELEASE} main\n"
                )
            }
            Form::Deb822 => String::new(),
        };
        fs::write(tree.join("etc/apt/sources.list"), one_line).expect("a file of sources");
        if form == Form::Deb822 {
            let off = "Types: deb\nURIs: http://127.0.0.1:1/nowhere\nSuites: bookworm\nComponents: main\nEnabled: no\n";
            let on = format!("types: deb deb-src\nURIs: {url}\nSuites: {RELEASE}\nComponents: main\nTrusted: yes\n");
            fs::write(parts.join("local.sources"), format!("{off}\n# The archive\n{on}")).expect("a file of sources");
        }
        let copy = tree.with_extension("tar");
        fs::copy(tarball, &copy).expect("a copy of the testbed");
        let mut append = Command::new("tar");
        append.args(["--append", "--owner=0", "--group=0", "--file"]).arg(&copy).arg("--directory").arg(&tree);
        run(append.arg("./etc/apt"));
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o644)).expect("an open file");
        copy
    }
}

fn build(folder: &Path, package: &Package, pool: &Path) {
    let Package { name, version, depends, test, .. } = package;
    let upstream = version.split('-').next().expect("a version");
    let tree = folder.join(format!("{name}-{upstream}"));
    let write = |file: &str, mode: u32, text: &str| {
        let file = tree.join(file);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder of the package");
        fs::write(&file, text).expect("a file of the package");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("the file's mode");
    };
    let maintainer = "Tests <tests@example.org>";
    let depends = if depends.is_empty() { String::new() } else { format!("Depends: {depends}\n") };
    let description = "Description: for tests\n It does nothing.\n";
    write(
        "debian/control",
        0o644,
        &format!(
            "Source: {name}\nSection: misc\nPriority: optional\nMaintainer: {maintainer}\nStandards-Version: 4.6.2\n\n\
         Package: {name}\nArchitecture: all\n{depends}{description}"
        ),
    );
    write(
        "debian/changelog",
        0o644,
        &format!(
            "{name} ({version}) unstable; urgency=medium\n\n  * For tests.\n\n -- {maintainer}  Mon, 01 Jan 2024 00:00:00 +0000\n"
        ),
    );
    write("debian/rules", 0o755, "#!/usr/bin/make -f\n%:\n\t:\n");
    write("debian/source/format", 0o644, "3.0 (quilt)\n");
    if let Some(needed) = test {
        write("debian/tests/control", 0o644, &format!("Tests: versions\nDepends: {name}, {needed}\n"));
        write(
            "debian/tests/versions",
            0o755,
            &format!("#!/bin/sh\ndpkg-query -W -f '${{Package}} is ${{Version}}\\n' {needed}\n"),
        );
    }
    write("file", 0o644, "a file\n");
    let orig = format!("{name}_{upstream}.orig.tar.gz");
    run(Command::new("tar")
        .args(["--create", "--gzip", "--exclude=debian", "--file", &orig])
        .arg(tree.file_name().expect("a name"))
        .current_dir(folder));
    run(Command::new("dpkg-source").arg("--build").arg(tree.file_name().expect("a name")).current_dir(folder));
    let binary = folder.join("binary");
    fs::create_dir_all(binary.join("DEBIAN")).expect("a folder of the package");
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: {maintainer}\n{depends}{description}"
    );
    fs::write(binary.join("DEBIAN/control"), control).expect("the package's description");
    let deb = format!("{name}_{version}_all.deb");
    run(Command::new("dpkg-deb").args(["--root-owner-group", "--build", "binary", &deb]).current_dir(folder));
    for file in fs::read_dir(folder).expect("what was built") {
        let file = file.expect("what was built").path();
        if file.is_file() {
            fs::copy(&file, pool.join(file.file_name().expect("a name"))).expect("a file of the archive");
        }
    }
}

/// Writes the indexes of a suite. They are not signed: the testbeds trust this archive.
fn publish(www: &Path, suite: &str) {
    let dists = www.join("dists").join(suite);
    let (binary, source) = (dists.join("main/binary-amd64"), dists.join("main/source"));
    for folder in [&binary, &source] {
        fs::create_dir_all(folder).expect("a folder of the archive");
    }
    let pool = format!("pool/{suite}");
    let index = |kind: &str| run(Command::new("apt-ftparchive").args(["--quiet", kind, &pool]).current_dir(www));
    fs::write(binary.join("Packages"), index("packages")).expect("the index of packages");
    fs::write(source.join("Sources"), index("sources")).expect("the index of sources");
    let mut release = Command::new("apt-ftparchive");
    for (field, value) in [
        ("Suite", suite),
        ("Codename", RELEASE),
        ("Architectures", "amd64"),
        ("Components", "main"),
        ("Origin", "Tests"),
    ] {
        release.arg("-o").arg(format!("APT::FTPArchive::Release::{field}={value}"));
    }
    let text = run(release.args(["--quiet", "release"]).arg(&dists));
    fs::write(dists.join("Release"), text).expect("the list of indexes");
}
