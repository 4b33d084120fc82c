//! What people and scripts type at `apt-ci run`, and what they get wrong.

use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testkit::daemon::free_port;
use testkit::site::{Finished, TestSite, until};
use testkit::{Services, Story, Trial, stories};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("one_line_per_request_with_queue_and_id", one_line_per_request),
        ("bad_input_names_the_rule_and_queues_nothing", bad_input),
        ("every_parameter_has_a_flag", parameters),
        ("what_waits_or_runs_already_is_not_sent_again", duplicates),
        ("a_batch_is_all_or_nothing", batch),
        ("a_dry_run_prints_what_a_batch_reads", dry_run),
        ("a_mistyped_release_is_refused", mistyped_release),
        ("a_queue_that_does_not_exist_is_refused_with_its_neighbours", missing_queue),
        ("ten_thousand_requests_in_one_call", ten_thousand),
        ("who_interrupts_a_bulk_learns_what_is_queued", interrupted),
        ("a_folder_that_cannot_be_a_queue_is_not_called_a_server", no_folder),
        ("a_broker_that_is_away_is_said_so_within_ten_seconds", broker_away),
    ];
    stories("requests", services, all)
}

fn refused(site: &TestSite, arguments: &[&str]) -> Finished {
    let finished = site.run(arguments);
    assert_eq!(finished.status.code(), Some(2), "{arguments:?}: {finished:#?}");
    assert_eq!(finished.out, "", "{arguments:?}");
    finished
}

fn one_line_per_request(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let out = site.ok(&["run", "-s", &site.release, "--trigger", "glib2.0/2.46.1-2", "libpng", "udisks2", "libpng"]);
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines.len(), 2, "a package that is named twice is tested once: {out}");
    assert_eq!((lines[0][0], lines[0][1], lines[1][1]), (site.queue_name().as_str(), "libpng", "udisks2"));
    assert!(uuid::Uuid::parse_str(lines[0][2]).is_ok(), "{out}");
    assert_ne!(lines[0][2], lines[1][2]);
    let queued = site.json(&["queues", &site.queue_name()]);
    assert_eq!(queued["ready"][0]["package"], "libpng");
    assert_eq!(queued["ready"][0]["parameters"]["triggers"][0], "glib2.0/2.46.1-2");
    assert_eq!(queued["ready"][0]["parameters"]["uuid"], lines[0][2]);
    assert!(queued["ready"][0]["parameters"]["submit-time"].is_string());
    Ok(())
}

fn bad_input(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let release = site.release.clone();
    site.request("first", &[]);
    let good = ["run", "-s", &release, "--trigger", "a/1", "good"];
    for (bad, rule) in [
        (&["../etc"][..], "a source package's name is"),
        (&["--trigger", "gzip"], "a trigger must have the form SRC/VERSION"),
        (&["--trigger", "gzip/1;2"], "a version is"),
        (&["--env", "1X=2"], "a variable's name is"),
        (&["--env", "NOVALUE"], "VAR=value"),
        (&["--testname", "a b"], "a test's name is"),
        (&["-a", "AMD64"], "an architecture is"),
        (&["--trigger", "migration-reference/0"], "the baseline stands alone"),
    ] {
        let arguments: Vec<&str> = good.iter().chain(bad).copied().collect();
        let finished = refused(&site, &arguments);
        assert!(finished.err.contains(rule), "{bad:?}: {}", finished.err);
    }
    refused(&site, &["run", "-s", "Xenial", "--trigger", "a/1", "good"]);
    refused(&site, &["run", "-s", &release, "good"]);
    refused(&site, &["run", "-s", &release, "--trigger", "a/1"]);
    assert_eq!(site.queue()["ready"], 1, "only the good request before them is queued");
    Ok(())
}

