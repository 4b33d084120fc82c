//! A worker that operators leave alone for weeks: many tests at once, tests and testbeds that misbehave, and a configuration that
//! changes under it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use testkit::site::{Running, TestSite, finish, until};
use testkit::{Services, Story, Trial, stories};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("eight_slots_serve_all_contexts_fairly_on_rabbitmq", |services| fair(&services.site_with_folder())),
        ("eight_slots_serve_all_contexts_fairly_on_the_embedded_queue", |_| fair(&TestSite::local())),
        ("every_slot_finishes_its_test_when_the_worker_is_told_to_stop", all_finish),
        ("every_slot_gives_its_request_back_when_the_worker_is_told_to_cancel", all_cancel),
        ("a_test_that_never_ends_is_ended_with_its_children", hung_test),
        ("a_testbed_that_fails_twice_costs_two_delays_and_is_remembered", fails_twice),
        ("what_failed_on_one_worker_is_tried_on_another", other_worker),
        ("a_slot_that_keeps_failing_pauses_and_says_so", pauses),
        ("requests_that_fail_pause_no_slot_when_a_probe_passes", probe_passes),
        ("a_slot_whose_probe_fails_pauses_with_the_probes_error", probe_fails),
        ("a_probe_passes_with_the_real_autopkgtest", real_probe),
        ("a_worker_whose_log_cannot_be_written_works_and_stops_as_usual", unwritable_log),
        ("a_store_that_does_not_let_the_worker_in_is_noticed_before_a_test", wrong_store),
        ("a_worker_needs_no_more_permissions_than_the_readme_says", permissions),
        ("an_endless_log_is_cut_in_the_middle", endless_log),
        ("a_changed_configuration_counts_from_the_next_request_on", reread),
        ("a_fault_in_the_overrides_skips_no_test", fail_closed),
        ("a_clock_that_is_set_back_hides_no_result", clock_set_back),
        ("a_mixed_load_leaves_memory_and_files_as_they_were", mixed_load),
    ];
    stories("soak", services, all)
}

/// What `worker status --json` tells, if a worker runs.
fn workers(site: &TestSite) -> Vec<Value> {
    let finished = site.run(&["worker", "status", "--json"]);
    match serde_json::from_str(&finished.out) {
        Ok(Value::Array(workers)) => workers,
        _ => Vec::new(),
    }
}

fn slots(site: &TestSite) -> Vec<Value> {
    workers(site).iter().flat_map(|worker| worker["slots"].as_array().cloned().unwrap_or_default()).collect()
}

fn in_state(site: &TestSite, state: &str) -> usize {
    slots(site).iter().filter(|slot| slot["state"] == state).count()
}

const CONTEXTS: [&str; 4] = ["debci-", "debci-huge-", "debci-ppa-", "debci-upstream-"];

fn fair(site: &TestSite) -> Result<(), Failed> {
    const EACH: usize = 125;
    let mut batch = String::new();
    for context in CONTEXTS {
        let name = context.trim_end_matches('-');
        let queue = format!("{context}{}-amd64", site.release);
        (0..EACH).for_each(|n| batch.push_str(&format!("{queue}:{name}-{n} {{\"triggers\": [\"a/1\"]}}\n")));
    }
    // A worker that finds nothing makes its queues.
    site.ok(&["worker", "--drain"]);
    site.submit(&batch);
    site.ok(&["worker", "--drain", "--slots", "8"]);
    let starts = site.starts();
    assert_eq!(starts.len(), 4 * EACH);
    assert_eq!(site.finished().len(), 4 * EACH);
    // While all four wait: bulk requests have a tenth, and the others the same share each. Eight tests start at about one time, so
    // each count may be off by as many.
    let count = |first: usize, name: &str| {
        let package = |started: &&String| started.rsplit_once('-').is_some_and(|(context, _)| context == name);
        starts.iter().take(first).filter(package).count()
    };
    for first in [50, 100, 200, 300, 400] {
        let huge = count(first, "debci-huge");
        assert!(huge.abs_diff(first / 10) <= 8, "{huge} bulk requests among the first {first}");
        for name in ["debci", "debci-ppa", "debci-upstream"] {
            let share = count(first, name);
            assert!(share.abs_diff(first * 3 / 10) <= 8, "{share} of {name} among the first {first}");
        }
    }
    Ok(())
}

