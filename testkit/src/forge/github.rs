//! GitHub's API.

use serde_json::{Value, json};

use super::{Answer, Hook, Ping, Pull, State, page};

impl State {
    pub(super) fn github_pull(&self, project: &str, number: u64) -> Value {
        let Pull { sha, is_open, updated } = &self.projects[project].pulls[&number];
        let (web, api) = (&self.web, &self.api);
        json!({
            "number": number,
            "state": if *is_open { "open" } else { "closed" },
            "updated_at": updated,
            "head": {"sha": sha, "ref": "topic"},
            "base": {"ref": "main", "repo": {"full_name": project, "clone_url": format!("{web}/{project}.git")}},
            "statuses_url": format!("{api}/repos/{project}/statuses/{sha}"),
        })
    }

    pub(super) fn github(
        &mut self,
        method: &str,
        path: &str,
        target: &str,
        body: &Value,
        scopes: &[String],
    ) -> (Answer, Ping) {
        let has = |scope: &str| scopes.iter().any(|known| known == scope || known == "repo");
        if path == "/user" {
            let headers = format!("X-OAuth-Scopes: {}\r\n", scopes.join(", "));
            return (Answer { status: "200 OK", headers, body: json!({"login": "octocat", "id": 1}) }, None);
        }
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let ["repos", owner, name, rest @ ..] = parts.as_slice() else { return (Answer::not_found(), None) };
        let project = format!("{owner}/{name}");
        if !self.projects.contains_key(&project) {
            return (Answer::not_found(), None);
        }
        if rest.first() == Some(&"hooks") {
            if !has("admin:repo_hook") {
                return (Answer::not_found(), None);
            }
            return self.github_hooks(method, &project, rest.get(1..).unwrap_or_default(), target, body);
        }
        let answer = match (method, rest) {
            ("GET", ["pulls", number]) => {
                let number: u64 = number.parse().unwrap_or_default();
                if self.projects[&project].pulls.contains_key(&number) {
                    Answer::new("200 OK", self.github_pull(&project, number))
                } else {
                    Answer::not_found()
                }
            }
            ("GET", ["pulls"]) => {
                let numbers = self.projects[&project].pulls.keys().rev();
                let all = numbers.map(|number| self.github_pull(&project, *number)).collect();
                Answer::new("200 OK", page(all, target))
            }
            ("GET", ["commits", sha, "statuses"]) => {
                let all = self.projects[&project].statuses.iter().rev().filter(|(commit, _)| commit == sha);
                let shown = all.map(|(_, one)| {
                    json!({"context": one.context, "state": one.state, "description": one.description, "target_url": one.link})
                });
                Answer::new("200 OK", page(shown.collect(), target))
            }
            ("POST", ["statuses", sha]) if has("repo:status") => {
                let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
                self.set_status(&project, sha, text("context"), text("state"), text("description"), text("target_url"))
            }
            ("POST", ["statuses", _]) => Answer::new("403 Forbidden", json!({"message": "Resource not accessible"})),
            _ => Answer::not_found(),
        };
        (answer, None)
    }

    pub(super) fn github_hooks(
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
            json!({
                "type": "Repository", "id": id, "name": "web", "active": hook.active, "events": hook.events,
                "config": {"url": hook.url, "content_type": "json", "secret": "********", "insecure_ssl": if hook.verify { "0" } else { "1" }},
            })
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = |value: &Value| value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
        match (method, rest) {
            ("GET", []) => {
                let all = hooks.iter().map(|(id, hook)| shown(*id, hook)).collect();
                (Answer::new("200 OK", page(all, target)), None)
            }
            ("POST", []) => {
                let url = text(&body["config"]["url"]);
                if hooks.values().any(|hook| hook.url == url) {
                    let message = json!({"message": "Validation Failed", "errors": [{"message": "Hook already exists on this repository"}]});
                    return (Answer::new("422 Unprocessable Entity", message), None);
                }
                let hook = Hook {
                    url,
                    secret: text(&body["config"]["secret"]),
                    active: true,
                    events: list(&body["events"]),
                    verify: body["config"]["insecure_ssl"] == "0",
                    is_form: false,
                    sent: Vec::new(),
                };
                let created = Answer::new("201 Created", shown(new_id, &hook));
                hooks.insert(new_id, hook);
                (created, Some((project.to_owned(), new_id)))
            }
            ("PATCH", [_]) => {
                let hook = hooks.get_mut(&id).expect("it is there");
                hook.active = body["active"] == true;
                hook.events = list(&body["events"]);
                // GitHub takes the secret away when the configuration comes without one.
                hook.secret = text(&body["config"]["secret"]);
                hook.url = text(&body["config"]["url"]);
                hook.verify = body["config"]["insecure_ssl"] == "0";
                (Answer::new("200 OK", shown(id, hook)), None)
            }
            ("DELETE", [_]) => {
                hooks.remove(&id);
                (Answer::new("204 No Content", Value::Null), None)
            }
            ("POST", [_, "pings"]) => (Answer::new("204 No Content", Value::Null), Some((project.to_owned(), id))),
            ("GET", [_, "deliveries"]) => {
                let sent = hooks[&id].sent.iter().rev();
                let all = sent.map(|one| {
                    json!({
                        "id": one.id, "guid": one.guid, "event": one.event, "status_code": one.status, "status": "OK",
                        "delivered_at": jiff::Timestamp::now().to_string(),
                    })
                });
                (Answer::new("200 OK", page(all.collect(), target)), None)
            }
            ("GET", [_, "deliveries", number]) => {
                let number: u64 = number.parse().unwrap_or_default();
                let found = hooks[&id].sent.iter().find(|one| one.id == number);
                let whole = found.map(|one| {
                    let whole = json!({
                        "id": one.id, "guid": one.guid, "event": one.event, "status_code": one.status,
                        "delivered_at": jiff::Timestamp::now().to_string(), "response": {"headers": {}, "payload": one.answer},
                    });
                    Answer::new("200 OK", whole)
                });
                (whole.unwrap_or_else(Answer::not_found), None)
            }
            _ => (Answer::not_found(), None),
        }
    }
}
