//! `apt-ci github remove-hook`.

use apt_ci::forge::error::ForgeError;
use apt_ci::forge::hook::Hook;
use apt_ci::forge::{Forge, Project};
use apt_ci::pulls::keyring::{hook_kind, next_name};
use apt_ci::site::Site;
use apt_ci::site::credentials::Credentials;

use super::access::{self, Chosen, TokenFile};
use crate::session::Session;
use crate::ui::ask;
use crate::ui::error::{BadInput, NotFound, Unable};
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
    let declared = access::hooks_of(forge, &site)?;
    let hooks = match access::hooks_of_project(forge, &args.project, &args.chosen, &args.token, &site) {
        Err(error) if error.is::<NotFound>() => {
            return rest(forge, &args, &declared, &site, &credentials, session).await;
        }
        other => other?,
    };
    for hook in &hooks {
        session.ui.note(format!("{}: {}", hook.project, hook.title()));
        let chosen = &args.chosen.architectures;
        if !chosen.is_empty() && !hook.architectures.iter().all(|one| chosen.contains(one)) {
            let message = format!("this hook is for other architectures as well: {}", hook.title());
            let hint = "take the architecture out of hooks.toml, commit, and call sync".to_owned();
            return Err(BadInput { message, hint: Some(hint) }.into());
        }
    }
    if !is_wanted(&args, if hooks.len() == 1 { "Remove this hook?" } else { "Remove these hooks?" }, session).await? {
        return Ok(ExitStatus::Failure);
    }
    let token = if args.manual { None } else { Some(args.token.needed(forge, session).await?) };
    let mut rest = declared.clone();
    rest.retain(|hook| !hooks.contains(hook) && hook.project.is(args.project.as_str()));
    for hook in &hooks {
        if let Some(token) = &token {
            let client = access::client(hook, Some(token.clone()))?;
            let present = client.hooks(&hook.project).await.map_err(|error| Unable {
                message: error.to_string(),
                hint: "call this again when it can be asked; --manual leaves the forge alone",
            })?;
            // Another hook may have the same address.
            let is_shared = |url: &str| rest.iter().any(|other| access::accepts(other, &service, url));
            if let Some(found) = access::present(hook, &service, &present).filter(|found| !is_shared(&found.hook.url)) {
                match client.remove_hook(&hook.project, found.hook.id).await {
                    Ok(()) | Err(ForgeError::NotFound { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        site.forget_hook(hook)?;
        session.ui.note(format!("{} is tested no more: {}.", hook.project, hook.title()));
    }
    if let Some(hook) = hooks.first().filter(|_| rest.is_empty()) {
        access::forget_secrets(&secrets(hook, &hooks, &declared), forge, &credentials)?;
        session.ui.note("It was the project's last hook: its secret is removed, too.");
    }
    Ok(ExitStatus::Success)
}

/// The names of a project's secrets, of which no hook is left.
fn secrets(hook: &Hook, hooks: &[Hook], declared: &[Hook]) -> Vec<String> {
    let mut names = access::own_packages(hooks, declared);
    names.extend([hook.project.to_string(), next_name(&hook.project)]);
    names
}

/// Does what an earlier call has left, which died, or could not commit: no hook is declared any more.
async fn rest(
    forge: Forge,
    args: &RemoveArgs,
    declared: &[Hook],
    site: &Site,
    credentials: &Credentials,
    session: &Session,
) -> anyhow::Result<ExitStatus> {
    let is_meant = |hook: &Hook| hook.forge == forge && hook.project.is(args.project.as_str());
    let mut committed = site.committed_hooks()?;
    committed.retain(|hook| is_meant(hook) && args.chosen.means(hook) && !declared.contains(hook));
    let mut names = Vec::new();
    if !declared.iter().any(is_meant) {
        let project = committed.first().map_or(&args.project, |hook| &hook.project);
        names = access::own_packages(&committed, declared);
        names.extend([project.to_string(), next_name(project)]);
        let there: Vec<String> = credentials
            .list()?
            .into_iter()
            .filter(|one| one.kind == hook_kind(forge))
            .map(|one| one.name.to_string())
            .collect();
        names.retain(|name| there.contains(name));
    }
    if committed.is_empty() && names.is_empty() {
        return Err(access::no_such_hook(forge, &args.project).into());
    }
    session.ui.note(format!("No such hook of {} is declared any more.", args.project));
    let left = match (committed.is_empty(), names.is_empty()) {
        (false, true) => "Commit that?",
        (false, false) => "Commit that, and remove its secret?",
        (true, _) => "Remove its secret?",
    };
    if !is_wanted(args, left, session).await? {
        return Ok(ExitStatus::Failure);
    }
    for hook in &committed {
        site.forget_hook(hook)?;
    }
    access::forget_secrets(&names, forge, credentials)?;
    session.ui.note(format!("What was left of the hooks of {} is removed.", args.project));
    Ok(ExitStatus::Success)
}

async fn is_wanted(args: &RemoveArgs, question: &str, session: &Session) -> anyhow::Result<bool> {
    if args.yes {
        return Ok(true);
    }
    ask::somebody_to_say_yes()?;
    let is_wanted = ask::confirm(question.to_owned()).await?;
    if !is_wanted {
        session.ui.note("Nothing was changed.");
    }
    Ok(is_wanted)
}
