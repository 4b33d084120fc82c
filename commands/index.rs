//! `apt-ci index`: a local copy of the store's listings, for fast answers.

use std::path::PathBuf;
use std::time::Duration;

use apt_ci::broker::{Listener, Topic};
use apt_ci::index::{Announcements, Index, IndexError, RefreshProgress, RefreshSummary};
use apt_ci::release::Release;
use apt_ci::result::ResultLocation;
use apt_ci::retry::{self, RetryPolicy};
use apt_ci::runs::PackageSource;
use apt_ci::site::Site;
use apt_ci::store::{Store, StoreError};
use clap::Subcommand;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use indicatif::ProgressBar;
use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use crate::results::query::releases;
use crate::results::spelling::check_release;
use crate::session::Session;
use crate::ui::error::{CommandError, CommandResult, NotFound, OperationFailed};
use crate::ui::exit::ExitStatus;
use crate::ui::interrupt;
use crate::ui::progress;
use crate::ui::table::{self, Cell, Column};

/// Maximum number of containers that are listed at the same time.
const CONCURRENCY: usize = 4;
/// Maximum number of damaged results that are named.
const MAX_NAMED: usize = 10;
/// Interval between complete scans with `--follow`: private runs are not announced.
const SCAN_INTERVAL: Duration = Duration::from_secs(15 * 60);
/// Interval between complete scans with `--follow` where nothing is announced.
const UNANNOUNCED_SCAN_INTERVAL: Duration = Duration::from_secs(10);
/// Interval between notes that nothing was missed. It is shorter than the time for which an index without a note is
/// trusted.
const NOTE_INTERVAL: Duration = Duration::from_secs(5);
/// Maximum number of announced results that are looked up at the same time.
const MAX_LOOKUPS: usize = 16;
/// Maximum number of announcements that are received before some of them are looked up.
const MAX_BURST: usize = 1000;
/// Delay before a complete scan when announced results were not found.
const SCAN_DELAY_AFTER_LOSS: Duration = Duration::from_secs(30);
/// Delays after failures. They double with each further failure.
const RETRY_DELAY: RetryPolicy =
    RetryPolicy { first_delay: Duration::from_secs(5), max_delay: SCAN_INTERVAL, has_jitter: false, ..retry::ENDLESS };

/// Build a local index of the store's results for fast queries
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
The index is built from the listings of the store's containers; results whose outcome is not listed are fetched. Indexed \
results are not fetched again. Indexing can be interrupted; the next run resumes. `apt-ci results` uses the index while it is up to date.
Without permission to list the store's account, for example without credentials, only public containers of the releases are indexed.
Piped output is tab-separated: container, new runs, removed runs, fetched results, damaged results.