/// Starts a worker with three slots, each with a test that goes on until the gate is there.
fn three_running(site: &TestSite) -> (Running, PathBuf, Vec<String>) {
    let gate = site.path().join("gate");
    let wait = format!("STUB_WAIT={}", gate.display());
    let mut ids: Vec<String> = ["one", "two", "three"].iter().map(|package| site.request(package, &[&wait])).collect();
    ids.sort();
    let worker = site.start(&["worker", "--slots", "3"]);
    until("all three run", || site.starts().len() == 3);
    (worker, gate, ids)
}

fn all_finish(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let (mut worker, gate, ids) = three_running(&site);
    let waiting = site.request("waiting", &[]);
    worker.signal(Signal::SIGHUP);
    until("the worker has heard the signal", || worker.stderr().contains("stopping"));
    fs::write(gate, "")?;
    let finished = worker.wait();
    assert_eq!(finished.status.code(), Some(10), "{finished:#?}");
    assert_eq!(site.finished(), ids, "nothing new was taken");
    site.ok(&["worker", "--drain"]);
    assert!(site.finished().contains(&waiting));
    Ok(())
}

fn all_cancel(services: &Services) -> Result<(), Failed> {
    let site = services.site();
    let (mut worker, gate, ids) = three_running(&site);
    worker.signal(Signal::SIGTERM);
    until("the worker has heard the signal", || worker.stderr().contains("stopping"));
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait().status.code(), Some(0));
    until("the requests are back", || site.sees(|queue| queue.ready == 3));
    fs::write(gate, "")?;
    site.ok(&["worker", "--drain", "--slots", "3"]);
    assert_eq!(site.finished(), ids);
    Ok(())
}

/// Whether a process is there and has not ended.
fn is_alive(id: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    !matches!(stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()), None | Some('Z' | 'X'))
}

fn hung_test(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    // Twelve seconds: the sum of the limits, and the margin.
    let limits = ["short", "install", "test", "copy", "build", "margin"];
    site.worker_options(&limits.map(|name| format!("timeout_{name} = 2\n")).concat());
    let pids = site.path().join("pids");
    site.request("hangs", &[&format!("STUB_HANG={}", pids.display())]);
    let mut worker = site.start(&["worker", "--drain"]);
    let mut seen = Vec::new();
    for attempt in 1..=3 {
        until(&format!("attempt {attempt} hangs"), || pids.exists());
        seen.push(fs::read_to_string(&pids)?);
        fs::remove_file(&pids)?;
    }
    let finished = worker.wait();
    assert!(finished.err.contains("did not end"), "{}", finished.err);
    let results = site.results();
    assert_eq!(results.len(), 1);
    assert_eq!((&results[0]["exitcode"], &results[0]["outcome"]), (&json!(16), &json!("tmpfail")));
    for id in seen.iter().flat_map(|pids| pids.split_whitespace()) {
        until("its processes are gone", || !is_alive(id));
    }
    Ok(())
}

