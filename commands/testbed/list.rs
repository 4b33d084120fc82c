//! `apt-ci testbed list`.

use apt_ci::testbed::images::ImageStore;
use jiff::Timestamp;

use crate::session::Session;
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;
use crate::ui::table::{self, Cell, Column};
use crate::ui::when;

const COLUMNS: [Column<'_>; 5] = [
    Column::new("RELEASE"),
    Column::new("ARCH"),
    Column::new("BUILT"),
    Column::new("SIZE").right(),
    Column::new("MIRROR").cut(),
];

/// List the testbeds with their age and size
#[derive(clap::Args)]
#[command(after_help = "\
Piped output is tab-separated: release, architecture, time of the build, bytes, mirror.

Example:
  apt-ci testbed list")]
pub struct ListArgs {}

pub fn run(_: &ListArgs, store: &ImageStore, session: &Session) -> CommandResult<ExitStatus> {
    let images = store.list()?;
    if session.ui.is_json {
        session.ui.json(&images.iter().map(super::document).collect::<Vec<_>>())?;
        return Ok(ExitStatus::Success);
    }
    if images.is_empty() {
        session.ui.note("No testbeds; `apt-ci testbed build RELEASE` builds one.");
    }
    let now = Timestamp::now();
    let rows: Vec<Vec<Cell>> = images
        .iter()
        .map(|image| {
            let built = image.record.built;
            vec![
                Cell::new(&image.name.release),
                Cell::new(&image.name.architecture),
                Cell::new(when::ago(built, now)).for_programs(built),
                Cell::new(format!("{} MB", image.record.bytes.div_ceil(1_000_000))).for_programs(image.record.bytes),
                Cell::new(&image.record.mirror),
            ]
        })
        .collect();
    table::print(&session.ui, &COLUMNS, &rows)?;
    Ok(ExitStatus::Success)
}
