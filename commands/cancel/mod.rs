//! `apt-ci cancel`: ends tests, wherever they run, and takes requests out of their queues.

mod queued;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use apt_ci::broker::{Broker, BrokerError, Cancel, Cancelled, Opaque};
use apt_ci::release::QueueName;
use apt_ci::request::{Criterion, Request};
use apt_ci::site::Site;
use nix::unistd::{User, geteuid};
use serde_json::json;
use tokio::time::sleep;

use crate::record::Record;
use crate::session::Session;
use crate::ui::ask;
use crate::ui::error::{BadInput, NotFound};
use crate::ui::exit::ExitStatus;
use crate::ui::opaque_lines;
use crate::ui::unquoted::Unquoted;
use queued::Queued;

/// A request may be between two hands when it is looked for: so often one looks again.
const LOOKS: usize = 4;
/// So many requests are shown to a person who is asked about them.
const SHOWN: usize = 20;
/// Between two such looks.
const PAUSE: Duration = Duration::from_millis(250);

/// Cancel running tests on any host, or remove requests from their queues
#[derive(clap::Args)]
#[command(after_help = "\
The request of a running test moves to the dead letters of its queue, with the name of the user who cancelled it; it has \
no result, and is not reported as failed. Anyone with access to the queue can cancel any test on workers of this version.
A queued request is saved to a file and removed from its queue; restore it with `apt-ci run --batch FILE`.
Exits with 1 if a request was not found, or if its result was already being published.

Examples:
  apt-ci cancel 7e89460a             cancel a test, by its id in `apt-ci running`
  apt-ci cancel --requeue 7e89460a   stop it, and let it run again
  apt-ci cancel --dry-run 7e89460a   show what would be done
  apt-ci cancel --match 'trigger=glibc/*' --match package=gzip")]
pub struct CancelArgs {
    /// Request to cancel: its id, or a prefix of the id
    #[arg(value_name = "REQUEST", required_unless_present = "criteria")]
    requests: Vec<String>,
    /// Cancel requests matching KEY=PATTERN, e.g. `trigger=glibc/*`; with several, all must match
    #[arg(short, long = "match", value_name = "KEY=PATTERN", conflicts_with = "requests",
        value_parser = Unquoted::<Criterion>::new())]
    criteria: Vec<Criterion>,
    /// Do not ask for confirmation (with --match)
    #[arg(short, long)]
    yes: bool,
    /// Put requests of running tests back into their queues; leave queued ones there
    #[arg(long)]
    requeue: bool,
    /// Show what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// A request that is meant.
struct Found {
    uuid: String,
    name: String,
    request: Request,
    place: Place,
}

enum Place {
    /// With a worker.
    Running,
    /// In its queue.
    Queued(Box<Queued>),
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Cancelled,
    Removed,
    /// It is where `--requeue` would bring it.
    Waiting,
    TooLate,
    NotFound,
    /// With `--dry-run`.
    Planned,
}

pub async fn run(args: CancelArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let site = session.site()?;
    if !args.criteria.is_empty() && !args.yes && !args.dry_run {
        ask::somebody()?;
    }
    let broker = session.broker(&site).await?;
    // All of them are looked up before the first is touched.
    let meant = if args.criteria.is_empty() {
        look_up(&args.requests, &broker, &site).await?
    } else {
        match matching(&args, &broker, &site, session).await? {
            Some(meant) => meant,
            None => return Ok(ExitStatus::Failure),
        }
    };
    let canceller = Canceller {
        broker: &broker,
        site: &site,
        by: asker(),
        requeue: args.requeue,
        record: Record::of_now(&site, "cancelled"),
    };
    let (mut answers, mut exit) = (Vec::new(), ExitStatus::Success);
    let mut outcomes = Vec::with_capacity(meant.len());
    let cancelled = if args.dry_run {
        outcomes.extend(meant.into_iter().map(|found| (found, Outcome::Planned)));
        Ok(())
    } else {
        canceller.cancel(meant, &mut outcomes).await
    };
    canceller.record.finish();
    for (found, outcome) in outcomes {
        let (uuid, said) = (&found.uuid, format!("{} ({})", found.name, found.uuid));
        match outcome {
            Outcome::Planned => session.ui.note(plan(&found.place, &said, args.requeue)),
            Outcome::Cancelled => {
                let place = if args.requeue { "back to its queue" } else { "to the dead letters" };
                session.ui.note(format!("Cancelling the test of {said}; its request goes {place}."));
            }
            Outcome::Removed => {
                let record = canceller.record.path().display();
                session.ui.note(format!("Removed {said} from its queue. `apt-ci run --batch {record}` restores it."));
            }
            Outcome::Waiting => session.ui.note(format!("{said} is already waiting in its queue.")),
            Outcome::TooLate => {
                session.ui.warn(format!("the test of {said} has finished; its result is being published"));
                exit = ExitStatus::Failure;
            }
            Outcome::NotFound => {
                session.ui.warn(format!("{said} is no longer running or queued"));
                exit = ExitStatus::Failure;
            }
        }
        let cancelled = matches!(outcome, Outcome::Cancelled | Outcome::Removed);
        answers.push(json!({"uuid": uuid, "cancelled": cancelled, "requeue": args.requeue, "outcome": outcome}));
    }
    if session.ui.json {
        session.ui.json(&answers)?;
    }
    // What was done before something failed is told in any case.
    cancelled?;
    broker.close().await;
    Ok(exit)
}

