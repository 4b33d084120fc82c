//! What operators do with queues: looking, and taking out, while workers go on.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use apt_ci::broker::{Broker, Settlement, Wait};
use libtest_mimic::Failed;
use nix::fcntl::{FcntlArg, fcntl};
use serde_json::{Value, json};
use testkit::site::{Finished, TestSite, until};
use testkit::{Services, Story, Trial, block_on, stories};
use tokio_util::sync::CancellationToken;

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("what_is_removed_is_written_down_and_can_be_put_back", removed),
        ("nothing_is_taken_out_unasked", unasked),
        ("of_the_same_request_one_stays", same),
        ("what_a_newer_version_makes_needless_is_dropped", newer),
        ("requests_are_moved_with_their_ids", moved),
        ("a_move_that_is_killed_loses_nothing", killed_move),
        ("a_removal_that_is_killed_is_named_by_the_next_one", killed_removal),
        ("a_removal_that_is_killed_before_it_names_its_file_is_named_as_well", killed_late),
        ("dead_letters_are_told_put_back_and_dropped", dead),
        ("an_operator_sees_how_long_it_will_take", lengths),
        ("removing_beside_busy_workers_on_the_embedded_queue", |_| busy_remove(&TestSite::local())),
        ("removing_beside_busy_workers_on_rabbitmq", |services| busy_remove(&services.site_with_folder())),
        ("cancelling_beside_busy_workers_on_the_embedded_queue", |_| busy_cancel(&TestSite::local())),
        ("cancelling_beside_busy_workers_on_rabbitmq", |services| busy_cancel(&services.site_with_folder())),
    ];
    stories("queues", services, all)
}

/// A site on each kind of queue.
fn both(services: &Services) -> [TestSite; 2] {
    [TestSite::local(), services.site_with_folder()]
}

/// The packages that wait in the site's queue, in their order.
fn waiting(site: &TestSite) -> Vec<String> {
    let contents = site.json(&["queues", "show", &site.queue_name()]);
    let ready = contents["ready"].as_array().expect("a list");
    ready.iter().map(|request| request["package"].as_str().expect("a package").to_owned()).collect()
}

/// Files of what was taken out: in the folder `removed`, or `cancelled`.
fn records(site: &TestSite, folder: &str) -> Vec<PathBuf> {
    let folder = site.path().join("home/.local/state/apt-ci").join(folder);
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files
}

/// The broker of a site, for a worker of the test's own.
fn address(site: &TestSite) -> String {
    match site.addresses().0 {
        "local:queue" => format!("local:{}", site.path().join("queue").display()),
        url => url.to_owned(),
    }
}

fn refused(site: &TestSite, arguments: &[&str], message: &str) -> Finished {
    let finished = site.run(arguments);
    assert_eq!(finished.status.code(), Some(2), "{arguments:?}: {finished:#?}");
    assert!(finished.err.contains(message), "{arguments:?}: {}", finished.err);
    finished
}

fn removed(services: &Services) -> Result<(), Failed> {
    for site in both(services) {
        let queue = site.queue_name();
        let ids: Vec<String> = ["a", "b", "c", "d"].map(|package| site.request(package, &[])).into();
        let planned = site.run(&["queues", "remove", &queue, "--match", "package=[ab]", "--uuid", &ids[1], "-n"]);
        assert_eq!(planned.status.code(), Some(2), "one way to say which: {planned:#?}");
        let planned =
            site.ok(&["queues", "remove", &queue, "--match", "package=?", "--match", "trigger=trigger/*", "-n"]);
        assert_eq!(planned.lines().count(), 4, "{planned}");
        assert_eq!((waiting(&site).len(), records(&site, "removed").len()), (4, 0), "a dry run changes nothing");
        // A text that names no request is a mistake, and then nothing is removed.
        for command in [&["queues", "remove", &queue][..], &["queues", "dead", "requeue"], &["queues", "dead", "drop"]]
        {
            let none = site.run(&[command, &["--uuid", "nonesuch", "--uuid", &ids[1], "--yes"]].concat());
            assert_eq!((none.status.code(), none.out.as_str()), (Some(1), ""), "{none:#?}");
            assert!(none.err.contains("no request nonesuch found") && none.err.contains("hint: "), "{none:#?}");
        }
        assert_eq!((waiting(&site).len(), records(&site, "removed").len()), (4, 0));
        // The beginning of an id is enough.
        let out = site.ok(&["queues", "remove", &queue, "--uuid", &ids[1], "--uuid", &ids[2][..13], "--yes"]);
        let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split('\t').collect()).collect();
        assert_eq!(lines[0][..4], [&queue, "b", "trigger/1", &ids[1]]);
        assert_eq!((lines.len(), lines[1][1]), (2, "c"));
        assert_eq!(waiting(&site), ["a", "d"], "what stays keeps its order");
        let [record] = records(&site, "removed").try_into().expect("one file");
        assert_eq!(fs::metadata(&record)?.permissions().mode() & 0o777, 0o600);
        let name = record.to_str().expect("a path in UTF-8");
        site.ok(&["run", "--batch", name]);
        assert_eq!(waiting(&site), ["a", "d", "b", "c"]);
        site.ok(&["worker", "--drain", "-q"]);
        let mut all = ids;
        all.sort();
        assert_eq!(site.finished(), all, "with the ids that they had");
        let nothing = site.run(&["queues", "remove", &queue, "--match", "package=a", "--yes"]);
        assert!(nothing.status.success() && nothing.err.contains("No requests match"), "{nothing:#?}");
    }
    Ok(())
}

