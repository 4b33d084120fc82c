//! What runs now, seen from elsewhere than its worker's host; and ended from there.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use apt_ci::broker::{Broker, RunningTest};
use lapin::options::{BasicPublishOptions, ExchangeDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties, ExchangeKind};
use libtest_mimic::Failed;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use testkit::site::{Running, TestSite, until};
use testkit::{Services, Story, Trial, block_on, stories};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("everybody_sees_what_runs", seen),
        ("a_private_run_shows_only_that_it_is_there", private),
        ("a_log_is_followed_to_its_end", follow),
        ("a_test_is_cancelled_from_afar", cancel),
        ("a_test_cancelled_from_afar_can_be_run_again", requeue),
        ("a_request_that_waits_is_taken_out_and_can_be_put_back", waiting),
        ("all_that_match_are_cancelled", matching),
        ("what_is_meant_must_be_clear", meaning),
        ("without_a_queue_that_is_what_is_said", broker_away),
        ("workers_of_others_are_heard", foreign),
        ("a_roll_call_ends_with_its_last_answer", roll_call),
        ("a_holder_that_dies_holds_up_no_roll_call", dying_holder),
    ];
    stories("running", services, all)
}

fn gate(site: &TestSite, package: &str) -> PathBuf {
    site.path().join(format!("gate.{package}"))
}

/// Asks for a test that goes on until its gate is there.
fn held_request(site: &TestSite, package: &str) -> String {
    site.request(package, &[&format!("STUB_WAIT={}", gate(site, package).display()), "STUB_LINES=3"])
}

fn open(site: &TestSite, package: &str) {
    fs::write(gate(site, package), "").expect("the gate");
}

/// The lines of `running`, as a pipe gets them, of the site's release.
fn lines(site: &TestSite) -> Vec<Vec<String>> {
    let out = site.ok(&["running", "-s", &site.release]);
    out.lines().map(|line| line.split('\t').map(ToOwned::to_owned).collect()).collect()
}

fn runs(site: &TestSite, id: &str) -> bool {
    lines(site).iter().any(|line| line[7] == id && line[6] == "testing" && line[8] == "line 3")
}

fn worker_running(site: &TestSite, id: &str) -> Running {
    let worker = site.start(&["worker"]);
    until("the test runs", || runs(site, id));
    worker
}

fn dead(site: &TestSite) -> Vec<Value> {
    let contents = site.json(&["queues", &site.queue_name()]);
    contents["dead"].as_array().expect("a list").clone()
}

fn me() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).expect("users").expect("a user").name;
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    format!("{user} on {}", host.trim())
}

fn seen(services: &Services) -> Result<(), Failed> {
    for site in [TestSite::local(), services.site_with_folder()] {
        assert_eq!(lines(&site).len(), 0);
        let id = held_request(&site, "gzip");
        let other = held_request(&site, "dpkg");
        let _workers = [site.start(&["worker", "--name", "one"]), site.start(&["worker", "--name", "two"])];
        until("both run", || runs(&site, &id) && runs(&site, &other));
        let all = lines(&site);
        assert_eq!(all.len(), 2, "{all:?}");
        assert_eq!(all[1][..3], ["gzip", &site.release, "amd64"]);
        assert!(["one", "two"].contains(&all[1][3].as_str()) && all[1][3] != all[0][3], "{all:?}");
        assert_eq!((all[1][4].as_str(), all[1][6].as_str(), all[1][8].as_str()), ("1", "testing", "line 3"));
        // As Ubuntu's web service has it.
        let document = site.json(&["running", "gzip", "-s", &site.release]);
        let packages = document.as_object().expect("an object");
        assert_eq!(packages.keys().collect::<Vec<_>>(), ["gzip"]);
        let (hash, of_run) = packages["gzip"].as_object().expect("runs").iter().next().expect("a run");
        assert!(hash.contains(&format!("uuid_{id};")) && hash.contains("triggers_['trigger/1'];"), "{hash}");
        let entry = &of_run[&site.release]["amd64"];
        assert_eq!(entry[0]["uuid"], id.as_str());
        assert!(entry[1].is_u64(), "{entry}");
        assert_eq!(entry[2], "autopkgtest [stub]: starting gzip\nline 1\nline 2\nline 3\n");
        open(&site, "gzip");
        open(&site, "dpkg");
        until("nothing runs", || lines(&site).is_empty());
        assert_eq!(site.json(&["running", "gzip", "-s", &site.release]), json!({}));
    }
    Ok(())
}

