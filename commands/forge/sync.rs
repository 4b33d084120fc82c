//! `apt-ci github sync`: makes the forge agree with the site.

use anyhow::Context as _;
use apt_ci::forge::Forge;
use apt_ci::forge::client::Client;
use apt_ci::forge::hook::Hook;
use apt_ci::pulls::rebuild::by_project;
use apt_ci::site::credentials::Credentials;
use serde_json::json;

use super::access::{self, TokenFile};
use super::add::own_secret;
use super::list::{drift, strays};
use crate::session::Session;
use crate::ui::ask;
use crate::ui::exit::ExitStatus;

/// Make the forge agree with what the site declares
///
/// Makes the hooks that are missing, mends those that differ, and removes those that send to this service and are not declared.
/// Prints what it does, one line each.
#[derive(clap::Args)]
pub struct SyncArgs {
    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    token: TokenFile,
}

/// One thing to do.
struct Step<'a> {
    hook: &'a Hook,
    url: String,
    what: What,
}

enum What {
    Make,
    Mend(u64, &'static str),
    Remove(u64),
}

impl Step<'_> {
    fn word(&self) -> &'static str {
        match self.what {
            What::Make => "make",
            What::Mend(..) => "mend",
            What::Remove(_) => "remove",
        }
    }
}

pub async fn run(forge: Forge, args: SyncArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let site = session.site()?;
    let service = access::service(&site)?;
    let credentials = session.credentials(&site)?;
    let hooks = access::at_one_server(access::hooks_of(forge, &site)?, &args.token)?;
    if hooks.is_empty() {
        session.ui.note("No hook is declared: there is no project to look at.");
        return Ok(ExitStatus::Success);
    }
    let token = args.token.needed(forge, session).await?;
    let mut steps = Vec::new();
    for hooks in by_project(&hooks) {
        let Some(first) = hooks.first() else { continue };
        let client = access::client(first, Some(token.clone()))?;
        let present = client.hooks(&first.project).await?;
        for hook in &hooks {
            let url = hook.payload_url(&service);
            match access::present(hook, &service, &present) {
                None => steps.push(Step { hook, url, what: What::Make }),
                Some(found) => {
                    let last = client.last_delivery(&first.project, found.id).await?;
                    let is_refused = last.is_some_and(|last| last.status == Some(403));
                    let why = match drift(found) {
                        Some(drift) => Some(drift),
                        None if access::secret_of(hook, &credentials)?.is_none() => Some("no secret here"),
                        None => is_refused.then_some("refused"),
                    };
                    if let Some(why) = why {
                        steps.push(Step { hook, url: found.url.clone(), what: What::Mend(found.id, why) });
                    }
                }
            }
        }
        for stray in strays(forge, &hooks, &service, present) {
            steps.push(Step { hook: first, url: stray.url, what: What::Remove(stray.id) });
        }
    }
    tell(&steps, session)?;
    if steps.is_empty() {
        session.ui.note(format!("{} agrees with the site.", forge.title()));
        return Ok(ExitStatus::Success);
    }
    if args.dry_run {
        return Ok(ExitStatus::Success);
    }
    if !args.yes {
        ask::somebody()?;
        if !ask::confirm("Do this?".to_owned()).await? {
            session.ui.note("Nothing was changed.");
            return Ok(ExitStatus::Failure);
        }
    }
    let mut all_taken = true;
    for (done, step) in steps.iter().enumerate() {
        let client = access::client(step.hook, Some(token.clone()))?;
        let so_far = || format!("{done} of {} steps were done; call it again for the rest", steps.len());
        all_taken &= take(step, &client, &credentials, session).await.with_context(so_far)?;
    }
    session.ui.note(format!("{} agrees with the site now.", forge.title()));
    Ok(if all_taken { ExitStatus::Success } else { ExitStatus::Failure })
}

/// Does a step. Gives whether the service takes what the hook sends then.
async fn take(step: &Step<'_>, client: &Client, credentials: &Credentials, session: &Session) -> anyhow::Result<bool> {
    let Step { hook, url, what } = step;
    let id = match what {
        What::Make => client.create_hook(&hook.project, url, &own_secret(hook, credentials)?).await?.id,
        What::Mend(id, _) => {
            client.change_hook(&hook.project, *id, url, &own_secret(hook, credentials)?).await?;
            *id
        }
        What::Remove(id) => {
            client.remove_hook(&hook.project, *id).await?;
            return Ok(true);
        }
    };
    // GitLab lets a hook that it has switched off send again when something of it was taken.
    let delivered = access::ping(client, &hook.project, id).await?;
    Ok(access::tell_ping(delivered.as_ref(), hook.forge, session))
}

fn tell(steps: &[Step<'_>], session: &Session) -> anyhow::Result<()> {
    if session.ui.json {
        let all = steps.iter().map(|step| json!({"step": step.word(), "project": step.hook.project, "url": step.url}));
        return session.ui.json(&all.collect::<Vec<_>>());
    }
    for step in steps {
        let why = if let What::Mend(_, why) = step.what { format!(" ({why})") } else { String::new() };
        session.ui.data(format!("{:<6}  {}  {}{why}", step.word(), step.hook.project, step.url))?;
    }
    Ok(())
}
