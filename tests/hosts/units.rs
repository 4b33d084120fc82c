//! The units of workers and of the web service, which `make install` installs.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Failed;
use testkit::host::{Host, PROGRAM, SOURCE};
use testkit::site::{until, until_within};
use testkit::{Services, Story, Trial, stories};

/// The chapter whose commands are run.
const CHAPTER: &str = include_str!("../../docs/reference/systemd.md");
/// Repository of the site that the chapter clones.
const REPOSITORY: &str = "https://git.example.org/ci-site";
/// Variable with which the stub waits for a file.
pub const HELD: &str = "STUB_WAIT=/tmp/gate";
/// How long systemd waits before it starts a worker again, with some reserve.
pub const RESTART_TIMEOUT: Duration = Duration::from_mins(2);

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("a_worker_on_debian_12_follows_the_chapter", |_| follow_the_chapter("bookworm")),
        ("a_worker_on_debian_13_follows_the_chapter", |_| follow_the_chapter("trixie")),
    ];
    stories("units", services, all)
}

/// The commands of the chapter, without the prompt.
fn commands() -> Vec<&'static str> {
    let block = CHAPTER.split("```console\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a transcript");
    block.lines().map(|line| line.strip_prefix("# ").expect("a prompt")).collect()
}

/// Puts a site in a repository of this host, under the address of the chapter.
pub fn publish_site(host: &Host) {
    let settings = "queue = \"local:/var/lib/apt-ci/queue\"\nstore = \"folder:/var/lib/apt-ci/results\"\n\n\
                    [releases]\nbookworm = [\"amd64\"]\n\n[web]\nurl = \"http://localhost:8870\"\n";
    host.write("/srv/site/apt-ci.toml", settings);
    let conf = "[autopkgtest]\ncheckout_dir = /srv/autopkgtest\nretry_delay = 1\n\n[virt]\nargs = null\n";
    host.write("/srv/site/worker.conf", conf);
    // The stub counts its starts in a file beside it.
    host.sh(&format!("install -D -t /srv/autopkgtest/runner {SOURCE}/testkit/stub/autopkgtest"));
    host.ok(&["chmod", "777", "/srv/autopkgtest/runner"]);
    host.sh(
        "cd /srv/site; git init -q; git add -A; git -c user.name=ann -c user.email=ann@example.org commit -qm Site",
    );
    host.ok(&["git", "config", "--global", "url./srv/site.insteadOf", REPOSITORY]);
}

/// Runs the program as the workers' user.
#[track_caller]
pub fn apt_ci(host: &Host, arguments: &str) -> String {
    host.sh(&format!("cd /var/lib/apt-ci; sudo -u apt-ci apt-ci {arguments}"))
}

/// Requests a test. Returns the request's id.
#[track_caller]
pub fn request(host: &Host, package: &str, options: &str) -> String {
    let printed = apt_ci(host, &format!("run -s bookworm --trigger glibc/2.39-2 {options} {package}"));
    printed.trim_end().rsplit('\t').next().expect("an id").to_owned()
}

#[track_caller]
pub fn property(host: &Host, unit: &str, name: &str) -> String {
    host.ok(&["systemctl", "show", "--property", name, "--value", unit]).trim_end().to_owned()
}

fn follow_the_chapter(suite: &str) -> Result<(), Failed> {
    let [install, clone, enable, status, reload, by_package, by_id] =
        commands().try_into().map_err(|found| format!("other commands than expected: {found:?}"))?;
    let host = Host::start(suite);
    publish_site(&host);

    let (first, rest) = install.split_once(' ').expect("make");
    assert_eq!(first, "make");
    host.sh(&format!("make -C {SOURCE} PROGRAM={PROGRAM} {rest}"));
    assert!(clone.contains(REPOSITORY), "{clone}");
    host.sh(clone);
    host.sh(enable);
    // The unit is ready once the worker is.
    assert_eq!(property(&host, "autopkgtest@1", "ActiveState"), "active");
    let user = property(&host, "autopkgtest@1", "MainPID");
    assert_eq!(host.sh(&format!("stat -c %U /proc/{user}")), "apt-ci\n");

    let held = request(&host, "gzip", &format!("--env {HELD}"));
    let shown = || host.sh(&format!("cd /var/lib/apt-ci; {status}"));
    until("the worker tests gzip", || shown().contains("gzip"));
    host.sh("sed -i 's/retry_delay = 1/retry_delay = 2/' /etc/apt-ci/worker.conf");
    host.sh(reload);
    until("the worker has read its files again", || {
        host.ok(&["journalctl", "-u", "autopkgtest@1"]).contains("has loaded a new configuration")
    });
    // Stopping waits for the test.
    host.ok(&["systemctl", "stop", "--no-block", "autopkgtest@1"]);
    until("the worker finishes", || property(&host, "autopkgtest@1", "ActiveState") == "deactivating");
    assert!(shown().contains("gzip"), "{}", shown());
    host.write("/tmp/gate", "");
    until("the worker has ended", || property(&host, "autopkgtest@1", "ActiveState") == "inactive");
    assert_eq!(property(&host, "autopkgtest@1", "Result"), "success");
    let results = apt_ci(&host, "results");
    assert_eq!(results.lines().count(), 1, "{held}: {results}\n{}", host.ok(&["journalctl", "-u", "autopkgtest@1"]));

    // The journal knows packages and requests.
    let entries = host.sh(by_package);
    assert!(entries.contains("starts") && entries.contains("pass"), "{entries}");
    let id = by_id.rsplit('=').next().expect("an id");
    let entries = host.sh(&by_id.replace(id, &held));
    assert!(entries.contains("starts") && entries.contains("pass"), "{entries}");

    // After an upgrade: the worker finishes its test, and systemd starts it again.
    host.ok(&["rm", "/tmp/gate"]);
    host.ok(&["systemctl", "start", "autopkgtest@1"]);
    request(&host, "tar", &format!("--env {HELD}"));
    until("the worker tests tar", || shown().contains("tar"));
    let before = property(&host, "autopkgtest@1", "MainPID");
    apt_ci(&host, "worker stop --restart");
    host.write("/tmp/gate", "");
    until_within(RESTART_TIMEOUT, "systemd has started the worker again", || {
        property(&host, "autopkgtest@1", "ActiveState") == "active"
            && property(&host, "autopkgtest@1", "MainPID") != before
    });
    assert_eq!(apt_ci(&host, "results").lines().count(), 2);

    host.ok(&["systemctl", "start", "apt-ci-serve"]);
    let fetch = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8870/healthz').status)";
    until("the web service answers", || {
        assert_ne!(property(&host, "apt-ci-serve", "NRestarts"), "1", "{}", host.sh("journalctl -u apt-ci-serve"));
        host.run(&["python3", "-c", fetch]).out == "200\n"
    });
    assert_eq!(host.sh("stat -c %U /proc/$(systemctl show -P MainPID apt-ci-serve)"), "apt-ci\n");
    Ok(())
}
