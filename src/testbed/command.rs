//! The autopkgtest program, and the command line for a request.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::TestbedError;
use super::conf::WorkerConf;
use super::template::{Template, Variable, quote};
use crate::environment::Environment;
use crate::release::{Architecture, QueueName, Release};
use crate::request::{Request, Trigger};

/// How long `autopkgtest --help` may take, on a machine that is busy with tests.
const PROBE_TIMEOUT: Duration = Duration::from_secs(60);

/// autopkgtest's time limits in seconds: option, limit.
const TIMEOUTS: [(&str, u32); 5] =
    [("short", 300), ("install", 3000), ("test", 10000), ("copy", 900), ("build", 20000)];

/// Ubuntu's releases before focal, which still had i386 testbeds.
const UBUNTU_BEFORE_FOCAL: [&str; 16] = [
    "precise", "quantal", "raring", "saucy", "trusty", "utopic", "vivid", "wily", "xenial", "yakkety", "zesty",
    "artful", "bionic", "cosmic", "disco", "eoan",
];

/// Debian's names of releases, all of which have i386 testbeds, and none a proposed pocket.
const DEBIAN: [&str; 14] = [
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
    "experimental",
    "sid",
    "stretch",
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
];

/// The autopkgtest program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autopkgtest {
    program: PathBuf,
    /// The option that selects one test of a package.
    test_name_option: &'static str,
}

impl Autopkgtest {
    /// Finds the program: in the configuration's checkout, or else in the folders of `path_variable`, the text of `PATH`.
    ///
    /// # Errors
    /// [`TestbedError::NotInstalled`] or [`TestbedError::NoVirtServer`], with a hint.
    pub fn find(conf: &WorkerConf, path_variable: Option<&str>) -> Result<Self, TestbedError> {
        let found = |program| Self { program, test_name_option: "--test-name" };
        let path_variable = path_variable.unwrap_or("/usr/local/bin:/usr/bin:/bin");
        let folders = || path_variable.split(':').map(Path::new).filter(|folder| folder.is_absolute());
        if let Some(runner) = &conf.runner {
            return if is_executable(runner) {
                let own = runner.ancestors().nth(2).map(|checkout| checkout.join("virt"));
                find_virt_server(conf, folders().chain(own.as_deref()))?;
                Ok(found(runner.clone()))
            } else {
                Err(TestbedError::NotInstalled {
                    looked: format!("{} is not a program", runner.display()),
                    hint: "checkout_dir in worker.conf names a checkout of autopkgtest; remove it to use the installed one"
                        .to_owned(),
                })
            };
        }
        match folders().map(|folder| folder.join("autopkgtest")).find(|program| is_executable(program)) {
            Some(program) => find_virt_server(conf, folders()).map(|()| found(program)),
            None => Err(TestbedError::NotInstalled {
                looked: format!("it is not in {path_variable}"),
                hint: "install it with: apt install autopkgtest".to_owned(),
            }),
        }
    }

    /// Asks the program once which options it knows. Without this, those of autopkgtest 5.28 and later are used.
    ///
    /// # Errors
    /// When the program cannot be run, fails, or does not answer.
    pub async fn probe(self) -> Result<Self, TestbedError> {
        let failed = |reason: String| TestbedError::Probe { program: self.program.clone(), reason };
        let mut command = tokio::process::Command::new(&self.program);
        command.arg("--help").stdin(Stdio::null()).kill_on_drop(true);
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
        let old = !help.contains("--test-name") && help.contains("--testname");
        Ok(Self { test_name_option: if old { "--testname" } else { "--test-name" }, ..self })
    }

    /// The program's path.
    pub fn program(&self) -> &Path {
        &self.program
    }
}

/// Checks that the virt server is there, so that a mistyped one is this machine's fault and not a result of every package.
fn find_virt_server<'a>(conf: &WorkerConf, mut folders: impl Iterator<Item = &'a Path>) -> Result<(), TestbedError> {
    let Some(server) = conf.virt_server() else { return Ok(()) };
    let (there, looked) = if server.contains('/') {
        (is_executable(Path::new(&server)), "it is not a program".to_owned())
    } else {
        let program = format!("autopkgtest-virt-{}", server.strip_prefix("autopkgtest-virt-").unwrap_or(&server));
        (folders.any(|folder| is_executable(&folder.join(&program))), format!("{program} is not installed"))
    };
    if there {
        return Ok(());
    }
    let hint = "args of [virt] in worker.conf begins with its name, such as null, unshare, qemu or lxd".to_owned();
    Err(TestbedError::NoVirtServer { server, looked, hint })
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// A program and its arguments. It is shown as a line that a shell reads back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// The program's path.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quote(&self.program.to_string_lossy()))?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", quote(arg)))
    }
}

