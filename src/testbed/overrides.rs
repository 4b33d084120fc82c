//! Override files with special packages: `never_run`, `big_packages`, `long_tests` and `vm_packages`.
//!
//! Each line is `PACKAGE[/ARCHITECTURE[/RELEASE]]`, each part a shell pattern or `all`. A `#` begins a comment. A line
//! with a fault applies to nothing: a typing error must never silently skip tests. The same holds for a last line
//! without a newline, which may be the beginning of a longer one that is being written: `all` of `all/riscv64`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::conf::ConfError;
use super::decision::DecisionSource;
use crate::pattern::{NAMES, Pattern};
use crate::release::{Architecture, Release};
use crate::request::SourcePackage;

/// Maximum size of a file, in bytes. A longer one is not a list of packages.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// List of packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListName {
    /// Packages that are not tested.
    NeverRun,
    /// Packages that need a big testbed.
    BigPackages,
    /// Packages whose tests take long.
    LongTests,
    /// Packages that need a virtual machine.
    VmPackages,
}

impl ListName {
    /// All lists.
    pub const ALL: [Self; 4] = [Self::NeverRun, Self::BigPackages, Self::LongTests, Self::VmPackages];

    /// Returns the name of the list's file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NeverRun => "never_run",
            Self::BigPackages => "big_packages",
            Self::LongTests => "long_tests",
            Self::VmPackages => "vm_packages",
        }
    }
}

/// Returns a fault for each file whose name is almost that of a list: its author believes that it applies.
pub(super) fn mistyped(folder: &Path) -> Vec<ConfError> {
    // A folder that cannot be read is reported elsewhere.
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    let fault = |file: PathBuf| {
        let name = file.file_name()?.to_str()?.to_owned();
        let likeness = |list: &ListName| strsim::damerau_levenshtein(&name.replace('-', "_"), list.as_str());
        let meant = ListName::ALL.into_iter().min_by_key(likeness).filter(|list| (0..=2).contains(&likeness(list)))?;
        if meant.as_str() == name {
            return None;
        }
        let hint = Some(format!("did you mean {meant}?"));
        Some(ConfError { file, line: None, message: "not the name of a list; the file is ignored".to_owned(), hint })
    };
    files.into_iter().filter_map(fault).collect()
}

impl std::fmt::Display for ListName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// One line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    package: Pattern,
    architecture: Pattern,
    release: Pattern,
}

impl Entry {
    /// Parses a line; `None` when it has only a comment.
    fn read(line: &str) -> Result<Option<Self>, String> {
        // A comment begins a line, or follows a space: a # in another place is a mistake.
        let comment = line.char_indices().find(|(at, character)| {
            *character == '#' && line.get(..*at).unwrap_or_default().chars().next_back().is_none_or(char::is_whitespace)
        });
        let text = comment.and_then(|(at, _)| line.get(..at)).unwrap_or(line).trim();
        if text.is_empty() {
            return Ok(None);
        }
        if text.contains(char::is_whitespace) {
            return Err("there are several words on the line: PACKAGE[/ARCHITECTURE[/RELEASE]]".to_owned());
        }
        let mut parts = text.split('/');
        let mut next = |what: &str| match parts.next() {
            None => Ok(None),
            Some("all") => Ok(Some(Pattern::everything())),
            Some(part) => Pattern::read(part, NAMES).map(Some).map_err(|why| format!("the {what} {why}")),
        };
        let package = next("package")?.unwrap_or_else(Pattern::everything);
        let architecture = next("architecture")?.unwrap_or_else(Pattern::everything);
        let release = next("release")?.unwrap_or_else(Pattern::everything);
        if parts.next().is_some() {
            return Err("there are too many slashes: PACKAGE[/ARCHITECTURE[/RELEASE]]".to_owned());
        }
        Ok(Some(Self { package, architecture, release }))
    }

    fn applies(&self, package: &str, architecture: &str, release: &str) -> bool {
        self.package.matches(package) && self.architecture.matches(architecture) && self.release.matches(release)
    }
}

/// One of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct List {
    file: PathBuf,
    /// Entries, each with its line, from 1.
    entries: Vec<(usize, Entry)>,
}