fn private(services: &Services) -> Result<(), Failed> {
    for site in [TestSite::local(), services.site_with_folder()] {
        let first = site.request("first", &[]);
        site.ok(&["worker", "--once"]);
        assert_eq!(site.finished(), [first]);
        let wait = format!("STUB_WAIT={}", gate(&site, "hidden").display());
        let parameters = json!({"swiftuser": "alice", "env": [wait, "STUB_LINES=3"]});
        site.plant(&format!("hidden\n{parameters}"));
        let _worker = site.start(&["worker"]);
        until("it runs", || lines(&site).iter().any(|line| line[6] == "testing"));
        until("it has begun", || site.starts().contains(&"hidden".to_owned()));
        for arguments in [&["running", "-s", &site.release][..], &["running", "--json", "-s", &site.release]] {
            let shown = site.ok(arguments);
            assert!(shown.contains("private-test") && shown.contains("Running private test"), "{shown}");
            assert!(!shown.contains("hidden") && !shown.contains("line 3") && !shown.contains("alice"), "{shown}");
        }
        open(&site, "hidden");
        until("nothing runs", || lines(&site).is_empty());
    }
    Ok(())
}

fn follow(services: &Services) -> Result<(), Failed> {
    for site in [TestSite::local(), services.site_with_folder()] {
        let id = held_request(&site, "gzip");
        let _worker = worker_running(&site, &id);
        let out = site.path().join("followed");
        let err = site.path().join("followed.err");
        let mut command = site.command(&["running", "-f", "gzip", "-s", &site.release]);
        command.stdout(File::create(&out)?).stderr(File::create(&err)?);
        let mut follower = command.spawn()?;
        until("the log is seen", || fs::read_to_string(&out).is_ok_and(|text| text.contains("line 3\n")));
        open(&site, "gzip");
        let status = follower.wait()?;
        let (out, err) = (fs::read_to_string(out)?, fs::read_to_string(err)?);
        assert!(status.success(), "{err}");
        let begin = "autopkgtest [stub]: starting gzip\nline 1\nline 2\nline 3\n";
        assert!(out == begin || out == format!("{begin}autopkgtest [stub]: the end\n"), "{out}");
        let run = site.result_of(&id);
        assert!(
            err.contains("The test has finished: pass") && err.contains(run["run"].as_str().expect("a run")),
            "{err}"
        );
        let nobody = site.run(&["running", "-f", "gzip", "-s", &site.release]);
        assert_eq!(nobody.status.code(), Some(1), "{nobody:#?}");
    }
    Ok(())
}

fn cancel(services: &Services) -> Result<(), Failed> {
    for site in [TestSite::local(), services.site_with_folder()] {
        let (one, two) = (held_request(&site, "one"), held_request(&site, "two"));
        // On two hosts.
        let mut workers = [site.start(&["worker"]), site.start_elsewhere(&["worker"])];
        until("both run", || runs(&site, &one) && runs(&site, &two));
        let planned = site.run(&["cancel", "--dry-run", &one]);
        assert!(planned.status.success() && planned.err.contains("Would cancel the test of one"), "{planned:#?}");
        assert!(runs(&site, &one));
        // The beginning of its id is enough.
        let answer = site.json(&["cancel", &one[..13]]);
        assert_eq!(answer, json!([{"uuid": one, "cancelled": true, "requeue": false, "outcome": "cancelled"}]));
        until("it has ended", || lines(&site).iter().all(|line| line[7] != one));
        assert!(runs(&site, &two), "the other one is not disturbed");
        let dead = dead(&site);
        assert_eq!(dead.len(), 1, "{dead:?}");
        assert_eq!(dead[0]["reason"], format!("cancelled by {}", me()));
        assert_eq!(dead[0]["message"]["parameters"]["uuid"], one.as_str());
        let logs = workers.iter().map(|worker| worker.stderr()).collect::<String>();
        let told: Vec<&str> = logs.lines().filter(|line| line.contains(" by ") && line.contains("cancelled")).collect();
        let audited = format!("cancelled through the queue by {}", me());
        assert!(told.len() == 1 && told[0].contains(&audited), "the worker's log says once who: {told:?}");
        assert!(told[0].contains("package=one"), "and what: {told:?}");
        open(&site, "two");
        until("the other one is done", || site.has_results_of(&[&two]));
        let gone = site.run(&["cancel", &one]);
        assert_eq!(gone.status.code(), Some(1), "{gone:#?}");
        assert!(gone.err.contains("no request") && gone.err.contains("hint: "), "{gone:#?}");
        for worker in &mut workers {
            worker.signal(Signal::SIGTERM);
            assert!(worker.wait().status.success());
        }
    }
    Ok(())
}

