//! The commands that connect projects.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;

use apt_ci::forge::Forge;
use libtest_mimic::Failed;
use serde_json::{Value, json};
use testkit::site::TestSite;
use testkit::{Services, Story, Trial, stories};

use super::fixture::{PROJECT, PullFixture, commit};
use crate::credentials::with_input;
use crate::terminal::answering;

const BRANCH: &str = "https://git.example/thing.git";

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    const STORIES: [(&str, Story); 9] = [
        ("a_hook_is_made_declared_committed_and_pinged", added),
        ("a_hook_can_be_entered_by_hand", by_hand),
        ("what_cannot_be_a_hook_changes_nothing", wrong),
        ("what_is_missing_is_asked_for_on_a_terminal", asked),
        ("sync_makes_the_forge_agree_with_the_site", synced),
        ("a_pull_request_is_tested_again", retried),
        ("tokens_are_tried_before_they_are_stored", tokens),
        ("what_was_interrupted_is_gone_on_with", interrupted),
        ("a_secret_is_no_other_projects", secrets),
    ];
    stories("pulls", services, &STORIES)
}

fn added(_: &Services) -> Result<(), Failed> {
    for kind in [Forge::GitHub, Forge::GitLab] {
        let scene = PullFixture::new(kind, TestSite::local());
        let git = |arguments: &[&str]| {
            let output = Command::new("git").arg("-C").arg(scene.site.path()).args(arguments).output().expect("git");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        git(&["init", "--quiet"]);
        let release = scene.site.release.clone();
        let added = scene.admin(&[
            "add-hook",
            PROJECT,
            "-s",
            &release,
            "--build-git",
            BRANCH,
            "--env",
            "CFLAGS=-O0 -g",
            "--ppa",
            "me/tools",
            "--api-url",
            &scene.forge.api(),
        ]);
        let page = if kind == Forge::GitHub { "request.cgi" } else { "webhooks/gitlab" };
        let address = format!(
            "{}/{page}?release={release}&arch=amd64&build-git=https%3A%2F%2Fgit.example%2Fthing.git&package=thing&ppa=me%2Ftools&env=CFLAGS%3D-O0%20-g",
            scene.url("")
        );
        assert_eq!(added.out, format!("{address}\n"));
        assert_eq!(scene.forge.hooks(PROJECT), std::slice::from_ref(&address));
        assert!(added.err.contains("The service has accepted a "), "{added:#?}");
        assert!(added.err.contains("no token for statuses yet"), "{added:#?}");
        let subject = git(&["log", "-1", "--format=%s", "--", "hooks.toml"]);
        assert_eq!(subject, format!("Test {PROJECT} {}s: thing on {release} amd64\n", kind.change()));
        let history = git(&["log", "-p", "--all"]);
        assert!(!history.contains(&scene.forge.secrets(PROJECT)[0]), "the secret is in the history");
        let listed = scene.admin(&["list-hooks", "--json"]);
        let listed: Value = serde_json::from_str(&listed.out)?;
        assert_eq!((&listed[0]["state"], &listed[0]["last"]["status"]), (&json!("good"), &json!(200)), "{listed}");
        // The same once more: nothing is made twice.
        scene.add_hook("other", &["--build-git", BRANCH]);
        scene.add_hook("other", &["--build-git", BRANCH]);
        assert_eq!(scene.forge.hooks(PROJECT).len(), 2);
        assert_eq!(scene.forge.secrets(PROJECT)[0], scene.forge.secrets(PROJECT)[1]);
        let removed = scene.admin(&["remove-hook", PROJECT, "--package", "other", "--yes"]);
        assert!(removed.err.contains("is no longer tested: other"), "{removed:#?}");
        assert_eq!(scene.forge.hooks(PROJECT), [address]);
        let refused = scene.command(&["remove-hook", PROJECT]);
        assert!(refused.status.code() == Some(2) && refused.err.contains("use --yes to confirm"), "{refused:#?}");
        scene.admin(&["remove-hook", PROJECT, "--yes"]);
        assert!(scene.forge.hooks(PROJECT).is_empty());
        assert!(scene.site.ok(&["credentials", "list"]).is_empty(), "the secret went with the last hook");
        let sent = scene.forge.open(PROJECT, 1, &commit('a'));
        assert!(sent.is_empty(), "{sent:?}");
    }
    Ok(())
}

fn by_hand(_: &Services) -> Result<(), Failed> {
    let scene = PullFixture::new(Forge::GitHub, TestSite::local());
    let release = scene.site.release.clone();
    let printed = scene.command(&["add-hook", PROJECT, "-s", &release, "--ppa", "me/x", "--manual"]);
    assert!(printed.status.success(), "{printed:#?}");
    let secret = scene.site.ok(&["credentials", "show", "github-hook", PROJECT, "--reveal"]);
    for text in ["Payload URL", "application/json", secret.trim(), "Pull requests", "/request.cgi?release="] {
        assert!(printed.out.contains(text), "{text}: {}", printed.out);
    }
    assert!(scene.forge.asked().is_empty());
    let early = scene.command(&["rotate-secret", PROJECT, "--manual", "--force"]);
    assert!(early.status.code() == Some(1) && early.err.contains("has been created yet"), "{early:#?}");
    let rotated = scene.command(&["rotate-secret", PROJECT, "--manual"]);
    assert!(rotated.status.success() && rotated.out.trim().len() == 64, "{rotated:#?}");
    let ended = scene.command(&["rotate-secret", PROJECT, "--manual", "--force"]);
    assert!(ended.status.success(), "{ended:#?}");
    let new = scene.site.ok(&["credentials", "show", "github-hook", PROJECT, "--reveal"]);
    assert_eq!(new, rotated.out);
    Ok(())
}

fn wrong(_: &Services) -> Result<(), Failed> {
    let mut scene = PullFixture::new(Forge::GitHub, TestSite::local());
    let release = scene.site.release.clone();
    let api = scene.forge.api();
    fs::write(scene.site.path().join("weak-token"), "status")?;
    fs::write(scene.site.path().join("bad-token"), "nobody's")?;
    fs::write(scene.site.path().join("two-lines"), "nobody's\ntoken")?;
    let add = |scene: &PullFixture, further: &[&str]| {
        scene.command(&[&["add-hook", PROJECT, "--api-url", &api], further].concat())
    };
    let admin = ["--token-file", "admin-token"];
    for (arguments, code, text) in [
        (vec!["-s", "noble", "--token-file", "admin-token"], 2, "unknown release noble; known: "),
        (
            vec!["-s", &release, "-a", "arm64", "--token-file", "admin-token"],
            2,
            "is not tested on arm64; known architectures: ",
        ),
        (vec!["--token-file", "admin-token"], 2, "set it with -s RELEASE"),
        (vec!["-s", &release], 2, "set GITHUB_TOKEN, or give a file with --token-file"),
        (vec!["-s", &release, "--token-file", "weak-token"], 2, "the scope admin:repo_hook"),
        (vec!["-s", &release, "--token-file", "bad-token"], 2, "rejected the token for this operation (401)"),
        (vec!["-s", &release, "--token-file", "no-such-file"], 2, "cannot read no-such-file"),
        (vec!["-s", &release, "--env", "A=1;B=2", "--token-file", "admin-token"], 2, "a semicolon"),
        (vec!["-s", &release, "--env-allowed", "UPSTREAM_PULL_REQUEST=*"], 2, "is set from the pull request"),
        (
            vec!["-s", &release, "--ppa", "me:TOKEN@me/x", "--token-file", "admin-token"],
            2,
            "must not be given on the command line",
        ),
        (vec!["-s", &release, "--build-git", "ext::sh", "--token-file", "admin-token"], 2, "build-git"),
        (vec!["-s", &release, "--build-git", "https://me:TOKEN@h/x"], 2, "build-git"),
        (vec!["-s", &release, "--env", "A=1", "--env", "A=2", "--token-file", "admin-token"], 2, "A is given twice"),
        (vec!["-s", &release, "--env", "A=1 ", "--token-file", "admin-token"], 2, "ends with a space"),
        (vec!["-s", &release, "--token-file", "two-lines"], 2, "not a token"),
    ] {
        let finished = add(&scene, &arguments);
        assert_eq!(finished.status.code(), Some(code), "{arguments:?}: {finished:#?}");
        assert!(finished.err.contains(text), "{arguments:?}: {}", finished.err);
        assert!(!finished.err.contains("nobody's") && !finished.err.contains("TOKEN@"), "{}", finished.err);
    }
    for api in ["http://forge.example", "https://me:TOKEN@forge.example"] {
        let finished = scene.command(&["add-hook", PROJECT, "-s", &release, "--manual", "--api-url", api]);
        assert!(finished.status.code() == Some(2) && !finished.err.contains("TOKEN"), "{finished:#?}");
    }
    let three = scene.command(&["add-hook", "a/b/c", "-s", &release, "--token-file", "admin-token"]);
    assert!(three.status.code() == Some(2) && three.err.contains("does not have the form OWNER/REPO"), "{three:#?}");
    scene.forge.away(true);
    let away = add(&scene, &[&["-s", &release], admin.as_slice()].concat());
    assert!(away.status.code() == Some(1) && away.err.contains("answered 503"), "{away:#?}");
    scene.forge.away(false);
    assert!(!scene.site.path().join("hooks.toml").exists());
    assert!(scene.site.ok(&["credentials", "list"]).is_empty());
    assert!(scene.forge.hooks(PROJECT).is_empty());
    // A service that is not there is told of; the hook stays.
    scene.kill_service();
    let unseen = add(&scene, &[&["-s", &release, "--build-git", BRANCH], admin.as_slice()].concat());
    assert!(unseen.status.code() == Some(1) && unseen.err.contains("could not reach the service"), "{unseen:#?}");
    assert_eq!(scene.forge.hooks(PROJECT).len(), 1);
    let twice = add(&scene, &[&["-s", &release, "--env", "A=1"], admin.as_slice()].concat());
    assert!(twice.status.code() == Some(2) && twice.err.contains("already requests thing on"), "{twice:#?}");
    // Its secret and its token would be another server's as well.
    let mirror = ["add-hook", PROJECT, "-s", &release, "--package", "mirror", "--api-url", "https://forge.example"];
    let mirror = scene.command(&[mirror.as_slice(), &admin].concat());
    assert!(mirror.status.code() == Some(2) && mirror.err.contains("would go to both servers"), "{mirror:#?}");
    // A site that does not say where its service is.
    let bare = TestSite::local();
    let finished = bare.run(&["github", "list-hooks"]);
    assert!(finished.status.code() == Some(2) && finished.err.contains("section [web]"), "{finished:#?}");
    let gone = scene.command(&["status", "you/other#1"]);
    assert!(
        gone.status.code() == Some(1) && gone.err.contains("no matching hook of you/other is declared"),
        "{gone:#?}"
    );
    let elsewhere = scene.command(&["status", &format!("https://forge.example/{PROJECT}/pull/7")]);
    assert!(elsewhere.status.code() == Some(2) && elsewhere.err.contains("are not at forge.example"), "{elsewhere:#?}");
    let name = scene.command(&["status", "other"]);
    assert!(name.status.code() == Some(2) && name.err.contains("OWNER/REPO#NUMBER"), "{name:#?}");
    Ok(())
}

fn asked(_: &Services) -> Result<(), Failed> {
    let scene = PullFixture::new(Forge::GitHub, TestSite::local());
    let release = scene.site.release.clone();
    let api = scene.forge.api();
    let arguments = ["github", "add-hook", PROJECT, "-s", &release, "--build-git", BRANCH, "--api-url", &api];
    let (shown, code) = answering(&scene.site, "Token of a project administrator", "admin\n", &arguments);
    assert!(code == Some(0) && !shown.contains("admin\n") && shown.contains("The service has accepted a "), "{shown}");
    let (shown, code) = answering(&scene.site, "Status token of", "status\n", &["github", "set-token", PROJECT]);
    assert!(code == Some(0) && shown.contains("Stored the status token of me/thing"), "{shown}");
    // Ctrl-C changes nothing, and gives the cursor back.
    for (prompt, arguments) in [
        ("Release to test on", vec!["github", "add-hook", "you/other", "--api-url", &api]),
        (
            "Token of a project administrator",
            vec!["github", "add-hook", "you/other", "-s", &release, "--api-url", &api],
        ),
    ] {
        let (shown, code) = answering(&scene.site, prompt, "\u{3}", &arguments);
        assert!(code == Some(130) && shown.trim_end().ends_with("\u{1b}[?25h"), "{code:?} {shown:?}");
    }
    assert_eq!(scene.site.ok(&["credentials", "list"]).lines().count(), 2);
    Ok(())
}

fn synced(_: &Services) -> Result<(), Failed> {
    for kind in [Forge::GitHub, Forge::GitLab] {
        let mut scene = PullFixture::new(kind, TestSite::local());
        scene.add_hook("thing", &["--build-git", BRANCH]);
        let steps = |scene: &PullFixture, arguments: &[&str]| {
            let shown = scene.admin(&[&["sync"], arguments].concat());
            let words = shown.out.lines().filter_map(|line| line.split_whitespace().next());
            words.map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(steps(&scene, &["--dry-run"]).is_empty());
        scene.forge.lose_hooks(PROJECT);
        assert_eq!(steps(&scene, &["--dry-run"]), ["make"]);
        assert!(scene.forge.hooks(PROJECT).is_empty(), "only said");
        assert_eq!(steps(&scene, &["--yes"]), ["make"]);
        assert!(steps(&scene, &["--yes"]).is_empty());
        let sent = scene.forge.open(PROJECT, 7, &commit('a'));
        assert_eq!(sent[0].status, 202, "with the same secret: {sent:?}");
        if kind == Forge::GitHub {
            scene.forge.spoil_hooks(PROJECT, false, false);
            assert_eq!(steps(&scene, &["--yes"]), ["mend"]);
            assert_eq!(scene.forge.push(PROJECT, 7, &commit('b'))[0].status, 202);
        }
        // An address that asks for the same in another way is as good; what is another service's is nobody's business here.
        scene.forge.add_hooks(PROJECT, &[&scene.url("/jenkins/request.cgi?x=1")]);
        assert!(steps(&scene, &["--dry-run"]).is_empty());
        // Somebody has added an architecture by hand.
        let file = scene.site.path().join("hooks.toml");
        let text = fs::read_to_string(&file)?;
        let settings = scene.site.path().join("apt-ci.toml");
        fs::write(&settings, fs::read_to_string(&settings)?.replace("[\"amd64\"]", "[\"amd64\", \"arm64\"]"))?;
        fs::write(&file, text.replace("[\"amd64\"]", "[\"amd64\", \"arm64\"]"))?;
        let listed: Value = serde_json::from_str(&scene.admin(&["list-hooks", "--json"]).out)?;
        assert_eq!(listed[0]["state"], "fewer architectures", "{listed}");
        let mended = scene.command(&["sync", "--yes", "--token-file", "admin-token"]);
        assert!(mended.out.starts_with("mend") && mended.out.contains("arch=amd64&arch=arm64"), "{mended:#?}");
        // The service has not been started again, and says so.
        let said = mended.err.contains("there is no queue debci-upstream-");
        assert!(mended.status.code() == Some(1) && said, "{mended:#?}\n{}", scene.log());
        scene.wait_for_log("has [releases] of apt-ci.toml changed", 1);
        scene.kill_service();
        scene.serve();
        assert!(steps(&scene, &["--dry-run"]).is_empty());
        fs::write(&file, text)?;
        // Somebody has taken the declaration away.
        let text = fs::read_to_string(&file)?.replace("\"thing\"", "\"renamed\"");
        fs::write(&file, text)?;
        assert_eq!(steps(&scene, &["--yes"]), ["make", "remove"]);
        let left = scene.forge.hooks(PROJECT);
        assert!(left.len() == 2 && left.iter().any(|url| url.contains("package=renamed")), "{left:?}");
        let unasked = scene.command(&["sync", "--token-file", "admin-token"]);
        assert!(unasked.status.success() && unasked.err.contains("matches the site"), "{unasked:#?}");
        // The last one.
        fs::write(&file, "")?;
        let unnamed = scene.command(&["sync", "--yes", "--token-file", "admin-token"]);
        assert!(unnamed.status.code() == Some(2) && unnamed.err.contains("the server of me/thing"), "{unnamed:#?}");
        let api = scene.forge.api();
        assert_eq!(steps(&scene, &["--yes", "--api-url", &api]), ["remove"]);
        assert_eq!(scene.forge.hooks(PROJECT).len(), 1, "another service's");
    }
    Ok(())
}

fn retried(_: &Services) -> Result<(), Failed> {
    for kind in [Forge::GitHub, Forge::GitLab] {
        let scene = PullFixture::new(kind, TestSite::local());
        scene.add_hook("thing", &["--build-git", BRANCH]);
        assert!(scene.set_token("status").status.success());
        let sha = commit('a');
        scene.forge.open_quietly(PROJECT, 7, &sha);
        let name = format!("{PROJECT}#7");
        let retried = scene.command(&["retry", &name]);
        assert!(retried.status.success() && retried.out.contains("thing"), "{retried:#?}\n{}", scene.log());
        assert_eq!(scene.waiting(), 1);
        scene.forge.wait_for(PROJECT, &sha, &scene.context("thing"), "pending");
        let again = scene.command(&["retry", &name]);
        assert!(again.status.success() && again.err.contains("this commit is already queued"), "{again:#?}");
        scene.site.ok(&["worker", "--drain"]);
        scene.forge.wait_for(PROJECT, &sha, &scene.context("thing"), "success");
        // What has ended is tested once more.
        let url = match kind {
            Forge::GitHub => format!("{}/{PROJECT}/pull/7", scene.forge.url()),
            Forge::GitLab => format!("{}/{PROJECT}/-/merge_requests/7", scene.forge.url()),
        };
        scene.site.ok(&[kind.as_str(), "retry", &url, "-a", "amd64"]);
        scene.site.ok(&["worker", "--drain"]);
        assert_eq!(scene.site.starts().len(), 2);
        let waited = scene.command(&["retry", &name, "--direct"]);
        assert!(waited.status.success(), "{waited:#?}");
        assert_eq!(scene.waiting(), 1);
        let other = scene.command(&["retry", &name, "-a", "arm64"]);
        assert_eq!(other.status.code(), Some(1), "{other:#?}");
        let unknown = scene.command(&["retry", &format!("{PROJECT}#99")]);
        assert!(unknown.status.code() == Some(1) && unknown.err.contains("has no"), "{unknown:#?}");
        let elsewhere = scene.command(&["retry", &url.replace("127.0.0.1", "192.0.2.1")]);
        assert!(elsewhere.status.code() == Some(2) && elsewhere.err.contains("are not at 192.0.2.1"), "{elsewhere:#?}");
        if kind == Forge::GitLab {
            // GitLab's proof is the secret itself.
            let settings = scene.site.path().join("apt-ci.toml");
            let text = fs::read_to_string(&settings)?;
            let theirs = TcpListener::bind("127.0.0.1:0")?;
            theirs.set_nonblocking(true)?;
            let theirs_url = format!("http://{}", theirs.local_addr()?);
            let (hooks, secrets) = (scene.forge.hooks(PROJECT), scene.forge.secrets(PROJECT));
            // A commit says where the service is, and not who gets the secret.
            fs::write(&settings, text.replace(&scene.url(""), &theirs_url))?;
            for arguments in [&["retry", &name][..], &["sync", "--yes", "--token-file", "admin-token"]] {
                let led = scene.command(arguments);
                let hint = format!("`apt-ci credentials bind gitlab-hook {PROJECT} --service {theirs_url}`");
                assert!(led.status.code() == Some(2) && led.err.contains(&hint), "{led:#?}");
            }
            assert!(theirs.accept().is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "it was asked");
            assert_eq!((scene.forge.hooks(PROJECT), scene.forge.secrets(PROJECT)), (hooks, secrets));
            // It is bound to where it has moved, and back.
            for url in [&theirs_url, &scene.url("")] {
                let bind = ["credentials", "bind", "gitlab-hook", PROJECT, "--service", url, "--yes"];
                scene.site.ok(&bind);
            }
            fs::write(&settings, &text)?;
            assert!(scene.command(&["retry", &name]).status.success());
            fs::write(&settings, text.replace("url = \"http://127.0.0.1", "url = \"http://192.0.2.1"))?;
            let open = scene.command(&["retry", &name]);
            assert!(open.status.code() == Some(2) && open.err.contains("without TLS"), "{open:#?}");
        }
    }
    Ok(())
}

fn tokens(_: &Services) -> Result<(), Failed> {
    let scene = PullFixture::new(Forge::GitHub, TestSite::local());
    scene.add_hook("thing", &["--build-git", BRANCH]);
    scene.forge.token("mighty", &["repo", "admin:org"]);
    scene.forge.token("weak", &["gist"]);
    let stored = scene.set_token("mighty");
    assert!(
        stored.status.success() && stored.err.contains("has more permissions than needed (repo, admin:org)"),
        "{stored:#?}"
    );
    for (token, text) in [
        ("weak", "needs the scope repo:status, but has gist"),
        ("unknown", "does not accept this token"),
        ("", "the secret is empty"),
    ] {
        let refused = scene.set_token(token);
        assert_eq!(refused.status.code(), Some(2), "{refused:#?}");
        assert!(refused.err.contains(text), "{refused:#?}");
        assert!(token.is_empty() || !refused.err.contains(&format!("{token} ")), "{refused:#?}");
    }
    let kept = scene.site.ok(&["credentials", "show", "github-status", PROJECT, "--reveal"]);
    assert_eq!(kept, "octocat:mighty\n");
    // A token that others brought is good under the package's name as well.
    scene.site.ok(&["credentials", "remove", "github-status", PROJECT, "--yes"]);
    let file = scene.site.path().join("github-status-credentials.txt");
    fs::write(&file, "thing:octocat:status\n")?;
    scene.site.ok(&["credentials", "import", file.to_str().expect("UTF-8")]);
    // What has none keeps nothing else of the project from being shown.
    scene.add_hook("another", &["--build-git", BRANCH]);
    scene.forge.open(PROJECT, 7, &commit('a'));
    scene.forge.wait_for(PROJECT, &commit('a'), &scene.context("thing"), "pending");
    scene.site.ok(&["worker", "--drain"]);
    scene.forge.wait_for(PROJECT, &commit('a'), &scene.context("thing"), "success");
    assert_eq!(scene.forge.statuses(PROJECT, &commit('a')).len(), 2, "of the other one nothing is shown");
    let typed =
        with_input(&scene.site, &["github", "set-token", "you/other", "--api-url", &scene.forge.api()], "status\n");
    assert!(typed.status.success() && typed.err.contains("no hook of you/other is declared yet"), "{typed:#?}");
    Ok(())
}

fn interrupted(_: &Services) -> Result<(), Failed> {
    let scene = PullFixture::new(Forge::GitHub, TestSite::local());
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(scene.site.path()).args(arguments).output().expect("git");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    git(&["init", "--quiet"]);
    let key = scene.site.path().join("home/.ssh/id_ed25519");
    fs::create_dir_all(key.parent().expect("a folder"))?;
    let mut make = Command::new("ssh-keygen");
    make.args(["-q", "-N", "", "-t", "ed25519", "-C", "me@here", "-f"]).arg(&key);
    assert!(make.status()?.success());
    scene.site.ok(&["credentials", "recipients", "add", "home/.ssh/id_ed25519.pub"]);
    let release = scene.site.release.clone();
    let api = scene.forge.api();
    let lock = scene.site.path().join(".git/index.lock");
    // As a process leaves it that is killed while it works on git's index.
    fs::write(&lock, "")?;
    let adding =
        ["add-hook", PROJECT, "-s", &release, "--build-git", BRANCH, "--api-url", &api, "--token-file", "admin-token"];
    let locked = scene.command(&adding);
    let is_told = locked.err.matches("locked").count() == 1 && locked.err.contains("/.git/index.lock`");
    assert!(locked.status.code() == Some(1) && is_told, "{locked:#?}");
    assert!(scene.forge.hooks(PROJECT).is_empty());
    fs::remove_file(&lock)?;
    fs::write(scene.site.path().join(".hooks.toml.new-1"), "half")?;
    let added = scene.command(&adding);
    assert!(added.status.success(), "{added:#?}");
    assert!(!scene.site.path().join(".hooks.toml.new-1").exists());
    let left = |path: &str| git(&["status", "--porcelain", "--", path]);
    assert_eq!(left("hooks.toml") + &left("credentials"), "", "the secret as well");
    // A new secret that could not be committed is, before the forge gets it.
    fs::write(&lock, "")?;
    let rotating = ["rotate-secret", PROJECT, "--token-file", "admin-token"];
    assert_eq!(scene.command(&rotating).status.code(), Some(1));
    fs::remove_file(&lock)?;
    assert!(!left("credentials").is_empty());
    assert!(scene.command(&rotating).status.success());
    assert_eq!(left("credentials"), "");
    // The hook is removed at the forge and in the file; neither is that committed, nor is its secret removed.
    fs::write(&lock, "")?;
    let removing = ["remove-hook", PROJECT, "--yes", "--token-file", "admin-token"];
    let stopped = scene.command(&removing);
    assert!(stopped.status.code() == Some(1) && scene.forge.hooks(PROJECT).is_empty(), "{stopped:#?}");
    fs::remove_file(&lock)?;
    assert!(!left("hooks.toml").is_empty() && !scene.site.ok(&["credentials", "list"]).is_empty());
    let unasked = scene.command(&["remove-hook", PROJECT, "--token-file", "admin-token"]);
    assert!(unasked.status.code() == Some(2) && unasked.err.contains("use --yes to confirm"), "{unasked:#?}");
    let ended = scene.command(&removing);
    assert!(ended.status.success() && ended.err.contains("Removed the remains of the hooks"), "{ended:#?}");
    assert_eq!(left("hooks.toml") + &left("credentials"), "");
    assert!(scene.site.ok(&["credentials", "list"]).is_empty());
    // The declaration was taken out by hand, and the secret was removed without a commit.
    assert!(scene.command(&adding).status.success());
    let file = scene.site.path().join("hooks.toml");
    let text = fs::read_to_string(&file)?;
    fs::write(&file, text.replace("package = \"thing\"", "package = \"renamed\""))?;
    let edited = scene.command(&["remove-hook", PROJECT, "--package", "thing", "--yes", "--token-file", "admin-token"]);
    assert!(edited.status.code() == Some(1) && !left("hooks.toml").is_empty(), "somebody's own change: {edited:#?}");
    fs::write(&file, "")?;
    git(&["add", "hooks.toml"]);
    git(&["-c", "user.name=me", "-c", "user.email=me@here", "commit", "--quiet", "-m", "by hand"]);
    fs::remove_file(scene.site.path().join("credentials/github-hook/me%2Fthing.json"))?;
    assert_eq!(scene.forge.hooks(PROJECT).len(), 1);
    let here = [removing.as_slice(), &["--api-url", &api]].concat();
    let ended = scene.command(&here);
    assert!(ended.status.success() && scene.forge.hooks(PROJECT).is_empty(), "{ended:#?}");
    assert_eq!(left("hooks.toml") + &left("credentials"), "");
    let over = scene.command(&removing);
    assert!(
        over.status.code() == Some(1) && over.err.contains("no matching hook of me/thing is declared"),
        "{over:#?}"
    );
    Ok(())
}

fn secrets(_: &Services) -> Result<(), Failed> {
    let scene = PullFixture::new(Forge::GitHub, TestSite::local());
    let file = scene.site.path().join("github-secrets.json");
    let import = |text: &str| {
        fs::write(&file, text).expect("a file");
        scene.site.run(&["credentials", "import", "github-secrets.json", "--server", &scene.forge.api()])
    };
    for (text, reason) in [(r#"{"thing": ""}"#, "the secret of thing is empty"), ("{}", "contains no credentials")] {
        let refused = import(text);
        assert!(refused.status.code() == Some(2) && refused.err.contains(reason), "{refused:#?}");
    }
    assert!(import(r#"{"thing": "brought"}"#).status.success());
    scene.add_hook("thing", &["--build-git", BRANCH]);
    assert_eq!(scene.forge.secrets(PROJECT), ["brought"]);
    // Another project's hook of the same name does not get it.
    scene.forge.project("you/thing");
    let (release, api) = (scene.site.release.clone(), scene.forge.api());
    let other = ["add-hook", "you/thing", "-s", &release, "--ppa", "you/x", "--build-git", BRANCH, "--api-url", &api];
    scene.admin(&other);
    assert_eq!(scene.forge.secrets("you/thing")[0].len(), 64);
    // Another hook of the project signs with what the first one has, which stays good.
    scene.add_hook("extra", &["--build-git", BRANCH]);
    assert_eq!(scene.forge.secrets(PROJECT), ["brought", "brought"]);
    let sent = scene.forge.open(PROJECT, 7, &commit('a'));
    assert!(sent.len() == 2 && sent.iter().all(|sent| sent.status == 202), "{sent:?}");
    scene.admin(&["remove-hook", "you/thing", "--yes"]);
    assert_eq!(scene.site.ok(&["credentials", "list"]).lines().count(), 2);
    // The one that was brought is nobody's any more.
    let rotated = scene.admin(&["rotate-secret", PROJECT]);
    assert!(rotated.err.contains("the old one is no longer valid"), "{rotated:#?}");
    let names = scene.site.json(&["credentials", "list"]);
    assert_eq!((names.as_array().map(Vec::len), names[0]["name"].as_str()), (Some(1), Some(PROJECT)), "{names}");
    Ok(())
}
