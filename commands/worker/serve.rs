//! `apt-ci worker` without a subcommand: runs queued tests.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use apt_ci::launchpad::Launchpad;
use apt_ci::release::{Architecture, QueueName, Release};
use apt_ci::site::{Site, host};
use apt_ci::testbed::Border;
use apt_ci::testbed::conf::WorkerConf;
use apt_ci::testbed::images::ImageStore;
use apt_ci::worker::control::{self, CancelRegistry, CommandHandlers, ControlSocket};
use apt_ci::worker::live_config::LiveConfig;
use apt_ci::worker::live_status::{LiveStatus, WorkerFacts};
use apt_ci::worker::notify::Notifier;
use apt_ci::worker::shutdown::Shutdown;
use apt_ci::worker::{AutopkgtestCache, CommitOrder, ContainerCache, RunMode, Worker, WorkerOutcome};

use super::conf::ConfArgs;
use super::{live, store_check};
use crate::session::Session;
use crate::ui::error::{BadInput, CommandResult, OperationFailed};
use crate::ui::exit::ExitStatus;
use crate::ui::number;

/// End of `apt-ci worker --help`.
pub const HELP: &str = "\
SIGTERM or Ctrl-C: finish running tests, then exit with 0. SIGHUP: finish running tests, then exit with 10.
A second signal stops the tests and returns their requests to the queues. A third signal exits at once.

worker.conf and its override files are re-read when they change.

Examples:
  apt-ci worker --drain
  apt-ci worker --slots 8 -c /etc/apt-ci/armhf.conf -a armhf
  apt-ci worker explain gzip -s bookworm
  apt-ci worker status";

/// How to serve.
#[derive(clap::Args)]
pub struct ServeArgs {
    #[command(flatten)]
    conf: ConfArgs,
    /// Architecture to serve
    #[arg(
        short = 'a',
        long = "arch",
        visible_alias = "architecture",
        value_name = "ARCH",
        long_help = "Architecture to serve (can be repeated) [default: worker.conf's, else this host's]"
    )]
    architectures: Vec<Architecture>,
    /// Number of tests to run in parallel [default: 1]
    #[arg(long, value_name = "N", value_parser = number::within(1_u16..=1000))]
    slots: Option<u16>,
    /// Worker name in results and messages [default: this host's]
    #[arg(long, value_name = "NAME", value_parser = name, hide_short_help = true)]
    name: Option<String>,
    /// Exit when the queues are empty
    #[arg(long, conflicts_with = "once")]
    drain: bool,
    /// Exit after one request
    #[arg(long, conflicts_with = "slots")]
    once: bool,
}

impl ServeArgs {
    /// Returns the first of these options that is on the command line.
    pub fn first_given(&self) -> Option<&'static str> {
        let Self { conf, architectures, slots, name, drain, once } = self;
        let given = [
            (!architectures.is_empty(), "--arch"),
            (slots.is_some(), "--slots"),
            (name.is_some(), "--name"),
            (*drain, "--drain"),
            (*once, "--once"),
        ];
        let of_conf = conf.first_given();
        of_conf.or_else(|| given.into_iter().find(|(is_given, _)| *is_given).map(|(_, option)| option))
    }
}

fn name(text: &str) -> Result<String, String> {
    let valid = !text.is_empty() && text.len() <= 100 && text.chars().all(|c| c.is_ascii_graphic());
    if valid {
        Ok(text.to_owned())
    } else {
        Err("a name must be 1 to 100 visible ASCII characters, without spaces".to_owned())
    }
}

