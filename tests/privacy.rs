//! A private PPA's token: it is searched for everywhere while a test runs that prints it, and afterwards.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use apt_ci::store::{Entry, Query};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use libtest_mimic::Failed;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use testkit::archive::{Archive, PACKAGE, VERSION};
use testkit::launchpad::LaunchpadStandIn;
use testkit::site::{TestSite, until, until_within};
use testkit::{Services, Story, Trial, block_on, stories};

use crate::interop::Listener;
use crate::ppa::run_in;

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("a_private_ppas_test_passes_and_its_token_is_nowhere", real_run),
        ("testbeds_that_fail_tell_no_token", failing_testbed),
    ];
    stories("privacy", services, all)
}

/// Timeout for a test in an isolated testbed, which installs packages first.
const TEST_TIMEOUT: Duration = Duration::from_secs(300);

/// The private PPA, the token for it, and where the token was found.
struct Hunt {
    archive: Archive,
    launchpad: LaunchpadStandIn,
    token: String,
    needles: Vec<Vec<u8>>,
    found: Vec<String>,
}

impl Hunt {
    /// With a PPA that nobody else has, for this release.
    fn new(release: &str) -> Self {
        let archive = Archive::of_suite(release);
        let token = format!("t{}", uuid::Uuid::new_v4().simple());
        archive.publish_private("owner/name", "me", &token);
        let launchpad = LaunchpadStandIn::start();
        launchpad.add_private("owner/name", archive.fingerprint(), archive.key());
        // As HTTP's basic authentication has it. Its last characters depend on what follows.
        let mut login = STANDARD.encode(format!("me:{token}"));
        login.truncate(login.len() - 4);
        let needles = vec![token.clone().into_bytes(), login.into_bytes()];
        Self { archive, launchpad, token, needles, found: Vec::new() }
    }

    /// The line of a batch that asks for the test.
    fn line(&self, site: &TestSite, env: &[&str]) -> String {
        let ppa = format!("me:{}@owner/name:{}", self.token, self.archive.fingerprint());
        let parameters = json!({"ppas": [ppa], "triggers": [format!("{PACKAGE}/{VERSION}")], "env": env});
        format!("debci-ppa-{}-amd64:{PACKAGE} {parameters}\n", site.release)
    }

    fn holds(&self, bytes: &[u8]) -> bool {
        self.needles.iter().any(|needle| bytes.windows(needle.len()).any(|window| window == needle))
    }

    /// Searches a text that was shown to somebody.
    fn search(&mut self, place: &str, bytes: &[u8]) {
        if self.holds(bytes) {
            self.found.push(format!("{place}: {}", String::from_utf8_lossy(bytes)));
        }
    }

    /// Searches what everybody can ask for about queues, workers and results.
    fn search_what_is_shown(&mut self, site: &TestSite) {
        let (one, ppa) = (site.queue_name(), format!("debci-ppa-{}-amd64", site.release));
        let commands: [&[&str]; 9] = [
            &["queues"],
            &["queues", "--json"],
            &["queues", &one],
            &["queues", &one, "--json"],
            &["queues", &ppa],
            &["queues", &ppa, "--json"],
            &["worker", "status"],
            &["worker", "status", "--json"],
            &["-vv", "results", "--json"],
        ];
        for command in commands {
            let shown = site.run(command);
            self.search(&format!("apt-ci {command:?}"), format!("{shown:?}").as_bytes());
        }
    }

    /// Searches all files below a folder, and their names.
    fn search_folder(&mut self, folder: &Path) -> usize {
        let files = files_below(folder);
        for file in &files {
            let bytes = fs::read(file).unwrap_or_default();
            self.search(&format!("{} unpacked", file.display()), &unpacked(&bytes));
            self.search(&file.display().to_string(), &bytes);
        }
        files.len()
    }

    /// The files below a folder that hold the token.
    fn holders(&self, folder: &Path) -> Vec<PathBuf> {
        let holds = |file: &PathBuf| fs::read(file).is_ok_and(|bytes| self.holds(&bytes));
        files_below(folder).into_iter().filter(holds).collect()
    }
}

/// All files below a folder, as far as they are still there when one looks.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files
}

