//! Operators and service managers, and the workers that they see and steer.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use serde_json::Value;
use testkit::site::{Running, TestSite, WAIT_TIMEOUT, finish, until};
use testkit::{Services, Story, Trial, stories};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("an_operator_sees_the_running_test_and_its_last_line", status),
        ("nothing_of_a_private_test_is_shown", private),
        ("without_a_worker_that_is_what_is_said", nobody_there),
        ("global_options_stand_anywhere_and_those_of_a_worker_do_not", options_before),
        ("workers_of_another_site_are_left_alone", other_site),
        ("a_worker_that_is_told_to_stop_finishes_its_test", stop),
        ("a_worker_that_is_told_to_restart_ends_with_ten", restart),
        ("one_test_is_cancelled_and_the_other_goes_on", cancel_one),
        ("a_cancelled_test_can_be_run_again", requeue),
        ("cancelling_everything_gives_the_requests_back", cancel_all),
        ("a_new_configuration_is_used_and_a_faulty_one_is_not", reload),
        ("another_user_does_not_come_near", other_user),
        ("garbage_at_the_socket_disturbs_no_test", garbage),
        ("the_socket_of_a_killed_worker_is_recognised", killed),
        ("the_service_manager_hears_of_everything", service_manager),
        ("systemd_understands_the_units", units),
    ];
    stories("control", services, all)
}

fn gate(site: &TestSite, package: &str) -> PathBuf {
    site.path().join(format!("gate.{package}"))
}

/// Asks for a test that goes on until its gate is there.
fn held_request(site: &TestSite, package: &str) -> String {
    site.request(package, &[&format!("STUB_WAIT={}", gate(site, package).display()), "STUB_LINES=3"])
}

fn starts(site: &TestSite, package: &str) -> usize {
    site.starts().iter().filter(|started| *started == package).count()
}

/// Starts a worker, and waits until it runs the package's test.
fn worker_running(site: &TestSite, package: &str) -> Running {
    let worker = site.start(&["worker"]);
    until("the worker runs the test", || slot(site, &worker)["package"] == package);
    until("the test has begun", || starts(site, package) > 0);
    worker
}

/// The worker's only slot, or nothing while it does not answer.
fn slot(site: &TestSite, worker: &Running) -> Value {
    let finished = site.run(&["worker", "status", "--json", "--pid", &worker.id().to_string()]);
    let document: Value = serde_json::from_str(&finished.out).unwrap_or_default();
    document[0]["slots"][0].clone()
}

fn sockets(site: &TestSite) -> PathBuf {
    site.path().join("home/.local/state/apt-ci/workers")
}

fn socket(site: &TestSite, worker: &Running) -> PathBuf {
    sockets(site).join(format!("{}.sock", worker.id()))
}

