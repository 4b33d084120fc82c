//! The transcripts of the chapter about pull requests, with a stand-in for GitHub.

use std::fs;
use std::process::Command;

use apt_ci::forge::Forge;
use libtest_mimic::Failed;
use regex::Regex;
use testkit::Services;
use testkit::daemon::free_port;
use testkit::forge::FakeForge;
use testkit::site::TestSite;

use super::{Step, arguments, run, transcripts, words};
use crate::pulls::fixture::{GIT, PullFixture};
use crate::terminal::answering_all;

/// The commit that the chapter shows.
const COMMIT: &str = "6dcb09b5b57875f334f61aebed695e2e4193db5e";

pub fn pull_requests(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local().of_release("bookworm").with_program("git", GIT);
    let file = site.path().join("apt-ci.toml");
    fs::write(&file, fs::read_to_string(&file)?.replace("[\"amd64\"]", "[\"amd64\", \"arm64\"]"))?;
    let port = free_port();
    // The public URL differs from the address, as behind a proxy.
    site.configure_further(&format!(
        "\n[web]\nurl = \"http://localhost:{port}\"\nlisten = \"127.0.0.1:{port}\"\nallowed-git-hosts = [\"127.0.0.1\"]\n"
    ));
    let forge = FakeForge::start(Forge::GitHub);
    forge.project("me/hello");
    forge.token("administrator", &["admin:repo_hook"]);
    forge.token("status", &["repo", "gist"]);
    let made = Command::new("git").arg("-C").arg(site.path()).args(["init", "--quiet"]).status()?;
    assert!(made.success(), "a repository");
    let mut scene = PullFixture { site, forge, kind: Forge::GitHub, port, service: None };

    let [setting_up, testing] =
        transcripts("docs/guides/pull-requests.md").try_into().ok().expect("the transcripts of the chapter");
    let [serve, add, set_token, list] = &setting_up[..] else { panic!("four commands") };
    assert_eq!(serve.command, "apt-ci serve &");
    scene.serve();
    compare(&scene, serve, &scene.log());
    let api = scene.forge.api();
    let answers = [("Release to test", "\r"), ("Architectures to test", " \r"), ("Token of a", "administrator\r")];
    converse(&scene, add, &["--api-url", &api], &answers);
    converse(&scene, set_token, &[], &[("Status token", "status\r")]);
    fs::write(scene.site.path().join("token"), "administrator\n")?;
    compare(&scene, list, &run(&scene.site, &list.command));

    let [queued, worker, passed, retry] = &testing[..] else { panic!("four commands") };
    scene.forge.open("me/hello", 7, COMMIT);
    let context = "autopkgtest/hello/bookworm/arm64";
    scene.forge.wait_for("me/hello", COMMIT, context, "pending");
    compare(&scene, queued, &run(&scene.site, &queued.command));
    compare(&scene, worker, &run(&scene.site, &worker.command));
    scene.forge.wait_for("me/hello", COMMIT, context, "success");
    let url = scene.forge.url();
    compare(&scene, passed, &run(&scene.site, &passed.command.replace("https://github.com", &url)));
    compare(&scene, retry, &run(&scene.site, &retry.command));
    Ok(())
}

/// Runs a command that asks these questions.
#[track_caller]
fn converse(scene: &PullFixture, step: &Step, further: &[&str], answers: &[(&str, &str)]) {
    let (shown, code) = answering_all(&scene.site, answers, &[&arguments(&step.command), further].concat());
    assert_eq!(code, Some(0), "{shown}");
    let plain = Regex::new("\u{1b}\\[[0-9;?]*[a-zA-Z]").expect("a pattern").replace_all(&shown, "").into_owned();
    // A question is shown more than once: with its choices, and at last with the answer.
    let (asked, rest) = plain.rsplit_once("[hidden]").expect("the last answer");
    let (questions, output) = step.output.split_once("[hidden]\n").expect("the last answer");
    for question in questions.lines() {
        assert!(asked.contains(question), "{question}\n{shown}");
    }
    compare(scene, &Step { command: step.command.clone(), output: output.to_owned() }, rest);
}

/// Compares what a command showed with the chapter, whose addresses are those of a public service.
#[track_caller]
fn compare(scene: &PullFixture, step: &Step, shown: &str) {
    let plain = shown
        .replace(&format!("http://localhost:{}", scene.port), "https://ci.example.org")
        .replace(&format!("127.0.0.1:{}", scene.port), "127.0.0.1:8870");
    assert_eq!(words(&plain, &scene.site), words(&step.output, &scene.site), "$ {}\n{shown}", step.command);
}
