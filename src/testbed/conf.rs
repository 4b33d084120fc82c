//! worker.conf: the tests that a worker runs, and their testbeds.

mod reader;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::reader::Reader;
use super::decision::DecisionSource;
use super::limits::Limits;
use super::template::Template;
use super::variables::{Definitions, Variable};
use crate::release::{Architecture, Release};

/// Default delay before the second attempt after a failure of the infrastructure.
const RETRY_DELAY: Duration = Duration::from_secs(60);

/// Fault of a worker.conf or an override file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {message}", file.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct ConfError {
    /// File.
    pub file: PathBuf,
    /// Line, from 1; `None` when the fault is in no particular line.
    pub line: Option<usize>,
    /// Description of the fault.
    pub message: String,
    /// Advice for fixing it.
    pub hint: Option<String>,
}

/// Configuration of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConf {
    /// autopkgtest of a checkout, which replaces the installed one.
    pub(super) runner: Option<PathBuf>,
    releases: Vec<Release>,
    architectures: Vec<Architecture>,
    /// Commands that run in the testbed before the test, with their keys.
    pub(super) setup_commands: Vec<(&'static str, Template)>,
    pub(super) extra_args: Vec<Template>,
    pub(super) virt_args: Vec<Template>,
    /// Arguments of the virt server for packages that need a virtual machine.
    pub(super) vm_args: Option<Vec<Template>>,
    pub(super) default_size: PackageSize,
    pub(super) big_size: Option<PackageSize>,
    pub(super) limits: Limits,
    retry_delay: Duration,
    overrides_folder: Option<PathBuf>,
    /// File, with the line of each key in it.
    file: Option<PathBuf>,
    lines: BTreeMap<&'static str, usize>,
}

/// Size of a testbed, in terms of its virt server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageSize {
    /// Text in worker.conf.
    pub text: String,
    /// Words of a command line; often one, possibly none.
    pub words: Vec<String>,
}

impl WorkerConf {
    /// Reads a worker.conf, whose templates may use the operator's variables. Its paths may be relative to its folder.
    ///
    /// # Errors
    /// Fails on everything that cannot be used, and names file and line: nothing is ignored.
    pub fn load(file: &Path, defined: &Definitions) -> Result<Self, ConfError> {
        let (conf, mut faults) = Self::examine(file, defined);
        match conf {
            Some(conf) if faults.is_empty() => Ok(conf),
            _ => Err(faults.swap_remove(0)),
        }
    }

    /// Reads a worker.conf and returns all of its faults. The rest of a faulty file is for further checks only; it is
    /// `None`, with a fault, when the file cannot be read at all.
    pub fn examine(file: &Path, defined: &Definitions) -> (Option<Self>, Vec<ConfError>) {
        Reader::new(file, defined).load()
    }

    /// Returns the configuration without a file: tests run on this machine itself, by the installed autopkgtest.
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

    /// Returns the releases that the worker serves; empty when the file names none.
    pub fn releases(&self) -> &[Release] {
        &self.releases
    }

    /// Returns the architectures that the worker serves; empty when the file names none.
    pub fn architectures(&self) -> &[Architecture] {
        &self.architectures
    }

    /// Returns the delay before the second attempt after a failure of the infrastructure.
    pub fn retry_delay(&self) -> Duration {
        self.retry_delay
    }

    /// Returns the folder of the override files.
    pub fn overrides_folder(&self) -> Option<&Path> {
        self.overrides_folder.as_deref()
    }

    /// Whether tests need a testbed that `apt-ci testbed` has built: a line has `$TESTBED`.
    pub fn uses_testbed(&self) -> bool {
        let commands = self.setup_commands.iter().map(|(_, command)| command);
        let words = self.virt_args.iter().chain(self.vm_args.iter().flatten()).chain(&self.extra_args);
        words.chain(commands).any(|word| word.uses(Variable::Testbed))
    }

    /// Returns the autopkgtest that replaces the installed one.
    pub fn runner(&self) -> Option<&Path> {
        self.runner.as_deref()
    }

    /// Returns the origin of a key's value.
    pub fn origin(&self, key: &str) -> DecisionSource {
        match (&self.file, self.lines.get(key)) {
            (Some(path), Some(line)) => DecisionSource::File { path: path.clone(), line: *line },
            _ => DecisionSource::Default,
        }
    }

    /// Returns the virt servers in worker.conf with their keys: names such as `unshare`, or paths.
    pub(super) fn virt_servers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let args = [("args", Some(&self.virt_args)), ("vm_args", self.vm_args.as_ref())];
        args.into_iter().filter_map(|(key, args)| Some((key, virt_server(args?)?)))
    }

    /// Whether tests run on this machine itself. No test may upgrade it or give it other package sources.
    pub fn is_null(&self) -> bool {
        is_null(&self.virt_args)
    }
}

/// Returns the virt server that these arguments name.
fn virt_server(args: &[Template]) -> Option<String> {
    args.first().map(|word| word.fill(|_| ""))
}

/// Whether these arguments name the virt server that runs tests on this machine itself.
pub(super) fn is_null(args: &[Template]) -> bool {
    let server = virt_server(args);
    let server = server.as_deref().and_then(|server| server.rsplit('/').next());
    server.is_some_and(|server| server.strip_prefix("autopkgtest-virt-").unwrap_or(server) == "null")
}
