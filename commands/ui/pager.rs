//! Long text goes through the user's pager on a terminal, and straight out otherwise.

use std::io;
use std::process::Stdio;

use anyhow::Context;
use apt_ci::environment::Environment;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, copy};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use super::{Ui, unwritable};

/// Copies the text to the user: `APT_CI_PAGER`, `PAGER`, else `less`, which leaves short text on the screen and keeps colours.
pub async fn show(ui: &Ui, environment: &Environment, text: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<()> {
    let wanted = environment.get("APT_CI_PAGER").or(environment.get("PAGER"));
    // Small machines have no less; who asked for no pager in particular can do without one.
    let pager = wanted.unwrap_or(if is_installed("less", environment) { "less" } else { "cat" });
    if !ui.terminal || pager == "cat" {
        let mut out = tokio::io::stdout();
        let mut window = vec![0; 64 << 10];
        loop {
            let length = text.read(&mut window).await.context("the log cannot be read to its end")?;
            if length == 0 {
                return Ok(out.flush().await.map_err(unwritable)?);
            }
            out.write_all(&window[..length]).await.map_err(unwritable)?;
        }
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
        match copy(text, &mut input).await {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            other => drop(other?),
        }
    }
    let status = child.wait().await?;
    // The shell's way to say that there is no such program.
    if status.code() == Some(127) {
        anyhow::bail!("the pager {pager:?} cannot be started: set PAGER to another one, or to cat");
    }
    Ok(())
}

fn is_installed(program: &str, environment: &Environment) -> bool {
    let path = environment.get("PATH").unwrap_or_default();
    std::env::split_paths(path).any(|folder| folder.join(program).is_file())
}