impl List {
    /// Parses the lines. Those with a fault are left out and reported.
    fn read(file: &Path, bytes: &[u8], faults: &mut Vec<ConfError>) -> Self {
        let mut entries = Vec::new();
        for (line, bytes) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
            let entry = match str::from_utf8(bytes) {
                Ok(text) if !text.ends_with('\n') && !matches!(Entry::read(text), Ok(None)) => {
                    Err("the line has no end (a newline): it may be half-written".to_owned())
                }
                Ok(text) => Entry::read(text),
                Err(_) => Err("the line is not UTF-8".to_owned()),
            };
            match entry {
                Ok(Some(entry)) => entries.push((line, entry)),
                Ok(None) => {}
                Err(why) => faults.push(ConfError {
                    file: file.to_owned(),
                    line: Some(line),
                    message: format!("{why}; the line is ignored"),
                    hint: None,
                }),
            }
        }
        Self { file: file.to_owned(), entries }
    }

    /// Reads the file. A missing one is empty; an unreadable one is empty and reported.
    fn load(file: &Path, faults: &mut Vec<ConfError>) -> Self {
        let read = || {
            // Reading a pipe would never end.
            let metadata = fs::metadata(file)?;
            if !metadata.is_file() {
                return Err(io::Error::other("it is not a file"));
            }
            if metadata.len() > MAX_FILE_BYTES {
                return Err(io::Error::other(format!("it is longer than {} MiB", MAX_FILE_BYTES >> 20)));
            }
            fs::read(file)
        };
        match read() {
            Ok(bytes) => Self::read(file, &bytes, faults),
            // A dangling link was meant to be a list.
            Err(error) if error.kind() == io::ErrorKind::NotFound && file.symlink_metadata().is_err() => {
                Self::default()
            }
            Err(error) => {
                let message = format!("cannot be read: {error}; it is ignored");
                faults.push(ConfError { file: file.to_owned(), line: None, message, hint: None });
                Self::default()
            }
        }
    }
}

/// The four lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides([List; ListName::ALL.len()]);

impl Overrides {
    /// Reads the lists of a folder. A missing file is an empty list.
    ///
    /// Faulty lines apply to nothing and are reported; the other lines apply.
    pub fn load(folder: &Path) -> (Self, Vec<ConfError>) {
        let mut faults = Vec::new();
        if !folder.is_dir() {
            let message = "per_package_config_dir is not a folder; no lists are read".to_owned();
            faults.push(ConfError { file: folder.to_owned(), line: None, message, hint: None });
            return (Self::default(), faults);
        }
        let lists = ListName::ALL.map(|name| List::load(&folder.join(name.as_str()), &mut faults));
        (Self(lists), faults)
    }

    /// Returns the origin of the first line of a list that applies to the package.
    pub fn find(
        &self,
        name: ListName,
        package: &SourcePackage,
        architecture: &Architecture,
        release: &Release,
    ) -> Option<DecisionSource> {
        let list = self.list(name);
        let applies = |entry: &Entry| entry.applies(package.as_str(), architecture.as_str(), release.as_str());
        let (line, _) = list.entries.iter().find(|(_, entry)| applies(entry))?;
        Some(DecisionSource::File { path: list.file.clone(), line: *line })
    }

    /// Returns the position of a list's first entry, whatever it applies to; `None` when the list is empty.
    pub(super) fn first(&self, name: ListName) -> Option<(&Path, usize)> {
        let list = self.list(name);
        list.entries.first().map(|(line, _)| (list.file.as_path(), *line))
    }

