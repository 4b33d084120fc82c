//! Completions in real shells, help on a small terminal, and the manual pages.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use libtest_mimic::Failed;
use tempfile::TempDir;
use testkit::site::{TestSite, finish};
use testkit::{Services, Story, Trial, stories};

use crate::terminal::on_terminal;

pub fn trials(services: &Arc<Services>) -> Vec<Trial> {
    let all: &[(&str, Story)] = &[
        ("words_of_a_command_line_can_be_completed", words),
        ("names_of_a_site_complete_only_if_it_is_trusted", trust),
        ("completing_leaves_nothing_behind", no_traces),
        ("bash_completes_what_is_typed", bash),
        ("zsh_completes_what_is_typed", zsh),
        ("fish_completes_what_is_typed", fish),
        ("a_summary_fits_a_small_terminal", summaries),
        ("the_manual_pages_are_up_to_date", pages),
        ("the_manual_pages_are_without_faults", faults),
    ];
    stories("shells", services, all)
}

/// The candidates for the last of these words, in a directory.
#[track_caller]
fn candidates_in(site: &TestSite, folder: &Path, words: &[&str]) -> Vec<String> {
    let mut command = site.command(&[&["__complete", "--", "apt-ci"][..], words].concat());
    command.current_dir(folder);
    let finished = finish(command);
    assert!(finished.status.success() && finished.err.is_empty(), "{words:?}: {finished:#?}");
    finished.out.lines().map(|line| line.split_once('\t').map_or(line, |(word, _)| word).to_owned()).collect()
}

#[track_caller]
fn candidates(site: &TestSite, words: &[&str]) -> Vec<String> {
    candidates_in(site, site.path(), words)
}

fn words(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let release = site.release.as_str();
    let queue = site.queue_name();
    let first = candidates(&site, &[""]);
    assert!(first.iter().any(|word| word == "retry-regressions"), "{first:?}");
    assert!(!first.iter().any(|word| word == "man" || word.starts_with(['_', '-'])), "{first:?}");
    assert_eq!(candidates(&site, &["retry-"]), ["retry-regressions"]);
    assert_eq!(candidates(&site, &["queues", "dead", "re"]), ["requeue"]);
    assert_eq!(candidates(&site, &["run", "--base"]), ["--baseline"]);
    assert!(candidates(&site, &["run", "-"]).contains(&"--all-proposed".to_owned()));
    // Values: of the site, and those that are the same everywhere.
    assert_eq!(candidates(&site, &["run", "-s", ""]), [release]);
    assert_eq!(candidates(&site, &["run", "--series", ""]), [release]);
    assert_eq!(candidates(&site, &["run", &format!("--release={}", &release[..4])]), [format!("--release={release}")]);
    assert_eq!(candidates(&site, &["worker", "-a", ""]), ["amd64"]);
    assert_eq!(candidates(&site, &["queues", "purge", &queue, "debci-huge"]), [format!("debci-huge-{release}-amd64")]);
    assert_eq!(candidates(&site, &["queues", "debci-up"]), [format!("debci-upstream-{release}-amd64")]);
    assert_eq!(candidates(&site, &["results", "--outcome", "fail,tmp"]), ["fail,tmpfail"]);
    assert_eq!(candidates(&site, &["credentials", "set", "github-s"]), ["github-status"]);
    assert_eq!(candidates(&site, &["credentials", "recipients", "add", "key", "--role", "op"]), ["operator"]);
    assert_eq!(candidates(&site, &["run", "--context", "up"]), ["upstream"]);
    assert_eq!(candidates(&site, &["retry-regressions", "--state", "REG"]), ["REGRESSION"]);
    assert_eq!(candidates(&site, &["--color", "al"]), ["always"]);
    assert_eq!(candidates(&site, &["completions", "z"]), ["zsh"]);
    // Paths are the shell's own.
    let raw = |words: &[&str]| site.ok(&[&["__complete", "--", "apt-ci"][..], words].concat());
    assert_eq!(site.ok(&["__complete", "--"]), "", "without a word there is nothing to complete");
    assert_eq!(raw(&["run", "--batch", ""]), "\tfiles\n");
    assert_eq!(raw(&["run", "--batch=x"]), "\tfiles\n");
    assert_eq!(raw(&["--site", ""]), "\tdirs\n");
    assert_eq!(raw(&["completions", "fi"]), "fish\n");
    assert!(raw(&["res"]).starts_with("results\tList results"), "{}", raw(&["res"]));
    // What cannot be completed is no fault.
    for words in [&["run", "-s", "no-such"][..], &["nonsense", "x", ""], &["run", "gzip\u{1b}"]] {
        let finished = site.run(&[&["__complete", "--", "apt-ci"][..], words].concat());
        assert!(finished.status.success() && finished.err.is_empty(), "{words:?}: {finished:#?}");
    }
    Ok(())
}

