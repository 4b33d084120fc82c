//! What a fake forge sends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{MutexGuard, PoisonError};

use apt_ci::forge::{Forge, signature};
use serde_json::{Value, json};

use super::{ANSWER_TIMEOUT, Hook, Sent, Shared, State};

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends something to a hook, and keeps what was answered.
    pub(super) fn send(&self, forge: Forge, project: &str, hook: u64, guid: &str, event: &str, payload: &str) -> Sent {
        let (Hook { url, secret, is_form, .. }, id) = {
            let mut state = self.lock();
            state.next_id += 1;
            (state.projects[project].hooks[&hook].clone(), state.next_id)
        };
        let (kind, body) = if is_form {
            let escaped = percent_encoding::utf8_percent_encode(payload, percent_encoding::NON_ALPHANUMERIC);
            ("application/x-www-form-urlencoded", format!("payload={escaped}"))
        } else {
            ("application/json", payload.to_owned())
        };
        let proof = match forge {
            Forge::GitHub => {
                let signature = signature::sign(&secret.into(), body.as_bytes());
                format!("X-GitHub-Event: {event}\r\nX-GitHub-Delivery: {guid}\r\nX-Hub-Signature-256: {signature}\r\n")
            }
            Forge::GitLab => {
                format!(
                    "X-Gitlab-Event: {event}\r\nIdempotency-Key: {guid}\r\nX-Gitlab-Event-UUID: {guid}\r\nX-Gitlab-Token: {secret}\r\n"
                )
            }
        };
        let (status, answer) =
            post(&url, &format!("{proof}Content-Type: {kind}\r\n"), &body).unwrap_or((0, String::new()));
        let (guid, event, body) = (guid.to_owned(), event.to_owned(), payload.to_owned());
        let sent = Sent { id, guid, event, body, status, answer };
        if let Some(hook) = self.lock().projects.get_mut(project).and_then(|project| project.hooks.get_mut(&hook)) {
            hook.sent.push(sent.clone());
        }
        sent
    }
}

/// Posts over a connection of its own. None when there is no answer.
pub fn post(url: &str, headers: &str, body: &str) -> Option<(u16, String)> {
    let (host, path) = url.strip_prefix("http://")?.split_once('/')?;
    let mut stream = TcpStream::connect(host).ok()?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT)).ok()?;
    let length = body.len();
    let head = format!(
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).ok()?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let (head, answer) = text.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, answer.to_owned()))
}

impl State {
    /// The event's name, and its payload.
    pub(super) fn event(&self, forge: Forge, project: &str, number: u64, action: &str) -> (String, Value) {
        let pull = &self.projects[project].pulls[&number];
        let web = &self.web;
        match forge {
            Forge::GitHub => {
                let payload = json!({
                    "action": action,
                    "number": number,
                    "pull_request": self.github_pull(project, number),
                    "repository": {"id": 1, "full_name": project, "clone_url": format!("{web}/{project}.git")},
                    "sender": {"login": "octocat"},
                    "nonce": uuid::Uuid::new_v4().to_string(),
                });
                ("pull_request".to_owned(), payload)
            }
            Forge::GitLab => {
                let payload = json!({
                    "object_kind": "merge_request",
                    "project": {"id": 1, "path_with_namespace": project, "git_http_url": format!("{web}/{project}.git")},
                    "object_attributes": {
                        "iid": number,
                        "action": action,
                        "oldrev": if action == "update" { json!("0".repeat(40)) } else { Value::Null },
                        "last_commit": {"id": pull.sha},
                        "updated_at": pull.updated,
                        "nonce": uuid::Uuid::new_v4().to_string(),
                    },
                });
                ("Merge Request Hook".to_owned(), payload)
            }
        }
    }
}
