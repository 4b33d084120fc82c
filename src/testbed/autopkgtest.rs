//! The autopkgtest program: its location, and its abilities.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::TestbedError;
use super::conf::WorkerConf;

/// Timeout for `autopkgtest --help`, on a machine that is busy with tests.
const PROBE_TIMEOUT: Duration = Duration::from_secs(60);

/// autopkgtest program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autopkgtest {
    program: PathBuf,
    pub(super) abilities: Abilities,
}

/// Abilities of an autopkgtest, which differ between versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Abilities {
    /// Option that selects one test of a package.
    pub(super) test_name_option: &'static str,
    /// Whether a source may be `URL#BRANCH` of a git repository.
    pub(super) can_clone: bool,
    /// Whether `--copy` copies files into the testbed.
    pub(super) can_copy: bool,
    /// Whether tests can run as a foreign architecture, since version 5.43.
    pub(super) can_run_foreign: bool,
}

impl Abilities {
    /// Abilities of autopkgtest 5.28.
    pub(super) const USUAL: Self =
        Self { test_name_option: "--test-name", can_clone: true, can_copy: true, can_run_foreign: false };

    /// Parses the output of `autopkgtest --help`.
    pub(super) fn read(help: &str) -> Self {
        let old_name = !help.contains("--test-name") && help.contains("--testname");
        // Each option begins with its name; its argument may be on the next line.
        let option = |name: &str| {
            let start = help.find(&format!("  {name} "))?;
            help.get(start..).map(|rest| rest.split("\n  -").next().unwrap_or(rest))
        };
        Self {
            test_name_option: if old_name { "--testname" } else { "--test-name" },
            can_clone: help.contains("url#branch"),
            can_copy: option("--copy").is_some(),
            can_run_foreign: help.contains("--test-architecture"),
        }
    }
}

impl Autopkgtest {
    /// Finds the program: in the configuration's checkout, or else in the folders of `path_variable`, which is the text
    /// of `PATH`.
    ///
    /// # Errors
    /// [`TestbedError::NotInstalled`] or [`TestbedError::NoVirtServer`], with a hint.
    pub fn find(conf: &WorkerConf, path_variable: Option<&str>) -> Result<Self, TestbedError> {
        let (found, mut missing) = Self::locate(conf, path_variable);
        match found {
            Some(found) if missing.is_empty() => Ok(found),
            _ => Err(missing.swap_remove(0)),
        }
    }

    /// Finds the program like [`Self::find`], but reports everything that is missing.
    pub fn locate(conf: &WorkerConf, path_variable: Option<&str>) -> (Option<Self>, Vec<TestbedError>) {
        let path_variable = path_variable.unwrap_or("/usr/local/bin:/usr/bin:/bin");
        let folders = || path_variable.split(':').map(Path::new).filter(|folder| folder.is_absolute());
        let own =
            conf.runner.as_ref().and_then(|runner| runner.ancestors().nth(2)).map(|checkout| checkout.join("virt"));
        let program = match &conf.runner {
            Some(runner) if is_executable(runner) => Ok(runner.clone()),
            Some(runner) => Err(TestbedError::NotInstalled {
                looked: format!("{} is not a program", runner.display()),
                hint: "checkout_dir in worker.conf names a checkout of autopkgtest; remove it to use the installed one"
                    .to_owned(),
            }),
            None => {
                let found = folders().map(|folder| folder.join("autopkgtest")).find(|program| is_executable(program));
                found.ok_or_else(|| TestbedError::NotInstalled {
                    looked: format!("it is not in {path_variable}"),
                    hint: "install it with: apt install autopkgtest".to_owned(),
                })
            }
        };
        let (found, mut missing) = match program {
            Ok(program) => (Some(Self { program, abilities: Abilities::USUAL }), Vec::new()),
            Err(error) => (None, vec![error]),
        };
        missing.extend(missing_virt_servers(conf, || folders().chain(own.as_deref())));
        (found, missing)
    }

    /// Returns the program of Debian 12 in its usual place, for plans on hosts without it.
    pub fn elsewhere() -> Self {
        Self { program: "/usr/bin/autopkgtest".into(), abilities: Abilities::USUAL }
    }

    /// Asks the program for its options. Without this, those of autopkgtest 5.28 and later are used.
    ///
    /// # Errors
    /// Fails when the program cannot be run, fails, or does not answer.
    pub async fn probe(self) -> Result<Self, TestbedError> {
        let failed = |reason: String| TestbedError::Probe { program: self.program.clone(), reason };
        let mut command = tokio::process::Command::new(&self.program);
        // The help is wrapped to the terminal's width: names must not be broken.
        command.arg("--help").env("COLUMNS", "200").stdin(Stdio::null()).kill_on_drop(true);
        let output = match tokio::time::timeout(PROBE_TIMEOUT, command.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(_) => return Err(failed(format!("no answer within {} s", PROBE_TIMEOUT.as_secs()))),
        };
        // Its exit code says nothing: autopkgtest 5.28 prints the help and ends with 20.
        let help = String::from_utf8_lossy(&output.stdout);
        if !help.contains("--output-dir") {
            let errors = String::from_utf8_lossy(&output.stderr);
            let last = errors.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it prints no help");
            return Err(failed(format!("{}: {last}", output.status)));
        }
        Ok(Self { abilities: Abilities::read(&help), ..self })
    }

