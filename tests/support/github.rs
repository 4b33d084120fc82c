//! A stand-in of GitHub: its REST API, and the deliveries of its hooks.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::mem;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use sha1::Sha1;
use sha2::Sha256;
use url::form_urlencoded;
use uuid::Uuid;

use super::stand_in::{Exchange, StandIn};

/// How many statuses a commit can have in one context.
const STATUSES: usize = 1000;
/// How long a description may be, in characters.
const DESCRIPTION: usize = 140;
/// How many entries a page has unless told otherwise.
const PAGE: usize = 30;
/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The stand-in. It stops when it is dropped.
pub struct GitHubStandIn {
    server: StandIn,
    shared: Arc<Watched<State>>,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Its name, the same when it is sent again.
    pub guid: String,
    /// The hook's address.
    pub url: String,
    /// The HTTP status of the answer; 0 when there was none.
    pub status: u16,
    /// The answer's body.
    pub body: String,
}

#[derive(Default)]
struct State {
    gate: Gate,
    repositories: BTreeMap<String, Repository>,
    is_dropping: bool,
    last_id: u64,
    api: String,
    web: String,
}

#[derive(Default)]
struct Repository {
    id: u64,
    hooks: BTreeMap<u64, Hook>,
    pulls: BTreeMap<u64, Pull>,
    statuses: Vec<Status>,
}

struct Hook {
    active: bool,
    events: Vec<String>,
    config: Map<String, Value>,
    created: Timestamp,
    updated: Timestamp,
    sent: Vec<Sent>,
}

struct Pull {
    id: u64,
    sha: String,
    created: Timestamp,
    updated: Timestamp,
    closed: Option<Timestamp>,
}

struct Status {
    id: u64,
    sha: String,
    state: String,
    context: String,
    description: Value,
    target_url: Value,
    token: String,
    at: Timestamp,
}

/// What is to be sent to a hook.
struct Outgoing {
    repository: String,
    hook: u64,
    guid: String,
    event: String,
    payload: Value,
    is_again: bool,
}

/// What was sent to a hook.
struct Sent {
    id: u64,
    guid: String,
    event: String,
    payload: Value,
    is_again: bool,
    at: Timestamp,
    seconds: f64,
    url: String,
    headers: Value,
    answered: Option<Answered>,
}

impl GitHubStandIn {
    /// Starts it on a free port of the loopback interface. It knows nothing yet.
    pub fn start() -> Self {
        let shared = Arc::new(Watched::<State>::default());
        let serving = Arc::clone(&shared);
        let server = StandIn::start(move |exchange| serve(&serving, exchange));
        {
            let mut state = shared.lock();
            state.api = server.url();
            state.web = server.url().replacen("http:", "https:", 1);
        }
        Self { server, shared }
    }

    /// The API's address, without a slash at the end.
    pub fn api(&self) -> String {
        self.server.url()
    }

    /// Where people and git find its repositories, without a slash at the end.
    pub fn web(&self, base: &str) {
        base.clone_into(&mut self.shared.lock().web);
    }

    /// A public repository `OWNER/NAME`.
    pub fn add_repository(&self, name: &str) {
        let mut state = self.shared.lock();
        let id = state.next_id();
        state.repositories.insert(name.to_owned(), Repository { id, ..Repository::default() });
    }

    /// A token that is good for these scopes.
    pub fn add_token(&self, token: &str, scopes: &[&str]) {
        self.shared.lock().gate.add_token(token, scopes);
    }

    /// Makes a token good for nothing.
    pub fn revoke_token(&self, token: &str) {
        self.shared.lock().gate.tokens.remove(token);
    }

    /// Opens a pull request.
    pub fn open_pull(&self, repo: &str, number: u64, sha: &str) -> Vec<Delivered> {
        self.open_quietly(repo, number, sha);
        self.tell(repo, number, "opened")
    }

    /// Opens a pull request and tells nobody.
    pub fn open_quietly(&self, repo: &str, number: u64, sha: &str) {
        let mut state = self.shared.lock();
        let (id, now) = (state.next_id(), Timestamp::now());
        let pull = Pull { id, sha: sha.to_owned(), created: now, updated: now, closed: None };
        state.repository(repo).pulls.insert(number, pull);
    }

    /// Gives a pull request another commit.
    pub fn push_commit(&self, repo: &str, number: u64, sha: &str) -> Vec<Delivered> {
        let payload = {
            let mut state = self.shared.lock();
            let before = mem::replace(&mut state.changed_pull(repo, number).sha, sha.to_owned());
            let mut payload = state.pull_event(repo, number, "synchronize");
            payload["before"] = json!(before);
            payload["after"] = json!(sha);
            payload
        };
        self.deliver_raw(repo, "pull_request", payload)
    }

    /// Closes a pull request without merging it.
    pub fn close_pull(&self, repo: &str, number: u64) -> Vec<Delivered> {
        self.shared.lock().changed_pull(repo, number).closed = Some(Timestamp::now());
        self.tell(repo, number, "closed")
    }

    /// Opens a closed pull request again.
    pub fn reopen_pull(&self, repo: &str, number: u64) -> Vec<Delivered> {
        self.shared.lock().changed_pull(repo, number).closed = None;
        self.tell(repo, number, "reopened")
    }

