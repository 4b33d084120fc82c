//! A private RabbitMQ: its own node, ports and folders, and its own epmd, so that nothing is shared with any other broker on
//! this machine and nothing is left behind.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::daemon::{START_TIMEOUT, free_port};

/// Timeout for the end of a broker that tidies up.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// What every broker has, in a URL.
const DEFAULT_VHOST: &str = "%2f";

/// Removes what stories have made and set, in Erlang. Policies and parameters go with their virtual hosts.
const RESET: &str = r#"
    [rabbit_vhost:delete(Vhost, <<"tests">>) || Vhost <- rabbit_vhost:list_names()],
    Users = [proplists:get_value(user, User) || User <- rabbit_auth_backend_internal:list_users()],
    [rabbit_auth_backend_internal:delete_user(Name, <<"tests">>) || Name <- Users, Name =/= <<"guest">>],
    vm_memory_monitor:set_vm_memory_high_watermark(0.6),
"#;

/// A broker that runs until this value goes away.
pub struct RabbitMq {
    folder: TempDir,
    /// Whether each thread of the tests, which runs one story at a time, has a virtual host of its own: what all clients of a virtual host
    /// share, such as the requests that wait out a delay, is then shared with no other story.
    is_shared: bool,
    /// The virtual hosts of threads.
    vhosts: Mutex<HashMap<ThreadId, String>>,
    /// The same, where queues are quorum queues unless somebody asks for another type.
    quorum_vhosts: Mutex<HashMap<ThreadId, String>>,
    port: u16,
    encrypted_port: u16,
    distribution_port: u16,
    epmd_port: u16,
    epmd: Child,
    server: Mutex<Option<Child>>,
    /// Whether it was killed: what it has on its disk may be damaged.
    was_killed: AtomicBool,
    /// The virtual host of the story that has this broker for itself, as URLs have it.
    private_vhost: Mutex<String>,
}

/// A broker that stands still.
pub struct Frozen<'b>(MutexGuard<'b, Option<Child>>);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        if let Some(server) = self.0.as_ref() {
            signal(server, nix::sys::signal::Signal::SIGCONT);
        }
    }
}

impl RabbitMq {
    /// Starts a broker with these further lines in its rabbitmq.conf, and waits until it is ready.
    pub fn start(configuration: &str) -> Self {
        Self::new(configuration, false)
    }

    /// The same for many stories at a time: each thread that runs them has a virtual host of its own.
    pub fn start_shared(configuration: &str) -> Self {
        Self::new(configuration, true)
    }

