//! `apt-ci github remove-hook`.

use apt_ci::forge::client::Client;
use apt_ci::forge::error::ForgeError;
use apt_ci::forge::hook::Hook;
use apt_ci::forge::remote::RemoteHook;
use apt_ci::forge::{Forge, Project};
use apt_ci::pulls::keyring::{hook_kind, next_name};
use apt_ci::site::Site;
use apt_ci::site::credentials::{Credentials, Name};

use super::access::{self, HookArgs, TokenFile};
use super::counterpart::{self, strays};
use super::secrets;
use crate::session::Session;
use crate::ui::ask;
use crate::ui::error::{BadInput, CommandResult, OperationFailed};
use crate::ui::exit::ExitStatus;

/// Stop testing a project's pull requests
///
/// Removes the hook from the forge, its declaration, and with the project's last hook its secret.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  apt-ci github remove-hook OWNER/REPO")]
pub struct RemoveArgs {
    /// Project, as OWNER/REPO
    project: Project,
    #[command(flatten)]
    chosen: HookArgs,
    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
    /// Do not change the forge; the project's administrator removes the hook there
    #[arg(long, conflicts_with = "token_file")]
    manual: bool,
    #[command(flatten)]
    token: TokenFile,
}

pub async fn run(forge: Forge, args: RemoveArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    let service = access::service(&site)?;
    let credentials = session.credentials(&site)?;
    let declared = access::hooks_of(forge, &site)?;
    let hooks = match access::hooks_of_project(forge, &args.project, &args.chosen, &args.token, &site) {
        Err(error) if error.is_not_found() => {
            return rest(forge, &args, &declared, &site, &credentials, session).await;
        }
        other => other?,
    };
    for hook in &hooks {
        session.ui.note(format!("{}: {}", hook.project, hook.title()));
        let chosen = &args.chosen.architectures;
        if !chosen.is_empty() && !hook.architectures.iter().all(|one| chosen.contains(one)) {
            let message = format!("this hook also covers other architectures: {}", hook.title());
            let hint =
                "remove the architecture from hooks.toml, commit, and run `apt-ci github sync` (or gitlab)".to_owned();
            return Err(BadInput { message, hint: Some(hint) }.into());
        }
    }
    if !is_wanted(&args, if hooks.len() == 1 { "Remove this hook?" } else { "Remove these hooks?" }, session).await? {
        return Ok(ExitStatus::Failure);
    }
    let server = hooks.first().map_or_else(|| forge.api(), |hook| hook.api.clone());
    let token = if args.manual { None } else { Some(args.token.needed(forge, &server, session).await?) };
    let mut rest = declared.clone();
    rest.retain(|hook| !hooks.contains(hook) && hook.project.is(args.project.as_str()));
    for hook in &hooks {
        if let Some(token) = &token {
            let client = access::client(hook, Some(token.clone()))?;
            let present = client.hooks(&hook.project).await.map_err(later)?;
            // Another hook may have the same address.
            let is_shared = |url: &str| rest.iter().any(|other| counterpart::accepts(other, &service, url));
            let is_its_own =
                |present: &&RemoteHook| counterpart::accepts(hook, &service, &present.url) && !is_shared(&present.url);
            for present in present.iter().filter(is_its_own) {
                removed(client.remove_hook(&hook.project, present.id).await)?;
            }
        }
        site.forget_hook(hook)?;
        session.ui.note(format!("{} is no longer tested: {}.", hook.project, hook.title()));
    }
    if let Some(hook) = hooks.first().filter(|_| rest.is_empty()) {
        secrets::forget(&secrets(&hook.project, &hooks, &declared), forge, &credentials)?;
        session.ui.note("Removed the project's secret as well: this was its last hook.");
    }
    Ok(ExitStatus::Success)
}

/// Returns the names of the secrets of a project without hooks.
fn secrets(project: &Project, hooks: &[Hook], declared: &[Hook]) -> Vec<String> {
    let mut names = secrets::own_packages(hooks, declared);
    names.extend([project.to_string(), next_name(project)]);
    names
}

