//! The web service dies, or the disk that remembers, and nothing is lost or done twice.

use std::fs;
use std::sync::Arc;
use std::thread;

use apt_ci::forge::{Forge, signature};
use libtest_mimic::Failed;
use serde_json::Value;
use testkit::forge::deliver::post;
use testkit::site::{TestSite, until};
use testkit::{Services, Story, Trial, stories};

use super::fixture::{PROJECT, PullFixture, commit};

const BRANCH: &str = "https://git.example/thing.git";

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    const STORIES: [(&str, Story); 9] = [
        ("killed_between_receiving_and_confirming_the_request_is_queued_once", before_confirming),
        ("killed_between_result_and_status_the_status_is_shown_once", before_showing),
        ("what_the_disk_has_lost_is_found_at_the_forge", lost_disk),
        ("what_somebody_took_out_of_its_queue_does_not_stay_pending", taken_out),
        ("killed_while_the_secret_is_exchanged_no_delivery_is_refused", while_rotating),
        ("without_the_queue_a_delivery_is_not_taken_and_can_come_again", no_queue),
        ("a_queue_server_without_memory_is_told_of_and_nothing_is_lost_or_run_twice", no_memory),
        ("one_queue_that_is_gone_keeps_no_other_test_from_being_found", missing_queue),
        ("a_request_that_is_queued_twice_is_run_once", queued_twice),
    ];
    stories("pulls", services, &STORIES)
}

/// The journal, as another program reads it.
fn journal(scene: &PullFixture) -> rusqlite::Connection {
    let file = scene.site.path().join("home/.local/state/apt-ci/pulls/journal.sqlite");
    rusqlite::Connection::open(file).expect("the journal")
}

fn count(scene: &PullFixture, condition: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM test WHERE {condition}");
    journal(scene).query_row(&sql, [], |row| row.get(0)).expect("a number")
}

fn ready(scene: &PullFixture) {
    scene.add_hook("thing", &["--build-git", BRANCH]);
    assert!(scene.set_token("status").status.success());
}

fn before_confirming(services: &Services) -> Result<(), Failed> {
    let rabbitmq = services.private_rabbitmq();
    let mut scene = PullFixture::new(Forge::GitHub, TestSite::on(&rabbitmq.url(), "folder:results", Vec::new()));
    ready(&scene);
    let (sha, context) = (commit('a'), scene.context("thing"));
    let frozen = rabbitmq.freeze();
    let sent = thread::scope(|scope| {
        let sending = scope.spawn(|| scene.forge.open(PROJECT, 7, &sha));
        until("it is written down", || count(&scene, "stage = 0") == 1);
        scene.service.as_ref().expect("it runs").signal(nix::sys::signal::Signal::SIGKILL);
        sending.join().expect("the forge")
    });
    assert_eq!(sent[0].status, 0, "nobody was told that it is queued: {sent:?}");
    drop(frozen);
    scene.serve();
    scene.forge.wait_for(PROJECT, &sha, &context, "pending");
    scene.wait_for_waiting(1);
    // The forge's administrator sends it again: it is the same.
    let again = scene.forge.deliver_again(PROJECT, &sent[0]);
    let answer: Value = serde_json::from_str(&again.answer)?;
    assert_eq!((again.status, answer["state"].as_str()), (200, Some("known")));
    scene.wait_for_waiting(1);
    // The other half: it was queued, and the journal does not know.
    scene.kill_service();
    journal(&scene).execute_batch("UPDATE test SET stage = 0, shown = ''; UPDATE delivery SET queued = 0")?;
    scene.serve();
    until("it is found in its queue", || count(&scene, "stage = 1 AND shown = 'pending'") == 1);
    scene.wait_for_waiting(1);
    scene.site.ok(&["worker", "--drain"]);
    scene.forge.wait_for(PROJECT, &sha, &context, "success");
    assert_eq!(scene.site.starts().len(), 1);
    Ok(())
}

