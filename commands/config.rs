//! `apt-ci config`: what is configured, and where each value comes from.

use crate::session::Session;
use crate::ui::exit::ExitStatus;
use crate::ui::table::{self, Cell, Column};

/// Show each setting with its origin. Passwords are hidden.
#[derive(clap::Args)]
pub struct ConfigArgs {}

pub fn run(_: ConfigArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let settings = session.site()?.settings();
    if session.ui.json {
        let list: Vec<_> = settings
            .iter()
            .map(|setting| {
                serde_json::json!({"key": setting.key, "value": setting.value, "origin": setting.origin.to_string()})
            })
            .collect();
        session.ui.json(&list)?;
        return Ok(ExitStatus::Success);
    }
    let rows: Vec<_> = settings
        .into_iter()
        .map(|setting| vec![Cell::new(setting.key), Cell::new(setting.value), Cell::new(setting.origin)])
        .collect();
    // Nothing is cut: who asks for the settings wants to see all of them.
    table::print(&session.ui, &["SETTING", "VALUE", "ORIGIN"].map(Column::new), &rows)?;
    Ok(ExitStatus::Success)
}
