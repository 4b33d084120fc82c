//! `apt-ci site`: trusted sites.

use std::path::{Path, PathBuf};

use apt_ci::site::{SITE_FILE, TrustStore, TrustedSite, shell_word};
use clap::Subcommand;
use serde_json::json;

use crate::session::Session;
use crate::ui::error::{BadInput, CommandResult, ErrorContext as _, NotFound};
use crate::ui::exit::ExitStatus;
use crate::ui::table::{self, Cell, Column};

/// Manage trust in sites found in or above the working directory
#[derive(clap::Args)]
#[command(after_help = "\
A site names servers that receive passwords and programs that are executed. A site found in or above the working \
directory is therefore used only if you trust it, and only while nobody except you and root can change its files, the \
files that they name, or a directory above them. Sites named by --site or APT_CI_SITE, and those in ~/.config/apt-ci \
and /etc/apt-ci, do not need to be trusted; `apt-ci init` trusts the site that it creates.

Examples:
  apt-ci site trust ~/ci-site
  apt-ci site trust --list")]
pub struct SiteArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Trust a site, or list trusted sites
    #[command(after_help = "Example:\n  apt-ci site trust ~/ci-site")]
    Trust {
        /// Site directory, or its apt-ci.toml [default: the site found from here]
        dir: Option<PathBuf>,
        /// List trusted sites (piped output is tab-separated: path, user id of the owner)
        #[arg(long, conflicts_with = "dir")]
        list: bool,
    },
    /// Stop trusting a site
    #[command(after_help = "Example:\n  apt-ci site untrust ~/ci-site")]
    Untrust {
        /// Site directory, or its apt-ci.toml [default: the site found from here]
        dir: Option<PathBuf>,
    },
}

pub fn run(args: SiteArgs, session: &Session) -> CommandResult<ExitStatus> {
    let store = TrustStore::of_user(&session.environment);
    match args.command {
        Command::Trust { list: true, .. } => list(&store.list()?, session)?,
        Command::Trust { dir, list: false } => {
            let dir = folder(dir, session)?;
            if !dir.join(SITE_FILE).is_file() {
                let message = format!("no site at {}", dir.display());
                let hint = format!(
                    "a site is a folder with an {SITE_FILE}; run `apt-ci init {}` to create one",
                    shell_word(&dir)
                );
                return Err(BadInput { message, hint: Some(hint) }.into());
            }
            let TrustedSite { path, owner } = store.trust(&dir)?;
            if session.ui.is_json {
                session.ui.json(&json!({"path": path, "owner": owner}))?;
            }
            session.ui.note(format!("Trusting the site {}.", path.display()));
        }
        Command::Untrust { dir } => {
            let dir = folder(dir, session)?;
            if !store.untrust(&dir)? {
                let message = format!("the site {} is not trusted", dir.display());
                return Err(
                    NotFound { message, hint: "run `apt-ci site trust --list` to list the trusted sites" }.into()
                );
            }
            session.ui.note(format!("No longer trusting the site {}.", dir.display()));
        }
    }
    Ok(ExitStatus::Success)
}

/// Returns the absolute path of the site's folder.
fn folder(given: Option<PathBuf>, session: &Session) -> CommandResult<PathBuf> {
    if let Some(dir) = given {
        let dir = std::path::absolute(&dir).with_context(|| format!("cannot find {}", dir.display()))?;
        // As with --site, the file stands for its folder.
        let is_file = dir.file_name().is_some_and(|name| name == SITE_FILE) && !dir.is_dir();
        return Ok(dir.parent().filter(|_| is_file).map_or_else(|| dir.clone(), Path::to_owned));
    }
    session.inspected_site()?.root.ok_or_else(|| {
        let message = "no site here".to_owned();
        BadInput { message, hint: Some("give the site's folder".to_owned()) }.into()
    })
}

fn list(sites: &[TrustedSite], session: &Session) -> CommandResult<()> {
    if session.ui.is_json {
        return session.ui.json(&sites);
    }
    if sites.is_empty() {
        session.ui.note("No trusted sites; run `apt-ci site trust DIR` to trust one.");
    }
    let rows: Vec<Vec<Cell>> =
        sites.iter().map(|site| vec![Cell::new(site.path.display()), Cell::new(site.owner)]).collect();
    table::print(&session.ui, &[Column::new("SITE").wrap(), Column::new("OWNER")], &rows)
}
