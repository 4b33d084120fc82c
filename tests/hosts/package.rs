//! The Debian package: installed, upgraded and purged.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::Failed;
use testkit::host::{Host, SOURCE};
use testkit::site::{until, until_within};
use testkit::{Services, Story, Trial, stories};

use super::units::{HELD, RESTART_TIMEOUT, apt_ci, property, publish_site, request};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("an_upgrade_on_debian_12_ends_no_test", |_| upgrade("bookworm")),
        ("an_upgrade_on_debian_13_ends_no_test", |_| upgrade("trixie")),
    ];
    stories("package", services, all)
}

/// Builds the package in this version, once, with the program under test. Returns its path on a host.
fn built(version: &str) -> Result<String, Failed> {
    // Several builds would share a folder.
    static BUILD: Mutex<()> = Mutex::new(());
    let _building = BUILD.lock().unwrap_or_else(PoisonError::into_inner);
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let name = format!("target/deb/apt-ci_{version}_amd64.deb");
    let mut make = Command::new("make");
    let program = format!("PROGRAM={}", testkit::program().display());
    make.args(["deb", &program, &format!("DEB_VERSION={version}")]).current_dir(source);
    // cargo has set these for this program, and make would hand them on to another cargo.
    let output = make.env_remove("MAKEFLAGS").env_remove("MAKELEVEL").output()?;
    if !output.status.success() || !source.join(&name).exists() {
        return Err(format!("make deb: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(format!("{SOURCE}/{name}"))
}

fn install(host: &Host, package: &str) -> String {
    host.sh(&format!("DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends {package} 2>&1"))
}

fn upgrade(suite: &str) -> Result<(), Failed> {
    let (old, new) = (built("0.0.1")?, built("0.0.2")?);
    let host = Host::start(suite);
    publish_site(&host);
    install(&host, &old);
    let files = host.ok(&["dpkg", "--listfiles", "apt-ci"]);
    for file in [
        "/usr/bin/apt-ci",
        "/usr/share/man/man1/apt-ci-run.1.gz",
        "/usr/share/bash-completion/completions/apt-ci",
        "/usr/share/doc/apt-ci/changelog.gz",
        "/usr/share/doc/apt-ci/copyright",
        "/usr/share/doc/apt-ci/examples/site/apt-ci.toml",
    ] {
        assert!(files.lines().any(|line| line == file), "{file} is missing:\n{files}");
    }
    // Isolated testbeds need it.
    for file in ["/etc/subuid", "/etc/subgid"] {
        assert_eq!(host.sh(&format!("grep -c '^apt-ci:[0-9]*:65536$' {file}")), "1\n");
    }
    assert_eq!(host.sh("stat -c %U /var/lib/apt-ci"), "apt-ci\n");

    host.sh("git clone -q https://git.example.org/ci-site /etc/apt-ci; systemctl enable --now autopkgtest@1");
    let before = property(&host, "autopkgtest@1", "MainPID");
    let held = request(&host, "gzip", &format!("--env {HELD}"));
    until("the worker tests gzip", || apt_ci(&host, "worker status").contains("gzip"));
    install(&host, &new);
    assert_eq!(host.ok(&["dpkg-query", "-W", "-f", "${Version}", "apt-ci"]), "0.0.2");
    assert_eq!(property(&host, "autopkgtest@1", "MainPID"), before, "the upgrade does not wait for the test");
    host.write("/tmp/gate", "");
    until_within(RESTART_TIMEOUT, "systemd has started the worker again", || {
        property(&host, "autopkgtest@1", "ActiveState") == "active"
            && property(&host, "autopkgtest@1", "MainPID") != before
    });
    let results = apt_ci(&host, "results");
    assert!(results.lines().count() == 1 && results.contains("pass"), "{held}: {results}");
    let program = host.sh("readlink /proc/$(systemctl show -P MainPID autopkgtest@1)/exe");
    assert_eq!(program, "/usr/bin/apt-ci\n", "the new program serves");

    let purged = host.sh("DEBIAN_FRONTEND=noninteractive apt-get purge -y apt-ci 2>&1");
    assert!(purged.contains("/etc/apt-ci stays") && purged.contains("/var/lib/apt-ci stays"), "{purged}");
    for file in files.lines().filter(|file| file.contains("apt-ci") || file.contains("autopkgtest@")) {
        assert!(!host.run(&["test", "-e", file]).status.success(), "{file} is still there");
    }
    until("the worker has ended", || property(&host, "autopkgtest@1", "ActiveState") == "inactive");
    assert_eq!(host.sh("ls /etc/systemd/system/multi-user.target.wants | grep -c autopkgtest@ || true"), "0\n");
    assert_eq!(host.sh("ls /var/lib/apt-ci/results"), "autopkgtest-bookworm\n");
    Ok(())
}
