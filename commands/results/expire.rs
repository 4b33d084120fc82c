//! `apt-ci results expire` and `drop-release`: removes results that are no longer needed.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use apt_ci::release::Release;
use apt_ci::result::layout::{RESULT, parse_object};
use apt_ci::result::{PackagePath, ResultLocation, RunId};
use apt_ci::site::Site;
use apt_ci::store::{Entry, Query, Store, StoreError};
use serde_json::json;

use super::spelling;
use crate::session::Session;
use crate::ui::error::{BadInput, CommandResult, ErrorContext as _, NotFound};
use crate::ui::exit::ExitStatus;
use crate::ui::table::{self, Cell, Column};
use crate::ui::when::Since;
use crate::ui::{ask, progress};

/// Number of objects that are removed between two updates of the progress.
const BATCH_SIZE: usize = 1000;

/// Remove old runs from the store
#[derive(clap::Args)]
#[command(after_help = "\
The newest runs of each package and architecture in each container are kept, however old they are. Old runs without a \
result, such as those of workers that died while publishing, are removed, too. The command can be interrupted and run again.
Piped output is tab-separated: container, runs, objects, bytes.

Examples:
  apt-ci results expire -s noble --older-than 180d --dry-run
  apt-ci results expire -s noble --older-than 180d --keep-latest 20 --dry-run")]
pub struct ExpireArgs {
    /// Release whose runs to remove
    #[arg(short = 's', long = "release", visible_alias = "series", value_name = "RELEASE")]
    release: Release,
    /// Only runs published before TIME: `180d`, `26w`, `6mo`, `1y`, `12h` or a date
    #[arg(long, value_name = "TIME")]
    older_than: Since,
    /// Number of complete runs of each package and architecture to keep in any case
    #[arg(long, value_name = "N", default_value_t = 5)]
    keep_latest: usize,
    #[command(flatten)]
    certainty: ConfirmArgs,
}

/// Remove a release and all its results
///
/// This includes results with PPAs and private results.
#[derive(clap::Args)]
#[command(after_help = "\
For a release that is no longer supported. The command can be interrupted and run again.
Piped output is tab-separated: container, runs, objects, bytes.

Example:
  apt-ci results drop-release jammy --dry-run")]
pub struct DropArgs {
    /// Release to remove
    release: Release,
    #[command(flatten)]
    certainty: ConfirmArgs,
}

#[derive(clap::Args)]
struct ConfirmArgs {
    /// Show what would be removed
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do not ask for confirmation; must repeat the release's name
    #[arg(long, value_name = "RELEASE", conflicts_with = "dry_run")]
    confirm: Option<String>,
}

/// Objects to remove from a container.
#[derive(Default)]
struct ContainerRemoval {
    objects: Vec<String>,
    bytes: u64,
    runs: usize,
    /// Whether everything is removed, and the container as well.
    is_whole: bool,
}

pub async fn run(args: &ExpireArgs, session: &Session, site: &Site) -> CommandResult<ExitStatus> {
    check(&args.certainty, &args.release)?;
    let store = session.store(site)?;
    let mut doomed = Vec::new();
    let containers = containers(&args.release, &store).await?;
    if containers.is_empty() {
        spelling::check_release(&args.release, site)?;
    }
    let before = args.older_than;
    session.ui.note(format!("Runs published before {} expire.", before.0.strftime("%Y-%m-%d %H:%M UTC")));
    for container in containers {
        let objects = objects(&container, &store).await?;
        doomed.push((container, old(objects, before, args.keep_latest)));
    }
    remove(doomed, &args.certainty, &args.release, session, &store).await
}

pub async fn drop_release(args: &DropArgs, session: &Session, site: &Site) -> CommandResult<ExitStatus> {
    check(&args.certainty, &args.release)?;
    let store = session.store(site)?;
    let mut doomed = Vec::new();
    for container in containers(&args.release, &store).await? {
        let objects = objects(&container, &store).await?;
        let runs: HashSet<(PackagePath, RunId)> =
            objects.iter().filter_map(|(name, _)| parse_object(name)).map(|(path, id, _)| (path, id)).collect();
        let bytes = objects.iter().map(|(_, bytes)| bytes).sum();
        let objects = objects.into_iter().map(|(name, _)| name).collect();
        doomed.push((container, ContainerRemoval { objects, bytes, runs: runs.len(), is_whole: true }));
    }
    if doomed.is_empty() {
        spelling::check_release(&args.release, site)?;
        let message = format!("{} has no containers for {}", store.address(), args.release);
        return Err(NotFound {
            message,
            hint: "check the release's name; run `apt-ci results -s RELEASE` to list its results",
        }
        .into());
    }
    remove(doomed, &args.certainty, &args.release, session, &store).await
}

fn check(certainty: &ConfirmArgs, release: &Release) -> CommandResult<()> {
    match &certainty.confirm {
        Some(name) if name != release.as_str() => {
            let message = format!("--confirm {name} does not match the release {release}");
            Err(BadInput { message, hint: None }.into())
        }
        _ => Ok(()),
    }
}

/// Refuses to continue if the user cannot be asked.
fn require_terminal(release: &Release) -> Result<(), BadInput> {
    ask::require_terminal().map_err(|BadInput { message, .. }| {
        let hint = Some(format!("use --dry-run to see what would be removed, or --confirm {release} to remove it"));
        BadInput { message, hint }
    })
}

