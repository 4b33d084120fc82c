//! A Swift of our own: one proxy, one account, container and object server, one device that is a folder, and a memcached.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use apt_ci::environment::Environment;
use apt_ci::store::swift::SwiftSettings;
use apt_ci::store::{Store, StoreUrl};

use super::daemon::{Daemon, free_port, http_status, run};
use super::keystone::Keystone;

/// How many rows a page of a listing has here: so few that most listings have several pages.
pub const PAGE: usize = 25;

/// How users of this Swift log in.
pub enum Auth<'a> {
    /// With a user and a key, at the proxy itself.
    TempAuth,
    /// At a Keystone, which gets this Swift into its catalog.
    Keystone(&'a Keystone),
}

/// A running Swift.
pub struct Swift {
    port: u16,
    folder: PathBuf,
    proxy: Option<Daemon>,
    memcached: Option<Daemon>,
    memcached_port: u16,
    environment: Vec<(String, String)>,
    account: String,
    _storage: Vec<Daemon>,
}

impl Swift {
    pub const USER: &str = "test:tester";
    pub const KEY: &str = "testing-key-2468";

    /// Starts one in this folder. It lists [`PAGE`] names at a time.
    pub fn start(folder: &Path, auth: &Auth<'_>) -> Self {
        Self::with_page(folder, auth, PAGE)
    }

    /// Starts one in this folder that lists so many names at a time.
    pub fn with_page(folder: &Path, auth: &Auth<'_>, page: usize) -> Self {
        fs::create_dir_all(folder.join("devices/sdb1")).expect("a folder for Swift");
        let [port, memcached_port, account, container, object] = [(); 5].map(|()| free_port());
        configure(folder, port, memcached_port, [account, container, object], auth, page);
        make_rings(folder, [account, container, object]);
        let (environment, account_name) = match auth {
            Auth::TempAuth => {
                let variables = [
                    ("ST_AUTH", format!("http://127.0.0.1:{port}/auth/v1.0")),
                    ("ST_USER", Self::USER.to_owned()),
                    ("ST_KEY", Self::KEY.to_owned()),
                ];
                (variables.map(|(name, value)| (name.to_owned(), value)).into(), "AUTH_test".to_owned())
            }
            Auth::Keystone(keystone) => (keystone.environment(), format!("AUTH_{}", keystone.project_id)),
        };
        let mut swift = Self {
            port,
            folder: folder.to_owned(),
            proxy: None,
            memcached: None,
            memcached_port,
            environment,
            account: account_name,
            _storage: Vec::new(),
        };
        swift.start_memcached();
        let servers = [("account", account), ("container", container), ("object", object)];
        let mut storage: Vec<(Daemon, u16)> =
            servers.into_iter().map(|(name, port)| (server(folder, name), port)).collect();
        swift.restart();
        for (daemon, port) in &mut storage {
            let port = *port;
            daemon.wait_until(|| http_status(port, "/healthcheck") == Some(200));
        }
        swift._storage = storage.into_iter().map(|(daemon, _)| daemon).collect();
        if let Auth::Keystone(keystone) = auth {
            keystone.publish_swift(port);
        }
        // The first login and the first request take seconds of Python's loading, which no story should wait for.
        swift.token();
        run(Command::new("swift").envs(swift.environment()).arg("stat"));
        swift
    }

    /// The URL of the account that the tests use.
    pub fn storage_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1/{}", self.port, self.account)
    }

    /// The proxy's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The variables with which its user logs in.
    pub fn environment(&self) -> Vec<(String, String)> {
        self.environment.clone()
    }

    /// The store as its user opens it: by the variables alone.
    pub fn store(&self) -> Store {
        self.open("swift:", &self.environment)
    }

    /// The store as somebody without any credentials opens it.
    pub fn anonymous(&self) -> Store {
        self.open(&format!("swift:{}", self.storage_url()), &[])
    }

    /// The store with other variables.
    pub fn open(&self, url: &str, variables: &[(String, String)]) -> Store {
        let url: StoreUrl = url.parse().expect("a store URL");
        let environment: Environment = variables.iter().cloned().collect();
        Store::open(&url, &SwiftSettings::default(), &environment).expect("complete settings")
    }

    /// A token of its user, got by OpenStack's own client.
    pub fn token(&self) -> String {
        token_of(&self.environment)
    }

    /// Stops the proxy: nobody answers any more. What is stored stays.
    pub fn stop(&mut self) {
        self.proxy = None;
    }

    /// Starts the proxy, again if need be.
    pub fn restart(&mut self) {
        self.proxy = None;
        let mut proxy = server(&self.folder, "proxy");
        let port = self.port;
        proxy.wait_until(|| http_status(port, "/healthcheck") == Some(200));
        self.proxy = Some(proxy);
    }

    /// Makes tempauth forget all tokens.
    pub fn forget_tokens(&mut self) {
        self.memcached = None;
        self.start_memcached();
    }

    fn start_memcached(&mut self) {
        let port = self.memcached_port;
        let user = run(Command::new("id").arg("-un"));
        let mut memcached = Daemon::start(
            "memcached",
            &self.folder,
            Command::new("memcached")
                .args(["-l", "127.0.0.1", "-m", "16", "-t", "1", "-u", user.trim()])
                .args(["-p", &port.to_string()]),
        );
        memcached.wait_until(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        self.memcached = Some(memcached);
    }
}