/// Somebody else's site, in which the user happens to be, and its folder.
fn untrusted(user: &TestSite) -> PathBuf {
    let folder = user.path().join("home/theirs");
    fs::create_dir_all(&folder).expect("a folder");
    let text = "queue = \"amqp://127.0.0.1:1/\"\n\n[releases]\nevil = [\"evil64\"]\n";
    fs::write(folder.join("apt-ci.toml"), text).expect("their apt-ci.toml");
    folder
}

fn trust(_: &Services) -> Result<(), Failed> {
    let user = TestSite::local();
    let theirs = untrusted(&user);
    let named = theirs.to_str().expect("a path in UTF-8");
    let site_words: [&[&str]; 4] =
        [&["run", "-s", ""], &["queues", "debci"], &["queues", "show", ""], &["log", "-s", ""]];
    for words in site_words {
        let shown = candidates_in(&user, &theirs, words);
        assert!(!shown.iter().any(|word| word.contains("evil")), "{words:?}: {shown:?}");
    }
    let architectures = candidates_in(&user, &theirs, &["worker", "-a", ""]);
    assert!(architectures.contains(&"s390x".to_owned()) && !architectures.contains(&"evil64".to_owned()));
    assert_eq!(candidates_in(&user, &theirs, &["results", "--outcome", "den"]), ["denylisted"]);
    // Named, it is the user's own choice to use it, also with a tilde, which shells pass as it is.
    assert_eq!(candidates(&user, &["--site", named, "run", "-s", ""]), ["evil"]);
    assert_eq!(candidates(&user, &["run", "--site=~/theirs", "-s", ""]), ["evil"]);
    // A site with a fault has no names.
    fs::write(theirs.join("apt-ci.toml"), "releases = 7\n")?;
    assert_eq!(candidates(&user, &["--site", named, "results", "--outcome", "den"]), ["denylisted"]);
    let shown = candidates(&user, &["--site", named, "queues", "show", ""]);
    assert!(shown.iter().all(|word| word.starts_with('-')), "{shown:?}");
    Ok(())
}

fn no_traces(_: &Services) -> Result<(), Failed> {
    let user = TestSite::local();
    let home = TempDir::new()?;
    for words in [&["run", "-s", ""][..], &["queues", ""], &["credentials", "show", "queue", ""]] {
        let mut command = user.command(&[&["__complete", "--", "apt-ci"][..], words].concat());
        command.env("HOME", home.path()).current_dir(home.path());
        let finished = finish(command);
        assert!(finished.status.success() && finished.err.is_empty(), "{finished:#?}");
    }
    assert_eq!(fs::read_dir(home.path())?.count(), 0);
    // A private key that was pasted is not repeated.
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----";
    let pasted = user.run(&["__complete", "--", "apt-ci", "credentials", "recipients", "add", key, ""]);
    assert_eq!(pasted.out, "");
    Ok(())
}

/// What a user has of this program: its folder in PATH.
fn path() -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_apt-ci")).parent().expect("its folder");
    format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default())
}

fn completions(file: &str) -> String {
    format!("{}/completions/{file}", env!("CARGO_MANIFEST_DIR"))
}

/// A shell on a terminal. Ctrl-T shows the line that is being edited, and removes it.
struct Shell {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    shown: Vec<u8>,
}

impl Shell {
    /// Starts a shell whose first prompt is `READY> `.
    fn start(site: &TestSite, folder: &Path, shell: &str, variables: &[(&str, &str)]) -> Self {
        let plain = site.command(&[]);
        let mut command = Command::new("timeout");
        command.args(["240", "script", "-qec", &format!("stty rows 50 cols 200; exec {shell}"), "/dev/null"]);
        command.env_clear().current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("PATH", path()).env("TERM", "xterm").envs(variables.iter().copied());
        let mut child = command.spawn().expect("a shell on a terminal");
        let (input, output) = (child.stdin.take().expect("its input"), child.stdout.take().expect("its output"));
        let mut shell = Self { child, input, output, shown: Vec::new() };
        // From then on it is the shell that reads what is typed, not the terminal's own editor.
        shell.wait_for("READY> ");
        shell
    }

