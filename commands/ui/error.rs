//! Conversion of every error into a message, a hint and an exit code.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use apt_ci::broker::BrokerError;
use apt_ci::excuses::ExcusesError;
use apt_ci::forge::error::ForgeError;
use apt_ci::index::IndexError;
use apt_ci::request::InvalidRequest;
use apt_ci::site::credentials::CredentialsError;
use apt_ci::site::{SiteError, shell_word};
use apt_ci::store::StoreError;
use apt_ci::testbed::{ConfError, TestbedError};

use super::exit::ExitStatus;
use super::plain::plain_lines;

const RED: Style = AnsiColor::Red.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default();

/// Invalid input that only commands can find, such as flags that do not fit the site.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct BadInput {
    /// Error message.
    pub message: String,
    /// Hint, in the imperative.
    pub hint: Option<String>,
}

/// An object that does not exist.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct NotFound {
    /// Error message, with the object and where it was searched.
    pub message: String,
    /// Hint where to look instead.
    pub hint: &'static str,
}

/// An operation that is not possible here, or that ended in the middle.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct OperationFailed {
    /// Error message: what is not possible, or what was done and what was not, and why.
    pub message: String,
    /// Hint, in the imperative.
    pub hint: Cow<'static, str>,
}

/// Prints an error with its causes and a hint. Returns the exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitStatus::Success.into();
    }
    super::say(format_args!("{RED}error:{RED:#} {}", plain_lines(&chain(error))));
    if let Some(hint) = hint(error) {
        super::say(format_args!("{CYAN}hint:{CYAN:#} {}", plain_lines(&hint)));
    }
    status(error).into()
}

/// Returns an error and its causes, each once: some errors already quote their cause.
fn chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe))
}

fn status(error: &anyhow::Error) -> ExitStatus {
    let bad_input = error.chain().any(|cause| {
        cause.is::<BadInput>()
            || cause.is::<InvalidRequest>()
            || cause.downcast_ref::<SiteError>().is_some_and(SiteError::is_bad_input)
            || cause.is::<ConfError>()
            || matches!(
                cause.downcast_ref(),
                Some(
                    CredentialsError::NoSite
                        | CredentialsError::Open { .. }
                        | CredentialsError::Unopenable(_)
                        | CredentialsError::Ambiguous(_)
                        | CredentialsError::LastRecipient(_)
                        | CredentialsError::Link(_)
                        | CredentialsError::Clear(_)
                        | CredentialsError::Foreign(..)
                        | CredentialsError::Unbound(..)
                        | CredentialsError::OtherServer { .. }
                        | CredentialsError::OtherService { .. }
                        | CredentialsError::NoServer(..)
                        | CredentialsError::NoReaders(..)
                        | CredentialsError::NoRecipients(_)
                        | CredentialsError::Unagreed { .. }
                        | CredentialsError::Unconfirmed(_)
                )
            )
            || matches!(cause.downcast_ref(), Some(ForgeError::Insecure(_) | ForgeError::MalformedToken))
            || matches!(cause.downcast_ref(), Some(ExcusesError::Malformed(_) | ExcusesError::NoSources))
            || matches!(cause.downcast_ref(), Some(BrokerError::NoSuchQueue { .. }))
            || matches!(cause.downcast_ref(), Some(StoreError::Misconfigured(_)))
    });
    if bad_input { ExitStatus::BadInput } else { ExitStatus::Failure }
}

