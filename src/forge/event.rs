//! What a delivery tells. Only what is used is read, whatever else it holds: forges add fields as they like.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{Commit, Forge, InvalidForgeName, PullRequest};

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The forge tries whether its deliveries arrive.
    Ping,
    /// Something has happened to a change that is proposed.
    Pull(Action, PullRequest),
    /// Something that asks for no test, in words.
    Unrelated(String),
}

/// What has happened to a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is to be tested: it is new, open again, or has other commits.
    Test,
    /// It need not be tested any more.
    Close,
}

/// A delivery that tells something impossible, or that is not about its hook's project.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidEvent(String);

impl InvalidEvent {
    pub(super) fn new(message: impl ToString) -> Self {
        Self(message.to_string())
    }
}

impl From<InvalidForgeName> for InvalidEvent {
    fn from(error: InvalidForgeName) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for InvalidEvent {
    fn from(error: serde_json::Error) -> Self {
        Self(format!("not the payload of such an event: {error}"))
    }
}

/// The project that a payload says it is about; nothing more is read of it. It is not to be believed before the signature is checked.
pub fn project(forge: Forge, payload: &[u8]) -> Option<String> {
    match forge {
        Forge::GitHub => {
            #[derive(Deserialize)]
            struct OfGitHub {
                repository: Repository,
            }
            Some(serde_json::from_slice::<OfGitHub>(payload).ok()?.repository.full_name)
        }
        Forge::GitLab => {
            #[derive(Deserialize)]
            struct OfGitLab {
                project: GitLabProject,
            }
            Some(serde_json::from_slice::<OfGitLab>(payload).ok()?.project.path_with_namespace)
        }
    }
}

/// Reads the payload of an event, whose name the forge sends beside it.
///
/// # Errors
/// When it is not what such an event is.
pub fn read(forge: Forge, name: &str, payload: &[u8]) -> Result<Event, InvalidEvent> {
    match forge {
        Forge::GitHub => github(name, payload),
        Forge::GitLab => gitlab(name, payload),
    }
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
}

#[derive(Deserialize)]
struct GitHubEvent {
    number: u64,
    pull_request: GitHubPull,
}

#[derive(Deserialize)]
pub(super) struct GitHubPull {
    number: u64,
    state: String,
    updated_at: Option<String>,
    head: Head,
    base: Base,
}

#[derive(Deserialize)]
struct Head {
    sha: String,
}

#[derive(Deserialize)]
struct Base {
    repo: BaseRepo,
}

#[derive(Deserialize)]
struct BaseRepo {
    clone_url: String,
}

impl GitHubPull {
    /// When it last changed.
    pub(super) fn updated(&self) -> Option<Timestamp> {
        self.updated_at.as_ref()?.parse().ok()
    }
}

impl TryFrom<GitHubPull> for PullRequest {
    type Error = InvalidForgeName;