/// What would be done.
fn plan(place: &Place, said: &str, requeue: bool) -> String {
    match (place, requeue) {
        (Place::Running, false) => {
            format!("Would cancel the test of {said}; its request would go to the dead letters.")
        }
        (Place::Running, true) => format!("Would cancel the test of {said}; its request would go back to its queue."),
        (Place::Queued(_), false) => format!("Would remove {said} from its queue."),
        (Place::Queued(_), true) => format!("{said} is already waiting in its queue."),
    }
}

struct Canceller<'a> {
    broker: &'a Broker,
    site: &'a Site,
    by: String,
    requeue: bool,
    record: Record,
}

impl Canceller<'_> {
    /// Cancels all of them, each where it is now: a worker may have taken it since it was looked for, or given it back. Tells what became
    /// of each, also when something fails.
    async fn cancel(&self, mut meant: Vec<Found>, ended: &mut Vec<(Found, Outcome)>) -> anyhow::Result<()> {
        for look in 1.. {
            let (removed, mut failure) = self.remove(&meant).await;
            let mut open = Vec::new();
            for found in meant {
                let outcome = match found.place {
                    Place::Queued(_) if self.requeue => Some(Outcome::Waiting),
                    Place::Queued(_) => removed.contains(&found.uuid).then_some(Outcome::Removed),
                    Place::Running if failure.is_some() => None,
                    // What is out of its queue already is told all the same.
                    Place::Running => self.end(&found).await.unwrap_or_else(|error| {
                        failure = Some(error);
                        None
                    }),
                };
                match outcome {
                    Some(outcome) => ended.push((found, outcome)),
                    None => open.push(found),
                }
            }
            if let Some(failure) = failure {
                return Err(failure);
            }
            if open.is_empty() || look == LOOKS {
                ended.extend(open.into_iter().map(|found| (found, Outcome::NotFound)));
                return Ok(());
            }
            sleep(PAUSE).await;
            let seen = everything(self.broker, self.site).await?;
            let mut now: HashMap<String, Place> =
                seen.requests.into_iter().map(|found| (found.uuid, found.place)).collect();
            meant = open;
            for found in &mut meant {
                if let Some(place) = now.remove(&found.uuid) {
                    found.place = place;
                }
            }
        }
        Ok(())
    }

    /// Takes those that wait out of their queues. Gives the ids of those that are out, and what failed after that.
    async fn remove(&self, meant: &[Found]) -> (HashSet<String>, Option<anyhow::Error>) {
        if self.requeue {
            return (HashSet::new(), None);
        }
        let queued = meant.iter().filter_map(|found| match &found.place {
            Place::Queued(queued) => Some(queued.as_ref()),
            Place::Running => None,
        });
        let (removed, outcome) = queued::take_out(self.broker, &queued.collect::<Vec<_>>(), &self.record).await;
        (removed.iter().map(ToString::to_string).collect(), outcome.err())
    }

    /// Has its worker end it. `None` when no worker has it any more.
    async fn end(&self, found: &Found) -> anyhow::Result<Option<Outcome>> {
        let wish = Cancel { uuid: found.uuid.clone(), by: self.by.clone(), requeue: self.requeue };
        Ok(match self.broker.cancel(&wish).await? {
            Cancelled::Cancelled => Some(Outcome::Cancelled),
            Cancelled::TooLate => Some(Outcome::TooLate),
            Cancelled::NotFound => None,
        })
    }
}

/// The requests that match; `None` when somebody is asked and says no.
async fn matching(
    args: &CancelArgs,
    broker: &Broker,
    site: &Site,
    session: &Session,
) -> anyhow::Result<Option<Vec<Found>>> {
    let Seen { requests: mut meant, opaque, blocked } = everything(broker, site).await?;
    if let Some(opaque) = opaque {
        session.ui.warn_lines(format!("not all queued requests can be searched: {}", opaque_lines(&opaque)));
    }
    if let Some(blocked) = blocked {
        session.ui.warn(format!("only queued requests are searched: {blocked}"));
    }
    meant.retain(|found| args.criteria.iter().all(|criterion| criterion.matches(&found.request)));
    if meant.is_empty() {
        session.ui.note("No requests match.");
    } else if !args.dry_run && !args.yes {
        for found in meant.iter().take(SHOWN) {
            session.ui.note(plan(&found.place, &format!("{} ({})", found.name, found.uuid), args.requeue));
        }
        if meant.len() > SHOWN {
            session.ui.note(format!("… and {} more", meant.len() - SHOWN));
        }
        let requests = if meant.len() == 1 { "request" } else { "requests" };
        if !ask::confirm(format!("Cancel {} {requests}?", meant.len())).await? {
            session.ui.note("Nothing was changed.");
            return Ok(None);
        }
    }
    Ok(Some(meant))
}

