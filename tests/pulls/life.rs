//! The life of a pull request.

use std::sync::{Arc, PoisonError};

use apt_ci::forge::Forge;
use libtest_mimic::Failed;
use serde_json::{Value, json};
use testkit::forge::deliver::post;
use testkit::site::{TestSite, until};
use testkit::{Services, Story, Trial, stories};

use super::fixture::{PROJECT, PullFixture, commit};
use crate::real::{HOST, NULL, project_on_the_web};

/// A branch that nobody fetches: the stub tests it.
const BRANCH: &str = "https://git.example/thing.git";

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    const STORIES: [(&str, Story); 6] = [
        ("a_pull_request_is_tested_with_autopkgtest_and_shown_at_github", from_a_branch),
        ("a_newer_commit_supersedes_an_older_one_and_a_closed_pull_request_is_not_tested", superseded),
        ("merge_requests_are_tested_and_shown_at_gitlab", merge_requests),
        ("a_form_and_an_address_without_parameters_are_taken_as_well", other_forms),
        ("a_broken_token_holds_up_no_other_project_and_a_new_one_makes_up_for_it", broken_token),
        ("users_ask_for_tests_with_a_key", keys),
    ];
    stories("pulls", services, &STORIES)
}

fn from_a_branch(services: &Services) -> Result<(), Failed> {
    let _alone = HOST.lock().unwrap_or_else(PoisonError::into_inner);
    let scene = PullFixture::new(Forge::GitHub, services.site());
    scene.site.worker_conf(&format!("[autopkgtest]\nretry_delay = 1\n{NULL}"));
    let web = tempfile::tempdir()?;
    let (_project, _server, url) = project_on_the_web(web.path());
    let branch = format!("{url}#refs/pull/7/head");
    for test in ["greets", "fails"] {
        scene.add_hook("hello-git", &["--build-git", &branch, "--testname", test, "--env", "MARK=plum"]);
    }
    assert!(scene.set_token("status").status.success());
    let sha = commit('a');
    let sent = scene.forge.open(PROJECT, 7, &sha);
    assert!(sent.iter().all(|sent| sent.status == 202), "{sent:#?}");
    let of_test = |test: &str| format!("{}/{test}", scene.context("hello-git"));
    scene.forge.wait_for(PROJECT, &sha, &of_test("fails"), "pending");
    let pending = scene.forge.wait_for(PROJECT, &sha, &of_test("greets"), "pending");
    let id = pending.link.rsplit('/').next().expect("an id").to_owned();
    let (status, text) = scene.get(&format!("/requests/{id}")).expect("a page");
    assert!(status == 200 && text.contains("queued or running") && text.contains(&format!("{PROJECT} #7")), "{text}");
    scene.site.ok(&["worker", "--drain"]);
    for (context, state, description) in
        [(of_test("greets"), "success", "tests passed"), (of_test("fails"), "failure", "tests failed")]
    {
        let ended = scene.forge.wait_for(PROJECT, &sha, &context, state);
        assert!(ended.description.starts_with(description), "{ended:?}");
        assert!(ended.link.starts_with("http://") && ended.link.ends_with("/log.gz"), "{ended:?}");
        assert_eq!(scene.forge.states(PROJECT, &sha, &context), ["pending", state], "each state once");
    }
    // The page leads to the log, which everybody can read.
    let (status, log) = scene.get(&format!("/requests/{id}")).expect("a page");
    assert_eq!(status, 303);
    let run = scene.site.result_of(&id);
    let folder = run["path"].as_str().expect("a path").replace('@', "%40");
    assert!(log.contains(&folder), "{log}");
    assert!(scene.site.log_of(&run).contains("a pull request's mark is plum"));
    let shown = scene.status(7);
    assert_eq!(shown["commit"], sha.as_str());
    let greets =
        shown["tests"].as_array().expect("a list").iter().find(|one| one["context"] == of_test("greets").as_str());
    let greets = greets.expect("the test");
    assert_eq!((&greets["status"]["state"], &greets["uuid"]), (&json!("success"), &json!(id)));
    assert!(greets["place"].as_str().expect("a place").starts_with("pass 2"), "{greets}");
    Ok(())
}

