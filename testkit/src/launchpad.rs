//! A fake of Launchpad's API and of its key server, with the PPAs that a test puts there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use apt_ci::launchpad::LaunchpadSettings;
use serde_json::json;

use super::fake_server::{Exchange, FakeServer};

/// An archive as Launchpad knows it.
#[derive(Debug, Clone)]
pub struct KnownPpa {
    /// The fingerprint that the API names; none as long as nothing was published.
    pub fingerprint: Option<String>,
    /// What the API gives out as the key.
    pub key: String,
    /// Whether everybody may see it.
    pub public: bool,
}

/// The fake: API and key server on one port. It stops when it is dropped.
pub struct LaunchpadStandIn {
    server: FakeServer,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    ppas: BTreeMap<String, KnownPpa>,
    /// The key server's, by fingerprint.
    keys: BTreeMap<String, String>,
    /// Source packages of the primary archive: what `getPublishedSources` answers for each.
    published: BTreeMap<String, serde_json::Value>,
    away: Away,
    asked: Vec<String>,
}

/// What is out of order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Away {
    /// Nothing.
    #[default]
    Nothing,
    /// The API answers 503, for so many requests to come.
    Api(usize),
    /// API and key server answer 503.
    Everything,
}

impl LaunchpadStandIn {
    /// Starts it on a free port of the loopback interface. It knows nothing yet.
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = FakeServer::start(move |exchange| {
            let (status, headers, body) = locked(&shared).answer(&exchange);
            exchange.answer(status, &headers, &body);
        });
        Self { server, state }
    }

    /// The API's address, as `launchpad.api` of a site.
    pub fn api(&self) -> String {
        format!("{}/devel", self.server.url())
    }

    /// The key server's address, as `launchpad.keyserver` of a site.
    pub fn keyserver(&self) -> String {
        self.server.url()
    }

    /// Launchpad's settings that lead here; archives are at this address, public and private ones.
    pub fn settings(&self, archive: &str) -> LaunchpadSettings {
        let url = |text: &str| text.parse().expect("the address of a server");
        LaunchpadSettings {
            api: url(&self.api()),
            keyserver: url(&self.keyserver()),
            archive: url(archive),
            private_archive: url(archive),
            allows_plain_text: false,
        }
    }

    /// The section of `apt-ci.toml` that leads here.
    pub fn section(&self, archive: &str) -> String {
        let (api, keyserver) = (self.api(), self.keyserver());
        format!(
            "\n[launchpad]\napi = {api:?}\nkeyserver = {keyserver:?}\narchive = {archive:?}\nprivate-archive = {archive:?}\n"
        )
    }

    /// A public archive `OWNER/NAME` that is signed with this key.
    pub fn add(&self, ppa: &str, fingerprint: &str, key: &str) {
        self.put(ppa, KnownPpa { fingerprint: Some(fingerprint.to_owned()), key: key.to_owned(), public: true });
        self.add_key(fingerprint, key);
    }

    /// A private archive: the API hides it, and the key server has its key.
    pub fn add_private(&self, ppa: &str, fingerprint: &str, key: &str) {
        self.put(ppa, KnownPpa { fingerprint: Some(fingerprint.to_owned()), key: key.to_owned(), public: false });
        self.add_key(fingerprint, key);
    }

    /// An archive that is as wrong as a test needs it; it replaces the one of that name.
    pub fn put(&self, ppa: &str, known: KnownPpa) {
        locked(&self.state).ppas.insert(ppa.to_owned(), known);
    }

    /// What the key server gives out for a fingerprint.
    pub fn add_key(&self, fingerprint: &str, key: &str) {
        locked(&self.state).keys.insert(fingerprint.to_owned(), key.to_owned());
    }

    /// A version of a source package in the primary archive, in this pocket and with this status.
    pub fn publish(&self, package: &str, version: &str, pocket: &str, status: &str) {
        let mut state = locked(&self.state);
        let entries = state.published.entry(package.to_owned()).or_insert_with(|| json!([]));
        let entry = json!({"source_package_version": version, "pocket": pocket, "status": status});
        entries.as_array_mut().expect("a list").push(entry);
    }

    /// Puts servers out of order, or mends them.
    pub fn away(&self, away: Away) {
        locked(&self.state).away = away;
    }

    /// The paths, with their queries, that were asked for so far.
    pub fn asked(&self) -> Vec<String> {
        locked(&self.state).asked.clone()
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn answer(&mut self, exchange: &Exchange) -> (&'static str, String, String) {
        const JSON: &str = "Content-Type: application/json\r\n";
        let target = exchange.target.as_str();
        self.asked.push(target.to_owned());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let away = ("503 Service Unavailable", String::new(), "back soon".to_owned());
        let unknown = ("404 Not Found", String::new(), "Object: <x>, name: u'x'".to_owned());
        if path == "/pks/lookup" {
            if self.away == Away::Everything {
                return away;
            }
            let parameters: BTreeMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            let is = |name: &str, value: &str| parameters.get(name).is_some_and(|given| given == value);
            let wanted = parameters.get("search").and_then(|search| search.strip_prefix("0x"));
            let key =
                wanted.and_then(|wanted| self.keys.get(wanted)).filter(|_| is("op", "get") && is("options", "mr"));
            return match key {
                Some(key) => ("200 OK", "Content-Type: application/pgp-keys\r\n".to_owned(), key.clone()),
                None => unknown,
            };
        }
        match &mut self.away {
            Away::Everything => return away,
            Away::Api(left @ 1..) => {
                *left -= 1;
                return away;
            }
            Away::Api(0) | Away::Nothing => {}
        }
        if path == "/devel/ubuntu/+archive/primary" {
            let parameters: BTreeMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            let given = |name: &str| parameters.get(name).map(String::as_str).unwrap_or_default();
            let is_asked = given("ws.op") == "getPublishedSources" && given("exact_match") == "true";
            if !is_asked || !given("distro_series").contains("/devel/ubuntu/r") {
                return ("400 Bad Request", String::new(), "distro_series: No such object".to_owned());
            }
            let entries = self.published.get(given("source_name")).cloned().unwrap_or_else(|| json!([]));
            return ("200 OK", JSON.to_owned(), json!({"start": 0, "entries": entries}).to_string());
        }
        let known = path.strip_prefix("/devel/~").and_then(|rest| {
            let (owner, name) = rest.split_once("/+archive/ubuntu/")?;
            self.ppas.get(&format!("{owner}/{name}"))
        });
        match known {
            None => unknown,
            Some(ppa) if !ppa.public => {
                ("401 Unauthorized", String::new(), "(<Archive>, 'x', 'launchpad.View')".to_owned())
            }
            Some(ppa) if query.is_empty() => {
                let archive = json!({
                    "resource_type_link": format!("{path}#archive"),
                    "private": false,
                    "signing_key_fingerprint": ppa.fingerprint,
                });
                ("200 OK", JSON.to_owned(), archive.to_string())
            }
            Some(ppa) if query == "ws.op=getSigningKeyData" => ("200 OK", JSON.to_owned(), json!(ppa.key).to_string()),
            Some(_) => ("400 Bad Request", String::new(), "no such operation".to_owned()),
        }
    }
}
