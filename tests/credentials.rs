//! The site's secrets, as operators keep them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

use libtest_mimic::{Failed, Trial};

use crate::support::site::{Finished, TestSite};
use crate::support::{Services, Story, stories};
use crate::terminal::answering;

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("secrets_are_stored_shown_and_removed", kept),
        ("a_secret_is_typed_unseen", typed),
        ("an_encrypted_secret_opens_the_queue", opens_queue),
        ("the_files_of_other_programs_are_taken_over", taken_over),
        ("what_others_can_read_is_refused", refused),
    ];
    stories("credentials", services, all)
}

const SECRET: &str = "hunter2-hunter2";

/// Runs a command with a text on its standard input.
pub fn with_input(site: &TestSite, arguments: &[&str], input: &str) -> Finished {
    let mut child = site
        .command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("apt-ci");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("its end");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Finished { status: output.status, out: text(&output.stdout), err: text(&output.stderr) }
}

fn kept(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let set =
        with_input(&site, &["credentials", "set", "github-hook", "me/x", "--note", "of main"], &format!("{SECRET}\n"));
    assert!(set.status.success() && set.err.contains("Stored the github-hook credential of me/x"), "{set:#?}");
    let list = site.ok(&["credentials", "list"]);
    assert!(list.starts_with("github-hook\tme/x\tof main\t20") && !list.contains(SECRET), "{list}");
    let shown = site.ok(&["credentials", "show", "github-hook", "me/x"]);
    assert!(shown.contains("--reveal") && !shown.contains(SECRET), "{shown}");
    assert_eq!(site.ok(&["credentials", "show", "github-hook", "me/x", "--reveal"]), format!("{SECRET}\n"));
    let made = site.ok(&["credentials", "rotate", "github-hook", "me/x", "--generate"]);
    assert_eq!(site.ok(&["credentials", "show", "github-hook", "me/x", "--reveal"]), made);
    assert!(made.trim().len() >= 32, "{made}");
    for (arguments, code, message) in [
        (
            &["credentials", "rotate", "github-hook", "me/y", "--generate"][..],
            1,
            "there is no github-hook credential of me/y",
        ),
        (&["credentials", "show", "github-hook", "me/y"], 1, "credentials list"),
        (&["credentials", "set", "password", "me"], 2, "the kinds are queue, swift"),
        (&["credentials", "set", "queue", "a b"], 2, "a name has"),
        (&["credentials", "set", "queue", "me"], 2, "the secret is empty"),
        (&["credentials", "remove", "github-hook", "me/x"], 2, "nobody can be asked"),
    ] {
        let finished = with_input(&site, arguments, "");
        assert_eq!(finished.status.code(), Some(code), "{arguments:?}: {finished:#?}");
        assert!(finished.err.contains(message), "{arguments:?}: {}", finished.err);
    }
    site.ok(&["credentials", "remove", "github-hook", "me/x", "--yes"]);
    assert!(site.ok(&["credentials", "list"]).is_empty());
    Ok(())
}

fn typed(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let prompt = "The launchpad credential of bot";
    let (shown, code) = answering(&site, prompt, &format!("{SECRET}\n"), &["credentials", "set", "launchpad", "bot"]);
    assert!(code == Some(0) && !shown.contains(SECRET), "{shown}");
    assert_eq!(site.ok(&["credentials", "show", "launchpad", "bot", "--reveal"]), format!("{SECRET}\n"));
    Ok(())
}

/// Makes a site of its own, in git, with the key of its user.
fn repository(home: &TestSite) -> String {
    let site = home.ok(&["init", "site"]).trim().to_owned();
    let ssh = home.path().join("home/.ssh");
    fs::create_dir_all(&ssh).expect("a folder");
    let mut make = Command::new("ssh-keygen");
    make.args(["-q", "-N", "", "-t", "ed25519", "-C", "me@here", "-f"]).arg(ssh.join("id_ed25519"));
    assert!(make.status().expect("ssh-keygen").success());
    site
}