fn requeue(services: &Services) -> Result<(), Failed> {
    for site in [TestSite::local(), services.site_with_folder()] {
        let id = held_request(&site, "gzip");
        let _worker = worker_running(&site, &id);
        site.ok(&["cancel", "--requeue", &id]);
        until("it is run again", || site.starts().len() == 2);
        open(&site, "gzip");
        until("it has its result", || site.has_results_of(&[&id]));
        assert_eq!(dead(&site).len(), 0);
    }
    Ok(())
}

fn matching(services: &Services) -> Result<(), Failed> {
    for site in [TestSite::local(), services.site_with_folder()] {
        let (running, other) = (held_request(&site, "gzip"), held_request(&site, "bzip2"));
        let _workers = [site.start(&["worker"]), site.start_elsewhere(&["worker"])];
        until("both run", || runs(&site, &running) && runs(&site, &other));
        let waiting = site.request("gzip", &[]);
        site.request("dpkg", &[]);
        let criterion = ["cancel", "--match", "package=gzip"];
        let nothing = site.run(&["cancel", "--match", "package=tar"]);
        assert!(nothing.status.success() && nothing.err.contains("No requests match"), "{nothing:#?}");
        let nobody = site.run(&criterion);
        assert_eq!(nobody.status.code(), Some(2), "{nobody:#?}");
        assert!(nobody.err.contains("cannot ask for confirmation"), "{nobody:#?}");
        let planned = site.run(&[&criterion[..], &["--dry-run"]].concat());
        assert!(
            planned.err.contains("Would cancel the test of gzip") && planned.err.contains("Would remove gzip"),
            "{planned:#?}"
        );
        let answers = site.json(&[&criterion[..], &["--yes"]].concat());
        let of = |id: &str| answers.as_array().expect("a list").iter().find(|one| one["uuid"] == id).cloned();
        assert_eq!(of(&running).expect("an answer")["outcome"], "cancelled", "{answers}");
        assert_eq!(of(&waiting).expect("an answer")["outcome"], "removed", "{answers}");
        assert_eq!(answers.as_array().map(Vec::len), Some(2));
        until("it has ended", || lines(&site).iter().all(|line| line[7] != running));
        assert!(runs(&site, &other), "the other one is not disturbed");
        open(&site, "bzip2");
        let nothing = site.run(&[&criterion[..], &["--yes"]].concat());
        assert!(nothing.status.success() && nothing.err.contains("No requests match"), "{nothing:#?}");
    }
    Ok(())
}

fn waiting(services: &Services) -> Result<(), Failed> {
    for site in [TestSite::local(), services.site_with_folder()] {
        let ids: Vec<String> = ["one", "two", "three"].iter().map(|package| site.request(package, &[])).collect();
        let planned = site.run(&["cancel", "--dry-run", &ids[1]]);
        assert!(planned.status.success() && planned.err.contains("from its queue"), "{planned:#?}");
        assert_eq!(site.queue()["ready"], 3);
        let left = site.json(&["cancel", "--requeue", &ids[1]]);
        assert_eq!((&left[0]["cancelled"], &left[0]["outcome"]), (&false.into(), &"waiting".into()));
        let finished = site.run(&["cancel", &ids[1][..13]]);
        assert!(finished.status.success(), "{finished:#?}");
        let contents = site.json(&["queues", &site.queue_name()]);
        let waiting: Vec<&Value> = contents["ready"].as_array().expect("a list").iter().collect();
        let waiting: Vec<&str> = waiting.iter().filter_map(|one| one["package"].as_str()).collect();
        assert_eq!(waiting, ["one", "three"], "their order stays");
        assert_eq!(contents["dead"], json!([]));
        let again = site.run(&["cancel", &ids[1]]);
        assert_eq!(again.status.code(), Some(1), "{again:#?}");
        // The file that was named puts it back, with its id.
        let record = finished.err.split('`').nth(1).and_then(|command| command.split(' ').next_back()).expect("a file");
        assert_eq!(fs::metadata(record)?.permissions().mode() & 0o777, 0o600);
        site.ok(&["run", "--batch", record]);
        assert_eq!(site.queue()["ready"], 3);
        site.ok(&["worker", "--drain"]);
        let mut ids = ids;
        ids.sort();
        assert_eq!(site.finished(), ids);
    }
    Ok(())
}