/// Returns the release's containers of all kinds.
async fn containers(release: &Release, store: &Store) -> CommandResult<Vec<String>> {
    let mut names = store.containers().await?;
    names.retain(|name| ResultLocation::of_container(name).is_some_and(|(of, _)| of == *release));
    Ok(names)
}

async fn objects(container: &str, store: &Store) -> CommandResult<Vec<(String, u64)>> {
    let entries = match store.list(container, &Query::default()).await {
        Err(StoreError::NotFound(_)) => Vec::new(),
        other => other?,
    };
    let object = |entry| match entry {
        Entry::Object(object) => Some((object.name, object.bytes)),
        Entry::Prefix(_) => None,
    };
    Ok(entries.into_iter().filter_map(object).collect())
}

/// Returns the objects of runs that are old enough, and not among the newest.
fn old(objects: Vec<(String, u64)>, before: Since, keep: usize) -> ContainerRemoval {
    let mut complete: BTreeMap<PackagePath, Vec<RunId>> = BTreeMap::new();
    for (path, id, file) in objects.iter().filter_map(|(name, _)| parse_object(name)) {
        if file == RESULT {
            complete.entry(path).or_default().push(id);
        }
    }
    let mut kept: HashSet<(PackagePath, RunId)> = HashSet::new();
    for (path, mut ids) in complete {
        ids.sort();
        kept.extend(ids.into_iter().rev().take(keep).map(|id| (path.clone(), id)));
    }
    let mut doomed = ContainerRemoval::default();
    let mut runs = HashSet::new();
    for (name, bytes) in objects {
        let Some((path, id, _)) = parse_object(&name) else { continue };
        let run = (path, id);
        if run.1.published() < before.0 && !kept.contains(&run) {
            doomed.bytes += bytes;
            doomed.objects.push(name);
            runs.insert(run);
        }
    }
    doomed.runs = runs.len();
    doomed
}

async fn remove(
    doomed: Vec<(String, ContainerRemoval)>,
    certainty: &ConfirmArgs,
    release: &Release,
    session: &Session,
    store: &Store,
) -> CommandResult<ExitStatus> {
    let doomed: Vec<(String, ContainerRemoval)> =
        doomed.into_iter().filter(|(_, doomed)| doomed.is_whole || !doomed.objects.is_empty()).collect();
    if doomed.is_empty() {
        session.ui.note("Nothing to remove.");
        return report(&doomed, session);
    }
    let runs: usize = doomed.iter().map(|(_, doomed)| doomed.runs).sum();
    if certainty.dry_run {
        report(&doomed, session)?;
        session.ui.note(format!("Would remove {runs} runs of {release}."));
        return Ok(ExitStatus::Success);
    }
    if certainty.confirm.is_none() {
        require_terminal(release)?;
        if !session.ui.is_json {
            report(&doomed, session)?;
        }
        let said = ask::name(format!("To permanently remove {runs} runs, type {release}")).await?;
        if said.trim() != release.as_str() {
            session.ui.note("Nothing was changed.");
            return Ok(ExitStatus::Failure);
        }
    }
    let total = doomed.iter().map(|(_, doomed)| doomed.objects.len()).sum();
    let bar = progress::bar(&session.ui, total, "removing");
    for (container, doomed) in &doomed {
        for piece in doomed.objects.chunks(BATCH_SIZE) {
            let removing = store.delete_all(container, piece).await;
            removing.with_context(|| {
                format!("{} of {total} objects were removed; run this again for the rest", bar.position())
            })?;
            bar.inc(piece.len() as u64);
        }
        if doomed.is_whole {
            remove_container(container, session, store).await;
        }
    }
    bar.finish_and_clear();
    if certainty.confirm.is_some() || session.ui.is_json {
        report(&doomed, session)?;
    }
    session.ui.note(format!("Removed {runs} runs of {release}."));
    Ok(ExitStatus::Success)
}

/// Removes an empty container. A store of several servers may report for a while that it is not empty.
async fn remove_container(container: &str, session: &Session, store: &Store) {
    for _ in 0..5 {
        match store.delete_container(container).await {
            Ok(()) => return,
            Err(error) => {
                tracing::debug!("{container} cannot be removed now: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
    session.ui.warn(format!("cannot remove the empty container {container} yet; run this again later"));
}

fn report(doomed: &[(String, ContainerRemoval)], session: &Session) -> CommandResult<ExitStatus> {
    if session.ui.is_json {
        let one = |(container, doomed): &(String, ContainerRemoval)| json!({"container": container, "runs": doomed.runs, "objects": doomed.objects.len(), "bytes": doomed.bytes});
        session.ui.json(&doomed.iter().map(one).collect::<Vec<_>>())?;
        return Ok(ExitStatus::Success);
    }
    let rows: Vec<Vec<Cell>> = doomed
        .iter()
        .map(|(container, doomed)| {
            let size = indicatif::HumanBytes(doomed.bytes);
            vec![
                Cell::new(container),
                Cell::new(doomed.runs),
                Cell::new(doomed.objects.len()),
                Cell::new(size).for_programs(doomed.bytes),
            ]
        })
        .collect();
    const COLUMNS: [Column<'_>; 4] = [
        Column::new("CONTAINER").wrap(),
        Column::new("RUNS").right(),
        Column::new("OBJECTS").right(),
        Column::new("SIZE").right(),
    ];
    table::print(&session.ui, &COLUMNS, &rows)?;
    Ok(ExitStatus::Success)
}
