//! Deliveries that are not taken.

use std::fs;
use std::sync::Arc;

use apt_ci::forge::{Forge, signature};
use libtest_mimic::Failed;
use serde_json::{Value, json};
use testkit::forge::deliver::post;
use testkit::site::TestSite;
use testkit::{Services, Story, Trial, stories};

use super::fixture::{PROJECT, PullFixture, commit};

const BRANCH: &str = "https://git.example/thing.git";

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    const STORIES: [(&str, Story); 4] = [
        ("what_has_no_queue_keeps_nothing_else_from_being_tested", no_queue),
        ("every_refusal_looks_the_same", alike),
        ("what_is_signed_is_not_believed_either", signed_but_wrong),
        ("sha1_is_enough_only_where_that_is_declared", legacy),
    ];
    stories("pulls", services, &STORIES)
}

/// A pull request's payload.
fn payload(project: &str, clone_url: &str) -> Value {
    json!({
        "action": "opened", "number": 7,
        "pull_request": {
            "number": 7, "state": "open", "head": {"sha": commit('a')}, "base": {"repo": {"clone_url": clone_url}},
        },
        "repository": {"full_name": project},
        "nonce": uuid::Uuid::new_v4().to_string(),
    })
}

/// Posts a delivery with this secret to an address of the service.
fn deliver(address: &str, secret: &str, body: &str) -> (u16, String) {
    let signature = signature::sign(&secret.to_owned().into(), body.as_bytes());
    let id = uuid::Uuid::new_v4();
    let headers =
        format!("X-GitHub-Event: pull_request\r\nX-GitHub-Delivery: {id}\r\nX-Hub-Signature-256: {signature}\r\n");
    post(address, &headers, body).expect("an answer")
}

fn alike(_: &Services) -> Result<(), Failed> {
    let scene = PullFixture::new(Forge::GitHub, TestSite::local());
    scene.add_hook("thing", &["--build-git", BRANCH, "--env", "A=1"]);
    let secret = scene.forge.secrets(PROJECT)[0].clone();
    let address = scene.forge.hooks(PROJECT)[0].clone();
    let good = payload(PROJECT, "x").to_string();
    let other = payload("you/other", "x").to_string();
    let elsewhere = scene.url("/webhooks/github");
    for (address, secret, body) in [
        (address.as_str(), "wrong", good.as_str()),
        (&address, &secret, &other),
        (&elsewhere, "wrong", &other),
        (&elsewhere, "", &good),
        (&address.replace("package=thing", "package=other"), &secret, &good),
        (&address.replace("A%3D1", "A%3D2"), &secret, &good),
        (&format!("{address}%3BLD_PRELOAD%3Dx"), &secret, &good),
        (&format!("{address}&trigger=a%2F1"), &secret, &good),
        (&address, &secret, "not JSON"),
        (&address, &secret, ""),
        (&elsewhere, &secret, "[]"),
    ] {
        let (status, answer) = deliver(address, secret, body);
        assert_eq!(
            (status, answer.as_str()),
            (403, "{\"error\":\"this delivery is not accepted\"}\n"),
            "{address} {body}"
        );
    }
    let unsigned = post(&address, "X-GitHub-Event: pull_request\r\nX-GitHub-Delivery: u\r\n", &good);
    assert_eq!(unsigned.expect("an answer").0, 403);
    let sha1 = "X-GitHub-Event: pull_request\r\nX-GitHub-Delivery: u\r\nX-Hub-Signature: sha1=00\r\n";
    assert_eq!(post(&address, sha1, &good).expect("an answer").0, 403);
    let gitlab = "X-Gitlab-Event: Push Hook\r\nIdempotency-Key: u\r\nX-Gitlab-Token: x\r\n";
    assert_eq!(post(&scene.url("/webhooks/gitlab"), gitlab, &good).expect("an answer").0, 403);
    assert_eq!(post(&scene.url("/webhooks/github"), "", &good).expect("an answer").0, 400);
    assert_eq!(post(&address, "X-GitHub-Event: ping\r\n", &good).expect("an answer").0, 400);
    // Nobody reads a body that is too large.
    let mut large = String::from("Content-Type: application/json\r\nX-GitHub-Event: ping\r\nX-GitHub-Delivery: l\r\n");
    large.push_str("Expect: 100-continue\r\n");
    let (status, _) =
        post(&address, &large, &" ".repeat(apt_ci::web::MAX_BODY_SIZE + 1)).unwrap_or((413, String::new()));
    assert_eq!(status, 413);
    assert_eq!(scene.waiting(), 0);
    // The log names reason and delivery, and no secret.
    for reason in ["the signature is wrong", "no declared hook has this project and address"] {
        scene.wait_for_log(&format!("refused: {reason} forge=github delivery="), 1);
    }
    let log = scene.log();
    assert!(!log.contains(&secret) && !log.contains("LD_PRELOAD"), "{log}");
    // A good one is taken all the same.
    assert_eq!(deliver(&address, &secret, &good).0, 202);
    // The same content under another name is somebody who repeats it.
    assert_eq!(deliver(&address, &secret, &good).0, 403);
    scene.wait_for_log("another delivery had the same content", 1);
    assert_eq!(scene.waiting(), 1);
    Ok(())
}

