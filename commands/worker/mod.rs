//! `apt-ci worker`: runs queued tests, and controls the workers on this host.

mod cancel;
mod check;
mod conf;
mod explain;
mod live;
mod reload;
mod serve;
mod status;
mod stop;
mod store_check;

use crate::session::Session;
use crate::ui::error::{BadInput, CommandResult};
use crate::ui::exit::ExitStatus;

pub use serve::work_folder;

/// Run queued tests, or control the workers on this host
#[derive(clap::Args)]
#[command(after_help = serve::HELP)]
pub struct WorkerArgs {
    #[command(flatten)]
    serve: serve::ServeArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    Explain(Box<explain::ExplainArgs>),
    Check(check::CheckArgs),
    Status(status::StatusArgs),
    Stop(stop::StopArgs),
    Reload(reload::ReloadArgs),
    Cancel(cancel::CancelArgs),
}

impl Command {
    /// Returns the name of the subcommand.
    fn name(&self) -> &'static str {
        match self {
            Self::Explain(_) => "explain",
            Self::Check(_) => "check",
            Self::Status(_) => "status",
            Self::Stop(_) => "stop",
            Self::Reload(_) => "reload",
            Self::Cancel(_) => "cancel",
        }
    }
}

pub async fn run(args: WorkerArgs, session: &Session) -> CommandResult<ExitStatus> {
    // clap could refuse these, but only together with the global options, which may stand anywhere.
    if let (Some(command), Some(option)) = (&args.command, args.serve.first_given()) {
        let command = command.name();
        let message = format!("{option} configures how tests are run, but {command} runs no tests");
        let hint = format!("put the options of {command} after it; run `apt-ci worker {command} --help` to list them");
        return Err(BadInput { message, hint: Some(hint) }.into());
    }
    match args.command {
        None => serve::run(args.serve, session).await,
        Some(Command::Explain(args)) => explain::run(*args, session).await,
        Some(Command::Check(args)) => check::run(args, session).await,
        Some(Command::Status(args)) => status::run(args, session).await,
        Some(Command::Stop(args)) => stop::run(args, session).await,
        Some(Command::Reload(args)) => reload::run(args, session).await,
        Some(Command::Cancel(args)) => cancel::run(args, session).await,
    }
}