/// autopkgtest's command line for a request from a queue. autopkgtest writes into the folder `output`, which it makes, or
/// which is empty.
pub fn command_line(
    conf: &WorkerConf,
    autopkgtest: &Autopkgtest,
    request: &Request,
    queue: &QueueName,
    output: &Path,
) -> CommandLine {
    let foreign = is_foreign(&queue.release, &queue.architecture);
    let value = |variable| match variable {
        Variable::Release => queue.release.as_str(),
        Variable::Architecture => queue.architecture.as_str(),
        Variable::HostArchitecture if foreign => "amd64",
        Variable::HostArchitecture => queue.architecture.as_str(),
        Variable::Package => request.package().as_str(),
        Variable::PackageSize => conf.default_size.text.as_str(),
    };
    let fill = |templates: &[Template]| {
        let mut words = Vec::new();
        for template in templates {
            // A size is often several options.
            if template.is_only(Variable::PackageSize) {
                words.extend(conf.default_size.words.iter().cloned());
            } else {
                words.push(template.fill(value));
            }
        }
        words
    };
    let parameters = request.parameters();
    let is_null = conf.is_null();

    let mut args = vec!["--output-dir".to_owned(), output.to_string_lossy().into_owned()];
    args.extend(fill(&conf.extra_args));
    for command in &conf.setup_commands {
        args.extend(["--setup-commands".to_owned(), command.fill(value)]);
    }
    if !is_null {
        args.push("--apt-upgrade".to_owned());
        args.extend(proposed(&queue.release, &parameters.triggers, parameters.all_proposed));
    }
    args.extend(parameters.env.iter().map(|variable| format!("--env={variable}")));
    if !parameters.triggers.is_empty() {
        let triggers: Vec<String> = parameters.triggers.iter().map(ToString::to_string).collect();
        args.push(format!("--env=ADT_TEST_TRIGGERS={}", triggers.join(" ")));
    }
    if let Some(name) = &parameters.testname {
        args.push(format!("{}={name}", autopkgtest.test_name_option));
    }
    let factor = if queue.architecture.as_str() == "riscv64" { 4 } else { 1 };
    args.extend(TIMEOUTS.iter().map(|(name, seconds)| format!("--timeout-{name}={}", seconds * factor)));
    if foreign {
        args.extend(["-a".to_owned(), queue.architecture.to_string()]);
    }
    args.push(request.package().to_string());
    args.push("--".to_owned());
    args.extend(fill(&conf.virt_args));
    CommandLine { program: autopkgtest.program.clone(), args }
}

/// The variables of the worker's environment that are withheld from a test: those that hold credentials of the store and the
/// queue. Tests are other people's programs. A virt server that rents machines from a cloud needs the `OS_…` ones, and keeps
/// them from what runs inside the machine; the null server runs the test right here.
pub fn withheld<'a>(conf: &WorkerConf, environment: &'a Environment) -> Vec<&'a str> {
    let prefixes: &[&str] = if conf.is_null() { &["OS_", "ST_", "APT_CI_"] } else { &["ST_", "APT_CI_"] };
    environment.names().filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix))).collect()
}