/// The permissions that the documentation gives to the workers' user.
fn permissions(services: &Services) -> Result<(), Failed> {
    let text = include_str!("../docs/reference/rabbitmq.md");
    let line = text.lines().find_map(|line| line.split_once("set_permissions -p ci worker ")).expect("the command").1;
    let patterns: Vec<&str> = line.split(' ').map(|pattern| pattern.trim_matches('\'')).collect();
    let [configure, write, read] = patterns.as_slice() else { panic!("three patterns: {line}") };
    let url = services.rabbitmq().user("worker", [configure, write, read]);
    let site = services.site_with_folder();
    // Whoever sets the site up makes the queues.
    site.ok(&["worker", "--drain"]);
    let good = site.request("good", &[]);
    let weak = site.request("weak", &["STUB_FAILURES=1"]);
    site.plant("this is no request");
    let worker = site.run(&["worker", "--drain", "--slots", "2", "--queue", &url]);
    assert!(worker.status.success(), "{worker:#?}");
    for complaint in ["refused", "ACCESS", "not announced", "WARN", "cannot"] {
        let found =
            worker.err.lines().filter(|line| !line.contains("a dead letter")).find(|line| line.contains(complaint));
        assert_eq!(found, None, "{}", worker.err);
    }
    let mut both = [good, weak];
    both.sort();
    assert_eq!(site.finished(), both, "{}", worker.err);
    let attempts = site.starts().iter().filter(|package| *package == "weak").count();
    assert_eq!((attempts, &site.queue()["dead"]), (2, &json!(1)));
    // It may look as well.
    let looked = site.run(&["queues", &site.queue_name(), "--queue", &url]);
    assert!(looked.status.success() && looked.out.starts_with("dead\t"), "{looked:#?}");
    Ok(())
}

fn fails_twice(services: &Services) -> Result<(), Failed> {
    for site in [TestSite::local(), services.site_with_folder()] {
        let id = site.request("weak", &["STUB_FAILURES=2"]);
        let next = site.request("next", &[]);
        site.ok(&["worker", "--drain", "--name", "first"]);
        assert_eq!(site.starts(), ["weak", "next", "weak", "weak"], "others are not held up by a delay");
        let mut both = [id.clone(), next];
        both.sort();
        assert_eq!(site.finished(), both);
        let run = site.results().into_iter().find(|run| run["uuid"] == id).expect("a result");
        assert_eq!(run["outcome"], "pass");
        let testinfo: Value = serde_json::from_str(&site.member(&run, "testinfo.json"))?;
        let failures = testinfo["apt-ci"]["failures"].as_array().expect("the earlier failures").clone();
        assert_eq!(failures.len(), 2, "{testinfo}");
        for (n, failure) in failures.iter().enumerate() {
            assert_eq!((&failure["attempt"], &failure["worker"]), (&json!(n + 1), &json!("first")), "{testinfo}");
            assert!(failure["reason"].as_str().is_some_and(|reason| reason.contains("ended with 16")), "{testinfo}");
        }
    }
    Ok(())
}

fn other_worker(services: &Services) -> Result<(), Failed> {
    let site = services.site_with_folder();
    // A host whose testbeds always fail.
    let broken = site.path().join("broken/runner");
    fs::create_dir_all(&broken)?;
    let stub = fs::read_to_string(site.path().join("checkout/runner/autopkgtest"))?;
    fs::write(broken.join("autopkgtest"), stub.replace("exit \"$exit\"", "exit 16"))?;
    fs::set_permissions(broken.join("autopkgtest"), fs::Permissions::from_mode(0o755))?;
    let checkout = site.path().join("broken");
    let conf = format!("[autopkgtest]\ncheckout_dir = {}\nretry_delay = 15\n[virt]\nargs = null\n", checkout.display());
    fs::write(site.path().join("broken.conf"), conf)?;
    let mut bad = site.start(&["worker", "-c", "broken.conf", "--name", "bad"]);
    until("the bad worker waits", || site.sees(|queue| queue.consumers == 1));
    let id = site.request("gzip", &[]);
    until("it fails there", || site.sees(|queue| queue.delayed == 1));
    let mut good = site.start_elsewhere(&["worker", "--name", "good"]);
    until("the request is done", || site.has_results_of(&[&id]));
    let run = site.results().pop().expect("a result");
    assert_eq!(run["outcome"], "pass");
    let testinfo: Value = serde_json::from_str(&site.member(&run, "testinfo.json"))?;
    let (own, failures) = (&testinfo["apt-ci"], &testinfo["apt-ci"]["failures"]);
    assert_eq!((&own["worker"], failures.as_array().map(Vec::len)), (&json!("good"), Some(1)), "{testinfo}");
    assert_eq!(failures[0]["worker"], "bad");
    for worker in [&mut bad, &mut good] {
        worker.signal(Signal::SIGTERM);
        assert_eq!(worker.wait().status.code(), Some(0));
    }
    Ok(())
}

