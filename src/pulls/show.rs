//! Showing the states of commits at their forges. Projects are served side by side: one whose token is broken holds up no other.

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

/// So many projects are served at the same time.
const PROJECTS: usize = 16;
/// The first pause after a failure, in seconds; it doubles up to the last.
const FIRST_PAUSE: i64 = 2;
const LAST_PAUSE: i64 = 900;
/// A forge that refuses a status for good is asked once more after so many seconds, because people change tokens and settings.
const REFUSED_PAUSE: i64 = 900;
/// After so many refusals it is asked less often: a commit that is gone does not come back, but a token may be given its rights.
const REFUSALS: u32 = 20;
const LONG_PAUSE: i64 = 6 * 3600;

/// Shows what the journal wants shown.
pub struct Shower {
    journal: Journal,
    keyring: Arc<Keyring>,
    service: ServerUrl,
    clients: Mutex<HashMap<(Forge, String, String), Arc<Client>>>,
}

/// A project at a server of a forge.
pub type Shown = (Forge, String, Project);

/// How many statuses were taken, and how many were not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Taken.
    pub taken: usize,
    /// Not taken.
    pub failed: usize,
}

impl Shower {
    /// Links lead to this service.
    pub fn new(journal: Journal, keyring: Arc<Keyring>, service: ServerUrl) -> Self {
        Self { journal, keyring, service, clients: Mutex::default() }
    }

    /// Shows everything that may be shown now.
    ///
    /// # Errors
    /// When the journal cannot be used. What a forge does not take is written down there, and comes again.
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

    /// What may be shown now, project by project: of each some, and nothing of those that are busy.
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

    /// Shows a project's, oldest first. Those that would fail like one before them are put off.
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

    /// One way to each server for each token: connections stay open.
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

/// Why a status was not taken.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    NoToken(String),
    #[error(transparent)]
    Forge(#[from] ForgeError),
}

impl Trouble {
    /// Whether it is about this status alone: too many of one commit and context, or a commit that is gone.
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Forge(ForgeError::Refused { .. } | ForgeError::NotFound { .. }))
    }

    /// Whether it is about the token, which may be the package's own.
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
