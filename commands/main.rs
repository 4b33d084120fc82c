//! `apt-ci`: what an operator types. Each file here is one subcommand: its arguments, the calls into the library, and what it
//! prints. This one only dispatches.

mod artifacts;
mod cancel;
mod completions;
mod config;
mod credentials;
mod forge;
mod index;
mod init;
mod log;
mod published;
mod queues;
mod record;
mod results;
mod retry;
mod retry_regressions;
mod run;
mod running;
mod serve;
mod session;
mod site;
mod stack;
mod submit;
mod ui;
mod wait;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use session::{GlobalArgs, Session};
use ui::exit::ExitStatus;

/// Version of the program, with the commit that it was built from if that is known. `build.rs` sets it.
const VERSION: &str = env!("APT_CI_VERSION");

/// Package-test CI for distributions: request autopkgtests, run them, and read their results
#[derive(Parser)]
#[command(name = "apt-ci", version = VERSION, arg_required_else_help = true, after_help = ui::exit::HELP)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::RunArgs),
    Worker(worker::WorkerArgs),
    Queues(queues::QueuesArgs),
    Running(running::RunningArgs),
    Cancel(cancel::CancelArgs),
    Retry(retry::RetryArgs),
    RetryRegressions(Box<retry_regressions::RetryRegressionsArgs>),
    Results(results::ResultsArgs),
    Index(index::IndexArgs),
    Log(log::LogArgs),
    Artifacts(artifacts::ArtifactsArgs),
    #[command(name = "github")]
    GitHub(forge::GitHubArgs),
    #[command(name = "gitlab")]
    GitLab(forge::GitLabArgs),
    Serve(serve::ServeArgs),
    Init(init::InitArgs),
    Site(site::SiteArgs),
    Config(config::ConfigArgs),
    Credentials(credentials::CredentialsArgs),
    Completions(completions::CompletionsArgs),
}

/// Size of the stacks of threads that do what would hold up the others, in bytes. There may be many of them.
const BLOCKING_STACK: usize = 2 << 20;

fn main() -> ExitCode {
    stack::enlarge();
    match stack::run(begin) {
        Ok(code) => code,
        Err(error) => ui::error::report(&anyhow::Error::new(error).context("cannot start the program")),
    }
}

fn begin() -> ExitCode {
    // clap repeats what it does not understand.
    if let Err(error) = ui::secret::refuse_private_keys(std::env::args_os()) {
        return ui::error::report(&error.into());
    }
    let cli = Cli::parse();
    let session = Session::new(cli.global);
    let runtime =
        match tokio::runtime::Builder::new_current_thread().thread_stack_size(BLOCKING_STACK).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return ui::error::report(&anyhow::Error::new(error).context("cannot start the program")),
        };
    let end = runtime.block_on(dispatch(cli.command, &session));
    // A pending lookup of a host name must not hold up the exit.
    runtime.shutdown_background();
    ui::log_writer::flush();
    match end {
        Ok(status) => status.into(),
        Err(error) => ui::error::report(&error),
    }
}

async fn dispatch(command: Command, session: &Session) -> anyhow::Result<ExitStatus> {
    match command {
        Command::Run(args) => run::run(args, session).await,
        Command::Worker(args) => worker::run(args, session).await,
        Command::Queues(args) => queues::run(args, session).await,
        Command::Running(args) => running::run(args, session).await,
        Command::Cancel(args) => cancel::run(args, session).await,
        Command::Retry(args) => retry::run(args, session).await,
        Command::RetryRegressions(args) => retry_regressions::run(*args, session).await,
        Command::Results(args) => results::run(args, session).await,
        Command::Index(args) => index::run(args, session).await,
        Command::Log(args) => log::run(args, session).await,
        Command::Artifacts(args) => artifacts::run(args, session).await,
        Command::GitHub(args) => forge::github(args, session).await,
        Command::GitLab(args) => forge::gitlab(args, session).await,
        Command::Serve(args) => serve::run(args, session).await,
        Command::Init(args) => init::run(args, session),
        Command::Site(args) => site::run(args, session),
        Command::Credentials(args) => credentials::run(args, session).await,
        Command::Config(args) => config::run(args, session),
        Command::Completions(args) => completions::run::<Cli>(args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_fit_together() {
        super::Cli::command().debug_assert();
    }
}
