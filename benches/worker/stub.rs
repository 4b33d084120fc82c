//! A stub of autopkgtest that only records when it started: this program, under another name.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use testkit::site::TestSite;

const NAME: &str = "autopkgtest";
const STARTED: &str = "started";

/// Returns the path under which this program was started, if that is the one of the stub.
pub fn called_as_stub() -> Option<PathBuf> {
    let called_as = PathBuf::from(std::env::args().next().unwrap_or_default());
    called_as.file_name().is_some_and(|name| name == NAME).then_some(called_as)
}

/// Writes the files that autopkgtest would, without a test.
pub fn run(called_as: &Path) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_nanos();
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--help") {
        println!("--output-dir --test-name");
        return;
    }
    let output = arguments.iter().enumerate().find_map(|(n, argument)| {
        let after = (argument == "--output-dir").then(|| arguments.get(n + 1).cloned()).flatten();
        argument.strip_prefix("--output-dir=").map(str::to_owned).or(after)
    });
    let output = PathBuf::from(output.expect("--output-dir"));
    fs::create_dir_all(&output).expect("the output directory");
    fs::write(output.join("log"), "started\n").expect("a log");
    let started = called_as.with_file_name(STARTED);
    fs::write(started.with_extension("new"), now.to_string()).expect("the time");
    fs::rename(started.with_extension("new"), started).expect("the time");
}

/// Installs the stub in a site.
pub fn install(site: &TestSite) {
    let program = folder(site).join(NAME);
    fs::remove_file(&program).expect("the other stub");
    symlink(std::env::current_exe().expect("this program"), &program).expect("a link to this program");
}

/// Returns the last start of a site's stub, since 1970, and removes the record.
pub fn take_start(site: &TestSite) -> Option<Duration> {
    let started = folder(site).join(STARTED);
    let text = fs::read_to_string(&started).ok()?;
    fs::remove_file(&started).expect("the time");
    Some(Duration::from_nanos(text.parse().expect("a number")))
}

fn folder(site: &TestSite) -> PathBuf {
    site.path().join("checkout/runner")
}
