//! The two forms of help: `-h` shows a summary that fits a small terminal, `--help` shows everything.
//!
//! Both are clap's compact form, with a line for each option. Its long form, which clap would choose for `--help`, has
//! three. So the commands are described once, completely, and one of two trees is made of that before the arguments are
//! parsed.

use std::ffi::OsString;

use clap::builder::{Resettable, Str, StyledStr};
use clap::{Arg, Command, CommandFactory};

/// The summary of the program itself: a list of its commands alone would fill the terminal.
const OVERVIEW: &str = "\
{about-with-newline}
{usage-heading} {usage}

Commands:
  run, retry, retry-regressions    request tests, or re-run earlier ones
  queues, running, cancel          show and control queues and running tests
  worker, testbed                  run queued tests; build the testbeds for them
  results, log, artifacts, index   list, explain and compare results
  github, gitlab, serve            test pull requests of projects
  init, config, site, credentials  create and configure a site
  completions                      print shell completions

Global options: --site, --queue, --store, --json, -q, -v, --color

Examples:
  apt-ci run -s bookworm --trigger gzip/1.12-1 gzip  request a test
  apt-ci worker --drain                              run the queued tests
  apt-ci log gzip                                    read the latest log

`apt-ci --help` shows all options and examples.";

/// Headings of options that several commands have.
pub mod heading {
    /// Subject of a request.
    pub const WHAT: &str = "What to test";
    /// Where a request's packages and tests come from.
    pub const SOURCES: &str = "Where packages and tests come from";
    /// Which results are shown.
    pub const RESULTS: &str = "Which results";
    /// How requests are queued.
    pub const QUEUEING: &str = "Queueing";
    /// How the command waits for results.
    pub const WAITING: &str = "Waiting";
}

/// Returns the commands as these arguments ask for their help: completely for `--help` and `help`, otherwise as a
/// summary. Both parse arguments in the same way.
pub fn command<C: CommandFactory>(arguments: impl IntoIterator<Item = OsString>) -> Command {
    let asks_for_all = arguments.into_iter().any(|argument| argument == "--help" || argument == "help");
    if asks_for_all { complete(C::command()) } else { summary(C::command()) }
}

/// Returns the arguments without `--help` and `-h` after the command `help`, which would take them for the name of a
/// command.
pub fn arguments<C: CommandFactory>(given: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let given: Vec<OsString> = given.into_iter().collect();
    let commands = C::command();
    let mut command = &commands;
    for (place, word) in given.iter().enumerate().skip(1) {
        if word == "help" && command.has_subcommands() {
            let is_flag = |word: &OsString| word == "--help" || word == "-h";
            return given
                .iter()
                .enumerate()
                .filter(|(at, word)| *at < place || !is_flag(word))
                .map(|(_, word)| word.clone())
                .collect();
        }
        match command.find_subcommand(word) {
            Some(subcommand) => command = subcommand,
            None => break,
        }
    }
    given
}

/// Returns the commands with everything in their short help. What follows the first line of a description is shown
/// after the options.
pub fn complete(command: Command) -> Command {
    complete_tree(command.mut_subcommands(named_rightly))
}

fn complete_tree(command: Command) -> Command {
    let after: Vec<String> =
        details(&command).into_iter().chain(command.get_after_help().map(ToString::to_string)).collect();
    let after: Resettable<StyledStr> =
        if after.is_empty() { Resettable::Reset } else { Resettable::Value(after.join("\n\n").into()) };
    command
        .long_about(Resettable::<StyledStr>::Reset)
        .after_help(after)
        .mut_args(|argument| {
            let argument = argument.hide_short_help(false);
            match argument.get_long_help().cloned() {
                Some(help) => argument.help(help).long_help(Resettable::<StyledStr>::Reset),
                None => argument,
            }
        })
        .mut_subcommands(complete_tree)
}

/// Returns what a command's description has besides its first line.
fn details(command: &Command) -> Option<String> {
    let long = command.get_long_about()?.to_string();
    let short = command.get_about().map(ToString::to_string).unwrap_or_default();
    let details = long.strip_prefix(&short).unwrap_or(&long).trim_start_matches('.').trim();
    (!details.is_empty()).then(|| details.to_owned())
}