/// What gzip has packed, or else the bytes as they are. A tar needs no unpacking: it has its files as they are.
pub fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    match flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut whole) {
        Ok(_) => whole,
        Err(_) => bytes.to_vec(),
    }
}

/// Reads the command lines and environments of all processes again and again.
struct ProcessWatch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<String>>,
    decoy: Child,
    mark: String,
}

impl ProcessWatch {
    /// Begins, with a process of its own that it has to find: else it would see nothing at all, and nobody would know.
    fn start(hunt: &Hunt) -> Self {
        let mark = format!("m{}", uuid::Uuid::new_v4().simple());
        let mut decoy = Command::new("sh");
        // It ends when its input does, hence with this process at the latest.
        decoy.args(["-c", "read -r line", &mark]).env("DECOY", &mark).stdin(Stdio::piped());
        let decoy = decoy.spawn().expect("a shell");
        let mut needles = hunt.needles.clone();
        needles.push(mark.clone().into_bytes());
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut found = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                let begin = Instant::now();
                look_at_processes(&needles, &mut found);
                // The processes that are looked at need the machine, too.
                thread::sleep(begin.elapsed().max(Duration::from_millis(3)));
            }
            found
        });
        Self { stop, thread, decoy, mark }
    }

    /// What was found beside the decoy.
    fn end(mut self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        let found = self.thread.join().expect("the watch goes on to its end");
        let _ = self.decoy.kill();
        let _ = self.decoy.wait();
        let (decoys, found): (Vec<String>, Vec<String>) = found.into_iter().partition(|one| one.contains(&self.mark));
        for file in ["cmdline", "environ"] {
            assert!(decoys.iter().any(|one| one.starts_with(file)), "the watch has not seen its decoy's {file}");
        }
        found
    }
}

fn look_at_processes(needles: &[Vec<u8>], found: &mut Vec<String>) {
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if !process.file_name().to_string_lossy().starts_with(|first: char| first.is_ascii_digit()) {
            continue;
        }
        for file in ["cmdline", "environ"] {
            let bytes = fs::read(process.path().join(file)).unwrap_or_default();
            if needles.iter().any(|needle| bytes.windows(needle.len()).any(|window| window == needle)) {
                let one = format!("{file}: {}", String::from_utf8_lossy(&bytes).replace('\0', " "));
                if !found.contains(&one) {
                    found.push(one);
                }
            }
        }
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).map_or(0, |data| data.permissions().mode() & 0o777)
}

fn real_run(services: &Services) -> Result<(), Failed> {
    let site = services.site_with_folder().isolated(&services.testbed().tarball());
    let mut hunt = Hunt::new(&site.release);
    site.configure_further(&hunt.launchpad.section(&hunt.archive.url()));
    // Makes the queues.
    site.ok(&["worker", "--drain"]);
    let listener = Listener::start(services, &site.release);
    let watch = ProcessWatch::start(&hunt);
    site.submit(&hunt.line(&site, &[]));
    // No request, but a token nevertheless.
    site.plant(&format!("{PACKAGE} {{\"ppas\": [\"me:{}@owner\"]}}", hunt.token));
    hunt.search_what_is_shown(&site);

    let mut worker = site.start(&["-vv", "worker", "--drain"]);
    let home = site.path().join("home");
    let mut holders = Vec::new();
    until_within(TEST_TIMEOUT, "the testbed's login is there", || {
        holders = hunt.holders(&home);
        !holders.is_empty() || !worker.is_running()
    });
    assert!(!holders.is_empty(), "{}", worker.stderr());
    for holder in &holders {
        let folders = holder.ancestors().skip(1).take_while(|folder| folder.starts_with(&home));
        let modes: Vec<u32> = folders.map(mode).collect();
        assert!(mode(holder) == 0o600 && modes.contains(&0o700), "{}: {modes:?}", holder.display());
    }
    hunt.search_what_is_shown(&site);
    until_within(TEST_TIMEOUT, "the worker ends", || !worker.is_running());
    let finished = worker.wait();
    hunt.search("the worker's log", finished.err.as_bytes());
    hunt.found.extend(watch.end());
    assert!(finished.status.success(), "{}", finished.err);

    let run = run_in(&site, &format!("private-autopkgtest-{}-owner-name", site.release));
    let folder = site.folder_of(&run);
    let read =
        |name: &str| fs::read(folder.join(name)).map(|bytes| String::from_utf8_lossy(&unpacked(&bytes)).into_owned());
    let log = read("log.gz")?;
    assert_eq!(site.member(&run, "exitcode"), "0\n", "{log}");
    assert_eq!(site.member(&run, "testpkg-version").trim(), format!("{PACKAGE} {VERSION}"));
    // The test has told the token, and everybody can see that it was kept back.
    let stars = "*".repeat(hunt.token.len());
    for (name, text) in [("log.gz", log), ("artifacts.tar.gz", read("artifacts.tar.gz")?)] {
        assert!(text.contains(&format!("login me password {stars}")), "{name}: {text}");
    }
    let store = site.path().join("results");
    assert_eq!(mode(&store.join(run["container"].as_str().expect("a container"))), 0o700);
    assert!(hunt.search_folder(&store) >= 3, "the result's files");
    hunt.search_folder(&home);

    let messages = Value::from(listener.messages());
    assert!(messages.as_array().is_some_and(|list| list.len() >= 3), "{messages}");
    hunt.search("the announcements", messages.to_string().as_bytes());
    assert_eq!(site.queue()["dead"], 1);
    hunt.search_what_is_shown(&site);
    assert!(hunt.found.is_empty(), "the token is found in {:#?}", hunt.found);
    Ok(())
}

