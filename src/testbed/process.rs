//! Process of a test, in a process group of its own that outlives neither the process nor the worker.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::warn;

use super::TestbedError;
use super::command_line::CommandLine;
use crate::exit_code::autopkgtest;

/// File with the standard output and error of the test's process. autopkgtest has a log of its own in the output
/// folder; this file matters when it crashes.
pub const CONSOLE: &str = "console";

/// Program that starts another one so that it gets a signal when its parent ends in any way. Without it, a test
/// outlives a worker that is killed. Part of util-linux, which Debian always has.
pub const SETPRIV: &str = "/usr/bin/setpriv";

/// Shell that runs a program under the usual umask. Under a strict one, such as a careful operator's or unit's,
/// testbeds would be readable for nobody but root.
const SHELL: [&str; 4] = ["/bin/sh", "-c", "umask 022; exec \"$@\"", "sh"];

/// Timeout for the end of a killed process.
const KILL_TIMEOUT: Duration = Duration::from_secs(30);

/// End of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The process ended by itself, with this code.
    Code(i32),
    /// A signal with this number ended the process.
    Signal(i32),
}

impl Exit {
    /// Returns the exit code for this end. A signal counts as a crash of autopkgtest, 1, because it never ends itself
    /// with a signal.
    pub fn exit_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(_) => autopkgtest::CRASHED,
        }
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or_default()),
        }
    }
}

/// A running test, or a program that prepares one. Dropping it kills its whole process group.
#[derive(Debug)]
pub struct Process {
    child: Child,
    group: Pid,
    exit: Option<Exit>,
}

impl Process {
    /// Starts a test in the folder `work_dir`, with its output in the file [`CONSOLE`] there, and without the withheld
    /// variables.
    ///
    /// Must be called from a task of the runtime, not from `spawn_blocking`: the system ends the child when the
    /// *thread* that started it ends.
    ///
    /// # Errors
    /// Fails when the program does not exist or cannot be started, or the file cannot be created.
    pub fn start(command: &CommandLine, work_dir: &Path, withheld: &[&str]) -> Result<Self, TestbedError> {
        Self::start_with(command, work_dir, &work_dir.join(CONSOLE), |child| {
            for name in withheld {
                child.env_remove(name);
            }
        })
    }

    /// Starts a program like [`Self::start`], with its output in another file.
    pub(super) fn start_logged(command: &CommandLine, work_dir: &Path, log: &Path) -> Result<Self, TestbedError> {
        Self::start_with(command, work_dir, log, |_| {})
    }

    /// Starts a program like [`Self::start`], with its output in another file, and with further preparations.
    pub(super) fn start_with(
        command: &CommandLine,
        work_dir: &Path,
        console: &Path,
        prepare: impl FnOnce(&mut Command),
    ) -> Result<Self, TestbedError> {
        let program = &command.program;
        let starting = |source| TestbedError::Io { action: format!("starting {}", program.display()), source };
        // The wrapper would report it only on the console.
        if let Err(error) = program.metadata() {
            return Err(starting(error));
        }
        let making = |source| TestbedError::Io { action: format!("making {}", console.display()), source };
        let output = File::create(console).map_err(making)?;
        let errors = output.try_clone().map_err(making)?;
        let mut words: Vec<&OsStr> = Vec::new();
        if Path::new(SETPRIV).is_file() {
            words.extend([SETPRIV, "--pdeathsig", "TERM", "--"].map(OsStr::new));
        } else {
            warn!("{SETPRIV} is missing: a test outlives its worker when that is killed");
        }
        if !has_usual_umask() {
            words.extend(SHELL.map(OsStr::new));
        }
        words.push(program.as_os_str());
        let mut words = words.into_iter();
        let mut child = Command::new(words.next().unwrap_or_default());
        child.args(words).args(&command.args);
        child.current_dir(work_dir).stdin(Stdio::null()).stdout(output).stderr(errors);
        prepare(&mut child);
        let child = child.process_group(0).kill_on_drop(true).spawn().map_err(starting)?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let group = Pid::from_raw(id.ok_or_else(|| starting(io::Error::other("it ended at once")))?);
        Ok(Self { child, group, exit: None })
    }