fn pauses(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let id = site.request("gzip", &[]);
    let (there, away) = (site.path().join("checkout"), site.path().join("elsewhere"));
    fs::rename(&there, &away)?;
    // A worker that shall end says so with its exit code.
    let finished = site.run(&["worker", "--drain"]);
    assert_eq!(finished.status.code(), Some(1), "{finished:#?}");
    assert!(finished.err.contains("out of service"), "{}", finished.err);
    // One that shall stay goes on trying, more and more rarely.
    site.worker_options("retry_delay = 600\n");
    let mut worker = site.start(&["worker"]);
    until("its slot pauses", || in_state(&site, "paused") == 1);
    let slot = slots(&site).pop().expect("a slot");
    assert!(
        slot["last_failure"].as_str().is_some_and(|reason| reason.contains("autopkgtest is not installed")),
        "{slot}"
    );
    assert_eq!(slot["failures_in_a_row"], 3, "{slot}");
    assert!(site.ok(&["worker", "status"]).contains("paused"));
    assert_eq!(site.queue()["ready"], 1, "the request waits for another worker");
    // Whoever has mended it need not wait for the end of the pause.
    fs::rename(&away, &there)?;
    site.ok(&["worker", "reload"]);
    until("the request is done", || site.has_results_of(&[&id]));
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait().status.code(), Some(0));
    Ok(())
}

fn probe_passes(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    site.worker_options("retry_delay = 0\n");
    for name in ["bad1", "bad2", "bad3"] {
        site.request(name, &["STUB_EXIT=16"]);
    }
    let good = site.request("good", &[]);
    let finished = site.run(&["worker", "--drain"]);
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    assert!(finished.err.contains("the probe passed: the requests were at fault"), "{}", finished.err);
    assert!(site.finished().contains(&good));
    let failed = site.results().iter().filter(|run| run["outcome"] == "tmpfail").count();
    assert_eq!(failed, 3, "each was tried three times, and that is its result");
    assert_eq!(site.starts().len(), 10, "a probe is no test: {:?}", site.starts());
    assert_eq!(fs::read_dir(site.path().join("home/.local/state/apt-ci/work"))?.count(), 0, "it leaves nothing");
    Ok(())
}

fn probe_fails(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    site.worker_options("retry_delay = 600\n");
    let gate = site.path().join("checkout/runner/probe-fails");
    fs::write(&gate, "autopkgtest [stub]: ERROR: testbed failure: no more instances\n")?;
    for name in ["one", "two", "three", "four"] {
        site.request(name, &["STUB_FAILURES=1"]);
    }
    let mut worker = site.start(&["worker"]);
    until("its slot pauses", || in_state(&site, "paused") == 1);
    let slot = slots(&site).pop().expect("a slot");
    let reason = slot["last_failure"].as_str().unwrap_or_default();
    assert!(
        reason.contains("a test that does nothing failed as well") && reason.contains("no more instances"),
        "{slot}"
    );
    assert_eq!(site.starts().len(), 3, "nothing more is taken");
    // Before it takes a request again, it probes again.
    site.ok(&["worker", "reload"]);
    until("it has probed again", || slots(&site).pop().is_some_and(|slot| slot["failures_in_a_row"] == 5));
    assert_eq!(site.starts().len(), 3);
    fs::remove_file(&gate)?;
    site.ok(&["worker", "reload"]);
    until("it takes the last one", || site.starts().len() == 4);
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait().status.code(), Some(0));
    Ok(())
}