fn unasked(services: &Services) -> Result<(), Failed> {
    for site in both(services) {
        let queue = site.queue_name();
        site.request("gzip", &[]);
        let nobody = "cannot ask for confirmation";
        refused(&site, &["queues", "remove", &queue], "--match <KEY=PATTERN>|--uuid <ID>");
        refused(&site, &["queues", "remove", &queue, "--match", "trigger=gzip", "-y"], "perhaps trigger=gzip/*");
        refused(&site, &["queues", "remove", &queue, "--match", "pkg=gzip", "-y"], "the keys are package, trigger");
        refused(&site, &["queues", "remove", &queue, "--match", "package=[ab", "-y"], "has a [ without its ]");
        refused(&site, &["queues", "remove", &queue, "--match", "package=a_b", "-y"], "has '_', which no name has");
        refused(&site, &["queues", "remove", &queue, "--match", "package=gzip"], nobody);
        refused(&site, &["queues", "purge", &queue], nobody);
        refused(&site, &["queues", "purge"], "QUEUE");
        // Nobody has to be asked about nothing.
        let criterion = ["queues", "remove", &queue, "--match", "package=bzip2"];
        let nothing: [(&[&str], &str); 4] = [
            (&["queues", "dedupe"], "No duplicates."),
            (&["queues", "supersede"], "No superseded requests."),
            (&["queues", "dead", "drop"], "No dead letters."),
            (&criterion, "No requests match."),
        ];
        for (command, said) in nothing {
            let finished = site.run(command);
            assert!(finished.status.success() && finished.err.contains(said), "{finished:#?}");
        }
        refused(&site, &["queues", "move", &queue, &queue, "-y"], "is both the source and the destination queue");
        let huge = format!("debci-huge-{}-amd64", site.release);
        refused(&site, &["queues", "move", &queue, &huge], nobody);
        refused(&site, &["queues", "move", &queue, "debci-nowhere-amd64", "-y"], "does not exist");
        let missing = refused(&site, &["queues", "purge", "debci-nowhere-amd64", "-y"], "does not exist");
        assert!(missing.err.contains(&queue), "its neighbours are named: {}", missing.err);
        // What cannot be written down stays where it is.
        let state = site.path().join("home/.local/state/apt-ci");
        fs::create_dir_all(&state)?;
        fs::write(state.join("removed"), "in the way")?;
        let finished = site.run(&["queues", "purge", &queue, "-y"]);
        assert_eq!(finished.status.code(), Some(1), "{finished:#?}");
        assert!(finished.err.contains("nothing was changed") && finished.err.contains("removed"), "{}", finished.err);
        assert_eq!(waiting(&site), ["gzip"]);
    }
    Ok(())
}

/// A line of a batch for the site's queue.
fn line(site: &TestSite, package: &str, parameters: &Value) -> String {
    format!("{}:{package} {parameters}\n", site.queue_name())
}

fn same(services: &Services) -> Result<(), Failed> {
    for site in both(services) {
        site.request("first", &[]);
        for body in [
            json!({"triggers": ["a/1"], "uuid": "one", "requester": "me"}),
            json!({"triggers": ["a/1"], "uuid": "two"}),
            json!({"triggers": ["a/1"], "uuid": "three", "all-proposed": "1"}),
        ] {
            site.plant(&format!("gzip\n{body}"));
        }
        until("all are there", || site.sees(|queue| queue.ready == 4));
        let gone = site.json(&["queues", "dedupe", "--yes"]);
        assert_eq!(gone.as_array().map(Vec::len), Some(1), "{gone}");
        assert_eq!(gone[0]["parameters"]["uuid"], "two", "{gone}");
        assert_eq!(waiting(&site), ["first", "gzip", "gzip"]);
    }
    Ok(())
}