/// Returns the hint about an error, if any.
pub fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        if let Some(bad) = cause.downcast_ref::<BadInput>() {
            return bad.hint.clone();
        }
        if let Some(missing) = cause.downcast_ref::<NotFound>() {
            return Some(missing.hint.to_owned());
        }
        if let Some(unable) = cause.downcast_ref::<OperationFailed>() {
            return Some(unable.hint.clone().into_owned());
        }
        if let Some(error) = cause.downcast_ref::<SiteError>() {
            return error.hint();
        }
        if let Some(error) = cause.downcast_ref::<ConfError>() {
            return error.hint.clone();
        }
        if let Some(TestbedError::NotInstalled { hint, .. } | TestbedError::NoVirtServer { hint, .. }) =
            cause.downcast_ref()
        {
            return Some(hint.clone());
        }
        match cause.downcast_ref::<IndexError>() {
            Some(IndexError::Incomplete(_)) => return Some("run `apt-ci index` to complete it".to_owned()),
            Some(IndexError::Unusable { .. }) => {
                return Some(
                    "the index is only a copy of data in the store; remove it and run `apt-ci index` to rebuild it"
                        .to_owned(),
                );
            }
            _ => {}
        }
        if let Some(error) = cause.downcast_ref::<CredentialsError>() {
            return credentials_hint(error);
        }
        if let Some(error) = cause.downcast_ref::<ForgeError>() {
            return forge_hint(error);
        }
        if let Some(error) = cause.downcast_ref::<BrokerError>() {
            return broker_hint(error);
        }
        if let Some(error) = cause.downcast_ref::<StoreError>() {
            return store_hint(error);
        }
        None
    })
}

fn broker_hint(error: &BrokerError) -> Option<String> {
    match error {
        BrokerError::Unreachable { address, .. } if address.starts_with("local:") => Some(
            "check that you can create and write that folder; run `apt-ci config` to see where it is configured"
                .to_owned(),
        ),
        BrokerError::Damaged { file, .. } => Some(format!(
            "restore a backup of it, or move its folder away to start with an empty queue: `mv {0} {0}.damaged`",
            shell_word(file.parent().unwrap_or(file))
        )),
        BrokerError::Incompatible(_) => Some(
            "nothing was changed; install the newest apt-ci, or run `apt-ci config` to see where the queue is configured"
                .to_owned(),
        ),
        BrokerError::Unreachable { .. } => Some(
            "check that the server is up and the address is correct; run `apt-ci config` to see where it is configured"
                .to_owned(),
        ),
        BrokerError::Excluded { exclusion, .. } => Some(exclusion.hint()),
        BrokerError::NoSuchQueue { nearest, .. } if nearest.is_empty() => Some(
            "a queue is created by its first worker, or by `apt-ci run` once its release and architecture are in \
                 [releases] in apt-ci.toml"
                .to_owned(),
        ),
        BrokerError::NoSuchQueue { nearest, .. } => {
            let names: Vec<String> = nearest.iter().map(ToString::to_string).collect();
            let names = names.join(", ");
            Some(format!(
                "existing queues with similar names: {names}; add new releases or architectures to [releases] in \
                 apt-ci.toml"
            ))
        }
        BrokerError::Unconfirmed { .. } => {
            Some("the requests printed above are queued; submit the others again".to_owned())
        }
        BrokerError::BeingBrowsed(_) => Some(
            "try again in a moment; end any command that was suspended (for example with Ctrl-Z) while it listed the \
             queue"
                .to_owned(),
        ),
        BrokerError::Opaque(opaque) => Some(opaque.remedy()),
        BrokerError::Blocked { .. } => Some(
            "free memory or disk space at the broker, which accepts no requests until then; `apt-ci queues` and \
             `apt-ci queues purge` still work"
                .to_owned(),
        ),
        BrokerError::Denied { denial, .. } => Some(denial.hint()),
        BrokerError::ClaimLost(_) | BrokerError::NotTaken(_) | BrokerError::Refused { .. } => None,
    }
}

fn forge_hint(error: &ForgeError) -> Option<String> {
    let hint = match error {
        ForgeError::Unreachable { .. } => {
            "check that the server is up and its address is correct; set another one with `api` in hooks.toml or \
             --api-url"
        }
        ForgeError::NotAllowed { .. } => {
            "check that the token has not expired and has the needed scopes; run `apt-ci github set-token PROJECT` \
             (or gitlab) to replace the status token"
        }
        ForgeError::NotFound { .. } => {
            "check the name; for a private project, set GITHUB_TOKEN or GITLAB_TOKEN to a token that may see it"
        }
        ForgeError::ServerError { .. } | ForgeError::RateLimited { .. } => {
            "try again later; the cause is at the server"
        }
        ForgeError::Moved { .. } => {
            "write its new name into hooks.toml, commit, and run `apt-ci github sync` (or gitlab)"
        }
        ForgeError::Insecure(_) => "use its https:// address",
        ForgeError::MalformedToken => "check that the variable, file or prompt contains only the token",
        ForgeError::Refused { .. } | ForgeError::Unexpected { .. } => return None,
    };
    Some(hint.to_owned())
}

