//! The commands that fetch a branch, and the environment that they run in.

use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::request::{BzrSource, GitSource, TestSource};
use crate::testbed::autopkgtest::is_executable;
use crate::testbed::command::CommandLine;

/// What git must not do, or must do without; each as `-c`.
const GIT_SETTINGS: [&str; 9] = [
    "protocol.allow=never",
    "protocol.http.allow=always",
    "protocol.https.allow=always",
    "protocol.git.allow=always",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "credential.helper=",
    "submodule.recurse=false",
    "advice.detachedHead=false",
];

/// The name that the fetched reference gets, as autopkgtest names it.
const BRANCH: &str = "testbranch";

/// The variables that lead to the network.
const PASSED_ON: [&str; 8] =
    ["PATH", "http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"];

/// What to run, one after the other, and the whole environment for it.
pub(super) struct Fetch {
    pub(super) commands: Vec<CommandLine>,
    pub(super) variables: Vec<(&'static str, String)>,
}

impl Fetch {
    /// The fetch of a branch into the folder, with `home` as an empty home.
    ///
    /// # Errors
    /// When the program for it is not installed.
    pub(super) fn new(
        source: &TestSource,
        folder: &Path,
        home: &Path,
        environment: &Environment,
    ) -> Result<Self, String> {
        let home = home.to_string_lossy().into_owned();
        let passed = PASSED_ON.iter().filter_map(|name| Some((*name, environment.get(name)?.to_owned())));
        let mut variables: Vec<(&str, String)> = passed.collect();
        let given =
            [("HOME", home.as_str()), ("XDG_CONFIG_HOME", &home), ("XDG_CACHE_HOME", &home), ("LC_ALL", "C.UTF-8")];
        variables.extend(given.map(|(name, value)| (name, value.to_owned())));
        let (commands, more) = match source {
            TestSource::TestGit(git) | TestSource::BuildGit(git) => {
                let program = find(&["git"], environment).ok_or("git is not installed: apt install git")?;
                (with_git(&program, git, folder), GIT_VARIABLES.as_slice())
            }
            TestSource::TestBzr(bzr) => {
                let program =
                    find(&["brz", "bzr"], environment).ok_or("neither brz nor bzr is installed: apt install brz")?;
                (vec![with_bzr(program, bzr, folder)], BZR_VARIABLES.as_slice())
            }
        };
        variables.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        Ok(Self { commands, variables })
    }
}

const GIT_VARIABLES: [(&str, &str); 6] = [
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", "true"),
    ("GIT_SSH_COMMAND", "false"),
    ("GIT_LFS_SKIP_SMUDGE", "1"),
];

const BZR_VARIABLES: [(&str, &str); 4] =
    [("BRZ_SSH", "/bin/false"), ("BZR_SSH", "/bin/false"), ("BRZ_LOG", "/dev/null"), ("BZR_LOG", "/dev/null")];

/// As autopkgtest does it in a testbed: a full clone, then the reference, which need not be a branch.
fn with_git(program: &Path, source: &GitSource, folder: &Path) -> Vec<CommandLine> {
    let folder = folder.to_string_lossy().into_owned();
    let git = |words: &[&str]| {
        let mut args: Vec<String> = Vec::new();
        args.extend(GIT_SETTINGS.iter().flat_map(|setting| ["-c".to_owned(), (*setting).to_owned()]));
        args.extend(words.iter().map(|word| (*word).to_owned()));
        CommandLine { program: program.to_owned(), args }
    };
    // Without a template no hooks come from this machine.
    let clone = ["clone", "--quiet", "--template=", "--no-recurse-submodules"];
    let Some(branch) = source.branch() else {
        return vec![git(&[&clone[..], &["--", source.url(), &folder]].concat())];
    };
    let reference = format!("{branch}:{BRANCH}");
    let fetch =
        ["-C", &folder, "fetch", "--quiet", "--force", "--update-head-ok", "--no-recurse-submodules", "--", "origin"];
    vec![
        git(&[&clone[..], &["--no-checkout", "--", source.url(), &folder]].concat()),
        git(&[&fetch[..], &[&reference]].concat()),
        git(&["-C", &folder, "checkout", "--quiet", "--force", BRANCH, "--"]),
    ]
}

/// Only the tree: nothing looks at its history.
fn with_bzr(program: PathBuf, source: &BzrSource, folder: &Path) -> CommandLine {
    let folder = folder.to_string_lossy().into_owned();
    let args = ["export", "--format=dir", "--", &folder, source.url()].map(str::to_owned).to_vec();
    CommandLine { program, args }
}

/// The first of the programs that is there.
fn find(programs: &[&str], environment: &Environment) -> Option<PathBuf> {
    let path = environment.get("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin");
    programs.iter().find_map(|program| {
        let mut places = path.split(':').map(Path::new).filter(|folder| folder.is_absolute());
        places.find_map(|folder| Some(folder.join(program)).filter(|path| is_executable(path)))
    })
}