fn before_showing(_: &Services) -> Result<(), Failed> {
    let mut scene = PullFixture::new(Forge::GitHub, TestSite::local());
    ready(&scene);
    let (sha, context) = (commit('a'), scene.context("thing"));
    scene.forge.open(PROJECT, 7, &sha);
    scene.forge.wait_for(PROJECT, &sha, &context, "pending");
    scene.forge.away(true);
    scene.site.ok(&["worker", "--drain"]);
    until("the result is known, and the forge was asked in vain", || count(&scene, "stage = 3 AND tries > 0") == 1);
    scene.kill_service();
    scene.forge.away(false);
    scene.serve();
    scene.forge.wait_for(PROJECT, &sha, &context, "success");
    until("that is written down", || count(&scene, "shown = 'success'") == 1);
    assert_eq!(scene.forge.states(PROJECT, &sha, &context), ["pending", "success"]);
    Ok(())
}

fn lost_disk(_: &Services) -> Result<(), Failed> {
    let mut scene = PullFixture::new(Forge::GitHub, TestSite::local());
    ready(&scene);
    let context = scene.context("thing");
    let lose = |scene: &mut PullFixture| {
        scene.kill_service();
        fs::remove_dir_all(scene.site.path().join("home/.local/state/apt-ci/pulls")).expect("the journal");
    };
    // One that waits is taken up again.
    scene.forge.open(PROJECT, 7, &commit('a'));
    scene.forge.wait_for(PROJECT, &commit('a'), &context, "pending");
    lose(&mut scene);
    scene.serve();
    until("it is found in its queue", || count(&scene, "stage = 1") == 1);
    scene.site.ok(&["worker", "--drain"]);
    scene.forge.wait_for(PROJECT, &commit('a'), &context, "success");
    // One that has ended meanwhile is found by the link of its status.
    scene.forge.open(PROJECT, 8, &commit('b'));
    scene.forge.wait_for(PROJECT, &commit('b'), &context, "pending");
    lose(&mut scene);
    scene.site.ok(&["worker", "--drain"]);
    scene.serve();
    scene.forge.wait_for(PROJECT, &commit('b'), &context, "success");
    // Without the service, a command does it.
    scene.forge.open(PROJECT, 9, &commit('c'));
    scene.forge.wait_for(PROJECT, &commit('c'), &context, "pending");
    let busy = scene.command(&["reconcile"]);
    assert!(busy.status.code() == Some(1) && busy.err.contains("`apt-ci serve` is running here"), "{busy:#?}");
    lose(&mut scene);
    scene.site.ok(&["worker", "--drain"]);
    let reconciled = scene.command(&["reconcile"]);
    assert!(reconciled.status.success(), "{reconciled:#?}");
    assert!(
        reconciled.err.contains("Previously unknown tests: 1;") && reconciled.err.contains("statuses reported: 1."),
        "{reconciled:#?}"
    );
    assert_eq!(scene.forge.states(PROJECT, &commit('c'), &context), ["pending", "success"]);
    Ok(())
}

fn taken_out(_: &Services) -> Result<(), Failed> {
    let mut scene = PullFixture::new(Forge::GitHub, TestSite::local());
    ready(&scene);
    let context = scene.context("thing");
    scene.forge.open(PROJECT, 7, &commit('a'));
    scene.forge.wait_for(PROJECT, &commit('a'), &context, "pending");
    scene.kill_service();
    scene.site.ok(&["cancel", "--match", "package=thing", "--yes"]);
    scene.serve();
    let ended = scene.forge.wait_for(PROJECT, &commit('a'), &context, "error");
    assert_eq!(ended.description, "not tested: taken out of its queue");
    Ok(())
}