fn meaning(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let ids = ["aa-1", "aa-2"];
    for (id, package) in ids.iter().zip(["gzip", "dpkg"]) {
        let wait = format!("STUB_WAIT={}", gate(&site, package).display());
        let parameters = json!({"triggers": ["a/1"], "uuid": id, "env": [wait, "STUB_LINES=3"]});
        site.submit(&format!("{}:{package} {parameters}\n", site.queue_name()));
    }
    let _worker = site.start(&["worker", "--slots", "2"]);
    until("both run", || ids.iter().all(|id| runs(&site, id)));
    let unclear = site.run(&["cancel", "aa-1", "aa"]);
    assert_eq!(unclear.status.code(), Some(2), "{unclear:#?}");
    assert!(unclear.err.contains("aa is ambiguous") && unclear.err.contains("aa-2"), "{unclear:#?}");
    assert_eq!(lines(&site).len(), 2, "nothing was cancelled");
    let unclear = site.run(&["running", "-f", "aa"]);
    assert_eq!(unclear.status.code(), Some(2), "{unclear:#?}");
    assert!(unclear.err.contains("aa is ambiguous") && unclear.err.contains("with -s"), "{unclear:#?}");
    for nothing in [&["cancel"][..], &["cancel", ""], &["worker", "cancel", ""], &["run", "--watch", ""]] {
        let refused = site.run(nothing);
        assert_eq!(refused.status.code(), Some(2), "{nothing:?}: {refused:#?}");
    }
    // A request of another program without an id is counted.
    site.plant("dpkg\n{\"triggers\": [\"b/1\"]}");
    let unclear = site.run(&["cancel", "dpkg"]);
    assert_eq!(unclear.status.code(), Some(2), "{unclear:#?}");
    assert!(unclear.err.contains("it matches 2 requests, 1 of them without an id"), "{unclear:#?}");
    assert_eq!((lines(&site).len(), &site.queue()["ready"]), (2, &json!(1)), "nothing was cancelled");
    let left_out = site.run(&["cancel", "--match", "package=dpkg", "--dry-run"]);
    assert!(left_out.err.contains("1 matching request has no id and is left out"), "{left_out:#?}");
    site.ok(&["queues", "remove", &site.queue_name(), "--match", "package=dpkg", "--yes"]);
    assert_eq!(site.run(&["running", "-f"]).status.code(), Some(2));
    // A package's name is enough when only one request is of it.
    site.ok(&["cancel", "dpkg"]);
    until("one has ended", || lines(&site).len() == 1);
    open(&site, "gzip");
    Ok(())
}

fn broker_away(_: &Services) -> Result<(), Failed> {
    let site = TestSite::on("amqp://guest@127.0.0.1:1/", "folder:results", Vec::new());
    for arguments in [&["running"][..], &["running", "-f", "gzip"], &["cancel", "gzip"]] {
        let finished = site.run(arguments);
        assert_eq!(finished.status.code(), Some(1), "{finished:#?}");
        assert!(finished.err.contains("cannot reach the queue") && finished.err.contains("hint: "), "{finished:#?}");
        assert_eq!(finished.out, "");
    }
    Ok(())
}

