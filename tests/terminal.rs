//! What a person sees: the program on a pseudo terminal of a known width.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use libtest_mimic::Failed;
use testkit::site::{Finished, TestSite, finish, until};
use testkit::{Services, Story, Trial, stories};

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("a_table_fits_the_terminal", table_fits),
        ("tables_fit_80_columns", tables_fit),
        ("a_confirmation_shows_all_that_it_asks_about", confirmation),
        ("what_was_typed_before_a_question_is_no_answer", typed_ahead),
        ("a_person_can_follow_a_worker", worker_log),
        ("a_log_goes_through_the_pager", pager),
        ("help_is_short_and_shows_how", help),
    ];
    stories("terminal", services, all)
}

/// Runs the program with its output on a terminal that is so many columns wide.
pub fn on_terminal(site: &TestSite, columns: usize, variables: &[(&str, &str)], arguments: &[&str]) -> Finished {
    finish(terminal(site, columns, variables, arguments))
}

/// Runs a command on a terminal, on which somebody types once this text has appeared. Gives all that was shown, and the exit code.
pub fn answering(site: &TestSite, prompt: &str, typed: &str, arguments: &[&str]) -> (String, Option<i32>) {
    answering_all(site, &[(prompt, typed)], arguments)
}

/// The same with several questions in this order.
pub fn answering_all(site: &TestSite, answers: &[(&str, &str)], arguments: &[&str]) -> (String, Option<i32>) {
    answer(site, terminal(site, 100, &[("NO_COLOR", "1")], arguments), None, answers)
}