fn while_rotating(_: &Services) -> Result<(), Failed> {
    let mut scene = PullFixture::new(Forge::GitHub, TestSite::local());
    scene.add_hook("thing", &["--build-git", BRANCH]);
    let old = scene.forge.secrets(PROJECT)[0].clone();
    let ping_with = |scene: &PullFixture, secret: &str| {
        let body = format!("{{\"repository\": {{\"full_name\": \"{PROJECT}\"}}}}");
        let signature = signature::sign(&secret.to_owned().into(), body.as_bytes());
        let headers = format!("X-GitHub-Event: ping\r\nX-GitHub-Delivery: p\r\nX-Hub-Signature-256: {signature}\r\n");
        post(&scene.url("/webhooks/github"), &headers, &body).expect("an answer").0
    };
    let arguments = ["github", "rotate-secret", PROJECT, "--token-file", "admin-token"];
    // Killed before the forge has it, and after.
    for held in ["PATCH /repos/me/thing/hooks", "POST /repos/me/thing/hooks"] {
        scene.forge.hold(held);
        let rotating = scene.site.start(&arguments);
        until("the forge is asked", || scene.forge.is_holding());
        rotating.kill();
        scene.forge.let_go();
        let current = scene.forge.secrets(PROJECT)[0].clone();
        assert_eq!((ping_with(&scene, &current), ping_with(&scene, &old)), (200, 200), "{held}");
        scene.kill_service();
        scene.serve();
        assert_eq!((ping_with(&scene, &current), ping_with(&scene, &old)), (200, 200), "{held}");
    }
    let new = scene.forge.secrets(PROJECT)[0].clone();
    assert_ne!(new, old);
    // As long as the service does not take the new one, both stay.
    scene.kill_service();
    let unseen = scene.command(&["rotate-secret", PROJECT, "--token-file", "admin-token"]);
    assert_eq!(unseen.status.code(), Some(1), "{unseen:#?}");
    assert!(unseen.err.contains("both secrets stay valid"), "{unseen:#?}");
    scene.serve();
    assert_eq!(ping_with(&scene, &old), 200);
    let ended = scene.admin(&["rotate-secret", PROJECT]);
    assert!(ended.err.contains("Continuing an earlier rotation"), "{ended:#?}");
    assert_eq!((ping_with(&scene, &new), ping_with(&scene, &old)), (200, 403));
    let secret = scene.site.ok(&["credentials", "show", "github-hook", PROJECT, "--reveal"]);
    assert_eq!(secret.trim(), new);
    assert!(!scene.site.ok(&["credentials", "list"]).contains("+next"));
    Ok(())
}

fn no_queue(services: &Services) -> Result<(), Failed> {
    let rabbitmq = services.private_rabbitmq();
    let scene = PullFixture::new(Forge::GitHub, TestSite::on(&rabbitmq.url(), "folder:results", Vec::new()));
    ready(&scene);
    rabbitmq.remember_queues();
    rabbitmq.kill();
    let sent = scene.forge.open(PROJECT, 7, &commit('a'));
    assert_eq!(sent[0].status, 503, "{sent:?}");
    let answer: Value = serde_json::from_str(&sent[0].answer)?;
    assert!(answer["error"].as_str().expect("an error").contains("cannot reach the queue"), "{answer}");
    assert_eq!(scene.get("/healthz").expect("an answer").0, 503);
    rabbitmq.start_again();
    let again = scene.forge.deliver_again(PROJECT, &sent[0]);
    assert_eq!(again.status, 202, "{again:?}");
    // One that comes again when there is a newer commit asks for nothing.
    let missed = scene.forge.open(PROJECT, 8, &commit('1')).remove(0);
    let later = scene.forge.push(PROJECT, 8, &commit('2')).remove(0);
    assert_eq!((missed.status, later.status), (202, 202));
    let late = missed.body.replace(&commit('1'), &commit('3'));
    let late = scene.forge.deliver(PROJECT, "pull_request", &serde_json::from_str(&late)?).remove(0);
    let answer: Value = serde_json::from_str(&late.answer)?;
    assert_eq!((late.status, &answer["requests"]), (202, &serde_json::json!([])), "{answer}");
    scene.forge.wait_for(PROJECT, &commit('1'), &scene.context("thing"), "error");
    scene.forge.wait_for(PROJECT, &commit('2'), &scene.context("thing"), "pending");
    assert!(scene.forge.statuses(PROJECT, &commit('3')).is_empty());
    // The older one of it is out of the queue.
    scene.wait_for_waiting(2);
    scene.forge.wait_for(PROJECT, &commit('a'), &scene.context("thing"), "pending");
    Ok(())
}

