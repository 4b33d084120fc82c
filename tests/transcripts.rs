//! The transcripts in the documents: each command is run in the situation that its chapter describes, and must print what
//! the document shows. Ids, times, durations and folders may differ.

mod pull_requests;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use libtest_mimic::Failed;
use nix::sys::signal::Signal;
use regex::Regex;
use testkit::site::{TestSite, until};
use testkit::{Services, Story, Trial, stories};

use crate::terminal::{answering, on_terminal, terminal};

/// Width of the terminals from which the documents' transcripts were copied.
const COLUMNS: usize = 112;

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("every_transcript_is_run", all_are_known),
        ("the_introduction", |_| first_test("README.md")),
        ("the_first_test", |_| first_test("docs/guides/first-test.md")),
        ("requesting", requesting),
        ("queues", queues),
        ("results", results),
        ("retrying", retrying),
        ("pull_requests", pull_requests::pull_requests),
        ("a_site_and_its_credentials", credentials),
        ("explaining_a_worker", explaining),
        ("controlling_a_worker", controlling),
        ("the_permissions_of_a_worker_are_enough", permissions),
    ];
    stories("transcripts", services, all)
}

/// The chapters whose transcripts are run here.
const RUN: [&str; 10] = [
    "README.md",
    "docs/guides/first-test.md",
    "docs/guides/pull-requests.md",
    "docs/guides/queues.md",
    "docs/guides/requesting.md",
    "docs/guides/results.md",
    "docs/guides/retrying.md",
    "docs/guides/site.md",
    "docs/guides/worker-host.md",
    "docs/reference/rabbitmq.md",
];

/// The chapter whose transcript needs a host with systemd; tests/hosts/ runs it.
const RUN_ON_HOSTS: &str = "docs/reference/systemd.md";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn all_are_known(_: &Services) -> Result<(), Failed> {
    let mut folders = vec![root().join("docs")];
    let mut files = vec![root().join("README.md")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    let mut with: Vec<String> = Vec::new();
    for file in files {
        if fs::read_to_string(&file)?.contains("```console") {
            with.push(file.strip_prefix(root())?.to_string_lossy().into_owned());
        }
    }
    with.sort();
    let mut known: Vec<&str> = RUN.into_iter().chain([RUN_ON_HOSTS]).collect();
    known.sort_unstable();
    assert_eq!(with, known);
    Ok(())
}

/// A command of a transcript with what it prints.
struct Step {
    command: String,
    output: String,
}

/// Returns the transcripts of a chapter, each as its commands. A block without a command continues the one before it.
fn transcripts(chapter: &str) -> Vec<Vec<Step>> {
    let text = fs::read_to_string(root().join(chapter)).expect("a chapter");
    let blocks = text.split("```console\n").skip(1).map(|rest| rest.split("```").next().expect("the end of a block"));
    let mut transcripts = Vec::new();
    for block in blocks {
        let mut steps: Vec<Step> = Vec::new();
        let mut continued = String::new();
        for line in block.lines() {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push(Step { command: command.to_owned(), output: String::new() }),
                (None, Some(step)) => step.output += &format!("{line}\n"),
                (None, None) => continued += &format!("{line}\n"),
            }
        }
        if !continued.is_empty() {
            steps.push(Step { command: String::new(), output: continued });
        }
        transcripts.push(steps);
    }
    assert!(!transcripts.is_empty(), "{chapter} has no transcript");
    transcripts
}

/// Returns the words of a transcript, with a placeholder for each that differs from run to run. White space does not
/// count, because columns and folded lines depend on what differs.
fn words(text: &str, site: &TestSite) -> String {
    let folder = site.path().canonicalize().expect("the site's folder");
    let home = folder.join("home");
    let mut text = text.replace(&*home.to_string_lossy(), "/srv/demo").replace(&*folder.to_string_lossy(), "/srv/demo");
    for (pattern, placeholder) in [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
        (r"\d{8}_\d{6}_[0-9a-f]{5}@", "RUN"),
        (r"\d{8}-\d{6}-\d+\.requests", "FILE"),
        (r"\b[0-9a-f]{8}\b", "ID"),
        (r"\b\d\d:\d\d:\d\d\b", "TIME"),
        (r"just now|\d+ (seconds?|minutes?) ago", "AGO"),
        (r"\b(\d+m )?\d+ ?s\b", "DURATION"),
        (r"\b\d+\.\d+ days\b", "DAYS"),
        (r"\s+", " "),
    ] {
        text = Regex::new(pattern).expect("a pattern").replace_all(&text, placeholder).into_owned();
    }
    text.trim().to_owned()
}