/// A token of the user whom these variables describe, got by OpenStack's own client.
pub fn token_of(variables: &[(String, String)]) -> String {
    let told = run(Command::new("swift").envs(variables.iter().cloned()).arg("auth"));
    let token = told.lines().find_map(|line| line.strip_prefix("export OS_AUTH_TOKEN="));
    token.unwrap_or_else(|| panic!("no token: {told}")).to_owned()
}

/// Starts one of Swift's servers. It reads swift.conf's limits from /etc/swift whatever its own settings say, so it is told
/// before it looks.
fn server(folder: &Path, name: &str) -> Daemon {
    let program = "import runpy, sys\n\
                   import swift.common.utils as utils\n\
                   utils.SWIFT_CONF_FILE = sys.argv.pop(1)\n\
                   sys.argv[0] = sys.argv.pop(1)\n\
                   runpy.run_path(sys.argv[0], run_name='__main__')";
    Daemon::start(
        &format!("swift-{name}"),
        folder,
        Command::new("/usr/bin/python3")
            .args(["-c", program])
            .arg(folder.join("swift.conf"))
            .arg(format!("/usr/bin/swift-{name}-server"))
            .arg(folder.join(format!("{name}.conf")))
            .arg("--verbose"),
    )
}

fn configure(folder: &Path, port: u16, memcached: u16, storage: [u16; 3], auth: &Auth<'_>, page: usize) {
    let here = folder.display();
    let write = |name: &str, text: String| fs::write(folder.join(name), text).expect("a configuration file");
    let user = run(Command::new("id").arg("-un"));
    // One process per server, and patience: a storage server that is slow, because the machine is, must not be left out of a listing for ever.
    // Servers with others beside them, and with daemons that make up for it, can be impatient.
    let common = |port: u16| {
        format!(
            "[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {port}\nworkers = 0\nuser = {}\nswift_dir = {here}\n\
             devices = {here}/devices\nmount_check = false\ndisable_fallocate = true\nlog_level = INFO\n\
             eventlet_debug = false\nconn_timeout = 30\nnode_timeout = 60\ncontainer_update_timeout = 60\n",
            user.trim()
        )
    };
    write(
        "swift.conf",
        format!(
            "[swift-hash]\nswift_hash_path_prefix = before\nswift_hash_path_suffix = after\n\
             [storage-policy:0]\nname = one\ndefault = yes\n\
             [swift-constraints]\ncontainer_listing_limit = {page}\naccount_listing_limit = {page}\n"
        ),
    );
    for (name, port) in ["account", "container", "object"].iter().zip(storage) {
        write(
            &format!("{name}.conf"),
            format!(
                "{}[pipeline:main]\npipeline = healthcheck {name}-server\n\
                 [app:{name}-server]\nuse = egg:swift#{name}\nrecon_cache_path = {here}\n\
                 [filter:healthcheck]\nuse = egg:swift#healthcheck\n",
                common(port)
            ),
        );
    }
    let (names, filters) = match auth {
        Auth::TempAuth => {
            let (account, user) = Swift::USER.split_once(':').expect("ACCOUNT:USER");
            let key = Swift::KEY;
            let users = format!("user_{account}_{user} = {key} .admin\nuser_{account}_reader = {key}\n");
            ("tempauth", format!("[filter:tempauth]\nuse = egg:swift#tempauth\n{users}"))
        }
        Auth::Keystone(keystone) => (
            "authtoken keystoneauth",
            format!(
                "[filter:authtoken]\n{}[filter:keystoneauth]\nuse = egg:swift#keystoneauth\n\
                 operator_roles = admin, {}\n",
                keystone.authtoken(),
                Keystone::ROLE
            ),
        ),
    };
    let plain: String = ["catch_errors", "gatekeeper", "healthcheck", "proxy_logging", "listing_formats", "bulk"]
        .iter()
        .chain(&["tempurl", "ratelimit", "copy", "slo", "dlo"])
        .map(|name| format!("[filter:{}]\nuse = egg:swift#{name}\n", name.replace("proxy_logging", "proxy-logging")))
        .collect();
    write(
        "proxy.conf",
        format!(
            "{}[pipeline:main]\npipeline = catch_errors gatekeeper healthcheck proxy-logging cache listing_formats bulk \
             tempurl ratelimit {names} copy slo dlo proxy-logging proxy-server\n\
             [app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\nerror_suppression_limit = 1000000\n\
             recoverable_node_timeout = 60\n\
             [filter:cache]\nuse = egg:swift#memcache\nmemcache_servers = 127.0.0.1:{memcached}\n\
             connect_timeout = 30\npool_timeout = 30\nio_timeout = 30\n{plain}{filters}",
            common(port)
        ),
    );
}

/// Makes the three rings in one go: the command line tool would take nine runs.
fn make_rings(folder: &Path, ports: [u16; 3]) {
    let program = "import sys\n\
                   from swift.common.ring import RingBuilder\n\
                   for name, port in zip(('account', 'container', 'object'), sys.argv[2:]):\n\
                   \x20   builder = RingBuilder(4, 1, 1)\n\
                   \x20   builder.add_dev({'region': 1, 'zone': 1, 'ip': '127.0.0.1', 'port': int(port), 'device': 'sdb1',\n\
                   \x20       'replication_ip': '127.0.0.1', 'replication_port': int(port), 'weight': 1, 'meta': ''})\n\
                   \x20   builder.rebalance()\n\
                   \x20   builder.get_ring().save('%s/%s.ring.gz' % (sys.argv[1], name))\n";
    let ports = ports.map(|port| port.to_string());
    run(Command::new("/usr/bin/python3").args(["-c", program]).arg(folder).args(ports));
}