fn status(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let id = held_request(&site, "gzip");
    let mut worker = worker_running(&site, "gzip");
    let begin = Instant::now();
    until("the last line is seen", || slot(&site, &worker)["log_line"] == "line 3");
    let seconds = slot(&site, &worker)["seconds"].as_u64().expect("a number");
    // The world is told of the test every ten seconds, and of nothing at first.
    let late = begin.elapsed().as_secs().saturating_sub(2);
    assert!(seconds < 9 + late, "not only when the world is told of the test: {seconds:?}");
    let workers = site.json(&["worker", "status"]);
    let shown = &workers[0];
    assert_eq!((&shown["pid"], &shown["told"]), (&worker.id().into(), &"serving".into()));
    assert_eq!(shown["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(shown["queues"].as_array().map(Vec::len), Some(4), "{shown}");
    let slot = &shown["slots"][0];
    assert_eq!((&slot["slot"], &slot["state"], &slot["phase"]), (&1.into(), &"running".into(), &"testing".into()));
    assert_eq!((&slot["uuid"], &slot["attempt"]), (&id.as_str().into(), &1.into()));
    assert_eq!((&slot["release"], &slot["architecture"]), (&site.release.as_str().into(), &"amd64".into()));
    // A pipe gets whole values, separated by tabs.
    let line = site.ok(&["worker", "status"]);
    let fields: Vec<&str> = line.trim_end().split('\t').collect();
    let pid = worker.id().to_string();
    assert_eq!(fields[..6], [&pid, "1", "running", "gzip", &site.release, "amd64"]);
    assert_eq!(fields[7..], [&id, "line 3"]);

    fs::write(gate(&site, "gzip"), "")?;
    until("the slot waits", || site.ok(&["worker", "status"]).contains("\twaiting\t"));
    assert_eq!(site.json(&["worker", "status"])[0]["slots"][0]["done"], 1);
    site.ok(&["worker", "stop", "--wait"]);
    assert!(worker.wait().status.success());
    assert_eq!(fs::read_dir(sockets(&site))?.count(), 0, "the socket is gone");
    Ok(())
}

fn private(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    // The queue's file is made by the first request.
    let first = site.request("first", &[]);
    let gate = gate(&site, "hidden");
    let wait = format!("STUB_WAIT={}", gate.display());
    let parameters = serde_json::json!({"swiftuser": "alice", "env": [wait, "STUB_LINES=3"]});
    site.plant(&format!("hidden\n{parameters}"));
    let worker = site.start(&["worker"]);
    until("the private test runs", || slot(&site, &worker)["package"] == "private-test");
    until("it has begun", || starts(&site, "hidden") == 1);
    // Longer than the time between two looks at the log would take too long here: what counts is what is never kept.
    for arguments in [&["worker", "status"][..], &["worker", "status", "--json"]] {
        let shown = site.ok(arguments);
        assert!(!shown.contains("hidden") && !shown.contains("line 3") && !shown.contains("alice"), "{shown}");
    }
    assert_eq!(slot(&site, &worker)["private"], true);
    fs::write(gate, "")?;
    until("both are done", || slot(&site, &worker)["done"] == 2);
    assert!(site.finished().contains(&first));
    Ok(())
}

fn options_before(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let after = site.ok(&["worker", "check", "--json"]);
    assert_eq!(site.ok(&["worker", "--json", "check"]), after);
    assert_eq!(site.ok(&["--json", "worker", "check"]), after);
    let folder = site.path().to_str().expect("UTF-8");
    assert_eq!(site.run(&["worker", "--site", folder, "-q", "status", "--json"]).out, "[]\n");
    for options in
        [&["-c", "other.conf"][..], &["--variable", "A=b"], &["--slots", "2"], &["--drain"], &["-a", "armhf"]]
    {
        let arguments: Vec<&str> = ["worker"].iter().chain(options).chain(&["check"]).copied().collect();
        let refused = site.run(&arguments);
        assert_eq!((refused.status.code(), refused.out.as_str()), (Some(2), ""), "{refused:#?}");
        assert!(refused.err.contains("configures how tests are run, but check runs no tests"), "{}", refused.err);
    }
    Ok(())
}

fn nobody_there(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    for command in ["status", "stop", "reload"] {
        let finished = site.run(&["worker", command]);
        assert_eq!(finished.status.code(), Some(1), "{finished:#?}");
        assert!(
            finished.err.starts_with("error: no worker is running for this site on this host\nhint: "),
            "{finished:#?}"
        );
        assert_eq!(finished.out, "");
    }
    assert_eq!(site.run(&["worker", "status", "--json"]).out, "[]\n");
    let finished = site.run(&["worker", "stop", "--pid", "1"]);
    assert!(finished.err.contains("no worker with the process id 1"), "{finished:#?}");
    // What is to be cancelled must be named.
    assert_eq!(site.run(&["worker", "cancel"]).status.code(), Some(2));
    assert_eq!(site.run(&["worker", "--drain", "status"]).status.code(), Some(2));
    Ok(())
}

fn other_site(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    held_request(&site, "gzip");
    let mut worker = worker_running(&site, "gzip");
    let other = site.path().join("other");
    fs::create_dir(&other)?;
    fs::copy(site.path().join("apt-ci.toml"), other.join("apt-ci.toml"))?;
    let other = other.to_str().expect("a path in UTF-8");
    let finished = site.run(&["--site", other, "worker", "stop"]);
    assert_eq!(finished.status.code(), Some(1), "{finished:#?}");
    assert!(finished.err.contains("(1 for other sites; choose with --pid)"), "{}", finished.err);
    assert_eq!(site.json(&["worker", "status"])[0]["told"], "serving");
    // Who names it means it.
    site.ok(&["--site", other, "worker", "stop", "--pid", &worker.id().to_string()]);
    fs::write(gate(&site, "gzip"), "")?;
    assert!(worker.wait().status.success());
    Ok(())
}

fn stop(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let id = held_request(&site, "gzip");
    let waiting = site.request("waits", &[]);
    let mut worker = worker_running(&site, "gzip");
    let finished = site.run(&["worker", "stop"]);
    assert!(
        finished.status.success() && finished.err.contains("is finishing its test and then stops"),
        "{finished:#?}"
    );
    // Twice is not more than once: the test is still not ended.
    let answer = site.json(&["worker", "stop"]);
    assert_eq!((&answer[0]["told"], &answer[0]["running"]), (&"finishing".into(), &1.into()));
    assert_eq!(site.json(&["worker", "status"])[0]["told"], "finishing");
    assert!(worker.is_running());
    fs::write(gate(&site, "gzip"), "")?;
    assert_eq!(worker.wait().status.code(), Some(0));
    assert_eq!(site.finished(), [id]);
    assert_eq!(site.queue()["ready"], 1, "{waiting} is left to others");
    Ok(())
}

fn restart(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    held_request(&site, "gzip");
    let mut worker = worker_running(&site, "gzip");
    site.ok(&["worker", "stop", "--restart"]);
    fs::write(gate(&site, "gzip"), "")?;
    assert_eq!(worker.wait().status.code(), Some(10));
    assert_eq!(site.finished().len(), 1);
    Ok(())
}

fn cancel_one(services: &Services) -> Result<(), Failed> {
    for site in [TestSite::local(), services.site()] {
        let [one, two] = ["one", "two"].map(|package| held_request(&site, package));
        let mut workers = [worker_running(&site, "one"), worker_running(&site, "two")];
        let missing = site.run(&["worker", "cancel", "no-such-request"]);
        assert_eq!(missing.status.code(), Some(1), "{missing:#?}");
        // The beginning of its id is enough.
        // Two texts name the same test.
        let answer = site.json(&["worker", "cancel", "--wait", &one[..13], &one]);
        assert_eq!(answer.as_array().map(Vec::len), Some(1), "{answer}");
        assert_eq!((&answer[0]["uuid"], &answer[0]["cancelled"]), (&one.as_str().into(), &true.into()));
        until("its worker waits again", || slot(&site, &workers[0])["state"] == "waiting");
        assert_eq!(slot(&site, &workers[1])["uuid"], two.as_str(), "the other one is not disturbed");
        let contents = site.json(&["queues", &site.queue_name()]);
        let dead = contents["dead"].as_array().expect("a list").clone();
        assert_eq!(dead.len(), 1, "{contents}");
        let reason = dead[0]["reason"].as_str().expect("a reason");
        let me = nix::unistd::User::from_uid(nix::unistd::geteuid())?.expect("a user").name;
        let host = fs::read_to_string("/proc/sys/kernel/hostname")?;
        assert_eq!(reason, format!("cancelled by {me} on {}", host.trim()));
        assert_eq!(dead[0]["message"]["parameters"]["uuid"], one.as_str());
        fs::write(gate(&site, "two"), "")?;
        until("the other one is done", || site.has_results_of(&[&two]));
        site.ok(&["worker", "stop", "--wait"]);
        for worker in &mut workers {
            assert!(worker.wait().status.success());
        }
    }
    Ok(())
}

fn requeue(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let id = held_request(&site, "gzip");
    let worker = worker_running(&site, "gzip");
    site.ok(&["worker", "cancel", "--requeue", &id]);
    until("it is run again", || starts(&site, "gzip") == 2);
    fs::write(gate(&site, "gzip"), "")?;
    until("its result is there", || site.has_results_of(&[&id]));
    assert_eq!(site.queue()["dead"], 0);
    drop(worker);
    Ok(())
}

fn cancel_all(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    for package in ["one", "two"] {
        held_request(&site, package);
    }
    let mut workers = [worker_running(&site, "one"), worker_running(&site, "two")];
    site.ok(&["worker", "cancel", "--all", "--wait"]);
    for worker in &mut workers {
        assert_eq!(worker.wait().status.code(), Some(0));
    }
    assert_eq!((site.queue()["ready"].clone(), site.queue()["dead"].clone()), (2.into(), 0.into()));
    assert!(site.finished().is_empty());
    Ok(())
}

fn reload(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let good = fs::read_to_string(site.path().join("worker.conf"))?;
    held_request(&site, "first");
    let worker = worker_running(&site, "first");
    assert_eq!(site.json(&["worker", "reload"])[0]["changed"], false);

    site.worker_conf(&good.replace("args = null", "args = null\nargs = again"));
    let finished = site.run(&["worker", "reload"]);
    assert_eq!(finished.status.code(), Some(1), "{finished:#?}");
    assert!(finished.err.contains("worker.conf:"), "the place of the fault is named: {}", finished.err);
    let shown = site.json(&["worker", "status"]);
    assert_eq!(shown[0]["faults"].as_array().map(Vec::len), Some(1), "{shown}");
    // A fault that is taken back leaves nothing to change, and nothing to complain about.
    site.worker_conf(&good);
    let mended = site.json(&["worker", "reload"]);
    assert_eq!((&mended[0]["changed"], &mended[0]["faults"]), (&false.into(), &serde_json::json!([])));
    assert_eq!(site.json(&["worker", "status"])[0]["faults"], serde_json::json!([]));

    let second = site.path().join("second");
    fs::create_dir_all(second.join("runner"))?;
    fs::copy(site.path().join("checkout/runner/autopkgtest"), second.join("runner/autopkgtest"))?;
    let old = site.path().join("checkout");
    let changed = good.replace(old.to_str().expect("UTF-8"), second.to_str().expect("UTF-8"));
    assert_ne!(changed, good);
    site.worker_conf(&changed);
    assert_eq!(site.json(&["worker", "reload"])[0]["changed"], true);
    assert_eq!(site.json(&["worker", "status"])[0]["faults"], serde_json::json!([]));
    site.request("later", &[]);
    fs::write(gate(&site, "first"), "")?;
    until("both are done", || site.count_results() == 2);
    assert_eq!(site.starts(), ["first"], "the test that ran was not disturbed");
    assert!(fs::read_to_string(second.join("runner/starts"))?.ends_with(" later\n"), "the next one is run the new way");
    drop(worker);
    Ok(())
}

/// Connects as this user and sends a command; prints the answer.
const CONNECT: &str = r#"
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.sendall(b'{"command": "cancel-all", "protocol": 1}\n')
print(client.recv(10000))
"#;

fn other_user(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    held_request(&site, "gzip");
    let mut worker = worker_running(&site, "gzip");
    let socket = socket(&site, &worker);
    let mode = |path: &PathBuf| fs::metadata(path).map(|data| data.permissions().mode() & 0o777);
    assert_eq!((mode(&sockets(&site))?, mode(&socket)?), (0o700, 0o600));
    if nix::unistd::geteuid().is_root() {
        let nobody = nix::unistd::User::from_name("nobody")?.expect("Debian has a user nobody");
        let connect = || {
            let mut command = Command::new("python3");
            command.args(["-c", CONNECT]).arg(&socket).uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
            finish(command)
        };
        let finished = connect();
        assert!(finished.err.contains("PermissionError"), "{finished:#?}");
        // Somebody opens all doors. The worker still asks who it is.
        for folder in socket.ancestors().skip(1).take_while(|folder| folder.starts_with(site.path())) {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
        }
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o777))?;
        let finished = connect();
        // It hung up at once, perhaps even before the command was sent.
        let hung_up = ["ConnectionResetError", "BrokenPipeError"].iter().any(|end| finished.err.contains(end));
        assert!(finished.out == "b''\n" || hung_up, "{finished:#?}");
        assert!(!finished.err.contains("PermissionError"), "it came through the doors: {finished:#?}");
        until("the worker tells", || worker.stderr().contains("was refused at the control socket"));
    }
    assert_eq!(site.json(&["worker", "status"])[0]["told"], "serving");
    fs::write(gate(&site, "gzip"), "")?;
    site.ok(&["worker", "stop", "--wait"]);
    assert!(worker.wait().status.success());
    Ok(())
}