fn real_probe(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    site.worker_options("retry_delay = 0\n");
    // Only probes reach the real program.
    let script = "#!/bin/sh\ncase \"$*\" in *--help* | */tree/*) exec /usr/bin/autopkgtest \"$@\" ;; esac\nexit 16\n";
    fs::write(site.path().join("checkout/runner/autopkgtest"), script)?;
    site.request("bad", &[]);
    let finished = site.run(&["worker", "--drain"]);
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    assert!(finished.err.contains("the probe passed: the requests were at fault"), "{}", finished.err);
    // What the operator has set up is part of it.
    site.worker_options("retry_delay = 0\nsetup_command = false\n");
    site.request("bad", &[]);
    let finished = site.run(&["worker", "--drain"]);
    assert_eq!(finished.status.code(), Some(1), "{finished:#?}");
    assert!(finished.err.contains("testbed setup commands failed with status 1"), "{}", finished.err);
    Ok(())
}

fn unwritable_log(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    site.request("gzip", &["STUB_FAILURES=1"]);
    let program = env!("CARGO_BIN_EXE_apt-ci");
    let run = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(site.path());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", site.path().join("home"));
        finish(command)
    };
    let finished = run(&format!("{program} worker --drain 2>/dev/full"));
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    assert_eq!(site.results().len(), 1);
    for command in ["results", "queues", "run -s nowhere gzip", "worker status"] {
        let status = run(&format!("{program} {command} 2>/dev/full")).status.code();
        assert!(status.is_some_and(|code| code <= 2), "{command}: {status:?}");
    }
    // A reader that is gone, and one that does not read: the worker goes on, and stops when it is told to.
    for reader in ["exec true", "exec sleep 1000"] {
        let script = format!(
            "mkfifo log && ({reader} <log & echo $! >reader); exec {program} worker --name $(printf %099d 0) -vvv 2>log"
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(site.path());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", site.path().join("home"));
        let mut worker = command.spawn()?;
        let id = site.request("gzip", &[]);
        until("the test is done", || site.has_result_of(&id));
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(worker.id().try_into()?), Signal::SIGTERM)?;
        let mut ended = None;
        until("it ends", || {
            ended = worker.try_wait().expect("a child");
            ended.is_some()
        });
        assert_eq!(ended.and_then(|status| status.code()), Some(0), "{reader}");
        let reader = fs::read_to_string(site.path().join("reader"))?;
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(reader.trim().parse()?), Signal::SIGKILL);
        fs::remove_file(site.path().join("log"))?;
    }
    Ok(())
}

fn wrong_store(services: &Services) -> Result<(), Failed> {
    let swift = services.swift();
    let wrong = swift.environment().into_iter().map(|(name, value)| match name.as_str() {
        "ST_KEY" | "OS_PASSWORD" => (name, "wrong".to_owned()),
        _ => (name, value),
    });
    let site = TestSite::on("local:queue", "swift:", wrong.collect());
    site.request("gzip", &[]);
    let finished = site.run(&["worker", "--drain"]);
    assert_eq!(finished.status.code(), Some(1), "{finished:#?}");
    assert!(finished.err.contains("the store") && finished.err.contains("refused"), "{}", finished.err);
    assert_eq!(site.starts().len(), 0, "no test is run in vain");
    let checked = site.run(&["worker", "check"]);
    assert_eq!(checked.status.code(), Some(1), "{checked:#?}");
    assert!(checked.out.contains("the store") && checked.out.contains("refused"), "{}", checked.out);
    Ok(())
}

fn endless_log(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    site.request("loud", &["STUB_LOG=400"]);
    site.ok(&["worker", "--drain"]);
    let run = site.results().pop().expect("a result");
    let log = Command::new("zcat").arg(site.folder_of(&run).join("log.gz")).output()?.stdout;
    assert!(log.len() < 200 << 20, "{} bytes", log.len());
    let text = String::from_utf8(log)?;
    assert!(text.starts_with("autopkgtest [stub]: starting loud\n"));
    assert!(text.ends_with("autopkgtest [stub]: the end\n"));
    let other = text.lines().filter(|line| *line != "This line is repeated until the log is as long as it shall be.");
    let other: Vec<&str> = other.collect();
    assert!(other.iter().any(|line| line.contains("bytes") && line.contains("left out")), "{other:?}");
    assert!(other.len() <= 5, "lines are left out whole: {other:?}");
    Ok(())
}