    fn tell(&self, repo: &str, number: u64, action: &str) -> Vec<Delivered> {
        let payload = self.shared.lock().pull_event(repo, number, action);
        self.deliver_raw(repo, "pull_request", payload)
    }

    /// Sends any event to the hooks that listen to it, to all under the same name.
    pub fn deliver_raw(&self, repo: &str, event: &str, payload: Value) -> Vec<Delivered> {
        let outgoing = self.shared.lock().to_listeners(repo, event, &payload);
        self.deliver_all(outgoing)
    }

    /// Sends a delivery again to every hook that it was sent to.
    pub fn redeliver(&self, guid: &str) -> Vec<Delivered> {
        let outgoing = self.shared.lock().again(guid);
        self.deliver_all(outgoing)
    }

    fn deliver_all(&self, outgoing: Vec<Outgoing>) -> Vec<Delivered> {
        outgoing.into_iter().filter_map(|one| deliver(&self.shared, one)).collect()
    }

    /// A repository's hooks, as the API shows them.
    pub fn hooks(&self, repo: &str) -> Vec<Value> {
        self.shared.lock().shown_hooks(repo)
    }

    /// The secret of a hook; empty when it has none.
    pub fn secret_of(&self, repo: &str, hook: u64) -> String {
        self.shared.lock().repository(repo).hooks[&hook].setting("secret").to_owned()
    }

    /// The statuses of a commit in the order of their arrival: `state`, `context`, `description`, `target_url` and the
    /// `token` that set it.
    pub fn statuses(&self, repo: &str, sha: &str) -> Vec<Value> {
        self.shared.lock().seen(repo, sha)
    }

    /// The states that a commit had in a context, in order.
    pub fn states(&self, repo: &str, sha: &str, context: &str) -> Vec<String> {
        states(&self.statuses(repo, sha), context)
    }

    /// The contexts of a commit, in the order of their first statuses.
    pub fn contexts(&self, repo: &str, sha: &str) -> Vec<String> {
        contexts(&self.statuses(repo, sha))
    }

    /// Waits until so many statuses of a commit have arrived with this state.
    #[track_caller]
    pub fn wait_for_state(&self, repo: &str, sha: &str, state: &str, count: usize, patience: Duration) {
        self.shared.wait(patience, |known| enough(&known.seen(repo, sha), state, count));
    }

    /// What was asked so far, in order: `METHOD path`, and the query if there was one.
    pub fn requests(&self) -> Vec<String> {
        self.shared.lock().gate.requests.clone()
    }

