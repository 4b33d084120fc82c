//! How the program speaks: data on standard output, everything else on standard error, each in a shape for people or programs.

pub mod ask;
pub mod error;
pub mod exit;
pub mod interrupt;
mod log;
pub mod log_writer;
pub mod pager;
pub mod plain;
pub mod progress;
pub mod secret;
pub mod table;
pub mod unquoted;
pub mod when;
mod wrap;

use std::io::{IsTerminal, Write};

use apt_ci::broker::Opaque;

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

/// How to speak to the user of this process.
#[derive(Clone, Copy)]
pub struct Ui {
    /// Data goes out as JSON.
    pub json: bool,
    /// Standard output is a terminal.
    pub terminal: bool,
    /// How many columns that terminal has, if it tells.
    pub width: Option<usize>,
    quiet: bool,
}

impl Ui {
    /// Decides once about colours, quietness and logs. `journal` is the JOURNAL_STREAM of the environment.
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
        Self { json, quiet, terminal, width }
    }

    /// Progress bars and other things that move: only where a person watches.
    pub fn moves(&self) -> bool {
        !self.quiet && !self.json && std::io::stderr().is_terminal()
    }

    /// Data, on standard output. Of control characters in it, only colours and ends of lines reach a terminal. The end of a pipe's reader ends
    /// us without noise.
    pub fn data(&self, text: impl std::fmt::Display) -> std::io::Result<()> {
        let mut out = anstream::stdout().lock();
        if self.terminal {
            return writeln!(out, "{}", plain::coloured(&text.to_string())).map_err(unwritable);
        }
        writeln!(out, "{text}").map_err(unwritable)
    }

    /// Data as one JSON document, on standard output.
    pub fn json(&self, value: &impl serde::Serialize) -> anyhow::Result<()> {
        let text = if self.terminal { serde_json::to_string_pretty(value)? } else { serde_json::to_string(value)? };
        Ok(self.data(plain::escaped(&text))?)
    }

    /// Something that is wrong and does not keep the command from doing the rest, on standard error.
    pub fn warn(&self, text: impl std::fmt::Display) {
        let style = anstyle::AnsiColor::Yellow.on_default().bold();
        say(format_args!("{style}warning:{style:#} {}", plain::plain(&text.to_string())));
    }

    /// The same in several lines, where one of them is a command.
    pub fn warn_lines(&self, text: impl std::fmt::Display) {
        let style = anstyle::AnsiColor::Yellow.on_default().bold();
        say(format_args!("{style}warning:{style:#} {}", plain::plain_lines(&text.to_string())));
    }

    /// A remark for a person, on standard error.
    pub fn note(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            say(format_args!("{}", plain::plain_lines(&text.to_string())));
        }
    }
}

/// What a service says of itself: nobody waits for a log that is not read.
impl Ui {
    /// The same as [`Ui::warn`], through the log.
    pub fn log_warning(&self, text: impl std::fmt::Display) {
        let style = anstyle::AnsiColor::Yellow.on_default().bold();
        log_line(&format!("{style}warning:{style:#} {}", plain::plain(&text.to_string())));
    }

    /// The same as [`Ui::note`], through the log.
    pub fn log_note(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            log_line(&plain::plain_lines(&text.to_string()));
        }
    }
}

/// Why a queue cannot be looked into, and on a line of its own what changes that: often a command that people copy.
pub fn opaque_lines(opaque: &Opaque) -> String {
    format!("{opaque}\n  {}", opaque.remedy())
}

/// A line on standard error, in its turn among those of the log.
fn log_line(line: &str) {
    let has_colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let line = if has_colour { line.to_owned() } else { anstream::adapter::strip_str(line).to_string() };
    // It never fails.
    let _ = log_writer::standard_error().write_all(format!("{line}\n").as_bytes());
}

/// A message on standard error, in lines that fit a terminal. Where that cannot be written, nobody reads it, and the command goes on.
pub fn say(message: std::fmt::Arguments<'_>) {
    let mut text = message.to_string();
    if let Some((width, _)) = terminal_size::terminal_size_of(std::io::stderr()).filter(|(width, _)| width.0 > 0) {
        text = wrap::wrap(&text, width.0.into());
    }
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Says which of the many files of a command failed; the end of a pipe's reader stays recognisable.
pub fn unwritable(error: std::io::Error) -> std::io::Error {
    std::io::Error::new(error.kind(), format!("cannot write to standard output: {error}"))
}
