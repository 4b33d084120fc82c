//! Programs that run as long as a test needs them.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Timeout for the start of a service. It takes seconds on an idle machine; several services may start at a time.
pub const START_TIMEOUT: Duration = Duration::from_secs(120);

/// Kills the process group `$0` as soon as the other end of its standard input is gone: also when the tests themselves are
/// killed and can stop nothing any more.
const WATCHER: &str = r#"cat >/dev/null; kill -KILL "-$0""#;

/// A running program, with everything that it started. Dropping it stops them all.
pub struct Daemon {
    name: String,
    child: Child,
    watcher: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts a program with its output in `FOLDER/NAME.log`.
    ///
    /// It leads a process group of its own. Programs that would leave their group for a session of their own cannot then:
    /// that is refused to leaders.
    pub fn start(name: &str, folder: &Path, program: &mut Command) -> Self {
        let log = folder.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log).expect("the log can be written");
        let child = program
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        let watcher = Command::new("sh")
            .args(["-c", WATCHER, &child.id().to_string()])
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("sh can be started");
        Self { name: name.to_owned(), child, watcher, log }
    }

    /// Waits until `ready` says so. Panics with the program's last words if it ends, or after [`START_TIMEOUT`].
    pub fn wait_until(&mut self, ready: impl Fn() -> bool) {
        let begin = Instant::now();
        while !ready() {
            let ended = self.child.try_wait().expect("our own child");
            if ended.is_some() || begin.elapsed() > START_TIMEOUT {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(30).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                panic!("{} did not get ready ({ended:?}); its log ends:\n{}", self.name, tail.join("\n"));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops the program and all that it started: asks first, and insists after a few seconds.
    pub fn stop(&mut self) {
        let group = Pid::from_raw(self.child.id().cast_signed());
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            let begin = Instant::now();
            // The group is there as long as one of its processes is; ours must be waited for to be gone.
            while killpg(group, signal).is_ok() {
                let _ = self.child.try_wait();
                if begin.elapsed() > Duration::from_secs(5) {
                    break;
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
        let _ = self.child.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
        // Before its pipe closes: the group's number may belong to somebody else soon.
        let _ = self.watcher.kill();
        let _ = self.watcher.wait();
    }
}

/// Runs a program to its end. Panics with its output if it fails.
pub fn run(program: &mut Command) -> String {
    let output = program.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program:?} cannot be started: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{program:?}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// A free port of the loopback interface that the system gives to nobody who asks for any: a server that is stopped for a moment finds
/// its port still free.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Several such programs may run at a time, each with a beginning of its own.
    let begin = u16::try_from(std::process::id().wrapping_mul(97) % u32::from(PORTS)).unwrap_or_default();
    for _ in 0..PORTS {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST_PORT + (begin + offset % PORTS) % PORTS;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port")
}

/// Below the ports that Linux gives away by itself.
const FIRST_PORT: u16 = 12_000;
const PORTS: u16 = 20_000;

/// The status that a GET of this path on the loopback interface brings; `None` while nobody answers.
pub fn http_status(port: u16, path: &str) -> Option<u16> {
    let timeout = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), timeout).ok()?;
    stream.set_read_timeout(Some(timeout)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n").ok()?;
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).ok()?;
    std::str::from_utf8(&begin[9..]).ok()?.parse().ok()
}
