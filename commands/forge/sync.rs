//! `apt-ci github sync`: makes the forge agree with the site.

use apt_ci::forge::Forge;
use apt_ci::forge::client::Client;
use apt_ci::forge::hook::Hook;
use apt_ci::pulls::rebuild::by_project;
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
    let hooks: Vec<Hook> = access::hooks_of(forge, &site)?.into_iter().map(|(_, hook)| hook).collect();
    if hooks.is_empty() {
        session.ui.note("No hook is declared: there is no project to look at.");
        return Ok(ExitStatus::Success);
    }
    let token = args.token.needed(forge, session).await?;
    let mut steps = Vec::new();
    for hooks in by_project(&hooks) {
        let Some(first) = hooks.first() else { continue };
        let present = access::client(first, Some(token.clone()))?.hooks(&first.project).await?;
        for hook in &hooks {
            let url = hook.payload_url(&service);
            match access::present(hook, &service, &present) {
                None => steps.push(Step { hook, url, what: What::Make }),
                Some(found) => {
                    if let Some(drift) = drift(found) {
                        steps.push(Step { hook, url, what: What::Mend(found.id, drift) });
                    }
                }
            }
        }
        for stray in strays(&hooks, &service, present) {
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
    for Step { hook, url, what } in &steps {
        let client: Client = access::client(hook, Some(token.clone()))?;
        match what {
            What::Make => {
                let secret = own_secret(hook, &credentials)?;
                client.create_hook(&hook.project, url, &secret).await?;
            }
            What::Mend(id, _) => {
                let secret = own_secret(hook, &credentials)?;
                client.change_hook(&hook.project, *id, url, &secret).await?;
            }
            What::Remove(id) => client.remove_hook(&hook.project, *id).await?,
        }
    }
    session.ui.note(format!("{} agrees with the site now.", forge.title()));
    Ok(ExitStatus::Success)
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
