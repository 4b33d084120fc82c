//! Events in deliveries. Only the fields that are used are read, because forges add others at any time.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{Commit, Forge, InvalidForgeName, PullRequest};

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A test of the hook.
    Ping,
    /// A pull request that needs tests: it is new, reopened, or has new commits.
    Test(PullRequest),
    /// A pull request that no longer needs tests.
    Close(ClosedPull),
    /// An event that requests no tests, and why.
    Unrelated(String),
}

/// A pull request that was closed or merged. Its commit and repository may be gone, so they are not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedPull {
    /// Its number.
    pub number: u64,
    /// Time of its last change, if the forge names it.
    pub updated: Option<Timestamp>,
}

/// An error for a payload that is malformed, or about another project than the hook's.
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

/// Returns the project that a payload names. The payload must not be trusted before its signature is verified.
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

/// Reads the payload of an event with this name.
///
/// # Errors
/// When the payload does not have the form of such an event.
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
    /// Returns the time of its last change.
    pub(super) fn updated(&self) -> Option<Timestamp> {
        self.updated_at.as_ref()?.parse().ok()
    }
}

impl TryFrom<GitHubPull> for PullRequest {
    type Error = InvalidForgeName;

    fn try_from(pull: GitHubPull) -> Result<Self, InvalidForgeName> {
        let commit: Commit = pull.head.sha.parse()?;
        let (is_open, updated) = (pull.state == "open", pull.updated());
        Ok(Self { number: pull.number, commit, is_open, updated, clone_url: pull.base.repo.clone_url })
    }
}

fn github(name: &str, payload: &[u8]) -> Result<Event, InvalidEvent> {
    match name {
        "ping" => return Ok(Event::Ping),
        "push" => return Ok(Event::Unrelated("a push is tested when it is part of a pull request".to_owned())),
        "pull_request" => {}
        _ => return Ok(Event::Unrelated("events of this kind ask for no tests".to_owned())),
    }
    // Read first: events with other actions may lack the fields of a test.
    #[derive(Deserialize)]
    struct Acted {
        action: Option<Value>,
    }
    let Acted { action } = serde_json::from_slice(payload)?;
    match action.as_ref().and_then(Value::as_str) {
        Some("opened" | "synchronize" | "reopened") => {}
        Some("closed") => {
            #[derive(Deserialize)]
            struct Closed {
                number: u64,
                #[serde(default)]
                pull_request: Value,
            }
            let Closed { number, pull_request } = serde_json::from_slice(payload)?;
            check_number(number)?;
            let updated = pull_request["updated_at"].as_str().and_then(|time| time.parse().ok());
            return Ok(Event::Close(ClosedPull { number, updated }));
        }
        _ => return Ok(Event::Unrelated("this change of a pull request asks for no tests".to_owned())),
    }
    let event: GitHubEvent = serde_json::from_slice(payload)?;
    let pull = PullRequest::try_from(event.pull_request)?;
    if pull.number != event.number {
        return Err(InvalidEvent("its numbers contradict each other".to_owned()));
    }
    check_number(pull.number)?;
    Ok(Event::Test(pull))
}

/// Refuses 0, and numbers that do not fit into the database's integers.
fn check_number(number: u64) -> Result<(), InvalidEvent> {
    if number == 0 || i64::try_from(number).is_err() {
        return Err(InvalidEvent(format!("nothing has the number {number}")));
    }
    Ok(())
}

#[derive(Deserialize)]
struct GitLabProject {
    path_with_namespace: String,
}

/// A merge request event. A field is required only for the actions that need it: GitLab disables hooks whose deliveries
/// are answered with errors.
#[derive(Deserialize)]
struct GitLabEvent {
    #[serde(default)]
    project: Value,
    #[serde(default)]
    object_attributes: Value,
}

