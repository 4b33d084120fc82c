//! `apt-ci artifacts`: the files that a run left beside its log.

use std::path::PathBuf;

use apt_ci::runs::Member;

use crate::results::run_ref::{PlaceArgs, run_or_latest};
use crate::session::Session;
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;
use crate::ui::table::{self, Cell, Column};

/// List or unpack the artifacts of a run, or of a package's latest run
#[derive(clap::Args)]
#[command(after_help = "\
Artifacts are untrusted: nothing is written outside of the output directory, and links and devices are skipped.
Piped output is tab-separated: path, bytes, reason if skipped.

Examples:
  apt-ci artifacts gzip --list
  apt-ci artifacts 20261123_112202_ece40@ -o gzip-artifacts")]
pub struct ArtifactsArgs {
    /// Run (id, path RELEASE/ARCH/PREFIX/PACKAGE/RUN@, or log URL) or source package
    #[arg(value_name = "RUN|PACKAGE")]
    run: String,
    #[command(flatten)]
    place: PlaceArgs,
    /// Only list the artifacts
    #[arg(long, conflicts_with = "output")]
    list: bool,
    /// Directory to unpack to, empty or not yet existing [default: PACKAGE-RUN]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Maximum size to unpack, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 10_240)]
    limit: u64,
}

pub async fn run(args: ArtifactsArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    let store = session.store(&site)?;
    let run = run_or_latest(&args.run, &args.place, session, &site, &store).await?;
    let folder = (!args.list).then(|| {
        let name = || format!("{}-{}", run.path.package, run.id.as_str().trim_end_matches('@')).into();
        args.output.clone().unwrap_or_else(name)
    });
    let limit = args.limit.saturating_mul(1 << 20);
    let members = run.artifacts(&store, folder.clone(), limit).await?;
    if session.ui.is_json {
        session.ui.json(&members)?;
        return Ok(ExitStatus::Success);
    }
    let left_out: Vec<&Member> = members.iter().filter(|member| member.left_out.is_some()).collect();
    match folder {
        None if members.is_empty() => session.ui.note("This run has no artifacts besides its log."),
        None => show(&members, session)?,
        Some(folder) => {
            let count = members.len() - left_out.len();
            session.ui.note(format!("Unpacked {count} files of {} to {}.", run.id, folder.display()));
            for member in left_out {
                let reason = member.left_out.as_deref().unwrap_or_default();
                session.ui.warn(format!("skipped {}: {reason}", member.path));
            }
        }
    }
    Ok(ExitStatus::Success)
}

fn show(members: &[Member], session: &Session) -> CommandResult<()> {
    let rows: Vec<Vec<Cell>> = members
        .iter()
        .map(|member| {
            let size = indicatif::HumanBytes(member.bytes);
            vec![
                Cell::new(&member.path),
                Cell::new(size).for_programs(member.bytes),
                Cell::new(member.left_out.as_deref().unwrap_or_default()),
            ]
        })
        .collect();
    const COLUMNS: [Column<'_>; 3] =
        [Column::new("PATH").wrap(), Column::new("SIZE").right(), Column::new("LEFT OUT").wrap().least(16)];
    table::print(&session.ui, &COLUMNS, &rows)
}
