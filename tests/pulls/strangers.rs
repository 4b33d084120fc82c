//! What strangers send, and what goes wrong around the service: it serves everybody else all the same.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use apt_ci::forge::Forge;
use libtest_mimic::Failed;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use testkit::forge::deliver::post;
use testkit::site::{TestSite, until};
use testkit::{Services, Story, Trial, stories};

use super::fixture::{PROJECT, PullFixture, commit};

const BRANCH: &str = "https://git.example/thing.git";

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    const STORIES: [(&str, Story); 6] = [
        ("a_request_over_the_web_reaches_no_server_inside_the_network", inside),
        ("half_sent_requests_and_slow_bodies_delay_nobody", crowd),
        ("a_log_that_nobody_reads_stops_nothing", unread_log),
        ("wrong_keys_are_limited_logged_and_counted", wrong_keys),
        ("a_damaged_journal_is_set_aside_and_made_again", damaged_journal),
        ("the_page_of_a_request_by_hand_is_known_at_once_and_after_a_restart", page),
    ];
    stories("pulls", services, &STORIES)
}

fn key_of(scene: &PullFixture, user: &str) -> String {
    scene.site.ok(&["credentials", "set", "api-key", user, "--generate"]).trim().to_owned()
}

fn ask(scene: &PullFixture, key: &str, parameters: &str) -> (u16, Value) {
    ask_for(scene, "", key, parameters)
}

/// Asks as a server in front of the service does, with a header of its own.
fn ask_for(scene: &PullFixture, header: &str, key: &str, parameters: &str) -> (u16, Value) {
    let headers = format!("{header}Authorization: Bearer {key}\r\nContent-Type: application/x-www-form-urlencoded\r\n");
    let (status, answer) = post(&scene.url("/request.cgi"), &headers, parameters).expect("an answer");
    (status, serde_json::from_str(&answer).expect("JSON"))
}

fn inside(_: &Services) -> Result<(), Failed> {
    let scene = PullFixture::with(Forge::GitHub, TestSite::local(), "");
    let server = TcpListener::bind("127.0.0.1:0")?;
    server.set_nonblocking(true)?;
    let port = server.local_addr()?.port();
    let (key, release) = (key_of(&scene, "ann"), scene.site.release.clone());
    for address in [
        format!("http://127.0.0.1:{port}/x.git"),
        format!("http://2130706433:{port}/x.git"),
        format!("http://0177.0.0.1:{port}/x.git"),
        format!("http://[::ffff:127.0.0.1]:{port}/x.git"),
        format!("http://localhost:{port}/x.git"),
        "http://169.254.169.254/latest".to_owned(),
        "http://10.1.2.3/x.git".to_owned(),
        "git://example.org/x.git".to_owned(),
    ] {
        for parameter in ["build-git", "test-git"] {
            let (status, answer) = ask(&scene, &key, &format!("release={release}&package=thing&{parameter}={address}"));
            let error = answer["error"].as_str().unwrap_or_default();
            let is_named = error.contains("no address of the public network") || error.contains("by http or https");
            assert!(status == 400 && is_named, "{address}: {status} {answer}");
        }
    }
    // A name can lead inside as well: the worker finds that out.
    for (number, address) in
        [format!("http://localhost:{port}/x.git"), format!("http://127.1:{port}/x.git#main")].iter().enumerate()
    {
        let id = format!("inside-{number}");
        let parameters = json!({"apt-ci-origin": "web", "build-git": address, "uuid": id, "triggers": ["a/1"]});
        scene.site.ok(&["queues"]);
        scene.site.submit(&format!("{}:thing {parameters}\n", scene.site.queue_name()));
        scene.site.ok(&["worker", "--drain"]);
        let run = scene.site.result_of(&id);
        assert_eq!(run["exitcode"], 20, "{run}");
        assert!(scene.site.log_of(&run).contains("must not be fetched"), "{}", scene.site.log_of(&run));
    }
    assert!(scene.site.starts().is_empty(), "no test was started");
    assert_eq!(server.accept().map(drop).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock), "nobody has come");
    // What a hook asks for is marked, too.
    scene.add_hook("thing", &["--build-git", BRANCH]);
    scene.forge.open(PROJECT, 7, &commit('a'));
    let waiting = scene.site.json(&["queues", &scene.queue()]).to_string();
    assert!(waiting.contains("apt-ci-origin"), "{waiting}");
    Ok(())
}

/// Whether the other end has neither closed the connection nor said anything.
fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a mode");
    matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