fn garbage(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let id = held_request(&site, "gzip");
    let mut worker = worker_running(&site, "gzip");
    let socket = socket(&site, &worker);
    let mut clients = Vec::new();
    for number in 0..40 {
        let mut client = UnixStream::connect(&socket)?;
        // The worker may have hung up already.
        let _ = match number % 4 {
            0 => client.write_all(&[0xff; 100_000][..]),
            1 => client.write_all(b"GET / HTTP/1.1\r\n\r\n"),
            2 => client.write_all(b"{\"command\": \"cancel-all\""),
            _ => Ok(()),
        };
        client.set_nonblocking(true)?;
        clients.push(client);
    }
    // The test goes on meanwhile and is published, though no operator is served for a moment.
    fs::write(gate(&site, "gzip"), "")?;
    until("the result is there", || site.has_results_of(&[&id]));
    until("operators are served again", || site.run(&["worker", "status"]).status.success());
    assert_eq!(site.json(&["worker", "status"])[0]["told"], "serving");
    drop(clients);
    site.ok(&["worker", "stop", "--wait"]);
    assert!(worker.wait().status.success());
    Ok(())
}

fn killed(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    held_request(&site, "gzip");
    let worker = worker_running(&site, "gzip");
    let left = socket(&site, &worker);
    worker.kill();
    assert!(left.exists(), "it could not tidy up");
    let finished = site.run(&["worker", "status"]);
    assert!(finished.err.contains("no worker is running"), "{finished:#?}");
    assert!(!left.exists(), "and that is done now");
    let next = worker_running(&site, "gzip");
    assert_eq!(site.json(&["worker", "status"])[0]["pid"], next.id());
    Ok(())
}

