//! apt in the testbed: the sources and pins that a request needs, and the report of what apt has afterwards.
//!
//! One script (`apt/setup.sh`) does this as a setup command, in the same way for every autopkgtest, virt server and
//! form of apt's sources. autopkgtest's own options (`--apt-pocket`, `--add-apt-source`) are not used: their meaning
//! differs between versions, some show tokens, and none proves anything. See `docs/proof.md`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::TestbedError;
use super::decision::DecisionSource;
use super::ppa::{self, PpaAccess};
use super::template::quote;
use crate::archive::Pocket;
use crate::release::Release;
use crate::request::{Request, Trigger};

const SCRIPT: &str = include_str!("apt/setup.sh");

/// Packages that are taken from a release's pocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PocketSelection {
    /// No packages; with the origin of that decision.
    Nothing(DecisionSource),
    /// The packages of the triggers; everything else comes from the release if it is available there.
    Triggers,
    /// Every package that is newer in the pocket; with the origin of that decision.
    All(DecisionSource),
}

impl PocketSelection {
    /// Returns what a request takes from the pocket. The triggers of a request with PPAs come from these, and those of
    /// a branch are only its cause.
    pub(super) fn of(request: &Request, pocket: Option<&Pocket>) -> Self {
        let parameters = request.parameters();
        if pocket.is_none() {
            Self::Nothing(DecisionSource::Queue)
        } else if parameters.all_proposed {
            Self::All(DecisionSource::Request("all-proposed"))
        } else if parameters.source.is_some() {
            Self::Nothing(DecisionSource::Request("test-git, build-git or test-bzr"))
        } else if !parameters.ppas.is_empty() {
            Self::Nothing(DecisionSource::Request("ppas"))
        } else if parameters.triggers.iter().all(Trigger::is_baseline) {
            Self::Nothing(DecisionSource::Request("triggers"))
        } else {
            Self::Triggers
        }
    }
}

/// Setup of apt for one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AptSetup {
    /// File of the script on the host.
    pub script: PathBuf,
    /// Pocket of the release.
    pub pocket: Option<Pocket>,
    /// Packages that are taken from the pocket.
    pub take: PocketSelection,
    /// Whether sources are only read, because the testbed is this machine.
    pub is_read_only: bool,
    release: Release,
    package: String,
    /// Triggers that must be available, each once.
    triggers: Vec<Trigger>,
}

impl AptSetup {
    /// Returns the setup that a request needs on a release.
    pub(super) fn new(
        request: &Request,
        release: &Release,
        pocket: Option<&Pocket>,
        script: PathBuf,
        is_read_only: bool,
    ) -> Self {
        let parameters = request.parameters();
        let mut triggers: Vec<Trigger> = Vec::new();
        // The triggers of a branch, such as a pull request, are its cause and are not tested.
        if parameters.source.is_none() {
            for trigger in parameters.triggers.iter().filter(|trigger| !trigger.is_baseline()) {
                if !triggers.contains(trigger) {
                    triggers.push(trigger.clone());
                }
            }
        }
        Self {
            script,
            pocket: pocket.cloned(),
            take: PocketSelection::of(request, pocket),
            is_read_only,
            release: release.clone(),
            package: request.package().to_string(),
            triggers,
        }
    }

    /// Returns the triggers whose packages must be in the testbed.
    pub fn triggers(&self) -> &[Trigger] {
        &self.triggers
    }

    /// Writes the script, for its owner alone, and returns the word that marks its report in the log. Programs in the
    /// testbed do not know that word beforehand.
    ///
    /// # Errors
    /// Fails when the file cannot be written.
    pub fn write(&self, ppas: &[PpaAccess]) -> Result<String, TestbedError> {
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let text = self.text(&nonce, ppas);
        let save = || {
            let mut options = File::options();
            options.write(true).create(true).truncate(true).mode(0o600);
            options.open(&self.script)?.write_all(text.as_bytes())
        };
        save().map_err(|source| TestbedError::Io { action: format!("writing {}", self.script.display()), source })?;
        Ok(nonce)
    }

    fn text(&self, nonce: &str, ppas: &[PpaAccess]) -> String {
        let take = match self.take {
            PocketSelection::Nothing(_) => "nothing",
            PocketSelection::Triggers => "triggers",
            PocketSelection::All(_) => "all",
        };
        let lines = |lines: Vec<String>| lines.iter().fold(String::new(), |text, line| text + line + "\n");
        let triggers = self.triggers.iter().map(|trigger| format!("{} {}", trigger.package(), trigger.version()));
        let (triggers, ppas) =
            (lines(triggers.collect()), lines(ppas.iter().map(|access| access.archive_url.clone()).collect()));
        let mut text = String::new();
        for (name, value) in [
            ("nonce", nonce),
            ("setup", if self.is_read_only { "0" } else { "1" }),
            ("release", self.release.as_str()),
            ("pocket", self.pocket.as_ref().map(Pocket::as_str).unwrap_or_default()),
            ("take", take),
            ("triggers", triggers.as_str()),
            ("package", self.package.as_str()),
            ("ppas", ppas.as_str()),
            ("ppa_folder", ppa::IN_TESTBED),
        ] {
            let _ = writeln!(text, "{name}={}", quote(value));
        }
        text + SCRIPT
    }

