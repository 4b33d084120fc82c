use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;

/// Answer of a server to a path; `None` for "not found".
type Answer = dyn Fn(&str) -> Option<Reply> + Send + Sync;

enum Reply {
    Body(Vec<u8>),
    Redirect(String),
    /// Bytes without end.
    Endless,
    /// No answer at all.
    Silence,
}

/// Serves http on a free port as long as the test's process lives. Returns its address.
fn serve(answer: impl Fn(&str) -> Option<Reply> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answer: Arc<Answer> = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            // The client may disconnect.
            std::thread::spawn(move || drop(reply(stream, &*answer)));
        }
    });
    address
}

fn reply(stream: TcpStream, answer: &Answer) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or(Ok(String::new()))?;
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let mut stream = stream;
    let path = first.split(' ').nth(1).unwrap_or_default();
    let status = |code: &str, more: &str, length: usize| {
        format!("HTTP/1.1 {code}\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n")
    };
    match answer(path) {
        None => stream.write_all(status("404 Not Found", "", 0).as_bytes()),
        Some(Reply::Body(body)) => {
            stream.write_all(status("200 OK", "", body.len()).as_bytes())?;
            stream.write_all(&body)
        }
        Some(Reply::Redirect(to)) => {
            stream.write_all(status("302 Found", &format!("Location: {to}\r\n"), 0).as_bytes())
        }
        Some(Reply::Endless) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[0x5a; 1 << 16])?;
            }
        }
        Some(Reply::Silence) => stream.read_to_end(&mut Vec::new()).map(|_| ()),
    }
}

/// A repository on a server: branch `main` with a package, branch `other`, and a pull request.
struct Repository {
    folder: TempDir,
}

impl Repository {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = "git init -q -b main work && cd work
            mkdir debian && echo control > debian/control && echo files > debian/files && git add . && git commit -qm one
            git checkout -qb other && echo other > which && git add . && git commit -qm two
            git checkout -q main && echo pull > which && git add . && git commit -qm three
            git update-ref refs/pull/7/head HEAD && git reset -q --hard HEAD^
            cd .. && git clone -q --mirror work bare.git && git -C bare.git repack -qad && git -C bare.git update-server-info";
        let identity = ["AUTHOR", "COMMITTER"]
            .iter()
            .flat_map(|who| [(format!("GIT_{who}_NAME"), "x"), (format!("GIT_{who}_EMAIL"), "x@x")]);
        let status = Command::new("sh")
            .args(["-ec", script])
            .current_dir(folder.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .envs(identity)
            .status()
            .unwrap();
        assert!(status.success());
        Self { folder }
    }

    /// Returns the answers of a server that only knows files.
    fn file(&self) -> impl Fn(&str) -> Option<Reply> + Send + Sync + use<> {
        let bare = self.folder.path().join("bare.git");
        move |path| {
            let name = path.split('?').next()?.strip_prefix("/x.git/")?;
            fs::read(bare.join(name)).ok().map(Reply::Body)
        }
    }
}

