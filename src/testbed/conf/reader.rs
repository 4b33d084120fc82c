//! Reader of worker.conf: every key is known, and every fault has its line.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::{ConfError, PackageSize, RETRY_DELAY, WorkerConf};
use crate::small_file;
use crate::testbed::ini::{self, Contents, DEFAULT_SECTION, Setting};
use crate::testbed::limits::Limits;
use crate::testbed::template::{Template, UnknownVariable, split_words};
use crate::testbed::variables::{Definitions, Variable};

/// All keys, by section.
const KEYS: [(&str, &str); 18] = [
    ("autopkgtest", "checkout_dir"),
    ("autopkgtest", "releases"),
    ("autopkgtest", "architectures"),
    ("autopkgtest", "setup_command"),
    ("autopkgtest", "setup_command2"),
    ("autopkgtest", "extra_args"),
    ("autopkgtest", "per_package_config_dir"),
    ("autopkgtest", "timeout_short"),
    ("autopkgtest", "timeout_install"),
    ("autopkgtest", "timeout_test"),
    ("autopkgtest", "timeout_copy"),
    ("autopkgtest", "timeout_build"),
    ("autopkgtest", "timeout_margin"),
    ("autopkgtest", "retry_delay"),
    ("virt", "args"),
    ("virt", "vm_args"),
    ("virt", "package_size_default"),
    ("virt", "package_size_big"),
];

/// Keys of other workers whose meaning this version does not support.
const UNSUPPORTED_KEYS: [&str; 3] = ["stable_release_percentage", "worker_upgrade_percentage", "autopkgtest_checkout"];
const UNSUPPORTED_SECTIONS: [&str; 1] = ["influx"];

/// Maximum value of a time limit, in seconds: a year. A longer one is a mistake.
const MAX_TIME: u64 = 366 * 24 * 3600;