fn opens_queue(services: &Services) -> Result<(), Failed> {
    let home = services.site();
    let root = repository(&home);
    let name = format!("u{}", home.release);
    // The user's password is `secret`.
    let url = services.rabbitmq().user(&name, [".*", ".*", ".*"]);
    let url = url.replace(":secret@", "@");
    let settings = format!("queue = {url:?}\n\n[releases]\n{} = [\"amd64\"]\n", home.release);
    fs::write(format!("{root}/apt-ci.toml"), settings)?;
    let site = |arguments: &[&str], input: &str| with_input(&home, &[&["--site", &root], arguments].concat(), input);
    let without = site(&["queues"], "");
    assert_eq!(without.status.code(), Some(1), "{without:#?}");
    let key = home.path().join("home/.ssh/id_ed25519.pub");
    let added = site(&["credentials", "recipients", "add", key.to_str().expect("UTF-8")], "");
    assert!(added.err.contains("me@here opens all credentials now"), "{added:#?}");
    let set = site(&["credentials", "set", "queue", &name], "secret\n");
    assert!(set.err.contains("encrypted, and committed"), "{set:#?}");
    let with = site(&["queues"], "");
    assert!(with.status.success(), "{with:#?}");
    let stored = fs::read_to_string(format!("{root}/credentials/queue/{name}.json"))?;
    assert!(stored.contains("BEGIN AGE ENCRYPTED FILE") && !stored.contains("secret\\n\""), "{stored}");
    // A queue that somebody names is told no password of the site.
    let elsewhere = site(&["queues", "--queue", &url], "");
    assert_eq!(elsewhere.status.code(), Some(1), "{elsewhere:#?}");
    // Who has no key is told so.
    fs::rename(home.path().join("home/.ssh/id_ed25519"), home.path().join("gone"))?;
    let closed = site(&["queues"], "");
    assert!(closed.status.code() == Some(1) && closed.err.contains("APT_CI_IDENTITY"), "{closed:#?}");
    let list = site(&["credentials", "recipients", "list"], "");
    assert!(list.out.starts_with("ssh-ed25519 ") && list.out.ends_with(" me@here\n"), "{list:#?}");
    Ok(())
}

fn taken_over(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let path = |name: &str| site.path().join(name).to_str().expect("UTF-8").to_owned();
    fs::write(path("github-secrets.json"), r#"{"systemd": "s3cret", "me/x": "hunter2"}"#)?;
    fs::write(path("tokens.txt"), "systemd:bot:t0ken\n")?;
    site.ok(&["credentials", "import", &path("github-secrets.json")]);
    site.ok(&["credentials", "import", &path("tokens.txt")]);
    assert_eq!(site.ok(&["credentials", "list"]).lines().count(), 3);
    assert_eq!(site.ok(&["credentials", "show", "github-status", "systemd", "--reveal"]), "bot:t0ken\n");
    site.ok(&["credentials", "export", &path("out.json")]);
    let out: serde_json::Value = serde_json::from_str(&fs::read_to_string(path("out.json"))?)?;
    assert_eq!(out, serde_json::json!({"systemd": "s3cret", "me/x": "hunter2"}));
    assert_eq!(fs::metadata(path("out.json"))?.permissions().mode() & 0o777, 0o600);
    let twice = site.run(&["credentials", "export", &path("out.json")]);
    assert!(
        twice.status.code() == Some(2) && twice.err.contains("exists already"),
        "nothing is overwritten: {twice:#?}"
    );
    fs::write(path("broken.txt"), "systemd:hunter2\n")?;
    let broken = site.run(&["credentials", "import", &path("broken.txt")]);
    assert_eq!(broken.status.code(), Some(2), "{broken:#?}");
    assert!(broken.err.contains("line 1") && !broken.err.contains("hunter2"), "{}", broken.err);
    Ok(())
}

fn refused(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    with_input(&site, &["credentials", "set", "queue", "me"], SECRET);
    let folder = site.path().join(".credentials");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o750))?;
    let open = site.run(&["credentials", "list"]);
    assert_eq!(open.status.code(), Some(2), "{open:#?}");
    let command = open.err.lines().find_map(|line| line.strip_prefix("hint: ")).expect("a hint").to_owned();
    assert!(Command::new("sh").args(["-c", &command]).status()?.success(), "{command}");
    assert_eq!(site.ok(&["credentials", "list"]).lines().count(), 1);
    let nowhere = site.run(&["credentials", "list", "--site", "/nonexistent"]);
    assert_eq!(nowhere.status.code(), Some(2));
    Ok(())
}
