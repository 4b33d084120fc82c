//! `apt-ci github add-hook`.

use std::path::PathBuf;

use apt_ci::forge::error::ForgeError;
use apt_ci::forge::hook::{EnvPattern, Hook};
use apt_ci::forge::{Forge, Project};
use apt_ci::release::{Architecture, Release};
use apt_ci::request::{EnvVar, GitSource, Ppa, SourcePackage, TestName};
use apt_ci::server_url::ServerUrl;
use apt_ci::site::Site;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::access::{self, FORGE, TokenFile};
use super::{counterpart, secrets, token};
use crate::help::heading::{SOURCES, WHAT};
use crate::session::{NO_SITE_HINT, Session};
use crate::ui::ask;
use crate::ui::error::{BadInput, CommandError, CommandResult};
use crate::ui::exit::ExitStatus;
use crate::ui::redacted_value::RedactedValue;

/// Start testing a project's pull requests
///
/// Generates a secret, declares the hook, creates it on the forge, and pings it. Prompts for missing values on a
/// terminal.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  apt-ci github add-hook OWNER/REPO -s noble -a amd64")]
pub struct AddArgs {
    /// Project, as OWNER/REPO
    project: Project,
    /// Release to test on
    #[arg(
        short = 's',
        long = "release",
        visible_alias = "series",
        value_name = "RELEASE",
        help_heading = WHAT
    )]
    release: Option<Release>,
    /// Architecture to test on (can be repeated)
    #[arg(
        short = 'a',
        long = "arch",
        visible_alias = "architecture",
        value_name = "ARCH",
        help_heading = WHAT
    )]
    architectures: Vec<Architecture>,
    /// Package name in results [default: the project's name]
    #[arg(long, value_name = "NAME", help_heading = WHAT)]
    package: Option<SourcePackage>,
    /// Branch to build and test; it must fetch the pull request itself [default: the pull request]
    #[arg(
        long,
        value_name = "URL[#BRANCH]",
        value_parser = RedactedValue::<GitSource>::new(),
        help_heading = SOURCES,
        hide_short_help = true
    )]
    build_git: Option<GitSource>,
    /// PPA to take packages from
    #[arg(
        long = "ppa",
        value_name = "OWNER/NAME",
        help_heading = SOURCES,
        long_help = "PPA to take packages from, as OWNER/NAME[:FINGERPRINT] (can be repeated)"
    )]
    ppas: Vec<String>,
    /// Environment variable for the tests (can be repeated)
    #[arg(long, value_name = "VAR=VALUE", help_heading = WHAT)]
    env: Vec<EnvVar>,
    /// Variable that the hook's URL may set, such as CFLAGS=-O* (can be repeated)
    #[arg(long, value_name = "VAR=PATTERN", help_heading = FORGE, hide_short_help = true)]
    env_allowed: Vec<EnvPattern>,
    /// Run only this test of the package
    #[arg(long, value_name = "TEST", help_heading = WHAT, hide_short_help = true)]
    testname: Option<TestName>,
    /// Accept deliveries that are signed only with SHA-1
    #[arg(long, help_heading = FORGE, hide_short_help = true)]
    legacy: bool,
    /// Also store the token for statuses, from FILE or a hidden prompt
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "", help_heading = FORGE)]
    status_token: Option<PathBuf>,
    /// Print what the project's administrator must enter, instead of creating the hook
    #[arg(long, conflicts_with = "token_file", help_heading = FORGE)]
    manual: bool,
    #[command(flatten)]
    token: TokenFile,
}

