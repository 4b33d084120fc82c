//! Asking a person before something is done that cannot be undone at once.

use std::io::IsTerminal;

use anyhow::Context;

use super::error::BadInput;

/// That somebody is there to be asked.
///
/// # Errors
/// When nobody is.
pub fn somebody() -> Result<(), BadInput> {
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        return Ok(());
    }
    let message = "nobody can be asked, because this is no terminal".to_owned();
    Err(BadInput { message, hint: Some("--dry-run shows what would be done; --yes does it".to_owned()) })
}

/// That somebody is there to be asked, by a command that shows nothing before.
///
/// # Errors
/// When nobody is.
pub fn somebody_to_say_yes() -> Result<(), BadInput> {
    somebody().map_err(|error| BadInput { hint: Some("say it with --yes".to_owned()), ..error })
}

/// Asks a question, to which `y` is yes. The question waits beside everything else: connections are kept meanwhile.
pub async fn confirm(question: String) -> anyhow::Result<bool> {
    let asking =
        tokio::task::spawn_blocking(move || dialoguer::Confirm::new().with_prompt(question).default(false).interact());
    asking.await?.context("there was no answer")
}

/// Asks for a name to be typed.
pub async fn name(question: String) -> anyhow::Result<String> {
    let asking = tokio::task::spawn_blocking(move || {
        dialoguer::Input::<String>::new().with_prompt(question).allow_empty(true).interact_text()
    });
    asking.await?.context("there was no answer")
}

/// Asks for a secret, which is not shown.
pub async fn secret(question: String) -> anyhow::Result<String> {
    let asking = tokio::task::spawn_blocking(move || {
        dialoguer::Password::new().with_prompt(question).allow_empty_password(true).interact()
    });
    asking.await?.context("there was no answer")
}
