//! `apt-ci testbed build`.

use std::str::FromStr;

use apt_ci::release::{Architecture, Release};
use apt_ci::site::Site;
use apt_ci::testbed::images::{ImageError, ImageName, ImageStore};
use url::Url;

use crate::session::Session;
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;
use crate::ui::redacted_value::RedactedValue;

/// Build a testbed; an existing one is replaced when the new one is complete
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  apt-ci testbed build bookworm
  apt-ci testbed build noble -a arm64 --mirror http://ports.ubuntu.com/ubuntu-ports")]
pub struct BuildArgs {
    /// Release [default: the only release of the site]
    #[arg(value_name = "RELEASE")]
    release: Option<Release>,
    /// Architecture [default: this host's]
    #[arg(short, long = "arch", value_name = "ARCH")]
    architecture: Option<Architecture>,
    /// Archive to take packages from [default: the one that this host's apt uses, or the distribution's]
    #[arg(long, value_name = "URL", value_parser = RedactedValue::<Mirror>::new())]
    mirror: Option<Mirror>,
}

/// Address of an archive. It is among the builder's arguments, which everybody on this host can see.
#[derive(Debug, Clone)]
struct Mirror(String);

impl FromStr for Mirror {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("it is no address: {error}"))?;
        if !["http", "https", "file"].contains(&url.scheme()) || text.contains(char::is_whitespace) {
            return Err("it must begin with http://, https:// or file://, and have no spaces".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it must have no user and password, which everybody on this host could see".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

pub async fn run(args: &BuildArgs, store: &ImageStore, site: &Site, session: &Session) -> CommandResult<ExitStatus> {
    let release = super::release(args.release.as_ref(), site)?;
    let name = ImageName { release, architecture: super::architecture(args.architecture.as_ref())? };
    let lock = store.lock(&name)?;
    let image = match super::build(&lock, args.mirror.as_ref().map(|mirror| mirror.0.as_str()), session).await {
        Err(ImageError::Stopped) => {
            session.ui.note("The build was stopped; nothing has changed.");
            return Ok(ExitStatus::Interrupted);
        }
        other => other?,
    };
    if session.ui.is_json {
        session.ui.json(&super::document(&image))?;
    } else {
        session.ui.note(format!("Built the testbed of {name} from {}.", image.record.mirror));
        session.ui.data(image.tarball.display().to_string())?;
    }
    Ok(ExitStatus::Success)
}
