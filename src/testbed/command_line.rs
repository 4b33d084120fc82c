//! Command lines of programs.

use std::fmt;
use std::path::PathBuf;

use super::template::quote;

/// A program and its arguments. `Display` quotes it as a line for a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// Path of the program.
    pub program: PathBuf,
    /// Arguments.
    pub args: Vec<String>,
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quote(&self.program.to_string_lossy()))?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", quote(arg)))
    }
}
