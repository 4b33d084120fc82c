//! A stand-in of GitLab: its REST API, version 4, and the deliveries of its hooks.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::github::{
    Answered, Asked, BASE, Delivered, Gate, Page, Reply, Watched, contexts, enough, is_commit, object, post, states,
};
use super::stand_in::{Exchange, StandIn};

/// How long a description may be, in characters.
const DESCRIPTION: usize = 255;
/// How many entries a page has unless told otherwise.
const PAGE: usize = 20;
/// The events that a hook can listen to.
const EVENTS: [&str; 7] = [
    "push_events",
    "tag_push_events",
    "merge_requests_events",
    "issues_events",
    "note_events",
    "job_events",
    "pipeline_events",
];

/// The stand-in. It stops when it is dropped.
pub struct GitLabStandIn {
    server: StandIn,
    shared: Arc<Watched<State>>,
}

#[derive(Default)]
struct State {
    gate: Gate,
    projects: BTreeMap<String, Project>,
    is_dropping: bool,
    last_id: u64,
    web: String,
}

#[derive(Default)]
struct Project {
    id: u64,
    hooks: BTreeMap<u64, Hook>,
    merges: BTreeMap<u64, Merge>,
    /// As they arrived.
    statuses: Vec<Status>,
}

struct Hook {
    url: String,
    token: String,
    events: BTreeMap<&'static str, bool>,
    verify: bool,
    uuid: String,
    created: Timestamp,
    sent: Vec<Sent>,
}

struct Merge {
    id: u64,
    sha: String,
    state: &'static str,
    created: Timestamp,
    updated: Timestamp,
}

#[derive(Clone)]
struct Status {
    id: u64,
    sha: String,
    state: String,
    name: String,
    description: Option<String>,
    target_url: Option<String>,
    token: String,
    at: Timestamp,
}

/// What is to be sent to a hook.
struct Outgoing {
    project: String,
    hook: u64,
    key: String,
    event: String,
    payload: Value,
}

/// What was sent to a hook.
struct Sent {
    id: u64,
    key: String,
    event: String,
    payload: Value,
    seconds: f64,
    url: String,
    headers: Value,
    answered: Option<Answered>,
    at: Timestamp,
}

impl GitLabStandIn {
    /// Starts it on a free port of the loopback interface. It knows nothing yet.
    pub fn start() -> Self {
        let shared = Arc::new(Watched::<State>::default());
        let serving = Arc::clone(&shared);
        let server = StandIn::start(move |exchange| serve(&serving, exchange));
        shared.lock().web = server.url().replacen("http:", "https:", 1);
        Self { server, shared }
    }

    /// The API's address, without a slash at the end.
    pub fn api(&self) -> String {
        format!("{}/api/v4", self.server.url())
    }

    /// Where people and git find its projects, without a slash at the end.
    pub fn web(&self, base: &str) {
        base.clone_into(&mut self.shared.lock().web);
    }

    /// A public project `GROUP/NAME`. Gives its number.
    pub fn add_project(&self, path: &str) -> u64 {
        let mut state = self.shared.lock();
        let id = state.next_id();
        state.projects.insert(path.to_owned(), Project { id, ..Project::default() });
        id
    }

    /// A token that is good for these scopes.
    pub fn add_token(&self, token: &str, scopes: &[&str]) {
        self.shared.lock().gate.add_token(token, scopes);
    }

    /// Makes a token good for nothing.
    pub fn revoke_token(&self, token: &str) {
        self.shared.lock().gate.tokens.remove(token);
    }

    /// Opens a merge request.
    pub fn open_merge(&self, project: &str, iid: u64, sha: &str) -> Vec<Delivered> {
        self.open_quietly(project, iid, sha);
        self.tell(project, iid, "open")
    }

    /// Opens a merge request and tells nobody.
    pub fn open_quietly(&self, project: &str, iid: u64, sha: &str) {
        let mut state = self.shared.lock();
        let (id, now) = (state.next_id(), Timestamp::now());
        let merge = Merge { id, sha: sha.to_owned(), state: "opened", created: now, updated: now };
        state.project(project).merges.insert(iid, merge);
    }

