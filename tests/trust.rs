//! Somebody else's directory: a site that was only found gets no secret, and nothing of it is executed.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use libtest_mimic::Failed;
use testkit::site::{Finished, TestSite, finish};
use testkit::{Services, Story, Trial, stories};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("the_swift_token_of_the_environment_stays_here", swift_token),
        ("a_private_file_is_not_sent_as_a_password", password_file),
        ("a_copied_secret_is_not_sent_to_their_queue", copied_secret),
        ("a_copied_token_is_not_sent_to_their_forge", copied_token),
        ("nothing_of_a_found_site_is_executed", executed),
        ("a_site_is_trusted_once_and_no_longer_when_others_can_change_it", trusted),
        ("a_link_leads_no_password_file_out_of_the_site", linked),
        ("a_password_goes_over_plain_text_only_when_the_site_allows_it", plain_text),
        ("a_login_on_this_machine_goes_through_no_proxy", no_proxy),
    ];
    stories("trust", services, all)
}

/// A request.
const RUN: &[&str] = &["run", "gzip", "-s", "sid", "--trigger", "gzip/1"];

/// A directory of somebody else, in which this user works, and a server of theirs that counts who connects.
struct Hostile {
    user: TestSite,
    server: TcpListener,
}

impl Hostile {
    /// `settings` become the site's file; `SERVER` in them is their server.
    fn new(user: TestSite, settings: &str) -> Self {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        server.set_nonblocking(true).expect("a listener");
        let hostile = Self { user, server };
        fs::create_dir_all(hostile.path().join("deep")).expect("a folder");
        hostile.write("apt-ci.toml", settings);
        hostile
    }

    fn path(&self) -> PathBuf {
        self.user.path().join("theirs")
    }

    fn write(&self, name: &str, text: &str) {
        let address = self.server.local_addr().expect("an address").to_string();
        fs::write(self.path().join(name), text.replace("SERVER", &address)).expect("a file");
    }

