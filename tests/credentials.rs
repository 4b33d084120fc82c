//! The site's secrets, as operators keep them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use libtest_mimic::Failed;
use serde_json::json;
use testkit::site::{Finished, TestSite, finish};
use testkit::{Services, Story, Trial, stories};

use crate::terminal::{answering, on_terminal};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("secrets_are_stored_shown_and_removed", kept),
        ("a_secret_is_typed_unseen", typed),
        ("an_encrypted_secret_opens_the_queue", opens_queue),
        ("the_files_of_other_programs_are_taken_over", taken_over),
        ("what_others_can_read_is_refused", refused),
        ("a_password_for_swift_is_read_from_the_credentials", swift_password),
        ("a_recipient_that_came_with_a_commit_is_confirmed_first", confirmed),
        ("a_host_opens_what_it_needs", roles),
        ("what_was_not_bound_is_bound", bound),
        ("a_commit_sends_the_next_secret_nowhere_else", forged),
        ("a_narrow_terminal_shows_all_recipients", narrow),
        ("a_passphrase_is_typed_on_a_terminal", passphrase),
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
    assert!(!shown.lines().any(|line| line.starts_with("created") && line.contains('.')), "seconds: {shown}");
    site.ok(&["credentials", "set", "api-key", "ann", "--generate"]);
    assert!(site.ok(&["credentials", "show", "api-key", "ann"]).contains("only its digest is stored"));
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
        (&["credentials", "show", "api-key", "ann", "--reveal"], 2, "only its digest is stored"),
        (&["credentials", "recipients", "add", "apt-ci.toml"], 2, "apt-ci.toml: this is not an SSH public key of the"),
        (&["credentials", "recipients", "add", "nothing.pub"], 2, "cannot read nothing.pub: No such file or directory"),
        (&["credentials", "import", "nothing.json"], 2, "cannot read nothing.json: No such file or directory"),
        (&["credentials", "set", "queue", "bar", "--generate"], 2, "--server amqps://HOST"),
        (&["credentials", "set", "password", "me"], 2, "must be queue, swift"),
        (&["credentials", "set", "queue", "a b"], 2, "a name has"),
        (&["credentials", "set", "queue", "me", "--server", "amqps://mq.example"], 2, "the secret is empty"),
        (&["credentials", "set", "queue", "me"], 2, "--server"),
        (&["credentials", "set", "launchpad", "me"], 2, "credentials of the kind launchpad are not used"),
        (&["credentials", "remove", "github-hook", "me/x"], 2, "cannot ask for confirmation"),
    ] {
        let finished = with_input(&site, arguments, "");
        assert_eq!(finished.status.code(), Some(code), "{arguments:?}: {finished:#?}");
        assert!(finished.err.contains(message), "{arguments:?}: {}", finished.err);
    }
    site.ok(&["credentials", "remove", "github-hook", "me/x", "--yes"]);
    site.ok(&["credentials", "remove", "api-key", "ann", "--yes"]);
    assert!(site.ok(&["credentials", "list"]).is_empty());
    Ok(())
}