fn gitlab(name: &str, payload: &[u8]) -> Result<Event, InvalidEvent> {
    match name {
        "Merge Request Hook" => {}
        // GitLab has no ping: a test of a hook sends a push.
        "Push Hook" => return Ok(Event::Unrelated("a push is tested when it is part of a merge request".to_owned())),
        _ => return Ok(Event::Unrelated("events of this kind ask for no tests".to_owned())),
    }
    let GitLabEvent { project, object_attributes: attributes } = serde_json::from_slice(payload)?;
    let is_test = match attributes["action"].as_str() {
        Some("open" | "reopen") => true,
        // An update without `oldrev` changes the title or the like.
        Some("update") if !attributes["oldrev"].is_null() => true,
        Some("close" | "merge") => false,
        _ => return Ok(Event::Unrelated("this change of a merge request asks for no tests".to_owned())),
    };
    let number = attributes["iid"].as_u64().ok_or_else(|| InvalidEvent::new("it has no number `iid`"))?;
    check_number(number)?;
    // Older versions write `2026-11-26 12:00:00 UTC`.
    let time = |text: &str| text.replacen(' ', "T", 1).replace(" UTC", "Z").parse().ok();
    let updated = attributes["updated_at"].as_str().and_then(time);
    if !is_test {
        return Ok(Event::Close(ClosedPull { number, updated }));
    }
    let commit = match &attributes["last_commit"] {
        // The source branch is empty.
        Value::Null => return Ok(Event::Unrelated("this merge request has no commit yet".to_owned())),
        commit => commit["id"].as_str().ok_or_else(|| InvalidEvent::new("its last commit has no `id`"))?.parse()?,
    };
    let clone_url = project["git_http_url"].as_str().unwrap_or_default().to_owned();
    Ok(Event::Test(PullRequest { number, commit, is_open: true, updated, clone_url }))
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
        for action in ["opened", "synchronize", "reopened"] {
            let Event::Test(pull) = read_github("pull_request", &payload(action)).unwrap() else { panic!("{action}") };
            assert_eq!((pull.number, pull.commit.as_str()), (7, SHA));
        }
        let closed = Event::Close(ClosedPull { number: 7, updated: None });
        assert_eq!(read_github("pull_request", &payload("closed")).unwrap(), closed);
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
        for wrong in
            [other, sha, large, json!({"action": "opened"}), json!({"action": "closed"}), json!([]), json!(null)]
        {
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
        assert!(matches!(read(&payload("open", json!(null))), Event::Test(_)));
        let Event::Test(pull) = read(&payload("update", json!(SHA))) else { panic!("a test") };
        assert_eq!(pull.updated.unwrap().to_string(), "2026-11-26T12:00:00Z");
        assert!(matches!(read(&payload("update", json!(null))), Event::Unrelated(_)));
        assert!(matches!(read(&payload("merge", json!(null))), Event::Close(ClosedPull { number: 3, .. })));
        assert!(matches!(read(&payload("approved", json!(null))), Event::Unrelated(_)));
        let text = payload("open", json!(null)).to_string();
        assert_eq!(project(Forge::GitLab, text.as_bytes()).as_deref(), Some("group/thing"));
    }

    #[test]
    fn a_field_that_an_action_does_not_need_is_not_required() {
        let read = |attributes: Value| {
            let payload = json!({"project": {"path_with_namespace": "group/thing"}, "object_attributes": attributes});
            read(Forge::GitLab, "Merge Request Hook", payload.to_string().as_bytes())
        };
        for commit in [json!({}), json!({"last_commit": null}), json!({"last_commit": 7}), json!({"last_commit": {}})] {
            let with = |action: Value| {
                let mut attributes = commit.clone();
                attributes["iid"] = json!(3);
                attributes["action"] = action;
                read(attributes)
            };
            for action in ["close", "merge"] {
                assert_eq!(with(json!(action)), Ok(Event::Close(ClosedPull { number: 3, updated: None })), "{commit}");
            }
            for action in [json!("approved"), json!("update"), json!(null), json!(7)] {
                assert!(matches!(with(action), Ok(Event::Unrelated(_))), "{commit}");
            }
            match commit["last_commit"] {
                Value::Null => assert!(matches!(with(json!("open")), Ok(Event::Unrelated(_))), "{commit}"),
                _ => assert!(with(json!("open")).is_err(), "{commit}"),
            }
        }
        // Events that request no tests need not even have a number.
        assert!(matches!(read(json!(null)), Ok(Event::Unrelated(_))));
        assert!(read(json!({"action": "close"})).is_err());
        for pull in [json!(null), json!({}), json!({"head": null, "base": {"repo": null}})] {
            let closed = json!({"action": "closed", "number": 7, "pull_request": pull});
            assert!(matches!(read_github("pull_request", &closed), Ok(Event::Close(_))), "{pull}");
        }
        for action in [json!(null), json!(1), json!("labeled")] {
            assert!(matches!(read_github("pull_request", &json!({"action": action})), Ok(Event::Unrelated(_))));
        }
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