fn crowd(_: &Services) -> Result<(), Failed> {
    let scene = PullFixture::new(Forge::GitHub, TestSite::local());
    scene.add_hook("thing", &["--build-git", BRANCH]);
    let connect = || TcpStream::connect(("127.0.0.1", scene.port));
    let mut heads = Vec::new();
    for _ in 0..300 {
        let mut stream = connect()?;
        stream.write_all(b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-")?;
        heads.push(stream);
    }
    let mut bodies = Vec::new();
    for _ in 0..14 {
        let mut stream = connect()?;
        let head =
            "POST /webhooks/github HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: ping\r\nContent-Length: 5000000\r\n\r\n";
        stream.write_all(head.as_bytes())?;
        bodies.push(stream);
    }
    // They send on, fast enough not to be cut off: as many as that would once have taken all memory.
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for mut stream in &bodies {
                    // Who was cut off shows below.
                    let _ = stream.write_all(&[b' '; 8 << 10]);
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        let sent = scene.forge.open(PROJECT, 7, &commit('a'));
        let health = scene.get("/healthz");
        over.store(true, Ordering::Relaxed);
        assert!(sent.iter().all(|sent| sent.status == 202), "{sent:?}");
        assert_eq!(health.expect("an answer").0, 200);
    });
    // Both were answered beside the others, not after them.
    assert_eq!(heads.iter().filter(|stream| is_open(stream)).count(), heads.len(), "half-sent requests");
    assert_eq!(bodies.iter().filter(|stream| is_open(stream)).count(), bodies.len(), "slow bodies");
    Ok(())
}

/// The service with its standard error in a pipe. Killed when dropped.
struct Piped(Child);

impl Piped {
    fn start(scene: &mut PullFixture) -> Self {
        Self::start_with(scene, Stdio::piped())
    }

    fn start_with(scene: &mut PullFixture, log: Stdio) -> Self {
        scene.kill_service();
        let mut command = scene.site.command(&["serve"]);
        let started = Self(command.stdout(Stdio::null()).stderr(log).spawn().expect("it starts"));
        until("the service answers", || scene.get("/healthz").is_some_and(|(status, _)| status == 200));
        started
    }

    /// Tells it to end, which it does.
    fn end(mut self) {
        kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGTERM).expect("a signal");
        let mut ended = None;
        until("it has ended", || {
            ended = self.0.try_wait().expect("its state");
            ended.is_some()
        });
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn unread_log(_: &Services) -> Result<(), Failed> {
    let mut scene = PullFixture::new(Forge::GitHub, TestSite::local());
    let refused = |scene: &PullFixture| {
        let headers = "X-GitHub-Event: pull_request\r\nX-GitHub-Delivery: d\r\nX-Hub-Signature-256: sha256=00\r\n";
        post(&scene.url("/webhooks/github"), headers, "{}").expect("an answer").0
    };
    // Its reader is gone.
    let mut service = Piped::start(&mut scene);
    drop(service.0.stderr.take());
    for _ in 0..3 {
        assert_eq!(refused(&scene), 403);
    }
    service.end();
    scene.serve();
    // Its reader is there, and does not read.
    let mut service = Piped::start(&mut scene);
    let mut log = service.0.stderr.take().expect("a pipe");
    fcntl(&log, FcntlArg::F_SETPIPE_SZ(4096))?;
    for _ in 0..60 {
        assert_eq!(refused(&scene), 403);
    }
    assert_eq!(scene.get("/healthz").expect("an answer").0, 200);
    service.end();
    let mut said = Vec::new();
    log.read_to_end(&mut said)?;
    assert!(said.len() <= 8192, "it was full: {}", said.len());
    // It was full before the start.
    scene.serve();
    let (_reader, mut log) = std::io::pipe()?;
    let size = fcntl(&log, FcntlArg::F_SETPIPE_SZ(4096))?;
    log.write_all(&vec![b'x'; usize::try_from(size)?])?;
    let service = Piped::start_with(&mut scene, log.into());
    assert_eq!(refused(&scene), 403);
    service.end();
    // A full disk ends nothing, either.
    for arguments in [&["results", "nothing-like-this"][..], &["worker", "--drain"]] {
        let full = fs::File::options().write(true).open("/dev/full")?;
        let status = scene.site.command(arguments).stdout(Stdio::null()).stderr(full).status()?;
        assert_ne!(status.code(), Some(101), "{arguments:?}: {status}");
        assert!(status.code().is_some(), "{arguments:?}: {status}");
    }
    Ok(())
}

fn wrong_keys(_: &Services) -> Result<(), Failed> {
    let scene = PullFixture::new(Forge::GitHub, TestSite::local());
    let (key, release) = (key_of(&scene, "ann"), scene.site.release.clone());
    let good = format!("release={release}&package=gzip&trigger=glibc%2F2.39-1");
    let from = |number: u8| format!("X-Forwarded-For: 198.51.100.{number}\r\n");
    let first = from(1);
    assert_eq!(ask_for(&scene, &first, &key, &good).0, 202);
    let statuses: Vec<u16> =
        (0..30).map(|number| ask_for(&scene, &first, &format!("wrong-{number}"), &good).0).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 10, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 20, "{statuses:?}");
    assert_eq!(ask_for(&scene, &first, &key, &good).0, 202, "a user at the same address goes on");
    scene.wait_for_log("a wrong key was shown", 10);
    let log = scene.log();
    assert_eq!(log.matches("a wrong key was shown").count(), 10, "{log}");
    assert!(!log.contains("wrong-3"), "{log}");
    let metrics = scene.get("/metrics").expect("figures").1;
    assert!(metrics.contains("apt_ci_refused_keys_total{reason=\"wrong\"} 10"), "{metrics}");
    assert!(metrics.contains("apt_ci_refused_keys_total{reason=\"too many from one address\"} 20"), "{metrics}");
    assert_eq!(ask_for(&scene, &from(2), "wrong", &good).0, 401, "others are not held back");
    // A key that was right before is a wrong one when it is removed.
    scene.site.ok(&["credentials", "remove", "api-key", "ann", "--yes"]);
    let statuses: Vec<u16> = (0..15).map(|_| ask_for(&scene, &from(3), &key, &good).0).collect();
    assert_eq!(statuses, [[401; 10].as_slice(), &[429; 5]].concat());
    // A server that does not tell for whom it asks does so for everybody: strangers lock nobody out, and fill no log.
    let bob = key_of(&scene, "bob");
    // Ten of each of the two senders, and one of another.
    scene.wait_for_log("a wrong key was shown", 21);
    let statuses: Vec<u16> = (0..30).map(|number| ask(&scene, &format!("wrong-{number}"), &good).0).collect();
    assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
    assert_eq!(ask(&scene, &bob, &good).0, 202);
    scene.wait_for_log("a wrong key was shown", 31);
    assert_eq!(scene.log().matches("a wrong key was shown").count(), 31, "{}", scene.log());
    Ok(())
}