    /// Runs the program in the directory, with these variables.
    fn run(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Finished {
        let mut command = self.user.command(arguments);
        command.current_dir(self.path().join("deep")).envs(variables.iter().copied());
        finish(command)
    }

    /// Each of these commands is refused, and says what trusts the site.
    #[track_caller]
    fn refuses(&self, variables: &[(&str, &str)], commands: &[&[&str]]) {
        for arguments in commands {
            let finished = self.run(variables, arguments);
            assert_eq!(finished.status.code(), Some(2), "{arguments:?}: {finished:#?}");
            assert!(finished.err.contains("is not trusted"), "{arguments:?}: {}", finished.err);
            let path = self.path().canonicalize().expect("a path");
            assert!(finished.err.contains(&format!("`apt-ci site trust {}`", path.display())), "{}", finished.err);
        }
        self.heard_nothing();
    }

    /// Nobody has connected to their server.
    #[track_caller]
    fn heard_nothing(&self) {
        let heard = self.server.accept();
        assert!(matches!(&heard, Err(error) if error.kind() == ErrorKind::WouldBlock), "{heard:?}");
    }
}

fn swift_token(services: &Services) -> Result<(), Failed> {
    let hostile = Hostile::new(TestSite::local(), "store = \"swift:http://SERVER/v1/AUTH_x\"\n");
    let token = [("OS_AUTH_TOKEN", "hunter2"), ("OS_STORAGE_URL", "http://127.0.0.1:1/v1/AUTH_me")];
    let swift = services.swift().environment();
    let login: Vec<(&str, &str)> = swift.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for variables in [&token[..], &login] {
        hostile.refuses(variables, &[&["results"], &["log", "gzip"], &["index"], &["worker", "--drain"], RUN]);
        // Named, it is the user's own choice to use it; the token stays with the servers that the variables name.
        let named = hostile.run(variables, &["--site", "..", "results"]);
        assert!(!named.status.success() && named.err.contains("refusing to send the token"), "{named:#?}");
        hostile.heard_nothing();
    }
    // What asks for no secret and executes nothing goes on.
    let config = hostile.run(&token, &["config"]);
    assert!(config.status.success() && config.err.contains("is not trusted"), "{config:#?}");
    assert!(hostile.run(&token, &["completions", "bash"]).status.success());
    Ok(())
}

fn password_file(_: &Services) -> Result<(), Failed> {
    let user = TestSite::local();
    let secret = user.path().join("home/private");
    fs::write(&secret, "hunter2\n")?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    let settings = format!("queue = \"amqp://me@SERVER/\"\nqueue-password-file = {secret:?}\n");
    let hostile = Hostile::new(user, &settings);
    hostile.refuses(&[], &[&["queues"], &["running"], RUN, &["worker", "--once"], &["serve"]]);
    Ok(())
}

/// Makes the user's own site with this secret, encrypted, and copies it into their directory.
fn copy_secret(hostile: &Hostile, arguments: &[&str]) {
    let user = &hostile.user;
    let root = user.ok(&["init", "own"]).trim().to_owned();
    let ssh = user.path().join("home/.ssh");
    fs::create_dir_all(&ssh).expect("a folder");
    let key = ssh.join("id_ed25519");
    let mut make = Command::new("ssh-keygen");
    make.args(["-q", "-N", "", "-t", "ed25519", "-C", "me@here", "-f"]).arg(&key);
    assert!(make.status().expect("ssh-keygen").success());
    user.ok(&["--site", &root, "credentials", "recipients", "add", &format!("{}.pub", key.display())]);
    let file = user.path().join("secret");
    fs::write(&file, "octocat:hunter2\n").expect("a file");
    let set = [&["--site", &root, "credentials", "set"][..], arguments, &["--file", file.to_str().expect("UTF-8")]];
    user.ok(&set.concat());
    let copied = Command::new("cp").arg("-r").arg(format!("{root}/credentials")).arg(hostile.path()).status();
    assert!(copied.expect("cp").success());
}

fn copied_secret(_: &Services) -> Result<(), Failed> {
    let hostile = Hostile::new(TestSite::local(), "queue = \"amqp://me@SERVER/\"\n");
    copy_secret(&hostile, &["queue", "me", "--server", "amqps://mq.example"]);
    hostile.refuses(&[], &[&["queues"], &["running"], RUN, &["worker", "--once"], &["credentials", "list"]]);
    let named = hostile.run(&[], &["--site", "..", "queues"]);
    assert_eq!(named.status.code(), Some(2), "{named:#?}");
    assert!(named.err.contains("is for amqps://mq.example, not for amqp://127.0.0.1:"), "{}", named.err);
    hostile.heard_nothing();
    Ok(())
}

fn copied_token(_: &Services) -> Result<(), Failed> {
    let hostile = Hostile::new(TestSite::local(), "[web]\nurl = \"https://ci.example\"\n");
    hostile.write(
        "hooks.toml",
        "[[hook]]\nforge = \"github\"\napi = \"http://SERVER\"\nproject = \"me/x\"\nrelease = \"sid\"\n\
         architectures = [\"amd64\"]\npackage = \"x\"\n",
    );
    copy_secret(&hostile, &["github-status", "me/x"]);
    let commands: &[&[&str]] =
        &[&["github", "status", "me/x#1"], &["github", "retry", "me/x#1"], &["github", "sync", "--yes"]];
    // The variable is for the best-known server.
    for variables in [&[][..], &[("GITHUB_TOKEN", "hunter2")]] {
        hostile.refuses(variables, commands);
        for arguments in commands {
            let named = hostile.run(variables, &[&["--site", ".."], *arguments].concat());
            assert_eq!(named.status.code(), Some(2), "{arguments:?}: {named:#?}");
            hostile.heard_nothing();
        }
    }
    let named = hostile.run(&[], &["--site", "..", "github", "status", "me/x#1"]);
    assert!(named.err.contains("is for https://api.github.com, not for http://127.0.0.1:"), "{named:#?}");
    Ok(())
}

fn executed(_: &Services) -> Result<(), Failed> {
    let hostile = Hostile::new(TestSite::local(), "");
    let runner = hostile.path().join("checkout/runner");
    fs::create_dir_all(&runner)?;
    let mark = hostile.path().join("executed");
    let program = runner.join("autopkgtest");
    fs::write(&program, format!("#!/bin/sh\ntouch {}\n", mark.display()))?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let checkout = hostile.path().join("checkout");
    hostile
        .write("worker.conf", &format!("[autopkgtest]\ncheckout_dir = {}\n[virt]\nargs = null\n", checkout.display()));
    hostile.refuses(
        &[],
        &[
            &["worker", "check"],
            &["worker", "explain", "gzip", "-s", "sid"],
            &["worker", "--drain"],
            &["worker", "status"],
        ],
    );
    assert!(!mark.exists(), "it was executed");
    // It is the site that decides: named, the same program is the user's own choice.
    hostile.run(&[], &["--site", "..", "worker", "check"]);
    assert!(mark.exists(), "it was not even found");
    Ok(())
}

fn trusted(_: &Services) -> Result<(), Failed> {
    let hostile = Hostile::new(TestSite::local(), "queue = \"local:queue\"\n");
    hostile.refuses(&[], &[&["queues"]]);
    let nothing = hostile.run(&[], &["site", "trust", "nowhere"]);
    assert!(nothing.status.code() == Some(2) && nothing.err.contains("no site at"), "{nothing:#?}");
    assert!(nothing.err.contains("hint: ") && nothing.err.contains("`apt-ci init "), "{}", nothing.err);
    // As --site, it takes the folder or the file.
    for arguments in [&["site", "trust", "../apt-ci.toml"][..], &["site", "trust"]] {
        let trusted = hostile.run(&[], arguments);
        assert!(trusted.status.success(), "{trusted:#?}");
        assert!(hostile.run(&[], &["queues"]).status.success());
    }
    let list = hostile.run(&[], &["site", "trust", "--list"]).out;
    assert!(list.contains(&format!("{}\t", hostile.path().canonicalize()?.display())), "{list}");
    let file = hostile.user.path().join("home/.local/state/apt-ci/sites.json");
    assert_eq!(fs::metadata(file)?.permissions().mode() & 0o777, 0o600);
    // Others could put another site there.
    fs::set_permissions(hostile.path(), fs::Permissions::from_mode(0o777))?;
    let open = hostile.run(&[], &["queues"]);
    assert!(open.status.code() == Some(2) && open.err.contains("can be written by others"), "{open:#?}");
    let command = open.err.lines().find_map(|line| line.strip_prefix("hint: ")).expect("a hint").to_owned();
    assert!(Command::new("sh").args(["-c", &command]).status()?.success(), "{command}");
    assert!(hostile.run(&[], &["queues"]).status.success());
    // Or other programs into the files that it names.
    hostile.write("worker.conf", "[virt]\nargs = null\n");
    let conf = hostile.path().join("worker.conf");
    fs::set_permissions(&conf, fs::Permissions::from_mode(0o666))?;
    for arguments in [&["queues"][..], &["worker", "check"], &["site", "trust"]] {
        let open = hostile.run(&[], arguments);
        assert!(
            open.status.code() == Some(2) && open.err.contains("worker.conf can be written by others"),
            "{open:#?}"
        );
    }
    fs::remove_file(conf)?;
    // Another user, who is here for the first time, has not trusted it.
    let home = hostile.user.path().join("elsewhere");
    let other = hostile.run(&[("HOME", home.to_str().expect("UTF-8"))], &["queues"]);
    assert!(other.status.code() == Some(2) && other.err.contains("is not trusted"), "{other:#?}");
    assert!(hostile.run(&[], &["site", "untrust"]).status.success());
    hostile.refuses(&[], &[&["queues"]]);
    assert_eq!(hostile.run(&[], &["site", "untrust"]).status.code(), Some(1));
    // What `init` makes is trusted.
    assert!(hostile.run(&[], &["init", "mine"]).status.success());
    let mut command = hostile.user.command(&["queues"]);
    command.current_dir(hostile.path().join("deep/mine"));
    let mine = finish(command);
    assert!(mine.status.success(), "{mine:#?}");
    Ok(())
}

fn linked(_: &Services) -> Result<(), Failed> {
    let hostile =
        Hostile::new(TestSite::local(), "queue = \"amqp://me@SERVER/\"\nqueue-password-file = \"password\"\n");
    let secret = hostile.user.path().join("home/private");
    fs::write(&secret, "hunter2\n")?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    std::os::unix::fs::symlink(&secret, hostile.path().join("password"))?;
    assert!(hostile.run(&[], &["site", "trust"]).status.success());
    let refused = hostile.run(&[], &["queues"]);
    assert!(refused.status.code() == Some(2) && refused.err.contains("leads out of the site"), "{refused:#?}");
    hostile.heard_nothing();
    Ok(())
}

fn plain_text(_: &Services) -> Result<(), Failed> {
    // Nobody listens there, and nobody is asked: what is refused is refused before.
    let site = TestSite::local();
    let queue = "amqp://me:hunter2@192.0.2.1/";
    site.configure(queue, "folder:results");
    let started = std::time::Instant::now();
    for arguments in [&["queues"][..], &["--queue", queue, "queues"], &["worker", "--once"]] {
        let refused = site.run(arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {refused:#?}");
        assert!(refused.err.contains("in plain text to amqp://192.0.2.1\n"), "{}", refused.err);
        assert!(refused.err.contains("plain-text-passwords = \"allow\"") && !refused.err.contains("hunter2"));
    }
    site.configure("local:queue", "swift:");
    let mut command = site.command(&["results"]);
    command.envs([("ST_AUTH", "http://192.0.2.1/auth/v1.0"), ("ST_USER", "t:u"), ("ST_KEY", "hunter2")]);
    let refused = finish(command);
    assert!(
        refused.err.contains("in plain text to http://192.0.2.1") && !refused.err.contains("hunter2"),
        "{refused:#?}"
    );
    assert!(started.elapsed().as_secs() < 60, "it was tried");
    let text = format!("plain-text-passwords = \"allow\"\n{}", fs::read_to_string(site.path().join("apt-ci.toml"))?);
    fs::write(site.path().join("apt-ci.toml"), text)?;
    assert!(site.ok(&["config"]).contains("plain-text-passwords\tallow\t"), "it is shown");
    Ok(())
}

fn no_proxy(_: &Services) -> Result<(), Failed> {
    let (server, proxy) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    let (address, through) = (server.local_addr()?, format!("http://{}", proxy.local_addr()?));
    proxy.set_nonblocking(true)?;
    // It ends with this process.
    let logins = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&logins);
    std::thread::spawn(move || {
        for mut client in server.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = client.read(&mut [0; 4096]);
            let _ = client.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    let site = TestSite::local();
    site.configure("local:queue", "swift:");
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        let before = logins.load(Ordering::SeqCst);
        let mut command = site.command(&["results"]);
        command.envs([
            ("ST_AUTH", format!("http://{address}/auth/v1.0").as_str()),
            ("ST_USER", "t:u"),
            ("ST_KEY", "hunter2"),
        ]);
        command.env(name, &through);
        let finished = finish(command);
        assert!(!finished.status.success() && logins.load(Ordering::SeqCst) > before, "{name}: {finished:#?}");
        let heard = proxy.accept();
        assert!(matches!(&heard, Err(error) if error.kind() == ErrorKind::WouldBlock), "{name}: {heard:?}");
    }
    Ok(())
}
