//! Evidence about a testbed's packages: the report of the [setup script](super::apt), read from the log.

use std::io::{self, BufRead};

/// Beginning of a report's line, before the word that marks the run.
const MARK: &str = "apt-ci-evidence ";
/// Maximum length of a report's line, in bytes. Longer lines belong to no report.
const MAX_LINE_BYTES: u64 = 8 << 10;
/// Maximum number of lines that are read of one report.
const MAX_LINES: usize = 20_000;
/// Maximum number of reports that are read. A testbed makes one at each reset.
const MAX_REPORTS: usize = 100;

/// One report: the state of apt after its setup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Whether the testbed has no apt, so that it can prove nothing.
    pub is_absent: bool,
    /// Reason for which apt could not be set up.
    pub error: Option<String>,
    /// Whether the script came to its end.
    pub is_complete: bool,
    /// Whether a list was too long to be reported completely, so that it can prove nothing.
    pub is_cut: bool,
    /// Indexes that were read.
    pub indexes: Vec<Index>,
    /// Versions of the relevant sources.
    pub versions: Vec<AvailableVersion>,
    /// Binary packages of the triggers' versions.
    pub ships: Vec<Binary>,
    /// Source versions of the packages that apt would install.
    pub candidates: Vec<Candidate>,
    /// Packages that were installed at that time.
    pub installed: Vec<Binary>,
}

/// An index of packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Suite, as apt's sources name it.
    pub suite: String,
    /// Address of the archive, without credentials.
    pub url: String,
}

/// A version of a source in a suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvailableVersion {
    /// Source package.
    pub source: String,
    /// Version.
    pub version: String,
    /// Suite that has it.
    pub suite: String,
    /// Address of the archive, without credentials.
    pub url: String,
    /// Number of its binary packages in the suite for the testbed's architectures.
    pub binaries: u32,
    /// Whether the suite has the source itself.
    pub has_source: bool,
}

/// A binary package of a source's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// Source package.
    pub source: String,
    /// Version of the source.
    pub source_version: String,
    /// Binary package.
    pub name: String,
    /// Version of the binary package.
    pub version: String,
}

/// A version of a source whose binary packages apt would install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Source package.
    pub source: String,
    /// Version; `None` if the binary packages come from another source now.
    pub version: Option<String>,
    /// One of the binary packages, and its version.
    pub example: String,
}

impl Evidence {
    /// Reads the reports that are marked with this word, in their order.
    ///
    /// # Errors
    /// Fails when the log cannot be read.
    pub fn read(log: &mut impl BufRead, nonce: &str) -> io::Result<Vec<Self>> {
        let mark = format!("{MARK}{nonce} ");
        let mut reports: Vec<Self> = Vec::new();
        let mut lines = 0;
        let mut line = Vec::new();
        loop {
            line.clear();
            if io::Read::take(&mut *log, MAX_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
                return Ok(reports);
            }
            let text = String::from_utf8_lossy(&line);
            // autopkgtest writes the time before each line.
            let Some((_, said)) = text.split_once(&mark) else { continue };
            let (word, rest) = said.trim_end().split_once(' ').unwrap_or((said.trim_end(), ""));
            if word == "begin" {
                if reports.len() == MAX_REPORTS {
                    return Ok(reports);
                }
                reports.push(Self::default());
                lines = 0;
            }
            lines += 1;
            if let Some(report) = reports.last_mut()
                && lines <= MAX_LINES
            {
                report.take(word, rest);
            }
        }
    }

    fn take(&mut self, word: &str, rest: &str) {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let text = |text: &&str| (*text).to_owned();
        match (word, words.as_slice()) {
            ("absent", _) => self.is_absent = true,
            ("error", _) => self.error = Some(rest.to_owned()),
            ("end", _) => self.is_complete = true,
            ("cut", _) => self.is_cut = true,
            ("index", [_, suite, url]) => {
                let index = Index { suite: text(suite), url: text(url) };
                if !self.indexes.contains(&index) {
                    self.indexes.push(index);
                }
            }
            ("version", [source, version, suite, url, binaries, has_source]) => self.versions.push(AvailableVersion {
                source: text(source),
                version: text(version),
                suite: text(suite),
                url: text(url),
                binaries: binaries.parse().unwrap_or_default(),
                has_source: *has_source == "1",
            }),
            ("ships", words) => self.ships.extend(binary(words)),
            ("installed", words) => self.installed.extend(binary(words)),
            ("candidate", [source, version, _, name, name_version]) => self.candidates.push(Candidate {
                source: text(source),
                version: (*version != "-").then(|| text(version)),
                example: format!("{name} {name_version}"),
            }),
            _ => {}
        }
    }
}

