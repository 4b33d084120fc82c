//! `apt-ci testbed remove`.

use apt_ci::release::{Architecture, Release};
use apt_ci::testbed::images::{ImageName, ImageStore};

use crate::session::Session;
use crate::ui::ask;
use crate::ui::error::{CommandResult, NotFound};
use crate::ui::exit::ExitStatus;

/// Remove a testbed that no test uses
#[derive(clap::Args)]
#[command(after_help = "Example:\n  apt-ci testbed remove bookworm")]
pub struct RemoveArgs {
    /// Release
    #[arg(value_name = "RELEASE")]
    release: Release,
    /// Architecture [default: this host's]
    #[arg(short, long = "arch", value_name = "ARCH")]
    architecture: Option<Architecture>,
    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
}

pub async fn run(args: &RemoveArgs, store: &ImageStore, session: &Session) -> CommandResult<ExitStatus> {
    let name =
        ImageName { release: args.release.clone(), architecture: super::architecture(args.architecture.as_ref())? };
    if store.find(&name)?.is_none() {
        let hint = "`apt-ci testbed list` shows the testbeds of this host";
        return Err(NotFound { message: format!("there is no testbed of {name}"), hint }.into());
    }
    if !args.yes {
        ask::require_terminal_or_yes()?;
        if !ask::confirm(format!("Remove the testbed of {name}?")).await? {
            session.ui.note("Nothing was changed.");
            return Ok(ExitStatus::Failure);
        }
    }
    store.lock(&name)?.remove()?;
    session.ui.note(format!("Removed the testbed of {name}."));
    Ok(ExitStatus::Success)
}