/// Finishes an earlier call that was interrupted or could not commit, or the removal of a declaration by hand.
async fn rest(
    forge: Forge,
    args: &RemoveArgs,
    declared: &[Hook],
    site: &Site,
    credentials: &Credentials,
    session: &Session,
) -> CommandResult<ExitStatus> {
    let is_meant = |hook: &Hook| hook.forge == forge && hook.project.is(args.project.as_str());
    let all = site.hooks()?;
    let (gone, others): (Vec<Hook>, Vec<Hook>) = site
        .committed_hooks()?
        .into_iter()
        .partition(|hook| is_meant(hook) && args.chosen.means(hook) && !all.contains(hook));
    // Other changes of the file are left to whoever made them.
    let is_uncommitted = !gone.is_empty() && others == all;
    let project = gone.first().map_or(&args.project, |hook| &hook.project);
    let mut names = Vec::new();
    if !declared.iter().any(is_meant) {
        for name in secrets(project, &gone, declared) {
            if credentials.is_known(hook_kind(forge), &name.parse::<Name>()?)? {
                names.push(name);
            }
        }
    }
    if !is_uncommitted && names.is_empty() {
        return Err(access::no_such_hook(forge, &args.project).into());
    }
    session.ui.note(format!("No matching hook of {project} is declared any longer."));
    let left = if args.manual {
        None
    } else {
        let known = gone.first().or_else(|| declared.iter().find(|hook| is_meant(hook)));
        let api = args.token.api_url.clone().or_else(|| Some(known?.api.clone()));
        let api = api.ok_or_else(|| BadInput {
            hint: Some("give the server with --api-url, or use --manual to leave the forge unchanged".to_owned()),
            ..access::no_server(project)
        })?;
        let client = Client::new(forge, &api, Some(args.token.needed(forge, &api, session).await?))?;
        let service = access::service(site)?;
        let declared: Vec<&Hook> = declared.iter().filter(|hook| is_meant(hook)).collect();
        let mut left = strays(forge, &declared, &service, client.hooks(project).await.map_err(later)?);
        // Others may be declared by a change of the site that has not arrived here yet.
        left.retain(|present| {
            gone.is_empty() || gone.iter().any(|hook| counterpart::accepts(hook, &service, &present.url))
        });
        for present in &left {
            session.ui.note(format!("Still at {}: {}", forge.title(), present.url));
        }
        Some((client, left))
    };
    if !is_wanted(args, "Remove the remains of this hook?", session).await? {
        return Ok(ExitStatus::Failure);
    }
    if let Some((client, left)) = left {
        for present in left {
            removed(client.remove_hook(project, present.id).await)?;
        }
    }
    if is_uncommitted {
        for hook in &gone {
            site.forget_hook(hook)?;
        }
    }
    secrets::forget(&names, forge, credentials)?;
    session.ui.note(format!("Removed the remains of the hooks of {project}."));
    Ok(ExitStatus::Success)
}

fn later(error: ForgeError) -> OperationFailed {
    OperationFailed {
        message: error.to_string(),
        hint: "run this again when the forge is reachable, or use --manual to leave the forge unchanged".into(),
    }
}

/// Treats a hook that is already gone as removed.
fn removed(outcome: Result<(), ForgeError>) -> Result<(), ForgeError> {
    match outcome {
        Err(ForgeError::NotFound { .. }) => Ok(()),
        other => other,
    }
}

async fn is_wanted(args: &RemoveArgs, question: &str, session: &Session) -> CommandResult<bool> {
    if args.yes {
        return Ok(true);
    }
    ask::require_terminal_or_yes()?;
    let is_wanted = ask::confirm(question.to_owned()).await?;
    if !is_wanted {
        session.ui.note("Nothing was changed.");
    }
    Ok(is_wanted)
}