fn typed(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let prompt = "The github-hook credential of me/x";
    let set = ["credentials", "set", "github-hook", "me/x"];
    let (shown, code) = answering(&site, prompt, &format!("{SECRET}\n"), &set);
    assert!(code == Some(0) && !shown.contains(SECRET), "{shown}");
    assert_eq!(site.ok(&["credentials", "show", "github-hook", "me/x", "--reveal"]), format!("{SECRET}\n"));
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
    fs::write(format!("{root}/apt-ci.toml"), &settings)?;
    let site = |arguments: &[&str], input: &str| with_input(&home, &[&["--site", &root], arguments].concat(), input);
    let without = site(&["queues"], "");
    assert_eq!(without.status.code(), Some(1), "{without:#?}");
    let key = home.path().join("home/.ssh/id_ed25519.pub");
    let added = site(&["credentials", "recipients", "add", key.to_str().expect("UTF-8")], "");
    assert!(added.err.contains("me@here can now decrypt all credentials"), "{added:#?}");
    let set = site(&["credentials", "set", "queue", &name], "secret\n");
    assert!(set.err.contains("encrypted and committed"), "{set:#?}");
    let with = site(&["queues"], "");
    assert!(with.status.success(), "{with:#?}");
    let stored = fs::read_to_string(format!("{root}/credentials/queue/{name}.json"))?;
    assert!(stored.contains("BEGIN AGE ENCRYPTED FILE") && !stored.contains("secret\\n\""), "{stored}");
    // Somebody may name the same server for another virtual host; another server is told no password of the site.
    let host = url.split('@').nth(1).and_then(|rest| rest.split('/').next()).expect("a host").to_owned();
    let other = url.replace(&host, &host.replace("127.0.0.1", "localhost"));
    assert_ne!(other, url);
    let elsewhere = site(&["queues", "--queue", &other], "");
    assert_eq!(elsewhere.status.code(), Some(1), "{elsewhere:#?}");
    assert!(site(&["queues", "--queue", &url], "").status.success());
    // Not even when the site's file says so: a commit could.
    fs::write(format!("{root}/apt-ci.toml"), settings.replace(&host, &host.replace("127.0.0.1", "localhost")))?;
    let moved = site(&["queues"], "");
    assert!(moved.status.code() == Some(2) && moved.err.contains("credentials bind queue"), "{moved:#?}");
    fs::write(format!("{root}/apt-ci.toml"), &settings)?;
    // Who has no key is told so.
    fs::rename(home.path().join("home/.ssh/id_ed25519"), home.path().join("gone"))?;
    let closed = site(&["queues"], "");
    assert!(closed.status.code() == Some(1) && closed.err.contains("APT_CI_IDENTITY"), "{closed:#?}");
    let list = site(&["credentials", "recipients", "list"], "");
    let opens = format!(" me@here\toperator\tqueue {name}\tyes\n");
    assert!(list.out.starts_with("ssh-ed25519 ") && list.out.ends_with(&opens), "{list:#?}");
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
        twice.status.code() == Some(2) && twice.err.contains("already exists"),
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
    with_input(&site, &["credentials", "set", "queue", "me", "--server", "amqps://mq.example"], SECRET);
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

fn swift_password(services: &Services) -> Result<(), Failed> {
    let mut login = services.swift().environment();
    let place = login.iter().position(|(name, _)| name == "ST_KEY").expect("a key");
    let (_, key) = login.remove(place);
    let user = login.iter().find(|(name, _)| name == "ST_USER").expect("a user").1.clone();
    let site = TestSite::on("local:queue", "swift:", login);
    assert!(site.run(&["results"]).err.contains("ST_KEY is not set"));
    let set = with_input(&site, &["credentials", "set", "swift", &user], &format!("{key}\n"));
    assert!(set.status.success(), "{set:#?}");
    site.ok(&["results"]);
    // It is for that server alone.
    let mut elsewhere = site.command(&["results"]);
    elsewhere.env("ST_AUTH", "http://localhost:1/auth/v1.0");
    let elsewhere = finish(elsewhere);
    assert!(
        elsewhere.status.code() == Some(2) && elsewhere.err.contains("not for http://localhost:1"),
        "{elsewhere:#?}"
    );
    Ok(())
}

/// Makes an SSH key, and gives the path of its public half.
fn key(home: &TestSite, name: &str, passphrase: &str) -> String {
    let path = home.path().join(name);
    let mut make = Command::new("ssh-keygen");
    make.args(["-q", "-N", passphrase, "-a", "1", "-t", "ed25519", "-C", &format!("{name}@here"), "-f"]).arg(&path);
    assert!(make.status().expect("ssh-keygen").success());
    format!("{}.pub", path.display())
}

fn confirmed(_: &Services) -> Result<(), Failed> {
    let home = TestSite::local();
    let root = repository(&home);
    let site = |arguments: &[&str], input: &str| with_input(&home, &[&["--site", &root], arguments].concat(), input);
    let own = home.path().join("home/.ssh/id_ed25519.pub");
    site(&["credentials", "recipients", "add", own.to_str().expect("UTF-8")], "");
    let set = ["credentials", "set", "github-hook", "me/x"];
    assert!(site(&set, SECRET).status.success());
    // What a pull brings.
    let theirs = fs::read_to_string(key(&home, "eve", ""))?;
    let file = format!("{root}/credentials/recipients");
    let list = fs::read_to_string(&file)?;
    fs::write(&file, format!("{list}operator {theirs}"))?;
    let stored = format!("{root}/credentials/github-hook/me%2Fx.json");
    let before = fs::read_to_string(&stored)?;
    for arguments in [&set[..], &["credentials", "rotate", "github-hook", "me/x", "--generate"]] {
        let refused = site(arguments, SECRET);
        assert!(refused.status.code() == Some(2) && refused.err.contains("eve@here"), "{refused:#?}");
        assert!(refused.err.contains("`apt-ci credentials recipients confirm`"), "{}", refused.err);
    }
    assert_eq!(fs::read_to_string(&stored)?, before, "nothing was encrypted");
    let listed = site(&["credentials", "recipients", "list"], "").out;
    assert!(listed.lines().any(|line| line.ends_with("eve@here\toperator\t\tno")), "{listed}");
    assert_eq!(site(&["credentials", "recipients", "confirm"], "").status.code(), Some(2), "nobody can be asked");
    // A person is asked.
    let named = [&["--site", &root][..], &["credentials", "rotate", "github-hook", "me/x", "--generate"]].concat();
    let (shown, _) = answering(&home, "Encrypt secrets to them?", "n\n", &named);
    assert!(shown.contains("eve@here"), "{shown}");
    assert_eq!(fs::read_to_string(&stored)?, before, "the answer was no");
    assert!(site(&["credentials", "recipients", "confirm", "--yes"], "").status.success());
    assert!(site(&set, SECRET).status.success());
    assert!(
        site(&["credentials", "recipients", "list"], "").out.contains("eve@here\toperator\tgithub-hook me/x\tyes\n")
    );
    Ok(())
}

fn roles(_: &Services) -> Result<(), Failed> {
    let home = TestSite::local();
    let root = repository(&home);
    let site = |arguments: &[&str], input: &str| with_input(&home, &[&["--site", &root], arguments].concat(), input);
    let own = home.path().join("home/.ssh/id_ed25519.pub");
    // A site from before there were roles goes on, and says so once.
    fs::create_dir(format!("{root}/credentials"))?;
    fs::write(format!("{root}/credentials/recipients"), fs::read_to_string(&own)?)?;
    assert!(site(&["credentials", "recipients", "confirm", "--yes"], "").status.success());
    let set = |arguments: &[&str]| site(&[&["credentials", "set"], arguments].concat(), SECRET);
    let warned = set(&["github-hook", "me/x"]);
    assert!(
        warned.status.success() && warned.err.contains("a key without a role can decrypt every secret"),
        "{warned:#?}"
    );
    assert!(warned.err.lines().any(|line| line.ends_with(" me@here' --role ROLE")), "{}", warned.err);
    assert!(!set(&["github-hook", "me/x"]).err.contains("without a role"), "it is said once");
    let add = |file: &str, role: &str| site(&["credentials", "recipients", "add", file, "--role", role], "");
    assert!(add(own.to_str().expect("UTF-8"), "operator").status.success());
    let (host, web) = (key(&home, "host1", ""), key(&home, "web", ""));
    let mq = ["--server", "amqps://mq.example"];
    for name in ["host1", "early"] {
        assert!(set(&[&["queue", name][..], &mq].concat()).status.success());
    }
    let added = add(&host, "worker:host1");
    assert!(
        added.err.contains("host1@here can now decrypt the credentials for worker:host1: queue host1."),
        "{added:#?}"
    );
    assert!(added.err.contains("  apt-ci credentials bind queue early --for ROLE\n"), "{added:#?}");
    let narrowed = add(&host, "worker:host2");
    assert!(narrowed.err.contains("rotate:\n  apt-ci credentials rotate queue host1\n"), "{narrowed:#?}");
    assert!(add(&host, "worker:host1").status.success() && add(&web, "web").status.success());
    assert!(set(&[&["queue", "all", "--for", "worker"][..], &mq].concat()).status.success());
    let unsaid = set(&[&["queue", "someone"][..], &mq].concat());
    assert!(unsaid.status.code() == Some(2) && unsaid.err.contains("--for worker:HOST"), "{unsaid:#?}");
    let listed = site(&["credentials", "recipients", "list"], "").out;
    for line in ["host1@here\tworker:host1\tqueue all, queue host1\tyes", "web@here\tweb\tgithub-hook me/x\tyes"] {
        assert!(listed.lines().any(|listed| listed.ends_with(line)), "{line}: {listed}");
    }
    // With the host's key alone.
    let opens = |kind: &str, name: &str| {
        let mut command = home.command(&["--site", &root, "credentials", "show", kind, name, "--reveal"]);
        command.env("APT_CI_IDENTITY", host.trim_end_matches(".pub"));
        finish(command).status.success()
    };
    assert!(opens("queue", "host1") && opens("queue", "all") && !opens("github-hook", "me/x"));
    // Under another name it keeps its role; one that a commit gave it is confirmed first.
    let line = fs::read_to_string(&host)?.trim().replace("host1@here", "root@host1");
    let renamed = site(&["credentials", "recipients", "add", &line], "");
    assert!(
        renamed.err.contains("root@host1 can now decrypt the credentials for worker:host1: queue all, queue host1."),
        "{renamed:#?}"
    );
    let file = format!("{root}/credentials/recipients");
    let list = fs::read_to_string(&file)?;
    fs::write(&file, list.replace("worker:host1", "operator"))?;
    let raised = site(&["credentials", "recipients", "add", &line], "");
    assert!(raised.status.code() == Some(2) && raised.err.contains("recipients confirm`"), "{raised:#?}");
    assert!(opens("queue", "host1") && !opens("github-hook", "me/x"));
    fs::write(&file, list)?;
    let whole = site(&["credentials", "recipients", "add", &format!("worker:ssh-gw1 {line}")], "");
    assert!(
        whole.err.contains("root@host1 can now decrypt the credentials for worker:ssh-gw1: queue all."),
        "{whole:#?}"
    );
    let listed = site(&["credentials", "recipients", "list"], "").out;
    assert!(listed.lines().any(|line| line.ends_with("root@host1\tworker:ssh-gw1\tqueue all\tyes")), "{listed}");
    let private = site(&["credentials", "recipients", "add", host.trim_end_matches(".pub")], "");
    assert!(private.status.code() == Some(2) && private.err.contains("this is a private key"), "{private:#?}");
    // The key itself as an argument is not repeated.
    let text = fs::read_to_string(host.trim_end_matches(".pub"))?;
    let pasted = site(&["credentials", "recipients", "add", &text], "");
    assert!(pasted.status.code() == Some(2) && pasted.err.contains("is a private key"), "{pasted:#?}");
    let secret = text.lines().nth(1).expect("a line of the key");
    assert!(!pasted.err.contains(secret) && !pasted.out.contains(secret), "{pasted:#?}");
    Ok(())
}

/// Stores a secret as it was before secrets were bound.
fn unbound(root: &Path, kind: &str, name: &str) {
    let folder = root.join(".credentials").join(kind);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).expect("a folder");
    let entry = json!({"kind": kind, "name": name, "created": "2025-01-01T00:00:00Z", "secret": SECRET});
    let file = folder.join(format!("{}.json", name.replace('/', "%2F")));
    fs::write(&file, entry.to_string()).expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
}