    /// Gives a merge request another commit.
    pub fn push_commit(&self, project: &str, iid: u64, sha: &str) -> Vec<Delivered> {
        let payload = {
            let mut state = self.shared.lock();
            let before = mem::replace(&mut state.changed_merge(project, iid).sha, sha.to_owned());
            let mut payload = state.merge_event(project, iid, "update");
            payload["object_attributes"]["oldrev"] = json!(before);
            payload
        };
        self.deliver_raw(project, "Merge Request Hook", payload)
    }

    /// Closes a merge request without merging it.
    pub fn close_merge(&self, project: &str, iid: u64) -> Vec<Delivered> {
        self.shared.lock().changed_merge(project, iid).state = "closed";
        self.tell(project, iid, "close")
    }

    /// Opens a closed merge request again.
    pub fn reopen_merge(&self, project: &str, iid: u64) -> Vec<Delivered> {
        self.shared.lock().changed_merge(project, iid).state = "opened";
        self.tell(project, iid, "reopen")
    }

    /// Merges a merge request.
    pub fn accept_merge(&self, project: &str, iid: u64) -> Vec<Delivered> {
        self.shared.lock().changed_merge(project, iid).state = "merged";
        self.tell(project, iid, "merge")
    }

    fn tell(&self, project: &str, iid: u64, action: &str) -> Vec<Delivered> {
        let payload = self.shared.lock().merge_event(project, iid, action);
        self.deliver_raw(project, "Merge Request Hook", payload)
    }

    /// Sends any event, called as in `X-Gitlab-Event`, to the hooks that listen to it, to each under a name of its own.
    pub fn deliver_raw(&self, project: &str, event: &str, payload: Value) -> Vec<Delivered> {
        let outgoing = self.shared.lock().to_listeners(project, event, &payload);
        self.deliver_all(outgoing)
    }

    /// Sends a delivery again to the hook that it was sent to.
    pub fn redeliver(&self, guid: &str) -> Vec<Delivered> {
        let outgoing = self.shared.lock().again(guid);
        self.deliver_all(outgoing)
    }

    fn deliver_all(&self, outgoing: Vec<Outgoing>) -> Vec<Delivered> {
        outgoing.into_iter().filter_map(|one| deliver(&self.shared, one)).collect()
    }

    /// A project's hooks, as the API shows them.
    pub fn hooks(&self, project: &str) -> Vec<Value> {
        self.shared.lock().shown_hooks(project)
    }

    /// The token of a hook; empty when it has none.
    pub fn secret_of(&self, project: &str, hook: u64) -> String {
        self.shared.lock().project(project).hooks[&hook].token.clone()
    }

    /// The statuses of a commit in the order of their arrival: `state`, `context` (GitLab's name), `description`,
    /// `target_url` and the `token` that set it.
    pub fn statuses(&self, project: &str, sha: &str) -> Vec<Value> {
        self.shared.lock().seen(project, sha)
    }

    /// The states that a commit had in a context, in order.
    pub fn states(&self, project: &str, sha: &str, context: &str) -> Vec<String> {
        states(&self.statuses(project, sha), context)
    }

    /// The contexts of a commit, in the order of their first statuses.
    pub fn contexts(&self, project: &str, sha: &str) -> Vec<String> {
        contexts(&self.statuses(project, sha))
    }

    /// Waits until so many statuses of a commit have arrived with this state.
    #[track_caller]
    pub fn wait_for_state(&self, project: &str, sha: &str, state: &str, count: usize, patience: Duration) {
        self.shared.wait(patience, |known| enough(&known.seen(project, sha), state, count));
    }

    /// What was asked so far, in order: `METHOD path`, and the query if there was one.
    pub fn requests(&self) -> Vec<String> {
        self.shared.lock().gate.requests.clone()
    }

    /// So many requests to come whose path begins so (`/api/v4/…`) are answered with this status and these headers (each ends
    /// its line).
    pub fn fail_next(&self, method: &str, path: &str, status: u16, times: usize, headers: &str) {
        self.shared.lock().gate.fail_next(method, path, status, times, headers);
    }

    /// Everything is answered with 503, or is not any more.
    pub fn away(&self, is_away: bool) {
        self.shared.lock().gate.is_away = is_away;
    }