/// After how long without a sign of life the service manager would kill the worker.
const WATCHDOG: Duration = Duration::from_secs(24);

/// Waits for a message that has this line.
fn hears(manager: &UnixDatagram, line: &str) -> Result<(), Failed> {
    manager.set_read_timeout(Some(WAIT_TIMEOUT))?;
    let mut buffer = [0; 4096];
    loop {
        let length = manager.recv(&mut buffer).map_err(|error| format!("{line} never came: {error}"))?;
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.lines().any(|said| said == line) {
            return Ok(());
        }
    }
}

fn service_manager(_: &Services) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("notify");
    let watchdog = WATCHDOG.as_micros().to_string();
    let manager = UnixDatagram::bind(&path)?;
    let variables = [("NOTIFY_SOCKET", path.to_str().expect("UTF-8")), ("WATCHDOG_USEC", &*watchdog)];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let site = TestSite::on("local:queue", "folder:results", variables.to_vec());
    let mut worker = site.start(&["worker"]);
    hears(&manager, "READY=1")?;
    hears(&manager, "WATCHDOG=1")?;
    held_request(&site, "gzip");
    hears(&manager, &format!("STATUS=testing gzip ({}/amd64)", site.release))?;
    // A test that runs is progress: the manager never waits in vain.
    for _ in 0..3 {
        let since = Instant::now();
        hears(&manager, "WATCHDOG=1")?;
        assert!(since.elapsed() < WATCHDOG, "the worker would have been killed");
    }
    site.ok(&["worker", "stop"]);
    hears(&manager, "STOPPING=1")?;
    fs::write(gate(&site, "gzip"), "")?;
    assert!(worker.wait().status.success());
    Ok(())
}

