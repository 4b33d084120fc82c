//! The lines that are printed: what was measured, how it stands beside its floor, and whether it meets its bound.

use std::time::Duration;

/// The middle one.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Begins a part of the table.
pub fn heading(text: &str) {
    println!("\n{text}");
}

/// One line of the table.
pub struct Row {
    what: String,
    value: f64,
    unit: &'static str,
    notes: Vec<String>,
}

impl Row {
    /// A figure.
    pub fn new(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit, notes: Vec::new() }
    }

    /// A time.
    pub fn time(what: impl Into<String>, time: Duration) -> Self {
        Self::new(what, time.as_secs_f64() * 1e3, "ms")
    }

    /// Beside a time that it cannot be shorter than.
    pub fn beside(self, floor: Duration) -> Self {
        let times = self.value / 1e3 / floor.as_secs_f64();
        self.note(format!("{times:.1} times the floor"))
    }

    /// With these words.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// What is wanted, and whether it is so.
    pub fn wanted(self, what: &str, met: bool) -> Self {
        self.note(format!("wanted {what}: {}", if met { "met" } else { "MISSED" }))
    }

    /// A bound from above for the figure.
    pub fn at_most(self, bound: f64) -> Self {
        let (met, unit) = (self.value <= bound, self.unit);
        self.wanted(&format!("<= {bound} {unit}"), met)
    }

    /// Prints it.
    pub fn print(self) {
        let Self { what, value, unit, notes } = self;
        println!("  {what:62} {value:>8.1} {unit:4} {}", notes.join("; "));
    }
}
