//! A table in two shapes: aligned, coloured and fitted to the width for a terminal; tab-separated and whole for a pipe.
//!
//! # Narrow terminals
//! When a table is wider than the terminal, its columns give room in this order:
//!
//! 1. Columns that may be left out ([`Column::spare`]) go, from the last one on, until the others have room at their
//!    minimum widths.
//! 2. Columns that may be shortened ([`Column::cut`], then [`Column::cut_late`]) do so down to their minimum widths
//!    ([`Column::least`]), the widest one first.
//! 3. Columns of which nothing may be lost ([`Column::wrap`]) continue on further lines.
//!
//! If that is not enough, lines stay too long, and nothing is lost.

use std::cmp::Reverse;

use anstyle::{AnsiColor, Style};
use apt_ci::result::Outcome;
use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::peaker::Peaker;
use tabled::settings::{Alignment, Color, Padding, Style as Borders, Width};
use unicode_width::UnicodeWidthStr;

use super::Ui;
use super::error::CommandResult;
use super::plain::plain;
use super::wrap::wrap_within;

const HEADING: Style = Style::new().bold();
/// Number of spaces between two columns.
const GAP: usize = 2;
/// Minimum width of a column that gives room: a shorter text means nothing.
const MIN_WIDTH: usize = 8;

/// Treatment of a column for which the terminal has too little room.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Narrow {
    Cut,
    CutLate,
    Wrap,
    Keep,
}

/// A column: its heading, its alignment, and how it fits a narrow terminal.
#[derive(Clone, Copy)]
pub struct Column<'a> {
    heading: &'a str,
    narrow: Narrow,
    is_spare: bool,
    is_right: bool,
    least: usize,
}

impl<'a> Column<'a> {
    /// Returns a column that is always shown whole, on one line.
    pub const fn new(heading: &'a str) -> Self {
        Self { heading, narrow: Narrow::Keep, is_spare: false, is_right: false, least: MIN_WIDTH }
    }

    /// Lets its texts be shortened.
    #[must_use]
    pub const fn cut(self) -> Self {
        Self { narrow: Narrow::Cut, ..self }
    }

    /// Lets its texts be shortened when those of all [`Column::cut`] columns are as short as they can be.
    #[must_use]
    pub const fn cut_late(self) -> Self {
        Self { narrow: Narrow::CutLate, ..self }
    }

    /// Lets its texts continue on further lines, between words where they have any.
    #[must_use]
    pub const fn wrap(self) -> Self {
        Self { narrow: Narrow::Wrap, ..self }
    }

    /// Sets the minimum width that is left when it gives room.
    #[must_use]
    pub const fn least(self, least: usize) -> Self {
        Self { least, ..self }
    }

    /// Lets it be left out. The last such column goes first.
    #[must_use]
    pub const fn spare(self) -> Self {
        Self { is_spare: true, ..self }
    }

    /// Aligns it to the right, as numbers are.
    #[must_use]
    pub const fn right(self) -> Self {
        Self { is_right: true, ..self }
    }
}

/// One cell: its text for people and for programs, and its colour on a terminal.
pub struct Cell {
    person: String,
    program: String,
    style: Style,
}

impl Cell {
    /// Returns a cell with the same text for both. Steering characters become spaces: a text from outside must not
    /// steer the terminal.
    pub fn new(text: impl ToString) -> Self {
        let text = plain(&text.to_string()).into_owned();
        Self { person: text.clone(), program: text, style: Style::new() }
    }

    /// Sets another text for programs, such as an exact time. Steering characters become spaces, so that a tab or a
    /// newline from outside adds no field.
    #[must_use]
    pub fn for_programs(self, text: impl ToString) -> Self {
        Self { program: plain(&text.to_string()).into_owned(), ..self }
    }

    /// Sets the colour.
    #[must_use]
    pub fn styled(self, style: Style) -> Self {
        Self { style, ..self }
    }
}

/// Returns an outcome in its colour.
pub fn outcome(outcome: Outcome) -> Cell {
    Cell::new(outcome).styled(outcome_style(outcome))
}

