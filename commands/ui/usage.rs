//! Errors of the command line that clap words in a misleading way.

use std::error::Error as _;

use apt_ci::release::InvalidName;
use apt_ci::request::InvalidRequest;
use clap::Command;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

use super::plain::plain;

/// Returns the error of the parser, or a clearer one.
///
/// Where a command has both subcommands and an argument, clap takes the second of two words for a subcommand, and
/// reports that it cannot follow the argument: in `results remove gzip`, that would be the subcommand `gzip`.
///
/// It also repeats a value that the error of the value names as well.
pub fn clearer(error: Error, program: &Command, words: impl IntoIterator<Item = String>) -> Error {
    let (mut command, mut path) = (program, program.get_name().to_owned());
    for name in words {
        if let Some(subcommand) = command.find_subcommand(&name) {
            command = subcommand;
            path = format!("{path} {}", command.get_name());
        }
    }
    if error.kind() == ErrorKind::MissingRequiredArgument {
        return with_alternatives(error, &path);
    }
    let names: Vec<&str> = command.get_subcommands().map(Command::get_name).filter(|name| *name != "help").collect();
    let tip = format!("\n\n  tip: the subcommands of '{path}' are {}", names.join(", "));
    let more = format!("\n\nFor more information, try '{path} --help'.\n");
    if let Some(value) = value_once(&error) {
        // The value may be meant as a subcommand.
        let is_positional = value.argument.starts_with(['[', '<']);
        let tip = if is_positional && !names.is_empty() { tip } else { String::new() };
        let InvalidValue { argument, text, rule } = value;
        let message = format!("invalid value '{text}' for '{argument}': {rule}{tip}{more}");
        return Error::raw(ErrorKind::ValueValidation, message).with_cmd(command);
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return error };
    if error.kind() != ErrorKind::ArgumentConflict || word == command.get_name() {
        return error;
    }
    let message = format!("unexpected argument '{word}' found{tip}{more}");
    Error::raw(ErrorKind::UnknownArgument, message).with_cmd(command)
}

/// Adds which other flags would do: clap names only the argument that is required without them.
fn with_alternatives(mut error: Error, path: &str) -> Error {
    let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) else { return error };
    let lacks = |name: &str| missing.iter().any(|missing| missing.starts_with(name));
    let alternatives = match path {
        "apt-ci run" if lacks("--trigger") => {
            "without a trigger, say what to test with --baseline, --ppa, --test-git, --build-git or --test-bzr"
        }
        "apt-ci cancel" if lacks("<REQUEST>") => "to choose requests by package or trigger, use --match",
        "apt-ci worker cancel" => "to cancel all tests of this host, use --all",
        "apt-ci retry" if lacks("<RUN>") => "to choose runs by outcome or age, use --outcome or --since",
        _ => return error,
    };
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(alternatives)]));
    error
}

/// An argument whose value breaks a rule.
struct InvalidValue {
    argument: String,
    text: String,
    rule: String,
}

/// Returns the parts of an error whose cause names the value, too.
fn value_once(error: &Error) -> Option<InvalidValue> {
    let cause = error.source()?;
    let rule = match (cause.downcast_ref::<InvalidName>(), cause.downcast_ref::<InvalidRequest>()) {
        (Some(name), _) => name.rule().to_owned(),
        (None, Some(part)) => part.rule.clone(),
        (None, None) => return None,
    };
    let text_of = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    Some(InvalidValue {
        argument: text_of(ContextKind::InvalidArg)?,
        // It may have control characters.
        text: plain(&text_of(ContextKind::InvalidValue)?).into_owned(),
        rule,
    })
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
            (&["apt-ci", "--site", "x", "cancel"], "use --match"),
            (&["apt-ci", "worker", "cancel"], "use --all"),
            (&["apt-ci", "retry"], "--outcome or --since"),
        ] {
            let message = message(words);
            assert!(message.contains("tip: ") && message.contains(expected), "{message}");
        }
        assert!(!message(&["apt-ci", "run", "--trigger", "a/1", "gzip"]).contains("tip: "));
    }

    #[test]
    fn a_value_is_named_once() {
        let shown = message(&["apt-ci", "queues", "shw"]);
        let rule =
            "invalid value 'shw' for '[QUEUE]': a queue is named debci-RELEASE-ARCH or debci-CONTEXT-RELEASE-ARCH\n";
        assert!(shown.contains(rule), "{shown}");
        assert!(shown.contains("the subcommands of 'apt-ci queues' are show, remove"), "{shown}");
        let shown = message(&["apt-ci", "run", "-s", "Noble", "gzip"]);
        assert!(shown.contains("invalid value 'Noble' for '--release <RELEASE>': a release is "), "{shown}");
        assert!(!shown.contains("subcommands") && !shown.contains("release \""), "{shown}");
        let shown = message(&["apt-ci", "run", "--requester", "a\nb", "-s", "noble", "gzip"]);
        assert!(shown.contains("for '--requester <NAME>': must be at most 200 bytes"), "{shown}");
        assert!(!shown.contains("a\nb") && !shown.contains("text \""), "{shown}");
    }

    #[test]
    fn other_errors_stay_as_they_are() {
        let late = message(&["apt-ci", "results", "gzip", "show"]);
        assert!(late.contains("the subcommand 'show' cannot be used with"), "{late}");
        assert!(message(&["apt-ci", "rnu"]).contains("unrecognized subcommand 'rnu'"));
    }
}
