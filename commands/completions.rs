//! `apt-ci completions`: what shells need to complete the command line.

use std::io::Write;

use clap_complete::Shell;

use crate::ui::error::CommandResult;
use crate::ui::{self, exit::ExitStatus};

/// Scripts that ask the program itself: see [`crate::complete`].
const BASH: &str = include_str!("../completions/apt-ci.bash");
const ZSH: &str = include_str!("../completions/_apt-ci");
const FISH: &str = include_str!("../completions/apt-ci.fish");

/// Print shell completions
#[derive(clap::Args)]
#[command(after_help = "\
`make install` installs those for bash, zsh and fish. They also complete names that the site configures, such as releases \
and queues, unless the site was found in or above the working directory and is not trusted.

Examples:
  eval \"$(apt-ci completions bash)\"                  in ~/.bashrc
  eval \"$(apt-ci completions zsh)\"                   in ~/.zshrc, after compinit
  apt-ci completions fish > ~/.config/fish/completions/apt-ci.fish")]
pub struct CompletionsArgs {
    /// Shell to print completions for
    shell: Shell,
}

pub fn run<C: clap::CommandFactory>(args: CompletionsArgs) -> CommandResult<ExitStatus> {
    // Into memory first: the generator panics when it cannot write.
    let mut text = Vec::new();
    match args.shell {
        Shell::Bash => text.extend_from_slice(BASH.as_bytes()),
        Shell::Zsh => text.extend_from_slice(ZSH.as_bytes()),
        Shell::Fish => text.extend_from_slice(FISH.as_bytes()),
        other => clap_complete::generate(other, &mut C::command(), "apt-ci", &mut text),
    }
    let mut out = std::io::stdout();
    out.write_all(&text).and_then(|()| out.flush()).map_err(ui::unwritable)?;
    Ok(ExitStatus::Success)
}
