//! Reporting of states to the forges. Projects are served concurrently, so that a broken token affects only its own
//! project.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use tracing::{info, warn};

use super::PullTest;
use super::journal::{Journal, JournalError};
use super::keyring::Keyring;
use crate::forge::client::Client;
use crate::forge::error::ForgeError;
use crate::forge::{Forge, Project};
use crate::server_url::ServerUrl;

/// Maximum number of projects that are served at the same time.
const CONCURRENCY: usize = 16;
/// Pause after the first failure, in seconds. It doubles with each failure, up to `MAX_RETRY_DELAY`.
const FIRST_RETRY_DELAY: i64 = 2;
const MAX_RETRY_DELAY: i64 = 900;
/// Maximum pause after a refused status, in seconds, because users change tokens and settings.
const REFUSED_RETRY_DELAY: i64 = 900;
/// Number of refusals after which the pause is `LONG_RETRY_DELAY`: a commit that is gone stays gone, but a token may
/// get its rights.
const MAX_REFUSALS: u32 = 20;
const LONG_RETRY_DELAY: i64 = 6 * 3600;

/// Reporter of states from the journal.
pub struct StatusReporter {
    journal: Journal,
    keyring: Arc<Keyring>,
    service: ServerUrl,
    clients: Mutex<HashMap<(Forge, String, String), Arc<Client>>>,
}

/// A project, with its forge and the address of the API.
pub type ProjectKey = (Forge, String, Project);

/// Numbers of statuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusCounts {
    /// Statuses that the forge has accepted.
    pub taken: usize,
    /// Statuses that failed or were postponed.
    pub failed: usize,
}

impl StatusReporter {
    /// Creates a reporter. Statuses link to the pages of `service`.
    pub fn new(journal: Journal, keyring: Arc<Keyring>, service: ServerUrl) -> Self {
        Self { journal, keyring, service, clients: Mutex::default() }
    }

    /// Shows every state that is due.
    ///
    /// # Errors
    /// When the journal cannot be used. Failures of a forge are recorded, and tried again later.
    pub async fn show(&self) -> Result<StatusCounts, JournalError> {
        let mut sum = StatusCounts::default();
        loop {
            let due = self.due(&HashSet::new()).await?;
            if due.is_empty() {
                return Ok(sum);
            }
            let mut shown =
                stream::iter(due.into_values().map(|tests| self.report_project(tests))).buffer_unordered(CONCURRENCY);
            while let Some(told) = shown.next().await {
                let told = told?;
                sum.taken += told.taken;
                sum.failed += told.failed;
            }
        }
    }

    /// Returns the tests that are due, by project, without the projects that are busy.
    ///
    /// # Errors
    /// When the journal cannot be used.
    pub async fn due(&self, busy: &HashSet<ProjectKey>) -> Result<BTreeMap<ProjectKey, Vec<PullTest>>, JournalError> {
        let mut projects: BTreeMap<ProjectKey, Vec<PullTest>> = BTreeMap::new();
        for test in self.journal.due_statuses(Timestamp::now()).await? {
            let key = (test.forge, test.api.to_string(), test.project.clone());
            if !busy.contains(&key) {
                projects.entry(key).or_default().push(test);
            }
        }
        Ok(projects)
    }

    /// Shows the states of a project's tests, oldest first. Statuses that would fail like one before them are
    /// postponed.
    ///
    /// # Errors
    /// When the journal cannot be used.
    pub async fn report_project(&self, tests: Vec<PullTest>) -> Result<StatusCounts, JournalError> {
        let mut told = StatusCounts::default();
        let mut tests = tests.into_iter();
        while let Some(test) = tests.next() {
            let trouble = match self.report_one(&test).await {
                Ok(()) => {
                    info!(project = %test.project, pull = test.number, context = test.context, state = %test.state, "shown");
                    self.journal.mark_shown(test.uuid, test.state).await?;
                    told.taken += 1;
                    continue;
                }
                Err(trouble) => trouble,
            };
            warn!(project = %test.project, pull = test.number, context = test.context, "not shown: {trouble}");
            told.failed += 1;
            let next = Timestamp::now() + trouble.retry_delay(test.tries);
            self.journal.mark_failed(test.uuid.clone(), next, trouble.to_string()).await?;
            if !trouble.is_refusal() {
                let package = test.submission.request.package();
                let would_fail =
                    |other: &PullTest| !trouble.is_token_failure() || other.submission.request.package() == package;
                let (alike, others): (Vec<PullTest>, Vec<PullTest>) = tests.partition(would_fail);
                told.failed += alike.len();
                let alike = alike.into_iter().map(|test| test.uuid).collect();
                self.journal.defer(alike, next, trouble.to_string()).await?;
                tests = others.into_iter();
            }
        }
        Ok(told)
    }

    async fn report_one(&self, test: &PullTest) -> Result<(), ReportError> {
        let package = test.submission.request.package();
        let token = self
            .keyring
            .token(test.forge, &test.api, &test.project, package)
            .map_err(|error| ReportError::NoToken(error.to_string()))?;
        let token = token.ok_or_else(|| {
            let forge = test.forge;
            ReportError::NoToken(format!("no token; run `apt-ci {forge} set-token {}` to store one", test.project))
        })?;
        let client = self.client(test.forge, &test.api, token)?;
        client.set_status(&test.project, test.number, &test.commit, &test.status(&self.service)).await?;
        Ok(())
    }

    /// Returns the client for a server and token, from a cache, so that connections stay open.
    fn client(&self, forge: Forge, api: &ServerUrl, token: SecretString) -> Result<Arc<Client>, ForgeError> {
        let key = (forge, api.to_string(), super::keyring::key_digest(token.expose_secret()));
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new(Client::new(forge, api, Some(token))?);
        clients.insert(key, Arc::clone(&client));
        Ok(client)
    }
}

/// Reason why a status was not accepted.
#[derive(Debug, thiserror::Error)]
enum ReportError {
    #[error("{0}")]
    NoToken(String),
    #[error(transparent)]
    Forge(#[from] ForgeError),
}

impl ReportError {
    /// Whether the cause is this status alone: too many statuses of a commit and context, or a commit that is gone.
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Forge(ForgeError::Refused { .. } | ForgeError::NotFound { .. }))
    }

    /// Whether the cause is the token, which the package may have for itself.
    fn is_token_failure(&self) -> bool {
        matches!(self, Self::NoToken(_) | Self::Forge(ForgeError::NotAllowed { .. } | ForgeError::MalformedToken))
    }

    fn retry_delay(&self, tries: u32) -> SignedDuration {
        let told = match self {
            Self::Forge(error) => error.after(),
            Self::NoToken(_) => None,
        };
        let is_transient = matches!(self, Self::Forge(error) if error.is_transient());
        let doubled = FIRST_RETRY_DELAY.saturating_mul(1 << tries.min(9)).min(MAX_RETRY_DELAY);
        let own = match () {
            () if is_transient => doubled,
            () if self.is_refusal() && tries >= MAX_REFUSALS => LONG_RETRY_DELAY,
            () => doubled.clamp(30, REFUSED_RETRY_DELAY),
        };
        let told = told.map_or(0, |after: Duration| i64::try_from(after.as_secs()).unwrap_or(MAX_RETRY_DELAY));
        SignedDuration::from_secs(own.max(told))
    }
}