    /// Reads until something is shown, and gives what follows it so far.
    #[track_caller]
    fn wait_for(&mut self, text: &str) -> String {
        let mut piece = [0; 4096];
        loop {
            let shown = String::from_utf8_lossy(&self.shown).into_owned();
            if let Some((before, after)) = shown.split_once(text) {
                let seen = before.len() + text.len();
                self.shown.drain(..seen.min(self.shown.len()));
                return after.to_owned();
            }
            let length = self.output.read(&mut piece).expect("what it shows");
            assert!(length > 0, "it ended, and never showed {text:?}: {shown:?}");
            self.shown.extend_from_slice(&piece[..length]);
        }
    }

    fn write(&mut self, text: &str) {
        self.input.write_all(text.as_bytes()).and_then(|()| self.input.flush()).expect("it listens");
    }

    /// What the line becomes when the key for completion is pressed after this text.
    #[track_caller]
    fn complete(&mut self, typed: &str) -> String {
        self.write(&format!("{typed}\t\u{14}"));
        self.wait_for("LINE<");
        let mut line = String::new();
        while !line.contains(">END") {
            line = String::from_utf8_lossy(&self.shown).into_owned();
            if !line.contains(">END") {
                let mut piece = [0; 4096];
                let length = self.output.read(&mut piece).expect("what it shows");
                assert!(length > 0, "it ended: {line:?}");
                self.shown.extend_from_slice(&piece[..length]);
            }
        }
        self.wait_for(">END");
        line.split_once(">END").map(|(line, _)| line.to_owned()).unwrap_or_default()
    }

    fn leave(mut self) {
        self.write("exit\r");
        let _ = std::io::copy(&mut self.output, &mut std::io::sink());
        let _ = self.child.wait();
    }
}

/// What every shell completes in a trusted site and in an untrusted one.
#[track_caller]
fn completes(site: &TestSite, name: &str, start: impl Fn(&Path) -> Shell) {
    let (release, queue) = (&site.release, site.queue_name());
    let theirs = untrusted(site);
    let mut shell = start(site.path());
    let longer = |words: &str, full: &str| (words.to_owned(), full.to_owned());
    let all = [
        longer("apt-ci artif", "apt-ci artifacts "),
        longer("apt-ci credentials recip", "apt-ci credentials recipients "),
        longer("apt-ci queues dead req", "apt-ci queues dead requeue "),
        longer("apt-ci run --basel", "apt-ci run --baseline "),
        longer(&format!("apt-ci run -s {}", &release[..3]), &format!("apt-ci run -s {release} ")),
        longer(&format!("apt-ci run --release={}", &release[..3]), &format!("apt-ci run --release={release} ")),
        longer("apt-ci results --outcome deny", "apt-ci results --outcome denylisted "),
        longer("apt-ci results --outcome fail,tm", "apt-ci results --outcome fail,tmpfail "),
        longer("apt-ci queues debci-r", &format!("apt-ci queues {queue} ")),
        longer("apt-ci worker check -c worker.c", "apt-ci worker check -c worker.conf "),
        longer("apt-ci worker check --config=worker.c", "apt-ci worker check --config=worker.conf "),
        longer("apt-ci --site hom", "apt-ci --site home/"),
        longer("apt-ci run --env A=b --context up", "apt-ci run --env A=b --context upstream "),
        // A site that is named in quotes, or with backslashes.
        longer("apt-ci --site \"home/theirs\" run -s ev", "apt-ci --site \"home/theirs\" run -s evil "),
        longer("apt-ci --site='home/theirs' run -s ev", "apt-ci --site='home/theirs' run -s evil "),
        longer("apt-ci --site home/the\\irs run -s ev", "apt-ci --site home/the\\irs run -s evil "),
    ];
    for (typed, full) in all {
        assert_eq!(shell.complete(&typed), full, "{name}: {typed}");
    }
    shell.leave();
    let mut shell = start(&theirs);
    for (typed, full) in [
        ("apt-ci run -s ev", "apt-ci run -s ev"),
        ("apt-ci queues show debci-ev", "apt-ci queues show debci-ev"),
        ("apt-ci results --outcome deny", "apt-ci results --outcome denylisted "),
    ] {
        assert_eq!(shell.complete(typed), full, "{name}, untrusted: {typed}");
    }
    shell.leave();
}

