//! `apt-ci init`: creates a site.

use std::path::PathBuf;

use apt_ci::site::{TrustStore, shell_word};

use crate::session::Session;
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;

/// Create a site: a git repository with a commented configuration
#[derive(clap::Args)]
#[command(after_help = "Example:\n  apt-ci init ~/ci-site")]
pub struct InitArgs {
    /// Directory of the site; created if missing
    #[arg(default_value = ".")]
    dir: PathBuf,
}

pub fn run(args: InitArgs, session: &Session) -> CommandResult<ExitStatus> {
    let created = apt_ci::site::create(&std::path::absolute(&args.dir)?)?;
    // Its files were just written by this user.
    if let Err(error) = TrustStore::of_user(&session.environment).trust_new(&created.root) {
        session.ui.warn(format!("created the site, but cannot trust it ({error}); name it with --site"));
    }
    if session.ui.is_json {
        session
            .ui
            .json(&serde_json::json!({"root": created.root, "files": created.files, "commit": created.commit}))?;
        return Ok(ExitStatus::Success);
    }
    session.ui.data(created.root.display())?;
    let files: Vec<String> = created.files.iter().map(|file| file.display().to_string()).collect();
    session.ui.note(format!(
        "Committed {} as {}. Next: edit apt-ci.toml, then check the settings with `apt-ci --site {} config`.",
        files.join(", "),
        created.commit.get(..7).unwrap_or(&created.commit),
        shell_word(&args.dir),
    ));
    Ok(ExitStatus::Success)
}
