//! `apt-ci testbed`: the isolated testbeds of this host.

mod build;
mod list;
mod remove;
mod update;

use apt_ci::release::{Architecture, Release};
use apt_ci::site::Site;
use apt_ci::site::host;
use apt_ci::testbed::images::{Image, ImageBuild, ImageError, ImageLock, ImageName, ImageStore};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::session::Session;
use crate::ui::error::{BadInput, CommandResult};
use crate::ui::exit::ExitStatus;
use crate::ui::{Ui, interrupt};

/// Build, list, update and remove isolated testbeds
///
/// A testbed is a small system of a release, in which autopkgtest's server unshare runs a test as an ordinary user. It
/// is built once by mmdebstrap; each test gets a fresh copy.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  apt-ci testbed build bookworm
  apt-ci testbed list
  apt-ci testbed update                    rebuild all of them")]
pub struct TestbedArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Build(build::BuildArgs),
    List(list::ListArgs),
    Update(update::UpdateArgs),
    Remove(remove::RemoveArgs),
}

pub async fn run(args: TestbedArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    let store = ImageStore::new(site.testbeds_dir.clone());
    match args.command {
        Command::Build(args) => build::run(&args, &store, &site, session).await,
        Command::List(args) => list::run(&args, &store, session),
        Command::Update(args) => update::run(&args, &store, session).await,
        Command::Remove(args) => remove::run(&args, &store, session).await,
    }
}

/// Returns the architecture that is meant: the given one, or this host's.
fn architecture(given: Option<&Architecture>) -> CommandResult<Architecture> {
    let own = || host::architecture().ok_or_else(|| unknown("architecture", "-a ARCH"));
    Ok(given.cloned().map_or_else(own, Ok)?)
}

/// Returns the release that is meant: the given one, or the only one of the site.
fn release(given: Option<&Release>, site: &Site) -> CommandResult<Release> {
    let mut releases = site.releases.value.keys();
    match (given, releases.next(), releases.next()) {
        (Some(release), ..) | (None, Some(release), None) => Ok(release.clone()),
        _ => Err(unknown("release", "RELEASE").into()),
    }
}

fn unknown(noun: &str, argument: &str) -> BadInput {
    BadInput { message: format!("no {noun} was given"), hint: Some(format!("name one with {argument}")) }
}

/// Builds a testbed and shows that it goes on. Ctrl-C stops the build.
async fn build(lock: &ImageLock, mirror: Option<&str>, session: &Session) -> Result<Image, ImageError> {
    let spinner = spinner(&session.ui, lock.name());
    let build = ImageBuild { mirror, path_variable: session.environment.get("PATH") };
    let outcome = build.run(lock, interrupt::ctrl_c()).await;
    spinner.finish_and_clear();
    outcome
}

/// Returns a spinner with the time since its start; invisible in a pipe, with `--quiet` and with `--json`.
fn spinner(ui: &Ui, name: &ImageName) -> ProgressBar {
    if !ui.moves() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
    let spinner = ProgressBar::new_spinner().with_style(style).with_message(format!("building the testbed of {name}"));
    spinner.enable_steady_tick(std::time::Duration::from_millis(100));
    spinner
}

/// Returns what programs get to know about a testbed.
fn document(image: &Image) -> Value {
    json!({
        "release": image.record.release,
        "architecture": image.record.architecture,
        "tarball": image.tarball,
        "mirror": image.record.mirror,
        "sources": image.record.sources,
        "built": image.record.built,
        "bytes": image.record.bytes,
    })
}