/// What to take from the proposed pocket: everything, or the triggers' packages, each once.
///
/// Debian's releases have no such pocket, and apt would refuse to look for it: there the triggers are taken from where the testbed's
/// sources have them. A request for all of a pocket that is not there fails, rather than testing something else.
fn proposed(release: &Release, triggers: &[Trigger], all: bool) -> Option<String> {
    if all {
        return Some("--apt-pocket=proposed".to_owned());
    }
    if DEBIAN.contains(&release.as_str()) {
        return None;
    }
    let mut sources: Vec<String> = Vec::new();
    for trigger in triggers.iter().filter(|trigger| !trigger.is_baseline()) {
        let source = format!("src:{}", trigger.package());
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    (!sources.is_empty()).then(|| format!("--apt-pocket=proposed={}", sources.join(",")))
}

/// Whether tests of this architecture run as a foreign one on amd64: i386 on Ubuntu's releases from focal on, which have no
/// i386 images any more.
fn is_foreign(release: &Release, architecture: &Architecture) -> bool {
    let release = release.as_str();
    architecture.as_str() == "i386" && !UBUNTU_BEFORE_FOCAL.contains(&release) && !DEBIAN.contains(&release)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn autopkgtest(test_name_option: &'static str) -> Autopkgtest {
        Autopkgtest { program: "/usr/bin/autopkgtest".into(), test_name_option }
    }

    fn conf(text: &str) -> WorkerConf {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("worker.conf");
        fs::write(&file, text).unwrap();
        WorkerConf::load(&file).unwrap()
    }

    fn args(conf: &WorkerConf, queue: &str, request: &str) -> String {
        let request = Request::parse(request.as_bytes()).unwrap();
        let queue = queue.parse().unwrap();
        command_line(conf, &autopkgtest("--test-name"), &request, &queue, Path::new("/out")).to_string()
    }

    const TIMES: &str =
        "--timeout-short=300 --timeout-install=3000 --timeout-test=10000 --timeout-copy=900 --timeout-build=20000";

    #[test]
    fn every_parameter_has_its_place_on_the_command_line() {
        let null = WorkerConf::null();
        let lxd = conf("[virt]\nargs = lxd images/$RELEASE/$HOSTARCH\n");
        let full = conf(
            "[autopkgtest]\nextra_args = --no-apt-fallback\nsetup_command = echo $RELEASE $HOME\n\
             setup_command2 = second\n[virt]\npackage_size_default = --ram-size=4096 --cpus=2\n\
             args = qemu $PACKAGESIZE '--name=$PACKAGE of ${ARCHITECTURE}' img\n",
        );
        let x4 = "--timeout-short=1200 --timeout-install=12000 --timeout-test=40000 --timeout-copy=3600 --timeout-build=80000";
        let table = [
            (&null, "bookworm-amd64", "gzip", format!("{TIMES} gzip -- null")),
            // This machine gets no other package sources and is not upgraded.
            (
                &null,
                "bookworm-amd64",
                r#"gzip {"triggers": ["zlib/1", "glibc/2"], "all-proposed": "1", "env": ["A=b c"], "testname": "upstream"}"#,
                format!(
                    "'--env=A=b c' '--env=ADT_TEST_TRIGGERS=zlib/1 glibc/2' --test-name=upstream {TIMES} gzip -- null"
                ),
            ),
            (
                &lxd,
                "huge-noble-amd64",
                r#"gzip {"triggers": ["zlib/1", "glibc/2", "zlib/2"]}"#,
                format!(
                    "--apt-upgrade --apt-pocket=proposed=src:zlib,src:glibc \
                     '--env=ADT_TEST_TRIGGERS=zlib/1 glibc/2 zlib/2' {TIMES} gzip -- lxd images/noble/amd64"
                ),
            ),
            (
                &lxd,
                "noble-amd64",
                r#"gzip {"triggers": ["zlib/1"], "all-proposed": "1"}"#,
                format!(
                    "--apt-upgrade --apt-pocket=proposed --env=ADT_TEST_TRIGGERS=zlib/1 {TIMES} gzip -- lxd images/noble/amd64"
                ),
            ),
            // The baseline takes nothing from proposed; packages and versions that only look like it do.
            (
                &lxd,
                "noble-amd64",
                r#"gzip {"triggers": ["migration-reference/0"]}"#,
                format!(
                    "--apt-upgrade --env=ADT_TEST_TRIGGERS=migration-reference/0 {TIMES} gzip -- lxd images/noble/amd64"
                ),
            ),
            (
                &lxd,
                "noble-amd64",
                r#"gzip {"triggers": ["migration-reference/0.1"]}"#,
                format!(
                    "--apt-upgrade --apt-pocket=proposed=src:migration-reference \
                     --env=ADT_TEST_TRIGGERS=migration-reference/0.1 {TIMES} gzip -- lxd images/noble/amd64"
                ),
            ),
            (&lxd, "focal-i386", "gzip", format!("--apt-upgrade {TIMES} -a i386 gzip -- lxd images/focal/amd64")),
            (&lxd, "bionic-i386", "gzip", format!("--apt-upgrade {TIMES} gzip -- lxd images/bionic/i386")),
            (&lxd, "sid-i386", "gzip", format!("--apt-upgrade {TIMES} gzip -- lxd images/sid/i386")),
            (&lxd, "noble-riscv64", "gzip", format!("--apt-upgrade {x4} gzip -- lxd images/noble/riscv64")),
            (
                &full,
                "sid-armhf",
                "gzip",
                format!(
                    "--no-apt-fallback --setup-commands 'echo sid $HOME' --setup-commands second --apt-upgrade {TIMES} gzip \
                     -- qemu --ram-size=4096 --cpus=2 '--name=gzip of armhf' img"
                ),
            ),
        ];
        for (conf, queue, request, expected) in table {
            let line = args(conf, &format!("debci-{queue}"), request);
            assert_eq!(line, format!("/usr/bin/autopkgtest --output-dir /out {expected}"));
        }
    }

    /// An autopkgtest that answers `--help` with this text, and its null server.
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
            assert_eq!(found.probe().await.unwrap().test_name_option, option);
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
        // A checkout has its own.
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

    #[test]
    fn a_test_gets_no_credentials_and_a_virt_server_those_of_its_cloud() {
        let names = ["OS_PASSWORD", "ST_KEY", "APT_CI_QUEUE", "PATH"];
        let environment = names.map(|name| (name.to_owned(), "x".to_owned())).into_iter().collect();
        assert_eq!(withheld(&WorkerConf::null(), &environment), ["APT_CI_QUEUE", "OS_PASSWORD", "ST_KEY"]);
        let cloud = conf("[virt]\nargs = ssh -s nova\n");
        assert_eq!(withheld(&cloud, &environment), ["APT_CI_QUEUE", "ST_KEY"]);
    }
}