fn environment() -> Environment {
    let path = std::env::var("PATH").unwrap();
    [("PATH", path.as_str()), ("SECRET", "hunter2")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into_iter()
        .collect()
}

fn of_git(address: &str, work: &TempDir) -> Checkout {
    let (source, folder) = (TestSource::BuildGit(address.parse().unwrap()), work.path().join("checkout"));
    Checkout { source, folder, from_web: false }
}

/// Returns a border without exemptions, which cannot resolve any name.
fn nothing_is_allowed() -> Border {
    Border::with_resolver([], Arc::new(|_: &str, _: u16| Err(io::Error::other("nobody asks this"))))
}

async fn fetch(address: &str, work: &TempDir, limits: &CheckoutLimits) -> Result<PathBuf, String> {
    let checkout = of_git(address, work);
    checkout.fetch(&environment(), limits, &nothing_is_allowed()).await.map_err(|error| error.to_string())?;
    Ok(checkout.folder)
}

#[tokio::test]
async fn any_reference_of_a_repository_can_be_fetched() {
    let repository = Repository::new();
    let address = serve(repository.file());
    let work = tempfile::tempdir().unwrap();
    let limits = CheckoutLimits::default();
    for (reference, content) in
        [("", None), ("#main", None), ("#other", Some("other\n")), ("#refs/pull/7/head", Some("pull\n"))]
    {
        // Each is fetched over what the one before has left.
        let folder = fetch(&format!("{address}/x.git{reference}"), &work, &limits).await.unwrap();
        assert_eq!(fs::read_to_string(folder.join("debian/control")).unwrap(), "control\n");
        assert_eq!(fs::read_to_string(folder.join("which")).ok().as_deref(), content, "{reference}");
        assert!(!folder.join("debian/files").exists(), "else autopkgtest would not build it");
    }
    let names = fs::read_dir(work.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    assert_eq!(names, ["checkout", "checkout.log"]);
}

#[tokio::test]
async fn what_is_not_there_is_said_in_gits_words() {
    let repository = Repository::new();
    let address = serve(repository.file());
    let work = tempfile::tempdir().unwrap();
    let error = fetch(&format!("{address}/x.git#nothing"), &work, &CheckoutLimits::default()).await.unwrap_err();
    assert!(error.contains("x.git#nothing cannot be fetched") && error.contains("remote ref nothing"), "{error}");
    assert!(!work.path().join("checkout").exists());
    let error = fetch(&format!("{address}/y.git"), &work, &CheckoutLimits::default()).await.unwrap_err();
    assert!(error.contains("not found") && !error.contains(char::is_control), "{error}");
}

#[tokio::test]
async fn a_redirect_leads_to_no_other_protocol() {
    let repository = Repository::new();
    let bare = repository.folder.path().join("bare.git").display().to_string();
    let work = tempfile::tempdir().unwrap();
    let touched = work.path().join("touched");
    for target in [
        format!("file://{bare}/info/refs?service=git-upload-pack"),
        format!("ext::sh -c touch% {}", touched.display()),
        format!("ssh://localhost{bare}/info/refs?service=git-upload-pack"),
        "ftp://127.0.0.1:1/info/refs?service=git-upload-pack".to_owned(),
    ] {
        let to = target.clone();
        let address = serve(move |_| Some(Reply::Redirect(to.clone())));
        let error = fetch(&format!("{address}/x.git"), &work, &CheckoutLimits::default()).await.unwrap_err();
        assert!(error.contains("cannot be fetched"), "{target}: {error}");
        assert!(!work.path().join("checkout").exists() && !touched.exists(), "{target}");
    }
    // Another http server may be named.
    let real = serve(repository.file());
    let address = serve(move |path| Some(Reply::Redirect(format!("{real}{path}"))));
    fetch(&format!("{address}/x.git"), &work, &CheckoutLimits::default()).await.unwrap();
}

#[tokio::test]
async fn other_protocols_are_refused_by_git_itself() {
    let repository = Repository::new();
    let work = tempfile::tempdir().unwrap();
    let folder = work.path().join("checkout");
    let touched = work.path().join("touched");
    // Requests cannot contain such an address; git is restricted as well.
    let wanted = TestSource::TestGit("http://host/x".parse().unwrap());
    let fetch = Fetch::new(&wanted, &folder, work.path(), &environment(), None).unwrap();
    let bare = repository.folder.path().join("bare.git");
    for address in [format!("ext::sh -c touch% {}", touched.display()), format!("file://{}", bare.display())] {
        let command = &fetch.commands[0];
        let args = command.args.iter().map(|arg| if arg == "http://host/x" { &address } else { arg });
        let variables = fetch.variables.iter().map(|(name, value)| (name, value));
        let output = Command::new(&command.program).args(args).env_clear().envs(variables).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("not allowed"), "{said}");
    }
    assert!(!folder.exists() && !touched.exists());
}

#[tokio::test]
async fn a_server_without_end_meets_the_limits() {
    let repository = Repository::new();
    let file = repository.file();
    let endless = serve(move |path| if path.ends_with(".pack") { Some(Reply::Endless) } else { file(path) });
    let work = tempfile::tempdir().unwrap();
    let limits = CheckoutLimits { bytes: 1 << 20, ..CheckoutLimits::default() };
    let error = fetch(&format!("{endless}/x.git"), &work, &limits).await.unwrap_err();
    assert!(error.ends_with("it is larger than 1 MiB"), "{error}");
    assert!(!work.path().join("checkout").exists());
    let silent = serve(|_| Some(Reply::Silence));
    let limits = CheckoutLimits { time: Duration::from_millis(300), ..CheckoutLimits::default() };
    let error = fetch(&format!("{silent}/x.git"), &work, &limits).await.unwrap_err();
    assert!(error.contains("it takes longer than"), "{error}");
}

/// Creates a fake Breezy or git.
fn stand_in(name: &str, script: &str) -> (TempDir, Environment) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join(name);
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let environment = [("PATH", path.as_str()), ("OS_PASSWORD", "hunter2"), ("https_proxy", "http://proxy:1")];
    (folder, environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect())
}

