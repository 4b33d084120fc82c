//! Request queues that are quorum queues, which count how often a message was given back and drop it at a limit: nothing is lost by
//! looking, what is removed is gone, and everything else goes on. Whichever RabbitMQ is installed decides what can be shown.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::sync::Arc;

use libtest_mimic::Failed;
use serde_json::{Value, json};
use testkit::site::{Finished, TestSite, until};
use testkit::{Services, Story, Trial, stories};

/// More often than RabbitMQ's default delivery limit.
const LOOKS: usize = 24;

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("looking_loses_nothing_whatever_the_limit", looking),
        ("the_command_that_is_said_makes_a_queue_visible", remedy),
        ("a_queue_is_emptied_at_once_although_nobody_can_look_into_it", purging),
        ("who_waits_for_what_nobody_can_see_learns_how_it_ends", waited_for),
        ("what_stays_is_never_taken_out_of_a_queue_that_cannot_be_looked_into", selecting),
        ("a_site_says_the_type_of_its_queues", configured),
        ("a_quorum_queue_among_classic_ones_is_noticed", explicit),
        ("workers_that_are_killed_lose_nothing_and_run_nothing_twice", storm),
    ];
    stories("quorum", services, all)
}

/// A site whose queues are quorum queues that drop a request after 20 deliveries: RabbitMQ 4's default, and a policy for older ones.
fn limited(services: &Services) -> (TestSite, String) {
    let broker = services.rabbitmq();
    let _ = writeln!(std::io::stderr(), "RabbitMQ {}", broker.version());
    let vhost = broker.quorum_vhost();
    broker.limit_deliveries(&vhost, "^debci-", 20);
    (TestSite::on(&broker.url_in(&vhost), "folder:results", Vec::new()), vhost)
}

/// Whether the contents are shown. They are refused with the command that changes that.
fn shows(looked: &Finished) -> bool {
    if looked.status.success() {
        return true;
    }
    assert_eq!(looked.status.code(), Some(1), "{looked:#?}");
    assert!(looked.err.contains("rabbitmqctl set_policy -p "), "{looked:#?}");
    let said = looked.err.lines().filter(|line| line.contains("cannot list")).count();
    assert_eq!(said, 1, "in one line: {}", looked.err);
    false
}

fn length(site: &TestSite) -> Value {
    site.queue()["ready"].clone()
}

fn looking(services: &Services) -> Result<(), Failed> {
    let (site, _) = limited(services);
    let sent: Vec<String> = (0..5).map(|number| site.request(&format!("p{number}"), &[])).collect();
    let queue = site.queue_name();
    for _ in 0..LOOKS {
        assert_eq!(length(&site), json!(5));
        let looked = site.run(&["queues", "show", &queue, "--json"]);
        let contents: Value = serde_json::from_str(&looked.out)?;
        if shows(&looked) {
            let order: Vec<&Value> =
                contents["ready"].as_array().expect("a list").iter().map(|one| &one["package"]).collect();
            assert_eq!(order, ["p0", "p1", "p2", "p3", "p4"]);
        } else {
            assert_eq!(contents["ready"], Value::Null, "not shown is not empty");
        }
    }
    // What removes by content gives back the rest, or refuses.
    site.run(&["queues", "dedupe", "--yes"]);
    site.run(&["queues", "remove", &queue, "--match", "package=nothing", "--yes"]);
    assert_eq!(length(&site), json!(5));
    site.ok(&["worker", "--drain"]);
    assert_eq!(
        site.starts(),
        ["p0", "p1", "p2", "p3", "p4"],
        "the order stays, also where only the first was looked at"
    );
    let mut sent = sent;
    sent.sort();
    assert_eq!(site.finished(), sent);
    Ok(())
}

fn remedy(services: &Services) -> Result<(), Failed> {
    let (site, _) = limited(services);
    site.request("gzip", &[]);
    let queue = site.queue_name();
    let looked = site.run(&["queues", "show", &queue]);
    if !shows(&looked) {
        assert!(looked.err.contains("1 more requests are waiting"), "{}", looked.err);
        let lengths = site.run(&["queues"]);
        assert!(lengths.status.success() && lengths.err.contains("OLDEST is unknown"), "{lengths:#?}");
        let (_, command) = looked.err.split_once("rabbitmqctl ").expect("a command");
        let command = command.lines().next().expect("one line").trim_end_matches('`');
        services.rabbitmq().obey(&format!("rabbitmqctl {command} --priority 5"));
    }
    until("the queue is shown", || site.run(&["queues", "show", &queue]).status.success());
    assert_eq!(site.json(&["queues", "show", &queue])["ready"][0]["package"], "gzip");
    assert!(!site.queue()["oldest"].is_null());
    for _ in 0..LOOKS {
        site.ok(&["queues", "show", &queue]);
    }
    assert_eq!(length(&site), json!(1));
    Ok(())
}

fn purging(services: &Services) -> Result<(), Failed> {
    const REQUESTS: usize = 1500;
    let (site, _) = limited(services);
    let queue = site.queue_name();
    let line = |number: usize| format!("{queue}:p{number} {{\"triggers\": [\"t/1\"]}}\n");
    site.submit(&(0..REQUESTS).map(line).collect::<String>());
    let planned = site.run(&["queues", "purge", &queue, "--dry-run"]);
    assert!(planned.err.contains(&format!("Would remove {REQUESTS} requests")), "{planned:#?}");
    let purged = site.run(&["queues", "purge", &queue, "--yes"]);
    assert!(purged.status.success() && purged.err.contains(&format!("Removed {REQUESTS} requests")), "{purged:#?}");
    assert_eq!(length(&site), json!(0), "gone when the command says so");
    let folder = site.path().join("home/.local/state/apt-ci/removed");
    let records: Vec<_> = fs::read_dir(folder)?.map(|entry| entry.expect("a file").path()).collect();
    let [record] = records.as_slice() else { panic!("one file: {records:?}") };
    let text = fs::read_to_string(record)?;
    assert_eq!(text.lines().collect::<BTreeSet<_>>().len(), REQUESTS);
    site.ok(&["worker", "--drain"]);
    assert!(site.starts().is_empty());
    Ok(())
}

