//! A site in a temporary folder, and the installed program run in it by a user with a private home and a clean environment.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use apt_ci::broker::QueueState;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::probe::Probe;
use super::runner::note_wait;
use super::testbed;

const STUB: &str = include_str!("../stub/autopkgtest");

/// Timeout for what must come. No story waits this long, also when the machine is busy. What takes longer by its nature says so with
/// [`until_within`].
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(60);

/// Pauses between two looks of [`until`]: short at first, and longer when it takes long.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Holds the logs of a site's programs against the model of the claim protocol. Returns the number of steps, or what is not allowed.
pub type LogCheck = fn(&[String]) -> Result<usize, String>;

/// A site with a queue, a store and a worker.conf.
pub struct TestSite {
    folder: TempDir,
    variables: Vec<(String, String)>,
    program: PathBuf,
    queue: String,
    store: String,
    user: Option<(u32, u32)>,
    /// Whether workers log the steps of their claims, which are replayed at the end.
    log_check: Option<LogCheck>,
    probe: OnceLock<Probe>,
    /// The site's release. Every site has one of its own, so that tests can share a broker and a store.
    pub release: String,
}

/// What a finished command printed.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

/// The program, running. Killed when dropped.
pub struct Running {
    child: Child,
    err: PathBuf,
}

/// The log without the seconds since the start, which each line of it begins with from autopkgtest 5.29 on.
pub fn without_seconds(log: &str) -> String {
    let line = |line: &str| {
        let after = line.trim_start().trim_start_matches(|char: char| char.is_ascii_digit());
        format!("{}\n", after.strip_prefix("s ").unwrap_or(line))
    };
    log.lines().map(line).collect()
}

impl TestSite {
    /// A site on the embedded queue and store that serves its release on amd64 with the stub.
    pub fn local() -> Self {
        Self::on("local:queue", "folder:results", Vec::new())
    }

    /// A site on these servers that serves its release on amd64 with the stub.
    pub fn on(queue: &str, store: &str, variables: Vec<(String, String)>) -> Self {
        let release = format!("r{}", &uuid::Uuid::new_v4().simple().to_string()[..10]);
        let program = super::program().to_owned();
        let folder = TempDir::new().expect("a temporary folder");
        let site = Self {
            folder,
            variables,
            program,
            queue: queue.to_owned(),
            store: store.to_owned(),
            user: None,
            log_check: None,
            probe: OnceLock::new(),
            release,
        };
        let stub = site.path().join("checkout/runner");
        fs::create_dir_all(&stub).expect("the stub's folder");
        fs::write(stub.join("autopkgtest"), STUB).expect("the stub");
        fs::set_permissions(stub.join("autopkgtest"), fs::Permissions::from_mode(0o755)).expect("an executable stub");
        fs::create_dir_all(site.path().join("home")).expect("a home");
        site.worker_options("");
        site.configure(queue, store);
        site.trust();
        site
    }

    /// Has the program trust the site, which its user works in.
    fn trust(&self) {
        let trusted = self.run(&["site", "trust"]);
        assert!(trusted.status.success(), "{trusted:#?}");
    }

    /// The same site, for a story in which something dies: each step of the claims of its workers at RabbitMQ must be one that the
    /// model of the protocol allows.
    pub fn replayed(mut self, check: LogCheck) -> Self {
        self.log_check = self.queue.starts_with("amqp").then_some(check);
        self
    }

    /// The same site for a real release.
    pub fn of_release(mut self, release: &str) -> Self {
        self.release = release.to_owned();
        self.configure(&self.queue, &self.store);
        self
    }

    /// The same site, whose tests run in this isolated testbed, by an ordinary user: it is made in a user namespace, for which one
    /// needs a range of user ids.
    pub fn isolated(self, tarball: &Path) -> Self {
        let site = self.of_release(testbed::RELEASE);
        site.worker_conf(&format!("[autopkgtest]\nretry_delay = 1\n{}", testbed::virt(tarball)));
        site.of_ordinary_user()
    }

