//! `apt-ci completions`: what shells need to complete the command line.

use clap_complete::Shell;

use crate::ui::exit::ExitStatus;

/// Print the completions for a shell.
#[derive(clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub fn run<C: clap::CommandFactory>(args: CompletionsArgs) -> anyhow::Result<ExitStatus> {
    // Into memory first: the generator panics when it cannot write.
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut C::command(), "apt-ci", &mut text);
    std::io::Write::write_all(&mut std::io::stdout(), &text)?;
    Ok(ExitStatus::Success)
}