/// Runs the commands of a transcript, and compares what they print.
#[track_caller]
fn replay(site: &TestSite, steps: &[Step]) {
    for step in steps {
        let shown = run(site, &step.command);
        // A command without output in the document must only succeed.
        if !step.output.is_empty() {
            let (expected, printed) = (words(&step.output, site), words(&shown, site));
            assert_eq!(printed, expected, "$ {}\nprinted:\n{shown}", step.command);
        }
    }
}

fn run(site: &TestSite, command: &str) -> String {
    let arguments = arguments(command);
    let finished = on_terminal(site, COLUMNS, &[("NO_COLOR", "1"), ("PAGER", "cat")], &arguments);
    // With --wait, a failed test is an answer, too.
    let is_answer = finished.status.code() == Some(3) && command.ends_with("--wait");
    assert!(finished.status.success() || is_answer, "$ {command}\n{finished:#?}");
    finished.out
}

fn arguments(command: &str) -> Vec<&str> {
    let mut words = command.split_whitespace();
    assert_eq!(words.next(), Some("apt-ci"), "{command}");
    words.collect()
}

/// Has the stub say that it tested this version.
fn version(site: &TestSite, version: &str) {
    fs::write(site.path().join("checkout/runner/version"), version).expect("a file");
}

fn first_test(chapter: &str) -> Result<(), Failed> {
    let site = TestSite::local().of_release("bookworm");
    version(&site, "1.12-1");
    for transcript in transcripts(chapter) {
        replay(&site, &transcript);
    }
    Ok(())
}

fn requesting(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local().of_release("noble");
    let [simple, batch, duplicate, waiting, finished, key] =
        transcripts("docs/guides/requesting.md").try_into().ok().expect("the transcripts of the chapter");
    replay(&site, &simple);
    // A shell gives the batch to the program.
    let (echo, pipe) = batch[0].command.split_once(" | ").expect("a pipe");
    let line = echo.trim_start_matches("echo '").trim_end_matches('\'');
    assert_eq!(arguments(pipe), ["run", "--batch", "-"]);
    assert_eq!(site.submit(&format!("{line}\n")).len(), 1);
    site.ok(&["run", "-s", "noble", "--trigger", "glibc/2.39-2", "gzip"]);
    replay(&site, &duplicate);
    site.ok(&["queues", "purge", &site.queue_name(), "--yes"]);
    // The lines that change while the tests run have their own stories; here the tests run, and the table is printed.
    let mut worker = site.start(&["worker", "--slots", "2"]);
    let shown = run(&site, &waiting[0].command);
    let table = shown.find("OUTCOME").map(|begin| &shown[begin..]).expect("the table at the end");
    assert_eq!(words(table, &site), words(&finished[0].output, &site));
    worker.signal(nix::sys::signal::Signal::SIGTERM);
    worker.wait();
    // Keys over the web have their own stories; what is shown once is a digest's text.
    assert!(key[0].command.starts_with("apt-ci credentials set api-key"));
    Ok(())
}

