//! What goes on beside the answers: taking out what is needless, watching how tests end, showing that, and finding what was forgotten.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Service;
use crate::broker::{Broker, Listener, Topic};
use crate::forge::hook::Hook;
use crate::pulls::rebuild::{self, RebuildError, Surroundings};
use crate::pulls::show::Shower;
use crate::pulls::watch::{self as ends, Completed, Looked};
use crate::pulls::{Stage, asked, withdraw};

/// So often results are looked for when nobody tells that there are new ones.
const RESULTS_EVERY: Duration = Duration::from_secs(30);
/// The same at the embedded queue, where nobody ever tells; looking into a folder costs nothing.
const RESULTS_EVERY_LOCAL: Duration = Duration::from_secs(1);
/// So often one looks where requests without results are. On RabbitMQ that takes their queues' messages for a moment.
const REQUESTS_EVERY: Duration = Duration::from_secs(300);
/// So often one looks for those of which it is not certain that they are queued.
const UNCERTAIN_EVERY: Duration = Duration::from_secs(30);
/// Requests are left alone for so long: they are being queued, wait, or run.
const REQUESTS_AGE: SignedDuration = SignedDuration::from_secs(120);
/// So often one looks for what was forgotten.
const REBUILD_EVERY: Duration = Duration::from_secs(6 * 3600);
/// The same when something could not be looked through.
const REBUILD_AFTER_FAILURE: Duration = Duration::from_secs(600);
/// Pull requests that changed in this time are looked at, by who remembers nothing.
const REBUILD_SINCE: SignedDuration = SignedDuration::from_hours(24 * 30);
/// Those that changed in this time before the last look are looked at once more.
const REBUILD_AGAIN: SignedDuration = SignedDuration::from_hours(24);
/// Between two looks into queues for what is needless: on RabbitMQ each takes their messages for a moment.
const WITHDRAW_PAUSE: Duration = Duration::from_secs(2);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(10);
/// The longest time without a look at what is to be shown, and whether a token has changed.
const SHOW_EVERY: Duration = Duration::from_secs(5);

/// Takes care of everything until `stop` is cancelled. `changed` is told, and tells, that the journal has something new.
pub(super) async fn take_care(service: Arc<Service>, changed: watch::Sender<()>, stop: CancellationToken) {
    let looked = CancellationToken::new();
    tokio::join!(
        until(&stop, withdrawing(&service, &changed)),
        until(&stop, watching(&service, &changed)),
        until(&stop, finding(&service, &changed, &looked)),
        until(&stop, remembering(&service, &changed, &looked)),
        showing(&service, &changed, &stop),
    );
}

async fn until(stop: &CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
}

/// Tells that the journal has something new.
fn tell(changed: &watch::Sender<()>) {
    changed.send_replace(());
}

async fn withdrawing(service: &Service, changed: &watch::Sender<()>) {
    let mut news = changed.subscribe();
    loop {
        let has_some = service.journal.has_any(Stage::Withdrawn).await.is_ok_and(|has| has);
        if has_some {
            match withdraw::withdraw(&service.journal, &service.broker).await {
                Ok(()) => {
                    tell(changed);
                    sleep(WITHDRAW_PAUSE).await;
                }
                Err(failure) => {
                    warn!("cannot remove superseded requests from their queues now: {failure}");
                    sleep(PAUSE).await;
                    continue;
                }
            }
        }
        if news.changed().await.is_err() {
            return;
        }
    }
}

