//! GitHub's published examples of deliveries, and where the packages of testkit/npm are.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The folder of the installed packages.
pub fn packages() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder of the workspace");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| source.join("target"), PathBuf::from);
    let folder = target.join("npm");
    assert!(
        folder.join("installed").exists(),
        "{} is not there: run `scripts/install-packages test`",
        folder.display()
    );
    folder.join("node_modules")
}

/// All examples: the event's name, and the payload.
pub fn examples() -> Vec<(String, Value)> {
    let file = packages().join("@octokit/webhooks-examples/api.github.com/index.json");
    let text = std::fs::read_to_string(file).expect("the examples");
    let events: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let of_event = |event: &Value| -> Vec<(String, Value)> {
        let name = event["name"].as_str().expect("a name");
        let payloads = event["examples"].as_array().expect("a list");
        payloads.iter().map(|payload| (name.to_owned(), payload.clone())).collect()
    };
    events.iter().flat_map(of_event).collect()
}
