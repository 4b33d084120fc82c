//! `apt-ci github sync`: makes the hooks at the forge match the site.

use apt_ci::forge::client::Client;
use apt_ci::forge::error::ForgeError;
use apt_ci::forge::hook::Hook;
use apt_ci::forge::{Forge, Project};
use apt_ci::pulls::keyring::hook_kind;
use apt_ci::pulls::rebuild::by_project;
use apt_ci::server_url::ServerUrl;
use apt_ci::site::credentials::Credentials;
use serde_json::json;

use super::access::{self, TokenFile};
use super::counterpart::{self, strays};
use super::secrets;
use crate::session::Session;
use crate::ui::ask;
use crate::ui::error::{CommandResult, ErrorContext as _};
use crate::ui::exit::ExitStatus;

/// Make the hooks on the forge match those that the site declares
///
/// Creates missing hooks, fixes those that differ, and removes undeclared hooks that send to this service, including
/// those of projects of which only a secret is left. Prints one line per change.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  apt-ci github sync --dry-run")]
pub struct SyncArgs {
    /// Show what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    token: TokenFile,
}

/// A change of a hook at the forge.
struct HookChange<'a> {
    project: &'a Project,
    url: String,
    what: ChangeKind<'a>,
}

enum ChangeKind<'a> {
    Create(&'a Hook),
    Fix(&'a Hook, u64, &'static str),
    Remove(u64),
}

impl HookChange<'_> {
    fn word(&self) -> &'static str {
        match self.what {
            ChangeKind::Create(_) => "make",
            ChangeKind::Fix(..) => "mend",
            ChangeKind::Remove(_) => "remove",
        }
    }
}

pub async fn run(forge: Forge, args: SyncArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    let service = access::service(&site)?;
    let credentials = session.credentials(&site)?;
    let declared = access::hooks_of(forge, &site)?;
    let hooks = access::at_one_server(declared.clone(), &args.token)?;
    let forgotten = forgotten(forge, &declared, &credentials)?;
    let api = match (args.token.api_url.as_ref().or(hooks.first().map(|hook| &hook.api)), forgotten.first()) {
        (Some(api), _) if !hooks.is_empty() || !forgotten.is_empty() => api,
        (None, Some(project)) => return Err(access::no_server(project).into()),
        _ => {
            session.ui.note("No hooks are declared; nothing to synchronize.");
            return Ok(ExitStatus::Success);
        }
    };
    let token = args.token.needed(forge, api, session).await?;
    let client = Client::new(forge, api, Some(token))?;
    let mut steps = Vec::new();
    for hooks in by_project(&hooks) {
        let Some(Hook { project, .. }) = hooks.first() else { continue };
        let present = client.hooks(project).await?;
        for hook in &hooks {
            match counterpart::find(hook, &service, &present) {
                None => {
                    steps.push(HookChange { project, url: hook.payload_url(&service), what: ChangeKind::Create(hook) });
                }
                Some(found) => {
                    let mut drift = found.drift;
                    if drift.is_none() && secrets::of(hook, &service, &credentials)?.is_none() {
                        drift = Some("no secret here");
                    }
                    for (present, url) in found.addresses() {
                        let last = client.last_delivery(project, present.id).await?;
                        let is_refused = last.is_some_and(|last| last.status == Some(403));
                        // The change of the first hook fixes everything that is wrong with the counterpart.
                        if let Some(why) = drift.take().or_else(|| is_refused.then_some("refused")) {
                            let what = ChangeKind::Fix(hook, present.id, why);
                            steps.push(HookChange { project, url: url.to_owned(), what });
                        }
                    }
                }
            }
        }
        for stray in strays(forge, &hooks, &service, present) {
            steps.push(HookChange { project, url: stray.url, what: ChangeKind::Remove(stray.id) });
        }
    }
    let mut is_all_known = true;
    for project in &forgotten {
        match client.hooks(project).await {
            Ok(present) => steps.extend(strays(forge, &[], &service, present).into_iter().map(|stray| HookChange {
                project,
                url: stray.url,
                what: ChangeKind::Remove(stray.id),
            })),
            // The project may be at another server, or be gone.
            Err(ForgeError::NotFound { .. }) => {}
            Err(error) => {
                session.ui.warn(format!("cannot check {project}, of which only a secret is left: {error}"));
                is_all_known = false;
            }
        }
    }
    tell(&steps, session)?;
    let exit = if is_all_known { ExitStatus::Success } else { ExitStatus::Failure };
    if steps.is_empty() {
        let of = if is_all_known { "" } else { " where it could be checked" };
        session.ui.note(format!("{} matches the site{of}.", forge.title()));
        return Ok(exit);
    }
    if args.dry_run {
        return Ok(exit);
    }
    if !args.yes {
        ask::require_terminal()?;
        if !ask::confirm("Make these changes?".to_owned()).await? {
            session.ui.note("Nothing was changed.");
            return Ok(ExitStatus::Failure);
        }
    }
    session.confirm_recipients(&credentials).await?;
    let mut all_taken = true;
    for (done, step) in steps.iter().enumerate() {
        let so_far = || format!("{done} of {} changes were made; run this again for the rest", steps.len());
        all_taken &= take(step, &client, &service, &declared, &credentials, session).await.with_context(so_far)?;
    }
    session.ui.note(format!("{} now matches the site.", forge.title()));
    Ok(if all_taken { exit } else { ExitStatus::Failure })
}

/// Makes a change. Returns whether the service accepts the hook's deliveries afterwards.
async fn take(
    step: &HookChange<'_>,
    client: &Client,
    service: &ServerUrl,
    declared: &[Hook],
    credentials: &Credentials,
    session: &Session,
) -> CommandResult<bool> {
    let HookChange { project, url, what } = step;
    let (forge, id) = match what {
        ChangeKind::Create(hook) => {
            let secret = secrets::made(hook, service, declared, credentials)?;
            (hook.forge, client.create_hook(project, url, &secret).await?.id)
        }
        ChangeKind::Fix(hook, id, _) => {
            client.change_hook(project, *id, url, &secrets::made(hook, service, declared, credentials)?).await?;
            (hook.forge, *id)
        }
        ChangeKind::Remove(id) => {
            client.remove_hook(project, *id).await?;
            return Ok(true);
        }
    };
    // GitLab enables a disabled hook again when one of its deliveries was accepted.
    let delivered = access::ping(client, project, id).await?;
    Ok(access::tell_ping(delivered.as_ref(), forge, session))
}

/// Returns the projects with a secret, but without a hook: the last one may have been removed from the file by hand.
fn forgotten(forge: Forge, declared: &[Hook], credentials: &Credentials) -> CommandResult<Vec<Project>> {
    let of_kind = credentials.list()?.into_iter().filter(|entry| entry.kind == hook_kind(forge));
    let mut projects: Vec<Project> = of_kind.filter_map(|entry| entry.name.as_str().parse().ok()).collect();
    projects.retain(|project| !declared.iter().any(|hook| hook.project.is(project.as_str())));
    Ok(projects)
}

fn tell(steps: &[HookChange<'_>], session: &Session) -> CommandResult<()> {
    if session.ui.is_json {
        let all = steps.iter().map(|step| json!({"step": step.word(), "project": step.project, "url": step.url}));
        return session.ui.json(&all.collect::<Vec<_>>());
    }
    for step in steps {
        let why = if let ChangeKind::Fix(_, _, why) = step.what { format!(" ({why})") } else { String::new() };
        session.ui.data(format!("{:<6}  {}  {}{why}", step.word(), step.project, step.url))?;
    }
    Ok(())
}
