//! Access to the site's hooks, its secrets, and the forge, for all of these commands.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use apt_ci::forge::client::Client;
use apt_ci::forge::error::ForgeError;
use apt_ci::forge::hook::Hook;
use apt_ci::forge::remote::RemoteDelivery;
use apt_ci::forge::{Forge, Project, PullName};
use apt_ci::pulls::keyring::Keyring;
use apt_ci::release::{Architecture, Release};
use apt_ci::request::SourcePackage;
use apt_ci::server_url::ServerUrl;
use apt_ci::site::Site;
use secrecy::SecretString;
use tokio::time::{Instant, sleep};

use crate::session::{NO_SITE_HINT, Session};
use crate::ui::error::{BadInput, CommandResult, NotFound};
use crate::ui::redacted_value::RedactedValue;
use crate::ui::{ask, secret};

/// Timeout for the delivery of a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(15);
/// Interval between polls for that delivery.
const POLL_INTERVAL: Duration = Duration::from_millis(300);

/// Heading of the options about the forge itself.
pub const FORGE: &str = "Hook and forge";

/// The token for what an administrator of a project does, and the server that it is for.
#[derive(clap::Args)]
pub struct TokenFile {
    /// API URL of a server other than github.com/gitlab.com; only hooks there are used
    #[arg(
        long,
        value_name = "URL",
        value_parser = RedactedValue::<ServerUrl>::new(),
        help_heading = FORGE,
        hide_short_help = true
    )]
    pub api_url: Option<ServerUrl>,
    /// Read the administrator's token from FILE [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]
    #[arg(long, value_name = "FILE", help_heading = FORGE, hide_short_help = true)]
    token_file: Option<PathBuf>,
}

impl TokenFile {
    /// Returns the token for this server, if one is given in a file or a variable.
    pub fn given(&self, forge: Forge, api: &ServerUrl, session: &Session) -> CommandResult<Option<SecretString>> {
        if let Some(file) = &self.token_file {
            let text = secret::read_text(file)?;
            let token = text.trim();
            if token.is_empty() {
                return Err(BadInput { message: format!("{} contains no token", file.display()), hint: None }.into());
            }
            return Ok(Some(token.to_owned().into()));
        }
        let given = session.environment.get(variable(forge)).map(str::trim).filter(|token| !token.is_empty());
        // The variable is for the best-known server, unless the command line names another one: hooks.toml, which comes
        // with the site, does not decide where it is sent.
        let is_named = self.api_url.as_ref().map_or_else(|| *api == forge.api(), |named| named == api);
        Ok(given.filter(|_| is_named).map(|token| token.to_owned().into()))
    }

    /// Returns the token. Asks the user if none is given.
    pub async fn needed(&self, forge: Forge, api: &ServerUrl, session: &Session) -> CommandResult<SecretString> {
        if let Some(token) = self.given(forge, api, session)? {
            return Ok(token);
        }
        if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
            let token = ask::secret(format!("Token of a project administrator at {}", forge.title())).await?;
            let token = token.trim();
            if !token.is_empty() {
                return Ok(token.to_owned().into());
            }
        }
        if session.environment.get(variable(forge)).is_some() {
            let message = format!("refusing to send {} to {api}, a server that only the site names", variable(forge));
            let hint = format!("use --api-url {api} to send it there");
            return Err(BadInput { message, hint: Some(hint) }.into());
        }
        let message = format!("no token for {}", forge.title());
        let hint = format!("set {}, or give a file with --token-file", variable(forge));
        Err(BadInput { message, hint: Some(hint) }.into())
    }
}

fn variable(forge: Forge) -> &'static str {
    match forge {
        Forge::GitHub => "GITHUB_TOKEN",
        Forge::GitLab => "GITLAB_TOKEN",
    }
}

/// Which of a project's hooks are meant.
#[derive(clap::Args, Default)]
pub struct HookArgs {
    /// Only hooks for this release
    #[arg(short = 's', long = "release", visible_alias = "series", value_name = "RELEASE")]
    pub release: Option<Release>,
    /// Only hooks and tests for this architecture (can be repeated)
    #[arg(short = 'a', long = "arch", visible_alias = "architecture", value_name = "ARCH")]
    pub architectures: Vec<Architecture>,
    /// Only hooks with this package name in results
    #[arg(long, value_name = "NAME")]
    pub package: Option<SourcePackage>,
}

impl HookArgs {
    /// Whether a hook is meant.
    pub fn means(&self, hook: &Hook) -> bool {
        self.release.as_ref().is_none_or(|release| hook.release == *release)
            && self.package.as_ref().is_none_or(|package| hook.package == *package)
            && (self.architectures.is_empty() || self.architectures.iter().any(|one| hook.architectures.contains(one)))
    }
}

/// Returns the address of the site's web service, to which forges send.
pub fn service(site: &Site) -> Result<ServerUrl, BadInput> {
    let url = site.web_url.as_ref().map(|setting| setting.value.clone());
    url.ok_or_else(|| BadInput {
        message: "the address of the site's web service is not configured".to_owned(),
        hint: Some(match site.root {
            Some(_) => "set url = \"https://HOST\" in section [web] of apt-ci.toml".to_owned(),
            None => NO_SITE_HINT.to_owned(),
        }),
    })
}