pub async fn run(forge: Forge, args: AddArgs, session: &Session) -> CommandResult<ExitStatus> {
    if args.legacy && forge == Forge::GitLab {
        let message = "--legacy does not apply: GitLab signs nothing with SHA-1, but sends the secret itself";
        return Err(BadInput { message: message.to_owned(), hint: Some("leave out --legacy".to_owned()) }.into());
    }
    let site = session.site()?;
    let credentials = session.credentials_to_change(&site).await?;
    let service = access::service(&site)?;
    let hook = hook(forge, &args, &site).await?;
    let declared = access::hooks_of(forge, &site)?;
    let is_declared = declared.contains(&hook);
    let at_another_server = |other: &&Hook| other.project.is(hook.project.as_str()) && other.api != hook.api;
    if let Some(other) = declared.iter().find(at_another_server) {
        let message = format!(
            "hooks of {} are already declared at {}: the secret and the token are stored under the project's name \
             and would go to both servers",
            other.project, other.api
        );
        return Err(BadInput { message, hint: None }.into());
    }
    if let Some(other) = declared.iter().find(|other| other.collides(&hook) && !is_declared) {
        let message = format!("another hook of {} already requests {}", hook.project, other.title());
        let hint = format!(
            "remove it with `apt-ci {forge} remove-hook {}`, or give this hook another name with --package",
            hook.project
        );
        return Err(BadInput { message, hint: Some(hint) }.into());
    }
    // Errors are found before anything is changed.
    let token = if args.manual { None } else { Some(args.token.needed(forge, &hook.api, session).await?) };
    let client = access::client(&hook, token)?;
    let present = if args.manual {
        Vec::new()
    } else {
        client.hooks(&hook.project).await.map_err(|error| missing(error, forge))?
    };
    let status_token = match &args.status_token {
        Some(file) => Some(token::read(forge, &hook.api, &hook.project, Some(file.as_path()), session).await?),
        None => None,
    };

    let secret = secrets::made(&hook, &service, &declared, &credentials)?;
    // The service has to accept deliveries before the forge sends them.
    site.declare_hook(&hook)?;
    if let Some(status_token) = status_token {
        token::store(forge, &hook.api, &hook.project, &status_token, &credentials)?;
    }
    if hook.ppas.is_empty() {
        session.ui.warn(format!(
            "without --ppa, the results are stored among those of {}'s own packages, as package {}",
            hook.release, hook.package
        ));
    }
    let url = hook.payload_url(&service);
    if args.manual {
        return manual(&hook, &url, &secret, session);
    }
    let found = counterpart::find(&hook, &service, &present);
    let id = match found.as_ref().and_then(|found| found.addresses().next()) {
        Some((found, url)) => {
            client.change_hook(&hook.project, found.id, url, &secret).await?;
            found.id
        }
        None => {
            let made = client.create_hook(&hook.project, &url, &secret).await;
            made.map_err(|error| {
                let again = format!(
                    "the hook is declared, but was not created at {} (`apt-ci {forge} sync` creates it)",
                    forge.title()
                );
                CommandError::from(error).context(again)
            })?
            .id
        }
    };
    if !session.ui.is_json {
        session.ui.data(&url)?;
        session.ui.note(format!("{} of {} are now tested: {}.", changes(forge), hook.project, hook.title()));
    }
    let pinged = access::ping(&client, &hook.project, id).await;
    let taken = match &pinged {
        Ok(delivered) => access::tell_ping(delivered.as_ref(), forge, session),
        Err(error) => {
            session.ui.warn(format!("the hook is created, but cannot check whether its deliveries arrive: {error}"));
            false
        }
    };
    if session.ui.is_json {
        let delivered = pinged.ok().flatten();
        session.ui.json(&json!({"project": hook.project, "id": id, "url": url, "ping": delivered}))?;
    }
    let keyring = access::keyring(session, &site)?;
    if keyring.token(forge, &hook.api, &hook.project, &hook.package)?.is_none() {
        session
            .ui
            .warn(format!("no token for statuses yet; run `apt-ci {forge} set-token {}` to store one", hook.project));
    }
    Ok(if taken { ExitStatus::Success } else { ExitStatus::Failure })
}

fn changes(forge: Forge) -> String {
    let change = forge.change();
    let (first, rest) = change.split_at(1);
    format!("{}{rest}s", first.to_uppercase())
}

fn missing(error: ForgeError, forge: Forge) -> CommandError {
    let scope = match forge {
        Forge::GitHub => {
            "check that the token has the scope admin:repo_hook and that its owner may administer the project"
        }
        Forge::GitLab => "check that the token has the scope api and that its owner is a maintainer of the project",
    };
    match error {
        ForgeError::NotFound { .. } | ForgeError::NotAllowed { .. } => {
            BadInput { message: error.to_string(), hint: Some(scope.to_owned()) }.into()
        }
        other => other.into(),
    }
}

