//! A bar for what takes long, only where a person watches.

use indicatif::{ProgressBar, ProgressStyle};

use super::Ui;

/// A bar for what is counted while its total becomes known; invisible in a pipe, with `--quiet` and with `--json`.
pub fn counter(ui: &Ui, what: &'static str) -> ProgressBar {
    if !ui.moves() {
        return ProgressBar::hidden();
    }
    let template = "{msg} {wide_bar} {human_pos}/{human_len}  {per_sec}  {eta} left";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style).with_message(what)
}

/// A bar that counts to `total`; invisible in a pipe, with `--quiet` and with `--json`.
pub fn bar(ui: &Ui, total: usize, what: &'static str) -> ProgressBar {
    if !ui.moves() || total < 100 {
        return ProgressBar::hidden();
    }
    let template = "{msg} {wide_bar} {pos}/{len}  {eta} left";
    // A template that does not parse is a fault of this file; a plain bar still tells the progress.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total as u64).with_style(style).with_message(what)
}