/// Returns the declared hooks of a forge.
pub fn hooks_of(forge: Forge, site: &Site) -> CommandResult<Vec<Hook>> {
    Ok(site.hooks()?.into_iter().filter(|hook| hook.forge == forge).collect())
}

/// Returns the chosen hooks of a project, at least one.
pub fn hooks_of_project(
    forge: Forge,
    project: &Project,
    chosen: &HookArgs,
    token: &TokenFile,
    site: &Site,
) -> CommandResult<Vec<Hook>> {
    let mut hooks = hooks_of(forge, site)?;
    hooks.retain(|hook| hook.project.is(project.as_str()) && chosen.means(hook));
    let hooks = at_one_server(hooks, token)?;
    if hooks.is_empty() {
        return Err(no_such_hook(forge, project).into());
    }
    Ok(hooks)
}

/// Returns the error for a hook that is not declared.
pub fn no_such_hook(forge: Forge, project: &Project) -> NotFound {
    let message = format!("no matching hook of {project} is declared");
    let hint = match forge {
        Forge::GitHub => "run `apt-ci github list-hooks` to list the declared hooks",
        Forge::GitLab => "run `apt-ci gitlab list-hooks` to list the declared hooks",
    };
    NotFound { message, hint }
}

/// Returns the chosen hooks of a pull request's project, at least one, at the server that its address names.
pub fn hooks_of_pull(
    forge: Forge,
    pull: &PullName,
    chosen: &HookArgs,
    token: &TokenFile,
    site: &Site,
) -> CommandResult<Vec<Hook>> {
    let mut hooks = hooks_of_project(forge, &pull.project, chosen, token, site)?;
    if let Some(server) = &pull.server {
        let declared = hooks.first().map(|hook| hook.api.to_string()).unwrap_or_default();
        hooks.retain(|hook| hook.is_at(server));
        if hooks.is_empty() {
            let message = format!("the hooks of {} are not at {server}, but at {declared}", pull.project);
            return Err(BadInput { message, hint: None }.into());
        }
    }
    Ok(hooks)
}

/// Returns the hooks at the named server, or at the only one: a token for one server is not sent to another.
pub fn at_one_server(mut hooks: Vec<Hook>, token: &TokenFile) -> Result<Vec<Hook>, BadInput> {
    if let Some(api) = &token.api_url {
        hooks.retain(|hook| hook.api == *api);
        return Ok(hooks);
    }
    let servers: BTreeSet<String> = hooks.iter().map(|hook| hook.api.to_string()).collect();
    if servers.len() < 2 {
        return Ok(hooks);
    }
    let servers: Vec<String> = servers.into_iter().collect();
    let message = format!("the hooks are at several servers: {}", servers.join(", "));
    Err(BadInput { message, hint: Some("choose one with --api-url; each server has its own token".to_owned()) })
}

/// Returns the error for a project whose server is unknown, so that no token can be sent.
pub fn no_server(project: &Project) -> BadInput {
    BadInput {
        message: format!("no hook names the server of {project} any longer"),
        hint: Some("give the server with --api-url".to_owned()),
    }
}

/// Returns a client for a hook's server.
pub fn client(hook: &Hook, token: Option<SecretString>) -> Result<Client, ForgeError> {
    Client::new(hook.forge, &hook.api, token)
}

/// Returns the keyring of the site's credentials.
pub fn keyring(session: &Session, site: &Site) -> CommandResult<Keyring> {
    Ok(Keyring::new(session.credentials(site)?))
}

/// Pings a hook, and waits for its next delivery. Returns `None` if there was none in time.
pub async fn ping(client: &Client, project: &Project, id: u64) -> Result<Option<RemoteDelivery>, ForgeError> {
    let before = client.last_delivery(project, id).await?.map(|delivered| delivered.id);
    client.ping(project, id).await?;
    let end = Instant::now() + PING_TIMEOUT;
    loop {
        let last = client.last_delivery(project, id).await?.filter(|delivered| Some(delivered.id) != before);
        if last.is_some() || Instant::now() >= end {
            return Ok(last);
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// Reports the outcome of a ping. Returns whether the service accepted it without trouble.
pub fn tell_ping(delivered: Option<&RemoteDelivery>, forge: Forge, session: &Session) -> bool {
    let title = forge.title();
    match delivered {
        Some(delivered) if delivered.trouble().is_some() => {
            let trouble = delivered.trouble().unwrap_or_default();
            session.ui.warn(format!("the service has accepted the delivery from {title}, but reports: {trouble}"));
        }
        Some(delivered) if delivered.is_good() => {
            session.ui.note(format!("The service has accepted a {} from {title}.", delivered.event));
            return true;
        }
        Some(RemoteDelivery { status: Some(status), .. }) => {
            session.ui.warn(format!(
                "the service has answered a delivery from {title} with {status}; check that `apt-ci serve` there \
                 uses the current site"
            ));
        }
        Some(_) => {
            session.ui.warn(format!(
                "{title} could not reach the service; check that `apt-ci serve` is running and that the address is \
                 correct"
            ));
        }
        None => session.ui.warn(format!("{title} has not reported yet whether its delivery has arrived")),
    }
    false
}
