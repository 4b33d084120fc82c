//! Questions to the user, such as before something that cannot be undone.

use std::io::IsTerminal;
use std::path::Path;

use nix::sys::termios::{self, FlushArg, SetArg};
use secrecy::SecretString;

use super::error::{BadInput, CommandResult, ErrorContext as _};
use super::interrupt;
use super::plain::{plain, plain_lines};

/// Checks that the user can be asked.
///
/// # Errors
/// When standard input or standard error is not a terminal.
pub fn require_terminal() -> Result<(), BadInput> {
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        return Ok(());
    }
    let message = "cannot ask for confirmation: not a terminal".to_owned();
    Err(BadInput { message, hint: Some("use --dry-run to see what would be done, or --yes to do it".to_owned()) })
}

/// Checks that the user can be asked, for commands without `--dry-run`.
///
/// # Errors
/// When standard input or standard error is not a terminal.
pub fn require_terminal_or_yes() -> Result<(), BadInput> {
    require_terminal().map_err(|error| BadInput { hint: Some("use --yes to confirm".to_owned()), ..error })
}

/// Asks a yes-or-no question; only `y` and Enter is yes. Other tasks continue meanwhile, so that connections are kept.
pub async fn confirm(question: String) -> CommandResult<bool> {
    answer(move || {
        let confirm = dialoguer::Confirm::new().with_prompt(plain_lines(&question)).default(false);
        confirm.wait_for_newline(true).interact()
    })
    .await
}

/// Asks the user to type a name.
pub async fn name(question: String) -> CommandResult<String> {
    answer(move || {
        dialoguer::Input::<String>::new().with_prompt(plain_lines(&question)).allow_empty(true).interact_text()
    })
    .await
}

/// Asks for a secret, without showing it.
pub async fn secret(question: String) -> CommandResult<String> {
    answer(move || dialoguer::Password::new().with_prompt(plain_lines(&question)).allow_empty_password(true).interact())
        .await
}

/// Asks for the passphrase of a key, and blocks meanwhile. Returns `None` if the user cannot be asked.
pub fn passphrase(file: &Path) -> Option<SecretString> {
    require_terminal().ok()?;
    let question = format!("Passphrase of {}", file.display());
    // A runtime of its own, because the calling one cannot block on a future.
    let asking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        runtime.block_on(secret(question)).ok()
    });
    asking.join().ok().flatten().map(SecretString::from)
}

/// Asks the user to choose one of these names, for a test on such a `noun`.
///
/// # Errors
/// When the user cannot be asked; the hint then names `flag`.
pub async fn one_of(noun: &str, names: &[String], flag: &str) -> CommandResult<String> {
    require_terminal_to_choose(noun, flag)?;
    let (question, choices) = (capitalized(&format!("{noun} to test on")), shown(names));
    let place =
        answer(move || dialoguer::Select::new().with_prompt(question).items(&choices).default(0).interact()).await?;
    names.get(place).cloned().context("no answer given")
}

/// Asks the user to choose some of these names, for tests on such a `noun`. All of them are preselected.
///
/// # Errors
/// When the user cannot be asked, for which the hint names `flag`, or chooses nothing.
pub async fn some_of(noun: &str, names: &[String], flag: &str) -> CommandResult<Vec<String>> {
    require_terminal_to_choose(noun, flag)?;
    let question = capitalized(&format!("{noun}s to test on"));
    let (prompt, choices) = (format!("{question} (space toggles, return confirms)"), shown(names));
    let all = vec![true; choices.len()];
    let places =
        answer(move || dialoguer::MultiSelect::new().with_prompt(prompt).items(&choices).defaults(&all).interact())
            .await?;
    let chosen: Vec<String> = places.into_iter().filter_map(|place| names.get(place).cloned()).collect();
    if chosen.is_empty() {
        return Err(BadInput { message: format!("no {noun} was chosen"), hint: None }.into());
    }
    Ok(chosen)
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// Returns names without steering characters.
fn shown(names: &[String]) -> Vec<String> {
    names.iter().map(|name| plain(name).into_owned()).collect()
}

/// Waits for the user's answer, while other tasks continue. Ctrl-C ends the program, and restores the terminal: a
/// question hides the cursor, or what is typed.
async fn answer<T: Send + 'static>(
    question: impl FnOnce() -> dialoguer::Result<T> + Send + 'static,
) -> CommandResult<T> {
    let before = termios::tcgetattr(std::io::stdin()).ok();
    // Input from before the question does not answer it.
    let _ = termios::tcflush(std::io::stdin(), FlushArg::TCIFLUSH);
    // Ctrl-C must not end the program elsewhere before the terminal is restored here.
    let interrupt = interrupt::InterruptGuard::begin();
    let asking = tokio::task::spawn_blocking(question);
    let answered = tokio::select! {
        // If the signal cannot be received, the question continues.
        Ok(()) = interrupt.pressed() => None,
        answered = asking => Some(answered?),
    };
    match answered {
        // Some questions read the key themselves.
        Some(Err(dialoguer::Error::IO(error))) if error.kind() == std::io::ErrorKind::Interrupted => {}
        Some(answered) => return answered.context("no answer given"),
        None => {}
    }
    // The program ends in any case.
    let _ = console::Term::stderr().show_cursor();
    if let Some(before) = before {
        let _ = termios::tcsetattr(std::io::stdin(), SetArg::TCSANOW, &before);
    }
    super::say(format_args!(""));
    interrupt::end()
}

fn require_terminal_to_choose(noun: &str, flag: &str) -> Result<(), BadInput> {
    require_terminal().map_err(|_| BadInput {
        message: format!("no {noun} was given, and there is no terminal to ask on"),
        hint: Some(format!("set it with {flag}")),
    })
}
