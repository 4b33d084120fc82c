//! `apt-ci github` and `apt-ci gitlab`: projects whose pull requests are tested.

mod access;
mod add;
mod counterpart;
mod list;
mod reconcile;
mod remove;
mod retry;
mod rotate;
mod secrets;
mod show;
mod sync;
mod token;

use apt_ci::forge::Forge;
use clap::Subcommand;

use crate::session::Session;
use crate::ui::error::CommandResult;
use crate::ui::exit::ExitStatus;

/// Test the pull requests of GitHub projects, and report the results there
#[derive(clap::Args)]
#[command(after_help = "\
A hook is declared in the site's hooks.toml and exists on GitHub; its secret is among the credentials. `apt-ci serve` receives its deliveries.
Commands that change hooks on GitHub need a token with the scope admin:repo_hook, from GITHUB_TOKEN, --token-file or a hidden prompt. It is not stored.

Examples:
  apt-ci github add-hook OWNER/REPO -s noble -a amd64 --ppa me/tools
  apt-ci github set-token OWNER/REPO              for the statuses; the scope repo:status is enough
  apt-ci github status https://github.com/OWNER/REPO/pull/7
  apt-ci github retry OWNER/REPO#7")]
pub struct GitHubArgs {
    #[command(subcommand)]
    command: Command,
}

/// Test the merge requests of GitLab projects, and report the results there
#[derive(clap::Args)]
#[command(after_help = "\
A hook is declared in the site's hooks.toml and exists on GitLab; its secret is among the credentials. `apt-ci serve` receives its deliveries.
Commands that change hooks on GitLab need a maintainer's token with the scope api, from GITLAB_TOKEN, --token-file or a hidden prompt. It is not stored.

Examples:
  apt-ci gitlab add-hook GROUP/PROJECT -s bookworm -a amd64
  apt-ci gitlab add-hook GROUP/PROJECT -s bookworm -a amd64 --api-url https://salsa.debian.org/api/v4
  apt-ci gitlab set-token GROUP/PROJECT           for the statuses
  apt-ci gitlab status 'GROUP/PROJECT!7'
  apt-ci gitlab retry 'GROUP/PROJECT!7'")]
pub struct GitLabArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    AddHook(Box<add::AddArgs>),
    ListHooks(list::ListArgs),
    RemoveHook(remove::RemoveArgs),
    RotateSecret(rotate::RotateArgs),
    SetToken(token::TokenArgs),
    Retry(retry::RetryArgs),
    Status(show::ShowArgs),
    Sync(sync::SyncArgs),
    Reconcile(reconcile::ReconcileArgs),
}

pub async fn github(args: GitHubArgs, session: &Session) -> CommandResult<ExitStatus> {
    run(Forge::GitHub, args.command, session).await
}

pub async fn gitlab(args: GitLabArgs, session: &Session) -> CommandResult<ExitStatus> {
    run(Forge::GitLab, args.command, session).await
}

async fn run(forge: Forge, command: Command, session: &Session) -> CommandResult<ExitStatus> {
    session.use_one_tls_provider();
    match command {
        Command::AddHook(args) => add::run(forge, *args, session).await,
        Command::ListHooks(args) => list::run(forge, args, session).await,
        Command::RemoveHook(args) => remove::run(forge, args, session).await,
        Command::RotateSecret(args) => rotate::run(forge, args, session).await,
        Command::SetToken(args) => token::run(forge, args, session).await,
        Command::Retry(args) => retry::run(forge, args, session).await,
        Command::Status(args) => show::run(forge, args, session).await,
        Command::Sync(args) => sync::run(forge, args, session).await,
        Command::Reconcile(args) => reconcile::run(forge, args, session).await,
    }
}