/// Returns the commands with the options of daily use and one example.
pub fn summary(command: Command) -> Command {
    let header = command.get_styles().get_header();
    let overview = OVERVIEW.replacen("Commands:", &format!("{header}Commands:{header:#}"), 1);
    // It would need a line of each list of commands. For `help` itself, the other tree is used.
    let command = command.mut_subcommands(named_rightly).disable_help_subcommand(true);
    summary_tree(command, "apt-ci").help_template(overview)
}

fn summary_tree(command: Command, typed: &str) -> Command {
    let complete = format!("`{typed} --help` shows all options and examples.");
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let after = match first_example(&text) {
        Some(example) => format!("Example: {example}\n{complete}"),
        None => complete,
    };
    command
        .after_help(after)
        // Headings would need two lines each.
        .mut_args(
            |argument| {
                if argument.is_global_set() { argument } else { argument.help_heading(Resettable::<Str>::Reset) }
            },
        )
        .mut_subcommands(|subcommand| {
            let typed = format!("{typed} {}", subcommand.get_name());
            summary_tree(subcommand, &typed)
        })
}

/// Returns the first example of a help text without the remark beside it.
fn first_example(text: &str) -> Option<&str> {
    let mut lines = text.lines().skip_while(|line| !matches!(*line, "Example:" | "Examples:")).skip(1);
    lines.next()?.trim().split("   ").next()
}

fn named_rightly(command: Command) -> Command {
    if command.get_name() == "gitlab" { for_gitlab(command) } else { command }
}

/// Returns a command of `gitlab` in GitLab's words: the subcommands are those of `github`.
fn for_gitlab(mut command: Command) -> Command {
    if let Some(text) = command.get_about().map(in_words_of_gitlab) {
        command = command.about(text);
    }
    if let Some(text) = command.get_long_about().map(in_words_of_gitlab) {
        command = command.long_about(text);
    }
    if let Some(text) = command.get_after_help().map(in_words_of_gitlab) {
        command = command.after_help(text);
    }
    let with_help = |mut argument: Arg| {
        if let Some(text) = argument.get_help().map(in_words_of_gitlab) {
            argument = argument.help(text);
        }
        if let Some(text) = argument.get_long_help().map(in_words_of_gitlab) {
            argument = argument.long_help(text);
        }
        // GitLab signs nothing; `add-hook` refuses this option there.
        if argument.get_long() == Some("legacy") {
            return argument.hide(true);
        }
        match argument.get_value_names() {
            Some([name]) if name == "PULL-REQUEST" => argument.value_name("MERGE-REQUEST"),
            _ => argument,
        }
    };
    command.mut_args(with_help).mut_subcommands(for_gitlab)
}

/// Returns a text about `github` with the words of GitLab.
fn in_words_of_gitlab(text: &StyledStr) -> String {
    let text = text.to_string().replace("apt-ci github", "apt-ci gitlab").replace("pull request", "merge request");
    // A shell would expand the exclamation mark of an example.
    let text = text.replace("OWNER/REPO#7", "'GROUP/PROJECT!7'").replace("OWNER/REPO#", "GROUP/PROJECT!");
    text.replace("OWNER/REPO", "GROUP/PROJECT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_example_stands_alone() {
        let text = "Some text.\n\nExamples:\n  apt-ci log gzip     read a log\n  apt-ci log -f gzip\n";
        assert_eq!(first_example(text), Some("apt-ci log gzip"));
        assert_eq!(first_example("Example:\n  apt-ci config"), Some("apt-ci config"));
        assert_eq!(first_example("No example."), None);
    }

    #[test]
    fn the_details_of_a_description_come_after_its_first_line() {
        let command = Command::new("x").about("Do it").long_about("Do it.\n\nThis is how.");
        assert_eq!(details(&command).as_deref(), Some("This is how."));
        assert_eq!(details(&Command::new("x").about("Do it")), None);
        let shown = complete_tree(command.after_help("Example:\n  x")).render_help().to_string();
        assert!(shown.starts_with("Do it\n") && shown.ends_with("\n\nThis is how.\n\nExample:\n  x\n"), "{shown}");
    }
}