    /// Deliveries fail without being sent, or do not any more. They can be sent again.
    pub fn drop_deliveries(&self, is_dropping: bool) {
        self.shared.lock().is_dropping = is_dropping;
    }
}

/// What a request leads to.
enum Answer {
    Reply(Reply),
    /// Something is delivered, and the reply tells how that went.
    Test(Outgoing),
}

fn serve(shared: &Watched<State>, mut exchange: Exchange) {
    let mut asked = Asked::read(&mut exchange, &["bearer"]);
    asked.token = exchange.header("private-token").map(str::to_owned).or(asked.token);
    let answer = shared.lock().answer(&asked);
    let reply = match answer {
        Ok(Answer::Reply(reply)) | Err(reply) => reply,
        Ok(Answer::Test(outgoing)) => tested(deliver(shared, outgoing)),
    };
    shared.tell();
    reply.send(exchange);
}

fn tested(delivered: Option<Delivered>) -> Reply {
    match delivered {
        Some(Delivered { status: 200..=299, .. }) => message(201, "201 Created"),
        Some(Delivered { status: 1.., body, .. }) => message(422, &body),
        _ => message(422, "Failed to open TCP connection"),
    }
}

/// Sends something to a hook, and keeps what was answered. None when the hook is gone.
fn deliver(shared: &Watched<State>, outgoing: Outgoing) -> Option<Delivered> {
    let Outgoing { project, hook: id, key, event, payload } = outgoing;
    let (url, headers, is_dropped) = {
        let state = shared.lock();
        let hook = state.projects.get(&project)?.hooks.get(&id)?;
        let mut headers = vec![
            ("Content-Type", "application/json".to_owned()),
            ("User-Agent", "GitLab/17.9.0".to_owned()),
            ("Idempotency-Key", key.clone()),
            ("X-Gitlab-Event", event.clone()),
            ("X-Gitlab-Webhook-UUID", hook.uuid.clone()),
            ("X-Gitlab-Instance", state.web.clone()),
            // Another one when it is sent again.
            ("X-Gitlab-Event-UUID", Uuid::new_v4().to_string()),
        ];
        if !hook.token.is_empty() {
            headers.push(("X-Gitlab-Token", hook.token.clone()));
        }
        (hook.url.clone(), headers, state.is_dropping)
    };
    let (at, begin) = (Timestamp::now(), Instant::now());
    let answered = if is_dropped { None } else { post(&url, &headers, &payload.to_string()) };
    let seconds = begin.elapsed().as_secs_f64();
    let delivered = Delivered::new(&key, &url, answered.as_ref());
    let shown = |(name, value): &(&'static str, String)| match *name {
        "X-Gitlab-Token" => (*name, "[REDACTED]".to_owned()),
        name => (name, value.clone()),
    };
    let headers: Vec<(&str, String)> = headers.iter().map(shown).collect();
    let headers = object(headers.iter().map(|(name, value)| (*name, value.as_str())));
    let mut state = shared.lock();
    let sent = Sent { id: state.next_id(), key, event, payload, seconds, url, headers, answered, at };
    if let Some(hook) = state.projects.get_mut(&project).and_then(|found| found.hooks.get_mut(&id)) {
        hook.sent.push(sent);
    }
    Some(delivered)
}

fn message(status: u16, text: &str) -> Reply {
    Reply::new(status, json!({"message": text}))
}

fn not_found(what: &str) -> Reply {
    message(404, &format!("404 {what}Not Found"))
}

fn shown(value: Value) -> Result<Answer, Reply> {
    Ok(Answer::Reply(Reply::new(200, value)))
}

impl State {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn project(&mut self, path: &str) -> &mut Project {
        self.projects.get_mut(path).unwrap_or_else(|| panic!("{path} was not added"))
    }

    fn changed_merge(&mut self, project: &str, iid: u64) -> &mut Merge {
        let merge = self.project(project).merges.get_mut(&iid).expect("the merge request was opened");
        merge.updated = Timestamp::now();
        merge
    }

    fn to_listeners(&self, project: &str, event: &str, payload: &Value) -> Vec<Outgoing> {
        let listening = self.projects[project].hooks.iter().filter(|(_, hook)| hook.listens_to(event));
        listening.map(|(id, _)| Outgoing::new(project, *id, event, payload.clone())).collect()
    }