/// Returns the colour of an outcome.
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
pub fn print(ui: &Ui, columns: &[Column<'_>], rows: &[Vec<Cell>]) -> CommandResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let text = if ui.is_terminal { rendered(columns, rows, ui.width) } else { tab_separated(rows) };
    // All at once: thousands of lines need not be thousands of writes.
    Ok(ui.data(text)?)
}

/// Returns the number of columns of a terminal that the rows take when nothing gives room.
pub fn width(columns: &[Column<'_>], rows: &[Vec<Cell>]) -> usize {
    total(&natural_widths(columns, rows))
}

fn tab_separated(rows: &[Vec<Cell>]) -> String {
    let line = |row: &Vec<Cell>| row.iter().map(|cell| cell.program.as_str()).collect::<Vec<_>>().join("\t");
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn rendered(columns: &[Column<'_>], rows: &[Vec<Cell>], screen: Option<usize>) -> String {
    let shown = shown(columns, &natural_widths(columns, rows), screen);
    let widths = wrapped_widths(columns, &shown, rows, screen);
    let fitted = |place: usize, text: &str| match widths[place] {
        // tabled would begin lines with the space after a word that is as wide as the column.
        Some(width) => wrap_within(text, width),
        None => text.to_owned(),
    };
    let mut builder = Builder::with_capacity(rows.len() + 1, shown.len());
    builder.push_record(shown.iter().enumerate().map(|(place, column)| fitted(place, columns[*column].heading)));
    for row in rows {
        let text = |column: &usize| row.get(*column).map_or("", |cell| cell.person.as_str());
        builder.push_record(shown.iter().enumerate().map(|(place, column)| fitted(place, text(column))));
    }
    let mut table = builder.build();
    table.with(Borders::empty()).with(Padding::new(0, GAP, 0, 0)).modify(Columns::last(), Padding::zero());
    for (place, column) in shown.iter().enumerate() {
        if columns[*column].is_right {
            table.modify(Columns::one(place), Alignment::right());
        }
        table.modify((0, place), colour(HEADING));
        for (line, row) in rows.iter().enumerate() {
            if let Some(cell) = row.get(*column).filter(|cell| !cell.person.is_empty() && cell.style != Style::new()) {
                table.modify((line + 1, place), colour(cell.style));
            }
        }
    }
    if let Some(screen) = screen {
        let cut = WidthPriority::of(columns, &shown, |kind| kind < Narrow::Wrap);
        table.with(Width::truncate(screen).suffix("…").priority(cut));
    }
    let table = table.to_string();
    // Spaces at the end of a line would wrap.
    let lines: Vec<&str> = table.lines().map(str::trim_end).collect();
    // Half of a double-width character is shown as a replacement character.
    lines.join("\n").replace("\u{fffd}…", "… ")
}

fn colour(style: Style) -> Color {
    Color::new(style.render().to_string(), style.render_reset().to_string())
}

/// Returns how wide each column is by itself. One without any content takes no room.
fn natural_widths(columns: &[Column<'_>], rows: &[Vec<Cell>]) -> Vec<usize> {
    let natural = |(index, column): (usize, &Column<'_>)| match rows
        .iter()
        .filter_map(|row| row.get(index))
        .map(|cell| cell.person.width())
        .max()
    {
        None | Some(0) => 0,
        Some(widest) => widest.max(column.heading.width()),
    };
    columns.iter().enumerate().map(natural).collect()
}

/// Returns the columns that are shown: those with content, without spare ones for which there is no room.
fn shown(columns: &[Column<'_>], natural: &[usize], screen: Option<usize>) -> Vec<usize> {
    let mut widths = natural.to_vec();
    for (column, width) in columns.iter().zip(&mut widths) {
        if column.narrow < Narrow::Wrap {
            *width = (*width).min(column.least);
        }
    }
    let spare = (0..columns.len()).rev().filter(|index| columns[*index].is_spare);
    for spare in spare {
        if screen.is_some_and(|screen| total(&widths) > screen) {
            widths[spare] = 0;
        }
    }
    (0..columns.len()).filter(|index| widths[*index] > 0).collect()
}

/// Returns the width of each shown column that wraps; `None` for those that do not.
fn wrapped_widths(
    columns: &[Column<'_>],
    shown: &[usize],
    rows: &[Vec<Cell>],
    screen: Option<usize>,
) -> Vec<Option<usize>> {
    let natural = natural_widths(columns, rows);
    let last = shown.len().saturating_sub(1);
    let gap = |place: usize| if place == last { 0 } else { GAP };
    let mut widths: Vec<usize> =
        shown.iter().enumerate().map(|(place, column)| natural[*column] + gap(place)).collect();
    let turns: [fn(Narrow) -> bool; 2] = [|kind| kind < Narrow::Wrap, |kind| kind == Narrow::Wrap];
    for gives in turns {
        let mut priority = WidthPriority::of(columns, shown, gives);
        while screen.is_some_and(|screen| widths.iter().sum::<usize>() > screen) {
            let Some(place) = priority.peak(&[], &widths) else { break };
            widths[place] -= 1;
        }
    }
    let width = |(place, column): (usize, &usize)| {
        (columns[*column].narrow == Narrow::Wrap).then(|| widths[place] - gap(place))
    };
    shown.iter().enumerate().map(width).collect()
}

fn total(widths: &[usize]) -> usize {
    let shown = widths.iter().filter(|width| **width > 0);
    shown.map(|width| width + GAP).sum::<usize>().saturating_sub(GAP)
}

/// A priority of columns: the one that gives room next is the widest of those that give it first.
struct WidthPriority {
    /// Turn of each column, and its minimum width with the gap after it; `None` for a column that never gives room.
    columns: Vec<Option<(Narrow, usize)>>,
}

impl WidthPriority {
    fn of(columns: &[Column<'_>], shown: &[usize], gives: impl Fn(Narrow) -> bool) -> Self {
        let last = shown.len().saturating_sub(1);
        let one = |(place, index): (usize, &usize)| {
            let column = columns[*index];
            let gap = if place == last { 0 } else { GAP };
            gives(column.narrow).then_some((column.narrow, column.least + gap))
        };
        Self { columns: shown.iter().enumerate().map(one).collect() }
    }
}

impl Peaker for WidthPriority {
    fn peak(&mut self, _: &[usize], widths: &[usize]) -> Option<usize> {
        let open = self.columns.iter().zip(widths).enumerate().filter_map(|(place, (column, width))| {
            let (narrow, _) = column.filter(|(_, least)| width > least)?;
            Some((narrow, Reverse(*width), place))
        });
        open.min().map(|(.., place)| place)
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    const COLUMNS: [Column<'_>; 4] = [
        Column::new("PACKAGE"),
        Column::new("VERSION").cut_late(),
        Column::new("TRIGGERS").cut().spare(),
        Column::new("WHEN").spare(),
    ];

    fn row(texts: &[&str]) -> Vec<Cell> {
        texts.iter().map(Cell::new).collect()
    }

    /// The lines below the headings, without colours.
    fn lines(columns: &[Column<'_>], rows: &[Vec<Cell>], screen: usize) -> Vec<String> {
        let text = strip_str(&rendered(columns, rows, Some(screen))).to_string();
        text.lines().skip(1).map(str::to_owned).collect()
    }

    #[test]
    fn columns_give_room_in_their_order() {
        let rows = [row(&["pppppppppp", "vvvvvvvvvvvv", "tttttttttttttttttttttttttttttt", "wwwwwwwww"])];
        for (screen, expected) in [
            (67, "pppppppppp  vvvvvvvvvvvv  tttttttttttttttttttttttttttttt  wwwwwwwww"),
            (60, "pppppppppp  vvvvvvvvvvvv  tttttttttttttttttttttt…  wwwwwwwww"),
            (45, "pppppppppp  vvvvvvvvvvvv  ttttttt…  wwwwwwwww"),
            (41, "pppppppppp  vvvvvvv…  ttttttt…  wwwwwwwww"),
            (40, "pppppppppp  vvvvvvvvvvvv  ttttttttttttt…"),
            (29, "pppppppppp  vvvvvvvvvvvv"),
            // The first column stays whole.
            (10, "pppppppppp  vvvvvvv…"),
        ] {
            assert_eq!(lines(&COLUMNS, &rows, screen), [expected], "{screen}");
        }
        let all = strip_str(&rendered(&COLUMNS, &rows, None)).to_string();
        assert!(all.ends_with("tttttttttt  wwwwwwwww"), "a terminal of unknown width gets everything: {all}");
    }

    #[test]
    fn nothing_of_a_wrapped_column_is_lost() {
        let columns = [Column::new("QUEUE"), Column::new("TRIGGERS").wrap().least(12), Column::new("WHEN").spare()];
        let rows =
            [row(&["debci-noble-amd64", "glibc/2.39-1 gzip/1.12-1 r-base/4.3.3", "now"]), row(&["q", "a/1", "now"])];
        assert_eq!(
            lines(&columns, &rows, 40),
            [
                "debci-noble-amd64  glibc/2.39-1",
                "                   gzip/1.12-1",
                "                   r-base/4.3.3",
                "q                  a/1"
            ]
        );
        // A text without spaces is broken anywhere.
        let rows = [row(&["debci-noble-amd64", "golang-github-azure-go-sdk", "now"])];
        assert_eq!(
            lines(&columns, &rows, 35),
            ["debci-noble-amd64  golang-github-az", "                   ure-go-sdk"]
        );
        // A word may be as wide as its column.
        let rows = [row(&["debci-noble-amd64", "glibc/2.39-10ubu gzip/1.12-10ubun bc/1", "now"])];
        assert_eq!(
            lines(&columns, &rows, 35),
            ["debci-noble-amd64  glibc/2.39-10ubu", "                   gzip/1.12-10ubun", "                   bc/1"]
        );
    }

    #[test]
    fn shortened_columns_give_room_before_wrapped_ones() {
        let columns = [Column::new("NAME").wrap(), Column::new("NOTE").cut()];
        let rows = [row(&["a-name-of-20-letters", "a note that is rather long"])];
        assert_eq!(lines(&columns, &rows, 36), ["a-name-of-20-letters  a note that i…"]);
        assert_eq!(lines(&columns, &rows, 26), ["a-name-of-20-let  a note …", "ters"]);
    }

    #[test]
    fn lines_end_with_their_last_text() {
        let rows = [row(&["a", "", "gone", ""]), row(&["a", "", "", "now"])];
        assert_eq!(lines(&COLUMNS, &rows, 80), ["a        gone", "a                  now"]);
        let dimmed = vec![vec![Cell::new("a").styled(AnsiColor::Red.on_default()), Cell::new("b")], row(&["abc", ""])];
        for line in rendered(&COLUMNS, &dimmed, Some(80)).lines() {
            assert_eq!(strip_str(line).to_string().trim_end().len(), strip_str(line).to_string().len(), "{line:?}");
        }
    }

    #[test]
    fn numbers_stand_at_the_right() {
        let columns = [Column::new("QUEUE"), Column::new("READY").right(), Column::new("DEAD").right()];
        let rows = [row(&["q1", "1234567", "0"]), row(&["q2", "5", "12"])];
        let text = strip_str(&rendered(&columns, &rows, Some(80))).to_string();
        assert_eq!(text, "QUEUE    READY  DEAD\nq1     1234567     0\nq2           5    12");
    }

    #[test]
    fn colours_take_no_room() {
        let cell = |text: &str| Cell::new(text).styled(AnsiColor::Red.on_default().bold());
        let rows =
            [vec![cell("pppppppppp"), cell("vvvvvvvvvvvv"), cell("tttttttttttttttttttttttttttttt"), cell("wwwwwwwww")]];
        assert_eq!(lines(&COLUMNS, &rows, 45), ["pppppppppp  vvvvvvvvvvvv  ttttttt…  wwwwwwwww"]);
        let text = rendered(&COLUMNS, &rows, Some(45));
        assert!(text.starts_with("\u{1b}[1mPACKAGE\u{1b}[0m"), "{text:?}");
        assert!(text.contains("ttttttt…\u{1b}[0m"), "{text:?}");
    }

    #[test]
    fn double_width_characters_count_twice() {
        let columns = [Column::new("A").cut(), Column::new("B")];
        let shown = |screen: usize| lines(&columns, &[row(&["日本語テスト", "b"])], screen);
        assert_eq!(shown(15), ["日本語テスト  b"]);
        assert_eq!(shown(14), ["日本語テス…  b"]);
        assert_eq!(shown(13), ["日本語テ…   b"]);
    }

    #[test]
    fn programs_get_everything_between_tabs() {
        let rows = [vec![Cell::new("a").for_programs("exact"), Cell::new("")], row(&["日本語", "x\ty"])];
        assert_eq!(tab_separated(&rows), "exact\t\n日本語\tx y");
        let hostile = [vec![Cell::new("ci").for_programs("/srv/a\tb\nc\x1b[2J"), Cell::new("x")]];
        assert_eq!(tab_separated(&hostile), "/srv/a b c [2J\tx");
    }

    #[test]
    fn texts_from_outside_cannot_steer_the_terminal() {
        assert_eq!(Cell::new("1.0\u{1b}[2J\n\t\u{202e}\u{9b}").person, "1.0 [2J    ");
    }
}