fn newer(services: &Services) -> Result<(), Failed> {
    for site in both(services) {
        let pull = |commit: &str, second: u32| {
            json!({
                "build-git": "https://host/x#refs/pull/7/head",
                "env": ["UPSTREAM_PULL_REQUEST=7", format!("GITHUB_STATUSES_URL=https://host/{commit}")],
                "submit-time": format!("2026-01-01 00:00:0{second}+0000"),
            })
        };
        let batch = [
            line(&site, "gzip", &json!({"triggers": ["glibc/2.9-1"]})),
            line(&site, "pull", &pull("aa", 1)),
            line(&site, "bzip2", &json!({"triggers": ["glibc/2.9-1"]})),
            line(&site, "gzip", &json!({"triggers": ["glibc/2.39-1"]})),
            line(&site, "pull", &pull("bb", 2)),
        ];
        let ids = site.submit(&batch.concat());
        let gone = site.ok(&["queues", "supersede", &site.queue_name(), "--yes"]);
        let gone: Vec<&str> = gone.lines().filter_map(|line| line.split('\t').nth(3)).collect();
        assert_eq!(gone, [&ids[0], &ids[1]]);
        assert_eq!(waiting(&site), ["bzip2", "gzip", "pull"]);
    }
    Ok(())
}

fn moved(services: &Services) -> Result<(), Failed> {
    for site in both(services) {
        let (queue, huge) = (site.queue_name(), format!("debci-huge-{}-amd64", site.release));
        let ids: Vec<String> = ["a", "b", "c"].map(|package| site.request(package, &[])).into();
        site.ok(&["queues", "move", &queue, &huge, "--match", "package=[!bc]", "--yes"]);
        assert_eq!(waiting(&site), ["b", "c"], "a set in brackets is a pattern here, too");
        site.ok(&["queues", "move", &queue, &huge, "--yes", "--match", "package=b"]);
        assert_eq!(waiting(&site), ["c"]);
        let there = site.json(&["queues", "show", &huge]);
        let there: Vec<&Value> = there["ready"].as_array().expect("a list").iter().collect();
        assert_eq!(there.len(), 2);
        assert_eq!(there[0]["parameters"]["uuid"], ids[0].as_str());
        assert_eq!(there[1]["parameters"]["uuid"], ids[1].as_str());
        assert_eq!(records(&site, "removed").len(), 0, "what is in another queue needs no record");
    }
    Ok(())
}

fn killed_move(services: &Services) -> Result<(), Failed> {
    for site in both(services) {
        let (queue, huge) = (site.queue_name(), format!("debci-huge-{}-amd64", site.release));
        let batch: String =
            (0..2_000).map(|number| line(&site, &format!("p{number}"), &json!({"triggers": ["a/1"]}))).collect();
        let all: HashSet<String> = site.submit(&batch).into_iter().collect();
        let mover = || site.command(&["queues", "move", &queue, &huge, "--yes"]);
        block_on(async {
            let broker = Broker::connect(&address(&site).parse().expect("an address")).await.expect("a broker");
            let there = [huge.parse().expect("a queue")];
            // On a busy machine the killer may be late: then everything is moved back, and it tries again.
            let begins = async |id| has_open(id, "queue.sqlite") || has_open(id, "socket:");
            for last in [false, false, false, false, true] {
                if kill_when(mover(), begins).await {
                    break;
                }
                assert!(!last, "it always ended before it was killed");
                site.ok(&["queues", "move", &huge, &queue, "--yes"]);
            }
            for _ in 0..2 {
                let some = async |_| broker.inspect(&there).await.expect("a look").iter().any(|state| state.ready > 0);
                kill_when(mover(), some).await;
            }
        });
        until("what was held is back", || {
            let ids = |queue: &str| -> Vec<String> {
                let contents = site.run(&["queues", "show", queue, "--limit", "10000"]);
                contents.out.lines().filter_map(|line| Some(line.split('\t').nth(3)?.to_owned())).collect()
            };
            let there: HashSet<String> = ids(&queue).into_iter().chain(ids(&huge)).collect();
            there == all
        });
        site.ok(&["queues", "move", &queue, &huge, "--yes"]);
        assert_eq!(waiting(&site).len(), 0);
        until("all have been moved", || {
            let contents = site.ok(&["queues", "show", &huge, "--limit", "10000"]);
            let ids: Vec<&str> = contents.lines().filter_map(|line| line.split('\t').nth(3)).collect();
            let each_once = ids.iter().collect::<HashSet<_>>().len() == ids.len();
            assert!(each_once, "a request is there twice: {} of {}", ids.len(), all.len());
            ids.len() == all.len()
        });
    }
    Ok(())
}