    /// So many requests to come whose path begins so are answered with this status and these headers (each ends its line).
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

fn serve(shared: &Watched<State>, mut exchange: Exchange) {
    let asked = Asked::read(&mut exchange, &["bearer", "token"]);
    let (reply, outgoing) = shared.lock().answer(&asked).unwrap_or_else(|refusal| (refusal, None));
    if let Some(outgoing) = outgoing {
        deliver(shared, outgoing);
    }
    shared.tell();
    reply.send(exchange);
}

/// Sends something to a hook, and keeps what was answered. None when the hook is gone.
fn deliver(shared: &Watched<State>, outgoing: Outgoing) -> Option<Delivered> {
    let Outgoing { repository, hook: id, guid, event, payload, is_again } = outgoing;
    let (url, headers, body, is_dropped) = {
        let state = shared.lock();
        let of_repository = state.repositories.get(&repository)?;
        let hook = of_repository.hooks.get(&id)?;
        let (kind, body) = hook.body(&payload);
        let mut headers = vec![
            ("Accept", "*/*".to_owned()),
            ("Content-Type", kind.to_owned()),
            ("User-Agent", "GitHub-Hookshot/abc".to_owned()),
            ("X-GitHub-Delivery", guid.clone()),
            ("X-GitHub-Event", event.clone()),
            ("X-GitHub-Hook-ID", id.to_string()),
            ("X-GitHub-Hook-Installation-Target-ID", of_repository.id.to_string()),
            ("X-GitHub-Hook-Installation-Target-Type", "repository".to_owned()),
        ];
        headers.extend(hook.signatures(&body));
        (hook.setting("url").to_owned(), headers, body, state.is_dropping)
    };
    let (at, begin) = (Timestamp::now(), Instant::now());
    let answered = if is_dropped { None } else { post(&url, &headers, &body) };
    let seconds = begin.elapsed().as_secs_f64();
    let delivered = Delivered::new(&guid, &url, answered.as_ref());
    let headers = object(headers.iter().map(|(name, value)| (*name, value.as_str())));
    let mut state = shared.lock();
    let sent = Sent { id: state.next_id(), guid, event, payload, is_again, at, seconds, url, headers, answered };
    if let Some(hook) = state.repositories.get_mut(&repository).and_then(|found| found.hooks.get_mut(&id)) {
        hook.sent.push(sent);
    }
    Some(delivered)
}

/// A reply, and what is delivered before it is given; or a refusal.
type Answer = Result<(Reply, Option<Outgoing>), Reply>;

fn refusal(status: u16, message: &str) -> Reply {
    let body =
        json!({"message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string()});
    Reply::new(status, body)
}

fn not_found() -> Reply {
    refusal(404, "Not Found")
}

fn invalid(resource: &str, message: &str) -> Reply {
    let mut reply = refusal(422, "Validation Failed");
    reply.body["errors"] = json!([{"resource": resource, "code": "custom", "message": message}]);
    reply
}

impl State {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.get_mut(name).unwrap_or_else(|| panic!("{name} was not added"))
    }

    fn changed_pull(&mut self, repo: &str, number: u64) -> &mut Pull {
        let pull = self.repository(repo).pulls.get_mut(&number).expect("the pull request was opened");
        pull.updated = Timestamp::now();
        pull
    }

    fn to_listeners(&self, repo: &str, event: &str, payload: &Value) -> Vec<Outgoing> {
        let guid = Uuid::new_v4().to_string();
        let listening = self.repositories[repo].hooks.iter().filter(|(_, hook)| hook.listens_to(event));
        let outgoing = |(id, _): (&u64, &Hook)| Outgoing {
            repository: repo.to_owned(),
            hook: *id,
            guid: guid.clone(),
            event: event.to_owned(),
            payload: payload.clone(),
            is_again: false,
        };
        listening.map(outgoing).collect()
    }

    fn again(&self, guid: &str) -> Vec<Outgoing> {
        let mut outgoing = Vec::new();
        for (name, repository) in &self.repositories {
            for (id, hook) in &repository.hooks {
                outgoing.extend(hook.sent.iter().find(|sent| sent.guid == guid).map(|sent| sent.again(name, *id)));
            }
        }
        outgoing
    }

    fn seen(&self, repo: &str, sha: &str) -> Vec<Value> {
        let of_commit = self.repositories[repo].statuses.iter().filter(|status| status.sha == sha);
        let seen = of_commit.map(|status| {
            let Status { state, context, description, target_url, token, .. } = status;
            json!({"state": state, "context": context, "description": description, "target_url": target_url, "token": token})
        });
        seen.collect()
    }

    fn answer(&mut self, asked: &Asked) -> Answer {
        let scopes = self.gate.enter(asked, || refusal(401, "Bad credentials"))?;
        let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
        match (asked.method.as_str(), path.as_slice()) {
            ("GET", ["user"]) => {
                let scopes = scopes.ok_or_else(|| refusal(401, "Requires authentication"))?;
                let header = format!("X-OAuth-Scopes: {}\r\n", scopes.join(", "));
                Ok((Reply::new(200, self.person("octocat")).with(&header), None))
            }
            (_, ["repos", owner, name, rest @ ..]) => {
                let name = format!("{owner}/{name}");
                let known = self.repositories.keys().find(|known| known.eq_ignore_ascii_case(&name)).cloned();
                self.of_repository(&known.ok_or_else(not_found)?, rest, asked, scopes.as_deref())
            }
            _ => Err(not_found()),
        }
    }

    fn of_repository(&mut self, repo: &str, rest: &[&str], asked: &Asked, scopes: Option<&[String]>) -> Answer {
        let may = |wanted: &str| scopes.into_iter().flatten().any(|scope| scope == wanted || scope == "repo");
        let reply = match (asked.method.as_str(), rest) {
            // What may not be seen is not there.
            (_, ["hooks", rest @ ..]) if may("admin:repo_hook") => return self.of_hooks(repo, rest, asked),
            (_, ["hooks", ..]) => not_found(),
            ("GET", []) => Reply::new(200, self.shown_repository(repo)),
            ("GET", ["pulls"]) => self.pulls(repo, asked),
            ("GET", ["pulls", number]) => {
                let number = number.parse().map_err(|_| not_found())?;
                let is_known = self.repositories[repo].pulls.contains_key(&number);
                if is_known { Reply::new(200, self.shown_pull(repo, number)) } else { not_found() }
            }
            ("GET", ["commits", sha, "statuses"]) => {
                let of_commit = self.repositories[repo].statuses.iter().rev().filter(|status| status.sha == *sha);
                self.list(of_commit.map(|status| self.shown_status(repo, status)).collect(), asked)
            }
            ("GET", _) => not_found(),
            _ if scopes.is_none() => refusal(401, "Requires authentication"),
            ("POST", ["statuses", sha]) if may("repo:status") => self.set_status(repo, sha, asked)?,
            _ => not_found(),
        };
        Ok((reply, None))
    }

    fn list(&self, all: Vec<Value>, asked: &Asked) -> Reply {
        let page = Page::of(all, asked, PAGE);
        let link = |(relation, number): (&str, usize)| {
            let query = asked.query.iter().filter(|(name, _)| *name != "page");
            let query = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(query)
                .append_pair("page", &number.to_string())
                .finish();
            format!("<{}/{}?{query}>; rel=\"{relation}\"", self.api, asked.path.join("/"))
        };
        let mut relations = Vec::new();
        if page.number > 1 {
            relations.extend([("prev", page.number - 1), ("first", 1)]);
        }
        if page.number < page.last {
            relations.extend([("next", page.number + 1), ("last", page.last)]);
        }
        let links: Vec<String> = relations.into_iter().map(link).collect();
        let header = if links.is_empty() { String::new() } else { format!("Link: {}\r\n", links.join(", ")) };
        Reply::new(200, json!(page.items)).with(&header)
    }

    fn pulls(&self, repo: &str, asked: &Asked) -> Reply {
        let wanted = asked.parameter("state").unwrap_or("open");
        let is_wanted = |pull: &Pull| wanted == "all" || (wanted == "open") == pull.closed.is_none();
        let by_update = asked.parameter("sort") == Some("updated");
        let is_rising = asked.parameter("direction").map_or(by_update, |direction| direction == "asc");
        let pulls = self.repositories[repo].pulls.iter().filter(|(_, pull)| is_wanted(pull));
        let mut sorted: Vec<(Timestamp, u64)> =
            pulls.map(|(number, pull)| (if by_update { pull.updated } else { pull.created }, *number)).collect();
        sorted.sort_unstable();
        if !is_rising {
            sorted.reverse();
        }
        self.list(sorted.into_iter().map(|(_, number)| self.shown_pull(repo, number)).collect(), asked)
    }

    fn set_status(&mut self, repo: &str, sha: &str, asked: &Asked) -> Result<Reply, Reply> {
        let state = asked.body["state"].as_str().unwrap_or_default().to_owned();
        let context = asked.body["context"].as_str().unwrap_or("default").to_owned();
        let (description, target_url) = (asked.body["description"].clone(), asked.body["target_url"].clone());
        if !is_commit(sha) {
            return Err(refusal(422, &format!("No commit found for SHA: {sha}")));
        }
        if !["pending", "success", "failure", "error"].contains(&state.as_str()) {
            return Err(invalid("Status", "state is not included in the list"));
        }
        if description.as_str().is_some_and(|text| text.chars().count() > DESCRIPTION) {
            return Err(invalid("Status", "description is too long (maximum is 140 characters)"));
        }
        let is_same = |known: &&Status| known.sha == sha && known.context == context;
        if self.repository(repo).statuses.iter().filter(is_same).count() >= STATUSES {
            return Err(invalid("Status", "This SHA and context has reached the maximum number of statuses."));
        }
        let (id, sha, token) = (self.next_id(), sha.to_owned(), asked.token.clone().unwrap_or_default());
        let status = Status { id, sha, state, context, description, target_url, token, at: Timestamp::now() };
        let reply = Reply::new(201, self.shown_status(repo, &status));
        self.repository(repo).statuses.push(status);
        Ok(reply)
    }

    fn of_hooks(&mut self, repo: &str, rest: &[&str], asked: &Asked) -> Answer {
        let method = asked.method.as_str();
        let [id, rest @ ..] = rest else {
            return match method {
                "GET" => Ok((self.list(self.shown_hooks(repo), asked), None)),
                "POST" => self.create_hook(repo, asked),
                _ => Err(not_found()),
            };
        };
        let id: u64 = id.parse().map_err(|_| not_found())?;
        let hook = self.repository(repo).hooks.get_mut(&id).ok_or_else(not_found)?;
        let reply = match (method, rest) {
            ("GET", []) => Reply::new(200, self.shown_hook(repo, id)),
            ("GET", ["config"]) => Reply::new(200, hook.shown_config()),
            ("PATCH", []) => {
                self.change_hook(repo, id, &asked.body)?;
                Reply::new(200, self.shown_hook(repo, id))
            }
            ("PATCH", ["config"]) => {
                self.configure(repo, id, &asked.body, false)?;
                Reply::new(200, self.repositories[repo].hooks[&id].shown_config())
            }
            ("DELETE", []) => {
                self.repository(repo).hooks.remove(&id);
                Reply::new(204, Value::Null)
            }
            ("POST", ["pings"]) => return Ok((Reply::new(204, Value::Null), Some(self.ping(repo, id)))),
            ("GET", ["deliveries"]) => {
                let hook = &self.repositories[repo].hooks[&id];
                self.list(hook.sent.iter().rev().map(|sent| self.shown_delivery(repo, sent)).collect(), asked)
            }
            (_, ["deliveries", number, rest @ ..]) => {
                let hook = &self.repositories[repo].hooks[&id];
                let sent = hook.sent.iter().find(|sent| sent.id.to_string() == *number).ok_or_else(not_found)?;
                match (method, rest) {
                    ("GET", []) => Reply::new(200, self.whole_delivery(repo, sent)),
                    ("POST", ["attempts"]) => return Ok((Reply::new(202, json!({})), Some(sent.again(repo, id)))),
                    _ => not_found(),
                }
            }
            _ => not_found(),
        };
        Ok((reply, None))
    }

    fn create_hook(&mut self, repo: &str, asked: &Asked) -> Answer {
        let body = &asked.body;
        if body["name"].as_str().is_some_and(|name| name != "web") {
            return Err(invalid("Hook", "name must be web"));
        }
        let now = Timestamp::now();
        let mut hook = Hook {
            active: body["active"].as_bool().unwrap_or(true),
            events: strings(&body["events"]).unwrap_or_else(|| vec!["push".to_owned()]),
            config: Map::from_iter([
                ("content_type".to_owned(), json!("form")),
                ("insecure_ssl".to_owned(), json!("0")),
            ]),
            created: now,
            updated: now,
            sent: Vec::new(),
        };
        hook.merge(&body["config"]);
        self.check_address(repo, None, hook.setting("url"))?;
        let id = self.next_id();
        self.repository(repo).hooks.insert(id, hook);
        Ok((Reply::new(201, self.shown_hook(repo, id)), Some(self.ping(repo, id))))
    }

    fn check_address(&self, repo: &str, hook: Option<u64>, url: &str) -> Result<(), Reply> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(invalid("Hook", "Sorry, the URL host is not supported because it isn't reachable"));
        }
        let mut others = self.repositories[repo].hooks.iter().filter(|(id, _)| Some(**id) != hook);
        if others.any(|(_, other)| other.setting("url") == url) {
            return Err(invalid("Hook", "Hook already exists on this repository"));
        }
        Ok(())
    }

