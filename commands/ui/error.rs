//! One place turns every error into words, a hint and an exit code.

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

/// Bad input that only the commands can see, such as flags that do not fit the site.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct BadInput {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// What was asked for is not there.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct NotFound {
    /// What was looked for, and where.
    pub message: String,
    /// Where to look instead.
    pub hint: &'static str,
}

/// What was asked for cannot be done here.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Unable {
    /// What, and why.
    pub message: String,
    /// What to do.
    pub hint: &'static str,
}

/// An operation that ended in the middle, with what to do about its rest.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct OperationFailed {
    /// What is done, what may be done, and what ended it.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// Prints the error with its causes and a hint, and gives the exit code.
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

/// The error and its causes, each once: some errors already quote their cause.
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
            || matches!(cause.downcast_ref(), Some(ForgeError::Insecure(_) | ForgeError::NoToken))
            || matches!(cause.downcast_ref(), Some(ExcusesError::Malformed(_) | ExcusesError::NoSources))
            || matches!(cause.downcast_ref(), Some(BrokerError::NoSuchQueue { .. }))
            || matches!(cause.downcast_ref(), Some(StoreError::Misconfigured(_)))
    });
    if bad_input { ExitStatus::BadInput } else { ExitStatus::Failure }
}

/// What to do about the error.
pub fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        if let Some(bad) = cause.downcast_ref::<BadInput>() {
            return bad.hint.clone();
        }
        if let Some(missing) = cause.downcast_ref::<NotFound>() {
            return Some(missing.hint.to_owned());
        }
        if let Some(unable) = cause.downcast_ref::<Unable>() {
            return Some(unable.hint.to_owned());
        }
        if let Some(failed) = cause.downcast_ref::<OperationFailed>() {
            return Some(failed.hint.clone());
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
            Some(IndexError::Incomplete(_)) => return Some("`apt-ci index` completes it".to_owned()),
            Some(IndexError::Unusable { .. }) => {
                return Some(
                    "it is a copy of what the store tells: remove it, and `apt-ci index` makes it anew".to_owned(),
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
        BrokerError::Unreachable { address, .. } if address.starts_with("local:") => {
            Some("may you make and write that folder? `apt-ci config` shows where its name comes from".to_owned())
        }
        BrokerError::Damaged { file, .. } => Some(format!(
            "put a copy of it back; or move its folder away, and an empty queue is made: `mv {0} {0}.damaged`",
            shell_word(file.parent().unwrap_or(file))
        )),
        BrokerError::Unreachable { .. } => Some(
            "is the server up, and is the address right? `apt-ci config` shows where the address comes from"
                .to_owned(),
        ),
        BrokerError::Excluded { exclusion, .. } => Some(exclusion.hint()),
        BrokerError::NoSuchQueue { nearest, .. } if nearest.is_empty() => {
            Some("a queue exists once a worker serves it, or once the site's [releases] name it".to_owned())
        }
        BrokerError::NoSuchQueue { nearest, .. } => {
            let names: Vec<String> = nearest.iter().map(ToString::to_string).collect();
            let names = names.join(", ");
            Some(format!("existing queues with similar names: {names}; what is new belongs into the site's [releases]"))
        }
        BrokerError::Unconfirmed { .. } => {
            Some("the requests printed above are queued; submit the others again".to_owned())
        }
        BrokerError::InHand(_) => Some(
            "try again in a moment; a command that was stopped while it looked at them, with Ctrl-Z for example, must be ended"
                .to_owned(),
        ),
        BrokerError::Opaque(opaque) => Some(opaque.remedy()),
        BrokerError::Blocked { .. } => Some(
            "the broker takes no requests until it has room again; `apt-ci queues` and `apt-ci queues purge` work meanwhile"
                .to_owned(),
        ),
        BrokerError::Denied { denial, .. } => Some(denial.hint()),
        BrokerError::ClaimLost(_) | BrokerError::NotTaken(_) | BrokerError::Refused { .. } => None,
    }
}

fn forge_hint(error: &ForgeError) -> Option<String> {
    let hint = match error {
        ForgeError::Unreachable { .. } => {
            "is the server up, and is its address right? a hook's `api` in hooks.toml, or --api-url, names another one"
        }
        ForgeError::NotAllowed { .. } => {
            "has the token expired, or does it lack a scope? `set-token` replaces the one for statuses"
        }
        ForgeError::NotFound { .. } => {
            "a private project is shown only to a token that may see it: GITHUB_TOKEN or GITLAB_TOKEN"
        }
        ForgeError::Unwell { .. } | ForgeError::Limited { .. } => "nothing is wrong here: try again later",
        ForgeError::Moved { .. } => "write its new name into hooks.toml, commit, and call sync",
        ForgeError::Insecure(_) => "name its https:// address",
        ForgeError::NoToken => "is it a token, and nothing else, that the variable, file or prompt was given?",
        ForgeError::Refused { .. } | ForgeError::Unexpected { .. } => return None,
    };
    Some(hint.to_owned())
}

fn credentials_hint(error: &CredentialsError) -> Option<String> {
    match error {
        CredentialsError::NoSite => Some("`apt-ci init DIR` makes one; --site names one".to_owned()),
        CredentialsError::Open { hint, .. } => Some(hint.clone()),
        CredentialsError::Sealed(..) => Some(
            "APT_CI_IDENTITY names the file of another key; `apt-ci credentials recipients list` shows whose keys open it"
                .to_owned(),
        ),
        CredentialsError::Unopenable(_) => Some(
            "make a key of your own an operator first, or name its file with APT_CI_IDENTITY".to_owned(),
        ),
        CredentialsError::Ambiguous(_) => {
            Some("name the key itself: `apt-ci credentials recipients list` shows them".to_owned())
        }
        CredentialsError::LastRecipient(_) => Some("add another one first: `apt-ci credentials recipients add`".to_owned()),
        CredentialsError::Link(path) => Some(format!("look where it leads and who committed it; `rm {}` removes it", shell_word(path))),
        CredentialsError::Clear(path) => Some(format!(
            "everybody who can read the site knows this secret: `rm {}`, replace the secret, and store the new one with `apt-ci credentials set`",
            shell_word(path)
        )),
        CredentialsError::Foreign(..) => Some(
            "look at the site's history; `apt-ci credentials set` stores the right one".to_owned(),
        ),
        CredentialsError::Unbound(kind, name) => Some(format!("`apt-ci credentials bind {kind} {name}` binds it")),
        CredentialsError::OtherServer { kind, name, server, .. } => Some(format!(
            "if {server} is right, `apt-ci credentials bind {kind} {name} --server {server}` lets it have the secret"
        )),
        CredentialsError::OtherService { kind, name, service, .. } => Some(format!(
            "the forge would send it there; if {service} is right, `apt-ci credentials bind {kind} {name} --service {service}` allows it"
        )),
        CredentialsError::NoServer(..) => Some("name it with --server, as in --server https://HOST".to_owned()),
        CredentialsError::NoReaders(..) => {
            Some("say it with --for web, --for worker:HOST, --for worker (every worker) or --for operator".to_owned())
        }
        CredentialsError::NoRecipients(path) => Some(format!(
            "`git log -- {}` shows who has changed it; take it back from there, or begin anew with `apt-ci credentials recipients add`",
            shell_word(path)
        )),
        CredentialsError::Unagreed { entry, is_there, .. } => {
            let server = entry.server.as_ref().map(|server| format!(" --server {server}")).unwrap_or_default();
            let service = entry.service.as_ref().map(|service| format!(" --service {service}")).unwrap_or_default();
            let readers: String = entry.needed_by().iter().map(|role| format!(" --for {role}")).collect();
            let verb = if *is_there { "bind" } else { "set" };
            Some(format!(
                "look at who has changed it; if it is right, `apt-ci credentials {verb} {} {}{server}{service}{readers}` says so",
                entry.kind, entry.name
            ))
        }
        CredentialsError::Unconfirmed(_) => {
            Some("look at who added them, then run `apt-ci credentials recipients confirm`".to_owned())
        }
        CredentialsError::Missing(_) => Some("`apt-ci credentials list` shows what is there".to_owned()),
        CredentialsError::NoRecipient(_) => Some("`apt-ci credentials recipients list` shows them".to_owned()),
        CredentialsError::Site(error) => error.hint(),
        CredentialsError::File { .. } | CredentialsError::Recipient(_) => None,
    }
}

fn store_hint(error: &StoreError) -> Option<String> {
    match error {
        StoreError::Unreachable { .. } => Some(
            "is the server up, and is the address right? `apt-ci config` shows where the address comes from".to_owned(),
        ),
        StoreError::Refused { .. } => {
            Some("`apt-ci config` shows where the address and the credentials come from".to_owned())
        }
        _ => None,
    }
}