    fn again(&self, key: &str) -> Vec<Outgoing> {
        let mut outgoing = Vec::new();
        for (path, project) in &self.projects {
            for (id, hook) in &project.hooks {
                let sent = hook.sent.iter().find(|sent| sent.key == key);
                outgoing.extend(sent.map(|sent| Outgoing {
                    key: key.to_owned(),
                    ..Outgoing::new(path, *id, &sent.event, sent.payload.clone())
                }));
            }
        }
        outgoing
    }

    fn seen(&self, project: &str, sha: &str) -> Vec<Value> {
        let of_commit = self.projects[project].statuses.iter().filter(|status| status.sha == sha);
        let seen = of_commit.map(|status| {
            let Status { state, name, description, target_url, token, .. } = status;
            json!({"state": state, "context": name, "description": description, "target_url": target_url, "token": token})
        });
        seen.collect()
    }

    fn answer(&mut self, asked: &Asked) -> Result<Answer, Reply> {
        let scopes = self.gate.enter(asked, || message(401, "401 Unauthorized"))?;
        let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
        match (asked.method.as_str(), path.as_slice()) {
            ("GET", ["api", "v4", "personal_access_tokens", "self"]) => {
                let scopes = scopes.ok_or_else(|| message(401, "401 Unauthorized"))?;
                shown(
                    json!({"id": 1, "name": "token", "revoked": false, "scopes": scopes, "user_id": 1, "active": true}),
                )
            }
            (_, ["api", "v4", "projects", project, rest @ ..]) => {
                let is_it = |(path, known): &(&String, &Project)| {
                    path.eq_ignore_ascii_case(project) || known.id.to_string() == *project
                };
                let path = self.projects.iter().find(is_it).map(|(path, _)| path.clone());
                let path = path.ok_or_else(|| not_found("Project "))?;
                check(asked, rest, scopes.as_deref())?;
                self.of_project(&path, rest, asked)
            }
            _ => Err(Reply::new(404, json!({"error": "404 Not Found"}))),
        }
    }

    fn of_project(&mut self, project: &str, rest: &[&str], asked: &Asked) -> Result<Answer, Reply> {
        match (asked.method.as_str(), rest) {
            ("GET", []) => shown(self.shown_project(project)),
            (_, ["hooks", rest @ ..]) => self.of_hooks(project, rest, asked),
            ("GET", ["merge_requests"]) => Ok(self.merges(project, asked)),
            ("GET", ["merge_requests", iid]) => {
                let iid = iid.parse().map_err(|_| not_found(""))?;
                let is_known = self.projects[project].merges.contains_key(&iid);
                if is_known { shown(self.shown_merge(project, iid)) } else { Err(not_found("")) }
            }
            ("GET", ["repository", "commits", sha, "statuses"]) => Ok(self.shown_statuses(project, sha, asked)),
            ("POST", ["statuses", sha]) => self.set_status(project, sha, asked).map(Answer::Reply),
            _ => Err(Reply::new(404, json!({"error": "404 Not Found"}))),
        }
    }

    fn merges(&self, project: &str, asked: &Asked) -> Answer {
        let wanted = asked.parameter("state").unwrap_or("all");
        let after: Option<Timestamp> = asked.parameter("updated_after").and_then(|time| time.parse().ok());
        let is_wanted = |merge: &Merge| {
            (wanted == "all" || wanted == merge.state) && after.is_none_or(|after| merge.updated >= after)
        };
        let by_update = asked.parameter("order_by") == Some("updated_at");
        let merges = self.projects[project].merges.iter().filter(|(_, merge)| is_wanted(merge));
        let mut sorted: Vec<(Timestamp, u64)> =
            merges.map(|(iid, merge)| (if by_update { merge.updated } else { merge.created }, *iid)).collect();
        sorted.sort_unstable();
        if asked.parameter("sort") != Some("asc") {
            sorted.reverse();
        }
        list(sorted.into_iter().map(|(_, iid)| self.shown_merge(project, iid)).collect(), asked)
    }