fn queues(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local().of_release("noble");
    let [supersede, running] =
        transcripts("docs/guides/queues.md").try_into().ok().expect("the transcripts of the chapter");
    for (trigger, package) in [("glibc/2.39-1", "gzip"), ("glibc/2.39-2", "gzip"), ("perl/5.38-1", "tar")] {
        site.ok(&["run", "-s", "noble", "--trigger", trigger, package]);
    }
    let [list, remove] = &supersede[..] else { panic!("two commands") };
    let lengths = run(&site, &list.command);
    // How old the oldest request is depends on the time in between.
    assert_eq!(words(&lengths, &site), words(&list.output, &site));
    let (shown, status) = answering(&site, "Remove 1 request?", "y\n", &arguments(&remove.command));
    assert_eq!(status, Some(0), "{shown}");
    let (before, _) = shown.split_once("Remove 1 request?").expect("the question");
    let (_, after) = shown.rsplit_once("yes").expect("the answer");
    let again = format!("{before}Remove 1 request? yes{after}");
    let plain = Regex::new("\u{1b}\\[[0-9;?]*[a-zA-Z]").expect("a pattern").replace_all(&again, "").into_owned();
    assert_eq!(words(&plain, &site), words(&remove.output, &site), "{shown:?}");
    site.ok(&["queues", "purge", &site.queue_name(), "--yes"]);

    let site = TestSite::local().of_release("bookworm");
    let held = site.path().join("held");
    let wait = format!("STUB_WAIT={}", held.display());
    for package in ["glibc", "systemd"] {
        site.request(package, &[&wait, "STUB_LINES=8"]);
    }
    let mut worker = site.start(&["worker", "--slots", "2"]);
    until("both tests run", || {
        let running = site.ok(&["running"]);
        running.matches("line 8").count() == 2
    });
    let [list, cancel, follow] = &running[..] else { panic!("three commands") };
    // Which of them is asked first is not known.
    let mut shown: Vec<String> = run(&site, &list.command).lines().map(|line| words(line, &site)).collect();
    shown.sort();
    let host = fs::read_to_string("/proc/sys/kernel/hostname")?.trim().to_owned();
    let mut expected: Vec<String> =
        list.output.replace("host1", &host).lines().map(|line| words(line, &site)).collect();
    expected.sort();
    assert_eq!(shown, expected);
    let id = site.json(&["running"])["systemd"].to_string();
    let id = Regex::new("[0-9a-f]{8}-[0-9a-f-]{27}").expect("a pattern").find(&id).expect("its id").as_str().to_owned();
    let cancelled = run(&site, &format!("apt-ci cancel {}", &id[..8]));
    assert_eq!(words(&cancelled, &site), words(&cancel.output, &site));
    // The test ends once its log is followed.
    let mut following = terminal(&site, COLUMNS, &[("NO_COLOR", "1")], &arguments(&follow.command));
    let mut following = following.stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(following.stdout.take().expect("its output")).lines();
    let mut followed = String::new();
    while let Some(line) = lines.next().transpose()? {
        if line.contains("line 8") {
            fs::write(&held, "")?;
        }
        followed += &format!("{line}\n");
    }
    assert!(following.wait()?.success(), "{followed}");
    assert_eq!(words(&followed, &site), words(&follow.output, &site));
    worker.signal(nix::sys::signal::Signal::SIGTERM);
    worker.wait();
    Ok(())
}

fn results(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local().of_release("noble");
    let [far, read, remove] =
        transcripts("docs/guides/results.md").try_into().ok().expect("the transcripts of the chapter");
    let run_with = |trigger: &str, variables: &[&str]| {
        let mut arguments = vec!["run", "-s", "noble", "--trigger", trigger, "xz-utils"];
        for variable in variables {
            arguments.extend(["--env", variable]);
        }
        site.ok(&arguments);
        site.ok(&["worker", "--drain", "-q"]);
    };
    run_with("glibc/2.38-4", &["STUB_TESTS=upstream", "STUB_PACKAGES=libc6=2.38-4"]);
    let failing = ["STUB_TESTS=bad-upstream", "STUB_PACKAGES=libc6=2.39-1", "STUB_EXIT=4"];
    run_with("glibc/2.39-1", &failing);
    run_with("glibc/2.39-1", &["STUB_EXIT=16"]);
    run_with("glibc/2.39-1", &failing);
    replay(&site, &read);
    // The same options, of a store that is here.
    assert!(far[0].command.contains("--store swift:https://HOST/v1/AUTH_x"));
    site.ok(&["results", "gzip", "-s", "noble", "--store", "folder:results"]);
    let [expire, drop] = &remove[..] else { panic!("two commands") };
    site.ok(&[&arguments(&expire.command)[..], &["--dry-run"]].concat());
    assert_eq!(arguments(&drop.command), ["results", "drop-release", "xenial"]);
    Ok(())
}

