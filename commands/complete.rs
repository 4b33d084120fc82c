//! `apt-ci __complete`: what the last word of a command line may become. The scripts in `completions/` ask for it.
//!
//! Prints a line for each candidate: the whole word, and after a tab what it means. A line that begins with a tab has
//! no candidate: `files` or `dirs` after it says that the shell completes paths, which it quotes and expands in its own
//! way.
//!
//! Completing is no command: it changes nothing, connects to nothing, asks nothing and has no errors. The site's file
//! is read only if the site may be used, and only if it can be read quickly; without it, there are the words that are
//! the same everywhere.

use std::any::TypeId;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use apt_ci::environment::Environment;
use apt_ci::excuses::TestState;
use apt_ci::release::{Architecture, Context, QueueName, Release};
use apt_ci::result::Outcome;
use apt_ci::site::credentials::{Kind, Role};
use apt_ci::site::{Lookup, Site};
use clap::builder::StyledStr;
use clap::{Arg, Command, CommandFactory, ValueHint};
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate, complete};

use crate::help;
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;

/// Timeout for reading the site, which may be on a slow file system.
const SITE_TIMEOUT: Duration = Duration::from_millis(80);

/// Architectures of Debian and Ubuntu.
const ARCHITECTURES: [&str; 9] = ["amd64", "arm64", "armel", "armhf", "i386", "loong64", "ppc64el", "riscv64", "s390x"];

/// States that proposed-migration knows, the most useful ones first.
const STATES: [TestState; 12] = [
    TestState::Regression,
    TestState::AlwaysFail,
    TestState::Fail,
    TestState::Running,
    TestState::RunningReference,
    TestState::RunningAlwaysFail,
    TestState::Neutral,
    TestState::Pass,
    TestState::IgnoreFail,
    TestState::OldFail,
    TestState::OldNeutral,
    TestState::OldPass,
];

/// Tags of the candidates that stand for paths.
const FILES: &str = "files";
const DIRS: &str = "dirs";

/// Print what the last word may become
#[derive(clap::Args)]
pub struct CompleteArgs {
    /// Words of the command line up to the cursor
    #[arg(value_name = "WORD", last = true)]
    words: Vec<OsString>,
}

pub fn run<C: CommandFactory>(args: &CompleteArgs, environment: &Environment) -> CommandResult<ExitStatus> {
    let text: String = lines::<C>(&args.words, environment).into_iter().map(|line| line + "\n").collect();
    let mut out = std::io::stdout();
    // A shell that no longer reads is no error.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Ok(ExitStatus::Success)
}

fn lines<C: CommandFactory>(words: &[OsString], environment: &Environment) -> Vec<String> {
    let Some((last, before)) = words.split_last() else { return Vec::new() };
    let site = Arc::new(SiteWords::new(before, environment.clone()));
    let mut command = with_values(help::complete(C::command()), &site);
    // Options have few short names, and all have long ones.
    let last = if last == "-" { OsStr::new("--") } else { last.as_os_str() };
    let arguments = before.iter().cloned().chain([last.to_owned()]).collect();
    let mut candidates = complete(&mut command, arguments, before.len(), None).unwrap_or_default();
    candidates.retain(|candidate| !candidate.is_hide_set());
    let is_option = |candidate: &CompletionCandidate| candidate.get_value().as_encoded_bytes().starts_with(b"-");
    let has_words = candidates.iter().any(|candidate| !is_option(candidate));
    if has_words && !last.as_encoded_bytes().starts_with(b"-") {
        candidates.retain(|candidate| !is_option(candidate));
    }
    let mut seen = BTreeSet::new();
    candidates.iter().filter_map(line).filter(|line| seen.insert(line.clone())).collect()
}

/// Returns the line for a candidate. Words that would be more than one line cannot be completed.
fn line(candidate: &CompletionCandidate) -> Option<String> {
    let tag = candidate.get_tag().map(ToString::to_string).unwrap_or_default();
    if [FILES, DIRS].contains(&tag.as_str()) {
        return Some(format!("\t{tag}"));
    }
    let word = candidate.get_value().to_str().filter(|word| !word.contains(char::is_control))?;
    let meaning = candidate.get_help().map(ToString::to_string).unwrap_or_default();
    match meaning.lines().next() {
        Some(meaning) if !meaning.is_empty() => Some(format!("{word}\t{meaning}")),
        _ => Some(word.to_owned()),
    }
}

/// Returns the command in which each argument of a known type offers its values.
fn with_values(command: Command, site: &Arc<SiteWords>) -> Command {
    command.mut_args(|argument| with_value(argument, site)).mut_subcommands(|subcommand| with_values(subcommand, site))
}

fn with_value(argument: Arg, site: &Arc<SiteWords>) -> Arg {
    let kind = argument.get_value_parser().type_id();
    let is = |name: &str| {
        argument.get_value_names().is_some_and(|names| names.iter().any(|one| one.split('|').any(|word| word == name)))
    };
    if kind == TypeId::of::<Release>() {
        argument.add(of_site(site, |words| &words.releases))
    } else if kind == TypeId::of::<Architecture>() {
        argument.add(of_site(site, |words| &words.architectures))
    } else if kind == TypeId::of::<QueueName>() {
        argument.add(of_site(site, |words| &words.queues))
    } else if kind == TypeId::of::<Outcome>() {
        argument.add(fixed(Outcome::ALL.map(Outcome::as_str)))
    } else if kind == TypeId::of::<Context>() {
        argument.add(fixed(Context::ALL.map(|context| context.prefix().unwrap_or("distribution"))))
    } else if kind == TypeId::of::<TestState>() {
        argument.add(fixed(STATES.map(TestState::as_str)))
    } else if kind == TypeId::of::<Kind>() {
        argument.add(fixed(Kind::STORABLE.map(Kind::as_str)))
    } else if kind == TypeId::of::<Role>() {
        argument.add(fixed(["operator", "web", "worker"]))
    } else if is("DIR") {
        argument.add(paths(DIRS))
    } else if is("FILE") || argument.get_value_hint() == ValueHint::AnyPath {
        argument.add(paths(FILES))
    } else {
        argument
    }
}