    /// Returns the id of the process, which is also that of its group.
    pub fn id(&self) -> i32 {
        self.group.as_raw()
    }

    /// Waits for the end, and kills what is left of the group then. Cancel-safe.
    ///
    /// # Errors
    /// Fails when the system cannot tell how it ended.
    pub async fn wait(&mut self) -> Result<Exit, TestbedError> {
        let exit = self.wait_for_leader().await?;
        self.signal(Signal::SIGKILL);
        Ok(exit)
    }

    /// Ends the test: sends TERM to its group, gives it time to clean up its testbed, then kills what is left.
    ///
    /// # Errors
    /// Fails when the system cannot tell how it ended.
    pub async fn terminate(&mut self, grace: Duration) -> Result<Exit, TestbedError> {
        let deadline = Instant::now() + grace;
        if self.exit.is_none() {
            self.signal(Signal::SIGTERM);
        }
        if let Ok(exit) = timeout_at(deadline, self.wait_for_leader()).await {
            let exit = exit?;
            // The virt server may still be removing its testbed.
            while self.group_is_there() && Instant::now() < deadline {
                sleep(Duration::from_millis(20)).await;
            }
            self.signal(Signal::SIGKILL);
            return Ok(exit);
        }
        self.signal(Signal::SIGKILL);
        match timeout(KILL_TIMEOUT, self.wait_for_leader()).await {
            Ok(exit) => exit,
            Err(_) => Err(self.waiting(io::Error::other("it does not even end when it is killed"))),
        }
    }

    async fn wait_for_leader(&mut self) -> Result<Exit, TestbedError> {
        if let Some(exit) = self.exit {
            return Ok(exit);
        }
        let exit = self.child.wait().await.map_err(|error| self.waiting(error))?.into();
        self.exit = Some(exit);
        Ok(exit)
    }

    fn waiting(&self, source: io::Error) -> TestbedError {
        TestbedError::Io { action: format!("waiting for process {}", self.group), source }
    }

    fn group_is_there(&self) -> bool {
        killpg(self.group, None) != Err(Errno::ESRCH)
    }