fn waited_for(services: &Services) -> Result<(), Failed> {
    let (site, _) = limited(services);
    let release = site.release.clone();
    let packages = ["a", "b", "c", "d", "e"];
    let mut waiting =
        site.start(&[&["run", "-s", &release, "--trigger", "trigger/1", "--wait"], &packages[..]].concat());
    until("they wait", || length(&site) == json!(packages.len()));
    site.ok(&["worker", "--drain"]);
    let waited = waiting.wait();
    assert_eq!(waited.status.code(), Some(0), "{waited:#?}");
    for package in packages {
        assert!(waited.err.contains(&format!("{package} in {} pass after ", site.queue_name())), "{waited:#?}");
    }
    Ok(())
}

fn selecting(services: &Services) -> Result<(), Failed> {
    let (site, _) = limited(services);
    let queue = site.queue_name();
    let ids: Vec<String> = ["a", "b", "a", "c"].map(|package| site.request(package, &[])).into();
    let removed = site.run(&["queues", "remove", &queue, "--match", "package=a", "--yes"]);
    if shows(&removed) {
        assert_eq!(length(&site), json!(2));
    } else {
        assert_eq!(length(&site), json!(4), "nothing was changed");
        assert!(!site.path().join("home/.local/state/apt-ci/removed").exists());
    }
    // What runs can be cancelled all the same; what waits is said to be out of sight.
    let cancelled = site.run(&["cancel", &ids[1]]);
    assert!(cancelled.status.success() || cancelled.err.contains("cannot list"), "{cancelled:#?}");
    // Everything at once needs no look.
    let other = format!("debci-huge-{}-amd64", site.release);
    site.ok(&["queues", "move", &queue, &other, "--yes"]);
    assert_eq!(length(&site), json!(0));
    let broker = site.run(&["worker", "--drain"]);
    assert!(broker.status.success(), "{broker:#?}");
    assert!(site.starts().contains(&"c".to_owned()));
    Ok(())
}

fn configured(services: &Services) -> Result<(), Failed> {
    let broker = services.rabbitmq();
    // Said to be of the other type, a queue is believed to be: the site has the last word.
    let site = services.site_with_folder();
    let text = fs::read_to_string(site.path().join("apt-ci.toml"))?;
    fs::write(site.path().join("apt-ci.toml"), format!("queue-type = \"quorum\"\n{text}"))?;
    broker.limit_deliveries(&site.vhost(), "^debci-", 20);
    site.request("gzip", &[]);
    shows(&site.run(&["queues", "show", &site.queue_name()]));
    fs::write(site.path().join("apt-ci.toml"), format!("queue-type = \"classic\"\n{text}"))?;
    assert_eq!(site.json(&["queues", "show", &site.queue_name()])["ready"][0]["package"], "gzip");
    fs::write(site.path().join("apt-ci.toml"), format!("queue-type = \"stream\"\n{text}"))?;
    let refused = site.run(&["queues"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:#?}");
    assert!(refused.err.contains("1:14: the queue type must be `classic` or `quorum`"), "{refused:#?}");
    Ok(())
}

fn explicit(services: &Services) -> Result<(), Failed> {
    let site = services.site_with_folder();
    services.rabbitmq().limit_deliveries(&site.vhost(), "^debci-", 20);
    site.declare_quorum();
    site.request("gzip", &[]);
    for _ in 0..LOOKS {
        shows(&site.run(&["queues", "show", &site.queue_name()]));
        site.ok(&["queues"]);
    }
    assert_eq!(length(&site), json!(1));
    site.ok(&["worker", "--drain"]);
    assert_eq!(site.starts(), ["gzip"]);
    Ok(())
}

/// Three workers, of which one is killed again and again, beside somebody who looks and asks.
fn storm(services: &Services) -> Result<(), Failed> {
    const REQUESTS: usize = 30;
    let (site, _) = limited(services);
    let queue = site.queue_name();
    let mut sent: BTreeSet<String> = (0..REQUESTS).map(|number| site.request(&format!("p{number}"), &[])).collect();
    let worker = |number: usize| site.start(&["worker", "--name", &format!("w{number}")]);
    let mut workers: Vec<_> = (0..3).map(worker).collect();
    let mut round = 0;
    until("every request has a result", || {
        round += 1;
        if round <= 12 {
            let number = round % 3;
            // The former one is killed.
            drop(std::mem::replace(&mut workers[number], worker(number)));
        }
        site.ok(&["queues"]);
        shows(&site.run(&["queues", "show", &queue]));
        if round == 3 {
            sent.insert(site.request("late", &[]));
        }
        site.finished().len() >= sent.len()
    });
    let finished = site.finished();
    assert_eq!(finished.iter().cloned().collect::<BTreeSet<_>>(), sent);
    assert_eq!(finished.len(), sent.len(), "none has two results");
    drop(workers);
    assert_eq!(site.queue()["dead"], json!(0));
    Ok(())
}
