//! A test request: which source package to test, because of which triggers, under which parameters.
//!
//! A [`Request`] cannot hold an invalid request: its parts are checked types, and the rules between them are checked when it
//! is put together. [`wire`] reads and writes the message that travels through a queue, [`line`] the line form of a batch.

pub mod line;
mod parts;
pub mod wire;

use std::fmt;

use serde_json::{Map, Value};

pub use parts::{EnvVar, InvalidRequest, RequestId, SourcePackage, TestName, Text, Trigger};

/// Parameters that other programs may send and that this version cannot run yet. They are refused, never ignored:
/// running the test without them would give a result for something else than what was asked for.
const UNSUPPORTED: [&str; 6] = ["ppas", "test-git", "build-git", "test-bzr", "swiftuser", "readable-by"];

/// A test request. Read it with [`Request::package`] and [`Request::parameters`]; make one with [`Request::new`].
#[derive(Clone, PartialEq)]
pub struct Request {
    package: SourcePackage,
    parameters: Parameters,
}

/// What a request asks for beside its package.
#[derive(Clone, Default, PartialEq)]
pub struct Parameters {
    /// The packages, with their versions, whose upload caused the test.
    pub triggers: Vec<Trigger>,
    /// Environment of the test.
    pub env: Vec<EnvVar>,
    /// Take everything from the proposed pocket, not only the triggers.
    pub all_proposed: bool,
    /// Run only this test of the package.
    pub testname: Option<TestName>,
    /// Who asked for it.
    pub requester: Option<Text>,
    /// When it was asked for: `%Y-%m-%d %H:%M:%S%z`; other programs leave out the offset or add fractions of a second.
    pub submit_time: Option<Text>,
    /// Identifies the request from its submission to its result.
    pub uuid: Option<RequestId>,
    /// Every other parameter, as it came: kept and passed on.
    pub other: Map<String, Value>,
}

impl Request {
    /// Puts a request together.
    ///
    /// # Errors
    /// When the baseline trigger `migration-reference/0` does not stand alone, or `other` holds a parameter that has a field of
    /// its own.
    pub fn new(package: SourcePackage, parameters: Parameters) -> Result<Self, InvalidRequest> {
        let baseline = parameters.triggers.iter().find(|trigger| trigger.is_baseline());
        if let Some(baseline) = baseline {
            let alone =
                parameters.triggers.len() == 1 && !parameters.all_proposed && !parameters.other.contains_key("ppas");
            if !alone {
                let rule = "the baseline stands alone: no other trigger, no PPA, no all-proposed";
                return Err(InvalidRequest::new("trigger", baseline.to_string(), rule));
            }
        }
        if let Some(key) = wire::KNOWN_KEYS.iter().find(|key| parameters.other.contains_key(**key)) {
            return Err(InvalidRequest::new("parameter", *key, "is given twice"));
        }
        Ok(Self { package, parameters })
    }

    /// The source package to test.
    pub fn package(&self) -> &SourcePackage {
        &self.package
    }

    /// What is asked for beside the package.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The request's id, if it has one yet: it gets one at its submission, or when a worker claims it.
    pub fn uuid(&self) -> Option<&RequestId> {
        self.parameters.uuid.as_ref()
    }

    /// The same request with an id: its own, or else a new random one.
    #[must_use]
    pub fn identified(mut self) -> Self {
        self.parameters.uuid.get_or_insert_with(RequestId::random);
        self
    }

    /// The same request with its time of submission, in UTC, unless it has one.
    #[must_use]
    pub fn submitted_at(mut self, time: jiff::Timestamp) -> Self {
        let text = time.strftime("%Y-%m-%d %H:%M:%S+0000").to_string();
        if self.parameters.submit_time.is_none() {
            self.parameters.submit_time = text.parse().ok();
        }
        self
    }

    /// The same request from this requester, unless it names one.
    #[must_use]
    pub fn requested_by(mut self, requester: &Text) -> Self {
        self.parameters.requester.get_or_insert_with(|| requester.clone());
        self
    }

    /// Refuses a request with parameters that this version cannot run yet.
    ///
    /// # Errors
    /// Names the first such parameter. Its value is left out: a PPA may hold a token.
    pub fn check_supported(&self) -> Result<(), InvalidRequest> {
        match UNSUPPORTED.into_iter().find(|key| self.parameters.other.contains_key(*key)) {
            None => Ok(()),
            Some(key) => {
                Err(InvalidRequest::new("parameter", key, "is not supported by this version, so the test was not run"))
            }
        }
    }
}

/// Names other parameters without their values: a PPA may hold a token.
impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parameters")
            .field("triggers", &self.triggers)
            .field("env", &self.env)
            .field("all_proposed", &self.all_proposed)
            .field("testname", &self.testname)
            .field("requester", &self.requester)
            .field("submit_time", &self.submit_time)
            .field("uuid", &self.uuid)
            .field("other", &self.other.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("package", &self.package).field("parameters", &self.parameters).finish()
    }
}
