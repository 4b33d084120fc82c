//! A Keystone of our own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::block_on;
use super::daemon::{Daemon, free_port, http_status, run};
use super::site::until;

/// The password of `admin`, who may do everything.
const ADMIN_PASSWORD: &str = "admin-password";

/// Serves Keystone on the port that is its only argument. Keystone 30 ships no server program, and releases before 26 name the
/// application differently. A connection that says nothing must not hold up the others, nor may more than the usual five wait.
const SERVER: &str = r#"
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server
port = int(sys.argv.pop(1))
try:
    from keystone.wsgi.api import application
except ImportError:
    from keystone.server.wsgi import initialize_public_application
    application = initialize_public_application()


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128

make_server("127.0.0.1", port, application, server_class=Server).serve_forever()
"#;

/// A running Keystone with a user for the tests.
pub struct Keystone {
    port: u16,
    /// The project whose account the tests use.
    pub project_id: String,
    role_id: String,
    user_id: String,
    _server: Daemon,
}

impl Keystone {
    pub const USER: &str = "worker";
    pub const PASSWORD: &str = "worker-password-7531";
    pub const PROJECT: &str = "ci";
    /// A role that makes its holders owners of their project's Swift account.
    pub const ROLE: &str = "swiftoperator";

    /// Starts one in this folder.
    pub fn start(folder: &Path) -> Self {
        fs::create_dir_all(folder).expect("a folder for Keystone");
        let port = free_port();
        let conf = configure(folder);
        let manage = |arguments: &[&str]| {
            run(Command::new("keystone-manage").arg("--config-file").arg(&conf).args(arguments));
        };
        thread::scope(|scope| {
            // Each takes seconds to load, and none needs another.
            for setup in ["fernet_setup", "credential_setup"] {
                let user = run(Command::new("id").arg("-un"));
                let group = run(Command::new("id").arg("-gn"));
                scope.spawn(move || {
                    manage(&[setup, "--keystone-user", user.trim(), "--keystone-group", group.trim()]);
                });
            }
            manage(&["db_sync"]);
        });
        let url = format!("http://127.0.0.1:{port}/v3");
        manage(&[
            "bootstrap",
            "--bootstrap-password",
            ADMIN_PASSWORD,
            "--bootstrap-region-id",
            "RegionOne",
            "--bootstrap-public-url",
            &url,
        ]);
        // Without a write-ahead log the first writes meet "database is locked".
        let database = rusqlite::Connection::open(folder.join("keystone.db")).expect("Keystone's database");
        database.pragma_update(None, "journal_mode", "WAL").expect("a write-ahead log");
        drop(database);
        let mut server = Daemon::start(
            "keystone",
            folder,
            Command::new("/usr/bin/python3")
                .args(["-c", SERVER, &port.to_string()])
                .env("OS_KEYSTONE_CONFIG_FILES", &conf),
        );
        server.wait_until(|| http_status(port, "/v3") == Some(200));

        let [project_id, role_id, user_id] = [(); 3].map(|()| String::new());
        let mut keystone = Self { port, project_id, role_id, user_id, _server: server };
        keystone.populate();
        keystone
    }

    /// Where to log in, without a version.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The variables with which the user for the tests logs in.
    pub fn environment(&self) -> Vec<(String, String)> {
        self.environment_of(Self::USER)
    }

