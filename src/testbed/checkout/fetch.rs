//! Commands that fetch a branch, and their environment.

use std::path::{Path, PathBuf};

use super::border::Route;
use crate::environment::Environment;
use crate::request::{BzrSource, GitSource, TestSource};
use crate::testbed::autopkgtest::is_executable;
use crate::testbed::command_line::CommandLine;

/// Settings that restrict git; each is passed with `-c`.
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

/// Name of the fetched reference, which is autopkgtest's own.
const BRANCH: &str = "testbranch";

/// Variables with the settings of the network.
const NETWORK_VARIABLES: [&str; 8] =
    ["PATH", "http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"];

/// Commands to run one after the other, with their complete environment.
pub(super) struct Fetch {
    pub(super) commands: Vec<CommandLine>,
    pub(super) variables: Vec<(&'static str, String)>,
}

impl Fetch {
    /// Returns the commands that fetch a branch into the folder, with `home` as an empty home, in this way if there is
    /// one.
    ///
    /// # Errors
    /// Fails when the program is not installed, or cannot be restricted to the way.
    pub(super) fn new(
        source: &TestSource,
        folder: &Path,
        home: &Path,
        environment: &Environment,
        route: Option<&Route>,
    ) -> Result<Self, String> {
        let home = home.to_string_lossy().into_owned();
        let passed = NETWORK_VARIABLES.iter().filter_map(|name| Some((*name, environment.get(name)?.to_owned())));
        let mut variables: Vec<(&str, String)> = passed.collect();
        let given =
            [("HOME", home.as_str()), ("XDG_CONFIG_HOME", &home), ("XDG_CACHE_HOME", &home), ("LC_ALL", "C.UTF-8")];
        variables.extend(given.map(|(name, value)| (name, value.to_owned())));
        let (commands, more) = match source {
            TestSource::TestGit(git) | TestSource::BuildGit(git) => {
                let program = find(&["git"], environment).ok_or("git is not installed: apt install git")?;
                if route.is_some_and(|route| route.held_to.is_some()) {
                    check_can_be_held(&program)?;
                }
                (with_git(&program, git, folder, route), GIT_VARIABLES.as_slice())
            }
            TestSource::TestBzr(bzr) => {
                let program =
                    find(&["brz", "bzr"], environment).ok_or("neither brz nor bzr is installed: apt install brz")?;
                (vec![with_bzr(program, bzr, folder)], BZR_VARIABLES.as_slice())
            }
        };
        variables.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        if route.is_some() {
            // With a proxy, no connection bypasses it; without one, these have no effect.
            variables.extend(ROUTE_VARIABLES.map(|(name, value)| (name, value.to_owned())));
        }
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

/// Settings for requests that came over the web: git contacts only the server that was checked.
const ROUTE_SETTINGS: [&str; 4] =
    ["protocol.git.allow=never", "http.followRedirects=false", "transfer.bundleURI=false", "fetch.uriProtocols="];

const ROUTE_VARIABLES: [(&str, &str); 3] = [("GIT_ALLOW_PROTOCOL", "http:https"), ("no_proxy", ""), ("NO_PROXY", "")];

/// Oldest version of git that can be restricted: older versions silently ignore `http.curloptResolve`.
const MIN_GIT: (u32, u32) = (2, 37);

fn check_can_be_held(program: &Path) -> Result<(), String> {
    let said = std::process::Command::new(program).arg("--version").env_clear().output();
    let said = said.map_err(|error| format!("git --version: {error}"))?;
    let text = String::from_utf8_lossy(&said.stdout);
    let version = text.split_whitespace().nth(2).unwrap_or_default();
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    let version_at_hand = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version_at_hand >= MIN_GIT {
        return Ok(());
    }
    let (major, minor) = MIN_GIT;
    Err(format!("requests over the web need git {major}.{minor} or newer, and here is {}", text.trim()))
}

/// Returns the commands that autopkgtest uses in a testbed: a full clone, then the reference, which need not be a
/// branch.
fn with_git(program: &Path, source: &GitSource, folder: &Path, route: Option<&Route>) -> Vec<CommandLine> {
    let folder = folder.to_string_lossy().into_owned();
    let url = route.map_or(source.url(), |route| route.url.as_str());
    let mut settings: Vec<String> = GIT_SETTINGS.map(str::to_owned).to_vec();
    if let Some(route) = route {
        settings.extend(ROUTE_SETTINGS.map(str::to_owned));
        settings.extend(route.held_to.iter().map(|held_to| format!("http.curloptResolve={held_to}")));
    }
    let git = |words: &[&str]| {
        let mut args: Vec<String> = Vec::new();
        args.extend(settings.iter().flat_map(|setting| ["-c".to_owned(), setting.clone()]));
        args.extend(words.iter().map(|word| (*word).to_owned()));
        CommandLine { program: program.to_owned(), args }
    };
    // Without a template, no hooks of this machine are copied.
    let clone = ["clone", "--quiet", "--template=", "--no-recurse-submodules"];
    let Some(branch) = source.branch() else {
        return vec![git(&[&clone[..], &["--", url, &folder]].concat())];
    };
    let reference = format!("{branch}:{BRANCH}");
    let fetch =
        ["-C", &folder, "fetch", "--quiet", "--force", "--update-head-ok", "--no-recurse-submodules", "--", "origin"];
    vec![
        git(&[&clone[..], &["--no-checkout", "--", url, &folder]].concat()),
        git(&[&fetch[..], &[&reference]].concat()),
        git(&["-C", &folder, "checkout", "--quiet", "--force", BRANCH, "--"]),
    ]
}

/// Returns the command that exports the tree, without its history.
fn with_bzr(program: PathBuf, source: &BzrSource, folder: &Path) -> CommandLine {
    let folder = folder.to_string_lossy().into_owned();
    let args = ["export", "--format=dir", "--", &folder, source.url()].map(str::to_owned).to_vec();
    CommandLine { program, args }
}

/// Returns the first of the programs that is installed.
fn find(programs: &[&str], environment: &Environment) -> Option<PathBuf> {
    let path = environment.get("PATH").unwrap_or("/usr/local/bin:/usr/bin:/bin");
    programs.iter().find_map(|program| {
        let mut places = path.split(':').map(Path::new).filter(|folder| folder.is_absolute());
        places.find_map(|folder| Some(folder.join(program)).filter(|path| is_executable(path)))
    })
}
