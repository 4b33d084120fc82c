//! `apt-ci credentials`: the site's secrets and their recipients.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use apt_ci::forge::hook::Hook;
use apt_ci::forge::{Forge, Project};
use apt_ci::pulls::keyring::key_digest;
use apt_ci::site::credentials::{
    Credentials, Entry, Kind, Name, Role, read_secrets, read_tokens, write_secrets, write_tokens,
};
use clap::Subcommand;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::session::Session;
use crate::ui::ask;
use crate::ui::error::{BadInput, CommandResult, ErrorContext as _, NotFound};
use crate::ui::exit::ExitStatus;
use crate::ui::plain::plain;
use crate::ui::secret::{self, read_text};
use crate::ui::table::{self, Cell, Column};
use crate::ui::when;

mod bind;
mod purpose;
mod recipients;

use self::purpose::{CredentialsScope, Purpose};

/// Minimum length of a key of the web service, in characters, so that it cannot be guessed from its digest.
const MIN_KEY_LENGTH: usize = 32;

/// Manage the site's secrets: passwords, tokens and hook secrets
#[derive(clap::Args)]
#[command(after_help = "\
With recipients, secrets are encrypted to the SSH keys that need them and committed to the site's repository; without \
recipients, they are stored unencrypted in a directory of the site that git ignores and only its owner can read. Secrets \
are read from a hidden prompt, a file or standard input, never from an argument.

A secret is bound to its kind, its name and the server that may receive it: it is sent to no other server, whatever the site's files say.

Secrets are decrypted with the key file named by APT_CI_IDENTITY, or else with ~/.ssh/id_ed25519, ~/.ssh/id_rsa and the host keys in /etc/ssh. \
Passphrases are prompted for on a terminal.

Examples:
  apt-ci credentials recipients add ~/.ssh/id_ed25519.pub
  apt-ci credentials recipients add ssh_host_ed25519_key.pub --role worker:host1
  apt-ci credentials set queue host1 --for worker:host1
  apt-ci credentials set github-hook OWNER/REPO --note 'hook of the main branch'
  apt-ci credentials set api-key ann --generate     web service key; only its digest is stored
  apt-ci credentials show github-hook OWNER/REPO --reveal
  apt-ci credentials import github-secrets.json")]
pub struct CredentialsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List secrets (not their values)
    ///
    /// Piped output is tab-separated: kind, name, note, created, rotated, server, roles that need it.
    #[command(after_help = "Example:\n  apt-ci credentials list")]
    List,
    /// Store a secret, or replace an existing one
    #[command(after_help = "Example:\n  apt-ci credentials set queue host1 --for worker:host1")]
    Set(SetArgs),
    /// Replace an existing secret
    #[command(after_help = "Example:\n  apt-ci credentials rotate api-key ann --generate")]
    Rotate(SetArgs),
    /// Bind unbound secrets to a server, or change the server or readers of a secret
    #[command(after_help = "Example:\n  apt-ci credentials bind queue host1 --server amqps://mq.example.org")]
    Bind {
        /// Kind; without kind and name, all unbound secrets
        #[arg(requires = "name")]
        kind: Option<Kind>,
        /// User or project (such as OWNER/REPO) that the secret belongs to
        name: Option<Name>,
        #[command(flatten)]
        purpose: Purpose,
        /// Do not ask for confirmation
        #[arg(short, long)]
        yes: bool,
    },
    /// Show the details of a secret
    #[command(after_help = "Example:\n  apt-ci credentials show github-hook OWNER/REPO --reveal")]
    Show {
        #[command(flatten)]
        which: SecretArgs,
        /// Also show the secret itself; piped output is then only the secret
        #[arg(long)]
        reveal: bool,
    },
    /// Remove a secret; if it was committed, its encrypted form stays in git history
    #[command(after_help = "Example:\n  apt-ci credentials remove queue host1")]
    Remove {
        #[command(flatten)]
        which: SecretArgs,
        /// Do not ask for confirmation
        #[arg(short, long)]
        yes: bool,
    },
    /// Import secrets from github-secrets.json or github-status-credentials.txt
    #[command(after_help = "Example:\n  apt-ci credentials import github-secrets.json")]
    Import {
        /// File to import
        file: PathBuf,
        #[command(flatten)]
        form: FormatArgs,
        #[command(flatten)]
        purpose: Purpose,
    },
    /// Write github-secrets.json or github-status-credentials.txt, readable only by you
    #[command(after_help = "Example:\n  apt-ci credentials export github-secrets.json")]
    Export {
        /// File to write; must not exist yet
        file: PathBuf,
        #[command(flatten)]
        form: FormatArgs,
    },
    /// Manage the SSH keys that can decrypt the secrets
    #[command(subcommand, after_help = "Example:\n  apt-ci credentials recipients add ~/.ssh/id_ed25519.pub")]
    Recipients(Recipients),
}

