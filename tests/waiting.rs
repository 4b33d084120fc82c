//! Waiting for the tests that one has asked for.

use std::fs::{self, File};
use std::sync::Arc;

use libtest_mimic::Failed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use testkit::site::{TestSite, until};
use testkit::{Services, Story, Trial, stories};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("the_exit_code_tells_how_the_tests_ended", verdicts),
        ("a_program_gets_an_event_per_line", events),
        ("ctrl_c_ends_the_waiting_and_not_the_test", attached_again),
        ("a_request_that_is_taken_away_ends_the_waiting", taken_away),
    ];
    stories("waiting", services, all)
}

/// What is asked for, on this site.
fn asking<'a>(site: &'a TestSite, further: &[&'a str]) -> Vec<&'a str> {
    [&["run", "-s", &site.release, "--trigger", "trigger/1", "--wait"], further].concat()
}

fn verdicts(services: &Services) -> Result<(), Failed> {
    for site in [TestSite::local(), services.site()] {
        let _worker = site.start(&["worker"]);
        for (further, code, outcome) in [
            (&["gzip"][..], 0, "pass"),
            (&["--env", "STUB_EXIT=8", "gzip"], 0, "neutral"),
            (&["--env", "STUB_EXIT=4", "gzip"], 3, "fail"),
            (&["--env", "STUB_EXIT=16", "gzip"], 4, "tmpfail"),
        ] {
            let finished = site.run(&asking(&site, further));
            assert_eq!(finished.status.code(), Some(code), "{further:?}: {finished:#?}");
            let lines: Vec<Vec<&str>> = finished.out.lines().map(|line| line.split('\t').collect()).collect();
            assert_eq!((lines.len(), lines[0][0], lines[0][1]), (1, outcome, "gzip"), "{finished:#?}");
            assert_eq!(lines[0][3], site.queue_name());
            assert!(site.results().iter().any(|run| run["run"] == lines[0][5]), "{finished:#?}");
            assert!(finished.err.contains(&format!("{outcome} after ")), "{finished:#?}");
        }
        // A package without the only test that was asked for has passed nothing.
        let named = ["--env", "STUB_EXIT=8", "--testname", "nope", "gzip"];
        let finished = site.run(&asking(&site, &named));
        assert_eq!(finished.status.code(), Some(4), "{finished:#?}");
        assert!(finished.err.contains("the package has no test nope"), "{finished:#?}");
        let run = finished.out.trim_end().rsplit('\t').next().expect("a run");
        let shown = site.ok(&["results", "show", run]);
        assert!(shown.contains("not run: the package has no test nope"), "{shown}");
        let both = site.run(&asking(&site, &["dpkg", "apt", "--env", "X=1"]));
        assert_eq!((both.status.code(), both.out.lines().count()), (Some(0), 2), "{both:#?}");
    }
    Ok(())
}

fn events(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let out = site.path().join("events");
    let mut command = site.command(&asking(&site, &["gzip", "--json"]));
    let mut waiting = command.stdout(File::create(&out)?).spawn()?;
    let events = || -> Vec<Value> {
        let text = fs::read_to_string(&out).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    until("it is queued", || events().iter().any(|event| event["state"] == "queued" && event["position"] == 1));
    site.ok(&["worker", "--drain", "-q"]);
    assert!(waiting.wait()?.success());
    let last = events().pop().expect("an event");
    assert_eq!((&last["state"], &last["run"]["outcome"]), (&"done".into(), &"pass".into()), "{last}");
    assert_eq!(last["package"], "gzip");
    assert!(site.finished().contains(&last["uuid"].as_str().expect("an id").to_owned()));
    Ok(())
}

fn attached_again(services: &Services) -> Result<(), Failed> {
    for site in [TestSite::local(), services.site_with_folder()] {
        let gate = site.path().join("gate");
        let wait = format!("STUB_WAIT={}", gate.display());
        let _worker = site.start(&["worker"]);
        let err = site.path().join("waiting.err");
        let mut command = site.command(&asking(&site, &["--env", &wait, "gzip"]));
        let mut waiting = command.stderr(File::create(&err)?).spawn()?;
        let said = || fs::read_to_string(&err).unwrap_or_default();
        until("it is seen to run", || said().contains("gzip in") && said().contains(" runs on "));
        kill(Pid::from_raw(waiting.id().cast_signed()), Signal::SIGINT)?;
        assert_eq!(waiting.wait()?.code(), Some(130));
        let said = said();
        let id = said.split_once("--watch ").expect("how to watch again").1.split('`').next().expect("an id");
        assert_eq!(site.finished().len(), 0, "the test goes on");
        let out = site.path().join("watched");
        // The beginning of its id is enough.
        let mut command = site.command(&["run", "--watch", &id[..13]]);
        let mut watching = command.stdout(File::create(&out)?).spawn()?;
        fs::write(gate, "")?;
        assert!(watching.wait()?.success());
        assert!(fs::read_to_string(out)?.starts_with("pass\tgzip\t"));
        // Who comes late learns the same.
        assert!(site.ok(&["run", "--watch", id, &id[..13]]).starts_with("pass\tgzip\t"));
        let nobody = site.run(&["run", "--watch", "nobody"]);
        assert_eq!(nobody.status.code(), Some(1), "{nobody:#?}");
        assert!(nobody.err.contains("no request nobody is queued or running"), "{nobody:#?}");
        assert_eq!(site.run(&["run", "--watch", id, "--trigger", "a/1"]).status.code(), Some(2));
    }
    Ok(())
}

fn taken_away(services: &Services) -> Result<(), Failed> {
    for site in [TestSite::local(), services.site_with_folder()] {
        let gate = site.path().join("gate");
        let wait = format!("STUB_WAIT={}", gate.display());
        let out = site.path().join("out");
        let mut command = site.command(&asking(&site, &["--env", &wait, "one", "two"]));
        let mut waiting = command.stdout(File::create(&out)?).spawn()?;
        until("both are queued", || site.sees(|queue| queue.ready == 2));
        site.ok(&["queues", "remove", &site.queue_name(), "--match", "package=two", "--yes"]);
        let _worker = site.start(&["worker"]);
        until("the other one runs", || !site.starts().is_empty());
        until("it is cancelled", || {
            site.run(&["cancel", "--match", "package=one", "--yes"]).err.contains("Cancelling the test of one")
        });
        assert_eq!(waiting.wait()?.code(), Some(4));
        let text = fs::read_to_string(out)?;
        assert!(text.contains("dead\tone\t") && text.contains("cancelled by"), "{text}");
        assert!(text.contains("removed\ttwo\t"), "{text}");
    }
    Ok(())
}