fn reread(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let overrides = site.path().join("overrides");
    fs::create_dir(&overrides)?;
    site.worker_options("per_package_config_dir = overrides\n");
    let gate = site.path().join("gate");
    site.request("first", &[&format!("STUB_WAIT={}", gate.display())]);
    let next = site.request("next", &[]);
    let mut worker = site.start(&["worker", "--drain"]);
    until("the first one runs", || site.starts().len() == 1);
    fs::write(overrides.join("never_run"), "# Breaks its testbed.\nnext/amd64\n")?;
    fs::write(gate, "")?;
    let finished = worker.wait();
    assert!(finished.status.success(), "{finished:#?}");
    assert_eq!(site.starts(), ["first"]);
    let run = site.results().into_iter().find(|run| run["uuid"] == next).expect("a result");
    assert_eq!((&run["exitcode"], &run["version"]), (&json!(99), &json!("blacklisted")), "{run}");
    let log = site.ok(&["log", run["path"].as_str().expect("a path")]);
    assert!(log.contains("never_run:2"), "who wonders is told which line it was: {log}");
    Ok(())
}

fn fail_closed(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let overrides = site.path().join("overrides");
    fs::create_dir(&overrides)?;
    site.worker_options("per_package_config_dir = overrides\n");
    // A forgotten name, a forgotten comment sign, too much, and not even text: nothing of that may skip a test.
    fs::write(overrides.join("never_run"), b"/amd64\ngzip hangs since monday\ngzip/amd64/sid/x\n\xff\xfe*\nother\n")?;
    fs::create_dir(overrides.join("big_packages"))?;
    let id = site.request("gzip", &[]);
    site.request("other", &[]);
    let finished = site.run(&["worker", "--drain"]);
    assert!(finished.status.success(), "{finished:#?}");
    for line in 1..=4 {
        assert!(finished.err.contains(&format!("never_run:{line}: ")), "{}", finished.err);
    }
    assert!(finished.err.contains("big_packages"), "{}", finished.err);
    assert_eq!(site.starts(), ["gzip"], "the line without a fault counts");
    assert!(site.finished().contains(&id));
    let check = site.run(&["worker", "check"]);
    assert_eq!(check.status.code(), Some(1), "{check:#?}");
    assert!(check.out.contains("never_run:3"), "{check:#?}");
    Ok(())
}

