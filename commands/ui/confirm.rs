//! Asking a person before something large happens.

use std::io::IsTerminal;

use super::Ui;
use super::error::BadInput;

/// Asks; the default is no. Where nobody can be asked, `--yes` has to be given: the error says so.
pub fn ask(ui: &Ui, question: &str) -> anyhow::Result<bool> {
    if ui.json || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        let message = format!("{question} Nobody can be asked here");
        return Err(BadInput { message, hint: Some("say it with --yes".to_owned()) }.into());
    }
    let asked = dialoguer::Confirm::new().with_prompt(question).default(false).interact_opt();
    Ok(asked?.unwrap_or(false))
}