pub async fn run(args: ServeArgs, session: &Session) -> CommandResult<ExitStatus> {
    let stop = Shutdown::on_signals()?;
    let slots = args.slots.unwrap_or(1);
    let site = session.site()?;
    let configuration = args.conf.load(&site)?;
    for fault in configuration.faults() {
        tracing::error!(target: "apt_ci::worker", "error in the configuration: {fault}");
    }
    let store = session.store(&site)?;
    let name = args.name.unwrap_or_else(apt_ci::host::name);
    let facts = WorkerFacts {
        name: name.clone(),
        site: live::site_folder(&site),
        queue: site.queue.value.to_string(),
        store: store.address(),
        queues: Vec::new(),
    };
    let live_status = LiveStatus::new(facts, usize::from(slots), stop.clone());
    let served = ServedPlaces { architectures: args.architectures, releases: site.releases.value.clone() };
    let live_config = LiveConfig::new(configuration, Box::new(move |conf| served.queues(conf)), live_status.clone());
    let live_config = Arc::new(live_config.map_err(|message| {
        let hint = "set releases in worker.conf, or add the architecture to [releases] in apt-ci.toml".to_owned();
        BadInput { message, hint: Some(hint) }
    })?);
    let broker = session.broker(&site).await?;
    store_check::refuse_unusable(&store).await?;
    let cancels = CancelRegistry::default();
    let reload = Arc::clone(&live_config);
    let steering = CommandHandlers { cancels: cancels.clone(), reload: Arc::new(move || reload.reload()) };
    let socket = ControlSocket::open(&control::folder(&site.state_dir), live_status.clone(), steering);
    // A worker without a control socket serves as any other, and signals reach it.
    let _socket = socket.inspect_err(
        |error| tracing::warn!(target: "apt_ci::worker", "`apt-ci worker status` will not see this worker: {error}"),
    );
    let mode = match (args.drain, args.once) {
        (true, _) => RunMode::Drain,
        (_, true) => RunMode::Once,
        _ => RunMode::Forever,
    };
    tracing::info!(
        target: "apt_ci::worker",
        "serving {} queues of {}{}, results go to {}",
        live_config.queues().len(), site.queue.value, in_slots(slots), store.address(),
    );
    let worker = Worker {
        name,
        slots: slots.into(),
        broker: &broker,
        store: &store,
        launchpad: &Launchpad::new(site.launchpad.clone())?,
        pockets: site.pockets.clone(),
        live_config,
        live_status: live_status.clone(),
        cancels,
        work_folder: work_folder(&site),
        images: ImageStore::new(site.testbeds_dir.clone()),
        environment: &session.environment,
        border: Border::new(site.allowed_git_hosts()),
        autopkgtest_cache: AutopkgtestCache::default(),
        containers: ContainerCache::default(),
        turns: CommitOrder::default(),
    };
    if let Some(message) = worker.refused_queue().await {
        let hint =
            "remove the architecture from worker.conf or --arch, or install autopkgtest 5.43 or newer".to_owned();
        return Err(BadInput { message, hint: Some(hint) }.into());
    }
    let notifier = Notifier::new(&session.environment)
        .inspect_err(|error| tracing::warn!(target: "apt_ci::worker", "{error}"))
        .unwrap_or_default();
    let telling = async {
        if let Some(notifier) = notifier {
            notifier.run(&live_status).await;
        }
        std::future::pending::<Infallible>().await
    };
    let ended = tokio::select! {
        ended = worker.serve(mode, &stop) => ended,
        never = telling => match never {},
    };
    broker.close().await;
    match ended? {
        WorkerOutcome::Stopped if stop.wants_restart() => Ok(ExitStatus::Restart),
        WorkerOutcome::Drained => {
            tracing::info!(target: "apt_ci::worker", "the queues are empty");
            Ok(ExitStatus::Success)
        }
        WorkerOutcome::Stopped | WorkerOutcome::ServedOne => Ok(ExitStatus::Success),
        WorkerOutcome::OutOfService(reason) => {
            let message =
                format!("this worker took itself out of service after repeated failures; the last one: {reason}");
            let hint = "run `apt-ci worker check` to check this host and its configuration";
            Err(OperationFailed { message, hint: hint.into() }.into())
        }
    }
}

/// Returns the number of slots in words, or nothing for the default of one.
fn in_slots(slots: u16) -> String {
    if slots == 1 { String::new() } else { format!(" in {slots} slots") }
}

/// Returns the folder in which tests run, and results wait until they are stored.
pub fn work_folder(site: &Site) -> PathBuf {
    site.state_dir.join("work")
}

/// Architectures and releases to serve where worker.conf does not name them.
pub(super) struct ServedPlaces {
    pub(super) architectures: Vec<Architecture>,
    pub(super) releases: std::collections::BTreeMap<Release, Vec<Architecture>>,
}

impl ServedPlaces {
    /// Returns the queues of every context, release and architecture that a worker with this worker.conf serves.
    pub(super) fn queues(&self, conf: &WorkerConf) -> Result<Vec<QueueName>, String> {
        let of_host: Vec<Architecture>;
        let architectures = match (self.architectures.as_slice(), conf.architectures()) {
            ([], []) => {
                of_host = Vec::from_iter(host::architecture());
                &of_host
            }
            ([], configured) => configured,
            (given, _) => given,
        };
        let of_site: Vec<Release>;
        let releases = match conf.releases() {
            // Only what the site configures for these architectures.
            [] => {
                let configured = self.releases.iter();
                let configured = configured.filter(|(_, list)| architectures.iter().any(|one| list.contains(one)));
                of_site = configured.map(|(release, _)| release.clone()).collect();
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
            return Err(format!("nothing to serve: no release has the architecture {}", names.join(", ")));
        }
        Ok(queues)
    }
}