Examples:
  apt-ci index -s noble
  apt-ci index --follow            keep running, and index results as workers announce them
  apt-ci index export /srv/www/autopkgtest.db"
)]
pub struct IndexArgs {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only containers of this release and its PPAs (can be repeated)
    #[arg(short = 's', long = "release", visible_alias = "series", value_name = "RELEASE")]
    releases: Vec<Release>,
    /// Re-read everything, including what is already indexed
    #[arg(long)]
    rebuild: bool,
    /// Keep running until Ctrl-C: index results as workers announce them, and rescan everything every 15 minutes (every
    /// 10 seconds with the embedded queue)
    #[arg(short, long)]
    follow: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Write the database for proposed-migration and web pages, and its checksum
    ///
    /// It has the indexed results of the releases' public containers. The checksum is written to FILE.sha256.
    #[command(after_help = "Example:\n  apt-ci index export /srv/www/autopkgtest.db")]
    Export {
        /// Output file (replaced atomically)
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

pub async fn run(args: IndexArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    let store = session.store(&site)?;
    let path = Index::path(&site.cache_dir, &store);
    if let Some(Command::Export { file }) = &args.command {
        let message = format!("no index of {} yet", store.address());
        let index = Index::open(&path)?.ok_or(NotFound { message, hint: "run `apt-ci index` to create it" })?;
        let exported = index.export(file)?;
        session.ui.note(format!(
            "Wrote {} results to {} and their checksum to {}.",
            exported.results,
            file.display(),
            exported.checksum_file.display()
        ));
        if session.ui.is_json {
            session.ui.json(&json!({"results": exported.results, "sha256": exported.sha256}))?;
        }
        return Ok(ExitStatus::Success);
    }
    let index = match Index::fill(&path) {
        Err(error @ IndexError::Busy(_)) => {
            let message = error.to_string();
            return Err(OperationFailed {
                message,
                hint: "nothing needs to be done: until the index is complete, results are read from the store".into(),
            }
            .into());
        }
        other => other?,
    };
    let mut ctrl_c = std::pin::pin!(interrupt::ctrl_c());
    let filling = async {
        let refreshed = refresh(&args, &index, &store, &site, session, true).await;
        if args.follow {
            if let Err(error) = refreshed {
                session.ui.warn(format!("{error:#}"));
            }
            follow(&args, &index, &store, &site, session).await;
            return Ok(());
        }
        refreshed.map(drop)
    };
    tokio::select! {
        outcome = filling => outcome.map(|()| ExitStatus::Success),
        _ = &mut ctrl_c => {
            session.ui.note("Progress is saved; run `apt-ci index` to continue.");
            Ok(if args.follow { ExitStatus::Success } else { ExitStatus::Interrupted })
        }
    }
}

/// Updates all containers, and reports what has changed. Returns the names of the updated ones.
///
/// # Errors
/// When a container cannot be listed, after all others are updated.
async fn refresh(
    args: &IndexArgs,
    index: &Index,
    store: &Store,
    site: &Site,
    session: &Session,
    tells: bool,
) -> CommandResult<Vec<String>> {
    let mut containers = containers(args, store, site).await?;
    // Containers that are no longer in the store are removed from the index.
    for known in index.containers()? {
        if is_meant(&known, &args.releases) && !containers.contains(&known) {
            containers.push(known);
        }
    }
    for release in &args.releases {
        if !containers.iter().any(|name| is_meant(name, std::slice::from_ref(release))) {
            check_release(release, site)?;
        }
    }
    let bar = if tells { progress::counter(&session.ui, "listing") } else { ProgressBar::hidden() };
    let progress = |step: RefreshProgress| {
        if let Some(total) = step.of {
            bar.inc_length(total);
        }
        bar.inc(step.objects);
    };
    // With --follow, only the first scan rebuilds.
    let refreshing = stream::iter(containers).map(|name| async {
        let refreshed = index.refresh(store, &name, args.rebuild && tells, &progress).await;
        (name, refreshed)
    });
    let outcomes: Vec<(String, Result<RefreshSummary, IndexError>)> = refreshing.buffered(CONCURRENCY).collect().await;
    bar.finish_and_clear();
    let (mut refreshed, mut failures) = (Vec::new(), Vec::new());
    for (name, outcome) in outcomes {
        match outcome {
            Ok(what) => refreshed.push((name, what)),
            Err(error) => failures.push((name, error)),
        }
    }
    let damaged: Vec<&String> = refreshed.iter().flat_map(|(_, refreshed)| &refreshed.damaged).collect();
    for name in damaged.iter().take(MAX_NAMED) {
        session.ui.warn(format!("the result of {name} is damaged"));
    }
    if damaged.len() > MAX_NAMED {
        session.ui.warn(format!("… and {} more results are damaged", damaged.len() - MAX_NAMED));
    }
    if tells && (failures.is_empty() || !refreshed.is_empty()) {
        show(&refreshed, store, session)?;
    }
    let last = failures.pop();
    for (name, error) in failures {
        session.ui.warn(format!("the index of {name} is incomplete: {error}"));
    }
    if let Some((name, error)) = last {
        let message = format!("the index of {name} is incomplete (`apt-ci index` continues)");
        return Err(CommandError::from(error).context(message));
    }
    Ok(refreshed.into_iter().map(|(name, _)| name).collect())
}

fn show(refreshed: &[(String, RefreshSummary)], store: &Store, session: &Session) -> CommandResult<()> {
    if session.ui.is_json {
        let one = |(name, refreshed): &(String, RefreshSummary)| {
            let RefreshSummary { added, removed, fetched, damaged } = refreshed;
            json!({"container": name, "added": added, "removed": removed, "fetched": fetched, "damaged": damaged})
        };
        return session.ui.json(&refreshed.iter().map(one).collect::<Vec<_>>());
    }
    let changed: Vec<&(String, RefreshSummary)> = refreshed
        .iter()
        .filter(|(_, refreshed)| !session.ui.is_terminal || *refreshed != RefreshSummary::default())
        .collect();
    let rows: Vec<Vec<Cell>> = changed
        .iter()
        .map(|(name, refreshed)| {
            let RefreshSummary { added, removed, fetched, damaged } = refreshed;
            vec![Cell::new(name), Cell::new(added), Cell::new(removed), Cell::new(fetched), Cell::new(damaged.len())]
        })
        .collect();
    const COLUMNS: [Column<'_>; 5] = [
        Column::new("CONTAINER").wrap(),
        Column::new("NEW").right(),
        Column::new("REMOVED").right(),
        Column::new("FETCHED").right(),
        Column::new("DAMAGED").right(),
    ];
    table::print(&session.ui, &COLUMNS, &rows)?;
    match (refreshed.len(), changed.len()) {
        (0, _) => session.ui.note(format!("The store {} has no results of these releases.", store.address())),
        (_, 0) => session.ui.note("The index was up to date."),
        _ => {}
    }
    Ok(())
}

/// Returns the store's containers of the chosen releases.
async fn containers(args: &IndexArgs, store: &Store, site: &Site) -> CommandResult<Vec<String>> {
    match store.containers().await {
        Ok(mut all) => {
            all.retain(|name| is_meant(name, &args.releases));
            Ok(all)
        }
        Err(StoreError::Refused { .. }) => {
            let releases = releases(&args.releases, site)?;
            Ok(releases.iter().flat_map(|release| PackageSource::Release.containers(release)).collect())
        }
        Err(error) => Err(error.into()),
    }
}

fn is_meant(name: &str, releases: &[Release]) -> bool {
    ResultLocation::of_container(name).is_some_and(|(release, _)| releases.is_empty() || releases.contains(&release))
}

/// Indexes results as workers announce them. Failures are reported, and tried again.
async fn follow(args: &IndexArgs, index: &Index, store: &Store, site: &Site, session: &Session) {
    session.ui.note("Following new results; press Ctrl-C to stop.");
    let mut delays = RETRY_DELAY.delays();
    loop {
        let listening = async {
            let broker = session.broker(site).await?;
            Ok::<_, CommandError>(broker.listen(Topic::TestComplete).await?)
        };
        let outcome = match listening.await {
            Ok(listener) => {
                delays = RETRY_DELAY.delays();
                // Results may have been announced before this process listened.
                match refresh(args, index, store, site, session, false).await {
                    Ok(containers) => heed(listener, &containers, index, store).await,
                    Err(error) => Err(error),
                }
            }
            // The store can be scanned without announcements.
            Err(error) => refresh(args, index, store, site, session, false).await.and(Err(error)),
        };
        if let Err(error) = outcome {
            let delay = delays.next_delay();
            session.ui.warn(format!("{error:#}; trying again in {} s", delay.as_secs()));
            tokio::time::sleep(delay).await;
        }
    }
}

/// Listens until it is time for the next complete scan. `containers` are those that the index has completely.
async fn heed(mut listener: Listener, containers: &[String], index: &Index, store: &Store) -> CommandResult<()> {
    let time = if listener.hears() { SCAN_INTERVAL } else { UNANNOUNCED_SCAN_INTERVAL };
    let mut end = Instant::now() + time;
    let mut note = Instant::now() + NOTE_INTERVAL;
    let mut announced = Announcements::default();
    while Instant::now() < end {
        let wake = announced.next_due().map_or(note, |due| due.min(note)).min(end);
        if let Some(message) = listener.next(wake).await? {
            announced.add(message, Instant::now());
            // Received together, so that the newest of a burst is looked up first.
            for _ in 0..MAX_BURST {
                let Some(message) = listener.next(Instant::now()).await? else { break };
                announced.add(message, Instant::now());
            }
        }
        let due = announced.take_due(Instant::now(), MAX_LOOKUPS);
        let looks = due.into_iter().map(|one| async {
            let found = index.add_completed(store, &one.message).await;
            (one, found)
        });
        for (one, found) in join_all(looks).await {
            if found? { announced.found(&one) } else { announced.missed(one, Instant::now()) }
        }
        if announced.has_dropped() {
            end = end.min(Instant::now() + SCAN_DELAY_AFTER_LOSS);
        }
        if Instant::now() >= note {
            if listener.hears() && announced.is_complete() {
                index.mark_followed(containers, Timestamp::now())?;
            }
            note = Instant::now() + NOTE_INTERVAL;
        }
    }
    listener.end().await;
    Ok(())
}
