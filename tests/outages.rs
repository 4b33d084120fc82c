//! Bad days of the servers and of the worker's own host: nothing is lost, and nothing is done twice.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use libtest_mimic::Failed;
use nix::sys::signal::Signal;

use crate::support::proxy::Proxy;
use crate::support::site::{TestSite, finish, until};
use crate::support::stand_in::StandIn;
use crate::support::swift::{Auth, Swift};
use crate::support::{Services, Story, Trial, stories};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("rabbitmq_restarts_during_a_test", rabbitmq_restarts),
        ("a_request_done_elsewhere_during_an_outage_gets_no_second_result", done_elsewhere),
        ("swift_is_away_when_the_test_is_done", swift_is_away),
        ("a_kept_result_is_published_by_the_next_worker", kept_result),
        ("a_result_that_is_removed_while_it_waits_is_made_again", removed_result),
        ("an_autopkgtest_that_crashes_says_why", crash),
        ("a_store_that_refuses_costs_no_request", store_refuses),
        ("a_folder_that_another_worker_still_keeps_is_waited_for", kept_folder),
        ("a_full_disk_gives_the_request_back", full_disk),
        ("a_large_artifact_does_not_sit_in_memory", large_artifact),
        ("a_killed_workers_test_does_not_go_on", orphans),
    ];
    stories("outages", services, all)
}

fn gate(site: &TestSite) -> PathBuf {
    site.path().join("gate")
}

fn held_request(site: &TestSite) -> String {
    site.request("held", &[&format!("STUB_WAIT={}", gate(site).display())])
}

fn rabbitmq_restarts(services: &Services) -> Result<(), Failed> {
    let rabbitmq = services.private_rabbitmq();
    let swift = services.swift();
    let site = TestSite::on(&rabbitmq.url(), "swift:", swift.environment()).replayed(crate::model::replay_logs);
    let id = held_request(&site);
    let mut worker = site.start(&["worker"]);
    until("the test starts", || site.starts().len() == 1);
    rabbitmq.stop();
    rabbitmq.start_again();
    until("the worker has its claim again", || site.sees(|queue| queue.claimed == 1));
    fs::write(gate(&site), "")?;
    until("the result is there", || site.has_results_of(&[&id]));
    until("nothing is left", || site.sees_nothing());
    assert_eq!(site.starts().len(), 1, "the test ran once");
    assert_eq!(site.results().len(), 1);
    // The idle worker survives a restart as well.
    rabbitmq.stop();
    rabbitmq.start_again();
    let next = site.request("next", &[]);
    until("the next request is run", || site.has_result_of(&next));
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait().status.code(), Some(0));
    Ok(())
}

fn done_elsewhere(services: &Services) -> Result<(), Failed> {
    let site = services.site().replayed(crate::model::replay_logs);
    // Only the first run waits.
    let stub = site.path().join("checkout/runner/autopkgtest");
    let text = fs::read_to_string(&stub)?;
    let changed = text.replace("mkdir -p", "[ -e \"$here/first\" ] && wait=\n: > \"$here/first\"\nmkdir -p");
    assert_ne!(text, changed);
    fs::write(&stub, changed)?;
    let id = held_request(&site);
    let runtime = tokio::runtime::Runtime::new()?;
    let proxy = runtime.block_on(Proxy::to(services.rabbitmq().port()));
    let way = services.rabbitmq().url_at(proxy.port());
    let mut cut_off = site.start_elsewhere(&["worker", "--queue", &way]);
    until("the test starts", || site.starts().len() == 1);
    proxy.cut();
    site.ok(&["worker", "--once"]);
    assert_eq!(site.finished(), std::slice::from_ref(&id));
    let first = site.results();
    proxy.mend();
    until("the first worker has its claim again", || site.sees(|queue| queue.claimed == 1));
    fs::write(gate(&site), "")?;
    until("nothing is left", || site.sees_nothing());
    cut_off.signal(Signal::SIGTERM);
    let finished = cut_off.wait();
    assert!(finished.err.contains("another worker has published"), "{}", finished.err);
    assert_eq!(site.starts().len(), 2, "it was run by both");
    assert_eq!(site.results(), first, "exactly one result");
    Ok(())
}