fn units(_: &Services) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let templates = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("templates/systemd");
    let read = |name: &str| {
        // The program is not where an operator installs it.
        let text = fs::read_to_string(templates.join(name)).expect("a unit");
        text.replace("/usr/local/bin/apt-ci", env!("CARGO_BIN_EXE_apt-ci"))
    };
    let text = read("autopkgtest@.service");
    let serve = read("apt-ci-serve.service");
    for (instance, text) in [
        ("autopkgtest@1.service", &text),
        ("autopkgtest@lxd-armhf-10.0.0.1.service", &text),
        ("apt-ci-serve.service", &serve),
    ] {
        let unit = folder.path().join(instance);
        fs::write(&unit, text)?;
        let mut command = Command::new("systemd-analyze");
        command.args(["verify", "--man=no"]).arg(&unit);
        let finished = finish(command);
        let is_ours = |line: &&str| line.contains("autopkgtest") || line.contains("apt-ci-serve");
        let ours: Vec<&str> = finished.err.lines().filter(is_ours).collect();
        assert!(finished.status.success() && ours.is_empty(), "{instance}: {finished:#?}");
    }
    // What it starts is understood by the program.
    let lines = text.lines().chain(serve.lines());
    for line in lines.filter_map(|line| line.strip_prefix("Exec")?.split_once("apt-ci ")) {
        let words = line.1.split(' ').filter(|word| !word.starts_with("$APT_CI_"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_apt-ci"));
        command.args(words.map(|word| if word == "$MAINPID" { "1" } else { word })).arg("--help");
        assert!(finish(command).status.success(), "{line:?}");
    }
    let users = fs::read_to_string(templates.join("autopkgtest-sysusers.conf"))?;
    assert!(users.lines().any(|line| line.starts_with("u apt-ci ")) && text.contains("\nUser=apt-ci\n"));
    Ok(())
}