    fn try_from(pull: GitHubPull) -> Result<Self, InvalidForgeName> {
        let commit: Commit = pull.head.sha.parse()?;
        let (open, updated) = (pull.state == "open", pull.updated());
        Ok(Self { number: pull.number, commit, open, updated, clone_url: pull.base.repo.clone_url })
    }
}

fn github(name: &str, payload: &[u8]) -> Result<Event, InvalidEvent> {
    match name {
        "ping" => return Ok(Event::Ping),
        "push" => return Ok(Event::Unrelated("a push is tested when it is part of a pull request".to_owned())),
        "pull_request" => {}
        _ => return Ok(Event::Unrelated("events of this kind ask for no tests".to_owned())),
    }
    // The action first: some others come without what a test needs.
    #[derive(Deserialize)]
    struct Acted {
        action: String,
    }
    let Acted { action } = serde_json::from_slice(payload)?;
    let action = match action.as_str() {
        "opened" | "synchronize" | "reopened" => Action::Test,
        "closed" => Action::Close,
        _ => return Ok(Event::Unrelated("this change of a pull request asks for no tests".to_owned())),
    };
    let event: GitHubEvent = serde_json::from_slice(payload)?;
    let pull = PullRequest::try_from(event.pull_request)?;
    if pull.number != event.number {
        return Err(InvalidEvent("its numbers contradict each other".to_owned()));
    }
    check_number(pull.number)?;
    Ok(Event::Pull(action, pull))
}

/// Forges count from 1, and a database counts no further than this.
fn check_number(number: u64) -> Result<(), InvalidEvent> {
    if number == 0 || i64::try_from(number).is_err() {
        return Err(InvalidEvent(format!("nothing has the number {number}")));
    }
    Ok(())
}

#[derive(Deserialize)]
struct GitLabProject {
    path_with_namespace: String,
    #[serde(default)]
    git_http_url: String,
}

#[derive(Deserialize)]
struct GitLabEvent {
    project: GitLabProject,
    object_attributes: Attributes,
}

#[derive(Deserialize)]
struct Attributes {
    iid: u64,
    #[serde(default)]
    action: Option<String>,
    #[serde(default)]
    updated_at: Option<Value>,
    #[serde(default)]
    oldrev: Option<Value>,
    last_commit: LastCommit,
}

#[derive(Deserialize)]
struct LastCommit {
    id: String,
}

fn gitlab(name: &str, payload: &[u8]) -> Result<Event, InvalidEvent> {
    match name {
        "Merge Request Hook" => {}
        // GitLab has no ping: who tests a hook sends a push.
        "Push Hook" => return Ok(Event::Unrelated("a push is tested when it is part of a merge request".to_owned())),
        _ => return Ok(Event::Unrelated("events of this kind ask for no tests".to_owned())),
    }
    let event: GitLabEvent = serde_json::from_slice(payload)?;
    let Attributes { iid, action, updated_at, oldrev, last_commit } = event.object_attributes;
    let action = match action.as_deref() {
        Some("open" | "reopen") => Action::Test,
        // An update without it changes the title or the like.
        Some("update") if oldrev.is_some_and(|oldrev| !oldrev.is_null()) => Action::Test,
        Some("close" | "merge") => Action::Close,
        _ => return Ok(Event::Unrelated("this change of a merge request asks for no tests".to_owned())),
    };
    check_number(iid)?;
    let commit = last_commit.id.parse()?;
    let clone_url = event.project.git_http_url;
    // Older versions write `2026-11-26 12:00:00 UTC`.
    let time = |text: &str| text.replacen(' ', "T", 1).replace(" UTC", "Z").parse().ok();
    let updated = updated_at.as_ref().and_then(Value::as_str).and_then(time);
    Ok(Event::Pull(action, PullRequest { number: iid, commit, open: action == Action::Test, updated, clone_url }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const SHA: &str = "6dcb09b5b57875f334f61aebed695e2e4193db5e";

    fn payload(action: &str) -> Value {
        json!({
            "action": action, "number": 7,
            "pull_request": {
                "number": 7, "state": "open", "head": {"sha": SHA},
                "base": {"repo": {"clone_url": "https://github.com/me/thing.git"}},
            },
            "repository": {"full_name": "me/thing"},
        })
    }

    fn read_github(name: &str, payload: &Value) -> Result<Event, InvalidEvent> {
        read(Forge::GitHub, name, payload.to_string().as_bytes())
    }

    #[test]
    fn the_actions_that_ask_for_tests_are_known() {
        for (action, meant) in [
            ("opened", Action::Test),
            ("synchronize", Action::Test),
            ("reopened", Action::Test),
            ("closed", Action::Close),
        ] {
            let Event::Pull(action, pull) = read_github("pull_request", &payload(action)).unwrap() else {
                panic!("{action}")
            };
            assert_eq!((action, pull.number, pull.commit.as_str()), (meant, 7, SHA));
        }
        for action in ["labeled", "edited", "assigned", "é"] {
            assert!(matches!(read_github("pull_request", &payload(action)), Ok(Event::Unrelated(_))), "{action}");
        }
        assert_eq!(read_github("ping", &json!({"zen": "x"})).unwrap(), Event::Ping);
        assert!(matches!(read_github("push", &json!({})), Ok(Event::Unrelated(_))));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let mut other = payload("opened");
        other["number"] = json!(8);
        let mut sha = payload("opened");
        sha["pull_request"]["head"]["sha"] = json!("main; rm -rf /");
        let mut large = payload("opened");
        large["number"] = json!(u64::MAX);
        large["pull_request"]["number"] = json!(u64::MAX);
        for wrong in [other, sha, large, json!({"action": "opened"}), json!([]), json!(null)] {
            assert!(read_github("pull_request", &wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn merge_requests_are_read() {
        let payload = |action: &str, oldrev: Value| {
            json!({
                "object_kind": "merge_request",
                "project": {"path_with_namespace": "group/thing", "git_http_url": "https://gitlab.com/group/thing.git"},
                "object_attributes": {
                    "iid": 3, "action": action, "oldrev": oldrev, "last_commit": {"id": SHA}, "updated_at": "2026-11-26 12:00:00 UTC",
                },
            })
        };
        let read = |payload: &Value| read(Forge::GitLab, "Merge Request Hook", payload.to_string().as_bytes()).unwrap();
        assert!(matches!(read(&payload("open", json!(null))), Event::Pull(Action::Test, _)));
        let Event::Pull(Action::Test, pull) = read(&payload("update", json!(SHA))) else { panic!("a test") };
        assert_eq!(pull.updated.unwrap().to_string(), "2026-11-26T12:00:00Z");
        assert!(matches!(read(&payload("update", json!(null))), Event::Unrelated(_)));
        assert!(matches!(read(&payload("merge", json!(null))), Event::Pull(Action::Close, _)));
        assert!(matches!(read(&payload("approved", json!(null))), Event::Unrelated(_)));
        let text = payload("open", json!(null)).to_string();
        assert_eq!(project(Forge::GitLab, text.as_bytes()).as_deref(), Some("group/thing"));
    }

    proptest! {
        #[test]
        fn no_payload_does_harm(name in "(ping|push|pull_request|Merge Request Hook|.*)", payload in any::<Vec<u8>>()) {
            for forge in [Forge::GitHub, Forge::GitLab] {
                let _ = read(forge, &name, &payload);
                let _ = project(forge, &payload);
            }
        }
    }
}
