//! worker.conf: which tests a worker runs, and in which testbed.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::ini::{self, Contents, DEFAULT_SECTION, Setting};
use super::template::{Template, UnknownVariable, Variable, VariableNames, split_words};
use crate::release::{Architecture, Release};

/// What is wrong with a worker.conf, and where.
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
    pub(super) setup_commands: Vec<Template>,
    pub(super) extra_args: Vec<Template>,
    pub(super) virt_args: Vec<Template>,
    pub(super) default_size: PackageSize,
    big_size: PackageSize,
}

/// The testbed's size, in the words of its virt server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageSize {
    /// As it is written.
    pub text: String,
    /// As words of a command line; often one, possibly none.
    pub words: Vec<String>,
}

const KEYS: [(&str, &str); 9] = [
    ("autopkgtest", "checkout_dir"),
    ("autopkgtest", "releases"),
    ("autopkgtest", "architectures"),
    ("autopkgtest", "setup_command"),
    ("autopkgtest", "setup_command2"),
    ("autopkgtest", "extra_args"),
    ("virt", "args"),
    ("virt", "package_size_default"),
    ("virt", "package_size_big"),
];

/// Keys of other workers that mean something this version would not do.
const UNSUPPORTED_KEYS: [&str; 5] = [
    "per_package_config_dir",
    "stable_release_percentage",
    "worker_upgrade_percentage",
    "retry_delay",
    "autopkgtest_checkout",
];
const UNSUPPORTED_SECTIONS: [&str; 1] = ["influx"];

impl WorkerConf {
    /// Reads a worker.conf. `checkout_dir` may be relative to its folder.
    ///
    /// # Errors
    /// Names file and line of what cannot be used: nothing is ignored.
    pub fn load(file: &Path) -> Result<Self, ConfError> {
        let text = fs::read_to_string(file).map_err(|error| ConfError {
            file: file.to_owned(),
            line: None,
            message: format!("cannot be read: {error}"),
            hint: None,
        })?;
        Reader { file }.read(&text)
    }

    /// The configuration without a file: tests run on this machine itself, by the installed autopkgtest.
    pub fn null() -> Self {
        Self {
            runner: None,
            releases: Vec::new(),
            architectures: Vec::new(),
            setup_commands: Vec::new(),
            extra_args: Vec::new(),
            virt_args: Template::strict("null").into_iter().collect(),
            default_size: PackageSize::default(),
            big_size: PackageSize::default(),
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

    /// The testbed's size for packages that need a big one.
    pub fn big_size(&self) -> &PackageSize {
        &self.big_size
    }

    /// The virt server as worker.conf names it: a name such as `unshare`, or a path.
    pub(super) fn virt_server(&self) -> Option<String> {
        self.virt_args.first().map(|word| word.fill(|_| ""))
    }

    /// Whether tests run on this machine itself, which no test may upgrade or give other package sources.
    pub fn is_null(&self) -> bool {
        let server = self.virt_server();
        let server = server.as_deref().and_then(|server| server.rsplit('/').next());
        server.is_some_and(|server| server.strip_prefix("autopkgtest-virt-").unwrap_or(server) == "null")
    }
}

struct Reader<'a> {
    file: &'a Path,
}

impl Reader<'_> {
    fn error(&self, line: usize, message: impl Into<String>, hint: Option<String>) -> ConfError {
        ConfError { file: self.file.to_owned(), line: Some(line), message: message.into(), hint }
    }