fn damaged_journal(_: &Services) -> Result<(), Failed> {
    let mut scene = PullFixture::new(Forge::GitHub, TestSite::local());
    scene.add_hook("thing", &["--build-git", BRANCH]);
    assert!(scene.set_token("status").status.success());
    let context = scene.context("thing");
    scene.forge.open(PROJECT, 7, &commit('a'));
    scene.forge.wait_for(PROJECT, &commit('a'), &context, "pending");
    scene.kill_service();
    let folder = scene.site.path().join("home/.local/state/apt-ci/pulls");
    let file = folder.join("journal.sqlite");
    // What a killed process had not moved into the file yet would heal it.
    for beside in ["journal.sqlite-wal", "journal.sqlite-shm"] {
        let _ = fs::remove_file(folder.join(beside));
    }
    fs::write(&file, "no database at all, but long enough to be taken for one".repeat(200))?;
    scene.serve();
    scene.wait_for_log("is set aside as", 1);
    assert!(scene.log().contains("is damaged"), "{}", scene.log());
    let names = || fs::read_dir(&folder).expect("the folder").flatten().map(|entry| entry.file_name());
    assert!(names().any(|name| name.to_string_lossy().starts_with("journal.sqlite.damaged-")));
    scene.site.ok(&["worker", "--drain"]);
    scene.forge.wait_for(PROJECT, &commit('a'), &context, "success");
    Ok(())
}

fn page(_: &Services) -> Result<(), Failed> {
    let mut scene = PullFixture::new(Forge::GitHub, TestSite::local());
    let (key, release) = (key_of(&scene, "ann"), scene.site.release.clone());
    let other = scene.site.request("gzip", &[]);
    let good = |package: &str| format!("release={release}&package={package}&trigger=trigger%2F1");
    let id = |answer: &Value| answer["requests"][0]["uuid"].as_str().expect("an id").to_owned();
    let (_, answer) = ask(&scene, &key, &good("hello"));
    let own = id(&answer);
    // It is told the id of a request that somebody else has asked for.
    let (_, answer) = ask(&scene, &key, &good("gzip"));
    assert_eq!(id(&answer), other, "{answer}");
    for restart in [false, true] {
        if restart {
            scene.kill_service();
            scene.serve();
        }
        for (id, package) in [(&own, "hello"), (&other, "gzip")] {
            let (status, text) = scene.get(&format!("/requests/{id}")).expect("a page");
            assert!(status == 200 && text.starts_with(package) && text.contains("no result as of"), "{status} {text}");
        }
    }
    assert_eq!(scene.get("/requests/some-other-id").expect("a page").0, 404);
    scene.site.ok(&["worker", "--drain"]);
    until("the page tells how it has ended", || {
        let (status, text) = scene.get(&format!("/requests/{own}")).expect("a page");
        status == 200 && text.contains("tests passed")
    });
    Ok(())
}
