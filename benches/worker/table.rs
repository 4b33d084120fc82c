//! Printed tables: a figure, its floor, and whether it is within its bound.

use std::time::Duration;

/// Returns the median.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Prints a heading.
pub fn heading(text: &str) {
    println!("\n{text}");
}

/// A row of a table.
pub struct Row {
    what: String,
    value: f64,
    unit: &'static str,
    notes: Vec<String>,
}

impl Row {
    /// Creates a row for a number.
    pub fn new(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit, notes: Vec::new() }
    }

    /// Creates a row for a time.
    pub fn time(what: impl Into<String>, time: Duration) -> Self {
        Self::new(what, time.as_secs_f64() * 1e3, "ms")
    }

    /// Adds a floor, which the time cannot be below.
    pub fn beside(self, floor: Duration) -> Self {
        let times = self.value / 1e3 / floor.as_secs_f64();
        self.note(format!("{times:.1} times the floor"))
    }

    /// Adds a note.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds a requirement, and whether it is met.
    pub fn wanted(self, what: &str, met: bool) -> Self {
        self.note(format!("wanted {what}: {}", if met { "met" } else { "MISSED" }))
    }

    /// Adds an upper bound for the figure.
    pub fn at_most(self, bound: f64) -> Self {
        let (met, unit) = (self.value <= bound, self.unit);
        self.wanted(&format!("<= {bound} {unit}"), met)
    }

    /// Prints the row.
    pub fn print(self) {
        let Self { what, value, unit, notes } = self;
        println!("  {what:62} {value:>8.1} {unit:4} {}", notes.join("; "));
    }
}