    fn change_hook(&mut self, repo: &str, id: u64, body: &Value) -> Result<(), Reply> {
        if body["config"].is_object() {
            // A configuration that comes without a secret takes the secret away.
            self.configure(repo, id, &body["config"], true)?;
        }
        let hook = self.hook(repo, id);
        hook.active = body["active"].as_bool().unwrap_or(hook.active);
        if let Some(events) = strings(&body["events"]) {
            hook.events = events;
        }
        hook.events.extend(strings(&body["add_events"]).unwrap_or_default());
        let removed = strings(&body["remove_events"]).unwrap_or_default();
        hook.events.retain(|event| !removed.contains(event));
        hook.updated = Timestamp::now();
        Ok(())
    }

    fn configure(&mut self, repo: &str, id: u64, config: &Value, is_whole: bool) -> Result<(), Reply> {
        if let Some(url) = config["url"].as_str() {
            self.check_address(repo, Some(id), url)?;
        }
        let hook = self.hook(repo, id);
        if is_whole {
            hook.config.remove("secret");
        }
        hook.merge(config);
        hook.updated = Timestamp::now();
        Ok(())
    }

    fn hook(&mut self, repo: &str, id: u64) -> &mut Hook {
        self.repository(repo).hooks.get_mut(&id).expect("the hook is there")
    }