fn parameters(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let release = site.release.clone();
    let line = |further: &[&str]| {
        let arguments = [&["run", "-n", "-s", &release, "gzip"], further].concat();
        site.ok(&arguments).trim_end().to_owned()
    };
    let parsed = |further: &[&str]| {
        let line = line(further);
        let (queue, request) = line.split_once(':').expect("a line of a batch");
        let parameters: serde_json::Value = serde_json::from_str(&request["gzip ".len()..]).expect("JSON");
        (queue.to_owned(), parameters)
    };
    let (queue, parameters) =
        parsed(&["--ppa", "me/one", "--ppa", "me/two", "--swiftuser", "alice", "--readable-by", "bob"]);
    assert_eq!(queue, format!("debci-ppa-{release}-amd64"));
    assert_eq!(parameters["ppas"], serde_json::json!(["me/one", "me/two"]));
    assert_eq!((&parameters["swiftuser"], &parameters["readable-by"][0]), (&"alice".into(), &"bob".into()));
    for (flag, key) in [("--test-git", "test-git"), ("--build-git", "build-git"), ("--test-bzr", "test-bzr")] {
        let (queue, parameters) = parsed(&[flag, "https://host/gzip"]);
        assert_eq!(queue, format!("debci-upstream-{release}-amd64"), "{flag}");
        assert_eq!(parameters[key], "https://host/gzip");
    }
    let (queue, parameters) = parsed(&["--baseline", "--bulk"]);
    assert_eq!(queue, format!("debci-huge-{release}-amd64"));
    assert_eq!(parameters["triggers"], serde_json::json!(["migration-reference/0"]));
    assert_eq!(parsed(&["--ppa", "me/one", "--context", "distribution"]).0, site.queue_name());
    for (wrong, rule) in [
        (&["--baseline", "--trigger", "a/1"][..], "cannot be used with"),
        (&["--baseline", "--ppa", "me/one"], "cannot be used with"),
        (&["--baseline", "--all-proposed"], "cannot be used with"),
        (&["--trigger", "a/1", "--test-git", "https://host/x", "--build-git", "https://host/x"], "cannot be used with"),
        (&["--test-git", "ssh://host/x"], "must begin with http:// or https:// or git://"),
        (&["--trigger", "a/1", "--context", "bulk"], "the contexts are"),
        (&["--ppa", "me"], "error: --ppa me: a PPA must have the form OWNER/NAME"),
        (&["--ppa", "me:hunter2@me/private"], "a PPA's token must not be given on the command line"),
    ] {
        let finished = refused(&site, &[&["run", "-s", &release, "gzip"], wrong].concat());
        assert!(finished.err.contains(rule), "{wrong:?}: {}", finished.err);
        assert!(!finished.err.contains("hunter2"), "a token is not shown: {}", finished.err);
    }
    Ok(())
}

fn duplicates(services: &Services) -> Result<(), Failed> {
    for site in [TestSite::local(), services.site_with_folder()] {
        let site = site.with_pocket("proposed");
        let release = site.release.clone();
        let ask = |further: &[&str]| {
            let request = ["run", "-s", &release, "--trigger", "a/1", "gzip"];
            site.run(&[&request[..], further].concat())
        };
        let first = ask(&["--requester", "me"]);
        let id = first.out.trim_end().split('\t').nth(2).expect("an id").to_owned();
        let again = ask(&["--requester", "you"]);
        assert!(again.status.success() && again.out.is_empty(), "{again:#?}");
        let said = format!("gzip in {} is already queued as {id}.", site.queue_name());
        assert!(again.err.contains(&said) && again.err.contains("--force"), "{}", again.err);
        let told: serde_json::Value = serde_json::from_str(&ask(&["--json", "bzip2", "bzip2"]).out)?;
        assert_eq!((&told[0]["package"], &told[0]["state"]), (&"bzip2".into(), &"queued".into()));
        assert_eq!((&told[1]["uuid"], &told[1]["state"]), (&id.as_str().into(), &"already-queued".into()));
        assert_eq!(site.queue()["ready"], 2);
        assert!(!ask(&["--all-proposed"]).out.is_empty(), "another parameter makes another test");
        assert!(!ask(&["--force"]).out.is_empty());
        assert_eq!(site.queue()["ready"], 4);
        let line = format!("{}:new {{\"triggers\": [\"a/1\"]}}\n", site.queue_name());
        fs::write(site.path().join("batch"), line.repeat(3))?;
        let batch = site.run(&["run", "--batch", "batch"]);
        assert_eq!(batch.out.lines().count(), 1, "{batch:#?}");
        assert!(batch.err.contains("is requested twice"), "{}", batch.err);
        site.ok(&["queues", "purge", &site.queue_name(), "--yes"]);
        let gate = site.path().join("gate");
        let wait = format!("STUB_WAIT={}", gate.display());
        let id = ask(&["--env", &wait]).out.trim_end().split('\t').nth(2).expect("an id").to_owned();
        let mut worker = site.start(&["worker", "--name", "host1"]);
        until("it runs", || !site.starts().is_empty());
        until("its worker tells so", || site.ok(&["running", "-s", &site.release]).contains(&id));
        until("whoever asks is told so", || ask(&["--env", &wait]).err.contains("is already running for"));
        let again = ask(&["--env", &wait]);
        assert!(again.out.is_empty() && again.err.contains(&format!("on host1 as {id}")), "{again:#?}");
        fs::write(gate, "")?;
        until("it is done", || site.has_results_of(&[&id]));
        assert!(!ask(&["--env", &wait]).out.is_empty(), "what has ended may be asked for again");
        worker.signal(Signal::SIGTERM);
        worker.wait();
    }
    Ok(())
}