    fn read(&self, text: &str) -> Result<WorkerConf, ConfError> {
        let contents = ini::read(text).map_err(|ini::Malformed { line, message }| ConfError {
            file: self.file.to_owned(),
            line,
            message,
            hint: None,
        })?;
        self.check_names(&contents)?;
        let setting = |section: &str, key: &str| {
            let find = |section| contents.settings.iter().find(|found| found.section == section && found.key == key);
            find(section).or_else(|| find(DEFAULT_SECTION)).filter(|found| !found.value.is_empty())
        };
        let runner = match setting("autopkgtest", "checkout_dir") {
            None => None,
            Some(found) => Some(self.checkout(found)?),
        };
        let setup_commands = ["setup_command", "setup_command2"];
        let setup_commands = setup_commands.into_iter().filter_map(|key| setting("autopkgtest", key));
        let default_size = self.size(setting("virt", "package_size_default"))?;
        let big_size = self.size(setting("virt", "package_size_big"))?;
        let conf = WorkerConf {
            runner,
            releases: self.names(setting("autopkgtest", "releases"))?,
            architectures: self.names(setting("autopkgtest", "architectures"))?,
            setup_commands: setup_commands.map(|found| Template::shell(&found.value)).collect(),
            extra_args: self.templates(setting("autopkgtest", "extra_args"))?,
            virt_args: self.virt_args(setting("virt", "args"))?,
            default_size,
            big_size,
        };
        let all =
            [("extra_args", &conf.extra_args), ("args", &conf.virt_args), ("setup_command", &conf.setup_commands)];
        for (key, templates) in all {
            let uses_size = templates.iter().any(|template| template.uses(Variable::PackageSize));
            let found = contents.settings.iter().find(|found| found.key == key);
            if let (true, Some(found), None) = (uses_size, found, setting("virt", "package_size_default")) {
                let hint = "add package_size_default = … to [virt]".to_owned();
                return Err(self.error(found.line, format!("{key} uses $PACKAGESIZE, which has no value"), Some(hint)));
            }
        }
        Ok(conf)
    }

    /// Refuses every section and key that has no meaning here.
    fn check_names(&self, contents: &Contents) -> Result<(), ConfError> {
        for (section, line) in &contents.sections {
            let known = KEYS.iter().map(|(section, _)| *section).chain([DEFAULT_SECTION]);
            if known.clone().any(|known| known == section) {
                continue;
            }
            return Err(match section.as_str() {
                "amqp" | "swift" => {
                    let hint =
                        "put queue = \"amqps://…\" and store = \"swift:…\" into apt-ci.toml, and remove the section";
                    self.error(*line, format!("[{section}] belongs in apt-ci.toml"), Some(hint.to_owned()))
                }
                section if UNSUPPORTED_SECTIONS.contains(&section) => {
                    self.error(*line, format!("[{section}] is not supported by this version"), None)
                }
                section => {
                    let hint = did_you_mean(section, known);
                    self.error(*line, format!("there is no section [{section}]"), hint)
                }
            });
        }
        for Setting { section, key, line, .. } in &contents.settings {
            let keys =
                KEYS.iter().filter(|(known, _)| known == section || section == DEFAULT_SECTION).map(|(_, key)| *key);
            if keys.clone().any(|known| known == key) {
                continue;
            }
            if UNSUPPORTED_KEYS.contains(&key.as_str()) {
                return Err(self.error(*line, format!("{key} is not supported by this version"), None));
            }
            let elsewhere = KEYS.iter().find(|(_, known)| known == key);
            let hint = match elsewhere {
                Some((section, _)) => Some(format!("it belongs in [{section}]")),
                None => did_you_mean(key, keys),
            };
            return Err(self.error(*line, format!("[{section}] has no key {key}"), hint));
        }
        Ok(())
    }

    fn checkout(&self, found: &Setting) -> Result<PathBuf, ConfError> {
        if found.value.starts_with('~') {
            let hint = "write the full path: a service's home folder is seldom the one that is meant".to_owned();
            return Err(self.error(found.line, format!("checkout_dir {:?} begins with ~", found.value), Some(hint)));
        }
        let folder = self.file.parent().unwrap_or(Path::new(""));
        Ok(folder.join(&found.value).join("runner/autopkgtest"))
    }