#[derive(clap::Args)]
struct SecretArgs {
    #[arg(help = Kind::choices())]
    kind: Kind,
    /// User or project (such as OWNER/REPO) that the secret belongs to
    name: Name,
}

#[derive(clap::Args)]
struct SetArgs {
    #[command(flatten)]
    which: SecretArgs,
    /// Note (not encrypted); unchanged if omitted
    #[arg(long)]
    note: Option<String>,
    #[command(flatten)]
    purpose: Purpose,
    /// Read the secret from FILE (a trailing newline is ignored)
    #[arg(long, value_name = "FILE", conflicts_with = "generate")]
    file: Option<PathBuf>,
    /// Generate a random secret and print it
    #[arg(long)]
    generate: bool,
}

#[derive(clap::Args)]
struct FormatArgs {
    /// github-hook (.json) or github-status (.txt) [default: by the file extension]
    #[arg(long, value_name = "KIND")]
    kind: Option<Kind>,
}

#[derive(Subcommand)]
enum Recipients {
    /// List recipients and the secrets that they can decrypt
    ///
    /// Piped output is tab-separated: key, roles, secrets that it decrypts, whether you have confirmed it.
    #[command(after_help = "Example:\n  apt-ci credentials recipients list")]
    List,
    /// Let a key decrypt the secrets that its roles need
    #[command(after_help = "\
Examples:
  apt-ci credentials recipients add ~/.ssh/id_ed25519.pub
  apt-ci credentials recipients add ssh_host_ed25519_key.pub --role worker:host1")]
    Add {
        /// SSH key (ssh-ed25519 or ssh-rsa), or a file with one, such as ~/.ssh/id_ed25519.pub
        #[arg(value_name = "KEY|FILE", num_args = 1.., required = true)]
        key: Vec<String>,
        /// operator (decrypts all), web, worker or worker:HOST (can be repeated) [default: as before, or operator]
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<Role>,
    },
    /// Confirm recipients that were added in the site's files
    #[command(after_help = "Example:\n  apt-ci credentials recipients confirm")]
    Confirm {
        /// Do not ask for confirmation
        #[arg(short, long)]
        yes: bool,
    },
    /// Remove a key and re-encrypt all secrets; rotate those that it could decrypt
    #[command(after_help = "Example:\n  apt-ci credentials recipients remove ann@example")]
    Remove {
        /// Comment of the key, such as ann@example, or the key itself
        #[arg(value_name = "COMMENT|KEY")]
        name: String,
    },
}

pub async fn run(args: CredentialsArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    let credentials = session.credentials(&site)?;
    let around = CredentialsScope { site: &site, credentials: &credentials, session };
    match args.command {
        Command::List => list(&credentials, session)?,
        Command::Set(args) => set(args, false, &around).await?,
        Command::Rotate(args) => set(args, true, &around).await?,
        Command::Bind { kind, name, purpose, yes } => return bind::bind(kind.zip(name), &purpose, yes, &around).await,
        Command::Show { which, reveal } => show(&which, reveal, &credentials, session)?,
        Command::Remove { which: SecretArgs { kind, name }, yes } => {
            let is_there = credentials.list()?.iter().any(|entry| entry.kind == kind && entry.name == name);
            // A missing secret may have been removed without a commit, which is then still to be made.
            if is_there && !yes {
                ask::require_terminal_or_yes()?;
                if !ask::confirm(format!("Remove the {kind} credential of {name}?")).await? {
                    session.ui.note("Nothing was changed.");
                    return Ok(ExitStatus::Failure);
                }
            }
            credentials.remove(kind, &name)?;
            session.ui.note(format!("Removed the {kind} credential of {name}."));
        }
        Command::Import { file, form, purpose } => import(&file, &form, &purpose, &around).await?,
        Command::Export { file, form } => export(&file, &form, &credentials, session)?,
        Command::Recipients(command) => return recipients::run(command, &site, &credentials, session).await,
    }
    Ok(ExitStatus::Success)
}