    fn shown_statuses(&self, project: &str, sha: &str, asked: &Asked) -> Answer {
        let mut records = records(&self.projects[project].statuses, sha);
        if asked.parameter("all") != Some("true") {
            let all = records.clone();
            let is_last = |one: &Status| all.iter().rfind(|other| other.name == one.name).map(|last| last.id);
            records.retain(|one| is_last(one) == Some(one.id));
        }
        if asked.parameter("sort") == Some("desc") {
            records.reverse();
        }
        list(records.iter().map(|status| self.shown_status(status)).collect(), asked)
    }

    fn set_status(&mut self, project: &str, sha: &str, asked: &Asked) -> Result<Reply, Reply> {
        let state = text(asked, "state").ok_or_else(|| error("state is missing"))?;
        let name = text(asked, "name").or_else(|| text(asked, "context")).unwrap_or_else(|| "default".to_owned());
        let (description, target_url) = (text(asked, "description"), text(asked, "target_url"));
        let transition = transition(&state).ok_or_else(|| error("state does not have a valid value"))?;
        if !is_commit(sha) {
            return Err(not_found("Commit "));
        }
        if description.as_ref().is_some_and(|text| text.chars().count() > DESCRIPTION) {
            let body = json!({"message": {"description": ["is too long (maximum is 255 characters)"]}});
            return Err(Reply::new(400, body));
        }
        let statuses = &self.projects[project].statuses;
        if let Some(last) = statuses.iter().rfind(|status| status.sha == sha && status.name == name)
            && (last.state == state || (last.state == "running" && state == "pending"))
        {
            let reason = format!("Status cannot transition via \"{transition}\"");
            let from = &last.state;
            let text = format!("Cannot transition status via :{transition} from :{from} (Reason(s): {reason})");
            return Err(message(400, &text));
        }
        let (id, token) = (self.next_id(), asked.token.clone().unwrap_or_default());
        let sha = sha.to_owned();
        let status = Status { id, sha, state, name, description, target_url, token, at: Timestamp::now() };
        let reply = Reply::new(201, self.shown_status(&status));
        self.project(project).statuses.push(status);
        Ok(reply)
    }

    fn of_hooks(&mut self, project: &str, rest: &[&str], asked: &Asked) -> Result<Answer, Reply> {
        let method = asked.method.as_str();
        let [id, rest @ ..] = rest else {
            return match method {
                "GET" => Ok(list(self.shown_hooks(project), asked)),
                "POST" => self.create_hook(project, asked).map(Answer::Reply),
                _ => Err(message(405, "405 Not Allowed")),
            };
        };
        let id: u64 = id.parse().map_err(|_| not_found(""))?;
        let hook = self.project(project).hooks.get_mut(&id).ok_or_else(|| not_found(""))?;
        match (method, rest) {
            ("GET", []) => shown(self.shown_hook(project, id)),
            ("PUT", []) => {
                hook.merge(asked)?;
                shown(self.shown_hook(project, id))
            }
            ("DELETE", []) => {
                self.project(project).hooks.remove(&id);
                Ok(Answer::Reply(Reply::new(204, Value::Null)))
            }
            ("POST", ["test", "push_events"]) => {
                Ok(Answer::Test(Outgoing::new(project, id, "Push Hook", self.push_event(project))))
            }
            ("GET", ["events"]) => Ok(list(hook.sent.iter().rev().map(Sent::shown).collect(), asked)),
            _ => Err(Reply::new(404, json!({"error": "404 Not Found"}))),
        }
    }

    fn create_hook(&mut self, project: &str, asked: &Asked) -> Result<Reply, Reply> {
        let mut hook = Hook {
            url: text(asked, "url").ok_or_else(|| error("url is missing"))?,
            token: String::new(),
            events: EVENTS.into_iter().map(|event| (event, event == "push_events")).collect(),
            verify: true,
            uuid: Uuid::new_v4().to_string(),
            created: Timestamp::now(),
            sent: Vec::new(),
        };
        hook.merge(asked)?;
        let id = self.next_id();
        self.project(project).hooks.insert(id, hook);
        Ok(Reply::new(201, self.shown_hook(project, id)))
    }

    fn shown_hooks(&self, project: &str) -> Vec<Value> {
        self.projects[project].hooks.keys().map(|id| self.shown_hook(project, *id)).collect()
    }

