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
use crate::ui::error::NotFound;
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
    let not_found = || not_found(args, store);
    // A run's id is often copied without its last character: a double click does not take it.
    let whole = format!("{}@", args.run);
    let run = if whole.parse::<RunId>().is_ok() { &whole } else { &args.run };
    if run.contains(['/', '@']) {
        let releases: Vec<Release> = places.into_iter().map(|(release, _)| release).collect();
        return runs::find(store, &releases, run).await?.ok_or_else(not_found);
    }
    let package: SourcePackage = args.run.parse()?;
    let mut latest: Option<StoredRun> = None;
    for (release, architectures) in places {
        let found = results::of_package(store, &release, &architectures, &package).await?;
        latest = found.into_iter().chain(latest).max_by(|a, b| a.id.cmp(&b.id));
    }
    latest.ok_or_else(not_found)
}

fn not_found(args: &LogArgs, store: &Store) -> anyhow::Error {
    let on = |what: Option<String>| what.map(|name| format!(" on {name}")).unwrap_or_default();
    let release = on(args.release.as_ref().map(ToString::to_string));
    let architecture = on(args.architecture.as_ref().map(ToString::to_string));
    let message = format!("{} holds no run {:?}{release}{architecture}", store.address(), args.run);
    NotFound { message, hint: "`apt-ci results` shows the runs that are there" }.into()
}