    /// The same site, whose release has this pocket.
    pub fn with_pocket(self, pocket: &str) -> Self {
        let file = self.path().join("apt-ci.toml");
        let text = fs::read_to_string(&file).expect("apt-ci.toml");
        let (plain, named) = (
            format!("{} = [\"amd64\"]\n", self.release),
            format!("{} = {{ architectures = [\"amd64\"], pocket = {pocket:?} }}\n", self.release),
        );
        assert!(text.contains(&plain), "{text}");
        fs::write(file, text.replacen(&plain, &named, 1)).expect("apt-ci.toml");
        self
    }

    /// The same site where this script comes before other programs of its name.
    pub fn with_program(mut self, name: &str, script: &str) -> Self {
        let folder = self.path().join("programs");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(name), script).expect("a program");
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).expect("an executable program");
        let path = std::env::var("PATH").unwrap_or_default();
        self.variables.push(("PATH".to_owned(), format!("{}:{path}", folder.display())));
        self
    }

    /// Adds lines to apt-ci.toml.
    pub fn configure_further(&self, text: &str) {
        let file = self.path().join("apt-ci.toml");
        let whole = fs::read_to_string(&file).expect("apt-ci.toml") + text;
        fs::write(file, whole).expect("apt-ci.toml");
    }

    /// The same site in the hands of an ordinary user. When the tests run as root that is `apt-ci-test`, whom
    /// scripts/install-packages makes.
    pub fn of_ordinary_user(mut self) -> Self {
        if !nix::unistd::geteuid().is_root() {
            return self;
        }
        let user =
            nix::unistd::User::from_name("apt-ci-test").expect("the users").expect("scripts/install-packages test");
        // The build's folder may be closed to others. The copy is made by another process: what we start meanwhile in other threads
        // would have it open for writing for a moment, and a program that somebody writes cannot be run.
        let program = self.path().join("apt-ci");
        let status = Command::new("cp").args([&self.program, &program]).status().expect("cp");
        assert!(status.success(), "a copy of the program");
        let owner = format!("{}:{}", user.uid, user.gid);
        let status = Command::new("chown").args(["-R", &owner]).arg(self.path()).status().expect("chown");
        assert!(status.success(), "chown {owner}");
        self.program = program;
        self.user = Some((user.uid.as_raw(), user.gid.as_raw()));
        // It belongs to another user now.
        self.trust();
        self
    }

    /// Writes apt-ci.toml anew.
    pub fn configure(&self, queue: &str, store: &str) {
        self.configure_with(queue, store, 0);
    }

    /// Writes apt-ci.toml anew with so many further releases. Each release has four queues, one per context.
    pub fn configure_with(&self, queue: &str, store: &str, further: usize) {
        let release = &self.release;
        let mut text = format!("queue = {queue:?}\nstore = {store:?}\n\n[releases]\n{release} = [\"amd64\"]\n");
        text.extend((0..further).map(|number| format!("{release}n{number} = [\"amd64\"]\n")));
        fs::write(self.path().join("apt-ci.toml"), text).expect("apt-ci.toml");
    }

    /// The URLs of the site's queue and store.
    pub fn addresses(&self) -> (&str, &str) {
        (&self.queue, &self.store)
    }

    /// Writes worker.conf anew: the stub as autopkgtest, on this host, and these further lines of its section. What fails is tried
    /// again after a second, because nobody wants to wait for tests.
    pub fn worker_options(&self, lines: &str) {
        let checkout = self.path().join("checkout");
        let checkout = checkout.display();
        let retry = if lines.contains("retry_delay") { "" } else { "retry_delay = 1\n" };
        self.worker_conf(&format!("[autopkgtest]\ncheckout_dir = {checkout}\n{retry}{lines}\n[virt]\nargs = null\n"));
    }

    /// Writes worker.conf anew.
    pub fn worker_conf(&self, text: &str) {
        fs::write(self.path().join("worker.conf"), text).expect("worker.conf");
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The program with these arguments, in the site, with nothing of this process's environment but PATH.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command.args(arguments).current_dir(self.path()).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.path().join("home"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        let Some(recorded) = self.recorded(arguments) else { return finish(self.command(arguments)) };
        let finished = finish(self.command(&recorded));
        fs::write(self.stderr_file(), &finished.err).expect("a file for standard error");
        finished
    }

    /// The arguments of a worker at RabbitMQ, with those that make it log the steps of its claims.
    fn recorded<'a>(&self, arguments: &[&'a str]) -> Option<Vec<&'a str>> {
        let is_option = |argument: &&str| argument.starts_with('-');
        let works = arguments.first() == Some(&"worker") && arguments.get(1).is_none_or(is_option);
        let is_told_otherwise = arguments.iter().any(|argument| ["-q", "--quiet", "--help"].contains(argument));
        let steps = works && !is_told_otherwise && self.log_check.is_some();
        steps.then(|| arguments.iter().copied().chain(["-vv"]).collect())
    }

    fn stderr_file(&self) -> PathBuf {
        self.path().join(format!("stderr.{}", uuid::Uuid::new_v4()))
    }

    /// Everything that the workers of this site have written to standard error.
    pub fn logs(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).into_iter().flatten().flatten().map(|entry| entry.path());
        let name =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"stderr."));
        entries
            .filter(name)
            .filter_map(|path| fs::read(path).ok())
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .collect()
    }

    /// Runs the program, which must succeed, and gives what it printed.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let finished = self.run(arguments);
        assert!(finished.status.success(), "apt-ci {arguments:?}: {finished:#?}");
        finished.out
    }

    /// Runs the program with `--json`, which must succeed, and reads what it printed.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.ok(&arguments)).expect("JSON on standard output")
    }

    /// Asks, once more if it is asked for already, for a test of a package on the site's release, with these variables for the stub, and gives the request's id.
    #[track_caller]
    pub fn request(&self, package: &str, env: &[&str]) -> String {
        let mut arguments = vec!["run", "--force", "-s", &self.release, "--trigger", "trigger/1", package];
        for variable in env {
            arguments.extend(["--env", variable]);
        }
        let submitted = self.json(&arguments);
        submitted[0]["uuid"].as_str().expect("the request's id").to_owned()
    }

    /// Submits a batch of `QUEUE:PACKAGE {parameters}` lines, which nobody sees on a command line, and gives the requests' ids in
    /// their order.
    #[track_caller]
    pub fn submit(&self, lines: &str) -> Vec<String> {
        let mut command = self.command(&["run", "--force", "--batch", "-", "--json"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("apt-ci starts");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(lines.as_bytes()).expect("apt-ci reads the batch");
        drop(input);
        let output = child.wait_with_output().expect("a child of ours");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "apt-ci run --batch: {err}");
        let submitted: Vec<serde_json::Value> = serde_json::from_str(&out).expect("JSON on standard output");
        submitted.iter().map(|one| one["uuid"].as_str().expect("the request's id").to_owned()).collect()
    }

    /// The result of a request.
    #[track_caller]
    pub fn result_of(&self, id: &str) -> serde_json::Value {
        self.results().into_iter().find(|run| run["uuid"] == id).expect("the request has a result")
    }

    /// The log of a run.
    #[track_caller]
    pub fn log_of(&self, run: &serde_json::Value) -> String {
        self.ok(&["log", run["path"].as_str().expect("a path")])
    }

    /// Where a run's files are in the site's folder of results.
    pub fn folder_of(&self, run: &serde_json::Value) -> PathBuf {
        let store = self.store.strip_prefix("folder:").expect("a folder as the store");
        let folder = self.path().join(store).join(run["container"].as_str().expect("a container"));
        folder.join(run["path"].as_str().expect("a path"))
    }

    /// Reads one member of a run's result.tar.
    pub fn member(&self, run: &serde_json::Value, name: &str) -> String {
        let tar = fs::File::open(self.folder_of(run).join("result.tar")).expect("result.tar");
        let mut archive = tar::Archive::new(tar);
        for entry in archive.entries().expect("a tar") {
            let mut entry = entry.expect("a member");
            if entry.path().is_ok_and(|path| path == Path::new(name)) {
                let mut text = String::new();
                entry.read_to_string(&mut text).expect("text");
                return text;
            }
        }
        panic!("result.tar has no {name}")
    }

    /// Puts a message into the site's queue as another program might, past all checks.
    pub fn plant(&self, body: &str) {
        if self.queue.starts_with("amqp") {
            super::block_on(async {
                let connection =
                    Connection::connect(&self.queue, ConnectionProperties::default()).await.expect("a connection");
                let channel = connection.create_channel().await.expect("a channel");
                channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
                let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
                let properties = BasicProperties::default().with_delivery_mode(2);
                let queue = self.queue_name().into();
                let published = channel.basic_publish("".into(), queue, options, body.as_bytes(), properties);
                let confirmation = published.await.expect("published").await.expect("confirmed");
                assert!(matches!(confirmation, Confirmation::Ack(None)), "{confirmation:?}");
            });
        } else {
            let file = self.path().join("queue/queue.sqlite");
            let database = rusqlite::Connection::open(file).expect("the queue's file");
            let insert = "INSERT INTO request (queue, body) VALUES (?1, ?2)";
            database.execute(insert, (self.queue_name(), body.as_bytes())).expect("a row");
        }
    }

    /// The virtual host of the site's queue at RabbitMQ.
    pub fn vhost(&self) -> String {
        let (_, vhost) = self.queue.rsplit_once('/').expect("an URL with a virtual host");
        if vhost == "%2f" { "/".to_owned() } else { vhost.to_owned() }
    }

    /// Makes the site's queue a quorum queue, whatever the default type is.
    pub fn declare_quorum(&self) {
        super::block_on(async {
            let connection =
                Connection::connect(&self.queue, ConnectionProperties::default()).await.expect("a connection");
            let channel = connection.create_channel().await.expect("a channel");
            let mut arguments = FieldTable::default();
            arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
            let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(self.queue_name().into(), options, arguments).await.expect("a queue");
        });
    }

    /// Starts the program and lets it run.
    pub fn start(&self, arguments: &[&str]) -> Running {
        self.spawn(self.command(self.recorded(arguments).as_deref().unwrap_or(arguments)))
    }

    /// The same with another home, hence another work folder: as on another host.
    pub fn start_elsewhere(&self, arguments: &[&str]) -> Running {
        let recorded = self.recorded(arguments);
        let mut command = self.command(recorded.as_deref().unwrap_or(arguments));
        // On that host nobody has trusted the site: it is named, as a service's unit names its site.
        command.env("HOME", self.path().join("elsewhere")).env("APT_CI_SITE", self.path());
        self.spawn(command)
    }

    /// The same with its work folder on a file system of its own, of this size. What is there goes with the program.
    pub fn start_on_disk(&self, size: &str, arguments: &[&str]) -> Running {
        let work = self.path().join("home/.local/state/apt-ci/work");
        fs::create_dir_all(&work).expect("the work folder");
        let script = format!("mount -t tmpfs -o size={size} tmpfs {} && exec \"$@\"", work.display());
        let plain = self.command(arguments);
        let mut command = Command::new("unshare");
        command
            .args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"])
            .arg(plain.get_program())
            .args(arguments);
        command.current_dir(self.path()).env_clear().stdin(Stdio::null());
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        self.spawn(command)
    }

    fn spawn(&self, mut command: Command) -> Running {
        let err = self.stderr_file();
        command.stdout(Stdio::null()).stderr(fs::File::create(&err).expect("a file for standard error"));
        Running { child: command.spawn().expect("apt-ci starts"), err }
    }

    /// When the stub was started, and for which packages.
    pub fn starts(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path().join("checkout/runner/starts")).unwrap_or_default();
        text.lines().filter_map(|line| line.split_once(' ')).map(|(_, package)| package.to_owned()).collect()
    }

    /// All results, as `results --json` tells them.
    #[track_caller]
    pub fn results(&self) -> Vec<serde_json::Value> {
        match self.json(&["results", "--limit", "100000"]) {
            serde_json::Value::Array(list) => list,
            other => panic!("not a list: {other}"),
        }
    }

    /// The request ids of all results, sorted.
    #[track_caller]
    pub fn finished(&self) -> Vec<String> {
        let mut ids: Vec<String> =
            self.results().iter().filter_map(|run| Some(run["uuid"].as_str()?.to_owned())).collect();
        ids.sort();
        ids
    }

    /// The name of the site's queue.
    pub fn queue_name(&self) -> String {
        format!("debci-{}-amd64", self.release)
    }

    /// The state of the site's queue, as `queues --json` tells it; null before a worker or a request has made it.
    #[track_caller]
    pub fn queue(&self) -> serde_json::Value {
        let states = self.json(&["queues"]);
        let list = states.as_array().expect("a list of queues");
        list.iter().find(|state| state["queue"] == self.queue_name()).cloned().unwrap_or_default()
    }

    /// Whether the site's queue is as the condition says. This and the following look through the library, for [`until`]: to start the
    /// program each time costs what other stories need. `false` while the queue does not exist, or its server does not answer.
    pub fn sees(&self, condition: impl FnOnce(&QueueState) -> bool) -> bool {
        self.sees_in(&self.queue_name(), condition)
    }

    /// Whether a queue is as the condition says.
    pub fn sees_in(&self, queue: &str, condition: impl FnOnce(&QueueState) -> bool) -> bool {
        self.probe().queue(queue).is_some_and(|state| condition(&state))
    }

    /// Whether the site's queue is empty and nothing of it runs.
    pub fn sees_nothing(&self) -> bool {
        self.sees(|queue| queue.ready == 0 && queue.claimed == 0)
    }

    /// Whether these requests have one result each, and no others have any.
    pub fn has_results_of(&self, ids: &[impl AsRef<str>]) -> bool {
        let mut ids: Vec<&str> = ids.iter().map(AsRef::as_ref).collect();
        ids.sort_unstable();
        self.probe().results(&self.release).is_some_and(|finished| finished == ids)
    }

    /// Whether this request has a result.
    pub fn has_result_of(&self, id: &str) -> bool {
        self.probe().results(&self.release).is_some_and(|finished| finished.iter().any(|one| one == id))
    }

    /// Number of results of the site's release.
    pub fn count_results(&self) -> usize {
        self.probe().results(&self.release).map_or(0, |finished| finished.len())
    }

    fn probe(&self) -> &Probe {
        assert!(self.user.is_none(), "the files of an ordinary user's site are that user's alone");
        self.probe.get_or_init(|| Probe::new(self.path(), &self.queue, &self.store, &self.variables))
    }

    /// Whether the site's queue is empty and nothing of it runs, as the program tells.
    #[track_caller]
    pub fn is_idle(&self) -> bool {
        let queue = self.queue();
        queue["ready"] == 0 && queue["claimed"] == 0
    }
}