fn known(credentials: &Credentials, kind: Kind, name: &Name) -> CommandResult<Entry> {
    let entry = credentials.list()?.into_iter().find(|entry| entry.kind == kind && entry.name == *name);
    let message = format!("there is no {kind} credential of {name}");
    Ok(entry.ok_or(NotFound { message, hint: "run `apt-ci credentials list` to list the credentials" })?)
}

fn list(credentials: &Credentials, session: &Session) -> CommandResult<()> {
    let entries = credentials.list()?;
    if session.ui.is_json {
        return session.ui.json(&entries);
    }
    if entries.is_empty() {
        session.ui.note("No credentials yet; run `apt-ci credentials set KIND NAME` to store one.");
    }
    let now = Timestamp::now();
    let time =
        |time: Option<Timestamp>| time.map_or(Cell::new(""), |time| Cell::new(when::ago(time, now)).for_programs(time));
    let rows: Vec<Vec<Cell>> = entries
        .iter()
        .map(|entry| {
            vec![
                Cell::new(entry.kind),
                Cell::new(&entry.name),
                Cell::new(entry.note.as_deref().unwrap_or_default()),
                time(Some(entry.created)),
                time(entry.rotated),
                Cell::new(entry.server.as_ref().map(ToString::to_string).unwrap_or_default()),
                Cell::new(roles(&entry.needed_by())),
            ]
        })
        .collect();
    const COLUMNS: [Column<'_>; 7] = [
        Column::new("KIND"),
        Column::new("NAME").wrap().least(20),
        Column::new("NOTE").cut().spare(),
        Column::new("CREATED").spare(),
        Column::new("ROTATED").spare(),
        Column::new("SERVER").wrap().least(14),
        Column::new("FOR").wrap().least(14),
    ];
    table::print(&session.ui, &COLUMNS, &rows)
}