fn foreign(services: &Services) -> Result<(), Failed> {
    let site = services.site_with_folder();
    let mut child = {
        let mut command = site.command(&["running", "--listen", "5", "-s", &site.release, "--json"]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command.spawn()?
    };
    let message = |package: &str, running: bool| {
        json!({"release": site.release, "architecture": "s390x", "package": package, "running": running,
            "params": {"triggers": ["a/1"]}, "duration": 7, "logtail": "foreign line\n"})
    };
    block_on(async {
        let url = services.rabbitmq().url();
        let connection = Connection::connect(&url, ConnectionProperties::default()).await.expect("a connection");
        let channel = connection.create_channel().await.expect("a channel");
        let (exchange, options) = ("teststatus.fanout", ExchangeDeclareOptions::default());
        channel
            .exchange_declare(exchange.into(), ExchangeKind::Fanout, options, FieldTable::default())
            .await
            .expect("the exchange");
        // Again and again, as such workers do: one of these times somebody listens. What is told as running and as ended is so at first
        // only, because the listener may go between the two.
        for round in 0.. {
            if child.try_wait().expect("its state").is_some() {
                break;
            }
            for one in [message("gzip", true), message("dpkg", round < 5), message("dpkg", false)] {
                let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
                let body = one.to_string();
                let published = channel.basic_publish(exchange.into(), "".into(), options, body.as_bytes(), properties);
                published.await.expect("published");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let output = child.wait_with_output()?;
    let document: Value = serde_json::from_slice(&output.stdout)?;
    let expected = json!({"gzip": {"triggers_['a/1'];": {&site.release: {"s390x": [
        {"triggers": ["a/1"]}, 7, "foreign line\n"
    ]}}}});
    assert_eq!(document, expected);
    Ok(())
}

/// Asks what runs in the site's queue until the answer has so many tests and is there sooner than the silence after which one would stop to
/// wait for answers. An answer that waits for silence is never that quick; one that does not may be slow when the machine is busy.
fn quick_answer(url: &str, site: &TestSite, number: usize) -> Vec<RunningTest> {
    const SILENCE: Duration = Duration::from_millis(250);
    let name = site.queue_name();
    block_on(async {
        let broker = Broker::connect(&url.parse().expect("an address")).await.expect("a broker");
        let mut times = Vec::new();
        for _ in 0..40 {
            let begin = Instant::now();
            let mut tests = broker.running().await.expect("an answer");
            times.push((begin.elapsed(), tests.len()));
            tests.retain(|test| test.queue.to_string() == name);
            if tests.len() == number && begin.elapsed() < SILENCE {
                broker.close().await;
                return tests;
            }
        }
        panic!("{number} tests were never told of quickly: {times:?}")
    })
}

fn roll_call(services: &Services) -> Result<(), Failed> {
    let site = services.site_with_folder();
    let url = services.rabbitmq().url();
    quick_answer(&url, &site, 0);
    let mut workers = Vec::new();
    for number in 1..=3 {
        let id = held_request(&site, &format!("package{number}"));
        workers.push(worker_running(&site, &id));
        let tests = quick_answer(&url, &site, number);
        assert!(tests.iter().all(|test| test.progress.is_some()));
    }
    Ok(())
}

fn dying_holder(services: &Services) -> Result<(), Failed> {
    let site = services.site_with_folder();
    let url = services.rabbitmq().url();
    let (one, two) = (held_request(&site, "one"), held_request(&site, "two"));
    let silent = site.start(&["worker"]);
    let _answers = site.start(&["worker"]);
    until("both run", || runs(&site, &one) && runs(&site, &two));
    // It is counted, and never answers: the others do all the same.
    silent.signal(Signal::SIGSTOP);
    let asking = {
        let (url, name) = (url.clone(), site.queue_name());
        std::thread::spawn(move || {
            block_on(async {
                let broker = Broker::connect(&url.parse().expect("an address")).await.expect("a broker");
                let begin = Instant::now();
                let tests = broker.running().await.expect("an answer");
                let mine = tests.iter().filter(|test| test.queue.to_string() == name).count();
                (mine, begin.elapsed())
            })
        })
    };
    let (mine, time) = asking.join().expect("an answer");
    assert_eq!(mine, 1);
    assert!(time < Duration::from_secs(14), "{time:?}");
    let asking = std::thread::spawn({
        let url = url.clone();
        move || {
            block_on(async {
                let broker = Broker::connect(&url.parse().expect("an address")).await.expect("a broker");
                broker.running().await.expect("an answer").len()
            })
        }
    });
    silent.kill();
    assert!(asking.join().expect("an answer") >= 1);
    // The dead one is not waited for.
    until("its request is back", || site.sees(|queue| queue.claimed == 2 || queue.ready == 1));
    quick_answer(&url, &site, 1);
    Ok(())
}
