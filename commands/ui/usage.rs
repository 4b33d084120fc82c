//! Errors of the command line that clap words in a misleading way.

use clap::Command;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

/// Returns the error of the parser, or a clearer one.
///
/// Where a command has both subcommands and an argument, clap takes the second of two words for a subcommand, and
/// reports that it cannot follow the argument: in `results remove gzip`, that would be the subcommand `gzip`.
pub fn clearer(error: Error, program: &Command, words: impl IntoIterator<Item = String>) -> Error {
    if error.kind() == ErrorKind::MissingRequiredArgument {
        return with_alternatives(error, words);
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return error };
    let (mut command, mut path) = (program, program.get_name().to_owned());
    for name in words {
        if let Some(subcommand) = command.find_subcommand(&name) {
            command = subcommand;
            path = format!("{path} {}", command.get_name());
        }
    }
    if error.kind() != ErrorKind::ArgumentConflict || word == command.get_name() {
        return error;
    }
    let names: Vec<&str> = command.get_subcommands().map(Command::get_name).filter(|name| *name != "help").collect();
    let message = format!(
        "unexpected argument '{word}' found\n\n  tip: the subcommands of '{path}' are {}\n\nFor more information, try '{path} \
         --help'.\n",
        names.join(", ")
    );
    Error::raw(ErrorKind::UnknownArgument, message).with_cmd(command)
}

/// Adds which other flags would do: clap names only the argument that is required without them.
fn with_alternatives(mut error: Error, words: impl IntoIterator<Item = String>) -> Error {
    let words: Vec<String> = words.into_iter().skip(1).take(2).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) else { return error };
    let lacks = |name: &str| missing.iter().any(|missing| missing.starts_with(name));
    let alternatives = match words.as_slice() {
        ["run", ..] if lacks("--trigger") => {
            "without a trigger, say what to test with --baseline, --ppa, --test-git, --build-git or --test-bzr"
        }
        ["cancel", ..] if lacks("<REQUEST>") => "to choose requests by package or trigger, use --match",
        ["worker", "cancel"] => "to cancel all tests of this host, use --all",
        ["retry", ..] if lacks("<RUN>") => "to choose runs by outcome or age, use --outcome or --since",
        _ => return error,
    };
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(alternatives)]));
    error
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::Cli;

    fn message(words: &[&str]) -> String {
        let error = Cli::try_parse_from(words).err().expect("an error");
        clearer(error, &Cli::command(), words.iter().map(|word| (*word).to_owned())).to_string()
    }

    #[test]
    fn a_second_word_is_not_called_a_subcommand() {
        let removed = message(&["apt-ci", "results", "remove", "gzip"]);
        assert!(removed.starts_with("error: unexpected argument 'gzip' found"), "{removed}");
        assert!(removed.contains("the subcommands of 'apt-ci results' are show, diff"), "{removed}");
        let queues = message(&["apt-ci", "queues", "debci-sid-amd64", "debci-sid-arm64"]);
        assert!(queues.contains("the subcommands of 'apt-ci queues' are show, remove"), "{queues}");
    }

    #[test]
    fn a_missing_argument_is_named_with_what_would_do_instead() {
        for (words, expected) in [
            (&["apt-ci", "run", "-s", "sid", "gzip"][..], "--baseline, --ppa"),
            (&["apt-ci", "cancel"], "use --match"),
            (&["apt-ci", "worker", "cancel"], "use --all"),
            (&["apt-ci", "retry"], "--outcome or --since"),
        ] {
            let message = message(words);
            assert!(message.contains("tip: ") && message.contains(expected), "{message}");
        }
        assert!(!message(&["apt-ci", "run", "--trigger", "a/1", "gzip"]).contains("tip: "));
    }

    #[test]
    fn other_errors_stay_as_they_are() {
        let late = message(&["apt-ci", "results", "gzip", "show"]);
        assert!(late.contains("the subcommand 'show' cannot be used with"), "{late}");
        assert!(message(&["apt-ci", "rnu"]).contains("unrecognized subcommand 'rnu'"));
    }
}