/// See [`TestSite::replayed`].
impl Drop for TestSite {
    fn drop(&mut self) {
        if let Some(check) = self.log_check
            && !std::thread::panicking()
            && let Err(refusal) = check(&self.logs())
        {
            panic!("{refusal}");
        }
    }
}

/// Runs a command to its end.
pub fn finish(mut command: Command) -> Finished {
    let output = command.output().expect("the command starts");
    Finished {
        status: output.status,
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Running {
    pub fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), signal);
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        let _ = self.child.wait();
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> Finished {
        self.wait_within(WAIT_TIMEOUT)
    }

    /// Waits for the end of a program that has much to do.
    #[track_caller]
    pub fn wait_within(&mut self, timeout: Duration) -> Finished {
        let begin = Instant::now();
        until_within(timeout + Duration::from_secs(1), "the program ends", || {
            assert!(begin.elapsed() < timeout, "still running after {timeout:?}: {}", self.stderr());
            self.child.try_wait().expect("a child of ours").is_some()
        });
        let status = self.child.wait().expect("a child of ours");
        Finished { status, out: String::new(), err: self.stderr() }
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_none())
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.err).expect("its standard error")).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until the condition holds, looking often; fails the test when it does not come true within [`WAIT_TIMEOUT`].
#[track_caller]
pub fn until(what: &str, condition: impl FnMut() -> bool) {
    until_within(WAIT_TIMEOUT, what, condition);
}

/// The same with another timeout, for what is known to take long.
#[track_caller]
pub fn until_within(timeout: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    let mut pause = SHORTEST_PAUSE;
    loop {
        let look = Instant::now();
        if condition() {
            return note_wait(begin.elapsed(), what);
        }
        assert!(begin.elapsed() < timeout, "did not come true within {timeout:?}: {what}");
        // Looking costs what the others on this machine need: at most a third of the time is spent with it.
        std::thread::sleep(pause.max(2 * look.elapsed()));
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}