    fn ping(&self, repo: &str, hook: u64) -> Outgoing {
        let payload = json!({
            "zen": "Design for failure.",
            "hook_id": hook,
            "hook": self.shown_hook(repo, hook),
            "repository": self.shown_repository(repo),
            "sender": self.person("octocat"),
        });
        let (guid, event) = (Uuid::new_v4().to_string(), "ping".to_owned());
        Outgoing { repository: repo.to_owned(), hook, guid, event, payload, is_again: false }
    }

    fn pull_event(&self, repo: &str, number: u64, action: &str) -> Value {
        json!({
            "action": action,
            "number": number,
            "pull_request": self.shown_pull(repo, number),
            "repository": self.shown_repository(repo),
            "sender": self.person("contributor"),
        })
    }

    fn shown_hooks(&self, repo: &str) -> Vec<Value> {
        self.repositories[repo].hooks.keys().map(|id| self.shown_hook(repo, *id)).collect()
    }

    fn shown_hook(&self, repo: &str, id: u64) -> Value {
        let hook = &self.repositories[repo].hooks[&id];
        let url = format!("{}/repos/{repo}/hooks/{id}", self.api);
        let last = match hook.sent.last() {
            None => json!({"code": null, "status": "unused", "message": null}),
            Some(sent) => json!({"code": sent.status(), "status": "active", "message": sent.outcome()}),
        };
        json!({
            "type": "Repository",
            "id": id,
            "name": "web",
            "active": hook.active,
            "events": hook.events,
            "config": hook.shown_config(),
            "created_at": time(hook.created),
            "updated_at": time(hook.updated),
            "url": url,
            "test_url": format!("{url}/test"),
            "ping_url": format!("{url}/pings"),
            "deliveries_url": format!("{url}/deliveries"),
            "last_response": last,
        })
    }

    fn shown_delivery(&self, repo: &str, sent: &Sent) -> Value {
        json!({
            "id": sent.id,
            "guid": sent.guid,
            "delivered_at": time(sent.at),
            "redelivery": sent.is_again,
            "duration": sent.seconds,
            "status": sent.outcome(),
            "status_code": sent.status(),
            "event": sent.event,
            "action": sent.payload["action"],
            "installation_id": null,
            "repository_id": self.repositories[repo].id,
            "throttled_at": null,
        })
    }

    fn whole_delivery(&self, repo: &str, sent: &Sent) -> Value {
        let mut whole = self.shown_delivery(repo, sent);
        whole["url"] = json!(sent.url);
        whole["request"] = json!({"headers": sent.headers, "payload": sent.payload});
        whole["response"] = match &sent.answered {
            None => json!({"headers": {}, "payload": ""}),
            Some(answered) => json!({"headers": answered.headers(), "payload": answered.body}),
        };
        whole
    }

    fn shown_status(&self, repo: &str, status: &Status) -> Value {
        let creator = self.person("octocat");
        json!({
            "url": format!("{}/repos/{repo}/statuses/{}", self.api, status.sha),
            "avatar_url": creator["avatar_url"],
            "id": status.id,
            "node_id": format!("SC_{}", status.id),
            "state": status.state,
            "description": status.description,
            "target_url": status.target_url,
            "context": status.context,
            "created_at": time(status.at),
            "updated_at": time(status.at),
            "creator": creator,
        })
    }

