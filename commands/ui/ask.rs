//! Asking a person before something is done that cannot be undone at once.

use std::io::IsTerminal;

use anyhow::Context;

/// Whether somebody is there to be asked.
pub fn is_possible() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks a question, to which `y` is yes. The question waits beside everything else: connections are kept meanwhile.
pub async fn confirm(question: String) -> anyhow::Result<bool> {
    let asking =
        tokio::task::spawn_blocking(move || dialoguer::Confirm::new().with_prompt(question).default(false).interact());
    asking.await?.context("there was no answer")
}
