//! A run's request, as its result records it.

use serde_json::{Map, Value, json};

use super::{StoredRun, members};
use crate::archive::Pocket;
use crate::release::QueueName;
use crate::request::line::Submission;
use crate::request::{InvalidRequest, Request};
use crate::result::Proof;
use crate::result::layout::{RESULT, container};
use crate::store::{Store, StoreError};

/// A request that is recreated from a result. Requester, time and id are open.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedRequest {
    /// The request and its queue.
    pub submission: Submission,
    /// Whether its parameters are certainly complete. Results of other programs record only triggers and environment.
    pub whole: bool,
    /// The release's pocket on the worker; the inner `None` when there was none. `None` when the result does not record
    /// it.
    told_pocket: Option<Option<Pocket>>,
}

impl RecordedRequest {
    /// Returns the recorded pocket of the release, otherwise `other`.
    pub fn pocket_or(&self, other: Option<Pocket>) -> Option<Pocket> {
        self.told_pocket.clone().unwrap_or(other)
    }
}

/// Reason why a result has no usable request.
#[derive(Debug, thiserror::Error)]
pub enum RecordedRequestError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run was private, or had parameters that this version does not know.
    #[error(
        "its result does not contain the whole request: it had secrets, such as a PPA's token, or parameters that \
         this program does not know"
    )]
    SecretsLeftOut,
    /// The result does not record its triggers.
    #[error("its result does not record its triggers")]
    NoTriggers,
    /// Another program stored the result, with packages from another source.
    #[error("its result is in {0}, so packages came from a PPA, but it does not record all PPAs")]
    Elsewhere(String),
    /// The recorded request is invalid.
    #[error("its result records an invalid request: {0}")]
    Invalid(#[from] InvalidRequest),
    /// The result is damaged.
    #[error("its result is damaged: it has no readable testinfo.json")]
    Damaged,
}

/// Parameters that identify the requester, the time and the request.
const PERSONAL: [&str; 3] = ["requester", "submit-time", "uuid"];
const TRIGGERS: &str = "ADT_TEST_TRIGGERS=";

impl StoredRun {
    /// Recreates the request of this run.
    ///
    /// # Errors
    /// When the result does not record it, or cannot be read.
    pub async fn request(&self, store: &Store) -> Result<RecordedRequest, RecordedRequestError> {
        let testinfo = members::fetched(store, &self.container, &self.object(RESULT), testinfo).await?;
        let testinfo = testinfo.ok_or(RecordedRequestError::Damaged)?;
        let (parameters, whole) = self.parameters(&testinfo)?;
        let text = format!("{}\n{}", self.path.package, Value::Object(parameters));
        let request = Request::parse(text.as_bytes())?;
        let context = request.parameters().context();
        let queue = QueueName::new(context, self.path.release.clone(), self.path.architecture.clone());
        let told_pocket = match Proof::from_testinfo(&testinfo).pocket.as_deref() {
            Some("") => Some(None),
            told => told.and_then(|name| name.parse().ok()).map(Some),
        };
        Ok(RecordedRequest { submission: Submission { queue, request }, whole, told_pocket })
    }

    /// Returns the request's parameters, and whether they are complete.
    fn parameters(&self, testinfo: &Value) -> Result<(Map<String, Value>, bool), RecordedRequestError> {
        let own = testinfo.get("apt-ci");
        let told = |key| own.and_then(|own| own.get(key));
        if told("secrets-left-out").is_some() {
            return Err(RecordedRequestError::SecretsLeftOut);
        }
        if let Some(Value::Object(request)) = told("request") {
            let mut parameters = request.clone();
            parameters.retain(|key, _| !PERSONAL.contains(&key.as_str()));
            return Ok((parameters, true));
        }
        if self.container != container(&self.path.release) {
            return Err(RecordedRequestError::Elsewhere(self.container.clone()));
        }
        let environment = testinfo.get("custom_environment").and_then(Value::as_array);
        let variables: Vec<&str> = environment.into_iter().flatten().filter_map(Value::as_str).collect();
        let triggers = variables.iter().find_map(|variable| variable.strip_prefix(TRIGGERS)).unwrap_or_default();
        let triggers: Vec<&str> = triggers.split_whitespace().collect();
        if triggers.is_empty() {
            return Err(RecordedRequestError::NoTriggers);
        }
        let env: Vec<&str> = variables.iter().filter(|variable| !variable.starts_with(TRIGGERS)).copied().collect();
        let mut parameters = Map::from_iter([("triggers".to_owned(), json!(triggers))]);
        if !env.is_empty() {
            parameters.insert("env".to_owned(), json!(env));
        }
        Ok((parameters, false))
    }
}

/// Returns the testinfo.json in a result.tar, if it can be read.
pub(super) fn testinfo(result: &[u8]) -> Option<Value> {
    let mut testinfo = None;
    members::each(result, |name, text| {
        if name == "testinfo.json" {
            testinfo = serde_json::from_str(text).ok();
        }
    });
    testinfo
}