    fn shown_pull(&self, repo: &str, number: u64) -> Value {
        let repository = &self.repositories[repo];
        let pull = &repository.pulls[&number];
        let (owner, name) = repo.split_once('/').expect("OWNER/NAME");
        let fork = self.shown(&format!("contributor/{name}"), 1_000_000 + repository.id, true);
        let at_api = format!("{}/repos/{repo}", self.api);
        let (url, issue) = (format!("{at_api}/pulls/{number}"), format!("{at_api}/issues/{number}"));
        let page = format!("{}/{repo}/pull/{number}", self.web);
        let statuses = format!("{at_api}/statuses/{}", pull.sha);
        let branch = format!("change-{number}");
        let mut shown = json!({
            "url": url,
            "id": pull.id,
            "node_id": format!("PR_{}", pull.id),
            "html_url": page,
            "diff_url": format!("{page}.diff"),
            "patch_url": format!("{page}.patch"),
            "issue_url": issue,
            "commits_url": format!("{url}/commits"),
            "review_comments_url": format!("{url}/comments"),
            "comments_url": format!("{issue}/comments"),
            "statuses_url": statuses,
            "number": number,
            "state": if pull.closed.is_none() { "open" } else { "closed" },
            "locked": false,
            "title": format!("Change {number}"),
            "user": self.person("contributor"),
            "body": null,
            "created_at": time(pull.created),
            "updated_at": time(pull.updated),
            "closed_at": pull.closed.map(time),
            "merged_at": null,
            "merge_commit_sha": null,
            "assignees": [],
            "requested_reviewers": [],
            "labels": [],
            "draft": false,
            "author_association": "CONTRIBUTOR",
            "merged": false,
            "mergeable": null,
            "mergeable_state": "unknown",
            "maintainer_can_modify": true,
            "commits": 1,
            "changed_files": 1,
        });
        shown["head"] = json!({
            "label": format!("contributor:{branch}"),
            "ref": branch,
            "sha": pull.sha,
            "user": self.person("contributor"),
            "repo": fork,
        });
        shown["base"] = json!({
            "label": format!("{owner}:main"),
            "ref": "main",
            "sha": BASE,
            "user": self.person(owner),
            "repo": self.shown_repository(repo),
        });
        shown["_links"] = json!({
            "self": {"href": url},
            "html": {"href": page},
            "issue": {"href": issue},
            "comments": {"href": format!("{issue}/comments")},
            "review_comments": {"href": format!("{url}/comments")},
            "review_comment": {"href": format!("{at_api}/pulls/comments{{/number}}")},
            "commits": {"href": format!("{url}/commits")},
            "statuses": {"href": statuses},
        });
        shown
    }

    fn shown_repository(&self, repo: &str) -> Value {
        self.shown(repo, self.repositories[repo].id, false)
    }

    fn shown(&self, full_name: &str, id: u64, is_fork: bool) -> Value {
        let (owner, name) = full_name.split_once('/').expect("OWNER/NAME");
        let (url, page) = (format!("{}/repos/{full_name}", self.api), format!("{}/{full_name}", self.web));
        let host = self.web.trim_start_matches("https://");
        json!({
            "id": id,
            "node_id": format!("R_{id}"),
            "name": name,
            "full_name": full_name,
            "private": false,
            "owner": self.person(owner),
            "html_url": page,
            "description": null,
            "fork": is_fork,
            "url": url,
            "hooks_url": format!("{url}/hooks"),
            "pulls_url": format!("{url}/pulls{{/number}}"),
            "issues_url": format!("{url}/issues{{/number}}"),
            "commits_url": format!("{url}/commits{{/sha}}"),
            "statuses_url": format!("{url}/statuses/{{sha}}"),
            "branches_url": format!("{url}/branches{{/branch}}"),
            "created_at": "2020-01-01T00:00:00Z",
            "updated_at": "2020-01-01T00:00:00Z",
            "pushed_at": "2020-01-01T00:00:00Z",
            "git_url": format!("git://{host}/{full_name}.git"),
            "ssh_url": format!("git@{host}:{full_name}.git"),
            "clone_url": format!("{page}.git"),
            "svn_url": page,
            "has_issues": true,
            "archived": false,
            "disabled": false,
            "open_issues_count": 0,
            "topics": [],
            "visibility": "public",
            "default_branch": "main",
        })
    }

    fn person(&self, login: &str) -> Value {
        let url = format!("{}/users/{login}", self.api);
        json!({
            "login": login,
            "id": login.bytes().map(u64::from).sum::<u64>(),
            "node_id": format!("U_{login}"),
            "avatar_url": format!("{}/{login}.png", self.web),
            "gravatar_id": "",
            "url": url,
            "html_url": format!("{}/{login}", self.web),
            "followers_url": format!("{url}/followers"),
            "following_url": format!("{url}/following{{/other_user}}"),
            "gists_url": format!("{url}/gists{{/gist_id}}"),
            "starred_url": format!("{url}/starred{{/owner}}{{/repo}}"),
            "subscriptions_url": format!("{url}/subscriptions"),
            "organizations_url": format!("{url}/orgs"),
            "repos_url": format!("{url}/repos"),
            "events_url": format!("{url}/events{{/privacy}}"),
            "received_events_url": format!("{url}/received_events"),
            "type": "User",
            "site_admin": false,
        })
    }
}

