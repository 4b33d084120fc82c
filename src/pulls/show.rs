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
const PROJECTS: usize = 16;
/// Pause after the first failure, in seconds. It doubles with each failure, up to `LAST_PAUSE`.
const FIRST_PAUSE: i64 = 2;
const LAST_PAUSE: i64 = 900;
/// Maximum pause after a refused status, in seconds, because users change tokens and settings.
const REFUSED_PAUSE: i64 = 900;
/// Number of refusals after which the pause is `LONG_PAUSE`: a commit that is gone stays gone, but a token may get its
/// rights.
const REFUSALS: u32 = 20;
const LONG_PAUSE: i64 = 6 * 3600;

/// Reporter of states from the journal.
pub struct Shower {
    journal: Journal,
    keyring: Arc<Keyring>,
    service: ServerUrl,
    clients: Mutex<HashMap<(Forge, String, String), Arc<Client>>>,
}

/// A project, with its forge and the address of the API.
pub type Shown = (Forge, String, Project);

/// Numbers of statuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Statuses that the forge has accepted.
    pub taken: usize,
    /// Statuses that failed or were postponed.
    pub failed: usize,
}

impl Shower {
    /// Creates a reporter. Statuses link to the pages of `service`.
    pub fn new(journal: Journal, keyring: Arc<Keyring>, service: ServerUrl) -> Self {
        Self { journal, keyring, service, clients: Mutex::default() }
    }

    /// Shows every state that is due.
    ///
    /// # Errors
    /// When the journal cannot be used. Failures of a forge are recorded, and tried again later.
    pub async fn show(&self) -> Result<Told, JournalError> {
        let mut sum = Told::default();
        loop {
            let due = self.due(&HashSet::new()).await?;
            if due.is_empty() {
                return Ok(sum);
            }
            let mut shown =
                stream::iter(due.into_values().map(|tests| self.of_project(tests))).buffer_unordered(PROJECTS);
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
    pub async fn due(&self, busy: &HashSet<Shown>) -> Result<BTreeMap<Shown, Vec<PullTest>>, JournalError> {
        let mut projects: BTreeMap<Shown, Vec<PullTest>> = BTreeMap::new();
        for test in self.journal.to_show(Timestamp::now()).await? {
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
    pub async fn of_project(&self, tests: Vec<PullTest>) -> Result<Told, JournalError> {
        let mut told = Told::default();
        let mut tests = tests.into_iter();
        while let Some(test) = tests.next() {
            let trouble = match self.show_one(&test).await {
                Ok(()) => {
                    info!(project = %test.project, pull = test.number, context = test.context, state = %test.state, "shown");
                    self.journal.shown(test.uuid, test.state).await?;
                    told.taken += 1;
                    continue;
                }
                Err(trouble) => trouble,
            };
            warn!(project = %test.project, pull = test.number, context = test.context, "not shown: {trouble}");
            told.failed += 1;
            let next = Timestamp::now() + trouble.pause(test.tries);
            self.journal.not_shown(test.uuid.clone(), next, trouble.to_string()).await?;
            if !trouble.is_refusal() {
                let package = test.submission.request.package();
                let would_fail =
                    |other: &PullTest| !trouble.is_of_token() || other.submission.request.package() == package;
                let (alike, others): (Vec<PullTest>, Vec<PullTest>) = tests.partition(would_fail);
                told.failed += alike.len();
                let alike = alike.into_iter().map(|test| test.uuid).collect();
                self.journal.defer(alike, next, trouble.to_string()).await?;
                tests = others.into_iter();
            }
        }
        Ok(told)
    }

    async fn show_one(&self, test: &PullTest) -> Result<(), Trouble> {
        let package = test.submission.request.package();
        let token = self
            .keyring
            .token(test.forge, &test.api, &test.project, package)
            .map_err(|error| Trouble::NoToken(error.to_string()))?;
        let token = token.ok_or_else(|| {
            let forge = test.forge;
            Trouble::NoToken(format!("no token; run `apt-ci {forge} set-token {}` to store one", test.project))
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
enum Trouble {
    #[error("{0}")]
    NoToken(String),
    #[error(transparent)]
    Forge(#[from] ForgeError),
}

impl Trouble {
    /// Whether the cause is this status alone: too many statuses of a commit and context, or a commit that is gone.
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Forge(ForgeError::Refused { .. } | ForgeError::NotFound { .. }))
    }

    /// Whether the cause is the token, which the package may have for itself.
    fn is_of_token(&self) -> bool {
        matches!(self, Self::NoToken(_) | Self::Forge(ForgeError::NotAllowed { .. } | ForgeError::NoToken))
    }

    fn pause(&self, tries: u32) -> SignedDuration {
        let told = match self {
            Self::Forge(error) => error.after(),
            Self::NoToken(_) => None,
        };
        let is_passing = matches!(self, Self::Forge(error) if error.is_passing());
        let doubled = FIRST_PAUSE.saturating_mul(1 << tries.min(9)).min(LAST_PAUSE);
        let own = match () {
            () if is_passing => doubled,
            () if self.is_refusal() && tries >= REFUSALS => LONG_PAUSE,
            () => doubled.clamp(30, REFUSED_PAUSE),
        };
        let told = told.map_or(0, |after: Duration| i64::try_from(after.as_secs()).unwrap_or(LAST_PAUSE));
        SignedDuration::from_secs(own.max(told))
    }
}