#[tokio::test]
async fn a_dropped_checkout_leaves_nothing_running() {
    let (_programs, environment) = stand_in("git", "sleep 600 & echo $! > \"$HOME/../helper\"; wait");
    let work = tempfile::tempdir().unwrap();
    let checkout = of_git("http://127.0.0.1:1/x.git", &work);
    let helper = work.path().join("helper");
    let limits = CheckoutLimits::default();
    let border = nothing_is_allowed();
    let started = async {
        while !fs::read_to_string(&helper).is_ok_and(|text| text.ends_with('\n')) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        fetched = checkout.fetch(&environment, &limits, &border) => panic!("{fetched:?}"),
        () = started => {}
    }
    let id = fs::read_to_string(&helper).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let is_alive = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    };
    while is_alive() {
        assert!(Instant::now() < deadline, "the helper still runs");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Fetches a tree that a script makes at `$tree`, next to a folder of this machine that has its `files` and `control`.
async fn fetched(script: &str) -> (Result<(), TestbedError>, TempDir, TempDir) {
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("files"), "").unwrap();
    fs::write(elsewhere.path().join("control"), "Tests: private").unwrap();
    let script = script.replace("ELSEWHERE", &elsewhere.path().display().to_string());
    let (_programs, environment) = stand_in("git", &format!("for tree; do :; done; {script}"));
    let work = tempfile::tempdir().unwrap();
    let checkout = of_git("http://127.0.0.1:1/x.git", &work);
    let fetched = checkout.fetch(&environment, &CheckoutLimits::default(), &nothing_is_allowed()).await;
    assert!(elsewhere.path().join("files").exists(), "{script}");
    (fetched, work, elsewhere)
}

#[tokio::test]
async fn no_link_of_a_branch_leads_to_files_of_this_machine() {
    for (script, name) in [
        ("ln -s ELSEWHERE \"$tree\"", "it is no folder"),
        ("mkdir \"$tree\" && ln -s ELSEWHERE \"$tree/debian\"", "leads debian out"),
        ("mkdir -p \"$tree/debian\" && ln -s ELSEWHERE/control \"$tree/debian/control\"", "leads debian/control out"),
        ("mkdir -p \"$tree/debian\" && ln -s ELSEWHERE/control \"$tree/debian/changelog\"", "debian/changelog out"),
        ("mkdir -p \"$tree/debian\" && ln -s ELSEWHERE \"$tree/debian/tests\"", "leads debian/tests out"),
        (
            "mkdir -p \"$tree/debian/tests\" && ln -s ../../../../.. \"$tree/up\" && ln -s ../../up/etc/passwd \"$tree/debian/tests/control\"",
            "debian/tests/control out",
        ),
        ("mkdir -p \"$tree/debian\" && ln -s control \"$tree/debian/control\"", "debian/control lead nowhere"),
    ] {
        let (fetched, work, _) = fetched(script).await;
        let error = fetched.unwrap_err();
        assert!(error.is_requests_fault() && error.to_string().contains(name), "{script}: {error}");
        assert!(!work.path().join("checkout").exists(), "nothing of it is left");
    }
    // Links may lead to other files of the tree.
    let inside = "mkdir -p \"$tree/dist/tests\" && ln -s dist \"$tree/debian\" && echo > \"$tree/dist/tests/all\" && \
        ln -s all \"$tree/dist/tests/control\" && ln -s missing \"$tree/dist/changelog\"";
    fetched(inside).await.0.unwrap();
}