fn swift_is_away(_: &Services) -> Result<(), Failed> {
    let folder = tempfile::TempDir::new()?;
    let mut swift = Swift::start(folder.path(), &Auth::TempAuth);
    let site = TestSite::on("local:queue", "swift:", swift.environment());
    let id = held_request(&site);
    let mut worker = site.start(&["worker"]);
    until("the test starts", || site.starts().len() == 1);
    swift.stop();
    fs::write(gate(&site), "")?;
    until("the worker notices", || worker.stderr().contains("waits for the store"));
    swift.restart();
    until("the result is there", || site.has_results_of(&[&id]));
    assert_eq!(site.starts().len(), 1, "the test ran once");
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait().status.code(), Some(0));
    Ok(())
}

/// Puts a file in the place of the release's folder in the store: a result has its run id, and cannot be stored.
fn obstruct(site: &TestSite) -> std::io::Result<PathBuf> {
    let container = site.path().join("results").join(format!("autopkgtest-{}", site.release));
    fs::create_dir_all(&container)?;
    let obstacle = container.join(&site.release);
    fs::write(&obstacle, "").map(|()| obstacle)
}

fn kept_result(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let obstacle = obstruct(&site)?;
    let id = site.request("kept", &[]);
    let mut worker = site.start(&["worker"]);
    until("the worker notices", || worker.stderr().contains("waits for the store"));
    worker.signal(Signal::SIGTERM);
    let finished = worker.wait();
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    assert!(finished.err.contains("is kept in"), "{}", finished.err);
    assert_eq!(site.queue()["ready"], 1, "the request is back");
    fs::remove_file(&obstacle)?;
    site.ok(&["worker", "--drain"]);
    assert_eq!(site.finished(), [id]);
    assert_eq!(site.starts().len(), 1, "the test ran once");
    let work = site.path().join("home/.local/state/apt-ci/work");
    assert_eq!(fs::read_dir(&work)?.count(), 0, "nothing is left in {}", work.display());
    Ok(())
}

fn removed_result(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let obstacle = obstruct(&site)?;
    let id = site.request("removed", &[]);
    let mut worker = site.start(&["worker", "--drain"]);
    until("the worker waits", || worker.stderr().contains("waits for the store"));
    fs::remove_file(site.path().join("home/.local/state/apt-ci/work").join(&id).join("bundle/log.gz"))?;
    fs::remove_file(&obstacle)?;
    let finished = worker.wait();
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    assert_eq!(site.finished(), [id]);
    assert_eq!(site.starts().len(), 2, "there was not enough left of the first run");
    Ok(())
}

fn crash(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let stub = site.path().join("checkout/runner/autopkgtest");
    let script = "#!/bin/sh\n[ \"$1\" = --help ] && echo --output-dir && exit\necho 'ImportError: no module distro_info' >&2\nexit 1\n";
    fs::write(&stub, script)?;
    site.request("crashes", &[]);
    let finished = site.run(&["worker", "--drain"]);
    assert!(finished.err.contains("ImportError: no module distro_info"), "{}", finished.err);
    let results = site.results();
    assert_eq!(results[0]["outcome"], "tmpfail", "{results:?}");
    assert!(site.ok(&["log", "crashes"]).contains("ImportError: no module distro_info"));
    Ok(())
}

fn store_refuses(_: &Services) -> Result<(), Failed> {
    // It lets its user in, and then refuses to keep anything.
    let refusing = StandIn::start(|exchange| match exchange.target.contains("autopkgtest-") {
        true => exchange.answer("403 Forbidden", "", ""),
        false => exchange.answer("200 OK", "Content-Type: application/json\r\n", "[]"),
    });
    let account = format!("{}/v1/AUTH_x", refusing.url());
    let token = [("OS_AUTH_TOKEN", "hunter2"), ("OS_STORAGE_URL", &account)];
    let token = token.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let site = TestSite::on("local:queue", &format!("swift:{account}"), token);
    let id = site.request("kept", &[]);
    // It is started again: more attempts in all than a request may kill its worker.
    for _ in 0..2 {
        let finished = site.run(&["worker", "--drain"]);
        assert_eq!(finished.status.code(), Some(1), "{finished:#?}");
        assert!(finished.err.contains("out of service") && finished.err.contains("403"), "{}", finished.err);
        assert!(!finished.err.contains("hunter2"), "{}", finished.err);
        assert!(finished.err.contains("probing"), "{}", finished.err);
        let queue = site.queue();
        let waiting = |state: &str| queue[state].as_u64().unwrap_or_default();
        assert_eq!((waiting("ready") + waiting("delayed"), waiting("dead")), (1, 0), "{queue}");
    }
    site.configure("local:queue", "folder:results");
    site.ok(&["worker", "--drain"]);
    assert_eq!(site.finished(), [id]);
    assert_eq!(site.starts().len(), 1, "the test ran once");
    Ok(())
}