fn killed_removal(services: &Services) -> Result<(), Failed> {
    let site = services.site_with_folder();
    let queue = site.queue_name();
    let batch: String =
        (0..3_000).map(|number| line(&site, &format!("p{number}"), &json!({"triggers": ["a/1"]}))).collect();
    let all: HashSet<String> = site.submit(&batch).into_iter().collect();
    let is_requests = |path: &PathBuf| path.extension().is_some_and(|end| end == "requests");
    // The killer may be late: then everything is put back, and it tries again.
    let first = loop {
        let before: Vec<PathBuf> = records(&site, "removed").into_iter().filter(is_requests).collect();
        let begun = async |_| records(&site, "removed").iter().filter(|path| is_requests(path)).count() > before.len();
        let was_killed = block_on(kill_when(site.command(&["queues", "purge", &queue, "--yes"]), begun));
        let mut new = records(&site, "removed").into_iter().filter(|path| is_requests(path) && !before.contains(path));
        let record = new.next().expect("what it has removed");
        if was_killed && record.with_extension("open").exists() {
            break record;
        }
        site.ok(&["run", "--force", "--batch", record.to_str().expect("a path")]);
    };
    let said = |finished: &Finished| finished.err.contains(&format!("run --batch {}", first.display()));
    let planned = site.run(&["queues", "purge", &queue, "--dry-run"]);
    assert!(said(&planned), "{planned:#?}");
    let again = site.run(&["queues", "purge", &queue, "--yes"]);
    assert!(again.status.success() && said(&again), "{again:#?}");
    let once_more = site.run(&["queues", "purge", &queue, "--yes"]);
    assert!(!said(&once_more), "{once_more:#?}");
    // Between them, the files hold every request.
    let files = records(&site, "removed").into_iter().filter(is_requests);
    let text: String = files.map(|file| fs::read_to_string(file).expect("a record")).collect();
    assert!(all.iter().all(|id| text.contains(id)));
    Ok(())
}

fn killed_late(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let batch: String =
        (0..300).map(|number| line(&site, &format!("p{number}"), &json!({"triggers": ["a/1"]}))).collect();
    site.submit(&batch);
    // It stops where it tells what it has removed: nobody reads that.
    let (_reader, told) = std::io::pipe()?;
    fcntl(&told, FcntlArg::F_SETPIPE_SZ(4096))?;
    let purge = ["queues", "purge", &site.queue_name(), "--yes"];
    let mut purging = site.command(&purge).stdout(told).stderr(Stdio::null()).spawn()?;
    until("all are removed", || waiting(&site).is_empty());
    purging.kill()?;
    purging.wait()?;
    let record =
        records(&site, "removed").into_iter().find(|path| path.extension().is_some_and(|end| end == "requests"));
    let record = record.expect("what it has removed");
    let again = site.run(&purge);
    assert!(again.err.contains(&format!("run --batch {}", record.display())), "{again:#?}");
    Ok(())
}

