//! A fake GitHub or GitLab: projects with hooks, pull requests and statuses, and deliveries to whoever listens.

use std::collections::BTreeMap;
pub mod deliver;
mod github;
mod gitlab;

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use apt_ci::forge::Forge;
use serde_json::{Value, json};

use super::fake_server::{Exchange, FakeServer};

/// How many statuses GitHub takes for a commit and context.
const STATUSES: usize = 1000;
/// Timeout for a receiver's answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The fake forge. It stops when it is dropped.
pub struct FakeForge {
    forge: Forge,
    server: FakeServer,
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
    /// When the last pull request changed, in seconds since 1970.
    clock: i64,
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

impl FakeForge {
    /// Starts it on a free port. It knows nothing yet.
    pub fn start(forge: Forge) -> Self {
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        let server = FakeServer::start(move |exchange| answer(forge, &serving, exchange));
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
        // In whole seconds, as forges tell it, and each later than what was before.
        state.clock = jiff::Timestamp::now().as_second().max(state.clock + 1);
        let updated = jiff::Timestamp::from_second(state.clock).expect("a time").to_string();
        let pulls = &mut state.projects.get_mut(project).expect("a project").pulls;
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
        let end = Instant::now() + super::site::WAIT_TIMEOUT;
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
}