fn bash(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let rc = site.path().join("home/bashrc");
    for load in [format!(". {}", completions("apt-ci.bash")), "eval \"$(apt-ci completions bash)\"".to_owned()] {
        let show =
            "show() { printf 'LINE<%s>END\\n' \"$READLINE_LINE\"; READLINE_LINE=; }\nbind -x '\"\\C-t\": show'\n";
        fs::write(&rc, format!("{load}\n{show}bind 'set bell-style none'\nPS1='READY> '\n"))?;
        let shell = format!("bash --rcfile {} -i", rc.display());
        completes(&site, &load, |folder| Shell::start(&site, folder, &shell, &[]));
    }
    Ok(())
}

fn zsh(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let home = site.path().join("home");
    let compinit = "autoload -Uz compinit && compinit -u -D";
    let installed = format!("fpath=({} $fpath)\n{compinit}", completions(""));
    for load in [installed, format!("{compinit}\neval \"$(apt-ci completions zsh)\"")] {
        let show = "show() { print -r -- \"LINE<$BUFFER>END\"; BUFFER= }\nzle -N show\nbindkey -e\nbindkey '^T' show\n";
        fs::write(home.join(".zshrc"), format!("{load}\n{show}setopt no_beep\nPROMPT='READY> '\n"))?;
        let variables = [("ZDOTDIR", home.to_str().expect("a path in UTF-8"))];
        completes(&site, &load, |folder| Shell::start(&site, folder, "zsh -d -i", &variables));
    }
    Ok(())
}

fn fish(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let folder = site.path().join("home/.config/fish/completions");
    fs::create_dir_all(&folder)?;
    let theirs = untrusted(&site);
    for load in ["", "apt-ci completions fish | source; "] {
        // As `make install` does it, and as a user may do it.
        let installed = folder.join("apt-ci.fish");
        if load.is_empty() {
            fs::copy(completions("apt-ci.fish"), installed)?;
        } else {
            fs::remove_file(installed)?;
        }
        let complete = |folder: &Path, typed: &str| {
            let plain = site.command(&[]);
            let mut command = Command::new("fish");
            command.args(["-c", &format!("{load}complete -C '{typed}'")]);
            command.env_clear().current_dir(folder).stdin(Stdio::null());
            command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("PATH", path());
            let finished = finish(command);
            assert!(finished.status.success() && finished.err.is_empty(), "{typed}: {finished:#?}");
            let words =
                finished.out.lines().map(|line| line.split_once('\t').map_or(line, |(word, _)| word).to_owned());
            words.collect::<Vec<String>>()
        };
        let here = |typed: &str| complete(site.path(), typed);
        let (release, queue) = (&site.release, site.queue_name());
        let first = here("apt-ci ");
        assert!(first.contains(&"retry-regressions".to_owned()), "{first:?}");
        assert_eq!(here("apt-ci artif"), ["artifacts"]);
        assert_eq!(here("apt-ci queues dead req"), ["requeue"]);
        assert_eq!(here("apt-ci run --basel"), ["--baseline"]);
        assert_eq!(here("apt-ci run -s "), [release.as_str()]);
        assert_eq!(here("apt-ci run --release="), [format!("--release={release}")]);
        assert_eq!(here("apt-ci results --outcome deny"), ["denylisted"]);
        assert_eq!(here("apt-ci queues debci-r"), [queue]);
        assert_eq!(here("apt-ci worker check -c worker.c"), ["worker.conf"]);
        assert_eq!(here("apt-ci worker check --config=worker.c"), ["--config=worker.conf"]);
        assert_eq!(here("apt-ci --site hom"), ["home/"]);
        assert_eq!(complete(&theirs, "apt-ci run -s ev"), Vec::<String>::new());
        assert_eq!(complete(&theirs, "apt-ci results --outcome deny"), ["denylisted"]);
    }
    Ok(())
}

