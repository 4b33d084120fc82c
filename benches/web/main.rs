//! Load on the web service: a steady stream of deliveries, while the queue server has other load; and the times of
//! refusals, which must not reveal anything.
//!
//! `APT_CI_BENCH_SECONDS=10 cargo bench --bench web` measures for ten seconds instead of a minute.

#![allow(clippy::disallowed_methods, reason = "services on this machine are asked, and no proxies are set")]
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

mod busy;
mod refusals;
mod stream;
#[path = "../worker/table.rs"]
#[expect(dead_code, reason = "other benchmarks use the rest of it")]
mod table;

use std::fs;

use apt_ci::forge::Forge;
use testkit::daemon::free_port;
use testkit::forge::FakeForge;
use testkit::rabbitmq::RabbitMq;
use testkit::site::{Running, TestSite, until};

/// The project of the hook.
const PROJECT: &str = "me/thing";
/// The secret of the hook.
const SECRET: &str = "the secret of the hook";

/// A running service with a hook.
struct WebFixture {
    site: TestSite,
    forge: FakeForge,
    service: Running,
    port: u16,
}

fn main() {
    testkit::set_program(env!("CARGO_BIN_EXE_apt-ci"));
    let _ = rustls::crypto::ring::default_provider().install_default();
    let rabbitmq = RabbitMq::start("");
    let scene = WebFixture::new(&rabbitmq);
    refusals::measure(&scene);
    stream::measure(&scene, &rabbitmq);
}

impl WebFixture {
    fn new(rabbitmq: &RabbitMq) -> Self {
        let forge = FakeForge::start(Forge::GitHub);
        forge.project(PROJECT);
        forge.token("status", &["repo:status"]);
        let site = TestSite::on(&rabbitmq.url(), "folder:results", Vec::new());
        let port = free_port();
        site.configure_further(&format!("\n[web]\nurl = \"http://127.0.0.1:{port}\"\nlisten = \"127.0.0.1:{port}\"\n"));
        let hook = format!(
            "[[hook]]\nforge = \"github\"\napi = \"{}\"\nproject = \"{PROJECT}\"\nrelease = \"{}\"\narchitectures = [\"amd64\"]\n\
             package = \"thing\"\nbuild-git = \"https://git.example/thing.git\"\n",
            forge.api(),
            site.release
        );
        fs::write(site.path().join("hooks.toml"), hook).expect("hooks.toml");
        for (kind, secret) in [("github-hook", SECRET), ("github-status", "octocat:status")] {
            let file = site.path().join(kind);
            fs::write(&file, secret).expect("a file");
            site.ok(&["credentials", "set", kind, PROJECT, "--file", file.to_str().expect("UTF-8")]);
        }
        let service = site.start(&["-q", "serve"]);
        until("the service listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { site, forge, service, port }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/webhooks/github", self.port)
    }

    /// Returns a field of `/proc/PID/status` in MiB: the service's peak memory (`VmHWM`) or its present one (`VmRSS`).
    fn memory(&self, field: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.service.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or_default() / 1024.0
    }
}

/// Returns the payload of a pull request, about 25 KB long, as GitHub's are.
fn payload(project: &str, number: u64) -> String {
    serde_json::json!({
        "action": "opened", "number": number,
        "pull_request": {
            "number": number, "state": "open", "head": {"sha": format!("{number:040x}")},
            "base": {"repo": {"clone_url": "https://github.com/me/thing.git"}},
            "body": "A change that is explained at length. ".repeat(650),
        },
        "repository": {"full_name": project},
    })
    .to_string()
}