fn clock_set_back(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let first = site.request("gzip", &[]);
    site.ok(&["worker", "--drain"]);
    let second = site.request("gzip", &[]);
    // The worker's clock, and nothing else, is an hour late.
    let mut command = Command::new("faketime");
    command.args(["-f", "-1h"]).arg(env!("CARGO_BIN_EXE_apt-ci")).args(["worker", "--drain"]);
    command.current_dir(site.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", site.path().join("home")).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let finished = finish(command);
    assert!(finished.status.success(), "{finished:#?}");
    // Who asks for what came after the first run sees the second.
    let mut runs: Vec<(String, String)> = site
        .results()
        .iter()
        .map(|run| (run["run"].as_str().expect("a run").to_owned(), run["uuid"].as_str().expect("an id").to_owned()))
        .collect();
    runs.sort();
    assert_eq!(runs.into_iter().map(|(_, id)| id).collect::<Vec<_>>(), [first, second]);
    Ok(())
}

/// Seconds since the begin, requests, resident memory in kB, and open files.
type Sample = (u64, usize, u64, usize);

/// What a process holds: resident memory in kB, and open files.
fn holdings(id: u32) -> (u64, usize) {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("the worker runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("resident memory");
    let files = fs::read_dir(format!("/proc/{id}/fd")).expect("the worker runs").count();
    (resident.trim().trim_end_matches(" kB").parse().expect("a number"), files)
}

/// Tests that pass, fail, are skipped, are private, are not to be run, fail with their testbed for a while or for good, and are loud.
fn mixture(site: &TestSite, round: usize) -> String {
    let queue = |context: &str| format!("debci-{context}{}-amd64", site.release);
    let mut lines = String::new();
    for n in 0..4 {
        let plain = [
            (queue(""), format!("pass{n}"), json!({"triggers": ["a/1"]})),
            (queue(""), format!("fail{n}"), json!({"triggers": ["a/1"], "env": ["STUB_EXIT=4"]})),
            (queue("huge-"), format!("bulk{n}"), json!({"triggers": ["b/1"], "env": ["STUB_EXIT=8"]})),
            (queue("upstream-"), format!("private{n}"), json!({"swiftuser": "ann", "env": ["STUB_SIZE=200"]})),
            (queue(""), format!("never{n}"), json!({"triggers": ["a/1"]})),
            (queue("ppa-"), format!("loud{n}"), json!({"env": ["STUB_LOG=1"]})),
        ];
        for (queue, package, parameters) in plain {
            lines.push_str(&format!("{queue}:{package} {parameters}\n"));
        }
    }
    let weak = json!({"env": ["STUB_FAILURES=1"]});
    lines.push_str(&format!("{}:weak{round} {weak}\n", queue("")));
    lines
}

fn mixed_load(services: &Services) -> Result<(), Failed> {
    // A longer load: APT_CI_TEST_MINUTES=120 cargo test --test system -- mixed_load
    // APT_CI_TEST_ROUND_SECONDS=20 begins no round sooner than that after the one before.
    let number = |name: &str| std::env::var(name).map_or(0, |text| text.parse().expect("a number"));
    let (minutes, pace) = (number("APT_CI_TEST_MINUTES"), Duration::from_secs(number("APT_CI_TEST_ROUND_SECONDS")));
    let site = services.site();
    let overrides = site.path().join("overrides");
    fs::create_dir(&overrides)?;
    fs::write(overrides.join("never_run"), "never*\n")?;
    site.worker_options("per_package_config_dir = overrides\n");
    let mut worker = site.start(&["worker", "--slots", "4"]);
    let begin = Instant::now();
    let mut samples: Vec<Sample> = Vec::new();
    let mut rounds = 0;
    while rounds < 12 || begin.elapsed() < Duration::from_secs(60 * minutes) {
        std::thread::sleep((pace * u32::try_from(rounds)?).saturating_sub(begin.elapsed()));
        site.submit(&mixture(&site, rounds));
        rounds += 1;
        // The queues are the site's only; one per context.
        until("this round is done", || {
            CONTEXTS.iter().all(|context| {
                let queue = format!("{context}{}-amd64", site.release);
                site.sees_in(&queue, |queue| queue.ready + queue.claimed + queue.delayed == 0)
            })
        });
        let (memory, files) = holdings(worker.id());
        samples.push((begin.elapsed().as_secs(), rounds * 25, memory, files));
        if let Some(file) = std::env::var_os("APT_CI_TEST_SAMPLES") {
            let lines: Vec<String> = samples
                .iter()
                .map(|(seconds, requests, memory, files)| format!("{seconds}\t{requests}\t{memory}\t{files}"))
                .collect();
            fs::write(file, lines.join("\n"))?;
        }
    }
    // It settles in the first half; from then on nothing grows. What a moment needs is given back
    // or used again, so the least of the last quarter counts: a leak raises that, too.
    let (settled, last) = (&samples[..samples.len() / 2], &samples[samples.len() * 3 / 4..]);
    let (memory, files) = (|sample: &Sample| sample.2, |sample: &Sample| sample.3);
    let (most_memory, most_files) = (settled.iter().map(memory).max(), settled.iter().map(files).max());
    let (least_memory, least_files) = (last.iter().map(memory).min(), last.iter().map(files).min());
    let grows =
        least_memory > most_memory.map(|memory| memory + 4096) || least_files > most_files.map(|files| files + 4);
    assert!(!grows, "it grows: {samples:?}");
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.wait().status.code(), Some(0));
    assert_eq!(site.queue()["dead"], 0);
    Ok(())
}
