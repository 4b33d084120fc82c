//! `apt-ci testbed update`.

use apt_ci::release::{Architecture, Release};
use apt_ci::testbed::images::{Image, ImageError, ImageStore};

use crate::session::Session;
use crate::ui::error::{CommandError, CommandResult, NotFound};
use crate::ui::exit::ExitStatus;

/// Rebuild testbeds from their mirrors; running tests keep the one that they began with
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  apt-ci testbed update                    rebuild all of them
  apt-ci testbed update bookworm")]
pub struct UpdateArgs {
    /// Release [default: all of them]
    #[arg(value_name = "RELEASE")]
    release: Option<Release>,
    /// Architecture [default: all of them]
    #[arg(short, long = "arch", value_name = "ARCH")]
    architecture: Option<Architecture>,
}

pub async fn run(args: &UpdateArgs, store: &ImageStore, session: &Session) -> CommandResult<ExitStatus> {
    let is_meant = |image: &Image| {
        args.release.as_ref().is_none_or(|release| *release == image.name.release)
            && args.architecture.as_ref().is_none_or(|architecture| *architecture == image.name.architecture)
    };
    let images: Vec<Image> = store.list()?.into_iter().filter(is_meant).collect();
    if images.is_empty() {
        let hint = "`apt-ci testbed list` shows them; `apt-ci testbed build RELEASE` builds one";
        return Err(NotFound { message: "there is no such testbed".to_owned(), hint }.into());
    }
    let mut exit = ExitStatus::Success;
    let mut updated = Vec::new();
    for image in images {
        let outcome =
            async { super::build(&store.lock(&image.name)?, Some(&image.record.mirror), session).await }.await;
        match outcome {
            Ok(image) => {
                session.ui.note(format!("Rebuilt the testbed of {} from {}.", image.name, image.record.mirror));
                updated.push(super::document(&image));
            }
            Err(ImageError::Stopped) => {
                session.ui.note(format!("The build was stopped; the testbed of {} has not changed.", image.name));
                exit = ExitStatus::Interrupted;
                break;
            }
            // The others may succeed.
            Err(error) => {
                exit = ExitStatus::Failure;
                let error = CommandError::from(error);
                session.ui.warn(format!("{}: {error}", image.name));
                if let Some(hint) = error.hint() {
                    session.ui.note(format!("hint: {hint}"));
                }
            }
        }
    }
    if session.ui.is_json {
        session.ui.json(&updated)?;
    }
    Ok(exit)
}
