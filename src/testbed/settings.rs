//! Settings of a worker: worker.conf with the override files. They are read again when they change.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::conf::{ConfError, WorkerConf};
use super::decision::DecisionSource;
use super::overrides::{self, ListName, Overrides};
use super::variables::{Definitions, Variable};
use crate::release::{Architecture, Release};
use crate::request::SourcePackage;

/// worker.conf and the override files as they were read. A test keeps the settings with which it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// worker.conf.
    pub conf: WorkerConf,
    /// Lists of special packages.
    pub overrides: Overrides,
}

impl Settings {
    /// Returns the settings without any file: tests run on this machine itself.
    pub fn null() -> Self {
        Self { conf: WorkerConf::null(), overrides: Overrides::default() }
    }

    /// Returns the line that excludes this package from being run here, if there is one.
    pub fn never_run(
        &self,
        package: &SourcePackage,
        architecture: &Architecture,
        release: &Release,
    ) -> Option<DecisionSource> {
        self.overrides.find(ListName::NeverRun, package, architecture, release)
    }

    /// Returns faults of valid files that cannot be intended: lists that need a missing setting.
    fn contradictions(&self) -> Vec<ConfError> {
        let mut faults = Vec::new();
        let mut note = |list: ListName, message: &str, hint: &str| {
            if let Some((file, line)) = self.overrides.first(list) {
                let (message, hint) = (format!("{list}: {message}"), Some(hint.to_owned()));
                faults.push(ConfError { file: file.to_owned(), line: Some(line), message, hint });
            }
        };
        if self.conf.vm_args.is_none() {
            let message = "worker.conf has no vm_args, so these packages run in the same testbed as all others";
            note(ListName::VmPackages, message, "add vm_args = … to [virt], for example: vm_args = qemu FILE");
        }
        let vm_args = self.conf.vm_args.iter().flatten();
        let uses_size = self.conf.virt_args.iter().chain(vm_args).any(|word| word.uses(Variable::PackageSize));
        if uses_size && self.conf.big_size.is_none() {
            let message = "worker.conf has no package_size_big, so these packages get a testbed of the usual size";
            note(ListName::BigPackages, message, "add package_size_big = … to [virt]");
        }
        faults
    }
}

/// Returns all faults of a worker.conf and its override files, for their authors: also those that a worker tolerates.
pub fn lint(file: &Path, defined: &Definitions) -> Vec<ConfError> {
    let (conf, mut faults) = WorkerConf::examine(file, defined);
    let Some(conf) = conf else { return faults };
    let (overrides, in_lists) = load_overrides(&conf);
    faults.extend(in_lists);
    faults.extend(conf.overrides_folder().map(overrides::mistyped).unwrap_or_default());
    faults.extend(Settings { conf, overrides }.contradictions());
    faults
}

/// Current settings, which follow their files.
#[derive(Debug)]
pub struct Configuration {
    file: Option<PathBuf>,
    defined: Definitions,
    settings: Arc<Settings>,
    /// Properties of the files when they were last read.
    seen: Vec<(PathBuf, Option<FileStamp>)>,
    faults: Vec<ConfError>,
}

/// Properties that show whether a file has changed, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileStamp {
    fn at(path: &Path) -> Option<Self> {
        let data = fs::metadata(path).ok()?;
        Some(Self {
            device: data.dev(),
            inode: data.ino(),
            size: data.size(),
            modified: (data.mtime(), data.mtime_nsec()),
            changed: (data.ctime(), data.ctime_nsec()),
        })
    }
}

impl Configuration {
    /// Returns the settings without any file.
    pub fn null() -> Self {
        let settings = Arc::new(Settings::null());
        Self { file: None, defined: Definitions::default(), settings, seen: Vec::new(), faults: Vec::new() }
    }

    /// Reads a worker.conf and its override files. [`Configuration::faults`] returns the faults of the latter.
    ///
    /// # Errors
    /// Fails when worker.conf cannot be used.
    pub fn load(file: &Path, defined: Definitions) -> Result<Self, ConfError> {
        // The properties are noted before the files are read: a change meanwhile leads to another reading.
        let mut seen = vec![(file.to_owned(), FileStamp::at(file))];
        let conf = WorkerConf::load(file, &defined)?;
        seen.extend(look_at_overrides(&conf));
        let (overrides, faults) = load_overrides(&conf);
        let settings = Arc::new(Settings { conf, overrides });
        Ok(Self { file: Some(file.to_owned()), defined, settings, seen, faults })
    }

    /// Returns the current settings.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings)
    }

    /// Returns the faults of the files when they were last read. The current settings are those from before a fault in
    /// worker.conf, and without the faulty lines of the override files.
    pub fn faults(&self) -> &[ConfError] {
        &self.faults
    }

    /// Reads changed files again, and returns their new faults, each once. Without a change this costs five calls of
    /// stat(2).
    ///
    /// A worker.conf that became faulty leaves the previous one in effect.
    pub fn refresh(&mut self) -> Vec<ConfError> {
        let Some(file) = self.file.clone() else { return Vec::new() };
        if self.seen.iter().all(|(path, look)| FileStamp::at(path) == *look) {
            return Vec::new();
        }
        let mut seen = vec![(file.clone(), FileStamp::at(&file))];
        let (conf, mut faults) = WorkerConf::examine(&file, &self.defined);
        let conf = conf.filter(|_| faults.is_empty()).unwrap_or_else(|| self.settings.conf.clone());
        seen.extend(look_at_overrides(&conf));
        let (overrides, in_lists) = load_overrides(&conf);
        faults.extend(in_lists);
        let settings = Settings { conf, overrides };
        if settings != *self.settings {
            tracing::info!("{} or its override files have changed, and are read again", file.display());
            self.settings = Arc::new(settings);
        }
        // Old faults are not reported again because another file has changed.
        let news = faults.iter().filter(|fault| !self.faults.contains(fault)).cloned().collect();
        self.seen = seen;
        self.faults = faults;
        news
    }
}

fn load_overrides(conf: &WorkerConf) -> (Overrides, Vec<ConfError>) {
    conf.overrides_folder().map(Overrides::load).unwrap_or_default()
}

fn look_at_overrides(conf: &WorkerConf) -> Vec<(PathBuf, Option<FileStamp>)> {
    let Some(folder) = conf.overrides_folder() else { return Vec::new() };
    let files = ListName::ALL.into_iter().map(|name| folder.join(name.as_str()));
    files
        .map(|file| {
            let look = FileStamp::at(&file);
            (file, look)
        })
        .collect()
}

#[cfg(test)]
mod tests;