/// The same with the command that runs the program, and with what is typed before it begins.
fn answer(site: &TestSite, script: Command, ahead: Option<&str>, answers: &[(&str, &str)]) -> (String, Option<i32>) {
    let mut command = Command::new("timeout");
    command.arg("240").arg(script.get_program()).args(script.get_args()).env_clear().current_dir(site.path());
    command.envs(script.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a terminal");
    let (mut input, mut output) = (child.stdin.take().expect("its input"), child.stdout.take().expect("its output"));
    input.write_all(ahead.unwrap_or_default().as_bytes()).and_then(|()| input.flush()).expect("it listens");
    let (mut shown, mut piece) = (String::new(), [0; 1024]);
    let (mut answers, mut answered) = (answers.iter(), 0);
    let mut next = answers.next();
    loop {
        let length = output.read(&mut piece).expect("what it shows");
        if length == 0 {
            break;
        }
        shown.push_str(&String::from_utf8_lossy(&piece[..length]));
        // The terminal shows what is typed, once it has it.
        if ahead.is_some_and(|ahead| shown.contains(ahead.trim_end())) {
            fs::write(site.path().join(GATE), "").expect("a file");
        }
        if let Some((prompt, typed)) = next
            && shown[answered..].contains(prompt)
        {
            // What is typed before the terminal is told not to show it is lost.
            until("nothing that is typed is shown", || is_silent(child.id()));
            input.write_all(typed.as_bytes()).and_then(|()| input.flush()).expect("it listens");
            answered = shown.len();
            next = answers.next();
        }
    }
    (shown, child.wait().expect("its end").code())
}

/// Whether the terminal of the innermost process of this family shows nothing that is typed.
fn is_silent(process: u32) -> bool {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    let children: Vec<u32> = children.split_whitespace().filter_map(|id| id.parse().ok()).collect();
    if !children.is_empty() {
        return children.into_iter().any(is_silent);
    }
    let Ok(terminal) = fs::read_link(format!("/proc/{process}/fd/0")) else { return false };
    let settings = Command::new("stty").arg("-F").arg(terminal).arg("-a").output().expect("stty");
    String::from_utf8_lossy(&settings.stdout).split_whitespace().any(|word| word == "-echo")
}

/// File in the working directory for which [`gated`] waits.
const GATE: &str = "begin";

/// Returns the command that runs the program on a terminal, once [`GATE`] is there.
fn gated(site: &TestSite, arguments: &[&str]) -> Command {
    through_shell(site, 100, &[("NO_COLOR", "1")], &format!("until [ -e {GATE} ]; do sleep 0.05; done; "), arguments)
}

/// Returns the command that runs the program with its output on a terminal of this width.
pub fn terminal(site: &TestSite, columns: usize, variables: &[(&str, &str)], arguments: &[&str]) -> Command {
    through_shell(site, columns, variables, "", arguments)
}

/// The same after another command of the shell.
fn through_shell(
    site: &TestSite,
    columns: usize,
    variables: &[(&str, &str)],
    before: &str,
    arguments: &[&str],
) -> Command {
    let program = site.command(arguments);
    let words = std::iter::once(program.get_program()).chain(program.get_args());
    let quoted: Vec<String> =
        words.map(|word| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"))).collect();
    let mut command = Command::new("script");
    command.args([
        "-qec",
        &format!("stty rows 24 cols {columns} -onlcr; {before}exec {}", quoted.join(" ")),
        "/dev/null",
    ]);
    command.env_clear().current_dir(site.path()).stdin(Stdio::null());
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("TERM", "xterm").envs(variables.iter().copied());
    command
}

fn table_fits(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let mut arguments = vec!["run", "-s", &site.release, "libreoffice-dictionaries"];
    let triggers: Vec<String> = (0..9).map(|number| format!("--trigger=long-name-{number}/{number}.0-1")).collect();
    arguments.extend(triggers.iter().map(String::as_str));
    site.ok(&arguments);
    site.ok(&["worker", "--drain", "-q"]);
    // What is there at these widths, and what is not.
    for (columns, there, gone) in
        [(90, "RUN", "TRIGGERS"), (140, "…", "long-name-8"), (400, "long-name-8/8.0-1  ", "…")]
    {
        let shown = on_terminal(&site, columns, &[("NO_COLOR", "1")], &["results"]);
        assert!(shown.status.success(), "{shown:#?}");
        assert_eq!(shown.out.lines().count(), 2, "{}", shown.out);
        for line in shown.out.lines() {
            assert!(line.chars().count() <= columns, "{columns}: {line:?}");
            assert_eq!(line, line.trim_end());
        }
        assert!(shown.out.contains("libreoffice-dictionaries"), "the first columns stay whole: {}", shown.out);
        assert!(shown.out.contains(there) && !shown.out.contains(gone), "{columns}: {}", shown.out);
    }
    let run = site.results()[0]["run"].as_str().expect("a run's id").to_owned();
    let narrow = on_terminal(&site, 70, &[], &["results"]);
    assert!(narrow.out.contains(&run) && narrow.out.contains("\u{1b}[32mpass"), "{}", narrow.out);
    // A pipe gets everything.
    assert!(site.ok(&["results"]).contains("long-name-8/8.0-1\t"), "nothing is cut in a pipe");
    Ok(())
}

/// A name that leaves little room for anything else.
const LONG_NAME: &str = "golang-github-azure-azure-sdk-for-go-sdk-dev";

fn tables_fit(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let (release, queue) = (site.release.as_str(), site.queue_name());
    let trigger = format!("--trigger={LONG_NAME}/1:20230401.0~git20230402.abcdef0-1ubuntu1~bpo12+1");
    let fits = |arguments: &[&str], there: &[&str]| {
        let shown = on_terminal(&site, 80, &[("NO_COLOR", "1")], arguments);
        // Progress is drawn over itself.
        let shown_lines = shown.out.split('\n').map(|line| line.rsplit('\r').next().unwrap_or(line));
        for line in shown_lines.map(|line| line.trim_start_matches("\u{1b}[2K")) {
            assert!(line.chars().count() <= 80 && line == line.trim_end(), "{arguments:?}: {line:?}\n{}", shown.out);
        }
        for text in there {
            assert!(shown.out.contains(text), "{arguments:?}: {text}\n{}", shown.out);
        }
    };
    for exit in ["STUB_EXIT=0", "STUB_EXIT=4"] {
        fits(&["run", "-s", release, &trigger, "--env", exit, LONG_NAME], &["PACKAGE", "REQUEST"]);
        site.ok(&["worker", "--drain", "-q"]);
    }
    fits(&["run", "-s", release, &trigger, "--env", "STUB_EXIT=12", LONG_NAME], &[]);
    fits(&["queues"], &[&queue, "READY"]);
    fits(&["queues", &queue], &["ready", "REQUEST"]);
    fits(&["queues", "remove", &queue, "--match", "package=*", "--dry-run"], &[&queue, "Would remove 1 request"]);
    site.ok(&["queues", "purge", &queue, "--yes"]);
    site.plant(&format!("no request {}", "{".repeat(80)));
    site.ok(&["worker", "--drain", "-q"]);
    fits(&["queues", "dead"], &[&queue, "no requ"]);
    fits(&["results"], &["OUTCOME", "RUN", "pass"]);
    fits(&["results", "--matrix", LONG_NAME], &["AMD64"]);
    fits(&["results", "flaky"], &["TESTBED", "50 %"]);
    fits(&["results", "stats"], &["TMPFAIL"]);
    fits(&["results", "stats", "--plot"], &["█ passed or neutral", "2 runs"]);
    fits(&["results", "expire", "-s", release, "--older-than", "2020-01-01", "--dry-run"], &["Nothing to remove"]);
    fits(&["results", "drop-release", release, "--dry-run"], &["CONTAINER", "2 runs"]);
    let runs = site.results();
    let runs: Vec<&str> = runs.iter().filter_map(|run| run["run"].as_str()).collect();
    fits(&["results", "diff", runs[1], runs[0]], &[]);
    fits(&["artifacts", runs[0], "--list"], &[]);
    fits(&["index"], &["CONTAINER"]);
    fits(&["config"], &["SETTING", "apt-ci.toml:"]);
    Ok(())
}

fn confirmation(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let triggers = ["linux-hwe/6.8.0-45.45~22.04", "gzip/1.12-1ubuntu3", "libreoffice/4:24.2.5-0ubun"];
    let options: Vec<String> = triggers.iter().map(|trigger| format!("--trigger={trigger}")).collect();
    let request = [&["run", "-s", &site.release][..], &[&options[0], &options[1], &options[2], "gzip"]].concat();
    site.ok(&request);
    let queue = site.queue_name();
    let cancel = ["cancel", "--match", "package=gzip"];
    for (command, question) in [(&["queues", "purge", &queue][..], "Remove 1 request"), (&cancel, "Remove 1 queued")] {
        let script = terminal(&site, 80, &[("NO_COLOR", "1")], command);
        let (shown, code) = answer(&site, script, None, &[(question, "n\n")]);
        assert_eq!(code, Some(1), "{shown}");
        assert!(shown.contains("Nothing was changed"), "{shown}");
        for text in triggers.iter().chain(&["gzip", queue.as_str()]) {
            assert!(shown.contains(text), "{command:?}: {text}\n{shown}");
        }
    }
    let (shown, code) = answering(&site, "Remove 1 queued request?", "y\n", &cancel);
    assert_eq!(code, Some(0), "{shown}");
    assert_eq!(site.queue()["ready"], 0);
    Ok(())
}

fn typed_ahead(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    site.request("gzip", &[]);
    let queue = site.queue_name();
    let purge = ["queues", "purge", &queue];
    let (shown, code) = answer(&site, gated(&site, &purge), Some("yy\n"), &[("Remove 1 request", "\n")]);
    assert!(code == Some(1) && shown.contains("Nothing was changed"), "{shown}");
    assert_eq!(site.queue()["ready"], 1);
    Ok(())
}

fn worker_log(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let drain = |options: &[&str]| {
        let id = site.request("gzip", &[]);
        let shown = on_terminal(&site, 200, &[("NO_COLOR", "1")], &[&["worker", "--drain"], options].concat());
        assert!(shown.status.success(), "{shown:#?}");
        (shown.out, id)
    };
    let (shown, id) = drain(&[]);
    // The time, what, and where.
    let starts = shown.lines().find(|line| line.contains("starts")).expect("the start of a test");
    assert_eq!(&starts[8..], format!(" gzip starts queue={}", site.queue_name()));
    assert!(shown.contains(" gzip 1.0-1: pass after ") && shown.ends_with("the queues are empty\n"), "{shown}");
    for noise in ["INFO", "--output-dir", &id] {
        assert!(!shown.contains(noise), "{noise}: {shown}");
    }
    let (shown, id) = drain(&["-v"]);
    assert!(shown.contains("--output-dir") && shown.contains(&format!("uuid={id}")), "{shown}");
    assert_eq!(drain(&["-q"]).0, "");
    // A file gets everything, with exact times.
    let id = site.request("gzip", &[]);
    let logged = site.run(&["worker", "--drain"]).err;
    let starts = logged.lines().find(|line| line.contains("gzip starts")).expect("the start of a test");
    assert!(starts.contains("Z  INFO ") && starts.contains(&id), "{starts}");
    Ok(())
}

fn pager(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    site.request("gzip", &[]);
    site.ok(&["worker", "--drain"]);
    let log = site.ok(&["log", "gzip"]);
    let through = |variables: &[(&str, &str)]| on_terminal(&site, 80, variables, &["log", "gzip"]);
    let paged = through(&[("PAGER", "sed 's/^/> /'")]);
    assert_eq!(paged.out.lines().count(), log.lines().count(), "{}", paged.out);
    assert!(paged.out.lines().all(|line| line.starts_with("> ")), "{}", paged.out);
    // Ctrl-C reaches both; the pager decides what it means.
    let interrupted = through(&[("PAGER", "trap '' INT; kill -INT 0; cat > /dev/null; echo still there")]);
    assert_eq!((interrupted.status.code(), interrupted.out.as_str()), (Some(0), "still there\n"));
    let mistyped = through(&[("PAGER", "no-such-pager")]);
    assert_eq!(mistyped.status.code(), Some(1), "{mistyped:#?}");
    assert!(mistyped.out.contains("set PAGER to another program"), "{}", mistyped.out);
    // What a test writes cannot steer the terminal, whatever shows it; a file gets it as it is.
    let steering = "evil/1\u{1b}]52;c;cm0gLXJmIC8=\u{7}\u{1b}[2J\u{9b}5n\u{202e}\u{1b}[32mgreen\u{1b}[0m\n";
    let path = site.json(&["results", "show", "gzip"])["path"].as_str().expect("a path").to_owned();
    let folder = site.path().join("results").join(format!("autopkgtest-{}", site.release)).join(path);
    fs::write(folder.join("log.gz"), steering)?;
    assert_eq!(site.ok(&["log", "gzip"]), steering);
    for pager in ["cat", "sed ''"] {
        let shown = through(&[("PAGER", pager), ("TERM", "xterm")]).out;
        assert!(shown.contains("evil/15n\u{1b}[32mgreen"), "{pager}: {shown:?}");
        for steering in ["\u{1b}]", "\u{7}", "\u{1b}[2J", "\u{9b}", "\u{202e}"] {
            assert!(!shown.contains(steering), "{pager}: {shown:?}");
        }
    }
    let json = on_terminal(&site, 80, &[], &["log", "gzip", "--json"]).out;
    assert!(json.contains(r"\u009b5n\u202e") && !json.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{json:?}");
    fs::write(folder.join("log.gz"), &log)?;
    // A machine without less shows the log all the same.
    let few = site.path().join("few-programs");
    fs::create_dir(&few)?;
    for program in ["script", "stty"] {
        symlink(Path::new("/usr/bin").join(program), few.join(program))?;
    }
    assert_eq!(through(&[("PATH", few.to_str().expect("a path in UTF-8"))]).out, log);
    Ok(())
}

fn help(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    for command in
        ["", "run", "worker", "queues", "results", "log", "init", "config", "completions", "github", "gitlab", "serve"]
    {
        let arguments: Vec<&str> = [command, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let shown = on_terminal(&site, 100, &[("NO_COLOR", "1")], &arguments);
        assert!(shown.status.success(), "{shown:#?}");
        let lines = shown.out.lines().count();
        // Every parameter of a request has a flag of `run`.
        let screen = if command == "run" { 90 } else { 50 };
        assert!(lines <= screen, "{command}: {lines} lines do not fit a screen\n{}", shown.out);
        assert!(shown.out.lines().all(|line| line.chars().count() <= 100), "{}", shown.out);
    }
    Ok(())
}
