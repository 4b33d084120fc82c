//! Long text goes through the user's pager on a terminal, without what would steer that, and straight out otherwise.

use std::io;
use std::process::Stdio;

use anyhow::Context;
use apt_ci::environment::Environment;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use super::plain::TerminalFilter;
use super::{Ui, unwritable};

/// How much of the text is in memory at a time, in bytes.
const WINDOW: usize = 64 << 10;

/// Copies the text to the user: `APT_CI_PAGER`, `PAGER`, else `less`, which leaves short text on the screen and keeps colours.
pub async fn show(ui: &Ui, environment: &Environment, text: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<()> {
    let wanted = environment.get("APT_CI_PAGER").or(environment.get("PAGER"));
    // Small machines have no less; who asked for no pager in particular can do without one.
    let pager = wanted.unwrap_or(if is_installed("less", environment) { "less" } else { "cat" });
    if !ui.terminal {
        let mut out = tokio::io::stdout();
        let mut window = vec![0; WINDOW];
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
    // Ctrl-C is the pager's, to stop a search for example: ending here would leave it alone with the terminal.
    let _interrupts = signal(SignalKind::interrupt())?;
    let mut child = command.spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // A reader who quits the pager has seen enough.
        match filtered(text, &mut input, colours).await {
            Err(Copying::Writing(error)) if error.kind() == io::ErrorKind::BrokenPipe => {}
            other => other.map_err(|error| error.into_error(|error| error))?,
        }
    }
    let status = child.wait().await?;
    // The shell's way to say that there is no such program.
    if status.code() == Some(127) {
        anyhow::bail!("cannot start the pager {pager:?}; set PAGER to another program, for example cat");
    }
    Ok(())
}

/// Why a text was not copied to its end.
enum Copying {
    Reading(io::Error),
    Writing(io::Error),
}

impl Copying {
    fn into_error(self, unwritable: impl Fn(io::Error) -> io::Error) -> anyhow::Error {
        match self {
            Self::Reading(error) => anyhow::Error::from(error).context("cannot read the whole log"),
            Self::Writing(error) => unwritable(error).into(),
        }
    }
}

/// Copies a text without what would steer the terminal: a pager may pass it on.
async fn filtered(
    text: &mut (impl AsyncRead + Unpin),
    out: &mut (impl AsyncWrite + Unpin),
    colours: bool,
) -> Result<(), Copying> {
    let mut filter = TerminalFilter::new(colours);
    let (mut window, mut shown) = (vec![0; WINDOW], String::new());
    loop {
        let length = text.read(&mut window).await.map_err(Copying::Reading)?;
        shown.clear();
        if length == 0 {
            filter.finish(&mut shown);
        } else {
            filter.feed(&window[..length], &mut shown);
        }
        out.write_all(shown.as_bytes()).await.map_err(Copying::Writing)?;
        if length == 0 {
            return out.flush().await.map_err(Copying::Writing);
        }
    }
}

fn is_installed(program: &str, environment: &Environment) -> bool {
    let path = environment.get("PATH").unwrap_or_default();
    std::env::split_paths(path).any(|folder| folder.join(program).is_file())
}