fn credentials_hint(error: &CredentialsError) -> Option<String> {
    match error {
        CredentialsError::NoSite => Some("run `apt-ci init DIR` to create a site, or name one with --site".to_owned()),
        CredentialsError::Open { hint, .. } => Some(hint.clone()),
        CredentialsError::Sealed(..) => Some(
            "set APT_CI_IDENTITY to the file of another key; run `apt-ci credentials recipients list` to see whose \
             keys can decrypt it"
                .to_owned(),
        ),
        CredentialsError::Unopenable(_) => {
            Some("make your own key an operator first, or set APT_CI_IDENTITY to its file".to_owned())
        }
        CredentialsError::Ambiguous(_) => {
            Some("give the key itself; run `apt-ci credentials recipients list` to see the keys".to_owned())
        }
        CredentialsError::LastRecipient(_) => {
            Some("add another operator first with `apt-ci credentials recipients add`".to_owned())
        }
        CredentialsError::Link(path) => {
            Some(format!("check where it leads and who committed it, then remove it with `rm {}`", shell_word(path)))
        }
        CredentialsError::Clear(path) => Some(format!(
            "anyone who can read the site knows this secret: run `rm {}`, replace the secret, and store the new one \
             with `apt-ci credentials set`",
            shell_word(path)
        )),
        CredentialsError::Foreign(..) => {
            Some("check the site's git history, then store the correct secret with `apt-ci credentials set`".to_owned())
        }
        CredentialsError::Unbound(kind, name) => {
            Some(format!("run `apt-ci credentials bind {kind} {name}` to bind it"))
        }
        CredentialsError::OtherServer { kind, name, server, .. } => Some(format!(
            "if {server} is correct, run `apt-ci credentials bind {kind} {name} --server {server}` to send it the \
             secret"
        )),
        CredentialsError::OtherService { kind, name, service, .. } => Some(format!(
            "the forge would send the secret there; if {service} is correct, run `apt-ci credentials bind {kind} \
             {name} --service {service}` to allow it"
        )),
        CredentialsError::NoServer(..) => Some("give the server with --server, as in --server https://HOST".to_owned()),
        CredentialsError::NoReaders(..) => {
            Some("set it with --for web, --for worker:HOST, --for worker (every worker) or --for operator".to_owned())
        }
        CredentialsError::NoRecipients(path) => Some(format!(
            "run `git log -- {}` to see who changed it; restore it from there, or start again with `apt-ci \
             credentials recipients add`",
            shell_word(path)
        )),
        CredentialsError::Unagreed { entry, is_there, .. } => {
            let server = entry.server.as_ref().map(|server| format!(" --server {server}")).unwrap_or_default();
            let service = entry.service.as_ref().map(|service| format!(" --service {service}")).unwrap_or_default();
            let readers: String = entry.needed_by().iter().map(|role| format!(" --for {role}")).collect();
            let verb = if *is_there { "bind" } else { "set" };
            Some(format!(
                "check who changed it; if it is correct, confirm with `apt-ci credentials {verb} {} \
                 {}{server}{service}{readers}`",
                entry.kind, entry.name
            ))
        }
        CredentialsError::Unconfirmed(_) => {
            Some("check who added them, then run `apt-ci credentials recipients confirm`".to_owned())
        }
        CredentialsError::Missing(_) => Some("run `apt-ci credentials list` to list the credentials".to_owned()),
        CredentialsError::NoRecipient(_) => Some("run `apt-ci credentials recipients list` to see them".to_owned()),
        CredentialsError::Site(error) => error.hint(),
        CredentialsError::File { .. } | CredentialsError::Recipient(_) => None,
    }
}

fn store_hint(error: &StoreError) -> Option<String> {
    match error {
        StoreError::Unreachable { .. } => Some(
            "check that the server is up and the address is correct; run `apt-ci config` to see where it is configured"
                .to_owned(),
        ),
        StoreError::Refused { .. } => {
            Some("run `apt-ci config` to see where the address and the credentials are configured".to_owned())
        }
        _ => None,
    }
}