fn kept_folder(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let id = site.request("kept", &[]);
    let folder = site.path().join("home/.local/state/apt-ci/work").join(&id);
    fs::create_dir_all(&folder)?;
    let other = fs::File::create(folder.join("lock"))?;
    other.lock()?;
    let mut worker = site.start(&["worker", "--drain"]);
    until("the worker waits", || worker.stderr().contains("works in") || !worker.is_running());
    // Longer than three failures in a row would take.
    let begin = std::time::Instant::now();
    until("the worker gives up, or some time is over", || !worker.is_running() || begin.elapsed().as_secs() >= 5);
    assert!(worker.is_running(), "{}", worker.stderr());
    drop(other);
    let finished = worker.wait();
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    assert_eq!(site.finished(), [id]);
    assert_eq!(site.json(&["queues"])[0]["dead"], 0);
    Ok(())
}

fn full_disk(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let work = site.path().join("home/.local/state/apt-ci/work");
    fs::create_dir_all(&work)?;
    let on_a_disk_of = |size: &str| {
        // A file system of our own in a mount namespace of our own.
        let program = env!("CARGO_BIN_EXE_apt-ci");
        let script = format!("mount -t tmpfs -o size={size} tmpfs {} && exec {program} worker --drain", work.display());
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", &script]).current_dir(site.path());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", site.path().join("home"));
        finish(command)
    };
    let id = site.request("large", &["STUB_SIZE=90000"]);
    // Too small to begin with: no request is taken. Full in the middle: it is tried as often as any host's failure.
    site.worker_options("retry_delay = 0\n");
    for (size, started) in [("1m", 0), ("100m", 11)] {
        let finished = on_a_disk_of(size);
        let is_small = started == 0;
        assert_eq!(finished.status.code(), Some(i32::from(is_small)), "{size}: {finished:#?}");
        assert_eq!(finished.err.contains("out of service"), is_small, "{size}: {}", finished.err);
        assert!(finished.err.contains("full") || finished.err.contains("space"), "{size}: {}", finished.err);
        assert_eq!(site.starts().len(), started, "{size}");
        let queue = site.queue();
        // A test that fills a disk which is large enough for others stops nobody; it is set aside with the reason.
        let (ready, dead) = if is_small { (1, 0) } else { (0, 1) };
        assert_eq!((&queue["ready"], &queue["dead"]), (&ready.into(), &dead.into()), "{size}: {queue}");
        assert_eq!(site.results().len(), 0, "{size}");
    }
    site.ok(&["queues", "dead", "requeue", &site.queue_name(), "--yes"]);
    site.ok(&["worker", "--drain"]);
    assert_eq!(site.finished(), [id]);
    Ok(())
}

fn orphans(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    held_request(&site);
    let worker = site.start(&["worker"]);
    until("the test starts", || site.starts().len() == 1);
    let stub = site.path().join("checkout/runner/autopkgtest");
    let running = || {
        let mut command = Command::new("pgrep");
        command.args(["-f", stub.to_str().expect("a path in UTF-8")]);
        !finish(command).out.is_empty()
    };
    assert!(running());
    worker.kill();
    until("the test has ended with its worker", || !running());
    Ok(())
}

fn large_artifact(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let megabytes: u64 = 500;
    let mut worker = site.start(&["worker"]);
    let id = site.request("large", &[&format!("STUB_HOLE={}", megabytes << 10)]);
    until("the result is there", || site.has_results_of(&[&id]));
    let status = fs::read_to_string(format!("/proc/{}/status", worker.id()))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the highest resident memory");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse()?;
    assert!(peak < 64 << 10, "the worker grew to {peak} kB");
    worker.signal(Signal::SIGTERM);
    worker.wait();
    let list = r#"
import sys, tarfile
with tarfile.open(sys.argv[1]) as tar:
    print(tar.getmember("hole").size)
"#;
    let run = &site.results()[0];
    let text = |key: &str| run[key].as_str().expect("a text").to_owned();
    let archive = site.path().join("results").join(text("container")).join(text("path")).join("artifacts.tar.gz");
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", list]).arg(archive);
    assert_eq!(finish(python).out.trim(), (megabytes << 20).to_string());
    Ok(())
}