    /// Returns the path of the script in a request's folder.
    pub(super) fn script_in(work_folder: &Path) -> PathBuf {
        work_folder.join("apt-setup")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;
    use crate::testbed::evidence::Evidence;

    fn setup(request: &str, pocket: Option<&str>, script: PathBuf) -> AptSetup {
        let request = Request::parse(request.as_bytes()).unwrap();
        let pocket: Option<Pocket> = pocket.map(|pocket| pocket.parse().unwrap());
        AptSetup::new(&request, &"noble".parse().unwrap(), pocket.as_ref(), script, true)
    }

    #[test]
    fn the_request_decides_what_comes_from_the_pocket() {
        let take = |request: &str, pocket| match setup(request, pocket, PathBuf::new()).take {
            PocketSelection::Nothing(origin) => format!("nothing: {origin}"),
            PocketSelection::Triggers => "triggers".to_owned(),
            PocketSelection::All(origin) => format!("all: {origin}"),
        };
        let proposed = Some("noble-proposed");
        for (request, pocket, expected) in [
            (r#"gzip {"triggers": ["zlib/1"]}"#, proposed, "triggers"),
            (r#"gzip {"triggers": ["zlib/1"]}"#, None, "nothing: queue"),
            (r#"gzip {"triggers": ["zlib/1"], "all-proposed": "1"}"#, proposed, "all: request: all-proposed"),
            (r#"gzip {"triggers": ["migration-reference/0"]}"#, proposed, "nothing: request: triggers"),
            (r#"gzip {"triggers": ["my-migration-reference/0"]}"#, proposed, "triggers"),
            ("gzip", proposed, "nothing: request: triggers"),
            (r#"gzip {"triggers": ["a/1"], "ppas": ["me/one"]}"#, proposed, "nothing: request: ppas"),
            (r#"gzip {"ppas": ["me/one"], "all-proposed": "1"}"#, proposed, "all: request: all-proposed"),
            (
                r#"gzip {"triggers": ["a/1"], "test-git": "http://h/x"}"#,
                proposed,
                "nothing: request: test-git, build-git or test-bzr",
            ),
        ] {
            assert_eq!(take(request, pocket), expected, "{request}");
        }
    }

    #[test]
    fn the_script_is_the_owners_alone_and_each_one_has_another_mark() {
        let folder = tempfile::tempdir().unwrap();
        let setup = setup(r#"gzip {"triggers": ["zlib/1~a+b"]}"#, Some("noble-proposed"), folder.path().join("s"));
        let (first, second) = (setup.write(&[]).unwrap(), setup.write(&[]).unwrap());
        assert_ne!(first, second);
        let text = std::fs::read_to_string(&setup.script).unwrap();
        assert!(
            text.starts_with(&format!("nonce={second}\nsetup=0\nrelease=noble\npocket=noble-proposed\n")),
            "{text}"
        );
        assert!(text.contains("triggers='zlib 1~a+b\n'\n"), "{text}");
        assert_eq!(setup.script.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        // Longer arguments cannot be passed to a program.
        assert!(text.len() < 100_000);
    }

    /// Returns what the script adds to these sources of apt for noble-proposed, or its error.
    fn derived(files: &[(&str, &str)]) -> String {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        std::fs::create_dir_all(folder.path().join("sources.list.d")).unwrap();
        let (functions, _) = SCRIPT.split_once("\nprintf '%s' \"$triggers\"").expect("the end of the functions");
        let of_folder = functions.replace("apt_dir=/etc/apt", &format!("apt_dir={}", folder.path().display()));
        let script = format!(
            "nonce=N setup=0 release=noble pocket=noble-proposed\n{of_folder}\nderive_pocket\n\
             cat \"$apt_dir\"/sources.list.d/apt-ci-pocket.* 2>/dev/null || :\n"
        );
        let output = Command::new("sh").args(["-ec", &script]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        String::from_utf8(output.stdout).unwrap().replace("apt-ci-evidence N begin\n", "")
    }

    #[test]
    fn the_pocket_is_derived_from_one_line_sources() {
        let text = "# deb http://comment/ noble main\n\
                    deb http://h/ubuntu noble main universe # the release\n\
                    deb-src http://h/ubuntu noble main universe\n\
                    deb http://h/ubuntu noble-updates main\n";
        let further = "  deb [ arch=amd64 signed-by=/k.gpg ]  http://other/x\tnoble  main\ndeb http://flat/ ./\n";
        assert_eq!(
            derived(&[("sources.list", text), ("sources.list.d/more.list", further)]),
            "deb http://h/ubuntu noble-proposed main universe\n\
             deb-src http://h/ubuntu noble-proposed main universe\n\
             deb [ arch=amd64 signed-by=/k.gpg ] http://other/x noble-proposed main\n\
             deb-src [ arch=amd64 signed-by=/k.gpg ] http://other/x noble-proposed main\n"
        );
    }

    #[test]
    fn the_pocket_is_derived_from_deb822_sources() {
        let text = "# A comment\nTypes: deb\nURIs: http://h/ubuntu\nSuites: noble noble-updates\nComponents: main\n universe\n\
                    Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n\n\
                    Types: deb\nURIs: http://off/\nSuites: noble\nComponents: main\nEnabled: No\n\n\
                    Types: deb\nURIs: http://h/ubuntu\nSuites: noble-security\nComponents: main\n";
        let continued =
            "types: deb-src\r\nuris: http://two/\r\nsuites:\r\n noble\r\ncomponents: main\r\nenabled: yes\r\n";
        assert_eq!(
            derived(&[("sources.list.d/x.sources", text), ("sources.list.d/y.sources", continued)]),
            "Types: deb deb-src\nSuites: noble-proposed\nURIs: http://h/ubuntu\nComponents: main\n universe\n\
             Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n\n\
             Types: deb deb-src\nSuites: noble-proposed\nuris: http://two/\ncomponents: main\n\n"
        );
    }

    #[test]
    fn a_pocket_that_is_there_is_not_added_again_and_one_without_a_release_is_an_error() {
        let there = "deb http://h/ubuntu noble main\ndeb http://h/ubuntu noble-proposed main\n";
        assert_eq!(derived(&[("sources.list", there)]), "");
        let stanza = "Types: deb\nURIs: http://h/\nSuites: noble noble-proposed\nComponents: main\n";
        assert_eq!(derived(&[("sources.list.d/x.sources", stanza)]), "");
        // The sources may have another name for the release.
        let devel = "deb http://h/ubuntu devel-updates main\ndeb http://h/ubuntu devel main\n";
        assert!(derived(&[("sources.list", devel)]).starts_with("deb http://h/ubuntu noble-proposed main\n"));
        let error = derived(&[("sources.list", "# nothing\n")]);
        assert!(error.contains("the suite noble: the pocket noble-proposed cannot be derived"), "{error}");
    }

    /// Returns the script's report of a trigger with this number of binary packages.
    fn reported(binaries: usize) -> Evidence {
        let folder = tempfile::tempdir().unwrap();
        let program = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        program("apt-get", "exit 1");
        program("dpkg", "echo amd64");
        program("apt-cache", r#"shift; for name; do printf '%s:\n  Candidate: 12-2\n' "$name"; done"#);
        let installed =
            r#"BEGIN { for (i = 1; i <= most; i++) print "gcc 12-1 libgcc" i " 12-1 install ok installed" }"#;
        program("dpkg-query", &format!("exec awk -v most={binaries} '{installed}'"));
        let (functions, _) = SCRIPT.split_once("\nprintf '%s' \"$triggers\"").expect("the end of the functions");
        let shipped =
            r#"BEGIN { for (i = 1; i <= most; i++) print "Packages gcc 12-2 libgcc" i " 12-2 amd64 sid http://h/" }"#;
        let script = format!(
            "nonce=N setup=0 release=sid pocket=\n{functions}\n: >\"$apt_work/indexes\"\necho 'gcc 12-2' >\"$apt_work/triggers\"\n\
             awk -v most={binaries} '{shipped}' >\"$apt_work/versions\"\nreport\nsay end\n"
        );
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let output = Command::new("sh").args(["-ec", &script]).env("PATH", path).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let mut reports = Evidence::read(&mut output.stdout.as_slice(), "N").unwrap();
        reports.pop().expect("a report")
    }

    #[test]
    fn every_binary_package_of_a_trigger_is_reported_or_the_report_says_that_it_is_cut() {
        let whole = reported(600);
        assert_eq!((whole.ships.len(), whole.installed.len()), (600, 600));
        assert!(whole.is_complete && !whole.is_cut, "{:?}", whole.candidates);
        assert!(
            whole.candidates.iter().all(|one| one.version.as_deref() == Some("12-2")) && !whole.candidates.is_empty()
        );
        let cut = reported(6000);
        assert!(cut.is_complete && cut.is_cut && cut.ships.len() < 6000 && !cut.candidates.is_empty());
    }

    #[test]
    fn the_script_reports_without_changing_anything() {
        let folder = tempfile::tempdir().unwrap();
        let setup = setup(r#"gzip {"triggers": ["gzip/1.12-1"]}"#, Some("noble-proposed"), folder.path().join("s"));
        let nonce = setup.write(&[]).unwrap();
        let text = std::fs::read_to_string(&setup.script).unwrap();
        let output = Command::new("sh").args(["-ec", &text]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        let marked = |line: &str| line.starts_with(&format!("apt-ci-evidence {nonce} "));
        assert!(said.lines().all(marked) && said.contains(" begin\n") && said.ends_with(" end\n"), "{said}");
        assert!(!Path::new("/etc/apt/preferences.d/apt-ci-pocket.pref").exists());
    }
}