pub(super) struct Reader<'a> {
    file: &'a Path,
    defined: &'a Definitions,
    faults: RefCell<Vec<ConfError>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a Path, defined: &'a Definitions) -> Self {
        Self { file, defined, faults: RefCell::default() }
    }

    /// Reads the file. Returns what is valid, and the faults in the order of their lines.
    pub(super) fn load(self) -> (Option<WorkerConf>, Vec<ConfError>) {
        match small_file::read(self.file) {
            Ok(text) => self.read(&text),
            Err(error) => {
                self.note(None, format!("cannot read it: {error}"), None);
                (None, self.faults.into_inner())
            }
        }
    }

    pub(super) fn read(self, text: &str) -> (Option<WorkerConf>, Vec<ConfError>) {
        let contents = match ini::read(text) {
            Ok(contents) => contents,
            Err(ini::IniError { line, message }) => {
                self.note(Some(line), message, None);
                return (None, self.faults.into_inner());
            }
        };
        self.check_names(&contents);
        let conf = self.settings(&contents);
        self.check_sizes(&contents, &conf);
        let mut faults = self.faults.into_inner();
        // Faults about missing keys come last: a mistyped name is their reason.
        faults.sort_by_key(|fault| fault.line.unwrap_or(usize::MAX));
        (Some(conf), faults)
    }

    fn note(&self, line: Option<usize>, message: impl Into<String>, hint: Option<String>) {
        let fault = ConfError { file: self.file.to_owned(), line, message: message.into(), hint };
        self.faults.borrow_mut().push(fault);
    }

    fn settings(&self, contents: &Contents) -> WorkerConf {
        let setting = |section: &str, key: &str| find(contents, section, key);
        let own = |key: &str| setting("autopkgtest", key);
        let commands = ["setup_command", "setup_command2"].into_iter().filter_map(|key| Some((key, own(key)?)));
        let limits = Limits::default();
        let lines = KEYS.iter().filter_map(|(section, key)| Some((*key, setting(section, key)?.line)));
        WorkerConf {
            runner: own("checkout_dir").and_then(|found| self.path(found)).map(|path| path.join("runner/autopkgtest")),
            releases: self.names(own("releases")),
            architectures: self.names(own("architectures")),
            setup_commands: commands.map(|(key, found)| (key, Template::shell(&found.value, self.defined))).collect(),
            extra_args: own("extra_args").map(|found| self.templates(found)).unwrap_or_default(),
            virt_args: self.virt_args(setting("virt", "args")),
            vm_args: setting("virt", "vm_args").map(|found| self.virt_args(Some(found))),
            default_size: setting("virt", "package_size_default").map(|found| self.size(found)).unwrap_or_default(),
            big_size: setting("virt", "package_size_big").map(|found| self.size(found)),
            limits: Limits {
                short: self.seconds(own("timeout_short"), 1).unwrap_or(limits.short),
                install: self.seconds(own("timeout_install"), 1).unwrap_or(limits.install),
                test: self.seconds(own("timeout_test"), 1).unwrap_or(limits.test),
                copy: self.seconds(own("timeout_copy"), 1).unwrap_or(limits.copy),
                build: self.seconds(own("timeout_build"), 1).unwrap_or(limits.build),
                margin: self.seconds(own("timeout_margin"), 0).unwrap_or(limits.margin),
            },
            retry_delay: self.seconds(own("retry_delay"), 0).map_or(RETRY_DELAY, Duration::from_secs),
            overrides_folder: own("per_package_config_dir").and_then(|found| self.path(found)),
            file: Some(self.file.to_owned()),
            lines: lines.collect::<BTreeMap<_, _>>(),
        }
    }

    /// Refuses every unknown section and key.
    fn check_names(&self, contents: &Contents) {
        for (section, line) in &contents.sections {
            let known = KEYS.iter().map(|(section, _)| *section).chain([DEFAULT_SECTION]);
            if known.clone().any(|known| known == section) {
                continue;
            }
            let line = Some(*line);
            match section.as_str() {
                "amqp" | "swift" => {
                    let hint =
                        "put queue = \"amqps://…\" and store = \"swift:…\" into apt-ci.toml, and remove the section";
                    self.note(line, format!("[{section}] belongs in apt-ci.toml"), Some(hint.to_owned()));
                }
                section if UNSUPPORTED_SECTIONS.contains(&section) => {
                    self.note(line, format!("[{section}] is not supported by this version"), None);
                }
                section => {
                    let hint = did_you_mean(section, known);
                    self.note(line, format!("unknown section [{section}]"), hint);
                }
            }
        }
        let is_section = |section: &str| section == DEFAULT_SECTION || KEYS.iter().any(|(known, _)| *known == section);
        // The keys of an unknown section are no further faults.
        for Setting { section, key, line, .. } in contents.settings.iter().filter(|found| is_section(&found.section)) {
            let keys =
                KEYS.iter().filter(|(known, _)| known == section || section == DEFAULT_SECTION).map(|(_, key)| *key);
            if keys.clone().any(|known| known == key) {
                continue;
            }
            let line = Some(*line);
            if UNSUPPORTED_KEYS.contains(&key.as_str()) {
                self.note(line, format!("{key} is not supported by this version"), None);
                continue;
            }
            let hint = match KEYS.iter().find(|(_, known)| known == key) {
                Some((section, _)) => Some(format!("it belongs in [{section}]")),
                None => did_you_mean(key, keys),
            };
            self.note(line, format!("unknown key {key} in [{section}]"), hint);
        }
    }

    /// Refuses `$PACKAGESIZE` where it would have no value.
    fn check_sizes(&self, contents: &Contents, conf: &WorkerConf) {
        if find(contents, "virt", "package_size_default").is_some() {
            return;
        }
        let uses_size = |templates: &[Template]| templates.iter().any(|one| one.uses(Variable::PackageSize));
        let mut uses = vec![
            ("autopkgtest", "extra_args", uses_size(&conf.extra_args)),
            ("virt", "args", uses_size(&conf.virt_args)),
            ("virt", "vm_args", conf.vm_args.as_deref().is_some_and(uses_size)),
        ];
        uses.extend(
            conf.setup_commands.iter().map(|(key, one)| ("autopkgtest", *key, one.uses(Variable::PackageSize))),
        );
        for (section, key, _) in uses.into_iter().filter(|(.., uses)| *uses) {
            let line = find(contents, section, key).map(|found| found.line);
            let hint = "add package_size_default = … to [virt]".to_owned();
            self.note(line, format!("{key} uses $PACKAGESIZE, which has no value"), Some(hint));
        }
    }

    /// Returns a folder, which may be relative to the file's.
    fn path(&self, found: &Setting) -> Option<PathBuf> {
        if found.value.starts_with('~') {
            let hint = "write the full path: the home folder of a service is usually another one".to_owned();
            self.note(Some(found.line), format!("{} {:?} begins with ~", found.key, found.value), Some(hint));
            return None;
        }
        Some(self.file.parent().unwrap_or(Path::new("")).join(&found.value))
    }

    /// Returns a list of names, separated by spaces or commas.
    fn names<T>(&self, found: Option<&Setting>) -> Vec<T>
    where
        T: FromStr<Err: std::fmt::Display> + PartialEq,
    {
        let mut names = Vec::new();
        let Some(Setting { value, line, .. }) = found else {
            return names;
        };
        for word in value.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty()) {
            match word.parse::<T>() {
                Ok(name) if names.contains(&name) => {}
                Ok(name) => names.push(name),
                Err(error) => self.note(Some(*line), error.to_string(), None),
            }
        }
        names
    }

    fn seconds(&self, found: Option<&Setting>, least: u64) -> Option<u64> {
        let found = found?;
        let seconds = found.value.parse().ok().filter(|seconds| (least..=MAX_TIME).contains(seconds));
        if seconds.is_none() {
            let message =
                format!("{} must be a number of seconds from {least} to {MAX_TIME}, not {:?}", found.key, found.value);
            self.note(Some(found.line), message, None);
        }
        seconds
    }

    fn words(&self, found: &Setting) -> Vec<String> {
        split_words(&found.value).unwrap_or_else(|why| {
            self.note(Some(found.line), format!("{}: {why}", found.key), None);
            Vec::new()
        })
    }

    fn size(&self, found: &Setting) -> PackageSize {
        PackageSize { text: found.value.clone(), words: self.words(found) }
    }

    fn templates(&self, found: &Setting) -> Vec<Template> {
        let template = |word: String| match Template::strict(&word, self.defined) {
            Ok(template) => Some(template),
            Err(UnknownVariable(name)) => {
                let hint = did_you_mean(&name, self.defined.names());
                let all = format!("the variables are {}; $$ is a dollar sign", self.defined);
                let hint = hint.map_or(all.clone(), |hint| format!("{hint} ({all})"));
                self.note(Some(found.line), format!("{}: unknown variable ${name}", found.key), Some(hint));
                None
            }
        };
        self.words(found).into_iter().filter_map(template).collect()
    }

    fn virt_args(&self, found: Option<&Setting>) -> Vec<Template> {
        let hint =
            "args is what follows the -- of an autopkgtest command line, for example: args = unshare --tarball FILE";
        let Some(found) = found else {
            self.note(None, "[virt] args is missing: the virt server and its options", Some(hint.to_owned()));
            return Vec::new();
        };
        let templates = self.templates(found);
        if found.value.starts_with('-') {
            let message = format!("{} begins with an option instead of a virt server's name", found.key);
            self.note(Some(found.line), message, Some(hint.to_owned()));
        }
        templates
    }
}

