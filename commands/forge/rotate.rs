//! `apt-ci github rotate-secret`: replaces a secret, without a refused delivery meanwhile.

use apt_ci::forge::client::Client;
use apt_ci::forge::hook::Hook;
use apt_ci::forge::remote::RemoteDelivery;
use apt_ci::forge::{Forge, Project};
use apt_ci::pulls::keyring::{hook_kind, next_name};
use apt_ci::server_url::ServerUrl;
use apt_ci::site::Site;
use apt_ci::site::credentials::{Credentials, Details, Name};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::access::{self, HookArgs, TokenFile};
use super::{counterpart, secrets};
use crate::session::Session;
use crate::ui::error::{CommandResult, OperationFailed};
use crate::ui::exit::ExitStatus;
use crate::ui::secret;

/// Rotate the secret of a project's hooks
///
/// Both secrets are valid until the service has received a delivery from each hook signed with the new one.
/// An interrupted rotation is resumed.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  apt-ci github rotate-secret OWNER/REPO")]
pub struct RotateArgs {
    /// Project, as OWNER/REPO
    project: Project,
    /// Remove the old secret even if no delivery signed with the new one was received
    #[arg(long)]
    force: bool,
    /// Print the new secret for manual entry; with --force, finish a manual rotation
    #[arg(long, conflicts_with = "token_file")]
    manual: bool,
    #[command(flatten)]
    token: TokenFile,
}

pub async fn run(forge: Forge, args: RotateArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    let service = access::service(&site)?;
    let credentials = session.credentials_to_change(&site).await?;
    let hooks = access::hooks_of_project(forge, &args.project, &HookArgs::default(), &args.token, &site)?;
    let Some(first) = hooks.first() else { return Ok(ExitStatus::Success) };
    let client = if args.manual {
        None
    } else {
        let token = args.token.needed(forge, &first.api, session).await?;
        Some(access::client(first, Some(token))?)
    };
    let present = match &client {
        Some(client) => client.hooks(&first.project).await?,
        None => Vec::new(),
    };
    if args.manual
        && args.force
        && credentials.get(hook_kind(forge), &next_name(&first.project).parse::<Name>()?)?.is_none()
    {
        let message = format!("no new secret for {} has been created yet", first.project);
        return Err(OperationFailed {
            message,
            hint: "run it with --manual alone first to create and print one".into(),
        }
        .into());
    }
    let next = next_secret(first, &service, &credentials, session)?;
    let Some(client) = client else {
        if args.force {
            finish(&hooks, &next, &service, &site, &credentials, session)?;
        } else if session.ui.is_json {
            session.ui.json(&json!({"project": first.project, "secret": next.expose_secret()}))?;
        } else {
            session.ui.data(next.expose_secret())?;
            session.ui.note(format!(
                "Enter it as the secret of the project's hooks; then run `apt-ci {forge} rotate-secret {} --manual \
                 --force` to remove the old secret.",
                first.project
            ));
        }
        return Ok(ExitStatus::Success);
    };
    let mut seen_everywhere = true;
    for hook in &hooks {
        let Some(found) = counterpart::find(hook, &service, &present) else {
            // No hook there signs with the old secret.
            session.ui.warn(format!(
                "{} does not exist at {}; run `apt-ci {forge} sync` to create it",
                hook.title(),
                forge.title()
            ));
            continue;
        };
        for (found, url) in found.addresses() {
            client.change_hook(&hook.project, found.id, url, &next).await?;
            seen_everywhere &= is_seen(&client, hook, found.id, session).await?;
        }
    }
    if !seen_everywhere && !args.force {
        return Err(OperationFailed {
            message: "the service has not received a delivery with the new secret yet; both secrets stay valid"
                .to_owned(),
            hint: "give the service the current site and run this again, or use --force to remove the old secret now"
                .into(),
        }
        .into());
    }
    finish(&hooks, &next, &service, &site, &credentials, session)?;
    Ok(ExitStatus::Success)
}

/// Returns the new secret: that of an interrupted rotation, or a random one.
fn next_secret(
    hook: &Hook,
    service: &ServerUrl,
    credentials: &Credentials,
    session: &Session,
) -> CommandResult<SecretString> {
    let (kind, name) = (hook_kind(hook.forge), next_name(&hook.project).parse::<Name>()?);
    // Errors of the last step are found before the forge is changed.
    let own = hook.project.as_str().parse::<Name>()?;
    credentials.planned(kind, &own, &secrets::details(hook, service), Timestamp::now())?.check()?;
    if let Some(secret) = secrets::kept(name.as_str(), hook, service, credentials)? {
        session.ui.note("Continuing an earlier rotation with its secret.");
        return Ok(secret);
    }
    let secret = secret::random();
    let note = format!("takes the place of {}'s", hook.project);
    let details = Details { note: Some(note), ..secrets::details(hook, service) };
    credentials.set(kind, &name, &secret, &details, Timestamp::now())?;
    Ok(secret)
}

/// Pings a hook. Returns whether the service has accepted the delivery as signed with the new secret.
async fn is_seen(client: &Client, hook: &Hook, id: u64, session: &Session) -> CommandResult<bool> {
    let delivered = access::ping(client, &hook.project, id).await?;
    let is_new = |delivered: &RemoteDelivery| {
        let answer: Value = serde_json::from_str(&delivered.answer).unwrap_or_default();
        answer.get("secret").and_then(Value::as_str) == Some("next")
    };
    if !delivered.as_ref().is_some_and(RemoteDelivery::is_good) {
        access::tell_ping(delivered.as_ref(), hook.forge, session);
        return Ok(false);
    }
    Ok(delivered.as_ref().is_some_and(is_new))
}

/// Makes the new secret the only one. If this process dies in between, both are the same.
fn finish(
    hooks: &[Hook],
    next: &SecretString,
    service: &ServerUrl,
    site: &Site,
    credentials: &Credentials,
    session: &Session,
) -> CommandResult<()> {
    let Some(first @ Hook { forge, project, .. }) = hooks.first() else { return Ok(()) };
    let details = secrets::details(first, service);
    credentials.set(hook_kind(*forge), &project.as_str().parse::<Name>()?, next, &details, Timestamp::now())?;
    // The old secret may have had the package's name, under which it would be found again.
    let mut old = secrets::own_packages(hooks, &access::hooks_of(*forge, site)?);
    old.push(next_name(project));
    secrets::forget(&old, *forge, credentials)?;
    session.ui.note(format!("{project} has a new secret; the old one is no longer valid."));
    Ok(())
}
