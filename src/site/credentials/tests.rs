use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::environment::Environment;
use crate::site::Lookup;

mod binding;
mod clear;
mod purposes;
mod recipients;
mod roles;

const SECRET: &str = "hunter2-hunter2";

/// A site in a git repository, with the keys of three users.
struct CredentialsFixture {
    folder: TempDir,
}

impl CredentialsFixture {
    fn new() -> Self {
        let scene = Self { folder: TempDir::new().unwrap() };
        crate::site::create(&scene.root()).unwrap();
        for (name, kind) in [("ann", "ed25519"), ("bob", "rsa"), ("eve", "ed25519")] {
            let path = scene.folder.path().join(name);
            let mut make = Command::new("ssh-keygen");
            make.args(["-q", "-N", "", "-t", kind, "-C", &format!("{name}@example"), "-f"]).arg(path);
            assert!(make.status().unwrap().success());
        }
        scene
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("site")
    }

    fn key(&self, name: &str) -> Recipient {
        fs::read_to_string(self.folder.path().join(format!("{name}.pub"))).unwrap().parse().unwrap()
    }

    /// Opens the credentials as a user.
    fn of(&self, name: &str) -> Result<Credentials, CredentialsError> {
        let (environment, root) = (Environment::default(), self.root());
        let lookup =
            Lookup { site: Some(&root), queue: None, store: None, environment: &environment, working_dir: &root };
        let keys = Keys::new(vec![self.folder.path().join(name)], Arc::new(|_| None));
        Credentials::of(&Site::find(&lookup).unwrap(), keys, self.trust(name))
    }

    /// Returns the decisions of a user.
    fn trust(&self, name: &str) -> TrustStore {
        let state = self.folder.path().join(format!("state-{name}"));
        TrustStore::of_user(&[("XDG_STATE_HOME".to_owned(), state.display().to_string())].into_iter().collect())
    }

    /// Opens the credentials as a user who has confirmed all recipients.
    fn confirmed_by(&self, name: &str) -> Credentials {
        let credentials = self.of(name).unwrap();
        credentials.confirm(&credentials.unconfirmed().unwrap()).unwrap();
        credentials
    }