    /// Sends a signal to the group. A group that has ended is no error.
    fn signal(&self, signal: Signal) {
        match killpg(self.group, signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => warn!("sending {signal} to process group {}: {error}", self.group),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // After its end, the number may belong to another group.
        if self.exit.is_none() {
            self.signal(Signal::SIGKILL);
        }
    }
}

/// Whether this process has the usual umask. An unknown umask counts as another one.
fn has_usual_umask() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("Umask:")).is_some_and(|umask| umask.trim() == "0022")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn shell(script: &str) -> CommandLine {
        CommandLine { program: "/bin/sh".into(), args: vec!["-c".to_owned(), script.to_owned()] }
    }

    /// Waits until the condition holds; a minute is for a busy machine.
    async fn until(what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !condition() {
            assert!(Instant::now() < deadline, "waited in vain until {what}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Whether a process exists and is not a zombie.
    fn is_alive(id: &str) -> bool {
        let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else { return false };
        !matches!(stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()), None | Some('Z' | 'X'))
    }

    async fn read_when_there(folder: &TempDir, name: &str) -> String {
        let path = folder.path().join(name);
        until(name, || fs::read_to_string(&path).is_ok_and(|text| text.ends_with('\n'))).await;
        fs::read_to_string(path).unwrap().trim().to_owned()
    }

    #[tokio::test]
    async fn exit_codes_and_the_console_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Process::start(&shell("echo out; echo err >&2; exit 14"), folder.path(), &[]).unwrap();
        assert_eq!(process.wait().await.unwrap(), Exit::Code(14));
        assert_eq!(process.wait().await.unwrap(), Exit::Code(14), "asked again");
        assert_eq!(fs::read_to_string(folder.path().join(CONSOLE)).unwrap(), "out\nerr\n");
        let mut process = Process::start(&shell("kill -9 $$"), folder.path(), &[]).unwrap();
        let exit = process.wait().await.unwrap();
        assert_eq!((exit, exit.exit_code()), (Exit::Signal(9), 1));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let command = CommandLine { program: "/nonexistent/autopkgtest".into(), args: Vec::new() };
        let error = Process::start(&command, folder.path(), &[]).unwrap_err().to_string();
        assert!(error.starts_with("starting /nonexistent/autopkgtest: No such file"), "{error}");
    }

    #[tokio::test]
    async fn nothing_of_a_test_outlives_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Process::start(&shell("sleep 600 & echo $! > left; exit 0"), folder.path(), &[]).unwrap();
        assert_eq!(process.wait().await.unwrap(), Exit::Code(0));
        let left = read_when_there(&folder, "left").await;
        until("the process left behind is gone", || !is_alive(&left)).await;
    }

    #[tokio::test]
    async fn a_test_that_is_asked_to_end_may_clean_up() {
        let folder = tempfile::tempdir().unwrap();
        // The helper, a virt server, ends later than the shell that leads the group.
        let script = r#"trap 'exit 7' TERM
            sh -c 'trap "sleep 0.3; echo > cleaned; exit" TERM; echo > ready; while :; do sleep 0.05; done' &
            while :; do sleep 0.05; done"#;
        let mut process = Process::start(&shell(script), folder.path(), &[]).unwrap();
        read_when_there(&folder, "ready").await;
        assert_eq!(process.terminate(Duration::from_secs(60)).await.unwrap(), Exit::Code(7));
        assert!(folder.path().join("cleaned").exists());
    }

    #[tokio::test]
    async fn a_test_that_ignores_the_request_is_killed_with_its_helpers() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap '' TERM; sleep 600 & echo $! > helper; while :; do sleep 0.05; done";
        let mut process = Process::start(&shell(script), folder.path(), &[]).unwrap();
        let helper = read_when_there(&folder, "helper").await;
        assert_eq!(process.terminate(Duration::from_millis(200)).await.unwrap(), Exit::Signal(9));
        until("the helper is gone", || !is_alive(&helper)).await;
    }

    #[tokio::test]
    async fn a_dropped_test_is_killed_with_its_helpers() {
        let folder = tempfile::tempdir().unwrap();
        let process = Process::start(&shell("sleep 600 & echo $! > helper; wait"), folder.path(), &[]).unwrap();
        let helper = read_when_there(&folder, "helper").await;
        drop(process);
        until("the helper is gone", || !is_alive(&helper)).await;
    }

    #[tokio::test]
    async fn waiting_can_be_given_up_and_taken_up_again() {
        let folder = tempfile::tempdir().unwrap();
        let script = "while [ ! -e go ]; do sleep 0.02; done; exit 4";
        let mut process = Process::start(&shell(script), folder.path(), &[]).unwrap();
        assert!(timeout(Duration::from_millis(50), process.wait()).await.is_err());
        fs::write(folder.path().join("go"), "").unwrap();
        assert_eq!(process.wait().await.unwrap(), Exit::Code(4));
    }

    #[tokio::test]
    async fn a_test_never_sees_what_is_withheld_from_it() {
        let folder = tempfile::tempdir().unwrap();
        // cargo sets these variables for every test.
        let (withheld, other) = ("CARGO_PKG_NAME", "CARGO_PKG_VERSION");
        let mut process = Process::start(&shell("env > environment"), folder.path(), &[withheld]).unwrap();
        assert_eq!(process.wait().await.unwrap(), Exit::Code(0));
        let environment = fs::read_to_string(folder.path().join("environment")).unwrap();
        assert!(environment.contains(other) && !environment.contains(withheld), "{environment}");
    }
}