fn failing_testbed(services: &Services) -> Result<(), Failed> {
    let site = services.site();
    let mut hunt = Hunt::new(&site.release);
    let checkout = site.path().join("checkout");
    let checkout = checkout.display();
    site.worker_conf(&format!("[autopkgtest]\ncheckout_dir = {checkout}\nretry_delay = 1\n[virt]\nargs = unshare\n"));
    site.configure_further(&hunt.launchpad.section(&hunt.archive.url()));
    site.ok(&["worker", "--drain"]);
    let listener = Listener::start(services, &site.release);
    let watch = ProcessWatch::start(&hunt);
    // The last line of its log is the login: that is what a failure's reason quotes.
    let gate = site.path().join("gate");
    let wait = format!("STUB_WAIT={}", gate.display());
    site.submit(&hunt.line(&site, &["STUB_TELL=1", "STUB_EXIT=16", &wait]));
    let mut worker = site.start(&["-vv", "worker"]);
    until("the test has begun", || !site.starts().is_empty());
    hunt.search_what_is_shown(&site);
    fs::write(&gate, "")?;
    until("it is tried again", || site.starts().len() >= 2);
    hunt.search_what_is_shown(&site);
    let messages = Value::from(listener.messages());
    worker.signal(Signal::SIGTERM);
    let finished = worker.wait();
    assert_eq!(site.starts().len(), 3, "{}", finished.err);
    assert!(finished.err.contains("login me password **"), "the reason quotes the login: {}", finished.err);
    hunt.search("the worker's log", finished.err.as_bytes());
    hunt.found.extend(watch.end());
    hunt.search("the announcements", messages.to_string().as_bytes());
    hunt.search_what_is_shown(&site);
    hunt.search_folder(&site.path().join("home"));

    let container = format!("private-autopkgtest-{}-owner-name", site.release);
    let store = services.swift().store();
    let objects = block_on(async {
        let mut objects = Vec::new();
        for entry in store.list(&container, &Query::default()).await.expect("listed by its owner") {
            let Entry::Object(object) = entry else { continue };
            let mut bytes = Vec::new();
            let mut reader = store.get(&container, &object.name).await.expect("an object");
            tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut bytes).await.expect("its bytes");
            objects.push((format!("{object:?}"), bytes));
        }
        objects
    });
    assert_eq!(objects.len(), 3);
    let mut told = 0;
    for (object, bytes) in objects {
        let bytes = unpacked(&bytes);
        told += usize::from(String::from_utf8_lossy(&bytes).contains("login me password **"));
        hunt.search(&object, object.as_bytes());
        hunt.search(&object, &bytes);
    }
    assert_eq!(told, 3, "log, artifacts and testinfo quote the login");
    assert!(hunt.found.is_empty(), "the token is found in {:#?}", hunt.found);
    Ok(())
}