/// Results, as soon as they are there.
async fn watching(service: &Service, changed: &watch::Sender<()>) {
    let is_local = matches!(*service.broker, Broker::Local(_));
    let every = if is_local { RESULTS_EVERY_LOCAL } else { RESULTS_EVERY };
    let mut listener: Option<Listener> = None;
    loop {
        if listener.is_none() {
            listener = service.broker.listen(Topic::TestComplete).await.ok();
        }
        look_for_results(service, None, changed).await;
        let next = Instant::now() + every;
        // What is told is looked at, until it is time to look at everything.
        loop {
            let heard = match &mut listener {
                Some(some) => some.next(next).await,
                None => {
                    tokio::time::sleep_until(next).await;
                    Ok(None)
                }
            };
            match heard {
                Ok(Some(message)) => {
                    if let Some(completed) = Completed::parse(&message) {
                        look_for_results(service, Some(&completed), changed).await;
                    }
                }
                Ok(None) => break,
                Err(_) => {
                    listener = None;
                    break;
                }
            }
        }
    }
}

async fn look_for_results(service: &Service, about: Option<&Completed>, changed: &watch::Sender<()>) {
    let looked = ends::results(&service.journal, &service.store, about).await;
    let Looked { ended, failure } = looked.unwrap_or_else(|failure| Looked { ended: 0, failure: Some(failure) });
    if let Some(failure) = failure {
        warn!("cannot look up some results now: {failure}");
    }
    if ended > 0 {
        tell(changed);
    }
}

/// Requests that have no result.
async fn finding(service: &Service, changed: &watch::Sender<()>, looked: &CancellationToken) {
    const UNCERTAIN: &[Stage] = &[Stage::Received];
    const ALL: &[Stage] = &[Stage::Received, Stage::Queued];
    let Service { journal, broker, store, .. } = service;
    let started = Timestamp::now();
    let mut looked_at_all: Option<Instant> = None;
    loop {
        // What an earlier process has left is nobody's but ours.
        let before = started.max(Timestamp::now() - REQUESTS_AGE);
        let is_time = looked_at_all.is_none_or(|looked| looked.elapsed() >= REQUESTS_EVERY);
        let pause = match ends::requests(journal, broker, store, if is_time { ALL } else { UNCERTAIN }, before).await {
            Ok(Looked { ended, failure }) => {
                if let Some(failure) = failure {
                    warn!("cannot look up some requests now: {failure}");
                }
                if ended > 0 || looked_at_all.is_none() {
                    tell(changed);
                }
                if is_time {
                    looked_at_all = Some(Instant::now());
                }
                UNCERTAIN_EVERY
            }
            Err(failure) => {
                warn!("cannot look up requests now: {failure}");
                PAUSE
            }
        };
        // The others need not wait for what goes wrong here.
        looked.cancel();
        let settled = asked::settle(journal, broker, store, before).await;
        if let Some(failure) = settled.map_or_else(Some, |looked| looked.failure) {
            warn!("cannot look up some requests of users now: {failure}");
        }
        sleep(pause).await;
    }
}

/// What this machine has forgotten, and what it may forget.
async fn remembering(service: &Service, changed: &watch::Sender<()>, looked: &CancellationToken) {
    looked.cancelled().await;
    let mut due = Due::All;
    let mut next = Instant::now() + REBUILD_EVERY;
    loop {
        let (found, failed) = remember(service, &due).await;
        if found > 0 {
            info!("took up {found} tests of pull requests that were not known here");
            let (journal, store) = (&service.journal, &service.store);
            let now = Timestamp::now();
            match ends::requests(journal, &service.broker, store, &[Stage::Queued], now).await {
                Ok(Looked { failure: None, .. }) => {}
                Ok(Looked { failure: Some(failure), .. }) | Err(failure) => {
                    warn!("cannot look up requests now: {failure}");
                }
            }
            tell(changed);
        }
        if let Err(failure) = service.journal.sweep(Timestamp::now()).await {
            warn!("{failure}");
        }
        let again = Instant::now() + REBUILD_AFTER_FAILURE;
        let is_all = failed.is_empty() || again >= next;
        let is_lost = tokio::select! {
            () = tokio::time::sleep_until(if is_all { next } else { again }) => false,
            () = service.journal.renewed() => true,
        };
        if is_all || is_lost {
            next = Instant::now() + REBUILD_EVERY;
            due = Due::All;
        } else {
            due = Due::Only(failed);
        }
    }
}

