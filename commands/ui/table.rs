//! A table in two shapes: aligned, coloured and cut to the width for a terminal; tab-separated and whole for a pipe.

use anstyle::{AnsiColor, Style};
use apt_ci::result::Outcome;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::Ui;
use super::plain::plain;

const HEADING: Style = Style::new().bold();
const GAP: usize = 2;
/// A column that gives room keeps this much: less tells nothing.
const LEAST: usize = 8;

/// A column: its heading, and what may happen to it where the terminal is too narrow.
#[derive(Clone, Copy)]
pub struct Column<'a> {
    heading: &'a str,
    cut: bool,
    spare: bool,
}

impl<'a> Column<'a> {
    /// A column that is always shown whole.
    pub const fn new(heading: &'a str) -> Self {
        Self { heading, cut: false, spare: false }
    }

    /// Its texts may be shortened.
    #[must_use]
    pub const fn cut(self) -> Self {
        Self { cut: true, ..self }
    }

    /// It may be left out, when shortening is not enough. The last such column goes first.
    #[must_use]
    pub const fn spare(self) -> Self {
        Self { spare: true, ..self }
    }
}

/// One cell: its text for people and for programs, and its colour on a terminal.
pub struct Cell {
    person: String,
    program: String,
    style: Style,
}

impl Cell {
    /// The same text for both. Control and direction characters become spaces: a text from elsewhere must not steer the terminal.
    pub fn new(text: impl ToString) -> Self {
        let text = plain(&text.to_string()).into_owned();
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
    Cell::new(outcome).styled(outcome_style(outcome))
}

/// An outcome's colour.
pub fn outcome_style(outcome: Outcome) -> Style {
    match outcome {
        Outcome::Pass => AnsiColor::Green.on_default(),
        Outcome::Neutral => AnsiColor::Cyan.on_default(),
        Outcome::Fail => AnsiColor::Red.on_default().bold(),
        Outcome::Tmpfail | Outcome::Error => AnsiColor::Yellow.on_default(),
        Outcome::Denylisted => Style::new().dimmed(),
    }
}

/// Prints the rows under their headings; programs get no headings.
pub fn print(ui: &Ui, columns: &[Column<'_>], rows: &[Vec<Cell>]) -> anyhow::Result<()> {
    if !ui.terminal {
        let line = |row: &Vec<Cell>| row.iter().map(|cell| cell.program.as_str()).collect::<Vec<_>>().join("\t");
        let lines: Vec<String> = rows.iter().map(line).collect();
        // All at once: thousands of lines need not be thousands of writes.
        if !lines.is_empty() {
            ui.data(lines.join("\n"))?;
        }
        return Ok(());
    }
    if rows.is_empty() {
        return Ok(());
    }
    let widths: Vec<usize> = (0..columns.len()).map(|column| natural_width(column, columns, rows)).collect();
    let widths = fit(columns, &widths, ui.width);
    ui.data(line(&widths, columns.iter().map(|column| (column.heading, HEADING))))?;
    for row in rows {
        ui.data(line(&widths, row.iter().map(|cell| (cell.person.as_str(), cell.style))))?;
    }
    Ok(())
}

/// How wide a column is by itself. One without any content takes no room.
fn natural_width(column: usize, columns: &[Column<'_>], rows: &[Vec<Cell>]) -> usize {
    match rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.person.width()).max() {
        None | Some(0) => 0,
        Some(widest) => widest.max(columns[column].heading.width()),
    }
}

/// The widths that fit the terminal: 0 for what is left out. When nothing helps, the lines stay too long, and nothing is lost.
fn fit(columns: &[Column<'_>], natural: &[usize], screen: Option<usize>) -> Vec<usize> {
    let mut widths = natural.to_vec();
    let Some(screen) = screen else { return widths };
    let least = |(column, width): (&Column<'_>, &usize)| if column.cut { (*width).min(LEAST) } else { *width };
    for spare in (0..columns.len()).rev().filter(|index| columns[*index].spare) {
        let least: Vec<usize> = columns.iter().zip(&widths).map(least).collect();
        if total(&least) > screen {
            widths[spare] = 0;
        }
    }
    while total(&widths) > screen {
        let cuttable = (0..columns.len()).filter(|index| columns[*index].cut && widths[*index] > LEAST);
        let Some(widest) = cuttable.max_by_key(|index| widths[*index]) else { break };
        widths[widest] -= 1;
    }
    widths
}

fn total(widths: &[usize]) -> usize {
    let shown = widths.iter().filter(|width| **width > 0);
    shown.map(|width| width + GAP).sum::<usize>().saturating_sub(GAP)
}

/// One line, without spaces at its end: they would wrap.
fn line<'a>(widths: &[usize], texts: impl Iterator<Item = (&'a str, Style)>) -> String {
    let mut line = String::new();
    let mut pending = 0;
    for (width, (text, style)) in widths.iter().zip(texts).filter(|(width, _)| **width > 0) {
        let text = cut(text, *width);
        let taken = text.width();
        if taken > 0 {
            line.push_str(&" ".repeat(pending));
            line.push_str(&format!("{style}{text}{style:#}"));
            pending = 0;
        }
        pending += width - taken + GAP;
    }
    line
}

/// The text in at most `width` columns of the terminal.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut taken = 1;
    for character in text.chars() {
        taken += character.width().unwrap_or(0);
        if taken > width {
            break;
        }
        short.push(character);
    }
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::new("PACKAGE"),
        Column::new("VERSION").cut(),
        Column::new("TRIGGERS").cut().spare(),
        Column::new("WHEN").spare(),
    ];

    #[test]
    fn the_widest_text_gives_room_first_then_columns_go_from_the_last() {
        let fit = |screen| fit(&COLUMNS, &[10, 12, 30, 9], Some(screen));
        assert_eq!(fit(67), [10, 12, 30, 9]);
        assert_eq!(fit(60), [10, 12, 23, 9]);
        assert_eq!(fit(45), [10, 10, 10, 9]);
        assert_eq!(fit(41), [10, 8, 8, 9]);
        assert_eq!(fit(40), [10, 12, 14, 0]);
        assert_eq!(fit(29), [10, 12, 0, 0]);
        assert_eq!(fit(10), [10, 8, 0, 0], "the first column stays whole");
    }

    #[test]
    fn a_terminal_of_unknown_width_gets_everything() {
        assert_eq!(fit(&COLUMNS, &[10, 12, 300, 9], None), [10, 12, 300, 9]);
    }

    #[test]
    fn lines_end_with_their_last_text() {
        let plain = |text| (text, Style::new());
        assert_eq!(line(&[3, 8, 0, 4], ["a", "123456789", "gone", ""].map(plain).into_iter()), "a    1234567…");
        assert_eq!(line(&[3, 0, 0, 4], ["a", "", "", "now"].map(plain).into_iter()), "a    now");
    }

    #[test]
    fn wide_letters_count_as_wide() {
        assert_eq!(cut("日本語テスト", 7), "日本語…");
        assert_eq!(cut("日本語テスト", 6), "日本…");
        assert_eq!(cut("plain", 5), "plain");
    }

    #[test]
    fn what_others_wrote_cannot_steer_the_terminal() {
        assert_eq!(Cell::new("1.0\u{1b}[2J\n\t\u{202e}\u{9b}").person, "1.0 [2J    ");
    }
}