    /// Returns the path of the program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    #[cfg(test)]
    pub(super) fn with(abilities: Abilities) -> Self {
        Self { program: "/usr/bin/autopkgtest".into(), abilities }
    }
}

/// Returns the virt servers that are missing. A mistyped one is this machine's fault, and not a result of every
/// package.
fn missing_virt_servers<'a, F>(conf: &WorkerConf, folders: impl Fn() -> F) -> Vec<TestbedError>
where
    F: Iterator<Item = &'a Path>,
{
    let mut missing = Vec::new();
    for (key, server) in conf.virt_servers() {
        let (there, looked) = if server.contains('/') {
            (is_executable(Path::new(&server)), "it is not a program".to_owned())
        } else {
            let program = format!("autopkgtest-virt-{}", server.strip_prefix("autopkgtest-virt-").unwrap_or(&server));
            (folders().any(|folder| is_executable(&folder.join(&program))), format!("{program} is not installed"))
        };
        if !there {
            let hint =
                format!("{key} of [virt] in worker.conf begins with its name, such as null, unshare, qemu or lxd");
            missing.push(TestbedError::NoVirtServer { server, looked, hint, origin: conf.origin(key) });
        }
    }
    missing
}

pub(super) fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::testbed::variables::Definitions;

    fn conf(text: &str) -> WorkerConf {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("worker.conf");
        fs::write(&file, text).unwrap();
        WorkerConf::load(&file, &Definitions::default()).unwrap()
    }

    /// Creates an autopkgtest that answers `--help` with this text, and its null server.
    fn program(help: &str, folder: &Path) -> PathBuf {
        let [program, server] = ["autopkgtest", "autopkgtest-virt-null"].map(|name| folder.join(name));
        for path in [&program, &server] {
            fs::write(path, format!("#!/bin/sh\n{help}\n")).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        program
    }

    #[tokio::test]
    async fn an_older_autopkgtest_gets_its_own_spelling() {
        for (help, option) in [
            ("echo '--output-dir --test-name ONLY_TESTS; replaces --testname'; exit 20", "--test-name"),
            ("echo '--output-dir --testname TESTNAME'", "--testname"),
            ("echo '--output-dir, and nothing else'", "--test-name"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            program(help, folder.path());
            let found = Autopkgtest::find(&WorkerConf::null(), folder.path().to_str()).unwrap();
            assert_eq!(found.probe().await.unwrap().abilities.test_name_option, option);
        }
        let folder = tempfile::tempdir().unwrap();
        program("echo no module named apt >&2; exit 1", folder.path());
        let found = Autopkgtest::find(&WorkerConf::null(), folder.path().to_str()).unwrap();
        let error = found.probe().await.unwrap_err().to_string();
        assert!(error.contains("no module named apt"), "{error}");
    }

    #[test]
    fn a_missing_autopkgtest_is_said_to_be_missing_with_a_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().to_str();
        let TestbedError::NotInstalled { looked, hint } = Autopkgtest::find(&WorkerConf::null(), empty).unwrap_err()
        else {
            panic!("another error")
        };
        assert!(looked.contains(empty.unwrap()) && hint.contains("apt install autopkgtest"), "{looked}: {hint}");
        let conf = conf("[autopkgtest]\ncheckout_dir = nowhere\n[virt]\nargs = null\n");
        let error = Autopkgtest::find(&conf, Some("/usr/bin")).unwrap_err().to_string();
        assert!(error.contains("nowhere/runner/autopkgtest is not a program"), "{error}");
    }

    #[test]
    fn a_mistyped_virt_server_is_noticed_before_any_test() {
        let folder = tempfile::tempdir().unwrap();
        program("exit 0", folder.path());
        let find = |server: &str| {
            Autopkgtest::find(&conf(&format!("[virt]\nargs = {server} --option\n")), folder.path().to_str())
        };
        for server in ["null", "autopkgtest-virt-null", folder.path().join("autopkgtest-virt-null").to_str().unwrap()] {
            assert!(find(server).is_ok(), "{server}");
        }
        for server in ["nul", "/nowhere/autopkgtest-virt-null"] {
            let error = find(server).unwrap_err();
            assert!(matches!(error, TestbedError::NoVirtServer { .. }), "{error}");
            assert!(error.to_string().contains(server), "{error}");
        }
        // A checkout has its own virt servers.
        let runner = folder.path().join("checkout/runner");
        fs::create_dir_all(&runner).unwrap();
        program("exit 0", &runner);
        let of_checkout = conf(&format!(
            "[autopkgtest]\ncheckout_dir = {}\n[virt]\nargs = null\n",
            folder.path().join("checkout").display()
        ));
        assert!(Autopkgtest::find(&of_checkout, Some("/nowhere")).is_err());
        fs::create_dir(folder.path().join("checkout/virt")).unwrap();
        program("exit 0", &folder.path().join("checkout/virt"));
        assert!(Autopkgtest::find(&of_checkout, Some("/nowhere")).is_ok());
    }
}
