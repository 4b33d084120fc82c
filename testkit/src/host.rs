//! A host with systemd: a container of LXC, which starts in a second and has no network. What it writes goes to a temporary
//! folder and is gone at its end.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::site::{Finished, finish, until_within};

/// Where a host sees the source tree.
pub const SOURCE: &str = "/usr/src/apt-ci";
/// Where a host sees the program under test.
pub const PROGRAM: &str = "/srv/built/apt-ci";

/// Timeout for systemd until it has started what it starts.
const BOOT_TIMEOUT: Duration = Duration::from_mins(1);

/// A running host. It is killed when it is dropped.
pub struct Host {
    folder: TempDir,
    name: String,
}

impl Host {
    /// Starts a host of this Debian release, and waits until systemd has started everything. Its root is made once and kept.
    pub fn start(suite: &str) -> Self {
        let source = source();
        let mut make = Command::new(source.join("scripts/make-root"));
        let made = finish_verbosely(make.args([suite, "host"]));
        let folder = TempDir::new().expect("a temporary folder");
        let name = format!("apt-ci-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
        let container = folder.path().join(&name);
        let upper = container.join("upper");
        fs::create_dir_all(&upper).expect("a folder");
        let program = super::program();
        let built = program.parent().expect("the folder of the program").display();
        let configuration = format!(
            "lxc.include = /usr/share/lxc/config/common.conf\n\
             lxc.uts.name = host1\n\
             lxc.rootfs.path = overlayfs:{}:{}\n\
             lxc.net.0.type = empty\n\
             lxc.apparmor.profile = unconfined\n\
             lxc.mount.auto = proc:mixed sys:mixed cgroup:mixed\n\
             lxc.mount.entry = {} {} none bind,ro,create=dir\n\
             lxc.mount.entry = {built} {} none bind,ro,create=dir\n",
            made.trim(),
            upper.display(),
            source.display(),
            &SOURCE[1..],
            Path::new(PROGRAM).parent().expect("a folder").display().to_string().trim_start_matches('/'),
        );
        fs::write(container.join("config"), configuration).expect("the host's configuration");
        let host = Self { folder, name };
        let log = host.folder.path().join("log");
        let mut start = host.lxc("lxc-start");
        let started = finish_with(start.arg("--logfile").arg(&log).arg("--daemon"));
        let said = || fs::read_to_string(&log).unwrap_or_default();
        assert!(started.status.success(), "{started:#?}\n{}", said());
        until_within(BOOT_TIMEOUT, "systemd has started everything", || {
            let state = host.run(&["systemctl", "is-system-running"]);
            assert_ne!(state.out, "degraded\n", "{}", host.run(&["systemctl", "--failed"]).out);
            state.out == "running\n"
        });
        host
    }

    /// Runs a command as root, in the root folder, to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        finish(self.attached(arguments))
    }

    /// Runs a command that succeeds. Returns what it printed.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let finished = self.run(arguments);
        assert!(finished.status.success(), "{arguments:?}: {finished:#?}");
        finished.out
    }

    /// Runs a line of shell that succeeds. Returns what it printed.
    #[track_caller]
    pub fn sh(&self, line: &str) -> String {
        self.ok(&["sh", "-euc", line])
    }

    /// Writes a file.
    #[track_caller]
    pub fn write(&self, path: &str, text: &str) {
        let mut command = self.attached(&["sh", "-euc", "mkdir -p \"${1%/*}\"; cat >\"$1\"", "sh", path]);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("the command starts");
        child.stdin.take().expect("its input").write_all(text.as_bytes()).expect("it reads");
        assert!(child.wait().expect("its end").success(), "{path}");
    }

    fn attached(&self, arguments: &[&str]) -> Command {
        let mut command = self.lxc("lxc-attach");
        command.args(["--clear-env", "--set-var", "HOME=/root", "--"]).args(arguments).stdin(Stdio::null());
        command
    }

    fn lxc(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("--lxcpath").arg(self.folder.path()).args(["--name", &self.name]).current_dir("/");
        command
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = finish_with(self.lxc("lxc-stop").arg("--kill"));
    }
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn finish_with(command: &mut Command) -> Finished {
    let output = command.stdin(Stdio::null()).output().expect("the command starts");
    Finished {
        status: output.status,
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The same for a command that may take minutes and says so on standard error.
fn finish_verbosely(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().expect("the command starts");
    assert!(output.status.success(), "{command:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