fn bound(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    for (kind, name) in [("queue", "me"), ("github-hook", "me/x"), ("github-status", "me/x")] {
        unbound(site.path(), kind, name);
    }
    let bind = |arguments: &[&str]| with_input(&site, &[&["credentials", "bind"], arguments].concat(), "");
    let asked = bind(&[]);
    assert!(asked.status.code() == Some(2) && asked.err.contains("--yes"), "{asked:#?}");
    // One whose server nobody knows keeps none of the others back.
    let all = bind(&["--yes"]);
    assert_eq!(all.status.code(), Some(1), "{all:#?}");
    for line in [
        "Bound the github-hook credential of me/x to https://api.github.com, for web.",
        "Bound the github-status credential of me/x to https://api.github.com, for web.",
        "  apt-ci credentials bind queue me --server URL",
    ] {
        assert!(all.err.lines().any(|said| said == line), "{line}: {}", all.err);
    }
    for (arguments, code, said) in [
        (&["queue", "nosuch", "--yes"][..], 1, "there is no queue credential of nosuch"),
        (&["queue", "me", "--yes"], 2, "--server"),
        (&["queue", "me", "--server", "https://mq.example", "--yes"], 2, "must begin with amqps:// or amqp://"),
        (&["github-hook", "me/x", "--server", "amqps://mq.example", "--yes"], 2, "must begin with https:// or http://"),
        (&["queue", "me", "--server", "amqp://mq.example", "--yes"], 0, "is not sent to amqp://mq.example in plain"),
        (&["queue", "me", "--server", "amqps://mq.example", "--yes"], 0, "to amqps://mq.example, for operator."),
        (&["--yes"], 0, "All credentials are bound."),
    ] {
        let finished = bind(arguments);
        assert_eq!(finished.status.code(), Some(code), "{arguments:?}: {finished:#?}");
        assert!(finished.err.contains(said), "{arguments:?}: {}", finished.err);
    }
    assert_eq!(site.ok(&["credentials", "show", "queue", "me", "--reveal"]), format!("{SECRET}\n"));
    let missing = with_input(&site, &["credentials", "rotate", "queue", "nosuch"], SECRET);
    assert!(missing.status.code() == Some(1) && missing.err.contains("there is no queue"), "{missing:#?}");
    // Who needs it is asked before anything else.
    let home = TestSite::local();
    let root = repository(&home);
    let site = |arguments: &[&str]| with_input(&home, &[&["--site", &root, "credentials"], arguments].concat(), "");
    let own = home.path().join("home/.ssh/id_ed25519.pub");
    site(&["recipients", "add", own.to_str().expect("UTF-8")]);
    site(&["recipients", "add", &key(&home, "host1", ""), "--role", "worker:host1"]);
    unbound(Path::new(&root), "queue", "late");
    let bind = ["bind", "queue", "late", "--server", "amqps://mq.example"];
    let unsaid = site(&bind);
    assert!(unsaid.status.code() == Some(2) && unsaid.err.contains("--for worker:HOST"), "{unsaid:#?}");
    let unknown = site(&[&bind[..], &["--for", "worker:nohost", "--yes"]].concat());
    assert!(
        unknown.status.success() && unknown.err.contains("no recipient has the role worker:nohost"),
        "{unknown:#?}"
    );
    Ok(())
}

