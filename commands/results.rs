//! `apt-ci results`: what the store knows about past runs, newest first.

use apt_ci::release::{Architecture, Release};
use apt_ci::request::SourcePackage;
use apt_ci::result::PackagePath;
use apt_ci::runs::{self, StoredRun};
use apt_ci::site::Site;
use apt_ci::store::{Store, StoreUrl};
use jiff::Timestamp;

use crate::session::Session;
use crate::ui::error::BadInput;
use crate::ui::exit::ExitStatus;
use crate::ui::table::{self, Cell, Column};
use crate::ui::when;

/// Show results, newest first
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  apt-ci results gzip -s bookworm
  apt-ci results gzip -s bookworm -a amd64 --store swift:https://HOST/v1/AUTH_x   # public")]
pub struct ResultsArgs {
    /// Only this source package's
    package: Option<SourcePackage>,
    /// Only this release's [default: every release that the site configures]
    #[arg(short = 's', long = "release", visible_alias = "series", value_name = "RELEASE")]
    release: Option<Release>,
    /// Only this architecture's
    #[arg(short = 'a', long = "arch", visible_alias = "architecture", value_name = "ARCH")]
    architecture: Option<Architecture>,
    /// How many to show at most
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
}

pub async fn run(args: ResultsArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let site = session.site()?;
    let store = session.store(&site)?;
    let (package, architecture) = (args.package.as_ref(), args.architecture.as_ref());
    let mut runs = of(package, args.release.as_ref(), architecture, &site, &store).await?;
    runs.sort_by(|a, b| b.id.cmp(&a.id));
    let all = runs.len();
    runs.truncate(args.limit);
    if session.ui.json {
        session.ui.json(&runs)?;
        return Ok(ExitStatus::Success);
    }
    if runs.is_empty() {
        session.ui.note(match all {
            0 => none(&args, &site, &store),
            more => format!("{more} more; show them with --limit."),
        });
        return Ok(ExitStatus::Success);
    }
    show(&runs, session)?;
    if all > runs.len() {
        session.ui.note(format!("{} more; show them with --limit.", all - runs.len()));
    }
    Ok(ExitStatus::Success)
}

/// The runs of a package, or of all, on a release and architecture, or on all that the site configures; in no order.
pub async fn of(
    package: Option<&SourcePackage>,
    release: Option<&Release>,
    architecture: Option<&Architecture>,
    site: &Site,
    store: &Store,
) -> anyhow::Result<Vec<StoredRun>> {
    let mut runs = Vec::new();
    for (release, architectures) in places(release, architecture, site)? {
        match package {
            None => runs.extend(runs::of_release(store, &release, architecture).await?),
            Some(package) => runs.extend(of_package(store, &release, &architectures, package).await?),
        }
    }
    Ok(runs)
}

/// What was looked for in vain, and where.
fn none(args: &ResultsArgs, site: &Site, store: &Store) -> String {
    let of = args.package.as_ref().map(|package| format!(" of {package}")).unwrap_or_default();
    let releases: Vec<String> = match &args.release {
        Some(release) => vec![release.to_string()],
        None => site.releases.value.keys().map(ToString::to_string).collect(),
    };
    let on = args.architecture.as_ref().map(|architecture| format!(" on {architecture}")).unwrap_or_default();
    let absent = match &site.store.value {
        StoreUrl::Folder(folder) if !folder.exists() => ", which does not exist yet",
        _ => "",
    };
    format!("No results{of} for {}{on} in {}{absent}.", releases.join(", "), store.address())
}

/// Which releases to look in, and which architectures of each.
pub fn places(
    release: Option<&Release>,
    architecture: Option<&Architecture>,
    site: &Site,
) -> anyhow::Result<Vec<(Release, Vec<Architecture>)>> {
    let chosen = |configured: &[Architecture]| architecture.map_or(configured.to_vec(), |one| vec![one.clone()]);
    match release {
        None => Ok(site.releases.value.iter().map(|(name, archs)| (name.clone(), chosen(archs))).collect()),
        Some(release) => match (site.architectures(release), architecture) {
            (Some(configured), _) => Ok(vec![(release.clone(), chosen(configured))]),
            (None, Some(one)) => Ok(vec![(release.clone(), vec![one.clone()])]),
            (None, None) => {
                let message = format!("release {release} is not configured, so its architectures are not known");
                let hint = "name the architecture with -a, or add the release to [releases]".to_owned();
                Err(BadInput { message, hint: Some(hint) }.into())
            }
        },
    }
}

/// A package's runs on these architectures, oldest first on each.
pub async fn of_package(
    store: &Store,
    release: &Release,
    architectures: &[Architecture],
    package: &SourcePackage,
) -> anyhow::Result<Vec<StoredRun>> {
    let mut runs = Vec::new();
    for architecture in architectures {
        let path =
            PackagePath { release: release.clone(), architecture: architecture.clone(), package: package.clone() };
        runs.extend(runs::of_package(store, &path).await?);
    }
    Ok(runs)
}

fn show(runs: &[StoredRun], session: &Session) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let rows: Vec<_> = runs
        .iter()
        .map(|run| {
            let summary = &run.summary;
            vec![
                table::outcome(summary.outcome()),
                Cell::new(&run.path.package),
                Cell::new(&summary.version),
                Cell::new(&run.path.release),
                Cell::new(&run.path.architecture),
                Cell::new(summary.triggers.as_deref().unwrap_or_default().join(" ")),
                Cell::new(when::duration(summary.duration)).for_programs(summary.duration),
                Cell::new(when::ago(run.id.published(), now)).for_programs(run.id.published()),
                Cell::new(&run.id),
            ]
        })
        .collect();
    // The run's id stays: it is what `apt-ci log` takes, and it tells the time as well.
    const COLUMNS: [Column; 9] = [
        Column::new("OUTCOME"),
        Column::new("PACKAGE"),
        Column::new("VERSION").cut(),
        Column::new("RELEASE"),
        Column::new("ARCH"),
        Column::new("TRIGGERS").cut().spare(),
        Column::new("DURATION").spare(),
        Column::new("WHEN").spare(),
        Column::new("RUN"),
    ];
    table::print(&session.ui, &COLUMNS, &rows)
}