fn superseded(services: &Services) -> Result<(), Failed> {
    let scene = PullFixture::new(Forge::GitHub, services.site_with_folder());
    scene.add_hook("thing", &["--build-git", BRANCH]);
    assert!(scene.set_token("status").status.success());
    let context = scene.context("thing");
    let (first, second, third) = (commit('1'), commit('2'), commit('3'));
    scene.forge.open(PROJECT, 7, &first);
    scene.forge.open(PROJECT, 8, &commit('9'));
    scene.wait_for_waiting(2);
    let sent = scene.forge.push(PROJECT, 7, &second);
    assert_eq!(sent[0].status, 202, "{sent:?}");
    let needless = scene.forge.wait_for(PROJECT, &first, &context, "error");
    assert_eq!(needless.description, "not tested: superseded by a newer commit");
    until("the older one is out of its queue", || scene.waiting() == 2);
    // Nothing is queued twice for one commit, nor by a delivery that comes again.
    let again = scene.forge.deliver_again(PROJECT, &sent[0]);
    let answer: Value = serde_json::from_str(&again.answer)?;
    assert_eq!((again.status, &answer["state"]), (200, &json!("known")));
    let reopened = scene.forge.open(PROJECT, 7, &second);
    let answer: Value = serde_json::from_str(&reopened[0].answer)?;
    assert_eq!((reopened[0].status, &answer["requests"]), (202, &json!([])));
    scene.wait_for_waiting(2);
    scene.forge.close(PROJECT, 7);
    let closed = scene.forge.wait_for(PROJECT, &second, &context, "error");
    assert_eq!(closed.description, "not tested: the pull request was closed");
    until("it is out of its queue", || scene.waiting() == 1);
    // One that is open again is tested.
    scene.forge.open(PROJECT, 7, &third);
    scene.forge.wait_for(PROJECT, &third, &context, "pending");
    scene.site.ok(&["worker", "--drain"]);
    scene.forge.wait_for(PROJECT, &third, &context, "success");
    assert_eq!(scene.forge.states(PROJECT, &third, &context), ["pending", "success"]);
    // Opened again and closed again before it could be tested once more, it shows the result that it has.
    scene.forge.open(PROJECT, 7, &third);
    until("it is pending", || scene.forge.states(PROJECT, &third, &context).len() == 3);
    scene.forge.close(PROJECT, 7);
    until("it has its result again", || scene.forge.states(PROJECT, &third, &context).len() == 4);
    assert_eq!(scene.forge.states(PROJECT, &third, &context), ["pending", "success", "pending", "success"]);
    assert_eq!(scene.site.starts().len(), 2);
    Ok(())
}

fn merge_requests(_: &Services) -> Result<(), Failed> {
    let scene = PullFixture::new(Forge::GitLab, TestSite::local());
    scene.add_hook("thing", &["--build-git", BRANCH, "--env", "STUB_EXIT=8"]);
    scene.add_hook("bad", &["--build-git", BRANCH, "--env", "STUB_EXIT=4"]);
    scene.add_hook("ill", &["--build-git", BRANCH, "--env", "STUB_EXIT=16"]);
    assert!(scene.set_token("status").status.success());
    let (first, second) = (commit('1'), commit('f'));
    let sent = scene.forge.open(PROJECT, 3, &first);
    assert!(sent.len() == 3 && sent.iter().all(|sent| sent.status == 202), "{sent:#?}");
    scene.forge.wait_for(PROJECT, &first, &scene.context("thing"), "pending");
    scene.forge.push(PROJECT, 3, &second);
    scene.forge.wait_for(PROJECT, &first, &scene.context("thing"), "canceled");
    // It takes itself out of service when all that is left fails.
    scene.site.run(&["worker", "--drain"]);
    let ended = scene.forge.wait_for(PROJECT, &second, &scene.context("thing"), "success");
    assert!(ended.description.starts_with("no tests were run"), "{ended:?}");
    scene.forge.wait_for(PROJECT, &second, &scene.context("bad"), "failed");
    let ill = scene.forge.wait_for(PROJECT, &second, &scene.context("ill"), "canceled");
    assert_eq!(ill.description, "the testbed failed; the tests said nothing");
    let run = scene.site.results().into_iter().find(|run| run["package"] == "thing").expect("a result");
    let info = scene.site.member(&run, "testinfo.json");
    assert!(info.contains(&format!("{}/projects/me%2Fthing/statuses/{second}", scene.forge.api())), "{info}");
    Ok(())
}

fn other_forms(_: &Services) -> Result<(), Failed> {
    let scene = PullFixture::new(Forge::GitHub, TestSite::local());
    scene.add_hook("thing", &["--build-git", BRANCH]);
    scene.add_hook("other", &["--build-git", BRANCH]);
    scene.forge.spoil_hooks(PROJECT, true, true);
    let sent = scene.forge.open(PROJECT, 7, &commit('1'));
    assert!(sent.iter().all(|sent| sent.status == 202), "{sent:#?}");
    scene.wait_for_waiting(2);
    // One address for all tests of a project.
    let payload = sent[0].body.replace(&commit('1'), &commit('2'));
    let secret = scene.forge.secrets(PROJECT)[0].clone();
    let signature = apt_ci::forge::signature::sign(&secret.into(), payload.as_bytes());
    let headers =
        format!("X-GitHub-Event: pull_request\r\nX-GitHub-Delivery: other\r\nX-Hub-Signature-256: {signature}\r\n");
    let (status, answer) = post(&scene.url("/webhooks/github"), &headers, &payload).expect("an answer");
    let answer: Value = serde_json::from_str(&answer)?;
    assert_eq!((status, answer["requests"].as_array().map(Vec::len)), (202, Some(2)), "{answer}");
    Ok(())
}