impl Hook {
    fn setting(&self, name: &str) -> &str {
        self.config.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn listens_to(&self, event: &str) -> bool {
        self.active && self.events.iter().any(|known| known == event || known == "*")
    }

    /// Takes over what is given.
    fn merge(&mut self, config: &Value) {
        for name in ["url", "content_type", "insecure_ssl", "secret"] {
            let text = match &config[name] {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => continue,
            };
            self.config.insert(name.to_owned(), json!(text));
        }
    }

    fn shown_config(&self) -> Value {
        let mut config = self.config.clone();
        if let Some(secret) = config.get_mut("secret") {
            *secret = json!("********");
        }
        Value::Object(config)
    }

    /// The type of a delivery's body, and the body.
    fn body(&self, payload: &Value) -> (&'static str, String) {
        let text = payload.to_string();
        if self.setting("content_type") == "json" {
            return ("application/json", text);
        }
        let escaped: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        ("application/x-www-form-urlencoded", format!("payload={escaped}"))
    }

    fn signatures(&self, body: &str) -> Vec<(&'static str, String)> {
        let secret = self.setting("secret");
        if secret.is_empty() {
            return Vec::new();
        }
        vec![
            ("X-Hub-Signature", format!("sha1={}", code::<Hmac<Sha1>>(secret, body))),
            ("X-Hub-Signature-256", format!("sha256={}", code::<Hmac<Sha256>>(secret, body))),
        ]
    }
}

impl Sent {
    fn status(&self) -> u16 {
        self.answered.as_ref().map_or(0, |answered| answered.status)
    }

    fn outcome(&self) -> String {
        match self.status() {
            0 => "failed to connect to host".to_owned(),
            200..=299 => "OK".to_owned(),
            status => format!("Invalid HTTP Response: {status}"),
        }
    }