fn batch(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let queue = site.queue_name();
    let file = site.path().join("batch");
    let name = file.to_str().expect("a path in UTF-8");
    let good = format!("{queue}:gedit {{\"triggers\": [\"glib2.0/2.20-1 gtk/3\"]}}\n\n{queue}:gzip\n");
    for (line, message) in [
        ("nonsense", "line 4: must have the form QUEUE:PACKAGE {json}"),
        ("debci-x:gzip", "a queue is named"),
        (&format!("{queue}:gzip {{"), "are not JSON"),
        (&format!("{queue}:gzip {{\"ppas\": [\"u:hunter2@o\"]}}"), "a PPA must have the form OWNER/NAME"),
    ] {
        fs::write(&file, format!("{good}{line}\n"))?;
        let finished = refused(&site, &["run", "--batch", name]);
        assert!(finished.err.contains("line 4") && finished.err.contains(message), "{line}: {}", finished.err);
        assert!(!finished.err.contains("hunter2"), "a token is not shown");
    }
    fs::write(&file, format!("{good}nonsense\n{queue}:tar\ndebci-x:gzip\n"))?;
    let finished = refused(&site, &["run", "--batch", name]);
    for said in ["line 4: must have the form", "line 6: queue \"debci-x\": a queue is named", "nothing was queued"] {
        assert!(finished.err.contains(said), "{said}: {}", finished.err);
    }
    let missing = refused(&site, &["run", "--batch", "nothing"]);
    assert!(missing.err.contains("cannot read nothing: No such file or directory"), "{}", missing.err);
    fs::write(&file, [good.as_bytes(), b"gzip\xff\n"].concat())?;
    let finished = refused(&site, &["run", "--batch", name]);
    assert!(finished.err.contains("line 4: not UTF-8"), "{}", finished.err);
    fs::write(&file, good)?;
    site.ok(&["run", "--batch", name, "--requester", "britney"]);
    let queued = site.json(&["queues", &queue]);
    assert_eq!(queued["ready"].as_array().map(Vec::len), Some(2));
    assert_eq!(queued["ready"][0]["parameters"]["triggers"], serde_json::json!(["glib2.0/2.20-1", "gtk/3"]));
    assert_eq!(queued["ready"][1]["parameters"]["requester"], "britney");
    Ok(())
}

fn dry_run(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local().with_pocket("proposed");
    let lines = site.ok(&[
        "run",
        "-n",
        "-s",
        &site.release,
        "--trigger",
        "a/1",
        "--env",
        "X=1 \"2\"",
        "--all-proposed",
        "gzip",
    ]);
    assert!(!site.path().join("queue").exists(), "nothing is touched");
    let file = site.path().join("batch");
    fs::write(&file, &lines)?;
    let again = site.ok(&["run", "-n", "--batch", file.to_str().expect("a path in UTF-8")]);
    assert_eq!(lines, again);
    Ok(())
}

fn mistyped_release(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let finished = refused(&site, &["run", "-s", "bokworm", "--trigger", "a/1", "gzip"]);
    assert!(finished.err.contains("unknown release bokworm"), "{}", finished.err);
    assert!(finished.err.contains(&site.release) && finished.err.contains("apt-ci.toml"), "{}", finished.err);
    assert!(finished.err.contains("add bokworm to [releases]"), "{}", finished.err);
    let finished = refused(&site, &["run", "-s", &site.release[..9], "--trigger", "a/1", "gzip"]);
    assert!(finished.err.contains(&format!("hint: did you mean {}?", site.release)), "{}", finished.err);
    Ok(())
}

