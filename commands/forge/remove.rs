//! `apt-ci github remove-hook`.

use anyhow::Context as _;
use apt_ci::forge::error::ForgeError;
use apt_ci::forge::{Forge, Project};
use apt_ci::pulls::keyring::{hook_kind, next_name};
use apt_ci::site::credentials::{CredentialsError, Name};

use super::access::{self, Chosen, TokenFile};
use crate::session::Session;
use crate::ui::ask;
use crate::ui::error::BadInput;
use crate::ui::exit::ExitStatus;

/// Test a project's pull requests no more
///
/// Removes the hook at the forge, its declaration, and with the project's last hook its secret.
#[derive(clap::Args)]
pub struct RemoveArgs {
    /// OWNER/REPO, or GROUP/PROJECT
    project: Project,
    #[command(flatten)]
    chosen: Chosen,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Leave the forge alone: its administrator removes it there
    #[arg(long, conflicts_with = "token_file")]
    manual: bool,
    #[command(flatten)]
    token: TokenFile,
}

pub async fn run(forge: Forge, args: RemoveArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let site = session.site()?;
    let service = access::service(&site)?;
    let credentials = session.credentials(&site)?;
    let hooks = access::hooks_of_project(forge, &args.project, &args.chosen, &args.token, &site)?;
    for hook in &hooks {
        session.ui.note(format!("{}: {}", hook.project, hook.title()));
        let chosen = &args.chosen.architectures;
        if !chosen.is_empty() && !hook.architectures.iter().all(|one| chosen.contains(one)) {
            let message = format!("this hook is for other architectures as well: {}", hook.title());
            let hint = "take the architecture out of hooks.toml, commit, and call sync".to_owned();
            return Err(BadInput { message, hint: Some(hint) }.into());
        }
    }
    if !args.yes {
        ask::somebody_to_say_yes()?;
        if !ask::confirm(format!("Remove {}?", if hooks.len() == 1 { "this hook" } else { "these hooks" })).await? {
            session.ui.note("Nothing was changed.");
            return Ok(ExitStatus::Failure);
        }
    }
    let token = if args.manual { None } else { Some(args.token.needed(forge, session).await?) };
    let mut rest = access::hooks_of(forge, &site)?;
    rest.retain(|hook| !hooks.contains(hook) && hook.project.is(args.project.as_str()));
    for hook in &hooks {
        if let Some(token) = &token {
            let client = access::client(hook, Some(token.clone()))?;
            let present = client.hooks(&hook.project).await.context("--manual leaves the forge alone")?;
            // Another hook may have the same address.
            let is_shared = |url: &str| rest.iter().any(|other| access::accepts(other, &service, url));
            if let Some(found) = access::present(hook, &service, &present).filter(|found| !is_shared(&found.url)) {
                match client.remove_hook(&hook.project, found.id).await {
                    Ok(()) | Err(ForgeError::NotFound { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        site.forget_hook(hook)?;
        session.ui.note(format!("{} is tested no more: {}.", hook.project, hook.title()));
    }
    if let Some(hook) = hooks.first().filter(|_| rest.is_empty()) {
        for name in [hook.project.to_string(), next_name(&hook.project)] {
            match credentials.remove(hook_kind(forge), &name.parse::<Name>()?) {
                Ok(()) | Err(CredentialsError::Missing(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        session.ui.note("It was the project's last hook: its secret is removed, too.");
    }
    Ok(ExitStatus::Success)
}