    fn new(configuration: &str, is_shared: bool) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let [port, encrypted_port, distribution_port, epmd_port] = [(); 4].map(|()| free_port());
        let mut lines = String::new();
        writeln!(lines, "listeners.tcp.1 = 127.0.0.1:{port}").expect("a line");
        let path = folder.path().display();
        certify(folder.path());
        writeln!(lines, "listeners.ssl.1 = 127.0.0.1:{encrypted_port}").expect("a line");
        writeln!(lines, "ssl_options.certfile = {path}/certificate.pem").expect("a line");
        writeln!(lines, "ssl_options.keyfile = {path}/key.pem\nssl_options.verify = verify_none").expect("lines");
        writeln!(lines, "disk_free_limit.absolute = 50MB\nlog.file.level = info\n{configuration}").expect("lines");
        std::fs::write(folder.path().join("rabbitmq.conf"), lines).expect("rabbitmq.conf");
        std::fs::write(folder.path().join("plugins"), "[].").expect("the list of plugins");
        // In the foreground, so that it is ours to stop; the server finds it there and starts none of its own.
        let epmd = Command::new("epmd")
            .args(["-port", &epmd_port.to_string(), "-address", "127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("epmd, from rabbitmq-server's dependencies");
        let broker = Self {
            folder,
            is_shared,
            vhosts: Mutex::default(),
            quorum_vhosts: Mutex::default(),
            port,
            encrypted_port,
            distribution_port,
            epmd_port,
            epmd,
            server: Mutex::new(None),
            was_killed: AtomicBool::new(false),
            private_vhost: Mutex::new(DEFAULT_VHOST.to_owned()),
        };
        broker.start_again();
        broker
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// The same through another port, such as a proxy's.
    pub fn url_at(&self, port: u16) -> String {
        format!("amqp://guest:guest@127.0.0.1:{port}/{}", self.vhost())
    }

    /// Where clients connect whose queues are quorum queues, without a delivery limit that anybody could reach. Each thread has its own.
    pub fn quorum_url(&self) -> String {
        let make = || {
            let vhost = self.quorum_vhost();
            self.limit_deliveries(&vhost, "^(debci-|apt-ci\\.)", 1_000_000);
            vhost
        };
        self.url_in(&if self.is_shared { of_this_thread(&self.quorum_vhosts, make) } else { make() })
    }

    /// Makes a virtual host where queues are quorum queues unless somebody asks for another type.
    pub fn quorum_vhost(&self) -> String {
        let name = format!("quorum-{}", uuid::Uuid::new_v4().simple());
        let vhost = binary(&name);
        self.evaluate(&format!(
            "ok = rabbit_vhost:put_vhost({vhost}, <<>>, <<>>, <<\"quorum\">>, undefined, <<\"tests\">>),{}",
            permissions(&vhost, "guest", [".*"; 3])
        ));
        name
    }

    /// Makes a virtual host that no other story uses. It holds nothing that they have left.
    pub fn empty_vhost(&self) -> String {
        self.make_vhost_after("")
    }

    /// Has the broker evaluate this Erlang expression and make a virtual host.
    fn make_vhost_after(&self, expression: &str) -> String {
        let name = format!("story-{}", uuid::Uuid::new_v4().simple());
        let vhost = binary(&name);
        self.evaluate(&format!(
            "{expression} rabbit_vhost:add({vhost}, <<\"tests\">>), {}",
            permissions(&vhost, "guest", [".*"; 3])
        ));
        name
    }

    /// Where clients connect to this virtual host.
    pub fn url_in(&self, vhost: &str) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/{vhost}", self.port)
    }

    /// Has quorum queues of a virtual host whose names match drop what was given back more often than this.
    pub fn limit_deliveries(&self, vhost: &str, pattern: &str, limit: u32) {
        let [vhost, pattern] = [vhost, pattern].map(binary);
        let definition = binary(&format!("{{\"delivery-limit\": {limit}}}"));
        self.evaluate(&format!(
            "ok = rabbit_policy:parse_set({vhost}, <<\"limit\">>, {pattern}, {definition}, 0, <<\"queues\">>, <<\"tests\">>)."
        ));
    }

    /// The queues of a virtual host that hold messages, each with its type.
    ///
    /// Claims are renewed meanwhile: they may belong to the task that asks.
    pub async fn filled_queues(&self, vhost: &str) -> Vec<(String, String)> {
        let mut command = tokio::process::Command::from(self.controller());
        command.args(["list_queues", "-q", "--no-table-headers", "-p", vhost, "name", "type", "messages"]);
        let output = command.output().await.expect("rabbitmqctl");
        assert!(output.status.success(), "rabbitmqctl: {}", String::from_utf8_lossy(&output.stderr));
        let list = String::from_utf8_lossy(&output.stdout);
        let filled = list.lines().filter_map(|line| match line.split('\t').collect::<Vec<_>>()[..] {
            [name, queue_type, messages] if messages != "0" => Some((name.to_owned(), queue_type.to_owned())),
            _ => None,
        });
        filled.collect()
    }

    /// The version of the broker, as its program tells.
    pub fn version(&self) -> String {
        let output = self.controller().arg("version").output().expect("rabbitmqctl");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Runs rabbitmqctl as a shell would run this command of an operator.
    pub fn obey(&self, command: &str) {
        let arguments = command.strip_prefix("rabbitmqctl ").expect("a command for rabbitmqctl");
        let node = format!("test{}@localhost", self.port);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("/usr/lib/rabbitmq/bin/rabbitmqctl -n {node} {arguments}")]);
        shell.env("HOME", self.folder.path()).env("ERL_EPMD_PORT", self.epmd_port.to_string());
        let output = shell.env("RABBITMQ_CONF_ENV_FILE", "/dev/null").stdin(Stdio::null()).output().expect("sh");
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Makes a user of this name who may configure, write and read what these patterns say, and gives where it connects.
    pub fn user(&self, name: &str, permissions: [&str; 3]) -> String {
        self.user_in(&self.vhost(), name, permissions)
    }

    /// The same in this virtual host.
    pub fn user_in(&self, vhost: &str, name: &str, permissions: [&str; 3]) -> String {
        let decoded = if vhost == DEFAULT_VHOST { "/" } else { vhost };
        self.add_user(name);
        self.evaluate(&self::permissions(&binary(decoded), name, permissions));
        format!("amqp://{name}:secret@127.0.0.1:{}/{vhost}", self.port)
    }

    /// Makes a user of this name who may not use any virtual host, and gives where it would connect.
    pub fn outsider(&self, name: &str) -> String {
        self.add_user(name);
        format!("amqp://{name}:secret@127.0.0.1:{}/{}", self.port, self.vhost())
    }

    fn add_user(&self, name: &str) {
        let name = binary(name);
        self.evaluate(&format!("ok = rabbit_auth_backend_internal:add_user({name}, <<\"secret\">>, <<\"tests\">>)."));
    }

    /// The virtual host of this thread, as URLs have it.
    fn vhost(&self) -> String {
        if !self.is_shared {
            return self.private_vhost.lock().unwrap_or_else(PoisonError::into_inner).clone();
        }
        of_this_thread(&self.vhosts, || self.empty_vhost())
    }

    fn controller(&self) -> Command {
        let mut command = Command::new("/usr/lib/rabbitmq/bin/rabbitmqctl");
        command.env("HOME", self.folder.path()).env("ERL_EPMD_PORT", self.epmd_port.to_string());
        command.env("RABBITMQ_CONF_ENV_FILE", "/dev/null").stdin(Stdio::null());
        command.args(["-n", &format!("test{}@localhost", self.port)]);
        command
    }

    /// Has the broker evaluate Erlang expressions, which must not fail.
    ///
    /// Each call of rabbitmqctl would start an Erlang of its own, which takes half a second of processor time.
    fn evaluate(&self, expressions: &str) {
        let cookie = std::fs::read_to_string(self.folder.path().join(".erlang.cookie")).expect("the broker's cookie");
        // Two callers of the same name would disturb each other.
        let name = format!("caller-{}", uuid::Uuid::new_v4().simple());
        let mut caller = Command::new("erl_call")
            .args(["-sname", &format!("test{}@localhost", self.port), "-c", cookie.trim(), "-h", &name, "-e"])
            .env("HOME", self.folder.path())
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("erl_call, from rabbitmq-server's dependencies");
        caller
            .stdin
            .take()
            .expect("its input")
            .write_all(format!("{expressions}\n").as_bytes())
            .expect("erl_call reads");
        let output = caller.wait_with_output().expect("erl_call");
        let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        assert!(output.status.success() && out.starts_with("{ok,"), "erl_call {expressions}: {out}{err}");
    }

    /// Where clients connect with TLS.
    pub fn encrypted_url(&self) -> String {
        format!("amqps://guest:guest@localhost:{}/{}", self.encrypted_port, self.vhost())
    }

    /// The certificate that clients must trust for that.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// The port that clients connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether another story can have this broker for itself: it runs, and was never killed.
    pub fn is_reusable(&self) -> bool {
        self.server.lock().is_ok_and(|server| server.is_some()) && !self.was_killed.load(Ordering::SeqCst)
    }

    /// Removes what a story has left, and makes a virtual host for the next one. Clients that the story has left behind cannot come back:
    /// theirs is gone.
    pub fn reset(&self) {
        let vhost = self.make_vhost_after(RESET);
        *self.private_vhost.lock().unwrap_or_else(PoisonError::into_inner) = vhost;
    }

    /// Starts the stopped broker on what it has stored, and waits until it is ready.
    pub fn start_again(&self) {
        let mut server = self.server.lock().expect("no test panics while it restarts the broker");
        assert!(server.is_none(), "the broker runs");
        let path = |name: &str| self.folder.path().join(name);
        let log = std::fs::File::create(path("console.log")).expect("a log file");
        let child = Command::new("/usr/lib/rabbitmq/bin/rabbitmq-server")
            // A node that is killed at a bad moment leaves a dump in its working folder.
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("RABBITMQ_NODENAME", format!("test{}@localhost", self.port))
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_MNESIA_BASE", path("mnesia"))
            .env("RABBITMQ_LOG_BASE", path("log"))
            .env("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins"))
            .env("RABBITMQ_PID_FILE", path("pid"))
            // Idle schedulers do not spin: the tests measure beside them.
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+sbwt none +sbwtdcpu none +sbwtdio none")
            // The script becomes the server instead of watching it, so that signals reach the server itself.
            .env("RUNNING_UNDER_SYSTEMD", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("rabbitmq-server");
        let child = server.insert(child);
        let deadline = Instant::now() + START_TIMEOUT;
        while !answers(self.port) {
            if let Some(status) = child.try_wait().expect("the server's state") {
                panic!("the broker ended with {status}:\n{}", self.logs());
            }
            assert!(Instant::now() < deadline, "the broker is not ready in time:\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Stops the broker in an orderly way, as a system's shutdown does.
    pub fn stop(&self) {
        let Some(mut child) = self.server.lock().expect("no test panics while it stops the broker").take() else {
            return;
        };
        signal(&child, nix::sys::signal::Signal::SIGTERM);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while child.try_wait().expect("the server's state").is_none() {
            if Instant::now() > deadline {
                end(&mut child);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Has the broker write down which queues there are. Killed within moments after a queue was made, RabbitMQ 3.10 may not know it
    /// any more when it starts again, although it has answered, and has confirmed what was sent there.
    pub fn remember_queues(&self) {
        self.evaluate("mnesia:sync_log().");
    }

    /// Has the broker take no messages, as when its memory runs out, or take them again.
    pub fn alarm(&self, is_on: bool) {
        let limit = if is_on { "0.0" } else { "0.6" };
        self.evaluate(&format!("vm_memory_monitor:set_vm_memory_high_watermark({limit})."));
    }

    /// The lines of the broker's log that say that somebody asked in vain in a virtual host.
    pub fn complaints(&self, vhost: &str) -> Vec<String> {
        let here = format!("in vhost '{vhost}'");
        let logs = self.logs();
        let of_here = logs.lines().filter(|line| line.contains("channel exception") && line.contains(&here));
        of_here.map(str::to_owned).collect()
    }

    /// Kills the broker: what it has not written is lost.
    pub fn kill(&self) {
        self.was_killed.store(true, Ordering::SeqCst);
        if let Some(mut child) = self.server.lock().expect("no test panics while it kills the broker").take() {
            end(&mut child);
        }
    }

    /// Makes the broker answer nobody, with all connections open, until the returned value goes away.
    pub fn freeze(&self) -> Frozen<'_> {
        let server = self.server.lock().expect("no test panics while it freezes the broker");
        signal(server.as_ref().expect("the broker runs"), nix::sys::signal::Signal::SIGSTOP);
        Frozen(server)
    }

    fn logs(&self) -> String {
        let mut text = String::new();
        append(&mut text, &self.folder.path().join("console.log"));
        for entry in std::fs::read_dir(self.folder.path().join("log")).into_iter().flatten().flatten() {
            append(&mut text, &entry.path());
        }
        text
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        // What it stored goes away with it, so it need not tidy up.
        if let Some(child) = self.server.get_mut().unwrap_or_else(PoisonError::into_inner) {
            end(child);
        }
        end(&mut self.epmd);
    }
}

/// The virtual host of this thread, which is made when it is asked for first.
fn of_this_thread(vhosts: &Mutex<HashMap<ThreadId, String>>, make: impl FnOnce() -> String) -> String {
    let (own, lock) = (std::thread::current().id(), || vhosts.lock().unwrap_or_else(PoisonError::into_inner));
    let known = lock().get(&own).cloned();
    // Others need not wait while it is made: only this thread makes it.
    known.unwrap_or_else(|| {
        let vhost = make();
        lock().insert(own, vhost.clone());
        vhost
    })
}

/// A binary in Erlang.
fn binary(text: &str) -> String {
    format!("<<\"{}\"/utf8>>", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Gives a user these permissions in a virtual host, in Erlang.
fn permissions(vhost: &str, user: &str, permissions: [&str; 3]) -> String {
    let user = binary(user);
    let [configure, write, read] = permissions.map(binary);
    format!(
        "ok = rabbit_auth_backend_internal:set_permissions({user}, {vhost}, {configure}, {write}, {read}, <<\"tests\">>)."
    )
}

/// Makes a certificate for localhost that nobody trusts who is not told to.
fn certify(folder: &Path) {
    let status = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "certificate.pem"])
        .current_dir(folder)
        .stderr(Stdio::null())
        .status()
        .expect("openssl");
    assert!(status.success(), "openssl made no certificate");
}

fn append(text: &mut String, path: &Path) {
    text.push_str(&std::fs::read_to_string(path).unwrap_or_default());
}

fn signal(child: &Child, signal: nix::sys::signal::Signal) {
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
    nix::sys::signal::kill(id, signal).expect("a signal to a child");
}

fn end(child: &mut Child) {
    child.kill().expect("a signal to a child");
    child.wait().expect("the child's end");
}

/// Whether a broker answers to the first bytes of the protocol. It opens its port only when it has recovered its queues.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    stream.write_all(b"AMQP\x00\x00\x09\x01").is_ok() && stream.read_exact(&mut [0]).is_ok()
}
