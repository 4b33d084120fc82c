//! A Keystone of our own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use reqwest::Method;
use serde_json::{Value, json};

use super::block_on;
use super::daemon::{Daemon, free_port, http_status, run};

/// The password of `admin`, who may do everything.
const ADMIN_PASSWORD: &str = "admin-password";

/// A running Keystone with a user for the tests.
pub struct Keystone {
    port: u16,
    /// The project whose account the tests use.
    pub project_id: String,
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
            Command::new("keystone-wsgi-public")
                .args(["-b", "127.0.0.1", "-p", &port.to_string()])
                .env("OS_KEYSTONE_CONFIG_FILES", &conf),
        );
        server.wait_until(|| http_status(port, "/v3") == Some(200));

        let mut keystone = Self { port, project_id: String::new(), user_id: String::new(), _server: server };
        let (project_id, user_id) = block_on(keystone.populate());
        keystone.project_id = project_id;
        keystone.user_id = user_id;
        keystone
    }

    /// Where to log in, without a version.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The variables with which the user for the tests logs in.
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("OS_AUTH_URL", self.url().as_str()),
            ("OS_IDENTITY_API_VERSION", "3"),
            ("OS_USERNAME", Self::USER),
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
        // Tokens are remembered for a second only: a revoked one must be seen to be revoked.
        format!(
            "paste.filter_factory = keystonemiddleware.auth_token:filter_factory\n\
             www_authenticate_uri = {url}\nauth_url = {url}\nauth_type = password\n\
             project_domain_id = default\nuser_domain_id = default\nproject_name = admin\n\
             username = admin\npassword = {ADMIN_PASSWORD}\n\
             interface = public\ndelay_auth_decision = True\ncache = swift.cache\ntoken_cache_time = 1\n",
            url = self.url()
        )
    }

    /// Puts Swift's proxy into the catalog.
    pub fn publish_swift(&self, proxy_port: u16) {
        block_on(async {
            let token = self.admin().await;
            let service = json!({"service": {"type": "object-store", "name": "swift"}});
            let (_, service) = self.call(Method::POST, "/services", Some(&token), service).await;
            let endpoint = json!({"endpoint": {
                "service_id": service["service"]["id"],
                "interface": "public",
                "region_id": "RegionOne",
                "url": format!("http://127.0.0.1:{proxy_port}/v1/AUTH_%(tenant_id)s"),
            }});
            self.call(Method::POST, "/endpoints", Some(&token), endpoint).await;
        });
    }

    /// Makes an application credential of the user for the tests: its id and its secret.
    pub fn application_credential(&self, name: &str) -> (String, String) {
        block_on(async {
            let token = self.log_in(Self::USER, Self::PASSWORD, Self::PROJECT).await;
            let path = format!("/users/{}/application_credentials", self.user_id);
            let wanted = json!({"application_credential": {"name": name, "roles": [{"name": Self::ROLE}]}});
            let (_, made) = self.call(Method::POST, &path, Some(&token), wanted).await;
            let text = |key: &str| made["application_credential"][key].as_str().expect("a credential").to_owned();
            (text("id"), text("secret"))
        })
    }

    /// Ends all tokens of the user for the tests. The password stays.
    pub fn revoke_tokens(&self) {
        block_on(async {
            let token = self.admin().await;
            let password = json!({"user": {"password": Self::PASSWORD}});
            self.call(Method::PATCH, &format!("/users/{}", self.user_id), Some(&token), password).await;
        });
    }

    async fn populate(&self) -> (String, String) {
        let token = self.admin().await;
        let id = |kind: &str, made: &Value| made[kind]["id"].as_str().expect("an id").to_owned();
        let wanted = json!({"project": {"name": Self::PROJECT, "domain_id": "default"}});
        let (_, project) = self.call(Method::POST, "/projects", Some(&token), wanted).await;
        let wanted = json!({"user": {"name": Self::USER, "domain_id": "default", "password": Self::PASSWORD}});
        let (_, user) = self.call(Method::POST, "/users", Some(&token), wanted).await;
        let (_, role) = self.call(Method::POST, "/roles", Some(&token), json!({"role": {"name": Self::ROLE}})).await;
        let (project, user, role) = (id("project", &project), id("user", &user), id("role", &role));
        let grant = format!("/projects/{project}/users/{user}/roles/{role}");
        self.call(Method::PUT, &grant, Some(&token), Value::Null).await;
        (project, user)
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
        let mut request = reqwest::Client::new().request(method.clone(), format!("{}/v3{path}", self.url()));
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
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        (token.unwrap_or_default(), serde_json::from_str(&text).unwrap_or_default())
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
