//! GitHub's API as its published description has it: a server that refuses what the description does not allow.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use super::daemon::{Daemon, free_port, http_status, run};
use super::examples::packages;
use super::site::until;

/// What the description is cut to: the whole takes the server long to read.
const PATHS: [&str; 14] = [
    "/repos/{owner}/{repo}",
    "/repos/{owner}/{repo}/hooks",
    "/repos/{owner}/{repo}/hooks/{hook_id}",
    "/repos/{owner}/{repo}/hooks/{hook_id}/config",
    "/repos/{owner}/{repo}/hooks/{hook_id}/pings",
    "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries",
    "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}",
    "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}/attempts",
    "/repos/{owner}/{repo}/pulls",
    "/repos/{owner}/{repo}/pulls/{pull_number}",
    "/repos/{owner}/{repo}/commits/{ref}/statuses",
    "/repos/{owner}/{repo}/commits/{ref}/status",
    "/repos/{owner}/{repo}/statuses/{sha}",
    "/user",
];

/// The running server. It keeps no state: whatever it was told, its answers are the description's examples.
pub struct Prism {
    port: u16,
    marks: AtomicUsize,
    _server: Daemon,
    folder: TempDir,
}

impl Prism {
    /// Starts it, and waits until it answers.
    pub fn start() -> Self {
        let (packages, folder, port) = (packages(), TempDir::new().expect("a temporary folder"), free_port());
        let description = folder.path().join("description.json");
        let cut = Path::new(env!("CARGO_MANIFEST_DIR")).join("npm/cut.mjs");
        let root = packages.parent().expect("a folder around the packages");
        run(Command::new("node").arg(cut).args([root, &description]).args(PATHS));
        let mut server = Daemon::start(
            "prism",
            folder.path(),
            Command::new("node")
                .arg(packages.join("@stoplight/prism-cli/dist/index.js"))
                .args(["mock", "--errors", "-h", "127.0.0.1", "-p", &port.to_string()])
                .arg(&description),
        );
        server.wait_until(|| http_status(port, "/user") == Some(200));
        Self { port, marks: AtomicUsize::new(0), _server: server, folder }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        // It writes down some of what it did not like only when it has answered, but before it takes another request.
        let path = format!("/mark/{}", self.marks.fetch_add(1, Ordering::Relaxed));
        let _ = http_status(self.port, &path);
        let mark = format!("get {path} ");
        let read = || std::fs::read_to_string(self.folder.path().join("prism.log")).expect("the log");
        until("the server has written down a request", || read().contains(&mark));
        read().lines().filter(|line| !line.contains("get /mark/")).fold(String::new(), |text, line| text + line + "\n")
    }

    /// What it did not like so far: requests that the description does not allow, or has not at all.
    pub fn violations(&self) -> Vec<String> {
        self.log().lines().filter(|line| line.contains('✖')).map(str::to_owned).collect()
    }
}