#[tokio::test]
async fn a_tree_never_counts_as_built() {
    let link = "mkdir -p \"$tree/debian\" && ln -s ELSEWHERE/files \"$tree/debian/files\"";
    for script in
        [link, "mkdir -p \"$tree/debian\" && echo > \"$tree/debian/files\"", "echo > \"$tree.x\" && mkdir \"$tree\""]
    {
        let (fetched, work, _) = fetched(script).await;
        fetched.unwrap();
        let files = work.path().join("checkout/debian/files");
        assert!(!files.exists() && !files.is_symlink(), "{script}");
    }
    for script in [
        "mkdir -p \"$tree/debian/files/folder\"",
        "mkdir -p \"$tree/dist\" && echo > \"$tree/dist/files\" && ln -s dist \"$tree/debian\"",
    ] {
        let error = fetched(script).await.0.unwrap_err();
        assert!(
            error.is_requests_fault() && error.to_string().contains("debian/files is a folder"),
            "{script}: {error}"
        );
    }
}

#[tokio::test]
async fn a_bazaar_branch_is_exported_by_the_program_that_is_there() {
    for name in ["brz", "bzr"] {
        let (_programs, environment) = stand_in(name, "mkdir \"$4\" && echo \"$@\" > \"$4/args\" && env > \"$4/env\"");
        let work = tempfile::tempdir().unwrap();
        let folder = work.path().join("checkout");
        let source = TestSource::TestBzr("lp:gzip".parse().unwrap());
        let checkout = Checkout { source, folder: folder.clone(), from_web: false };
        checkout.fetch(&environment, &CheckoutLimits::default(), &nothing_is_allowed()).await.unwrap();
        let args = fs::read_to_string(folder.join("args")).unwrap();
        assert_eq!(args, format!("export --format=dir -- {} lp:gzip\n", folder.display()));
        let variables = fs::read_to_string(folder.join("env")).unwrap();
        assert!(!variables.contains("hunter2") && variables.contains("https_proxy=http://proxy:1"), "{variables}");
        assert!(variables.contains(&format!("HOME={}.home", folder.display())), "{variables}");
    }
    let work = tempfile::tempdir().unwrap();
    let source = TestSource::TestBzr("lp:gzip".parse().unwrap());
    let checkout = Checkout { source, folder: work.path().join("checkout"), from_web: false };
    let nowhere = [("PATH".to_owned(), "/nowhere".to_owned())].into_iter().collect();
    let error =
        checkout.fetch(&nowhere, &CheckoutLimits::default(), &nothing_is_allowed()).await.unwrap_err().to_string();
    assert_eq!(error, "lp:gzip cannot be fetched: neither brz nor bzr is installed: apt install brz");
}

/// Counts the connections to an address of this machine.
fn count(address: &str) -> (u16, Arc<std::sync::atomic::AtomicUsize>) {
    let listener = TcpListener::bind(address).unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            drop(reply(stream, &|_| None));
        }
    });
    (port, asked)
}

