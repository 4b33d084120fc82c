//! Secrets of hooks.
//!
//! The hooks of a project share one secret, under the project's name; or each has one under the name of its package,
//! from `github-secrets.json`. The project's secret comes first.
//!
//! The forge sends a secret, or what it signs, to the site's web service. A commit may have changed that address, so a
//! secret is used only if it is bound to it.

use apt_ci::forge::Forge;
use apt_ci::forge::hook::Hook;
use apt_ci::pulls::keyring::{hook_kind, next_name};
use apt_ci::server_url::ServerUrl;
use apt_ci::site::credentials::{Credentials, CredentialsError, Details, Name};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::ui::error::{CommandResult, OperationFailed};
use crate::ui::secret;

/// Returns the secret of a hook.
pub fn of(hook: &Hook, service: &ServerUrl, credentials: &Credentials) -> CommandResult<Option<SecretString>> {
    for name in [hook.project.as_str(), hook.package.as_str()] {
        if let Some(secret) = named(name, hook, service, credentials)? {
            return Ok(Some(secret));
        }
    }
    Ok(None)
}

fn named(
    name: &str,
    hook: &Hook,
    service: &ServerUrl,
    credentials: &Credentials,
) -> CommandResult<Option<SecretString>> {
    let (kind, server) = (hook_kind(hook.forge), hook.api.server());
    let found = credentials.get_for_service(kind, &name.parse::<Name>()?, &server, &service.server())?;
    Ok(found.filter(|secret| !secret.expose_secret().is_empty()))
}

/// Returns the secret with this name for the hook's forge. Commits it if an interrupted process has not done so.
pub fn kept(
    name: &str,
    hook: &Hook,
    service: &ServerUrl,
    credentials: &Credentials,
) -> CommandResult<Option<SecretString>> {
    let found = named(name, hook, service, credentials)?;
    if found.is_some() {
        credentials.commit_again(hook_kind(hook.forge), &name.parse::<Name>()?)?;
    }
    Ok(found)
}

/// Returns the secret that a hook should have: its own, or a new one, which is stored under the project's name. The
/// secrets of the project's other hooks stay valid.
///
/// A secret under the package's name is not used if another project has a hook with that name: whoever knows one
/// project's secret must not be able to sign for another project.
pub fn made(
    hook: &Hook,
    service: &ServerUrl,
    declared: &[Hook],
    credentials: &Credentials,
) -> CommandResult<SecretString> {
    let (forge, project) = (hook.forge, &hook.project);
    if let Some(secret) = kept(project.as_str(), hook, service, credentials)? {
        return Ok(secret);
    }
    let own = kept(hook.package.as_str(), hook, service, credentials)?;
    if let Some(own) = own.filter(|_| !own_packages(std::slice::from_ref(hook), declared).is_empty()) {
        return Ok(own);
    }
    let mut others: Vec<SecretString> = Vec::new();
    for other in declared.iter().filter(|other| other.project.is(project.as_str()) && *other != hook) {
        if let Some(secret) = of(other, service, credentials)?
            && others.iter().all(|known| known.expose_secret() != secret.expose_secret())
        {
            others.push(secret);
        }
    }
    // A rotation in progress gives all of them this secret.
    if others.len() > 1
        && let Some(next) = kept(next_name(project).as_str(), hook, service, credentials)?
    {
        return Ok(next);
    }
    if others.len() > 1 {
        let message = format!("the hooks of {project} have different secrets");
        return Err(OperationFailed {
            message,
            hint: "run `apt-ci github rotate-secret` (or gitlab) to give all of them the same secret".into(),
        }
        .into());
    }
    let secret = others.pop().unwrap_or_else(secret::random);
    let details = details(hook, service);
    credentials.set(hook_kind(forge), &project.as_str().parse::<Name>()?, &secret, &details, Timestamp::now())?;
    Ok(secret)
}

/// Returns the servers that a new secret of a hook is bound to.
pub fn details(hook: &Hook, service: &ServerUrl) -> Details {
    Details { service: Some(service.server()), ..Details::for_server(hook.api.server()) }
}

/// Removes the secrets with these names.
pub fn forget(names: &[String], forge: Forge, credentials: &Credentials) -> CommandResult<()> {
    for name in names {
        match credentials.remove(hook_kind(forge), &name.parse::<Name>()?) {
            Ok(()) | Err(CredentialsError::Missing(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Returns the package names of hooks that no other project uses: a secret with such a name belongs to the hooks'
/// project alone.
pub fn own_packages(hooks: &[Hook], declared: &[Hook]) -> Vec<String> {
    let is_shared = |hook: &&Hook| {
        let project = hook.project.as_str();
        declared.iter().any(|other| other.package == hook.package && !other.project.is(project))
    };
    let mut packages: Vec<String> =
        hooks.iter().filter(|hook| !is_shared(hook)).map(|hook| hook.package.to_string()).collect();
    packages.sort();
    packages.dedup();
    packages
}
