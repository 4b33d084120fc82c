//! Runs as users name them: by id, path or log URL, or by the package for its latest run.

use apt_ci::index::Index;
use apt_ci::release::{Architecture, Release};
use apt_ci::request::SourcePackage;
use apt_ci::result::RunId;
use apt_ci::runs::{self, RunFilter, StoredRun};
use apt_ci::site::Site;
use apt_ci::store::Store;

use super::query::{ask, releases};
use super::spelling;
use crate::session::Session;
use crate::ui::error::{BadInput, CommandError, CommandResult, NotFound};

/// Where to look for a run that is named by its id or its package alone.
#[derive(clap::Args)]
pub struct PlaceArgs {
    /// Only this release
    #[arg(short = 's', long = "release", visible_alias = "series", value_name = "RELEASE")]
    pub release: Option<Release>,
    /// Only this architecture
    #[arg(short = 'a', long = "arch", visible_alias = "architecture", value_name = "ARCH")]
    pub architecture: Option<Architecture>,
}

/// Returns the run that is named, or the latest run of the package that is named.
pub async fn run_or_latest(
    text: &str,
    place: &PlaceArgs,
    session: &Session,
    site: &Site,
    store: &Store,
) -> CommandResult<StoredRun> {
    if is_run(text) {
        return find_run(text, place, site, store).await;
    }
    let package: SourcePackage = text.parse()?;
    let question = RunFilter {
        package: Some(package),
        releases: releases(place.release.as_slice(), site)?,
        architecture: place.architecture.clone(),
        latest: true,
        ..RunFilter::default()
    };
    let (mut runs, _) = ask(&question, 1, session, site, store).await?;
    if runs.is_empty() {
        // If a package has only damaged results and runs from branches, the newest of them is better than none.
        (runs, _) = ask(&RunFilter { latest: false, ..question }, 1, session, site, store).await?;
    }
    runs.into_iter().next().ok_or_else(|| not_found(text, place, site, store))
}

/// Whether the text names a run, not a package. A run's id is often copied without its last character, which a double
/// click leaves out.
fn is_run(text: &str) -> bool {
    text.contains(['/', '@']) || format!("{text}@").parse::<RunId>().is_ok()
}

/// Returns the run that a text names.
async fn find_run(text: &str, place: &PlaceArgs, site: &Site, store: &Store) -> CommandResult<StoredRun> {
    let meant = |run: &StoredRun| {
        place.release.as_ref().is_none_or(|release| run.path.release == *release)
            && place.architecture.as_ref().is_none_or(|architecture| run.path.architecture == *architecture)
    };
    // An index finds a run at once. It may be old, because runs do not change.
    if let Ok(Some(index)) = Index::open(&Index::path(&site.cache_dir, store)) {
        let found = index.with_id(text).unwrap_or_default();
        if let Some(run) = only(text, found.into_iter().filter(meant).collect())? {
            return Ok(run);
        }
    }
    // A path contains the release.
    let releases =
        if text.contains('/') { place.release.as_slice().to_vec() } else { releases(place.release.as_slice(), site)? };
    let found = runs::find(store, &releases, text).await?;
    only(text, found.into_iter().filter(meant).collect())?.ok_or_else(|| not_found(text, place, site, store))
}

/// Returns the only run that was found, if any.
fn only(text: &str, mut found: Vec<StoredRun>) -> CommandResult<Option<StoredRun>> {
    if found.len() > 1 {
        let paths: Vec<String> = found.iter().take(5).map(|run| run.path.folder(&run.id)).collect();
        let more = if found.len() > paths.len() { ", and others" } else { "" };
        let message = format!("{} runs match {text}", found.len());
        return Err(BadInput { message, hint: Some(format!("give its path: {}{more}", paths.join(", "))) }.into());
    }
    Ok(found.pop())
}

fn not_found(text: &str, place: &PlaceArgs, site: &Site, store: &Store) -> CommandError {
    if let Err(typing_error) = spelling::check_places(&place.release, place.architecture.as_ref(), site) {
        return typing_error.into();
    }
    let release = place.release.as_ref().map(ToString::to_string);
    let names: Vec<String> = release.into_iter().chain(place.architecture.as_ref().map(ToString::to_string)).collect();
    let on = if names.is_empty() { String::new() } else { format!(" on {}", names.join(" ")) };
    let what = if is_run(text) { format!("run {text:?}") } else { format!("results for package {text}") };
    let message = format!("{} has no {what}{on}", store.address());
    NotFound { message, hint: "run `apt-ci results` to list the available runs" }.into()
}