    fn environment_of(&self, user: &str) -> Vec<(String, String)> {
        [
            ("OS_AUTH_URL", self.url().as_str()),
            ("OS_IDENTITY_API_VERSION", "3"),
            ("OS_USERNAME", user),
            ("OS_PASSWORD", Self::PASSWORD),
            ("OS_USER_DOMAIN_NAME", "Default"),
            ("OS_PROJECT_NAME", Self::PROJECT),
            ("OS_PROJECT_DOMAIN_NAME", "Default"),
            ("OS_REGION_NAME", "RegionOne"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// What Swift's proxy needs to ask this Keystone about tokens.
    pub fn authtoken(&self) -> String {
        // Tokens are remembered for a few seconds only: a revoked one must be seen to be revoked.
        format!(
            "paste.filter_factory = keystonemiddleware.auth_token:filter_factory\n\
             www_authenticate_uri = {url}\nauth_url = {url}\nauth_type = password\n\
             project_domain_id = default\nuser_domain_id = default\nproject_name = admin\n\
             username = admin\npassword = {ADMIN_PASSWORD}\n\
             interface = public\ndelay_auth_decision = True\ncache = swift.cache\ntoken_cache_time = 3\n",
            url = self.url()
        )
    }

    /// Puts Swift's proxy into the catalog.
    pub fn publish_swift(&self, proxy_port: u16) {
        block_on(async {
            let token = self.admin().await;
            let service = json!({"service": {"type": "object-store", "name": "swift"}});
            let service = self.make(&token, "service", service).await;
            let endpoint = json!({"endpoint": {
                "service_id": service,
                "interface": "public",
                "region_id": "RegionOne",
                "url": format!("http://127.0.0.1:{proxy_port}/v1/AUTH_%(tenant_id)s"),
            }});
            self.make(&token, "endpoint", endpoint).await;
        });
    }

    /// Makes an application credential of the user for the tests: its id and its secret.
    pub fn application_credential(&self, name: &str) -> (String, String) {
        let path = format!("/users/{}/application_credentials", self.user_id);
        let mut made = Value::Null;
        // A thread of Keystone may not have read yet which role another one has just given the user.
        until("Keystone knows the user's role", || {
            block_on(async {
                let token = self.log_in(Self::USER, Self::PASSWORD, Self::PROJECT).await;
                let wanted = json!({"application_credential": {"name": name, "roles": [{"id": self.role_id}]}});
                let (status, _, text) = self.ask(Method::POST, &path, Some(&token), wanted).await;
                let is_unknown = status == StatusCode::BAD_REQUEST && text.contains("unassigned role");
                assert!(is_unknown || status.is_success(), "POST {path}: {status} {text}");
                made = serde_json::from_str(&text).unwrap_or_default();
                !is_unknown
            })
        });
        let text = |key: &str| made["application_credential"][key].as_str().expect("a credential").to_owned();
        (text("id"), text("secret"))
    }

    /// Adds another user to the project of the tests, whose tokens can be ended without disturbing others: its id, and the
    /// variables with which it logs in.
    pub fn add_user(&self, name: &str) -> (String, Vec<(String, String)>) {
        let user = block_on(async {
            let token = self.admin().await;
            let wanted = json!({"user": {"name": name, "domain_id": "default", "password": Self::PASSWORD}});
            let user = self.make(&token, "user", wanted).await;
            let grant = format!("/projects/{}/users/{user}/roles/{}", self.project_id, self.role_id);
            self.call(Method::PUT, &grant, Some(&token), Value::Null).await;
            user
        });
        (user, self.environment_of(name))
    }

    /// Adds a user who may do nothing with the account of the tests but what a container lets its name do: the variables with which
    /// it logs in.
    pub fn add_guest(&self, name: &str) -> Vec<(String, String)> {
        block_on(async {
            let token = self.admin().await;
            let wanted = json!({"user": {"name": name, "domain_id": "default", "password": Self::PASSWORD}});
            let user = self.make(&token, "user", wanted).await;
            // Who has no role in a project gets no token for it.
            let role = self.make(&token, "role", json!({"role": {"name": format!("guest-{name}")}})).await;
            let grant = format!("/projects/{}/users/{user}/roles/{role}", self.project_id);
            self.call(Method::PUT, &grant, Some(&token), Value::Null).await;
        });
        self.environment_of(name)
    }

    /// Ends all tokens of the user with this id. The password stays.
    pub fn revoke_tokens(&self, user_id: &str) {
        block_on(async {
            let token = self.admin().await;
            let password = json!({"user": {"password": Self::PASSWORD}});
            self.call(Method::PATCH, &format!("/users/{user_id}"), Some(&token), password).await;
        });
    }

    fn populate(&mut self) {
        (self.project_id, self.role_id) = block_on(async {
            let token = self.admin().await;
            let project = json!({"project": {"name": Self::PROJECT, "domain_id": "default"}});
            let role = json!({"role": {"name": Self::ROLE}});
            (self.make(&token, "project", project).await, self.make(&token, "role", role).await)
        });
        (self.user_id, _) = self.add_user(Self::USER);
    }

    /// Makes something, and returns its id.
    async fn make(&self, token: &str, kind: &str, wanted: Value) -> String {
        let (_, made) = self.call(Method::POST, &format!("/{kind}s"), Some(token), wanted).await;
        made[kind]["id"].as_str().expect("an id").to_owned()
    }

    async fn admin(&self) -> String {
        self.log_in("admin", ADMIN_PASSWORD, "admin").await
    }

    async fn log_in(&self, user: &str, password: &str, project: &str) -> String {
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user":
                {"name": user, "domain": {"id": "default"}, "password": password}}},
            "scope": {"project": {"name": project, "domain": {"id": "default"}}},
        }});
        self.call(Method::POST, "/auth/tokens", None, body).await.0
    }

    /// One call of Keystone's API: the token in the answer's header, and its body.
    async fn call(&self, method: Method, path: &str, token: Option<&str>, body: Value) -> (String, Value) {
        let (status, token, text) = self.ask(method.clone(), path, token, body).await;
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        (token, serde_json::from_str(&text).unwrap_or_default())
    }

    /// One call of Keystone's API, which may be refused: the status, the token in the answer's header, and its body.
    async fn ask(&self, method: Method, path: &str, token: Option<&str>, body: Value) -> (StatusCode, String, String) {
        let mut request = reqwest::Client::new().request(method, format!("{}/v3{path}", self.url()));
        if let Some(token) = token {
            request = request.header("x-auth-token", token);
        }
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.expect("Keystone answers");
        let status = response.status();
        let token = response.headers().get("x-subject-token").map(|token| token.to_str().expect("ASCII").to_owned());
        let text = response.text().await.expect("a whole answer");
        (status, token.unwrap_or_default(), text)
    }
}

/// Writes keystone.conf.
fn configure(folder: &Path) -> PathBuf {
    let conf = folder.join("keystone.conf");
    let here = folder.display();
    // Cheap password hashes: nobody attacks them, and every login pays for them.
    let text = format!(
        "[DEFAULT]\nlog_file = {here}/server.log\n\
         [database]\nconnection = sqlite:///{here}/keystone.db\n\
         [fernet_tokens]\nkey_repository = {here}/fernet\n\
         [credential]\nkey_repository = {here}/credential\n\
         [token]\nprovider = fernet\n\
         [cache]\nenabled = false\n\
         [identity]\npassword_hash_rounds = 4\n"
    );
    fs::write(&conf, text).expect("keystone.conf can be written");
    conf
}
