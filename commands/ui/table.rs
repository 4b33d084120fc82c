//! A table in two shapes: aligned and coloured for a terminal, tab-separated and uncut for a pipe.

use anstyle::{AnsiColor, Style};
use apt_ci::result::Outcome;
use tabled::builder::Builder;
use tabled::settings::peaker::Priority;
use tabled::settings::{Padding, Style as Borders, Width, object::Columns};

use super::Ui;

const HEADING: Style = Style::new().bold();

/// One cell: its text for people and for programs, and its colour on a terminal.
pub struct Cell {
    person: String,
    program: String,
    style: Style,
}

impl Cell {
    /// The same text for both.
    pub fn new(text: impl ToString) -> Self {
        let text = text.to_string();
        Self { person: text.clone(), program: text, style: Style::new() }
    }

    /// Another text for programs, such as an exact time.
    #[must_use]
    pub fn for_programs(self, text: impl ToString) -> Self {
        Self { program: text.to_string(), ..self }
    }

    /// A colour.
    #[must_use]
    pub fn styled(self, style: Style) -> Self {
        Self { style, ..self }
    }
}

/// An outcome in its colour.
pub fn outcome(outcome: Outcome) -> Cell {
    let style = match outcome {
        Outcome::Pass => AnsiColor::Green.on_default(),
        Outcome::Neutral => AnsiColor::Cyan.on_default(),
        Outcome::Fail => AnsiColor::Red.on_default().bold(),
        Outcome::Tmpfail | Outcome::Error => AnsiColor::Yellow.on_default(),
        Outcome::Denylisted => Style::new().dimmed(),
    };
    Cell::new(outcome).styled(style)
}

/// Prints the rows under their headings; programs get no headings.
pub fn print(ui: &Ui, headings: &[&str], rows: Vec<Vec<Cell>>) -> std::io::Result<()> {
    if !ui.terminal {
        for row in rows {
            let texts: Vec<String> = row.into_iter().map(|cell| cell.program.replace(['\t', '\n'], " ")).collect();
            ui.data(texts.join("\t"))?;
        }
        return Ok(());
    }
    let mut table = Builder::new();
    table.push_record(headings.iter().map(|heading| format!("{HEADING}{heading}{HEADING:#}")));
    for row in rows {
        table.push_record(row.into_iter().map(|Cell { person, style, .. }| format!("{style}{person}{style:#}")));
    }
    let mut table = table.build();
    table.with(Borders::empty()).modify(Columns::new(..), Padding::new(0, 2, 0, 0));
    table.modify(Columns::last(), Padding::zero());
    if let Some((terminal_size::Width(width), _)) = terminal_size::terminal_size() {
        // The widest columns, such as triggers, give way first.
        table.with(Width::truncate(usize::from(width)).suffix("…").priority(Priority::max(true)));
    }
    ui.data(table)
}
