//! Output of the program: data on standard output, everything else on standard error, each in a form for people or
//! programs.

pub mod ask;
pub mod error;
pub mod exit;
pub mod interrupt;
mod log;
pub mod log_writer;
pub mod number;
pub mod pager;
pub mod plain;
pub mod progress;
pub mod redacted_value;
pub mod secret;
pub mod short_id;
pub mod table;
pub mod usage;
pub mod when;
mod wrap;

use std::io::{IsTerminal, Write};

use apt_ci::broker::Opaque;

use self::error::CommandResult;

/// When to use colours.
#[derive(Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    // Not documentation: texts for single values would make every help twice as long.
    // On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    Always,
    Never,
}

/// Output to the user of this process.
#[derive(Clone, Copy)]
pub struct Ui {
    /// Whether data is printed as JSON.
    pub is_json: bool,
    /// Whether standard output is a terminal.
    pub is_terminal: bool,
    /// Number of columns of that terminal, if known.
    pub width: Option<usize>,
    is_quiet: bool,
}

impl Ui {
    /// Sets up colours, verbosity and the log. `journal` is the JOURNAL_STREAM of the environment.
    pub fn new(color: ColorChoice, json: bool, quiet: bool, verbose: u8, journal: Option<&str>) -> Self {
        match color {
            ColorChoice::Auto => {}
            ColorChoice::Always => anstream::ColorChoice::Always.write_global(),
            ColorChoice::Never => anstream::ColorChoice::Never.write_global(),
        }
        log::start(quiet, verbose, journal);
        let terminal = std::io::stdout().is_terminal();
        let size = terminal.then(|| terminal_size::terminal_size_of(std::io::stdout())).flatten();
        let width = size.map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0);
        Self { is_json: json, is_quiet: quiet, is_terminal: terminal, width }
    }

    /// Whether progress bars and other moving things are shown: only on a terminal.
    pub fn moves(&self) -> bool {
        !self.is_quiet && !self.is_json && std::io::stderr().is_terminal()
    }

    /// Prints data on standard output. Of control characters, only colours and ends of lines reach a terminal.
    ///
    /// # Errors
    /// When it cannot be written. A broken pipe ends the program without a message.
    pub fn data(&self, text: impl std::fmt::Display) -> std::io::Result<()> {
        let mut out = anstream::stdout().lock();
        if self.is_terminal {
            return writeln!(out, "{}", plain::coloured(&text.to_string())).map_err(unwritable);
        }
        writeln!(out, "{text}").map_err(unwritable)
    }

    /// Prints sentences on standard output, in lines that fit a terminal.
    pub fn prose(&self, text: impl std::fmt::Display) -> std::io::Result<()> {
        match self.width {
            Some(width) => self.data(wrap::wrap(&text.to_string(), width)),
            None => self.data(text),
        }
    }

    /// Prints data as one JSON document on standard output.
    pub fn json(&self, value: &impl serde::Serialize) -> CommandResult<()> {
        let text = if self.is_terminal { serde_json::to_string_pretty(value)? } else { serde_json::to_string(value)? };
        Ok(self.data(plain::escaped(&text))?)
    }

    /// Prints a warning on standard error, in one line.
    pub fn warn(&self, text: impl std::fmt::Display) {
        let style = anstyle::AnsiColor::Yellow.on_default().bold();
        say(format_args!("{style}warning:{style:#} {}", plain::plain(&text.to_string())));
    }

    /// Prints a warning on standard error, in several lines, such as one with a command to copy.
    pub fn warn_lines(&self, text: impl std::fmt::Display) {
        let style = anstyle::AnsiColor::Yellow.on_default().bold();
        say(format_args!("{style}warning:{style:#} {}", plain::plain_lines(&text.to_string())));
    }

    /// Prints a note for people on standard error, unless `--quiet` is given.
    pub fn note(&self, text: impl std::fmt::Display) {
        if !self.is_quiet {
            say(format_args!("{}", plain::plain_lines(&text.to_string())));
        }
    }
}

/// Messages of services, through the log, which never blocks.
impl Ui {
    /// Writes a warning to the log.
    pub fn log_warning(&self, text: impl std::fmt::Display) {
        let style = anstyle::AnsiColor::Yellow.on_default().bold();
        log_line(&format!("{style}warning:{style:#} {}", plain::plain(&text.to_string())));
    }

    /// Writes a note to the log, unless `--quiet` is given.
    pub fn log_note(&self, text: impl std::fmt::Display) {
        if !self.is_quiet {
            log_line(&plain::plain_lines(&text.to_string()));
        }
    }
}

/// Returns why a queue cannot be listed, and on a line of its own the remedy, often a command to copy.
pub fn opaque_lines(opaque: &Opaque) -> String {
    format!("{opaque}\n  {}", opaque.remedy())
}

/// Writes a line to standard error, in order with those of the log.
fn log_line(line: &str) {
    let has_colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let line = if has_colour { line.to_owned() } else { anstream::adapter::strip_str(line).to_string() };
    // It never fails.
    let _ = log_writer::standard_error().write_all(format!("{line}\n").as_bytes());
}

/// Prints a message on standard error, in lines that fit a terminal. The command continues if it cannot be written.
pub fn say(message: std::fmt::Arguments<'_>) {
    let mut text = message.to_string();
    if let Some((width, _)) = terminal_size::terminal_size_of(std::io::stderr()).filter(|(width, _)| width.0 > 0) {
        text = wrap::wrap(&text, width.0.into());
    }
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Adds to an error that it is about standard output. Its kind stays, so that a broken pipe is recognized.
pub fn unwritable(error: std::io::Error) -> std::io::Error {
    std::io::Error::new(error.kind(), format!("cannot write to standard output: {error}"))
}