/// Returns roles as they are shown.
fn roles(roles: &BTreeSet<Role>) -> String {
    roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Stores a secret, or replaces one.
async fn set(args: SetArgs, is_rotation: bool, around: &CredentialsScope<'_>) -> CommandResult<()> {
    let CredentialsScope { site, credentials, session } = around;
    let SetArgs { which: SecretArgs { kind, name }, note, purpose, file, generate } = args;
    if kind == Kind::Launchpad {
        let message =
            "credentials of the kind launchpad are not used: a request carries the token of its private PPA".to_owned();
        return Err(BadInput {
            message,
            hint: Some("put the token into the request, as in USER:TOKEN@OWNER/NAME".to_owned()),
        }
        .into());
    }
    if is_rotation {
        let entry = known(credentials, kind, &name)?;
        if matches!(kind, Kind::GithubHook | Kind::GitlabHook) {
            let replace: Vec<String> = rotations(&entry, &site.hooks()?)
                .iter()
                .map(|command| format!("; run `{command}` to replace both"))
                .collect();
            session.ui.warn(format!("the forge still uses the old secret{}", replace.concat()));
        }
    }
    if kind == Kind::GithubStatus && name.as_str().contains(':') {
        let message = format!(
            "{name}: a name of this kind must not contain a colon, the separator in github-status-credentials.txt"
        );
        return Err(BadInput { message, hint: None }.into());
    }
    let details = purpose.details(kind, &name, note, around)?;
    // Errors are found before the secret is typed.
    session.confirm_recipients(credentials).await?;
    let planned = around.agreed(kind, &name, &details).await?;
    purpose.warn(around)?;
    let secret: SecretString = if generate {
        secret::random()
    } else {
        let server = planned.server.map(|server| format!(" for {server}")).unwrap_or_default();
        secret::read(file.as_deref(), &format!("The {kind} credential of {name}{server}")).await?
    };
    let form = secret.expose_secret();
    if kind == Kind::GithubStatus
        && (form.contains('\n') || form.split_once(':').is_none_or(|(user, token)| user.is_empty() || token.is_empty()))
    {
        let message = "a GitHub status credential must have the form USER:TOKEN".to_owned();
        return Err(BadInput { message, hint: None }.into());
    }
    if kind == Kind::ApiKey && form.len() < MIN_KEY_LENGTH {
        let message = format!("an API key must have at least {MIN_KEY_LENGTH} characters");
        return Err(BadInput { message, hint: Some("use --generate to create and print one".to_owned()) }.into());
    }
    // Only the user of a key needs more than its digest.
    let stored = if kind == Kind::ApiKey { key_digest(form).into() } else { secret.clone() };
    let entry = credentials.set(kind, &name, &stored, &details, Timestamp::now())?;
    if session.ui.is_json {
        let mut document = json!(entry);
        if generate {
            document["secret"] = json!(secret.expose_secret());
        }
        session.ui.json(&document)?;
    } else if generate {
        session.ui.data(secret.expose_secret())?;
    }
    let place = match (credentials.recipients()?.is_empty(), credentials.are_committed()?) {
        (true, _) => {
            "unencrypted, readable only by its owner; run `apt-ci credentials recipients add` to encrypt the credentials"
        }
        (false, true) => "encrypted and committed",
        (false, false) => "encrypted",
    };
    let verb = if entry.rotated.is_some() { "Replaced" } else { "Stored" };
    let server = entry.server.map(|server| format!(" for {server}")).unwrap_or_default();
    session.ui.note(format!("{verb} the {kind} credential of {name}{server}: {place}."));
    Ok(())
}

fn show(which: &SecretArgs, reveal: bool, credentials: &Credentials, session: &Session) -> CommandResult<()> {
    let SecretArgs { kind, name } = which;
    let entry = known(credentials, *kind, name)?;
    let is_digest = *kind == Kind::ApiKey;
    if reveal && is_digest {
        let message = format!("cannot show the API key of {name}: only its digest is stored");
        let hint = format!("run `apt-ci credentials rotate {kind} {name} --generate` to replace it");
        return Err(BadInput { message, hint: Some(hint) }.into());
    }
    let opened = if reveal { credentials.get(*kind, name)? } else { None };
    let secret = opened.as_ref().map(|opened| opened.reveal().expose_secret());
    if session.ui.is_json {
        let mut document = json!(entry);
        if let Some(secret) = secret {
            document["secret"] = json!(secret);
        }
        return session.ui.json(&document);
    }
    if !session.ui.is_terminal {
        // For a script that wants the secret and nothing else.
        if let Some(secret) = secret {
            return Ok(session.ui.data(secret)?);
        }
    }
    let line = |name: &str, text: &str| session.ui.data(format!("{name:<9}{}", plain(text)));
    line("kind", entry.kind.as_str())?;
    line("name", entry.name.as_str())?;
    line("server", &entry.server.as_ref().map(ToString::to_string).unwrap_or_default())?;
    if let Some(service) = &entry.service {
        line("service", &service.to_string())?;
    }
    line("for", &roles(&entry.needed_by()))?;
    line("note", entry.note.as_deref().unwrap_or_default())?;
    line("created", &entry.created.to_string())?;
    line("rotated", &entry.rotated.map(|time| time.to_string()).unwrap_or_default())?;
    let hidden = if is_digest { "only its digest is stored" } else { "hidden; use --reveal to show it" };
    line("secret", secret.unwrap_or(hidden))?;
    Ok(())
}

/// Returns the kind of secrets in a file of another program.
fn form(file: &Path, form: &FormatArgs) -> CommandResult<Kind> {
    let by_ending = match file.extension().and_then(|extension| extension.to_str()) {
        Some("json") => Some(Kind::GithubHook),
        Some("txt") => Some(Kind::GithubStatus),
        _ => None,
    };
    match form.kind.or(by_ending) {
        Some(kind @ (Kind::GithubHook | Kind::GithubStatus)) => Ok(kind),
        _ => {
            let message = format!("cannot tell the type of {}", file.display());
            let hint = "use --kind github-hook for github-secrets.json, --kind github-status for \
                 github-status-credentials.txt";
            Err(BadInput { message, hint: Some(hint.to_owned()) }.into())
        }
    }
}

async fn import(file: &Path, kind: &FormatArgs, purpose: &Purpose, around: &CredentialsScope<'_>) -> CommandResult<()> {
    let CredentialsScope { credentials, session, .. } = around;
    let kind = form(file, kind)?;
    let text = read_text(file)?;
    let read = if kind == Kind::GithubHook { read_secrets(&text) } else { read_tokens(&text) };
    let secrets = read.map_err(|reason| BadInput { message: format!("{}: {reason}", file.display()), hint: None })?;
    if secrets.is_empty() {
        return Err(BadInput { message: format!("{} contains no credentials", file.display()), hint: None }.into());
    }
    session.confirm_recipients(credentials).await?;
    let mut all = Vec::new();
    for (name, secret) in secrets {
        let details = purpose.details(kind, &name, None, around)?;
        around.agreed(kind, &name, &details).await?;
        all.push((name, secret, details));
    }
    purpose.warn(around)?;
    credentials.set_all(kind, &all, Timestamp::now())?;
    session.ui.note(format!("Stored {} {kind} credentials. The file still contains them unencrypted.", all.len()));
    Ok(())
}

fn export(file: &Path, kind: &FormatArgs, credentials: &Credentials, session: &Session) -> CommandResult<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let kind = form(file, kind)?;
    let mut secrets = Vec::new();
    for entry in credentials.list()?.into_iter().filter(|entry| entry.kind == kind) {
        if let Some(opened) = credentials.get(kind, &entry.name)? {
            secrets.push((entry.name, opened.reveal().clone()));
        }
    }
    let text = if kind == Kind::GithubHook { write_secrets(&secrets) } else { write_tokens(&secrets) };
    let unwritable = || format!("cannot write {}", file.display());
    // An existing file might be readable by others.
    let mut open = match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let message = format!("{} already exists and might be readable by others", file.display());
            return Err(
                BadInput { message, hint: Some("give a new file name, or remove that file first".to_owned()) }.into()
            );
        }
        other => other.with_context(unwritable)?,
    };
    if let Err(error) = open.write_all(text.as_bytes()).and_then(|()| open.sync_all()) {
        // An incomplete file is useless, and would be in the way of the next export.
        let _ = std::fs::remove_file(file);
        return Err(error).with_context(unwritable);
    }
    session.ui.note(format!(
        "Wrote {} {kind} credentials to {}, unencrypted, readable only by its owner.",
        secrets.len(),
        file.display()
    ));
    Ok(())
}

/// Returns the commands that replace a secret, also at a forge that knows it. There may be none, if no hook uses it.
fn rotations(entry: &Entry, hooks: &[Hook]) -> Vec<String> {
    let Entry { kind, name, .. } = entry;
    let forge = match kind {
        Kind::GithubHook => Forge::GitHub,
        Kind::GitlabHook => Forge::GitLab,
        _ => return vec![format!("apt-ci credentials rotate {kind} {name}")],
    };
    let command = |project: &str| format!("apt-ci {forge} rotate-secret {project}");
    if name.as_str().parse::<Project>().is_ok() {
        return vec![command(name.as_str())];
    }
    // It has the name of a package, from github-secrets.json, or is the next secret of a rotation.
    let uses_it = |hook: &&Hook| hook.forge == forge && hook.package.as_str() == name.as_str();
    let projects: BTreeSet<&str> = hooks.iter().filter(uses_it).map(|hook| hook.project.as_str()).collect();
    projects.into_iter().map(command).collect()
}
