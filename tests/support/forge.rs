//! A stand-in of GitHub or GitLab: projects with hooks, pull requests and statuses, and deliveries to whoever listens.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use apt_ci::forge::{Forge, signature};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::stand_in::{Exchange, StandIn};

/// How many statuses GitHub takes for a commit and context.
const STATUSES: usize = 1000;
/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The stand-in. It stops when it is dropped.
pub struct ForgeStandIn {
    forge: Forge,
    server: StandIn,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    projects: BTreeMap<String, Project>,
    tokens: BTreeMap<String, Vec<String>>,
    refusals: Vec<(String, &'static str, String)>,
    is_away: bool,
    hold: Option<String>,
    held: Vec<Exchange>,
    asked: Vec<String>,
    next_id: u64,
    /// Where a project is, for people and git.
    web: String,
    api: String,
}

#[derive(Default)]
struct Project {
    hooks: BTreeMap<u64, Hook>,
    pulls: BTreeMap<u64, Pull>,
    statuses: Vec<(String, Status)>,
}

#[derive(Clone)]
struct Hook {
    url: String,
    secret: String,
    active: bool,
    events: Vec<String>,
    verify: bool,
    is_form: bool,
    sent: Vec<Sent>,
}

#[derive(Clone)]
struct Pull {
    sha: String,
    is_open: bool,
    updated: String,
}

/// A status that was set.
#[derive(Debug, Clone)]
pub struct Status {
    pub context: String,
    pub state: String,
    pub description: String,
    pub link: String,
}

/// A delivery and its answer; a status of 0 is none.
#[derive(Debug, Clone)]
pub struct Sent {
    pub id: u64,
    pub guid: String,
    pub event: String,
    pub body: String,
    pub status: u16,
    pub answer: String,
}

impl ForgeStandIn {
    /// Starts it on a free port. It knows nothing yet.
    pub fn start(forge: Forge) -> Self {
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        let server = StandIn::start(move |exchange| answer(forge, &serving, exchange));
        let api = match forge {
            Forge::GitHub => server.url(),
            Forge::GitLab => format!("{}/api/v4", server.url()),
        };
        {
            let mut state = shared.lock();
            state.web = server.url().replace("http:", "https:");
            state.api.clone_from(&api);
        }
        Self { forge, server, shared }
    }

    /// The address of its API.
    pub fn api(&self) -> String {
        self.shared.lock().api.clone()
    }

    /// Makes a project.
    pub fn project(&self, name: &str) {
        self.shared.lock().projects.insert(name.to_owned(), Project::default());
    }

    /// Makes a token good, for these scopes; without any it is good no more.
    pub fn token(&self, token: &str, scopes: &[&str]) {
        let mut state = self.shared.lock();
        if scopes.is_empty() {
            state.tokens.remove(token);
        } else {
            state.tokens.insert(token.to_owned(), scopes.iter().map(|scope| (*scope).to_owned()).collect());
        }
    }

    /// Everything is answered with 503 from now on, or is not any more.
    pub fn away(&self, is_away: bool) {
        self.shared.lock().is_away = is_away;
    }

    /// The next request that begins so (`METHOD /path`) is answered with this status and headers.
    pub fn refuse(&self, begins: &str, status: &'static str, headers: &str) {
        self.shared.lock().refusals.push((begins.to_owned(), status, headers.to_owned()));
    }

    /// The requests that begin so are not answered from now on.
    pub fn hold(&self, begins: &str) {
        self.shared.lock().hold = Some(begins.to_owned());
    }

    /// Whether one of them has come.
    pub fn is_holding(&self) -> bool {
        !self.shared.lock().held.is_empty()
    }

    /// Forgets those that were not answered, and answers again.
    pub fn let_go(&self) {
        let mut state = self.shared.lock();
        state.hold = None;
        state.held.clear();
    }

    /// What was asked, in order: `METHOD /path?query`.
    pub fn asked(&self) -> Vec<String> {
        self.shared.lock().asked.clone()
    }

    /// Opens a pull request with a commit, or opens it again.
    pub fn open(&self, project: &str, number: u64, sha: &str) -> Vec<Sent> {
        let is_new = self.set_pull(project, number, sha, true);
        let action = match (self.forge, is_new) {
            (Forge::GitHub, true) => "opened",
            (Forge::GitHub, false) => "reopened",
            (Forge::GitLab, true) => "open",
            (Forge::GitLab, false) => "reopen",
        };
        self.tell(project, number, action)
    }

    /// Opens a pull request and tells nobody.
    pub fn open_quietly(&self, project: &str, number: u64, sha: &str) {
        self.set_pull(project, number, sha, true);
    }

    /// Gives a pull request another commit.
    pub fn push(&self, project: &str, number: u64, sha: &str) -> Vec<Sent> {
        self.set_pull(project, number, sha, true);
        self.tell(project, number, if self.forge == Forge::GitHub { "synchronize" } else { "update" })
    }

