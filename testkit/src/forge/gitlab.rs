//! GitLab's API.

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{Answer, Hook, Ping, Pull, Sent, State, page};

impl State {
    pub(super) fn gitlab(
        &mut self,
        method: &str,
        path: &str,
        target: &str,
        body: &Value,
        scopes: &[String],
    ) -> (Answer, Ping) {
        let parts: Vec<String> = path
            .trim_start_matches("/api/v4/")
            .split('/')
            .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
            .collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        if parts.as_slice() == ["personal_access_tokens", "self"] {
            return (Answer::new("200 OK", json!({"scopes": scopes})), None);
        }
        let ["projects", project, rest @ ..] = parts.as_slice() else { return (Answer::not_found(), None) };
        if !self.projects.contains_key(*project) {
            return (Answer::not_found(), None);
        }
        if scopes.is_empty() {
            return (Answer::new("401 Unauthorized", json!({"message": "401 Unauthorized"})), None);
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let merge = |number: u64, pull: &Pull| json!({"iid": number, "state": if pull.is_open { "opened" } else { "closed" }, "sha": pull.sha, "updated_at": pull.updated});
        let answer = match (method, rest) {
            ("GET", []) => {
                let url = format!("{}/{project}.git", self.web);
                Answer::new("200 OK", json!({"id": 1, "http_url_to_repo": url}))
            }
            ("GET", ["merge_requests"]) => {
                let all = self.projects[*project].pulls.iter().rev().map(|(number, pull)| merge(*number, pull));
                Answer::new("200 OK", page(all.collect(), target))
            }
            ("GET", ["merge_requests", number]) => {
                let number: u64 = number.parse().unwrap_or_default();
                let found = self.projects[*project].pulls.get(&number);
                found.map_or_else(Answer::not_found, |pull| Answer::new("200 OK", merge(number, pull)))
            }
            ("GET", ["repository", "commits", sha, "statuses"]) => {
                let all = self.projects[*project].statuses.iter().rev().filter(|(commit, _)| commit == sha);
                let shown = all.map(|(_, one)| {
                    json!({"name": one.context, "status": one.state, "description": one.description, "target_url": one.link})
                });
                Answer::new("200 OK", page(shown.collect(), target))
            }
            ("POST", ["statuses", sha]) => {
                let (context, state) = (text(&body["name"]), text(&body["state"]));
                // The commits of forks begin with f here. They are in no branch of the project.
                if sha.starts_with('f') && !text(&body["ref"]).starts_with("refs/merge-requests/") {
                    return (
                        Answer::new("404 Not Found", json!({"message": "404 References for commit Not Found"})),
                        None,
                    );
                }
                let statuses = &self.projects[*project].statuses;
                let last = statuses.iter().rfind(|(commit, one)| commit == sha && one.context == context);
                if last.is_some_and(|(_, one)| one.state == state) {
                    let message = format!("Cannot transition status via :enqueue from :{state}");
                    return (Answer::new("400 Bad Request", json!({"message": message})), None);
                }
                self.set_status(project, sha, context, state, text(&body["description"]), text(&body["target_url"]))
            }
            ("GET" | "POST" | "PUT" | "DELETE", ["hooks", rest @ ..]) => {
                return self.gitlab_hooks(method, project, rest, target, body);
            }
            _ => Answer::not_found(),
        };
        (answer, None)
    }

    pub(super) fn gitlab_hooks(
        &mut self,
        method: &str,
        project: &str,
        rest: &[&str],
        target: &str,
        body: &Value,
    ) -> (Answer, Ping) {
        self.next_id += 1;
        let new_id = self.next_id;
        let hooks = &mut self.projects.get_mut(project).expect("a project").hooks;
        let id: u64 = rest.first().and_then(|id| id.parse().ok()).unwrap_or_default();
        if !rest.is_empty() && !hooks.contains_key(&id) {
            return (Answer::not_found(), None);
        }
        let shown = |id: u64, hook: &Hook| {
            let merges = hook.events.iter().any(|event| event == "Merge Request Hook");
            json!({"id": id, "url": hook.url, "merge_requests_events": merges, "enable_ssl_verification": hook.verify})
        };
        let read = |sent: Vec<Sent>| Hook {
            url: body["url"].as_str().unwrap_or_default().to_owned(),
            secret: body["token"].as_str().unwrap_or_default().to_owned(),
            active: true,
            events: vec!["Push Hook".to_owned(), "Merge Request Hook".to_owned()],
            verify: body["enable_ssl_verification"] == true,
            is_form: false,
            sent,
        };
        match (method, rest) {
            ("GET", []) => {
                let all = hooks.iter().map(|(id, hook)| shown(*id, hook)).collect();
                (Answer::new("200 OK", page(all, target)), None)
            }
            ("POST", []) => {
                let hook = read(Vec::new());
                let created = Answer::new("201 Created", shown(new_id, &hook));
                hooks.insert(new_id, hook);
                (created, None)
            }
            ("PUT", [_]) => {
                let sent = hooks[&id].sent.clone();
                hooks.insert(id, read(sent));
                (Answer::new("200 OK", shown(id, &hooks[&id])), None)
            }
            ("DELETE", [_]) => {
                hooks.remove(&id);
                (Answer::new("204 No Content", Value::Null), None)
            }
            ("POST", [_, "test", "push_events"]) => {
                (Answer::new("201 Created", json!({"message": "201 Created"})), Some((project.to_owned(), id)))
            }
            ("GET", [_, "events"]) => {
                let all = hooks[&id].sent.iter().rev().map(|one| {
                    json!({"id": one.id, "trigger": one.event, "response_status": one.status.to_string(), "response_body": one.answer})
                });
                (Answer::new("200 OK", page(all.collect(), target)), None)
            }
            _ => (Answer::not_found(), None),
        }
    }
}