    /// A list of names, between spaces or commas.
    fn names<T>(&self, found: Option<&Setting>) -> Result<Vec<T>, ConfError>
    where
        T: FromStr<Err: std::fmt::Display> + PartialEq,
    {
        let mut names = Vec::new();
        let Some(Setting { value, line, .. }) = found else {
            return Ok(names);
        };
        for word in value.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty()) {
            let name = word.parse().map_err(|error: T::Err| self.error(*line, error.to_string(), None))?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn words(&self, found: &Setting) -> Result<Vec<String>, ConfError> {
        split_words(&found.value).map_err(|why| self.error(found.line, format!("{}: {why}", found.key), None))
    }

    fn size(&self, found: Option<&Setting>) -> Result<PackageSize, ConfError> {
        match found {
            None => Ok(PackageSize::default()),
            Some(found) => Ok(PackageSize { text: found.value.clone(), words: self.words(found)? }),
        }
    }

    fn templates(&self, found: Option<&Setting>) -> Result<Vec<Template>, ConfError> {
        let Some(found) = found else {
            return Ok(Vec::new());
        };
        let template = |word: String| {
            Template::strict(&word).map_err(|UnknownVariable(name)| {
                let hint = did_you_mean(&name, Variable::ALL.into_iter().map(Variable::name));
                let all = format!("the variables are {VariableNames}; $$ is a dollar sign");
                let hint = hint.map_or(all.clone(), |hint| format!("{hint} ({all})"));
                self.error(found.line, format!("{}: ${name} stands for nothing", found.key), Some(hint))
            })
        };
        self.words(found)?.into_iter().map(template).collect()
    }

    fn virt_args(&self, found: Option<&Setting>) -> Result<Vec<Template>, ConfError> {
        let hint =
            "args is what follows the -- of an autopkgtest command line, for example: args = unshare --tarball FILE";
        let Some(found) = found else {
            return Err(ConfError {
                file: self.file.to_owned(),
                line: None,
                message: "[virt] args is missing: the virt server and its options".to_owned(),
                hint: Some(hint.to_owned()),
            });
        };
        let templates = self.templates(Some(found))?;
        if found.value.starts_with('-') {
            let message = "args begins with an option instead of a virt server's name";
            return Err(self.error(found.line, message, Some(hint.to_owned())));
        }
        Ok(templates)
    }
}

/// A hint that names the known word most like this one, if one is like it at all.
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

    fn read(text: &str) -> Result<WorkerConf, ConfError> {
        Reader { file: Path::new("/etc/apt-ci/worker.conf") }.read(text)
    }

    #[test]
    fn a_usual_worker_conf_is_read() {
        let conf = read(
            "[autopkgtest]\n\
             checkout_dir = ../autopkgtest\n\
             releases = trusty, xenial bookworm\n  trixie trusty\n\
             architectures = amd64 i386\n\
             setup_command = setup-testbed\n\
             extra_args = --no-apt-fallback '--env=X=a b'\n\
             [virt]\n\
             package_size_default = m1.small\n\
             package_size_big = --ram-size=8192 --cpus=4\n\
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
        assert_eq!(conf.big_size().words, ["--ram-size=8192", "--cpus=4"]);
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
            ("[virt]\nargz = null\n", ":2: [virt] has no key argz", "did you mean args?"),
            ("[vrt]\nargs = null\n", ":1: there is no section [vrt]", "did you mean virt?"),
            ("[virt]\nreleases = sid\n", ":2: [virt] has no key releases", "it belongs in [autopkgtest]"),
            ("[amqp]\nhost = x\n", ":1: [amqp] belongs in apt-ci.toml", "queue ="),
            ("\n[swift]\n", ":2: [swift] belongs in apt-ci.toml", "store ="),
            ("[influx]\n", ":1: [influx] is not supported by this version", ""),
            (
                "[autopkgtest]\nper_package_config_dir = /etc\n",
                ":2: per_package_config_dir is not supported by this version",
                "",
            ),
            ("[autopkgtest]\nreleases = Sid\n", ":2: release \"Sid\": a release is", ""),
            ("[autopkgtest]\narchitectures = amd-64\n", ":2: architecture \"amd-64\": an arch", ""),
            ("[autopkgtest]\ncheckout_dir = ~/a\n", ":2: checkout_dir \"~/a\" begins with ~", "full path"),
            ("[autopkgtest]\nextra_args = 'a\n", ":2: extra_args: a single quotation mark is not closed", ""),
            ("[virt]\nargs = lxd $RELEAS\n", ":2: args: $RELEAS stands for nothing", "did you mean RELEASE?"),
            ("[virt]\nargs = lxd $\n", ":2: args: $ stands for nothing", "$$ is a dollar sign"),
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
    fn a_missing_file_is_said_to_be_missing() {
        let error = WorkerConf::load(Path::new("/nonexistent/worker.conf")).unwrap_err();
        assert!(error.to_string().starts_with("/nonexistent/worker.conf: cannot be read: No such file"), "{error}");
    }

    proptest! {
        #[test]
        fn no_file_makes_the_reader_panic(text in "\\PC*|(\\[(virt|autopkgtest)\\]\n((args|releases|extra_args) = [a-z$'\" {}]*\n)*)*") {
            let _ = read(&text);
        }
    }
}