fn missing_queue(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    site.request("first", &[]);
    let mistyped = format!("{}x", site.release);
    let finished = refused(&site, &["run", "-s", &mistyped, "-a", "amd64", "--trigger", "a/1", "gzip"]);
    assert!(finished.err.contains(&format!("the queue debci-{mistyped}-amd64 does not exist")), "{}", finished.err);
    assert!(finished.err.contains(&format!("similar names: {}", site.queue_name())), "{}", finished.err);
    // With one good queue beside it: nothing either.
    let file = site.path().join("batch");
    fs::write(&file, format!("{}:gzip\ndebci-{mistyped}-amd64:gzip\n", site.queue_name()))?;
    refused(&site, &["run", "--batch", file.to_str().expect("a path in UTF-8")]);
    assert_eq!(site.queue()["ready"], 1);
    Ok(())
}

fn ten_thousand(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let file = site.path().join("batch");
    let lines: String =
        (0..10_000).map(|n| format!("{}:p{n} {{\"triggers\": [\"a/1\"]}}\n", site.queue_name())).collect();
    fs::write(&file, lines)?;
    let out = site.ok(&["run", "--batch", file.to_str().expect("a path in UTF-8")]);
    assert_eq!(out.lines().count(), 10_000);
    assert_eq!(site.queue()["ready"], 10_000);
    let shown = site.json(&["queues", &site.queue_name(), "--limit", "3"]);
    assert_eq!(shown["ready"].as_array().map(Vec::len), Some(3));
    assert_eq!(shown["ready"][2]["package"], "p2");
    Ok(())
}

fn no_folder(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let finished = site.run(&["queues", "--queue", "local:apt-ci.toml"]);
    assert_eq!(finished.status.code(), Some(1), "{finished:#?}");
    assert!(finished.err.contains("cannot reach the queue local:"), "{}", finished.err);
    assert!(finished.err.contains("hint: check that you can create and write that folder"), "{}", finished.err);
    for forms in ["mq.example", "http://mq.example"] {
        let finished = refused(&site, &["queues", "--queue", forms]);
        assert!(finished.err.contains("it must begin with amqp://, amqps:// or local:"), "{}", finished.err);
    }
    Ok(())
}

fn broker_away(_: &Services) -> Result<(), Failed> {
    // A port that was free a moment ago, and an address that swallows everything: a listener that never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let refusing = (std::net::Ipv4Addr::LOCALHOST, free_port()).into();
    for address in [refusing, silent.local_addr()?] {
        let queue = format!("amqp://ci:hunter2@{address}/");
        let site = TestSite::local();
        let started = Instant::now();
        let finished = site.run(&["run", "--queue", &queue, "-s", &site.release, "--trigger", "a/1", "gzip"]);
        assert!(started.elapsed() < Duration::from_secs(30), "took {:?}", started.elapsed());
        assert!(finished.err.contains("refused") || finished.err.contains("within 8 seconds"), "{}", finished.err);
        assert_eq!(finished.status.code(), Some(1), "{finished:#?}");
        assert!(finished.err.contains(&address.to_string()) && finished.err.contains("hint:"), "{}", finished.err);
        assert!(!finished.err.contains("hunter2"), "the password is not shown: {}", finished.err);
    }
    Ok(())
}

fn interrupted(services: &Services) -> Result<(), Failed> {
    let site = services.site();
    let queue = site.queue_name();
    let lines: String = (0..60_000).map(|n| format!("{queue}:p{n} {{\"triggers\": [\"a/1\"]}}\n")).collect();
    fs::write(site.path().join("batch"), lines)?;
    let mut command = site.command(&["run", "--batch", "batch"]);
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let pid = Pid::from_raw(run.id().cast_signed());
    until("run listens to Ctrl-C", || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or_default();
        u64::from_str_radix(caught.trim(), 16).unwrap_or(0) & (1 << (Signal::SIGINT as u64 - 1)) != 0
            || !matches!(run.try_wait(), Ok(None))
    });
    kill(pid, Signal::SIGINT)?;
    let finished = run.wait_with_output()?;
    let (out, err) = (String::from_utf8_lossy(&finished.stdout), String::from_utf8_lossy(&finished.stderr));
    assert_eq!(finished.status.code(), Some(1), "{err}");
    assert!(err.contains("interrupted: the requests printed above are queued"), "{err}");
    let ready = site.queue()["ready"].as_u64().expect("a number");
    let printed = out.lines().count() as u64;
    assert!(printed <= ready && ready < 60_000, "{printed} were printed, {ready} are queued");
    Ok(())
}
