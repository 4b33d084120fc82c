//! The purpose of a secret: from the flags, or else from the site.

use std::collections::BTreeSet;

use apt_ci::broker::QueueUrl;
use apt_ci::forge::Forge;
use apt_ci::forge::hook::Hook;
use apt_ci::server_url::ServerIdentity;
use apt_ci::site::credentials::{Credentials, Details, Entry, Kind, Name, OpenedCredential, Recipient, Role};
use apt_ci::site::{PlainText, Site};
use apt_ci::store::swift;
use jiff::Timestamp;

use crate::session::Session;
use crate::ui::ask;
use crate::ui::error::{BadInput, CommandResult};
use crate::ui::redacted_value::RedactedValue;

/// Heading of the options that say what a secret is for.
const USE: &str = "Use of the secret";

/// Purpose of a secret.
#[derive(clap::Args)]
pub struct Purpose {
    /// The only server that may receive the secret
    #[arg(
        long,
        value_name = "URL",
        value_parser = RedactedValue::<ServerIdentity>::new(),
        help_heading = USE,
        long_help = "The only server that may receive the secret [default: as before, or the site's queue, the Swift login, \
                     or the hook's forge]"
    )]
    server: Option<ServerIdentity>,
    /// Web service that GitLab may send a hook's secret to [default: as before, or the site's]
    #[arg(
        long,
        value_name = "URL",
        value_parser = RedactedValue::<ServerIdentity>::new(),
        help_heading = USE,
        hide_short_help = true
    )]
    pub service: Option<ServerIdentity>,
    /// Role that needs it besides operators: web, worker, worker:HOST
    #[arg(
        long = "for",
        value_name = "ROLE",
        help_heading = USE,
        long_help = "Role that needs it besides operators: web, worker, worker:HOST, or operator if nobody else needs it \
                     (can be repeated)"
    )]
    readers: Vec<Role>,
}

impl Purpose {
    /// Returns the purpose from the flags, with the site's defaults for a new secret.
    pub fn details(
        &self,
        kind: Kind,
        name: &Name,
        note: Option<String>,
        around: &CredentialsScope<'_>,
    ) -> CommandResult<Details> {
        if let Some(server) = self.server.as_ref().filter(|server| server.is_broker() != (kind == Kind::Queue)) {
            let schemes = if kind == Kind::Queue { "amqps:// or amqp://" } else { "https:// or http://" };
            let message = format!("cannot use {server} for a {kind} credential: the address must begin with {schemes}");
            return Err(BadInput { message, hint: None }.into());
        }
        if self.service.is_some() && !kind.is_delivered() {
            let message = format!("--service does not apply: no forge sends a {kind} credential to a web service");
            return Err(BadInput { message, hint: None }.into());
        }
        let readers: BTreeSet<Role> = self.readers.iter().cloned().collect();
        let usual = if self.server.is_some() || around.is_bound(kind, name) {
            None
        } else {
            around.usual_server(kind, name)?
        };
        let readers = Some(readers).filter(|readers| !readers.is_empty());
        let usual_service = around.site.web_url.as_ref().map(|setting| setting.value.server());
        Ok(Details { note, server: self.server.clone(), usual, service: self.service.clone(), usual_service, readers })
    }

    /// Warns about flags that have no effect yet.
    pub fn warn(&self, around: &CredentialsScope<'_>) -> CommandResult<()> {
        let CredentialsScope { site, credentials, session } = around;
        let is_plain = |server: &&ServerIdentity| !server.is_private() && site.plain_text.value != PlainText::Allow;
        if let Some(server) = self.server.as_ref().filter(is_plain) {
            session.ui.warn(format!(
                "the credential is not sent to {server} in plain text unless the site sets plain-text-passwords = \
                 \"allow\""
            ));
        }
        let recipients = credentials.recipients()?;
        let has = |recipient: &Recipient, role: &Role| {
            let is_it = |known: &Role| match role {
                Role::Worker(None) => matches!(known, Role::Worker(_)),
                role => known == role,
            };
            recipient.roles().is_none_or(|roles| roles.iter().any(is_it))
        };
        for role in self.readers.iter().filter(|role| **role != Role::Operator && !recipients.is_empty()) {
            if !recipients.iter().any(|recipient| has(recipient, role)) {
                session.ui.warn(format!("no recipient has the role {role} yet"));
            }
        }
        Ok(())
    }
}

/// The site, its credentials, and the session, for all of these commands.
pub struct CredentialsScope<'a> {
    pub site: &'a Site,
    pub credentials: &'a Credentials,
    pub session: &'a Session,
}

impl CredentialsScope<'_> {
    /// Returns what would be stored. The user has to confirm a purpose that was neither given nor confirmed before.
    pub async fn agreed(&self, kind: Kind, name: &Name, details: &Details) -> CommandResult<Entry> {
        let planned = self.credentials.planned(kind, name, details, Timestamp::now())?;
        if let Err(unagreed) = planned.check() {
            if ask::require_terminal().is_err() {
                return Err(unagreed.into());
            }
            self.session.ui.warn(&unagreed);
            if !ask::confirm("Is this correct?".to_owned()).await? {
                return Err(unagreed.into());
            }
            self.credentials.agree(std::iter::once(&planned.entry))?;
        }
        Ok(planned.entry)
    }

    /// Whether a stored secret names its own server.
    fn is_bound(&self, kind: Kind, name: &Name) -> bool {
        self.credentials.get(kind, name).ok().flatten().as_ref().is_some_and(OpenedCredential::is_bound)
    }

    /// Returns the server that follows from the site's settings.
    fn usual_server(&self, kind: Kind, name: &Name) -> CommandResult<Option<ServerIdentity>> {
        let forge = match kind {
            Kind::Queue => {
                return Ok(match &self.site.queue.value {
                    QueueUrl::Amqp(url) => Some(url.server().clone()),
                    QueueUrl::Local(_) => None,
                });
            }
            // Without a login in the environment, --server has to name it.
            Kind::Swift => {
                let login = swift::login(&self.site.swift, &self.session.environment).ok().flatten();
                return Ok(login.map(|login| login.server));
            }
            Kind::Launchpad | Kind::ApiKey => return Ok(None),
            Kind::GithubHook | Kind::GithubStatus => Forge::GitHub,
            Kind::GitlabHook | Kind::GitlabStatus => Forge::GitLab,
        };
        let project = name.as_str().strip_suffix("+next").unwrap_or(name.as_str());
        let hooks = self.site.hooks()?;
        let uses_it =
            |hook: &&Hook| hook.forge == forge && (hook.project.is(project) || hook.package.as_str() == project);
        let servers: BTreeSet<ServerIdentity> = hooks.iter().filter(uses_it).map(|hook| hook.api.server()).collect();
        let mut servers = servers.into_iter();
        match (servers.next(), servers.next()) {
            (None, _) => Ok(Some(forge.api().server())),
            (Some(one), None) => Ok(Some(one)),
            // The user has to choose one of them.
            (Some(_), Some(_)) => Ok(None),
        }
    }
}
