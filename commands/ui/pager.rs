//! Long text: on a terminal through the user's pager, without what would steer the terminal, and otherwise unchanged.

use std::io;
use std::process::Stdio;

use apt_ci::environment::Environment;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use super::error::{CommandError, CommandResult, ErrorContext as _};
use super::plain::TerminalFilter;
use super::{Ui, unwritable};

/// Maximum size of the part of a text that is in memory, in bytes.
const BUFFER_SIZE: usize = 64 << 10;

/// Shows a text with `APT_CI_PAGER`, `PAGER`, or else `less`, which leaves short text on the screen and keeps colours.
pub async fn show(ui: &Ui, environment: &Environment, text: &mut (impl AsyncRead + Unpin)) -> CommandResult<()> {
    let wanted = environment.get("APT_CI_PAGER").or(environment.get("PAGER"));
    // Small machines have no less. A user who has not chosen a pager gets none there.
    let pager = wanted.unwrap_or(if is_installed("less", environment) { "less" } else { "cat" });
    if !ui.is_terminal {
        let mut out = tokio::io::stdout();
        let mut window = vec![0; BUFFER_SIZE];
        loop {
            let length = text.read(&mut window).await.context("cannot read the whole log")?;
            if length == 0 {
                return Ok(out.flush().await.map_err(unwritable)?);
            }
            out.write_all(&window[..length]).await.map_err(unwritable)?;
        }
    }
    let colours = anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
    if pager == "cat" {
        let copied = filtered(text, &mut tokio::io::stdout(), colours).await;
        return copied.map_err(|error| error.into_error(unwritable));
    }
    let mut command = Command::new("sh");
    command.args(["-c", pager]).stdin(Stdio::piped());
    if environment.get("LESS").is_none() {
        command.env("LESS", "FRX");
    }
    // Ctrl-C is for the pager, for example to stop a search. If this program ended, both the shell and the pager would
    // read the terminal.
    let _interrupts = signal(SignalKind::interrupt())?;
    let mut child = command.spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // The user may quit the pager before the end of the text.
        match filtered(text, &mut input, colours).await {
            Err(CopyError::Writing(error)) if error.kind() == io::ErrorKind::BrokenPipe => {}
            other => other.map_err(|error| error.into_error(|error| error))?,
        }
    }
    let status = child.wait().await?;
    // The code of a shell for a program that does not exist.
    if status.code() == Some(127) {
        let message = format!("cannot start the pager {pager:?}; set PAGER to another program, for example cat");
        return Err(CommandError::failure(message));
    }
    Ok(())
}

/// Failure of a copy: at the text, or at the output.
enum CopyError {
    Reading(io::Error),
    Writing(io::Error),
}

impl CopyError {
    fn into_error(self, unwritable: impl Fn(io::Error) -> io::Error) -> CommandError {
        match self {
            Self::Reading(error) => CommandError::from(error).context("cannot read the whole log"),
            Self::Writing(error) => unwritable(error).into(),
        }
    }
}

/// Copies a text without what would steer the terminal, which a pager may pass on.
async fn filtered(
    text: &mut (impl AsyncRead + Unpin),
    out: &mut (impl AsyncWrite + Unpin),
    colours: bool,
) -> Result<(), CopyError> {
    let mut filter = TerminalFilter::new(colours);
    let (mut window, mut shown) = (vec![0; BUFFER_SIZE], String::new());
    loop {
        let length = text.read(&mut window).await.map_err(CopyError::Reading)?;
        shown.clear();
        if length == 0 {
            filter.finish(&mut shown);
        } else {
            filter.feed(&window[..length], &mut shown);
        }
        out.write_all(shown.as_bytes()).await.map_err(CopyError::Writing)?;
        if length == 0 {
            return out.flush().await.map_err(CopyError::Writing);
        }
    }
}

fn is_installed(program: &str, environment: &Environment) -> bool {
    let path = environment.get("PATH").unwrap_or_default();
    std::env::split_paths(path).any(|folder| folder.join(program).is_file())
}