    fn list(&self, name: ListName) -> &List {
        // The order of the lists is that of their names.
        &self.0[name as usize]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn overrides(folder: &Path) -> (Overrides, Vec<String>) {
        let (overrides, faults) = Overrides::load(folder);
        let strip = |fault: ConfError| {
            let file = fault.file.file_name().unwrap().to_string_lossy().into_owned();
            format!("{file}:{}: {}", fault.line.unwrap_or_default(), fault.message)
        };
        (overrides, faults.into_iter().map(strip).collect())
    }

    /// Returns the line of a list that applies to a package.
    fn line(overrides: &Overrides, name: ListName, package: &str) -> Option<usize> {
        let parts: Vec<&str> = package.split('/').collect();
        let [package, architecture, release] = parts[..] else { panic!("{package}") };
        let found =
            overrides.find(name, &package.parse().unwrap(), &architecture.parse().unwrap(), &release.parse().unwrap());
        found.map(|origin| match origin {
            DecisionSource::File { line, .. } => line,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn each_form_of_a_line_applies_where_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let list = "# Hangs since 2.1\n\ngzip # a remark\nlib*/armhf\nzlib/all/noble\n  bash/i[36]86/jammy\t\r\nall/riscv64\n\
                    dash/*/sid # x # y\n# the end";
        fs::write(folder.path().join("never_run"), list).unwrap();
        let (overrides, faults) = overrides(folder.path());
        assert_eq!(faults, [""; 0]);
        for (package, expected) in [
            ("gzip/amd64/noble", Some(3)),
            ("gzip2/amd64/noble", None),
            ("libpng/armhf/noble", Some(4)),
            ("libpng/arm64/noble", None),
            ("zlib/amd64/noble", Some(5)),
            ("zlib/amd64/jammy", None),
            ("bash/i386/jammy", Some(6)),
            ("bash/i686/jammy", Some(6)),
            ("bash/i386/noble", None),
            ("anything/riscv64/sid", Some(7)),
            ("dash/amd64/sid", Some(8)),
        ] {
            assert_eq!(line(&overrides, ListName::NeverRun, package), expected, "{package}");
        }
        for name in [ListName::BigPackages, ListName::LongTests, ListName::VmPackages] {
            assert_eq!(line(&overrides, name, "gzip/amd64/noble"), None, "{name}");
        }
    }

    #[test]
    fn each_list_is_its_own() {
        let folder = tempfile::tempdir().unwrap();
        for name in ListName::ALL {
            fs::write(folder.path().join(name.as_str()), format!("\nx\n{}\n", name.as_str().replace('_', "-")))
                .unwrap();
        }
        let (overrides, _) = overrides(folder.path());
        for name in ListName::ALL {
            for of in ListName::ALL {
                let package = format!("{}/amd64/noble", of.as_str().replace('_', "-"));
                assert_eq!(line(&overrides, name, &package), (name == of).then_some(3), "{name} and {of}");
            }
            assert_eq!(overrides.first(name).unwrap().1, 2);
        }
    }

    #[test]
    fn a_line_with_a_fault_skips_no_test_and_the_others_count() {
        let folder = tempfile::tempdir().unwrap();
        let list: &[&[u8]] = &[
            b"gzip bzip2",
            b"/armhf",
            b"gzip/amd64/noble/x",
            b"gzip//noble",
            b"gz[ip",
            b"gzip\xff",
            b"gzip,bzip2",
            b"gzip#x",
            b"*: all of them",
            b"zlib",
            b"all",
        ];
        fs::write(folder.path().join("never_run"), list.join(&b'\n')).unwrap();
        let (overrides, faults) = overrides(folder.path());
        assert_eq!(
            faults,
            [
                "never_run:1: there are several words on the line: PACKAGE[/ARCHITECTURE[/RELEASE]]; the line is ignored",
                "never_run:2: the package is empty; the line is ignored",
                "never_run:3: there are too many slashes: PACKAGE[/ARCHITECTURE[/RELEASE]]; the line is ignored",
                "never_run:4: the architecture is empty; the line is ignored",
                "never_run:5: the package has a [ without its ]; the line is ignored",
                "never_run:6: the line is not UTF-8; the line is ignored",
                "never_run:7: the package has ',', which no name has; the line is ignored",
                "never_run:8: the package has '#', which no name has; the line is ignored",
                "never_run:9: there are several words on the line: PACKAGE[/ARCHITECTURE[/RELEASE]]; the line is ignored",
                // The line may be the beginning of `all/riscv64`, for example.
                "never_run:11: the line has no end (a newline): it may be half-written; the line is ignored",
            ]
        );
        assert_eq!(line(&overrides, ListName::NeverRun, "gzip/amd64/noble"), None);
        assert_eq!(line(&overrides, ListName::NeverRun, "zlib/amd64/noble"), Some(10));
    }

    #[test]
    fn a_list_that_cannot_be_read_is_told_of_and_empty() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(overrides(folder.path()), (Overrides::default(), Vec::new()), "no lists at all");
        fs::create_dir(folder.path().join("never_run")).unwrap();
        nix::unistd::mkfifo(&folder.path().join("long_tests"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::File::create(folder.path().join("vm_packages")).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
        std::os::unix::fs::symlink("missing", folder.path().join("big_packages")).unwrap();
        let (none, faults) = overrides(folder.path());
        assert_eq!(none, Overrides::default());
        assert!(
            faults.iter().any(|fault| fault.starts_with("big_packages:0: cannot be read: No such file")),
            "{faults:?}"
        );
        let faults = faults.iter().filter(|fault| !fault.starts_with("big_packages"));
        for (fault, expected) in faults.zip([
            "never_run:0: cannot be read: it is not a file; it is ignored",
            "long_tests:0: cannot be read: it is not a file; it is ignored",
            "vm_packages:0: cannot be read: it is longer than 16 MiB; it is ignored",
        ]) {
            assert_eq!(fault, expected);
        }
        let (_, faults) = overrides(&folder.path().join("absent"));
        assert_eq!(faults, ["absent:0: per_package_config_dir is not a folder; no lists are read"]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut faults = Vec::new();
            let list = List::read(Path::new("f"), &bytes, &mut faults);
            let lines = bytes.split(|byte| *byte == b'\n').count();
            prop_assert!(list.entries.len() + faults.len() <= lines);
        }

        /// Checks that a line applies to exactly what it says, or to nothing: a damaged line never reaches another
        /// package.
        #[test]
        fn a_damaged_line_applies_to_exactly_what_it_says_or_to_nothing(
            parts in prop::collection::vec("[a-z][a-z0-9]{1,5}", 1..4),
            at in any::<prop::sample::Index>(),
            noise in "[ \t/#,_\\[\\]{}é\u{0}]",
            package in "[a-z][a-z0-9]{1,5}",
        ) {
            let whole = parts.join("/");
            let mut damaged: Vec<char> = whole.chars().collect();
            damaged.insert(at.index(damaged.len() + 1), noise.chars().next().unwrap());
            let damaged: String = damaged.into_iter().collect();
            let mut faults = Vec::new();
            let list = List::read(Path::new("f"), damaged.as_bytes(), &mut faults);
            prop_assert!(list.entries.len() + faults.len() <= 1);
            // The remaining text, up to a comment, names the only packages that may be hit.
            let said = damaged.split(" #").next().unwrap_or_default().trim().trim_end_matches('#').trim();
            for (_, entry) in &list.entries {
                for name in [&package, &parts[0]] {
                    if entry.applies(name, "amd64", "noble") {
                        prop_assert_eq!(said.split('/').next().unwrap_or_default(), name.as_str(), "{}", damaged);
                    }
                }
            }
        }
    }
}
