//! `apt-ci worker check`: finds faults in worker.conf, the override files and this host.

use std::collections::BTreeSet;
use std::path::Path;

use apt_ci::site::{Origin as SiteOrigin, Site};
use apt_ci::testbed::conf::{ConfError, WorkerConf};
use apt_ci::testbed::images::{ImageName, ImageStore};
use apt_ci::testbed::settings::lint;
use apt_ci::testbed::{Autopkgtest, DecisionSource, SETPRIV, TestbedError};
use serde_json::json;

use super::conf::ConfArgs;
use super::serve::ServedPlaces;
use super::store_check;
use crate::session::Session;
use crate::ui::error::{CommandError, CommandResult};
use crate::ui::exit::ExitStatus;

/// Check the configuration, autopkgtest, the queue and the store
///
/// The configuration is worker.conf and the override files.
#[derive(clap::Args)]
#[command(after_help = "\
Prints each problem as FILE:LINE: MESSAGE, and exits with 1 if there is any.

Examples:
  apt-ci worker check
  apt-ci worker check -c new.conf && cp new.conf /etc/apt-ci/worker.conf")]
pub struct CheckArgs {
    #[command(flatten)]
    conf: ConfArgs,
}

/// A fault, with its place and a hint.
struct Fault {
    file: Option<String>,
    line: Option<usize>,
    message: String,
    hint: Option<String>,
}

impl From<ConfError> for Fault {
    fn from(ConfError { file, line, message, hint }: ConfError) -> Self {
        Self { file: Some(file.display().to_string()), line, message, hint }
    }
}

pub async fn run(args: CheckArgs, session: &Session) -> CommandResult<ExitStatus> {
    let site = session.site()?;
    args.conf.check_named()?;
    let file = args.conf.file(&site);
    let defined = args.conf.definitions();
    let mut faults: Vec<Fault> =
        file.map(|file| lint(file, &defined)).unwrap_or_default().into_iter().map(Fault::from).collect();
    // A faulty file may still name programs, which are looked for.
    let conf = file.map_or_else(|| Some(WorkerConf::null()), |file| WorkerConf::examine(file, &defined).0);
    let found = match &conf {
        Some(conf) => host(conf, session, &mut faults).await,
        None => None,
    };
    faults.extend(conf.iter().flat_map(|conf| testbeds(conf, &site)));
    faults.extend(store(session, &site).await);
    faults.extend(queue(session, &site).await);
    let name = file.map_or("no worker.conf: tests run on this host itself (virt server null)".to_owned(), |file| {
        file.display().to_string()
    });
    if session.ui.is_json {
        let list: Vec<_> = faults
            .iter()
            .map(|Fault { file, line, message, hint }| json!({"file": file, "line": line, "message": message, "hint": hint}))
            .collect();
        session.ui.json(&json!({"file": file, "autopkgtest": found, "faults": list}))?;
    } else {
        for Fault { file, line, message, hint } in &faults {
            let place: String =
                file.iter().map(|file| format!("{file}:")).chain(line.map(|line| format!("{line}:"))).collect();
            let space = if place.is_empty() { "" } else { " " };
            session.ui.data(format!("{place}{space}{message}"))?;
            if let Some(hint) = hint {
                session.ui.note(format!("  hint: {hint}"));
            }
        }
        if let (true, Some(found)) = (faults.is_empty(), &found) {
            let (queue, store) = (&site.queue.value, &site.store.value);
            session.ui.data(format!(
                "{name}: no faults; autopkgtest is {found}; the queue {queue} and the store {store} can be used"
            ))?;
        }
    }
    Ok(if faults.is_empty() { ExitStatus::Success } else { ExitStatus::Failure })
}

/// Looks for the testbeds of the releases that a worker with this configuration serves.
fn testbeds(conf: &WorkerConf, site: &Site) -> Vec<Fault> {
    if !conf.uses_testbed() {
        return Vec::new();
    }
    let images = ImageStore::new(site.testbeds_dir.clone());
    let places = ServedPlaces { architectures: Vec::new(), releases: site.releases.value.clone() };
    let names: BTreeSet<ImageName> = places.queues(conf).unwrap_or_default().iter().map(ImageName::for_tests).collect();
    let missing = names.iter().filter_map(|name| images.held(name).err());
    missing.map(|error| Fault { file: None, line: None, message: error.to_string(), hint: None }).collect()
}

/// Checks whether the store can be used.
async fn store(session: &Session, site: &Site) -> Option<Fault> {
    let message = match session.store(site) {
        Err(error) => error.to_string(),
        Ok(store) => match store_check::fault(&store).await? {
            store_check::StoreFault::Unusable(error) => error.to_string(),
            store_check::StoreFault::Unreachable(reason) => reason,
        },
    };
    let hint = "fix this; until then, results stay on this host".to_owned();
    Some(Fault { file: None, line: None, message, hint: Some(hint) })
}

/// Connects to the queue as a worker does. Otherwise, faults would be noticed only when the worker starts.
async fn queue(session: &Session, site: &Site) -> Option<Fault> {
    let checked = async { Ok::<(), CommandError>(session.broker(site).await?.check_rights().await?) };
    let error = checked.await.err()?;
    let (file, line) = match &site.queue.origin {
        SiteOrigin::File { path, line } => (Some(path.display().to_string()), Some(*line)),
        _ => (None, None),
    };
    Some(Fault { file, line, message: format!("{error:#}"), hint: error.hint().map(str::to_owned) })
}

/// Looks for the programs that a test needs. Returns the path of autopkgtest.
async fn host(conf: &WorkerConf, session: &Session, faults: &mut Vec<Fault>) -> Option<String> {
    let (found, mut missing) = Autopkgtest::locate(conf, session.environment.get("PATH"));
    let probed = match found {
        Some(found) => found.probe().await.map_err(|error| missing.insert(0, error)).ok(),
        None => None,
    };
    faults.extend(missing.into_iter().map(|error| {
        let message = error.to_string();
        let (origin, hint) = match error {
            TestbedError::NotInstalled { hint, .. } => (conf.origin("checkout_dir"), Some(hint)),
            TestbedError::NoVirtServer { hint, origin, .. } => (origin, Some(hint)),
            _ => (conf.origin("checkout_dir"), None),
        };
        let (file, line) = match origin {
            DecisionSource::File { path, line } => (Some(path.display().to_string()), Some(line)),
            _ => (None, None),
        };
        Fault { file, line, message, hint }
    }));
    if !Path::new(SETPRIV).is_file() {
        let message = format!("{SETPRIV} is missing: when a worker is killed, its test keeps running");
        faults.push(Fault {
            file: None,
            line: None,
            message,
            hint: Some("install it with: apt install util-linux".to_owned()),
        });
    }
    probed.map(|autopkgtest| autopkgtest.program().display().to_string())
}