/// Returns the setting of a key that has a value: in its section, or else in the default section.
fn find<'c>(contents: &'c Contents, section: &str, key: &str) -> Option<&'c Setting> {
    let find = |section| contents.settings.iter().find(|found| found.section == section && found.key == key);
    find(section).or_else(|| find(DEFAULT_SECTION)).filter(|found| !found.value.is_empty())
}

/// Returns a hint with the most similar known word, if one is similar.
fn did_you_mean<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|known| (strsim::damerau_levenshtein(word, known), known))
        .min()
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
        .map(|(_, known)| format!("did you mean {known}?"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::release::Release;
    use crate::testbed::decision::DecisionSource;
    use crate::testbed::variables::Definition;

    fn examine(text: &str) -> (Option<WorkerConf>, Vec<ConfError>) {
        let defined = ["FLAVOR=m1.small"].iter().map(|text| text.parse::<Definition>().unwrap()).collect();
        Reader::new(Path::new("/etc/apt-ci/worker.conf"), &defined).read(text)
    }

    fn read(text: &str) -> Result<WorkerConf, ConfError> {
        match examine(text) {
            (Some(conf), faults) if faults.is_empty() => Ok(conf),
            (_, mut faults) => Err(faults.swap_remove(0)),
        }
    }

    #[test]
    fn a_usual_worker_conf_is_read() {
        let conf = read(
            "[autopkgtest]\n\
             checkout_dir = ../autopkgtest\n\
             releases = trusty, xenial bookworm\n  trixie trusty\n\
             architectures = amd64 i386\n\
             setup_command = setup-testbed\n\
             per_package_config_dir = per-package\n\
             timeout_short = 10\ntimeout_install = 20\ntimeout_test = 30\ntimeout_copy = 40\ntimeout_build = 50\n\
             timeout_margin = 0\nretry_delay = 5\n\
             extra_args = --no-apt-fallback '--env=X=a b'\n\
             [virt]\n\
             package_size_default = m1.small\n\
             package_size_big = --ram-size=8192 --cpus=4\n\
             vm_args = qemu $FLAVOR.img\n\
             args = ssh -s /usr/share/nova -- --flavor $PACKAGESIZE --name $PACKAGE-${RELEASE}\n",
        )
        .unwrap();
        let releases: Vec<&str> = conf.releases().iter().map(Release::as_str).collect();
        assert_eq!(releases, ["trusty", "xenial", "bookworm", "trixie"]);
        assert_eq!(conf.architectures().len(), 2);
        assert_eq!(conf.runner, Some("/etc/apt-ci/../autopkgtest/runner/autopkgtest".into()));
        assert_eq!(conf.extra_args.len(), 2);
        assert_eq!(conf.virt_args.len(), 8);
        assert_eq!(conf.default_size.text, "m1.small");
        assert_eq!(conf.big_size.as_ref().unwrap().words, ["--ram-size=8192", "--cpus=4"]);
        assert_eq!(conf.vm_args.as_ref().unwrap().len(), 2);
        assert_eq!(
            conf.virt_servers().collect::<Vec<_>>(),
            [("args", "ssh".to_owned()), ("vm_args", "qemu".to_owned())]
        );
        assert_eq!(conf.overrides_folder(), Some(Path::new("/etc/apt-ci/per-package")));
        let limits = Limits { short: 10, install: 20, test: 30, copy: 40, build: 50, margin: 0 };
        assert_eq!((conf.limits, conf.retry_delay()), (limits, Duration::from_secs(5)));
        let origin = |line| DecisionSource::File { path: "/etc/apt-ci/worker.conf".into(), line };
        assert_eq!((conf.origin("checkout_dir"), conf.origin("setup_command2")), (origin(2), DecisionSource::Default));
        assert!(!conf.is_null());
    }

    #[test]
    fn the_default_section_counts_for_the_others() {
        let conf = read("[DEFAULT]\nreleases = sid\n[virt]\nargs = null\n").unwrap();
        assert_eq!(conf.releases().len(), 1);
        assert!(conf.is_null());
        assert!(read("[virt]\nargs = /usr/bin/autopkgtest-virt-null\n").unwrap().is_null());
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_line_and_a_hint() {
        for (text, expected, hint) in [
            ("[virt]\nargz = null\n", ":2: unknown key argz in [virt]", "did you mean args?"),
            ("[vrt]\nargs = null\n", ":1: unknown section [vrt]", "did you mean virt?"),
            ("[virt]\nreleases = sid\n", ":2: unknown key releases in [virt]", "it belongs in [autopkgtest]"),
            ("[amqp]\nhost = x\n", ":1: [amqp] belongs in apt-ci.toml", "queue ="),
            ("\n[swift]\n", ":2: [swift] belongs in apt-ci.toml", "store ="),
            ("[influx]\n", ":1: [influx] is not supported by this version", ""),
            ("[autopkgtest]\nworker_upgrade_percentage = 5\n", ":2: worker_upgrade_percentage is not supported", ""),
            ("[autopkgtest]\nper_package_config_dir = ~/a\n", ":2: per_package_config_dir \"~/a\" begins with ~", ""),
            ("[autopkgtest]\ntimeout_test = 0\n", ":2: timeout_test must be a number of seconds from 1 to", ""),
            ("[autopkgtest]\nretry_delay = 1m\n", ":2: retry_delay must be a number of seconds from 0 to", ""),
            ("[autopkgtest]\nvm_args = x\n", ":2: unknown key vm_args in [autopkgtest]", "it belongs in [virt]"),
            ("[virt]\nargs = lxd\nvm_args = --x\n", ":3: vm_args begins with an option", "for example"),
            ("[virt]\nargs = lxd $FLAVR\n", ":2: args: unknown variable $FLAVR", "did you mean FLAVOR?"),
            (
                "[autopkgtest]\nsetup_command2 = echo $PACKAGESIZE\n[virt]\nargs = lxd\n",
                ":2: setup_command2 uses $PACKAGESIZE",
                "package_size_default",
            ),
            ("[autopkgtest]\nreleases = Sid\n", ":2: release \"Sid\": a release is", ""),
            ("[autopkgtest]\narchitectures = amd-64\n", ":2: architecture \"amd-64\": an arch", ""),
            ("[autopkgtest]\ncheckout_dir = ~/a\n", ":2: checkout_dir \"~/a\" begins with ~", "full path"),
            ("[autopkgtest]\nextra_args = 'a\n", ":2: extra_args: a single quotation mark is not closed", ""),
            ("[virt]\nargs = lxd $RELEAS\n", ":2: args: unknown variable $RELEAS", "did you mean RELEASE?"),
            ("[virt]\nargs = lxd $\n", ":2: args: unknown variable $", "$$ is a dollar sign"),
            ("[virt]\nargs = qemu $PACKAGESIZE\n", ":2: args uses $PACKAGESIZE", "package_size_default"),
            ("[virt]\nargs = -- null\n", ":2: args begins with an option", "for example"),
            ("[virt]\nargs = null\nargs = null\n", ":3: \"args\" of [virt] is already on line 2", ""),
            ("[autopkgtest]\n", ": [virt] args is missing", "for example"),
            ("args = null\n", ":1: stands before the first [section]", ""),
        ] {
            let error = read(text).unwrap_err();
            let message = error.to_string();
            assert!(message.starts_with("/etc/apt-ci/worker.conf"), "{message}");
            assert!(message.contains(expected), "{text}: {message}");
            assert!(error.hint.as_deref().unwrap_or_default().contains(hint), "{text}: {:?}", error.hint);
        }
    }

    #[test]
    fn every_fault_is_told_of_at_once() {
        let (_, faults) = examine(
            "[virt]\nargs = lxd $X $Y\nargz = 1\n[vrt]\nx = y\n[autopkgtest]\nreleases = A sid B\ntimeout_copy = x\n",
        );
        let lines: Vec<usize> = faults.iter().filter_map(|fault| fault.line).collect();
        assert_eq!(lines, [2, 2, 3, 4, 7, 7, 8], "{faults:?}");
    }

    /// File that `apt-ci init` writes, and that `docs/reference/worker-conf.md` describes.
    const TEMPLATE: &str = include_str!("../../../templates/site/worker.conf");

    #[test]
    fn a_new_sites_file_names_every_key_and_variable_and_the_defaults() {
        assert!(read(TEMPLATE).unwrap().is_null(), "as it is, it runs tests on this machine");
        for variable in Variable::ALL {
            assert!(TEMPLATE.contains(&format!("${}", variable.name())), "{variable:?}");
        }
        // Every key is there, behind a # if its line is an example; the first of several examples counts.
        let key = |line: &str| line.split_once(" = ").map(|(key, _)| key.trim_start_matches('#').to_owned());
        let mut seen = Vec::new();
        let mut text = String::new();
        let mut sections = Vec::new();
        for line in TEMPLATE.lines() {
            let setting = key(line).filter(|key| KEYS.iter().any(|(_, known)| known == key));
            match setting {
                Some(key) if !seen.contains(&key) => {
                    text.push_str(line.trim_start_matches('#'));
                    sections
                        .push((text.rsplit_once('[').unwrap().1.split_once(']').unwrap().0.to_owned(), key.clone()));
                    seen.push(key);
                }
                None if line.starts_with('[') => text.push_str(line),
                _ => {}
            }
            text.push('\n');
        }
        for (section, key) in KEYS {
            assert!(sections.contains(&(section.to_owned(), key.to_owned())), "[{section}] {key} in {sections:?}");
        }
        let conf = read(&text).unwrap();
        assert_eq!((conf.limits, conf.retry_delay()), (Limits::default(), RETRY_DELAY), "the defaults are told");
    }

    #[test]
    fn a_missing_file_is_said_to_be_missing() {
        let error = WorkerConf::load(Path::new("/nonexistent/worker.conf"), &Definitions::default()).unwrap_err();
        assert!(error.to_string().starts_with("/nonexistent/worker.conf: cannot read it: No such file"), "{error}");
    }

    proptest! {
        #[test]
        fn no_file_makes_the_reader_panic(text in "\\PC*|(\\[(virt|autopkgtest)\\]\n((args|releases|extra_args) = [a-z$'\" {}]*\n)*)*") {
            let (conf, faults) = examine(&text);
            prop_assert!(conf.is_some() || !faults.is_empty());
        }
    }
}
