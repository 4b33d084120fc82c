//! Restoring of tests of pull requests that are missing in the journal: from requests that wait, run or have results,
//! and from pending statuses at the forge, whose link contains the request's id.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::journal::{Journal, JournalError};
use super::keyring::Keyring;
use super::{PullTest, Stage, of_page};
use crate::broker::{Broker, BrokerError, Snapshot};
use crate::forge::client::Client;
use crate::forge::error::ForgeError;
use crate::forge::hook::Hook;
use crate::forge::status::{self, State};
use crate::forge::{Commit, Forge, PullRequest};
use crate::release::QueueName;
use crate::request::line::Submission;
use crate::request::{PULL_REQUEST, Parameters, Request, RequestId};
use crate::result::ResultLocation;
use crate::runs;
use crate::server_url::ServerUrl;
use crate::site::credentials::CredentialsError;
use crate::store::Store;

/// Maximum number of results of a package that are read for their commits, the newest first.
const MAX_RESULTS: usize = 50;

/// Reason why the tests of a project could not be restored.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The forge.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// The queue.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The credentials.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

/// Services that are searched.
pub struct RebuildServices<'a> {
    /// The journal to restore.
    pub journal: &'a Journal,
    /// The queue.
    pub broker: &'a Broker,
    /// The store.
    pub store: &'a Store,
    /// The tokens.
    pub keyring: &'a Keyring,
    /// The web service's address.
    pub service: &'a ServerUrl,
}

/// Restores the tests of these hooks whose requests wait or run. Sends nothing to a forge. Returns the number of tests
/// that were missing.
///
/// # Errors
/// When the queue or the journal cannot be used.
pub async fn from_queues(hooks: &[Hook], around: &RebuildServices<'_>, now: Timestamp) -> Result<usize, RebuildError> {
    let queues: BTreeSet<QueueName> = hooks.iter().flat_map(Hook::queues).collect();
    let queues: Vec<QueueName> = queues.into_iter().collect();
    let (mut snapshot, mut failure) = (Snapshot::default(), None);
    snapshot.add_running(around.broker).await?;
    for state in around.broker.inspect(&queues).await?.iter().filter(|state| !state.is_empty()) {
        // A failure of one queue does not affect the others.
        if let Err(error) = snapshot.add_queue(around.broker, &state.queue).await {
            failure = failure.or(Some(error));
        }
    }
    for opaque in snapshot.hidden().values() {
        tracing::warn!("cannot check the queued requests: {}", opaque.line());
    }
    let alive = snapshot.requests().iter().filter(|located| located.place.is_alive());
    let found = alive.filter_map(|located| recognised(hooks, located.request.clone(), &located.queue, now)).collect();
    let found = around.journal.restore(found).await?;
    failure.map_or(Ok(found), |error| Err(error.into()))
}

/// Restores the tests of pending statuses in a project: of pull requests that changed since a time, and of commits with
/// results. Returns the number of tests that were missing.
///
/// # Errors
/// When the forge or the journal cannot be used.
pub async fn from_forge(
    hooks: &[&Hook],
    around: &RebuildServices<'_>,
    since: Timestamp,
    now: Timestamp,
) -> Result<usize, RebuildError> {
    let Some(first) = hooks.first() else { return Ok(0) };
    let mut token = None;
    for hook in hooks {
        if token.is_none() {
            token = around.keyring.token(hook.forge, &hook.api, &hook.project, &hook.package)?;
        }
    }
    let client = Client::new(first.forge, &first.api, token)?;
    let mut commits: BTreeMap<Commit, u64> = BTreeMap::new();
    for pull in client.pulls_since(&first.project, since).await? {
        commits.insert(pull.commit, pull.number);
    }
    for hook in hooks {
        commits.extend(tested(hook, around.store, since).await);
    }
    let mut found = 0;
    for (commit, number) in commits {
        let shown = match client.statuses(&first.project, &commit).await {
            // The commit may be deleted.
            Err(ForgeError::NotFound { .. } | ForgeError::Refused { .. }) => continue,
            other => other?,
        };
        let mut tests = Vec::new();
        for shown in shown.into_iter().filter(|shown| shown.state == State::Pending) {
            let uuid = shown.link.as_deref().and_then(|link| of_page(around.service, link));
            let Some(uuid) = uuid else { continue };
            let pull =
                PullRequest { number, commit: commit.clone(), is_open: true, updated: None, clone_url: String::new() };
            let test =
                hooks.iter().find_map(|hook| of_context(hook, &shown.context, &pull, &uuid, since.max(now - month())));
            tests.extend(test);
        }
        // Recorded at once, whatever the next answer of the forge is.
        found += around.journal.restore(tests).await?;
    }
    Ok(found)
}