    fn shown_hook(&self, project: &str, id: u64) -> Value {
        let Project { id: project_id, hooks, .. } = &self.projects[project];
        let hook = &hooks[&id];
        let mut shown = json!({
            "id": id,
            "url": hook.url,
            "name": null,
            "description": null,
            "project_id": project_id,
            "push_events_branch_filter": null,
            "branch_filter_strategy": "wildcard",
            "enable_ssl_verification": hook.verify,
            "repository_update_events": false,
            "alert_status": "executable",
            "disabled_until": null,
            "url_variables": [],
            "custom_webhook_template": null,
            "custom_headers": [],
            "created_at": time(hook.created),
        });
        for (event, listens) in &hook.events {
            shown[event] = json!(listens);
        }
        shown
    }

    fn shown_status(&self, status: &Status) -> Value {
        let is_final = !matches!(status.state.as_str(), "pending" | "running");
        json!({
            "id": status.id,
            "sha": status.sha,
            "ref": "main",
            "status": status.state,
            "name": status.name,
            "target_url": status.target_url,
            "description": status.description,
            "created_at": time(status.at),
            "started_at": null,
            "finished_at": is_final.then(|| time(status.at)),
            "allow_failure": false,
            "coverage": null,
            "pipeline_id": 1,
            "author": self.person("administrator"),
        })
    }

    fn shown_merge(&self, project: &str, iid: u64) -> Value {
        let Project { id: project_id, merges, .. } = &self.projects[project];
        let merge = &merges[&iid];
        json!({
            "id": merge.id,
            "iid": iid,
            "project_id": project_id,
            "title": format!("Change {iid}"),
            "description": "",
            "state": merge.state,
            "created_at": time(merge.created),
            "updated_at": time(merge.updated),
            "merged_at": (merge.state == "merged").then(|| time(merge.updated)),
            "closed_at": (merge.state == "closed").then(|| time(merge.updated)),
            "target_branch": "main",
            "source_branch": format!("change-{iid}"),
            "source_project_id": fork(*project_id),
            "target_project_id": project_id,
            "author": self.person("contributor"),
            "assignees": [],
            "reviewers": [],
            "labels": [],
            "draft": false,
            "work_in_progress": false,
            "milestone": null,
            "merge_status": "can_be_merged",
            "detailed_merge_status": "mergeable",
            "sha": merge.sha,
            "merge_commit_sha": null,
            "squash_commit_sha": null,
            "diff_refs": {"base_sha": BASE, "head_sha": merge.sha, "start_sha": BASE},
            "references": {"short": format!("!{iid}"), "relative": format!("!{iid}"), "full": format!("{project}!{iid}")},
            "web_url": format!("{}/{project}/-/merge_requests/{iid}", self.web),
            "has_conflicts": false,
        })
    }

    fn shown_project(&self, project: &str) -> Value {
        let page = format!("{}/{project}", self.web);
        let (namespace, name) = project.rsplit_once('/').expect("GROUP/NAME");
        json!({
            "id": self.projects[project].id,
            "description": null,
            "name": name,
            "path": name,
            "name_with_namespace": project.replace('/', " / "),
            "path_with_namespace": project,
            "created_at": "2020-01-01T00:00:00.000Z",
            "default_branch": "main",
            "topics": [],
            "ssh_url_to_repo": format!("git@gitlab:{project}.git"),
            "http_url_to_repo": format!("{page}.git"),
            "web_url": page,
            "namespace": {"id": 1, "name": namespace, "path": namespace, "kind": "group", "full_path": namespace},
            "visibility": "public",
        })
    }

    fn person(&self, username: &str) -> Value {
        json!({
            "id": username.bytes().map(u64::from).sum::<u64>(),
            "name": username,
            "username": username,
            "state": "active",
            "avatar_url": null,
            "web_url": format!("{}/{username}", self.web),
        })
    }