    /// Returns the content of every object in git, in clear.
    fn history(&self) -> String {
        let git = |arguments: &[&str]| {
            let output = Command::new("git").arg("-C").arg(self.root()).args(arguments).output().unwrap();
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let objects = git(&["cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype)"]);
        let blobs = objects.lines().filter_map(|line| line.split_once(' '));
        let all: String = blobs.map(|(id, kind)| git(&["cat-file", kind, id])).collect();
        all + &git(&["log", "-p"])
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn opened(credentials: &Credentials, project: &str) -> String {
    let found = credentials.get_for(Kind::GithubHook, &name(project), &server()).unwrap();
    found.expect("an entry").expose_secret().to_owned()
}

fn server() -> ServerIdentity {
    "https://api.github.com".parse().unwrap()
}

/// Details with the server of `server`.
fn details() -> Details {
    Details::for_server(server())
}

#[test]
fn without_recipients_secrets_are_for_their_owner_alone() {
    let scene = CredentialsFixture::new();
    let credentials = scene.of("ann").unwrap();
    let now = Timestamp::now();
    let entry = credentials
        .set(
            Kind::GithubHook,
            &name("me/x"),
            &SECRET.to_owned().into(),
            &Details { note: Some("a note".to_owned()), ..details() },
            now,
        )
        .unwrap();
    assert_eq!((entry.rotated, entry.note.as_deref()), (None, Some("a note")));
    assert_eq!(opened(&credentials, "me/x"), SECRET);
    let file = scene.root().join(".credentials/github-hook/me%2Fx.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let status = Command::new("git").arg("-C").arg(scene.root()).args(["status", "--porcelain"]).output().unwrap();
    assert!(status.stdout.is_empty(), "git sees it: {}", String::from_utf8_lossy(&status.stdout));
    // A new secret keeps the note.
    let entry = credentials.set(Kind::GithubHook, &name("me/x"), &"other".to_owned().into(), &details(), now).unwrap();
    assert_eq!((entry.rotated, entry.note.as_deref()), (Timestamp::from_second(now.as_second()).ok(), Some("a note")));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let error = scene.of("ann").err().expect("others can read it");
    assert!(matches!(&error, CredentialsError::Open { hint, .. } if hint.starts_with("chmod -R go= ")), "{error}");
}

#[test]
fn git_knows_secrets_only_encrypted() {
    let scene = CredentialsFixture::new();
    let ann = scene.of("ann").unwrap();
    let now = Timestamp::now();
    ann.set(Kind::GithubHook, &name("me/x"), &SECRET.to_owned().into(), &details(), now).unwrap();
    assert!(ann.add_recipient(scene.key("ann")).unwrap().is_new);
    assert!(!ann.add_recipient(scene.key("ann")).unwrap().is_new);
    assert!(!scene.root().join(".credentials/github-hook/me%2Fx.json").exists(), "it has moved");
    ann.set(Kind::GithubHook, &name("me/y"), &format!("{SECRET}y").into(), &details(), now).unwrap();
    assert_eq!((opened(&ann, "me/x"), opened(&ann, "me/y")), (SECRET.to_owned(), format!("{SECRET}y")));
    assert!(matches!(scene.of("bob").unwrap().get(Kind::GithubHook, &name("me/x")), Err(CredentialsError::Sealed(..))));
    assert_eq!(scene.of("bob").unwrap().list().unwrap().len(), 2, "names and times are no secrets");
    // RSA keys work as well.
    ann.add_recipient(scene.key("bob")).unwrap();
    assert_eq!(opened(&scene.of("bob").unwrap(), "me/y"), format!("{SECRET}y"));
    // A removed recipient opens nothing new.
    let (removed, known) = ann.remove_recipient("bob@example").unwrap();
    assert_eq!((removed.to_string().as_str(), known.len()), ("bob@example", 2));
    assert!(scene.of("bob").unwrap().get(Kind::GithubHook, &name("me/x")).is_err());
    assert!(matches!(ann.remove_recipient("ann@example"), Err(CredentialsError::LastRecipient(_))));
    assert!(matches!(ann.remove_recipient("eve@example"), Err(CredentialsError::NoRecipient(_))));
    ann.remove(Kind::GithubHook, &name("me/x")).unwrap();
    assert!(ann.get(Kind::GithubHook, &name("me/x")).unwrap().is_none());
    let history = scene.history();
    assert!(!history.contains(SECRET), "a secret is in git's history");
    assert!(history.contains("Remove the github-hook credential of me/x"));
    let status = Command::new("git").arg("-C").arg(scene.root()).args(["status", "--porcelain"]).output().unwrap();
    assert!(status.stdout.is_empty(), "all is committed: {}", String::from_utf8_lossy(&status.stdout));
}

#[test]
fn nobody_is_locked_out() {
    let scene = CredentialsFixture::new();
    let ann = scene.of("ann").unwrap();
    ann.set(Kind::Queue, &name("me"), &SECRET.to_owned().into(), &details(), Timestamp::now()).unwrap();
    let error = ann.add_recipient(scene.key("bob")).unwrap_err();
    assert!(matches!(error, CredentialsError::Unopenable(_)), "{error}");
    assert!(ann.recipients().unwrap().is_empty(), "nothing is changed");
    ann.set(Kind::Queue, &name("me"), &SECRET.to_owned().into(), &details(), Timestamp::now()).unwrap();
    assert_eq!(ann.get(Kind::Queue, &name("me")).unwrap().unwrap().reveal().expose_secret(), SECRET);
    // A process that dies while encrypting leaves both files: the encrypted one counts, and the next command does the
    // rest.
    let plain = scene.root().join(".credentials/queue/me.json");
    let text = fs::read_to_string(&plain).unwrap();
    ann.add_recipient(scene.key("ann")).unwrap();
    fs::write(&plain, text).unwrap();
    fs::write(scene.root().join(".credentials/queue/.new-1"), SECRET).unwrap();
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(scene.root().join(".credentials/queue/.new-1"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(!ann.add_recipient(scene.key("ann")).unwrap().is_new);
    assert!(!plain.exists() && !scene.root().join(".credentials/queue/.new-1").exists());
    assert_eq!(ann.get(Kind::Queue, &name("me")).unwrap().unwrap().reveal().expose_secret(), SECRET);
}

#[test]
fn what_somebody_else_has_staged_is_not_committed() {
    let scene = CredentialsFixture::new();
    fs::write(scene.root().join("half-done"), "x").unwrap();
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(scene.root()).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    git(&["add", "half-done"]);
    let ann = scene.of("ann").unwrap();
    ann.add_recipient(scene.key("ann")).unwrap();
    assert_eq!(git(&["show", "--stat", "--format="]).lines().count(), 2, "one file and the sum");
    assert_eq!(git(&["status", "--porcelain"]), "A  half-done\n");
}

#[test]
fn names_lead_nowhere_else() {
    for bad in ["", "a b", "a\nb", "é", &"x".repeat(111)] {
        bad.parse::<Name>().unwrap_err();
    }
    for odd in ["..", "../x", ".x", "a/../b"] {
        let file = entry::file(Kind::Queue, &name(odd));
        assert_eq!(file.components().count(), 2, "{}", file.display());
        assert!(file.components().all(|part| matches!(part, std::path::Component::Normal(_))), "{}", file.display());
    }
}

#[test]
fn the_files_of_other_programs_are_read_and_written() {
    let tokens = "# comment\nsystemd:someone:abc:def\n\nme/x:bot:t0ken\n";
    let read = read_tokens(tokens).unwrap();
    assert_eq!(write_tokens(&read), "systemd:someone:abc:def\nme/x:bot:t0ken\n");
    for bad in ["x:secret", "x::secret", "x y:a:secret", "secret"] {
        assert!(!read_tokens(bad).expect_err("a fault").contains("secret"), "{bad}");
    }
    let secrets = read_secrets(r#"{"systemd": "s3cret", "me/x": "other"}"#).unwrap();
    assert_eq!(read_secrets(&write_secrets(&secrets)).unwrap().len(), 2);
    for bad in ["[\"secret\"]", "{\"x\": {\"secret\": 1}}", "{\"x y\": \"secret\"}"] {
        assert!(!read_secrets(bad).expect_err("a fault").contains("secret"), "{bad}");
    }
}

/// Runs git in the site's repository.
fn git(scene: &CredentialsFixture, arguments: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(scene.root()).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn what_a_process_that_died_has_begun_is_gone_on_with() {
    let scene = CredentialsFixture::new();
    let ann = scene.of("ann").unwrap();
    let now = Timestamp::now();
    ann.add_recipient(scene.key("ann")).unwrap();
    for project in ["me/x", "me/y"] {
        ann.set(Kind::GithubHook, &name(project), &SECRET.to_owned().into(), &details(), now).unwrap();
    }
    let lock = scene.root().join(".git/index.lock");
    // Everything is written, but cannot be committed.
    let fails = |work: &dyn Fn() -> Result<(), CredentialsError>| {
        fs::write(&lock, "").unwrap();
        let error = work().unwrap_err();
        let CredentialsError::Site(error) = error else { panic!("{error}") };
        assert!(!error.is_bad_input() && error.hint().unwrap().contains("index.lock"), "{error}");
        assert_eq!(error.to_string().matches("locked").count(), 1, "{error}");
        assert!(!git(&scene, &["status", "--porcelain"]).is_empty(), "something is left to commit");
        fs::remove_file(&lock).unwrap();
    };
    let is_clean = || git(&scene, &["status", "--porcelain"]).is_empty();
    fails(&|| ann.add_recipient(scene.key("bob")).map(drop));
    assert!(!ann.add_recipient(scene.key("bob")).unwrap().is_new && is_clean());
    assert_eq!(opened(&scene.of("bob").unwrap(), "me/y"), SECRET);
    fails(&|| ann.remove(Kind::GithubHook, &name("me/y")));
    ann.remove(Kind::GithubHook, &name("me/y")).unwrap();
    assert!(is_clean());
    assert!(matches!(ann.remove(Kind::GithubHook, &name("me/y")), Err(CredentialsError::Missing(_))));
    fails(&|| ann.remove_recipient("bob@example").map(drop));
    let (removed, known) = ann.remove_recipient("bob@example").unwrap();
    assert_eq!((removed.to_string().as_str(), known.len(), is_clean()), ("bob@example", 1, true));
    assert!(matches!(ann.remove_recipient("bob@example"), Err(CredentialsError::NoRecipient(_))));
    // Half of the secrets are encrypted to one more recipient, who is not in the list yet.
    let list = fs::read_to_string(scene.root().join("credentials/recipients")).unwrap();
    ann.add_recipient(scene.key("eve")).unwrap();
    fs::write(scene.root().join("credentials/recipients"), list).unwrap();
    assert!(ann.add_recipient(scene.key("eve")).unwrap().is_new && is_clean());
    assert_eq!(opened(&scene.of("eve").unwrap(), "me/x"), SECRET);
}

fn role(text: &str) -> BTreeSet<Role> {
    text.split(',').map(|role| role.parse().unwrap()).collect()
}

#[test]
fn nothing_is_encrypted_to_a_recipient_that_came_with_a_commit() {
    let scene = CredentialsFixture::new();
    let ann = scene.of("ann").unwrap();
    ann.add_recipient(scene.key("ann").with_roles(role("operator"))).unwrap();
    let store = |credentials: &Credentials| {
        let details = Details { readers: Some(role("worker")), ..details() };
        credentials.set(Kind::Queue, &name("me"), &SECRET.to_owned().into(), &details, Timestamp::now())
    };
    store(&ann).unwrap();
    let file = scene.root().join("credentials/recipients");
    let list = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{list}{}\n", scene.key("eve").with_roles(role("worker:x")).line())).unwrap();
    let refused = |error: CredentialsError| matches!(&error, CredentialsError::Unconfirmed(who) if who[0].contains("eve@example"));
    assert!(refused(store(&ann).unwrap_err()));
    assert!(refused(ann.set_all(Kind::GithubHook, &[], Timestamp::now()).unwrap_err()));
    assert!(refused(ann.add_recipient(scene.key("bob")).unwrap_err()));
    assert!(scene.of("eve").unwrap().get(Kind::Queue, &name("me")).is_err());
    // Confirmed as a worker does not mean confirmed as an operator.
    store(&scene.confirmed_by("ann")).unwrap();
    assert!(scene.of("eve").unwrap().get(Kind::Queue, &name("me")).is_ok());
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("worker:x", "operator")).unwrap();
    assert!(refused(store(&ann).unwrap_err()));
    // Another user has confirmed nothing.
    fs::write(&file, list).unwrap();
    store(&ann).unwrap();
    assert!(matches!(store(&scene.of("eve").unwrap()), Err(CredentialsError::Unconfirmed(_))));
}

#[test]
fn no_link_leads_out_of_the_site() {
    use std::os::unix::fs::symlink;
    for (place, link) in [
        ("credentials", "credentials"),
        ("credentials", "credentials/queue"),
        (".credentials", ".credentials"),
        (".credentials", ".credentials/queue"),
    ] {
        let scene = CredentialsFixture::new();
        let elsewhere = scene.folder.path().join("elsewhere");
        fs::create_dir_all(elsewhere.join("queue")).unwrap();
        fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o700)).unwrap();
        if place != link {
            fs::create_dir(scene.root().join(place)).unwrap();
            fs::set_permissions(scene.root().join(place), fs::Permissions::from_mode(0o700)).unwrap();
        }
        if place == "credentials" && place != link {
            fs::write(scene.root().join("credentials/recipients"), scene.key("ann").line() + "\n").unwrap();
        }
        symlink(&elsewhere, scene.root().join(link)).unwrap();
        let stored = scene.of("ann").and_then(|ann| {
            ann.confirm(&ann.unconfirmed()?)?;
            ann.set(Kind::Queue, &name("me"), &SECRET.to_owned().into(), &details(), Timestamp::now())
        });
        assert!(matches!(&stored, Err(CredentialsError::Link(_))), "{link}: {:?}", stored.err());
        let written =
            fs::read_dir(&elsewhere).unwrap().count() + fs::read_dir(elsewhere.join("queue")).unwrap().count();
        assert_eq!(written, 1, "{link}: something was written there");
    }
    let scene = CredentialsFixture::new();
    let ann = scene.of("ann").unwrap();
    ann.add_recipient(scene.key("ann")).unwrap();
    fs::create_dir(scene.root().join("credentials/queue")).unwrap();
    symlink(scene.folder.path().join("x"), scene.root().join("credentials/queue/me.json")).unwrap();
    let planned = ann.planned(Kind::Queue, &name("me"), &Details::default(), Timestamp::now());
    assert!(matches!(planned, Err(CredentialsError::Link(_))), "it is not that nothing says its server");
}

#[test]
fn a_passphrase_is_asked_for_once_and_only_for_the_key_that_opens() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let scene = CredentialsFixture::new();
    let ann = scene.of("ann").unwrap();
    ann.add_recipient(scene.key("ann")).unwrap();
    let path = scene.folder.path().join("locked");
    let mut make = Command::new("ssh-keygen");
    make.args(["-q", "-N", "open sesame", "-a", "1", "-t", "ed25519", "-C", "locked@example", "-f"]).arg(&path);
    assert!(make.status().unwrap().success());
    ann.add_recipient(scene.key("locked")).unwrap();
    for project in ["me/x", "me/y"] {
        ann.set(Kind::GithubHook, &name(project), &SECRET.to_owned().into(), &details(), Timestamp::now()).unwrap();
    }
    let asked = Arc::new(AtomicUsize::new(0));
    let with = |files: &[&str], answer: Option<&'static str>| {
        let root = scene.root();
        let lookup = Lookup {
            site: Some(&root),
            queue: None,
            store: None,
            environment: &Environment::default(),
            working_dir: &root,
        };
        let asked = Arc::clone(&asked);
        let ask = move |_: &Path| {
            asked.fetch_add(1, Ordering::Relaxed);
            answer.map(|answer| answer.to_owned().into())
        };
        let files = files.iter().map(|file| scene.folder.path().join(file)).collect();
        Credentials::of(&Site::find(&lookup).unwrap(), Keys::new(files, Arc::new(ask)), scene.trust("ann")).unwrap()
    };
    let locked = with(&["locked"], Some("open sesame"));
    assert_eq!((opened(&locked, "me/x"), opened(&locked, "me/y")), (SECRET.to_owned(), SECRET.to_owned()));
    assert_eq!(asked.swap(0, Ordering::Relaxed), 1);
    // Another key opens it, or this one cannot: no passphrase is asked for.
    opened(&with(&["locked", "ann"], None), "me/x");
    ann.remove_recipient("locked@example").unwrap();
    assert!(with(&["locked"], None).get(Kind::GithubHook, &name("me/x")).is_err());
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    ann.add_recipient(scene.key("locked")).unwrap();
    let reason = |answer| match with(&["locked"], answer).get(Kind::GithubHook, &name("me/x")) {
        Err(CredentialsError::Sealed(_, reason)) => reason,
        other => panic!("{:?}", other.err()),
    };
    assert!(reason(None).contains("on a terminal only (ssh-agent cannot decrypt)"));
    assert!(reason(Some("wrong")).contains("wrong passphrase"));
}

#[test]
fn a_bad_line_among_the_recipients_is_named() {
    let scene = CredentialsFixture::new();
    fs::create_dir(scene.root().join("credentials")).unwrap();
    let text = format!("# these\n{}\nssh-dss AAAA x\n", scene.key("ann").line());
    fs::write(scene.root().join("credentials/recipients"), text).unwrap();
    let error = scene.of("ann").unwrap().recipients().err().expect("a fault");
    assert!(error.to_string().contains("recipients: line 3: this is not an SSH public key"), "{error}");
}