/// What is to be looked through.
enum Due {
    All,
    /// These projects; without a name, the queues.
    Only(HashSet<String>),
}

impl Due {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
        }
    }
}

/// Tells how many tests were found, and what could not be looked through.
async fn remember(service: &Service, due: &Due) -> (usize, HashSet<String>) {
    const QUEUES: &str = "";
    let hooks = service.declared.hooks();
    let around = Surroundings {
        journal: &service.journal,
        broker: &service.broker,
        store: &service.store,
        keyring: &service.keyring,
        service: &service.url,
    };
    let now = Timestamp::now();
    let (mut found, mut failed) = (0, HashSet::new());
    if due.has(QUEUES) {
        match rebuild::from_queues(&hooks, &around, now).await {
            Ok(some) => found += some,
            Err(failure) => {
                warn!("cannot search the queues now: {failure}");
                failed.insert(QUEUES.to_owned());
            }
        }
    }
    for hooks in rebuild::by_project(&hooks) {
        let Some(first) = hooks.first() else { continue };
        let name = format!("{} {} {}", first.forge, first.api, first.project);
        if !due.has(&name) {
            continue;
        }
        match of_project(service, &name, &hooks, &around, now).await {
            Ok(some) => found += some,
            Err(failure) => {
                warn!("cannot look up pending statuses of {} now: {failure}", first.project);
                failed.insert(name);
            }
        }
    }
    (found, failed)
}

/// Looks through a project's pending statuses: of what has changed since the last time, or, with a new journal, of all that may matter.
async fn of_project(
    service: &Service,
    name: &str,
    hooks: &[&Hook],
    around: &Surroundings<'_>,
    now: Timestamp,
) -> Result<usize, RebuildError> {
    let last = service.journal.looked(name.to_owned()).await?;
    let since = last.map_or(now - REBUILD_SINCE, |last| last - REBUILD_AGAIN);
    let found = rebuild::from_forge(hooks, around, since, now).await?;
    service.journal.note_looked(name.to_owned(), now).await?;
    Ok(found)
}

/// What is begun is finished: a forge that was told is written down as told.
async fn showing(service: &Service, changed: &watch::Sender<()>, stop: &CancellationToken) {
    let shower = Shower::new(service.journal.clone(), Arc::clone(&service.keyring), service.url.clone());
    let mut news = changed.subscribe();
    let mut tokens = service.keyring.tokens();
    // A project whose forge does not answer keeps no other one from being served.
    let (mut busy, mut projects) = (HashSet::new(), FuturesUnordered::new());
    loop {
        news.mark_unchanged();
        // Who has a new token need not wait for what the old one has brought about.
        let now = service.keyring.tokens();
        if now != tokens {
            tokens = now;
            if let Err(failure) = service.journal.hurry().await {
                warn!("{failure}");
            }
        }
        match shower.due(&busy).await {
            Ok(due) => {
                for (project, tests) in due {
                    busy.insert(project.clone());
                    let shown = shower.of_project(tests);
                    projects.push(async move { (project, shown.await) });
                }
            }
            Err(failure) => warn!("{failure}"),
        }
        let next = service.journal.next_to_show().await.ok().flatten();
        let wait = next.map_or(SHOW_EVERY, |next| {
            let wait = Timestamp::now().until(next).ok().and_then(|span| span.total(jiff::Unit::Second).ok());
            Duration::from_secs_f64(wait.unwrap_or(1.0).clamp(1.0, SHOW_EVERY.as_secs_f64()))
        });
        tokio::select! {
            Some((project, told)) = projects.next() => {
                busy.remove(&project);
                match told {
                    Ok(told) => service.metrics.told(told),
                    Err(failure) => warn!("{failure}"),
                }
            }
            changed = news.changed() => if changed.is_err() { break },
            () = sleep(wait) => {}
            () = stop.cancelled() => break,
        }
    }
    while projects.next().await.is_some() {}
}