    /// Closes a pull request.
    pub fn close(&self, project: &str, number: u64) -> Vec<Sent> {
        let sha = self.shared.lock().projects[project].pulls[&number].sha.clone();
        self.set_pull(project, number, &sha, false);
        self.tell(project, number, if self.forge == Forge::GitHub { "closed" } else { "close" })
    }

    fn set_pull(&self, project: &str, number: u64, sha: &str, is_open: bool) -> bool {
        let mut state = self.shared.lock();
        let pulls = &mut state.projects.get_mut(project).expect("a project").pulls;
        let updated = jiff::Timestamp::now().to_string();
        pulls.insert(number, Pull { sha: sha.to_owned(), is_open, updated }).is_none()
    }

    /// Tells every hook of a pull request.
    fn tell(&self, project: &str, number: u64, action: &str) -> Vec<Sent> {
        let (event, payload) = self.shared.lock().event(self.forge, project, number, action);
        self.deliver(project, &event, &payload)
    }

    /// Sends an event to every hook of a project that wants it; the id is the same for all, as GitHub does it.
    pub fn deliver(&self, project: &str, event: &str, payload: &Value) -> Vec<Sent> {
        let guid = uuid::Uuid::new_v4().to_string();
        let hooks: Vec<u64> = {
            let state = self.shared.lock();
            let wants = |hook: &Hook| hook.active && hook.events.iter().any(|wanted| wanted == event);
            state.projects[project].hooks.iter().filter(|(_, hook)| wants(hook)).map(|(id, _)| *id).collect()
        };
        let send = |id| self.shared.send(self.forge, project, id, &guid, event, &payload.to_string());
        hooks.into_iter().map(send).collect()
    }

    /// Sends a delivery again, under the same id.
    pub fn deliver_again(&self, project: &str, sent: &Sent) -> Sent {
        let hook = {
            let state = self.shared.lock();
            let mut hooks = state.projects[project].hooks.iter();
            *hooks.find(|(_, hook)| hook.sent.iter().any(|one| one.id == sent.id)).expect("the hook that sent it").0
        };
        self.shared.send(self.forge, project, hook, &sent.guid, &sent.event, &sent.body)
    }

    /// The addresses of a project's hooks.
    pub fn hooks(&self, project: &str) -> Vec<String> {
        self.shared.lock().projects[project].hooks.values().map(|hook| hook.url.clone()).collect()
    }

    /// The secrets of a project's hooks.
    pub fn secrets(&self, project: &str) -> Vec<String> {
        self.shared.lock().projects[project].hooks.values().map(|hook| hook.secret.clone()).collect()
    }

    /// Changes all hooks of a project behind everybody's back.
    pub fn spoil_hooks(&self, project: &str, is_active: bool, is_form: bool) {
        let mut state = self.shared.lock();
        for hook in state.projects.get_mut(project).expect("a project").hooks.values_mut() {
            hook.active = is_active;
            hook.is_form = is_form;
        }
    }

    /// Adds hooks with these addresses behind everybody's back.
    pub fn add_hooks(&self, project: &str, urls: &[&str]) {
        let mut state = self.shared.lock();
        for url in urls {
            state.next_id += 1;
            let (id, url) = (state.next_id, (*url).to_owned());
            let events = vec!["pull_request".to_owned(), "Merge Request Hook".to_owned()];
            let hook = Hook {
                url,
                secret: String::new(),
                active: true,
                events,
                verify: true,
                is_form: false,
                sent: Vec::new(),
            };
            state.projects.get_mut(project).expect("a project").hooks.insert(id, hook);
        }
    }

    /// Removes all hooks of a project behind everybody's back.
    pub fn lose_hooks(&self, project: &str) {
        self.shared.lock().projects.get_mut(project).expect("a project").hooks.clear();
    }

    /// The states that a commit had in a context, in order.
    pub fn states(&self, project: &str, sha: &str, context: &str) -> Vec<String> {
        self.statuses(project, sha).into_iter().filter(|one| one.context == context).map(|one| one.state).collect()
    }

    /// The statuses that were set for a commit, in order.
    pub fn statuses(&self, project: &str, sha: &str) -> Vec<Status> {
        let state = self.shared.lock();
        let of_commit = state.projects[project].statuses.iter().filter(|(commit, _)| commit == sha);
        of_commit.map(|(_, status)| status.clone()).collect()
    }