#[tokio::test]
async fn a_request_over_the_web_reaches_no_server_of_this_machine() {
    let (port, asked) = count("127.0.0.1:0");
    let work = tempfile::tempdir().unwrap();
    let limits = CheckoutLimits::default();
    let border = Border::with_resolver([], Arc::new(|_: &str, _: u16| Ok(vec!["127.0.0.1".parse().unwrap()])));
    for host in ["127.0.0.1", "2130706433", "localhost", "name.example"] {
        let checkout = Checkout { from_web: true, ..of_git(&format!("http://{host}:{port}/x.git"), &work) };
        let fetched = checkout.fetch(&environment(), &limits, &border).await;
        assert!(matches!(fetched, Err(TestbedError::Forbidden { .. })), "{host}: {fetched:?}");
    }
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 0);
    // An exempt server is contacted, but leads to no other one.
    let other = serve(move |_| Some(Reply::Redirect(format!("http://127.0.0.1:{port}/x.git/info/refs"))));
    let exempt: AllowedHost = other.strip_prefix("http://").unwrap().parse().unwrap();
    let border = Border::new([exempt]);
    let checkout = Checkout { from_web: true, ..of_git(&format!("{other}/x.git"), &work) };
    let fetched = checkout.fetch(&environment(), &limits, &border).await;
    assert!(matches!(fetched, Err(TestbedError::Checkout { .. })), "{fetched:?}");
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 0, "no redirect is followed");
}

#[tokio::test]
async fn git_is_held_to_the_address_that_was_checked() {
    // Its name resolves to 127.0.0.1 for other programs.
    let (port, elsewhere) = count("127.0.0.1:0");
    let (_, held) = count(&format!("127.0.0.2:{port}"));
    let url = format!("http://localhost:{port}/x.git");
    let route = Route { url: url.clone(), held_to: Some(format!("localhost:{port}:127.0.0.2")) };
    let work = tempfile::tempdir().unwrap();
    let checkout = Checkout { from_web: true, ..of_git(&format!("{url}#main"), &work) };
    let fetched = checkout.fetch_all(&environment(), &CheckoutLimits::default(), Some(&route)).await;
    assert!(fetched.is_err(), "there is no repository");
    let count = |asked: &std::sync::atomic::AtomicUsize| asked.load(std::sync::atomic::Ordering::SeqCst);
    assert!(count(&held) > 0 && count(&elsewhere) == 0, "{} {}", count(&held), count(&elsewhere));
}

#[tokio::test]
async fn a_name_that_answers_something_else_the_second_time_is_asked_once() {
    let script = "case \"$*\" in --version) echo git version 2.39.5; exit;; esac
        echo \"$*\" >> \"$HOME/../asked\"; env >> \"$HOME/../asked\"; for tree; do :; done; mkdir -p \"$tree\"";
    let (_programs, programs) = stand_in("git", script);
    let path = programs.get("PATH").unwrap().to_owned();
    let environment: Environment = [("PATH".to_owned(), path)].into_iter().collect();
    let turn = std::sync::atomic::AtomicUsize::new(0);
    let resolver = move |_: &str, _: u16| {
        let first = turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        Ok(vec![if first { "93.184.216.34" } else { "127.0.0.1" }.parse().unwrap()])
    };
    let border = Border::with_resolver([], Arc::new(resolver));
    let work = tempfile::tempdir().unwrap();
    let checkout = Checkout { from_web: true, ..of_git("https://rebind.example/x.git", &work) };
    checkout.fetch(&environment, &CheckoutLimits::default(), &border).await.unwrap();
    let asked = fs::read_to_string(work.path().join("asked")).unwrap();
    for part in [
        "-c http.curloptResolve=rebind.example:443:93.184.216.34 ",
        "-c http.followRedirects=false",
        "-c protocol.git.allow=never",
        "GIT_ALLOW_PROTOCOL=http:https",
    ] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    assert!(!asked.contains("127.0.0.1"), "{asked}");
    let again = checkout.fetch(&environment, &CheckoutLimits::default(), &border).await;
    assert!(matches!(again, Err(TestbedError::Forbidden { .. })), "{again:?}");
}
