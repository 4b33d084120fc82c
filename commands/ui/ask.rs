//! Asking a person before something is done that cannot be undone at once.

use std::io::IsTerminal;
use std::path::Path;

use anyhow::Context;
use nix::sys::termios::{self, SetArg};
use secrecy::SecretString;

use super::error::BadInput;
use super::interrupt;
use super::plain::{plain, plain_lines};

/// That somebody is there to be asked.
///
/// # Errors
/// When nobody is.
pub fn somebody() -> Result<(), BadInput> {
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        return Ok(());
    }
    let message = "cannot ask for confirmation: not a terminal".to_owned();
    Err(BadInput { message, hint: Some("use --dry-run to see what would be done, or --yes to do it".to_owned()) })
}

/// That somebody is there to be asked, by a command that shows nothing before.
///
/// # Errors
/// When nobody is.
pub fn somebody_to_say_yes() -> Result<(), BadInput> {
    somebody().map_err(|error| BadInput { hint: Some("use --yes to confirm".to_owned()), ..error })
}

/// Asks a question, to which `y` is yes. The question waits beside everything else: connections are kept meanwhile.
pub async fn confirm(question: String) -> anyhow::Result<bool> {
    answer(move || dialoguer::Confirm::new().with_prompt(plain_lines(&question)).default(false).interact()).await
}

/// Asks for a name to be typed.
pub async fn name(question: String) -> anyhow::Result<String> {
    answer(move || {
        dialoguer::Input::<String>::new().with_prompt(plain_lines(&question)).allow_empty(true).interact_text()
    })
    .await
}

/// Asks for a secret, which is not shown.
pub async fn secret(question: String) -> anyhow::Result<String> {
    answer(move || dialoguer::Password::new().with_prompt(plain_lines(&question)).allow_empty_password(true).interact())
        .await
}

/// Asks for the passphrase of a key; none when nobody can be asked. Everything else waits meanwhile: it is asked for before anything begins.
pub fn passphrase(file: &Path) -> Option<SecretString> {
    somebody().ok()?;
    let question = format!("Passphrase of {}", file.display());
    // A runtime of its own: the one that calls cannot wait for a question from within.
    let asking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        runtime.block_on(secret(question)).ok()
    });
    asking.join().ok().flatten().map(SecretString::from)
}

/// Asks for one of some names.
///
/// # Errors
/// When nobody is there to choose: then `flag` is what names it.
pub async fn one_of(question: &str, names: &[String], flag: &str) -> anyhow::Result<String> {
    somebody_to_choose(question, flag)?;
    let (question, choices) = (plain(question).into_owned(), shown(names));
    let place =
        answer(move || dialoguer::Select::new().with_prompt(question).items(&choices).default(0).interact()).await?;
    names.get(place).cloned().context("no answer given")
}

/// Asks for some of several names: all of them are proposed.
///
/// # Errors
/// When nobody is there to choose, or nothing is chosen: then `flag` is what names them.
pub async fn some_of(question: &str, names: &[String], flag: &str) -> anyhow::Result<Vec<String>> {
    somebody_to_choose(question, flag)?;
    let (prompt, choices) = (plain(&format!("{question} (space toggles, return confirms)")).into_owned(), shown(names));
    let all = vec![true; choices.len()];
    let places =
        answer(move || dialoguer::MultiSelect::new().with_prompt(prompt).items(&choices).defaults(&all).interact())
            .await?;
    let chosen: Vec<String> = places.into_iter().filter_map(|place| names.get(place).cloned()).collect();
    if chosen.is_empty() {
        return Err(BadInput { message: format!("{question}: nothing chosen"), hint: None }.into());
    }
    Ok(chosen)
}

/// Names as a terminal may show them.
fn shown(names: &[String]) -> Vec<String> {
    names.iter().map(|name| plain(name).into_owned()).collect()
}

/// Waits for a person's answer; other things go on meanwhile. Ctrl-C ends the program and leaves the terminal as it was: a question hides
/// the cursor, or what is typed.
async fn answer<T: Send + 'static>(
    question: impl FnOnce() -> dialoguer::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let before = termios::tcgetattr(std::io::stdin()).ok();
    // A question that sees the key itself may end before the key is heard of elsewhere, where it must not end the program before the terminal
    // is as it was.
    let interrupt = interrupt::Waiting::begin();
    let asking = tokio::task::spawn_blocking(question);
    let answered = tokio::select! {
        // Where the system does not tell of it, the question goes on.
        Ok(()) = interrupt.pressed() => None,
        answered = asking => Some(answered?),
    };
    match answered {
        // Some questions see the key themselves.
        Some(Err(dialoguer::Error::IO(error))) if error.kind() == std::io::ErrorKind::Interrupted => {}
        Some(answered) => return answered.context("no answer given"),
        None => {}
    }
    // What cannot be put right stays as it is.
    let _ = console::Term::stderr().show_cursor();
    if let Some(before) = before {
        let _ = termios::tcsetattr(std::io::stdin(), SetArg::TCSANOW, &before);
    }
    super::say(format_args!(""));
    interrupt::end()
}

fn somebody_to_choose(question: &str, flag: &str) -> Result<(), BadInput> {
    somebody().map_err(|_| BadInput {
        message: format!("{question}: no value given, and cannot ask: not a terminal"),
        hint: Some(format!("set it with {flag}")),
    })
}
