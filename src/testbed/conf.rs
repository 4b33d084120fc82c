//! worker.conf: which tests a worker runs, and in which testbed.

mod reader;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::reader::Reader;
use super::decision::Origin;
use super::limits::Limits;
use super::template::Template;
use super::variables::Definitions;
use crate::release::{Architecture, Release};

/// How long to wait before the second attempt after a failure of the infrastructure.
const RETRY_DELAY: Duration = Duration::from_secs(60);

/// What is wrong with a worker.conf or an override file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {message}", file.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct ConfError {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; none when the whole file is meant.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What may help.
    pub hint: Option<String>,
}

/// A worker's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConf {
    /// autopkgtest in a checkout, instead of the installed one.
    pub(super) runner: Option<PathBuf>,
    releases: Vec<Release>,
    architectures: Vec<Architecture>,
    /// Run in the testbed before the test.
    pub(super) setup_commands: Vec<(&'static str, Template)>,
    pub(super) extra_args: Vec<Template>,
    pub(super) virt_args: Vec<Template>,
    /// The virt server's arguments for packages that need a virtual machine.
    pub(super) vm_args: Option<Vec<Template>>,
    pub(super) default_size: PackageSize,
    pub(super) big_size: Option<PackageSize>,
    pub(super) limits: Limits,
    retry_delay: Duration,
    overrides_folder: Option<PathBuf>,
    /// The file, and the line of each key that it has.
    file: Option<PathBuf>,
    lines: BTreeMap<&'static str, usize>,
}

/// The testbed's size, in the words of its virt server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageSize {
    /// As it is written.
    pub text: String,
    /// As words of a command line; often one, possibly none.
    pub words: Vec<String>,
}

impl WorkerConf {
    /// Reads a worker.conf, whose templates may use the operator's variables. Paths in it may be relative to its folder.
    ///
    /// # Errors
    /// Names file and line of what cannot be used: nothing is ignored.
    pub fn load(file: &Path, defined: &Definitions) -> Result<Self, ConfError> {
        let (conf, mut faults) = Self::examine(file, defined);
        match conf {
            Some(conf) if faults.is_empty() => Ok(conf),
            _ => Err(faults.swap_remove(0)),
        }
    }

    /// Reads a worker.conf and tells everything that cannot be used. What is left of a faulty one is for further checks only; there
    /// is nothing left of a file that cannot be read at all, and then there is a fault.
    pub fn examine(file: &Path, defined: &Definitions) -> (Option<Self>, Vec<ConfError>) {
        Reader::new(file, defined).load()
    }

    /// The configuration without a file: tests run on this machine itself, by the installed autopkgtest.
    pub fn null() -> Self {
        Self {
            runner: None,
            releases: Vec::new(),
            architectures: Vec::new(),
            setup_commands: Vec::new(),
            extra_args: Vec::new(),
            virt_args: vec![Template::text("null")],
            vm_args: None,
            default_size: PackageSize::default(),
            big_size: None,
            limits: Limits::default(),
            retry_delay: RETRY_DELAY,
            overrides_folder: None,
            file: None,
            lines: BTreeMap::new(),
        }
    }

    /// The releases that the worker serves. Empty: the file names none.
    pub fn releases(&self) -> &[Release] {
        &self.releases
    }

    /// The architectures that the worker serves. Empty: the file names none.
    pub fn architectures(&self) -> &[Architecture] {
        &self.architectures
    }

    /// How long to wait before the second attempt after a failure of the infrastructure.
    pub fn retry_delay(&self) -> Duration {
        self.retry_delay
    }

    /// The folder with the override files.
    pub fn overrides_folder(&self) -> Option<&Path> {
        self.overrides_folder.as_deref()
    }

    /// The autopkgtest that the file names, instead of the installed one.
    pub fn runner(&self) -> Option<&Path> {
        self.runner.as_deref()
    }

    /// Where a key's value comes from.
    pub fn origin(&self, key: &str) -> Origin {
        match (&self.file, self.lines.get(key)) {
            (Some(path), Some(line)) => Origin::File { path: path.clone(), line: *line },
            _ => Origin::Default,
        }
    }

    /// The virt servers as worker.conf names them, each with its key: names such as `unshare`, or paths.
    pub(super) fn virt_servers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let args = [("args", Some(&self.virt_args)), ("vm_args", self.vm_args.as_ref())];
        args.into_iter().filter_map(|(key, args)| Some((key, virt_server(args?)?)))
    }

    /// Whether tests run on this machine itself, which no test may upgrade or give other package sources.
    pub fn is_null(&self) -> bool {
        is_null(&self.virt_args)
    }
}

/// The virt server that these arguments name.
fn virt_server(args: &[Template]) -> Option<String> {
    args.first().map(|word| word.fill(|_| ""))
}

/// Whether these arguments name the virt server that runs tests on this machine itself.
pub(super) fn is_null(args: &[Template]) -> bool {
    let server = virt_server(args);
    let server = server.as_deref().and_then(|server| server.rsplit('/').next());
    server.is_some_and(|server| server.strip_prefix("autopkgtest-virt-").unwrap_or(server) == "null")
}
