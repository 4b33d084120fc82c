//! Background tasks: removing superseded requests, collecting results, showing statuses, and restoring tests that are
//! not in the journal.

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
use crate::pulls::rebuild::{self, RebuildError, RebuildServices};
use crate::pulls::result_collector::{self, SearchSummary};
use crate::pulls::status_reporter::StatusReporter;
use crate::pulls::{Stage, user_requests, withdraw};
use crate::status::TestComplete;

/// Interval between searches for results, in case announcements are lost.
const RESULTS_INTERVAL: Duration = Duration::from_secs(30);
/// Interval between searches for results with the embedded queue, which has no announcements. Listing a folder is
/// cheap.
const LOCAL_RESULTS_INTERVAL: Duration = Duration::from_secs(1);
/// Interval between searches for requests without results. On RabbitMQ that takes the messages of their queues for a
/// moment.
const REQUESTS_INTERVAL: Duration = Duration::from_secs(300);
/// Interval between searches for requests that may not be queued.
const UNCONFIRMED_INTERVAL: Duration = Duration::from_secs(30);
/// Minimum age of requests that are searched. Younger ones are left to the intake.
const MIN_REQUEST_AGE: SignedDuration = SignedDuration::from_secs(120);
/// Interval between searches for tests that are not in the journal.
const REBUILD_INTERVAL: Duration = Duration::from_secs(6 * 3600);
/// Interval after a search that failed in part.
const REBUILD_RETRY_DELAY: Duration = Duration::from_secs(600);
/// Age of changes to pull requests that are searched with an empty journal.
const REBUILD_WINDOW: SignedDuration = SignedDuration::from_hours(24 * 30);
/// Overlap of a search with the one before it.
const REBUILD_OVERLAP: SignedDuration = SignedDuration::from_hours(24);
/// Interval between removals from queues. On RabbitMQ each takes the queues' messages for a moment.
const WITHDRAW_INTERVAL: Duration = Duration::from_secs(2);
/// Delay before another attempt after a failure.
const RETRY_DELAY: Duration = Duration::from_secs(10);
/// Maximum interval between checks for due statuses and for changed tokens.
const SHOW_INTERVAL: Duration = Duration::from_secs(5);

/// Runs the background tasks until `stop` is cancelled. They notify `changed` of changes to the journal, and react to
/// it.
pub(super) async fn run(service: Arc<Service>, changed: watch::Sender<()>, stop: CancellationToken) {
    let looked = CancellationToken::new();
    tokio::join!(
        until(&stop, withdraw_superseded(&service, &changed)),
        until(&stop, collect_results(&service, &changed)),
        until(&stop, find_requests(&service, &changed, &looked)),
        until(&stop, restore_tests(&service, &changed, &looked)),
        show_statuses(&service, &changed, &stop),
    );
}

async fn until(stop: &CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
}

/// Reports a change of the journal.
fn notify(changed: &watch::Sender<()>) {
    changed.send_replace(());
}

async fn withdraw_superseded(service: &Service, changed: &watch::Sender<()>) {
    let mut news = changed.subscribe();
    loop {
        let has_some = service.journal.has_any(Stage::Withdrawn).await.is_ok_and(|has| has);
        if has_some {
            match withdraw::withdraw(&service.journal, &service.broker).await {
                Ok(()) => {
                    notify(changed);
                    sleep(WITHDRAW_INTERVAL).await;
                }
                Err(failure) => {
                    warn!("cannot remove superseded requests from their queues now: {failure}");
                    sleep(RETRY_DELAY).await;
                    continue;
                }
            }
        }
        if news.changed().await.is_err() {
            return;
        }
    }
}