fn forged(_: &Services) -> Result<(), Failed> {
    // Somebody with a site of their own knows my public key.
    let (home, theirs) = (TestSite::local(), TestSite::local());
    let (root, other) = (repository(&home), repository(&theirs));
    let site = |arguments: &[&str], input: &str| with_input(&home, &[&["--site", &root], arguments].concat(), input);
    let mine = home.path().join("home/.ssh/id_ed25519.pub").display().to_string();
    assert!(site(&["credentials", "recipients", "add", &mine], "").status.success());
    assert!(site(&["credentials", "set", "queue", "me", "--server", "amqps://mq.example"], SECRET).status.success());
    let their =
        |arguments: &[&str]| with_input(&theirs, &[&["--site", &other, "credentials"], arguments].concat(), "theirs");
    let own = theirs.path().join("home/.ssh/id_ed25519.pub").display().to_string();
    for key in [&own, &mine] {
        assert!(their(&["recipients", "add", key]).status.success());
    }
    let evil = "amqps://evil.example";
    assert!(their(&["set", "queue", "me", "--server", evil, "--for", "operator"]).status.success());
    let stored = "credentials/queue/me.json";
    fs::copy(format!("{other}/{stored}"), format!("{root}/{stored}"))?;
    let before = fs::read_to_string(format!("{root}/{stored}"))?;
    let refused = site(&["credentials", "rotate", "queue", "me"], "new-secret");
    assert_eq!(refused.status.code(), Some(2), "{refused:#?}");
    for said in
        [evil, "amqps://mq.example", "`apt-ci credentials bind queue me --server amqps://evil.example --for operator`"]
    {
        assert!(refused.err.contains(said), "{said}: {}", refused.err);
    }
    // A person is asked, before the secret is typed.
    let rotate = ["--site", &root, "credentials", "rotate", "queue", "me", "--generate"];
    let (shown, _) = answering(&home, "Is this correct?", "n\n", &rotate);
    assert!(shown.contains(evil), "{shown}");
    assert_eq!(fs::read_to_string(format!("{root}/{stored}"))?, before);
    // Nor does a commit that takes the recipients away have it stored in clear.
    fs::remove_file(format!("{root}/credentials/recipients"))?;
    let clear = site(&["credentials", "rotate", "queue", "me"], "new-secret");
    assert!(
        clear.status.code() == Some(2) && clear.err.contains("refusing to store a secret unencrypted"),
        "{clear:#?}"
    );
    assert!(!Path::new(&root).join(".credentials").exists());
    Ok(())
}