    /// A project as deliveries show it.
    fn told_project(&self, path: &str, id: u64) -> Value {
        let page = format!("{}/{path}", self.web);
        let (namespace, name) = path.rsplit_once('/').expect("GROUP/NAME");
        let (ssh, http) = (format!("git@gitlab:{path}.git"), format!("{page}.git"));
        json!({
            "id": id,
            "name": name,
            "description": "",
            "web_url": page,
            "avatar_url": null,
            "git_ssh_url": ssh,
            "git_http_url": http,
            "namespace": namespace,
            "visibility_level": 20,
            "path_with_namespace": path,
            "default_branch": "main",
            "ci_config_path": null,
            "homepage": page,
            "url": ssh,
            "ssh_url": ssh,
            "http_url": http,
        })
    }

    fn told_repository(&self, project: &str) -> Value {
        let name = project.rsplit('/').next();
        let page = format!("{}/{project}", self.web);
        json!({"name": name, "url": format!("git@gitlab:{project}.git"), "description": "", "homepage": page})
    }

    fn merge_event(&self, project: &str, iid: u64, action: &str) -> Value {
        let Project { id: project_id, merges, .. } = &self.projects[project];
        let merge = &merges[&iid];
        let name = project.rsplit('/').next().unwrap_or_default();
        let source = fork(*project_id);
        let user = self.person("contributor");
        let target = self.told_project(project, *project_id);
        let attributes = json!({
            "assignee_id": null,
            "author_id": user["id"],
            "created_at": time(merge.created),
            "description": "",
            "draft": false,
            "head_pipeline_id": null,
            "id": merge.id,
            "iid": iid,
            "last_edited_at": null,
            "merge_commit_sha": null,
            "merge_status": "can_be_merged",
            "detailed_merge_status": "mergeable",
            "milestone_id": null,
            "source_branch": format!("change-{iid}"),
            "source_project_id": source,
            "state_id": match merge.state { "opened" => 1, "closed" => 2, _ => 3 },
            "target_branch": "main",
            "target_project_id": project_id,
            "title": format!("Change {iid}"),
            "updated_at": time(merge.updated),
            "url": format!("{}/{project}/-/merge_requests/{iid}", self.web),
            "source": self.told_project(&format!("contributor/{name}"), source),
            "target": target,
            "last_commit": {
                "id": merge.sha,
                "message": "A change\n",
                "title": "A change",
                "timestamp": time(merge.updated),
                "url": format!("{}/{project}/-/commit/{}", self.web, merge.sha),
                "author": {"name": "contributor", "email": "contributor@example.org"},
            },
            "work_in_progress": false,
            "assignee_ids": [],
            "reviewer_ids": [],
            "labels": [],
            "state": merge.state,
            "blocking_discussions_resolved": true,
            "action": action,
        });
        json!({
            "object_kind": "merge_request",
            "event_type": "merge_request",
            "user": user,
            "project": target,
            "object_attributes": attributes,
            "labels": [],
            "changes": {},
            "repository": self.told_repository(project),
        })
    }

    fn push_event(&self, project: &str) -> Value {
        let id = self.projects[project].id;
        let user = self.person("administrator");
        json!({
            "object_kind": "push",
            "event_name": "push",
            "before": "0".repeat(40),
            "after": BASE,
            "ref": "refs/heads/main",
            "ref_protected": true,
            "checkout_sha": BASE,
            "message": null,
            "user_id": user["id"],
            "user_name": user["name"],
            "user_username": user["username"],
            "user_email": "",
            "user_avatar": null,
            "project_id": id,
            "project": self.told_project(project, id),
            "commits": [],
            "total_commits_count": 0,
            "push_options": {},
            "repository": self.told_repository(project),
        })
    }
}

impl Hook {
    fn listens_to(&self, event: &str) -> bool {
        let kind = match kind(event).as_str() {
            "merge_request" => "merge_requests".to_owned(),
            "issue" => "issues".to_owned(),
            other => other.to_owned(),
        };
        self.events.get(format!("{kind}_events").as_str()).copied().unwrap_or_default()
    }

    /// Takes over what is given.
    fn merge(&mut self, asked: &Asked) -> Result<(), Reply> {
        if let Some(url) = text(asked, "url") {
            if !url.starts_with("http://") && !url.starts_with("https://") {
                return Err(Reply::new(422, json!({"error": "Invalid url given"})));
            }
            self.url = url;
        }
        self.token = text(asked, "token").unwrap_or_else(|| mem::take(&mut self.token));
        self.verify = flag(asked, "enable_ssl_verification").unwrap_or(self.verify);
        for (event, listens) in &mut self.events {
            *listens = flag(asked, event).unwrap_or(*listens);
        }
        Ok(())
    }
}

