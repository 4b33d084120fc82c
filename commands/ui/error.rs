//! Errors of commands: the message with its causes, the hint, and what the exit code says.
//!
//! Each error of the library becomes a [`CommandError`] in a conversion of its own, which decides on kind and hint. An
//! error or a variant without a decision does not compile.

mod broker;
mod credentials;
mod forge;
mod launchpad;
mod pulls;
mod request;
mod site;
mod store;
mod system;
mod testbed;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::iter::successors;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

use super::exit::ExitStatus;
use super::plain::plain_lines;

const RED: Style = AnsiColor::Red.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default();

/// Result of what a command does.
pub type CommandResult<T> = Result<T, CommandError>;

/// Error that ends a command.
#[derive(Debug)]
pub struct CommandError {
    kind: Kind,
    cause: Box<dyn Error + Send + Sync>,
    /// Descriptions of what failed because of the cause, the innermost first.
    context: Vec<String>,
    hint: Option<String>,
}

/// Kind of an error, which decides on the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The input is invalid; nothing was changed.
    BadInput,
    /// The object of the command does not exist.
    NotFound,
    /// The operation is not possible, or ended in the middle.
    Failure,
    /// The reader of the output needs no more of it.
    BrokenPipe,
}

/// Decision about an error.
struct Decision {
    kind: Kind,
    hint: Option<String>,
}

impl Decision {
    /// Decides that the user's input is wrong.
    fn bad_input() -> Self {
        Self { kind: Kind::BadInput, hint: None }
    }

    /// Decides that something else went wrong.
    fn failure() -> Self {
        Self { kind: Kind::Failure, hint: None }
    }

    /// Adds a hint, in the imperative.
    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl CommandError {
    /// Returns an error of an operation, without a hint.
    pub fn failure(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Decision::failure(), cause)
    }

    /// Returns the error for a file that the user has named and that cannot be read. One that does not exist is invalid
    /// input.
    pub fn of_named_file(error: io::Error, name: impl fmt::Display) -> Self {
        let is_missing = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
        let decision = if is_missing { Decision::bad_input() } else { Decision::failure() };
        Self::new(decision, error).context(format!("cannot read {name}"))
    }

    fn new(Decision { kind, hint }: Decision, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, cause: cause.into(), context: Vec::new(), hint }
    }

    /// Adds a description of what failed because of this error.
    pub fn context(mut self, text: impl Into<String>) -> Self {
        self.context.push(text.into());
        self
    }

    /// Returns the error of work that had already begun. The input was good enough to begin, so neither the exit code
    /// nor a hint blames it.
    fn after_start(self) -> Self {
        let kind = if self.kind == Kind::BadInput { Kind::Failure } else { self.kind };
        Self { kind, hint: None, ..self }
    }

    /// Whether the object of the command does not exist.
    pub fn is_not_found(&self) -> bool {
        self.kind == Kind::NotFound
    }

    /// Returns the hint for the user, if any.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Returns the message: what failed, then its causes, the nearest first.
    fn causes(&self) -> impl Iterator<Item = String> {
        let cause: &(dyn Error + 'static) = self.cause.as_ref();
        let causes = successors(Some(cause), |&cause| cause.source()).map(ToString::to_string);
        self.context.iter().rev().cloned().chain(causes)
    }

    /// Returns the message with its causes, each once: some errors already quote their cause.
    fn chain(&self) -> String {
        let mut causes = self.causes();
        let mut text = causes.next().unwrap_or_default();
        for cause in causes {
            if !text.contains(&cause) {
                text.push_str(": ");
                text.push_str(&cause);
            }
        }
        text
    }

    fn status(&self) -> ExitStatus {
        match self.kind {
            Kind::BadInput => ExitStatus::BadInput,
            Kind::NotFound | Kind::Failure => ExitStatus::Failure,
            Kind::BrokenPipe => ExitStatus::Success,
        }
    }
}

impl fmt::Display for CommandError {
    /// Writes the message; with `#`, also all causes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut causes = self.causes();
        f.write_str(&causes.next().unwrap_or_default())?;
        if f.alternate() {
            causes.try_for_each(|cause| write!(f, ": {cause}"))?;
        }
        Ok(())
    }
}

/// Prints an error with its causes and a hint. Returns the exit code.
pub fn report(error: &CommandError) -> ExitCode {
    if error.kind != Kind::BrokenPipe {
        super::say(format_args!("{RED}error:{RED:#} {}", plain_lines(&error.chain())));
        if let Some(hint) = error.hint() {
            super::say(format_args!("{CYAN}hint:{CYAN:#} {}", plain_lines(hint)));
        }
    }
    error.status().into()
}

/// Descriptions of what failed, for results of any error that can end a command.
pub trait ErrorContext<T> {
    /// Adds a description of what failed.
    fn context(self, text: impl Into<String>) -> CommandResult<T>;

    /// Adds a description of what failed, which is made only then.
    fn with_context<S: Into<String>>(self, text: impl FnOnce() -> S) -> CommandResult<T>;
}

impl<T, E: Into<CommandError>> ErrorContext<T> for Result<T, E> {
    fn context(self, text: impl Into<String>) -> CommandResult<T> {
        self.with_context(|| text)
    }

    fn with_context<S: Into<String>>(self, text: impl FnOnce() -> S) -> CommandResult<T> {
        self.map_err(|error| error.into().context(text()))
    }
}

/// Descriptions in place of a missing value.
impl<T> ErrorContext<T> for Option<T> {
    fn context(self, text: impl Into<String>) -> CommandResult<T> {
        self.with_context(|| text)
    }

    fn with_context<S: Into<String>>(self, text: impl FnOnce() -> S) -> CommandResult<T> {
        self.ok_or_else(|| CommandError::failure(text().into()))
    }
}

/// Invalid input that only commands can find, such as flags that do not fit the site.
#[derive(Debug)]
pub struct BadInput {
    /// Error message.
    pub message: String,
    /// Hint, in the imperative.
    pub hint: Option<String>,
}

impl From<BadInput> for CommandError {
    fn from(BadInput { message, hint }: BadInput) -> Self {
        Self::new(Decision { kind: Kind::BadInput, hint }, message)
    }
}

/// An object that does not exist.
#[derive(Debug)]
pub struct NotFound {
    /// Error message, with the object and where it was searched.
    pub message: String,
    /// Hint where to look instead.
    pub hint: &'static str,
}

impl From<NotFound> for CommandError {
    fn from(NotFound { message, hint }: NotFound) -> Self {
        Self::new(Decision { kind: Kind::NotFound, hint: Some(hint.to_owned()) }, message)
    }
}

/// An operation that is not possible here, or that ended in the middle.
#[derive(Debug)]
pub struct OperationFailed {
    /// Error message: what is not possible, or what was done and what was not, and why.
    pub message: String,
    /// Hint, in the imperative.
    pub hint: Cow<'static, str>,
}

impl From<OperationFailed> for CommandError {
    fn from(OperationFailed { message, hint }: OperationFailed) -> Self {
        Self::new(Decision::failure().hint(hint), message)
    }
}
