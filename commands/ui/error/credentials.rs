//! Errors of credentials.

use apt_ci::site::credentials::{CredentialsError, InvalidEntry, Kind};
use apt_ci::site::shell_word;

use super::{CommandError, Decision};
use crate::session::NO_SITE_HINT;

impl From<CredentialsError> for CommandError {
    fn from(error: CredentialsError) -> Self {
        let decision = decision(&error);
        Self::new(decision, error)
    }
}

impl From<InvalidEntry> for CommandError {
    fn from(error: InvalidEntry) -> Self {
        Self::new(Decision::failure(), error)
    }
}

fn decision(error: &CredentialsError) -> Decision {
    let (bad_input, failure) = (Decision::bad_input(), Decision::failure());
    match error {
        CredentialsError::NoSite => bad_input.hint(NO_SITE_HINT),
        CredentialsError::Open { hint, .. } => bad_input.hint(hint),
        CredentialsError::Sealed(..) => failure.hint(
            "set APT_CI_IDENTITY to the file of another key; run `apt-ci credentials recipients list` to see whose \
             keys can decrypt it",
        ),
        CredentialsError::Unopenable(_) => {
            bad_input.hint("make your own key an operator first, or set APT_CI_IDENTITY to its file")
        }
        CredentialsError::Ambiguous(_) => {
            bad_input.hint("give the key itself; run `apt-ci credentials recipients list` to see the keys")
        }
        CredentialsError::LastRecipient(_) => {
            bad_input.hint("add another operator first with `apt-ci credentials recipients add`")
        }
        CredentialsError::Link(path) => bad_input
            .hint(format!("check where it leads and who committed it, then remove it with `rm {}`", shell_word(path))),
        CredentialsError::Clear(path) => bad_input.hint(format!(
            "anyone who can read the site knows this secret: run `rm {}`, replace the secret, and store the new one \
             with `apt-ci credentials set`",
            shell_word(path)
        )),
        CredentialsError::Foreign(..) => {
            bad_input.hint("check the site's git history, then store the correct secret with `apt-ci credentials set`")
        }
        CredentialsError::Unbound(kind, name) => {
            bad_input.hint(format!("run `apt-ci credentials bind {kind} {name}` to bind it"))
        }
        CredentialsError::OtherServer { kind, name, server, .. } => bad_input.hint(format!(
            "if {server} is correct, run `apt-ci credentials bind {kind} {name} --server {server}` to send it the \
             secret"
        )),
        CredentialsError::OtherService { kind, name, service, .. } => bad_input.hint(format!(
            "the forge would send the secret there; if {service} is correct, run `apt-ci credentials bind {kind} \
             {name} --service {service}` to allow it"
        )),
        CredentialsError::NoServer(kind, _) => {
            let example = match kind {
                Kind::Queue => "amqps://HOST",
                Kind::Swift => "https://KEYSTONE-HOST:5000",
                Kind::GithubHook | Kind::GithubStatus => "https://api.github.com",
                Kind::GitlabHook | Kind::GitlabStatus => "https://gitlab.com",
                Kind::Launchpad | Kind::ApiKey => "https://HOST",
            };
            bad_input.hint(format!("give the server with --server, as in --server {example}"))
        }
        CredentialsError::NoReaders(..) => {
            bad_input.hint("set it with --for web, --for worker:HOST, --for worker (every worker) or --for operator")
        }
        CredentialsError::NoRecipients(path) => bad_input.hint(format!(
            "run `git log -- {}` to see who changed it; restore it from there, or start again with `apt-ci \
             credentials recipients add`",
            shell_word(path)
        )),
        CredentialsError::Unagreed { entry, is_there, .. } => {
            let server = entry.server.as_ref().map(|server| format!(" --server {server}")).unwrap_or_default();
            let service = entry.service.as_ref().map(|service| format!(" --service {service}")).unwrap_or_default();
            let readers: String = entry.needed_by().iter().map(|role| format!(" --for {role}")).collect();
            let verb = if *is_there { "bind" } else { "set" };
            bad_input.hint(format!(
                "check who changed it; if it is correct, confirm with `apt-ci credentials {verb} {} \
                 {}{server}{service}{readers}`",
                entry.kind, entry.name
            ))
        }
        CredentialsError::Unconfirmed(_) => {
            bad_input.hint("check who added them, then run `apt-ci credentials recipients confirm`")
        }
        CredentialsError::Missing(_) => failure.hint("run `apt-ci credentials list` to list the credentials"),
        CredentialsError::NoRecipient(_) => failure.hint("run `apt-ci credentials recipients list` to see them"),
        // git failed, or a file of the site: the secrets themselves are as the user wants them.
        CredentialsError::Site(error) => Decision { hint: error.hint(), ..failure },
        CredentialsError::File { .. } | CredentialsError::Recipient(_) => failure,
    }
}