fn no_memory(services: &Services) -> Result<(), Failed> {
    let rabbitmq = services.private_rabbitmq();
    let mut scene = PullFixture::new(Forge::GitHub, TestSite::on(&rabbitmq.url(), "folder:results", Vec::new()));
    ready(&scene);
    rabbitmq.alarm(true);
    // The alarm is seen before anything is sent, so none of them is in doubt.
    let sent: Vec<_> = (1..=3).flat_map(|number| scene.forge.open(PROJECT, number, &commit('a'))).collect();
    assert!(sent.iter().all(|sent| sent.status == 503), "{sent:#?}");
    assert!(sent[2].answer.contains("memory alarm blocks publishing"), "{sent:#?}");
    assert_eq!(scene.get("/healthz").expect("an answer").0, 503);
    rabbitmq.alarm(false);
    until("the service is well again", || scene.get("/healthz").is_some_and(|(status, _)| status == 200));
    for one in &sent {
        assert_eq!(scene.forge.deliver_again(PROJECT, one).status, 202);
    }
    // What the service has answered for is still known to the next one.
    scene.kill_service();
    scene.serve();
    until("all are queued", || count(&scene, "stage = 1") == 3);
    scene.site.ok(&["worker", "--drain"]);
    scene.forge.wait_for(PROJECT, &commit('a'), &scene.context("thing"), "success");
    until("all have ended", || count(&scene, "stage = 3 AND tested") == 3);
    assert_eq!(scene.site.starts().len(), 3);
    Ok(())
}

fn missing_queue(_: &Services) -> Result<(), Failed> {
    let mut scene = PullFixture::new(Forge::GitHub, TestSite::local());
    ready(&scene);
    let context = scene.context("thing");
    for (number, sha) in [(7, 'a'), (8, 'b')] {
        scene.forge.open(PROJECT, number, &commit(sha));
        scene.forge.wait_for(PROJECT, &commit(sha), &context, "pending");
    }
    scene.kill_service();
    // As if it had been killed before they were queued, and one queue had been deleted since.
    scene.site.ok(&["cancel", "--match", "package=thing", "--yes"]);
    journal(&scene).execute_batch(
        "UPDATE test SET stage = 0; UPDATE delivery SET queued = 0;
         UPDATE test SET queue = 'debci-upstream-gone-amd64' WHERE number = 7",
    )?;
    scene.serve();
    let ended = scene.forge.wait_for(PROJECT, &commit('a'), &context, "error");
    assert_eq!(ended.description, "not tested: there is no queue debci-upstream-gone-amd64");
    scene.wait_for_waiting(1);
    scene.site.ok(&["worker", "--drain"]);
    scene.forge.wait_for(PROJECT, &commit('b'), &context, "success");
    Ok(())
}

fn queued_twice(services: &Services) -> Result<(), Failed> {
    for site in [TestSite::local(), services.site_with_folder()] {
        let scene = PullFixture::new(Forge::GitHub, site);
        ready(&scene);
        let sha = commit('a');
        scene.forge.open(PROJECT, 7, &sha);
        scene.forge.wait_for(PROJECT, &sha, &scene.context("thing"), "pending");
        let sql = "SELECT queue, request FROM test";
        let (queue, request): (String, String) =
            journal(&scene).query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let line = format!("{queue}:{}\n", request.replace('\n', " "));
        scene.site.submit(&line);
        scene.site.ok(&["worker", "--drain"]);
        scene.site.submit(&line);
        scene.site.ok(&["worker", "--drain"]);
        assert_eq!((scene.site.starts().len(), scene.site.results().len()), (1, 1));
    }
    Ok(())
}
