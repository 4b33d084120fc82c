//! Checkout of a branch that autopkgtest does not fetch itself: by `git` or by Breezy, within limits of time and size.
//!
//! The address comes from a request, and thus from anybody; if that came over the web, only [public servers](Border)
//! are contacted. The fetch uses no prompt or login, only http, https and git (or bzr), also after a redirect; no
//! user's configuration, hooks or submodules; and nothing of the worker's environment except the settings of the
//! network.

mod address;
mod border;
mod fetch;
mod tree;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

pub use self::border::{AllowedHost, Border, Resolver};
use self::border::{BorderError, Route};
use self::fetch::Fetch;
use super::TestbedError;
use super::log::LiveLog;
use super::process::{Exit, Process};
use crate::environment::Environment;
use crate::request::TestSource;

/// Interval between checks of the size.
const SIZE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Number of the program's last lines that describe an error.
const LAST_LINES: usize = 3;

/// Beginning of an error about a branch that is over its limit.
pub(super) const TOO_LARGE: &str = "it is larger";

/// A branch, and the folder into which it is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// Branch.
    pub source: TestSource,
    /// Folder, which is recreated. Files whose names begin with its name belong to the checkout, too.
    pub folder: PathBuf,
    /// Whether the request came over the web: then only servers that the [`Border`] permits are contacted.
    pub from_web: bool,
}

/// Limits of a checkout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckoutLimits {
    /// Timeout for the fetch.
    pub time: Duration,
    /// Maximum size on disk, in bytes.
    pub bytes: u64,
}

impl Default for CheckoutLimits {
    fn default() -> Self {
        Self { time: Duration::from_secs(600), bytes: 4 << 30 }
    }
}

impl Checkout {
    /// Fetches the branch. Dropping the future ends the running program.
    ///
    /// Must be called from a task of the runtime, not from `spawn_blocking`, for the reason given at
    /// [`Process::start`].
    ///
    /// # Errors
    /// [`TestbedError::Checkout`] when it cannot be fetched within the limits, which may succeed later.
    /// [`TestbedError::Forbidden`] when it must not be fetched, and [`TestbedError::Unfit`] when autopkgtest must not
    /// read it.
    pub async fn fetch(
        &self,
        environment: &Environment,
        limits: &CheckoutLimits,
        border: &Border,
    ) -> Result<(), TestbedError> {
        let route = self.route(environment, border).await?;
        let fetched = self.fetch_all(environment, limits, route.as_ref()).await;
        let _ = fs::remove_dir_all(self.beside("home"));
        if fetched.is_err() {
            let _ = fs::remove_dir_all(&self.folder);
        }
        fetched
    }

    /// Returns how the server may be reached; `None` for a request that may reach every server.
    async fn route(&self, environment: &Environment, border: &Border) -> Result<Option<Route>, TestbedError> {
        if !self.from_web {
            return Ok(None);
        }
        let route = match &self.source {
            TestSource::TestGit(git) | TestSource::BuildGit(git) => border.route(git, environment).await,
            TestSource::TestBzr(_) => {
                Err(BorderError::Forbidden("requests over the web are fetched by git alone".to_owned()))
            }
        };
        route.map(Some).map_err(|barred| match barred {
            BorderError::Forbidden(reason) => TestbedError::Forbidden { address: self.address(), reason },
            BorderError::Unresolved(reason) => self.failed(reason),
        })
    }

    async fn fetch_all(
        &self,
        environment: &Environment,
        limits: &CheckoutLimits,
        route: Option<&Route>,
    ) -> Result<(), TestbedError> {
        let home = self.beside("home");
        for folder in [&home, &self.folder] {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(self.io("removing", folder, error)),
                _ => {}
            }
        }
        DirBuilder::new().mode(0o700).create(&home).map_err(|error| self.io("making", &home, error))?;
        let deadline = Instant::now() + limits.time;
        let fetch = Fetch::new(&self.source, &self.folder, &home, environment, route);
        let fetch = fetch.map_err(|reason| self.failed(reason))?;
        for command in &fetch.commands {
            let work_dir = self.folder.parent().unwrap_or(Path::new("/"));
            let console = self.beside("log");
            let process = Process::start_with(command, work_dir, &console, |child| {
                child.env_clear().envs(fetch.variables.iter().map(|(name, value)| (name, value)));
            });
            self.end_in_bounds(process?, deadline, limits).await?;
        }
        tree::prepare(&self.folder).map_err(|fault| match fault {
            tree::TreeError::InvalidBranch(reason) => TestbedError::Unfit { address: self.address(), reason },
            tree::TreeError::Io(error) => self.io("looking at", &self.folder, error),
        })
    }

    /// Waits until the process has ended successfully and within the limits.
    async fn end_in_bounds(
        &self,
        mut process: Process,
        deadline: Instant,
        limits: &CheckoutLimits,
    ) -> Result<(), TestbedError> {
        let exit = loop {
            tokio::select! {
                exit = process.wait() => break exit?,
                () = sleep_until(deadline) => {
                    return Err(self.failed(format!("it takes longer than {} s", limits.time.as_secs())));
                }
                () = sleep(SIZE_CHECK_INTERVAL) => {}
            }
            self.check_size(limits).await?;
        };
        if exit != Exit::Code(0) {
            return Err(self.failed(self.last_words(exit)));
        }
        self.check_size(limits).await
    }

    async fn check_size(&self, limits: &CheckoutLimits) -> Result<(), TestbedError> {
        let folder = self.folder.clone();
        let bytes = limits.bytes;
        // Walking through a large tree takes a while.
        match tokio::task::spawn_blocking(move || is_larger(&folder, bytes)).await {
            Ok(false) => Ok(()),
            Ok(true) => Err(self.failed(format!("{TOO_LARGE} than {} MiB", limits.bytes >> 20))),
            Err(error) => Err(self.failed(error.to_string())),
        }
    }

    /// Returns the last words of the program.
    fn last_words(&self, exit: Exit) -> String {
        let said = LiveLog::new(self.beside("log")).tail().unwrap_or_default();
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default().join("; ");
        let last = last.replace(char::is_control, " ");
        match exit {
            _ if !last.is_empty() => last,
            Exit::Code(code) => format!("exit code {code}"),
            Exit::Signal(signal) => format!("ended by signal {signal}"),
        }
    }

    /// Returns the path of a file or folder that belongs to the checkout.
    fn beside(&self, what: &str) -> PathBuf {
        let mut name = self.folder.clone().into_os_string();
        name.push(format!(".{what}"));
        name.into()
    }

    fn address(&self) -> String {
        match &self.source {
            TestSource::TestGit(git) | TestSource::BuildGit(git) => git.to_string(),
            TestSource::TestBzr(bzr) => bzr.to_string(),
        }
    }

    fn failed(&self, reason: String) -> TestbedError {
        TestbedError::Checkout { address: self.address(), reason }
    }

    fn io(&self, action: &str, path: &Path, source: io::Error) -> TestbedError {
        TestbedError::Io { action: format!("{action} {}", path.display()), source }
    }
}

/// Whether the files below the folder take more space on the disk. Files that disappear meanwhile count as nothing.
fn is_larger(folder: &Path, bytes: u64) -> bool {
    let mut sum: u64 = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(data) = entry.metadata() else { continue };
            sum = sum.saturating_add(data.blocks().saturating_mul(512));
            if data.is_dir() {
                folders.push(entry.path());
            }
        }
        if sum > bytes {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests;