/// Collects results as soon as they are stored.
async fn collect_results(service: &Service, changed: &watch::Sender<()>) {
    let is_local = matches!(*service.broker, Broker::Local(_));
    let every = if is_local { LOCAL_RESULTS_INTERVAL } else { RESULTS_INTERVAL };
    let mut listener: Option<Listener> = None;
    loop {
        if listener.is_none() {
            listener = service.broker.listen(Topic::TestComplete).await.ok();
        }
        search_results(service, None, changed).await;
        let next = Instant::now() + every;
        // Announced results are collected until it is time for all of them.
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
                    if let Some(completed) = TestComplete::parse(&message) {
                        search_results(service, Some(&completed), changed).await;
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

async fn search_results(service: &Service, about: Option<&TestComplete>, changed: &watch::Sender<()>) {
    let looked = result_collector::results(&service.journal, &service.store, about).await;
    let SearchSummary { ended, failure } =
        looked.unwrap_or_else(|failure| SearchSummary { ended: 0, failure: Some(failure) });
    if let Some(failure) = failure {
        warn!("cannot look up some results now: {failure}");
    }
    if ended > 0 {
        notify(changed);
    }
}

/// Searches for requests without results.
async fn find_requests(service: &Service, changed: &watch::Sender<()>, looked: &CancellationToken) {
    const UNCERTAIN: &[Stage] = &[Stage::Received];
    const ALL: &[Stage] = &[Stage::Received, Stage::Queued];
    let Service { journal, broker, store, .. } = service;
    let started = Timestamp::now();
    let mut looked_at_all: Option<Instant> = None;
    loop {
        // Requests of earlier processes are old enough, because only this process is left to queue them.
        let before = started.max(Timestamp::now() - MIN_REQUEST_AGE);
        let is_time = looked_at_all.is_none_or(|looked| looked.elapsed() >= REQUESTS_INTERVAL);
        let pause =
            match result_collector::requests(journal, broker, store, if is_time { ALL } else { UNCERTAIN }, before)
                .await
            {
                Ok(SearchSummary { ended, failure }) => {
                    if let Some(failure) = failure {
                        warn!("cannot look up some requests now: {failure}");
                    }
                    if ended > 0 || looked_at_all.is_none() {
                        notify(changed);
                    }
                    if is_time {
                        looked_at_all = Some(Instant::now());
                    }
                    UNCONFIRMED_INTERVAL
                }
                Err(failure) => {
                    warn!("cannot look up requests now: {failure}");
                    RETRY_DELAY
                }
            };
        // Restoring waits for the first search, even if it fails.
        looked.cancel();
        let settled = user_requests::settle(journal, broker, store, before).await;
        if let Some(failure) = settled.map_or_else(Some, |looked| looked.failure) {
            warn!("cannot look up some requests of users now: {failure}");
        }
        sleep(pause).await;
    }
}

/// Restores tests that are not in the journal, and deletes old entries of it.
async fn restore_tests(service: &Service, changed: &watch::Sender<()>, looked: &CancellationToken) {
    looked.cancelled().await;
    let mut due = SearchScope::All;
    let mut next = Instant::now() + REBUILD_INTERVAL;
    loop {
        let (found, failed) = restore(service, &due).await;
        if found > 0 {
            info!("took up {found} tests of pull requests that were not known here");
            let (journal, store) = (&service.journal, &service.store);
            let now = Timestamp::now();
            match result_collector::requests(journal, &service.broker, store, &[Stage::Queued], now).await {
                Ok(SearchSummary { failure: None, .. }) => {}
                Ok(SearchSummary { failure: Some(failure), .. }) | Err(failure) => {
                    warn!("cannot look up requests now: {failure}");
                }
            }
            notify(changed);
        }
        if let Err(failure) = service.journal.sweep(Timestamp::now()).await {
            warn!("{failure}");
        }
        let again = Instant::now() + REBUILD_RETRY_DELAY;
        let is_all = failed.is_empty() || again >= next;
        let is_lost = tokio::select! {
            () = tokio::time::sleep_until(if is_all { next } else { again }) => false,
            () = service.journal.renewed() => true,
        };
        if is_all || is_lost {
            next = Instant::now() + REBUILD_INTERVAL;
            due = SearchScope::All;
        } else {
            due = SearchScope::Only(failed);
        }
    }
}

/// Places to search for tests that are not in the journal.
enum SearchScope {
    All,
    /// Only the named projects. The empty name stands for the queues.
    Only(HashSet<String>),
}

impl SearchScope {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
        }
    }
}

/// Returns the number of restored tests, and what could not be searched.
async fn restore(service: &Service, due: &SearchScope) -> (usize, HashSet<String>) {
    const QUEUES: &str = "";
    let hooks = service.hook_registry.hooks();
    let around = RebuildServices {
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

/// Restores tests from a project's pending statuses: since the last search, or within `REBUILD_WINDOW` if there was
/// none.
async fn of_project(
    service: &Service,
    name: &str,
    hooks: &[&Hook],
    around: &RebuildServices<'_>,
    now: Timestamp,
) -> Result<usize, RebuildError> {
    let last = service.journal.last_search(name.to_owned()).await?;
    let since = last.map_or(now - REBUILD_WINDOW, |last| last - REBUILD_OVERLAP);
    let found = rebuild::from_forge(hooks, around, since, now).await?;
    service.journal.note_search(name.to_owned(), now).await?;
    Ok(found)
}

/// Shows statuses. Requests to forges that have begun are finished, so that their outcome is recorded.
async fn show_statuses(service: &Service, changed: &watch::Sender<()>, stop: &CancellationToken) {
    let reporter = StatusReporter::new(service.journal.clone(), Arc::clone(&service.keyring), service.url.clone());
    let mut news = changed.subscribe();
    let mut tokens = service.keyring.tokens();
    // A project whose forge does not answer must not delay the others.
    let (mut busy, mut projects) = (HashSet::new(), FuturesUnordered::new());
    loop {
        news.mark_unchanged();
        // With a new token, failures of the old one no longer delay the next attempt.
        let now = service.keyring.tokens();
        if now != tokens {
            tokens = now;
            if let Err(failure) = service.journal.make_due().await {
                warn!("{failure}");
            }
        }
        match reporter.due(&busy).await {
            Ok(due) => {
                for (project, tests) in due {
                    busy.insert(project.clone());
                    let shown = reporter.report_project(tests);
                    projects.push(async move { (project, shown.await) });
                }
            }
            Err(failure) => warn!("{failure}"),
        }
        let next = service.journal.next_due().await.ok().flatten();
        let wait = next.map_or(SHOW_INTERVAL, |next| {
            let wait = Timestamp::now().until(next).ok().and_then(|span| span.total(jiff::Unit::Second).ok());
            Duration::from_secs_f64(wait.unwrap_or(1.0).clamp(1.0, SHOW_INTERVAL.as_secs_f64()))
        });
        tokio::select! {
            Some((project, told)) = projects.next() => {
                busy.remove(&project);
                match told {
                    Ok(told) => service.metrics.count_statuses(told),
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
