//! `apt-ci worker`: runs the tests that wait in the queues.

mod check;
mod conf;
mod explain;

use std::path::PathBuf;

use apt_ci::release::{Architecture, QueueName, Release};
use apt_ci::site::Site;
use apt_ci::testbed::conf::WorkerConf;
use apt_ci::worker::stop::Stop;
use apt_ci::worker::{Ended, Service, Worker};

use crate::session::Session;
use crate::ui::error::BadInput;
use crate::ui::exit::ExitStatus;

/// Run the tests that wait in the queues
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
SIGTERM or Ctrl-C: finish the test that runs, then end with 0. SIGHUP: the same, and end with 10.
A second signal ends the test; its request goes back to its queue. A third one ends the worker at once.

Examples:
  apt-ci worker --drain
  apt-ci worker -c /etc/apt-ci/armhf.conf -a armhf
  apt-ci worker check          what is wrong with worker.conf and its lists
  apt-ci worker explain gzip   how a package would be tested, and why"
)]
pub struct WorkerArgs {
    #[command(flatten)]
    serve: ServeArgs,
    #[command(subcommand)]
    command: Option<WorkerCommand>,
}

#[derive(clap::Subcommand)]
enum WorkerCommand {
    Explain(Box<explain::ExplainArgs>),
    Check(check::CheckArgs),
}

#[derive(clap::Args)]
struct ServeArgs {
    #[command(flatten)]
    conf: conf::ConfArgs,
    /// An architecture to serve; repeat for more [default: worker.conf's, else this host's]
    #[arg(short = 'a', long = "arch", visible_alias = "architecture", value_name = "ARCH")]
    architectures: Vec<Architecture>,
    /// End when the queues are empty
    #[arg(long, conflicts_with = "once")]
    drain: bool,
    /// End after one request
    #[arg(long)]
    once: bool,
}

pub async fn run(args: WorkerArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    match args.command {
        None => serve(args.serve, session).await,
        Some(WorkerCommand::Explain(args)) => explain::run(*args, session).await,
        Some(WorkerCommand::Check(args)) => check::run(args, session).await,
    }
}

async fn serve(args: ServeArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let stop = Stop::on_signals()?;
    let site = session.site()?;
    let settings = args.conf.load(&site)?.settings();
    let queues = served(&args.architectures, &settings.conf, &site)?;
    let store = session.store(&site)?;
    let broker = session.broker(&site).await?;
    let service = match (args.drain, args.once) {
        (true, _) => Service::Drain,
        (_, true) => Service::Once,
        _ => Service::Forever,
    };
    let worker = Worker {
        broker: &broker,
        store: &store,
        queues,
        settings: &settings,
        work_folder: work_folder(&site),
        environment: &session.environment,
    };
    tracing::info!(
        target: "apt_ci::worker",
        "serving {} queues of {}, results go to {}",
        worker.queues.len(), site.queue.value, store.address(),
    );
    let ended = worker.serve(service, &stop).await;
    broker.close().await;
    let ended = ended?;
    if ended == Ended::Drained {
        tracing::info!(target: "apt_ci::worker", "the queues are empty");
    }
    match ended {
        Ended::Stopped if stop.wants_restart() => Ok(ExitStatus::Restart),
        Ended::Stopped | Ended::Drained | Ended::ServedOne => Ok(ExitStatus::Success),
        Ended::OutOfService(reason) => {
            anyhow::bail!("this worker took itself out of service after repeated failures; the last one: {reason}")
        }
    }
}

/// Where tests run, and where results wait until they are stored.
pub fn work_folder(site: &Site) -> PathBuf {
    site.state_dir.join("work")
}

/// The queues of every context, release and architecture that this worker serves.
fn served(architectures: &[Architecture], conf: &WorkerConf, site: &Site) -> anyhow::Result<Vec<QueueName>> {
    let of_host: Vec<Architecture>;
    let architectures = match (architectures, conf.architectures()) {
        ([], []) => {
            of_host = Vec::from_iter(apt_ci::site::host::architecture());
            &of_host
        }
        ([], configured) => configured,
        (given, _) => given,
    };
    let of_site: Vec<Release>;
    let releases = match conf.releases() {
        // Only what the site configures for these architectures.
        [] => {
            of_site = site
                .releases
                .value
                .iter()
                .filter(|(_, configured)| architectures.iter().any(|one| configured.contains(one)))
                .map(|(release, _)| release.clone())
                .collect();
            &of_site
        }
        configured => configured,
    };
    let queues: Vec<QueueName> = releases
        .iter()
        .flat_map(|release| architectures.iter().flat_map(|one| QueueName::all_contexts(release, one)))
        .collect();
    if queues.is_empty() {
        let names: Vec<String> = architectures.iter().map(ToString::to_string).collect();
        let message = format!("there is nothing to serve: no release has the architecture {}", names.join(", "));
        let hint = "set releases in worker.conf, or add the architecture to the site's [releases]".to_owned();
        return Err(BadInput { message, hint: Some(hint) }.into());
    }
    Ok(queues)
}