impl Outgoing {
    fn new(project: &str, hook: u64, event: &str, payload: Value) -> Self {
        Self { project: project.to_owned(), hook, key: Uuid::new_v4().to_string(), event: event.to_owned(), payload }
    }
}

impl Sent {
    fn shown(&self) -> Value {
        let (status, headers, body) = match &self.answered {
            None => ("internal error".to_owned(), json!({}), ""),
            Some(answered) => (answered.status.to_string(), answered.headers(), answered.body.as_str()),
        };
        json!({
            "id": self.id,
            "url": self.url,
            "trigger": format!("{}_hooks", kind(&self.event)),
            "request_headers": self.headers,
            "request_data": self.payload,
            "response_headers": headers,
            "response_body": body,
            "execution_duration": self.seconds,
            "response_status": status,
            "created_at": time(self.at),
        })
    }
}

/// Whether a token may do this. What is public can be read without one.
fn check(asked: &Asked, rest: &[&str], scopes: Option<&[String]>) -> Result<(), Reply> {
    let is_reading = asked.method == "GET";
    let has = |wanted: &str| scopes.into_iter().flatten().any(|scope| scope == wanted);
    if scopes.is_none() && (!is_reading || rest.first() == Some(&"hooks")) {
        return Err(message(401, "401 Unauthorized"));
    }
    if scopes.is_some() && !has("api") && !(is_reading && has("read_api")) {
        let body = json!({
            "error": "insufficient_scope",
            "error_description": "The request requires higher privileges than provided by the access token.",
            "scope": if is_reading { "api read_api" } else { "api" },
        });
        return Err(Reply::new(403, body));
    }
    Ok(())
}

fn list(all: Vec<Value>, asked: &Asked) -> Answer {
    let Page { items, number, size, last, total } = Page::of(all, asked, PAGE);
    let beside = |is_there: bool, number: usize| if is_there { number.to_string() } else { String::new() };
    let (next, previous) = (beside(number < last, number + 1), beside(number > 1, number.saturating_sub(1)));
    let headers = format!(
        "X-Page: {number}\r\nX-Per-Page: {size}\r\nX-Next-Page: {next}\r\nX-Prev-Page: {previous}\r\nX-Total: {total}\r\nX-Total-Pages: {last}\r\n"
    );
    Answer::Reply(Reply::new(200, json!(items)).with(&headers))
}

/// The statuses of a commit as GitLab keeps them: what has not ended is changed in its place.
fn records(statuses: &[Status], sha: &str) -> Vec<Status> {
    let mut records: Vec<Status> = Vec::new();
    for status in statuses.iter().filter(|status| status.sha == sha) {
        let last = records.iter_mut().rfind(|record| record.name == status.name);
        match last.filter(|record| matches!(record.state.as_str(), "pending" | "running")) {
            Some(record) => *record = Status { id: record.id, ..status.clone() },
            None => records.push(status.clone()),
        }
    }
    records
}

/// What GitLab calls the way into a state.
fn transition(state: &str) -> Option<&'static str> {
    Some(match state {
        "pending" => "enqueue",
        "running" => "run",
        "success" => "success",
        "failed" => "drop",
        "canceled" => "cancel",
        _ => return None,
    })
}

/// `merge_request` of `Merge Request Hook`.
fn kind(event: &str) -> String {
    event.trim_end_matches(" Hook").to_ascii_lowercase().replace(' ', "_")
}

/// The number of the fork that a project's changes come from.
fn fork(project: u64) -> u64 {
    1_000_000 + project
}

fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn error(text: &str) -> Reply {
    Reply::new(400, json!({"error": text}))
}

/// A field of the body or the query.
fn text(asked: &Asked, name: &str) -> Option<String> {
    asked.body[name].as_str().or_else(|| asked.parameter(name)).map(str::to_owned)
}

fn flag(asked: &Asked, name: &str) -> Option<bool> {
    asked.body[name].as_bool().or_else(|| asked.parameter(name)?.parse().ok())
}