fn summaries(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let commands: [&[&str]; 12] = [
        &[],
        &["run"],
        &["retry"],
        &["retry-regressions"],
        &["worker"],
        &["queues"],
        &["queues", "remove"],
        &["results"],
        &["github", "add-hook"],
        &["gitlab", "retry"],
        &["credentials"],
        &["credentials", "set"],
    ];
    for (columns, command) in [80, 100].into_iter().flat_map(|columns| commands.map(|command| (columns, command))) {
        let shown = on_terminal(&site, columns, &[("NO_COLOR", "1")], &[command, &["-h"][..]].concat());
        assert!(shown.status.success(), "{shown:#?}");
        let rows: usize = shown.out.lines().map(|line| line.chars().count().div_ceil(columns).max(1)).sum();
        assert!(rows <= 24, "{command:?} at {columns}: {rows} rows\n{}", shown.out);
        let typed = [&["apt-ci"][..], command].concat().join(" ");
        let last = format!("`{typed} --help` shows all options and examples.");
        assert_eq!(shown.out.lines().last(), Some(last.as_str()), "{}", shown.out);
        assert!(shown.out.contains("\nUsage: apt-ci") && shown.out.contains("\nExample"), "{}", shown.out);
    }
    // The same is shown for the program alone, and the commands of both forges have examples of their own.
    assert_eq!(site.run(&[]).err, site.ok(&["-h"]));
    assert!(site.ok(&["gitlab", "retry", "-h"]).contains("Example: apt-ci gitlab retry 'GROUP/PROJECT!7'\n"));
    assert!(site.ok(&["queues", "remove", "-h"]).contains(" --match package=gzip --dry-run\n"));
    // Everything is in the complete help, which `help` shows as well.
    let complete = site.ok(&["run", "--help"]);
    assert_eq!(site.ok(&["help", "run"]), complete);
    for text in ["Waiting:\n", "--readable-by <USER>", "Global options:\n", "--store <URL>", "--batch -"] {
        assert_eq!(complete.matches(text).count(), 1, "{text}: {complete}");
        assert!(!site.ok(&["run", "-h"]).contains(text), "{text}");
    }
    Ok(())
}

/// The files of a folder with their contents.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let read = |path: PathBuf| fs::read_to_string(path).expect("a text");
    entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), read(entry.path()))).collect()
}

fn manual() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("man")
}

fn pages(_: &Services) -> Result<(), Failed> {
    let site = TestSite::local();
    let made = TempDir::new()?;
    site.ok(&["man", made.path().to_str().expect("a path in UTF-8")]);
    let (made, checked_in) = (files(made.path()), files(&manual()));
    let names = |pages: &BTreeMap<String, String>| pages.keys().cloned().collect::<Vec<String>>();
    assert_eq!(names(&made), names(&checked_in), "run `make man`");
    for (name, text) in &made {
        assert!(checked_in.get(name) == Some(text), "man/{name} is stale: run `make man`");
    }
    // One for each command that can be typed.
    for name in ["apt-ci.1", "apt-ci-run.1", "apt-ci-queues-dead-requeue.1", "apt-ci-gitlab-add-hook.1"] {
        assert!(made.contains_key(name), "{:?}", names(&made));
    }
    let run = &made["apt-ci-run.1"];
    assert!(run.contains("Exit codes are described in ") && !made["apt-ci.1"].contains("are described in "));
    for text in [".SH SYNOPSIS", ".SH WAITING", ".SH EXAMPLES", ".SH \"SEE ALSO\""] {
        assert!(run.contains(text), "{text}: {run}");
    }
    Ok(())
}

fn faults(_: &Services) -> Result<(), Failed> {
    for name in files(&manual()).into_keys() {
        let mut command = Command::new("man");
        command.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]).arg(manual().join(&name));
        command.env("LC_ALL", "C.UTF-8").env("MANROFFSEQ", "").env("MANWIDTH", "80").stdin(Stdio::null());
        let finished = finish(command);
        assert!(finished.status.success() && finished.err.is_empty(), "{name}: {}", finished.err);
        assert!(!finished.out.is_empty(), "{name}");
    }
    // The texts of the first line do not run together.
    let mut command = Command::new("man");
    command.arg("-l").arg(manual().join("apt-ci-credentials-recipients-confirm.1"));
    command.env("LC_ALL", "C.UTF-8").env("MANWIDTH", "80").env("MANPAGER", "cat").stdin(Stdio::null());
    let finished = finish(command);
    let title = "credentials-recipients-confirm(1)";
    let first = finished.out.lines().find(|line| !line.is_empty()).unwrap_or_default();
    assert_eq!(first.split_whitespace().collect::<Vec<_>>(), [title, "apt-ci", title]);
    Ok(())
}