/// Returns the hook that the arguments and the user's answers describe.
async fn hook(forge: Forge, args: &AddArgs, site: &Site) -> CommandResult<Hook> {
    if forge == Forge::GitHub && args.project.as_str().matches('/').count() != 1 {
        return Err(
            BadInput { message: format!("{} does not have the form OWNER/REPO", args.project), hint: None }.into()
        );
    }
    let known: Vec<&Release> = site.releases.value.keys().collect();
    let release = match &args.release {
        Some(release) => release.clone(),
        None => {
            let names: Vec<String> = known.iter().map(ToString::to_string).collect();
            ask::one_of("release", &names, "-s RELEASE").await?.parse()?
        }
    };
    let Some(configured) = site.architectures(&release) else {
        let names: Vec<&str> = known.iter().map(|release| release.as_str()).collect();
        let message = format!(
            "unknown release {release}; known: {}",
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        );
        let hint = match site.root {
            Some(_) => format!("add {release} to [releases] in apt-ci.toml"),
            None => NO_SITE_HINT.to_owned(),
        };
        return Err(BadInput { message, hint: Some(hint) }.into());
    };
    let architectures = match args.architectures.as_slice() {
        [] if configured.len() == 1 => configured.to_vec(),
        [] => {
            let names: Vec<String> = configured.iter().map(ToString::to_string).collect();
            let chosen = ask::some_of("architecture", &names, "-a ARCH").await?;
            chosen.iter().map(|name| name.parse()).collect::<Result<Vec<_>, _>>()?
        }
        given => once(given),
    };
    if let Some(unknown) = architectures.iter().find(|one| !configured.contains(one)) {
        let names: Vec<&str> = configured.iter().map(Architecture::as_str).collect();
        let message = format!("{release} is not tested on {unknown}; known architectures: {}", names.join(", "));
        return Err(BadInput { message, hint: None }.into());
    }
    let package = match &args.package {
        Some(package) => package.clone(),
        None => args.project.name().to_ascii_lowercase().replace('_', "-").parse().map_err(|error| BadInput {
            message: format!("the project's name cannot be used as a package name: {error}"),
            hint: Some("give a package name with --package".to_owned()),
        })?,
    };
    let ppas = args.ppas.iter().map(|text| crate::run::public_ppa(text)).collect::<CommandResult<Vec<Ppa>>>()?;
    let ppas = once(&ppas);
    if let Some(variable) = args.env.iter().find(|variable| variable.as_str().contains(';')) {
        let message =
            format!("{} contains a semicolon, the separator of variables in a hook's address", variable.name());
        return Err(BadInput { message, hint: None }.into());
    }
    let api = args.token.api_url.clone().unwrap_or_else(|| forge.api());
    if !api.is_private() {
        return Err(ForgeError::Insecure(api.to_string()).into());
    }
    let hook = Hook {
        forge,
        project: spelled(forge, &api, &args.project, site)?,
        api,
        release,
        architectures,
        package,
        build_git: args.build_git.clone(),
        ppas,
        env: args.env.clone(),
        env_allowed: args.env_allowed.clone(),
        testname: args.testname.clone(),
        legacy: args.legacy,
    };
    match hook.fault() {
        Some(message) => Err(BadInput { message, hint: None }.into()),
        None => Ok(hook),
    }
}

/// Returns each value once: a repeated one is a mistake.
fn once<T: PartialEq + Clone>(given: &[T]) -> Vec<T> {
    let mut all: Vec<T> = Vec::with_capacity(given.len());
    for one in given {
        if !all.contains(one) {
            all.push(one.clone());
        }
    }
    all
}

/// Returns the project as its other hooks spell it, because its secret has that name.
fn spelled(forge: Forge, api: &ServerUrl, project: &Project, site: &Site) -> CommandResult<Project> {
    let declared = access::hooks_of(forge, site)?;
    let known = declared.into_iter().find(|hook| hook.api == *api && hook.project.is(project.as_str()));
    Ok(known.map_or_else(|| project.clone(), |hook| hook.project))
}

/// Prints what an administrator enters by hand.
fn manual(hook: &Hook, url: &str, secret: &SecretString, session: &Session) -> CommandResult<ExitStatus> {
    let secret = secret.expose_secret();
    if session.ui.is_json {
        return session.ui.json(&json!({"url": url, "secret": secret})).map(|()| ExitStatus::Success);
    }
    let lines = match hook.forge {
        Forge::GitHub => [
            format!("At https://{}/{}/settings/hooks/new:", hook.host(), hook.project),
            format!("  Payload URL   {url}"),
            "  Content type  application/json".to_owned(),
            format!("  Secret        {secret}"),
            "  Events        individual events: Pushes, Pull requests".to_owned(),
        ],
        Forge::GitLab => [
            format!("At https://{}/{}/-/hooks:", hook.host(), hook.project),
            format!("  URL           {url}"),
            format!("  Secret token  {secret}"),
            "  Trigger       Push events, Merge request events".to_owned(),
            "  SSL           enable SSL verification".to_owned(),
        ],
    };
    for line in lines {
        session.ui.data(line)?;
    }
    Ok(ExitStatus::Success)
}