fn narrow(_: &Services) -> Result<(), Failed> {
    let home = TestSite::local();
    let root = repository(&home);
    let site = |arguments: &[&str]| with_input(&home, &[&["--site", &root, "credentials"], arguments].concat(), SECRET);
    let own = home.path().join("home/.ssh/id_ed25519.pub").display().to_string();
    site(&["recipients", "add", &own]);
    for name in ["one", "two", "three", "four", "five"] {
        let name = format!("{name}/a-project-with-a-name");
        for verb in ["set", "rotate"] {
            assert!(site(&[verb, "github-hook", &name, "--note", "a note of some words"]).status.success());
        }
    }
    for (list, all) in [(&["recipients", "list"][..], 6), (&["list"], 6)] {
        let shown =
            on_terminal(&home, 80, &[("NO_COLOR", "1")], &[&["--site", &root, "credentials"], list].concat()).out;
        let lines: Vec<&str> = shown.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        assert_eq!(lines.len(), all, "{shown}");
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{shown}");
        assert!(lines[5].contains("two/a-project-with-a-name"), "{shown}");
    }
    Ok(())
}

fn passphrase(_: &Services) -> Result<(), Failed> {
    let home = TestSite::local();
    let root = repository(&home);
    let ssh = home.path().join("home/.ssh");
    let locked = key(&home, "locked", "open sesame");
    let site = |arguments: &[&str], input: &str| with_input(&home, &[&["--site", &root], arguments].concat(), input);
    site(&["credentials", "recipients", "add", ssh.join("id_ed25519.pub").to_str().expect("UTF-8")], "");
    assert!(site(&["credentials", "recipients", "add", &locked], "").status.success());
    assert!(site(&["credentials", "set", "github-hook", "me/x"], SECRET).status.success());
    fs::rename(home.path().join("locked"), ssh.join("id_ed25519"))?;
    let show = ["--site", &root, "credentials", "show", "github-hook", "me/x", "--reveal"];
    let nobody = home.run(&show);
    assert!(
        nobody.status.code() == Some(1) && nobody.err.contains("on a terminal only (ssh-agent cannot"),
        "{nobody:#?}"
    );
    let (shown, code) = answering(&home, "Passphrase of ", "open sesame\n", &show);
    assert!(code == Some(0) && shown.contains(SECRET) && !shown.contains("open sesame"), "{shown}");
    Ok(())
}