fn binary(words: &[&str]) -> Option<Binary> {
    let [source, source_version, name, version] = words else { return None };
    Some(Binary {
        source: (*source).to_owned(),
        source_version: (*source_version).to_owned(),
        name: (*name).to_owned(),
        version: (*version).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOG: &str = "\
autopkgtest [12:00:00]: @@@@@@@@@@@@@@@@@@@@ test bed setup
 12s apt-ci-evidence N begin
 12s apt-ci-evidence OTHER error forged
apt-ci-evidence N architecture amd64
apt-ci-evidence N index Packages noble http://h/ubuntu/
apt-ci-evidence N index Sources noble http://h/ubuntu/
apt-ci-evidence N version zlib 1.3-1 noble-proposed http://h/ubuntu/ 3 1
apt-ci-evidence N candidate zlib 1.3-1 2 zlib1g 1.3-1
apt-ci-evidence N candidate zlib - 1 minizip 9
apt-ci-evidence N ships zlib 1.3-1 zlib1g 1.3-1
apt-ci-evidence N installed zlib 1.2-1 zlib1g 1.2-1
apt-ci-evidence N end
something else
apt-ci-evidence N begin
apt-ci-evidence N error apt-get update: E: no such file
apt-ci-evidence N end
";

    #[test]
    fn the_report_is_found_in_the_log() {
        let reports = Evidence::read(&mut LOG.as_bytes(), "N").unwrap();
        let [first, second] = reports.as_slice() else { panic!("{reports:?}") };
        assert!(first.is_complete && first.error.is_none() && !first.is_absent, "{first:?}");
        assert_eq!(first.indexes, [Index { suite: "noble".to_owned(), url: "http://h/ubuntu/".to_owned() }]);
        let [available] = first.versions.as_slice() else { panic!("{first:?}") };
        assert_eq!((available.version.as_str(), available.binaries, available.has_source), ("1.3-1", 3, true));
        let candidates: Vec<(Option<&str>, &str)> = first
            .candidates
            .iter()
            .map(|candidate| (candidate.version.as_deref(), candidate.example.as_str()))
            .collect();
        assert_eq!(candidates, [(Some("1.3-1"), "zlib1g 1.3-1"), (None, "minizip 9")]);
        assert_eq!((first.ships.len(), first.installed.len()), (1, 1));
        assert_eq!(second.error.as_deref(), Some("apt-get update: E: no such file"));
        assert_eq!(Evidence::read(&mut LOG.as_bytes(), "M").unwrap(), []);
    }

    #[test]
    fn a_log_of_any_size_is_read_within_bounds() {
        let long = format!("apt-ci-evidence N begin\n{}\n", "apt-ci-evidence N index a b c ".repeat(9000));
        assert_eq!(Evidence::read(&mut long.as_bytes(), "N").unwrap().len(), 1);
        let many = "apt-ci-evidence N begin\n".repeat(9000);
        assert_eq!(Evidence::read(&mut many.as_bytes(), "N").unwrap().len(), MAX_REPORTS);
        let installed = "apt-ci-evidence N installed a 1 b 1\n".repeat(MAX_LINES * 2);
        let reports = Evidence::read(&mut format!("apt-ci-evidence N begin\n{installed}").as_bytes(), "N").unwrap();
        assert!(reports[0].installed.len() <= MAX_LINES);
    }

    proptest! {
        #[test]
        fn no_log_makes_the_reader_panic(lines in prop::collection::vec(
            "(apt-ci-evidence N )?(begin|end|error|index|version|ships|candidate|installed|x)( [a-z0-9é.~+-]{0,5}){0,7}", 0..20,
        )) {
            let _ = Evidence::read(&mut lines.join("\n").as_bytes(), "N").unwrap();
        }
    }
}