    fn again(&self, repository: &str, hook: u64) -> Outgoing {
        let (guid, event, payload) = (self.guid.clone(), self.event.clone(), self.payload.clone());
        Outgoing { repository: repository.to_owned(), hook, guid, event, payload, is_again: true }
    }
}

fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn strings(list: &Value) -> Option<Vec<String>> {
    let list = list.as_array()?;
    Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn code<M: Mac + KeyInit>(secret: &str, body: &str) -> String {
    let mut mac = <M as KeyInit>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of every length");
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The commit that every change starts from.
pub(super) const BASE: &str = "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0";

/// Whether this can be a commit's id.
pub(super) fn is_commit(sha: &str) -> bool {
    sha.len() == 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The states of a context, of statuses that have `context` and `state`.
pub(super) fn states(statuses: &[Value], context: &str) -> Vec<String> {
    let of_context = statuses.iter().filter(|status| status["context"] == context);
    of_context.filter_map(|status| status["state"].as_str()).map(str::to_owned).collect()
}

/// The contexts of such statuses.
pub(super) fn contexts(statuses: &[Value]) -> Vec<String> {
    let mut contexts: Vec<String> = Vec::new();
    for context in statuses.iter().filter_map(|status| status["context"].as_str()) {
        if contexts.iter().all(|known| known != context) {
            contexts.push(context.to_owned());
        }
    }
    contexts
}

/// Whether so many of such statuses have this state; if not, what there is instead.
pub(super) fn enough(statuses: &[Value], state: &str, count: usize) -> Result<(), String> {
    let found = statuses.iter().filter(|status| status["state"] == state).count();
    if found >= count { Ok(()) } else { Err(format!("{found} of {count} are {state}: {statuses:#?}")) }
}

/// A state that others wait for.
#[derive(Default)]
pub(super) struct Watched<S> {
    state: Mutex<S>,
    changed: Condvar,
}

impl<S> Watched<S> {
    pub(super) fn lock(&self) -> MutexGuard<'_, S> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who wait that something may have changed.
    pub(super) fn tell(&self) {
        self.changed.notify_all();
    }

    /// Waits until `look` is content. It says what is wrong otherwise.
    #[track_caller]
    pub(super) fn wait(&self, patience: Duration, look: impl Fn(&S) -> Result<(), String>) {
        let end = Instant::now() + patience;
        let mut state = self.lock();
        while let Err(seen) = look(&state) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "after {patience:?}, {seen}");
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Who may come in, what goes wrong on the way, and what was asked.
#[derive(Default)]
pub(super) struct Gate {
    pub(super) tokens: BTreeMap<String, Vec<String>>,
    pub(super) is_away: bool,
    pub(super) requests: Vec<String>,
    faults: Vec<Fault>,
}

struct Fault {
    method: String,
    path: String,
    status: u16,
    left: usize,
    headers: String,
}

impl Gate {
    pub(super) fn add_token(&mut self, token: &str, scopes: &[&str]) {
        self.tokens.insert(token.to_owned(), scopes.iter().map(|scope| (*scope).to_owned()).collect());
    }

    pub(super) fn fail_next(&mut self, method: &str, path: &str, status: u16, times: usize, headers: &str) {
        let (method, path, headers) = (method.to_owned(), path.to_owned(), headers.to_owned());
        self.faults.push(Fault { method, path, status, left: times, headers });
    }

    /// Notes a request. Gives the scopes of its token, or none when it has no token; `unknown` answers a token that is not good.
    pub(super) fn enter(
        &mut self,
        asked: &Asked,
        unknown: impl FnOnce() -> Reply,
    ) -> Result<Option<Vec<String>>, Reply> {
        self.requests.push(format!("{} {}", asked.method, asked.target));
        let refused = |status: u16| Reply::new(status, json!({"message": reason(status)}));
        if self.is_away {
            return Err(refused(503));
        }
        let is_hit = |fault: &&mut Fault| {
            fault.left > 0 && fault.method == asked.method && asked.target.starts_with(&fault.path)
        };
        if let Some(fault) = self.faults.iter_mut().find(is_hit) {
            fault.left -= 1;
            return Err(refused(fault.status).with(&fault.headers));
        }
        if !asked.is_readable {
            return Err(Reply::new(400, json!({"message": "Problems parsing JSON"})));
        }
        let Some(token) = &asked.token else { return Ok(None) };
        self.tokens.get(token).cloned().map(Some).ok_or_else(unknown)
    }
}

/// A request that was read.
pub(super) struct Asked {
    pub(super) method: String,
    /// Path and query, as they came.
    pub(super) target: String,
    /// The parts of the path, decoded.
    pub(super) path: Vec<String>,
    pub(super) query: BTreeMap<String, String>,
    /// The body; null when there is none.
    pub(super) body: Value,
    pub(super) token: Option<String>,
    is_readable: bool,
}

impl Asked {
    /// Reads a request whose token comes in one of these schemes.
    pub(super) fn read(exchange: &mut Exchange, schemes: &[&str]) -> Self {
        let length = exchange.length();
        let bytes = exchange.read(length);
        let body = if bytes.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&bytes) };
        let (path, query) = exchange.target.split_once('?').unwrap_or((&exchange.target, ""));
        let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let is_scheme = |scheme: &str| schemes.iter().any(|known| scheme.eq_ignore_ascii_case(known));
        let token = exchange.header("authorization").map(|header| match header.split_once(' ') {
            Some((scheme, token)) if is_scheme(scheme) => token.to_owned(),
            _ => String::new(),
        });
        Self {
            method: exchange.method.clone(),
            target: exchange.target.clone(),
            path: path.trim_matches('/').split('/').map(decoded).collect(),
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            is_readable: body.is_ok(),
            body: body.unwrap_or_default(),
            token,
        }
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }
}

/// What a request is answered with.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: String,
    /// The body; null is none.
    pub(super) body: Value,
}

impl Reply {
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self { status, headers: String::new(), body }
    }

    /// Adds headers, each of which ends its line.
    pub(super) fn with(mut self, headers: &str) -> Self {
        self.headers.push_str(headers);
        self
    }

    pub(super) fn send(self, exchange: Exchange) {
        let body = if self.body.is_null() { String::new() } else { self.body.to_string() };
        let headers = format!("Content-Type: application/json; charset=utf-8\r\n{}", self.headers);
        exchange.answer(&format!("{} {}", self.status, reason(self.status)), &headers, &body);
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unknown",
    }
}

/// A part of a list.
pub(super) struct Page {
    pub(super) items: Vec<Value>,
    /// Which page it is, counted from 1.
    pub(super) number: usize,
    /// How many entries a page has.
    pub(super) size: usize,
    /// The number of the last page.
    pub(super) last: usize,
    /// How many entries there are on all pages.
    pub(super) total: usize,
}

impl Page {
    /// The page that is asked for, of this size unless told otherwise.
    pub(super) fn of(all: Vec<Value>, asked: &Asked, size: usize) -> Self {
        let given = |name: &str| asked.parameter(name)?.parse().ok().filter(|number| *number > 0);
        let (number, size, total) = (given("page").unwrap_or(1), given("per_page").unwrap_or(size).min(100), all.len());
        let items = all.into_iter().skip((number - 1) * size).take(size).collect();
        Self { items, number, size, last: total.div_ceil(size).max(1), total }
    }
}

impl Delivered {
    pub(super) fn new(guid: &str, url: &str, answered: Option<&Answered>) -> Self {
        let (status, body) = answered.map_or((0, String::new()), |answered| (answered.status, answered.body.clone()));
        Self { guid: guid.to_owned(), url: url.to_owned(), status, body }
    }
}

/// What a receiver answered.
#[derive(Clone)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) body: String,
    headers: Vec<(String, String)>,
}

impl Answered {
    fn read(mut stream: impl BufRead) -> Option<Self> {
        let mut line = || -> Option<String> {
            let mut line = String::new();
            (stream.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
        };
        let status = line()?.split(' ').nth(1)?.parse().ok()?;
        let mut headers = Vec::new();
        loop {
            let header = line()?;
            let Some((name, value)) = header.split_once(':') else { break };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let mut body = Vec::new();
        if let Some((_, length)) = length {
            body.resize(length.parse().ok()?, 0);
            stream.read_exact(&mut body).ok()?;
        } else {
            stream.read_to_end(&mut body).ok()?;
        }
        Some(Self { status, body: String::from_utf8_lossy(&body).into_owned(), headers })
    }

    /// The headers as an object.
    pub(super) fn headers(&self) -> Value {
        object(self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

/// Headers as an object.
pub(super) fn object<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    Value::Object(headers.map(|(name, value)| (name.to_owned(), json!(value))).collect())
}

/// Posts over a connection of its own. None when there is no whole answer.
pub(super) fn post(url: &str, headers: &[(&str, String)], body: &str) -> Option<Answered> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = host.to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let request = format!(
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    // Who refuses need not have read everything.
    let _ = stream.write_all(request.as_bytes());
    Answered::read(BufReader::new(stream))
}