fn signed_but_wrong(_: &Services) -> Result<(), Failed> {
    let scene = PullFixture::new(Forge::GitHub, TestSite::local());
    scene.add_hook("thing", &[]);
    let secret = scene.forge.secrets(PROJECT)[0].clone();
    let address = scene.forge.hooks(PROJECT)[0].clone();
    for clone_url in ["https://evil.example/me/thing.git", "ext::sh -c id", "http://127.0.0.1/me/thing.git"] {
        let (status, answer) = deliver(&address, &secret, &payload(PROJECT, clone_url).to_string());
        assert!(status == 422 && answer.contains("its clone_url is not that of me/thing"), "{status} {answer}");
    }
    let mut shell = payload(PROJECT, "x");
    shell["pull_request"]["head"]["sha"] = json!("$(id)");
    let (status, answer) = deliver(&address, &secret, &shell.to_string());
    assert!(status == 422 && answer.contains("not a commit"), "{status} {answer}");
    assert_eq!(scene.waiting(), 0);
    // The project's own address is good; what is tested is its reference there.
    let own = format!("{}/{PROJECT}.git", scene.forge.url().replace("http:", "https:"));
    assert_eq!(deliver(&address, &secret, &payload(PROJECT, &own).to_string()).0, 202);
    let waiting = scene.site.json(&["queues", &scene.queue()]);
    let text = waiting.to_string();
    assert!(text.contains(&format!("{own}#refs/pull/7/head")), "{text}");
    Ok(())
}

fn legacy(_: &Services) -> Result<(), Failed> {
    let scene = PullFixture::new(Forge::GitHub, TestSite::local());
    scene.add_hook("thing", &["--build-git", BRANCH]);
    scene.site.ok(&["credentials", "list"]);
    let body = payload(PROJECT, "x").to_string();
    let address = scene.forge.hooks(PROJECT)[0].clone();
    let secret = scene.forge.secrets(PROJECT)[0].clone();
    let key = scene.site.path().join("body");
    fs::write(&key, &body)?;
    let openssl = std::process::Command::new("openssl").args(["dgst", "-sha1", "-hmac", &secret]).arg(&key).output()?;
    let code = String::from_utf8_lossy(&openssl.stdout).trim().rsplit(' ').next().unwrap_or_default().to_owned();
    let headers = format!("X-GitHub-Event: pull_request\r\nX-GitHub-Delivery: s\r\nX-Hub-Signature: sha1={code}\r\n");
    assert_eq!(post(&address, &headers, &body).expect("an answer").0, 403);
    let file = scene.site.path().join("hooks.toml");
    fs::write(&file, fs::read_to_string(&file)? + "legacy = true\n")?;
    assert_eq!(post(&address, &headers, &body).expect("an answer").0, 202, "{}", scene.log());
    Ok(())
}

fn no_queue(_: &Services) -> Result<(), Failed> {
    let mut scene = PullFixture::new(Forge::GitHub, TestSite::local());
    scene.add_hook("thing", &["--build-git", BRANCH]);
    assert!(scene.set_token("status").status.success());
    // Somebody wants an architecture that the site does not have.
    let file = scene.site.path().join("hooks.toml");
    fs::write(&file, fs::read_to_string(&file)?.replace("[\"amd64\"]", "[\"amd64\", \"arm64\"]"))?;
    scene.kill_service();
    scene.serve();
    scene.wait_for_log("is not in [releases] of apt-ci.toml", 1);
    let mended = scene.command(&["sync", "--yes", "--token-file", "admin-token"]);
    assert!(mended.err.contains("there is no queue debci-upstream-"), "{mended:#?}");
    let sent = scene.forge.open(PROJECT, 7, &commit('a')).remove(0);
    assert_eq!(sent.status, 202, "{sent:?}");
    let arm = scene.context("thing").replace("amd64", "arm64");
    let untested = scene.forge.wait_for(PROJECT, &commit('a'), &arm, "error");
    assert!(untested.description.starts_with("not tested: there is no queue"), "{untested:?}");
    scene.site.ok(&["worker", "--drain", "-a", "amd64"]);
    scene.forge.wait_for(PROJECT, &commit('a'), &scene.context("thing"), "success");
    assert_eq!(scene.forge.deliver_again(PROJECT, &sent).status, 200, "it is done");
    Ok(())
}
