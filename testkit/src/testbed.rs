//! An isolated testbed: a small Debian in a tarball, in which autopkgtest's unshare server runs a test as an ordinary user.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::daemon::run;

/// The release that is in the tarball.
pub const RELEASE: &str = "bookworm";

const MIRROR: &str = "http://deb.debian.org/debian bookworm main";

/// The tarball. It goes away when this is dropped.
pub struct Testbed {
    folder: TempDir,
}

impl Testbed {
    /// Makes it, with what every test of a package would install again: that takes a minute once, and not in each test.
    pub fn make() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        // An ordinary user reads it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("an open folder");
        let testbed = Self { folder };
        let compiler = testbed.without_compiler();
        let mut command = Command::new("mmdebstrap");
        command.args(["--quiet", "--variant=apt", "--include=dpkg-dev,make,fakeroot,git,ca-certificates"]);
        // The indexes stay, so that apt only looks whether there are newer ones.
        command.arg("--skip=cleanup/apt/lists");
        for option in
            ["Acquire::Languages \"none\"", "Acquire::GzipIndexes \"true\"", "APT::Install-Recommends \"false\""]
        {
            command.arg(format!("--aptopt={option}"));
        }
        command.arg("--dpkgopt=force-unsafe-io");
        for left_out in ["doc", "man", "locale"] {
            command.arg(format!("--dpkgopt=path-exclude=/usr/share/{left_out}/*"));
        }
        command.arg(format!("--customize-hook=upload {} /var/tmp/compiler.deb", compiler.display()));
        command.arg("--customize-hook=chroot \"$1\" dpkg --install /var/tmp/compiler.deb");
        command.arg("--customize-hook=rm \"$1/var/tmp/compiler.deb\"");
        // autopkgtest fetches packages' sources inside the testbed.
        command.arg(RELEASE).arg(testbed.tarball()).args([format!("deb {MIRROR}"), format!("deb-src {MIRROR}")]);
        run(&mut command);
        fs::set_permissions(testbed.tarball(), fs::Permissions::from_mode(0o644)).expect("an open file");
        testbed
    }

    /// The tarball's path.
    pub fn tarball(&self) -> PathBuf {
        self.folder.path().join("bookworm.tar")
    }

    /// A build-essential without the compilers, which the packages here do not need and which are larger than all the rest.
    fn without_compiler(&self) -> PathBuf {
        let tree = self.folder.path().join("build-essential");
        fs::create_dir_all(tree.join("DEBIAN")).expect("a folder of the package");
        let control = "Package: build-essential\nVersion: 99\nArchitecture: all\nMaintainer: Tests <tests@example.org>\n\
                       Depends: dpkg-dev, make\nDescription: what a package without a compiler needs\n";
        fs::write(tree.join("DEBIAN/control"), control).expect("the package's description");
        let package = tree.with_extension("deb");
        run(Command::new("dpkg-deb").args(["--root-owner-group", "--build"]).args([tree.as_path(), package.as_path()]));
        package
    }
}

/// worker.conf's section for this tarball.
pub fn virt(tarball: &Path) -> String {
    format!("[virt]\nargs = unshare --tarball {}\n", tarball.display())
}