fn dead(services: &Services) -> Result<(), Failed> {
    for site in both(services) {
        let id = site.request("gzip", &[]);
        let queue = site.queue_name();
        block_on(async {
            let broker = Broker::connect(&address(&site).parse().expect("an address")).await.expect("a broker");
            let mut slot = broker.slot(vec![queue.parse().expect("a queue")]).await.expect("a slot");
            let claim = slot.claim(Wait::ForOne, &CancellationToken::new()).await.expect("a claim");
            claim.expect("a request").settle(Settlement::Dead("killed its workers".to_owned())).await.expect("settled");
        });
        site.plant("no request {");
        site.ok(&["worker", "--drain", "-q"]);
        let told = site.ok(&["queues", "dead"]);
        let lines: Vec<Vec<&str>> = told.lines().map(|line| line.split('\t').collect()).collect();
        assert_eq!(lines.len(), 2, "{told}");
        assert_eq!(lines[0], [&queue, "gzip", "trigger/1", &id, "killed its workers"]);
        assert!(lines[1][1].starts_with("no request") && lines[1][4].contains("JSON"), "{told}");
        let back = site.json(&["queues", "dead", "requeue", "--yes"]);
        assert_eq!(back.as_array().map(Vec::len), Some(1), "what is no request would come back at once: {back}");
        assert_eq!(waiting(&site), ["gzip"]);
        site.ok(&["worker", "--drain", "-q"]);
        assert_eq!(site.finished(), [id]);
        let dropped = site.run(&["queues", "dead", "drop", &queue, "--yes"]);
        assert!(dropped.status.success() && dropped.err.contains("Malformed messages are kept in"), "{dropped:#?}");
        let [record] = records(&site, "removed").try_into().expect("one file");
        let kept: Value = serde_json::from_str(&fs::read_to_string(&record)?)?;
        assert_eq!(kept, json!({"queue": queue, "message": "bm8gcmVxdWVzdCB7"}));
        let nothing = site.run(&["queues", "dead"]);
        assert!(nothing.out.is_empty() && nothing.err.contains("No dead letters"), "{nothing:#?}");
    }
    Ok(())
}

fn lengths(services: &Services) -> Result<(), Failed> {
    for site in both(services) {
        site.request("gzip", &[]);
        site.ok(&["worker", "--drain", "-q"]);
        for package in ["gzip", "new", "gzip"] {
            site.request(package, &["N=1"]);
        }
        let queue = site.queue();
        assert_eq!((&queue["ready"], &queue["claimed"]), (&json!(3), &json!(0)));
        assert!(queue["oldest"].is_string(), "{queue}");
        assert_eq!(queue["estimate"], Value::Null, "the store is not asked unless somebody wants it");
        let name = site.queue_name();
        let of = |states: Value| {
            states.as_array().expect("a list").iter().find(|state| state["queue"] == name).cloned().unwrap_or_default()
        };
        let nobody = of(site.json(&["queues", "--estimate"]));
        assert_eq!(nobody["estimate"], Value::Null, "nobody works: {nobody}");
        block_on(async {
            let broker = Broker::connect(&address(&site).parse().expect("an address")).await.expect("a broker");
            let mut slot = broker.slot(vec![name.parse().expect("a queue")]).await.expect("a slot");
            let claim = slot.claim(Wait::ForOne, &CancellationToken::new()).await.expect("a claim");
            // Who holds the request answers meanwhile; on a busy machine it may be too late.
            for last in [false, false, true] {
                let mut asking = tokio::process::Command::from(site.command(&["queues", "--estimate", "--json"]));
                let busy = of(serde_json::from_slice(&asking.output().await.expect("apt-ci").stdout).expect("JSON"));
                if busy["claimed"] == 1 || last {
                    assert!(busy["estimate"].is_u64() && busy["claimed"] == 1, "{busy}");
                    break;
                }
            }
            drop(claim);
        });
    }
    Ok(())
}

fn busy_remove(site: &TestSite) -> Result<(), Failed> {
    let queue = site.queue_name();
    let arguments = ["queues", "remove", &queue, "--match", "package=gone*", "--yes"];
    busy(site, &arguments, "removed", |one| one["parameters"]["uuid"].as_str().expect("an id"))
}

fn busy_cancel(site: &TestSite) -> Result<(), Failed> {
    let arguments = ["cancel", "--match", "package=gone*", "--yes"];
    busy(site, &arguments, "cancelled", |one| one["uuid"].as_str().expect("an id"))
}

/// Kills a command when it is time. False when it has ended before.
async fn kill_when(mut command: Command, is_time: impl AsyncFn(u32) -> bool) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("apt-ci");
    while child.try_wait().expect("its state").is_none() {
        if is_time(child.id()).await {
            child.kill().expect("a signal");
            child.wait().expect("its end");
            return true;
        }
    }
    false
}

/// Whether a process has something open with this in its name.
fn has_open(process: u32, name: &str) -> bool {
    let files = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    files.filter_map(|file| fs::read_link(file.path()).ok()).any(|target| target.to_string_lossy().contains(name))
}

