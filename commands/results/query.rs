//! Queries for runs, answered by the index if it is complete, or else by the store.

use std::sync::Once;
use std::time::Duration;

use apt_ci::index::{Index, IndexError};
use apt_ci::release::{Architecture, Release};
use apt_ci::request::{Ppa, SourcePackage};
use apt_ci::result::Outcome;
use apt_ci::runs::{self, PackageSource, RunFilter, StoredRun, TriggerPattern};
use apt_ci::site::Site;
use apt_ci::store::{Store, StoreError};
use jiff::Timestamp;

use crate::help::heading::RESULTS;
use crate::run::invalid_ppa;
use crate::session::{NO_SITE_HINT, Session};
use crate::ui::error::{BadInput, CommandResult};
use crate::ui::when::{self, Since};

/// Time for which an index is trusted without a query of the store. `apt-ci index --follow` confirms it more often.
const INDEX_TTL: Duration = Duration::from_secs(15);

/// Which runs are meant.
#[derive(clap::Args)]
pub struct Conditions {
    /// Only this release
    #[arg(
        short = 's',
        long = "release",
        visible_alias = "series",
        value_name = "RELEASE",
        help_heading = RESULTS,
        long_help = "Only this release (can be repeated) [default: all releases of the site]"
    )]
    pub releases: Vec<Release>,
    /// Only this architecture
    #[arg(
        short = 'a',
        long = "arch",
        visible_alias = "architecture",
        value_name = "ARCH",
        help_heading = RESULTS
    )]
    pub architecture: Option<Architecture>,
    /// Only runs with this trigger, in the given or any version
    #[arg(long, value_name = "SRC[/VERSION]", help_heading = RESULTS, hide_short_help = true)]
    pub trigger: Option<TriggerPattern>,
    /// Only runs requested by NAME
    #[arg(long, value_name = "NAME", help_heading = RESULTS, hide_short_help = true)]
    pub requester: Option<String>,
    /// Only runs with this outcome
    #[arg(
        long = "outcome",
        value_name = "OUTCOME",
        value_delimiter = ',',
        value_parser = outcome,
        help_heading = RESULTS,
        long_help = "Only runs with this outcome (comma-separated for several)"
    )]
    pub outcomes: Vec<Outcome>,
    /// Only runs published since TIME, such as `2d`
    #[arg(
        long,
        value_name = "TIME",
        help_heading = RESULTS,
        long_help = "Only runs published since TIME, such as `2d`, `12h` or `2026-11-23`"
    )]
    pub since: Option<Since>,
    /// Only runs published before TIME
    #[arg(long, value_name = "TIME", help_heading = RESULTS, hide_short_help = true)]
    pub until: Option<Since>,
    /// Show runs with packages from this PPA instead
    // Checked later: what clap refuses, it repeats, and this may hold a token.
    #[arg(long, value_name = "OWNER/NAME", help_heading = RESULTS, hide_short_help = true)]
    pub ppa: Option<String>,
}

impl Conditions {
    /// Returns the query for a package, or for all.
    pub fn question(&self, package: Option<SourcePackage>, latest: bool, site: &Site) -> CommandResult<RunFilter> {
        Ok(RunFilter {
            origin: self.ppa.as_deref().map(ppa).transpose()?.unwrap_or_default(),
            package,
            releases: releases(&self.releases, site)?,
            architecture: self.architecture.clone(),
            trigger: self.trigger.clone(),
            requester: self.requester.clone(),
            outcomes: self.outcomes.clone(),
            since: self.since.map(|since| since.0),
            until: self.until.map(|until| until.0),
            latest,
        })
    }
}

/// Parses an outcome.
pub fn outcome(text: &str) -> Result<Outcome, String> {
    let known = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == text);
    known.ok_or_else(|| format!("expected one of: {}", Outcome::ALL.map(Outcome::as_str).join(", ")))
}

fn ppa(text: &str) -> CommandResult<PackageSource> {
    let ppa: Ppa = text.trim_start_matches("ppa:").parse().map_err(|error| invalid_ppa(&error))?;
    if ppa.login().is_some() {
        let message = "a PPA's token must not be given on the command line, and is not needed here".to_owned();
        return Err(BadInput { message, hint: Some("give the PPA only as OWNER/NAME".to_owned()) }.into());
    }
    Ok(PackageSource::ppa(ppa.owner(), ppa.name()))
}

/// Returns the named releases, or else all of the site.
pub fn releases(named: &[Release], site: &Site) -> CommandResult<Vec<Release>> {
    let releases: Vec<Release> =
        if named.is_empty() { site.releases.value.keys().cloned().collect() } else { named.to_vec() };
    if releases.is_empty() {
        let message = format!("no releases are configured ({})", site.releases.origin);
        let hint = Some(match site.root {
            Some(_) => "give one with -s, or add releases to [releases] in apt-ci.toml".to_owned(),
            None => format!("give one with -s; {NO_SITE_HINT}"),
        });
        return Err(BadInput { message, hint }.into());
    }
    Ok(releases)
}

