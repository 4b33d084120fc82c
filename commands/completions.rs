//! `apt-ci completions`: what shells need to complete the command line.

use std::io::Write;

use clap_complete::Shell;

use crate::ui::{self, exit::ExitStatus};

/// Print shell completions
#[derive(clap::Args)]
#[command(after_help = "Example:\n  apt-ci completions bash")]
pub struct CompletionsArgs {
    /// Shell to print completions for
    shell: Shell,
}

pub fn run<C: clap::CommandFactory>(args: CompletionsArgs) -> anyhow::Result<ExitStatus> {
    // Into memory first: the generator panics when it cannot write.
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut C::command(), "apt-ci", &mut text);
    let mut out = std::io::stdout();
    out.write_all(&text).and_then(|()| out.flush()).map_err(ui::unwritable)?;
    Ok(ExitStatus::Success)
}
