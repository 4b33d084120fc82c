//! What GitHub has published about itself: its API's description accepts our calls, and its examples of deliveries are understood.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use apt_ci::forge::client::Client;
use apt_ci::forge::status::{State, Status};
use apt_ci::forge::{Forge, signature};
use libtest_mimic::Failed;
use testkit::examples::examples;
use testkit::forge::deliver::post;
use testkit::prism::Prism;
use testkit::site::TestSite;
use testkit::{Services, Story, Trial, block_on, stories};

use super::fixture::PullFixture;

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    const STORIES: [(&str, Story); 2] = [
        ("every_call_is_one_that_github_describes", calls),
        ("every_example_of_a_delivery_is_answered_as_it_deserves", deliveries),
    ];
    stories("pulls", services, &STORIES)
}

fn calls(_: &Services) -> Result<(), Failed> {
    let described = Prism::start();
    block_on(async {
        let api = described.url().parse().expect("an address");
        let token = Some("token".to_owned().into());
        let github = Client::new(Forge::GitHub, &api, token).expect("a client");
        let (project, secret) = ("octocat/Hello-World".parse().expect("a project"), "secret".to_owned().into());
        let commit = "6dcb09b5b57875f334f61aebed695e2e4193db5e".parse().expect("a commit");
        let url = "https://ci.example/request.cgi?release=noble&arch=amd64&package=hello&env=A%3D1";
        let hooks = github.hooks(&project).await.expect("hooks");
        assert!(!hooks.is_empty());
        let made = github.create_hook(&project, url, &secret).await.expect("a hook");
        assert!(made.is_active && made.sends_pulls && made.verifies_certificate, "{made:?}");
        github.change_hook(&project, 1, url, &secret).await.expect("a change");
        github.ping(&project, 1).await.expect("a ping");
        let last = github.last_delivery(&project, 1).await.expect("deliveries").expect("one");
        assert!(last.is_good(), "{last:?}");
        github.remove_hook(&project, 1).await.expect("no hook");
        assert!(github.pull(&project, 1347).await.expect("a pull request").number > 0);
        let since = jiff::Timestamp::from_second(0).expect("a time");
        assert!(!github.pulls_since(&project, since).await.expect("pull requests").is_empty());
        github.statuses(&project, &commit).await.expect("statuses");
        for state in [State::Pending, State::Success, State::Failure, State::Error] {
            let link = Some("https://ci.example/requests/1".to_owned());
            let status = Status::new("autopkgtest/hello/noble/amd64".to_owned(), state, "in words", link);
            github.set_status(&project, 1347, &commit, &status).await.expect("a status");
        }
        assert!(github.token().await.expect("a user").login.is_some());
    });
    let violations = described.violations();
    assert!(violations.is_empty(), "{violations:#?}");
    Ok(())
}

fn deliveries(_: &Services) -> Result<(), Failed> {
    let scene = PullFixture::new(Forge::GitHub, TestSite::local());
    let release = &scene.site.release;
    let mut hooks = String::new();
    for project in ["Codertocat/Hello-World", "octo-org/octo-repo", "Octocoders/Hello-World"] {
        writeln!(
            hooks,
            "[[hook]]\nforge = \"github\"\nproject = \"{project}\"\nrelease = \"{release}\"\narchitectures = [\"amd64\"]\npackage = \"hello\""
        )?;
        let set = ["credentials", "set", "github-hook", project];
        assert!(crate::credentials::with_input(&scene.site, &set, "the secret\n").status.success());
    }
    std::fs::write(scene.site.path().join("hooks.toml"), hooks)?;
    let secret = "the secret".to_owned().into();
    let mut answers: BTreeMap<(String, u16), usize> = BTreeMap::new();
    let examples = examples();
    assert!(examples.len() > 300, "{}", examples.len());
    for (number, (event, payload)) in examples.iter().enumerate() {
        let body = payload.to_string();
        let known = payload["repository"]["full_name"].as_str().is_some_and(|name| {
            ["codertocat/hello-world", "octo-org/octo-repo", "octocoders/hello-world"]
                .contains(&name.to_lowercase().as_str())
        });
        let action = payload["action"].as_str().unwrap_or_default();
        let asks = event == "pull_request" && ["opened", "synchronize", "reopened", "closed"].contains(&action);
        let head = format!("X-GitHub-Event: {event}\r\nContent-Type: application/json\r\n");
        let unsigned = format!("{head}X-GitHub-Delivery: unsigned-{number}\r\n");
        let (status, answer) = post(&scene.url("/webhooks/github"), &unsigned, &body).expect("an answer");
        assert_eq!(status, 403, "{event} {action}: {answer}");
        let mut wrong = signature::sign(&"another".to_owned().into(), body.as_bytes());
        let signed =
            |signature: &str| format!("{head}X-GitHub-Delivery: {number}\r\nX-Hub-Signature-256: {signature}\r\n");
        let (status, _) = post(&scene.url("/webhooks/github"), &signed(&wrong), &body).expect("an answer");
        assert_eq!(status, 403, "{event} {action}");
        wrong = signature::sign(&secret, body.as_bytes());
        let (status, answer) = post(&scene.url("/webhooks/github"), &signed(&wrong), &body).expect("an answer");
        let expected = match (known, asks) {
            (false, _) => 403,
            (true, true) => 202,
            (true, false) => 200,
        };
        assert_eq!(status, expected, "{event} {action}: {answer}");
        *answers.entry((event.clone(), status)).or_default() += 1;
    }
    let count = |event: &str, status: u16| answers.get(&(event.to_owned(), status)).copied().unwrap_or_default();
    assert!(count("pull_request", 202) >= 6 && count("pull_request", 200) >= 10, "{answers:?}");
    assert!(count("ping", 200) >= 1 && count("push", 200) >= 1, "{answers:?}");
    Ok(())
}