/// Returns the runs that match, newest first, at most `limit`, and whether there are more.
pub async fn ask(
    question: &RunFilter,
    limit: usize,
    session: &Session,
    site: &Site,
    store: &Store,
) -> CommandResult<(Vec<StoredRun>, bool)> {
    let asked = |index: &Index| index.runs(question, limit);
    match from_index(&question.releases, &question.origin, session, site, store, asked).await {
        Some(answer) => Ok(answer),
        None => ask_store(question, limit, store).await,
    }
}

/// Returns the runs that match, from the store itself.
async fn ask_store(question: &RunFilter, limit: usize, store: &Store) -> CommandResult<(Vec<StoredRun>, bool)> {
    let mut runs = Vec::new();
    let (mut refused, mut read) = (None, 0);
    for release in &question.releases {
        for container in question.origin.containers(release) {
            match runs::in_container(store, &container, release, question, limit).await {
                // A PPA's private container is readable for few, and without credentials a missing container is
                // refused, too.
                Err(error @ StoreError::Refused { .. }) => refused = Some(error),
                found => {
                    runs.extend(found?);
                    read += 1;
                }
            }
        }
    }
    if let Some(error) = refused.filter(|_| read == 0 && question.origin == PackageSource::Release) {
        return Err(error.into());
    }
    let mut runs = question.apply(runs);
    let more = runs.len() > limit;
    runs.truncate(limit);
    Ok((runs, more))
}

/// Returns the public runs of a release since a time, from the store itself.
pub async fn since(
    release: &Release,
    architecture: Option<&Architecture>,
    since: Since,
    store: &Store,
) -> CommandResult<Vec<StoredRun>> {
    let question = RunFilter {
        releases: vec![release.clone()],
        architecture: architecture.cloned(),
        since: Some(since.0),
        ..RunFilter::default()
    };
    Ok(ask_store(&question, usize::MAX, store).await?.0)
}

/// Returns the answer of the index, if it has all results of these releases. An index that cannot be read is ignored
/// with a warning, because it is only a copy.
pub async fn from_index<T>(
    releases: &[Release],
    origin: &PackageSource,
    session: &Session,
    site: &Site,
    store: &Store,
    ask: impl FnOnce(&Index) -> Result<T, IndexError>,
) -> Option<T> {
    let fresh = fresh_index(releases, origin, session, site, store).await;
    match fresh.and_then(|index| index.as_ref().map(ask).transpose()) {
        Ok(answer) => answer,
        Err(error) => {
            // A command may query more than once.
            static TOLD: Once = Once::new();
            TOLD.call_once(|| session.ui.warn(format!("{error}; querying the store instead")));
            None
        }
    }
}

/// Returns the index, if it has all results of these releases.
async fn fresh_index(
    releases: &[Release],
    origin: &PackageSource,
    session: &Session,
    site: &Site,
    store: &Store,
) -> Result<Option<Index>, IndexError> {
    let Some(index) = Index::open(&Index::path(&site.cache_dir, store))? else { return Ok(None) };
    let now = Timestamp::now();
    let mut oldest: Option<Timestamp> = None;
    for container in releases.iter().flat_map(|release| origin.containers(release)) {
        let Some(checked) = index.checked(&container)? else {
            // Most PPAs have no private container; only the store knows whether there is one now.
            match store.amount(&container).await {
                Err(StoreError::NotFound(_)) => continue,
                // Without credentials, a missing container is refused, too.
                Err(StoreError::Refused { .. }) if releases.len() > 1 || *origin != PackageSource::Release => continue,
                _ => return Ok(None),
            }
        };
        if (now.as_second() - checked.as_second()).unsigned_abs() <= INDEX_TTL.as_secs() {
            continue;
        }
        // A store that cannot tell whether anything has changed is asked itself.
        let Some(amount) = store.amount(&container).await.ok().flatten() else { return Ok(None) };
        if !index.is_complete(&container, amount)? {
            oldest = Some(oldest.map_or(checked, |oldest| oldest.min(checked)));
        }
    }
    if let Some(oldest) = oldest {
        static TOLD: Once = Once::new();
        if session.ui.moves() {
            let age = when::ago(oldest, now);
            TOLD.call_once(|| {
                session.ui.note(format!(
                    "The store has changed since the index was updated ({age}); querying the store instead. Run `apt-ci \
                     index` to update the index."
                ));
            });
        }
        return Ok(None);
    }
    Ok(Some(index))
}
