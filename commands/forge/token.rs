//! `apt-ci github set-token`: stores the token that sets statuses.

use std::path::{Path, PathBuf};

use apt_ci::forge::client::Client;
use apt_ci::forge::error::ForgeError;
use apt_ci::forge::{Forge, Project};
use apt_ci::pulls::keyring::status_kind;
use apt_ci::server_url::ServerUrl;
use apt_ci::site::credentials::{Credentials, Details, Entry, Name};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::access;
use crate::session::Session;
use crate::ui::error::{BadInput, CommandResult};
use crate::ui::exit::ExitStatus;
use crate::ui::redacted_value::RedactedValue;
use crate::ui::secret;

/// Store the token used to set a project's statuses
///
/// Reads the token from a hidden prompt, a file or standard input, and tests it before storing it.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  apt-ci github set-token OWNER/REPO")]
pub struct TokenArgs {
    /// Project, as OWNER/REPO
    project: Project,
    /// Read the token from FILE
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// API URL [default: that of the project's hooks, else of github.com/gitlab.com]
    #[arg(long, value_name = "URL", value_parser = RedactedValue::<ServerUrl>::new())]
    api_url: Option<ServerUrl>,
}

pub async fn run(forge: Forge, args: TokenArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    let credentials = session.credentials_to_change(&site).await?;
    let hooks = access::hooks_of(forge, &site)?;
    let of_project = hooks.iter().find(|hook| hook.project.is(args.project.as_str()));
    if of_project.is_none() {
        session.ui.warn(format!("no hook of {} is declared yet", args.project));
    }
    // The name as the hook spells it, whatever case was typed.
    let project = of_project.map_or(&args.project, |hook| &hook.project);
    let api = args.api_url.or_else(|| of_project.map(|hook| hook.api.clone())).unwrap_or_else(|| forge.api());
    let token = read(forge, &api, project, args.file.as_deref(), session).await?;
    let entry = store(forge, &api, project, &token, &credentials)?;
    let verb = if entry.rotated.is_some() { "Replaced" } else { "Stored" };
    session.ui.note(format!("{verb} the status token of {project}."));
    Ok(ExitStatus::Success)
}

/// Reads a token and tests it. Returns the form in which it is stored.
pub async fn read(
    forge: Forge,
    api: &ServerUrl,
    project: &Project,
    file: Option<&Path>,
    session: &Session,
) -> CommandResult<SecretString> {
    // An option without a value prompts for it.
    let file = file.filter(|file| !file.as_os_str().is_empty());
    let token = secret::read(file, &format!("Status token of {project}")).await?;
    let token: SecretString = token.expose_secret().trim().to_owned().into();
    let facts = match Client::new(forge, api, Some(token.clone()))?.token().await {
        Err(ForgeError::NotAllowed { address, status: 401, .. }) => {
            let message = format!("{address} does not accept this token");
            return Err(BadInput {
                message,
                hint: Some("check that it has not expired and that it belongs to this server".to_owned()),
            }
            .into());
        }
        other => other?,
    };
    let (enough, more_than_enough): (&[&str], &[&str]) = match forge {
        Forge::GitHub => (&["repo:status", "repo", "public_repo"], &["repo:status"]),
        Forge::GitLab => (&["api"], &["api"]),
    };
    match &facts.scopes {
        None => session
            .ui
            .note("Cannot check the permissions of this token; it needs only permission to write commit statuses."),
        Some(scopes) if !scopes.iter().any(|scope| enough.contains(&scope.as_str())) => {
            let has = if scopes.is_empty() { "none".to_owned() } else { scopes.join(", ") };
            let message = format!("this token may not set statuses: it needs the scope {}, but has {has}", enough[0]);
            return Err(BadInput { message, hint: None }.into());
        }
        Some(scopes) => {
            let others: Vec<&str> =
                scopes.iter().map(String::as_str).filter(|scope| !more_than_enough.contains(scope)).collect();
            if !others.is_empty() {
                let others = others.join(", ");
                session
                    .ui
                    .warn(format!("this token has more permissions than needed ({others}); {} is enough", enough[0]));
            }
        }
    }
    Ok(match (forge, facts.login) {
        (Forge::GitHub, Some(login)) => format!("{login}:{}", token.expose_secret()).into(),
        _ => token,
    })
}

/// Stores a token, bound to this server.
pub fn store(
    forge: Forge,
    api: &ServerUrl,
    project: &Project,
    token: &SecretString,
    credentials: &Credentials,
) -> CommandResult<Entry> {
    let name: Name = project.as_str().parse()?;
    let details = Details::for_server(api.server());
    Ok(credentials.set(status_kind(forge), &name, token, &details, Timestamp::now())?)
}