fn retrying(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local().of_release("noble");
    let [retry, regressions] =
        transcripts("docs/guides/retrying.md").try_into().ok().expect("the transcripts of the chapter");
    site.ok(&["run", "-s", "noble", "--trigger", "perl/5.38-1", "--env", "STUB_EXIT=4", "tar"]);
    site.ok(&["run", "-s", "noble", "--trigger", "glibc/2.39-1", "--env", "STUB_FAILURES=3", "gzip"]);
    site.ok(&["worker", "--drain", "-q"]);
    let mut worker = site.start(&["worker"]);
    let shown = run(&site, &retry[0].command);
    let table = shown.find("OUTCOME").map(|begin| &shown[begin..]).expect("the table at the end");
    assert_eq!(words(table, &site), words(&retry[0].output, &site));
    worker.signal(nix::sys::signal::Signal::SIGTERM);
    worker.wait();
    let excuse = |source: &str, new: &str, age: &str, package: &str, version: &str| {
        format!(
            "- source: {source}\n  new-version: {new}\n  old-version: '1'\n  policy_info:\n    age: {{current-age: {age}}}\n    \
             autopkgtest:\n      {package}/{version}:\n        amd64: [REGRESSION, https://ci.example.org/log.gz, null, null, null]\n"
        )
    };
    let excuses = format!(
        "sources:\n{}{}",
        excuse("glibc", "2.39-1", "3.4", "gzip", "1.12-1"),
        excuse("perl", "5.38-1", "12.9", "tar", "1.35-3")
    );
    fs::write(site.path().join("excuses.yaml"), excuses)?;
    site.configure_further("\n[excuses]\nnoble = \"excuses.yaml\"\n");
    replay(&site, &regressions);
    Ok(())
}

/// Makes the key that a chapter names, with this comment.
fn key(file: &Path, comment: &str) {
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    let mut make = Command::new("ssh-keygen");
    make.args(["-q", "-N", "", "-t", "ed25519", "-C", comment, "-f"]).arg(file);
    assert!(make.status().expect("ssh-keygen").success());
}

fn credentials(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let root = site.ok(&["init", "site"]).trim().to_owned();
    let home = site.path().join("home");
    key(&home.join(".ssh/id_ed25519"), "ann@example");
    key(&site.path().join("ssh_host_ed25519_key"), "root@host1");
    fs::write(
        format!("{root}/apt-ci.toml"),
        "queue = \"amqps://worker@mq.example.org/ci\"\nstore = \"folder:results\"\n",
    )?;
    let steering = Regex::new("\u{1b}\\[[0-9;?]*[a-zA-Z]").expect("a pattern");
    let [steps] = transcripts("docs/guides/site.md").try_into().ok().expect("the transcript of the chapter");
    for step in &steps {
        // A shell would replace the home and take off the quotes.
        let command = step.command.replace('~', &home.to_string_lossy());
        let (command, note) = match command.split_once(" --note ") {
            Some((command, note)) => (command.to_owned(), Some(note.trim_matches('\'').to_owned())),
            None => (command, None),
        };
        let mut arguments = vec!["--site", &root];
        arguments.extend(self::arguments(&command));
        arguments.extend(note.as_deref().into_iter().flat_map(|note| ["--note", note]));
        let shown = match step.output.split_once(": [hidden]") {
            Some((prompt, _)) => {
                let (shown, status) = answering(&site, prompt, "hunter2\n", &arguments);
                assert_eq!(status, Some(0), "{shown}");
                steering.replace_all(&shown, "").into_owned()
            }
            None => {
                let finished = on_terminal(&site, COLUMNS, &[("NO_COLOR", "1")], &arguments);
                assert!(finished.status.success(), "$ {command}\n{finished:#?}");
                finished.out
            }
        };
        let (printed, expected) = (words(&shown, &site), words(&step.output, &site));
        assert!(printed.ends_with(&expected), "$ {command}\nprinted:\n{shown}\nexpected:\n{}", step.output);
    }
    Ok(())
}

fn explaining(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local().of_release("bookworm");
    let chapter = fs::read_to_string(root().join("docs/guides/worker-host.md"))?;
    let conf = chapter.split("```ini\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a worker.conf");
    site.worker_conf(conf);
    fs::create_dir(site.path().join("per-package"))?;
    fs::write(site.path().join("per-package/long_tests"), "# slow\nlinux\n")?;
    let [explain, ..] = &transcripts("docs/guides/worker-host.md")[..] else { panic!("transcripts") };
    let shown = run(&site, &explain[0].command);
    let folder = site.path().canonicalize()?;
    // Where the program, its work and its files are depends on the host.
    let plain = |text: &str| {
        let text = text.replace(&format!("{}/", folder.display()), "").replace("/var/lib/apt-ci/", "home/");
        words(&text, &site).replace([' ', '-'], "")
    };
    assert_eq!(plain(&shown), plain(&explain[0].output), "{shown}");
    Ok(())
}

