//! `apt-ci log`: the log of a run.

use anyhow::Context;
use apt_ci::release::{Architecture, Release};
use apt_ci::request::SourcePackage;
use apt_ci::result::RunId;
use apt_ci::runs::{self, StoredRun};
use apt_ci::site::Site;
use apt_ci::store::Store;
use tokio::io::AsyncReadExt;

use super::results;
use crate::session::Session;
use crate::ui::error::{BadInput, NotFound};
use crate::ui::exit::ExitStatus;
use crate::ui::pager;

/// Show the log of a run, or of a package's latest one
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  apt-ci log gzip -s bookworm
  apt-ci log 20261123_112202_ece40@

On a terminal, the log goes through APT_CI_PAGER, PAGER, or less.")]
pub struct LogArgs {
    /// A run (its id, its path RELEASE/ARCH/PREFIX/PACKAGE/RUN@, or its log's URL), or a source package
    #[arg(value_name = "RUN|PACKAGE")]
    run: String,
    /// Only this release's runs
    #[arg(short = 's', long = "release", visible_alias = "series", value_name = "RELEASE")]
    release: Option<Release>,
    /// Only this architecture's runs
    #[arg(short = 'a', long = "arch", visible_alias = "architecture", value_name = "ARCH")]
    architecture: Option<Architecture>,
}

pub async fn run(args: LogArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let site = session.site()?;
    let store = session.store(&site)?;
    let run = find(&args, &site, &store).await?;
    let mut text = run.log(&store).await?;
    if session.ui.json {
        let mut log = Vec::new();
        text.read_to_end(&mut log).await.with_context(|| format!("the log of {} cannot be read", run.object("")))?;
        let mut document = serde_json::to_value(&run)?;
        document["log"] = String::from_utf8_lossy(&log).into();
        session.ui.json(&document)?;
        return Ok(ExitStatus::Success);
    }
    pager::show(&session.ui, &session.environment, &mut text).await?;
    Ok(ExitStatus::Success)
}

async fn find(args: &LogArgs, site: &Site, store: &Store) -> anyhow::Result<StoredRun> {
    let places = results::places(args.release.as_ref(), args.architecture.as_ref(), site)?;
    let not_found = || not_found(&args.run, args.release.as_ref(), args.architecture.as_ref(), store);
    if is_run(&args.run) {
        return find_run(&args.run, args.release.as_ref(), args.architecture.as_ref(), site, store).await;
    }
    let package: SourcePackage = args.run.parse()?;
    let mut latest: Option<StoredRun> = None;
    for (release, architectures) in places {
        let found = results::of_package(store, &release, &architectures, &package).await?;
        latest = found.into_iter().chain(latest).max_by(|a, b| a.id.cmp(&b.id));
    }
    latest.ok_or_else(not_found)
}

/// Whether the text names a run, not a package. A run's id is often copied without its last character: a double click does not take it.
fn is_run(text: &str) -> bool {
    text.contains(['/', '@']) || format!("{text}@").parse::<RunId>().is_ok()
}

/// The run that a text names.
pub async fn find_run(
    text: &str,
    release: Option<&Release>,
    architecture: Option<&Architecture>,
    site: &Site,
    store: &Store,
) -> anyhow::Result<StoredRun> {
    if !is_run(text) {
        let message =
            format!("{text:?} is no run: a run is its id, its path RELEASE/ARCH/PREFIX/PACKAGE/RUN@, or its log's URL");
        return Err(
            BadInput { message, hint: Some("`apt-ci results` shows the runs that are there".to_owned()) }.into()
        );
    }
    let releases: Vec<Release> =
        results::places(release, architecture, site)?.into_iter().map(|(release, _)| release).collect();
    let found = runs::find(store, &releases, text).await?;
    let found = found.filter(|run| architecture.is_none_or(|architecture| run.path.architecture == *architecture));
    found.ok_or_else(|| not_found(text, release, architecture, store))
}

fn not_found(
    text: &str,
    release: Option<&Release>,
    architecture: Option<&Architecture>,
    store: &Store,
) -> anyhow::Error {
    let on = |what: Option<String>| what.map(|name| format!(" on {name}")).unwrap_or_default();
    let (release, architecture) = (on(release.map(ToString::to_string)), on(architecture.map(ToString::to_string)));
    let message = format!("{} holds no run {text:?}{release}{architecture}", store.address());
    NotFound { message, hint: "`apt-ci results` shows the runs that are there" }.into()
}
