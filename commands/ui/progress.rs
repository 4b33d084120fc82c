//! Progress bars, only on a terminal.

use std::fmt::Write;

use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};

use super::Ui;

/// Returns a bar for a count whose total becomes known meanwhile; invisible in a pipe, with `--quiet` and with
/// `--json`.
pub fn counter(ui: &Ui, what: &'static str) -> ProgressBar {
    if !ui.moves() {
        return ProgressBar::hidden();
    }
    let template = "{msg} {wide_bar} {human_pos}/{human_len}  {rate}  {eta} left";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let write = |state: &ProgressState, out: &mut dyn Write| {
        // A bar may lack its rate once.
        let _ = out.write_str(&rate(state.per_sec()));
    };
    ProgressBar::new(0).with_style(style.with_key("rate", write)).with_message(what)
}

/// Returns a number per second, without needless digits.
fn rate(per_second: f64) -> String {
    if per_second < 10.0 { format!("{per_second:.1}/s") } else { format!("{}/s", HumanCount(per_second as u64)) }
}

/// Returns a bar that counts to `total`; invisible for small totals, in a pipe, with `--quiet` and with `--json`.
pub fn bar(ui: &Ui, total: usize, what: &'static str) -> ProgressBar {
    if !ui.moves() || total < 100 {
        return ProgressBar::hidden();
    }
    let template = "{msg} {wide_bar} {pos}/{len}  {eta} left";
    // Without a valid template, a plain bar still shows the progress.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total as u64).with_style(style).with_message(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_no_needless_digits() {
        assert_eq!(rate(174.237_8), "174/s");
        assert_eq!(rate(0.237_8), "0.2/s");
        assert_eq!(rate(12_345.6), "12,345/s");
    }
}