fn controlling(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local().of_release("bookworm");
    let [_, busy, _, steps] =
        transcripts("docs/guides/worker-host.md").try_into().ok().expect("the transcripts of the chapter");
    let [status, cancel, faulty, reload, stop] = &steps[..] else { panic!("five commands") };
    let gate = site.path().join("gate");
    let conf = |own: &str, virt: &str| {
        let checkout = site.path().join("checkout");
        let text =
            format!("[autopkgtest]\ncheckout_dir = {}\n{own}\n\n[virt]\nargs = null\n{virt}\n", checkout.display());
        site.worker_conf(&text);
    };
    conf("", "");
    let mut worker = site.start(&["worker", "--slots", "4"]);
    let env = format!("STUB_WAIT={}", gate.display());
    let ids: Vec<String> = ["systemd", "glibc", "secret"]
        .into_iter()
        .map(|package| {
            let private: &[&str] = if package == "secret" { &["--swiftuser", "ann"] } else { &[] };
            let run = ["run", "-s", "bookworm", "--trigger", "a/1", "--env", &env, package];
            site.ok(&[&run[..], private].concat()).trim_end().rsplit('\t').next().expect("an id").to_owned()
        })
        .collect();
    // Which slot takes which request is not known.
    let slot = Regex::new(r"^(\d+) +\d").expect("a pattern");
    let own = format!("{}", worker.id());
    let rows = |text: &str| {
        // The last column is as wide as the process id lets it be.
        let cut = |line: &str| line.split_once(": starting").map_or(line, |(before, _)| before).to_owned();
        let line = |line: &str| slot.replace(&cut(&words(line, &site).replace(&own, "2344")), "2344 N").into_owned();
        let mut rows: Vec<String> = text.lines().map(line).collect();
        rows.sort();
        rows
    };
    until("all run, and have said so", || {
        let shown = run(&site, &status.command);
        shown.matches("testing").count() == 3 && shown.matches("[stub]").count() == 2
    });
    assert_eq!(rows(&run(&site, &status.command)), rows(&status.output));
    // Eight slots under load differ from run to run; their table has the same columns.
    let headings = |step: &Step| words(step.output.lines().next().expect("headings"), &site);
    assert_eq!(headings(&busy[0]), headings(status));
    let cancelled = run(&site, &format!("apt-ci worker cancel {}", &ids[1][..8]));
    let said = |text: &str| words(text, &site).replace(&own, "2344");
    assert_eq!(said(&cancelled), said(&cancel.output));
    until("it has ended", || run(&site, &status.command).matches("testing").count() == 2);
    conf("", "retry_delai = 5");
    let refused = on_terminal(&site, COLUMNS, &[("NO_COLOR", "1")], &arguments(&faulty.command));
    assert_eq!(said(&refused.out), said(&faulty.output.replace("/srv/ci", "/srv/demo")), "{refused:#?}");
    conf("retry_delay = 5", "");
    assert_eq!(said(&run(&site, &reload.command)), said(&reload.output));
    let (stopping, afterwards) = stop.command.split_once("; ").expect("two commands");
    let mut shown = run(&site, stopping);
    until("idle slots have ended", || run(&site, afterwards).matches("ended").count() == 2);
    shown += &run(&site, afterwards);
    assert_eq!(rows(&shown), rows(&stop.output));
    fs::write(gate, "")?;
    assert_eq!(worker.wait().status.code(), Some(10));
    Ok(())
}

fn permissions(services: &Services) -> Result<(), Failed> {
    let site = services.site_with_folder();
    site.request("gzip", &[]);
    site.request("flaky", &["STUB_EXIT=16"]);
    let rabbitmq = services.rabbitmq();
    let name = format!("worker-{}", site.release);
    let url = rabbitmq.outsider(&name);
    let (_, vhost) = url.rsplit_once('/').expect("a virtual host");
    let chapter = fs::read_to_string(root().join("docs/reference/rabbitmq.md"))?;
    let command = chapter.lines().find_map(|line| line.strip_prefix("# ")?.split_once("-p ci worker "));
    let (program, patterns) = command.expect("a command");
    rabbitmq.obey(&format!("{program}-p {vhost} {name} {patterns}"));
    let mut worker = site.start(&["worker", "--queue", &url]);
    until("both have results, one after three attempts", || site.count_results() == 2);
    worker.signal(Signal::SIGTERM);
    let ended = worker.wait();
    assert!(ended.status.success(), "{ended:#?}");
    assert!(!ended.err.contains("permission"), "{}", ended.err);
    Ok(())
}
