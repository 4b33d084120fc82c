//! What GitHub has published about itself: its API's description, behind a server that enforces it, and examples of deliveries.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::daemon::free_port;
use super::site::until;

/// The calls that are made.
const PATHS: [&str; 10] = [
    "/repos/{owner}/{repo}/hooks",
    "/repos/{owner}/{repo}/hooks/{hook_id}",
    "/repos/{owner}/{repo}/hooks/{hook_id}/pings",
    "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries",
    "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}",
    "/repos/{owner}/{repo}/pulls",
    "/repos/{owner}/{repo}/pulls/{pull_number}",
    "/repos/{owner}/{repo}/commits/{ref}/statuses",
    "/repos/{owner}/{repo}/statuses/{sha}",
    "/user",
];

/// A server that answers as the description says, and refuses what it does not allow.
pub struct Described {
    folder: TempDir,
    server: Child,
    port: u16,
}

fn installed() -> PathBuf {
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| source.join("target"), PathBuf::from);
    let folder = target.join("npm");
    assert!(folder.join("installed").exists(), "{} is not there: run scripts/install-packages test", folder.display());
    folder
}

impl Described {
    /// Starts it, and waits until it answers.
    pub fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let (modules, port) = (installed(), free_port());
        let description = folder.path().join("description.json");
        let cut = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/support/npm/cut.mjs");
        let status = Command::new("node").arg(cut).args([&modules, &description]).args(PATHS).status().expect("node");
        assert!(status.success(), "the description cannot be cut");
        let log = File::create(folder.path().join("log")).expect("a log");
        let server = Command::new("node")
            .arg(modules.join("node_modules/@stoplight/prism-cli/dist/index.js"))
            .args(["mock", "--errors", "-h", "127.0.0.1", "-p", &port.to_string()])
            .arg(&description)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log)
            .spawn()
            .expect("node");
        let described = Self { folder, server, port };
        until("the server of the description listens", || described.log().contains("Prism is listening"));
        described
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Described {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// All examples of deliveries: the event's name, and the payload.
pub fn examples() -> Vec<(String, Value)> {
    let file = installed().join("node_modules/@octokit/webhooks-examples/api.github.com/index.json");
    let text = std::fs::read_to_string(&file).expect("the examples");
    let events: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let of_event = |event: Value| {
        let name = event["name"].as_str().expect("a name").to_owned();
        let examples = event["examples"].as_array().expect("a list").clone();
        examples.into_iter().map(move |example| (name.clone(), example))
    };
    events.into_iter().flat_map(of_event).collect()
}
