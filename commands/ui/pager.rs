//! Long text goes through the user's pager on a terminal, and straight out otherwise.

use std::io;
use std::process::Stdio;

use apt_ci::environment::Environment;
use tokio::io::{AsyncRead, AsyncWriteExt, copy};
use tokio::process::Command;

use super::Ui;

/// Copies the text to the user: `APT_CI_PAGER`, `PAGER`, else `less`, which leaves short text on the screen and keeps colours.
pub async fn show(ui: &Ui, environment: &Environment, text: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<()> {
    let pager = environment.get("APT_CI_PAGER").or(environment.get("PAGER")).unwrap_or("less");
    if !ui.terminal || pager == "cat" {
        let mut out = tokio::io::stdout();
        copy(text, &mut out).await?;
        return Ok(out.flush().await?);
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