fn broken_token(_: &Services) -> Result<(), Failed> {
    let scene = PullFixture::new(Forge::GitHub, TestSite::local());
    scene.forge.project("you/good");
    scene.add_hook("thing", &["--build-git", BRANCH]);
    let (api, release) = (scene.forge.api(), scene.site.release.clone());
    scene.admin(&["add-hook", "you/good", "-s", &release, "--api-url", &api, "--build-git", BRANCH]);
    assert!(scene.set_token("status").status.success());
    let good = crate::credentials::with_input(&scene.site, &["github", "set-token", "you/good"], "status\n");
    assert!(good.status.success(), "{good:#?}");
    // The first project's token is replaced by one that expires.
    scene.forge.token("expiring", &["repo:status"]);
    assert!(scene.set_token("expiring").status.success());
    scene.forge.token("expiring", &[]);
    let sha = commit('a');
    scene.forge.open(PROJECT, 7, &sha);
    scene.forge.open("you/good", 1, &sha);
    scene.site.ok(&["worker", "--drain"]);
    let good = format!("autopkgtest/good/{release}/amd64");
    scene.forge.wait_for("you/good", &sha, &good, "success");
    assert!(scene.forge.statuses(PROJECT, &sha).is_empty());
    until("the log says why", || scene.log().contains("rejected the token for this operation (401)"));
    assert!(!scene.log().contains("expiring"), "{}", scene.log());
    scene.forge.refuse("POST /repos/me/thing/statuses", "403 Forbidden", "Retry-After: 1\r\n");
    assert!(scene.set_token("status").status.success());
    scene.forge.wait_for(PROJECT, &sha, &scene.context("thing"), "success");
    assert_eq!(
        scene.forge.states(PROJECT, &sha, &scene.context("thing")),
        ["success"],
        "what was pending in between is not shown any more"
    );
    let (_, figures) = scene.get("/metrics").expect("figures");
    assert!(figures.contains("apt_ci_unshown_statuses 0\n"), "{figures}");
    Ok(())
}

fn keys(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    site.configure_with("local:queue", "folder:results", 1);
    let scene = PullFixture::new(Forge::GitHub, site.with_pocket("proposed"));
    let key = scene.site.ok(&["credentials", "set", "api-key", "ann", "--generate"]);
    let key = key.trim();
    let stored = std::fs::read_to_string(scene.site.path().join(".credentials/api-key/ann.json"))?;
    assert!(!stored.contains(key) && stored.contains("sha256:"), "{stored}");
    let release = scene.site.release.clone();
    let ask = |key: &str, parameters: &str| {
        let headers = format!("Authorization: Bearer {key}\r\nContent-Type: application/x-www-form-urlencoded\r\n");
        let (status, answer) = post(&scene.url("/request.cgi"), &headers, parameters).expect("an answer");
        (status, serde_json::from_str::<Value>(&answer).expect("JSON"))
    };
    let good = format!("release={release}&package=gzip&trigger=glibc%2F2.39-1&env=A%3D1%3BB%3D2&all-proposed=1");
    for (key, parameters, status, text) in [
        ("wrong", good.as_str(), 401, "missing or unknown API key"),
        ("", &good, 401, "missing or unknown API key"),
        (key, "release=noble&package=gzip&trigger=a/1", 400, "noble is not tested here"),
        (key, &format!("release={release}&package=gzip"), 400, "trigger is missing"),
        (key, &format!("release={release}&trigger=a/1"), 400, "package is missing"),
        (key, &format!("release={release}&package=gzip&trigger=a/1&arch=arm64"), 400, "is not tested on arm64"),
        (key, &format!("release={release}&package=gzip&trigger=a/1&shell=x"), 400, "unknown parameter"),
        (key, &format!("release={release}&package=gzip&ppa=me:TOKEN@me/x"), 400, "must not be in a URL"),
        (key, &format!("release={release}n0&package=gzip&trigger=a/1&all-proposed=1"), 400, "has no pocket"),
    ] {
        let (answered, answer) = ask(key, parameters);
        assert_eq!(answered, status, "{parameters}: {answer}");
        assert!(answer["error"].as_str().expect("an error").contains(text), "{parameters}: {answer}");
    }
    assert!(scene.site.queue().is_null() || scene.site.queue()["ready"] == 0);
    let (status, answer) = ask(key, &good);
    assert_eq!(status, 202, "{answer}");
    let id = answer["requests"][0]["uuid"].as_str().expect("an id").to_owned();
    // The same once more is not queued once more.
    let (status, again) = ask(key, &good);
    assert_eq!(
        (status, &again["requests"][0]["state"], &again["requests"][0]["uuid"]),
        (202, &json!("already-queued"), &json!(id))
    );
    scene.site.ok(&["worker", "--drain"]);
    let run = scene.site.result_of(&id);
    assert_eq!((&run["requester"], &run["triggers"]), (&json!("ann"), &json!(["glibc/2.39-1"])));
    scene.site.ok(&["credentials", "remove", "api-key", "ann", "--yes"]);
    assert_eq!(ask(key, &good).0, 401);
    Ok(())
}