/// The requests that the texts mean, each once.
async fn look_up(texts: &[String], broker: &Broker, site: &Site) -> anyhow::Result<Vec<Found>> {
    // Who names running tests by their whole ids disturbs no queue.
    let mut seen = running(broker).await?;
    for look in 1.. {
        if texts.iter().any(|text| seen.requests.iter().all(|found| found.uuid != *text)) {
            seen = everything(broker, site).await?;
        }
        let all = &seen.requests;
        let mut chosen: Vec<usize> = Vec::new();
        let mut missing = None;
        for text in texts {
            match one(text, all)? {
                Some(index) if chosen.contains(&index) => {}
                Some(index) => chosen.push(index),
                None => missing = Some(text),
            }
        }
        let Some(missing) = missing else {
            let mut all: Vec<Option<Found>> = seen.requests.into_iter().map(Some).collect();
            return Ok(chosen.into_iter().filter_map(|index| all.get_mut(index)?.take()).collect());
        };
        if look == LOOKS {
            if let Some(blocked) = seen.blocked {
                return Err(anyhow::Error::from(blocked)
                    .context(format!("request {missing} is not queued, and running tests cannot be searched now")));
            }
            if let Some(opaque) = seen.opaque {
                let message = format!("no running or queued request {missing} found in the site's queues");
                return Err(anyhow::Error::from(BrokerError::Opaque(Box::new(opaque))).context(message));
            }
            let message = format!("no request {missing} is running or queued in the site's queues");
            let hint = "run `apt-ci running` to list running tests, `apt-ci queues QUEUE` to list queued requests";
            return Err(NotFound { message, hint }.into());
        }
        sleep(PAUSE).await;
    }
    Ok(Vec::new())
}

/// What is seen of the requests, each once.
struct Seen {
    requests: Vec<Found>,
    /// Why not all of what waits is seen.
    opaque: Option<Opaque>,
    /// The alarm of the broker that keeps workers from telling what runs.
    blocked: Option<BrokerError>,
}

async fn running(broker: &Broker) -> anyhow::Result<Seen> {
    let (tests, blocked) = match broker.running().await {
        Err(blocked @ BrokerError::Blocked { .. }) => (Vec::new(), Some(blocked)),
        tests => (tests?, None),
    };
    let requests = tests.iter().filter_map(|test| found(&test.request()?, &test.queue, Place::Running)).collect();
    Ok(Seen { requests, opaque: None, blocked })
}

/// What runs and what is seen to wait.
async fn everything(broker: &Broker, site: &Site) -> anyhow::Result<Seen> {
    let mut seen = running(broker).await?;
    let mut ids: HashSet<String> = seen.requests.iter().map(|found| found.uuid.clone()).collect();
    let (queued, opaque) = queued::all(broker, site).await?;
    seen.opaque = opaque;
    for queued in queued {
        let (request, queue) = (queued.request.clone(), queued.queue.clone());
        // One that went back in between was seen twice.
        if let Some(found) = found(&request, &queue, Place::Queued(Box::new(queued)))
            && ids.insert(found.uuid.clone())
        {
            seen.requests.push(found);
        }
    }
    Ok(seen)
}

/// A request as it is spoken of. An id tells nothing; of a private run no more is shown.
fn found(request: &Request, queue: &QueueName, place: Place) -> Option<Found> {
    let name = if request.is_private() { "a private package" } else { request.package().as_str() };
    let (uuid, name) = (request.uuid()?.to_string(), format!("{name} in {queue}"));
    Some(Found { uuid, name, request: request.clone(), place })
}

/// The place of the one request that the text means.
fn one(text: &str, all: &[Found]) -> anyhow::Result<Option<usize>> {
    if let Some(exact) = all.iter().position(|found| found.uuid == text) {
        return Ok(Some(exact));
    }
    let begins = |(_, found): &(usize, &Found)| !text.is_empty() && found.uuid.starts_with(text);
    let meant: Vec<(usize, &Found)> = all.iter().enumerate().filter(begins).collect();
    if meant.len() > 1 {
        let ids: Vec<&str> = meant.iter().take(10).map(|(_, found)| found.uuid.as_str()).collect();
        let more = if meant.len() > ids.len() { ", and others" } else { "" };
        let message = format!("{text} is ambiguous: several requests have ids that begin with it");
        return Err(BadInput { message, hint: Some(format!("give a full id: {}{more}", ids.join(", "))) }.into());
    }
    Ok(meant.first().map(|(index, _)| *index))
}

/// `USER on HOST`, as the reason of a dead letter names who made it one.
fn asker() -> String {
    let user = geteuid();
    let name = User::from_uid(user).ok().flatten().map(|user| user.name);
    format!("{} on {}", name.unwrap_or_else(|| format!("the user with the id {user}")), apt_ci::host::name())
}
