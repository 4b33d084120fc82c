//! Long text goes through the user's pager on a terminal, and straight out otherwise.

use std::io;
use std::process::Stdio;

use anyhow::Context;
use apt_ci::environment::Environment;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, copy};
use tokio::process::Command;

use super::{Ui, unwritable};

/// Copies the text to the user: `APT_CI_PAGER`, `PAGER`, else `less`, which leaves short text on the screen and keeps colours.
pub async fn show(ui: &Ui, environment: &Environment, text: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<()> {
    let pager = environment.get("APT_CI_PAGER").or(environment.get("PAGER")).unwrap_or("less");
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
