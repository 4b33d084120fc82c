//! `apt-ci`: what an operator types. Each file here is one subcommand: its arguments, the calls into the library, and
//! what it prints. This one only dispatches.

mod artifacts;
mod cancel;
mod complete;
mod completions;
mod config;
mod credentials;
mod forge;
mod help;
mod index;
mod init;
mod log;
mod man;
mod published;
mod queues;
mod request_ref;
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
mod testbed;
mod ui;
mod undo_file;
mod wait;
mod worker;

use std::process::ExitCode;

use clap::{FromArgMatches, Parser, Subcommand};

use session::{GlobalArgs, Session};
use ui::error::{CommandError, CommandResult};
use ui::exit::ExitStatus;

/// Version of the program, with the commit that it was built from if that is known. `build.rs` sets it.
const VERSION: &str = env!("APT_CI_VERSION");

/// Package-test CI for distributions: request autopkgtests, run them, and read their results
#[derive(Parser)]
#[command(
    name = "apt-ci",
    version = VERSION,
    disable_help_flag = true,
    disable_version_flag = true,
    arg_required_else_help = true,
    after_help = ui::exit::HELP
)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    /// Print version and commit
    #[arg(
        id = "version",
        short = 'V',
        long = "version",
        action = clap::ArgAction::Version,
        help_heading = "Global options",
        hide_short_help = true
    )]
    _version: Option<bool>,
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
    Testbed(testbed::TestbedArgs),
    Serve(serve::ServeArgs),
    Init(init::InitArgs),
    Site(site::SiteArgs),
    Config(config::ConfigArgs),
    Credentials(credentials::CredentialsArgs),
    Completions(completions::CompletionsArgs),
    #[command(hide = true)]
    Man(man::ManArgs),
    #[command(name = "__complete", hide = true)]
    Complete(complete::CompleteArgs),
}

/// Size of the stacks of threads that do what would hold up the others, in bytes. There may be many of them.
const BLOCKING_STACK_SIZE: usize = 2 << 20;

fn main() -> ExitCode {
    stack::enlarge();
    match stack::run(begin) {
        Ok(code) => code,
        Err(error) => ui::error::report(&CommandError::from(error).context("cannot start the program")),
    }
}