fn of_site(site: &Arc<SiteWords>, choose: fn(&Words) -> &[String]) -> ArgValueCandidates {
    let site = Arc::clone(site);
    ArgValueCandidates::new(move || choose(site.get()).iter().map(CompletionCandidate::new).collect::<Vec<_>>())
}

fn fixed(words: impl IntoIterator<Item = &'static str>) -> ArgValueCandidates {
    let words: Vec<&str> = words.into_iter().collect();
    ArgValueCandidates::new(move || words.iter().map(CompletionCandidate::new).collect::<Vec<_>>())
}

fn paths(tag: &'static str) -> ArgValueCompleter {
    ArgValueCompleter::new(move |_: &OsStr| vec![CompletionCandidate::new("").tag(Some(StyledStr::from(tag)))])
}

/// The names that a site configures.
#[derive(Default)]
struct Words {
    releases: Vec<String>,
    architectures: Vec<String>,
    queues: Vec<String>,
}

/// The names of the site that the command would use. They are looked up when they are first needed.
struct SiteWords {
    named: Option<PathBuf>,
    environment: Environment,
    words: OnceLock<Words>,
}

impl SiteWords {
    fn new(before: &[OsString], environment: Environment) -> Self {
        let named = named_site(before, environment.get("HOME"));
        Self { named, environment, words: OnceLock::new() }
    }

    fn get(&self) -> &Words {
        self.words.get_or_init(|| {
            let (named, environment) = (self.named.clone(), self.environment.clone());
            let (sender, receiver) = mpsc::channel();
            let reader = move || sender.send(read(named.as_deref(), &environment));
            let _ = thread::Builder::new().spawn(reader);
            let mut words = receiver.recv_timeout(SITE_TIMEOUT).ok().flatten().unwrap_or_default();
            if words.architectures.is_empty() {
                words.architectures = ARCHITECTURES.map(str::to_owned).to_vec();
            }
            words
        })
    }
}

/// Reads the names from the site, if there is one that may be used.
fn read(named: Option<&Path>, environment: &Environment) -> Option<Words> {
    let working_dir = std::env::current_dir().ok()?;
    let lookup = Lookup { site: named, queue: None, store: None, environment, working_dir: &working_dir };
    let site = Site::find(&lookup).ok()?;
    let architectures: BTreeSet<&Architecture> = site.releases.value.values().flatten().collect();
    Some(Words {
        releases: site.releases.value.keys().map(ToString::to_string).collect(),
        architectures: architectures.into_iter().map(ToString::to_string).collect(),
        queues: site.queues().iter().map(ToString::to_string).collect(),
    })
}

/// Returns the value of --site. Shells pass words as they were typed, with a tilde.
fn named_site(words: &[OsString], home: Option<&str>) -> Option<PathBuf> {
    let mut named = None;
    let mut words = words.iter().map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        match word.strip_prefix("--site") {
            Some("") => named = words.next().map(|word| word.into_owned()),
            Some(value) if value.starts_with('=') => named = value.get(1..).map(str::to_owned),
            _ if word == "--" => break,
            _ => {}
        }
    }
    let named = named?;
    match (named.strip_prefix("~/"), home) {
        (Some(below), Some(home)) => Some(Path::new(home).join(below)),
        _ => Some(PathBuf::from(named)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(texts: &[&str]) -> Vec<OsString> {
        texts.iter().map(OsString::from).collect()
    }

    #[test]
    fn the_named_site_is_found_among_the_words() {
        let named = |texts: &[&str]| named_site(&words(texts), Some("/home/ann"));
        assert_eq!(named(&["apt-ci", "queues"]), None);
        assert_eq!(named(&["apt-ci", "--site", "/srv/ci", "queues"]), Some(PathBuf::from("/srv/ci")));
        assert_eq!(named(&["apt-ci", "queues", "--site=~/ci"]), Some(PathBuf::from("/home/ann/ci")));
        assert_eq!(named(&["apt-ci", "--site"]), None);
        assert_eq!(named(&["apt-ci", "--", "--site", "x"]), None);
        assert_eq!(named(&["apt-ci", "--sites", "x"]), None);
    }

    #[test]
    fn a_candidate_is_one_line() {
        let shown = |candidate: CompletionCandidate| line(&candidate);
        assert_eq!(shown(CompletionCandidate::new("noble")).as_deref(), Some("noble"));
        let described = CompletionCandidate::new("run").help(Some("Request tests\nin two lines".into()));
        assert_eq!(shown(described).as_deref(), Some("run\tRequest tests"));
        assert_eq!(shown(CompletionCandidate::new("two\nlines")), None);
        assert_eq!(shown(CompletionCandidate::new("").tag(Some(FILES.into()))).as_deref(), Some("\tfiles"));
    }
}