/// 5,000 requests, two workers that take one after the other, and somebody who takes half of the requests out, and is killed thrice in
/// the middle of that. `folder`: where the command writes down what it takes; `id`: of a request, in its answer.
fn busy(site: &TestSite, arguments: &[&str], folder: &str, id: fn(&Value) -> &str) -> Result<(), Failed> {
    const EACH: usize = 2_500;
    let batch: String = (0..EACH)
        .map(|number| {
            line(site, &format!("gone{number}"), &json!({"triggers": ["a/1"]}))
                + &line(site, &format!("stays{number}"), &json!({"triggers": ["a/1"]}))
        })
        .collect();
    let mut all: HashSet<String> = site.submit(&batch).into_iter().collect();
    assert_eq!(all.len(), 2 * EACH);
    let stop = CancellationToken::new();
    let done = Arc::new(Mutex::new(Vec::new()));
    let workers: Vec<thread::JoinHandle<()>> = (0..2).map(|_| worker(site, &stop, &done)).collect();
    let mut kills = 0;
    for round in 0..10 {
        let before = records(site, folder).len();
        // It is about to take what it has written down.
        let begins = async |_| records(site, folder).len() > before;
        kills += usize::from(block_on(kill_when(site.command(arguments), begins)));
        if round >= 2 && kills > 0 {
            break;
        }
        // On a busy machine the killer may be late, and nothing is left to be taken out.
        if kills == 0 {
            let more =
                |number| line(site, &format!("gone-again{number}"), &json!({"triggers": [format!("a/{round}")]}));
            all.extend(site.submit(&(0..EACH).map(more).collect::<String>()));
        }
    }
    assert!(kills > 0, "it always ended before it was killed");
    let gone = all.len() - EACH;
    let finished = site.run(&[arguments, &["--json"]].concat());
    let removed: Vec<Value> = serde_json::from_str(&finished.out)?;
    // `cancel` tells of requests that workers had at the time, too.
    let removed = removed.iter().filter(|one| one.get("outcome").is_none_or(|outcome| outcome == "removed"));
    let removed: HashSet<String> = removed.map(|one| id(one).to_owned()).collect();
    assert!(waiting(site).iter().all(|package| package.starts_with("stays")), "what is removed does not come back");
    // RabbitMQ puts thousands of messages back for a while after it has said so; meanwhile they are counted nowhere.
    let written_down = written(site, folder);
    until("the others are done", || {
        let done: HashSet<String> = done.lock().expect("a list").iter().cloned().collect();
        let written = &written_down;
        all.iter().all(|id| done.contains(id) || written.contains(id)) && all.len() - done.len() <= gone
    });
    stop.cancel();
    workers.into_iter().for_each(|worker| worker.join().expect("a worker"));
    let done = std::mem::take(&mut *done.lock().expect("a list"));
    let once: BTreeSet<&String> = done.iter().collect();
    assert_eq!(once.len(), done.len(), "nothing is done twice");
    assert!(removed.iter().all(|id| !once.contains(id)), "what was removed is not done");
    let written = written(site, folder);
    assert!(removed.is_subset(&written));
    // What was written down by a killed remover may have stayed, and be done.
    let lost = all.iter().filter(|id| !once.contains(id) && !written.contains(*id)).count();
    assert_eq!(lost, 0, "nothing is lost: {}", site.queue());
    assert!(done.len() >= EACH, "what stays is done");
    Ok(())
}

/// The ids of the requests that were written down.
fn written(site: &TestSite, folder: &str) -> HashSet<String> {
    records(site, folder)
        .iter()
        .flat_map(|record| fs::read_to_string(record).expect("a record").lines().map(str::to_owned).collect::<Vec<_>>())
        // The last line may be cut, when its writer was killed: then nothing of it was taken.
        .filter_map(|line| Some(line.split_once(r#""uuid":""#)?.1.split_once('"')?.0.to_owned()))
        .collect()
}

/// Does nothing with one request after the other, and tells their ids.
fn worker(site: &TestSite, stop: &CancellationToken, done: &Arc<Mutex<Vec<String>>>) -> thread::JoinHandle<()> {
    let (address, queue, stop, done) = (address(site), site.queue_name(), stop.clone(), Arc::clone(done));
    thread::spawn(move || {
        block_on(async {
            let broker = Broker::connect(&address.parse().expect("an address")).await.expect("a broker");
            let mut slot = broker.slot(vec![queue.parse().expect("a queue")]).await.expect("a slot");
            while let Some(claim) = slot.claim(Wait::ForOne, &stop).await.expect("a claim") {
                let id = claim.request.as_ref().expect("a request").uuid().expect("an id").to_string();
                claim.settle(Settlement::Done).await.expect("settled");
                done.lock().expect("a list").push(id);
            }
        })
    })
}
