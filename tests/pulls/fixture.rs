//! A forge with a project, and a site whose web service takes what it sends.

use std::fs;

use apt_ci::forge::Forge;
use serde_json::Value;
use testkit::daemon::free_port;
use testkit::forge::FakeForge;
use testkit::site::{Finished, Running, TestSite, until};

use crate::credentials::with_input;

/// The project's name.
pub const PROJECT: &str = "me/thing";

/// git, except that branches of git.example, which is nowhere, and of the fake forge are there.
pub const GIT: &str = r#"#!/bin/sh
for word; do
    case "$previous" in -C) folder=$word ;; esac
    case "$word" in https://git.example/* | https://127.0.0.1:*) is_nowhere=1 ;; esac
    previous=$word
done
if [ -n "$is_nowhere" ]; then mkdir -p "$previous" && : > "$previous/.nowhere"; exit; fi
[ ! -e "$folder/.nowhere" ] || exit 0
PATH=${PATH#*:} exec git "$@"
"#;

/// A site with its service, and a forge. The service is killed at its end.
pub struct PullFixture {
    pub site: TestSite,
    pub forge: FakeForge,
    pub kind: Forge,
    pub port: u16,
    pub service: Option<Running>,
}

/// A commit's id, made of one digit.
pub fn commit(digit: char) -> String {
    digit.to_string().repeat(40)
}

impl PullFixture {
    /// A site whose service runs, and a project without hooks. Branches of git.example and of this machine may be fetched.
    pub fn new(kind: Forge, site: TestSite) -> Self {
        Self::with(kind, site.with_program("git", GIT), "allowed-git-hosts = [\"git.example\", \"127.0.0.1\"]\n")
    }

    /// The same with these lines in the section `[web]` instead.
    pub fn with(kind: Forge, site: TestSite, lines: &str) -> Self {
        let forge = FakeForge::start(kind);
        forge.project(PROJECT);
        match kind {
            Forge::GitHub => {
                forge.token("admin", &["admin:repo_hook"]);
                forge.token("status", &["repo:status"]);
            }
            Forge::GitLab => {
                forge.token("admin", &["api"]);
                forge.token("status", &["api"]);
            }
        }
        fs::write(site.path().join("admin-token"), "admin\n").expect("a file");
        let port = free_port();
        site.configure_further(&format!(
            "\n[web]\nurl = \"http://127.0.0.1:{port}\"\nlisten = \"127.0.0.1:{port}\"\n{lines}"
        ));
        let mut scene = Self { site, forge, kind, port, service: None };
        scene.serve();
        scene
    }

    /// Starts the service, and waits until it is there.
    pub fn serve(&mut self) {
        self.service = Some(self.site.start(&["serve"]));
        until("the service answers", || {
            let service = self.service.as_mut().expect("it was started");
            assert!(service.is_running(), "{}", service.stderr());
            self.get("/healthz").is_some_and(|(status, _)| status == 200)
        });
    }

    /// Kills the service as a power cut would.
    pub fn kill_service(&mut self) {
        self.service.take().expect("it runs").kill();
    }

    /// What the service has logged so far.
    pub fn log(&self) -> String {
        self.service.as_ref().expect("it runs").stderr()
    }

    /// Waits until the log has this text so many times. The service writes its log after its answers.
    pub fn wait_for_log(&self, text: &str, times: usize) {
        until(&format!("the log says {text:?}"), || self.log().matches(text).count() >= times);
    }

    /// An address at the service.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Fetches a page of the service: its status and text, or, of one that leads on, the address.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let url = self.url(path);
        testkit::block_on(async {
            let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().ok()?;
            let response = client.get(url).send().await.ok()?;
            let status = response.status().as_u16();
            let location = response.headers().get("location").and_then(|place| Some(place.to_str().ok()?.to_owned()));
            let text = response.text().await.ok()?;
            Some((status, location.unwrap_or(text)))
        })
    }

    /// A command of this forge.
    #[track_caller]
    pub fn command(&self, arguments: &[&str]) -> Finished {
        let mut whole = vec![self.kind.as_str()];
        whole.extend(arguments);
        self.site.run(&whole)
    }

    /// A command that needs an administrator's token, and succeeds.
    #[track_caller]
    pub fn admin(&self, arguments: &[&str]) -> Finished {
        let finished = self.command(&[arguments, &["--token-file", "admin-token"]].concat());
        assert!(finished.status.success(), "{arguments:?}: {finished:#?}\n{}", self.log());
        finished
    }

    /// Adds a hook that tests this branch under this name, with these further options.
    #[track_caller]
    pub fn add_hook(&self, package: &str, further: &[&str]) {
        let api = self.forge.api();
        let release = self.site.release.clone();
        let fixed = ["add-hook", PROJECT, "-s", &release, "-a", "amd64", "--package", package, "--api-url", &api];
        self.admin(&[&fixed, further].concat());
    }

    /// Stores the token for statuses.
    #[track_caller]
    pub fn set_token(&self, token: &str) -> Finished {
        with_input(&self.site, &[self.kind.as_str(), "set-token", PROJECT], &format!("{token}\n"))
    }

    /// The name of the queue of pull requests.
    pub fn queue(&self) -> String {
        format!("debci-upstream-{}-amd64", self.site.release)
    }

    /// How many requests wait in that queue.
    #[track_caller]
    pub fn waiting(&self) -> u64 {
        let states = self.site.json(&["queues"]);
        let of_queue = states.as_array().expect("a list").iter().find(|state| state["queue"] == self.queue().as_str());
        of_queue.and_then(|state| state["ready"].as_u64()).unwrap_or_default()
    }

    /// Waits until so many requests wait: who looks into a queue of RabbitMQ takes them for a moment.
    #[track_caller]
    pub fn wait_for_waiting(&self, count: u64) {
        until("so many requests wait", || self.site.sees_in(&self.queue(), |queue| queue.ready == count));
    }

    /// The context of a package's test.
    pub fn context(&self, package: &str) -> String {
        format!("autopkgtest/{package}/{}/amd64", self.site.release)
    }

    /// What `status` shows of a pull request.
    #[track_caller]
    pub fn status(&self, number: u64) -> Value {
        let name = format!("{PROJECT}#{number}");
        self.site.json(&[self.kind.as_str(), "status", &name])
    }
}