fn month() -> SignedDuration {
    SignedDuration::from_hours(24 * 30)
}

/// Returns the pull request and the commit that a request says it tests, if it is one of the hook.
fn subject(hook: &Hook, request: &Request) -> Option<(u64, Commit)> {
    let variable = |name: &str| {
        let mut variables = request.parameters().env.iter().filter(|variable| variable.name() == name);
        Some(variables.next()?.as_str().split_once('=')?.1.to_owned())
    };
    let number: u64 = variable(PULL_REQUEST)?.parse().ok()?;
    let url = variable(hook.forge.statuses_variable())?;
    let commit: Commit = url.rsplit('/').next()?.parse().ok()?;
    let pull = PullRequest { number, commit: commit.clone(), is_open: true, updated: None, clone_url: String::new() };
    (hook.package == *request.package() && hook.statuses_url(&pull).eq_ignore_ascii_case(&url))
        .then_some((number, commit))
}

/// Returns the pull request and the commit that a request says it tests, if it is one of these hooks.
pub fn subject_of(hooks: &[Hook], request: &Request) -> Option<(u64, Commit)> {
    hooks.iter().find_map(|hook| subject(hook, request))
}

fn recognised(hooks: &[Hook], request: Request, queue: &QueueName, now: Timestamp) -> Option<PullTest> {
    let (hook, (number, commit)) = hooks.iter().find_map(|hook| Some((hook, subject(hook, &request)?)))?;
    let created = request.submitted().unwrap_or(now);
    let submission = Submission { queue: queue.clone(), request };
    restored(hook, number, &commit, submission, created)
}

fn restored(hook: &Hook, number: u64, commit: &Commit, submission: Submission, created: Timestamp) -> Option<PullTest> {
    let test = PullTest::new(hook.forge, &hook.api, &hook.project, number, commit, submission, created)?;
    // The order of commits is unknown: this one supersedes none, and any other supersedes it.
    let changed = Timestamp::UNIX_EPOCH;
    Some(PullTest { stage: Stage::Queued, shown: Some(State::Pending), changed, ..test })
}

/// Returns the test of a status. Its request is lost, so one is made with the parameters that are needed to find the
/// result.
fn of_context(
    hook: &Hook,
    context: &str,
    pull: &PullRequest,
    uuid: &RequestId,
    created: Timestamp,
) -> Option<PullTest> {
    hook.queues().find_map(|queue| {
        let parameters = Parameters {
            uuid: Some(uuid.clone()),
            ppas: hook.ppas.clone(),
            testname: hook.testname.clone(),
            env: vec![format!("{PULL_REQUEST}={}", pull.number).parse().ok()?],
            ..Parameters::default()
        };
        let request = Request::new(hook.package.clone(), parameters).ok()?;
        let is_it = status::context(&request, &queue) == context;
        is_it.then(|| restored(hook, pull.number, &pull.commit, Submission { queue, request }, created))?
    })
}

/// Returns the commits of a hook's newest results. Results that cannot be read are skipped.
async fn tested(hook: &Hook, store: &Store, since: Timestamp) -> HashMap<Commit, u64> {
    let mut commits = HashMap::new();
    for queue in hook.queues() {
        let parameters = Parameters { ppas: hook.ppas.clone(), ..Parameters::default() };
        let Ok(request) = Request::new(hook.package.clone(), parameters) else { continue };
        let place = ResultLocation::of(&request, &queue);
        let Ok(runs) = runs::since(store, &place.container, &place.path.prefix(), since).await else { continue };
        for run in runs.iter().rev().take(MAX_RESULTS) {
            if let Ok(recorded) = run.request(store).await
                && let Some((number, commit)) = subject(hook, &recorded.submission.request)
            {
                commits.insert(commit, number);
            }
        }
    }
    commits
}

/// Groups hooks by project.
pub fn by_project(hooks: &[Hook]) -> Vec<Vec<&Hook>> {
    let mut projects: BTreeMap<(Forge, String, String), Vec<&Hook>> = BTreeMap::new();
    for hook in hooks {
        let key = (hook.forge, hook.api.to_string(), hook.project.as_str().to_ascii_lowercase());
        projects.entry(key).or_default().push(hook);
    }
    projects.into_values().collect()
}