fn begin() -> ExitCode {
    // clap repeats what it does not understand.
    if let Err(error) = ui::secret::refuse_private_keys(std::env::args_os()) {
        return ui::error::report(&error.into());
    }
    let words = || std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let arguments = help::arguments::<Cli>(std::env::args_os());
    let command = help::command::<Cli>(arguments.iter().cloned());
    let parsed =
        command.clone().try_get_matches_from(arguments).and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
    let cli = parsed.unwrap_or_else(|error| ui::usage::clearer(error, &command, words()).exit());
    let session = Session::new(cli.global);
    let runtime =
        match tokio::runtime::Builder::new_current_thread().thread_stack_size(BLOCKING_STACK_SIZE).enable_all().build()
        {
            Ok(runtime) => runtime,
            Err(error) => return ui::error::report(&CommandError::from(error).context("cannot start the program")),
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

async fn dispatch(command: Command, session: &Session) -> CommandResult<ExitStatus> {
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
        Command::Testbed(args) => testbed::run(args, session).await,
        Command::Serve(args) => serve::run(args, session).await,
        Command::Init(args) => init::run(args, session),
        Command::Site(args) => site::run(args, session),
        Command::Credentials(args) => credentials::run(args, session).await,
        Command::Config(args) => config::run(args, session),
        Command::Completions(args) => completions::run::<Cli>(args),
        Command::Man(args) => man::run::<Cli>(&args),
        Command::Complete(args) => complete::run::<Cli>(&args, &session.environment),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::{Command, CommandFactory};

    use super::{Cli, help};

    /// Calls `check` with each command that is not hidden, and with what is typed for it.
    fn each(command: &Command, typed: &str, check: &mut impl FnMut(&str, &Command)) {
        check(typed, command);
        for subcommand in command.get_subcommands().filter(|one| !one.is_hide_set() && one.get_name() != "help") {
            each(subcommand, &format!("{typed} {}", subcommand.get_name()), check);
        }
    }

    fn built(mut command: Command) -> Command {
        command.build();
        command
    }

    #[test]
    fn the_arguments_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_summary_fits_a_small_terminal_and_has_an_example() {
        for width in [80, 100] {
            let mut failures = Vec::new();
            each(&built(help::summary(Cli::command())), "apt-ci", &mut |typed, command| {
                let shown = command.clone().term_width(width).render_help().to_string();
                let last = shown.lines().last().unwrap_or_default();
                // A usage is not wrapped, except by the terminal.
                let rows: usize = shown.lines().map(|line| line.chars().count().div_ceil(width).max(1)).sum();
                // An example that is wrapped cannot be copied, and its first line alone may do something else.
                let example = shown.lines().skip_while(|line| !line.starts_with("Example: "));
                let is_wrapped = example.take_while(|line| *line != last).count() > 1;
                let is_complete = shown.contains("\nUsage: apt-ci")
                    && shown.contains("\nExample")
                    && last == format!("`{typed} --help` shows all options and examples.");
                if rows > 24 || !is_complete || is_wrapped {
                    failures.push(format!("{typed} at {width}: {rows} rows\n{shown}"));
                }
            });
            assert!(failures.is_empty(), "{}", failures.join("\n"));
        }
    }

    #[test]
    fn the_commands_of_gitlab_have_its_words() {
        for tree in [help::summary(Cli::command()), help::complete(Cli::command())] {
            let tree = built(tree);
            let command = tree.find_subcommand("gitlab").unwrap();
            each(command, "apt-ci gitlab", &mut |typed, command| {
                let shown = command.clone().render_help().to_string();
                for word in ["OWNER/REPO", "pull request", "PULL-REQUEST", "apt-ci github"] {
                    assert!(!shown.contains(word), "{typed}: {word}\n{shown}");
                }
            });
            let shown = command.find_subcommand("add-hook").unwrap().clone().render_help().to_string();
            assert!(!shown.contains("--legacy"), "{shown}");
            let shown = command.find_subcommand("retry").unwrap().clone().render_help().to_string();
            assert!(shown.starts_with("Re-test a merge request\n"), "{shown}");
            assert!(shown.contains("URL of the merge request, or GROUP/PROJECT!NUMBER"), "{shown}");
            assert!(shown.contains("apt-ci gitlab retry 'GROUP/PROJECT!7'"), "{shown}");
        }
    }

    #[test]
    fn help_has_help_of_its_own() {
        let left = |text: &str| {
            let words = help::arguments::<Cli>(text.split(' ').map(OsString::from));
            words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(left("apt-ci help --help"), "apt-ci help");
        assert_eq!(left("apt-ci queues help show -h"), "apt-ci queues help show");
        for other in ["apt-ci --help", "apt-ci log help --help", "apt-ci run -s noble help --help"] {
            assert_eq!(left(other), other);
        }
    }

    #[test]
    fn the_overview_names_every_command() {
        let shown = built(help::summary(Cli::command())).render_help().to_string();
        let is_named = |name: &str| shown.lines().any(|line| line.split([' ', ',']).any(|word| word == name));
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            assert!(is_named(command.get_name()), "{} is missing\n{shown}", command.get_name());
        }
    }

    #[test]
    fn the_complete_help_hides_nothing_and_ends_with_the_global_options() {
        each(&built(help::complete(Cli::command())), "apt-ci", &mut |typed, command| {
            let shown = command.clone().term_width(100).render_help().to_string();
            let offered = command.get_arguments().filter(|argument| !argument.is_hide_set());
            for option in offered.filter_map(|argument| argument.get_long()) {
                assert!(shown.contains(&format!("--{option}")), "{typed}: --{option}\n{shown}");
            }
            assert_eq!(shown.matches("\n      --json ").count(), 1, "{typed}: {shown}");
            let heading = |line: &&str| line.ends_with("ptions:") && !line.starts_with(' ');
            let last = shown.lines().rfind(heading);
            assert_eq!(last, Some("Global options:"), "{typed}: {shown}");
        });
    }
}