    /// Waits until a context of a commit comes to a state, and gives that status.
    #[track_caller]
    pub fn wait_for(&self, project: &str, sha: &str, context: &str, state: &str) -> Status {
        let end = Instant::now() + super::site::PATIENCE;
        let mut guard = self.shared.lock();
        loop {
            let found = guard.projects[project]
                .statuses
                .iter()
                .rev()
                .find(|(commit, status)| commit == sha && status.context == context && status.state == state);
            if let Some((_, status)) = found {
                return status.clone();
            }
            let all = &guard.projects[project].statuses;
            assert!(Instant::now() < end, "no {state} of {context} at {sha}, but {all:#?}");
            guard = self
                .shared
                .changed
                .wait_timeout(guard, Duration::from_secs(1))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// The address of the server itself.
    pub fn url(&self) -> String {
        self.server.url()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends something to a hook, and keeps what was answered.
    fn send(&self, forge: Forge, project: &str, hook: u64, guid: &str, event: &str, payload: &str) -> Sent {
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
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
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
    fn event(&self, forge: Forge, project: &str, number: u64, action: &str) -> (String, Value) {
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

    fn github_pull(&self, project: &str, number: u64) -> Value {
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
}

/// What an answer is made of.
struct Answer {
    status: &'static str,
    headers: String,
    body: Value,
}

impl Answer {
    fn new(status: &'static str, body: Value) -> Self {
        Self { status, headers: String::new(), body }
    }

    fn not_found() -> Self {
        Self::new("404 Not Found", json!({"message": "Not Found"}))
    }
}

/// A ping that is sent when the answer is out.
type Ping = Option<(String, u64)>;

fn answer(forge: Forge, shared: &Shared, mut exchange: Exchange) {
    let length = exchange.length();
    let body: Value = serde_json::from_slice(&exchange.read(length)).unwrap_or_default();
    let bearer = exchange.header("authorization").and_then(|value| value.split_once(' ')).map(|(_, token)| token);
    let token = bearer.or_else(|| exchange.header("private-token")).map(str::to_owned);
    let (method, target) = (exchange.method.clone(), exchange.target.clone());
    let (answer, ping) = {
        let mut state = shared.lock();
        state.asked.push(format!("{method} {target}"));
        let called = format!("{method} {target}");
        if state.hold.as_ref().is_some_and(|begins| called.starts_with(begins)) {
            return state.held.push(exchange);
        }
        let refusal = state.refusals.iter().position(|(begins, ..)| called.starts_with(begins));
        if state.is_away {
            (Answer::new("503 Service Unavailable", json!({"message": "away"})), None)
        } else if let Some(place) = refusal {
            let (_, status, headers) = state.refusals.remove(place);
            (Answer { status, headers, body: json!({"message": "refused by the test"}) }, None)
        } else {
            let scopes = match token.map(|token| state.tokens.get(&token).cloned()) {
                Some(None) => {
                    let bad = Answer::new("401 Unauthorized", json!({"message": "Bad credentials"}));
                    return finish(shared, exchange, &bad);
                }
                Some(Some(scopes)) => scopes,
                None => Vec::new(),
            };
            let path = target.split('?').next().unwrap_or_default().to_owned();
            match forge {
                Forge::GitHub => state.github(&method, &path, &target, &body, &scopes),
                Forge::GitLab => state.gitlab(&method, &path, &target, &body, &scopes),
            }
        }
    };
    if let Some((project, hook)) = &ping {
        let (event, payload) = match forge {
            Forge::GitHub => ("ping", json!({"zen": "Keep it simple.", "repository": {"full_name": project}})),
            Forge::GitLab => ("Push Hook", json!({"object_kind": "push", "project": {"path_with_namespace": project}})),
        };
        let mut payload = payload;
        payload["nonce"] = json!(uuid::Uuid::new_v4().to_string());
        shared.send(forge, project, *hook, &uuid::Uuid::new_v4().to_string(), event, &payload.to_string());
    }
    finish(shared, exchange, &answer);
}

fn finish(shared: &Shared, exchange: Exchange, answer: &Answer) {
    shared.changed.notify_all();
    let body = if answer.body.is_null() { String::new() } else { answer.body.to_string() };
    exchange.answer(answer.status, &format!("Content-Type: application/json\r\n{}", answer.headers), &body);
}

/// The page that a query asks for.
fn page(all: Vec<Value>, target: &str) -> Value {
    let number = |name: &str, default: usize| {
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let mut fields = query.split('&').filter_map(|field| field.split_once('='));
        fields.find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok()).unwrap_or(default)
    };
    let (size, page) = (number("per_page", 30), number("page", 1));
    json!(all.into_iter().skip(size * (page - 1)).take(size).collect::<Vec<_>>())
}

impl State {
    fn github(&mut self, method: &str, path: &str, target: &str, body: &Value, scopes: &[String]) -> (Answer, Ping) {
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

    fn set_status(
        &mut self,
        project: &str,
        sha: &str,
        context: String,
        state: String,
        description: String,
        link: String,
    ) -> Answer {
        let statuses = &mut self.projects.get_mut(project).expect("a project").statuses;
        let count = statuses.iter().filter(|(commit, status)| commit == sha && status.context == context).count();
        let known = ["pending", "success", "failure", "error", "running", "failed", "canceled"];
        if count >= STATUSES || !known.contains(&state.as_str()) || description.chars().count() > 140 {
            return Answer::new("422 Unprocessable Entity", json!({"message": "Validation Failed"}));
        }
        statuses.push((sha.to_owned(), Status { context, state, description, link }));
        Answer::new("201 Created", json!({"id": 1}))
    }

    fn github_hooks(
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

    fn gitlab(&mut self, method: &str, path: &str, target: &str, body: &Value, scopes: &[String]) -> (Answer, Ping) {
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

    fn gitlab_hooks(
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
